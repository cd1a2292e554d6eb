/* Ethernet frames for tests, right or wrong where a test wants it, and pcap files of them.
 *
 * A struct frame_spec starts as a right frame (frame_udp4() and its like) and is bent field by
 * field; frame_build() writes it. Everything that is not bent is consistent: lengths and checksums
 * follow from the rest. The code shares nothing with the parser under test, its checksums included.
 *
 *     struct frame_spec spec = frame_udp4(payload, len);
 *     spec.vlan = 7;
 *     spec.udp_checksum_xor = 1;
 *     size_t frame_len = frame_build(&spec, frame, sizeof(frame));
 *
 * The standard cast: we are FRAME_OUR_MAC, 10.77.0.2/24, fd00:77::2 and fe80::ff:fe00:202 (the
 * address of that MAC); the peer is FRAME_PEER_MAC, 10.77.0.1, fd00:77::1, and sends from UDP port
 * 40000 to 5514.
 */
#ifndef SLK_TESTS_LIB_FRAMES_H
#define SLK_TESTS_LIB_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FRAME_OUR_MAC \
	{ \
		0x02, 0x00, 0x00, 0x00, 0x02, 0x02 \
	}
#define FRAME_PEER_MAC \
	{ \
		0x02, 0x00, 0x00, 0x00, 0x01, 0x01 \
	}
#define FRAME_OUR_IP4 "10.77.0.2"
#define FRAME_PEER_IP4 "10.77.0.1"
#define FRAME_OUR_IP6 "fd00:77::2"
#define FRAME_OUR_LINK_LOCAL "fe80::ff:fe00:202"
#define FRAME_PEER_IP6 "fd00:77::1"
#define FRAME_PEER_PORT 40000u
#define FRAME_OUR_PORT 5514u
#define FRAME_CAP 65600u

struct frame_spec {
	uint8_t dest_mac[6], source_mac[6];
	int vlan; /* TCI of an 802.1Q tag; -1: none */
	int outer_vlan; /* TCI of a second tag in front of it; -1: none */
	uint16_t ethertype; /* 0: by what follows */

	int ip_version; /* 4, 6; 0: body follows Ethernet directly */
	const char *source_ip, *dest_ip;
	int ip_version_field; /* what the header says; -1: ip_version */
	unsigned ip4_header_words; /* 5; more: that many with no-operation options behind the fixed
				      part */
	int ip4_header_words_field; /* -1: as above */
	uint16_t ip4_fragment; /* flags and offset field */
	uint8_t hop_limit; /* TTL */
	uint8_t protocol;
	int ip_length_delta; /* added to the right total or payload length */
	uint16_t ip4_checksum_xor;
	const uint8_t *extension; /* IPv6: put between header and body; its own next header byte
				     must be in it */
	size_t extension_len;
	uint8_t extension_protocol; /* what the IPv6 header says then */

	bool is_udp;
	uint16_t source_port, dest_port;
	int udp_length_delta;
	uint16_t udp_checksum_xor;
	bool udp_no_checksum;

	bool is_icmp; /* the body is an ICMP or ICMPv6 message: its checksum at offset 2 is filled
			 in */
	uint16_t icmp_checksum_xor;

	const uint8_t *body; /* UDP payload, ICMP message, ARP message, or anything; NULL: zeros */
	size_t body_len;

	size_t padding; /* bytes of 0xee behind the packet */
	size_t cut; /* bytes missing at the end of the frame */
};

struct frame_spec frame_udp4(const void *payload, size_t len);
struct frame_spec frame_udp6(const void *payload, size_t len);
/* icmp: the whole message from its type on. Protocol ICMP or ICMPv6, hop limit 255. */
struct frame_spec frame_icmp4(const void *icmp, size_t len);
struct frame_spec frame_icmp6(const void *icmp, size_t len);
/* An Ethernet frame of that type to us. */
struct frame_spec frame_raw(uint16_t ethertype, const void *body, size_t len);
/* Writes an ARP message of 28 bytes. IPs as text. */
void frame_arp(uint8_t out[28], uint16_t operation, const uint8_t sender_mac[6],
	const char *sender_ip, const uint8_t target_mac[6], const char *target_ip);

/* Returns the length of the frame; ends the test program if cap is too small or an address does not
 * parse. */
size_t frame_build(const struct frame_spec *spec, uint8_t *out, size_t cap);

/* The Internet checksum of RFC 1071, byte by byte, in host order: 0 over data that holds its right
 * checksum. */
uint16_t frame_checksum(const void *bytes, size_t len);
/* The checksum of an IPv4 or IPv6 packet's UDP or ICMP part, pseudo header included (not for
 * ICMPv4); 0 if right. */
uint16_t frame_l4_checksum(const uint8_t *ip_packet, size_t len);

/* pcap files (microseconds, LINKTYPE_ETHERNET), as net_pcap reads and writes them. All end the test
 * program on errors. */
FILE *frame_pcap_create(const char *path);
void frame_pcap_write(FILE *pcap, const uint8_t *frame, size_t len);
void frame_pcap_close(FILE *pcap);
FILE *frame_pcap_open(const char *path);
/* The next frame's length, or 0 at the end (also at a record that is still being written). */
size_t frame_pcap_read(FILE *pcap, uint8_t *out, size_t cap);

#endif
