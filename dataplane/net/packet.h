/* Parse one received Ethernet frame.
 *
 * dp_packet_parse() takes a whole, contiguous frame without its FCS, as a port delivered it, checks
 * everything that a host must check, and says what the frame is for us: a datagram of a listener, a
 * question that reply.h answers, or a typed reason to drop it. It reads nothing outside the frame,
 * keeps nothing and changes nothing.
 *
 * What is taken:
 * - Ethernet II, untagged or with one 802.1Q tag. A tag must carry the VLAN of the port (0: only
 * untagged frames and priority tags, whose VLAN is 0). Two tags are dropped. The frame must be for
 * the port's MAC, for the groups that a host listens to (broadcast for ARP; 33:33:... for neighbour
 * discovery), and from a unicast address.
 * - IPv4 (RFC 791) without options: nothing that a producer sends needs them, and source routes
 * must not be followed. Fragments are counted and dropped: a producer keeps its datagrams within
 * the MTU.
 * - IPv6 (RFC 8200) without extension headers; a hop-by-hop router alert before an MLD query alone
 * is stepped over.
 * - UDP (RFC 768) to a port with a listener. Over IPv4 a checksum of zero means none; over IPv6 it
 * is mandatory. A UDP length below the IP length is right (the surplus is ignored), as is padding
 * behind the IP packet.
 * - ARP questions (RFC 826) for our address, probes (RFC 5227) included; ICMP and ICMPv6 echo
 * requests (RFC 792, 4443) to our address; neighbour solicitations (RFC 4861) for our addresses;
 * MLD queries (RFC 2710, 3810).
 *
 * Checksums are verified in software unless the caller says that the port did it. ICMP checksums
 * always are. Thread: any; the host is read only.
 */
#ifndef DP_NET_PACKET_H
#define DP_NET_PACKET_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"
#include "net/drop.h"

#define DP_ETHER_BYTES 14u
#define DP_VLAN_TAG_BYTES 4u
#define DP_IP4_BYTES 20u
#define DP_IP6_BYTES 40u
#define DP_UDP_BYTES 8u
#define DP_LISTENER_MAX 255u

/* Who we are on one port. Filled by dp_host_init() and dp_host_listen(); read only while packets are
 * parsed: listeners come and go between two bursts, by the thread that parses. */
struct dp_host {
	uint8_t mac[6];
	bool has_ip4;
	bool has_ip6;
	uint16_t vlan; /* 0: untagged */
	uint16_t mtu_bytes; /* IP bytes of the largest packet */
	uint8_t ip4[4]; /* network order, as on the wire */
	uint8_t ip4_broadcast[4]; /* of the subnet; 255.255.255.255 for prefixes 31 and 32 */
	uint8_t ip6[16]; /* the configured address; the link-local one if only that is used */
	uint8_t ip6_link_local[16]; /* fe80::/64 with the modified EUI-64 of the MAC (RFC 4291,
				       appendix A) */
	/* Listener of a UDP port plus one; 0: closed. Only the lines of ports in use are ever in
	 * the cache. */
	uint8_t listener_plus_one[65536];
};

struct dp_host_config {
	uint8_t mac[6]; /* unicast, not zero */
	uint16_t vlan; /* 0..4094; 0: untagged */
	uint16_t mtu_bytes; /* 576..65517; at least 1,280 with IPv6 */
	const char *ip4; /* "10.77.0.2/24" or NULL */
	const char *ip6; /* "fd00:77::2/64", "auto" (link-local only) or NULL */
};

/* SLK_CONFIG with a sentence if an address does not parse, is no unicast address, or a number is
 * out of range. At least one of ip4 and ip6 must be there. */
MUST_USE int dp_host_init(
	struct dp_host *host, const struct dp_host_config *config, struct slk_error *err);

/* Map a UDP port (1..65535) to a listener (0..254). SLK_EXISTS if the port has one; SLK_RANGE. */
MUST_USE int dp_host_listen(struct dp_host *host, uint16_t port, unsigned listener);

/* Close it again; nothing happens if it is closed. */
void dp_host_close(struct dp_host *host, uint16_t port);

enum dp_packet_kind {
	DP_PACKET_NONE, /* dropped */
	DP_PACKET_UDP4,
	DP_PACKET_UDP6,
	DP_PACKET_ARP, /* a question for our IPv4 address */
	DP_PACKET_ECHO4, /* ICMP echo request to us */
	DP_PACKET_ECHO6, /* ICMPv6 echo request to us */
	DP_PACKET_ND, /* neighbour solicitation for one of our addresses */
	DP_PACKET_MLD_QUERY, /* asks which groups we listen to */
};

/* One parsed frame, one cache line. Everything points into the frame, which must outlive it. */
struct dp_packet {
	const uint8_t *frame;
	struct slk_span payload; /* UDP: the datagram's bytes. Echo: identifier, sequence number and
				    data. Others: empty */
	uint16_t l3_offset; /* of the ARP, IPv4 or IPv6 header in the frame */
	uint16_t l4_offset; /* of the UDP or ICMP header; 0 for ARP */
	uint16_t end_offset; /* where the packet ends; what follows is padding */
	uint16_t source_port; /* UDP; host order */
	uint16_t dest_port;
	uint8_t kind; /* enum dp_packet_kind */
	uint8_t listener; /* UDP */
};
static_assert(sizeof(struct dp_packet) <= 64, "one cache line");

enum dp_parse_flags {
	DP_PARSE_IP4_CHECKED =
		1, /* the port verified the IPv4 header checksum and found it right */
	DP_PARSE_UDP_CHECKED =
		2, /* the port verified the UDP checksum, or its link is trusted to need none (a
		    * veth whose sender leaves checksums to an offload that never happens) */
};

/* Parse frame. Returns DP_TAKEN and fills *out, or the reason to drop it, with out->kind =
 * DP_PACKET_NONE. flags: of enum dp_parse_flags. A frame that the port itself found wrong is
 * counted by the caller, not parsed. */
MUST_USE enum dp_drop dp_packet_parse(
	const struct dp_host *host, struct slk_span frame, unsigned flags, struct dp_packet *out);

/* The source address of any kind but DP_PACKET_ARP: 4 or 16 bytes in network order, inside the
 * frame. */
static inline struct slk_span
dp_packet_source_ip(const struct dp_packet *packet)
{
	const uint8_t *l3 = packet->frame + packet->l3_offset;
	return (l3[0] >> 4) == 4 ? slk_span(l3 + 12, 4) : slk_span(l3 + 8, 16);
}

#endif
