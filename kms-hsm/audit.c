#include "audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <yajl/yajl_gen.h>

#include "base/bytes.h"
#include "format/utf8.h"

#define PENDING_KEPT (256u << 10) /* a larger buffer is given back after its turn */

struct kms_audit {
	char *path;
	const struct slk_fs *fs;
	const struct slk_clock *clock;
	int fd;
	uint64_t position; /* end of what is flushed */
	uint8_t *pending; /* lines of this turn */
	size_t pending_len, pending_cap;
	bool torn; /* a write failed: bytes of dropped lines may lie behind position */
	bool failed; /* a flush failed */
	const struct kms_flush_ops *background; /* NULL: none */
	size_t flying_len; /* written, and being flushed in the background; 0: none */
};

/* After a crash the file may end within a line; the next one must not continue it. */
static int
close_torn_line(struct kms_audit *a)
{
	uint8_t last = '\n';
	size_t len = 0;

	if (a->position == 0)
		return SLK_OK;
	int rc = a->fs->pread(a->fs->ctx, a->fd, &last, 1, a->position - 1, &len);
	if (rc == SLK_OK && len != 1)
		rc = SLK_IO;
	if (rc == SLK_OK && last != '\n') {
		rc = a->fs->pwrite(a->fs->ctx, a->fd, "\n", 1, a->position);
		if (rc == SLK_OK)
			a->position++;
	}
	return rc;
}

static int
sync_directory(const struct kms_audit *a)
{
	const char *slash = strrchr(a->path, '/');
	char *directory = slash == NULL
		? strdup(".")
		: strndup(a->path, slash == a->path ? 1 : (size_t)(slash - a->path));

	if (directory == NULL)
		return SLK_NO_MEMORY;
	int rc = a->fs->sync_dir(a->fs->ctx, directory);
	free(directory);
	return rc;
}

static int
open_file(struct kms_audit *a)
{
	int fd = -1;

	int rc = a->fs->open(a->fs->ctx, a->path, SLK_OPEN_WRITE, 0600, &fd);
	if (rc == SLK_NOT_FOUND) {
		rc = a->fs->open(a->fs->ctx, a->path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, &fd);
		if (rc == SLK_OK) {
			rc = sync_directory(a);
			if (rc != SLK_OK)
				(void)a->fs->close(a->fs->ctx, fd);
		}
	}
	if (rc != SLK_OK)
		return rc;
	a->fd = fd;
	a->torn = false;
	rc = a->fs->size(a->fs->ctx, fd, &a->position);
	if (rc == SLK_OK)
		rc = close_torn_line(a);
	if (rc != SLK_OK) {
		(void)a->fs->close(a->fs->ctx, fd);
		a->fd = -1;
	}
	return rc;
}

int
kms_audit_open(const char *path, const struct slk_fs *fs, const struct slk_clock *clock,
	struct kms_audit **out_audit, struct slk_error *err)
{
	struct kms_audit *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	*a = (struct kms_audit){.fs = fs, .clock = clock, .fd = -1, .path = strdup(path)};
	int rc = a->path != NULL ? open_file(a) : SLK_NO_MEMORY;
	if (rc != SLK_OK) {
		kms_audit_close(a);
		return slk_fail(
			err, rc, "cannot open the audit log %s: %s", path, slk_status_sentence(rc));
	}
	*out_audit = a;
	return SLK_OK;
}

void
kms_audit_close(struct kms_audit *audit)
{
	struct slk_error err = {0};

	if (audit == NULL)
		return;
	if (audit->flying_len > 0 && kms_audit_poll(audit, true, &err) != SLK_OK)
		audit->failed = true; /* its answers have not left, and never will */
	if (audit->fd >= 0)
		(void)audit->fs->close(audit->fs->ctx, audit->fd);
	free(audit->pending);
	free(audit->path);
	free(audit);
}

static void
put_string(yajl_gen g, struct slk_span text)
{
	static const char bad[] = "(not UTF-8)";

	if (fmt_utf8_is_text(text))
		(void)yajl_gen_string(g, text.ptr, text.len);
	else
		(void)yajl_gen_string(g, (const unsigned char *)bad, sizeof(bad) - 1);
}

static void
put(yajl_gen g, const char *key, const char *value)
{
	if (value == NULL)
		return;
	put_string(g, slk_span_str(key));
	put_string(g, slk_span_str(value));
}

static void
put_number(yajl_gen g, const char *key, long long value)
{
	put_string(g, slk_span_str(key));
	(void)yajl_gen_integer(g, value);
}

