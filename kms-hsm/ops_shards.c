/* Shards of streams: split, merged, brought to a number, listed; and how many there may be. A change is an intent: it is in
 * the catalog when the call is answered, and ingestd performs it (catalog_streams.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "stream_calls.h"

#define SHARDS_PAGE 200u
#define COUNT_CHANGES_MAX 10u /* UpdateShardCount of a stream in 24 hours */
#define SHARD_ID_MAX 24u /* "shardId-000000000000", with terminator */
#define MARKER_MAX 16u
#define HOUR_NS (3600 * SLK_NS_PER_S)

static void
print_shard_id(uint32_t number, char out[SHARD_ID_MAX])
{
	(void)snprintf(out, SHARD_ID_MAX, "shardId-%012u", number);
}

int
kms_call_shard_room(struct kms_call *call, uint64_t more)
{
	const struct kms_service *s = call->service;
	struct kms_stream_totals totals;

	int rc = kms_catalog_stream_totals(s->parts.catalog, &totals);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (more == 0 || totals.open_shards + more <= KMS_SHARD_LIMIT)
		return SLK_OK;
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"This request would exceed the shard limit for the account %s in %s. Current shard "
		"count for the account: %llu. Limit: %u. Number of additional shards that would "
		"have resulted from this request: %llu.",
		s->parts.realm.account, s->parts.realm.region,
		(unsigned long long)totals.open_shards, KMS_SHARD_LIMIT, (unsigned long long)more);
	return SLK_LIMIT;
}

/* --- changes --- */

/* A stream whose shards may be changed by hand, now. */
static int
find_provisioned(struct kms_call *call, const char *text)
{
	int rc = kms_call_find_stream(call, text);

	if (rc == SLK_OK)
		rc = kms_call_stream_active(call);
	if (rc != SLK_OK || !call->stream.on_demand)
		return rc;
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"Stream %s under account %s is in ON_DEMAND mode: its shards cannot be split, "
		"merged or "
		"counted by request",
		call->stream.name, call->service->parts.realm.account);
	return SLK_INVALID;
}

static int
find_shard(struct kms_call *call, uint32_t number, struct kms_shard *out)
{
	const char *account = call->service->parts.realm.account;
	char id[SHARD_ID_MAX];

	print_shard_id(number, id);
	int rc = kms_catalog_shard_get(call->service->parts.catalog, call->stream.id, number, out);
	if (rc == SLK_NOT_FOUND) {
		kms_call_fail(call, rc, "ResourceNotFoundException",
			"Could not find shard %s in stream %s under account %s.", id,
			call->stream.name, account);
	} else if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
	} else if (out->state != KMS_SHARD_OPEN) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"Shard %s in stream %s under account %s has already been merged or split, "
			"and "
			"thus is not eligible for merging or splitting.",
			id, call->stream.name, account);
		rc = SLK_INVALID;
	}
	return rc;
}

/* The plan, which is given back, becomes the stream's intent. */
static int
intend(struct kms_call *call, struct kms_reshard *plan, enum kms_stream_event event)
{
	struct kms_service *s = call->service;

	call->stream.state = KMS_STREAM_UPDATING;
	call->stream.change++;
	call->stream.shards_count += (uint32_t)plan->fresh_count;
	int rc = kms_catalog_stream_reshard(
		s->parts.catalog, &call->stream, plan, event, slk_wall_ns(s->parts.clock));
	if (rc == SLK_OK)
		s->stream_changes++;
	kms_reshard_fini(plan);
	return rc;
}

static uint64_t
now_s(const struct kms_call *call)
{
	return slk_wall_ns(call->service->parts.clock) / SLK_NS_PER_S;
}

static int
refuse_new_start(struct kms_call *call, const struct kms_shard *shard, kms_hash start)
{
	char id[SHARD_ID_MAX], first[KMS_HASH_TEXT], last[KMS_HASH_TEXT], text[KMS_HASH_TEXT];

	print_shard_id(shard->number, id);
	kms_hash_print(shard->start, first);
	kms_hash_print(shard->end, last);
	kms_hash_print(start, text);
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
		"NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account "
		"%s is not both greater than one plus the shard's StartingHashKey %s and less than "
		"the shard's EndingHashKey %s.",
		text, id, call->stream.name, call->service->parts.realm.account, first, last);
	return SLK_INVALID;
}

