/* The count of wraps per backing key, reserved ahead. See catalog.h. */
#include <stdlib.h>
#include <string.h>

#include "catalog.h"
#include "catalog_db.h"

static int
order(const void *key, const void *element)
{
	return memcmp(key, ((const struct kms_wraps *)element)->backing_id, KMS_ID_BYTES);
}

static struct kms_wraps *
find(struct kms_catalog *c, const uint8_t *id)
{
	return c->wraps_count > 0 ? bsearch(id, c->wraps, c->wraps_count, sizeof(*c->wraps), order)
				  : NULL;
}

static int
grow(struct kms_catalog *c)
{
	if (c->wraps_count < c->wraps_cap)
		return SLK_OK;
	size_t cap = c->wraps_cap > 0 ? 2 * c->wraps_cap : 16;
	struct kms_wraps *grown = reallocarray(c->wraps, cap, sizeof(*grown));
	if (grown == NULL)
		return SLK_NO_MEMORY;
	c->wraps = grown;
	c->wraps_cap = cap;
	return SLK_OK;
}

static int
reserved_on_disk(struct kms_catalog *c, const uint8_t *id, uint64_t *out_reserved)
{
	sqlite3_stmt *s = kms_db_statement(c, SQL_WRAP_GET);

	(void)sqlite3_bind_blob(s, 1, id, (int)KMS_ID_BYTES, SQLITE_STATIC);
	int rc = kms_db_row(c, s);
	sqlite3_int64 reserved = rc == SLK_OK ? sqlite3_column_int64(s, 0) : 0;
	(void)sqlite3_reset(s);
	if (rc == SLK_OK && reserved < 0)
		rc = SLK_CORRUPT;
	if (rc == SLK_OK)
		*out_reserved = (uint64_t)reserved;
	return rc;
}

/* The entry of a backing key; the first use in a process counts all that was reserved before as
 * used. */
static int
load(struct kms_catalog *c, const uint8_t *id, struct kms_wraps **out)
{
	struct kms_wraps *w = find(c, id);

	if (w == NULL) {
		uint64_t reserved = 0;
		int rc = reserved_on_disk(c, id, &reserved);
		if (rc == SLK_OK)
			rc = grow(c);
		if (rc != SLK_OK)
			return rc;
		size_t at = 0;
		while (at < c->wraps_count && memcmp(c->wraps[at].backing_id, id, KMS_ID_BYTES) < 0)
			at++;
		w = &c->wraps[at];
		memmove(w + 1, w, (c->wraps_count - at) * sizeof(*w));
		memcpy(w->backing_id, id, KMS_ID_BYTES);
		w->reserved = w->used = reserved;
		c->wraps_count++;
	}
	*out = w;
	return SLK_OK;
}

static int
reserve(struct kms_catalog *c, struct kms_wraps *w)
{
	uint64_t from = w->used > w->reserved ? w->used : w->reserved;
	uint64_t reserved =
		from + KMS_WRAP_CHUNK < KMS_WRAP_LIMIT ? from + KMS_WRAP_CHUNK : KMS_WRAP_LIMIT;

	if (reserved <= w->reserved)
		return SLK_OK; /* the last chunk is in hand */
	sqlite3_stmt *s = kms_db_statement(c, SQL_WRAP_SET);
	(void)sqlite3_bind_blob(s, 1, w->backing_id, (int)KMS_ID_BYTES, SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 2, (sqlite3_int64)reserved);
	int rc = kms_db_run(c, s);
	if (rc == SLK_OK && sqlite3_changes(c->db) != 1)
		rc = SLK_CORRUPT; /* somebody else counted, or the row is gone */
	if (rc == SLK_OK)
		w->reserved = reserved;
	return rc;
}

int
kms_catalog_wrap_take(struct kms_catalog *catalog, const uint8_t backing_id[KMS_ID_BYTES])
{
	struct kms_wraps *w = NULL;
	int rc = load(catalog, backing_id, &w);

	if (rc == SLK_OK && w->used + KMS_WRAP_SLACK >= w->reserved)
		rc = reserve(catalog, w);
	if (rc != SLK_OK)
		return rc;
	if (w->used + KMS_WRAP_SLACK >= w->reserved)
		return SLK_LIMIT;
	w->used++;
	return SLK_OK;
}

void
kms_catalog_wrap_add(
	struct kms_catalog *catalog, const uint8_t backing_id[KMS_ID_BYTES], uint32_t extra)
{
	struct kms_wraps *w = NULL;

	if (extra > 0 && load(catalog, backing_id, &w) == SLK_OK)
		w->used += extra;
}

int
kms_catalog_wrap_count(struct kms_catalog *catalog, const uint8_t backing_id[KMS_ID_BYTES],
	uint64_t *out_reserved, uint64_t *out_used)
{
	struct kms_wraps *w = NULL;
	int rc = load(catalog, backing_id, &w);

	if (rc != SLK_OK)
		return rc;
	*out_reserved = w->reserved;
	*out_used = w->used;
	return SLK_OK;
}
