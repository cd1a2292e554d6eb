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

/* steps[n] leads from version n to n + 1. Never change one that was released. */
static const char *const steps[] = {first_version, kinds_and_life};

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
