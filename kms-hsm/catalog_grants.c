#include "catalog_grants.h"

#include <string.h>

#include "catalog_db.h"

int
kms_catalog_grant_create(struct kms_catalog *catalog, const struct kms_grant *grant)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_GRANT_INSERT);
	uint8_t context[FMT_CONTEXT_MAX] = {0}; /* no pairs */
	size_t len = 2;

	int rc = grant->context != NULL
		? fmt_context_encode(grant->context, context, sizeof(context), &len)
		: SLK_OK;
	if (rc != SLK_OK)
		return rc;
	(void)sqlite3_bind_blob(s, 1, grant->id, sizeof(grant->id), SQLITE_STATIC);
	kms_db_bind_id(s, 2, grant->key_id);
	kms_db_bind_text(s, 3, grant->name);
	kms_db_bind_text(s, 4, grant->grantee);
	kms_db_bind_text(s, 5, grant->retiring);
	kms_db_bind_text(s, 6, grant->issuer);
	kms_db_bind_u64(s, 7, grant->operations);
	kms_db_bind_u64(s, 8, grant->constraint);
	(void)sqlite3_bind_blob(s, 9, context, (int)len, SQLITE_STATIC);
	kms_db_bind_text(s, 10, grant->source_arn);
	kms_db_bind_u64(s, 11, grant->created_ns);
	return kms_db_run(catalog, s);
}

int
kms_catalog_grant_delete(struct kms_catalog *catalog, const uint8_t id[KMS_GRANT_ID_BYTES])
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_GRANT_DELETE);

	(void)sqlite3_bind_blob(s, 1, id, KMS_GRANT_ID_BYTES, SQLITE_STATIC);
	return kms_db_run_one(catalog, s);
}

static int
read_texts(sqlite3_stmt *s, struct kms_grant *g)
{
	int rc = kms_db_text(s, 2, g->name, sizeof(g->name));

	if (rc == SLK_OK)
		rc = kms_db_text(s, 3, g->grantee, sizeof(g->grantee));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 4, g->retiring, sizeof(g->retiring));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 5, g->issuer, sizeof(g->issuer));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 9, g->source_arn, sizeof(g->source_arn));
	return rc;
}

/* A number that no release has written makes the row worthless, not a wider right. */
static int
read_numbers(sqlite3_stmt *s, struct kms_grant *g)
{
	sqlite3_int64 operations = sqlite3_column_int64(s, 6), kind = sqlite3_column_int64(s, 7);

	if (operations <= 0 || operations >= 1 << KMS_GRANT_OPERATIONS || kind < KMS_GRANT_FREE ||
		kind > KMS_GRANT_SUBSET)
		return SLK_CORRUPT;
	g->operations = (uint32_t)operations;
	g->constraint = (enum kms_grant_constraint)kind;
	g->created_ns = (uint64_t)sqlite3_column_int64(s, 10);
	return SLK_OK;
}

static int
read_context(sqlite3_stmt *s, struct kms_grant *g)
{
	const void *bytes = sqlite3_column_blob(s, 8);
	int len = sqlite3_column_bytes(s, 8);

	int rc = fmt_context_decode(slk_span(bytes, (size_t)len), &g->context);
	if (rc == SLK_NO_MEMORY)
		return rc;
	if (rc != SLK_OK)
		return SLK_CORRUPT;
	if ((g->constraint == KMS_GRANT_FREE) != (fmt_context_count(g->context) == 0)) {
		fmt_context_free(g->context);
		return SLK_CORRUPT;
	}
	if (g->constraint == KMS_GRANT_FREE) {
		fmt_context_free(g->context);
		g->context = NULL;
	}
	return SLK_OK;
}

static int
grant_row(sqlite3_stmt *s, void *out)
{
	struct kms_grant g = {0};

	int rc = kms_db_blob(s, 0, g.id, sizeof(g.id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, g.key_id, sizeof(g.key_id));
	if (rc == SLK_OK)
		rc = read_texts(s, &g);
	if (rc == SLK_OK)
		rc = read_numbers(s, &g);
	if (rc == SLK_OK)
		rc = read_context(s, &g);
	if (rc == SLK_OK)
		*(struct kms_grant *)out = g;
	return rc;
}

int
kms_catalog_grant_next(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_grant *out_grant)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_GRANT_NEXT);

	if (after != NULL)
		(void)sqlite3_bind_blob(s, 1, after, KMS_GRANT_ID_BYTES, SQLITE_STATIC);
	else
		(void)sqlite3_bind_zeroblob(s, 1, 0);
	return kms_db_one(catalog, s, grant_row, out_grant);
}
