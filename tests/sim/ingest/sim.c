/* The process that is simulated: started, killed, stopped; and one life of it from a seed. */
#include "sim.h"

#include <rte_eal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "seal_path.h"
#include "slk_test.h"

struct sim *sim_now;

static struct attester attester;
static struct seal_attest_keys *trusted;
static struct seal_thread *reader_seal;
static struct sim_totals totals;

static const char *const port_names[SIM_PORTS] = {"p0", "p1"};
static const char *const stream_names[SIM_STREAMS] = {"s0", "s1", "s2"};
static const char *const roles[SIM_LISTENERS] = {"arn:aws:iam::000000000000:role/r0",
	"arn:aws:iam::000000000000:role/r1", "arn:aws:iam::000000000000:role/r2"};

const char *
sim_invariant_name(enum sim_invariant invariant)
{
	static const char *const names[SIM_INVARIANTS] = {[SIM_OK] = "nothing",
		[SIM_LOST] = "nothing acknowledged or seen is lost",
		[SIM_TWICE] = "nothing is stored twice",
		[SIM_NONCE] = "no key and nonce are used twice",
		[SIM_WATERMARK] = "no reader goes beyond the watermark",
		[SIM_SEQUENCE] = "no sequence number is given twice",
		[SIM_EPOCH_END] = "epochs end on time",
		[SIM_KEY_LEFT] = "keys are wiped at their end",
		[SIM_PLAINTEXT] = "nothing is written in the clear",
		[SIM_BELIEVED] = "nothing is believed unchecked",
		[SIM_REFUSED] = "the refused put nothing",
		[SIM_UNTYPED] = "every failure has its name and its cause",
		[SIM_UNCOUNTED] = "every record is counted",
		[SIM_STUCK] = "there is an end"};

	return names[invariant];
}

const char *
sim_plant_name(enum sim_plant plant)
{
	static const char *const names[SIM_PLANTS] = {"none", "acknowledged before the flush",
		"appended twice", "the key carried on over a restart",
		"the watermark published early", "numbers forgotten", "a key without an end",
		"grace whatever the KMS says", "a key not wiped",
		"a record written beside its block", "a data key written in the clear",
		"checksums ignored", "every right granted", "an error without a name",
		"a record dropped in silence", "a duplication that is not announced"};

	return names[plant];
}

void
sim_violation(struct sim *s, enum sim_invariant invariant, const char *format, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	snprintf(s->sentence, sizeof(s->sentence),
		"seed %llu, after %llu crashes, at %.3f s: \"%s\" does not hold: %s",
		(unsigned long long)s->seed, (unsigned long long)s->crashes,
		(double)sim_time(s) / 1e9, sim_invariant_name(invariant), text);
	s->violated = invariant;
	longjmp(s->escape, 1);
}

/* --- what all lives share --- */

void
sim_setup(void)
{
	char *argv[] = {(char *)"sim", (char *)"--no-huge", (char *)"-m", (char *)"64",
		(char *)"--no-pci", (char *)"--no-shconf", (char *)"--no-telemetry",
		(char *)"--log-level=error", (char *)"-l", (char *)"0", NULL};
	struct slk_error err = {0};

	slk_log_init("sim", getenv("SLK_SIM_LOG") != NULL ? SLK_LOG_DEBUG : SLK_LOG_ERROR + 1);
	assert_true(rte_eal_init(10, argv) >= 0);
	sim_net_setup();
	attester_init(&attester, "P-256");
	assert_ok(seal_attest_keys_from_der(attester_der(&attester), &trusted));
	assert_ok(seal_thread_new("auto", &reader_seal, &err));
}

void
sim_teardown(void)
{
	seal_thread_free(reader_seal);
	seal_attest_keys_free(trusted);
	attester_fini(&attester);
	sim_net_teardown();
	(void)rte_eal_cleanup();
}

/* --- a seed's configuration --- */

