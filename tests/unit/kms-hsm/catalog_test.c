#include "slk_test.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "catalog_db.h"
#include "catalog_rig.h"
#include "catalog_streams.h"

static struct kms_key
key_of(uint8_t number)
{
	struct kms_key key = {.created_ns = number};

	memset(key.id, number, sizeof(key.id));
	memset(key.backing_id, 0x80 + number, sizeof(key.backing_id));
	return key;
}

static const struct kms_check check = {.kcv = {1, 2, 3}, .kcv_cmac = {4, 5, 6, 7, 8}};

static void
make_enabled(uint8_t number)
{
	struct kms_key key = key_of(number);

	assert_ok(kms_catalog_key_begin(catalog, &key, "seven", NULL, 0));
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
}

static void
key_goes_from_creating_to_enabled_and_stays(void **state)
{
	(void)state;
	struct kms_key key = key_of(7), read;
	struct kms_backing backing;

	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_begin(catalog, &key, "seven", NULL, 0));
	assert_ok(kms_catalog_key_get(catalog, key.id, &read));
	assert_int_equal(read.state, KMS_KEY_CREATING);
	catalog_reopen();
	assert_ok(kms_catalog_backing_creating(catalog, NULL, &backing));
	assert_memory_equal(backing.id, key.backing_id, sizeof(key.backing_id));
	assert_memory_equal(backing.key_id, key.id, sizeof(key.id));
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
	catalog_reopen();
	assert_ok(kms_catalog_key_get(catalog, key.id, &read));
	assert_int_equal(read.state, KMS_KEY_ENABLED);
	assert_memory_equal(read.kcv, check.kcv, sizeof(check.kcv));
	assert_memory_equal(read.backing_id, key.backing_id, sizeof(key.backing_id));
	assert_int_equal(kms_catalog_backing_creating(catalog, NULL, &backing), SLK_NOT_FOUND);
	char text[KMS_DESCRIPTION_MAX];
	assert_ok(kms_catalog_description_get(catalog, key.id, text, sizeof(text)));
	assert_string_equal(text, "seven");
}

static void
a_key_that_was_read_before_is_read_as_it_is_now(void **state)
{
	(void)state;
	struct kms_key key = key_of(7), read;

	assert_ok(kms_catalog_key_begin(catalog, &key, "seven", NULL, 0));
	assert_ok(kms_catalog_key_get(catalog, key.id, &read));
	assert_int_equal(read.state, KMS_KEY_CREATING);
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
	for (int i = 0; i < 2; i++) {
		assert_ok(kms_catalog_key_get(catalog, key.id, &read));
		assert_int_equal(read.state, KMS_KEY_ENABLED);
		assert_memory_equal(read.kcv, check.kcv, sizeof(check.kcv));
	}
	assert_int_equal(kms_catalog_key_enable(catalog, key.id, &check), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_switch(catalog, key.id, false));
	for (int i = 0; i < 2; i++) {
		assert_ok(kms_catalog_key_get(catalog, key.id, &read));
		assert_int_equal(read.state, KMS_KEY_DISABLED);
	}
}

/* A key that is enabled has no backing key left to enable: the transaction reads it as enabled and is rolled back. */
static void
what_a_transaction_saw_that_was_rolled_back_is_not_kept(void **state)
{
	(void)state;
	struct kms_key key = key_of(7), read;

	assert_ok(kms_catalog_key_begin(catalog, &key, "seven", NULL, 0));
	assert_int_equal(sqlite3_exec(((struct kms_catalog *)catalog)->db,
				 "UPDATE backings SET state = 2", NULL, NULL, NULL),
		SQLITE_OK);
	assert_true(kms_catalog_key_enable(catalog, key.id, &check) != SLK_OK);
	assert_ok(kms_catalog_key_get(catalog, key.id, &read));
	assert_int_equal(read.state, KMS_KEY_CREATING);
}

/* Ids whose last bytes are the same have one place in memory. */
static void
keys_that_share_a_place_are_told_apart(void **state)
{
	(void)state;
	struct kms_key a = key_of(7), b = key_of(7), read;

	b.id[0] = 8;
	b.backing_id[0] = 8;
	assert_ok(kms_catalog_key_begin(catalog, &a, "a", NULL, 0));
	assert_ok(kms_catalog_key_begin(catalog, &b, "b", NULL, 0));
	for (int i = 0; i < 3; i++) {
		assert_ok(kms_catalog_key_get(catalog, a.id, &read));
		assert_memory_equal(read.backing_id, a.backing_id, sizeof(a.backing_id));
		assert_ok(kms_catalog_key_get(catalog, b.id, &read));
		assert_memory_equal(read.backing_id, b.backing_id, sizeof(b.backing_id));
	}
	b.id[0] = 9;
	assert_int_equal(kms_catalog_key_get(catalog, b.id, &read), SLK_NOT_FOUND);
}

