#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "iam.h"

#define KEY "arn:aws:kms:local:000000000000:key/"
#define ALICE "arn:aws:iam::000000000000:user/alice"
#define BOB "arn:aws:iam::000000000000:user/bob"

static char account[] = "000000000000", region[] = "local";

/* One statement of single entries. */
static struct kms_config_statement
statement(char *effect, char **principal, char **action, char **resource)
{
	return (struct kms_config_statement){.effect = effect,
		.principals = principal,
		.principals_count = 1,
		.actions = action,
		.actions_count = 1,
		.resources = resource,
		.resources_count = 1};
}

/* Principals that are known, beside root. */
static char *roles[] = {(char *)"user/alice", (char *)"user/bob", (char *)"user/Alice",
	(char *)"role/alice", (char *)"user/ALICE", (char *)"role/syslog",
	(char *)"arn:aws:iam::111111111111:user/alice"};

static int
compile(struct kms_config_statement *statements, uint32_t count, struct kms_policy **out,
	struct slk_error *err)
{
	struct kms_config config = {.account = account,
		.region = region,
		.policy = statements,
		.policy_count = count,
		.roles = roles,
		.roles_count = sizeof(roles) / sizeof(*roles)};

	return kms_policy_new(&config, out, err);
}

static int
ask(const struct kms_policy *p, const struct kms_question *q, char *sentence)
{
	struct kms_iam *iam = NULL;

	assert_ok(kms_iam_new(p, NULL, &iam));
	int rc = kms_policy_decide(iam, q, sentence);
	kms_iam_free(iam);
	return rc;
}

static int
decide(const struct kms_policy *p, const char *principal, const char *action, const char *resource)
{
	char sentence[KMS_SENTENCE_MAX] = "";
	const struct kms_question q = {
		.principal = principal, .action = action, .resource = resource};

	int rc = ask(p, &q, sentence);
	if (rc != SLK_OK) {
		assert_int_equal(rc, SLK_DENIED);
		assert_non_null(strstr(sentence, principal));
		assert_non_null(strstr(sentence, action));
		assert_non_null(strstr(sentence, resource));
	}
	return rc;
}

static void
nothing_is_allowed_without_a_statement(void **state)
{
	(void)state;
	struct kms_policy *p = NULL;

	assert_ok(compile(NULL, 0, &p, NULL));
	assert_int_equal(decide(p, ALICE, "kms:Decrypt", KEY "1"), SLK_DENIED);
	assert_int_equal(decide(p, ALICE, "kms:ListKeys", "*"), SLK_DENIED);
	/* The default policy of a key lets the account decide, for its root as well. */
	assert_int_equal(decide(p, "arn:aws:iam::000000000000:root", "kms:Decrypt",
				 KEY "11111111-2222-4333-8444-555555555555"),
		SLK_DENIED);
	kms_policy_free(p);
}

/* Every combination of who, what and where, against the one statement that fits. */
static void
statement_allows_its_principal_action_and_resource_only(void **state)
{
	(void)state;
	char *who = (char *)"user/alice", *what = (char *)"kms:Decrypt", *where = (char *)"key/1";
	struct kms_config_statement s = statement((char *)"Allow", &who, &what, &where);
	static const char *const principals[] = {ALICE, BOB, "arn:aws:iam::000000000000:user/Alice",
		"arn:aws:iam::000000000000:role/alice", "arn:aws:iam::111111111111:user/alice",
		"*"};
	static const char *const actions[] = {
		"kms:Decrypt", "kms:Encrypt", "kms:DecryptX", "kinesis:Decrypt"};
	static const char *const resources[] = {KEY "1", KEY "2", KEY "11", "*",
		"arn:aws:kms:other:000000000000:key/1", "arn:aws:kms:local:111111111111:key/1"};
	struct kms_policy *p = NULL;

	assert_ok(compile(&s, 1, &p, NULL));
	for (size_t a = 0; a < sizeof(principals) / sizeof(*principals); a++)
		for (size_t b = 0; b < sizeof(actions) / sizeof(*actions); b++)
			for (size_t c = 0; c < sizeof(resources) / sizeof(*resources); c++)
				assert_int_equal(decide(p, principals[a], actions[b], resources[c]),
					a == 0 && b == 0 && c == 0 ? SLK_OK : SLK_DENIED);
	kms_policy_free(p);
}

