#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "postgres_batch.h"

static const struct dlv_pg_format text = {false, '"', '"'};

struct rig {
	struct dlv_pool *pool;
	struct dlv_batch batch;
};

static void
set_up(struct rig *rig, uint64_t max_bytes)
{
	memset(rig, 0, sizeof(*rig));
	assert_ok(dlv_pool_new(max_bytes, false, &rig->pool));
	dlv_buffer_init(&rig->batch.body, rig->pool);
	assert_ok(dlv_pg_rows_begin(&rig->batch, NULL));
}

static void
tear_down(struct rig *rig)
{
	dlv_pg_rows_release(&rig->batch);
	assert_null(rig->batch.work);
	dlv_pg_rows_release(&rig->batch);
	dlv_buffer_fini(&rig->batch.body);
	assert_int_equal(dlv_pool_used(rig->pool), 0);
	dlv_pool_free(rig->pool);
}

static int
gather(struct rig *rig, const char *const *texts, size_t count)
{
	struct dlv_record records[16] = {0};

	for (size_t i = 0; i < count; i++)
		records[i].data = slk_span_str(texts[i]);
	return dlv_pg_rows_gather(&text, &rig->batch, records, count, NULL);
}

static void
assert_span(struct rig *rig, size_t from, size_t to, const char *expected)
{
	struct slk_span span = dlv_pg_rows_span(&rig->batch, from, to);

	assert_int_equal(span.len, strlen(expected));
	if (span.len > 0)
		assert_memory_equal(span.ptr, expected, span.len);
}

static void
rows_lie_one_behind_the_other(void **state)
{
	(void)state;
	struct rig rig;
	static const char *const first[] = {"a", "b\\", "c\nd\n"},
				 *const second[] = {"", "\\.", "e"};

	set_up(&rig, 1 << 20);
	assert_ok(gather(&rig, first, 3));
	assert_ok(gather(&rig, second, 3));
	const struct dlv_pg_rows *rows = rig.batch.work;
	assert_int_equal(rows->count, 6);
	assert_span(&rig, 0, 6, "a\nc\nd\n\ne\n");
	assert_span(&rig, 0, 1, "a\n");
	assert_span(&rig, 1, 2, "");
	assert_span(&rig, 1, 3, "c\nd\n");
	assert_span(&rig, 4, 5, "");
	assert_span(&rig, 6, 6, "");
	assert_int_equal(rows->bad_count, 2);
	assert_int_equal(rows->bad[0].index, 1);
	assert_int_equal(rows->bad[0].fault, DLV_PG_ROW_OPEN_ESCAPE);
	assert_int_equal(rows->bad[1].index, 4);
	assert_int_equal(rows->bad[1].fault, DLV_PG_ROW_END_MARK);
	tear_down(&rig);
}

static void
a_line_tells_its_record(void **state)
{
	(void)state;
	struct rig rig;
	static const char *const texts[] = {"a", "b\\", "c\nd\n", "e"};

	set_up(&rig, 1 << 20);
	assert_ok(gather(&rig, texts, 4));
	static const size_t whole[] = {4, 0, 2, 2, 3, 4, 4};
	for (size_t line = 0; line < 7; line++)
		assert_int_equal(dlv_pg_rows_find(&rig.batch, 0, 4, line), whole[line]);
	assert_int_equal(dlv_pg_rows_find(&rig.batch, 2, 4, 1), 2);
	assert_int_equal(dlv_pg_rows_find(&rig.batch, 2, 4, 3), 3);
	assert_int_equal(dlv_pg_rows_find(&rig.batch, 1, 2, 1), 2);
	assert_int_equal(dlv_pg_rows_find(&rig.batch, 0, 4, UINT64_MAX), 4);
	tear_down(&rig);
}

static void
what_does_not_fit_leaves_nothing_behind(void **state)
{
	(void)state;
	struct rig rig;
	static const char *const few[] = {"a", "b\\"};
	char *large = malloc(100000);

	assert_non_null(large);
	memset(large, 'x', 99999);
	large[99999] = '\0';
	const char *const many[] = {"\\.", large};
	set_up(&rig, 65536);
	assert_ok(gather(&rig, few, 2));
	assert_int_equal(gather(&rig, many, 2), SLK_LIMIT);
	const struct dlv_pg_rows *rows = rig.batch.work;
	assert_int_equal(rows->count, 2);
	assert_int_equal(rows->bad_count, 1);
	assert_int_equal(rig.batch.body.len, 2);
	assert_ok(gather(&rig, few, 2));
	assert_span(&rig, 0, 4, "a\na\n");
	free(large);
	tear_down(&rig);
}

static void
what_was_refused_is_written_and_read(void **state)
{
	(void)state;
	struct dlv_pg_refused refused = {0}, again = {0};
	struct dlv_sql sql = {0};

	dlv_pg_refused_print(&refused, &sql);
	assert_string_equal(sql.text, "NULL");
	assert_ok(dlv_pg_refuse(&refused, 40, "23505", "unique_violation"));
	assert_ok(dlv_pg_refuse(&refused, 7, "22P04", "the record ends within quotes"));
	dlv_pg_refused_sort(&refused);
	dlv_sql_clear(&sql);
	dlv_pg_refused_print(&refused, &sql);
	assert_string_equal(sql.text, "'7:22P04,40:23505'");
	assert_ok(dlv_pg_refused_parse("7:22P04,40:23505", 41, &again));
	assert_int_equal(again.count, 2);
	assert_int_equal(again.failed[1].index, 40);
	assert_string_equal(again.failed[1].code, "Postgres.23505");
	assert_string_equal(again.failed[1].message, "unique_violation");
	dlv_pg_refused_fini(&refused);
	dlv_pg_refused_fini(&again);
	dlv_sql_fini(&sql);
}

static void
what_is_not_as_it_was_written_is_not_believed(void **state)
{
	(void)state;
	static const char *const texts[] = {"x", "1", "1:", "1:2350", "1:235055", "1:23505,", ",",
		"1:23505 2:23505", "10:23505", "-1:23505", " 1:23505", "1:2350a",
		"99999999999999999999:23505", "1:23505,,2:23505"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct dlv_pg_refused refused = {0};
		assert_int_equal(dlv_pg_refused_parse(texts[i], 10, &refused), SLK_MALFORMED);
		dlv_pg_refused_fini(&refused);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_lie_one_behind_the_other),
		cmocka_unit_test(a_line_tells_its_record),
		cmocka_unit_test(what_does_not_fit_leaves_nothing_behind),
		cmocka_unit_test(what_was_refused_is_written_and_read),
		cmocka_unit_test(what_is_not_as_it_was_written_is_not_believed),
	};

	return cmocka_run_group_tests_name("delivery_postgres_batch", tests, NULL, NULL);
}
