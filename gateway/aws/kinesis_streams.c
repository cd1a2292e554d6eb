/* Streams: made, described, listed, changed, deleted. Each request is kmsd's to decide and to keep, in the caller's name. */
#include <stdio.h>
#include <string.h>

#include "aws/kinesis.h"
#include "aws/kms.h"

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
	gw_call_send_empty(call);
}

/* The stream that the request names, kept in the call's arena, so that messages may borrow it. NULL: the fault is set. */
static struct gw_stream_name *
named(struct gw_call *call)
{
	struct gw_stream_name *name = gw_call_take(call, sizeof(*name));

	return name != NULL && gw_stream_named(call, name) ? name : NULL;
}

/* A shard by its id, as Kinesis takes it. */
static bool
shard_named(struct gw_call *call, const char *member, const struct gw_stream_name *stream,
	uint32_t *out)
{
	const char *text = gw_text(call->in, member);

	return kmsc_shard_id_parse(text, out) == SLK_OK ||
		gw_fault_set(&call->fault, "ResourceNotFoundException",
			"Could not find shard %s in stream %s under account %s.", text,
			stream->name, gw_app_config_of(call->thread->app)->account);
}

static bool
tags_of_map(struct gw_call *call, const char *member, Kmsp__Tag ***out, size_t *out_count)
{
	const struct gw_value *map = gw_get(call->in, member);
	size_t n = 0;

	*out_count = 0;
	if (map == NULL || map->count == 0)
		return true;
	Kmsp__Tag **list = gw_call_take(call, map->count * sizeof(void *));
	Kmsp__Tag *tags = gw_call_take(call, map->count * sizeof(*tags));
	if (list == NULL || tags == NULL)
		return false;
	for (const struct gw_value *v = map->first; v != NULL; v = v->next, n++) {
		kmsp__tag__init(&tags[n]);
		tags[n].key = (char *)(uintptr_t)v->key.ptr;
		tags[n].value = (char *)(uintptr_t)v->text.ptr;
		list[n] = &tags[n];
	}
	*out = list;
	*out_count = n;
	return true;
}

/* --- descriptions --- */

static void
write_head(struct gw_writer *w, const struct gw_stream *s)
{
	gw_write_text(w, "StreamName", s->name);
	gw_write_text(w, "StreamARN", s->arn);
	gw_write_text(w, "StreamStatus", s->status);
	gw_write_open(w, "StreamModeDetails");
	gw_write_text(w, "StreamMode", s->mode);
	gw_write_close(w);
	gw_write_int(w, "RetentionPeriodHours", s->retention_hours);
	gw_write_time(w, "StreamCreationTimestamp", s->created_ns);
	gw_write_open_list(w, "EnhancedMonitoring");
	gw_write_open(w, NULL);
	gw_write_open_list(w, "ShardLevelMetrics");
	gw_write_close_list(w);
	gw_write_close(w);
	gw_write_close_list(w);
	gw_write_text(w, "EncryptionType", s->encrypted_kms ? "KMS" : "NONE");
	if (s->encrypted_kms)
		gw_write_text_if(w, "KeyId", s->key_name);
}

static void
describe(struct gw_call *call, const struct gw_stream *s)
{
	const char *after = gw_text(call->in, "ExclusiveStartShardId");
	int64_t limit = gw_int(call->in, "Limit", 100), from = -1;
	struct gw_writer *w = &call->w;
	uint32_t number;
	size_t i = 0;

	if (after[0] != '\0' && kmsc_shard_id_parse(after, &number) == SLK_OK)
		from = number;
	if (limit > 100)
		limit = 100;
	if (!begin_answer(call))
		return;
	gw_write_open(w, "StreamDescription");
	write_head(w, s);
	gw_write_open_list(w, "Shards");
	for (; i < s->shards_count && limit > 0; i++)
		if ((int64_t)s->shards[i].number > from) {
			gw_write_shard(w, &s->shards[i]);
			limit--;
		}
	gw_write_close_list(w);
	gw_write_bool(w, "HasMoreShards", i < s->shards_count);
	gw_write_close(w);
	end_answer(call);
}

static void
may_describe(struct gw_call *call)
{
	struct gw_stream_name *stream = call->user;

	if (!gw_stream_get(call, stream->name, true, describe))
		gw_call_fail(call);
}

