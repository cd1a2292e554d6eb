/* Building requests: what the sources of the client share. Internal to lib/kmsclient. Messages borrow what they are made
 * of until kmsc_call() has packed them. */
#ifndef SLK_KMSCLIENT_REQUEST_H
#define SLK_KMSCLIENT_REQUEST_H

#include "kmsclient/life.h"
#include "kmsclient/session.h"

/* A request named name for one call: KMSC_REQUEST(request, ENCRYPT, encrypt) = &call; */
#define KMSC_REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

/* protobuf-c messages hold pointers to what may be changed also where they are only read. NULL is "". */
static inline char *
kmsc_request_text(const char *in)
{
	return (char *)(uintptr_t)(in != NULL ? in : "");
}

static inline ProtobufCBinaryData
kmsc_request_bytes(struct slk_span in)
{
	return (ProtobufCBinaryData){in.len, (uint8_t *)(uintptr_t)in.ptr};
}

/* The pairs of a context as messages that borrow from it. */
struct kmsc_pairs {
	Kmsp__Pair storage[FMT_CONTEXT_PAIRS_MAX];
	Kmsp__Pair *list[FMT_CONTEXT_PAIRS_MAX];
	size_t count;
};

/* context: NULL for none. */
void kmsc_request_pairs(const struct fmt_context *context, struct kmsc_pairs *out);

/* Tags as messages that borrow from them. SLK_LIMIT. */
struct kmsc_tag_list {
	Kmsp__Tag storage[KMSC_TAGS_MAX];
	Kmsp__Tag *list[KMSC_TAGS_MAX];
};
MUST_USE int kmsc_request_tags(const struct kmsc_tag *tags, size_t count, struct kmsc_tag_list *out,
	struct slk_error *err);

/* A call that is answered by nothing. */
MUST_USE int kmsc_call_set(
	struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat, struct slk_error *err);

/* The limit that a request for a page of cap entries names. */
uint32_t kmsc_page(size_t cap);
/* SLK_INVALID: cap was 0. */
int kmsc_no_room(struct slk_error *err);

#endif
