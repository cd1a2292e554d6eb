#include "descriptions.h"

#include <stdio.h>

/* --- what is right --- */

static void
an_s3_destination_has_all_that_was_said(void **state)
{
	(void)state;
	struct dlv_spec *s = must_parse(slk_span_str(S3_ALL));

	assert_int_equal(s->source, DLV_KINESIS_STREAM);
	assert_string_equal(s->source_arn, STREAM);
	assert_string_equal(s->source_role_arn, ROLE);
	assert_int_equal(s->kind, DLV_TO_S3);
	assert_string_equal(s->s3.bucket, "my.archive-1");
	assert_string_equal(s->s3.prefix, "in/");
	assert_string_equal(s->s3.error_prefix, "bad/");
	assert_string_equal(s->s3.extension, ".log");
	assert_string_equal(s->s3.time_zone, "Europe/Berlin");
	assert_string_equal(s->s3.kms_key_arn, KEY);
	assert_int_equal(s->s3.compression, DLV_ZSTD);
	assert_int_equal(s->s3.buffering.bytes, 128u << 20);
	assert_int_equal(s->s3.buffering.seconds, 900);
	assert_true(s->delimiter);
	assert_true(s->has_source_backup);
	assert_string_equal(s->source_backup.bucket, "archive");
	assert_int_equal(s->source_backup.compression, DLV_GZIP);
	assert_int_equal(s->backup, DLV_BACKUP_NONE);
	assert_ptr_equal(dlv_spec_buffering(s), &s->s3.buffering);
	dlv_spec_free(s);
}

static void
what_is_not_said_has_firehose_s_defaults(void **state)
{
	(void)state;
	struct dlv_spec *s = must_parse(
		slk_span_str("{\"S3DestinationConfiguration\":{" S3_BODY "},\"Tags\":[]}"));

	assert_int_equal(s->source, DLV_DIRECT_PUT);
	assert_null(s->source_arn);
	assert_int_equal(s->s3.buffering.bytes, 5u << 20);
	assert_int_equal(s->s3.buffering.seconds, 300);
	assert_int_equal(s->s3.compression, DLV_UNCOMPRESSED);
	assert_null(s->s3.kms_key_arn);
	assert_string_equal(s->s3.prefix, "");
	assert_string_equal(s->s3.time_zone, "UTC");
	assert_false(s->has_source_backup);
	assert_false(s->delimiter);
	assert_int_equal(s->retry_seconds, 0);
	dlv_spec_free(s);

	s = must_parse(slk_span_str(SEARCH_OF("Elasticsearch", "")));
	assert_true(s->search.elasticsearch);
	assert_int_equal(s->search.rotation, DLV_ROTATE_DAY);
	assert_int_equal(s->retry_seconds, 300);
	assert_int_equal(s->backup, DLV_BACKUP_FAILED);
	assert_int_equal(s->search.buffering.seconds, 300);
	dlv_spec_free(s);
}

static void
databases_are_told_apart_by_their_url(void **state)
{
	(void)state;
	struct dlv_spec *s = must_parse(slk_span_str(REDSHIFT_ALL));

	assert_int_equal(s->kind, DLV_TO_REDSHIFT);
	assert_string_equal(s->database.host, "db.example.net");
	assert_int_equal(s->database.port, 5439);
	assert_string_equal(s->database.name, "dev");
	assert_string_equal(s->database.table, "public.t");
	assert_string_equal(s->database.columns, "a,b");
	assert_string_equal(s->database.options, "JSON 'auto'");
	assert_int_equal(slk_secret_len(s->database.password), strlen(SECRET_TEXT));
	assert_memory_equal(
		slk_secret_peek(s->database.password), SECRET_TEXT, strlen(SECRET_TEXT));
	assert_int_equal(s->retry_seconds, 7200);
	assert_true(s->has_source_backup);
	assert_int_equal(s->backup, DLV_BACKUP_NONE);
	dlv_spec_free(s);

	s = must_parse(slk_span_str(POSTGRES_ALL));
	assert_int_equal(s->kind, DLV_TO_POSTGRES);
	assert_string_equal(s->database.host, "::1");
	assert_string_equal(s->database.name, "d-b$1");
	assert_int_equal(s->retry_seconds, 3600);
	assert_false(s->has_source_backup);
	assert_int_equal(s->backup, DLV_BACKUP_ALL);
	dlv_spec_free(s);
}

