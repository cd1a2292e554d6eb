#include "kmsclient/delivery.h"

#include <string.h>

#include "kmsclient/convert_iam.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

/* --- messages --- */

static const char *const states[] = {[KMSC_DELIVERY_CREATING] = "CREATING",
	[KMSC_DELIVERY_CREATING_FAILED] = "CREATING_FAILED",
	[KMSC_DELIVERY_ACTIVE] = "ACTIVE",
	[KMSC_DELIVERY_DELETING] = "DELETING",
	[KMSC_DELIVERY_DELETING_FAILED] = "DELETING_FAILED"};
#define STATES (sizeof(states) / sizeof(states[0]))

static int
state_from(const char *text, enum kmsc_delivery_state *out)
{
	for (size_t i = 0; i < STATES; i++) {
		if (strcmp(states[i], text) == 0) {
			*out = (enum kmsc_delivery_state)i;
			return SLK_OK;
		}
	}
	return SLK_MALFORMED;
}

void
kmsc_delivery_stream_fini(struct kmsc_delivery_stream *stream)
{
	if (stream == NULL)
		return;
	slk_secret_free(stream->spec);
	*stream = (struct kmsc_delivery_stream){.spec = NULL};
}

static int
stream_from(const Kmsp__DeliveryStream *in, struct kmsc_delivery_stream *out)
{
	struct kmsc_delivery_stream s = {.id = in->id,
		.version = in->version,
		.direct_put = in->direct_put,
		.stream_id = in->stream_id,
		.created_ns = in->created_ns,
		.updated_ns = in->updated_ns,
		.spec_len = in->spec.len};

	int rc = TEXT(SLK_OK, in->name, s.name);
	rc = TEXT(rc, in->arn, s.arn);
	rc = TEXT(rc, in->failure_type, s.failure_type);
	rc = TEXT(rc, in->failure_details, s.failure_details);
	rc = TEXT(rc, in->stream_arn, s.stream_arn);
	rc = TEXT(rc, in->encryption_status, s.encryption_status);
	rc = TEXT(rc, in->key_type, s.key_type);
	rc = TEXT(rc, in->key_arn, s.key_arn);
	if (rc == SLK_OK)
		rc = state_from(in->state, &s.state);
	if (rc == SLK_OK && s.spec_len > KMSC_DELIVERY_SPEC_MAX)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK && s.spec_len > 0)
		rc = slk_secret_from(in->spec.data, in->spec.len, &s.spec);
	if (rc == SLK_OK)
		*out = s;
	return rc;
}

/* --- delivery streams --- */

int
kmsc_create_delivery_stream(struct kmsc *c, const char *name, struct slk_span json, const char *key,
	const struct kmsc_tag *tags, size_t tags_count, char out_arn[KMSC_ARN_MAX],
	struct slk_error *err)
{
	Kmsp__CreateDeliveryStream call = KMSP__CREATE_DELIVERY_STREAM__INIT;
	struct kmsc_tag_list list;
	const Kmsp__Reply *reply;

	int rc = kmsc_request_tags(tags, tags_count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.name = kmsc_request_text(name);
	call.json = kmsc_request_bytes(json);
	call.encrypted = key != NULL;
	call.key = kmsc_request_text(key);
	call.n_tags = tags_count;
	call.tags = list.list;
	KMSC_REQUEST(request, CREATE_DELIVERY_STREAM, create_delivery_stream) = &call;
	rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_DELIVERY_STREAM, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->delivery_stream->arn, out_arn, KMSC_ARN_MAX);
	return kmsc_call_end(c, rc, err);
}

/* The description is there: it is what the question was about. */
static int
described(struct kmsc *c, Kmsp__Request *request, struct kmsc_delivery_stream *out_stream,
	struct slk_error *err)
{
	struct kmsc_delivery_stream stream = {.spec = NULL};
	const Kmsp__Reply *reply;

