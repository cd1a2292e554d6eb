#include "journal/chapters.h"

#include <stdlib.h>

#include "journal/internal.h"

int
jnl_chapters_init(struct jnl_chapters *c)
{
	*c = (struct jnl_chapters){.lapsed = true};
	if (pthread_mutex_init(&c->lock, NULL) != 0)
		return SLK_NO_MEMORY;
	c->last = &c->first;
	int rc = jnl_prover_init(&c->prover);
	if (rc != SLK_OK) {
		pthread_mutex_destroy(&c->lock);
		*c = (struct jnl_chapters){0};
	}
	return rc;
}

void
jnl_chapters_fini(struct jnl_chapters *c)
{
	if (c->last == NULL)
		return;
	struct jnl_chapter *next, *at = jnl_chapters_take(c);
	for (; at != NULL; at = next) {
		next = at->next;
		free(at);
	}
	jnl_prover_fini(&c->prover);
	pthread_mutex_destroy(&c->lock);
	*c = (struct jnl_chapters){0};
}

struct jnl_chapter *
jnl_chapters_take(struct jnl_chapters *c)
{
	pthread_mutex_lock(&c->lock);
	struct jnl_chapter *first = c->first;
	c->first = NULL;
	c->last = &c->first;
	atomic_store(&c->bytes, 0);
	pthread_mutex_unlock(&c->lock);
	return first;
}

static void
push(struct jnl_chapters *c, struct jnl_chapter *chapter)
{
	chapter->next = NULL;
	pthread_mutex_lock(&c->lock);
	*c->last = chapter;
	c->last = &chapter->next;
	atomic_fetch_add(&c->bytes, sizeof(*chapter) + chapter->len);
	pthread_mutex_unlock(&c->lock);
}

static struct jnl_chapter *
new_chapter(const struct jnl_chapters *c, size_t room)
{
	struct jnl_chapter *chapter = calloc(1, sizeof(*chapter) + room);

	if (chapter != NULL) {
		chapter->file_id = c->file_id;
		chapter->lane = c->prover.now.lane;
	}
	return chapter;
}

/* Hand over the pieces that wait, with a statement if one is given. False: the file's proof has a hole now. */
static bool
hand_on(struct jnl_chapters *c, const struct fmt_proof_statement *statement)
{
	size_t room = FMT_PROOF_HEAD_BYTES + 16u + (size_t)c->prover.count * FMT_PROOF_PIECE_BYTES;

	if (atomic_load(&c->bytes) + room > JNL_CHAPTERS_MAX_BYTES)
		return false;
	struct jnl_chapter *chapter = new_chapter(c, room);
	if (chapter == NULL)
		return false;
	int rc = jnl_prover_take(&c->prover, chapter->bytes, room, &chapter->len);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND) {
		free(chapter);
		return false;
	}
	chapter->after_left = c->after_left;
	c->after_left = false;
	if (statement != NULL) {
		chapter->has_statement = true;
		chapter->statement = *statement;
	}
	push(c, chapter);
	return true;
}

static void
begin_file(struct jnl_lane *l, const struct fmt_jfile_header *header)
{
	struct jnl_chapters *c = &l->chapters;

	c->file_id = header->file_id;
	c->stated_pos = 0;
	c->after_left = header->previous_end != 0;
	c->stated_ns = slk_mono_ns(l->journal->clock);
	/* The first chapter goes at once, so that the file is known to have a proof. */
	c->lapsed = jnl_prover_begin(&c->prover, header) != SLK_OK || !hand_on(c, NULL);
}

/* The blocks of a group from an offset on, as many as are hashed at once: its own worker has written their headers, so their lengths
 * are believed. Returns how many; 0: there is something else. */
static unsigned
cut_blocks(const uint8_t *raw, uint32_t room, uint32_t slice, struct slk_span spans[],
	struct fmt_block blocks[])
{
	uint32_t at = 0;
	unsigned count = 0;

