/* Members that several kinds of destinations have. */
#include "delivery/draft.h"

#define MIB (1u << 20)
#define RETRY_MAX_S 7200u

static const char *const hints[] = {"SizeInMBs", "IntervalInSeconds", NULL};
static const struct dlv_limit any_text = {0, 204800, NULL, NULL, false};

bool
dlv_draft_read_retry(const struct dlv_place *at, uint32_t *out)
{
	static const char *const known[] = {"DurationInSeconds", NULL};
	struct dlv_place in;

	if (!dlv_read_object(at, "RetryOptions", &in))
		return false;
	return in.object == NULL ||
		(dlv_read_known(&in, known) &&
			dlv_read_number(&in, "DurationInSeconds", 0, RETRY_MAX_S, out));
}

/* The processor that puts a newline behind each record is all there is. Its parameter may say so. */
static bool
read_delimiter(const struct dlv_place *at)
{
	static const char *const names[] = {"ParameterName", "ParameterValue", NULL};
	const char *name = "", *value = "";
	const struct dlv_json *first = NULL;
	struct dlv_place in;
	unsigned i = 0;

	if (!dlv_read_list(at, "Parameters", 16, &first))
		return false;
	for (const struct dlv_json *v = first; v != NULL; v = v->next) {
		if (!dlv_read_item(at, "Parameters", ++i, v, &in) || !dlv_read_known(&in, names) ||
			!dlv_read_required(&in, names) ||
			!dlv_read_text(&in, "ParameterName", &any_text, &name) ||
			!dlv_read_text(&in, "ParameterValue", &any_text, &value))
			return false;
		if (strcmp(name, "Delimiter") != 0)
			return dlv_refuse(at, "AppendDelimiterToRecord has no such parameter.");
		if (strcmp(value, "\\n") != 0 && strcmp(value, "\n") != 0)
			return dlv_refuse(at, "Delimiter has to be a newline (\\n).");
	}
	return true;
}

static bool
read_processors(const struct dlv_place *at, bool *out_delimiter)
{
	static const char *const types[] = {"AppendDelimiterToRecord", "RecordDeAggregation",
		"Lambda", "MetadataExtraction", "Decompression", "CloudWatchLogProcessing", NULL};
	static const char *const known[] = {"Type", "Parameters", NULL};
	static const char *const needed[] = {"Type", NULL};
	const struct dlv_json *first = NULL;
	struct dlv_place in;
	unsigned i = 0, type = 0;

	if (!dlv_read_list(at, "Processors", 16, &first))
		return false;
	for (const struct dlv_json *v = first; v != NULL; v = v->next) {
		if (!dlv_read_item(at, "Processors", ++i, v, &in) || !dlv_read_known(&in, known) ||
			!dlv_read_required(&in, needed) ||
			!dlv_read_choice(&in, "Type", types, &type))
			return false;
		if (type != 0)
			return dlv_refuse(at, "the processor %s is not supported.", types[type]);
		if (!read_delimiter(&in))
			return false;
		*out_delimiter = true;
	}
	return true;
}

