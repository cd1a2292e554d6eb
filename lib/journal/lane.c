/* The worker's side of a lane: blocks into groups, groups into files. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include "journal/buffers.h"
#include "journal/internal.h"

static struct jnl_group *
open_group(struct jnl_lane *l)
{
	return &l->groups[atomic_load_explicit(&l->submitted, memory_order_relaxed) %
		l->journal->config.group_count];
}

static uint64_t
round_page(uint64_t v)
{
	return (v + FMT_GROUP_ALIGN - 1) / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
}

/* Begin a group in the present file. SLK_AGAIN if all buffers are under way. */
static int
begin_group(struct jnl_lane *l)
{
	uint64_t submitted = atomic_load_explicit(&l->submitted, memory_order_relaxed);

	if (l->group_open)
		return SLK_OK;
	if (submitted - atomic_load_explicit(&l->done, memory_order_acquire) ==
		l->journal->config.group_count)
		return SLK_AGAIN;
	struct jnl_group *g = open_group(l);
	jnl_ring_begin(&l->ring, (uint32_t)(g - l->groups));
	g->len = 0;
	g->fd = l->file.fd;
	g->dir = l->file.dir;
	g->file_id = l->file.header.file_id;
	g->header = l->file.header;
	g->pos = l->file_pos;
	g->closes_file = false;
	l->group_open = true;
	return SLK_OK;
}

/* The position of the present file that is known durable now: what a block says of its past. */
static uint64_t
durable_here(const struct jnl_lane *l)
{
	if (atomic_load_explicit(&l->durable_file, memory_order_acquire) != l->file.header.file_id)
		return FMT_JFILE_PAGE_BYTES;
	return atomic_load_explicit(&l->durable_pos, memory_order_relaxed);
}

/* Bytes that a group can take besides the pad behind it. */
static uint64_t
group_room(const struct jnl_lane *l)
{
	return l->journal->config.group_bytes - FMT_GROUP_ALIGN - FMT_BLOCK_HEADER_BYTES;
}

static void
put_block(struct jnl_lane *l, struct fmt_block *b, uint8_t *at)
{
	b->file_id = l->file.header.file_id;
	b->position = l->file_pos;
	b->durable = durable_here(l);
	fmt_block_encode(b, at);
}

static void
end_block(struct jnl_lane *l, const struct fmt_block *b, uint8_t *at)
{
	fmt_block_finish(at, b->total_bytes, l->file.seed);
	open_group(l)->len += b->total_bytes;
	l->file_pos += b->total_bytes;
	/* What is written again was counted when it was sealed. */
	if (!l->carry.active)
		l->lsn += b->total_bytes;
}

/* Fill the group up to a page. */
static void
pad_group(struct jnl_lane *l)
{
	struct jnl_group *g = open_group(l);
	uint64_t gap = round_page(g->len) - g->len;

	if (gap == 0)
		return;
	if (gap < FMT_BLOCK_HEADER_BYTES)
		gap += FMT_GROUP_ALIGN;
	uint8_t *at = g->buf + g->len;
	struct fmt_block b = {.type = FMT_BLOCK_PAD,
		.total_bytes = (uint32_t)gap,
		.body_bytes = (uint32_t)gap - FMT_BLOCK_HEADER_BYTES};
	memset(at, 0, gap);
	put_block(l, &b, at);
	end_block(l, &b, at);
}

static void
hand_over(struct jnl_lane *l)
{
	struct jnl_group *g = open_group(l);

	pad_group(l);
	g->lsn_end = l->carry.active ? l->carry.lsn : l->lsn;
	g->records_end = l->records - l->carry.records;
	g->plain_end = l->plain - l->carry.plain;
	if (!l->carry.active)
		atomic_store_explicit(&l->handed_lsn, l->lsn, memory_order_relaxed);
	l->group_open = false;
	jnl_ring_publish(&l->ring, (uint32_t)(g - l->groups), g->file_id, g->pos, g->len);
	atomic_fetch_add_explicit(&l->stat_written, g->len, memory_order_relaxed);
	atomic_store(&l->submitted, atomic_load_explicit(&l->submitted, memory_order_relaxed) + 1);
	if (atomic_load(&l->sleeping)) {
		uint64_t one = 1;
		ssize_t n = write(l->event_fd, &one, sizeof(one)); /* a full counter wakes, too */
		(void)n;
	}
}

