/* A month of five-minute epochs, on a clock of its own: written by a whole ingestd (ingest/sim.h), then read from the horizon
 * by libsealock. Keys and rights are asked for as often as they must be, and nothing grows. What is asked of kmsd's policy is
 * answered by kmsd's own (kms-hsm/decisions.h), on the same clock: it decides at most once in five minutes for each principal
 * and stream. The journal lies on a real disk, whose flushes are left out. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "decisions.h"
#include "facts.h"
#include "ingest/sim.h"
#include "sealock/consumer.h"
#include "slk_test.h"
#include "tempdir.h"

#define DAYS 30u
#define MONTH_NS (DAYS * 86400ull * SLK_NS_PER_S)
#define STEP_NS (40 * SLK_NS_PER_S) /* a key is due at 255 s at the latest, and ends at 300 */
#define HOUR_STEPS 90u
#define UNWRAP_NS (100 * SLK_NS_PER_MS) /* so that reading takes longer than a decision holds */
#define GROWTH_MAX_BYTES (256u << 10)
/* A reader keeps what the key blocks say that it has met: 400 bytes for each epoch. */
#define READ_GROWTH_MAX_BYTES (12u << 20)

int __wrap_fdatasync(int fd);
int
__wrap_fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static char dir[64];
static struct sim *s;

