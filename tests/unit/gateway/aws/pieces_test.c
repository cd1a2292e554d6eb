/* Sequence numbers, sealed iterators, day keys and decisions: what is derived, what is refused, what is forgotten. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/daykeys.h"
#include "aws/decisions.h"
#include "aws/sequence.h"
#include "aws/throughput.h"
#include "aws/ticket.h"
#include "base/clock.h"

/* --- sequence numbers --- */

static void
same_both_ways(uint64_t created_s, uint32_t shard, uint64_t place, uint64_t time_s)
{
	const struct gw_sequence in = {created_s, shard, place, time_s};
	struct gw_sequence out = {0};
	char text[GW_SEQUENCE_TEXT];

	gw_sequence_print(&in, text);
	assert_int_equal(strlen(text), 56);
	assert_ok(gw_sequence_parse(text, &out));
	assert_int_equal(out.created_s, created_s);
	assert_int_equal(out.shard, shard);
	assert_int_equal(out.place, place);
	assert_int_equal(out.time_s, time_s);
}

static void
sequence_numbers_can_be_read_back(void **state)
{
	(void)state;
	same_both_ways(1795507200, 0, 0, 1795507200);
	same_both_ways(1795507200, 17, 1, 1795507201);
	same_both_ways(0, 0, 0, 0);
	same_both_ways((1ull << 36) - 1, UINT32_MAX, GW_SEQUENCE_END, (1ull << 36) - 1);
	/* 2 + nine digits ... as hex, by hand: python3 -c "print(0x2...)" */
	const struct gw_sequence s = {0x123456789, 0x1a, 0x42, 0x987654321};
	char text[GW_SEQUENCE_TEXT];
	gw_sequence_print(&s, text);
	assert_string_equal(text, "50783496678632735129852797115596282333539756510384488866");
}

/* As decimal numbers: by length, then by digits. */
static int
compare(const char *a, const char *b)
{
	size_t x = strlen(a), y = strlen(b);

	return x != y ? (x < y ? -1 : 1) : strcmp(a, b);
}

/* Whatever neighbours differ in, each reads as it would alone. */
static void
sequence_numbers_in_a_run_are_those_alone(void **state)
{
	(void)state;
	static const struct gw_sequence all[] = {{1000, 5, 1, 1000}, {1000, 5, 2, 1000},
		{1000, 5, 2, 1000}, {1000, 5, 70000, 1000}, {1000, 5, 65536 + 70000, 1000},
		{1000, 5, 9, 1000}, {1000, 6, 10, 1000}, {1000, 6, 11, 1001}, {1001, 6, 12, 1001},
		{0xfffffffff, 0xffffffff, GW_SEQUENCE_END - 1, 0xfffffffff},
		{0xfffffffff, 0xffffffff, GW_SEQUENCE_END, 0xfffffffff}, {0, 0, 0, 0},
		{0, 0, 0xffff, 0}};
	struct gw_sequence_run run = {0};
	char alone[GW_SEQUENCE_TEXT], in_run[GW_SEQUENCE_TEXT];
	struct gw_sequence s = {1000, 5, 0xfffffffe, 1000};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		gw_sequence_print(&all[i], alone);
		gw_sequence_run_print(&run, &all[i], in_run);
		assert_string_equal(in_run, alone);
	}
	for (unsigned i = 0; i < 20000; i++, s.place += i % 70 * 997) {
		gw_sequence_print(&s, alone);
		gw_sequence_run_print(&run, &s, in_run);
		assert_string_equal(in_run, alone);
	}
}

static void
sequence_numbers_grow_with_place_and_creation(void **state)
{
	(void)state;
	char before[GW_SEQUENCE_TEXT], after[GW_SEQUENCE_TEXT];
	struct gw_sequence s = {1000, 5, 0, 1000};

	gw_sequence_print(&s, before);
	for (unsigned i = 0; i < 62; i++) {
		s.place = 1ull << i;
		s.time_s = 2000 - i; /* a clock that goes back changes nothing */
		gw_sequence_print(&s, after);
		assert_true(compare(before, after) < 0);
		strcpy(before, after);
	}
	/* A child's first is above its parent's last. */
	s.place = GW_SEQUENCE_END;
	gw_sequence_print(&s, before);
	s = (struct gw_sequence){1001, 6, 0, 1001};
	gw_sequence_print(&s, after);
	assert_true(compare(before, after) < 0);
}

static void
foreign_numbers_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "0", "1", "12345",
		"049590338271490256608559692538361571095921575989136588898",
		"4959033827149025660855969253836157109592157598913658889a",
		"99999999999999999999999999999999999999999999999999999999",
		"123456789012345678901234567890123456789012345678901234567890",
		"50783496678632735129852797115596282333539756510384488867"};
	struct gw_sequence s = {7, 7, 7, 7};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (gw_sequence_parse(bad[i], &s) != SLK_MALFORMED)
			fail_msg("%s was taken", bad[i]);
	assert_int_equal(s.created_s, 7);
}

