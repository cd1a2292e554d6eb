/* Credentials against a scripted kmsd: what is asked, what comes back, and answers that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/access.h"

#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static struct kmsc *client;
static struct slk_error err;
static Kmsp__Reply reply;
static char asked[512];
static unsigned hang_ups;

static void
note(const Kmsp__Request *q)
{
	const Kmsp__AssumeRole *a = q->assume_role;
	const Kmsp__DeriveSigningKey *d = q->derive_signing_key;
	size_t cap = sizeof(asked);

	switch (q->call_case) {
	case KMSP__REQUEST__CALL_CREATE_ACCESS_KEY:
		snprintf(asked, cap, "create|%s", q->create_access_key->user);
		break;
	case KMSP__REQUEST__CALL_LIST_ACCESS_KEYS:
		snprintf(asked, cap, "list|%s|%s|%u", q->list_access_keys->user,
			q->list_access_keys->marker, q->list_access_keys->limit);
		break;
	case KMSP__REQUEST__CALL_UPDATE_ACCESS_KEY:
		snprintf(asked, cap, "update|%s|%s|%d", q->update_access_key->user,
			q->update_access_key->id, q->update_access_key->active);
		break;
	case KMSP__REQUEST__CALL_DELETE_ACCESS_KEY:
		snprintf(asked, cap, "delete|%s|%s", q->delete_access_key->user,
			q->delete_access_key->id);
		break;
	case KMSP__REQUEST__CALL_ASSUME_ROLE:
		snprintf(asked, cap, "%s|%s|%u|%s|%s|%zu:%s|%zu:%s=%s|%s", a->role, a->session_name,
			a->duration_s, a->external_id, a->policy, a->n_policies,
			a->n_policies > 0 ? a->policies[0] : "", a->n_tags,
			a->n_tags > 0 ? a->tags[0]->key : "",
			a->n_tags > 0 ? a->tags[0]->value : "", a->source_identity);
		break;
	case KMSP__REQUEST__CALL_AUTHORIZE:
		snprintf(asked, cap, "%d|%s|%s|%s|%s|%d",
			q->authorize->caller_case == KMSP__AUTHORIZE__CALLER_SESSION_TOKEN,
			q->authorize->session_token, q->authorize->action, q->authorize->resource,
			q->authorize->source_ip, q->authorize->over_tls);
		break;
	case KMSP__REQUEST__CALL_DERIVE_SIGNING_KEY:
		snprintf(asked, cap, "%s|%s|%s|%s|%s", d->access_key_id, d->date, d->region,
			d->service, d->session_token);
		break;
	default:
		snprintf(asked, cap, "?");
		break;
	}
}

static int
answer(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	note(request);
	if (turn < hang_ups)
		return -1;
	reply.id = request->id;
	return fake_kmsd_reply(request, &reply, out);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-kmsc-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(&err, 0, sizeof(err));
	kmsp__reply__init(&reply);
	asked[0] = '\0';
	hang_ups = 0;
	fake_kmsd_start(answer);
	return kmsc_new(fake_kmsd.path, 2000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	fake_kmsd_stop();
	return rmdir(fake_kmsd.dir);
}

static void
assert_secret(struct slk_secret *secret, const char *text)
{
	assert_non_null(secret);
	assert_int_equal(slk_secret_len(secret), strlen(text));
	assert_memory_equal(slk_secret_peek(secret), text, strlen(text));
	slk_secret_free(secret);
}

#define TEXT(text) ((char *)(uintptr_t)(text))

static Kmsp__AccessKey
key_of(const char *id, const char *secret)
{
	Kmsp__AccessKey key = KMSP__ACCESS_KEY__INIT;

	key.id = TEXT(id);
	key.secret = TEXT(secret);
	key.user = TEXT("carol");
	key.active = true;
	key.created_ns = 5;
	key.last_used_ns = 6;
	return key;
}

/* --- access keys --- */

static void
a_new_key_comes_with_its_secret(void **state)
{
	(void)state;
	Kmsp__AccessKey key = key_of("AKIAAAAAAAAAAAAAAAAA", SECRET);
	struct kmsc_access_key out;
	struct slk_secret *secret = NULL;

	reply.result_case = KMSP__REPLY__RESULT_ACCESS_KEY;
	reply.access_key = &key;
	assert_ok(kmsc_create_access_key(client, "carol", &out, &secret, &err));
	assert_string_equal(asked, "create|carol");
	assert_string_equal(out.id, "AKIAAAAAAAAAAAAAAAAA");
	assert_string_equal(out.user, "carol");
	assert_true(out.active);
	assert_int_equal(out.created_ns, 5);
	assert_int_equal(out.last_used_ns, 6);
	assert_secret(secret, SECRET);
}

