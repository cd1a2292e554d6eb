#include "slk_test.h"

#include <string.h>

#include "client/arena.h"

static uint8_t *
take(struct client_arena *a, size_t len, uint8_t fill)
{
	uint8_t *p = NULL;

	assert_ok(client_arena_take(a, len, &p, NULL));
	memset(p, fill, len);
	return p;
}

static bool
all(const uint8_t *p, size_t len, uint8_t v)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i] != v)
			return false;
	}
	return true;
}

static void
small_ones_share_a_piece_and_nothing_moves(void **state)
{
	(void)state;
	struct client_arena a = {0};
	uint8_t *p[300];

	for (unsigned i = 0; i < 300; i++)
		p[i] = take(&a, 1000, (uint8_t)i);
	assert_true(a.count > 1);
	assert_true(a.count < 10);
	for (unsigned i = 0; i < 300; i++)
		assert_true(all(p[i], 1000, (uint8_t)i));
	client_arena_free(&a);
	assert_int_equal(a.count, 0);
}

static void
a_large_one_has_its_own(void **state)
{
	(void)state;
	struct client_arena a = {0};

	take(&a, 10, 1);
	take(&a, 300000, 2);
	uint8_t *p = take(&a, 10, 3);
	assert_true(all(p, 10, 3));
	client_arena_free(&a);
}

static void
what_is_not_kept_is_wiped(void **state)
{
	(void)state;
	struct client_arena a = {0};
	uint8_t *first = take(&a, 100, 1);
	uint8_t *kept = take(&a, 100, 2);
	uint8_t *last = take(&a, 100, 3);

	client_arena_keep(&a, slk_span(kept, 100));
	assert_int_equal(a.count, 1);
	assert_true(all(first, 100, 0));
	assert_true(all(kept, 100, 2));
	assert_true(all(last, 100, 0));
	uint8_t *again = take(&a, 50, 4);
	assert_ptr_equal(again, last); /* the memory is used again */
	client_arena_keep(&a, slk_span(NULL, 0));
	client_arena_wipe(&a);
	assert_int_equal(a.count, 1); /* the piece stays, empty */
	assert_true(all(kept, 100, 0));
	assert_ptr_equal(take(&a, 1, 5), first);
	client_arena_free(&a);
}

static void
what_is_kept_stays_where_it_is_and_others_are_used_again(void **state)
{
	(void)state;
	struct client_arena a = {0};

	uint8_t *first = take(&a, 60000, 1);
	uint8_t *kept = take(&a, 200000, 2);
	uint8_t *last = take(&a, 60000, 3);
	assert_int_equal(a.count, 3);
	client_arena_keep(&a, slk_span(kept, 200000));
	client_arena_wipe(&a);
	assert_true(all(kept, 200000, 2));
	assert_true(all(first, 60000, 0));
	assert_true(all(last, 60000, 0));
	assert_ptr_equal(take(&a, 60000, 4), first);
	assert_ptr_equal(take(&a, 60000, 5), last);
	assert_int_equal(a.count, 3);
	client_arena_free(&a);
}

static void
what_was_written_over_is_not_wiped_again(void **state)
{
	(void)state;
	struct client_arena a = {0};

	uint8_t *first = take(&a, 1000, 1);
	client_arena_keep(&a, slk_span(NULL, 0));
	assert_ptr_equal(take(&a, 400, 2), first);
	client_arena_wipe(&a);
	assert_true(all(first, 400, 2));
	assert_true(all(first + 400, 600, 0));
	client_arena_keep(&a, slk_span(first, 400));
	client_arena_wipe(&a);
	assert_true(all(first, 400, 2));
	client_arena_free(&a);
}

static void
no_more_than_a_mebibyte_stays_empty(void **state)
{
	(void)state;
	struct client_arena a = {0};
	size_t bytes = 0;

	for (unsigned i = 0; i < 8; i++)
		take(&a, 300000, 1);
	take(&a, 2 << 20, 2);
	client_arena_keep(&a, slk_span(NULL, 0));
	for (size_t i = 0; i < a.count; i++) {
		bytes += a.pieces[i].plain.cap;
		assert_int_equal(a.pieces[i].used, 0);
	}
	assert_true(bytes > 0 && bytes <= 1 << 20);
	client_arena_free(&a);
	assert_int_equal(a.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_ones_share_a_piece_and_nothing_moves),
		cmocka_unit_test(a_large_one_has_its_own),
		cmocka_unit_test(what_is_not_kept_is_wiped),
		cmocka_unit_test(what_is_kept_stays_where_it_is_and_others_are_used_again),
		cmocka_unit_test(what_was_written_over_is_not_wiped_again),
		cmocka_unit_test(no_more_than_a_mebibyte_stays_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
