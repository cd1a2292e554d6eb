#include "http/conn.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/handshakes.h"
#include "http/loop_run.h"

#define READS_PER_TURN 4
#define WRITES_PER_TURN 16
#define TLS_FILL_BYTES (64u * 1024u) /* of records that are gathered before they are looked at */

static const char h2_preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define H2_PREFACE_BYTES (sizeof(h2_preface) - 1)

static void ready(struct http_watch *watch, uint32_t events);
static void fire(struct http_timer *timer, uint64_t now_ns);

static void
conn_set_state(struct http_conn *c, enum http_conn_state state)
{
	assert(state > c->state);
	c->state = state;
}

/* --- its beginning and its end --- */

static void
give_up(struct http_thread *thread, int fd, const struct http_address *address, bool is_counted)
{
	http_count_refused(thread, HTTP_REFUSED_no_memory);
	http_addresses_remove(thread->server->addresses, address);
	if (is_counted)
		atomic_fetch_sub(&thread->server->connections, 1);
	close(fd);
}

void
http_conn_accept(struct http_thread *thread, const struct http_port *port, int fd,
	const struct http_client *client, const struct http_address *address, bool is_counted)
{
	struct http_conn *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		give_up(thread, fd, address, is_counted);
		return;
	}
	bool is_tls = client->via == HTTP_VIA_TLS;
	c->thread = thread;
	c->port = port;
	c->io.fd = fd;
	c->client = *client;
	c->client.tls_version = c->client.tls_cipher = "";
	c->address = *address;
	c->is_counted = is_counted;
	c->opened_ns = http_loop_now_ns(thread->loop);
	c->state = is_tls ? HTTP_CONN_HANDSHAKE : HTTP_CONN_DETECT;
	c->watch = (struct http_watch){.ready = ready, .arg = c, .fd = fd};
	c->timer = (struct http_timer){.fire = fire, .arg = c};
	c->events = EPOLLIN | EPOLLRDHUP;
	if ((is_tls && http_tls_accept(thread->server->tls, &c->io) != SLK_OK) ||
		http_loop_watch(thread->loop, &c->watch, c->events) != SLK_OK) {
		SSL_free(c->io.ssl);
		free(c);
		give_up(thread, fd, address, is_counted);
		return;
	}
	TAILQ_INSERT_TAIL(&thread->conns, c, entry);
	HTTP_COUNT(thread, accepted);
	HTTP_COUNT(thread, connections);
	http_conn_touch(c);
}

/* Whose turn comes later is passed over; a read or write in it fails. */
static void
give_up_handshake(struct http_conn *c)
{
	atomic_store(&c->is_given_up, true);
	(void)shutdown(c->io.fd, SHUT_RDWR);
}

void
http_conn_close(struct http_conn *c, enum http_outcome outcome)
{
	struct http_thread *thread = c->thread;

	if (c->state == HTTP_CONN_CLOSED)
		return;
	conn_set_state(c, HTTP_CONN_CLOSED);
	if (c->protocol != NULL)
		c->protocol->close(c, outcome);
	http_loop_unwatch(thread->loop, &c->watch);
	http_timer_cancel(thread->loop, &c->timer);
	if (c->is_away)
		give_up_handshake(c);
	else
		http_io_close(&c->io);
	http_out_clear(&c->out, thread->pool);
	http_buf_free(thread->pool, c->stash);
	c->stash = NULL;
	if (c->is_queued)
		TAILQ_REMOVE(&thread->to_serve, c, service);
	c->is_queued = false;
	TAILQ_REMOVE(&thread->conns, c, entry);
	if (!c->is_away)
		TAILQ_INSERT_TAIL(&thread->dead, c, entry);
	HTTP_COUNT(thread, closed);
	HTTP_COUNT_ADD(thread, connections, (uint64_t)-1);
	http_addresses_remove(thread->server->addresses, &c->address);
	if (c->is_counted)
		atomic_fetch_sub(&thread->server->connections, 1);
}

