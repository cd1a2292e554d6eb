/* Frames of kmsd's local RPC, for both ends: kms.proto packed and unpacked with bounds.
 *
 * A frame is bounded before it is looked at. It is unpacked into an arena: one piece of locked
 * memory, wiped when it is reset (of a fixed size for most frames, and of another for those above
 * KMSP_REPLY_MAX), so a hostile frame cannot make us allocate more and a plaintext key never lies
 * in the heap. Unpacked messages point into the arena and die with its
 * reset. Thread: an arena belongs to one thread.
 */
#ifndef SLK_KMSCLIENT_WIRE_H
#define SLK_KMSCLIENT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "format/context.h"
#include "kms.pb-c.h"

#define KMSP_VERSION 1u
#define KMSP_REQUEST_MAX 16384u
#define KMSP_CALLER_MAX 8192u /* more for one that names a caller, by a token of up to 7,000 */
#define KMSP_REPLY_MAX 49152u
/* A request of an administrator that brings a policy, a description or tags, and a reply with one. */
#define KMSP_FRAME_MAX 163840u
#define KMSP_PAGE_MAX \
	50u /* entries of a list in one reply: these fit KMSP_REPLY_MAX and the arena */
#define KMSP_PLAINTEXT_MAX 4096u

/* Reply.indicator: two different things. The second is the operator's word (hsm.certificate). */
enum { KMSP_INDICATOR_APPROVED = 1, KMSP_INDICATOR_VALIDATED = 2 };

struct kmsp_arena;

/* SLK_NO_MEMORY, also if the memory cannot be locked. */
MUST_USE int kmsp_arena_new(struct kmsp_arena **out_arena);
void kmsp_arena_free(struct kmsp_arena *arena); /* NULL allowed */
/* Wipe what was used; everything unpacked into the arena is gone. */
void kmsp_arena_reset(struct kmsp_arena *arena);

/* Unpack a frame into the arena (which is reset first). SLK_TRUNCATED if empty, SLK_TOO_LARGE,
 * SLK_BAD_VERSION, SLK_MALFORMED: not a message of kms.proto, without a call, not the canonical
 * size, or too complex for the arena. SLK_NO_MEMORY only for frames above KMSP_REPLY_MAX. */
MUST_USE int kmsp_request_unpack(
	struct kmsp_arena *arena, struct slk_span frame, const Kmsp__Request **out_request);
MUST_USE int kmsp_reply_unpack(
	struct kmsp_arena *arena, struct slk_span frame, const Kmsp__Reply **out_reply);

/* Pack into out; the version is set here. SLK_TOO_LARGE if it does not fit cap or the limit of a
 * frame. */
MUST_USE int kmsp_request_pack(Kmsp__Request *request, uint8_t *out, size_t cap, size_t *out_len);
MUST_USE int kmsp_reply_pack(Kmsp__Reply *reply, uint8_t *out, size_t cap, size_t *out_len);

/* Build a context from the pairs of a message, in whatever order they came. SLK_EXISTS for a
 * duplicate key, SLK_MALFORMED, SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int kmsp_context_build(
	Kmsp__Pair *const *pairs, size_t count, struct fmt_context **out_context);

#endif
