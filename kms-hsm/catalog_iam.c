/* Users, roles and what they hold. See catalog_iam.h. */
#include <string.h>

#include "catalog_db.h"
#include "catalog_iam.h"
#include "catalog_tags.h"

/* --- steps shared by this file --- */

static int
get_flag(sqlite3_stmt *s, void *out)
{
	*(bool *)out = sqlite3_column_int(s, 0) != 0;
	return SLK_OK;
}

static int
identity_row(sqlite3_stmt *s, void *out)
{
	struct kms_identity_row row = {.id = (uint64_t)sqlite3_column_int64(s, 0),
		.max_session_s = (uint32_t)sqlite3_column_int64(s, 5),
		.created_ns = (uint64_t)sqlite3_column_int64(s, 6),
		.boundary_id = (uint64_t)sqlite3_column_int64(s, 7)};
	int kind = sqlite3_column_int(s, 1);

	if (kind != KMS_USER && kind != KMS_ROLE)
		return SLK_CORRUPT;
	row.kind = (enum kms_identity_kind)kind;
	int rc = kms_db_text(s, 2, row.name, sizeof(row.name));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 3, row.unique_id, sizeof(row.unique_id));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 4, row.description, sizeof(row.description));
	if (rc == SLK_OK)
		*(struct kms_identity_row *)out = row;
	return rc;
}

/* --- users and roles --- */

int
kms_catalog_identity_create(struct kms_catalog *catalog, const struct kms_identity_row *row,
	const char *trust, const struct kms_tag *tags, size_t tags_count, uint64_t *out_id)
{
	uint64_t id = 0;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_IDENTITY_INSERT);
	kms_db_bind_u64(s, 1, row->kind);
	kms_db_bind_text(s, 2, row->name);
	kms_db_bind_text(s, 3, row->unique_id);
	kms_db_bind_text(s, 4, row->description);
	kms_db_bind_text(s, 5, trust); /* NULL binds NULL */
	kms_db_bind_u64(s, 6, row->max_session_s);
	kms_db_bind_u64(s, 7, row->created_ns);
	rc = kms_db_run(catalog, s);
	if (rc == SLK_OK) {
		id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
		rc = kms_db_tags_put(catalog, &(struct kms_tagged){KMS_TAGGED_IDENTITY, .id = id},
			tags, tags_count);
	}
	rc = kms_db_end(catalog, rc);
	if (rc == SLK_OK)
		*out_id = id;
	return rc;
}

int
kms_catalog_identity_get(struct kms_catalog *catalog, enum kms_identity_kind kind, const char *name,
	struct kms_identity_row *out_row)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_IDENTITY_GET);

	kms_db_bind_u64(s, 1, kind);
	kms_db_bind_text(s, 2, name);
	return kms_db_one(catalog, s, identity_row, out_row);
}

int
kms_catalog_identity_list(struct kms_catalog *catalog, enum kms_identity_kind kind,
	const char *after, struct kms_identity_row *out_rows, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_IDENTITY_LIST);

	kms_db_bind_u64(s, 1, kind);
	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_rows), identity_row, out_rows, out_count);
}

int
kms_catalog_identity_delete(struct kms_catalog *catalog, uint64_t id)
{
	bool holds = false;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_IDENTITY_HELD);
	kms_db_bind_u64(s, 1, id);
	rc = kms_db_one(catalog, s, get_flag, &holds);
	if (rc == SLK_OK && holds)
		rc = SLK_INVALID_STATE;
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_IDENTITY_TAGS_DELETE);
		kms_db_bind_u64(s, 1, id);
		rc = kms_db_run(catalog, s);
	}
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_IDENTITY_DELETE);
		kms_db_bind_u64(s, 1, id);
		rc = kms_db_run_one(catalog, s);
	}
	return kms_db_end(catalog, rc);
}

int
kms_catalog_trust_get(struct kms_catalog *catalog, uint64_t id, char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_TRUST_GET);

	kms_db_bind_u64(s, 1, id);
	return kms_db_document(catalog, s, out, cap);
}

int
kms_catalog_trust_set(struct kms_catalog *catalog, uint64_t id, const char *document)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_TRUST_SET);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, document);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_boundary_set(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BOUNDARY_SET);

	kms_db_bind_u64(s, 1, id);
	if (policy_id != 0) /* else NULL */
		kms_db_bind_u64(s, 2, policy_id);
	return kms_db_run_one(catalog, s);
}

/* --- tags --- */

int
kms_catalog_identity_tags_set(
	struct kms_catalog *catalog, uint64_t id, const struct kms_tag *tags, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_IDENTITY, .id = id};

	return kms_db_tags_set(catalog, &tagged, tags, count);
}

int
kms_catalog_identity_tags_remove(
	struct kms_catalog *catalog, uint64_t id, const char *const *tag_keys, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_IDENTITY, .id = id};

	return kms_db_tags_remove(catalog, &tagged, tag_keys, count);
}

int
kms_catalog_identity_tags(
	struct kms_catalog *catalog, uint64_t id, struct kms_tag *out_tags, size_t *out_count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_IDENTITY, .id = id};

	return kms_db_tags_list(catalog, &tagged, "", out_tags, KMS_TAGS_MAX, out_count);
}

/* --- inline policies --- */

int
kms_catalog_inline_put(
	struct kms_catalog *catalog, uint64_t id, const char *name, const char *document)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_INLINE_PUT);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, name);
	kms_db_bind_text(s, 3, document);
	return kms_db_run(catalog, s);
}

int
kms_catalog_inline_get(
	struct kms_catalog *catalog, uint64_t id, const char *name, char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_INLINE_GET);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, name);
	return kms_db_document(catalog, s, out, cap);
}

int
kms_catalog_inline_delete(struct kms_catalog *catalog, uint64_t id, const char *name)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_INLINE_DELETE);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, name);
	return kms_db_run_one(catalog, s);
}

static int
name_row(sqlite3_stmt *s, void *out)
{
	return kms_db_text(s, 0, out, KMS_POLICY_NAME_MAX);
}

int
kms_catalog_inline_list(struct kms_catalog *catalog, uint64_t id, const char *after,
	char (*out_names)[KMS_POLICY_NAME_MAX], size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_INLINE_LIST);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_names), name_row, out_names, out_count);
}

/* --- who holds a managed policy --- */

int
kms_catalog_attach(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ATTACH);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_u64(s, 2, policy_id);
	return kms_db_run(catalog, s);
}

int
kms_catalog_detach(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DETACH);

	kms_db_bind_u64(s, 1, id);
	kms_db_bind_u64(s, 2, policy_id);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_holder_list(struct kms_catalog *catalog, uint64_t policy_id, uint64_t after,
	struct kms_identity_row *out_rows, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_HOLDER_LIST);

	kms_db_bind_u64(s, 1, policy_id);
	kms_db_bind_u64(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_rows), identity_row, out_rows, out_count);
}
