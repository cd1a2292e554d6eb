/* What the threads of ingestd share about a stream, and the messages between control thread and workers.
 *
 * A stream is made by the control thread, handed to the worker that writes it (DP_CTL_ADD), and is then the worker's but
 * for the fields marked otherwise, until the worker gives it back with the answer to DP_CTL_REMOVE. Messages travel by
 * single-producer rings; the worker answers each with the same object, which the control thread then frees: so a key is
 * wiped by the thread that fetched it, and the worker never frees anything.
 */
#ifndef DP_STREAM_H
#define DP_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/context.h"
#include "format/port.h"
#include "kmsclient/kmsclient.h"
#include "layout.h"
#include "net/framing.h"
#include "net/partition.h"
#include "seal/epoch.h"
#include "stage.h"

#define DP_STREAMS_MAX 1024u /* slots */
#define DP_CTL_RING 4096u /* messages under way in one direction */
#define DP_PUT_RING 16384u

/* A listener that feeds the stream. */
struct dp_feed {
	unsigned listener; /* index into the configuration */
	struct dp_partition *partition; /* NULL: its rule does not fit the stream */
};

/* Where records of a stream go. A shard is named by its place among the open ones, by range. */
struct dp_routes {
	uint32_t shard_count;
	struct dp_shard *shards;
	dp_hash_key *starts; /* of their ranges, for dp_hash_key_find(); NULL: equal ones */
	struct dp_feed *feeds;
	uint32_t feed_count;
};

/* A change of shards on its way: made by the control thread, performed by the worker, who gives it back once it is durable.
 * The new shards take records at once and seal none before those that close have had their last block. */
struct dp_change {
	bool moves; /* routes are new ones; else the stream was made with them already */
	struct dp_routes
		routes; /* to be swapped with the stream's; then the old ones, to be freed */
	uint32_t *moved_to; /* of each old shard its place among the new; DP_NO_SHARD: it closes */
	struct dp_pending
		*pending; /* all that it closes and opens; their ends, once it was performed */
	uint32_t pending_count;
	bool drained; /* written by the worker */
	bool given_up; /* likewise: the stream went */
};

struct dp_stream {
	/* Set before it is handed over, then constant. */
	char name[KMSC_NAME_MAX];
	char arn[KMSC_ARN_MAX];
	char key_arn[KMSC_ARN_MAX];
	uint64_t id;
	unsigned slot; /* 0..DP_STREAMS_MAX - 1 */
	unsigned worker;
	struct fmt_context *context;

	/* Written by the worker, read by the control thread. */
	_Alignas(64) _Atomic uint32_t wanted; /* records wait, or were lost, for want of a key */
	_Atomic uint32_t key_gone; /* the worker ended the epoch by itself: its limit was reached */
	_Atomic uint64_t last_seal_ns; /* monotonic */
	_Atomic uint64_t records;
	_Atomic uint64_t bytes;
	_Atomic uint64_t keys; /* epochs begun */

	/* The worker's. */
	_Alignas(64) struct seal_epoch *epoch;
	uint64_t end_ns; /* of the key */
	bool encrypted_kms; /* of records under the key that is there */
	int error; /* the KMS's last answer; SLK_OK: none, or a key came */
	uint64_t error_until_ns; /* how long it speaks for the KMS */
	uint32_t staged;
	struct dp_routes routes;
	struct dp_change *changing; /* shards that it closes may still hold records; NULL: none */
};

/* NULL allowed. */
void dp_feeds_free(struct dp_feed *feeds, uint32_t count);
void dp_routes_fini(struct dp_routes *routes);
/* NULL allowed. */
void dp_change_free(struct dp_change *change);
/* NULL allowed; shards must be empty and the epoch ended. */
void dp_stream_free(struct dp_stream *stream);

enum dp_ctl_op {
	DP_CTL_ADD, /* stream; change, if it was made in the middle of one: answered as RESHARD */
	DP_CTL_REMOVE, /* stream: seal what is staged under its last key, end its epoch, drop the rest; answered once that is
			* durable */
	DP_CTL_RESHARD, /* stream, change: answered once the last blocks of the shards that it closes are durable */
	DP_CTL_FEEDS, /* stream, feeds: the listeners that feed it from now on; the answer has those before */
	DP_CTL_OPEN, /* listener: take datagrams of that UDP port; its stream comes by FEEDS or ADD */
	DP_CTL_CLOSE, /* listener: take no more */
	DP_CTL_KEY, /* stream, key, end_ns: begin a new epoch */
	DP_CTL_END, /* stream, end_ns: the key ends then; 0: before the next block */
	DP_CTL_ERROR, /* stream, status: the KMS refused */
};

struct dp_ctl_listener {
	unsigned index;
	uint16_t udp_port;
	unsigned owner; /* the worker that writes its stream */
	uint32_t ports; /* bit p: of the worker's port p */
	enum dp_framing framing;
	uint32_t max_record_bytes;
};

struct dp_ctl {
	struct dp_ctl *next; /* of the worker, while it waits */
	enum dp_ctl_op op;
	unsigned worker; /* whose it is */
	struct dp_stream *stream; /* NULL for OPEN and CLOSE */
	struct dp_ctl_listener listener;
	struct dp_feed *feeds;
	uint32_t feed_count;
	struct dp_change *change; /* owned; NULL: none */
	uint64_t lsn; /* the worker's: answered when this is durable */
	struct kmsc_data_key key;
	uint64_t end_ns;
	uint64_t generation; /* KEY: of the machine, when it was asked for */
	int status; /* ERROR: the KMS's */
	int outcome; /* written by the worker */
};

/* One record of a client of the local port on its way: made and freed by the door, completed by the worker. */
struct dp_put {
	struct dp_put *next; /* of whoever holds it */
	uint64_t tag; /* the client's */
	uint64_t client; /* id, never given twice */
	uint32_t handle; /* of the client's attachment */
	unsigned slot;
	uint64_t stream_id;
	unsigned worker;
	int status; /* written by the worker, as is what follows */
	uint32_t shard;
	bool encrypted_kms;
	bool asked_again; /* its stream was found to be gone once */
	uint64_t sequence;
	uint64_t arrival_ns; /* Unix time */
	uint64_t lsn;
	uint32_t key_len;
	uint32_t data_len;
	uint8_t hash[16];
	uint8_t bytes[]; /* partition key, data */
};

#endif
