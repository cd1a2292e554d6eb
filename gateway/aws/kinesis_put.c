/* PutRecord, PutRecords. */
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "aws/kinesis.h"
#include "aws/puts.h"
#include "aws/throughput.h"

#define CALL_BYTES_MAX (10u << 20) /* of all records */

struct put {
	struct gw_put put; /* first: puts.h */
	struct gw_stream_name stream;
	bool limited; /* records were refused because of throughput.h */
};

static const char *
kms_fault(int status)
{
	switch (status) {
	case SLK_DENIED:
		return "KMSAccessDeniedException";
	case SLK_DISABLED:
		return "KMSDisabledException";
	case SLK_INVALID_STATE:
		return "KMSInvalidStateException";
	default:
		return NULL;
	}
}

/* The whole call fails: why its stream takes no records, or what became of its one record. */
static void
failed(struct gw_call *call, int status, const char *sentence)
{
	const struct put *put = call->user;
	const char *type = kms_fault(status);
	char text[320];

	if (type != NULL) {
		(void)gw_fault_set(&call->fault, type, "%s", sentence);
	} else if (status == SLK_NOT_FOUND) {
		(void)gw_stream_missing(call, put->stream.name);
	} else if (status == SLK_THROTTLED && put->limited) {
		gw_shard_rate_text(
			call, put->stream.name, put->put.records[0].shard, text, sizeof(text));
		(void)gw_fault_set(
			&call->fault, "ProvisionedThroughputExceededException", "%s", text);
	} else if (status == SLK_THROTTLED || status == SLK_FULL) {
		(void)gw_fault_set(&call->fault, "ProvisionedThroughputExceededException",
			"Rate exceeded for stream %s under account %s.", put->stream.name,
			gw_app_config_of(call->thread->app)->account);
	} else if (status == SLK_TOO_LARGE) {
		(void)gw_fault_set(
			&call->fault, "InvalidArgumentException", "The record is too large.");
	} else {
		(void)gw_call_fault_status(call, SLK_INTERNAL, "");
	}
	gw_call_fail(call);
}

static void
write_record(struct gw_writer *w, struct gw_sequence_run *run, const struct gw_put_record *r,
	const struct kmsc_shard *shard)
{
	char text[GW_SEQUENCE_TEXT], id[KMSC_SHARD_ID_MAX];

	gw_sequence_of(run, shard, r->sequence, r->arrival_ns, text);
	kmsc_shard_id_print(shard->number, id);
	gw_write_text(w, "ShardId", id);
	gw_write_text(w, "SequenceNumber", text);
}

static void
write_failed(struct gw_writer *w, const struct put *put, const struct gw_put_record *r)
{
	char text[320];
	bool throttled = r->status == SLK_THROTTLED || r->status == SLK_FULL;

	if (r->status == SLK_THROTTLED && put->limited)
		gw_shard_rate_text(put->put.call, put->stream.name, r->shard, text, sizeof(text));
	else
		(void)snprintf(
			text, sizeof(text), "Rate exceeded for stream %s.", put->stream.name);
	gw_write_text(w, "ErrorCode",
		throttled ? "ProvisionedThroughputExceededException" : "InternalFailure");
	gw_write_text(w, "ErrorMessage", throttled ? text : "Internal Service Failure");
}

/* Every shard that a record went to, or NULL: it was opened since the stream was looked at. */
static bool
knows_shards(const struct gw_stream *stream, const struct put *put)
{
	for (uint32_t i = 0; i < put->put.count; i++)
		if (put->put.records[i].status == SLK_OK &&
			gw_stream_shard(stream, put->put.records[i].shard) == NULL)
			return false;
	return true;
}

static void
write_answer(struct gw_call *call, const struct gw_stream *stream)
{
	struct put *put = call->user;
	struct gw_writer *w = &call->w;
	struct gw_sequence_run run = {0};
	uint32_t failures = 0;
	bool encrypted = false;

	if (!knows_shards(stream, put) ||
		!gw_call_write(call, (size_t)put->put.count * 160, false)) {
		if (call->fault.type == NULL)
			(void)gw_call_fault_status(call, SLK_INTERNAL, "");
		gw_call_fail(call);
		return;
	}
	for (uint32_t i = 0; i < put->put.count; i++) {
		failures += put->put.records[i].status != SLK_OK;
		encrypted |= put->put.records[i].encrypted_kms;
	}
	gw_write_open(w, NULL);
	if (put->put.single) {
		write_record(w, &run, &put->put.records[0],
			gw_stream_shard(stream, put->put.records[0].shard));
	} else {
		gw_write_int(w, "FailedRecordCount", failures);
		gw_write_open_list(w, "Records");
		for (uint32_t i = 0; i < put->put.count; i++) {
			const struct gw_put_record *r = &put->put.records[i];
			gw_write_open(w, NULL);
			if (r->status == SLK_OK)
				write_record(w, &run, r, gw_stream_shard(stream, r->shard));
			else
				write_failed(w, put, r);
			gw_write_close(w);
		}
		gw_write_close_list(w);
	}
	if (encrypted)
		gw_write_text(w, "EncryptionType", "KMS");
	gw_write_close(w);
	gw_call_send(call);
}

static void
look_again(struct gw_call *call, const struct gw_stream *stream)
{
	const struct put *put = call->user;

	if (knows_shards(stream, put))
		write_answer(call, stream);
	else if (!gw_stream_get(call, put->stream.name, true, write_answer))
		gw_call_fail(call);
}

static void
done(struct gw_call *call)
{
	const struct put *put = call->user;

	if (!gw_stream_get(call, put->stream.name, false, look_again))
		gw_call_fail(call);
}