void
http_conn_free(struct http_conn *c)
{
	if (c->protocol != NULL)
		c->protocol->free(c);
	free(c);
}

void
http_conn_touch(struct http_conn *c)
{
	if (c->is_queued || c->state == HTTP_CONN_CLOSED)
		return;
	c->is_queued = true;
	TAILQ_INSERT_TAIL(&c->thread->to_serve, c, service);
}

void
http_conn_end(struct http_conn *c)
{
	c->is_ending = true;
	http_conn_touch(c);
}

static void
linger(struct http_conn *c)
{
	conn_set_state(c, HTTP_CONN_LINGER);
	c->linger_ns = http_loop_now_ns(c->thread->loop) +
		c->thread->server->times.linger_ms * SLK_NS_PER_MS;
	http_io_finish(&c->io);
	c->input_left = true;
}

/* --- refusals --- */

/* The whole answer as HTTP/1.1; its length, or 0: there is none. */
static size_t
refusal_text(struct http_thread *thread, enum http_refusal refusal, char *text, size_t cap)
{
	unsigned status = http_refusal_status(refusal);

	if (status == 0)
		return 0;
	const char *sentence = http_refusal_sentence(refusal);
	int n = snprintf(text, cap,
		"HTTP/1.1 %u %s\r\ndate: %s\r\ncontent-type: text/plain\r\ncontent-length: "
		"%zu\r\nconnection: close\r\n\r\n%s\n",
		status, http_status_phrase(status), http_thread_date(thread), strlen(sentence) + 1,
		sentence);
	return n > 0 && (size_t)n < cap ? (size_t)n : 0;
}

static void
count_refusal_answer(struct http_thread *thread, enum http_refusal refusal)
{
	if (http_refusal_status(refusal) >= 500)
		HTTP_COUNT(thread, answers_5xx);
	else
		HTTP_COUNT(thread, answers_4xx);
}

void
http_conn_refuse(struct http_conn *c, enum http_refusal refusal)
{
	char text[512];
	size_t len = refusal_text(c->thread, refusal, text, sizeof(text));

	http_count_refused(c->thread, refusal);
	if (len == 0 || http_out_add(&c->out, c->thread->pool, text, len) != SLK_OK) {
		http_conn_close(c, HTTP_OUTCOME_GONE);
		return;
	}
	count_refusal_answer(c->thread, refusal);
	http_conn_end(c);
}

/* --- what it speaks --- */

static bool
open_protocol(struct http_conn *c, const struct http_protocol *protocol)
{
	conn_set_state(c, HTTP_CONN_OPEN);
	int rc = protocol->open(c);
	if (rc != SLK_OK) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		http_conn_close(c, HTTP_OUTCOME_GONE);
		return false;
	}
	c->protocol = protocol;
	if (c->is_draining)
		protocol->drain(c);
	return true;
}

