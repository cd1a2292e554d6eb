/* Signing keys: every case of the published suite for Signature Version 4 that is there, by its string to sign. */
#include "slk_test.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <yajl/yajl_tree.h>

#include "base/base64.h"
#include "base/clock.h"
#include "sigv4.h"

#define SUITE SLK_SOURCE_DIR "/../shared/vectors/aws-sigv4-suite/tests/aws-signing-test-suite/v4"

static struct kms_digests *digests;
static struct kms_hmac *hmac;

static int
setup(void **state)
{
	(void)state;
	assert_ok(kms_digests_new(&digests));
	assert_ok(kms_hmac_new(digests, &hmac));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kms_hmac_free(hmac);
	kms_digests_free(digests);
	return 0;
}

static void
key_of(const char *secret, const struct kms_sigv4_scope *scope, uint8_t out[KMS_SHA256_BYTES])
{
	uint8_t bytes[KMS_SECRET_BYTES];
	size_t len = 0;

	assert_ok(slk_base64_decode(SLK_BASE64, slk_span_str(secret), bytes, sizeof(bytes), &len));
	assert_int_equal(len, KMS_SECRET_BYTES);
	assert_ok(kms_sigv4_key(hmac, bytes, scope, out));
}

/* The example of AWS's documentation on deriving a signing key. */
static void
documented_example_fits(void **state)
{
	(void)state;
	const struct kms_sigv4_scope scope = {"20150830", "us-east-1", "iam"};
	uint8_t key[KMS_SHA256_BYTES];
	char hex[65];

	key_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope, key);
	slk_hex(slk_span(key, sizeof(key)), hex, sizeof(hex));
	assert_string_equal(
		hex, "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
}

/* --- the suite --- */

static bool
read_file(const char *name, const char *file, char *out, size_t cap)
{
	char path[1024];

	snprintf(path, sizeof(path), "%s/%s/%s", SUITE, name, file);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	size_t len = fread(out, 1, cap - 1, f);
	assert_true(len < cap - 1);
	out[len] = '\0';
	fclose(f);
	return true;
}

static const char *
text_of(yajl_val tree, const char *outer, const char *inner)
{
	const char *one[] = {outer, NULL}, *two[] = {outer, inner, NULL};
	const char *text =
		YAJL_GET_STRING(yajl_tree_get(tree, inner != NULL ? two : one, yajl_t_string));

	assert_non_null(text);
	return text;
}

static void
scope_of(const char *name, struct kms_sigv4_scope *scope, char secret[41])
{
	char text[4096], error[256];
	unsigned year, month, day;

	assert_true(read_file(name, "context.json", text, sizeof(text)));
	yajl_val tree = yajl_tree_parse(text, error, sizeof(error));
	assert_non_null(tree);
	assert_int_equal(
		sscanf(text_of(tree, "timestamp", NULL), "%4u-%2u-%2uT", &year, &month, &day), 3);
	snprintf(scope->date, sizeof(scope->date), "%04u%02u%02u", year % 10000, month % 100,
		day % 100);
	snprintf(scope->region, sizeof(scope->region), "%s", text_of(tree, "region", NULL));
	snprintf(scope->service, sizeof(scope->service), "%s", text_of(tree, "service", NULL));
	snprintf(secret, 41, "%s", text_of(tree, "credentials", "secret_access_key"));
	yajl_tree_free(tree);
}

/* HMAC of a text longer than kms_hmac_sha256() takes is never needed: strings to sign are short. */
static unsigned
check(const char *name, const char *form)
{
	char text[4096], expected[128], file[64], hex[65], secret[41];
	struct kms_sigv4_scope scope;
	uint8_t key[KMS_SHA256_BYTES], signature[KMS_SHA256_BYTES];

	snprintf(file, sizeof(file), "%s-string-to-sign.txt", form);
	if (!read_file(name, file, text, sizeof(text)))
		return 0;
	snprintf(file, sizeof(file), "%s-signature.txt", form);
	assert_true(read_file(name, file, expected, sizeof(expected)));
	scope_of(name, &scope, secret);
	key_of(secret, &scope, key);
	assert_ok(kms_hmac_sha256(hmac, slk_span(key, sizeof(key)), slk_span_str(text), signature));
	slk_hex(slk_span(signature, sizeof(signature)), hex, sizeof(hex));
	if (strncmp(expected, hex, 64) != 0)
		fail_msg("%s, %s: %s, not %s", name, form, hex, expected);
	return 1;
}

static void
every_case_of_the_suite_is_signed_alike(void **state)
{
	(void)state;
	unsigned count = 0;
	DIR *dir = opendir(SUITE);

	if (dir == NULL) {
		print_message("the suite is not there: " SUITE "\n");
		skip();
		return;
	}
	for (const struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
		if (e->d_name[0] == '.')
			continue;
		count += check(e->d_name, "header") + check(e->d_name, "query");
	}
	closedir(dir);
	assert_true(count >= 70);
}

/* --- scopes --- */

static void
any_change_of_the_scope_changes_the_key(void **state)
{
	(void)state;
	static const struct kms_sigv4_scope scopes[] = {{"20150830", "us-east-1", "kms"},
		{"20150831", "us-east-1", "kms"}, {"20150830", "us-east-2", "kms"},
		{"20150830", "us-east-1", "sts"}};
	uint8_t keys[4][KMS_SHA256_BYTES];

	for (size_t i = 0; i < 4; i++) {
		key_of("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scopes[i], keys[i]);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(keys[i], keys[k], KMS_SHA256_BYTES);
	}
}

static void
names_are_lower_case_and_short(void **state)
{
	(void)state;
	char longest[KMS_SIGV4_NAME_MAX + 2];

	assert_true(kms_sigv4_is_name("us-east-1"));
	assert_true(kms_sigv4_is_name("local"));
	assert_false(kms_sigv4_is_name(""));
	assert_false(kms_sigv4_is_name("US-EAST-1"));
	assert_false(kms_sigv4_is_name("us/east"));
	assert_false(kms_sigv4_is_name("us east"));
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	assert_false(kms_sigv4_is_name(longest));
	longest[sizeof(longest) - 2] = '\0';
	assert_true(kms_sigv4_is_name(longest));
}

static void
a_day_before_and_after_is_near(void **state)
{
	(void)state;
	const uint64_t now = 1795507200ull * SLK_NS_PER_S; /* 2026-11-24T08:00:00Z */

	assert_true(kms_sigv4_is_near("20261123", now));
	assert_true(kms_sigv4_is_near("20261124", now));
	assert_true(kms_sigv4_is_near("20261125", now));
	static const char *const far[] = {"20261122", "20261126", "20251124", "", "2026112",
		"202611240", "2026-11-24", "20261131", "x0261124"};
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_false(kms_sigv4_is_near(far[i], now));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(documented_example_fits),
		CASE(every_case_of_the_suite_is_signed_alike),
		CASE(any_change_of_the_scope_changes_the_key),
		CASE(names_are_lower_case_and_short),
		CASE(a_day_before_and_after_is_near),
	};

	return cmocka_run_group_tests_name("kms_sigv4", tests, NULL, NULL);
}
