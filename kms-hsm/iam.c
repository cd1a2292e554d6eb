#include "iam.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "catalog_streams.h"
#include "iam_holders.h"

static const char default_form[] =
	"{\n  \"Version\": \"2012-10-17\",\n  \"Id\": \"key-default-1\",\n  \"Statement\": [\n    "
	"{\n"
	"      \"Sid\": \"Enable IAM User Permissions\",\n      \"Effect\": \"Allow\",\n"
	"      \"Principal\": {\"AWS\": \"arn:aws:iam::%s:root\"},\n      \"Action\": \"kms:*\",\n"
	"      \"Resource\": \"*\"\n    }\n  ]\n}";

struct key_policy {
	uint8_t key_id[KMS_ID_BYTES]; /* first: what is compared */
	struct kms_document document;
};

struct stream_policy {
	char stream[KMS_STREAM_MAX]; /* first */
	struct kms_document document;
};

struct kms_iam {
	const struct kms_policy *policy;
	struct kms_catalog *catalog;
	void *holders, *keys, *streams; /* trees of tsearch() */
	LIST_HEAD(holders, holder) holders_list;
	struct kms_managed_list policies;
	bool stale; /* a change could not be taken over */
	size_t holders_count, policies_count;
	uint64_t changes;
	struct kms_document default_policy;
	char default_text[sizeof(default_form) + 16];
};

/* The longest document, one at a time. */
static char text[KMS_DOCUMENT_MAX];

/* --- trees; the first member of an element is what it is found by --- */

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static int
by_id(const void *a, const void *b)
{
	return memcmp(a, b, KMS_ID_BYTES);
}

static void *
find(void *const *tree, const void *key, int (*compare)(const void *, const void *))
{
	void *const *node = tfind(key, tree, compare);

	return node != NULL ? *node : NULL;
}

/* --- principals --- */

static void
drop(struct kms_iam *iam, struct holder *h)
{
	if (h == NULL)
		return;
	(void)tdelete(h, &iam->holders, by_text);
	LIST_REMOVE(h, entry);
	iam->holders_count--;
	kms_holder_free(h);
}

/* In place of the one that is there. On an error neither is. */
static int
replace(struct kms_iam *iam, struct holder *h)
{
	drop(iam, find(&iam->holders, h->is.arn, by_text));
	if (tsearch(h, &iam->holders, by_text) == NULL) {
		kms_holder_free(h);
		return SLK_NO_MEMORY;
	}
	LIST_INSERT_HEAD(&iam->holders_list, h, entry);
	iam->holders_count++;
	return SLK_OK;
}

static bool
is_configured(const struct kms_iam *iam, const char *arn)
{
	const char *known;

	for (size_t i = 0; (known = kms_policy_principal(iam->policy, i)) != NULL; i++)
		if (strcmp(known, arn) == 0)
			return true;
	return false;
}

static void
arn_of(const struct kms_iam *iam, enum kms_identity_kind kind, const char *name,
	char out[KMS_ARN_MAX])
{
	(void)snprintf(out, KMS_ARN_MAX, "arn:aws:iam::%s:%s/%s", kms_iam_realm(iam).account,
		kind == KMS_USER ? "user" : "role", name);
}

static int
take_row(struct kms_iam *iam, const struct kms_identity_row *row)
{
	char arn[KMS_ARN_MAX];
	struct holder *h = NULL;

	arn_of(iam, row->kind, row->name, arn);
	int rc = kms_holder_new(iam->policy, iam->catalog, &iam->policies, arn, row, &h);
	return rc == SLK_OK ? replace(iam, h) : rc;
}

/* What a change could not bring into force must not be taken for what is in force. */
static int
taken(struct kms_iam *iam, int rc)
{
	if (rc == SLK_OK || iam->stale)
		return rc;
	iam->stale = true;
	slk_error_log("a change of identities or policies is in the catalog and could not be taken "
		      "over; everything is denied until a restart",
		slk_kv("status", slk_status_name(rc)),
		slk_kv("error", kms_catalog_error(iam->catalog)));
	return rc;
}

