/* The policy bench still works: a tiny run whose decisions are right, and whose only figure that means something here is how
 * much they allocate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "slk_test.h"

#define TEXT_MAX (1u << 20)

static char text[TEXT_MAX];

static yajl_val
at(yajl_val v, const char *name, yajl_type type)
{
	const char *path[] = {name, NULL};
	yajl_val found = yajl_tree_get(v, path, type);

	if (found == NULL)
		fail_msg("no %s of the right type", name);
	return found;
}

static yajl_val
run_quickly(void)
{
	char path[] = "/tmp/sealock-bench-policy-XXXXXX";
	char command[512], error[256] = "";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	(void)snprintf(command, sizeof(command),
		"'%s/bench/bench_policy' --quick --json %s >/dev/null", SLK_BUILD_DIR, path);
	int rc = system(command); /* NOLINT(cert-env33-c): a path of this build */
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	unlink(path);
	assert_true(WIFEXITED(rc));
	assert_int_equal(WEXITSTATUS(rc), 0);
	assert_true(n > 0);
	text[n] = '\0';
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	if (root == NULL)
		fail_msg("%s", error);
	return root;
}

static void
a_tiny_run_has_the_issues_goals_and_allocates_nothing(void **state)
{
	(void)state;
	yajl_val root = run_quickly();

	assert_string_equal(YAJL_GET_STRING(at(root, "bench", yajl_t_string)), "policy");
	assert_int_equal(at(root, "results", yajl_t_array)->u.array.len, 3);
	yajl_val goals = at(root, "goals", yajl_t_array);
	assert_int_equal(goals->u.array.len, 3);
	for (size_t i = 0; i < goals->u.array.len; i++) {
		yajl_val goal = goals->u.array.values[i];
		const char *name = YAJL_GET_STRING(at(goal, "name", yajl_t_string));
		assert_ptr_equal(strstr(name, "issue 4: "), name);
		at(goal, "goal", yajl_t_number);
		at(goal, "met", yajl_t_any);
		if (strstr(name, "allocations") != NULL)
			assert_int_equal(YAJL_GET_DOUBLE(at(goal, "value", yajl_t_number)), 0);
	}
	yajl_tree_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tiny_run_has_the_issues_goals_and_allocates_nothing),
	};

	return cmocka_run_group_tests_name("bench_policy", tests, NULL, NULL);
}
