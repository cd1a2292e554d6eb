/* Signed heads of the audit log: the appliance's attestation key signs how far the chain is (format/audit.h).
 *
 *     idle ──(due: an interval or a count of lines has passed, the file was rotated, kmsd stops)──► asked ──► idle
 *
 * Signing goes through the link to the HSM and no answer waits for it; without an HSM it is tried again, and status says so.
 * The key is made when the first head is due. Only the front signs for the purpose "audit" (ops_attest.c refuses it to
 * everybody). Internal to service.c. Thread: the front's loop.
 */
#ifndef KMS_HSM_HEADS_H
#define KMS_HSM_HEADS_H

#include "catalog.h"
#include "format/audit.h"
#include "hsm/link.h"

#define KMS_HEADS_INTERVAL_S 60u
#define KMS_HEADS_LINES 10000u

struct kms_service;

struct kms_heads {
	struct kms_service *service;
	uint64_t interval_ns, lines_max;
	bool wanted; /* at once */
	bool last; /* kmsd stops: no key is made for it */
	bool asked;
	struct fmt_audit_point of; /* what the HSM was asked to sign */
	struct kms_key key;
	uint64_t signed_seq; /* 0: none since the start */
	uint64_t wall_signed_ns;
	uint64_t mono_last_ns; /* of the start, or the last head */
	uint64_t mono_retry_ns;
	char error[HSM_ERROR_MAX]; /* a sentence; "" if the last one was signed */
};

/* interval_s, lines_max: 0 for the defaults. */
void kms_heads_init(struct kms_heads *heads, struct kms_service *service, uint32_t interval_s,
	uint32_t lines_max);
/* Sign if it is due. */
void kms_heads_tick(struct kms_heads *heads);
/* kmsd stops: sign what is not signed yet, if that can be done now. */
void kms_heads_stop(struct kms_heads *heads);
/* Nothing is asked, and nothing will be before the next line. */
bool kms_heads_quiet(const struct kms_heads *heads);

#endif
