/* NIST CAVP GCM vectors, as Debian's python3-cryptography-vectors brings them. */
#include "vector_case.h"

static int
setup(void **state)
{
	static struct paths paths;

	paths_new(&paths);
	*state = &paths;
	return 0;
}

static int
teardown(void **state)
{
	paths_free(*state);
	return 0;
}

static void
run_file(const struct paths *paths, const char *name)
{
	struct vector_run run = {.paths = paths};

	if (!gcm_vectors_nist(name, case_run, &run))
		skip();
	/* Each file has 7 tag lengths x 3 IV lengths x 25 shapes x 15 cases; a fifth of the shapes
	 * has no AAD. */
	assert_int_equal(run.counts.ran, 300);
	assert_int_equal(run.counts.ran + run.counts.sealed_only + run.counts.outside, 7875);
	counts_print(&run.counts, paths, name);
}

#define NIST_TEST(name) \
	static void nist_##name(void **state) \
	{ \
		run_file(*state, #name); \
	}
NIST_TEST(gcmEncryptExtIV128)
NIST_TEST(gcmEncryptExtIV192)
NIST_TEST(gcmEncryptExtIV256)
NIST_TEST(gcmDecrypt128)
NIST_TEST(gcmDecrypt192)
NIST_TEST(gcmDecrypt256)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nist_gcmEncryptExtIV128),
		cmocka_unit_test(nist_gcmEncryptExtIV192),
		cmocka_unit_test(nist_gcmEncryptExtIV256),
		cmocka_unit_test(nist_gcmDecrypt128),
		cmocka_unit_test(nist_gcmDecrypt192),
		cmocka_unit_test(nist_gcmDecrypt256),
	};

	return cmocka_run_group_tests_name("seal_nist", tests, setup, teardown);
}
