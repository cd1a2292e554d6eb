#include "slk_test.h"

#include <string.h>

#include "names.h"

#define UUID "12345678-9abc-4def-8001-020304050607"

static const struct kms_realm realm = {"000000000000", "local"};

static void
key_is_named_by_id_and_arn(void **state)
{
	(void)state;
	static const char *const good[] = {UUID, "arn:aws:kms:local:000000000000:key/" UUID};

	for (size_t i = 0; i < 2; i++) {
		struct kms_ref ref;
		assert_ok(kms_ref_parse(&realm, good[i], &ref));
		assert_int_equal(ref.kind, KMS_REF_KEY);
		assert_int_equal(ref.id[0], 0x12);
		assert_string_equal(ref.arn, "arn:aws:kms:local:000000000000:key/" UUID);
	}
}

static void
alias_is_named_by_name_and_arn(void **state)
{
	(void)state;
	static const char *const good[] = {"alias/a/b", "arn:aws:kms:local:000000000000:alias/a/b"};

	for (size_t i = 0; i < 2; i++) {
		struct kms_ref ref;
		assert_ok(kms_ref_parse(&realm, good[i], &ref));
		assert_int_equal(ref.kind, KMS_REF_ALIAS);
		assert_string_equal(ref.alias, "alias/a/b");
		assert_string_equal(ref.arn, "arn:aws:kms:local:000000000000:alias/a/b");
	}
}

static void
anything_else_names_no_key(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "key", "key/" UUID, "alias/", "alias/a b",
		"alias/\xc3\xa4", "arn:aws:kms:other:000000000000:key/" UUID,
		"arn:aws:kms:local:000000000001:key/" UUID,
		"arn:aws:kinesis:local:000000000000:key/" UUID,
		"arn:aws:kms:local:000000000000:" UUID,
		"arn:aws:kms:local:000000000000:key/" UUID "x", UUID "x", "arn:"};
	struct kms_ref ref = {.kind = KMS_REF_ALIAS};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(kms_ref_parse(&realm, bad[i], &ref), SLK_NOT_FOUND);
	assert_int_equal(ref.kind, KMS_REF_ALIAS);
}

static void
aliases_of_aws_and_long_ones_are_refused(void **state)
{
	(void)state;
	char longest[300] = "alias/";

	memset(longest + 6, 'a', 250);
	assert_ok(kms_alias_check(longest));
	longest[256] = 'a';
	assert_int_equal(kms_alias_check(longest), SLK_INVALID);
	assert_int_equal(kms_alias_check("alias/aws/kinesis"), SLK_INVALID);
	assert_int_equal(kms_alias_check("alias/"), SLK_INVALID);
	assert_int_equal(kms_alias_check("x"), SLK_INVALID);
	assert_ok(kms_alias_check("alias/awsome"));
}

static void
stream_is_named_by_name_and_arn(void **state)
{
	(void)state;
	char name[KMS_STREAM_MAX] = "before", longest[131] = "";

	assert_ok(kms_stream_parse(&realm, "web.logs_1-x", name));
	assert_string_equal(name, "web.logs_1-x");
	assert_ok(kms_stream_parse(&realm, "arn:aws:kinesis:local:000000000000:stream/web", name));
	assert_string_equal(name, "web");
	memset(longest, 's', 128);
	assert_ok(kms_stream_check(longest));
	longest[128] = 's';
	static const char *const bad[] = {"", "a/b", "a b", "stream/web",
		"arn:aws:kinesis:local:000000000000:web",
		"arn:aws:kinesis:other:000000000000:stream/web",
		"arn:aws:kinesis:local:000000000000:stream/"};
	assert_int_equal(kms_stream_check(longest), SLK_INVALID);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(kms_stream_parse(&realm, bad[i], name), SLK_INVALID);
	assert_string_equal(name, "web");
}

#define DELIVERY "arn:aws:firehose:local:000000000000:deliverystream/"

