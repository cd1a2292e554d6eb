/* The journal on a simulated disk: crashes at random points, failing calls, rot, a full disk.
 *
 *     journal_crash_test          seeds 1, 2, 3, ... for SECONDS
 *     journal_crash_test SEED     that seed alone, as a failure has printed it
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crash_world.h"
#include "slk_test.h"

#define SECONDS 8
#define CRASHES_PER_SEED 6u
#define STEPS_MAX 400u
#define SWEEP_CALLS_MAX 5000u

static struct seal_thread *seal;
static uint64_t only_seed;
static uint64_t rolls;
static uint64_t scanned; /* blocks looked at for repeated nonces */

static uint64_t
below(struct world *w, uint64_t n)
{
	return simdisk_random(w->disk) % n;
}

/* One random step. SLK_OK and SLK_AGAIN are daily life, everything else ends the run. */
static int
step(struct world *w)
{
	unsigned lane = (unsigned)below(w, WORLD_LANES);
	uint64_t dice = below(w, 100);
	int rc = SLK_OK;

	if (dice < 45)
		rc = world_append(w);
	else if (dice < 60)
		rc = world_submit(w, lane);
	else if (dice < 92)
		rc = world_turn(w, lane);
	else if (dice < 97)
		rc = world_notarize(w);
	else if (dice < 98)
		world_end_epoch(w, lane, (unsigned)below(w, WORLD_STREAMS));
	else if (dice < 99)
		simdisk_clock_jump(
			w->disk, (int64_t)below(w, 7200) * 1000000000 - 3600ll * 1000000000);
	else
		world_check_live(w);
	return rc >= 0 || rc == SLK_AGAIN ? SLK_OK : rc;
}

static void
run(struct world *w)
{
	w->heavy = below(w, 3) == 0;
	uint64_t steps = below(w, w->heavy ? 3 * STEPS_MAX : STEPS_MAX);

	for (uint64_t i = 0; i < steps; i++)
		assert_ok(step(w));
	for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
		struct jnl_lane_stats stats;
		jnl_lane_stats(jnl_lane(w->journal, lane), &stats);
		rolls += stats.rolls;
	}
}