int
jnl_lane_submit(struct jnl_lane *l)
{
	if (l->group_open && open_group(l)->len > 0)
		hand_over(l);
	return SLK_OK;
}

bool
jnl_lane_ready(const struct jnl_lane *l)
{
	if (!l->group_open)
		return false;
	uint64_t submitted = atomic_load_explicit(&l->submitted, memory_order_relaxed);
	uint32_t len = l->groups[submitted % l->journal->config.group_count].len;
	if (len == 0)
		return false;
	if (atomic_load_explicit(&l->flushed, memory_order_acquire) == submitted)
		return true;
	/* Beside a flush: at least as much as that one covers, so that groups grow with the load up to whole ones. */
	return len >= JNL_SPARSE_BYTES &&
		atomic_load_explicit(&l->flushing, memory_order_acquire) == submitted &&
		len >= atomic_load_explicit(&l->flushing_bytes, memory_order_relaxed);
}

/* --- files --- */

static uint64_t
footer_total(
	const struct jnl_lane *l, uint32_t more_shards, uint32_t more_sparse, uint32_t more_keys)
{
	return fmt_block_total(FMT_BLOCK_FOOTER,
		fmt_footer_bytes((uint64_t)l->index_shards.count + more_shards,
			(uint64_t)l->sparse_count + more_sparse,
			(uint64_t)l->key_count + more_keys));
}

/* Would the file still have room for its end after `bytes` more? Counts a pad and one entry of each kind more. */
static bool
file_has_room(const struct jnl_lane *l, uint64_t bytes)
{
	uint64_t end = round_page(l->file_pos + bytes + FMT_BLOCK_HEADER_BYTES) + FMT_GROUP_ALIGN;
	uint64_t footer = footer_total(l, 1, 1, 1);

	if (footer > group_room(l) || l->key_count + 1 > JNL_KEYS_MAX ||
		l->sparse_count + 1 > l->sparse_cap)
		return false;
	return end + round_page(footer) + FMT_GROUP_ALIGN <=
		l->file.header.capacity_bytes - FMT_JFILE_PAGE_BYTES;
}

static int
write_footer(struct jnl_lane *l)
{
	struct jnl_group *g = open_group(l);
	uint8_t *at = g->buf + g->len;
	struct fmt_footer f = {.flags = FMT_FOOTER_TIMES,
		.shard_count = l->index_shards.count,
		.sparse_count = l->sparse_count,
		.key_count = l->key_count,
		.blocks = l->file_blocks,
		.records = l->file_records,
		.plain_bytes = l->file_plain,
		.shards = l->index_shards.rows,
		.sparse = l->sparse,
		.keys = l->keys};
	uint64_t body = fmt_footer_bytes(f.shard_count, f.sparse_count, f.key_count);
	struct fmt_block b = {.type = FMT_BLOCK_FOOTER,
		.body_bytes = (uint32_t)body,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_FOOTER, body)};
	uint64_t footer_pos = l->file_pos;
	size_t out_len = 0;

	put_block(l, &b, at);
	int rc = fmt_footer_encode(&f, at + FMT_BLOCK_HEADER_BYTES, (size_t)body, &out_len);
	if (rc != SLK_OK)
		return rc;
	end_block(l, &b, at);
	g->closes_file = true;
	g->trailer_pos = l->file.header.capacity_bytes - FMT_JFILE_PAGE_BYTES;
	struct fmt_block t = {.type = FMT_BLOCK_TRAILER,
		.file_id = l->file.header.file_id,
		.position = g->trailer_pos,
		.durable = durable_here(l),
		.body_bytes = FMT_TRAILER_BYTES,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_TRAILER, FMT_TRAILER_BYTES)};
	memset(g->trailer, 0, FMT_JFILE_PAGE_BYTES);
	fmt_block_encode(&t, g->trailer);
	fmt_trailer_encode(footer_pos, g->trailer + FMT_BLOCK_HEADER_BYTES);
	fmt_block_finish(g->trailer, t.total_bytes, l->file.seed);
	return SLK_OK;
}

