/* The kms bench still works: a tiny run against a real kmsd whose JSON keeps its contract. Its figures mean nothing here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "slk_test.h"

#define TEXT_MAX (1u << 20)
#define SOFTHSM "/usr/lib/softhsm/libsofthsm2.so"

static yajl_val
at(yajl_val v, const char *name, yajl_type type)
{
	const char *path[] = {name, NULL};
	yajl_val found = yajl_tree_get(v, path, type);

	if (found == NULL)
		print_error("no %s of the right type\n", name);
	assert_non_null(found);
	return found;
}

static yajl_val
tiny_run(void)
{
	static char text[TEXT_MAX];
	char path[] = "/tmp/sealock-bench-kms-XXXXXX";
	char command[512], error[256] = "";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	snprintf(command, sizeof(command), "'%s/bench/bench_kms' --quick --json %s >/dev/null",
		SLK_BUILD_DIR, path);
	int status = system(command);
	ssize_t len = read(fd, text, sizeof(text) - 1);
	close(fd);
	unlink(path);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(len > 0);
	text[len] = '\0';
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	if (root == NULL)
		fail_msg("%s", error);
	return root;
}

static void
check_results(yajl_val root)
{
	static const char *const wanted[] = {"raw loop", "RPC, depth 1", "RPC, depth 8",
		"RPC, depth 32", "round trip, two cores", "1 session", "8 sessions",
		"8 workers of 1 session"};
	unsigned seen = 0;
	yajl_val results = at(root, "results", yajl_t_array);

	for (size_t i = 0; i < results->u.array.len; i++) {
		yajl_val r = results->u.array.values[i];
		const char *name = YAJL_GET_STRING(at(r, "contender", yajl_t_string));
		assert_true(YAJL_GET_DOUBLE(at(r, "best", yajl_t_number)) > 0);
		at(r, "median", yajl_t_number);
		at(r, "p99", yajl_t_number);
		for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++)
			seen |= strcmp(name, wanted[k]) == 0 ? 1u << k : 0;
	}
	assert_int_equal(seen, (1u << sizeof(wanted) / sizeof(wanted[0])) - 1);
}

static void
a_tiny_run_writes_the_whole_object(void **state)
{
	(void)state;
	if (access(SOFTHSM, R_OK) != 0) {
		print_message("skipped: %s is not installed\n", SOFTHSM);
		skip();
	}
	yajl_val root = tiny_run();
	assert_string_equal(YAJL_GET_STRING(at(root, "bench", yajl_t_string)), "kms");
	assert_true(YAJL_IS_TRUE(at(root, "quick", yajl_t_any)));
	at(at(at(root, "machine", yajl_t_object), "libraries", yajl_t_object), "softhsm",
		yajl_t_string);
	check_results(root);
	yajl_val goals = at(root, "goals", yajl_t_array);
	assert_true(goals->u.array.len >= 12);
	for (size_t i = 0; i < goals->u.array.len; i++) {
		yajl_val g = goals->u.array.values[i];
		yajl_val name = at(g, "name", yajl_t_string);
		assert_ptr_equal(strstr(name->u.string, "issue 3: "), name->u.string);
		at(g, "goal", yajl_t_number);
		at(g, "value", yajl_t_number);
		at(g, "met", yajl_t_any);
	}
	yajl_tree_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tiny_run_writes_the_whole_object),
	};

	return cmocka_run_group_tests_name("bench_kms", tests, NULL, NULL);
}