int
kms_iam_identity_changed(struct kms_iam *iam, enum kms_identity_kind kind, const char *name)
{
	struct kms_identity_row row;
	char arn[KMS_ARN_MAX];
	struct holder *h = NULL;

	iam->changes++;
	arn_of(iam, kind, name, arn);
	int rc = kms_catalog_identity_get(iam->catalog, kind, name, &row);
	if (rc == SLK_OK)
		rc = take_row(iam, &row);
	else if (rc == SLK_NOT_FOUND && is_configured(iam, arn)) {
		rc = kms_holder_new(iam->policy, iam->catalog, &iam->policies, arn, NULL, &h);
		if (rc == SLK_OK)
			rc = replace(iam, h);
	} else if (rc == SLK_NOT_FOUND) {
		drop(iam, find(&iam->holders, arn, by_text));
		rc = SLK_OK;
	}
	return taken(iam, rc);
}

/* --- managed policies --- */

static void
managed_free(struct kms_iam *iam, struct managed *m)
{
	LIST_REMOVE(m, entry);
	iam->policies_count--;
	kms_document_free(&m->document);
	free(m);
}

static struct managed *
managed_by_name(struct kms_iam *iam, const char *name)
{
	struct managed *m;

	LIST_FOREACH(m, &iam->policies, entry)
	if (strcmp(m->name, name) == 0)
		return m;
	return NULL;
}

static int
managed_new(struct kms_iam *iam, const struct kms_policy_row *row, struct managed **out)
{
	struct managed *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return SLK_NO_MEMORY;
	m->id = row->id;
	memcpy(m->name, row->name, sizeof(m->name));
	LIST_INSERT_HEAD(&iam->policies, m, entry);
	iam->policies_count++;
	*out = m;
	return SLK_OK;
}

/* The documents of all that hold it change with it. */
static int
take_policy(struct kms_iam *iam, struct managed *m)
{
	struct kms_document before = m->document;
	struct holder *h;

	m->document = (struct kms_document){.parsed = NULL}; /* until it is read */
	int rc = kms_catalog_policy_text(iam->catalog, m->id, text, sizeof(text));
	if (rc == SLK_OK)
		rc = kms_iam_parse(text, POL_IDENTITY, "policy", m->name, &m->document);
	LIST_FOREACH(h, &iam->holders_list, entry)
	if (h->is.in_catalog)
		kms_holder_resolve(h);
	kms_document_free(&before);
	return rc;
}

int
kms_iam_policy_changed(struct kms_iam *iam, const char *name)
{
	struct managed *m = managed_by_name(iam, name);
	struct kms_policy_row row;

	iam->changes++;
	int rc = kms_catalog_policy_get(iam->catalog, name, &row);
	if (rc == SLK_NOT_FOUND) { /* nobody held it */
		if (m != NULL)
			managed_free(iam, m);
		return SLK_OK;
	}
	if (rc == SLK_OK && m == NULL)
		rc = managed_new(iam, &row, &m);
	if (rc == SLK_OK)
		rc = take_policy(iam, m);
	return taken(iam, rc);
}

/* --- keys and streams --- */

static void
free_key_policy(void *p)
{
	kms_document_free(&((struct key_policy *)p)->document);
	free(p);
}

static void
free_stream_policy(void *p)
{
	kms_document_free(&((struct stream_policy *)p)->document);
	free(p);
}

const struct kms_document *
kms_iam_key_policy(const struct kms_iam *iam, const uint8_t key_id[KMS_ID_BYTES])
{
	const struct key_policy *p = find(&iam->keys, key_id, by_id);

	return p != NULL ? &p->document : &iam->default_policy;
}

const struct kms_document *
kms_iam_stream_policy(const struct kms_iam *iam, const char *stream)
{
	const struct stream_policy *p = find(&iam->streams, stream, by_text);

	return p != NULL ? &p->document : NULL;
}

/* The entry of a key, made if there is none; it denies until something is parsed into it. */
static int
key_entry(struct kms_iam *iam, const uint8_t *key_id, struct key_policy **out)
{
	struct key_policy *p = find(&iam->keys, key_id, by_id);

	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return SLK_NO_MEMORY;
		memcpy(p->key_id, key_id, sizeof(p->key_id));
		if (tsearch(p, &iam->keys, by_id) == NULL) {
			free(p);
			return SLK_NO_MEMORY;
		}
	}
	kms_document_free(&p->document);
	*out = p;
	return SLK_OK;
}

static int
take_key_policy(struct kms_iam *iam, const uint8_t *key_id)
{
	struct key_policy *p = NULL;
	char id[FMT_UUID_TEXT];

	fmt_uuid_print(key_id, id);
	int rc = key_entry(iam, key_id, &p);
	return rc == SLK_OK ? kms_iam_parse(text, POL_RESOURCE, "key", id, &p->document) : rc;
}

