#include "audit_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "audit_load.h"
#include "base/log.h"
#include "seal/auditchain.h"

#define RESERVE_CHUNK (64u << 10)
#define AGAIN_NS SLK_NS_PER_S /* no more files than one a second, while every flush fails */

struct kms_audit_file {
	char *path, *reserve_path;
	const struct slk_fs *fs;
	const struct slk_clock *clock;
	const struct kms_flush_ops *background; /* NULL: none */
	struct seal_chain *chain;
	int fd; /* -1: none */
	uint64_t position; /* end of what is durable */
	struct fmt_audit_point point; /* of the last durable line */
	size_t flying_len; /* written, and being flushed; 0: none */
	const struct kms_flush_ops *flying_ops; /* by whom */
	struct fmt_audit_point flying_point;
	bool torn; /* a write failed: something may lie behind position */
	bool given_up; /* a flush failed */
	unsigned failures; /* flushes in a row */
	uint64_t mono_failed_ns;
	bool rotated;
	uint64_t reserve_bytes;
	bool low;
};

static int
sync_directory(const struct kms_audit_file *f)
{
	const char *slash = strrchr(f->path, '/');
	char *directory = slash == NULL
		? strdup(".")
		: strndup(f->path, slash == f->path ? 1 : (size_t)(slash - f->path));

	if (directory == NULL)
		return SLK_NO_MEMORY;
	int rc = f->fs->sync_dir(f->fs->ctx, directory);
	free(directory);
	return rc;
}

static void
close_file(struct kms_audit_file *f)
{
	if (f->fd >= 0)
		(void)f->fs->close(f->fs->ctx, f->fd);
	f->fd = -1;
	f->position = 0;
	f->torn = false;
}

/* A name that nothing has yet. */
static int
free_name(const struct kms_audit_file *f, const char *why, char **out_name)
{
	uint64_t number = slk_wall_ns(f->clock) / SLK_NS_PER_MS;
	int rc = SLK_OK, fd = -1;

	for (int tries = 0; tries < 100; tries++, number++) {
		char *name = NULL;
		if (asprintf(&name, "%s.%s-%llu", f->path, why, (unsigned long long)number) < 0)
			return SLK_NO_MEMORY;
		rc = f->fs->open(f->fs->ctx, name, SLK_OPEN_READ, 0, &fd);
		if (rc == SLK_NOT_FOUND) {
			*out_name = name;
			return SLK_OK;
		}
		if (rc == SLK_OK)
			(void)f->fs->close(f->fs->ctx, fd);
		free(name);
	}
	return rc == SLK_OK ? SLK_EXISTS : rc;
}

