#include "policy/query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* FNV-1a over the name in lower case. */
struct pol_key
pol_key(const char *name)
{
	uint32_t hash = 2166136261u;

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (unsigned)tolower((unsigned char)*c)) * 16777619u;
	return (struct pol_key){name, hash};
}

static bool
is_key(const struct pol_query *query, size_t index, const struct pol_key *key)
{
	return query->hashes[index] == key->hash &&
		strcasecmp(query->values[index].key, key->name) == 0;
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
		query->folded_action[i] = (char)tolower((unsigned char)query->action[i]);
	query->resource_len = strlen(query->resource);
	query->principal_len = strlen(query->principal);
	for (size_t i = 0; i < query->values_count; i++)
		query->hashes[i] = pol_key(query->values[i].key).hash;
	query->session_len = query->session != NULL ? strlen(query->session) : 0;
	return SLK_OK;
}

const char *
pol_query_next(const struct pol_query *query, const struct pol_key *key, size_t *at, size_t *index)
{
	for (; *at < query->values_count; ++*at, *index = 0) {
		const struct pol_value *v = &query->values[*at];
		if (*index < v->count && is_key(query, *at, key))
			return v->values[(*index)++];
	}
	return NULL;
}

bool
pol_query_has(const struct pol_query *query, const struct pol_key *key)
{
	for (size_t i = 0; i < query->values_count; i++)
		if (is_key(query, i, key))
			return true;
	return false;
}

const char *
pol_query_single(const void *ctx, const char *key, size_t *out_len)
{
	const struct pol_key k = pol_key(key);
	size_t at = 0, index = 0;

	const char *value = pol_query_next(ctx, &k, &at, &index);
	if (value == NULL || pol_query_next(ctx, &k, &at, &index) != NULL)
		return NULL;
	*out_len = strlen(value);
	return value;
}
