#include "checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "SLDC"
#define VERSION 1u
#define CRC_BYTES 4u
#define PATH_BYTES 4096u
#define FILE_MAX \
	(DLV_CHECKPOINT_HEAD_BYTES + \
		(size_t)DLV_CHECKPOINT_SHARDS_MAX * DLV_CHECKPOINT_SHARD_BYTES + CRC_BYTES)

/* --- in memory --- */

void
dlv_checkpoint_fini(struct dlv_checkpoint *cp)
{
	free(cp->places);
	memset(cp, 0, sizeof(*cp));
}

int
dlv_checkpoint_copy(const struct dlv_checkpoint *cp, struct dlv_checkpoint *out)
{
	struct dlv_checkpoint copy = *cp;

	copy.places = NULL;
	copy.cap = cp->count;
	if (cp->count > 0) {
		copy.places = calloc(cp->count, sizeof(*copy.places));
		if (copy.places == NULL)
			return SLK_NO_MEMORY;
		memcpy(copy.places, cp->places, cp->count * sizeof(*copy.places));
	}
	*out = copy;
	return SLK_OK;
}

/* Where the shard is, or would be. */
static size_t
index_of(const struct dlv_checkpoint *cp, uint32_t shard)
{
	size_t low = 0, high = cp->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (cp->places[middle].shard < shard)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct dlv_place *
dlv_checkpoint_find(const struct dlv_checkpoint *cp, uint32_t shard)
{
	size_t i = index_of(cp, shard);

	return i < cp->count && cp->places[i].shard == shard ? &cp->places[i] : NULL;
}

static int
grow(struct dlv_checkpoint *cp)
{
	size_t cap = cp->cap == 0 ? 8 : 2 * cp->cap;
	struct dlv_place *bigger = realloc(cp->places, cap * sizeof(*bigger));

	if (bigger == NULL)
		return SLK_NO_MEMORY;
	cp->places = bigger;
	cp->cap = cap;
	return SLK_OK;
}

int
dlv_checkpoint_get(
	struct dlv_checkpoint *cp, uint32_t shard, uint64_t sequence, struct dlv_place **out_place)
{
	size_t i = index_of(cp, shard);

	if (i == cp->count || cp->places[i].shard != shard) {
		if (cp->count == DLV_CHECKPOINT_SHARDS_MAX)
			return SLK_LIMIT;
		if (cp->count == cp->cap && grow(cp) != SLK_OK)
			return SLK_NO_MEMORY;
		memmove(&cp->places[i + 1], &cp->places[i], (cp->count - i) * sizeof(*cp->places));
		cp->places[i] = (struct dlv_place){shard, sequence, sequence};
		cp->count++;
	}
	*out_place = &cp->places[i];
	return SLK_OK;
}

void
dlv_checkpoint_pass(struct dlv_checkpoint *cp, uint64_t reached_ns)
{
	for (size_t i = 0; i < cp->count; i++)
		cp->places[i].next = cp->places[i].plan_end;
	cp->number++;
	if (reached_ns > cp->reached_ns)
		cp->reached_ns = reached_ns;
	cp->planned_ns = cp->oldest_ns = cp->plan_records = 0;
}

/* --- bytes --- */

int
dlv_checkpoint_encode(const struct dlv_checkpoint *cp, uint8_t **out_bytes, size_t *out_len)
{
	size_t len = DLV_CHECKPOINT_HEAD_BYTES + cp->count * DLV_CHECKPOINT_SHARD_BYTES + CRC_BYTES;
	uint8_t *bytes = malloc(len);

	if (bytes == NULL)
		return SLK_NO_MEMORY;
	struct slk_writer w = slk_writer(bytes, len);
	slk_write_bytes(&w, MAGIC, 4);
	slk_write_le32(&w, VERSION);
	slk_write_le64(&w, cp->delivery_id);
	slk_write_le64(&w, cp->stream_id);
	slk_write_le64(&w, cp->number);
	slk_write_le64(&w, cp->begun_ns);
	slk_write_le64(&w, cp->reached_ns);
	slk_write_le64(&w, cp->planned_ns);
	slk_write_le64(&w, cp->oldest_ns);
	slk_write_le64(&w, cp->plan_records);
	slk_write_le32(&w, (uint32_t)cp->count);
	slk_write_zeros(&w, 4);
	for (size_t i = 0; i < cp->count; i++) {
		slk_write_le32(&w, cp->places[i].shard);
		slk_write_zeros(&w, 4);
		slk_write_le64(&w, cp->places[i].next);
		slk_write_le64(&w, cp->places[i].plan_end);
	}
	slk_write_le32(&w, slk_crc32c(0, bytes, w.len));
	*out_bytes = bytes;
	*out_len = w.len;
	return SLK_OK;
}

static bool
plan_is_sound(const struct dlv_checkpoint *cp)
{
	bool planned = cp->planned_ns != 0;

	if (!planned && (cp->oldest_ns != 0 || cp->plan_records != 0))
		return false;
	for (size_t i = 0; i < cp->count; i++) {
		const struct dlv_place *p = &cp->places[i];
		if (p->plan_end < p->next || (!planned && p->plan_end != p->next) ||
			(i > 0 && p->shard <= cp->places[i - 1].shard))
			return false;
	}
	return true;
}

static int
read_places(struct slk_reader *r, struct dlv_checkpoint *cp, uint32_t count)
{
	if (count > 0) {
		cp->places = calloc(count, sizeof(*cp->places));
		if (cp->places == NULL)
			return SLK_NO_MEMORY;
		cp->cap = count;
	}
	for (; cp->count < count; cp->count++) {
		struct dlv_place *p = &cp->places[cp->count];
		p->shard = slk_read_le32(r);
		if (slk_read_le32(r) != 0)
			return SLK_MALFORMED;
		p->next = slk_read_le64(r);
		p->plan_end = slk_read_le64(r);
	}
	return plan_is_sound(cp) ? SLK_OK : SLK_MALFORMED;
}

/* The head; *out_count: shards that follow. */
static int
read_head(struct slk_reader *r, struct dlv_checkpoint *cp, uint32_t *out_count)
{
	if (memcmp(slk_read_span(r, 4).ptr, MAGIC, 4) != 0)
		return SLK_MALFORMED;
	if (slk_read_le32(r) != VERSION)
		return SLK_BAD_VERSION;
	cp->delivery_id = slk_read_le64(r);
	cp->stream_id = slk_read_le64(r);
	cp->number = slk_read_le64(r);
	cp->begun_ns = slk_read_le64(r);
	cp->reached_ns = slk_read_le64(r);
	cp->planned_ns = slk_read_le64(r);
	cp->oldest_ns = slk_read_le64(r);
	cp->plan_records = slk_read_le64(r);
	*out_count = slk_read_le32(r);
	if (slk_read_le32(r) != 0 || *out_count > DLV_CHECKPOINT_SHARDS_MAX)
		return SLK_MALFORMED;
	return SLK_OK;
}

int
dlv_checkpoint_decode(struct slk_span in, struct dlv_checkpoint *out)
{
	struct slk_reader r = slk_reader(in);
	struct dlv_checkpoint cp = {0};
	uint32_t count = 0;

	if (in.len < DLV_CHECKPOINT_HEAD_BYTES + CRC_BYTES)
		return SLK_TRUNCATED;
	int rc = read_head(&r, &cp, &count);
	if (rc != SLK_OK)
		return rc;
	size_t want =
		DLV_CHECKPOINT_HEAD_BYTES + (size_t)count * DLV_CHECKPOINT_SHARD_BYTES + CRC_BYTES;
	if (in.len != want)
		return in.len < want ? SLK_TRUNCATED : SLK_MALFORMED;
	if (slk_get_le32(in.ptr + want - CRC_BYTES) != slk_crc32c(0, in.ptr, want - CRC_BYTES))
		return SLK_BAD_CRC;
	rc = read_places(&r, &cp, count);
	if (rc != SLK_OK) {
		dlv_checkpoint_fini(&cp);
		return rc;
	}
	*out = cp;
	return SLK_OK;
}

/* --- the file --- */

static const struct slk_fs *
fs_of(const struct dlv_checkpoint_file *file)
{
	return file->fs != NULL ? file->fs : slk_fs_posix();
}

static int
path_of(const struct dlv_checkpoint_file *file, const char *suffix, char out[PATH_BYTES],
	struct slk_error *err)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s.%llu.checkpoint%s", file->dir, file->name,
		(unsigned long long)file->delivery_id, suffix);

	if (n < 0 || (size_t)n >= PATH_BYTES)
		return slk_fail(err, SLK_TOO_LARGE, "the path of the state directory is too long");
	return SLK_OK;
}