static void
put_time(yajl_gen g, uint64_t wall_ns)
{
	time_t seconds = (time_t)(wall_ns / SLK_NS_PER_S);
	struct tm tm;
	char date[32], text[64];

	if (gmtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text, sizeof(text), "%s.%06uZ", date,
		(unsigned)(wall_ns % SLK_NS_PER_S / SLK_NS_PER_US));
	put(g, "time", text);
}

static void
put_context(yajl_gen g, const struct fmt_context *context)
{
	if (context == NULL || fmt_context_count(context) == 0)
		return;
	put_string(g, slk_span_str("encryptionContext"));
	(void)yajl_gen_map_open(g);
	for (size_t i = 0; i < fmt_context_count(context); i++) {
		struct slk_span key, value;
		fmt_context_pair(context, i, &key, &value);
		put_string(g, key);
		put_string(g, value);
	}
	(void)yajl_gen_map_close(g);
}

static void
put_key(yajl_gen g, const char *resource, const struct fmt_context *context,
	const uint8_t *backing_id)
{
	char hex[33];

	put(g, "resource", resource);
	put_context(g, context);
	if (backing_id == NULL)
		return;
	slk_hex(slk_span(backing_id, 16), hex, sizeof(hex));
	put(g, "backingKey", hex);
}

static void
put_caller(yajl_gen g, const struct kms_audit_entry *e)
{
	put(g, "principal", e->principal);
	if (!e->by_door || e->uid_known)
		put_number(g, "uid", e->uid);
	if (!e->by_door) {
		put_number(g, "pid", e->pid);
		return;
	}
	put_string(g, slk_span_str("door"));
	(void)yajl_gen_map_open(g);
	put_number(g, "uid", e->door_uid);
	put_number(g, "pid", e->door_pid);
	(void)yajl_gen_map_close(g);
}

static void
put_attested(yajl_gen g, const struct kms_audit_entry *e)
{
	char hex[65];

	if (e->attest_purpose == NULL)
		return;
	put_string(g, slk_span_str("attested"));
	(void)yajl_gen_map_open(g);
	put(g, "purpose", e->attest_purpose);
	slk_hex(slk_span(e->attest_digest, 32), hex, sizeof(hex));
	put(g, "digest", hex);
	(void)yajl_gen_map_close(g);
}

static void
put_entry(yajl_gen g, const struct kms_audit_entry *e, uint64_t wall_ns)
{
	(void)yajl_gen_map_open(g);
	put_time(g, wall_ns);
	put(g, "requestId", e->request_id);
	put_caller(g, e);
	put(g, "action", e->action);
	put_key(g, e->resource, e->context, e->backing_id);
	if (e->from_resource != NULL) {
		put_string(g, slk_span_str("source"));
		(void)yajl_gen_map_open(g);
		put_key(g, e->from_resource, e->from_context, e->from_backing_id);
		(void)yajl_gen_map_close(g);
	}
	put_attested(g, e);
	put(g, "viaService", e->via_service);
	put(g, "sourceArn", e->source_arn);
	put(g, "outcome",
		e->status == SLK_OK               ? "allowed"
			: e->status == SLK_DENIED ? "denied"
						  : "failed");
	if (e->status != SLK_OK) {
		put(g, "error", e->exception);
		put(g, "message", e->message != NULL && e->message[0] != '\0' ? e->message : NULL);
	}
	(void)yajl_gen_map_close(g);
}

/* Room for len more bytes. */
static int
make_room(struct kms_audit *a, size_t len)
{
	if (len > KMS_AUDIT_PENDING_MAX - a->pending_len)
		return SLK_UNAVAILABLE;
	if (a->pending_len + len <= a->pending_cap)
		return SLK_OK;
	size_t cap = a->pending_cap > 0 ? a->pending_cap : 4096;
	while (cap < a->pending_len + len)
		cap *= 2;
	uint8_t *grown = realloc(a->pending, cap);
	if (grown == NULL)
		return SLK_NO_MEMORY;
	a->pending = grown;
	a->pending_cap = cap;
	return SLK_OK;
}

int
kms_audit_add(struct kms_audit *audit, const struct kms_audit_entry *entry)
{
	const unsigned char *text = NULL;
	size_t len = 0;

	if (audit->failed)
		return SLK_UNAVAILABLE;
	yajl_gen g = yajl_gen_alloc(NULL);
	if (g == NULL)
		return SLK_NO_MEMORY;
	put_entry(g, entry, slk_wall_ns(audit->clock));
	int rc = yajl_gen_get_buf(g, &text, &len) == yajl_gen_status_ok ? SLK_OK : SLK_NO_MEMORY;
	if (rc == SLK_OK)
		rc = make_room(audit, len + 1);
	if (rc == SLK_OK) {
		memcpy(audit->pending + audit->pending_len, text, len);
		audit->pending[audit->pending_len + len] = '\n';
		audit->pending_len += len + 1;
	}
	yajl_gen_free(g);
	return rc;
}

