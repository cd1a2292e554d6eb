#include "dataplane/rig.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eal.h"
#include "dataplane/copying.h"
#include "frames.h"
#include "journal/journal.h"
#include "port.h"
#include "seal_path.h"

#define BURST 64u
#define UDP_PORT 5514u
#define TURNS_MAX 100000000ull

/* --- frames --- */

/* "NNN " and then bytes, so that the field rule has a key of its own for each record; binary behind it. */
static void
fill_record(uint8_t *out, uint32_t len, uint64_t *seed, uint32_t number)
{
	char text[16];

	bench_fill(seed, out, len);
	snprintf(text, sizeof(text), "key-%011u",
		number % 1000); /* 15 characters, and the separator */
	memcpy(out, text, 15);
	out[15] = ' ';
}

static int
make_frames(struct rig *r)
{
	static uint8_t frame[FRAME_CAP], payload[9000];
	const struct rig_shape *s = &r->shape;
	uint64_t seed = 1;

	for (uint32_t i = 0; i < RIG_FRAMES; i++) {
		size_t len = 0;
		for (uint32_t n = 0; n < s->records; n++) {
			if (s->records > 1) {
				slk_put_be16(payload + len, (uint16_t)s->record_bytes);
				len += 2;
			}
			fill_record(payload + len, s->record_bytes, &seed, i * s->records + n);
			len += s->record_bytes;
		}
		struct frame_spec spec = frame_udp4(payload, len);
		spec.dest_port = UDP_PORT;
		r->frame_len = frame_build(&spec, frame, sizeof(frame));
		if (r->frames == NULL)
			r->frames = malloc(RIG_FRAMES * r->frame_len);
		if (r->frames == NULL)
			return SLK_NO_MEMORY;
		memcpy(r->frames + i * r->frame_len, frame, r->frame_len);
	}
	return SLK_OK;
}

static int
write_frames(const struct rig *r)
{
	FILE *f = frame_pcap_create(r->path);

	if (f == NULL)
		return SLK_SYSTEM;
	for (uint32_t i = 0; i < RIG_FRAMES; i++)
		frame_pcap_write(f, r->frames + i * r->frame_len, r->frame_len);
	frame_pcap_close(f);
	return SLK_OK;
}

/* --- the program's parts, from a configuration of its own format --- */

