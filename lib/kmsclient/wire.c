#include "kmsclient/wire.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define ARENA_BYTES \
	65536u /* what a slk_secret may have; a full page of streams takes two thirds of it */

/* Gives memory from the front, takes none back before the reset: a message lives for one turn. */
struct kmsp_arena {
	struct slk_secret *memory;
	size_t used;
	ProtobufCAllocator allocator;
};

static void *
arena_alloc(void *data, size_t size)
{
	struct kmsp_arena *a = data;
	size_t at =
		(a->used + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

	if (at > ARENA_BYTES || size > ARENA_BYTES - at)
		return NULL;
	a->used = at + size;
	return slk_secret_bytes(a->memory) + at;
}

static void
arena_release(void *data, void *ptr)
{
	(void)data;
	(void)ptr; /* wiped by the reset, all at once */
}

int
kmsp_arena_new(struct kmsp_arena **out_arena)
{
	struct kmsp_arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return SLK_NO_MEMORY;
	int rc = slk_secret_new(ARENA_BYTES, &a->memory);
	if (rc != SLK_OK) {
		free(a);
		return rc;
	}
	a->allocator = (ProtobufCAllocator){arena_alloc, arena_release, a};
	*out_arena = a;
	return SLK_OK;
}

void
kmsp_arena_free(struct kmsp_arena *arena)
{
	if (arena == NULL)
		return;
	slk_secret_free(arena->memory);
	free(arena);
}

void
kmsp_arena_reset(struct kmsp_arena *arena)
{
	slk_wipe(slk_secret_bytes(arena->memory), arena->used);
	arena->used = 0;
}

/* A message whose encoding has another size was not written as we write it: a field came twice (two
 * readers could disagree which one counts), a text holds a NUL (C would see less than was sent). */
static int
unpack(struct kmsp_arena *arena, const ProtobufCMessageDescriptor *type, struct slk_span frame,
	size_t max, ProtobufCMessage **out_message)
{
	kmsp_arena_reset(arena);
	if (frame.len == 0)
		return SLK_TRUNCATED;
	if (frame.len > max)
		return SLK_TOO_LARGE;
	ProtobufCMessage *m =
		protobuf_c_message_unpack(type, &arena->allocator, frame.len, frame.ptr);
	if (m == NULL || protobuf_c_message_get_packed_size(m) != frame.len)
		return SLK_MALFORMED;
	*out_message = m;
	return SLK_OK;
}

int
kmsp_request_unpack(
	struct kmsp_arena *arena, struct slk_span frame, const Kmsp__Request **out_request)
{
	ProtobufCMessage *m = NULL;

	int rc = unpack(arena, &kmsp__request__descriptor, frame, KMSP_REQUEST_MAX, &m);
	if (rc != SLK_OK)
		return rc;
	const Kmsp__Request *request = (const Kmsp__Request *)m;
	if (request->version != KMSP_VERSION)
		return SLK_BAD_VERSION;
	if (request->call_case == KMSP__REQUEST__CALL__NOT_SET)
		return SLK_MALFORMED;
	*out_request = request;
	return SLK_OK;
}

int
kmsp_reply_unpack(struct kmsp_arena *arena, struct slk_span frame, const Kmsp__Reply **out_reply)
{
	ProtobufCMessage *m = NULL;

	int rc = unpack(arena, &kmsp__reply__descriptor, frame, KMSP_REPLY_MAX, &m);
	if (rc != SLK_OK)
		return rc;
	const Kmsp__Reply *reply = (const Kmsp__Reply *)m;
	if (reply->version != KMSP_VERSION)
		return SLK_BAD_VERSION;
	*out_reply = reply;
	return SLK_OK;
}

static int
pack(const ProtobufCMessage *message, size_t max, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t len = protobuf_c_message_get_packed_size(message);

	if (len > max || len > cap)
		return SLK_TOO_LARGE;
	*out_len = protobuf_c_message_pack(message, out);
	return SLK_OK;
}

int
kmsp_request_pack(Kmsp__Request *request, uint8_t *out, size_t cap, size_t *out_len)
{
	request->version = KMSP_VERSION;
	return pack(&request->base, KMSP_REQUEST_MAX, out, cap, out_len);
}

int
kmsp_reply_pack(Kmsp__Reply *reply, uint8_t *out, size_t cap, size_t *out_len)
{
	reply->version = KMSP_VERSION;
	return pack(&reply->base, KMSP_REPLY_MAX, out, cap, out_len);
}

int
kmsp_context_build(Kmsp__Pair *const *pairs, size_t count, struct fmt_context **out_context)
{
	struct fmt_context *c = NULL;
	int rc = fmt_context_new(&c);

	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = fmt_context_add(c, slk_span(pairs[i]->key.data, pairs[i]->key.len),
			slk_span(pairs[i]->value.data, pairs[i]->value.len));
	if (rc != SLK_OK) {
		fmt_context_free(c);
		return rc;
	}
	*out_context = c;
	return SLK_OK;
}
