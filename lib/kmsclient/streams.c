#include "kmsclient/streams.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "kmsclient/convert.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))
#define HASH_KEY_BYTES 16u
#define HASH_KEY_DIGITS 39u
#define SHARD_ID_PREFIX "shardId-"

/* --- text --- */

void
kmsc_shard_id_print(uint32_t number, char out[KMSC_SHARD_ID_MAX])
{
	/* One for each record of an answer: without snprintf(), which takes longer than everything else about it. */
	memcpy(out, SHARD_ID_PREFIX "000000000000", sizeof(SHARD_ID_PREFIX "000000000000"));
	for (char *digit = out + sizeof(SHARD_ID_PREFIX "000000000000") - 2; number > 0;
		number /= 10)
		*digit-- = (char)('0' + number % 10);
}

int
kmsc_shard_id_parse(const char *text, uint32_t *out_number)
{
	const size_t prefix = sizeof(SHARD_ID_PREFIX) - 1;
	uint64_t number = 0;

	if (strncmp(text, SHARD_ID_PREFIX, prefix) == 0)
		text += prefix;
	size_t len = strlen(text);
	if (len < 1 || len > 12)
		return SLK_INVALID;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return SLK_INVALID;
		number = number * 10 + (uint64_t)(text[i] - '0');
	}
	if (number > UINT32_MAX)
		return SLK_INVALID;
	*out_number = (uint32_t)number;
	return SLK_OK;
}

void
kmsc_hash_key_print(kmsc_hash_key key, char out[KMSC_HASH_KEY_TEXT])
{
	char digits[HASH_KEY_DIGITS];
	size_t n = 0;

	do {
		digits[n++] = (char)('0' + (int)(key % 10));
		key /= 10;
	} while (key > 0);
	for (size_t i = 0; i < n; i++)
		out[i] = digits[n - 1 - i];
	out[n] = '\0';
}

int
kmsc_hash_key_parse(const char *text, kmsc_hash_key *out_key)
{
	const kmsc_hash_key max = ~(kmsc_hash_key)0;
	size_t len = strlen(text);
	kmsc_hash_key key = 0;

	if (len < 1 || len > HASH_KEY_DIGITS || (text[0] == '0' && len > 1))
		return SLK_INVALID;
	for (size_t i = 0; i < len; i++) {
		unsigned digit = (unsigned)text[i] - '0';
		if (digit > 9 || key > max / 10 ||
			(key == max / 10 && digit > (unsigned)(max % 10)))
			return SLK_INVALID;
		key = key * 10 + digit;
	}
	*out_key = key;
	return SLK_OK;
}

/* --- messages --- */

static void
hash_key_put(kmsc_hash_key key, uint8_t out[HASH_KEY_BYTES])
{
	slk_put_be64(out, (uint64_t)(key >> 64));
	slk_put_be64(out + 8, (uint64_t)key);
}

static int
hash_key_from(const ProtobufCBinaryData *in, kmsc_hash_key *out)
{
	if (in->len != HASH_KEY_BYTES)
		return SLK_MALFORMED;
	*out = (kmsc_hash_key)slk_get_be64(in->data) << 64 | slk_get_be64(in->data + 8);
	return SLK_OK;
}

static int
state_from(const char *text, enum kmsc_shard_state *out)
{
	static const char *const names[] = {[KMSC_SHARD_OPEN] = "OPEN",
		[KMSC_SHARD_CLOSED] = "CLOSED",
		[KMSC_SHARD_CLOSING] = "CLOSING",
		[KMSC_SHARD_OPENING] = "OPENING",
		[KMSC_SHARD_PASSING] = "PASSING"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) == 0) {
			*out = (enum kmsc_shard_state)i;
			return SLK_OK;
		}
	}
	return SLK_MALFORMED;
}

