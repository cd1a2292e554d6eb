/* Identities, policies and grants against a scripted kmsd: what is asked, what comes back, and answers that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/grants.h"
#include "kmsclient/policies.h"
#include "proto_text.h"

#define PAGE 3u

static struct kmsc *client;
static struct slk_error err;
static Kmsp__Reply reply;
static char asked[1024];
static bool hang_up_first;

static const struct kmsc_who alice = {false, "alice"}, reader = {true, "reader"};
static struct kmsc_identity identity, identities[PAGE];
static struct kmsc_identity_detail detail;
static struct kmsc_policy policy, policies[PAGE];
static char text[KMSC_DOCUMENT_MAX], long_text[KMSC_DOCUMENT_MAX + 1];
static char names[PAGE][KMSC_POLICY_NAME_MAX], next[KMSC_MARKER_MAX];
static size_t count;

static int
answer(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	if (hang_up_first && turn == 0)
		return -1;
	proto_text(request, asked, sizeof(asked));
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
	memset(long_text, 'd', sizeof(long_text) - 1);
	kmsp__reply__init(&reply);
	asked[0] = '\0';
	hang_up_first = false;
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
what_sets_or_removes_is_answered_by_nothing(void **state)
{
	(void)state;
	static const struct kmsc_tag tag = {"team", "web"};
	static const char *const keys[] = {"team", "env"};

	assert_ok(kmsc_delete_identity(client, alice, &err));
	assert_string_equal(asked, "delete_identity{user:alice}");
	assert_ok(kmsc_tag_identity(client, reader, &tag, 1, &err));
	assert_string_equal(asked, "tag_identity{who{role:reader} tags{key:team value:web}}");
	assert_ok(kmsc_untag_identity(client, alice, keys, 2, &err));
	assert_string_equal(asked, "untag_identity{who{user:alice} tag_keys:team tag_keys:env}");
	assert_ok(kmsc_update_trust_policy(client, "reader", "{}", &err));
	assert_string_equal(asked, "update_trust_policy{role:reader policy:{}}");
	assert_ok(kmsc_put_inline_policy(client, alice, "p", "{}", &err));
	assert_string_equal(asked, "put_inline_policy{who{user:alice} name:p policy:{}}");
	assert_ok(kmsc_delete_inline_policy(client, reader, "p", &err));
	assert_string_equal(asked, "delete_inline_policy{who{role:reader} name:p}");
	assert_ok(kmsc_delete_policy(client, "p", &err));
	assert_string_equal(asked, "delete_policy{policy:p}");
	assert_ok(kmsc_attach_policy(client, alice, "p", &err));
	assert_string_equal(asked, "attach_policy{who{user:alice} policy:p}");
	assert_ok(kmsc_detach_policy(client, alice, "p", &err));
	assert_string_equal(asked, "detach_policy{who{user:alice} policy:p}");
	assert_ok(kmsc_put_boundary(client, reader, "p", &err));
	assert_string_equal(asked, "put_boundary{who{role:reader} policy:p}");
	assert_ok(kmsc_delete_boundary(client, reader, &err));
	assert_string_equal(asked, "delete_boundary{role:reader}");
}

static void
policies_of_keys_and_streams_name_them(void **state)
{
	(void)state;
	Kmsp__Document document = KMSP__DOCUMENT__INIT;

	assert_ok(kmsc_put_key_policy(client, "k", "{}", false, &err));
	assert_string_equal(asked, "put_key_policy{key:k policy:{}}");
	assert_ok(kmsc_put_key_policy(client, "k", "{}", true, &err));
	assert_string_equal(asked, "put_key_policy{key:k policy:{} bypass_lockout_check:1}");
	assert_ok(kmsc_put_resource_policy(client, "web", "{}", &err));
	assert_string_equal(asked, "put_resource_policy{stream:web policy:{}}");
	assert_ok(kmsc_delete_resource_policy(client, "web", &err));
	assert_string_equal(asked, "delete_resource_policy{stream:web}");
	reply.result_case = KMSP__REPLY__RESULT_DOCUMENT;
	reply.document = &document;
	document.text = (char *)"{\"a\": 1}";
	assert_ok(kmsc_get_key_policy(client, "k", text, &err));
	assert_string_equal(asked, "get_key_policy{key:k}");
	assert_string_equal(text, "{\"a\": 1}");
	document.text = (char *)"";
	assert_ok(kmsc_get_resource_policy(client, "web", text, &err));
	assert_string_equal(asked, "get_resource_policy{stream:web}");
	assert_string_equal(text, "");
}

static void
grants_are_ended_by_name_or_token(void **state)
{
	(void)state;
	assert_ok(kmsc_revoke_grant(client, "k", "aa", &err));
	assert_string_equal(asked, "revoke_grant{key:k grant_id:aa}");
	assert_ok(kmsc_retire_grant(client, "tt", NULL, NULL, &err));
	assert_string_equal(asked, "retire_grant{token:tt}");
	assert_ok(kmsc_retire_grant(client, NULL, "k", "aa", &err));
	assert_string_equal(asked, "retire_grant{key:k grant_id:aa}");
}

static Kmsp__Tag tag_out, *tags_out[KMSC_TAGS_MAX + 1];

static Kmsp__Identity *
an_identity(void)
{
	static Kmsp__Identity out;

	kmsp__identity__init(&out);
	kmsp__tag__init(&tag_out);
	tag_out.key = (char *)"team";
	tag_out.value = (char *)"web";
	for (size_t i = 0; i <= KMSC_TAGS_MAX; i++)
		tags_out[i] = &tag_out;
	out.name = (char *)"reader";
	out.id = (char *)"AROA1";
	out.boundary = (char *)"arn:b";
	out.created_ns = 5;
	out.max_session_s = 3600;
	out.tags = tags_out;
	out.n_tags = 1;
	reply.result_case = KMSP__REPLY__RESULT_IDENTITY;
	reply.identity = &out;
	return &out;
}

static void
an_identity_comes_whole_with_the_longest_trust_policy(void **state)
{
	(void)state;
	Kmsp__Identity *out = an_identity();

	out->trust_policy = long_text + 1; /* of 131,072 bytes */
	assert_ok(kmsc_get_identity(client, reader, &identity, &detail, &err));
	assert_string_equal(asked, "get_identity{role:reader}");
	assert_string_equal(identity.name, "reader");
	assert_string_equal(identity.id, "AROA1");
	assert_string_equal(identity.boundary, "arn:b");
	assert_int_equal(identity.created_ns, 5);
	assert_int_equal(identity.max_session_s, 3600);
	assert_int_equal(detail.tags_count, 1);
	assert_string_equal(detail.tags[0].value, "web");
	assert_int_equal(strlen(detail.trust_policy), KMSC_DOCUMENT_MAX - 1);
	assert_ok(kmsc_get_identity(client, alice, &identity, NULL, &err));
	assert_string_equal(asked, "get_identity{user:alice}");
}

