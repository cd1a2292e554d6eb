#include "audit_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "audit.h"
#include "seal/auditchain.h"

#define KEPT_BYTES (256u << 10) /* a larger buffer is given back when it is empty */

struct buffer {
	uint8_t *bytes;
	size_t len, cap;
};

struct kms_audit_queue {
	struct seal_chain *chain;
	struct fmt_audit_point point;
	uint64_t last_seq; /* that is no head */
	struct buffer bodies; /* each ended by a newline, which no body has */
	struct buffer lines;
	uint64_t begin; /* offset of lines.bytes[0] */
};

/* Room for len more bytes. */
static int
make_room(struct buffer *b, size_t len)
{
	if (len > KMS_AUDIT_PENDING_MAX - b->len)
		return SLK_UNAVAILABLE;
	if (b->len + len <= b->cap)
		return SLK_OK;
	size_t cap = b->cap > 0 ? b->cap : 4096;
	while (cap < b->len + len)
		cap *= 2;
	uint8_t *grown = realloc(b->bytes, cap);
	if (grown == NULL)
		return SLK_NO_MEMORY;
	b->bytes = grown;
	b->cap = cap;
	return SLK_OK;
}

static void
empty(struct buffer *b)
{
	b->len = 0;
	if (b->cap <= KEPT_BYTES)
		return;
	free(b->bytes);
	*b = (struct buffer){NULL, 0, 0};
}

int
kms_audit_queue_new(const struct fmt_audit_point *point, struct kms_audit_queue **out_queue)
{
	struct kms_audit_queue *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return SLK_NO_MEMORY;
	kms_audit_queue_go_on(q, point);
	q->begin = 1; /* 0 is no offset, so that it can mean none */
	int rc = seal_chain_new(&q->chain);
	if (rc != SLK_OK) {
		free(q);
		return rc;
	}
	*out_queue = q;
	return SLK_OK;
}

void
kms_audit_queue_free(struct kms_audit_queue *queue)
{
	if (queue == NULL)
		return;
	seal_chain_free(queue->chain);
	free(queue->bodies.bytes);
	free(queue->lines.bytes);
	free(queue);
}

void
kms_audit_queue_go_on(struct kms_audit_queue *queue, const struct fmt_audit_point *point)
{
	queue->point = *point;
	queue->last_seq = point->seq;
}

int
kms_audit_queue_room(struct kms_audit_queue *queue, size_t len, struct slk_writer *out_writer)
{
	struct buffer *b = &queue->bodies;

	/* Sealed they are longer, by less than they are long. */
	if (queue->lines.len + 2 * (b->len + len) > 2 * KMS_AUDIT_PENDING_MAX)
		return SLK_UNAVAILABLE;
	int rc = make_room(b, len);
	if (rc == SLK_OK)
		*out_writer = slk_writer(b->bytes + b->len, b->cap - b->len);
	return rc;
}

int
kms_audit_queue_use(struct kms_audit_queue *queue, const struct slk_writer *writer)
{
	struct slk_writer w = *writer;

	slk_write_u8(&w, '\n');
	if (w.status != SLK_OK)
		return w.status;
	if (w.len + FMT_AUDIT_SEAL_MAX > FMT_AUDIT_LINE_MAX)
		return SLK_TOO_LARGE;
	queue->bodies.len += w.len;
	return SLK_OK;
}

int
kms_audit_queue_add(struct kms_audit_queue *queue, struct slk_span body)
{
	struct slk_writer w;

	int rc = kms_audit_queue_room(queue, body.len + 1, &w);
	if (rc != SLK_OK)
		return rc;
	slk_write_bytes(&w, body.ptr, body.len);
	return kms_audit_queue_use(queue, &w);
}

bool
kms_audit_queue_waits(const struct kms_audit_queue *queue)
{
	return queue->bodies.len > 0;
}

