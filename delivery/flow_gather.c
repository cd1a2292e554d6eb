/* A flow's work in threads of the pool: reading and gathering; plans, seals and ends. */
#include <string.h>

#include "failed.h"
#include "flow_internal.h"

#define TURN_BYTES (8u * 1024u * 1024u) /* of records, then others have the thread */
#define TURN_NS (50 * SLK_NS_PER_MS)
#define CHUNK_RECORDS 1000u
#define CHUNK_BYTES (1024u * 1024u)
#define BATCH_RECORDS_MAX 1000000u
#define UNREAD_EVERY_NS (5 * SLK_NS_PER_S)

/* --- the source --- */

static int
seek(struct dlv_flow *f, struct slk_error *err)
{
	if (f->gather_seek == DLV_SEEK_NONE)
		return SLK_OK;
	int rc = dlv_feed_seek(f->feed, &f->cp,
		f->gather_seek == DLV_SEEK_PLAN ? DLV_FEED_PLANNED : DLV_FEED_BEHIND, err);
	if (rc != SLK_OK)
		return rc;
	f->gather_seek = DLV_SEEK_NONE;
	f->chunk = (struct dlv_chunk){0};
	f->chunk_at = 0;
	return SLK_OK;
}

/* taken: records that this turn gathered. What is unread is counted now and then, and in between by what is taken. */
static void
note_source(struct dlv_flow *f, bool at_tip, size_t taken)
{
	uint64_t now = slk_mono_ns(f->env.clock), unread = 0;
	bool count = !at_tip && now - f->unread_at_ns >= UNREAD_EVERY_NS;
	struct slk_error ignored;

	if (count) {
		f->unread_at_ns = now;
		count = dlv_feed_unread(f->feed, &unread, &ignored) == SLK_OK;
	}
	pthread_mutex_lock(&f->lock);
	f->at_tip = at_tip;
	if (at_tip)
		f->tip_ns = slk_wall_ns(f->env.clock);
	if (at_tip || count)
		f->unread_records = unread + (f->chunk.count - f->chunk_at);
	else
		f->unread_records -= taken < f->unread_records ? taken : f->unread_records;
	dlv_feed_losses(f->feed, &f->view.lost);
	pthread_mutex_unlock(&f->lock);
}

/* --- records into batches --- */

/* How many of the chunk's records still fit. The first record of a batch always does. */
static size_t
fitting(const struct dlv_flow *f)
{
	const struct dlv_set *set = f->filling;
	size_t left = f->chunk.count - f->chunk_at;
	uint64_t bytes = set->main.raw_bytes, limit = dlv_spec_buffering(f->env.spec)->bytes;
	size_t n = 0;

	if (set->replays)
		return left;
	for (; n < left && set->main.count + n < BATCH_RECORDS_MAX; n++) {
		bytes += f->chunk.records[f->chunk_at + n].data.len;
		if (bytes > limit && set->main.count + n > 0)
			break;
	}
	return n;
}

static int
begin_batches(struct dlv_flow *f, struct slk_error *err)
{
	struct dlv_set *set = f->filling;

	if (!set->main_begun) {
		int rc = f->main.ops->begin(f->main.dest, &set->main, err);
		if (rc != SLK_OK)
			return rc;
		set->main_begun = true;
	}
	if (f->copy.ops != NULL && !set->copy_begun) {
		int rc = f->copy.ops->begin(f->copy.dest, &set->copy, err);
		if (rc != SLK_OK)
			return rc;
		set->copy_begun = true;
	}
	return SLK_OK;
}