/* In plain text; whether it gets there does not matter. */
static void
say_it_is_tls(const struct http_conn *c)
{
	char text[512];
	size_t len = refusal_text(c->thread, HTTP_REFUSED_tls_plain, text, sizeof(text));

	(void)send(c->io.fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void
handshake_went(struct http_conn *c, int rc)
{
	const unsigned char *chosen = NULL;
	unsigned chosen_len = 0;

	if (rc == SLK_AGAIN)
		return;
	if (rc != SLK_OK) {
		http_count_refused(c->thread,
			rc == SLK_UNSUPPORTED ? HTTP_REFUSED_tls_plain
					      : HTTP_REFUSED_tls_handshake);
		if (rc == SLK_UNSUPPORTED)
			say_it_is_tls(c);
		http_conn_close(c, HTTP_OUTCOME_GONE);
		return;
	}
	HTTP_COUNT(c->thread, handshakes);
	if (SSL_session_reused(c->io.ssl))
		HTTP_COUNT(c->thread, handshakes_resumed);
	c->client.tls_version = SSL_get_version(c->io.ssl);
	c->client.tls_cipher = SSL_get_cipher_name(c->io.ssl);
	SSL_get0_alpn_selected(c->io.ssl, &chosen, &chosen_len);
	if (chosen_len == 0)
		conn_set_state(c, HTTP_CONN_DETECT);
	else
		open_protocol(c, chosen_len == 2 ? &http_h2_protocol : &http_h1_protocol);
}

/* Away, nothing is watched: what came would be told over and over. */
static void
shake_hands(struct http_conn *c)
{
	struct http_handshakes *handshakes = c->thread->server->handshakes;

	if (handshakes == NULL) {
		handshake_went(c, http_io_handshake(&c->io));
		return;
	}
	http_loop_unwatch(c->thread->loop, &c->watch);
	c->is_away = true;
	http_handshakes_give(handshakes, c);
}

/* --- in --- */

static bool
wants_input(const struct http_conn *c)
{
	switch (c->state) {
	case HTTP_CONN_DETECT:
	case HTTP_CONN_LINGER:
		return true;
	case HTTP_CONN_OPEN:
		return !c->is_ending && c->protocol->wants_input(c);
	default:
		return false;
	}
}

/* Keep what the protocol did not take. */
static void
keep(struct http_conn *c, const uint8_t *bytes, size_t len)
{
	assert(c->stash == NULL);
	int rc = http_buf_new(c->thread->pool, len, &c->stash);
	if (rc == SLK_OK)
		rc = http_buf_append(c->thread->pool, &c->stash, bytes, len);
	if (rc != SLK_OK) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		http_conn_close(c, HTTP_OUTCOME_GONE);
	}
	c->stash_used = 0;
}

/* False: the bytes so far could become either, or it is closed. */
static bool
detect(struct http_conn *c, const uint8_t *bytes, size_t len)
{
	size_t n = len < H2_PREFACE_BYTES ? len : H2_PREFACE_BYTES;

	if (memcmp(bytes, h2_preface, n) != 0)
		return open_protocol(c, &http_h1_protocol);
	return n == H2_PREFACE_BYTES && open_protocol(c, &http_h2_protocol);
}

static void
input(struct http_conn *c, const uint8_t *bytes, size_t len)
{
	size_t used = 0;

	if (c->state == HTTP_CONN_LINGER)
		return;
	if (c->state == HTTP_CONN_DETECT && !detect(c, bytes, len)) {
		if (c->state == HTTP_CONN_DETECT)
			keep(c, bytes, len);
		return;
	}
	c->protocol->input(c, bytes, len, &used);
	if (c->state == HTTP_CONN_OPEN && !c->is_ending && used < len)
		keep(c, bytes + used, len - used);
}

/* Bytes that were kept come before those that are read. */
static void
input_stash(struct http_conn *c)
{
	struct http_buf *stash = c->stash;
	size_t used = 0, left = stash->len - c->stash_used;

	c->stash = NULL;
	if (c->state == HTTP_CONN_DETECT) {
		input(c, stash->bytes, stash->len);
	} else {
		c->protocol->input(c, stash->bytes + c->stash_used, left, &used);
		c->stash_used += used;
		if (c->state == HTTP_CONN_OPEN && !c->is_ending && used < left) {
			c->stash = stash;
			return;
		}
	}
	http_buf_free(c->thread->pool, stash);
}

/* Several records of TLS make one piece. SLK_OK with *out_len > 0, or why there is nothing. */
static int
fill(struct http_conn *c, size_t *out_len)
{
	struct http_thread *thread = c->thread;
	size_t len = 0, n = 0;
	int rc = http_io_read(&c->io, thread->read_bytes, HTTP_READ_BYTES, &len);

	if (rc != SLK_OK)
		return rc;
	while (c->io.ssl != NULL && len < TLS_FILL_BYTES && http_io_has_pending(&c->io) &&
		http_io_read(&c->io, thread->read_bytes + len, HTTP_READ_BYTES - len, &n) == SLK_OK)
		len += n;
	*out_len = len;
	return SLK_OK;
}

static void
read_failed(struct http_conn *c, int rc)
{
	if (rc == SLK_MALFORMED)
		http_count_refused(c->thread, HTTP_REFUSED_tls_broken);
	http_conn_close(c, HTTP_OUTCOME_GONE);
}

static void
read_some(struct http_conn *c)
{
	c->input_left = false;
	for (int i = 0; i < READS_PER_TURN; i++) {
		size_t len = 0;
		if (c->state == HTTP_CONN_CLOSED || !wants_input(c))
			return;
		if (c->stash != NULL && c->state == HTTP_CONN_OPEN) {
			input_stash(c);
			continue;
		}
		int rc = fill(c, &len);
		if (rc == SLK_AGAIN)
			return;
		if (rc != SLK_OK) {
			read_failed(c, rc);
			return;
		}
		if (c->stash != NULL) {
			/* DETECT: what came first is to be looked at together with this. */
			if (http_buf_append(c->thread->pool, &c->stash, c->thread->read_bytes,
				    len) != SLK_OK) {
				http_count_refused(c->thread, HTTP_REFUSED_no_memory);
				http_conn_close(c, HTTP_OUTCOME_GONE);
				return;
			}
			input_stash(c);
		} else {
			input(c, c->thread->read_bytes, len);
		}
	}
	c->input_left = true;
}

static void
ready(struct http_watch *watch, uint32_t events)
{
	struct http_conn *c = watch->arg;

	if (c->state == HTTP_CONN_HANDSHAKE)
		shake_hands(c);
	if (c->state == HTTP_CONN_HANDSHAKE || c->state == HTTP_CONN_CLOSED) {
		http_conn_touch(c);
		return;
	}
	if (wants_input(c))
		read_some(c);
	else if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
		http_conn_close(c, HTTP_OUTCOME_GONE);
	http_conn_touch(c);
}

void
http_conn_shaken(struct http_conn *c, int status)
{
	c->is_away = false;
	if (c->state == HTTP_CONN_CLOSED) {
		http_io_close(&c->io);
		TAILQ_INSERT_TAIL(&c->thread->dead, c, entry);
		return;
	}
	c->events = EPOLLIN | EPOLLRDHUP;
	if (http_loop_watch(c->thread->loop, &c->watch, c->events) != SLK_OK) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		http_conn_close(c, HTTP_OUTCOME_GONE);
		return;
	}
	handshake_went(c, status);
	if (c->state != HTTP_CONN_HANDSHAKE && wants_input(c))
		read_some(c); /* libssl may have read ahead */
	http_conn_touch(c);
}

