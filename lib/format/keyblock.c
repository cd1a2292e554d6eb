#include "format/keyblock.h"

#include <stdbool.h>

#include "format/context.h"

static bool
lengths_fit(const struct fmt_keyblock *k)
{
	return k->commitment.len == FMT_KEYBLOCK_COMMITMENT_BYTES && k->stream_arn.len >= 1 &&
		k->stream_arn.len <= FMT_KEYBLOCK_ARN_MAX && k->key_arn.len >= 1 &&
		k->key_arn.len <= FMT_KEYBLOCK_ARN_MAX && k->context.len >= 2 &&
		k->context.len <= FMT_CONTEXT_MAX && k->wrapped.len >= 1 &&
		k->wrapped.len <= FMT_KEYBLOCK_WRAPPED_MAX;
}

static bool
has_nul(struct slk_span s)
{
	return memchr(s.ptr, 0, s.len) != NULL;
}

int
fmt_keyblock_encode(const struct fmt_keyblock *keyblock, uint8_t *out, size_t cap, size_t *out_len)
{
	const struct fmt_keyblock *k = keyblock;
	struct slk_writer w = slk_writer(out, cap);

	if (!lengths_fit(k) || has_nul(k->stream_arn) || has_nul(k->key_arn))
		return SLK_INVALID;
	slk_write_le64(&w, k->epoch_id);
	slk_write_le64(&w, k->stream_id);
	slk_write_bytes(&w, k->commitment.ptr, k->commitment.len);
	slk_write_le16(&w, (uint16_t)k->stream_arn.len);
	slk_write_le16(&w, (uint16_t)k->key_arn.len);
	slk_write_le16(&w, (uint16_t)k->context.len);
	slk_write_le16(&w, (uint16_t)k->wrapped.len);
	slk_write_bytes(&w, k->stream_arn.ptr, k->stream_arn.len);
	slk_write_bytes(&w, k->key_arn.ptr, k->key_arn.len);
	slk_write_bytes(&w, k->context.ptr, k->context.len);
	slk_write_bytes(&w, k->wrapped.ptr, k->wrapped.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_keyblock_decode(struct slk_span in, struct fmt_keyblock *out_keyblock)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_keyblock k = {0};

	k.epoch_id = slk_read_le64(&r);
	k.stream_id = slk_read_le64(&r);
	k.commitment = slk_read_span(&r, FMT_KEYBLOCK_COMMITMENT_BYTES);
	size_t stream_len = slk_read_le16(&r);
	size_t key_len = slk_read_le16(&r);
	size_t context_len = slk_read_le16(&r);
	size_t wrapped_len = slk_read_le16(&r);
	k.stream_arn = slk_read_span(&r, stream_len);
	k.key_arn = slk_read_span(&r, key_len);
	k.context = slk_read_span(&r, context_len);
	k.wrapped = slk_read_span(&r, wrapped_len);
	int rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	if (!lengths_fit(&k) || has_nul(k.stream_arn) || has_nul(k.key_arn))
		return SLK_MALFORMED;
	*out_keyblock = k;
	return SLK_OK;
}
