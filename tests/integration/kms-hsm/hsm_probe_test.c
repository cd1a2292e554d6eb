/* `sealock hsm probe` on real tokens, through the fault shim: what it proposes, what it refuses, and what it survives. */
#include "slk_test.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <p11-kit/pkcs11.h>
#include <yajl/yajl_tree.h>

#include "cli_run.h"
#include "config.h"
#include "hsm_rig.h"
#include "p11_direct.h"

#define ARGS_MAX 24
#define NODE_MAX 8

static struct hsm_rig rig;
static struct cli_run run; /* too large for the stack of a test */
static char good_pin[64];
static yajl_val report;

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	hsm_rig_environment(&rig);
	setenv("P11SHIM_LENIENT", "1", 1);
	FILE *f = fopen(rig.pin_file, "re");
	assert_non_null(f);
	assert_non_null(fgets(good_pin, sizeof(good_pin), f));
	fclose(f);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	yajl_tree_free(report);
	report = NULL;
	hsm_rig_fini(&rig);
	return 0;
}

/* Probe the module, with what the rig's token needs and the arguments given. */
static void
probe_module(const char *module, const char *const *more)
{
	const char *args[ARGS_MAX + 1] = {"hsm", "probe", module};
	int n = 3;

	args[n++] = rig.parameters[0] != '\0' ? "--module-parameters" : "--softhsm-conf";
	args[n++] = rig.parameters[0] != '\0' ? rig.parameters : rig.conf;
	for (; *more != NULL && n < ARGS_MAX; more++)
		args[n++] = *more;
	cli_run(&run, NULL, args);
	/* Whatever happens. */
	assert_null(strstr(run.out, good_pin));
	assert_null(strstr(run.err, good_pin));
}

#define PROBE(...) probe_module(rig.module, (const char *const[]){__VA_ARGS__, NULL})
#define LOGIN "--token", rig.label, "--pin-file", rig.pin_file
#define PROBE_JSON(...) \
	do { \
		PROBE("--json", __VA_ARGS__); \
		parse_report(); \
	} while (0)

static void
parse_report(void)
{
	char why[256];

	yajl_tree_free(report);
	report = yajl_tree_parse(run.out, why, sizeof(why));
	if (report == NULL)
		fail_msg("%s: %s", why, run.out);
}

/* "checks.kcv" of the report. */
static yajl_val
at(const char *path)
{
	char copy[64], *save = NULL;
	const char *nodes[NODE_MAX + 1] = {NULL};
	int n = 0;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *word = strtok_r(copy, ".", &save); word != NULL && n < NODE_MAX;
		word = strtok_r(NULL, ".", &save))
		nodes[n++] = word;
	yajl_val v = yajl_tree_get(report, nodes, yajl_t_any);
	if (v == NULL)
		fail_msg("no %s in %s", path, run.out);
	return v;
}

/* Of an array or an object. */
static size_t
length_at(const char *path)
{
	yajl_val v = at(path);

	if (YAJL_IS_ARRAY(v))
		return v->u.array.len;
	assert_true(YAJL_IS_OBJECT(v));
	return v->u.object.len;
}

static const char *
text_at(const char *path)
{
	yajl_val v = at(path);

	assert_true(YAJL_IS_STRING(v));
	return v->u.string;
}

static void
expect_text(const char *path, const char *text)
{
	assert_string_equal(text_at(path), text);
}

static void
expect_true(const char *path)
{
	assert_true(YAJL_IS_TRUE(at(path)));
}

static void
expect_false(const char *path)
{
	assert_true(YAJL_IS_FALSE(at(path)));
}

static long long
number_at(const char *path)
{
	assert_true(YAJL_IS_INTEGER(at(path)));
	return YAJL_GET_INTEGER(at(path));
}

static void
expect_in(const char *where, const char *text)
{
	if (strstr(where, text) == NULL)
		fail_msg("'%s' is not in: %s", text, where);
}

