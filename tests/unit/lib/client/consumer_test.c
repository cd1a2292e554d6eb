/* Batches over real journals, made by the production writer; the KMS is the test. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/record.h"
#include "journal/retention.h"
#include "journal_rig.h"
#include "sealock/consumer.h"

#define ARN "arn:aws:kinesis:local:000000000000:stream/s1"
#define BYTES (1u << 20)

static struct journal_rig rig;
static struct sealock_keys *keys;
static struct sealock_opener *opener;
static struct sealock_consumer *consumer;
static struct sealock_batch batch;
static struct slk_error err;
static int answer; /* of the KMS */
static uint64_t written; /* records, of all shards: the number is their data */

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *out_err)
{
	(void)ctx;
	assert_string_equal(epoch->stream_arn, ARN);
	assert_true(slk_span_equal(epoch->wrapped, slk_span("wrapped", 7)));
	if (answer != SLK_OK)
		return slk_fail(out_err, answer, "the KMS says no");
	return slk_secret_from("0123456789abcdef0123456789abcdef", 32, out_data_key);
}

static int
setup(void **state)
{
	(void)state;
	answer = SLK_OK;
	written = 0;
	journal_rig_init(&rig);
	const struct sealock_keys_config config = {.unwrap = unwrap, .clock = &rig.clock};
	assert_ok(sealock_keys_new(&config, &keys, NULL));
	assert_ok(sealock_opener_new(keys, &opener, NULL));
	journal_rig_open(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	sealock_consumer_free(consumer);
	consumer = NULL;
	sealock_opener_free(opener);
	sealock_keys_free(keys);
	journal_rig_fini(&rig);
	return 0;
}

static void
settle(void)
{
	while (jnl_lane_turn(jnl_lane(rig.journal, 0)) > 0)
		;
}

/* One block of count records "NUMBER" of len bytes, arriving at arrival_ns, arrival_ns + 1, ...; not durable yet. */
static void
append_block(uint32_t shard, unsigned count, size_t len, uint64_t arrival_ns)
{
	struct fmt_record *records = calloc(count, sizeof(*records));
	char *data = malloc((size_t)count * (len + 24));
	struct jnl_append done;
	int rc;

	assert_non_null(records);
	assert_non_null(data);
	for (unsigned i = 0; i < count; i++) {
		char *at = data + (size_t)i * (len + 24);
		memset(at, '.', len + 24);
		int n = snprintf(at, 24, "%llu", (unsigned long long)written++);
		at[n] = '.';
		records[i] = (struct fmt_record){.key = slk_span("key", 3),
			.data = slk_span(at, len),
			.arrival_ns = arrival_ns + i,
			.source = FMT_SOURCE_PUT};
	}
	while ((rc = jnl_lane_append(jnl_lane(rig.journal, 0), rig.seal, rig.epochs[1], shard,
			records, count, &done)) == SLK_AGAIN)
		settle();
	assert_ok(rc);
	free(data);
	free(records);
}

static void
commit(void)
{
	assert_ok(jnl_lane_submit(jnl_lane(rig.journal, 0)));
	settle();
}

static void
write_blocks(unsigned blocks, unsigned count)
{
	for (unsigned i = 0; i < blocks; i++)
		append_block(0, count, 100, rig.wall_ns);
	commit();
}

static int
try_consume(enum sealock_from from, uint64_t value, bool any_shard)
{
	const struct sealock_consumer_config config = {.journal_dir = rig.dir,
		.stream_arn = ARN,
		.stream_id = 1,
		.any_shard = any_shard,
		.position = {from, value},
		.clock = &rig.clock};

	sealock_consumer_free(consumer);
	consumer = NULL;
	return sealock_consumer_new(&config, &consumer, &err);
}

static void
consume(enum sealock_from from, uint64_t value)
{
	assert_ok(try_consume(from, value, false));
}

static int
read_batch(size_t records_max, size_t bytes_max)
{
	return sealock_consumer_read(consumer, opener, records_max, bytes_max, &batch, &err);
}

/* The batch holds numbers first, first + 1, ... which are what the data say, too. */
static void
expect_batch(uint64_t first, size_t count)
{
	size_t bytes = 0;

	assert_int_equal(batch.count, count);
	for (size_t i = 0; i < count; i++) {
		const struct sealock_record *r = &batch.records[i];
		assert_int_equal(r->sequence, first + i);
		assert_int_equal(strtoull((const char *)r->data.ptr, NULL, 10), first + i);
		assert_true(slk_span_equal(r->key, slk_span("key", 3)));
		bytes += r->key.len + r->data.len;
	}
	assert_int_equal(batch.bytes, bytes);
}

/* --- batches --- */

static void
a_batch_goes_over_blocks_and_stops_inside_one(void **state)
{
	(void)state;

	write_blocks(10, 10);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	for (unsigned i = 0; i < 4; i++) {
		assert_ok(read_batch(25, BYTES));
		expect_batch(25 * i, 25);
		assert_true(batch.has_next);
		assert_int_equal(batch.next_sequence, 25 * (i + 1));
		assert_int_equal(batch.at_tip, i == 3);
		assert_int_equal(batch.millis_behind_latest == 0, i == 3);
		assert_false(batch.trimmed);
	}
	assert_ok(read_batch(25, BYTES));
	assert_int_equal(batch.count, 0);
	assert_true(batch.at_tip);
	assert_int_equal(batch.next_sequence, 100);
	assert_int_equal(sealock_keys_unwraps(keys), 1);
}

static void
bytes_limit_a_batch_but_one_record_always_comes(void **state)
{
	(void)state;

	append_block(0, 3, 1000, rig.wall_ns);
	append_block(0, 1, 60000, rig.wall_ns);
	append_block(0, 2, 1000, rig.wall_ns);
	commit();
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(100, 2500));
	expect_batch(0, 2);
	assert_ok(read_batch(100, 2500));
	expect_batch(2, 1); /* the large one would be too much */
	assert_ok(read_batch(100, 2500));
	expect_batch(3, 1);
	assert_ok(read_batch(100, 2006));
	expect_batch(4, 2);
	assert_true(batch.at_tip);
	assert_int_equal(read_batch(0, 1), SLK_INVALID);
	assert_int_equal(read_batch(10001, 1), SLK_INVALID);
	assert_int_equal(read_batch(1, 0), SLK_INVALID);
}

