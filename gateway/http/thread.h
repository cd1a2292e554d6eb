/* One thread of a server: its loop, connections, counters, and what all threads share. */
#ifndef GATEWAY_HTTP_THREAD_H
#define GATEWAY_HTTP_THREAD_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "http/addresses.h"
#include "http/head.h"
#include "http/http.h"
#include "http/tls.h"

#define HTTP_LISTENERS_MAX 16u
#define HTTP_THREADS_MAX 64u
#define HTTP_READ_BYTES (256u * 1024u)

struct http_conn;
struct http_handshakes;
struct http_server;
TAILQ_HEAD(http_conns, http_conn);

/* A listening socket of one thread. */
struct http_port {
	struct http_thread *thread;
	const struct http_listener *listener; /* the server's copy */
	unsigned index;
	struct http_watch watch; /* fd -1: not this thread's */
	bool is_shared; /* several threads accept from one descriptor */
	void *handler_thread; /* what its handler's start() gave */
	bool handler_started; /* by this port; others may have taken it over */
};

struct http_thread {
	struct http_server *server;
	unsigned index;
	pthread_t id;
	bool is_running;
	struct http_loop *loop;
	struct http_pool *pool;
	struct http_counters counters; /* written by COUNT() alone */
	struct http_conns conns, dead, to_serve;
	struct http_port ports[HTTP_LISTENERS_MAX];
	uint8_t *read_bytes; /* HTTP_READ_BYTES */
	int spare_fd; /* given up for a moment to refuse a connection when descriptors have run out */
	bool is_draining;
	time_t date_s; /* of date */
	char date[40]; /* "Tue, 24 Nov 2026 18:00:00 GMT" */
	int start_status;
	struct slk_error start_error;
};

struct http_server {
	struct http_listener listeners[HTTP_LISTENERS_MAX];
	size_t listeners_count;
	struct http_limits limits;
	struct http_times times;
	struct http_head_limits head_limits;
	void (*log)(void *arg, const struct http_loop *loop, const struct http_exchange *x,
		const struct http_result *result);
	void *log_arg;
	const struct slk_clock *clock;
	char thread_name[16];
	struct http_tls *tls; /* NULL: no listener needs it */
	struct http_handshakes *handshakes; /* NULL: within the loops' turns */
	struct http_addresses *addresses;
	struct http_thread *threads;
	unsigned threads_count;
	uint16_t ports[HTTP_LISTENERS_MAX];
	atomic_uint connections; /* but those of reserved listeners */
	atomic_ullong connection_number;
	atomic_bool drains, stops;
	pthread_mutex_t lock; /* of started_count and the condition */
	pthread_cond_t changed;
	unsigned started_count, failed_count;
};

/* One writer, any reader. */
#define HTTP_COUNT(thread, name) HTTP_COUNT_ADD(thread, name, 1u)
#define HTTP_COUNT_ADD(thread, name, n) \
	__atomic_store_n(&(thread)->counters.name, (thread)->counters.name + (n), __ATOMIC_RELAXED)

void http_count_refused(struct http_thread *thread, enum http_refusal refusal);
/* The present time for "date". */
const char *http_thread_date(struct http_thread *thread);

/* Accept what waits on a port. */
void http_port_ready(struct http_watch *watch, uint32_t events);

#endif
