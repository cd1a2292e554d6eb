#include "slk_test.h"

#include "postgres_state.h"

static void
a_class_decides_and_rows_are_at_fault_only_within_rows(void **state)
{
	(void)state;
	static const struct {
		const char *code;
		enum dlv_outcome before, in_rows;
	} cases[] = {
		{"08006", DLV_FAILED, DLV_FAILED},
		{"08P01", DLV_FAILED, DLV_FAILED},
		{"0A000", DLV_REFUSED, DLV_REFUSED},
		{"22P02", DLV_REFUSED, DLV_DELIVERED_REST},
		{"22021", DLV_REFUSED, DLV_DELIVERED_REST},
		{"22ZZZ", DLV_REFUSED, DLV_DELIVERED_REST},
		{"23505", DLV_REFUSED, DLV_DELIVERED_REST},
		{"25006", DLV_FAILED, DLV_FAILED},
		{"28P01", DLV_REFUSED, DLV_REFUSED},
		{"28000", DLV_REFUSED, DLV_REFUSED},
		{"3D000", DLV_REFUSED, DLV_REFUSED},
		{"40001", DLV_FAILED, DLV_FAILED},
		{"40P01", DLV_FAILED, DLV_FAILED},
		{"42501", DLV_REFUSED, DLV_REFUSED},
		{"42P01", DLV_REFUSED, DLV_REFUSED},
		{"44000", DLV_REFUSED, DLV_DELIVERED_REST},
		{"53100", DLV_FAILED, DLV_FAILED},
		{"53300", DLV_FAILED, DLV_FAILED},
		{"54000", DLV_REFUSED, DLV_DELIVERED_REST},
		{"55P03", DLV_FAILED, DLV_FAILED},
		{"57014", DLV_FAILED, DLV_FAILED},
		{"57P01", DLV_FAILED, DLV_FAILED},
		{"57P03", DLV_FAILED, DLV_FAILED},
		{"58030", DLV_FAILED, DLV_FAILED},
		{"P0001", DLV_REFUSED, DLV_DELIVERED_REST},
		{"P0002", DLV_REFUSED, DLV_REFUSED},
		{"XX000", DLV_FAILED, DLV_FAILED},
		{"ZZ000", DLV_REFUSED, DLV_REFUSED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(dlv_sqlstate_outcome(cases[i].code, false), cases[i].before);
		assert_int_equal(dlv_sqlstate_outcome(cases[i].code, true), cases[i].in_rows);
	}
}

static void
codes_have_names(void **state)
{
	(void)state;
	assert_string_equal(dlv_sqlstate_name("23505"), "unique_violation");
	assert_string_equal(dlv_sqlstate_name("23999"), "integrity_constraint_violation");
	assert_string_equal(dlv_sqlstate_name("57P01"), "admin_shutdown");
	assert_string_equal(dlv_sqlstate_name("99999"), "unknown_condition");
	assert_true(dlv_sqlstate_valid("0A000"));
	assert_false(dlv_sqlstate_valid("0a000"));
	assert_false(dlv_sqlstate_valid("0A00"));
	assert_false(dlv_sqlstate_valid("0A0000"));
	assert_false(dlv_sqlstate_valid("0A 00"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_class_decides_and_rows_are_at_fault_only_within_rows),
		cmocka_unit_test(codes_have_names),
	};

	return cmocka_run_group_tests_name("delivery_postgres_state", tests, NULL, NULL);
}
