/* One connection to kmsd and one call over it: connect, send, wait, match the reply. Internal to
 * lib/kmsclient. */
#ifndef SLK_KMSCLIENT_SESSION_H
#define SLK_KMSCLIENT_SESSION_H

#include <stdbool.h>

#include "base/error.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/wire.h"

/* Whether a request whose answer was lost may be sent again. */
enum kmsc_repeat { KMSC_ONCE, KMSC_REPEATABLE };

/* Send request and wait for its reply, which must be of the given result case if it is a success.
 * *out_reply lies in the client's arena and receive buffer: call kmsc_call_end() when done with it,
 * and after an error, too. */
MUST_USE int kmsc_call(struct kmsc *c, Kmsp__Request *request, enum kmsc_repeat repeat,
	Kmsp__Reply__ResultCase result, const Kmsp__Reply **out_reply, struct slk_error *err);
/* Wipes all that the call left in the client's buffers; returns rc, and fills *err for
 * SLK_MALFORMED. */
int kmsc_call_end(struct kmsc *c, int rc, struct slk_error *err);

/* --- several calls at once: send all, then take the replies as they come --- */
/* When a call that begins now has to be over (CLOCK_MONOTONIC). */
uint64_t kmsc_deadline(const struct kmsc *c);
/* Send request under an id that is chosen here; ids of one client only grow. SLK_CLOSED: kmsd hung up, nothing of what was
 * sent before will be answered; the next send connects anew. */
MUST_USE int kmsc_send(
	struct kmsc *c, Kmsp__Request *request, uint64_t *out_id, struct slk_error *err);
/* The next reply of this connection, whatever call it is for; it lives until the next one. SLK_TIMEOUT, SLK_CLOSED. */
MUST_USE int kmsc_receive(
	struct kmsc *c, uint64_t deadline_ns, const Kmsp__Reply **out_reply, struct slk_error *err);
/* What kmsd answered, as status and sentence. */
MUST_USE int kmsc_judge(
	const Kmsp__Reply *reply, Kmsp__Reply__ResultCase result, struct slk_error *err);

#endif
