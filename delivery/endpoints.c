#include "endpoints.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "base/bytes.h"

/* text up to its end, or up to where a path may go on behind the pattern. */
static bool
ends_here(const char *pattern, const char *text)
{
	char last = pattern[-1];

	return *text == '\0' || *text == '/' || *text == '?' || last == '/';
}

/* One * is tried at a time: the last one takes up what the others left. */
static bool
fits(const char *pattern, const char *text)
{
	const char *star = NULL, *resume = NULL;

	for (;;) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = text;
		} else if (*pattern == '\0' && ends_here(pattern, text)) {
			return true;
		} else if (*pattern != '\0' && *pattern == *text) {
			pattern++;
			text++;
		} else if (star != NULL && *resume != '\0' && strchr("/?#", *resume) == NULL) {
			pattern = star;
			text = ++resume;
		} else {
			return false;
		}
	}
}

const struct dlv_endpoint *
dlv_endpoints_find(const struct dlv_endpoints *endpoints, const char *url)
{
	for (size_t i = 0; endpoints != NULL && i < endpoints->count; i++) {
		const char *pattern = endpoints->endpoints[i].url;
		if (pattern[0] != '\0' && fits(pattern, url))
			return &endpoints->endpoints[i];
	}
	return NULL;
}

/* "https://host:port/..." -> "host", without brackets. */
static struct slk_span
host_of(const char *url)
{
	const char *host = strstr(url, "://") + 3;
	size_t len = strcspn(host, "/?");

	if (host[0] == '[') {
		host++;
		len = strcspn(host, "]/?");
	} else {
		const char *colon = memchr(host, ':', len);
		if (colon != NULL)
			len = (size_t)(colon - host);
	}
	return slk_span(host, len);
}

static bool
is_this_host(struct slk_span host)
{
	char text[64];
	struct in_addr v4;
	struct in6_addr v6;

	if (host.len >= sizeof(text))
		return false;
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, text, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(text, "localhost") == 0;
}

/* What is no URL of ours never reaches libcurl, nor a pattern. */
static const char *
url_fault(const char *url)
{
	if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
		return "is neither https:// nor http://";
	for (const char *c = url; *c != '\0'; c++) {
		if (*c <= ' ' || *c > '~' || *c == '\\' || *c == '#')
			return "has a blank, a backslash, a #, a control character or one beyond "
			       "ASCII";
	}
	const char *authority = strstr(url, "://") + 3;
	if (memchr(authority, '@', strcspn(authority, "/?")) != NULL)
		return "names a user; credentials belong into a file of deliverd.yaml";
	return host_of(url).len > 0 ? NULL : "names no host";
}

int
dlv_endpoints_check(const struct dlv_endpoints *endpoints, const char *url,
	const struct dlv_endpoint **out_endpoint, struct slk_error *err)
{
	const char *fault = url_fault(url);
	if (fault != NULL)
		return slk_fail(err, SLK_INVALID, "the endpoint's URL %s", fault);
	struct slk_span host = host_of(url);
	int host_len = host.len > 255 ? 255 : (int)host.len;
	const struct dlv_endpoint *endpoint = dlv_endpoints_find(endpoints, url);
	if (endpoint == NULL)
		return slk_fail(err, SLK_CONFIG,
			"deliverd.yaml has no entry under endpoints: whose url fits the one on "
			"host %.*s",
			host_len, (const char *)host.ptr);
	if (strncmp(url, "http://", 7) == 0 && !endpoint->plain && !is_this_host(host))
		return slk_fail(err, SLK_CONFIG,
			"%.*s would be sent records without TLS; deliverd.yaml has no plain: true "
			"for it",
			host_len, (const char *)host.ptr);
	*out_endpoint = endpoint;
	return SLK_OK;
}

void
dlv_endpoints_origin(const char *url, char *out, size_t cap)
{
	size_t head = (size_t)(strstr(url, "://") + 3 - url);
	size_t len = head + strcspn(url + head, "/?");

	if (len >= cap)
		len = cap - 1;
	memcpy(out, url, len);
	out[len] = '\0';
}
