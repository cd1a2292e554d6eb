#include "catalog_streams.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "catalog_db.h"
#include "catalog_tags.h"

#define HOUR_NS (3600 * SLK_NS_PER_S)
#define EVENT_WINDOW_NS (24 * HOUR_NS)

/* --- streams --- */

static int
stream_row(sqlite3_stmt *s, void *out)
{
	struct kms_stream stream = {.id = (uint64_t)sqlite3_column_int64(s, 0),
		.shard_count = (uint32_t)sqlite3_column_int64(s, 2),
		.encrypted_kms = sqlite3_column_int(s, 3) != 0,
		.created_ns = (uint64_t)sqlite3_column_int64(s, 5),
		.change = (uint64_t)sqlite3_column_int64(s, 7),
		.retention_hours = (uint32_t)sqlite3_column_int64(s, 9),
		.on_demand = sqlite3_column_int(s, 10) != 0,
		.shards_count = (uint32_t)sqlite3_column_int64(s, 11)};
	int state = sqlite3_column_int(s, 6);
	int rc = state < 0 || state >= (int)KMS_STREAM_STATES ? SLK_CORRUPT : SLK_OK;

	stream.state = (enum kms_stream_state)state;
	if (rc == SLK_OK)
		rc = kms_db_text(s, 1, stream.name, sizeof(stream.name));
	if (rc == SLK_OK)
		rc = kms_db_blob(s, 4, stream.key_id, sizeof(stream.key_id));
	if (rc == SLK_OK)
		rc = kms_db_text(s, 8, stream.key_name, sizeof(stream.key_name));
	if (rc == SLK_OK)
		*(struct kms_stream *)out = stream;
	return rc;
}

int
kms_catalog_stream_get(struct kms_catalog *catalog, const char *name, struct kms_stream *out_stream)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_GET);

	kms_db_bind_text(s, 1, name);
	return kms_db_one(catalog, s, stream_row, out_stream);
}

int
kms_catalog_stream_list(struct kms_catalog *catalog, const char *after, bool all,
	struct kms_stream *out_streams, size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_LIST);

	kms_db_bind_text(s, 1, after);
	kms_db_bind_u64(s, 2, cap);
	kms_db_bind_u64(s, 3, all);
	return kms_db_rows(
		catalog, s, cap, sizeof(*out_streams), stream_row, out_streams, out_count);
}

int
kms_catalog_stream_delete(struct kms_catalog *catalog, const char *name)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_DELETE);

	kms_db_bind_text(s, 1, name);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_streams_of_key(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], uint64_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_COUNT);

	kms_db_bind_id(s, 1, key_id);
	return kms_db_one(catalog, s, kms_db_u64_row, out_count);
}

static int
totals_row(sqlite3_stmt *s, void *out)
{
	*(struct kms_stream_totals *)out =
		(struct kms_stream_totals){.open_shards = (uint64_t)sqlite3_column_int64(s, 0),
			.on_demand_streams = (uint64_t)sqlite3_column_int64(s, 1)};
	return SLK_OK;
}

int
kms_catalog_stream_totals(struct kms_catalog *catalog, struct kms_stream_totals *out_totals)
{
	return kms_db_one(
		catalog, kms_db_statement(catalog, SQL_STREAM_TOTALS), totals_row, out_totals);
}

/* --- what may happen only so often --- */

int
kms_catalog_stream_events(struct kms_catalog *catalog, uint64_t stream_id,
	enum kms_stream_event event, uint64_t since_ns, uint64_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_EVENT_COUNT);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, event);
	kms_db_bind_u64(s, 3, since_ns);
	return kms_db_one(catalog, s, kms_db_u64_row, out_count);
}

/* What is too old to count is forgotten. */
int
kms_db_stream_event(struct kms_catalog *catalog, uint64_t stream_id, int event, uint64_t ns)
{
	if (event == KMS_EVENT_NONE)
		return SLK_OK;
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_EVENT_TRIM);
	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, (uint64_t)event);
	kms_db_bind_u64(s, 3, ns > EVENT_WINDOW_NS ? ns - EVENT_WINDOW_NS : 0);
	int rc = kms_db_run(catalog, s);
	if (rc != SLK_OK)
		return rc;
	s = kms_db_statement(catalog, SQL_STREAM_EVENT_INSERT);
	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, (uint64_t)event);
	kms_db_bind_u64(s, 3, ns);
	return kms_db_run(catalog, s);
}

