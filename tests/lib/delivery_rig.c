#include "delivery_rig.h"

#include "slk_test.h"

#include <string.h>

#include "iam_rig.h"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

static ProtobufCBinaryData
json_of(const char *text)
{
	static char json[65536 + 1024];
	size_t len = strlen(text);

	assert_true(len <= sizeof(json));
	for (size_t i = 0; i < len; i++)
		json[i] = (char)(text[i] == '\'' ? '"' : text[i]);
	return (ProtobufCBinaryData){len, (uint8_t *)json};
}

const Kmsp__Reply *
delivery_create(struct kms_rig *rig, uid_t uid, const char *name, const char *json, const char *key)
{
	Kmsp__CreateDeliveryStream call = KMSP__CREATE_DELIVERY_STREAM__INIT;

	call.name = TEXT(name);
	call.json = json_of(json);
	call.encrypted = key != NULL;
	call.key = TEXT(key != NULL ? key : "");
	REQUEST(request, CREATE_DELIVERY_STREAM, create_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_describe(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = TEXT(name);
	REQUEST(request, DESCRIBE_DELIVERY_STREAM, describe_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_list(struct kms_rig *rig, uid_t uid, const char *after, uint32_t limit, const char *source)
{
	Kmsp__ListDeliveryStreams call = KMSP__LIST_DELIVERY_STREAMS__INIT;

	call.after = TEXT(after);
	call.limit = limit;
	call.source = TEXT(source);
	REQUEST(request, LIST_DELIVERY_STREAMS, list_delivery_streams) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_update(
	struct kms_rig *rig, uid_t uid, const char *name, uint64_t version, const char *json)
{
	Kmsp__UpdateDestination call = KMSP__UPDATE_DESTINATION__INIT;

	call.name = TEXT(name);
	call.version = version;
	call.json = json_of(json);
	REQUEST(request, UPDATE_DESTINATION, update_destination) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_delete(struct kms_rig *rig, uid_t uid, const char *name, bool force)
{
	Kmsp__DeleteDeliveryStream call = KMSP__DELETE_DELIVERY_STREAM__INIT;

	call.name = TEXT(name);
	call.force = force;
	REQUEST(request, DELETE_DELIVERY_STREAM, delete_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_start(struct kms_rig *rig, uid_t uid, const char *name, const char *key)
{
	Kmsp__DeliveryStreamKey call = KMSP__DELIVERY_STREAM_KEY__INIT;

	call.name = TEXT(name);
	call.key = TEXT(key);
	REQUEST(request, START_DELIVERY_STREAM_ENCRYPTION, start_delivery_stream_encryption) =
		&call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_stop(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = TEXT(name);
	REQUEST(request, STOP_DELIVERY_STREAM_ENCRYPTION, stop_delivery_stream_encryption) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_tag(struct kms_rig *rig, uid_t uid, const char *name, const char *key, const char *value)
{
	Kmsp__TagDeliveryStream call = KMSP__TAG_DELIVERY_STREAM__INIT;
	Kmsp__Tag tag = KMSP__TAG__INIT, *list[] = {&tag};

	tag.key = TEXT(key);
	tag.value = TEXT(value);
	call.name = TEXT(name);
	call.n_tags = 1;
	call.tags = list;
	REQUEST(request, TAG_DELIVERY_STREAM, tag_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_untag(struct kms_rig *rig, uid_t uid, const char *name, const char *key)
{
	Kmsp__UntagDeliveryStream call = KMSP__UNTAG_DELIVERY_STREAM__INIT;
	char *list[] = {TEXT(key)};

	call.name = TEXT(name);
	call.n_tag_keys = 1;
	call.tag_keys = list;
	REQUEST(request, UNTAG_DELIVERY_STREAM, untag_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_tags(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__ListOfDeliveryStream call = KMSP__LIST_OF_DELIVERY_STREAM__INIT;

	call.name = TEXT(name);
	REQUEST(request, LIST_TAGS_FOR_DELIVERY_STREAM, list_tags_for_delivery_stream) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_work(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = TEXT(name);
	REQUEST(request, DELIVERY_WORK, delivery_work) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_state(struct kms_rig *rig, uid_t uid, const char *name, uint64_t version,
	const char *state, const char *failure_type)
{
	Kmsp__DeliveryState call = KMSP__DELIVERY_STATE__INIT;

	call.name = TEXT(name);
	call.version = version;
	call.state = TEXT(state);
	call.failure_type = TEXT(failure_type);
	call.failure_details = TEXT(failure_type[0] != '\0' ? "what happened" : "");
	REQUEST(request, DELIVERY_STATE, delivery_state) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
delivery_assume(struct kms_rig *rig, uid_t uid, const char *name, const char *role)
{
	Kmsp__AssumeDeliveryRole call = KMSP__ASSUME_DELIVERY_ROLE__INIT;

	call.name = TEXT(name);
	call.role = TEXT(role);
	REQUEST(request, ASSUME_DELIVERY_ROLE, assume_delivery_role) = &call;
	return rig_call(rig, uid, &request);
}

uint64_t
delivery_changes(struct kms_rig *rig)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;

	REQUEST(request, DELIVERY_CHANGES, delivery_changes) = &call;
	const Kmsp__Reply *reply = rig_call(rig, RIG_DELIVER, &request);
	assert_answered(reply, SLK_OK);
	return reply->delivery_counter->number;
}

void
delivery_role(struct kms_rig *rig, const char *trust)
{
	assert_answered(iam_create_role(rig, RIG_ROOT, "deliver", trust), SLK_OK);
}

void
delivery_trust(struct kms_rig *rig, const char *trust)
{
	Kmsp__UpdateTrustPolicy call = KMSP__UPDATE_TRUST_POLICY__INIT;

	call.role = TEXT("deliver");
	call.policy = TEXT(iam_policy(trust));
	REQUEST(request, UPDATE_TRUST_POLICY, update_trust_policy) = &call;
	assert_answered(rig_call(rig, RIG_ROOT, &request), SLK_OK);
}

void
delivery_active(struct kms_rig *rig, const char *name, const char *json, const char *key)
{
	const Kmsp__Reply *reply = delivery_create(rig, RIG_ROOT, name, json, key);

	if (reply->status != SLK_OK)
		fail_msg("%s: %s", reply->exception, reply->message);
	assert_answered(delivery_state(rig, RIG_DELIVER, name, 1, "ACTIVE", ""), SLK_OK);
}