static void
delivery_stream_is_named_by_name_and_arn(void **state)
{
	(void)state;
	char name[KMS_DELIVERY_MAX] = "before", longest[66] = "", arn[KMS_ARN_MAX];

	assert_ok(kms_delivery_parse(&realm, "web.logs_1-x", name));
	assert_string_equal(name, "web.logs_1-x");
	assert_ok(kms_delivery_parse(&realm, DELIVERY "web", name));
	assert_string_equal(name, "web");
	memset(longest, 's', 64);
	assert_ok(kms_delivery_check(longest));
	longest[64] = 's';
	assert_int_equal(kms_delivery_check(longest), SLK_INVALID);
	static const char *const bad[] = {"", "a/b", "deliverystream/web",
		"arn:aws:kinesis:local:000000000000:stream/web", DELIVERY,
		"arn:aws:firehose:other:000000000000:deliverystream/web",
		"arn:aws:firehose:local:111111111111:deliverystream/web",
		"arn:aws:firehose:local:000000000000:stream/web"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(kms_delivery_parse(&realm, bad[i], name), SLK_INVALID);
	assert_string_equal(name, "web");
	kms_arn_delivery(&realm, "web", arn);
	assert_string_equal(arn, DELIVERY "web");
}

static void
streams_of_direct_puts_are_no_streams_of_kinesis(void **state)
{
	(void)state;
	char name[KMS_STREAM_MAX] = "before", arn[KMS_ARN_MAX];

	assert_ok(kms_any_stream_parse(&realm, DELIVERY "web", name));
	assert_string_equal(name, "deliverystream/web");
	assert_string_equal(kms_stream_delivery(name), "web");
	kms_arn_stream(&realm, name, arn);
	assert_string_equal(arn, DELIVERY "web");
	assert_ok(kms_any_stream_parse(&realm, "deliverystream/a", name));
	assert_ok(kms_any_stream_parse(&realm, "web", name));
	assert_null(kms_stream_delivery(name));
	static const char *const bad[] = {"deliverystream/", "deliverystream/a/b", DELIVERY,
		"arn:aws:firehose:other:000000000000:deliverystream/web"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(kms_any_stream_parse(&realm, bad[i], name), SLK_INVALID);
	assert_int_equal(kms_stream_parse(&realm, DELIVERY "web", name), SLK_INVALID);
	assert_int_equal(kms_stream_parse(&realm, "deliverystream/web", name), SLK_INVALID);
	assert_string_equal(name, "web");
}

static void
short_forms_are_written_in_full(void **state)
{
	(void)state;
	char out[KMS_ARN_MAX], big[400];

	assert_ok(kms_arn_principal(&realm, "user/alice", out));
	assert_string_equal(out, "arn:aws:iam::000000000000:user/alice");
	assert_ok(kms_arn_principal(&realm, "root", out));
	assert_string_equal(out, "arn:aws:iam::000000000000:root");
	assert_ok(kms_arn_resource(&realm, "key/*", out));
	assert_string_equal(out, "arn:aws:kms:local:000000000000:key/*");
	assert_ok(kms_arn_resource(&realm, "stream/web", out));
	assert_string_equal(out, "arn:aws:kinesis:local:000000000000:stream/web");
	assert_ok(kms_arn_resource(&realm, "deliverystream/*", out));
	assert_string_equal(out, DELIVERY "*");
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	memcpy(big, "arn:", 4);
	assert_int_equal(kms_arn_resource(&realm, big, out), SLK_INVALID);
	assert_int_equal(kms_arn_principal(&realm, "alice", out), SLK_INVALID);
	assert_int_equal(kms_arn_resource(&realm, "web", out), SLK_INVALID);
	assert_string_equal(out, DELIVERY "*");
}

static void
material_is_the_key_and_its_generation(void **state)
{
	(void)state;
	static const uint8_t key[16] = {0x01, [15] = 0xfe}, backing[16] = {0xab, [15] = 0x10};
	char out[KMS_MATERIAL_TEXT];

	kms_material_print(key, backing, out);
	assert_string_equal(
		out, "010000000000000000000000000000feab000000000000000000000000000010");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_is_named_by_id_and_arn),
		cmocka_unit_test(alias_is_named_by_name_and_arn),
		cmocka_unit_test(anything_else_names_no_key),
		cmocka_unit_test(aliases_of_aws_and_long_ones_are_refused),
		cmocka_unit_test(stream_is_named_by_name_and_arn),
		cmocka_unit_test(delivery_stream_is_named_by_name_and_arn),
		cmocka_unit_test(streams_of_direct_puts_are_no_streams_of_kinesis),
		cmocka_unit_test(short_forms_are_written_in_full),
		cmocka_unit_test(material_is_the_key_and_its_generation),
	};

	return cmocka_run_group_tests_name("kms_names", tests, NULL, NULL);
}