/* A body becomes a line, and *point goes on to it. */
static int
seal(struct kms_audit_queue *q, struct slk_span body, struct fmt_audit_point *point,
	const uint64_t *durable_seq, struct slk_writer *w)
{
	static const char kind[] = "{\"kind\"";
	bool use = body.len < sizeof(kind) || memcmp(body.ptr, kind, sizeof(kind) - 1) != 0;
	size_t begin = w->len;
	char hash[FMT_AUDIT_HASH_TEXT];

	slk_write_bytes(w, body.ptr, body.len);
	fmt_audit_put_seal(w, point, use, durable_seq);
	if (w->status != SLK_OK)
		return w->status;
	int rc = seal_chain_step(
		q->chain, point->hash, slk_span(w->base + begin, w->len - begin), hash);
	if (rc != SLK_OK)
		return rc;
	fmt_audit_put_end(w, hash);
	point->seq++;
	memcpy(point->hash, hash, sizeof(hash));
	return w->status;
}

static bool
is_head(struct slk_span body)
{
	static const char head[] = "{\"kind\":\"head\"";

	return body.len > sizeof(head) && memcmp(body.ptr, head, sizeof(head) - 1) == 0;
}

static size_t
count_bodies(const struct buffer *b)
{
	size_t count = 0;

	for (const uint8_t *at = b->bytes, *end = at + b->len; at < end; count++)
		at = (const uint8_t *)memchr(at, '\n', (size_t)(end - at)) + 1;
	return count;
}

int
kms_audit_queue_seal(struct kms_audit_queue *queue, uint64_t durable_seq)
{
	struct buffer *b = &queue->bodies;
	struct fmt_audit_point point = queue->point;
	uint64_t last_seq = queue->last_seq;
	const uint64_t *durable = &durable_seq;
	size_t need = b->len + count_bodies(b) * FMT_AUDIT_SEAL_MAX;

	if (queue->lines.len + need > queue->lines.cap) {
		uint8_t *grown = realloc(queue->lines.bytes, queue->lines.len + need);
		if (grown == NULL)
			return SLK_NO_MEMORY;
		queue->lines.bytes = grown;
		queue->lines.cap = queue->lines.len + need;
	}
	struct slk_writer w = slk_writer(queue->lines.bytes + queue->lines.len, need);
	for (const uint8_t *at = b->bytes, *end = at + b->len; at < end;) {
		const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
		int rc = seal(queue, slk_span(at, (size_t)(newline - at)), &point, durable, &w);
		if (rc != SLK_OK)
			return rc;
		if (!is_head(slk_span(at, (size_t)(newline - at))))
			last_seq = point.seq;
		durable = NULL; /* the first of the write says it for all */
		at = newline + 1;
	}
	queue->lines.len += w.len;
	queue->point = point;
	queue->last_seq = last_seq;
	empty(b);
	return SLK_OK;
}

const struct fmt_audit_point *
kms_audit_queue_point(const struct kms_audit_queue *queue)
{
	return &queue->point;
}

uint64_t
kms_audit_queue_last_seq(const struct kms_audit_queue *queue)
{
	return queue->last_seq;
}

uint64_t
kms_audit_queue_end(const struct kms_audit_queue *queue)
{
	return queue->begin + queue->lines.len;
}

struct slk_span
kms_audit_queue_from(const struct kms_audit_queue *queue, uint64_t offset)
{
	size_t at = (size_t)(offset - queue->begin);

	assert(offset >= queue->begin && at <= queue->lines.len);
	return slk_span(queue->lines.bytes + at, queue->lines.len - at);
}

void
kms_audit_queue_point_at(
	const struct kms_audit_queue *queue, uint64_t offset, struct fmt_audit_point *out_point)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	size_t end = (size_t)(offset - queue->begin);

	assert(offset > queue->begin && end <= queue->lines.len);
	const uint8_t *bytes = queue->lines.bytes;
	const uint8_t *before = memrchr(bytes, '\n', end - 1);
	const uint8_t *first = before != NULL ? before + 1 : bytes;
	int rc = fmt_audit_decode(slk_span(first, (size_t)(bytes + end - 1 - first)), &line);
	assert(rc == SLK_OK); /* we wrote it */
	if (rc == SLK_OK)
		*out_point = line.self;
}

void
kms_audit_queue_forget(struct kms_audit_queue *queue, uint64_t offset)
{
	struct buffer *b = &queue->lines;
	size_t len = (size_t)(offset - queue->begin);

	assert(offset >= queue->begin && len <= b->len);
	if (len == 0)
		return;
	if (len < b->len)
		memmove(b->bytes, b->bytes + len, b->len - len);
	queue->begin = offset;
	b->len -= len;
	if (b->len == 0)
		empty(b);
}
