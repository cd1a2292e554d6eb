/* PutRecord, PutRecords: records go into the ring of the thread's producer and are answered when all of them have a completion.
 *
 * A call has a slot while records of it are under way; a completion's tag names slot, generation and record, so that one for a
 * call that ended finds nobody. Calls whose records do not fit the ring wait in order; one that waits for too long (ingestd is
 * away) fails. What was put may be stored then: the client repeats, as with the service.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/kinesis.h"
#include "sealock/producer.h"

#define SLOTS 4096u
#define RING_BYTES (16u << 20)
#define UNDER_WAY 16384u
#define RECORD_BYTES_MAX (1u << 20) /* data and key, of one */
#define CALL_BYTES_MAX (10u << 20) /* of all */
#define WAIT_NS (4 * SLK_NS_PER_S)
#define LOOK_NS (200 * SLK_NS_PER_MS)
#define COMPLETIONS 256u
#define ROUNDS 64u /* of completions in one turn */

struct record {
	struct slk_span key, data;
	bool has_hash;
	uint8_t hash[16];
	/* Its completion: */
	int status;
	uint32_t shard;
	uint64_t sequence, arrival_ns;
	bool encrypted_kms;
};

/* In its call's arena. */
struct put {
	struct put *next; /* among those that wait */
	struct gw_call *call;
	struct gw_stream_name stream;
	uint32_t attached; /* the producer's number */
	bool has_slot, waits, single;
	uint32_t slot;
	struct record *records;
	uint32_t count, given, done;
	uint64_t deadline_ns;
};

struct gw_puts {
	struct gw_thread *t;
	struct sealock_producer *producer;
	struct http_watch watch;
	struct http_timer timer;
	struct {
		struct put *put;
		uint32_t generation;
	} slots[SLOTS];
	uint32_t next_slot;
	struct put *first, **tail;
};

/* --- ends of calls --- */

static void
leave(struct gw_puts *p, struct put *put)
{
	if (put->has_slot) {
		p->slots[put->slot].put = NULL;
		p->slots[put->slot].generation++;
		put->has_slot = false;
	}
	if (!put->waits)
		return;
	for (struct put **at = &p->first; *at != NULL; at = &(*at)->next)
		if (*at == put) {
			*at = put->next;
			if (p->tail == &put->next)
				p->tail = at;
			break;
		}
	put->waits = false;
}

static void
cancel(struct gw_call *call)
{
	struct gw_thread *t = call->thread;

	if (t->kinesis != NULL && t->kinesis->puts != NULL)
		leave(t->kinesis->puts, call->user);
}

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
fail(struct gw_puts *p, struct put *put, int status, const char *sentence)
{
	struct gw_call *call = put->call;
	const char *type = kms_fault(status);

	leave(p, put);
	p->t->counters.records_put_failed += put->count;
	if (type != NULL)
		(void)gw_fault_set(&call->fault, type, "%s", sentence);
	else if (status == SLK_NOT_FOUND)
		(void)gw_stream_missing(call, put->stream.name);
	else if (status == SLK_THROTTLED || status == SLK_FULL)
		(void)gw_fault_set(&call->fault, "ProvisionedThroughputExceededException",
			"Rate exceeded for stream %s under account %s.", put->stream.name,
			gw_app_config_of(p->t->app)->account);
	else if (status == SLK_TOO_LARGE)
		(void)gw_fault_set(
			&call->fault, "InvalidArgumentException", "The record is too large.");
	else {
		call->thread->counters.unavailable++;
		(void)gw_fault_set(
			&call->fault, "InternalFailureException", "Internal Service Failure");
	}
	gw_call_fail(call);
}

static void
write_record(struct gw_writer *w, const struct record *r, const struct kmsc_shard *shard)
{
	char text[GW_SEQUENCE_TEXT], id[KMSC_SHARD_ID_MAX];

	gw_sequence_of(shard, r->sequence, r->arrival_ns, text);
	kmsc_shard_id_print(shard->number, id);
	gw_write_text(w, "ShardId", id);
	gw_write_text(w, "SequenceNumber", text);
}

