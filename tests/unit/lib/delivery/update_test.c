#include "descriptions.h"

#define S3_UPDATE(members) "{\"ExtendedS3DestinationUpdate\":{" members "}}"

static void
what_is_given_replaces_and_the_rest_stays(void **state)
{
	(void)state;
	struct dlv_spec *old = must_parse(slk_span_str(S3_ALL));
	struct dlv_spec *s = must_update(
		old, S3_UPDATE("\"Prefix\":\"new/\",\"S3BackupUpdate\":{\"Prefix\":\"b/\"}"));

	assert_string_equal(s->s3.prefix, "new/");
	assert_string_equal(s->s3.bucket, "my.archive-1");
	assert_string_equal(s->s3.kms_key_arn, KEY);
	assert_int_equal(s->s3.compression, DLV_ZSTD);
	assert_true(s->delimiter);
	assert_string_equal(s->source_backup.prefix, "b/");
	assert_string_equal(s->source_backup.bucket, "archive");
	assert_int_equal(s->source_backup.compression, DLV_GZIP);
	assert_string_equal(s->source_arn, STREAM);
	assert_string_equal(old->s3.prefix, "in/"); /* the old one is as it was */
	dlv_spec_free(old);
	dlv_spec_free(s);
}

static void
a_structure_is_replaced_as_a_whole(void **state)
{
	(void)state;
	struct dlv_spec *old = must_parse(slk_span_str(S3_ALL));
	struct dlv_spec *s = must_update(old,
		S3_UPDATE("\"EncryptionConfiguration\":{\"NoEncryptionConfig\":\"NoEncryption\"},"
			  "\"ProcessingConfiguration\":{\"Enabled\":false}"));

	assert_null(s->s3.kms_key_arn);
	assert_false(s->delimiter);
	dlv_spec_free(s);
	/* The deprecated form says less and changes no more than it says. */
	s = must_update(old, "{\"S3DestinationUpdate\":{\"CompressionFormat\":\"GZIP\"}}");
	assert_int_equal(s->s3.compression, DLV_GZIP);
	assert_string_equal(s->s3.extension, ".log");
	assert_true(s->has_source_backup);
	dlv_spec_free(s);
	dlv_spec_free(old);
}

static void
a_secret_stays_unless_a_new_one_comes(void **state)
{
	(void)state;
	struct dlv_spec *old = must_parse(slk_span_str(REDSHIFT_ALL));
	struct dlv_spec *s =
		must_update(old, "{\"RedshiftDestinationUpdate\":{\"Username\":\"other\"}}");

	assert_string_equal(s->database.user, "other");
	assert_memory_equal(
		slk_secret_peek(s->database.password), SECRET_TEXT, strlen(SECRET_TEXT));
	dlv_spec_free(s);
	s = must_update(old, "{\"RedshiftDestinationUpdate\":{\"Password\":\"newword\"}}");
	assert_int_equal(slk_secret_len(s->database.password), 7);
	dlv_spec_free(s);
	dlv_spec_free(old);
}

/* An access key is for the URL that it came with: another URL without a key has none. */
static void
an_access_key_does_not_follow_to_another_url(void **state)
{
	(void)state;
	struct dlv_spec *old = must_parse(slk_span_str(HTTP_ALL));
	struct dlv_spec *s = must_update(old,
		"{\"HttpEndpointDestinationUpdate\":{\"EndpointConfiguration\":{\"Url\":"
		"\"https://other\"}}}");

	assert_null(s->http.access_key);
	assert_string_equal(s->http.name, "");
	assert_int_equal(s->http.attributes_count, 2);
	assert_true(s->http.gzip);
	dlv_spec_free(s);
	s = must_update(old,
		"{\"HttpEndpointDestinationUpdate\":{\"S3BackupMode\":"
		"\"FailedDataOnly\",\"RetryOptions\":{\"DurationInSeconds\":1}}}");
	assert_non_null(s->http.access_key);
	assert_int_equal(s->backup, DLV_BACKUP_FAILED);
	assert_int_equal(s->retry_seconds, 1);
	dlv_spec_free(s);
	dlv_spec_free(old);
}

static void
another_kind_needs_all_of_it(void **state)
{
	(void)state;
	struct dlv_spec *next = NULL, *old = must_parse(slk_span_str(S3_ALL));
	struct dlv_fault fault;

	assert_int_equal(
		dlv_spec_update(old,
			slk_span_str("{\"HttpEndpointDestinationUpdate\":{"
				     "\"EndpointConfiguration\":{\"Url\":\"https://h\"}}}"),
			&next, &fault),
		SLK_INVALID);
	assert_non_null(strstr(fault.message, "httpEndpointDestinationUpdate.s3Update"));
	next = must_update(old,
		"{\"HttpEndpointDestinationUpdate\":{\"EndpointConfiguration\":{\"Url\":"
		"\"https://h\"},\"S3Update\":{" S3_BODY "}}}");
	assert_int_equal(next->kind, DLV_TO_HTTP);
	assert_string_equal(next->s3.prefix, ""); /* nothing of the old one */
	assert_int_equal(next->source, DLV_KINESIS_STREAM);
	assert_string_equal(next->source_arn, STREAM);
	dlv_spec_free(next);
	dlv_spec_free(old);
}

