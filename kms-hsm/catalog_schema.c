/* The catalog's tables, and the way from each version of them to the next. A new file takes all
 * steps, so that it is the same as one that grew old. */
#include <stdio.h>

#include "catalog_db.h"
#include "shards.h"

/* Key and backing ids are BLOBs of 16 bytes. A stream's id comes from AUTOINCREMENT, which never
 * gives one twice, also after the highest was deleted. */
static const char first_version[] =
	"CREATE TABLE keys ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 16), description TEXT NOT NULL,"
	" state INTEGER NOT NULL, manager INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
	" backing_id BLOB NOT NULL"
	") WITHOUT ROWID;"
	"CREATE UNIQUE INDEX keys_appliance ON keys (manager) WHERE manager = 1;"
	"CREATE INDEX keys_creating ON keys (id) WHERE state = 0;"
	"CREATE TABLE backings ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 16), key_id BLOB NOT NULL REFERENCES keys (id),"
	" generation INTEGER NOT NULL, kcv BLOB NOT NULL, kcv_cmac BLOB NOT NULL,"
	" created_ns INTEGER NOT NULL, wraps_reserved INTEGER NOT NULL, UNIQUE (key_id, generation)"
	") WITHOUT ROWID;"
	"CREATE TABLE aliases ("
	" name TEXT PRIMARY KEY, key_id BLOB NOT NULL REFERENCES keys (id),"
	" created_ns INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX aliases_key ON aliases (key_id, name);"
	"CREATE TABLE streams ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" shard_count INTEGER NOT NULL, encrypted_kms INTEGER NOT NULL,"
	" key_id BLOB NOT NULL REFERENCES keys (id), created_ns INTEGER NOT NULL"
	");";

/* Kinds of keys, their whole life, tags. Keys of version 1 are symmetric and have one backing key;
 * the appliance's own rotates every year. */
static const char kinds_and_life[] =
	"ALTER TABLE keys ADD COLUMN spec INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN usage INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN deletion_ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN deletion_days INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN deletion_left_ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN rotation_days INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN rotation_next_ns INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE backings ADD COLUMN state INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE backings ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE backings ADD COLUMN current_ns INTEGER NOT NULL DEFAULT 0;"
	"UPDATE backings SET state = 1, current_ns = created_ns"
	" WHERE key_id IN (SELECT id FROM keys WHERE state > 0);"
	"UPDATE keys SET rotation_days = 365, rotation_next_ns = created_ns + 365 * 86400000000000"
	" WHERE manager = 1;"
	"DROP INDEX keys_appliance;"
	"DROP INDEX keys_creating;"
	"CREATE UNIQUE INDEX keys_appliance ON keys (usage) WHERE manager = 1;"
	"CREATE INDEX keys_ending ON keys (state, id) WHERE state >= 3;"
	"CREATE INDEX keys_rotating ON keys (rotation_next_ns) WHERE rotation_days > 0;"
	"CREATE INDEX backings_creating ON backings (id) WHERE state = 0;"
	"CREATE UNIQUE INDEX backings_successor ON backings (key_id) WHERE state = 0;"
	"CREATE UNIQUE INDEX backings_current ON backings (key_id) WHERE state = 1;"
	"CREATE INDEX backings_worn ON backings (wraps_reserved) WHERE state = 1;"
	"CREATE INDEX streams_key ON streams (key_id);"
	"CREATE TABLE public_keys ("
	" backing_id BLOB PRIMARY KEY REFERENCES backings (id), der BLOB NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE tags ("
	" key_id BLOB NOT NULL REFERENCES keys (id), key TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY (key_id, key)"
	") WITHOUT ROWID;";

/* Users, roles and what they may; policies of keys and streams; grants; access keys. Names are unique without regard to
 * case and looked up with it. A row id of identities and policies is never given twice. A key or a stream without a row has
 * no policy of its own. access_keys.sealed is the secret under the appliance's own key. */