static void
search_and_http_have_what_was_said(void **state)
{
	(void)state;
	struct dlv_spec *s = must_parse(slk_span_str(SEARCH_ALL));

	assert_string_equal(s->search.endpoint, "https://search.example.net:9200");
	assert_string_equal(s->search.index, "logs");
	assert_int_equal(s->search.rotation, DLV_ROTATE_MONTH);
	assert_int_equal(s->search.buffering.bytes, 100u << 20);
	assert_int_equal(s->search.buffering.seconds, 0);
	assert_int_equal(s->backup, DLV_BACKUP_ALL);
	assert_false(s->search.elasticsearch);
	dlv_spec_free(s);

	s = must_parse(slk_span_str(HTTP_ALL));
	assert_string_equal(s->http.url, "https://in.example.net:8443/v1?x=1");
	assert_true(s->http.gzip);
	assert_int_equal(s->http.attributes_count, 2);
	assert_string_equal(s->http.attributes[1].name, "b");
	assert_memory_equal(slk_secret_peek(s->http.access_key), SECRET_TEXT, strlen(SECRET_TEXT));
	assert_int_equal(s->backup, DLV_BACKUP_ALL);
	assert_ptr_equal(dlv_spec_buffering(s), &s->http.buffering);
	dlv_spec_free(s);
}

static void
every_role_is_named_once(void **state)
{
	(void)state;
	const char *roles[DLV_ROLES_MAX];
	struct dlv_spec *s = must_parse(slk_span_str(S3_ALL));

	assert_int_equal(dlv_spec_roles(s, roles), 2);
	assert_string_equal(roles[0], ROLE);
	assert_string_equal(roles[1], ROLE2);
	dlv_spec_free(s);
	s = must_parse(slk_span_str("{\"S3DestinationConfiguration\":{" S3_BODY "}}"));
	assert_int_equal(dlv_spec_roles(s, roles), 1);
	dlv_spec_free(s);
}

/* --- what is kept is what was said --- */

static void
what_is_printed_parses_to_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct slk_secret *one = NULL, *two = NULL;
		size_t one_len = 0, two_len = 0;
		struct dlv_spec *s = must_parse(slk_span_str(all_kinds[i]));
		assert_ok(dlv_spec_print(s, &one, &one_len));
		struct dlv_spec *again = must_parse(slk_span(slk_secret_peek(one), one_len));
		assert_ok(dlv_spec_print(again, &two, &two_len));
		assert_int_equal(one_len, two_len);
		assert_memory_equal(slk_secret_peek(one), slk_secret_peek(two), one_len);
		slk_secret_free(one);
		slk_secret_free(two);
		dlv_spec_free(again);
		dlv_spec_free(s);
	}
}

static void
a_masked_description_parses_and_has_no_secret(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		struct slk_secret *json = NULL;
		size_t len = 0;
		struct dlv_spec *s = must_parse(slk_span_str(all_kinds[i]));
		assert_ok(dlv_spec_print_masked(s, &json, &len));
		assert_null(memmem(slk_secret_peek(json), len, "s3cret", 6));
		struct dlv_spec *masked = must_parse(slk_span(slk_secret_peek(json), len));
		assert_int_equal(masked->kind, s->kind);
		dlv_spec_free(masked);
		slk_secret_free(json);
		dlv_spec_free(s);
	}
}

static void
what_would_not_fit_is_not_printed(void **state)
{
	(void)state;
	struct slk_secret *json = NULL;
	size_t len = 0, used;
	char *text = malloc(DLV_SPEC_JSON_MAX);

	/* A control character is six bytes when it is printed, and two letters here. */
	assert_non_null(text);
	used = (size_t)sprintf(text, "%s",
		"{\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE
		"\",\"ClusterJDBCURL\":\"" REDSHIFT_URL
		"\",\"Username\":\"u\",\"Password\":\"123456\"," S3_CONFIG
		",\"CopyCommand\":{\"DataTableName\":\"t\",\"CopyOptions\":\"");
	for (unsigned i = 0; i < 20000; i++, used += 2)
		memcpy(text + used, "\\n", 2);
	memcpy(text + used, "\"}}}", 4);
	struct dlv_spec *s = must_parse(slk_span(text, used + 4));
	assert_int_equal(dlv_spec_print(s, &json, &len), SLK_TOO_LARGE);
	assert_null(json);
	dlv_spec_free(s);
	free(text);
}

