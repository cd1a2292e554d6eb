#include "catalog_db.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 1

/* Key and backing ids are BLOBs of 16 bytes. A stream's id comes from AUTOINCREMENT, which never
 * gives one twice, also after the highest was deleted. */
static const char schema[] =
	"CREATE TABLE keys ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 16), description TEXT NOT NULL, state INTEGER "
	"NOT NULL,"
	" manager INTEGER NOT NULL, created_ns INTEGER NOT NULL, backing_id BLOB NOT NULL"
	") WITHOUT ROWID;"
	"CREATE UNIQUE INDEX keys_appliance ON keys (manager) WHERE manager = 1;"
	"CREATE INDEX keys_creating ON keys (id) WHERE state = 0;"
	"CREATE TABLE backings ("
	" id BLOB PRIMARY KEY CHECK (length(id) = 16), key_id BLOB NOT NULL REFERENCES keys (id),"
	" generation INTEGER NOT NULL, kcv BLOB NOT NULL, kcv_cmac BLOB NOT NULL, created_ns "
	"INTEGER NOT NULL,"
	" wraps_reserved INTEGER NOT NULL, UNIQUE (key_id, generation)"
	") WITHOUT ROWID;"
	"CREATE TABLE aliases ("
	" name TEXT PRIMARY KEY, key_id BLOB NOT NULL REFERENCES keys (id), created_ns INTEGER NOT "
	"NULL"
	") WITHOUT ROWID;"
	"CREATE INDEX aliases_key ON aliases (key_id, name);"
	"CREATE TABLE streams ("
	" id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, shard_count INTEGER NOT "
	"NULL,"
	" encrypted_kms INTEGER NOT NULL, key_id BLOB NOT NULL REFERENCES keys (id), created_ns "
	"INTEGER NOT NULL"
	");"
	"PRAGMA user_version = 1;";

#define KEY_COLUMNS \
	"SELECT k.id, k.description, k.state, k.manager, k.created_ns, k.backing_id, b.kcv" \
	" FROM keys k JOIN backings b ON b.id = k.backing_id "

static const char *const texts[SQL_COUNT] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	[SQL_KEY_INSERT] = "INSERT INTO keys VALUES (?1, ?2, 0, ?3, ?4, ?5)",
	[SQL_BACKING_INSERT] =
		"INSERT INTO backings VALUES (?1, ?2, 1, zeroblob(3), zeroblob(5), ?3, 0)",
	[SQL_KEY_ENABLE] = "UPDATE keys SET state = 1 WHERE id = ?1 AND state = 0",
	[SQL_BACKING_ENABLE] = "UPDATE backings SET kcv = ?2, kcv_cmac = ?3"
			       " WHERE id = (SELECT backing_id FROM keys WHERE id = ?1)",
	[SQL_KEY_GET] = KEY_COLUMNS "WHERE k.id = ?1",
	[SQL_KEY_APPLIANCE] = KEY_COLUMNS "WHERE k.manager = 1",
	[SQL_KEY_LIST] = KEY_COLUMNS "WHERE k.id > ?1 ORDER BY k.id LIMIT ?2",
	[SQL_KEY_CREATING] = KEY_COLUMNS "WHERE k.state = 0 AND k.id > ?1 ORDER BY k.id LIMIT 1",
	[SQL_BACKING_GET] = "SELECT id, key_id, kcv FROM backings WHERE id = ?1",
	[SQL_ALIAS_INSERT] = "INSERT INTO aliases VALUES (?1, ?2, ?3)",
	[SQL_ALIAS_DELETE] = "DELETE FROM aliases WHERE name = ?1",
	[SQL_ALIAS_GET] = "SELECT name, key_id FROM aliases WHERE name = ?1",
	[SQL_ALIAS_LIST] =
		"SELECT name, key_id FROM aliases"
		" WHERE (?1 IS NULL OR key_id = ?1) AND name > ?2 ORDER BY name LIMIT ?3",
	[SQL_STREAM_INSERT] =
		"INSERT INTO streams (name, shard_count, encrypted_kms, key_id, created_ns)"
		" VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_STREAM_GET] =
		"SELECT id, name, shard_count, encrypted_kms, key_id, created_ns FROM streams"
		" WHERE name = ?1",
	[SQL_STREAM_DELETE] = "DELETE FROM streams WHERE name = ?1",
	[SQL_STREAM_LIST] =
		"SELECT id, name, shard_count, encrypted_kms, key_id, created_ns FROM streams"
		" WHERE name > ?1 ORDER BY name LIMIT ?2",
	[SQL_WRAP_GET] = "SELECT wraps_reserved FROM backings WHERE id = ?1",
	[SQL_WRAP_SET] =
		"UPDATE backings SET wraps_reserved = ?2 WHERE id = ?1 AND wraps_reserved < ?2",
};

