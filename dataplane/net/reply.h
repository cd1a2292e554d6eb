/* What a host on the link says by itself: answers to the questions that dp_packet_parse() takes,
 * and announcements.
 *
 * Each function writes one whole frame (without FCS) into the caller's buffer, with right
 * checksums, and the request's VLAN tag. Frames shorter than 60 bytes are left to the port to pad.
 *
 * Nothing here amplifies. Answers go to the unicast MAC that asked, never to a group, and are never
 * longer than the question, with two exceptions that cannot be spoofed from beyond the link: a
 * neighbour advertisement is 8 bytes longer than a solicitation without a link-layer option, and an
 * MLD report goes to the group of the link's routers. A UDP datagram is never answered, not even
 * with "port unreachable". Rate limits are the caller's: one budget for all. Thread: any.
 */
#ifndef DP_NET_REPLY_H
#define DP_NET_REPLY_H

#include "net/packet.h"

/* Room that any reply but an echo reply, and any announcement, fits in. An echo reply is as long as
 * its request. */
#define DP_REPLY_SMALL_BYTES 128u

/* Answer packet. out must not overlap the request; cap at least max(DP_REPLY_SMALL_BYTES, length of
 * the request). SLK_OK and *out_len; SLK_FULL if cap is too small; SLK_UNSUPPORTED if nothing is to
 * be said to that kind (UDP). */
MUST_USE int dp_reply_build(const struct dp_host *host, const struct dp_packet *packet,
	uint8_t *out, size_t cap, size_t *out_len);

/* Announcements for the start of a port, so that neighbours and switches learn our MAC at once
 * (send each one or two times): DP_ANNOUNCE_ARP is an ARP announcement (RFC 5227, 2.3),
 * DP_ANNOUNCE_ND and _ND_LINK_LOCAL unsolicited neighbour advertisements with override (RFC
 * 4861, 7.2.6), DP_ANNOUNCE_MLD an MLDv2 report of our solicited-node groups (RFC 3810) for
 * switches that snoop. Duplicate address detection is not done: addresses are configured; others'
 * probes are answered, so that they do not take ours. */
enum dp_announce {
	DP_ANNOUNCE_ARP,
	DP_ANNOUNCE_ND,
	DP_ANNOUNCE_ND_LINK_LOCAL,
	DP_ANNOUNCE_MLD,
	DP_ANNOUNCE_COUNT
};

/* SLK_OK and *out_len; SLK_UNSUPPORTED if the host lacks that address family; SLK_FULL (cap <
 * DP_REPLY_SMALL_BYTES). */
MUST_USE int dp_reply_announce(const struct dp_host *host, enum dp_announce what, uint8_t *out,
	size_t cap, size_t *out_len);

/* The multicast MACs that the port must receive beside its own and broadcast: two solicited-node
 * groups and all-nodes. Returns how many of out were filled (0 without IPv6). */
unsigned dp_reply_groups(const struct dp_host *host, uint8_t out[3][6]);

#endif
