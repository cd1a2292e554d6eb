#include "journal/notary.h"

#include <stdlib.h>
#include <string.h>

#include "format/attest.h"
#include "journal/internal.h"
#include "journal/proofs.h"
#include "journal/readback.h"

#define UNSIGNED_MAX 65536u /* beyond that, the next start finds the files */
#define OLDER_TRIES 10u

/* The end of the last file of a lane: what the next one's statements name. id 0: unknown. */
struct link {
	uint64_t id;
	uint8_t hash[FMT_PROOF_HASH_BYTES];
};

struct unsigned_one {
	uint64_t file_id;
	bool final;
	uint8_t digest[FMT_PROOF_HASH_BYTES];
	uint8_t statement[FMT_PROOF_STATEMENT_BYTES];
};

struct jnl_notary {
	struct jnl *journal;
	jnl_attest_fn attest;
	jnl_sign_fn sign; /* NULL: attest */
	void *ctx;
	struct link last[FMT_JFILE_LANES_MAX];
	uint64_t spoiled[FMT_JFILE_LANES_MAX]; /* file of the lane whose proof has a hole */
	uint64_t *older; /* files of earlier openings, ascending */
	size_t older_count, older_at;
	unsigned older_tries;
	uint64_t newest_run; /* of them */
	struct jnl_chapter *waiting; /* taken, not written yet */
	struct unsigned_one *unsigned_list;
	size_t unsigned_count, unsigned_cap;
	_Atomic uint64_t stat_statements, stat_signatures, stat_unsigned, stat_read_back,
		stat_failures;
};

/* --- appending --- */

/* Behind what is there; what a failure leaves of it is cut off again. */
static int
append_at(const struct jnl *j, int fd, struct slk_span bytes, bool flush)
{
	uint64_t end = 0;
	int rc = j->fs->size(j->fs->ctx, fd, &end);

	if (rc != SLK_OK)
		return rc;
	rc = j->fs->pwrite(j->fs->ctx, fd, bytes.ptr, bytes.len, end);
	if (rc != SLK_OK) {
		(void)j->fs->truncate(j->fs->ctx, fd, end);
		return rc;
	}
	return flush ? j->fs->sync(j->fs->ctx, fd) : SLK_OK;
}

/* Does the file lie in a directory that has failed? The next start reads it back. */
static bool
is_out_of_reach(const struct jnl *j, uint64_t file_id)
{
	char name[FMT_JFILE_NAME_MAX];
	unsigned dir;

	if (atomic_load(&j->dirs->failed) == 0)
		return false;
	fmt_jfile_name(FMT_JFILE_LANE, file_id, name);
	return jnl_dirs_find(j->dirs, name, &dir) != SLK_OK;
}