int
kms_db_status(struct kms_catalog *catalog, int sqlite_rc)
{
	switch (sqlite_rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return SLK_OK;
	default:
		break;
	}
	(void)snprintf(catalog->error, sizeof(catalog->error), "%s: %s", sqlite3_errstr(sqlite_rc),
		sqlite3_errmsg(catalog->db));
	switch (sqlite_rc & 0xff) {
	case SQLITE_CONSTRAINT:
		return (sqlite_rc == SQLITE_CONSTRAINT_FOREIGNKEY) ? SLK_NOT_FOUND : SLK_EXISTS;
	case SQLITE_FULL:
		return SLK_DISK_FULL;
	case SQLITE_NOMEM:
		return SLK_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return SLK_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		catalog->failed = true;
		return SLK_CORRUPT;
	case SQLITE_IOERR:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
		catalog->failed = true;
		return SLK_IO;
	default:
		return SLK_INTERNAL;
	}
}

static int
open_error(struct kms_catalog *catalog, const char *path, int sqlite_rc, struct slk_error *err)
{
	int rc = kms_db_status(catalog, sqlite_rc);

	if (rc == SLK_UNAVAILABLE)
		return slk_fail(err, rc, "catalog %s is in use by another process", path);
	return slk_fail(err, rc, "catalog %s: %s", path, catalog->error);
}

/* The file is made by us and for us: SQLite would take the umask, and follow a link. */
static int
prepare_file(const char *path, struct slk_error *err)
{
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return slk_fail_errno(err, "cannot open catalog %s", path);
	int rc = SLK_OK;
	if (fstat(fd, &st) != 0)
		rc = slk_fail_errno(err, "cannot stat catalog %s", path);
	else if (!S_ISREG(st.st_mode))
		rc = slk_fail(err, SLK_CONFIG, "catalog %s is not a regular file", path);
	else if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		rc = slk_fail(err, SLK_DENIED,
			"catalog %s must belong to uid %u and be closed to others; run: chown, "
			"chmod 600",
			path, (unsigned)geteuid());
	close(fd);
	return rc;
}

static int
set_up(struct kms_catalog *catalog, const char *path, struct slk_error *err)
{
	static const char *const pragmas[] = {
		"PRAGMA locking_mode = EXCLUSIVE", /* one process; also no shared-memory file */
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL", /* a commit is flushed before it returns */
		"PRAGMA temp_store = MEMORY", /* the sandbox gives it no other directory */
		"PRAGMA foreign_keys = ON", "PRAGMA trusted_schema = OFF",
		"PRAGMA cache_size = -512", "PRAGMA wal_autocheckpoint = 256",
		"BEGIN EXCLUSIVE; COMMIT", /* takes the lock now, not at the first change */
	};

	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
		int rc = sqlite3_exec(catalog->db, pragmas[i], NULL, NULL, NULL);
		if (rc != SQLITE_OK)
			return open_error(
				catalog, path, sqlite3_extended_errcode(catalog->db), err);
	}
	return SLK_OK;
}

