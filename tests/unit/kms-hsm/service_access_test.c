/* Access keys and the signing keys that are derived from them, over a fake HSM. */
#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "access_rig.h"
#include "base/log.h"

#define ALICE_MAY \
	"  - {effect: Allow, principals: [user/alice], actions: ['*'], resources: ['*']}\n"

static struct kms_rig rig;
static struct access_credential first, second;

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, ALICE_MAY);
	access_make_user(&rig, "carol");
	access_make_user(&rig, "dave");
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static void
make_key(struct access_credential *out)
{
	access_take(access_create(&rig, RIG_ROOT, "carol"), out);
}

static const Kmsp__Reply *
derive(const char *id)
{
	return access_derive(&rig, RIG_GATEWAY, &(struct access_scope){.id = id});
}

static void
refused(const Kmsp__Reply *reply, int status, const char *exception)
{
	assert_answered(reply, status);
	assert_string_equal(reply->exception, exception);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* --- keys --- */

static void
a_key_has_the_form_that_aws_gives_it(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = access_create(&rig, RIG_ROOT, "carol");

	assert_answered(reply, SLK_OK);
	const Kmsp__AccessKey *key = reply->access_key;
	assert_int_equal(strlen(key->id), 20);
	assert_memory_equal(key->id, "AKIA", 4);
	assert_int_equal(strspn(key->id, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"), 20);
	assert_int_equal(strlen(key->secret), 40);
	assert_int_equal(strspn(key->secret,
				 "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				 "0123456789+/"),
		40);
	assert_string_equal(key->user, "carol");
	assert_true(key->active);
	assert_int_equal(key->created_ns, rig.wall_ns);
	assert_int_equal(key->last_used_ns, 0);
}

static void
the_secret_is_shown_once(void **state)
{
	(void)state;
	make_key(&first);
	const Kmsp__Reply *reply = access_list(&rig, RIG_ROOT, "carol", "", 0);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->access_keys->n_keys, 1);
	assert_string_equal(reply->access_keys->keys[0]->id, first.id);
	assert_string_equal(reply->access_keys->keys[0]->secret, "");
}

static void
two_keys_of_a_user_and_no_third(void **state)
{
	(void)state;
	make_key(&first);
	make_key(&second);
	assert_string_not_equal(first.id, second.id);
	assert_memory_not_equal(first.masked, second.masked, sizeof(first.masked));
	size_t calls = fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY);
	refused(access_create(&rig, RIG_ROOT, "carol"), SLK_LIMIT, "LimitExceededException");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), calls);
	assert_answered(access_create(&rig, RIG_ROOT, "dave"), SLK_OK);
	assert_answered(access_delete(&rig, RIG_ROOT, "carol", first.id), SLK_OK);
	assert_answered(access_create(&rig, RIG_ROOT, "carol"), SLK_OK);
}

/* Each passes the first look, and the catalog has the last word. */
static void
three_at_once_are_two(void **state)
{
	(void)state;
	Kmsp__UserName call = KMSP__USER_NAME__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	size_t keys;

	call.user = (char *)(uintptr_t) "carol";
	request.call_case = KMSP__REQUEST__CALL_CREATE_ACCESS_KEY;
	request.create_access_key = &call;
	for (unsigned i = 1; i <= 3; i++) {
		request.id = i;
		rig_begin(&rig, RIG_ROOT, &request);
	}
	for (int i = 0; i < 10 && rig.answers < 3; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, 3);
	refused(rig_last(&rig), SLK_LIMIT, "LimitExceededException");
	keys = access_list(&rig, RIG_ROOT, "carol", "", 0)->access_keys->n_keys;
	assert_int_equal(keys, 2);
}

