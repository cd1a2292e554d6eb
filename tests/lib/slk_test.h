/* What every cmocka test includes, in the order that cmocka wants. */
#ifndef SLK_TESTS_LIB_SLK_TEST_H
#define SLK_TESTS_LIB_SLK_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define assert_ok(expr) assert_int_equal((expr), SLK_OK)

#endif
