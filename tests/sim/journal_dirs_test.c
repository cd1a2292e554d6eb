/* The journal in two directories, on two simulated disks, of which one fails in the middle of it all: it goes on in the other, and after a
 * crash, with both disks back, everything that was acknowledged or seen is there once.
 *
 *     journal_dirs_test          seeds 1, 2, 3, ... for SECONDS
 *     journal_dirs_test SEED     that seed alone, as a failure has printed it
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crash_world.h"
#include "slk_test.h"

#define SECONDS 8
#define LIVES_PER_SEED 5u
#define STEPS_MAX 500u

static struct seal_thread *seal;
static uint64_t only_seed;
static uint64_t moves, failures;

static uint64_t
below(struct world *w, uint64_t n)
{
	return simdisk_random(w->disk) % n;
}

static bool
has_failed(const struct world *w)
{
	return simdisk_failed(w->disk) || simdisk_failed(w->other);
}

static int
step(struct world *w, bool armed)
{
	unsigned lane = (unsigned)below(w, WORLD_LANES);
	uint64_t dice = below(w, 100);
	int rc = SLK_OK;

	if (dice < 45)
		rc = world_append(w);
	else if (dice < 60)
		rc = world_submit(w, lane);
	else if (dice < 93)
		rc = world_turn(w, lane);
	else if (dice < 97 && !armed)
		rc = world_notarize(w);
	else if (dice < 97)
		(void)world_notarize(w); /* what it cannot write it makes up for after a start */
	else if (dice < 98)
		world_end_epoch(w, lane, (unsigned)below(w, WORLD_STREAMS));
	else if (!armed) /* a reader waits for the disk */
		world_check_live(w);
	return rc >= 0 || rc == SLK_AGAIN ? SLK_OK : rc;
}

static void
live(struct world *w)
{
	w->heavy = below(w, 3) == 0;
	uint64_t steps = below(w, w->heavy ? 3 * STEPS_MAX : STEPS_MAX);
	uint64_t when = below(w, steps + steps / 4 + 1);
	struct simdisk *victim = below(w, 2) == 0 ? w->disk : w->other;

	for (uint64_t i = 0; i < steps; i++) {
		if (i == when)
			simdisk_fail(victim, 1 + below(w, 60), below(w, 2) == 0, SLK_IO);
		int rc = step(w, i >= when);
		if (rc != SLK_OK)
			fail_msg("seed %llu: step %llu: %s", (unsigned long long)w->seed,
				(unsigned long long)i, slk_status_sentence(rc));
	}
	failures += has_failed(w);
	for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
		struct jnl_lane_stats stats;
		jnl_lane_stats(jnl_lane(w->journal, lane), &stats);
		moves += stats.moves;
	}
}

static void
open_again(struct world *w)
{
	struct slk_error err = {0};

	if (world_open(w, &err) != SLK_OK)
		fail_msg("seed %llu: %s", (unsigned long long)w->seed, err.text);
	world_check_recovered(w);
}

static void
live_through(uint64_t seed)
{
	struct world w;

	world_init_pair(&w, seed, seal);
	for (unsigned i = 0; i < LIVES_PER_SEED; i++) {
		open_again(&w);
		live(&w);
		if (below(&w, 4) == 0)
			assert_ok(world_close(&w));
		else
			world_crash(&w, below(&w, 3) == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
		simdisk_heal(w.disk);
		simdisk_heal(w.other);
	}
	open_again(&w);
	struct noncescan_report nonces = world_scan_nonces(&w);
	if (nonces.repeats > 0 || nonces.shared_keys > 0)
		fail_msg("seed %llu: repeated nonces", (unsigned long long)seed);
	world_fini(&w);
}

static void
a_disk_fails_and_nothing_acknowledged_is_lost(void **state)
{
	(void)state;
	time_t deadline = time(NULL) + SECONDS;
	uint64_t seeds = 0;

	if (only_seed != 0) {
		live_through(only_seed);
		return;
	}
	while (time(NULL) < deadline)
		live_through(++seeds);
	printf("%llu seeds, %llu lives with a failed disk, %llu moves\n", (unsigned long long)seeds,
		(unsigned long long)failures, (unsigned long long)moves);
	assert_true(seeds > 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_fails_and_nothing_acknowledged_is_lost)};

	if (argc > 1)
		only_seed = strtoull(argv[1], NULL, 10);
	if (seal_thread_new("openssl", &seal, NULL) != SLK_OK)
		return EXIT_FAILURE;
	int rc = cmocka_run_group_tests_name("journal_dirs", tests, NULL, NULL);
	seal_thread_free(seal);
	return rc;
}
