/* A directory of files with a signed manifest: an evidence bundle while it is written (docs/evidence.md).
 *
 * begin -> (open part -> write -> end part)... -> sign. Every file is new, 0600, flushed, and read back for its hash. MANIFEST
 * has a line for each, as sha256sum(1) writes and checks them; MANIFEST.sig is the appliance's signature of its SHA-256.
 * Thread: the process has one.
 */
#ifndef SLK_CLI_BUNDLE_H
#define SLK_CLI_BUNDLE_H

#include "cli.h"

#define CLI_BUNDLE_NAME_MAX 128u
#define CLI_BUNDLE_PARTS_MAX 4096u

struct cli_bundle {
	const char *dir;
	int dir_fd;
	char (*names)[CLI_BUNDLE_NAME_MAX];
	char (*hashes)[65];
	size_t count;
	/* The part that is written. */
	int fd;
	struct cli_out *out;
};

/* dir must not be there; it is made, 0700. SLK_EXISTS, SLK_DENIED, SLK_IO, with a sentence. */
MUST_USE int cli_bundle_begin(
	const char *dir, struct cli_bundle *out_bundle, struct slk_error *err);
/* Closes what is open; the files stay. */
void cli_bundle_fini(struct cli_bundle *bundle);

/* name: letters, digits, '.', '-', and at most one directory in front. bundle->out takes the bytes. */
MUST_USE int cli_bundle_open(struct cli_bundle *bundle, const char *name, struct slk_error *err);
MUST_USE int cli_bundle_close(struct cli_bundle *bundle, struct slk_error *err);
/* All in one. */
MUST_USE int cli_bundle_put(
	struct cli_bundle *bundle, const char *name, struct slk_span bytes, struct slk_error *err);

/* MANIFEST, and its signature by the appliance's attestation key. */
MUST_USE int cli_bundle_sign(
	struct cli_bundle *bundle, struct kmsc *kms, const char *purpose, struct slk_error *err);

/* All of it as one file, POSIX.1-1988 ustar, 0600, whose entries are BASE/name, BASE being the directory's own name; then the
 * directory goes. path must not be there. SLK_EXISTS, SLK_LIMIT (a name or a file is too long for the format), SLK_IO, with a
 * sentence; the directory stays then. */
MUST_USE int cli_bundle_pack(struct cli_bundle *bundle, const char *path, struct slk_error *err);

#endif
