/* Access keys and sessions on a token, through all three processes of kmsd: they outlive each of them. */
#include "slk_test.h"

#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kmsclient/access.h"
#include "kmsclient/caller.h"
#include "kmsclient/iam.h"
#include "kmsclient/policies.h"
#include "kmsd_rig.h"

#define TRUST \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\"," \
	"\"Principal\":{\"AWS\":\"arn:aws:iam::000000000000:user/me\"}," \
	"\"Action\":\"sts:AssumeRole\",\"Condition\":{\"StringEquals\":" \
	"{\"sts:ExternalId\":\"agreed-on\"}}}}"

static struct kmsd_rig rig;
static struct slk_error err;
static char more[512], today[9];

static struct kmsc_access_key key;
static struct slk_secret *secret;
static struct kmsc_session session;
static char token[8192];

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static void
write_lines(void)
{
	unsigned uid = (unsigned)geteuid();

	/* The rig maps everybody but root to user/me itself. */
	snprintf(more, sizeof(more), "%s%sgateway_user: \"%u\"\n",
		uid == 0 ? "  - {effect: Allow, principals: [user/me], actions: ['*'], resources: "
			   "['*']}\n"
			 : "",
		uid == 0 ? "principals:\n  - {user: \"0\", arn: user/me}\n" : "", uid);
	rig.more_lines = more;
}

static void
make_credentials(void)
{
	static struct kmsc_identity identity;
	const struct kmsc_role_kind role = {.name = "reader", .trust_policy = TRUST};
	struct kmsc_assume how = {.role = "reader", .session_name = "job"};

	ok(kmsc_create_user(rig.client, "carol", NULL, 0, &identity, &err));
	ok(kmsc_create_access_key(rig.client, "carol", &key, &secret, &err));
	ok(kmsc_create_role(rig.client, &role, &identity, &err));
	assert_int_equal(kmsc_assume_role(rig.client, &how, &session, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "user/me is not authorized to perform: sts:AssumeRole"));
	assert_non_null(strstr(err.text, "role/reader"));
	how.external_id = "agreed-off";
	assert_int_equal(kmsc_assume_role(rig.client, &how, &session, &err), SLK_DENIED);
	how.external_id = "agreed-on";
	ok(kmsc_assume_role(rig.client, &how, &session, &err));
	assert_true(slk_secret_len(session.token) < sizeof(token));
	memcpy(token, slk_secret_peek(session.token), slk_secret_len(session.token));
}

static int
group_setup(void **state)
{
	time_t now = time(NULL);
	struct tm utc;

	(void)state;
	if (!kmsd_rig_possible())
		return 0;
	kmsd_rig_init(&rig);
	write_lines();
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	assert_non_null(gmtime_r(&now, &utc));
	assert_int_equal(strftime(today, sizeof(today), "%Y%m%d", &utc), 8);
	make_credentials();
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	if (secret == NULL)
		return 0;
	slk_secret_free(secret);
	kmsc_session_wipe(&session);
	kmsd_rig_fini(&rig);
	return 0;
}

static void
chain(const struct slk_secret *from, uint8_t out[32])
{
	const char *const parts[] = {today, "local", "kinesis", "aws4_request"};
	uint8_t text[44] = "AWS4";
	size_t len = sizeof(text);
	unsigned got = 0;

	memcpy(text + 4, slk_secret_peek(from), 40);
	for (size_t i = 0; i < 4; i++) {
		assert_non_null(HMAC(EVP_sha256(), text, (int)len, (const uint8_t *)parts[i],
			strlen(parts[i]), out, &got));
		memcpy(text, out, 32);
		len = 32;
	}
	slk_wipe(text, sizeof(text));
}

static void
derive(const char *id, const char *with, const struct slk_secret *from, const char *principal)
{
	const struct kmsc_scope scope = {id, today, "local", "kinesis", with};
	struct kmsc_signing_key got;
	uint8_t expected[32];

	ok(kmsc_derive_signing_key(rig.client, &scope, &got, &err));
	chain(from, expected);
	assert_memory_equal(slk_secret_peek(got.key), expected, 32);
	assert_string_equal(got.principal, principal);
	slk_secret_free(got.key);
}

static void
both_are_good(void)
{
	derive(key.id, NULL, secret, "arn:aws:iam::000000000000:user/carol");
	derive(session.access_key_id, token, session.secret,
		"arn:aws:iam::000000000000:role/reader");
}

static void
need_rig(void)
{
	if (secret == NULL)
		skip();
}

static void
they_give_the_signing_keys_of_the_day(void **state)
{
	(void)state;
	need_rig();
	both_are_good();
}

static void
they_outlive_the_front_and_the_worker(void **state)
{
	(void)state;
	need_rig();
	kmsd_rig_replace(&rig, kmsd_rig_front);
	both_are_good();
	kmsd_rig_replace(&rig, kmsd_rig_worker);
	both_are_good();
}

static void
they_outlive_kmsd(void **state)
{
	(void)state;
	need_rig();
	assert_int_equal(kmsd_rig_stop(&rig), 0);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	both_are_good();
}

static size_t
count_in(const char *path, struct slk_span what)
{
	static uint8_t bytes[8 << 20];
	FILE *f = fopen(path, "rb");
	size_t count = 0;

	if (f == NULL)
		return 0;
	size_t len = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	assert_true(len < sizeof(bytes));
	for (const uint8_t *at = bytes;
		(at = memmem(at, len - (size_t)(at - bytes), what.ptr, what.len)) != NULL; at++)
		count++;
	return count;
}

