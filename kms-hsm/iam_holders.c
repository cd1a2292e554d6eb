/* Principals and what they hold: read from configuration and catalog, put together for decisions. */
#include "iam_holders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "principals.h"

/* The longest document of an identity, one at a time. */
static char text[KMS_DOCUMENT_MAX];

int
kms_iam_parse(const char *json, enum pol_kind kind, const char *of, const char *name,
	struct kms_document *out)
{
	struct pol_problem problem = {0, 0, ""};

	*out = (struct kms_document){.parsed = NULL};
	int rc = kms_document_parse(json, kind, out, &problem);
	if (rc == SLK_OK || rc == SLK_NO_MEMORY)
		return rc;
	slk_error_log("a policy cannot be read; all that it bears on is denied", slk_kv("of", of),
		slk_kv("policy", name), slk_kv("line", problem.line),
		slk_kv("column", problem.column), slk_kv("error", (const char *)problem.text));
	return SLK_OK;
}

/* arn:aws:iam::ACCOUNT:user/NAME, and so on. */
static void
describe(struct kms_identity *is, const char *arn)
{
	static const char iam_prefix[] = "arn:aws:iam::";
	size_t head = sizeof(iam_prefix) - 1;

	(void)snprintf(is->arn, sizeof(is->arn), "%s", arn);
	is->type = KMS_IS_OTHER;
	is->name = "";
	if (kms_is_service_principal(arn))
		is->type = KMS_IS_SERVICE;
	if (strncmp(arn, iam_prefix, head) != 0 || strlen(arn) < head + 13)
		return;
	memcpy(is->account, arn + head, 12);
	const char *rest = is->arn + head + 13;
	if (strcmp(rest, "root") == 0)
		is->type = KMS_IS_ROOT;
	else if (strncmp(rest, "user/", 5) == 0)
		is->type = KMS_IS_USER;
	else if (strncmp(rest, "role/", 5) == 0)
		is->type = KMS_IS_ROLE;
	if (is->type == KMS_IS_USER || is->type == KMS_IS_ROLE)
		is->name = rest + 5;
}

void
kms_holder_free(struct holder *h)
{
	if (h == NULL)
		return;
	for (size_t i = 0; i < h->inlined_count; i++)
		kms_document_free(&h->inlined[i].document);
	free(h->inlined);
	free(h->configured);
	free(h->is.documents);
	free(h->is.document_names);
	free(h->is.tags);
	free(h);
}

static int
take_configured(const struct kms_policy *policy, struct holder *h)
{
	h->configured_count = kms_policy_documents(policy, h->is.arn, NULL, 0);
	h->configured = calloc(h->configured_count + 1, sizeof(const struct kms_document *));
	if (h->configured == NULL)
		return SLK_NO_MEMORY;
	(void)kms_policy_documents(policy, h->is.arn, h->configured, h->configured_count);
	return SLK_OK;
}

static int
read_inlined(struct kms_catalog *catalog, struct holder *h)
{
	static char names[KMS_INLINE_MAX][KMS_POLICY_NAME_MAX];
	size_t count = 0;

	int rc = kms_catalog_inline_list(catalog, h->is.id, "", names, KMS_INLINE_MAX, &count);
	if (rc != SLK_OK)
		return rc;
	h->inlined = calloc(count + 1, sizeof(*h->inlined));
	if (h->inlined == NULL)
		return SLK_NO_MEMORY;
	for (; rc == SLK_OK && h->inlined_count < count; h->inlined_count++) {
		struct inlined *one = &h->inlined[h->inlined_count];
		const char *name = names[h->inlined_count];
		(void)snprintf(one->name, sizeof(one->name), "inline/%s", name);
		rc = kms_catalog_inline_get(catalog, h->is.id, name, text, sizeof(text));
		if (rc == SLK_OK)
			rc = kms_iam_parse(text, POL_IDENTITY, h->is.arn, name, &one->document);
	}
	return rc;
}

static const struct managed *
managed_by_id(const struct kms_managed_list *list, uint64_t id)
{
	const struct managed *m;

	LIST_FOREACH(m, list, entry)
	if (m->id == id)
		return m;
	return NULL;
}

