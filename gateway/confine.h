/* What sealock-gatewayd may do: first less than root, in the end hardly anything. For good. Thread: start-up, while the process
 * has one thread.
 *
 *     gw_confine_become()   as user, with CAP_NET_BIND_SERVICE only
 *     (open listeners, log, app)
 *     gw_confine()          without capabilities; Landlock: reads certificate and journal, writes the log; no TCP but what is
 *                           open; an allow-list of system calls: no programs, no processes, unix sockets only
 */
#ifndef GATEWAY_CONFINE_H
#define GATEWAY_CONFINE_H

#include "base/error.h"
#include "config.h"

/* config->user; NULL: stay, which root may not (SLK_CONFIG). SLK_DENIED: another user than root cannot change. */
MUST_USE int gw_confine_become(const struct gw_config *config, struct slk_error *err);
/* Logs one line that says what holds. SLK_CONFIG if too few files may be opened; SLK_SYSTEM ... with a sentence. */
MUST_USE int gw_confine(const struct gw_config *config, struct slk_error *err);

#endif
