#include "postgres_link.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "postgres_link_inner.h"

#define CHUNK_BYTES 65536u /* given to libpq at a time: what it copies is bounded by it */
#define CHUNKS_PER_TURN 16u
#define IDLE_NS (60 * SLK_NS_PER_S)
#define STALL_NS (60 * SLK_NS_PER_S) /* rows that the server does not take */
#define GRACE_NS (5 * SLK_NS_PER_S) /* beyond the server's own limit of a statement */

static uint64_t
in(const struct dlv_link *link, uint64_t ns)
{
	return slk_mono_ns(dlv_loop_clock(link->config.loop)) + ns;
}

static void
clear_results(struct dlv_link *link)
{
	for (size_t i = 0; i < link->results_count; i++)
		PQclear(link->results[i]);
	link->results_count = 0;
}

/* No done, no answer. */
static void
drop(struct dlv_link *link)
{
	dlv_watch_stop(link->config.loop, &link->watch);
	dlv_timer_stop(link->config.loop, &link->timer);
	dlv_link_forget_names(link);
	clear_results(link);
	if (link->conn != NULL) {
		dlv_link_wipe_password(link);
		PQfinish(link->conn);
	}
	link->conn = NULL;
	link->state = LINK_CLOSED;
}

/* --- the end of a call --- */

static void on_idle_timer(void *arg);

static void
finish(struct dlv_link *link)
{
	struct dlv_link_answer *answer = &link->answer;
	dlv_link_done done = link->done;

	link->done = NULL;
	if (answer->lost) {
		drop(link);
	} else {
		link->state = LINK_READY;
		dlv_timer_set(
			link->config.loop, &link->timer, in(link, IDLE_NS), on_idle_timer, link);
	}
	answer->ok = !answer->lost && answer->sentence[0] == '\0';
	answer->results = link->results;
	answer->results_count = link->results_count;
	done(link->done_arg, answer);
}

static void
on_finish_timer(void *arg)
{
	finish(arg);
}

/* From within a call: done comes later. */
static void
finish_later(struct dlv_link *link)
{
	dlv_watch_stop(link->config.loop, &link->watch);
	dlv_timer_set(link->config.loop, &link->timer, 1, on_finish_timer, link);
}

static void
lose(struct dlv_link *link, const char *sentence)
{
	link->answer.lost = true;
	if (link->answer.sentence[0] == '\0')
		snprintf(link->answer.sentence, sizeof(link->answer.sentence), "%s", sentence);
}

/* libpq's own words are of the connection: rows are not among them. */
static void
lose_as_libpq_says(struct dlv_link *link)
{
	link->answer.lost = true;
	if (link->answer.sentence[0] == '\0')
		dlv_link_read_message(PQerrorMessage(link->conn), &link->answer);
	if (link->answer.sentence[0] == '\0')
		lose(link, "the connection was lost");
}

static void
begin_call(struct dlv_link *link, dlv_link_done done, void *arg)
{
	assert(link->done == NULL);
	clear_results(link);
	memset(&link->answer, 0, sizeof(link->answer));
	link->done = done;
	link->done_arg = arg;
}

static void
on_timer(void *arg)
{
	struct dlv_link *link = arg;

	lose(link,
		link->state == LINK_BUSY || link->state == LINK_ROWS
			? "the server did not answer in time"
			: "the server could not be reached in time");
	finish(link);
}

static void
on_idle_timer(void *arg)
{
	drop(arg);
}

static void
set_timer(struct dlv_link *link, uint64_t ns)
{
	dlv_timer_set(link->config.loop, &link->timer, in(link, ns), on_timer, link);
}

/* false: it is lost. */
static bool
watch(struct dlv_link *link, uint32_t events)
{
	if (dlv_watch_set(link->config.loop, &link->watch, PQsocket(link->conn), events) == SLK_OK)
		return true;
	lose(link, "the connection cannot be watched");
	return false;
}

/* --- logging in --- */

/* The descriptor may be another one after each step: libpq goes from address to address. */
static void
connect_step(struct dlv_link *link, bool first)
{
	dlv_watch_stop(link->config.loop, &link->watch);
	PostgresPollingStatusType next = first ? PGRES_POLLING_WRITING : PQconnectPoll(link->conn);
	if (next == PGRES_POLLING_READING || next == PGRES_POLLING_WRITING) {
		if (!watch(link, next == PGRES_POLLING_READING ? EPOLLIN : EPOLLOUT))
			finish(link);
		return;
	}
	dlv_link_wipe_password(link);
	if (next != PGRES_POLLING_OK || PQsetnonblocking(link->conn, 1) != 0)
		lose_as_libpq_says(link);
	else
		(void)watch(link, EPOLLIN);
	finish(link);
}

void
dlv_link_connect(struct dlv_link *link, const char *addresses, const char *why_not)
{
	if (addresses == NULL) {
		lose(link, why_not);
		finish(link);
		return;
	}
	link->conn = dlv_link_start(&link->config, addresses);
	link->state = LINK_CONNECTING;
	if (link->conn == NULL)
		lose(link, "no memory for a connection");
	else if (PQstatus(link->conn) == CONNECTION_BAD)
		lose_as_libpq_says(link);
	if (link->answer.lost)
		finish(link);
	else
		connect_step(link, true);
}

/* --- statements --- */

static void
take_error(struct dlv_link *link, const PGresult *result)
{
	struct dlv_link_answer *answer = &link->answer;

	if (answer->sentence[0] != '\0')
		return;
	answer->in_rows = link->rows_began;
	dlv_link_read_error(result, answer);
	if (answer->sqlstate[0] == '\0')
		answer->lost = true; /* libpq's own error, not the server's */
}

