/* Descriptions as JSON: as they are kept, and as DescribeDeliveryStream has them. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "delivery/draft.h"

#define MIB (1u << 20)
#define DESTINATION_ID "destinationId-000000000001" /* there is one only */
#define MASK "********"

/* Text that grows; what is secret goes into memory that does not (and is locked). */
struct out {
	char *text;
	size_t len, cap;
	bool grows;
	int status;
	bool comma; /* something stands before the next member */
};

enum form { KEPT, MASKED, DESCRIBED };

static bool
room(struct out *o, size_t more)
{
	if (o->status != SLK_OK || more <= o->cap - o->len)
		return o->status == SLK_OK;
	if (!o->grows) {
		o->status = SLK_TOO_LARGE;
		return false;
	}
	char *text = realloc(o->text, 2 * (o->cap + more));
	if (text == NULL) {
		o->status = SLK_NO_MEMORY;
		return false;
	}
	o->text = text;
	o->cap = 2 * (o->cap + more);
	return true;
}

static void
put(struct out *o, const char *text, size_t len)
{
	if (!room(o, len))
		return;
	memcpy(o->text + o->len, text, len);
	o->len += len;
}

static void
put_str(struct out *o, const char *text)
{
	put(o, text, strlen(text));
}

static void
put_escaped(struct out *o, struct slk_span text)
{
	char code[8];

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		if (c == '"' || c == '\\')
			put(o, "\\", 1);
		if (c < 0x20) {
			(void)snprintf(code, sizeof(code), "\\u%04x", c);
			put(o, code, 6);
		} else {
			put(o, (const char *)&text.ptr[i], 1);
		}
	}
}

/* "NAME":  with a comma before it if there has to be one. */
static void
name_it(struct out *o, const char *name)
{
	if (o->comma)
		put(o, ",", 1);
	o->comma = true;
	if (name == NULL)
		return;
	put(o, "\"", 1);
	put_str(o, name);
	put(o, "\":", 2);
}

static void
open_as(struct out *o, const char *name, const char *bracket)
{
	name_it(o, name);
	put_str(o, bracket);
	o->comma = false;
}

static void
close_as(struct out *o, const char *bracket)
{
	put_str(o, bracket);
	o->comma = true;
}

static void
put_span(struct out *o, const char *name, struct slk_span value)
{
	name_it(o, name);
	put(o, "\"", 1);
	put_escaped(o, value);
	put(o, "\"", 1);
}

static void
put_text(struct out *o, const char *name, const char *value)
{
	put_span(o, name, slk_span_str(value));
}

static void
put_text_if(struct out *o, const char *name, const char *value)
{
	if (value[0] != '\0')
		put_text(o, name, value);
}

