/* What ingestd says and asks about streams that change: StreamChanged commits what it has performed, WatchStreams waits until
 * there is something to look at. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "stream_calls.h"

#define WAIT_MAX_MS 10000u

/* --- StreamChanged --- */

static int
by_shard(const void *a, const void *b)
{
	uint32_t x = ((const struct kms_shard_end *)a)->shard;
	uint32_t y = ((const struct kms_shard_end *)b)->shard;

	return x < y ? -1 : x > y;
}

static int
commit_change(struct kms_call *call, const Kmsp__StreamChanged *in)
{
	struct kms_service *s = call->service;
	struct kms_shard_end *ends = calloc(in->n_ends + 1, sizeof(*ends));

	if (ends == NULL)
		return SLK_NO_MEMORY;
	for (size_t i = 0; i < in->n_ends; i++)
		ends[i] = (struct kms_shard_end){
			.shard = in->ends[i]->shard, .end_sequence = in->ends[i]->end_sequence};
	qsort(ends, in->n_ends, sizeof(*ends), by_shard);
	int rc = kms_catalog_stream_settle(
		s->parts.catalog, &call->stream, ends, in->n_ends, slk_wall_ns(s->parts.clock));
	free(ends);
	return rc;
}

static int
commit_deletion(struct kms_call *call)
{
	struct kms_service *s = call->service;
	int rc = kms_catalog_stream_delete(s->parts.catalog, call->stream.name);

	return rc == SLK_OK ? kms_iam_stream_changed(s->iam, call->stream.name) : rc;
}

void
kms_op_stream_changed(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__StreamChanged *in = request->stream_changed;
	struct kms_stream *stream = &call->stream;
	char name[KMS_STREAM_MAX];

	if (kms_call_parse_stream(call, in->stream, name, call->resource) != SLK_OK)
		return;
	int rc = kms_catalog_stream_get(call->service->parts.catalog, name, stream);
	if (rc == SLK_NOT_FOUND || (rc == SLK_OK && stream->id != in->stream_id)) {
		kms_call_missing_stream(call, name);
		return;
	}
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	if (stream->change != in->change) {
		kms_call_fail(call, SLK_INVALID_STATE, "ResourceInUseException",
			"Stream %s waits for change %llu, not %llu", name,
			(unsigned long long)stream->change, (unsigned long long)in->change);
		return;
	}
	if (stream->state == KMS_STREAM_UPDATING)
		rc = commit_change(call, in);
	else if (stream->state == KMS_STREAM_DELETING)
		rc = commit_deletion(call);
	else { /* it was said before */
		kms_call_end(call, SLK_OK);
		return;
	}
	if (rc == SLK_INVALID) {
		kms_call_fail(call, rc, "InvalidArgumentException",
			"a shard that the change of stream %s closes has no end, or one below its "
			"beginning",
			name);
		return;
	}
	call->service->stream_changes += rc == SLK_OK;
	kms_call_end(call, rc);
}

/* --- WatchStreams --- */

struct watch {
	uint64_t stream_changes, right_changes, delivery_changes;
	bool deliveries;
	uint64_t mono_until_ns;
};

static void
answer_watch(struct kms_call *call)
{
	struct kms_service *s = call->service;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Changes out = KMSP__CHANGES__INIT;

	out.stream_changes = s->stream_changes;
	out.right_changes = kms_service_right_changes(s);
	out.delivery_changes = s->delivery_changes;
	reply.result_case = KMSP__REPLY__RESULT_CHANGES;
	reply.changes = &out;
	kms_call_ok(call, &reply);
}

void
kms_op_watch_streams(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__WatchStreams *in = request->watch_streams;
	struct kms_service *s = call->service;
	struct watch *w = kms_call_work(call, sizeof(*w));

	if (w == NULL)
		return;
	uint32_t wait_ms = in->wait_ms < WAIT_MAX_MS ? in->wait_ms : WAIT_MAX_MS;
	uint64_t deadline = kms_call_hsm_deadline(call);
	*w = (struct watch){.stream_changes = in->stream_changes,
		.right_changes = in->right_changes,
		.delivery_changes = in->delivery_changes,
		.deliveries = in->deliveries,
		.mono_until_ns = slk_mono_ns(s->parts.clock) + wait_ms * SLK_NS_PER_MS};
	if (w->mono_until_ns > deadline)
		w->mono_until_ns = deadline;
	STAILQ_INSERT_TAIL(&s->watchers, call, entry);
}

static bool
has_moved(const struct kms_service *s, const struct watch *w, uint64_t rights)
{
	if (w->deliveries)
		return w->delivery_changes != s->delivery_changes;
	return w->stream_changes != s->stream_changes || w->right_changes != rights;
}

void
kms_watch_turn(struct kms_service *s, bool all)
{
	struct kms_calls waiting = STAILQ_HEAD_INITIALIZER(waiting);
	uint64_t rights = 0, now = 0;

	if (STAILQ_EMPTY(&s->watchers))
		return;
	rights = kms_service_right_changes(s);
	now = slk_mono_ns(s->parts.clock);
	STAILQ_CONCAT(&waiting, &s->watchers);
	while (!STAILQ_EMPTY(&waiting)) {
		struct kms_call *call = STAILQ_FIRST(&waiting);
		const struct watch *w = call->work;
		STAILQ_REMOVE_HEAD(&waiting, entry);
		if (all || has_moved(s, w, rights) || now >= w->mono_until_ns)
			answer_watch(call);
		else
			STAILQ_INSERT_TAIL(&s->watchers, call, entry);
	}
}

uint64_t
kms_watch_wake_ns(const struct kms_service *s)
{
	const struct kms_call *call;
	uint64_t wake = UINT64_MAX;

	STAILQ_FOREACH(call, &s->watchers, entry)
	{
		const struct watch *w = call->work;
		if (w->mono_until_ns < wake)
			wake = w->mono_until_ns;
	}
	return wake;
}