/* Places first: nothing that can fail comes after the destinations have the records. */
static int
mark_places(struct dlv_set *set, const struct dlv_record *records, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct dlv_place *place = NULL;
		int rc = dlv_checkpoint_get(
			&set->ends, records[i].shard, records[i].sequence, &place);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static void
account_one(struct dlv_batch *batch, const struct dlv_record *r)
{
	batch->count++;
	batch->raw_bytes += r->data.len;
	if (batch->oldest_ns == 0 || r->arrival_ns < batch->oldest_ns)
		batch->oldest_ns = r->arrival_ns;
}

static void
account(struct dlv_flow *f, const struct dlv_record *records, size_t count)
{
	struct dlv_set *set = f->filling;

	for (size_t i = 0; i < count; i++) {
		const struct dlv_record *r = &records[i];
		struct dlv_place *place = dlv_checkpoint_find(&set->ends, r->shard);
		place->plan_end = r->sequence + 1;
		account_one(&set->main, r);
		if (f->copy.ops != NULL)
			account_one(&set->copy, r);
		if (r->arrival_ns > set->newest_ns)
			set->newest_ns = r->arrival_ns;
	}
}

static int
gather_main(
	struct dlv_flow *f, const struct dlv_record *records, size_t count, struct slk_error *err)
{
	struct dlv_set *set = f->filling;
	int rc = SLK_OK;

	if (f->main.ops->keeps_raw)
		rc = dlv_batch_keep(&set->main, records, count);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for records");
	rc = f->main.ops->gather(f->main.dest, &set->main, records, count, err);
	if (rc == SLK_OK && f->main.ops->keeps_raw)
		dlv_batch_kept(&set->main, records, count);
	return rc;
}

/* count records, or as many as main has already: then the copy lacked memory for them. */
static int
gather_some(struct dlv_flow *f, size_t count, struct slk_error *err)
{
	struct dlv_set *set = f->filling;
	const struct dlv_record *records = f->chunk.records + f->chunk_at;
	int rc = begin_batches(f, err);

	if (rc != SLK_OK)
		return rc;
	if (set->main_took == 0) {
		rc = mark_places(set, records, count);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "too many shards, or no memory for them");
		rc = gather_main(f, records, count, err);
		if (rc != SLK_OK)
			return rc;
		set->main_took = count;
	}
	if (f->copy.ops != NULL) {
		rc = f->copy.ops->gather(f->copy.dest, &set->copy, records, set->main_took, err);
		if (rc != SLK_OK)
			return rc;
	}
	account(f, records, set->main_took);
	f->chunk_at += set->main_took;
	set->main_took = 0;
	set->full = !set->replays && set->main.raw_bytes >= dlv_spec_buffering(f->env.spec)->bytes;
	return SLK_OK;
}

/* What one object or request cannot hold together may be held by two. SLK_OK with set->full: this one is full. */
static int
gather_chunk(struct dlv_flow *f, struct slk_error *err)
{
	struct dlv_set *set = f->filling;
	size_t count = fitting(f);

	if (count == 0) {
		set->full = true;
		return SLK_OK;
	}
	for (;;) {
		int rc = gather_some(f, count, err);
		if (rc != SLK_TOO_LARGE || set->main_took != 0)
			return rc;
		if (count > 1) {
			count /= 2;
			continue;
		}
		if (set->main.count == 0 || set->replays)
			return rc;
		set->full = true;
		return SLK_OK;
	}
}

static bool
read_chunk(struct dlv_flow *f, int *out_status)
{
	*out_status =
		dlv_feed_read(f->feed, CHUNK_RECORDS, CHUNK_BYTES, &f->chunk, &f->gather_error);
	f->chunk_at = 0;
	if (*out_status != SLK_OK)
		f->chunk = (struct dlv_chunk){0};
	return *out_status == SLK_OK;
}

static enum dlv_gathered
stop_gathering(struct dlv_flow *f, int status)
{
	f->gather_status = status;
	return status == SLK_LIMIT || status == SLK_NO_MEMORY ? DLV_GATHERED_NO_MEMORY
							      : DLV_GATHERED_ERROR;
}

/* One step. DLV_GATHERED_MORE: go on. */
static enum dlv_gathered
gather_step(struct dlv_flow *f)
{
	int rc = SLK_OK;

	if (f->chunk_at == f->chunk.count) {
		if (f->chunk.plan_ends) {
			f->filling->full = true;
			return DLV_GATHERED_FULL;
		}
		if (!read_chunk(f, &rc))
			return stop_gathering(f, rc);
		if (f->chunk.count == 0 && f->chunk.at_tip && !f->chunk.plan_ends)
			return DLV_GATHERED_TIP;
		return DLV_GATHERED_MORE;
	}
	rc = gather_chunk(f, &f->gather_error);
	if (rc != SLK_OK)
		return stop_gathering(f, rc);
	return f->filling->full ? DLV_GATHERED_FULL : DLV_GATHERED_MORE;
}

static void
give_back(struct dlv_leg *leg, struct dlv_batch *batch, bool *begun)
{
	if (*begun)
		leg->ops->release(leg->dest, batch);
	*begun = false;
}

static void
empty_set(struct dlv_flow *f, struct dlv_set *set)
{
	give_back(&f->main, &set->main, &set->main_begun);
	give_back(&f->copy, &set->copy, &set->copy_begun);
	dlv_batch_fini(&set->main);
	dlv_batch_fini(&set->copy);
	dlv_batch_init(&set->main, f->env.pool);
	dlv_batch_init(&set->copy, f->env.pool);
	dlv_checkpoint_fini(&set->ends);
	set->main_took = 0;
	set->newest_ns = 0;
	set->full = set->replays = set->main_sealed = set->spent = false;
}

