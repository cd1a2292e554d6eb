#include "format/attest.h"

#include <string.h>

#include "base/bytes.h"

#define LABEL "sealock-attest-1"

int
fmt_attest_purpose_check(const char *purpose)
{
	size_t len = strnlen(purpose, FMT_ATTEST_PURPOSE_MAX + 1);

	if (len == 0 || len > FMT_ATTEST_PURPOSE_MAX)
		return SLK_INVALID;
	for (size_t i = 0; i < len; i++)
		if (purpose[i] != '-' && (purpose[i] < 'a' || purpose[i] > 'z'))
			return SLK_INVALID;
	return SLK_OK;
}

int
fmt_attest_text(const char *purpose, const uint8_t digest[FMT_ATTEST_DIGEST_BYTES],
	uint8_t out[FMT_ATTEST_TEXT_MAX], size_t *out_len)
{
	struct slk_writer w = slk_writer(out, FMT_ATTEST_TEXT_MAX);

	if (fmt_attest_purpose_check(purpose) != SLK_OK)
		return SLK_INVALID;
	slk_write_bytes(&w, LABEL, sizeof(LABEL)); /* with its NUL */
	slk_write_bytes(&w, purpose, strlen(purpose) + 1);
	slk_write_bytes(&w, digest, FMT_ATTEST_DIGEST_BYTES);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}