static uint64_t
calls(enum p11shim_function f)
{
	return p11shim_calls(rig.shim, f);
}

static const char *
own_profile(void)
{
	return rig.token == RIG_NSS ? "nss" : rig.token == RIG_CLOUDHSM ? "cloudhsm" : "softhsm";
}

static void
count_objects(struct p11_direct *d, uint8_t expected)
{
	CK_OBJECT_HANDLE handles[16];
	CK_ULONG count = 0;

	p11_direct_check(d->fn->C_FindObjectsInit(d->session, NULL, 0), "C_FindObjectsInit");
	p11_direct_check(d->fn->C_FindObjects(d->session, handles, 16, &count), "C_FindObjects");
	p11_direct_check(d->fn->C_FindObjectsFinal(d->session), "C_FindObjectsFinal");
	p11_direct_check(count == expected ? CKR_OK : CKR_GENERAL_ERROR, "objects were left");
}

static void
expect_nothing_left(void)
{
	if (rig.token != RIG_NSS) /* it can be spoken to directly */
		p11_direct_run(&rig, count_objects, 0);
}

/* --- sound tokens --- */

static void
the_tokens_own_profile_is_proposed_with_one_login(void **state)
{
	(void)state;
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	expect_text("verdict", "fits");
	expect_text("profile", own_profile());
	expect_text("checks.profile", own_profile());
	expect_text("checks.selftest", "CKR_OK");
	expect_text("checks.selftest_refused", "");
	expect_true("finished");
	assert_int_equal(calls(P11SHIM_C_Login), 1);
	expect_nothing_left();
}

static void
what_was_seen_is_reported(void **state)
{
	(void)state;
	bool cloudhsm = rig.token == RIG_CLOUDHSM;

	PROBE_JSON(LOGIN);
	expect_text("gcm.iv_by", cloudhsm ? "hsm (buffer)" : "caller");
	expect_text(
		"gcm.with_bits_caller.result", cloudhsm ? "CKR_MECHANISM_PARAM_INVALID" : "CKR_OK");
	expect_text("gcm.with_bits_prefix.result", cloudhsm ? "CKR_OK" : "not tried");
	expect_text("gcm.with_bits_null.result", "not tried");
	if (cloudhsm)
		expect_false("gcm.with_bits_zero_buffer.zero_iv_used");
	assert_int_equal(number_at("gcm.data_max_bytes"), cloudhsm ? 16224 : 65536);
	expect_true("key.sensitive");
	expect_true("key.never_extractable");
	expect_false("key.extractable");
	expect_false("key.on_token");
	assert_int_equal(YAJL_IS_TRUE(at("key.local")), rig.token != RIG_NSS);
	expect_text("key.value", "CKR_ATTRIBUTE_SENSITIVE");
	expect_text("key.other_session", cloudhsm ? "CKR_OBJECT_HANDLE_INVALID" : "CKR_OK");
	assert_int_equal(strlen(text_at("key.kcv")), 6);
	assert_true(number_at("times.random_count") > 0);
	assert_true(number_at("times.wrap_count") > 0);
	assert_true(number_at("times.wrap_p50_ns") > 0);
	assert_true(number_at("times.wrap_p99_ns") >= number_at("times.wrap_p50_ns"));
}

static void
the_computed_check_value_is_that_of_the_token(void **state)
{
	(void)state;
	PROBE_JSON(LOGIN);
	if (strcmp(text_at("key.check_value"), "CKR_ATTRIBUTE_TYPE_INVALID") == 0) {
		print_message("skipped: this token has no CKA_CHECK_VALUE\n");
		skip();
	}
	expect_text("key.check_value", text_at("key.kcv"));
}