/* Close the present file: what is open is handed over, the footer gets a group of its own. */
int
jnl_lane_close_file(struct jnl_lane *l)
{
	(void)jnl_lane_submit(l);
	int rc = begin_group(l);
	if (rc == SLK_OK)
		rc = write_footer(l);
	if (rc == SLK_OK)
		hand_over(l);
	return rc;
}

/* Every file begins with what the lane knows, so that numbers never restart though older files go. */
static int
write_shard_tables(struct jnl_lane *l)
{
	struct fmt_shard *entries = (struct fmt_shard *)(void *)l->stage;

	for (uint32_t first = 0; first < l->shards.count; first += FMT_SHARDTABLE_ENTRIES_MAX) {
		uint32_t n = l->shards.count - first;
		if (n > FMT_SHARDTABLE_ENTRIES_MAX)
			n = FMT_SHARDTABLE_ENTRIES_MAX;
		for (uint32_t i = 0; i < n; i++) {
			const struct fmt_footer_shard *row = &l->shards.rows[first + i];
			entries[i] =
				(struct fmt_shard){row->stream_id, row->shard, row->next_sequence};
		}
		int rc = begin_group(l);
		if (rc != SLK_OK)
			return rc;
		struct jnl_group *g = open_group(l);
		uint64_t body = fmt_shardtable_bytes(n);
		struct fmt_block b = {.type = FMT_BLOCK_SHARDS,
			.body_bytes = (uint32_t)body,
			.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_SHARDS, body)};
		uint8_t *at = g->buf + g->len;
		size_t out_len = 0;
		put_block(l, &b, at);
		rc = fmt_shardtable_encode(
			entries, n, at + FMT_BLOCK_HEADER_BYTES, (size_t)body, &out_len);
		if (rc != SLK_OK)
			return rc;
		end_block(l, &b, at);
	}
	return SLK_OK;
}

int
jnl_lane_write_tables(struct jnl_lane *l)
{
	uint64_t *saved = NULL;
	int rc = jnl_carry_lower(l, &saved);

	if (rc == SLK_OK)
		rc = write_shard_tables(l);
	jnl_carry_raise(l, saved);
	return rc;
}

void
jnl_lane_take_file(struct jnl_lane *l, struct jnl_file *f)
{
	l->file = *f;
	atomic_store(&l->dir, f->dir);
	free(f);
	l->file_pos = FMT_JFILE_PAGE_BYTES;
	jnl_shards_clear(&l->index_shards);
	l->sparse_count = 0;
	l->sparse_next_pos = 0;
	l->key_count = 0;
	l->file_blocks = l->file_records = l->file_plain = l->file_latest_ns = 0;
	l->epoch_ordinal = 0;
}

/* Go on in the next file. SLK_AGAIN until it is prepared and buffers are free: two groups are needed, for the end of this
 * file and the beginning of the next. */
static int
roll(struct jnl_lane *l)
{
	uint64_t in_use = atomic_load_explicit(&l->submitted, memory_order_relaxed) +
		(l->group_open ? 1 : 0) - atomic_load_explicit(&l->done, memory_order_acquire);

	struct jnl_file *next = atomic_load(&l->next);
	if (in_use + 2 > l->journal->config.group_count || next == NULL)
		return SLK_AGAIN;
	if (next->header.file_id < l->file.header.file_id) { /* from before the lane moved */
		jnl_file_put_back(l, atomic_exchange(&l->next, NULL));
		return SLK_AGAIN;
	}
	int rc = jnl_lane_close_file(l);
	if (rc != SLK_OK)
		return rc;
	jnl_lane_take_file(l, atomic_exchange(&l->next, NULL));
	pthread_mutex_lock(&l->prepare_lock);
	pthread_cond_signal(&l->prepare_cond);
	pthread_mutex_unlock(&l->prepare_lock);
	atomic_fetch_add_explicit(&l->stat_rolls, 1, memory_order_relaxed);
	return jnl_lane_write_tables(l);
}

