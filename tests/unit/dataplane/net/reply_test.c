/* The golden frames were made by an independent program (Python, struct and ipaddress) from the
 * standards. */
#include "dpnet_test.h"

#include <arpa/inet.h>

#include "net/reply.h"

static const uint8_t peer_mac[6] = FRAME_PEER_MAC;
static const uint8_t our_mac[6] = FRAME_OUR_MAC;
static const uint8_t nobody[6];

static void
assert_frame(const uint8_t *frame, size_t len, const char *want_hex)
{
	char hex[512];

	slk_hex(slk_span(frame, len), hex, sizeof(hex));
	assert_string_equal(hex, want_hex);
}

/* Answer spec into a buffer of exactly the answer's size, which the reply must not leave. */
static void
expect_reply_with(const struct dp_host *host, const struct frame_spec *spec, const char *want_hex)
{
	struct parsed p = parse_spec(host, spec, 0);
	size_t cap = strlen(want_hex) / 2, len = 0;
	uint8_t *out = malloc(cap);

	assert_int_equal(p.drop, DP_TAKEN);
	assert_non_null(out);
	for (size_t small = 0; small < cap; small++) {
		assert_int_equal(dp_reply_build(host, &p.packet, out, small, &len), SLK_FULL);
		assert_int_equal(len, 0);
	}
	assert_ok(dp_reply_build(host, &p.packet, out, cap, &len));
	assert_frame(out, len, want_hex);
	free(out);
	parsed_free(&p);
}

static void
expect_reply(const struct frame_spec *spec, const char *want_hex)
{
	expect_reply_with(test_host(), spec, want_hex);
}

/* --- ARP --- */

static struct frame_spec
arp_question(uint8_t body[28], const char *sender_ip)
{
	frame_arp(body, 1, peer_mac, sender_ip, nobody, FRAME_OUR_IP4);
	struct frame_spec spec = frame_raw(0x0806, body, 28);
	memset(spec.dest_mac, 0xff, 6);
	return spec;
}

static void
an_arp_question_is_answered(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp_question(body, FRAME_PEER_IP4);

	spec.padding = 18;
	expect_reply(&spec,
		"020000000101020000000202080600010800060400020200000002020a4d0002"
		"0200000001010a4d0001");
}

static void
an_arp_probe_is_answered_to_the_prober(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp_question(body, "0.0.0.0");

	expect_reply(&spec,
		"020000000101020000000202080600010800060400020200000002020a4d0002"
		"02000000010100000000");
}

static void
the_tag_of_the_question_is_in_the_answer(void **state)
{
	(void)state;
	uint8_t body[28];
	struct frame_spec spec = arp_question(body, FRAME_PEER_IP4);

	spec.vlan = 5 << 13;
	expect_reply(&spec,
		"0200000001010200000002028100a000080600010800060400020200000002020a4d0002"
		"0200000001010a4d0001");
}

/* --- echo --- */

static void
an_echo_request_comes_back(void **state)
{
	(void)state;
	uint8_t echo4[12] = {8, 0, 0, 0, 0x12, 0x34, 0, 1, 'd', 'a', 't', 'a'};
	uint8_t echo6[12] = {128, 0, 0, 0, 0x12, 0x34, 0, 1, 'd', 'a', 't', 'a'};
	struct frame_spec spec = frame_icmp4(echo4, sizeof(echo4));

	spec.padding = 14; /* of the request; not sent back */
	expect_reply(&spec,
		"02000000010102000000020208004500002000004000400126410a4d00020a4d"
		"0001000015081234000164617461");
	spec = frame_icmp6(echo6, sizeof(echo6));
	expect_reply(&spec,
		"02000000010102000000020286dd60000000000c3a40fd000077000000000000"
		"000000000002fd000077000000000000000000000001810098ce123400016461"
		"7461");
}

/* Of every length, with right checksums, never longer than the request, and the same bytes. */
static void
echo_replies_of_every_length_are_right(void **state)
{
	(void)state;
	static uint8_t icmp[1480], out[1600];
	uint64_t seed = 3;

	for (size_t len = 8; len <= sizeof(icmp); len += len < 64 ? 1 : 37) {
		for (int version = 4; version <= 6; version += 2) {
			if (version == 6 && len > 1460)
				continue;
			for (size_t i = 0; i < len; i++)
				icmp[i] = (uint8_t)test_random(&seed);
			icmp[0] = version == 4 ? 8 : 128;
			icmp[1] = 0;
			struct frame_spec spec =
				version == 4 ? frame_icmp4(icmp, len) : frame_icmp6(icmp, len);
			struct parsed p = parse_spec(test_host(), &spec, 0);
			size_t reply_len = 0, header = version == 4 ? 20 : 40;
			assert_int_equal(p.drop, DP_TAKEN);
			assert_ok(dp_reply_build(
				test_host(), &p.packet, out, sizeof(out), &reply_len));
			assert_int_equal(reply_len, p.len);
			assert_int_equal(frame_l4_checksum(out + 14, reply_len - 14), 0);
			if (version == 4)
				assert_int_equal(frame_checksum(out + 14, 20), 0);
			assert_memory_equal(out + 14 + header + 4, icmp + 4, len - 4);
			parsed_free(&p);
		}
	}
}

