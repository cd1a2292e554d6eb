#include "frames.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define PCAP_MAGIC 0xa1b2c3d4u
#define PCAP_SNAPLEN 262144u
#define LINKTYPE_ETHERNET 1u

#define die(...) \
	do { \
		fputs("frames: ", stderr); \
		fprintf(stderr, __VA_ARGS__); \
		fputc('\n', stderr); \
		abort(); \
	} while (0)

/* --- specs --- */

static struct frame_spec
base_spec(const void *body, size_t len)
{
	return (struct frame_spec){
		.dest_mac = FRAME_OUR_MAC,
		.source_mac = FRAME_PEER_MAC,
		.vlan = -1,
		.outer_vlan = -1,
		.ip_version_field = -1,
		.ip4_header_words = 5,
		.ip4_header_words_field = -1,
		.hop_limit = 64,
		.source_port = FRAME_PEER_PORT,
		.dest_port = FRAME_OUR_PORT,
		.body = body,
		.body_len = len,
	};
}

static struct frame_spec
ip_spec(int version, uint8_t protocol, const void *body, size_t len)
{
	struct frame_spec spec = base_spec(body, len);

	spec.ip_version = version;
	spec.source_ip = version == 4 ? FRAME_PEER_IP4 : FRAME_PEER_IP6;
	spec.dest_ip = version == 4 ? FRAME_OUR_IP4 : FRAME_OUR_IP6;
	spec.protocol = protocol;
	spec.is_udp = protocol == 17;
	spec.is_icmp = !spec.is_udp;
	return spec;
}

struct frame_spec
frame_udp4(const void *payload, size_t len)
{
	return ip_spec(4, 17, payload, len);
}

struct frame_spec
frame_udp6(const void *payload, size_t len)
{
	return ip_spec(6, 17, payload, len);
}

struct frame_spec
frame_icmp4(const void *icmp, size_t len)
{
	return ip_spec(4, 1, icmp, len);
}

struct frame_spec
frame_icmp6(const void *icmp, size_t len)
{
	struct frame_spec spec = ip_spec(6, 58, icmp, len);
	spec.hop_limit = 255;
	return spec;
}

struct frame_spec
frame_raw(uint16_t ethertype, const void *body, size_t len)
{
	struct frame_spec spec = base_spec(body, len);
	spec.ethertype = ethertype;
	return spec;
}

/* --- writing --- */

struct out {
	uint8_t *p;
	size_t len, cap;
};

static void
put(struct out *o, const void *bytes, size_t len)
{
	if (len > o->cap - o->len)
		die("a frame of more than %zu bytes", o->cap);
	if (bytes != NULL)
		memcpy(o->p + o->len, bytes, len);
	else
		memset(o->p + o->len, 0, len);
	o->len += len;
}

static void
put8(struct out *o, unsigned v)
{
	uint8_t byte = (uint8_t)v;
	put(o, &byte, 1);
}

static void
put16(struct out *o, unsigned v)
{
	put8(o, v >> 8);
	put8(o, v & 255);
}

static void
set16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void
put_ip(struct out *o, int family, const char *text)
{
	uint8_t ip[16];
	if (inet_pton(family, text, ip) != 1)
		die("no address: %s", text);
	put(o, ip, family == AF_INET ? 4 : 16);
}