static void
an_identity_with_more_than_there_can_be_is_refused(void **state)
{
	(void)state;
	Kmsp__Identity *out = an_identity();

	strcpy(identity.name, "untouched");
	out->n_tags = KMSC_TAGS_MAX + 1;
	assert_int_equal(kmsc_get_identity(client, reader, &identity, &detail, &err), SLK_INTERNAL);
	out->n_tags = KMSC_TAGS_MAX;
	out->trust_policy = long_text;
	assert_int_equal(kmsc_get_identity(client, reader, &identity, &detail, &err), SLK_INTERNAL);
	out->trust_policy = (char *)"";
	out->name = long_text;
	assert_int_equal(kmsc_get_identity(client, reader, &identity, NULL, &err), SLK_INTERNAL);
	assert_string_equal(identity.name, "untouched");
	reply.result_case = KMSP__REPLY__RESULT__NOT_SET;
	assert_int_equal(kmsc_get_identity(client, reader, &identity, NULL, &err), SLK_INTERNAL);
}

static void
users_and_roles_are_made_with_what_they_have(void **state)
{
	(void)state;
	static const struct kmsc_tag tags[KMSC_TAGS_MAX + 1] = {{"a", "1"}, {"b", ""}};
	struct kmsc_role_kind kind = {"reader", "{}", "reads", 7200, tags, 1};

	(void)an_identity();
	assert_ok(kmsc_create_user(client, "alice", tags, 2, &identity, &err));
	assert_string_equal(asked, "create_user{name:alice tags{key:a value:1} tags{key:b}}");
	assert_ok(kmsc_create_role(client, &kind, &identity, &err));
	assert_string_equal(asked,
		"create_role{name:reader trust_policy:{} description:reads "
		"max_session_s:7200 tags{key:a value:1}}");
	asked[0] = '\0';
	kind.tags_count = KMSC_TAGS_MAX + 1;
	assert_int_equal(kmsc_create_role(client, &kind, &identity, &err), SLK_LIMIT);
	assert_string_equal(asked, "");
}

