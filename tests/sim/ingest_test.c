/* A whole ingestd on a simulated network, disk, KMS and clock: what must always hold, under whatever happens.
 *
 *     ingest_sim_test                    1,000 seeds; ten times as many with SLK_TEST_LONG
 *     SLK_SIM_SEED=N ingest_sim_test     that seed alone, as a failure has printed it
 *     SLK_SIM_SEEDS=N ingest_sim_test    that many
 *     SLK_SIM_LOG=1                      with the program's log
 */
#include <stdio.h>
#include <stdlib.h>

#include "ingest/sim.h"
#include "slk_test.h"

/* A sanitizer takes several times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS 200u
#else
#define SEEDS 1000u
#endif

static void
live(uint64_t seed)
{
	char sentence[600];

	if (sim_live(seed, SIM_PLANT_NONE, sentence) != SIM_OK)
		fail_msg("%s\nagain with: SLK_SIM_SEED=%llu", sentence, (unsigned long long)seed);
}

static void
what_must_always_hold_does(void **state)
{
	const char *only = getenv("SLK_SIM_SEED"), *many = getenv("SLK_SIM_SEEDS");
	uint64_t seeds = getenv("SLK_TEST_LONG") != NULL ? 10 * SEEDS : SEEDS;

	(void)state;
	if (many != NULL)
		seeds = strtoull(many, NULL, 10);
	if (only != NULL)
		live(strtoull(only, NULL, 10));
	for (uint64_t seed = 1; only == NULL && seed <= seeds; seed++)
		live(seed);
	struct sim_totals t = sim_totals();
	print_message(
		"%llu records appended, %llu acknowledged, %llu read; %llu crashes, %llu frames, "
		"%llu puts, %llu rolls, %llu keys\n",
		(unsigned long long)t.records, (unsigned long long)t.acknowledged,
		(unsigned long long)t.read, (unsigned long long)t.crashes,
		(unsigned long long)t.frames, (unsigned long long)t.puts,
		(unsigned long long)t.rolls, (unsigned long long)t.keys);
	if (only == NULL && many == NULL)
		assert_true(t.acknowledged > 0 && t.puts > 0 && t.rolls > 0);
}

static int
setup(void **state)
{
	(void)state;
	sim_setup();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sim_teardown();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(what_must_always_hold_does)};

	return cmocka_run_group_tests_name("ingest_sim", tests, setup, teardown);
}
