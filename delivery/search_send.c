/* A batch on its way to a search cluster, piece by piece.
 *
 *     deliver ─► begin ─► next ─► (one request) ─► answered ─► next ... ─► finish ─► done
 *                           ▲                         │  │
 *                           └── 413: smaller pieces ──┘  └── busy, refused, away: stop ─► done
 *
 * Pieces go one after another: a cluster that has enough of us says so before it gets the next one. After a stop the batch
 * keeps what is there; the next deliver sends only what waits.
 */
#include "search_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "search_auth.h"
#include "verdict.h"

#define TOTAL_MS 180000u
#define LIMIT_MIN (64u << 10) /* a request that is cut in half no further */
/* Of an answer, beside what each document may have of it. */
#define ANSWER_BASE (64u << 10)
#define ANSWER_EACH 1024u
#define ANSWER_MAX (32u << 20)
/* So many that are missing are named: 14 MiB. */
#define NAMED_MAX 65536u

/* --- the end --- */

static int
by_index(const void *a, const void *b)
{
	const struct dlv_failed *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* Beside those that were refused: those that still wait, if others of the batch are there. If they are too many, or without memory,
 * none is named, and all of the batch counts as missing. */
static void
name_the_missing(struct search_batch *work, struct dlv_result *result)
{
	const struct search_doc *docs = search_docs(work);
	size_t count = search_docs_count(work);

	if (search_failed_count(work) + work->waiting == count || work->waiting > NAMED_MAX)
		return;
	for (size_t i = 0; i < count; i++) {
		struct dlv_failed failed = {.index = (uint32_t)i};
		if (docs[i].state != SEARCH_WAITING)
			continue;
		snprintf(failed.code, sizeof(failed.code), "%s", result->code);
		snprintf(failed.message, sizeof(failed.message), "%.159s", result->error.text);
		if (dlv_buffer_append(&work->failed, slk_span(&failed, sizeof(failed))) != SLK_OK)
			return;
	}
	result->failed_count = search_failed_count(work);
}

/* done is the last word: the destination may be gone behind it. */
static void
finish(struct search *s, struct dlv_result *result)
{
	struct search_flight *f = &s->flight;
	struct search_batch *work = f->batch->work;

	if (result->outcome == DLV_DELIVERED_REST)
		result->failed_count = search_failed_count(work);
	else if (result->outcome != DLV_DELIVERED)
		name_the_missing(work, result);
	if (result->failed_count > 0) {
		qsort(search_failed(work), result->failed_count, sizeof(struct dlv_failed),
			by_index);
		result->failed = search_failed(work);
	}
	dlv_buffer_fini(&f->copy);
	f->batch = NULL;
	f->done(f->arg, result);
}

static void
finish_settled(struct search *s)
{
	const struct search_flight *f = &s->flight;
	struct search_batch *work = f->batch->work;
	struct dlv_result result = {.outcome = DLV_DELIVERED};
	size_t refused = search_failed_count(work);

	if (refused > 0) {
		const struct dlv_failed *first = &search_failed(work)[0];
		dlv_verdict_set(&result, DLV_DELIVERED_REST, SEARCH_CODE, "DocumentsRefused",
			"%zu of %zu documents for index %s of %s are refused, one with %s: %s",
			refused, search_docs_count(work), f->index, s->who, first->code,
			first->message);
		result.error.status = SLK_INVALID;
	}
	finish(s, &result);
}

/* --- a request --- */

static void next(struct search *s, size_t from);

/* A cluster that took a request whole gets larger ones again. */
static void
grow_limit(struct search *s)
{
	s->limit = s->limit < s->ceiling / 2 ? s->limit * 2 : s->ceiling;
}

static void
too_large(struct search *s, struct dlv_result *result)
{
	struct search_flight *f = &s->flight;

	if (f->piece.count > 1) {
		s->ceiling = f->piece.bytes / 2;
		s->limit = s->ceiling;
		next(s, f->piece.first);
		return;
	}
	int rc = search_doc_refuse(f->batch->work, f->piece.first, 413,
		SEARCH_CODE ".DocumentTooLarge", "the cluster takes no request of this size");
	if (rc == SLK_OK)
		next(s, f->piece.end);
	else
		finish(s, result);
}

static void
settled_held(struct search *s, const struct search_settled *settled)
{
	struct dlv_result result;

	dlv_verdict_set(&result, DLV_REFUSED, SEARCH_CODE, "IndexRefused",
		"%s takes nothing for index %s: %d %s: %s", s->who, s->flight.index,
		settled->http_status, settled->code, settled->message);
	finish(s, &result);
}

static void
settled_busy(struct search *s, const struct search_settled *settled)
{
	struct dlv_result result;

	dlv_verdict_set(&result, DLV_FAILED, SEARCH_CODE, "Throttled",
		"%s did not take %zu documents for index %s now: %d %s: %s", s->who, settled->busy,
		s->flight.index, settled->http_status, settled->code, settled->message);
	finish(s, &result);
}

static void
settle(struct search *s, const struct dlv_web_answer *answer)
{
	struct search_flight *f = &s->flight;
	struct search_settled settled;
	struct dlv_result result;
	int rc = search_settle(f->batch->work, f->batch, &f->piece, f->index, answer->body,
		answer->body_cut, &settled);

	if (rc == SLK_NO_MEMORY) {
		dlv_verdict_set(&result, DLV_FAILED, SEARCH_CODE, "NoMemory",
			"no memory to read an answer");
		finish(s, &result);
	} else if (rc != SLK_OK && rc != SLK_TRUNCATED) {
		dlv_verdict_set(&result, DLV_FAILED, SEARCH_CODE, "BadAnswer",
			"%s answers 200 with what is no answer to _bulk, or not to all of it",
			s->who);
		finish(s, &result);
	} else if (settled.held > 0) {
		settled_held(s, &settled);
	} else if (settled.busy > 0) {
		settled_busy(s, &settled);
	} else {
		grow_limit(s);
		next(s, rc == SLK_OK ? f->piece.end : f->piece.first);
	}
}

/* The cluster's own words, where it has some. */
static void
add_words(struct search *s, const struct dlv_web_answer *answer, struct dlv_result *result)
{
	char words[256];
	size_t len = strlen(result->error.text);

	if (answer->status != SLK_OK)
		return;
	search_refusal(answer->body, s->flight.index, words, sizeof(words));
	if (words[0] != '\0')
		snprintf(result->error.text + len, sizeof(result->error.text) - len, "; %s", words);
}

static void
answered(void *arg, const struct dlv_web_answer *answer)
{
	struct search *s = arg;
	struct search_flight *f = &s->flight;
	struct dlv_result result;

	f->call = NULL;
	dlv_verdict(answer, SEARCH_CODE, s->who, &result);
	if (result.outcome == DLV_DELIVERED) {
		settle(s, answer);
		return;
	}
	if (answer->status == SLK_OK && answer->http_status == 413) {
		too_large(s, &result);
		return;
	}
	bool half_way = answer->status == SLK_CLOSED || answer->status == SLK_TIMEOUT;
	if (half_way && f->piece.count > 1 && s->limit / 2 >= LIMIT_MIN)
		s->limit /= 2;
	add_words(s, answer, &result);
	finish(s, &result);
}

static size_t
answer_max(const struct search_piece *piece)
{
	size_t max = ANSWER_BASE + piece->count * ANSWER_EACH;

	return max < ANSWER_MAX ? max : ANSWER_MAX;
}

static int
send(struct search *s, struct slk_span body, struct slk_error *err)
{
	struct search_flight *f = &s->flight;
	struct dlv_web_header headers[DLV_WEB_HEADERS_MAX] = {
		{"Content-Type", "application/x-ndjson"}};
	size_t count = 1;

	int rc = search_auth_headers(s->auth, f->url, body, headers, &count, err);
	if (rc != SLK_OK)
		return rc;
	const struct dlv_web_request request = {
		.method = "POST",
		.url = f->url,
		.headers = headers,
		.headers_count = count,
		.body = body,
		.ca_file = s->endpoint->ca,
		.total_ms = TOTAL_MS,
		.low_bytes_per_second = DLV_WEB_ANY_SPEED,
		.answer_max = answer_max(&f->piece),
	};
	rc = dlv_web_send(dlv_loop_web(s->env.loop), &request, answered, s, &f->call);
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc, "%s cannot be asked: %s", s->who, slk_status_sentence(rc));
}

