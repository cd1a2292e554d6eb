#include "slk_test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "catalog_rig.h"
#include "catalog_streams.h"

#define START 1000u

static struct kms_check
check_of(uint8_t number)
{
	struct kms_check check = {.kcv_cmac = {1, 2, 3, 4, 5}};

	memset(check.kcv, number, sizeof(check.kcv));
	return check;
}

static struct kms_key
key_of(uint8_t number)
{
	struct kms_key key = {.created_ns = START};

	memset(key.id, number, sizeof(key.id));
	memset(key.backing_id, number, sizeof(key.backing_id));
	return key;
}

/* Enabled, with backing key (number, number, ...). */
static struct kms_key
make_key(uint8_t number)
{
	struct kms_key key = key_of(number);
	struct kms_check check = check_of(number);

	assert_ok(kms_catalog_key_begin(catalog, &key, "d", NULL, 0));
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	return key;
}

static enum kms_key_state
state_of(const struct kms_key *key)
{
	struct kms_key read;

	assert_ok(kms_catalog_key_get(catalog, key->id, &read));
	return read.state;
}

static void
successor(const struct kms_key *key, uint8_t number, enum kms_backing_kind kind)
{
	uint8_t id[KMS_ID_BYTES];
	struct kms_check check = check_of(number);

	memset(id, number, sizeof(id));
	assert_ok(kms_catalog_backing_begin(catalog, key->id, id, kind, START + number));
	assert_ok(kms_catalog_backing_switch(catalog, id, &check, START + number));
}

/* --- version 1 --- */

