/* jnl_verify(); what it promises is in inspect.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"
#include "journal/dirs.h"
#include "journal/inspect.h"
#include "journal/internal.h"
#include "journal/proofcheck.h"
#include "journal/scan.h"

/* Every key takes a page of locked memory, of which a process has 8 MiB by default. The epochs that live at a time are
 * far fewer: those that were not used for longest have ended. */
#define KNOWN_MAX 1024u

struct known_key {
	uint64_t epoch_id;
	uint64_t used; /* data blocks checked until its last one */
	struct jnl_epoch_key *key; /* NULL: not given */
};

#define SHARDS_MAX 65536u
#define EPOCHS_MAX (1u << 20)
#define LOST_MAX 4096u /* lost ranges of one file that are remembered; more are damage */

struct verifier {
	const struct jnl_verify_config *c;
	struct jnl_verify_report *report;
	struct jnl_shards shards; /* next_sequence of each; blocks counts */
	struct jnl_shards
		epochs; /* keyed by (epoch id, 0); next_sequence is the next block number */
	struct known_key *
		keys; /* of every epoch that a key was given for; several epochs interleave in a file */
	uint32_t key_count;
	uint8_t *plain;
	struct jnl_proof_check proofs;
	uint64_t oldest[FMT_JFILE_LANES_MAX]; /* file of each lane that is there */
	uint64_t
		horizon; /* of the lane that is looked at: epochs that began before may have been trimmed */
	struct jnl_lost_range *lost; /* of the file that is looked at, LOST_MAX */
	uint32_t lost_count;
	uint64_t lost_before
		[FMT_JFILE_LANES_MAX]; /* places in each lane where something was lost, up to now */
	uint64_t *shard_lost,
		*epoch_lost; /* of each row: that count of its lane at its last block */
	char name[FMT_JFILE_NAME_MAX]; /* the file that is looked at */
	uint32_t lane; /* of it */
	uint64_t file_id;
};

static void
found(struct verifier *v, int status, uint64_t offset, uint64_t bytes, const char *sentence)
{
	struct jnl_finding f = {status, v->name, v->file_id, offset, bytes, sentence};

	v->report->findings++;
	if (v->c->finding != NULL)
		v->c->finding(v->c->arg, &f);
}

/* Salvage found nothing to be kept here. */
static void
lost_range(struct verifier *v, uint64_t offset, uint64_t bytes, bool is_data)
{
	struct jnl_lost_range *last = v->lost_count > 0 ? &v->lost[v->lost_count - 1] : NULL;

	if (last != NULL && last->offset + last->bytes == offset) {
		last->bytes += bytes; /* a long one takes several blocks */
		v->report->lost_bytes += is_data ? bytes : 0;
		return;
	}
	if (v->lost == NULL || v->lost_count == LOST_MAX)
		return;
	v->lost[v->lost_count++] = (struct jnl_lost_range){offset, bytes, is_data};
	v->lost_before[v->lane]++;
	v->report->lost_ranges += is_data;
	v->report->lost_bytes += is_data ? bytes : 0;
}

/* Once the blocks of a file were seen: what was lost between them. */
static void
tell_lost(struct verifier *v)
{
	for (uint32_t i = 0; i < v->lost_count; i++) {
		const struct jnl_lost_range *r = &v->lost[i];
		const struct jnl_loss loss = {.kind = r->is_data ? JNL_LOST_RANGE
				: r->offset == 0                 ? JNL_LOST_HEADER
								 : JNL_LOST_END,
			.name = v->name,
			.file_id = v->file_id,
			.offset = r->offset,
			.bytes = r->is_data || r->offset == 0 ? r->bytes : 0};
		if (!v->c->salvaged)
			found(v, SLK_CORRUPT, r->offset, loss.bytes,
				"this was lost: the journal was salvaged (--salvaged takes that "
				"for what it is)");
		else if (v->c->lost != NULL)
			v->c->lost(v->c->arg, &loss);
	}
}

/* Records before a block are missing. Is that what salvage has left out since the shard's last one? */
static bool
records_lost(struct verifier *v, const struct fmt_block *b, uint64_t since, uint64_t from)
{
	struct jnl_loss loss = {.kind = JNL_LOST_RECORDS,
		.name = v->name,
		.file_id = v->file_id,
		.offset = b->position,
		.stream_id = b->stream_id,
		.shard = b->shard,
		.first_sequence = from,
		.next_sequence = b->first_sequence};

	if (!v->c->salvaged || v->lost_before[v->lane] <= since || b->first_sequence < from)
		return false;
	v->report->lost_records += b->first_sequence - from;
	if (v->c->lost != NULL)
		v->c->lost(v->c->arg, &loss);
	return true;
}

