/* A bundle as one tar archive. */
#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auditlog.h"

#define BLOCK_BYTES 512u
#define NAME_BYTES 100u
#define SIZE_MAX_BYTES 077777777777ull

/* One header block (POSIX.1-1988, ustar):
 *
 *     0 100 name   100 8 mode   108 8 uid   116 8 gid   124 12 size   136 12 mtime   148 8 checksum   156 1 type
 *     257 6 "ustar"   263 2 "00"
 *
 * numbers in octal digits. The checksum is the sum of all bytes, its own field being blanks. */
struct ustar {
	char name[NAME_BYTES];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type, link[100];
	char magic[6], version[2];
	char rest[247];
};
_Static_assert(sizeof(struct ustar) == BLOCK_BYTES, "one block");

static void
octal(char *out, size_t cap, unsigned long long value)
{
	for (size_t i = cap - 1; i-- > 0; value >>= 3)
		out[i] = (char)('0' + (value & 7));
}

static void
fill(struct ustar *h, const char *name, uint64_t size, uint64_t unix_s)
{
	unsigned sum = 0;

	memset(h, 0, sizeof(*h));
	memcpy(h->name, name, strlen(name));
	octal(h->mode, sizeof(h->mode), 0600);
	octal(h->uid, sizeof(h->uid), 0);
	octal(h->gid, sizeof(h->gid), 0);
	octal(h->size, sizeof(h->size), size);
	octal(h->mtime, sizeof(h->mtime), unix_s);
	memset(h->checksum, ' ', sizeof(h->checksum));
	h->type = '0';
	memcpy(h->magic, "ustar", 6);
	memcpy(h->version, "00", 2);
	for (size_t i = 0; i < sizeof(*h); i++)
		sum += ((const unsigned char *)h)[i];
	octal(h->checksum, 7, sum);
	h->checksum[6] = '\0';
	h->checksum[7] = ' ';
}

static const char *
base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static int
add_file(struct cli_bundle *b, struct cli_out *out, size_t index, struct slk_error *err)
{
	static const uint8_t zeros[BLOCK_BYTES];
	char name[NAME_BYTES + 1], path[4352];
	struct slk_span bytes;
	struct ustar header;
	struct stat st;

	int len = snprintf(name, sizeof(name), "%s/%s", base_of(b->dir), b->names[index]);
	(void)snprintf(path, sizeof(path), "%s/%s", b->dir, b->names[index]);
	if (len < 0 || (size_t)len >= sizeof(header.name))
		return slk_fail(err, SLK_LIMIT, "%s: the name is too long for a tar archive", name);
	if (stat(path, &st) != 0)
		return slk_fail_errno(err, "cannot read %s", path);
	int rc = cli_audit_map(path, &bytes, err);
	if (rc != SLK_OK)
		return rc;
	if (bytes.len > SIZE_MAX_BYTES)
		rc = slk_fail(err, SLK_LIMIT, "%s is too large for a tar archive", path);
	if (rc == SLK_OK) {
		fill(&header, name, bytes.len, (uint64_t)st.st_mtime);
		cli_out_write(out, &header, sizeof(header));
		cli_out_write(out, bytes.ptr, bytes.len);
		cli_out_write(out, zeros, (BLOCK_BYTES - bytes.len % BLOCK_BYTES) % BLOCK_BYTES);
	}
	cli_audit_unmap(bytes);
	return rc;
}

static int
write_archive(struct cli_bundle *b, int fd, const char *path, struct slk_error *err)
{
	static const uint8_t end[2 * BLOCK_BYTES];
	struct cli_out *out = NULL;
	int rc = cli_out_new(fd, &out, err);

	for (size_t i = 0; rc == SLK_OK && i < b->count; i++)
		rc = add_file(b, out, i, err);
	if (rc == SLK_OK) {
		cli_out_write(out, end, sizeof(end));
		rc = cli_out_flush(out);
		if (rc != SLK_OK)
			rc = slk_fail(err, rc, "cannot write %s: %s", path, cli_out_error(out));
		else if (fsync(fd) != 0)
			rc = slk_fail_errno(err, "cannot flush %s", path);
	}
	cli_out_free(out);
	return rc;
}

/* What was packed; a directory that is not empty then has somebody else's files, and stays. */
static void
remove_files(const struct cli_bundle *b)
{
	for (size_t i = 0; i < b->count; i++)
		(void)unlinkat(b->dir_fd, b->names[i], 0);
	for (size_t i = 0; i < b->count; i++) {
		char parent[CLI_BUNDLE_NAME_MAX];
		const char *slash = strchr(b->names[i], '/');
		if (slash == NULL)
			continue;
		(void)snprintf(
			parent, sizeof(parent), "%.*s", (int)(slash - b->names[i]), b->names[i]);
		(void)unlinkat(b->dir_fd, parent, AT_REMOVEDIR);
	}
	if (rmdir(b->dir) != 0)
		cli_note("%s stays: %s", b->dir, strerror(errno));
}

int
cli_bundle_pack(struct cli_bundle *bundle, const char *path, struct slk_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return slk_fail_errno(err, "cannot make %s", path);
	int rc = write_archive(bundle, fd, path, err);
	close(fd);
	if (rc == SLK_OK)
		remove_files(bundle);
	else
		(void)unlink(path);
	return rc;
}
