/* SQLite beneath the catalog: open, statements, error codes. Internal to catalog*.c. Thread: the
 * catalog's. */
#ifndef KMS_HSM_CATALOG_DB_H
#define KMS_HSM_CATALOG_DB_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

/* Every statement, prepared once at open. */
enum kms_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_KEY_INSERT,
	SQL_BACKING_INSERT,
	SQL_KEY_ENABLE,
	SQL_BACKING_ENABLE,
	SQL_KEY_GET,
	SQL_KEY_APPLIANCE,
	SQL_KEY_LIST,
	SQL_KEY_CREATING,
	SQL_BACKING_GET,
	SQL_ALIAS_INSERT,
	SQL_ALIAS_DELETE,
	SQL_ALIAS_GET,
	SQL_ALIAS_LIST,
	SQL_STREAM_INSERT,
	SQL_STREAM_GET,
	SQL_STREAM_DELETE,
	SQL_STREAM_LIST,
	SQL_WRAP_GET,
	SQL_WRAP_SET,
	SQL_COUNT,
};

struct kms_wraps { /* one backing key that was used by this process */
	uint8_t backing_id[16];
	uint64_t reserved, used;
};

struct kms_catalog {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	bool failed; /* an input or output error was seen: no more changes */
	char error[256];
	struct kms_wraps *wraps; /* sorted by id */
	size_t wraps_count, wraps_cap;
};

MUST_USE int kms_db_open(const char *path, struct kms_catalog *catalog, struct slk_error *err);
void kms_db_close(struct kms_catalog *catalog);

/* The statement, reset and without bindings. */
sqlite3_stmt *kms_db_statement(struct kms_catalog *catalog, enum kms_sql sql);
/* Our code for what SQLite said; remembers its sentence and whether changes must stop. */
int kms_db_status(struct kms_catalog *catalog, int sqlite_rc);
/* Run a statement that returns no rows. SLK_IO without trying if changes must stop. */
MUST_USE int kms_db_run(struct kms_catalog *catalog, sqlite3_stmt *statement);
/* SLK_OK if a row is there, SLK_NOT_FOUND if none (is left). */
MUST_USE int kms_db_row(struct kms_catalog *catalog, sqlite3_stmt *statement);
MUST_USE int kms_db_begin(struct kms_catalog *catalog);
/* Commit if rc is SLK_OK, otherwise roll back; returns the first error. */
MUST_USE int kms_db_end(struct kms_catalog *catalog, int rc);
/* Copy a BLOB column of exactly len bytes. SLK_CORRUPT. */
MUST_USE int kms_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len);
/* Copy a TEXT column with its terminator. SLK_CORRUPT. */
MUST_USE int kms_db_text(sqlite3_stmt *statement, int column, char *out, size_t cap);

#endif
