#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "catalog_db.h"

int
kms_catalog_open(const char *path, struct kms_catalog **out_catalog, struct slk_error *err)
{
	struct kms_catalog *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = kms_db_open(path, c, err);
	if (rc != SLK_OK) {
		kms_catalog_close(c);
		return rc;
	}
	*out_catalog = c;
	return SLK_OK;
}

void
kms_catalog_close(struct kms_catalog *catalog)
{
	if (catalog == NULL)
		return;
	kms_db_close(catalog);
	free(catalog->wraps);
	free(catalog);
}

const char *
kms_catalog_error(const struct kms_catalog *catalog)
{
	return catalog->error;
}

/* Binding cannot fail but for memory, and then the step that follows says so. */
static void
bind_id(sqlite3_stmt *s, int at, const uint8_t *id)
{
	(void)sqlite3_bind_blob(s, at, id, id != NULL ? (int)KMS_ID_BYTES : 0, SQLITE_STATIC);
}

static void
bind_text(sqlite3_stmt *s, int at, const char *text)
{
	(void)sqlite3_bind_text(s, at, text, -1, SQLITE_STATIC);
}

static void
bind_u64(sqlite3_stmt *s, int at, uint64_t v)
{
	(void)sqlite3_bind_int64(s, at, (sqlite3_int64)v);
}

/* The lower bound of a list of ids: every id is above the empty BLOB. */
static void
bind_after(sqlite3_stmt *s, int at, const uint8_t *after)
{
	if (after != NULL)
		bind_id(s, at, after);
	else
		(void)sqlite3_bind_zeroblob(s, at, 0);
}

static int
changed_one(const struct kms_catalog *c, int rc)
{
	if (rc != SLK_OK)
		return rc;
	return sqlite3_changes(c->db) == 1 ? SLK_OK : SLK_NOT_FOUND;
}

int
kms_catalog_key_begin(struct kms_catalog *catalog, const struct kms_key *key)
{
	int rc = kms_db_begin(catalog);
	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_INSERT);
	bind_id(s, 1, key->id);
	bind_text(s, 2, key->description);
	bind_u64(s, 3, key->manager);
	bind_u64(s, 4, key->created_ns);
	bind_id(s, 5, key->backing_id);
	rc = kms_db_run(catalog, s);
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_BACKING_INSERT);
		bind_id(s, 1, key->backing_id);
		bind_id(s, 2, key->id);
		bind_u64(s, 3, key->created_ns);
		rc = kms_db_run(catalog, s);
	}
	return kms_db_end(catalog, rc);
}

int
kms_catalog_key_enable(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const uint8_t kcv[KMS_KCV_BYTES], const uint8_t kcv_cmac[KMS_KCV_CMAC_BYTES])
{
	int rc = kms_db_begin(catalog);
	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_ENABLE);
	bind_id(s, 1, id);
	rc = changed_one(catalog, kms_db_run(catalog, s));
	if (rc == SLK_OK) {
		s = kms_db_statement(catalog, SQL_BACKING_ENABLE);
		bind_id(s, 1, id);
		(void)sqlite3_bind_blob(s, 2, kcv, (int)KMS_KCV_BYTES, SQLITE_STATIC);
		(void)sqlite3_bind_blob(s, 3, kcv_cmac, (int)KMS_KCV_CMAC_BYTES, SQLITE_STATIC);
		rc = changed_one(catalog, kms_db_run(catalog, s));
	}
	return kms_db_end(catalog, rc);
}

static int
read_key(sqlite3_stmt *s, struct kms_key *out)
{
	struct kms_key key = {.created_ns = (uint64_t)sqlite3_column_int64(s, 4)};
	int state = sqlite3_column_int(s, 2), manager = sqlite3_column_int(s, 3);

	if (state < KMS_KEY_CREATING || state > KMS_KEY_PENDING_DELETION ||
		manager < KMS_MANAGER_CUSTOMER || manager > KMS_MANAGER_APPLIANCE)
		return SLK_CORRUPT;
	key.state = (enum kms_key_state)state;
	key.manager = (enum kms_key_manager)manager;
	int rc = kms_db_blob(s, 0, key.id, sizeof(key.id));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 1, key.description, sizeof(key.description));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 5, key.backing_id, sizeof(key.backing_id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 6, key.kcv, sizeof(key.kcv));
	if (rc == SLK_OK)
		*out = key;
	return rc;
}

static int
one_key(struct kms_catalog *catalog, sqlite3_stmt *s, struct kms_key *out_key)
{
	int rc = kms_db_row(catalog, s);

	if (rc == SLK_OK)
		rc = read_key(s, out_key);
	(void)sqlite3_reset(s);
	return rc;
}

int
kms_catalog_key_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_GET);

	bind_id(s, 1, id);
	return one_key(catalog, s, out_key);
}

int
kms_catalog_key_appliance(struct kms_catalog *catalog, struct kms_key *out_key)
{
	return one_key(catalog, kms_db_statement(catalog, SQL_KEY_APPLIANCE), out_key);
}

