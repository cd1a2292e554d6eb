/* Delivery streams: made, described, listed, changed, deleted. Each request is kmsd's to decide and to keep, in the caller's
 * name; what a destination is to be goes there as it came. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/firehose.h"
#include "aws/kms.h"
#include "delivery/spec.h"

/* --- small things --- */

static bool
begin_answer(struct gw_call *call)
{
	if (gw_call_write(call, 0, false)) {
		gw_write_open(&call->w, NULL);
		return true;
	}
	gw_call_fail(call);
	return false;
}

static void
end_answer(struct gw_call *call)
{
	gw_write_close(&call->w);
	gw_call_send(call);
}

static void
done(struct gw_call *call, const Kmsp__Reply *reply)
{
	(void)reply;
	if (begin_answer(call))
		end_answer(call);
}

static bool
take_tags(struct gw_call *call, Kmsp__Tag ***out, size_t *out_count)
{
	const struct gw_value *in = gw_get(call->in, "Tags");
	size_t n = 0;

	*out_count = 0;
	if (in == NULL || in->count == 0)
		return true;
	Kmsp__Tag **list = gw_call_take(call, in->count * sizeof(void *));
	Kmsp__Tag *tags = gw_call_take(call, in->count * sizeof(*tags));
	if (list == NULL || tags == NULL)
		return false;
	for (const struct gw_value *v = in->first; v != NULL; v = v->next, n++) {
		kmsp__tag__init(&tags[n]);
		tags[n].key = (char *)(uintptr_t)gw_text(v, "Key");
		tags[n].value = (char *)(uintptr_t)gw_text(v, "Value");
		list[n] = &tags[n];
	}
	*out = list;
	*out_count = n;
	return true;
}

/* DeliveryStreamEncryptionConfigurationInput as kmsd takes it: "" is the service's own key. *out_key is left alone if the request has
 * none. */
static bool
take_key(struct gw_call *call, char **out_key)
{
	const struct gw_value *in = gw_get(call->in, "DeliveryStreamEncryptionConfigurationInput");

	if (in == NULL)
		return true;
	const char *arn = gw_text(in, "KeyARN");
	bool customer = strcmp(gw_text(in, "KeyType"), "CUSTOMER_MANAGED_CMK") == 0;
	if (customer != (arn[0] != '\0'))
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			customer ? "KeyARN must be specified when KeyType is CUSTOMER_MANAGED_CMK."
				 : "KeyARN must not be specified when KeyType is AWS_OWNED_CMK.");
	*out_key = (char *)(uintptr_t)arn;
	return true;
}

/* --- made, changed, deleted --- */

static void
created(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call))
		return;
	gw_write_text(&call->w, "DeliveryStreamARN", reply->delivery_stream->arn);
	end_answer(call);
}

bool
gw_firehose_create(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateDeliveryStream, KMSP__CREATE_DELIVERY_STREAM__INIT,
		CREATE_DELIVERY_STREAM, create_delivery_stream);
	char *key = NULL;

	if (!take_tags(call, &m.tags, &m.n_tags) || !take_key(call, &key))
		return false;
	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	m.json = (ProtobufCBinaryData){call->body.len, (uint8_t *)(uintptr_t)call->body.ptr};
	m.encrypted = key != NULL;
	if (key != NULL)
		m.key = key;
	return gw_call_ask(call, &r, created);
}

bool
gw_firehose_update_destination(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UpdateDestination, KMSP__UPDATE_DESTINATION__INIT, UPDATE_DESTINATION,
		update_destination);
	const char *id = gw_text(call->in, "DestinationId");

	if (strcmp(id, GW_DESTINATION_ID) != 0)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Destination Id %s not found", id);
	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	/* One that is too large for a version is none that was ever seen. */
	m.version = strtoull(gw_text(call->in, "CurrentDeliveryStreamVersionId"), NULL, 10);
	m.json = (ProtobufCBinaryData){call->body.len, (uint8_t *)(uintptr_t)call->body.ptr};
	return gw_call_ask(call, &r, done);
}

bool
gw_firehose_delete(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__DeleteDeliveryStream, KMSP__DELETE_DELIVERY_STREAM__INIT,
		DELETE_DELIVERY_STREAM, delete_delivery_stream);

	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	m.force = gw_bool(call->in, "AllowForceDelete");
	return gw_call_ask(call, &r, done);
}

bool
gw_firehose_start_encryption(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__DeliveryStreamKey, KMSP__DELIVERY_STREAM_KEY__INIT,
		START_DELIVERY_STREAM_ENCRYPTION, start_delivery_stream_encryption);

	if (!take_key(call, &m.key))
		return false;
	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	return gw_call_ask(call, &r, done);
}

