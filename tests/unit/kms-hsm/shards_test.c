/* Ranges of hash keys and plans of changes: whatever is planned, the open shards cover every hash key once, and each new one
 * descends from what it replaces. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "shards.h"

#define OPEN_MAX 256u

/* The open shards of a stream, by range. */
static struct kms_shard open_shards[OPEN_MAX];
static size_t open_count;
static uint32_t next_number;
static uint64_t now_s;

static void
begin(uint32_t count)
{
	open_count = count;
	next_number = count;
	now_s = 1000;
	for (uint32_t i = 0; i < count; i++) {
		open_shards[i] = (struct kms_shard){.number = i, .created_s = now_s};
		kms_shard_range(i, count, &open_shards[i].start, &open_shards[i].end);
	}
}

static const struct kms_shard *
shard_numbered(const struct kms_reshard *plan, uint32_t number)
{
	for (size_t i = 0; i < open_count; i++)
		if (open_shards[i].number == number)
			return &open_shards[i];
	for (size_t i = 0; i < plan->fresh_count; i++)
		if (plan->fresh[i].number == number)
			return &plan->fresh[i];
	return NULL;
}

static bool
is_closing(const struct kms_reshard *plan, uint32_t number)
{
	for (size_t i = 0; i < plan->closing_count; i++)
		if (plan->closing[i] == number)
			return true;
	return false;
}

/* A new shard's range is a part of its parent's, or exactly its two parents'; they are used up; its time is after theirs. */
static void
check_descent(const struct kms_reshard *plan, const struct kms_shard *shard)
{
	const struct kms_shard *a = shard_numbered(plan, shard->parent), *b = NULL;

	assert_true(shard->has_parent && a != NULL && shard->parent < shard->number);
	assert_true(is_closing(plan, a->number) || a->state == KMS_SHARD_PASSING);
	assert_true(shard->created_s > a->created_s && shard->created_s >= now_s);
	if (!shard->has_adjacent) {
		assert_true(shard->start >= a->start && shard->end <= a->end);
		return;
	}
	b = shard_numbered(plan, shard->adjacent);
	assert_true(b != NULL && shard->adjacent < shard->number);
	assert_true(is_closing(plan, b->number) || b->state == KMS_SHARD_PASSING);
	assert_true(shard->created_s > b->created_s);
	assert_true(a->end + 1 == b->start && shard->start == a->start && shard->end == b->end);
}

static int
by_start(const void *a, const void *b)
{
	kms_hash x = ((const struct kms_shard *)a)->start, y = ((const struct kms_shard *)b)->start;

	return x < y ? -1 : x > y;
}

/* Check the plan, and let it have happened. */
static void
perform(struct kms_reshard *plan)
{
	size_t n = 0;

	for (size_t i = 0; i < plan->fresh_count; i++) {
		assert_int_equal(plan->fresh[i].number, next_number + i);
		assert_true(plan->fresh[i].state == KMS_SHARD_OPENING ||
			plan->fresh[i].state == KMS_SHARD_PASSING);
		check_descent(plan, &plan->fresh[i]);
	}
	for (size_t i = 0; i < open_count; i++)
		if (!is_closing(plan, open_shards[i].number))
			open_shards[n++] = open_shards[i];
	for (size_t i = 0; i < plan->fresh_count; i++) {
		assert_true(n < OPEN_MAX);
		if (plan->fresh[i].state == KMS_SHARD_OPENING)
			open_shards[n++] = plan->fresh[i];
	}
	open_count = n;
	next_number += (uint32_t)plan->fresh_count;
	qsort(open_shards, open_count, sizeof(open_shards[0]), by_start);
	kms_hash at = 0;
	for (size_t i = 0; i < open_count; i++) {
		assert_true(open_shards[i].start == at && open_shards[i].end >= at);
		at = open_shards[i].end + 1;
	}
	assert_true(at == 0); /* behind the highest */
	kms_reshard_fini(plan);
}

static void
split(size_t i, kms_hash start)
{
	struct kms_reshard plan;

	assert_ok(kms_reshard_split(&open_shards[i], start, next_number, now_s, &plan));
	assert_int_equal(plan.fresh_count, 2);
	perform(&plan);
}

static void
merge(size_t i)
{
	struct kms_reshard plan;

	assert_ok(
		kms_reshard_merge(&open_shards[i], &open_shards[i + 1], next_number, now_s, &plan));
	assert_int_equal(plan.fresh_count, 1);
	perform(&plan);
}

static void
bring_to(uint32_t target)
{
	struct kms_reshard plan;

	assert_ok(kms_reshard_count(open_shards, open_count, target, next_number, now_s, &plan));
	perform(&plan);
	assert_int_equal(open_count, target);
	for (uint32_t i = 0; i < target; i++) {
		kms_hash start, end;
		kms_shard_range(i, target, &start, &end);
		assert_true(open_shards[i].start == start && open_shards[i].end == end);
	}
}

