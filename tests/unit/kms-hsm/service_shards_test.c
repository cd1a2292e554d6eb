/* Streams that change: shards split, merged, counted and listed; retention, mode, encryption, tags, limits; what ingestd
 * commits and waits for. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "kms_rig.h"
#include "shards.h"
#include "stream_calls.h"

#define HOUR_NS (3600ull * SLK_NS_PER_S)
#define POLICY \
	"  - {effect: Allow, principals: [user/admin], actions: ['kinesis:*'], resources: " \
	"['stream/*']}\n" \
	"  - {effect: Allow, principals: [user/bob], actions: ['kinesis:ListShards', " \
	"'kinesis:ListTagsForStream', 'kinesis:DescribeLimits'], resources: ['*']}\n"

static struct kms_rig rig;
static char key_arn[KMS_ARN_MAX];

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	rig_new_key(&rig, key_arn);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(NAME, field) \
	Kmsp__Request request = KMSP__REQUEST__INIT; \
	request.call_case = KMSP__REQUEST__CALL_##NAME; \
	request.field = &call

static void
make(const char *name, uint32_t shards)
{
	assert_answered(rig_create_stream(&rig, RIG_ROOT, name, shards, ""), SLK_OK);
}

static const Kmsp__Reply *
split(uid_t uid, uint32_t shard, kms_hash start)
{
	Kmsp__SplitShard call = KMSP__SPLIT_SHARD__INIT;
	uint8_t bytes[KMS_HASH_BYTES];
	REQUEST(SPLIT_SHARD, split_shard);

	kms_hash_put(start, bytes);
	call.stream = TEXT("web");
	call.shard = shard;
	call.new_starting_hash_key = (ProtobufCBinaryData){.len = sizeof(bytes), .data = bytes};
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
merge(uint32_t shard, uint32_t adjacent)
{
	Kmsp__MergeShards call = KMSP__MERGE_SHARDS__INIT;
	REQUEST(MERGE_SHARDS, merge_shards);

	call.stream = TEXT("web");
	call.shard = shard;
	call.adjacent_shard = adjacent;
	return rig_call(&rig, RIG_ROOT, &request);
}

static const Kmsp__Reply *
count_to(uint32_t target)
{
	Kmsp__UpdateShardCount call = KMSP__UPDATE_SHARD_COUNT__INIT;
	REQUEST(UPDATE_SHARD_COUNT, update_shard_count);

	call.stream = TEXT("web");
	call.target_count = target;
	return rig_call(&rig, RIG_ROOT, &request);
}

static const Kmsp__Reply *
list(uid_t uid, const char *filter, uint32_t shard, uint64_t at_ns, uint32_t limit,
	const char *marker)
{
	Kmsp__ListShards call = KMSP__LIST_SHARDS__INIT;
	REQUEST(LIST_SHARDS, list_shards);

	call.stream = TEXT("web");
	call.filter = TEXT(filter);
	call.filter_shard = shard;
	call.filter_timestamp_ns = at_ns;
	call.limit = limit;
	call.marker = TEXT(marker);
	return rig_call(&rig, uid, &request);
}

/* The numbers listed, as "0 2 3". */
static const char *
numbers(const char *filter, uint32_t shard, uint64_t at_ns)
{
	static char text[256];
	const Kmsp__Reply *reply = list(RIG_ROOT, filter, shard, at_ns, 0, "");
	size_t len = 0;

	assert_answered(reply, SLK_OK);
	text[0] = '\0';
	for (size_t i = 0; i < reply->shards->n_shards; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, i > 0 ? " %u" : "%u",
			reply->shards->shards[i]->number);
	return text;
}

