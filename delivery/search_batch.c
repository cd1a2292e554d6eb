#include "search_batch.h"

#include <stdio.h>
#include <stdlib.h>

int
search_batch_new(struct dlv_pool *pool, struct search_batch **out_work)
{
	struct search_batch *work = calloc(1, sizeof(*work));

	if (work == NULL)
		return SLK_NO_MEMORY;
	dlv_buffer_init(&work->docs, pool);
	dlv_buffer_init(&work->failed, pool);
	*out_work = work;
	return SLK_OK;
}

void
search_batch_free(struct search_batch *work)
{
	if (work == NULL)
		return;
	dlv_buffer_fini(&work->docs);
	dlv_buffer_fini(&work->failed);
	free(work);
}

void
search_doc_set(struct search_batch *work, size_t index, enum search_doc_state state)
{
	struct search_doc *doc = &search_docs(work)[index];

	if (doc->state == SEARCH_WAITING && state != SEARCH_WAITING)
		work->waiting--;
	doc->state = state;
}

int
search_doc_refuse(struct search_batch *work, size_t index, int http_status, const char *code,
	const char *message)
{
	struct dlv_failed failed = {.index = (uint32_t)index, .http_status = http_status};

	snprintf(failed.code, sizeof(failed.code), "%s", code);
	snprintf(failed.message, sizeof(failed.message), "%s", message);
	int rc = dlv_buffer_append(&work->failed, slk_span(&failed, sizeof(failed)));
	if (rc == SLK_OK)
		search_doc_set(work, index, SEARCH_REFUSED);
	return rc;
}

void
search_failed_sift(struct search_batch *work)
{
	struct dlv_failed *failed = search_failed(work);
	const struct search_doc *docs = search_docs(work);
	size_t kept = 0;

	for (size_t i = 0; i < search_failed_count(work); i++) {
		if (docs[failed[i].index].state == SEARCH_REFUSED)
			failed[kept++] = failed[i];
	}
	dlv_buffer_cut(&work->failed, kept * sizeof(*failed));
}

/* --- pieces --- */

struct search_piece
search_piece_next(const struct search_batch *work, size_t from, size_t limit_bytes)
{
	const struct search_doc *docs = search_docs(work);
	size_t count = search_docs_count(work);
	struct search_piece piece = {.first = from, .end = from};

	for (size_t i = from; i < count; i++) {
		if (docs[i].state != SEARCH_WAITING) {
			/* One that was refused before it was sent has no bytes in between. */
			piece.gaps = piece.gaps || (piece.count > 0 && docs[i].len > 0);
			continue;
		}
		if (piece.count > 0 && piece.bytes + docs[i].len > limit_bytes)
			break;
		if (piece.count == 0)
			piece.first = i;
		piece.count++;
		piece.bytes += docs[i].len;
		piece.end = i + 1;
	}
	return piece;
}

int
search_piece_bytes(const struct search_batch *work, const struct dlv_buffer *body,
	const struct search_piece *piece, struct dlv_buffer *copy, struct slk_span *out_bytes)
{
	const struct search_doc *docs = search_docs(work);

	if (!piece->gaps) {
		*out_bytes = slk_span(body->bytes + docs[piece->first].at, piece->bytes);
		return SLK_OK;
	}
	dlv_buffer_cut(copy, 0);
	int rc = dlv_buffer_reserve(copy, piece->bytes);
	for (size_t i = piece->first; rc == SLK_OK && i < piece->end; i++) {
		if (docs[i].state == SEARCH_WAITING)
			rc = dlv_buffer_append(
				copy, slk_span(body->bytes + docs[i].at, docs[i].len));
	}
	if (rc == SLK_OK)
		*out_bytes = slk_span(copy->bytes, copy->len);
	return rc;
}