static void
secrets_and_ids_that_cannot_be_are_refused(void **state)
{
	(void)state;
	Kmsp__AccessKey bad[] = {key_of("AKIAAAAAAAAAAAAAAAAA", ""),
		key_of("AKIAAAAAAAAAAAAAAAAA", SECRET "x"),
		key_of("AKIAAAAAAAAAAAAAAAAAX", SECRET)};
	struct kmsc_access_key out = {.created_ns = 77};
	struct slk_secret *secret = NULL;

	reply.result_case = KMSP__REPLY__RESULT_ACCESS_KEY;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		reply.access_key = &bad[i];
		assert_int_equal(
			kmsc_create_access_key(client, "carol", &out, &secret, &err), SLK_INTERNAL);
		assert_null(secret);
		assert_int_equal(out.created_ns, 77);
	}
}

static void
what_makes_and_what_deletes_is_not_asked_twice(void **state)
{
	(void)state;
	struct kmsc_access_key out;
	struct slk_secret *secret = NULL;

	hang_ups = 1;
	assert_int_equal(
		kmsc_create_access_key(client, "carol", &out, &secret, &err), SLK_UNAVAILABLE);
	assert_int_equal(fake_kmsd.turns, 1);
	hang_ups = 2;
	assert_int_equal(kmsc_delete_access_key(client, "carol", "AKIA1", &err), SLK_UNAVAILABLE);
	assert_int_equal(fake_kmsd.turns, 2);
	assert_string_equal(asked, "delete|carol|AKIA1");
	hang_ups = 3;
	assert_ok(kmsc_update_access_key(client, "carol", "AKIA1", false, &err));
	assert_int_equal(fake_kmsd.turns, 4);
	assert_string_equal(asked, "update|carol|AKIA1|0");
}

static void
keys_come_page_by_page(void **state)
{
	(void)state;
	Kmsp__AccessKey a = key_of("AKIA1", ""), b = key_of("AKIA2", "");
	Kmsp__AccessKey *list[] = {&a, &b};
	Kmsp__AccessKeys keys = KMSP__ACCESS_KEYS__INIT;
	struct kmsc_access_key out[2];
	char next[KMSC_ACCESS_ID_MAX] = "x";
	size_t count = 0;

	keys.keys = list;
	keys.n_keys = 2;
	keys.next = TEXT("AKIA2");
	reply.result_case = KMSP__REPLY__RESULT_ACCESS_KEYS;
	reply.access_keys = &keys;
	assert_ok(kmsc_list_access_keys(client, NULL, "AKIA0", out, 2, &count, next, &err));
	assert_string_equal(asked, "list||AKIA0|2");
	assert_int_equal(count, 2);
	assert_string_equal(out[1].id, "AKIA2");
	assert_string_equal(next, "AKIA2");
	count = 9;
	assert_int_equal(
		kmsc_list_access_keys(client, "u", "", out, 1, &count, next, &err), SLK_INTERNAL);
	assert_int_equal(
		kmsc_list_access_keys(client, "u", "", out, 0, &count, next, &err), SLK_INVALID);
	assert_int_equal(count, 9);
}

/* --- sessions --- */

static Kmsp__Session
session_of(const char *secret, const char *token)
{
	Kmsp__Session s = KMSP__SESSION__INIT;

	s.access_key_id = TEXT("ASIAAAAAAAAAAAAAAAAA");
	s.secret_access_key = TEXT(secret);
	s.session_token = TEXT(token);
	s.expires_ns = 99;
	s.arn = TEXT("arn:aws:sts::000000000000:assumed-role/reader/job");
	s.id = TEXT("AROAREADER:job");
	return s;
}

static void
a_session_comes_whole(void **state)
{
	(void)state;
	Kmsp__Session in = session_of(SECRET, "U0xLVA");
	static const struct kmsc_tag tags[] = {{"team", "web"}};
	static const char *const policies[] = {"ReadOnly"};
	const struct kmsc_assume how = {
		"reader", "job", 900, "ext", "{}", policies, 1, tags, 1, "al"};
	struct kmsc_session out;

	reply.result_case = KMSP__REPLY__RESULT_SESSION;
	reply.session = &in;
	assert_ok(kmsc_assume_role(client, &how, &out, &err));
	assert_string_equal(asked, "reader|job|900|ext|{}|1:ReadOnly|1:team=web|al");
	assert_string_equal(out.access_key_id, "ASIAAAAAAAAAAAAAAAAA");
	assert_string_equal(out.arn, in.arn);
	assert_string_equal(out.id, "AROAREADER:job");
	assert_int_equal(out.expires_ns, 99);
	assert_int_equal(slk_secret_len(out.secret), 40);
	assert_int_equal(slk_secret_len(out.token), 6);
	kmsc_session_wipe(&out);
	assert_null(out.secret);
	assert_null(out.token);
	const struct kmsc_assume least = {.role = "r", .session_name = "ab"};
	assert_ok(kmsc_assume_role(client, &least, &out, &err));
	assert_string_equal(asked, "r|ab|0|||0:|0:=|");
	kmsc_session_wipe(&out);
	kmsc_session_wipe(NULL);
}

