/* Managed policies, and those of keys and streams. See catalog_iam.h. */
#include <string.h>

#include "catalog_db.h"
#include "catalog_iam.h"

int
kms_db_document(struct kms_catalog *catalog, sqlite3_stmt *statement, char *out, size_t cap)
{
	int rc = kms_db_row(catalog, statement);

	if (rc == SLK_OK)
		rc = kms_db_text(statement, 0, out, cap);
	(void)sqlite3_reset(statement);
	return rc;
}

/* --- managed policies --- */

static int
policy_row(sqlite3_stmt *s, void *out)
{
	struct kms_policy_row row = {.id = (uint64_t)sqlite3_column_int64(s, 0),
		.created_ns = (uint64_t)sqlite3_column_int64(s, 3),
		.changed_ns = (uint64_t)sqlite3_column_int64(s, 4),
		.holders_count = (uint32_t)sqlite3_column_int64(s, 5)};
	int rc = kms_db_text(s, 1, row.name, sizeof(row.name));

	if (rc == SLK_OK)
		rc = kms_db_text(s, 2, row.description, sizeof(row.description));
	if (rc == SLK_OK)
		*(struct kms_policy_row *)out = row;
	return rc;
}

int
kms_catalog_policy_create(struct kms_catalog *catalog, const struct kms_policy_row *row,
	const char *document, uint64_t *out_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_INSERT);

	kms_db_bind_text(s, 1, row->name);
	kms_db_bind_text(s, 2, row->description);
	kms_db_bind_text(s, 3, document);
	kms_db_bind_u64(s, 4, row->created_ns);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		*out_id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
	return rc;
}

int
kms_catalog_policy_get(
	struct kms_catalog *catalog, const char *name, struct kms_policy_row *out_row)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_GET);

	kms_db_bind_text(s, 1, name);
	return kms_db_one(catalog, s, policy_row, out_row);
}

int
kms_catalog_policy_list(struct kms_catalog *catalog, const char *after,
	struct kms_policy_row *out_rows, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_LIST);

	kms_db_bind_text(s, 1, after);
	kms_db_bind_u64(s, 2, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_rows), policy_row, out_rows, out_count);
}

int
kms_catalog_attached_list(struct kms_catalog *catalog, uint64_t id, const char *after,
	struct kms_policy_row *out_rows, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ATTACHED_LIST);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_rows), policy_row, out_rows, out_count);
}

int
kms_catalog_policy_text(struct kms_catalog *catalog, uint64_t id, char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_TEXT);

	kms_db_bind_u64(s, 1, id);
	return kms_db_document(catalog, s, out, cap);
}

int
kms_catalog_policy_set(
	struct kms_catalog *catalog, uint64_t id, const char *document, uint64_t changed_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_SET);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, document);
	kms_db_bind_u64(s, 3, changed_ns);
	return kms_db_run_one(catalog, s);
}

/* Foreign keys of attachments and boundaries keep it while somebody holds it. */
int
kms_catalog_policy_delete(struct kms_catalog *catalog, uint64_t id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_POLICY_DELETE);

	kms_db_bind_u64(s, 1, id);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_NOT_FOUND)
		return SLK_INVALID_STATE;
	if (rc != SLK_OK)
		return rc;
	return sqlite3_changes(catalog->db) == 1 ? SLK_OK : SLK_NOT_FOUND;
}

/* --- keys --- */

int
kms_catalog_key_policy_put(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], const char *document)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_POLICY_PUT);

	kms_db_bind_id(s, 1, key_id);
	kms_db_bind_text(s, 2, document);
	return kms_db_run(catalog, s);
}

int
kms_catalog_key_policy_get(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_POLICY_GET);

	kms_db_bind_id(s, 1, key_id);
	return kms_db_document(catalog, s, out, cap);
}

int
kms_catalog_key_policy_next(struct kms_catalog *catalog, const uint8_t *after,
	uint8_t out_key_id[KMS_ID_BYTES], char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_POLICY_NEXT);

	uint8_t id[KMS_ID_BYTES];

	kms_db_bind_after(s, 1, after);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, id, sizeof(id));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 0, out, cap);
	(void)sqlite3_reset(s);
	if (rc == SLK_OK)
		memcpy(out_key_id, id, sizeof(id));
	return rc;
}

/* --- streams --- */

int
kms_catalog_stream_policy_put(struct kms_catalog *catalog, uint64_t stream_id, const char *document)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_POLICY_PUT);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_text(s, 2, document);
	return kms_db_run(catalog, s);
}

int
kms_catalog_stream_policy_get(
	struct kms_catalog *catalog, uint64_t stream_id, char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_POLICY_GET);

	kms_db_bind_u64(s, 1, stream_id);
	return kms_db_document(catalog, s, out, cap);
}

int
kms_catalog_stream_policy_next(
	struct kms_catalog *catalog, uint64_t after, uint64_t *out_stream_id, char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_POLICY_NEXT);

	kms_db_bind_u64(s, 1, after);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_text(s, 0, out, cap);
	if (rc == SLK_OK)
		*out_stream_id = (uint64_t)sqlite3_column_int64(s, 1);
	(void)sqlite3_reset(s);
	return rc;
}

int
kms_catalog_stream_policy_delete(struct kms_catalog *catalog, uint64_t stream_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_POLICY_DELETE);

	kms_db_bind_u64(s, 1, stream_id);
	return kms_db_run_one(catalog, s);
}
