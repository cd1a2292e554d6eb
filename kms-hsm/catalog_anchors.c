#include "catalog_anchors.h"

#include <string.h>

#include "catalog_db.h"

static int
blob_to(sqlite3_stmt *s, int column, uint8_t *out, int bytes)
{
	const void *raw = sqlite3_column_blob(s, column);

	if (raw == NULL || sqlite3_column_bytes(s, column) != bytes)
		return SLK_CORRUPT;
	memcpy(out, raw, (size_t)bytes);
	return SLK_OK;
}

int
kms_catalog_anchor_get(struct kms_catalog *catalog, const uint8_t journal[16], uint32_t lane,
	struct kms_anchor *out_anchor)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ANCHOR_GET);
	struct kms_anchor a = {.lane = lane};

	memcpy(a.journal, journal, sizeof(a.journal));
	(void)sqlite3_bind_blob(s, 1, journal, sizeof(a.journal), SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 2, lane);
	int rc = kms_db_row(catalog, s);
	if (rc == SLK_OK) {
		a.run = (uint64_t)sqlite3_column_int64(s, 0);
		a.file_id = (uint64_t)sqlite3_column_int64(s, 1);
		a.position = (uint64_t)sqlite3_column_int64(s, 2);
		a.made_ns = (uint64_t)sqlite3_column_int64(s, 4);
		rc = blob_to(s, 3, a.hash, sizeof(a.hash));
	}
	(void)sqlite3_reset(s);
	if (rc == SLK_OK)
		*out_anchor = a;
	return rc;
}

int
kms_catalog_anchor_set(struct kms_catalog *catalog, const struct kms_anchor *a)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_ANCHOR_SET);

	(void)sqlite3_bind_blob(s, 1, a->journal, sizeof(a->journal), SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 2, a->lane);
	(void)sqlite3_bind_int64(s, 3, (sqlite3_int64)a->run);
	(void)sqlite3_bind_int64(s, 4, (sqlite3_int64)a->file_id);
	(void)sqlite3_bind_int64(s, 5, (sqlite3_int64)a->position);
	(void)sqlite3_bind_blob(s, 6, a->hash, sizeof(a->hash), SQLITE_STATIC);
	(void)sqlite3_bind_int64(s, 7, (sqlite3_int64)a->made_ns);
	return kms_db_run(catalog, s);
}

bool
kms_anchor_is_ahead(const struct kms_anchor *a, const struct fmt_proof_statement *s)
{
	return s->file_id > a->file_id || (s->file_id == a->file_id && s->position > a->position);
}

bool
kms_anchor_is_behind(const struct kms_anchor *a, const struct fmt_proof_statement *s)
{
	if ((s->flags & FMT_PROOF_OPENING) != 0)
		return s->file_id < a->file_id ||
			(s->file_id == a->file_id && s->position < a->position);
	/* Older files are read back and stated at any later time. */
	if ((s->flags & FMT_PROOF_READ_BACK) != 0)
		return false;
	/* An opening gets file ids above all that were ever used: its run says from where. */
	return s->run < a->run || (s->run > a->run && s->run <= a->file_id);
}
