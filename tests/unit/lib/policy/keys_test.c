/* Every condition key that a key's policy may ask about, by its name and with the operator that fits it. Where the values come
 * from is kmsd's business; here a name is not mistaken for another, and its absence is seen. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "policy/document.h"

#define KEY "arn:aws:kms:local:000000000000:key/1"
#define STREAM "arn:aws:kinesis:local:000000000000:stream/web"
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static const struct row {
	const char *key, *operator, * want; /* want as JSON */
	const char *yes[2], *no[2]; /* values of a request */
} rows[] = {
	{"kms:BypassPolicyLockoutSafetyCheck", "Bool", "true", {"true"}, {"false"}},
	{"kms:CallerAccount", "StringEquals", "\"000000000000\"", {"000000000000"},
		{"111111111111"}},
	{"kms:CustomerMasterKeySpec", "StringEquals", "\"RSA_4096\"", {"RSA_4096"}, {"RSA_2048"}},
	{"kms:CustomerMasterKeyUsage", "StringEquals", "\"SIGN_VERIFY\"", {"SIGN_VERIFY"},
		{"ENCRYPT_DECRYPT"}},
	{"kms:DataKeyPairSpec", "StringLike", "\"ECC_*\"", {"ECC_NIST_P256"}, {"RSA_2048"}},
	{"kms:EncryptionAlgorithm", "StringEquals", "\"SYMMETRIC_DEFAULT\"", {"SYMMETRIC_DEFAULT"},
		{"RSAES_OAEP_SHA_1"}},
	{"kms:EncryptionContext:aws:kinesis:arn", "StringEquals", "\"" STREAM "\"", {STREAM},
		{STREAM "x"}},
	{"kms:EncryptionContext:dept", "StringLike", "\"f?n*\"", {"finance"}, {"Finance"}},
	{"kms:EncryptionContextKeys", "ForAllValues:StringEquals", "[\"dept\",\"aws:kinesis:arn\"]",
		{"aws:kinesis:arn", "dept"}, {"dept", "other"}},
	{"kms:EncryptionContextKeys", "ForAnyValue:StringEquals", "\"dept\"", {"other", "dept"},
		{"other", "Dept"}},
	{"kms:ExpirationModel", "StringEquals", "\"KEY_MATERIAL_EXPIRES\"",
		{"KEY_MATERIAL_EXPIRES"}, {"KEY_MATERIAL_DOES_NOT_EXPIRE"}},
	{"kms:GrantConstraintType", "StringEquals", "\"EncryptionContextSubset\"",
		{"EncryptionContextSubset"}, {"EncryptionContextEquals"}},
	{"kms:GrantIsForAWSResource", "Bool", "true", {"true"}, {"false"}},
	{"kms:GrantOperations", "ForAllValues:StringEquals", "[\"Decrypt\",\"Encrypt\"]",
		{"Encrypt", "Decrypt"}, {"Encrypt", "CreateGrant"}},
	{"kms:GranteePrincipal", "ArnLike", "\"arn:aws:iam::000000000000:role/ingest*\"",
		{"arn:aws:iam::000000000000:role/ingest-1"},
		{"arn:aws:iam::000000000000:role/admin"}},
	{"kms:KeyAgreementAlgorithm", "StringEquals", "\"ECDH\"", {"ECDH"}, {"DH"}},
	{"kms:KeyOrigin", "StringEquals", "\"AWS_KMS\"", {"AWS_KMS"}, {"EXTERNAL"}},
	{"kms:KeySpec", "StringEquals", "[\"SYMMETRIC_DEFAULT\",\"HMAC_256\"]", {"HMAC_256"},
		{"RSA_2048"}},
	{"kms:KeyUsage", "StringEquals", "\"ENCRYPT_DECRYPT\"", {"ENCRYPT_DECRYPT"},
		{"GENERATE_VERIFY_MAC"}},
	{"kms:MacAlgorithm", "StringEquals", "\"HMAC_SHA_256\"", {"HMAC_SHA_256"},
		{"HMAC_SHA_512"}},
	{"kms:MessageType", "StringEquals", "\"DIGEST\"", {"DIGEST"}, {"RAW"}},
	{"kms:MultiRegion", "Bool", "false", {"false"}, {"true"}},
	{"kms:PrimaryRegion", "StringEquals", "\"local\"", {"local"}, {"remote"}},
	{"kms:ReEncryptOnSameKey", "Bool", "true", {"true"}, {"false"}},
	{"kms:RequestAlias", "StringLike", "\"alias/prod/*\"", {"alias/prod/web"},
		{"alias/test/web"}},
	{"kms:ResourceAliases", "ForAnyValue:StringLike", "\"alias/prod*\"",
		{"alias/x", "alias/prod"}, {"alias/x", "alias/y"}},
	{"kms:RetiringPrincipal", "ArnEquals", "\"arn:aws:iam::000000000000:role/r\"",
		{"arn:aws:iam::000000000000:role/r"}, {"arn:aws:iam::000000000000:role/s"}},
	{"kms:RotationPeriodInDays", "NumericLessThanEquals", "365", {"365"}, {"366"}},
	{"kms:ScheduleKeyDeletionPendingWindowInDays", "NumericGreaterThanEquals", "14", {"30"},
		{"7"}},
	{"kms:SigningAlgorithm", "StringLike", "\"RSASSA_PSS_*\"", {"RSASSA_PSS_SHA_256"},
		{"RSASSA_PKCS1_V1_5_SHA_256"}},
	{"kms:ValidTo", "DateLessThan", "\"2027-01-01T00:00:00Z\"", {"2026-12-31T23:59:59Z"},
		{"2027-01-01T00:00:00Z"}},
	{"kms:ViaService", "StringEquals", "\"kinesis.local.amazonaws.com\"",
		{"kinesis.local.amazonaws.com"}, {"firehose.local.amazonaws.com"}},
	{"kms:WrappingAlgorithm", "StringEquals", "\"RSAES_OAEP_SHA_256\"", {"RSAES_OAEP_SHA_256"},
		{"RSAES_OAEP_SHA_1"}},
	{"kms:WrappingKeySpec", "StringEquals", "\"RSA_4096\"", {"RSA_4096"}, {"RSA_2048"}},
	{"aws:CurrentTime", "DateGreaterThan", "\"2026-11-24T00:00:00Z\"", {"2026-11-24T00:00:01Z"},
		{"2026-11-23T23:59:59Z"}},
	{"aws:PrincipalArn", "ArnNotLike", "\"arn:aws:iam::*:role/admin\"",
		{"arn:aws:iam::000000000000:role/r"}, {"arn:aws:iam::000000000000:role/admin"}},
	{"aws:PrincipalTag/team", "StringEqualsIgnoreCase", "\"Blue\"", {"bLUE"}, {"red"}},
	{"aws:RequestTag/team", "StringEquals", "\"blue\"", {"blue"}, {"red"}},
	{"aws:ResourceTag/team", "StringEquals", "\"blue\"", {"blue"}, {"red"}},
	{"aws:SecureTransport", "Bool", "\"true\"", {"true"}, {"false"}},
	{"aws:SourceAccount", "StringEquals", "\"000000000000\"", {"000000000000"},
		{"111111111111"}},
	{"aws:SourceArn", "ArnLike", "\"arn:aws:kinesis:*:000000000000:stream/*\"", {STREAM},
		{"arn:aws:firehose:local:000000000000:deliverystream/web"}},
	{"aws:SourceIp", "IpAddress", "[\"10.0.0.0/8\",\"2001:db8::/32\"]", {"2001:db8::7"},
		{"11.0.0.1"}},
	{"aws:TagKeys", "ForAllValues:StringEquals", "[\"team\",\"cost\"]", {"team"},
		{"team", "owner"}},
	{"sts:ExternalId", "StringEquals", "\"s3cr3t\"", {"s3cr3t"}, {"S3cr3t"}},
};

