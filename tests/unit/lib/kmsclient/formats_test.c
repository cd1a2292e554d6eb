/* docs/FORMATS.md says of the RPC what kms.proto says: every message, every field with number, name and type, and nothing
 * else; and every status. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "kmsclient/wire.h"

#define MESSAGES_MAX 200
#define DOCUMENT SLK_SOURCE_DIR "/docs/FORMATS.md"

static char *section; /* of the RPC, terminated */
static const ProtobufCMessageDescriptor *messages[MESSAGES_MAX];
static size_t messages_count;

static void
collect(const ProtobufCMessageDescriptor *type)
{
	for (size_t i = 0; i < messages_count; i++)
		if (messages[i] == type)
			return;
	assert_true(messages_count < MESSAGES_MAX);
	messages[messages_count++] = type;
	for (unsigned i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
			collect(type->fields[i].descriptor);
}

static int
setup(void **state)
{
	static char text[1 << 20];

	(void)state;
	FILE *f = fopen(DOCUMENT, "r");
	assert_non_null(f);
	size_t len = fread(text, 1, sizeof(text) - 1, f);
	assert_int_equal(fclose(f), 0);
	text[len] = '\0';
	section = strstr(text, "\n## Local RPC of sealock-kmsd");
	assert_non_null(section);
	char *end = strstr(section + 1, "\n## ");
	assert_non_null(end);
	*end = '\0';
	collect(&kmsp__request__descriptor);
	collect(&kmsp__reply__descriptor);
	return 0;
}

static const char *
type_name(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_BOOL:
		return "bool";
	case PROTOBUF_C_TYPE_UINT32:
		return "uint32";
	case PROTOBUF_C_TYPE_UINT64:
		return "uint64";
	case PROTOBUF_C_TYPE_SINT32:
		return "sint32";
	case PROTOBUF_C_TYPE_STRING:
		return "string";
	case PROTOBUF_C_TYPE_BYTES:
		return "bytes";
	case PROTOBUF_C_TYPE_MESSAGE:
		return ((const ProtobufCMessageDescriptor *)field->descriptor)->short_name;
	default:
		fail_msg("%s has a type that docs/FORMATS.md does not explain", field->name);
		return "";
	}
}

/* The next row of a table that begins with a number, within the text before end; NULL if there is none. */
static const char *
next_row(const char *at, const char *end)
{
	while (at != NULL && at < end) {
		at = strstr(at, "\n| ");
		if (at == NULL || at >= end)
			return NULL;
		at++;
		if ((at[2] >= '0' && at[2] <= '9') || at[2] == '-')
			return at;
	}
	return NULL;
}

static void
check_message(const ProtobufCMessageDescriptor *type)
{
	char heading[100], expected[200];

	snprintf(heading, sizeof(heading), "\n#### %s\n", type->short_name);
	const char *at = strstr(section, heading);
	if (at == NULL) {
		fail_msg("docs/FORMATS.md has no '#### %s'", type->short_name);
		return;
	}
	at += strlen(heading) - 1;
	const char *end = strstr(at, "\n##");
	assert_non_null(end);
	for (unsigned i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];
		const char *row = next_row(at, end);
		snprintf(expected, sizeof(expected), "| %u | %s | %s%s |", field->id, field->name,
			field->label == PROTOBUF_C_LABEL_REPEATED ? "repeated " : "",
			type_name(field));
		if (row == NULL || strncmp(row, expected, strlen(expected)) != 0)
			fail_msg("docs/FORMATS.md, %s: the row '%s ...' is missing, or not in its "
				 "place: '%.60s'",
				type->short_name, expected, row != NULL ? row : "(end)");
		at = row;
	}
	const char *more = next_row(at, end);
	if (more != NULL)
		fail_msg("docs/FORMATS.md, %s: kms.proto has no '%.60s'", type->short_name, more);
}

static void
every_message_and_field_is_there(void **state)
{
	(void)state;
	for (size_t i = 0; i < messages_count; i++)
		check_message(messages[i]);
}

static void
no_other_message_is_there(void **state)
{
	(void)state;
	size_t headings = 0;

	for (const char *at = section; (at = strstr(at, "\n#### ")) != NULL; at++)
		headings++;
	assert_int_equal(headings, messages_count);
}

static void
every_status_is_there(void **state)
{
	(void)state;
	static const struct {
		int number;
		const char *name, *whose, *sentence;
	} rows[] = {
#define WHOSE_OK ""
#define WHOSE_CALLER "caller"
#define WHOSE_RETRY "retry"
#define WHOSE_CORRUPT "corrupt"
#define WHOSE_FATAL "fatal"
#define X(code, number, class, name, sentence) {number, name, WHOSE_##class, sentence},
		SLK_STATUS_LIST(X)
#undef X
	};
	const char *at = strstr(section, "\n### Statuses\n");
	size_t found = 0;

	assert_non_null(at);
	const char *end = strstr(at + 1, "\n### ");
	assert_non_null(end);
	for (; (at = next_row(at, end)) != NULL; found++) {
		char expected[300];
		assert_true(found < sizeof(rows) / sizeof(rows[0]));
		snprintf(expected, sizeof(expected), "| %d | %s | %s | %s |\n", rows[found].number,
			rows[found].name, rows[found].whose, rows[found].sentence);
		if (strncmp(at, expected, strlen(expected)) != 0)
			fail_msg("docs/FORMATS.md has '%.80s' where lib/base/status.h has '%s'", at,
				expected);
	}
	assert_int_equal(found, sizeof(rows) / sizeof(rows[0]));
}

/* The example of a whole request, and the sizes. */
static void
example_and_limits_are_so(void **state)
{
	(void)state;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__List list = KMSP__LIST__INIT;
	uint8_t bytes[16];
	char text[64] = "", limit[32];
	size_t len = 0;

	request.id = 1;
	request.call_case = KMSP__REQUEST__CALL_LIST_KEYS;
	request.list_keys = &list;
	assert_ok(kmsp_request_pack(&request, bytes, sizeof(bytes), &len));
	for (size_t i = 0; i < len; i++)
		snprintf(text + 3 * i, sizeof(text) - 3 * i, "%02x%s", bytes[i],
			i + 1 < len ? " " : "");
	assert_non_null(strstr(section, text));
	static const unsigned limits[] = {KMSP_REQUEST_MAX, KMSP_REPLY_MAX, KMSP_FRAME_MAX};
	for (size_t i = 0; i < 3; i++) {
		snprintf(limit, sizeof(limit), "1..%u,%03u bytes", limits[i] / 1000,
			limits[i] % 1000);
		assert_non_null(strstr(section, limit));
	}
	snprintf(limit, sizeof(limit), "at most %u entries", KMSP_PAGE_MAX);
	assert_non_null(strstr(section, limit));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_and_field_is_there),
		cmocka_unit_test(no_other_message_is_there),
		cmocka_unit_test(every_status_is_there),
		cmocka_unit_test(example_and_limits_are_so),
	};

	return cmocka_run_group_tests_name("kmsclient_formats", tests, setup, NULL);
}
