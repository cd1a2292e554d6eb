/* Ports without a wire: memif and vhost, each with a peer at its other end, both opened as ingestd opens ports. Frames go through and
 * are parsed by the port's host; answers come back. Everything in one process, without hugepages. */
#include "port.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eal.h"
#include "frames.h"
#include "net/packet.h"
#include "slk_test.h"
#include "tempdir.h"

#define FRAMES 500u
#define BURST 32u
#define PATIENCE_MS 10000u

static char dir[256];
static struct dp_config *config;
static struct dp_eal eal;

static int
setup(void **state)
{
	char path[300];
	struct slk_error err = {0};

	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/ingestd.yaml", dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f,
		"eal: {memory_mb: 128, hugepages: off, buffers: 1024}\n"
		"ports:\n"
		"  - {name: m0, type: vdev, vdev: "
		"\"net_memif0,role=server,socket-abstract=no,socket=%s/memif.sock\","
		" ipv4: 10.77.0.2/24, mac: \"02:00:00:00:02:02\"}\n"
		"  - {name: m1, type: vdev, vdev: "
		"\"net_memif1,role=client,socket-abstract=no,socket=%s/memif.sock\","
		" ipv4: 10.77.0.1/24, mac: \"02:00:00:00:01:01\"}\n"
		"  - {name: v0, type: vdev, vdev: \"net_vhost0,iface=%s/vhost.sock\", ipv4: "
		"10.77.0.2/24,"
		" mac: \"02:00:00:00:02:02\"}\n"
		"  - {name: v1, type: vdev, vdev: "
		"\"net_virtio_user1,path=%s/vhost.sock,mac=02:00:00:00:01:01\","
		" ipv4: 10.77.0.1/24, mac: \"02:00:00:00:01:01\"}\n"
		"journal: {dir: %s}\n",
		dir, dir, dir, dir, dir);
	assert_int_equal(fclose(f), 0);
	if (dp_config_load(path, &config, &err) != SLK_OK)
		fail_msg("%s", err.text);
	if (dp_eal_start(config, &eal, &err) != SLK_OK)
		fail_msg("%s", err.text);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dp_eal_stop();
	dp_config_free(config);
	tempdir_remove(dir);
	return 0;
}

static bool
is_up(const struct dp_port *port)
{
	struct rte_eth_link link;

	return rte_eth_link_get_nowait(port->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

static void
wait_up(const struct dp_port *a, const struct dp_port *b)
{
	for (unsigned ms = 0; !is_up(a) || !is_up(b); ms++) {
		if (ms == PATIENCE_MS)
			fail_msg("the ports do not find each other");
		usleep(1000);
	}
}

/* DPDK's own thread takes down what the peer has left, link first: memif's cannot do so while the device is closed beside it. */
static void
wait_left(const struct dp_port *port)
{
	for (unsigned ms = 0; is_up(port); ms++) {
		if (ms == PATIENCE_MS)
			fail_msg("the port does not notice that its peer has left");
		usleep(1000);
	}
	usleep(100000);
}

static bool
send_frame(const struct dp_port *port, const uint8_t *frame, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(port->pool);

	if (m == NULL)
		return false;
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
	if (rte_eth_tx_burst(port->id, 0, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m);
	return false;
}

/* How many of the frames that come are what was sent; each is parsed as a worker would. */
static unsigned
receive(const struct dp_port *port, const uint8_t *frame, size_t len)
{
	struct rte_mbuf *burst[BURST];
	unsigned good = 0;
	uint16_t n = rte_eth_rx_burst(port->id, 0, burst, BURST);

	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *bytes = rte_pktmbuf_mtod(burst[i], const uint8_t *);
		struct dp_packet packet;
		if (burst[i]->data_len == len && memcmp(bytes, frame, len) == 0) {
			assert_int_equal(
				dp_packet_parse(port->host, slk_span(bytes, len), 0, &packet),
				DP_TAKEN);
			assert_int_equal(packet.kind, DP_PACKET_UDP4);
			good++;
		}
		rte_pktmbuf_free(burst[i]);
	}
	return good;
}

static void
frames_go_through(unsigned ours, unsigned peers)
{
	struct dp_port port, peer;
	struct slk_error err = {0};
	static uint8_t frame[FRAME_CAP], payload[1000];
	unsigned sent = 0, received = 0;

	if (dp_port_open(config, ours, &port, &err) != SLK_OK)
		fail_msg("%s", err.text);
	if (dp_port_open(config, peers, &peer, &err) != SLK_OK)
		fail_msg("%s", err.text);
	wait_up(&port, &peer);
	assert_ok(dp_host_listen(port.host, FRAME_OUR_PORT, 0));
	memset(payload, 'x', sizeof(payload));
	struct frame_spec spec = frame_udp4(payload, sizeof(payload));
	size_t len = frame_build(&spec, frame, sizeof(frame));
	for (unsigned tries = 0; received < FRAMES; tries++) {
		if (tries == PATIENCE_MS * 10)
			fail_msg("%u frames sent, %u received", sent, received);
		if (sent < FRAMES && sent - received < BURST)
			sent += send_frame(&peer, frame, len);
		else
			usleep(100);
		received += receive(&port, frame, len);
	}
	assert_int_equal(sent, FRAMES);
	assert_int_equal(received, FRAMES);
	dp_port_close(&peer);
	wait_left(&port);
	dp_port_close(&port);
}

static void
memif(void **state)
{
	(void)state;
	frames_go_through(0, 1);
}

static void
vhost(void **state)
{
	(void)state;
	frames_go_through(2, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(memif), cmocka_unit_test(vhost)};

	return cmocka_run_group_tests_name("dp_port_peer", tests, setup, teardown);
}
