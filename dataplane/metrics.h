/* What Prometheus gets: the counters of ingestd as text (exposition format 0.0.4), over HTTP on an address of its own.
 *
 * A thread serves one connection at a time, for two seconds at most; it knows GET /metrics and nothing else, and reads
 * counters that others go on writing. Off unless `metrics.listen` names an address: there is no authentication, so name a
 * loopback address, or let a firewall decide. Nothing of a record, no key and no principal is in it; streams are, by name.
 */
#ifndef DP_METRICS_H
#define DP_METRICS_H

#include <stddef.h>

#include "base/error.h"
#include "base/status.h"
#include "status_doc.h"

struct dp_metrics;

/* *out_text: malloc'ed, *out_len bytes. SLK_NO_MEMORY. Thread: any. */
MUST_USE int dp_metrics_text(
	const struct dp_status_sources *sources, char **out_text, size_t *out_len);

/* Listen at sources->config->metrics. What sources points to is borrowed, uptime_ns is the monotonic time of the start.
 * SLK_SYSTEM with a sentence, SLK_NO_MEMORY. Thread: main. */
MUST_USE int dp_metrics_new(const struct dp_status_sources *sources,
	struct dp_metrics **out_metrics, struct slk_error *err);
void dp_metrics_free(struct dp_metrics *metrics); /* after the thread has ended; NULL allowed */

/* The thread's function; ends after dp_metrics_stop(). arg: struct dp_metrics. */
void *dp_metrics_run(void *arg);
void dp_metrics_stop(struct dp_metrics *metrics);

#endif
