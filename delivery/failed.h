/* Records in the error output, as Firehose writes them: one JSON object per line.
 *
 *     {"attemptsMade":3,"arrivalTimestamp":MS,"errorCode":"...","errorMessage":"...","attemptEndingTimestamp":MS,
 *      "rawData":"BASE64","deliveryId":"UUID","shardId":"shardId-000000000000","sequenceNumber":"12"}
 *
 * The last three are ours: whoever repairs and sends them again finds what they were. Thread: one at a time.
 */
#ifndef DELIVERY_FAILED_H
#define DELIVERY_FAILED_H

#include "batch.h"

struct dlv_failure {
	unsigned attempts;
	uint64_t ended_ns; /* Unix time of the last attempt's end */
	const char *code, *message; /* no content of records */
};
/* Append the entry's line to out. SLK_LIMIT, SLK_NO_MEMORY: nothing is appended. */
MUST_USE int dlv_failed_line(const struct dlv_batch *batch, const struct dlv_entry *entry,
	const struct dlv_failure *failure, struct dlv_buffer *out);

#endif