static int
read_attached(struct kms_catalog *catalog, const struct kms_managed_list *managed, struct holder *h)
{
	static struct kms_policy_row rows[KMS_ATTACHED_MAX]; /* one thread */
	size_t count = 0;

	int rc = kms_catalog_attached_list(catalog, h->is.id, "", rows, KMS_ATTACHED_MAX, &count);
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		h->attached[i] = managed_by_id(managed, rows[i].id);
		if (h->attached[i] == NULL)
			return SLK_INTERNAL;
		h->attached_count++;
	}
	return rc;
}

static int
read_tags(struct kms_catalog *catalog, struct holder *h)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */

	int rc = kms_catalog_identity_tags(catalog, h->is.id, tags, &h->is.tags_count);
	if (rc != SLK_OK)
		return rc;
	h->is.tags = calloc(h->is.tags_count + 1, sizeof(*h->is.tags));
	if (h->is.tags == NULL)
		return SLK_NO_MEMORY;
	memcpy(h->is.tags, tags, h->is.tags_count * sizeof(*tags));
	return SLK_OK;
}

/* What the catalog knows of it. */
static int
read_holdings(struct kms_catalog *catalog, const struct kms_managed_list *managed,
	const struct kms_identity_row *row, struct holder *h)
{
	h->is.in_catalog = true;
	h->is.id = row->id;
	memcpy(h->is.unique_id, row->unique_id, sizeof(h->is.unique_id));
	int rc = read_inlined(catalog, h);
	if (rc == SLK_OK)
		rc = read_attached(catalog, managed, h);
	if (rc == SLK_OK)
		rc = read_tags(catalog, h);
	if (rc == SLK_OK && row->boundary_id != 0) {
		h->boundary = managed_by_id(managed, row->boundary_id);
		rc = h->boundary != NULL ? SLK_OK : SLK_INTERNAL;
	}
	return rc;
}

static void
hold(struct holder *h, const struct kms_document *document, const char *name)
{
	h->is.document_names[h->is.documents_count] = name;
	h->is.documents[h->is.documents_count++] = document->parsed;
	h->is.needs |= document->needs;
	h->is.broken = h->is.broken || document->parsed == NULL;
}

/* Puts together what there is room for since arrange(). */
void
kms_holder_resolve(struct holder *h)
{
	h->is.documents_count = 0;
	h->is.needs = 0;
	h->is.broken = false;
	for (size_t i = 0; i < h->configured_count; i++)
		hold(h, h->configured[i], "kmsd.yaml");
	for (size_t i = 0; i < h->inlined_count; i++)
		hold(h, &h->inlined[i].document, h->inlined[i].name);
	for (size_t i = 0; i < h->attached_count; i++)
		hold(h, &h->attached[i]->document, h->attached[i]->name);
	h->is.boundary = NULL;
	if (h->boundary == NULL)
		return;
	h->is.boundary = h->boundary->document.parsed;
	h->is.boundary_name = h->boundary->name;
	h->is.needs |= h->boundary->document.needs;
	h->is.broken = h->is.broken || h->is.boundary == NULL;
}

static int
arrange(struct holder *h)
{
	size_t count = h->configured_count + h->inlined_count + h->attached_count;

	h->is.documents = calloc(count + 1, sizeof(const struct pol_document *));
	h->is.document_names = calloc(count + 1, sizeof(const char *));
	if (h->is.documents == NULL || h->is.document_names == NULL)
		return SLK_NO_MEMORY;
	kms_holder_resolve(h);
	return SLK_OK;
}

int
kms_holder_new(const struct kms_policy *policy, struct kms_catalog *catalog,
	const struct kms_managed_list *managed, const char *arn, const struct kms_identity_row *row,
	struct holder **out)
{
	struct holder *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return SLK_NO_MEMORY;
	describe(&h->is, arn);
	int rc = take_configured(policy, h);
	if (rc == SLK_OK && row != NULL)
		rc = read_holdings(catalog, managed, row, h);
	if (rc == SLK_OK)
		rc = arrange(h);
	if (rc != SLK_OK) {
		kms_holder_free(h);
		return rc;
	}
	*out = h;
	return SLK_OK;
}
