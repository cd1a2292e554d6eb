/* Delivery streams: CreateDeliveryStream, DescribeDeliveryStream, ListDeliveryStreams; and what all operations on them share.
 * What changes one that is there is ops_delivery_life.c.
 *
 *     request --lib/delivery--> description --roles, source, key--> sealed --> one transaction: row, stream of direct puts */
#include <stdio.h>
#include <string.h>

#include "crypt.h"
#include "delivery_calls.h"
#include "format/utf8.h"

/* --- steps --- */

const char *
kms_delivery_state_name(enum kms_delivery_state state)
{
	static const char *const names[KMS_DELIVERY_STATES] = {[KMS_DELIVERY_CREATING] = "CREATING",
		[KMS_DELIVERY_CREATING_FAILED] = "CREATING_FAILED",
		[KMS_DELIVERY_ACTIVE] = "ACTIVE",
		[KMS_DELIVERY_DELETING] = "DELETING"};

	return names[state];
}

void
kms_call_missing_delivery(struct kms_call *call, const char *name)
{
	kms_call_fail(call, SLK_NOT_FOUND, "ResourceNotFoundException",
		"Firehose %s under account %s not found.", name,
		call->service->parts.realm.account);
}

int
kms_call_parse_delivery(
	struct kms_call *call, const char *text, char name[KMS_DELIVERY_MAX], char arn[KMS_ARN_MAX])
{
	int rc = kms_delivery_parse(&call->service->parts.realm, text, name);

	if (rc != SLK_OK)
		kms_call_fail(call, rc, "InvalidArgumentException",
			"'%.200s' is neither the name of a delivery stream (1 to 64 of a-z A-Z 0-9 "
			"_ . -) nor its ARN in this account and region",
			fmt_utf8_is_text(slk_span_str(text)) ? text : "(not UTF-8)");
	else
		kms_arn_delivery(&call->service->parts.realm, name, arn);
	return rc;
}

static int
get(struct kms_call *call, const char *name, struct kms_delivery *out)
{
	int rc = kms_catalog_delivery_get(call->service->parts.catalog, name, out);

	if (rc == SLK_NOT_FOUND)
		kms_call_missing_delivery(call, name);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	return rc;
}

int
kms_call_find_delivery(struct kms_call *call, const char *text, struct kms_delivery *out)
{
	char name[KMS_DELIVERY_MAX], arn[KMS_ARN_MAX];

	int rc = kms_call_parse_delivery(call, text, name, arn);
	if (rc == SLK_OK)
		rc = kms_call_authorize(call, call->action, arn, NULL);
	return rc == SLK_OK ? get(call, name, out) : rc;
}

int
kms_call_get_delivery(struct kms_call *call, const char *text, struct kms_delivery *out)
{
	char name[KMS_DELIVERY_MAX];

	int rc = kms_call_parse_delivery(call, text, name, call->resource);
	return rc == SLK_OK ? get(call, name, out) : rc;
}

int
kms_call_delivery_active(struct kms_call *call, const struct kms_delivery *delivery)
{
	if (delivery->state == KMS_DELIVERY_ACTIVE)
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
		"Firehose %s under account %s is %s, not ACTIVE", delivery->name,
		call->service->parts.realm.account, kms_delivery_state_name(delivery->state));
	return SLK_INVALID_STATE;
}

int
kms_call_delivery_direct(struct kms_call *call, const struct kms_delivery *delivery)
{
	if (kms_delivery_is_direct(delivery))
		return SLK_OK;
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
		"This operation is not permitted on KinesisStreamAsSource delivery stream type.");
	return SLK_INVALID;
}

int
kms_call_find_delivery_key(struct kms_call *call, const char *text)
{
	call->delivery_names = true;
	int rc = kms_call_find_stream_key(call, text);
	call->delivery_names = false;
	return rc;
}

/* --- answers --- */

