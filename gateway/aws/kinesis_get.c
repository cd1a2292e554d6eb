/* GetShardIterator, GetRecords. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/readers.h"
#include "aws/throughput.h"
#include "base/log.h"
#include "format/utf8.h"

#define RECORDS_MAX 10000u

/* The place that a GetShardIterator or GetRecords is about; in the call's arena. */
struct place {
	struct gw_stream_name stream;
	struct gw_ticket ticket;
	enum gw_job_kind kind;
	struct gw_job *job;
};

static void job_done(struct gw_call *call, struct gw_job *job);

static void
forget_job(struct gw_call *call)
{
	((struct place *)call->user)->job->call = NULL;
}

static bool
submit(struct gw_call *call, const struct gw_stream *stream, struct place *place)
{
	struct gw_readers *r = gw_kinesis_readers(gw_app_kinesis(call->thread->app));
	const struct http_client *client = http_exchange_request(call->x)->client;

	if (r == NULL)
		return gw_fault_set(
			&call->fault, "InternalFailureException", "Internal Service Failure");
	struct gw_job *job = calloc(1, sizeof(*job));
	if (job == NULL)
		return gw_call_fault_status(call, SLK_NO_MEMORY, "no memory for a reader");
	job->thread = call->thread;
	job->call = call;
	job->done = job_done;
	job->kind = place->kind;
	job->stream_id = place->ticket.stream_id;
	job->shard = place->ticket.shard;
	job->position = (struct sealock_position){
		(enum sealock_from)place->ticket.kind, place->ticket.value};
	int64_t limit = gw_int(call->in, "Limit", RECORDS_MAX);
	job->records_max = limit < RECORDS_MAX ? (size_t)limit : RECORDS_MAX;
	memcpy(job->stream_arn, place->stream.arn, sizeof(job->stream_arn));
	memcpy(job->own_key_arn, stream->own_key_arn, sizeof(job->own_key_arn));
	memcpy(job->credential, call->credential, sizeof(job->credential));
	memcpy(job->key_id, call->sig.key_id, sizeof(job->key_id));
	memcpy(job->source_ip, call->source_ip, sizeof(job->source_ip));
	job->by_uid = call->by_uid;
	job->uid = call->uid;
	job->over_tls = call->source_ip[0] != '\0' && client->via == HTTP_VIA_TLS;
	if (call->sig.token != NULL)
		job->token = strdup(call->sig.token);
	bool ok = (call->sig.token == NULL || job->token != NULL) && gw_readers_submit(r, job);
	if (!ok) {
		free(job->token);
		free(job);
		return gw_call_fault_status(call, SLK_LIMIT, "Too much is under way");
	}
	place->job = job;
	call->cancel = forget_job;
	return true;
}

/* --- answers --- */

static void
seal_into(struct gw_call *call, struct gw_ticket *ticket, char out[GW_TICKET_TEXT])
{
	ticket->purpose = GW_TICKET_ITERATOR;
	ticket->issued_ms = gw_call_wall_ns(call) / SLK_NS_PER_MS;
	if (gw_ticket_seal(gw_kinesis_ticket_key(gw_app_kinesis(call->thread->app)), ticket, out) !=
		SLK_OK)
		out[0] = '\0';
}

