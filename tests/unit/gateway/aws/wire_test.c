/* Trees, shapes and answers: JSON as AWS's services take it, and what they say about what they do not take. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/shapes.h"
#include "aws/writer.h"

static struct gw_arena *arena;
static struct gw_fault fault;
static char *body;

static int
setup(void **state)
{
	(void)state;
	assert_ok(gw_arena_new(&arena));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	gw_arena_free(arena);
	free(body);
	body = NULL;
	return 0;
}

/* In memory of exactly its size: a sanitizer sees what is read or written beyond. */
static int
parse_bytes(const char *text, size_t len, struct gw_value **out)
{
	free(body);
	body = malloc(len + 1);
	assert_non_null(body);
	memcpy(body, text, len);
	body[len] = '\0';
	gw_arena_reset(arena);
	return gw_json_parse(arena, (uint8_t *)body, len, out);
}

static int
parse(const char *text, struct gw_value **out)
{
	return parse_bytes(text, strlen(text), out);
}

static const struct gw_shape *
shape_of(const struct gw_input *inputs, const char *operation)
{
	for (; inputs->operation != NULL; inputs++)
		if (strcmp(inputs->operation, operation) == 0)
			return inputs->shape;
	fail_msg("no shape of %s", operation);
	return NULL;
}

static struct gw_value *
bound(const char *operation, const char *text)
{
	struct gw_value *root = NULL;
	static const struct {
		const char *prefix;
		const struct gw_input *const *inputs;
	} services[] = {{"kms:", &gw_inputs_kms}, {"firehose:", &gw_inputs_firehose}};
	const struct gw_input *inputs = gw_inputs_kinesis;

	assert_ok(parse(text, &root));
	fault = (struct gw_fault){.type = NULL};
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		size_t len = strlen(services[i].prefix);
		if (strncmp(operation, services[i].prefix, len) == 0) {
			inputs = *services[i].inputs;
			operation += len;
		}
	}
	return gw_bind(shape_of(inputs, operation), root, &fault) ? root : NULL;
}

static void
refused(const char *operation, const char *text, const char *type, const char *message)
{
	if (bound(operation, text) != NULL)
		fail_msg("%s: %s was taken", operation, text);
	if (strcmp(fault.type, type) != 0 || strcmp(fault.message, message) != 0)
		fail_msg("%s: %s: \"%s\"\nnot %s: \"%s\"", text, fault.type, fault.message, type,
			message);
}

/* --- trees --- */

static void
values_are_where_they_are_said_to_be(void **state)
{
	(void)state;
	struct gw_value *root;

	assert_ok(parse(
		"{\"a\":\"x\\u00e9\\n\",\"b\":[1,-2.5e3,true,null],\"c\":{},\"d\":null}", &root));
	assert_int_equal(root->type, GW_MAP);
	assert_int_equal(root->count, 4);
	assert_int_equal(gw_get(root, "a")->text.len, 4);
	assert_memory_equal(gw_get(root, "a")->text.ptr, "x\xc3\xa9\n", 4);
	const struct gw_value *list = gw_get(root, "b");
	assert_int_equal(list->count, 4);
	assert_int_equal(list->first->type, GW_NUMBER);
	assert_int_equal(list->first->next->next->type, GW_BOOL);
	assert_int_equal(gw_get(root, "c")->type, GW_MAP);
	assert_null(gw_get(root, "d")); /* null is absent */
	assert_null(gw_get(root, "e"));
}

static void
what_is_no_json_is_refused(void **state)
{
	(void)state;
	static const char *const broken[] = {"", " ", "{", "}", "[1,]", "{\"a\":1,}", "{\"a\"}",
		"nul", "\"\x80\"", "\"\\x\"", "{} {}", "01", "+1", "{'a':1}", "// c\n{}",
		"\"a\nb\"", "{\"a\":1,\"a\":2}", "\"\\ud800\"x"};
	struct gw_value *root = NULL;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if (parse(broken[i], &root) != SLK_MALFORMED)
			fail_msg("%zu: %s", i, broken[i]);
	assert_null(root);
	assert_int_equal(parse_bytes("{}\0", 3, &root), SLK_MALFORMED);
}

/* {"KEY":"VALUE","b":1}, the string of each length, with piece at each of its places. */
static int
parse_long(bool as_key, size_t len, size_t at, const char *piece, struct gw_value **out)
{
	char text[512];
	size_t n = 0, piece_len = strlen(piece);

	n += (size_t)sprintf(text, "%s", as_key ? "{\"" : "{\"a\":\"");
	memset(text + n, 'x', len);
	memcpy(text + n + at, piece, piece_len);
	n += len;
	n += (size_t)sprintf(text + n, as_key ? "\":\"v\",\"b\":1}" : "\",\"b\":1}");
	return parse_bytes(text, n, out);
}

