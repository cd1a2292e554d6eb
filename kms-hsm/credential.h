/* The PIN that is handed to kmsd by a descriptor, for the worker alone.
 *
 * The monitor opens a systemd credential as root, for only root can, or takes the descriptor that it
 * was started with, and passes it on to each worker that it starts. It never reads from it.
 *
 * Thread: start-up.
 */
#ifndef KMS_HSM_CREDENTIAL_H
#define KMS_HSM_CREDENTIAL_H

#include "base/error.h"
#include "base/status.h"
#include "config.h"

/* handed_fd: of --pin-fd, 0 if there is none; it is then owned by the caller's *out_fd. *out_fd: 0 if
 * the worker is to read hsm.pin_file by itself. SLK_CONFIG with a sentence: no way or more than one,
 * a credential that systemd did not give, or a descriptor that is not a regular file. */
MUST_USE int kms_credential_open(
	const struct kms_config_hsm *hsm, int handed_fd, int *out_fd, struct slk_error *err);

#endif