static void
pages_of_one(void **state)
{
	(void)state;
	char next[64];

	make_key(&first);
	make_key(&second);
	const char *low = strcmp(first.id, second.id) < 0 ? first.id : second.id,
		   *high = low == first.id ? second.id : first.id;
	const Kmsp__Reply *reply = access_list(&rig, RIG_ROOT, "carol", "", 1);
	assert_int_equal(reply->access_keys->n_keys, 1);
	assert_string_equal(reply->access_keys->keys[0]->id, low);
	snprintf(next, sizeof(next), "%s", reply->access_keys->next);
	assert_string_equal(next, low);
	reply = access_list(&rig, RIG_ROOT, "carol", next, 1);
	assert_string_equal(reply->access_keys->keys[0]->id, high);
	assert_string_equal(reply->access_keys->next, "");
	refused(access_list(&rig, RIG_ROOT, "carol", "no id", 1), SLK_INVALID,
		"InvalidMarkerException");
}

static void
what_is_not_there_is_told_to_whom_it_may_concern(void **state)
{
	(void)state;
	make_key(&first);
	refused(access_create(&rig, RIG_ROOT, "nobody"), SLK_NOT_FOUND, "NoSuchEntityException");
	refused(access_list(&rig, RIG_ROOT, "nobody", "", 0), SLK_NOT_FOUND,
		"NoSuchEntityException");
	refused(access_update(&rig, RIG_ROOT, "dave", first.id, false), SLK_NOT_FOUND,
		"NoSuchEntityException");
	refused(access_delete(&rig, RIG_ROOT, "dave", first.id), SLK_NOT_FOUND,
		"NoSuchEntityException");
	refused(access_delete(&rig, RIG_ROOT, "carol", "AKIAAAAAAAAAAAAAAAAA"), SLK_NOT_FOUND,
		"NoSuchEntityException");
	refused(access_create(&rig, RIG_ROOT, ""), SLK_INVALID, "ValidationException");
	refused(access_create(&rig, RIG_ROOT, "a/b"), SLK_INVALID, "ValidationException");
	assert_answered(derive(first.id), SLK_OK);
}

static void
users_and_doors_may_not(void **state)
{
	(void)state;
	make_key(&first);
	static const uid_t peers[] = {RIG_ALICE, RIG_BOB, RIG_INGEST, RIG_GATEWAY, RIG_STRANGER};
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
		assert_answered(access_create(&rig, peers[i], "carol"), SLK_DENIED);
		assert_answered(access_list(&rig, peers[i], "carol", "", 0), SLK_DENIED);
		assert_answered(
			access_update(&rig, peers[i], "carol", first.id, false), SLK_DENIED);
		assert_answered(access_delete(&rig, peers[i], "carol", first.id), SLK_DENIED);
	}
	assert_answered(derive(first.id), SLK_OK);
}

static void
a_deny_of_the_policy_wins(void **state)
{
	(void)state;
	rig_stop(&rig);
	rig_start(&rig,
		"  - {effect: Deny, principals: [root], actions: ['iam:CreateAccessKey'], "
		"resources: [user/carol]}\n");
	access_make_user(&rig, "carol");
	access_make_user(&rig, "dave");
	const Kmsp__Reply *reply = access_create(&rig, RIG_ROOT, "carol");
	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, "iam:CreateAccessKey");
	assert_contains(reply->message, RIG_ROOT_ARN);
	assert_contains(reply->message, "arn:aws:iam::000000000000:user/carol");
	assert_answered(access_create(&rig, RIG_ROOT, "dave"), SLK_OK);
}

/* --- signing keys --- */

static void
the_gateway_gets_the_key_of_the_day(void **state)
{
	(void)state;
	static const struct access_scope scopes[] = {{.date = "20261123"}, {.date = "20261125"},
		{.region = "us-east-1"}, {.service = "kinesis"}, {.service = NULL}};
	uint8_t keys[5][32];

	make_key(&first);
	for (size_t i = 0; i < 5; i++) {
		struct access_scope scope = scopes[i];
		scope.id = first.id;
		const Kmsp__Reply *reply = access_derive(&rig, RIG_GATEWAY, &scope);
		assert_answered(reply, SLK_OK);
		const Kmsp__SigningKey *key = reply->signing_key;
		access_check_key(&first, &scope, key);
		assert_string_equal(key->principal, "arn:aws:iam::000000000000:user/carol");
		assert_string_equal(key->user_id, "AIDAcarol");
		assert_string_equal(key->session, "");
		assert_int_equal(key->expires_ns, 0);
		memcpy(keys[i], key->key.data, 32);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], 32);
	}
}

