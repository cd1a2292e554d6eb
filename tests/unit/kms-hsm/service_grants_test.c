/* Grants at the service. Alice and Bob have no right by policy; root may do everything. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"

static struct kms_rig rig;
static char key[KMS_ARN_MAX];
static char id[65], token[256];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, "");
	rig_new_key(&rig, key);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

/* What CreateGrant takes; texts with commas, NULL is "". */
struct ask {
	const char *grantee, *operations, *equals, *subset, *retiring, *name, *source_arn;
};

static size_t
split(char *text, char *out[16])
{
	size_t count = 0;

	for (char *save = NULL, *at = strtok_r(text, ",", &save); at != NULL && count < 16;
		at = strtok_r(NULL, ",", &save))
		out[count++] = at;
	return count;
}

static size_t
pairs_of(char *text, Kmsp__Pair storage[16], Kmsp__Pair *list[16])
{
	char *parts[16];
	size_t count = split(text, parts);

	for (size_t i = 0; i < count; i++) {
		char *equals = strchr(parts[i], '=');
		kmsp__pair__init(&storage[i]);
		storage[i].key =
			(ProtobufCBinaryData){(size_t)(equals - parts[i]), (uint8_t *)parts[i]};
		storage[i].value = (ProtobufCBinaryData){strlen(equals + 1), (uint8_t *)equals + 1};
		list[i] = &storage[i];
	}
	return count;
}

#define TEXT(value) ((char *)(uintptr_t)((value) != NULL ? (value) : ""))

static const Kmsp__Reply *
create_on(uid_t uid, const char *on, const struct ask *ask)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__CreateGrant in = KMSP__CREATE_GRANT__INIT;
	Kmsp__Pair storage[2][16], *lists[2][16];
	char operations[512], equals[512], subset[512], *names[16];

	snprintf(operations, sizeof(operations), "%s", TEXT(ask->operations));
	snprintf(equals, sizeof(equals), "%s", TEXT(ask->equals));
	snprintf(subset, sizeof(subset), "%s", TEXT(ask->subset));
	in.key = TEXT(on);
	in.grantee = TEXT(ask->grantee);
	in.retiring = TEXT(ask->retiring);
	in.name = TEXT(ask->name);
	in.source_arn = TEXT(ask->source_arn);
	in.n_operations = split(operations, names);
	in.operations = names;
	in.n_context_equals = pairs_of(equals, storage[0], lists[0]);
	in.context_equals = lists[0];
	in.n_context_subset = pairs_of(subset, storage[1], lists[1]);
	in.context_subset = lists[1];
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_CREATE_GRANT;
	request.create_grant = &in;
	const Kmsp__Reply *reply = rig_call(&rig, uid, &request);
	if (reply->status == SLK_OK) {
		snprintf(id, sizeof(id), "%s", reply->grant->id);
		snprintf(token, sizeof(token), "%s", reply->grant->token);
	}
	return reply;
}

static const Kmsp__Reply *
create(uid_t uid, const struct ask *ask)
{
	return create_on(uid, key, ask);
}

static void
give_alice(const char *operations)
{
	assert_answered(
		create(RIG_ROOT,
			&(struct ask){RIG_ALICE_ARN, operations, NULL, NULL, NULL, NULL, NULL}),
		SLK_OK);
}

static const Kmsp__Reply *
revoke(uid_t uid, const char *grant)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__RevokeGrant in = KMSP__REVOKE_GRANT__INIT;

	in.key = key;
	in.grant_id = TEXT(grant);
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_REVOKE_GRANT;
	request.revoke_grant = &in;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
retire(uid_t uid, const char *by_token, const char *grant)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__RetireGrant in = KMSP__RETIRE_GRANT__INIT;

	in.token = TEXT(by_token);
	in.key = key;
	in.grant_id = TEXT(grant);
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_RETIRE_GRANT;
	request.retire_grant = &in;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
list(uid_t uid, const char *grantee, const char *grant, const char *marker, uint32_t limit)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ListGrants in = KMSP__LIST_GRANTS__INIT;

	in.key = key;
	in.grantee = TEXT(grantee);
	in.grant_id = TEXT(grant);
	in.marker = TEXT(marker);
	in.limit = limit;
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_LIST_GRANTS;
	request.list_grants = &in;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
