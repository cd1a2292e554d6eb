/* Datagrams on their way through Ethernet, IP and UDP; packet_test.c runs them. */
#include <arpa/inet.h>

#include "packet_expect.h"

/* --- good datagrams --- */

static void
a_datagram_over_ipv4_is_taken_apart(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();
	struct parsed p = parse_spec(test_host(), &spec, 0);

	assert_int_equal(p.drop, DP_TAKEN);
	assert_int_equal(p.packet.kind, DP_PACKET_UDP4);
	assert_int_equal(p.packet.listener, 3);
	assert_int_equal(p.packet.source_port, FRAME_PEER_PORT);
	assert_int_equal(p.packet.dest_port, FRAME_OUR_PORT);
	assert_int_equal(p.packet.l3_offset, 14);
	assert_int_equal(p.packet.l4_offset, 34);
	assert_int_equal(p.packet.end_offset, 53);
	assert_ptr_equal(p.packet.payload.ptr, p.frame + 42);
	assert_true(slk_span_equal(p.packet.payload, slk_span_str("hello world")));
	assert_true(
		slk_span_equal(dp_packet_source_ip(&p.packet), slk_span("\x0a\x4d\x00\x01", 4)));
	parsed_free(&p);
}

static void
a_datagram_over_ipv6_is_taken_apart(void **state)
{
	(void)state;
	struct frame_spec spec = udp6();
	uint8_t source[16];
	struct parsed p = parse_spec(test_host(), &spec, 0);

	assert_int_equal(inet_pton(AF_INET6, FRAME_PEER_IP6, source), 1);
	assert_int_equal(p.drop, DP_TAKEN);
	assert_int_equal(p.packet.kind, DP_PACKET_UDP6);
	assert_int_equal(p.packet.listener, 3);
	assert_int_equal(p.packet.l4_offset, 54);
	assert_int_equal(p.packet.end_offset, 73);
	assert_true(slk_span_equal(p.packet.payload, slk_span_str("hello world")));
	assert_true(slk_span_equal(dp_packet_source_ip(&p.packet), slk_span(source, 16)));
	parsed_free(&p);
}

static void
padding_behind_the_packet_is_no_payload(void **state)
{
	(void)state;
	for (size_t padding = 1; padding < 40; padding++) {
		struct frame_spec spec = frame_udp4("a", 1);
		spec.padding = padding;
		struct parsed p = parse_spec(test_host(), &spec, 0);
		assert_int_equal(p.drop, DP_TAKEN);
		assert_true(slk_span_equal(p.packet.payload, slk_span_str("a")));
		assert_int_equal(p.packet.end_offset, 43);
		parsed_free(&p);
	}
}

static void
bytes_behind_the_udp_length_are_no_payload(void **state)
{
	(void)state;
	struct frame_spec spec = frame_udp4("hello", 5);
	spec.ip_length_delta = 7;
	spec.padding = 7;
	struct parsed p = parse_spec(test_host(), &spec, 0);

	assert_int_equal(p.drop, DP_TAKEN);
	assert_true(slk_span_equal(p.packet.payload, slk_span_str("hello")));
	parsed_free(&p);
}

static void
every_payload_length_up_to_the_mtu_is_taken(void **state)
{
	(void)state;
	static uint8_t payload[1500];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7 + 3);
	for (size_t len = 0; len <= 1500 - 28; len++) {
		struct frame_spec spec = frame_udp4(payload, len);
		struct parsed p = parse_spec(test_host(), &spec, 0);
		assert_int_equal(p.drop, DP_TAKEN);
		assert_true(slk_span_equal(p.packet.payload, slk_span(payload, len)));
		parsed_free(&p);
	}
	for (size_t len = 0; len <= 1500 - 48; len++) {
		struct frame_spec spec = frame_udp6(payload, len);
		expect_kind(&spec, DP_PACKET_UDP6);
	}
}

/* --- Ethernet --- */

