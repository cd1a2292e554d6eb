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

#endif
