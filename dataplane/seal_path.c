#include "seal_path.h"

#include <assert.h>
#include <rte_mbuf.h>
#include <string.h>

#include "port.h"
#include "renew.h"

static unsigned flush_shard(struct dp_worker *w, struct dp_shard *shard, bool all);

#define ERROR_FRESH_NS (5 * SLK_NS_PER_S)
#define NEARLY_FULL_MARGIN 8192u /* records that one burst of frames may hold, as a rule */

static void
count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void
shared_add(_Atomic uint64_t *counter, uint64_t n)
{
	uint64_t v = atomic_load_explicit(counter, memory_order_relaxed);

	atomic_store_explicit(counter, v + n, memory_order_relaxed);
}

/* --- staging --- */

static bool
keyless(const struct dp_stream *stream)
{
	return stream->epoch == NULL;
}

/* The KMS's answer counts for a while only: whoever comes later asks again. */
static bool
error_is_fresh(const struct dp_worker *w, const struct dp_stream *stream)
{
	return stream->error != SLK_OK && w->now_ns < stream->error_until_ns;
}

/* Records that a permanent refusal of the KMS leaves without hope. */
static bool
hopeless(const struct dp_worker *w, const struct dp_stream *stream)
{
	return keyless(stream) && error_is_fresh(w, stream) && !dp_renew_unavailable(stream->error);
}

static void
want_key(struct dp_worker *w, struct dp_stream *stream)
{
	if (atomic_load_explicit(&stream->wanted, memory_order_relaxed) != 0)
		return;
	atomic_store_explicit(&stream->wanted, 1, memory_order_release);
	dp_wake(w->control_fd);
}

enum dp_loss
dp_seal_full_reason(struct dp_stream *stream)
{
	if (!keyless(stream))
		return DP_LOSS_BACKPRESSURE;
	return stream->error != SLK_OK ? dp_loss_from_status(stream->error) : DP_LOSS_NO_KEY;
}

enum dp_loss
dp_seal_stage(struct dp_worker *w, struct dp_stream *stream, uint32_t shard,
	const struct fmt_record *record, void *owner, enum dp_owner kind)
{
	if (keyless(stream))
		want_key(w, stream);
	if (hopeless(w, stream))
		return dp_loss_from_status(stream->error);
	int rc = dp_stage_add(
		&w->stage, &stream->routes.shards[shard], keyless(stream), record, owner, kind);
	if (rc == SLK_FULL && !keyless(stream))
		return DP_LOSS_BACKPRESSURE;
	if (rc != SLK_OK)
		return dp_seal_full_reason(stream);
	stream->staged++;
	return DP_LOSS_COUNT;
}

bool
dp_seal_nearly_full(const struct dp_worker *w)
{
	return w->stage.count + NEARLY_FULL_MARGIN > w->stage.capacity ||
		w->stage.keyless + NEARLY_FULL_MARGIN / 2 > w->stage.keyless_max;
}

static void
release_buffer(struct dp_worker *w, void *owner)
{
	struct rte_mbuf *m = owner;

	if (rte_mbuf_refcnt_read(m) == 1)
		w->staged_buffers--;
	rte_pktmbuf_free(m);
}

/* n records of the buffer at once: a reference more or less is an atomic operation. */
static void
release_records(struct dp_worker *w, struct rte_mbuf *m, uint32_t n)
{
	if (n > 1)
		(void)rte_mbuf_refcnt_update(m, (int16_t)(1 - (int32_t)n));
	if (n > 0)
		release_buffer(w, m);
}

static bool
pop(struct dp_worker *w, struct dp_shard *shard, struct dp_staged *out)
{
	if (!dp_stage_pop(&w->stage, shard, keyless(shard->stream), out))
		return false;
	shard->stream->staged--;
	return true;
}

static void
drop_first(struct dp_worker *w, struct dp_shard *shard, uint32_t n, enum dp_loss why, int status)
{
	struct dp_staged s;

	for (uint32_t i = 0; i < n && pop(w, shard, &s); i++) {
		count(&w->counters.losses[why], 1);
		if (s.kind == DP_OWNER_BUFFER)
			release_buffer(w, s.owner);
		else
			dp_seal_fail_put(w, s.owner, status);
	}
}