static void
configure(struct sim *s)
{
	static const enum dp_partition_rule rules[SIM_LISTENERS] = {
		DP_PARTITION_SOURCE, DP_PARTITION_ROUND_ROBIN, DP_PARTITION_FIXED};

	s->workers = 1 + (sim_below(s, 4) == 0);
	s->with_puts = sim_below(s, 2) == 0;
	s->heavy = sim_below(s, 10) == 0;
	for (unsigned i = 0; i < SIM_PORTS; i++)
		s->port_configs[i] = (struct dp_port_config){.name = (char *)port_names[i],
			.type = DP_PORT_RING,
			.when_full = sim_below(s, 3) == 0 ? DP_WHEN_FULL_WAIT : DP_WHEN_FULL_DROP,
			.worker = i};
	for (unsigned i = 0; i < SIM_LISTENERS; i++)
		s->listeners[i] = (struct dp_listener_config){.udp_port = 5514 + i,
			.port = (char *)port_names[i % s->workers],
			.stream = (char *)stream_names[i],
			.framing = i == 1 ? DP_FRAMING_LINES : DP_FRAMING_DATAGRAM,
			.max_record_bytes = 4096,
			.partition = {.rule = rules[i]},
			.principal = (char *)roles[i]};
	s->config = (struct dp_config){.eal = {.idle = DP_IDLE_BUSY, .buffers = 1024},
		.ports = s->port_configs,
		.ports_count = s->workers,
		.listeners = s->listeners,
		.listeners_count = SIM_LISTENERS,
		.journal = {.dir = (char *)SIM_DIR, .block_kb = 16, .integrity = DP_ON},
		.kms = {.timeout_ms = 5000},
		.keys = {.renewal_seconds = 300, .grace_seconds = sim_below(s, 2) == 0 ? 0 : 120},
		.engine = (char *)"auto"};
}

void
sim_begin(struct sim *s, uint64_t seed, enum sim_plant plant)
{
	s->seed = seed;
	s->plant = plant;
	s->attester = &attester;
	s->trusted = trusted;
	s->seal = reader_seal;
	s->control_fd = s->door_fd = -1;
	s->dir = SIM_DIR;
	s->disk = simdisk_new(seed);
	sim_now = s;
	sim_watch_reset(s);
	simdisk_watch(s->disk, sim_watch_disk, s);
	configure(s);
	sim_kms_init(s);
	(void)sim_record_new(s, 0, false); /* ids begin with 1 */
	SIM_MUST(s, simdisk_fs(s->disk)->mkdir(s->disk, SIM_DIR, 0750));
	SIM_MUST(s, simdisk_fs(s->disk)->sync_dir(s->disk, "."));
}

static void
add_totals(const struct sim *s)
{
	totals.records += s->appended;
	totals.acknowledged += s->acknowledged;
	totals.read += s->read;
	totals.crashes += s->crashes;
	totals.frames += s->frames;
	totals.puts += s->puts_done;
	totals.rolls += s->rolls;
	totals.keys += s->kms.generated;
	totals.seals = sim_watch_seals();
}

struct sim_totals
sim_totals(void)
{
	return totals;
}

void
sim_end(struct sim *s)
{
	add_totals(s);
	if (s->journal != NULL)
		sim_crash(s, SIMDISK_KILL);
	sim_read_close(s);
	sim_watch_reset(s);
	for (unsigned i = 0; i < SIM_STREAM_IDS * SIM_SHARDS; i++)
		free(s->shards[i / SIM_SHARDS][i % SIM_SHARDS].ids);
	free(s->appends);
	free(s->records);
	free(s->kms.keys);
	simdisk_free(s->disk);
	sim_now = NULL;
}

/* --- the process --- */

static int
start_threads(struct sim *s, struct slk_error *err)
{
	int rc = SLK_OK;

	s->control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	s->door_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	SIM_CHECK(s, SIM_STUCK, s->control_fd >= 0 && s->door_fd >= 0);
	sim_net_open(s);
	for (unsigned i = 0; i < s->workers && rc == SLK_OK; i++) {
		const struct dp_worker_config wc = {.index = i,
			.ports = s->port_lists[i],
			.port_count = 1,
			.config = &s->config,
			.lane = jnl_lane(s->journal, i),
			.clock = simdisk_clock(s->disk),
			.vmgen = &s->vmgen,
			.control_fd = s->control_fd,
			.door_fd = s->door_fd};
		rc = dp_worker_new(&wc, &s->worker[i], err);
		s->puts_failed[i] = 0;
	}
	const struct dp_control_config cc = {.config = &s->config,
		.clock = simdisk_clock(s->disk),
		.workers = s->worker,
		.worker_count = s->workers,
		.vmgen = &s->vmgen,
		.control_fd = s->control_fd,
		.door_fd = s->door_fd};
	if (rc == SLK_OK)
		rc = dp_control_new(&cc, &s->control, err);
	if (rc == SLK_OK)
		rc = dp_keeper_new(&s->config, s->journal, &s->keeper, err);
	return rc;
}