/* --- */

static void
ranges_cover_every_hash_key_once(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= KMS_SHARDS_MAX; n += n < 70 ? 1 : 709) {
		kms_hash at = 0, start, end, first_end;
		kms_shard_range(0, n, &start, &first_end);
		for (uint32_t i = 0; i < n; i++) {
			kms_shard_range(i, n, &start, &end);
			assert_true(start == at && end >= start);
			if (i + 1 < n)
				assert_true(end - start == first_end);
			at = end + 1;
		}
		assert_true(at == 0);
	}
}

/* As the service gives them for three shards. */
static void
ranges_are_those_that_clients_expect(void **state)
{
	(void)state;
	char text[KMS_HASH_TEXT];
	kms_hash start, end;

	kms_shard_range(1, 3, &start, &end);
	kms_hash_print(start, text);
	assert_string_equal(text, "113427455640312821154458202477256070485");
	kms_shard_range(2, 3, &start, &end);
	kms_hash_print(end, text);
	assert_string_equal(text, "340282366920938463463374607431768211455");
	kms_hash_print(0, text);
	assert_string_equal(text, "0");
}

static void
hash_keys_keep_their_order_as_bytes(void **state)
{
	(void)state;
	const kms_hash keys[] = {0, 1, 0xff, 0x100, (kms_hash)1 << 64, ((kms_hash)1 << 64) + 1,
		KMS_HASH_MAX - 1, KMS_HASH_MAX};
	uint8_t before[KMS_HASH_BYTES], bytes[KMS_HASH_BYTES];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		kms_hash_put(keys[i], bytes);
		assert_true(kms_hash_get(bytes) == keys[i]);
		if (i > 0)
			assert_true(memcmp(before, bytes, sizeof(bytes)) < 0);
		memcpy(before, bytes, sizeof(bytes));
	}
}

static void
split_leaves_both_parts(void **state)
{
	(void)state;
	begin(2);
	split(0, 2);
	assert_true(open_shards[0].end == 1);
	split(2, KMS_HASH_MAX - 1);
	assert_int_equal(open_count, 4);
	assert_int_equal(next_number, 6);
}

static void
merge_joins_neighbours(void **state)
{
	(void)state;
	begin(3);
	merge(1);
	assert_int_equal(open_count, 2);
	merge(0);
	assert_int_equal(open_count, 1);
	assert_int_equal(open_shards[0].number, 4);
	assert_true(open_shards[0].created_s ==
		now_s + 2); /* above its parents', whatever the clock says */
}

static void
ranges_that_are_there_already_are_left_alone(void **state)
{
	(void)state;
	struct kms_reshard plan;

	begin(5);
	assert_ok(kms_reshard_count(open_shards, open_count, 5, next_number, now_s, &plan));
	assert_int_equal(plan.closing_count, 0);
	assert_int_equal(plan.fresh_count, 0);
	kms_reshard_fini(&plan);
	begin(4);
	bring_to(8);
	split(0, 5);
	bring_to(8); /* of the two parts the first again; the other seven stay */
	assert_int_equal(next_number, 4 + 8 + 2 + 1);
}

static void
every_number_leads_to_every_other(void **state)
{
	(void)state;
	for (uint32_t from = 1; from <= 24; from++) {
		for (uint32_t to = (from + 1) / 2; to <= 2 * from; to++) {
			begin(from);
			bring_to(to);
			bring_to(from);
		}
	}
}

static void
uneven_shards_become_even(void **state)
{
	(void)state;
	unsigned seed = 7;

	begin(3);
	for (int i = 0; i < 400; i++) {
		size_t at = (size_t)rand_r(&seed) % open_count;
		kms_hash width = open_shards[at].end - open_shards[at].start;
		now_s += (uint64_t)rand_r(&seed) % 2;
		if (open_count > 1 && (open_count > 60 || rand_r(&seed) % 2 == 0))
			merge(at < open_count - 1 ? at : at - 1);
		else if (width > 4)
			split(at,
				open_shards[at].start + 2 + (kms_hash)rand_r(&seed) % (width - 2));
		if (i % 40 == 39)
			bring_to(1 + (uint32_t)rand_r(&seed) % 90);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_cover_every_hash_key_once),
		cmocka_unit_test(ranges_are_those_that_clients_expect),
		cmocka_unit_test(hash_keys_keep_their_order_as_bytes),
		cmocka_unit_test(split_leaves_both_parts),
		cmocka_unit_test(merge_joins_neighbours),
		cmocka_unit_test(ranges_that_are_there_already_are_left_alone),
		cmocka_unit_test(every_number_leads_to_every_other),
		cmocka_unit_test(uneven_shards_become_even),
	};

	return cmocka_run_group_tests_name("kms_shards", tests, NULL, NULL);
}
