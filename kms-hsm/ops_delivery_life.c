/* What changes a delivery stream that is there: UpdateDestination, encryption, DeleteDeliveryStream; and what deliverd says and
 * asks about that: DeliveryState, DeliveryChanges. States: catalog_delivery.h. */
#include <stdio.h>
#include <string.h>

#include "crypt.h"
#include "delivery_calls.h"

#define ENCRYPTION_CHANGES_MAX 25u /* of a delivery stream in 24 hours */

/* Deliverd lists again, and whoever remembers a right asks again. */
static void
note_change(struct kms_call *call, bool of_stream)
{
	call->service->delivery_changes++;
	call->service->right_changes++;
	call->service->stream_changes += of_stream;
}

/* --- UpdateDestination --- */

static int
stale(struct kms_call *call, const struct kms_delivery *d, uint64_t asked)
{
	kms_call_fail(call, SLK_INVALID_STATE, "ConcurrentModificationException",
		"Cannot update firehose: %s since the current version id: %llu and specified "
		"version id: %llu do not match",
		d->name, (unsigned long long)d->version, (unsigned long long)asked);
	return SLK_INVALID_STATE;
}

static void
write_update(struct kms_call *call)
{
	struct kms_description *d = call->work;
	struct kms_service *s = call->service;
	struct kms_delivery before = d->row, now;

	before.version--;
	int rc = kms_catalog_delivery_update(
		s->parts.catalog, &before, &d->sealed, slk_wall_ns(s->parts.clock));
	if (rc == SLK_NOT_FOUND) { /* somebody was quicker */
		rc = kms_catalog_delivery_get(s->parts.catalog, before.name, &now);
		if (rc == SLK_NOT_FOUND)
			kms_call_missing_delivery(call, before.name);
		else if (rc != SLK_OK)
			kms_call_fail_catalog(call, rc);
		else if (kms_call_delivery_active(call, &now) == SLK_OK)
			(void)stale(call, &now, before.version);
		return;
	}
	if (rc == SLK_OK)
		note_change(call, false);
	kms_call_end(call, rc);
}

static void
merge(struct kms_call *call, const struct kms_delivery *row, struct slk_span json)
{
	struct dlv_spec *before = NULL, *after = NULL;
	struct kms_description *d = NULL;
	struct dlv_fault fault;
	char arn[KMS_ARN_MAX];

	if (kms_description_parse(call, &before) != SLK_OK)
		return;
	kms_arn_delivery(&call->service->parts.realm, row->name, arn);
	int rc = dlv_spec_update(before, json, &after, &fault);
	if (rc == SLK_OK)
		rc = dlv_spec_check(after, &fault);
	if (rc != SLK_OK)
		kms_call_fail_spec(call, rc, &fault);
	else if ((rc = kms_call_pass_roles(call, after, arn)) == SLK_OK) {
		d = kms_call_work(call, sizeof(*d));
		rc = d != NULL ? SLK_OK : SLK_NO_MEMORY;
	}
	if (rc == SLK_OK) {
		d->row = *row;
		d->row.version++;
		rc = kms_description_take(call, after, d);
	}
	dlv_spec_free(after);
	dlv_spec_free(before);
	if (rc == SLK_OK)
		kms_description_seal(call, write_update);
}

void
kms_op_update_destination(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UpdateDestination *in = request->update_destination;
	struct kms_delivery d;

	if (kms_call_find_delivery(call, in->name, &d) != SLK_OK ||
		kms_call_delivery_active(call, &d) != SLK_OK)
		return;
	if (d.version != in->version) {
		(void)stale(call, &d, in->version);
		return;
	}
	if (kms_description_open(call, request, &d) == SLK_OK)
		merge(call, &d, slk_span(in->json.data, in->json.len));
}

/* --- encryption of direct puts --- */

