/* What every cmocka test includes, in the order that cmocka wants. */
#ifndef SLK_TESTS_LIB_SLK_TEST_H
#define SLK_TESTS_LIB_SLK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* cmocka does not tell a static analyser that a failed assertion never returns. */
#ifdef __clang_analyzer__
#undef assert_int_equal
#define assert_int_equal(a, b) \
	do { \
		if (cast_to_largest_integral_type(a) != cast_to_largest_integral_type(b)) \
			__builtin_trap(); \
	} while (0)
#endif

#define assert_ok(expr) assert_int_equal((expr), SLK_OK)

#endif