int
kms_iam_key_changed(struct kms_iam *iam, const uint8_t key_id[KMS_ID_BYTES])
{
	struct key_policy *p = find(&iam->keys, key_id, by_id);

	iam->changes++;
	int rc = kms_catalog_key_policy_get(iam->catalog, key_id, text, sizeof(text));
	if (rc == SLK_OK)
		return taken(iam, take_key_policy(iam, key_id));
	if (rc != SLK_NOT_FOUND)
		return taken(iam, rc);
	if (p != NULL) {
		(void)tdelete(p, &iam->keys, by_id);
		free_key_policy(p);
	}
	return SLK_OK;
}

static int
take_stream_policy(struct kms_iam *iam, const char *stream)
{
	struct stream_policy *p = find(&iam->streams, stream, by_text);

	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		if (p == NULL)
			return SLK_NO_MEMORY;
		(void)snprintf(p->stream, sizeof(p->stream), "%s", stream);
		if (tsearch(p, &iam->streams, by_text) == NULL) {
			free(p);
			return SLK_NO_MEMORY;
		}
	}
	kms_document_free(&p->document);
	return kms_iam_parse(text, POL_RESOURCE, "stream", stream, &p->document);
}

int
kms_iam_stream_changed(struct kms_iam *iam, const char *stream)
{
	struct stream_policy *p = find(&iam->streams, stream, by_text);
	struct kms_stream row;

	iam->changes++;
	int rc = kms_catalog_stream_get(iam->catalog, stream, &row);
	if (rc == SLK_OK)
		rc = kms_catalog_stream_policy_get(iam->catalog, row.id, text, sizeof(text));
	if (rc == SLK_OK)
		return taken(iam, take_stream_policy(iam, stream));
	if (rc != SLK_NOT_FOUND)
		return taken(iam, rc);
	if (p != NULL) {
		(void)tdelete(p, &iam->streams, by_text);
		free_stream_policy(p);
	}
	return SLK_OK;
}

/* --- start --- */

#define PAGE 50u

static int
load_policies(struct kms_iam *iam)
{
	static struct kms_policy_row rows[PAGE]; /* one thread */
	char after[KMS_POLICY_NAME_MAX] = "";
	size_t count = PAGE;
	int rc = SLK_OK;

	while (rc == SLK_OK && count == PAGE) {
		rc = kms_catalog_policy_list(iam->catalog, after, rows, PAGE, &count);
		for (size_t i = 0; rc == SLK_OK && i < count; i++) {
			struct managed *m = NULL;
			rc = managed_new(iam, &rows[i], &m);
			if (rc == SLK_OK)
				rc = take_policy(iam, m);
			memcpy(after, rows[i].name, sizeof(after));
		}
	}
	return rc;
}

static int
load_identities(struct kms_iam *iam, enum kms_identity_kind kind)
{
	static struct kms_identity_row rows[PAGE]; /* one thread */
	char after[KMS_NAME_MAX] = "";
	size_t count = PAGE;
	int rc = SLK_OK;

	while (rc == SLK_OK && count == PAGE) {
		rc = kms_catalog_identity_list(iam->catalog, kind, after, rows, PAGE, &count);
		for (size_t i = 0; rc == SLK_OK && i < count; i++) {
			rc = take_row(iam, &rows[i]);
			memcpy(after, rows[i].name, sizeof(after));
		}
	}
	return rc;
}

static int
load_configured(struct kms_iam *iam)
{
	const char *arn;
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && (arn = kms_policy_principal(iam->policy, i)) != NULL;
		i++) {
		struct holder *h = NULL;
		rc = kms_holder_new(iam->policy, iam->catalog, &iam->policies, arn, NULL, &h);
		if (rc == SLK_OK)
			rc = replace(iam, h);
	}
	return rc;
}