static void
no_file_has_a_secret_or_a_token(void **state)
{
	(void)state;
	need_rig();
	static const char *const names[] = {
		"kms/audit.log", "kms/catalog.db", "kms/catalog.db-wal"};
	const struct slk_secret *const secrets[] = {secret, session.secret, session.token};
	char path[200];

	for (size_t k = 0; k < 3; k++) {
		snprintf(path, sizeof(path), "%s/%s", rig.base, names[k]);
		for (size_t i = 0; i < 3; i++) {
			const struct slk_span what =
				slk_span(slk_secret_peek(secrets[i]), slk_secret_len(secrets[i]));
			assert_int_equal(count_in(path, what), 0);
			assert_int_equal(count_in(rig.log, what), 0);
		}
	}
	snprintf(path, sizeof(path), "%s/%s", rig.base, names[0]);
	assert_true(count_in(path, slk_span_str(key.id)) > 0); /* it finds what is there */
}

static void
an_inactive_key_is_refused_at_once(void **state)
{
	(void)state;
	need_rig();
	const struct kmsc_scope scope = {key.id, today, "local", "kinesis", NULL};
	struct kmsc_signing_key got;

	ok(kmsc_update_access_key(rig.client, "carol", key.id, false, &err));
	assert_int_equal(kmsc_derive_signing_key(rig.client, &scope, &got, &err), SLK_DENIED);
	ok(kmsc_update_access_key(rig.client, "carol", key.id, true, &err));
	both_are_good();
}

#define CAROL "arn:aws:iam::000000000000:user/carol"
#define SESSION_ARN "arn:aws:sts::000000000000:assumed-role/reader/job"
#define MAY(actions) \
	"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Action\":" actions \
	",\"Resource\":\"*\"}}"

static void
denied(int rc, const char *who, const char *what)
{
	assert_int_equal(rc, SLK_DENIED);
	assert_string_equal(kmsc_refusal(rig.client)->exception, "AccessDeniedException");
	assert_non_null(strstr(kmsc_refusal(rig.client)->message, who));
	assert_non_null(strstr(kmsc_refusal(rig.client)->message, what));
	assert_int_equal(strlen(kmsc_refusal(rig.client)->request_id), 36);
}

/* As the gateway does it: one client, now for this caller, now for that one. */
static void
callers_have_their_own_rights_and_no_others(void **state)
{
	(void)state;
	need_rig();
	const struct kmsc_caller carol = {
		.access_key_id = key.id, .source_ip = "192.0.2.7", .over_tls = true};
	const struct kmsc_caller reader = {.session_token = token};
	const struct kmsc_caller nobody = {.access_key_id = "AKIAAAAAAAAAAAAAAAAA"};
	struct kmsc_caller_identity identity;
	struct kmsc_session own;
	struct kmsc_key made, seen;

	ok(kmsc_create_key(rig.client, "for callers", &made, &err));
	kmsc_act_for(rig.client, &carol);
	denied(kmsc_describe_key(rig.client, made.id, &seen, &err), CAROL, "kms:DescribeKey");
	kmsc_act_for(rig.client, NULL);
	ok(kmsc_put_inline_policy(rig.client, (struct kmsc_who){false, "carol"}, "see",
		MAY("[\"kms:DescribeKey\",\"kms:Decrypt\"]"), &err));
	kmsc_act_for(rig.client, &carol);
	ok(kmsc_describe_key(rig.client, made.id, &seen, &err));
	ok(kmsc_authorize_caller(rig.client, "kms:Decrypt", made.id, NULL, &err));
	denied(kmsc_authorize_caller(rig.client, "kms:Encrypt", made.id, NULL, &err), CAROL,
		"kms:Encrypt");
	ok(kmsc_get_caller_identity(rig.client, &identity, &err));
	assert_string_equal(identity.arn, CAROL);
	ok(kmsc_get_session_token(rig.client, 900, &own, &err));
	const struct kmsc_caller again = {.access_key_id = own.access_key_id,
		.session_token = (const char *)slk_secret_peek(own.token)};
	kmsc_act_for(rig.client, &again);
	ok(kmsc_describe_key(rig.client, made.id, &seen, &err));
	kmsc_act_for(rig.client, &reader);
	denied(kmsc_describe_key(rig.client, made.id, &seen, &err), SESSION_ARN, "kms:DescribeKey");
	ok(kmsc_get_caller_identity(rig.client, &identity, &err));
	assert_string_equal(identity.arn, SESSION_ARN);
	kmsc_act_for(rig.client, &nobody);
	assert_int_equal(kmsc_describe_key(rig.client, made.id, &seen, &err), SLK_DENIED);
	assert_string_equal(kmsc_refusal(rig.client)->exception, "UnrecognizedClientException");
	kmsc_act_for(rig.client, NULL);
	ok(kmsc_describe_key(rig.client, made.id, &seen, &err));
	kmsc_session_wipe(&own);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_give_the_signing_keys_of_the_day),
		cmocka_unit_test(they_outlive_the_front_and_the_worker),
		cmocka_unit_test(they_outlive_kmsd),
		cmocka_unit_test(no_file_has_a_secret_or_a_token),
		cmocka_unit_test(an_inactive_key_is_refused_at_once),
		cmocka_unit_test(callers_have_their_own_rights_and_no_others),
	};

	return cmocka_run_group_tests_name("kms_access", tests, group_setup, group_teardown);
}