/* Versions: 0 is a new file. */
static int
check_version(struct kms_catalog *catalog, const char *path, struct slk_error *err)
{
	sqlite3_stmt *statement = NULL;
	int version = -1;

	int rc = sqlite3_prepare_v2(catalog->db, "PRAGMA user_version", -1, &statement, NULL);
	if (rc == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW)
		version = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	if (version == SCHEMA_VERSION)
		return SLK_OK;
	if (version < 0)
		return open_error(catalog, path, sqlite3_extended_errcode(catalog->db), err);
	if (version != 0)
		return slk_fail(err, SLK_BAD_VERSION,
			"catalog %s has version %d, this release knows %d", path, version,
			SCHEMA_VERSION);
	rc = sqlite3_exec(catalog->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(catalog->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(catalog->db, "COMMIT", NULL, NULL, NULL);
	return rc == SQLITE_OK
		? SLK_OK
		: open_error(catalog, path, sqlite3_extended_errcode(catalog->db), err);
}

int
kms_db_open(const char *path, struct kms_catalog *catalog, struct slk_error *err)
{
	int rc = prepare_file(path, err);

	if (rc != SLK_OK)
		return rc;
	int src = sqlite3_open_v2(path, &catalog->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW, NULL);
	if (src != SQLITE_OK)
		return open_error(catalog, path, src, err);
	(void)sqlite3_extended_result_codes(catalog->db, 1);
	(void)sqlite3_db_config(catalog->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	rc = set_up(catalog, path, err);
	if (rc == SLK_OK)
		rc = check_version(catalog, path, err);
	for (int i = 0; rc == SLK_OK && i < SQL_COUNT; i++) {
		src = sqlite3_prepare_v3(catalog->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
			&catalog->statements[i], NULL);
		if (src != SQLITE_OK)
			rc = open_error(catalog, path, src, err);
	}
	return rc;
}

void
kms_db_close(struct kms_catalog *catalog)
{
	for (int i = 0; i < SQL_COUNT; i++)
		(void)sqlite3_finalize(catalog->statements[i]);
	(void)sqlite3_close_v2(catalog->db);
}

sqlite3_stmt *
kms_db_statement(struct kms_catalog *catalog, enum kms_sql sql)
{
	sqlite3_stmt *statement = catalog->statements[sql];

	(void)sqlite3_reset(
		statement); /* repeats the error of the last step, which was handled there */
	(void)sqlite3_clear_bindings(statement);
	return statement;
}

int
kms_db_run(struct kms_catalog *catalog, sqlite3_stmt *statement)
{
	if (catalog->failed) {
		(void)snprintf(catalog->error, sizeof(catalog->error),
			"an earlier error took the catalog out of service; restart sealock-kmsd");
		return SLK_IO;
	}
	int rc = kms_db_status(catalog, sqlite3_step(statement));
	(void)sqlite3_reset(statement);
	return rc;
}

int
kms_db_row(struct kms_catalog *catalog, sqlite3_stmt *statement)
{
	int src = sqlite3_step(statement);

	if (src == SQLITE_ROW)
		return SLK_OK;
	int rc = kms_db_status(catalog, src);
	(void)sqlite3_reset(statement);
	return rc == SLK_OK ? SLK_NOT_FOUND : rc;
}

int
kms_db_begin(struct kms_catalog *catalog)
{
	return kms_db_run(catalog, kms_db_statement(catalog, SQL_BEGIN));
}

int
kms_db_end(struct kms_catalog *catalog, int rc)
{
	if (rc == SLK_OK)
		rc = kms_db_run(catalog, kms_db_statement(catalog, SQL_COMMIT));
	if (rc != SLK_OK && sqlite3_get_autocommit(catalog->db) == 0) {
		char error[sizeof(catalog->error)];
		memcpy(error, catalog->error, sizeof(error));
		(void)sqlite3_step(kms_db_statement(catalog, SQL_ROLLBACK));
		(void)sqlite3_reset(catalog->statements[SQL_ROLLBACK]);
		memcpy(catalog->error, error, sizeof(error));
	}
	return rc;
}

int
kms_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len)
{
	if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
		return SLK_CORRUPT;
	const void *bytes = sqlite3_column_blob(statement, column);
	if (bytes == NULL || (size_t)sqlite3_column_bytes(statement, column) != len)
		return SLK_CORRUPT;
	memcpy(out, bytes, len);
	return SLK_OK;
}

int
kms_db_text(sqlite3_stmt *statement, int column, char *out, size_t cap)
{
	const unsigned char *text = sqlite3_column_text(statement, column);

	if (text == NULL)
		return SLK_CORRUPT;
	size_t len = (size_t)sqlite3_column_bytes(statement, column);
	if (len >= cap || memchr(text, '\0', len) != NULL)
		return SLK_CORRUPT;
	memcpy(out, text, len);
	out[len] = '\0';
	return SLK_OK;
}
