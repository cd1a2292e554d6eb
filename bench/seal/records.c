/* What sealing in blocks buys, against sealing each record by itself or copying first. Every block,
 * be it of one record or of hundreds, has a header of its own as AAD and a table of entries, as the
 * journal's blocks have. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/block.h"
#include "format/record.h"
#include "seal_bench.h"

#define ARRIVAL_NS 1700000000000000000ull
#define SMALL_BYTES 64u
#define SMALL_COUNT 372u /* a block of 32 KiB with its entries */
#define SMALL_STRIDE 128u /* of the packets that they come in */
#define LARGE_BYTES 1024u
#define LARGE_COUNT 62u /* a block of 64 KiB */
#define LARGE_STRIDE 2048u /* of the packet buffers */
#define LARGE_FRAMED ((size_t)LARGE_COUNT * (FMT_RECORD_ENTRY_BYTES + LARGE_BYTES))
#define POOL_BLOCKS 64u /* 3,968 buffers and 4 MiB of blocks */

static_assert(SMALL_COUNT <= ITEMS_MAX && LARGE_COUNT < PIECES_MAX, "sizes of a set");

struct record_set {
	struct seal_set *s;
	uint8_t *payloads; /* of the next block: count x stride */
	uint8_t *stage; /* framed plaintext */
	uint8_t *out; /* of the next block */
	uint8_t *pool; /* 1 KiB records: all buffers, then all blocks, walked in turn */
	uint32_t pool_blocks;
	uint32_t pool_next;
	struct seal_item whole; /* the block as one item */
	struct iovec pieces[PIECES_MAX];
	uint64_t block_number;
};

static inline void
entry_put(uint8_t *out, uint32_t len)
{
	const struct fmt_record record = {
		.data = {NULL, len}, .arrival_ns = ARRIVAL_NS, .source = FMT_SOURCE_LISTENER};

	fmt_record_entry_put(out, &record);
}

static inline void
header_put(uint8_t *out, uint64_t block_number, uint32_t count, uint32_t len)
{
	const struct fmt_block block = {.type = FMT_BLOCK_DATA,
		.total_bytes = (uint32_t)fmt_block_total(FMT_BLOCK_DATA, len),
		.file_id = 1,
		.position = block_number * 256,
		.epoch_id = 1,
		.stream_id = 2,
		.record_count = count,
		.block_number = block_number,
		.first_sequence = block_number,
		.body_bytes = len,
		.first_arrival_ns = ARRIVAL_NS,
		.last_arrival_ns = ARRIVAL_NS};

	fmt_block_encode(&block, out);
}

static void
seal_alone(struct record_set *r)
{
	for (uint32_t i = 0; i < SMALL_COUNT; i += BURST)
		seal_burst(r->s->keys->thread, r->s->keys->key, &r->s->items[i],
			SMALL_COUNT - i < BURST ? SMALL_COUNT - i : BURST);
}

static void
run_alone(void *arg)
{
	seal_alone(arg);
}

static void
run_alone_framed(void *arg)
{
	struct record_set *r = arg;

	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		uint8_t *stage = r->stage + (size_t)i * (FMT_RECORD_ENTRY_BYTES + SMALL_BYTES);
		entry_put(stage, SMALL_BYTES);
		memcpy(stage + FMT_RECORD_ENTRY_BYTES, r->payloads + (size_t)i * SMALL_STRIDE,
			SMALL_BYTES);
		header_put(r->s->aads[i], r->block_number, 1, FMT_RECORD_ENTRY_BYTES + SMALL_BYTES);
		slk_put_be64(r->s->items[i].nonce + 4, r->block_number++);
	}
	seal_alone(r);
}

static void
seal_whole(struct record_set *r)
{
	seal_burst(r->s->keys->thread, r->s->keys->key, &r->whole, 1);
}

static void
run_block(void *arg)
{
	seal_whole(arg);
}