static uint32_t
sum_bytes(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

uint16_t
frame_checksum(const void *bytes, size_t len)
{
	return (uint16_t)~sum_bytes(0, bytes, len);
}

static uint16_t
l4_checksum(const uint8_t *addresses, size_t addresses_len, uint8_t protocol, const uint8_t *l4,
	size_t len)
{
	const uint8_t tail[4] = {(uint8_t)(len >> 8), (uint8_t)len, 0, protocol};
	uint32_t sum = 0;

	if (protocol != 1) {
		sum = sum_bytes(sum, addresses, addresses_len);
		sum = sum_bytes(sum, tail, sizeof(tail));
	}
	return (uint16_t)~sum_bytes(sum, l4, len);
}

uint16_t
frame_l4_checksum(const uint8_t *ip, size_t len)
{
	if (ip[0] >> 4 == 4) {
		size_t header = (ip[0] & 15u) * 4u;
		size_t total = (size_t)ip[2] << 8 | ip[3];
		if (total > len || header > total)
			die("no IPv4 packet");
		return l4_checksum(ip + 12, 8, ip[9], ip + header, total - header);
	}
	size_t header = 40, total = 40 + ((size_t)ip[4] << 8 | ip[5]);
	uint8_t protocol = ip[6];
	if (total > len)
		die("no IPv6 packet");
	if (protocol == 0) {
		protocol = ip[40];
		header += (ip[41] + 1u) * 8u;
	}
	return l4_checksum(ip + 8, 32, protocol, ip + header, total - header);
}

static void
put_ether(struct out *o, const struct frame_spec *spec)
{
	unsigned type = spec->ip_version == 4 ? 0x0800 : 0x86dd;

	put(o, spec->dest_mac, 6);
	put(o, spec->source_mac, 6);
	if (spec->outer_vlan >= 0) {
		put16(o, 0x88a8);
		put16(o, (unsigned)spec->outer_vlan);
	}
	if (spec->vlan >= 0) {
		put16(o, 0x8100);
		put16(o, (unsigned)spec->vlan);
	}
	put16(o, spec->ethertype != 0 ? spec->ethertype : type);
}

static unsigned
version_field(const struct frame_spec *spec)
{
	return (unsigned)(spec->ip_version_field >= 0 ? spec->ip_version_field : spec->ip_version);
}

static void
put_ip4(struct out *o, const struct frame_spec *spec, size_t l4_len)
{
	size_t at = o->len, header = (size_t)spec->ip4_header_words * 4;
	unsigned words = spec->ip4_header_words_field >= 0 ? (unsigned)spec->ip4_header_words_field
							   : spec->ip4_header_words;

	put8(o, version_field(spec) << 4 | words);
	put8(o, 0);
	put16(o, (unsigned)((int)(header + l4_len) + spec->ip_length_delta));
	put16(o, 0x1234);
	put16(o, spec->ip4_fragment);
	put8(o, spec->hop_limit);
	put8(o, spec->protocol);
	put16(o, 0);
	put_ip(o, AF_INET, spec->source_ip);
	put_ip(o, AF_INET, spec->dest_ip);
	for (size_t i = 20; i < header; i++)
		put8(o, 1); /* no operation */
	set16(o->p + at + 10, frame_checksum(o->p + at, header) ^ spec->ip4_checksum_xor);
}

static void
put_ip6(struct out *o, const struct frame_spec *spec, size_t l4_len)
{
	put8(o, version_field(spec) << 4);
	put(o, NULL, 3);
	put16(o, (unsigned)((int)(spec->extension_len + l4_len) + spec->ip_length_delta));
	put8(o, spec->extension != NULL ? spec->extension_protocol : spec->protocol);
	put8(o, spec->hop_limit);
	put_ip(o, AF_INET6, spec->source_ip);
	put_ip(o, AF_INET6, spec->dest_ip);
	put(o, spec->extension, spec->extension_len);
}

/* addresses: offset of the pseudo header's addresses in the frame. */
static void
put_l4(struct out *o, const struct frame_spec *spec, size_t addresses)
{
	size_t at = o->len, addresses_len = spec->ip_version == 4 ? 8 : 32;

	if (spec->is_udp) {
		put16(o, spec->source_port);
		put16(o, spec->dest_port);
		put16(o, (unsigned)((int)(8 + spec->body_len) + spec->udp_length_delta));
		put16(o, 0);
	}
	put(o, spec->body, spec->body_len);
	uint16_t sum = spec->ip_version == 0 ? 0
					     : l4_checksum(o->p + addresses, addresses_len,
						       spec->protocol, o->p + at, o->len - at);
	if (spec->is_udp && !spec->udp_no_checksum)
		set16(o->p + at + 6, (sum == 0 ? 0xffff : sum) ^ spec->udp_checksum_xor);
	if (spec->is_icmp && spec->body_len >= 4) {
		set16(o->p + at + 2, 0);
		sum = l4_checksum(
			o->p + addresses, addresses_len, spec->protocol, o->p + at, o->len - at);
		set16(o->p + at + 2, sum ^ spec->icmp_checksum_xor);
	}
}

size_t
frame_build(const struct frame_spec *spec, uint8_t *out, size_t cap)
{
	struct out o = {out, 0, cap};
	size_t l4_len = spec->body_len + (spec->is_udp ? 8 : 0), l3;

	put_ether(&o, spec);
	l3 = o.len;
	if (spec->ip_version == 4)
		put_ip4(&o, spec, l4_len);
	else if (spec->ip_version == 6)
		put_ip6(&o, spec, l4_len);
	put_l4(&o, spec, l3 + (spec->ip_version == 4 ? 12 : 8));
	for (size_t i = 0; i < spec->padding; i++)
		put8(&o, 0xee);
	if (spec->cut > o.len)
		die("cut more than there is");
	return o.len - spec->cut;
}

void
frame_arp(uint8_t out[28], uint16_t operation, const uint8_t sender_mac[6], const char *sender_ip,
	const uint8_t target_mac[6], const char *target_ip)
{
	struct out o = {out, 0, 28};

	put16(&o, 1);
	put16(&o, 0x0800);
	put8(&o, 6);
	put8(&o, 4);
	put16(&o, operation);
	put(&o, sender_mac, 6);
	put_ip(&o, AF_INET, sender_ip);
	put(&o, target_mac, 6);
	put_ip(&o, AF_INET, target_ip);
}

/* --- pcap --- */

struct pcap_file_header {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, linktype;
};

struct pcap_record_header {
	uint32_t seconds, microseconds, captured, length;
};

FILE *
frame_pcap_create(const char *path)
{
	const struct pcap_file_header header = {
		PCAP_MAGIC, 2, 4, 0, 0, PCAP_SNAPLEN, LINKTYPE_ETHERNET};
	FILE *pcap = fopen(path, "wb");

	if (pcap == NULL || fwrite(&header, sizeof(header), 1, pcap) != 1)
		die("cannot write %s", path);
	return pcap;
}

void
frame_pcap_write(FILE *pcap, const uint8_t *frame, size_t len)
{
	const struct pcap_record_header header = {0, 0, (uint32_t)len, (uint32_t)len};

	if (fwrite(&header, sizeof(header), 1, pcap) != 1 || fwrite(frame, 1, len, pcap) != len)
		die("cannot write a pcap record");
}

void
frame_pcap_close(FILE *pcap)
{
	if (fclose(pcap) != 0)
		die("cannot close a pcap file");
}

FILE *
frame_pcap_open(const char *path)
{
	struct pcap_file_header header;
	FILE *pcap = fopen(path, "rb");

	/* the second magic is that of nanosecond files, which differ in nothing that is read here
	 */
	if (pcap == NULL || fread(&header, sizeof(header), 1, pcap) != 1 ||
		(header.magic != PCAP_MAGIC && header.magic != 0xa1b23c4du) ||
		header.linktype != LINKTYPE_ETHERNET)
		die("%s is no pcap file of Ethernet frames", path);
	return pcap;
}

size_t
frame_pcap_read(FILE *pcap, uint8_t *out, size_t cap)
{
	struct pcap_record_header header;

	if (fread(&header, sizeof(header), 1, pcap) != 1)
		return 0;
	if (header.captured > cap)
		die("a pcap record of %u bytes", header.captured);
	return fread(out, 1, header.captured, pcap) == header.captured ? header.captured : 0;
}