static void
copy_first_version(void)
{
	uint8_t bytes[65536];
	int in = open(SLK_SOURCE_DIR "/tests/unit/kms-hsm/data/catalog_v1.db", O_RDONLY),
	    out = open(catalog_path, O_WRONLY | O_TRUNC);

	assert_true(in >= 0 && out >= 0);
	ssize_t n = read(in, bytes, sizeof(bytes));
	assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
	assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

/* As if the stream had been made with them. */
static void
assert_shards_of(const struct kms_stream *stream)
{
	const struct kms_shard_filter all = {.all = true};
	struct kms_shard shards[64];
	kms_hash start, end;
	size_t count = 0;

	assert_ok(kms_catalog_shard_list(catalog, stream->id, &all, 0, shards, 64, &count));
	assert_int_equal(count, stream->shard_count);
	for (uint32_t i = 0; i < count; i++) {
		kms_shard_range(i, stream->shard_count, &start, &end);
		assert_true(shards[i].start == start && shards[i].end == end);
		assert_int_equal(shards[i].number, i);
		assert_int_equal(shards[i].state, KMS_SHARD_OPEN);
		assert_false(shards[i].has_parent);
		assert_int_equal(shards[i].opened_ns, stream->created_ns);
	}
}

/* Made by the release before: keys 1 (Enabled, alias/x, stream a, some wraps), 2 (the appliance's)
 * and 3 (Creating); backing keys 0x80 + n. */
static void
file_of_version_1_is_brought_up_to_date(void **state)
{
	(void)state;
	struct kms_key key = key_of(1);
	struct kms_backing backing;
	struct kms_stream stream;
	struct kms_alias alias;
	uint64_t reserved = 0, used = 0;

	kms_catalog_close(catalog);
	catalog = NULL;
	copy_first_version();
	for (int i = 0; i < 2; i++) { /* the second time it is up to date */
		catalog_reopen();
		assert_ok(kms_catalog_key_get(catalog, key_of(1).id, &key));
		assert_int_equal(key.state, KMS_KEY_ENABLED);
		assert_int_equal(key.spec, KMS_SPEC_SYMMETRIC_DEFAULT);
		assert_int_equal(key.usage, KMS_USAGE_ENCRYPT_DECRYPT);
		assert_int_equal(key.kcv[2], 3);
		assert_int_equal(key.rotation_days, 0);
		assert_int_equal(key.deletion_ns, 0);
		assert_ok(kms_catalog_backing_get(catalog, key.backing_id, &backing));
		assert_int_equal(backing.state, KMS_BACKING_CURRENT);
		assert_int_equal(backing.kind, KMS_BACKING_FIRST);
		assert_int_equal(backing.generation, 1);
		assert_int_equal(backing.current_ns, key.created_ns);
		assert_ok(kms_catalog_wrap_count(catalog, backing.id, &reserved, &used));
		assert_int_equal(used, KMS_WRAP_CHUNK);
		assert_ok(kms_catalog_alias_get(catalog, "alias/x", &alias));
		assert_ok(kms_catalog_stream_get(catalog, "a", &stream));
		assert_int_equal(stream.state, KMS_STREAM_ACTIVE);
		assert_int_equal(stream.retention_hours, KMS_RETENTION_MAX_HOURS);
		assert_int_equal(stream.shards_count, stream.shard_count);
		assert_shards_of(&stream);
		assert_ok(kms_catalog_key_appliance(catalog, KMS_USAGE_ENCRYPT_DECRYPT, &key));
		assert_int_equal(key.id[0], 2);
		assert_int_equal(key.rotation_days, 365);
		assert_int_equal(key.rotation_next_ns, key.created_ns + 365 * KMS_DAY_NS);
		assert_ok(kms_catalog_backing_creating(catalog, NULL, &backing));
		assert_int_equal(backing.key_id[0], 3);
		assert_int_equal(
			kms_catalog_backing_creating(catalog, backing.id, &backing), SLK_NOT_FOUND);
	}
	successor(&key, 0x99, KMS_BACKING_AUTOMATIC);
}

/* --- rotation --- */

static void
successor_becomes_current_and_the_one_before_old(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	struct kms_backing list[4];
	uint8_t id[KMS_ID_BYTES];
	struct kms_check check = check_of(2);
	size_t count = 0;
	uint32_t on_demand = 9;

	memset(id, 2, sizeof(id));
	assert_ok(kms_catalog_backing_begin(catalog, key.id, id, KMS_BACKING_ON_DEMAND, 5));
	catalog_reopen();
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.backing_id[0], 1);
	assert_ok(kms_catalog_backing_list(catalog, key.id, 0, list, 4, &count));
	assert_int_equal(count, 1); /* one that is Creating has not been used yet */
	assert_ok(kms_catalog_backing_next(catalog, key.id, &list[0]));
	assert_ok(kms_catalog_backing_switch(catalog, id, &check, 7));
	assert_int_equal(kms_catalog_backing_switch(catalog, id, &check, 8), SLK_NOT_FOUND);
	catalog_reopen();
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.backing_id[0], 2);
	assert_int_equal(key.kcv[0], 2);
	assert_ok(kms_catalog_backing_list(catalog, key.id, 0, list, 4, &count));
	assert_int_equal(count, 2);
	assert_int_equal(list[0].state, KMS_BACKING_OLD);
	assert_int_equal(list[0].kcv[0], 1);
	assert_int_equal(list[1].state, KMS_BACKING_CURRENT);
	assert_int_equal(list[1].generation, 2);
	assert_int_equal(list[1].current_ns, 7);
	assert_ok(kms_catalog_backing_list(catalog, key.id, 1, list, 4, &count));
	assert_int_equal(count, 1);
	assert_ok(kms_catalog_on_demand_count(catalog, key.id, &on_demand));
	assert_int_equal(on_demand, 1);
}

static void
key_has_one_successor_at_a_time(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	struct kms_backing backing;
	uint8_t id[KMS_ID_BYTES] = {2}, other[KMS_ID_BYTES] = {3};

	assert_int_equal(kms_catalog_backing_next(catalog, key.id, &backing), SLK_NOT_FOUND);
	assert_ok(kms_catalog_backing_begin(catalog, key.id, id, KMS_BACKING_AUTOMATIC, 5));
	assert_int_equal(
		kms_catalog_backing_begin(catalog, key.id, other, KMS_BACKING_ON_DEMAND, 5),
		SLK_EXISTS);
	assert_int_equal(kms_catalog_backing_get(catalog, other, &backing), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_switch(catalog, key.id, false));
	assert_int_equal(
		kms_catalog_backing_begin(catalog, key.id, other, KMS_BACKING_ON_DEMAND, 5),
		SLK_NOT_FOUND);
}

