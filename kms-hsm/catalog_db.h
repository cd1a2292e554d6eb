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
#include "catalog.h"

/* Every statement, prepared once at open. */
enum kms_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_KEY_INSERT,
	SQL_KEY_ENABLE,
	SQL_KEY_GET,
	SQL_KEY_APPLIANCE,
	SQL_KEY_LIST,
	SQL_KEY_SWITCH,
	SQL_KEY_TURN,
	SQL_DESCRIPTION_GET,
	SQL_DESCRIPTION_SET,
	SQL_PUBLIC_KEY_INSERT,
	SQL_PUBLIC_KEY_GET,
	SQL_DELETION_SCHEDULE,
	SQL_DELETION_CANCEL,
	SQL_DELETION_WAITED,
	SQL_DELETION_DUE,
	SQL_DOOM_KEY,
	SQL_ABANDON_KEY,
	SQL_DOOM_ALIASES,
	SQL_DOOM_TAGS,
	SQL_BACKING_DOOMED,
	SQL_BACKING_DESTROYED,
	SQL_KEY_ENTOMB,
	SQL_BACKING_INSERT,
	SQL_BACKING_ENABLE,
	SQL_BACKING_RETIRE,
	SQL_BACKING_GET,
	SQL_BACKING_LIST,
	SQL_BACKING_CREATING,
	SQL_BACKING_NEXT,
	SQL_BACKING_ON_DEMAND,
	SQL_ROTATION_SET,
	SQL_ROTATION_CLAMP,
	SQL_ROTATION_DUE,
	SQL_TAG_SET,
	SQL_TAG_REMOVE,
	SQL_TAG_COUNT,
	SQL_TAG_LIST,
	SQL_ALIAS_INSERT,
	SQL_ALIAS_UPDATE,
	SQL_ALIAS_DELETE,
	SQL_ALIAS_GET,
	SQL_ALIAS_LIST,
	SQL_STREAM_INSERT,
	SQL_STREAM_GET,
	SQL_STREAM_SET,
	SQL_STREAM_DELETE,
	SQL_STREAM_LIST,
	SQL_STREAM_COUNT,
	SQL_STREAM_TOTALS,
	SQL_STREAM_EVENT_INSERT,
	SQL_STREAM_EVENT_TRIM,
	SQL_STREAM_EVENT_COUNT,
	SQL_STREAM_TAG_SET,
	SQL_STREAM_TAG_REMOVE,
	SQL_STREAM_TAG_COUNT,
	SQL_STREAM_TAG_LIST,
	SQL_SHARD_INSERT,
	SQL_SHARD_GET,
	SQL_SHARD_LIST,
	SQL_SHARD_OPEN,
	SQL_SHARD_PENDING,
	SQL_SHARD_COUNT,
	SQL_SHARD_CLOSE,
	SQL_SHARD_SETTLE,
	SQL_SHARD_PRUNE,
	SQL_DELIVERY_INSERT,
	SQL_DELIVERY_COUNT,
	SQL_DELIVERY_GET,
	SQL_DELIVERY_LIST,
	SQL_DELIVERY_OF_STREAM,
	SQL_DELIVERY_OF_ROLE,
	SQL_DELIVERY_HAS_ROLE,
	SQL_DELIVERY_SEALED,
	SQL_DELIVERY_UPDATE,
	SQL_DELIVERY_SETTLE,
	SQL_DELIVERY_DOOM,
	SQL_DELIVERY_DELETE,
	SQL_DELIVERY_KEY_SET,
	SQL_DELIVERY_ROLES_DELETE,
	SQL_DELIVERY_ROLE_INSERT,
	SQL_DELIVERY_TAG_SET,
	SQL_DELIVERY_TAG_REMOVE,
	SQL_DELIVERY_TAG_COUNT,
	SQL_DELIVERY_TAG_LIST,
	SQL_WRAP_GET,
	SQL_WRAP_SET,
	SQL_ANCHOR_GET,
	SQL_ANCHOR_SET,
	SQL_IDENTITY_INSERT,
	SQL_IDENTITY_GET,
	SQL_IDENTITY_LIST,
	SQL_IDENTITY_HELD,
	SQL_IDENTITY_DELETE,
	SQL_TRUST_GET,
	SQL_TRUST_SET,
	SQL_BOUNDARY_SET,
	SQL_IDENTITY_TAG_SET,
	SQL_IDENTITY_TAG_REMOVE,
	SQL_IDENTITY_TAG_COUNT,
	SQL_IDENTITY_TAG_LIST,
	SQL_IDENTITY_TAGS_DELETE,
	SQL_INLINE_PUT,
	SQL_INLINE_GET,
	SQL_INLINE_DELETE,
	SQL_INLINE_LIST,
	SQL_POLICY_INSERT,
	SQL_POLICY_GET,
	SQL_POLICY_LIST,
	SQL_POLICY_TEXT,
	SQL_POLICY_SET,
	SQL_POLICY_DELETE,
	SQL_ATTACH,
	SQL_DETACH,
	SQL_ATTACHED_LIST,
	SQL_HOLDER_LIST,
	SQL_KEY_POLICY_PUT,
	SQL_KEY_POLICY_GET,
	SQL_KEY_POLICY_NEXT,
	SQL_DOOM_KEY_POLICY,
	SQL_DOOM_GRANTS,
	SQL_STREAM_POLICY_PUT,
	SQL_STREAM_POLICY_GET,
	SQL_STREAM_POLICY_NEXT,
	SQL_STREAM_POLICY_DELETE,
	SQL_ACCESS_KEY_COUNT,
	SQL_ACCESS_KEY_INSERT,
	SQL_ACCESS_KEY_GET,
	SQL_ACCESS_KEY_LIST,
	SQL_ACCESS_KEY_SWITCH,
	SQL_ACCESS_KEY_DELETE,
	SQL_ACCESS_KEY_USED,
	SQL_SESSION_KEY_INSERT,
	SQL_SESSION_KEY_TRIM,
	SQL_SESSION_KEY_GET,
	SQL_SESSION_KEY_NEWEST,
	SQL_GRANT_INSERT,
	SQL_GRANT_DELETE,
	SQL_GRANT_NEXT,
	SQL_PROPOSAL_EXPIRE,
	SQL_PROPOSAL_INSERT,
	SQL_PROPOSAL_TRIM,
	SQL_PROPOSAL_COUNT,
	SQL_PROPOSAL_GET,
	SQL_PROPOSAL_FIND,
	SQL_PROPOSAL_LIST,
	SQL_PROPOSAL_REQUEST,
	SQL_PROPOSAL_END,
	SQL_APPROVAL_INSERT,
	SQL_APPROVAL_LIST,
	SQL_COUNT,
};

