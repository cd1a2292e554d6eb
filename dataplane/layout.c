#include "layout.h"

#include <stdlib.h>
#include <string.h>

/* --- the open ones --- */

static bool
is_routed(const struct kmsc_shard *row)
{
	return row->state == KMSC_SHARD_OPEN || row->state == KMSC_SHARD_OPENING;
}

static int
by_start(const void *a, const void *b)
{
	kmsc_hash_key x = (*(const struct kmsc_shard *const *)a)->start;
	kmsc_hash_key y = (*(const struct kmsc_shard *const *)b)->start;

	return x < y ? -1 : x > y;
}

/* Those that are written from now on, by range; free() it. */
static int
pick(const struct kmsc_shard *rows, size_t count, const struct kmsc_shard ***out, uint32_t *out_n)
{
	const struct kmsc_shard **list = calloc(count + 1, sizeof(*list));
	size_t n = 0;

	if (list == NULL)
		return SLK_NO_MEMORY;
	for (size_t i = 0; i < count; i++) {
		if (is_routed(&rows[i]))
			list[n++] = &rows[i];
	}
	if (n > DP_SHARD_COUNT_MAX) {
		free(list);
		return SLK_RANGE;
	}
	qsort(list, n, sizeof(*list), by_start);
	*out = list;
	*out_n = (uint32_t)n;
	return SLK_OK;
}

static bool
covers_all(const struct kmsc_shard *const *list, uint32_t n)
{
	kmsc_hash_key at = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (list[i]->start != at || list[i]->end < at)
			return false;
		at = list[i]->end + 1;
	}
	return n > 0 && at == 0; /* behind the highest */
}

static bool
are_equal(const struct kmsc_shard *const *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		dp_hash_key start, end;
		dp_hash_key_range(i, n, &start, &end);
		if (list[i]->start != start || list[i]->end != end)
			return false;
	}
	return true;
}

static int
fill(const struct kmsc_shard *const *list, uint32_t n, struct dp_layout *out)
{
	struct dp_layout layout = {.count = n, .shards = calloc(n, sizeof(*layout.shards))};
	bool equal = are_equal(list, n);

	if (!equal)
		layout.starts = calloc(n, sizeof(*layout.starts));
	if (layout.shards == NULL || (!equal && layout.starts == NULL)) {
		dp_layout_fini(&layout);
		return SLK_NO_MEMORY;
	}
	for (uint32_t i = 0; i < n; i++) {
		layout.shards[i] = (struct dp_layout_shard){.number = list[i]->number,
			.first_sequence = list[i]->first_sequence,
			.opening = list[i]->state == KMSC_SHARD_OPENING};
		if (!equal)
			layout.starts[i] = list[i]->start;
	}
	*out = layout;
	return SLK_OK;
}

int
dp_layout_new(const struct kmsc_shard *rows, size_t count, struct dp_layout *out_layout)
{
	const struct kmsc_shard **list = NULL;
	uint32_t n = 0;

	int rc = pick(rows, count, &list, &n);
	if (rc == SLK_OK && !covers_all(list, n))
		rc = SLK_MALFORMED;
	if (rc == SLK_OK)
		rc = fill(list, n, out_layout);
	free(list);
	return rc;
}

void
dp_layout_fini(struct dp_layout *layout)
{
	free(layout->shards);
	free(layout->starts);
	memset(layout, 0, sizeof(*layout));
}

/* --- a change --- */

static bool
is_pending(const struct kmsc_shard *row)
{
	return row->state == KMSC_SHARD_CLOSING || row->state == KMSC_SHARD_OPENING ||
		row->state == KMSC_SHARD_PASSING;
}

static int
by_number(const void *key, const void *member)
{
	uint32_t a = *(const uint32_t *)key, b = ((const struct dp_pending *)member)->number;

	return a < b ? -1 : a > b;
}

/* The place of a parent, which comes before. */
static int
place(const struct dp_pending *pending, uint32_t before, uint32_t number, uint32_t *out)
{
	const struct dp_pending *p = bsearch(&number, pending, before, sizeof(*pending), by_number);

	if (p == NULL)
		return SLK_MALFORMED;
	*out = (uint32_t)(p - pending);
	return SLK_OK;
}

static int
take(const struct kmsc_shard *row, struct dp_pending *pending, uint32_t at)
{
	struct dp_pending p = {.number = row->number,
		.state = row->state,
		.parent = DP_NO_SHARD,
		.adjacent = DP_NO_SHARD,
		.end = row->first_sequence};
	int rc = SLK_OK;

	if (row->state != KMSC_SHARD_CLOSING) {
		if (row->has_parent)
			rc = place(pending, at, row->parent, &p.parent);
		if (rc == SLK_OK && row->has_adjacent)
			rc = place(pending, at, row->adjacent, &p.adjacent);
	}
	if (rc == SLK_OK)
		pending[at] = p;
	return rc;
}

int
dp_pending_new(const struct kmsc_shard *rows, size_t count, struct dp_pending **out_pending,
	uint32_t *out_count)
{
	struct dp_pending *pending = NULL;
	uint32_t n = 0, at = 0;
	int rc = SLK_OK;

	for (size_t i = 0; i < count; i++)
		n += is_pending(&rows[i]);
	if (n > 0) {
		pending = calloc(n, sizeof(*pending));
		if (pending == NULL)
			return SLK_NO_MEMORY;
	}
	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		if (is_pending(&rows[i]))
			rc = take(&rows[i], pending, at++);
	}
	if (rc != SLK_OK) {
		free(pending);
		return rc;
	}
	*out_pending = pending;
	*out_count = n;
	return SLK_OK;
}

void
dp_pending_settle(struct dp_pending *pending, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct dp_pending *p = &pending[i];
		const uint32_t parents[] = {p->parent, p->adjacent};
		if (p->state == KMSC_SHARD_CLOSING)
			continue;
		for (unsigned k = 0; k < 2; k++) {
			if (parents[k] != DP_NO_SHARD && pending[parents[k]].end > p->first)
				p->first = pending[parents[k]].end;
		}
		p->end = p->first;
	}
}
