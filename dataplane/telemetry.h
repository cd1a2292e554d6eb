/* DPDK's own telemetry socket (dpdk-telemetry.py), beside which ingestd answers:
 *
 *     /sealock/workers      per worker: frames, records, bytes, blocks, sleeps, appended and durable positions
 *     /sealock/drops[,N]    every drop reason with its count, of all workers or of worker N
 *
 * The socket exists only with `eal.telemetry: true`; whoever may enter DPDK's runtime directory may ask. The callbacks run in
 * DPDK's thread and only read counters. Thread: main, for both functions.
 */
#ifndef DP_TELEMETRY_H
#define DP_TELEMETRY_H

#include "base/error.h"
#include "base/status.h"
#include "worker.h"

/* workers: borrowed until dp_telemetry_stop(). SLK_SYSTEM. */
MUST_USE int dp_telemetry_start(
	struct dp_worker *const *workers, unsigned count, struct slk_error *err);
/* No callback looks at a worker afterwards. Without a start: nothing. */
void dp_telemetry_stop(void);

#endif
