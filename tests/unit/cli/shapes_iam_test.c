/* The JSON of users, roles, policies, grants and explanations is read by scripts: names and types are a promise. */
#include "slk_test.h"

#include <string.h>
#include <unistd.h>

#include "shapes_iam.h"

#define CREATED_NS 1763978400000000000ull
#define CREATED "\"2025-11-24T10:00:00.000000000Z\""

static const struct kmsc_identity alice = {
	.name = "alice",
	.arn = "arn:aws:iam::000000000000:user/alice",
	.id = "AIDA1",
	.boundary = "arn:aws:iam::000000000000:policy/limits",
	.created_ns = CREATED_NS,
};
static const struct kmsc_identity reader = {
	.name = "reader",
	.arn = "arn:aws:iam::000000000000:role/reader",
	.id = "AROA1",
	.description = "reads",
	.created_ns = CREATED_NS,
	.max_session_s = 3600,
};
static struct kmsc_identity_detail detail = {
	.tags = {{"team", "web"}},
	.tags_count = 1,
	.trust_policy = "{\"Version\": \"2012-10-17\"}",
};
static const struct kmsc_policy policy = {
	.name = "p",
	.arn = "arn:aws:iam::000000000000:policy/p",
	.description = "d",
	.created_ns = CREATED_NS,
	.changed_ns = CREATED_NS,
	.attachments_count = 2,
};

static char text[8192];

static struct cli_out *
begin(int fds[2])
{
	struct cli_out *out = NULL;

	assert_int_equal(pipe(fds), 0);
	assert_ok(cli_out_new(fds[1], &out, NULL));
	return out;
}

static const char *
end(int fds[2], struct cli_out *out)
{
	assert_ok(cli_out_flush(out));
	cli_out_free(out);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
a_user_in_json_has_tags_and_boundary(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	assert_ok(cli_shape_identity(json, &alice, &detail, NULL));
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"alice\",\"arn\":\"arn:aws:iam::000000000000:user/alice\","
		"\"id\":\"AIDA1\",\"created\":" CREATED
		",\"boundary\":\"arn:aws:iam::000000000000:policy/limits\","
		"\"tags\":{\"team\":\"web\"}}");
}

static void
a_role_in_json_has_its_trust_policy_as_an_object(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	assert_ok(cli_shape_identity(json, &reader, &detail, NULL));
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"reader\",\"arn\":\"arn:aws:iam::000000000000:role/reader\","
		"\"id\":\"AROA1\",\"created\":" CREATED
		",\"max_session_seconds\":3600,\"boundary\":null,\"tags\":{\"team\":\"web\"},"
		"\"description\":\"reads\",\"trust_policy\":{\"Version\": \"2012-10-17\"}}");
}

static void
one_of_a_list_has_less(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	cli_shape_identity_listed(json, &alice);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"alice\",\"arn\":\"arn:aws:iam::000000000000:user/alice\","
		"\"id\":\"AIDA1\",\"created\":" CREATED "}");
}

static void
a_managed_policy_in_json_has_its_document_if_asked_for(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	assert_ok(cli_shape_managed(json, &policy, "{ }", NULL));
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"p\",\"arn\":\"arn:aws:iam::000000000000:policy/p\","
		"\"description\":\"d\",\"created\":" CREATED ",\"changed\":" CREATED
		",\"attachments\":2,\"document\":{ }}");
	out = begin(fds);
	json = cli_json_begin(out, true);
	assert_ok(cli_shape_managed(json, &policy, NULL, NULL));
	cli_json_end(json);
	assert_null(strstr(end(fds, out), "document"));
}

static void
a_grant_in_json_has_the_constraints_that_it_has(void **state)
{
	struct kmsc_grant grant = {.id = "aa",
		.key_arn = "arn:k",
		.name = "n",
		.grantee = "arn:g",
		.issuer = "arn:i",
		.operations = {"Decrypt", "Encrypt"},
		.operations_count = 2,
		.source_arn = "arn:s",
		.created_ns = CREATED_NS};
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	assert_ok(fmt_context_new(&grant.context_equals));
	assert_ok(fmt_context_add(grant.context_equals, slk_span_str("dept"), slk_span_str("it")));
	cli_shape_grant(json, &grant);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"id\":\"aa\",\"key_arn\":\"arn:k\",\"name\":\"n\",\"grantee\":\"arn:g\","
		"\"retiring\":null,\"issuer\":\"arn:i\",\"operations\":[\"Decrypt\",\"Encrypt\"],"
		"\"constraints\":{\"context_equals\":{\"dept\":\"it\"},\"source_arn\":\"arn:s\"},"
		"\"created\":" CREATED "}");
	out = begin(fds);
	cli_shape_grant_text(out, &grant);
	assert_string_equal(end(fds, out),
		"grant:        aa\nkey:          arn:k\nname:         n\ngrantee:      arn:g\n"
		"issuer:       arn:i\nmay:          Decrypt\n              Encrypt\n"
		"only with:    dept=it\nonly for:     arn:s\ncreated:      2025-11-24T10:00:00Z\n");
	kmsc_grants_fini(&grant, 1);
}

static void
an_explanation_in_json_has_every_statement(void **state)
{
	static const struct kmsc_explained_statement statements[] = {
		{.line = 2,
			.sid = "s",
			.stage = "Matched",
			.condition_operator = "",
			.condition_key = "",
			.decided = true},
		{.index = 1,
			.line = 7,
			.sid = "",
			.stage = "Condition",
			.condition_operator = "Bool",
			.condition_key = "aws:SecureTransport",
			.deny = true},
	};
	static const struct kmsc_explained_policy policies[] = {
		{"identity", "inline/p", statements, 2}};
	static const char *const values[] = {"true", "false"};
	static const struct kmsc_condition conditions[] = {{"aws:SecureTransport", values, 2}};
	const struct kmsc_explanation explanation = {.allowed = true,
		.sentence = "because",
		.reason = "AllowedByIdentityPolicy",
		.principal = "arn:p",
		.action = "kms:Decrypt",
		.resource = "arn:k",
		.policies = policies,
		.policies_count = 1,
		.values = conditions,
		.values_count = 1};
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	cli_shape_explanation(json, &explanation);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"allowed\":true,\"reason\":\"AllowedByIdentityPolicy\",\"sentence\":\"because\","
		"\"principal\":\"arn:p\",\"action\":\"kms:Decrypt\",\"resource\":\"arn:k\","
		"\"policies\":[{\"kind\":\"identity\",\"name\":\"inline/p\",\"statements\":["
		"{\"statement\":0,\"line\":2,\"sid\":\"s\",\"effect\":\"Allow\",\"matched\":true,"
		"\"decided\":true},"
		"{\"statement\":1,\"line\":7,\"sid\":\"\",\"effect\":\"Deny\",\"matched\":false,"
		"\"decided\":false,\"failed\":\"Condition\",\"operator\":\"Bool\","
		"\"condition_key\":\"aws:SecureTransport\"}]}],"
		"\"values\":{\"aws:SecureTransport\":[\"true\",\"false\"]},\"truncated\":false}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_user_in_json_has_tags_and_boundary),
		cmocka_unit_test(a_role_in_json_has_its_trust_policy_as_an_object),
		cmocka_unit_test(one_of_a_list_has_less),
		cmocka_unit_test(a_managed_policy_in_json_has_its_document_if_asked_for),
		cmocka_unit_test(a_grant_in_json_has_the_constraints_that_it_has),
		cmocka_unit_test(an_explanation_in_json_has_every_statement),
	};

	return cmocka_run_group_tests_name("cli_shapes_iam", tests, NULL, NULL);
}
