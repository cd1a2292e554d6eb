/* Each invariant of the simulation finds the fault that it is there for: planted at the seams (enum sim_plant), found within
 * 1,000 seeds, and by its own name. ingest_test.c shows that nothing is reported where no fault is.
 *
 *     SLK_SIM_SEED=N ingest_planted_test     every fault with that seed alone, and what was found
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ingest/sim.h"
#include "slk_test.h"

#define SEEDS 1000u

#define BIT(invariant) (1u << (invariant))

/* What a fault may be found by. More than one name where the seed decides what shows first. */
static const unsigned expected[SIM_PLANTS] = {
	[SIM_PLANT_ACK_BEFORE_FLUSH] = BIT(SIM_LOST),
	[SIM_PLANT_APPEND_TWICE] = BIT(SIM_TWICE),
	[SIM_PLANT_KEY_CARRIED_ON] = BIT(SIM_NONCE),
	[SIM_PLANT_WATERMARK_EARLY] = BIT(SIM_WATERMARK),
	[SIM_PLANT_NUMBERS_FORGOTTEN] = BIT(SIM_SEQUENCE),
	[SIM_PLANT_NO_END] = BIT(SIM_EPOCH_END) | BIT(SIM_KEY_LEFT),
	[SIM_PLANT_GRACE_FOR_ALL] = BIT(SIM_EPOCH_END) | BIT(SIM_KEY_LEFT),
	[SIM_PLANT_KEY_LEFT] = BIT(SIM_KEY_LEFT),
	[SIM_PLANT_RECORD_ON_DISK] = BIT(SIM_PLAINTEXT),
	[SIM_PLANT_KEY_ON_DISK] = BIT(SIM_PLAINTEXT),
	[SIM_PLANT_CRC_IGNORED] = BIT(SIM_BELIEVED) | BIT(SIM_SEQUENCE),
	[SIM_PLANT_ALLOW_ALL] = BIT(SIM_REFUSED),
	[SIM_PLANT_NAMELESS] = BIT(SIM_UNTYPED),
	[SIM_PLANT_SILENT_LOSS] = BIT(SIM_UNCOUNTED),
	[SIM_PLANT_NOT_ANNOUNCED] = BIT(SIM_NONCE),
};

/* What a child says of a fault. */
struct found {
	uint64_t seed; /* 0: none */
	enum sim_invariant by;
	char sentence[600];
};

/* A child of its own for each fault, DPDK included, whose memory is shared with whoever forks: after a fault was found,
 * nothing is in order any more. */
static void
look_for(enum sim_plant plant, int fd)
{
	const char *only = getenv("SLK_SIM_SEED");
	uint64_t first = only != NULL ? strtoull(only, NULL, 10) : 1;
	struct found f = {0};

	sim_setup();
	for (uint64_t seed = first; seed <= (only != NULL ? first : SEEDS); seed++) {
		f.by = sim_live(seed, plant, f.sentence);
		if (f.by == SIM_OK)
			continue;
		f.seed = seed;
		break;
	}
	_exit(write(fd, &f, sizeof(f)) == sizeof(f) ? 0 : 1);
}

static struct found
find(enum sim_plant plant)
{
	struct found f = {0};
	int fds[2], status = 0;

	assert_int_equal(pipe(fds), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		look_for(plant, fds[1]);
	close(fds[1]);
	assert_int_equal(read(fds[0], &f, sizeof(f)), sizeof(f));
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	f.sentence[sizeof(f.sentence) - 1] = '\0';
	return f;
}

static void
every_planted_fault_is_found(void **state)
{
	unsigned missed = 0;

	(void)state;
	for (unsigned p = SIM_PLANT_NONE + 1; p < SIM_PLANTS; p++) {
		struct found f = find((enum sim_plant)p);
		print_message("%s: %s\n", sim_plant_name((enum sim_plant)p),
			f.seed != 0 ? f.sentence : "not found");
		missed += f.seed == 0 || (expected[p] & BIT(f.by)) == 0;
	}
	if (getenv("SLK_SIM_SEED") == NULL)
		assert_int_equal(missed, 0);
}

/* All names of invariants but the last, which is for the simulation itself, have a fault that shows them. */
static void
every_invariant_has_a_fault(void **state)
{
	unsigned all = 0;

	(void)state;
	for (unsigned p = 0; p < SIM_PLANTS; p++)
		all |= expected[p];
	for (unsigned i = SIM_OK + 1; i < SIM_STUCK; i++)
		assert_true((all & BIT(i)) != 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(every_invariant_has_a_fault),
		cmocka_unit_test(every_planted_fault_is_found)};

	return cmocka_run_group_tests_name("ingest_planted", tests, NULL, NULL);
}