static void
finish_unsent(struct search *s, int rc, const struct slk_error *err)
{
	bool passes = rc == SLK_NO_MEMORY || rc == SLK_LIMIT;
	struct dlv_result result;

	dlv_verdict_set(&result, passes ? DLV_FAILED : DLV_REFUSED, SEARCH_CODE,
		passes ? "NoMemory" : "Credentials", "%s", err->text);
	finish(s, &result);
}

/* The documents that wait, from the one on. */
static void
next(struct search *s, size_t from)
{
	struct search_flight *f = &s->flight;
	const struct search_batch *work = f->batch->work;
	struct slk_error err = {0};
	struct slk_span body;

	f->piece = search_piece_next(work, from, s->limit);
	if (f->piece.count == 0) {
		finish_settled(s);
		return;
	}
	int rc = search_piece_bytes(work, &f->batch->body, &f->piece, &f->copy, &body);
	if (rc != SLK_OK)
		(void)slk_fail(&err, rc, "no memory to send %zu documents again", f->piece.count);
	else
		rc = send(s, body, &err);
	if (rc != SLK_OK)
		finish_unsent(s, rc, &err);
}

/* --- deliver, cancel --- */

static void
begin(void *arg)
{
	struct search *s = arg;
	struct search_flight *f = &s->flight;
	struct slk_error err = {0};

	search_failed_sift(f->batch->work);
	int rc = search_index_name(s->spec, f->batch->oldest_ns, f->index);
	if (rc == SLK_OK)
		rc = search_url(s->spec, f->index, f->url);
	if (rc == SLK_OK) {
		next(s, 0);
		return;
	}
	(void)slk_fail(&err, rc, "the index's name is too long");
	finish_unsent(s, rc, &err);
}

void
search_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg)
{
	struct search *s = dest;
	struct search_flight *f = &s->flight;

	f->batch = batch;
	f->done = done;
	f->arg = arg;
	dlv_timer_set(s->env.loop, &f->timer, slk_mono_ns(s->env.clock), begin, s);
}

void
search_cancel(void *dest, struct dlv_batch *batch)
{
	struct search *s = dest;
	struct search_flight *f = &s->flight;

	if (f->batch != batch)
		return;
	dlv_timer_stop(s->env.loop, &f->timer);
	if (f->call != NULL)
		dlv_web_cancel(f->call);
	f->call = NULL;
	dlv_buffer_fini(&f->copy);
	f->batch = NULL;
}