void
kms_op_split_shard(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__SplitShard *in = request->split_shard;
	struct kms_reshard plan;
	struct kms_shard shard;

	if (in->new_starting_hash_key.len != KMS_HASH_BYTES) {
		kms_call_fail(call, SLK_INVALID, "ValidationException", "a hash key has %u bytes",
			KMS_HASH_BYTES);
		return;
	}
	kms_hash start = kms_hash_get(in->new_starting_hash_key.data);
	if (find_provisioned(call, in->stream) != SLK_OK ||
		find_shard(call, in->shard, &shard) != SLK_OK)
		return;
	/* start > first + 1, where first may be the highest. */
	if (start <= shard.start || start - 1 <= shard.start || start >= shard.end) {
		(void)refuse_new_start(call, &shard, start);
		return;
	}
	if (kms_call_shard_room(call, 1) != SLK_OK)
		return;
	int rc = kms_reshard_split(&shard, start, call->stream.shards_count, now_s(call), &plan);
	if (rc == SLK_OK)
		rc = intend(call, &plan, KMS_EVENT_NONE);
	kms_call_end(call, rc);
}

void
kms_op_merge_shards(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__MergeShards *in = request->merge_shards;
	char first_id[SHARD_ID_MAX], second_id[SHARD_ID_MAX];
	struct kms_shard first, second;
	struct kms_reshard plan;

	if (find_provisioned(call, in->stream) != SLK_OK ||
		find_shard(call, in->shard, &first) != SLK_OK ||
		find_shard(call, in->adjacent_shard, &second) != SLK_OK)
		return;
	if (first.end == KMS_HASH_MAX || first.end + 1 != second.start) {
		print_shard_id(first.number, first_id);
		print_shard_id(second.number, second_id);
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"Shards %s and %s in stream %s under account %s are not an adjacent pair "
			"of "
			"shards eligible for merging",
			first_id, second_id, call->stream.name, call->service->parts.realm.account);
		return;
	}
	int rc = kms_reshard_merge(&first, &second, call->stream.shards_count, now_s(call), &plan);
	if (rc == SLK_OK)
		rc = intend(call, &plan, KMS_EVENT_NONE);
	kms_call_end(call, rc);
}

/* --- UpdateShardCount --- */

static int
check_target(struct kms_call *call, uint32_t target)
{
	uint32_t open = call->stream.shard_count;
	const char *how = NULL;

	if (target < 1 || target > KMS_SHARDS_MAX) {
		kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
			"a stream has 1 to %u shards, not %u", KMS_SHARDS_MAX, target);
		return SLK_INVALID;
	}
	if (target > 2 * (uint64_t)open)
		how = "up over double";
	else if (2 * (uint64_t)target < open)
		how = "down below half";
	if (how == NULL)
		return kms_call_shard_room(call, target > open ? target - open : 0);
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"UpdateShardCount cannot scale %s your current open shard count. Current open "
		"shard "
		"count: %u, Target shard count: %u",
		how, open, target);
	return SLK_LIMIT;
}

int
kms_call_stream_rate(
	struct kms_call *call, enum kms_stream_event event, uint32_t most, const char *what)
{
	struct kms_service *s = call->service;
	uint64_t now = slk_wall_ns(s->parts.clock), count = 0;

	int rc = kms_catalog_stream_events(s->parts.catalog, call->stream.id, event,
		now > 24 * HOUR_NS ? now - 24 * HOUR_NS : 0, &count);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	if (count < most)
		return SLK_OK;
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"Rate exceeded for stream %s under account %s: %s is allowed %u times in 24 hours",
		call->stream.name, s->parts.realm.account, what, most);
	return SLK_LIMIT;
}

static int
plan_count(struct kms_call *call, uint32_t target, struct kms_reshard *out)
{
	struct kms_shard *open = NULL;
	size_t count = 0;

	int rc = kms_catalog_shards_open(
		call->service->parts.catalog, call->stream.id, &open, &count);
	if (rc != SLK_OK)
		return rc;
	rc = count == 0 ? SLK_CORRUPT
			: kms_reshard_count(
				  open, count, target, call->stream.shards_count, now_s(call), out);
	free(open);
	return rc;
}

