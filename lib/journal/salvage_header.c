/* A header for a file that has lost its own: the blocks tell the CRC seed, their neighbours the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/block.h"
#include "journal/proofs.h"
#include "journal/salvage_internal.h"

#define PATH_MAX_BYTES 4096u
#define CHUNK_BYTES (256u * 1024u)
#define SEEDS_MAX 64u /* guesses that are remembered: damaged blocks give wrong ones */

struct guess {
	const struct slk_fs *fs;
	int fd;
	uint64_t file_id, size;
	uint32_t seeds[SEEDS_MAX];
	unsigned count;
	bool found;
	uint32_t seed;
	uint64_t first_arrival_ns;
};

/* A block that says it lies here: the seed that would make it right. Two that agree decide. */
static int
try_block(struct guess *g, const uint8_t *header, uint64_t pos)
{
	struct fmt_block b;
	uint8_t *whole;
	size_t len = 0;

	if (fmt_block_decode(slk_span(header, FMT_BLOCK_HEADER_BYTES), &b) != SLK_OK ||
		b.file_id != g->file_id || b.position != pos || b.total_bytes > g->size - pos)
		return SLK_OK;
	if (fmt_block_is_data(&b) && g->first_arrival_ns == 0)
		g->first_arrival_ns = b.first_arrival_ns;
	whole = malloc(b.total_bytes);
	if (whole == NULL)
		return SLK_NO_MEMORY;
	int rc = g->fs->pread(g->fs->ctx, g->fd, whole, b.total_bytes, pos, &len);
	if (rc == SLK_OK && len == b.total_bytes) {
		const uint32_t seed = fmt_block_seed(slk_span(whole, len));
		for (unsigned i = 0; i < g->count && !g->found; i++) {
			g->found = g->seeds[i] == seed;
			g->seed = seed;
		}
		g->seeds[g->count % SEEDS_MAX] = seed;
		g->count += g->count < SEEDS_MAX - 1;
	}
	free(whole);
	return rc;
}

static int
guess_seed(struct guess *g)
{
	uint8_t *buf = malloc(CHUNK_BYTES + FMT_BLOCK_HEADER_BYTES);
	int rc = buf != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (uint64_t pos = FMT_JFILE_PAGE_BYTES; rc == SLK_OK && !g->found && pos < g->size;
		pos += CHUNK_BYTES) {
		size_t len = 0;
		rc = g->fs->pread(
			g->fs->ctx, g->fd, buf, CHUNK_BYTES + FMT_BLOCK_HEADER_BYTES, pos, &len);
		for (size_t at = 0; rc == SLK_OK && !g->found && at < CHUNK_BYTES &&
			at + FMT_BLOCK_HEADER_BYTES <= len;
			at += FMT_BLOCK_ALIGN)
			if (memcmp(buf + at, FMT_BLOCK_MAGIC, 4) == 0)
				rc = try_block(g, buf + at, pos + at);
	}
	free(buf);
	if (rc == SLK_OK && !g->found)
		rc = SLK_NOT_FOUND;
	return rc;
}

/* The last statement of the proof, signed or not: it only says where things were. */
static bool
last_statement(
	const struct slk_fs *fs, const char *dir, uint64_t file_id, struct fmt_proof_statement *out)
{
	struct fmt_proof_record r;
	struct jnl_proof proof;
	bool found = false;

	if (jnl_proof_load(fs, dir, file_id, &proof) != SLK_OK)
		return false;
	for (size_t at = 0; at < proof.len; at += r.bytes) {
		if (fmt_proof_decode(slk_span(proof.bytes + at, proof.len - at), &r) != SLK_OK)
			break;
		if (r.type != FMT_PROOF_STATEMENT || r.statement.file_id != file_id)
			continue;
		*out = r.statement;
		found = true;
	}
	jnl_proof_free(&proof);
	return found;
}

/* Of files whose headers are good: the one that follows names this one; otherwise whatever is nearest before. */
static void
ask_neighbours(const struct jnl_salvage_file *files, size_t count, size_t index,
	struct fmt_jfile_header *h)
{
	const struct jnl_salvage_file *near = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!files[i].good)
			continue;
		if (near == NULL || files[i].id < files[index].id)
			near = &files[i];
		if (files[i].header.previous_id == h->file_id) {
			near = &files[i];
			break;
		}
	}
	if (near == NULL)
		return;
	h->lane = near->header.lane;
	h->run = near->header.run <= h->file_id ? near->header.run : h->file_id;
	memcpy(h->journal_uuid, near->header.journal_uuid, sizeof(h->journal_uuid));
	for (size_t i = 0; i < index; i++)
		if (files[i].good && files[i].header.lane == h->lane &&
			files[i].header.run == h->run)
			h->previous_id = files[i].id;
}

int
jnl_salvage_header(const struct slk_fs *fs, const char *dir, const struct jnl_salvage_file *files,
	size_t count, size_t index, struct fmt_jfile_header *out_header)
{
	struct guess g = {.fs = fs, .fd = -1, .file_id = files[index].id};
	struct fmt_proof_statement s;
	struct fmt_jfile_header h = {.file_id = files[index].id, .run = files[index].id};
	char path[PATH_MAX_BYTES], name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, h.file_id, name);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &g.fd);
	if (rc != SLK_OK)
		return rc;
	rc = fs->size(fs->ctx, g.fd, &g.size);
	if (rc == SLK_OK)
		rc = guess_seed(&g);
	(void)fs->close(fs->ctx, g.fd);
	if (rc != SLK_OK)
		return rc;
	h.capacity_bytes = g.size / FMT_JFILE_PAGE_BYTES * FMT_JFILE_PAGE_BYTES;
	h.created_ns = g.first_arrival_ns;
	fmt_jfile_salt_for(g.seed, h.salt);
	ask_neighbours(files, count, index, &h);
	if (last_statement(fs, dir, h.file_id, &s)) {
		h.lane = s.lane;
		h.run = s.run;
		memcpy(h.journal_uuid, s.journal_uuid, sizeof(h.journal_uuid));
	}
	*out_header = h;
	return SLK_OK;
}