bool
gw_firehose_stop_encryption(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__DeliveryStreamName, KMSP__DELIVERY_STREAM_NAME__INIT,
		STOP_DELIVERY_STREAM_ENCRYPTION, stop_delivery_stream_encryption);

	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	return gw_call_ask(call, &r, done);
}

/* --- described --- */

/* What went wrong, by the names that Firehose has for it. */
static void
write_failure(struct gw_writer *w, const Kmsp__DeliveryStream *in)
{
	static const char *const types[] = {"RETIRE_KMS_GRANT_FAILED", "CREATE_KMS_GRANT_FAILED",
		"KMS_ACCESS_DENIED", "DISABLED_KMS_KEY", "INVALID_KMS_KEY", "KMS_KEY_NOT_FOUND",
		"UNKNOWN_ERROR"};
	size_t i = 0;

	if (in->failure_type[0] == '\0')
		return;
	while (i + 1 < sizeof(types) / sizeof(types[0]) && strcmp(types[i], in->failure_type) != 0)
		i++;
	gw_write_open(w, "FailureDescription");
	gw_write_text(w, "Type", types[i]);
	gw_write_text(w, "Details",
		in->failure_details[0] != '\0' ? in->failure_details : in->failure_type);
	gw_write_close(w);
}

static void
write_head(struct gw_writer *w, const Kmsp__DeliveryStream *in)
{
	char version[24];

	gw_write_text(w, "DeliveryStreamName", in->name);
	gw_write_text(w, "DeliveryStreamARN", in->arn);
	gw_write_text(w, "DeliveryStreamStatus", in->state);
	bool is_of_key = strcmp(in->encryption_status, "ENABLING_FAILED") == 0 &&
		strcmp(in->state, "CREATING_FAILED") != 0;
	if (!is_of_key)
		write_failure(w, in);
	gw_write_open(w, "DeliveryStreamEncryptionConfiguration");
	gw_write_text_if(w, "KeyARN", in->key_arn);
	gw_write_text_if(w, "KeyType", in->key_type);
	gw_write_text(w, "Status", in->encryption_status);
	if (is_of_key)
		write_failure(w, in);
	gw_write_close(w);
	gw_write_text(
		w, "DeliveryStreamType", in->direct_put ? "DirectPut" : "KinesisStreamAsSource");
	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)in->version);
	gw_write_text(w, "VersionId", version);
	gw_write_time(w, "CreateTimestamp", in->created_ns);
	if (in->version > 1)
		gw_write_time(w, "LastUpdateTimestamp", in->updated_ns);
}

/* Source and Destinations, as lib/delivery words them. A status. */
static int
write_spec(struct gw_call *call, const Kmsp__DeliveryStream *in)
{
	static const char source_head[] = "{\"Source\":";
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;
	char *source = NULL, *destination = NULL;
	struct gw_writer *w = &call->w;

	int rc = dlv_spec_parse(slk_span(in->spec.data, in->spec.len), &spec, &fault);
	if (rc == SLK_OK)
		rc = dlv_spec_describe_source(spec, in->created_ns, &source);
	if (rc == SLK_OK)
		rc = dlv_spec_describe_destination(spec, &destination);
	if (rc == SLK_OK) {
		if (strncmp(source, source_head, sizeof(source_head) - 1) == 0)
			gw_write_json(w, "Source",
				slk_span(source + sizeof(source_head) - 1,
					strlen(source) - sizeof(source_head)));
		gw_write_open_list(w, "Destinations");
		if (gw_text(call->in, "ExclusiveStartDestinationId")[0] == '\0')
			gw_write_json(w, NULL, slk_span_str(destination));
		gw_write_close_list(w);
	}
	free(destination);
	free(source);
	dlv_spec_free(spec);
	return rc;
}

static void
described(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!begin_answer(call))
		return;
	gw_write_open(w, "DeliveryStreamDescription");
	write_head(w, reply->delivery_stream);
	int rc = write_spec(call, reply->delivery_stream);
	if (rc != SLK_OK) {
		(void)gw_call_fault_status(call, rc, "Too much is under way");
		gw_call_fail(call);
		return;
	}
	gw_write_bool(w, "HasMoreDestinations", false);
	gw_write_close(w);
	end_answer(call);
}