void
kms_op_update_shard_count(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UpdateShardCount *in = request->update_shard_count;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__ShardCounts out = KMSP__SHARD_COUNTS__INIT;
	struct kms_reshard plan = {0};
	char arn[KMS_ARN_MAX];

	if (find_provisioned(call, in->stream) != SLK_OK ||
		check_target(call, in->target_count) != SLK_OK ||
		kms_call_stream_rate(call, KMS_EVENT_SHARD_COUNT, COUNT_CHANGES_MAX,
			"UpdateShardCount") != SLK_OK)
		return;
	int rc = plan_count(call, in->target_count, &plan);
	if (rc == SLK_OK && plan.closing_count > 0)
		rc = intend(call, &plan, KMS_EVENT_SHARD_COUNT);
	else
		kms_reshard_fini(&plan); /* the ranges are those that are wanted */
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_arn_stream(&call->service->parts.realm, call->stream.name, arn);
	out.stream = call->stream.name;
	out.arn = arn;
	out.current_count = call->stream.shard_count;
	out.target_count = in->target_count;
	reply.result_case = KMSP__REPLY__RESULT_SHARD_COUNTS;
	reply.shard_counts = &out;
	kms_call_ok(call, &reply);
}

/* --- ListShards --- */

static int
refuse_timestamp(struct kms_call *call, uint64_t asked_ns, uint64_t now_ns)
{
	kms_call_fail(call, SLK_INVALID, "InvalidArgumentException",
		"The timestampInMillis parameter cannot be greater than the "
		"currentTimestampInMillis. "
		"timestampInMillis: %llu, currentTimestampInMillis: %llu",
		(unsigned long long)(asked_ns / SLK_NS_PER_MS),
		(unsigned long long)(now_ns / SLK_NS_PER_MS));
	return SLK_INVALID;
}

/* What of the stream's shards is shown, and the first number that may be. */
static int
read_filter(struct kms_call *call, const Kmsp__ListShards *in, struct kms_shard_filter *out,
	uint32_t *out_first)
{
	uint64_t now = slk_wall_ns(call->service->parts.clock);
	uint64_t kept = call->stream.retention_hours * HOUR_NS;
	uint64_t horizon = now > kept ? now - kept : 0;
	uint64_t at = in->filter_timestamp_ns;
	const char *name = in->filter[0] != '\0' ? in->filter : "FROM_TRIM_HORIZON";

	if (horizon < call->stream.created_ns)
		horizon = call->stream.created_ns;
	*out = (struct kms_shard_filter){.opened_by_ns = UINT64_MAX, .closed_after_ns = horizon};
	*out_first = 0;
	bool by_time = strstr(name, "_TIMESTAMP") != NULL;
	if (by_time && at > now)
		return refuse_timestamp(call, at, now);
	if (by_time && at > horizon)
		out->closed_after_ns = at;
	if (strcmp(name, "AT_TRIM_HORIZON") == 0 || strcmp(name, "AT_TIMESTAMP") == 0)
		out->opened_by_ns = out->closed_after_ns;
	else if (strcmp(name, "AT_LATEST") == 0)
		out->closed_after_ns = UINT64_MAX;
	else if (strcmp(name, "AFTER_SHARD_ID") == 0)
		*out_first = in->filter_shard < UINT32_MAX ? in->filter_shard + 1 : UINT32_MAX;
	else if (strcmp(name, "ALL") == 0 && (call->classes & KMS_CLASS_DOOR) != 0)
		out->all = true;
	else if (strcmp(name, "FROM_TRIM_HORIZON") != 0 && strcmp(name, "FROM_TIMESTAMP") != 0) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"1 validation error detected: Value at 'shardFilter.type' failed to "
			"satisfy "
			"constraint: Member must satisfy enum value set: [AFTER_SHARD_ID, "
			"AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, "
			"FROM_TIMESTAMP]");
		return SLK_INVALID;
	}
	return SLK_OK;
}

/* The marker is the number of the last shard shown. */
static int
read_marker(struct kms_call *call, const char *text, uint32_t *io_first)
{
	char *end = NULL;

	if (text[0] == '\0')
		return SLK_OK;
	unsigned long number =
		text[0] >= '0' && text[0] <= '9' ? strtoul(text, &end, 10) : UINT32_MAX;
	if (end == NULL || *end != '\0' || number >= UINT32_MAX) {
		kms_call_bad_marker(call);
		return SLK_INVALID;
	}
	if (number + 1 > *io_first)
		*io_first = (uint32_t)number + 1;
	return SLK_OK;
}

