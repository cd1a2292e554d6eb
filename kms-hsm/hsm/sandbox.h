/* What the worker may still do once the module is loaded, by profile. For good, and for all threads.
 *
 * HSM_SANDBOX_ALLOW lists the system calls that glibc, SoftHSM and OpenSSL need. Everything else
 * fails with EPERM (sockets among it, which SoftHSM wants for syslog only), so that another glibc
 * costs a feature and not the service; what only an attacker would ask for (a new program or
 * process, tracing, other users, io_uring) kills the process. Landlock leaves the files of
 * hsm/paths.h, no TCP, no signals to others.
 *
 * HSM_SANDBOX_DENY, for vendors' modules that talk to a network and start threads of their own,
 * allows everything but what a module never needs: exec, fork, ptrace, reading other processes,
 * mounting, loading code into the kernel, keyrings, io_uring, changing users; these fail with
 * EPERM. Landlock leaves it no program to run; files are confined only if hsm.module_paths says
 * what the module reads and writes, for nobody else knows. A warning says so.
 */
#ifndef KMS_HSM_HSM_SANDBOX_H
#define KMS_HSM_HSM_SANDBOX_H

#include "base/error.h"
#include "base/status.h"
#include "hsm/options.h"

/* Call when the module is loaded and before any thread is made. Logs one line that says what holds.
 * SLK_CONFIG if too little memory may be locked or few files opened, SLK_SYSTEM ... with a
 * sentence. */
MUST_USE int hsm_sandbox_enter(const struct hsm_options *options, struct slk_error *err);

#endif
