#include "port.h"

#include <linux/capability.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "eal.h"
#include "iface.h"
#include "net/reply.h"
#include "pci.h"
#include "priv.h"
#include "worker.h"

/* One AF_XDP frame is one page: mempool header, mbuf, private area, headroom and data. */
#define ROOM_DEFAULT 3776u
#define XDP_MTU_MAX 3400u
#define AF_PACKET_FRAMES 4096u
#define AF_PACKET_OVERHEAD 66u /* of a ring frame, in front of the data */
#define LINK_BYTES (DP_ETHER_BYTES + DP_VLAN_TAG_BYTES)
#define RX_DESCRIPTORS 2048u
#define TX_DESCRIPTORS 512u
#define POOL_CACHE 256u
#define BIT(cap) (1ull << (cap))

static const struct {
	const char *name;
	uint64_t caps;
} types[] = {
	[DP_PORT_AF_XDP] = {"af_xdp",
		BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_ADMIN) | BIT(CAP_IPC_LOCK)},
	[DP_PORT_AF_PACKET] = {"af_packet",
		BIT(CAP_NET_RAW) | BIT(CAP_NET_ADMIN) | BIT(CAP_IPC_LOCK)},
	[DP_PORT_PCI] = {"pci", 0},
	[DP_PORT_PCAP] = {"pcap", 0},
	[DP_PORT_RING] = {"ring", 0},
	[DP_PORT_VDEV] = {"vdev", 0},
};

const char *
dp_port_type_name(enum dp_port_type type)
{
	return types[type].name;
}

bool
dp_port_needs_net_admin(const struct dp_port_config *config)
{
	return config->type == DP_PORT_AF_XDP;
}

static uint64_t
needed_caps(const struct dp_port_config *c)
{
	if (c->type == DP_PORT_PCAP && c->interface != NULL)
		return BIT(CAP_NET_RAW);
	return types[c->type].caps;
}

/* --- what the kernel's interface must look like --- */

static int
check_interface(const struct dp_port_config *c, const struct dp_iface *iface, struct slk_error *err)
{
	if (!iface->up)
		return slk_fail(err, SLK_INVALID_STATE,
			"interface %s is down; run: ip link set %s up", c->interface, c->interface);
	uint32_t queues = dp_port_queues(c);
	if (c->type == DP_PORT_AF_XDP && iface->rx_queues != queues)
		return slk_fail(err, SLK_CONFIG,
			"interface %s has %u receive queues, but %u are read (one for each worker "
			"of the port), and frames on the others would be lost; run: ethtool -L %s "
			"rx %u "
			"(or combined %u), or create a veth with numrxqueues %u numtxqueues %u at "
			"both "
			"ends",
			c->interface, iface->rx_queues, queues, c->interface, queues, queues,
			queues, queues);
	if (c->type == DP_PORT_AF_XDP && iface->mtu > XDP_MTU_MAX)
		return slk_fail(err, SLK_CONFIG,
			"interface %s has MTU %u, but af_xdp takes at most %u; run: ip link set %s "
			"mtu %u "
			"(both ends of a veth)",
			c->interface, iface->mtu, XDP_MTU_MAX, c->interface, XDP_MTU_MAX);
	if (c->mtu != 0 && c->mtu > iface->mtu)
		return slk_fail(err, SLK_CONFIG, "port %s: mtu %u is above the MTU of %s (%u)",
			c->name, c->mtu, c->interface, iface->mtu);
	return SLK_OK;
}

static int
prepare_interface(struct dp_port *port, struct dp_iface *iface, struct slk_error *err)
{
	const struct dp_port_config *c = port->config;

	int rc = dp_iface_get(c->interface, iface, err);
	if (rc == SLK_OK)
		rc = check_interface(c, iface, err);
	if (rc == SLK_OK)
		rc = dp_iface_claim(c->interface, &port->claim_fd, err);
	if (rc != SLK_OK || c->type != DP_PORT_AF_XDP || !iface->xdp_attached)
		return rc;
	/* No living ingestd has it (the claim), so it was left behind. */
	rc = dp_iface_detach_xdp(c->interface, err);
	if (rc == SLK_OK)
		slk_warn("detached a stale XDP program", slk_kv("interface", c->interface));
	return rc;
}

/* --- device arguments --- */

/* The ring frame that holds a packet of this MTU, and the mbuf room above it. */
static uint32_t
af_packet_frame(uint32_t mtu)
{
	uint32_t frame = 2048;

	while (frame - AF_PACKET_OVERHEAD < mtu + LINK_BYTES)
		frame *= 2;
	return frame;
}

