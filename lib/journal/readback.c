#include "journal/readback.h"

#include <stdlib.h>
#include <string.h>

#include "journal/prover.h"
#include "journal/scan.h"

#define GAP_PIECE_BYTES (1u << 20)

/* Past the page cache: what is stated is what the disk holds. */
#define READ_FLAGS (SLK_OPEN_READ | SLK_OPEN_DIRECT)

static int
keep_pieces(struct jnl_readback *r, struct jnl_prover *p)
{
	size_t room = FMT_PROOF_HEAD_BYTES + 16u + (size_t)p->count * FMT_PROOF_PIECE_BYTES;
	size_t len = 0;

	if (p->count == 0)
		return SLK_OK;
	if (r->pieces_cap - r->pieces_len < room) {
		size_t cap = 2 * r->pieces_cap + room;
		uint8_t *bigger = realloc(r->pieces, cap);
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		r->pieces = bigger;
		r->pieces_cap = cap;
	}
	int rc = jnl_prover_take(p, r->pieces + r->pieces_len, room, &len);
	r->pieces_len += len;
	return rc;
}

static int
add(struct jnl_readback *r, struct jnl_prover *p, struct slk_span raw, const struct fmt_block *b)
{
	int rc = jnl_prover_add(p, raw, b);

	if (rc != SLK_FULL)
		return rc;
	rc = keep_pieces(r, p);
	return rc == SLK_OK ? jnl_prover_add(p, raw, b) : rc;
}

/* Bytes in which no block was found, piece by piece. */
static int
add_gap(struct jnl_readback *r, struct jnl_prover *p, const struct jnl_scan *s, uint64_t to)
{
	uint8_t *buf = NULL;
	int rc = SLK_OK;

	if (posix_memalign((void **)&buf, FMT_GROUP_ALIGN, GAP_PIECE_BYTES + FMT_GROUP_ALIGN) != 0)
		return SLK_NO_MEMORY;
	while (rc == SLK_OK && p->now.position < to) {
		uint64_t from = p->now.position / FMT_GROUP_ALIGN * FMT_GROUP_ALIGN;
		size_t skip = (size_t)(p->now.position - from), len = 0;
		rc = s->fs->pread(
			s->fs->ctx, s->fd, buf, GAP_PIECE_BYTES + FMT_GROUP_ALIGN, from, &len);
		if (rc != SLK_OK)
			break;
		uint64_t want = to - p->now.position;
		if (want > GAP_PIECE_BYTES)
			want = GAP_PIECE_BYTES;
		rc = len >= skip + want ? add(r, p, slk_span(buf + skip, (size_t)want), NULL)
					: SLK_TRUNCATED;
	}
	free(buf);
	return rc;
}

/* All blocks before the limit. */
static int
add_blocks(struct jnl_readback *r, struct jnl_prover *p, struct jnl_scan *s)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;
	int rc;

	while ((rc = jnl_scan_next(s, &b, &raw, &gap_end)) == SLK_OK || rc == SLK_CORRUPT) {
		rc = rc == SLK_OK ? add(r, p, slk_span(raw, b.total_bytes), &b)
				  : add_gap(r, p, s, gap_end);
		if (rc != SLK_OK)
			return rc;
	}
	return rc == SLK_END ? SLK_OK : rc;
}

/* The footer, and the pad that fills its page up if there is one. */
static int
add_end(struct jnl_readback *r, struct jnl_prover *p, struct jnl_scan *s)
{
	const uint64_t first_page =
		s->footer_pos + fmt_block_total(FMT_BLOCK_FOOTER, s->footer.raw.len);

	s->limit = first_page;
	int rc = add_blocks(r, p, s);
	if (rc != SLK_OK || first_page % FMT_GROUP_ALIGN == 0)
		return rc;
	uint64_t gap_end;
	struct fmt_block b;
	const uint8_t *raw;
	s->limit = s->header.capacity_bytes - FMT_JFILE_PAGE_BYTES;
	rc = jnl_scan_next(s, &b, &raw, &gap_end);
	if (rc == SLK_OK && b.type == FMT_BLOCK_PAD)
		return add(r, p, slk_span(raw, b.total_bytes), &b);
	return rc == SLK_OK || rc == SLK_END || rc == SLK_CORRUPT ? SLK_OK : rc;
}

int
jnl_readback(const struct slk_fs *fs, const char *dir, uint64_t file_id, uint64_t now_ns,
	struct jnl_readback *out)
{
	struct jnl_readback r = {0};
	struct jnl_prover p = {0};
	struct jnl_scan s;
	char name[FMT_JFILE_NAME_MAX];
	uint32_t flags = FMT_PROOF_FINAL | FMT_PROOF_READ_BACK;

	fmt_jfile_name(FMT_JFILE_LANE, file_id, name);
	int rc = jnl_scan_open(&s, fs, dir, name, READ_FLAGS);
	if (rc != SLK_OK)
		return rc;
	if (!s.closed)
		rc = SLK_INVALID_STATE;
	else if ((s.footer.flags & FMT_FOOTER_BY_RECOVERY) != 0)
		flags |= FMT_PROOF_BY_RECOVERY;
	if (rc == SLK_OK)
		rc = jnl_prover_init(&p);
	if (rc == SLK_OK)
		rc = jnl_prover_begin(&p, &s.header);
	if (rc == SLK_OK)
		rc = add_blocks(&r, &p, &s);
	if (rc == SLK_OK)
		rc = add_end(&r, &p, &s);
	if (rc == SLK_OK)
		rc = keep_pieces(&r, &p);
	if (rc == SLK_OK)
		rc = jnl_prover_state(&p, flags, now_ns, &r.statement);
	jnl_prover_fini(&p);
	jnl_scan_close(&s);
	if (rc != SLK_OK) {
		jnl_readback_free(&r);
		return rc;
	}
	*out = r;
	return SLK_OK;
}

void
jnl_readback_free(struct jnl_readback *back)
{
	free(back->pieces);
	*back = (struct jnl_readback){0};
}