static void
answer_iterator(struct gw_call *call, struct place *place)
{
	char text[GW_TICKET_TEXT];

	seal_into(call, &place->ticket, text);
	if (text[0] == '\0' || !gw_call_write(call, 0, false)) {
		if (call->fault.type == NULL)
			(void)gw_call_fault_status(call, SLK_INTERNAL, "");
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_text(&call->w, "ShardIterator", text);
	gw_write_close(&call->w);
	gw_call_send(call);
}

/* Why a key was not given, as Kinesis says it. */
static void
read_failed(struct gw_call *call, const struct gw_job *job)
{
	static const char *const names[][2] = {
		{"AccessDeniedException", "KMSAccessDeniedException"},
		{"DisabledException", "KMSDisabledException"},
		{"KMSInvalidStateException", "KMSInvalidStateException"},
		{"NotFoundException", "KMSNotFoundException"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(job->refusal, names[i][0]) == 0) {
			call->thread->counters.denied += i == 0;
			(void)gw_fault_set(&call->fault, names[i][1], "%s", job->err.text);
			gw_call_fail(call);
			return;
		}
	/* Whoever asks again and again does not fill the log. */
	if (http_loop_now_ns(call->thread->loop) - call->thread->warned_ns >= SLK_NS_PER_S ||
		call->thread->warned_ns == 0) {
		call->thread->warned_ns = http_loop_now_ns(call->thread->loop);
		slk_warn("records cannot be read", slk_kv("error", (const char *)job->err.text));
	}
	call->thread->counters.unavailable++;
	(void)gw_fault_set(&call->fault, "InternalFailureException", "Internal Service Failure");
	gw_call_fail(call);
}

/* What is no text (a plain listener's sender chose it) is told as it can be. */
static void
write_key(struct gw_writer *w, struct slk_span key)
{
	char text[1025];
	size_t n = key.len < sizeof(text) - 1 ? key.len : sizeof(text) - 1;

	if (fmt_utf8_is_text(key)) {
		gw_write_span(w, "PartitionKey", key);
		return;
	}
	for (size_t i = 0; i < n; i++)
		text[i] = key.ptr[i] >= 0x20 && key.ptr[i] < 0x7f ? (char)key.ptr[i] : '?';
	gw_write_span(w, "PartitionKey", slk_span(text, n));
}

static void
write_children(struct gw_writer *w, const struct gw_stream *stream, uint32_t shard)
{
	char id[KMSC_SHARD_ID_MAX], key[KMSC_HASH_KEY_TEXT];

	gw_write_open_list(w, "ChildShards");
	for (size_t i = 0; i < stream->shards_count; i++) {
		const struct kmsc_shard *s = &stream->shards[i];
		if (!(s->has_parent && s->parent == shard) &&
			!(s->has_adjacent && s->adjacent == shard))
			continue;
		gw_write_open(w, NULL);
		kmsc_shard_id_print(s->number, id);
		gw_write_text(w, "ShardId", id);
		gw_write_open_list(w, "ParentShards");
		kmsc_shard_id_print(s->parent, id);
		gw_write_text(w, NULL, id);
		if (s->has_adjacent) {
			kmsc_shard_id_print(s->adjacent, id);
			gw_write_text(w, NULL, id);
		}
		gw_write_close_list(w);
		gw_write_open(w, "HashKeyRange");
		kmsc_hash_key_print(s->start, key);
		gw_write_text(w, "StartingHashKey", key);
		kmsc_hash_key_print(s->end, key);
		gw_write_text(w, "EndingHashKey", key);
		gw_write_close(w);
		gw_write_close(w);
	}
	gw_write_close_list(w);
}

static bool
has_children(const struct gw_stream *stream, uint32_t shard)
{
	for (size_t i = 0; i < stream->shards_count; i++)
		if ((stream->shards[i].has_parent && stream->shards[i].parent == shard) ||
			(stream->shards[i].has_adjacent && stream->shards[i].adjacent == shard))
			return true;
	return false;
}

/* Nothing comes behind the batch any more. */
static bool
is_end(const struct gw_stream *stream, const struct kmsc_shard *shard,
	const struct sealock_batch *b)
{
	if (shard->closed_ns == 0 || !has_children(stream, shard->number))
		return false;
	return b->has_next && b->next_sequence >= shard->end_sequence ? true
								      : b->count == 0 && b->at_tip;
}

static void
write_records(struct gw_writer *w, const struct kmsc_shard *shard, const struct gw_job *job)
{
	const struct sealock_batch *b = &job->batch;
	struct gw_sequence_run run = {0};
	char text[GW_SEQUENCE_TEXT];

	gw_write_open_list(w, "Records");
	for (size_t i = 0; i < b->count; i++) {
		const struct sealock_record *r = &b->records[i];
		gw_write_open(w, NULL);
		gw_sequence_of(&run, shard, r->sequence, r->arrival_ns, text);
		gw_write_text(w, "SequenceNumber", text);
		gw_write_time(w, "ApproximateArrivalTimestamp", r->arrival_ns);
		gw_write_blob(w, "Data", r->data);
		write_key(w, r->key);
		if (job->encrypted_kms[i])
			gw_write_text(w, "EncryptionType", "KMS");
		gw_write_close(w);
	}
	gw_write_close_list(w);
}

static void
answer_records(struct gw_call *call, const struct gw_stream *stream, const struct gw_job *job)
{
	struct place *place = call->user;
	const struct kmsc_shard *shard = gw_stream_shard(stream, job->shard);
	const struct sealock_batch *b = &job->batch;
	struct gw_writer *w = &call->w;
	char iterator[GW_TICKET_TEXT];

	if (shard == NULL || !gw_call_write(call, b->bytes / 3 * 4 + b->count * 224 + 4096, true)) {
		if (call->fault.type == NULL)
			(void)gw_call_fault_status(call, SLK_INTERNAL, "");
		gw_call_fail(call);
		return;
	}
	if (b->has_next) {
		place->ticket.kind = SEALOCK_FROM_AT_SEQUENCE;
		place->ticket.value = b->next_sequence;
	}
	gw_write_open(w, NULL);
	write_records(w, shard, job);
	if (is_end(stream, shard, b)) {
		write_children(w, stream, shard->number);
	} else {
		seal_into(call, &place->ticket, iterator);
		gw_write_text(w, "NextShardIterator", iterator);
	}
	gw_write_int(w, "MillisBehindLatest", (int64_t)b->millis_behind_latest);
	gw_write_close(w);
	call->thread->counters.records_got += b->count;
	if (gw_kinesis_throughput(gw_app_kinesis(call->thread->app)) != NULL)
		gw_throughput_was_read(gw_kinesis_throughput(gw_app_kinesis(call->thread->app)),
			stream->id, shard->number, b->bytes, http_loop_now_ns(call->thread->loop));
	gw_call_send(call);
}

static void
job_done(struct gw_call *call, struct gw_job *job)
{
	struct place *place = call->user;

	if (job->status != SLK_OK) {
		read_failed(call, job);
		return;
	}
	if (job->kind == GW_JOB_LATEST) {
		place->ticket.kind = SEALOCK_FROM_AT_SEQUENCE;
		place->ticket.value = job->latest;
		answer_iterator(call, place);
		return;
	}
	/* The batch is valid only now: the stream as it was when the call began will do. */
	const struct gw_stream *stream = gw_stream_remembered(call->thread, place->stream.name);
	if (stream == NULL) {
		(void)gw_call_fault_status(call, SLK_UNAVAILABLE, "The stream has changed");
		gw_call_fail(call);
		return;
	}
	answer_records(call, stream, job);
}

/* --- GetShardIterator --- */

static bool
starting_sequence(struct gw_call *call, const struct gw_stream *stream,
	const struct kmsc_shard *shard, struct place *place, bool after)
{
	const char *text = gw_text(call->in, "StartingSequenceNumber"),
		   *account = gw_app_config_of(call->thread->app)->account;
	char asked[KMSC_SHARD_ID_MAX], found[KMSC_SHARD_ID_MAX];
	struct gw_sequence s;

	kmsc_shard_id_print(shard->number, asked);
	if (gw_sequence_parse(text, &s) != SLK_OK)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"StartingSequenceNumber %s used in GetShardIterator on shard %s in stream "
			"%s under "
			"account %s is invalid.",
			text, asked, stream->name, account);
	if (s.shard != shard->number) {
		kmsc_shard_id_print(s.shard, found);
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Invalid StartingSequenceNumber. It encodes %s, while it was used in a "
			"call to a "
			"shard with %s",
			found, asked);
	}
	if (s.created_s != shard->created_s)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"StartingSequenceNumber %s used in GetShardIterator on shard %s in stream "
			"%s under "
			"account %s is invalid because it did not come from this stream.",
			text, asked, stream->name, account);
	place->ticket.kind = SEALOCK_FROM_AT_SEQUENCE;
	/* A place is a record's number and one; the shard's start has its first record's. */
	place->ticket.value = after || s.place <= shard->first_sequence ? s.place : s.place - 1;
	if (s.place == GW_SEQUENCE_END)
		place->ticket.value = shard->end_sequence;
	return true;
}

