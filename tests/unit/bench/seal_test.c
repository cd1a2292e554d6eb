/* The seal bench still works: a tiny run whose results are checked by hash and whose JSON keeps its contract. Its figures
 * mean nothing here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "slk_test.h"

#define TEXT_MAX (1u << 20)

/* The output of a command and its exit status. */
static char *
output_of(const char *command, int *out_status)
{
	char *text = malloc(TEXT_MAX);
	FILE *p = popen(command, "r");

	assert_true(text != NULL && p != NULL);
	text[fread(text, 1, TEXT_MAX - 1, p)] = '\0';
	int rc = pclose(p);
	assert_true(WIFEXITED(rc));
	*out_status = WEXITSTATUS(rc);
	return text;
}

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

static void
check_results(yajl_val root)
{
	yajl_val results = at(root, "results", yajl_t_array);
	unsigned hashed = 0;

	assert_true(results->u.array.len > 100);
	for (size_t i = 0; i < results->u.array.len; i++) {
		yajl_val r = results->u.array.values[i];
		const char *hash_path[] = {"sha256", NULL};
		assert_true(YAJL_GET_DOUBLE(at(r, "best", yajl_t_number)) > 0);
		assert_true(YAJL_GET_DOUBLE(at(r, "median", yajl_t_number)) >=
			YAJL_GET_DOUBLE(at(r, "best", yajl_t_number)));
		at(r, "q1", yajl_t_number);
		at(r, "q3", yajl_t_number);
		at(r, "max", yajl_t_number);
		hashed += yajl_tree_get(r, hash_path, yajl_t_string) != NULL;
	}
	assert_true(hashed > 100);
}

static void
a_tiny_run_writes_the_whole_object(void **state)
{
	char path[] = "/tmp/sealock-bench-seal-XXXXXX";
	char command[512];
	char error[256] = "";
	int status = -1;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	snprintf(command, sizeof(command),
		"'%s/bench/bench_seal' --quick --json %s >/dev/null && cat %s", SLK_BUILD_DIR, path,
		path);
	char *text = output_of(command, &status);
	close(fd);
	unlink(path);
	assert_int_equal(status, 0);
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	if (root == NULL)
		print_error("%s\n", error);
	assert_non_null(root);
	assert_string_equal(YAJL_GET_STRING(at(root, "bench", yajl_t_string)), "seal");
	at(root, "commit", yajl_t_string);
	yajl_val machine = at(root, "machine", yajl_t_object);
	at(machine, "cpu", yajl_t_string);
	at(machine, "cores", yajl_t_number);
	at(machine, "kernel", yajl_t_string);
	at(at(machine, "libraries", yajl_t_object), "openssl", yajl_t_string);
	check_results(root);
	yajl_val goals = at(root, "goals", yajl_t_array);
	assert_int_equal(goals->u.array.len, 7);
	for (size_t i = 0; i < goals->u.array.len; i++) {
		yajl_val name = at(goals->u.array.values[i], "name", yajl_t_string);
		assert_ptr_equal(strstr(name->u.string, "issue 2: "), name->u.string);
	}
	yajl_tree_free(root);
	free(text);
}

static void
run_lists_the_bench_with_its_line(void **state)
{
	int status = -1;
	char *text = output_of("'" SLK_SOURCE_DIR "/bench/run'", &status);

	(void)state;
	assert_int_equal(status, 0);
	assert_non_null(strstr(text, "seal "));
	assert_non_null(strstr(text, "lib/seal against ipsec-mb"));
	free(text);
}

static void
run_refuses_a_bench_that_is_not_there(void **state)
{
	static const char *const commands[] = {"'" SLK_SOURCE_DIR "/bench/run' nonsense 2>&1",
		"'" SLK_SOURCE_DIR "/bench/run' ../cli 2>&1"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		int status = -1;
		char *text = output_of(commands[i], &status);
		assert_int_equal(status, 2);
		assert_non_null(strstr(text, "there is no bench"));
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tiny_run_writes_the_whole_object),
		cmocka_unit_test(run_lists_the_bench_with_its_line),
		cmocka_unit_test(run_refuses_a_bench_that_is_not_there),
	};

	return cmocka_run_group_tests_name("bench_seal", tests, NULL, NULL);
}
