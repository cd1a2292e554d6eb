#include "gateway/request.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "harness/bench.h"

#define REGION "local"

static void
hex(const uint8_t in[32], char out[65])
{
	for (unsigned i = 0; i < 32; i++)
		(void)snprintf(out + 2 * (size_t)i, 3, "%02x", in[i]);
}

static bool
hmac(const void *key, size_t key_len, const char *text, uint8_t out[32])
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out,
		       &len) != NULL &&
		len == 32;
}

static bool
sign(const struct gwb_signer *s, const char *date, const char *service, const char *text,
	char out[65])
{
	char first[80];
	uint8_t a[32], b[32];

	(void)snprintf(first, sizeof(first), "AWS4%s", s->secret);
	bool ok = hmac(first, strlen(first), date, a) && hmac(a, 32, REGION, b) &&
		hmac(b, 32, service, a) && hmac(a, 32, "aws4_request", b) && hmac(b, 32, text, a);
	hex(a, out);
	return ok;
}

int
gwb_request_sign(const struct gwb_signer *signer, const char *service, const char *target,
	struct slk_span body, struct gwb_request *out_request)
{
	static const char names[] = "content-type;host;x-amz-date;x-amz-target";
	char when[20], date[12], canonical[1024], digest[65], text[512], signature[65];
	uint8_t hash[32];
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) == NULL || strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm) == 0)
		return SLK_INTERNAL;
	(void)snprintf(date, sizeof(date), "%.8s", when);
	hex(SHA256(body.ptr, body.len, hash), digest);
	(void)snprintf(canonical, sizeof(canonical),
		"POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:localhost:%u\n"
		"x-amz-date:%s\nx-amz-target:%s\n\n%s\n%s",
		signer->port, when, target, names, digest);
	hex(SHA256((const uint8_t *)canonical, strlen(canonical), hash), digest);
	(void)snprintf(text, sizeof(text),
		"AWS4-HMAC-SHA256\n%s\n%s/" REGION "/%s/aws4_request\n%s", when, date, service,
		digest);
	if (!sign(signer, date, service, text, signature))
		return SLK_INTERNAL;
	uint8_t *bytes = malloc(body.len + 1024);
	if (bytes == NULL)
		return SLK_NO_MEMORY;
	int n = snprintf((char *)bytes, 1024,
		"POST / HTTP/1.1\r\nHost: localhost:%u\r\nContent-Type: "
		"application/x-amz-json-1.1\r\n"
		"X-Amz-Target: %s\r\nX-Amz-Date: %s\r\nAuthorization: AWS4-HMAC-SHA256 "
		"Credential=%s/%s/" REGION "/%s/aws4_request, SignedHeaders=%s, Signature=%s\r\n"
		"Content-Length: %zu\r\n\r\n",
		signer->port, target, when, signer->key_id, date, service, names, signature,
		body.len);
	memcpy(bytes + n, body.ptr, body.len);
	*out_request = (struct gwb_request){bytes, (size_t)n + body.len};
	return SLK_OK;
}

/* "Data":"...","PartitionKey":"key-NNN" */
static size_t
put_record(char *out, size_t data_len, unsigned number, uint64_t *seed)
{
	uint8_t data[65536];
	char *at = out;

	bench_fill(seed, data, data_len);
	at += sprintf(at, "\"Data\":\"");
	size_t chars = slk_base64_chars(data_len);
	if (slk_base64_encode(SLK_BASE64, slk_span(data, data_len), at, chars + 1) != SLK_OK)
		return 0;
	for (at += chars; (at - out - 8) % 4 != 0; at++)
		*at = '=';
	at += sprintf(at, "\",\"PartitionKey\":\"key-%u\"", number);
	return (size_t)(at - out);
}

char *
gwb_body_put(const char *stream, unsigned records, size_t data_len, uint64_t *seed)
{
	unsigned count = records != 0 ? records : 1;
	char *body = malloc(256 + (size_t)count * (data_len / 3 * 4 + 80));
	char *at = body;

	if (body == NULL)
		return NULL;
	at += sprintf(at, "{\"StreamName\":\"%s\",", stream);
	if (records == 0) {
		at += put_record(at, data_len, (unsigned)(*seed % 1000), seed);
	} else {
		at += sprintf(at, "\"Records\":[");
		for (unsigned i = 0; i < count; i++) {
			at += sprintf(at, i > 0 ? ",{" : "{");
			at += put_record(at, data_len, i, seed);
			*at++ = '}';
		}
		*at++ = ']';
	}
	memcpy(at, "}", 2);
	return body;
}

char *
gwb_body_get(const char *iterator, unsigned limit)
{
	char *body = NULL;

	if (asprintf(&body, "{\"ShardIterator\":\"%s\",\"Limit\":%u}", iterator, limit) < 0)
		return NULL;
	return body;
}

int
gwb_answer_text(struct slk_span body, const char *name, char *out, size_t cap)
{
	char key[64];

	int n = snprintf(key, sizeof(key), "\"%s\":\"", name);
	const uint8_t *at = memmem(body.ptr, body.len, key, (size_t)n);
	if (at == NULL)
		return SLK_NOT_FOUND;
	at += n;
	const uint8_t *end = memchr(at, '"', (size_t)(body.ptr + body.len - at));
	if (end == NULL || (size_t)(end - at) >= cap)
		return SLK_FULL;
	memcpy(out, at, (size_t)(end - at));
	out[end - at] = '\0';
	return SLK_OK;
}