static int
shard_from(const Kmsp__Shard *in, struct kmsc_shard *out)
{
	struct kmsc_shard shard = {.number = in->number,
		.has_parent = in->has_parent,
		.has_adjacent = in->has_adjacent,
		.parent = in->parent,
		.adjacent = in->adjacent,
		.created_s = in->created_s,
		.opened_ns = in->opened_ns,
		.closed_ns = in->closed_ns,
		.first_sequence = in->first_sequence,
		.end_sequence = in->end_sequence};
	int rc = hash_key_from(&in->starting_hash_key, &shard.start);

	if (rc == SLK_OK)
		rc = hash_key_from(&in->ending_hash_key, &shard.end);
	if (rc == SLK_OK && shard.start > shard.end)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK)
		rc = state_from(in->state, &shard.state);
	if (rc == SLK_OK)
		*out = shard;
	return rc;
}

/* --- shards --- */

int
kmsc_split_shard(struct kmsc *c, const char *stream, uint32_t shard, kmsc_hash_key new_start,
	struct slk_error *err)
{
	Kmsp__SplitShard call = KMSP__SPLIT_SHARD__INIT;
	uint8_t key[HASH_KEY_BYTES];

	hash_key_put(new_start, key);
	call.stream = kmsc_request_text(stream);
	call.shard = shard;
	call.new_starting_hash_key = kmsc_request_bytes(slk_span(key, sizeof(key)));
	KMSC_REQUEST(request, SPLIT_SHARD, split_shard) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_merge_shards(struct kmsc *c, const char *stream, uint32_t shard, uint32_t adjacent,
	struct slk_error *err)
{
	Kmsp__MergeShards call = KMSP__MERGE_SHARDS__INIT;

	call.stream = kmsc_request_text(stream);
	call.shard = shard;
	call.adjacent_shard = adjacent;
	KMSC_REQUEST(request, MERGE_SHARDS, merge_shards) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_update_shard_count(struct kmsc *c, const char *stream, uint32_t target, uint32_t *out_current,
	struct slk_error *err)
{
	Kmsp__UpdateShardCount call = KMSP__UPDATE_SHARD_COUNT__INIT;
	const Kmsp__Reply *reply;

	call.stream = kmsc_request_text(stream);
	call.target_count = target;
	KMSC_REQUEST(request, UPDATE_SHARD_COUNT, update_shard_count) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_SHARD_COUNTS, &reply, err);
	if (rc == SLK_OK)
		*out_current = reply->shard_counts->current_count;
	return kmsc_call_end(c, rc, err);
}

static const char *
filter_name(enum kmsc_shard_filter filter)
{
	static const char *const names[] = {
		[KMSC_SHARDS_FROM_TRIM_HORIZON] = "FROM_TRIM_HORIZON",
		[KMSC_SHARDS_AT_TRIM_HORIZON] = "AT_TRIM_HORIZON",
		[KMSC_SHARDS_AT_LATEST] = "AT_LATEST",
		[KMSC_SHARDS_AFTER_SHARD_ID] = "AFTER_SHARD_ID",
		[KMSC_SHARDS_AT_TIMESTAMP] = "AT_TIMESTAMP",
		[KMSC_SHARDS_FROM_TIMESTAMP] = "FROM_TIMESTAMP",
		[KMSC_SHARDS_ALL] = "ALL",
	};

	return names[filter];
}

int
kmsc_list_shards(struct kmsc *c, const char *stream, const struct kmsc_shard_query *query,
	const char *marker, struct kmsc_shard *out_shards, size_t cap, size_t *out_count,
	char *out_next, struct slk_error *err)
{
	Kmsp__ListShards call = KMSP__LIST_SHARDS__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.stream = kmsc_request_text(stream);
	call.marker = kmsc_request_text(marker);
	call.limit = cap < KMSC_SHARDS_PAGE ? (uint32_t)cap : KMSC_SHARDS_PAGE;
	if (query != NULL) {
		call.filter = kmsc_request_text(filter_name(query->filter));
		call.filter_shard = query->shard;
		call.filter_timestamp_ns = query->timestamp_ns;
	}
	KMSC_REQUEST(request, LIST_SHARDS, list_shards) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SHARDS, &reply, err);
	if (rc == SLK_OK && reply->shards->n_shards > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->shards->n_shards; i++)
		rc = shard_from(reply->shards->shards[i], &out_shards[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->shards->next, out_next, KMSC_MARKER_MAX);
	if (rc == SLK_OK)
		*out_count = reply->shards->n_shards;
	return kmsc_call_end(c, rc, err);
}

/* --- what else a stream has --- */

int
kmsc_create_stream_with(struct kmsc *c, const char *name, const struct kmsc_stream_kind *kind,
	struct kmsc_stream *out_stream, struct slk_error *err)
{
	Kmsp__CreateStream call = KMSP__CREATE_STREAM__INIT;
	struct kmsc_tag_list tags;
	const Kmsp__Reply *reply;