list_retirable(uid_t uid, const char *retiring)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ListRetirableGrants in = KMSP__LIST_RETIRABLE_GRANTS__INIT;

	in.retiring = TEXT(retiring);
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_LIST_RETIRABLE_GRANTS;
	request.list_retirable_grants = &in;
	return rig_call(&rig, uid, &request);
}

static int
may(uid_t uid, const char *context)
{
	return rig_generate(&rig, uid, key, context, false)->status;
}

/* --- what a grant allows --- */

static void
a_grant_allows_its_operations_at_once_and_no_others(void **state)
{
	(void)state;
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	give_alice("GenerateDataKey");
	assert_int_equal(may(RIG_ALICE, ""), SLK_OK);
	assert_answered(rig_generate(&rig, RIG_ALICE, key, "", true), SLK_DENIED);
	assert_answered(rig_encrypt(&rig, RIG_ALICE, key, "", slk_span("x", 1)), SLK_DENIED);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, key), SLK_DENIED);
	assert_int_equal(may(RIG_BOB, ""), SLK_DENIED);
}

static void
a_grant_is_of_one_key(void **state)
{
	(void)state;
	char other[KMS_ARN_MAX];

	rig_new_key(&rig, other);
	give_alice("GenerateDataKey,DescribeKey");
	assert_answered(rig_generate(&rig, RIG_ALICE, other, "", false), SLK_DENIED);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, other), SLK_DENIED);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, key), SLK_OK);
}

static void
by_an_alias_it_works_too(void **state)
{
	(void)state;
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/a", key), SLK_OK);
	give_alice("GenerateDataKey");
	assert_answered(rig_generate(&rig, RIG_ALICE, "alias/a", "", false), SLK_OK);
}

static void
equals_means_these_pairs_and_no_others(void **state)
{
	(void)state;
	const struct ask ask = {.grantee = RIG_ALICE_ARN,
		.operations = "GenerateDataKey,DescribeKey",
		.equals = "app=web,Tier=gold"};

	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_int_equal(may(RIG_ALICE, "Tier=gold,app=web"), SLK_OK);
	assert_int_equal(may(RIG_ALICE, "tier=gold,APP=web"), SLK_OK); /* keys without case */
	assert_int_equal(may(RIG_ALICE, "app=web,Tier=Gold"), SLK_DENIED); /* values with it */
	assert_int_equal(may(RIG_ALICE, "app=web"), SLK_DENIED);
	assert_int_equal(may(RIG_ALICE, "app=web,Tier=gold,x=y"), SLK_DENIED);
	assert_int_equal(may(RIG_ALICE, "app=web,APP=web,Tier=gold"), SLK_DENIED);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	assert_answered(rig_describe_key(&rig, RIG_ALICE, key), SLK_OK); /* knows no context */
}

static void
subset_means_these_pairs_at_least(void **state)
{
	(void)state;
	const struct ask ask = {
		.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey", .subset = "app=web"};

	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_int_equal(may(RIG_ALICE, "app=web"), SLK_OK);
	assert_int_equal(may(RIG_ALICE, "app=web,x=y"), SLK_OK);
	assert_int_equal(may(RIG_ALICE, "x=y"), SLK_DENIED);
	assert_int_equal(may(RIG_ALICE, "app=webs"), SLK_DENIED);
}

static void
a_source_arn_that_nobody_named_does_not_fit(void **state)
{
	(void)state;
	const struct ask ask = {.grantee = RIG_ALICE_ARN,
		.operations = "GenerateDataKey",
		.source_arn = "arn:aws:kinesis:local:000000000000:stream/web"};

	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
}

static void
re_encrypt_needs_a_grant_on_each_side(void **state)
{
	(void)state;
	char other[KMS_ARN_MAX];
	uint8_t blob[4096];

	rig_new_key(&rig, other);
	const Kmsp__Reply *reply = rig_encrypt(&rig, RIG_ROOT, key, "a=b", slk_span("text", 4));
	assert_answered(reply, SLK_OK);
	const struct slk_span span = slk_span(blob, reply->cipher->blob.len);
	memcpy(blob, reply->cipher->blob.data, span.len);
	const struct rig_re how = {.key = other, .source_context = "a=b", .context = "c=d"};
	const struct ask from = {
		.grantee = RIG_ALICE_ARN, .operations = "ReEncryptFrom", .equals = "a=b"};
	const struct ask to = {
		.grantee = RIG_ALICE_ARN, .operations = "ReEncryptTo", .equals = "c=d"};
	assert_answered(create_on(RIG_ROOT, key, &from), SLK_OK);
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, span, &how), SLK_DENIED);
	assert_answered(create_on(RIG_ROOT, other, &to), SLK_OK);
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, span, &how), SLK_OK);
	const struct rig_re wrong = {.key = other, .source_context = "a=b", .context = "c=e"};
	assert_answered(rig_re_encrypt(&rig, RIG_ALICE, span, &wrong), SLK_DENIED);
}