static void
a_frame_cut_at_any_length_is_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (spec.cut = 1; spec.cut <= 39; spec.cut++)
		expect_drop(&spec, DP_DROP_TRUNCATED);
	for (spec.cut = 40; spec.cut <= 53; spec.cut++)
		expect_drop(&spec, DP_DROP_RUNT);
	spec = udp6();
	for (spec.cut = 1; spec.cut <= 59; spec.cut++)
		expect_drop(&spec, DP_DROP_TRUNCATED);
	for (spec.cut = 60; spec.cut <= 73; spec.cut++)
		expect_drop(&spec, DP_DROP_RUNT);
}

static void
a_frame_beyond_the_mtu_is_oversized(void **state)
{
	(void)state;
	static uint8_t payload[1500];
	struct frame_spec spec = frame_udp4(payload, 1472);

	spec.padding = 4; /* room of a VLAN tag */
	expect_kind(&spec, DP_PACKET_UDP4);
	spec.padding = 5;
	expect_drop(&spec, DP_DROP_OVERSIZED);
}

static void
frames_for_other_stations_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (unsigned byte = 0; byte < 6; byte++) {
		spec = udp4();
		spec.dest_mac[byte] ^= 0x10;
		expect_drop(&spec, DP_DROP_NOT_OUR_MAC);
	}
}

static void
a_source_mac_that_is_a_group_or_ours_is_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.source_mac[0] |= 1;
	expect_drop(&spec, DP_DROP_SOURCE_MAC);
	spec = udp4();
	memcpy(spec.source_mac, spec.dest_mac, 6);
	expect_drop(&spec, DP_DROP_SOURCE_MAC);
}

static void
unknown_ethertypes_and_802_3_lengths_are_dropped(void **state)
{
	(void)state;
	static const uint16_t types[] = {0x88cc, 0x0026, 0x05dc, 0x8864, 0xffff, 0x0801};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		struct frame_spec spec = frame_raw(types[i], NULL, 46);
		expect_drop(&spec, DP_DROP_ETHERTYPE);
	}
}

static void
an_untagged_port_takes_priority_tags_only(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.vlan = 0;
	expect_kind(&spec, DP_PACKET_UDP4);
	spec.vlan = 5 << 13; /* priority 5, VLAN 0 */
	expect_kind(&spec, DP_PACKET_UDP4);
	spec.vlan = 1;
	expect_drop(&spec, DP_DROP_VLAN);
	spec.cut = 53 - 14 + 1; /* the tag itself is cut */
	expect_drop(&spec, DP_DROP_TRUNCATED);
}

static void
a_tagged_port_takes_its_vlan_only(void **state)
{
	(void)state;
	static struct dp_host host;
	struct frame_spec spec = udp4();

	host = *test_host();
	host.vlan = 100;
	expect_drop_with(&host, &spec, 0, DP_DROP_VLAN);
	spec.vlan = 101;
	expect_drop_with(&host, &spec, 0, DP_DROP_VLAN);
	spec.vlan = 100 | 3 << 13;
	expect_kind_with(&host, &spec, 0, DP_PACKET_UDP4);
	spec.outer_vlan = 100;
	expect_drop_with(&host, &spec, 0, DP_DROP_VLAN);
}

static void
two_tags_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.outer_vlan = 0;
	expect_drop(&spec, DP_DROP_VLAN);
	spec.vlan = 0;
	expect_drop(&spec, DP_DROP_VLAN);
	spec = frame_raw(0x8100, NULL, 46); /* the second tag is the body's first */
	spec.vlan = 0;
	expect_drop(&spec, DP_DROP_VLAN);
}

/* --- IP --- */

