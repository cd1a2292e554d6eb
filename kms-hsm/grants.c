#include "grants.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BUCKETS_MIN 64u

/* In a chain of those of one key and grantee (and of what falls into the same bucket). */
struct node {
	struct kms_grant grant;
	struct node *next;
	uint64_t hash;
};

struct kms_grants {
	struct kms_catalog *catalog;
	struct node **by_id; /* sorted */
	size_t count, cap;
	uint64_t changes;
	struct node **buckets;
	size_t buckets_count; /* a power of two, no less than count */
};

static const char *const names[KMS_GRANT_OPERATIONS] = {
	[KMS_GRANT_CREATE_GRANT] = "CreateGrant",
	[KMS_GRANT_DECRYPT] = "Decrypt",
	[KMS_GRANT_DESCRIBE_KEY] = "DescribeKey",
	[KMS_GRANT_ENCRYPT] = "Encrypt",
	[KMS_GRANT_GENERATE_DATA_KEY] = "GenerateDataKey",
	[KMS_GRANT_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT] = "GenerateDataKeyWithoutPlaintext",
	[KMS_GRANT_GET_PUBLIC_KEY] = "GetPublicKey",
	[KMS_GRANT_RE_ENCRYPT_FROM] = "ReEncryptFrom",
	[KMS_GRANT_RE_ENCRYPT_TO] = "ReEncryptTo",
	[KMS_GRANT_RETIRE_GRANT] = "RetireGrant",
	[KMS_GRANT_SIGN] = "Sign",
	[KMS_GRANT_VERIFY] = "Verify",
};

const char *
kms_grant_operation_name(enum kms_grant_operation operation)
{
	return names[operation];
}

bool
kms_grant_operation_parse(const char *name, enum kms_grant_operation *out_operation)
{
	for (unsigned i = 0; i < KMS_GRANT_OPERATIONS; i++)
		if (strcmp(name, names[i]) == 0) {
			*out_operation = (enum kms_grant_operation)i;
			return true;
		}
	return false;
}

uint32_t
kms_grant_operations_of(enum kms_spec spec, enum kms_usage usage)
{
	const uint32_t any = KMS_BIT(KMS_GRANT_CREATE_GRANT) | KMS_BIT(KMS_GRANT_DESCRIBE_KEY) |
		KMS_BIT(KMS_GRANT_RETIRE_GRANT);
	const uint32_t ciphers = KMS_BIT(KMS_GRANT_ENCRYPT) | KMS_BIT(KMS_GRANT_DECRYPT) |
		KMS_BIT(KMS_GRANT_RE_ENCRYPT_FROM) | KMS_BIT(KMS_GRANT_RE_ENCRYPT_TO);

	if (kms_spec_is_symmetric(spec))
		return any | ciphers | KMS_BIT(KMS_GRANT_GENERATE_DATA_KEY) |
			KMS_BIT(KMS_GRANT_GENERATE_DATA_KEY_WITHOUT_PLAINTEXT);
	if (usage == KMS_USAGE_SIGN_VERIFY)
		return any | KMS_BIT(KMS_GRANT_GET_PUBLIC_KEY) | KMS_BIT(KMS_GRANT_SIGN) |
			KMS_BIT(KMS_GRANT_VERIFY);
	return any | ciphers | KMS_BIT(KMS_GRANT_GET_PUBLIC_KEY);
}

/* --- the index --- */

/* FNV-1a. */
static uint64_t
hash_of(const uint8_t key_id[KMS_ID_BYTES], const char *grantee)
{
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < KMS_ID_BYTES; i++)
		h = (h ^ key_id[i]) * 1099511628211ull;
	for (; *grantee != '\0'; grantee++)
		h = (h ^ (uint8_t)*grantee) * 1099511628211ull;
	return h;
}

