/* One pass over a frame, cheapest and most telling checks first. Each step either returns a reason
 * or narrows what the frame can be; nothing is read before its length was checked. */
#include "net/packet.h"

#include "net/checksum.h"
#include "net/wire.h"

#define ETHER_GROUP_BIT 1u
#define IP4_FRAGMENT_MASK 0x3fffu /* "more fragments" and the offset */

/* What the steps share. */
struct parse {
	const struct dp_host *host;
	const uint8_t *frame;
	size_t len;
	unsigned flags;
	struct dp_packet *out;
};

static inline bool
mac_equal(const uint8_t *a, const uint8_t *b)
{
	return slk_get_le32(a) == slk_get_le32(b) && slk_get_le16(a + 4) == slk_get_le16(b + 4);
}

static inline bool
ip4_equal(const uint8_t *a, const uint8_t *b)
{
	return slk_get_le32(a) == slk_get_le32(b);
}

static inline bool
mac_is_broadcast(const uint8_t *mac)
{
	return slk_get_le32(mac) == UINT32_MAX && slk_get_le16(mac + 4) == UINT16_MAX;
}

static inline bool
frame_is_to_group(const struct parse *p)
{
	return (p->frame[0] & ETHER_GROUP_BIT) != 0;
}

/* --- UDP --- */

/* l4: offset of the UDP header; end: of the IP packet; addresses: as the pseudo header wants them.
 */
static enum dp_drop
parse_udp(const struct parse *p, size_t l4, size_t end, const uint8_t *addresses,
	size_t addresses_bytes)
{
	const uint8_t *udp = p->frame + l4;
	struct dp_packet *out = p->out;
	uint16_t checksum;

	if (end - l4 < DP_UDP_BYTES)
		return DP_DROP_UDP_LENGTH;
	uint16_t udp_len = slk_get_be16(udp + 4);
	if (udp_len < DP_UDP_BYTES || udp_len > end - l4)
		return DP_DROP_UDP_LENGTH;
	out->source_port = slk_get_be16(udp);
	out->dest_port = slk_get_be16(udp + 2);
	uint8_t listener = p->host->listener_plus_one[out->dest_port];
	if (listener == 0)
		return DP_DROP_UDP_PORT;

	memcpy(&checksum, udp + 6, 2);
	if (checksum == 0) {
		if (addresses_bytes != 8)
			return DP_DROP_UDP_NO_CHECKSUM;
	} else if ((p->flags & DP_PARSE_UDP_CHECKED) == 0) {
		uint64_t sum =
			dp_checksum_pseudo(addresses, addresses_bytes, udp_len, WIRE_PROTO_UDP);
		if (dp_checksum_fold(dp_checksum_add(sum, udp, udp_len)) != 0xffff)
			return DP_DROP_UDP_CHECKSUM;
	}
	out->kind = addresses_bytes == 8 ? DP_PACKET_UDP4 : DP_PACKET_UDP6;
	out->listener = (uint8_t)(listener - 1);
	out->payload = slk_span(udp + DP_UDP_BYTES, udp_len - DP_UDP_BYTES);
	return DP_TAKEN;
}

/* --- ARP --- */

static enum dp_drop
parse_arp(const struct parse *p, size_t l3)
{
	static const uint8_t fixed[6] = {
		0, 1, 0x08, 0x00, 6, 4}; /* Ethernet, IPv4, their lengths */
	const struct dp_host *host = p->host;
	const uint8_t *arp = p->frame + l3;

	if (p->len - l3 < WIRE_ARP_BYTES)
		return DP_DROP_TRUNCATED;
	uint16_t operation = slk_get_be16(arp + 6);
	const uint8_t *sender_mac = arp + 8, *sender_ip = arp + 14, *target_ip = arp + 24;
	/* The frame's sender must be the message's: an answer goes to whom it came from. */
	if (memcmp(arp, fixed, sizeof(fixed)) != 0 || !mac_equal(sender_mac, p->frame + 6) ||
		sender_ip[0] >= 224)
		return DP_DROP_ARP_MALFORMED;
	if (!host->has_ip4)
		return DP_DROP_ARP_NOT_OURS;
	if (ip4_equal(sender_ip, host->ip4))
		return DP_DROP_ADDRESS_CONFLICT;
	if (frame_is_to_group(p) && !mac_is_broadcast(p->frame))
		return DP_DROP_MULTICAST;
	if (operation != WIRE_ARP_REQUEST || !ip4_equal(target_ip, host->ip4))
		return DP_DROP_ARP_NOT_OURS;
	p->out->kind = DP_PACKET_ARP;
	p->out->end_offset = (uint16_t)(l3 + WIRE_ARP_BYTES);
	return DP_TAKEN;
}