/* Ingestd asks again and again, so what failed goes on by itself once the key is mended; or another key is taken. */
const char *
kms_delivery_key_trouble(struct kms_call *call, const struct kms_delivery *delivery,
	const struct kms_stream *own, const char **out_details)
{
	struct kms_key key;

	if (delivery->key != KMS_DELIVERY_CUSTOMER_KEY || own->state != KMS_STREAM_UPDATING)
		return NULL;
	int rc = kms_catalog_key_get(call->service->parts.catalog, own->key_id, &key);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && key.state >= KMS_KEY_DESTROYING)) {
		*out_details = "The KMS key is not there any more: start encryption with another "
			       "one, or stop it.";
		return "KMS_KEY_NOT_FOUND";
	}
	if (rc != SLK_OK || key.state == KMS_KEY_ENABLED)
		return NULL;
	if (key.state == KMS_KEY_DISABLED) {
		*out_details =
			"The KMS key is disabled: once it is enabled, encryption is enabled, "
			"too. The key before it is in use.";
		return "DISABLED_KMS_KEY";
	}
	*out_details = "The KMS key is pending deletion or not ready: cancel its deletion, start "
		       "encryption with another one, or stop it. The key before it is in use.";
	return "INVALID_KMS_KEY";
}

/* Of direct puts; the stream that is read may be gone. */
static const char *
encryption_status(const struct kms_delivery *delivery, const struct kms_stream *stream, bool failed)
{
	bool is_changing = stream != NULL && stream->state == KMS_STREAM_UPDATING;

	if (!kms_delivery_is_direct(delivery))
		return "DISABLED";
	if (delivery->key == KMS_DELIVERY_NO_KEY)
		return is_changing ? "DISABLING" : "DISABLED";
	if (failed)
		return "ENABLING_FAILED";
	return is_changing ? "ENABLING" : "ENABLED";
}

struct delivery_text {
	Kmsp__DeliveryStream message;
	char arn[KMS_ARN_MAX], stream_arn[KMS_ARN_MAX], key_arn[KMS_ARN_MAX];
};

static int
message_delivery(struct kms_call *call, const struct kms_delivery *d, struct delivery_text *t)
{
	static const char *const key_types[KMS_DELIVERY_KEYS] = {[KMS_DELIVERY_NO_KEY] = "",
		[KMS_DELIVERY_OWNED_KEY] = "AWS_OWNED_CMK",
		[KMS_DELIVERY_CUSTOMER_KEY] = "CUSTOMER_MANAGED_CMK"};
	const struct kms_realm *realm = &call->service->parts.realm;
	Kmsp__DeliveryStream *m = &t->message;
	struct kms_stream stream;

	int rc = kms_catalog_stream_get(call->service->parts.catalog, d->stream, &stream);
	if (rc != SLK_OK && rc != SLK_NOT_FOUND)
		return rc;
	bool is_there = rc == SLK_OK && stream.id == d->stream_id;
	kms_arn_delivery(realm, d->name, t->arn);
	kms_arn_stream(realm, d->stream, t->stream_arn);
	t->key_arn[0] = '\0';
	if (is_there && d->key == KMS_DELIVERY_CUSTOMER_KEY)
		kms_arn_key(realm, stream.key_id, t->key_arn);
	kmsp__delivery_stream__init(m);
	m->name = kms_text(d->name);
	m->arn = t->arn;
	m->id = d->id;
	m->version = d->version;
	m->state = kms_text(kms_delivery_state_name(d->state));
	m->failure_type = kms_text(d->failure_type);
	m->failure_details = kms_text(d->failure_details);
	m->direct_put = kms_delivery_is_direct(d);
	m->stream_id = d->stream_id;
	m->stream_arn = t->stream_arn;
	const char *details = "",
		   *trouble =
			   is_there ? kms_delivery_key_trouble(call, d, &stream, &details) : NULL;
	if (trouble != NULL && d->failure_type[0] == '\0') {
		m->failure_type = kms_text(trouble);
		m->failure_details = kms_text(details);
	}
	m->encryption_status =
		kms_text(encryption_status(d, is_there ? &stream : NULL, trouble != NULL));
	m->key_type = kms_text(key_types[d->key]);
	m->key_arn = t->key_arn;
	m->created_ns = d->created_ns;
	m->updated_ns = d->updated_ns;
	return SLK_OK;
}