/* Whatever is to be given back is, before anything is gathered. */
static void
empty_first(struct dlv_flow *f)
{
	uint64_t unread = 0;

	if (f->filling->spent)
		empty_set(f, f->filling);
	if (!f->gather_empties)
		return;
	for (size_t i = 0; i < 2; i++) {
		if (!f->gather_empties_all && &f->sets[i] != f->filling)
			continue;
		unread += f->sets[i].main.count;
		empty_set(f, &f->sets[i]);
	}
	f->chunk = (struct dlv_chunk){0};
	f->chunk_at = 0;
	pthread_mutex_lock(&f->lock);
	f->unread_records += unread;
	f->at_tip = false;
	pthread_mutex_unlock(&f->lock);
}

static int
prepare(struct dlv_flow *f)
{
	struct dlv_set *set = f->filling;

	empty_first(f);
	if (set->main_begun)
		return SLK_OK;
	set->replays = f->gather_replays;
	int rc = dlv_batch_number(
		&set->main, f->config.delivery_id, f->gather_number, f->env.version);
	if (rc == SLK_OK)
		rc = dlv_batch_number(
			&set->copy, f->config.delivery_id, f->gather_number, f->env.version);
	return rc == SLK_OK ? SLK_OK : slk_fail(&f->gather_error, rc, "cannot number a batch");
}

void
dlv_flow_gather(struct dlv_flow *f)
{
	uint64_t began_ns = slk_mono_ns(f->env.clock);

	memset(&f->gather_error, 0, sizeof(f->gather_error));
	int rc = prepare(f);
	if (rc == SLK_OK && !f->gather_nothing)
		rc = seek(f, &f->gather_error);
	uint64_t bytes = f->filling->main.raw_bytes;
	size_t count = f->filling->main.count;
	f->gathered = rc == SLK_OK ? DLV_GATHERED_MORE : stop_gathering(f, rc);
	if (f->gather_nothing)
		return;
	while (f->gathered == DLV_GATHERED_MORE) {
		f->gathered = gather_step(f);
		if (f->filling->main.raw_bytes >= bytes + TURN_BYTES ||
			slk_mono_ns(f->env.clock) - began_ns >= TURN_NS)
			break;
	}
	note_source(f, f->gathered == DLV_GATHERED_TIP, f->filling->main.count - count);
}

/* --- plans, error output, ends --- */

static int
load(struct dlv_flow *f, struct slk_error *err)
{
	int rc = dlv_checkpoint_load(&f->file, &f->cp, err);

	if (rc != SLK_NOT_FOUND)
		return rc;
	f->cp = (struct dlv_checkpoint){.delivery_id = f->file.delivery_id,
		.stream_id = f->file.stream_id,
		.begun_ns = f->config.begun_ns};
	return SLK_OK;
}

/* On the disk before anything of the batch is sent: the id stands for the same records whatever happens. */
static int
make_plan(struct dlv_flow *f, const struct dlv_set *set, struct slk_error *err)
{
	for (size_t i = 0; i < set->ends.count; i++) {
		const struct dlv_place *p = &set->ends.places[i];
		struct dlv_place *place = NULL;
		int rc = dlv_checkpoint_get(&f->cp, p->shard, p->next, &place);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "no memory for the places of shards");
		place->plan_end = p->plan_end;
	}
	if (f->cp.planned_ns == 0)
		f->cp.planned_ns = slk_wall_ns(f->env.clock);
	f->cp.oldest_ns = set->main.oldest_ns;
	f->cp.plan_records = set->main.count;
	return dlv_checkpoint_store(&f->file, &f->cp, err);
}

static int
seal(struct dlv_flow *f, struct dlv_set *set, struct slk_error *err)
{
	int rc = set->main_sealed ? SLK_OK : f->main.ops->seal(f->main.dest, &set->main, err);

	set->main_sealed = rc == SLK_OK;
	if (rc == SLK_OK && f->copy.ops != NULL)
		rc = f->copy.ops->seal(f->copy.dest, &set->copy, err);
	f->commit_seal_failed = rc != SLK_OK;
	return rc;
}

/* What is planned again keeps its times: names are made of them. */
static int
seal_planned(struct dlv_flow *f, struct dlv_set *set, struct slk_error *err)
{
	set->main.planned_ns = set->copy.planned_ns = f->cp.planned_ns;
	set->main.oldest_ns = set->copy.oldest_ns = f->cp.oldest_ns;
	return seal(f, set, err);
}

