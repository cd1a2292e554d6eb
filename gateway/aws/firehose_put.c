/* PutRecord, PutRecordBatch: into the stream of the journal that the delivery stream has, by its ARN. Records have no partition key
 * there: each gets one at random, which spreads them over the shards. */
#include <stdio.h>
#include <string.h>

#include "aws/firehose.h"
#include "aws/kinesis.h"
#include "aws/puts.h"
#include "aws/throughput.h"
#include "base/secret.h"

#define CALL_BYTES_MAX (4u << 20) /* of all records */
#define KEY_CHARS 16u
#define RECORD_ID_CHARS 41u /* with terminator */

struct put {
	struct gw_put put; /* first: puts.h */
	const char *name;
	char arn[KMSC_ARN_MAX];
	bool encrypted; /* by the delivery stream's description; a record says it, too */
};

static bool
is_throttled(int status)
{
	return status == SLK_THROTTLED || status == SLK_FULL;
}

/* --- answers --- */

static void
failed(struct gw_call *call, int status, const char *sentence)
{
	const struct put *put = call->user;

	if (status == SLK_DENIED || status == SLK_DISABLED || status == SLK_INVALID_STATE)
		(void)gw_call_fault_key(call, status, sentence);
	else if (status == SLK_NOT_FOUND)
		(void)gw_delivery_missing(call, put->name);
	else if (is_throttled(status))
		(void)gw_fault_set(&call->fault, "ServiceUnavailableException", "Slow down.");
	else if (status == SLK_TOO_LARGE)
		(void)gw_fault_set(
			&call->fault, "InvalidArgumentException", "The record is too large.");
	else
		(void)gw_call_fault_status(call, SLK_UNAVAILABLE, "Service is unavailable.");
	gw_call_fail(call);
}

/* Where it is in the journal: unique within the delivery stream, and found again in a block. */
static void
write_record(struct gw_writer *w, const struct gw_put_record *r)
{
	char id[RECORD_ID_CHARS];

	(void)snprintf(id, sizeof(id), "%08x%016llx%016llx", r->shard,
		(unsigned long long)r->sequence, (unsigned long long)r->arrival_ns);
	gw_write_text(w, "RecordId", id);
}

static void
write_failed(struct gw_writer *w, const struct gw_put_record *r)
{
	bool later = is_throttled(r->status) || slk_status_class(r->status) == SLK_CLASS_RETRY;

	gw_write_text(w, "ErrorCode", later ? "ServiceUnavailableException" : "InternalFailure");
	gw_write_text(w, "ErrorMessage", later ? "Slow down." : "Internal Service Failure");
}

static void
write_batch(struct gw_writer *w, const struct put *put)
{
	uint32_t failures = 0;

	for (uint32_t i = 0; i < put->put.count; i++)
		failures += put->put.records[i].status != SLK_OK;
	gw_write_int(w, "FailedPutCount", failures);
	gw_write_open_list(w, "RequestResponses");
	for (uint32_t i = 0; i < put->put.count; i++) {
		const struct gw_put_record *r = &put->put.records[i];
		gw_write_open(w, NULL);
		if (r->status == SLK_OK)
			write_record(w, r);
		else
			write_failed(w, r);
		gw_write_close(w);
	}
	gw_write_close_list(w);
}

static void
done(struct gw_call *call)
{
	const struct put *put = call->user;
	struct gw_writer *w = &call->w;
	bool encrypted = put->encrypted;

	if (!gw_call_write(call, (size_t)put->put.count * 64, false)) {
		gw_call_fail(call);
		return;
	}
	for (uint32_t i = 0; i < put->put.count; i++)
		encrypted |= put->put.records[i].encrypted_kms;
	gw_write_open(w, NULL);
	if (put->put.single)
		write_record(w, &put->put.records[0]);
	else
		write_batch(w, put);
	gw_write_bool(w, "Encrypted", encrypted);
	gw_write_close(w);
	gw_call_send(call);
}

/* --- requests --- */

