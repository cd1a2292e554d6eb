#include "bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auditlog.h"
#include "seal/attest.h"

#define MANIFEST "MANIFEST"
#define SIGNATURE "MANIFEST.sig"

int
cli_bundle_begin(const char *dir, struct cli_bundle *out_bundle, struct slk_error *err)
{
	struct cli_bundle b = {.dir = dir, .dir_fd = -1, .fd = -1};

	if (mkdir(dir, 0700) != 0)
		return slk_fail_errno(err, "cannot make the directory %s", dir);
	b.dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b.dir_fd < 0)
		return slk_fail_errno(err, "cannot open %s", dir);
	b.names = calloc(CLI_BUNDLE_PARTS_MAX, sizeof(*b.names));
	b.hashes = calloc(CLI_BUNDLE_PARTS_MAX, sizeof(*b.hashes));
	*out_bundle = b;
	return b.names != NULL && b.hashes != NULL
		? SLK_OK
		: slk_fail(err, SLK_NO_MEMORY, "no memory for the list of files");
}

void
cli_bundle_fini(struct cli_bundle *bundle)
{
	cli_out_free(bundle->out);
	if (bundle->fd >= 0)
		close(bundle->fd);
	if (bundle->dir_fd >= 0)
		close(bundle->dir_fd);
	free(bundle->names);
	free(bundle->hashes);
	*bundle = (struct cli_bundle){.dir_fd = -1, .fd = -1};
}

static int
make_parent(const struct cli_bundle *b, const char *name, struct slk_error *err)
{
	char parent[CLI_BUNDLE_NAME_MAX];
	const char *slash = strchr(name, '/');

	if (slash == NULL)
		return SLK_OK;
	(void)snprintf(parent, sizeof(parent), "%.*s", (int)(slash - name), name);
	if (mkdirat(b->dir_fd, parent, 0700) != 0 && errno != EEXIST)
		return slk_fail_errno(err, "cannot make %s/%s", b->dir, parent);
	return SLK_OK;
}

int
cli_bundle_open(struct cli_bundle *bundle, const char *name, struct slk_error *err)
{
	if (bundle->count == CLI_BUNDLE_PARTS_MAX || strlen(name) >= CLI_BUNDLE_NAME_MAX)
		return slk_fail(
			err, SLK_LIMIT, "a bundle has at most %u files", CLI_BUNDLE_PARTS_MAX);
	int rc = make_parent(bundle, name, err);
	if (rc != SLK_OK)
		return rc;
	bundle->fd = openat(
		bundle->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (bundle->fd < 0)
		return slk_fail_errno(err, "cannot make %s/%s", bundle->dir, name);
	strcpy(bundle->names[bundle->count], name);
	return cli_out_new(bundle->fd, &bundle->out, err);
}

/* Of the bytes as they are in the file. */
static int
hash_part(struct cli_bundle *b, struct slk_error *err)
{
	uint8_t hash[SEAL_SHA256_BYTES];
	struct slk_span bytes;

	int rc = cli_audit_map_fd(b->fd, b->names[b->count], &bytes, err);
	if (rc != SLK_OK)
		return rc;
	rc = seal_sha256(bytes, hash);
	cli_audit_unmap(bytes);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "SHA-256 cannot be had");
	slk_hex(slk_span(hash, sizeof(hash)), b->hashes[b->count], sizeof(b->hashes[0]));
	return SLK_OK;
}

int
cli_bundle_close(struct cli_bundle *bundle, struct slk_error *err)
{
	const char *name = bundle->names[bundle->count];
	int rc = cli_out_flush(bundle->out);

	if (rc != SLK_OK)
		rc = slk_fail(err, rc, "cannot write %s/%s: %s", bundle->dir, name,
			cli_out_error(bundle->out));
	else if (fsync(bundle->fd) != 0)
		rc = slk_fail_errno(err, "cannot flush %s/%s", bundle->dir, name);
	if (rc == SLK_OK)
		rc = hash_part(bundle, err);
	cli_out_free(bundle->out);
	bundle->out = NULL;
	close(bundle->fd);
	bundle->fd = -1;
	bundle->count += rc == SLK_OK;
	return rc;
}

int
cli_bundle_put(
	struct cli_bundle *bundle, const char *name, struct slk_span bytes, struct slk_error *err)
{
	int rc = cli_bundle_open(bundle, name, err);

	if (rc != SLK_OK)
		return rc;
	cli_out_write(bundle->out, bytes.ptr, bytes.len);
	return cli_bundle_close(bundle, err);
}

/* --- the manifest --- */

static int
write_manifest(struct cli_bundle *b, struct slk_error *err)
{
	size_t count = b->count;
	int rc = cli_bundle_open(b, MANIFEST, err);

	if (rc != SLK_OK)
		return rc;
	for (size_t i = 0; i < count; i++)
		cli_out_printf(b->out, "%s  %s\n", b->hashes[i], b->names[i]);
	return cli_bundle_close(b, err);
}

int
cli_bundle_sign(
	struct cli_bundle *bundle, struct kmsc *kms, const char *purpose, struct slk_error *err)
{
	uint8_t digest[SEAL_SHA256_BYTES];
	struct kmsc_attestation a;

	int rc = write_manifest(bundle, err);
	if (rc != SLK_OK)
		return rc;
	if (slk_unhex(bundle->hashes[bundle->count - 1], digest, sizeof(digest)) != SLK_OK)
		return slk_fail(err, SLK_INTERNAL, "the manifest has no hash");
	rc = kmsc_attest(kms, purpose, digest, &a, err);
	if (rc == SLK_OK &&
		seal_attest_verify(slk_span(a.public_key, a.public_key_len), purpose, digest,
			slk_span(a.signature, a.signature_len)) != SLK_OK)
		rc = slk_fail(err, SLK_BAD_TAG,
			"kmsd's signature does not fit the attestation key that it names");
	if (rc == SLK_OK)
		rc = cli_bundle_put(bundle, SIGNATURE, slk_span(a.signature, a.signature_len), err);
	if (rc == SLK_OK && fsync(bundle->dir_fd) != 0)
		rc = slk_fail_errno(err, "cannot flush %s", bundle->dir);
	return rc;
}
