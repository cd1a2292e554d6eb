/* Tags in the catalog. See catalog_tags.h. */
#include "catalog_tags.h"

#include "catalog_db.h"

static const struct {
	enum kms_sql set, remove, count, list;
} tables[] = {
	[KMS_TAGGED_KEY] = {SQL_TAG_SET, SQL_TAG_REMOVE, SQL_TAG_COUNT, SQL_TAG_LIST},
	[KMS_TAGGED_STREAM] = {SQL_STREAM_TAG_SET, SQL_STREAM_TAG_REMOVE, SQL_STREAM_TAG_COUNT,
		SQL_STREAM_TAG_LIST},
	[KMS_TAGGED_DELIVERY] = {SQL_DELIVERY_TAG_SET, SQL_DELIVERY_TAG_REMOVE,
		SQL_DELIVERY_TAG_COUNT, SQL_DELIVERY_TAG_LIST},
	[KMS_TAGGED_IDENTITY] = {SQL_IDENTITY_TAG_SET, SQL_IDENTITY_TAG_REMOVE,
		SQL_IDENTITY_TAG_COUNT, SQL_IDENTITY_TAG_LIST},
};

/* The statement with its first parameter bound: who bears the tags. */
static sqlite3_stmt *
statement_of(struct kms_catalog *catalog, const struct kms_tagged *tagged, enum kms_sql sql)
{
	sqlite3_stmt *s = kms_db_statement(catalog, sql);

	if (tagged->kind == KMS_TAGGED_KEY)
		kms_db_bind_id(s, 1, tagged->key_id);
	else
		kms_db_bind_u64(s, 1, tagged->id);
	return s;
}

int
kms_db_tags_put(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const struct kms_tag *tags, size_t count)
{
	uint64_t present = 0;

	for (size_t i = 0; i < count; i++) {
		sqlite3_stmt *s = statement_of(catalog, tagged, tables[tagged->kind].set);
		kms_db_bind_text(s, 2, tags[i].key);
		kms_db_bind_text(s, 3, tags[i].value);
		int rc = kms_db_run(catalog, s);
		if (rc != SLK_OK)
			return rc;
	}
	sqlite3_stmt *s = statement_of(catalog, tagged, tables[tagged->kind].count);
	int rc = kms_db_one(catalog, s, kms_db_u64_row, &present);
	return rc == SLK_OK && present > KMS_TAGS_MAX ? SLK_LIMIT : rc;
}

int
kms_db_tags_set(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const struct kms_tag *tags, size_t count)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	return kms_db_end(catalog, kms_db_tags_put(catalog, tagged, tags, count));
}

int
kms_db_tags_remove(struct kms_catalog *catalog, const struct kms_tagged *tagged,
	const char *const *tag_keys, size_t count)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		sqlite3_stmt *s = statement_of(catalog, tagged, tables[tagged->kind].remove);
		kms_db_bind_text(s, 2, tag_keys[i]);
		rc = kms_db_run(catalog, s);
	}
	return kms_db_end(catalog, rc);
}

static int
tag_row(sqlite3_stmt *s, void *out)
{
	struct kms_tag *tag = out;
	int rc = kms_db_text(s, 0, tag->key, sizeof(tag->key));

	return rc == SLK_OK ? kms_db_text(s, 1, tag->value, sizeof(tag->value)) : rc;
}

int
kms_db_tags_list(struct kms_catalog *catalog, const struct kms_tagged *tagged, const char *after,
	struct kms_tag *out_tags, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = statement_of(catalog, tagged, tables[tagged->kind].list);

	kms_db_bind_text(s, 2, after);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_tags), tag_row, out_tags, out_count);
}
