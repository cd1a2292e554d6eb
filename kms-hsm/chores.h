/* Work of the front that no request waits for. Internal to service.c and ops_*.c. Thread: the
 * front's loop. */
#ifndef KMS_HSM_CHORES_H
#define KMS_HSM_CHORES_H

#include "service.h"

/* Go on with what is due, one call to the HSM at a time; at every tick, and when something new is
 * due (chores_wanted). */
void kms_chores_run(struct kms_service *service);

/* A request about one backing key. */
void kms_backing_ask(const uint8_t backing_id[KMS_ID_BYTES], enum kms_spec spec,
	enum kms_usage usage, enum hsm_op op, struct hsm_request *out);
/* The token has made it: the first of a key makes the key Enabled, a successor becomes Current.
 * SLK_OK as well if that was done before, SLK_CORRUPT if it is another key. */
MUST_USE int kms_backing_made(struct kms_service *service, const uint8_t backing_id[KMS_ID_BYTES],
	const struct hsm_reply *reply);

#endif
