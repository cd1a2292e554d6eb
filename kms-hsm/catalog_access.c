/* Access keys and session keys. See catalog_access.h. */
#include "catalog_access.h"

#include <string.h>

#include "catalog_db.h"

static int
read_sealed(sqlite3_stmt *s, int column, struct kms_sealed_secret *out)
{
	if (sqlite3_column_type(s, column) != SQLITE_BLOB)
		return SLK_CORRUPT;
	size_t len = (size_t)sqlite3_column_bytes(s, column);
	if (len == 0 || len > sizeof(out->bytes))
		return SLK_CORRUPT;
	out->len = len;
	return kms_db_blob(s, column, out->bytes, len);
}

static void
bind_sealed(sqlite3_stmt *s, int at, const struct kms_sealed_secret *sealed)
{
	(void)sqlite3_bind_blob(s, at, sealed->bytes, (int)sealed->len, SQLITE_STATIC);
}

/* --- access keys --- */

static int
access_key_row(sqlite3_stmt *s, void *out)
{
	struct kms_access_key_row row = {.user_row = (uint64_t)sqlite3_column_int64(s, 1),
		.active = sqlite3_column_int(s, 5) != 0,
		.created_ns = (uint64_t)sqlite3_column_int64(s, 6),
		.last_used_ns = (uint64_t)sqlite3_column_int64(s, 7)};

	int rc = kms_db_text(s, 0, row.id, sizeof(row.id));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 2, row.user, sizeof(row.user));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 3, row.user_id, sizeof(row.user_id));
	if (rc == SLK_OK)
		rc = read_sealed(s, 4, &row.sealed);
	if (rc == SLK_OK)
		*(struct kms_access_key_row *)out = row;
	return rc;
}

/* Within a transaction. */
static int
within_limit(struct kms_catalog *catalog, uint64_t user_row)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_COUNT);
	uint64_t count = 0;

	kms_db_bind_u64(s, 1, user_row);
	int rc = kms_db_one(catalog, s, kms_db_u64_row, &count);
	return rc == SLK_OK && count > KMS_ACCESS_KEYS_MAX ? SLK_LIMIT : rc;
}

int
kms_catalog_access_key_create(struct kms_catalog *catalog, const struct kms_access_key_row *row)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_INSERT);
	kms_db_bind_text(s, 1, row->id);
	kms_db_bind_u64(s, 2, row->user_row);
	bind_sealed(s, 3, &row->sealed);
	kms_db_bind_u64(s, 4, row->created_ns);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK)
		rc = within_limit(catalog, row->user_row);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_access_key_get(
	struct kms_catalog *catalog, const char *id, struct kms_access_key_row *out_row)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_GET);

	kms_db_bind_text(s, 1, id);
	return kms_db_one(catalog, s, access_key_row, out_row);
}

int
kms_catalog_access_key_list(struct kms_catalog *catalog, uint64_t user_row, const char *after,
	struct kms_access_key_row *out_rows, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_LIST);

	kms_db_bind_u64(s, 1, user_row);
	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_rows), access_key_row, out_rows, out_count);
}

int
kms_catalog_access_key_switch(
	struct kms_catalog *catalog, uint64_t user_row, const char *id, bool active)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_SWITCH);

	kms_db_bind_text(s, 1, id);
	kms_db_bind_u64(s, 2, user_row);
	kms_db_bind_u64(s, 3, active);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_access_key_delete(struct kms_catalog *catalog, uint64_t user_row, const char *id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_DELETE);

	kms_db_bind_text(s, 1, id);
	kms_db_bind_u64(s, 2, user_row);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_access_key_used(struct kms_catalog *catalog, const char *id, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ACCESS_KEY_USED);

	kms_db_bind_text(s, 1, id);
	kms_db_bind_u64(s, 2, wall_ns);
	return kms_db_run_one(catalog, s);
}

/* --- session keys --- */

static int
session_key_row(sqlite3_stmt *s, void *out)
{
	struct kms_session_key_row row = {.created_ns = (uint64_t)sqlite3_column_int64(s, 2)};

	int rc = kms_db_blob(s, 0, row.id, sizeof(row.id));
	if (rc == SLK_OK)
		rc = read_sealed(s, 1, &row.sealed);
	if (rc == SLK_OK)
		*(struct kms_session_key_row *)out = row;
	return rc;
}

int
kms_catalog_session_key_add(struct kms_catalog *catalog, const struct kms_session_key_row *row)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SESSION_KEY_INSERT);
	kms_db_bind_id(s, 1, row->id);
	bind_sealed(s, 2, &row->sealed);
	kms_db_bind_u64(s, 3, row->created_ns);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_SESSION_KEY_TRIM);
		kms_db_bind_u64(s, 1, KMS_SESSION_KEYS_KEPT);
		rc = kms_db_run(catalog, s);
	}
	return kms_db_end(catalog, rc);
}

int
kms_catalog_session_key_get(
	struct kms_catalog *catalog, const uint8_t *id, struct kms_session_key_row *out_row)
{
	sqlite3_stmt *s = kms_db_statement(
		catalog, id != NULL ? SQL_SESSION_KEY_GET : SQL_SESSION_KEY_NEWEST);

	if (id != NULL)
		kms_db_bind_id(s, 1, id);
	return kms_db_one(catalog, s, session_key_row, out_row);
}
