/* libsealock: read records of a stream's shard from the journal on this host.
 *
 * Three objects, so that a server may read for many with few threads:
 *
 *     struct sealock_keys      unwrapped keys of epochs, bounded in number and age, each asked for once. Shared by threads.
 *     struct sealock_opener    what one thread needs to open blocks. One per thread.
 *     struct sealock_consumer  a place in one shard. Used by any thread, one at a time, with that thread's opener.
 *
 * A read gives a batch: records in order from the consumer's place, which moves behind them. It goes no further than what is
 * durable, opens only the blocks that hold what is asked for, and keeps the last opened block, so that small batches do
 * not open it again. Everything that was opened is wiped when the consumer moves on or is freed.
 *
 * Blocking: all functions that take a consumer read files, and may ask kmsd for a key (through unwrap): call them from a
 * thread that may wait. The caller needs read access to the journal's files (group sealock-read).
 * Errors: codes of base/status.h; a struct slk_error (NULL allowed) gets a sentence.
 */
#ifndef SEALOCK_CONSUMER_H
#define SEALOCK_CONSUMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "base/status.h"

/* --- keys --- */

/* An epoch whose data key is wanted. Borrowed. */
struct sealock_epoch {
	uint64_t epoch_id;
	uint64_t stream_id;
	const char *
		stream_arn; /* the encryption context is {"aws:kinesis:arn": this}; checked already */
	const char *key_arn; /* as the key block names it: a hint */
	struct slk_span wrapped; /* a KMS ciphertext blob */
};

/* Give the data key that wrapped holds: a Decrypt. The library owns *out_data_key then. Any status: it is the read's.
 * Thread: any that reads, several at once for different epochs. */
typedef int (*sealock_unwrap)(void *ctx, const struct sealock_epoch *epoch,
	struct slk_secret **out_data_key, struct slk_error *err);

struct sealock_keys_config {
	sealock_unwrap
		unwrap; /* NULL: kmsd's Decrypt as the calling process, one connection per call under way */
	void *ctx;
	const char *kms_socket; /* for the built-in one; NULL: $SEALOCK_KMS_SOCKET or the default */
	uint32_t kms_timeout_ms; /* 0: 5,000 */
	uint32_t keys_max; /* 1..65,536; 0: 256. The oldest go first */
	uint32_t age_max_s; /* from the question on, however often it is used; 0: 300 */
	/* PEM of the keys that may have signed side files of re-wrapped keys (format/rewrap.h); NULL: whoever signed. An epoch's
	 * wraps are tried newest first; a forged one costs a try and substitutes nothing. */
	const char *attestation_pem;
	/* A sentence for each side file that is passed over, with ctx; NULL: nobody is told. Thread: any that reads. */
	void (*note)(void *ctx, const char *sentence);
	const struct slk_clock *clock; /* NULL: the system's */
};

struct sealock_keys;
/* SLK_INVALID (keys_max), SLK_CONFIG (attestation_pem), SLK_UNSUPPORTED (no engine for AES-GCM), SLK_SELF_TEST, SLK_NO_MEMORY. */
MUST_USE int sealock_keys_new(const struct sealock_keys_config *config,
	struct sealock_keys **out_keys, struct slk_error *err);
/* When no opener uses it any more. Wipes. NULL allowed. */
void sealock_keys_free(struct sealock_keys *keys);
/* Wipe what is too old. Reads do it, too; who may not read for long calls it now and then. Thread: any. */
void sealock_keys_expire(struct sealock_keys *keys);
/* Forget all keys now (a right was withdrawn): the next read asks again. Thread: any. */
void sealock_keys_forget(struct sealock_keys *keys);
/* How often unwrap was called. Thread: any. */
uint64_t sealock_keys_unwraps(const struct sealock_keys *keys);

struct sealock_opener;
/* keys: borrowed. SLK_NO_MEMORY, SLK_UNSUPPORTED (no engine for AES-GCM), SLK_SELF_TEST. */
MUST_USE int sealock_opener_new(
	struct sealock_keys *keys, struct sealock_opener **out_opener, struct slk_error *err);
void sealock_opener_free(struct sealock_opener *opener); /* NULL allowed */

