#include <stdio.h>

#include "descriptions.h"

static char *
described(const char *json)
{
	struct dlv_spec *s = must_parse(slk_span_str(json));
	char *text = NULL;

	assert_ok(dlv_spec_describe_destination(s, &text));
	dlv_spec_free(s);
	return text;
}

static void
a_description_has_no_secret(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		char *text = described(all_kinds[i]);
		assert_null(strstr(text, "s3cret"));
		assert_null(strstr(text, "Password"));
		assert_null(strstr(text, "AccessKey"));
		free(text);
	}
}

static void
a_description_is_as_firehose_has_it(void **state)
{
	(void)state;
	char *text = described("{\"S3DestinationConfiguration\":{" S3_BODY "}}");

	assert_string_equal(text,
		"{\"DestinationId\":\"destinationId-000000000001\",\"S3DestinationDescription\":{"
		"\"BucketARN\":\"arn:aws:s3:::archive\",\"RoleARN\":\"" ROLE2
		"\",\"BufferingHints\":{\"SizeInMBs\":5,\"IntervalInSeconds\":300},"
		"\"CompressionFormat\":\"UNCOMPRESSED\",\"EncryptionConfiguration\":{"
		"\"NoEncryptionConfig\":\"NoEncryption\"},\"CloudWatchLoggingOptions\":{"
		"\"Enabled\":false}},\"ExtendedS3DestinationDescription\":{\"BucketARN\":"
		"\"arn:aws:s3:::archive\",\"RoleARN\":\"" ROLE2
		"\",\"BufferingHints\":{\"SizeInMBs\":5,\"IntervalInSeconds\":300},"
		"\"CompressionFormat\":\"UNCOMPRESSED\",\"EncryptionConfiguration\":{"
		"\"NoEncryptionConfig\":\"NoEncryption\"},\"CloudWatchLoggingOptions\":{"
		"\"Enabled\":false},\"CustomTimeZone\":\"UTC\",\"ProcessingConfiguration\":{"
		"\"Enabled\":false,\"Processors\":[]},\"S3BackupMode\":\"Disabled\"}}");
	free(text);
}

static void
a_kind_is_described_by_the_name_that_it_was_given(void **state)
{
	(void)state;
	static const struct {
		const char *json, *name;
	} cases[] = {
		{REDSHIFT_ALL, "\"RedshiftDestinationDescription\":{"},
		{POSTGRES_ALL, "\"ClusterJDBCURL\":\"" POSTGRES_URL "\""},
		{SEARCH_ALL, "\"AmazonopensearchserviceDestinationDescription\":{"},
		{SEARCH_OF("Elasticsearch", ""), "\"ElasticsearchDestinationDescription\":{"},
		{HTTP_ALL, "\"HttpEndpointDestinationDescription\":{"},
		{S3_ALL, "\"S3BackupDescription\":{"},
		{HTTP_ALL, "\"S3DestinationDescription\":{"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *text = described(cases[i].json);
		assert_non_null(strstr(text, cases[i].name));
		assert_null(strstr(text, "DestinationConfiguration"));
		free(text);
	}
}

/* Each part has its own, and an update changes what it names. */
static void
logging_is_kept_and_described(void **state)
{
	(void)state;
	static const char options[] = "\"CloudWatchLoggingOptions\":{\"Enabled\":true,"
				      "\"LogGroupName\":\"/aws/kinesisfirehose/clicks\","
				      "\"LogStreamName\":\"S3Delivery\"}";
	char json[2048];
	struct slk_secret *kept = NULL;
	struct dlv_spec *after = NULL;
	struct dlv_fault fault;
	size_t len = 0;

	snprintf(json, sizeof(json), "{\"ExtendedS3DestinationConfiguration\":{" S3_BODY ",%s}}",
		options);
	struct dlv_spec *s = must_parse(slk_span_str(json));
	assert_true(s->s3.logging.enabled);
	assert_string_equal(s->s3.logging.group, "/aws/kinesisfirehose/clicks");
	assert_ok(dlv_spec_print(s, &kept, &len));
	dlv_spec_free(s);
	s = must_parse(slk_span(slk_secret_peek(kept), len));
	slk_secret_free(kept);
	char *text = NULL;
	assert_ok(dlv_spec_describe_destination(s, &text));
	assert_non_null(strstr(text, options));
	free(text);
	assert_ok(dlv_spec_update(s,
		slk_span_str("{\"ExtendedS3DestinationUpdate\":{\"Prefix\":\"p/\"}}"), &after,
		&fault));
	assert_string_equal(after->s3.logging.stream, "S3Delivery");
	dlv_spec_free(after);
	assert_ok(dlv_spec_update(s,
		slk_span_str("{\"ExtendedS3DestinationUpdate\":{\"CloudWatchLoggingOptions\":{"
			     "\"Enabled\":false}}}"),
		&after, &fault));
	assert_false(after->s3.logging.enabled);
	dlv_spec_free(after);
	dlv_spec_free(s);
}

static void
a_source_is_described_if_there_is_one(void **state)
{
	(void)state;
	struct dlv_spec *s = must_parse(slk_span_str(S3_ALL));
	char *text = NULL;

	assert_ok(dlv_spec_describe_source(s, 1700000000123456789u, &text));
	assert_string_equal(text,
		"{\"Source\":{\"KinesisStreamSourceDescription\":{\"KinesisStreamARN\":\"" STREAM
		"\",\"RoleARN\":\"" ROLE "\",\"DeliveryStartTimestamp\":1700000000.123}}}");
	free(text);
	dlv_spec_free(s);
	s = must_parse(slk_span_str(HTTP_ALL));
	assert_ok(dlv_spec_describe_source(s, 1, &text));
	assert_string_equal(text, "{}");
	free(text);
	dlv_spec_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_description_has_no_secret),
		cmocka_unit_test(a_description_is_as_firehose_has_it),
		cmocka_unit_test(a_kind_is_described_by_the_name_that_it_was_given),
		cmocka_unit_test(logging_is_kept_and_described),
		cmocka_unit_test(a_source_is_described_if_there_is_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
