/* All kinds of destinations, and where records come from. */
#include <stdio.h>

#include "delivery/draft.h"

#define MIB (1u << 20)

static bool
is_stream_arn(struct slk_span text)
{
	return dlv_is_arn(text, "kinesis", "stream/");
}

static const struct dlv_limit limit_stream = {
	1, 512, "arn:aws.*:kinesis:.*:\\d{12}:stream/.+", is_stream_arn, false};

static bool
read_s3(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	return dlv_draft_read_s3(&d->spec.s3, at, true, way) &&
		dlv_draft_read_processing(at, &d->spec.delimiter) &&
		dlv_draft_read_source_backup(d, at, way) &&
		dlv_draft_read_off(at, "DataFormatConversionConfiguration", "") &&
		dlv_draft_read_off(at, "DynamicPartitioningConfiguration", "");
}

static bool
read_plain_s3(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	return dlv_draft_read_s3(&d->spec.s3, at, false, way);
}

bool
dlv_draft_read(
	struct dlv_draft *draft, enum dlv_named named, const struct dlv_place *at, enum dlv_way way)
{
	/* What belongs to the other of the two requests. */
	const char *wrong = way == DLV_CREATE ? "Update" : "Configuration";
	char name[32];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(name, sizeof(name), "%s%s", i == 0 ? "S3" : "S3Backup", wrong);
		if (dlv_json_get(at->object, name) != NULL)
			return dlv_refuse(at, "%s is not supported.", name);
	}
	switch (named) {
	case DLV_NAMED_S3:
		return read_plain_s3(draft, at, way);
	case DLV_NAMED_EXTENDED_S3:
		return read_s3(draft, at, way);
	case DLV_NAMED_REDSHIFT:
		return dlv_draft_read_database(draft, at, way);
	case DLV_NAMED_ELASTICSEARCH:
	case DLV_NAMED_OPENSEARCH:
		draft->spec.search.elasticsearch = named == DLV_NAMED_ELASTICSEARCH;
		return dlv_draft_read_search(draft, at, way);
	case DLV_NAMED_HTTP:
		return dlv_draft_read_http(draft, at, way);
	default:
		return dlv_refuse(at, "not supported.");
	}
}

void
dlv_draft_begin(struct dlv_draft *draft, enum dlv_kind kind)
{
	const struct dlv_buffering buffering = {5 * MIB, 300};
	struct dlv_spec *s = &draft->spec;

	memset(draft, 0, sizeof(*draft));
	s->kind = kind;
	dlv_draft_begin_s3(&s->s3);
	s->backup = DLV_BACKUP_FAILED;
	s->retry_seconds = 300;
	switch (kind) {
	case DLV_TO_S3:
		s->backup = DLV_BACKUP_NONE;
		s->retry_seconds = 0;
		break;
	case DLV_TO_REDSHIFT:
	case DLV_TO_POSTGRES:
		s->backup = kind == DLV_TO_REDSHIFT ? DLV_BACKUP_NONE : DLV_BACKUP_FAILED;
		s->retry_seconds = 3600;
		s->database = (struct dlv_database){
			.role_arn = "", .host = "", .name = "", .user = "", .table = ""};
		s->database.columns = s->database.options = "";
		break;
	case DLV_TO_SEARCH:
		s->search = (struct dlv_search){.role_arn = "",
			.endpoint = "",
			.index = "",
			.type = "",
			.rotation = DLV_ROTATE_DAY,
			.buffering = buffering};
		break;
	case DLV_TO_HTTP:
		s->http = (struct dlv_http){
			.role_arn = "", .url = "", .name = "", .buffering = buffering};
		break;
	}
}

void
dlv_draft_from(struct dlv_draft *draft, const struct dlv_spec *spec)
{
	memset(draft, 0, sizeof(*draft));
	draft->spec = *spec;
	if (spec->kind == DLV_TO_REDSHIFT || spec->kind == DLV_TO_POSTGRES) {
		const struct slk_secret *password = spec->database.password;
		draft->password = slk_span(slk_secret_peek(password), slk_secret_len(password));
		draft->spec.database.password = NULL;
	} else if (spec->kind == DLV_TO_HTTP && spec->http.access_key != NULL) {
		const struct slk_secret *key = spec->http.access_key;
		draft->access_key = slk_span(slk_secret_peek(key), slk_secret_len(key));
		draft->spec.http.access_key = NULL;
	}
}

bool
dlv_draft_read_source(struct dlv_draft *draft, const struct dlv_place *at)
{
	static const char *const types[] = {
		"DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource", NULL};
	static const char *const needed[] = {"KinesisStreamARN", "RoleARN", NULL};
	struct dlv_spec *s = &draft->spec;
	struct dlv_place in;
	unsigned type = 0;

	if (!dlv_read_choice(at, "DeliveryStreamType", types, &type) ||
		!dlv_read_object(at, "KinesisStreamSourceConfiguration", &in))
		return false;
	if (type > 1)
		return dlv_refuse(at, "DeliveryStreamType %s is not supported.", types[type]);
	s->source = type == 1 ? DLV_KINESIS_STREAM : DLV_DIRECT_PUT;
	if ((type == 1) != (in.object != NULL))
		return dlv_refuse(at,
			type == 1 ? "KinesisStreamSourceConfiguration is needed with "
				    "DeliveryStreamType KinesisStreamAsSource."
				  : "KinesisStreamSourceConfiguration is for DeliveryStreamType "
				    "KinesisStreamAsSource.");
	return type == 0 ||
		(dlv_read_known(&in, needed) && dlv_read_required(&in, needed) &&
			dlv_read_text(&in, "KinesisStreamARN", &limit_stream, &s->source_arn) &&
			dlv_read_text(&in, "RoleARN", &dlv_limit_role, &s->source_role_arn));
}
