#include "stores.h"

#include <string.h>

#define HOST_MAX 253u
#define PART_BYTES_MAX (1u << 30)

/* Goes back to the last * only. */
static bool
fits(const char *pattern, const char *text)
{
	const char *star = NULL, *mark = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (*pattern == *text) {
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

const struct dlv_store *
dlv_stores_find(const struct dlv_stores *stores, const char *bucket)
{
	for (size_t i = 0; i < stores->count; i++) {
		if (fits(stores->stores[i].bucket, bucket))
			return &stores->stores[i];
	}
	return NULL;
}

/* --- checks --- */

static bool
is_host_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '-' || c == '.';
}

/* A name, an IPv4 address or an IPv6 address in brackets; its length, or 0. */
static size_t
host_len(const char *text)
{
	size_t len = 0;

	if (text[0] == '[') {
		len = strspn(text + 1, "0123456789abcdefABCDEF:.");
		return len > 0 && text[len + 1] == ']' ? len + 2 : 0;
	}
	while (is_host_character(text[len]))
		len++;
	return len <= HOST_MAX ? len : 0;
}

static bool
is_port(const char *text)
{
	unsigned long port = 0;
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 5 || text[len] != '\0')
		return false;
	for (size_t i = 0; i < len; i++)
		port = port * 10 + (unsigned long)(text[i] - '0');
	return port >= 1 && port <= 65535;
}

static bool
is_this_host(const char *host, size_t len)
{
	static const char *const names[] = {"localhost", "[::1]"};

	for (size_t i = 0; i < 2; i++) {
		if (len == strlen(names[i]) && strncmp(host, names[i], len) == 0)
			return true;
	}
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") >= len;
}

/* "https://host[:port]", and nothing behind it. */
static int
check_url(const struct dlv_store *store, struct slk_error *err)
{
	bool tls = strncmp(store->url, "https://", 8) == 0;
	const char *host = store->url + (tls ? 8 : 7);

	if (!tls && strncmp(store->url, "http://", 7) != 0)
		return slk_fail(err, SLK_CONFIG,
			"stores: the url of bucket %s is neither https: nor http:", store->bucket);
	size_t len = host_len(host);
	if (len == 0 || !(host[len] == '\0' || (host[len] == ':' && is_port(host + len + 1))))
		return slk_fail(err, SLK_CONFIG,
			"stores: the url of bucket %s is not https://HOST or https://HOST:PORT, "
			"without a path",
			store->bucket);
	if (!tls && !is_this_host(host, len))
		return slk_fail(err, SLK_CONFIG,
			"stores: the url of bucket %s is http:, which is for this host only; take "
			"https:",
			store->bucket);
	return SLK_OK;
}

static int
check_s3(const struct dlv_store *store, struct slk_error *err)
{
	int rc = check_url(store, err);

	if (rc != SLK_OK)
		return rc;
	if (store->credentials == NULL || store->credentials[0] != '/')
		return slk_fail(err, SLK_CONFIG,
			"stores: bucket %s needs credentials, the absolute path of a file as the "
			"AWS CLI has it",
			store->bucket);
	if (store->ca != NULL && store->ca[0] != '/')
		return slk_fail(err, SLK_CONFIG, "stores: the ca of bucket %s is no absolute path",
			store->bucket);
	if (store->region != NULL &&
		(store->region[0] == '\0' || strlen(store->region) > 64 ||
			strspn(store->region, "abcdefghijklmnopqrstuvwxyz0123456789-") !=
				strlen(store->region)))
		return slk_fail(err, SLK_CONFIG,
			"stores: the region of bucket %s is none, such as us-east-1",
			store->bucket);
	return SLK_OK;
}

static int
check_dir(const struct dlv_store *store, struct slk_error *err)
{
	if (store->dir[0] != '/')
		return slk_fail(err, SLK_CONFIG, "stores: the dir of bucket %s is no absolute path",
			store->bucket);
	if (store->seal == DLV_SEAL_SERVER || store->seal == DLV_SEAL_S3)
		return slk_fail(err, SLK_CONFIG,
			"stores: the dir of bucket %s is no server that seals; take seal: client "
			"or none",
			store->bucket);
	if (store->credentials != NULL || store->ca != NULL || store->region != NULL)
		return slk_fail(err, SLK_CONFIG,
			"stores: bucket %s is a dir: region, credentials and ca are for a url",
			store->bucket);
	return SLK_OK;
}

int
dlv_store_check(const struct dlv_store *store, struct slk_error *err)
{
	uint32_t part = store->part_bytes;

	if (store->bucket == NULL || store->bucket[0] == '\0')
		return slk_fail(err, SLK_CONFIG, "stores: an entry has no bucket");
	if ((store->dir == NULL) == (store->url == NULL))
		return slk_fail(err, SLK_CONFIG, "stores: bucket %s needs either a dir or a url",
			store->bucket);
	if (part != 0 && (part < DLV_PART_BYTES_MIN || part > PART_BYTES_MAX))
		return slk_fail(err, SLK_CONFIG,
			"stores: the part_bytes of bucket %s are not from %u to %u", store->bucket,
			DLV_PART_BYTES_MIN, PART_BYTES_MAX);
	return store->dir != NULL ? check_dir(store, err) : check_s3(store, err);
}