static void
rotation_is_due_by_period_or_by_wear(void **state)
{
	(void)state;
	struct kms_key periodic = make_key(1), worn = make_key(2), fresh = make_key(3), due;
	sqlite3 *db = NULL;

	(void)fresh;
	assert_ok(kms_catalog_rotation_set(catalog, periodic.id, 90, START + 90 * KMS_DAY_NS));
	assert_int_equal(kms_catalog_rotation_due(catalog, START + 90 * KMS_DAY_NS - 1, NULL, &due),
		SLK_NOT_FOUND);
	assert_ok(kms_catalog_rotation_due(catalog, START + 90 * KMS_DAY_NS, NULL, &due));
	assert_memory_equal(due.id, periodic.id, sizeof(due.id));
	kms_catalog_close(catalog);
	catalog = NULL;
	assert_int_equal(sqlite3_open(catalog_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db,
				 "UPDATE backings SET wraps_reserved = 2147483648 - 134217728"
				 " WHERE id = x'02020202020202020202020202020202'",
				 NULL, NULL, NULL),
		SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	catalog_reopen();
	assert_ok(kms_catalog_rotation_due(catalog, START, NULL, &due));
	assert_memory_equal(due.id, worn.id, sizeof(due.id));
	assert_int_equal(kms_catalog_rotation_due(catalog, START, due.id, &due), SLK_NOT_FOUND);
	/* A key that is Disabled rests; its turn comes when it is Enabled again. */
	assert_ok(kms_catalog_key_switch(catalog, worn.id, false));
	assert_int_equal(kms_catalog_rotation_due(catalog, START, NULL, &due), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_switch(catalog, worn.id, true));
	successor(&worn, 0x22, KMS_BACKING_AUTOMATIC);
	assert_int_equal(kms_catalog_rotation_due(catalog, START, NULL, &due), SLK_NOT_FOUND);
}

static void
period_begins_anew_with_a_due_rotation_only(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	uint64_t next_ns = START + 90 * KMS_DAY_NS;
	struct kms_check check = check_of(3);
	uint8_t id[KMS_ID_BYTES];

	assert_ok(kms_catalog_rotation_set(catalog, key.id, 90, next_ns));
	successor(&key, 2, KMS_BACKING_ON_DEMAND);
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.rotation_next_ns, next_ns);
	memset(id, 3, sizeof(id));
	assert_ok(kms_catalog_backing_begin(catalog, key.id, id, KMS_BACKING_AUTOMATIC, next_ns));
	assert_ok(kms_catalog_backing_switch(catalog, id, &check, next_ns + 5));
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.rotation_next_ns, next_ns + 5 + 90 * KMS_DAY_NS);
}

static void
clock_that_went_back_does_not_lose_a_rotation(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	uint64_t year = 365 * KMS_DAY_NS, now = 50 * year;

	assert_ok(kms_catalog_rotation_set(catalog, key.id, 90, now + 90 * KMS_DAY_NS));
	assert_ok(kms_catalog_time_passed(catalog, now, 0));
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.rotation_next_ns, now + 90 * KMS_DAY_NS);
	assert_ok(kms_catalog_time_passed(catalog, now - 10 * year, 0));
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.rotation_next_ns, now - 10 * year + 90 * KMS_DAY_NS);
}

/* --- deletion --- */

static void
deletion_waits_for_both_clocks(void **state)
{
	(void)state;
	struct kms_key key = make_key(1), due;
	uint64_t end = START + 7 * KMS_DAY_NS;

	assert_ok(kms_catalog_key_schedule(catalog, key.id, START, 7));
	assert_int_equal(state_of(&key), KMS_KEY_PENDING_DELETION);
	/* The wall clock alone, ten years ahead. */
	assert_int_equal(
		kms_catalog_key_due(catalog, end + 3650 * KMS_DAY_NS, NULL, &due), SLK_NOT_FOUND);
	assert_ok(kms_catalog_time_passed(catalog, START, 7 * KMS_DAY_NS - 1));
	assert_int_equal(kms_catalog_key_due(catalog, end, NULL, &due), SLK_NOT_FOUND);
	catalog_reopen();
	assert_ok(kms_catalog_time_passed(catalog, START, 1));
	/* The uptime alone. */
	assert_int_equal(kms_catalog_key_due(catalog, end - 1, NULL, &due), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_due(catalog, end, NULL, &due));
	assert_memory_equal(due.id, key.id, sizeof(due.id));
	assert_ok(kms_catalog_key_cancel(catalog, key.id));
	assert_int_equal(state_of(&key), KMS_KEY_DISABLED);
	assert_int_equal(kms_catalog_key_due(catalog, end, NULL, &due), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_key_cancel(catalog, key.id), SLK_NOT_FOUND);
}

