#include "packet_expect.h"

bool reached[DP_DROP_COUNT];

void
expect_drop_with(const struct dp_host *host, const struct frame_spec *spec, unsigned flags,
	enum dp_drop want)
{
	struct parsed p = parse_spec(host, spec, flags);

	assert_string_equal(dp_drop_name(p.drop), dp_drop_name(want));
	assert_int_equal(p.packet.kind, DP_PACKET_NONE);
	assert_int_equal(p.packet.payload.len, 0);
	assert_null(p.packet.payload.ptr);
	reached[p.drop] = true;
	parsed_free(&p);
}

void
expect_drop(const struct frame_spec *spec, enum dp_drop want)
{
	expect_drop_with(test_host(), spec, 0, want);
}

void
expect_kind_with(const struct dp_host *host, const struct frame_spec *spec, unsigned flags,
	enum dp_packet_kind want)
{
	struct parsed p = parse_spec(host, spec, flags);

	assert_string_equal(dp_drop_name(p.drop), "taken");
	assert_int_equal(p.packet.kind, want);
	parsed_free(&p);
}

void
expect_kind(const struct frame_spec *spec, enum dp_packet_kind want)
{
	expect_kind_with(test_host(), spec, 0, want);
}

struct frame_spec
udp4(void)
{
	return frame_udp4("hello world", 11);
}

struct frame_spec
udp6(void)
{
	return frame_udp6("hello world", 11);
}
