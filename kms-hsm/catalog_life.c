/* Backing keys, rotation and deletion in the catalog. See catalog.h. */
#include <string.h>

#include "catalog.h"
#include "catalog_db.h"

static int
backing_row(sqlite3_stmt *s, void *out)
{
	struct kms_backing b = {.generation = (uint32_t)sqlite3_column_int64(s, 5),
		.created_ns = (uint64_t)sqlite3_column_int64(s, 6),
		.current_ns = (uint64_t)sqlite3_column_int64(s, 7),
		.wraps_reserved = (uint64_t)sqlite3_column_int64(s, 8)};
	int state = sqlite3_column_int(s, 3), kind = sqlite3_column_int(s, 4),
	    spec = sqlite3_column_int(s, 9), usage = sqlite3_column_int(s, 10);

	if (state < KMS_BACKING_CREATING || state > KMS_BACKING_DESTROYED ||
		kind < KMS_BACKING_FIRST || kind > KMS_BACKING_ON_DEMAND || spec < 0 ||
		spec >= KMS_SPEC_COUNT || usage < 0 || usage >= KMS_USAGE_COUNT)
		return SLK_CORRUPT;
	b.state = (enum kms_backing_state)state;
	b.kind = (enum kms_backing_kind)kind;
	b.spec = (enum kms_spec)spec;
	b.usage = (enum kms_usage)usage;
	int rc = kms_db_blob(s, 0, b.id, sizeof(b.id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, b.key_id, sizeof(b.key_id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 2, b.kcv, sizeof(b.kcv));
	if (rc == SLK_OK)
		*(struct kms_backing *)out = b;
	return rc;
}

int
kms_db_backing_insert(struct kms_catalog *catalog, const uint8_t *key_id, const uint8_t *id,
	enum kms_backing_kind kind, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_INSERT);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_id(s, 2, key_id);
	kms_db_bind_u64(s, 3, wall_ns);
	kms_db_bind_u64(s, 4, kind);
	return kms_db_run(catalog, s);
}

int
kms_db_backing_enable(struct kms_catalog *catalog, const uint8_t *id, const struct kms_check *check,
	uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_ENABLE);

	kms_db_bind_id(s, 1, id);
	(void)sqlite3_bind_blob(s, 2, check->kcv, (int)KMS_KCV_BYTES, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, 3, check->kcv_cmac, (int)KMS_KCV_CMAC_BYTES, SQLITE_STATIC);
	if (wall_ns != 0) /* else NULL: when it was created */
		kms_db_bind_u64(s, 4, wall_ns);
	int rc = kms_db_run_one(catalog, s);
	if (rc != SLK_OK || check->public_key.len == 0)
		return rc;
	s = kms_db_statement(catalog, SQL_PUBLIC_KEY_INSERT);
	kms_db_bind_id(s, 1, id);
	(void)sqlite3_bind_blob(
		s, 2, check->public_key.ptr, (int)check->public_key.len, SQLITE_STATIC);
	return kms_db_run(catalog, s);
}

/* --- reading --- */

static int
one_backing(struct kms_catalog *catalog, enum kms_sql sql, const uint8_t *id,
	struct kms_backing *out_backing)
{
	sqlite3_stmt *s = kms_db_statement(catalog, sql);

	kms_db_bind_after(s, 1, id);
	return kms_db_one(catalog, s, backing_row, out_backing);
}

int
kms_catalog_backing_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_backing *out_backing)
{
	return one_backing(catalog, SQL_BACKING_GET, id, out_backing);
}

int
kms_catalog_backing_known(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES])
{
	struct kms_backing backing;
	int rc = kms_catalog_backing_get(catalog, id, &backing);

	return rc == SLK_OK && backing.state == KMS_BACKING_DESTROYED ? SLK_NOT_FOUND : rc;
}

int
kms_catalog_backing_creating(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_backing *out_backing)
{
	return one_backing(catalog, SQL_BACKING_CREATING, after, out_backing);
}

int
kms_catalog_backing_next(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	struct kms_backing *out_backing)
{
	return one_backing(catalog, SQL_BACKING_NEXT, key_id, out_backing);
}

int
kms_catalog_backing_doomed(
	struct kms_catalog *catalog, const uint8_t *after, struct kms_backing *out_backing)
{
	return one_backing(catalog, SQL_BACKING_DOOMED, after, out_backing);
}

int
kms_catalog_backing_list(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	uint32_t after, struct kms_backing *out_backings, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_LIST);

	kms_db_bind_id(s, 1, key_id);
	kms_db_bind_u64(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_backings), backing_row, out_backings, out_count);
}

/* --- rotation --- */

int
kms_catalog_backing_begin(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const uint8_t id[KMS_ID_BYTES], enum kms_backing_kind kind, uint64_t wall_ns)
{
	struct kms_key key;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_key_get(catalog, key_id, &key);
	if (rc == SLK_OK && key.state != KMS_KEY_ENABLED)
		rc = SLK_NOT_FOUND;
	if (rc == SLK_OK)
		rc = kms_db_backing_insert(catalog, key_id, id, kind, wall_ns);
	return kms_db_end(catalog, rc);
}