static void
strings_of_each_length_are_whole(void **state)
{
	(void)state;
	struct gw_value *root;

	for (size_t len = 0; len < 260; len++)
		for (int as_key = 0; as_key < 2; as_key++) {
			assert_ok(parse_long(as_key, len, 0, "", &root));
			assert_int_equal(root->count, 2);
			struct slk_span s = as_key ? root->first->key : root->first->text;
			assert_int_equal(s.len, len);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(s.ptr[i], 'x');
			assert_string_equal((const char *)gw_get(root, "b")->text.ptr, "1}");
		}
}

static void
what_is_odd_in_a_long_string_is_seen_at_each_place(void **state)
{
	(void)state;
	static const struct {
		const char *piece;
		int status;
		size_t shorter;
		const char *reads;
	} cases[] = {{"\\n", SLK_OK, 1, "\n"}, {"\\\"", SLK_OK, 1, "\""}, {"\\\\", SLK_OK, 1, "\\"},
		{"\\u00e9", SLK_OK, 4, "\xc3\xa9"}, {"\xc3\xa9", SLK_OK, 0, "\xc3\xa9"},
		{"\x7f", SLK_OK, 0, "\x7f"}, {"\x80", SLK_MALFORMED, 0, NULL},
		{"\xc3x", SLK_MALFORMED, 0, NULL}, {"\n", SLK_MALFORMED, 0, NULL},
		{"\x1f", SLK_MALFORMED, 0, NULL}, {"\\x", SLK_MALFORMED, 0, NULL},
		{"\"", SLK_MALFORMED, 0, NULL}, {"\"\"", SLK_MALFORMED, 0, NULL}};
	struct gw_value *root = NULL;

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
		for (size_t at = 0; at < 150; at++) {
			int rc = parse_long(false, 160, at, cases[c].piece, &root);
			if (rc != cases[c].status)
				fail_msg("case %zu at %zu: %d", c, at, rc);
			if (rc != SLK_OK)
				continue;
			struct slk_span s = root->first->text;
			assert_int_equal(s.len, 160 - cases[c].shorter);
			assert_memory_equal(s.ptr + at, cases[c].reads, strlen(cases[c].reads));
		}
}

static void
long_strings_where_none_may_be_are_refused(void **state)
{
	(void)state;
#define LONG \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	static const char *const broken[] = {"\"" LONG, "\"" LONG "\\",
		"[\"" LONG "\"\"" LONG "\"]", "{\"" LONG "\"}", "{\"" LONG "\" \"" LONG "\"}",
		"{1:\"" LONG "\"}", "{\"" LONG "\":1,\"" LONG "\":2}", "\"" LONG "\" x",
		"x\"" LONG "\"", "\\\"" LONG "\"", "// \"" LONG "\"\n1", "[\"" LONG "\",]",
		"\"" LONG "\"\"" LONG "\"", "{\"a\":\"" LONG "\",\"a\":\"" LONG "\"}"};
	struct gw_value *root = NULL;

	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
		if (parse(broken[i], &root) != SLK_MALFORMED)
			fail_msg("%zu: %s", i, broken[i]);
	assert_ok(parse("[\"" LONG "\", \"" LONG "y\" ,\"z\"]", &root));
	assert_int_equal(root->count, 3);
	assert_int_equal(root->first->text.len, sizeof(LONG) - 1);
	assert_int_equal(root->first->next->text.len, sizeof(LONG));
	assert_int_equal(root->first->next->next->text.len, 1);
	assert_ok(parse("\"" LONG "\"", &root));
	assert_int_equal(root->text.len, sizeof(LONG) - 1);
#undef LONG
}