static size_t
heap_bytes(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

/* --- the policy --- */

#define READER "arn:aws:iam::000000000000:role/reader"
#define SERVICE "kinesis.amazonaws.com"
#define ASKERS (SIM_LISTENERS + 2 * SIM_STREAMS)

/* A principal and what it asks about: how often it asked, and how often that was decided. */
static struct asker {
	const char *principal, *resource; /* borrowed */
	uint64_t questions, decisions, last_ns, closest_ns;
} askers[ASKERS];
static struct kms_policy *policy;
static struct kms_iam *iam;
static struct kms_decisions *decisions;

static void
begin_policy(void)
{
	static char *roles[] = {(char *)"arn:aws:iam::000000000000:role/r0",
		(char *)"arn:aws:iam::000000000000:role/r1",
		(char *)"arn:aws:iam::000000000000:role/r2", (char *)READER};
	static char *actions[] = {(char *)"kinesis:*"};
	static char *all = (char *)"*";
	struct kms_config_statement statement = {.effect = (char *)"Allow",
		.principals = roles,
		.principals_count = 4,
		.actions = actions,
		.actions_count = 1,
		.resources = &all,
		.resources_count = 1};
	const struct kms_config config = {.account = (char *)"000000000000",
		.region = (char *)"local",
		.roles = roles,
		.roles_count = 4,
		.policy = &statement,
		.policy_count = 1};
	struct slk_error err = {0};

	assert_ok(kms_policy_new(&config, &policy, &err));
	assert_ok(kms_iam_new(policy, NULL, &iam));
	assert_ok(kms_decisions_new(&decisions));
}

static void
end_policy(void)
{
	kms_decisions_free(decisions);
	kms_iam_free(iam);
	kms_policy_free(policy);
}

static struct asker *
asker_of(const char *principal, const char *resource)
{
	for (unsigned i = 0; i < ASKERS; i++) {
		struct asker *a = &askers[i];
		if (a->principal == NULL)
			*a = (struct asker){principal, resource, .closest_ns = UINT64_MAX};
		if (strcmp(a->principal, principal) == 0 && strcmp(a->resource, resource) == 0)
			return a;
	}
	fail_msg("%s asks for %s, too", principal, resource);
	return NULL;
}

static void
asked(struct sim *sim, const char *principal, const char *action, const char *resource)
{
	const bool is_key = strcmp(action, "kms:GenerateDataKey") == 0;
	const struct kms_facts facts = {.source_arn = resource, .wall_ns = sim_time(sim)};
	const struct kms_question q = {.principal = is_key ? SERVICE : principal,
		.action = action,
		.resource = resource,
		.granted = is_key, /* by who bound the stream to its key */
		.facts = &facts};
	struct asker *a = asker_of(principal, resource);
	char sentence[KMS_SENTENCE_MAX];
	uint64_t before = kms_decisions_made(decisions), now_ns = sim_time(sim);

	assert_ok(kms_decisions_ask(decisions, iam, &q, sim->kms.right_changes, now_ns, sentence));
	a->questions++;
	if (kms_decisions_made(decisions) == before)
		return;
	if (a->decisions++ > 0 && now_ns - a->last_ns < a->closest_ns)
		a->closest_ns = now_ns - a->last_ns;
	a->last_ns = now_ns;
}

/* At most one in five minutes, and not because nobody asked. */
static void
check_decisions(uint64_t span_ns, uint64_t questions_min)
{
	for (unsigned i = 0; i < ASKERS && askers[i].principal != NULL; i++) {
		struct asker *a = &askers[i];
		print_message("%s for %s: %llu questions, %llu decisions\n", a->principal,
			a->resource, (unsigned long long)a->questions,
			(unsigned long long)a->decisions);
		assert_true(a->questions >= questions_min);
		assert_in_range(a->decisions, 1, span_ns / KMS_DECISION_NS + 1);
		assert_true(a->closest_ns >= KMS_DECISION_NS);
	}
	memset(askers, 0, sizeof(askers));
}

/* --- writing --- */

/* What the simulator itself keeps of the month is there before it begins. */
static void
make_room(void)
{
	const uint64_t records = SIM_LISTENERS * MONTH_NS / STEP_NS;

	sim_watch_reserve(records);
	s->record_cap = records;
	s->records = realloc(s->records, records * sizeof(*s->records));
	assert_non_null(s->records);
	for (unsigned id = 1; id <= SIM_STREAMS; id++) {
		for (unsigned k = 0; k < SIM_SHARDS; k++) {
			s->shards[id][k].cap = records;
			s->shards[id][k].ids = calloc(records, sizeof(uint64_t));
			assert_non_null(s->shards[id][k].ids);
		}
	}
}

static void
begin(void)
{
	s = calloc(1, sizeof(*s));
	assert_non_null(s);
	sim_now = s;
	if (setjmp(s->escape) != 0)
		fail_msg("%s", s->sentence);
	sim_begin(s, 1, SIM_PLANT_NONE);
	begin_policy();
	s->kms.asked = asked;
	tempdir_make(dir, sizeof(dir));
	s->dir = dir;
	s->real_disk = true;
	s->heavy = false;
	make_room();
	assert_ok(sim_start(s));
}

/* The threads' turns until nothing is under way; the keeper's, which looks at every file, once an hour. */
static void
turn_until_durable(bool keeper)
{
	sim_turn_control(s);
	for (unsigned turns = 0; turns < 100; turns++) {
		bool durable = true;
		sim_net_step(s);
		for (unsigned i = 0; i < s->workers; i++) {
			sim_turn_worker(s, i);
			sim_turn_lane(s, i);
			durable = durable && s->worker[i]->stage.count == 0 &&
				s->worker[i]->counters.frames == s->queued_head[i] &&
				jnl_lane_durable(s->worker[i]->lane) >= s->worker[i]->appended_lsn;
		}
		if (keeper)
			sim_turn_keeper(s);
		if (durable && s->air_count == 0)
			return;
		simdisk_advance(s->disk, 10 * SLK_NS_PER_MS);
		if (turns > 0)
			sim_turn_control(s); /* it waits for a key */
	}
	fail_msg("records wait though everything is well");
}

static void
write_a_month(void)
{
	const uint64_t begin_ns = sim_time(s);
	size_t day_one = 0, most = 0;

	for (uint64_t step = 0; sim_time(s) - begin_ns < MONTH_NS; step++) {
		if (step % 3 == 0)
			sim_net_send_to(s, (unsigned)(step / 3 % 2));
		turn_until_durable(step % HOUR_STEPS == 0);
		simdisk_advance(s->disk, STEP_NS);
		if (step % 100 != 0)
			continue;
		size_t now = heap_bytes();
		if (sim_time(s) - begin_ns < 86400ull * SLK_NS_PER_S)
			day_one = now > day_one ? now : day_one;
		most = now > most ? now : most;
	}
	print_message(
		"written: %llu records, %llu keys; %zu bytes of heap on the first day, %zu at "
		"most\n",
		(unsigned long long)s->appended, (unsigned long long)s->kms.generated, day_one,
		most);
	assert_true(most <= day_one + GROWTH_MAX_BYTES);
}

/* --- reading --- */

static const char *reading; /* the stream's ARN */

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out, struct slk_error *err)
{
	(void)ctx;
	(void)err;
	asked(s, READER, "kinesis:GetRecords", reading);
	simdisk_advance(s->disk, UNWRAP_NS);
	assert_false(sim_kms_key(s, epoch->wrapped)->unwrapped); /* each once */
	return sim_kms_unwrap(s, epoch->wrapped, out);
}

