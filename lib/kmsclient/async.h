/* Calls to kmsd from an event loop: many under way on one connection, none of which blocks.
 *
 * A request is a message of kms.proto (wire.h), its answer comes by a call back, in any order. Up to KMSC_ASYNC_IN_FLIGHT are
 * with kmsd; others wait in order, up to KMSC_ASYNC_WAITING. The owner watches the descriptor and keeps the time:
 *
 *     watch(fd, write)      the descriptor to watch for reading, and for writing too or not; -1: none any more
 *     kmsc_async_ready()    when it is ready
 *     kmsc_async_tick()     at or after kmsc_async_next_ns()
 *
 * A connection that ends fails what was sent over it (SLK_UNAVAILABLE: it may have been carried out or not; nothing is sent
 * twice), and what waits goes out over the next one. What an answer holds is wiped when its call back returns. A request that
 * waits lies in the heap and is wiped when it is sent.
 *
 * Thread: the loop's. A call back may send, cancel, but not free the client.
 */
#ifndef SLK_KMSCLIENT_ASYNC_H
#define SLK_KMSCLIENT_ASYNC_H

#include "base/clock.h"
#include "kmsclient/caller.h"
#include "kmsclient/wire.h"

#define KMSC_ASYNC_IN_FLIGHT 32u
#define KMSC_ASYNC_WAITING 1024u

struct kmsc_async;

/* status: SLK_OK, and reply is what kmsd says (which may be a refusal: reply->status); else reply is NULL and sentence says
 * what is wrong: SLK_UNAVAILABLE, SLK_TIMEOUT, SLK_INTERNAL. All borrowed. */
typedef void (*kmsc_async_done)(
	void *arg, int status, const Kmsp__Reply *reply, const char *sentence);

struct kmsc_async_config {
	const char *path; /* as kmsc_new() */
	unsigned timeout_ms; /* per request; 0: 5,000 */
	const struct slk_clock *clock; /* NULL: the system's */
	void (*watch)(void *arg, int fd, bool write);
	void *watch_arg;
};

MUST_USE int kmsc_async_new(const struct kmsc_async_config *config, struct kmsc_async **out_client);
/* No call back comes any more. NULL allowed. */
void kmsc_async_free(struct kmsc_async *client);

/* Send for caller (NULL: for the process itself); message and caller are not needed afterwards. done is called once, never
 * from here; *out_id, never 0, is for kmsc_async_cancel(). SLK_UNAVAILABLE (nobody listens), SLK_LIMIT (too many wait),
 * SLK_TOO_LARGE, SLK_NO_MEMORY, with a sentence in *err (NULL allowed). */
MUST_USE int kmsc_async_send(struct kmsc_async *client, Kmsp__Request *request,
	const struct kmsc_caller *caller, kmsc_async_done done, void *arg, uint64_t *out_id,
	struct slk_error *err);
/* The same with a deadline of its own: for requests that kmsd answers late on purpose. */
MUST_USE int kmsc_async_send_within(struct kmsc_async *client, Kmsp__Request *request,
	const struct kmsc_caller *caller, unsigned timeout_ms, kmsc_async_done done, void *arg,
	uint64_t *out_id, struct slk_error *err);
/* done is not called any more. Nothing if it was already. kmsd may carry it out all the same. */
void kmsc_async_cancel(struct kmsc_async *client, uint64_t id);

void kmsc_async_ready(struct kmsc_async *client);
/* When kmsc_async_tick() has something to do, monotonic; UINT64_MAX: nothing. */
uint64_t kmsc_async_next_ns(const struct kmsc_async *client);
void kmsc_async_tick(struct kmsc_async *client);

unsigned kmsc_async_pending(const struct kmsc_async *client); /* sent or waiting */
uint64_t kmsc_async_connections(const struct kmsc_async *client); /* made so far */

#endif