static void
depth_and_size_are_bounded(void **state)
{
	(void)state;
	char deep[2 * GW_DEPTH_MAX + 8];
	struct gw_value *root = NULL;

	memset(deep, '[', GW_DEPTH_MAX);
	memset(deep + GW_DEPTH_MAX, ']', GW_DEPTH_MAX);
	assert_ok(parse_bytes(deep, 2 * GW_DEPTH_MAX, &root));
	memset(deep, '[', GW_DEPTH_MAX + 1);
	memset(deep + GW_DEPTH_MAX + 1, ']', GW_DEPTH_MAX + 1);
	assert_int_equal(parse_bytes(deep, 2 * GW_DEPTH_MAX + 2, &root), SLK_LIMIT);

	size_t len = 10u << 20;
	char *bomb = malloc(len);
	assert_non_null(bomb);
	memset(bomb, '[', len);
	assert_int_equal(parse_bytes(bomb, len, &root), SLK_LIMIT);
	/* As many values as may be, and one more. */
	bomb[0] = '[';
	for (size_t i = 0; i < GW_VALUES_MAX; i++)
		memcpy(bomb + 1 + 2 * i, "1,", 2);
	bomb[2 * (GW_VALUES_MAX - 1)] = ']';
	assert_ok(parse_bytes(bomb, 2 * (GW_VALUES_MAX - 1) + 1, &root));
	bomb[2 * (GW_VALUES_MAX - 1)] = ',';
	bomb[2 * GW_VALUES_MAX] = ']';
	assert_int_equal(parse_bytes(bomb, 2 * GW_VALUES_MAX + 1, &root), SLK_LIMIT);
	free(bomb);
}

static void
members_of_a_map_are_bounded(void **state)
{
	(void)state;
	char text[16384] = "{";
	struct gw_value *root = NULL;
	size_t len = 1;

	for (unsigned i = 0; i < GW_MEMBERS_MAX; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len, "%s\"k%u\":1", i ? "," : "", i);
	strcpy(text + len, "}");
	assert_ok(parse(text, &root));
	strcpy(text + len, ",\"more\":1}");
	assert_int_equal(parse(text, &root), SLK_LIMIT);
}

static void
numbers_are_read_exactly(void **state)
{
	(void)state;
	int64_t n;
	uint64_t ns;

	assert_ok(gw_number(slk_span_str("9223372036854775807"), &n));
	assert_int_equal(n, INT64_MAX);
	assert_ok(gw_number(slk_span_str("-9223372036854775808"), &n));
	assert_int_equal(n, INT64_MIN);
	assert_int_equal(gw_number(slk_span_str("9223372036854775808"), &n), SLK_RANGE);
	assert_int_equal(gw_number(slk_span_str("-9223372036854775809"), &n), SLK_RANGE);
	assert_int_equal(gw_number(slk_span_str("1.0"), &n), SLK_MALFORMED);
	assert_int_equal(gw_number(slk_span_str("-"), &n), SLK_MALFORMED);
	assert_ok(gw_seconds(slk_span_str("1795507200.123"), &ns));
	assert_int_equal(ns, 1795507200123000000ull);
	assert_ok(gw_seconds(slk_span_str("1.795507200123E9"), &ns));
	assert_int_equal(ns, 1795507200123000000ull);
	assert_int_equal(gw_seconds(slk_span_str("-1"), &ns), SLK_RANGE);
	assert_int_equal(gw_seconds(slk_span_str("1e300"), &ns), SLK_RANGE);
}

/* --- shapes --- */

static void
a_request_that_fits_is_easy_to_read(void **state)
{
	(void)state;
	const struct gw_value *r = bound("PutRecords",
		"{\"StreamName\":\"web\",\"Records\":[{\"Data\":\"YWI=\",\"PartitionKey\":"
		"\"a\\\"b\"},"
		"{\"Data\":\"\",\"PartitionKey\":\"\xc3\xa9\",\"ExplicitHashKey\":\"0\"}],"
		"\"Unknown\":[[]],"
		"\"StreamARN\":null}");

	if (r == NULL)
		fail_msg("%s: %s", fault.type, fault.message);
	assert_string_equal(gw_text(r, "StreamName"), "web");
	assert_string_equal(gw_text(r, "StreamARN"), "");
	const struct gw_value *first = gw_get(r, "Records")->first;
	assert_int_equal(gw_span(first, "Data").len, 2);
	assert_memory_equal(gw_span(first, "Data").ptr, "ab", 2);
	assert_string_equal(gw_text(first, "PartitionKey"), "a\"b");
	assert_int_equal(gw_span(first->next, "Data").len, 0);
	assert_string_equal(gw_text(first->next, "ExplicitHashKey"), "0");
	r = bound("GetRecords", "{\"ShardIterator\":\"x\",\"Limit\":10000}");
	assert_non_null(r);
	assert_int_equal(gw_int(r, "Limit", 7), 10000);
	assert_int_equal(gw_int(r, "None", 7), 7);
}

