/* A stream's shards as the catalog has them: what is written, and what a change makes of them. */
#include "slk_test.h"

#include <stdlib.h>

#include "layout.h"

#define HALF ((kmsc_hash_key)1 << 127)
#define TOP (~(kmsc_hash_key)0)

static void
equal_ranges_need_no_list(void **state)
{
	(void)state;
	const struct kmsc_shard rows[] = {{.number = 0, .start = 0, .end = HALF - 1},
		{.number = 1, .start = HALF, .end = TOP, .first_sequence = 9}};
	struct dp_pending *pending = NULL;
	struct dp_layout layout;
	uint32_t count = 7;

	assert_ok(dp_layout_new(rows, 2, &layout));
	assert_int_equal(layout.count, 2);
	assert_null(layout.starts);
	assert_int_equal(layout.shards[1].number, 1);
	assert_int_equal(layout.shards[1].first_sequence, 9);
	dp_layout_fini(&layout);
	assert_ok(dp_pending_new(rows, 2, &pending, &count));
	assert_int_equal(count, 0);
	assert_null(pending);
}

/* Shard 1 is split into 2 and 3, and 3 is merged with 0's neighbour to come: 3 passes. */
static const struct kmsc_shard changing[] = {
	{.number = 0,
		.state = KMSC_SHARD_CLOSING,
		.start = 0,
		.end = HALF - 1,
		.first_sequence = 4},
	{.number = 1, .state = KMSC_SHARD_CLOSING, .start = HALF, .end = TOP},
	{.number = 2,
		.state = KMSC_SHARD_PASSING,
		.start = HALF,
		.end = HALF + 9,
		.has_parent = true,
		.parent = 1},
	{.number = 3,
		.state = KMSC_SHARD_OPENING,
		.start = HALF + 10,
		.end = TOP,
		.has_parent = true,
		.parent = 1},
	{.number = 4,
		.state = KMSC_SHARD_OPENING,
		.start = 0,
		.end = HALF + 9,
		.has_parent = true,
		.parent = 0,
		.has_adjacent = true,
		.adjacent = 2},
};

static void
change_is_laid_out_as_it_will_be(void **state)
{
	(void)state;
	struct dp_layout layout;

	assert_ok(dp_layout_new(changing, 5, &layout));
	assert_int_equal(layout.count, 2);
	assert_int_equal(layout.shards[0].number, 4);
	assert_int_equal(layout.shards[1].number, 3);
	assert_true(layout.shards[0].opening && layout.shards[1].opening);
	assert_true(layout.starts[0] == 0 && layout.starts[1] == HALF + 10);
	dp_layout_fini(&layout);
}

static void
children_begin_where_the_later_parent_ended(void **state)
{
	(void)state;
	struct dp_pending *p = NULL;
	uint32_t count = 0;

	assert_ok(dp_pending_new(changing, 5, &p, &count));
	assert_int_equal(count, 5);
	assert_int_equal(p[0].end, 4); /* known before, should the journal have forgotten it */
	p[0].end = 20;
	p[1].end = 30;
	dp_pending_settle(p, count);
	assert_int_equal(p[2].first, 30);
	assert_int_equal(p[2].end, 30);
	assert_int_equal(p[3].first, 30);
	assert_int_equal(p[4].first, 30);
	p[0].end = 50;
	dp_pending_settle(p, count);
	assert_int_equal(p[3].first, 30);
	assert_int_equal(p[4].first, 50);
	free(p);
}

static void
shards_that_do_not_cover_all_are_refused(void **state)
{
	(void)state;
	const struct kmsc_shard hole[] = {{.number = 0, .start = 0, .end = HALF - 2},
		{.number = 1, .start = HALF, .end = TOP}};
	const struct kmsc_shard twice[] = {
		{.number = 0, .start = 0, .end = HALF}, {.number = 1, .start = HALF, .end = TOP}};
	const struct kmsc_shard orphan[] = {{.number = 3,
		.state = KMSC_SHARD_OPENING,
		.start = 0,
		.end = TOP,
		.has_parent = true,
		.parent = 1}};
	struct dp_layout layout = {.count = 77};
	struct dp_pending *pending = NULL;
	uint32_t count = 77;

	assert_int_equal(dp_layout_new(hole, 2, &layout), SLK_MALFORMED);
	assert_int_equal(dp_layout_new(hole, 1, &layout), SLK_MALFORMED);
	assert_int_equal(dp_layout_new(twice, 2, &layout), SLK_MALFORMED);
	assert_int_equal(dp_layout_new(NULL, 0, &layout), SLK_MALFORMED);
	assert_int_equal(layout.count, 77);
	assert_int_equal(dp_pending_new(orphan, 1, &pending, &count), SLK_MALFORMED);
	assert_int_equal(count, 77);
	assert_null(pending);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_ranges_need_no_list),
		cmocka_unit_test(change_is_laid_out_as_it_will_be),
		cmocka_unit_test(children_begin_where_the_later_parent_ended),
		cmocka_unit_test(shards_that_do_not_cover_all_are_refused),
	};

	return cmocka_run_group_tests_name("dp_layout", tests, NULL, NULL);
}