int
sim_start(struct sim *s)
{
	const struct jnl_config config = {.dir = s->dir,
		.lane_count = s->workers,
		.file_bytes = 1u << 20,
		.group_bytes = 64u << 10,
		.group_count = 4,
		.io = "sync",
		.fs = s->real_disk ? NULL : simdisk_fs(s->disk),
		.clock = simdisk_clock(s->disk),
		.sim_io = s->real_disk ? NULL : simdisk_io(s->disk),
		.integrity = true};

	s->disk_failed = s->stopping = false;
	int rc = jnl_open(&config, &s->journal, &s->recovery, &s->start_error);
	if (rc == SLK_OK && s->plant == SIM_PLANT_NUMBERS_FORGOTTEN)
		sim_plant_forget(s->journal);
	if (rc == SLK_OK)
		rc = start_threads(s, &s->start_error);
	s->running = rc == SLK_OK;
	return rc;
}

/* The threads' memory goes; nothing of it reaches anybody. */
static void
free_threads(struct sim *s)
{
	for (unsigned i = 0; i < s->workers; i++) {
		if (s->worker[i] == NULL)
			continue;
		dp_seal_abandon(s->worker[i], DP_LOSS_SHUTDOWN, SLK_UNAVAILABLE);
		dp_seal_end_all(s->worker[i]);
	}
	dp_control_free(s->control);
	dp_keeper_free(s->keeper);
	for (unsigned i = 0; i < s->workers; i++)
		dp_worker_free(s->worker[i]);
	memset(s->worker, 0, sizeof(s->worker));
	s->control = NULL;
	s->keeper = NULL;
	sim_net_close(s);
	if (s->control_fd >= 0)
		close(s->control_fd);
	if (s->door_fd >= 0)
		close(s->door_fd);
	s->control_fd = s->door_fd = -1;
}

static void
count_rolls(struct sim *s)
{
	for (unsigned i = 0; i < s->workers && s->journal != NULL; i++) {
		struct jnl_lane_stats stats;
		jnl_lane_stats(jnl_lane(s->journal, i), &stats);
		s->rolls += stats.rolls;
	}
}

void
sim_crash(struct sim *s, enum simdisk_crash how)
{
	s->running = false;
	count_rolls(s);
	simdisk_watch(s->disk, NULL, NULL); /* a dead process writes nothing */
	simdisk_fail(s->disk, 1, true, SLK_IO);
	free_threads(s);
	jnl_close(s->journal);
	s->journal = NULL;
	sim_put_forget(s);
	sim_watch_died(s);
	sim_read_close(s);
	simdisk_crash(s->disk, how);
	simdisk_watch(s->disk, sim_watch_disk, s);
	s->append_count = 0;
	s->crashes++;
}

void
sim_stop(struct sim *s)
{
	s->stopping = true;
	for (unsigned i = 0; i < s->workers; i++) {
		atomic_store(&s->worker[i]->stop, 1);
		int rc = dp_worker_run(s->worker[i]);
		SIM_CHECK(s, SIM_STUCK, rc == SLK_OK || (rc == SLK_DISK_FAILED && s->disk_failed));
		sim_put_reap(s);
		SIM_CHECK(s, SIM_UNCOUNTED, s->worker[i]->stage.count == 0);
	}
	for (unsigned i = 0; i < SIM_PUTS_MAX; i++)
		SIM_CHECK(s, SIM_UNCOUNTED, s->puts[i].put == NULL || s->disk_failed);
	for (unsigned i = 0; i < s->workers; i++) {
		int rc = 0;
		for (unsigned tries = 0; rc >= 0 && tries < 10000; tries++)
			rc = jnl_lane_turn(jnl_lane(s->journal, i));
		SIM_CHECK(s, SIM_STUCK, rc == SLK_END || s->disk_failed);
		if (rc == SLK_END)
			sim_take_acknowledgements(s, i);
	}
	dp_keeper_stop(s->keeper);
	(void)dp_keeper_run(s->keeper);
	s->running = false;
	count_rolls(s);
	free_threads(s);
	jnl_close(s->journal);
	s->journal = NULL;
	sim_put_forget(s);
	sim_watch_died(s);
	sim_read_close(s);
	simdisk_crash(
		s->disk, SIMDISK_KILL); /* nothing is left of it, whatever state the disk was in */
}

enum sim_invariant
sim_live(uint64_t seed, enum sim_plant plant, char *out_sentence)
{
	struct sim *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	sim_now = s;
	if (setjmp(s->escape) == 0) {
		sim_begin(s, seed, plant);
		sim_life(s);
	}
	enum sim_invariant violated = s->violated;
	if (violated != SIM_OK)
		memcpy(out_sentence, s->sentence, sizeof(s->sentence));
	else
		sim_end(s); /* after a violation nothing is to be relied on: it is left as it is */
	if (violated == SIM_OK)
		free(s);
	return violated;
}