static uint32_t
buffer_room(const struct dp_port *port)
{
	if (port->config->type == DP_PORT_AF_PACKET)
		return af_packet_frame(port->mtu) + RTE_PKTMBUF_HEADROOM;
	uint32_t needed = port->mtu + LINK_BYTES + RTE_PKTMBUF_HEADROOM;
	return needed > ROOM_DEFAULT ? RTE_ALIGN_CEIL(needed, 64u) : ROOM_DEFAULT;
}

static int
device_args(const struct dp_port *port, unsigned index, char *name, size_t name_cap, char *args,
	size_t cap, struct slk_error *err)
{
	const struct dp_port_config *c = port->config;
	int n = 0;

	switch (c->type) {
	case DP_PORT_AF_XDP:
		snprintf(name, name_cap, "net_af_xdp%u", index);
		n = snprintf(args, cap, "iface=%s,start_queue=0,queue_count=%u,busy_budget=0",
			c->interface, dp_port_queues(c));
		break;
	case DP_PORT_AF_PACKET: {
		uint32_t frame = af_packet_frame(port->mtu);
		snprintf(name, name_cap, "net_af_packet%u", index);
		n = snprintf(args, cap, "iface=%s,framesz=%u,framecnt=%u,blocksz=%u,qpairs=%u",
			c->interface, frame, AF_PACKET_FRAMES, frame < 65536u ? 65536u : frame,
			dp_port_queues(c));
		break;
	}
	case DP_PORT_PCI: /* it was there when DPDK started */
		if (!dp_pci_address(c->device, name))
			return slk_fail(err, SLK_CONFIG, "port %s: '%s' is no PCI address", c->name,
				c->device);
		args[0] = '\0';
		break;
	case DP_PORT_PCAP:
		snprintf(name, name_cap, "net_pcap%u", index);
		n = c->interface != NULL ? snprintf(args, cap, "iface=%s", c->interface)
					 : snprintf(args, cap, "rx_pcap=%s%s", c->rx_file,
						   c->loop ? ",infinite_rx=1" : "");
		break;
	case DP_PORT_RING:
		snprintf(name, name_cap, "net_ring%u", index);
		args[0] = '\0';
		break;
	case DP_PORT_VDEV: {
		size_t len = strcspn(c->vdev, ",");
		if (len == 0 || len >= name_cap)
			return slk_fail(err, SLK_CONFIG, "port %s: vdev '%s' has no device name",
				c->name, c->vdev);
		snprintf(name, name_cap, "%.*s", (int)len, c->vdev);
		n = snprintf(args, cap, "%s", c->vdev[len] == ',' ? c->vdev + len + 1 : "");
		break;
	}
	}
	if (n < 0 || (size_t)n >= cap)
		return slk_fail(
			err, SLK_CONFIG, "port %s: the device's arguments are too long", c->name);
	return SLK_OK;
}

static int
fail_device(const struct dp_port *port, const char *what, int code, struct slk_error *err)
{
	const char *words = dp_eal_last_words();
	/* DPDK makes the group's number of the process id and the interface's index, so that two programs may meet. */
	const char *hint = strstr(words, "PACKET_FANOUT") != NULL
		? "; a program beside has the same fanout group by chance, or the interface is "
		  "down: "
		  "start again"
		: "";

	/* Many drivers return -1 for whatever happened; it is no errno. */
	return slk_fail(err, SLK_SYSTEM, "port %s (%s): %s failed (%s): %s%s", port->config->name,
		dp_port_type_name(port->config->type), what,
		code == -1 ? "no code" : rte_strerror(code < 0 ? -code : code), words, hint);
}

static int
check_rx_file(const struct dp_port_config *c, struct slk_error *err)
{
	if (c->rx_file != NULL && access(c->rx_file, R_OK) != 0)
		return slk_fail_errno(err, "port %s: cannot read rx_file %s", c->name, c->rx_file);
	return SLK_OK;
}

static int
attach_device(struct dp_port *port, unsigned index, struct slk_error *err)
{
	char args[640];

	int rc = device_args(
		port, index, port->device, sizeof(port->device), args, sizeof(args), err);
	if (rc == SLK_OK)
		rc = check_rx_file(port->config, err);
	if (rc != SLK_OK)
		return rc;
	if (port->config->type != DP_PORT_PCI)
		rc = rte_eal_hotplug_add("vdev", port->device, args);
	if (rc < 0)
		return fail_device(port, "making the device", rc, err);
	rc = rte_eth_dev_get_port_by_name(port->device, &port->id);
	return rc < 0 ? fail_device(port, "finding the device", rc, err) : SLK_OK;
}

