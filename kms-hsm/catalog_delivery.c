#include "catalog_delivery.h"

#include <string.h>

#include "catalog_db.h"
#include "catalog_tags.h"

bool
kms_delivery_is_direct(const struct kms_delivery *delivery)
{
	return kms_stream_delivery(delivery->stream) != NULL;
}

/* --- reading --- */

static int
delivery_row(sqlite3_stmt *s, void *out)
{
	struct kms_delivery d = {.id = (uint64_t)sqlite3_column_int64(s, 0),
		.version = (uint64_t)sqlite3_column_int64(s, 2),
		.stream_id = (uint64_t)sqlite3_column_int64(s, 7),
		.created_ns = (uint64_t)sqlite3_column_int64(s, 9),
		.updated_ns = (uint64_t)sqlite3_column_int64(s, 10)};
	int state = sqlite3_column_int(s, 3), key = sqlite3_column_int(s, 8);
	int rc = SLK_OK;

	if (state < 0 || state >= (int)KMS_DELIVERY_STATES || key < 0 ||
		key >= (int)KMS_DELIVERY_KEYS)
		return SLK_CORRUPT;
	d.state = (enum kms_delivery_state)state;
	d.key = (enum kms_delivery_key)key;
	rc = kms_db_text(s, 1, d.name, sizeof(d.name));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 4, d.failure_type, sizeof(d.failure_type));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 5, d.failure_details, sizeof(d.failure_details));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 6, d.stream, sizeof(d.stream));
	if (rc == SLK_OK)
		*(struct kms_delivery *)out = d;
	return rc;
}

int
kms_catalog_delivery_get(
	struct kms_catalog *catalog, const char *name, struct kms_delivery *out_delivery)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_GET);

	kms_db_bind_text(s, 1, name);
	return kms_db_one(catalog, s, delivery_row, out_delivery);
}

int
kms_catalog_delivery_list(struct kms_catalog *catalog, const char *after,
	enum kms_delivery_kind kind, struct kms_delivery *out_deliveries, size_t cap,
	size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_LIST);

	kms_db_bind_text(s, 1, after);
	kms_db_bind_u64(s, 2, kind);
	kms_db_bind_u64(s, 3, cap);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_deliveries), delivery_row, out_deliveries, out_count);
}

int
kms_catalog_delivery_of_stream(
	struct kms_catalog *catalog, uint64_t stream_id, struct kms_delivery *out_delivery)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_OF_STREAM);

	kms_db_bind_u64(s, 1, stream_id);
	return kms_db_one(catalog, s, delivery_row, out_delivery);
}

int
kms_catalog_delivery_of_role(
	struct kms_catalog *catalog, const char *role_arn, struct kms_delivery *out_delivery)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_OF_ROLE);

	kms_db_bind_text(s, 1, role_arn);
	return kms_db_one(catalog, s, delivery_row, out_delivery);
}

int
kms_catalog_delivery_has_role(
	struct kms_catalog *catalog, const struct kms_delivery *delivery, const char *role_arn)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_HAS_ROLE);
	uint64_t id = 0;

	kms_db_bind_u64(s, 1, delivery->id);
	kms_db_bind_text(s, 2, role_arn);
	return kms_db_one(catalog, s, kms_db_u64_row, &id);
}

/* --- descriptions --- */

/* What a row is read into: the text goes where the caller has room. */
struct sealed_out {
	struct kms_delivery_sealed *sealed;
	uint8_t *text;
};

static int
sealed_row(sqlite3_stmt *s, void *out)
{
	struct sealed_out *o = out;
	struct kms_delivery_sealed *sealed = o->sealed;
	size_t key_len = (size_t)sqlite3_column_bytes(s, 1);
	size_t text_len = (size_t)sqlite3_column_bytes(s, 2);

	if (key_len == 0 || key_len > sizeof(sealed->key.bytes) || text_len == 0 ||
		text_len > KMS_DELIVERY_TEXT_MAX)
		return SLK_CORRUPT;
	int rc = kms_db_blob(s, 0, sealed->id, sizeof(sealed->id));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 1, sealed->key.bytes, key_len);
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 2, o->text, text_len);
	if (rc != SLK_OK)
		return rc;
	sealed->key.len = key_len;
	sealed->text = o->text;
	sealed->text_len = text_len;
	return SLK_OK;
}

int
kms_catalog_delivery_sealed(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	uint8_t *text, struct kms_delivery_sealed *out)
{
	struct sealed_out row = {out, text};
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_SEALED);

	kms_db_bind_u64(s, 1, delivery->id);
	kms_db_bind_u64(s, 2, delivery->version);
	return kms_db_one(catalog, s, sealed_row, &row);
}

static void
bind_sealed(sqlite3_stmt *s, int at, const struct kms_delivery_sealed *sealed)
{
	kms_db_bind_id(s, at, sealed->id);
	(void)sqlite3_bind_blob(s, at + 1, sealed->key.bytes, (int)sealed->key.len, SQLITE_STATIC);
	(void)sqlite3_bind_blob(s, at + 2, sealed->text, (int)sealed->text_len, SQLITE_STATIC);
}

