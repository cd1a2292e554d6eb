#include "slk_test.h"

#include <string.h>

#include "stage.h"

#define CAPACITY 8u
#define KEYLESS 3u

static int owner;

static struct fmt_record
record(const char *data)
{
	return (struct fmt_record){.key = slk_span("k", 1), .data = slk_span(data, strlen(data))};
}

static int
add(struct dp_stage *stage, struct dp_shard *shard, bool keyless, const char *data)
{
	struct fmt_record r = record(data);

	return dp_stage_add(stage, shard, keyless, &r, &owner, DP_OWNER_BUFFER);
}

static void
records_leave_in_the_order_they_came(void **state)
{
	struct dp_stage stage;
	struct dp_shard a, b;
	struct dp_staged out;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	dp_shard_init(&b, NULL, 1);
	assert_ok(add(&stage, &a, false, "a1"));
	assert_ok(add(&stage, &b, false, "b1"));
	assert_ok(add(&stage, &a, false, "a2"));
	assert_true(dp_stage_pop(&stage, &a, false, &out));
	assert_memory_equal(out.record.data.ptr, "a1", 2);
	assert_true(dp_stage_pop(&stage, &a, false, &out));
	assert_memory_equal(out.record.data.ptr, "a2", 2);
	assert_false(dp_stage_pop(&stage, &a, false, &out));
	assert_int_equal(b.count, 1);
	assert_int_equal(stage.count, 1);
	dp_stage_fini(&stage);
}

static void
records_that_are_cut_leave_the_rest_as_it_was(void **state)
{
	struct dp_stage stage;
	struct dp_shard a;
	struct dp_staged out;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	assert_ok(add(&stage, &a, true, "a1"));
	assert_ok(add(&stage, &a, true, "a2"));
	assert_ok(add(&stage, &a, true, "a3"));
	const uint32_t first = a.head, second = dp_stage_at(&stage, first)->next;
	assert_memory_equal(dp_stage_at(&stage, second)->record.data.ptr, "a2", 2);
	const uint64_t bytes = a.bytes / 3;
	dp_stage_cut(&stage, &a, true, 2, second, 2 * bytes);
	assert_int_equal(a.count, 1);
	assert_int_equal(a.bytes, bytes);
	assert_int_equal(stage.count, 1);
	assert_int_equal(stage.keyless, 1);
	/* All slots are there again, the first ones first. */
	assert_ok(add(&stage, &a, false, "a4"));
	assert_int_equal(a.tail, first);
	for (unsigned i = 2; i < CAPACITY; i++)
		assert_ok(add(&stage, &a, false, "x"));
	assert_int_equal(add(&stage, &a, false, "x"), SLK_FULL);
	assert_true(dp_stage_pop(&stage, &a, true, &out));
	assert_memory_equal(out.record.data.ptr, "a3", 2);
	assert_true(dp_stage_pop(&stage, &a, false, &out));
	assert_memory_equal(out.record.data.ptr, "a4", 2);
	/* To the last one. */
	uint32_t last = a.head;
	while (dp_stage_at(&stage, last)->next != DP_STAGE_NONE)
		last = dp_stage_at(&stage, last)->next;
	dp_stage_cut(&stage, &a, false, a.count, last, a.bytes);
	assert_int_equal(stage.count, 0);
	assert_int_equal(a.bytes, 0);
	assert_ok(add(&stage, &a, false, "a5"));
	assert_true(dp_stage_pop(&stage, &a, false, &out));
	assert_memory_equal(out.record.data.ptr, "a5", 2);
	assert_false(dp_stage_pop(&stage, &a, false, &out));
	dp_stage_fini(&stage);
}

static void
a_full_stage_keeps_nothing_more_and_takes_again_after_a_pop(void **state)
{
	struct dp_stage stage;
	struct dp_shard a;
	struct dp_staged out;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	for (unsigned i = 0; i < CAPACITY; i++)
		assert_ok(add(&stage, &a, false, "x"));
	assert_int_equal(add(&stage, &a, false, "x"), SLK_FULL);
	assert_int_equal(a.count, CAPACITY);
	assert_true(dp_stage_pop(&stage, &a, false, &out));
	assert_ok(add(&stage, &a, false, "x"));
	dp_stage_fini(&stage);
}