/* Under another name, beside the log. */
static int
set_aside(struct kms_audit_file *f, const char *why)
{
	char *name = NULL;

	int rc = free_name(f, why, &name);
	if (rc != SLK_OK)
		return rc;
	rc = f->fs->rename(f->fs->ctx, f->path, name);
	if (rc == SLK_OK)
		slk_warn("the audit log begins a new file and keeps the old one beside it",
			slk_kv("kept", (const char *)name));
	free(name);
	close_file(f);
	return rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

/* An empty file at path. */
static int
begin_file(struct kms_audit_file *f)
{
	int fd = -1;

	int rc = f->fs->open(f->fs->ctx, f->path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = sync_directory(f);
	if (rc != SLK_OK) {
		(void)f->fs->close(f->fs->ctx, fd);
		return rc;
	}
	f->fd = fd;
	f->position = 0;
	f->rotated = true;
	return SLK_OK;
}

/* Somebody may have made an empty one, as logrotate does; what holds anything is not ours to write on. */
static int
begin_or_take_empty(struct kms_audit_file *f)
{
	uint64_t len = 0;
	int fd = -1;

	int rc = f->fs->open(f->fs->ctx, f->path, SLK_OPEN_WRITE, 0600, &fd);
	if (rc == SLK_NOT_FOUND)
		return begin_file(f);
	if (rc == SLK_OK)
		rc = f->fs->size(f->fs->ctx, fd, &len);
	if (rc == SLK_OK && len == 0)
		rc = sync_directory(f);
	if (rc == SLK_OK && len == 0) {
		f->fd = fd;
		f->position = 0;
		f->rotated = true;
		return SLK_OK;
	}
	if (fd >= 0)
		(void)f->fs->close(f->fs->ctx, fd);
	if (rc == SLK_OK)
		rc = set_aside(f, "other");
	return rc == SLK_OK ? begin_file(f) : rc;
}

enum whereabouts { IN_PLACE, ELSEWHERE, EMPTIED, CHANGED };

/* What somebody did to the file since we wrote last. */
static enum whereabouts
look(const struct kms_audit_file *f)
{
	struct stat ours, named;

	if (fstat(f->fd, &ours) != 0)
		return IN_PLACE; /* a write will tell */
	if (stat(f->path, &named) != 0 || ours.st_ino != named.st_ino ||
		ours.st_dev != named.st_dev)
		return ELSEWHERE;
	if (ours.st_size == 0 && f->position > 0)
		return EMPTIED; /* after it was copied */
	if ((uint64_t)ours.st_size < f->position)
		return CHANGED;
	return (uint64_t)ours.st_size > f->position && !f->torn ? CHANGED : IN_PLACE;
}

/* The file to write on. */
static int
follow_rotation(struct kms_audit_file *f)
{
	enum whereabouts where = f->fd >= 0 && !f->given_up ? look(f) : ELSEWHERE;
	int rc = SLK_OK;

	if (where == IN_PLACE)
		return SLK_OK;
	if (where == EMPTIED) {
		f->position = 0;
		f->rotated = true;
		return SLK_OK;
	}
	if (f->given_up && f->failures > 1 && slk_mono_ns(f->clock) - f->mono_failed_ns < AGAIN_NS)
		return SLK_IO;
	if (f->given_up || where == CHANGED)
		rc = set_aside(f, f->given_up ? "failed" : "other");
	if (rc != SLK_OK)
		return rc;
	close_file(f);
	f->given_up = false;
	return begin_or_take_empty(f);
}

/* At the durable end. *out_len: its length. */
static int
write_header(struct kms_audit_file *f, const struct fmt_audit_point *previous, size_t *out_len)
{
	uint8_t text[FMT_AUDIT_HEADER_MAX];
	char hash[FMT_AUDIT_HASH_TEXT];
	struct slk_writer w = slk_writer(text, sizeof(text));

	fmt_audit_put_header(&w, slk_wall_ns(f->clock), previous);
	int rc = seal_chain_step(f->chain, previous->hash, slk_span(text, w.len), hash);
	if (rc != SLK_OK)
		return rc;
	fmt_audit_put_end(&w, hash);
	if (w.status != SLK_OK)
		return w.status;
	*out_len = w.len;
	return f->fs->pwrite(f->fs->ctx, f->fd, text, w.len, f->position);
}

static bool
goes_on(const struct kms_audit_file *f, const struct fmt_audit_point *before)
{
	return f->position > 0 && f->point.seq == before->seq &&
		strcmp(f->point.hash, before->hash) == 0;
}

static int
write_lines(struct kms_audit_file *f, struct slk_span lines, const struct fmt_audit_point *before)
{
	size_t header_len = 0;

	int rc = follow_rotation(f);
	if (rc == SLK_OK && f->torn)
		rc = f->fs->truncate(f->fs->ctx, f->fd, f->position);
	if (rc != SLK_OK)
		return rc;
	f->torn = true;
	if (!goes_on(f, before))
		rc = write_header(f, before, &header_len);
	if (rc == SLK_OK)
		rc = f->fs->pwrite(
			f->fs->ctx, f->fd, lines.ptr, lines.len, f->position + header_len);
	if (rc != SLK_OK)
		return rc;
	f->torn = false;
	f->flying_len = header_len + lines.len;
	return SLK_OK;
}

/* The number and hash of the last of these lines. */
static int
last_point(struct slk_span lines, struct fmt_audit_point *out)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};

	if (lines.len < 2)
		return SLK_INTERNAL;
	const uint8_t *before = memrchr(lines.ptr, '\n', lines.len - 1);
	const uint8_t *first = before != NULL ? before + 1 : lines.ptr;
	int rc = fmt_audit_decode(
		slk_span(first, (size_t)(lines.ptr + lines.len - 1 - first)), &line);
	if (rc == SLK_OK)
		*out = line.self;
	return rc;
}

static int
flush_ended(struct kms_audit_file *f, int result, struct slk_error *err)
{
	size_t len = f->flying_len;

	f->flying_len = 0;
	if (result != SLK_OK) {
		f->given_up = true;
		f->failures++;
		f->mono_failed_ns = slk_mono_ns(f->clock);
		return slk_fail(err, SLK_UNAVAILABLE,
			"a flush of the audit log %s failed: %s; it is written anew to another "
			"file as soon as its disk takes one",
			f->path, slk_status_sentence(result));
	}
	f->failures = 0;
	f->position += len;
	f->point = f->flying_point;
	return SLK_OK;
}