static void
the_proposed_configuration_is_one_that_kmsd_takes(void **state)
{
	(void)state;
	struct kms_config *config = NULL;
	struct slk_error err = {0};
	char path[128];

	PROBE(LOGIN);
	assert_int_equal(run.code, 0);
	const char *yaml = strstr(run.out, "\nhsm:\n");
	assert_non_null(yaml);
	snprintf(path, sizeof(path), "%s/kmsd.yaml", rig.dir);
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "socket:\n  path: %s/s\ncatalog:\n  path: %s/c\naudit:\n  path: %s/a\n%s",
		rig.dir, rig.dir, rig.dir, yaml);
	assert_int_equal(fclose(f), 0);
	if (kms_config_load(path, &config, &err) != SLK_OK)
		fail_msg("%s in: %s", err.text, yaml);
	assert_string_equal(config->hsm.profile, own_profile());
	assert_string_equal(config->hsm.module, rig.module);
	assert_string_equal(config->hsm.token_label, rig.label);
	assert_string_equal(config->hsm.pin_file, rig.pin_file);
	if (rig.parameters[0] != '\0')
		assert_string_equal(config->hsm.module_parameters, rig.parameters);
	kms_config_free(config);
}

static void
a_worker_serves_under_what_was_proposed_and_keeps_the_probe_off(void **state)
{
	(void)state;
	uint8_t kcv[3];

	PROBE_JSON(LOGIN);
	rig.profile = text_at("profile");
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_READY);
	assert_ok(hsm_rig_create(&rig, 7, kcv));
	uint64_t logins = calls(P11SHIM_C_Login);
	PROBE(LOGIN);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "another HSM worker holds");
	assert_int_equal(calls(P11SHIM_C_Login), logins);
	rig.profile = own_profile();
}

static void
without_a_token_nothing_is_logged_into(void **state)
{
	(void)state;
	PROBE_JSON("--deadline", "5");
	assert_int_equal(run.code, 0);
	expect_text("verdict", "open");
	expect_text("profile", "");
	expect_false("logged_in");
	assert_true(length_at("mechanisms") > 10);
	assert_int_equal(calls(P11SHIM_C_Login), 0);
	assert_int_equal(calls(P11SHIM_C_OpenSession), 0);
}

static void
what_the_module_prints_is_not_in_the_report(void **state)
{
	(void)state;
	atomic_store(&rig.shim->chatty, 1);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	assert_int_equal(run.out[0], '{');
	assert_null(strstr(run.out, P11SHIM_CHAT));
	expect_in(run.err, P11SHIM_CHAT);
}

/* --- the PIN and the user --- */

static void
a_wrong_pin_is_tried_once_and_never_printed(void **state)
{
	(void)state;
	static const char wrong[] = "crypto_user:not the pin";

	hsm_rig_write_pin(&rig, wrong);
	for (int i = 0; i < 3; i++) {
		PROBE(LOGIN);
		assert_int_equal(run.code, 1);
		expect_in(run.err, "it is not tried again");
		assert_null(strstr(run.out, "not the pin"));
		assert_null(strstr(run.err, "not the pin"));
		assert_int_equal(calls(P11SHIM_C_Login), 1);
	}
	/* The worker knows, too. */
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_PIN_REFUSED);
	assert_int_equal(calls(P11SHIM_C_Login), 1);
}

static void
a_pin_without_a_user_is_not_tried_on_a_cloudhsm(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_SOFTHSM, "every PIN has the right shape");
	hsm_rig_skip_on(RIG_NSS, "every PIN has the right shape");
	hsm_rig_write_pin(&rig, "no-colon-in-it");
	PROBE(LOGIN);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "no attempt was made");
	assert_null(strstr(run.err, "no-colon-in-it"));
	assert_int_equal(calls(P11SHIM_C_Login), 0);
	/* And the right one is tried afterwards. */
	hsm_rig_write_pin(&rig, good_pin);
	PROBE(LOGIN);
	assert_int_equal(run.code, 0);
}

static uid_t
owner_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_uid;
}

