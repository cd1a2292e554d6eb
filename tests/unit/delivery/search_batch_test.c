/* Documents of a batch: pieces of every size, answers that settle them, and what is named as failed. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search_batch.h"
#include "search_record.h"

static struct dlv_pool *pool;
static struct dlv_batch batch;
static struct search_batch *work;
static void *dest;

static void
put(const char *data, uint64_t sequence)
{
	const struct dlv_record record = {.data = slk_span_str(data), .sequence = sequence};

	assert_ok(dlv_search_ops.gather(dest, &batch, &record, 1, NULL));
	batch.count++;
}

static int
setup(void **state)
{
	(void)state;
	batch = (struct dlv_batch){.id = "01234567-89ab-cdef-0123-456789abcdef"};
	assert_ok(dlv_pool_new(8u << 20, false, &pool));
	dlv_buffer_init(&batch.body, pool);
	assert_ok(search_batch_new(pool, &work));
	batch.work = work;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	search_batch_free(work);
	dlv_buffer_fini(&batch.body);
	assert_int_equal(dlv_pool_used(pool), 0);
	dlv_pool_free(pool);
	return 0;
}

static void
put_many(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		put(i % 7 == 3 ? "no document" : "{\"n\":1}", i);
}

static void
test_gather(void **state)
{
	(void)state;
	put_many(20);
	assert_int_equal(search_docs_count(work), 20);
	assert_int_equal(search_failed_count(work), 3);
	assert_int_equal(work->waiting, 17);
	assert_int_equal(search_docs(work)[3].state, SEARCH_REFUSED);
	assert_int_equal(search_docs(work)[3].len, 0);
	assert_string_equal(search_failed(work)[0].code, "Search.NoDocument");
	assert_int_equal(search_failed(work)[0].index, 3);
	assert_ok(dlv_search_ops.seal(dest, &batch, NULL));
	batch.count++;
	assert_int_equal(dlv_search_ops.seal(dest, &batch, NULL), SLK_INTERNAL);
}

/* What does not fit is not there at all, whatever of it fitted. */
static void
test_gather_without_memory(void **state)
{
	enum { LARGE = 1u << 20 };
	char *large = malloc(LARGE + 1);
	struct dlv_record records[3] = {
		{.data = slk_span_str("{}")}, {.data = slk_span_str("none")}};

	(void)state;
	assert_non_null(large);
	memset(large, ' ', LARGE);
	large[0] = '{';
	large[LARGE - 1] = '}';
	large[LARGE] = '\0';
	records[2].data = slk_span(large, LARGE);
	put("{}", 1);
	put("none", 2);
	int rc = SLK_OK;
	size_t before_docs = 0, before_failed = 0, before_body = 0, before_waiting = 0;
	for (unsigned i = 0; rc == SLK_OK && i < 100; i++) {
		before_docs = work->docs.len;
		before_failed = work->failed.len;
		before_body = batch.body.len;
		before_waiting = work->waiting;
		rc = dlv_search_ops.gather(dest, &batch, records, 3, NULL);
	}
	assert_int_equal(rc, SLK_LIMIT);
	assert_true(before_docs > 2 * sizeof(struct search_doc));
	assert_int_equal(work->docs.len, before_docs);
	assert_int_equal(work->failed.len, before_failed);
	assert_int_equal(batch.body.len, before_body);
	assert_int_equal(work->waiting, before_waiting);
	free(large);
}

/* Every limit, with every pattern of documents that are there: each that waits is in just one piece, in order, byte for byte. */
static void
check_pieces(size_t limit)
{
	struct dlv_buffer copy;
	size_t from = 0, seen = 0;

	dlv_buffer_init(&copy, pool);
	for (;;) {
		struct search_piece piece = search_piece_next(work, from, limit);
		struct slk_span bytes;
		if (piece.count == 0)
			break;
		assert_ok(search_piece_bytes(work, &batch.body, &piece, &copy, &bytes));
		assert_int_equal(bytes.len, piece.bytes);
		assert_true(piece.count == 1 || piece.bytes <= limit);
		size_t at = 0;
		for (size_t i = piece.first; i < piece.end; i++) {
			const struct search_doc *doc = &search_docs(work)[i];
			if (doc->state != SEARCH_WAITING)
				continue;
			assert_memory_equal(bytes.ptr + at, batch.body.bytes + doc->at, doc->len);
			at += doc->len;
			seen++;
		}
		assert_int_equal(at, bytes.len);
		assert_true(piece.end > from);
		from = piece.end;
	}
	assert_int_equal(seen, work->waiting);
	dlv_buffer_fini(&copy);
}

static void
test_pieces(void **state)
{
	(void)state;
	put_many(12);
	for (unsigned pattern = 0; pattern < 1u << 12; pattern += 5) {
		for (unsigned i = 0; i < 12; i++) {
			if (search_docs(work)[i].state == SEARCH_REFUSED)
				continue;
			search_docs(work)[i].state = SEARCH_WAITING;
		}
		work->waiting = 12 - search_failed_count(work);
		for (unsigned i = 0; i < 12; i++) {
			if ((pattern >> i & 1) != 0 && search_docs(work)[i].state == SEARCH_WAITING)
				search_doc_set(work, i, SEARCH_THERE);
		}
		check_pieces(1);
		check_pieces(200);
		check_pieces(500);
		check_pieces(1u << 20);
	}
}