int
kms_db_stream_set(struct kms_catalog *catalog, const struct kms_stream *stream)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_SET);

	kms_db_bind_u64(s, 1, stream->id);
	kms_db_bind_u64(s, 2, stream->shard_count);
	kms_db_bind_u64(s, 3, stream->encrypted_kms);
	kms_db_bind_id(s, 4, stream->key_id);
	kms_db_bind_u64(s, 5, stream->state);
	kms_db_bind_u64(s, 6, stream->change);
	kms_db_bind_text(s, 7, stream->key_name);
	kms_db_bind_u64(s, 8, stream->retention_hours);
	kms_db_bind_u64(s, 9, stream->on_demand);
	kms_db_bind_u64(s, 10, stream->shards_count);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_stream_set(struct kms_catalog *catalog, const struct kms_stream *stream,
	enum kms_stream_event event, uint64_t wall_ns)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_db_stream_set(catalog, stream);
	if (rc == SLK_OK)
		rc = kms_db_stream_event(catalog, stream->id, event, wall_ns);
	return kms_db_end(catalog, rc);
}

/* --- shards --- */

static int
hash_column(sqlite3_stmt *s, int column, kms_hash *out)
{
	uint8_t bytes[KMS_HASH_BYTES];
	int rc = kms_db_blob(s, column, bytes, sizeof(bytes));

	if (rc == SLK_OK)
		*out = kms_hash_get(bytes);
	return rc;
}

static int
shard_row(sqlite3_stmt *s, void *out)
{
	int state = sqlite3_column_int(s, 1);
	struct kms_shard shard = {.number = (uint32_t)sqlite3_column_int64(s, 0),
		.state = (enum kms_shard_state)state,
		.has_parent = sqlite3_column_type(s, 4) != SQLITE_NULL,
		.parent = (uint32_t)sqlite3_column_int64(s, 4),
		.has_adjacent = sqlite3_column_type(s, 5) != SQLITE_NULL,
		.adjacent = (uint32_t)sqlite3_column_int64(s, 5),
		.created_s = (uint64_t)sqlite3_column_int64(s, 6),
		.opened_ns = (uint64_t)sqlite3_column_int64(s, 7),
		.closed_ns = (uint64_t)sqlite3_column_int64(s, 8),
		.first_sequence = (uint64_t)sqlite3_column_int64(s, 9),
		.end_sequence = (uint64_t)sqlite3_column_int64(s, 10)};
	int rc = state < KMS_SHARD_OPEN || state > KMS_SHARD_PASSING ? SLK_CORRUPT : SLK_OK;

	if (rc == SLK_OK)
		rc = hash_column(s, 2, &shard.start);
	if (rc == SLK_OK)
		rc = hash_column(s, 3, &shard.end);
	if (rc == SLK_OK)
		*(struct kms_shard *)out = shard;
	return rc;
}

int
kms_catalog_shard_get(struct kms_catalog *catalog, uint64_t stream_id, uint32_t number,
	struct kms_shard *out_shard)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_GET);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, number);
	return kms_db_one(catalog, s, shard_row, out_shard);
}

static uint64_t
sql_time(uint64_t ns)
{
	return ns < INT64_MAX ? ns : INT64_MAX;
}

int
kms_catalog_shard_list(struct kms_catalog *catalog, uint64_t stream_id,
	const struct kms_shard_filter *filter, uint32_t first, struct kms_shard *out_shards,
	size_t cap, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_LIST);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, first);
	kms_db_bind_u64(s, 3, filter->all);
	kms_db_bind_u64(s, 4, sql_time(filter->opened_by_ns));
	kms_db_bind_u64(s, 5, sql_time(filter->closed_after_ns));
	kms_db_bind_u64(s, 6, cap);
	return kms_db_rows(catalog, s, cap, sizeof(*out_shards), shard_row, out_shards, out_count);
}