static void
explicit_deny_wins_in_either_order(void **state)
{
	(void)state;
	char *all = (char *)"*", *alice = (char *)"user/alice", *decrypt = (char *)"kms:Decrypt";
	struct kms_config_statement allow = statement((char *)"Allow", &all, &all, &all);
	struct kms_config_statement deny = statement((char *)"Deny", &alice, &decrypt, &all);

	deny.sid = (char *)"no-reading";
	for (int order = 0; order < 2; order++) {
		struct kms_config_statement both[] = {order ? deny : allow, order ? allow : deny};
		char sentence[KMS_SENTENCE_MAX] = "";
		const struct kms_question q = {.principal = ALICE,
			.action = "kms:Decrypt",
			.resource = KEY "1",
			.granted = true};
		struct kms_policy *p = NULL;
		assert_ok(compile(both, 2, &p, NULL));
		assert_int_equal(ask(p, &q, sentence), SLK_DENIED); /* also if granted otherwise */
		assert_string_equal(sentence,
			"User: " ALICE " is not authorized to perform: kms:Decrypt on "
			"resource: " KEY "1 with an explicit deny in an identity-based policy");
		assert_ok(decide(p, BOB, "kms:Decrypt", KEY "1"));
		assert_ok(decide(p, ALICE, "kms:Encrypt", KEY "1"));
		kms_policy_free(p);
	}
}

static void
grant_stands_for_an_allow(void **state)
{
	(void)state;
	struct kms_policy *p = NULL;
	char sentence[KMS_SENTENCE_MAX];
	const struct kms_question q = {.principal = "kinesis.amazonaws.com",
		.action = "kms:GenerateDataKey",
		.resource = KEY "1",
		.granted = true};

	assert_ok(compile(NULL, 0, &p, NULL));
	assert_ok(ask(p, &q, sentence));
	kms_policy_free(p);
}