/* --- neighbour discovery --- */

static struct frame_spec
solicitation(uint8_t body[32], const char *target, const char *dest)
{
	memset(body, 0, 32);
	body[0] = 135;
	assert_int_equal(inet_pton(AF_INET6, target, body + 8), 1);
	body[24] = body[25] = 1;
	memcpy(body + 26, peer_mac, 6);
	struct frame_spec spec = frame_icmp6(body, 32);
	spec.dest_ip = dest;
	spec.dest_mac[0] = spec.dest_mac[1] = 0x33;
	return spec;
}

static void
a_solicitation_is_answered(void **state)
{
	(void)state;
	uint8_t body[32];
	struct frame_spec spec = solicitation(body, FRAME_OUR_IP6, "ff02::1:ff00:2");

	expect_reply(&spec,
		"02000000010102000000020286dd6000000000203afffd000077000000000000"
		"000000000002fd0000770000000000000000000000018800193560000000fd00"
		"00770000000000000000000000020201020000000202");
}

static void
a_probe_is_answered_to_all_nodes_in_a_frame_to_the_prober(void **state)
{
	(void)state;
	uint8_t body[32];
	struct frame_spec spec = solicitation(body, FRAME_OUR_IP6, "ff02::1:ff00:2");

	spec.source_ip = "::";
	spec.body_len = 24;
	expect_reply(&spec,
		"02000000010102000000020286dd6000000000203afffd000077000000000000"
		"000000000002ff020000000000000000000000000001880057aa20000000fd00"
		"00770000000000000000000000020201020000000202");
}

/* --- MLD --- */

static void
an_mld_query_is_answered_to_the_routers(void **state)
{
	(void)state;
	static const uint8_t router_alert[8] = {58, 0, 5, 2, 0, 0, 1, 0};
	uint8_t body[28] = {130};
	struct frame_spec spec = frame_icmp6(body, sizeof(body));

	spec.hop_limit = 1;
	spec.source_ip = "fe80::1";
	spec.dest_ip = "ff02::1";
	spec.dest_mac[0] = 0x33;
	spec.extension = router_alert;
	spec.extension_len = sizeof(router_alert);
	expect_reply(&spec,
		"33330000001602000000020286dd6000000000380001fe800000000000000000"
		"00fffe000202ff0200000000000000000000000000163a000502000001008f00"
		"6fe90000000202000000ff0200000000000000000001ff00000202000000ff02"
		"00000000000000000001ff000202");
}

/* --- what is not answered --- */

static void
datagrams_and_dropped_frames_are_not_answered(void **state)
{
	(void)state;
	uint8_t out[DP_REPLY_SMALL_BYTES] = {0};
	struct frame_spec specs[] = {frame_udp4("x", 1), frame_udp6("x", 1), frame_udp4("x", 1)};

	specs[2].dest_port = 1; /* closed: no "port unreachable" */
	for (size_t i = 0; i < 3; i++) {
		struct parsed p = parse_spec(test_host(), &specs[i], 0);
		size_t len = 77;
		assert_int_equal(dp_reply_build(test_host(), &p.packet, out, sizeof(out), &len),
			SLK_UNSUPPORTED);
		assert_int_equal(len, 77);
		assert_int_equal(out[0], 0);
		parsed_free(&p);
	}
}

/* Whatever is taken from a mutated frame: answers stay in their room, and the exceptions are the
 * documented ones. */
static void
no_answer_amplifies(void **state)
{
	(void)state;
	static uint8_t frame[2048], out[2048];
	uint8_t arp[28], nd[32], echo4[40] = {8}, echo6[40] = {128};
	const struct frame_spec specs[] = {arp_question(arp, FRAME_PEER_IP4),
		solicitation(nd, FRAME_OUR_IP6, "ff02::1:ff00:2"),
		frame_icmp4(echo4, sizeof(echo4)), frame_icmp6(echo6, sizeof(echo6))};
	uint64_t seed = 11;
	unsigned answered = 0;

	for (unsigned i = 0; i < 20000; i++) {
		size_t len = frame_build(&specs[i % 4], frame, sizeof(frame)), reply_len;
		frame[test_random(&seed) % len] ^= (uint8_t)(1 << test_random(&seed) % 8);
		struct parsed p = parse_bytes(test_host(), frame, len, 0);
		if (dp_reply_build(test_host(), &p.packet, out, sizeof(out), &reply_len) ==
			SLK_OK) {
			answered++;
			assert_true(reply_len <= p.packet.end_offset);
			assert_memory_equal(out, frame + 6, 6);
			assert_int_equal(out[0] & 1, 0);
			assert_memory_equal(out + 6, our_mac, 6);
		}
		parsed_free(&p);
	}
	assert_true(answered > 100);
}