static int
load_key_policies(struct kms_iam *iam)
{
	uint8_t id[KMS_ID_BYTES];

	int rc = kms_catalog_key_policy_next(iam->catalog, NULL, id, text, sizeof(text));
	while (rc == SLK_OK) {
		rc = take_key_policy(iam, id);
		if (rc == SLK_OK)
			rc = kms_catalog_key_policy_next(iam->catalog, id, id, text, sizeof(text));
	}
	return rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

static int
load_stream_policies(struct kms_iam *iam)
{
	static struct kms_stream rows[PAGE]; /* one thread */
	char after[KMS_STREAM_MAX] = "";
	size_t count = PAGE;
	int rc = SLK_OK;

	while (rc == SLK_OK && count == PAGE) {
		rc = kms_catalog_stream_list(iam->catalog, after, false, rows, PAGE, &count);
		for (size_t i = 0; rc == SLK_OK && i < count; i++) {
			rc = kms_iam_stream_changed(iam, rows[i].name);
			memcpy(after, rows[i].name, sizeof(after));
		}
	}
	return rc;
}

static int
load(struct kms_iam *iam)
{
	struct pol_problem problem;

	(void)snprintf(iam->default_text, sizeof(iam->default_text), default_form,
		kms_iam_realm(iam).account);
	int rc =
		kms_document_parse(iam->default_text, POL_RESOURCE, &iam->default_policy, &problem);
	if (rc == SLK_OK)
		rc = load_configured(iam);
	if (rc != SLK_OK || iam->catalog == NULL)
		return rc;
	rc = load_policies(iam);
	if (rc == SLK_OK)
		rc = load_identities(iam, KMS_USER);
	if (rc == SLK_OK)
		rc = load_identities(iam, KMS_ROLE);
	if (rc == SLK_OK)
		rc = load_key_policies(iam);
	if (rc == SLK_OK)
		rc = load_stream_policies(iam);
	return rc;
}

int
kms_iam_new(const struct kms_policy *policy, struct kms_catalog *catalog, struct kms_iam **out_iam)
{
	struct kms_iam *iam = calloc(1, sizeof(*iam));

	if (iam == NULL)
		return SLK_NO_MEMORY;
	iam->policy = policy;
	iam->catalog = catalog;
	LIST_INIT(&iam->holders_list);
	LIST_INIT(&iam->policies);
	int rc = load(iam);
	if (rc != SLK_OK) {
		slk_error_log("policies and identities cannot be read",
			slk_kv("status", slk_status_name(rc)),
			slk_kv("error", catalog != NULL ? kms_catalog_error(catalog) : ""));
		kms_iam_free(iam);
		return rc;
	}
	*out_iam = iam;
	return SLK_OK;
}

void
kms_iam_free(struct kms_iam *iam)
{
	if (iam == NULL)
		return;
	while (!LIST_EMPTY(&iam->holders_list))
		drop(iam, LIST_FIRST(&iam->holders_list));
	while (!LIST_EMPTY(&iam->policies))
		/* LIST_REMOVE() moves the first on. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		managed_free(iam, LIST_FIRST(&iam->policies));
	tdestroy(iam->keys, free_key_policy);
	tdestroy(iam->streams, free_stream_policy);
	kms_document_free(&iam->default_policy);
	free(iam);
}

/* --- looking --- */

struct kms_realm
kms_iam_realm(const struct kms_iam *iam)
{
	return kms_policy_realm(iam->policy);
}

struct kms_catalog *
kms_iam_catalog(const struct kms_iam *iam)
{
	return iam->catalog;
}

const struct kms_identity *
kms_iam_find(const struct kms_iam *iam, const char *arn)
{
	return find(&iam->holders, arn, by_text);
}

int
kms_iam_imagine(const struct kms_iam *iam, const char *arn, struct kms_identity **out_identity)
{
	struct holder *h = NULL;

	int rc = kms_holder_new(iam->policy, NULL, &iam->policies, arn, NULL, &h);
	if (rc == SLK_OK)
		*out_identity = &h->is;
	return rc;
}

void
kms_iam_forget(struct kms_identity *identity)
{
	kms_holder_free((struct holder *)identity);
}

const struct kms_document *
kms_iam_default_policy(const struct kms_iam *iam)
{
	return &iam->default_policy;
}

const char *
kms_iam_default_text(const struct kms_iam *iam)
{
	return iam->default_text;
}

bool
kms_iam_is_stale(const struct kms_iam *iam)
{
	return iam->stale;
}

size_t
kms_iam_identities_count(const struct kms_iam *iam)
{
	return iam->holders_count;
}

uint64_t
kms_iam_changes(const struct kms_iam *iam)
{
	return iam->changes;
}

size_t
kms_iam_policies_count(const struct kms_iam *iam)
{
	return iam->policies_count;
}