/* Where id is, or belongs. */
static size_t
position(const struct kms_grants *g, const uint8_t *id, bool *out_there)
{
	size_t low = 0, high = g->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (memcmp(g->by_id[middle]->grant.id, id, KMS_GRANT_ID_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*out_there = low < g->count && memcmp(g->by_id[low]->grant.id, id, KMS_GRANT_ID_BYTES) == 0;
	return low;
}

static struct node **
bucket(const struct kms_grants *g, uint64_t hash)
{
	return &g->buckets[hash & (g->buckets_count - 1)];
}

static int
grow(struct kms_grants *g)
{
	size_t cap = g->cap == 0 ? BUCKETS_MIN : 2 * g->cap;

	if (g->count < g->cap)
		return SLK_OK;
	/* Pointers are what is counted. NOLINTNEXTLINE(bugprone-sizeof-expression) */
	struct node **by_id = realloc(g->by_id, cap * sizeof(*by_id));
	if (by_id == NULL)
		return SLK_NO_MEMORY;
	g->by_id = by_id;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	struct node **buckets = calloc(cap, sizeof(*buckets));
	if (buckets == NULL)
		return SLK_NO_MEMORY;
	free(g->buckets);
	g->buckets = buckets;
	g->buckets_count = g->cap = cap;
	for (size_t i = 0; i < g->count; i++) {
		struct node **at = bucket(g, g->by_id[i]->hash);
		g->by_id[i]->next = *at;
		*at = g->by_id[i];
	}
	return SLK_OK;
}

/* There is room. */
static void
insert(struct kms_grants *g, struct node *node)
{
	bool there;
	size_t at = position(g, node->grant.id, &there);

	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	memmove(g->by_id + at + 1, g->by_id + at, (g->count - at) * sizeof(*g->by_id));
	g->by_id[at] = node;
	g->count++;
	g->changes++;
	struct node **chain = bucket(g, node->hash);
	node->next = *chain;
	*chain = node;
}

static void
drop(struct kms_grants *g, size_t at)
{
	struct node *node = g->by_id[at], **link = bucket(g, node->hash);

	while (*link != node)
		link = &(*link)->next;
	*link = node->next;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
	memmove(g->by_id + at, g->by_id + at + 1, (g->count - at - 1) * sizeof(*g->by_id));
	g->count--;
	g->changes++;
	fmt_context_free(node->grant.context);
	free(node);
}

static int
make_room(struct kms_grants *g, const struct kms_grant *grant, struct node **out_node)
{
	int rc = grow(g);

	if (rc != SLK_OK)
		return rc;
	struct node *node = calloc(1, sizeof(*node));
	if (node == NULL)
		return SLK_NO_MEMORY;
	node->grant = *grant;
	node->hash = hash_of(grant->key_id, grant->grantee);
	*out_node = node;
	return SLK_OK;
}

/* --- the store --- */

static int
load(struct kms_grants *g)
{
	struct kms_grant grant;
	struct node *node;
	const uint8_t *after = NULL;

	for (;;) {
		int rc = kms_catalog_grant_next(g->catalog, after, &grant);
		if (rc == SLK_NOT_FOUND)
			return SLK_OK;
		if (rc != SLK_OK)
			return rc;
		rc = make_room(g, &grant, &node);
		if (rc != SLK_OK) {
			fmt_context_free(grant.context);
			return rc;
		}
		insert(g, node);
		after = node->grant.id;
	}
}

int
kms_grants_new(struct kms_catalog *catalog, struct kms_grants **out_grants, struct slk_error *err)
{
	struct kms_grants *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	g->catalog = catalog;
	int rc = load(g);
	if (rc != SLK_OK) {
		kms_grants_free(g);
		return slk_fail(err, rc, "the catalog's grants cannot be read: %s",
			rc == SLK_CORRUPT
				? "a row makes no sense; restore the catalog from a backup"
				: kms_catalog_error(catalog));
	}
	*out_grants = g;
	return SLK_OK;
}

void
kms_grants_free(struct kms_grants *grants)
{
	if (grants == NULL)
		return;
	for (size_t i = 0; i < grants->count; i++) {
		fmt_context_free(grants->by_id[i]->grant.context);
		free(grants->by_id[i]);
	}
	free(grants->by_id);
	free(grants->buckets);
	free(grants);
}

static size_t
count_of_key(const struct kms_grants *g, const uint8_t *key_id)
{
	size_t count = 0;

	for (size_t i = 0; i < g->count; i++)
		count += memcmp(g->by_id[i]->grant.key_id, key_id, KMS_ID_BYTES) == 0;
	return count;
}

int
kms_grants_add(struct kms_grants *grants, const struct kms_grant *grant)
{
	struct node *node = NULL;

	if (count_of_key(grants, grant->key_id) >= KMS_GRANTS_OF_KEY_MAX)
		return SLK_LIMIT;
	int rc = make_room(grants, grant, &node);
	if (rc == SLK_OK)
		rc = kms_catalog_grant_create(grants->catalog, grant);
	if (rc == SLK_OK)
		insert(grants, node);
	else
		free(node);
	return rc;
}

int
kms_grants_remove(struct kms_grants *grants, const uint8_t id[KMS_GRANT_ID_BYTES])
{
	bool there;
	size_t at = position(grants, id, &there);

	if (!there)
		return SLK_NOT_FOUND;
	int rc = kms_catalog_grant_delete(grants->catalog, id);
	if (rc == SLK_OK)
		drop(grants, at);
	return rc;
}

void
kms_grants_forget_key(struct kms_grants *grants, const uint8_t key_id[KMS_ID_BYTES])
{
	for (size_t i = grants->count; i-- > 0;)
		if (memcmp(grants->by_id[i]->grant.key_id, key_id, KMS_ID_BYTES) == 0)
			drop(grants, i);
}

uint64_t
kms_grants_changes(const struct kms_grants *grants)
{
	return grants->changes;
}

const struct kms_grant *
kms_grants_get(const struct kms_grants *grants, const uint8_t id[KMS_GRANT_ID_BYTES])
{
	bool there;
	size_t at = position(grants, id, &there);

	return there ? &grants->by_id[at]->grant : NULL;
}

size_t
kms_grants_list(const struct kms_grants *grants, const struct kms_grant_filter *filter,
	const uint8_t *after, const struct kms_grant **out, size_t cap)
{
	bool there = false;
	size_t found = 0, at = after != NULL ? position(grants, after, &there) : 0;

	for (at += there; at < grants->count && found < cap; at++) {
		const struct kms_grant *g = &grants->by_id[at]->grant;
		if ((filter->key_id == NULL ||
			    memcmp(g->key_id, filter->key_id, KMS_ID_BYTES) == 0) &&
			(filter->grantee == NULL || strcmp(g->grantee, filter->grantee) == 0) &&
			(filter->retiring == NULL || strcmp(g->retiring, filter->retiring) == 0))
			out[found++] = g;
	}
	return found;
}

/* --- what a grant allows --- */

static bool
has_pair(const struct fmt_context *context, struct slk_span key, struct slk_span value)
{
	for (size_t i = 0; i < fmt_context_count(context); i++) {
		struct slk_span k, v;
		fmt_context_pair(context, i, &k, &v);
		if (k.len == key.len && v.len == value.len &&
			strncasecmp((const char *)k.ptr, (const char *)key.ptr, k.len) == 0 &&
			memcmp(v.ptr, value.ptr, v.len) == 0)
			return true;
	}
	return false;
}

/* Has context all pairs of part? */
static bool
contains(const struct fmt_context *context, const struct fmt_context *part)
{
	for (size_t i = 0; i < fmt_context_count(part); i++) {
		struct slk_span key, value;
		fmt_context_pair(part, i, &key, &value);
		if (!has_pair(context, key, value))
			return false;
	}
	return true;
}

static size_t
pairs_of(const struct fmt_context *context)
{
	return context != NULL ? fmt_context_count(context) : 0;
}

static bool
context_fits(const struct kms_grant *g, const struct fmt_context *context)
{
	if (g->constraint == KMS_GRANT_FREE)
		return true;
	if (context == NULL || !contains(context, g->context))
		return false;
	/* Equal sets contain one another: a key that is there twice, in another case, is one too many. */
	return g->constraint == KMS_GRANT_SUBSET ||
		(pairs_of(context) == pairs_of(g->context) && contains(g->context, context));
}

static bool
source_fits(const struct kms_grant *g, const char *source_arn)
{
	return g->source_arn[0] == '\0' ||
		(source_arn != NULL && strcmp(g->source_arn, source_arn) == 0);
}

static bool
allows(const struct kms_grant *g, enum kms_grant_operation operation,
	const struct kms_grant_question *q)
{
	if ((g->operations & KMS_BIT(operation)) == 0)
		return false;
	if (operation == KMS_GRANT_RETIRE_GRANT)
		return true;
	/* What CreateGrant may pass on is for kms_grants_parent(). */
	if (operation != KMS_GRANT_DESCRIBE_KEY && operation != KMS_GRANT_CREATE_GRANT &&
		!context_fits(g, q->context))
		return false;
	return source_fits(g, q->source_arn);
}

static const struct node *
chain_of(const struct kms_grants *grants, const uint8_t *key_id, const char *grantee,
	uint64_t *out_hash)
{
	*out_hash = hash_of(key_id, grantee);
	return grants->count == 0 ? NULL : *bucket(grants, *out_hash);
}

static bool
is_of(const struct node *node, uint64_t hash, const uint8_t *key_id, const char *grantee)
{
	return node->hash == hash && memcmp(node->grant.key_id, key_id, KMS_ID_BYTES) == 0 &&
		strcmp(node->grant.grantee, grantee) == 0;
}

const struct kms_grant *
kms_grants_match(const struct kms_grants *grants, const struct kms_grant_question *question)
{
	enum kms_grant_operation operation;
	uint64_t hash;

	if (strncmp(question->action, "kms:", 4) != 0 ||
		!kms_grant_operation_parse(question->action + 4, &operation))
		return NULL;
	const struct node *n = chain_of(grants, question->key_id, question->principal, &hash);
	for (; n != NULL; n = n->next)
		if (is_of(n, hash, question->key_id, question->principal) &&
			allows(&n->grant, operation, question))
			return &n->grant;
	return NULL;
}

/* Is child as strict as parent, or stricter? Subset may become Equals, not the other way round. */
static bool
within(const struct kms_grant *child, const struct kms_grant *parent)
{
	if ((child->operations & ~parent->operations) != 0 ||
		(parent->source_arn[0] != '\0' &&
			strcmp(parent->source_arn, child->source_arn) != 0))
		return false;
	switch (parent->constraint) {
	case KMS_GRANT_FREE:
		return true;
	case KMS_GRANT_SUBSET:
		return child->constraint != KMS_GRANT_FREE &&
			contains(child->context, parent->context);
	case KMS_GRANT_EQUALS:
		return child->constraint == KMS_GRANT_EQUALS &&
			pairs_of(child->context) == pairs_of(parent->context) &&
			contains(child->context, parent->context) &&
			contains(parent->context, child->context);
	}
	return false;
}

const struct kms_grant *
kms_grants_parent(
	const struct kms_grants *grants, const char *principal, const struct kms_grant *child)
{
	uint64_t hash;
	const struct node *n = chain_of(grants, child->key_id, principal, &hash);

	for (; n != NULL; n = n->next)
		if (is_of(n, hash, child->key_id, principal) &&
			(n->grant.operations & KMS_BIT(KMS_GRANT_CREATE_GRANT)) != 0 &&
			within(child, &n->grant))
			return &n->grant;
	return NULL;
}
