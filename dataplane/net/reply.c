/* Every frame is written through a bounded cursor; checksums are stored last, over what was
 * written. */
#include "net/reply.h"

#include "net/checksum.h"
#include "net/wire.h"

#define HOP_LIMIT 64u
#define ND_HOP_LIMIT 255u
#define ND_SOLICITED 0x40u
#define ND_OVERRIDE 0x20u
#define MLD_MODE_IS_EXCLUDE 2u /* "I listen to everything of this group": the answer to a query */
#define MLD_CHANGE_TO_EXCLUDE 4u /* "I join this group" */

static const uint8_t broadcast_mac[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
static const uint8_t all_nodes[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x01};
static const uint8_t mld_routers_mac[6] = {0x33, 0x33, 0, 0, 0, 0x16};
static const uint8_t mld_routers[16] = {[0] = 0xff, [1] = 0x02, [15] = 0x16};

/* tag: TCI of an 802.1Q tag, or -1 for none. */
static void
write_ether(struct slk_writer *w, const struct dp_host *host, const uint8_t *dest_mac, int tag,
	uint16_t type)
{
	slk_write_bytes(w, dest_mac, 6);
	slk_write_bytes(w, host->mac, 6);
	if (tag >= 0) {
		slk_write_be16(w, WIRE_TYPE_VLAN);
		slk_write_be16(w, (uint16_t)tag);
	}
	slk_write_be16(w, type);
}

static int
host_tag(const struct dp_host *host)
{
	return host->vlan != 0 ? host->vlan : -1;
}

/* The request's own tag, so that priority tags are answered alike. */
static int
packet_tag(const struct dp_packet *packet)
{
	return packet->l3_offset > DP_ETHER_BYTES ? slk_get_be16(packet->frame + DP_ETHER_BYTES)
						  : -1;
}

static int
finish(const struct slk_writer *w, size_t *out_len)
{
	if (w->status != SLK_OK)
		return w->status;
	*out_len = w->len;
	return SLK_OK;
}

/* --- ARP --- */

static void
write_arp(struct slk_writer *w, const struct dp_host *host, uint16_t operation,
	const uint8_t *target_mac, const uint8_t *target_ip)
{
	slk_write_be16(w, 1); /* Ethernet */
	slk_write_be16(w, WIRE_TYPE_IP4);
	slk_write_u8(w, 6);
	slk_write_u8(w, 4);
	slk_write_be16(w, operation);
	slk_write_bytes(w, host->mac, 6);
	slk_write_bytes(w, host->ip4, 4);
	slk_write_bytes(w, target_mac, 6);
	slk_write_bytes(w, target_ip, 4);
}

static void
reply_arp(const struct dp_host *host, const struct dp_packet *packet, struct slk_writer *w)
{
	const uint8_t *arp = packet->frame + packet->l3_offset;

	write_ether(w, host, packet->frame + 6, packet_tag(packet), WIRE_TYPE_ARP);
	write_arp(w, host, WIRE_ARP_REPLY, arp + 8, arp + 14);
}

static void
announce_arp(const struct dp_host *host, struct slk_writer *w)
{
	static const uint8_t nobody[6];

	write_ether(w, host, broadcast_mac, host_tag(host), WIRE_TYPE_ARP);
	write_arp(w, host, WIRE_ARP_REQUEST, nobody, host->ip4);
}

/* --- echo --- */

/* The ICMP checksum after type, a byte whose pair is the zero code, was changed (RFC 1624, equation
 * 3). */
static void
change_icmp_type(uint8_t *icmp, uint8_t type)
{
	uint16_t checksum;
	memcpy(&checksum, icmp + 2, 2);
	uint64_t sum = (uint16_t)~checksum;
	sum += (uint16_t)~htobe16((uint16_t)(icmp[0] << 8));
	icmp[0] = type;
	sum = dp_checksum_add_u16(sum, (uint16_t)(type << 8));
	dp_checksum_store(icmp + 2, sum);
}

static void
reply_echo4(const struct dp_host *host, const struct dp_packet *packet, struct slk_writer *w)
{
	const uint8_t *request = packet->frame + packet->l3_offset;
	size_t len = (size_t)(packet->end_offset - packet->l3_offset);

	write_ether(w, host, packet->frame + 6, packet_tag(packet), WIRE_TYPE_IP4);
	uint8_t *ip = slk_write_room(w, len);
	if (ip == NULL)
		return;
	memcpy(ip, request, len);
	slk_put_be16(ip + 4, 0); /* identification: means nothing in a packet that is never cut */
	slk_put_be16(ip + 6, 0x4000); /* do not fragment */
	ip[8] = HOP_LIMIT;
	slk_put_be16(ip + 10, 0);
	memcpy(ip + 12, request + 16, 4);
	memcpy(ip + 16, request + 12, 4);
	dp_checksum_store(ip + 10, dp_checksum_add(0, ip, DP_IP4_BYTES));
	change_icmp_type(ip + DP_IP4_BYTES, WIRE_ICMP4_ECHO_REPLY);
}

static void
reply_echo6(const struct dp_host *host, const struct dp_packet *packet, struct slk_writer *w)
{
	const uint8_t *request = packet->frame + packet->l3_offset;
	size_t len = (size_t)(packet->end_offset - packet->l3_offset);

	write_ether(w, host, packet->frame + 6, packet_tag(packet), WIRE_TYPE_IP6);
	uint8_t *ip = slk_write_room(w, len);
	if (ip == NULL)
		return;
	memcpy(ip, request, len);
	slk_put_be32(ip, 0x60000000); /* the sender's flow label is its own */
	ip[7] = HOP_LIMIT;
	memcpy(ip + 8, request + 24, 16);
	memcpy(ip + 24, request + 8, 16);
	change_icmp_type(
		ip + DP_IP6_BYTES, WIRE_ICMP6_ECHO_REPLY); /* the pseudo header's sum is the same */
}

/* --- neighbour discovery and MLD --- */

static void
write_ip6(struct slk_writer *w, uint16_t payload_bytes, uint8_t protocol, uint8_t hop_limit,
	const uint8_t *source, const uint8_t *dest)
{
	slk_write_be32(w, 0x60000000);
	slk_write_be16(w, payload_bytes);
	slk_write_u8(w, protocol);
	slk_write_u8(w, hop_limit);
	slk_write_bytes(w, source, 16);
	slk_write_bytes(w, dest, 16);
}

/* Checksum of the ICMPv6 message that begins at icmp_offset and ends where w is; its field must be
 * zero. */
static void
finish_icmp6(struct slk_writer *w, size_t ip_offset, size_t icmp_offset)
{
	if (w->status != SLK_OK)
		return;
	size_t len = w->len - icmp_offset;
	uint64_t sum =
		dp_checksum_pseudo(w->base + ip_offset + 8, 32, (uint16_t)len, WIRE_PROTO_ICMP6);
	dp_checksum_store(
		w->base + icmp_offset + 2, dp_checksum_add(sum, w->base + icmp_offset, len));
}

static void
write_advertisement(struct slk_writer *w, const struct dp_host *host, const uint8_t *target,
	const uint8_t *dest, uint8_t flags)
{
	size_t ip_offset = w->len;

	write_ip6(w, WIRE_ND_BYTES + 8, WIRE_PROTO_ICMP6, ND_HOP_LIMIT, target, dest);
	size_t icmp_offset = w->len;
	slk_write_u8(w, WIRE_ICMP6_ND_ADVERT);
	slk_write_zeros(w, 3);
	slk_write_u8(w, flags);
	slk_write_zeros(w, 3);
	slk_write_bytes(w, target, 16);
	slk_write_u8(w, WIRE_ND_OPTION_TARGET);
	slk_write_u8(w, 1);
	slk_write_bytes(w, host->mac, 6);
	finish_icmp6(w, ip_offset, icmp_offset);
}

/* A probe (source ::) is answered to all nodes (RFC 4861, 7.2.4), but in a frame to the prober
 * alone (RFC 6085). */
static void
reply_nd(const struct dp_host *host, const struct dp_packet *packet, struct slk_writer *w)
{
	static const uint8_t unspecified[16];
	const uint8_t *source = packet->frame + packet->l3_offset + 8;
	const uint8_t *target = packet->frame + packet->l4_offset + 8;
	bool probe = memcmp(source, unspecified, 16) == 0;

	write_ether(w, host, packet->frame + 6, packet_tag(packet), WIRE_TYPE_IP6);
	write_advertisement(w, host, target, probe ? all_nodes : source,
		probe ? ND_OVERRIDE : ND_SOLICITED | ND_OVERRIDE);
}

static void
announce_nd(const struct dp_host *host, const uint8_t *address, struct slk_writer *w)
{
	write_ether(w, host, all_nodes_mac, host_tag(host), WIRE_TYPE_IP6);
	write_advertisement(w, host, address, all_nodes, ND_OVERRIDE);
}

/* The solicited-node groups of our addresses: one, or two if they differ. */
static unsigned
our_groups(const struct dp_host *host, uint8_t out[2][16])
{
	wire_solicited_node(host->ip6, out[0]);
	wire_solicited_node(host->ip6_link_local, out[1]);
	return memcmp(out[0], out[1], 16) == 0 ? 1 : 2;
}

/* RFC 3810, 5.2: from the link-local address, with a router alert. */
static void
write_mld_report(struct slk_writer *w, const struct dp_host *host, int tag, uint8_t record_type)
{
	static const uint8_t hop_by_hop[WIRE_HOP_BY_HOP_BYTES] = {
		WIRE_PROTO_ICMP6, 0, 5, 2, 0, 0, 1, 0};
	uint8_t groups[2][16];
	unsigned count = our_groups(host, groups);

	write_ether(w, host, mld_routers_mac, tag, WIRE_TYPE_IP6);
	size_t ip_offset = w->len;
	write_ip6(w, (uint16_t)(WIRE_HOP_BY_HOP_BYTES + 8 + 20 * count), WIRE_PROTO_HOP_BY_HOP, 1,
		host->ip6_link_local, mld_routers);
	slk_write_bytes(w, hop_by_hop, sizeof(hop_by_hop));
	size_t icmp_offset = w->len;
	slk_write_u8(w, WIRE_ICMP6_MLD2_REPORT);
	slk_write_zeros(w, 5);
	slk_write_be16(w, (uint16_t)count);
	for (unsigned i = 0; i < count; i++) {
		slk_write_u8(w, record_type);
		slk_write_zeros(w, 3); /* no auxiliary data, no sources */
		slk_write_bytes(w, groups[i], 16);
	}
	finish_icmp6(w, ip_offset, icmp_offset);
}

/* --- the doors --- */

int
dp_reply_build(const struct dp_host *host, const struct dp_packet *packet, uint8_t *out, size_t cap,
	size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	switch ((enum dp_packet_kind)packet->kind) {
	case DP_PACKET_ARP:
		reply_arp(host, packet, &w);
		break;
	case DP_PACKET_ECHO4:
		reply_echo4(host, packet, &w);
		break;
	case DP_PACKET_ECHO6:
		reply_echo6(host, packet, &w);
		break;
	case DP_PACKET_ND:
		reply_nd(host, packet, &w);
		break;
	case DP_PACKET_MLD_QUERY:
		write_mld_report(&w, host, packet_tag(packet), MLD_MODE_IS_EXCLUDE);
		break;
	case DP_PACKET_NONE:
	case DP_PACKET_UDP4:
	case DP_PACKET_UDP6:
	default:
		return SLK_UNSUPPORTED;
	}
	return finish(&w, out_len);
}

int
dp_reply_announce(const struct dp_host *host, enum dp_announce what, uint8_t *out, size_t cap,
	size_t *out_len)
{
	struct slk_writer w = slk_writer(out, cap);

	if (what == DP_ANNOUNCE_ARP ? !host->has_ip4 : !host->has_ip6)
		return SLK_UNSUPPORTED;
	switch (what) {
	case DP_ANNOUNCE_ARP:
		announce_arp(host, &w);
		break;
	case DP_ANNOUNCE_ND:
		announce_nd(host, host->ip6, &w);
		break;
	case DP_ANNOUNCE_ND_LINK_LOCAL:
		announce_nd(host, host->ip6_link_local, &w);
		break;
	case DP_ANNOUNCE_MLD:
		write_mld_report(&w, host, host_tag(host), MLD_CHANGE_TO_EXCLUDE);
		break;
	case DP_ANNOUNCE_COUNT:
	default:
		return SLK_UNSUPPORTED;
	}
	return finish(&w, out_len);
}

unsigned
dp_reply_groups(const struct dp_host *host, uint8_t out[3][6])
{
	uint8_t groups[2][16];

	if (!host->has_ip6)
		return 0;
	memcpy(out[0], all_nodes_mac, 6);
	unsigned count = our_groups(host, groups);
	for (unsigned i = 0; i < count; i++) {
		out[1 + i][0] = out[1 + i][1] = 0x33;
		memcpy(out[1 + i] + 2, groups[i] + 12, 4);
	}
	return 1 + count;
}
