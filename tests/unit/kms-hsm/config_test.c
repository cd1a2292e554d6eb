#include "slk_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

static const char sound[] = "socket:\n  path: /tmp/kms.sock\n"
			    "catalog:\n  path: /tmp/catalog.db\n"
			    "audit:\n  path: /tmp/audit.log\n"
			    "hsm:\n  profile: softhsm\n  module: /usr/lib/softhsm/libsofthsm2.so\n"
			    "  token_label: sealock\n  pin_file: /tmp/pin\n";

static int
load(const char *text, struct kms_config **out_config, struct slk_error *err)
{
	char path[] = "/tmp/kms_config_XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	int rc = kms_config_load(path, out_config, err);
	unlink(path);
	return rc;
}

static void
a_short_file_is_filled_with_the_defaults(void **state)
{
	(void)state;
	struct kms_config *config = NULL;
	struct slk_error err = {0};

	assert_ok(load(sound, &config, &err));
	assert_string_equal(config->account, "000000000000");
	assert_string_equal(config->region, "local");
	assert_string_equal(config->front_user, "sealock-kms");
	assert_string_equal(config->hsm.worker_user, "sealock-hsm");
	assert_string_equal(config->hsm.state_file, "/tmp/pin.state");
	assert_int_equal(config->hsm.deadline_ms, 5000);
	assert_int_equal(config->socket.mode, 0660);
	assert_int_equal(config->on_demand_rotations, 25);
	assert_null(config->hsm.token_serial);
	kms_config_free(config);
}

static void
refused(const char *extra, const char *expected)
{
	struct kms_config *config = NULL;
	struct slk_error err = {0};
	char text[1024];

	snprintf(text, sizeof(text), "%s%s", sound, extra);
	assert_int_equal(load(text, &config, &err), SLK_CONFIG);
	assert_null(config);
	if (strstr(err.text, expected) == NULL)
		fail_msg("'%s' does not say '%s'", err.text, expected);
}

static void
an_unknown_key_is_refused_by_name(void **state)
{
	(void)state;
	refused("  sesions: 3\n", "sesions");
}

static void
numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	refused("  sessions: 17\n", "hsm.sessions");
	refused("  sessions: many\n", "sessions");
	refused("  workers: 2\n", "hsm.workers");
	refused("  deadline_ms: 600001\n", "deadline");
	refused("  certificate: \"FIPS 140-3 #1\"\n", "hsm.certificate");
	refused("dual_control: {approvals: 0, actions: [\"kms:*\"]}\n", "dual_control.approvals");
	refused("dual_control: {approvals: 11, actions: [\"kms:*\"]}\n", "dual_control.approvals");
	refused("dual_control: {approvals: 1, actions: [\"kms:*\"], expires_hours: 721}\n",
		"dual_control.expires_hours");
	refused("dual_control: {approvals: 1}\n", "actions");
	refused("account: 123\n", "twelve digits");
	refused("on_demand_rotations: 10001\n", "on_demand_rotations");
	refused("  pin_credential: hsm-pin\n", "two ways for one PIN");
	refused("  module_paths: [relative]\n", "module_paths: 'relative'");
}

static void
a_relative_path_in_the_hsm_part_is_refused(void **state)
{
	(void)state;
	refused("  softhsm_conf: softhsm2.conf\n", "absolute");
}

static void
a_pin_by_a_descriptor_needs_a_state_file(void **state)
{
	(void)state;
	struct kms_config *config = NULL;
	struct slk_error err = {0};
	char text[1024];

	snprintf(text, sizeof(text), "%s", sound);
	char *pin = strstr(text, "  pin_file: /tmp/pin\n");
	strcpy(pin, "  pin_credential: hsm-pin\n");
	assert_int_equal(load(text, &config, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "state_file"));
	strcat(text, "  state_file: /tmp/pin.state\n");
	assert_ok(load(text, &config, &err));
	assert_null(config->hsm.pin_file);
	assert_string_equal(config->hsm.pin_credential, "hsm-pin");
	kms_config_free(config);
	strcpy(pin, "  pin_credential: ../hsm-pin\n  state_file: /tmp/pin.state\n");
	assert_int_equal(load(text, &config, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "not the name of a credential"));
}

/* The audit log's part, with these members more. */
static int
load_audit(const char *members, struct kms_config **out_config, struct slk_error *err)
{
	static const char place[] = "audit:\n  path: /tmp/audit.log\n";
	const char *rest = strstr(sound, place) + strlen(place);
	char text[1024];

	snprintf(text, sizeof(text), "%.*s%s%s", (int)(rest - sound), sound, members, rest);
	return load(text, out_config, err);
}

static void
the_audit_log_has_one_second_sink_and_sane_limits(void **state)
{
	(void)state;
	static const struct {
		const char *members, *expected;
	} bad[] = {{"  second: {file: /tmp/b, syslog: /dev/log}\n", "keep one"},
		{"  second: {file: /tmp/audit.log}\n", "first one"},
		{"  deadline_ms: 9\n", "10..60000"}, {"  deadline_ms: 60001\n", "10..60000"},
		{"  reserve_mb: 1025\n", "1024"}, {"  second: {tape: /dev/st0}\n", "tape"}};
	struct kms_config *config = NULL;
	struct slk_error err = {0};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load_audit(bad[i].members, &config, &err), SLK_CONFIG);
		if (strstr(err.text, bad[i].expected) == NULL)
			fail_msg("'%s' does not say '%s'", err.text, bad[i].expected);
	}
	assert_ok(
		load_audit("  second: {syslog: /dev/log}\n  head_interval_s: 5\n", &config, &err));
	assert_string_equal(config->audit.second.syslog, "/dev/log");
	assert_null(config->audit.second.file);
	assert_int_equal(config->audit.head_interval_s, 5);
	assert_int_equal(config->audit.deadline_ms, 2000);
	assert_int_equal(config->audit.reserve_mb, 4);
	kms_config_free(config);
}

static void
an_unknown_profile_is_refused_with_the_known_ones(void **state)
{
	(void)state;
	struct kms_config *config = NULL;
	struct slk_error err = {0};
	char text[1024];

	snprintf(text, sizeof(text), "%s", sound);
	memcpy(strstr(text, "softhsm\n"), "hardhsm\n", 8);
	assert_int_equal(load(text, &config, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "hardhsm"));
	assert_non_null(strstr(err.text, "generic"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_file_is_filled_with_the_defaults),
		cmocka_unit_test(an_unknown_key_is_refused_by_name),
		cmocka_unit_test(numbers_out_of_range_are_refused),
		cmocka_unit_test(a_relative_path_in_the_hsm_part_is_refused),
		cmocka_unit_test(a_pin_by_a_descriptor_needs_a_state_file),
		cmocka_unit_test(the_audit_log_has_one_second_sink_and_sane_limits),
		cmocka_unit_test(an_unknown_profile_is_refused_with_the_known_ones),
	};
	return cmocka_run_group_tests_name("kms_config", tests, NULL, NULL);
}