/* --- tickets --- */

static const uint8_t key[GW_TICKET_KEY_BYTES] = {1, 2, 3}, other[GW_TICKET_KEY_BYTES] = {4};

static struct gw_ticket
iterator(void)
{
	struct gw_ticket t = {.purpose = GW_TICKET_ITERATOR,
		.kind = 3,
		.shard = 7,
		.stream_id = 11,
		.value = UINT64_MAX,
		.issued_ms = 1795507200123ull,
		.more = ""};

	memset(t.name, 'n', GW_TICKET_NAME_MAX - 1);
	return t;
}

static void
tickets_come_back_as_they_were(void **state)
{
	(void)state;
	const struct gw_ticket in = iterator();
	struct gw_ticket out;
	char text[GW_TICKET_TEXT], again[GW_TICKET_TEXT], quoted[GW_TICKET_TEXT + 2];

	assert_ok(gw_ticket_seal(key, &in, text));
	assert_true(strlen(text) <= 512 && strlen(text) % 4 == 0);
	assert_ok(gw_ticket_open(key, GW_TICKET_ITERATOR, text, &out));
	assert_memory_equal(&in, &out, sizeof(in));
	assert_ok(gw_ticket_seal(key, &in, again));
	assert_string_not_equal(text, again); /* never twice the same */
	snprintf(quoted, sizeof(quoted), "\"%s\"", text);
	assert_ok(gw_ticket_open(key, GW_TICKET_ITERATOR, quoted, &out));
}

static void
forged_and_foreign_tickets_are_refused(void **state)
{
	(void)state;
	const struct gw_ticket in = iterator();
	struct gw_ticket out = {.shard = 99};
	char text[GW_TICKET_TEXT];

	assert_ok(gw_ticket_seal(key, &in, text));
	assert_int_equal(gw_ticket_open(other, GW_TICKET_ITERATOR, text, &out), SLK_MALFORMED);
	assert_int_equal(gw_ticket_open(key, GW_TICKET_SHARDS, text, &out), SLK_MALFORMED);
	for (size_t i = 0; text[i] != '\0'; i++) {
		char c = text[i];
		text[i] = c == 'A' ? 'B' : 'A';
		if (gw_ticket_open(key, GW_TICKET_ITERATOR, text, &out) != SLK_MALFORMED)
			fail_msg("character %zu is not covered", i);
		text[i] = c;
	}
	for (size_t len = 0; len < strlen(text); len++) {
		char cut[GW_TICKET_TEXT];
		memcpy(cut, text, len);
		cut[len] = '\0';
		assert_int_equal(gw_ticket_open(key, GW_TICKET_ITERATOR, cut, &out), SLK_MALFORMED);
	}
	assert_int_equal(gw_ticket_open(key, GW_TICKET_ITERATOR, "", &out), SLK_MALFORMED);
	assert_int_equal(gw_ticket_open(key, GW_TICKET_ITERATOR, "\"", &out), SLK_MALFORMED);
	assert_int_equal(gw_ticket_open(key, GW_TICKET_ITERATOR, "====", &out), SLK_MALFORMED);
	assert_int_equal(out.shard, 99);
}

/* --- day keys --- */

static void
name_of(uint32_t n, uint8_t out[GW_SHA256_BYTES])
{
	memset(out, 0, GW_SHA256_BYTES);
	slk_put_le32(out, n * 2654435761u);
	slk_put_le32(out + 4, n);
}

