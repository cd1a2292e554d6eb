#include "format/blob.h"

#define VERSION 1u
#define ALGORITHM_AES_256_GCM 1u

static const uint8_t magic[4] = {'S', 'L', 'K', 'B'};
/* What a token leaves that did not make an IV. */
static const uint8_t no_iv[FMT_BLOB_IV_BYTES];

static void
write_header(struct slk_writer *w, const struct fmt_blob *blob)
{
	slk_write_bytes(w, magic, sizeof(magic));
	slk_write_u8(w, VERSION);
	slk_write_u8(w, ALGORITHM_AES_256_GCM);
	slk_write_u8(w, FMT_BLOB_IV_BYTES);
	slk_write_u8(w, 0);
	slk_write_bytes(w, blob->key_id, sizeof(blob->key_id));
	slk_write_bytes(w, blob->backing_id, sizeof(blob->backing_id));
}

int
fmt_blob_aad(const struct fmt_blob *blob, const struct fmt_context *context, uint8_t *out,
	size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);
	size_t context_len = 0;

	write_header(&w, blob);
	if (context == NULL)
		slk_write_le16(&w, 0); /* the canonical form of no pairs */
	if (w.status != SLK_OK)
		return w.status;
	if (context != NULL) {
		int rc = fmt_context_encode(context, out + w.len, cap - w.len, &context_len);
		if (rc != SLK_OK)
			return rc;
	}
	*out_len = w.len + context_len;
	return SLK_OK;
}

int
fmt_blob_encode(const struct fmt_blob *blob, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (memcmp(blob->iv, no_iv, sizeof(no_iv)) == 0 || blob->sealed.len <= FMT_BLOB_TAG_BYTES ||
		blob->sealed.len > FMT_BLOB_PLAINTEXT_MAX + FMT_BLOB_TAG_BYTES)
		return SLK_INVALID;
	write_header(&w, blob);
	slk_write_bytes(&w, blob->iv, sizeof(blob->iv));
	slk_write_bytes(&w, blob->sealed.ptr, blob->sealed.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_blob_decode(struct slk_span in, struct fmt_blob *out_blob)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_blob blob;

	if (in.len < FMT_BLOB_MIN || in.len > FMT_BLOB_MAX)
		return SLK_INVALID_CIPHERTEXT;
	struct slk_span found = slk_read_span(&r, sizeof(magic));
	if (!slk_span_equal(found, slk_span(magic, sizeof(magic))))
		return SLK_INVALID_CIPHERTEXT;
	uint8_t version = slk_read_u8(&r);
	uint8_t algorithm = slk_read_u8(&r);
	uint8_t iv_len = slk_read_u8(&r);
	uint8_t flags = slk_read_u8(&r);
	if (version != VERSION || algorithm != ALGORITHM_AES_256_GCM ||
		iv_len != FMT_BLOB_IV_BYTES || flags != 0)
		return SLK_INVALID_CIPHERTEXT;
	slk_read_bytes(&r, blob.key_id, sizeof(blob.key_id));
	slk_read_bytes(&r, blob.backing_id, sizeof(blob.backing_id));
	slk_read_bytes(&r, blob.iv, sizeof(blob.iv));
	blob.sealed = slk_read_span(&r, r.len);
	if (r.status != SLK_OK || memcmp(blob.iv, no_iv, sizeof(no_iv)) == 0)
		return SLK_INVALID_CIPHERTEXT;
	*out_blob = blob;
	return SLK_OK;
}
