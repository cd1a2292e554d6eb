/* The JSON of keys and streams is read by scripts: names and types are a promise. */
#include "slk_test.h"

#include <string.h>
#include <unistd.h>

#include "shapes.h"

static const struct kmsc_key key = {
	.id = "0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01",
	.arn = "arn:aws:kms:local:000000000000:key/0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01",
	.description = "access logs",
	.state = "Enabled",
	.spec = "SYMMETRIC_DEFAULT",
	.usage = "ENCRYPT_DECRYPT",
	.manager = "CUSTOMER",
	.backing_id = "1d9e14e0ce948e0dae0dd2bdc7bfce32",
	.material_id = "0b4ba0c36c4f4c449a100f1c1c6f6a011d9e14e0ce948e0dae0dd2bdc7bfce32",
	.algorithms = {"SYMMETRIC_DEFAULT"},
	.algorithms_count = 1,
	.streams_count = 2,
	.approved_algorithms = true,
	.created_ns = 1763978400000000000ull,
};
static const struct kmsc_alias aliases[] = {
	{.name = "alias/web",
		.arn = "arn:aws:kms:local:000000000000:alias/web",
		.key_id = "0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01"},
	{.name = "alias/other", .key_id = "ffffffff-6c4f-4c44-9a10-0f1c1c6f6a01"},
	{.name = "alias/web2", .key_id = "0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01"},
};
static const struct kmsc_stream stream = {
	.name = "web",
	.arn = "arn:aws:kinesis:local:000000000000:stream/web",
	.id = 3,
	.shard_count = 2,
	.encrypted_kms = true,
	.key_arn = "arn:aws:kms:local:000000000000:key/1",
	.key_name = "alias/web",
	.mode = "PROVISIONED",
	.retention_hours = 24,
	.status = "ACTIVE",
	.created_ns = 1763978400000000000ull,
};

static char text[8192];

static struct cli_out *
begin(int fds[2])
{
	struct cli_out *out = NULL;

	assert_int_equal(pipe(fds), 0);
	assert_ok(cli_out_new(fds[1], &out, NULL));
	return out;
}

static const char *
end(int fds[2], struct cli_out *out)
{
	assert_ok(cli_out_flush(out));
	cli_out_free(out);
	close(fds[1]);
	ssize_t n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
a_key_in_json_has_its_own_aliases_only(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	cli_shape_key(json, &key, aliases, 3);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"id\":\"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01\","
		"\"arn\":\"arn:aws:kms:local:000000000000:key/"
		"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01\","
		"\"aliases\":[\"alias/web\",\"alias/web2\"],\"description\":\"access "
		"logs\",\"state\":\"Enabled\","
		"\"spec\":\"SYMMETRIC_DEFAULT\",\"usage\":\"ENCRYPT_DECRYPT\",\"manager\":"
		"\"CUSTOMER\",\"algorithms\":[\"SYMMETRIC_DEFAULT\"],"
		"\"approved_algorithms\":true,\"validated_module\":false,\"material_id\":"
		"\"0b4ba0c36c4f4c449a100f1c1c6f6a011d9e14e0ce948e0dae0dd2bdc7bfce32\","
		"\"backing_id\":\"1d9e14e0ce948e0dae0dd2bdc7bfce32\",\"streams\":2,"
		"\"created\":\"2025-11-24T10:00:00.000000000Z\",\"deletion\":null}");
}

static void
a_deletion_in_json_says_when_and_how_many_streams_there_are(void **state)
{
	struct kmsc_key doomed = key;
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	strcpy(doomed.state, "PendingDeletion");
	doomed.deletion_ns = 1764583200000000000ull;
	cli_shape_deletion(json, &doomed);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"id\":\"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01\","
		"\"arn\":\"arn:aws:kms:local:000000000000:key/"
		"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01\","
		"\"state\":\"PendingDeletion\",\"deletion\":\"2025-12-01T10:00:00.000000000Z\","
		"\"streams\":2}");
}

static void
only_a_key_that_is_to_be_destroyed_says_when(void **state)
{
	struct kmsc_key doomed = key;
	int fds[2];
	struct cli_out *out = begin(fds);
	(void)state;

	cli_shape_key_text(out, &key, NULL, 0);
	assert_null(strstr(end(fds, out), "destroyed"));
	doomed.deletion_ns = 1764583200000000000ull;
	out = begin(fds);
	cli_shape_key_text(out, &doomed, NULL, 0);
	assert_non_null(strstr(end(fds, out), "destroyed:    at 2025-12-01T10:00:00Z or later\n"));
}

static void
an_alias_in_json_names_its_key(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	cli_shape_alias(json, &aliases[0]);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"alias/web\",\"arn\":\"arn:aws:kms:local:000000000000:alias/web\","
		"\"key_id\":\"0b4ba0c3-6c4f-4c44-9a10-0f1c1c6f6a01\"}");
}

static void
a_stream_in_json_says_how_it_is_encrypted(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	yajl_gen json = cli_json_begin(out, true);
	(void)state;

	cli_shape_stream(json, &stream);
	cli_json_end(json);
	assert_string_equal(end(fds, out),
		"{\"name\":\"web\",\"arn\":\"arn:aws:kinesis:local:000000000000:stream/"
		"web\",\"id\":3,\"shards\":2,"
		"\"status\":\"ACTIVE\",\"encryption\":\"KMS\",\"key_arn\":\"arn:aws:kms:local:"
		"000000000000:key/1\",\"key_name\":\"alias/web\",\"retention_hours\":24,"
		"\"mode\":\"PROVISIONED\","
		"\"created\":\"2025-11-24T10:00:00.000000000Z\"}");
}

static void
the_title_stands_above_the_first_row_only(void **state)
{
	int fds[2];
	struct cli_out *out = begin(fds);
	(void)state;

	cli_shape_key_row(out, &key, aliases, 3, true);
	cli_shape_key_row(out, &key, aliases, 3, false);
	const char *printed = end(fds, out);
	assert_ptr_equal(strstr(printed, "KEY "), printed);
	assert_null(strstr(printed + 4, "KEY "));
	assert_non_null(strstr(printed, "alias/web, alias/web2\n"));
	assert_null(strstr(printed, "alias/other"));
}

static void
a_description_cannot_command_a_terminal(void **state)
{
	struct kmsc_key evil = key;
	int fds[2];
	struct cli_out *out = begin(fds);
	(void)state;

	strcpy(evil.description, "x\x1b[2J");
	cli_shape_key_text(out, &evil, NULL, 0);
	const char *printed = end(fds, out);
	assert_null(strchr(printed, '\x1b'));
	assert_non_null(strstr(printed, "x\\x1b[2J\n"));
	assert_non_null(strstr(printed, "aliases:      -\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_in_json_has_its_own_aliases_only),
		cmocka_unit_test(a_deletion_in_json_says_when_and_how_many_streams_there_are),
		cmocka_unit_test(only_a_key_that_is_to_be_destroyed_says_when),
		cmocka_unit_test(an_alias_in_json_names_its_key),
		cmocka_unit_test(a_stream_in_json_says_how_it_is_encrypted),
		cmocka_unit_test(the_title_stands_above_the_first_row_only),
		cmocka_unit_test(a_description_cannot_command_a_terminal),
	};

	return cmocka_run_group_tests_name("cli_shapes", tests, NULL, NULL);
}
