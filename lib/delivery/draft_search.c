/* OpenSearch and Elasticsearch. */
#include <stdio.h>

#include "delivery/draft.h"

const char *const dlv_rotations[] = {
	"NoRotation", "OneHour", "OneDay", "OneWeek", "OneMonth", NULL};

/* A cluster is a host: what is behind it is ours to say. */
static bool
is_endpoint(struct slk_span text)
{
	const char *s = (const char *)text.ptr;
	size_t host = 0;
	uint16_t port = 0;

	if (strncmp(s, "https://", 8) != 0)
		return false;
	size_t n = dlv_authority(s + 8, &host, &port);
	s += 8 + n;
	return n > 0 && (*s == '\0' || (s[0] == '/' && s[1] == '\0'));
}

/* What OpenSearch takes for an index. */
static bool
is_index(struct slk_span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || (text.ptr[i] >= 'A' && text.ptr[i] <= 'Z') ||
			strchr("\"*\\<|,>/?#:", text.ptr[i]) != NULL)
			return false;
	return strchr("-_+.", text.ptr[0]) == NULL;
}

static const struct dlv_limit type_text = {0, 100, NULL, NULL, false};
static const struct dlv_limit limit_endpoint = {1, 512, "https://host(:port)?", is_endpoint, false};
static const struct dlv_limit limit_index = {1, 80, "[^A-Z\"*\\\\<|,>/?#: ]+", is_index, false};

static bool
read_search_endpoint(struct dlv_draft *d, const struct dlv_place *at)
{
	const char *url = NULL;

	if (dlv_json_get(at->object, "DomainARN") != NULL)
		return dlv_refuse(at, "DomainARN is not supported; ClusterEndpoint is.");
	if (dlv_json_get(at->object, "VpcConfiguration") != NULL)
		return dlv_refuse(at, "VpcConfiguration is not supported.");
	if (!dlv_read_text(at, "ClusterEndpoint", &limit_endpoint, &url))
		return false;
	if (url == NULL)
		return d->spec.search.endpoint[0] != '\0' ||
			dlv_refuse(at, "ClusterEndpoint is needed.");
	(void)snprintf(d->endpoint, sizeof(d->endpoint), "%s", url);
	size_t len = strlen(d->endpoint);
	if (d->endpoint[len - 1] == '/')
		d->endpoint[len - 1] = '\0';
	d->spec.search.endpoint = d->endpoint;
	return true;
}

/* Ids of documents are Firehose's: that is what makes a repeated delivery harmless. */
static bool
read_document_ids(const struct dlv_place *at)
{
	static const char *const formats[] = {"FIREHOSE_DEFAULT", "NO_DOCUMENT_ID", NULL};
	struct dlv_place in;
	unsigned format = 0;

	if (!dlv_read_object(at, "DocumentIdOptions", &in))
		return false;
	if (in.object == NULL)
		return true;
	if (!dlv_read_choice(&in, "DefaultDocumentIdFormat", formats, &format))
		return false;
	return format == 0 || dlv_refuse(&in, "NO_DOCUMENT_ID is not supported.");
}

bool
dlv_draft_read_search(struct dlv_draft *d, const struct dlv_place *at, enum dlv_way way)
{
	static const char *const known[] = {"RoleARN", "DomainARN", "ClusterEndpoint", "IndexName",
		"TypeName", "IndexRotationPeriod", "BufferingHints", "RetryOptions", "S3BackupMode",
		"S3Configuration", "S3Update", "ProcessingConfiguration",
		"CloudWatchLoggingOptions", "VpcConfiguration", "DocumentIdOptions", NULL};
	static const char *const needed[] = {"RoleARN", "IndexName", NULL};
	static const char *const modes[] = {"FailedDocumentsOnly", "AllDocuments", NULL};
	struct dlv_search *search = &d->spec.search;
	unsigned rotation = search->rotation;

	if (way == DLV_UPDATE && dlv_json_get(at->object, "S3BackupMode") != NULL)
		return dlv_refuse(at, "S3BackupMode cannot be changed.");
	if (!dlv_read_known(at, known) || (way != DLV_UPDATE && !dlv_read_required(at, needed)) ||
		!dlv_read_text(at, "RoleARN", &dlv_limit_role, &search->role_arn) ||
		!read_search_endpoint(d, at) ||
		!dlv_read_text(at, "IndexName", &limit_index, &search->index) ||
		!dlv_read_text(at, "TypeName", &type_text, &search->type) ||
		!dlv_read_choice(at, "IndexRotationPeriod", dlv_rotations, &rotation) ||
		!dlv_draft_read_buffering(at, 100, &search->buffering))
		return false;
	search->rotation = (enum dlv_rotation)rotation;
	return dlv_draft_read_retry(at, &d->spec.retry_seconds) &&
		dlv_draft_read_backup_of(at, modes, &d->spec.backup) && read_document_ids(at) &&
		dlv_draft_read_inner_s3(&d->spec.s3, at, way) &&
		dlv_draft_read_processing(at, &d->spec.delimiter) &&
		dlv_draft_read_logging(at, &d->spec.logging);
}