static void
ipv4_headers_that_make_no_sense_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec;

	for (int version = 0; version < 16; version++) {
		spec = udp4();
		spec.ip_version_field = version;
		if (version != 4)
			expect_drop(&spec, DP_DROP_IP_MALFORMED);
	}
	for (int words = 0; words < 5; words++) {
		spec = udp4();
		spec.ip4_header_words_field = words;
		expect_drop(&spec, DP_DROP_IP_MALFORMED);
	}
	spec = udp4();
	for (int total = 0; total < 20; total++) {
		spec.ip_length_delta = total - 39;
		expect_drop(&spec, DP_DROP_IP_MALFORMED);
	}
}

static void
an_ip_length_beyond_the_frame_is_truncated(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (spec.ip_length_delta = 1; spec.ip_length_delta < 9000; spec.ip_length_delta += 111)
		expect_drop(&spec, DP_DROP_TRUNCATED);
	spec = udp6();
	for (spec.ip_length_delta = 1; spec.ip_length_delta < 9000; spec.ip_length_delta += 111)
		expect_drop(&spec, DP_DROP_TRUNCATED);
}

static void
ipv4_options_are_dropped(void **state)
{
	(void)state;
	for (unsigned words = 6; words <= 15; words++) {
		struct frame_spec spec = udp4();
		spec.ip4_header_words = words;
		expect_drop(&spec, DP_DROP_IP4_OPTIONS);
	}
}

static void
each_flipped_bit_of_an_ipv4_header_is_dropped(void **state)
{
	(void)state;
	static uint8_t frame[256];
	struct frame_spec spec = udp4();
	size_t len = frame_build(&spec, frame, sizeof(frame));

	for (unsigned bit = 14 * 8; bit < 34 * 8; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct parsed p = parse_bytes(test_host(), frame, len, 0);
		assert_int_not_equal(p.drop, DP_TAKEN);
		parsed_free(&p);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
a_wrong_ipv4_checksum_is_dropped_unless_the_port_checked_it(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (unsigned bit = 0; bit < 16; bit++) {
		spec.ip4_checksum_xor = (uint16_t)(1 << bit);
		expect_drop(&spec, DP_DROP_IP4_CHECKSUM);
		expect_drop_with(test_host(), &spec, DP_PARSE_UDP_CHECKED, DP_DROP_IP4_CHECKSUM);
	}
	expect_kind_with(test_host(), &spec, DP_PARSE_IP4_CHECKED, DP_PACKET_UDP4);
}

static void
fragments_are_dropped(void **state)
{
	(void)state;
	static const uint8_t fragment_header[8] = {17, 0, 0, 1, 0, 0, 0, 1};
	static const uint16_t fields[] = {0x2000, 0x0001, 0x1fff, 0x2100, 0x6000};
	struct frame_spec spec = udp4();

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		spec.ip4_fragment = fields[i];
		expect_drop(&spec, DP_DROP_FRAGMENT);
	}
	spec.ip4_fragment = 0x4000; /* do not fragment */
	expect_kind(&spec, DP_PACKET_UDP4);
	spec = udp6();
	spec.extension = fragment_header;
	spec.extension_len = sizeof(fragment_header);
	spec.extension_protocol = 44;
	expect_drop(&spec, DP_DROP_FRAGMENT);
}

static void
sources_that_are_no_host_are_dropped(void **state)
{
	(void)state;
	static const char *const ip4[] = {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1",
		"239.1.1.1", "240.0.0.1", "255.255.255.255", "10.77.0.255", FRAME_OUR_IP4};
	static const char *const ip6[] = {
		"::", "::1", "ff02::1", "::ffff:10.77.0.1", FRAME_OUR_IP6, FRAME_OUR_LINK_LOCAL};

	for (size_t i = 0; i < sizeof(ip4) / sizeof(ip4[0]); i++) {
		struct frame_spec spec = udp4();
		spec.source_ip = ip4[i];
		expect_drop(&spec, DP_DROP_IP_SOURCE);
	}
	for (size_t i = 0; i < sizeof(ip6) / sizeof(ip6[0]); i++) {
		struct frame_spec spec = udp6();
		spec.source_ip = ip6[i];
		expect_drop(&spec, DP_DROP_IP_SOURCE);
	}
}

static void
datagrams_to_broadcast_addresses_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.dest_ip = "255.255.255.255";
	expect_drop(&spec, DP_DROP_BROADCAST);
	spec.dest_ip = "10.77.0.255";
	expect_drop(&spec, DP_DROP_BROADCAST);
	spec = udp4(); /* our address, everyone's frame */
	memset(spec.dest_mac, 0xff, 6);
	expect_drop(&spec, DP_DROP_BROADCAST);
	spec = udp6();
	memset(spec.dest_mac, 0xff, 6);
	expect_drop(&spec, DP_DROP_BROADCAST);
}