static void
a_deny_of_a_policy_wins(void **state)
{
	(void)state;
	static struct kms_rig strict;

	rig_start(&strict,
		"  - {effect: Deny, principals: [user/alice], actions: ['kms:GenerateDataKey'], "
		"resources: ['*']}\n");
	struct kms_rig kept = rig;
	rig = strict;
	char outer[KMS_ARN_MAX];
	strcpy(outer, key);
	rig_new_key(&rig, key);
	give_alice("GenerateDataKey,Encrypt");
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	assert_answered(rig_encrypt(&rig, RIG_ALICE, key, "", slk_span("x", 1)), SLK_OK);
	strict = rig;
	rig = kept;
	strcpy(key, outer);
	rig_stop(&strict);
}

static void
grants_outlive_a_restart_and_end_with_their_key(void **state)
{
	(void)state;
	give_alice("GenerateDataKey");
	rig_restart(&rig);
	assert_int_equal(may(RIG_ALICE, ""), SLK_OK);
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_SCHEDULE_KEY_DELETION, key),
		SLK_OK);
	assert_int_equal(list(RIG_ROOT, NULL, NULL, NULL, 0)->grants->n_grants, 1);
	rig.wall_ns += 31 * KMS_DAY_NS;
	rig.mono_ns += 31 * KMS_DAY_NS;
	for (int i = 0; i < 6; i++) {
		kms_service_tick(rig.service);
		rig_turn(&rig);
	}
	assert_answered(retire(RIG_ROOT, token, NULL), SLK_INVALID); /* there is none any more */
	rig_restart(&rig);
	assert_answered(retire(RIG_ROOT, token, NULL), SLK_INVALID);
}

/* --- making them --- */

