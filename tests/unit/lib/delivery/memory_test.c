/* Each piece of memory is refused once, in turn: what asks for it says so, changes nothing and keeps nothing. */
#include "descriptions.h"

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__real_realloc(void *ptr, size_t bytes);
void *__wrap_realloc(void *ptr, size_t bytes);
int __real_slk_secret_new(size_t len, struct slk_secret **out_secret);
int __wrap_slk_secret_new(size_t len, struct slk_secret **out_secret);
int __real_slk_secret_from(const void *bytes, size_t len, struct slk_secret **out_secret);
int __wrap_slk_secret_from(const void *bytes, size_t len, struct slk_secret **out_secret);
void __real_slk_secret_free(struct slk_secret *secret);
void __wrap_slk_secret_free(struct slk_secret *secret);

static int countdown; /* 0: none fails; n: the n-th does */
static long secrets; /* that are there */

static bool
fails(void)
{
	return countdown > 0 && --countdown == 0;
}

void *
__wrap_calloc(size_t count, size_t bytes)
{
	return fails() ? NULL : __real_calloc(count, bytes);
}

void *
__wrap_realloc(void *ptr, size_t bytes)
{
	return fails() ? NULL : __real_realloc(ptr, bytes);
}

static int
note(int rc)
{
	secrets += rc == SLK_OK;
	return rc;
}

int
__wrap_slk_secret_new(size_t len, struct slk_secret **out_secret)
{
	return fails() ? SLK_NO_MEMORY : note(__real_slk_secret_new(len, out_secret));
}

int
__wrap_slk_secret_from(const void *bytes, size_t len, struct slk_secret **out_secret)
{
	return fails() ? SLK_NO_MEMORY : note(__real_slk_secret_from(bytes, len, out_secret));
}

void
__wrap_slk_secret_free(struct slk_secret *secret)
{
	secrets -= secret != NULL;
	__real_slk_secret_free(secret);
}

/* One run of everything with the n-th piece refused. Was anything refused? */
static bool
run(const char *json, int n)
{
	static const char update[] = "{\"ExtendedS3DestinationUpdate\":{\"Prefix\":\"n/\"}}";
	struct dlv_spec *spec = NULL, *next = NULL;
	struct slk_secret *text = NULL;
	struct dlv_fault fault;
	char *described = NULL;
	size_t len = 0;

	countdown = n;
	int rc = dlv_spec_parse(slk_span_str(json), &spec, &fault);
	if (rc == SLK_OK && spec->kind == DLV_TO_S3)
		rc = dlv_spec_update(spec, slk_span_str(update), &next, &fault);
	if (rc == SLK_OK)
		rc = dlv_spec_print(spec, &text, &len);
	if (rc == SLK_OK)
		rc = dlv_spec_describe_destination(spec, &described);
	bool refused = n > 0 && countdown == 0;
	countdown = 0;
	assert_int_equal(rc, refused ? SLK_NO_MEMORY : SLK_OK);
	assert_true((described != NULL) == !refused);
	assert_true(!refused || fault.type == NULL); /* it is not the caller's fault */
	slk_secret_free(text);
	dlv_spec_free(next);
	dlv_spec_free(spec);
	free(described);
	assert_int_equal(secrets, 0);
	return refused;
}

static void
memory_that_is_refused_is_told_and_nothing_is_kept(void **state)
{
	(void)state;
	for (size_t i = 0; i < KINDS; i++) {
		int n = 1;
		while (run(all_kinds[i], n))
			n++;
		assert_in_range(n, 8, 100); /* as many were asked for */
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_that_is_refused_is_told_and_nothing_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