/* Room for bytes in an open group of a file that can take them. */
int
jnl_lane_make_room(struct jnl_lane *l, uint64_t bytes)
{
	for (int tries = 0; tries < 3; tries++) {
		int rc = SLK_OK;
		if (!file_has_room(l, bytes))
			rc = roll(l);
		if (rc == SLK_OK && l->group_open && open_group(l)->len + bytes > group_room(l))
			rc = jnl_lane_submit(l);
		if (rc == SLK_OK)
			rc = begin_group(l);
		if (rc != SLK_OK)
			return rc;
		if (file_has_room(l, bytes) && open_group(l)->len + bytes <= group_room(l))
			return SLK_OK;
	}
	return SLK_TOO_LARGE;
}

/* --- epochs --- */

static struct jnl_epoch **
epoch_bucket(struct jnl_lane *l, const struct seal_epoch *epoch)
{
	return &l->epochs[seal_epoch_id(epoch) % JNL_EPOCH_BUCKETS];
}

static struct jnl_epoch *
find_epoch(struct jnl_lane *l, const struct seal_epoch *epoch)
{
	for (struct jnl_epoch *e = *epoch_bucket(l, epoch); e != NULL; e = e->next) {
		if (e->seal == epoch)
			return e;
	}
	return NULL;
}

int
jnl_lane_epoch_begin(struct jnl_lane *l, struct seal_thread *thread,
	const struct jnl_epoch_params *params, struct seal_epoch **out_epoch)
{
	const struct jnl_epoch_params *p = params;
	uint8_t context[FMT_CONTEXT_MAX];
	size_t context_len = 0;

	if (atomic_load_explicit(&l->status, memory_order_acquire) == SLK_DISK_FAILED)
		return SLK_DISK_FAILED;
	if (l->epoch_ordinal >= 1u << 24)
		return SLK_LIMIT;
	struct jnl_epoch *e = calloc(1, sizeof(*e));
	if (e == NULL)
		return SLK_NO_MEMORY;
	uint64_t id = l->file.header.file_id << 24 | l->epoch_ordinal;
#ifdef SLK_PLANT_OLD_EPOCH
	struct jnl_plant plant;
	jnl_plant_old_epoch(l, params, &id, &plant);
	p = &plant.params;
#endif
	int rc = fmt_context_encode(p->context, context, sizeof(context), &context_len);
	if (rc == SLK_OK)
		rc = seal_epoch_new(thread, p->data_key, id, p->stream_id, p->max_blocks,
			p->max_bytes, &e->seal);
	e->key_body = rc == SLK_OK ? malloc(FMT_KEYBLOCK_MAX) : NULL;
	if (rc == SLK_OK && e->key_body == NULL)
		rc = SLK_NO_MEMORY;
	if (rc == SLK_OK) {
		struct fmt_keyblock k = {.epoch_id = id,
			.stream_id = p->stream_id,
			.commitment =
				slk_span(seal_epoch_commitment(e->seal), SEAL_COMMITMENT_BYTES),
			.stream_arn = slk_span_str(p->stream_arn),
			.key_arn = slk_span_str(p->key_arn),
			.context = slk_span(context, context_len),
			.wrapped = p->wrapped};
		rc = fmt_keyblock_encode(&k, e->key_body, FMT_KEYBLOCK_MAX, &e->key_body_len);
		if (rc == SLK_FULL)
			rc = SLK_TOO_LARGE;
	}
#ifdef SLK_PLANT_OLD_EPOCH
	slk_secret_free(plant.key);
#endif
	if (rc != SLK_OK) {
		seal_epoch_free(e->seal);
		free(e->key_body);
		free(e);
		return rc;
	}
	l->epoch_ordinal++;
	e->id = id;
	e->stream_id = params->stream_id;
	struct jnl_epoch **bucket = epoch_bucket(l, e->seal);
	e->next = *bucket;
	*bucket = e;
	atomic_fetch_add_explicit(&l->stat_epochs, 1, memory_order_relaxed);
	*out_epoch = e->seal;
	return SLK_OK;
}