static void
only_what_is_durable_is_read(void **state)
{
	(void)state;

	write_blocks(1, 2);
	append_block(0, 3, 100, rig.wall_ns);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(100, BYTES));
	expect_batch(0, 2);
	assert_true(batch.at_tip);
	assert_ok(read_batch(100, BYTES));
	assert_int_equal(batch.count, 0);
	commit();
	assert_ok(read_batch(100, BYTES));
	expect_batch(2, 3);
}

static void
a_reader_lives_through_rolls_and_restarts(void **state)
{
	(void)state;
	uint64_t next = 0;

	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 100; i++)
			append_block(0, 5, 8000, rig.wall_ns);
		commit();
		do {
			assert_ok(read_batch(300, BYTES));
			expect_batch(next, batch.count);
			next += batch.count;
		} while (!batch.at_tip);
		assert_int_equal(next, 500 * (round + 1));
		journal_rig_close(&rig, round == 0);
		journal_rig_open(&rig);
	}
	assert_true(journal_rig_files(&rig) > 6);
	assert_int_equal(sealock_keys_unwraps(keys), 3); /* one per epoch */
}

static void
millis_tell_how_far_behind(void **state)
{
	(void)state;
	uint64_t now = rig.wall_ns;

	append_block(0, 1, 10, now - 5000 * SLK_NS_PER_MS);
	append_block(0, 1, 10, now - 3000 * SLK_NS_PER_MS);
	append_block(0, 1, 10, now + 1000 * SLK_NS_PER_MS);
	append_block(0, 1, 10, now);
	commit();
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(1, BYTES));
	assert_int_equal(batch.millis_behind_latest, 5000);
	assert_ok(read_batch(1, BYTES));
	assert_int_equal(batch.millis_behind_latest, 3000);
	assert_ok(read_batch(1, BYTES));
	assert_int_equal(batch.millis_behind_latest, 1); /* not at the tip, whatever clocks say */
	assert_ok(read_batch(1, BYTES));
	assert_int_equal(batch.millis_behind_latest, 0);
}

