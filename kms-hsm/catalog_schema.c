/* The catalog's tables, and the way from each version of them to the next. A new file takes all
 * steps, so that it is the same as one that grew old. */
#include <stdio.h>

#include "catalog_db.h"

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

/* steps[n] leads from version n to n + 1. Never change one that was released. */
static const char *const steps[] = {
	first_version, kinds_and_life, identities_and_policies, session_keys, dual_control};

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
	for (int i = version; rc == SQLITE_OK && i < VERSION; i++)
		rc = sqlite3_exec(db, steps[i], NULL, NULL, NULL);
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