/* Within a transaction: those that the description names, and no others. */
static int
set_roles(struct kms_catalog *catalog, uint64_t id, const struct kms_delivery_sealed *sealed)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_ROLES_DELETE);

	kms_db_bind_u64(s, 1, id);
	int rc = kms_db_run(catalog, s);
	for (size_t i = 0; rc == SLK_OK && i < sealed->roles_count; i++) {
		s = kms_db_statement(catalog, SQL_DELIVERY_ROLE_INSERT);
		kms_db_bind_u64(s, 1, id);
		kms_db_bind_text(s, 2, sealed->roles[i]);
		rc = kms_db_run(catalog, s);
	}
	return rc;
}

/* --- tags --- */

int
kms_catalog_delivery_tags_set(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const struct kms_tag *tags, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_DELIVERY, .id = delivery->id};

	return kms_db_tags_set(catalog, &tagged, tags, count);
}

int
kms_catalog_delivery_tags_remove(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const char *const *tag_keys, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_DELIVERY, .id = delivery->id};

	return kms_db_tags_remove(catalog, &tagged, tag_keys, count);
}

int
kms_catalog_delivery_tags(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const char *after, struct kms_tag *out_tags, size_t cap, size_t *out_count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_DELIVERY, .id = delivery->id};

	return kms_db_tags_list(catalog, &tagged, after, out_tags, cap, out_count);
}

/* --- changes --- */

/* Within a transaction. */
static int
insert(struct kms_catalog *catalog, const struct kms_delivery *delivery, uint64_t stream_id,
	const struct kms_delivery_sealed *sealed, uint64_t *out_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_INSERT);

	kms_db_bind_text(s, 1, delivery->name);
	kms_db_bind_text(s, 2, delivery->stream);
	kms_db_bind_u64(s, 3, stream_id);
	kms_db_bind_u64(s, 4, delivery->key);
	kms_db_bind_u64(s, 5, delivery->created_ns);
	bind_sealed(s, 6, sealed);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		*out_id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
	return rc;
}

/* Within a transaction. */
static int
within_limit(struct kms_catalog *catalog)
{
	uint64_t count = 0;
	int rc = kms_db_one(
		catalog, kms_db_statement(catalog, SQL_DELIVERY_COUNT), kms_db_u64_row, &count);

	return rc == SLK_OK && count > KMS_DELIVERIES_MAX ? SLK_LIMIT : rc;
}

int
kms_catalog_delivery_create(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const struct kms_delivery_sealed *sealed, const struct kms_stream *own,
	const struct kms_tag *tags, size_t tags_count)
{
	uint64_t stream_id = delivery->stream_id, id = 0;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	if (own != NULL)
		rc = kms_db_stream_insert(catalog, own, &stream_id);
	if (rc == SLK_OK)
		rc = insert(catalog, delivery, stream_id, sealed, &id);
	if (rc == SLK_OK)
		rc = set_roles(catalog, id, sealed);
	if (rc == SLK_OK && tags_count > 0)
		rc = kms_db_tags_put(catalog, &(struct kms_tagged){KMS_TAGGED_DELIVERY, .id = id},
			tags, tags_count);
	if (rc == SLK_OK)
		rc = within_limit(catalog);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_delivery_update(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const struct kms_delivery_sealed *sealed, uint64_t wall_ns)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_UPDATE);
	kms_db_bind_u64(s, 1, delivery->id);
	kms_db_bind_u64(s, 2, delivery->version);
	kms_db_bind_u64(s, 3, wall_ns);
	bind_sealed(s, 4, sealed);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK)
		rc = set_roles(catalog, delivery->id, sealed);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_delivery_settle(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	enum kms_delivery_state state, const char *failure_type, const char *failure_details)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_SETTLE);

	kms_db_bind_u64(s, 1, delivery->id);
	kms_db_bind_u64(s, 2, delivery->version);
	kms_db_bind_u64(s, 3, state);
	kms_db_bind_text(s, 4, failure_type);
	kms_db_bind_text(s, 5, failure_details);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_delivery_doom(struct kms_catalog *catalog, const struct kms_delivery *delivery)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_DOOM);

	kms_db_bind_u64(s, 1, delivery->id);
	return kms_db_run_one(catalog, s);
}

/* Within a transaction: ingestd is to let go of it. Somebody may have taken it away by hand. */
static int
doom_own(struct kms_catalog *catalog, const char *name)
{
	struct kms_stream own;
	int rc = kms_catalog_stream_get(catalog, name, &own);

	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	own.state = KMS_STREAM_DELETING;
	own.change++;
	return kms_db_stream_set(catalog, &own);
}

int
kms_catalog_delivery_delete(struct kms_catalog *catalog, const struct kms_delivery *delivery)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_DELETE);
	kms_db_bind_u64(s, 1, delivery->id);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK && kms_delivery_is_direct(delivery))
		rc = doom_own(catalog, delivery->stream);
	return kms_db_end(catalog, rc);
}

int
kms_catalog_delivery_key_set(struct kms_catalog *catalog, const struct kms_delivery *delivery,
	const struct kms_stream *own, enum kms_stream_event event, uint64_t wall_ns)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_DELIVERY_KEY_SET);
	kms_db_bind_u64(s, 1, delivery->id);
	kms_db_bind_u64(s, 2, delivery->key);
	rc = kms_db_run_one(catalog, s);
	if (rc == SLK_OK)
		rc = kms_db_stream_set(catalog, own);
	if (rc == SLK_OK)
		rc = kms_db_stream_event(catalog, own->id, event, wall_ns);
	return kms_db_end(catalog, rc);
}