/* --- IPv4 --- */

static enum dp_drop
parse_icmp4(const struct parse *p, size_t l4, size_t end)
{
	const uint8_t *icmp = p->frame + l4;

	if (end - l4 < WIRE_ICMP_BYTES)
		return DP_DROP_ICMP_MALFORMED;
	if (dp_checksum_fold(dp_checksum_add(0, icmp, end - l4)) != 0xffff)
		return DP_DROP_ICMP_CHECKSUM;
	if (icmp[0] != WIRE_ICMP4_ECHO)
		return DP_DROP_ICMP_TYPE;
	if (icmp[1] != 0)
		return DP_DROP_ICMP_MALFORMED;
	p->out->kind = DP_PACKET_ECHO4;
	p->out->payload = slk_span(icmp + 4, end - l4 - 4);
	return DP_TAKEN;
}

/* A source that no host may have (RFC 1122, 3.2.1.3), or ours: nothing from it is believed or
 * answered. */
static inline bool
ip4_source_is_bad(const struct dp_host *host, const uint8_t *source)
{
	return source[0] == 0 || source[0] == 127 || source[0] >= 224 ||
		ip4_equal(source, host->ip4) || ip4_equal(source, host->ip4_broadcast);
}

static enum dp_drop
ip4_dest_reason(const struct parse *p, const uint8_t *dest)
{
	static const uint8_t everyone[4] = {255, 255, 255, 255};

	if (!p->host->has_ip4)
		return DP_DROP_NOT_OUR_IP;
	if (ip4_equal(dest, everyone) || ip4_equal(dest, p->host->ip4_broadcast))
		return DP_DROP_BROADCAST;
	if (dest[0] >= 224 && dest[0] < 240)
		return DP_DROP_MULTICAST;
	if (!ip4_equal(dest, p->host->ip4))
		return DP_DROP_NOT_OUR_IP;
	/* our address, but in a frame to a group (RFC 1122, 3.3.6) */
	return mac_is_broadcast(p->frame) ? DP_DROP_BROADCAST : DP_DROP_MULTICAST;
}

static enum dp_drop
parse_ip4(const struct parse *p, size_t l3)
{
	const struct dp_host *host = p->host;
	const uint8_t *ip = p->frame + l3;

	if (p->len - l3 < DP_IP4_BYTES)
		return DP_DROP_TRUNCATED;
	if (ip[0] != 0x45)
		return ip[0] >> 4 == 4 && (ip[0] & 15) > 5 ? DP_DROP_IP4_OPTIONS
							   : DP_DROP_IP_MALFORMED;
	uint16_t total_len = slk_get_be16(ip + 2);
	if (total_len < DP_IP4_BYTES)
		return DP_DROP_IP_MALFORMED;
	if (total_len > p->len - l3)
		return DP_DROP_TRUNCATED;
	if ((p->flags & DP_PARSE_IP4_CHECKED) == 0 &&
		dp_checksum_fold(dp_checksum_add(0, ip, DP_IP4_BYTES)) != 0xffff)
		return DP_DROP_IP4_CHECKSUM;
	if (ip4_source_is_bad(host, ip + 12))
		return DP_DROP_IP_SOURCE;
	if (!host->has_ip4 || !ip4_equal(ip + 16, host->ip4) || frame_is_to_group(p))
		return ip4_dest_reason(p, ip + 16);
	if ((slk_get_be16(ip + 6) & IP4_FRAGMENT_MASK) != 0)
		return DP_DROP_FRAGMENT;

	size_t l4 = l3 + DP_IP4_BYTES, end = l3 + total_len;
	p->out->l4_offset = (uint16_t)l4;
	p->out->end_offset = (uint16_t)end;
	if (ip[9] == WIRE_PROTO_UDP)
		return parse_udp(p, l4, end, ip + 12, 8);
	return ip[9] == WIRE_PROTO_ICMP ? parse_icmp4(p, l4, end) : DP_DROP_IP_PROTOCOL;
}