/* The memory beside the NIC; any for what has no place. */
static int
socket_of(const struct dp_port *port)
{
	int socket = rte_eth_dev_socket_id(port->id);

	return socket >= 0 ? socket : SOCKET_ID_ANY;
}

static int
make_pool(struct dp_port *port, const struct dp_eal_config *eal, struct slk_error *err)
{
	uint32_t buffers = eal->buffers * dp_port_queues(port->config);
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "buffers-%u", port->id);
	port->pool = rte_pktmbuf_pool_create(name, buffers, POOL_CACHE,
		RTE_ALIGN_CEIL(sizeof(struct dp_buffer_room), 64), (uint16_t)buffer_room(port),
		socket_of(port));
	if (port->pool != NULL)
		return SLK_OK;
	return slk_fail(err, SLK_NO_MEMORY,
		"port %s: no memory for %u buffers of %u bytes (%s); %s or lower eal.buffers",
		port->config->name, buffers, buffer_room(port), rte_strerror(rte_errno),
		rte_eal_has_hugepages() ? "reserve more hugepages" : "raise eal.memory_mb");
}

/* Several queues: the device spreads flows over them as well as it can. A NIC looks at checksums where it can. */
static struct rte_eth_conf
device_conf(const struct dp_port *port, const struct rte_eth_dev_info *info, uint16_t queues)
{
	struct rte_eth_conf conf = {.rxmode = {.mq_mode = RTE_ETH_MQ_RX_NONE}};
	uint64_t kinds = info->flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);

	if (port->config->type == DP_PORT_PCI) {
		conf.rxmode.mtu = port->mtu;
		conf.rxmode.offloads = info->rx_offload_capa &
			(RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
	}

	if (queues > 1 && kinds != 0) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf = kinds;
	}
	return conf;
}

static int
configure_device(struct dp_port *port, uint16_t queues, struct slk_error *err)
{
	uint16_t rx = RX_DESCRIPTORS, tx = TX_DESCRIPTORS;
	struct rte_eth_dev_info info;

	int rc = rte_eth_dev_info_get(port->id, &info);
	if (rc == 0 && (info.max_rx_queues < queues || info.max_tx_queues < queues))
		return slk_fail(err, SLK_CONFIG,
			"port %s has %u workers, but its device has %u receive and %u transmit "
			"queues",
			port->config->name, queues, info.max_rx_queues, info.max_tx_queues);
	if (rc == 0 && port->config->type == DP_PORT_PCI && info.max_mtu < port->mtu)
		return slk_fail(err, SLK_CONFIG,
			"port %s: mtu is %u, but its device takes %u at most", port->config->name,
			port->mtu, info.max_mtu);
	if (rc == 0) {
		const struct rte_eth_conf conf = device_conf(port, &info, queues);
		port->checks_udp = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0;
		rc = rte_eth_dev_configure(port->id, queues, queues, &conf);
	}
	if (rc == 0)
		rc = rte_eth_dev_adjust_nb_rx_tx_desc(port->id, &rx, &tx);
	if (rc != 0)
		return fail_device(port, "configuring", rc, err);
	for (uint16_t q = 0; q < queues; q++) {
		rc = rte_eth_rx_queue_setup(
			port->id, q, rx, (unsigned)socket_of(port), NULL, port->pool);
		if (rc != 0)
			return fail_device(port, "setting up a receive queue", rc, err);
		rc = rte_eth_tx_queue_setup(port->id, q, tx, (unsigned)socket_of(port), NULL);
		if (rc != 0)
			return fail_device(port, "setting up a transmit queue", rc, err);
	}
	return SLK_OK;
}

static int
start_device(struct dp_port *port, const struct dp_eal_config *eal, struct slk_error *err)
{
	int rc = make_pool(port, eal, err);

	if (rc == SLK_OK)
		rc = configure_device(port, (uint16_t)dp_port_queues(port->config), err);
	if (rc != SLK_OK)
		return rc;
	rc = rte_eth_dev_start(port->id);
	if (rc != 0)
		return fail_device(port, "starting", rc, err);
	port->started = true;
	return SLK_OK;
}

/* --- steering: frames of a listener into the queue of the worker that writes its stream --- */

