/* sealock-bench: what it reads is checked, and what it writes is well-formed whatever stands in it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "html.h"
#include "load.h"
#include "plot.h"
#include "slk_test.h"

#define MACHINE \
	"\"machine\":{\"cpu\":\"a <CPU> & more\",\"cores\":2,\"core\":1,\"kernel\":\"Linux " \
	"6\",\"load\":0.5,\"tsc_ghz\":2.6," \
	"\"libraries\":{\"a\\\"b\":\"1.0\"}}"
#define RESULT \
	"{\"group\":\"g<&>\",\"label\":\"64 \\u0001 " \
	"B\",\"contender\":\"c\\\"d\",\"rounds\":3,\"bytes_per_operation\":64," \
	"\"best\":10,\"q1\":11,\"median\":12.5,\"q3\":13,\"p99\":20,\"p999\":null,\"max\":1e3," \
	"\"best_gb_per_s\":6.4}"
#define OBJECT(results) \
	"{\"bench\":\"x\",\"commit\":\"abc\",\"quick\":false," MACHINE ",\"results\":[" results \
	"],\"goals\":[{\"name\":\"n\",\"goal\":1,\"value\":null,\"met\":false}],\"notes\":[\"a " \
	"<note>\"]}"

static char path[64], page[80];

static int
setup(void **state)
{
	(void)state;
	(void)snprintf(path, sizeof(path), "/tmp/sealock-rig-XXXXXX");
	int fd = mkstemp(path);
	(void)snprintf(page, sizeof(page), "%s.html", path);
	return fd >= 0 ? close(fd) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	(void)unlink(page);
	return unlink(path);
}

static int
load(const char *text, struct rig_bench **out, struct slk_error *err)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return rig_bench_load(path, out, err);
}

static void
figures_come_back_as_they_were_written(void **state)
{
	(void)state;
	struct rig_bench *b = NULL;

	assert_ok(load(OBJECT(RESULT "," RESULT), &b, NULL));
	assert_string_equal(b->name, "x");
	assert_null(b->failed);
	assert_string_equal(b->cpu, "a <CPU> & more");
	assert_int_equal(b->library_count, 1);
	assert_string_equal(b->libraries[0].name, "a\"b");
	assert_int_equal(b->result_count, 2);
	assert_true(b->results[1].median == 12.5);
	assert_true(isnan(b->results[1].p999));
	assert_int_equal(b->goal_count, 1);
	assert_true(isnan(b->goals[0].value) && !b->goals[0].met);
	assert_string_equal(b->notes[0], "a <note>");
	rig_bench_free(b);
}

static void
objects_that_no_bench_writes_are_refused_by_file_and_field(void **state)
{
	(void)state;
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "is not JSON"},
		{"{", "is not JSON"},
		{"[]", "\"bench\""},
		{"{\"bench\":7}", "\"bench\" is not a text"},
		{"{\"bench\":\"x\"}", "\"commit\""},
		{"{\"bench\":\"x\",\"commit\":\"c\"}", "\"quick\" is not true or false"},
		{"{\"bench\":\"x\",\"commit\":\"c\",\"quick\":false}", "\"machine\""},
		{"{\"bench\":\"x\",\"commit\":\"c\",\"quick\":false," MACHINE "}",
			"\"results\" is not a list"},
		{OBJECT("7"), "\"group\""},
		{OBJECT("{\"group\":\"g\",\"label\":\"l\",\"contender\":\"c\",\"rounds\":-1}"),
			"\"rounds\" is not a whole number"},
		{OBJECT("{\"group\":\"g\",\"label\":\"l\",\"contender\":\"c\",\"rounds\":1,"
			"\"bytes_per_operation\":1,\"best\":\"fast\"}"),
			"\"best\" is not a number or null"},
		{"{\"bench\":\"x\",\"failed\":[]}", "\"failed\""},
	};
	char wanted[128];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rig_bench *b = NULL;
		struct slk_error err = {0};
		assert_int_equal(load(rows[i].text, &b, &err), SLK_MALFORMED);
		assert_null(b);
		assert_non_null(strstr(err.text, rows[i].says));
		(void)snprintf(wanted, sizeof(wanted), "%s", path);
		assert_non_null(strstr(err.text, wanted));
	}
}

static void
file_that_is_not_there_or_too_large_is_refused(void **state)
{
	(void)state;
	struct rig_bench *b = NULL;
	struct slk_error err;

	assert_int_equal(rig_bench_load("/nonexistent/x.json", &b, &err), SLK_NOT_FOUND);
	assert_int_equal(truncate(path, (off_t)RIG_FILE_MAX + 1), 0);
	assert_int_equal(rig_bench_load(path, &b, &err), SLK_TOO_LARGE);
	assert_null(b);
}

static void
failure_is_written_and_read(void **state)
{
	(void)state;
	struct rig_bench *b = NULL;

	assert_ok(rig_failure_write(path, "seal", "exit status 1; \"<why>\"", NULL));
	assert_ok(rig_bench_load(path, &b, NULL));
	assert_string_equal(b->name, "seal");
	assert_string_equal(b->failed, "exit status 1; \"<why>\"");
	assert_int_equal(b->result_count, 0);
	rig_bench_free(b);
	assert_int_not_equal(rig_failure_write("/nonexistent/x.json", "seal", "why", NULL), SLK_OK);
}

static void
times_are_read_by_people(void **state)
{
	(void)state;
	static const struct {
		double ns;
		const char *text;
	} rows[] = {{0.5, "0.50 ns"}, {9.876, "9.88 ns"}, {35.25, "35.2 ns"}, {999, "999 ns"},
		{1000, "1.00 µs"}, {1.5e6, "1.50 ms"}, {2e9, "2.00 s"}, {NAN, "–"}};
	char text[32];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(rig_time_text(rows[i].ns, text, sizeof(text)), rows[i].text);
}

/* Another program's opinion: what stands in the object may look like markup, and hold what XML cannot. */
static void
page_is_well_formed_and_says_what_failed(void **state)
{
	(void)state;
	static const char *const abouts[] = {"first <b>", "second"};
	struct rig_bench *benches[2] = {NULL};
	char command[256], text[1 << 16];

	assert_ok(load(OBJECT(RESULT), &benches[0], NULL));
	assert_ok(
		load("{\"bench\":\"y\",\"failed\":\"ended by signal 11 <&>\"}", &benches[1], NULL));
	assert_ok(rig_report_write(page, benches, abouts, 2, NULL));
	(void)snprintf(command, sizeof(command),
		"python3 -c 'import sys, xml.dom.minidom as d; d.parse(sys.argv[1])' %s", page);
	assert_int_equal(system(command), 0);
	FILE *f = fopen(page, "r");
	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	assert_int_equal(fclose(f), 0);
	assert_non_null(strstr(text, "Goals: 0 of 1 met"));
	assert_non_null(strstr(text, "ended by signal 11 &lt;&amp;&gt;"));
	assert_non_null(strstr(text, "<circle class=\"best\""));
	assert_null(strstr(text, "<note>"));
	assert_null(strstr(text, "src="));
	for (size_t i = 0; i < 2; i++)
		rig_bench_free(benches[i]);
}

