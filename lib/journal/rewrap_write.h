/* Writing side files of re-wrapped epoch keys (format/rewrap.h) into a journal directory.
 *
 *     rewraps (what is there) -> writer: add* -> commit (sort, sign, write, flush, rename) -> add* -> commit ...
 *
 * A side file appears whole or not at all: it is written as "rewrap.new", flushed, and renamed; what a crash leaves of it
 * is removed by the next writer. One writer at a time: the directory is locked (flock on the directory itself, which
 * sealock-ingestd does not use). Lane files are never touched, and a live writer of the journal is not disturbed.
 * Thread: one.
 */
#ifndef SLK_JOURNAL_REWRAP_WRITE_H
#define SLK_JOURNAL_REWRAP_WRITE_H

#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/status.h"
#include "format/rewrap.h"
#include "journal/rewraps.h"

/* A signature of the appliance. */
struct jnl_attestation {
	uint8_t signature[FMT_REWRAP_SIGNATURE_MAX];
	size_t signature_len;
	uint8_t public_key[FMT_REWRAP_PUBLIC_KEY_MAX];
	size_t public_key_len;
	char key_arn[FMT_KEYBLOCK_ARN_MAX + 1];
};
/* Signs digest for the purpose "rewrap": kmsc_attest(), or a test. */
typedef int (*jnl_attest_fn)(void *ctx, const uint8_t digest[FMT_REWRAP_DIGEST_BYTES],
	struct jnl_attestation *out, struct slk_error *err);

struct jnl_rewrap_writer_config {
	const char *dir;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	const struct slk_clock *clock; /* NULL: slk_clock_system() */
	/* A last look at the signature: by these keys only. NULL: by whom it says. Borrowed. */
	const struct seal_attest_keys *trusted;
};

struct jnl_rewrap_writer;

/* Lock the directory and remove what a crash left. SLK_EXISTS: another process does so now. SLK_DENIED, SLK_NOT_FOUND,
 * SLK_IO, SLK_NO_MEMORY. */
MUST_USE int jnl_rewrap_writer_new(const struct jnl_rewrap_writer_config *config,
	struct jnl_rewrap_writer **out_writer, struct slk_error *err);
void jnl_rewrap_writer_free(
	struct jnl_rewrap_writer *writer); /* drops what was not committed; NULL allowed */

/* Take an entry for the next file; entries may come in any order, each epoch once. Bytes are copied. SLK_FULL: commit
 * first. SLK_INVALID (limits), SLK_NO_MEMORY. */
MUST_USE int jnl_rewrap_writer_add(
	struct jnl_rewrap_writer *writer, const struct fmt_rewrap_entry *entry);
uint32_t jnl_rewrap_writer_count(const struct jnl_rewrap_writer *writer);

/* Write the entries that were added as the side file after those that rewraps knows, and forget them. The caller refreshes
 * rewraps afterwards. out_name: its name. Without entries: SLK_INVALID.
 * Errors: what attest says; SLK_BAD_TAG (its signature does not fit); SLK_INVALID (an epoch twice); SLK_NOT_FOUND (no lane
 * file); SLK_DISK_FULL, SLK_IO, SLK_DENIED: nothing new is there, but for a flush of the directory that failed: then the
 * file is there and may be gone after a power cut. After an error the entries are kept: commit may be tried again. */
MUST_USE int jnl_rewrap_writer_commit(struct jnl_rewrap_writer *writer,
	const struct jnl_rewraps *rewraps, jnl_attest_fn attest, void *ctx,
	char out_name[FMT_REWRAP_NAME_MAX], struct slk_error *err);

#endif
