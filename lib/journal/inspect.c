#include "journal/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"
#include "journal/internal.h"
#include "journal/proofcheck.h"
#include "journal/scan.h"

/* --- what both need: one file, up to what is durable --- */

static int
open_durable(struct jnl_scan *s, const struct slk_fs *fs, const char *dir, const char *name)
{
	struct fmt_watermark mark;
	int rc = jnl_scan_open(s, fs, dir, name, SLK_OPEN_READ);

	if (rc != SLK_OK || s->closed)
		return rc;
	rc = jnl_mark_load(fs, dir, s->header.lane, true, &mark);
	if (rc == SLK_OK && mark.file_id == s->header.file_id)
		s->limit = mark.position;
	else if (rc == SLK_OK && mark.file_id < s->header.file_id)
		s->limit = FMT_JFILE_PAGE_BYTES; /* prepared, nothing in it is durable */
	return SLK_OK;
}

/* --- list --- */

struct file_view {
	struct jnl_shards shards;
	struct jnl_shard_info *infos;
	struct jnl_epoch_info *epochs;
	uint8_t **memories;
	uint32_t epoch_count;
	struct jnl_file_info info;
};

static int
view_epoch(struct file_view *v, const uint8_t *raw, const struct fmt_block *b)
{
	struct fmt_keyblock k;
	uint8_t *copy = NULL;

	if (v->epoch_count == JNL_KEYS_MAX)
		return SLK_OK;
	copy = malloc(b->body_bytes + 2u);
	if (copy == NULL)
		return SLK_NO_MEMORY;
	if (fmt_keyblock_decode(fmt_block_body(raw, b), &k) != SLK_OK) {
		free(copy);
		return SLK_OK;
	}
	char *arn = (char *)copy;
	memcpy(arn, k.stream_arn.ptr, k.stream_arn.len);
	arn[k.stream_arn.len] = '\0';
	char *key_arn = arn + k.stream_arn.len + 1;
	memcpy(key_arn, k.key_arn.ptr, k.key_arn.len);
	key_arn[k.key_arn.len] = '\0';
	uint8_t *p = (uint8_t *)key_arn + k.key_arn.len + 1;
	struct slk_span *parts[] = {&k.context, &k.wrapped, &k.commitment};
	for (int i = 0; i < 3; i++) {
		memcpy(p, parts[i]->ptr, parts[i]->len);
		parts[i]->ptr = p;
		p += parts[i]->len;
	}
	v->memories[v->epoch_count] = copy;
	v->epochs[v->epoch_count++] = (struct jnl_epoch_info){.epoch_id = k.epoch_id,
		.stream_id = k.stream_id,
		.stream_arn = arn,
		.key_arn = key_arn,
		.context = k.context,
		.wrapped = k.wrapped,
		.commitment = k.commitment};
	return SLK_OK;
}

static int
view_blocks(struct file_view *v, struct jnl_scan *s)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	for (;;) {
		int rc = jnl_scan_next(s, &b, &raw, &gap_end);
		if (rc == SLK_END)
			return SLK_OK;
		if (rc == SLK_CORRUPT)
			continue;
		if (rc == SLK_OK && b.type == FMT_BLOCK_KEY)
			rc = view_epoch(v, raw, &b);
		if (rc != SLK_OK)
			return rc;
		v->info.used_bytes = b.position + b.total_bytes;
		if (b.type != FMT_BLOCK_DATA)
			continue;
		v->info.blocks++;
		v->info.records += b.record_count;
		v->info.plain_bytes += b.body_bytes;
		struct fmt_footer_shard *row = jnl_shards_get(&v->shards, b.stream_id, b.shard);
		if (row == NULL)
			return SLK_LIMIT;
		jnl_shards_add(row, b.position, b.first_sequence, b.record_count,
			b.first_arrival_ns, b.last_arrival_ns);
	}
}

static int
view_file(struct file_view *v, struct jnl_scan *s, const char *name)
{
	v->info = (struct jnl_file_info){.name = name,
		.file_id = s->header.file_id,
		.lane = s->header.lane,
		.run = s->header.run,
		.created_ns = s->header.created_ns,
		.capacity_bytes = s->header.capacity_bytes,
		.used_bytes = FMT_JFILE_PAGE_BYTES,
		.closed = s->closed,
		.closed_by_recovery = s->closed && (s->footer.flags & FMT_FOOTER_BY_RECOVERY) != 0};
	int rc = jnl_shards_init(&v->shards, 32768);
	v->epochs = calloc(JNL_KEYS_MAX, sizeof(*v->epochs));
	v->memories = calloc(JNL_KEYS_MAX, sizeof(*v->memories));
	if (rc != SLK_OK || v->epochs == NULL || v->memories == NULL)
		return SLK_NO_MEMORY;
	rc = view_blocks(v, s);
	if (rc != SLK_OK)
		return rc;
	v->infos = calloc(v->shards.count + 1u, sizeof(*v->infos));
	if (v->infos == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < v->shards.count; i++) {
		const struct fmt_footer_shard *row = &v->shards.rows[i];
		v->infos[i] = (struct jnl_shard_info){row->stream_id, row->shard, row->blocks,
			row->first_sequence, row->next_sequence, row->first_arrival_ns,
			row->last_arrival_ns};
	}
	v->info.shards = v->infos;
	v->info.shard_count = v->shards.count;
	v->info.epochs = v->epochs;
	v->info.epoch_count = v->epoch_count;
	return SLK_OK;
}