static void
destroyed_key_leaves_a_tombstone(void **state)
{
	(void)state;
	struct kms_key key = make_key(1), read;
	struct kms_backing backing;
	struct kms_alias alias = {.name = "alias/x"};
	const struct kms_tag tag = {"k", "v"};
	const struct kms_check check = check_of(1);
	size_t count = 9;

	memcpy(alias.key_id, key.id, sizeof(alias.key_id));
	assert_ok(kms_catalog_alias_create(catalog, &alias, 1));
	assert_ok(kms_catalog_tags_set(catalog, key.id, &tag, 1));
	successor(&key, 2, KMS_BACKING_ON_DEMAND);
	assert_int_equal(kms_catalog_key_doom(catalog, key.id), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_schedule(catalog, key.id, START, 7));
	assert_int_equal(kms_catalog_backing_doomed(catalog, NULL, &backing), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_backing_destroyed(catalog, key.backing_id), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_doom(catalog, key.id));
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_alias_get(catalog, "alias/x", &alias), SLK_NOT_FOUND);
	catalog_reopen();
	assert_ok(kms_catalog_backing_doomed(catalog, NULL, &backing));
	assert_int_equal(backing.id[0], 1);
	assert_ok(kms_catalog_backing_destroyed(catalog, backing.id));
	assert_int_equal(kms_catalog_backing_known(catalog, backing.id), SLK_NOT_FOUND);
	assert_ok(kms_catalog_backing_doomed(catalog, NULL, &backing));
	assert_int_equal(backing.id[0], 2);
	assert_ok(kms_catalog_backing_known(catalog, backing.id));
	assert_ok(kms_catalog_backing_destroyed(catalog, backing.id));
	assert_int_equal(kms_catalog_backing_doomed(catalog, NULL, &backing), SLK_NOT_FOUND);
	catalog_reopen();
	/* Nothing of it can be used, listed, or given again. */
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_key_enable(catalog, key.id, &check), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_key_switch(catalog, key.id, true), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_key_cancel(catalog, key.id), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_tags_set(catalog, key.id, &tag, 1), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_list(catalog, NULL, &read, 1, &count));
	assert_int_equal(count, 0);
	key = key_of(1);
	assert_int_equal(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0), SLK_EXISTS);
	key = key_of(7);
	memset(key.backing_id, 2, sizeof(key.backing_id));
	assert_int_equal(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0), SLK_EXISTS);
}

static void
backing_of_a_key_that_ends_is_not_finished(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	struct kms_backing backing;
	uint8_t id[KMS_ID_BYTES] = {2};

	assert_ok(kms_catalog_backing_begin(catalog, key.id, id, KMS_BACKING_AUTOMATIC, 5));
	assert_ok(kms_catalog_backing_creating(catalog, NULL, &backing));
	assert_ok(kms_catalog_key_schedule(catalog, key.id, START, 7));
	assert_int_equal(kms_catalog_backing_creating(catalog, NULL, &backing), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_cancel(catalog, key.id));
	assert_ok(kms_catalog_backing_creating(catalog, NULL, &backing));
}

/* --- the rest --- */

static void
key_is_switched_and_described(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	char text[KMS_DESCRIPTION_MAX];

	assert_ok(kms_catalog_key_switch(catalog, key.id, false));
	assert_int_equal(state_of(&key), KMS_KEY_DISABLED);
	assert_ok(kms_catalog_key_switch(catalog, key.id, true));
	assert_int_equal(state_of(&key), KMS_KEY_ENABLED);
	assert_ok(kms_catalog_description_set(catalog, key.id, "other"));
	assert_ok(kms_catalog_description_get(catalog, key.id, text, sizeof(text)));
	assert_string_equal(text, "other");
	assert_ok(kms_catalog_key_schedule(catalog, key.id, START, 7));
	assert_int_equal(kms_catalog_key_switch(catalog, key.id, true), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_key_schedule(catalog, key.id, START, 7), SLK_NOT_FOUND);
}

static void
public_key_is_kept_of_a_pair(void **state)
{
	(void)state;
	struct kms_key key = key_of(1), symmetric = make_key(2);
	struct kms_check check = check_of(1);
	static const uint8_t der[] = {0x30, 1, 2, 3};
	uint8_t out[16];
	size_t len = 77;

	key.spec = KMS_SPEC_ECC_NIST_P384;
	key.usage = KMS_USAGE_SIGN_VERIFY;
	assert_ok(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0));
	assert_int_equal(
		kms_catalog_public_key_get(catalog, key.id, out, sizeof(out), &len), SLK_NOT_FOUND);
	check.public_key = slk_span(der, sizeof(der));
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
	assert_int_equal(kms_catalog_public_key_get(catalog, key.id, out, 3, &len), SLK_FULL);
	assert_int_equal(len, 77);
	catalog_reopen();
	assert_ok(kms_catalog_public_key_get(catalog, key.id, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(der));
	assert_memory_equal(out, der, sizeof(der));
	assert_int_equal(kms_catalog_public_key_get(catalog, symmetric.id, out, sizeof(out), &len),
		SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_get(catalog, key.id, &key));
	assert_int_equal(key.spec, KMS_SPEC_ECC_NIST_P384);
	assert_int_equal(key.usage, KMS_USAGE_SIGN_VERIFY);
}

