/* /metrics for Prometheus and /healthz, on a listener of their own that counts against no limit of the API's. */
#ifndef GATEWAY_MONITOR_H
#define GATEWAY_MONITOR_H

#include "access_log.h"
#include "app.h"

struct gw_monitor {
	struct http_server *server; /* set once it is made */
	struct gw_app *app;
	struct gw_access_log *access_log; /* NULL: none */
	const char *version;
	uint64_t started_ns; /* monotonic */
	bool is_draining; /* /healthz answers 503, so that balancers go elsewhere; __atomic */
};

extern const struct http_handler gw_monitor_handler; /* its arg: a struct gw_monitor */

/* All of /metrics. SLK_NO_MEMORY. free() *out_text. */
MUST_USE int gw_monitor_metrics(const struct gw_monitor *monitor, char **out_text, size_t *out_len);

#endif
