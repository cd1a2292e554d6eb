#include "audit_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "seal/auditchain.h"

#define WINDOW_BYTES SEAL_AUDIT_TORN_MAX

/* The header at the file's begin. SLK_CORRUPT if there is none, SLK_BAD_VERSION if it is
 * of a later release. */
static int
read_header(const struct slk_fs *fs, int fd, struct fmt_audit_line *out)
{
	static uint8_t text[FMT_AUDIT_HEADER_MAX];
	size_t len = 0;

	int rc = fs->pread(fs->ctx, fd, text, sizeof(text), 0, &len);
	if (rc != SLK_OK)
		return rc;
	const uint8_t *end = len > 0 ? memchr(text, '\n', len) : NULL;
	rc = end != NULL ? fmt_audit_decode(slk_span(text, (size_t)(end - text)), out)
			 : SLK_CORRUPT;
	if (rc == SLK_BAD_VERSION)
		return rc;
	return rc == SLK_OK && out->kind == FMT_AUDIT_HEADER ? SLK_OK : SLK_CORRUPT;
}

static void
say_damage(const char *path, const struct seal_scan_result *damaged)
{
	if (damaged->fault != SEAL_SCAN_SOUND)
		slk_error_log("the audit log is damaged; sealock audit verify says more",
			slk_kv("log", path), slk_kv("offset", damaged->offset),
			slk_kv("error", (const char *)damaged->text));
}

static int
scan(const uint8_t *bytes, size_t len, uint64_t offset, const char *path,
	struct kms_audit_found *out)
{
	struct seal_scan_result result, damaged;
	struct seal_scan *s = NULL;

	int rc = seal_scan_new(0, &s);
	if (rc == SLK_OK)
		rc = seal_scan_resume(s, slk_span(bytes, len), offset, &result, &damaged);
	if (rc == SLK_OK) {
		out->point = *seal_scan_point(s);
		out->end = result.offset;
		out->torn_bytes = offset + len - result.offset;
		say_damage(path, &damaged);
	}
	seal_scan_free(s);
	return rc;
}

int
kms_audit_load(const struct slk_fs *fs, int fd, const char *path, struct kms_audit_found *out_found)
{
	struct fmt_audit_line header = {.kind = FMT_AUDIT_OTHER};
	uint64_t size = 0;
	size_t len = 0;

	int rc = fs->size(fs->ctx, fd, &size);
	if (rc == SLK_OK && size == 0)
		return SLK_END;
	if (rc == SLK_OK)
		rc = read_header(fs, fd, &header);
	if (rc != SLK_OK)
		return rc;
	uint64_t offset = size > WINDOW_BYTES ? size - WINDOW_BYTES : 0;
	uint8_t *bytes = malloc((size_t)(size - offset));
	if (bytes == NULL)
		return SLK_NO_MEMORY;
	rc = fs->pread(fs->ctx, fd, bytes, (size_t)(size - offset), offset, &len);
	if (rc == SLK_OK && len != size - offset)
		rc = SLK_IO;
	if (rc == SLK_OK)
		rc = scan(bytes, len, offset, path, out_found);
	free(bytes);
	return rc;
}

/* --- files before it --- */

struct search {
	const struct slk_fs *fs;
	const char *directory, *name;
	char *newest; /* path */
	uint64_t newest_seq; /* that its header names */
	int status;
};

static int
open_beside(const struct search *s, const char *name, char **out_path, int *out_fd)
{
	*out_path = NULL;
	if (asprintf(out_path, "%s/%s", s->directory, name) < 0) {
		*out_path = NULL;
		return SLK_NO_MEMORY;
	}
	return s->fs->open(s->fs->ctx, *out_path, SLK_OPEN_READ, 0, out_fd);
}

static int
consider(void *arg, const char *name)
{
	struct fmt_audit_line header = {.kind = FMT_AUDIT_OTHER};
	struct search *s = arg;
	size_t len = strlen(s->name);
	char *path = NULL;
	int fd = -1;

	if (strncmp(name, s->name, len) != 0 || name[len] == '\0')
		return 0;
	int rc = open_beside(s, name, &path, &fd);
	if (rc == SLK_OK && read_header(s->fs, fd, &header) == SLK_OK &&
		(s->newest == NULL || header.named.seq >= s->newest_seq)) {
		free(s->newest);
		s->newest = path;
		s->newest_seq = header.named.seq;
		path = NULL; /* the search's */
	}
	if (fd >= 0)
		(void)s->fs->close(s->fs->ctx, fd);
	free(path);
	s->status = rc == SLK_NO_MEMORY ? rc : SLK_OK; /* what cannot be read is not ours */
	return s->status;
}

static int
end_of(const struct slk_fs *fs, const char *path, struct fmt_audit_point *out_point)
{
	struct kms_audit_found found;
	int fd = -1;

	int rc = fs->open(fs->ctx, path, SLK_OPEN_READ, 0, &fd);
	if (rc != SLK_OK)
		return rc;
	rc = kms_audit_load(fs, fd, path, &found);
	(void)fs->close(fs->ctx, fd);
	if (rc == SLK_OK)
		*out_point = found.point;
	if (rc == SLK_OK && found.torn_bytes > 0)
		slk_warn("the audit log's last file has a torn end", slk_kv("log", path),
			slk_kv("bytes", found.torn_bytes));
	return rc;
}

int
kms_audit_load_before(const struct slk_fs *fs, const char *path, struct fmt_audit_point *out_point)
{
	char *directory = strdup(path);

	if (directory == NULL)
		return SLK_NO_MEMORY;
	char *slash = strrchr(directory, '/');
	if (slash != NULL)
		*slash = '\0';
	struct search s = {.fs = fs,
		.directory = slash == NULL   ? "."
			: slash == directory ? "/"
					     : directory,
		.name = slash != NULL ? path + (slash - directory) + 1 : path};
	int rc = fs->list(fs->ctx, s.directory, consider, &s);
	if (rc == SLK_OK)
		rc = s.status;
	*out_point = fmt_audit_begin;
	if (rc == SLK_OK && s.newest != NULL)
		rc = end_of(fs, s.newest, out_point);
	free(s.newest);
	free(directory);
	return rc;
}
