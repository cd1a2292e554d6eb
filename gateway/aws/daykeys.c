#include "aws/daykeys.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"

#define BUCKETS 2048u /* a power of two */
#define NONE UINT32_MAX

struct entry {
	uint8_t name[GW_SHA256_BYTES];
	bool used, known;
	uint64_t until_ns; /* monotonic */
	uint32_t next; /* in its bucket */
	struct gw_identity who;
};

struct gw_day_keys {
	struct slk_secret *slab; /* GW_DAY_KEYS_MAX keys */
	uint32_t buckets[BUCKETS];
	uint32_t hand; /* the oldest entry */
	struct entry entries[GW_DAY_KEYS_MAX];
};

int
gw_day_keys_new(struct gw_day_keys **out_keys)
{
	struct gw_day_keys *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return SLK_NO_MEMORY;
	int rc = slk_secret_new((size_t)GW_DAY_KEYS_MAX * GW_SHA256_BYTES, &k->slab);
	if (rc != SLK_OK) {
		free(k);
		return rc;
	}
	for (unsigned i = 0; i < BUCKETS; i++)
		k->buckets[i] = NONE;
	*out_keys = k;
	return SLK_OK;
}

void
gw_day_keys_free(struct gw_day_keys *keys)
{
	if (keys == NULL)
		return;
	slk_secret_free(keys->slab);
	free(keys);
}

int
gw_day_key_name(struct gw_sigv4_engine *engine, const struct gw_sigv4 *sig,
	uint8_t out_name[GW_SHA256_BYTES])
{
	const char *const parts[] = {sig->key_id, sig->date, sig->region, sig->service,
		sig->token != NULL ? sig->token : ""};
	struct gw_hash *hash = NULL;

	int rc = gw_hash_new(engine, &hash);
	for (size_t i = 0; rc == SLK_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
		rc = gw_hash_add(hash, parts[i], strlen(parts[i]) + 1);
	if (rc == SLK_OK)
		rc = gw_hash_end(hash, out_name);
	gw_hash_free(hash);
	return rc;
}

static uint8_t *
key_of(struct gw_day_keys *k, uint32_t index)
{
	return slk_secret_bytes(k->slab) + (size_t)index * GW_SHA256_BYTES;
}

/* Names are hashes: any bits of them will do. */
static uint32_t *
bucket_of(struct gw_day_keys *k, const uint8_t name[GW_SHA256_BYTES])
{
	return &k->buckets[slk_get_le32(name) & (BUCKETS - 1)];
}

static void
drop(struct gw_day_keys *k, uint32_t index)
{
	struct entry *e = &k->entries[index];

	if (!e->used)
		return;
	for (uint32_t *at = bucket_of(k, e->name); *at != NONE; at = &k->entries[*at].next)
		if (*at == index) {
			*at = e->next;
			break;
		}
	slk_wipe(key_of(k, index), GW_SHA256_BYTES);
	e->used = false;
}

static uint32_t
find(struct gw_day_keys *k, const uint8_t name[GW_SHA256_BYTES])
{
	uint32_t i = *bucket_of(k, name);

	while (i != NONE && memcmp(k->entries[i].name, name, GW_SHA256_BYTES) != 0)
		i = k->entries[i].next;
	return i;
}

int
gw_day_keys_find(struct gw_day_keys *keys, const uint8_t name[GW_SHA256_BYTES], uint64_t mono_ns,
	uint64_t wall_ns, const uint8_t **out_key, const struct gw_identity **out_who)
{
	uint32_t i = find(keys, name);

	if (i == NONE)
		return SLK_NOT_FOUND;
	const struct entry *e = &keys->entries[i];
	bool ended = e->known && e->who.expires_ns != 0 && e->who.expires_ns <= wall_ns;
	if (e->until_ns <= mono_ns || ended) {
		drop(keys, i);
		return SLK_NOT_FOUND;
	}
	if (!e->known)
		return SLK_DENIED;
	*out_key = key_of(keys, i);
	*out_who = &e->who;
	return SLK_OK;
}

void
gw_day_keys_put(struct gw_day_keys *keys, const uint8_t name[GW_SHA256_BYTES], uint64_t mono_ns,
	const uint8_t *key, const struct gw_identity *who)
{
	uint32_t i = find(keys, name);

	if (i != NONE)
		drop(keys, i);
	i = keys->hand;
	keys->hand = (keys->hand + 1) % GW_DAY_KEYS_MAX;
	drop(keys, i);
	struct entry *e = &keys->entries[i];
	memcpy(e->name, name, GW_SHA256_BYTES);
	e->used = true;
	e->known = key != NULL;
	e->until_ns =
		mono_ns + (key != NULL ? GW_DAY_KEY_LIFE_S : GW_DAY_KEY_UNKNOWN_S) * SLK_NS_PER_S;
	if (key != NULL) {
		memcpy(key_of(keys, i), key, GW_SHA256_BYTES);
		e->who = *who;
	}
	uint32_t *bucket = bucket_of(keys, name);
	e->next = *bucket;
	*bucket = i;
}

void
gw_day_keys_forget(struct gw_day_keys *keys)
{
	for (uint32_t i = 0; i < GW_DAY_KEYS_MAX; i++)
		drop(keys, i);
}
