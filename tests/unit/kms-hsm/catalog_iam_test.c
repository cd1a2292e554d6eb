/* Users, roles, policies and what holds what; and the way there from version 2. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog_iam.h"
#include "catalog_rig.h"
#include "catalog_streams.h"

static char text[KMS_DOCUMENT_MAX];

static struct kms_identity_row
row_of(enum kms_identity_kind kind, const char *name)
{
	static unsigned number;
	struct kms_identity_row row = {.kind = kind, .created_ns = 5};

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unique_id, sizeof(row.unique_id), "AIDA%017u", ++number);
	return row;
}

static uint64_t
make(enum kms_identity_kind kind, const char *name)
{
	const struct kms_identity_row row = row_of(kind, name);
	uint64_t id = 0;

	assert_ok(kms_catalog_identity_create(
		catalog, &row, kind == KMS_ROLE ? "{trust}" : NULL, NULL, 0, &id));
	return id;
}

static uint64_t
make_policy(const char *name)
{
	struct kms_policy_row row = {.created_ns = 7};
	uint64_t id = 0;

	snprintf(row.name, sizeof(row.name), "%s", name);
	assert_ok(kms_catalog_policy_create(catalog, &row, "{policy}", &id));
	return id;
}

static void
identities_are_kept_by_kind_and_name(void **state)
{
	(void)state;
	struct kms_identity_row row, rows[4];
	uint64_t user = make(KMS_USER, "alice"), role = make(KMS_ROLE, "alice"), id;
	size_t count = 0;

	assert_int_not_equal(user, role);
	catalog_reopen();
	assert_ok(kms_catalog_identity_get(catalog, KMS_ROLE, "alice", &row));
	assert_int_equal(row.id, role);
	assert_int_equal(row.kind, KMS_ROLE);
	assert_ok(kms_catalog_trust_get(catalog, role, text, sizeof(text)));
	assert_string_equal(text, "{trust}");
	assert_ok(kms_catalog_trust_set(catalog, role, "{other}"));
	assert_ok(kms_catalog_trust_get(catalog, role, text, sizeof(text)));
	assert_string_equal(text, "{other}");
	assert_int_equal(kms_catalog_trust_get(catalog, user, text, sizeof(text)), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_trust_set(catalog, user, "{}"), SLK_NOT_FOUND);
	/* Another case is the same name to a person, and no name to a look-up. */
	row = row_of(KMS_USER, "Alice");
	assert_int_equal(
		kms_catalog_identity_create(catalog, &row, NULL, NULL, 0, &id), SLK_EXISTS);
	assert_int_equal(kms_catalog_identity_get(catalog, KMS_USER, "Alice", &row), SLK_NOT_FOUND);
	(void)make(KMS_USER, "Bob");
	(void)make(KMS_USER, "carol");
	assert_ok(kms_catalog_identity_list(catalog, KMS_USER, "", rows, 4, &count));
	assert_int_equal(count, 3);
	assert_string_equal(rows[1].name, "Bob");
	assert_ok(kms_catalog_identity_list(catalog, KMS_USER, "Bob", rows, 4, &count));
	assert_int_equal(count, 1);
}

static void
identity_that_holds_something_stays(void **state)
{
	(void)state;
	uint64_t id = make(KMS_USER, "alice"), policy = make_policy("p");

	assert_ok(kms_catalog_inline_put(catalog, id, "in", "{}"));
	assert_int_equal(kms_catalog_identity_delete(catalog, id), SLK_INVALID_STATE);
	assert_ok(kms_catalog_inline_delete(catalog, id, "in"));
	assert_ok(kms_catalog_attach(catalog, id, policy));
	assert_int_equal(kms_catalog_identity_delete(catalog, id), SLK_INVALID_STATE);
	assert_ok(kms_catalog_detach(catalog, id, policy));
	assert_ok(kms_catalog_identity_delete(catalog, id));
	assert_int_equal(kms_catalog_identity_delete(catalog, id), SLK_NOT_FOUND);
	assert_true(make(KMS_USER, "alice") > id); /* never given twice */
}

static void
tags_are_limited(void **state)
{
	(void)state;
	static struct kms_tag tags[KMS_TAGS_MAX + 1], back[KMS_TAGS_MAX];
	const char *gone[] = {"k00", "none"};
	uint64_t id = make(KMS_USER, "alice");
	size_t count = 0;

	for (unsigned i = 0; i < KMS_TAGS_MAX + 1; i++)
		snprintf(tags[i].key, sizeof(tags[i].key), "k%02u", i);
	assert_int_equal(
		kms_catalog_identity_tags_set(catalog, id, tags, KMS_TAGS_MAX + 1), SLK_LIMIT);
	assert_ok(kms_catalog_identity_tags(catalog, id, back, &count));
	assert_int_equal(count, 0);
	assert_ok(kms_catalog_identity_tags_set(catalog, id, tags, KMS_TAGS_MAX));
	assert_ok(kms_catalog_identity_tags_remove(catalog, id, gone, 2));
	assert_ok(kms_catalog_identity_tags(catalog, id, back, &count));
	assert_int_equal(count, KMS_TAGS_MAX - 1);
	assert_string_equal(back[0].key, "k01");
	assert_int_equal(kms_catalog_identity_tags_set(catalog, 99, tags, 1), SLK_NOT_FOUND);
}