static const Kmsp__Reply *
changed(uid_t uid, uint64_t id, uint64_t change, const uint64_t (*ends)[2], size_t count)
{
	Kmsp__StreamChanged call = KMSP__STREAM_CHANGED__INIT;
	Kmsp__ShardEnd storage[8], *list[8];
	REQUEST(STREAM_CHANGED, stream_changed);

	for (size_t i = 0; i < count; i++) {
		list[i] = &storage[i];
		kmsp__shard_end__init(list[i]);
		list[i]->shard = (uint32_t)ends[i][0];
		list[i]->end_sequence = ends[i][1];
	}
	call.stream = TEXT("web");
	call.stream_id = id;
	call.change = change;
	call.n_ends = count;
	call.ends = list;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Stream *
described(void)
{
	const Kmsp__Reply *reply = rig_describe_stream(&rig, RIG_ROOT, "web");

	assert_answered(reply, SLK_OK);
	return reply->stream;
}

/* What ingestd would say, with every shard ended at end. */
static void
perform(uint64_t end)
{
	const Kmsp__Stream *stream = described();
	uint64_t id = stream->id, change = stream->change, ends[8][2];
	const Kmsp__Reply *reply = list(RIG_INGEST, "ALL", 0, 0, 0, "");
	size_t count = 0;

	for (size_t i = 0; i < reply->shards->n_shards; i++) {
		if (strcmp(reply->shards->shards[i]->state, "CLOSING") != 0)
			continue;
		ends[count][0] = reply->shards->shards[i]->number;
		ends[count++][1] = end;
	}
	assert_answered(changed(RIG_INGEST, id, change, ends, count), SLK_OK);
	assert_string_equal(described()->status, "ACTIVE");
}

static void
assert_refused(const Kmsp__Reply *reply, int status, const char *exception, const char *message)
{
	assert_answered(reply, status);
	assert_string_equal(reply->exception, exception);
	assert_string_equal(reply->message, message);
}

/* --- split and merge --- */

static void
split_is_an_intent_until_ingestd_has_performed_it(void **state)
{
	(void)state;
	const Kmsp__Shard *shard;

	make("web", 2);
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_OK);
	assert_string_equal(described()->status, "UPDATING");
	assert_int_equal(described()->shard_count, 2);
	assert_int_equal(described()->shards_count, 4);
	assert_string_equal(numbers("", 0, 0), "0 1"); /* to others nothing has happened */
	const Kmsp__Reply *reply = list(RIG_INGEST, "ALL", 0, 0, 0, "");
	assert_int_equal(reply->shards->n_shards, 4);
	assert_string_equal(reply->shards->shards[0]->state, "CLOSING");
	assert_string_equal(reply->shards->shards[1]->state, "OPEN");
	assert_string_equal(reply->shards->shards[2]->state, "OPENING");
	assert_int_equal(reply->shards->change, 1);
	rig.wall_ns += 7 * SLK_NS_PER_S;
	perform(50);
	assert_int_equal(described()->shard_count, 3);
	reply = list(RIG_BOB, "", 0, 0, 0, "");
	assert_int_equal(reply->shards->n_shards, 4);
	shard = reply->shards->shards[0];
	assert_string_equal(shard->state, "CLOSED");
	assert_int_equal(shard->end_sequence, 50);
	assert_int_equal(shard->closed_ns, rig.wall_ns);
	shard = reply->shards->shards[3];
	assert_string_equal(shard->state, "OPEN");
	assert_true(shard->has_parent && !shard->has_adjacent && shard->parent == 0);
	assert_int_equal(shard->first_sequence, 50);
	assert_true(kms_hash_get(shard->starting_hash_key.data) == 1000);
	assert_string_equal(numbers("AT_LATEST", 0, 0), "1 2 3");
}

static void
merge_begins_where_the_later_parent_ended(void **state)
{
	(void)state;
	const uint64_t ends[][2] = {{1, 9}, {0, 40}};

	make("web", 3);
	assert_answered(merge(0, 1), SLK_OK);
	uint64_t id = described()->id;
	assert_answered(changed(RIG_INGEST, id, 1, ends, 2), SLK_OK);
	const Kmsp__Shard *child = list(RIG_ROOT, "AFTER_SHARD_ID", 2, 0, 0, "")->shards->shards[0];
	assert_int_equal(child->number, 3);
	assert_true(child->has_parent && child->parent == 0);
	assert_true(child->has_adjacent && child->adjacent == 1);
	assert_int_equal(child->first_sequence, 40);
}

static void
bad_splits_and_merges_are_refused_as_kinesis_words_it(void **state)
{
	(void)state;
	make("web", 3);
	assert_refused(split(RIG_ROOT, 0, 1), SLK_INVALID, "InvalidArgumentException",
		"NewStartingHashKey 1 used in SplitShard() on shard shardId-000000000000 in stream "
		"web under account 000000000000 is not both greater than one plus the shard's "
		"StartingHashKey 0 and less than the shard's EndingHashKey "
		"113427455640312821154458202477256070484.");
	assert_answered(split(RIG_ROOT, 0, 0), SLK_INVALID);
	assert_answered(split(RIG_ROOT, 2, KMS_HASH_MAX), SLK_INVALID);
	assert_refused(split(RIG_ROOT, 9, 100), SLK_NOT_FOUND, "ResourceNotFoundException",
		"Could not find shard shardId-000000000009 in stream web under account "
		"000000000000.");
	assert_refused(merge(0, 2), SLK_INVALID, "InvalidArgumentException",
		"Shards shardId-000000000000 and shardId-000000000002 in stream web under account "
		"000000000000 are not an adjacent pair of shards eligible for merging");
	assert_answered(merge(1, 0), SLK_INVALID); /* in the wrong order */
	assert_answered(merge(2, 2), SLK_INVALID); /* and the highest range has none behind it */
	assert_answered(split(RIG_ADMIN, 0, 2), SLK_OK);
	assert_refused(split(RIG_ROOT, 1, 1000), SLK_INVALID_STATE, "ResourceInUseException",
		"Stream web under account 000000000000 not ACTIVE, instead in state UPDATING");
	perform(1);
	assert_refused(merge(0, 1), SLK_INVALID, "InvalidArgumentException",
		"Shard shardId-000000000000 in stream web under account 000000000000 has already "
		"been merged or split, and thus is not eligible for merging or splitting.");
	assert_answered(split(RIG_BOB, 1, 1000), SLK_DENIED);
	assert_answered(split(RIG_STRANGER, 1, 1000), SLK_DENIED);
}