static bool
allows(const struct row *row, const char *key, const char *const values[2])
{
	char json[768];
	struct pol_document *doc = NULL;
	struct pol_problem problem;
	const struct pol_value value = {
		key, values, values == NULL ? 0 : 1 + (size_t)(values[1] != NULL)};
	struct pol_query q = {.principal = "arn:aws:iam::000000000000:user/a",
		.account = "000000000000",
		.action = "kms:Decrypt",
		.resource = KEY,
		.values = &value,
		.values_count = values != NULL};

	(void)snprintf(json, sizeof(json),
		"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*"
		"\","
		"\"Action\":\"kms:*\",\"Resource\":\"*\",\"Condition\":{\"%s\":{\"%s\":%s}}}}",
		row->operator, row->key, row->want);
	if (pol_document_parse(slk_span_str(json), POL_RESOURCE, &doc, &problem) != SLK_OK)
		fail_msg("%s: %s", row->key, problem.text);
	assert_ok(pol_query_prepare(&q));
	bool yes = pol_document_evaluate(doc, &q).match == POL_MATCH_ALLOW;
	pol_document_free(doc);
	return yes;
}

static void
each_key_decides_by_its_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (!allows(&rows[i], rows[i].key, rows[i].yes) ||
			allows(&rows[i], rows[i].key, rows[i].no))
			fail_msg("%s %s", rows[i].operator, rows[i].key);
}

/* ForAllValues: and negated operators hold for an absent key; all others do not. */
static void
a_key_that_is_absent_or_another_one_decides_nothing(void **state)
{
	(void)state;
	char other[96];

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		bool open = strncmp(row->operator, "ForAllValues:", 13) == 0 ||
			strstr(row->operator, "Not") != NULL;
		assert_int_equal(allows(row, row->key, NULL), open);
		(void)snprintf(other, sizeof(other), "%sX", row->key);
		assert_int_equal(allows(row, other, row->yes), open);
		(void)snprintf(other, sizeof(other), "%.*s", (int)strlen(row->key) - 1, row->key);
		assert_int_equal(allows(row, other, row->yes), open);
	}
}

/* The names of context keys differ from conditions on them: dept in kms:EncryptionContext:dept ignores case, as names of
 * conditions do, and in the list kms:EncryptionContextKeys it does not. */
static void
names_in_an_encryption_context_ignore_case_only_as_condition_keys(void **state)
{
	(void)state;
	static const char *const value[2] = {"finance"};
	static const char *const names[2] = {"DEPT"};
	static const struct row by_name = {
		"kms:EncryptionContext:Dept", "StringEquals", "\"finance\"", {0}, {0}};
	static const struct row by_list = {
		"kms:EncryptionContextKeys", "StringEquals", "\"dept\"", {0}, {0}};

	assert_true(allows(&by_name, "kms:encryptioncontext:DEPT", value));
	assert_false(allows(&by_list, "kms:EncryptionContextKeys", names));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_decides_by_its_values),
		cmocka_unit_test(a_key_that_is_absent_or_another_one_decides_nothing),
		cmocka_unit_test(names_in_an_encryption_context_ignore_case_only_as_condition_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
