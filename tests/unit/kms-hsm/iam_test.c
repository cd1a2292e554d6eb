/* Identities and policies in memory: all of the catalog is found again, and what could not be read or taken over denies. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "catalog_db.h"
#include "catalog_world.h"
#include "decide.h"
#include "facts.h"
#include "faultvfs.h"
#include "heapcount.h"

#define ALICE_ARN "arn:aws:iam::000000000000:user/alice"
#define ROOT_ARN "arn:aws:iam::000000000000:root"
#define ALLOW \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*\"," \
	"\"Resource\":\"*\"}}"

static char account[] = "000000000000", region[] = "local";
static struct kms_policy *policy;

static int
setup(void **state)
{
	static char *root = (char *)"root", *all = (char *)"*";
	struct kms_config_statement s = {.effect = (char *)"Allow",
		.principals = &root,
		.principals_count = 1,
		.actions = &all,
		.actions_count = 1,
		.resources = &all,
		.resources_count = 1};
	struct kms_config config = {
		.account = account, .region = region, .policy = &s, .policy_count = 1};

	(void)state;
	assert_ok(kms_policy_new(&config, &policy, NULL));
	return catalog_setup(NULL);
}

static int
teardown(void **state)
{
	(void)state;
	kms_policy_free(policy);
	return catalog_teardown(NULL);
}

static int
decide(const struct kms_iam *iam, const char *principal, char *sentence)
{
	const struct kms_question q = {
		.principal = principal, .action = "kms:ListKeys", .resource = "*"};

	return kms_policy_decide(iam, &q, sentence);
}

static uint64_t
add_user(const char *name, const char *document)
{
	struct kms_identity_row row = {.kind = KMS_USER};
	uint64_t id = 0;

	snprintf(row.name, sizeof(row.name), "%s", name);
	snprintf(row.unique_id, sizeof(row.unique_id), "AIDA%.16s", name);
	assert_ok(kms_catalog_identity_create(catalog, &row, NULL, NULL, 0, &id));
	if (document != NULL)
		assert_ok(kms_catalog_inline_put(catalog, id, "p", document));
	return id;
}

/* More than a page of each. */
static void
all_that_the_catalog_has_is_found_again(void **state)
{
	(void)state;
	struct kms_iam *iam = NULL;
	char name[32], arn[KMS_ARN_MAX], sentence[KMS_SENTENCE_MAX];

	for (unsigned i = 0; i < 120; i++) {
		struct kms_policy_row row = {0};
		uint64_t policy_id;
		snprintf(name, sizeof(name), "n%03u", i);
		uint64_t id = add_user(name, NULL);
		memcpy(row.name, name, sizeof(name));
		assert_ok(kms_catalog_policy_create(catalog, &row, ALLOW, &policy_id));
		if (i % 2 == 0)
			assert_ok(kms_catalog_attach(catalog, id, policy_id));
	}
	assert_ok(kms_iam_new(policy, catalog, &iam));
	assert_int_equal(kms_iam_policies_count(iam), 120);
	for (unsigned i = 0; i < 120; i++) {
		snprintf(arn, sizeof(arn), "arn:aws:iam::000000000000:user/n%03u", i);
		assert_int_equal(decide(iam, arn, sentence), i % 2 == 0 ? SLK_OK : SLK_DENIED);
	}
	assert_null(kms_iam_find(iam, "arn:aws:iam::000000000000:user/n120"));
	assert_null(kms_iam_find(iam, "arn:aws:iam::000000000000:user/N000"));
	kms_iam_free(iam);
}

/* The world's documents are none. */
static void
what_cannot_be_parsed_denies_its_own_and_no_other(void **state)
{
	(void)state;
	struct kms_iam *iam = NULL;
	char sentence[KMS_SENTENCE_MAX];

	world_begin();
	(void)add_user("good", ALLOW);
	assert_ok(kms_iam_new(policy, catalog, &iam));
	assert_int_equal(decide(iam, ALICE_ARN, sentence), SLK_DENIED);
	assert_non_null(strstr(sentence, "cannot be read"));
	assert_ok(decide(iam, "arn:aws:iam::000000000000:user/good", sentence));
	assert_ok(decide(iam, ROOT_ARN, sentence));
	assert_null(kms_iam_key_policy(iam, id_of(TURNED))->parsed);
	assert_non_null(kms_iam_key_policy(iam, id_of(TURNING))->parsed); /* the default */
	assert_null(kms_iam_stream_policy(iam, "s")->parsed);
	assert_null(kms_iam_stream_policy(iam, "t"));
	kms_iam_free(iam);
}