/* Entries first, then the payloads in order. */
static void
frame_block(struct record_set *r, uint8_t *stage, uint32_t count, uint32_t bytes, uint32_t stride,
	bool copy)
{
	uint8_t *data = stage + (size_t)count * FMT_RECORD_ENTRY_BYTES;

	header_put(r->s->aads[0], r->block_number, count, count * (FMT_RECORD_ENTRY_BYTES + bytes));
	slk_put_be64(r->whole.nonce + 4, r->block_number++);
	for (uint32_t i = 0; i < count; i++)
		entry_put(stage + (size_t)i * FMT_RECORD_ENTRY_BYTES, bytes);
	for (uint32_t i = 0; copy && i < count; i++)
		memcpy(data + (size_t)i * bytes, r->payloads + (size_t)i * stride, bytes);
}

static void
run_block_framed(void *arg)
{
	struct record_set *r = arg;

	frame_block(r, r->stage, SMALL_COUNT, SMALL_BYTES, SMALL_STRIDE, true);
	seal_whole(r);
}

static void
whole_of(struct record_set *r, size_t len)
{
	r->pieces[0] = (struct iovec){r->stage, len};
	r->whole = (struct seal_item){.in = r->pieces,
		.in_count = 1,
		.out = r->out,
		.aad = r->s->aads[0],
		.aad_len = AAD_BYTES,
		.tag = r->s->tags[0]};
}

static void
small_fill(struct record_set *r, uint8_t *memory)
{
	const size_t framed = FMT_RECORD_ENTRY_BYTES + SMALL_BYTES;
	uint64_t seed = 64;

	r->payloads = memory;
	r->stage = memory + (size_t)SMALL_COUNT * SMALL_STRIDE;
	r->out = r->stage + SMALL_COUNT * framed;
	bench_fill(&seed, r->payloads, (size_t)SMALL_COUNT * SMALL_STRIDE);
	whole_of(r, SMALL_COUNT * framed);
	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		r->s->in[i] = (struct iovec){r->stage + i * framed, framed};
		r->s->items[i] = (struct seal_item){.in = &r->s->in[i],
			.in_count = 1,
			.out = r->out + i * framed,
			.aad = r->s->aads[i],
			.aad_len = AAD_BYTES,
			.tag = r->s->tags[i]};
	}
}

/* Open a sealed block in place and compare it with what should be in it. */
static bool
block_opens(struct record_set *r, uint32_t count, uint32_t bytes, uint32_t stride)
{
	size_t len = (size_t)count * (FMT_RECORD_ENTRY_BYTES + bytes);
	struct iovec in = {r->out, len};
	struct seal_item item = r->whole;
	uint8_t entry[FMT_RECORD_ENTRY_BYTES];

	item.in = &in;
	item.in_count = 1;
	item.out = r->out;
	if (seal_open_burst(r->s->keys->thread, r->s->keys->key, &item, 1) != 1)
		return false;
	entry_put(entry, bytes);
	for (uint32_t i = 0; i < count; i++) {
		if (memcmp(r->out + (size_t)i * FMT_RECORD_ENTRY_BYTES, entry,
			    FMT_RECORD_ENTRY_BYTES) != 0 ||
			memcmp(r->out + (size_t)count * FMT_RECORD_ENTRY_BYTES + (size_t)i * bytes,
				r->payloads + (size_t)i * stride, bytes) != 0)
			return false;
	}
	return true;
}

/* Each record's own block opens to its entry and payload. */
static bool
alone_opens(struct record_set *r)
{
	for (uint32_t i = 0; i < SMALL_COUNT; i++) {
		uint8_t plain[FMT_RECORD_ENTRY_BYTES + SMALL_BYTES];
		struct iovec in = {r->s->items[i].out, sizeof(plain)};
		struct seal_item item = r->s->items[i];
		item.in = &in;
		item.out = plain;
		if (seal_open_burst(r->s->keys->thread, r->s->keys->key, &item, 1) != 1 ||
			memcmp(plain + FMT_RECORD_ENTRY_BYTES,
				r->payloads + (size_t)i * SMALL_STRIDE, SMALL_BYTES) != 0)
			return false;
	}
	return true;
}

