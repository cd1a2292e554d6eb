#include "journal/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"
#include "journal/dirs.h"
#include "journal/internal.h"
#include "journal/scan.h"

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
		if (!fmt_block_is_data(&b))
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

static int
list_files(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_file_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	uint64_t *ids = NULL;
	size_t count = 0;

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
		int opened = jnl_scan_open_durable(&s, fs, dir, name);
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

int
jnl_list(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_file_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	struct jnl_dirs *dirs = NULL;
	struct slk_error why = {0};
	int rc = jnl_dirs_enter(&dir, &fs, &dirs, err);

	if (rc == SLK_OK)
		rc = list_files(dir, fs, each, damaged, arg, err);
	const char *missing = dirs != NULL ? jnl_dirs_missing(dirs, false) : NULL;
	if (rc == SLK_OK && missing != NULL && damaged != NULL) {
		(void)slk_fail(&why, SLK_NOT_FOUND, "this directory of the journal cannot be read");
		damaged(arg, missing, &why);
	}
	jnl_dirs_free(dirs);
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

static int
list_epochs(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_epoch_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	struct epoch_walk w = {.each = each, .damaged = damaged, .arg = arg};
	char name[FMT_JFILE_NAME_MAX];
	uint64_t *ids = NULL;
	size_t count = 0;

	int rc = jnl_scan_list(fs, dir, FMT_JFILE_LANE, &ids, &count);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot list the journal in %s: %s", dir, slk_status_sentence(rc));
	w.name = name;
	for (size_t i = 0; i < count && rc == SLK_OK; i++) {
		struct jnl_scan s;

		fmt_jfile_name(FMT_JFILE_LANE, ids[i], name);
		int opened = jnl_scan_open_durable(&s, fs, dir, name);
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

int
jnl_list_epochs(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_epoch_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err)
{
	struct jnl_dirs *dirs = NULL;
	int rc = jnl_dirs_enter(&dir, &fs, &dirs, err);

	if (rc == SLK_OK)
		rc = list_epochs(dir, fs, each, damaged, arg, err);
	jnl_dirs_free(dirs);
	return rc;
}
