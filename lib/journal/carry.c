/* Going on in another directory: what was not durable when a disk failed is written again, as it was sealed, at the beginning of a new
 * file. The failed file counts up to the last position that was published, which the new one's header names; what lies behind it was
 * never acknowledged there, and whether it is on the disk is of no interest.
 *
 * Worker's side: it alone knows groups that are not submitted, files and shards. The lane thread has nothing under way meanwhile. */
#include <stdlib.h>
#include <string.h>

#include "journal/internal.h"

#define ENTRY_HEAD_BYTES 8u

/* --- gathering --- */

static struct jnl_group *
group(struct jnl_lane *l, uint64_t number)
{
	return &l->groups[number % l->journal->config.group_count];
}

static void
put_entry(struct jnl_carry *c, uint64_t lsn, const uint8_t *raw, const struct fmt_block *b)
{
	slk_put_le64(c->bytes + c->len, lsn);
	memcpy(c->bytes + c->len + ENTRY_HEAD_BYTES, raw, b->total_bytes);
	c->len += ENTRY_HEAD_BYTES + b->total_bytes;
	c->records += b->record_count;
	c->plain += b->body_bytes;
}

/* The blocks with records of one group; all but the last acknowledge no more than what came before the group. */
static int
put_group(struct jnl_carry *c, const struct jnl_group *g, uint64_t lsn_before, uint64_t lsn_end)
{
	struct fmt_block b;
	size_t last = SIZE_MAX;

	for (uint32_t at = 0; at < g->len; at += b.total_bytes) {
		if (fmt_block_decode(slk_span(g->buf + at, g->len - at), &b) != SLK_OK ||
			b.total_bytes > g->len - at)
			return SLK_INTERNAL; /* its own worker has made it */
		if (!fmt_block_is_data(&b))
			continue;
		last = c->len;
		put_entry(c, lsn_before, g->buf + at, &b);
	}
	if (last != SIZE_MAX)
		slk_put_le64(c->bytes + last, lsn_end);
	return SLK_OK;
}

static size_t
room_wanted(struct jnl_lane *l, uint64_t from, uint64_t to)
{
	size_t bytes = l->carry.len - l->carry.at;

	for (uint64_t n = from; n < to; n++)
		bytes += group(l, n)->len +
			(group(l, n)->len / FMT_BLOCK_HEADER_BYTES) * (size_t)ENTRY_HEAD_BYTES;
	return bytes;
}

/* Groups from..to, the open one included, and then what an earlier move had still to write. */
static int
gather(struct jnl_lane *l, uint64_t from, uint64_t to)
{
	struct jnl_carry *old = &l->carry, next = {.active = true};
	uint64_t lsn = atomic_load(&l->durable_lsn);
	int rc = SLK_OK;

	next.lsn = lsn;
	next.bytes = malloc(room_wanted(l, from, to) + 1);
	if (next.bytes == NULL)
		return SLK_NO_MEMORY;
	for (uint64_t n = from; n < to && rc == SLK_OK; n++) {
		const struct jnl_group *g = group(l, n);
		bool is_open = l->group_open && n + 1 == to;
		uint64_t end = !is_open ? g->lsn_end : old->active ? old->lsn : l->lsn;
		rc = put_group(&next, g, lsn, end);
		lsn = end;
	}
	if (rc != SLK_OK) {
		free(next.bytes);
		return rc;
	}
	if (old->active) {
		memcpy(next.bytes + next.len, old->bytes + old->at, old->len - old->at);
		next.len += old->len - old->at;
		next.records += old->records;
		next.plain += old->plain;
	}
	free(old->bytes);
	*old = next;
	return SLK_OK;
}

/* --- taking over --- */

/* Of the files that are left: each once. */
static void
close_files(struct jnl_lane *l, uint64_t from, uint64_t to)
{
	const struct slk_fs *fs = l->journal->base;
	bool own = !l->closing; /* of a closed lane it is in its last group, or closed */

	for (uint64_t n = from; n < to; n++) {
		const struct jnl_group *g = group(l, n);
		if (!g->closes_file)
			continue;
		own = own && g->fd != l->file.fd;
		(void)fs->close(fs->ctx, g->fd);
	}
	if (own)
		(void)fs->close(fs->ctx, l->file.fd);
}

static void
reset_groups(struct jnl_lane *l, uint64_t submitted)
{
	for (uint32_t i = 0; i < l->journal->config.group_count; i++) {
		l->groups[i].state = JNL_G_IDLE;
		l->groups[i].closes_file = false;
		l->groups[i].len = 0;
	}
	l->group_open = false;
	l->hashed = submitted;
	l->chapters.offset = 0;
	atomic_store(&l->next_write, submitted);
	atomic_store(&l->flushing, submitted);
	atomic_store(&l->done, submitted);
	atomic_store(&l->flushed, submitted);
}