/* --- a place in a shard --- */

enum sealock_from {
	SEALOCK_FROM_TRIM_HORIZON, /* the oldest that is there */
	SEALOCK_FROM_LATEST, /* what comes after now */
	SEALOCK_FROM_AT_SEQUENCE,
	SEALOCK_FROM_AFTER_SEQUENCE,
	SEALOCK_FROM_AT_TIME /* the first record that arrived at or after value, and all behind it */
};

struct sealock_position {
	enum sealock_from from;
	uint64_t value; /* sequence number, or Unix time in ns; otherwise 0 */
};

struct sealock_consumer_config {
	const char *journal_dir;
	const char *stream_arn; /* copied; keys of other streams are refused */
	uint64_t stream_id;
	bool any_shard; /* all shards of the stream, merged; a sequence number then counts in each of them */
	uint32_t shard;
	struct sealock_position position;
	const struct slk_clock *clock; /* for millis_behind_latest; NULL: the system's */
};

struct sealock_consumer;
/* SLK_NOT_FOUND (no journal there), SLK_DENIED (its files), SLK_INVALID, SLK_NO_MEMORY. */
MUST_USE int sealock_consumer_new(const struct sealock_consumer_config *config,
	struct sealock_consumer **out_consumer, struct slk_error *err);
void sealock_consumer_free(struct sealock_consumer *consumer); /* NULL allowed */

/* --- reading --- */

/* Valid until the next call on the consumer. */
struct sealock_record {
	uint64_t sequence;
	uint32_t shard;
	uint64_t arrival_ns; /* Unix time */
	struct slk_span key;
	struct slk_span data;
	uint64_t epoch_id;
};

struct sealock_batch {
	const struct sealock_record *records;
	size_t count;
	size_t bytes; /* of keys and data */
	bool at_tip; /* nothing more was durable */
	uint64_t
		millis_behind_latest; /* 0 at the tip; else since the last record of the batch (or passed block) arrived */
	bool has_next; /* false until the first record was met, unless the place names a number */
	uint64_t next_sequence; /* the place behind the batch, as AT_SEQUENCE; one shard only */
	bool trimmed; /* retention has deleted what would have come next; the batch begins at what is the oldest now */
};

/* Under which master key the data key of a record's epoch was wrapped, as the journal says it: an ARN, borrowed until the consumer is
 * freed. Only of records of the last batch. SLK_NOT_FOUND. */
MUST_USE int sealock_consumer_key(
	struct sealock_consumer *consumer, uint64_t epoch_id, const char **out_key_arn);

/* Up to records_max (1..10,000) records whose keys and data take up to bytes_max, at least one if there is one. A batch may
 * be shorter than what is there; count 0 and at_tip: call again later; count 0 without at_tip: go on calling.
 * SLK_OK; SLK_CORRUPT and SLK_BAD_TAG, SLK_BAD_COMMITMENT, SLK_INVALID_CIPHERTEXT with a sentence that names file and
 * offset: the place is behind the damage, and the next call goes on there; what unwrap said (the place has not moved);
 * SLK_IO, SLK_NO_MEMORY. */
MUST_USE int sealock_consumer_read(struct sealock_consumer *consumer, struct sealock_opener *opener,
	size_t records_max, size_t bytes_max, struct sealock_batch *out_batch,
	struct slk_error *err);

/* Another place in the same shard, without making a new consumer. As sealock_consumer_new(); a consumer that asks for the
 * sequence number where it stands does nothing. */
MUST_USE int sealock_consumer_seek(struct sealock_consumer *consumer,
	const struct sealock_position *position, struct slk_error *err);

/* The sequence number that the next record of the shard will have: what LATEST means at this moment. Reads headers of
 * the lanes' newest files; needs no key. SLK_OK (0 for a shard that was never written), SLK_NOT_FOUND (no journal there),
 * SLK_DENIED, SLK_IO, SLK_NO_MEMORY. */
MUST_USE int sealock_shard_latest(const char *journal_dir, uint64_t stream_id, uint32_t shard,
	uint64_t *out_sequence, struct slk_error *err);

#endif