static void
answer_with(struct kms_call *call, const struct kms_delivery *d, struct slk_span spec)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	struct delivery_text t;

	int rc = message_delivery(call, d, &t);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	t.message.spec = kms_bytes(spec);
	reply.result_case = KMSP__REPLY__RESULT_DELIVERY_STREAM;
	reply.delivery_stream = &t.message;
	kms_call_ok(call, &reply);
}

/* --- CreateDeliveryStream --- */

struct creation {
	struct kms_description description; /* first: description.c */
	struct kms_stream own; /* of direct puts */
	struct kms_tag tags[KMS_TAGS_MAX];
	size_t tags_count;
};

static void
insert(struct kms_call *call)
{
	struct creation *c = call->work;
	struct kms_delivery *d = &c->description.row;
	struct kms_service *s = call->service;
	bool is_direct = kms_delivery_is_direct(d);

	d->created_ns = d->updated_ns = c->own.created_ns = slk_wall_ns(s->parts.clock);
	if (d->key != KMS_DELIVERY_CUSTOMER_KEY)
		memcpy(c->own.key_id, call->key.id, sizeof(c->own.key_id)); /* the appliance's */
	int rc = kms_catalog_delivery_create(s->parts.catalog, d, &c->description.sealed,
		is_direct ? &c->own : NULL, c->tags, c->tags_count);
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "ResourceInUseException",
			"Firehose %s under accountId %s already exists", d->name,
			s->parts.realm.account);
	else if (rc == SLK_LIMIT)
		kms_call_fail(call, rc, "LimitExceededException",
			"There are %u delivery streams under account %s: no more can be made",
			KMS_DELIVERIES_MAX, s->parts.realm.account);
	if (rc == SLK_OK)
		rc = kms_catalog_delivery_get(s->parts.catalog, d->name, d);
	if (rc == SLK_EXISTS || rc == SLK_LIMIT)
		return;
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	s->delivery_changes++;
	s->stream_changes += is_direct;
	s->right_changes++;
	answer_with(call, d, slk_span(NULL, 0));
}

/* What it reads: a stream of Kinesis that is there, or its own. */
static int
take_source(struct kms_call *call, const struct dlv_spec *spec, struct creation *c)
{
	struct kms_delivery *d = &c->description.row;
	struct kms_stream source;

	if (spec->source == DLV_DIRECT_PUT) {
		(void)snprintf(d->stream, sizeof(d->stream), KMS_DELIVERY_PREFIX "%s", d->name);
		strcpy(c->own.name, d->stream);
		c->own.shard_count = c->own.shards_count = 1;
		c->own.state = KMS_STREAM_ACTIVE;
		c->own.retention_hours = KMS_RETENTION_MIN_HOURS;
		return SLK_OK;
	}
	int rc = strncmp(spec->source_arn, "arn:", 4) == 0
		? kms_stream_parse(&call->service->parts.realm, spec->source_arn, d->stream)
		: SLK_INVALID;
	if (rc == SLK_OK)
		rc = kms_catalog_stream_get(call->service->parts.catalog, d->stream, &source);
	if (rc == SLK_OK && source.state != KMS_STREAM_DELETING) {
		d->stream_id = source.id;
		return SLK_OK;
	}
	if (rc == SLK_OK || rc == SLK_NOT_FOUND || rc == SLK_INVALID)
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"KinesisStreamARN %.300s does not name a stream of this account that is "
			"there",
			spec->source_arn);
	else
		kms_call_fail_catalog(call, rc);
	return rc == SLK_OK ? SLK_INVALID : rc;
}