bool
gw_kinesis_describe_stream(struct gw_call *call)
{
	struct gw_stream_name *stream = named(call);

	call->user = stream;
	return stream != NULL &&
		gw_call_authorize(call, "kinesis:DescribeStream", stream->arn, may_describe);
}

static void
summarise(struct gw_call *call, const struct gw_stream *s)
{
	if (!begin_answer(call))
		return;
	gw_write_open(&call->w, "StreamDescriptionSummary");
	write_head(&call->w, s);
	gw_write_int(&call->w, "OpenShardCount", s->open_count);
	gw_write_int(&call->w, "ConsumerCount", 0);
	gw_write_close(&call->w);
	end_answer(call);
}

static void
may_summarise(struct gw_call *call)
{
	struct gw_stream_name *stream = call->user;

	if (!gw_stream_get(call, stream->name, true, summarise))
		gw_call_fail(call);
}

bool
gw_kinesis_describe_stream_summary(struct gw_call *call)
{
	struct gw_stream_name *stream = named(call);

	call->user = stream;
	return stream != NULL &&
		gw_call_authorize(
			call, "kinesis:DescribeStreamSummary", stream->arn, may_summarise);
}

/* --- lists --- */

static void
streams_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Streams *in = reply->streams;
	struct gw_writer *w = &call->w;

	if (!begin_answer(call))
		return;
	gw_write_open_list(w, "StreamNames");
	for (size_t i = 0; i < in->n_streams; i++)
		gw_write_text(w, NULL, in->streams[i]->name);
	gw_write_close_list(w);
	gw_write_bool(w, "HasMoreStreams", in->next[0] != '\0');
	gw_write_text_if(w, "NextToken", in->next);
	gw_write_open_list(w, "StreamSummaries");
	for (size_t i = 0; i < in->n_streams; i++) {
		const Kmsp__Stream *s = in->streams[i];
		gw_write_open(w, NULL);
		gw_write_text(w, "StreamName", s->name);
		gw_write_text(w, "StreamARN", s->arn);
		gw_write_text(w, "StreamStatus", s->status);
		gw_write_open(w, "StreamModeDetails");
		gw_write_text(w, "StreamMode", s->mode);
		gw_write_close(w);
		gw_write_time(w, "StreamCreationTimestamp", s->created_ns);
		gw_write_close(w);
	}
	gw_write_close_list(w);
	end_answer(call);
}

bool
gw_kinesis_list_streams(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__List, KMSP__LIST__INIT, LIST_STREAMS, list_streams);
	const char *token = gw_text(call->in, "NextToken");

	if (strlen(token) >= KMSC_MARKER_MAX)
		return gw_fault_set(
			&call->fault, "ExpiredNextTokenException", "The NextToken is not valid.");
	m.marker = (char *)(uintptr_t)(token[0] != '\0'
			? token
			: gw_text(call->in, "ExclusiveStartStreamName"));
	m.limit = gw_kms_limit(call, 100);
	return gw_call_ask(call, &r, streams_told);
}

static const char *const filters[] = {"FROM_TRIM_HORIZON", "AT_TRIM_HORIZON", "AT_LATEST",
	"AFTER_SHARD_ID", "AT_TIMESTAMP", "FROM_TIMESTAMP"};
#define FILTERS (sizeof(filters) / sizeof(filters[0]))

static void
shards_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Shards *in = reply->shards;
	struct gw_ticket *ticket = call->user;
	char token[GW_TICKET_TEXT];

	if (!begin_answer(call))
		return;
	gw_write_open_list(&call->w, "Shards");
	for (size_t i = 0; i < in->n_shards; i++) {
		struct kmsc_shard shard;
		if (gw_shard_from(in->shards[i], &shard) == SLK_OK)
			gw_write_shard(&call->w, &shard);
	}
	gw_write_close_list(&call->w);
	if (in->next[0] != '\0') {
		(void)snprintf(ticket->more, sizeof(ticket->more), "%s", in->next);
		ticket->issued_ms = gw_call_wall_ns(call) / SLK_NS_PER_MS;
		if (gw_ticket_seal(gw_kinesis_ticket_key(gw_app_kinesis(call->thread->app)), ticket,
			    token) == SLK_OK)
			gw_write_text(&call->w, "NextToken", token);
	}
	end_answer(call);
}