static void
wrong_types_are_told_as_by_the_service(void **state)
{
	(void)state;
	const char *s = "SerializationException";

	refused("CreateStream", "{\"StreamName\":1}", s,
		"class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be "
		"converted to a String");
	refused("CreateStream", "{\"StreamName\":true}", s,
		"class java.lang.Boolean can not be converted to a String");
	assert_true(fault.capital);
	refused("CreateStream", "{\"ShardCount\":\"1\"}", s,
		"class java.lang.String can not be converted to an Integer");
	refused("CreateStream", "{\"StreamName\":[]}", s, "Start of list found where not expected");
	refused("CreateStream", "{\"StreamName\":{}}", s,
		"Start of structure or map found where not expected.");
	refused("PutRecords", "{\"Records\":\"x\"}", s, "Expected list or null");
	refused("CreateStream", "{\"Tags\":\"x\"}", s, "Expected map or null");
	refused("CreateStream", "[]", s, "Start of list found where not expected");
	refused("CreateStream", "\"x\"", s, "Expected null");
	refused("CreateStream", "{\"ShardCount\":4294967297}", s,
		"Number is not a whole one, or out of range");
	refused("PutRecord", "{\"Data\":\"YWI\"}", s,
		"Value can not be converted to a Blob: Base64 encoded length is expected a "
		"multiple of 4 "
		"bytes but found: 3");
	static const char *const blobs[] = {"YW=I", "====", "YWI-", "YW J", "YWJ=", "=WIx", "Y==="};
	for (size_t i = 0; i < sizeof(blobs) / sizeof(blobs[0]); i++) {
		char text[64];
		snprintf(text, sizeof(text), "{\"Data\":\"%s\"}", blobs[i]);
		refused("PutRecord", text, s,
			"Value can not be converted to a Blob: Invalid Base64 character or last "
			"non-pad "
			"Base64 character dectected");
	}
}

static void
constraints_are_told_as_by_the_service(void **state)
{
	(void)state;
	const char *v = "ValidationException";
	char text[1024], long_name[130];

	refused("PutRecords", "{\"StreamName\":\"a\"}", v,
		"1 validation error detected: Value null at 'records' failed to satisfy "
		"constraint: Member "
		"must not be null");
	refused("PutRecords", "{\"Records\":[]}", v,
		"1 validation error detected: Value at 'records' failed to satisfy constraint: "
		"Member must "
		"have length greater than or equal to 1");
	refused("PutRecords",
		"{\"StreamName\":\"a b\",\"Records\":[{\"Data\":\"\",\"PartitionKey\":\"\"}]}", v,
		"2 validation errors detected: Value '' at 'records.1.member.partitionKey' failed "
		"to satisfy "
		"constraint: Member must have length greater than or equal to 1; Value 'a b' at "
		"'streamName' "
		"failed to satisfy constraint: Member must satisfy regular expression pattern: "
		"[a-zA-Z0-9_.-]+");
	refused("GetRecords", "{\"ShardIterator\":\"x\",\"Limit\":10001}", v,
		"1 validation error detected: Value '10001' at 'limit' failed to satisfy "
		"constraint: Member "
		"must have value less than or equal to 10000");
	refused("GetShardIterator",
		"{\"StreamName\":\"a\",\"ShardId\":\"b\",\"ShardIteratorType\":\"SOON\"}", v,
		"1 validation error detected: Value 'SOON' at 'shardIteratorType' failed to "
		"satisfy "
		"constraint: Member must satisfy enum value set: [AT_SEQUENCE_NUMBER, "
		"AFTER_SEQUENCE_NUMBER, "
		"TRIM_HORIZON, LATEST, AT_TIMESTAMP]");
	/* A sensitive value is never told. */
	refused("kms:Encrypt", "{\"KeyId\":\"k\",\"Plaintext\":\"\"}", v,
		"1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
		"Member must "
		"have length greater than or equal to 1");
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[129] = '\0';
	long_name[128] = '\0';
	snprintf(text, sizeof(text), "{\"StreamName\":\"%s\",\"ShardCount\":1}", long_name);
	assert_non_null(bound("CreateStream", text));
	long_name[128] = 'x';
	snprintf(text, sizeof(text), "{\"StreamName\":\"%s\",\"ShardCount\":1}", long_name);
	assert_null(bound("CreateStream", text));
	assert_non_null(strstr(fault.message, "Member must have length less than or equal to 128"));
	/* Ten at most. */
	char many[2048] = "{\"Records\":[";
	for (int i = 0; i < 12; i++)
		strcat(many, i == 0 ? "{}" : ",{}");
	strcat(many, "]}");
	assert_null(bound("PutRecords", many));
	assert_int_equal(strncmp(fault.message, "10 validation errors detected: ", 31), 0);
	refused("CreateStream", "{\"StreamName\":\"a\\u0000\",\"ShardCount\":1}", v,
		"1 validation error detected: Value 'a?' at 'streamName' failed to satisfy "
		"constraint: Member "
		"must satisfy regular expression pattern: [a-zA-Z0-9_.-]+");
}

