/* Privileges of ingestd: which a port needs, locking memory, and giving everything else up.
 *
 * Capabilities belong to threads, and DPDK starts threads of its own before the privileges go. So lowering is done in
 * every thread: a signal makes each one call capset() for itself, and the result is read back from /proc. Kept: CAP_IPC_LOCK
 * everywhere (a locked process cannot map memory without it where the memlock limit is small), CAP_NET_ADMIN in the main
 * thread where an XDP program has to be detached at stop. Thread: main, at start.
 */
#ifndef DP_PRIV_H
#define DP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

/* SLK_DENIED with a sentence that names what the effective set lacks of mask (bits 1 << CAP_...). who: "port wire0
 * (af_xdp)". */
MUST_USE int dp_priv_need(const char *who, uint64_t mask, struct slk_error *err);

/* Lock the process's memory, present and future, on fault. If that is not possible: SLK_DENIED with a sentence, unless
 * allow_unlocked. *out_locked says what was reached. */
MUST_USE int dp_priv_lock_memory(bool allow_unlocked, bool *out_locked, struct slk_error *err);

/* Become run_as (NULL: stay; refused for root: SLK_CONFIG), with its groups, and give up every capability but
 * CAP_IPC_LOCK, in all threads, and CAP_NET_ADMIN in the caller's thread if keep_net_admin. */
MUST_USE int dp_priv_drop(const char *run_as, bool keep_net_admin, struct slk_error *err);

/* In a thread made after dp_priv_drop(): give up CAP_NET_ADMIN too. */
MUST_USE int dp_priv_thread_lower(void);

#endif