/* --- places --- */

static void
a_sequence_number_is_found_inside_a_block(void **state)
{
	(void)state;

	write_blocks(5, 10);
	consume(SEALOCK_FROM_AT_SEQUENCE, 17);
	assert_ok(read_batch(5, BYTES));
	expect_batch(17, 5);
	assert_false(batch.trimmed);
	consume(SEALOCK_FROM_AFTER_SEQUENCE, 17);
	assert_ok(read_batch(5, BYTES));
	expect_batch(18, 5);
	consume(SEALOCK_FROM_AFTER_SEQUENCE, 49);
	assert_ok(read_batch(5, BYTES));
	expect_batch(50, 0);
	assert_true(batch.at_tip);
	assert_int_equal(batch.next_sequence, 50);
	write_blocks(1, 2);
	assert_ok(read_batch(5, BYTES));
	expect_batch(50, 2);
	/* A number that comes later. */
	consume(SEALOCK_FROM_AT_SEQUENCE, 53);
	write_blocks(1, 3);
	assert_ok(read_batch(5, BYTES));
	expect_batch(53, 2);
	assert_int_equal(try_consume(SEALOCK_FROM_AFTER_SEQUENCE, UINT64_MAX, false), SLK_INVALID);
	assert_int_equal(try_consume((enum sealock_from)9, 0, false), SLK_INVALID);
}

static void
latest_is_what_comes_after_now(void **state)
{
	(void)state;
	uint64_t next = 99;

	assert_ok(sealock_shard_latest(rig.dir, 1, 0, &next, NULL));
	assert_int_equal(next, 0);
	write_blocks(5, 10);
	consume(SEALOCK_FROM_LATEST, 0);
	assert_ok(read_batch(5, BYTES));
	assert_int_equal(batch.count, 0);
	assert_true(batch.at_tip);
	assert_false(batch.has_next);
	assert_ok(sealock_shard_latest(rig.dir, 1, 0, &next, NULL));
	assert_int_equal(next, 50);
	write_blocks(1, 3);
	assert_ok(read_batch(5, BYTES));
	expect_batch(50, 3);
	consume(SEALOCK_FROM_AT_SEQUENCE, next); /* the same, as a number */
	assert_ok(read_batch(5, BYTES));
	expect_batch(50, 3);
}

static void
a_time_is_found_inside_a_block_and_all_behind_it_comes(void **state)
{
	(void)state;

	append_block(0, 4, 10, 1000);
	append_block(0, 4, 10, 2000); /* 2000..2003 */
	append_block(0, 4, 10, 500); /* the clock went back */
	commit();
	consume(SEALOCK_FROM_AT_TIME, 2002);
	assert_ok(read_batch(100, BYTES));
	expect_batch(6, 6);
	consume(SEALOCK_FROM_AT_TIME, 2000);
	assert_ok(read_batch(100, BYTES));
	expect_batch(4, 8);
	consume(SEALOCK_FROM_AT_TIME, 1);
	assert_ok(read_batch(100, BYTES));
	expect_batch(0, 12);
	consume(SEALOCK_FROM_AT_TIME, 3000);
	assert_ok(read_batch(100, BYTES));
	assert_int_equal(batch.count, 0);
	append_block(0, 1, 10, 3000);
	commit();
	assert_ok(read_batch(100, BYTES));
	expect_batch(12, 1);
}

