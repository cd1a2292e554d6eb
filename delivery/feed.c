#include "feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOOK_BACK_NS (60 * SLK_NS_PER_S) /* lanes are a flush apart, clocks a little more */
#define KEYS_MAX 64u

/* A shard: what comes next of it. */
struct row {
	uint32_t shard;
	uint64_t next;
	uint64_t end; /* of DLV_FEED_PLANNED: behind its last */
	uint64_t suspect; /* it is said to have records below this one, and none was met */
	bool known; /* by the checkpoint: its numbers go on at next */
	bool met; /* since the consumer was opened */
};

struct dlv_feed {
	char *dir, *stream_arn;
	uint64_t stream_id;
	const struct slk_clock *clock;
	struct sealock_keys *keys;
	struct sealock_opener *opener;
	struct sealock_consumer *consumer; /* NULL: to be opened at from_ns */
	uint64_t from_ns; /* 0: the oldest that is there */
	uint64_t begun_ns;
	bool went_back; /* the consumer was opened where the delivery stream began */
	bool verified; /* shards that were not met were looked after */
	bool planned;
	bool saw_damage; /* since the last gap */
	struct row *rows; /* by shard */
	size_t rows_count, rows_cap;
	struct dlv_record *records; /* of the last chunk */
	size_t records_cap;
	struct dlv_feed_loss loss;
};

/* --- life --- */

int
dlv_feed_new(
	const struct dlv_feed_config *config, struct dlv_feed **out_feed, struct slk_error *err)
{
	const struct sealock_keys_config keys = {.unwrap = config->unwrap,
		.ctx = config->unwrap_ctx,
		.keys_max = KEYS_MAX,
		.age_max_s = config->keys_age_s,
		.clock = config->clock};
	struct dlv_feed *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	s->stream_id = config->stream_id;
	s->clock = config->clock != NULL ? config->clock : slk_clock_system();
	s->dir = strdup(config->journal_dir);
	s->stream_arn = strdup(config->stream_arn);
	int rc = s->dir != NULL && s->stream_arn != NULL
		? sealock_keys_new(&keys, &s->keys, err)
		: slk_fail(err, SLK_NO_MEMORY, "out of memory");
	if (rc == SLK_OK)
		rc = sealock_opener_new(s->keys, &s->opener, err);
	if (rc != SLK_OK) {
		dlv_feed_free(s);
		return rc;
	}
	*out_feed = s;
	return SLK_OK;
}

void
dlv_feed_free(struct dlv_feed *s)
{
	if (s == NULL)
		return;
	sealock_consumer_free(s->consumer);
	sealock_opener_free(s->opener);
	sealock_keys_free(s->keys);
	free(s->records);
	free(s->rows);
	free(s->stream_arn);
	free(s->dir);
	free(s);
}

void
dlv_feed_forget_keys(struct dlv_feed *s)
{
	sealock_keys_forget(s->keys);
}

void
dlv_feed_losses(const struct dlv_feed *s, struct dlv_feed_loss *out_loss)
{
	*out_loss = s->loss;
}

/* --- rows --- */