static int
take_key(struct kms_call *call, const Kmsp__CreateDeliveryStream *in, struct creation *c)
{
	struct kms_delivery *d = &c->description.row;

	if (!in->encrypted)
		return SLK_OK;
	if (!kms_delivery_is_direct(d)) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"DeliveryStreamEncryptionConfigurationInput is only allowed with the "
			"delivery stream type DirectPut; a stream that is the source has its own "
			"encryption.");
		return SLK_INVALID;
	}
	d->key = in->key[0] != '\0' ? KMS_DELIVERY_CUSTOMER_KEY : KMS_DELIVERY_OWNED_KEY;
	if (d->key == KMS_DELIVERY_OWNED_KEY)
		return SLK_OK;
	int rc = kms_call_find_delivery_key(call, in->key);
	if (rc != SLK_OK)
		return rc;
	c->own.encrypted_kms = true;
	memcpy(c->own.key_id, call->key.id, sizeof(c->own.key_id));
	(void)snprintf(c->own.key_name, sizeof(c->own.key_name), "%s", in->key);
	return SLK_OK;
}

static int
take_tags(struct kms_call *call, const Kmsp__CreateDeliveryStream *in, struct creation *c,
	const char *arn)
{
	c->tags_count = in->n_tags;
	if (in->n_tags == 0)
		return SLK_OK;
	int rc = kms_call_take_delivery_tags(call, in->tags, in->n_tags, c->tags);
	if (rc != SLK_OK)
		return rc;
	call->facts.request_tags = c->tags;
	call->facts.request_tags_count = in->n_tags;
	return kms_call_authorize(call, "firehose:TagDeliveryStream", arn, NULL);
}

/* Before the HSM is asked; the catalog has the last word. */
static int
check_name_is_free(struct kms_call *call, const char *name)
{
	struct kms_delivery there;
	int rc = kms_catalog_delivery_get(call->service->parts.catalog, name, &there);

	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	if (rc == SLK_OK)
		kms_call_fail(call, SLK_EXISTS, "ResourceInUseException",
			"Firehose %s under accountId %s already exists", name,
			call->service->parts.realm.account);
	else
		kms_call_fail_catalog(call, rc);
	return rc == SLK_OK ? SLK_EXISTS : rc;
}

static int
take_spec(struct kms_call *call, const Kmsp__CreateDeliveryStream *in, struct creation *c,
	const char *arn)
{
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;

	int rc = dlv_spec_parse(slk_span(in->json.data, in->json.len), &spec, &fault);
	if (rc == SLK_OK)
		rc = dlv_spec_check(spec, &fault);
	if (rc != SLK_OK) {
		kms_call_fail_spec(call, rc, &fault);
		dlv_spec_free(spec);
		return rc;
	}
	rc = take_source(call, spec, c);
	if (rc == SLK_OK)
		rc = take_key(call, in, c);
	if (rc == SLK_OK)
		rc = kms_call_pass_roles(call, spec, arn);
	if (rc == SLK_OK)
		rc = kms_description_take(call, spec, &c->description);
	dlv_spec_free(spec);
	return rc;
}

void
kms_op_create_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__CreateDeliveryStream *in = request->create_delivery_stream;
	char arn[KMS_ARN_MAX];

	if (kms_delivery_check(in->name) != SLK_OK) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value at 'deliveryStreamName' failed to "
			"satisfy constraint: Member must satisfy regular expression pattern: "
			"[a-zA-Z0-9_.-]{1,64}");
		return;
	}
	kms_arn_delivery(&call->service->parts.realm, in->name, arn);
	if (kms_call_authorize(call, call->action, arn, NULL) != SLK_OK)
		return;
	struct creation *c = kms_call_work(call, sizeof(*c));
	if (c == NULL)
		return;
	strcpy(c->description.row.name, in->name);
	c->description.row.version = 1;
	if (check_name_is_free(call, in->name) != SLK_OK || take_tags(call, in, c, arn) != SLK_OK ||
		take_spec(call, in, c, arn) != SLK_OK)
		return;
	strcpy(call->resource, arn);
	kms_description_seal(call, insert);
}