static void
day_keys_live_a_minute_and_no_longer_than_their_session(void **state)
{
	(void)state;
	struct gw_day_keys *keys;
	const struct gw_identity forever = {.principal = "arn:user"},
				 session = {.principal = "arn:role",
					 .session = "arn:session",
					 .expires_ns = 50};
	const struct gw_identity *who = NULL;
	const uint8_t *found = NULL;
	uint8_t one[GW_SHA256_BYTES], two[GW_SHA256_BYTES], three[GW_SHA256_BYTES],
		bytes[GW_SHA256_BYTES];

	assert_ok(gw_day_keys_new(&keys));
	memset(bytes, 0x5a, sizeof(bytes));
	name_of(1, one);
	name_of(2, two);
	name_of(3, three);
	assert_int_equal(gw_day_keys_find(keys, one, 0, 0, &found, &who), SLK_NOT_FOUND);
	gw_day_keys_put(keys, one, 1000, bytes, &forever);
	gw_day_keys_put(keys, two, 1000, bytes, &session);
	gw_day_keys_put(keys, three, 1000, NULL, NULL);
	assert_ok(gw_day_keys_find(keys, one, 1000, 100, &found, &who));
	assert_memory_equal(found, bytes, sizeof(bytes));
	assert_string_equal(gw_identity_arn(who), "arn:user");
	assert_ok(gw_day_keys_find(keys, two, 1000, 49, &found, &who));
	assert_string_equal(gw_identity_arn(who), "arn:session");
	assert_int_equal(gw_day_keys_find(keys, two, 1000, 50, &found, &who), SLK_NOT_FOUND);
	/* A credential that is none is known as such, for a while. */
	assert_int_equal(gw_day_keys_find(keys, three, 1000, 0, &found, &who), SLK_DENIED);
	assert_int_equal(gw_day_keys_find(keys, three, 1000 + GW_DAY_KEY_UNKNOWN_S * SLK_NS_PER_S,
				 0, &found, &who),
		SLK_NOT_FOUND);
	assert_ok(gw_day_keys_find(
		keys, one, 999 + GW_DAY_KEY_LIFE_S * SLK_NS_PER_S, 0, &found, &who));
	assert_int_equal(gw_day_keys_find(keys, one, 1000 + GW_DAY_KEY_LIFE_S * SLK_NS_PER_S, 0,
				 &found, &who),
		SLK_NOT_FOUND);
	gw_day_keys_put(keys, one, 1000, bytes, &forever);
	gw_day_keys_forget(keys);
	assert_int_equal(gw_day_keys_find(keys, one, 1000, 0, &found, &who), SLK_NOT_FOUND);
	gw_day_keys_free(keys);
}

static void
day_keys_are_bounded_and_the_oldest_go(void **state)
{
	(void)state;
	struct gw_day_keys *keys;
	const struct gw_identity nobody = {.principal = ""};
	const struct gw_identity *who;
	const uint8_t *found;
	uint8_t name[GW_SHA256_BYTES], bytes[GW_SHA256_BYTES] = {0};

	assert_ok(gw_day_keys_new(&keys));
	for (uint32_t i = 0; i < 3 * GW_DAY_KEYS_MAX; i++) {
		name_of(i, name);
		bytes[0] = (uint8_t)i;
		gw_day_keys_put(keys, name, 1, bytes, &nobody);
		gw_day_keys_put(
			keys, name, 1, bytes, &nobody); /* again takes no second place for long */
	}
	uint32_t left = 0;
	for (uint32_t i = 0; i < 3 * GW_DAY_KEYS_MAX; i++) {
		name_of(i, name);
		if (gw_day_keys_find(keys, name, 1, 0, &found, &who) != SLK_OK)
			continue;
		assert_int_equal(found[0], (uint8_t)i);
		left++;
	}
	assert_true(left > 0 && left <= GW_DAY_KEYS_MAX);
	name_of(3 * GW_DAY_KEYS_MAX - 1, name);
	assert_ok(gw_day_keys_find(keys, name, 1, 0, &found, &who));
	gw_day_keys_free(keys);
}

/* --- decisions --- */

static void
decisions_are_for_one_caller_action_resource_and_place(void **state)
{
	(void)state;
	struct gw_sigv4_engine *engine;
	struct gw_decisions *decisions;
	uint8_t caller[GW_SHA256_BYTES] = {1}, another[GW_SHA256_BYTES] = {2},
		name[GW_SHA256_BYTES], wrong[GW_SHA256_BYTES];

	assert_ok(gw_sigv4_engine_new(&engine));
	assert_ok(gw_decisions_new(&decisions));
	assert_ok(gw_decision_name(engine, caller, "a", "r", "w", name));
	assert_false(gw_decisions_has(decisions, name, 1));
	gw_decisions_put(decisions, name, 1);
	assert_true(gw_decisions_has(decisions, name, 1));
	static const char *const others[][3] = {
		{"b", "r", "w"}, {"a", "s", "w"}, {"a", "r", "x"}, {"ar", "", "w"}};
	for (size_t i = 0; i < 4; i++) {
		assert_ok(gw_decision_name(
			engine, caller, others[i][0], others[i][1], others[i][2], wrong));
		assert_false(gw_decisions_has(decisions, wrong, 1));
	}
	assert_ok(gw_decision_name(engine, another, "a", "r", "w", wrong));
	assert_false(gw_decisions_has(decisions, wrong, 1));
	assert_false(gw_decisions_has(decisions, name, 1 + GW_DECISION_LIFE_S * SLK_NS_PER_S));
	gw_decisions_put(decisions, name, 1);
	gw_decisions_forget(decisions);
	assert_false(gw_decisions_has(decisions, name, 1));
	for (uint32_t i = 0; i < 4 * GW_DECISIONS_MAX; i++) {
		name_of(i, name);
		gw_decisions_put(decisions, name, i + 1);
		assert_true(gw_decisions_has(decisions, name, i + 1));
	}
	gw_decisions_free(decisions);
	gw_sigv4_engine_free(engine);
}

