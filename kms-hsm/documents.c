#include "documents.h"

#include <string.h>

static size_t total_bytes;

static unsigned
needs_of(const char *json)
{
	unsigned needs = 0;

	if (strstr(json, "\\u") != NULL)
		return KMS_NEEDS_VALUES | KMS_NEEDS_CONTEXT | KMS_NEEDS_TAGS | KMS_NEEDS_ALIASES |
			KMS_NEEDS_TIME;
	if (strcasestr(json, "condition") != NULL || strstr(json, "${") != NULL)
		needs |= KMS_NEEDS_VALUES;
	if (strcasestr(json, "encryptioncontext") != NULL)
		needs |= KMS_NEEDS_CONTEXT;
	if (strcasestr(json, "resourcetag") != NULL)
		needs |= KMS_NEEDS_TAGS;
	if (strcasestr(json, "resourcealiases") != NULL)
		needs |= KMS_NEEDS_ALIASES;
	if (strcasestr(json, "currenttime") != NULL || strcasestr(json, "epochtime") != NULL)
		needs |= KMS_NEEDS_TIME;
	return needs;
}

int
kms_document_parse(const char *json, enum pol_kind kind, struct kms_document *out_document,
	struct pol_problem *out_problem)
{
	struct kms_document d = {.needs = needs_of(json), .bytes = strlen(json)};

	int rc = pol_document_parse(slk_span_str(json), kind, &d.parsed, out_problem);
	if (rc != SLK_OK)
		return rc;
	total_bytes += d.bytes;
	*out_document = d;
	return SLK_OK;
}

void
kms_document_free(struct kms_document *document)
{
	total_bytes -= document->bytes;
	pol_document_free(document->parsed);
	*document = (struct kms_document){.parsed = NULL};
}

size_t
kms_documents_bytes(void)
{
	return total_bytes;
}