/* --- UpdateShardCount --- */

static void
count_is_brought_to_equal_ranges(void **state)
{
	(void)state;
	const Kmsp__Reply *reply;

	make("web", 2);
	reply = count_to(4);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->shard_counts->current_count, 2);
	assert_int_equal(reply->shard_counts->target_count, 4);
	perform(10);
	assert_string_equal(numbers("AT_LATEST", 0, 0), "2 3 4 5");
	assert_answered(count_to(3), SLK_OK);
	perform(20);
	reply = list(RIG_ROOT, "AT_LATEST", 0, 0, 0, "");
	assert_int_equal(reply->shards->n_shards, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(reply->shards->shards[i]->first_sequence, 20);
	assert_answered(count_to(3), SLK_OK); /* as it is */
	assert_string_equal(described()->status, "ACTIVE");
}

static void
count_has_its_limits(void **state)
{
	(void)state;
	make("web", 3);
	assert_refused(count_to(7), SLK_LIMIT, "LimitExceededException",
		"UpdateShardCount cannot scale up over double your current open shard count. "
		"Current open shard count: 3, Target shard count: 7");
	assert_refused(count_to(1), SLK_LIMIT, "LimitExceededException",
		"UpdateShardCount cannot scale down below half your current open shard count. "
		"Current open shard count: 3, Target shard count: 1");
	assert_answered(count_to(0), SLK_INVALID);
	for (int i = 0; i < 10; i++) {
		assert_answered(count_to(i % 2 == 0 ? 4 : 3), SLK_OK);
		perform((uint64_t)i);
	}
	assert_answered(count_to(4), SLK_LIMIT);
	rig.wall_ns += 24 * HOUR_NS + 1;
	assert_answered(count_to(4), SLK_OK);
}

static void
account_has_its_limit_of_shards(void **state)
{
	(void)state;
	make("web", 10000);
	make("other", 9999);
	assert_answered(split(RIG_ROOT, 0, 100), SLK_OK);
	perform(1);
	assert_refused(split(RIG_ROOT, 1, KMS_HASH_MAX / 10000 + 100), SLK_LIMIT,
		"LimitExceededException",
		"This request would exceed the shard limit for the account 000000000000 in local. "
		"Current shard count for the account: 20000. Limit: 20000. Number of additional "
		"shards that would have resulted from this request: 1.");
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "more", 1, ""), SLK_LIMIT);
	Kmsp__Nothing call = KMSP__NOTHING__INIT;
	REQUEST(DESCRIBE_LIMITS, describe_limits);
	const Kmsp__Reply *reply = rig_call(&rig, RIG_BOB, &request);
	assert_int_equal(reply->stream_limits->open_shard_count, 20000);
	assert_int_equal(reply->stream_limits->shard_limit, 20000);
	assert_answered(rig_call(&rig, RIG_ALICE, &request), SLK_DENIED);
}

/* --- ListShards --- */

