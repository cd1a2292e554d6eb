/* One receiving port: a DPDK ethdev, made from its configuration, with a queue for each of its workers.
 *
 * dp_port_open() checks what would lose frames silently (queues, MTU, capabilities), detaches the XDP program of a killed
 * predecessor, starts the device and fills the host that net/packet.h parses for. Everything that needs privileges
 * happens here and in dp_port_close() (detaching: CAP_NET_ADMIN). Thread: main.
 */
#ifndef DP_PORT_H
#define DP_PORT_H

#include <rte_mempool.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"
#include "config.h"
#include "net/packet.h"

struct dp_port {
	const struct dp_port_config *config;
	struct dp_host *host;
	struct rte_mempool *pool;
	uint16_t id; /* of the ethdev */
	uint16_t queue; /* to receive and to send by */
	uint32_t
		steered; /* listeners whose frames the device brings to their worker's queue by itself */
	bool started;
	bool checks_udp; /* the device verifies UDP checksums and marks what is right */
	bool wait_when_full;
	unsigned parse_flags; /* enum dp_parse_flags */
	uint32_t mtu;
	int claim_fd; /* -1: none */
	char device[32];
};

/* "af_xdp". */
const char *dp_port_type_name(enum dp_port_type type);

/* index: 0..DP_PORTS_MAX - 1. SLK_NOT_FOUND, SLK_DENIED, SLK_CONFIG, SLK_EXISTS, SLK_SYSTEM with a sentence. On error
 * *out_port needs no closing. */
MUST_USE int dp_port_open(const struct dp_config *config, unsigned index, struct dp_port *out_port,
	struct slk_error *err);
void dp_port_close(struct dp_port *port);

/* What another of the port's workers uses: the same device and buffers, a queue and a host of its own. Closed by
 * dp_port_unshare() before the port. SLK_NO_MEMORY. */
MUST_USE int dp_port_share(const struct dp_port *port, uint16_t queue, struct dp_port *out_port,
	struct slk_error *err);
void dp_port_unshare(struct dp_port *port); /* zeroed is allowed */

/* True if a port of this configuration needs CAP_NET_ADMIN at stop. */
bool dp_port_needs_net_admin(const struct dp_port_config *config);

#endif
