#include "slk_test.h"

#include <string.h>

#include "hsm/gcm.h"
#include "hsm/profile.h"

static const char *
login_fault(const char *profile, const char *pin)
{
	return hsm_profile_login_fault(
		hsm_profile_find(profile), (const uint8_t *)pin, strlen(pin));
}

static void
every_profile_is_found_by_its_name_and_keeps_to_its_limits(void **state)
{
	(void)state;
	const struct hsm_profile *p;
	size_t count = 0;

	for (; (p = hsm_profile_at(count)) != NULL; count++) {
		assert_ptr_equal(hsm_profile_find(p->name), p);
		assert_true(strlen(p->name) <= 15); /* health has room for 15 */
		assert_non_null(strstr(hsm_profile_names(), p->name));
		assert_non_null(strstr(hsm_profile_refusal("?"), p->name));
		assert_in_range(p->workers_count, 1, p->workers_max);
		assert_in_range(p->workers_max, 1, p->one_process ? 1 : HSM_WORKERS_MAX);
		assert_in_range(p->sessions_count, 1, p->sessions_max);
		assert_in_range(p->sessions_max, 1, HSM_SESSIONS_MAX);
		assert_true(p->data_max_bytes >= HSM_DATA_MAX + HSM_TAG_BYTES + HSM_IV_BYTES);
	}
	assert_int_equal(count, 8);
	assert_null(hsm_profile_find("no such"));
}

static void
an_hsm_without_gcm_is_refused_by_name(void **state)
{
	(void)state;
	assert_null(hsm_profile_find("yubihsm"));
	assert_non_null(strstr(hsm_profile_refusal("yubihsm"), "AES-GCM"));
	assert_non_null(strstr(hsm_profile_refusal("YubiHSM2"), "YubiHSM 2"));
	assert_non_null(strstr(hsm_profile_refusal("nitrokey"), "Nitrokey"));
}

static void
a_cloudhsm_login_has_its_shape_and_is_never_quoted(void **state)
{
	(void)state;
	static const char *const bad[] = {"secretword", "", ":password",
		"crypto_user:", "crypto_user:sixsix",
		"crypto_user:123456789012345678901234567890123",
		"user_name_of_thirty_two_bytes___:password"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = login_fault("cloudhsm", bad[i]);
		assert_non_null(why);
		if (bad[i][0] != '\0')
			assert_null(strstr(why, bad[i]));
	}
	assert_null(login_fault("cloudhsm", "crypto_user:sevench"));
	assert_null(login_fault("cloudhsm-prefix", "u:pass:with:colons"));
	assert_null(login_fault("softhsm", "anything"));
	assert_null(login_fault("generic", ""));
}

static void
gcm_parameters_have_the_layout_of_the_profile(void **state)
{
	(void)state;
	uint8_t iv[HSM_IV_BYTES] = {1};
	struct hsm_gcm_params p;

	assert_int_equal(
		hsm_gcm_params_init(hsm_profile_find("softhsm"), slk_span_str("aad"), iv, &p),
		CKR_OK);
	assert_int_equal(p.mechanism.mechanism, CKM_AES_GCM);
	assert_int_equal(p.mechanism.ulParameterLen, 6 * sizeof(unsigned long));
	assert_int_equal(p.u.with_bits.iv_bits, 96);
	assert_int_equal(p.u.with_bits.iv_len, 12);
	assert_int_equal(p.u.with_bits.tag_bits, 128);
	assert_int_equal(hsm_gcm_params_init(
				 hsm_profile_find("generic-no-bits"), slk_span_str("aad"), iv, &p),
		CKR_OK);
	assert_int_equal(p.mechanism.ulParameterLen, 5 * sizeof(unsigned long));
	assert_ptr_equal(p.u.without_bits.iv_ptr, iv);
	assert_int_equal(p.u.without_bits.aad_len, 3);
	assert_int_equal(p.u.without_bits.tag_bits, 128);
	assert_int_equal(hsm_gcm_params_init(hsm_profile_find("cloudhsm-prefix"),
				 slk_span_str("aad"), NULL, &p),
		CKR_OK);
	assert_int_equal(p.mechanism.mechanism, 0x80001087);
	assert_null(p.u.with_bits.iv_ptr);
	assert_int_equal(p.u.with_bits.iv_len + p.u.with_bits.iv_bits, 0);
	assert_int_equal(
		hsm_gcm_params_init(hsm_profile_find("luna-fips"), slk_span_str("aad"), NULL, &p),
		CKR_OK);
	assert_null(p.u.with_bits.iv_ptr);
	assert_int_equal(p.u.with_bits.iv_len, 0);
	assert_int_equal(p.u.with_bits.iv_bits, 96);
}

static void
empty_aad_never_reaches_a_module(void **state)
{
	(void)state;
	static const uint8_t long_aad[HSM_AAD_MAX + 1];
	struct hsm_gcm_params p;
	uint8_t iv[HSM_IV_BYTES] = {0};
	const struct hsm_profile *softhsm = hsm_profile_find("softhsm");

	assert_int_equal(
		hsm_gcm_params_init(softhsm, slk_span(NULL, 0), iv, &p), CKR_ARGUMENTS_BAD);
	assert_int_equal(hsm_gcm_params_init(softhsm, slk_span(long_aad, sizeof(long_aad)), iv, &p),
		CKR_ARGUMENTS_BAD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_profile_is_found_by_its_name_and_keeps_to_its_limits),
		cmocka_unit_test(an_hsm_without_gcm_is_refused_by_name),
		cmocka_unit_test(a_cloudhsm_login_has_its_shape_and_is_never_quoted),
		cmocka_unit_test(gcm_parameters_have_the_layout_of_the_profile),
		cmocka_unit_test(empty_aad_never_reaches_a_module),
	};
	return cmocka_run_group_tests_name("hsm_profile", tests, NULL, NULL);
}