/* --- IPv6 --- */

enum ip6_dest { IP6_TO_US, IP6_TO_OUR_GROUP, IP6_TO_OTHER_GROUP, IP6_TO_OTHER };

static enum ip6_dest
ip6_classify_dest(const struct dp_host *host, const uint8_t *dest)
{
	uint8_t group[16];

	if (wire_is_our_ip6(host, dest))
		return IP6_TO_US;
	if (dest[0] != 0xff)
		return IP6_TO_OTHER;
	if (!host->has_ip6)
		return IP6_TO_OTHER_GROUP;
	if (wire_is_all_nodes(dest))
		return IP6_TO_OUR_GROUP;
	wire_solicited_node(host->ip6, group);
	if (memcmp(dest, group, 16) == 0)
		return IP6_TO_OUR_GROUP;
	wire_solicited_node(host->ip6_link_local, group);
	return memcmp(dest, group, 16) == 0 ? IP6_TO_OUR_GROUP : IP6_TO_OTHER_GROUP;
}

static inline bool
ip6_is_unspecified(const uint8_t *ip6)
{
	return (slk_get_le64(ip6) | slk_get_le64(ip6 + 8)) == 0;
}

/* Multicast, ::1, IPv4-mapped or our own. Unspecified is judged later: duplicate address detection
 * uses it. */
static bool
ip6_source_is_bad(const struct dp_host *host, const uint8_t *source)
{
	if (source[0] == 0xff || wire_is_our_ip6(host, source))
		return true;
	if (slk_get_be64(source) != 0)
		return false;
	uint64_t low = slk_get_be64(source + 8);
	return low == 1 || low >> 32 == 0xffff;
}

/* Options of a neighbour solicitation: each has a length, in units of 8 bytes, and fits. */
static bool
nd_options_are_valid(const uint8_t *options, size_t len, bool *out_has_source)
{
	*out_has_source = false;
	while (len > 0) {
		size_t option_len = len >= 8 ? (size_t)options[1] * 8 : 0;
		if (option_len == 0 || option_len > len)
			return false;
		*out_has_source |= options[0] == WIRE_ND_OPTION_SOURCE;
		options += option_len;
		len -= option_len;
	}
	return true;
}

/* RFC 4861, 7.1.1 and 7.1.2 */
static enum dp_drop
parse_nd(const struct parse *p, const uint8_t *ip, const uint8_t *icmp, size_t len,
	enum ip6_dest dest)
{
	const uint8_t *target = icmp + 8;
	bool solicitation = icmp[0] == WIRE_ICMP6_ND_SOLICIT;
	bool probe = ip6_is_unspecified(ip + 8);
	bool has_source;

	if (ip[7] != 255 || icmp[1] != 0 || len < WIRE_ND_BYTES || target[0] == 0xff ||
		!nd_options_are_valid(icmp + WIRE_ND_BYTES, len - WIRE_ND_BYTES, &has_source))
		return DP_DROP_ICMP_MALFORMED;
	if (!solicitation)
		return wire_is_our_ip6(p->host, target) ? DP_DROP_ADDRESS_CONFLICT
							: DP_DROP_ICMP_TYPE;
	if (probe && (dest != IP6_TO_OUR_GROUP || wire_is_all_nodes(ip + 24) || has_source))
		return DP_DROP_ICMP_MALFORMED;
	if (!wire_is_our_ip6(p->host, target))
		return DP_DROP_ND_NOT_OURS;
	p->out->kind = DP_PACKET_ND;
	return DP_TAKEN;
}

/* RFC 3810, 5.1 and 6.2. Version 1 queries ask for reports that version 2 routers do not need: not
 * answered. */