/* --- what is wrong --- */

#define EXTENDED(members) "{\"ExtendedS3DestinationConfiguration\":{" S3_BODY "," members "}}"
#define S3_WITH(role, bucket) \
	"{\"S3DestinationConfiguration\":{\"RoleARN\":\"" role "\",\"BucketARN\":\"" bucket "\"}}"
#define BUFFER(mib, s) \
	EXTENDED("\"BufferingHints\":{\"SizeInMBs\":" mib ",\"IntervalInSeconds\":" s "}")
#define SEARCH_AT(url) \
	"{\"ElasticsearchDestinationConfiguration\":{\"RoleARN\":\"" ROLE \
	"\",\"ClusterEndpoint\":\"" url "\",\"IndexName\":\"i\"," S3_CONFIG "}}"
#define HTTP_AT(url) \
	"{\"HttpEndpointDestinationConfiguration\":{\"EndpointConfiguration\":{\"Url\":\"" url \
	"\"}," S3_CONFIG "}}"
#define PROCESSOR(p) "\"ProcessingConfiguration\":{\"Enabled\":true,\"Processors\":[" p "]}"
#define INVALID "InvalidArgumentException"
#define VALIDATION "ValidationException"
#define SERIALIZATION "SerializationException"

static const struct {
	const char *json, *type, *says;
} bad[] = {
	{"", SERIALIZATION, "JSON"},
	{"[]", SERIALIZATION, "JSON"},
	{"{} x", SERIALIZATION, "JSON"},
	{"{\"S3DestinationConfiguration\":{},\"S3DestinationConfiguration\":{}}", SERIALIZATION,
		"JSON"},
	{"{\"a\":\"\\u0000\"}", SERIALIZATION, "JSON"},
	{"[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", INVALID, "too large"},
	{"{}", INVALID, "Exactly one destination"},
	{"{\"S3DestinationConfiguration\":null}", INVALID, "Exactly one destination"},
	{"{\"S3DestinationConfiguration\":{" S3_BODY
	 "},\"ExtendedS3DestinationConfiguration\":{" S3_BODY "}}",
		INVALID, "Exactly one destination"},
	{"{\"ExtendedS3DestinationUpdate\":{" S3_BODY "}}", INVALID, "Exactly one destination"},
	{"{\"SplunkDestinationConfiguration\":{}}", INVALID,
		"SplunkDestinationConfiguration is not supported"},
	{"{\"SnowflakeDestinationConfiguration\":{}}", INVALID, "Snowflake"},
	{"{\"S3DestinationConfiguration\":[]}", SERIALIZATION, "s3DestinationConfiguration"},
	{"{\"S3DestinationConfiguration\":{\"RoleARN\":\"" ROLE "\"}}", VALIDATION,
		"Value null at 's3DestinationConfiguration.bucketARN'"},
	{"{\"DeliveryStreamType\":\"MSKAsSource\",\"S3DestinationConfiguration\":{" S3_BODY "}}",
		INVALID, "MSKAsSource is not supported"},
	{"{\"DeliveryStreamType\":\"X\",\"S3DestinationConfiguration\":{" S3_BODY "}}", VALIDATION,
		"Value 'X' at 'deliveryStreamType'"},
	{"{\"DeliveryStreamType\":\"KinesisStreamAsSource\",\"S3DestinationConfiguration\":"
	 "{" S3_BODY "}}",
		INVALID, "KinesisStreamSourceConfiguration is needed"},
	{"{\"KinesisStreamSourceConfiguration\":{\"KinesisStreamARN\":\"" STREAM
	 "\",\"RoleARN\":\"" ROLE "\"},\"S3DestinationConfiguration\":{" S3_BODY "}}",
		INVALID, "KinesisStreamSourceConfiguration is for"},
	{S3_WITH("arn:aws:iam::1:role/x", "arn:aws:s3:::abc"), VALIDATION, "roleARN"},
	{S3_WITH("arn:aws:iam::000000000000:user/x", "arn:aws:s3:::abc"), VALIDATION, "roleARN"},
	{S3_WITH("arn:aws:iam::000000000000:role/", "arn:aws:s3:::abc"), VALIDATION, "roleARN"},
	{S3_WITH(ROLE, "arn:aws:s3:::ab"), VALIDATION, "bucketARN"},
	{S3_WITH(ROLE, "arn:aws:s3:::a/b"), VALIDATION, "bucketARN"},
	{S3_WITH(ROLE, "arn:aws:s3:::a..b"), VALIDATION, "bucketARN"},
	{S3_WITH(ROLE, "archive"), VALIDATION, "bucketARN"},
	{EXTENDED("\"Foo\":1"), INVALID, "Foo is not supported"},
	{EXTENDED("\"S3BackupUpdate\":{}"), INVALID, "S3BackupUpdate is not supported"},
	{EXTENDED("\"Prefix\":1"), SERIALIZATION, "prefix"},
	{BUFFER("0", "60"), VALIDATION,
		"Value '0' at 'extendedS3DestinationConfiguration.bufferingHints.sizeInMBs' failed "
		"to satisfy constraint: Member must have value greater than or equal to 1"},
	{BUFFER("129", "60"), VALIDATION, "less than or equal to 128"},
	{BUFFER("1", "901"), VALIDATION, "less than or equal to 900"},
	{BUFFER("1", "-1"), VALIDATION, "greater than or equal to 0"},
	{BUFFER("1.5", "1"), SERIALIZATION, "integer"},
	{BUFFER("99999999999999999999999999", "1"), VALIDATION, "less than or equal to 128"},
	{EXTENDED("\"BufferingHints\":{\"SizeInMBs\":1}"), INVALID, "without IntervalInSeconds"},
	{EXTENDED("\"BufferingHints\":{\"IntervalInSeconds\":1}"), INVALID, "without SizeInMBs"},
	{EXTENDED("\"CompressionFormat\":\"Snappy\""), INVALID, "Snappy is not supported"},
	{EXTENDED("\"CompressionFormat\":\"gzip\""), VALIDATION, "enum value set"},
	{EXTENDED("\"EncryptionConfiguration\":{\"NoEncryptionConfig\":\"NoEncryption\","
		  "\"KMSEncryptionConfig\":{\"AWSKMSKeyARN\":\"" KEY "\"}}"),
		INVALID, "exclude each other"},
	{EXTENDED("\"EncryptionConfiguration\":{\"KMSEncryptionConfig\":{}}"), VALIDATION,
		"aWSKMSKeyARN"},
	{EXTENDED("\"EncryptionConfiguration\":{\"KMSEncryptionConfig\":{\"AWSKMSKeyARN\":\"x\"}}"),
		VALIDATION, "pattern"},
	{EXTENDED("\"S3BackupMode\":\"Enabled\""), INVALID, "S3BackupConfiguration is needed"},
	{EXTENDED("\"S3BackupMode\":\"On\""), VALIDATION, "[Disabled, Enabled]"},
	{EXTENDED("\"FileExtension\":\"log\""), VALIDATION, "fileExtension"},
	{EXTENDED("\"FileExtension\":\".LOG\""), VALIDATION, "fileExtension"},
	{EXTENDED("\"CustomTimeZone\":\"../x y\""), VALIDATION, "customTimeZone"},
	{EXTENDED("\"CloudWatchLoggingOptions\":{\"Enabled\":true}"), INVALID,
		"LogGroupName and LogStreamName are needed"},
	{EXTENDED("\"CloudWatchLoggingOptions\":{\"Enabled\":true,\"LogGroupName\":\"a b\","
		  "\"LogStreamName\":\"s\"}"),
		VALIDATION, "logGroupName"},
	{EXTENDED("\"CloudWatchLoggingOptions\":{\"Enabled\":true,\"LogGroupName\":\"g\","
		  "\"LogStreamName\":\"a:b\"}"),
		VALIDATION, "logStreamName"},
	{EXTENDED("\"CloudWatchLoggingOptions\":{\"Enabled\":true,\"Region\":\"x\"}"), INVALID,
		"Region is not supported"},
	{EXTENDED("\"DataFormatConversionConfiguration\":{\"Enabled\":true}"), INVALID,
		"DataFormatConversionConfiguration is not supported"},
	{EXTENDED("\"DynamicPartitioningConfiguration\":{\"Enabled\":true}"), INVALID,
		"DynamicPartitioningConfiguration is not supported"},
	{EXTENDED(PROCESSOR("{\"Type\":\"Lambda\"}")), INVALID,
		"processor Lambda is not supported"},
	{EXTENDED(PROCESSOR("{\"Type\":\"RecordDeAggregation\"}")), INVALID, "RecordDeAggregation"},
	{EXTENDED(PROCESSOR("{\"Type\":\"Decompression\"}")), INVALID, "Decompression"},
	{EXTENDED(PROCESSOR("{\"Type\":\"X\"}")), VALIDATION, "processors.1.member.type"},
	{EXTENDED(PROCESSOR("1")), SERIALIZATION, "processors"},
	{EXTENDED(PROCESSOR("{\"Type\":\"AppendDelimiterToRecord\",\"Parameters\":[{"
			    "\"ParameterName\":\"Delimiter\",\"ParameterValue\":\";\"}]}")),
		INVALID, "newline"},
	{DATABASE_OF("jdbc:mysql://h:1/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://h/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://h:0/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://h:65536/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://h:1/", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://:1/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://u:s3cret-@h:1/d", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF("jdbc:redshift://h:1/d?password=s3cret-", ""), VALIDATION, "clusterJDBCURL"},
	{DATABASE_OF(REDSHIFT_URL, "\"RetryOptions\":{\"DurationInSeconds\":7201},"), VALIDATION,
		"7200"},
	{DATABASE_OF(REDSHIFT_URL, "\"S3BackupMode\":\"Enabled\","), INVALID,
		"S3BackupConfiguration is needed"},
	{DATABASE_OF(REDSHIFT_URL, "\"SecretsManagerConfiguration\":{\"Enabled\":true},"), INVALID,
		"SecretsManagerConfiguration"},
	{DATABASE_OF(POSTGRES_URL, "\"S3BackupConfiguration\":{" S3_BODY "},"), INVALID,
		"S3Configuration"},
	{"{\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE
	 "\",\"ClusterJDBCURL\":\"" REDSHIFT_URL
	 "\",\"Username\":\"u\",\"Password\":\"s3cre\",\"CopyCommand\":{\"DataTableName\":\"t\"}"
	 "," S3_CONFIG "}}",
		VALIDATION, "password"},
	{SEARCH_AT("http://h:9200"), VALIDATION, "clusterEndpoint"},
	{SEARCH_AT("https://h:9200/path"), VALIDATION, "clusterEndpoint"},
	{SEARCH_AT("https://u:p@h"), VALIDATION, "clusterEndpoint"},
	{SEARCH_AT("https://[::1"), VALIDATION, "clusterEndpoint"},
	{SEARCH_OF("Elasticsearch", "\"DomainARN\":\"arn:aws:es:x\","), INVALID, "DomainARN"},
	{SEARCH_OF("Elasticsearch", "\"VpcConfiguration\":{},"), INVALID, "VpcConfiguration"},
	{SEARCH_OF("Elasticsearch", "\"S3BackupMode\":\"AllData\","), VALIDATION, "AllDocuments"},
	{SEARCH_OF("Elasticsearch",
		 "\"BufferingHints\":{\"SizeInMBs\":101,\"IntervalInSeconds\":1},"),
		VALIDATION, "100"},
	{SEARCH_OF("Elasticsearch",
		 "\"DocumentIdOptions\":{\"DefaultDocumentIdFormat\":"
		 "\"NO_DOCUMENT_ID\"},"),
		INVALID, "NO_DOCUMENT_ID"},
	{"{\"ElasticsearchDestinationConfiguration\":{\"RoleARN\":\"" ROLE
	 "\",\"IndexName\":\"i\"," S3_CONFIG "}}",
		INVALID, "ClusterEndpoint is needed"},
	{"{\"ElasticsearchDestinationConfiguration\":{\"RoleARN\":\"" ROLE
	 "\",\"ClusterEndpoint\":\"https://h\",\"IndexName\":\"A\"," S3_CONFIG "}}",
		VALIDATION, "indexName"},
	{"{\"ElasticsearchDestinationConfiguration\":{\"RoleARN\":\"" ROLE
	 "\",\"ClusterEndpoint\":\"https://h\",\"IndexName\":\"i\"}}",
		VALIDATION, "elasticsearchDestinationConfiguration.s3Configuration"},
	{HTTP_AT("http://h/"), VALIDATION, "url"},
	{HTTP_AT("https://s3cret-@h/"), VALIDATION, "url"},
	{HTTP_AT("https://h/#f"), VALIDATION, "url"},
	{HTTP_AT("https://h/a b"), VALIDATION, "url"},
	{HTTP_AT("https://h\\r\\nX: y/"), VALIDATION, "url"},
	{"{\"HttpEndpointDestinationConfiguration\":{\"EndpointConfiguration\":{\"Url\":\"https://"
	 "h\","
	 "\"AccessKey\":\"s3cret-\\n\"}," S3_CONFIG "}}",
		VALIDATION, "accessKey"},
	{"{\"HttpEndpointDestinationConfiguration\":{\"EndpointConfiguration\":{\"Url\":\"https://"
	 "h\"},"
	 "\"RequestConfiguration\":{\"CommonAttributes\":[{\"AttributeName\":\"a\","
	 "\"AttributeValue\":"
	 "\"s3cret-\"},{\"AttributeName\":\"a\",\"AttributeValue\":\"\"}]}," S3_CONFIG "}}",
		INVALID, "name twice"},
	{"{\"HttpEndpointDestinationConfiguration\":{\"EndpointConfiguration\":{\"Url\":\"https://"
	 "h\"},"
	 "\"BufferingHints\":{\"SizeInMBs\":65,\"IntervalInSeconds\":1}," S3_CONFIG "}}",
		VALIDATION, "64"},
};

static void
what_is_wrong_is_refused_by_its_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dlv_spec *spec = NULL;
		struct dlv_fault fault;
		int rc = dlv_spec_parse(slk_span_str(bad[i].json), &spec, &fault);
		if (rc != SLK_INVALID || strcmp(fault.type, bad[i].type) != 0 ||
			strstr(fault.message, bad[i].says) == NULL)
			fail_msg("%s\n gives %d %s: %s", bad[i].json, rc,
				rc == SLK_OK ? "" : fault.type, rc == SLK_OK ? "" : fault.message);
		assert_null(spec);
		/* Neither a secret nor a part of one. */
		assert_null(strstr(fault.message, "s3cre"));
	}
}