static void
nobody_else_gets_one(void **state)
{
	(void)state;
	static const uid_t peers[] = {RIG_ROOT, RIG_ALICE, RIG_BOB, RIG_INGEST, RIG_STRANGER};

	make_key(&first);
	size_t calls = fake_hsm_calls_count(rig.link, HSM_UNWRAP);
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		refused(access_derive(&rig, peers[i], &(struct access_scope){.id = first.id}),
			SLK_DENIED, "AccessDeniedException");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), calls);
}

/* Who remembers callers is told that a key changed, as of a right. */
static void
a_key_that_changes_is_a_right_that_changes(void **state)
{
	(void)state;
	make_key(&first);
	uint64_t before = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_answered(access_update(&rig, RIG_ROOT, "carol", "AKIAAAAAAAAAAAAAAAAA", false),
		SLK_NOT_FOUND);
	assert_int_equal(rig_status(&rig, RIG_ROOT)->service->right_changes, before);
	assert_answered(access_update(&rig, RIG_ROOT, "carol", first.id, false), SLK_OK);
	uint64_t after = rig_status(&rig, RIG_ROOT)->service->right_changes;
	assert_int_not_equal(after, before);
	assert_answered(access_delete(&rig, RIG_ROOT, "carol", first.id), SLK_OK);
	assert_int_not_equal(rig_status(&rig, RIG_ROOT)->service->right_changes, after);
}

static void
inactive_deleted_and_unknown_keys_are_one_answer(void **state)
{
	(void)state;
	static const char sentence[] = "The security token included in the request is invalid.";
	static const char *const unknown[] = {"AKIAAAAAAAAAAAAAAAAA", "", "AKIA", "x",
		"ASIAAAAAAAAAAAAAAAAA", "akiaaaaaaaaaaaaaaaaa", "AKIAAAAAAAAAAAAAAAAAA"};

	make_key(&first);
	assert_answered(access_update(&rig, RIG_ROOT, "carol", first.id, false), SLK_OK);
	refused(derive(first.id), SLK_DENIED, "UnrecognizedClientException");
	assert_string_equal(rig_last(&rig)->message, sentence);
	const struct access_scope sts = {.id = first.id, .service = "sts"};
	refused(access_derive(&rig, RIG_GATEWAY, &sts), SLK_DENIED, "InvalidClientTokenId");
	assert_answered(access_update(&rig, RIG_ROOT, "carol", first.id, true), SLK_OK);
	assert_answered(derive(first.id), SLK_OK);
	assert_answered(access_delete(&rig, RIG_ROOT, "carol", first.id), SLK_OK);
	refused(derive(first.id), SLK_DENIED, "UnrecognizedClientException");
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		refused(derive(unknown[i]), SLK_DENIED, "UnrecognizedClientException");
		assert_string_equal(rig_last(&rig)->message, sentence);
	}
}

/* It is looked at again when the HSM has answered. */
static void
a_key_that_is_switched_off_meanwhile_gives_nothing(void **state)
{
	(void)state;
	Kmsp__DeriveSigningKey call = KMSP__DERIVE_SIGNING_KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	struct kms_identity_row user;

	make_key(&first);
	assert_ok(kms_catalog_identity_get(rig.catalog, KMS_USER, "carol", &user));
	call.access_key_id = first.id;
	call.date = (char *)(uintptr_t)ACCESS_TODAY;
	call.region = call.service = (char *)(uintptr_t) "kms";
	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY;
	request.derive_signing_key = &call;
	unsigned before = rig.answers;
	rig_begin(&rig, RIG_GATEWAY, &request);
	assert_ok(kms_catalog_access_key_switch(rig.catalog, user.id, first.id, false));
	for (int i = 0; i < 10 && rig.answers == before; i++)
		rig_turn(&rig);
	refused(rig_last(&rig), SLK_DENIED, "UnrecognizedClientException");
}