struct shard_counts {
	uint64_t open, pending;
};

static int
counts_row(sqlite3_stmt *s, void *out)
{
	*(struct shard_counts *)out =
		(struct shard_counts){.open = (uint64_t)sqlite3_column_int64(s, 0),
			.pending = (uint64_t)sqlite3_column_int64(s, 1)};
	return SLK_OK;
}

static int
count_shards(struct kms_catalog *catalog, uint64_t stream_id, struct shard_counts *out)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_COUNT);

	kms_db_bind_u64(s, 1, stream_id);
	return kms_db_one(catalog, s, counts_row, out);
}

/* All rows of a statement whose first parameter is the stream and whose second is a limit; free() *out_shards. */
static int
read_shards(struct kms_catalog *catalog, enum kms_sql sql, uint64_t stream_id, uint64_t count,
	struct kms_shard **out_shards, size_t *out_count)
{
	sqlite3_stmt *s = kms_db_statement(catalog, sql);
	struct kms_shard *shards = calloc(count + 1, sizeof(*shards));

	if (shards == NULL)
		return SLK_NO_MEMORY;
	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, count);
	int rc = kms_db_rows(
		catalog, s, (size_t)count, sizeof(*shards), shard_row, shards, out_count);
	if (rc == SLK_OK)
		*out_shards = shards;
	else
		free(shards);
	return rc;
}

int
kms_catalog_shards_open(struct kms_catalog *catalog, uint64_t stream_id,
	struct kms_shard **out_shards, size_t *out_count)
{
	struct shard_counts counts = {0};
	int rc = count_shards(catalog, stream_id, &counts);

	if (rc != SLK_OK)
		return rc;
	return read_shards(catalog, SQL_SHARD_OPEN, stream_id, counts.open, out_shards, out_count);
}

static void
bind_number(sqlite3_stmt *s, int at, bool is_there, uint32_t number)
{
	if (is_there)
		kms_db_bind_u64(s, at, number);
	else
		(void)sqlite3_bind_null(s, at);
}

/* Within a transaction. */
static int
insert_shard(struct kms_catalog *catalog, uint64_t stream_id, const struct kms_shard *shard)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_INSERT);
	uint8_t start[KMS_HASH_BYTES], end[KMS_HASH_BYTES];

	kms_hash_put(shard->start, start);
	kms_hash_put(shard->end, end);
	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, shard->number);
	kms_db_bind_u64(s, 3, shard->state);
	kms_db_bind_id(s, 4, start);
	kms_db_bind_id(s, 5, end);
	bind_number(s, 6, shard->has_parent, shard->parent);
	bind_number(s, 7, shard->has_adjacent, shard->adjacent);
	kms_db_bind_u64(s, 8, shard->created_s);
	kms_db_bind_u64(s, 9, shard->opened_ns);
	kms_db_bind_u64(s, 10, shard->closed_ns);
	kms_db_bind_u64(s, 11, shard->first_sequence);
	kms_db_bind_u64(s, 12, shard->end_sequence);
	return kms_db_run(catalog, s);
}

/* --- creation --- */

static int
insert_stream(struct kms_catalog *catalog, const struct kms_stream *stream, uint64_t *out_id)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_STREAM_INSERT);

	kms_db_bind_text(s, 1, stream->name);
	kms_db_bind_u64(s, 2, stream->shard_count);
	kms_db_bind_u64(s, 3, stream->encrypted_kms);
	kms_db_bind_id(s, 4, stream->key_id);
	kms_db_bind_u64(s, 5, stream->created_ns);
	kms_db_bind_text(s, 6, stream->key_name);
	kms_db_bind_u64(s, 7,
		stream->retention_hours != 0 ? stream->retention_hours : KMS_RETENTION_MIN_HOURS);
	kms_db_bind_u64(s, 8, stream->on_demand);
	int rc = kms_db_run(catalog, s);
	if (rc == SLK_OK)
		*out_id = (uint64_t)sqlite3_last_insert_rowid(catalog->db);
	return rc;
}