static void
write_failed(struct gw_writer *w, const struct put *put, const struct record *r)
{
	char text[320];
	bool throttled = r->status == SLK_THROTTLED || r->status == SLK_FULL;

	(void)snprintf(text, sizeof(text), "Rate exceeded for stream %s.", put->stream.name);
	gw_write_text(w, "ErrorCode",
		throttled ? "ProvisionedThroughputExceededException" : "InternalFailure");
	gw_write_text(w, "ErrorMessage", throttled ? text : "Internal Service Failure");
}

/* Every shard that a record went to, or NULL: it was opened since the stream was looked at. */
static bool
knows_shards(const struct gw_stream *stream, const struct put *put)
{
	for (uint32_t i = 0; i < put->count; i++)
		if (put->records[i].status == SLK_OK &&
			gw_stream_shard(stream, put->records[i].shard) == NULL)
			return false;
	return true;
}

static void
write_answer(struct gw_call *call, const struct gw_stream *stream)
{
	struct put *put = call->user;
	struct gw_writer *w = &call->w;
	uint32_t failed = 0;
	bool encrypted = false;

	if (!knows_shards(stream, put) || !gw_call_write(call, (size_t)put->count * 160, false)) {
		if (call->fault.type == NULL)
			(void)gw_call_fault_status(call, SLK_INTERNAL, "");
		gw_call_fail(call);
		return;
	}
	for (uint32_t i = 0; i < put->count; i++) {
		failed += put->records[i].status != SLK_OK;
		encrypted |= put->records[i].encrypted_kms;
	}
	call->thread->counters.records_put += put->count - failed;
	call->thread->counters.records_put_failed += failed;
	gw_write_open(w, NULL);
	if (put->single) {
		write_record(w, &put->records[0], gw_stream_shard(stream, put->records[0].shard));
	} else {
		gw_write_int(w, "FailedRecordCount", failed);
		gw_write_open_list(w, "Records");
		for (uint32_t i = 0; i < put->count; i++) {
			const struct record *r = &put->records[i];
			gw_write_open(w, NULL);
			if (r->status == SLK_OK)
				write_record(w, r, gw_stream_shard(stream, r->shard));
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
finish(struct gw_puts *p, struct put *put)
{
	const struct record *first = &put->records[0];
	uint32_t stored = 0;

	leave(p, put);
	for (uint32_t i = 0; i < put->count; i++)
		stored += put->records[i].status == SLK_OK;
	if (stored == 0 && (put->single || kms_fault(first->status) != NULL))
		fail(p, put, first->status, slk_status_sentence(first->status));
	else if (!gw_stream_get(put->call, put->stream.name, false, look_again))
		gw_call_fail(put->call);
}

/* --- into the ring --- */

/* SLK_OK: all of it is there; SLK_AGAIN: not now; else why the stream takes none. */
static int
give(struct gw_puts *p, struct put *put, const char **out_sentence)
{
	struct sealock_stream_info info;

	int rc = sealock_producer_stream(p->producer, put->attached, &info);
	*out_sentence = "";
	if (rc == SLK_OK) {
		rc = info.status;
		*out_sentence = info.sentence;
	}
	while (rc == SLK_OK && put->given < put->count) {
		struct record *r = &put->records[put->given];
		const struct sealock_put one = {.stream = put->attached,
			.tag = (uint64_t)put->slot << 48 |
				(uint64_t)(p->slots[put->slot].generation & 0xffffffffu) << 16 |
				put->given,
			.key = r->key,
			.data = r->data,
			.hash = r->has_hash ? r->hash : NULL};
		rc = sealock_producer_put(p->producer, &one);
		if (rc == SLK_TOO_LARGE || rc == SLK_INVALID) {
			r->status = rc;
			put->done++;
			rc = SLK_OK;
		}
		if (rc == SLK_OK)
			put->given++;
	}
	return rc;
}

static void
give_waiting(struct gw_puts *p)
{
	while (p->first != NULL) {
		struct put *put = p->first;
		const char *sentence = "";
		int rc = give(p, put, &sentence);
		if (rc == SLK_AGAIN)
			break;
		p->first = put->next;
		if (p->first == NULL)
			p->tail = &p->first;
		put->waits = false;
		if (rc != SLK_OK)
			fail(p, put, rc, sentence);
		else if (put->done == put->count)
			finish(p, put);
	}
	sealock_producer_flush(p->producer);
}

static void
take(struct gw_puts *p, const struct sealock_completion *c)
{
	uint32_t slot = (uint32_t)(c->tag >> 48), index = (uint32_t)(c->tag & 0xffff);
	struct put *put = slot < SLOTS ? p->slots[slot].put : NULL;

	if (put == NULL || (uint32_t)(c->tag >> 16) != p->slots[slot].generation ||
		index >= put->given)
		return; /* its client did not wait */
	struct record *r = &put->records[index];
	r->status = c->status;
	r->shard = c->shard;
	r->sequence = c->sequence;
	r->arrival_ns = c->arrival_ns;
	r->encrypted_kms = c->encryption == SEALOCK_ENCRYPTION_KMS;
	put->done++;
	if (put->done == put->count && !put->waits)
		finish(p, put);
}

/* false: nothing came. */
static bool
take_all(struct gw_puts *p)
{
	struct sealock_completion completions[COMPLETIONS];
	size_t count = 0;

	if (sealock_producer_poll(p->producer, completions, COMPLETIONS, &count) != SLK_OK)
		return false;
	for (size_t i = 0; i < count; i++)
		take(p, &completions[i]);
	return count > 0;
}

void
gw_puts_turn(struct gw_puts *puts)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		bool came = take_all(puts);
		give_waiting(puts);
		if (!came && sealock_producer_arm(puts->producer) == SLK_OK)
			return;
	}
	http_loop_wake(puts->t->loop); /* others get their turn first */
}

static void
ready(struct http_watch *watch, uint32_t events)
{
	(void)watch; /* the turn looks */
	(void)events;
}

static void
look(struct http_timer *timer, uint64_t now_ns)
{
	struct gw_puts *p = timer->arg;

	while (p->first != NULL && p->first->deadline_ns <= now_ns)
		fail(p, p->first, SLK_UNAVAILABLE, "");
	if (p->first != NULL && http_timer_set(p->t->loop, timer, now_ns + LOOK_NS) != SLK_OK)
		fail(p, p->first, SLK_NO_MEMORY, "");
}

int
gw_puts_start(struct gw_thread *t, struct gw_puts **out_puts)
{
	const struct sealock_producer_config config = {
		.socket = gw_app_config_of(t->app)->put_socket,
		.ring_bytes = RING_BYTES,
		.records_max = UNDER_WAY};
	struct gw_puts *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return SLK_NO_MEMORY;
	p->t = t;
	p->tail = &p->first;
	p->timer = (struct http_timer){.fire = look, .arg = p};
	int rc = sealock_producer_new_lazy(&config, &p->producer, NULL);
	if (rc == SLK_OK) {
		p->watch = (struct http_watch){
			.ready = ready, .arg = p, .fd = sealock_producer_fd(p->producer)};
		rc = http_loop_watch(t->loop, &p->watch, EPOLLIN);
	}
	if (rc != SLK_OK) {
		gw_puts_stop(p);
		return rc;
	}
	*out_puts = p;
	return SLK_OK;
}

void
gw_puts_stop(struct gw_puts *puts)
{
	if (puts == NULL)
		return;
	http_timer_cancel(puts->t->loop, &puts->timer);
	http_loop_unwatch(puts->t->loop, &puts->watch);
	sealock_producer_free(puts->producer);
	free(puts);
}

/* --- requests --- */

static bool
read_record(struct gw_call *call, const struct gw_value *in, const char *path, struct record *out)
{
	const char *hash = gw_text(in, "ExplicitHashKey");
	kmsc_hash_key key = 0;

	out->key = gw_span(in, "PartitionKey");
	out->data = gw_span(in, "Data");
	if (out->key.len + out->data.len > RECORD_BYTES_MAX)
		return gw_fault_set(&call->fault, "ValidationException",
			"1 validation error detected: Value at '%s' failed to satisfy constraint: "
			"Member "
			"must have length less than or equal to %u",
			path, RECORD_BYTES_MAX);
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

static bool
take_slot(struct gw_puts *p, struct put *put)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		uint32_t slot = (p->next_slot + i) % SLOTS;
		if (p->slots[slot].put != NULL)
			continue;
		p->slots[slot].put = put;
		p->next_slot = (slot + 1) % SLOTS;
		put->slot = slot;
		put->has_slot = true;
		return true;
	}
	return false;
}