static void
scopes_that_are_none_are_refused(void **state)
{
	(void)state;
	static const struct access_scope bad[] = {{.date = "20261122"}, {.date = "20261126"},
		{.date = ""}, {.date = "2026-11-24"}, {.region = ""}, {.region = "US-EAST-1"},
		{.region = "us east"}, {.service = "k/s"}, {.service = ""}};

	make_key(&first);
	size_t calls = fake_hsm_calls_count(rig.link, HSM_UNWRAP);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct access_scope scope = bad[i];
		scope.id = first.id;
		refused(access_derive(&rig, RIG_GATEWAY, &scope), SLK_INVALID,
			"InvalidSignatureException");
	}
	const struct access_scope sts = {.id = first.id, .service = "sts", .date = "20250101"};
	refused(access_derive(&rig, RIG_GATEWAY, &sts), SLK_INVALID, "SignatureDoesNotMatch");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), calls);
	rig.wall_ns += 3 * 86400ull * SLK_NS_PER_S;
	refused(derive(first.id), SLK_INVALID, "InvalidSignatureException");
}

static void
a_token_with_a_key_that_needs_none_is_refused(void **state)
{
	(void)state;
	make_key(&first);
	const struct access_scope scope = {.id = first.id, .token = "AAAA"};
	refused(access_derive(&rig, RIG_GATEWAY, &scope), SLK_DENIED,
		"UnrecognizedClientException");
}

static uint64_t
last_used(void)
{
	const Kmsp__Reply *reply = access_list(&rig, RIG_ROOT, "carol", "", 0);

	assert_answered(reply, SLK_OK);
	return reply->access_keys->keys[0]->last_used_ns;
}

static void
its_use_is_noted_every_quarter_of_an_hour(void **state)
{
	(void)state;
	make_key(&first);
	uint64_t start = rig.wall_ns;
	assert_answered(derive(first.id), SLK_OK);
	assert_int_equal(last_used(), start);
	rig.wall_ns += 600 * SLK_NS_PER_S;
	assert_answered(derive(first.id), SLK_OK);
	assert_int_equal(last_used(), start);
	rig.wall_ns += 300 * SLK_NS_PER_S;
	assert_answered(derive(first.id), SLK_OK);
	assert_int_equal(last_used(), rig.wall_ns);
}

static void
keys_survive_a_restart(void **state)
{
	(void)state;
	make_key(&first);
	rig_restart(&rig);
	const Kmsp__Reply *reply = derive(first.id);
	assert_answered(reply, SLK_OK);
	access_check_key(&first, &(struct access_scope){.id = first.id}, reply->signing_key);
}

/* The appliance's own key turns once a year. */
static void
keys_survive_a_rotation_of_what_they_are_sealed_under(void **state)
{
	(void)state;
	struct kms_key before, after;

	make_key(&first);
	assert_ok(kms_catalog_key_appliance(rig.catalog, KMS_USAGE_ENCRYPT_DECRYPT, &before));
	rig.wall_ns += 366 * KMS_DAY_NS;
	for (int i = 0; i < 5; i++) {
		kms_service_tick(rig.service);
		rig_turn(&rig);
	}
	assert_ok(kms_catalog_key_appliance(rig.catalog, KMS_USAGE_ENCRYPT_DECRYPT, &after));
	assert_memory_not_equal(before.backing_id, after.backing_id, sizeof(before.backing_id));
	const struct access_scope scope = {.id = first.id, .date = "20271125"};
	const Kmsp__Reply *reply = access_derive(&rig, RIG_GATEWAY, &scope);
	assert_answered(reply, SLK_OK);
	access_check_key(&first, &scope, reply->signing_key);
	make_key(&second); /* under the new one */
	const struct access_scope other = {.id = second.id, .date = "20271125"};
	assert_answered(access_derive(&rig, RIG_GATEWAY, &other), SLK_OK);
}

