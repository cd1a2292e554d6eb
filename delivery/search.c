/* OpenSearch and Elasticsearch: batches by _bulk. search_batch.h has the picture. */
#include "search_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "search_auth.h"
#include "search_record.h"

#define REQUEST_BYTES (10u << 20)

/* --- open, close --- */

static void
search_close(void *dest)
{
	struct search *s = dest;

	if (s == NULL)
		return;
	search_auth_free(s->auth);
	dlv_buffer_fini(&s->flight.copy);
	free(s);
}

static int
search_set(struct search *s, struct slk_error *err)
{
	char origin[256], index[SEARCH_INDEX_MAX], url[SEARCH_URL_MAX];

	int rc = dlv_endpoints_check(s->env.endpoints, s->spec->endpoint, &s->endpoint, err);
	if (rc != SLK_OK)
		return rc == SLK_INVALID ? SLK_CONFIG : rc;
	dlv_endpoints_origin(s->spec->endpoint, origin, sizeof(origin));
	snprintf(s->who, sizeof(s->who), "the search cluster %s", origin);
	/* Any hour's name is as long as another's. */
	rc = search_index_name(s->spec, 0, index);
	if (rc == SLK_OK)
		rc = search_url(s->spec, index, url);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_CONFIG,
			"the index's name with its rotation, or the URL, is too long");
	s->ceiling = s->endpoint->request_bytes != 0 ? s->endpoint->request_bytes : REQUEST_BYTES;
	s->limit = s->ceiling;
	return search_auth_new(s->endpoint, s->env.clock, url, &s->auth, err);
}

static int
search_open(const struct dlv_env *env, void **out_dest, struct slk_error *err)
{
	struct search *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a search destination");
	s->env = *env;
	s->spec = &env->spec->search;
	dlv_buffer_init(&s->flight.copy, env->pool);
	int rc = search_set(s, err);
	if (rc != SLK_OK) {
		search_close(s);
		return rc;
	}
	*out_dest = s;
	return SLK_OK;
}

/* --- gather --- */

static int
search_begin(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	const struct search *s = dest;
	struct search_batch *work;

	int rc = search_batch_new(s->env.pool, &work);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for a batch of documents");
	batch->work = work;
	return SLK_OK;
}

/* One record into body, or among those that are refused. body has room. */
static int
add_record(struct dlv_batch *batch, const struct dlv_record *record)
{
	struct search_batch *work = batch->work;
	struct search_doc doc = {.at = batch->body.len, .state = SEARCH_WAITING};
	size_t index = search_docs_count(work);
	const char *fault = search_record_fault(record->data);
	char message[64];

	if (fault != NULL && fault[0] == '\0')
		return SLK_NO_MEMORY;
	if (fault == NULL) {
		doc.len = (uint32_t)search_record_form(
			batch->id, record, batch->body.bytes + batch->body.len);
		batch->body.len += doc.len;
	}
	int rc = dlv_buffer_append(&work->docs, slk_span(&doc, sizeof(doc)));
	if (rc != SLK_OK)
		return rc;
	work->waiting++;
	if (fault == NULL)
		return SLK_OK;
	snprintf(message, sizeof(message), "the record %s", fault);
	return search_doc_refuse(work, index, 0, SEARCH_CODE ".NoDocument", message);
}

/* Back to what was there before the call. */
static void
take_back(struct dlv_batch *batch, size_t body_len, size_t docs_len, size_t failed_len)
{
	struct search_batch *work = batch->work;

	for (size_t i = docs_len / sizeof(struct search_doc); i < search_docs_count(work); i++)
		work->waiting -= search_docs(work)[i].state == SEARCH_WAITING;
	dlv_buffer_cut(&batch->body, body_len);
	dlv_buffer_cut(&work->docs, docs_len);
	dlv_buffer_cut(&work->failed, failed_len);
}

static int
search_gather(void *dest, struct dlv_batch *batch, const struct dlv_record *records, size_t count,
	struct slk_error *err)
{
	struct search_batch *work = batch->work;
	size_t body_len = batch->body.len, docs_len = work->docs.len, failed_len = work->failed.len;
	size_t bytes = 0;

	(void)dest;
	for (size_t i = 0; i < count; i++)
		bytes += records[i].data.len + SEARCH_FORM_EXTRA;
	int rc = dlv_buffer_reserve(&batch->body, bytes);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = add_record(batch, &records[i]);
	if (rc == SLK_OK)
		return SLK_OK;
	take_back(batch, body_len, docs_len, failed_len);
	return slk_fail(err, rc, "no memory for more documents now");
}

static int
search_seal(void *dest, struct dlv_batch *batch, struct slk_error *err)
{
	(void)dest;
	if (search_docs_count(batch->work) != batch->count)
		return slk_fail(err, SLK_INTERNAL, "the batch has %zu records and %zu documents",
			batch->count, search_docs_count(batch->work));
	return SLK_OK;
}

static void
search_release(void *dest, struct dlv_batch *batch)
{
	(void)dest;
	search_batch_free(batch->work);
	batch->work = NULL;
}

const struct dlv_destination_ops dlv_search_ops = {
	.name = "search",
	.keeps_raw = true,
	.error_type = "AmazonOpenSearchService-failed",
	.open = search_open,
	.close = search_close,
	.begin = search_begin,
	.gather = search_gather,
	.seal = search_seal,
	.deliver = search_deliver,
	.cancel = search_cancel,
	.release = search_release,
};
