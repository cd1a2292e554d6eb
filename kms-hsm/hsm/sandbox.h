/* System-call filters for the worker, by profile.
 *
 * HSM_SANDBOX_ALLOW lists what glibc, SoftHSM and OpenSSL need. Everything else fails with EPERM
 * (sockets among it, which SoftHSM wants for syslog only), so that another glibc costs a feature
 * and not the service; what only an attacker would ask for (a new program or process, tracing,
 * other users) kills the process. HSM_SANDBOX_DENY, for vendors' modules that talk to a network and
 * start threads of their own, allows everything but the things that a module never needs: exec,
 * fork, ptrace, reading other processes, mounting, loading code into the kernel, keyrings, changing
 * users; these fail with EPERM. Both hold for all threads and for good.
 */
#ifndef KMS_HSM_HSM_SANDBOX_H
#define KMS_HSM_HSM_SANDBOX_H

#include "base/error.h"
#include "base/status.h"
#include "hsm/profile.h"

/* Call when the module is loaded and before any thread is made. SLK_SYSTEM with a sentence. */
MUST_USE int hsm_sandbox_enter(enum hsm_sandbox kind, struct slk_error *err);

#endif