bool
dlv_draft_read_processing(const struct dlv_place *at, bool *out_delimiter)
{
	static const char *const known[] = {"Enabled", "Processors", NULL};
	struct dlv_place in;
	bool on = false, delimiter = false;

	if (!dlv_read_object(at, "ProcessingConfiguration", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_known(&in, known) || !dlv_read_bool(&in, "Enabled", &on) ||
		(on && !read_processors(&in, &delimiter)))
		return false;
	*out_delimiter = delimiter;
	return true;
}

/* The S3 destination within another: S3Configuration or S3Update. */
bool
dlv_draft_read_inner_s3(struct dlv_s3 *s3, const struct dlv_place *at, enum dlv_way way)
{
	struct dlv_place in;

	if (!dlv_read_object(at, way == DLV_CREATE ? "S3Configuration" : "S3Update", &in))
		return false;
	if (in.object == NULL && way != DLV_UPDATE) {
		const char *const needed[] = {in.name, NULL};
		return dlv_read_required(at, needed);
	}
	return in.object == NULL || dlv_draft_read_s3(s3, &in, false, way);
}

/* Both hints or neither, in any order: which of the two is missing is said. */
bool
dlv_draft_read_buffering(const struct dlv_place *at, uint32_t max_mib, struct dlv_buffering *out)
{
	struct dlv_place in;
	uint32_t mib = 0, seconds = 0;

	if (!dlv_read_object(at, "BufferingHints", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_known(&in, hints) || !dlv_read_number(&in, "SizeInMBs", 1, max_mib, &mib) ||
		!dlv_read_number(&in, "IntervalInSeconds", 0, 900, &seconds))
		return false;
	bool has_size = dlv_json_get(in.object, "SizeInMBs") != NULL;
	bool has_interval = dlv_json_get(in.object, "IntervalInSeconds") != NULL;
	if (has_size != has_interval)
		return dlv_refuse(&in, "%s is given without %s: both are needed, or neither.",
			has_size ? "SizeInMBs" : "IntervalInSeconds",
			has_size ? "IntervalInSeconds" : "SizeInMBs");
	if (has_size)
		*out = (struct dlv_buffering){(uint64_t)mib * MIB, seconds};
	return true;
}

/* What may be named as long as it is off. */
bool
dlv_draft_read_off(const struct dlv_place *at, const char *name, const char *why)
{
	struct dlv_place in;
	bool on = false;

	if (!dlv_read_object(at, name, &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_bool(&in, "Enabled", &on))
		return false;
	return on ? dlv_refuse(at, "%s is not supported%s.", name, why) : true;
}

/* --- where errors are told --- */

static bool
is_log_group(struct slk_span text)
{
	const char *s = (const char *)text.ptr;

	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/#") ==
		text.len;
}

static bool
is_log_stream(struct slk_span text)
{
	const char *s = (const char *)text.ptr;

	return strcspn(s, ":*") == text.len;
}

bool
dlv_draft_read_logging(const struct dlv_place *at, struct dlv_logging *inout)
{
	static const char *const known[] = {"Enabled", "LogGroupName", "LogStreamName", NULL};
	static const struct dlv_limit group = {
		0, 512, "[\\.\\-_/#A-Za-z0-9]*", is_log_group, false};
	static const struct dlv_limit stream = {0, 512, "[^:*]*", is_log_stream, false};
	struct dlv_logging told = {.group = "", .stream = ""};
	struct dlv_place in;

	if (!dlv_read_object(at, "CloudWatchLoggingOptions", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_known(&in, known) || !dlv_read_bool(&in, "Enabled", &told.enabled) ||
		!dlv_read_text(&in, "LogGroupName", &group, &told.group) ||
		!dlv_read_text(&in, "LogStreamName", &stream, &told.stream))
		return false;
	if (told.enabled && (told.group[0] == '\0' || told.stream[0] == '\0'))
		return dlv_refuse(
			&in, "LogGroupName and LogStreamName are needed when Enabled is true.");
	*inout = told;
	return true;
}

/* --- source records' backup --- */

/* Once it is on it stays on. */
bool
dlv_draft_read_backup_mode(const struct dlv_place *at, bool *inout_on)
{
	static const char *const modes[] = {"Disabled", "Enabled", NULL};
	unsigned mode = *inout_on;

	if (!dlv_read_choice(at, "S3BackupMode", modes, &mode))
		return false;
	if (*inout_on && mode == 0)
		return dlv_refuse(at, "S3BackupMode cannot be Disabled once it is Enabled.");
	*inout_on = mode == 1;
	return true;
}

bool
dlv_draft_read_source_backup(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	bool was = d->spec.has_source_backup, on = was;
	struct dlv_place in;

	if (!dlv_draft_read_backup_mode(at, &on) ||
		!dlv_read_object(
			at, way == DLV_CREATE ? "S3BackupConfiguration" : "S3BackupUpdate", &in))
		return false;
	if (!was && in.object == NULL && on)
		return dlv_refuse(at, "%s is needed when S3BackupMode is Enabled.",
			way == DLV_CREATE ? "S3BackupConfiguration" : "S3BackupUpdate");
	if (!was)
		dlv_draft_begin_s3(&d->spec.source_backup);
	if (in.object != NULL &&
		!dlv_draft_read_s3(
			&d->spec.source_backup, &in, false, was ? DLV_UPDATE : DLV_CREATE))
		return false;
	d->spec.has_source_backup = on;
	return true;
}

bool
dlv_draft_read_backup_of(
	const struct dlv_place *at, const char *const *modes, enum dlv_backup *inout_backup)
{
	unsigned mode = *inout_backup == DLV_BACKUP_ALL;

	if (!dlv_read_choice(at, "S3BackupMode", modes, &mode))
		return false;
	*inout_backup = mode == 1 ? DLV_BACKUP_ALL : DLV_BACKUP_FAILED;
	return true;
}

/* "": none. */
bool
dlv_draft_read_secret(const struct dlv_place *at, const char *name, const struct dlv_limit *limit,
	struct slk_span *out)
{
	const char *text = NULL;

	if (!dlv_read_text(at, name, limit, &text))
		return false;
	if (text != NULL)
		*out = text[0] != '\0' ? slk_span_str(text) : slk_span(NULL, 0);
	return true;
}