/* Key blocks of epochs whose blocks are durable are not asked for any more. */
static void
forget_past(struct jnl_lane *l, uint64_t durable_lsn)
{
	for (struct jnl_epoch **at = &l->past; *at != NULL;) {
		struct jnl_epoch *e = *at;
		if (e->last_lsn > durable_lsn) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		free(e->key_body);
		free(e);
	}
}

/* Alive or ended. */
static struct jnl_epoch *
find_epoch_id(struct jnl_lane *l, uint64_t id)
{
	for (struct jnl_epoch *e = l->epochs[id % JNL_EPOCH_BUCKETS]; e != NULL; e = e->next)
		if (e->id == id)
			return e;
	for (struct jnl_epoch *e = l->past; e != NULL; e = e->next)
		if (e->id == id)
			return e;
	return NULL;
}

void
jnl_lane_epoch_end(struct jnl_lane *l, struct seal_epoch *epoch)
{
	if (epoch == NULL)
		return;
	for (struct jnl_epoch **at = epoch_bucket(l, epoch); *at != NULL; at = &(*at)->next) {
		struct jnl_epoch *e = *at;
		if (e->seal != epoch)
			continue;
		*at = e->next;
		seal_epoch_free(e->seal);
		e->seal = NULL;
		e->next = l->past;
		l->past = e;
		forget_past(l, jnl_lane_durable(l));
		return;
	}
}

static void
write_key_block(struct jnl_lane *l, struct jnl_epoch *e)
{
	struct jnl_group *g = open_group(l);
	uint8_t *at = g->buf + g->len;
	struct fmt_block b = {.type = FMT_BLOCK_KEY,
		.epoch_id = e->id,
		.stream_id = e->stream_id,
		.body_bytes = (uint32_t)e->key_body_len,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_KEY, e->key_body_len)};

	put_block(l, &b, at);
	memcpy(at + FMT_BLOCK_HEADER_BYTES, e->key_body, e->key_body_len);
	l->keys[l->key_count++] = (struct fmt_footer_key){b.epoch_id, b.stream_id, b.position};
	end_block(l, &b, at);
	e->written_in = l->file.header.file_id;
}

/* --- records --- */

uint64_t
jnl_lane_next_sequence(struct jnl_lane *l, uint64_t stream_id, uint32_t shard)
{
	const struct fmt_footer_shard *row = jnl_shards_find(&l->shards, stream_id, shard);

	return row != NULL ? row->next_sequence : 0;
}

int
jnl_lane_raise_sequence(struct jnl_lane *l, uint64_t stream_id, uint32_t shard, uint64_t at_least)
{
	if (at_least == 0)
		return SLK_OK;
	struct fmt_footer_shard *row = jnl_shards_get(&l->shards, stream_id, shard);
	if (row == NULL)
		return SLK_LIMIT;
	if (row->next_sequence < at_least)
		row->next_sequence = at_least;
	return SLK_OK;
}

static int
measure(const struct fmt_record *records, uint32_t count, uint64_t *out_plain, struct fmt_block *b)
{
	uint64_t plain = fmt_record_table_bytes(count);

	if (count == 0 || count > JNL_BLOCK_RECORDS_MAX)
		return SLK_INVALID;
	b->first_arrival_ns = UINT64_MAX;
	b->last_arrival_ns = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (records[i].key.len > FMT_RECORD_KEY_MAX ||
			records[i].data.len > FMT_RECORD_DATA_MAX)
			return SLK_TOO_LARGE;
		plain += records[i].key.len + records[i].data.len;
		if (records[i].arrival_ns < b->first_arrival_ns)
			b->first_arrival_ns = records[i].arrival_ns;
		if (records[i].arrival_ns > b->last_arrival_ns)
			b->last_arrival_ns = records[i].arrival_ns;
	}
	if (plain > JNL_BLOCK_PLAIN_MAX)
		return SLK_TOO_LARGE;
	*out_plain = plain;
	return SLK_OK;
}

