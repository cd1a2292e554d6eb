/* A stream's shards as kmsd has them, and where its records go by them. */
#include <stdlib.h>
#include <string.h>

#include "control_internal.h"

/* --- shards --- */

/* Room for one page more. */
static int
grow(struct kmsc_shard **rows, size_t *cap, size_t count)
{
	if (count + KMSC_SHARDS_PAGE <= *cap)
		return SLK_OK;
	size_t wanted = 2 * *cap + KMSC_SHARDS_PAGE;
	struct kmsc_shard *more = realloc(*rows, wanted * sizeof(*more));
	if (more == NULL)
		return SLK_NO_MEMORY;
	*rows = more;
	*cap = wanted;
	return SLK_OK;
}

int
dp_control_read_shards(struct dp_control *c, const char *name, struct kmsc_shard **out_rows,
	size_t *out_count, struct slk_error *err)
{
	const struct kmsc_shard_query all = {.filter = KMSC_SHARDS_ALL};
	char marker[KMSC_MARKER_MAX] = "", next[KMSC_MARKER_MAX];
	struct kmsc_shard *rows = NULL;
	size_t count = 0, cap = 0, found = 0;
	int rc;

	do {
		rc = grow(&rows, &cap, count);
		if (rc != SLK_OK)
			rc = slk_fail(err, rc, "no memory for the shards of stream %s", name);
		if (rc == SLK_OK)
			rc = dp_control_ask_kms(c, err);
		if (rc == SLK_OK)
			rc = dp_control_saw_kms(c,
				kmsc_list_shards(c->kms, name, &all, marker, rows + count,
					KMSC_SHARDS_PAGE, &found, next, err),
				err);
		if (rc != SLK_OK)
			break;
		count += found;
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0' && atomic_load(&c->stop) == 0);
	if (rc != SLK_OK) {
		free(rows);
		return rc;
	}
	*out_rows = rows;
	*out_count = count;
	return SLK_OK;
}

/* --- partition rules --- */

static const struct kmsc_shard *
find_row(const struct kmsc_shard *rows, size_t count, uint32_t number)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (rows[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < count && rows[low].number == number ? &rows[low] : NULL;
}

struct source {
	const struct dp_layout *layout;
	const struct kmsc_shard *rows;
	size_t rows_count;
};

static int
make_partition(const struct dp_rule_config *r, const struct source *from, unsigned worker,
	struct dp_partition **out, struct slk_error *err)
{
	struct dp_partition_config pc = {.rule = r->rule,
		.shard_count = from->layout->count,
		.starts = from->layout->starts,
		.fixed_shard = r->shard,
		.field = r->field,
		.separator = (uint8_t)(r->separator != NULL ? r->separator[0] : ' '),
		.start_shard = worker};

	if (r->rule == DP_PARTITION_FIXED) {
		const struct kmsc_shard *row = find_row(from->rows, from->rows_count, r->shard);
		if (row == NULL)
			return slk_fail(err, SLK_CONFIG,
				"shard %u does not exist: the stream has %u open ones", r->shard,
				from->layout->count);
		/* Its records go where its keys belong, whatever became of it. */
		pc.has_fixed_range = true;
		pc.fixed_start = row->start;
		pc.fixed_end = row->end;
	}
	return dp_partition_new(&pc, out, err);
}

bool
dp_control_feeds(const struct place *place, const struct dp_stream *stream)
{
	return place->config != NULL && strcmp(place->config->stream, stream->name) == 0;
}

/* One listener's way into the stream. A rule that does not fit it is reported and refuses that listener's records. */
static int
make_feed(const struct place *place, unsigned index, const struct dp_stream *stream,
	const struct source *from, struct dp_feed *out)
{
	const struct dp_listener_config *l = place->config;
	struct slk_error err;

	*out = (struct dp_feed){.listener = index};
	int rc = make_partition(&l->partition, from, place->worker, &out->partition, &err);
	if (rc != SLK_CONFIG)
		return rc;
	slk_warn("a listener's partition rule does not fit its stream; its records are dropped",
		slk_kv("udp_port", l->udp_port), slk_kv("stream", (const char *)stream->name),
		slk_kv("reason", (const char *)err.text));
	return SLK_OK;
}

/* The feeds of all listeners whose ports are the worker's that writes the stream. */
static int
make_feeds(struct dp_control *c, const struct dp_stream *stream, const struct source *from,
	struct dp_feed **out_feeds, uint32_t *out_count)
{
	struct dp_feed *list = calloc(DP_LISTENERS_MAX, sizeof(*list));
	uint32_t count = 0;
	int rc = list != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (unsigned i = 0; i < DP_LISTENERS_MAX && rc == SLK_OK; i++) {
		if (!dp_control_feeds(&c->places[i], stream) ||
			c->places[i].worker != stream->worker)
			continue;
		rc = make_feed(&c->places[i], i, stream, from, &list[count]);
		count += rc == SLK_OK;
	}
	if (rc != SLK_OK) {
		dp_feeds_free(list, count);
		return rc;
	}
	*out_feeds = list;
	*out_count = count;
	return SLK_OK;
}

int
dp_control_make_feeds(struct dp_control *c, const struct dp_stream *stream,
	const struct kmsc_shard *rows, size_t count, struct dp_feed **out_feeds,
	uint32_t *out_count)
{
	struct dp_layout layout;
	int rc = dp_layout_new(rows, count, &layout);

	if (rc != SLK_OK)
		return rc;
	const struct source from = {.layout = &layout, .rows = rows, .rows_count = count};
	rc = make_feeds(c, stream, &from, out_feeds, out_count);
	dp_layout_fini(&layout);
	return rc;
}

/* --- routes --- */

static int
make_shards(struct dp_stream *stream, const struct dp_layout *layout, struct dp_routes *out)
{
	out->shards = calloc(layout->count, sizeof(*out->shards));
	if (out->shards == NULL)
		return SLK_NO_MEMORY;
	out->shard_count = layout->count;
	for (uint32_t i = 0; i < layout->count; i++) {
		dp_shard_init(&out->shards[i], stream, layout->shards[i].number);
		out->shards[i].first_sequence = layout->shards[i].first_sequence;
		out->shards[i].held = layout->shards[i].opening;
	}
	return SLK_OK;
}

int
dp_control_make_routes(struct dp_control *c, struct dp_stream *stream,
	const struct kmsc_shard *rows, size_t count, struct dp_routes *out_routes)
{
	struct dp_routes routes = {0};
	struct dp_layout layout;
	int rc = dp_layout_new(rows, count, &layout);

	if (rc != SLK_OK)
		return rc;
	const struct source from = {.layout = &layout, .rows = rows, .rows_count = count};
	rc = make_shards(stream, &layout, &routes);
	if (rc == SLK_OK)
		rc = make_feeds(c, stream, &from, &routes.feeds, &routes.feed_count);
	routes.starts = layout.starts;
	layout.starts = NULL; /* the routes' */
	dp_layout_fini(&layout);
	if (rc != SLK_OK) {
		dp_routes_fini(&routes);
		return rc;
	}
	*out_routes = routes;
	return SLK_OK;
}
