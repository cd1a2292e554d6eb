/* One connection: its bytes, its timer and the version of HTTP that it speaks.
 *
 *     HANDSHAKE ─► DETECT ─► OPEN ─► LINGER ─► CLOSED
 *         │           └─────────┴───────┴─────►          conn_set_state() alone moves it
 *         └─► (ALPN said which) OPEN
 *
 * HANDSHAKE: libssl's. DETECT: the first bytes tell HTTP/2 by prior knowledge from HTTP/1.1. OPEN: the protocol has it.
 * LINGER: the last answer was sent, what still comes is thrown away, so that the answer is not lost to a reset. CLOSED: it is
 * freed at the end of the turn. Thread: its own.
 */
#ifndef GATEWAY_HTTP_CONN_H
#define GATEWAY_HTTP_CONN_H

#include <sys/queue.h>

#include "http/exchange.h"
#include "http/io.h"
#include "http/loop.h"
#include "http/thread.h"

enum http_conn_state {
	HTTP_CONN_HANDSHAKE,
	HTTP_CONN_DETECT,
	HTTP_CONN_OPEN,
	HTTP_CONN_LINGER,
	HTTP_CONN_CLOSED,
};

/* What a version of HTTP does with a connection. All from the loop; none of them frees it. */
struct http_protocol {
	/* Its state is made; bytes follow. SLK_NO_MEMORY, SLK_INTERNAL. */
	int (*open)(struct http_conn *conn);
	/* Bytes came. *out_used: those that it took; the others are offered again when wants_input() says so. Once it has
	 * called http_conn_end() or http_conn_close() it takes them all. */
	void (*input)(struct http_conn *conn, const uint8_t *bytes, size_t len, size_t *out_used);
	bool (*wants_input)(const struct http_conn *conn);
	/* Put into conn->out what there is to write; called before it is written, and after all of it was. */
	void (*output)(struct http_conn *conn);
	/* Something was written, or everything has been: ends of answers, room for more. */
	void (*written)(struct http_conn *conn);
	/* When the connection has to do something at the latest, and why; UINT64_MAX: whenever. */
	uint64_t (*deadline)(const struct http_conn *conn, enum http_refusal *out_reason);
	/* It was reached. */
	void (*expired)(struct http_conn *conn, enum http_refusal reason);
	/* End in order, after the present requests. */
	void (*drain)(struct http_conn *conn);
	/* The connection is gone: end its exchanges so. */
	void (*close)(struct http_conn *conn, enum http_outcome outcome);
	/* Free its state; at the end of a turn. */
	void (*free)(struct http_conn *conn);
	/* Of exchanges: http_answer_begin(), _piece() with _end(), _abort(). */
	void (*begin)(
		struct http_exchange *x, const struct http_field *fields, size_t fields_count);
	void (*piece)(struct http_exchange *x, struct http_buf *piece);
	void (*end)(struct http_exchange *x);
	void (*abort)(struct http_exchange *x);
	size_t (*queued)(const struct http_exchange *x);
};

extern const struct http_protocol http_h1_protocol, http_h2_protocol;

struct http_conn {
	TAILQ_ENTRY(http_conn) entry; /* of the thread's, or of those to be freed */
	TAILQ_ENTRY(http_conn) service; /* while is_queued */
	bool is_queued;
	enum http_conn_state state;
	struct http_thread *thread;
	const struct http_port *port;
	struct http_io io;
	/* handshakes.h */
	bool is_away; /* io is another thread's */
	atomic_bool is_given_up; /* closed meanwhile */
	int shake_status;
	struct http_conn *shake_next;
	struct http_watch watch;
	uint32_t events; /* as watched */
	struct http_timer
		timer; /* may be earlier than the deadline: then it is set again when it fires */
	struct http_client client;
	struct http_address address; /* as counted */
	bool is_counted; /* in limits.connections_count */
	bool is_ending; /* after what is queued is written: LINGER */
	bool is_draining;
	bool input_left; /* more bytes may be at hand than one turn took */
	uint64_t opened_ns;
	uint64_t written_ns; /* since when nothing was taken of what waits */
	uint64_t linger_ns; /* its end */
	struct http_buf *stash; /* bytes that the protocol did not take yet; NULL: none */
	size_t stash_used;
	struct http_out out;
	const struct http_protocol *protocol; /* from OPEN on */
	void *own; /* the protocol's state */
};

/* Serve fd, which is taken over, as a connection of port. */
void http_conn_accept(struct http_thread *thread, const struct http_port *port, int fd,
	const struct http_client *client, const struct http_address *address, bool is_counted);

/* It is back from its handshake (handshakes.h), which went on so: as http_io_handshake(). */
void http_conn_shaken(struct http_conn *conn, int status);
/* Look after it at the end of this turn: something is to be written, or to be read again. */
void http_conn_touch(struct http_conn *conn);
/* No more requests: close it once what is queued was written. */
void http_conn_end(struct http_conn *conn);
/* Close it now; the exchanges that are left end with outcome. */
void http_conn_close(struct http_conn *conn, enum http_outcome outcome);
/* Count the refusal, answer it as HTTP/1.1 if it has a status, and end the connection. */
void http_conn_refuse(struct http_conn *conn, enum http_refusal refusal);
void http_conn_drain(struct http_conn *conn);
/* At the end of a turn, of those that http_conn_touch() named. */
void http_conn_service(struct http_conn *conn);
void http_conn_free(struct http_conn *conn); /* CLOSED; at the end of a turn */

#endif