/* A call of memcpy costs as much as the copying of so little. */
static uint8_t *
gather(uint8_t *to, const uint8_t *from, size_t len)
{
	if (len >= 32) {
		for (size_t at = 0; at + 32 < len; at += 32)
			memcpy(to + at, from + at, 32);
		memcpy(to + len - 32, from + len - 32, 32);
	} else if (len > 0) {
		memcpy(to, from, len);
	}
	return to + len;
}

/* Table first, then keys and data: small pieces are gathered in the stage, large ones stay where they lie. */
static uint32_t
cut_pieces(struct jnl_lane *l, const struct fmt_record *records, uint32_t count)
{
	uint8_t *end = l->stage;
	uint8_t *start = l->stage;
	uint32_t n = 0;

	for (uint32_t i = 0; i < count; i++, end += FMT_RECORD_ENTRY_BYTES)
		fmt_record_entry_put(end, &records[i]);
	for (uint32_t i = 0; i < count; i++) {
		const struct fmt_record *r = &records[i];
		end = gather(end, r->key.ptr, r->key.len);
		if (r->data.len < JNL_SMALL_BYTES) {
			end = gather(end, r->data.ptr, r->data.len);
			continue;
		}
		if (end > start)
			l->pieces[n++] = (struct iovec){start, (size_t)(end - start)};
		start = end;
		l->pieces[n++] = (struct iovec){(void *)(uintptr_t)r->data.ptr, r->data.len};
	}
	if (end > start)
		l->pieces[n++] = (struct iovec){start, (size_t)(end - start)};
	return n;
}

/* In the index of the file. */
static void
account_in_file(struct jnl_lane *l, const struct fmt_block *b)
{
	struct fmt_footer_shard *row = jnl_shards_get(&l->index_shards, b->stream_id, b->shard);

	jnl_shards_add(row, b->position, b->first_sequence, b->record_count, b->first_arrival_ns,
		b->last_arrival_ns);
	if (b->position >= l->sparse_next_pos) {
		l->sparse[l->sparse_count++] = (struct fmt_footer_sparse){b->position,
			(uint32_t)(row - l->index_shards.rows), b->first_sequence,
			l->file_latest_ns};
		l->sparse_next_pos = b->position + JNL_SPARSE_BYTES;
	}
	if (b->last_arrival_ns > l->file_latest_ns)
		l->file_latest_ns = b->last_arrival_ns;
	l->file_blocks++;
	l->file_records += b->record_count;
	l->file_plain += b->body_bytes;
}

static void
account(struct jnl_lane *l, const struct fmt_block *b)
{
	account_in_file(l, b);
	l->records += b->record_count;
	l->plain += b->body_bytes;
	atomic_fetch_add_explicit(&l->stat_blocks, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->stat_records, b->record_count, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->stat_plain, b->body_bytes, memory_order_relaxed);
}

static int
seal_block(struct jnl_lane *l, struct seal_thread *thread, struct seal_epoch *epoch,
	struct fmt_block *b, uint8_t *at, const struct fmt_record *records, uint64_t *out_cycles)
{
	struct seal_item item = {.out = at + FMT_BLOCK_HEADER_BYTES,
		.aad = at,
		.aad_len = FMT_BLOCK_HEADER_BYTES,
		.tag = at + FMT_BLOCK_HEADER_BYTES + b->body_bytes};
	uint64_t start = __rdtsc();

	put_block(l, b, at);
	item.in_count = cut_pieces(l, records, b->record_count);
	item.in = l->pieces;
	seal_nonce(b->block_number, item.nonce);
	(void)seal_burst(thread, seal_epoch_key(epoch), &item, 1);
	*out_cycles = __rdtsc() - start;
	return item.status;
}