/* What the first page was asked for, or what the token says. */
static bool
read_list(struct gw_call *call, struct gw_ticket *ticket)
{
	const char *token = gw_text(call->in, "NextToken"),
		   *after = gw_text(call->in, "ExclusiveStartShardId");
	const struct gw_value *filter = gw_get(call->in, "ShardFilter");
	bool is_named = gw_text(call->in, "StreamName")[0] != '\0' ||
		gw_text(call->in, "StreamARN")[0] != '\0';
	struct gw_stream_name stream;

	if (token[0] != '\0') {
		if (gw_text(call->in, "StreamName")[0] != '\0')
			return gw_fault_set(&call->fault, "InvalidArgumentException",
				"NextToken and StreamName cannot be provided together.");
		if (after[0] != '\0' || gw_get(call->in, "StreamCreationTimestamp") != NULL)
			return gw_fault_set(&call->fault, "InvalidArgumentException",
				"NextToken cannot be provided together with ExclusiveStartShardId "
				"or "
				"StreamCreationTimestamp.");
		if (gw_ticket_open(gw_kinesis_ticket_key(gw_app_kinesis(call->thread->app)),
			    GW_TICKET_SHARDS, token, ticket) != SLK_OK)
			return gw_fault_set(&call->fault, "ExpiredNextTokenException",
				"The NextToken is not one of this appliance, or has expired.");
		if (gw_call_wall_ns(call) / SLK_NS_PER_MS > ticket->issued_ms + GW_TICKET_LIFE_MS)
			return gw_fault_set(&call->fault, "ExpiredNextTokenException",
				"The NextToken has expired.");
		return true;
	}
	if (!is_named)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Either NextToken or StreamName should be provided.");
	if (!gw_stream_named(call, &stream))
		return false;
	(void)snprintf(ticket->name, sizeof(ticket->name), "%s", stream.name);
	if (after[0] != '\0') {
		ticket->kind = 3;
		return shard_named(call, "ExclusiveStartShardId", &stream, &ticket->shard);
	}
	if (filter == NULL)
		return true;
	for (size_t i = 0; i < FILTERS; i++)
		if (strcmp(gw_text(filter, "Type"), filters[i]) == 0)
			ticket->kind = (uint8_t)i;
	ticket->value = gw_time(filter, "Timestamp");
	if (ticket->kind == 3 && gw_text(filter, "ShardId")[0] == '\0')
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"ShardId must be provided with a filter of type AFTER_SHARD_ID.");
	if (ticket->kind >= 4 && gw_get(filter, "Timestamp") == NULL)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Timestamp must be provided with a filter of type %s.",
			filters[ticket->kind]);
	return ticket->kind != 3 ||
		kmsc_shard_id_parse(gw_text(filter, "ShardId"), &ticket->shard) == SLK_OK ||
		gw_fault_set(&call->fault, "InvalidArgumentException",
			"%s is not the id of a shard.", gw_text(filter, "ShardId"));
}

bool
gw_kinesis_list_shards(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListShards, KMSP__LIST_SHARDS__INIT, LIST_SHARDS, list_shards);
	struct gw_ticket *ticket = gw_call_take(call, sizeof(*ticket));
	int64_t limit = gw_int(call->in, "MaxResults", 1000);

	if (ticket == NULL)
		return false;
	ticket->purpose = GW_TICKET_SHARDS;
	if (!read_list(call, ticket))
		return false;
	call->user = ticket;
	m.stream = ticket->name;
	m.marker = ticket->more;
	m.limit = limit < KMSC_SHARDS_PAGE ? (uint32_t)limit : KMSC_SHARDS_PAGE;
	m.filter = (char *)(uintptr_t)filters[ticket->kind < FILTERS ? ticket->kind : 0];
	m.filter_shard = ticket->shard;
	m.filter_timestamp_ns = ticket->value;
	return gw_call_ask(call, &r, shards_told);
}

/* --- made and deleted --- */

static void
created(struct gw_call *call, const Kmsp__Reply *reply)
{
	done(call, reply);
}