/* *out_bytes: malloc'd. One byte more than there may be is asked for, so that a longer file shows. */
static int
read_whole(const struct slk_fs *fs, const char *path, uint8_t **out_bytes, size_t *out_len)
{
	uint64_t size = 0;
	int fd = -1;
	uint8_t *bytes = NULL;
	int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);

	if (rc != SLK_OK)
		return rc;
	rc = fs->size(fs->ctx, fd, &size);
	if (rc == SLK_OK && size > FILE_MAX)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK && (bytes = malloc((size_t)size + 1)) == NULL)
		rc = SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = fs->pread(fs->ctx, fd, bytes, (size_t)size, 0, out_len);
	(void)fs->close(fs->ctx, fd);
	if (rc != SLK_OK) {
		free(bytes);
		return rc;
	}
	*out_bytes = bytes;
	return SLK_OK;
}

int
dlv_checkpoint_load(
	const struct dlv_checkpoint_file *file, struct dlv_checkpoint *out, struct slk_error *err)
{
	char path[PATH_BYTES];
	struct dlv_checkpoint cp = {0};
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc = path_of(file, "", path, err);

	if (rc != SLK_OK)
		return rc;
	rc = read_whole(fs_of(file), path, &bytes, &len);
	if (rc == SLK_OK)
		rc = dlv_checkpoint_decode(slk_span(bytes, len), &cp);
	free(bytes);
	if (slk_status_class(rc) == SLK_CLASS_CORRUPT)
		return slk_fail(err, SLK_CORRUPT,
			"%s is damaged or no checkpoint (%s); it is left as it is: put a good copy "
			"in its place, or move it away to begin anew",
			path, slk_status_sentence(rc));
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot read %s: %s", path, slk_status_sentence(rc));
	if (cp.delivery_id != file->delivery_id || cp.stream_id != file->stream_id) {
		dlv_checkpoint_fini(&cp);
		return slk_fail(err, SLK_CORRUPT,
			"%s is the checkpoint of another delivery stream; it is left as it is",
			path);
	}
	*out = cp;
	return SLK_OK;
}