static int
take_over(struct jnl_lane *l)
{
	const uint64_t from = atomic_load(&l->flushed), submitted = atomic_load(&l->submitted);
	const uint64_t to = submitted + (l->group_open ? 1 : 0);

	int rc = gather(l, from, to);
	if (rc != SLK_OK)
		return rc;
	close_files(l, from, submitted);
	reset_groups(l, submitted);
	jnl_file_put_back(l, atomic_exchange(&l->next, NULL));
	jnl_lane_take_file(l, atomic_exchange(&l->refuge, NULL));
	atomic_fetch_add_explicit(&l->stat_moves, 1, memory_order_relaxed);
	atomic_store(&l->carrying, true);
	return jnl_lane_write_tables(l);
}

/* --- writing again --- */

static int
write_entries(struct jnl_lane *l)
{
	struct jnl_carry *c = &l->carry;
	struct fmt_block b;

	while (c->at < c->len) {
		const uint8_t *raw = c->bytes + c->at + ENTRY_HEAD_BYTES;
		int rc = fmt_block_decode(slk_span(raw, c->len - c->at - ENTRY_HEAD_BYTES), &b);
		if (rc == SLK_OK)
			rc = jnl_lane_write_moved(l, raw, &b);
		if (rc != SLK_OK)
			return rc;
		c->lsn = slk_get_le64(c->bytes + c->at);
		c->records -= b.record_count;
		c->plain -= b.body_bytes;
		c->at += ENTRY_HEAD_BYTES + b.total_bytes;
	}
	return SLK_OK;
}

/* All of it lies in groups: from here on the lane is as it was. */
static int
end_carry(struct jnl_lane *l)
{
	l->carry.lsn = l->lsn;
	/* Also what is empty: the lane has left the directory when something of the new file is durable. */
	int rc = l->closing ? jnl_lane_close_file(l) : jnl_lane_submit(l);
	if (rc != SLK_OK)
		return rc;
	jnl_carry_fini(l);
	atomic_store(&l->carrying, false);
	return SLK_OK;
}

int
jnl_lane_move(struct jnl_lane *l)
{
	const bool left = atomic_load_explicit(&l->leave, memory_order_acquire) == JNL_LEAVE_LEFT;
	int rc = SLK_OK;

	if (!left && !l->carry.active)
		return SLK_OK;
	if (left)
		rc = take_over(l);
	if (rc == SLK_OK)
		rc = write_entries(l);
	if (rc == SLK_OK)
		rc = end_carry(l);
	if (rc != SLK_OK && rc != SLK_AGAIN) { /* nothing of it may be acknowledged */
		atomic_store(&l->status, SLK_DISK_FAILED);
		rc = SLK_DISK_FAILED;
	}
	if (left)
		atomic_store(&l->leave, JNL_LEAVE_TAKEN);
	return rc;
}

void
jnl_carry_fini(struct jnl_lane *l)
{
	free(l->carry.bytes);
	l->carry = (struct jnl_carry){0};
}

/* --- tables --- */

int
jnl_carry_lower(struct jnl_lane *l, uint64_t **out_saved)
{
	const struct jnl_carry *c = &l->carry;
	struct fmt_block b;
	size_t at = c->at;

	*out_saved = NULL;
	if (!c->active || at == c->len)
		return SLK_OK;
	uint64_t *saved = calloc(l->shards.count + 1u, sizeof(*saved));
	bool *seen = calloc(l->shards.count + 1u, sizeof(*seen));
	int rc = SLK_OK;
	if (saved == NULL || seen == NULL) {
		free(saved);
		free(seen);
		return SLK_NO_MEMORY;
	}
	for (uint32_t i = 0; i < l->shards.count; i++)
		saved[i] = l->shards.rows[i].next_sequence;
	for (; rc == SLK_OK && at < c->len; at += ENTRY_HEAD_BYTES + b.total_bytes) {
		rc = fmt_block_decode(
			slk_span(c->bytes + at + ENTRY_HEAD_BYTES, c->len - at - ENTRY_HEAD_BYTES),
			&b);
		struct fmt_footer_shard *row =
			rc == SLK_OK ? jnl_shards_find(&l->shards, b.stream_id, b.shard) : NULL;
		if (row == NULL || seen[row - l->shards.rows])
			continue;
		seen[row - l->shards.rows] = true;
		row->next_sequence = b.first_sequence;
	}
	free(seen);
	if (rc != SLK_OK) {
		jnl_carry_raise(l, saved);
		return rc;
	}
	*out_saved = saved;
	return SLK_OK;
}

void
jnl_carry_raise(struct jnl_lane *l, uint64_t *saved)
{
	for (uint32_t i = 0; saved != NULL && i < l->shards.count; i++)
		l->shards.rows[i].next_sequence = saved[i];
	free(saved);
}
