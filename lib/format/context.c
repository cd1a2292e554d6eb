#include "format/context.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "format/utf8.h"

#define KEY_MAX 1024u
#define PAIR_OVERHEAD 4u /* two lengths */
#define COUNT_BYTES 2u

struct pair {
	uint8_t *bytes; /* key, value */
	uint16_t key_len;
	uint16_t value_len;
};

struct fmt_context {
	size_t count;
	size_t encoded_len;
	struct pair pairs[FMT_CONTEXT_PAIRS_MAX]; /* sorted by key */
};

int
fmt_context_new(struct fmt_context **out_context)
{
	struct fmt_context *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return SLK_NO_MEMORY;
	c->encoded_len = COUNT_BYTES;
	*out_context = c;
	return SLK_OK;
}

void
fmt_context_free(struct fmt_context *context)
{
	if (context == NULL)
		return;
	for (size_t i = 0; i < context->count; i++)
		free(context->pairs[i].bytes);
	free(context);
}

/* Order of the canonical form: by bytes, a prefix before what it is a prefix of. */
static int
compare_keys(struct slk_span a, struct slk_span b)
{
	size_t common = a.len < b.len ? a.len : b.len;
	int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;

	if (order != 0)
		return order;
	return a.len < b.len ? -1 : a.len > b.len;
}

/* Where key is or belongs; *out_found tells which. */
static size_t
find(const struct fmt_context *c, struct slk_span key, bool *out_found)
{
	size_t low = 0, high = c->count;

	*out_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct pair *p = &c->pairs[middle];
		int order = compare_keys(key, slk_span(p->bytes, p->key_len));
		if (order == 0) {
			*out_found = true;
			return middle;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static int
check_pair(struct slk_span key, struct slk_span value)
{
	if (key.len == 0)
		return SLK_MALFORMED;
	if (key.len > KEY_MAX || value.len > FMT_CONTEXT_MAX)
		return SLK_LIMIT;
	if (!fmt_utf8_is_text(key) || !fmt_utf8_is_text(value))
		return SLK_MALFORMED;
	return SLK_OK;
}

int
fmt_context_add(struct fmt_context *context, struct slk_span key, struct slk_span value)
{
	int rc = check_pair(key, value);
	if (rc != SLK_OK)
		return rc;
	bool found;
	size_t at = find(context, key, &found);
	if (found)
		return SLK_EXISTS;
	size_t grown = context->encoded_len + PAIR_OVERHEAD + key.len + value.len;
	if (context->count == FMT_CONTEXT_PAIRS_MAX || grown > FMT_CONTEXT_MAX)
		return SLK_LIMIT;

	uint8_t *bytes = malloc(key.len + value.len);
	if (bytes == NULL)
		return SLK_NO_MEMORY;
	memcpy(bytes, key.ptr, key.len);
	if (value.len > 0)
		memcpy(bytes + key.len, value.ptr, value.len);
	struct pair *slot = &context->pairs[at];
	memmove(slot + 1, slot, (context->count - at) * sizeof(*slot));
	*slot = (struct pair){bytes, (uint16_t)key.len, (uint16_t)value.len};
	context->count++;
	context->encoded_len = grown;
	return SLK_OK;
}

size_t
fmt_context_count(const struct fmt_context *context)
{
	return context->count;
}

void
fmt_context_pair(const struct fmt_context *context, size_t index, struct slk_span *out_key,
	struct slk_span *out_value)
{
	const struct pair *p = &context->pairs[index];

	*out_key = slk_span(p->bytes, p->key_len);
	*out_value = slk_span(p->bytes + p->key_len, p->value_len);
}

bool
fmt_context_equal(const struct fmt_context *a, const struct fmt_context *b)
{
	size_t count = a != NULL ? a->count : 0;

	if (count != (b != NULL ? b->count : 0))
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct pair *p = &a->pairs[i], *q = &b->pairs[i];
		if (p->key_len != q->key_len || p->value_len != q->value_len ||
			memcmp(p->bytes, q->bytes, (size_t)p->key_len + p->value_len) != 0)
			return false;
	}
	return true;
}

int
fmt_context_encode(const struct fmt_context *context, uint8_t *out, size_t cap, size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	slk_write_le16(&w, (uint16_t)context->count);
	for (size_t i = 0; i < context->count; i++) {
		const struct pair *p = &context->pairs[i];
		slk_write_le16(&w, p->key_len);
		slk_write_bytes(&w, p->bytes, p->key_len);
		slk_write_le16(&w, p->value_len);
		slk_write_bytes(&w, p->bytes + p->key_len, p->value_len);
	}
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return SLK_OK;
}

/* One pair of the canonical form; it must sort behind every pair read before. */
static int
decode_pair(struct slk_reader *r, struct fmt_context *c)
{
	struct slk_span key = slk_read_span(r, slk_read_le16(r));
	struct slk_span value = slk_read_span(r, slk_read_le16(r));

	if (r->status != SLK_OK)
		return r->status;
	if (c->count > 0) {
		const struct pair *last = &c->pairs[c->count - 1];
		if (compare_keys(key, slk_span(last->bytes, last->key_len)) <= 0)
			return SLK_MALFORMED;
	}
	return fmt_context_add(c, key, value);
}

int
fmt_context_decode(struct slk_span in, struct fmt_context **out_context)
{
	struct slk_reader r = slk_reader(in);
	struct fmt_context *c = NULL;
	int rc = SLK_OK;

	if (in.len > FMT_CONTEXT_MAX)
		return SLK_LIMIT;
	uint16_t count = slk_read_le16(&r);
	if (r.status != SLK_OK)
		return r.status;
	if (count > FMT_CONTEXT_PAIRS_MAX)
		return SLK_LIMIT;
	rc = fmt_context_new(&c);
	for (uint16_t i = 0; rc == SLK_OK && i < count; i++)
		rc = decode_pair(&r, c);
	if (rc == SLK_OK)
		rc = slk_reader_end(&r);
	if (rc != SLK_OK) {
		fmt_context_free(c);
		return rc;
	}
	*out_context = c;
	return SLK_OK;
}

int
fmt_context_for_stream(const char *stream_arn, struct fmt_context **out_context)
{
	static const char firehose[] = "arn:aws:firehose:";
	bool is_delivery = strncmp(stream_arn, firehose, sizeof(firehose) - 1) == 0;
	const char *key = is_delivery ? "aws:firehose:arn" : "aws:kinesis:arn";
	struct fmt_context *c = NULL;
	int rc = fmt_context_new(&c);

	if (rc == SLK_OK)
		rc = fmt_context_add(c, slk_span_str(key), slk_span_str(stream_arn));
	if (rc != SLK_OK) {
		fmt_context_free(c);
		return rc;
	}
	*out_context = c;
	return SLK_OK;
}
