/* Wycheproof's AES-GCM vectors, when they lie beside the source tree. */
#include "vector_case.h"

static void
wycheproof_aes_gcm(void **state)
{
	struct paths paths;
	struct vector_run run = {.paths = &paths};
	size_t total = 0;

	(void)state;
	paths_new(&paths);
	bool there = gcm_vectors_wycheproof(case_run, &run, &total);
	if (there) {
		assert_int_equal(
			run.counts.ran + run.counts.sealed_only + run.counts.outside, total);
		assert_true(run.counts.ran > 0);
		counts_print(&run.counts, &paths, "aes_gcm_test.json");
	}
	paths_free(&paths);
	if (!there)
		skip();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wycheproof_aes_gcm),
	};

	return cmocka_run_group_tests_name("seal_wycheproof", tests, NULL, NULL);
}