static void
tags_are_set_replaced_and_limited(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	struct kms_tag tags[KMS_TAGS_MAX + 1], read[KMS_TAGS_MAX];
	const char *const gone[] = {"t00", "never there"};
	size_t count = 0;

	memset(tags, 0, sizeof(tags));
	for (size_t i = 0; i < KMS_TAGS_MAX + 1; i++)
		snprintf(tags[i].key, sizeof(tags[i].key), "t%02zu", i);
	assert_int_equal(kms_catalog_tags_set(catalog, key.id, tags, KMS_TAGS_MAX + 1), SLK_LIMIT);
	assert_ok(kms_catalog_tag_list(catalog, key.id, "", read, KMS_TAGS_MAX, &count));
	assert_int_equal(count, 0);
	assert_ok(kms_catalog_tags_set(catalog, key.id, tags, KMS_TAGS_MAX));
	strcpy(tags[1].value, "new");
	assert_ok(kms_catalog_tags_set(catalog, key.id, &tags[1], 1));
	assert_int_equal(kms_catalog_tags_set(catalog, key.id, &tags[KMS_TAGS_MAX], 1), SLK_LIMIT);
	assert_ok(kms_catalog_tags_remove(catalog, key.id, gone, 2));
	assert_ok(kms_catalog_tag_list(catalog, key.id, "", read, KMS_TAGS_MAX, &count));
	assert_int_equal(count, KMS_TAGS_MAX - 1);
	assert_string_equal(read[0].key, "t01");
	assert_string_equal(read[0].value, "new");
	assert_ok(kms_catalog_tag_list(catalog, key.id, "t48", read, KMS_TAGS_MAX, &count));
	assert_int_equal(count, 1);
	/* A key is begun with its tags, or not at all. */
	key = key_of(9);
	assert_int_equal(
		kms_catalog_key_begin(catalog, &key, NULL, tags, KMS_TAGS_MAX + 1), SLK_LIMIT);
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &key), SLK_NOT_FOUND);
}

static void
alias_is_led_elsewhere(void **state)
{
	(void)state;
	struct kms_key key = make_key(1);
	struct kms_alias alias = {.name = "alias/x"};
	uint64_t streams = 9;

	(void)make_key(2);
	memcpy(alias.key_id, key.id, sizeof(alias.key_id));
	assert_int_equal(kms_catalog_alias_update(catalog, &alias), SLK_NOT_FOUND);
	assert_ok(kms_catalog_alias_create(catalog, &alias, 1));
	memset(alias.key_id, 2, sizeof(alias.key_id));
	assert_ok(kms_catalog_alias_update(catalog, &alias));
	memset(alias.key_id, 3, sizeof(alias.key_id));
	assert_int_equal(kms_catalog_alias_update(catalog, &alias), SLK_NOT_FOUND);
	assert_ok(kms_catalog_alias_get(catalog, "alias/x", &alias));
	assert_int_equal(alias.key_id[0], 2);
	assert_ok(kms_catalog_streams_of_key(catalog, key.id, &streams));
	assert_int_equal(streams, 0);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(file_of_version_1_is_brought_up_to_date),
		CASE(successor_becomes_current_and_the_one_before_old),
		CASE(key_has_one_successor_at_a_time),
		CASE(rotation_is_due_by_period_or_by_wear),
		CASE(period_begins_anew_with_a_due_rotation_only),
		CASE(clock_that_went_back_does_not_lose_a_rotation),
		CASE(deletion_waits_for_both_clocks),
		CASE(destroyed_key_leaves_a_tombstone),
		CASE(backing_of_a_key_that_ends_is_not_finished),
		CASE(key_is_switched_and_described),
		CASE(public_key_is_kept_of_a_pair),
		CASE(tags_are_set_replaced_and_limited),
		CASE(alias_is_led_elsewhere),
	};

	return cmocka_run_group_tests_name("kms_catalog_life", tests, NULL, NULL);
}