/* The stream is there: its records may go. */
static void
begin(struct gw_call *call, const struct gw_stream *stream)
{
	struct gw_puts *p = call->thread->kinesis->puts;
	struct put *put = call->user;

	if (strcmp(stream->status, "CREATING") == 0 || strcmp(stream->status, "DELETING") == 0) {
		(void)gw_stream_missing(call, stream->name);
		gw_call_fail(call);
		return;
	}
	int rc = sealock_producer_attach(
		p->producer, put->stream.name, SEALOCK_ATTACH_TRUSTED, &put->attached);
	if (rc == SLK_OK && !take_slot(p, put))
		rc = SLK_LIMIT;
	put->deadline_ns = http_loop_now_ns(call->thread->loop) + WAIT_NS;
	if (rc == SLK_OK && p->timer.place == 0)
		rc = http_timer_set(call->thread->loop, &p->timer,
			http_loop_now_ns(call->thread->loop) + LOOK_NS);
	if (rc != SLK_OK) {
		fail(p, put, rc, "");
		return;
	}
	put->next = NULL;
	put->waits = true;
	*p->tail = put;
	p->tail = &put->next;
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
	struct put *put = gw_call_take(call, sizeof(*put));

	if (call->thread->kinesis->puts == NULL) {
		(void)gw_fault_set(
			&call->fault, "InternalFailureException", "Internal Service Failure");
		return NULL;
	}
	if (gw_bool(call->in, "DryRun")) {
		(void)gw_fault_set(
			&call->fault, "InvalidArgumentException", "DryRun is not supported.");
		return NULL;
	}
	if (put == NULL || !gw_stream_named(call, &put->stream))
		return NULL;
	put->records = gw_call_take(call, count * sizeof(*put->records));
	if (put->records == NULL)
		return NULL;
	put->call = call;
	put->count = count;
	call->user = put;
	call->cancel = cancel;
	return put;
}

bool
gw_kinesis_put_record(struct gw_call *call)
{
	const char *ordering = gw_text(call->in, "SequenceNumberForOrdering");
	struct put *put = new_put(call, 1);
	struct gw_sequence sequence;

	if (put == NULL || !read_record(call, call->in, "data", &put->records[0]))
		return false;
	put->single = true;
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
	char path[64];
	size_t bytes = 0;
	uint32_t i = 0;

	if (put == NULL)
		return false;
	for (const struct gw_value *v = records->first; v != NULL; v = v->next, i++) {
		(void)snprintf(path, sizeof(path), "records.%u.member.data", i + 1);
		if (!read_record(call, v, path, &put->records[i]))
			return false;
		bytes += put->records[i].key.len + put->records[i].data.len;
	}
	if (bytes > CALL_BYTES_MAX)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Records size exceeds 10 MB limit");
	return gw_call_authorize(call, "kinesis:PutRecords", put->stream.arn, allowed);
}