static bool
starting_time(struct gw_call *call, struct place *place)
{
	uint64_t at_ns = gw_time(call->in, "Timestamp"), now_ns = gw_call_wall_ns(call);

	if (gw_get(call->in, "Timestamp") == NULL)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Must specify timestampInMillis parameter for iterator of type "
			"AT_TIMESTAMP. "
			"Current request has no timestamp parameter.");
	if (at_ns > now_ns)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"The timestampInMillis parameter cannot be greater than the "
			"currentTimestampInMillis. timestampInMillis: %llu, "
			"currentTimestampInMillis: %llu",
			(unsigned long long)(at_ns / SLK_NS_PER_MS),
			(unsigned long long)(now_ns / SLK_NS_PER_MS));
	place->ticket.kind = SEALOCK_FROM_AT_TIME;
	place->ticket.value = at_ns;
	return true;
}

static bool
place_of(struct gw_call *call, const struct gw_stream *stream, const struct kmsc_shard *shard,
	struct place *place)
{
	const char *type = gw_text(call->in, "ShardIteratorType");
	bool has_sequence = gw_text(call->in, "StartingSequenceNumber")[0] != '\0';
	bool at = strcmp(type, "AT_SEQUENCE_NUMBER") == 0,
	     after = strcmp(type, "AFTER_SEQUENCE_NUMBER") == 0;

