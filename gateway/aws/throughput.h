/* What a shard of a provisioned stream takes and gives, as Kinesis has it: 1 MiB and 1,000 records written a second, 2 MiB and 5 calls
 * read a second. Each has what a second allows at hand and gets it back steadily; a read is counted when it is over, so one of
 * 10 MiB shuts the shard for five seconds. One for all threads; what is full again is forgotten. Thread: any. Internal to aws/. */
#ifndef GATEWAY_AWS_THROUGHPUT_H
#define GATEWAY_AWS_THROUGHPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define GW_SHARD_WRITE_BYTES (1u << 20)
#define GW_SHARD_WRITE_RECORDS 1000u
#define GW_SHARD_READ_BYTES (2u << 20)
#define GW_SHARD_READ_CALLS 5u
/* And what a delivery stream of direct puts takes in a second, as Firehose has it. */
#define GW_DELIVERY_BYTES (5u << 20)
#define GW_DELIVERY_RECORDS 5000u
#define GW_DELIVERY_CALLS 2000u

struct gw_throughput;
MUST_USE int gw_throughput_new(struct gw_throughput **out);
void gw_throughput_free(struct gw_throughput *t); /* NULL allowed */

/* One record of bytes to a shard. false: it takes no more now, and nothing was counted. */
bool gw_throughput_write(
	struct gw_throughput *t, uint64_t stream_id, uint32_t shard, size_t bytes, uint64_t now_ns);
/* One GetRecords. false: likewise. */
bool gw_throughput_read(
	struct gw_throughput *t, uint64_t stream_id, uint32_t shard, uint64_t now_ns);
/* What it gave. */
void gw_throughput_was_read(
	struct gw_throughput *t, uint64_t stream_id, uint32_t shard, size_t bytes, uint64_t now_ns);
/* One call to a delivery stream, and each record of it. false: no more now, and nothing was counted. */
bool gw_throughput_call(struct gw_throughput *t, uint64_t delivery_id, uint64_t now_ns);
bool gw_throughput_put(
	struct gw_throughput *t, uint64_t delivery_id, size_t bytes, uint64_t now_ns);

#endif
