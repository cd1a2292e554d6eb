#include "slk_test.h"

#include <string.h>

#include "net/drop.h"
#include "net/framing.h"
#include "net/packet.h"
#include "net/partition.h"
#include "net/reply.h"

static void
every_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int a = 0; a < DP_DROP_COUNT; a++) {
		assert_non_null(dp_drop_name(a));
		assert_true(strlen(dp_drop_name(a)) > 0);
		assert_true(strlen(dp_drop_sentence(a)) > 0);
		for (int b = 0; b < a; b++)
			assert_string_not_equal(dp_drop_name(a), dp_drop_name(b));
	}
}

static void
a_number_outside_the_list_is_unknown(void **state)
{
	(void)state;
	assert_string_equal(dp_drop_name(DP_DROP_COUNT), "unknown");
	assert_string_equal(dp_drop_name((enum dp_drop) - 1), "unknown");
	assert_string_equal(dp_drop_sentence(DP_DROP_COUNT), "unknown");
	assert_string_equal(dp_drop_name(DP_TAKEN), "taken");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_reason_has_a_name_of_its_own),
		cmocka_unit_test(a_number_outside_the_list_is_unknown),
	};

	return cmocka_run_group_tests_name("dpnet_drop", tests, NULL, NULL);
}