static void
to_make_one_needs_the_right(void **state)
{
	(void)state;
	const struct ask ask = {.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey"};
	const Kmsp__Reply *reply = create(RIG_BOB, &ask);

	assert_answered(reply, SLK_DENIED);
	assert_contains(reply->message, RIG_BOB_ARN);
	assert_contains(reply->message, "kms:CreateGrant");
	assert_contains(reply->message, key);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
}

static void
each_call_makes_another_unless_it_has_a_name(void **state)
{
	(void)state;
	struct ask ask = {.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey"};
	char first[65], first_token[256];

	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_int_equal(strlen(id), 64);
	strcpy(first, id);
	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_string_not_equal(first, id);
	ask.name = "once";
	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	strcpy(first, id);
	strcpy(first_token, token);
	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_string_equal(first, id);
	assert_string_not_equal(first_token, token);
	ask.operations = "GenerateDataKey,Decrypt";
	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_string_not_equal(first, id);
}

static void
malformed_ones_are_refused_by_name(void **state)
{
	(void)state;
	static const struct {
		struct ask ask;
		const char *exception, *says;
	} cases[] = {
		{{.grantee = "alice", .operations = "Decrypt"}, "InvalidArnException", "alice"},
		{{.grantee = "arn:aws:iam::000000000000:user/*", .operations = "Decrypt"},
			"InvalidArnException", "user/*"},
		{{.grantee = RIG_ALICE_ARN}, "ValidationException", "needs an operation"},
		{{.grantee = RIG_ALICE_ARN, .operations = "Destroy"}, "ValidationException",
			"Destroy"},
		{{.grantee = RIG_ALICE_ARN, .operations = "Sign"}, "ValidationException", "Sign"},
		{{.grantee = RIG_ALICE_ARN, .operations = "Decrypt", .name = "a b"},
			"ValidationException", "a b"},
		{{.grantee = RIG_ALICE_ARN, .operations = "Decrypt", .retiring = "bob"},
			"InvalidArnException", "bob"},
		{{.grantee = RIG_ALICE_ARN,
			 .operations = "Decrypt",
			 .equals = "a=b",
			 .subset = "a=b"},
			"ValidationException", "not both"},
		{{.grantee = RIG_ALICE_ARN,
			 .operations = "Decrypt",
			 .equals = "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1"},
			"ValidationException", "8 pairs"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const Kmsp__Reply *reply = create(RIG_ROOT, &cases[i].ask);
		assert_answered(reply, SLK_INVALID);
		assert_string_equal(reply->exception, cases[i].exception);
		assert_contains(reply->message, cases[i].says);
	}
	assert_int_equal(list(RIG_ROOT, NULL, NULL, NULL, 0)->grants->n_grants, 0);
}

static void
keys_of_other_kinds_have_other_operations(void **state)
{
	(void)state;
	char pair[KMS_ARN_MAX];

	rig_new_key_of(&rig, KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, pair);
	const struct ask sign = {
		.grantee = RIG_ALICE_ARN, .operations = "Sign,Verify,GetPublicKey"};
	const struct ask seal = {.grantee = RIG_ALICE_ARN, .operations = "Encrypt"};
	const struct ask context = {
		.grantee = RIG_ALICE_ARN, .operations = "Sign", .subset = "a=b"};
	assert_answered(create_on(RIG_ROOT, pair, &sign), SLK_OK);
	assert_answered(rig_public_key(&rig, RIG_ALICE, pair), SLK_OK);
	assert_answered(create_on(RIG_ROOT, pair, &seal), SLK_INVALID);
	assert_answered(create_on(RIG_ROOT, pair, &context), SLK_INVALID);
}

static void
a_disabled_key_gets_no_grants_and_lets_go_of_them(void **state)
{
	(void)state;
	const struct ask ask = {.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey"};

	give_alice("GenerateDataKey");
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key), SLK_OK);
	assert_answered(create(RIG_ROOT, &ask), SLK_DISABLED);
	assert_answered(revoke(RIG_ROOT, id), SLK_OK);
}

/* Threats, row 12: who may make grants by a grant only passes on no more than it has. */
static void
a_child_is_as_strict_as_its_parent(void **state)
{
	(void)state;
	static const struct {
		struct ask ask;
		int status;
	} cases[] = {
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt", .subset = "app=web"}, SLK_OK},
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt", .subset = "app=web,x=y"},
			SLK_OK},
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt", .equals = "app=web"}, SLK_OK},
		{{.grantee = RIG_BOB_ARN, .operations = "CreateGrant,Decrypt", .equals = "app=web"},
			SLK_OK},
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt"}, SLK_DENIED},
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt", .equals = "x=y"}, SLK_DENIED},
		{{.grantee = RIG_BOB_ARN, .operations = "Encrypt", .subset = "app=web"},
			SLK_DENIED},
		{{.grantee = RIG_BOB_ARN, .operations = "Decrypt,RetireGrant", .subset = "app=web"},
			SLK_DENIED},
	};
	const struct ask parent = {.grantee = RIG_ALICE_ARN,
		.operations = "CreateGrant,Decrypt,GenerateDataKey",
		.subset = "app=web"};

	assert_answered(create(RIG_ROOT, &parent), SLK_OK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const Kmsp__Reply *reply = create(RIG_ALICE, &cases[i].ask);
		assert_answered(reply, cases[i].status);
		if (reply->status == SLK_DENIED)
			assert_contains(reply->message, "kms:CreateGrant");
	}
}

static void
equals_is_not_passed_on_as_subset_nor_a_source_left_out(void **state)
{
	(void)state;
	const struct ask equals = {
		.grantee = RIG_ALICE_ARN, .operations = "CreateGrant,Decrypt", .equals = "app=web"};
	const struct ask looser = {
		.grantee = RIG_BOB_ARN, .operations = "Decrypt", .subset = "app=web"};
	const struct ask same = {
		.grantee = RIG_BOB_ARN, .operations = "Decrypt", .equals = "APP=web"};

	assert_answered(create(RIG_ROOT, &equals), SLK_OK);
	assert_answered(create(RIG_ALICE, &looser), SLK_DENIED);
	assert_answered(create(RIG_ALICE, &same), SLK_OK);
}

static void
two_parents_are_not_added_up(void **state)
{
	(void)state;
	const struct ask both = {.grantee = RIG_BOB_ARN, .operations = "Decrypt,Encrypt"};

	give_alice("CreateGrant,Decrypt");
	give_alice("CreateGrant,Encrypt");
	assert_answered(create(RIG_ALICE, &both), SLK_DENIED);
}

/* --- ending them --- */

static void
a_revoked_grant_stops_at_the_next_call(void **state)
{
	(void)state;
	give_alice("GenerateDataKey");
	assert_int_equal(may(RIG_ALICE, ""), SLK_OK);
	assert_answered(revoke(RIG_ALICE, id), SLK_DENIED);
	assert_answered(revoke(RIG_ROOT, id), SLK_OK);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	assert_answered(revoke(RIG_ROOT, id), SLK_NOT_FOUND);
	rig_restart(&rig);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
}

static void
who_may_retire_a_grant(void **state)
{
	(void)state;
	const struct ask ask = {
		.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey", .retiring = RIG_BOB_ARN};
	const struct ask own = {
		.grantee = RIG_ALICE_ARN, .operations = "GenerateDataKey,RetireGrant"};

	assert_answered(create(RIG_ROOT, &ask), SLK_OK);
	assert_answered(
		retire(RIG_ALICE, token, NULL), SLK_DENIED); /* the grantee, without RetireGrant */
	assert_int_equal(may(RIG_ALICE, ""), SLK_OK);
	assert_answered(retire(RIG_BOB, token, NULL), SLK_OK);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	assert_answered(retire(RIG_BOB, token, NULL), SLK_INVALID);
	assert_answered(create(RIG_ROOT, &own), SLK_OK);
	assert_answered(retire(RIG_BOB, NULL, id), SLK_DENIED);
	assert_answered(retire(RIG_ALICE, NULL, id), SLK_OK);
	give_alice("GenerateDataKey");
	assert_answered(retire(RIG_ROOT, NULL, id), SLK_OK); /* the account */
	assert_answered(retire(RIG_ROOT, NULL, id), SLK_NOT_FOUND);
}

/* --- lists and tokens --- */

static void
lists_page_and_filter(void **state)
{
	(void)state;
	unsigned seen = 0;
	char marker[65] = "";

	for (int i = 0; i < 7; i++)
		give_alice(i % 2 == 0 ? "Decrypt" : "Encrypt,Decrypt");
	const struct ask bob = {.grantee = RIG_BOB_ARN,
		.operations = "Decrypt",
		.subset = "k=v",
		.retiring = RIG_ALICE_ARN,
		.name = "bob-1"};
	assert_answered(create(RIG_ROOT, &bob), SLK_OK);
	do {
		const Kmsp__Reply *reply = list(RIG_ROOT, NULL, NULL, marker, 3);
		assert_answered(reply, SLK_OK);
		assert_true(reply->grants->n_grants <= 3);
		seen += (unsigned)reply->grants->n_grants;
		snprintf(marker, sizeof(marker), "%s", reply->grants->next);
	} while (marker[0] != '\0');
	assert_int_equal(seen, 8);
	const Kmsp__Reply *reply = list(RIG_ROOT, RIG_BOB_ARN, NULL, NULL, 0);
	assert_int_equal(reply->grants->n_grants, 1);
	const Kmsp__Grant *g = reply->grants->grants[0];
	assert_string_equal(g->id, id);
	assert_string_equal(g->token, "");
	assert_string_equal(g->key_arn, key);
	assert_string_equal(g->name, "bob-1");
	assert_string_equal(g->issuer, RIG_ROOT_ARN);
	assert_string_equal(g->retiring, RIG_ALICE_ARN);
	assert_int_equal(g->n_operations, 1);
	assert_string_equal(g->operations[0], "Decrypt");
	assert_int_equal(g->n_context_subset, 1);
	assert_int_equal(g->n_context_equals, 0);
	assert_int_equal(list(RIG_ROOT, NULL, id, NULL, 0)->grants->n_grants, 1);
	assert_answered(list(RIG_ROOT, NULL, "00", NULL, 0), SLK_NOT_FOUND);
	assert_answered(list(RIG_ROOT, NULL, NULL, "zz", 0), SLK_INVALID);
	assert_answered(list(RIG_BOB, NULL, NULL, NULL, 0), SLK_DENIED);
	assert_int_equal(list_retirable(RIG_ROOT, RIG_ALICE_ARN)->grants->n_grants, 1);
	assert_int_equal(list_retirable(RIG_ROOT, RIG_BOB_ARN)->grants->n_grants, 0);
}

static int
with_token(const char *text, size_t count)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__KeyName in = KMSP__KEY_NAME__INIT;
	char *tokens[16];

	for (size_t i = 0; i < count; i++)
		tokens[i] = TEXT(text);
	in.key = key;
	request.version = 1;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &in;
	request.grant_tokens = tokens;
	request.n_grant_tokens = count;
	return rig_call(&rig, RIG_ALICE, &request)->status;
}

static void
tokens_are_checked_and_needed_by_nobody(void **state)
{
	(void)state;
	give_alice("DescribeKey");
	assert_int_equal(with_token(token, 1), SLK_OK);
	assert_int_equal(with_token(token, 0), SLK_OK);
	assert_int_equal(with_token(token, 10), SLK_OK);
	assert_int_equal(with_token(token, 11), SLK_INVALID);
	assert_int_equal(with_token("", 1), SLK_INVALID);
	assert_int_equal(with_token(id, 1), SLK_INVALID);
	token[3] = token[3] == '0' ? '1' : '0';
	assert_int_equal(with_token(token, 1), SLK_INVALID);
}

static uint64_t
rights(void)
{
	return rig_status(&rig, RIG_INGEST)->service->right_changes;
}

/* Doors that keep answers of Authorize ask for this number, which leaves no line in the audit log. */
static void
status_tells_that_rights_changed(void **state)
{
	(void)state;
	uint64_t before = rights();

	assert_int_equal(rights(), before);
	assert_int_equal(may(RIG_ALICE, ""), SLK_DENIED);
	assert_int_equal(rights(), before);
	give_alice("Decrypt");
	assert_int_not_equal(rights(), before);
	before = rights();
	assert_answered(revoke(RIG_ALICE, id), SLK_DENIED);
	assert_int_equal(rights(), before);
	assert_answered(revoke(RIG_ROOT, id), SLK_OK);
	assert_int_not_equal(rights(), before);
	before = rights();
	assert_answered(rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_TAG_RESOURCE, key), SLK_OK);
	assert_int_not_equal(rights(), before);
	before = rights();
	rig_restart(&rig);
	assert_int_not_equal(rights(), before);
}