static void
key_is_begun_and_enabled_only_once(void **state)
{
	(void)state;
	struct kms_key key = key_of(7), twin = key_of(8), read;
	const struct kms_check other = {.kcv = {9, 9, 9}};

	make_enabled(7);
	assert_int_equal(kms_catalog_key_begin(catalog, &key, "seven", NULL, 0), SLK_EXISTS);
	assert_int_equal(kms_catalog_key_enable(catalog, key.id, &other), SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_get(catalog, key.id, &read));
	assert_memory_equal(read.kcv, check.kcv, sizeof(check.kcv));
	/* A backing key serves one key; a failed change leaves nothing behind. */
	memcpy(twin.backing_id, key.backing_id, sizeof(twin.backing_id));
	assert_int_equal(kms_catalog_key_begin(catalog, &twin, NULL, NULL, 0), SLK_EXISTS);
	assert_int_equal(kms_catalog_key_get(catalog, twin.id, &read), SLK_NOT_FOUND);
}

static void
appliance_has_one_key_of_each_usage(void **state)
{
	(void)state;
	struct kms_key first = key_of(1), second = key_of(2), read;

	first.manager = second.manager = KMS_MANAGER_APPLIANCE;
	assert_int_equal(kms_catalog_key_appliance(catalog, KMS_USAGE_ENCRYPT_DECRYPT, &read),
		SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_begin(catalog, &first, NULL, NULL, 0));
	assert_int_equal(kms_catalog_key_begin(catalog, &second, NULL, NULL, 0), SLK_EXISTS);
	assert_ok(kms_catalog_key_appliance(catalog, KMS_USAGE_ENCRYPT_DECRYPT, &read));
	assert_memory_equal(read.id, first.id, sizeof(first.id));
	assert_int_equal(read.manager, KMS_MANAGER_APPLIANCE);
	second.spec = KMS_SPEC_ECC_NIST_P256;
	second.usage = KMS_USAGE_SIGN_VERIFY;
	assert_ok(kms_catalog_key_begin(catalog, &second, NULL, NULL, 0));
	assert_ok(kms_catalog_key_appliance(catalog, KMS_USAGE_SIGN_VERIFY, &read));
	assert_memory_equal(read.id, second.id, sizeof(second.id));
}

static void
lists_come_in_pages(void **state)
{
	(void)state;
	struct kms_key keys[3];
	size_t count = 9;

	for (uint8_t i = 1; i <= 5; i++)
		make_enabled(i);
	assert_ok(kms_catalog_key_list(catalog, NULL, keys, 3, &count));
	assert_int_equal(count, 3);
	assert_int_equal(keys[0].id[0], 1);
	assert_ok(kms_catalog_key_list(catalog, keys[2].id, keys, 3, &count));
	assert_int_equal(count, 2);
	assert_int_equal(keys[1].id[0], 5);
	assert_ok(kms_catalog_key_list(catalog, keys[1].id, keys, 3, &count));
	assert_int_equal(count, 0);
}

static void
alias_points_to_a_key_that_is_there(void **state)
{
	(void)state;
	struct kms_alias alias = {.name = "alias/x"}, read;
	struct kms_alias list[2];
	size_t count = 0;

	make_enabled(1);
	memset(alias.key_id, 9, sizeof(alias.key_id));
	assert_int_equal(kms_catalog_alias_create(catalog, &alias, 1), SLK_NOT_FOUND);
	memset(alias.key_id, 1, sizeof(alias.key_id));
	assert_ok(kms_catalog_alias_create(catalog, &alias, 1));
	assert_int_equal(kms_catalog_alias_create(catalog, &alias, 1), SLK_EXISTS);
	assert_ok(kms_catalog_alias_get(catalog, "alias/x", &read));
	assert_memory_equal(read.key_id, alias.key_id, sizeof(read.key_id));
	assert_ok(kms_catalog_alias_list(catalog, alias.key_id, "", list, 2, &count));
	assert_int_equal(count, 1);
	assert_ok(kms_catalog_alias_list(catalog, NULL, "alias/x", list, 2, &count));
	assert_int_equal(count, 0);
	assert_ok(kms_catalog_alias_delete(catalog, "alias/x"));
	assert_int_equal(kms_catalog_alias_delete(catalog, "alias/x"), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_alias_get(catalog, "alias/x", &read), SLK_NOT_FOUND);
}