static enum dp_drop
parse_mld_query(const struct parse *p, const uint8_t *ip, size_t len, bool router_alert)
{
	if (!router_alert || ip[7] != 1 || !wire_is_link_local(ip + 8) ||
		len < WIRE_MLD1_QUERY_BYTES)
		return DP_DROP_ICMP_MALFORMED;
	if (len < WIRE_MLD2_QUERY_BYTES)
		return DP_DROP_ICMP_TYPE;
	p->out->kind = DP_PACKET_MLD_QUERY;
	return DP_TAKEN;
}

static enum dp_drop
parse_icmp6(const struct parse *p, const uint8_t *ip, size_t l4, size_t end, enum ip6_dest dest,
	bool router_alert)
{
	const uint8_t *icmp = p->frame + l4;
	size_t len = end - l4;

	if (len < WIRE_ICMP_BYTES)
		return DP_DROP_ICMP_MALFORMED;
	uint64_t sum = dp_checksum_pseudo(ip + 8, 32, (uint16_t)len, WIRE_PROTO_ICMP6);
	if (dp_checksum_fold(dp_checksum_add(sum, icmp, len)) != 0xffff)
		return DP_DROP_ICMP_CHECKSUM;
	if (icmp[0] == WIRE_ICMP6_MLD_QUERY)
		return parse_mld_query(p, ip, len, router_alert);
	if (router_alert)
		return DP_DROP_IP6_EXTENSION;
	if (icmp[0] == WIRE_ICMP6_ND_SOLICIT || icmp[0] == WIRE_ICMP6_ND_ADVERT)
		return parse_nd(p, ip, icmp, len, dest);
	if (ip6_is_unspecified(ip + 8))
		return DP_DROP_IP_SOURCE;
	if (icmp[0] != WIRE_ICMP6_ECHO)
		return DP_DROP_ICMP_TYPE;
	if (dest != IP6_TO_US)
		return DP_DROP_MULTICAST;
	if (icmp[1] != 0)
		return DP_DROP_ICMP_MALFORMED;
	p->out->kind = DP_PACKET_ECHO6;
	p->out->payload = slk_span(icmp + 4, len - 4);
	return DP_TAKEN;
}

/* A hop-by-hop header of 8 bytes that holds a router alert (RFC 2711) and padding, then ICMPv6. */
static bool
is_router_alert(const uint8_t *header, size_t len)
{
	if (len < WIRE_HOP_BY_HOP_BYTES || header[0] != WIRE_PROTO_ICMP6 || header[1] != 0)
		return false;
	bool alert_first = header[2] == 5 && header[3] == 2 && header[6] == 1 && header[7] == 0;
	bool alert_last = header[2] == 1 && header[3] == 0 && header[4] == 5 && header[5] == 2;
	return alert_first || alert_last;
}

static enum dp_drop
ip6_protocol_reason(uint8_t protocol)
{
	switch (protocol) {
	case WIRE_PROTO_FRAGMENT:
		return DP_DROP_FRAGMENT;
	case WIRE_PROTO_HOP_BY_HOP:
	case WIRE_PROTO_ROUTING:
	case WIRE_PROTO_ESP:
	case WIRE_PROTO_AH:
	case WIRE_PROTO_DEST_OPTIONS:
	case WIRE_PROTO_MOBILITY:
	case WIRE_PROTO_HIP:
	case WIRE_PROTO_SHIM6:
		return DP_DROP_IP6_EXTENSION;
	default:
		return DP_DROP_IP_PROTOCOL;
	}
}

/* What a packet to our unicast addresses, or ICMPv6 to our groups, holds. */
static enum dp_drop
parse_ip6_payload(const struct parse *p, const uint8_t *ip, size_t end, enum ip6_dest dest)
{
	size_t l4 = (size_t)(ip - p->frame) + DP_IP6_BYTES;
	bool router_alert =
		ip[6] == WIRE_PROTO_HOP_BY_HOP && is_router_alert(ip + DP_IP6_BYTES, end - l4);

	if (router_alert)
		l4 += WIRE_HOP_BY_HOP_BYTES;
	p->out->l4_offset = (uint16_t)l4;
	p->out->end_offset = (uint16_t)end;
	if (ip[6] == WIRE_PROTO_ICMP6 || router_alert)
		return parse_icmp6(p, ip, l4, end, dest, router_alert);
	if (dest != IP6_TO_US)
		return DP_DROP_MULTICAST;
	if (ip[6] != WIRE_PROTO_UDP)
		return ip6_protocol_reason(ip[6]);
	if (ip6_is_unspecified(ip + 8))
		return DP_DROP_IP_SOURCE;
	return parse_udp(p, l4, end, ip + 8, 32);
}

