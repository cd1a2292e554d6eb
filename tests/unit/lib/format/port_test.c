/* The local port's layouts. Golden bytes: tests/fuzz/corpus/port, each behind a byte that names the decoder. */
#include "slk_test.h"

#include <string.h>

#include "format/port.h"
#include "golden.h"

static uint8_t golden[1024];

static struct slk_span
read_golden(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "port/%s", name);
	size_t len = golden_read(path, golden, sizeof(golden));
	return slk_span(golden + 1, len - 1);
}

/* --- control messages --- */

static const struct {
	const char *name;
	struct fmt_port_message message;
} messages[] = {
	{"hello", {.type = FMT_PORT_HELLO, .id = 7, .ring_bytes = 1 << 22, .completions = 4096}},
	{"welcome",
		{.type = FMT_PORT_WELCOME,
			.id = 7,
			.ring_bytes = 1 << 22,
			.completions = 4096,
			.data_max = 1 << 20}},
	{"welcome_refused",
		{.type = FMT_PORT_WELCOME,
			.id = 7,
			.status = SLK_LIMIT,
			.sentence = {(const uint8_t *)"too many clients", 16}}},
	{"attach",
		{.type = FMT_PORT_ATTACH,
			.id = 8,
			.flags = FMT_PORT_ATTACH_TRUSTED,
			.name = {(const uint8_t *)"web", 3}}},
	{"attached",
		{.type = FMT_PORT_ATTACHED,
			.id = 8,
			.handle = 5,
			.stream_id = 0x0102030405060708,
			.encryption = FMT_PORT_ENCRYPTION_KMS}},
	{"attached_refused",
		{.type = FMT_PORT_ATTACHED,
			.id = 8,
			.status = SLK_DENIED,
			.sentence = {(const uint8_t *)"user/reader may not", 19}}},
	{"detach", {.type = FMT_PORT_DETACH, .handle = 5}},
	{"bell", {.type = FMT_PORT_BELL}},
};
#define MESSAGES (sizeof(messages) / sizeof(messages[0]))

static void
golden_bytes_of_messages(void **state)
{
	(void)state;
	uint8_t out[FMT_PORT_MESSAGE_MAX];
	size_t len = 0;

	for (size_t i = 0; i < MESSAGES; i++) {
		const struct fmt_port_message *m = &messages[i].message;
		struct slk_span in = read_golden(messages[i].name);
		struct fmt_port_message back;
		assert_ok(fmt_port_message_encode(m, out, sizeof(out), &len));
		assert_int_equal(len, in.len);
		assert_memory_equal(out, in.ptr, len);
		assert_ok(fmt_port_message_decode(in, &back));
		assert_int_equal(back.type, m->type);
		assert_int_equal(back.id, m->id);
		assert_int_equal(back.status, m->status);
		assert_int_equal(back.ring_bytes, m->ring_bytes);
		assert_int_equal(back.completions, m->completions);
		assert_int_equal(back.data_max, m->data_max);
		assert_int_equal(back.flags, m->flags);
		assert_true(slk_span_equal(back.name, m->name));
		assert_int_equal(back.handle, m->handle);
		assert_int_equal(back.stream_id, m->stream_id);
		assert_int_equal(back.encryption, m->encryption);
		assert_true(slk_span_equal(back.sentence, m->sentence));
		assert_int_equal(fmt_port_message_encode(m, out, len - 1, &(size_t){0}), SLK_FULL);
	}
}

static void
short_long_and_odd_messages_are_refused(void **state)
{
	(void)state;
	uint8_t odd[sizeof(golden) + 1];
	struct fmt_port_message m;

	for (size_t i = 0; i < MESSAGES; i++) {
		struct slk_span in = read_golden(messages[i].name);
		bool open_ended =
			messages[i].message.name.len + messages[i].message.sentence.len > 0;
		size_t fixed = open_ended
			? in.len - messages[i].message.name.len - messages[i].message.sentence.len
			: in.len;
		for (size_t n = 0; n < fixed; n++)
			assert_int_equal(
				fmt_port_message_decode(slk_span(in.ptr, n), &m), SLK_TRUNCATED);
		memcpy(odd, in.ptr, in.len);
		odd[in.len] = 0;
		if (!open_ended)
			assert_int_equal(fmt_port_message_decode(slk_span(odd, in.len + 1), &m),
				SLK_MALFORMED);
		for (size_t at = 0; at < 8; at++) {
			odd[at] ^= 0x80;
			assert_int_equal(fmt_port_message_decode(slk_span(odd, in.len), &m),
				at == 4 ? SLK_BAD_VERSION : SLK_MALFORMED);
			odd[at] ^= 0x80;
		}
	}
}

