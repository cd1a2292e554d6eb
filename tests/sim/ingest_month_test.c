/* A month of five-minute epochs, on a clock of its own: written by a whole ingestd (ingest/sim.h), then read from the horizon
 * by libsealock. Keys and rights are asked for as often as they must be, and nothing grows. The journal lies on a real disk,
 * whose flushes are left out. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/sim.h"
#include "sealock/consumer.h"
#include "slk_test.h"
#include "tempdir.h"

#define DAYS 30u
#define MONTH_NS (DAYS * 86400ull * SLK_NS_PER_S)
#define STEP_NS (40 * SLK_NS_PER_S) /* a key is due at 255 s at the latest, and ends at 300 */
#define HOUR_STEPS 90u
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
	print_message("written: %llu records, %llu keys, %llu decisions for the first listener, "
		      "%.1f s apart or more; "
		      "%zu bytes of heap on the first day, %zu at most\n",
		(unsigned long long)s->appended, (unsigned long long)s->kms.generated,
		(unsigned long long)s->kms.decisions[0], (double)s->kms.closest_decisions_ns / 1e9,
		day_one, most);
	assert_true(most <= day_one + GROWTH_MAX_BYTES);
}

/* --- reading --- */

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out, struct slk_error *err)
{
	(void)ctx;
	(void)err;
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
	sim_stop(s);
	read_the_month();
	sim_end(s);
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