static void
root_becomes_who_was_named_or_the_owner_of_the_pin_file(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("skipped: only root can become somebody\n");
		skip();
	}
	PROBE(LOGIN);
	assert_int_equal(run.code, 0);
	assert_int_equal(owner_of(rig.state_file), owner_of(rig.pin_file));
	assert_int_equal(unlink(rig.state_file), 0);
	PROBE(LOGIN, "--user", rig.user);
	assert_int_equal(run.code, 0);
	assert_int_equal(owner_of(rig.state_file), owner_of(rig.pin_file));
	PROBE(LOGIN, "--user", "1"); /* the PIN file is not hers */
	assert_int_equal(run.code, 1);
	PROBE(LOGIN, "--user", "nobody-of-that-name");
	assert_int_equal(run.code, 1);
	expect_in(run.err, "there is no user");
	assert_int_equal(calls(P11SHIM_C_Login), 2);
}

/* --- modules that are none, and tokens that are not there --- */

static void
what_is_no_module_is_said_in_a_sentence(void **state)
{
	(void)state;
	char text[128];
	Dl_info library;

	probe_module("/nonexistent/pkcs11.so", (const char *const[]){NULL});
	assert_int_equal(run.code, 1);
	expect_in(run.err, "there is no PKCS#11 module at /nonexistent/pkcs11.so");
	expect_in(run.out, "verdict:      open");
	snprintf(text, sizeof(text), "%s/text.so", rig.dir);
	FILE *f = fopen(text, "we");
	assert_non_null(f);
	assert_true(fputs("not a library\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	probe_module(text, (const char *const[]){NULL});
	assert_int_equal(run.code, 1);
	expect_in(run.err, "cannot load PKCS#11 module");
	assert_int_not_equal(dladdr((void *)(uintptr_t)yajl_tree_free, &library), 0);
	probe_module(library.dli_fname, (const char *const[]){NULL}); /* a library, and no module */
	assert_int_equal(run.code, 1);
	expect_in(run.err, "is not a PKCS#11 module");
}

static void
an_empty_list_of_slots_is_said(void **state)
{
	(void)state;
	atomic_store(&rig.shim->gone, 1);
	PROBE("--json");
	parse_report();
	assert_int_equal(run.code, 1);
	expect_in(run.err, "0 slots and no token");
	assert_int_equal(length_at("slots"), 0);
	PROBE(LOGIN);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "there is no token labelled 'rig'");
	assert_int_equal(calls(P11SHIM_C_Login), 0);
}

static void
nss_softokn_says_which_parameters_it_misses(void **state)
{
	(void)state;
	if (access(HSM_RIG_NSS, R_OK) != 0) {
		print_message("skipped: %s is not installed\n", HSM_RIG_NSS);
		skip();
	}
	cli_run_args(&run, "hsm", "probe", HSM_RIG_NSS);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "CKR_ARGUMENTS_BAD");
	expect_in(run.err, "configdir='sql:DIRECTORY'");
}

/* --- unsafe and weak tokens --- */

static void
expect_refused(const char *why)
{
	parse_report();
	assert_int_equal(run.code, 1);
	expect_text("verdict", "refused");
	expect_text("profile", "");
	assert_int_equal(length_at("configuration"), 0);
	expect_in(text_at("reason"), why);
	expect_in(run.err, why);
	expect_nothing_left();
}

static void
a_token_without_gcm_is_refused_without_a_login(void **state)
{
	(void)state;
	atomic_store(&rig.shim->no_gcm, 1);
	atomic_store(&rig.shim->prefix_gcm, 0);
	PROBE("--json");
	expect_refused("no AES-GCM");
	assert_int_equal(calls(P11SHIM_C_Login), 0);
}