static void
release_reserve(struct kms_audit_file *f)
{
	if (f->low || f->reserve_bytes == 0)
		return;
	(void)f->fs->unlink(f->fs->ctx, f->reserve_path);
	f->low = true;
	slk_error_log("the disk of the audit log is full: its reserve is used for refusals, and "
		      "nothing else is given out",
		slk_kv("log", (const char *)f->path));
}

static int
file_take(void *ctx, struct slk_span lines, const struct fmt_audit_point *before, size_t *out_taken,
	struct slk_error *err)
{
	struct kms_audit_file *f = ctx;

	*out_taken = 0;
	int rc = last_point(lines, &f->flying_point);
	if (rc == SLK_OK)
		rc = write_lines(f, lines, before);
	if (rc == SLK_DISK_FULL && !f->low && f->reserve_bytes > 0) {
		release_reserve(f);
		rc = write_lines(f, lines, before);
	}
	if (rc != SLK_OK)
		return slk_fail(err, SLK_UNAVAILABLE, "cannot write the audit log %s: %s", f->path,
			slk_status_sentence(rc));
	if (f->background != NULL && f->background->start(f->background->ctx, f->fd) == SLK_OK) {
		f->flying_ops = f->background;
		return SLK_AGAIN;
	}
	/* In the foreground: there is no other way, or it could not be begun for want of memory. */
	rc = flush_ended(f, f->fs->datasync(f->fs->ctx, f->fd), err);
	if (rc == SLK_OK)
		*out_taken = lines.len;
	return rc;
}

static int
file_poll(void *ctx, uint64_t wait_ns, struct slk_error *err)
{
	struct kms_audit_file *f = ctx;
	int result = SLK_OK;

	int rc = f->flying_ops->reap(f->flying_ops->ctx, wait_ns, &result);
	return rc == SLK_OK ? flush_ended(f, result, err) : rc;
}

struct kms_sink
kms_audit_file_sink(struct kms_audit_file *file)
{
	return (struct kms_sink){file_take, file_poll, file};
}

void
kms_audit_file_background(struct kms_audit_file *file, const struct kms_flush_ops *ops)
{
	file->background = ops;
}

const struct fmt_audit_point *
kms_audit_file_point(const struct kms_audit_file *file)
{
	return &file->point;
}

bool
kms_audit_file_rotated(struct kms_audit_file *file)
{
	bool rotated = file->rotated;

	file->rotated = false;
	return rotated;
}

/* --- start --- */

/* A line torn by a crash is ended, so that the next one does not continue it. */
static int
end_torn_line(struct kms_audit_file *f, struct kms_audit_torn *torn)
{
	uint8_t *bytes = malloc((size_t)torn->len + 1);
	size_t len = 0;

	if (bytes == NULL)
		return SLK_NO_MEMORY;
	int rc = f->fs->pread(f->fs->ctx, f->fd, bytes, (size_t)torn->len, torn->offset, &len);
	if (rc == SLK_OK && len != torn->len)
		rc = SLK_IO;
	if (rc == SLK_OK && bytes[len - 1] != '\n') {
		bytes[torn->len++] = '\n';
		rc = f->fs->pwrite(f->fs->ctx, f->fd, "\n", 1, torn->offset + len);
	}
	if (rc == SLK_OK)
		rc = seal_chain_sha256(f->chain, slk_span(bytes, (size_t)torn->len), torn->sha256);
	free(bytes);
	return rc;
}

/* What the file holds; without one of ours, the files before it are asked. */
static int
take_up(struct kms_audit_file *f, struct kms_audit_torn *torn)
{
	struct kms_audit_found found;

	int rc = f->fs->open(f->fs->ctx, f->path, SLK_OPEN_WRITE, 0600, &f->fd);
	if (rc == SLK_OK) {
		rc = kms_audit_load(f->fs, f->fd, f->path, &found);
		if (rc == SLK_OK) {
			f->point = found.point;
			f->position = found.end + found.torn_bytes;
			torn->offset = found.end;
			torn->len = found.torn_bytes;
			rc = torn->len > 0 ? end_torn_line(f, torn) : SLK_OK;
			f->position = torn->offset + torn->len;
			return rc;
		}
		if (rc == SLK_CORRUPT)
			rc = set_aside(f, "other");
		else if (rc == SLK_END)
			rc = SLK_OK; /* empty */
	}
	if (rc == SLK_OK || rc == SLK_NOT_FOUND)
		rc = kms_audit_load_before(f->fs, f->path, &f->point);
	if (rc == SLK_OK && f->fd < 0)
		rc = begin_file(f);
	return rc;
}