static void
drop_routes(struct dp_worker *w, const struct dp_routes *routes, enum dp_loss why, int status)
{
	for (uint32_t i = 0; i < routes->shard_count; i++)
		drop_first(w, &routes->shards[i], routes->shards[i].count, why, status);
}

static void
drop_stream(struct dp_worker *w, struct dp_stream *stream, enum dp_loss why, int status)
{
	if (stream->changing != NULL && stream->staged > 0)
		drop_routes(w, &stream->changing->routes, why, status);
	if (stream->staged > 0)
		drop_routes(w, &stream->routes, why, status);
}

static void fail_staged_puts(struct dp_worker *w, struct dp_shard *shard, int status);

static void
fail_puts_of(struct dp_worker *w, const struct dp_routes *routes, int status)
{
	for (uint32_t i = 0; i < routes->shard_count; i++)
		fail_staged_puts(w, &routes->shards[i], status);
}

/* Puts cannot wait for a KMS that is away: their clients get its error; records of listeners stay. */
static void
fail_staged_puts(struct dp_worker *w, struct dp_shard *shard, int status)
{
	uint32_t n = shard->count;
	struct dp_staged s;

	for (uint32_t i = 0; i < n && pop(w, shard, &s); i++) {
		if (s.kind == DP_OWNER_PUT) {
			count(&w->counters.losses[dp_loss_from_status(status)], 1);
			dp_seal_fail_put(w, s.owner, status);
			continue;
		}
		/* The slot just freed takes it again. */
		if (dp_stage_add(&w->stage, shard, keyless(shard->stream), &s.record, s.owner,
			    s.kind) != SLK_OK) {
			count(&w->counters.losses[DP_LOSS_SEAL_ERROR], 1);
			release_buffer(w, s.owner);
			continue;
		}
		shard->stream->staged++;
	}
}

/* --- epochs --- */

static void
end_epoch(struct dp_worker *w, struct dp_stream *stream)
{
	if (stream->epoch == NULL)
		return;
	jnl_lane_epoch_end(w->lane, stream->epoch);
	stream->epoch = NULL;
	stream->end_ns = 0;
	dp_stage_key_changed(&w->stage, stream->staged, true);
}

static void
ends_at(struct dp_worker *w, struct dp_stream *stream, uint64_t end_ns)
{
	stream->end_ns = end_ns;
	if (w->next_end_ns > end_ns)
		w->next_end_ns = end_ns;
}

/* The machine that this one was made of, or its other copies, have the same keys and go on with the same nonces. */
static void
end_generation(struct dp_worker *w, uint64_t generation)
{
	w->generation = generation;
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct dp_stream *stream = w->streams[i];
		if (stream == NULL || stream->epoch == NULL)
			continue;
		end_epoch(w, stream);
		atomic_store_explicit(&stream->key_gone, 1, memory_order_release);
		if (stream->staged > 0)
			want_key(w, stream);
		count(&w->counters.generation_ends, 1);
	}
}

void
dp_seal_expire(struct dp_worker *w)
{
	uint64_t generation = dp_vmgen_number(w->vmgen);

	if (generation != w->generation)
		end_generation(w, generation);
	if (w->now_ns < w->next_end_ns)
		return;
	w->next_end_ns = UINT64_MAX;
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		struct dp_stream *stream = w->streams[i];
		if (stream == NULL || stream->epoch == NULL)
			continue;
		if (w->now_ns >= stream->end_ns)
			end_epoch(w, stream);
		else
			ends_at(w, stream, stream->end_ns);
	}
}

