#include "journal/proofcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "seal/digest.h"

#define BAD_MAX 16u /* pieces that are named one by one */
#define WINDOW_BYTES (1u << 20)

/* One way through a proof. */
struct pass {
	struct jnl_proof_check *c;
	const struct jnl_scan *s;
	const struct jnl_proof *proof;
	const struct jnl_lost_range *lost;
	uint32_t lost_count;
	struct seal_digest *digest;
	uint8_t *window;
	size_t window_cap, window_len;
	uint64_t window_pos;
	uint64_t position, pieces; /* of the pieces up to now */
	uint64_t last_piece, before_last; /* their positions */
	bool broken; /* nothing behind this is believed until the next pass */
	struct {
		uint64_t position;
		uint32_t len;
	} bad[BAD_MAX]; /* pieces that differ, not yet known to be signed */
	unsigned bad_count;
	uint64_t bad_told; /* everything before it was told */
	uint64_t signed_pos; /* of the last good statement */
	bool any, final;
	struct fmt_proof_statement statement; /* the last good one */
};

static void
found(const struct pass *p, int status, uint64_t offset, uint64_t bytes, const char *sentence)
{
	p->c->found(p->c->arg, status, offset, bytes, sentence);
}

static int
fetch(struct pass *p, uint64_t pos, size_t len, const uint8_t **out, size_t *out_len)
{
	if (pos < p->window_pos || pos + len > p->window_pos + p->window_len) {
		size_t want = len > WINDOW_BYTES ? len : WINDOW_BYTES;
		if (want > p->window_cap) {
			free(p->window);
			p->window = malloc(want);
			p->window_cap = p->window != NULL ? want : 0;
			if (p->window == NULL)
				return SLK_NO_MEMORY;
		}
		p->window_pos = pos;
		int rc = p->s->fs->pread(
			p->s->fs->ctx, p->s->fd, p->window, want, pos, &p->window_len);
		if (rc != SLK_OK)
			return rc;
	}
	size_t skip = (size_t)(pos - p->window_pos);
	*out = p->window + skip;
	*out_len = p->window_len - skip < len ? p->window_len - skip : len;
	return SLK_OK;
}

/* Is all of it in a range that salvage says is lost? */
static bool
is_lost(const struct pass *p, uint64_t offset, uint64_t bytes)
{
	for (uint32_t i = 0; i < p->lost_count; i++)
		if (offset >= p->lost[i].offset && offset - p->lost[i].offset <= p->lost[i].bytes &&
			bytes <= p->lost[i].bytes - (offset - p->lost[i].offset))
			return true;
	return false;
}

static int
check_piece(struct pass *p, const uint8_t *entry)
{
	uint8_t hash[FMT_PROOF_HASH_BYTES];
	const uint32_t len = slk_get_le32(entry);
	const uint8_t *raw;
	size_t have = 0;

	int rc = fetch(p, p->position, len, &raw, &have);
	if (rc == SLK_OK)
		rc = seal_digest_one(p->digest, slk_span(raw, have), hash);
	if (rc == SLK_OK)
		rc = seal_digest_update(p->digest, slk_span(entry, FMT_PROOF_PIECE_BYTES));
	if (rc != SLK_OK)
		return rc;
	if ((have != len || memcmp(hash, entry + 4, sizeof(hash)) != 0) && p->bad_count < BAD_MAX &&
		!is_lost(p, p->position, len)) {
		p->bad[p->bad_count].position = p->position;
		p->bad[p->bad_count++].len = len;
	}
	p->before_last = p->last_piece;
	p->last_piece = p->position;
	p->position += len;
	p->pieces++;
	return SLK_OK;
}

static int
take_pieces(struct pass *p, const struct fmt_proof_record *r)
{
	int rc = SLK_OK;

	if (r->position == 0) {
		p->position = p->pieces = p->last_piece = p->before_last = 0;
		p->bad_count = 0;
		p->broken = p->final = false;
		rc = seal_digest_begin(p->digest);
	} else if (r->position != p->position && !p->broken) {
		p->broken = true;
		found(p, SLK_CORRUPT, p->signed_pos, 0,
			"the proof of this file has a hole: hashes were taken out of it");
	}
	for (uint32_t i = 0; rc == SLK_OK && !p->broken && i < r->count; i++)
		rc = check_piece(p, r->entries.ptr + (size_t)i * FMT_PROOF_PIECE_BYTES);
	return rc;
}