static void
page_that_cannot_be_written_is_not_left_in_part(void **state)
{
	(void)state;
	struct slk_error err;

	assert_int_not_equal(
		rig_report_write("/nonexistent/report.html", NULL, NULL, 0, &err), SLK_OK);
	assert_non_null(strstr(err.text, "/nonexistent/report.html"));
	if (access("/dev/full", W_OK) != 0)
		return;
	assert_int_equal(symlink("/dev/full", "/tmp/sealock-rig-full.html.part"), 0);
	assert_int_not_equal(
		rig_report_write("/tmp/sealock-rig-full.html", NULL, NULL, 0, &err), SLK_OK);
	assert_int_not_equal(access("/tmp/sealock-rig-full.html", F_OK), 0);
	assert_int_not_equal(access("/tmp/sealock-rig-full.html.part", F_OK), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(figures_come_back_as_they_were_written),
		CASE(objects_that_no_bench_writes_are_refused_by_file_and_field),
		CASE(file_that_is_not_there_or_too_large_is_refused),
		CASE(failure_is_written_and_read),
		CASE(times_are_read_by_people),
		CASE(page_is_well_formed_and_says_what_failed),
		CASE(page_that_cannot_be_written_is_not_left_in_part),
	};

	return cmocka_run_group_tests_name("bench_rig", tests, NULL, NULL);
}
