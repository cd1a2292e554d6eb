/* The table of Kinesis' operations; the process's and a thread's parts; streams as they are remembered. */
#include "aws/kinesis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/throughput.h"
#include "base/secret.h"

#define STREAMS_MAX 1024u
#define STREAM_LIFE_NS (5 * SLK_NS_PER_S)

const struct gw_operation gw_kinesis_operations[] = {
	{"AddTagsToStream", gw_kinesis_add_tags},
	{"CreateStream", gw_kinesis_create_stream},
	{"DecreaseStreamRetentionPeriod", gw_kinesis_decrease_retention},
	{"DeleteResourcePolicy", gw_kinesis_delete_resource_policy},
	{"DeleteStream", gw_kinesis_delete_stream},
	{"DescribeLimits", gw_kinesis_describe_limits},
	{"DescribeStream", gw_kinesis_describe_stream},
	{"DescribeStreamSummary", gw_kinesis_describe_stream_summary},
	{"GetRecords", gw_kinesis_get_records},
	{"GetResourcePolicy", gw_kinesis_get_resource_policy},
	{"GetShardIterator", gw_kinesis_get_shard_iterator},
	{"IncreaseStreamRetentionPeriod", gw_kinesis_increase_retention},
	{"ListShards", gw_kinesis_list_shards},
	{"ListStreams", gw_kinesis_list_streams},
	{"ListTagsForStream", gw_kinesis_list_tags},
	{"MergeShards", gw_kinesis_merge_shards},
	{"PutRecord", gw_kinesis_put_record},
	{"PutRecords", gw_kinesis_put_records},
	{"PutResourcePolicy", gw_kinesis_put_resource_policy},
	{"RemoveTagsFromStream", gw_kinesis_remove_tags},
	{"SplitShard", gw_kinesis_split_shard},
	{"StartStreamEncryption", gw_kinesis_start_encryption},
	{"StopStreamEncryption", gw_kinesis_stop_encryption},
	{"UpdateShardCount", gw_kinesis_update_shard_count},
	{"UpdateStreamMode", gw_kinesis_update_stream_mode},
	{NULL, NULL},
};

/* --- the process's --- */

struct gw_kinesis_shared {
	struct slk_secret *ticket_key;
	struct gw_readers *readers; /* NULL: no journal is configured */
	struct gw_throughput *throughput; /* NULL: shards have no limits */
};

int
gw_kinesis_shared_new(const struct gw_app_config *config, struct gw_kinesis_shared **out_shared,
	struct slk_error *err)
{
	struct gw_kinesis_shared *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the gateway");
	int rc = slk_secret_new(GW_TICKET_KEY_BYTES, &s->ticket_key);
	if (rc == SLK_OK && config->iterator_key != NULL)
		memcpy(slk_secret_bytes(s->ticket_key), config->iterator_key, GW_TICKET_KEY_BYTES);
	else if (rc == SLK_OK)
		rc = slk_random(slk_secret_bytes(s->ticket_key), GW_TICKET_KEY_BYTES);
	if (rc != SLK_OK)
		rc = slk_fail(err, rc, "no key for shard iterators: %s", slk_status_sentence(rc));
	if (rc == SLK_OK && config->provisioned)
		rc = gw_throughput_new(&s->throughput);
	if (rc == SLK_NO_MEMORY)
		(void)slk_fail(err, rc, "no memory for the gateway");
	if (rc == SLK_OK && config->journal != NULL)
		rc = gw_readers_new(config, &s->readers, err);
	if (rc != SLK_OK) {
		gw_kinesis_shared_free(s);
		return rc;
	}
	*out_shared = s;
	return SLK_OK;
}

void
gw_kinesis_shared_free(struct gw_kinesis_shared *shared)
{
	if (shared == NULL)
		return;
	gw_readers_free(shared->readers);
	gw_throughput_free(shared->throughput);
	slk_secret_free(shared->ticket_key);
	free(shared);
}

const uint8_t *
gw_kinesis_ticket_key(const struct gw_kinesis_shared *shared)
{
	return slk_secret_peek(shared->ticket_key);
}

struct gw_readers *
gw_kinesis_readers(const struct gw_kinesis_shared *shared)
{
	return shared->readers;
}

struct gw_throughput *
gw_kinesis_throughput(const struct gw_kinesis_shared *shared)
{
	return shared->throughput;
}

void
gw_shard_rate_text(
	const struct gw_call *call, const char *stream, uint32_t shard, char *out, size_t cap)
{
	char id[KMSC_SHARD_ID_MAX];

	kmsc_shard_id_print(shard, id);
	(void)snprintf(out, cap, "Rate exceeded for shard %s in stream %s under account %s.", id,
		stream, gw_app_config_of(call->thread->app)->account);
}

/* --- a thread's --- */

