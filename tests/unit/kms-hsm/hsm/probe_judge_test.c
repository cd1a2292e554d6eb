/* From a report of the probe to its verdict: pure functions on reports made by hand. */
#include "slk_test.h"

#include <p11-kit/pkcs11.h>
#include <stdio.h>
#include <string.h>

#include "hsm/probe.h"
#include "keyspec.h"

static struct hsm_probe_report r;

static void
set_text(char *field, size_t size, const char *text)
{
	snprintf(field, size, "%s", text);
}

static void
add_mechanism(uint64_t type, uint64_t flags)
{
	r.mechanisms[r.mechanisms_count++] =
		(struct hsm_probe_mechanism){.type = type, .flags = flags};
}

static struct hsm_probe_gcm
works(void)
{
	return (struct hsm_probe_gcm){.rv = CKR_OK, .round_trip = true, .iv_bytes = 12};
}

/* Let AES-GCM work with IVs from there, and in no other way. */
static void
set_gcm(enum hsm_gcm_layout layout, enum hsm_iv_from iv)
{
	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++)
		r.gcm[i / HSM_PROBE_FORMS][i % HSM_PROBE_FORMS] =
			(struct hsm_probe_gcm){.rv = CKR_MECHANISM_PARAM_INVALID};
	r.gcm[layout][iv] = works();
	r.gcm[layout][iv].iv_kept = iv == HSM_IV_OURS;
	r.works = true;
	r.layout = layout;
	r.iv = iv;
}

/* Let the worker's checks have passed under the row that is chosen. */
static void
pass_checks(void)
{
	const struct hsm_profile *row = hsm_probe_choose(&r, NULL);
	uint32_t i = 0;

	assert_non_null(row);
	while (hsm_profile_at(i) != row)
		i++;
	r.checks = (struct hsm_probe_checks){.row = i, .ended = true};
}

/* What a sound token of no name gives. */
static int
setup(void **state)
{
	(void)state;
	memset(&r, 0, sizeof(r));
	r.finished = r.logged_in = true;
	r.slots_count = 1;
	set_text(r.slots[0].label, sizeof(r.slots[0].label), "keys");
	add_mechanism(CKM_AES_GCM, CKF_ENCRYPT | CKF_DECRYPT);
	add_mechanism(CKM_AES_KEY_GEN, CKF_GENERATE);
	r.sessions_opened = HSM_PROBE_SESSIONS_MAX;
	r.key = (struct hsm_probe_key){.value_rv = CKR_ATTRIBUTE_SENSITIVE, .local = true};
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_OURS);
	r.data_max_bytes = 65536;
	pass_checks();
	return 0;
}

static void
expect_profile(const char *name)
{
	pass_checks();
	hsm_probe_judge(&r, NULL);
	assert_int_equal(r.verdict, HSM_PROBE_FITS);
	assert_string_equal(r.profile->name, name);
}

static void
expect_refusal(const char *word)
{
	hsm_probe_judge(&r, NULL);
	assert_int_equal(r.verdict, HSM_PROBE_REFUSED);
	assert_null(r.profile);
	if (strstr(r.reason, word) == NULL)
		fail_msg("'%s' is not in: %s", word, r.reason);
}

static void
every_row_is_proposed_for_a_token_that_behaves_like_it(void **state)
{
	(void)state;
	expect_profile("generic");
	set_gcm(HSM_GCM_WITHOUT_BITS, HSM_IV_OURS);
	expect_profile("generic-no-bits");
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_BUFFER);
	expect_profile("generic-hsm-iv");
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_SUFFIX);
	expect_profile("luna-fips");
	add_mechanism(0x80001087, CKF_ENCRYPT | CKF_DECRYPT);
	r.key.other_session_rv = CKR_OBJECT_HANDLE_INVALID;
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_PREFIX);
	expect_profile("cloudhsm-prefix");
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_BUFFER);
	expect_profile("cloudhsm");
}

