#include "slk_test.h"

#include <string.h>

#include "hsm/rv.h"

static void
each_class_has_its_codes(void **state)
{
	(void)state;
	static const struct {
		CK_RV rv;
		enum hsm_rv_class class;
	} rows[] = {
		{CKR_OK, HSM_RV_OK},
		{0xb3, HSM_RV_SESSION},
		{0xb0, HSM_RV_SESSION},
		{0x90, HSM_RV_SESSION},
		{0x91, HSM_RV_SESSION},
		{0x101, HSM_RV_LOGIN},
		{0x82, HSM_RV_OBJECT},
		{0x60, HSM_RV_OBJECT},
		{0x32, HSM_RV_TOKEN},
		{0x30, HSM_RV_TOKEN},
		{0xe0, HSM_RV_TOKEN},
		{0xe1, HSM_RV_TOKEN},
		{0x190, HSM_RV_TOKEN},
		{0x80000384, HSM_RV_TOKEN},
		{0x06, HSM_RV_BUSY},
		{0x31, HSM_RV_BUSY},
		{0x02, HSM_RV_BUSY},
		{0xb1, HSM_RV_BUSY},
		{0x40, HSM_RV_DATA},
		{0x41, HSM_RV_DATA},
		{0x05, HSM_RV_UNCLEAR},
		{0xa0, HSM_RV_PIN},
		{0xa3, HSM_RV_PIN},
		{0xa4, HSM_RV_PIN},
		{0x70, HSM_RV_CONFIG},
		{0x71, HSM_RV_CONFIG},
		{0x68, HSM_RV_CONFIG},
		{0x54, HSM_RV_CONFIG},
		{HSM_RV_VANISHED, HSM_RV_TOKEN},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(hsm_rv_class(rows[i].rv), rows[i].class);
}

static void
an_unknown_code_is_unclear_and_has_no_name(void **state)
{
	(void)state;
	assert_int_equal(hsm_rv_class(0x7fff), HSM_RV_UNCLEAR);
	assert_string_equal(hsm_rv_name(0x7fff), "CKR_?");
	assert_string_equal(hsm_rv_name(0x32), "CKR_DEVICE_REMOVED");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_class_has_its_codes),
		cmocka_unit_test(an_unknown_code_is_unclear_and_has_no_name),
	};
	return cmocka_run_group_tests_name("hsm_rv", tests, NULL, NULL);
}