static const char identities_and_policies[] =
	"CREATE TABLE policies ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, description TEXT NOT NULL,"
	" document TEXT NOT NULL, created_ns INTEGER NOT NULL, changed_ns INTEGER NOT NULL"
	");"
	"CREATE UNIQUE INDEX policies_name ON policies (name COLLATE NOCASE);"
	"CREATE TABLE identities ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, name TEXT NOT NULL,"
	" unique_id TEXT NOT NULL UNIQUE, description TEXT NOT NULL, trust TEXT,"
	" max_session_s INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
	" boundary_id INTEGER REFERENCES policies (id)"
	");"
	"CREATE UNIQUE INDEX identities_name ON identities (kind, name COLLATE NOCASE);"
	"CREATE INDEX identities_boundary ON identities (boundary_id)"
	" WHERE boundary_id IS NOT NULL;"
	"CREATE TABLE identity_tags ("
	" identity_id INTEGER NOT NULL REFERENCES identities (id), key TEXT NOT NULL,"
	" value TEXT NOT NULL, PRIMARY KEY (identity_id, key)"
	") WITHOUT ROWID;"
	"CREATE TABLE inline_policies ("
	" identity_id INTEGER NOT NULL REFERENCES identities (id), name TEXT NOT NULL,"
	" document TEXT NOT NULL, PRIMARY KEY (identity_id, name)"
	") WITHOUT ROWID;"
	"CREATE TABLE attachments ("
	" identity_id INTEGER NOT NULL REFERENCES identities (id),"
	" policy_id INTEGER NOT NULL REFERENCES policies (id), PRIMARY KEY (identity_id, policy_id)"
	") WITHOUT ROWID;"
	"CREATE INDEX attachments_policy ON attachments (policy_id, identity_id);"
	"CREATE TABLE key_policies ("
	" key_id BLOB PRIMARY KEY REFERENCES keys (id), document TEXT NOT NULL"
	") WITHOUT ROWID;"
	"CREATE TABLE stream_policies ("
	" stream_id INTEGER PRIMARY KEY REFERENCES streams (id) ON DELETE CASCADE,"
	" document TEXT NOT NULL"
	");"
	"CREATE TABLE grants ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 32), key_id BLOB NOT NULL REFERENCES keys (id),"
	" name TEXT NOT NULL, grantee TEXT NOT NULL, retiring TEXT NOT NULL, issuer TEXT NOT NULL,"
	" operations INTEGER NOT NULL, constraint_kind INTEGER NOT NULL, context BLOB NOT NULL,"
	" source_arn TEXT NOT NULL, created_ns INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX grants_key ON grants (key_id, id);"
	"CREATE INDEX grants_retiring ON grants (retiring, id);"
	"CREATE TABLE access_keys ("
	" id TEXT PRIMARY KEY, identity_id INTEGER NOT NULL REFERENCES identities (id),"
	" sealed BLOB NOT NULL, active INTEGER NOT NULL, created_ns INTEGER NOT NULL,"
	" last_used_ns INTEGER NOT NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX access_keys_identity ON access_keys (identity_id, id);";

/* What session tokens are sealed under; the newest has the highest number. */
static const char session_keys[] =
	"CREATE TABLE session_keys ("
	" number INTEGER PRIMARY KEY AUTOINCREMENT,"
	" id BLOB NOT NULL UNIQUE CHECK (length(id) = 16), sealed BLOB NOT NULL,"
	" created_ns INTEGER NOT NULL"
	");";

/* Requests under dual control that wait, or waited, for approvals (catalog_dual.h). One person is one principal and one
 * uid. */
static const char dual_control[] =
	"CREATE TABLE proposals ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 16),"
	" digest BLOB NOT NULL CHECK (length(digest) = 32), requester TEXT NOT NULL,"
	" requester_uid INTEGER NOT NULL, action TEXT NOT NULL, resource TEXT NOT NULL,"
	" request BLOB NOT NULL, needed INTEGER NOT NULL, state INTEGER NOT NULL,"
	" created_ns INTEGER NOT NULL, expires_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL,"
	" ended_by TEXT NOT NULL"
	");"
	"CREATE UNIQUE INDEX proposals_pending ON proposals (digest) WHERE state = 0;"
	"CREATE INDEX proposals_ended ON proposals (ended_ns) WHERE state <> 0;"
	"CREATE TABLE approvals ("
	" proposal_id BLOB NOT NULL REFERENCES proposals (id) ON DELETE CASCADE,"
	" principal TEXT NOT NULL, uid INTEGER NOT NULL, approved_ns INTEGER NOT NULL,"
	" PRIMARY KEY (proposal_id, principal), UNIQUE (proposal_id, uid)"
	") WITHOUT ROWID;";