static void
an_hsm_that_repeats_its_ivs_is_refused(void **state)
{
	(void)state;
	atomic_store(&rig.shim->hsm_iv, 1);
	atomic_store(&rig.shim->same_iv, 1);
	PROBE("--json", LOGIN);
	expect_refused("gave the same one twice");
	expect_true("gcm.with_bits_zero_buffer.same_iv");
}

static void
a_broken_generator_is_refused(void **state)
{
	(void)state;
	atomic_store(&rig.shim->same_random, 1);
	PROBE("--json", LOGIN);
	expect_refused("random generator");
	expect_true("random_repeats");
}

static void
a_token_that_takes_bad_tags_fails_the_workers_own_self_test(void **state)
{
	(void)state;
	atomic_store(&rig.shim->accept_tags, 1);
	PROBE("--json", LOGIN);
	expect_refused("changed ciphertext, tag or AAD for good");
	expect_text("gcm.changed_tag", "CKR_OK");
}

static void
few_sessions_are_written_into_the_configuration_too_few_refused(void **state)
{
	(void)state;
	atomic_store(&rig.shim->sessions_max, 3);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	assert_int_equal(number_at("sessions.opened"), 3);
	expect_text("sessions.one_more", "CKR_SESSION_COUNT");
	assert_int_equal(number_at("configuration.sessions"), 1);
	atomic_store(&rig.shim->sessions_max, 2);
	PROBE("--json", LOGIN);
	expect_refused("no more than 2 sessions");
}

static void
an_operation_left_open_does_not_spoil_the_trials_behind_it(void **state)
{
	(void)state;
	atomic_store(&rig.shim->leave_open, 1);
	atomic_store(&rig.shim->data_max_bytes, 5000);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	assert_int_equal(number_at("gcm.data_max_bytes"), 4096);
	expect_text("gcm.longer_data", "CKR_DATA_LEN_RANGE");
	expect_text("checks.selftest", "CKR_OK");
	assert_true(number_at("times.wrap_count") > 0);
}

static void
a_luna_and_a_layout_without_bits_are_recognised(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "the shim is something else already");
	hsm_rig_skip_on(RIG_NSS, "it is known by its name");
	atomic_store(&rig.shim->suffix_iv, 1);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	expect_text("profile", "luna-fips");
	atomic_store(&rig.shim->suffix_iv, 0);
	atomic_store(&rig.shim->layout_without_bits, 1);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 0);
	expect_text("profile", "generic-no-bits");
}

/* --- hanging, crashing, failing --- */

/* The call is named, its process is gone, and what was learnt before it is there. */
static void
expect_hang(enum p11shim_function f, const char *name)
{
	uint64_t begun = slk_mono_ns(slk_clock_system());

	p11shim_hang(rig.shim, f, UINT64_MAX);
	PROBE_JSON(LOGIN, "--deadline", "1");
	uint64_t took = slk_mono_ns(slk_clock_system()) - begun;
	uint64_t made = calls(f);
	p11shim_heal(rig.shim, f);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "a call hung");
	expect_in(run.err, name);
	expect_text("last_call", name);
	expect_text("verdict", "open");
	expect_false("finished");
	assert_true(took < 4 * SLK_NS_PER_S);
	usleep(20000); /* it would go on after the heal */
	assert_int_equal(calls(f), made);
}

static void
a_hanging_call_is_cut_off_and_named(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "shown on SoftHSM");
	hsm_rig_skip_on(RIG_CLOUDHSM, "shown on SoftHSM");
	expect_hang(P11SHIM_C_Initialize, "C_Initialize");
	expect_hang(P11SHIM_C_Encrypt, "C_Encrypt");
	expect_text("gcm.with_bits_caller.result", "not tried");
	expect_true("key.sensitive");
	/* In a check that is the worker's. */
	expect_hang(P11SHIM_C_GenerateKeyPair, "C_GenerateKeyPair");
	expect_text("checks.selftest", "CKR_OK");
	/* What hung is over: the next probe is a good one. */
	PROBE(LOGIN);
	assert_int_equal(run.code, 0);
	expect_nothing_left();
}

