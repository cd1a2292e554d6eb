#include "aws/decisions.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define WAYS 4u

/* Sets of four: a name has four places, and takes the one that ends first. */
struct gw_decisions {
	struct {
		uint8_t name[GW_SHA256_BYTES];
		uint64_t until_ns; /* monotonic; 0: free */
	} places[GW_DECISIONS_MAX];
};

int
gw_decisions_new(struct gw_decisions **out_decisions)
{
	*out_decisions = calloc(1, sizeof(**out_decisions));
	return *out_decisions != NULL ? SLK_OK : SLK_NO_MEMORY;
}

void
gw_decisions_free(struct gw_decisions *decisions)
{
	free(decisions);
}

int
gw_decision_name(struct gw_sigv4_engine *engine, const uint8_t credential[GW_SHA256_BYTES],
	const char *action, const char *resource, const char *where,
	uint8_t out_name[GW_SHA256_BYTES])
{
	struct gw_hash *hash = NULL;

	int rc = gw_hash_new(engine, &hash);
	if (rc == SLK_OK)
		rc = gw_hash_add(hash, credential, GW_SHA256_BYTES);
	if (rc == SLK_OK)
		rc = gw_hash_add(hash, action, strlen(action) + 1);
	if (rc == SLK_OK)
		rc = gw_hash_add(hash, resource, strlen(resource) + 1);
	if (rc == SLK_OK)
		rc = gw_hash_add(hash, where, strlen(where) + 1);
	if (rc == SLK_OK)
		rc = gw_hash_end(hash, out_name);
	gw_hash_free(hash);
	return rc;
}

static size_t
first_place(const uint8_t name[GW_SHA256_BYTES])
{
	return slk_get_le32(name) % (GW_DECISIONS_MAX / WAYS) * WAYS;
}

bool
gw_decisions_has(
	const struct gw_decisions *decisions, const uint8_t name[GW_SHA256_BYTES], uint64_t mono_ns)
{
	size_t first = first_place(name);

	for (size_t i = first; i < first + WAYS; i++)
		if (decisions->places[i].until_ns > mono_ns &&
			memcmp(decisions->places[i].name, name, GW_SHA256_BYTES) == 0)
			return true;
	return false;
}

void
gw_decisions_put(
	struct gw_decisions *decisions, const uint8_t name[GW_SHA256_BYTES], uint64_t mono_ns)
{
	size_t first = first_place(name), at = first;

	for (size_t i = first; i < first + WAYS; i++) {
		if (memcmp(decisions->places[i].name, name, GW_SHA256_BYTES) == 0) {
			at = i;
			break;
		}
		if (decisions->places[i].until_ns < decisions->places[at].until_ns)
			at = i;
	}
	memcpy(decisions->places[at].name, name, GW_SHA256_BYTES);
	decisions->places[at].until_ns = mono_ns + GW_DECISION_LIFE_S * SLK_NS_PER_S;
}

void
gw_decisions_forget(struct gw_decisions *decisions)
{
	memset(decisions, 0, sizeof(*decisions));
}