static void
requests_of_firehose_are_bound(void **state)
{
	(void)state;
	const char *v = "ValidationException";
	char text[2048] = "{\"DeliveryStreamName\":\"a\",\"Records\":[";

	/* What a destination is to be is lib/delivery's to say. */
	const struct gw_value *r = bound("firehose:CreateDeliveryStream",
		"{\"DeliveryStreamName\":\"a-b.c_1\",\"DeliveryStreamType\":\"MSKAsSource\","
		"\"ExtendedS3DestinationConfiguration\":{\"Whatever\":[1]},\"Tags\":[{\"Key\":"
		"\"\u00e4 b\",\"Value\":\"\"}]}");
	assert_non_null(r);
	assert_string_equal(gw_text(r, "DeliveryStreamType"), "MSKAsSource");
	refused("firehose:CreateDeliveryStream",
		"{\"DeliveryStreamName\":\"a\",\"ExtendedS3DestinationConfiguration\":1}",
		"SerializationException", "Expected null");
	refused("firehose:PutRecord", "{\"DeliveryStreamName\":\"a/b\",\"Record\":{}}", v,
		"2 validation errors detected: Value 'a/b' at 'deliveryStreamName' failed to "
		"satisfy constraint: Member must satisfy regular expression pattern: "
		"[a-zA-Z0-9_.-]+; Value null at 'record.data' failed to satisfy constraint: Member "
		"must not be null");
	assert_non_null(bound("firehose:PutRecordBatch",
		"{\"DeliveryStreamName\":\"a\",\"Records\":[{\"Data\":\"\"}]}"));
	for (int i = 0; i < 12; i++)
		strcat(text, i == 0 ? "{}" : ",{}");
	strcat(text, "]}");
	assert_null(bound("firehose:PutRecordBatch", text));
	refused("firehose:TagDeliveryStream",
		"{\"DeliveryStreamName\":\"a\",\"Tags\":[{\"Key\":\"aws:x\"}]}", v,
		"1 validation error detected: Value 'aws:x' at 'tags.1.member.key' failed to "
		"satisfy constraint: Member must satisfy regular expression pattern: "
		"^(?!aws:)[\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@%]*$");
	refused("firehose:StartDeliveryStreamEncryption",
		"{\"DeliveryStreamName\":\"a\",\"DeliveryStreamEncryptionConfigurationInput\":{"
		"\"KeyType\":\"MINE\"}}",
		v,
		"1 validation error detected: Value 'MINE' at "
		"'deliveryStreamEncryptionConfigurationInput.keyType' failed to satisfy "
		"constraint: Member must satisfy enum value set: [AWS_OWNED_CMK, "
		"CUSTOMER_MANAGED_CMK]");
	refused("firehose:UpdateDestination",
		"{\"DeliveryStreamName\":\"a\",\"CurrentDeliveryStreamVersionId\":\"x\","
		"\"DestinationId\":\"d-1\"}",
		v,
		"1 validation error detected: Value 'x' at 'currentDeliveryStreamVersionId' failed "
		"to satisfy constraint: Member must satisfy regular expression pattern: [0-9]+");
}

/* 1,024,000 bytes, and one more. */
static void
a_record_has_firehose_s_limit(void **state)
{
	(void)state;
	static const char head[] = "{\"DeliveryStreamName\":\"a\",\"Record\":{\"Data\":\"";

	for (size_t bytes = 1023999; bytes <= 1024002; bytes += 3) { /* no padding in base64 */
		size_t n = bytes / 3 * 4, len = sizeof(head) - 1;
		char *text = malloc(len + n + 4);
		assert_non_null(text);
		memcpy(text, head, len);
		memset(text + len, 'A', n);
		strcpy(text + len + n, "\"}}");
		bool taken = bound("firehose:PutRecord", text) != NULL;
		assert_true(taken == (bytes <= 1024000));
		if (!taken)
			assert_non_null(strstr(fault.message,
				"Value at 'record.data' failed to satisfy constraint: Member must "
				"have length less than or equal to 1024000"));
		free(text);
	}
}

