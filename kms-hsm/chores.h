/* Work of the front that no request waits for. Internal to service.c and ops_*.c.
 *
 *     every tick     keys whose deletion is due become Destroying; keys whose rotation is due get a
 *                    successor in Creating; each once the line that says so is on disk
 *     as it comes    backing keys in Creating are made, those of Destroying keys are destroyed, one
 *                    call to the HSM at a time
 *
 * Each step may be cut short by a crash and is found and done again: the row is written before the
 * HSM is asked, and both questions to the HSM may be repeated. Thread: the front's loop.
 */
#ifndef KMS_HSM_CHORES_H
#define KMS_HSM_CHORES_H

#include "service.h"

/* To be called about once a second. */
void kms_chores_tick(struct kms_service *service);
/* Go on with what the HSM has to do; at every tick, and when something new is due (chores_wanted). */
void kms_chores_run(struct kms_service *service);

/* There is something new to make or to destroy. */
void kms_chores_want(struct kms_service *service);

/* Count the uptime up to now for all pending deletions. What a crash loses (a minute at most) only
 * makes them later. */
MUST_USE int kms_chores_count_time(struct kms_service *service);
/* Has the key's time come, by both clocks? Then it is beyond recall, though it may not be Destroying yet. */
bool kms_chores_is_over(const struct kms_service *service, const struct kms_key *key);
/* Make the keys Destroying that are over; done when the audit lines of this turn are on disk. */
MUST_USE int kms_chores_doom(struct kms_service *service);

/* The appliance's own key of a usage. If there is none, one is begun, in Creating, for the chores to make. The catalog's
 * errors. */
MUST_USE int kms_appliance_key(
	struct kms_service *service, enum kms_usage usage, struct kms_key *out_key);

/* A request about one backing key. */
void kms_backing_ask(const uint8_t backing_id[KMS_ID_BYTES], enum kms_spec spec,
	enum kms_usage usage, enum hsm_op op, struct hsm_request *out);
/* The token has made it: the first of a key makes the key Enabled, a successor becomes Current.
 * SLK_OK as well if that was done before, SLK_CORRUPT if it is another key. */
MUST_USE int kms_backing_made(struct kms_service *service, const uint8_t backing_id[KMS_ID_BYTES],
	const struct hsm_reply *reply);

#endif
