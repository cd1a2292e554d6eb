#include "seal/audithead.h"

#include <openssl/evp.h>

#include "format/attest.h"
#include "seal/attest.h"

/* RFC 4648, 4, with its padding. */
static int
decode(struct slk_span text, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t padding = 0;

	if (text.len == 0 || text.len % 4 != 0 || text.len / 4 * 3 > cap)
		return SLK_MALFORMED;
	while (padding < 2 && text.ptr[text.len - 1 - padding] == '=')
		padding++;
	if (memchr(text.ptr, '=', text.len - padding) != NULL)
		return SLK_MALFORMED;
	int len = EVP_DecodeBlock(out, text.ptr, (int)text.len);
	if (len < 0 || (size_t)len < padding)
		return SLK_MALFORMED;
	*out_len = (size_t)len - padding;
	return SLK_OK;
}

int
seal_audit_head_verify(
	const struct fmt_audit_line *head, uint8_t out_key[SEAL_AUDIT_KEY_MAX], size_t *out_len)
{
	uint8_t key[SEAL_AUDIT_KEY_MAX], signature[SEAL_AUDIT_KEY_MAX], digest[SEAL_SHA256_BYTES];
	char text[FMT_AUDIT_HEAD_TEXT_MAX];
	size_t key_len = 0, signature_len = 0;

	int rc = decode(head->public_key, key, sizeof(key), &key_len);
	if (rc == SLK_OK)
		rc = decode(head->signature, signature, sizeof(signature), &signature_len);
	if (rc == SLK_OK)
		rc = seal_sha256(slk_span(text, fmt_audit_head_text(&head->named, text)), digest);
	if (rc == SLK_OK)
		rc = seal_attest_verify(slk_span(key, key_len), FMT_ATTEST_AUDIT, digest,
			slk_span(signature, signature_len));
	if (rc != SLK_OK)
		return rc;
	memcpy(out_key, key, key_len);
	*out_len = key_len;
	return SLK_OK;
}
