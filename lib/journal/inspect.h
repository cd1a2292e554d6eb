/* Looking into a journal directory without a reader's state: list its files, verify everything in them.
 *
 * Both need read access to the files only, run beside a live writer (they stop at the durable watermark) and never
 * write. Checks of numbering need no key; tags are checked for the epochs whose data key the caller can give.
 * Thread: any; each call is on its own.
 */
#ifndef SLK_JOURNAL_INSPECT_H
#define SLK_JOURNAL_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/status.h"
#include "journal/reader.h"
#include "journal/salvage.h"
#include "seal/attest.h"
#include "seal/seal.h"

/* One shard in one file. */
struct jnl_shard_info {
	uint64_t stream_id;
	uint32_t shard;
	uint64_t blocks;
	uint64_t first_sequence;
	uint64_t next_sequence; /* last + 1 */
	uint64_t first_arrival_ns, last_arrival_ns;
};

/* One lane file. Pointers are borrowed until the callback returns. */
struct jnl_file_info {
	const char *name; /* in the directory */
	uint64_t file_id;
	uint32_t lane;
	uint64_t
		run; /* lowest file id of the opening that wrote it: grows with every start of the writer */
	uint64_t created_ns; /* Unix time */
	uint64_t capacity_bytes;
	uint64_t used_bytes; /* up to the end of the last readable block */
	bool closed; /* has a footer */
	bool closed_by_recovery;
	uint64_t blocks, records, plain_bytes;
	const struct jnl_shard_info *shards;
	uint32_t shard_count;
	const struct jnl_epoch_info *epochs; /* whose key blocks are in it */
	uint32_t epoch_count;
};

/* Call each(arg, info) for every lane file, by file id; a non-zero return stops and is returned. Files that cannot be
 * read or decoded are passed to damaged(arg, name, sentence) (NULL: ignored). fs: NULL for slk_fs_posix().
 * SLK_NOT_FOUND (no journal there), SLK_DENIED, SLK_NO_MEMORY, SLK_IO. */
MUST_USE int jnl_list(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_file_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err);

/* Call each(arg, info) for the key blocks of all lane files, in the order of files; closed files are not read but for
 * these (the footer says where they are). An epoch comes again in every file that it lives on in. info: borrowed until the
 * return. Damaged files and key blocks are passed to damaged() and passed over. Otherwise as jnl_list(). */
MUST_USE int jnl_list_epochs(const char *dir, const struct slk_fs *fs,
	int (*each)(void *arg, const struct jnl_epoch_info *info),
	void (*damaged)(void *arg, const char *name, const struct slk_error *why), void *arg,
	struct slk_error *err);

/* What a verification found wrong, one call each. */
struct jnl_finding {
	int status; /* SLK_BAD_CRC, SLK_BAD_TAG (also: a hash or signature), SLK_NOT_FOUND (a file or signature that must be
		     * there), SLK_TRUNCATED (the end of a closed file), SLK_CORRUPT (numbering, lost range), SLK_BAD_COMMITMENT, ... */
	const char *name; /* of the file */
	uint64_t file_id;
	uint64_t offset;
	uint64_t bytes; /* damaged, 0 if that is not known */
	const char *sentence; /* for people */
};

struct jnl_verify_config {
	const char *dir;
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
	struct seal_thread *seal; /* for tags; NULL: tags are not checked */
	/* The data key of an epoch, or any error to leave its tags unchecked. Called once per epoch, unless a thousand others
	 * came between two of its blocks. The secret becomes the verifier's. NULL: tags are not checked. */
	int (*data_key)(
		void *arg, const struct jnl_epoch_info *info, struct slk_secret **out_data_key);
	/* Check each file against its proof (format/proof.h): needs no data key, and holds against whoever has them. */
	bool proofs;
	/* The keys that may have signed; every closed file must be signed then. NULL: whoever signed, if anyone did. */
	const struct seal_attest_keys *trusted;
	/* True: a journal that was salvaged (journal/salvage.h); what it says is lost of it is no finding, but told to lost(). What
	 * is damaged or missing besides still is one. False: each place where something was lost is a finding. */
	bool salvaged;
	void (*lost)(void *arg, const struct jnl_loss *loss); /* NULL: only counted */
	void (*finding)(void *arg, const struct jnl_finding *finding); /* NULL: only counted */
	void *arg;
};

struct jnl_verify_report {
	uint64_t files, files_unclosed, files_by_recovery;
	uint64_t bytes; /* read and checked */
	uint64_t blocks, data_blocks, records, plain_bytes;
	uint64_t epochs, shards;
	uint64_t tags_checked; /* data blocks opened and found authentic */
	uint64_t tags_unchecked; /* data blocks whose key was not given */
	uint64_t files_signed; /* to their end, all as it was written */
	uint64_t files_unsigned; /* closed, and not signed to the end */
	uint64_t bytes_signed; /* as they were written, by a good signature */
	uint64_t signatures; /* that were good */
	/* Left out by salvage; bytes are of whole blocks as they lay there, records as far as the numbers of others tell. */
	uint64_t lost_ranges, lost_bytes, lost_records;
	uint64_t findings; /* 0: all is well */
};

/* Check every lane file: header, CRC and position of each block, block numbers of each epoch consecutive from 0
 * (from where retention cut it, if it began before the oldest file of its lane), sequence
 * numbers of each shard without gaps, footers against what is there, commitments and tags where a key is given. Torn
 * tails that recovery has cut are not part of the files any more.
 * SLK_OK when everything could be looked at: see out_report->findings. Errors as jnl_list(). */
MUST_USE int jnl_verify(const struct jnl_verify_config *config,
	struct jnl_verify_report *out_report, struct slk_error *err);

#endif
