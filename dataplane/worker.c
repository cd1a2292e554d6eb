#include "worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_prefetch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/framing.h"
#include "net/reply.h"
#include "port.h"
#include "renew.h"
#include "seal_path.h"

#define BURST 64u
#define RECORDS_MAX 32768u /* staged in all */
#define CTL_PER_TURN 16u
#define PUTS_PER_TURN 64u
#define REPLIES_PER_S 1000u
#define ANNOUNCE_GAP_NS SLK_NS_PER_S
/* Empty turns: with a pause up to SPIN_TURNS, then with naps; after about two seconds without anything, with longer sleeps. */
#define SPIN_TURNS 2000u
#define NAP_NS 50000
#define DEEP_TURNS 20000u
#define DEEP_NS 500000
#define HAND_RING 2048u /* datagrams on their way from one worker to another */
#define FINISH_NS (10 * SLK_NS_PER_S)

/* Wake a peer that may sleep. The only system calls of a busy loop: once per renewal, once per batch of puts. */
void
dp_wake(int fd)
{
	static const uint64_t one = 1;

	/* The counter cannot overflow, and a full pipe is impossible: an error leaves the peer to its timeout. */
	ssize_t n = write(fd, &one, sizeof(one));
	(void)n;
}

static void
count(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void
lose(struct dp_worker *w, enum dp_loss why, uint64_t records)
{
	count(&w->counters.losses[why], records);
}

/* --- frames --- */

/* One budget for all answers, so that nobody can keep the worker busy with questions. */
static bool
may_reply(struct dp_worker *w)
{
	uint64_t gained = (w->now_ns - w->reply_refill_ns) * REPLIES_PER_S / SLK_NS_PER_S;

	if (gained > 0) {
		w->reply_tokens += gained;
		w->reply_refill_ns = w->now_ns;
		if (w->reply_tokens > REPLIES_PER_S)
			w->reply_tokens = REPLIES_PER_S;
	}
	if (w->reply_tokens == 0)
		return false;
	w->reply_tokens--;
	return true;
}

static void
transmit(struct dp_port *port, struct rte_mbuf *m, size_t len)
{
	m->data_len = (uint16_t)len;
	m->pkt_len = (uint32_t)len;
	if (rte_eth_tx_burst(port->id, port->queue, &m, 1) != 1)
		rte_pktmbuf_free(m);
}

static void
answer(struct dp_worker *w, struct dp_port *port, const struct dp_packet *packet)
{
	size_t len = 0;

	if (!may_reply(w)) {
		count(&w->counters.replies_limited, 1);
		return;
	}
	struct rte_mbuf *m = rte_pktmbuf_alloc(port->pool);
	if (m == NULL)
		return;
	if (dp_reply_build(port->host, packet, rte_pktmbuf_mtod(m, uint8_t *),
		    rte_pktmbuf_tailroom(m), &len) != SLK_OK) {
		rte_pktmbuf_free(m);
		return;
	}
	transmit(port, m, len);
	count(&w->counters.replies, 1);
}

static void
announce(struct dp_worker *w)
{
	for (unsigned p = 0; p < w->port_count; p++) {
		for (unsigned what = 0; what < DP_ANNOUNCE_COUNT && w->ports[p]->queue == 0;
			what++) {
			struct dp_port *port = w->ports[p];
			size_t len = 0;
			struct rte_mbuf *m = rte_pktmbuf_alloc(port->pool);
			if (m == NULL)
				return;
			if (dp_reply_announce(port->host, (enum dp_announce)what,
				    rte_pktmbuf_mtod(m, uint8_t *), rte_pktmbuf_tailroom(m),
				    &len) == SLK_OK)
				transmit(port, m, len);
			else
				rte_pktmbuf_free(m);
		}
	}
	w->announced++;
	w->announce_ns = w->now_ns;
}

/* Why the listener takes nothing now, or DP_LOSS_COUNT. */
static enum dp_loss
refusal(const struct dp_worker *w, unsigned listener)
{
	const struct dp_listener *l = &w->listeners[listener];
	int allowed = atomic_load_explicit(&w->allowed[listener], memory_order_relaxed);

	if (allowed != SLK_OK)
		return dp_renew_unavailable(allowed)   ? DP_LOSS_KMS_UNAVAILABLE
			: allowed == SLK_NOT_FOUND     ? DP_LOSS_UNKNOWN_STREAM
			: allowed == SLK_INVALID_STATE ? DP_LOSS_OTHER_WORKER
						       : DP_LOSS_NOT_AUTHORISED;
	if (l->stream == NULL)
		return DP_LOSS_UNKNOWN_STREAM;
	return l->partition == NULL ? DP_LOSS_BAD_SHARD : DP_LOSS_COUNT;
}

/* Split a datagram and stage its records. Returns how many now refer to the buffer. */
static uint32_t
take_records(struct dp_worker *w, struct rte_mbuf *m, const struct dp_packet *packet)
{
	struct dp_listener *l = &w->listeners[packet->listener];
	struct dp_buffer_room *room = rte_mbuf_to_priv(m);
	enum dp_loss refused = refusal(w, packet->listener);
	bool full = w->staged_buffers >= w->staged_buffers_max;
	struct dp_framing_iter it;
	struct fmt_record record = {.arrival_ns = w->wall_ns, .source = FMT_SOURCE_LISTENER};
	enum dp_drop drop = DP_TAKEN;
	uint32_t kept = 0, shard = 0;

	dp_framing_begin(&it, l->framing, l->max_record_bytes, packet->payload);
	if (refused == DP_LOSS_COUNT)
		dp_partition_begin(l->partition, packet, room->sender);
	for (;;) {
		enum dp_framing_step step = dp_framing_next(&it, &record.data, &drop);
		if (step == DP_FRAMING_END)
			return kept;
		if (step == DP_FRAMING_DROP) {
			count(&w->counters.drops[drop], 1);
			continue;
		}
		if (refused != DP_LOSS_COUNT) {
			lose(w, refused, 1);
			continue;
		}
		if (dp_partition_record(l->partition, record.data, &shard, &record.key) != SLK_OK) {
			lose(w, DP_LOSS_SEAL_ERROR, 1);
			continue;
		}
		enum dp_loss lost = full
			? dp_seal_full_reason(l->stream)
			: dp_seal_stage(w, l->stream, shard, &record, m, DP_OWNER_BUFFER);
		if (lost == DP_LOSS_COUNT)
			kept++;
		else
			lose(w, lost, 1);
	}
}

static void
take_datagram(struct dp_worker *w, struct rte_mbuf *m, const struct dp_packet *packet)
{
	count(&w->counters.datagrams, 1);
	const struct dp_partition *p = w->listeners[packet->listener].partition;
	uint64_t before = p != NULL ? dp_partition_fallback_count(p) : 0;
	/* Held once for the loop, so that staging can hand out references before they are all known. */
	uint32_t kept = take_records(w, m, packet);
	if (p != NULL)
		count(&w->counters.field_fallbacks, dp_partition_fallback_count(p) - before);
	if (kept == 0) {
		rte_pktmbuf_free(m);
		return;
	}
	if (kept > 1)
		rte_mbuf_refcnt_update(m, (int16_t)(kept - 1));
	w->staged_buffers++;
}

/* To the worker that writes the listener's stream. */
static void
hand_over(struct dp_worker *w, struct dp_port *port, struct rte_mbuf *m, unsigned owner)
{
	m->port = port->id; /* not every driver says so */
	if (w->hand_in != NULL && owner < w->worker_count &&
		dp_spsc_push(&w->workers[owner]->hand_in[w->index], m)) {
		count(&w->counters.handed_over, 1);
		return;
	}
	lose(w, DP_LOSS_HAND_OVER, 1);
	rte_pktmbuf_free(m);
}

static void
take_frame(struct dp_worker *w, struct dp_port *port, struct rte_mbuf *m, bool was_handed)
{
	struct dp_packet packet;
	unsigned flags = port->parse_flags;

	if (m->nb_segs != 1) {
		lose(w, DP_LOSS_SEGMENTED, 1);
		rte_pktmbuf_free(m);
		return;
	}
	/* What the device does not vouch for is looked at again, so that it is counted by its reason. */
	if (port->checks_udp &&
		(m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD)
		flags |= DP_PARSE_UDP_CHECKED;
	enum dp_drop drop = dp_packet_parse(port->host,
		slk_span(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len), flags, &packet);
	if (drop != DP_TAKEN) {
		count(&w->counters.drops[drop], 1);
		rte_pktmbuf_free(m);
		return;
	}
	if (packet.kind == DP_PACKET_UDP4 || packet.kind == DP_PACKET_UDP6) {
		const struct dp_listener *l = &w->listeners[packet.listener];
		/* What was handed over and is not ours, either: the listener changed meanwhile. */
		if (l->owner == w->index || was_handed)
			take_datagram(w, m, &packet);
		else
			hand_over(w, port, m, l->owner);
		return;
	}
	answer(w, port, &packet);
	rte_pktmbuf_free(m);
}

/* Frames that would be lost because kmsd has not answered yet, or is away, can stay where they are. */
static bool
kms_awaited(const struct dp_worker *w)
{
	for (uint32_t i = 0; i < w->listener_count; i++) {
		const struct dp_listener *l = &w->listeners[i];
		int allowed = atomic_load_explicit(&w->allowed[i], memory_order_acquire);
		if (l->mine &&
			(dp_renew_unavailable(allowed) || (allowed == SLK_OK && l->stream == NULL)))
			return true;
	}
	return false;
}

static bool
must_wait(const struct dp_worker *w)
{
	return w->staged_buffers + BURST > w->staged_buffers_max || dp_seal_nearly_full(w) ||
		kms_awaited(w);
}

static unsigned
poll_port(struct dp_worker *w, struct dp_port *port)
{
	struct rte_mbuf *burst[BURST];
	uint64_t bytes = 0;

	if (port->wait_when_full && must_wait(w)) {
		count(&w->counters.waits, 1);
		return 0;
	}
	uint16_t n = rte_eth_rx_burst(port->id, port->queue, burst, BURST);
	for (uint16_t i = 0; i < n; i++) {
		if (i + 1u < n)
			rte_prefetch0(rte_pktmbuf_mtod(burst[i + 1], const void *));
		bytes += burst[i]->pkt_len;
		take_frame(w, port, burst[i], false);
	}
	if (n > 0) {
		count(&w->counters.frames, n);
		count(&w->counters.frame_bytes, bytes);
	}
	return n;
}

static struct dp_port *
port_of(const struct dp_worker *w, const struct rte_mbuf *m)
{
	for (unsigned p = 0; p < w->port_count; p++) {
		if (w->ports[p]->id == m->port)
			return w->ports[p];
	}
	return NULL;
}

/* Datagrams that came by other workers' queues. They were counted as frames there. */
static unsigned
take_handed(struct dp_worker *w)
{
	unsigned done = 0;

	for (unsigned from = 0; w->hand_in != NULL && from < w->worker_count; from++) {
		struct rte_mbuf *m;
		for (unsigned n = 0; n < BURST && (m = dp_spsc_pop(&w->hand_in[from])) != NULL;
			n++) {
			struct dp_port *port = port_of(w, m);
			done++;
			if (port != NULL)
				take_frame(w, port, m, true);
			else
				rte_pktmbuf_free(m);
		}
	}
	return done;
}

/* May nobody hand anything over any more? */
static bool
is_alone(const struct dp_worker *w)
{
	for (unsigned i = 0; w->hand_in != NULL && i < w->worker_count; i++) {
		if (atomic_load_explicit(&w->workers[i]->receives, memory_order_acquire) != 0)
			return false;
	}
	return true;
}

/* --- the loop --- */

static unsigned
receive(struct dp_worker *w)
{
	unsigned done = 0;

	for (unsigned p = 0; p < w->port_count; p++)
		done += poll_port(w, w->ports[p]);
	if (w->announced < 2 && w->now_ns - w->announce_ns >= ANNOUNCE_GAP_NS)
		announce(w);
	return done;
}

static void
read_clocks(struct dp_worker *w)
{
	w->now_ns = slk_mono_ns(w->clock);
	w->wall_ns = slk_wall_ns(w->clock);
}

static void
show_gauges(struct dp_worker *w)
{
	__atomic_store_n(&w->counters.staged_records, w->stage.count, __ATOMIC_RELAXED);
	__atomic_store_n(&w->counters.staged_buffers, w->staged_buffers, __ATOMIC_RELAXED);
}

unsigned
dp_worker_turn(struct dp_worker *worker)
{
	struct dp_worker *w = worker;
	unsigned done = 0;

	read_clocks(w);
	dp_seal_expire(w);
	done += dp_seal_control(w, CTL_PER_TURN);
	done += dp_seal_puts(w, PUTS_PER_TURN);
	if (atomic_load_explicit(&w->stop, memory_order_relaxed) == 0)
		done += receive(w);
	done += take_handed(w);
	done += dp_seal_flush(w, false);
	done += dp_seal_complete(w);
	show_gauges(w);
	return done;
}

/* Nothing arrived: poll on with a pause, then in short sleeps, then in longer ones. A frame that comes meanwhile waits in the
 * port's queue, and no longer than one sleep. */
static void
rest(struct dp_worker *w)
{
	if (w->empty_turns < UINT32_MAX)
		w->empty_turns++;
	if (w->idle == DP_IDLE_BUSY || w->empty_turns < SPIN_TURNS) {
		rte_pause();
		return;
	}
	const struct timespec pause = {0, w->empty_turns > DEEP_TURNS ? DEEP_NS : NAP_NS};
	(void)nanosleep(&pause, NULL); /* a signal that ends it early does no harm */
	count(&w->counters.sleeps, 1);
}

/* Seal and submit what was received, then wait for the disk: bounded, since a disk or a KMS may never answer. */
static int
finish(struct dp_worker *w)
{
	uint64_t deadline = slk_mono_ns(w->clock) + FINISH_NS;
	bool closed = false;

	for (;;) {
		read_clocks(w);
		dp_seal_expire(w);
		dp_seal_control(w, CTL_PER_TURN);
		unsigned puts = closed ? 0 : dp_seal_puts(w, PUTS_PER_TURN);
		bool alone = is_alone(w);
		puts += closed ? 0 : take_handed(w);
		bool late = w->now_ns >= deadline ||
			atomic_load_explicit(&w->stop, memory_order_relaxed) > 1;
		if (!closed) {
			dp_seal_flush(w, true);
			if (late)
				dp_seal_abandon(w, DP_LOSS_SHUTDOWN, SLK_UNAVAILABLE);
			if (puts == 0 && (alone || late) && w->stage.count == 0 &&
				jnl_lane_close(w->lane) != SLK_AGAIN)
				closed = true;
		}
		dp_seal_complete(w);
		show_gauges(w);
		struct jnl_lane_stats stats;
		jnl_lane_stats(w->lane, &stats);
		int status = jnl_lane_status(w->lane);
		if (status == SLK_DISK_FAILED)
			return status;
		if (closed && w->durable_head == NULL && w->done_head == NULL &&
			stats.durable_lsn >= stats.appended_lsn)
			return SLK_OK;
		if (w->now_ns >= deadline + FINISH_NS)
			return SLK_TIMEOUT;
		usleep(100);
	}
}

int
dp_worker_run(void *arg)
{
	struct dp_worker *w = arg;
	uint64_t before = rte_rdtsc();

	atomic_store(&w->receives, 1);
	while (atomic_load_explicit(&w->stop, memory_order_relaxed) == 0) {
		unsigned done = dp_worker_turn(w);
		if (done > 0)
			w->empty_turns = 0;
		else
			rest(w);
		uint64_t after = rte_rdtsc();
		count(done > 0 ? &w->counters.busy_cycles : &w->counters.idle_cycles,
			after - before);
		count(&w->counters.turns, 1);
		before = after;
	}
	atomic_store(&w->receives, 0);
	int rc = finish(w);
	dp_seal_abandon(w, DP_LOSS_SHUTDOWN, SLK_UNAVAILABLE);
	dp_seal_complete(w);
	dp_seal_end_all(w);
	atomic_store(&w->ended, 1);
	dp_wake(w->door_fd);
	return rc;
}

/* --- making one --- */

static int
init_rings(struct dp_worker *w)
{
	if (dp_spsc_init(&w->ctl_in, DP_CTL_RING) != SLK_OK ||
		dp_spsc_init(&w->ctl_out, DP_CTL_RING * 2) != SLK_OK ||
		dp_spsc_init(&w->put_in, DP_PUT_RING) != SLK_OK ||
		dp_spsc_init(&w->put_out, DP_PUT_RING) != SLK_OK)
		return SLK_NO_MEMORY;
	return SLK_OK;
}

/* Rings from the others, if a port has several workers. */
static int
init_hands(struct dp_worker *w, const struct dp_worker_config *config)
{
	bool shares = false;

	for (uint32_t i = 0; i < config->config->ports_count; i++)
		shares = shares || dp_port_queues(&config->config->ports[i]) > 1;
	if (!shares || config->workers == NULL)
		return SLK_OK;
	w->hand_in = calloc(config->worker_count, sizeof(*w->hand_in));
	if (w->hand_in == NULL)
		return SLK_NO_MEMORY;
	w->workers = config->workers;
	w->worker_count = config->worker_count;
	for (unsigned i = 0; i < w->worker_count; i++) {
		if (dp_spsc_init(&w->hand_in[i], HAND_RING) != SLK_OK)
			return SLK_NO_MEMORY;
	}
	return SLK_OK;
}

static void
fini_hands(struct dp_worker *w)
{
	for (unsigned i = 0; w->hand_in != NULL && i < w->worker_count; i++)
		dp_spsc_fini(&w->hand_in[i]);
	free(w->hand_in);
}

static void
init_listeners(struct dp_worker *w, const struct dp_config *config)
{
	w->listener_count = config->listeners_count;
	for (uint32_t i = 0; i < config->listeners_count; i++) {
		int owner = dp_config_listener_worker(config, &config->listeners[i]);
		w->listeners[i].owner = owner >= 0 ? (unsigned)owner : w->index;
		w->listeners[i].mine = owner == (int)w->index;
		w->listeners[i].framing = config->listeners[i].framing;
		w->listeners[i].max_record_bytes = config->listeners[i].max_record_bytes;
		atomic_init(&w->allowed[i], SLK_UNAVAILABLE);
	}
}

int
dp_worker_new(
	const struct dp_worker_config *config, struct dp_worker **out_worker, struct slk_error *err)
{
	struct dp_worker *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);

	if (w == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for worker %u", config->index);
	memset(w, 0, sizeof(*w));
	w->index = config->index;
	w->ports = config->ports;
	w->port_count = config->port_count;
	w->lane = config->lane;
	w->clock = config->clock;
	w->vmgen = config->vmgen;
	w->generation = dp_vmgen_number(w->vmgen);
	w->idle = config->config->eal.idle;
	w->block_bytes = config->config->journal.block_kb * 1024u;
	w->staged_buffers_max = config->config->eal.buffers / 2;
	w->control_fd = config->control_fd;
	w->door_fd = config->door_fd;
	slk_hist_init(&w->counters.seal_cycles);
	init_listeners(w, config->config);
	w->scratch = calloc(JNL_BLOCK_RECORDS_MAX, sizeof(*w->scratch));
	int rc = SLK_OK;
	if (w->scratch == NULL || init_rings(w) != SLK_OK || init_hands(w, config) != SLK_OK ||
		dp_stage_init(&w->stage, RECORDS_MAX, RECORDS_MAX / 4) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for worker %u", config->index);
	if (rc == SLK_OK)
		rc = config->cryptodev != NULL
			? seal_cryptodev_thread_new(config->cryptodev, &w->thread, err)
			: seal_thread_new(config->config->engine, &w->thread, err);
	if (rc != SLK_OK) {
		dp_worker_free(w);
		return rc;
	}
	*out_worker = w;
	return SLK_OK;
}

void
dp_worker_free(struct dp_worker *worker)
{
	if (worker == NULL)
		return;
	seal_thread_free(worker->thread);
	dp_stage_fini(&worker->stage);
	dp_spsc_fini(&worker->ctl_in);
	dp_spsc_fini(&worker->ctl_out);
	dp_spsc_fini(&worker->put_in);
	dp_spsc_fini(&worker->put_out);
	fini_hands(worker);
	free(worker->scratch);
	free(worker);
}
