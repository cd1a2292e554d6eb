#include <arpa/inet.h>

#include "packet_expect.h"

/* --- ARP --- */

static const uint8_t peer_mac[6] = FRAME_PEER_MAC;
static const uint8_t our_mac[6] = FRAME_OUR_MAC;
static const uint8_t nobody[6];

static struct frame_spec
arp(uint8_t body[28], uint16_t operation, const char *sender_ip, const char *target_ip)
{
	frame_arp(body, operation, peer_mac, sender_ip, nobody, target_ip);
	struct frame_spec spec = frame_raw(0x0806, body, 28);
	memset(spec.dest_mac, 0xff, 6);
	return spec;
}

static void
arp_questions_for_our_address_are_taken(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp(body, 1, FRAME_PEER_IP4, FRAME_OUR_IP4);

	expect_kind(&spec, DP_PACKET_ARP);
	memcpy(spec.dest_mac, our_mac, 6); /* a neighbour that checks whether we are still there */
	spec.padding = 18;
	expect_kind(&spec, DP_PACKET_ARP);
	spec = arp(body, 1, "0.0.0.0", FRAME_OUR_IP4); /* a probe */
	expect_kind(&spec, DP_PACKET_ARP);
}

static void
other_arp_messages_are_dropped(void **state)
{
	(void)state;
	static struct dp_host host;
	uint8_t body[28];
	struct frame_spec spec = arp(body, 1, FRAME_PEER_IP4, "10.77.0.3");

	expect_drop(&spec, DP_DROP_ARP_NOT_OURS);
	spec = arp(body, 2, FRAME_PEER_IP4, FRAME_OUR_IP4); /* an answer that nobody asked for */
	expect_drop(&spec, DP_DROP_ARP_NOT_OURS);
	spec = arp(body, 1, FRAME_PEER_IP4, FRAME_OUR_IP4);
	spec.dest_mac[0] = 0x33;
	expect_drop(&spec, DP_DROP_MULTICAST);
	host = *test_host();
	host.has_ip4 = false;
	spec = arp(body, 1, FRAME_PEER_IP4, FRAME_OUR_IP4);
	expect_drop_with(&host, &spec, 0, DP_DROP_ARP_NOT_OURS);
}

static void
another_station_with_our_ipv4_address_is_a_conflict(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp(body, 1, FRAME_OUR_IP4, FRAME_OUR_IP4);

	expect_drop(&spec, DP_DROP_ADDRESS_CONFLICT);
	spec = arp(body, 2, FRAME_OUR_IP4, FRAME_PEER_IP4);
	expect_drop(&spec, DP_DROP_ADDRESS_CONFLICT);
}

