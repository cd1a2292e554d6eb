/* The side files of a journal directory: epoch keys that were wrapped anew (format/rewrap.h). Reader's side.
 *
 * Lane files are never rewritten, so an epoch's data key may be wrapped several times: in its key block, and in side files
 * that `sealock key rewrap` wrote later. This noun finds the side files, says what each is worth, and unwraps an epoch's
 * data key by whichever wrap can be opened: the side files' entries, highest number first, at most JNL_REWRAP_TRIES, then
 * the key block. The newest comes first because a re-wrap is made to leave the older key behind: its readers may lack the
 * right on that, or it may be gone. A candidate that fails gives way to the next, so nobody loses by a side file, and who
 * has the right on the older key only still reads.
 *
 *     state of a side file     when                                                          its entries
 *     JNL_REWRAP_SIGNED        whole, and signed by a trusted key                            used
 *     JNL_REWRAP_INTACT        whole, and signed by the key that it carries; nobody said     used
 *                              whom to trust
 *     JNL_REWRAP_UNTRUSTED     whole, but the signature is wrong or not of a trusted key     passed over
 *     JNL_REWRAP_FOREIGN       of another journal, or under another's number                 passed over
 *     JNL_REWRAP_DAMAGED       not well formed, digest wrong, unreadable                     passed over
 *
 * A data key is believed only if it derives the commitment in the key block, so a forged side file can cost tries, and
 * never substitutes anything. Entries are read again from the disk when they are needed; what is kept is 16 bytes for each.
 * Thread: one at a time.
 */
#ifndef SLK_JOURNAL_REWRAPS_H
#define SLK_JOURNAL_REWRAPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/status.h"
#include "format/rewrap.h"
#include "journal/reader.h"
#include "seal/attest.h"

#define JNL_REWRAP_TRIES 8u /* entries of side files that are tried for one epoch */

enum jnl_rewrap_state {
	JNL_REWRAP_SIGNED,
	JNL_REWRAP_INTACT,
	JNL_REWRAP_UNTRUSTED,
	JNL_REWRAP_FOREIGN,
	JNL_REWRAP_DAMAGED,
};
const char *jnl_rewrap_state_name(enum jnl_rewrap_state state); /* "signed", "intact", ... */
static inline bool
jnl_rewrap_is_used(enum jnl_rewrap_state state)
{
	return state == JNL_REWRAP_SIGNED || state == JNL_REWRAP_INTACT;
}

struct jnl_rewrap_file {
	char name[FMT_REWRAP_NAME_MAX]; /* in the directory */
	uint64_t number; /* of the name */
	enum jnl_rewrap_state state;
	struct slk_error why; /* a sentence, if it is not used */
	/* Zero if it is not well formed: */
	uint64_t bytes;
	uint64_t created_ns;
	uint32_t count; /* entries */
	uint8_t digest[FMT_REWRAP_DIGEST_BYTES];
	uint8_t signer[SEAL_SHA256_BYTES]; /* SHA-256 of the public key that it carries */
	char signer_arn[FMT_KEYBLOCK_ARN_MAX + 1];
	/* It names the side file before it, and that is the one that is there and used; or it names none and there is none.
	 * False: one was taken away, replaced, or is damaged. Of the newest nothing can be told. */
	bool chained;
};

struct jnl_rewraps_config {
	const char *dir;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	const struct seal_attest_keys *trusted; /* NULL: whoever signed; borrowed */
	bool any_stream; /* false: entries of stream_id only are kept */
	uint64_t stream_id;
	/* Each side file once, in the order of numbers, when it was looked at. NULL: not told. file: borrowed. */
	void (*seen)(void *arg, const struct jnl_rewrap_file *file);
	void *arg;
};

struct jnl_rewraps;

/* Look at all side files of the directory. Bad side files are no error. SLK_NOT_FOUND (no directory), SLK_DENIED,
 * SLK_NO_MEMORY, SLK_IO. */
MUST_USE int jnl_rewraps_new(const struct jnl_rewraps_config *config,
	struct jnl_rewraps **out_rewraps, struct slk_error *err);
void jnl_rewraps_free(struct jnl_rewraps *rewraps); /* NULL allowed */
/* Look for side files that came since. Errors as jnl_rewraps_new(); what was known stays. */
MUST_USE int jnl_rewraps_refresh(struct jnl_rewraps *rewraps, struct slk_error *err);

/* In the order of numbers; borrowed until the next refresh. */
size_t jnl_rewraps_count(const struct jnl_rewraps *rewraps);
const struct jnl_rewrap_file *jnl_rewraps_file(const struct jnl_rewraps *rewraps, size_t index);

/* What the next side file's header says: journal uuid, number (the first free one behind all that are used) and digest of
 * the last one that is used. SLK_NOT_FOUND: no lane file tells which journal this is. */
MUST_USE int jnl_rewraps_next(
	const struct jnl_rewraps *rewraps, struct fmt_rewrap_header *out_header);

/* One wrap of an epoch's data key. */
struct jnl_rewrapped {
	uint64_t number; /* of the side file */
	char key_arn[FMT_KEYBLOCK_ARN_MAX + 1];
	uint8_t wrapped[FMT_KEYBLOCK_WRAPPED_MAX];
	size_t wrapped_len;
};
/* The index-th newest usable entry (from 0) for the epoch that info describes. SLK_NOT_FOUND: there are no more.
 * SLK_CORRUPT: this one is not what it was when the file was looked at. SLK_IO and others: it cannot be read. */
MUST_USE int jnl_rewraps_entry(const struct jnl_rewraps *rewraps, const struct jnl_epoch_info *info,
	unsigned index, struct jnl_rewrapped *out_entry);

/* Asks for a plaintext: kmsc_decrypt() with the context of info, or a test. */
typedef int (*jnl_decrypt_fn)(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err);

/* The epoch's data key, by the first wrap that can be opened and whose key derives the commitment. rewraps: NULL for the key
 * block alone. When all fail, side files that came meanwhile are looked for once. SLK_OK: *out_data_key is to be freed.
 * Otherwise decrypt()'s answer: a retryable one if there was any (SLK_TIMEOUT and SLK_NO_MEMORY end the search at once); else
 * that of the newest wrap that was refused, before that of one that was damaged; SLK_BAD_COMMITMENT if only wrong keys came. */
MUST_USE int jnl_rewraps_data_key(struct jnl_rewraps *rewraps, const struct jnl_epoch_info *info,
	jnl_decrypt_fn decrypt, void *ctx, struct slk_secret **out_data_key, struct slk_error *err);

#endif