static void
members_outside_their_limits_are_refused(void **state)
{
	(void)state;
	static const uint8_t name[FMT_PORT_NAME_MAX + 1] = "w";
	uint8_t out[FMT_PORT_MESSAGE_MAX];
	char long_name[FMT_PORT_NAME_MAX + 1];
	size_t len = 77;

	memset(long_name, 'x', sizeof(long_name));
	const struct fmt_port_message bad[] = {
		{.type = (enum fmt_port_type)0},
		{.type = (enum fmt_port_type)7},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 1 << 15, .completions = 64, .data_max = 1},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 3 << 16, .completions = 64, .data_max = 1},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 1 << 27, .completions = 64, .data_max = 1},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 1 << 16, .completions = 32, .data_max = 1},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 1 << 16, .completions = 96, .data_max = 1},
		{.type = FMT_PORT_WELCOME, .ring_bytes = 1 << 16, .completions = 64},
		{.type = FMT_PORT_WELCOME,
			.ring_bytes = 1 << 16,
			.completions = 64,
			.data_max = FMT_PORT_DATA_MAX + 1},
		{.type = FMT_PORT_WELCOME, .status = 1},
		{.type = FMT_PORT_WELCOME, .status = SLK_LIMIT, .ring_bytes = 1 << 16},
		{.type = FMT_PORT_ATTACH, .flags = 2, .name = slk_span_str("web")},
		{.type = FMT_PORT_ATTACH},
		{.type = FMT_PORT_ATTACH, .name = slk_span(long_name, sizeof(long_name))},
		{.type = FMT_PORT_ATTACH, .name = slk_span(name, 2)}, /* a NUL in it */
		{.type = FMT_PORT_ATTACHED, .stream_id = 1},
		{.type = FMT_PORT_ATTACHED, .encryption = (enum fmt_port_encryption)3},
		{.type = FMT_PORT_ATTACHED, .status = SLK_DENIED, .handle = 1},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
			fmt_port_message_encode(&bad[i], out, sizeof(out), &len), SLK_INVALID);
	assert_int_equal(len, 77);
	/* A sentence that is too long is cut. */
	char sentence[1000];
	memset(sentence, 's', sizeof(sentence));
	const struct fmt_port_message wordy = {.type = FMT_PORT_ATTACHED,
		.status = SLK_DENIED,
		.sentence = slk_span(sentence, sizeof(sentence))};
	struct fmt_port_message back;
	assert_ok(fmt_port_message_encode(&wordy, out, sizeof(out), &len));
	assert_int_equal(len, FMT_PORT_MESSAGE_MAX);
	assert_ok(fmt_port_message_decode(slk_span(out, len), &back));
	assert_int_equal(back.sentence.len, FMT_PORT_SENTENCE_MAX);
}

/* --- memory --- */

static void
golden_bytes_of_the_header_page(void **state)
{
	(void)state;
	const struct fmt_port_memory m = {1 << 16, 64, 1 << 20};
	struct slk_span in = read_golden("memory");
	struct fmt_port_memory back;
	uint8_t out[128];

	fmt_port_memory_encode(&m, out);
	assert_int_equal(in.len, sizeof(out));
	assert_memory_equal(out, in.ptr, sizeof(out));
	assert_ok(fmt_port_memory_decode(in, &back));
	assert_memory_equal(&back, &m, sizeof(m));
	assert_int_equal(fmt_port_memory_bytes(&m), 4096 + 65536 + 64 * 64);
	assert_int_equal(
		fmt_port_memory_decode(slk_span(out, sizeof(out) - 1), &back), SLK_TRUNCATED);
	for (size_t i = 0; i < sizeof(out); i++) {
		if (i == 16 || i == 17)
			continue; /* another number of data bytes, within the limit */
		out[i] ^= 0xff;
		int rc = fmt_port_memory_decode(slk_span(out, sizeof(out)), &back);
		assert_int_equal(rc, i >= 4 && i < 8 ? SLK_BAD_VERSION : SLK_MALFORMED);
		out[i] ^= 0xff;
	}
}

/* --- entries --- */

static struct fmt_port_entry
sample_record(void)
{
	struct fmt_port_entry e = {.type = FMT_PORT_RECORD,
		.entry_bytes = 48,
		.key_len = 2,
		.data_len = 3,
		.tag = 0x2122232425262728,
		.handle = 5};

	for (unsigned i = 0; i < 16; i++)
		e.hash[i] = (uint8_t)i;
	return e;
}

static void
golden_bytes_of_entries(void **state)
{
	(void)state;
	struct fmt_port_entry e = sample_record(), back;
	uint8_t out[FMT_PORT_RECORD_BYTES];
	struct slk_span in = read_golden("record");

	assert_int_equal(fmt_port_record_bytes(2, 3), 48);
	assert_int_equal(in.len, 48);
	fmt_port_entry_encode(&e, out);
	assert_memory_equal(out, in.ptr, sizeof(out));
	assert_ok(fmt_port_entry_decode(in.ptr, 48, 1 << 20, &back));
	assert_int_equal(back.type, FMT_PORT_RECORD);
	assert_int_equal(back.entry_bytes, 48);
	assert_int_equal(back.key_len, 2);
	assert_int_equal(back.data_len, 3);
	assert_int_equal(back.tag, e.tag);
	assert_int_equal(back.handle, 5);
	assert_memory_equal(back.hash, e.hash, 16);
	in = read_golden("pad");
	e = (struct fmt_port_entry){.type = FMT_PORT_PAD, .entry_bytes = 16};
	fmt_port_entry_encode(&e, out);
	assert_memory_equal(out, in.ptr, 8);
	assert_ok(fmt_port_entry_decode(in.ptr, 16, 1, &back));
	assert_int_equal(back.type, FMT_PORT_PAD);
	assert_int_equal(back.entry_bytes, 16);
}