static void
limits_hold_at_their_edges(void **state)
{
	(void)state;
	static const char *const good[] = {BUFFER("1", "0"), BUFFER("128", "900"),
		SEARCH_AT("https://h"), HTTP_AT("https://h"), HTTP_AT("https://10.0.0.1:1/x"),
		DATABASE_OF("jdbc:redshift://h:65535/d", ""),
		DATABASE_OF(REDSHIFT_URL, "\"RetryOptions\":{\"DurationInSeconds\":0},"),
		EXTENDED("\"FileExtension\":\"\",\"CustomTimeZone\":\"\""),
		EXTENDED("\"BufferingHints\":{}"),
		EXTENDED("\"DataFormatConversionConfiguration\":{\"Enabled\":false}"),
		EXTENDED("\"ProcessingConfiguration\":{\"Enabled\":false,\"Processors\":[{\"Type\":"
			 "\"Lambda\"}]}"),
		EXTENDED(PROCESSOR(
			"{\"Type\":\"AppendDelimiterToRecord\",\"Parameters\":[{"
			"\"ParameterName\":\"Delimiter\",\"ParameterValue\":\"\\\\n\"}]}")),
		S3_WITH(ROLE, "arn:aws:s3:::abc")};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		dlv_spec_free(must_parse(slk_span_str(good[i])));
}

