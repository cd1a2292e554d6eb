#include "kmsclient/wire.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define ARENA_BYTES 65536u /* a full page of streams takes two thirds of it */
#define ARENA_LARGE_BYTES 262144u /* for one frame that is larger than most may be */

/* Gives memory from the front, takes none back before the reset: a message lives for one turn. */
struct kmsp_arena {
	struct slk_secret *memory;
	struct slk_secret *large; /* in its place until the reset; NULL: none */
	size_t used;
	ProtobufCAllocator allocator;
};

static void *
arena_alloc(void *data, size_t size)
{
	struct kmsp_arena *a = data;
	struct slk_secret *memory = a->large != NULL ? a->large : a->memory;
	size_t cap = slk_secret_len(memory);
	size_t at =
		(a->used + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);

	if (at > cap || size > cap - at)
		return NULL;
	a->used = at + size;
	return slk_secret_bytes(memory) + at;
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
	slk_secret_free(arena->large);
	slk_secret_free(arena->memory);
	free(arena);
}

void
kmsp_arena_reset(struct kmsp_arena *arena)
{
	if (arena->large == NULL)
		slk_wipe(slk_secret_bytes(arena->memory), arena->used);
	slk_secret_free(arena->large); /* wipes */
	arena->large = NULL;
	arena->used = 0;
}

/* A message whose encoding has another size was not written as we write it: a field came twice (two
 * readers could disagree which one counts), a text holds a NUL (C would see less than was sent). */
static int
unpack(struct kmsp_arena *arena, const ProtobufCMessageDescriptor *type, struct slk_span frame,
	ProtobufCMessage **out_message)
{
	kmsp_arena_reset(arena);
	if (frame.len == 0)
		return SLK_TRUNCATED;
	if (frame.len > KMSP_FRAME_MAX)
		return SLK_TOO_LARGE;
	if (frame.len > KMSP_REPLY_MAX) {
		int rc = slk_secret_new(ARENA_LARGE_BYTES, &arena->large);
		if (rc != SLK_OK)
			return rc;
	}
	ProtobufCMessage *m =
		protobuf_c_message_unpack(type, &arena->allocator, frame.len, frame.ptr);
	if (m == NULL || protobuf_c_message_get_packed_size(m) != frame.len)
		return SLK_MALFORMED;
	*out_message = m;
	return SLK_OK;
}

/* A policy has up to 131,072 characters, a description 8,192, 50 tags 19,200, and their names 6,400; the ends of 10,000
 * shards take 150,000 bytes as a rule. A description of a delivery stream has 65,536. */
static size_t
call_max(const Kmsp__Request *request)
{
	switch (request->call_case) {
	case KMSP__REQUEST__CALL_CREATE_KEY:
	case KMSP__REQUEST__CALL_UPDATE_KEY_DESCRIPTION:
	case KMSP__REQUEST__CALL_TAG_RESOURCE:
	case KMSP__REQUEST__CALL_UNTAG_RESOURCE:
	case KMSP__REQUEST__CALL_CREATE_USER:
	case KMSP__REQUEST__CALL_TAG_IDENTITY:
	case KMSP__REQUEST__CALL_UNTAG_IDENTITY:
	case KMSP__REQUEST__CALL_CREATE_ROLE:
	case KMSP__REQUEST__CALL_UPDATE_TRUST_POLICY:
	case KMSP__REQUEST__CALL_PUT_INLINE_POLICY:
	case KMSP__REQUEST__CALL_CREATE_POLICY:
	case KMSP__REQUEST__CALL_UPDATE_POLICY:
	case KMSP__REQUEST__CALL_PUT_KEY_POLICY:
	case KMSP__REQUEST__CALL_PUT_RESOURCE_POLICY:
	case KMSP__REQUEST__CALL_CREATE_STREAM:
	case KMSP__REQUEST__CALL_ADD_TAGS_TO_STREAM:
	case KMSP__REQUEST__CALL_REMOVE_TAGS_FROM_STREAM:
	case KMSP__REQUEST__CALL_STREAM_CHANGED:
	case KMSP__REQUEST__CALL_CREATE_DELIVERY_STREAM:
	case KMSP__REQUEST__CALL_UPDATE_DESTINATION:
	case KMSP__REQUEST__CALL_TAG_DELIVERY_STREAM:
	case KMSP__REQUEST__CALL_UNTAG_DELIVERY_STREAM:
		return KMSP_FRAME_MAX;
	default:
		return KMSP_REQUEST_MAX;
	}
}

static size_t
request_max(const Kmsp__Request *request)
{
	size_t max = call_max(request);

	return request->caller != NULL && max < KMSP_FRAME_MAX ? max + KMSP_CALLER_MAX : max;
}

static size_t
reply_max(const Kmsp__Reply *reply)
{
	return reply->result_case == KMSP__REPLY__RESULT_DOCUMENT ||
			reply->result_case == KMSP__REPLY__RESULT_IDENTITY ||
			reply->result_case == KMSP__REPLY__RESULT_PROPOSAL ||
			reply->result_case == KMSP__REPLY__RESULT_EXPLANATION ||
			reply->result_case == KMSP__REPLY__RESULT_DELIVERY_STREAM ||
			reply->result_case == KMSP__REPLY__RESULT_DELIVERY_STREAMS
		? KMSP_FRAME_MAX
		: KMSP_REPLY_MAX;
}

int
kmsp_request_unpack(
	struct kmsp_arena *arena, struct slk_span frame, const Kmsp__Request **out_request)
{
	ProtobufCMessage *m = NULL;

	int rc = unpack(arena, &kmsp__request__descriptor, frame, &m);
	if (rc != SLK_OK)
		return rc;
	const Kmsp__Request *request = (const Kmsp__Request *)m;
	if (frame.len > request_max(request))
		return SLK_TOO_LARGE;
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

	int rc = unpack(arena, &kmsp__reply__descriptor, frame, &m);
	if (rc != SLK_OK)
		return rc;
	const Kmsp__Reply *reply = (const Kmsp__Reply *)m;
	if (frame.len > reply_max(reply))
		return SLK_TOO_LARGE;
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
	return pack(&request->base, request_max(request), out, cap, out_len);
}

int
kmsp_reply_pack(Kmsp__Reply *reply, uint8_t *out, size_t cap, size_t *out_len)
{
	reply->version = KMSP_VERSION;
	return pack(&reply->base, reply_max(reply), out, cap, out_len);
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
