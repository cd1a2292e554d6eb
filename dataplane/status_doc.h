/* What the status socket says: one JSON object, gathered from counters that their threads go on writing.
 *
 *     {"program", "version", "pid", "rss_bytes", "uptime_s", "engine", "records", "bytes", "blocks", "frames", "datagrams", "replies", "puts", "staged",
 *      "clients", "client_hang_ups", "puts_refused", "keys", "kms": {"up", "error"}, "seal_ns": {"count", "p50", "p99", "p999", "max"}, "drops": {REASON: n, ...},
 *      "journal": {"integrity", "mirrored", "mirror_failed", "statements", "signatures", "unsigned", "read_back", "failures",
 *                  "trimmed_files", "trimmed_bytes", "trim_failures", "closed_files", "closed_bytes", "oldest_ns"},
 *      "streams": [{"name", "id", "shards", "key_age_s" (absent without a key), "key_error", "keys", "records", "bytes"}],
 *      "workers": [{"index", "records", "frames", "busy_cycles", "idle_cycles", "sleeps", "waits", "handed_over", "field_fallbacks", "durable", "appended", "flushes",
 *                   "flush_ns_last", "flush_ns_max", "rolls", "written_bytes", "epochs", "disk"}],
 *      "ports": [{"name", "type", "interface", "mac", "mtu", "worker", "queues", "steered", "received", "missed", "no_buffer", "errors", "sent"}]}
 *
 * Every reason of net/drop.h and loss.h is there, also with 0. Numbers only grow while the process lives, but gauges
 * ("staged", ages). Thread: the door's.
 */
#ifndef DP_STATUS_DOC_H
#define DP_STATUS_DOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "config.h"
#include "control.h"
#include "door.h"
#include "keeper.h"
#include "worker.h"

struct dp_status_sources {
	struct dp_control *control;
	const struct dp_keeper *keeper;
	const struct dp_door_counters *door;
	struct dp_worker **workers;
	unsigned worker_count;
	const struct jnl *journal; /* for its directories */
	const struct dp_config *config;
	uint64_t uptime_ns;
};

/* *out_text: malloc'ed, *out_len bytes. SLK_NO_MEMORY. */
MUST_USE int dp_status_doc(
	const struct dp_status_sources *sources, char **out_text, size_t *out_len);

/* Sums over all workers, for the summary at stop. */
struct dp_totals {
	uint64_t frames, datagrams, records, record_bytes, blocks, replies, puts, staged;
	uint64_t drops; /* of all reasons */
};
void dp_status_totals(
	struct dp_worker *const *workers, unsigned count, struct dp_totals *out_totals);

#endif