/* Within a transaction. */
static int
turn_key(struct kms_catalog *catalog, const struct kms_backing *backing, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_TURN);

	kms_db_bind_id(s, 1, backing->key_id);
	kms_db_bind_id(s, 2, backing->id);
	kms_db_bind_u64(s, 3, wall_ns);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_backing_switch(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const struct kms_check *check, uint64_t wall_ns)
{
	struct kms_backing backing;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_backing_get(catalog, id, &backing);
	if (rc == SLK_OK) {
		sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_RETIRE);
		kms_db_bind_id(s, 1, backing.key_id);
		rc = kms_db_run_one(catalog, s);
	}
	if (rc == SLK_OK)
		rc = kms_db_backing_enable(catalog, id, check, wall_ns);
	if (rc == SLK_OK)
		rc = turn_key(catalog, &backing, wall_ns);
	return kms_db_end(catalog, rc);
}

static int
u32_row(sqlite3_stmt *s, void *out)
{
	*(uint32_t *)out = (uint32_t)sqlite3_column_int64(s, 0);
	return SLK_OK;
}

int
kms_catalog_on_demand_count(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], uint32_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_ON_DEMAND);

	kms_db_bind_id(s, 1, key_id);
	return kms_db_one(catalog, s, u32_row, out_count);
}

int
kms_catalog_rotation_set(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], uint32_t days,
	uint64_t next_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ROTATION_SET);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_u64(s, 2, days);
	kms_db_bind_u64(s, 3, days > 0 ? next_ns : 0);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_rotation_due(struct kms_catalog *catalog, uint64_t wall_ns, const uint8_t *after,
	struct kms_key *out_key)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ROTATION_DUE);

	kms_db_bind_u64(s, 1, wall_ns);
	kms_db_bind_u64(s, 2, KMS_WRAP_ROTATE);
	kms_db_bind_after(s, 3, after);
	return kms_db_one(catalog, s, kms_db_key_row, out_key);
}

/* --- deletion --- */

int
kms_catalog_key_schedule(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint64_t wall_ns, uint32_t days)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELETION_SCHEDULE);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_u64(s, 2, wall_ns + days * KMS_DAY_NS);
	kms_db_bind_u64(s, 3, days);
	kms_db_bind_u64(s, 4, days * KMS_DAY_NS);
	return kms_db_run_one(catalog, s);
}

static int
run_for(struct kms_catalog *catalog, enum kms_sql sql, const uint8_t *id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, sql);

	kms_db_bind_id(s, 1, id);
	return kms_db_run(catalog, s);
}

static int
run_one_for(struct kms_catalog *catalog, enum kms_sql sql, const uint8_t *id)
{
	int rc = run_for(catalog, sql, id);

	return rc == SLK_OK && sqlite3_changes(catalog->db) != 1 ? SLK_NOT_FOUND : rc;
}

int
kms_catalog_key_cancel(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES])
{
	return run_one_for(catalog, SQL_DELETION_CANCEL, id);
}

int
kms_catalog_time_passed(struct kms_catalog *catalog, uint64_t wall_ns, uint64_t waited_ns)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELETION_WAITED);
	kms_db_bind_u64(s, 1, waited_ns);
	rc = kms_db_run(catalog, s);
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_ROTATION_CLAMP);
		kms_db_bind_u64(s, 1, wall_ns);
		rc = kms_db_run(catalog, s);
	}
	return kms_db_end(catalog, rc);
}

int
kms_catalog_key_due(struct kms_catalog *catalog, uint64_t wall_ns, const uint8_t *after,
	struct kms_key *out_key)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELETION_DUE);

	kms_db_bind_u64(s, 1, wall_ns);
	kms_db_bind_after(s, 2, after);
	return kms_db_one(catalog, s, kms_db_key_row, out_key);
}

static int
begin_destruction(struct kms_catalog *catalog, enum kms_sql sql, const uint8_t *id)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = run_one_for(catalog, sql, id);
	if (rc == SLK_OK)
		rc = run_for(catalog, SQL_DOOM_ALIASES, id);
	if (rc == SLK_OK)
		rc = run_for(catalog, SQL_DOOM_TAGS, id);
	if (rc == SLK_OK)
		rc = run_for(catalog, SQL_DOOM_KEY_POLICY, id);
	if (rc == SLK_OK)
		rc = run_for(catalog, SQL_DOOM_GRANTS, id);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_key_doom(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES])
{
	return begin_destruction(catalog, SQL_DOOM_KEY, id);
}

int
kms_catalog_key_abandon(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES])
{
	return begin_destruction(catalog, SQL_ABANDON_KEY, id);
}

int
kms_catalog_backing_destroyed(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES])
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = run_one_for(catalog, SQL_BACKING_DESTROYED, id);
	if (rc == SLK_OK)
		rc = run_for(catalog, SQL_KEY_ENTOMB, id);
	return kms_db_end(catalog, rc);
}
