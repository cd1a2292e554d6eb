/* What hangs on a master key: the epochs of a journal whose data keys it wraps, with their blocks, records and bytes.
 *
 * Read from the files alone, without kmsd and without a key: key blocks and side files say under which key and which of its
 * materials an epoch's data key lies, data blocks say how much was sealed in it, up to the durable watermark. Every block
 * is read, since a file's footer does not tell its epochs apart. An epoch that also has a wrap under another key (`sealock
 * key rewrap`) stays readable without this one: it is told apart from those that hang on this key alone. Whether that wrap
 * opens nobody asks here: `sealock journal verify --with-keys` does, before anything is destroyed.
 * Thread: the process has one.
 */
#ifndef SLK_CLI_USAGE_H
#define SLK_CLI_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "format/blob.h"
#include "kmsclient/kmsclient.h"

struct cli_usage_epoch {
	uint64_t id;
	uint32_t stream; /* index of streams */
	uint8_t backing_id
		[FMT_BLOB_KEY_ID_BYTES]; /* the material, of its newest wrap under this key */
	bool alone; /* no other key wraps it */
	uint64_t blocks, records, plain_bytes;
	uint64_t first_arrival_ns, last_arrival_ns; /* 0 without a block */
};

struct cli_usage_sum {
	uint64_t epochs, blocks, records, plain_bytes;
};

struct cli_usage_stream {
	char arn[KMSC_ARN_MAX];
	struct cli_usage_sum sum;
};

struct cli_usage {
	struct cli_usage_epoch *epochs; /* by id */
	size_t count, cap;
	struct cli_usage_stream *streams; /* in the order of their first epoch */
	uint32_t streams_count;
	struct cli_usage_sum all, alone;
	uint64_t
		damaged; /* places, and key blocks, that could not be read: what is in them is not counted */
};

/* key_id: 16 bytes of its UUID. SLK_NOT_FOUND (no journal there), SLK_DENIED, SLK_NO_MEMORY, SLK_IO, with a sentence. */
MUST_USE int cli_usage_collect(const char *journal_dir, const uint8_t key_id[FMT_BLOB_KEY_ID_BYTES],
	struct cli_usage *out_usage, struct slk_error *err);
void cli_usage_add_up(struct cli_usage_sum *sum, const struct cli_usage_epoch *epoch);
void cli_usage_fini(struct cli_usage *usage);

/* On stderr, for who destroys the key: what is lost with it. Says nothing where no journal can be read. */
void cli_usage_warn(const char *journal_dir, const char *key_uuid);

#endif