static void
a_product_is_known_by_its_name(void **state)
{
	(void)state;
	set_text(r.library, sizeof(r.library), "Implementation of PKCS11");
	set_text(r.manufacturer, sizeof(r.manufacturer), "SoftHSM");
	expect_profile("softhsm");
	set_text(r.manufacturer, sizeof(r.manufacturer), "Mozilla Foundation");
	r.key.local = false;
	r.key.copyable_rv = CKR_GENERAL_ERROR;
	expect_profile("nss");
	/* The same habits of a stranger are nobody's. */
	set_text(r.manufacturer, sizeof(r.manufacturer), "ACME");
	expect_refusal("CKR_GENERAL_ERROR");
}

static void
parameters_rule_out_rows_that_pass_none(void **state)
{
	(void)state;
	set_text(r.manufacturer, sizeof(r.manufacturer), "SoftHSM");
	assert_string_equal(hsm_probe_choose(&r, NULL)->name, "softhsm");
	assert_string_equal(hsm_probe_choose(&r, "text")->name, "generic");
}

static void
an_hsm_whose_ivs_repeat_is_refused(void **state)
{
	(void)state;
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_BUFFER);
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_BUFFER].same_iv = true;
	expect_refusal("the same one twice");
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_SUFFIX);
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_SUFFIX].same_iv = true;
	expect_refusal("the same one twice");
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_OURS);
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_OURS].same_ciphertext = true;
	assert_null(hsm_probe_choose(&r, NULL));
}

static void
zeros_taken_for_an_iv_are_no_ivs_of_the_hsm(void **state)
{
	(void)state;
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_BUFFER);
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_BUFFER].zero_iv_used = true;
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_BUFFER].same_iv = true;
	assert_null(hsm_probe_choose(&r, NULL));
	/* And an IV of ours that the HSM overwrites is not ours. */
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_OURS] = works();
	assert_null(hsm_probe_choose(&r, NULL));
}

static void
an_iv_of_another_length_is_refused(void **state)
{
	(void)state;
	set_gcm(HSM_GCM_WITH_BITS, HSM_IV_SUFFIX);
	r.works = false;
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_SUFFIX].round_trip = false;
	r.gcm[HSM_GCM_WITH_BITS][HSM_IV_SUFFIX].iv_bytes = 16;
	expect_refusal("16 bytes");
}

static void
a_token_without_the_mechanisms_is_refused_before_any_login(void **state)
{
	(void)state;
	r.logged_in = false;
	r.mechanisms[0].flags = CKF_ENCRYPT;
	expect_refusal("no AES-GCM");
	set_text(r.library, sizeof(r.library), "YubiHSM PKCS#11 Library");
	expect_refusal("YubiHSM 2");
	r.mechanisms[0].flags |= CKF_DECRYPT;
	r.mechanisms[1].flags = 0;
	expect_refusal("CKM_AES_KEY_GEN");
}

static void
an_unsafe_token_is_refused_whatever_the_profile(void **state)
{
	(void)state;
	r.random_repeats = true;
	expect_refusal("random generator");
	setup(state);
	r.random_rv = CKR_RANDOM_NO_RNG;
	expect_refusal("random generator");
	setup(state);
	r.key.rv = CKR_TEMPLATE_INCONSISTENT;
	expect_refusal("no AES key");
	setup(state);
	r.key.value_rv = CKR_OK;
	expect_refusal("gives out its value");
}

static void
what_the_worker_would_say_is_said(void **state)
{
	(void)state;
	(void)slk_fail(&r.checks.key, SLK_CORRUPT, "key refused: CKA_EXTRACTABLE is not false");
	expect_refusal("CKA_EXTRACTABLE");
	pass_checks();
	(void)slk_fail(&r.checks.selftest, SLK_SELF_TEST, "self-test: a bad tag was taken");
	expect_refusal("a bad tag was taken");
	pass_checks();
	r.checks.selftest_rv = CKR_DEVICE_ERROR;
	expect_refusal("CKR_DEVICE_ERROR");
	pass_checks();
	r.checks.caps_rv = CKR_DEVICE_REMOVED;
	expect_refusal("CKR_DEVICE_REMOVED");
	pass_checks();
	r.checks.ended = false;
	expect_refusal("did not come to their end");
	pass_checks();
	r.checks.row ^= 1; /* of another profile they say nothing */
	expect_refusal("did not come to their end");
}

