/* Producers, the network between, and the ports: net_ring devices whose other end is ours. */
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "sim.h"
#include "slk_test.h"

#define BUFFERS 1023u
#define ROOM 2048u
#define DELAY_NS (50 * SLK_NS_PER_MS)
#define HEADERS_BYTES 42u

static struct {
	struct rte_ring *rx, *tx;
	struct rte_mempool *pool;
	uint16_t id;
} devices[SIM_PORTS];

static const char *const port_names[SIM_PORTS] = {"p0", "p1"};

static void
setup_device(unsigned i)
{
	const struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	char name[32];

	snprintf(name, sizeof(name), "sim-rx%u", i);
	devices[i].rx = rte_ring_create(
		name, SIM_FRAMES_QUEUED, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	snprintf(name, sizeof(name), "sim-tx%u", i);
	devices[i].tx = rte_ring_create(
		name, SIM_FRAMES_QUEUED, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	assert_non_null(devices[i].rx);
	assert_non_null(devices[i].tx);
	snprintf(name, sizeof(name), "sim-buffers%u", i);
	devices[i].pool = rte_pktmbuf_pool_create(name, BUFFERS, 0,
		RTE_ALIGN_CEIL(sizeof(struct dp_buffer_room), 64), ROOM, SOCKET_ID_ANY);
	assert_non_null(devices[i].pool);
	snprintf(name, sizeof(name), "sim%u", i);
	int id = rte_eth_from_rings(name, &devices[i].rx, 1, &devices[i].tx, 1, 0);
	assert_true(id >= 0);
	devices[i].id = (uint16_t)id;
	assert_int_equal(rte_eth_dev_configure(devices[i].id, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(devices[i].id, 0, SIM_FRAMES_QUEUED, SOCKET_ID_ANY,
				 NULL, devices[i].pool),
		0);
	assert_int_equal(
		rte_eth_tx_queue_setup(devices[i].id, 0, SIM_FRAMES_QUEUED, SOCKET_ID_ANY, NULL),
		0);
	assert_int_equal(rte_eth_dev_start(devices[i].id), 0);
}

void
sim_net_setup(void)
{
	for (unsigned i = 0; i < SIM_PORTS; i++)
		setup_device(i);
}

void
sim_net_teardown(void)
{
	for (unsigned i = 0; i < SIM_PORTS; i++) {
		(void)rte_eth_dev_stop(devices[i].id);
		(void)rte_eth_dev_close(devices[i].id);
		rte_mempool_free(devices[i].pool);
		rte_ring_free(devices[i].rx);
		rte_ring_free(devices[i].tx);
	}
}

void
sim_net_open(struct sim *s)
{
	static const uint8_t mac[6] = FRAME_OUR_MAC;
	struct dp_host_config hc = {
		.mtu_bytes = 1500, .ip4 = FRAME_OUR_IP4 "/24", .ip6 = FRAME_OUR_IP6 "/64"};
	struct slk_error err;

	memcpy(hc.mac, mac, sizeof(mac));
	for (unsigned i = 0; i < s->workers; i++) {
		struct dp_host *host = calloc(1, sizeof(*host));
		SIM_CHECK(s, SIM_STUCK, host != NULL);
		SIM_MUST(s, dp_host_init(host, &hc, &err));
		for (uint32_t l = 0; l < SIM_LISTENERS; l++) {
			if (strcmp(s->listeners[l].port, port_names[i]) == 0)
				SIM_MUST(s,
					dp_host_listen(
						host, (uint16_t)s->listeners[l].udp_port, l));
		}
		s->ports[i] = (struct dp_port){.config = &s->port_configs[i],
			.host = host,
			.pool = devices[i].pool,
			.id = devices[i].id,
			.wait_when_full = s->port_configs[i].when_full == DP_WHEN_FULL_WAIT,
			.mtu = 1500,
			.claim_fd = -1};
		s->port_lists[i][0] = &s->ports[i];
		s->queued_head[i] = s->queued_tail[i] = s->units[i] = 0;
	}
}

static void
drain(struct rte_ring *ring)
{
	void *m = NULL;

	while (rte_ring_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
}

void
sim_net_close(struct sim *s)
{
	for (unsigned i = 0; i < SIM_PORTS; i++) {
		drain(devices[i].rx);
		drain(devices[i].tx);
		free(s->ports[i].host);
		s->ports[i].host = NULL;
	}
	for (unsigned i = 0; i < s->air_count; i++)
		rte_pktmbuf_free(s->air[i].m);
	s->air_count = 0;
}

/* --- producers --- */

static size_t
make_payload(struct sim *s, const struct dp_listener_config *l, struct sim_frame *f, uint8_t *out)
{
	unsigned stream = (unsigned)(l - s->listeners);
	uint32_t count =
		l->framing == DP_FRAMING_LINES ? 1 + (uint32_t)sim_below(s, s->heavy ? 1 : 4) : 1;
	size_t len = 0;

	for (uint32_t i = 0; i < count; i++) {
		f->ids[i] = sim_record_new(s, stream, false);
		len += sim_record_bytes(s, f->ids[i], out + len, 1400);
		if (l->framing == DP_FRAMING_LINES)
			out[len++] = '\n';
	}
	f->records = count;
	return len;
}

static void
launch(struct sim *s, const struct sim_frame *frame, const uint8_t *bytes, size_t len)
{
	struct sim_frame f = *frame;

	if (s->air_count == SIM_IN_AIR)
		return; /* lost on the way */
	f.m = rte_pktmbuf_alloc(devices[f.port].pool);
	if (f.m == NULL)
		return;
	memcpy(rte_pktmbuf_append(f.m, (uint16_t)len), bytes, len);
	f.at_ns = sim_time(s) + (sim_below(s, 4) == 0 ? sim_below(s, DELAY_NS) : 0);
	s->air[s->air_count++] = f;
}

/* One bit of the payload: the checksum shows it. */
static void
damage(struct sim *s, struct sim_frame *f, uint8_t *bytes, size_t len)
{
	uint64_t bit = sim_below(s, 8 * (len - HEADERS_BYTES));

	bytes[HEADERS_BYTES + bit / 8] ^= (uint8_t)(1u << bit % 8);
	f->records = 0;
}

/* A datagram for that listener; returns the frame's length. */
static size_t
make_frame(struct sim *s, unsigned listener, struct sim_frame *f, uint8_t bytes[FRAME_CAP])
{
	static uint8_t payload[6000];
	const struct dp_listener_config *l = &s->listeners[listener];

	*f = (struct sim_frame){.port = (unsigned)(l->port[1] - '0')};
	size_t len = make_payload(s, l, f, payload);
	struct frame_spec spec = frame_udp4(payload, len);
	spec.dest_port = (uint16_t)l->udp_port;
	s->frames++;
	return frame_build(&spec, bytes, FRAME_CAP);
}

void
sim_net_send_to(struct sim *s, unsigned listener)
{
	static uint8_t bytes[FRAME_CAP];
	struct sim_frame f;

	size_t len = make_frame(s, listener, &f, bytes);
	launch(s, &f, bytes, len);
}

void
sim_net_send(struct sim *s)
{
	static uint8_t bytes[FRAME_CAP];
	struct sim_frame f;

	size_t len = make_frame(s, (unsigned)sim_below(s, SIM_LISTENERS), &f, bytes);
	uint64_t fate = sim_below(s, 40);
	if (fate == 0)
		return; /* lost */
	if (fate == 1)
		launch(s, &f, bytes, len); /* twice */
	if (fate == 2)
		damage(s, &f, bytes, len);
	launch(s, &f, bytes, len);
}

/* --- the port --- */

static void
deliver(struct sim *s, const struct sim_frame *f)
{
	bool damaged = f->records == 0;

	if (!s->running || rte_ring_enqueue(devices[f->port].rx, f->m) != 0) {
		rte_pktmbuf_free(f->m); /* nobody there, or the queue is full */
		return;
	}
	s->queued_records[f->port][s->queued_head[f->port]++ % SIM_FRAMES_QUEUED] =
		damaged ? 1 : f->records;
	for (uint32_t i = 0; i < f->records; i++) {
		struct sim_record *r = &s->records[f->ids[i]];
		if (r->copies++ == 0)
			r->delivered_ns = sim_time(s);
	}
}

void
sim_net_step(struct sim *s)
{
	unsigned kept = 0, count = s->air_count;

	for (unsigned i = 0; i < count; i++) {
		if (s->air[i].at_ns > sim_time(s))
			s->air[kept++] = s->air[i];
		else
			deliver(s, &s->air[i]);
	}
	s->air_count = kept;
}

void
sim_net_taken(struct sim *s, unsigned port, uint64_t frames_total)
{
	while (s->queued_tail[port] < frames_total)
		s->units[port] +=
			s->queued_records[port][s->queued_tail[port]++ % SIM_FRAMES_QUEUED];
	drain(devices[port].tx);
}