	int rc = kmsc_request_tags(kind->tags, kind->tags_count, &tags, err);
	if (rc != SLK_OK)
		return rc;
	call.name = kmsc_request_text(name);
	call.shard_count = kind->shard_count;
	call.key = kmsc_request_text(kind->key);
	call.mode = kmsc_request_text(kind->mode);
	call.n_tags = kind->tags_count;
	call.tags = tags.list;
	KMSC_REQUEST(request, CREATE_STREAM, create_stream) = &call;
	rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_STREAM, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_stream_from(reply->stream, out_stream);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_increase_stream_retention(
	struct kmsc *c, const char *stream, uint32_t hours, struct slk_error *err)
{
	Kmsp__StreamRetention call = KMSP__STREAM_RETENTION__INIT;

	call.stream = kmsc_request_text(stream);
	call.hours = hours;
	KMSC_REQUEST(request, INCREASE_STREAM_RETENTION, increase_stream_retention) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_decrease_stream_retention(
	struct kmsc *c, const char *stream, uint32_t hours, struct slk_error *err)
{
	Kmsp__StreamRetention call = KMSP__STREAM_RETENTION__INIT;

	call.stream = kmsc_request_text(stream);
	call.hours = hours;
	KMSC_REQUEST(request, DECREASE_STREAM_RETENTION, decrease_stream_retention) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_start_stream_encryption(
	struct kmsc *c, const char *stream, const char *key, struct slk_error *err)
{
	Kmsp__StreamKey call = KMSP__STREAM_KEY__INIT;

	call.stream = kmsc_request_text(stream);
	call.key = kmsc_request_text(key);
	KMSC_REQUEST(request, START_STREAM_ENCRYPTION, start_stream_encryption) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_stop_stream_encryption(
	struct kmsc *c, const char *stream, const char *key, struct slk_error *err)
{
	Kmsp__StreamKey call = KMSP__STREAM_KEY__INIT;