/* Its stream, into call->stream, unless a change of it is still to be performed: one that fails makes way for the next. */
static int
find_own(struct kms_call *call, const struct kms_delivery *d)
{
	int rc = kms_catalog_stream_get(call->service->parts.catalog, d->stream, &call->stream);

	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc == SLK_NOT_FOUND ? SLK_CORRUPT : rc);
		return rc;
	}
	const char *details = NULL;
	if (call->stream.state == KMS_STREAM_ACTIVE ||
		kms_delivery_key_trouble(call, d, &call->stream, &details) != NULL)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
		"The encryption of Firehose %s under account %s is being changed", d->name,
		call->service->parts.realm.account);
	return SLK_INVALID_STATE;
}

static int
find_for_key(struct kms_call *call, const char *text, struct kms_delivery *d)
{
	int rc = kms_call_find_delivery(call, text, d);

	if (rc == SLK_OK)
		rc = kms_call_delivery_direct(call, d);
	if (rc == SLK_OK)
		rc = kms_call_delivery_active(call, d);
	return rc == SLK_OK ? find_own(call, d) : rc;
}

/* The next epoch is under key; what is written now ends between two blocks. */
static void
change_key(struct kms_call *call, struct kms_delivery *d, enum kms_delivery_key type,
	const struct kms_key *key, const char *name)
{
	struct kms_service *s = call->service;
	struct kms_stream *own = &call->stream;
	bool is_customer = type == KMS_DELIVERY_CUSTOMER_KEY;
	bool same = own->encrypted_kms == is_customer &&
		memcmp(own->key_id, key->id, sizeof(own->key_id)) == 0;

	d->key = type;
	own->encrypted_kms = is_customer;
	memcpy(own->key_id, key->id, sizeof(own->key_id));
	(void)snprintf(own->key_name, sizeof(own->key_name), "%s", name);
	if (!same) {
		own->state = KMS_STREAM_UPDATING;
		own->change++;
	}
	int rc = kms_catalog_delivery_key_set(
		s->parts.catalog, d, own, KMS_EVENT_ENCRYPTION, slk_wall_ns(s->parts.clock));
	if (rc == SLK_OK)
		note_change(call, !same);
	kms_call_end(call, rc);
}

/* The appliance's own key, which is made when it is first needed; the delivery stream may have changed meanwhile. */
static void
use_appliance_key(struct kms_call *call)
{
	struct kms_delivery *d = call->work, now;
	enum kms_delivery_key type = d->key;
	struct kms_key key;

	if (kms_call_appliance_key(call, KMS_USAGE_ENCRYPT_DECRYPT, use_appliance_key, &key) !=
		SLK_OK)
		return;
	int rc = kms_catalog_delivery_get(call->service->parts.catalog, d->name, &now);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && now.id != d->id))
		kms_call_missing_delivery(call, d->name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else if (kms_call_delivery_active(call, &now) == SLK_OK && find_own(call, &now) == SLK_OK)
		change_key(call, &now, type, &key, "");
}

static void
begin_appliance_key(struct kms_call *call, const struct kms_delivery *d, enum kms_delivery_key type)
{
	struct kms_delivery *kept = kms_call_work(call, sizeof(*kept));

	if (kept == NULL)
		return;
	*kept = *d;
	kept->key = type;
	use_appliance_key(call);
}

void
kms_op_start_delivery_stream_encryption(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__DeliveryStreamKey *in = request->start_delivery_stream_encryption;
	struct kms_delivery d;

	if (find_for_key(call, in->name, &d) != SLK_OK ||
		kms_call_stream_rate(call, KMS_EVENT_ENCRYPTION, ENCRYPTION_CHANGES_MAX,
			"a change of encryption") != SLK_OK)
		return;
	if (in->key[0] == '\0')
		begin_appliance_key(call, &d, KMS_DELIVERY_OWNED_KEY);
	else if (kms_call_find_delivery_key(call, in->key) == SLK_OK)
		change_key(call, &d, KMS_DELIVERY_CUSTOMER_KEY, &call->key, in->key);
}

void
kms_op_stop_delivery_stream_encryption(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_delivery d;

	if (find_for_key(call, request->stop_delivery_stream_encryption->name, &d) != SLK_OK)
		return;
	if (d.key == KMS_DELIVERY_NO_KEY)
		kms_call_end(call, SLK_OK);
	else if (kms_call_stream_rate(call, KMS_EVENT_ENCRYPTION, ENCRYPTION_CHANGES_MAX,
			 "a change of encryption") == SLK_OK)
		begin_appliance_key(call, &d, KMS_DELIVERY_NO_KEY);
}

