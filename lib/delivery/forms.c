/* Texts that have a form: ARNs, hosts, URLs. */
#include <stdlib.h>

#include "delivery/draft.h"

bool
dlv_is_arn(struct slk_span text, const char *service, const char *beginning)
{
	const char *s = (const char *)text.ptr;
	size_t n = strlen(service);

	if (strncmp(s, "arn:aws", 7) != 0)
		return false;
	s += 4 + strcspn(s + 4, ":");
	if (*s != ':' || strncmp(s + 1, service, n) != 0 || s[n + 1] != ':')
		return false;
	s += n + 2;
	s += strcspn(s, ":"); /* the region */
	if (*s != ':' || strspn(s + 1, "0123456789") != 12 || s[13] != ':')
		return false;
	s += 14;
	n = strlen(beginning);
	return strncmp(s, beginning, n) == 0 && s[n] != '\0' && strpbrk(s, " \t\r\n") == NULL;
}

static bool
is_role_arn(struct slk_span text)
{
	return dlv_is_arn(text, "iam", "role/");
}

const struct dlv_limit dlv_limit_role = {
	1, 512, "arn:aws.*:iam::\\d{12}:role/.+", is_role_arn, false};

/* HOST[:PORT] of a URL: how long it is; 0: it is none. Names, and addresses of both kinds. */
size_t
dlv_authority(const char *s, size_t *out_host, uint16_t *out_port)
{
	static const char name[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t host = s[0] == '[' ? strspn(s + 1, "0123456789abcdefABCDEF:.") : strspn(s, name);

	if (host == 0 || host >= DLV_HOST_MAX - 2 || (s[0] == '[' && s[host + 1] != ']'))
		return 0;
	host += s[0] == '[' ? 2 : 0;
	*out_host = host;
	*out_port = 0;
	if (s[host] != ':')
		return host;
	size_t digits = strspn(s + host + 1, "0123456789");
	unsigned long port = digits > 0 && digits < 6 ? strtoul(s + host + 1, NULL, 10) : 0;
	if (port == 0 || port > 65535)
		return 0;
	*out_port = (uint16_t)port;
	return host + 1 + digits;
}
