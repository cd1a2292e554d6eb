/* Building a system-call filter from lists of names (libseccomp). The lists are the programs' own:
 * the worker's in hsm/sandbox.c, front's and monitor's in kms-hsm/sandbox.c.
 *
 * A name that this machine or this libseccomp does not know is left out. Calls of another
 * architecture (32-bit, x32) always kill the process. Functions return a libseccomp code, 0 or
 * -errno, and hsm_filter_load() makes a sentence of it. Thread: start-up.
 */
#ifndef KMS_HSM_HSM_FILTER_H
#define KMS_HSM_HSM_FILTER_H

#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

/* What only an attacker would ask for, in every process of kmsd: tracing and reading others,
 * mounting, namespaces, loading code into the kernel, keyrings, io_uring (which a filter cannot
 * see into), handles, clocks, devices. Not in it: programs, processes, users. */
extern const char *const hsm_filter_hostile[];
extern const size_t hsm_filter_hostile_count;

MUST_USE int hsm_filter_add(
	scmp_filter_ctx filter, uint32_t action, const char *const *names, size_t count);

/* Install the filter if rc is 0, and free it in any case (NULL allowed). Sets no_new_privs.
 * SLK_SYSTEM and others with a sentence. */
MUST_USE int hsm_filter_load(scmp_filter_ctx filter, int rc, struct slk_error *err);

#endif
