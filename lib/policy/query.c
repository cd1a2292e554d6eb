#include "policy/query.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

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
	query->session_len = query->session != NULL ? strlen(query->session) : 0;
	return SLK_OK;
}

const char *
pol_query_next(const struct pol_query *query, const char *key, size_t *at, size_t *index)
{
	for (; *at < query->values_count; ++*at, *index = 0) {
		const struct pol_value *v = &query->values[*at];
		if (*index < v->count && strcasecmp(v->key, key) == 0)
			return v->values[(*index)++];
	}
	return NULL;
}

bool
pol_query_has(const struct pol_query *query, const char *key)
{
	for (size_t i = 0; i < query->values_count; i++)
		if (strcasecmp(query->values[i].key, key) == 0)
			return true;
	return false;
}

const char *
pol_query_single(const void *ctx, const char *key, size_t *out_len)
{
	size_t at = 0, index = 0;

	const char *value = pol_query_next(ctx, key, &at, &index);
	if (value == NULL || pol_query_next(ctx, key, &at, &index) != NULL)
		return NULL;
	*out_len = strlen(value);
	return value;
}