static void
inline_policies_are_replaced_and_listed(void **state)
{
	(void)state;
	static char names[3][KMS_POLICY_NAME_MAX];
	uint64_t id = make(KMS_ROLE, "r");
	size_t count = 0;

	assert_ok(kms_catalog_inline_put(catalog, id, "b", "{1}"));
	assert_ok(kms_catalog_inline_put(catalog, id, "a", "{2}"));
	assert_ok(kms_catalog_inline_put(catalog, id, "b", "{3}"));
	assert_ok(kms_catalog_inline_get(catalog, id, "b", text, sizeof(text)));
	assert_string_equal(text, "{3}");
	assert_ok(kms_catalog_inline_list(catalog, id, "", names, 3, &count));
	assert_int_equal(count, 2);
	assert_string_equal(names[0], "a");
	assert_int_equal(kms_catalog_inline_put(catalog, 99, "a", "{}"), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_inline_delete(catalog, id, "c"), SLK_NOT_FOUND);
}

static void
policy_stays_while_somebody_holds_it(void **state)
{
	(void)state;
	uint64_t alice = make(KMS_USER, "alice"), role = make(KMS_ROLE, "r"),
		 policy = make_policy("p");
	struct kms_identity_row holders[4], row;
	struct kms_policy_row policies[4];
	size_t count = 0;

	assert_ok(kms_catalog_attach(catalog, alice, policy));
	assert_ok(kms_catalog_attach(catalog, alice, policy));
	assert_ok(kms_catalog_boundary_set(catalog, alice, policy));
	assert_ok(kms_catalog_boundary_set(catalog, role, policy));
	assert_int_equal(kms_catalog_attach(catalog, alice, 99), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_attach(catalog, 99, policy), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_boundary_set(catalog, alice, 99), SLK_NOT_FOUND);
	assert_ok(kms_catalog_holder_list(catalog, policy, 0, holders, 4, &count));
	assert_int_equal(count, 2);
	assert_ok(kms_catalog_attached_list(catalog, alice, "", policies, 4, &count));
	assert_int_equal(count, 1);
	assert_int_equal(policies[0].holders_count, 2);
	assert_int_equal(kms_catalog_policy_delete(catalog, policy), SLK_INVALID_STATE);
	assert_ok(kms_catalog_detach(catalog, alice, policy));
	assert_int_equal(kms_catalog_policy_delete(catalog, policy), SLK_INVALID_STATE);
	assert_ok(kms_catalog_boundary_set(catalog, alice, 0));
	assert_ok(kms_catalog_boundary_set(catalog, role, 0));
	assert_ok(kms_catalog_identity_get(catalog, KMS_USER, "alice", &row));
	assert_int_equal(row.boundary_id, 0);
	assert_ok(kms_catalog_policy_delete(catalog, policy));
	assert_int_equal(kms_catalog_policy_delete(catalog, policy), SLK_NOT_FOUND);
}

static void
longest_document_comes_back_whole(void **state)
{
	(void)state;
	static char longest[KMS_DOCUMENT_MAX];
	struct kms_policy_row row;
	uint64_t policy = make_policy("p");

	memset(longest, 'p', sizeof(longest) - 1);
	assert_ok(kms_catalog_policy_set(catalog, policy, longest, 9));
	catalog_reopen();
	assert_ok(kms_catalog_policy_text(catalog, policy, text, sizeof(text)));
	assert_string_equal(text, longest);
	assert_ok(kms_catalog_policy_get(catalog, "p", &row));
	assert_int_equal(row.created_ns, 7);
	assert_int_equal(row.changed_ns, 9);
}

static struct kms_key
make_key(uint8_t number)
{
	struct kms_key key = {.created_ns = 1};
	const struct kms_check check = {.kcv = {1, 2, 3}};

	memset(key.id, number, sizeof(key.id));
	memset(key.backing_id, number, sizeof(key.backing_id));
	assert_ok(kms_catalog_key_begin(catalog, &key, NULL, NULL, 0));
	assert_ok(kms_catalog_key_enable(catalog, key.id, &check));
	return key;
}

