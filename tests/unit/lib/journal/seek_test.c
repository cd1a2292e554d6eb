/* What a reader reads of the disk: by the index of the footers, and nothing twice. */
#include "slk_test.h"

#include "journal_rig.h"

static struct journal_rig rig;

static int
setup(void **state)
{
	(void)state;
	journal_rig_init(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	journal_rig_fini(&rig);
	return 0;
}

static struct jnl_reader *
reader(enum jnl_from from, uint64_t value)
{
	const struct jnl_reader_config config = {.dir = rig.dir,
		.any_stream = true,
		.any_shard = true,
		.from = from,
		.from_value = value,
		.fs = &rig.counting_fs};
	struct jnl_reader *r = NULL;

	assert_ok(jnl_reader_new(&config, &r, NULL));
	rig.opens = rig.read_bytes = 0;
	return r;
}

/* 400 blocks in four files; the n-th arrives at second n. */
static void
write_seconds(void)
{
	journal_rig_open(&rig);
	for (unsigned i = 0; i < 400; i++)
		journal_rig_append(&rig, 1, 1, (i + 1) * SLK_NS_PER_S);
	journal_rig_close(&rig, true);
}

static void
time_is_sought_inside_a_file(void **state)
{
	(void)state;
	struct jnl_block b;

	write_seconds();
	struct jnl_reader *r = reader(JNL_FROM_TIME, 100 * SLK_NS_PER_S);
	assert_ok(jnl_reader_next(r, &b, NULL));
	assert_int_equal(b.first_sequence, 99);
	uint64_t far = rig.read_bytes;
	jnl_reader_free(r);
	r = reader(JNL_FROM_TRIM_HORIZON, 0);
	do
		assert_ok(jnl_reader_next(r, &b, NULL));
	while (b.first_sequence < 99);
	/* 800 KiB in a row; by the index, headers, footers and half a MiB at most. */
	assert_true(far < rig.read_bytes);
	assert_true(far < 600 * 1024);
	jnl_reader_free(r);
}

static void
arrivals_out_of_order_hide_nothing(void **state)
{
	(void)state;
	static const unsigned at[] = {50, 10, 20, 90, 30, 40, 60, 70, 80, 100};
	struct jnl_block b;

	journal_rig_open(&rig);
	for (unsigned i = 0; i < 100;
		i++) /* blocks of 8 KiB: each ten of them more than a third entry */
		journal_rig_append(&rig, 1, 1, at[i / 10] * SLK_NS_PER_S);
	journal_rig_append(&rig, 1, 100, 200 * SLK_NS_PER_S);
	journal_rig_close(&rig, true);
	for (unsigned from = 1; from <= 101; from++) {
		uint64_t first = 100; /* the first block that arrived then or later */
		for (unsigned i = 0; i < 100; i++)
			if (at[i / 10] >= from) {
				first = i;
				break;
			}
		struct jnl_reader *r = reader(JNL_FROM_TIME, from * SLK_NS_PER_S);
		assert_ok(jnl_reader_next(r, &b, NULL));
		assert_int_equal(b.first_sequence, first);
		assert_ok(jnl_reader_next(r, &b, NULL)); /* and all that follow */
		assert_int_equal(b.first_sequence, first + 1);
		jnl_reader_free(r);
	}
}

static void
a_recovered_file_has_the_index_too(void **state)
{
	(void)state;
	struct jnl_block b;

	journal_rig_open(&rig);
	for (unsigned i = 0; i < 90; i++)
		journal_rig_append(&rig, 1, 1, (i + 1) * SLK_NS_PER_S);
	journal_rig_close(&rig, false);
	journal_rig_open(&rig);
	struct jnl_reader *r = reader(JNL_FROM_TIME, 80 * SLK_NS_PER_S);
	assert_ok(jnl_reader_next(r, &b, NULL));
	assert_int_equal(b.first_sequence, 79);
	assert_true(rig.read_bytes < 700 * 1024);
	jnl_reader_free(r);
}

static void
a_block_costs_no_look_at_the_watermark(void **state)
{
	(void)state;
	struct jnl_block b;

	journal_rig_open(&rig);
	journal_rig_append(&rig, 1, 60, SLK_NS_PER_S);
	struct jnl_reader *r = reader(JNL_FROM_TRIM_HORIZON, 0);
	assert_ok(jnl_reader_next(r, &b, NULL));
	rig.opens = 0;
	for (unsigned i = 1; i < 60; i++)
		assert_ok(jnl_reader_next(r, &b, NULL));
	assert_int_equal(rig.opens, 0);
	assert_int_equal(jnl_reader_next(r, &b, NULL), SLK_AGAIN);
	journal_rig_append(&rig, 1, 1, SLK_NS_PER_S); /* what comes later is seen */
	assert_ok(jnl_reader_next(r, &b, NULL));
	assert_int_equal(b.first_sequence, 60);
	jnl_reader_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(time_is_sought_inside_a_file),
		TEST(arrivals_out_of_order_hide_nothing),
		TEST(a_recovered_file_has_the_index_too),
		TEST(a_block_costs_no_look_at_the_watermark),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