static void
entries_that_make_no_sense_are_refused(void **state)
{
	(void)state;
	struct fmt_port_entry e = sample_record(), back = {.tag = 77};
	uint8_t in[FMT_PORT_RECORD_BYTES];

	fmt_port_entry_encode(&e, in);
	assert_int_equal(fmt_port_entry_decode(in, 40, 1 << 20, &back), SLK_TRUNCATED);
	assert_int_equal(fmt_port_entry_decode(in, 48, 2, &back), SLK_TOO_LARGE);
	static const struct {
		unsigned at;
		uint32_t value;
		int status;
	} odd[] = {{0, 0, SLK_MALFORMED}, {0, 47, SLK_MALFORMED}, {0, 56, SLK_MALFORMED},
		{0, 4, SLK_MALFORMED}, {0, UINT32_MAX - 7, SLK_TRUNCATED}, {4, 0, SLK_MALFORMED},
		{4, 0x00020003, SLK_MALFORMED}, {4, 0x00000001, SLK_MALFORMED},
		{4, 0x04010001, SLK_MALFORMED}, {4, 0x00020101, SLK_MALFORMED},
		{4, 0x00020002, SLK_MALFORMED}, {20, UINT32_MAX, SLK_TOO_LARGE}, {20, 4, SLK_OK},
		{20, 7, SLK_MALFORMED}};
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		fmt_port_entry_encode(&e, in);
		slk_put_le32(in + odd[i].at, odd[i].value);
		assert_int_equal(fmt_port_entry_decode(in, 1 << 16, 1 << 20, &back), odd[i].status);
	}
	/* The largest there is adds up. */
	e.key_len = FMT_PORT_KEY_MAX;
	e.data_len = FMT_PORT_DATA_MAX;
	e.entry_bytes = fmt_port_record_bytes(e.key_len, e.data_len);
	fmt_port_entry_encode(&e, in);
	assert_ok(fmt_port_entry_decode(in, e.entry_bytes, FMT_PORT_DATA_MAX, &back));
	assert_int_equal(fmt_port_entry_decode(in, e.entry_bytes, UINT32_MAX, &back), SLK_OK);
}

/* --- completions --- */

static void
golden_bytes_of_completions(void **state)
{
	(void)state;
	const struct fmt_port_completion good = {
		0x1112131415161718, SLK_OK, 3, 42, 1700000000000000001, FMT_PORT_ENCRYPTION_NONE};
	const struct fmt_port_completion refused = {9, SLK_THROTTLED, 1, 2, 3,
		FMT_PORT_ENCRYPTION_KMS}; /* what follows the status is left out */
	struct fmt_port_completion back;
	uint8_t out[FMT_PORT_COMPLETION_BYTES];

	struct slk_span in = read_golden("completion");
	fmt_port_completion_encode(&good, out);
	assert_int_equal(in.len, sizeof(out));
	assert_memory_equal(out, in.ptr, sizeof(out));
	assert_ok(fmt_port_completion_decode(in, &back));
	assert_int_equal(back.tag, good.tag);
	assert_int_equal(back.shard, 3);
	assert_int_equal(back.sequence, 42);
	assert_int_equal(back.arrival_ns, good.arrival_ns);
	assert_int_equal(back.encryption, FMT_PORT_ENCRYPTION_NONE);
	assert_int_equal(
		fmt_port_completion_decode(slk_span(out, sizeof(out) - 1), &back), SLK_TRUNCATED);
	for (size_t i = 32; i < sizeof(out); i++) {
		out[i] ^= 0x10;
		assert_int_equal(fmt_port_completion_decode(slk_span(out, sizeof(out)), &back),
			SLK_MALFORMED);
		out[i] ^= 0x10;
	}
	slk_put_le32(out + 8, 1);
	assert_int_equal(
		fmt_port_completion_decode(slk_span(out, sizeof(out)), &back), SLK_MALFORMED);
	in = read_golden("completion_refused");
	fmt_port_completion_encode(&refused, out);
	assert_memory_equal(out, in.ptr, sizeof(out));
	assert_ok(fmt_port_completion_decode(in, &back));
	assert_int_equal(back.status, SLK_THROTTLED);
	out[16] = 1;
	assert_int_equal(
		fmt_port_completion_decode(slk_span(out, sizeof(out)), &back), SLK_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(golden_bytes_of_messages),
		cmocka_unit_test(short_long_and_odd_messages_are_refused),
		cmocka_unit_test(members_outside_their_limits_are_refused),
		cmocka_unit_test(golden_bytes_of_the_header_page),
		cmocka_unit_test(golden_bytes_of_entries),
		cmocka_unit_test(entries_that_make_no_sense_are_refused),
		cmocka_unit_test(golden_bytes_of_completions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
