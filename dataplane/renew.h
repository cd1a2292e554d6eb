/* When a stream's data key is fetched, renewed and ended: a pure state machine on a clock that is passed in.
 *
 *     IDLE ──wanted──► FETCHING ──fetched──► LIVE ──due, in use──► FETCHING_NEXT ──fetched──► LIVE
 *       ▲                 │ failed             │ end                   │ failed: retried until the end
 *       │                 ▼                    ▼                       ▼
 *       └──not wanted── BACKOFF ◄──────────── (ended) ◄────────────────┘
 *
 * - An idle stream fetches nothing: the first record that finds no key makes the stream wanted.
 * - A key is due at 80 % ± 5 % (jitter) of the interval after it was asked for, and then renewed if the stream was used
 *   within the last half interval; otherwise it runs out.
 * - A key ends, hard, one interval after it was asked for. Only while kmsd answers Unavailable (or nothing) does the end
 *   move, step by step, up to the grace. Any other refusal ends that at once, and for this key for good.
 * - A failed fetch is repeated after a back-off of 100 ms, doubled up to 2 s (Unavailable) or 4 s (refused), while the
 *   key is wanted or live.
 * One request at a time: after DP_RENEW_FETCH the caller answers with dp_renew_fetched() or dp_renew_failed().
 * Thread: one.
 */
#ifndef DP_RENEW_H
#define DP_RENEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct dp_renew {
	uint64_t interval_ns;
	uint64_t grace_ns;
	bool live; /* a key is in use, up to end_ns */
	bool fetching;
	bool forced; /* fetch a new key soon though the present one is good (the CMK was changed) */
	bool refused; /* since the live key came the KMS has refused another: no grace any more, though it goes away */
	bool granted; /* a fetch succeeded since the last failure */
	int error; /* status of the last failed fetch, SLK_OK after a success */
	uint64_t asked_ns; /* of the live key */
	uint64_t due_ns;
	uint64_t end_ns;
	uint64_t retry_ns; /* no fetch before this */
	uint64_t backoff_ns; /* the next one; 0: none yet */
	uint64_t fetches;
};

enum dp_renew_step {
	DP_RENEW_NONE,
	DP_RENEW_FETCH, /* ask the KMS now */
	DP_RENEW_ENDED, /* the live key has just ended (once per key) */
};

/* interval_ns > 0. */
void dp_renew_init(struct dp_renew *r, uint64_t interval_ns, uint64_t grace_ns);

/* What to do at now_ns. wanted: records wait for a key. last_used_ns: when the stream last sealed (0: never). */
MUST_USE enum dp_renew_step dp_renew_poll(
	struct dp_renew *r, uint64_t now_ns, bool wanted, uint64_t last_used_ns);

/* The answer to DP_RENEW_FETCH: a key that was asked for at asked_ns. jitter: any 32 random bits. */
void dp_renew_fetched(struct dp_renew *r, uint64_t asked_ns, uint32_t jitter);

/* Or a failure. Returns true if the end of the live key moved: r->end_ns has the new one. */
MUST_USE bool dp_renew_failed(struct dp_renew *r, uint64_t now_ns, int status);

/* Renew the live key at the next poll: the stream's CMK was changed. */
void dp_renew_force(struct dp_renew *r);

/* The worker lost the key (limit reached, not taken): it is no longer live. */
void dp_renew_lost(struct dp_renew *r);

/* When dp_renew_poll() must be called again at the latest; UINT64_MAX: only when wanted. */
uint64_t dp_renew_wake(const struct dp_renew *r, uint64_t now_ns);

/* True for what a KMS says that is away, which grace and retries are for. */
bool dp_renew_unavailable(int status);

#endif