static void
patterns_hold_at_their_edges(void **state)
{
	(void)state;
	const struct gw_pattern *const arn = &gw_pattern_stream_arn;

	assert_true(arn->fits(slk_span_str("arn:aws:kinesis:local:000000000000:stream/a")));
	assert_false(arn->fits(slk_span_str("arn:aws:kinesis:local:00000000000:stream/a")));
	assert_false(arn->fits(slk_span_str("arn:aws:kinesis:local:000000000000:stream/")));
	assert_false(arn->fits(slk_span_str("arn:aws:kinesis:local:000000000000:stream/a b")));
	assert_false(arn->fits(slk_span_str("arn:aws:kms:local:000000000000:stream/a")));
	assert_true(gw_pattern_hash_key.fits(slk_span_str("0")));
	assert_false(gw_pattern_hash_key.fits(slk_span_str("00")));
	assert_false(gw_pattern_hash_key.fits(slk_span_str("")));
	assert_true(gw_pattern_latin.fits(slk_span_str("a\xc3\xbf")));
	assert_false(gw_pattern_latin.fits(slk_span_str("\xc4\x80")));
	assert_false(gw_pattern_latin.fits(slk_span_str("\n")));
	assert_true(gw_pattern_policy.fits(slk_span_str("{\n\t}")));
}

/* --- answers --- */

static void
answers_are_written_without_empty_members(void **state)
{
	(void)state;
	uint8_t out[512];
	struct gw_writer w = {.bytes = out, .cap = sizeof(out)};

	gw_write_open(&w, NULL);
	gw_write_text(&w, "A", "q\"\\\n\x01\xc3\xa9");
	gw_write_text_if(&w, "B", "");
	gw_write_open_list(&w, "C");
	gw_write_open(&w, NULL);
	gw_write_int(&w, "D", INT64_MIN);
	gw_write_close(&w);
	gw_write_text(&w, NULL, "e");
	gw_write_close_list(&w);
	gw_write_bool(&w, "F", true);
	gw_write_blob(&w, "G", slk_span("abcd", 4));
	gw_write_blob(&w, "H", slk_span("", 0));
	gw_write_time(&w, "I", 1795507200007000000ull);
	gw_write_open_list(&w, "J");
	gw_write_close_list(&w);
	gw_write_close(&w);
	assert_ok(w.status);
	static const char expected[] =
		"{\"A\":\"q\\\"\\\\\\n\\u0001\xc3\xa9\",\"C\":[{\"D\":-9223372036854775808},"
		"\"e\"],\"F\":true,\"G\":\"YWJjZA==\",\"H\":\"\",\"I\":1795507200.007,"
		"\"J\":[]}";
	assert_int_equal(w.len, sizeof(expected) - 1);
	assert_memory_equal(out, expected, w.len);
}

static void
a_full_writer_says_so_once_and_stays_within(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 40; cap++) {
		uint8_t *out = malloc(cap + 1);
		assert_non_null(out);
		out[cap] = 0xaa;
		struct gw_writer w = {.bytes = out, .cap = cap};
		gw_write_open(&w, NULL);
		gw_write_blob(&w, "Blob", slk_span("0123456789", 10));
		gw_write_int(&w, "N", 1);
		gw_write_close(&w);
		assert_int_equal(out[cap], 0xaa);
		assert_true(w.len <= cap);
		if (w.status == SLK_OK)
			assert_int_equal(w.len, 33);
		else
			assert_int_equal(w.status, SLK_FULL);
		free(out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_where_they_are_said_to_be),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(strings_of_each_length_are_whole),
		cmocka_unit_test(what_is_odd_in_a_long_string_is_seen_at_each_place),
		cmocka_unit_test(long_strings_where_none_may_be_are_refused),
		cmocka_unit_test(depth_and_size_are_bounded),
		cmocka_unit_test(members_of_a_map_are_bounded),
		cmocka_unit_test(numbers_are_read_exactly),
		cmocka_unit_test(a_request_that_fits_is_easy_to_read),
		cmocka_unit_test(wrong_types_are_told_as_by_the_service),
		cmocka_unit_test(constraints_are_told_as_by_the_service),
		cmocka_unit_test(requests_of_firehose_are_bound),
		cmocka_unit_test(a_record_has_firehose_s_limit),
		cmocka_unit_test(patterns_hold_at_their_edges),
		cmocka_unit_test(answers_are_written_without_empty_members),
		cmocka_unit_test(a_full_writer_says_so_once_and_stays_within),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