static enum dp_drop
parse_ip6(const struct parse *p, size_t l3)
{
	const uint8_t *ip = p->frame + l3;

	if (p->len - l3 < DP_IP6_BYTES)
		return DP_DROP_TRUNCATED;
	if (ip[0] >> 4 != 6)
		return DP_DROP_IP_MALFORMED;
	size_t end = l3 + DP_IP6_BYTES + slk_get_be16(ip + 4);
	if (end > p->len)
		return DP_DROP_TRUNCATED;
	if (ip6_source_is_bad(p->host, ip + 8))
		return DP_DROP_IP_SOURCE;
	enum ip6_dest dest = ip6_classify_dest(p->host, ip + 24);
	if (dest == IP6_TO_OTHER)
		return DP_DROP_NOT_OUR_IP;
	if (dest == IP6_TO_OTHER_GROUP)
		return DP_DROP_MULTICAST;
	if (dest == IP6_TO_US && frame_is_to_group(p))
		return mac_is_broadcast(p->frame) ? DP_DROP_BROADCAST : DP_DROP_MULTICAST;
	return parse_ip6_payload(p, ip, end, dest);
}

/* --- Ethernet --- */

/* Step over an 802.1Q tag. *type becomes the inner type. */
static enum dp_drop
parse_vlan(const struct parse *p, size_t *l3, uint16_t *type)
{
	uint16_t vlan = 0;

	if (*type == WIRE_TYPE_VLAN) {
		if (p->len < DP_ETHER_BYTES + DP_VLAN_TAG_BYTES)
			return DP_DROP_TRUNCATED;
		vlan = slk_get_be16(p->frame + DP_ETHER_BYTES) & 0xfff;
		*type = slk_get_be16(p->frame + DP_ETHER_BYTES + 2);
		*l3 += DP_VLAN_TAG_BYTES;
	}
	bool two_tags = *type == WIRE_TYPE_VLAN || *type == WIRE_TYPE_QINQ;
	return two_tags || vlan != p->host->vlan ? DP_DROP_VLAN : DP_TAKEN;
}

static inline enum dp_drop
parse_ether(const struct parse *p)
{
	size_t l3 = DP_ETHER_BYTES;

	if (p->len < DP_ETHER_BYTES)
		return DP_DROP_RUNT;
	if (p->len > DP_ETHER_BYTES + DP_VLAN_TAG_BYTES + (size_t)p->host->mtu_bytes)
		return DP_DROP_OVERSIZED;
	if (!frame_is_to_group(p) && !mac_equal(p->frame, p->host->mac))
		return DP_DROP_NOT_OUR_MAC;
	if ((p->frame[6] & ETHER_GROUP_BIT) != 0 || mac_equal(p->frame + 6, p->host->mac))
		return DP_DROP_SOURCE_MAC;
	uint16_t type = slk_get_be16(p->frame + 12);
	if (type == WIRE_TYPE_VLAN || type == WIRE_TYPE_QINQ || p->host->vlan != 0) {
		enum dp_drop drop = parse_vlan(p, &l3, &type);
		if (drop != DP_TAKEN)
			return drop;
	}
	p->out->l3_offset = (uint16_t)l3;
	if (type == WIRE_TYPE_IP4)
		return parse_ip4(p, l3);
	if (type == WIRE_TYPE_IP6)
		return parse_ip6(p, l3);
	return type == WIRE_TYPE_ARP ? parse_arp(p, l3) : DP_DROP_ETHERTYPE;
}

enum dp_drop
dp_packet_parse(
	const struct dp_host *host, struct slk_span frame, unsigned flags, struct dp_packet *out)
{
	const struct parse p = {host, frame.ptr, frame.len, flags, out};

	*out = (struct dp_packet){.frame = frame.ptr};
	enum dp_drop drop = parse_ether(&p);
	if (drop != DP_TAKEN)
		*out = (struct dp_packet){.frame = frame.ptr};
	return drop;
}