/* --- announcements --- */

static void
announcements_are_right(void **state)
{
	(void)state;
	static const struct {
		enum dp_announce what;
		const char *hex;
	} cases[] = {
		{DP_ANNOUNCE_ARP,
			"ffffffffffff020000000202080600010800060400010200000002020a4d0002"
			"0000000000000a4d0002"},
		{DP_ANNOUNCE_ND_LINK_LOCAL,
			"33330000000102000000020286dd6000000000203afffe800000000000000000"
			"00fffe000202ff0200000000000000000000000000018800539820000000fe80"
			"000000000000000000fffe0002020201020000000202"},
		{DP_ANNOUNCE_MLD,
			"33330000001602000000020286dd6000000000380001fe800000000000000000"
			"00fffe000202ff0200000000000000000000000000163a000502000001008f00"
			"6be90000000204000000ff0200000000000000000001ff00000204000000ff02"
			"00000000000000000001ff000202"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[DP_REPLY_SMALL_BYTES];
		size_t len = 0;
		assert_ok(dp_reply_announce(test_host(), cases[i].what, out, sizeof(out), &len));
		assert_frame(out, len, cases[i].hex);
	}
}

static void
every_announcement_fits_the_small_room_with_a_tag(void **state)
{
	(void)state;
	static struct dp_host host;
	uint8_t out[DP_REPLY_SMALL_BYTES];

	host = *test_host();
	host.vlan = 100;
	for (enum dp_announce what = 0; what < DP_ANNOUNCE_COUNT; what++) {
		size_t len = 0;
		assert_ok(dp_reply_announce(&host, what, out, sizeof(out), &len));
		assert_int_equal(slk_get_be32(out + 12), 0x81000064);
		for (size_t cap = 0; cap < len; cap++)
			assert_int_equal(dp_reply_announce(&host, what, out, cap, &len), SLK_FULL);
	}
}

static void
a_family_that_the_host_lacks_is_not_announced(void **state)
{
	(void)state;
	static struct dp_host host;
	uint8_t out[DP_REPLY_SMALL_BYTES], groups[3][6];
	size_t len = 0;

	host = *test_host();
	host.has_ip6 = false;
	assert_int_equal(
		dp_reply_announce(&host, DP_ANNOUNCE_ND, out, sizeof(out), &len), SLK_UNSUPPORTED);
	assert_int_equal(
		dp_reply_announce(&host, DP_ANNOUNCE_MLD, out, sizeof(out), &len), SLK_UNSUPPORTED);
	assert_int_equal(dp_reply_groups(&host, groups), 0);
	host = *test_host();
	host.has_ip4 = false;
	assert_int_equal(
		dp_reply_announce(&host, DP_ANNOUNCE_ARP, out, sizeof(out), &len), SLK_UNSUPPORTED);
	assert_int_equal(dp_reply_announce(&host, DP_ANNOUNCE_COUNT, out, sizeof(out), &len),
		SLK_UNSUPPORTED);
	assert_int_equal(len, 0);
}

static void
the_groups_are_all_nodes_and_the_solicited_nodes(void **state)
{
	(void)state;
	static struct dp_host host;
	uint8_t groups[3][6];

	assert_int_equal(dp_reply_groups(test_host(), groups), 3);
	assert_memory_equal(groups[0], "\x33\x33\x00\x00\x00\x01", 6);
	assert_memory_equal(groups[1], "\x33\x33\xff\x00\x00\x02", 6);
	assert_memory_equal(groups[2], "\x33\x33\xff\x00\x02\x02", 6);
	host = *test_host();
	memcpy(host.ip6, host.ip6_link_local, 16);
	assert_int_equal(dp_reply_groups(&host, groups), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_arp_question_is_answered),
		cmocka_unit_test(an_arp_probe_is_answered_to_the_prober),
		cmocka_unit_test(the_tag_of_the_question_is_in_the_answer),
		cmocka_unit_test(an_echo_request_comes_back),
		cmocka_unit_test(echo_replies_of_every_length_are_right),
		cmocka_unit_test(a_solicitation_is_answered),
		cmocka_unit_test(a_probe_is_answered_to_all_nodes_in_a_frame_to_the_prober),
		cmocka_unit_test(an_mld_query_is_answered_to_the_routers),
		cmocka_unit_test(datagrams_and_dropped_frames_are_not_answered),
		cmocka_unit_test(no_answer_amplifies),
		cmocka_unit_test(announcements_are_right),
		cmocka_unit_test(every_announcement_fits_the_small_room_with_a_tag),
		cmocka_unit_test(a_family_that_the_host_lacks_is_not_announced),
		cmocka_unit_test(the_groups_are_all_nodes_and_the_solicited_nodes),
	};

	return cmocka_run_group_tests_name("dpnet_reply", tests, NULL, NULL);
}