int
jnl_lane_append(struct jnl_lane *l, struct seal_thread *thread, struct seal_epoch *epoch,
	uint32_t shard, const struct fmt_record *records, uint32_t count, struct jnl_append *out)
{
	struct fmt_block b = {.type = FMT_BLOCK_DATA, .shard = shard, .record_count = count};
	uint64_t plain = 0, cycles = 0;

	int rc = atomic_load_explicit(&l->status, memory_order_acquire);
	if (rc == SLK_OK)
		rc = jnl_lane_move(l);
	if (rc == SLK_OK)
		rc = measure(records, count, &plain, &b);
	if (rc != SLK_OK)
		return rc;
	struct jnl_epoch *e = find_epoch(l, epoch);
	if (e == NULL || l->closing)
		return SLK_INVALID_STATE;
	b.epoch_id = seal_epoch_id(epoch);
	b.stream_id = seal_epoch_stream(epoch);
	b.body_bytes = (uint32_t)plain;
	b.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_DATA, plain);
	if (jnl_shards_find(&l->shards, b.stream_id, shard) == NULL &&
		l->shards.count == l->shards.cap)
		return SLK_LIMIT;
	uint64_t key_total = fmt_block_total(FMT_BLOCK_KEY, e->key_body_len);
	/* With room for what makes it a moved block, should the disk fail. */
	rc = jnl_lane_make_room(l, key_total + fmt_block_total(FMT_BLOCK_MOVED, plain));
	if (rc != SLK_OK)
		return rc;
	if (e->written_in != l->file.header.file_id)
		write_key_block(l, e);
	/* The number is taken last: from here on nothing can fail but the engine itself. */
	rc = seal_epoch_take(epoch, plain, &b.block_number);
	if (rc != SLK_OK)
		return rc;
	struct fmt_footer_shard *row = jnl_shards_get(&l->shards, b.stream_id, shard);
	b.first_sequence = row->next_sequence;
	uint8_t *at = open_group(l)->buf + open_group(l)->len;
	rc = seal_block(l, thread, epoch, &b, at, records, &cycles);
	if (rc != SLK_OK)
		return SLK_INTERNAL;
	row->next_sequence += count;
	account(l, &b);
	end_block(l, &b, at);
	e->last_lsn = l->lsn;
	*out = (struct jnl_append){b.first_sequence, l->lsn, cycles, b.total_bytes};
	return SLK_OK;
}

int
jnl_lane_write_moved(struct jnl_lane *l, const uint8_t *raw, const struct fmt_block *block)
{
	struct jnl_epoch *e = find_epoch_id(l, block->epoch_id);
	const uint64_t key_total = e != NULL ? fmt_block_total(FMT_BLOCK_KEY, e->key_body_len) : 0;
	struct fmt_block b = *block;

	b.type = FMT_BLOCK_MOVED;
	b.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_MOVED, b.body_bytes);
	int rc = jnl_lane_make_room(l, key_total + b.total_bytes);
	if (rc != SLK_OK)
		return rc;
	if (e != NULL && e->written_in != l->file.header.file_id)
		write_key_block(l, e);
	b.file_id = l->file.header.file_id;
	b.position = l->file_pos;
	b.durable = durable_here(l);
	uint8_t *at = open_group(l)->buf + open_group(l)->len;
	fmt_block_move(raw, block, b.file_id, b.position, b.durable, at);
	account_in_file(l, &b);
	end_block(l, &b, at);
	return SLK_OK;
}

int
jnl_lane_close(struct jnl_lane *l)
{
	int rc = atomic_load_explicit(&l->status, memory_order_acquire);

	if (rc == SLK_DISK_FAILED)
		return rc;
	rc = l->closing ? SLK_OK : jnl_lane_move(l);
	if (rc != SLK_OK)
		return rc == SLK_DISK_FULL ? SLK_AGAIN : rc;
	if (!l->closing) {
		rc = jnl_lane_submit(l);
		if (rc == SLK_OK)
			rc = jnl_lane_close_file(l);
		if (rc != SLK_OK)
			return rc;
		l->closing = true;
	}
	atomic_store(&l->closed, true);
	uint64_t one = 1;
	ssize_t n = write(l->event_fd, &one, sizeof(one));
	(void)n;
	return SLK_OK;
}

/* --- making and ending --- */

