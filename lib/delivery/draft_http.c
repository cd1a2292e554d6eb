/* HTTP endpoints. */
#include "delivery/draft.h"

/* https, nobody's name in it (a secret would be out of its place), nothing that a line of HTTP cannot have. */
static bool
is_url(struct slk_span text)
{
	const char *s = (const char *)text.ptr;
	size_t host = 0;
	uint16_t port = 0;

	if (strncmp(s, "https://", 8) != 0)
		return false;
	size_t n = dlv_authority(s + 8, &host, &port);
	s += 8 + n;
	if (n == 0 || (*s != '\0' && *s != '/' && *s != '?'))
		return false;
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f || strchr("#\"<>\\^`{|}", *s) != NULL)
			return false;
	return true;
}

static bool
is_printable(struct slk_span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] >= 0x7f)
			return false;
	return true;
}

static bool
says_something(struct slk_span text)
{
	return strspn((const char *)text.ptr, " \t\r\n\v\f") < text.len;
}

static const struct dlv_limit limit_url = {1, 1000, "https://.*", is_url, true};
/* It becomes a header. */
static const struct dlv_limit limit_access_key = {0, 4096, "[ -~]*", is_printable, true};
static const struct dlv_limit limit_endpoint_name = {1, 256, "^(?!\\s*$).+", says_something, false};
static const struct dlv_limit limit_attribute_name = {1, 256, "^(?!\\s*$).+", says_something, true};
static const struct dlv_limit limit_attribute_value = {0, 1024, NULL, NULL, true};

/* Taken as a whole: a key is for the URL that it came with. */
static bool
read_http_endpoint(struct dlv_draft *d, const struct dlv_place *at)
{
	static const char *const known[] = {"Url", "Name", "AccessKey", NULL};
	static const char *const needed[] = {"Url", NULL};
	struct dlv_http *http = &d->spec.http;
	struct dlv_place in;

	if (!dlv_read_object(at, "EndpointConfiguration", &in))
		return false;
	if (in.object == NULL)
		return true;
	http->name = "";
	d->access_key = slk_span(NULL, 0);
	return dlv_read_known(&in, known) && dlv_read_required(&in, needed) &&
		dlv_read_text(&in, "Url", &limit_url, &http->url) &&
		dlv_read_text(&in, "Name", &limit_endpoint_name, &http->name) &&
		dlv_draft_read_secret(&in, "AccessKey", &limit_access_key, &d->access_key);
}

static bool
read_attributes(struct dlv_draft *d, const struct dlv_place *at)
{
	static const char *const names[] = {"AttributeName", "AttributeValue", NULL};
	const struct dlv_json *first = NULL;
	struct dlv_place in;
	unsigned i = 0;

	if (!dlv_read_list(at, "CommonAttributes", DLV_ATTRIBUTES_MAX, &first))
		return false;
	for (const struct dlv_json *v = first; v != NULL; v = v->next) {
		struct dlv_attribute *a = &d->attributes[i];
		if (!dlv_read_item(at, "CommonAttributes", ++i, v, &in) ||
			!dlv_read_known(&in, names) || !dlv_read_required(&in, names) ||
			!dlv_read_text(&in, "AttributeName", &limit_attribute_name, &a->name) ||
			!dlv_read_text(&in, "AttributeValue", &limit_attribute_value, &a->value))
			return false;
		for (unsigned j = 0; j + 1 < i; j++)
			if (strcmp(d->attributes[j].name, a->name) == 0)
				return dlv_refuse(at, "CommonAttributes has a name twice.");
	}
	d->spec.http.attributes = d->attributes;
	d->spec.http.attributes_count = i;
	return true;
}

static bool
read_http_request(struct dlv_draft *d, const struct dlv_place *at)
{
	static const char *const known[] = {"ContentEncoding", "CommonAttributes", NULL};
	static const char *const encodings[] = {"NONE", "GZIP", NULL};
	struct dlv_place in;
	unsigned gzip = 0;

	if (!dlv_read_object(at, "RequestConfiguration", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_known(&in, known) ||
		!dlv_read_choice(&in, "ContentEncoding", encodings, &gzip) ||
		!read_attributes(d, &in))
		return false;
	d->spec.http.gzip = gzip == 1;
	return true;
}

bool
dlv_draft_read_http(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	static const char *const known[] = {"EndpointConfiguration", "BufferingHints",
		"CloudWatchLoggingOptions", "RequestConfiguration", "ProcessingConfiguration",
		"RoleARN", "RetryOptions", "S3BackupMode", "S3Configuration", "S3Update",
		"SecretsManagerConfiguration", NULL};
	static const char *const needed[] = {"EndpointConfiguration", NULL};
	static const char *const modes[] = {"FailedDataOnly", "AllData", NULL};

	return dlv_read_known(at, known) &&
		dlv_draft_read_off(at, "SecretsManagerConfiguration", "") &&
		(way == DLV_UPDATE || dlv_read_required(at, needed)) && read_http_endpoint(d, at) &&
		read_http_request(d, at) &&
		dlv_read_text(at, "RoleARN", &dlv_limit_role, &d->spec.http.role_arn) &&
		dlv_draft_read_buffering(at, 64, &d->spec.http.buffering) &&
		dlv_draft_read_retry(at, &d->spec.retry_seconds) &&
		dlv_draft_read_backup_of(at, modes, &d->spec.backup) &&
		dlv_draft_read_inner_s3(&d->spec.s3, at, way) &&
		dlv_draft_read_processing(at, &d->spec.delimiter) &&
		dlv_draft_read_logging(at, &d->spec.logging);
}
