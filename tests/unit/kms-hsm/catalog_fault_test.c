/* The disk beneath the catalog fails at its n-th call, for each n: what was answered is kept, ids stay unique, wraps are
 * never counted too few. */
#include "slk_test.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "catalog_rig.h"
#include "catalog_streams.h"
#include "faultvfs.h"

static void
reopen(void)
{
	faultvfs_arm(0, false, SQLITE_IOERR);
	catalog_reopen();
}

static int
setup(void **state)
{
	faultvfs_arm(0, false, SQLITE_IOERR);
	return catalog_setup(state);
}

static struct kms_key
key_of(unsigned number)
{
	struct kms_key key = {.created_ns = number};

	memset(key.id, 1, sizeof(key.id));
	memset(key.backing_id, 2, sizeof(key.backing_id));
	slk_put_be32(key.id, number);
	slk_put_be32(key.backing_id, number);
	return key;
}

struct outcome {
	int begin, enable, alias, stream, take;
	uint64_t stream_id, taken;
};

/* Everything that changes the catalog, once. */
static struct outcome
change_everything(unsigned number)
{
	const struct kms_check check = {.kcv = {1, 2, 3}, .kcv_cmac = {4}};
	struct outcome o = {SLK_INVALID, SLK_INVALID, SLK_INVALID, SLK_INVALID, SLK_OK, 0, 0};
	struct kms_key key = key_of(number);
	struct kms_alias alias;
	struct kms_stream stream = {.shard_count = 1};

	o.begin = kms_catalog_key_begin(catalog, &key, NULL, NULL, 0);
	if (o.begin == SLK_OK)
		o.enable = kms_catalog_key_enable(catalog, key.id, &check);
	if (o.begin != SLK_OK)
		return o;
	snprintf(alias.name, sizeof(alias.name), "alias/%u", number);
	memcpy(alias.key_id, key.id, sizeof(alias.key_id));
	o.alias = kms_catalog_alias_create(catalog, &alias, 1);
	snprintf(stream.name, sizeof(stream.name), "s%u", number);
	memcpy(stream.key_id, key.id, sizeof(stream.key_id));
	o.stream = kms_catalog_stream_create(catalog, &stream, NULL, 0, &o.stream_id);
	for (int i = 0; i < 3 && o.take == SLK_OK; i++) {
		o.take = kms_catalog_wrap_take(catalog, key.backing_id);
		o.taken += o.take == SLK_OK;
	}
	return o;
}

/* After a restart: what was answered with SLK_OK is there. */
static void
check(unsigned number, const struct outcome *o, uint64_t *highest_stream)
{
	struct kms_key key = key_of(number), read;
	struct kms_alias alias;
	struct kms_stream stream;
	uint64_t reserved = 0, used = 0;
	char name[32];

	int rc = kms_catalog_key_get(catalog, key.id, &read);
	assert_true(rc == SLK_OK || (rc == SLK_NOT_FOUND && o->begin != SLK_OK));
	if (o->enable == SLK_OK)
		assert_int_equal(read.state, KMS_KEY_ENABLED);
	snprintf(name, sizeof(name), "alias/%u", number);
	if (o->alias == SLK_OK)
		assert_ok(kms_catalog_alias_get(catalog, name, &alias));
	snprintf(name, sizeof(name), "s%u", number);
	if (o->stream == SLK_OK) {
		assert_ok(kms_catalog_stream_get(catalog, name, &stream));
		assert_int_equal(stream.id, o->stream_id);
		assert_true(o->stream_id > *highest_stream);
		*highest_stream = o->stream_id;
	}
	if (o->taken > 0) {
		assert_ok(kms_catalog_wrap_count(catalog, key.backing_id, &reserved, &used));
		assert_true(reserved >= o->taken && used >= o->taken);
	}
}

static void
sweep(bool for_ever, int code)
{
	uint64_t highest = 0;
	bool hit = true;
	unsigned n = 0;

	while (hit) {
		n++;
		faultvfs_arm(n, for_ever, code);
		struct outcome o = change_everything(n);
		hit = faultvfs_hit();
		if (!hit)
			assert_true(o.begin == SLK_OK && o.enable == SLK_OK && o.alias == SLK_OK &&
				o.stream == SLK_OK && o.take == SLK_OK);
		reopen();
		check(n, &o, &highest);
		assert_true(n < 500);
	}
	assert_true(n > 5);
}

static void
failed_write_or_flush_loses_nothing_that_was_answered(void **state)
{
	(void)state;
	sweep(false, SQLITE_IOERR_WRITE);
}

static void
disk_that_stays_broken_loses_nothing_that_was_answered(void **state)
{
	(void)state;
	sweep(true, SQLITE_IOERR_FSYNC);
}

static void
full_disk_loses_nothing_that_was_answered(void **state)
{
	(void)state;
	sweep(true, SQLITE_FULL);
}

static void
after_a_failed_flush_no_change_is_believed_until_a_restart(void **state)
{
	(void)state;
	struct kms_key one = key_of(1), two = key_of(2), read;

	faultvfs_arm(1, true, SQLITE_IOERR_FSYNC);
	assert_int_equal(kms_catalog_key_begin(catalog, &one, NULL, NULL, 0), SLK_IO);
	faultvfs_arm(0, false, SQLITE_OK);
	assert_int_equal(kms_catalog_key_begin(catalog, &two, NULL, NULL, 0), SLK_IO);
	assert_non_null(strstr(kms_catalog_error(catalog), "restart"));
	assert_int_equal(
		kms_catalog_key_get(catalog, two.id, &read), SLK_NOT_FOUND); /* reading goes on */
	reopen();
	assert_ok(kms_catalog_key_begin(catalog, &two, NULL, NULL, 0));
}

static void
full_disk_is_over_when_there_is_room_again(void **state)
{
	(void)state;
	struct kms_key key = key_of(1);

	faultvfs_arm(1, true, SQLITE_FULL);
	assert_int_equal(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0), SLK_DISK_FULL);
	faultvfs_arm(0, false, SQLITE_OK);
	assert_ok(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0));
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(failed_write_or_flush_loses_nothing_that_was_answered),
		CASE(disk_that_stays_broken_loses_nothing_that_was_answered),
		CASE(full_disk_loses_nothing_that_was_answered),
		CASE(after_a_failed_flush_no_change_is_believed_until_a_restart),
		CASE(full_disk_is_over_when_there_is_room_again),
	};

	faultvfs_install();
	return cmocka_run_group_tests_name("kms_catalog_fault", tests, NULL, NULL);
}
