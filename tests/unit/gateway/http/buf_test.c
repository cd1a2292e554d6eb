#include "slk_test.h"

#include <string.h>

#include "http/buf.h"

#define KIB 1024u

static void
sizes_come_in_classes(void **state)
{
	(void)state;
	struct http_pool *pool = NULL;
	struct http_buf *a = NULL, *b = NULL;
	assert_ok(http_pool_new(256 * KIB, 256 * KIB, &pool));
	assert_ok(http_buf_new(pool, 1, &a));
	assert_int_equal(a->cap, 16 * KIB);
	assert_ok(http_buf_new(pool, 16 * KIB + 1, &b));
	assert_int_equal(b->cap, 32 * KIB);
	assert_int_equal(http_pool_in_use(pool), 48 * KIB);
	http_buf_free(pool, a);
	http_buf_free(pool, b);
	http_buf_free(pool, NULL);
	assert_int_equal(http_pool_in_use(pool), 0);
	http_pool_free(pool);
}

static void
limits_hold_and_leave_what_was(void **state)
{
	(void)state;
	struct http_pool *pool = NULL;
	struct http_buf *a = NULL, *b = NULL;
	assert_ok(http_pool_new(64 * KIB, 0, &pool));
	assert_int_equal(http_buf_new(pool, (size_t)HTTP_BUF_MAX_BYTES + 1, &a), SLK_TOO_LARGE);
	assert_int_equal(http_buf_new(pool, 65 * KIB, &a), SLK_LIMIT);
	assert_null(a);
	assert_ok(http_buf_new(pool, 32 * KIB, &a));
	assert_ok(http_buf_append(pool, &a, "abc", 3));
	assert_int_equal(http_buf_reserve(pool, &a, 40 * KIB), SLK_LIMIT);
	assert_int_equal(http_buf_reserve(pool, &a, HTTP_BUF_MAX_BYTES), SLK_TOO_LARGE);
	assert_int_equal(a->len, 3);
	assert_memory_equal(a->bytes, "abc", 3);
	assert_ok(http_buf_new(pool, 32 * KIB, &b));
	struct http_buf *c = NULL;
	assert_int_equal(http_buf_new(pool, 1, &c), SLK_LIMIT);
	http_buf_free(pool, a);
	assert_ok(http_buf_new(pool, 1, &c));
	http_buf_free(pool, b);
	http_buf_free(pool, c);
	http_pool_free(pool);
}

static void
growing_keeps_the_bytes(void **state)
{
	(void)state;
	struct http_pool *pool = NULL;
	struct http_buf *buf = NULL;
	uint8_t piece[5000];
	assert_ok(http_pool_new(4096 * KIB, 4096 * KIB, &pool));
	assert_ok(http_buf_new(pool, 1, &buf));
	for (unsigned i = 0; i < 100; i++) {
		memset(piece, (int)i, sizeof(piece));
		assert_ok(http_buf_append(pool, &buf, piece, sizeof(piece)));
	}
	assert_int_equal(buf->len, 100 * sizeof(piece));
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(buf->bytes[i * sizeof(piece)], i);
		assert_int_equal(buf->bytes[(i + 1) * sizeof(piece) - 1], i);
	}
	assert_int_equal(http_pool_in_use(pool), buf->cap);
	http_buf_free(pool, buf);
	http_pool_free(pool);
}

static void
what_is_kept_comes_again_and_wiped_if_asked(void **state)
{
	(void)state;
	struct http_pool *pool = NULL;
	struct http_buf *a = NULL, *b = NULL;
	assert_ok(http_pool_new(64 * KIB, 16 * KIB, &pool));
	assert_ok(http_buf_new(pool, 10, &a));
	memset(a->bytes, 0x5a, a->cap);
	a->len = a->cap;
	a->wipe = true;
	const uint8_t *place = a->bytes;
	http_buf_free(pool, a);
	assert_ok(http_buf_new(pool, 10, &b));
	assert_ptr_equal(b->bytes, place);
	assert_int_equal(b->len, 0);
	assert_false(b->wipe);
	for (size_t i = 0; i < b->cap; i++)
		assert_int_equal(b->bytes[i], 0);
	http_buf_free(pool, b);
	http_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_come_in_classes),
		cmocka_unit_test(limits_hold_and_leave_what_was),
		cmocka_unit_test(growing_keeps_the_bytes),
		cmocka_unit_test(what_is_kept_comes_again_and_wiped_if_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
