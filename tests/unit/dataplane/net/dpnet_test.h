/* What the tests of this folder share: the host of tests/lib/frames.h and a parse of a frame in a
 * buffer of exactly its size, so that AddressSanitizer sees any read beyond it. */
#ifndef DPNET_TEST_H
#define DPNET_TEST_H

#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "net/packet.h"

static inline const struct dp_host *
test_host(void)
{
	static struct dp_host host;
	static const struct dp_host_config config = {
		.mac = FRAME_OUR_MAC,
		.mtu_bytes = 1500,
		.ip4 = FRAME_OUR_IP4 "/24",
		.ip6 = FRAME_OUR_IP6 "/64",
	};

	if (host.mtu_bytes == 0) {
		assert_ok(dp_host_init(&host, &config, NULL));
		assert_ok(dp_host_listen(&host, FRAME_OUR_PORT, 3));
	}
	return &host;
}

/* A parsed frame that owns its bytes; free it with parsed_free(). */
struct parsed {
	uint8_t *frame;
	size_t len;
	enum dp_drop drop;
	struct dp_packet packet;
};

static inline struct parsed
parse_bytes(const struct dp_host *host, const uint8_t *bytes, size_t len, unsigned flags)
{
	struct parsed p = {.len = len};

	p.frame = malloc(len > 0 ? len : 1);
	assert_non_null(p.frame);
	memcpy(p.frame, bytes, len);
	memset(&p.packet, 0xa5, sizeof(p.packet));
	p.drop = dp_packet_parse(host, slk_span(p.frame, len), flags, &p.packet);
	return p;
}

static inline struct parsed
parse_spec(const struct dp_host *host, const struct frame_spec *spec, unsigned flags)
{
	static uint8_t bytes[FRAME_CAP];
	size_t len = frame_build(spec, bytes, sizeof(bytes));

	return parse_bytes(host, bytes, len, flags);
}

static inline void
parsed_free(struct parsed *p)
{
	free(p->frame);
	p->frame = NULL;
}

/* splitmix64, from a fixed seed */
static inline uint64_t
test_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

#endif