static int
insert_first_shards(
	struct kms_catalog *catalog, uint64_t stream_id, const struct kms_stream *stream)
{
	struct kms_shard shard = {.state = KMS_SHARD_OPEN,
		.created_s = stream->created_ns / SLK_NS_PER_S,
		.opened_ns = stream->created_ns};
	int rc = SLK_OK;

	for (uint32_t i = 0; rc == SLK_OK && i < stream->shard_count; i++) {
		shard.number = i;
		kms_shard_range(i, stream->shard_count, &shard.start, &shard.end);
		rc = insert_shard(catalog, stream_id, &shard);
	}
	return rc;
}

int
kms_db_stream_insert(struct kms_catalog *catalog, const struct kms_stream *stream, uint64_t *out_id)
{
	uint64_t id = 0;

	if (stream->shard_count < 1 || stream->shard_count > KMS_SHARDS_MAX)
		return SLK_RANGE;
	int rc = insert_stream(catalog, stream, &id);
	if (rc == SLK_OK)
		rc = insert_first_shards(catalog, id, stream);
	if (rc == SLK_OK)
		*out_id = id;
	return rc;
}

int
kms_catalog_stream_create(struct kms_catalog *catalog, const struct kms_stream *stream,
	const struct kms_tag *tags, size_t tags_count, uint64_t *out_id)
{
	uint64_t id = 0;
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_db_stream_insert(catalog, stream, &id);
	if (rc == SLK_OK && tags_count > 0)
		rc = kms_db_tags_put(catalog, &(struct kms_tagged){KMS_TAGGED_STREAM, .id = id},
			tags, tags_count);
	rc = kms_db_end(catalog, rc);
	if (rc == SLK_OK)
		*out_id = id;
	return rc;
}

/* --- a change of shards --- */

static int
close_shard(struct kms_catalog *catalog, uint64_t stream_id, uint32_t number)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_CLOSE);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, number);
	return kms_db_run_one(catalog, s);
}

int
kms_catalog_stream_reshard(struct kms_catalog *catalog, const struct kms_stream *stream,
	const struct kms_reshard *plan, enum kms_stream_event event, uint64_t wall_ns)
{
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = kms_db_stream_set(catalog, stream);
	for (size_t i = 0; rc == SLK_OK && i < plan->closing_count; i++)
		rc = close_shard(catalog, stream->id, plan->closing[i]);
	for (size_t i = 0; rc == SLK_OK && i < plan->fresh_count; i++)
		rc = insert_shard(catalog, stream->id, &plan->fresh[i]);
	if (rc == SLK_OK)
		rc = kms_db_stream_event(catalog, stream->id, event, wall_ns);
	return kms_db_end(catalog, rc);
}

static int
by_number(const void *key, const void *member)
{
	uint32_t a = *(const uint32_t *)key, b = *(const uint32_t *)member;

	return a < b ? -1 : a > b;
}

/* Where the parent of that number ended; it comes before its children. */
static int
parent_end(const struct kms_shard *shards, size_t before, uint32_t number, uint64_t *io_first)
{
	const struct kms_shard *parent =
		bsearch(&number, shards, before, sizeof(*shards), by_number);

	if (parent == NULL)
		return SLK_CORRUPT;
	if (parent->end_sequence > *io_first)
		*io_first = parent->end_sequence;
	return SLK_OK;
}

/* The i-th of the shards that the change is about becomes what it will be. */
static int
settle_shard(struct kms_shard *shards, size_t i, const struct kms_shard_end *ends,
	size_t ends_count, uint64_t wall_ns)
{
	struct kms_shard *shard = &shards[i];
	int rc = SLK_OK;

	if (shard->state == KMS_SHARD_CLOSING) {
		const struct kms_shard_end *end =
			bsearch(&shard->number, ends, ends_count, sizeof(*ends), by_number);
		if (end == NULL || end->end_sequence < shard->first_sequence)
			return SLK_INVALID;
		shard->state = KMS_SHARD_CLOSED;
		shard->closed_ns = wall_ns;
		shard->end_sequence = end->end_sequence;
		return SLK_OK;
	}
	if (shard->has_parent)
		rc = parent_end(shards, i, shard->parent, &shard->first_sequence);
	if (rc == SLK_OK && shard->has_adjacent)
		rc = parent_end(shards, i, shard->adjacent, &shard->first_sequence);
	shard->opened_ns = wall_ns;
	if (shard->state == KMS_SHARD_PASSING) {
		shard->state = KMS_SHARD_CLOSED;
		shard->closed_ns = wall_ns;
		shard->end_sequence = shard->first_sequence;
	} else {
		shard->state = KMS_SHARD_OPEN;
	}
	return rc;
}

