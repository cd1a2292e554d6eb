#include "http_body.h"

#include <inttypes.h>
#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

/* Raw bytes that are encoded at a time: a multiple of 3, so that only a record's last bytes are padded. */
#define CHUNK_RAW (3u << 14)
#define CHUNK_TEXT (CHUNK_RAW / 3 * 4 + 1) /* with EVP's terminator */

/* Records pass through all of it: it lies in locked memory. */
struct compressor {
	struct isal_zstream stream;
	uint8_t level[ISAL_DEF_LVL1_DEFAULT];
	uint8_t text[CHUNK_TEXT];
};

struct http_body {
	bool gzip;
	struct dlv_buffer memory; /* a struct compressor */
	struct dlv_buffer *out;
};

int
http_body_new(struct dlv_pool *pool, bool gzip, struct http_body **out_body)
{
	struct http_body *body = calloc(1, sizeof(*body));

	if (body == NULL)
		return SLK_NO_MEMORY;
	body->gzip = gzip;
	dlv_buffer_init(&body->memory, pool);
	int rc = gzip ? dlv_buffer_reserve(&body->memory, sizeof(struct compressor)) : SLK_OK;
	if (rc != SLK_OK) {
		http_body_free(body);
		return rc;
	}
	if (gzip)
		body->memory.len = sizeof(struct compressor); /* all of it is wiped */
	*out_body = body;
	return SLK_OK;
}

void
http_body_free(struct http_body *body)
{
	if (body == NULL)
		return;
	dlv_buffer_fini(&body->memory);
	free(body);
}

/* --- compressed --- */

static struct compressor *
compressor_of(struct http_body *body)
{
	return (struct compressor *)(void *)body->memory.bytes;
}

static void
compressor_start(struct compressor *c, struct dlv_buffer *out)
{
	isal_deflate_init(&c->stream);
	c->stream.gzip_flag = IGZIP_GZIP;
	c->stream.level = 1;
	c->stream.level_buf = c->level;
	c->stream.level_buf_size = sizeof(c->level);
	c->stream.next_out = out->bytes;
	c->stream.avail_out = out->cap < UINT32_MAX ? (uint32_t)out->cap : UINT32_MAX;
}

/* There is room for all of it, so one call takes all. */
static int
compress_text(struct compressor *c, struct slk_span text, bool last)
{
	c->stream.next_in = (uint8_t *)(uintptr_t)text.ptr;
	c->stream.avail_in = (uint32_t)text.len;
	c->stream.end_of_stream = last;
	int rc = isal_deflate(&c->stream);
	if (rc != COMP_OK || c->stream.avail_in != 0 ||
		(last && c->stream.internal_state.state != ZSTATE_END))
		return SLK_INTERNAL;
	return SLK_OK;
}

/* --- text --- */

static int
put(struct http_body *body, struct slk_span text, bool last)
{
	if (body->gzip)
		return compress_text(compressor_of(body), text, last);
	if (text.len > body->out->cap - body->out->len)
		return SLK_INTERNAL;
	memcpy(body->out->bytes + body->out->len, text.ptr, text.len);
	body->out->len += text.len;
	return SLK_OK;
}

static int
put_text(struct http_body *body, const char *text, bool last)
{
	return put(body, slk_span_str(text), last);
}

static int
put_base64(struct http_body *body, struct slk_span raw)
{
	for (size_t at = 0; at < raw.len; at += CHUNK_RAW) {
		size_t n = raw.len - at < CHUNK_RAW ? raw.len - at : CHUNK_RAW;
		size_t chars = (n + 2) / 3 * 4;
		uint8_t *to =
			body->gzip ? compressor_of(body)->text : body->out->bytes + body->out->len;
		if (!body->gzip && chars + 1 > body->out->cap - body->out->len)
			return SLK_INTERNAL;
		if (EVP_EncodeBlock(to, raw.ptr + at, (int)n) != (int)chars)
			return SLK_INTERNAL;
		if (!body->gzip)
			body->out->len += chars;
		else if (compress_text(compressor_of(body), slk_span(to, chars), false) != SLK_OK)
			return SLK_INTERNAL;
	}
	return SLK_OK;
}

static int
put_records(struct http_body *body, const struct dlv_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct dlv_entry *e = &batch->entries[i];
		if (e->offset > batch->raw.len || e->len > batch->raw.len - e->offset)
			return SLK_INTERNAL;
		int rc = put_text(body, i == 0 ? "{\"data\":\"" : ",{\"data\":\"", false);
		if (rc == SLK_OK)
			rc = put_base64(body, slk_span(batch->raw.bytes + e->offset, e->len));
		if (rc == SLK_OK)
			rc = put_text(body, "\"}", false);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

int
http_body_make(struct http_body *body, struct dlv_batch *batch, struct slk_error *err)
{
	char head[128];

	snprintf(head, sizeof(head),
		"{\"requestId\":\"%.36s\",\"timestamp\":%" PRIu64 ",\"records\":[", batch->id,
		(uint64_t)(batch->planned_ns / SLK_NS_PER_MS));
	body->out = &batch->body;
	dlv_buffer_cut(&batch->body, 0);
	if (body->gzip)
		compressor_start(compressor_of(body), body->out);
	int rc = put_text(body, head, false);
	if (rc == SLK_OK)
		rc = put_records(body, batch);
	if (rc == SLK_OK)
		rc = put_text(body, "]}", true);
	if (rc == SLK_OK && body->gzip)
		batch->body.len = compressor_of(body)->stream.total_out;
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "the request's body does not fit what was kept for it");
}