static void
redshift_and_postgresql_are_two_kinds(void **state)
{
	(void)state;
	struct dlv_spec *next = NULL, *old = must_parse(slk_span_str(POSTGRES_ALL));
	struct dlv_fault fault;

	next = must_update(old,
		"{\"RedshiftDestinationUpdate\":{\"ClusterJDBCURL\":"
		"\"jdbc:postgresql://other:5432/x\"}}");
	assert_string_equal(next->database.host, "other");
	assert_int_equal(next->kind, DLV_TO_POSTGRES);
	dlv_spec_free(next);
	assert_int_equal(dlv_spec_update(old,
				 slk_span_str("{\"RedshiftDestinationUpdate\":{"
					      "\"ClusterJDBCURL\":\"" REDSHIFT_URL "\"}}"),
				 &next, &fault),
		SLK_INVALID);
	assert_non_null(strstr(fault.message, "roleARN"));
	dlv_spec_free(old);
}

static const struct {
	const char *of, *update, *says;
} refused[] = {
	{S3_ALL, "{}", "Exactly one destination"},
	{S3_ALL, "{\"ExtendedS3DestinationConfiguration\":{" S3_BODY "}}",
		"DestinationUpdate is not there"},
	{S3_ALL, S3_UPDATE("\"S3BackupMode\":\"Disabled\""), "cannot be Disabled"},
	{REDSHIFT_ALL, "{\"RedshiftDestinationUpdate\":{\"S3BackupMode\":\"Disabled\"}}",
		"cannot be Disabled"},
	{S3_ALL, S3_UPDATE("\"BufferingHints\":{\"SizeInMBs\":3}"), "without IntervalInSeconds"},
	{S3_ALL, S3_UPDATE("\"S3BackupConfiguration\":{}"), "S3BackupConfiguration is not"},
	{S3_ALL,
		"{\"ElasticsearchDestinationUpdate\":{\"RoleARN\":\"" ROLE
		"\",\"ClusterEndpoint\":\"https://h\",\"IndexName\":\"i\",\"S3Update\":{" S3_BODY
		"}}}",
		"to or from OpenSearch"},
	{SEARCH_ALL, S3_UPDATE(S3_BODY), "to or from OpenSearch"},
	{SEARCH_ALL,
		"{\"AmazonopensearchserviceDestinationUpdate\":{\"S3BackupMode\":"
		"\"AllDocuments\"}}",
		"S3BackupMode cannot be changed"},
	{HTTP_ALL, "{\"SplunkDestinationUpdate\":{}}", "SplunkDestinationUpdate is not supported"},
};

static void
what_cannot_be_changed_is_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct dlv_spec *next = NULL;
		struct dlv_fault fault;
		struct dlv_spec *old = must_parse(slk_span_str(refused[i].of));
		int rc = dlv_spec_update(old, slk_span_str(refused[i].update), &next, &fault);
		if (rc != SLK_INVALID || strstr(fault.message, refused[i].says) == NULL)
			fail_msg("%s gives %d %s", refused[i].update, rc,
				rc == SLK_OK ? "" : fault.message);
		assert_null(next);
		dlv_spec_free(old);
	}
}

/* For every kind: an update that says nothing is the same description. */
static void
an_empty_update_changes_nothing(void **state)
{
	(void)state;
	static const char *const empty[KINDS] = {"{\"ExtendedS3DestinationUpdate\":{}}",
		"{\"RedshiftDestinationUpdate\":{}}", "{\"RedshiftDestinationUpdate\":{}}",
		"{\"AmazonopensearchserviceDestinationUpdate\":{}}",
		"{\"HttpEndpointDestinationUpdate\":{}}"};

	for (size_t i = 0; i < KINDS; i++) {
		struct slk_secret *one = NULL, *two = NULL;
		size_t one_len = 0, two_len = 0;
		struct dlv_spec *old = must_parse(slk_span_str(all_kinds[i]));
		struct dlv_spec *next = must_update(old, empty[i]);
		assert_ok(dlv_spec_print(old, &one, &one_len));
		dlv_spec_free(old); /* nothing of it is in the new one */
		assert_ok(dlv_spec_print(next, &two, &two_len));
		assert_int_equal(one_len, two_len);
		assert_memory_equal(slk_secret_peek(one), slk_secret_peek(two), one_len);
		slk_secret_free(one);
		slk_secret_free(two);
		dlv_spec_free(next);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_replaces_and_the_rest_stays),
		cmocka_unit_test(a_structure_is_replaced_as_a_whole),
		cmocka_unit_test(a_secret_stays_unless_a_new_one_comes),
		cmocka_unit_test(an_access_key_does_not_follow_to_another_url),
		cmocka_unit_test(another_kind_needs_all_of_it),
		cmocka_unit_test(redshift_and_postgresql_are_two_kinds),
		cmocka_unit_test(what_cannot_be_changed_is_refused),
		cmocka_unit_test(an_empty_update_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
