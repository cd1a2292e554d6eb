/* The tables were made with Python's integers and hashlib. */
#include "dpnet_test.h"

#include <stdio.h>

#include "net/partition.h"

static const struct {
	uint32_t shard_count, index;
	uint64_t start_high, start_low, end_high, end_low;
} ranges[] = {
	{1, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{2, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x7fffffffffffffffull,
		0xffffffffffffffffull},
	{2, 1, 0x8000000000000000ull, 0x0000000000000000ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{3, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x5555555555555555ull,
		0x5555555555555554ull},
	{3, 1, 0x5555555555555555ull, 0x5555555555555555ull, 0xaaaaaaaaaaaaaaaaull,
		0xaaaaaaaaaaaaaaa9ull},
	{3, 2, 0xaaaaaaaaaaaaaaaaull, 0xaaaaaaaaaaaaaaaaull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{4, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x3fffffffffffffffull,
		0xffffffffffffffffull},
	{4, 1, 0x4000000000000000ull, 0x0000000000000000ull, 0x7fffffffffffffffull,
		0xffffffffffffffffull},
	{4, 2, 0x8000000000000000ull, 0x0000000000000000ull, 0xbfffffffffffffffull,
		0xffffffffffffffffull},
	{4, 3, 0xc000000000000000ull, 0x0000000000000000ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{7, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x2492492492492492ull,
		0x4924924924924923ull},
	{7, 1, 0x2492492492492492ull, 0x4924924924924924ull, 0x4924924924924924ull,
		0x9249249249249247ull},
	{7, 3, 0x6db6db6db6db6db6ull, 0xdb6db6db6db6db6cull, 0x9249249249249249ull,
		0x249249249249248full},
	{7, 6, 0xdb6db6db6db6db6dull, 0xb6db6db6db6db6d8ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{10, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x1999999999999999ull,
		0x9999999999999998ull},
	{10, 1, 0x1999999999999999ull, 0x9999999999999999ull, 0x3333333333333333ull,
		0x3333333333333331ull},
	{10, 5, 0x7fffffffffffffffull, 0xfffffffffffffffdull, 0x9999999999999999ull,
		0x9999999999999995ull},
	{10, 9, 0xe666666666666666ull, 0x6666666666666661ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{255, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x0101010101010101ull,
		0x0101010101010100ull},
	{255, 1, 0x0101010101010101ull, 0x0101010101010101ull, 0x0202020202020202ull,
		0x0202020202020201ull},
	{255, 127, 0x7f7f7f7f7f7f7f7full, 0x7f7f7f7f7f7f7f7full, 0x8080808080808080ull,
		0x808080808080807full},
	{255, 254, 0xfefefefefefefefeull, 0xfefefefefefefefeull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{256, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x00ffffffffffffffull,
		0xffffffffffffffffull},
	{256, 1, 0x0100000000000000ull, 0x0000000000000000ull, 0x01ffffffffffffffull,
		0xffffffffffffffffull},
	{256, 128, 0x8000000000000000ull, 0x0000000000000000ull, 0x80ffffffffffffffull,
		0xffffffffffffffffull},
	{256, 255, 0xff00000000000000ull, 0x0000000000000000ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{1000, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x004189374bc6a7efull,
		0x9db22d0e56041892ull},
	{1000, 1, 0x004189374bc6a7efull, 0x9db22d0e56041893ull, 0x0083126e978d4fdfull,
		0x3b645a1cac083125ull},
	{1000, 500, 0x7fffffffffffffffull, 0xffffffffffffff1cull, 0x804189374bc6a7efull,
		0x9db22d0e560417aeull},
	{1000, 999, 0xffbe76c8b4395810ull, 0x624dd2f1a9fbe5a5ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{9999, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x00068de3aefe55f9ull,
		0x30916c2bbaab1387ull},
	{9999, 1, 0x00068de3aefe55f9ull, 0x30916c2bbaab1388ull, 0x000d1bc75dfcabf2ull,
		0x6122d8577556270full},
	{9999, 4999, 0x7ffcb90e2880d503ull, 0x67b749ea22aa64b8ull, 0x800346f1d77f2afcull,
		0x9848b615dd55783full},
	{9999, 9998, 0xfff9721c5101aa06ull, 0xcf6e93d44554c970ull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
	{10000, 0, 0x0000000000000000ull, 0x0000000000000000ull, 0x00068db8bac710cbull,
		0x295e9e1b089a0274ull},
	{10000, 1, 0x00068db8bac710cbull, 0x295e9e1b089a0275ull, 0x000d1b71758e2196ull,
		0x52bd3c36113404e9ull},
	{10000, 5000, 0x7fffffffffffffffull, 0xfffffffffffffd28ull, 0x80068db8bac710cbull,
		0x295e9e1b0899ff9cull},
	{10000, 9999, 0xfff972474538ef34ull, 0xd6a161e4f765f7dbull, 0xffffffffffffffffull,
		0xffffffffffffffffull},
};

/* Shards of a key in streams of so many. */
static const uint32_t counts[6] = {1, 3, 4, 10, 1000, 10000};
static const struct {
	const char *key;
	uint32_t shards[6];
} keys[] = {
	{"a", {0, 0, 0, 0, 49, 498}},
	{"partition-1", {0, 1, 2, 5, 581, 5819}},
	{"10.77.0.1:40000", {0, 0, 1, 2, 274, 2748}},
	{"[fd00:77::1]:40000", {0, 0, 0, 1, 193, 1939}},
	{"schl\xc3\xbcssel", {0, 0, 0, 1, 150, 1504}},
	{"0", {0, 2, 3, 8, 811, 8117}},
};

static dp_hash_key
join(uint64_t high, uint64_t low)
{
	return (dp_hash_key)high << 64 | low;
}

/* --- the hash space --- */

static void
ranges_are_those_of_big_integers(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		dp_hash_key start, end;
		dp_hash_key_range(ranges[i].index, ranges[i].shard_count, &start, &end);
		assert_true(start == join(ranges[i].start_high, ranges[i].start_low));
		assert_true(end == join(ranges[i].end_high, ranges[i].end_low));
	}
}

static void
shards_are_exact_at_every_boundary(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= DP_SHARD_COUNT_MAX; n += n < 70 ? 1 : 709) {
		dp_hash_key next = 0;
		for (uint32_t i = 0; i < n; i++) {
			dp_hash_key start, end;
			dp_hash_key_range(i, n, &start, &end);
			assert_true(start == next); /* no gap, no overlap */
			assert_true(end > start);
			assert_int_equal(dp_hash_key_shard(start, n), i);
			assert_int_equal(dp_hash_key_shard(start + 1, n), i);
			assert_int_equal(dp_hash_key_shard(end - 1, n), i);
			assert_int_equal(dp_hash_key_shard(end, n), i);
			next = end + 1;
		}
		assert_true(next == 0); /* the last one ended at 2^128 - 1 */
	}
}

static void
a_digest_is_read_as_a_big_endian_number(void **state)
{
	(void)state;
	static const uint8_t digest[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe,
		0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};
	assert_true(dp_hash_key_from_md5(digest) == join(0x0123456789abcdef, 0xfedcba9876543210));
}

/* --- rules --- */

static struct dp_partition *
partition(const struct dp_partition_config *config)
{
	struct dp_partition *p = NULL;
	assert_ok(dp_partition_new(config, &p, NULL));
	assert_non_null(p);
	return p;
}

/* A parsed datagram from that sender. */
static struct parsed
datagram(int version, const char *source_ip, uint16_t source_port)
{
	struct frame_spec spec = version == 4 ? frame_udp4("x", 1) : frame_udp6("x", 1);

	spec.source_ip = source_ip;
	spec.source_port = source_port;
	struct parsed p = parse_spec(test_host(), &spec, 0);
	assert_int_equal(p.drop, DP_TAKEN);
	return p;
}

static uint32_t
shard_of_key(struct dp_partition *p, struct slk_span key)
{
	uint32_t shard = UINT32_MAX;
	assert_ok(dp_partition_key_shard(p, key, &shard));
	return shard;
}

static void
known_keys_have_their_shards(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 6; n++) {
		struct dp_partition_config config = {
			.rule = DP_PARTITION_SOURCE, .shard_count = counts[n]};
		struct dp_partition *p = partition(&config);
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			assert_int_equal(
				shard_of_key(p, slk_span_str(keys[i].key)), keys[i].shards[n]);
		dp_partition_free(p);
	}
}

static void
a_fixed_shard_is_always_that_one_with_a_true_key(void **state)
{
	(void)state;
	uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct parsed d = datagram(4, FRAME_PEER_IP4, 1);

	for (uint32_t fixed = 0; fixed < 7; fixed++) {
		struct dp_partition_config config = {
			.rule = DP_PARTITION_FIXED, .shard_count = 7, .fixed_shard = fixed};
		struct dp_partition *p = partition(&config);
		dp_partition_begin(p, &d.packet, room);
		for (unsigned i = 0; i < 3; i++) {
			uint32_t shard;
			struct slk_span key;
			assert_ok(dp_partition_record(p, slk_span_str("r"), &shard, &key));
			assert_int_equal(shard, fixed);
			assert_in_range(key.len, 1, 7);
			assert_int_equal(shard_of_key(p, key), fixed);
		}
		dp_partition_free(p);
	}
	parsed_free(&d);
}

static void
round_robin_visits_every_shard_in_turn_with_true_keys(void **state)
{
	(void)state;
	struct dp_partition_config config = {
		.rule = DP_PARTITION_ROUND_ROBIN, .shard_count = 50, .start_shard = 148};
	struct dp_partition *p = partition(&config);
	uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct parsed d = datagram(4, FRAME_PEER_IP4, 1);

	dp_partition_begin(p, &d.packet, room);
	for (uint32_t i = 0; i < 120; i++) {
		uint32_t shard;
		struct slk_span key;
		assert_ok(dp_partition_record(p, slk_span_str("r"), &shard, &key));
		assert_int_equal(shard, (48 + i) % 50);
		assert_int_equal(shard_of_key(p, key), shard);
	}
	dp_partition_free(p);
	parsed_free(&d);
}

static void
the_largest_stream_finds_a_key_for_each_shard(void **state)
{
	(void)state;
	struct dp_partition_config config = {
		.rule = DP_PARTITION_ROUND_ROBIN, .shard_count = DP_SHARD_COUNT_MAX};
	struct dp_partition *p = partition(&config);
	struct parsed d = datagram(4, FRAME_PEER_IP4, 1);

	dp_partition_begin(p, &d.packet, NULL);
	for (uint32_t i = 0; i < DP_SHARD_COUNT_MAX; i++) {
		uint32_t shard;
		struct slk_span key;
		assert_ok(dp_partition_record(p, slk_span_str("r"), &shard, &key));
		assert_int_equal(shard_of_key(p, key), i);
	}
	dp_partition_free(p);
	parsed_free(&d);
}

static void
expect_source(
	struct dp_partition *p, int version, const char *ip, uint16_t port, const char *want_key)
{
	uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct parsed d = datagram(version, ip, port);

	dp_partition_begin(p, &d.packet, room);
	for (unsigned i = 0; i < 2; i++) {
		uint32_t shard;
		struct slk_span key;
		assert_ok(dp_partition_record(p, slk_span_str("r"), &shard, &key));
		assert_ptr_equal(key.ptr, room);
		assert_true(slk_span_equal(key, slk_span_str(want_key)));
		assert_int_equal(shard, shard_of_key(p, slk_span_str(want_key)));
	}
	parsed_free(&d);
}

static void
a_source_is_its_address_and_port_as_text(void **state)
{
	(void)state;
	struct dp_partition_config config = {.rule = DP_PARTITION_SOURCE, .shard_count = 1000};
	struct dp_partition *p = partition(&config);

	expect_source(p, 4, "10.77.0.1", 40000, "10.77.0.1:40000");
	expect_source(p, 4, "223.255.255.254", 65535, "223.255.255.254:65535");
	expect_source(p, 4, "1.2.3.4", 0, "1.2.3.4:0");
	expect_source(p, 6, "fd00:77::1", 40000, "[fd00:77::1]:40000");
	expect_source(p, 6, "2001:db8:1111:2222:3333:4444:5555:6666", 65535,
		"[2001:db8:1111:2222:3333:4444:5555:6666]:65535");
	dp_partition_free(p);
}

/* More senders than the cache holds, in turn: each keeps its key. */
static void
many_senders_are_not_mixed_up(void **state)
{
	(void)state;
	struct dp_partition_config config = {.rule = DP_PARTITION_SOURCE, .shard_count = 1000};
	struct dp_partition *p = partition(&config);

	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			char ip[32], key[48];
			snprintf(ip, sizeof(ip), "10.%u.%u.7", i % 9, i % 250);
			snprintf(key, sizeof(key), "%s:%u", ip, 1000 + i % 3);
			expect_source(p, 4, ip, (uint16_t)(1000 + i % 3), key);
		}
	}
	dp_partition_free(p);
}

/* want_key NULL: falls back to the source. */
static void
expect_field(uint32_t field, char separator, const char *record, const char *want_key)
{
	struct dp_partition_config config = {.rule = DP_PARTITION_FIELD,
		.shard_count = 1000,
		.field = field,
		.separator = (uint8_t)separator};
	struct dp_partition *p = partition(&config);
	uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct parsed d = datagram(4, FRAME_PEER_IP4, 7);
	size_t len = strlen(record);
	char *exact = malloc(len > 0 ? len : 1); /* without the terminator */
	uint32_t shard;
	struct slk_span key;

	assert_non_null(exact);
	memcpy(exact, record, len);
	dp_partition_begin(p, &d.packet, room);
	assert_ok(dp_partition_record(p, slk_span(exact, len), &shard, &key));
	assert_true(slk_span_equal(key, slk_span_str(want_key != NULL ? want_key : "10.77.0.1:7")));
	assert_int_equal(shard, shard_of_key(p, key));
	assert_int_equal(dp_partition_fallback_count(p), want_key == NULL);
	free(exact);
	dp_partition_free(p);
	parsed_free(&d);
}

static void
a_field_is_what_lies_between_separators(void **state)
{
	(void)state;
	expect_field(1, ' ', "one two three", "one");
	expect_field(2, ' ', "one two three", "two");
	expect_field(3, ' ', "one two three", "three");
	expect_field(1, ' ', "one", "one");
	expect_field(3, ',', "a,,c,", "c");
	expect_field(2, '\n', "a\nb", "b");
}

static void
a_missing_or_empty_field_falls_back_to_the_source(void **state)
{
	(void)state;
	expect_field(4, ' ', "one two three", NULL);
	expect_field(2, ',', "a,,c", NULL);
	expect_field(1, ',', ",b", NULL);
	expect_field(2, ',', "a,", NULL);
	expect_field(1024, ' ', "one", NULL);
}

static void
a_key_has_at_most_256_characters(void **state)
{
	(void)state;
	char text[4 * 257 + 1];

	memset(text, 'k', 256);
	text[256] = '\0';
	expect_field(1, ' ', text, text);
	text[256] = 'k';
	text[257] = '\0';
	expect_field(1, ' ', text, NULL);
	for (unsigned i = 0; i < 257; i++)
		memcpy(text + i * 4, "\xf0\x9f\x94\x92", 4);
	text[4 * 257] = '\0';
	expect_field(1, ' ', text, NULL);
	text[4 * 256] = '\0';
	expect_field(1, ' ', text, text);
}

static void
a_key_is_valid_utf8(void **state)
{
	(void)state;
	static const char *const good[] = {"schl\xc3\xbcssel", "\xc2\x80", "\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "\x7f\x01"};
	static const char *const bad[] = {"\x80", "\xc0\xaf", "\xc1\xbf", "\xc3", "a\xc3", "\xc3(",
		"\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
		"\xf5\x80\x80\x80", "\xff", "\xf0\x9f\x94"};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		expect_field(1, ' ', good[i], good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect_field(1, ' ', bad[i], NULL);
}

/* --- what MD5 costs --- */

/* MD5s for so many records of one sender. */
static uint64_t
hashes(enum dp_partition_rule rule, uint32_t shard_count, unsigned records)
{
	struct dp_partition_config config = {
		.rule = rule, .shard_count = shard_count, .field = 1, .separator = ' '};
	struct dp_partition *p = partition(&config);
	uint8_t room[DP_PARTITION_ROOM_BYTES];
	struct parsed d = datagram(4, FRAME_PEER_IP4, 7);
	uint64_t before = dp_partition_hash_count(p);

	for (unsigned i = 0; i < records; i++) {
		uint32_t shard;
		struct slk_span key;
		dp_partition_begin(p, &d.packet, room);
		assert_ok(dp_partition_record(p, slk_span_str("key rest"), &shard, &key));
		assert_in_range(shard, 0, shard_count - 1);
	}
	uint64_t made = dp_partition_hash_count(p) - before;
	dp_partition_free(p);
	parsed_free(&d);
	return made;
}

static void
only_the_field_rule_hashes_every_record(void **state)
{
	(void)state;
	assert_int_equal(hashes(DP_PARTITION_FIXED, 3, 50), 0);
	assert_int_equal(hashes(DP_PARTITION_ROUND_ROBIN, 3, 50), 0);
	assert_int_equal(hashes(DP_PARTITION_SOURCE, 3, 50), 1);
	assert_int_equal(hashes(DP_PARTITION_FIELD, 3, 50), 50);
}

static void
a_stream_of_one_shard_hashes_nothing(void **state)
{
	(void)state;
	assert_int_equal(hashes(DP_PARTITION_SOURCE, 1, 50), 0);
	assert_int_equal(hashes(DP_PARTITION_FIELD, 1, 50), 0);
}

/* --- start --- */

static void
configurations_out_of_range_are_refused(void **state)
{
	(void)state;
	static const struct dp_partition_config bad[] = {
		{.rule = DP_PARTITION_SOURCE, .shard_count = 0},
		{.rule = DP_PARTITION_SOURCE, .shard_count = DP_SHARD_COUNT_MAX + 1},
		{.rule = DP_PARTITION_FIXED, .shard_count = 4, .fixed_shard = 4},
		{.rule = DP_PARTITION_FIELD, .shard_count = 4, .field = 0},
		{.rule = DP_PARTITION_FIELD, .shard_count = 4, .field = DP_PARTITION_FIELD_MAX + 1},
		{.rule = DP_PARTITION_FIELD + 1, .shard_count = 4},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct dp_partition *p = NULL;
		struct slk_error err = {0};
		assert_int_equal(dp_partition_new(&bad[i], &p, &err), SLK_CONFIG);
		assert_null(p);
		assert_true(strlen(err.text) > 0);
	}
	dp_partition_free(NULL);
}

static void
names_go_both_ways(void **state)
{
	(void)state;
	enum dp_partition_rule rule;

	for (enum dp_partition_rule r = DP_PARTITION_FIXED; r <= DP_PARTITION_FIELD; r++) {
		assert_true(dp_partition_rule_parse(dp_partition_rule_name(r), &rule));
		assert_int_equal(rule, r);
	}
	assert_false(dp_partition_rule_parse("round robin", &rule));
	assert_string_equal(dp_partition_rule_name(DP_PARTITION_FIELD + 1), "unknown");
}

/* --- given ranges --- */

static const dp_hash_key given[] = {0, 7, (dp_hash_key)1 << 100, ((dp_hash_key)1 << 127) + 5};

static void
keys_find_their_given_range(void **state)
{
	(void)state;
	assert_int_equal(dp_hash_key_find(0, given, 4), 0);
	assert_int_equal(dp_hash_key_find(6, given, 4), 0);
	assert_int_equal(dp_hash_key_find(7, given, 4), 1);
	assert_int_equal(dp_hash_key_find(given[2] - 1, given, 4), 1);
	assert_int_equal(dp_hash_key_find(given[2], given, 4), 2);
	assert_int_equal(dp_hash_key_find(given[3] - 1, given, 4), 2);
	assert_int_equal(dp_hash_key_find(~(dp_hash_key)0, given, 4), 3);
	assert_int_equal(dp_hash_key_find(~(dp_hash_key)0, given, 1), 0);
	assert_int_equal(dp_hash_key_find(~(dp_hash_key)0, NULL, 9), 8);
}

/* Shards 0 and 1 are too narrow for any short key: the turn goes on without them. */
static void
round_robin_leaves_out_what_is_too_narrow(void **state)
{
	(void)state;
	static const dp_hash_key starts[] = {0, 3, 6, (dp_hash_key)1 << 126, (dp_hash_key)1 << 127};
	const struct dp_partition_config c = {
		.rule = DP_PARTITION_ROUND_ROBIN, .shard_count = 5, .starts = starts};
	struct dp_partition *p = NULL;
	struct slk_span key;
	uint32_t shard, again;

	assert_ok(dp_partition_new(&c, &p, NULL));
	for (uint32_t i = 0; i < 9; i++) {
		assert_ok(dp_partition_record(p, slk_span_str("x"), &shard, &key));
		assert_int_equal(shard, 2 + i % 3);
		assert_ok(dp_partition_key_shard(p, key, &again));
		assert_int_equal(again, shard);
	}
	dp_partition_free(p);
}

/* The key of a shard that was split stays the same, and its records go where it belongs. */
static void
fixed_rule_keeps_its_key(void **state)
{
	(void)state;
	struct dp_partition_config c = {
		.rule = DP_PARTITION_FIXED, .shard_count = 2, .fixed_shard = 1};
	struct dp_partition *before = NULL, *after = NULL;
	struct slk_span key, same;
	uint32_t shard;

	assert_ok(dp_partition_new(&c, &before, NULL));
	assert_ok(dp_partition_record(before, slk_span_str("x"), &shard, &key));
	assert_int_equal(shard, 1);
	dp_hash_key_range(1, 2, &c.fixed_start, &c.fixed_end);
	c.has_fixed_range = true;
	c.shard_count = 4;
	c.starts = given;
	assert_ok(dp_partition_new(&c, &after, NULL));
	assert_ok(dp_partition_record(after, slk_span_str("x"), &shard, &same));
	assert_true(slk_span_equal(key, same));
	assert_int_equal(shard, 3);
	dp_partition_free(before);
	dp_partition_free(after);
	c.fixed_start = c.fixed_end = 5;
	struct slk_error err;
	assert_int_equal(dp_partition_new(&c, &after, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "too narrow"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_those_of_big_integers),
		cmocka_unit_test(shards_are_exact_at_every_boundary),
		cmocka_unit_test(a_digest_is_read_as_a_big_endian_number),
		cmocka_unit_test(known_keys_have_their_shards),
		cmocka_unit_test(a_fixed_shard_is_always_that_one_with_a_true_key),
		cmocka_unit_test(round_robin_visits_every_shard_in_turn_with_true_keys),
		cmocka_unit_test(the_largest_stream_finds_a_key_for_each_shard),
		cmocka_unit_test(a_source_is_its_address_and_port_as_text),
		cmocka_unit_test(many_senders_are_not_mixed_up),
		cmocka_unit_test(a_field_is_what_lies_between_separators),
		cmocka_unit_test(a_missing_or_empty_field_falls_back_to_the_source),
		cmocka_unit_test(a_key_has_at_most_256_characters),
		cmocka_unit_test(a_key_is_valid_utf8),
		cmocka_unit_test(only_the_field_rule_hashes_every_record),
		cmocka_unit_test(a_stream_of_one_shard_hashes_nothing),
		cmocka_unit_test(configurations_out_of_range_are_refused),
		cmocka_unit_test(names_go_both_ways),
		cmocka_unit_test(keys_find_their_given_range),
		cmocka_unit_test(round_robin_leaves_out_what_is_too_narrow),
		cmocka_unit_test(fixed_rule_keeps_its_key),
	};

	return cmocka_run_group_tests_name("dpnet_partition", tests, NULL, NULL);
}