	place->ticket.stream_id = stream->id;
	place->ticket.shard = shard->number;
	if ((at || after) != has_sequence && strcmp(type, "AT_TIMESTAMP") != 0)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and "
			"StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no "
			"StartingSequenceNumber. Request specified %s and %s "
			"StartingSequenceNumber.",
			type, has_sequence ? "also a" : "no");
	if (at || after)
		return starting_sequence(call, stream, shard, place, after);
	if (strcmp(type, "AT_TIMESTAMP") == 0)
		return starting_time(call, place);
	if (strcmp(type, "LATEST") == 0)
		place->kind = GW_JOB_LATEST;
	place->ticket.kind = SEALOCK_FROM_TRIM_HORIZON;
	place->ticket.value = 0;
	return true;
}

static void
iterator_for(struct gw_call *call, const struct gw_stream *stream)
{
	struct place *place = call->user;
	const char *id = gw_text(call->in, "ShardId");
	const struct kmsc_shard *shard = NULL;
	uint32_t number = 0;

	if (kmsc_shard_id_parse(id, &number) == SLK_OK)
		shard = gw_stream_shard(stream, number);
	place->kind = GW_JOB_READ;
	bool ok = shard != NULL ||
		gw_fault_set(&call->fault, "ResourceNotFoundException",
			"Shard %s in stream %s under account %s does not exist", id, stream->name,
			gw_app_config_of(call->thread->app)->account);
	ok = ok && shard != NULL && place_of(call, stream, shard, place);
	if (ok && place->kind == GW_JOB_LATEST && shard->closed_ns == 0) {
		ok = submit(call, stream, place);
		if (ok)
			return;
	}
	if (ok && place->kind == GW_JOB_LATEST) { /* of a closed shard: its end */
		place->ticket.kind = SEALOCK_FROM_AT_SEQUENCE;
		place->ticket.value = shard->end_sequence;
	}
	if (ok)
		answer_iterator(call, place);
	else
		gw_call_fail(call);
}

static void
may_iterate(struct gw_call *call)
{
	const struct place *place = call->user;

	if (!gw_stream_get(call, place->stream.name, false, iterator_for))
		gw_call_fail(call);
}

static bool
no_dry_run(struct gw_call *call)
{
	return !gw_bool(call->in, "DryRun") ||
		gw_fault_set(&call->fault, "InvalidArgumentException", "DryRun is not supported.");
}

bool
gw_kinesis_get_shard_iterator(struct gw_call *call)
{
	struct place *place = gw_call_take(call, sizeof(*place));

	if (place == NULL || !no_dry_run(call) || !gw_stream_named(call, &place->stream))
		return false;
	memcpy(place->ticket.name, place->stream.name, sizeof(place->ticket.name));
	call->user = place;
	return gw_call_authorize(call, "kinesis:GetShardIterator", place->stream.arn, may_iterate);
}

