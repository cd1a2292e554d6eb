#include "format/put.h"

#define VERSION 1u

enum message_type { TYPE_PUT = 1, TYPE_REPLY = 2 };

static const uint8_t magic[4] = {'S', 'L', 'K', 'P'};

static void
write_head(struct slk_writer *w, enum message_type type, uint64_t request_id)
{
	slk_write_bytes(w, magic, sizeof(magic));
	slk_write_u8(w, VERSION);
	slk_write_u8(w, (uint8_t)type);
	slk_write_le16(w, 0);
	slk_write_le64(w, request_id);
}

/* The first 16 bytes, which both types share. */
static int
read_head(struct slk_reader *r, enum message_type type, uint64_t *out_request_id)
{
	struct slk_span m = slk_read_span(r, sizeof(magic));
	uint8_t version = slk_read_u8(r);
	uint8_t found = slk_read_u8(r);
	uint16_t reserved = slk_read_le16(r);
	uint64_t request_id = slk_read_le64(r);

	if (r->status != SLK_OK)
		return r->status;
	if (!slk_span_equal(m, slk_span(magic, sizeof(magic))))
		return SLK_MALFORMED;
	if (version != VERSION)
		return SLK_BAD_VERSION;
	if (found != (uint8_t)type || reserved != 0)
		return SLK_MALFORMED;
	*out_request_id = request_id;
	return SLK_OK;
}

/* What must hold between the fields, whoever made them. */
static int
check_put(const struct fmt_put *p)
{
	bool first = p->offset == 0;

	if (p->total_len > FMT_RECORD_DATA_MAX)
		return SLK_TOO_LARGE;
	if (p->fragment.len > FMT_PUT_FRAGMENT_MAX || p->offset > p->total_len ||
		p->fragment.len > p->total_len - p->offset)
		return SLK_MALFORMED;
	if (p->fragment.len == 0 && p->total_len > 0)
		return SLK_MALFORMED;
	if (first && (p->stream.len == 0 || p->key.len == 0))
		return SLK_MALFORMED;
	if (!first && (p->stream.len != 0 || p->key.len != 0))
		return SLK_MALFORMED;
	if (p->stream.len > FMT_PUT_STREAM_MAX || p->key.len > FMT_RECORD_KEY_MAX)
		return SLK_MALFORMED;
	return SLK_OK;
}

int
fmt_put_encode(const struct fmt_put *put, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (check_put(put) != SLK_OK)
		return SLK_INVALID;
	write_head(&w, TYPE_PUT, put->request_id);
	slk_write_le32(&w, put->total_len);
	slk_write_le32(&w, put->offset);
	slk_write_le32(&w, (uint32_t)put->fragment.len);
	slk_write_le16(&w, (uint16_t)put->stream.len);
	slk_write_le16(&w, (uint16_t)put->key.len);
	slk_write_bytes(&w, put->stream.ptr, put->stream.len);
	slk_write_bytes(&w, put->key.ptr, put->key.len);
	slk_write_bytes(&w, put->fragment.ptr, put->fragment.len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_put_decode(struct slk_span in, struct fmt_put *out)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_put p = {0};

	int rc = read_head(&r, TYPE_PUT, &p.request_id);
	if (rc != SLK_OK)
		return rc;
	p.total_len = slk_read_le32(&r);
	p.offset = slk_read_le32(&r);
	uint32_t fragment_len = slk_read_le32(&r);
	uint16_t stream_len = slk_read_le16(&r);
	uint16_t key_len = slk_read_le16(&r);
	p.stream = slk_read_span(&r, stream_len);
	p.key = slk_read_span(&r, key_len);
	p.fragment = slk_read_span(&r, fragment_len);
	rc = slk_reader_end(&r);
	if (rc == SLK_OK)
		rc = check_put(&p);
	if (rc != SLK_OK)
		return rc;
	*out = p;
	return SLK_OK;
}

int
fmt_put_reply_encode(const struct fmt_put_reply *reply, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);
	size_t error_len =
		reply->error.len < FMT_PUT_ERROR_MAX ? reply->error.len : FMT_PUT_ERROR_MAX;

	if (reply->status > 0 || (reply->status == SLK_OK && error_len > 0))
		return SLK_INVALID;
	write_head(&w, TYPE_REPLY, reply->request_id);
	slk_write_le32(&w, (uint32_t)reply->status);
	slk_write_le32(&w, reply->shard);
	slk_write_le64(&w, reply->sequence);
	slk_write_le16(&w, (uint16_t)error_len);
	slk_write_zeros(&w, 6);
	slk_write_bytes(&w, reply->error.ptr, error_len);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

int
fmt_put_reply_decode(struct slk_span in, struct fmt_put_reply *out)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_put_reply p = {0};

	int rc = read_head(&r, TYPE_REPLY, &p.request_id);
	if (rc != SLK_OK)
		return rc;
	p.status = (int)(int32_t)slk_read_le32(&r);
	p.shard = slk_read_le32(&r);
	p.sequence = slk_read_le64(&r);
	uint16_t error_len = slk_read_le16(&r);
	struct slk_span reserved = slk_read_span(&r, 6);
	p.error = slk_read_span(&r, error_len);
	rc = slk_reader_end(&r);
	if (rc != SLK_OK)
		return rc;
	for (size_t i = 0; i < reserved.len; i++) {
		if (reserved.ptr[i] != 0)
			return SLK_MALFORMED;
	}
	if (p.status > 0 || error_len > FMT_PUT_ERROR_MAX || (p.status == SLK_OK && error_len > 0))
		return SLK_MALFORMED;
	*out = p;
	return SLK_OK;
}