static void
a_hanging_login_is_no_verdict_on_the_pin(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "shown on SoftHSM");
	hsm_rig_skip_on(RIG_CLOUDHSM, "shown on SoftHSM");
	expect_hang(P11SHIM_C_Login, "C_Login");
	expect_false("logged_in");
	PROBE(LOGIN);
	assert_int_equal(run.code, 0);
	assert_int_equal(calls(P11SHIM_C_Login), 2);
}

static void
a_crash_costs_the_child_and_names_the_call(void **state)
{
	(void)state;
	p11shim_fail(rig.shim, P11SHIM_C_EncryptInit, UINT64_MAX, P11SHIM_CRASH);
	PROBE_JSON(LOGIN);
	assert_int_equal(run.code, 1);
	expect_in(run.err, "killed by signal 9");
	expect_text("last_call", "C_EncryptInit");
	expect_text("verdict", "open");
	expect_true("key.sensitive");
}

static void
a_failing_call_is_reported_and_leaves_nothing_behind(void **state)
{
	(void)state;
	static const enum p11shim_function functions[] = {P11SHIM_C_OpenSession,
		P11SHIM_C_GenerateKey, P11SHIM_C_GetAttributeValue, P11SHIM_C_EncryptInit,
		P11SHIM_C_Encrypt, P11SHIM_C_Decrypt, P11SHIM_C_GenerateRandom,
		P11SHIM_C_GenerateKeyPair, P11SHIM_C_CreateObject, P11SHIM_C_DestroyObject};

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		for (uint64_t n = 1; n <= 3; n++) {
			p11shim_fail_at(rig.shim, functions[i], n, CKR_DEVICE_ERROR);
			PROBE_JSON(LOGIN);
			p11shim_heal(rig.shim, functions[i]);
			assert_in_range(run.code, 0, 1);
			expect_true("finished");
		}
		p11shim_fail(rig.shim, functions[i], UINT64_MAX, CKR_DEVICE_ERROR);
		PROBE_JSON(LOGIN);
		p11shim_heal(rig.shim, functions[i]);
		if (functions[i] != P11SHIM_C_DestroyObject)
			assert_int_equal(run.code, 1);
	}
	expect_nothing_left();
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(the_tokens_own_profile_is_proposed_with_one_login),
		T(what_was_seen_is_reported),
		T(the_computed_check_value_is_that_of_the_token),
		T(the_proposed_configuration_is_one_that_kmsd_takes),
		T(a_worker_serves_under_what_was_proposed_and_keeps_the_probe_off),
		T(without_a_token_nothing_is_logged_into),
		T(what_the_module_prints_is_not_in_the_report),
		T(a_wrong_pin_is_tried_once_and_never_printed),
		T(a_pin_without_a_user_is_not_tried_on_a_cloudhsm),
		T(root_becomes_who_was_named_or_the_owner_of_the_pin_file),
		T(what_is_no_module_is_said_in_a_sentence),
		T(an_empty_list_of_slots_is_said),
		T(nss_softokn_says_which_parameters_it_misses),
		T(a_token_without_gcm_is_refused_without_a_login),
		T(an_hsm_that_repeats_its_ivs_is_refused),
		T(a_broken_generator_is_refused),
		T(a_token_that_takes_bad_tags_fails_the_workers_own_self_test),
		T(few_sessions_are_written_into_the_configuration_too_few_refused),
		T(an_operation_left_open_does_not_spoil_the_trials_behind_it),
		T(a_luna_and_a_layout_without_bits_are_recognised),
		T(a_hanging_call_is_cut_off_and_named),
		T(a_hanging_login_is_no_verdict_on_the_pin),
		T(a_crash_costs_the_child_and_names_the_call),
		T(a_failing_call_is_reported_and_leaves_nothing_behind),
	};

	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_probe", tests, NULL, NULL);
}
