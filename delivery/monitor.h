/* What is said of deliverd: /metrics and /healthz over HTTP, and one document of JSON for each connection to the status socket.
 *
 * Two threads, each serving one connection at a time for two seconds at most. Nothing of a record, no key and no secret of a
 * description is in either; names and ARNs are.
 */
#ifndef DELIVERY_MONITOR_H
#define DELIVERY_MONITOR_H

#include "buffer.h"
#include "config.h"
#include "service.h"

struct dlv_monitor;
/* Opens both sockets. config and version are borrowed. SLK_SYSTEM with a sentence, SLK_EXISTS, SLK_NO_MEMORY. */
MUST_USE int dlv_monitor_new(const struct dlv_config *config, const char *version,
	struct dlv_monitor **out_monitor, struct slk_error *err);
/* What is asked from now on is answered; what was asked before, too. */
MUST_USE int dlv_monitor_start(struct dlv_monitor *monitor, struct dlv_service *service,
	const struct dlv_pool *pool, struct slk_error *err);
void dlv_monitor_drain(struct dlv_monitor *monitor); /* /healthz answers 503 */
void dlv_monitor_free(struct dlv_monitor *monitor); /* ends the threads; NULL allowed */

#endif
