/* Rotation of symmetric keys: automatic by period, on demand, and what became of it.
 *
 *     operation                       Creating  Enabled  Disabled  PendingDeletion
 *     Enable-, DisableKeyRotation,
 *     RotateKeyOnDemand               C         ok       D         P
 *     GetKeyRotationStatus            ok        ok       ok        ok, reports false
 *     ListKeyRotations                ok        ok       ok        ok
 *
 * The token makes a new backing key, then one transaction makes it Current: a wrap is under the one
 * before or under the new one. Old ones decrypt only. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "call.h"

#define PERIOD_DAYS_MIN 90u
#define PERIOD_DAYS_MAX 2560u
#define PERIOD_DAYS_DEFAULT 365u
#define SOON_NS \
	(20 * 60 * SLK_NS_PER_S) /* a rotation on demand just before one by period is refused */

/* Enabled and symmetric. */
static int
check_rotates(struct kms_call *call)
{
	int rc = kms_call_key_usable(call, &call->key);

	if (rc != SLK_OK || kms_spec_is_symmetric(call->key.spec))
		return rc;
	kms_call_fail(call, SLK_UNSUPPORTED, "UnsupportedOperationException", "%s", "");
	return SLK_UNSUPPORTED;
}

/* A key of the customer's that rotates. */
static int
find(struct kms_call *call, const char *text)
{
	int rc = kms_call_find_key_itself(call, call->action, text, &call->key);

	if (rc == SLK_OK)
		rc = kms_call_key_direct(call, &call->key);
	return rc == SLK_OK ? check_rotates(call) : rc;
}

void
kms_op_enable_key_rotation(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__EnableKeyRotation *in = request->enable_key_rotation;
	uint32_t days = in->period_days != 0 ? in->period_days : PERIOD_DAYS_DEFAULT;
	struct kms_service *s = call->service;

	if (days < PERIOD_DAYS_MIN || days > PERIOD_DAYS_MAX) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value '%u' at 'rotationPeriodInDays' failed "
			"to satisfy constraint: Member must have value %s than or equal to %u",
			days, days < PERIOD_DAYS_MIN ? "greater" : "less",
			days < PERIOD_DAYS_MIN ? PERIOD_DAYS_MIN : PERIOD_DAYS_MAX);
		return;
	}
	call->facts.rotation_days = days;
	if (find(call, in->key) != SLK_OK)
		return;
	kms_call_end(call,
		kms_catalog_rotation_set(s->parts.catalog, call->key.id, days,
			slk_wall_ns(s->parts.clock) + days * KMS_DAY_NS));
}

void
kms_op_disable_key_rotation(struct kms_call *call, const Kmsp__Request *request)
{
	if (find(call, request->disable_key_rotation->key) == SLK_OK)
		kms_call_end(call,
			kms_catalog_rotation_set(call->service->parts.catalog, call->key.id, 0, 0));
}

/* --- status and history --- */

static void
answer_rotation(struct kms_call *call)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Rotation out = KMSP__ROTATION__INIT;
	struct kms_service *s = call->service;
	struct kms_backing next;
	char arn[KMS_ARN_MAX];

	int rc = kms_catalog_backing_next(s->parts.catalog, call->key.id, &next);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	if (rc == SLK_OK && next.kind == KMS_BACKING_ON_DEMAND)
		out.on_demand_start_ns = next.created_ns;
	kms_arn_key(&s->parts.realm, call->key.id, arn);
	out.key_arn = arn;
	out.enabled = call->key.rotation_days > 0 && call->key.state != KMS_KEY_PENDING_DELETION;
	out.period_days = out.enabled ? call->key.rotation_days : 0;
	out.next_ns = out.enabled ? call->key.rotation_next_ns : 0;
	reply.result_case = KMSP__REPLY__RESULT_ROTATION;
	reply.rotation = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_get_key_rotation_status(struct kms_call *call, const Kmsp__Request *request)
{
	if (kms_call_find_key_itself(call, call->action, request->get_key_rotation_status->key,
		    &call->key) == SLK_OK)
		answer_rotation(call);
}

struct entry_text {
	char material[KMS_MATERIAL_TEXT];
	char backing[2 * KMS_ID_BYTES + 1];
};

static void
message_entry(const struct kms_backing *b, Kmsp__RotationEntry *out, struct entry_text *text)
{
	kms_material_print(b->key_id, b->id, text->material);
	slk_hex(slk_span(b->id, sizeof(b->id)), text->backing, sizeof(text->backing));
	kmsp__rotation_entry__init(out);
	out->material_id = text->material;
	out->backing_id = text->backing;
	out->date_ns = b->current_ns;
	out->on_demand = b->kind == KMS_BACKING_ON_DEMAND;
	out->first = b->kind == KMS_BACKING_FIRST;
	out->current = b->state == KMS_BACKING_CURRENT;
	out->wraps_reserved = b->wraps_reserved;
}