static void
filters_tell_shards_of_their_time(void **state)
{
	(void)state;
	uint64_t start = rig.wall_ns;

	make("web", 2);
	rig.wall_ns += HOUR_NS;
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_OK);
	perform(5); /* 0 closes, 2 and 3 open */
	rig.wall_ns += HOUR_NS;
	assert_answered(merge(3, 1), SLK_OK);
	perform(6); /* 3 and 1 close, 4 opens */
	rig.wall_ns += HOUR_NS;
	assert_string_equal(numbers("", 0, 0), "0 1 2 3 4");
	assert_string_equal(numbers("FROM_TRIM_HORIZON", 0, 0), "0 1 2 3 4");
	assert_string_equal(numbers("AT_TRIM_HORIZON", 0, 0), "0 1");
	assert_string_equal(numbers("AT_LATEST", 0, 0), "2 4");
	assert_string_equal(numbers("AFTER_SHARD_ID", 1, 0), "2 3 4");
	assert_string_equal(numbers("AFTER_SHARD_ID", UINT32_MAX, 0), "");
	assert_string_equal(numbers("AT_TIMESTAMP", 0, start + HOUR_NS / 2), "0 1");
	assert_string_equal(numbers("AT_TIMESTAMP", 0, start + 3 * HOUR_NS / 2), "1 2 3");
	assert_string_equal(numbers("FROM_TIMESTAMP", 0, start + 3 * HOUR_NS / 2), "1 2 3 4");
	assert_string_equal(numbers("FROM_TIMESTAMP", 0, rig.wall_ns), "2 4");
	assert_answered(list(RIG_ROOT, "AT_TIMESTAMP", 0, rig.wall_ns + 1, 0, ""), SLK_INVALID);
	assert_answered(list(RIG_ROOT, "AT_NOON", 0, 0, 0, ""), SLK_INVALID);
	assert_answered(list(RIG_ROOT, "ALL", 0, 0, 0, ""), SLK_INVALID); /* for ingestd */
	assert_answered(list(RIG_ALICE, "", 0, 0, 0, ""), SLK_DENIED);
	rig.wall_ns = start + 25 * HOUR_NS + HOUR_NS / 2; /* the records of 0 have expired */
	assert_string_equal(numbers("", 0, 0), "1 2 3 4");
	assert_string_equal(numbers("AT_TRIM_HORIZON", 0, 0), "1 2 3");
	rig.wall_ns += 365 * 24 * HOUR_NS;
	assert_answered(split(RIG_ROOT, 2, 500), SLK_OK);
	perform(7); /* what nothing can hold any more is forgotten */
	assert_int_equal(list(RIG_INGEST, "ALL", 0, 0, 0, "")->shards->n_shards, 4);
}

static void
shards_are_listed_in_pages(void **state)
{
	(void)state;
	char next[16] = "";
	size_t seen = 0;

	make("web", 450);
	do {
		const Kmsp__Reply *reply = list(RIG_BOB, "", 0, 0, 0, next);
		assert_answered(reply, SLK_OK);
		assert_int_equal(reply->shards->shards[0]->number, seen);
		seen += reply->shards->n_shards;
		snprintf(next, sizeof(next), "%s", reply->shards->next);
	} while (next[0] != '\0');
	assert_int_equal(seen, 450);
	assert_int_equal(list(RIG_BOB, "", 0, 0, 7, "9")->shards->shards[6]->number, 16);
	assert_answered(list(RIG_BOB, "", 0, 0, 0, "x"), SLK_INVALID);
	assert_answered(list(RIG_BOB, "", 0, 0, 0, "4294967295"), SLK_INVALID);
	assert_answered(list(RIG_BOB, "", 0, 0, 0, "-1"), SLK_INVALID);
}

/* --- ingestd --- */

static void
change_is_committed_once_and_by_ingestd_only(void **state)
{
	(void)state;
	const uint64_t ends[][2] = {{0, 8}}, other[][2] = {{1, 8}};

	make("web", 2);
	uint64_t id = described()->id;
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_OK);
	assert_answered(changed(RIG_ROOT, id, 1, ends, 1), SLK_DENIED);
	assert_answered(changed(RIG_INGEST, id + 1, 1, ends, 1), SLK_NOT_FOUND);
	assert_answered(changed(RIG_INGEST, id, 2, ends, 1), SLK_INVALID_STATE);
	assert_answered(changed(RIG_INGEST, id, 0, ends, 1), SLK_INVALID_STATE);
	assert_answered(changed(RIG_INGEST, id, 1, other, 1), SLK_INVALID);
	assert_answered(changed(RIG_INGEST, id, 1, NULL, 0), SLK_INVALID);
	assert_string_equal(described()->status, "UPDATING");
	rig_restart(&rig); /* what is to be done is on the disk */
	assert_string_equal(described()->status, "UPDATING");
	rig.wall_ns++;
	assert_answered(changed(RIG_INGEST, id, 1, ends, 1), SLK_OK);
	assert_answered(changed(RIG_INGEST, id, 1, ends, 1), SLK_OK);
	assert_int_equal(described()->shard_count, 3);
	assert_int_equal(list(RIG_ROOT, "", 0, 0, 0, "")->shards->shards[0]->end_sequence, 8);
}

static void
deleted_stream_is_gone_once_ingestd_says_so(void **state)
{
	(void)state;
	make("web", 1);
	uint64_t id = described()->id;
	assert_answered(rig_delete_stream(&rig, RIG_ROOT, "web"), SLK_OK);
	assert_string_equal(described()->status, "DELETING");
	assert_answered(rig_delete_stream(&rig, RIG_ROOT, "web"), SLK_OK); /* it is being deleted */
	assert_answered(rig_create_stream(&rig, RIG_ROOT, "web", 1, ""), SLK_EXISTS);
	assert_answered(rig_stream_key(&rig, RIG_INGEST, "web"), SLK_NOT_FOUND);
	assert_answered(rig_authorize(&rig, RIG_INGEST, RIG_ROOT, "kinesis:PutRecord", "web"),
		SLK_NOT_FOUND);
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_INVALID_STATE);
	assert_answered(changed(RIG_INGEST, id, 1, NULL, 0), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, "web"), SLK_NOT_FOUND);
	assert_answered(changed(RIG_INGEST, id, 1, NULL, 0), SLK_NOT_FOUND);
	make("web", 1);
	assert_true(described()->id > id);
}

