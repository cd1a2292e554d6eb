#include "slk_test.h"

#include <string.h>

#include "delivery/timefmt.h"
#include "timefmt_vectors.h"

static int
print(const char *pattern, const char *zone, uint64_t unix_ns, char *out, size_t cap,
	struct slk_error *err)
{
	struct slk_writer w = slk_writer(out, cap - 1);
	struct dlv_time time;

	assert_ok(dlv_time_at(zone, unix_ns, &time));
	int rc = dlv_timefmt_print(slk_span_str(pattern), &time, &w, err);
	assert_ok(w.status);
	out[w.len] = '\0';
	return rc;
}

static void
every_letter_prints_what_java_prints(void **state)
{
	(void)state;
	char text[256];

	for (size_t i = 0; i < sizeof(timefmt_vectors) / sizeof(timefmt_vectors[0]); i++) {
		assert_ok(print(timefmt_vectors[i].pattern, timefmt_vectors[i].zone,
			timefmt_vectors[i].unix_ns, text, sizeof(text), NULL));
		if (strcmp(text, timefmt_vectors[i].text) != 0)
			fail_msg("%s in %s at %llu: %s, not %s", timefmt_vectors[i].pattern,
				timefmt_vectors[i].zone,
				(unsigned long long)timefmt_vectors[i].unix_ns, text,
				timefmt_vectors[i].text);
	}
}

static void
what_java_refuses_is_refused_with_its_sentence(void **state)
{
	(void)state;
	static const struct {
		const char *pattern, *sentence;
	} bad[] = {
		{"b", "Unknown pattern letter: b"},
		{"yyyy'", "Pattern ends with an incomplete string literal: yyyy'"},
		{"]", "Pattern invalid as it contains ] without previous ["},
		{"[yyyy]]", "Pattern invalid as it contains ] without previous ["},
		{"ddd", "Too many pattern letters: d"},
		{"MMMMMM", "Too many pattern letters: M"},
		{"V", "Pattern letter count must be 2: V"},
		{"OO", "Pattern letter count must be 1 or 4: O"},
		{"{", "Pattern includes reserved character: '{'"},
		{"#", "Pattern includes reserved character: '#'"},
		{"aa", "Too many pattern letters: a"},
		{"DDDD", "Too many pattern letters: D"},
		{"cc", "Invalid pattern \"cc\""},
		{"WW", "Too many pattern letters: W"},
		{"XXXXXX", "Too many pattern letters: X"},
		{"SSSSSSSSSS", "Too many pattern letters: S"},
		{"F", "Pattern letter is not supported here: F"},
		{"pp", "Pattern letter is not supported here: p"},
	};
	char text[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		assert_int_equal(
			print(bad[i].pattern, "UTC", 0, text, sizeof(text), &err), SLK_INVALID);
		assert_string_equal(err.text, bad[i].sentence);
	}
}

static void
no_room_is_said_and_nothing_is_written_beyond(void **state)
{
	(void)state;
	char text[8] = "1234567";
	struct slk_writer w = slk_writer(text, 3);
	struct dlv_time time;

	assert_ok(dlv_time_at("UTC", 0, &time));
	assert_ok(dlv_timefmt_print(slk_span_str("yyyy-MM"), &time, &w, NULL));
	assert_int_equal(w.status, SLK_FULL);
	assert_memory_equal(text + 3, "4567", 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_letter_prints_what_java_prints),
		cmocka_unit_test(what_java_refuses_is_refused_with_its_sentence),
		cmocka_unit_test(no_room_is_said_and_nothing_is_written_beyond),
	};

	return cmocka_run_group_tests_name("delivery_timefmt", tests, NULL, NULL);
}