	int rc = kmsc_call(
		c, request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_DELIVERY_STREAM, &reply, err);
	if (rc == SLK_OK)
		rc = stream_from(reply->delivery_stream, &stream);
	if (rc == SLK_OK && stream.spec == NULL)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK)
		*out_stream = stream;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_describe_delivery_stream(struct kmsc *c, const char *name,
	struct kmsc_delivery_stream *out_stream, struct slk_error *err)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = kmsc_request_text(name);
	KMSC_REQUEST(request, DESCRIBE_DELIVERY_STREAM, describe_delivery_stream) = &call;
	return described(c, &request, out_stream, err);
}

static int
streams_from(const Kmsp__DeliveryStreams *in, struct kmsc_delivery_stream *out, size_t cap)
{
	int rc = in->n_streams > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_streams; i++) {
		rc = in->streams[i]->spec.len == 0 ? SLK_OK : SLK_MALFORMED;
		if (rc == SLK_OK)
			rc = stream_from(in->streams[i], &out[i]);
	}
	return rc;
}

int
kmsc_list_delivery_streams(struct kmsc *c, const char *after, int kind,
	struct kmsc_delivery_stream *out_streams, size_t cap, size_t *out_count, bool *out_more,
	struct slk_error *err)
{
	static const char *const sources[] = {"", "DirectPut", "KinesisStreamAsSource"};
	Kmsp__ListDeliveryStreams call = KMSP__LIST_DELIVERY_STREAMS__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	if (kind < 0 || kind > 2)
		return slk_fail(err, SLK_INVALID, "a kind of delivery streams is 0, 1 or 2");
	call.after = kmsc_request_text(after);
	call.limit = kmsc_page(cap);
	call.source = kmsc_request_text(sources[kind]);
	KMSC_REQUEST(request, LIST_DELIVERY_STREAMS, list_delivery_streams) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_DELIVERY_STREAMS, &reply, err);
	if (rc == SLK_OK)
		rc = streams_from(reply->delivery_streams, out_streams, cap);
	if (rc == SLK_OK) {
		*out_count = reply->delivery_streams->n_streams;
		*out_more = reply->delivery_streams->more;
	}
	return kmsc_call_end(c, rc, err);
}

int
kmsc_update_destination(struct kmsc *c, const char *name, uint64_t version, struct slk_span json,
	struct slk_error *err)
{
	Kmsp__UpdateDestination call = KMSP__UPDATE_DESTINATION__INIT;

