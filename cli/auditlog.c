#include "auditlog.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int
cli_audit_map_fd(int fd, const char *path, struct slk_span *out_bytes, struct slk_error *err)
{
	struct stat st;
	void *bytes = NULL;

	if (fstat(fd, &st) != 0)
		return slk_fail_errno(err, "cannot read %s", path);
	if (!S_ISREG(st.st_mode))
		return slk_fail(err, SLK_INVALID, "%s is no file", path);
	if (st.st_size > 0)
		bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return slk_fail_errno(err, "cannot read %s", path);
	*out_bytes = slk_span(bytes, (size_t)st.st_size);
	return SLK_OK;
}

int
cli_audit_map(const char *path, struct slk_span *out_bytes, struct slk_error *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return slk_fail_errno(err, "cannot read %s", path);
	int rc = cli_audit_map_fd(fd, path, out_bytes, err);
	close(fd);
	return rc;
}

void
cli_audit_unmap(struct slk_span bytes)
{
	if (bytes.len > 0)
		(void)munmap((void *)(uintptr_t)bytes.ptr, bytes.len);
}

void
cli_audit_fini(struct cli_audit_log *log)
{
	for (size_t i = 0; i < log->count; i++)
		free(log->files[i].path);
	free(log->files);
	*log = (struct cli_audit_log){NULL, 0};
}

/* What its first line says. */
static void
read_header(struct slk_span bytes, struct cli_audit_file *file)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	const uint8_t *end = bytes.ptr != NULL ? memchr(bytes.ptr, '\n', bytes.len) : NULL;

	file->whole = end != NULL &&
		fmt_audit_decode(slk_span(bytes.ptr, (size_t)(end - bytes.ptr)), &line) == SLK_OK &&
		line.kind == FMT_AUDIT_HEADER;
	file->previous_seq = file->whole ? line.named.seq : 0;
	file->failed = strstr(file->path, ".failed-") != NULL;
}

/* path: the log's from here. */
static int
add(struct cli_audit_log *log, char *path, bool only_whole, struct slk_error *err)
{
	struct cli_audit_file file = {.path = path};
	struct slk_span bytes;

	int rc = cli_audit_map(path, &bytes, err);
	if (rc != SLK_OK) {
		free(path);
		return rc;
	}
	read_header(bytes, &file);
	cli_audit_unmap(bytes);
	if (only_whole && !file.whole) {
		free(path);
		return SLK_OK;
	}
	struct cli_audit_file *files = realloc(log->files, (log->count + 1) * sizeof(*log->files));
	if (files == NULL) {
		free(path);
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	log->files = files;
	log->files[log->count++] = file;
	return SLK_OK;
}

static int
add_beside(struct cli_audit_log *log, const char *path, struct slk_error *err)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	char *directory = slash == NULL ? strdup(".")
		: slash == path         ? strdup("/")
					: strndup(path, (size_t)(slash - path));
	const struct dirent *entry;
	int rc = SLK_OK;

	DIR *dir = directory != NULL ? opendir(directory) : NULL;
	if (dir == NULL)
		rc = slk_fail_errno(err, "cannot list the directory of %s", path);
	while (rc == SLK_OK && (entry = readdir(dir)) != NULL) {
		char *beside = NULL;
		if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
			strcmp(entry->d_name, name) == 0)
			continue;
		if (asprintf(&beside, "%s/%s", directory, entry->d_name) < 0)
			rc = slk_fail(err, SLK_NO_MEMORY, "out of memory");
		else
			rc = add(log, beside, true, err);
	}
	if (dir != NULL)
		closedir(dir);
	free(directory);
	return rc;
}

static int
in_order(const void *a, const void *b)
{
	const struct cli_audit_file *x = a, *y = b;

	if (x->previous_seq != y->previous_seq)
		return x->previous_seq < y->previous_seq ? -1 : 1;
	if (x->failed != y->failed)
		return x->failed ? -1 : 1;
	return strcmp(x->path, y->path);
}

static int
add_default(struct cli_audit_log *log, struct slk_error *err)
{
	const char *path = secure_getenv("SEALOCK_AUDIT");

	if (path == NULL || path[0] == '\0')
		path = CLI_DEFAULT_AUDIT;
	char *own = strdup(path);
	if (own == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	int rc = add(log, own, false, err);
	return rc == SLK_OK ? add_beside(log, path, err) : rc;
}

int
cli_audit_find(
	char *const *paths, size_t count, struct cli_audit_log *out_log, struct slk_error *err)
{
	struct cli_audit_log log = {NULL, 0};
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		char *own = strdup(paths[i]);
		rc = own != NULL ? add(&log, own, false, err)
				 : slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	if (rc == SLK_OK && count == 0)
		rc = add_default(&log, err);
	if (rc != SLK_OK) {
		cli_audit_fini(&log);
		return rc;
	}
	qsort(log.files, log.count, sizeof(*log.files), in_order);
	*out_log = log;
	return SLK_OK;
}