static int
write_settled(struct kms_catalog *catalog, uint64_t stream_id, const struct kms_shard *shard)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_SETTLE);

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, shard->number);
	kms_db_bind_u64(s, 3, shard->state);
	kms_db_bind_u64(s, 4, shard->opened_ns);
	kms_db_bind_u64(s, 5, shard->closed_ns);
	kms_db_bind_u64(s, 6, shard->first_sequence);
	kms_db_bind_u64(s, 7, shard->end_sequence);
	return kms_db_run_one(catalog, s);
}

/* Shards whose records no retention can still hold. */
static int
prune_shards(struct kms_catalog *catalog, uint64_t stream_id, uint64_t wall_ns)
{
	sqlite3_stmt *s = kms_db_statement(catalog, SQL_SHARD_PRUNE);
	const uint64_t most_ns = KMS_RETENTION_MAX_HOURS * HOUR_NS;

	kms_db_bind_u64(s, 1, stream_id);
	kms_db_bind_u64(s, 2, wall_ns > most_ns ? wall_ns - most_ns : 0);
	return kms_db_run(catalog, s);
}

static int
settle_all(struct kms_catalog *catalog, uint64_t stream_id, const struct kms_shard_end *ends,
	size_t ends_count, uint64_t wall_ns)
{
	struct shard_counts counts = {0};
	struct kms_shard *shards = NULL;
	size_t count = 0;

	int rc = count_shards(catalog, stream_id, &counts);
	if (rc == SLK_OK)
		rc = read_shards(
			catalog, SQL_SHARD_PENDING, stream_id, counts.pending, &shards, &count);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = settle_shard(shards, i, ends, ends_count, wall_ns);
	for (size_t i = 0; rc == SLK_OK && i < count; i++)
		rc = write_settled(catalog, stream_id, &shards[i]);
	free(shards);
	return rc;
}

int
kms_catalog_stream_settle(struct kms_catalog *catalog, const struct kms_stream *stream,
	const struct kms_shard_end *ends, size_t ends_count, uint64_t wall_ns)
{
	struct kms_stream settled = *stream;
	struct shard_counts counts = {0};
	int rc = kms_db_begin(catalog);

	if (rc != SLK_OK)
		return rc;
	rc = settle_all(catalog, stream->id, ends, ends_count, wall_ns);
	if (rc == SLK_OK)
		rc = prune_shards(catalog, stream->id, wall_ns);
	if (rc == SLK_OK)
		rc = count_shards(catalog, stream->id, &counts);
	settled.state = KMS_STREAM_ACTIVE;
	settled.shard_count = (uint32_t)counts.open;
	if (rc == SLK_OK)
		rc = kms_db_stream_set(catalog, &settled);
	return kms_db_end(catalog, rc);
}

/* --- tags --- */

int
kms_catalog_stream_tags_set(
	struct kms_catalog *catalog, uint64_t stream_id, const struct kms_tag *tags, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_STREAM, .id = stream_id};

	return kms_db_tags_set(catalog, &tagged, tags, count);
}

int
kms_catalog_stream_tags_remove(
	struct kms_catalog *catalog, uint64_t stream_id, const char *const *tag_keys, size_t count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_STREAM, .id = stream_id};

	return kms_db_tags_remove(catalog, &tagged, tag_keys, count);
}

int
kms_catalog_stream_tags(struct kms_catalog *catalog, uint64_t stream_id, const char *after,
	struct kms_tag *out_tags, size_t cap, size_t *out_count)
{
	const struct kms_tagged tagged = {KMS_TAGGED_STREAM, .id = stream_id};

	return kms_db_tags_list(catalog, &tagged, after, out_tags, cap, out_count);
}