/* --- requests --- */

static bool
record_too_large(struct gw_call *call, uint32_t number)
{
	char path[64] = "data";

	if (number != 0)
		(void)snprintf(path, sizeof(path), "records.%u.member.data", number);
	return gw_fault_set(&call->fault, "ValidationException",
		"1 validation error detected: Value at '%s' failed to satisfy constraint: Member "
		"must "
		"have length less than or equal to %u",
		path, GW_RECORD_BYTES_MAX);
}

/* number: in PutRecords, from 1; 0: of PutRecord. */
static bool
read_record(
	struct gw_call *call, const struct gw_value *in, uint32_t number, struct gw_put_record *out)
{
	const char *hash = gw_text(in, "ExplicitHashKey");
	kmsc_hash_key key = 0;

	out->key = gw_span(in, "PartitionKey");
	out->data = gw_span(in, "Data");
	if (out->key.len + out->data.len > GW_RECORD_BYTES_MAX)
		return record_too_large(call, number);
	if (hash[0] == '\0')
		return true;
	if (kmsc_hash_key_parse(hash, &key) != SLK_OK)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, "
			"2^128-1]. "
			"Specified value was %s",
			hash);
	out->has_hash = true;
	slk_put_be64(out->hash, (uint64_t)(key >> 64));
	slk_put_be64(out->hash + 8, (uint64_t)key);
	return true;
}

/* The open shard that a hash key is of, or NULL. */
static const struct kmsc_shard *
shard_of(const struct gw_stream *stream, const uint8_t hash[16])
{
	kmsc_hash_key key = (kmsc_hash_key)slk_get_be64(hash) << 64 | slk_get_be64(hash + 8);

	for (size_t i = 0; i < stream->shards_count; i++) {
		const struct kmsc_shard *s = &stream->shards[i];
		if (s->closed_ns == 0 && key >= s->start && key <= s->end)
			return s;
	}
	return NULL;
}

/* Of a provisioned stream: what its shards do not take now. Where a record goes is only known so; after a reshard a moment ago it may
 * count for another shard. */
static void
limit(struct gw_call *call, const struct gw_stream *stream, struct put *put)
{
	struct gw_throughput *t = gw_kinesis_throughput(gw_app_kinesis(call->thread->app));

	if (t == NULL || strcmp(stream->mode, "PROVISIONED") != 0)
		return;
	for (uint32_t i = 0; i < put->put.count; i++) {
		struct gw_put_record *r = &put->put.records[i];
		if (!r->has_hash)
			r->has_hash = EVP_Digest(r->key.ptr, r->key.len, r->hash, NULL, EVP_md5(),
					      NULL) == 1;
		const struct kmsc_shard *shard = r->has_hash ? shard_of(stream, r->hash) : NULL;
		if (shard == NULL ||
			gw_throughput_write(t, stream->id, shard->number, r->key.len + r->data.len,
				http_loop_now_ns(call->thread->loop)))
			continue;
		put->limited = true;
		r->status = SLK_THROTTLED;
		r->shard = shard->number;
		call->thread->counters.throttled++;
	}
}

/* The stream is there: its records may go. */
static void
begin(struct gw_call *call, const struct gw_stream *stream)
{
	struct put *put = call->user;

	if (strcmp(stream->status, "CREATING") == 0 || strcmp(stream->status, "DELETING") == 0) {
		(void)gw_stream_missing(call, stream->name);
		gw_call_fail(call);
		return;
	}
	limit(call, stream, put);
	gw_put_begin(&put->put);
}

static void
allowed(struct gw_call *call)
{
	const struct put *put = call->user;

	if (!gw_stream_get(call, put->stream.name, false, begin))
		gw_call_fail(call);
}

static struct put *
new_put(struct gw_call *call, uint32_t count)
{
	struct put *put = (struct put *)gw_put_new(call, sizeof(*put), count);

	if (put == NULL)
		return NULL;
	if (gw_bool(call->in, "DryRun")) {
		(void)gw_fault_set(
			&call->fault, "InvalidArgumentException", "DryRun is not supported.");
		return NULL;
	}
	if (!gw_stream_named(call, &put->stream))
		return NULL;
	put->put.target = put->stream.name;
	put->put.done = done;
	put->put.failed = failed;
	return put;
}

bool
gw_kinesis_put_record(struct gw_call *call)
{
	const char *ordering = gw_text(call->in, "SequenceNumberForOrdering");
	struct put *put = new_put(call, 1);
	struct gw_sequence sequence;

	if (put == NULL || !read_record(call, call->in, 0, &put->put.records[0]))
		return false;
	put->put.single = true;
	if (ordering[0] != '\0' && gw_sequence_parse(ordering, &sequence) != SLK_OK)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under "
			"account %s "
			"is invalid.",
			ordering, put->stream.name, gw_app_config_of(call->thread->app)->account);
	return gw_call_authorize(call, "kinesis:PutRecord", put->stream.arn, allowed);
}

bool
gw_kinesis_put_records(struct gw_call *call)
{
	const struct gw_value *records = gw_get(call->in, "Records");
	struct put *put = new_put(call, records->count);
	size_t bytes = 0;
	uint32_t i = 0;

	if (put == NULL)
		return false;
	for (const struct gw_value *v = records->first; v != NULL; v = v->next, i++) {
		if (!read_record(call, v, i + 1, &put->put.records[i]))
			return false;
		bytes += put->put.records[i].key.len + put->put.records[i].data.len;
	}
	if (bytes > CALL_BYTES_MAX)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Records size exceeds 10 MB limit");
	return gw_call_authorize(call, "kinesis:PutRecords", put->stream.arn, allowed);
}
