/* First byte: framing and limit; the rest is a payload. Records and drops come in order, inside the payload, and what
 * they leave out is only terminators, prefixes and counted drops. The field rule runs over each record. */
#include <stdlib.h>

#include "net/framing.h"
#include "net/partition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool what)
{
	if (!what)
		abort();
}

static struct dp_partition *
by_field(void)
{
	static struct dp_partition *partition;
	static const struct dp_partition_config config = {
		.rule = DP_PARTITION_FIELD, .shard_count = 7, .field = 2, .separator = ' '};

	if (partition == NULL)
		check(dp_partition_new(&config, &partition, NULL) == SLK_OK);
	return partition;
}

static void
check_record(struct slk_span record)
{
	uint32_t shard, again;
	struct slk_span key;

	check(dp_partition_record(by_field(), record, &shard, &key) == SLK_OK);
	check(key.len > 0 && key.len <= 1024 && shard < 7);
	check(dp_partition_key_shard(by_field(), key, &again) == SLK_OK && again == shard);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a datagram's IPv4 header, for the rule's fallback */
	static const uint8_t ip[20] = {0x45, [12] = 10, 77, 0, 1};
	static const struct dp_packet packet = {
		.frame = ip, .source_port = 7, .kind = DP_PACKET_UDP4};
	static uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct dp_framing_iter it;
	struct slk_span record;
	enum dp_drop drop;
	enum dp_framing_step step;

	if (size == 0)
		return 0;
	const uint8_t *at = data + 1, *end = data + size;
	uint32_t limit = 1u << (data[0] >> 2 & 15);
	dp_partition_begin(by_field(), &packet, room);
	dp_framing_begin(&it, (enum dp_framing)(data[0] & 3), limit, slk_span(at, size - 1));
	for (size_t calls = 0; (step = dp_framing_next(&it, &record, &drop)) != DP_FRAMING_END;
		calls++) {
		check(calls <= size);
		if (step == DP_FRAMING_DROP) {
			check(drop > DP_TAKEN && drop < DP_DROP_COUNT);
			continue;
		}
		check(record.len > 0 && record.len <= limit);
		check(record.ptr >= at && record.ptr + record.len <= end);
		at = record.ptr + record.len;
		check_record(record);
	}
	return 0;
}