static void
deletion_overtakes_another_change(void **state)
{
	(void)state;
	const uint64_t ends[][2] = {{0, 8}};

	make("web", 1);
	uint64_t id = described()->id;
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_OK);
	assert_answered(rig_delete_stream(&rig, RIG_ROOT, "web"), SLK_OK);
	assert_answered(changed(RIG_INGEST, id, 1, ends, 1), SLK_INVALID_STATE);
	assert_answered(changed(RIG_INGEST, id, 2, NULL, 0), SLK_OK);
	assert_answered(rig_describe_stream(&rig, RIG_ROOT, "web"), SLK_NOT_FOUND);
}

static void
begin_watch(uint64_t streams, uint64_t rights, uint32_t wait_ms)
{
	Kmsp__WatchStreams call = KMSP__WATCH_STREAMS__INIT;
	REQUEST(WATCH_STREAMS, watch_streams);

	call.stream_changes = streams;
	call.right_changes = rights;
	call.wait_ms = wait_ms;
	rig_begin(&rig, RIG_INGEST, &request);
}

static void
begin_delete(void)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;
	REQUEST(DELETE_STREAM, delete_stream);

	call.stream = TEXT("web");
	rig_begin(&rig, RIG_ROOT, &request);
}

/* deliverd's: what happens to streams and rights is nothing to it. */
static void
a_watch_of_deliveries_waits_for_them_alone(void **state)
{
	Kmsp__WatchStreams call = KMSP__WATCH_STREAMS__INIT;
	REQUEST(WATCH_STREAMS, watch_streams);

	(void)state;
	make("web", 1);
	call.deliveries = true;
	call.wait_ms = 2000;
	request.watch_streams = &call;
	uint64_t number = rig_call(&rig, RIG_DELIVER, &request)->changes->delivery_changes;
	call.delivery_changes = number;
	rig_begin(&rig, RIG_DELIVER, &request);
	rig_turn(&rig);
	unsigned answers = rig.answers;
	make("app", 1);
	assert_int_equal(rig.answers, answers + 1); /* to who made it */
	rig.service->delivery_changes++;
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 2);
	assert_int_equal(rig_last(&rig)->changes->delivery_changes, number + 1);
}

/* All of them hear of a change by one turn, once each, and nothing before. */
static void
a_thousand_watchers_hear_of_a_change(void **state)
{
	(void)state;
	make("web", 1);
	uint64_t streams = rig_status(&rig, RIG_INGEST)->service->stream_changes;
	uint64_t rights = rig_status(&rig, RIG_INGEST)->service->right_changes;
	unsigned answers = rig.answers;

	for (unsigned i = 0; i < 1000; i++)
		begin_watch(streams, rights, 2000);
	for (unsigned i = 0; i < 10; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, answers);
	begin_delete();
	for (unsigned i = 0; i < 10; i++)
		rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 1001);
}

static void
watch_ends_with_a_change_or_its_time(void **state)
{
	(void)state;
	make("web", 1);
	uint64_t streams = rig_status(&rig, RIG_INGEST)->service->stream_changes;
	uint64_t rights = rig_status(&rig, RIG_INGEST)->service->right_changes;

	begin_watch(streams + 1, rights, 5000); /* another number: at once */
	unsigned answers = rig.answers;
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 1);
	assert_int_equal(rig_last(&rig)->changes->stream_changes, streams);
	begin_watch(streams, rights, 2000);
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 1);
	assert_int_equal(kms_service_wake_ns(rig.service), rig.mono_ns + 2000 * SLK_NS_PER_MS);
	begin_delete();
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 3); /* both */
	streams = rig_status(&rig, RIG_INGEST)->service->stream_changes;
	rights = rig_status(&rig, RIG_INGEST)->service->right_changes;
	answers = rig.answers;
	begin_watch(streams, rights, 2000);
	rig_turn(&rig);
	rig.mono_ns += 2000 * SLK_NS_PER_MS;
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 1);
	assert_int_equal(rig_last(&rig)->changes->stream_changes, streams);
	begin_watch(streams, rights, 2000); /* one that waits when kmsd stops is answered, too */
	kms_service_stop(rig.service);
	rig_turn(&rig);
	assert_int_equal(rig.answers, answers + 2);
}

/* --- retention, mode --- */