static uint64_t
read_stream(uint64_t stream_id, const char *arn, struct sealock_keys *keys,
	struct sealock_opener *opener, size_t *out_most)
{
	const struct sealock_consumer_config config = {.journal_dir = dir,
		.stream_arn = arn,
		.stream_id = stream_id,
		.any_shard = true,
		.position = {SEALOCK_FROM_TRIM_HORIZON, 0},
		.clock = simdisk_clock(s->disk)};
	struct sealock_consumer *c = NULL;
	struct sealock_batch batch;
	struct slk_error err = {0};
	uint64_t next[SIM_SHARDS] = {0}, records = 0;

	(void)keys;
	reading = arn;
	assert_ok(sealock_consumer_new(&config, &c, &err));
	do {
		if (sealock_consumer_read(c, opener, 1000, 1u << 20, &batch, &err) != SLK_OK)
			fail_msg("%s", err.text);
		for (size_t i = 0; i < batch.count; i++) {
			const struct sealock_record *r = &batch.records[i];
			struct sim_shard *shard = sim_shard(s, stream_id, r->shard);
			assert_int_equal(r->sequence, next[r->shard]++);
			assert_int_equal(sim_record_check(s, r->data), shard->ids[r->sequence]);
		}
		records += batch.count;
		size_t now = heap_bytes();
		*out_most = now > *out_most ? now : *out_most;
	} while (!batch.at_tip);
	sealock_consumer_free(c);
	return records;
}

static void
read_the_month(void)
{
	const struct sealock_keys_config config = {
		.unwrap = unwrap, .clock = simdisk_clock(s->disk)};
	struct sealock_keys *keys = NULL;
	struct sealock_opener *opener = NULL;
	struct slk_error err = {0};
	uint64_t records = 0, used = 0;

	size_t before = heap_bytes(), most = before;
	uint64_t begin_ns = sim_time(s);
	assert_ok(sealock_keys_new(&config, &keys, &err));
	assert_ok(sealock_opener_new(keys, &opener, &err));
	for (unsigned i = 0; i < SIM_STREAMS; i++)
		records += read_stream(
			s->kms.streams[i].id, s->kms.streams[i].arn, keys, opener, &most);
	for (uint64_t k = 1; k < s->kms.key_count; k++)
		used += s->kms.keys[k].epoch_id != 0;
	print_message(
		"read: %llu records with %llu unwraps of %llu epochs; %zu bytes of heap more\n",
		(unsigned long long)records, (unsigned long long)sealock_keys_unwraps(keys),
		(unsigned long long)used, most - before);
	assert_int_equal(records, s->appended);
	assert_true(sealock_keys_unwraps(keys) <= used);
	assert_true(most <= before + READ_GROWTH_MAX_BYTES);
	check_decisions(sim_time(s) - begin_ns, used / 4);
	sealock_opener_free(opener);
	sealock_keys_free(keys);
}

static void
a_month_of_epochs_is_written_and_read(void **state)
{
	(void)state;
	begin();
	write_a_month();
	/* A key at least every five minutes, for each of two streams, and hardly more. */
	assert_in_range(s->kms.generated, 2 * MONTH_NS / SIM_INTERVAL_NS,
		2 * MONTH_NS / (SIM_INTERVAL_NS / 4 * 3));
	check_decisions(MONTH_NS, MONTH_NS / SIM_INTERVAL_NS);
	sim_stop(s);
	read_the_month();
	sim_end(s);
	end_policy();
	free(s);
	tempdir_remove(dir);
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
	const struct CMUnitTest tests[] = {cmocka_unit_test(a_month_of_epochs_is_written_and_read)};

	return cmocka_run_group_tests_name("ingest_month", tests, setup, teardown);
}