/* --- timers --- */

static uint64_t
deadline(const struct http_conn *c, enum http_refusal *out_reason)
{
	const struct http_times *times = &c->thread->server->times;

	switch (c->state) {
	case HTTP_CONN_HANDSHAKE:
		*out_reason = HTTP_REFUSED_handshake_timeout;
		return c->opened_ns + times->handshake_ms * SLK_NS_PER_MS;
	case HTTP_CONN_DETECT:
		*out_reason = HTTP_REFUSED_header_timeout;
		return c->opened_ns + times->header_ms * SLK_NS_PER_MS;
	case HTTP_CONN_OPEN:
		if (c->out.bytes == 0)
			return c->protocol->deadline(c, out_reason);
		*out_reason = HTTP_REFUSED_write_timeout;
		return c->written_ns + times->write_ms * SLK_NS_PER_MS;
	case HTTP_CONN_LINGER:
		return c->linger_ns;
	default:
		return UINT64_MAX;
	}
}

static void
set_timer(struct http_conn *c)
{
	enum http_refusal reason;
	uint64_t at = deadline(c, &reason);

	if (at == UINT64_MAX || (c->timer.place != 0 && c->timer.at_ns <= at))
		return;
	if (http_timer_set(c->thread->loop, &c->timer, at) != SLK_OK) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		http_conn_close(c, HTTP_OUTCOME_GONE); /* never a connection without a bound */
	}
}