/* --- DescribeDeliveryStream, DeliveryWork --- */

static void
answer_masked(struct kms_call *call, const struct kms_delivery *d)
{
	struct slk_secret *text = NULL;
	struct dlv_spec *spec = NULL;
	size_t len = 0;

	if (kms_description_parse(call, &spec) != SLK_OK)
		return;
	int rc = dlv_spec_print_masked(spec, &text, &len);
	if (rc == SLK_OK)
		answer_with(call, d, slk_span(slk_secret_peek(text), len));
	else
		kms_call_fail_spec(call, rc, NULL);
	slk_secret_free(text);
	dlv_spec_free(spec);
}

/* The gateway's own question: what a put has to know. Nothing is unsealed for it. */
static void
describe_to_gateway(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_delivery d;

	if (kms_call_get_delivery(call, request->describe_delivery_stream->name, &d) == SLK_OK)
		answer_with(call, &d, slk_span(NULL, 0));
}

void
kms_op_describe_delivery_stream(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_delivery d;

	if (call->classes == KMS_CLASS_GATEWAY)
		describe_to_gateway(call, request);
	else if (kms_call_find_delivery(call, request->describe_delivery_stream->name, &d) ==
			SLK_OK &&
		kms_description_open(call, request, &d) == SLK_OK)
		answer_masked(call, &d);
}

void
kms_op_delivery_work(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_delivery d;

	if (kms_call_get_delivery(call, request->delivery_work->name, &d) == SLK_OK &&
		kms_description_open(call, request, &d) == SLK_OK)
		answer_with(call, &d, slk_span(slk_secret_peek(call->found), call->found_len));
}

/* --- ListDeliveryStreams --- */

static int
take_kind(struct kms_call *call, const char *source, enum kms_delivery_kind *out)
{
	static const char *const names[] = {[KMS_DELIVERY_ALL] = "",
		[KMS_DELIVERY_DIRECT] = "DirectPut",
		[KMS_DELIVERY_OF_STREAM] = "KinesisStreamAsSource"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], source) == 0) {
			*out = (enum kms_delivery_kind)i;
			return SLK_OK;
		}
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value at 'deliveryStreamType' failed to satisfy "
		"constraint: Member must satisfy enum value set: [DirectPut, "
		"KinesisStreamAsSource]");
	return SLK_INVALID;
}

static void
answer_list(struct kms_call *call, const struct kms_delivery *found, size_t count, bool more)
{
	static struct delivery_text texts[KMSP_PAGE_MAX]; /* one thread */
	static Kmsp__DeliveryStream *list[KMSP_PAGE_MAX];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__DeliveryStreams out = KMSP__DELIVERY_STREAMS__INIT;

	for (size_t i = 0; i < count; i++) {
		int rc = message_delivery(call, &found[i], &texts[i]);
		if (rc != SLK_OK) {
			kms_call_fail_catalog(call, rc);
			return;
		}
		list[i] = &texts[i].message;
	}
	out.n_streams = count;
	out.streams = list;
	out.more = more;
	reply.result_case = KMSP__REPLY__RESULT_DELIVERY_STREAMS;
	reply.delivery_streams = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_list_delivery_streams(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_delivery found[KMSP_PAGE_MAX + 1]; /* one thread */
	const Kmsp__ListDeliveryStreams *in = request->list_delivery_streams;
	enum kms_delivery_kind kind = KMS_DELIVERY_ALL;
	size_t count = 0, limit = kms_page(in->limit);

	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK ||
		take_kind(call, in->source, &kind) != SLK_OK)
		return;
	if (in->after[0] != '\0' && kms_delivery_check(in->after) != SLK_OK) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"ExclusiveStartDeliveryStreamName is not the name of a delivery stream");
		return;
	}
	int rc = kms_catalog_delivery_list(
		call->service->parts.catalog, in->after, kind, found, limit + 1, &count);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer_list(call, found, count < limit ? count : limit, count > limit);
}