static void
sessions_are_counted_for_login_and_keeper(void **state)
{
	(void)state;
	r.sessions_rv = CKR_SESSION_COUNT;
	r.sessions_opened = 6;
	expect_profile("generic");
	assert_int_equal(r.sessions, 0); /* four work, as the profile says */
	r.sessions_opened = 3;
	expect_profile("generic");
	assert_int_equal(r.sessions, 1);
	r.sessions_opened = 2;
	expect_refusal("no more than 2 sessions");
}

static void
without_all_trials_nothing_is_decided(void **state)
{
	(void)state;
	r.logged_in = false;
	hsm_probe_judge(&r, NULL);
	assert_int_equal(r.verdict, HSM_PROBE_OPEN);
	assert_null(r.profile);
	setup(state);
	r.finished = false;
	(void)slk_fail(&r.err, SLK_TIMEOUT, "a call hung");
	hsm_probe_judge(&r, NULL);
	assert_int_equal(r.verdict, HSM_PROBE_OPEN);
	assert_string_equal(r.reason, "a call hung");
	assert_null(r.profile);
}

static const char *
login_fault(const char *pin)
{
	return hsm_probe_login_fault(&r, (const uint8_t *)pin, strlen(pin));
}

static void
a_pin_has_the_shape_of_the_product_before_it_is_tried(void **state)
{
	(void)state;
	assert_null(login_fault("12345678"));
	set_text(r.manufacturer, sizeof(r.manufacturer), "CloudHSM");
	assert_non_null(login_fault("12345678"));
	assert_null(login_fault("user:12345678"));
	/* Its mechanism betrays it, too. */
	r.manufacturer[0] = '\0';
	add_mechanism(0x80001087, CKF_ENCRYPT | CKF_DECRYPT);
	assert_non_null(login_fault("12345678"));
}

static void
names_and_uses_are_there_for_what_we_use(void **state)
{
	(void)state;
	uint64_t type;
	unsigned count = 0;

	/* CKM_RSA_PKCS_KEY_PAIR_GEN is 0 and must not end the list. */
	for (; count < 64 && (type = hsm_probe_ours(count)) != HSM_PROBE_NOT_TRIED; count++) {
		assert_non_null(hsm_probe_use(type));
		assert_non_null(hsm_probe_mechanism_name(type));
	}
	assert_int_equal(count, 11);
	assert_null(hsm_probe_use(CKM_MD5));
	assert_null(hsm_probe_mechanism_name(CKM_MD5));
	assert_string_equal(hsm_probe_rv_name(HSM_PROBE_NOT_TRIED), "not tried");
	assert_string_equal(hsm_probe_rv_name(CKR_PIN_LOCKED), "CKR_PIN_LOCKED");
}

#define T(fn) cmocka_unit_test_setup(fn, setup)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(every_row_is_proposed_for_a_token_that_behaves_like_it),
		T(a_product_is_known_by_its_name),
		T(parameters_rule_out_rows_that_pass_none),
		T(an_hsm_whose_ivs_repeat_is_refused),
		T(zeros_taken_for_an_iv_are_no_ivs_of_the_hsm),
		T(an_iv_of_another_length_is_refused),
		T(a_token_without_the_mechanisms_is_refused_before_any_login),
		T(an_unsafe_token_is_refused_whatever_the_profile),
		T(what_the_worker_would_say_is_said),
		T(sessions_are_counted_for_login_and_keeper),
		T(without_all_trials_nothing_is_decided),
		T(a_pin_has_the_shape_of_the_product_before_it_is_tried),
		T(names_and_uses_are_there_for_what_we_use),
	};
	return cmocka_run_group_tests_name("hsm_probe_judge", tests, NULL, NULL);
}