static int
load_config(struct rig *r, const char *dir, unsigned core, unsigned index, struct slk_error *err)
{
	char path[300], port[400];

	if (r->shape.paced)
		snprintf(port, sizeof(port), "type: vdev, vdev: net_ring%u", index);
	else
		snprintf(port, sizeof(port),
			"type: vdev, vdev: \"net_pcap%u,rx_pcap=%s,infinite_rx=1\"", index,
			r->path);
	snprintf(path, sizeof(path), "%s/%s.yaml", dir, r->shape.name);
	FILE *f = fopen(path, "we");
	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	fprintf(f,
		"eal: {cores: [%u], memory_mb: 256, hugepages: off, idle: busy, buffers: 4096}\n"
		"ports:\n  - {name: gen, %s, ipv4: 10.77.0.2/24, "
		"mac: \"02:00:00:00:02:02\", checksums: %s, mtu: 1500, when_full: wait}\n"
		"listeners:\n  - {udp_port: %u, stream: %s, framing: %s, partition: {%s}, "
		"principal: \"arn:aws:iam::000000000000:role/bench\"}\n"
		"journal: {dir: %s, file_mb: 1024, group_kb: %u}\n",
		core, port, r->shape.checksums, UDP_PORT, r->shape.name,
		r->shape.records > 1 ? "u16" : "datagram", r->shape.rule, dir, r->shape.group_kb);
	if (fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", path);
	return dp_config_load(path, &r->config, err);
}

/* DPDK puts its main thread onto all CPUs; the bench stays on its own. */
static int
start_dpdk(const struct rig *r, unsigned core, struct slk_error *err)
{
	static bool started;
	struct dp_eal eal;
	cpu_set_t set;

	if (started)
		return SLK_OK;
	int rc = dp_eal_start(r->config, &eal, err);
	if (rc != SLK_OK)
		return rc;
	started = true;
	CPU_ZERO(&set);
	CPU_SET(core, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0 ? SLK_OK
							    : slk_fail_errno(err, "cannot pin");
}

static int
open_journal(struct rig *r, const char *dir, unsigned core, struct slk_error *err)
{
	const struct jnl_config jc = {.dir = dir,
		.lane_count = 1,
		.file_bytes = r->config->journal.file_mb * (1ull << 20),
		.group_bytes = r->config->journal.group_kb * 1024u,
		.group_count = r->config->journal.group_count,
		.fs = nothing_fs(),
		.sim_io = nothing_io()};
	struct jnl_recovery report;
	cpu_set_t others;

	/* The journal's own threads (they hash) are not the worker's core's, as in the program; if there is another. */
	CPU_ZERO(&others);
	for (unsigned i = 0; i < (unsigned)sysconf(_SC_NPROCESSORS_ONLN); i++) {
		if (i != core)
			CPU_SET(i, &others);
	}
	(void)sched_setaffinity(0, sizeof(others), &others);
	int rc = jnl_open(&jc, &r->journal, &report, err);
	CPU_ZERO(&others);
	CPU_SET(core, &others);
	return sched_setaffinity(0, sizeof(others), &others) == 0 || rc != SLK_OK
		? rc
		: slk_fail_errno(err, "cannot pin");
}

static int
make_worker(struct rig *r, struct slk_error *err)
{
	r->ports[0] = &r->port;
	const struct dp_worker_config wc = {.index = 0,
		.ports = r->ports,
		.port_count = 1,
		.config = r->config,
		.lane = jnl_lane(r->journal, 0),
		.clock = slk_clock_system(),
		.control_fd = -1, /* nobody sleeps there: a wake-up fails, as the program allows */
		.door_fd = -1};
	int rc = dp_worker_new(&wc, &r->worker, err);

	if (rc == SLK_OK)
		atomic_store(&r->worker->allowed[0], SLK_OK);
	if (rc == SLK_OK && r->shape.copies) {
		struct seal_thread *thread = NULL;
		rc = copying_thread_new(&thread, err);
		if (rc == SLK_OK) {
			seal_thread_free(r->worker->thread);
			r->worker->thread = thread;
		}
	}
	return rc;
}

/* --- the stream and its key, as the control thread hands them over --- */

static int
make_partition(const struct rig *r, enum dp_partition_rule rule, struct dp_partition **out,
	struct slk_error *err)
{
	const struct dp_partition_config pc = {
		.rule = rule, .shard_count = r->shape.shards, .field = 1, .separator = ' '};

	return dp_partition_new(&pc, out, err);
}

static int
make_stream(struct rig *r, struct slk_error *err)
{
	struct dp_stream *s = aligned_alloc(64, (sizeof(*s) + 63) / 64 * 64);

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	memset(s, 0, sizeof(*s));
	r->stream = s;
	snprintf(s->name, sizeof(s->name), "%s", r->shape.name);
	snprintf(s->arn, sizeof(s->arn), "arn:aws:kinesis:local:000000000000:stream/%s", s->name);
	s->id = 1;
	struct dp_routes *to = &s->routes;
	to->shard_count = r->shape.shards;
	to->shards = calloc(to->shard_count, sizeof(*to->shards));
	to->feeds = calloc(1, sizeof(*to->feeds));
	if (to->shards == NULL || to->feeds == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	for (uint32_t i = 0; i < to->shard_count; i++)
		dp_shard_init(&to->shards[i], s, i);
	int rc = fmt_context_for_stream(s->arn, &s->context);
	if (rc == SLK_OK)
		rc = make_partition(
			r, r->config->listeners[0].partition.rule, &to->feeds[0].partition, err);
	to->feed_count = rc == SLK_OK;
	return rc;
}

int
rig_renew(struct rig *r, struct slk_error *err)
{
	static const uint8_t key[32] = {1}; /* it protects nothing */
	struct dp_ctl begin = {.op = DP_CTL_KEY, .stream = r->stream, .end_ns = UINT64_MAX};

	begin.key.blob_len = 256;
	snprintf(begin.key.key_arn, sizeof(begin.key.key_arn),
		"arn:aws:kms:local:000000000000:key/bench");
	int rc = slk_secret_from(key, sizeof(key), &begin.key.plaintext);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no memory for the key");
	bool pushed = dp_spsc_push(&r->worker->ctl_in, &begin);
	if (pushed)
		(void)dp_seal_control(r->worker, 1);
	while (dp_spsc_pop(&r->worker->ctl_out) != NULL) /* they are on our stack */
		;
	kmsc_data_key_fini(&begin.key);
	return pushed && begin.outcome == SLK_OK
		? SLK_OK
		: slk_fail(err, begin.outcome, "the worker took no key: %s",
			  slk_status_name(begin.outcome));
}

static int
hand_over(struct rig *r, struct slk_error *err)
{
	struct dp_ctl add = {.op = DP_CTL_ADD, .stream = r->stream};

	if (!dp_spsc_push(&r->worker->ctl_in, &add))
		return slk_fail(err, SLK_FULL, "the worker's ring is full");
	(void)dp_seal_control(r->worker, 1);
	return rig_renew(r, err);
}

/* The ring that the driver made for its one queue, both ways. */
static int
find_arrivals(struct rig *r, struct slk_error *err)
{
	char name[RTE_RING_NAMESIZE + sizeof(r->port.device)];

	snprintf(name, sizeof(name), "ETH_RXTX0_%s", r->port.device);
	r->arrivals = rte_ring_lookup(name);
	return r->arrivals != NULL ? SLK_OK
				   : slk_fail(err, SLK_NOT_FOUND, "DPDK has no ring %s", name);
}

int
rig_new(struct rig *r, const struct rig_shape *shape, const char *dir, unsigned core,
	unsigned index, struct slk_error *err)
{
	*r = (struct rig){.shape = *shape, .wanted = (uint64_t)RIG_DATAGRAMS * shape->records};
	snprintf(r->path, sizeof(r->path), "%s/%s.pcap", dir, shape->name);
	int rc = make_frames(r);

	if (rc == SLK_OK && !shape->paced)
		rc = write_frames(r);
	if (rc != SLK_OK)
		return slk_fail_errno(err, "cannot write %s", r->path);
	rc = load_config(r, dir, core, index, err);
	if (rc == SLK_OK)
		rc = start_dpdk(r, core, err);
	if (rc == SLK_OK) {
		rc = dp_port_open(r->config, 0, &r->port, err);
		if (rc == SLK_OK && shape->paced)
			rc = find_arrivals(r, err);
		if (rc == SLK_OK)
			rc = open_journal(r, dir, core, err);
	}
	if (rc == SLK_OK)
		rc = make_worker(r, err);
	if (rc == SLK_OK)
		rc = make_stream(r, err);
	if (rc == SLK_OK)
		rc = hand_over(r, err);
	return rc;
}

/* --- what is measured --- */

/* The lane's turns are part of it: writes and flushes that a disk would take a thread of its own for. */
void
rig_run(void *arg)
{
	struct rig *r = arg;
	struct dp_worker *w = r->worker;
	uint64_t until = w->counters.records + r->wanted;

	for (uint64_t turns = 0; w->counters.records < until && turns < TURNS_MAX; turns++)
		rig_turn(r);
}

void
rig_turn(struct rig *r)
{
	(void)dp_worker_turn(r->worker);
	(void)jnl_lane_turn(r->worker->lane);
}

unsigned
rig_arrive(struct rig *r, unsigned count)
{
	struct rte_mbuf *burst[BURST];

	count = count < BURST ? count : BURST;
	if (rte_pktmbuf_alloc_bulk(r->port.pool, burst, count) != 0)
		return 0;
	for (unsigned i = 0; i < count; i++) {
		const uint8_t *frame = r->frames + (r->arrived + i) % RIG_FRAMES * r->frame_len;
		memcpy(rte_pktmbuf_mtod(burst[i], void *), frame, r->frame_len);
		burst[i]->data_len = (uint16_t)r->frame_len;
		burst[i]->pkt_len = (uint32_t)r->frame_len;
	}
	unsigned n = rte_ring_enqueue_burst(r->arrivals, (void **)burst, count, NULL);
	if (n < count)
		rte_pktmbuf_free_bulk(burst + n, count - n);
	r->arrived += n;
	return n;
}

void
rig_run_port(void *arg)
{
	struct rig *r = arg;
	struct rte_mbuf *burst[BURST];

	for (uint64_t frames = 0; frames < RIG_DATAGRAMS;) {
		uint16_t n = rte_eth_rx_burst(r->port.id, 0, burst, BURST);
		rte_pktmbuf_free_bulk(burst, n);
		frames += n;
	}
}

bool
rig_is_whole(const struct rig *r)
{
	const struct dp_counters *c = &r->worker->counters;
	uint64_t lost = 0;

	for (unsigned i = 1; i < DP_DROP_COUNT; i++)
		lost += c->drops[i];
	for (unsigned i = 0; i < DP_LOSS_COUNT; i++)
		lost += c->losses[i];
	return lost == 0 && c->blocks > 0 && c->datagrams == c->frames &&
		c->records + r->worker->stage.count == c->frames * r->shape.records;
}

void
rig_free(struct rig *r)
{
	if (r->worker != NULL) {
		dp_seal_abandon(r->worker, DP_LOSS_SHUTDOWN, SLK_UNAVAILABLE);
		dp_seal_end_all(r->worker);
	}
	jnl_close(r->journal);
	dp_worker_free(r->worker);
	dp_stream_free(r->stream);
	dp_port_close(&r->port);
	dp_config_free(r->config);
	free(r->frames);
	*r = (struct rig){0};
}