/* --- DeleteDeliveryStream --- */

static void
end_gone(struct kms_call *call, const struct kms_delivery *d)
{
	int rc = kms_catalog_delivery_delete(call->service->parts.catalog, d);

	if (rc == SLK_OK)
		note_change(call, kms_delivery_is_direct(d));
	kms_call_end(call, rc);
}

void
kms_op_delete_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__DeleteDeliveryStream *in = request->delete_delivery_stream;
	struct kms_delivery d;

	if (kms_call_find_delivery(call, in->name, &d) != SLK_OK)
		return;
	if (in->force) {
		end_gone(call, &d);
		return;
	}
	if (d.state == KMS_DELIVERY_CREATING) {
		kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
			"Firehose %s under account %s is CREATING: it cannot be deleted yet",
			d.name, call->service->parts.realm.account);
		return;
	}
	if (d.state == KMS_DELIVERY_DELETING) { /* it was said before */
		kms_call_end(call, SLK_OK);
		return;
	}
	int rc = kms_catalog_delivery_doom(call->service->parts.catalog, &d);
	if (rc == SLK_OK)
		note_change(call, false);
	kms_call_end(call, rc);
}

/* --- DeliveryState, DeliveryChanges --- */

static int
take_state(struct kms_call *call, const Kmsp__DeliveryState *in, enum kms_delivery_state *out)
{
	static const enum kms_delivery_state said[] = {
		KMS_DELIVERY_ACTIVE, KMS_DELIVERY_CREATING_FAILED, KMS_DELIVERY_DELETING};

	if (strlen(in->failure_type) >= KMS_FAILURE_TYPE_MAX ||
		strlen(in->failure_details) >= KMS_FAILURE_DETAILS_MAX) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"a failure's type has at most %u bytes, its details %u",
			KMS_FAILURE_TYPE_MAX - 1, KMS_FAILURE_DETAILS_MAX - 1);
		return SLK_INVALID;
	}
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
		if (strcmp(kms_delivery_state_name(said[i]), in->state) == 0) {
			*out = said[i];
			return SLK_OK;
		}
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"deliverd says ACTIVE, CREATING_FAILED or DELETING of a delivery stream");
	return SLK_INVALID;
}

static void
refuse_state(struct kms_call *call, const struct kms_delivery *d, const char *asked)
{
	kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
		"Firehose %s is %s, version %llu, and does not become %s", d->name,
		kms_delivery_state_name(d->state), (unsigned long long)d->version, asked);
}

void
kms_op_delivery_state(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__DeliveryState *in = request->delivery_state;
	enum kms_delivery_state state = KMS_DELIVERY_ACTIVE;
	struct kms_delivery d;

	if (take_state(call, in, &state) != SLK_OK ||
		kms_call_get_delivery(call, in->name, &d) != SLK_OK)
		return;
	if (d.version == in->version && state == KMS_DELIVERY_DELETING &&
		d.state == KMS_DELIVERY_DELETING) {
		end_gone(call, &d);
	} else if (d.version != in->version || state == KMS_DELIVERY_DELETING ||
		(d.state != KMS_DELIVERY_CREATING && d.state != state)) {
		refuse_state(call, &d, in->state);
	} else if (d.state == state) { /* it was said before */
		kms_call_end(call, SLK_OK);
	} else {
		int rc = kms_catalog_delivery_settle(call->service->parts.catalog, &d, state,
			in->failure_type, in->failure_details);
		if (rc == SLK_OK)
			note_change(call, false);
		kms_call_end(call, rc);
	}
}

void
kms_op_delivery_changes(struct kms_call *call, const Kmsp__Request *request)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__DeliveryChanges out = KMSP__DELIVERY_CHANGES__INIT;

	(void)request;
	out.number = call->service->delivery_changes;
	reply.result_case = KMSP__REPLY__RESULT_DELIVERY_COUNTER;
	reply.delivery_counter = &out;
	kms_call_ok(call, &reply);
}