static bool
is_of_this_file(const struct pass *p, const struct fmt_proof_statement *s)
{
	const struct fmt_jfile_header *h = &p->s->header;

	return s->file_id == h->file_id && s->lane == h->lane && s->run == h->run &&
		memcmp(s->journal_uuid, h->journal_uuid, sizeof(h->journal_uuid)) == 0;
}

/* What differs is known to be signed now. */
static void
tell_bad(struct pass *p)
{
	for (unsigned i = 0; i < p->bad_count; i++) {
		if (p->bad[i].position < p->bad_told)
			continue;
		p->bad_told = p->bad[i].position + p->bad[i].len;
		found(p, SLK_BAD_TAG, p->bad[i].position, p->bad[i].len,
			"this is not what was written here: its hash is not the one that the "
			"appliance "
			"signed");
	}
}

static int
take_statement(struct pass *p, const struct fmt_proof_record *r)
{
	const struct fmt_proof_statement *s = &r->statement;
	uint8_t hash[FMT_PROOF_HASH_BYTES];

	if (p->broken)
		return SLK_OK;
	int rc = jnl_proof_check_signature(p->proof, r->raw, p->c->trusted);
	if (rc == SLK_NOT_FOUND)
		return SLK_OK; /* not signed yet, or left so: a later one says as much */
	if (rc != SLK_OK && rc != SLK_BAD_TAG)
		return rc;
	if (rc == SLK_BAD_TAG) {
		p->broken = true;
		found(p, SLK_BAD_TAG, p->signed_pos, s->position - p->signed_pos,
			"what is said of this part of the file is not signed by the appliance");
		return SLK_OK;
	}
	rc = seal_digest_value(p->digest, hash);
	if (rc != SLK_OK)
		return rc;
	if (!is_of_this_file(p, s)) {
		p->broken = true;
		found(p, SLK_CORRUPT, 0, 0,
			"the proof is of another file: one of the two was put in its place");
	} else if (s->position != p->position || s->pieces != p->pieces ||
		memcmp(hash, s->hash, sizeof(hash)) != 0) {
		p->broken = true;
		found(p, SLK_BAD_TAG, p->signed_pos, s->position - p->signed_pos,
			"the hashes of this part of the file are not those that the appliance "
			"signed");
	} else {
		if (p->bad_count == 0 && s->position > p->signed_pos)
			p->c->bytes_signed += s->position - p->signed_pos;
		tell_bad(p);
		p->bad_count = 0;
		p->c->signatures++;
		p->signed_pos = s->position;
		p->any = true;
		p->final = (s->flags & FMT_PROOF_FINAL) != 0;
		p->statement = *s;
	}
	return SLK_OK;
}

static int
walk(struct pass *p)
{
	struct fmt_proof_record r;
	int rc = SLK_OK;

	for (size_t at = 0; at < p->proof->len && rc == SLK_OK; at += r.bytes) {
		if (fmt_proof_decode(slk_span(p->proof->bytes + at, p->proof->len - at), &r) !=
			SLK_OK)
			break;
		if (r.type == FMT_PROOF_PIECES)
			rc = take_pieces(p, &r);
		else if (r.type == FMT_PROOF_STATEMENT)
			rc = take_statement(p, &r);
	}
	return rc;
}