static int
small_records(struct bench *b, struct record_set *r, uint8_t *memory, struct record_ratios *out)
{
	const struct bench_contender c[] = {{"alone, sealing", run_alone, r},
		{"block, sealing", run_block, r}, {"alone, framed", run_alone_framed, r},
		{"block, framed", run_block_framed, r}};
	const struct bench_shape shape = {.group = "64 B records",
		.label = "per record",
		.ops = SMALL_COUNT,
		.bytes_per_op = SMALL_BYTES,
		.working_set_bytes = (uint64_t)SMALL_COUNT *
			(SMALL_STRIDE + 2 * (FMT_RECORD_ENTRY_BYTES + SMALL_BYTES) + AAD_BYTES +
				SEAL_TAG_BYTES + sizeof(struct seal_item) + sizeof(struct iovec))};
	struct bench_stats st[4];

	small_fill(r, memory);
	bench_heading(
		b, "64 B records, AES-256: each a block of its own, or 372 in one block", c, 4);
	bench_compare(b, &shape, c, 4, st);
	out->block_to_alone = st[0].best / st[1].best;
	out->framed_block_to_alone = st[2].best / st[3].best;
	out->working_set = shape.working_set_bytes > out->working_set ? shape.working_set_bytes
								      : out->working_set;
	run_alone_framed(r);
	if (!alone_opens(r))
		return SLK_BAD_TAG;
	run_block_framed(r);
	return block_opens(r, SMALL_COUNT, SMALL_BYTES, SMALL_STRIDE) ? SLK_OK : SLK_BAD_TAG;
}

/* Take the next buffers of the pool and the next block of the lane's buffer. */
static void
pool_step(struct record_set *r)
{
	r->pool_next = (r->pool_next + 1) % r->pool_blocks;
	r->payloads = r->pool + (size_t)r->pool_next * LARGE_COUNT * LARGE_STRIDE;
	r->out = r->pool + (size_t)r->pool_blocks * LARGE_COUNT * LARGE_STRIDE +
		(size_t)r->pool_next * LARGE_FRAMED;
}

static void
run_scattered(void *arg)
{
	struct record_set *r = arg;

	pool_step(r);
	frame_block(r, r->stage, LARGE_COUNT, LARGE_BYTES, LARGE_STRIDE, false);
	r->pieces[0] = (struct iovec){r->stage, (size_t)LARGE_COUNT * FMT_RECORD_ENTRY_BYTES};
	for (uint32_t i = 0; i < LARGE_COUNT; i++)
		r->pieces[i + 1] =
			(struct iovec){r->payloads + (size_t)i * LARGE_STRIDE, LARGE_BYTES};
	r->whole.in_count = LARGE_COUNT + 1;
	r->whole.out = r->out;
	seal_whole(r);
}

static void
copy_then_seal(struct record_set *r, uint8_t *stage)
{
	frame_block(r, stage, LARGE_COUNT, LARGE_BYTES, LARGE_STRIDE, true);
	r->pieces[0] = (struct iovec){stage, LARGE_FRAMED};
	r->whole.in_count = 1;
	r->whole.out = r->out;
	seal_whole(r);
}

static void
run_copied(void *arg)
{
	struct record_set *r = arg;

	pool_step(r);
	copy_then_seal(r, r->stage);
}

/* Copy to where the block is needed and seal it there. */
static void
run_copied_in_place(void *arg)
{
	struct record_set *r = arg;

	pool_step(r);
	copy_then_seal(r, r->out);
}

static void
run_copy_only(void *arg)
{
	struct record_set *r = arg;

	pool_step(r);
	frame_block(r, r->stage, LARGE_COUNT, LARGE_BYTES, LARGE_STRIDE, true);
}