static struct known_key *
known(const struct verifier *v, uint64_t epoch_id)
{
	for (uint32_t i = v->key_count; i > 0; i--) { /* the newest are asked for most */
		if (v->keys[i - 1].epoch_id == epoch_id)
			return &v->keys[i - 1];
	}
	return NULL;
}

static uint32_t
longest_unused(const struct verifier *v)
{
	uint32_t oldest = 0;

	for (uint32_t i = 1; i < v->key_count; i++)
		if (v->keys[i].used < v->keys[oldest].used)
			oldest = i;
	return oldest;
}

static int
remember(struct verifier *v, uint64_t epoch_id, struct jnl_epoch_key *key)
{
	if (v->keys == NULL)
		v->keys = calloc(KNOWN_MAX, sizeof(*v->keys));
	if (v->keys == NULL) {
		jnl_epoch_key_free(key);
		return SLK_NO_MEMORY;
	}
	if (v->key_count == KNOWN_MAX) {
		uint32_t gone = longest_unused(v);
		jnl_epoch_key_free(v->keys[gone].key);
		v->key_count--;
		memmove(&v->keys[gone], &v->keys[gone + 1],
			(v->key_count - gone) * sizeof(*v->keys));
	}
	v->keys[v->key_count++] = (struct known_key){epoch_id, v->report->data_blocks, key};
	return SLK_OK;
}

/* Ask for the data key at the first key block of an epoch. */
static int
take_key(struct verifier *v, const uint8_t *raw, const struct fmt_block *b)
{
	struct fmt_keyblock k;
	struct slk_secret *data_key = NULL;
	char stream_arn[FMT_KEYBLOCK_ARN_MAX + 1], key_arn[FMT_KEYBLOCK_ARN_MAX + 1];

	if (fmt_keyblock_decode(fmt_block_body(raw, b), &k) != SLK_OK) {
		found(v, SLK_MALFORMED, b->position, b->total_bytes,
			"a key block is not well formed");
		return SLK_OK;
	}
	if (v->c->seal == NULL || v->c->data_key == NULL || known(v, k.epoch_id) != NULL)
		return SLK_OK;
	struct jnl_epoch_key *key = NULL;
	snprintf(stream_arn, sizeof(stream_arn), "%.*s", (int)k.stream_arn.len,
		(const char *)k.stream_arn.ptr);
	snprintf(key_arn, sizeof(key_arn), "%.*s", (int)k.key_arn.len, (const char *)k.key_arn.ptr);
	struct jnl_epoch_info info = {
		k.epoch_id, k.stream_id, stream_arn, key_arn, k.context, k.wrapped, k.commitment};
	if (v->c->data_key(v->c->arg, &info, &data_key) != SLK_OK)
		return SLK_OK;
	int rc = jnl_epoch_key_new(v->c->seal, &info, data_key, &key);
	slk_secret_free(data_key);
	if (rc == SLK_BAD_COMMITMENT) {
		found(v, rc, b->position, 0, "the data key is not the one that sealed this epoch");
		rc = SLK_OK;
	}
	return rc == SLK_OK ? remember(v, k.epoch_id, key) : rc;
}

static void
check_tag(struct verifier *v, const uint8_t *raw, const struct fmt_block *b)
{
	uint8_t sealed[FMT_BLOCK_HEADER_BYTES] = {0};
	struct jnl_block block = {.epoch_id = b->epoch_id,
		.block_number = b->block_number,
		.plain_bytes = b->body_bytes,
		.header = slk_span(sealed, sizeof(sealed)),
		.ciphertext = fmt_block_body(raw, b),
		.tag = fmt_block_tag(raw, b)};

	fmt_block_sealed_header(raw, b, sealed);
	struct known_key *k = known(v, b->epoch_id);
	if (k != NULL)
		k->used = v->report->data_blocks;
	if (k == NULL || k->key == NULL) {
		v->report->tags_unchecked++;
		return;
	}
	if (jnl_block_open(v->c->seal, k->key, &block, v->plain, JNL_BLOCK_PLAIN_MAX) == SLK_OK)
		v->report->tags_checked++;
	else
		found(v, SLK_BAD_TAG, b->position, b->total_bytes,
			"a block is not authentic: it was changed by someone who could mend its "
			"checksum");
	slk_wipe(v->plain, b->body_bytes);
}