/* The end of the file as it was signed. */
static void
check_end(const struct pass *p)
{
	const struct fmt_proof_statement *s = &p->statement;
	const struct fmt_footer *f = &p->s->footer;

	if (p->lost_count > 0 && p->s->closed &&
		(f->flags & (FMT_FOOTER_SALVAGED | FMT_FOOTER_HEADER_LOST)) != 0)
		return; /* the end was lost, and says so */
	if (!p->s->closed)
		found(p, SLK_TRUNCATED, s->position, 0,
			"the file was closed and signed, but its end is gone or damaged");
	else if (p->s->footer_pos != p->last_piece && p->s->footer_pos != p->before_last)
		found(p, SLK_CORRUPT, p->s->footer_pos, 0,
			"the file ends in another place than the appliance signed");
	else if (f->blocks != s->blocks || f->records != s->records ||
		f->plain_bytes != s->plain_bytes)
		found(p, SLK_CORRUPT, p->s->footer_pos, 0,
			"the footer counts other blocks or records than the appliance signed");
}

static void
check_chain(const struct pass *p, const struct jnl_proof_link *last)
{
	const struct fmt_proof_statement *s = &p->statement;
	char text[160];

	if (!last->seen)
		return; /* what was before may have been trimmed */
	if (s->previous_id == 0) {
		if (last->ends_signed && !last->read_back)
			found(p, SLK_CORRUPT, 0, 0,
				"it does not follow the file before it in its lane: one of them "
				"does not belong here");
	} else if (s->previous_id != last->id) {
		snprintf(text, sizeof(text),
			"the file before it, %020llu.slj, is missing: it was there when this one "
			"was signed",
			(unsigned long long)s->previous_id);
		found(p, SLK_NOT_FOUND, 0, 0, text);
	} else if (!last->ends_signed) {
		found(p, SLK_NOT_FOUND, 0, 0,
			"the file before it was signed to its end, and its proof is gone");
	} else if (memcmp(s->previous_hash, last->hash, sizeof(last->hash)) != 0) {
		found(p, SLK_CORRUPT, 0, 0,
			"the file before it is not the one that was there when this one was "
			"signed");
	}
}

static void
judge(struct pass *p)
{
	struct jnl_proof_link *last = &p->c->last[p->s->header.lane];

	if (p->any)
		check_chain(p, last);
	if (p->final)
		check_end(p);
	else if (p->s->closed)
		p->c->files_unsigned++;
	const bool end_lost = p->lost_count > 0 && (p->s->footer.flags & FMT_FOOTER_SALVAGED) != 0;
	if (!p->final && p->s->closed && p->c->trusted != NULL && !end_lost)
		found(p, SLK_NOT_FOUND, p->signed_pos, 0,
			"the file is closed, but not signed to its end: its signature is still "
			"awaited, or was taken away");
	p->c->files_signed += p->final;
	*last = (struct jnl_proof_link){.seen = true,
		.ends_signed = p->final,
		.read_back = (p->statement.flags & FMT_PROOF_READ_BACK) != 0,
		.id = p->s->header.file_id};
	memcpy(last->hash, p->statement.hash, sizeof(last->hash));
}

int
jnl_proof_check_file(struct jnl_proof_check *c, const struct jnl_scan *s,
	const struct jnl_lost_range *lost, uint32_t lost_count)
{
	struct jnl_proof proof = {0};
	struct pass p = {.c = c,
		.s = s,
		.proof = &proof,
		.lost = lost,
		.lost_count = lost != NULL ? lost_count : 0};

	int rc = jnl_proof_load(c->fs, c->dir, s->header.file_id, &proof);
	if (rc == SLK_OK)
		rc = seal_digest_new(&p.digest);
	if (rc == SLK_OK)
		rc = walk(&p);
	if (rc == SLK_NOT_FOUND)
		rc = SLK_OK;
	if (rc == SLK_OK)
		judge(&p);
	seal_digest_free(p.digest);
	free(p.window);
	jnl_proof_free(&proof);
	return rc;
}

bool
jnl_proof_check_orphan(const struct jnl_proof_check *c, uint64_t file_id)
{
	struct jnl_proof proof;

	if (jnl_proof_load(c->fs, c->dir, file_id, &proof) != SLK_OK)
		return false;
	bool missing = proof.final.file_id == file_id && c->last[proof.final.lane].seen &&
		c->last[proof.final.lane].id < file_id;
	jnl_proof_free(&proof);
	return missing;
}