static bool
steer(const struct dp_port *port, enum rte_flow_item_type ip, uint16_t udp_port, uint16_t queue)
{
	const struct rte_flow_attr attr = {.ingress = 1};
	const struct rte_flow_item_udp udp = {.hdr = {.dst_port = rte_cpu_to_be_16(udp_port)}};
	const struct rte_flow_item_udp mask = {.hdr = {.dst_port = UINT16_MAX}};
	const struct rte_flow_item pattern[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH}, {.type = ip},
		{.type = RTE_FLOW_ITEM_TYPE_UDP, .spec = &udp, .mask = &mask},
		{.type = RTE_FLOW_ITEM_TYPE_END}};
	const struct rte_flow_action_queue to = {.index = queue};
	const struct rte_flow_action actions[] = {{.type = RTE_FLOW_ACTION_TYPE_QUEUE, .conf = &to},
		{.type = RTE_FLOW_ACTION_TYPE_END}};
	struct rte_flow_error why;

	return rte_flow_validate(port->id, &attr, pattern, actions, &why) == 0 &&
		rte_flow_create(port->id, &attr, pattern, actions, &why) != NULL;
}

static uint16_t
queue_of(const struct dp_port_config *port, int worker)
{
	uint16_t queue = 0;

	while (queue + 1u < dp_port_queues(port) && (int)dp_port_worker(port, queue) != worker)
		queue++;
	return queue;
}

/* What the device cannot steer comes by any queue, and its worker hands it over. Listeners of a later reload are handed over. */
static void
steer_listeners(struct dp_port *port, const struct dp_config *config)
{
	const struct dp_port_config *c = port->config;
	uint32_t listeners = 0;

	if (dp_port_queues(c) == 1)
		return;
	for (uint32_t i = 0; i < config->listeners_count; i++) {
		const struct dp_listener_config *l = &config->listeners[i];
		uint16_t queue = queue_of(c, dp_config_listener_worker(config, l));
		if (l->port != NULL && strcmp(l->port, c->name) != 0)
			continue;
		listeners++;
		port->steered += (c->ipv4 == NULL ||
					 steer(port, RTE_FLOW_ITEM_TYPE_IPV4, (uint16_t)l->udp_port,
						 queue)) &&
			(c->ipv6 == NULL ||
				steer(port, RTE_FLOW_ITEM_TYPE_IPV6, (uint16_t)l->udp_port, queue));
	}
	slk_info("the port has several workers", slk_kv("port", (const char *)c->name),
		slk_kv("queues", dp_port_queues(c)), slk_kv("listeners", listeners),
		slk_kv("steered_by_device", port->steered));
}

