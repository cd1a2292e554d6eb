/* What the front and the monitor may still do once they have started. For good; the worker's is in
 * hsm/sandbox.h; kms-hsm/README.md has the table of all three.
 *
 * The filters and domains of the monitor are inherited by the processes that it starts, so it
 * denies only what none of them needs; each of them then confines itself further.
 *
 * Thread: start-up, while the process has one thread.
 */
#ifndef KMS_HSM_SANDBOX_H
#define KMS_HSM_SANDBOX_H

#include "base/error.h"
#include "base/status.h"
#include "config.h"

/* The front, when everything is open and before it listens to anybody. Limits (descriptors,
 * address space, no children), Landlock (the directories of catalog and audit log; removing its
 * socket), an allow-list of system calls (no new program, process, thread, socket or executable
 * page). What only an attacker asks for kills the process; the rest fails with EPERM. Logs one line
 * that says what holds, and a warning where the kernel lacks Landlock. SLK_CONFIG if too little
 * memory may be locked; SLK_SYSTEM ... with a sentence. */
MUST_USE int kms_sandbox_front(const struct kms_config *config, struct slk_error *err);

struct kms_sandbox_programs {
	const char *front, *worker; /* absolute paths */
};

/* The monitor, before it starts anything: undumpable, no core, no new privileges; of root's
 * capabilities KILL, SETGID and SETUID, bounding set included; Landlock (it and its children run
 * nothing but the two programs; where it is known what the worker writes, they write nothing else);
 * a deny-list of system calls (with a module that needs no network: also no socket but unix ones).
 * Logs one line. Errors as above. */
MUST_USE int kms_sandbox_monitor(const struct kms_config *config,
	const struct kms_sandbox_programs *programs, struct slk_error *err);

#endif
