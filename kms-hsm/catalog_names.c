/* Aliases of the catalog, and tags of its keys. See catalog.h. */
#include <string.h>

#include "catalog.h"
#include "catalog_db.h"
#include "catalog_tags.h"

int
kms_catalog_alias_create(
	struct kms_catalog *catalog, const struct kms_alias *alias, uint64_t created_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_INSERT);

	kms_db_bind_text(s, 1, alias->name);
	kms_db_bind_id(s, 2, alias->key_id);
	kms_db_bind_u64(s, 3, created_ns);
	return kms_db_run(catalog, s);
}

int
kms_catalog_alias_update(struct kms_catalog *catalog, const struct kms_alias *alias)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_UPDATE);

	kms_db_bind_text(s, 1, alias->name);
	kms_db_bind_id(s, 2, alias->key_id);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_alias_delete(struct kms_catalog *catalog, const char *name)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_DELETE);

	kms_db_bind_text(s, 1, name);
	return kms_db_run_one(catalog, s);
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

	kms_db_bind_text(s, 1, name);
	return kms_db_one(catalog, s, alias_row, out_alias);
}

int
kms_catalog_alias_list(struct kms_catalog *catalog, const uint8_t *key_id, const char *after,
	struct kms_alias *out_aliases, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ALIAS_LIST);

	kms_db_bind_id(s, 1, key_id); /* NULL binds NULL: all keys */
	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_aliases), alias_row, out_aliases, out_count);
}

/* --- tags of keys --- */

int
kms_catalog_tags_set(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const struct kms_tag *tags, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_KEY, .key_id = key_id};
	struct kms_key key;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_key_get(catalog, key_id, &key);
	if (rc == SLK_OK && count > 0)
		rc = kms_db_tags_put(catalog, &tagged, tags, count);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_tags_remove(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const char *const *tag_keys, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_KEY, .key_id = key_id};

	return kms_db_tags_remove(catalog, &tagged, tag_keys, count);
}

int
kms_catalog_tag_list(struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES],
	const char *after, struct kms_tag *out_tags, size_t cap, size_t *out_count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_KEY, .key_id = key_id};

	return kms_db_tags_list(catalog, &tagged, after, out_tags, cap, out_count);
}