/* The marker is the generation of the last entry. */
static int
parse_marker(const char *marker, uint32_t *out_after)
{
	char *end = NULL;
	unsigned long after = 0;

	if (marker[0] != '\0') {
		after = strtoul(marker, &end, 10);
		if (marker[0] < '0' || marker[0] > '9' || *end != '\0' || after > UINT32_MAX)
			return SLK_INVALID;
	}
	*out_after = (uint32_t)after;
	return SLK_OK;
}

void
kms_op_list_key_rotations(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_backing backings[KMSP_PAGE_MAX + 1]; /* one thread */
	static Kmsp__RotationEntry storage[KMSP_PAGE_MAX], *list[KMSP_PAGE_MAX];
	static struct entry_text texts[KMSP_PAGE_MAX];
	const Kmsp__ListOfKey *in = request->list_key_rotations;
	size_t found = 0, limit = kms_page(in->limit);
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Rotations out = KMSP__ROTATIONS__INIT;
	char next[16];
	uint32_t after;

	if (parse_marker(in->marker, &after) != SLK_OK) {
		kms_call_bad_marker(call);
		return;
	}
	if (kms_call_find_key_itself(call, call->action, in->key, &call->key) != SLK_OK)
		return;
	int rc = kms_catalog_backing_list(
		call->service->parts.catalog, call->key.id, after, backings, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_rotations = found < limit ? found : limit;
	out.rotations = list;
	for (size_t i = 0; i < out.n_rotations; i++) {
		message_entry(&backings[i], &storage[i], &texts[i]);
		list[i] = &storage[i];
	}
	if (found > limit) {
		(void)snprintf(next, sizeof(next), "%u", backings[limit - 1].generation);
		out.next = next;
	}
	reply.result_case = KMSP__REPLY__RESULT_ROTATIONS;
	reply.rotations = &out;
	kms_call_ok(call, &reply);
}

/* --- on demand --- */

static int
refuse_conflict(struct kms_call *call, const char *why)
{
	kms_call_fail(call, SLK_INVALID_STATE, "ConflictException", "%s: %s", call->resource, why);
	return SLK_INVALID_STATE;
}

static int
check_conflict(struct kms_call *call)
{
	struct kms_service *s = call->service;
	struct kms_backing next;

	int rc = kms_catalog_backing_next(s->parts.catalog, call->key.id, &next);
	if (rc == SLK_OK)
		return refuse_conflict(call, "a rotation of this key is in progress");
	if (rc != SLK_NOT_FOUND) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (call->key.rotation_days > 0 &&
		call->key.rotation_next_ns <= slk_wall_ns(s->parts.clock) + SOON_NS)
		return refuse_conflict(
			call, "an automatic rotation of this key is due within 20 minutes");
	return SLK_OK;
}

static int
check_limit(struct kms_call *call)
{
	struct kms_service *s = call->service;
	uint32_t max = s->parts.on_demand_max != 0 ? s->parts.on_demand_max : KMS_ON_DEMAND_MAX;
	uint32_t count = 0;

	int rc = kms_catalog_on_demand_count(s->parts.catalog, call->key.id, &count);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (count < max)
		return SLK_OK;
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"The on-demand rotations limit has been reached for the given keyId. No more "
		"on-demand rotations can be performed for this key: %s",
		call->resource);
	return SLK_LIMIT;
}

static void
rotated(struct kms_call *call, const struct hsm_reply *reply)
{
	struct kms_service *s = call->service;

	int rc = kms_backing_made(s, call->backing_id, reply);
	if (rc == SLK_OK)
		rc = kms_catalog_key_get(s->parts.catalog, call->key.id, &call->key);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_rotation(call);
}

/* The appliance's own key may be rotated by its administrators, too: after a compromise, say. */
void
kms_op_rotate_key_on_demand(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	struct hsm_request ask;

	if (kms_call_find_key_itself(
		    call, call->action, request->rotate_key_on_demand->key, &call->key) != SLK_OK ||
		check_rotates(call) != SLK_OK || check_conflict(call) != SLK_OK ||
		check_limit(call) != SLK_OK)
		return;
	if (s->health.state != HSM_READY) {
		kms_call_fail(call, SLK_UNAVAILABLE, "KeyUnavailableException",
			"the HSM is not available, so no new key material can be made: %s",
			s->health.text);
		return;
	}
	int rc = slk_random(call->backing_id, sizeof(call->backing_id));
	if (rc == SLK_OK)
		rc = kms_catalog_backing_begin(s->parts.catalog, call->key.id, call->backing_id,
			KMS_BACKING_ON_DEMAND, slk_wall_ns(s->parts.clock));
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	call->has_backing = true;
	/* If this fails, the rotation stays in progress, and the next pass finishes it. */
	kms_chores_want(s);
	kms_backing_ask(call->backing_id, call->key.spec, call->key.usage, HSM_CREATE_KEY, &ask);
	ask.mono_deadline_ns = kms_call_hsm_deadline(call);
	kms_call_hsm(call, &ask, rotated);
}
