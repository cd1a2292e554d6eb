/* What sealock-deliverd may do: first less than root, in the end hardly anything. For good. Thread: start-up, while the process has
 * one thread.
 *
 *     dlv_confine_become()   as user, without capabilities
 *     (open sockets, the loop)
 *     dlv_confine()          Landlock: reads journal, credentials, certificates, zones and what names are looked up by; writes
 *                            state and the directories of stores. An allow-list of system calls: no programs, no processes.
 *
 * TCP is what it is for: it may connect anywhere; which servers it will is deliverd.yaml's.
 */
#ifndef DELIVERY_CONFINE_H
#define DELIVERY_CONFINE_H

#include "config.h"

/* config->user; NULL: stay, which root may not (SLK_CONFIG). SLK_DENIED: another user than root cannot change. */
MUST_USE int dlv_confine_become(const struct dlv_config *config, struct slk_error *err);
/* Logs one line that says what holds. SLK_CONFIG if too little memory may be locked; SLK_SYSTEM ... with a sentence. */
MUST_USE int dlv_confine(const struct dlv_config *config, struct slk_error *err);

#endif
