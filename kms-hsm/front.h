/* The front process of kmsd: everything but the token (RPC, catalog, policy, audit).
 *
 * `sealock-kmsd --config FILE` is the monitor; it starts itself again with --front under
 * front_user, with a control socket at descriptor HSM_MONITOR_FD and SIGTERM unblocked, and
 * restarts it when it ends. The front hands the descriptor to hsm_link_new(), which receives the
 * workers' sockets by itself.
 */
#ifndef KMS_HSM_FRONT_H
#define KMS_HSM_FRONT_H

#include "base/error.h"
#include "base/status.h"

struct kms_config;

/* Serve until SIGTERM, or until the monitor is gone (hsm_link_poll() answers SLK_CLOSED). Returns
 * the process's exit status: 0 after a clean stop, 1 after a start that may succeed later, 2 if the
 * configuration makes it useless to start again (the monitor then stops too). monitor_fd belongs to
 * the front. Logs by itself. */
MUST_USE int kms_front_run(const struct kms_config *config, int monitor_fd);

#endif
