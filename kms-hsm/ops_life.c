/* What changes the state of a key: description, enable, disable, deletion.
 *
 *     operation             Creating  Enabled  Disabled  PendingDeletion
 *     UpdateKeyDescription  ok        ok       ok        P
 *     EnableKey, DisableKey C         ok       ok        P
 *     ScheduleKeyDeletion   C         ok       ok        P
 *     CancelKeyDeletion     N         N        N         ok
 *
 * P, C, N: KMSInvalidStateException, "is pending deletion", "is creating", "is not pending deletion".
 */
#include "call.h"

#define NOT_ENDING \
	(KMS_BIT(KMS_KEY_CREATING) | KMS_BIT(KMS_KEY_ENABLED) | KMS_BIT(KMS_KEY_DISABLED))
#define MADE (KMS_BIT(KMS_KEY_ENABLED) | KMS_BIT(KMS_KEY_DISABLED))

#define WINDOW_DAYS_MIN 7u
#define WINDOW_DAYS_MAX 30u

/* A key of the customer's, by its id or ARN, in one of the states. */
static int
find(struct kms_call *call, const char *text, unsigned states)
{
	int rc = kms_call_find_key_itself(call, call->action, text, &call->key);

	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	if (rc == SLK_OK)
		rc = kms_call_key_in(call, &call->key, states);
	return rc;
}

void
kms_op_update_key_description(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UpdateKeyDescription *in = request->update_key_description;

	if (kms_call_check_description(call, in->description) != SLK_OK ||
		find(call, in->key, NOT_ENDING) != SLK_OK)
		return;
	kms_call_end(call,
		kms_catalog_description_set(
			call->service->parts.catalog, call->key.id, in->description));
}

void
kms_op_enable_key(struct kms_call *call, const Kmsp__Request *request)
{
	if (find(call, request->enable_key->key, MADE) == SLK_OK)
		kms_call_end(call,
			kms_catalog_key_switch(call->service->parts.catalog, call->key.id, true));
}

void
kms_op_disable_key(struct kms_call *call, const Kmsp__Request *request)
{
	if (find(call, request->disable_key->key, MADE) == SLK_OK)
		kms_call_end(call,
			kms_catalog_key_switch(call->service->parts.catalog, call->key.id, false));
}

/* --- deletion --- */

static void
answer_changed(struct kms_call *call, int rc)
{
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(call->service->parts.catalog, call->key.id, &call->key);
	if (rc == SLK_OK)
		kms_answer_key(call);
	else
		kms_call_fail_catalog(call, rc);
}

static int
check_window(struct kms_call *call, uint32_t days)
{
	if (days >= WINDOW_DAYS_MIN && days <= WINDOW_DAYS_MAX)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value '%u' at 'pendingWindowInDays' failed to "
		"satisfy constraint: Member must have value %s than or equal to %u",
		days, days < WINDOW_DAYS_MIN ? "greater" : "less",
		days < WINDOW_DAYS_MIN ? WINDOW_DAYS_MIN : WINDOW_DAYS_MAX);
	return SLK_INVALID;
}

void
kms_op_schedule_key_deletion(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__ScheduleKeyDeletion *in = request->schedule_key_deletion;
	uint32_t days = in->pending_window_days != 0 ? in->pending_window_days : WINDOW_DAYS_MAX;
	struct kms_service *s = call->service;

	call->facts.window_days = days;
	if (check_window(call, days) != SLK_OK || find(call, in->key, MADE) != SLK_OK)
		return;
	/* What passed before must not count for this key. */
	int rc = kms_chores_count_time(s);
	if (rc == SLK_OK)
		rc = kms_catalog_key_schedule(
			s->parts.catalog, call->key.id, slk_wall_ns(s->parts.clock), days);
	answer_changed(call, rc);
}

void
kms_op_cancel_key_deletion(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;

	int rc = kms_chores_count_time(s);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	if (find(call, request->cancel_key_deletion->key, KMS_BIT(KMS_KEY_PENDING_DELETION)) !=
		SLK_OK)
		return;
	if (kms_chores_is_over(s, &call->key)) { /* to the second */
		rc = kms_chores_doom(s); /* before the answer leaves */
		if (rc != SLK_OK)
			kms_call_fail_catalog(call, rc);
		else
			kms_call_fail(call, SLK_NOT_FOUND, "NotFoundException",
				"Key '%s' does not exist", call->resource);
		return;
	}
	answer_changed(call, kms_catalog_key_cancel(s->parts.catalog, call->key.id));
}