/* Power may also go in the middle of opening: then the calls behind some point all fail. */
static void
open_through_crashes(struct world *w)
{
	struct slk_error err = {0};

	for (unsigned cut = 0; cut < 3 && below(w, 3) == 0; cut++) {
		simdisk_fail(w->disk, 1 + below(w, 120), true, SLK_IO);
		if (world_open(w, &err) == SLK_OK && !simdisk_failed(w->disk)) {
			simdisk_heal(w->disk);
			world_check_recovered(w);
		}
		world_crash(w, below(w, 2) == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
	}
	if (world_open(w, &err) != SLK_OK)
		fail_msg("seed %llu: %s", (unsigned long long)w->seed, err.text);
	world_check_recovered(w);
}

static uint64_t
live_through(uint64_t seed)
{
	struct world w;

	world_init(&w, seed, seal);
	for (unsigned i = 0; i < CRASHES_PER_SEED; i++) {
		open_through_crashes(&w);
		run(&w);
		if (below(&w, 5) == 0)
			assert_ok(world_close(&w));
		else
			world_crash(&w, below(&w, 3) == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
	}
	open_through_crashes(&w);
	struct noncescan_report nonces = world_scan_nonces(&w);
	if (nonces.repeats > 0 || nonces.shared_keys > 0)
		fail_msg("seed %llu: %llu repeated nonces, %llu shared keys",
			(unsigned long long)seed, (unsigned long long)nonces.repeats,
			(unsigned long long)nonces.shared_keys);
	uint64_t appended = w.appended;
	scanned += nonces.blocks;
	world_fini(&w);
	return appended;
}

static void
nothing_acknowledged_is_lost_in_any_crash(void **state)
{
	(void)state;
	time_t deadline = time(NULL) + SECONDS;
	uint64_t seeds = 0, records = 0;

	if (only_seed != 0) {
		records = live_through(only_seed);
		seeds = 1;
	}
	for (uint64_t seed = 1; only_seed == 0 && time(NULL) < deadline; seed++, seeds++)
		records += live_through(seed);
	print_message("%llu seeds, %llu records, %llu rolls, %llu blocks scanned for nonces\n",
		(unsigned long long)seeds, (unsigned long long)records, (unsigned long long)rolls,
		(unsigned long long)scanned);
	assert_true(records > 0 && rolls + only_seed > 0 && scanned > 0);
}

/* A fixed life: enough to fill a file and roll, and to close. Ends at the first failure. */
static int
short_life(struct world *w)
{
	struct slk_error err;
	int rc = world_open(w, &err);

	w->heavy = true;
	for (unsigned i = 0; rc == SLK_OK && i < 60; i++) {
		rc = world_append(w);
		if (rc == SLK_OK && i % 2 == 0)
			rc = world_submit(w, i / 2 % WORLD_LANES);
		for (unsigned lane = 0; lane < WORLD_LANES && (rc == SLK_OK || rc == SLK_AGAIN);
			lane++) {
			int turned = world_turn(w, lane);
			rc = turned < 0 ? turned : SLK_OK;
		}
	}
	if (rc == SLK_OK)
		return world_close(w);
	return rc;
}

/* The n-th call fails, once or from then on: what was acknowledged before is there afterwards. */
static void
sweep(bool for_ever, int status, enum simdisk_crash how)
{
	struct slk_error err = {0};

	for (uint64_t nth = 1;; nth += 1 + nth / 40) {
		struct world w;
		assert_true(nth < SWEEP_CALLS_MAX);
		world_init(&w, nth, seal);
		simdisk_fail(w.disk, nth, for_ever, status);
		int rc = short_life(&w);
		bool failed = simdisk_failed(w.disk);
		if (!failed)
			assert_ok(rc);
		world_crash(&w, how);
		if (world_open(&w, &err) != SLK_OK)
			fail_msg("call %llu failed, and then: %s", (unsigned long long)nth,
				err.text);
		world_check_recovered(&w);
		world_fini(&w);
		if (!failed)
			return;
	}
}

static void
a_call_that_fails_once_loses_nothing(void **state)
{
	(void)state;
	sweep(false, SLK_IO, SIMDISK_POWER_CUT);
}

static void
a_disk_that_fails_for_good_loses_nothing(void **state)
{
	(void)state;
	sweep(true, SLK_IO, SIMDISK_KILL);
}

static void
a_full_disk_loses_nothing(void **state)
{
	(void)state;
	sweep(false, SLK_DISK_FULL, SIMDISK_KILL);
}

/* Nothing is acknowledged after a flush has failed, though later ones would succeed. */
static void
a_failed_flush_is_final(void **state)
{
	(void)state;
	struct world w;
	struct slk_error err = {0};
	unsigned failures = 0;

	for (uint64_t seed = 1; seed <= 120; seed++) {
		world_init(&w, seed, seal);
		assert_ok(world_open(&w, &err));
		for (unsigned i = 0; i < 20; i++)
			(void)world_append(&w);
		for (unsigned lane = 0; lane < WORLD_LANES; lane++)
			(void)world_submit(&w, lane);
		simdisk_fail(w.disk, 1 + below(&w, 24), false, SLK_IO);
		for (unsigned i = 0; i < 200; i++)
			(void)world_turn(&w, i % WORLD_LANES);
		for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
			struct jnl_lane *l = jnl_lane(w.journal, lane);
			if (jnl_lane_status(l) != SLK_DISK_FAILED)
				continue;
			uint64_t durable = jnl_lane_durable(l);
			failures++;
			assert_int_equal(jnl_lane_turn(l), SLK_DISK_FAILED);
			assert_int_equal(jnl_lane_close(l), SLK_DISK_FAILED);
			assert_int_equal(jnl_lane_durable(l), durable);
		}
		/* What recovery has found stays, though the cache may still show what the failed flush has lost. */
		world_crash(&w, seed % 2 == 0 ? SIMDISK_KILL : SIMDISK_POWER_CUT);
		assert_ok(world_open(&w, &err));
		world_check_recovered(&w);
		world_crash(&w, SIMDISK_POWER_CUT);
		assert_ok(world_open(&w, &err));
		world_check_recovered(&w);
		world_fini(&w);
	}
	assert_true(failures > 0);
}

/* --- rot --- */

struct victim {
	char path[128];
	uint64_t first, used;
};

static int
pick_victim(void *arg, const struct jnl_file_info *info)
{
	struct victim *v = arg;

	if (info->blocks > 3 && v->used == 0) {
		snprintf(v->path, sizeof(v->path), WORLD_DIR "/%s", info->name);
		v->used = info->used_bytes;
	}
	return SLK_OK;
}

/* Damage below what was durable is loss that is reported, never a torn tail that is cut. */
static void
rot_below_the_watermark_is_reported(void **state)
{
	(void)state;
	struct world w;
	struct victim v = {.used = 0};
	struct slk_error err = {0};

	world_init(&w, 7, seal);
	assert_ok(world_open(&w, &err));
	for (unsigned i = 0; i < 60; i++) {
		(void)world_append(&w);
		(void)world_submit(&w, i % WORLD_LANES);
		for (unsigned k = 0; k < 8; k++)
			assert_true(world_turn(&w, k % WORLD_LANES) >= 0);
	}
	world_check_live(&w);
	assert_ok(jnl_list(WORLD_DIR, simdisk_fs(w.disk), pick_victim, NULL, &v, &err));
	assert_true(v.used > 16384);
	world_crash(&w, SIMDISK_KILL);
	assert_ok(simdisk_rot(w.disk, v.path, v.used / 2, 16));
	assert_ok(world_open(&w, &err));
	assert_true(w.recovery.corrupt_blocks >= 1);
	assert_true(w.recovery.corrupt_bytes > 0);
	struct jnl_verify_config verify = {.dir = WORLD_DIR, .fs = simdisk_fs(w.disk)};
	struct jnl_verify_report report;
	assert_ok(jnl_verify(&verify, &report, &err));
	assert_true(report.findings > 0);
	world_fini(&w);
}

/* --- no room --- */

static void
a_full_disk_is_said_and_clears(void **state)
{
	(void)state;
	struct world w;
	struct slk_error err = {0};
	bool was_full = false;

	world_init(&w, 11, seal);
	assert_ok(world_open(&w, &err));
	simdisk_set_space(w.disk, 5u << 20);
	for (unsigned i = 0; i < 5000 && !was_full; i++) {
		int rc = world_append(&w);
		was_full = rc == SLK_DISK_FULL;
		assert_true(rc == SLK_OK || rc == SLK_AGAIN || rc == SLK_DISK_FULL);
		for (unsigned lane = 0; lane < WORLD_LANES; lane++) {
			(void)world_submit(&w, lane);
			assert_true(world_turn(&w, lane) >= 0);
		}
	}
	assert_true(was_full);
	world_check_live(&w);
	simdisk_set_space(w.disk, UINT64_MAX);
	int rc = SLK_AGAIN;
	for (unsigned i = 0; i < 1000 && rc != SLK_OK; i++) {
		for (unsigned lane = 0; lane < WORLD_LANES; lane++)
			assert_true(world_turn(&w, lane) >= 0);
		rc = world_append(&w);
	}
	assert_ok(rc);
	assert_ok(world_close(&w));
	assert_ok(world_open(&w, &err));
	world_check_recovered(&w);
	world_fini(&w);
}

static int
make_seal(void **state)
{
	struct slk_error err = {0};

	(void)state;
	return seal_thread_new("auto", &seal, &err);
}

static int
free_seal(void **state)
{
	(void)state;
	seal_thread_free(seal);
	return 0;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_acknowledged_is_lost_in_any_crash),
		cmocka_unit_test(a_call_that_fails_once_loses_nothing),
		cmocka_unit_test(a_disk_that_fails_for_good_loses_nothing),
		cmocka_unit_test(a_full_disk_loses_nothing),
		cmocka_unit_test(a_failed_flush_is_final),
		cmocka_unit_test(rot_below_the_watermark_is_reported),
		cmocka_unit_test(a_full_disk_is_said_and_clears),
	};

	if (argc > 1) {
		only_seed = strtoull(argv[1], NULL, 10);
		return cmocka_run_group_tests_name("journal_crash",
			(const struct CMUnitTest[]){tests[0]}, make_seal, free_seal);
	}
	return cmocka_run_group_tests_name("journal_crash", tests, make_seal, free_seal);
}
