/* Burst sealing: AES-GCM over items that are scattered in and contiguous out.
 *
 * An item is an iovec in and a span out. seal_burst() encrypts, seal_open_burst() verifies and decrypts; each item has a
 * status of its own and one bad item never stops the burst. Payloads are sealed straight from where they lie (packet
 * buffers) into where they are needed (a lane's buffer): the encryption is the copy. GCM in ipsec-mb is wide within one
 * buffer, not multi-buffer: the gain comes from wide code, no per-call overhead and large blocks.
 *
 * An engine is chosen once, by CPU probe and known-answer self-test, or by name. A seal_thread holds what one thread
 * needs (one ipsec-mb manager); a seal_key holds an expanded key schedule in secret memory and may be shared by threads
 * that use the same engine. Nonces are the caller's: see seal/epoch.h for the only source that the appliance uses.
 * Standard: NIST SP 800-38D; 96-bit IVs and 128-bit tags only.
 */
#ifndef SLK_SEAL_SEAL_H
#define SLK_SEAL_SEAL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/error.h"
#include "base/status.h"

#define SEAL_NONCE_BYTES 12u
#define SEAL_TAG_BYTES 16u
#define SEAL_KEY_BYTES 32u /* the appliance's own keys; engines take 16, 24 and 32 */

struct seal_thread;
struct seal_key;

/* One cache line; arrays that are aligned to 64 bytes are looked over fastest. */
struct seal_item {
	/* Plaintext (ciphertext when opening), in order; entries may be empty; at most 2^31 - 1 bytes in all. */
	const struct iovec *in;
	uint32_t in_count;
	/* Out: SLK_OK, SLK_BAD_TAG, SLK_INVALID (nothing was written), SLK_INTERNAL (OpenSSL failed; out is zeroed). */
	int status;
	/* As many bytes as in holds. May be in[0].iov_base itself when in_count is 1 (in place) and must not overlap with
	 * the input in any other way: that is not checked. */
	uint8_t *out;
	const uint8_t *aad;
	uint32_t aad_len; /* 1..2^31 - 1; never empty, as everywhere in this project */
	uint8_t nonce[SEAL_NONCE_BYTES];
	uint8_t *tag; /* 16 bytes; written by seal_burst(), read by seal_open_burst() */
	void *user; /* the caller's; never looked at */
};

/* Engine names, best first: "ipsec-mb-avx512", "ipsec-mb-avx2", "ipsec-mb-sse", "openssl". Index 0..; NULL at the end.
 * An engine may be unusable on this CPU: seal_thread_new() says so. */
const char *seal_engine_name(unsigned index);

/* Make the state of one thread. engine: a name from seal_engine_name(), "ipsec-mb" (the widest the CPU has), or "auto"
 * (NULL): ipsec-mb if it is there and passes its self-test, otherwise openssl. The known-answer self-test runs here.
 * SLK_NOT_FOUND (no such engine), SLK_UNSUPPORTED (CPU or build lacks it), SLK_SELF_TEST, SLK_NO_MEMORY.
 * Thread: the one that will use it (or any, before it starts). */
MUST_USE int seal_thread_new(
	const char *engine, struct seal_thread **out_thread, struct slk_error *err);
void seal_thread_free(struct seal_thread *thread); /* NULL allowed */
const char *seal_thread_engine(const struct seal_thread *thread); /* the name that was chosen */

/* Expand a key once. key_len: 16, 24 or 32. The schedule lives in secret memory; the caller still wipes key.
 * SLK_INVALID, SLK_NO_MEMORY. */
MUST_USE int seal_key_new(
	struct seal_thread *thread, const uint8_t *key, size_t key_len, struct seal_key **out_key);
void seal_key_free(struct seal_key *key); /* wipes; NULL allowed; no thread may be using it */

/* Seal count items under one key. Returns the number of items whose status is SLK_OK; items[i].status says the rest.
 * No allocation, system call, lock or log line. Thread: thread's own. */
uint32_t seal_burst(struct seal_thread *thread, const struct seal_key *key, struct seal_item *items,
	uint32_t count);

/* Open count items. On SLK_BAD_TAG the item's out bytes are zeroed before the call returns, and the tag was compared in
 * constant time. Otherwise as seal_burst(). */
uint32_t seal_open_burst(struct seal_thread *thread, const struct seal_key *key,
	struct seal_item *items, uint32_t count);

#endif
