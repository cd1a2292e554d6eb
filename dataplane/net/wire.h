/* Numbers of the wire that packet.c and reply.c share. Inside this folder only. */
#ifndef DP_NET_WIRE_H
#define DP_NET_WIRE_H

#include "net/packet.h"

/* IEEE 802 ethertypes */
#define WIRE_TYPE_IP4 0x0800u
#define WIRE_TYPE_ARP 0x0806u
#define WIRE_TYPE_VLAN 0x8100u
#define WIRE_TYPE_QINQ 0x88a8u
#define WIRE_TYPE_IP6 0x86ddu

#define WIRE_ARP_BYTES 28u
#define WIRE_ARP_REQUEST 1u
#define WIRE_ARP_REPLY 2u

/* IANA protocol numbers */
#define WIRE_PROTO_HOP_BY_HOP 0u
#define WIRE_PROTO_ICMP 1u
#define WIRE_PROTO_UDP 17u
#define WIRE_PROTO_ROUTING 43u
#define WIRE_PROTO_FRAGMENT 44u
#define WIRE_PROTO_ESP 50u
#define WIRE_PROTO_AH 51u
#define WIRE_PROTO_ICMP6 58u
#define WIRE_PROTO_DEST_OPTIONS 60u
#define WIRE_PROTO_MOBILITY 135u
#define WIRE_PROTO_HIP 139u
#define WIRE_PROTO_SHIM6 140u

#define WIRE_ICMP_BYTES 8u
#define WIRE_ICMP4_ECHO_REPLY 0u
#define WIRE_ICMP4_ECHO 8u
#define WIRE_ICMP6_ECHO 128u
#define WIRE_ICMP6_ECHO_REPLY 129u
#define WIRE_ICMP6_MLD_QUERY 130u
#define WIRE_ICMP6_ND_SOLICIT 135u
#define WIRE_ICMP6_ND_ADVERT 136u
#define WIRE_ICMP6_MLD2_REPORT 143u

#define WIRE_ND_BYTES 24u /* solicitation or advertisement without options */
#define WIRE_ND_OPTION_SOURCE 1u /* link-layer address options (RFC 4861, 4.6.1) */
#define WIRE_ND_OPTION_TARGET 2u
#define WIRE_MLD1_QUERY_BYTES 24u
#define WIRE_MLD2_QUERY_BYTES 28u
#define WIRE_HOP_BY_HOP_BYTES 8u /* one router alert and two bytes of padding */

/* ff02::1:ff00:0/104, followed by the last three bytes of an address (RFC 4291, 2.7.1) */
static inline void
wire_solicited_node(const uint8_t ip6[16], uint8_t out[16])
{
	static const uint8_t prefix[13] = {0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
	memcpy(out, prefix, sizeof(prefix));
	memcpy(out + 13, ip6 + 13, 3);
}

/* ff02::1 */
static inline bool
wire_is_all_nodes(const uint8_t ip6[16])
{
	static const uint8_t all_nodes[16] = {[0] = 0xff, [1] = 0x02, [15] = 1};
	return memcmp(ip6, all_nodes, 16) == 0;
}

static inline bool
wire_is_link_local(const uint8_t ip6[16])
{
	return ip6[0] == 0xfe && (ip6[1] & 0xc0) == 0x80;
}

/* One of the host's two IPv6 addresses. */
static inline bool
wire_is_our_ip6(const struct dp_host *host, const uint8_t ip6[16])
{
	return host->has_ip6 &&
		(memcmp(ip6, host->ip6, 16) == 0 || memcmp(ip6, host->ip6_link_local, 16) == 0);
}

#endif