static void
wildcards_match_as_in_iam(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *text;
		bool matches;
	} rows[] = {
		{"*", "", true},
		{"*", "a/b:c", true},
		{"?", "a", true},
		{"?", "", false},
		{"?", "ab", false},
		{"a*c", "abbbc", true},
		{"a*c", "ac", true},
		{"a*c", "acb", false},
		{"a*b*c", "aXbYbZc", true},
		{"a*b*c", "aXcYbZ", false},
		{"key/*", "key/", true},
		{"key/*", "key", false},
		{"*/x", "a:b/c/x", true},
		{"**a", "ba", true},
		{"", "", true},
		{"", "a", false},
		{"A", "a", false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (kms_pattern_match(rows[i].pattern, rows[i].text, false) != rows[i].matches)
			fail_msg("'%s' against '%s'", rows[i].pattern, rows[i].text);
	assert_true(kms_pattern_match("KMS:decr*", "kms:Decrypt", true));
}

/* 40 stars against a text that fits almost: linear in each, not exponential. */
static void
many_stars_take_bounded_time(void **state)
{
	(void)state;
	char pattern[128], text[512];

	for (size_t i = 0; i < 40; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	strcpy(pattern + 80, "b");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(kms_pattern_match(pattern, text, false));
}

static void
actions_ignore_case_resources_and_principals_do_not(void **state)
{
	(void)state;
	char *who = (char *)"user/alice", *what = (char *)"KMS:decrypt", *where = (char *)"key/a";
	struct kms_config_statement s = statement((char *)"Allow", &who, &what, &where);
	struct kms_policy *p = NULL;

	assert_ok(compile(&s, 1, &p, NULL));
	assert_ok(decide(p, ALICE, "kms:Decrypt", KEY "a"));
	assert_int_equal(decide(p, ALICE, "kms:Decrypt", KEY "A"), SLK_DENIED);
	assert_int_equal(decide(p, "arn:aws:iam::000000000000:user/ALICE", "kms:Decrypt", KEY "a"),
		SLK_DENIED);
	kms_policy_free(p);
}

static void
malformed_statement_is_refused(
	char *effect, char *who, char *what, char *where, const char *expected)
{
	struct kms_config_statement s = statement(effect, &who, &what, &where);
	struct slk_error err = {0};
	struct kms_policy *p = NULL;

	assert_int_equal(compile(&s, 1, &p, &err), SLK_CONFIG);
	assert_null(p);
	if (strstr(err.text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void
malformed_statements_are_refused_with_their_fault(void **state)
{
	(void)state;
	char allow[] = "Allow", typo[] = "allow", star[] = "*", action[] = "kms:Decyrpt",
	     who[] = "alice", where[] = "keys/1", control[] = "kms:\x01*";

	malformed_statement_is_refused(typo, star, star, star, "neither Allow nor Deny");
	malformed_statement_is_refused(allow, star, action, star, "kms:Decyrpt");
	malformed_statement_is_refused(allow, who, star, star, "alice");
	malformed_statement_is_refused(allow, star, star, where, "keys/1");
	malformed_statement_is_refused(allow, star, control, star, "kms:");
}

/* A copy with the mode that it asks for, whatever the umask of this checkout was. */
static int
load_copy(const char *path, struct kms_config **out_config, struct slk_error *err)
{
	static char text[16384];
	char copy[] = "/tmp/kmsd_example_XXXXXX";
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	size_t len = fread(text, 1, sizeof(text), f);
	fclose(f);
	int fd = mkstemp(copy);
	assert_true(fd >= 0 && len < sizeof(text));
	assert_int_equal(write(fd, text, len), (ssize_t)len);
	close(fd);
	int rc = kms_config_load(copy, out_config, err);
	unlink(copy);
	return rc;
}

static void
example_configuration_is_sound_and_denies_by_default(void **state)
{
	(void)state;
	struct kms_config *config = NULL;
	struct kms_policy *p = NULL;
	struct slk_error err = {0};

	if (load_copy(SLK_SOURCE_DIR "/deploy/kmsd.yaml.example", &config, &err) != SLK_OK ||
		kms_policy_new(config, &p, &err) != SLK_OK)
		fail_msg("%s", err.text);
	assert_ok(decide(p, "arn:aws:iam::000000000000:root", "kms:CreateKey", "*"));
	assert_ok(decide(p, "arn:aws:iam::000000000000:role/syslog", "kinesis:PutRecord",
		"arn:aws:kinesis:local:000000000000:stream/web"));
	assert_int_equal(decide(p, "arn:aws:iam::000000000000:role/syslog", "kms:Decrypt", KEY "1"),
		SLK_DENIED);
	assert_int_equal(decide(p, ALICE, "kms:Decrypt", KEY "1"), SLK_DENIED);
	kms_policy_free(p);
	kms_config_free(config);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_allowed_without_a_statement),
		cmocka_unit_test(statement_allows_its_principal_action_and_resource_only),
		cmocka_unit_test(explicit_deny_wins_in_either_order),
		cmocka_unit_test(grant_stands_for_an_allow),
		cmocka_unit_test(wildcards_match_as_in_iam),
		cmocka_unit_test(many_stars_take_bounded_time),
		cmocka_unit_test(actions_ignore_case_resources_and_principals_do_not),
		cmocka_unit_test(malformed_statements_are_refused_with_their_fault),
		cmocka_unit_test(example_configuration_is_sound_and_denies_by_default),
	};

	return cmocka_run_group_tests_name("kms_policy", tests, NULL, NULL);
}
