#include "sigv4.h"

#include <string.h>
#include <time.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/secret.h"

#define PREFIX "AWS4"
#define DAY_S 86400

int
kms_sigv4_key(struct kms_hmac *hmac, const uint8_t secret[KMS_SECRET_BYTES],
	const struct kms_sigv4_scope *scope, uint8_t out[KMS_SHA256_BYTES])
{
	const char *const parts[] = {scope->date, scope->region, scope->service, "aws4_request"};
	struct slk_secret *key = NULL;
	size_t len = sizeof(PREFIX) - 1 + KMS_SECRET_CHARS;

	int rc = slk_secret_new(len + 1, &key);
	if (rc != SLK_OK)
		return rc;
	uint8_t *text = slk_secret_bytes(key);
	memcpy(text, PREFIX, sizeof(PREFIX) - 1);
	rc = slk_base64_encode(SLK_BASE64, slk_span(secret, KMS_SECRET_BYTES),
		(char *)text + sizeof(PREFIX) - 1, KMS_SECRET_CHARS + 1);
	struct slk_span with = slk_span(text, len);
	for (size_t i = 0; rc == SLK_OK && i < sizeof(parts) / sizeof(parts[0]); i++) {
		rc = kms_hmac_sha256(hmac, with, slk_span_str(parts[i]), text);
		with = slk_span(text, KMS_SHA256_BYTES);
	}
	if (rc == SLK_OK)
		memcpy(out, text, KMS_SHA256_BYTES);
	slk_secret_free(key);
	return rc;
}

bool
kms_sigv4_is_name(const char *text)
{
	size_t len = strlen(text);

	return len >= 1 && len <= KMS_SIGV4_NAME_MAX &&
		strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

bool
kms_sigv4_is_near(const char *date, uint64_t wall_ns)
{
	time_t today = (time_t)(wall_ns / SLK_NS_PER_S);

	for (time_t day = today - DAY_S; day <= today + DAY_S; day += DAY_S) {
		struct tm tm;
		char text[9];
		if (gmtime_r(&day, &tm) != NULL &&
			strftime(text, sizeof(text), "%Y%m%d", &tm) == 8 && strcmp(text, date) == 0)
			return true;
	}
	return false;
}
