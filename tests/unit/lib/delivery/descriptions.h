/* Descriptions that the tests of lib/delivery share: one of each kind, with all that it can have. */
#ifndef TESTS_DELIVERY_DESCRIPTIONS_H
#define TESTS_DELIVERY_DESCRIPTIONS_H

#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "delivery/spec.h"

#define ROLE "arn:aws:iam::000000000000:role/deliver"
#define ROLE2 "arn:aws:iam::000000000000:role/backup"
#define KEY "arn:aws:kms:local:000000000000:key/1b2c"
#define STREAM "arn:aws:kinesis:local:000000000000:stream/a"
#define SECRET "s3cr\\u0065t-\\\"word" /* in JSON; with escapes, so that the lexer copies it */
#define SECRET_TEXT "s3cret-\"word"

#define S3_BODY "\"RoleARN\":\"" ROLE2 "\",\"BucketARN\":\"arn:aws:s3:::archive\""
#define S3_CONFIG "\"S3Configuration\":{" S3_BODY "}"
#define SOURCE \
	"\"DeliveryStreamType\":\"KinesisStreamAsSource\",\"KinesisStreamSourceConfiguration\":" \
	"{\"KinesisStreamARN\":\"" STREAM "\",\"RoleARN\":\"" ROLE "\"},"

#define S3_ALL \
	"{\"DeliveryStreamName\":\"a\"," SOURCE \
	"\"ExtendedS3DestinationConfiguration\":{\"RoleARN\":\"" ROLE \
	"\",\"BucketARN\":\"arn:aws:s3:::my.archive-1\",\"Prefix\":\"in/" \
	"\",\"ErrorOutputPrefix\":\"bad/\"," \
	"\"BufferingHints\":{\"SizeInMBs\":128,\"IntervalInSeconds\":900},\"CompressionFormat\":" \
	"\"ZSTD\"," \
	"\"EncryptionConfiguration\":{\"KMSEncryptionConfig\":{\"AWSKMSKeyARN\":\"" KEY \
	"\"}},\"FileExtension\":\".log\",\"CustomTimeZone\":\"Europe/Berlin\"," \
	"\"ProcessingConfiguration\":{\"Enabled\":true,\"Processors\":[{\"Type\":" \
	"\"AppendDelimiterToRecord\"}]},\"S3BackupMode\":\"Enabled\",\"S3BackupConfiguration\":" \
	"{" S3_BODY \
	",\"CompressionFormat\":\"GZIP\"},\"CloudWatchLoggingOptions\":{\"Enabled\":false}}}"
#define DATABASE_OF(url, more) \
	"{\"RedshiftDestinationConfiguration\":{\"RoleARN\":\"" ROLE \
	"\",\"ClusterJDBCURL\":\"" url \
	"\",\"CopyCommand\":{\"DataTableName\":\"public.t\",\"DataTableColumns\":\"a,b\"," \
	"\"CopyOptions\":\"JSON 'auto'\"},\"Username\":\"loader\",\"Password\":\"" SECRET \
	"\"," more S3_CONFIG "}}"
#define REDSHIFT_URL "jdbc:redshift://db.example.net:5439/dev"
#define POSTGRES_URL "jdbc:postgresql://[::1]:5432/d-b$1"
#define REDSHIFT_ALL \
	DATABASE_OF(REDSHIFT_URL, \
		"\"S3BackupMode\":\"Enabled\",\"S3BackupConfiguration\":{" S3_BODY \
		"},\"RetryOptions\":{\"DurationInSeconds\":7200},")
#define POSTGRES_ALL DATABASE_OF(POSTGRES_URL, "\"S3BackupMode\":\"Enabled\",")
#define SEARCH_OF(kind, more) \
	"{\"" kind "DestinationConfiguration\":{\"RoleARN\":\"" ROLE "\",\"ClusterEndpoint\":" \
	"\"https://search.example.net:9200/\",\"IndexName\":\"logs\"," more S3_CONFIG "}}"
#define SEARCH_ALL \
	SEARCH_OF("Amazonopensearchservice", \
		"\"TypeName\":\"t\",\"IndexRotationPeriod\":\"OneMonth\",\"S3BackupMode\":" \
		"\"AllDocuments\",\"BufferingHints\":{\"SizeInMBs\":100,\"IntervalInSeconds\":0}" \
		",")
#define HTTP_ALL \
	"{\"HttpEndpointDestinationConfiguration\":{\"EndpointConfiguration\":{\"Url\":" \
	"\"https://in.example.net:8443/v1?x=1\",\"Name\":\"in\",\"AccessKey\":\"" SECRET \
	"\"},\"RequestConfiguration\":{\"ContentEncoding\":\"GZIP\",\"CommonAttributes\":[" \
	"{\"AttributeName\":\"a\",\"AttributeValue\":\"1\"},{\"AttributeName\":\"b\"," \
	"\"AttributeValue\":\"\"}]},\"RoleARN\":\"" ROLE \
	"\",\"BufferingHints\":{\"SizeInMBs\":64," \
	"\"IntervalInSeconds\":900},\"S3BackupMode\":\"AllData\"," S3_CONFIG "}}"

static const char *const all_kinds[] = {S3_ALL, REDSHIFT_ALL, POSTGRES_ALL, SEARCH_ALL, HTTP_ALL};
#define KINDS (sizeof(all_kinds) / sizeof(all_kinds[0]))

static inline struct dlv_spec *
must_parse(struct slk_span json)
{
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;

	if (dlv_spec_parse(json, &spec, &fault) != SLK_OK)
		fail_msg("%s: %s", fault.type, fault.message);
	assert_non_null(spec);
	return spec;
}

static inline struct dlv_spec *
must_update(const struct dlv_spec *spec, const char *json)
{
	struct dlv_spec *next = NULL;
	struct dlv_fault fault;

	if (dlv_spec_update(spec, slk_span_str(json), &next, &fault) != SLK_OK)
		fail_msg("%s: %s", fault.type, fault.message);
	return next;
}

#endif
