/* A frame, with flags and our VLAN drawn from its first byte: whatever is taken lies inside it, records of its payload
 * lie inside that, and no answer to it is longer than documented in net/reply.h. */
#include <stdlib.h>
#include <string.h>

#include "net/framing.h"
#include "net/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool what)
{
	if (!what)
		abort();
}

static struct dp_host *
host(void)
{
	static struct dp_host host;
	static const struct dp_host_config config = {
		.mac = {0x02, 0, 0, 0, 0x02, 0x02},
		.mtu_bytes = 3400,
		.ip4 = "10.77.0.2/24",
		.ip6 = "fd00:77::2/64",
	};

	if (host.mtu_bytes == 0)
		check(dp_host_init(&host, &config, NULL) == SLK_OK &&
			dp_host_listen(&host, 5514, 3) == SLK_OK);
	return &host;
}

static void
check_reply(const struct dp_packet *packet, size_t frame_len)
{
	static uint8_t out[4096];
	size_t len = 0;
	int status = dp_reply_build(host(), packet, out, sizeof(out), &len);
	bool is_udp = packet->kind == DP_PACKET_UDP4 || packet->kind == DP_PACKET_UDP6;

	check(status == (is_udp ? SLK_UNSUPPORTED : SLK_OK));
	if (is_udp)
		return;
	size_t most = packet->kind == DP_PACKET_ND ? frame_len + 8 : frame_len;
	check(len <= (packet->kind == DP_PACKET_MLD_QUERY ? DP_REPLY_SMALL_BYTES : most));
	check(packet->kind == DP_PACKET_MLD_QUERY || (out[0] & 1) == 0);
}

static void
check_records(struct slk_span payload, enum dp_framing framing)
{
	struct dp_framing_iter it;
	struct slk_span record;
	enum dp_drop drop;
	enum dp_framing_step step;
	size_t calls = 0, bytes = 0;

	dp_framing_begin(&it, framing, 512, payload);
	while ((step = dp_framing_next(&it, &record, &drop)) != DP_FRAMING_END) {
		check(++calls <= payload.len + 1);
		if (step == DP_FRAMING_DROP)
			continue;
		check(record.len > 0 && record.len <= 512);
		check(record.ptr >= payload.ptr &&
			record.ptr + record.len <= payload.ptr + payload.len);
		bytes += record.len;
	}
	check(bytes <= payload.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dp_packet packet;

	if (size == 0)
		return 0;
	host()->vlan = (data[0] & 4) != 0 ? 100 : 0;
	enum dp_drop drop =
		dp_packet_parse(host(), slk_span(data + 1, size - 1), data[0] & 3, &packet);
	check((drop == DP_TAKEN) == (packet.kind != DP_PACKET_NONE));
	if (drop != DP_TAKEN)
		return 0;
	check(packet.end_offset <= size - 1 && packet.l3_offset < packet.end_offset);
	if (packet.payload.len > 0)
		check(packet.payload.ptr >= packet.frame &&
			packet.payload.ptr + packet.payload.len <=
				packet.frame + packet.end_offset);
	check_reply(&packet, size - 1);
	if (packet.kind == DP_PACKET_UDP4 || packet.kind == DP_PACKET_UDP6)
		check_records(packet.payload, (enum dp_framing)(data[0] >> 3 & 3));
	return 0;
}