/* A new epoch takes over between two blocks; the old key is wiped at once. */
static int
begin_epoch(struct dp_worker *w, struct dp_stream *stream, const struct dp_ctl *ctl)
{
	const struct jnl_epoch_params params = {.stream_id = stream->id,
		.stream_arn = stream->arn,
		.key_arn = ctl->key.key_arn,
		.context = stream->context,
		.wrapped = slk_span(ctl->key.blob, ctl->key.blob_len),
		.data_key = ctl->key.plaintext};
	struct seal_epoch *epoch = NULL;

	int rc = jnl_lane_epoch_begin(w->lane, w->thread, &params, &epoch);
	if (rc != SLK_OK)
		return rc;
	end_epoch(w, stream);
	stream->epoch = epoch;
	ends_at(w, stream, ctl->end_ns);
	stream->encrypted_kms = ctl->key.encrypted_kms;
	stream->error = SLK_OK;
	dp_stage_key_changed(&w->stage, stream->staged, false);
	atomic_store_explicit(&stream->wanted, 0, memory_order_relaxed);
	shared_add(&stream->keys, 1);
	return SLK_OK;
}

static void
take_error(struct dp_worker *w, struct dp_stream *stream, int status)
{
	stream->error = status;
	stream->error_until_ns = w->now_ns + ERROR_FRESH_NS;
	/* Whoever comes next asks again; the control thread spaces the attempts. */
	atomic_store_explicit(&stream->wanted, stream->staged > 0, memory_order_relaxed);
	if (!keyless(stream))
		return;
	if (hopeless(w, stream)) {
		drop_stream(w, stream, dp_loss_from_status(status), status);
		atomic_store_explicit(&stream->wanted, 0, memory_order_relaxed);
		return;
	}
	if (stream->changing != NULL)
		fail_puts_of(w, &stream->changing->routes, status);
	fail_puts_of(w, &stream->routes, status);
}

static void
attach_feeds(struct dp_worker *w, struct dp_stream *stream)
{
	for (uint32_t i = 0; i < stream->routes.feed_count; i++) {
		w->listeners[stream->routes.feeds[i].listener].stream = stream;
		w->listeners[stream->routes.feeds[i].listener].partition =
			stream->routes.feeds[i].partition;
	}
}

/* A listener's index may be another stream's by now. */
static void
detach_feeds(struct dp_worker *w, struct dp_stream *stream)
{
	for (uint32_t i = 0; i < stream->routes.feed_count; i++) {
		struct dp_listener *l = &w->listeners[stream->routes.feeds[i].listener];
		if (l->stream != stream)
			continue;
		l->stream = NULL;
		l->partition = NULL;
	}
}

static int
attach(struct dp_worker *w, struct dp_ctl *ctl)
{
	struct dp_stream *stream = ctl->stream;
	int rc = SLK_OK;

	for (uint32_t i = 0; i < stream->routes.shard_count && rc == SLK_OK; i++)
		rc = jnl_lane_raise_sequence(w->lane, stream->id, stream->routes.shards[i].number,
			stream->routes.shards[i].first_sequence);
	w->streams[stream->slot] = stream;
	attach_feeds(w, stream);
	if (ctl->change != NULL)
		dp_seal_change_begin(w, ctl);
	return rc;
}

/* Between two blocks: records that come from now on go to the new shards. */
static void
reshard(struct dp_worker *w, struct dp_ctl *ctl)
{
	detach_feeds(w, ctl->stream);
	dp_seal_change_begin(w, ctl);
	attach_feeds(w, ctl->stream);
}

/* The answer carries the old ones back, to be freed by who made them. */
static void
swap_feeds(struct dp_worker *w, struct dp_ctl *ctl)
{
	struct dp_stream *stream = ctl->stream;
	struct dp_feed *old = stream->routes.feeds;
	uint32_t old_count = stream->routes.feed_count;

	detach_feeds(w, stream);
	stream->routes.feeds = ctl->feeds;
	stream->routes.feed_count = ctl->feed_count;
	ctl->feeds = old;
	ctl->feed_count = old_count;
	attach_feeds(w, stream);
}

