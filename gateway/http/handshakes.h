/* Handshakes by threads of their own, where the private key is not at hand: an HSM may take long for a signature, and all other
 * connections of the loop would wait for it.
 *
 *     shake_hands() ─► give ─► a thread: http_io_handshake() ─► the loop's next turn ─► http_conn_shaken()
 *
 * While a connection is away its io is the thread's alone: the loop does not watch, read, write or close it. One that is closed
 * meanwhile is freed when it is back; if its turn had not come, nothing is done for it any more.
 */
#ifndef GATEWAY_HTTP_HANDSHAKES_H
#define GATEWAY_HTTP_HANDSHAKES_H

#include "base/error.h"
#include "http/conn.h"

struct http_handshakes;

/* Starts the threads, with signals for nobody. SLK_NO_MEMORY, SLK_SYSTEM ... with a sentence. */
MUST_USE int http_handshakes_new(struct http_handshakes **out_handshakes, struct slk_error *err);
/* Nothing is away any more; NULL allowed. */
void http_handshakes_free(struct http_handshakes *handshakes);

/* Let the loop hear of connections that are back. Before it turns. */
void http_handshakes_join(struct http_handshakes *handshakes, struct http_thread *thread);
/* One step of conn's handshake. Thread: its loop's. */
void http_handshakes_give(struct http_handshakes *handshakes, struct http_conn *conn);
/* Take back all that are away. Thread: the loop's, which turns no more; its connections are closed. */
void http_handshakes_leave(struct http_handshakes *handshakes, struct http_thread *thread);

#endif