/* What is made and ended is in the log, with the key. */
static void
each_change_leaves_a_line(void **state)
{
	(void)state;
	give_alice("Decrypt");
	assert_contains(rig_audit_last(&rig), "CreateGrant");
	assert_contains(rig_audit_last(&rig), key);
	assert_answered(revoke(RIG_ROOT, id), SLK_OK);
	assert_contains(rig_audit_last(&rig), "RevokeGrant");
}

int
main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(a_grant_allows_its_operations_at_once_and_no_others),
		CASE(a_grant_is_of_one_key),
		CASE(by_an_alias_it_works_too),
		CASE(equals_means_these_pairs_and_no_others),
		CASE(subset_means_these_pairs_at_least),
		CASE(a_source_arn_that_nobody_named_does_not_fit),
		CASE(re_encrypt_needs_a_grant_on_each_side),
		CASE(a_deny_of_a_policy_wins),
		CASE(grants_outlive_a_restart_and_end_with_their_key),
		CASE(to_make_one_needs_the_right),
		CASE(each_call_makes_another_unless_it_has_a_name),
		CASE(malformed_ones_are_refused_by_name),
		CASE(keys_of_other_kinds_have_other_operations),
		CASE(a_disabled_key_gets_no_grants_and_lets_go_of_them),
		CASE(a_child_is_as_strict_as_its_parent),
		CASE(equals_is_not_passed_on_as_subset_nor_a_source_left_out),
		CASE(two_parents_are_not_added_up),
		CASE(a_revoked_grant_stops_at_the_next_call),
		CASE(who_may_retire_a_grant),
		CASE(lists_page_and_filter),
		CASE(tokens_are_checked_and_needed_by_nobody),
		CASE(status_tells_that_rights_changed),
		CASE(each_change_leaves_a_line),
	};

	return cmocka_run_group_tests_name("kms_service_grants", tests, NULL, NULL);
}
