/* How long to wait before something of the HSM is tried again: the token, by the worker, and the worker, by the monitor.
 *
 * 100 ms, 200 ms ... doubled up to a last step, a quarter more or less each, so that several workers do not come back in
 * step. Whatever came back is found within the last step and a quarter of it: HSM_BACKOFF_LAST_NS keeps that below 4 s,
 * for service has to be back within 5 s of the HSM and a try takes its time, too.
 *
 * Thread: any. */
#ifndef KMS_HSM_HSM_BACKOFF_H
#define KMS_HSM_HSM_BACKOFF_H

#include <stdint.h>

#include "base/clock.h"

#define HSM_BACKOFF_FIRST_NS (100 * SLK_NS_PER_MS)
#define HSM_BACKOFF_LAST_NS (3 * SLK_NS_PER_S)

/* What to wait after the try that failed, the tries-th from 0. */
uint64_t hsm_backoff_ns(unsigned tries, uint64_t first_ns, uint64_t last_ns);

/* The same with the jitter given: 0 is a quarter less, UINT16_MAX a quarter more. */
uint64_t hsm_backoff_with(unsigned tries, uint64_t first_ns, uint64_t last_ns, uint16_t jitter);

#endif