/* Every text that is longer than it may be, in characters and not in bytes. */
static void
texts_are_counted_in_characters(void **state)
{
	(void)state;
	char json[8192];

	for (unsigned count = 1024; count <= 1025; count++) {
		struct dlv_spec *spec = NULL;
		struct dlv_fault fault;
		size_t at = (size_t)sprintf(json, "%s",
			"{\"ExtendedS3DestinationConfiguration\":{" S3_BODY ",\"Prefix\":\"");
		for (unsigned i = 0; i < count; i++, at += 2)
			memcpy(json + at, "\xc3\xa4", 2);
		memcpy(json + at, "\"}}", 3);
		int rc = dlv_spec_parse(slk_span(json, at + 3), &spec, &fault);
		assert_int_equal(rc, count == 1024 ? SLK_OK : SLK_INVALID);
		if (rc != SLK_OK)
			assert_non_null(strstr(fault.message, "less than or equal to 1024"));
		dlv_spec_free(spec);
	}
}

static void
more_than_a_description_can_have_is_too_large(void **state)
{
	(void)state;
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;
	char *json = malloc(DLV_SPEC_JSON_MAX + 1);

	assert_non_null(json);
	memset(json, ' ', DLV_SPEC_JSON_MAX + 1);
	assert_int_equal(
		dlv_spec_parse(slk_span(json, DLV_SPEC_JSON_MAX + 1), &spec, &fault), SLK_INVALID);
	assert_string_equal(fault.type, INVALID);
	json[0] = '[';
	for (unsigned i = 0; i < 2000; i++)
		memcpy(json + 1 + 2 * i, "1,", 2);
	assert_int_equal(dlv_spec_parse(slk_span(json, 4001), &spec, &fault), SLK_INVALID);
	assert_string_equal(fault.type, INVALID);
	free(json);
}

