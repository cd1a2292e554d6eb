/* The control socket between monitor and front: taking a message and the descriptor that may come with it.
 *
 * Format: hsm/wire.h. Thread: any.
 */
#ifndef KMS_HSM_HSM_CONTROL_H
#define KMS_HSM_HSM_CONTROL_H

#include "base/status.h"
#include "hsm/wire.h"

/* One message, without waiting. *out_fd is the caller's, -1 if none came (HSM_CONTROL_WORKER has one, others have none).
 * SLK_AGAIN, SLK_CLOSED, SLK_MALFORMED, SLK_BAD_VERSION and others; then there is no descriptor. */
MUST_USE int hsm_control_receive(int fd, struct hsm_control *out_control, int *out_fd);

#endif
