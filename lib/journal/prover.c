#include "journal/prover.h"

#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"

int
jnl_prover_init(struct jnl_prover *p)
{
	*p = (struct jnl_prover){0};
	p->entries = malloc((size_t)FMT_PROOF_PIECES_MAX * FMT_PROOF_PIECE_BYTES);
	if (p->entries == NULL || seal_digest_new(&p->running) != SLK_OK ||
		seal_digest_new(&p->keys) != SLK_OK) {
		jnl_prover_fini(p);
		return SLK_NO_MEMORY;
	}
	return SLK_OK;
}

void
jnl_prover_fini(struct jnl_prover *p)
{
	free(p->entries);
	seal_digest_free(p->running);
	seal_digest_free(p->keys);
	*p = (struct jnl_prover){0};
}

int
jnl_prover_begin(struct jnl_prover *p, const struct fmt_jfile_header *header)
{
	uint8_t page[FMT_JFILE_PAGE_BYTES];

	p->count = 0;
	p->entries_pos = 0;
	p->now = (struct fmt_proof_statement){
		.file_id = header->file_id, .lane = header->lane, .run = header->run};
	memcpy(p->now.journal_uuid, header->journal_uuid, sizeof(p->now.journal_uuid));
	fmt_jfile_encode(header, page);
	int rc = seal_digest_begin(p->running);
	if (rc == SLK_OK)
		rc = seal_digest_begin(p->keys);
	return rc == SLK_OK ? jnl_prover_add(p, slk_span(page, sizeof(page)), NULL) : rc;
}

static int
add_key(struct jnl_prover *p, struct slk_span body)
{
	struct fmt_keyblock k;
	uint8_t ids[16];

	p->now.keys++;
	if (fmt_keyblock_decode(body, &k) != SLK_OK) /* its bytes are hashed all the same */
		return SLK_OK;
	slk_put_le64(ids, k.epoch_id);
	slk_put_le64(ids + 8, k.stream_id);
	int rc = seal_digest_update(p->keys, slk_span(ids, sizeof(ids)));
	return rc == SLK_OK ? seal_digest_update(p->keys, k.commitment) : rc;
}

int
jnl_prover_add(struct jnl_prover *p, struct slk_span raw, const struct fmt_block *b)
{
	uint8_t hash[SEAL_SHA256_BYTES];

	if (p->count == FMT_PROOF_PIECES_MAX)
		return SLK_FULL;
	int rc = seal_digest_one(p->running, raw, hash);
	return rc == SLK_OK ? jnl_prover_add_hashed(p, raw, b, hash) : rc;
}

int
jnl_prover_add_hashed(struct jnl_prover *p, struct slk_span raw, const struct fmt_block *b,
	const uint8_t hash[FMT_PROOF_HASH_BYTES])
{
	if (p->count == FMT_PROOF_PIECES_MAX)
		return SLK_FULL;
	uint8_t *entry = p->entries + (size_t)p->count * FMT_PROOF_PIECE_BYTES;
	fmt_proof_piece_put(entry, (uint32_t)raw.len, hash);
	int rc = seal_digest_update(p->running, slk_span(entry, FMT_PROOF_PIECE_BYTES));
	if (rc == SLK_OK && b != NULL && b->type == FMT_BLOCK_KEY)
		rc = add_key(p, fmt_block_body(raw.ptr, b));
	if (rc != SLK_OK)
		return rc;
	p->count++;
	p->now.pieces++;
	p->now.position += raw.len;
	if (b != NULL && fmt_block_is_data(b)) {
		p->now.blocks++;
		p->now.records += b->record_count;
		p->now.plain_bytes += b->body_bytes;
	}
	return SLK_OK;
}

int
jnl_prover_state(const struct jnl_prover *p, uint32_t flags, uint64_t made_ns,
	struct fmt_proof_statement *out_statement)
{
	struct fmt_proof_statement s = p->now;

	s.flags = flags;
	s.made_ns = made_ns;
	int rc = seal_digest_value(p->running, s.hash);
	if (rc == SLK_OK)
		rc = seal_digest_value(p->keys, s.key_hash);
	if (rc == SLK_OK)
		*out_statement = s;
	return rc;
}

int
jnl_prover_take(struct jnl_prover *p, uint8_t *out, size_t cap, size_t *out_len)
{
	if (p->count == 0)
		return SLK_NOT_FOUND;
	int rc = fmt_proof_pieces_encode(p->entries_pos,
		slk_span(p->entries, (size_t)p->count * FMT_PROOF_PIECE_BYTES), out, cap, out_len);
	if (rc == SLK_OK) {
		p->count = 0;
		p->entries_pos = p->now.position;
	}
	return rc;
}