/* Streams that change while they are written, their shards and tags (catalog_streams.h). Streams that were there before keep
 * their records as long as a stream can. A hash key is 16 bytes, big-endian, so that BLOBs are in its order. */
static const char streams_and_shards[] =
	"ALTER TABLE streams ADD COLUMN state INTEGER NOT NULL DEFAULT 1;"
	"ALTER TABLE streams ADD COLUMN change INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE streams ADD COLUMN key_name TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE streams ADD COLUMN retention_hours INTEGER NOT NULL DEFAULT 8760;"
	"ALTER TABLE streams ADD COLUMN on_demand INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE streams ADD COLUMN shards_count INTEGER NOT NULL DEFAULT 0;"
	"UPDATE streams SET shards_count = shard_count;"
	"CREATE TABLE shards ("
	" stream_id INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,"
	" number INTEGER NOT NULL, state INTEGER NOT NULL,"
	" hash_start BLOB NOT NULL CHECK (length(hash_start) = 16),"
	" hash_end BLOB NOT NULL CHECK (length(hash_end) = 16),"
	" parent INTEGER, adjacent INTEGER, created_s INTEGER NOT NULL,"
	" opened_ns INTEGER NOT NULL, closed_ns INTEGER NOT NULL,"
	" first_sequence INTEGER NOT NULL, end_sequence INTEGER NOT NULL,"
	" PRIMARY KEY (stream_id, number)"
	") WITHOUT ROWID;"
	"CREATE INDEX shards_open ON shards (stream_id, hash_start) WHERE state IN (0, 2);"
	"CREATE INDEX shards_pending ON shards (stream_id, number) WHERE state >= 2;"
	"CREATE TABLE stream_tags ("
	" stream_id INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,"
	" key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (stream_id, key)"
	") WITHOUT ROWID;"
	"CREATE TABLE stream_events ("
	" stream_id INTEGER NOT NULL REFERENCES streams (id) ON DELETE CASCADE,"
	" kind INTEGER NOT NULL, at_ns INTEGER NOT NULL"
	");"
	"CREATE INDEX stream_events_kind ON stream_events (stream_id, kind, at_ns);";

