#include "policy/query.h"

#include <string.h>

#define FNV_START 2166136261u
#define FNV_PRIME 16777619u

static inline unsigned
lower(char byte)
{
	unsigned c = (unsigned char)byte;

	return c - 'A' < 26u ? c | 0x20u : c;
}

/* FNV-1a over the name in lower case. */
struct pol_key
pol_key(const char *name)
{
	uint32_t hash = FNV_START, len = 0;

	for (; name[len] != '\0'; len++)
		hash = (hash ^ lower(name[len])) * FNV_PRIME;
	return (struct pol_key){name, hash, len};
}

static uint64_t
bit_of(uint32_t hash)
{
	return 1ull << ((hash ^ hash >> 16) & 63);
}

struct pol_gate
pol_gate_of(const char *folded_action, size_t len)
{
	uint32_t hash = FNV_START, service = 0;
	bool colon = false;

	for (size_t i = 0; i < len; i++) {
		if (folded_action[i] == ':' && !colon) {
			service = hash;
			colon = true;
		}
		hash = (hash ^ (unsigned char)folded_action[i]) * FNV_PRIME;
	}
	return (struct pol_gate){bit_of(hash), bit_of(colon ? service : hash)};
}

int
pol_query_prepare(struct pol_query *query)
{
	if (query->principal == NULL || query->account == NULL || query->action == NULL ||
		query->resource == NULL || query->values_count > POL_VALUES_MAX ||
		(query->values == NULL && query->values_count > 0))
		return SLK_INVALID;
	query->action_len = strlen(query->action);
	if (query->action_len >= sizeof(query->folded_action))
		return SLK_INVALID;
	for (size_t i = 0; i <= query->action_len; i++)
		query->folded_action[i] = (char)lower(query->action[i]);
	query->resource_len = strlen(query->resource);
	query->principal_len = strlen(query->principal);
	query->gate = pol_gate_of(query->folded_action, query->action_len);
	for (size_t i = 0; i < query->values_count; i++) {
		const struct pol_key key = pol_key(query->values[i].key);
		query->hashes[i] = key.hash;
		query->lens[i] = key.len;
	}
	query->session_len = query->session != NULL ? strlen(query->session) : 0;
	return SLK_OK;
}

const char *
pol_query_single(const void *ctx, const char *key, size_t *out_len)
{
	const struct pol_query *query = ctx;
	const struct pol_key k = pol_key(key);
	const char *value = NULL;
	size_t at = 0;

	for (; (at = pol_query_find(query, &k, at)) < query->values_count; at++) {
		if (query->values[at].count > (value == NULL ? 1 : 0))
			return NULL;
		if (query->values[at].count == 1)
			value = query->values[at].values[0];
	}
	if (value != NULL)
		*out_len = strlen(value);
	return value;
}
