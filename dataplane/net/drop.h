/* Why a frame, a record or a sender's message was not taken: one list for the counters of the whole
 * room.
 *
 * Every reason is counted by the worker that met it, once per frame or once per record as the group
 * says, and shown by its name in `sealock status`. A reason is appended at the end of its group;
 * names are stable, numbers are not.
 */
#ifndef DP_NET_DROP_H
#define DP_NET_DROP_H

/* X(constant, name, sentence). Frames: counted once per frame, by dp_packet_parse(). */
#define DP_DROP_FRAME_LIST(X) \
	X(RUNT, "runt", "shorter than an Ethernet header") \
	X(OVERSIZED, "oversized", "longer than the MTU of the port allows") \
	X(VLAN, "vlan", "another VLAN than the port's, or two tags") \
	X(SOURCE_MAC, "source_mac", "the Ethernet source is a group address or our own") \
	X(NOT_OUR_MAC, "not_our_mac", "for another station") \
	X(ETHERTYPE, "ethertype", "neither IPv4, IPv6 nor ARP") \
	X(TRUNCATED, "truncated", "the frame ends before its headers or its IP length say") \
	X(IP_MALFORMED, "ip_malformed", "version, header length or total length make no sense") \
	X(IP4_OPTIONS, "ip4_options", "an IPv4 header with options") \
	X(IP4_CHECKSUM, "ip4_checksum", "wrong IPv4 header checksum") \
	X(FRAGMENT, "fragment", "an IP fragment; nothing is reassembled") \
	X(IP6_EXTENSION, "ip6_extension", "an IPv6 extension header before the payload") \
	X(IP_SOURCE, "ip_source", "a source that is no unicast address, or our own") \
	X(BROADCAST, "broadcast", "a datagram to a broadcast address") \
	X(MULTICAST, "multicast", "a datagram to a multicast group") \
	X(NOT_OUR_IP, "not_our_ip", "for another IP address") \
	X(IP_PROTOCOL, "ip_protocol", "neither UDP nor ICMP") \
	X(UDP_LENGTH, "udp_length", "the UDP length is below 8 or beyond the packet") \
	X(UDP_PORT, "udp_port", "no listener on that UDP port") \
	X(UDP_CHECKSUM, "udp_checksum", "wrong UDP checksum") \
	X(UDP_NO_CHECKSUM, "udp_no_checksum", "UDP over IPv6 without a checksum") \
	X(ICMP_MALFORMED, "icmp_malformed", "an ICMP message that is too short or not valid") \
	X(ICMP_CHECKSUM, "icmp_checksum", "wrong ICMP checksum") \
	X(ICMP_TYPE, "icmp_type", "an ICMP message that a host like this does not answer") \
	X(ND_NOT_OURS, "nd_not_ours", "a neighbour solicitation for another address") \
	X(ARP_MALFORMED, "arp_malformed", \
		"not Ethernet/IPv4 ARP, or its sender is not the frame's") \
	X(ARP_NOT_OURS, "arp_not_ours", "an ARP message that is not a question for our address") \
	X(ADDRESS_CONFLICT, "address_conflict", "another station uses our IP address")

/* Records: counted once per record (LENGTH: once per datagram), by dp_framing_next(). */
#define DP_DROP_RECORD_LIST(X) \
	X(RECORD_EMPTY, "record_empty", "a record without a byte") \
	X(RECORD_TOO_LARGE, "record_too_large", "a record over the listener's limit") \
	X(RECORD_LENGTH, "record_length", \
		"a length prefix beyond the datagram; the rest is dropped")

#define DP_DROP_LIST(X) \
	DP_DROP_FRAME_LIST(X) \
	DP_DROP_RECORD_LIST(X)

enum dp_drop {
	DP_TAKEN = 0, /* not dropped */
#define X(constant, name, sentence) DP_DROP_##constant,
	DP_DROP_LIST(X)
#undef X
		DP_DROP_COUNT
};

/* "udp_port"; "taken" for DP_TAKEN, "unknown" for a number that is not in the list. Static storage.
 */
const char *dp_drop_name(enum dp_drop drop);
/* "no listener on that UDP port". Static storage. */
const char *dp_drop_sentence(enum dp_drop drop);

#endif