/* --- what can go wrong --- */

static void
without_an_hsm_no_key_is_made_and_none_derived(void **state)
{
	(void)state;
	make_key(&first);
	fake_hsm_fail(rig.link, SLK_UNAVAILABLE, 1);
	refused(access_create(&rig, RIG_ROOT, "carol"), SLK_UNAVAILABLE, "KeyUnavailableException");
	assert_int_equal(access_list(&rig, RIG_ROOT, "carol", "", 0)->access_keys->n_keys, 1);
	fake_hsm_fail(rig.link, SLK_TIMEOUT, 1);
	refused(derive(first.id), SLK_TIMEOUT, "DependencyTimeoutException");
	assert_answered(derive(first.id), SLK_OK);
}

/* The sealed secret of one key in the row of another: the context binds it. */
static void
a_secret_in_another_row_is_not_opened(void **state)
{
	(void)state;
	char sql[256];

	make_key(&first);
	make_key(&second);
	snprintf(sql, sizeof(sql),
		"UPDATE access_keys SET sealed = (SELECT sealed FROM access_keys WHERE id = '%s')"
		" WHERE id = '%s'",
		first.id, second.id);
	rig_restart_changed(&rig, sql);
	const Kmsp__Reply *reply = derive(second.id);
	assert_int_not_equal(reply->status, SLK_OK);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
	assert_answered(derive(first.id), SLK_OK);
	snprintf(sql, sizeof(sql),
		"UPDATE access_keys SET identity_id = (SELECT id FROM identities WHERE name = "
		"'dave') WHERE id = '%s'",
		first.id);
	rig_restart_changed(&rig, sql);
	assert_int_not_equal(derive(first.id)->status, SLK_OK);
}

/* Whoever reads the catalog and may use kms: cannot have kmsd open it. */
static void
the_blob_is_opened_for_nobody(void **state)
{
	(void)state;
	struct kms_access_key_row row;
	char context[128];

	make_key(&first);
	assert_ok(kms_catalog_access_key_get(rig.catalog, first.id, &row));
	snprintf(
		context, sizeof(context), "sealock:access-key=%s,sealock:user=AIDAcarol", first.id);
	static const uid_t peers[] = {RIG_ROOT, RIG_ALICE};
	for (size_t i = 0; i < 2; i++) {
		assert_answered(rig_decrypt(&rig, peers[i], "", context,
					slk_span(row.sealed.bytes, row.sealed.len)),
			SLK_DENIED);
		const struct rig_re re = {.source_context = context, .key = "alias/x"};
		const Kmsp__Reply *reply = rig_re_encrypt(
			&rig, peers[i], slk_span(row.sealed.bytes, row.sealed.len), &re);
		assert_int_not_equal(reply->status, SLK_OK);
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_UNWRAP), 0);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 0);
}

static void
an_audit_log_that_fails_lets_no_key_out(void **state)
{
	(void)state;
	make_key(&first);
	assert_true(rig.answers > 0);
	faultfs_init(&rig.ff, slk_fs_posix(), FAULTFS_ALL, 1, true, SLK_IO);
	const Kmsp__Reply *reply = derive(first.id);
	assert_int_not_equal(reply->status, SLK_OK);
	assert_int_equal(reply->result_case, KMSP__REPLY__RESULT__NOT_SET);
}

/* --- the audit log, and secrets --- */