static void
streams_without_a_key_cannot_take_all_the_room(void **state)
{
	struct dp_stage stage;
	struct dp_shard keyless, keyed;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&keyless, NULL, 0);
	dp_shard_init(&keyed, NULL, 0);
	for (unsigned i = 0; i < KEYLESS; i++)
		assert_ok(add(&stage, &keyless, true, "x"));
	assert_int_equal(add(&stage, &keyless, true, "x"), SLK_LIMIT);
	for (unsigned i = KEYLESS; i < CAPACITY; i++)
		assert_ok(add(&stage, &keyed, false, "x"));
	dp_stage_fini(&stage);
}

static void
a_key_that_comes_gives_the_keyless_room_back(void **state)
{
	struct dp_stage stage;
	struct dp_shard a, b;
	struct dp_staged out;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	dp_shard_init(&b, NULL, 0);
	for (unsigned i = 0; i < KEYLESS; i++)
		assert_ok(add(&stage, &a, true, "x"));
	dp_stage_key_changed(&stage, a.count, false);
	assert_ok(add(&stage, &b, true, "x"));
	assert_int_equal(stage.keyless, 1);
	while (dp_stage_pop(&stage, &a, false, &out))
		;
	assert_true(dp_stage_pop(&stage, &b, true, &out));
	assert_int_equal(stage.keyless, 0);
	assert_int_equal(stage.count, 0);
	dp_stage_fini(&stage);
}

static void
a_block_holds_what_fits_and_at_least_one_record(void **state)
{
	struct dp_stage stage;
	struct dp_shard a;
	struct fmt_record out[CAPACITY];

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	for (unsigned i = 0; i < 4; i++)
		assert_ok(add(&stage, &a, false, "0123456789")); /* 24 + 1 + 10 bytes */
	assert_int_equal(a.bytes, 4 * 35);
	assert_int_equal(dp_stage_peek(&stage, &a, out, CAPACITY, 1), 1);
	assert_int_equal(dp_stage_peek(&stage, &a, out, CAPACITY, 70), 2);
	assert_int_equal(dp_stage_peek(&stage, &a, out, CAPACITY, 104), 2);
	assert_int_equal(dp_stage_peek(&stage, &a, out, 3, 1000), 3);
	assert_int_equal(dp_stage_peek(&stage, &a, out, CAPACITY, 1000), 4);
	assert_int_equal(a.count, 4);
	dp_stage_fini(&stage);
}

static void
active_shards_come_in_turn_and_once(void **state)
{
	struct dp_stage stage;
	struct dp_shard a, b;

	(void)state;
	assert_ok(dp_stage_init(&stage, CAPACITY, KEYLESS));
	dp_shard_init(&a, NULL, 0);
	dp_shard_init(&b, NULL, 1);
	assert_ok(add(&stage, &a, false, "x"));
	assert_ok(add(&stage, &b, false, "x"));
	assert_ok(add(&stage, &a, false, "x"));
	assert_ptr_equal(dp_stage_next_active(&stage), &a);
	dp_stage_activate(&stage, &a);
	assert_ptr_equal(dp_stage_next_active(&stage), &b);
	assert_ptr_equal(dp_stage_next_active(&stage), &a);
	assert_null(dp_stage_next_active(&stage));
	dp_stage_fini(&stage);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_leave_in_the_order_they_came),
		cmocka_unit_test(records_that_are_cut_leave_the_rest_as_it_was),
		cmocka_unit_test(a_full_stage_keeps_nothing_more_and_takes_again_after_a_pop),
		cmocka_unit_test(streams_without_a_key_cannot_take_all_the_room),
		cmocka_unit_test(a_key_that_comes_gives_the_keyless_room_back),
		cmocka_unit_test(a_block_holds_what_fits_and_at_least_one_record),
		cmocka_unit_test(active_shards_come_in_turn_and_once),
	};

	return cmocka_run_group_tests_name("dp_stage", tests, NULL, NULL);
}
