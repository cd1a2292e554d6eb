/* The scan for repeated nonces finds a writer that goes on with the epoch of the process before it: the journal is built
 * here with that fault planted. */
#include "crash_world.h"
#include "slk_test.h"

static void
append_and_make_durable(struct world *w)
{
	for (unsigned i = 0; i < 12; i++) {
		assert_ok(world_append(w));
		for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
			assert_ok(world_submit(w, lane));
			for (unsigned k = 0; k < 20; k++)
				assert_true(world_turn(w, lane) >= 0);
		}
	}
}

static void
a_restart_that_goes_on_with_the_old_epoch_is_found(void **state)
{
	(void)state;
	struct seal_thread *seal = NULL;
	struct world w;
	struct slk_error err = {0};

	assert_ok(seal_thread_new("auto", &seal, &err));
	world_init(&w, 3, seal);
	assert_ok(world_open(&w, &err));
	append_and_make_durable(&w);
	struct noncescan_report before = world_scan_nonces(&w);
	assert_true(before.blocks > 0);
	assert_true(before.keys > 0);
	assert_int_equal(before.unknown_blocks, 0);
	assert_int_equal(before.repeats, 0);
	world_crash(&w, SIMDISK_KILL);
	w.shift++; /* the same lanes again */
	assert_ok(world_open(&w, &err));
	append_and_make_durable(&w);
	assert_true(world_scan_nonces(&w).repeats > 0);
	world_fini(&w);
	seal_thread_free(seal);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_restart_that_goes_on_with_the_old_epoch_is_found)};

	return cmocka_run_group_tests_name("journal_planted", tests, NULL, NULL);
}