static void put_raw(struct out *o, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void
put_raw(struct out *o, const char *name, const char *fmt, ...)
{
	char text[64];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	name_it(o, name);
	put_str(o, text);
}

static void
put_secret(struct out *o, enum form form, const char *name, const struct slk_secret *secret)
{
	if (secret == NULL || form == DESCRIBED)
		return;
	if (form == MASKED)
		put_text(o, name, MASK);
	else
		put_span(o, name, slk_span(slk_secret_peek(secret), slk_secret_len(secret)));
}

/* --- members that several kinds have --- */

static void
put_buffering(struct out *o, const struct dlv_buffering *b)
{
	open_as(o, "BufferingHints", "{");
	put_raw(o, "SizeInMBs", "%llu", (unsigned long long)(b->bytes / MIB));
	put_raw(o, "IntervalInSeconds", "%u", b->seconds);
	close_as(o, "}");
}

static void
put_retry(struct out *o, uint32_t seconds)
{
	open_as(o, "RetryOptions", "{");
	put_raw(o, "DurationInSeconds", "%u", seconds);
	close_as(o, "}");
}

static void
put_processing(struct out *o, enum form form, bool delimiter)
{
	if (!delimiter && form != DESCRIBED)
		return;
	open_as(o, "ProcessingConfiguration", "{");
	put_raw(o, "Enabled", "%s", delimiter ? "true" : "false");
	open_as(o, "Processors", "[");
	if (delimiter) {
		open_as(o, NULL, "{");
		put_text(o, "Type", "AppendDelimiterToRecord");
		open_as(o, "Parameters", "[");
		open_as(o, NULL, "{");
		put_text(o, "ParameterName", "Delimiter");
		put_text(o, "ParameterValue", "\\n");
		close_as(o, "}]}");
	}
	close_as(o, "]}");
}

static void
put_logging(struct out *o, enum form form, const struct dlv_logging *logging)
{
	bool named = logging->group != NULL && logging->stream != NULL;

	if (form != DESCRIBED && !logging->enabled)
		return;
	open_as(o, "CloudWatchLoggingOptions", "{");
	put_raw(o, "Enabled", "%s", logging->enabled ? "true" : "false");
	put_text_if(o, "LogGroupName", named ? logging->group : "");
	put_text_if(o, "LogStreamName", named ? logging->stream : "");
	close_as(o, "}");
}

static void
put_s3_members(struct out *o, enum form form, const struct dlv_s3 *s3)
{
	name_it(o, "BucketARN");
	put_str(o, "\"arn:aws:s3:::");
	put_str(o, s3->bucket); /* needs no escapes */
	put_str(o, "\"");
	put_text(o, "RoleARN", s3->role_arn);
	put_text_if(o, "Prefix", s3->prefix);
	put_text_if(o, "ErrorOutputPrefix", s3->error_prefix);
	put_buffering(o, &s3->buffering);
	put_text(o, "CompressionFormat", dlv_compressions[s3->compression]);
	open_as(o, "EncryptionConfiguration", "{");
	if (s3->kms_key_arn == NULL) {
		put_text(o, "NoEncryptionConfig", "NoEncryption");
	} else {
		open_as(o, "KMSEncryptionConfig", "{");
		put_text(o, "AWSKMSKeyARN", s3->kms_key_arn);
		close_as(o, "}");
	}
	close_as(o, "}");
	put_logging(o, form, &s3->logging);
}

static void
put_s3(struct out *o, enum form form, const char *name, const struct dlv_s3 *s3)
{
	open_as(o, name, "{");
	put_s3_members(o, form, s3);
	close_as(o, "}");
}

static void
put_source_backup(struct out *o, enum form form, const struct dlv_spec *s)
{
	put_text(o, "S3BackupMode", s->has_source_backup ? "Enabled" : "Disabled");
	if (s->has_source_backup)
		put_s3(o, form, form == DESCRIBED ? "S3BackupDescription" : "S3BackupConfiguration",
			&s->source_backup);
}

static const char *
inner_s3(enum form form)
{
	return form == DESCRIBED ? "S3DestinationDescription" : "S3Configuration";
}

/* --- kinds --- */

static void
put_extended_s3(struct out *o, enum form form, const struct dlv_spec *s)
{
	put_s3_members(o, form, &s->s3);
	put_text_if(o, "FileExtension", s->s3.extension);
	put_text(o, "CustomTimeZone", s->s3.time_zone);
	put_processing(o, form, s->delimiter);
	put_source_backup(o, form, s);
}

static void
put_database(struct out *o, enum form form, const struct dlv_spec *s)
{
	const struct dlv_database *db = &s->database;
	bool brackets = strchr(db->host, ':') != NULL;
	char url[DLV_HOST_MAX + DLV_DATABASE_MAX + 40];

	put_text(o, "RoleARN", db->role_arn);
	(void)snprintf(url, sizeof(url), "jdbc:%s://%s%s%s:%u/%s",
		s->kind == DLV_TO_REDSHIFT ? "redshift" : "postgresql", brackets ? "[" : "",
		db->host, brackets ? "]" : "", db->port, db->name);
	put_text(o, "ClusterJDBCURL", url);
	open_as(o, "CopyCommand", "{");
	put_text(o, "DataTableName", db->table);
	put_text_if(o, "DataTableColumns", db->columns);
	put_text_if(o, "CopyOptions", db->options);
	close_as(o, "}");
	put_text(o, "Username", db->user);
	put_secret(o, form, "Password", db->password);
	put_retry(o, s->retry_seconds);
	put_s3(o, form, inner_s3(form), &s->s3);
	put_processing(o, form, s->delimiter);
	if (s->kind == DLV_TO_REDSHIFT)
		put_source_backup(o, form, s);
	else
		put_text(o, "S3BackupMode", s->backup == DLV_BACKUP_ALL ? "Enabled" : "Disabled");
	put_logging(o, form, &s->logging);
}

static void
put_search(struct out *o, enum form form, const struct dlv_spec *s)
{
	const struct dlv_search *search = &s->search;

	put_text(o, "RoleARN", search->role_arn);
	put_text(o, "ClusterEndpoint", search->endpoint);
	put_text(o, "IndexName", search->index);
	put_text_if(o, "TypeName", search->type);
	put_text(o, "IndexRotationPeriod", dlv_rotations[search->rotation]);
	put_buffering(o, &search->buffering);
	put_retry(o, s->retry_seconds);
	put_text(o, "S3BackupMode",
		s->backup == DLV_BACKUP_ALL ? "AllDocuments" : "FailedDocumentsOnly");
	put_s3(o, form, inner_s3(form), &s->s3);
	put_processing(o, form, s->delimiter);
	put_logging(o, form, &s->logging);
}

static void
put_http_request(struct out *o, const struct dlv_http *http)
{
	open_as(o, "RequestConfiguration", "{");
	put_text(o, "ContentEncoding", http->gzip ? "GZIP" : "NONE");
	open_as(o, "CommonAttributes", "[");
	for (size_t i = 0; i < http->attributes_count; i++) {
		open_as(o, NULL, "{");
		put_text(o, "AttributeName", http->attributes[i].name);
		put_text(o, "AttributeValue", http->attributes[i].value);
		close_as(o, "}");
	}
	close_as(o, "]");
	close_as(o, "}");
}

static void
put_http(struct out *o, enum form form, const struct dlv_spec *s)
{
	const struct dlv_http *http = &s->http;

	open_as(o, "EndpointConfiguration", "{");
	put_text(o, "Url", http->url);
	put_text_if(o, "Name", http->name);
	put_secret(o, form, "AccessKey", http->access_key);
	close_as(o, "}");
	put_http_request(o, http);
	put_text_if(o, "RoleARN", http->role_arn);
	put_buffering(o, &http->buffering);
	put_retry(o, s->retry_seconds);
	put_text(o, "S3BackupMode", s->backup == DLV_BACKUP_ALL ? "AllData" : "FailedDataOnly");
	put_s3(o, form, inner_s3(form), &s->s3);
	put_processing(o, form, s->delimiter);
	put_logging(o, form, &s->logging);
}

static const char *
kind_name(const struct dlv_spec *s)
{
	switch (s->kind) {
	case DLV_TO_S3:
		return "ExtendedS3Destination";
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		return "RedshiftDestination";
	case DLV_TO_SEARCH:
		return s->search.elasticsearch ? "ElasticsearchDestination"
					       : "AmazonopensearchserviceDestination";
	case DLV_TO_HTTP:
		break;
	}
	return "HttpEndpointDestination";
}

static void
put_destination(struct out *o, enum form form, const struct dlv_spec *s)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "%s%s", kind_name(s),
		form == DESCRIBED ? "Description" : "Configuration");
	open_as(o, name, "{");
	switch (s->kind) {
	case DLV_TO_S3:
		put_extended_s3(o, form, s);
		break;
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		put_database(o, form, s);
		break;
	case DLV_TO_SEARCH:
		put_search(o, form, s);
		break;
	case DLV_TO_HTTP:
		put_http(o, form, s);
		break;
	}
	close_as(o, "}");
}