bool
gw_firehose_describe(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__DeliveryStreamName, KMSP__DELIVERY_STREAM_NAME__INIT,
		DESCRIBE_DELIVERY_STREAM, describe_delivery_stream);

	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	return gw_call_ask(call, &r, described);
}

/* --- listed --- */

/* kmsd gives a page at a time; a caller may want more. */
struct list {
	const char **names;
	size_t count, cap;
};

static bool ask_page(struct gw_call *call, const char *after);

static void
write_list(struct gw_call *call, const struct list *list, bool more)
{
	struct gw_writer *w = &call->w;

	if (!begin_answer(call))
		return;
	gw_write_open_list(w, "DeliveryStreamNames");
	for (size_t i = 0; i < list->count; i++)
		gw_write_text(w, NULL, list->names[i]);
	gw_write_close_list(w);
	gw_write_bool(w, "HasMoreDeliveryStreams", more);
	end_answer(call);
}

static void
page_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__DeliveryStreams *in = reply->delivery_streams;
	struct list *list = call->user;

	for (size_t i = 0; i < in->n_streams && list->count < list->cap; i++) {
		size_t len = strlen(in->streams[i]->name) + 1;
		char *name = gw_call_take(call, len);
		if (name == NULL) {
			gw_call_fail(call);
			return;
		}
		memcpy(name, in->streams[i]->name, len);
		list->names[list->count++] = name;
	}
	if (!in->more || in->n_streams == 0 || list->count == list->cap)
		write_list(call, list, in->more);
	else if (!ask_page(call, list->names[list->count - 1]))
		gw_call_fail(call);
}

static bool
ask_page(struct gw_call *call, const char *after)
{
	GW_KMSP(r, m, Kmsp__ListDeliveryStreams, KMSP__LIST_DELIVERY_STREAMS__INIT,
		LIST_DELIVERY_STREAMS, list_delivery_streams);
	const struct list *list = call->user;
	size_t left = list->cap - list->count;

	m.after = (char *)(uintptr_t)after;
	m.limit = left < KMSP_PAGE_MAX ? (uint32_t)left : KMSP_PAGE_MAX;
	m.source = gw_kmsp_text(call, "DeliveryStreamType");
	return gw_call_ask(call, &r, page_told);
}

bool
gw_firehose_list(struct gw_call *call)
{
	struct list *list = gw_call_take(call, sizeof(*list));
	int64_t limit = gw_int(call->in, "Limit", 10);

	if (list == NULL)
		return false;
	list->cap = limit < KMSC_DELIVERY_STREAMS_MAX ? (size_t)limit : KMSC_DELIVERY_STREAMS_MAX;
	list->names = gw_call_take(call, list->cap * sizeof(*list->names));
	call->user = list;
	return list->names != NULL &&
		ask_page(call, gw_text(call->in, "ExclusiveStartDeliveryStreamName"));
}

/* --- tags --- */

bool
gw_firehose_tag(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__TagDeliveryStream, KMSP__TAG_DELIVERY_STREAM__INIT, TAG_DELIVERY_STREAM,
		tag_delivery_stream);

	if (!take_tags(call, &m.tags, &m.n_tags))
		return false;
	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	return gw_call_ask(call, &r, done);
}

bool
gw_firehose_untag(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UntagDeliveryStream, KMSP__UNTAG_DELIVERY_STREAM__INIT,
		UNTAG_DELIVERY_STREAM, untag_delivery_stream);

	if (!gw_kms_strings(call, "TagKeys", &m.tag_keys, &m.n_tag_keys))
		return false;
	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	return gw_call_ask(call, &r, done);
}

static void
tags_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!begin_answer(call))
		return;
	gw_write_open_list(w, "Tags");
	for (size_t i = 0; i < reply->tags->n_tags; i++) {
		gw_write_open(w, NULL);
		gw_write_text(w, "Key", reply->tags->tags[i]->key);
		gw_write_text(w, "Value", reply->tags->tags[i]->value);
		gw_write_close(w);
	}
	gw_write_close_list(w);
	gw_write_bool(w, "HasMoreTags", reply->tags->next[0] != '\0');
	end_answer(call);
}

bool
gw_firehose_list_tags(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListOfDeliveryStream, KMSP__LIST_OF_DELIVERY_STREAM__INIT,
		LIST_TAGS_FOR_DELIVERY_STREAM, list_tags_for_delivery_stream);

	m.name = gw_kmsp_text(call, "DeliveryStreamName");
	m.marker = gw_kmsp_text(call, "ExclusiveStartTagKey");
	m.limit = gw_kms_limit(call, 50);
	return gw_call_ask(call, &r, tags_told);
}