static void
a_consumer_can_be_put_elsewhere(void **state)
{
	(void)state;

	write_blocks(5, 10);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(15, BYTES));
	const struct slk_span last = batch.records[14].data;
	assert_ok(sealock_consumer_seek(
		consumer, &(struct sealock_position){SEALOCK_FROM_AFTER_SEQUENCE, 14}, &err));
	assert_true(last.ptr[0] == '1'); /* it stood there: nothing was done */
	assert_ok(read_batch(5, BYTES));
	expect_batch(15, 5);
	assert_ok(sealock_consumer_seek(
		consumer, &(struct sealock_position){SEALOCK_FROM_AT_SEQUENCE, 3}, &err));
	assert_ok(read_batch(5, BYTES));
	expect_batch(3, 5);
	assert_ok(sealock_consumer_seek(
		consumer, &(struct sealock_position){SEALOCK_FROM_LATEST, 0}, &err));
	assert_ok(read_batch(5, BYTES));
	assert_int_equal(batch.count, 0);
	assert_int_equal(sealock_consumer_seek(consumer,
				 &(struct sealock_position){(enum sealock_from)7, 0}, &err),
		SLK_INVALID);
}

static void
shards_are_read_apart_or_together(void **state)
{
	(void)state;
	unsigned count[2] = {0, 0};

	for (unsigned i = 0; i < 10; i++) {
		append_block(0, 2, 10, 1000 + i);
		append_block(1, 3, 10, 1000 + i);
	}
	commit();
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(100, BYTES));
	assert_int_equal(batch.count, 20);
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(batch.records[i].shard, 0);
		assert_int_equal(batch.records[i].sequence, i);
	}
	assert_ok(try_consume(SEALOCK_FROM_TRIM_HORIZON, 0, true));
	assert_ok(read_batch(100, BYTES));
	assert_int_equal(batch.count, 50);
	assert_false(batch.has_next);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(batch.records[i].sequence, count[batch.records[i].shard]++);
	/* A number counts in each of them. */
	assert_ok(try_consume(SEALOCK_FROM_AT_SEQUENCE, 19, true));
	assert_ok(read_batch(100, BYTES));
	assert_int_equal(batch.count, 1 + 11);
	assert_false(batch.trimmed);
}

/* --- retention --- */

static void
trimming_is_told_once(void **state)
{
	(void)state;
	struct jnl_retained r;

	for (unsigned i = 0; i < 800; i++)
		append_block(0, 1, 8000, rig.wall_ns);
	commit();
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(1, BYTES));
	expect_batch(0, 1);
	assert_ok(jnl_retain(rig.journal, &(struct jnl_retention){.bytes = 2u << 20}, &r, NULL));
	assert_true(r.files >= 3);
	for (unsigned i = 0; i < 300; i++) /* the files' bytes are others' by now */
		append_block(0, 1, 8000, rig.wall_ns);
	commit();
	uint64_t next = 1, oldest = 0;
	unsigned told = 0;
	for (;;) {
		assert_ok(read_batch(50, BYTES));
		if (batch.trimmed) {
			assert_true(batch.count > 0);
			oldest = next = batch.records[0].sequence;
			assert_true(next > 100);
			told++;
		}
		expect_batch(next, batch.count);
		next += batch.count;
		if (batch.at_tip)
			break;
	}
	assert_int_equal(told, 1);
	assert_int_equal(next, 1100);
	/* Who asks for what is gone is told, and who asks for the oldest is not. */
	consume(SEALOCK_FROM_AT_SEQUENCE, 5);
	assert_ok(read_batch(50, BYTES));
	assert_true(batch.trimmed);
	assert_true(batch.records[0].sequence >= oldest);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(50, BYTES));
	assert_false(batch.trimmed);
}

/* --- refusals and damage --- */

static void
a_refused_key_moves_nothing(void **state)
{
	(void)state;

	write_blocks(2, 10);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	answer = SLK_DENIED;
	for (unsigned i = 0; i < 2; i++) {
		memset(&batch, 0xff, sizeof(batch));
		assert_int_equal(read_batch(100, BYTES), SLK_DENIED);
		assert_int_equal(batch.count, SIZE_MAX); /* untouched */
		assert_non_null(strstr(err.text, "the KMS says no"));
	}
	answer = SLK_OK;
	assert_ok(read_batch(100, BYTES));
	expect_batch(0, 20);
}

