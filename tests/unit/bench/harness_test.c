/* The harness: figures, goals and the JSON object. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "slk_test.h"
#include "harness/internal.h"

static char json_path[64];

static int
setup(void **state)
{
	(void)state;
	snprintf(json_path, sizeof(json_path), "/tmp/sealock-bench-XXXXXX");
	int fd = mkstemp(json_path);
	return fd >= 0 ? close(fd) : -1;
}

static int
teardown(void **state)
{
	(void)state;
	return unlink(json_path);
}

static struct bench *
quick_bench(void)
{
	char *argv[] = {(char *)"bench_test", (char *)"--quick", (char *)"--json", json_path, NULL};
	struct bench *b = NULL;

	optind = 1;
	assert_ok(bench_new(4, argv, "test", &b));
	assert_true(bench_quick(b));
	return b;
}

static yajl_val
read_json(void)
{
	static char text[1 << 16];
	char error[256] = "";
	FILE *f = fopen(json_path, "r");

	assert_non_null(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	if (root == NULL)
		fail_msg("%s", error);
	return root;
}

static yajl_val
at(yajl_val v, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val found = yajl_tree_get(v, path, yajl_t_any);

	assert_non_null(found);
	return found;
}

static void
quantiles_are_interpolated_between_sorted_samples(void **state)
{
	const double s[] = {1, 2, 3, 10};
	const double one[] = {7};

	(void)state;
	assert_true(bench_quantile(s, 4, 0) == 1);
	assert_true(bench_quantile(s, 4, 0.5) == 2.5);
	assert_true(bench_quantile(s, 4, 1) == 10);
	assert_true(bench_quantile(one, 1, 0.99) == 7);
}

static void
a_goal_is_met_on_its_own_side_only(void **state)
{
	static const struct {
		double goal;
		double value;
		bool at_least;
		bool met;
	} cases[] = {{2, 2, true, true}, {2, 1.99, true, false}, {2, 3, true, true},
		{2, 2, false, true}, {2, 2.01, false, false}, {2, 1, false, true},
		{2, NAN, true, false}, {2, NAN, false, false}, {2, INFINITY, true, false}};
	const unsigned count = sizeof(cases) / sizeof(cases[0]);

	(void)state;
	struct bench *b = quick_bench();
	for (unsigned i = 0; i < count; i++)
		bench_goal(b, "a goal", cases[i].goal, cases[i].value, cases[i].at_least);
	assert_int_equal(bench_finish(b), 0); /* missed goals fail nothing */
	yajl_val root = read_json();
	yajl_val goals = at(root, "goals");
	assert_int_equal(goals->u.array.len, count);
	for (unsigned i = 0; i < count; i++) {
		yajl_val g = goals->u.array.values[i];
		assert_int_equal(g->u.object.len, 4);
		assert_string_equal(YAJL_GET_STRING(at(g, "name")), "a goal");
		assert_true(YAJL_GET_DOUBLE(at(g, "goal")) == cases[i].goal);
		assert_int_equal(YAJL_IS_TRUE(at(g, "met")), cases[i].met);
		assert_int_equal(YAJL_IS_NUMBER(at(g, "value")), isfinite(cases[i].value));
	}
	yajl_tree_free(root);
}

struct counter {
	unsigned runs;
	unsigned *clock;
	unsigned last_start;
};

static void
count_run(void *arg)
{
	struct counter *c = arg;

	c->runs++;
	c->last_start = (*c->clock)++;
}

static void
contenders_take_turns_and_every_round_counts(void **state)
{
	unsigned clock = 0;
	struct counter counters[2] = {{0, &clock, 0}, {0, &clock, 0}};
	const struct bench_contender c[] = {
		{"one", count_run, &counters[0]}, {"two", count_run, &counters[1]}};
	const struct bench_shape shape = {.group = "g",
		.label = "l",
		.ops = 10,
		.bytes_per_op = 64,
		.working_set_bytes = 4096};
	struct bench_stats st[2];

	(void)state;
	struct bench *b = quick_bench();
	bench_compare(b, &shape, c, 2, st);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(counters[i].runs, 1 + st[i].rounds); /* one warm-up when quick */
		assert_true(st[i].best > 0);
		assert_true(st[i].best <= st[i].q1 && st[i].q1 <= st[i].median);
		assert_true(st[i].median <= st[i].q3 && st[i].q3 <= st[i].max);
	}
	/* Three rounds start with one, two, one: the second round ended with one, the third with two. */
	assert_int_equal(counters[1].last_start, clock - 1);
	assert_int_equal(bench_finish(b), 0);
	yajl_val root = read_json();
	yajl_val results = at(root, "results");
	assert_int_equal(results->u.array.len, 2);
	assert_string_equal(YAJL_GET_STRING(at(results->u.array.values[1], "contender")), "two");
	assert_int_equal(
		YAJL_GET_INTEGER(at(results->u.array.values[1], "working_set_bytes")), 4096);
	yajl_tree_free(root);
}

static void
a_differing_hash_fails_the_run(void **state)
{
	unsigned clock = 0;
	struct counter counter = {0, &clock, 0};
	const struct bench_contender c[] = {
		{"one", count_run, &counter}, {"two", count_run, &counter}};
	const struct bench_shape shape = {.group = "g", .label = "l", .ops = 1, .bytes_per_op = 1};
	char same[2][65] = {"aa", "aa"};
	char different[2][65] = {"aa", "ab"};

	(void)state;
	struct bench *b = quick_bench();
	bench_compare(b, &shape, c, 2, NULL);
	bench_same_hash(b, &shape, c, 2, same);
	assert_int_equal(bench_finish(b), 0);
	b = quick_bench();
	bench_compare(b, &shape, c, 2, NULL);
	bench_same_hash(b, &shape, c, 2, different);
	assert_int_equal(bench_finish(b), 1);
}

static void
options_that_mean_nothing_are_refused(void **state)
{
	char *bad[][3] = {{(char *)"b", (char *)"--rounds", (char *)"0"},
		{(char *)"b", (char *)"--rounds", (char *)"x"},
		{(char *)"b", (char *)"--core", (char *)"-1"},
		{(char *)"b", (char *)"--core", (char *)"4000"},
		{(char *)"b", (char *)"--nonsense", NULL}, {(char *)"b", (char *)"extra", NULL}};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bench *b = NULL;
		optind = 1;
		assert_int_equal(
			bench_new(bad[i][2] != NULL ? 3 : 2, bad[i], "test", &b), SLK_INVALID);
		assert_null(b);
	}
}

static void
an_unwritable_file_fails_the_run(void **state)
{
	char *argv[] = {(char *)"b", (char *)"--quick", (char *)"--json",
		(char *)"/nonexistent/x.json", NULL};
	struct bench *b = NULL;

	(void)state;
	optind = 1;
	assert_ok(bench_new(4, argv, "test", &b));
	assert_int_equal(bench_finish(b), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantiles_are_interpolated_between_sorted_samples),
		cmocka_unit_test(a_goal_is_met_on_its_own_side_only),
		cmocka_unit_test(contenders_take_turns_and_every_round_counts),
		cmocka_unit_test(a_differing_hash_fails_the_run),
		cmocka_unit_test(options_that_mean_nothing_are_refused),
		cmocka_unit_test(an_unwritable_file_fails_the_run),
	};

	return cmocka_run_group_tests_name("bench_harness", tests, setup, teardown);
}