/* --- the whole --- */

static void
put_config(struct out *o, enum form form, const struct dlv_spec *s)
{
	open_as(o, NULL, "{");
	put_text(o, "DeliveryStreamType",
		s->source == DLV_DIRECT_PUT ? "DirectPut" : "KinesisStreamAsSource");
	if (s->source == DLV_KINESIS_STREAM) {
		open_as(o, "KinesisStreamSourceConfiguration", "{");
		put_text(o, "KinesisStreamARN", s->source_arn);
		put_text(o, "RoleARN", s->source_role_arn);
		close_as(o, "}");
	}
	put_destination(o, form, s);
	close_as(o, "}");
}

static int
print(const struct dlv_spec *spec, enum form form, struct slk_secret **out_json, size_t *out_len)
{
	struct slk_secret *json = NULL;
	int rc = slk_secret_new(DLV_SPEC_JSON_MAX, &json);

	if (rc != SLK_OK)
		return rc;
	struct out o = {.text = (char *)slk_secret_bytes(json), .cap = DLV_SPEC_JSON_MAX};
	put_config(&o, form, spec);
	if (o.status != SLK_OK) {
		slk_secret_free(json);
		return o.status;
	}
	*out_json = json;
	/* What does not grow is the secret's. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	*out_len = o.len;
	return SLK_OK;
}

int
dlv_spec_print(const struct dlv_spec *spec, struct slk_secret **out_json, size_t *out_len)
{
	return print(spec, KEPT, out_json, out_len);
}

int
dlv_spec_print_masked(const struct dlv_spec *spec, struct slk_secret **out_json, size_t *out_len)
{
	return print(spec, MASKED, out_json, out_len);
}

static int
give(struct out *o, char **out_json)
{
	put(o, "", 1);
	if (o->status != SLK_OK) {
		free(o->text);
		return o->status;
	}
	*out_json = o->text;
	return SLK_OK;
}

int
dlv_spec_describe_source(const struct dlv_spec *spec, uint64_t started_ns, char **out_json)
{
	struct out o = {.grows = true};

	open_as(&o, NULL, "{");
	if (spec->source == DLV_KINESIS_STREAM) {
		open_as(&o, "Source", "{");
		open_as(&o, "KinesisStreamSourceDescription", "{");
		put_text(&o, "KinesisStreamARN", spec->source_arn);
		put_text(&o, "RoleARN", spec->source_role_arn);
		put_raw(&o, "DeliveryStartTimestamp", "%llu.%03llu",
			(unsigned long long)(started_ns / 1000000000),
			(unsigned long long)(started_ns / 1000000 % 1000));
		close_as(&o, "}}");
	}
	close_as(&o, "}");
	return give(&o, out_json);
}

int
dlv_spec_describe_destination(const struct dlv_spec *spec, char **out_json)
{
	struct out o = {.grows = true};

	open_as(&o, NULL, "{");
	put_text(&o, "DestinationId", DESTINATION_ID);
	if (spec->kind == DLV_TO_S3)
		put_s3(&o, DESCRIBED, "S3DestinationDescription", &spec->s3);
	put_destination(&o, DESCRIBED, spec);
	close_as(&o, "}");
	return give(&o, out_json);
}