struct kms_wraps { /* one backing key that was used by this process */
	uint8_t backing_id[16];
	uint64_t reserved, used;
};

struct kms_cached_key;

struct kms_catalog {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_COUNT];
	bool failed; /* an input or output error was seen: no more changes */
	char error[256];
	struct kms_wraps *wraps; /* sorted by id */
	size_t wraps_count, wraps_cap;
	struct kms_cached_key *cache; /* NULL: none */
};

MUST_USE int kms_db_open(const char *path, struct kms_catalog *catalog, struct slk_error *err);
/* Make the tables, or bring those of an older release up to date. SLK_BAD_VERSION. */
MUST_USE int kms_db_upgrade(struct kms_catalog *catalog, const char *path, struct slk_error *err);
/* The code and the sentence of what SQLite said while it opened path. */
MUST_USE int kms_db_open_error(
	struct kms_catalog *catalog, const char *path, int sqlite_rc, struct slk_error *err);
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
/* Run a statement that must change exactly one row, or else SLK_NOT_FOUND. */
MUST_USE int kms_db_run_one(struct kms_catalog *catalog, sqlite3_stmt *statement);
/* Step through the statement and read each row into the next element of out. */
MUST_USE int kms_db_rows(struct kms_catalog *catalog, sqlite3_stmt *statement, size_t cap,
	size_t element_bytes, int (*read_row)(sqlite3_stmt *, void *), void *out,
	size_t *out_count);
/* The first row, and SLK_NOT_FOUND if there is none. */
MUST_USE int kms_db_one(struct kms_catalog *catalog, sqlite3_stmt *statement,
	int (*read_row)(sqlite3_stmt *, void *), void *out);
/* Commit if rc is SLK_OK, otherwise roll back; returns the first error. */
MUST_USE int kms_db_end(struct kms_catalog *catalog, int rc);
/* Copy a BLOB column of exactly len bytes. SLK_CORRUPT. */
MUST_USE int kms_db_blob(sqlite3_stmt *statement, int column, void *out, size_t len);
/* Copy a TEXT column with its terminator. SLK_CORRUPT. */
MUST_USE int kms_db_text(sqlite3_stmt *statement, int column, char *out, size_t cap);

/* A read_row: the first column as a uint64_t. */
MUST_USE int kms_db_u64_row(sqlite3_stmt *statement, void *out_u64);

/* The first column of the first row. SLK_NOT_FOUND. */
MUST_USE int kms_db_document(
	struct kms_catalog *catalog, sqlite3_stmt *statement, char *out, size_t cap);

/* --- steps that catalog*.c share; those that change something belong in a transaction --- */
int kms_db_key_row(sqlite3_stmt *statement, void *out_key);
MUST_USE int kms_db_backing_insert(struct kms_catalog *catalog, const uint8_t *key_id,
	const uint8_t *id, enum kms_backing_kind kind, uint64_t wall_ns);
/* wall_ns: when it becomes Current; 0: when it was created. */
MUST_USE int kms_db_backing_enable(struct kms_catalog *catalog, const uint8_t *id,
	const struct kms_check *check, uint64_t wall_ns);
/* catalog_streams.c: a stream with its first shards, its row as it is to be, and what may happen only so often. */
MUST_USE int kms_db_stream_insert(
	struct kms_catalog *catalog, const struct kms_stream *stream, uint64_t *out_id);
MUST_USE int kms_db_stream_set(struct kms_catalog *catalog, const struct kms_stream *stream);
MUST_USE int kms_db_stream_event(
	struct kms_catalog *catalog, uint64_t stream_id, int event, uint64_t ns);

/* --- keys as they were last read (catalog_cache.c) --- Any change of the catalog, whatever it changed, makes all of them stale;
 * within a transaction none is given or taken. Without memory there is no cache. */
void kms_cache_new(struct kms_catalog *catalog);
void kms_cache_free(struct kms_catalog *catalog);
/* False: read it. */
MUST_USE bool kms_cache_get(
	const struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key);
void kms_cache_put(struct kms_catalog *catalog, const struct kms_key *key);

/* Binding cannot fail but for memory, and then the step that follows says so. What is bound is
 * borrowed until the step. A NULL id binds NULL. */
void kms_db_bind_id(sqlite3_stmt *statement, int at, const uint8_t *id);
void kms_db_bind_text(sqlite3_stmt *statement, int at, const char *text);
void kms_db_bind_u64(sqlite3_stmt *statement, int at, uint64_t value);
/* The lower bound of a list of ids; NULL: every id is above it. */
void kms_db_bind_after(sqlite3_stmt *statement, int at, const uint8_t *after);

#endif
