/* Who makes the IV, and how: tokens that do it wrong are refused, those that do it otherwise are served. */
#include "fault_rig.h"

static int
setup_idle(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	return 0;
}

static int
setup_hsm_iv(void **state)
{
	(void)state;
	hsm_rig_init(&rig, hsm_rig_token() == RIG_CLOUDHSM ? "cloudhsm" : "generic-hsm-iv");
	atomic_store(&rig.shim->hsm_iv, 1);
	return 0;
}

static void
the_zero_iv_trap_is_refused_at_start(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "this token makes the IVs");
	struct hsm_reply reply;

	/* A profile that leaves the IV to the HSM, on SoftHSM, which takes the zero buffer for an
	 * IV. */
	rig.profile = "generic-hsm-iv";
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "IV all zero"));
	assert_int_equal(hsm_rig_create(&rig, 7, kcv), SLK_SELF_TEST);
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_SELF_TEST);
	assert_int_equal(reply.ciphertext.len, 0);
}

static void
a_token_that_repeats_ivs_is_refused_at_start(void **state)
{
	(void)state;
	atomic_store(&rig.shim->same_iv, 1);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "same IV twice"));
}

static void
a_generator_that_repeats_itself_is_refused_at_start(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_CLOUDHSM, "this token makes the IVs");
	atomic_store(&rig.shim->same_random, 1);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
}

static void
a_token_that_takes_a_bad_tag_is_refused_at_start(void **state)
{
	(void)state;
	atomic_store(&rig.shim->accept_tags, 1);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "changed ciphertext"));
}

static void
a_token_without_gcm_is_refused_by_name(void **state)
{
	(void)state;
	atomic_store(&rig.shim->no_gcm, 1);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "CKM_AES_GCM"));
	assert_int_equal(hsm_rig_create(&rig, 7, kcv), SLK_UNSUPPORTED);
}

static void
a_token_of_the_other_parameter_layout_is_refused(void **state)
{
	(void)state;
	atomic_store(&rig.shim->no_bits, 1);
	hsm_rig_start(&rig);
	hsm_rig_wait_state(&rig, HSM_REFUSED);
	assert_non_null(strstr(hsm_rig_health(&rig).text, "CKR_MECHANISM_PARAM_INVALID"));
}

static void
an_hsm_that_makes_ivs_and_wants_rw_sessions_serves(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "the shim makes IVs on SoftHSM");
	struct burst b = {0};

	atomic_store(&rig.shim->need_rw, 1);
	start_with_key();
	for (int i = 0; i < 64; i++)
		submit_generate(&b);
	finish(&b, 64);
	assert_int_equal(b.good, 64);
	expect_unwraps();
	assert_true(hsm_rig_health(&rig).iv_from_hsm);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static void
a_key_whose_iv_repeats_is_quarantined_and_still_unwraps(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "the shim makes IVs on SoftHSM");
	struct hsm_reply reply;
	uint8_t other[3];

	start_with_key();
	assert_ok(hsm_rig_create(&rig, 8, other));
	atomic_store(&rig.shim->same_iv, 1);
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &reply));
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
	assert_int_equal(reply.ciphertext.len + reply.plaintext.len, 0);
	atomic_store(&rig.shim->same_iv, 0);
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
	expect_unwraps();
	assert_ok(hsm_rig_generate(&rig, 8, other, &reply));
	assert_true(hsm_rig_logged(&rig, "key quarantined"));
	/* The loss of the token does not end it. */
	p11shim_fail(rig.shim, P11SHIM_C_Decrypt, 1, CKR_DEVICE_REMOVED);
	expect_unwraps();
	assert_int_equal(hsm_rig_generate(&rig, 7, kcv, &reply), SLK_CORRUPT);
}

/* Where other HSMs put the IV, and how they take parameters. */
static void
serve_with(const char *profile)
{
	struct hsm_reply reply;

	rig.profile = profile;
	start_with_key();
	assert_string_equal(hsm_rig_health(&rig).profile, profile);
	expect_unwraps();
	for (size_t i = 0; i < 48; i += 5) {
		wrapped_bytes[i] ^= 1;
		assert_int_equal(unwrap(&reply), SLK_INVALID_CIPHERTEXT);
		wrapped_bytes[i] ^= 1;
	}
	wrapped.iv[3] ^= 1;
	assert_int_equal(unwrap(&reply), SLK_INVALID_CIPHERTEXT);
	wrapped.iv[3] ^= 1;
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static void
an_iv_before_the_ciphertext_is_taken_from_there(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "the shim makes IVs on SoftHSM");
	atomic_store(&rig.shim->prefix_gcm, 1);
	hsm_rig_write_pin(&rig, "crypto_user:rig-password");
	if (hsm_rig_token() != RIG_CLOUDHSM) {
		print_message("skipped: the login of this token has another shape\n");
		skip();
	}
	serve_with("cloudhsm-prefix");
}

static void
an_iv_behind_the_tag_is_taken_from_there(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "the shim makes IVs on SoftHSM");
	hsm_rig_skip_on(RIG_CLOUDHSM, "this token puts IVs elsewhere");
	atomic_store(&rig.shim->suffix_iv, 1);
	serve_with("luna-fips");
}

static void
parameters_without_ulivbits_are_given_to_those_who_want_them(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "the shim translates for SoftHSM");
	hsm_rig_skip_on(RIG_CLOUDHSM, "this token takes the other layout");
	atomic_store(&rig.shim->layout_without_bits, 1);
	serve_with("generic-no-bits");
}

#define TI(fn) cmocka_unit_test_setup_teardown(fn, setup_idle, teardown)
#define TH(fn) cmocka_unit_test_setup_teardown(fn, setup_hsm_iv, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TI(the_zero_iv_trap_is_refused_at_start),
		TH(a_token_that_repeats_ivs_is_refused_at_start),
		TI(a_generator_that_repeats_itself_is_refused_at_start),
		TI(a_token_that_takes_a_bad_tag_is_refused_at_start),
		TI(a_token_without_gcm_is_refused_by_name),
		TI(a_token_of_the_other_parameter_layout_is_refused),
		TH(an_hsm_that_makes_ivs_and_wants_rw_sessions_serves),
		TI(an_iv_before_the_ciphertext_is_taken_from_there),
		TI(an_iv_behind_the_tag_is_taken_from_there),
		TI(parameters_without_ulivbits_are_given_to_those_who_want_them),
		TH(a_key_whose_iv_repeats_is_quarantined_and_still_unwraps),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_iv", tests, NULL, NULL);
}