static size_t
row_index(const struct dlv_feed *s, uint32_t shard)
{
	size_t low = 0, high = s->rows_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (s->rows[middle].shard < shard)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct row *
row_find(const struct dlv_feed *s, uint32_t shard)
{
	size_t i = row_index(s, shard);

	return i < s->rows_count && s->rows[i].shard == shard ? &s->rows[i] : NULL;
}

/* The shard's row; a new one begins at sequence. NULL: no memory. */
static struct row *
row_get(struct dlv_feed *s, uint32_t shard, uint64_t sequence)
{
	size_t i = row_index(s, shard);

	if (i < s->rows_count && s->rows[i].shard == shard)
		return &s->rows[i];
	if (s->rows_count == s->rows_cap) {
		size_t cap = s->rows_cap == 0 ? 8 : 2 * s->rows_cap;
		struct row *bigger = realloc(s->rows, cap * sizeof(*bigger));
		if (bigger == NULL)
			return NULL;
		s->rows = bigger;
		s->rows_cap = cap;
	}
	memmove(&s->rows[i + 1], &s->rows[i], (s->rows_count - i) * sizeof(*s->rows));
	s->rows[i] = (struct row){.shard = shard, .next = sequence, .end = sequence};
	s->rows_count++;
	return &s->rows[i];
}

/* --- places --- */

static void
close_consumer(struct dlv_feed *s)
{
	sealock_consumer_free(s->consumer);
	s->consumer = NULL;
	s->verified = false;
	s->saw_damage = false;
	for (size_t i = 0; i < s->rows_count; i++) {
		s->rows[i].met = false;
		s->rows[i].suspect = 0;
	}
}

static uint64_t
look_from(const struct dlv_checkpoint *cp, bool planned)
{
	uint64_t from = cp->reached_ns;

	if (planned && cp->oldest_ns != 0 && (cp->oldest_ns < from || from == 0))
		from = cp->oldest_ns;
	from = from > LOOK_BACK_NS ? from - LOOK_BACK_NS : 0;
	return from > cp->begun_ns ? from : cp->begun_ns;
}

int
dlv_feed_seek(struct dlv_feed *s, const struct dlv_checkpoint *cp, enum dlv_feed_what what,
	struct slk_error *err)
{
	s->rows_count = 0;
	for (size_t i = 0; i < cp->count; i++) {
		const struct dlv_place *p = &cp->places[i];
		struct row *row = row_get(s, p->shard, p->next);
		if (row == NULL)
			return slk_fail(err, SLK_NO_MEMORY, "out of memory");
		row->known = true;
		row->end = p->plan_end;
		if (what == DLV_FEED_BEHIND)
			row->next = p->plan_end;
	}
	s->planned = what == DLV_FEED_PLANNED;
	s->begun_ns = cp->begun_ns;
	s->from_ns = look_from(cp, s->planned);
	s->went_back = s->from_ns == s->begun_ns;
	close_consumer(s);
	return SLK_OK;
}

static int
open_consumer(struct dlv_feed *s, struct slk_error *err)
{
	const struct sealock_consumer_config config = {.journal_dir = s->dir,
		.stream_arn = s->stream_arn,
		.stream_id = s->stream_id,
		.any_shard = true,
		.position = {s->from_ns == 0 ? SEALOCK_FROM_TRIM_HORIZON : SEALOCK_FROM_AT_TIME,
			s->from_ns},
		.clock = s->clock};

	return s->consumer != NULL ? SLK_OK : sealock_consumer_new(&config, &s->consumer, err);
}

/* Look again, from where the delivery stream began. */
static void
go_back(struct dlv_feed *s)
{
	s->from_ns = s->begun_ns;
	s->went_back = true;
	close_consumer(s);
}

/* --- what is missing --- */

static void
count_loss(struct dlv_feed *s, struct row *row, uint64_t first, uint64_t end)
{
	uint64_t *count = s->saw_damage ? &s->loss.damaged : &s->loss.trimmed;

	*count += end - first;
	snprintf(s->loss.sentence, sizeof(s->loss.sentence),
		"records %llu to %llu of shard %u are lost: %s", (unsigned long long)first,
		(unsigned long long)(end - 1), row->shard,
		s->saw_damage ? "they are damaged in the journal"
			      : "retention deleted them before they were delivered");
	slk_error_log("records are lost", slk_kv("stream", (const char *)s->stream_arn),
		slk_kv("shard", row->shard), slk_kv("first", first), slk_kv("last", end - 1),
		slk_kv("reason", s->saw_damage ? "damage" : "retention"));
}

/* A record of the shard with this number comes next: what is between it and the place is gone. */
static void
close_gap(struct dlv_feed *s, struct row *row, uint64_t sequence)
{
	uint64_t end = s->planned && row->end < sequence ? row->end : sequence;

	if (row->known && row->next < end) {
		count_loss(s, row, row->next, end);
		row->next = end;
	}
	row->known = row->met = true;
}

/* A shard's first record since the consumer was opened lies above its place, and there was more to look at. */
static bool
begins_too_late(struct dlv_feed *s, const struct sealock_batch *batch)
{
	for (size_t i = 0; i < batch->count && !s->went_back; i++) {
		struct row *row = row_find(s, batch->records[i].shard);
		if (row == NULL || row->met)
			continue;
		row->met = true;
		if (row->known && row->next < batch->records[i].sequence &&
			(!s->planned || row->next < row->end))
			return true;
	}
	return false;
}

/* Is there anything of the shard that the consumer should have met? *out_suspect: behind the last of it, 0 if not. A plan is
 * made of durable records: it knows best. */
static int
look_after(const struct dlv_feed *s, const struct row *row, uint64_t *out_suspect,
	struct slk_error *err)
{
	uint64_t latest = row->end;

	*out_suspect = 0;
	if (s->planned ? row->next == row->end : row->met)
		return SLK_OK;
	if (!s->planned) {
		int rc = sealock_shard_latest(s->dir, s->stream_id, row->shard, &latest, err);
		if (rc != SLK_OK)
			return rc;
	}
	*out_suspect = latest > row->next ? latest : 0;
	return SLK_OK;
}

/* At the tip: do all shards stand where they should? What is missing may have come after the consumer looked, so it looks once
 * more before it goes back, or before anything counts as lost. */
static int
verify(struct dlv_feed *s, struct slk_error *err)
{
	bool suspicious = false;

	for (size_t i = 0; i < s->rows_count; i++) {
		struct row *row = &s->rows[i];
		uint64_t suspect = 0;
		int rc = look_after(s, row, &suspect, err);
		if (rc != SLK_OK)
			return rc;
		if (suspect != 0 && row->suspect > row->next && !s->went_back) {
			go_back(s);
			return SLK_OK;
		}
		if (suspect != 0 && row->suspect > row->next) {
			count_loss(s, row, row->next, row->suspect);
			row->next = row->suspect;
			suspect = 0;
		}
		row->suspect = suspect;
		suspicious = suspicious || suspect != 0;
	}
	s->verified = !suspicious;
	return SLK_OK;
}

/* --- records --- */

static bool
plan_is_complete(const struct dlv_feed *s)
{
	for (size_t i = 0; i < s->rows_count; i++) {
		if (s->rows[i].next < s->rows[i].end)
			return false;
	}
	return true;
}

static bool
wanted(const struct dlv_feed *s, const struct row *row, uint64_t sequence)
{
	return sequence >= row->next && (!s->planned || sequence < row->end);
}

static int
room_for(struct dlv_feed *s, size_t count, struct slk_error *err)
{
	if (count <= s->records_cap)
		return SLK_OK;
	struct dlv_record *bigger = realloc(s->records, count * sizeof(*bigger));
	if (bigger == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	s->records = bigger;
	s->records_cap = count;
	return SLK_OK;
}

/* All rows are there before any of them moves: so an error leaves all where they were, and what was read is read again. */
static int
make_rows(struct dlv_feed *s, const struct sealock_batch *batch, struct slk_error *err)
{
	for (size_t i = 0; i < batch->count && !s->planned; i++) {
		const struct sealock_record *r = &batch->records[i];
		if (row_get(s, r->shard, r->sequence) == NULL)
			return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	return SLK_OK;
}

static void
take_records(struct dlv_feed *s, const struct sealock_batch *batch, struct dlv_chunk *chunk)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct sealock_record *r = &batch->records[i];
		struct row *row = row_find(s, r->shard);
		if (row == NULL)
			continue; /* of a shard that the plan does not have */
		close_gap(s, row, r->sequence);
		if (!wanted(s, row, r->sequence))
			continue;
		row->next = r->sequence + 1;
		s->records[chunk->count++] =
			(struct dlv_record){r->key, r->data, r->sequence, r->arrival_ns, r->shard};
	}
}

static void
note_damage(struct dlv_feed *s, const struct slk_error *why)
{
	s->saw_damage = true;
	slk_error_log("the journal is damaged", slk_kv("stream", (const char *)s->stream_arn),
		slk_kv("reason", (const char *)why->text));
}

static int
read_once(struct dlv_feed *s, size_t records_max, size_t bytes_max, struct dlv_chunk *chunk,
	struct slk_error *err)
{
	struct sealock_batch batch = {0};
	struct slk_error why = {0};
	int rc = open_consumer(s, err);

	if (rc != SLK_OK)
		return rc;
	rc = sealock_consumer_read(s->consumer, s->opener, records_max, bytes_max, &batch, &why);
	if (slk_status_class(rc) == SLK_CLASS_CORRUPT) {
		note_damage(s, &why);
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return slk_fail(err, rc, "%s", why.text);
	if (batch.trimmed)
		s->saw_damage = false; /* what is missing next was not damaged */
	if (begins_too_late(s, &batch)) {
		go_back(s);
		return SLK_OK;
	}
	rc = room_for(s, batch.count, err);
	if (rc == SLK_OK)
		rc = make_rows(s, &batch, err);
	if (rc != SLK_OK) {
		close_consumer(s); /* it stands behind what was not taken */
		return rc;
	}
	take_records(s, &batch, chunk);
	chunk->at_tip = batch.at_tip && chunk->count == 0;
	return SLK_OK;
}

int
dlv_feed_read(struct dlv_feed *s, size_t records_max, size_t bytes_max, struct dlv_chunk *out_chunk,
	struct slk_error *err)
{
	struct dlv_chunk chunk = {0};
	int rc = SLK_OK;

	if (!s->planned || !plan_is_complete(s))
		rc = read_once(s, records_max, bytes_max, &chunk, err);
	if (rc == SLK_OK && chunk.at_tip && !s->verified) {
		rc = verify(s, err);
		chunk.at_tip = s->verified;
	}
	if (rc != SLK_OK)
		return rc;
	chunk.plan_ends = s->planned && plan_is_complete(s);
	chunk.records = s->records;
	*out_chunk = chunk;
	return SLK_OK;
}

int
dlv_feed_unread(struct dlv_feed *s, uint64_t *out_records, struct slk_error *err)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->rows_count; i++) {
		uint64_t latest = 0;
		int rc = sealock_shard_latest(s->dir, s->stream_id, s->rows[i].shard, &latest, err);
		if (rc != SLK_OK)
			return rc;
		if (latest > s->rows[i].next)
			total += latest - s->rows[i].next;
	}
	*out_records = total;
	return SLK_OK;
}