/* A page in each directory: a lane may go to any of them. */
static int
open_marks(struct jnl_lane *l, struct slk_error *err)
{
	struct jnl *j = l->journal;

	for (unsigned d = 0; d < j->dirs->list.count; d++) {
		if (jnl_dirs_has_failed(j->dirs, d))
			continue;
		int rc = jnl_mark_open(&l->marks[d], j->base, j->config.sim_io == NULL,
			j->dirs->list.dirs[d].path, l->index, err);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

int
jnl_lane_init(struct jnl_lane *l, struct slk_error *err)
{
	const struct jnl_config *c = &l->journal->config;

	l->sparse_cap = (uint32_t)(c->file_bytes / JNL_SPARSE_BYTES) + 2;
	l->sparse = calloc(l->sparse_cap, sizeof(*l->sparse));
	l->keys = calloc(JNL_KEYS_MAX, sizeof(*l->keys));
	l->pieces = calloc(2 * JNL_BLOCK_RECORDS_MAX + 2, sizeof(*l->pieces));
	l->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->sparse == NULL || l->keys == NULL || l->pieces == NULL || l->event_fd < 0)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the buffers of a lane");
	uint32_t rows = c->group_bytes / 2 / FMT_FOOTER_SHARD_BYTES;
	int rc = jnl_shards_init(&l->index_shards, rows);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for the shards of a lane");
	rc = jnl_buffers_init(l, err);
	if (rc == SLK_OK && c->integrity && jnl_chapters_init(&l->chapters) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for the hashes of a lane");
	if (rc != SLK_OK)
		return rc;
	rc = open_marks(l, err);
	if (rc == SLK_OK)
		rc = l->io.open(l->io.ctx, l->event_fd, &l->io_instance, err);
	struct jnl_file *first = NULL;
	if (rc == SLK_OK)
		rc = jnl_file_prepare(l, false, &first, err);
	if (rc != SLK_OK)
		return rc;
	jnl_lane_take_file(l, first);
	struct jnl_mark *mark = &l->marks[l->file.dir];
	struct fmt_watermark m = {.change_count = mark->now.change_count,
		.file_id = l->file.header.file_id,
		.position = FMT_JFILE_PAGE_BYTES,
		.opened_ns = l->journal->opened_ns,
		.pid = (uint32_t)getpid()};
	rc = jnl_mark_set(mark, &m);
	l->published = m;
	l->published_dir = l->file.dir;
	atomic_store(&l->durable_pos, FMT_JFILE_PAGE_BYTES);
	atomic_store(&l->durable_file, l->file.header.file_id);
	if (rc == SLK_OK)
		rc = jnl_lane_write_tables(l);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "cannot begin the first file of a lane");
}

void
jnl_lane_fini(struct jnl_lane *l)
{
	for (unsigned i = 0; i < JNL_EPOCH_BUCKETS; i++) {
		while (l->epochs[i] != NULL)
			jnl_lane_epoch_end(l, l->epochs[i]->seal);
	}
	if (l->io_instance != NULL)
		l->io.close(l->io_instance);
	jnl_file_put_back(l, atomic_exchange(&l->next, NULL));
	jnl_file_put_back(l, atomic_exchange(&l->refuge, NULL));
	forget_past(l, UINT64_MAX);
	jnl_carry_fini(l);
	/* The descriptor of a closed file went with its last group. */
	if (!l->closing && l->file.header.file_id != 0)
		(void)l->journal->fs->close(l->journal->fs->ctx, l->file.fd);
	for (unsigned d = 0; d < JNL_DIRS_MAX; d++)
		jnl_mark_close(&l->marks[d]);
	jnl_chapters_fini(&l->chapters);
	jnl_buffers_fini(l);
	jnl_shards_fini(&l->shards);
	jnl_shards_fini(&l->index_shards);
	free(l->sparse);
	free(l->keys);
	free(l->pieces);
	if (l->event_fd >= 0)
		close(l->event_fd);
	pthread_mutex_destroy(&l->prepare_lock);
	pthread_cond_destroy(&l->prepare_cond);
}

const char *
jnl_lane_tail_error(const struct jnl_lane *l)
{
	return l->ring_error.text;
}