static void
malformed_arp_is_dropped(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp(body, 1, FRAME_PEER_IP4, FRAME_OUR_IP4);

	for (spec.cut = 1; spec.cut <= 28; spec.cut++)
		expect_drop(&spec, DP_DROP_TRUNCATED);
	spec.cut = 0;
	for (unsigned bit = 0; bit < 6 * 8; bit++) {
		body[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_drop(&spec, DP_DROP_ARP_MALFORMED);
		body[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	spec.source_mac[5] ^= 1; /* the message names another station than the frame */
	expect_drop(&spec, DP_DROP_ARP_MALFORMED);
	spec = arp(body, 1, "224.0.0.1", FRAME_OUR_IP4);
	expect_drop(&spec, DP_DROP_ARP_MALFORMED);
}

/* --- ICMP --- */

static void
echo_requests_to_us_are_taken(void **state)
{
	(void)state;
	uint8_t echo4[12] = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'd', 'a', 't', 'a'};
	uint8_t echo6[12] = {128, 0, 0, 0, 0x12, 0x34, 0, 1, 'd', 'a', 't', 'a'};
	struct frame_spec spec = frame_icmp4(echo4, sizeof(echo4));
	struct parsed p = parse_spec(test_host(), &spec, 0);

	assert_int_equal(p.packet.kind, DP_PACKET_ECHO4);
	assert_true(slk_span_equal(p.packet.payload, slk_span(echo4 + 4, 8)));
	parsed_free(&p);
	spec = frame_icmp6(echo6, sizeof(echo6));
	p = parse_spec(test_host(), &spec, 0);
	assert_int_equal(p.packet.kind, DP_PACKET_ECHO6);
	assert_true(slk_span_equal(p.packet.payload, slk_span(echo6 + 4, 8)));
	parsed_free(&p);
}

static void
other_icmp_types_are_dropped(void **state)
{
	(void)state;
	uint8_t body[32] = {0};

	for (unsigned type = 0; type < 256; type++) {
		body[0] = (uint8_t)type;
		struct frame_spec spec = frame_icmp4(body, sizeof(body));
		if (type != 8)
			expect_drop(&spec, DP_DROP_ICMP_TYPE);
		spec = frame_icmp6(body, sizeof(body));
		if (type != 128 && type != 130 && type != 135 && type != 136)
			expect_drop(&spec, DP_DROP_ICMP_TYPE);
	}
}

static void
icmp_with_a_wrong_checksum_is_dropped_whatever_the_port_checked(void **state)
{
	(void)state;
	uint8_t echo4[8] = {8}, echo6[8] = {128};
	struct frame_spec spec = frame_icmp4(echo4, sizeof(echo4));

	spec.icmp_checksum_xor = 0x0100;
	expect_drop_with(test_host(), &spec, DP_PARSE_IP4_CHECKED | DP_PARSE_UDP_CHECKED,
		DP_DROP_ICMP_CHECKSUM);
	spec = frame_icmp6(echo6, sizeof(echo6));
	spec.icmp_checksum_xor = 0x0001;
	expect_drop_with(test_host(), &spec, DP_PARSE_UDP_CHECKED, DP_DROP_ICMP_CHECKSUM);
}

static void
short_icmp_and_echo_with_a_code_are_malformed(void **state)
{
	(void)state;
	uint8_t echo4[8] = {8}, echo6[8] = {128};

	for (size_t len = 0; len < 8; len++) {
		struct frame_spec spec = frame_icmp4(echo4, len);
		expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
		spec = frame_icmp6(echo6, len);
		expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	}
	echo4[1] = echo6[1] = 1;
	struct frame_spec spec = frame_icmp4(echo4, 8);
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	spec = frame_icmp6(echo6, 8);
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
}

static void
echo_to_all_nodes_or_from_nowhere_is_dropped(void **state)
{
	(void)state;
	uint8_t echo6[8] = {128};
	struct frame_spec spec = frame_icmp6(echo6, 8);

	spec.dest_ip = "ff02::1";
	spec.dest_mac[0] = 0x33;
	expect_drop(&spec, DP_DROP_MULTICAST);
	spec = frame_icmp6(echo6, 8);
	spec.source_ip = "::";
	expect_drop(&spec, DP_DROP_IP_SOURCE);
}

/* --- neighbour discovery --- */

struct nd {
	uint8_t body[40];
	struct frame_spec spec;
};

/* A solicitation for target with a source link-layer option, to its solicited-node group. */
static void
nd_solicit(struct nd *nd, const char *target, const char *group)
{
	memset(nd->body, 0, sizeof(nd->body));
	nd->body[0] = 135;
	assert_int_equal(inet_pton(AF_INET6, target, nd->body + 8), 1);
	nd->body[24] = 1;
	nd->body[25] = 1;
	memcpy(nd->body + 26, peer_mac, 6);
	nd->spec = frame_icmp6(nd->body, 32);
	nd->spec.dest_ip = group;
	nd->spec.dest_mac[0] = nd->spec.dest_mac[1] = 0x33;
}

static void
solicitations_for_both_our_addresses_are_taken(void **state)
{
	(void)state;
	struct nd nd;

	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2");
	expect_kind(&nd.spec, DP_PACKET_ND);
	nd_solicit(&nd, FRAME_OUR_LINK_LOCAL, "ff02::1:ff00:202");
	expect_kind(&nd.spec, DP_PACKET_ND);
	nd_solicit(&nd, FRAME_OUR_IP6, FRAME_OUR_IP6); /* unicast, without option */
	memcpy(nd.spec.dest_mac, our_mac, 6);
	nd.spec.body_len = 24;
	expect_kind(&nd.spec, DP_PACKET_ND);
	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2"); /* duplicate address detection */
	nd.spec.body_len = 24;
	nd.spec.source_ip = "::";
	expect_kind(&nd.spec, DP_PACKET_ND);
}

static void
solicitations_for_others_are_dropped(void **state)
{
	(void)state;
	struct nd nd;

	nd_solicit(&nd, "fd00:78::2", "ff02::1:ff00:2");
	expect_drop(&nd.spec, DP_DROP_ND_NOT_OURS);
	nd_solicit(&nd, "fd00:77::3", "ff02::1:ff00:3");
	expect_drop(&nd.spec, DP_DROP_MULTICAST);
}

static void
solicitations_against_rfc_4861_are_dropped(void **state)
{
	(void)state;
	struct nd nd;

	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2");
	nd.spec.hop_limit = 254;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2");
	nd.body[1] = 1;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd_solicit(&nd, "ff02::1", "ff02::1:ff00:2");
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2");
	nd.body[25] = 0;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd.body[25] = 2;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd.body[25] = 1;
	for (nd.spec.body_len = 8; nd.spec.body_len < 32; nd.spec.body_len++) {
		if (nd.spec.body_len != 24)
			expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	}
}

static void
probes_against_rfc_4861_are_dropped(void **state)
{
	(void)state;
	struct nd nd;

	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2"); /* with a source option */
	nd.spec.source_ip = "::";
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1"); /* not to a solicited-node group */
	nd.spec.source_ip = "::";
	nd.spec.body_len = 24;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
	nd_solicit(&nd, FRAME_OUR_IP6, FRAME_OUR_IP6);
	memcpy(nd.spec.dest_mac, our_mac, 6);
	nd.spec.source_ip = "::";
	nd.spec.body_len = 24;
	expect_drop(&nd.spec, DP_DROP_ICMP_MALFORMED);
}

static void
an_advertisement_of_our_ipv6_address_is_a_conflict(void **state)
{
	(void)state;
	struct nd nd;

	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1");
	nd.body[0] = 136;
	expect_drop(&nd.spec, DP_DROP_ADDRESS_CONFLICT);
	nd_solicit(&nd, FRAME_PEER_IP6, "ff02::1");
	nd.body[0] = 136;
	expect_drop(&nd.spec, DP_DROP_ICMP_TYPE);
}

/* --- MLD --- */

static const uint8_t router_alert_first[8] = {58, 0, 5, 2, 0, 0, 1, 0};
static const uint8_t router_alert_last[8] = {58, 0, 1, 0, 5, 2, 0, 0};

static struct frame_spec
mld_query(uint8_t body[28])
{
	memset(body, 0, 28);
	body[0] = 130;
	struct frame_spec spec = frame_icmp6(body, 28);
	spec.hop_limit = 1;
	spec.source_ip = "fe80::1";
	spec.dest_ip = "ff02::1";
	spec.dest_mac[0] = spec.dest_mac[1] = 0x33;
	spec.extension = router_alert_first;
	spec.extension_len = 8;
	spec.extension_protocol = 0;
	return spec;
}

static void
mld_queries_are_taken(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = mld_query(body);

	expect_kind(&spec, DP_PACKET_MLD_QUERY);
	spec.extension = router_alert_last;
	expect_kind(&spec, DP_PACKET_MLD_QUERY);
}

static void
mld_queries_against_the_standard_are_dropped(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = mld_query(body);

	spec.hop_limit = 2;
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	spec = mld_query(body);
	spec.source_ip = FRAME_PEER_IP6;
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	spec = mld_query(body);
	spec.extension = NULL;
	spec.extension_len = 0;
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	spec = mld_query(body);
	spec.body_len = 20;
	expect_drop(&spec, DP_DROP_ICMP_MALFORMED);
	spec.body_len = 24; /* version 1 */
	expect_drop(&spec, DP_DROP_ICMP_TYPE);
	spec = mld_query(body);
	body[0] = 128; /* anything else behind a router alert */
	expect_drop(&spec, DP_DROP_IP6_EXTENSION);
}

/* --- the whole --- */

static void
every_frame_reason_was_reached_and_no_record_reason(void **state)
{
	(void)state;
#define X(constant, name, sentence) \
	if (!reached[DP_DROP_##constant]) \
		fail_msg("no frame of this test is dropped as %s", name);
	DP_DROP_FRAME_LIST(X)
#undef X
#define X(constant, name, sentence) assert_false(reached[DP_DROP_##constant]);
	DP_DROP_RECORD_LIST(X)
#undef X
}

/* Frames that parse must lie wholly inside what was given, whatever was done to them. */
static void
mutated_frames_stay_inside_their_bytes(void **state)
{
	(void)state;
	static uint8_t frame[FRAME_CAP];
	uint8_t arp_body[28], mld_body[28], echo[16] = {8};
	uint64_t seed = 7;
	struct nd nd;
	nd_solicit(&nd, FRAME_OUR_IP6, "ff02::1:ff00:2");
	const struct frame_spec specs[] = {udp4(), udp6(),
		arp(arp_body, 1, FRAME_PEER_IP4, FRAME_OUR_IP4), nd.spec, mld_query(mld_body),
		frame_icmp4(echo, sizeof(echo))};

	for (unsigned i = 0; i < 60000; i++) {
		size_t len = frame_build(&specs[i % 6], frame, sizeof(frame));
		for (unsigned flips = test_random(&seed) % 4; flips > 0; flips--)
			frame[test_random(&seed) % len] = (uint8_t)test_random(&seed);
		if (i % 3 == 0)
			len = test_random(&seed) % (len + 1);
		struct parsed p = parse_bytes(test_host(), frame, len, i / 6 % 4);
		if (p.drop == DP_TAKEN) {
			assert_int_not_equal(p.packet.kind, DP_PACKET_NONE);
			assert_true(p.packet.end_offset <= len);
			assert_true(p.packet.l3_offset < p.packet.end_offset);
			if (p.packet.payload.len > 0)
				assert_true(p.packet.payload.ptr + p.packet.payload.len <=
					p.frame + len);
		}
		parsed_free(&p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_questions_for_our_address_are_taken),
		cmocka_unit_test(other_arp_messages_are_dropped),
		cmocka_unit_test(another_station_with_our_ipv4_address_is_a_conflict),
		cmocka_unit_test(malformed_arp_is_dropped),
		cmocka_unit_test(echo_requests_to_us_are_taken),
		cmocka_unit_test(other_icmp_types_are_dropped),
		cmocka_unit_test(icmp_with_a_wrong_checksum_is_dropped_whatever_the_port_checked),
		cmocka_unit_test(short_icmp_and_echo_with_a_code_are_malformed),
		cmocka_unit_test(echo_to_all_nodes_or_from_nowhere_is_dropped),
		cmocka_unit_test(solicitations_for_both_our_addresses_are_taken),
		cmocka_unit_test(solicitations_for_others_are_dropped),
		cmocka_unit_test(solicitations_against_rfc_4861_are_dropped),
		cmocka_unit_test(probes_against_rfc_4861_are_dropped),
		cmocka_unit_test(an_advertisement_of_our_ipv6_address_is_a_conflict),
		cmocka_unit_test(mld_queries_are_taken),
		cmocka_unit_test(mld_queries_against_the_standard_are_dropped),
		cmocka_unit_test(every_frame_reason_was_reached_and_no_record_reason),
		cmocka_unit_test(mutated_frames_stay_inside_their_bytes),
	};

	int failed = run_packet_datagrams(); /* first: the whole counts what they reached */
	return failed + cmocka_run_group_tests_name("dpnet_packet", tests, NULL, NULL);
}