int
gw_kinesis_start(struct gw_thread *t)
{
	t->kinesis = calloc(1, sizeof(*t->kinesis));
	if (t->kinesis == NULL)
		return SLK_NO_MEMORY;
	if (gw_app_config_of(t->app)->put_socket == NULL)
		return SLK_OK;
	return gw_puts_start(t, &t->kinesis->puts);
}

void
gw_kinesis_stop(struct gw_thread *t)
{
	if (t->kinesis == NULL)
		return;
	gw_readers_stop(t);
	gw_puts_stop(t->kinesis->puts);
	gw_streams_forget(t);
	free(t->kinesis);
	t->kinesis = NULL;
}

void
gw_kinesis_turn(struct gw_thread *t)
{
	gw_readers_turn(t);
	if (t->kinesis->puts != NULL)
		gw_puts_turn(t->kinesis->puts);
}

void
gw_kinesis_rights_changed(struct gw_thread *t)
{
	struct gw_readers *readers = gw_kinesis_readers(gw_app_kinesis(t->app));

	if (readers != NULL)
		gw_readers_forget(readers);
}

uint64_t
gw_kinesis_stream_changes(const struct gw_kinesis *k)
{
	return k->stream_changes;
}

void
gw_kinesis_streams_changed(struct gw_thread *t, uint64_t stream_changes)
{
	if (t->kinesis->stream_changes != stream_changes)
		gw_streams_forget(t);
	t->kinesis->stream_changes = stream_changes;
}

/* --- names --- */

bool
gw_stream_missing(struct gw_call *call, const char *name)
{
	return gw_fault_set(&call->fault, "ResourceNotFoundException",
		"Stream %s under account %s not found.", name,
		gw_app_config_of(call->thread->app)->account);
}

static void
name_stream(const struct gw_call *call, const char *name, struct gw_stream_name *out)
{
	char resource[16 + GW_TICKET_NAME_MAX];

	(void)snprintf(out->name, sizeof(out->name), "%s", name);
	(void)snprintf(resource, sizeof(resource), "stream/%s", out->name);
	gw_call_arn(call, "kinesis", resource, out->arn);
}

bool
gw_stream_arn_is_ours(struct gw_call *call, const char *arn, struct gw_stream_name *out)
{
	const char *name = strstr(arn, ":stream/");

	if (name == NULL || strlen(name + 8) >= sizeof(out->name) ||
		!gw_pattern_stream_name.fits(slk_span_str(name + 8)))
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"%.320s is not the ARN of a stream.", arn);
	name_stream(call, name + 8, out);
	return strcmp(arn, out->arn) == 0 || gw_stream_missing(call, name + 8);
}

bool
gw_stream_named(struct gw_call *call, struct gw_stream_name *out)
{
	const char *name = gw_text(call->in, "StreamName"), *arn = gw_text(call->in, "StreamARN");

	if (name[0] == '\0' && arn[0] == '\0')
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Either StreamName or StreamARN should be provided.");
	if (arn[0] == '\0') {
		name_stream(call, name, out);
		return true;
	}
	if (!gw_stream_arn_is_ours(call, arn, out))
		return false;
	return name[0] == '\0' || strcmp(name, out->name) == 0 ||
		gw_fault_set(&call->fault, "InvalidArgumentException",
			"StreamName %s does not match the StreamARN %s.", name, arn);
}

/* --- shards --- */

static int
hash_key_from(ProtobufCBinaryData in, kmsc_hash_key *out)
{
	if (in.len != 16)
		return SLK_MALFORMED;
	*out = (kmsc_hash_key)slk_get_be64(in.data) << 64 | slk_get_be64(in.data + 8);
	return SLK_OK;
}

int
gw_shard_from(const Kmsp__Shard *in, struct kmsc_shard *out)
{
	struct kmsc_shard s = {.number = in->number,
		.state = in->closed_ns != 0 ? KMSC_SHARD_CLOSED : KMSC_SHARD_OPEN,
		.has_parent = in->has_parent,
		.has_adjacent = in->has_adjacent,
		.parent = in->parent,
		.adjacent = in->adjacent,
		.created_s = in->created_s,
		.opened_ns = in->opened_ns,
		.closed_ns = in->closed_ns,
		.first_sequence = in->first_sequence,
		.end_sequence = in->end_sequence};

	int rc = hash_key_from(in->starting_hash_key, &s.start);
	if (rc == SLK_OK)
		rc = hash_key_from(in->ending_hash_key, &s.end);
	if (rc == SLK_OK)
		*out = s;
	return rc;
}

void
gw_sequence_of(struct gw_sequence_run *run, const struct kmsc_shard *shard, uint64_t sequence,
	uint64_t arrival_ns, char out[GW_SEQUENCE_TEXT])
{
	const struct gw_sequence s = {.created_s = shard->created_s,
		.shard = shard->number,
		.place = sequence + 1,
		.time_s = arrival_ns / SLK_NS_PER_S};

	gw_sequence_run_print(run, &s, out);
}