static int
plan(struct dlv_flow *f, struct slk_error *err)
{
	int rc = f->under->replays ? SLK_OK : make_plan(f, f->under, err);

	return rc == SLK_OK ? seal_planned(f, f->under, err) : rc;
}

static int
add_line(struct dlv_flow *f, size_t index, const struct dlv_failure *failure,
	struct dlv_buffer *line, struct slk_error *err)
{
	const struct dlv_entry *entry = &f->under->main.entries[index];

	dlv_buffer_cut(line, 0);
	int rc = dlv_failed_line(&f->under->main, entry, failure, line);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for the error output");
	const struct dlv_record record = {.data = slk_span(line->bytes, line->len),
		.sequence = entry->sequence,
		.arrival_ns = entry->arrival_ns,
		.shard = entry->shard};
	rc = f->errors.ops->gather(f->errors.dest, &f->error_batch, &record, 1, err);
	if (rc == SLK_OK)
		account_one(&f->error_batch, &record);
	return rc;
}

static int
add_lines(struct dlv_flow *f, struct slk_error *err)
{
	struct dlv_failure failure = {.attempts = f->main.attempts, .ended_ns = f->failed_ns};
	struct dlv_buffer line;
	int rc = SLK_OK;

	dlv_buffer_init(&line, f->env.pool);
	if (f->fails_whole) {
		failure.code = f->whole.code;
		failure.message = f->whole.error.text;
		for (size_t i = 0; rc == SLK_OK && i < f->under->main.count; i++)
			rc = add_line(f, i, &failure, &line, err);
	}
	for (size_t i = 0; !f->fails_whole && rc == SLK_OK && i < f->failed_count; i++) {
		failure.code = f->failed[i].code;
		failure.message = f->failed[i].message;
		rc = add_line(f, f->failed[i].index, &failure, &line, err);
	}
	dlv_buffer_fini(&line);
	return rc;
}

static void
drop_errors(struct dlv_flow *f)
{
	give_back(&f->errors, &f->error_batch, &f->error_batch_begun);
	dlv_batch_fini(&f->error_batch);
	dlv_batch_init(&f->error_batch, f->env.pool);
}

static int
make_errors(struct dlv_flow *f, struct slk_error *err)
{
	struct dlv_batch *b = &f->error_batch;
	const struct dlv_batch *main = &f->under->main;

	drop_errors(f);
	int rc = dlv_batch_number(b, f->config.delivery_id, main->number, main->version);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot number a batch");
	rc = f->errors.ops->begin(f->errors.dest, b, err);
	if (rc != SLK_OK)
		return rc;
	f->error_batch_begun = true;
	rc = add_lines(f, err);
	b->planned_ns = main->planned_ns;
	b->oldest_ns = main->oldest_ns;
	if (rc == SLK_OK)
		rc = f->errors.ops->seal(f->errors.dest, b, err);
	if (rc != SLK_OK)
		drop_errors(f);
	return rc;
}

/* The records lie behind, whatever the disk says now: it is tried until it takes the news. */
static int
end(struct dlv_flow *f, struct slk_error *err)
{
	if (!f->commit_passed)
		dlv_checkpoint_pass(&f->cp, f->under->newest_ns);
	f->commit_passed = true;
	int rc = f->commit_next ? make_plan(f, f->filling, err)
				: dlv_checkpoint_store(&f->file, &f->cp, err);
	if (rc != SLK_OK)
		return rc;
	f->commit_passed = false;
	drop_errors(f);
	if (!f->commit_next) {
		empty_set(f, f->under);
		return SLK_OK;
	}
	f->commit_next_stored = true;
	/* To wipe it takes as long as to write it: the thread that gathers does that while the next one is delivered. */
	f->under->spent = true;
	return seal_planned(f, f->filling, err);
}

static int
close_all(struct dlv_flow *f)
{
	drop_errors(f);
	empty_set(f, &f->sets[0]);
	empty_set(f, &f->sets[1]);
	return SLK_OK;
}

void
dlv_flow_commit(struct dlv_flow *f)
{
	memset(&f->commit_error, 0, sizeof(f->commit_error));
	f->commit_seal_failed = false;
	switch (f->commit) {
	case DLV_COMMIT_LOAD:
		f->commit_status = load(f, &f->commit_error);
		return;
	case DLV_COMMIT_PLAN:
		f->commit_status = plan(f, &f->commit_error);
		return;
	case DLV_COMMIT_ERRORS:
		f->commit_status = make_errors(f, &f->commit_error);
		return;
	case DLV_COMMIT_END:
		f->commit_status = end(f, &f->commit_error);
		return;
	case DLV_COMMIT_CLOSE:
		f->commit_status = close_all(f);
		return;
	}
}
