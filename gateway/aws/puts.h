/* Records on their way into the journal, for the calls that put them. Internal to aws/.
 *
 *     gw_put_new() ── records are filled in, the caller is allowed ── gw_put_begin() ──► done, or failed
 *
 * done is called when every record has its completion, and one of them was stored, or what became of each is to be told; failed
 * when none was: the stream takes no records, its key cannot be used, ingestd is away. A call that ends before takes its put back.
 * Thread: the loop's.
 */
#ifndef GATEWAY_AWS_PUTS_H
#define GATEWAY_AWS_PUTS_H

#include "aws/call.h"

#define GW_RECORD_BYTES_MAX (1u << 20) /* data and key, of one record */

struct gw_put_record {
	struct slk_span key, data;
	bool has_hash;
	uint8_t hash[16];
	/* Its completion; SLK_THROTTLED before it begins: its shard, as set, takes no more, and it is not put. */
	int status;
	uint32_t shard;
	uint64_t sequence, arrival_ns;
	bool encrypted_kms;
};

/* The first member of what an operation keeps, which is call->user; in the call's arena. */
struct gw_put {
	struct gw_call *call;
	struct gw_put_record *records;
	uint32_t count;
	bool single; /* the answer is about one record: what became of it is the call's end */
	const char *target; /* name or ARN of the journal's stream */
	void (*done)(struct gw_call *call);
	void (*failed)(struct gw_call *call, int status, const char *sentence);
	/* puts.c: */
	struct gw_put *next; /* among those that wait */
	uint32_t attached; /* the producer's number */
	bool has_slot, waits;
	uint32_t slot, given, finished;
	uint64_t deadline_ns;
};

/* bytes: of the struct that begins with one. NULL: the fault is set. */
struct gw_put *gw_put_new(struct gw_call *call, size_t bytes, uint32_t count);
void gw_put_begin(struct gw_put *put);

#endif