static void
write_sequences(struct gw_writer *w, const struct kmsc_shard *shard)
{
	struct gw_sequence s = {.created_s = shard->created_s,
		.shard = shard->number,
		.place = shard->first_sequence,
		.time_s = shard->created_s};
	char text[GW_SEQUENCE_TEXT];

	gw_write_open(w, "SequenceNumberRange");
	gw_sequence_print(&s, text);
	gw_write_text(w, "StartingSequenceNumber", text);
	if (shard->closed_ns != 0) {
		s.place = GW_SEQUENCE_END;
		s.time_s = shard->closed_ns / SLK_NS_PER_S;
		gw_sequence_print(&s, text);
		gw_write_text(w, "EndingSequenceNumber", text);
	}
	gw_write_close(w);
}

void
gw_write_shard(struct gw_writer *w, const struct kmsc_shard *shard)
{
	char id[KMSC_SHARD_ID_MAX], key[KMSC_HASH_KEY_TEXT];

	gw_write_open(w, NULL);
	kmsc_shard_id_print(shard->number, id);
	gw_write_text(w, "ShardId", id);
	if (shard->has_parent) {
		kmsc_shard_id_print(shard->parent, id);
		gw_write_text(w, "ParentShardId", id);
	}
	if (shard->has_adjacent) {
		kmsc_shard_id_print(shard->adjacent, id);
		gw_write_text(w, "AdjacentParentShardId", id);
	}
	gw_write_open(w, "HashKeyRange");
	kmsc_hash_key_print(shard->start, key);
	gw_write_text(w, "StartingHashKey", key);
	kmsc_hash_key_print(shard->end, key);
	gw_write_text(w, "EndingHashKey", key);
	gw_write_close(w);
	write_sequences(w, shard);
	gw_write_close(w);
}

/* --- streams as they are remembered --- */

static void
stream_free(struct gw_stream *s)
{
	free(s->shards);
	free(s);
}

void
gw_streams_forget(struct gw_thread *t)
{
	for (struct gw_stream *s = t->kinesis->streams, *next; s != NULL; s = next) {
		next = s->next;
		stream_free(s);
	}
	t->kinesis->streams = NULL;
	t->kinesis->streams_count = 0;
}

const struct kmsc_shard *
gw_stream_shard(const struct gw_stream *stream, uint32_t number)
{
	for (size_t i = 0; i < stream->shards_count; i++)
		if (stream->shards[i].number == number)
			return &stream->shards[i];
	return NULL;
}

static struct gw_stream *
remembered(struct gw_thread *t, const char *name)
{
	uint64_t now_ns = http_loop_now_ns(t->loop);

	for (struct gw_stream **at = &t->kinesis->streams; *at != NULL; at = &(*at)->next) {
		struct gw_stream *s = *at;
		if (strcmp(s->name, name) != 0)
			continue;
		if (t->rights_known || now_ns - s->read_ns < STREAM_LIFE_NS)
			return s;
		*at = s->next; /* nobody tells us of changes */
		t->kinesis->streams_count--;
		stream_free(s);
		return NULL;
	}
	return NULL;
}

const struct gw_stream *
gw_stream_remembered(struct gw_thread *t, const char *name)
{
	return remembered(t, name);
}

static void
remember(struct gw_thread *t, struct gw_stream *s)
{
	for (struct gw_stream **at = &t->kinesis->streams; *at != NULL; at = &(*at)->next)
		if (strcmp((*at)->name, s->name) == 0) {
			struct gw_stream *old = *at;
			*at = old->next;
			stream_free(old);
			t->kinesis->streams_count--;
			break;
		}
	if (t->kinesis->streams_count >= STREAMS_MAX)
		gw_streams_forget(t);
	s->next = t->kinesis->streams;
	t->kinesis->streams = s;
	t->kinesis->streams_count++;
}

/* --- asking for one --- */

struct wanted {
	struct gw_stream *stream; /* as far as it was told; owned */
	void (*on_stream)(struct gw_call *call, const struct gw_stream *stream);
	char name[GW_TICKET_NAME_MAX];
	char marker[KMSC_MARKER_MAX];
	size_t cap;
};

static void ask_shards(struct gw_call *call);

static void
drop_wanted(struct gw_call *call)
{
	struct wanted *w = call->wanted;

	if (w != NULL && w->stream != NULL)
		stream_free(w->stream);
	if (w != NULL)
		w->stream = NULL;
}

void
gw_stream_drop_wanted(struct gw_call *call)
{
	drop_wanted(call);
}