static void
datagrams_to_groups_are_dropped(void **state)
{
	(void)state;
	static const char *const groups[] = {
		"ff02::1", "ff02::2", "ff05::1:3", "ff02::1:ff00:2", "ff02::1:ff00:3"};
	struct frame_spec spec = udp4();

	spec.dest_ip = "239.255.255.250";
	expect_drop(&spec, DP_DROP_MULTICAST);
	spec.dest_mac[0] = 0x33; /* our address in a frame to a group */
	spec.dest_ip = FRAME_OUR_IP4;
	expect_drop(&spec, DP_DROP_MULTICAST);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		spec = udp6();
		spec.dest_ip = groups[i];
		expect_drop(&spec, DP_DROP_MULTICAST);
	}
	spec = udp6();
	spec.dest_mac[0] = 0x33;
	expect_drop(&spec, DP_DROP_MULTICAST);
}

static void
datagrams_to_other_addresses_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.dest_ip = "10.77.0.3";
	expect_drop(&spec, DP_DROP_NOT_OUR_IP);
	spec.dest_ip = "241.0.0.1";
	expect_drop(&spec, DP_DROP_NOT_OUR_IP);
	spec = udp6();
	spec.dest_ip = "fd00:77::3";
	expect_drop(&spec, DP_DROP_NOT_OUR_IP);
	spec.dest_ip = FRAME_OUR_LINK_LOCAL;
	expect_kind(&spec, DP_PACKET_UDP6);
}

static void
an_address_family_that_the_host_lacks_is_dropped(void **state)
{
	(void)state;
	static struct dp_host host;
	struct frame_spec spec4 = udp4(), spec6 = udp6();

	host = *test_host();
	host.has_ip4 = false;
	memset(host.ip4, 0, 4);
	expect_drop_with(&host, &spec4, 0, DP_DROP_NOT_OUR_IP);
	expect_kind_with(&host, &spec6, 0, DP_PACKET_UDP6);
	host = *test_host();
	host.has_ip6 = false;
	expect_kind_with(&host, &spec4, 0, DP_PACKET_UDP4);
	expect_drop_with(&host, &spec6, 0, DP_DROP_NOT_OUR_IP);
	spec6.dest_ip = "ff02::1";
	expect_drop_with(&host, &spec6, 0, DP_DROP_MULTICAST);
}

static void
other_protocols_are_dropped(void **state)
{
	(void)state;
	for (int protocol = 0; protocol < 256; protocol++) {
		struct frame_spec spec = udp4();
		spec.is_udp = false;
		spec.protocol = (uint8_t)protocol;
		if (protocol != 1 && protocol != 17)
			expect_drop(&spec, DP_DROP_IP_PROTOCOL);
	}
	static const uint8_t protocols6[] = {1, 2, 4, 6, 41, 47, 59, 89, 132, 255};
	for (size_t i = 0; i < sizeof(protocols6); i++) {
		struct frame_spec spec = udp6();
		spec.is_udp = false;
		spec.protocol = protocols6[i];
		expect_drop(&spec, DP_DROP_IP_PROTOCOL);
	}
}