/* The open shards of one stream, as it was created. */
static int
insert_shards(sqlite3_stmt *insert, sqlite3_stmt *stream)
{
	sqlite3_int64 id = sqlite3_column_int64(stream, 0);
	uint32_t count = (uint32_t)sqlite3_column_int64(stream, 1);
	sqlite3_int64 created_ns = sqlite3_column_int64(stream, 2);
	int rc = SQLITE_DONE;

	for (uint32_t i = 0; i < count && rc == SQLITE_DONE; i++) {
		uint8_t start[KMS_HASH_BYTES], end[KMS_HASH_BYTES];
		kms_hash first, last;
		kms_shard_range(i, count, &first, &last);
		kms_hash_put(first, start);
		kms_hash_put(last, end);
		(void)sqlite3_bind_int64(insert, 1, id);
		(void)sqlite3_bind_int64(insert, 2, i);
		(void)sqlite3_bind_blob(insert, 3, start, sizeof(start), SQLITE_STATIC);
		(void)sqlite3_bind_blob(insert, 4, end, sizeof(end), SQLITE_STATIC);
		(void)sqlite3_bind_int64(insert, 5, created_ns);
		rc = sqlite3_step(insert);
		(void)sqlite3_reset(insert);
	}
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static int
add_shards(sqlite3 *db)
{
	sqlite3_stmt *streams = NULL, *insert = NULL;
	int step = SQLITE_DONE;

	int rc = sqlite3_prepare_v2(
		db, "SELECT id, shard_count, created_ns FROM streams", -1, &streams, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(db,
			"INSERT INTO shards VALUES (?1, ?2, 0, ?3, ?4, NULL, NULL,"
			" ?5 / 1000000000, ?5, 0, 0, 0)",
			-1, &insert, NULL);
	while (rc == SQLITE_OK && (step = sqlite3_step(streams)) == SQLITE_ROW)
		rc = insert_shards(insert, streams);
	if (rc == SQLITE_OK && step != SQLITE_DONE)
		rc = step;
	(void)sqlite3_finalize(streams);
	(void)sqlite3_finalize(insert);
	return rc;
}

/* How far each lane of a journal had come when its last statement was signed. */
static const char journal_anchors[] =
	"CREATE TABLE journal_anchors ("
	" journal BLOB NOT NULL CHECK (length(journal) = 16), lane INTEGER NOT NULL,"
	" run INTEGER NOT NULL, file INTEGER NOT NULL, position INTEGER NOT NULL,"
	" hash BLOB NOT NULL CHECK (length(hash) = 32), made_ns INTEGER NOT NULL,"
	" PRIMARY KEY (journal, lane)) WITHOUT ROWID;";

/* Delivery streams (catalog_delivery.h). The description is AES-256-GCM under a data key of its own, which is wrapped under the
 * appliance's. The stream that is read may go before its delivery stream does. */
static const char delivery_streams[] =
	"CREATE TABLE deliveries ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" version INTEGER NOT NULL, state INTEGER NOT NULL, failure_type TEXT NOT NULL,"
	" failure_details TEXT NOT NULL, stream TEXT NOT NULL, stream_id INTEGER NOT NULL,"
	" key_type INTEGER NOT NULL, created_ns INTEGER NOT NULL, updated_ns INTEGER NOT NULL,"
	" seal_id BLOB NOT NULL CHECK (length(seal_id) = 16), sealed_key BLOB NOT NULL,"
	" sealed BLOB NOT NULL"
	");"
	"CREATE INDEX deliveries_stream ON deliveries (stream_id);"
	"CREATE TABLE delivery_roles ("
	" delivery_id INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,"
	" role TEXT NOT NULL, PRIMARY KEY (delivery_id, role)"
	") WITHOUT ROWID;"
	"CREATE INDEX delivery_roles_role ON delivery_roles (role, delivery_id);"
	"CREATE TABLE delivery_tags ("
	" delivery_id INTEGER NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,"
	" key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (delivery_id, key)"
	") WITHOUT ROWID;";

/* steps[n] leads from version n to n + 1. Never change one that was released. */
static const struct {
	const char *sql;
	int (*fill)(sqlite3 *db); /* what SQL cannot compute; NULL: nothing */
} steps[] = {{first_version, NULL}, {kinds_and_life, NULL}, {identities_and_policies, NULL},
	{session_keys, NULL}, {dual_control, NULL}, {streams_and_shards, add_shards},
	{journal_anchors, NULL}, {delivery_streams, NULL}};

#define VERSION ((int)(sizeof(steps) / sizeof(steps[0])))

static int
read_version(sqlite3 *db)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &statement, NULL);
	if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return version;
}

/* All missing steps in one transaction: a crash leaves the old version or the new one. */
static int
upgrade(sqlite3 *db, int version)
{
	char set_version[64];

	int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (int i = version; rc == SQLITE_OK && i < VERSION; i++) {
		rc = sqlite3_exec(db, steps[i].sql, NULL, NULL, NULL);
		if (rc == SQLITE_OK && steps[i].fill != NULL)
			rc = steps[i].fill(db);
	}
	(void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", VERSION);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, set_version, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
	return rc;
}

int
kms_db_upgrade(struct kms_catalog *catalog, const char *path, struct slk_error *err)
{
	int version = read_version(catalog->db);

	if (version < 0)
		return kms_db_open_error(catalog, path, sqlite3_extended_errcode(catalog->db), err);
	if (version > VERSION)
		return slk_fail(err, SLK_BAD_VERSION,
			"catalog %s has version %d, this release knows %d", path, version, VERSION);
	if (version == VERSION || upgrade(catalog->db, version) == SQLITE_OK)
		return SLK_OK;
	return kms_db_open_error(catalog, path, sqlite3_extended_errcode(catalog->db), err);
}