static void
own_told(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	struct gw_call *call = arg;

	call->rpc = 0;
	if (status == SLK_OK && reply->status == SLK_OK) {
		call->on_reply(call, reply);
		return;
	}
	if (status == SLK_OK && reply->status == SLK_NOT_FOUND)
		(void)gw_stream_missing(call, ((struct wanted *)call->wanted)->name);
	else if (status == SLK_OK)
		gw_call_fault_of(call, reply);
	else
		(void)gw_call_fault_status(call, status, sentence);
	drop_wanted(call);
	gw_call_fail(call);
}

/* For the gateway itself: how a stream is made. */
static bool
ask_own(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply))
{
	struct slk_error err = {.text = ""};

	call->on_reply = on_reply;
	request->correlation = call->request_id;
	int rc =
		kmsc_async_send(call->thread->kms, request, NULL, own_told, call, &call->rpc, &err);
	return rc == SLK_OK || gw_call_fault_status(call, rc, err.text);
}

static bool
add_shards(struct gw_stream *s, size_t *cap, const Kmsp__Shards *in)
{
	if (s->shards_count + in->n_shards > *cap) {
		size_t more = (s->shards_count + in->n_shards) * 2 + 8;
		struct kmsc_shard *shards = realloc(s->shards, more * sizeof(*shards));
		if (shards == NULL)
			return false;
		s->shards = shards;
		*cap = more;
	}
	for (size_t i = 0; i < in->n_shards; i++)
		if (gw_shard_from(in->shards[i], &s->shards[s->shards_count]) == SLK_OK)
			s->shards_count++;
	return true;
}

static void
shards_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct wanted *w = call->wanted;

	if (!add_shards(w->stream, &w->cap, reply->shards)) {
		(void)gw_call_fault_status(
			call, SLK_NO_MEMORY, "no memory for the stream's shards");
		drop_wanted(call);
		gw_call_fail(call);
		return;
	}
	(void)snprintf(w->marker, sizeof(w->marker), "%s", reply->shards->next);
	if (w->marker[0] != '\0') {
		ask_shards(call);
		return;
	}
	struct gw_stream *s = w->stream;
	w->stream = NULL;
	s->read_ns = http_loop_now_ns(call->thread->loop);
	remember(call->thread, s);
	w->on_stream(call, s);
}

static void
ask_shards(struct gw_call *call)
{
	struct wanted *w = call->wanted;
	Kmsp__ListShards m = KMSP__LIST_SHARDS__INIT;
	Kmsp__Request r = KMSP__REQUEST__INIT;

	m.stream = w->name;
	m.marker = w->marker;
	m.limit = KMSC_SHARDS_PAGE;
	r.call_case = KMSP__REQUEST__CALL_LIST_SHARDS;
	r.list_shards = &m;
	if (!ask_own(call, &r, shards_told)) {
		drop_wanted(call);
		gw_call_fail(call);
	}
}

static void
stream_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct wanted *w = call->wanted;
	const Kmsp__Stream *in = reply->stream;

	w->stream = calloc(1, sizeof(*w->stream));
	if (w->stream == NULL) {
		(void)gw_call_fault_status(call, SLK_NO_MEMORY, "no memory for the stream");
		gw_call_fail(call);
		return;
	}
	struct gw_stream *s = w->stream;
	(void)snprintf(s->name, sizeof(s->name), "%s", in->name);
	(void)snprintf(s->arn, sizeof(s->arn), "%s", in->arn);
	(void)snprintf(s->status, sizeof(s->status), "%s", in->status);
	(void)snprintf(s->mode, sizeof(s->mode), "%s", in->mode);
	(void)snprintf(s->key_name, sizeof(s->key_name), "%s", in->key_name);
	(void)snprintf(s->own_key_arn, sizeof(s->own_key_arn), "%s", in->appliance_key_arn);
	s->id = in->id;
	s->created_ns = in->created_ns;
	s->retention_hours = in->retention_hours;
	s->open_count = in->shard_count;
	s->encrypted_kms = in->encrypted_kms;
	ask_shards(call);
}

bool
gw_stream_get(struct gw_call *call, const char *name, bool fresh,
	void (*on_stream)(struct gw_call *call, const struct gw_stream *stream))
{
	Kmsp__StreamName m = KMSP__STREAM_NAME__INIT;
	Kmsp__Request r = KMSP__REQUEST__INIT;
	struct gw_stream *s = fresh ? NULL : remembered(call->thread, name);

	if (s != NULL) {
		on_stream(call, s);
		return true;
	}
	struct wanted *w = gw_call_take(call, sizeof(*w));
	if (w == NULL)
		return false;
	call->wanted = w;
	w->on_stream = on_stream;
	(void)snprintf(w->name, sizeof(w->name), "%s", name);
	m.stream = w->name;
	r.call_case = KMSP__REQUEST__CALL_DESCRIBE_STREAM;
	r.describe_stream = &m;
	return ask_own(call, &r, stream_told);
}