static void
view_fini(struct file_view *v)
{
	for (uint32_t i = 0; i < v->epoch_count; i++)
		free(v->memories[i]);
	free(v->memories);
	free(v->epochs);
	free(v->infos);
	jnl_shards_fini(&v->shards);
}

int
jnl_list(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_file_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	uint64_t *ids = NULL;
	size_t count = 0;

	fs = fs != NULL ? fs : slk_fs_posix();
	int rc = jnl_scan_list(fs, dir, FMT_JFILE_LANE, &ids, &count);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot list the journal in %s: %s", dir, slk_status_sentence(rc));
	for (size_t i = 0; i < count && rc == SLK_OK; i++) {
		char name[FMT_JFILE_NAME_MAX];
		struct jnl_scan s;
		struct file_view v = {0};
		struct slk_error why = {0};

		fmt_jfile_name(FMT_JFILE_LANE, ids[i], name);
		int opened = open_durable(&s, fs, dir, name);
		if (opened == SLK_NOT_FOUND) /* retired meanwhile */
			continue;
		if (opened != SLK_OK) {
			(void)slk_fail(&why, opened, "%s", slk_status_sentence(opened));
			if (damaged != NULL)
				damaged(arg, name, &why);
			continue;
		}
		rc = view_file(&v, &s, name);
		if (rc != SLK_OK)
			rc = slk_fail(err, rc, "cannot read %s/%s: %s", dir, name,
				slk_status_sentence(rc));
		else
			rc = each(arg, &v.info);
		view_fini(&v);
		jnl_scan_close(&s);
	}
	free(ids);
	return rc;
}

/* --- list epochs --- */

struct epoch_walk {
	int (*each)(void *arg, const struct jnl_epoch_info *info);
	void (*damaged)(void *arg, const char *name, const struct slk_error *why);
	void *arg;
	const char *name; /* of the file */
	bool stopped; /* by each() */
};

static void
walk_damaged(const struct epoch_walk *w, int status, const char *what)
{
	struct slk_error why = {0};

	(void)slk_fail(&why, status, "%s: %s", what, slk_status_sentence(status));
	if (w->damaged != NULL)
		w->damaged(w->arg, w->name, &why);
}

static int
walk_key(struct epoch_walk *w, const uint8_t *raw, const struct fmt_block *b)
{
	char stream_arn[FMT_KEYBLOCK_ARN_MAX + 1], key_arn[FMT_KEYBLOCK_ARN_MAX + 1];
	struct fmt_keyblock k;

	int rc = fmt_keyblock_decode(fmt_block_body(raw, b), &k);
	if (rc != SLK_OK) {
		walk_damaged(w, rc, "a key block cannot be read");
		return SLK_OK;
	}
	snprintf(stream_arn, sizeof(stream_arn), "%.*s", (int)k.stream_arn.len,
		(const char *)k.stream_arn.ptr);
	snprintf(key_arn, sizeof(key_arn), "%.*s", (int)k.key_arn.len, (const char *)k.key_arn.ptr);
	const struct jnl_epoch_info info = {
		k.epoch_id, k.stream_id, stream_arn, key_arn, k.context, k.wrapped, k.commitment};
	rc = w->each(w->arg, &info);
	w->stopped = rc != SLK_OK;
	return rc;
}

/* The next block of the scan, if it is a key block. */
static int
walk_block(struct epoch_walk *w, struct jnl_scan *s, const char *if_damaged)
{
	struct fmt_block b;
	const uint8_t *raw;
	uint64_t gap_end;

	int rc = jnl_scan_next(s, &b, &raw, &gap_end);
	if (rc == SLK_CORRUPT) {
		walk_damaged(w, rc, if_damaged);
		return SLK_OK;
	}
	return rc == SLK_OK && b.type == FMT_BLOCK_KEY ? walk_key(w, raw, &b) : rc;
}

