/* Readers of a journal directory: by position, following the tail. They need read access to the files, no key, and
 * never block the writer; they never go beyond the durable watermark that the writer publishes in DIR/watermark.
 * (Without a running writer: up to the watermark that the last one left, until the next one has recovered the file.)
 * Opening blocks takes the data key: the caller unwraps it with kms:Decrypt (kmsc_decrypt()) and opens with
 * jnl_block_open(). Thread: a reader belongs to one thread.
 */
#ifndef SLK_JOURNAL_READER_H
#define SLK_JOURNAL_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/status.h"
#include "seal/seal.h"

struct jnl_reader;

enum jnl_from { JNL_FROM_TRIM_HORIZON, JNL_FROM_LATEST, JNL_FROM_SEQUENCE, JNL_FROM_TIME };

struct jnl_reader_config {
	const char *dir;
	bool any_stream; /* false: blocks of stream_id only */
	uint64_t stream_id;
	bool any_shard; /* false: blocks of shard only */
	uint32_t shard;
	enum jnl_from from;
	uint64_t
		from_value; /* sequence number (first block that holds it or a later one), or Unix time in ns (in each lane the
			      * first block with an arrival at or after it, and all that follow) */
	const struct slk_fs *fs; /* NULL: slk_fs_posix() */
};

/* One data block, as written. Spans are borrowed until the next call on the reader. */
struct jnl_block {
	uint64_t file_id;
	uint64_t position; /* of the block in its file */
	uint32_t lane;
	uint64_t epoch_id;
	uint64_t stream_id;
	uint32_t shard;
	uint64_t block_number;
	uint64_t first_sequence;
	uint32_t record_count;
	uint32_t plain_bytes;
	uint64_t first_arrival_ns, last_arrival_ns;
	struct slk_span
		header; /* as it was sealed, which is the AAD; of a moved block not as it lies there */
	struct slk_span ciphertext;
	struct slk_span tag;
};

/* What a key block says; borrowed until the reader is freed. */
struct jnl_epoch_info {
	uint64_t epoch_id;
	uint64_t stream_id;
	const char *stream_arn;
	const char *key_arn;
	struct slk_span context; /* canonical encryption context: fmt_context_decode() */
	struct slk_span wrapped; /* ciphertext blob for kmsc_decrypt() */
	struct slk_span commitment;
};

/* SLK_NOT_FOUND (no journal there), SLK_DENIED (not in the group that may read it), SLK_NO_MEMORY. */
MUST_USE int jnl_reader_new(const struct jnl_reader_config *config, struct jnl_reader **out_reader,
	struct slk_error *err);
void jnl_reader_free(struct jnl_reader *reader); /* NULL allowed */

/* The next block in the order it was written (per lane; lanes are merged by arrival time, shards stay in order).
 * SLK_OK; SLK_AGAIN at the tail (call again later); SLK_CORRUPT with *err naming file and offset, once for each damaged
 * place, for each that salvage left empty, and each file whose header is damaged: the reader has moved behind the damage and may go on; SLK_TRIMMED once when
 * retention has deleted what would have come next: the reader goes on at what is the oldest now. SLK_IO, SLK_NO_MEMORY. */
MUST_USE int jnl_reader_next(
	struct jnl_reader *reader, struct jnl_block *out_block, struct slk_error *err);

/* The key block of an epoch that a block named; if it was damaged where it should have been, from any other file that has it.
 * SLK_NOT_FOUND if none has; SLK_NO_MEMORY, SLK_IO. */
MUST_USE int jnl_reader_epoch(
	struct jnl_reader *reader, uint64_t epoch_id, struct jnl_epoch_info *out_info);

/* An opened epoch: derived key, checked against the commitment. SLK_BAD_COMMITMENT if the data key is not the one. */
struct jnl_epoch_key;
MUST_USE int jnl_epoch_key_new(struct seal_thread *thread, const struct jnl_epoch_info *info,
	const struct slk_secret *data_key, struct jnl_epoch_key **out_key);
void jnl_epoch_key_free(struct jnl_epoch_key *key); /* wipes; NULL allowed */

/* Open a block into out (plain_bytes). Walk it with fmt_record_iter_init(). SLK_BAD_TAG (out is zeroed), SLK_FULL. */
MUST_USE int jnl_block_open(struct seal_thread *thread, const struct jnl_epoch_key *key,
	const struct jnl_block *block, uint8_t *out, size_t cap);

/* The directories of the journal that dir (or one of several, with colons between) belongs to, as its list has them now: for programs
 * that confine themselves to what they read. dir itself where there is no list. SLK_NO_MEMORY, SLK_CORRUPT and the like. */
#define JNL_PATHS_MAX 8u
struct jnl_paths {
	unsigned count;
	char paths[JNL_PATHS_MAX][1024];
};
MUST_USE int jnl_paths(const char *dir, struct jnl_paths *out_paths, struct slk_error *err);

/* The lane watermarks, as published by the writer. */
struct jnl_watermark {
	uint64_t file_id;
	uint64_t position; /* durable up to here in that file */
	uint64_t records; /* records durable since the journal was opened */
	uint64_t plain_bytes;
	uint64_t opened_ns; /* when the writer opened it, Unix time */
};
MUST_USE int jnl_watermark_read(
	const char *dir, unsigned lane, struct jnl_watermark *out_mark, struct slk_error *err);

#endif