static int
write_new(const struct slk_fs *fs, const char *path, const uint8_t *bytes, size_t len)
{
	int fd = -1;
	int rc = fs->unlink(fs->ctx, path); /* of a store that was interrupted */

	if (rc != SLK_OK && rc != SLK_NOT_FOUND)
		return rc;
	rc = fs->open(fs->ctx, path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = fs->pwrite(fs->ctx, fd, bytes, len, 0);
	if (rc == SLK_OK)
		rc = fs->sync(fs->ctx, fd);
	int closed = fs->close(fs->ctx, fd);
	return rc != SLK_OK ? rc : closed;
}

/* Two flushes, and why each stands: the file's, so that the name never stands for half a checkpoint; the directory's, so that the
 * plan is there before its batch is sent: without it a restart would give its number to other records. An end alone would not
 * need the second: its batch would be sent again under its id. That is why an end shares the write of the plan behind it. */
int
dlv_checkpoint_store(const struct dlv_checkpoint_file *file, const struct dlv_checkpoint *cp,
	struct slk_error *err)
{
	const struct slk_fs *fs = fs_of(file);
	char path[PATH_BYTES], beside[PATH_BYTES];
	uint8_t *bytes = NULL;
	size_t len = 0;
	int rc = path_of(file, "", path, err);

	if (rc == SLK_OK)
		rc = path_of(file, ".new", beside, err);
	if (rc != SLK_OK)
		return rc;
	rc = dlv_checkpoint_encode(cp, &bytes, &len);
	if (rc == SLK_OK)
		rc = write_new(fs, beside, bytes, len);
	free(bytes);
	if (rc == SLK_OK)
		rc = fs->rename(fs->ctx, beside, path);
	if (rc == SLK_OK)
		rc = fs->sync_dir(fs->ctx, file->dir);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot write %s: %s", path, slk_status_sentence(rc));
	return SLK_OK;
}

int
dlv_checkpoint_remove(const struct dlv_checkpoint_file *file, struct slk_error *err)
{
	static const char *const suffixes[] = {".new", ""};
	const struct slk_fs *fs = fs_of(file);
	char path[PATH_BYTES];

	for (size_t i = 0; i < 2; i++) {
		int rc = path_of(file, suffixes[i], path, err);
		if (rc != SLK_OK)
			return rc;
		rc = fs->unlink(fs->ctx, path);
		if (rc != SLK_OK && rc != SLK_NOT_FOUND)
			return slk_fail(
				err, rc, "cannot remove %s: %s", path, slk_status_sentence(rc));
	}
	int rc = fs->sync_dir(fs->ctx, file->dir);
	return rc == SLK_OK
		? SLK_OK
		: slk_fail(err, rc, "cannot flush %s: %s", file->dir, slk_status_sentence(rc));
}