static const char *
state_name(const struct kms_shard *shard, bool all)
{
	static const char *const names[] = {[KMS_SHARD_OPEN] = "OPEN",
		[KMS_SHARD_CLOSED] = "CLOSED",
		[KMS_SHARD_CLOSING] = "CLOSING",
		[KMS_SHARD_OPENING] = "OPENING",
		[KMS_SHARD_PASSING] = "PASSING"};

	return names[!all && shard->state == KMS_SHARD_CLOSING ? KMS_SHARD_OPEN : shard->state];
}

struct shard_messages {
	Kmsp__Shard storage[SHARDS_PAGE];
	Kmsp__Shard *list[SHARDS_PAGE];
	uint8_t starts[SHARDS_PAGE][KMS_HASH_BYTES], ends[SHARDS_PAGE][KMS_HASH_BYTES];
};

static void
message_shard(const struct kms_shard *shard, bool all, size_t i, struct shard_messages *m)
{
	Kmsp__Shard *out = m->list[i] = &m->storage[i];

	kmsp__shard__init(out);
	kms_hash_put(shard->start, m->starts[i]);
	kms_hash_put(shard->end, m->ends[i]);
	out->number = shard->number;
	out->starting_hash_key = (ProtobufCBinaryData){.len = KMS_HASH_BYTES, .data = m->starts[i]};
	out->ending_hash_key = (ProtobufCBinaryData){.len = KMS_HASH_BYTES, .data = m->ends[i]};
	out->has_parent = shard->has_parent;
	out->parent = shard->parent;
	out->has_adjacent = shard->has_adjacent;
	out->adjacent = shard->adjacent;
	out->created_s = shard->created_s;
	out->opened_ns = shard->opened_ns;
	out->first_sequence = shard->first_sequence;
	out->end_sequence = shard->end_sequence;
	out->closed_ns = shard->closed_ns;
	out->state = (char *)(uintptr_t)state_name(shard, all);
}

void
kms_op_list_shards(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_shard shards[SHARDS_PAGE + 1]; /* one thread */
	static struct shard_messages messages;
	const Kmsp__ListShards *in = request->list_shards;
	size_t limit = in->limit == 0 || in->limit > SHARDS_PAGE ? SHARDS_PAGE : in->limit;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Shards out = KMSP__SHARDS__INIT;
	struct kms_shard_filter filter;
	char next[MARKER_MAX];
	uint32_t first = 0;
	size_t found = 0;

	if (kms_call_find_stream(call, in->stream) != SLK_OK ||
		read_filter(call, in, &filter, &first) != SLK_OK ||
		read_marker(call, in->marker, &first) != SLK_OK)
		return;
	int rc = kms_catalog_shard_list(call->service->parts.catalog, call->stream.id, &filter,
		first, shards, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_shards = found < limit ? found : limit;
	out.shards = messages.list;
	for (size_t i = 0; i < out.n_shards; i++)
		message_shard(&shards[i], filter.all, i, &messages);
	if (found > limit) {
		(void)snprintf(next, sizeof(next), "%u", shards[limit - 1].number);
		out.next = next;
	}
	out.stream = call->stream.name;
	out.stream_id = call->stream.id;
	out.change = call->stream.change;
	reply.result_case = KMSP__REPLY__RESULT_SHARDS;
	reply.shards = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_describe_limits(struct kms_call *call, const Kmsp__Request *request)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__StreamLimits out = KMSP__STREAM_LIMITS__INIT;
	struct kms_stream_totals totals;

	(void)request;
	if (kms_call_authorize(call, call->action, "*", NULL) != SLK_OK)
		return;
	int rc = kms_catalog_stream_totals(call->service->parts.catalog, &totals);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.shard_limit = KMS_SHARD_LIMIT;
	out.open_shard_count = (uint32_t)totals.open_shards;
	out.on_demand_stream_limit = KMS_ON_DEMAND_STREAM_LIMIT;
	out.on_demand_stream_count = (uint32_t)totals.on_demand_streams;
	reply.result_case = KMSP__REPLY__RESULT_STREAM_LIMITS;
	reply.stream_limits = &out;
	kms_call_ok(call, &reply);
}