	call.stream = kmsc_request_text(stream);
	call.key = kmsc_request_text(key);
	KMSC_REQUEST(request, STOP_STREAM_ENCRYPTION, stop_stream_encryption) = &call;
	return kmsc_call_set(c, &request, KMSC_ONCE, err);
}

int
kmsc_update_stream_mode(struct kmsc *c, const char *stream, const char *mode, struct slk_error *err)
{
	Kmsp__StreamMode call = KMSP__STREAM_MODE__INIT;

	call.stream = kmsc_request_text(stream);
	call.mode = kmsc_request_text(mode);
	KMSC_REQUEST(request, UPDATE_STREAM_MODE, update_stream_mode) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_describe_limits(struct kmsc *c, struct kmsc_stream_limits *out_limits, struct slk_error *err)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;
	const Kmsp__Reply *reply;

	KMSC_REQUEST(request, DESCRIBE_LIMITS, describe_limits) = &call;
	int rc = kmsc_call(
		c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_STREAM_LIMITS, &reply, err);
	if (rc == SLK_OK)
		*out_limits = (struct kmsc_stream_limits){
			.shard_limit = reply->stream_limits->shard_limit,
			.open_shard_count = reply->stream_limits->open_shard_count,
			.on_demand_stream_limit = reply->stream_limits->on_demand_stream_limit,
			.on_demand_stream_count = reply->stream_limits->on_demand_stream_count};
	return kmsc_call_end(c, rc, err);
}

/* --- tags --- */

int
kmsc_add_tags_to_stream(struct kmsc *c, const char *stream, const struct kmsc_tag *tags,
	size_t count, struct slk_error *err)
{
	Kmsp__TagStream call = KMSP__TAG_STREAM__INIT;
	struct kmsc_tag_list list;

	int rc = kmsc_request_tags(tags, count, &list, err);
	if (rc != SLK_OK)
		return rc;
	call.stream = kmsc_request_text(stream);
	call.n_tags = count;
	call.tags = list.list;
	KMSC_REQUEST(request, ADD_TAGS_TO_STREAM, add_tags_to_stream) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_remove_tags_from_stream(struct kmsc *c, const char *stream, const char *const *tag_keys,
	size_t count, struct slk_error *err)
{
	Kmsp__UntagStream call = KMSP__UNTAG_STREAM__INIT;
	char *list[KMSC_TAGS_MAX];

	if (count > KMSC_TAGS_MAX)
		return slk_fail(err, SLK_LIMIT, "a stream has at most %u tags, not %zu",
			KMSC_TAGS_MAX, count);
	for (size_t i = 0; i < count; i++)
		list[i] = kmsc_request_text(tag_keys[i]);
	call.stream = kmsc_request_text(stream);
	call.n_tag_keys = count;
	call.tag_keys = list;
	KMSC_REQUEST(request, REMOVE_TAGS_FROM_STREAM, remove_tags_from_stream) = &call;
	return kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
}

int
kmsc_tags_from(const Kmsp__Tags *in, struct kmsc_tag *out, size_t cap, char *out_next)
{
	int rc = in->n_tags > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_tags; i++) {
		rc = TEXT(rc, in->tags[i]->key, out[i].key);
		rc = TEXT(rc, in->tags[i]->value, out[i].value);
	}
	return rc == SLK_OK ? kmsc_text(in->next, out_next, KMSC_MARKER_MAX) : rc;
}

int
kmsc_list_tags_for_stream(struct kmsc *c, const char *stream, const char *marker,
	struct kmsc_tag *out_tags, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListOfStream call = KMSP__LIST_OF_STREAM__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.stream = kmsc_request_text(stream);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_TAGS_FOR_STREAM, list_tags_for_stream) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_TAGS, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_tags_from(reply->tags, out_tags, cap, out_next);
	if (rc == SLK_OK)
		*out_count = reply->tags->n_tags;
	return kmsc_call_end(c, rc, err);
}

/* --- for ingestd --- */

int
kmsc_stream_changed(struct kmsc *c, const struct kmsc_stream *stream,
	const struct kmsc_shard_end *ends, size_t count, struct slk_error *err)
{
	Kmsp__StreamChanged call = KMSP__STREAM_CHANGED__INIT;
	Kmsp__ShardEnd *storage = calloc(count + 1, sizeof(*storage));
	Kmsp__ShardEnd **list = calloc(count + 1, sizeof(Kmsp__ShardEnd *));
	int rc = storage != NULL && list != NULL
		? SLK_OK
		: slk_fail(err, SLK_NO_MEMORY, "no memory for the ends of %zu shards", count);

	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		list[i] = &storage[i];
		kmsp__shard_end__init(list[i]);
		list[i]->shard = ends[i].shard;
		list[i]->end_sequence = ends[i].end_sequence;
	}
	if (rc == SLK_OK) {
		call.stream = kmsc_request_text(stream->name);
		call.stream_id = stream->id;
		call.change = stream->change;
		call.n_ends = count;
		call.ends = list;
		KMSC_REQUEST(request, STREAM_CHANGED, stream_changed) = &call;
		rc = kmsc_call_set(c, &request, KMSC_REPEATABLE, err);
	}
	free(storage);
	free(list);
	return rc;
}

int
kmsc_watch_streams(
	struct kmsc *c, struct kmsc_changes *io_changes, unsigned wait_ms, struct slk_error *err)
{
	Kmsp__WatchStreams call = KMSP__WATCH_STREAMS__INIT;
	const Kmsp__Reply *reply;

	call.stream_changes = io_changes->stream_changes;
	call.right_changes = io_changes->right_changes;
	call.wait_ms = wait_ms;
	KMSC_REQUEST(request, WATCH_STREAMS, watch_streams) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CHANGES, &reply, err);
	if (rc == SLK_OK)
		*io_changes =
			(struct kmsc_changes){.stream_changes = reply->changes->stream_changes,
				.right_changes = reply->changes->right_changes,
				.delivery_changes = reply->changes->delivery_changes};
	return kmsc_call_end(c, rc, err);
}
