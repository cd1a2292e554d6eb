/* What became of each document of a batch, and what the search destination's files share. Internal to search*.c.
 *
 *                       sent, 2xx or 409
 *         WAITING ──────────────────────► THERE
 *            │ │  ▲
 *            │ └──┘ sent: 429, 5xx, or what only the operator mends
 *            │
 *            └── no JSON object, or sent: refused for good ──► REFUSED (an entry of failed)
 *
 * A batch is delivered when nothing waits. What is THERE is never sent again but after a restart, where the id makes it the
 * same document. search_doc_set() alone assigns the state.
 */
#ifndef DELIVERY_SEARCH_BATCH_H
#define DELIVERY_SEARCH_BATCH_H

#include "destination.h"
#include "endpoints.h"
#include "search_answer.h"
#include "search_name.h"
#include "web.h"

#define SEARCH_CODE "Search" /* of codes */

enum search_doc_state { SEARCH_WAITING, SEARCH_THERE, SEARCH_REFUSED };

struct search_doc {
	uint64_t at; /* of its form in batch->body */
	uint32_t len; /* of its form; 0: it never had one */
	enum search_doc_state state;
};

/* batch->work */
struct search_batch {
	struct dlv_buffer docs; /* struct search_doc, one for each record */
	struct dlv_buffer failed; /* struct dlv_failed of the REFUSED ones; in no order */
	size_t waiting; /* documents */
};

static inline struct search_doc *
search_docs(const struct search_batch *work)
{
	return (struct search_doc *)(void *)work->docs.bytes;
}

static inline size_t
search_docs_count(const struct search_batch *work)
{
	return work->docs.len / sizeof(struct search_doc);
}

static inline struct dlv_failed *
search_failed(const struct search_batch *work)
{
	return (struct dlv_failed *)(void *)work->failed.bytes;
}

static inline size_t
search_failed_count(const struct search_batch *work)
{
	return work->failed.len / sizeof(struct dlv_failed);
}

MUST_USE int search_batch_new(struct dlv_pool *pool, struct search_batch **out_work);
void search_batch_free(struct search_batch *work); /* NULL allowed */

void search_doc_set(struct search_batch *work, size_t index, enum search_doc_state state);
/* A document is refused for good: failed gets an entry. SLK_LIMIT, SLK_NO_MEMORY: it goes on waiting. */
MUST_USE int search_doc_refuse(struct search_batch *work, size_t index, int http_status,
	const char *code, const char *message);

/* Leave only those in failed that are REFUSED. */
void search_failed_sift(struct search_batch *work);

/* A run of documents that one request has: those of [first, end) that wait. */
struct search_piece {
	size_t first, end;
	size_t count; /* documents */
	size_t bytes; /* of their forms */
	bool gaps; /* others stand between them in body */
};

/* The next piece from `from` on: as many documents as fit limit_bytes, at least one if any waits. count 0: none does. */
struct search_piece search_piece_next(
	const struct search_batch *work, size_t from, size_t limit_bytes);
/* Its bytes: within body, or copied to copy if there are gaps. SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int search_piece_bytes(const struct search_batch *work, const struct dlv_buffer *body,
	const struct search_piece *piece, struct dlv_buffer *copy, struct slk_span *out_bytes);

/* What an answer leaves to be done. */
struct search_settled {
	size_t busy; /* documents to be sent again */
	size_t held; /* that wait for the operator: no index, no right, closed, blocked */
	char code[64], message[160]; /* of the first of them */
	int http_status;
};

/* What a 200 says of a piece's documents. SLK_OK: each document's state is set; SLK_TRUNCATED: of as many as the answer had, and
 * *out_settled is of those; SLK_MALFORMED, SLK_NO_MEMORY: no state was changed. index: the index's name. */
MUST_USE int search_settle(struct search_batch *work, const struct dlv_batch *batch,
	const struct search_piece *piece, const char *index, struct slk_span answer, bool cut,
	struct search_settled *out_settled);
/* The words of a request that was refused as a whole, cleaned; "" if it has none. */
void search_refusal(struct slk_span answer, const char *index, char *out, size_t cap);

/* The destination */
struct search_flight {
	struct dlv_batch *batch;
	dlv_done done;
	void *arg;
	struct dlv_timer timer; /* begins, so that deliver() never calls done itself */
	struct dlv_web_call *call; /* NULL: none is under way */
	struct search_piece piece;
	struct dlv_buffer copy;
	char index[SEARCH_INDEX_MAX], url[SEARCH_URL_MAX];
};

struct search {
	struct dlv_env env;
	const struct dlv_search *spec;
	const struct dlv_endpoint *endpoint;
	char who[320]; /* "the search cluster https://host:port" */
	struct search_auth *auth;
	/* Bytes of a request. ceiling: deliverd.yaml's, or what the cluster took when it answered 413; limit: below it after
	 * connections that broke half-way, for a proxy may say so that a request is too large. Both are deliver()'s alone. */
	size_t ceiling, limit;
	struct search_flight flight;
};

void search_deliver(void *dest, struct dlv_batch *batch, dlv_done done, void *arg);
void search_cancel(void *dest, struct dlv_batch *batch);

#endif