static uint64_t
make_stream(const char *name)
{
	struct kms_stream stream = {.shard_count = 2, .encrypted_kms = true, .created_ns = 5};
	uint64_t id = 0;

	memset(stream.key_id, 1, sizeof(stream.key_id));
	snprintf(stream.name, sizeof(stream.name), "%s", name);
	assert_ok(kms_catalog_stream_create(catalog, &stream, NULL, 0, &id));
	return id;
}

static void
stream_ids_are_never_given_twice(void **state)
{
	(void)state;
	struct kms_stream read;

	make_enabled(1);
	uint64_t first = make_stream("a"), second = make_stream("b");
	assert_true(second > first);
	assert_ok(kms_catalog_stream_delete(catalog, "b"));
	assert_int_equal(kms_catalog_stream_delete(catalog, "b"), SLK_NOT_FOUND);
	catalog_reopen();
	uint64_t third = make_stream("b");
	assert_true(third > second);
	assert_ok(kms_catalog_stream_get(catalog, "b", &read));
	assert_int_equal(read.id, third);
	assert_int_equal(read.shard_count, 2);
	assert_true(read.encrypted_kms);
}

static void
stream_needs_a_name_of_its_own_and_a_key(void **state)
{
	(void)state;
	struct kms_stream stream = {.shard_count = 1, .name = "a"};
	uint64_t id = 77;

	assert_int_equal(kms_catalog_stream_create(catalog, &stream, NULL, 0, &id), SLK_NOT_FOUND);
	make_enabled(1);
	make_stream("a");
	memset(stream.key_id, 1, sizeof(stream.key_id));
	assert_int_equal(kms_catalog_stream_create(catalog, &stream, NULL, 0, &id), SLK_EXISTS);
	assert_int_equal(id, 77);
}

static void
wraps_are_counted_ahead_and_never_too_few(void **state)
{
	(void)state;
	struct kms_key key = key_of(1);
	uint64_t reserved = 0, used = 0;

	make_enabled(1);
	for (int i = 0; i < 10; i++)
		assert_ok(kms_catalog_wrap_take(catalog, key.backing_id));
	kms_catalog_wrap_add(catalog, key.backing_id, 7);
	assert_ok(kms_catalog_wrap_count(catalog, key.backing_id, &reserved, &used));
	assert_int_equal(used, 17);
	assert_int_equal(reserved, KMS_WRAP_CHUNK);
	catalog_reopen();
	assert_ok(kms_catalog_wrap_count(catalog, key.backing_id, &reserved, &used));
	assert_int_equal(used, KMS_WRAP_CHUNK);
	assert_ok(kms_catalog_wrap_take(catalog, key.backing_id));
	assert_ok(kms_catalog_wrap_count(catalog, key.backing_id, &reserved, &used));
	assert_int_equal(reserved, 2 * KMS_WRAP_CHUNK);
}