static void
what_creates_is_not_asked_again(void **state)
{
	(void)state;
	(void)an_identity();
	hang_up_first = true;
	assert_ok(kmsc_get_identity(client, alice, &identity, NULL, &err));
	assert_int_equal(fake_kmsd.turns, 2);
	fake_kmsd.turns = 0;
	assert_int_equal(
		kmsc_create_user(client, "alice", NULL, 0, &identity, &err), SLK_UNAVAILABLE);
	assert_int_equal(fake_kmsd.turns, 1);
	assert_non_null(strstr(err.text, "before you repeat it"));
}

static void
identities_come_by_pages(void **state)
{
	(void)state;
	Kmsp__Identity *one = an_identity(), *list[] = {one, one, one, one};
	Kmsp__Identities out = KMSP__IDENTITIES__INIT;

	out.identities = list;
	out.n_identities = PAGE;
	out.next = (char *)"m2";
	reply.result_case = KMSP__REPLY__RESULT_IDENTITIES;
	reply.identities = &out;
	assert_ok(kmsc_list_identities(client, false, "m1", identities, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_users{marker:m1 limit:3}");
	assert_int_equal(count, PAGE);
	assert_string_equal(identities[PAGE - 1].name, "reader");
	assert_string_equal(next, "m2");
	assert_ok(kmsc_list_identities(client, true, "", identities, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_roles{limit:3}");
	assert_ok(kmsc_list_policy_holders(client, "p", "4", identities, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_policy_holders{policy:p marker:4 limit:3}");
	out.n_identities = PAGE + 1;
	count = 9;
	assert_int_equal(
		kmsc_list_identities(client, true, "", identities, PAGE, &count, next, &err),
		SLK_INTERNAL);
	assert_int_equal(kmsc_list_identities(client, true, "", identities, 0, &count, next, &err),
		SLK_INVALID);
	assert_int_equal(count, 9);
}

static void
names_come_by_pages(void **state)
{
	(void)state;
	char *list[] = {(char *)"a", (char *)"b", (char *)"c", (char *)"d"};
	Kmsp__Names out = KMSP__NAMES__INIT;

	out.names = list;
	out.n_names = 2;
	out.next = (char *)"b";
	reply.result_case = KMSP__REPLY__RESULT_NAMES;
	reply.names = &out;
	assert_ok(kmsc_list_inline_policies(client, alice, "", names, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_inline_policies{who{user:alice} limit:3}");
	assert_int_equal(count, 2);
	assert_string_equal(names[1], "b");
	assert_string_equal(next, "b");
	assert_ok(kmsc_list_key_policies(client, "k", "", names, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_key_policies{key:k limit:3}");
	out.n_names = PAGE + 1;
	assert_int_equal(
		kmsc_list_inline_policies(client, alice, "", names, PAGE, &count, next, &err),
		SLK_INTERNAL);
	out.n_names = 1;
	list[0] = long_text + sizeof(long_text) - 1 - KMSC_POLICY_NAME_MAX; /* one too long */
	assert_int_equal(
		kmsc_list_inline_policies(client, alice, "", names, PAGE, &count, next, &err),
		SLK_INTERNAL);
}

static void
a_managed_policy_is_made_read_and_replaced(void **state)
{
	(void)state;
	Kmsp__Document out = KMSP__DOCUMENT__INIT;

	out.name = (char *)"p";
	out.arn = (char *)"arn:p";
	out.text = (char *)"{}";
	out.changed_ns = 7;
	out.attachments_count = 2;
	reply.result_case = KMSP__REPLY__RESULT_DOCUMENT;
	reply.document = &out;
	assert_ok(kmsc_create_policy(client, "p", "{}", "for the web", &policy, &err));
	assert_string_equal(asked, "create_policy{name:p policy:{} description:for the web}");
	assert_string_equal(policy.arn, "arn:p");
	assert_ok(kmsc_update_policy(client, "p", "{ }", &policy, &err));
	assert_string_equal(asked, "update_policy{policy:p document:{ }}");
	assert_ok(kmsc_get_policy(client, "arn:p", &policy, text, &err));
	assert_string_equal(asked, "get_policy{policy:arn:p}");
	assert_int_equal(policy.changed_ns, 7);
	assert_int_equal(policy.attachments_count, 2);
	assert_string_equal(text, "{}");
	assert_ok(kmsc_get_inline_policy(client, reader, "i", text, &err));
	assert_string_equal(asked, "get_inline_policy{who{role:reader} name:i}");
	out.text = long_text;
	assert_int_equal(kmsc_get_policy(client, "p", &policy, text, &err), SLK_INTERNAL);
	assert_ok(kmsc_get_policy(client, "p", &policy, NULL, &err));
}

static void
managed_policies_come_by_pages(void **state)
{
	(void)state;
	Kmsp__Document one = KMSP__DOCUMENT__INIT, *list[] = {&one, &one, &one, &one};
	Kmsp__Policies out = KMSP__POLICIES__INIT;

	one.name = (char *)"p";
	out.policies = list;
	out.n_policies = PAGE;
	reply.result_case = KMSP__REPLY__RESULT_POLICIES;
	reply.policies = &out;
	assert_ok(kmsc_list_policies(client, "m", policies, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_policies{marker:m limit:3}");
	assert_int_equal(count, PAGE);
	assert_string_equal(policies[2].name, "p");
	assert_string_equal(next, "");
	assert_ok(kmsc_list_attached_policies(
		client, reader, "", policies, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_attached_policies{who{role:reader} limit:3}");
	out.n_policies = PAGE + 1;
	assert_int_equal(
		kmsc_list_policies(client, "", policies, PAGE, &count, next, &err), SLK_INTERNAL);
}

static void
a_document_that_kmsd_refuses_says_where(void **state)
{
	(void)state;
	reply.status = SLK_INVALID;
	reply.exception = (char *)"MalformedPolicyDocumentException";
	reply.message = (char *)"line 4, column 15: Effect is \"Allow\" or \"Deny\"";
	assert_int_equal(kmsc_put_key_policy(client, "k", "{}", false, &err), SLK_INVALID);
	assert_non_null(strstr(err.text, "line 4, column 15"));
	static char longer[KMSP_FRAME_MAX + 1];
	memset(longer, ' ', sizeof(longer) - 1);
	asked[0] = '\0';
	assert_int_equal(kmsc_put_key_policy(client, "k", longer, false, &err), SLK_TOO_LARGE);
	assert_string_equal(asked, "");
}

/* --- grants --- */

static struct kmsc_grant grants[PAGE];

static struct fmt_context *
a_context(void)
{
	struct fmt_context *context = NULL;

	assert_ok(fmt_context_new(&context));
	assert_ok(fmt_context_add(context, slk_span_str("dept"), slk_span_str("it")));
	return context;
}

static void
a_grant_names_all_that_it_is_bound_to(void **state)
{
	(void)state;
	static const char *const operations[KMSC_GRANT_OPERATIONS_MAX + 1] = {
		"Decrypt", "RetireGrant"};
	struct fmt_context *context = a_context();
	struct kmsc_grant_kind kind = {.key_id = "k",
		.grantee = "arn:alice",
		.retiring = "arn:bob",
		.operations = operations,
		.operations_count = 2,
		.context_subset = context,
		.source_arn = "arn:s",
		.name = "n"};
	char id[KMSC_GRANT_ID_MAX], token[KMSC_GRANT_TOKEN_MAX];
	Kmsp__Grant out = KMSP__GRANT__INIT;

	out.id = (char *)"aa";
	out.token = (char *)"tt";
	reply.result_case = KMSP__REPLY__RESULT_GRANT;
	reply.grant = &out;
	assert_ok(kmsc_create_grant(client, &kind, id, token, &err));
	assert_string_equal(asked,
		"create_grant{key:k grantee:arn:alice retiring:arn:bob operations:Decrypt "
		"operations:RetireGrant context_subset{key:dept value:it} source_arn:arn:s "
		"name:n}");
	assert_string_equal(id, "aa");
	assert_string_equal(token, "tt");
	kind = (struct kmsc_grant_kind){
		.key_id = "k", .grantee = "g", .operations = operations, .operations_count = 1};
	kind.context_equals = context;
	assert_ok(kmsc_create_grant(client, &kind, id, token, &err));
	assert_string_equal(asked,
		"create_grant{key:k grantee:g operations:Decrypt "
		"context_equals{key:dept value:it}}");
	kind.operations_count = KMSC_GRANT_OPERATIONS_MAX + 1;
	assert_int_equal(kmsc_create_grant(client, &kind, id, token, &err), SLK_LIMIT);
	fmt_context_free(context);
}

static void
grants_come_by_pages_with_their_constraints(void **state)
{
	(void)state;
	Kmsp__Pair pair = KMSP__PAIR__INIT, *pairs[] = {&pair, &pair};
	char *operations[KMSC_GRANT_OPERATIONS_MAX + 1] = {(char *)"Decrypt"};
	Kmsp__Grant one = KMSP__GRANT__INIT, bad = KMSP__GRANT__INIT,
		    *list[] = {&one, &bad, &one, &one};
	Kmsp__Grants out = KMSP__GRANTS__INIT;
	struct fmt_context *context = a_context();

	pair.key = (ProtobufCBinaryData){4, (uint8_t *)(uintptr_t) "dept"};
	pair.value = (ProtobufCBinaryData){2, (uint8_t *)(uintptr_t) "it"};
	one.id = (char *)"aa";
	one.operations = operations;
	one.n_operations = 1;
	one.context_equals = pairs;
	one.n_context_equals = 1;
	out.grants = list;
	out.n_grants = 2;
	out.next = (char *)"aa";
	reply.result_case = KMSP__REPLY__RESULT_GRANTS;
	reply.grants = &out;
	assert_ok(kmsc_list_grants(client, "k", "g", "m", grants, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_grants{key:k grantee:g marker:m limit:3}");
	assert_int_equal(count, 2);
	assert_string_equal(grants[0].operations[0], "Decrypt");
	assert_true(fmt_context_equal(grants[0].context_equals, context));
	assert_null(grants[0].context_subset);
	assert_null(grants[1].context_equals);
	kmsc_grants_fini(grants, count);
	assert_null(grants[0].context_equals);
	assert_ok(kmsc_list_retirable_grants(client, "r", "", grants, PAGE, &count, next, &err));
	assert_string_equal(asked, "list_retirable_grants{retiring:r limit:3}");
	kmsc_grants_fini(grants, count);

	bad.context_subset = pairs; /* a pair twice is no context */
	bad.n_context_subset = 2;
	assert_int_equal(kmsc_list_grants(client, "k", NULL, "", grants, PAGE, &count, next, &err),
		SLK_INTERNAL);
	out.n_grants = 4;
	assert_int_equal(kmsc_list_grants(client, "k", NULL, "", grants, PAGE, &count, next, &err),
		SLK_INTERNAL);
	for (size_t i = 1; i <= KMSC_GRANT_OPERATIONS_MAX; i++)
		operations[i] = operations[0];
	one.n_operations = KMSC_GRANT_OPERATIONS_MAX + 1;
	out.n_grants = 1;
	assert_int_equal(kmsc_list_grants(client, "k", NULL, "", grants, PAGE, &count, next, &err),
		SLK_INTERNAL);
	one.n_operations = 1;
	assert_ok(kmsc_get_grant(client, "k", "aa", &grants[0], &err));
	assert_string_equal(asked, "list_grants{key:k grant_id:aa limit:1}");
	kmsc_grants_fini(grants, 1);
	out.n_grants = 0;
	assert_int_equal(kmsc_get_grant(client, "k", "bb", &grants[0], &err), SLK_NOT_FOUND);
	fmt_context_free(context);
}

/* --- explain --- */

static void
a_question_names_who_what_and_with_what(void **state)
{
	(void)state;
	static const char *const values[] = {"arn:1", "arn:2"};
	static const struct kmsc_condition conditions[KMSC_QUESTION_VALUES_MAX + 1] = {
		{"aws:SourceArn", values, 2}};
	struct fmt_context *context = a_context();
	struct kmsc_question question = {.principal = "user/alice",
		.action = "kms:Decrypt",
		.resource = "k",
		.context = context,
		.values = conditions,
		.values_count = 1};
	Kmsp__Explanation out = KMSP__EXPLANATION__INIT;
	struct kmsc_explanation got;

	reply.result_case = KMSP__REPLY__RESULT_EXPLANATION;
	reply.explanation = &out;
	assert_ok(kmsc_explain(client, &question, &got, &err));
	assert_string_equal(asked,
		"explain{principal:user/alice action:kms:Decrypt resource:k "
		"context{key:dept value:it} values{key:aws:SourceArn values:arn:1 values:arn:2}}");
	assert_false(got.allowed);
	assert_int_equal(got.policies_count, 0);
	kmsc_explanation_fini(&got);
	question = (struct kmsc_question){.uid = 7, .action = "a:B", .resource = "*"};
	assert_ok(kmsc_explain(client, &question, &got, &err));
	assert_string_equal(asked, "explain{uid:7 action:a:B resource:*}");
	kmsc_explanation_fini(&got);
	kmsc_explanation_fini(NULL);
	question.values = conditions;
	question.values_count = KMSC_QUESTION_VALUES_MAX + 1;
	assert_int_equal(kmsc_explain(client, &question, &got, &err), SLK_LIMIT);
	fmt_context_free(context);
}

static void
an_explanation_comes_whole(void **state)
{
	(void)state;
	Kmsp__ExplainedStatement first = KMSP__EXPLAINED_STATEMENT__INIT,
				 second = KMSP__EXPLAINED_STATEMENT__INIT,
				 *statements[] = {&first, &second, &first};
	Kmsp__ExplainedPolicy one = KMSP__EXPLAINED_POLICY__INIT,
			      two = KMSP__EXPLAINED_POLICY__INIT, *list[] = {&one, &two};
	Kmsp__Condition value = KMSP__CONDITION__INIT, *values[] = {&value};
	char *texts[] = {(char *)"local", (char *)"", long_text};
	Kmsp__Explanation out = KMSP__EXPLANATION__INIT;
	const struct kmsc_question question = {.action = "a:B", .resource = "*"};
	struct kmsc_explanation got;

	long_text[60000] = '\0';
	first.stage = (char *)"Matched";
	first.decided = true;
	second.index = 1;
	second.line = 9;
	second.deny = true;
	second.sid = (char *)"s";
	second.stage = (char *)"Condition";
	second.condition_operator = (char *)"StringEquals";
	second.condition_key = (char *)"kms:ViaService";
	one.kind = (char *)"identity";
	one.statements = statements;
	one.n_statements = 2;
	two.statements = &statements[2];
	two.n_statements = 1;
	value.key = (char *)"kms:ViaService";
	value.values = texts;
	value.n_values = 3;
	out.allowed = true;
	out.sentence = (char *)"because";
	out.policies = list;
	out.n_policies = 2;
	out.values = values;
	out.n_values = 1;
	reply.result_case = KMSP__REPLY__RESULT_EXPLANATION;
	reply.explanation = &out;
	assert_ok(kmsc_explain(client, &question, &got, &err));
	long_text[60000] = 'd';
	assert_true(got.allowed);
	assert_string_equal(got.sentence, "because");
	assert_int_equal(got.policies_count, 2);
	assert_string_equal(got.policies[0].kind, "identity");
	assert_int_equal(got.policies[0].statements_count, 2);
	assert_true(got.policies[0].statements[0].decided);
	const struct kmsc_explained_statement *s = &got.policies[0].statements[1];
	assert_int_equal(s->index, 1);
	assert_int_equal(s->line, 9);
	assert_true(s->deny);
	assert_string_equal(s->sid, "s");
	assert_string_equal(s->stage, "Condition");
	assert_string_equal(s->condition_operator, "StringEquals");
	assert_string_equal(s->condition_key, "kms:ViaService");
	assert_int_equal(got.policies[1].statements_count, 1);
	assert_int_equal(got.values_count, 1);
	assert_int_equal(got.values[0].values_count, 3);
	assert_string_equal(got.values[0].values[1], "");
	assert_int_equal(strlen(got.values[0].values[2]), 60000);
	kmsc_explanation_fini(&got);
	assert_null(got.memory);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(what_sets_or_removes_is_answered_by_nothing),
		CASE(policies_of_keys_and_streams_name_them),
		CASE(grants_are_ended_by_name_or_token),
		CASE(an_identity_comes_whole_with_the_longest_trust_policy),
		CASE(an_identity_with_more_than_there_can_be_is_refused),
		CASE(users_and_roles_are_made_with_what_they_have),
		CASE(what_creates_is_not_asked_again),
		CASE(identities_come_by_pages),
		CASE(names_come_by_pages),
		CASE(a_managed_policy_is_made_read_and_replaced),
		CASE(managed_policies_come_by_pages),
		CASE(a_document_that_kmsd_refuses_says_where),
		CASE(a_grant_names_all_that_it_is_bound_to),
		CASE(grants_come_by_pages_with_their_constraints),
		CASE(a_question_names_who_what_and_with_what),
		CASE(an_explanation_comes_whole),
	};

	return cmocka_run_group_tests_name("kmsclient_iam", tests, NULL, NULL);
}