int
kms_audit_file_open(const char *path, const struct slk_fs *fs, const struct slk_clock *clock,
	struct kms_audit_file **out_file, struct kms_audit_torn *out_torn, struct slk_error *err)
{
	struct kms_audit_file *f = calloc(1, sizeof(*f));

	*out_torn = (struct kms_audit_torn){0};
	if (f == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	*f = (struct kms_audit_file){
		.fs = fs, .clock = clock, .fd = -1, .path = strdup(path), .point = fmt_audit_begin};
	int rc = f->path != NULL ? SLK_OK : SLK_NO_MEMORY;
	if (rc == SLK_OK && asprintf(&f->reserve_path, "%s.reserve", path) < 0) {
		f->reserve_path = NULL;
		rc = SLK_NO_MEMORY;
	}
	if (rc == SLK_OK)
		rc = seal_chain_new(&f->chain);
	if (rc == SLK_OK)
		rc = take_up(f, out_torn);
	if (rc != SLK_OK) {
		kms_audit_file_close(f);
		return slk_fail(
			err, rc, "cannot open the audit log %s: %s", path, slk_status_sentence(rc));
	}
	f->rotated = false;
	*out_file = f;
	return SLK_OK;
}

void
kms_audit_file_close(struct kms_audit_file *file)
{
	int result;

	if (file == NULL)
		return;
	if (file->flying_len > 0)
		(void)file->flying_ops->reap(file->flying_ops->ctx, KMS_SINK_FOREVER, &result);
	close_file(file);
	seal_chain_free(file->chain);
	free(file->path);
	free(file->reserve_path);
	free(file);
}

/* --- the reserve --- */

static int
fill(struct kms_audit_file *f, int fd, uint64_t from)
{
	static const uint8_t zeros[RESERVE_CHUNK];
	int rc = SLK_OK;

	for (uint64_t at = from; rc == SLK_OK && at < f->reserve_bytes; at += sizeof(zeros)) {
		uint64_t left = f->reserve_bytes - at;
		rc = f->fs->pwrite(f->fs->ctx, fd, zeros,
			left < sizeof(zeros) ? (size_t)left : sizeof(zeros), at);
	}
	return rc == SLK_OK ? f->fs->datasync(f->fs->ctx, fd) : rc;
}

static int
make_reserve(struct kms_audit_file *f)
{
	uint64_t len = 0;
	int fd = -1;

	int rc = f->fs->open(f->fs->ctx, f->reserve_path, SLK_OPEN_WRITE, 0600, &fd);
	if (rc == SLK_NOT_FOUND)
		rc = f->fs->open(
			f->fs->ctx, f->reserve_path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd);
	if (rc == SLK_OK)
		rc = f->fs->size(f->fs->ctx, fd, &len);
	if (rc == SLK_OK && len < f->reserve_bytes)
		rc = fill(f, fd, len);
	if (fd >= 0)
		(void)f->fs->close(f->fs->ctx, fd);
	if (rc != SLK_OK)
		(void)f->fs->unlink(f->fs->ctx, f->reserve_path);
	return rc;
}

void
kms_audit_file_reserve(struct kms_audit_file *file, uint64_t bytes)
{
	file->reserve_bytes = bytes;
	if (bytes == 0)
		return;
	int rc = make_reserve(file);
	if (rc == SLK_DISK_FULL)
		release_reserve(file);
	else if (rc != SLK_OK)
		slk_warn("the audit log has no reserve", slk_kv("status", slk_status_name(rc)));
}

bool
kms_audit_file_low(const struct kms_audit_file *file)
{
	return file->low;
}

void
kms_audit_file_tick(struct kms_audit_file *file)
{
	uint64_t free_bytes = 0;

	if (!file->low || file->fs->space(file->fs->ctx, file->path, &free_bytes) != SLK_OK ||
		free_bytes < 2 * file->reserve_bytes || make_reserve(file) != SLK_OK)
		return;
	file->low = false;
	slk_info("the disk of the audit log has room again",
		slk_kv("log", (const char *)file->path));
}
