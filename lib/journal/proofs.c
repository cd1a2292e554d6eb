#include "journal/proofs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/attest.h"

#define PROOF_MAX_BYTES (1ull << 30)
#define PATH_MAX_BYTES 4096u

static int
read_whole(const struct slk_fs *fs, const char *path, struct jnl_proof *p)
{
	uint64_t size = 0;
	int fd = -1;
	int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);

	if (rc != SLK_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &size);
	if (rc == SLK_OK && size > PROOF_MAX_BYTES)
		rc = SLK_TOO_LARGE;
	if (rc == SLK_OK) {
		p->bytes = malloc((size_t)size + 1);
		rc = p->bytes != NULL ? SLK_OK : SLK_NO_MEMORY;
	}
	if (rc == SLK_OK)
		rc = fs->pread(fs->ctx, fd, p->bytes, (size_t)size, 0, &p->len);
	(void)fs->close(fs->ctx, fd);
	return rc;
}

static bool
signs(const struct fmt_proof_record *r, const uint8_t digest[SEAL_SHA256_BYTES])
{
	return r->type == FMT_PROOF_SIGNATURE &&
		memcmp(r->signature.digest, digest, SEAL_SHA256_BYTES) == 0;
}

/* One record of the way through: what it says of the last final statement. */
static int
look_at(struct jnl_proof *p, const struct fmt_proof_record *r, uint8_t final_digest[])
{
	if (r->type == FMT_PROOF_PIECES && r->position == 0) { /* a new pass */
		p->final.file_id = 0;
		p->final_signed = false;
	}
	p->signatures += r->type == FMT_PROOF_SIGNATURE;
	if (p->final.file_id != 0 && signs(r, final_digest))
		p->final_signed = true;
	if (r->type != FMT_PROOF_STATEMENT)
		return SLK_OK;
	p->statements++;
	if ((r->statement.flags & FMT_PROOF_FINAL) == 0)
		return SLK_OK;
	p->final = r->statement;
	p->final_signed = false;
	return seal_sha256(r->raw, final_digest);
}

int
jnl_proof_load(
	const struct slk_fs *fs, const char *dir, uint64_t file_id, struct jnl_proof *out_proof)
{
	char path[PATH_MAX_BYTES], name[FMT_PROOF_NAME_MAX];
	uint8_t final_digest[SEAL_SHA256_BYTES] = {0};
	struct jnl_proof p = {0};
	struct fmt_proof_record r;
	size_t at = 0;

	fmt_proof_name(file_id, name);
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return SLK_TOO_LARGE;
	int rc = read_whole(fs, path, &p);
	while (rc == SLK_OK && fmt_proof_decode(slk_span(p.bytes + at, p.len - at), &r) == SLK_OK) {
		rc = look_at(&p, &r, final_digest);
		at += r.bytes;
	}
	if (rc != SLK_OK) {
		jnl_proof_free(&p);
		return rc;
	}
	p.torn = p.len - at;
	p.len = at;
	*out_proof = p;
	return SLK_OK;
}

void
jnl_proof_free(struct jnl_proof *p)
{
	free(p->bytes);
	*p = (struct jnl_proof){0};
}

int
jnl_proof_check_signature(const struct jnl_proof *p, struct slk_span statement,
	const struct seal_attest_keys *trusted)
{
	uint8_t digest[SEAL_SHA256_BYTES];
	struct fmt_proof_record r;
	int found = SLK_NOT_FOUND;
	int rc = seal_sha256(statement, digest);

	if (rc != SLK_OK)
		return rc;
	for (size_t at = 0; at < p->len && found != SLK_OK; at += r.bytes) {
		if (fmt_proof_decode(slk_span(p->bytes + at, p->len - at), &r) != SLK_OK)
			break;
		if (!signs(&r, digest))
			continue;
		const struct fmt_proof_signature *s = &r.signature;
		found = seal_attest_verify(s->public_key, FMT_ATTEST_JOURNAL, digest, s->signature);
		if (found == SLK_OK && trusted != NULL &&
			!seal_attest_keys_has(trusted, s->public_key))
			found = SLK_BAD_TAG;
		if (found != SLK_OK)
			found = SLK_BAD_TAG;
	}
	return found;
}
