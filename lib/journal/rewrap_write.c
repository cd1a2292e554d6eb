#include "journal/rewrap_write.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "format/attest.h"
#include "journal/internal.h"

#define NEW_NAME "rewrap.new"
#define FILE_MODE 0640 /* as lane files */

struct added {
	uint64_t epoch_id;
	size_t offset, len; /* encoded, in bytes */
};

struct jnl_rewrap_writer {
	struct jnl_rewrap_writer_config config;
	char *dir;
	const struct slk_fs *fs;
	int lock_fd;
	uint8_t *bytes; /* encoded entries, as they came */
	size_t len, cap;
	struct added *added;
	uint32_t count, added_cap;
};

/* --- life --- */

static int
path_of(const struct jnl_rewrap_writer *w, const char *name, char out[JNL_PATH_MAX])
{
	return snprintf(out, JNL_PATH_MAX, "%s/%s", w->dir, name) < (int)JNL_PATH_MAX
		? SLK_OK
		: SLK_TOO_LARGE;
}

static int
lock(struct jnl_rewrap_writer *w, struct slk_error *err)
{
	w->lock_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->lock_fd < 0)
		return slk_fail_errno(err, "cannot open the journal directory %s", w->dir);
	if (flock(w->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return slk_fail(err, SLK_EXISTS,
			"keys of the journal in %s are being re-wrapped by another process",
			w->dir);
	return SLK_OK;
}

static int
remove_leftover(const struct jnl_rewrap_writer *w, struct slk_error *err)
{
	char path[JNL_PATH_MAX];
	int rc = path_of(w, NEW_NAME, path);

	if (rc == SLK_OK)
		rc = w->fs->unlink(w->fs->ctx, path);
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		return SLK_OK;
	return slk_fail(
		err, rc, "cannot remove %s from %s: %s", NEW_NAME, w->dir, slk_status_sentence(rc));
}

int
jnl_rewrap_writer_new(const struct jnl_rewrap_writer_config *config,
	struct jnl_rewrap_writer **out_writer, struct slk_error *err)
{
	struct jnl_rewrap_writer *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->dir = strdup(config->dir);
	if (w == NULL || w->dir == NULL) {
		free(w);
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	w->config = *config;
	w->config.dir = w->dir;
	w->fs = config->fs != NULL ? config->fs : slk_fs_posix();
	w->config.clock = config->clock != NULL ? config->clock : slk_clock_system();
	w->lock_fd = -1;
	int rc = lock(w, err);
	if (rc == SLK_OK)
		rc = remove_leftover(w, err);
	if (rc != SLK_OK) {
		jnl_rewrap_writer_free(w);
		return rc;
	}
	*out_writer = w;
	return SLK_OK;
}

void
jnl_rewrap_writer_free(struct jnl_rewrap_writer *writer)
{
	if (writer == NULL)
		return;
	if (writer->lock_fd >= 0)
		close(writer->lock_fd);
	free(writer->bytes);
	free(writer->added);
	free(writer->dir);
	free(writer);
}

/* --- entries --- */

static int
make_room(struct jnl_rewrap_writer *w, size_t len)
{
	if (w->cap - w->len < len) {
		size_t cap = w->cap == 0 ? 1u << 16 : 2 * w->cap;
		while (cap - w->len < len)
			cap *= 2;
		uint8_t *bigger = realloc(w->bytes, cap);
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		w->bytes = bigger;
		w->cap = cap;
	}
	if (w->count == w->added_cap) {
		uint32_t cap = w->added_cap == 0 ? 256 : 2 * w->added_cap;
		struct added *bigger = realloc(w->added, cap * sizeof(*bigger));
		if (bigger == NULL)
			return SLK_NO_MEMORY;
		w->added = bigger;
		w->added_cap = cap;
	}
	return SLK_OK;
}

int
jnl_rewrap_writer_add(struct jnl_rewrap_writer *w, const struct fmt_rewrap_entry *entry)
{
	size_t len = fmt_rewrap_entry_bytes(entry);

	if (w->count == FMT_REWRAP_ENTRIES_MAX ||
		FMT_REWRAP_HEADER_BYTES + w->len + len + FMT_REWRAP_TRAILER_MAX > FMT_REWRAP_MAX)
		return SLK_FULL;
	int rc = make_room(w, len);
	if (rc == SLK_OK)
		rc = fmt_rewrap_entry_encode(entry, w->bytes + w->len, w->cap - w->len, &len);
	if (rc != SLK_OK)
		return rc;
	w->added[w->count++] = (struct added){entry->epoch_id, w->len, len};
	w->len += len;
	return SLK_OK;
}

uint32_t
jnl_rewrap_writer_count(const struct jnl_rewrap_writer *writer)
{
	return writer->count;
}

/* --- commit --- */

static int
by_epoch(const void *a, const void *b)
{
	const struct added *x = a;
	const struct added *y = b;

	return x->epoch_id < y->epoch_id ? -1 : x->epoch_id > y->epoch_id;
}

/* Header and entries, in order. */
static int
encode_signed_part(struct jnl_rewrap_writer *w, const struct jnl_rewraps *rewraps, uint8_t *out,
	uint64_t *out_number)
{
	struct fmt_rewrap_header h;
	size_t at = FMT_REWRAP_HEADER_BYTES;
	int rc = jnl_rewraps_next(rewraps, &h);

	if (rc != SLK_OK)
		return rc;
	h.created_ns = slk_wall_ns(w->config.clock);
	h.count = w->count;
	h.entries_bytes = w->len;
	qsort(w->added, w->count, sizeof(*w->added), by_epoch);
	for (uint32_t i = 0; i < w->count; i++) {
		if (i > 0 && w->added[i].epoch_id == w->added[i - 1].epoch_id)
			return SLK_INVALID;
		memcpy(out + at, w->bytes + w->added[i].offset, w->added[i].len);
		at += w->added[i].len;
	}
	*out_number = h.number;
	return fmt_rewrap_header_encode(&h, out);
}

/* What will be trusted by others is looked at once more before it is written. */
static int
check_signature(const struct jnl_rewrap_writer *w, const struct fmt_rewrap_trailer *t,
	struct slk_error *err)
{
	int rc = seal_attest_verify(t->public_key, FMT_ATTEST_REWRAP, t->digest, t->signature);

	if (rc == SLK_OK && w->config.trusted != NULL &&
		!seal_attest_keys_has(w->config.trusted, t->public_key))
		rc = SLK_BAD_TAG;
	return rc == SLK_OK
		? rc
		: slk_fail(err, rc == SLK_MALFORMED ? SLK_BAD_TAG : rc,
			  "the signature of the new side file is not right; nothing was written");
}

static int
sign(const struct jnl_rewrap_writer *w, uint8_t *bytes, size_t cap, size_t *len,
	jnl_attest_fn attest, void *ctx, struct slk_error *err)
{
	struct fmt_rewrap_trailer t = {.digest = {0}};
	struct jnl_attestation *a = calloc(1, sizeof(*a));
	size_t trailer_len = 0;

	if (a == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = seal_sha256(slk_span(bytes, *len), t.digest);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "SHA-256 cannot be had");
	else
		rc = attest(ctx, t.digest, a, err);
	if (rc == SLK_OK) {
		t.signature = slk_span(a->signature, a->signature_len);
		t.public_key = slk_span(a->public_key, a->public_key_len);
		t.key_arn = slk_span_str(a->key_arn);
		rc = check_signature(w, &t, err);
	}
	if (rc == SLK_OK) {
		rc = fmt_rewrap_trailer_encode(&t, bytes + *len, cap - *len, &trailer_len);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "the signature does not fit into a side file");
		*len += trailer_len;
	}
	free(a);
	return rc;
}

/* Under another name, flushed, then renamed. */
static int
write_file(const struct jnl_rewrap_writer *w, const char *name, struct slk_span bytes)
{
	char path[JNL_PATH_MAX], new_path[JNL_PATH_MAX];
	int fd = -1;
	int rc = path_of(w, name, path);

	if (rc == SLK_OK)
		rc = path_of(w, NEW_NAME, new_path);
	if (rc == SLK_OK)
		rc = w->fs->open(
			w->fs->ctx, new_path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, FILE_MODE, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = w->fs->pwrite(w->fs->ctx, fd, bytes.ptr, bytes.len, 0);
	if (rc == SLK_OK)
		rc = w->fs->sync(w->fs->ctx, fd);
	int closed = w->fs->close(w->fs->ctx, fd);
	if (rc == SLK_OK)
		rc = closed;
	if (rc == SLK_OK)
		rc = w->fs->rename(w->fs->ctx, new_path, path);
	if (rc != SLK_OK) {
		(void)w->fs->unlink(w->fs->ctx, new_path); /* or the next writer does */
		return rc;
	}
	return w->fs->sync_dir(w->fs->ctx, w->dir);
}

static int
build(struct jnl_rewrap_writer *w, const struct jnl_rewraps *rewraps, jnl_attest_fn attest,
	void *ctx, uint8_t **out_bytes, size_t *out_len, uint64_t *out_number,
	struct slk_error *err)
{
	size_t len = FMT_REWRAP_HEADER_BYTES + w->len, cap = len + FMT_REWRAP_TRAILER_MAX;
	uint8_t *bytes = malloc(cap);

	if (bytes == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a side file of %zu bytes", cap);
	int rc = encode_signed_part(w, rewraps, bytes, out_number);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "cannot make a side file for the journal in %s: %s", w->dir,
			slk_status_sentence(rc));
	else
		rc = sign(w, bytes, cap, &len, attest, ctx, err);
	if (rc != SLK_OK) {
		free(bytes);
		return rc;
	}
	*out_bytes = bytes;
	*out_len = len;
	return SLK_OK;
}

int
jnl_rewrap_writer_commit(struct jnl_rewrap_writer *w, const struct jnl_rewraps *rewraps,
	jnl_attest_fn attest, void *ctx, char out_name[FMT_REWRAP_NAME_MAX], struct slk_error *err)
{
	char name[FMT_REWRAP_NAME_MAX];
	uint8_t *bytes = NULL;
	uint64_t number = 0;
	size_t len = 0;

	if (w->count == 0)
		return slk_fail(err, SLK_INVALID, "a side file needs an entry");
	int rc = build(w, rewraps, attest, ctx, &bytes, &len, &number, err);
	if (rc != SLK_OK)
		return rc;
	fmt_rewrap_name(number, name);
	rc = write_file(w, name, slk_span(bytes, len));
	free(bytes);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot write %s into %s: %s", name, w->dir,
			slk_status_sentence(rc));
	w->count = 0;
	w->len = 0;
	strcpy(out_name, name);
	return SLK_OK;
}