static const Kmsp__Reply *
retain(bool longer, uint32_t hours)
{
	Kmsp__StreamRetention call = KMSP__STREAM_RETENTION__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.stream = TEXT("web");
	call.hours = hours;
	request.call_case = longer ? KMSP__REQUEST__CALL_INCREASE_STREAM_RETENTION
				   : KMSP__REQUEST__CALL_DECREASE_STREAM_RETENTION;
	request.increase_stream_retention = &call;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
retention_is_between_a_day_and_a_year(void **state)
{
	(void)state;
	make("web", 1);
	assert_int_equal(described()->retention_hours, 24);
	assert_answered(retain(true, 24), SLK_OK); /* as Terraform sends it */
	assert_answered(retain(true, 48), SLK_OK);
	assert_int_equal(described()->retention_hours, 48);
	assert_refused(retain(true, 30), SLK_INVALID, "InvalidArgumentException",
		"Requested retention period (30 hours) for stream web can not be shorter than "
		"existing retention period (48 hours). Use DecreaseRetentionPeriod API.");
	assert_refused(retain(false, 60), SLK_INVALID, "InvalidArgumentException",
		"Requested retention period (60 hours) for stream web can not be longer than "
		"existing retention period (48 hours). Use IncreaseRetentionPeriod API.");
	assert_refused(retain(false, 23), SLK_INVALID, "InvalidArgumentException",
		"Minimum allowed retention period is 24 hours. Requested retention period (23 "
		"hours) is too short.");
	assert_answered(retain(true, 8761), SLK_INVALID);
	assert_answered(retain(true, 8760), SLK_OK);
	assert_answered(retain(false, 24), SLK_OK);
	assert_int_equal(described()->retention_hours, 24);
}

static const Kmsp__Reply *
create_as(const char *mode, uint32_t shards, Kmsp__Tag **tags, size_t count)
{
	Kmsp__CreateStream call = KMSP__CREATE_STREAM__INIT;
	REQUEST(CREATE_STREAM, create_stream);

	call.name = TEXT("web");
	call.mode = TEXT(mode);
	call.shard_count = shards;
	call.tags = tags;
	call.n_tags = count;
	return rig_call(&rig, RIG_ROOT, &request);
}

static void
stream_on_demand_has_four_shards_and_no_resharding(void **state)
{
	(void)state;
	assert_answered(create_as("SOMETIMES", 1, NULL, 0), SLK_INVALID);
	assert_answered(create_as("PROVISIONED", 0, NULL, 0), SLK_INVALID);
	assert_answered(create_as("ON_DEMAND", 0, NULL, 0), SLK_OK);
	assert_int_equal(described()->shard_count, 4);
	assert_string_equal(described()->mode, "ON_DEMAND");
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_INVALID);
	assert_answered(merge(0, 1), SLK_INVALID);
	assert_answered(count_to(5), SLK_INVALID);
	Kmsp__StreamMode call = KMSP__STREAM_MODE__INIT;
	REQUEST(UPDATE_STREAM_MODE, update_stream_mode);
	call.stream = TEXT("web");
	call.mode = TEXT("PROVISIONED");
	assert_answered(rig_call(&rig, RIG_ROOT, &request), SLK_OK);
	assert_answered(count_to(5), SLK_OK);
}

/* --- encryption --- */

static const Kmsp__Reply *
encrypt(uid_t uid, bool start, const char *key)
{
	Kmsp__StreamKey call = KMSP__STREAM_KEY__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;

	call.stream = TEXT("web");
	call.key = TEXT(key);
	request.call_case = start ? KMSP__REQUEST__CALL_START_STREAM_ENCRYPTION
				  : KMSP__REQUEST__CALL_STOP_STREAM_ENCRYPTION;
	request.start_stream_encryption = &call;
	return rig_call(&rig, uid, &request);
}

