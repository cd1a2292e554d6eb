/* The seam between the public burst calls and the code that runs AES-GCM. Internal to lib/seal and
 * its tests.
 *
 * An engine is one const table of functions, chosen once in seal_thread_new(). It gets whole
 * bursts, so that one which is asynchronous inside (rte_cryptodev: enqueue all, dequeue in any
 * order until all are back) fits the same table as one that works item by item. An engine sets
 * every item's status and returns how many are SLK_OK.
 */
#ifndef SLK_SEAL_ENGINE_H
#define SLK_SEAL_ENGINE_H

#include <stdbool.h>
#include <string.h>

#include "seal/seal.h"

#define SEAL_LEN_MAX INT32_MAX /* bytes of one item's input or AAD */

enum seal_dir { SEAL_DIR_SEAL, SEAL_DIR_OPEN };

struct seal_engine {
	const char *name;
	int path; /* the engine's own: which of its code paths to take */
	/* State of one thread. SLK_UNSUPPORTED if this CPU cannot run it (err says what is
	 * missing), SLK_SELF_TEST, SLK_NO_MEMORY, SLK_INTERNAL. */
	int (*state_new)(const struct seal_engine *engine, void **out_state, struct slk_error *err);
	void (*state_free)(void *state);
	/* key_len is 16, 24 or 32. SLK_NO_MEMORY, SLK_INTERNAL. */
	int (*key_new)(void *state, const uint8_t *key, size_t key_len, struct seal_key **out_key);
	void (*key_free)(struct seal_key *key);
	/* key was made by the same engine. Do not allocate, lock or log. */
	uint32_t (*seal)(
		void *state, const struct seal_key *key, struct seal_item *items, uint32_t count);
	uint32_t (*open)(
		void *state, const struct seal_key *key, struct seal_item *items, uint32_t count);
	/* One message in pieces (seal/stream.h); pieces are not empty. SLK_NO_MEMORY, SLK_INTERNAL. */
	int (*stream_new)(void *state, const struct seal_key *key, enum seal_dir dir,
		const uint8_t nonce[SEAL_NONCE_BYTES], const uint8_t *aad, uint32_t aad_len,
		void **out_stream);
	void (*stream_free)(void *stream);
	int (*stream_update)(void *stream, const uint8_t *in, uint8_t *out, size_t len);
	/* Writes the tag, or compares it: SLK_BAD_TAG. */
	int (*stream_end)(void *stream, uint8_t tag[SEAL_TAG_BYTES]);
};

/* State of one thread, for stream.c. */
struct seal_thread {
	const struct seal_engine *engine;
	void *state;
};

/* The head of every engine's key. */
struct seal_key {
	const struct seal_engine *engine;
};

extern const struct seal_engine seal_engine_openssl;

#ifdef SLK_HAVE_IPSECMB
/* All code paths of ipsec-mb's GCM: the three public engines, best first, and then those which the
 * library chooses by itself on lesser CPUs (AVX-512 without VAES; AVX without AVX2, gone in 2.0).
 * NULL at the end. */
const struct seal_engine *seal_engine_ipsecmb_path(unsigned index);
#endif

/* Every code path of every engine in this build, so that tests reach them all on one CPU. NULL at
 * the end. */
const struct seal_engine *seal_engine_path(unsigned index);

/* seal_thread_new() for one engine, self-test included. */
MUST_USE int seal_thread_new_engine(
	const struct seal_engine *engine, struct seal_thread **out_thread, struct slk_error *err);

/* Known answers for all key lengths, sealed, opened, scattered and tampered with. SLK_SELF_TEST,
 * SLK_NO_MEMORY. */
MUST_USE int seal_self_test(struct seal_thread *thread);

/* Index of a key length for per-length tables. */
static inline unsigned
seal_key_len_index(size_t key_len)
{
	return key_len == 16 ? 0 : key_len == 24 ? 1 : 2;
}

/* Check any item and sum its input. false makes the item SLK_INVALID. */
bool seal_item_check(const struct seal_item *item, size_t *out_len);

/* Constant-time comparison of two tags: both words are always looked at. */
static inline bool
seal_tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2];
	uint64_t y[2];

	memcpy(x, a, SEAL_TAG_BYTES);
	memcpy(y, b, SEAL_TAG_BYTES);
	uint64_t diff = (x[0] ^ y[0]) | (x[1] ^ y[1]);
	__asm__("" : "+r"(diff)); /* keeps the compiler from leaving early on the first word */
	return diff == 0;
}

#endif