/* Where limits are configured: what the delivery stream does not take now. false: not even the call. */
static bool
limit(struct gw_call *call, const struct gw_delivery *delivery, struct gw_put *put)
{
	struct gw_throughput *t = gw_kinesis_throughput(gw_app_kinesis(call->thread->app));
	uint64_t now_ns = http_loop_now_ns(call->thread->loop);

	if (t == NULL)
		return true;
	if (!gw_throughput_call(t, delivery->id, now_ns)) {
		call->thread->counters.throttled++;
		return gw_fault_set(&call->fault, "ServiceUnavailableException", "Slow down.");
	}
	for (uint32_t i = 0; i < put->count; i++)
		if (!gw_throughput_put(t, delivery->id, put->records[i].data.len, now_ns)) {
			put->records[i].status = SLK_THROTTLED;
			call->thread->counters.throttled++;
		}
	return true;
}

static void
begin(struct gw_call *call, const struct gw_delivery *delivery)
{
	struct put *put = call->user;

	put->encrypted = delivery->encrypted;
	if (!delivery->direct_put)
		(void)gw_fault_set(&call->fault, "InvalidArgumentException",
			"This operation is not permitted on KinesisStreamAsSource delivery stream "
			"type.");
	else if (!delivery->active)
		(void)gw_delivery_missing(call, put->name);
	if (call->fault.type != NULL || !limit(call, delivery, &put->put))
		gw_call_fail(call);
	else
		gw_put_begin(&put->put);
}

static void
allowed(struct gw_call *call)
{
	const struct put *put = call->user;

	if (!gw_delivery_get(call, put->name, begin))
		gw_call_fail(call);
}

/* A key each, and the place that it has among the shards. */
static bool
draw_keys(struct gw_call *call, struct gw_put *put)
{
	size_t hash_bytes = sizeof(put->records[0].hash);
	uint8_t *drawn = gw_call_take(call, put->count * hash_bytes);
	char *keys = gw_call_take(call, put->count * (KEY_CHARS + 1));

	if (drawn == NULL || keys == NULL)
		return false;
	if (slk_random(drawn, put->count * hash_bytes) != SLK_OK)
		return gw_call_fault_status(call, SLK_INTERNAL, "");
	for (uint32_t i = 0; i < put->count; i++) {
		struct gw_put_record *r = &put->records[i];
		char *key = keys + i * (KEY_CHARS + 1);
		memcpy(r->hash, drawn + i * hash_bytes, hash_bytes);
		r->has_hash = true;
		slk_hex(slk_span(r->hash, KEY_CHARS / 2), key, KEY_CHARS + 1);
		r->key = slk_span(key, KEY_CHARS);
	}
	return true;
}

static struct put *
new_put(struct gw_call *call, uint32_t count)
{
	struct put *put = (struct put *)gw_put_new(call, sizeof(*put), count);

	if (put == NULL || !draw_keys(call, &put->put))
		return NULL;
	put->name = gw_delivery_named(call, put->arn);
	put->put.target = put->arn;
	put->put.done = done;
	put->put.failed = failed;
	return put;
}

bool
gw_firehose_put_record(struct gw_call *call)
{
	struct put *put = new_put(call, 1);

	if (put == NULL)
		return false;
	put->put.single = true;
	put->put.records[0].data = gw_span(gw_get(call->in, "Record"), "Data");
	return gw_call_authorize(call, "firehose:PutRecord", put->arn, allowed);
}

bool
gw_firehose_put_record_batch(struct gw_call *call)
{
	const struct gw_value *records = gw_get(call->in, "Records");
	struct put *put = new_put(call, records->count);
	size_t bytes = 0;
	uint32_t i = 0;

	if (put == NULL)
		return false;
	for (const struct gw_value *v = records->first; v != NULL; v = v->next, i++) {
		put->put.records[i].data = gw_span(v, "Data");
		bytes += put->put.records[i].data.len;
	}
	if (bytes > CALL_BYTES_MAX)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Records size exceeds 4 MB limit");
	return gw_call_authorize(call, "firehose:PutRecordBatch", put->arn, allowed);
}