	call.name = kmsc_request_text(name);
	call.version = version;
	call.json = kmsc_request_bytes(json);
	KMSC_REQUEST(request, UPDATE_DESTINATION, update_destination) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_delete_delivery_stream(struct kmsc *c, const char *name, bool force, struct slk_error *err)
{
	Kmsp__DeleteDeliveryStream call = KMSP__DELETE_DELIVERY_STREAM__INIT;

	call.name = kmsc_request_text(name);
	call.force = force;
	KMSC_REQUEST(request, DELETE_DELIVERY_STREAM, delete_delivery_stream) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_start_delivery_stream_encryption(
	struct kmsc *c, const char *name, const char *key, struct slk_error *err)
{
	Kmsp__DeliveryStreamKey call = KMSP__DELIVERY_STREAM_KEY__INIT;

	call.name = kmsc_request_text(name);
	call.key = kmsc_request_text(key);
	KMSC_REQUEST(request, START_DELIVERY_STREAM_ENCRYPTION, start_delivery_stream_encryption) =
		&call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_stop_delivery_stream_encryption(struct kmsc *c, const char *name, struct slk_error *err)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = kmsc_request_text(name);
	KMSC_REQUEST(request, STOP_DELIVERY_STREAM_ENCRYPTION, stop_delivery_stream_encryption) =
		&call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

/* --- tags --- */

int
kmsc_tag_delivery_stream(struct kmsc *c, const char *name, const struct kmsc_tag *tags,
	size_t count, struct slk_error *err)
{
	Kmsp__TagDeliveryStream call = KMSP__TAG_DELIVERY_STREAM__INIT;
	struct kmsc_tag_list list;

	int rc = kmsc_request_tags(tags, count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.name = kmsc_request_text(name);
	call.n_tags = count;
	call.tags = list.list;
	KMSC_REQUEST(request, TAG_DELIVERY_STREAM, tag_delivery_stream) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_untag_delivery_stream(struct kmsc *c, const char *name, const char *const *tag_keys,
	size_t count, struct slk_error *err)
{
	Kmsp__UntagDeliveryStream call = KMSP__UNTAG_DELIVERY_STREAM__INIT;
	char *keys[KMSC_TAGS_MAX];

	if (count > KMSC_TAGS_MAX)
		return slk_fail(
			err, SLK_LIMIT, "there are at most %u tags, not %zu", KMSC_TAGS_MAX, count);
	for (size_t i = 0; i < count; i++)
		keys[i] = kmsc_request_text(tag_keys[i]);
	call.name = kmsc_request_text(name);
	call.n_tag_keys = count;
	call.tag_keys = keys;
	KMSC_REQUEST(request, UNTAG_DELIVERY_STREAM, untag_delivery_stream) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_list_tags_for_delivery_stream(struct kmsc *c, const char *name, const char *marker,
	struct kmsc_tag *out_tags, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfDeliveryStream call = KMSP__LIST_OF_DELIVERY_STREAM__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.name = kmsc_request_text(name);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_TAGS_FOR_DELIVERY_STREAM, list_tags_for_delivery_stream) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_TAGS, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_tags_from(reply->tags, out_tags, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->tags->n_tags;
	return kmsc_call_end(c, rc, err);
}

/* --- for deliverd --- */

int
kmsc_delivery_work(struct kmsc *c, const char *name, struct kmsc_delivery_stream *out_stream,
	struct slk_error *err)
{
	Kmsp__DeliveryStreamName call = KMSP__DELIVERY_STREAM_NAME__INIT;

	call.name = kmsc_request_text(name);
	KMSC_REQUEST(request, DELIVERY_WORK, delivery_work) = &call;
	return described(c, &request, out_stream, err);
}

int
kmsc_delivery_state(struct kmsc *c, const char *name, uint64_t version,
	enum kmsc_delivery_state state, const char *failure_type, const char *failure_details,
	struct slk_error *err)
{
	Kmsp__DeliveryState call = KMSP__DELIVERY_STATE__INIT;

	if ((size_t)state >= STATES)
		return slk_fail(
			err, SLK_INVALID, "%d is no state of a delivery stream", (int)state);
	call.name = kmsc_request_text(name);
	call.version = version;
	call.state = kmsc_request_text(states[state]);
	call.failure_type = kmsc_request_text(failure_type);
	call.failure_details = kmsc_request_text(failure_details);
	KMSC_REQUEST(request, DELIVERY_STATE, delivery_state) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_assume_delivery_role(struct kmsc *c, const char *name, const char *role_arn,
	struct kmsc_session *out_session, struct slk_error *err)
{
	Kmsp__AssumeDeliveryRole call = KMSP__ASSUME_DELIVERY_ROLE__INIT;
	const Kmsp__Reply *reply;

	call.name = kmsc_request_text(name);
	call.role = kmsc_request_text(role_arn);
	KMSC_REQUEST(request, ASSUME_DELIVERY_ROLE, assume_delivery_role) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SESSION, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_session_from(reply->session, out_session);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_delivery_changes(struct kmsc *c, uint64_t *out_number, struct slk_error *err)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;
	const Kmsp__Reply *reply;

	KMSC_REQUEST(request, DELIVERY_CHANGES, delivery_changes) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_DELIVERY_COUNTER, &reply, err);
	if (rc == SLK_OK)
		*out_number = reply->delivery_counter->number;
	return kmsc_call_end(c, rc, err);
}