static void
sessions_that_cannot_be_are_refused(void **state)
{
	(void)state;
	Kmsp__Session bad[] = {session_of("short", "U0xLVA"), session_of(SECRET, "")};
	const struct kmsc_assume how = {.role = "r", .session_name = "ab"};
	struct kmsc_session out = {.expires_ns = 7};

	reply.result_case = KMSP__REPLY__RESULT_SESSION;
	for (size_t i = 0; i < 2; i++) {
		reply.session = &bad[i];
		assert_int_equal(kmsc_assume_role(client, &how, &out, &err), SLK_INTERNAL);
		assert_int_equal(out.expires_ns, 7);
		assert_null(out.secret);
	}
	const struct kmsc_assume more = {.tags_count = KMSC_TAGS_MAX + 1},
				 many = {.policies_count = 11};
	unsigned turns = fake_kmsd.turns;
	assert_int_equal(kmsc_assume_role(client, &more, &out, &err), SLK_LIMIT);
	assert_int_equal(kmsc_assume_role(client, &many, &out, &err), SLK_LIMIT);
	assert_int_equal(fake_kmsd.turns, turns);
}

static void
a_refusal_comes_with_its_sentence(void **state)
{
	(void)state;
	const struct kmsc_assume how = {.role = "r", .session_name = "ab"};
	struct kmsc_session out;

	reply.status = SLK_DENIED;
	reply.exception = TEXT("AccessDeniedException");
	reply.message = TEXT("User: u is not authorized to perform: sts:AssumeRole");
	assert_int_equal(kmsc_assume_role(client, &how, &out, &err), SLK_DENIED);
	assert_non_null(strstr(err.text, "sts:AssumeRole"));
}

static void
a_session_is_asked_about_by_its_token(void **state)
{
	(void)state;
	assert_ok(kmsc_authorize_session(
		client, "token", "kinesis:GetRecords", "arn:web", "192.0.2.1", true, &err));
	assert_string_equal(asked, "1|token|kinesis:GetRecords|arn:web|192.0.2.1|1");
	assert_ok(kmsc_authorize_session(client, "t", "a", "r", NULL, false, &err));
	assert_string_equal(asked, "1|t|a|r||0");
}

/* --- signing keys --- */

static void
a_signing_key_comes_with_whose_it_is(void **state)
{
	(void)state;
	static uint8_t bytes[33] = {1, 2, 3};
	Kmsp__SigningKey in = KMSP__SIGNING_KEY__INIT;
	const struct kmsc_scope scope = {"ASIA1", "20261124", "local", "kms", "token"};
	struct kmsc_signing_key out = {.expires_ns = 7};

	in.key = (ProtobufCBinaryData){33, bytes};
	in.principal = TEXT("arn:aws:iam::000000000000:role/reader");
	in.session = TEXT("arn:aws:sts::000000000000:assumed-role/reader/job");
	in.user_id = TEXT("AROAREADER:job");
	in.expires_ns = 99;
	reply.result_case = KMSP__REPLY__RESULT_SIGNING_KEY;
	reply.signing_key = &in;
	assert_int_equal(kmsc_derive_signing_key(client, &scope, &out, &err), SLK_INTERNAL);
	assert_int_equal(out.expires_ns, 7);
	in.key.len = 32;
	assert_ok(kmsc_derive_signing_key(client, &scope, &out, &err));
	assert_string_equal(asked, "ASIA1|20261124|local|kms|token");
	assert_int_equal(slk_secret_len(out.key), 32);
	assert_memory_equal(slk_secret_peek(out.key), bytes, 32);
	slk_secret_free(out.key);
	assert_string_equal(out.principal, in.principal);
	assert_string_equal(out.session, in.session);
	assert_string_equal(out.user_id, "AROAREADER:job");
	assert_int_equal(out.expires_ns, 99);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_new_key_comes_with_its_secret),
		CASE(secrets_and_ids_that_cannot_be_are_refused),
		CASE(what_makes_and_what_deletes_is_not_asked_twice),
		CASE(keys_come_page_by_page),
		CASE(a_session_comes_whole),
		CASE(sessions_that_cannot_be_are_refused),
		CASE(a_refusal_comes_with_its_sentence),
		CASE(a_session_is_asked_about_by_its_token),
		CASE(a_signing_key_comes_with_whose_it_is),
	};

	return cmocka_run_group_tests_name("kmsclient_access", tests, NULL, NULL);
}