int
dp_port_share(
	const struct dp_port *port, uint16_t queue, struct dp_port *out_port, struct slk_error *err)
{
	struct dp_host *host = malloc(sizeof(*host));

	if (host == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for port %s", port->config->name);
	*host = *port->host;
	*out_port = *port;
	out_port->host = host;
	out_port->queue = queue;
	return SLK_OK;
}

void
dp_port_unshare(struct dp_port *port)
{
	free(port->host);
	*port = (struct dp_port){.claim_fd = -1};
}

/* --- who we are --- */

static int
parse_mac(const struct dp_port_config *c, uint8_t out[6], struct slk_error *err)
{
	struct rte_ether_addr addr;

	if (rte_ether_unformat_addr(c->mac, &addr) != 0)
		return slk_fail(err, SLK_CONFIG,
			"port %s: mac '%s' is not of the form 02:00:00:00:02:02", c->name, c->mac);
	memcpy(out, addr.addr_bytes, 6);
	return SLK_OK;
}

/* An address without a prefix stands for itself alone: then only 255.255.255.255 is a broadcast. */
static const char *
with_prefix(const char *address, const char *prefix, char *out, size_t cap)
{
	if (address == NULL || strchr(address, '/') != NULL || strcmp(address, "auto") == 0)
		return address;
	snprintf(out, cap, "%s%s", address, prefix);
	return out;
}

static int
make_host(struct dp_port *port, struct slk_error *err)
{
	const struct dp_port_config *c = port->config;
	char ip4[80], ip6[80];
	struct rte_ether_addr addr;
	struct dp_host_config hc = {.vlan = (uint16_t)c->vlan,
		.mtu_bytes = (uint16_t)port->mtu,
		.ip4 = with_prefix(c->ipv4, "/32", ip4, sizeof(ip4)),
		.ip6 = with_prefix(c->ipv6, "/128", ip6, sizeof(ip6))};

	int rc = rte_eth_macaddr_get(port->id, &addr);
	if (rc != 0)
		return fail_device(port, "reading the MAC", rc, err);
	memcpy(hc.mac, addr.addr_bytes, 6);
	if (c->mac != NULL) {
		rc = parse_mac(c, hc.mac, err);
		if (rc != SLK_OK)
			return rc;
	} else if (rte_is_zero_ether_addr(&addr)) {
		/* A ring has no address of its own: a locally administered one, of the port's number. */
		const uint8_t local[6] = {0x02, 0x53, 0x4c, 0x4b, 0, (uint8_t)port->id};
		memcpy(hc.mac, local, 6);
	}
	port->host = calloc(1, sizeof(*port->host));
	if (port->host == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for port %s", c->name);
	rc = dp_host_init(port->host, &hc, err);
	if (rc != SLK_OK && err != NULL)
		return slk_fail_prefix(err, "port %s", c->name);
	return rc;
}

static int
add_listeners(struct dp_port *port, const struct dp_config *config, struct slk_error *err)
{
	for (uint32_t i = 0; i < config->listeners_count; i++) {
		const struct dp_listener_config *l = &config->listeners[i];
		if (l->port != NULL && strcmp(l->port, port->config->name) != 0)
			continue;
		int rc = dp_host_listen(port->host, (uint16_t)l->udp_port, i);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "port %s: UDP port %u cannot be opened twice",
				port->config->name, l->udp_port);
	}
	return SLK_OK;
}

/* Neighbour discovery needs the host's groups. A veth delivers everything; a NIC may need to be told. */
static void
join_groups(const struct dp_port *port)
{
	uint8_t groups[3][6];
	struct rte_ether_addr list[3];
	unsigned count = dp_reply_groups(port->host, groups);

	if (count == 0)
		return;
	for (unsigned i = 0; i < count; i++)
		memcpy(list[i].addr_bytes, groups[i], 6);
	if (rte_eth_dev_set_mc_addr_list(port->id, list, count) != 0 &&
		rte_eth_allmulticast_enable(port->id) != 0)
		slk_debug("the port takes no list of multicast groups",
			slk_kv("port", (const char *)port->config->name));
}

static bool
waits_when_full(const struct dp_port_config *c)
{
	if (c->when_full != DP_WHEN_FULL_AUTO)
		return c->when_full == DP_WHEN_FULL_WAIT;
	return c->type == DP_PORT_RING || c->rx_file != NULL;
}

int
dp_port_open(const struct dp_config *config, unsigned index, struct dp_port *out_port,
	struct slk_error *err)
{
	struct dp_port port = {
		.config = &config->ports[index], .claim_fd = -1, .id = RTE_MAX_ETHPORTS};
	const struct dp_port_config *c = port.config;
	struct dp_iface iface = {.mtu = 1500};
	char who[128];

	snprintf(who, sizeof(who), "port %s (%s)", c->name, dp_port_type_name(c->type));
	int rc = dp_priv_need(who, needed_caps(c), err);
	if (rc == SLK_OK && c->interface != NULL)
		rc = prepare_interface(&port, &iface, err);
	port.mtu = c->mtu != 0 ? c->mtu : iface.mtu;
	port.wait_when_full = waits_when_full(c);
	port.parse_flags = c->checksums == DP_CHECKSUMS_TRUST_UDP ? DP_PARSE_UDP_CHECKED : 0;
	if (rc == SLK_OK && port.mtu > 9000)
		rc = slk_fail(err, SLK_CONFIG, "port %s: MTU %u is above 9000", c->name, port.mtu);
	if (rc == SLK_OK)
		rc = attach_device(&port, index, err);
	if (rc == SLK_OK)
		rc = start_device(&port, &config->eal, err);
	if (rc == SLK_OK)
		rc = make_host(&port, err);
	if (rc == SLK_OK)
		rc = add_listeners(&port, config, err);
	if (rc != SLK_OK) {
		dp_port_close(&port);
		return rc;
	}
	join_groups(&port);
	steer_listeners(&port, config);
	*out_port = port;
	return SLK_OK;
}

void
dp_port_close(struct dp_port *port)
{
	struct slk_error err;

	if (port->config == NULL)
		return;
	if (port->started)
		(void)rte_eth_dev_stop(port->id);
	if (port->id != RTE_MAX_ETHPORTS)
		(void)rte_eth_dev_close(port->id);
	rte_mempool_free(port->pool); /* nobody holds a buffer any more; NULL allowed */
	if (port->config->type == DP_PORT_AF_XDP && port->claim_fd >= 0 &&
		dp_iface_detach_xdp(port->config->interface, &err) != SLK_OK)
		slk_warn("the XDP program stays attached; run: ip link set IF xdp off",
			slk_kv("interface", (const char *)port->config->interface),
			slk_kv("error", (const char *)err.text));
	if (port->claim_fd >= 0)
		close(port->claim_fd);
	free(port->host);
	*port = (struct dp_port){.claim_fd = -1};
}