static void
records_in_front_of_a_refusal_come_first(void **state)
{
	(void)state;

	write_blocks(2, 10);
	journal_rig_close(&rig, true);
	journal_rig_open(&rig); /* another epoch */
	write_blocks(2, 10);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(5, BYTES));
	answer = SLK_UNAVAILABLE;
	assert_ok(read_batch(100, BYTES));
	expect_batch(5, 15);
	assert_false(batch.at_tip);
	assert_int_equal(batch.next_sequence, 20);
	assert_int_equal(read_batch(100, BYTES), SLK_UNAVAILABLE);
	answer = SLK_OK;
	assert_ok(read_batch(100, BYTES));
	expect_batch(20, 20);
	/* A right that is withdrawn takes effect within the age of the keys. */
	answer = SLK_DENIED;
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_ok(read_batch(100, BYTES));
	rig.mono_ns += 300 * SLK_NS_PER_S;
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	assert_int_equal(read_batch(100, BYTES), SLK_DENIED);
}

/* Change one byte of the first lane file; where is an offset in it. */
static void
flip(uint64_t where)
{
	char path[400];
	uint8_t byte;

	snprintf(path, sizeof(path), "%s/%020u.slj", rig.dir, 1u);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, (off_t)where), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)where), 1);
	close(fd);
}

static void
damage_is_told_with_its_place_and_passed_by(void **state)
{
	(void)state;
	uint64_t next = 0;
	unsigned damaged = 0;

	for (unsigned i = 0; i < 20; i++) {
		append_block(0, 2, 7900, rig.wall_ns); /* a group of 16 KiB */
		commit();
	}
	flip(4096 + 6 * 16384 + 8000);
	consume(SEALOCK_FROM_TRIM_HORIZON, 0);
	for (;;) {
		int rc = read_batch(3, BYTES);
		if (rc == SLK_CORRUPT) {
			assert_non_null(strstr(err.text, "00000000000000000001.slj: damaged from"));
			damaged++;
			next += 2;
			continue;
		}
		assert_ok(rc);
		assert_false(batch.trimmed);
		expect_batch(next, batch.count);
		next += batch.count;
		if (batch.at_tip)
			break;
	}
	assert_int_equal(damaged, 1);
	assert_int_equal(next, 40);
}

static void
a_wrong_data_key_opens_nothing(void **state)
{
	(void)state;
	struct sealock_consumer_config config = {.journal_dir = rig.dir,
		.stream_arn = "arn:aws:kinesis:local:000000000000:stream/s2",
		.stream_id = 1};

	write_blocks(2, 3);
	/* A consumer of another stream's name: the key block is not its own. */
	assert_ok(sealock_consumer_new(&config, &consumer, &err));
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(read_batch(10, BYTES), SLK_CORRUPT);
		assert_non_null(strstr(err.text, "is left out"));
	}
	assert_ok(read_batch(10, BYTES));
	assert_int_equal(batch.count, 0);
	assert_true(batch.at_tip);
	assert_int_equal(batch.next_sequence, 6);
	assert_int_equal(sealock_keys_unwraps(keys), 0);
	config.journal_dir = "/nonexistent";
	struct sealock_consumer *none = NULL;
	assert_int_equal(sealock_consumer_new(&config, &none, &err), SLK_NOT_FOUND);
	assert_null(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_batch_goes_over_blocks_and_stops_inside_one),
		TEST(bytes_limit_a_batch_but_one_record_always_comes),
		TEST(only_what_is_durable_is_read),
		TEST(a_reader_lives_through_rolls_and_restarts),
		TEST(millis_tell_how_far_behind),
		TEST(a_sequence_number_is_found_inside_a_block),
		TEST(latest_is_what_comes_after_now),
		TEST(a_time_is_found_inside_a_block_and_all_behind_it_comes),
		TEST(a_consumer_can_be_put_elsewhere),
		TEST(shards_are_read_apart_or_together),
		TEST(trimming_is_told_once),
		TEST(a_refused_key_moves_nothing),
		TEST(records_in_front_of_a_refusal_come_first),
		TEST(damage_is_told_with_its_place_and_passed_by),
		TEST(a_wrong_data_key_opens_nothing),
#undef TEST
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