static int
check_numbers(struct verifier *v, const struct fmt_block *b)
{
	struct fmt_footer_shard *shard = jnl_shards_get(&v->shards, b->stream_id, b->shard);
	struct fmt_footer_shard *epoch = jnl_shards_get(&v->epochs, b->epoch_id, 0);

	if (shard == NULL || epoch == NULL)
		return SLK_LIMIT;
	const uint64_t now_lost = v->lost_before[v->lane];
	uint64_t *epoch_lost = &v->epoch_lost[epoch - v->epochs.rows];
	uint64_t *shard_lost = &v->shard_lost[shard - v->shards.rows];
	bool cut = epoch->blocks++ == 0 && b->epoch_id >> 24 < v->horizon;
	cut = cut ||
		(v->c->salvaged && b->block_number > epoch->next_sequence &&
			now_lost > *epoch_lost);
	if (b->block_number != epoch->next_sequence && !cut)
		found(v, SLK_CORRUPT, b->position, 0,
			b->block_number > epoch->next_sequence
				? "blocks of an epoch are missing before this one"
				: "a block number of an epoch comes twice");
	epoch->next_sequence = b->block_number + 1;
	if (shard->blocks > 0 && b->first_sequence != shard->next_sequence &&
		!records_lost(v, b, *shard_lost, shard->next_sequence))
		found(v, SLK_CORRUPT, b->position, 0,
			b->first_sequence > shard->next_sequence
				? "records of a shard are missing before this block"
				: "sequence numbers of a shard come twice");
	shard->next_sequence = b->first_sequence + b->record_count;
	shard->blocks++;
	*epoch_lost = *shard_lost = now_lost;
	return SLK_OK;
}

static int
verify_blocks(struct verifier *v, struct jnl_scan *s)
{
	struct jnl_verify_report *r = v->report;
	uint64_t blocks = 0, records = 0;
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	for (;;) {
		uint64_t at = s->pos;
		int rc = jnl_scan_next(s, &b, &raw, &gap_end);
		if (rc == SLK_END)
			break;
		if (rc == SLK_CORRUPT) {
			found(v, SLK_BAD_CRC, at, gap_end - at, "damaged: no block verifies here");
			continue;
		}
		if (rc != SLK_OK)
			return rc;
		r->blocks++;
		r->bytes += b.total_bytes;
		if (b.type == FMT_BLOCK_LOST)
			lost_range(v, b.position, b.total_bytes, true);
		if (b.type == FMT_BLOCK_KEY)
			rc = take_key(v, raw, &b);
		if (rc == SLK_OK && fmt_block_is_data(&b)) {
			blocks++;
			records += b.record_count;
			r->data_blocks++;
			r->records += b.record_count;
			r->plain_bytes += b.body_bytes;
			rc = check_numbers(v, &b);
			check_tag(v, raw, &b);
		}
		if (rc != SLK_OK)
			return rc;
	}
	if (v->c->salvaged && v->lost_count > 0 && s->closed && s->footer.blocks >= blocks &&
		s->footer.records >= records)
		return SLK_OK;
	if (s->closed && (s->footer.blocks != blocks || s->footer.records != records))
		found(v, SLK_CORRUPT, s->footer_pos, 0,
			"the footer counts other blocks or records than there are");
	return SLK_OK;
}

