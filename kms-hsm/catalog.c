#include "catalog.h"

#include <stdlib.h>
#include <string.h>

#include "catalog_db.h"
#include "catalog_iam.h"
#include "catalog_tags.h"

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
	kms_cache_new(c);
	*out_catalog = c;
	return SLK_OK;
}

void
kms_catalog_close(struct kms_catalog *catalog)
{
	if (catalog == NULL)
		return;
	kms_db_close(catalog);
	kms_cache_free(catalog);
	free(catalog->wraps);
	free(catalog);
}

const char *
kms_catalog_error(const struct kms_catalog *catalog)
{
	return catalog->error;
}

int
kms_db_key_row(sqlite3_stmt *s, void *out)
{
	struct kms_key key = {.created_ns = (uint64_t)sqlite3_column_int64(s, 3),
		.deletion_ns = (uint64_t)sqlite3_column_int64(s, 8),
		.deletion_days = (uint32_t)sqlite3_column_int64(s, 9),
		.deletion_left_ns = (uint64_t)sqlite3_column_int64(s, 10),
		.rotation_days = (uint32_t)sqlite3_column_int64(s, 11),
		.rotation_next_ns = (uint64_t)sqlite3_column_int64(s, 12)};
	int state = sqlite3_column_int(s, 1), manager = sqlite3_column_int(s, 2),
	    spec = sqlite3_column_int(s, 6), usage = sqlite3_column_int(s, 7);

	if (state < KMS_KEY_CREATING || state > KMS_KEY_DESTROYED ||
		manager < KMS_MANAGER_CUSTOMER || manager > KMS_MANAGER_APPLIANCE || spec < 0 ||
		spec >= KMS_SPEC_COUNT || usage < 0 || usage >= KMS_USAGE_COUNT ||
		!kms_spec_allows((enum kms_spec)spec, (enum kms_usage)usage))
		return SLK_CORRUPT;
	key.state = (enum kms_key_state)state;
	key.manager = (enum kms_key_manager)manager;
	key.spec = (enum kms_spec)spec;
	key.usage = (enum kms_usage)usage;
	int rc = kms_db_blob(s, 0, key.id, sizeof(key.id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 4, key.backing_id, sizeof(key.backing_id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 5, key.kcv, sizeof(key.kcv));
	if (rc == SLK_OK)
		*(struct kms_key *)out = key;
	return rc;
}

int
kms_catalog_key_begin(struct kms_catalog *catalog, const struct kms_key *key,
	const char *description, const struct kms_tag *tags, size_t tags_count)
{
	return kms_catalog_key_begin_under(catalog, key, description, tags, tags_count, NULL);
}

int
kms_catalog_key_begin_under(struct kms_catalog *catalog, const struct kms_key *key,
	const char *description, const struct kms_tag *tags, size_t tags_count, const char *policy)
{
	int rc = kms_db_begin(catalog);
	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_INSERT);
	kms_db_bind_id(s, 1, key->id);
	kms_db_bind_text(s, 2, description != NULL ? description : "");
	kms_db_bind_u64(s, 3, key->manager);
	kms_db_bind_u64(s, 4, key->created_ns);
	kms_db_bind_id(s, 5, key->backing_id);
	kms_db_bind_u64(s, 6, key->spec);
	kms_db_bind_u64(s, 7, key->usage);
	kms_db_bind_u64(s, 8, key->rotation_days);
	kms_db_bind_u64(s, 9, key->rotation_next_ns);
	rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_backing_insert(
			catalog, key->id, key->backing_id, KMS_BACKING_FIRST, key->created_ns);
	if (rc == SLK_OK)
		rc = kms_db_tags_put(catalog,
			&(struct kms_tagged){KMS_TAGGED_KEY, .key_id = key->id}, tags, tags_count);
	if (rc == SLK_OK && policy != NULL)
		rc = kms_catalog_key_policy_put(catalog, key->id, policy);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_key_enable(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], const struct kms_check *check)
{
	struct kms_key key;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_ENABLE);
	kms_db_bind_id(s, 1, id);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(catalog, id, &key);
	if (rc == SLK_OK)
		rc = kms_db_backing_enable(catalog, key.backing_id, check, 0);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_key_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key)
{
	if (kms_cache_get(catalog, id, out_key))
		return SLK_OK;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_GET);
	kms_db_bind_id(s, 1, id);
	int rc = kms_db_one(catalog, s, kms_db_key_row, out_key);
	if (rc == SLK_OK)
		kms_cache_put(catalog, out_key);
	return rc;
}

int
kms_catalog_key_appliance(
	struct kms_catalog *catalog, enum kms_usage usage, struct kms_key *out_key)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_APPLIANCE);

	kms_db_bind_u64(s, 1, usage);
	return kms_db_one(catalog, s, kms_db_key_row, out_key);
}

int
kms_catalog_key_list(struct kms_catalog *catalog, const uint8_t *after, struct kms_key *out_keys,
	size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_LIST);

	kms_db_bind_after(s, 1, after);
	kms_db_bind_u64(s, 2, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_keys), kms_db_key_row, out_keys, out_count);
}

int
kms_catalog_key_switch(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], bool enabled)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_KEY_SWITCH);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_u64(s, 2, enabled ? KMS_KEY_ENABLED : KMS_KEY_DISABLED);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_description_get(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], char *out, size_t cap)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DESCRIPTION_GET);

	kms_db_bind_id(s, 1, id);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_text(s, 0, out, cap);
	(void)sqlite3_reset(s);
	return rc;
}

int
kms_catalog_description_set(
	struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], const char *description)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DESCRIPTION_SET);

	kms_db_bind_id(s, 1, id);
	kms_db_bind_text(s, 2, description);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_public_key_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	uint8_t *out, size_t cap, size_t *out_len)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_PUBLIC_KEY_GET);

	kms_db_bind_id(s, 1, id);
	int rc = kms_db_row(catalog, s);
	if (rc != SLK_OK)
		return rc;
	size_t len = (size_t)sqlite3_column_bytes(s, 0);
	if (len > cap)
		rc = SLK_FULL;
	else
		rc = len > 0 ? kms_db_blob(s, 0, out, len) : SLK_CORRUPT;
	(void)sqlite3_reset(s);
	if (rc == SLK_OK)
		*out_len = len;
	return rc;
}