static void
start_fails_where_the_catalog_cannot_be_read(void **state)
{
	(void)state;
	bool hit = true;

	for (unsigned n = 1; hit; n++) {
		struct kms_iam *iam = NULL;
		assert_true(n < WORLD_CALLS_MAX);
		world_begin(); /* nothing is cached */
		faultvfs_arm_reads(n, true);
		int rc = kms_iam_new(policy, catalog, &iam);
		hit = faultvfs_hit();
		world_disarm();
		assert_int_equal(rc, hit ? SLK_IO : SLK_OK);
		assert_true((iam == NULL) == hit);
		kms_iam_free(iam);
	}
}

static int
change_identity(struct kms_iam *iam)
{
	return kms_iam_identity_changed(iam, KMS_USER, "alice");
}

static int
change_policy(struct kms_iam *iam)
{
	return kms_iam_policy_changed(iam, "held");
}

static int
change_key(struct kms_iam *iam)
{
	return kms_iam_key_changed(iam, id_of(TURNED));
}

static int
change_stream(struct kms_iam *iam)
{
	return kms_iam_stream_changed(iam, "s");
}

/* The change is in the catalog, and not here: nobody is let in by what was before. */
static void
change_that_cannot_be_taken_over_denies_everything(void **state)
{
	(void)state;
	static int (*const changes[])(struct kms_iam *) = {
		change_identity, change_policy, change_key, change_stream};
	char sentence[KMS_SENTENCE_MAX];

	for (size_t i = 0; i < COUNT(changes); i++) {
		struct kms_iam *iam = NULL;
		world_begin();
		assert_ok(kms_iam_new(policy, catalog, &iam));
		assert_ok(decide(iam, ROOT_ARN, sentence));
		assert_ok(changes[i](iam)); /* nothing was changed */
		assert_false(kms_iam_is_stale(iam));
		(void)sqlite3_db_release_memory(catalog->db); /* so that the disk is asked */
		faultvfs_arm_reads(1, true);
		assert_int_equal(changes[i](iam), SLK_IO);
		world_disarm();
		assert_true(kms_iam_is_stale(iam));
		assert_int_equal(decide(iam, ROOT_ARN, sentence), SLK_DENIED);
		assert_non_null(strstr(sentence, "restart"));
		kms_iam_free(iam);
		assert_ok(kms_iam_new(policy, catalog, &iam)); /* as a restart does */
		assert_ok(decide(iam, ROOT_ARN, sentence));
		kms_iam_free(iam);
	}
}

/* Documents of user and key, conditions of all kinds but on the key's tags and aliases, which the catalog is asked for. */
static void
decision_allocates_nothing(void **state)
{
	(void)state;
	static const char identity[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":\"kms:*"
		"\","
		"\"Resource\":\"*\",\"Condition\":{\"StringEquals\":{"
		"\"kms:EncryptionContext:dept\":\"web\",\"aws:username\":\"alice\","
		"\"kms:KeySpec\":\"SYMMETRIC_DEFAULT\"},\"DateLessThan\":{\"aws:CurrentTime\":"
		"\"2100-01-01\"},\"ForAllValues:StringEquals\":{\"kms:EncryptionContextKeys\":"
		"\"dept\"}}}}";
	char sentence[KMS_SENTENCE_MAX], arn[KMS_ARN_MAX];
	const struct kms_realm realm = {account, region};
	struct fmt_context *context = NULL;
	struct kms_iam *iam = NULL;
	struct kms_key key;

	world_begin();
	assert_ok(kms_catalog_inline_put(catalog, ALICE, "in", identity));
	assert_ok(kms_catalog_detach(catalog, ALICE, HELD));
	assert_ok(kms_iam_new(policy, catalog, &iam));
	assert_ok(kms_catalog_key_get(catalog, id_of(TURNING), &key));
	kms_arn_key(&realm, key.id, arn);
	assert_ok(fmt_context_new(&context));
	assert_ok(fmt_context_add(context, slk_span_str("dept"), slk_span_str("web")));
	const struct kms_facts facts = {
		.key = &key, .context = context, .wall_ns = 1795507200ull * 1000000000ull};
	struct kms_question q = {
		.principal = ALICE_ARN, .action = "kms:Encrypt", .resource = arn, .facts = &facts};
	assert_ok(kms_policy_decide(iam, &q, sentence)); /* libc reads the time zone once */
	uint64_t before = heapcount();
	int allowed = kms_policy_decide(iam, &q, sentence);
	q.action = "kinesis:PutRecord";
	int denied = kms_policy_decide(iam, &q, sentence);
	uint64_t after = heapcount();
	assert_int_equal(after, before);
	assert_ok(allowed);
	assert_int_equal(denied, SLK_DENIED);
	fmt_context_free(context);
	kms_iam_free(iam);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(all_that_the_catalog_has_is_found_again),
		CASE(what_cannot_be_parsed_denies_its_own_and_no_other),
		CASE(start_fails_where_the_catalog_cannot_be_read),
		CASE(change_that_cannot_be_taken_over_denies_everything),
		CASE(decision_allocates_nothing),
	};

	return cmocka_run_group_tests_name("kms_iam", tests, world_setup, world_teardown);
}