static void
policies_of_keys_and_streams_end_with_them(void **state)
{
	(void)state;
	struct kms_key one = make_key(1), two = make_key(2);
	struct kms_stream stream = {.name = "s", .shard_count = 1};
	uint8_t id[KMS_ID_BYTES];
	uint64_t stream_id = 0, found = 0;

	memcpy(stream.key_id, two.id, sizeof(stream.key_id));
	assert_ok(kms_catalog_stream_create(catalog, &stream, NULL, 0, &stream_id));
	assert_ok(kms_catalog_key_policy_put(catalog, one.id, "{1}"));
	assert_ok(kms_catalog_key_policy_put(catalog, two.id, "{2}"));
	assert_ok(kms_catalog_key_policy_put(catalog, one.id, "{3}"));
	assert_ok(kms_catalog_stream_policy_put(catalog, stream_id, "{s}"));
	assert_ok(kms_catalog_key_policy_next(catalog, NULL, id, text, sizeof(text)));
	assert_string_equal(text, "{3}");
	assert_memory_equal(id, one.id, sizeof(id));
	assert_ok(kms_catalog_key_policy_next(catalog, id, id, text, sizeof(text)));
	assert_int_equal(
		kms_catalog_key_policy_next(catalog, id, id, text, sizeof(text)), SLK_NOT_FOUND);
	assert_ok(kms_catalog_stream_policy_next(catalog, 0, &found, text, sizeof(text)));
	assert_int_equal(found, stream_id);
	memset(id, 9, sizeof(id));
	assert_int_equal(kms_catalog_key_policy_put(catalog, id, "{}"), SLK_NOT_FOUND);
	assert_int_equal(kms_catalog_stream_policy_put(catalog, 99, "{}"), SLK_NOT_FOUND);

	assert_ok(kms_catalog_key_schedule(catalog, one.id, 1, 7));
	assert_ok(kms_catalog_key_doom(catalog, one.id));
	assert_int_equal(
		kms_catalog_key_policy_get(catalog, one.id, text, sizeof(text)), SLK_NOT_FOUND);
	assert_ok(kms_catalog_stream_delete(catalog, "s"));
	assert_int_equal(kms_catalog_stream_policy_next(catalog, 0, &found, text, sizeof(text)),
		SLK_NOT_FOUND);
	assert_ok(kms_catalog_key_policy_get(catalog, two.id, text, sizeof(text)));
}

/* --- version 2 --- */

static void
copy_second_version(void)
{
	static uint8_t bytes[1 << 20];
	int in = open(SLK_SOURCE_DIR "/tests/unit/kms-hsm/data/catalog_v2.db", O_RDONLY),
	    out = open(catalog_path, O_WRONLY | O_TRUNC);

	assert_true(in >= 0 && out >= 0);
	ssize_t n = read(in, bytes, sizeof(bytes));
	assert_true(n > 0 && n < (ssize_t)sizeof(bytes));
	assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

/* Made by the release before: keys 1 (two tags, alias/x, stream web), 2 (a pair) and 3 (PendingDeletion). */
static void
file_of_version_2_is_brought_up_to_date(void **state)
{
	(void)state;
	static struct kms_tag tags[4];
	struct kms_key key;
	struct kms_stream stream;
	uint8_t id[KMS_ID_BYTES];
	size_t count = 0;

	kms_catalog_close(catalog);
	catalog = NULL;
	copy_second_version();
	for (int i = 0; i < 2; i++) { /* the second time it is up to date */
		catalog_reopen();
		memset(id, 1, sizeof(id));
		assert_ok(kms_catalog_tag_list(catalog, id, "", tags, 4, &count));
		assert_int_equal(count, 2);
		assert_int_equal(
			kms_catalog_key_policy_get(catalog, id, text, sizeof(text)), SLK_NOT_FOUND);
		memset(id, 3, sizeof(id));
		assert_ok(kms_catalog_key_get(catalog, id, &key));
		assert_int_equal(key.state, KMS_KEY_PENDING_DELETION);
		assert_int_equal(key.deletion_days, 7);
		assert_ok(kms_catalog_stream_get(catalog, "web", &stream));
	}
	assert_ok(kms_catalog_stream_policy_put(catalog, stream.id, "{}"));
	assert_ok(kms_catalog_key_policy_put(catalog, id, "{}"));
	(void)make(KMS_ROLE, "r");
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, catalog_setup, catalog_teardown)
	const struct CMUnitTest tests[] = {
		CASE(identities_are_kept_by_kind_and_name),
		CASE(identity_that_holds_something_stays),
		CASE(tags_are_limited),
		CASE(inline_policies_are_replaced_and_listed),
		CASE(policy_stays_while_somebody_holds_it),
		CASE(longest_document_comes_back_whole),
		CASE(policies_of_keys_and_streams_end_with_them),
		CASE(file_of_version_2_is_brought_up_to_date),
	};

	return cmocka_run_group_tests_name("kms_catalog_iam", tests, NULL, NULL);
}