static int
settle(const struct search_piece *piece, const char *answer, bool cut, struct search_settled *out)
{
	return search_settle(work, &batch, piece, "logs", slk_span_str(answer), cut, out);
}

static void
test_items_in_order(void **state)
{
	struct search_settled settled;

	(void)state;
	for (unsigned i = 0; i < 6; i++)
		put("{\"age\":\"secret\"}", i);
	search_doc_set(work, 1, SEARCH_THERE);
	struct search_piece piece = search_piece_next(work, 0, 1u << 20);
	assert_int_equal(piece.count, 5);
	assert_ok(settle(&piece,
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":400,\"error\":{"
		"\"type\":\"mapper_parsing_exception\","
		"\"reason\":\"failed to parse field [age] of type [long]. Preview of field's "
		"value: 'secret'\"}}},"
		"{\"index\":{\"status\":429,\"error\":{\"type\":\"busy_exception\",\"reason\":"
		"\"later\"}}},"
		"{\"index\":{\"status\":403,\"error\":{\"type\":\"cluster_block_exception\","
		"\"reason\":\"index [logs] blocked by: [x]\"}}},"
		"{\"index\":{\"status\":409}}]}",
		false, &settled));
	static const enum search_doc_state states[] = {SEARCH_THERE, SEARCH_THERE, SEARCH_REFUSED,
		SEARCH_WAITING, SEARCH_WAITING, SEARCH_THERE};
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(search_docs(work)[i].state, states[i]);
	assert_int_equal(work->waiting, 2);
	assert_int_equal(settled.busy, 1);
	assert_int_equal(settled.held, 1);
	assert_string_equal(settled.code, "busy_exception");
	assert_string_equal(settled.message, "later");
	assert_int_equal(search_failed_count(work), 1);
	assert_int_equal(search_failed(work)[0].index, 2);
	assert_int_equal(search_failed(work)[0].http_status, 400);
	assert_string_equal(search_failed(work)[0].code, "mapper_parsing_exception");
	assert_string_equal(
		search_failed(work)[0].message, "failed to parse field [age] of type [long]");
}

/* An answer that does not fit its request settles nothing. */
static void
test_answers_that_are_not_believed(void **state)
{
	static const char *const answers[] = {"", "{}", "{\"items\":[]}",
		"{\"items\":[{\"index\":{\"status\":201}}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}},{\"index\":{"
		"\"status\":201}}]}",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]",
		"{\"items\":[{\"index\":{\"status\":201}},{\"index\":{\"status\":201}}]}}"};
	struct search_settled settled;

	(void)state;
	put("{}", 1);
	put("{}", 2);
	struct search_piece piece = search_piece_next(work, 0, 1u << 20);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		assert_int_equal(settle(&piece, answers[i], false, &settled), SLK_MALFORMED);
		assert_int_equal(work->waiting, 2);
	}
	/* Cut off by us, it says what it says. */
	assert_int_equal(
		settle(&piece, "{\"items\":[{\"index\":{\"status\":201}},{\"ind", true, &settled),
		SLK_TRUNCATED);
	assert_int_equal(work->waiting, 1);
	assert_int_equal(search_docs(work)[0].state, SEARCH_THERE);
	piece = search_piece_next(work, 0, 1u << 20);
	assert_int_equal(settle(&piece, "{\"items\":[{\"ind", true, &settled), SLK_MALFORMED);
}

static void
test_refusals(void **state)
{
	char out[128];

	(void)state;
	search_refusal(slk_span_str("{\"error\":{\"type\":\"a_exception\",\"reason\":\"index "
				    "[logs] 'secret'\"}}"),
		"logs", out, sizeof(out));
	assert_string_equal(out, "a_exception: index [logs]");
	search_refusal(slk_span_str("{\"error\":\"no handler\"}"), "logs", out, sizeof(out));
	assert_string_equal(out, "it says: no handler");
	search_refusal(slk_span_str("<html>"), "logs", out, sizeof(out));
	assert_string_equal(out, "");
}

static void
test_sift(void **state)
{
	(void)state;
	put_many(10);
	assert_int_equal(search_failed_count(work), 1);
	const struct dlv_failed waiting = {.index = 0};
	assert_ok(dlv_buffer_append(&work->failed, slk_span(&waiting, sizeof(waiting))));
	assert_ok(search_doc_refuse(work, 9, 400, "x", "y"));
	assert_int_equal(work->waiting, 8);
	search_failed_sift(work);
	assert_int_equal(search_failed_count(work), 2);
	assert_int_equal(search_failed(work)[0].index, 3);
	assert_int_equal(search_failed(work)[1].index, 9);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_gather, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gather_without_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pieces, setup, teardown),
		cmocka_unit_test_setup_teardown(test_items_in_order, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_answers_that_are_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sift, setup, teardown),
	};

	return cmocka_run_group_tests_name("delivery_search_batch", tests, NULL, NULL);
}