static void
encryption_starts_changes_and_stops(void **state)
{
	(void)state;
	char other[KMS_ARN_MAX], own[KMS_ARN_MAX];

	make("web", 1);
	snprintf(own, sizeof(own), "%s", described()->key_arn);
	assert_string_equal(described()->key_name, "");
	assert_answered(rig_create_alias(&rig, RIG_ROOT, "alias/web", key_arn), SLK_OK);
	uint64_t rights = rig_status(&rig, RIG_INGEST)->service->right_changes;
	assert_answered(encrypt(RIG_ROOT, true, "alias/web"), SLK_OK);
	assert_int_not_equal(rig_status(&rig, RIG_INGEST)->service->right_changes, rights);
	assert_string_equal(described()->status, "UPDATING");
	assert_string_equal(described()->key_name, "alias/web"); /* as it was given */
	assert_string_equal(described()->key_arn, key_arn);
	assert_true(described()->encrypted_kms);
	const Kmsp__Reply *reply = rig_stream_key(&rig, RIG_INGEST, "web");
	assert_string_equal(reply->cipher->key_arn, key_arn);
	assert_true(reply->cipher->encrypted_kms);
	assert_int_equal(reply->cipher->stream_change, 1);
	assert_answered(encrypt(RIG_ROOT, false, "alias/web"), SLK_INVALID_STATE);
	perform(0);
	assert_answered(
		encrypt(RIG_ROOT, true, key_arn), SLK_OK); /* the same key by another name */
	assert_string_equal(described()->status, "ACTIVE");
	assert_string_equal(described()->key_name, key_arn);
	rig_new_key(&rig, other);
	assert_answered(encrypt(RIG_ROOT, true, other), SLK_OK);
	perform(0);
	assert_answered(encrypt(RIG_ROOT, false, key_arn), SLK_INVALID); /* not its key any more */
	assert_answered(encrypt(RIG_ROOT, false, strrchr(other, '/') + 1), SLK_OK);
	assert_false(described()->encrypted_kms);
	assert_string_equal(described()->key_arn, own);
	assert_string_equal(described()->key_name, "");
	reply = rig_stream_key(&rig, RIG_INGEST, "web");
	assert_false(reply->cipher->encrypted_kms);
	assert_int_equal(reply->cipher->stream_change, 3);
	perform(0);
	assert_answered(encrypt(RIG_ROOT, false, "anything"), SLK_OK); /* it is NONE already */
}

static void
key_that_cannot_encrypt_a_stream_is_refused_by_kinesis_names(void **state)
{
	(void)state;
	char rsa[KMS_ARN_MAX];

	make("web", 1);
	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, rsa);
	assert_answered(encrypt(RIG_ROOT, true, rsa), SLK_INVALID);
	assert_string_equal(
		encrypt(RIG_ROOT, true, "alias/none")->exception, "KMSNotFoundException");
	/* admin may do everything with streams and nothing with keys */
	assert_string_equal(
		encrypt(RIG_ADMIN, true, key_arn)->exception, "KMSAccessDeniedException");
	assert_answered(
		rig_ask_key(&rig, RIG_ROOT, KMSP__REQUEST__CALL_DISABLE_KEY, key_arn), SLK_OK);
	assert_string_equal(encrypt(RIG_ROOT, true, key_arn)->exception, "KMSDisabledException");
	assert_answered(encrypt(RIG_BOB, true, key_arn), SLK_DENIED);
	assert_string_equal(described()->status, "ACTIVE");
	assert_int_equal(described()->change, 0);
	/* its own key is nobody's to name */
	assert_string_equal(encrypt(RIG_ROOT, true, described()->key_arn)->exception,
		"KMSAccessDeniedException");
}

static void
encryption_changes_so_often_only(void **state)
{
	(void)state;
	make("web", 1);
	for (int i = 0; i < 25; i++) {
		assert_answered(encrypt(RIG_ROOT, i % 2 == 0, key_arn), SLK_OK);
		perform(0);
	}
	assert_answered(encrypt(RIG_ROOT, false, key_arn), SLK_LIMIT);
	rig.wall_ns += 24 * HOUR_NS + 1;
	assert_answered(encrypt(RIG_ROOT, false, key_arn), SLK_OK);
}

/* --- tags --- */

static const Kmsp__Reply *
tag(uid_t uid, const char *key, const char *value)
{
	Kmsp__TagStream call = KMSP__TAG_STREAM__INIT;
	Kmsp__Tag one = KMSP__TAG__INIT, *list[] = {&one};
	REQUEST(ADD_TAGS_TO_STREAM, add_tags_to_stream);

	one.key = TEXT(key);
	one.value = TEXT(value);
	call.stream = TEXT("web");
	call.tags = list;
	call.n_tags = 1;
	return rig_call(&rig, uid, &request);
}

static const Kmsp__Reply *
untag(const char *key)
{
	Kmsp__UntagStream call = KMSP__UNTAG_STREAM__INIT;
	char *list[] = {TEXT(key)};
	REQUEST(REMOVE_TAGS_FROM_STREAM, remove_tags_from_stream);

	call.stream = TEXT("web");
	call.tag_keys = list;
	call.n_tag_keys = 1;
	return rig_call(&rig, RIG_ROOT, &request);
}

static const Kmsp__Reply *
tags_after(uid_t uid, const char *marker, uint32_t limit)
{
	Kmsp__ListOfStream call = KMSP__LIST_OF_STREAM__INIT;
	REQUEST(LIST_TAGS_FOR_STREAM, list_tags_for_stream);

	call.stream = TEXT("web");
	call.marker = TEXT(marker);
	call.limit = limit;
	return rig_call(&rig, uid, &request);
}