static int
append(const struct jnl *j, uint64_t file_id, struct slk_span bytes, bool signature)
{
	char name[FMT_PROOF_NAME_MAX], path[JNL_PATH_MAX];
	int fd = -1;

	fmt_proof_name(file_id, name);
	int rc = jnl_path(j, name, path);
	if (rc == SLK_OK)
		rc = j->fs->open(j->fs->ctx, path, SLK_OPEN_WRITE, 0, &fd);
	if (rc == SLK_NOT_FOUND && (signature || is_out_of_reach(j, file_id)))
		return SLK_OK; /* retention was there first, or its disk has failed */
	if (rc == SLK_NOT_FOUND)
		rc = j->fs->open(j->fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0640, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = append_at(j, fd, bytes, signature);
	int closed = j->fs->close(j->fs->ctx, fd);
	rc = rc == SLK_OK ? closed : rc;
	return rc == SLK_OK && signature ? j->fs->sync_dir(j->fs->ctx, j->dir) : rc;
}

/* --- statements that wait for a signature --- */

static void
forget(struct jnl_notary *n, size_t at)
{
	n->unsigned_count--;
	memmove(&n->unsigned_list[at], &n->unsigned_list[at + 1],
		(n->unsigned_count - at) * sizeof(*n->unsigned_list));
	atomic_store(&n->stat_unsigned, n->unsigned_count);
}

static int
remember(struct jnl_notary *n, const struct fmt_proof_statement *s, struct slk_span raw)
{
	struct unsigned_one one = {
		.file_id = s->file_id, .final = (s->flags & FMT_PROOF_FINAL) != 0};
	int rc = seal_sha256(raw, one.digest);

	if (rc != SLK_OK)
		return rc;
	memcpy(one.statement, raw.ptr, sizeof(one.statement));
	/* A later statement of a file says all that an earlier one did. */
	for (size_t i = n->unsigned_count; i > 0; i--)
		if (n->unsigned_list[i - 1].file_id == s->file_id)
			forget(n, i - 1);
	if (n->unsigned_count == UNSIGNED_MAX)
		return SLK_LIMIT;
	if (n->unsigned_count == n->unsigned_cap) {
		size_t cap = n->unsigned_cap == 0 ? 64 : 2 * n->unsigned_cap;
		struct unsigned_one *bigger =
			realloc(n->unsigned_list, cap * sizeof(*n->unsigned_list));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		n->unsigned_list = bigger;
		n->unsigned_cap = cap;
	}
	n->unsigned_list[n->unsigned_count++] = one;
	atomic_store(&n->stat_unsigned, n->unsigned_count);
	return SLK_OK;
}

/* State s, with what was before its file, behind the pieces; a final one is where the next file goes on from. */
static int
write_statement(struct jnl_notary *n, struct fmt_proof_statement *s, struct slk_span pieces)
{
	uint8_t *bytes = malloc(pieces.len + FMT_PROOF_HEAD_BYTES + FMT_PROOF_STATEMENT_BYTES);
	struct link *last = &n->last[s->lane % FMT_JFILE_LANES_MAX];
	size_t len = 0;

	if (bytes == NULL)
		return SLK_NO_MEMORY;
	s->previous_id = last->id;
	memcpy(s->previous_hash, last->hash, sizeof(s->previous_hash));
	if (pieces.len > 0)
		memcpy(bytes, pieces.ptr, pieces.len);
	int rc = fmt_proof_statement_encode(
		s, bytes + pieces.len, FMT_PROOF_HEAD_BYTES + FMT_PROOF_STATEMENT_BYTES, &len);
	if (rc == SLK_OK)
		rc = append(n->journal, s->file_id, slk_span(bytes, pieces.len + len), false);
	if (rc == SLK_OK)
		rc = remember(n, s,
			slk_span(bytes + pieces.len + FMT_PROOF_HEAD_BYTES,
				FMT_PROOF_STATEMENT_BYTES));
	free(bytes);
	if (rc != SLK_OK)
		return rc;
	atomic_fetch_add(&n->stat_statements, 1);
	if ((s->flags & FMT_PROOF_FINAL) != 0) {
		last->id = s->file_id;
		memcpy(last->hash, s->hash, sizeof(last->hash));
	}
	return SLK_OK;
}

/* --- reading back --- */

/* A file may look closed by what a kill left unflushed: what is stated of it must outlive a power cut, too. */
static int
settle_file(const struct jnl *j, uint64_t file_id)
{
	char name[FMT_JFILE_NAME_MAX], path[JNL_PATH_MAX];
	int fd = -1;

	fmt_jfile_name(FMT_JFILE_LANE, file_id, name);
	int rc = jnl_path(j, name, path);
	if (rc == SLK_OK)
		rc = j->fs->open(j->fs->ctx, path, SLK_OPEN_WRITE, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = j->fs->sync(j->fs->ctx, fd);
	int closed = j->fs->close(j->fs->ctx, fd);
	return rc == SLK_OK ? closed : rc;
}

static int
prove_again(struct jnl_notary *n, uint64_t file_id)
{
	const struct jnl *j = n->journal;
	struct jnl_readback back = {0};
	struct jnl_proof proof = {0};
	char name[FMT_PROOF_NAME_MAX], path[JNL_PATH_MAX];
	int fd = -1;

	int rc = settle_file(j, file_id);
	if (rc == SLK_OK)
		rc = jnl_readback(j->fs, j->dir, file_id, slk_wall_ns(j->clock), &back);
	if (rc != SLK_OK)
		return rc;
	rc = jnl_proof_load(j->fs, j->dir, file_id, &proof);
	if (rc == SLK_OK && proof.torn > 0) {
		fmt_proof_name(file_id, name);
		rc = jnl_path(j, name, path);
		if (rc == SLK_OK)
			rc = j->fs->open(j->fs->ctx, path, SLK_OPEN_WRITE, 0, &fd);
		if (rc == SLK_OK) {
			rc = j->fs->truncate(j->fs->ctx, fd, proof.len);
			(void)j->fs->close(j->fs->ctx, fd);
		}
	}
	if (rc == SLK_NOT_FOUND)
		rc = SLK_OK;
	jnl_proof_free(&proof);
	if (rc == SLK_OK)
		rc = write_statement(n, &back.statement, slk_span(back.pieces, back.pieces_len));
	jnl_readback_free(&back);
	if (rc == SLK_OK)
		atomic_fetch_add(&n->stat_read_back, 1);
	return rc;
}

/* Was the file of an earlier opening left without its end signed, by a crash or because kmsd was away? */
static bool
needs_reading(const struct jnl_notary *n, const struct jnl_scan *s, int loaded,
	const struct jnl_proof *proof)
{
	if (!s->closed || (loaded == SLK_OK && proof->final_signed))
		return false;
	return loaded == SLK_OK || (s->footer.flags & FMT_FOOTER_BY_RECOVERY) != 0 ||
		s->header.run == n->newest_run;
}

/* The next file of an earlier opening. */
static int
look_at_older(struct jnl_notary *n, uint64_t file_id)
{
	const struct jnl *j = n->journal;
	struct jnl_proof proof = {0};
	struct jnl_scan s;
	char name[FMT_JFILE_NAME_MAX];

	fmt_jfile_name(FMT_JFILE_LANE, file_id, name);
	int rc = jnl_scan_open(&s, j->fs, j->dir, name, SLK_OPEN_READ);
	if (rc == SLK_NOT_FOUND || slk_status_class(rc) == SLK_CLASS_CORRUPT)
		return SLK_OK;
	if (rc != SLK_OK)
		return rc;
	struct link *last = &n->last[s.header.lane];
	int loaded = jnl_proof_load(j->fs, j->dir, file_id, &proof);
	bool read = needs_reading(n, &s, loaded, &proof);
	jnl_scan_close(&s);
	if (loaded != SLK_OK && loaded != SLK_NOT_FOUND)
		rc = loaded;
	else if (read)
		rc = prove_again(n, file_id);
	else if (proof.final_signed) {
		last->id = file_id;
		memcpy(last->hash, proof.final.hash, sizeof(last->hash));
	} else {
		last->id = 0;
		memset(last->hash, 0, sizeof(last->hash));
	}
	jnl_proof_free(&proof);
	return rc;
}

/* --- what lanes hand over --- */

static int
write_chapter(struct jnl_notary *n, struct jnl_chapter *c)
{
	uint64_t *spoiled = &n->spoiled[c->lane % FMT_JFILE_LANES_MAX];
	const bool ends =
		c->lapsed || (c->has_statement && (c->statement.flags & FMT_PROOF_FINAL) != 0);
	int rc = SLK_OK;

	/* The one before it has no end that could be named, until a start closes it. */
	if (c->after_left)
		n->last[c->lane % FMT_JFILE_LANES_MAX] = (struct link){0};
	if (*spoiled == c->file_id || c->lapsed) {
		if (!ends)
			return SLK_OK;
		rc = prove_again(n, c->file_id);
		if (rc != SLK_OK) /* the next start tries again; the chain begins anew behind it */
			n->last[c->lane % FMT_JFILE_LANES_MAX] = (struct link){0};
		return rc;
	}
	if (c->has_statement)
		rc = write_statement(n, &c->statement, slk_span(c->bytes, c->len));
	else
		rc = append(n->journal, c->file_id, slk_span(c->bytes, c->len), false);
	if (rc != SLK_OK) {
		*spoiled = c->file_id;
		if (ends)
			rc = prove_again(n, c->file_id);
	}
	return rc;
}

static int
write_chapters(struct jnl_notary *n, int *work)
{
	int rc = SLK_OK;

	for (unsigned i = 0; n->waiting == NULL && i < n->journal->lane_count; i++)
		n->waiting = jnl_chapters_take(&n->journal->lanes[i].chapters);
	while (n->waiting != NULL && rc == SLK_OK) {
		struct jnl_chapter *c = n->waiting;
		n->waiting = c->next;
		rc = write_chapter(n, c);
		free(c);
		(*work)++;
	}
	return rc;
}

/* --- signing --- */

static int
write_signature(struct jnl_notary *n, const struct unsigned_one *one,
	const struct jnl_attestation *a, struct slk_error *err)
{
	const struct fmt_proof_signature s = {.signature = slk_span(a->signature, a->signature_len),
		.public_key = slk_span(a->public_key, a->public_key_len),
		.key_arn = slk_span_str(a->key_arn)};
	struct fmt_proof_signature signature = s;
	uint8_t bytes[FMT_PROOF_HEAD_BYTES + FMT_REWRAP_TRAILER_MAX];
	size_t len = 0;

	memcpy(signature.digest, one->digest, sizeof(signature.digest));
	int rc = seal_attest_verify(
		signature.public_key, FMT_ATTEST_JOURNAL, one->digest, signature.signature);
	if (rc == SLK_OK)
		rc = fmt_proof_signature_encode(&signature, bytes, sizeof(bytes), &len);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_BAD_TAG,
			"the signature that kmsd gave for the journal is not right");
	rc = append(n->journal, one->file_id, slk_span(bytes, len), true);
	return rc == SLK_OK ? rc
			    : slk_fail(err, rc, "cannot write a signature into %s: %s",
				      n->journal->dir, slk_status_sentence(rc));
}

/* Final ones first: a checkpoint is soon followed by another. */
static size_t
next_unsigned(const struct jnl_notary *n)
{
	for (size_t i = 0; i < n->unsigned_count; i++)
		if (n->unsigned_list[i].final)
			return i;
	return 0;
}

static int
sign_one(struct jnl_notary *n, int *work, struct slk_error *err)
{
	struct jnl_attestation *a;

	if (n->unsigned_count == 0)
		return SLK_OK;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	size_t at = next_unsigned(n);
	const struct unsigned_one *one = &n->unsigned_list[at];
	int rc = n->sign != NULL ? n->sign(n->ctx, one->statement, one->digest, a, err)
				 : n->attest(n->ctx, one->digest, a, err);
	if (rc == SLK_OK)
		rc = write_signature(n, &n->unsigned_list[at], a, err);
	free(a);
	if (rc != SLK_OK)
		return rc;
	forget(n, at);
	atomic_fetch_add(&n->stat_signatures, 1);
	(*work)++;
	return SLK_OK;
}

int
jnl_notary_turn(struct jnl_notary *n, struct slk_error *err)
{
	int work = 0, rc = SLK_OK;

	if (n->older_at < n->older_count) {
		rc = look_at_older(n, n->older[n->older_at]);
		/* What follows names it: one that cannot be read is tried again, and passed over only if that does not help. */
		if (rc == SLK_OK || ++n->older_tries == OLDER_TRIES) {
			n->older_at++;
			n->older_tries = 0;
		}
		work++;
	} else {
		rc = write_chapters(n, &work);
	}
	if (rc != SLK_OK)
		rc = slk_fail(err, rc, "cannot write the proofs of the journal in %s: %s",
			n->journal->dir, slk_status_sentence(rc));
	else if (n->older_at == n->older_count)
		rc = sign_one(n, &work, err);
	if (rc == SLK_OK)
		return work;
	atomic_fetch_add(&n->stat_failures, 1);
	return rc;
}

/* --- opening --- */

/* How far a lane had come: its newest file of an earlier opening, which recovery has closed. One whose header cannot be read may be
 * of any lane. */
static void
find_ends(const struct jnl_notary *n, struct fmt_proof_statement ends[FMT_JFILE_LANES_MAX])
{
	const struct jnl *j = n->journal;

	for (size_t i = 0; i < n->older_count; i++) {
		char name[FMT_JFILE_NAME_MAX];
		struct jnl_scan s;
		fmt_jfile_name(FMT_JFILE_LANE, n->older[i], name);
		int rc = jnl_scan_open(&s, j->fs, j->dir, name, SLK_OPEN_READ);
		for (unsigned lane = 0; lane < FMT_JFILE_LANES_MAX; lane++) {
			if (rc == SLK_OK && s.header.lane != lane)
				continue;
			ends[lane].file_id = n->older[i];
			ends[lane].run = rc == SLK_OK ? s.header.run : j->run;
			ends[lane].position = rc == SLK_OK && !s.closed ? s.limit : UINT64_MAX >> 1;
		}
		if (rc == SLK_OK)
			jnl_scan_close(&s);
	}
}

int
jnl_notary_check_opening(struct jnl_notary *n, struct slk_error *err)
{
	struct fmt_proof_statement ends[FMT_JFILE_LANES_MAX];
	uint8_t raw[FMT_PROOF_HEAD_BYTES + FMT_PROOF_STATEMENT_BYTES];
	uint8_t digest[FMT_PROOF_HASH_BYTES];
	struct jnl_attestation *ignored = calloc(1, sizeof(*ignored));
	int rc = ignored != NULL ? SLK_OK : slk_fail(err, SLK_NO_MEMORY, "out of memory");

	memset(ends, 0, sizeof(ends));
	find_ends(n, ends);
	for (unsigned lane = 0; rc == SLK_OK && n->sign != NULL && lane < FMT_JFILE_LANES_MAX;
		lane++) {
		struct fmt_proof_statement *s = &ends[lane];
		size_t len = 0;
		if (s->file_id == 0 && lane >= n->journal->lane_count)
			continue;
		s->lane = lane;
		s->flags = FMT_PROOF_OPENING;
		s->pieces = 1;
		s->made_ns = slk_wall_ns(n->journal->clock);
		if (s->file_id == 0) /* none is left: behind whatever was signed */
			s->file_id = s->position = s->run = 1;
		memcpy(s->journal_uuid, n->journal->uuid, sizeof(s->journal_uuid));
		rc = fmt_proof_statement_encode(s, raw, sizeof(raw), &len);
		if (rc == SLK_OK)
			rc = seal_sha256(
				slk_span(raw + FMT_PROOF_HEAD_BYTES, FMT_PROOF_STATEMENT_BYTES),
				digest);
		if (rc != SLK_OK)
			rc = slk_fail(err, rc, "a statement cannot be made");
		else
			rc = n->sign(n->ctx, raw + FMT_PROOF_HEAD_BYTES, digest, ignored, err);
	}
	free(ignored);
	return rc;
}

/* --- life --- */

static int
list_older(struct jnl_notary *n)
{
	struct jnl *j = n->journal;
	uint64_t *ids = NULL;
	size_t count = 0;
	int rc = jnl_scan_list(j->fs, j->dir, FMT_JFILE_LANE, &ids, &count);

	if (rc != SLK_OK)
		return rc;
	while (count > 0 && ids[count - 1] >= j->run)
		count--;
	n->older = ids;
	n->older_count = count;
	for (size_t i = count; i > 0 && n->newest_run == 0; i--) {
		char name[FMT_JFILE_NAME_MAX];
		struct jnl_scan s;
		fmt_jfile_name(FMT_JFILE_LANE, ids[i - 1], name);
		if (jnl_scan_open(&s, j->fs, j->dir, name, SLK_OPEN_READ) != SLK_OK)
			continue;
		n->newest_run = s.header.run;
		jnl_scan_close(&s);
	}
	return SLK_OK;
}

int
jnl_notary_new(struct jnl *journal, jnl_attest_fn attest, void *ctx, struct jnl_notary **out_notary,
	struct slk_error *err)
{
	if (!journal->config.integrity)
		return slk_fail(err, SLK_INVALID_STATE,
			"the journal in %s keeps no hashes: integrity is off", journal->dir);
	struct jnl_notary *n = calloc(1, sizeof(*n));
	if (n == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	n->journal = journal;
	n->attest = attest;
	n->ctx = ctx;
	int rc = list_older(n);
	if (rc != SLK_OK) {
		jnl_notary_free(n);
		return slk_fail(err, rc, "cannot list the journal in %s: %s", journal->dir,
			slk_status_sentence(rc));
	}
	*out_notary = n;
	return SLK_OK;
}

void
jnl_notary_sign_with(struct jnl_notary *n, jnl_sign_fn sign)
{
	n->sign = sign;
}

void
jnl_notary_free(struct jnl_notary *n)
{
	if (n == NULL)
		return;
	for (struct jnl_chapter *next; n->waiting != NULL; n->waiting = next) {
		next = n->waiting->next;
		free(n->waiting);
	}
	free(n->older);
	free(n->unsigned_list);
	free(n);
}

void
jnl_notary_stats(const struct jnl_notary *n, struct jnl_notary_stats *out)
{
	*out = (struct jnl_notary_stats){
		.statements = atomic_load(&n->stat_statements),
		.signatures = atomic_load(&n->stat_signatures),
		.unsigned_count = atomic_load(&n->stat_unsigned),
		.read_back = atomic_load(&n->stat_read_back),
		.failures = atomic_load(&n->stat_failures),
	};
}