	while (count < SEAL_DIGEST_MANY && at < room && at < slice) {
		struct fmt_block *b = &blocks[count];
		if (room - at < FMT_BLOCK_HEADER_BYTES ||
			fmt_block_decode(slk_span(raw + at, FMT_BLOCK_HEADER_BYTES), b) != SLK_OK ||
			b->total_bytes > room - at)
			return 0;
		spans[count++] = slk_span(raw + at, b->total_bytes);
		at += b->total_bytes;
	}
	return count;
}

/* Hash a slice; *out_len bytes of it. */
static bool
hash_blocks(struct jnl_chapters *c, const uint8_t *raw, uint32_t room, uint32_t slice,
	uint32_t *out_len)
{
	struct slk_span spans[SEAL_DIGEST_MANY];
	struct fmt_block blocks[SEAL_DIGEST_MANY];
	uint8_t hashes[SEAL_DIGEST_MANY][SEAL_SHA256_BYTES];
	const unsigned count = cut_blocks(raw, room, slice, spans, blocks);
	int rc = count > 0 ? seal_digest_many(c->prover.running, spans, count, hashes)
			   : SLK_MALFORMED;

	*out_len = 0;
	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		rc = jnl_prover_add_hashed(&c->prover, spans[i], &blocks[i], hashes[i]);
		if (rc == SLK_FULL && hand_on(c, NULL))
			rc = jnl_prover_add_hashed(&c->prover, spans[i], &blocks[i], hashes[i]);
		*out_len += (uint32_t)spans[i].len;
	}
	return rc == SLK_OK;
}

static bool
checkpoint_due(const struct jnl_lane *l)
{
	const struct jnl_chapters *c = &l->chapters;

	return c->file_id != 0 && !c->lapsed && c->prover.now.position > c->stated_pos &&
		slk_mono_ns(l->journal->clock) - c->stated_ns >= JNL_CHECKPOINT_NS;
}

/* A file's end, and a checkpoint, state what is durable: nothing behind them is hashed before. */
static bool
must_wait(const struct jnl_lane *l)
{
	uint64_t done = atomic_load_explicit(&l->done, memory_order_relaxed);

	if (l->hashed == done || l->chapters.offset > 0)
		return false;
	return l->groups[(l->hashed - 1) % l->journal->config.group_count].closes_file ||
		checkpoint_due(l);
}

bool
jnl_chapters_hash(struct jnl_lane *l)
{
	struct jnl_chapters *c = &l->chapters;
	/* A thread of its own has nothing else to look at. */
	const uint32_t slice = l->hasher_runs ? JNL_HASH_MANY_BYTES : JNL_HASH_SLICE_BYTES;

	if (l->hashed == l->next_write || must_wait(l))
		return false;
	const struct jnl_group *g = &l->groups[l->hashed % l->journal->config.group_count];
	if (g->file_id != c->file_id)
		begin_file(l, &g->header);
	uint32_t len = 0;
	if (!c->lapsed && !hash_blocks(c, g->buf + c->offset, g->len - c->offset, slice, &len))
		c->lapsed = true;
	c->offset += len;
	if (c->lapsed)
		c->offset = g->len;
	if (c->offset >= g->len) {
		c->offset = 0;
		l->hashed++;
	}
	return true;
}

static void
state(struct jnl_lane *l, uint32_t flags)
{
	struct jnl_chapters *c = &l->chapters;
	struct fmt_proof_statement s;

	if (!c->lapsed)
		c->lapsed = jnl_prover_state(&c->prover, flags, slk_wall_ns(l->journal->clock),
				    &s) != SLK_OK ||
			!hand_on(c, &s);
	c->stated_pos = c->prover.now.position;
	c->stated_ns = slk_mono_ns(l->journal->clock);
}

void
jnl_chapters_end(struct jnl_lane *l)
{
	struct jnl_chapters *c = &l->chapters;

	state(l, FMT_PROOF_FINAL);
	struct jnl_chapter *lapsed = c->lapsed ? new_chapter(c, 0) : NULL;
	if (lapsed != NULL) { /* without memory for it, the next start finds the file */
		lapsed->lapsed = true;
		push(c, lapsed);
	}
}

void
jnl_chapters_checkpoint(struct jnl_lane *l)
{
	if (l->chapters.offset == 0 && checkpoint_due(l))
		state(l, 0);
}
