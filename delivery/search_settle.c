#include "search_batch.h"

#include <stdio.h>

#include "base/secret.h"
#include "remark.h"
#include "search_record.h"

/* --- remarks: which names in them are not a record's content --- */

/* As fields are declared; servers put these between brackets. */
static const char *const field_types[] = {"alias", "binary", "boolean", "byte", "date",
	"date_nanos", "double", "flat_object", "flattened", "float", "geo_point", "geo_shape",
	"half_float", "integer", "ip", "keyword", "knn_vector", "long", "nested", "object",
	"scaled_float", "short", "text", "token_count", "unsigned_long"};

struct names {
	const char *index;
	struct slk_span document, id; /* empty for a request as a whole */
};

static bool
is_known(void *arg, struct slk_span word)
{
	const struct names *names = arg;

	if (slk_span_equal(word, slk_span_str(names->index)) ||
		(word.len > 0 && slk_span_equal(word, names->id)))
		return true;
	for (size_t i = 0; i < sizeof(field_types) / sizeof(field_types[0]); i++) {
		if (slk_span_equal(word, slk_span_str(field_types[i])))
			return true;
	}
	return names->document.len > 0 && search_record_has_field(names->document, word);
}

static size_t
bounded_len(const char *text, size_t cap)
{
	return strnlen(text, cap);
}

static void
clean(const struct search_error *error, struct names *names, char *out, size_t cap)
{
	struct slk_span reason =
		slk_span(error->reason, bounded_len(error->reason, sizeof(error->reason)));

	dlv_remark(reason, is_known, names, out, cap);
	if (error->cause[0] == '\0')
		return;
	char cause[64];
	dlv_remark(slk_span_str(error->cause), NULL, NULL, cause, sizeof(cause));
	size_t len = strlen(out);
	snprintf(out + len, cap - len, "%s%s", len > 0 ? "; " : "", cause);
}

/* The type as a code: the words of exceptions, nothing else. */
static void
code_of(const struct search_error *error, unsigned status, char *out, size_t cap)
{
	dlv_remark(slk_span_str(error->type), NULL, NULL, out, cap);
	if (out[0] == '\0')
		snprintf(out, cap, "status %u", status);
}

/* --- items --- */

/* These do not blame the document: another one would fare no better until somebody mends the index or the cluster. */
static const char *const not_the_documents[] = {"cluster_block_exception", "index_closed_exception",
	"index_create_block_exception", "index_not_found_exception", "invalid_index_name_exception",
	"security_exception", "validation_exception"};

static bool
blames_the_document(const struct search_item *item)
{
	if (item->status == 401 || item->status == 403)
		return false;
	for (size_t i = 0; i < sizeof(not_the_documents) / sizeof(not_the_documents[0]); i++) {
		if (strcmp(item->error.type, not_the_documents[i]) == 0)
			return false;
	}
	return true;
}

struct settler {
	struct search_batch *work;
	const struct dlv_batch *batch;
	const struct search_piece *piece;
	size_t at; /* the next document of the piece is this one or behind it */
	const char *index;
	struct search_settled *out;
};

/* A document's id, between the quotes of its first line. */
static struct slk_span
id_of(struct slk_span form)
{
	static const char head[] = "{\"index\":{\"_id\":\"";
	size_t from = sizeof(head) - 1;

	if (form.len <= from)
		return slk_span(NULL, 0);
	const uint8_t *end = memchr(form.ptr + from, '"', form.len - from);
	return end == NULL ? slk_span(NULL, 0)
			   : slk_span(form.ptr + from, (size_t)(end - form.ptr) - from);
}

static void
keep_first(struct settler *s, const struct search_item *item, const char *code, const char *message)
{
	if (s->out->busy + s->out->held > 1)
		return;
	s->out->http_status = (int)item->status;
	snprintf(s->out->code, sizeof(s->out->code), "%s", code);
	snprintf(s->out->message, sizeof(s->out->message), "%s", message);
}

static void
settle_failure(struct settler *s, size_t index, const struct search_item *item)
{
	const struct search_doc *doc = &search_docs(s->work)[index];
	struct slk_span form = slk_span(s->batch->body.bytes + doc->at, doc->len);
	struct names names = {s->index, search_record_document(form), id_of(form)};
	char code[64], message[160];

	code_of(&item->error, item->status, code, sizeof(code));
	clean(&item->error, &names, message, sizeof(message));
	bool busy = item->status == 408 || item->status == 429 || item->status >= 500;
	if (!busy && blames_the_document(item) &&
		search_doc_refuse(s->work, index, (int)item->status, code, message) == SLK_OK)
		return;
	/* Without memory to note that it was refused it waits, and is asked for again. */
	if (busy || blames_the_document(item))
		s->out->busy++;
	else
		s->out->held++;
	keep_first(s, item, code, message);
}

static void
settle_item(void *arg, size_t index, const struct search_item *item)
{
	struct settler *s = arg;
	const struct search_doc *docs = search_docs(s->work);

	(void)index;
	while (docs[s->at].state != SEARCH_WAITING)
		s->at++;
	size_t doc = s->at++;
	if ((item->status >= 200 && item->status < 300) || item->status == 409)
		search_doc_set(s->work, doc, SEARCH_THERE);
	else
		settle_failure(s, doc, item);
}

/* The whole answer is looked at before a word of it is believed: with an item too many or too few, nobody knows whose each is. */
static int
check(const struct search_piece *piece, struct slk_span answer, bool cut, size_t *out_items)
{
	struct search_answer found;
	int rc = search_answer_read(answer, piece->count, NULL, NULL, &found);

	*out_items = found.items;
	if (rc == SLK_OK)
		return found.has_items && found.items == piece->count ? SLK_OK : SLK_MALFORMED;
	if (rc == SLK_TRUNCATED)
		return cut && found.items > 0 ? SLK_TRUNCATED : SLK_MALFORMED;
	return rc == SLK_NO_MEMORY ? rc : SLK_MALFORMED;
}

int
search_settle(struct search_batch *work, const struct dlv_batch *batch,
	const struct search_piece *piece, const char *index, struct slk_span answer, bool cut,
	struct search_settled *out_settled)
{
	struct settler settler = {work, batch, piece, piece->first, index, out_settled};
	struct search_answer found;
	size_t items;
	int rc = check(piece, answer, cut, &items);

	*out_settled = (struct search_settled){0};
	if (rc != SLK_OK && rc != SLK_TRUNCATED)
		return rc;
	int read = search_answer_read(answer, piece->count, settle_item, &settler, &found);
	return read == SLK_OK || read == SLK_TRUNCATED ? rc : read;
}

void
search_refusal(struct slk_span answer, const char *index, char *out, size_t cap)
{
	struct names names = {.index = index};
	struct search_answer found;
	char code[64], message[160];

	/* Half an answer has words, too. */
	int rc = search_answer_read(answer, 0, NULL, NULL, &found);
	out[0] = '\0';
	if ((rc != SLK_OK && rc != SLK_TRUNCATED) || found.error.reason[0] == '\0')
		return;
	code_of(&found.error, 0, code, sizeof(code));
	clean(&found.error, &names, message, sizeof(message));
	snprintf(out, cap, "%s: %s", found.error.type[0] != '\0' ? code : "it says", message);
	slk_wipe(&found, sizeof(found));
}