static void
ipv6_headers_that_make_no_sense_are_dropped(void **state)
{
	(void)state;
	for (int version = 0; version < 16; version++) {
		struct frame_spec spec = udp6();
		spec.ip_version_field = version;
		if (version != 6)
			expect_drop(&spec, DP_DROP_IP_MALFORMED);
	}
}

static void
ipv6_extension_headers_are_dropped(void **state)
{
	(void)state;
	static const uint8_t header[8] = {17, 0, 5, 2, 0, 0, 1, 0};
	static const uint8_t protocols[] = {0, 43, 50, 51, 60, 135, 139, 140};

	for (size_t i = 0; i < sizeof(protocols); i++) {
		struct frame_spec spec = udp6();
		spec.extension = header;
		spec.extension_len = sizeof(header);
		spec.extension_protocol = protocols[i];
		expect_drop(&spec, DP_DROP_IP6_EXTENSION);
	}
}

/* --- UDP --- */

static void
udp_lengths_that_make_no_sense_are_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (int len = 0; len < 8; len++) {
		spec.udp_length_delta = len - 19;
		expect_drop(&spec, DP_DROP_UDP_LENGTH);
	}
	for (spec.udp_length_delta = 1; spec.udp_length_delta < 2000; spec.udp_length_delta += 13)
		expect_drop(&spec, DP_DROP_UDP_LENGTH);
	spec = udp6();
	spec.udp_length_delta = 1;
	expect_drop(&spec, DP_DROP_UDP_LENGTH);
}

static void
a_packet_without_room_for_a_udp_header_is_dropped(void **state)
{
	(void)state;
	for (size_t len = 0; len < 8; len++) {
		struct frame_spec spec = frame_udp4(NULL, len);
		spec.is_udp = false;
		expect_drop(&spec, DP_DROP_UDP_LENGTH);
		spec = frame_udp6(NULL, len);
		spec.is_udp = false;
		expect_drop(&spec, DP_DROP_UDP_LENGTH);
	}
}

static void
every_port_but_the_listeners_is_dropped(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (unsigned port = 0; port <= 65535; port += 1) {
		spec.dest_port = (uint16_t)port;
		if (port != FRAME_OUR_PORT)
			expect_drop(&spec, DP_DROP_UDP_PORT);
	}
}

static void
a_wrong_udp_checksum_is_dropped_unless_the_port_checked_it(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	for (unsigned bit = 0; bit < 16; bit++) {
		spec = udp4();
		spec.udp_checksum_xor = (uint16_t)(1 << bit);
		expect_drop(&spec, DP_DROP_UDP_CHECKSUM);
		expect_drop_with(test_host(), &spec, DP_PARSE_IP4_CHECKED, DP_DROP_UDP_CHECKSUM);
		expect_kind_with(test_host(), &spec, DP_PARSE_UDP_CHECKED, DP_PACKET_UDP4);
		spec = udp6();
		spec.udp_checksum_xor = (uint16_t)(1 << bit);
		expect_drop(&spec, DP_DROP_UDP_CHECKSUM);
	}
}