/* --- GetRecords --- */

static void
print_when(uint64_t ms, char out[64])
{
	time_t at = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&at, &tm) == NULL || strftime(out, 64, "%a %b %d %H:%M:%S UTC %Y", &tm) == 0)
		out[0] = '\0';
}

static bool
is_fresh(struct gw_call *call, const struct gw_ticket *ticket)
{
	uint64_t now_ms = gw_call_wall_ns(call) / SLK_NS_PER_MS;
	char issued[64], now[64];

	if (now_ms <= ticket->issued_ms + GW_TICKET_LIFE_MS)
		return true;
	print_when(ticket->issued_ms, issued);
	print_when(now_ms, now);
	return gw_fault_set(&call->fault, "ExpiredIteratorException",
		"Iterator expired. The iterator was created at time %s while right now it is %s "
		"which is "
		"further in the future than the tolerated delay of %u milliseconds.",
		issued, now, GW_TICKET_LIFE_MS);
}

static bool
may_read_now(struct gw_call *call, const struct gw_stream *stream, uint32_t shard)
{
	struct gw_throughput *t = gw_kinesis_throughput(gw_app_kinesis(call->thread->app));
	char text[320];

	if (t == NULL || strcmp(stream->mode, "PROVISIONED") != 0 ||
		gw_throughput_read(t, stream->id, shard, http_loop_now_ns(call->thread->loop)))
		return true;
	call->thread->counters.throttled++;
	gw_shard_rate_text(call, stream->name, shard, text, sizeof(text));
	return gw_fault_set(&call->fault, "ProvisionedThroughputExceededException", "%s", text);
}

static void
records_of(struct gw_call *call, const struct gw_stream *stream)
{
	struct place *place = call->user;

	/* Another stream of the same name is another one. */
	if (stream->id != place->ticket.stream_id)
		(void)gw_stream_missing(call, stream->name);
	else if (gw_stream_shard(stream, place->ticket.shard) == NULL)
		(void)gw_fault_set(&call->fault, "ResourceNotFoundException",
			"Shard shardId-%012u in stream %s under account %s does not exist",
			place->ticket.shard, stream->name,
			gw_app_config_of(call->thread->app)->account);
	else if (may_read_now(call, stream, place->ticket.shard) && submit(call, stream, place))
		return;
	gw_call_fail(call);
}

static void
may_read(struct gw_call *call)
{
	const struct place *place = call->user;

	if (!gw_stream_get(call, place->stream.name, false, records_of))
		gw_call_fail(call);
}

bool
gw_kinesis_get_records(struct gw_call *call)
{
	struct place *place = gw_call_take(call, sizeof(*place));
	const char *arn = gw_text(call->in, "StreamARN");
	struct gw_stream_name told;
	char resource[16 + GW_TICKET_NAME_MAX];

	if (place == NULL || !no_dry_run(call))
		return false;
	if (gw_ticket_open(gw_kinesis_ticket_key(gw_app_kinesis(call->thread->app)),
		    GW_TICKET_ITERATOR, gw_text(call->in, "ShardIterator"),
		    &place->ticket) != SLK_OK)
		return gw_fault_set(
			&call->fault, "InvalidArgumentException", "Invalid ShardIterator.");
	if (!is_fresh(call, &place->ticket))
		return false;
	if (arn[0] != '\0' && !gw_stream_arn_is_ours(call, arn, &told))
		return false;
	if (arn[0] != '\0' && strcmp(told.name, place->ticket.name) != 0)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"StreamARN %s does not match the ShardIterator.", arn);
	memcpy(place->stream.name, place->ticket.name, sizeof(place->stream.name));
	(void)snprintf(resource, sizeof(resource), "stream/%s", place->stream.name);
	gw_call_arn(call, "kinesis", resource, place->stream.arn);
	place->kind = GW_JOB_READ;
	call->user = place;
	return gw_call_authorize(call, "kinesis:GetRecords", place->stream.arn, may_read);
}
