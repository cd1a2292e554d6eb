/* Keys as they were last read: kmsd asks for one with every request. See catalog_db.h. */
#include <stdlib.h>
#include <string.h>

#include "catalog_db.h"

#define SLOTS_COUNT 4096u /* a power of two; half a megabyte */

struct kms_cached_key {
	bool used;
	sqlite3_int64 changes; /* rows that were changed until then; another number: stale */
	struct kms_key key;
};

/* Ids are random. */
static struct kms_cached_key *
slot_of(const struct kms_catalog *c, const uint8_t id[KMS_ID_BYTES])
{
	uint16_t index;

	memcpy(&index, id + KMS_ID_BYTES - sizeof(index), sizeof(index));
	return &c->cache[index % SLOTS_COUNT];
}

/* What a transaction sees may be rolled back. Nobody else writes: the database is locked for us alone. */
static bool
is_usable(const struct kms_catalog *c)
{
	return c->cache != NULL && sqlite3_get_autocommit(c->db) != 0;
}

void
kms_cache_new(struct kms_catalog *catalog)
{
	catalog->cache = calloc(SLOTS_COUNT, sizeof(*catalog->cache));
}

void
kms_cache_free(struct kms_catalog *catalog)
{
	free(catalog->cache);
}

bool
kms_cache_get(
	const struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES], struct kms_key *out_key)
{
	if (!is_usable(catalog))
		return false;
	const struct kms_cached_key *slot = slot_of(catalog, id);
	if (!slot->used || slot->changes != sqlite3_total_changes64(catalog->db) ||
		memcmp(slot->key.id, id, KMS_ID_BYTES) != 0)
		return false;
	*out_key = slot->key;
	return true;
}

void
kms_cache_put(struct kms_catalog *catalog, const struct kms_key *key)
{
	if (is_usable(catalog))
		*slot_of(catalog, key->id) =
			(struct kms_cached_key){true, sqlite3_total_changes64(catalog->db), *key};
}
