/* libcurl's memory: as the standard's functions, wiped, and large pieces locked and out of core dumps. */
#include "slk_test.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "web_memory.h"

#define LARGE 300000u

/* Does the mapping that holds address have both flags? false: there is none. */
static bool
has_flags(const void *address, const char *one, const char *two)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	char line[512];
	bool inside = false, found = false;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		unsigned long from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			found = strstr(line, one) != NULL && strstr(line, two) != NULL;
	}
	fclose(f);
	return found;
}

static void
large_pieces_are_locked_and_undumped(void **state)
{
	(void)state;
	uint8_t *large = dlv_web_malloc(LARGE), *zeros = dlv_web_calloc(LARGE, 2);

	assert_non_null(large);
	assert_non_null(zeros);
	memset(large, 7, LARGE);
	assert_true(has_flags(large, " lo", " dd"));
	assert_true(has_flags(large + LARGE - 1, " lo", " dd"));
	for (size_t i = 0; i < 2 * LARGE; i++)
		assert_int_equal(zeros[i], 0);
	dlv_web_free_memory(large);
	dlv_web_free_memory(zeros);
	assert_false(has_flags(large, " lo", " dd"));
}

static void
pieces_keep_their_bytes_when_they_grow_and_shrink(void **state)
{
	(void)state;
	static const size_t sizes[] = {
		10, 100, 16383, 16384, 16385, 200000, 150000, 20000, 16000, 5, 300000};
	uint8_t *piece = NULL;
	size_t have = 0;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		piece = dlv_web_realloc(piece, sizes[i]);
		assert_non_null(piece);
		for (size_t k = 0; k < have && k < sizes[i]; k++)
			assert_int_equal(piece[k], (uint8_t)(k * 31));
		for (size_t k = 0; k < sizes[i]; k++)
			piece[k] = (uint8_t)(k * 31);
		have = sizes[i];
	}
	dlv_web_free_memory(piece);
	dlv_web_free_memory(NULL);
}

static void
texts_are_copied(void **state)
{
	(void)state;
	char *text = malloc(LARGE);

	assert_non_null(text);
	memset(text, 't', LARGE - 1);
	text[LARGE - 1] = '\0';
	char *copy = dlv_web_strdup(text), *small = dlv_web_strdup("small");
	assert_string_equal(copy, text);
	assert_string_equal(small, "small");
	dlv_web_free_memory(copy);
	dlv_web_free_memory(small);
	free(text);
}

static void
what_overflows_is_refused(void **state)
{
	(void)state;
	/* Not as constants: the compiler knows better. */
	volatile size_t half = SIZE_MAX / 2, most = SIZE_MAX - 10;

	assert_null(dlv_web_calloc(half, 3));
	assert_null(dlv_web_malloc(most));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(large_pieces_are_locked_and_undumped),
		cmocka_unit_test(pieces_keep_their_bytes_when_they_grow_and_shrink),
		cmocka_unit_test(texts_are_copied),
		cmocka_unit_test(what_overflows_is_refused),
	};

	return cmocka_run_group_tests_name("delivery/web_memory", tests, NULL, NULL);
}
