/* Batches: every event in every state, ids, records that are kept. */
#include "slk_test.h"

#include "batch.h"

#include <string.h>

static void
every_event_in_every_state(void **state)
{
	static const int next[DLV_BATCH_STATES][DLV_BATCH_EVENTS] = {
		/* CLOSED, DELIVERED, FAILED, WAITED, BACKED_UP, EMPTIED */
		[DLV_FILLING] = {DLV_SENT, -1, -1, -1, -1, DLV_FILLING},
		[DLV_SENT] = {-1, DLV_DONE, DLV_RETRY, -1, -1, -1},
		[DLV_RETRY] = {-1, -1, -1, DLV_SENT, DLV_BACKED_UP, DLV_FILLING},
		[DLV_BACKED_UP] = {-1, -1, -1, -1, -1, -1},
		[DLV_DONE] = {-1, -1, -1, -1, -1, -1},
	};

	(void)state;
	for (int s = 0; s < DLV_BATCH_STATES; s++) {
		for (int e = 0; e < DLV_BATCH_EVENTS; e++) {
			struct dlv_batch b = {.state = (enum dlv_batch_state)s};
			int rc = dlv_batch_step(&b, (enum dlv_batch_event)e);
			assert_int_equal(rc, next[s][e] < 0 ? SLK_INVALID_STATE : SLK_OK);
			assert_int_equal(b.state, next[s][e] < 0 ? s : next[s][e]);
		}
	}
	struct dlv_batch b = {.state = DLV_FILLING};
	assert_int_equal(dlv_batch_step(&b, DLV_BATCH_EVENTS), SLK_INVALID_STATE);
}

static void
ids_are_stable_and_differ(void **state)
{
	struct dlv_batch a = {0}, b = {0};

	(void)state;
	assert_ok(dlv_batch_number(&a, 7, 1, 3));
	assert_ok(dlv_batch_number(&b, 7, 1, 4));
	assert_string_equal(a.id, b.id); /* whatever the version */
	/* So that no later release gives a batch that waits in a checkpoint another id. */
	assert_string_equal(a.id, "964816be-f205-4a5e-883c-fab184809cec");
	assert_ok(dlv_batch_number(&b, 7, 2, 3));
	assert_string_not_equal(a.id, b.id);
	assert_ok(dlv_batch_number(&b, 1, 7, 3));
	assert_string_not_equal(a.id, b.id);
}

static void
records_are_kept_as_they_came(void **state)
{
	struct dlv_pool *pool = NULL;
	struct dlv_batch b;
	const struct dlv_record records[] = {
		{.data = {(const uint8_t *)"one", 3}, .sequence = 5, .arrival_ns = 50, .shard = 2},
		{.data = {NULL, 0}, .sequence = 6},
		{.data = {(const uint8_t *)"three", 5}, .sequence = 7},
	};

	(void)state;
	assert_ok(dlv_pool_new(1 << 20, false, &pool));
	dlv_batch_init(&b, pool);
	assert_ok(dlv_batch_keep(&b, records, 3));
	assert_int_equal(b.raw.len, 0);
	dlv_batch_kept(&b, records, 3);
	assert_memory_equal(b.raw.bytes, "onethree", 8);
	assert_int_equal(b.entries[0].sequence, 5);
	assert_int_equal(b.entries[0].shard, 2);
	assert_int_equal(b.entries[1].len, 0);
	assert_int_equal(b.entries[2].offset, 3);
	dlv_batch_fini(&b);
	dlv_pool_free(pool);
}

static void
without_memory_nothing_is_kept(void **state)
{
	static const uint8_t big[100000];
	struct dlv_pool *pool = NULL;
	struct dlv_batch b;
	const struct dlv_record record = {.data = {big, sizeof(big)}};

	(void)state;
	assert_ok(dlv_pool_new(65536, false, &pool));
	dlv_batch_init(&b, pool);
	assert_int_equal(dlv_batch_keep(&b, &record, 1), SLK_LIMIT);
	assert_int_equal(b.raw.len, 0);
	assert_int_equal(dlv_pool_used(pool), 0);
	dlv_batch_fini(&b);
	dlv_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_in_every_state),
		cmocka_unit_test(ids_are_stable_and_differ),
		cmocka_unit_test(records_are_kept_as_they_came),
		cmocka_unit_test(without_memory_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