static void
unknown_backing_key_counts_no_wraps(void **state)
{
	(void)state;
	uint8_t id[KMS_ID_BYTES] = {0};

	assert_int_equal(kms_catalog_wrap_take(catalog, id), SLK_NOT_FOUND);
	kms_catalog_wrap_add(catalog, id, 5);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db = NULL;

	kms_catalog_close(catalog);
	catalog = NULL;
	assert_int_equal(sqlite3_open(catalog_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
wraps_stop_at_the_limit(void **state)
{
	(void)state;
	struct kms_key key = key_of(1);
	uint64_t reserved = 0, used = 0, taken = 0;
	int rc = SLK_OK;

	make_enabled(1);
	run_sql("UPDATE backings SET wraps_reserved = 2147483648 - 65536");
	catalog_reopen();
	while ((rc = kms_catalog_wrap_take(catalog, key.backing_id)) == SLK_OK)
		taken++;
	assert_int_equal(rc, SLK_LIMIT);
	assert_int_equal(taken, KMS_WRAP_CHUNK - KMS_WRAP_SLACK);
	assert_int_equal(kms_catalog_wrap_take(catalog, key.backing_id), SLK_LIMIT);
	assert_ok(kms_catalog_wrap_count(catalog, key.backing_id, &reserved, &used));
	assert_int_equal(reserved, KMS_WRAP_LIMIT);
	catalog_reopen();
	assert_int_equal(kms_catalog_wrap_take(catalog, key.backing_id), SLK_LIMIT);
}

static void
values_that_cannot_be_are_corrupt(void **state)
{
	(void)state;
	struct kms_key key = key_of(1), read = {.created_ns = 99};
	char text[KMS_DESCRIPTION_MAX];

	make_enabled(1);
	run_sql("UPDATE keys SET state = 17");
	catalog_reopen();
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_CORRUPT);
	run_sql("UPDATE keys SET state = 1; UPDATE backings SET kcv = x'0102'");
	catalog_reopen();
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_CORRUPT);
	run_sql("UPDATE backings SET kcv = x'010203'; UPDATE keys SET description = x'6100'");
	catalog_reopen();
	assert_int_equal(
		kms_catalog_description_get(catalog, key.id, text, sizeof(text)), SLK_CORRUPT);
	run_sql("UPDATE keys SET spec = 4"); /* ECC does not encrypt */
	catalog_reopen();
	assert_int_equal(kms_catalog_key_get(catalog, key.id, &read), SLK_CORRUPT);
	assert_int_equal(read.created_ns, 99);
}

static int
open_again(struct slk_error *err)
{
	struct kms_catalog *second = NULL;
	int rc = kms_catalog_open(catalog_path, &second, err);

	kms_catalog_close(second);
	return rc;
}

/* Another process: POSIX locks do not stop their own. */
static void
second_process_is_refused(void **state)
{
	(void)state;
	int status = 0;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct slk_error err = {0};
		_exit(open_again(&err) == SLK_UNAVAILABLE && strstr(err.text, "in use") != NULL
				? 0
				: 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
later_version_is_refused(void **state)
{
	(void)state;
	struct slk_error err = {0};

	run_sql("PRAGMA user_version = 99");
	assert_int_equal(open_again(&err), SLK_BAD_VERSION);
	run_sql("PRAGMA user_version = 8");
	assert_ok(open_again(&err));
}

static void
file_that_others_may_read_is_refused(void **state)
{
	(void)state;
	struct slk_error err = {0};
	char link_path[320];

	kms_catalog_close(catalog);
	catalog = NULL;
	assert_int_equal(chmod(catalog_path, 0640), 0);
	assert_int_equal(open_again(&err), SLK_DENIED);
	assert_int_equal(chmod(catalog_path, 0600), 0);
	snprintf(link_path, sizeof(link_path), "%s/link.db", catalog_dir);
	assert_int_equal(symlink(catalog_path, link_path), 0);
	assert_int_not_equal(kms_catalog_open(link_path, &catalog, &err), SLK_OK);
	assert_null(catalog);
}

static void
garbage_is_not_taken_for_a_catalog(void **state)
{
	(void)state;
	static char garbage[8192];
	struct slk_error err = {0};
	char other[320];

	memset(garbage, 'x', sizeof(garbage));
	snprintf(other, sizeof(other), "%s/other.db", catalog_dir);
	int fd = open(other, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, garbage, sizeof(garbage)), sizeof(garbage));
	close(fd);
	struct kms_catalog *bad = NULL;
	assert_int_equal(kms_catalog_open(other, &bad, &err), SLK_CORRUPT);
	assert_null(bad);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(key_goes_from_creating_to_enabled_and_stays),
		CASE(a_key_that_was_read_before_is_read_as_it_is_now),
		CASE(what_a_transaction_saw_that_was_rolled_back_is_not_kept),
		CASE(keys_that_share_a_place_are_told_apart),
		CASE(key_is_begun_and_enabled_only_once),
		CASE(appliance_has_one_key_of_each_usage),
		CASE(lists_come_in_pages),
		CASE(alias_points_to_a_key_that_is_there),
		CASE(stream_ids_are_never_given_twice),
		CASE(stream_needs_a_name_of_its_own_and_a_key),
		CASE(wraps_are_counted_ahead_and_never_too_few),
		CASE(unknown_backing_key_counts_no_wraps),
		CASE(wraps_stop_at_the_limit),
		CASE(values_that_cannot_be_are_corrupt),
		CASE(second_process_is_refused),
		CASE(later_version_is_refused),
		CASE(file_that_others_may_read_is_refused),
		CASE(garbage_is_not_taken_for_a_catalog),
	};

	return cmocka_run_group_tests_name("kms_catalog", tests, NULL, NULL);
}