static void
prefixes_and_zones_are_checked_when_asked(void **state)
{
	(void)state;
	static const struct {
		const char *json, *says; /* NULL: sound */
	} cases[] = {
		{EXTENDED("\"Prefix\":\"a/!{timestamp:yyyy}/\",\"ErrorOutputPrefix\":"
			  "\"b/!{firehose:error-output-type}/\""),
			NULL},
		{EXTENDED("\"Prefix\":\"a/!{timestamp:yyyy}/\""), "ErrorOutputPrefix"},
		{EXTENDED("\"Prefix\":\"a/!{nothing}/\""), "!{nothing}"},
		{EXTENDED("\"CustomTimeZone\":\"Nowhere/None\""), "CustomTimeZone"},
		{EXTENDED("\"S3BackupMode\":\"Enabled\",\"S3BackupConfiguration\":{" S3_BODY
			  ",\"Prefix\":\"!{x}\"}"),
			"S3BackupConfiguration: "},
		{"{\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE
		 "\",\"ClusterJDBCURL\":\"" REDSHIFT_URL
		 "\",\"Username\":\"u\",\"Password\":\"123456\",\"CopyCommand\":{\"DataTableName\":"
		 "\"t\"},\"S3Configuration\":{" S3_BODY
		 ",\"Prefix\":\"!{timestamp:yyyy}/\",\"ErrorOutputPrefix\":"
		 "\"!{firehose:error-output-type}/\"}}}",
			"Redshift"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dlv_fault fault = {0};
		struct dlv_spec *s = must_parse(slk_span_str(cases[i].json));
		int rc = dlv_spec_check(s, &fault);
		if ((rc == SLK_OK) != (cases[i].says == NULL) ||
			(rc != SLK_OK && strstr(fault.message, cases[i].says) == NULL))
			fail_msg("%s gives %d %s", cases[i].json, rc, fault.message);
		dlv_spec_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_s3_destination_has_all_that_was_said),
		cmocka_unit_test(what_is_not_said_has_firehose_s_defaults),
		cmocka_unit_test(databases_are_told_apart_by_their_url),
		cmocka_unit_test(search_and_http_have_what_was_said),
		cmocka_unit_test(every_role_is_named_once),
		cmocka_unit_test(what_is_printed_parses_to_the_same),
		cmocka_unit_test(a_masked_description_parses_and_has_no_secret),
		cmocka_unit_test(what_would_not_fit_is_not_printed),
		cmocka_unit_test(what_is_wrong_is_refused_by_its_name),
		cmocka_unit_test(limits_hold_at_their_edges),
		cmocka_unit_test(texts_are_counted_in_characters),
		cmocka_unit_test(prefixes_and_zones_are_checked_when_asked),
		cmocka_unit_test(more_than_a_description_can_have_is_too_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