/* --- what shards take and give --- */

static void
shard_takes_a_mebibyte_and_a_thousand_records_a_second(void **state)
{
	(void)state;
	struct gw_throughput *t = NULL;
	uint64_t now = 5 * SLK_NS_PER_S;

	assert_ok(gw_throughput_new(&t));
	for (unsigned i = 0; i < GW_SHARD_WRITE_RECORDS; i++)
		assert_true(gw_throughput_write(t, 1, 0, 10, now));
	assert_false(gw_throughput_write(t, 1, 0, 10, now));
	assert_true(gw_throughput_write(t, 1, 1, 10, now)); /* another shard */
	assert_true(gw_throughput_write(t, 2, 0, 10, now)); /* another stream */
	assert_false(
		gw_throughput_write(t, 1, 0, 10, now - SLK_NS_PER_S)); /* a thread that is behind */
	now += SLK_NS_PER_MS;
	assert_true(gw_throughput_write(t, 1, 0, 10, now));
	assert_false(gw_throughput_write(t, 1, 0, 10, now));
	now += 3 * SLK_NS_PER_S; /* no more than a second's is kept */
	assert_true(gw_throughput_write(t, 1, 0, GW_SHARD_WRITE_BYTES, now));
	assert_false(gw_throughput_write(t, 1, 0, 1, now));
	gw_throughput_free(t);
}

static void
delivery_stream_takes_what_firehose_s_does(void **state)
{
	(void)state;
	struct gw_throughput *t = NULL;
	uint64_t now = 5 * SLK_NS_PER_S;

	assert_ok(gw_throughput_new(&t));
	for (unsigned i = 0; i < GW_DELIVERY_CALLS; i++)
		assert_true(gw_throughput_call(t, 1, now));
	assert_false(gw_throughput_call(t, 1, now));
	for (unsigned i = 0; i < GW_DELIVERY_RECORDS; i++)
		assert_true(gw_throughput_put(t, 1, 10, now));
	assert_false(gw_throughput_put(t, 1, 10, now));
	assert_true(gw_throughput_write(t, 1, 0, 10, now)); /* a stream of the same id is apart */
	assert_true(gw_throughput_call(t, 2, now));
	now += SLK_NS_PER_S;
	assert_true(gw_throughput_call(t, 1, now));
	assert_true(gw_throughput_put(t, 1, GW_DELIVERY_BYTES, now));
	assert_false(gw_throughput_put(t, 1, 1, now));
	gw_throughput_free(t);
}

static void
shard_gives_five_calls_and_two_mebibytes_a_second(void **state)
{
	(void)state;
	struct gw_throughput *t = NULL;
	uint64_t now = 5 * SLK_NS_PER_S;

	assert_ok(gw_throughput_new(&t));
	for (unsigned i = 0; i < GW_SHARD_READ_CALLS; i++)
		assert_true(gw_throughput_read(t, 1, 0, now));
	assert_false(gw_throughput_read(t, 1, 0, now));
	assert_true(gw_throughput_write(t, 1, 0, 10, now)); /* writes are apart */
	now += SLK_NS_PER_S;
	assert_true(gw_throughput_read(t, 1, 0, now));
	gw_throughput_was_read(t, 1, 0, 10u << 20, now); /* five seconds' worth */
	now += 4 * SLK_NS_PER_S;
	assert_false(gw_throughput_read(t, 1, 0, now));
	now += SLK_NS_PER_MS;
	assert_true(gw_throughput_read(t, 1, 0, now));
	gw_throughput_free(t);
	gw_throughput_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequence_numbers_can_be_read_back),
		cmocka_unit_test(sequence_numbers_in_a_run_are_those_alone),
		cmocka_unit_test(sequence_numbers_grow_with_place_and_creation),
		cmocka_unit_test(foreign_numbers_are_refused),
		cmocka_unit_test(tickets_come_back_as_they_were),
		cmocka_unit_test(forged_and_foreign_tickets_are_refused),
		cmocka_unit_test(day_keys_live_a_minute_and_no_longer_than_their_session),
		cmocka_unit_test(day_keys_are_bounded_and_the_oldest_go),
		cmocka_unit_test(shard_takes_a_mebibyte_and_a_thousand_records_a_second),
		cmocka_unit_test(delivery_stream_takes_what_firehose_s_does),
		cmocka_unit_test(shard_gives_five_calls_and_two_mebibytes_a_second),
		cmocka_unit_test(decisions_are_for_one_caller_action_resource_and_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