static int
verify_file(struct verifier *v, const struct slk_fs *fs, uint64_t id)
{
	struct jnl_scan s;

	fmt_jfile_name(FMT_JFILE_LANE, id, v->name);
	v->file_id = id;
	int rc = jnl_scan_open_durable(&s, fs, v->c->dir, v->name);
	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	v->report->files++;
	if (slk_status_class(rc) == SLK_CLASS_CORRUPT) {
		found(v, rc, 0, 0, "the header of the file is damaged");
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return rc;
	v->report->files_unclosed += !s.closed;
	v->report->files_by_recovery += s.closed && (s.footer.flags & FMT_FOOTER_BY_RECOVERY) != 0;
	if (v->oldest[s.header.lane] == 0)
		v->oldest[s.header.lane] = id;
	v->horizon = v->oldest[s.header.lane];
	v->lane = s.header.lane;
	v->lost_count = 0;
	/* First of all: it stands before all blocks. */
	if (s.closed && (s.footer.flags & FMT_FOOTER_HEADER_LOST) != 0)
		lost_range(v, 0, FMT_JFILE_PAGE_BYTES, false);
	rc = verify_blocks(v, &s);
	if (rc == SLK_OK && s.closed &&
		(s.footer.flags & (FMT_FOOTER_SALVAGED | FMT_FOOTER_HEADER_LOST)) != 0)
		lost_range(v, s.footer_pos, s.header.capacity_bytes - s.footer_pos, false);
	if (rc == SLK_OK)
		tell_lost(v);
	if (rc == SLK_OK && v->c->proofs)
		rc = jnl_proof_check_file(
			&v->proofs, &s, v->c->salvaged ? v->lost : NULL, v->lost_count);
	jnl_scan_close(&s);
	return rc;
}

static void
proof_found(void *arg, int status, uint64_t offset, uint64_t bytes, const char *sentence)
{
	found(arg, status, offset, bytes, sentence);
}

struct orphans {
	struct verifier *v;
	const uint64_t *ids;
	size_t count;
};

static int
look_for_orphan(void *arg, const char *name)
{
	const struct orphans *o = arg;
	uint64_t id;

	if (!fmt_proof_name_parse(name, &id))
		return SLK_OK;
	for (size_t i = 0; i < o->count; i++)
		if (o->ids[i] == id)
			return SLK_OK;
	fmt_jfile_name(FMT_JFILE_LANE, id, o->v->name);
	o->v->file_id = id;
	if (jnl_proof_check_orphan(&o->v->proofs, id))
		found(o->v, SLK_NOT_FOUND, 0, 0,
			"the file is missing: its proof is there, and it is younger than others");
	return SLK_OK;
}

static int
verify_orphans(struct verifier *v, const uint64_t *ids, size_t count)
{
	struct orphans o = {v, ids, count};

	return v->c->proofs ? v->proofs.fs->list(v->proofs.fs->ctx, v->c->dir, look_for_orphan, &o)
			    : SLK_OK;
}

/* What is in a directory that cannot be read is not known to be well. */
static void
verify_dirs(struct verifier *v, const struct jnl_dirs *dirs)
{
	const char *missing = dirs != NULL ? jnl_dirs_missing(dirs, false) : NULL;

	if (missing == NULL)
		return;
	snprintf(v->name, sizeof(v->name), "%s", FMT_DIRLIST_NAME);
	v->file_id = 0;
	found(v, SLK_NOT_FOUND, 0, 0,
		"a directory of the journal cannot be read, and nothing of what is "
		"in it was looked at");
}

static int
verify_all(const struct jnl_verify_config *config, const struct jnl_dirs *dirs,
	struct jnl_verify_report *out_report, struct slk_error *err)
{
	const struct slk_fs *fs = config->fs;
	struct jnl_verify_report report = {0};
	struct verifier v = {.c = config, .report = &report};
	uint64_t *ids = NULL;
	size_t count = 0;

	v.proofs = (struct jnl_proof_check){.fs = fs,
		.dir = config->dir,
		.trusted = config->trusted,
		.found = proof_found,
		.arg = &v};
	int rc = jnl_scan_list(fs, config->dir, FMT_JFILE_LANE, &ids, &count);
	if (rc == SLK_OK)
		rc = jnl_shards_init(&v.shards, SHARDS_MAX);
	if (rc == SLK_OK)
		rc = jnl_shards_init(&v.epochs, EPOCHS_MAX);
	v.plain = malloc(JNL_BLOCK_PLAIN_MAX);
	v.lost = calloc(LOST_MAX, sizeof(*v.lost));
	v.shard_lost = calloc(SHARDS_MAX, sizeof(*v.shard_lost));
	v.epoch_lost = calloc(EPOCHS_MAX, sizeof(*v.epoch_lost));
	if (rc == SLK_OK &&
		(v.plain == NULL || v.lost == NULL || v.shard_lost == NULL || v.epoch_lost == NULL))
		rc = SLK_NO_MEMORY;
	for (size_t i = 0; i < count && rc == SLK_OK; i++)
		rc = verify_file(&v, fs, ids[i]);
	if (rc == SLK_OK)
		rc = verify_orphans(&v, ids, count);
	if (rc == SLK_OK)
		verify_dirs(&v, dirs);
	report.files_signed = v.proofs.files_signed;
	report.files_unsigned = v.proofs.files_unsigned;
	report.bytes_signed = v.proofs.bytes_signed;
	report.signatures = v.proofs.signatures;
	report.shards = v.shards.count;
	report.epochs = v.epochs.count;
	for (uint32_t i = 0; i < v.key_count; i++)
		jnl_epoch_key_free(v.keys[i].key);
	free(v.keys);
	jnl_shards_fini(&v.shards);
	jnl_shards_fini(&v.epochs);
	free(v.plain);
	free(v.lost);
	free(v.shard_lost);
	free(v.epoch_lost);
	free(ids);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot verify the journal in %s: %s", config->dir,
			slk_status_sentence(rc));
	*out_report = report;
	return SLK_OK;
}

int
jnl_verify(const struct jnl_verify_config *config, struct jnl_verify_report *out_report,
	struct slk_error *err)
{
	struct jnl_verify_config c = *config;
	struct jnl_dirs *dirs = NULL;
	int rc = jnl_dirs_enter(&c.dir, &c.fs, &dirs, err);

	if (rc == SLK_OK)
		rc = verify_all(&c, dirs, out_report, err);
	jnl_dirs_free(dirs);
	return rc;
}
