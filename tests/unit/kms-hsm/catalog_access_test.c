/* Access keys of users, and the keys of session tokens. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "catalog_access.h"
#include "catalog_rig.h"

static uint64_t
make(enum kms_identity_kind kind, const char *name)
{
	struct kms_identity_row row = {.kind = kind};
	uint64_t id = 0;

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unique_id, sizeof(row.unique_id), "AIDA%s", name);
	assert_ok(kms_catalog_identity_create(
		catalog, &row, kind == KMS_ROLE ? "{t}" : NULL, NULL, 0, &id));
	return id;
}

static int
add(uint64_t user, const char *id)
{
	struct kms_access_key_row row = {
		.user_row = user, .sealed = {{9, 8, 7}, 3}, .created_ns = 5};

	snprintf(row.id, sizeof(row.id), "%s", id);
	return kms_catalog_access_key_create(catalog, &row);
}

static void
an_access_key_comes_back_with_its_user(void **state)
{
	(void)state;
	struct kms_access_key_row row;
	uint64_t alice = make(KMS_USER, "alice");

	assert_ok(add(alice, "AKIA1"));
	catalog_reopen();
	assert_ok(kms_catalog_access_key_get(catalog, "AKIA1", &row));
	assert_string_equal(row.id, "AKIA1");
	assert_int_equal(row.user_row, alice);
	assert_string_equal(row.user, "alice");
	assert_string_equal(row.user_id, "AIDAalice");
	assert_int_equal(row.sealed.len, 3);
	assert_memory_equal(row.sealed.bytes, "\x09\x08\x07", 3);
	assert_true(row.active);
	assert_int_equal(row.created_ns, 5);
	assert_int_equal(row.last_used_ns, 0);
	assert_int_equal(kms_catalog_access_key_get(catalog, "AKIA2", &row), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_access_key_get(catalog, "akia1", &row), SLK_NOT_FOUND);
	assert_string_equal(row.id, "AKIA1");
}

static void
a_user_has_at_most_two_and_a_role_none(void **state)
{
	(void)state;
	uint64_t alice = make(KMS_USER, "alice"), bob = make(KMS_USER, "bob"),
		 role = make(KMS_ROLE, "r");

	assert_ok(add(alice, "AKIA1"));
	assert_ok(add(alice, "AKIA2"));
	assert_int_equal(add(alice, "AKIA3"), SLK_LIMIT);
	assert_int_equal(add(bob, "AKIA2"), SLK_EXISTS);
	assert_ok(add(bob, "AKIA3"));
	assert_int_equal(add(role, "AKIA4"), SLK_NOT_FOUND);
	assert_int_equal(add(99, "AKIA4"), SLK_NOT_FOUND);
	assert_ok(kms_catalog_access_key_delete(catalog, alice, "AKIA1"));
	assert_ok(add(alice, "AKIA1"));
}

static void
lists_are_by_user_and_in_order(void **state)
{
	(void)state;
	struct kms_access_key_row rows[4];
	size_t count = 7;
	uint64_t alice = make(KMS_USER, "alice"), bob = make(KMS_USER, "bob");

	assert_ok(add(alice, "AKIA2"));
	assert_ok(add(bob, "AKIA3"));
	assert_ok(add(alice, "AKIA1"));
	assert_ok(kms_catalog_access_key_list(catalog, alice, "", rows, 4, &count));
	assert_int_equal(count, 2);
	assert_string_equal(rows[0].id, "AKIA1");
	assert_string_equal(rows[1].id, "AKIA2");
	assert_ok(kms_catalog_access_key_list(catalog, alice, "AKIA1", rows, 4, &count));
	assert_int_equal(count, 1);
	assert_ok(kms_catalog_access_key_list(catalog, 99, "", rows, 4, &count));
	assert_int_equal(count, 0);
}

static void
changes_need_the_right_user(void **state)
{
	(void)state;
	struct kms_access_key_row row;
	uint64_t alice = make(KMS_USER, "alice"), bob = make(KMS_USER, "bob");

	assert_ok(add(alice, "AKIA1"));
	assert_int_equal(
		kms_catalog_access_key_switch(catalog, bob, "AKIA1", false), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_access_key_delete(catalog, bob, "AKIA1"), SLK_NOT_FOUND);
	assert_ok(kms_catalog_access_key_get(catalog, "AKIA1", &row));
	assert_true(row.active);
	assert_ok(kms_catalog_access_key_switch(catalog, alice, "AKIA1", false));
	assert_ok(kms_catalog_access_key_used(catalog, "AKIA1", 77));
	assert_ok(kms_catalog_access_key_get(catalog, "AKIA1", &row));
	assert_false(row.active);
	assert_int_equal(row.last_used_ns, 77);
	assert_int_equal(kms_catalog_access_key_used(catalog, "AKIA9", 1), SLK_NOT_FOUND);
}

static void
who_has_one_is_not_deleted(void **state)
{
	(void)state;
	uint64_t alice = make(KMS_USER, "alice");

	assert_ok(add(alice, "AKIA1"));
	assert_int_equal(kms_catalog_identity_delete(catalog, alice), SLK_INVALID_STATE);
	assert_ok(kms_catalog_access_key_delete(catalog, alice, "AKIA1"));
	assert_ok(kms_catalog_identity_delete(catalog, alice));
}

static void
the_two_newest_session_keys_are_kept(void **state)
{
	(void)state;
	struct kms_session_key_row row = {.sealed = {{1}, 1}}, found;

	assert_int_equal(kms_catalog_session_key_get(catalog, NULL, &found), SLK_NOT_FOUND);
	for (uint8_t i = 1; i <= 3; i++) {
		memset(row.id, i, sizeof(row.id));
		row.created_ns = 10 - i; /* whatever the clock says */
		assert_ok(kms_catalog_session_key_add(catalog, &row));
	}
	assert_int_equal(kms_catalog_session_key_add(catalog, &row), SLK_EXISTS);
	catalog_reopen();
	assert_ok(kms_catalog_session_key_get(catalog, NULL, &found));
	assert_int_equal(found.id[0], 3);
	assert_int_equal(found.created_ns, 7);
	memset(row.id, 2, sizeof(row.id));
	assert_ok(kms_catalog_session_key_get(catalog, row.id, &found));
	assert_int_equal(found.id[0], 2);
	memset(row.id, 1, sizeof(row.id));
	assert_int_equal(kms_catalog_session_key_get(catalog, row.id, &found), SLK_NOT_FOUND);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(an_access_key_comes_back_with_its_user),
		CASE(a_user_has_at_most_two_and_a_role_none),
		CASE(lists_are_by_user_and_in_order),
		CASE(changes_need_the_right_user),
		CASE(who_has_one_is_not_deleted),
		CASE(the_two_newest_session_keys_are_kept),
	};

	return cmocka_run_group_tests_name("kms_catalog_access", tests, NULL, NULL);
}