static void
each_flipped_bit_of_a_payload_is_dropped(void **state)
{
	(void)state;
	static uint8_t frame[256];
	struct frame_spec spec = udp4();
	size_t len = frame_build(&spec, frame, sizeof(frame));

	for (unsigned bit = 42 * 8; bit < len * 8; bit++) {
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
		struct parsed p = parse_bytes(test_host(), frame, len, 0);
		assert_int_equal(p.drop, DP_DROP_UDP_CHECKSUM);
		parsed_free(&p);
		frame[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
no_udp_checksum_is_right_over_ipv4_and_wrong_over_ipv6(void **state)
{
	(void)state;
	struct frame_spec spec = udp4();

	spec.udp_no_checksum = true;
	expect_kind(&spec, DP_PACKET_UDP4);
	spec = udp6();
	spec.udp_no_checksum = true;
	expect_drop(&spec, DP_DROP_UDP_NO_CHECKSUM);
	expect_drop_with(test_host(), &spec, DP_PARSE_UDP_CHECKED, DP_DROP_UDP_NO_CHECKSUM);
}

/* A sum of zero is sent as 0xffff, since zero means none (RFC 768). */
static void
a_udp_checksum_of_ffff_is_taken(void **state)
{
	(void)state;
	uint8_t payload[2] = {0, 0};
	static uint8_t frame[64];
	struct frame_spec spec = frame_udp4(payload, 2);

	frame_build(&spec, frame, sizeof(frame));
	memcpy(payload, frame + 40, 2); /* the payload makes up for the checksum */
	size_t len = frame_build(&spec, frame, sizeof(frame));
	assert_memory_equal(frame + 40, "\xff\xff", 2);
	struct parsed p = parse_bytes(test_host(), frame, len, 0);
	assert_int_equal(p.drop, DP_TAKEN);
	parsed_free(&p);
}

int
run_packet_datagrams(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_over_ipv4_is_taken_apart),
		cmocka_unit_test(a_datagram_over_ipv6_is_taken_apart),
		cmocka_unit_test(padding_behind_the_packet_is_no_payload),
		cmocka_unit_test(bytes_behind_the_udp_length_are_no_payload),
		cmocka_unit_test(every_payload_length_up_to_the_mtu_is_taken),
		cmocka_unit_test(a_frame_cut_at_any_length_is_dropped),
		cmocka_unit_test(a_frame_beyond_the_mtu_is_oversized),
		cmocka_unit_test(frames_for_other_stations_are_dropped),
		cmocka_unit_test(a_source_mac_that_is_a_group_or_ours_is_dropped),
		cmocka_unit_test(unknown_ethertypes_and_802_3_lengths_are_dropped),
		cmocka_unit_test(an_untagged_port_takes_priority_tags_only),
		cmocka_unit_test(a_tagged_port_takes_its_vlan_only),
		cmocka_unit_test(two_tags_are_dropped),
		cmocka_unit_test(ipv4_headers_that_make_no_sense_are_dropped),
		cmocka_unit_test(an_ip_length_beyond_the_frame_is_truncated),
		cmocka_unit_test(ipv4_options_are_dropped),
		cmocka_unit_test(each_flipped_bit_of_an_ipv4_header_is_dropped),
		cmocka_unit_test(a_wrong_ipv4_checksum_is_dropped_unless_the_port_checked_it),
		cmocka_unit_test(fragments_are_dropped),
		cmocka_unit_test(sources_that_are_no_host_are_dropped),
		cmocka_unit_test(datagrams_to_broadcast_addresses_are_dropped),
		cmocka_unit_test(datagrams_to_groups_are_dropped),
		cmocka_unit_test(datagrams_to_other_addresses_are_dropped),
		cmocka_unit_test(an_address_family_that_the_host_lacks_is_dropped),
		cmocka_unit_test(other_protocols_are_dropped),
		cmocka_unit_test(ipv6_headers_that_make_no_sense_are_dropped),
		cmocka_unit_test(ipv6_extension_headers_are_dropped),
		cmocka_unit_test(udp_lengths_that_make_no_sense_are_dropped),
		cmocka_unit_test(a_packet_without_room_for_a_udp_header_is_dropped),
		cmocka_unit_test(every_port_but_the_listeners_is_dropped),
		cmocka_unit_test(a_wrong_udp_checksum_is_dropped_unless_the_port_checked_it),
		cmocka_unit_test(each_flipped_bit_of_a_payload_is_dropped),
		cmocka_unit_test(no_udp_checksum_is_right_over_ipv4_and_wrong_over_ipv6),
		cmocka_unit_test(a_udp_checksum_of_ffff_is_taken),
	};

	return cmocka_run_group_tests_name("dpnet_packet_datagrams", tests, NULL, NULL);
}