/* What lies framed in the stage already. */
static void
run_seal_only(void *arg)
{
	struct record_set *r = arg;

	pool_step(r);
	r->pieces[0] = (struct iovec){r->stage, LARGE_FRAMED};
	r->whole.in_count = 1;
	r->whole.out = r->out;
	seal_whole(r);
}

/* Time of sealing straight from the buffers over that of copying first, with pool_blocks blocks' worth of buffers. */
static int
large_records(struct bench *b, struct record_set *r, uint32_t pool_blocks, double *out_ratio,
	double *out_floor, uint64_t *out_set)
{
	const struct bench_contender c[] = {{"from the buffers", run_scattered, r},
		{"copied, then sealed", run_copied, r},
		{"copied, sealed in place", run_copied_in_place, r},
		{"copied only", run_copy_only, r}, {"sealed only", run_seal_only, r}};
	const struct bench_shape shape = {.group = "1 KiB records",
		.label = pool_blocks == 1 ? "same buffers" : "mempool",
		.ops = LARGE_COUNT,
		.bytes_per_op = LARGE_BYTES,
		.working_set_bytes = LARGE_FRAMED +
			pool_blocks * ((uint64_t)LARGE_COUNT * LARGE_BYTES + LARGE_FRAMED)};
	struct bench_stats st[5];
	uint64_t seed = 1024;

	r->pool_blocks = pool_blocks;
	r->pool_next = 0;
	bench_fill(&seed, r->pool, (size_t)pool_blocks * LARGE_COUNT * LARGE_STRIDE);
	whole_of(r, LARGE_FRAMED);
	bench_compare(b, &shape, c, 5, st);
	*out_ratio = st[0].best / st[1].best;
	*out_floor = st[4].best / st[1].best;
	*out_set = shape.working_set_bytes;
	for (uint32_t i = 0; i < 3; i++) {
		c[i].run(r);
		if (!block_opens(r, LARGE_COUNT, LARGE_BYTES, LARGE_STRIDE))
			return SLK_BAD_TAG;
	}
	return SLK_OK;
}

/* Once with the same buffers over and over, all in the second-level cache; once as a port's pool is used, each buffer
 * coming round only after all the others. */
static int
large_both(struct bench *b, struct record_set *r, struct record_ratios *out)
{
	static const struct bench_contender names[] = {{"from the buffers", NULL, NULL},
		{"copied, then sealed", NULL, NULL}, {"copied, sealed in place", NULL, NULL},
		{"copied only", NULL, NULL}, {"sealed only", NULL, NULL}};
	uint64_t set = 0;
	uint64_t pool_set = 0;
	double pool_floor = 0;

	r->stage = aligned_alloc(64, (LARGE_FRAMED + 63) / 64 * 64);
	r->pool = aligned_alloc(
		64, (size_t)POOL_BLOCKS * LARGE_COUNT * LARGE_STRIDE + (size_t)POOL_BLOCKS * 65536);
	int rc = r->stage != NULL && r->pool != NULL ? SLK_OK : SLK_NO_MEMORY;
	bench_heading(
		b, "1 KiB records, AES-256: 62 of them in 2 KiB buffers into one block", names, 5);
	if (rc == SLK_OK)
		rc = large_records(b, r, 1, &out->scatter_to_copy, &out->seal_to_copy, &set);
	if (rc == SLK_OK)
		rc = large_records(
			b, r, POOL_BLOCKS, &out->pool_scatter_to_copy, &pool_floor, &pool_set);
	out->working_set = set > out->working_set ? set : out->working_set;
	free(r->stage);
	free(r->pool);
	return rc;
}

int
bench_records(struct bench *b, struct seal_set *set, uint8_t *memory, struct record_ratios *out)
{
	struct record_set r = {.s = set};
	int rc = small_records(b, &r, memory, out);

	return rc == SLK_OK ? large_both(b, &r, out) : rc;
}
