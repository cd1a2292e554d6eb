/* The report of `sealock hsm probe` as text and JSON, and what follows from it. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "hsm_report.h"
#include "keyspec.h"

#define ALL_SPECS ((1u << KMS_SPEC_COUNT) - 1)
#define ALL_ALGORITHMS ((1u << KMS_ALG_COUNT) - 1)
/* A token is a stranger's: its label may be anything. */
#define HOSTILE_LABEL "a\"b\\c\n\x1b[31m\xff"

static struct hsm_probe_report report;
static char printed[65536];
static const struct hsm_probe_request request = {.module = "/lib/p11.so",
	.token_label = HOSTILE_LABEL,
	.pin_file = "/var/pin",
	.state_file = "/var/pin.state"};

/* A token that can do everything and fits. */
static int
setup(void **state)
{
	(void)state;
	memset(&report, 0, sizeof(report));
	report.finished = report.logged_in = report.initialised = report.works = true;
	report.verdict = HSM_PROBE_FITS;
	report.profile = hsm_profile_find("generic");
	report.slots_count = 1;
	snprintf(report.slots[0].label, sizeof(report.slots[0].label), "%s", HOSTILE_LABEL);
	snprintf(report.slots[0].serial, sizeof(report.slots[0].serial), "0042");
	report.slots[0].present = true;
	report.data_max_bytes = 4096;
	report.checks = (struct hsm_probe_checks){
		.ended = true, .specs = ALL_SPECS, .algorithms = ALL_ALGORITHMS};
	return 0;
}

static void
print(void (*shape)(
	struct cli_out *, const struct hsm_probe_request *, const struct hsm_probe_report *))
{
	struct cli_out *out = NULL;
	FILE *f = tmpfile();

	assert_non_null(f);
	assert_ok(cli_out_new(fileno(f), &out, NULL));
	shape(out, &request, &report);
	assert_ok(cli_out_flush(out));
	cli_out_free(out);
	rewind(f);
	size_t n = fread(printed, 1, sizeof(printed) - 1, f);
	printed[n] = '\0';
	fclose(f);
}

static void
expect_printed(const char *text)
{
	if (strstr(printed, text) == NULL)
		fail_msg("'%s' is not in: %s", text, printed);
}

static void
a_hostile_label_spoils_neither_terminal_nor_yaml(void **state)
{
	(void)state;
	print(cli_hsm_report_text);
	assert_null(strchr(printed, '\x1b'));
	assert_null(strchr(printed, '\xff'));
	expect_printed("  token_label: \"a\\x22b\\x5cc\\x0a\\x1b[31m\\xff\"\n");
	expect_printed("  token_serial: \"0042\"\n");
	expect_printed("  profile: \"generic\"\n");
	assert_null(strstr(printed, "sessions: "));
	assert_null(strstr(printed, "softhsm_conf"));
}

static void
json_is_whole_whatever_the_label(void **state)
{
	(void)state;
	const char *path[] = {"configuration", "token_serial", NULL};
	char why[128];

	print(cli_hsm_report_json);
	yajl_val tree = yajl_tree_parse(printed, why, sizeof(why));
	if (tree == NULL)
		fail_msg("%s", why);
	yajl_val serial = yajl_tree_get(tree, path, yajl_t_string);
	assert_non_null(serial);
	assert_string_equal(serial->u.string, "0042");
	yajl_tree_free(tree);
}

static void
a_token_that_can_do_everything_is_refused_nothing(void **state)
{
	(void)state;
	print(cli_hsm_report_text);
	expect_printed("kmsd would refuse\n  nothing");
	assert_null(strstr(printed, "UnsupportedOperationException"));
}

static void
what_the_token_lacks_is_named_with_the_exception(void **state)
{
	(void)state;
	report.checks.specs &= ~KMS_BIT(KMS_SPEC_ECC_NIST_P521);
	report.checks.algorithms &=
		~(KMS_BIT(KMS_ALG_ECDSA_SHA_512) | KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_256));
	report.data_max_bytes = 1024;
	print(cli_hsm_report_text);
	expect_printed("CreateKey ECC_NIST_P521");
	expect_printed("RSAES_OAEP_SHA_256");
	expect_printed("Encrypt of more than 1024 bytes");
	expect_printed("UnsupportedOperationException");
	/* Of a key that is not made its algorithm is not named as well. */
	assert_null(strstr(printed, "  ECDSA_SHA_512"));
	assert_null(strstr(printed, "CreateKey RSA_2048"));
}

static void
a_refused_token_gets_no_configuration(void **state)
{
	(void)state;
	report.verdict = HSM_PROBE_REFUSED;
	report.profile = NULL;
	snprintf(report.reason, sizeof(report.reason), "it repeats its IVs");
	print(cli_hsm_report_text);
	expect_printed("verdict:      refused\n");
	expect_printed("everything");
	expect_printed("it repeats its IVs");
	assert_null(strstr(printed, "kmsd.yaml"));
	assert_null(strstr(printed, "pin_file"));
}

static void
an_unfinished_probe_says_where_it_stopped(void **state)
{
	(void)state;
	report.verdict = HSM_PROBE_OPEN;
	report.profile = NULL;
	report.finished = false;
	snprintf(report.call, sizeof(report.call), "C_Encrypt");
	snprintf(report.step, sizeof(report.step), "lengths of the tag");
	print(cli_hsm_report_text);
	expect_printed("the last call was C_Encrypt, for lengths of the tag");
	assert_null(strstr(printed, "kmsd would refuse"));
	assert_null(strstr(printed, "kmsd.yaml"));
}

static void
few_sessions_are_a_number_of_the_configuration(void **state)
{
	(void)state;
	report.sessions = 2;
	print(cli_hsm_report_text);
	expect_printed("  sessions: 2\n");
}

#define T(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_hostile_label_spoils_neither_terminal_nor_yaml),
		T(json_is_whole_whatever_the_label),
		T(a_token_that_can_do_everything_is_refused_nothing),
		T(what_the_token_lacks_is_named_with_the_exception),
		T(a_refused_token_gets_no_configuration),
		T(an_unfinished_probe_says_where_it_stopped),
		T(few_sessions_are_a_number_of_the_configuration),
	};
	return cmocka_run_group_tests_name("cli_hsm_report", tests, NULL, NULL);
}
