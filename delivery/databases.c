#include "databases.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

int
dlv_sslmode_parse(const char *name, enum dlv_sslmode *out_sslmode, struct slk_error *err)
{
	static const struct {
		const char *name;
		enum dlv_sslmode sslmode;
	} names[] = {{"verify-full", DLV_SSL_VERIFY_FULL}, {"verify-ca", DLV_SSL_VERIFY_CA},
		{"disable", DLV_SSL_DISABLE}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i].name) == 0) {
			*out_sslmode = names[i].sslmode;
			return SLK_OK;
		}
	return slk_fail(err, SLK_CONFIG,
		"sslmode '%.32s' is none of verify-full, verify-ca and disable", name);
}

/* * stands for any text. Goes back to the last * only. */
static bool
fits(const char *pattern, const char *text)
{
	const char *star = NULL, *mark = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (tolower((unsigned char)*pattern) == tolower((unsigned char)*text)) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

static bool
is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (strcasecmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

struct dlv_database_entry
dlv_databases_find(const struct dlv_databases *databases, const char *host)
{
	struct dlv_database_entry found = {.host = host};
	bool listed = false;

	for (size_t i = 0; !listed && databases != NULL && i < databases->count; i++)
		if (fits(databases->entries[i].host, host)) {
			found = databases->entries[i];
			listed = true;
		}
	if (found.sslmode == DLV_SSL_DEFAULT)
		found.sslmode = !listed && is_loopback(host) ? DLV_SSL_PREFER : DLV_SSL_VERIFY_FULL;
	if (found.ca == NULL)
		found.ca = SYSTEM_CA;
	if (found.connect_ms == 0)
		found.connect_ms = 10000;
	if (found.statement_ms == 0)
		found.statement_ms = 900000;
	if (found.lock_ms == 0)
		found.lock_ms = 30000;
	return found;
}