static void
fire(struct http_timer *timer, uint64_t now_ns)
{
	struct http_conn *c = timer->arg;
	enum http_refusal reason = HTTP_NOT_REFUSED;

	http_conn_touch(c); /* sets the next one */
	if (deadline(c, &reason) > now_ns)
		return;
	if (c->state == HTTP_CONN_OPEN && reason != HTTP_REFUSED_write_timeout) {
		c->protocol->expired(c, reason);
		return;
	}
	if (c->state != HTTP_CONN_LINGER)
		http_count_refused(c->thread, reason);
	http_conn_close(c, HTTP_OUTCOME_TIMEOUT);
}

/* --- ends of turns --- */

static void
set_events(struct http_conn *c, bool is_blocked)
{
	uint32_t events = EPOLLRDHUP;

	if (c->is_away)
		return;
	if (c->state == HTTP_CONN_HANDSHAKE)
		events |= c->io.wants_write ? EPOLLOUT : EPOLLIN;
	else if (wants_input(c))
		events |= EPOLLIN;
	if (is_blocked)
		events |= c->io.wants_write ? EPOLLOUT : EPOLLIN;
	if (events == c->events)
		return;
	if (http_loop_rewatch(c->thread->loop, &c->watch, events) != SLK_OK) {
		http_count_refused(c->thread, HTTP_REFUSED_no_memory);
		http_conn_close(c, HTTP_OUTCOME_GONE);
		return;
	}
	c->events = events;
}

/* False: the socket takes no more now. */
static bool
write_out(struct http_conn *c)
{
	for (int i = 0; i < WRITES_PER_TURN; i++) {
		size_t len = 0;
		if (c->protocol != NULL && !c->is_ending)
			c->protocol->output(c);
		if (c->state == HTTP_CONN_CLOSED || c->out.bytes == 0)
			return true;
		int rc = http_io_write(&c->io, c->thread->pool, &c->out, &len);
		if (len > 0)
			c->written_ns = http_loop_now_ns(c->thread->loop);
		if (rc == SLK_CLOSED) {
			http_conn_close(c, HTTP_OUTCOME_GONE);
			return true;
		}
		if (c->protocol != NULL)
			c->protocol->written(c);
		if (rc == SLK_AGAIN)
			return false;
		if (c->state == HTTP_CONN_CLOSED)
			return true;
	}
	http_conn_touch(c);
	return true;
}

void
http_conn_service(struct http_conn *c)
{
	bool is_blocked = false;

	if (c->input_left || (c->stash != NULL && c->state == HTTP_CONN_OPEN))
		read_some(c);
	if (c->state == HTTP_CONN_DETECT || c->state == HTTP_CONN_OPEN) {
		if (c->out.bytes == 0)
			c->written_ns = http_loop_now_ns(c->thread->loop);
		is_blocked = !write_out(c);
	}
	if (c->state == HTTP_CONN_CLOSED)
		return;
	if (c->is_ending && c->out.bytes == 0 && c->state < HTTP_CONN_LINGER)
		linger(c);
	set_events(c, is_blocked);
	if (c->state == HTTP_CONN_CLOSED)
		return;
	set_timer(c);
	if (c->input_left || (c->stash != NULL && c->state == HTTP_CONN_OPEN && wants_input(c)))
		http_conn_touch(c);
}

void
http_conn_drain(struct http_conn *c)
{
	if (c->is_draining)
		return;
	c->is_draining = true;
	if (c->state == HTTP_CONN_OPEN)
		c->protocol->drain(c);
	http_conn_touch(c);
}