bool
gw_kinesis_create_stream(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateStream, KMSP__CREATE_STREAM__INIT, CREATE_STREAM, create_stream);
	const struct gw_value *mode = gw_get(call->in, "StreamModeDetails");

	m.name = gw_kmsp_text(call, "StreamName");
	m.shard_count = (uint32_t)gw_int(call->in, "ShardCount", 0);
	if (mode != NULL)
		m.mode = (char *)(uintptr_t)gw_text(mode, "StreamMode");
	else if (m.shard_count == 0)
		m.mode = (char *)(uintptr_t) "ON_DEMAND";
	return tags_of_map(call, "Tags", &m.tags, &m.n_tags) && gw_call_ask(call, &r, created);
}

bool
gw_kinesis_delete_stream(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamName, KMSP__STREAM_NAME__INIT, DELETE_STREAM, delete_stream);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	return gw_call_ask(call, &r, done);
}

/* --- shards --- */

bool
gw_kinesis_split_shard(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__SplitShard, KMSP__SPLIT_SHARD__INIT, SPLIT_SHARD, split_shard);
	struct gw_stream_name *stream = named(call);
	const char *text = gw_text(call->in, "NewStartingHashKey");
	uint8_t *bytes = gw_call_take(call, 16);
	kmsc_hash_key key = 0;

	if (stream == NULL || bytes == NULL || !shard_named(call, "ShardToSplit", stream, &m.shard))
		return false;
	if (kmsc_hash_key_parse(text, &key) != SLK_OK)
		return gw_fault_set(&call->fault, "InvalidArgumentException",
			"Invalid NewStartingHashKey. NewStartingHashKey must be in the range: [0, "
			"2^128-1]. Specified value was %s",
			text);
	slk_put_be64(bytes, (uint64_t)(key >> 64));
	slk_put_be64(bytes + 8, (uint64_t)key);
	m.stream = stream->name;
	m.new_starting_hash_key = (ProtobufCBinaryData){16, bytes};
	return gw_call_ask(call, &r, done);
}

bool
gw_kinesis_merge_shards(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__MergeShards, KMSP__MERGE_SHARDS__INIT, MERGE_SHARDS, merge_shards);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL || !shard_named(call, "ShardToMerge", stream, &m.shard) ||
		!shard_named(call, "AdjacentShardToMerge", stream, &m.adjacent_shard))
		return false;
	m.stream = stream->name;
	return gw_call_ask(call, &r, done);
}

static void
counted(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__ShardCounts *in = reply->shard_counts;

	if (!begin_answer(call))
		return;
	gw_write_text(&call->w, "StreamName", in->stream);
	gw_write_int(&call->w, "CurrentShardCount", in->current_count);
	gw_write_int(&call->w, "TargetShardCount", in->target_count);
	gw_write_text(&call->w, "StreamARN", in->arn);
	end_answer(call);
}

bool
gw_kinesis_update_shard_count(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UpdateShardCount, KMSP__UPDATE_SHARD_COUNT__INIT, UPDATE_SHARD_COUNT,
		update_shard_count);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.target_count = (uint32_t)gw_int(call->in, "TargetShardCount", 0);
	return gw_call_ask(call, &r, counted);
}

/* --- what else a stream has --- */

bool
gw_kinesis_increase_retention(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamRetention, KMSP__STREAM_RETENTION__INIT,
		INCREASE_STREAM_RETENTION, increase_stream_retention);
	struct gw_stream_name *stream = named(call);
	int64_t hours = gw_int(call->in, "RetentionPeriodHours", 0);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.hours = hours < 0 ? 0 : (uint32_t)hours;
	return gw_call_ask(call, &r, done);
}

bool
gw_kinesis_decrease_retention(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamRetention, KMSP__STREAM_RETENTION__INIT,
		DECREASE_STREAM_RETENTION, decrease_stream_retention);
	struct gw_stream_name *stream = named(call);
	int64_t hours = gw_int(call->in, "RetentionPeriodHours", 0);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.hours = hours < 0 ? 0 : (uint32_t)hours;
	return gw_call_ask(call, &r, done);
}

static bool
encryption_is_kms(struct gw_call *call)
{
	return strcmp(gw_text(call->in, "EncryptionType"), "KMS") == 0 ||
		gw_fault_set(&call->fault, "InvalidArgumentException",
			"EncryptionType must be KMS, not %s.", gw_text(call->in, "EncryptionType"));
}