int
kms_catalog_key_creating(struct kms_catalog *catalog, const uint8_t *after, struct kms_key *out_key)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_CREATING);

	bind_after(s, 1, after);
	return one_key(catalog, s, out_key);
}

/* Steps through s and reads each row into the next element of an array. */
static int
read_rows(struct kms_catalog *catalog, sqlite3_stmt *s, size_t cap, size_t size,
	int (*read_row)(sqlite3_stmt *, void *), void *out, size_t *out_count)
{
	size_t count = 0;
	int rc = SLK_OK;

	while (count < cap) {
		rc = kms_db_row(catalog, s);
		if (rc == SLK_OK)
			rc = read_row(s, (uint8_t *)out + count * size);
		if (rc != SLK_OK)
			break;
		count++;
	}
	(void)sqlite3_reset(s);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND)
		return rc;
	*out_count = count;
	return SLK_OK;
}

static int
key_row(sqlite3_stmt *s, void *out)
{
	return read_key(s, out);
}

int
kms_catalog_key_list(struct kms_catalog *catalog, const uint8_t *after, struct kms_key *out_keys,
	size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_LIST);

	bind_after(s, 1, after);
	bind_u64(s, 2, cap);
	return read_rows(catalog, s, cap, sizeof(*out_keys), key_row, out_keys, out_count);
}

int
kms_catalog_backing_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_backing *out_backing)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_BACKING_GET);
	struct kms_backing b;

	bind_id(s, 1, id);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 0, b.id, sizeof(b.id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, b.key_id, sizeof(b.key_id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 2, b.kcv, sizeof(b.kcv));
	(void)sqlite3_reset(s);
	if (rc == SLK_OK)
		*out_backing = b;
	return rc;
}

int
kms_catalog_alias_create(
	struct kms_catalog *catalog, const struct kms_alias *alias, uint64_t created_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_INSERT);

	bind_text(s, 1, alias->name);
	bind_id(s, 2, alias->key_id);
	bind_u64(s, 3, created_ns);
	return kms_db_run(catalog, s);
}

int
kms_catalog_alias_delete(struct kms_catalog *catalog, const char *name)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_DELETE);

	bind_text(s, 1, name);
	return changed_one(catalog, kms_db_run(catalog, s));
}

static int
alias_row(sqlite3_stmt *s, void *out)
{
	struct kms_alias alias;
	int rc = kms_db_text(s, 0, alias.name, sizeof(alias.name));

	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, alias.key_id, sizeof(alias.key_id));
	if (rc == SLK_OK)
		*(struct kms_alias *)out = alias;
	return rc;
}

int
kms_catalog_alias_get(struct kms_catalog *catalog, const char *name, struct kms_alias *out_alias)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_GET);

	bind_text(s, 1, name);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = alias_row(s, out_alias);
	(void)sqlite3_reset(s);
	return rc;
}

int
kms_catalog_alias_list(struct kms_catalog *catalog, const uint8_t *key_id, const char *after,
	struct kms_alias *out_aliases, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_LIST);

	bind_id(s, 1, key_id); /* NULL binds NULL: all keys */
	bind_text(s, 2, after);
	bind_u64(s, 3, cap);
	return read_rows(catalog, s, cap, sizeof(*out_aliases), alias_row, out_aliases, out_count);
}

int
kms_catalog_stream_create(
	struct kms_catalog *catalog, const struct kms_stream *stream, uint64_t *out_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_INSERT);

	bind_text(s, 1, stream->name);
	bind_u64(s, 2, stream->shard_count);
	bind_u64(s, 3, stream->encrypted_kms);
	bind_id(s, 4, stream->key_id);
	bind_u64(s, 5, stream->created_ns);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		*out_id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
	return rc;
}

static int
stream_row(sqlite3_stmt *s, void *out)
{
	struct kms_stream stream = {.id = (uint64_t)sqlite3_column_int64(s, 0),
		.shard_count = (uint32_t)sqlite3_column_int64(s, 2),
		.encrypted_kms = sqlite3_column_int(s, 3) != 0,
		.created_ns = (uint64_t)sqlite3_column_int64(s, 5)};
	int rc = kms_db_text(s, 1, stream.name, sizeof(stream.name));

	if (rc == SLK_OK)
		rc = kms_db_blob(s, 4, stream.key_id, sizeof(stream.key_id));
	if (rc == SLK_OK)
		*(struct kms_stream *)out = stream;
	return rc;
}

int
kms_catalog_stream_get(struct kms_catalog *catalog, const char *name, struct kms_stream *out_stream)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_GET);

	bind_text(s, 1, name);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = stream_row(s, out_stream);
	(void)sqlite3_reset(s);
	return rc;
}

int
kms_catalog_stream_delete(struct kms_catalog *catalog, const char *name)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_DELETE);

	bind_text(s, 1, name);
	return changed_one(catalog, kms_db_run(catalog, s));
}

int
kms_catalog_stream_list(struct kms_catalog *catalog, const char *after,
	struct kms_stream *out_streams, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_LIST);

	bind_text(s, 1, after);
	bind_u64(s, 2, cap);
	return read_rows(catalog, s, cap, sizeof(*out_streams), stream_row, out_streams, out_count);
}