/* Its shards may still be in the list of active ones, which must not outlive them. */
static void
forget_active(struct dp_worker *w, const struct dp_stream *stream)
{
	struct dp_shard *keep_head = NULL, *keep_tail = NULL, *shard;

	while ((shard = dp_stage_next_active(&w->stage)) != NULL) {
		shard->active_next = NULL;
		if (shard->stream == stream)
			continue;
		if (keep_tail != NULL)
			keep_tail->active_next = shard;
		else
			keep_head = shard;
		keep_tail = shard;
	}
	for (shard = keep_head; shard != NULL; shard = keep_head) {
		keep_head = shard->active_next;
		dp_stage_activate(&w->stage, shard);
	}
}

static void
flush_routes(struct dp_worker *w, struct dp_stream *stream, const struct dp_routes *routes)
{
	for (uint32_t i = 0; i < routes->shard_count && stream->epoch != NULL && !w->blocked; i++)
		(void)flush_shard(w, &routes->shards[i], true);
}

static void
detach(struct dp_worker *w, struct dp_stream *stream)
{
	/* What came before goes into its last blocks, as far as there is a key and room. */
	w->blocked = false;
	if (stream->changing != NULL)
		flush_routes(w, stream, &stream->changing->routes);
	(void)dp_seal_changes(w);
	flush_routes(w, stream, &stream->routes);
	end_epoch(w, stream);
	drop_stream(w, stream, DP_LOSS_UNKNOWN_STREAM, SLK_NOT_FOUND);
	forget_active(w, stream);
	w->streams[stream->slot] = NULL;
	detach_feeds(w, stream);
	if (stream->changing != NULL)
		stream->changing->given_up = true;
}

static void
close_listener(struct dp_worker *w, const struct dp_ctl_listener *in)
{
	for (unsigned p = 0; p < w->port_count; p++) {
		if ((in->ports >> p & 1) != 0)
			dp_host_close(w->ports[p]->host, in->udp_port);
	}
	w->listeners[in->index] = (struct dp_listener){0};
}