static void
the_audit_line_says_who_and_with_which_key(void **state)
{
	(void)state;
	make_key(&first);
	const char *line = rig_audit_last(&rig);
	assert_contains(line, "\"eventSource\":\"iam.amazonaws.com\"");
	assert_contains(line, "\"eventName\":\"CreateAccessKey\"");
	assert_contains(line, RIG_ROOT_ARN);
	assert_contains(line, "\"responseElements\":{\"accessKeyId\":\"AKIA");
	assert_contains(line, first.id);
	assert_answered(derive(first.id), SLK_OK);
	line = rig_audit_last(&rig);
	assert_contains(line, "\"eventName\":\"DeriveSigningKey\"");
	assert_contains(line,
		"\"type\":\"IAMUser\",\"principalId\":\"AIDAcarol\","
		"\"arn\":\"arn:aws:iam::000000000000:user/carol\"");
	assert_contains(line, "\"door\":{\"uid\":2001,\"pid\":77,\"name\":\"gateway\"}");
	assert_contains(line, "\"readOnly\":true");
	assert_answered(access_update(&rig, RIG_ROOT, "carol", first.id, false), SLK_OK);
	refused(derive(first.id), SLK_DENIED, "UnrecognizedClientException");
	line = rig_audit_last(&rig);
	assert_contains(line, "user/carol");
	assert_contains(line, first.id);
	assert_contains(line, "\"outcome\":\"denied\"");
}

static void
no_secret_is_on_disk_in_the_log_or_in_a_core_dump(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("a sanitizer's memory is too large to be searched\n");
	skip();
#endif
	char log[320], wal[320];
	snprintf(log, sizeof(log), "%s/log", rig.dir);
	snprintf(wal, sizeof(wal), "%s-wal", rig.catalog_path);
	int fd = open(log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	slk_log_init("test", SLK_LOG_DEBUG);
	slk_log_set_fd(fd);
	make_key(&first);
	assert_answered(derive(first.id), SLK_OK);
	fake_hsm_fail(rig.link, SLK_CORRUPT, 1); /* something to be logged */
	assert_int_not_equal(derive(first.id)->status, SLK_OK);
	slk_log_set_fd(STDERR_FILENO);
	close(fd);
	const char *const files[] = {log, wal, rig.catalog_path, rig.audit_path};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(access_count_in_file(&first, files[i]), 0);
	assert_int_equal(access_count_in_memory(&first), 0);
	/* The look finds what is there. */
	uint8_t *planted = malloc(ACCESS_SECRET_CHARS);
	assert_non_null(planted);
	for (size_t i = 0; i < ACCESS_SECRET_CHARS; i++)
		planted[i] = first.masked[i] ^ 0x5a;
	assert_true(access_count_in_memory(&first) >= 1);
	slk_wipe(planted, ACCESS_SECRET_CHARS);
	free(planted);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_key_has_the_form_that_aws_gives_it),
		CASE(the_secret_is_shown_once),
		CASE(two_keys_of_a_user_and_no_third),
		CASE(three_at_once_are_two),
		CASE(pages_of_one),
		CASE(what_is_not_there_is_told_to_whom_it_may_concern),
		CASE(users_and_doors_may_not),
		CASE(a_deny_of_the_policy_wins),
		CASE(the_gateway_gets_the_key_of_the_day),
		CASE(nobody_else_gets_one),
		CASE(a_key_that_changes_is_a_right_that_changes),
		CASE(inactive_deleted_and_unknown_keys_are_one_answer),
		CASE(a_key_that_is_switched_off_meanwhile_gives_nothing),
		CASE(scopes_that_are_none_are_refused),
		CASE(a_token_with_a_key_that_needs_none_is_refused),
		CASE(its_use_is_noted_every_quarter_of_an_hour),
		CASE(keys_survive_a_restart),
		CASE(keys_survive_a_rotation_of_what_they_are_sealed_under),
		CASE(without_an_hsm_no_key_is_made_and_none_derived),
		CASE(a_secret_in_another_row_is_not_opened),
		CASE(the_blob_is_opened_for_nobody),
		CASE(an_audit_log_that_fails_lets_no_key_out),
		CASE(the_audit_line_says_who_and_with_which_key),
		CASE(no_secret_is_on_disk_in_the_log_or_in_a_core_dump),
	};

	return cmocka_run_group_tests_name("kms_service_access", tests, NULL, NULL);
}
