/* Wycheproof's AES-GCM vectors, when they lie beside the source tree. */
#include <yajl/yajl_tree.h>

#include "vector_case.h"

#define FILE_PATH SLK_SOURCE_DIR "/../shared/vectors/wycheproof/testvectors_v1/aes_gcm_test.json"
#define FILE_MAX (4u << 20)

static const char *
text_at(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(object, path, yajl_t_string);

	assert_non_null(v);
	return YAJL_GET_STRING(v);
}

static yajl_val
array_at(yajl_val object, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(object, path, yajl_t_array);

	assert_non_null(v);
	return v;
}

static void
run_case(yajl_val test, const struct paths *paths, struct vector_counts *counts)
{
	struct vector_case c = {0};
	const char *result = text_at(test, "result");

	field_from_hex(&c.key, text_at(test, "key"));
	field_from_hex(&c.nonce, text_at(test, "iv"));
	field_from_hex(&c.aad, text_at(test, "aad"));
	field_from_hex(&c.plain, text_at(test, "msg"));
	field_from_hex(&c.sealed, text_at(test, "ct"));
	field_from_hex(&c.tag, text_at(test, "tag"));
	c.refused = strcmp(result, "invalid") == 0;
	if (!c.refused)
		assert_string_equal(result, "valid");
	case_run(&c, paths, counts);
}

static yajl_val
load(void)
{
	char error[256] = "";
	FILE *f = fopen(FILE_PATH, "r");

	if (f == NULL) {
		print_message("skipped: no Wycheproof vectors at %s\n", FILE_PATH);
		return NULL;
	}
	char *text = malloc(FILE_MAX);
	assert_non_null(text);
	size_t n = fread(text, 1, FILE_MAX - 1, f);
	fclose(f);
	text[n] = '\0';
	yajl_val root = yajl_tree_parse(text, error, sizeof(error));
	free(text);
	if (root == NULL)
		fail_msg("%s: %s", FILE_PATH, error);
	return root;
}

static void
wycheproof_aes_gcm(void **state)
{
	const char *total_path[] = {"numberOfTests", NULL};
	struct vector_counts counts = {0};
	struct paths paths;

	(void)state;
	yajl_val root = load();
	if (root == NULL)
		skip();
	paths_new(&paths);
	yajl_val groups = array_at(root, "testGroups");
	for (size_t g = 0; g < groups->u.array.len; g++) {
		yajl_val tests = array_at(groups->u.array.values[g], "tests");
		for (size_t t = 0; t < tests->u.array.len; t++)
			run_case(tests->u.array.values[t], &paths, &counts);
	}
	yajl_val total = yajl_tree_get(root, total_path, yajl_t_number);
	assert_non_null(total);
	assert_int_equal(counts.ran + counts.sealed_only + counts.outside, YAJL_GET_INTEGER(total));
	assert_true(counts.ran > 0);
	counts_print(&counts, &paths, "aes_gcm_test.json");
	paths_free(&paths);
	yajl_tree_free(root);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof_aes_gcm),
	};

	return cmocka_run_group_tests_name("seal/wycheproof", tests, NULL, NULL);
}