static int
open_listener(struct dp_worker *w, const struct dp_ctl_listener *in)
{
	w->listeners[in->index] = (struct dp_listener){.mine = in->owner == w->index,
		.owner = in->owner,
		.framing = in->framing,
		.max_record_bytes = in->max_record_bytes};
	if (w->listener_count <= in->index)
		w->listener_count = in->index + 1;
	for (unsigned p = 0; p < w->port_count; p++) {
		if ((in->ports >> p & 1) == 0)
			continue;
		int rc = dp_host_listen(w->ports[p]->host, in->udp_port, in->index);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
handle(struct dp_worker *w, struct dp_ctl *ctl)
{
	switch (ctl->op) {
	case DP_CTL_ADD:
		return attach(w, ctl);
	case DP_CTL_RESHARD:
		reshard(w, ctl);
		return SLK_OK;
	case DP_CTL_REMOVE:
		detach(w, ctl->stream);
		return SLK_OK;
	case DP_CTL_FEEDS:
		swap_feeds(w, ctl);
		return SLK_OK;
	case DP_CTL_OPEN:
		return open_listener(w, &ctl->listener);
	case DP_CTL_CLOSE:
		close_listener(w, &ctl->listener);
		return SLK_OK;
	case DP_CTL_KEY:
		if (ctl->generation != dp_vmgen_number(w->vmgen)) {
			count(&w->counters.generation_ends, 1);
			return SLK_INVALID_STATE;
		}
		return begin_epoch(w, ctl->stream, ctl);
	case DP_CTL_END:
		ends_at(w, ctl->stream, ctl->end_ns);
		return SLK_OK;
	case DP_CTL_ERROR:
		take_error(w, ctl->stream, ctl->status);
		return SLK_OK;
	}
	return SLK_INTERNAL;
}

unsigned
dp_seal_control(struct dp_worker *w, unsigned max)
{
	unsigned n = 0;

	while (n < max && dp_spsc_has_room(&w->ctl_out)) {
		struct dp_ctl *ctl = dp_spsc_pop(&w->ctl_in);
		if (ctl == NULL)
			break;
		ctl->outcome = handle(w, ctl);
		n++;
		if (ctl->op == DP_CTL_REMOVE || ctl->change != NULL) {
			dp_seal_wait(w, ctl);
			continue;
		}
		if (!dp_spsc_push(&w->ctl_out, ctl))
			break; /* cannot happen: there was room and nobody else pushes */
	}
	if (n > 0)
		dp_wake(w->control_fd);
	return n;
}

/* --- blocks --- */

/* Up to max puts from the door become records. */
unsigned
dp_seal_puts(struct dp_worker *w, unsigned max)
{
	unsigned n = 0;

	for (; n < max; n++) {
		struct dp_put *put = dp_spsc_pop(&w->put_in);
		if (put == NULL)
			break;
		struct dp_stream *stream = w->streams[put->slot];
		struct fmt_record record = {.key = slk_span(put->bytes, put->key_len),
			.data = slk_span(put->bytes + put->key_len, put->data_len),
			.arrival_ns = w->wall_ns,
			.source = FMT_SOURCE_PUT};
		count(&w->counters.puts, 1);
		if (stream == NULL || stream->id != put->stream_id) {
			dp_seal_fail_put(w, put, SLK_NOT_FOUND);
			continue;
		}
		put->arrival_ns = w->wall_ns;
		uint32_t at = dp_hash_key_find(dp_hash_key_from_md5(put->hash),
			stream->routes.starts, stream->routes.shard_count);
		/* While the KMS is away and no key is left, the answer is known. */
		if (keyless(stream) && error_is_fresh(w, stream)) {
			want_key(w, stream);
			dp_seal_fail_put(w, put, stream->error);
			continue;
		}
		enum dp_loss lost = dp_seal_stage(w, stream, at, &record, put, DP_OWNER_PUT);
		if (lost != DP_LOSS_COUNT)
			dp_seal_fail_put(w, put,
				lost == DP_LOSS_BACKPRESSURE || lost == DP_LOSS_NO_KEY
					? SLK_THROTTLED
					: SLK_UNAVAILABLE);
	}
	return n;
}

/* Take the first n records out: buffers are given back, puts wait for the flush. Returns their bytes. */
static uint64_t
take_out(struct dp_worker *w, struct dp_shard *shard, uint32_t n, const struct jnl_append *a)
{
	struct rte_mbuf *held = NULL; /* the buffer of the last `refs` records */
	uint32_t refs = 0, last = DP_STAGE_NONE, next = shard->head;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct dp_staged *s = dp_stage_at(&w->stage, next);
		last = next;
		next = s->next;
		bytes += s->record.key.len + s->record.data.len;
		if (s->kind == DP_OWNER_PUT) {
			dp_seal_await_flush(w, shard, s->owner, a->first_sequence + i, a->lsn);
			continue;
		}
		if (s->owner != held) {
			release_records(w, held, refs);
			held = s->owner;
			refs = 0;
		}
		refs++;
	}
	release_records(w, held, refs);
	dp_stage_cut(&w->stage, shard, keyless(shard->stream), n, last,
		bytes + (uint64_t)n * FMT_RECORD_ENTRY_BYTES);
	shard->stream->staged -= n;
	return bytes;
}

/* The first n records of the shard were appended as one block. */
static void
appended(struct dp_worker *w, struct dp_shard *shard, uint32_t n, const struct jnl_append *a)
{
	struct dp_stream *stream = shard->stream;

	assert(n > 0 && n <= shard->count);
	const uint64_t bytes = take_out(w, shard, n, a);
	slk_hist_add(&w->counters.seal_cycles, a->seal_cycles / n, n);
	count(&w->counters.blocks, 1);
	count(&w->counters.records, n);
	count(&w->counters.record_bytes, bytes);
	shared_add(&stream->records, n);
	shared_add(&stream->bytes, bytes);
	atomic_store_explicit(&stream->last_seal_ns, w->now_ns, memory_order_relaxed);
	w->appended_lsn = a->lsn;
	w->unsubmitted = true;
}

/* One block of the shard. SLK_OK; SLK_AGAIN: the lane has no buffer; other: the records were dropped or must wait. */
static int
seal_block(struct dp_worker *w, struct dp_shard *shard)
{
	struct dp_stream *stream = shard->stream;
	struct jnl_append a;

	uint32_t n =
		dp_stage_peek(&w->stage, shard, w->scratch, JNL_BLOCK_RECORDS_MAX, w->block_bytes);
	int rc = jnl_lane_append(
		w->lane, w->thread, stream->epoch, shard->number, w->scratch, n, &a);
	switch (rc) {
	case SLK_OK:
		appended(w, shard, n, &a);
		break;
	case SLK_AGAIN:
	case SLK_FULL:
		w->blocked = true;
		rc = SLK_AGAIN;
		break;
	case SLK_KEY_EXHAUSTED:
		end_epoch(w, stream);
		atomic_store_explicit(&stream->key_gone, 1, memory_order_release);
		want_key(w, stream);
		break;
	case SLK_DISK_FULL:
	case SLK_DISK_FAILED:
		drop_first(w, shard, n, dp_loss_from_status(rc), rc);
		break;
	case SLK_TOO_LARGE:
		drop_first(w, shard, n, DP_LOSS_TOO_LARGE, rc);
		break;
	default:
		drop_first(w, shard, n, DP_LOSS_SEAL_ERROR, rc);
		break;
	}
	return rc;
}

static bool
block_is_full(const struct dp_worker *w, const struct dp_shard *shard)
{
	return shard->bytes >= w->block_bytes || shard->count >= JNL_BLOCK_RECORDS_MAX;
}

/* The stream's key ends, hard, at its time, whatever waits. */
static bool
has_key(struct dp_worker *w, struct dp_stream *stream)
{
	if (stream->epoch != NULL && w->now_ns >= stream->end_ns)
		end_epoch(w, stream);
	if (stream->epoch != NULL)
		return true;
	if (hopeless(w, stream)) {
		drop_stream(w, stream, dp_loss_from_status(stream->error), stream->error);
		return false;
	}
	want_key(w, stream);
	return false;
}

static unsigned
flush_shard(struct dp_worker *w, struct dp_shard *shard, bool all)
{
	unsigned blocks = 0;

	while (shard->count > 0 && !shard->held && (all || block_is_full(w, shard))) {
		if (!has_key(w, shard->stream))
			break;
		int rc = seal_block(w, shard);
		if (rc == SLK_AGAIN)
			break;
		blocks += rc == SLK_OK;
	}
	return blocks;
}

static void
submit(struct dp_worker *w)
{
	if (w->unsubmitted && jnl_lane_submit(w->lane) == SLK_OK)
		w->unsubmitted = false;
}

/* Visits every shard that is active now once; those that still hold records go back in line. */
static unsigned
flush_active(struct dp_worker *w, bool all)
{
	struct dp_shard *last = w->stage.active_tail;
	unsigned blocks = 0;

	while (last != NULL && !w->blocked) {
		struct dp_shard *shard = dp_stage_next_active(&w->stage);
		blocks += flush_shard(w, shard, all);
		if (shard->count > 0)
			dp_stage_activate(&w->stage, shard);
		if (shard == last)
			break;
	}
	return blocks;
}

/* Nothing of ours is under way: what waits goes out at once, however little it is. */
static bool
disk_idle(const struct dp_worker *w)
{
	return !w->unsubmitted && jnl_lane_durable(w->lane) >= w->appended_lsn;
}

unsigned
dp_seal_flush(struct dp_worker *w, bool all)
{
	w->blocked = false;
	bool ready = all || disk_idle(w) || jnl_lane_ready(w->lane);
	unsigned blocks = flush_active(w, ready);
	/* Full blocks alone may have made the group worth a write. */
	if (ready || w->blocked || (w->unsubmitted && jnl_lane_ready(w->lane)))
		submit(w);
	return blocks;
}

void
dp_seal_abandon(struct dp_worker *w, enum dp_loss why, int status)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX && w->stage.count > 0; i++) {
		if (w->streams[i] != NULL)
			drop_stream(w, w->streams[i], why, status);
	}
}

void
dp_seal_end_all(struct dp_worker *w)
{
	for (unsigned i = 0; i < DP_STREAMS_MAX; i++) {
		if (w->streams[i] != NULL)
			end_epoch(w, w->streams[i]);
	}
}