static void
take_result(struct dlv_link *link, PGresult *result)
{
	switch (PQresultStatus(result)) {
	case PGRES_COPY_IN:
		link->state = LINK_ROWS;
		link->rows_began = true;
		break;
	case PGRES_COMMAND_OK:
	case PGRES_TUPLES_OK:
		if (link->results_count < LINK_RESULTS_MAX) {
			link->results[link->results_count++] = result;
			return;
		}
		break;
	case PGRES_EMPTY_QUERY:
		break;
	case PGRES_FATAL_ERROR:
		take_error(link, result);
		break;
	default:
		lose(link, "the server answered what was not asked");
	}
	PQclear(result);
}

/* Give libpq rows until the socket has enough. Returns false if that was it for now. */
static bool
send_chunk(struct dlv_link *link)
{
	size_t left = link->rows.len - link->sent, len = left < CHUNK_BYTES ? left : CHUNK_BYTES;
	int rc = left == 0
		? PQputCopyEnd(link->conn, NULL)
		: PQputCopyData(link->conn, (const char *)link->rows.ptr + link->sent, (int)len);

	if (rc < 0)
		lose_as_libpq_says(link);
	if (rc <= 0)
		return false;
	link->sent += len;
	set_timer(link, STALL_NS);
	if (left == 0) {
		link->state = LINK_BUSY;
		set_timer(link, link->config.how.statement_ms * SLK_NS_PER_MS + GRACE_NS);
	}
	return link->state == LINK_ROWS;
}

/* 0: all is out; 1: the socket takes no more now; -1: lost. */
static int
flush(struct dlv_link *link)
{
	int rc = PQflush(link->conn);

	if (rc < 0)
		lose_as_libpq_says(link);
	return rc;
}

static void
send_rows(struct dlv_link *link)
{
	for (unsigned i = 0; i < CHUNKS_PER_TURN; i++) {
		if (flush(link) != 0 || !send_chunk(link))
			return;
	}
}

/* Results until libpq waits for more. Returns true at the end of the call. */
static bool
take_results(struct dlv_link *link)
{
	while (link->state == LINK_BUSY && !link->answer.lost && PQisBusy(link->conn) == 0) {
		PGresult *result = PQgetResult(link->conn);
		if (result == NULL)
			return true;
		take_result(link, result);
	}
	return false;
}

static void
go_on(struct dlv_link *link)
{
	bool ended = false;

	if (link->state == LINK_ROWS)
		send_rows(link);
	int pending = link->answer.lost ? 0 : flush(link);
	if (link->state == LINK_BUSY && !link->answer.lost)
		ended = take_results(link);
	if (PQstatus(link->conn) == CONNECTION_BAD)
		lose_as_libpq_says(link);
	if (!ended && !link->answer.lost &&
		watch(link, EPOLLIN | (pending > 0 || link->state == LINK_ROWS ? EPOLLOUT : 0u)))
		return;
	if (!link->answer.lost)
		(void)watch(link, EPOLLIN);
	finish(link);
}

static void
on_events(void *arg, uint32_t events)
{
	struct dlv_link *link = arg;
	bool readable = (events & ~(uint32_t)EPOLLOUT) != 0;

	if (link->state == LINK_CONNECTING) {
		connect_step(link, false);
		return;
	}
	bool gone = readable && PQconsumeInput(link->conn) == 0;
	if (link->state == LINK_READY) {
		if (gone || PQstatus(link->conn) == CONNECTION_BAD)
			drop(link);
		return;
	}
	/* What the server said before it left is read first. */
	if (gone && link->state == LINK_BUSY)
		(void)take_results(link);
	if (gone) {
		lose_as_libpq_says(link);
		finish(link);
		return;
	}
	go_on(link);
}

/* --- the link --- */

int
dlv_link_new(const struct dlv_link_config *config, struct dlv_link **out_link)
{
	struct dlv_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return SLK_NO_MEMORY;
	link->config = *config;
	link->watch = (struct dlv_watch){.fd = -1, .fn = on_events, .arg = link};
	*out_link = link;
	return SLK_OK;
}

void
dlv_link_free(struct dlv_link *link)
{
	if (link == NULL)
		return;
	dlv_link_close(link);
	free(link);
}

bool
dlv_link_is_open(const struct dlv_link *link)
{
	return link->state == LINK_READY;
}

int
dlv_link_version(const struct dlv_link *link)
{
	return link->conn != NULL ? PQserverVersion(link->conn) : 0;
}

void
dlv_link_open(struct dlv_link *link, dlv_link_done done, void *arg)
{
	assert(link->state == LINK_CLOSED);
	begin_call(link, done, arg);
	set_timer(link, link->config.how.connect_ms * SLK_NS_PER_MS);
	link->state = LINK_NAMES;
	if (dlv_link_find_names(link) == SLK_OK)
		return;
	lose(link, "no memory to look up the host's name");
	finish_later(link);
}

void
dlv_link_query(
	struct dlv_link *link, const char *sql, struct slk_span rows, dlv_link_done done, void *arg)
{
	assert(link->state == LINK_READY);
	begin_call(link, done, arg);
	link->rows = rows;
	link->sent = 0;
	link->rows_began = false;
	link->state = LINK_BUSY;
	set_timer(link, link->config.how.statement_ms * SLK_NS_PER_MS + GRACE_NS);
	if (PQsendQuery(link->conn, sql) == 0)
		lose_as_libpq_says(link);
	else
		(void)watch(link, EPOLLIN | EPOLLOUT);
	if (link->answer.lost)
		finish_later(link);
}

void
dlv_link_close(struct dlv_link *link)
{
	link->done = NULL;
	drop(link);
}