/* Somebody renamed or removed the file: what we write there would be found by nobody. */
static bool
is_elsewhere(const struct kms_audit *a)
{
	struct stat ours, named;

	return fstat(a->fd, &ours) == 0 &&
		(stat(a->path, &named) != 0 || ours.st_ino != named.st_ino ||
			ours.st_dev != named.st_dev);
}

static int
follow_rotation(struct kms_audit *a)
{
	if (a->fd >= 0 && !is_elsewhere(a))
		return SLK_OK;
	if (a->fd >= 0)
		(void)a->fs->close(a->fs->ctx, a->fd);
	a->fd = -1;
	return open_file(a);
}

static int
write_turn(struct kms_audit *a, size_t len)
{
	int rc = follow_rotation(a);

	if (rc == SLK_OK && a->torn)
		rc = a->fs->truncate(a->fs->ctx, a->fd, a->position);
	if (rc != SLK_OK)
		return rc;
	a->torn = true;
	rc = a->fs->pwrite(a->fs->ctx, a->fd, a->pending, len, a->position);
	if (rc == SLK_OK)
		a->torn = false;
	return rc;
}

static int
flush_failed(struct kms_audit *audit, int rc, struct slk_error *err)
{
	audit->failed = true;
	return slk_fail(err, SLK_UNAVAILABLE,
		"a flush of the audit log %s failed: %s; repair its disk and restart sealock-kmsd",
		audit->path, slk_status_sentence(rc));
}

/* Write the turn's lines. */
static int
write_lines(struct kms_audit *audit, size_t len, struct slk_error *err)
{
	if (audit->failed)
		return slk_fail(err, SLK_UNAVAILABLE,
			"a flush of the audit log %s failed; repair its disk and restart "
			"sealock-kmsd",
			audit->path);
	int rc = write_turn(audit, len);
	if (rc != SLK_OK)
		return slk_fail(err, SLK_UNAVAILABLE, "cannot write the audit log %s: %s",
			audit->path, slk_status_sentence(rc));
	return SLK_OK;
}

/* Write what is pending, and empty it. *out_len: how much. */
static int
write_pending(struct kms_audit *audit, size_t *out_len, struct slk_error *err)
{
	*out_len = audit->pending_len;
	audit->pending_len = 0;
	int rc = *out_len > 0 ? write_lines(audit, *out_len, err) : SLK_OK;
	if (audit->pending_cap > PENDING_KEPT) {
		free(audit->pending);
		audit->pending = NULL;
		audit->pending_cap = 0;
	}
	return rc;
}

static int
flush_now(struct kms_audit *audit, size_t len, struct slk_error *err)
{
	int rc = audit->fs->datasync(audit->fs->ctx, audit->fd);

	if (rc != SLK_OK)
		return flush_failed(audit, rc, err);
	audit->position += len;
	return SLK_OK;
}

int
kms_audit_flush(struct kms_audit *audit, struct slk_error *err)
{
	size_t len = 0;

	int rc = write_pending(audit, &len, err);
	if (rc != SLK_OK || len == 0)
		return rc;
	return flush_now(audit, len, err);
}

void
kms_audit_background(struct kms_audit *audit, const struct kms_flush_ops *ops)
{
	audit->background = ops;
}

int
kms_audit_begin(struct kms_audit *audit, struct slk_error *err)
{
	size_t len = 0;

	if (audit->background == NULL)
		return kms_audit_flush(audit, err);
	int rc = write_pending(audit, &len, err);
	if (rc != SLK_OK || len == 0)
		return rc;
	rc = audit->background->start(audit->background->ctx, audit->fd);
	if (rc == SLK_OK) {
		audit->flying_len = len;
		return SLK_AGAIN;
	}
	/* Not begun, for want of memory for instance: then in the foreground. */
	return flush_now(audit, len, err);
}

int
kms_audit_poll(struct kms_audit *audit, bool wait, struct slk_error *err)
{
	int result = SLK_OK;

	if (audit->flying_len == 0)
		return SLK_OK;
	int rc = audit->background->reap(audit->background->ctx, wait, &result);
	if (rc != SLK_OK)
		return rc;
	size_t len = audit->flying_len;
	audit->flying_len = 0;
	if (result != SLK_OK)
		return flush_failed(audit, result, err);
	audit->position += len;
	return SLK_OK;
}
