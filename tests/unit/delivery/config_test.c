/* deliverd.yaml: the example is valid, defaults, and what is refused with a sentence. */
#include "slk_test.h"

#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tempdir.h"

#define BASE "journal: {dir: /j}\nstate: {dir: /s}\n"

static char dir[256], path[300];
static struct dlv_config *config;
static struct slk_error err;

static int
setup(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/deliverd.yaml", dir);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_config_free(config);
	config = NULL;
	tempdir_remove(dir);
	return 0;
}

static int
load(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
	dlv_config_free(config);
	config = NULL;
	memset(&err, 0, sizeof(err));
	return dlv_config_load(path, &config, &err);
}

static void
the_example_is_valid(void **state)
{
	(void)state;
	if (dlv_config_load(SLK_SOURCE_DIR "/deploy/deliverd.yaml.example", &config, &err) !=
		SLK_OK)
		fail_msg("%s", err.text);
	assert_string_equal(config->user, "sealock-deliver");
	assert_int_equal(config->stores.count, 1);
	assert_string_equal(config->stores.stores[0].bucket, "local-*");
	assert_int_equal(config->stores.stores[0].seal, DLV_SEAL_CLIENT);
	assert_int_equal(config->memory.max_mb, 256);
	assert_int_equal(config->monitor.address.storage.ss_family, AF_INET);
}

/* What is commented out is valid, too. */
static void
all_of_the_example_is_valid(void **state)
{
	char text[16384], out[16384];
	FILE *f = fopen(SLK_SOURCE_DIR "/deploy/deliverd.yaml.example", "r");
	size_t n = 0;

	(void)state;
	assert_non_null(f);
	size_t len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		const char *hash = line + strspn(line, " ");
		bool is_yaml = hash[0] == '#' && hash[1] != ' ' && hash[1] != '\0';
		bool is_part = hash[0] == '#' && hash[1] == ' ' && hash[2] == ' ';
		if (is_yaml || is_part)
			line[hash - line] = ' ';
		/* "#key" stands where "key" would. */
		n += (size_t)snprintf(out + n, sizeof(out) - n, "%.*s%s\n", (int)(hash - line),
			line, is_yaml || is_part ? hash + 1 : hash);
	}
	if (load(out) != SLK_OK)
		fail_msg("%s", err.text);
	assert_int_equal(config->stores.count, 2);
	assert_true(config->stores.stores[1].path_style);
	assert_int_equal(config->databases.count, 1);
	assert_int_equal(config->databases.entries[0].sslmode, DLV_SSL_VERIFY_FULL);
	assert_int_equal(config->endpoints.count, 2);
	assert_int_equal(config->endpoints.endpoints[1].auth, DLV_AUTH_AWS);
}

static void
little_is_needed(void **state)
{
	(void)state;
	assert_ok(load(BASE));
	assert_string_equal(config->region, "local");
	assert_string_equal(config->kms.socket, "/run/sealock/kms/kms.sock");
	assert_true(config->threads >= 2);
	assert_int_equal(config->keys.age_seconds, 300);
	assert_int_equal(config->times.drain_seconds, 10);
	assert_int_equal(config->stores.count, 0);
	assert_null(config->monitor.listen);
}

static void
what_is_wrong_is_named(void **state)
{
	static const char *const bad[][2] = {
		{"journal: {dir: /j}\n", "state"},
		{BASE "colour: red\n", "colour"},
		{BASE "memory: {max_mb: 1}\n", "memory.max_mb is 16 to"},
		{BASE "memory: {max_mb: ten}\n", "max_mb"},
		{BASE "memory: {allow_unlocked: perhaps}\n", "allow_unlocked"},
		{BASE "threads: 65\n", "threads is 1 to 64"},
		{BASE "keys: {age_seconds: 301}\n", "keys.age_seconds"},
		{BASE "account: \"12\"\n", "twelve digits"},
		{BASE "region: Here\n", "region"},
		{BASE "log: loud\n", "log is debug"},
		{BASE "monitor: {listen: localhost:1}\n", "monitor.listen"},
		{BASE "status: {socket: /x, mode: \"9\"}\n", "status.mode"},
		{BASE "stores: [{bucket: a}]\n", "a"},
		{BASE "stores: [{bucket: a, dir: /d, seal: wax}]\n", "seal"},
		{BASE "stores: [{bucket: a, dir: /d, colour: red}]\n", "colour"},
		{BASE "databases: [{host: h, sslmode: prefer}]\n", "sslmode"},
		{BASE "endpoints: [{url: \"https://a\", auth: basic}]\n", "credentials"},
		{BASE "endpoints: [{url: \"https://a\", auth: aws, credentials: /c}]\n", "region"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load(bad[i][0]), SLK_CONFIG);
		assert_null(config);
		if (strstr(err.text, bad[i][1]) == NULL)
			fail_msg("\"%s\" is not in: %s", bad[i][1], err.text);
		assert_non_null(strstr(err.text, "deliverd.yaml"));
	}
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
	(void)state;
	assert_ok(load(BASE));
	dlv_config_free(config);
	config = NULL;
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_not_equal(dlv_config_load(path, &config, &err), SLK_OK);
	assert_null(config);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_example_is_valid),
		TEST(all_of_the_example_is_valid),
		TEST(little_is_needed),
		TEST(what_is_wrong_is_named),
		TEST(a_file_that_others_may_write_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