static void
tags_come_and_go(void **state)
{
	(void)state;
	Kmsp__Tag first = KMSP__TAG__INIT, *list[] = {&first};
	char key[16];

	first.key = TEXT("team");
	first.value = TEXT("web");
	assert_answered(create_as("", 1, list, 1), SLK_OK);
	assert_answered(tag(RIG_ROOT, "cost", "42 %"), SLK_OK);
	assert_answered(tag(RIG_ADMIN, "team", "ops"), SLK_OK);
	const Kmsp__Reply *reply = tags_after(RIG_BOB, "", 1);
	assert_int_equal(reply->tags->n_tags, 1);
	assert_string_equal(reply->tags->tags[0]->key, "cost");
	assert_string_equal(reply->tags->next, "cost");
	reply = tags_after(RIG_BOB, "cost", 0);
	assert_string_equal(reply->tags->tags[0]->value, "ops");
	assert_string_equal(reply->tags->next, "");
	assert_answered(untag("cost"), SLK_OK);
	assert_answered(untag("none"), SLK_OK);
	assert_int_equal(tags_after(RIG_ROOT, "", 0)->tags->n_tags, 1);
	for (int i = 0; i < 49; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_answered(tag(RIG_ROOT, key, ""), SLK_OK);
	}
	assert_refused(tag(RIG_ROOT, "more", ""), SLK_INVALID, "InvalidArgumentException",
		"Failed to add tags to stream web under account 000000000000 because a given "
		"stream "
		"cannot have more than 50 tags associated with it.");
	assert_answered(tag(RIG_ROOT, "k7", "new"), SLK_OK);
	assert_answered(tags_after(RIG_ALICE, "", 0), SLK_DENIED);
}

static void
bad_tags_are_refused(void **state)
{
	(void)state;
	make("web", 1);
	assert_answered(tag(RIG_ROOT, "", "x"), SLK_INVALID);
	assert_string_equal(tag(RIG_ROOT, "a<b", "x")->message,
		"Some tags contain invalid characters. Valid characters: Unicode letters, digits, "
		"white space, _ . / = + - % @.");
	assert_answered(tag(RIG_ROOT, "AWS:x", "x"), SLK_INVALID);
	assert_answered(tag(RIG_ROOT,
				"gr\xc3\xb6\xc3\x9f"
				"e",
				"\xe6\x97\xa5"),
		SLK_OK);
	assert_answered(tag(RIG_ROOT, "\xff", "x"), SLK_INVALID);
	assert_answered(tag(RIG_BOB, "k", "v"), SLK_DENIED);
	assert_int_equal(tags_after(RIG_ROOT, "", 0)->tags->n_tags, 1);
}

/* Each leaves one line that names the stream, and what ingestd waits with leaves none. */
static void
changes_of_streams_are_in_the_audit_log(void **state)
{
	(void)state;
	make("web", 1);
	assert_answered(split(RIG_ROOT, 0, 1000), SLK_OK);
	assert_contains(rig_audit_last(&rig), "SplitShard");
	assert_contains(rig_audit_last(&rig), "stream/web");
	perform(3);
	assert_contains(rig_audit(&rig), "StreamChanged");
	assert_answered(encrypt(RIG_ROOT, true, key_arn), SLK_OK);
	assert_contains(rig_audit_last(&rig), "stream/web");
	begin_watch(0, 0, 0);
	rig_turn(&rig);
	assert_lacks(rig_audit(&rig), "WatchStreams");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(split_is_an_intent_until_ingestd_has_performed_it),
		CASE(merge_begins_where_the_later_parent_ended),
		CASE(bad_splits_and_merges_are_refused_as_kinesis_words_it),
		CASE(count_is_brought_to_equal_ranges),
		CASE(count_has_its_limits),
		CASE(account_has_its_limit_of_shards),
		CASE(filters_tell_shards_of_their_time),
		CASE(shards_are_listed_in_pages),
		CASE(change_is_committed_once_and_by_ingestd_only),
		CASE(deleted_stream_is_gone_once_ingestd_says_so),
		CASE(deletion_overtakes_another_change),
		CASE(a_watch_of_deliveries_waits_for_them_alone),
		CASE(a_thousand_watchers_hear_of_a_change),
		CASE(watch_ends_with_a_change_or_its_time),
		CASE(retention_is_between_a_day_and_a_year),
		CASE(stream_on_demand_has_four_shards_and_no_resharding),
		CASE(encryption_starts_changes_and_stops),
		CASE(key_that_cannot_encrypt_a_stream_is_refused_by_kinesis_names),
		CASE(encryption_changes_so_often_only),
		CASE(tags_come_and_go),
		CASE(bad_tags_are_refused),
		CASE(changes_of_streams_are_in_the_audit_log),
	};

	return cmocka_run_group_tests_name("kms_service_shards", tests, NULL, NULL);
}