static int
walk_file(struct epoch_walk *w, struct jnl_scan *s)
{
	int rc = SLK_OK;

	if (!s->closed) {
		while (rc == SLK_OK)
			rc = walk_block(w, s, "blocks cannot be read");
		return rc == SLK_END ? SLK_OK : rc;
	}
	for (uint32_t i = 0; rc == SLK_OK && i < s->footer.key_count; i++) {
		s->pos = fmt_footer_key_at(&s->footer, i).position;
		rc = walk_block(w, s, "a key block cannot be read");
	}
	return rc == SLK_END ? SLK_CORRUPT : rc; /* the footer points behind itself */
}

int
jnl_list_epochs(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_epoch_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	struct epoch_walk w = {.each = each, .damaged = damaged, .arg = arg};
	char name[FMT_JFILE_NAME_MAX];
	uint64_t *ids = NULL;
	size_t count = 0;

	fs = fs != NULL ? fs : slk_fs_posix();
	int rc = jnl_scan_list(fs, dir, FMT_JFILE_LANE, &ids, &count);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot list the journal in %s: %s", dir, slk_status_sentence(rc));
	w.name = name;
	for (size_t i = 0; i < count && rc == SLK_OK; i++) {
		struct jnl_scan s;

		fmt_jfile_name(FMT_JFILE_LANE, ids[i], name);
		int opened = open_durable(&s, fs, dir, name);
		if (opened == SLK_NOT_FOUND) /* retired meanwhile */
			continue;
		if (opened != SLK_OK) {
			walk_damaged(&w, opened, "the file cannot be read");
			continue;
		}
		rc = walk_file(&w, &s);
		jnl_scan_close(&s);
		if (rc == SLK_CORRUPT && !w.stopped) {
			walk_damaged(&w, rc, "its footer");
			rc = SLK_OK;
		}
	}
	free(ids);
	if (rc != SLK_OK && !w.stopped)
		return slk_fail(
			err, rc, "cannot read %s/%s: %s", dir, name, slk_status_sentence(rc));
	return rc;
}

/* --- verify --- */

/* Every key takes a page of locked memory, of which a process has 8 MiB by default. The epochs that live at a time are
 * far fewer: those that were not used for longest have ended. */
#define KNOWN_MAX 1024u

struct known_key {
	uint64_t epoch_id;
	uint64_t used; /* data blocks checked until its last one */
	struct jnl_epoch_key *key; /* NULL: not given */
};

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
	char name[FMT_JFILE_NAME_MAX]; /* the file that is looked at */
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
	struct jnl_block block = {.epoch_id = b->epoch_id,
		.block_number = b->block_number,
		.plain_bytes = b->body_bytes,
		.header = slk_span(raw, FMT_BLOCK_HEADER_BYTES),
		.ciphertext = fmt_block_body(raw, b),
		.tag = fmt_block_tag(raw, b)};

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
	bool cut = epoch->blocks++ == 0 && b->epoch_id >> 24 < v->horizon;
	if (b->block_number != epoch->next_sequence && !cut)
		found(v, SLK_CORRUPT, b->position, 0,
			b->block_number > epoch->next_sequence
				? "blocks of an epoch are missing before this one"
				: "a block number of an epoch comes twice");
	epoch->next_sequence = b->block_number + 1;
	if (shard->blocks > 0 && b->first_sequence != shard->next_sequence)
		found(v, SLK_CORRUPT, b->position, 0,
			b->first_sequence > shard->next_sequence
				? "records of a shard are missing before this block"
				: "sequence numbers of a shard come twice");
	shard->next_sequence = b->first_sequence + b->record_count;
	shard->blocks++;
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
		if (b.type == FMT_BLOCK_KEY)
			rc = take_key(v, raw, &b);
		if (rc == SLK_OK && b.type == FMT_BLOCK_DATA) {
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
	int rc = open_durable(&s, fs, v->c->dir, v->name);
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
	rc = verify_blocks(v, &s);
	if (rc == SLK_OK && v->c->proofs)
		rc = jnl_proof_check_file(&v->proofs, &s);
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

int
jnl_verify(const struct jnl_verify_config *config, struct jnl_verify_report *out_report,
	struct slk_error *err)
{
	const struct slk_fs *fs = config->fs != NULL ? config->fs : slk_fs_posix();
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
		rc = jnl_shards_init(&v.shards, 65536);
	if (rc == SLK_OK)
		rc = jnl_shards_init(&v.epochs, 1u << 20);
	v.plain = malloc(JNL_BLOCK_PLAIN_MAX);
	if (rc == SLK_OK && v.plain == NULL)
		rc = SLK_NO_MEMORY;
	for (size_t i = 0; i < count && rc == SLK_OK; i++)
		rc = verify_file(&v, fs, ids[i]);
	if (rc == SLK_OK)
		rc = verify_orphans(&v, ids, count);
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
	free(ids);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot verify the journal in %s: %s", config->dir,
			slk_status_sentence(rc));
	*out_report = report;
	return SLK_OK;
}