bool
gw_kinesis_start_encryption(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamKey, KMSP__STREAM_KEY__INIT, START_STREAM_ENCRYPTION,
		start_stream_encryption);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL || !encryption_is_kms(call))
		return false;
	m.stream = stream->name;
	m.key = gw_kmsp_text(call, "KeyId");
	return gw_call_ask(call, &r, done);
}

bool
gw_kinesis_stop_encryption(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamKey, KMSP__STREAM_KEY__INIT, STOP_STREAM_ENCRYPTION,
		stop_stream_encryption);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL || !encryption_is_kms(call))
		return false;
	m.stream = stream->name;
	m.key = gw_kmsp_text(call, "KeyId");
	return gw_call_ask(call, &r, done);
}

bool
gw_kinesis_update_stream_mode(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamMode, KMSP__STREAM_MODE__INIT, UPDATE_STREAM_MODE,
		update_stream_mode);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.mode = (char *)(uintptr_t)gw_text(gw_get(call->in, "StreamModeDetails"), "StreamMode");
	return gw_call_ask(call, &r, done);
}

/* --- tags --- */

bool
gw_kinesis_add_tags(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__TagStream, KMSP__TAG_STREAM__INIT, ADD_TAGS_TO_STREAM,
		add_tags_to_stream);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL || !tags_of_map(call, "Tags", &m.tags, &m.n_tags))
		return false;
	m.stream = stream->name;
	return gw_call_ask(call, &r, done);
}

bool
gw_kinesis_remove_tags(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UntagStream, KMSP__UNTAG_STREAM__INIT, REMOVE_TAGS_FROM_STREAM,
		remove_tags_from_stream);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL || !gw_kms_strings(call, "TagKeys", &m.tag_keys, &m.n_tag_keys))
		return false;
	m.stream = stream->name;
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
gw_kinesis_list_tags(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListOfStream, KMSP__LIST_OF_STREAM__INIT, LIST_TAGS_FOR_STREAM,
		list_tags_for_stream);
	struct gw_stream_name *stream = named(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.marker = gw_kmsp_text(call, "ExclusiveStartTagKey");
	m.limit = gw_kms_limit(call, 50);
	return gw_call_ask(call, &r, tags_told);
}

/* --- limits --- */

static void
limits_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__StreamLimits *in = reply->stream_limits;

	if (!begin_answer(call))
		return;
	gw_write_int(&call->w, "ShardLimit", in->shard_limit);
	gw_write_int(&call->w, "OpenShardCount", in->open_shard_count);
	gw_write_int(&call->w, "OnDemandStreamCount", in->on_demand_stream_count);
	gw_write_int(&call->w, "OnDemandStreamCountLimit", in->on_demand_stream_limit);
	end_answer(call);
}

bool
gw_kinesis_describe_limits(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Nothing, KMSP__NOTHING__INIT, DESCRIBE_LIMITS, describe_limits);

	return gw_call_ask(call, &r, limits_told);
}

/* --- policies of streams --- */

static struct gw_stream_name *
resource(struct gw_call *call)
{
	struct gw_stream_name *name = gw_call_take(call, sizeof(*name));

	return name != NULL && gw_stream_arn_is_ours(call, gw_text(call->in, "ResourceARN"), name)
		? name
		: NULL;
}

bool
gw_kinesis_put_resource_policy(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__PutResourcePolicy, KMSP__PUT_RESOURCE_POLICY__INIT, PUT_RESOURCE_POLICY,
		put_resource_policy);
	struct gw_stream_name *stream = resource(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	m.policy = gw_kmsp_text(call, "Policy");
	return gw_call_ask(call, &r, done);
}

static void
policy_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!begin_answer(call))
		return;
	gw_write_text(&call->w, "Policy",
		reply->document->text[0] != '\0' ? reply->document->text : "{}");
	end_answer(call);
}

bool
gw_kinesis_get_resource_policy(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamName, KMSP__STREAM_NAME__INIT, GET_RESOURCE_POLICY,
		get_resource_policy);
	struct gw_stream_name *stream = resource(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	return gw_call_ask(call, &r, policy_told);
}

bool
gw_kinesis_delete_resource_policy(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__StreamName, KMSP__STREAM_NAME__INIT, DELETE_RESOURCE_POLICY,
		delete_resource_policy);
	struct gw_stream_name *stream = resource(call);

	if (stream == NULL)
		return false;
	m.stream = stream->name;
	return gw_call_ask(call, &r, done);
}
