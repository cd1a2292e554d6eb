/* NIST CAVP GCM vectors, as Debian's python3-cryptography-vectors brings them. */
#include "vector_case.h"

#define DIR "/usr/lib/python3/dist-packages/cryptography_vectors/ciphers/AES/GCM/"

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

/* Take one line into the case. Returns true when the line ends a case. */
static bool
take_line(struct vector_case *c, const char *line, bool encrypt)
{
	const struct {
		const char *name;
		struct field *field;
	} fields[] = {{"Key = ", &c->key}, {"IV = ", &c->nonce}, {"PT = ", &c->plain},
		{"AAD = ", &c->aad}, {"CT = ", &c->sealed}, {"Tag = ", &c->tag}};

	if (strncmp(line, "FAIL", 4) == 0) {
		c->refused = true;
		return true;
	}
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		size_t n = strlen(fields[i].name);
		if (strncmp(line, fields[i].name, n) == 0) {
			field_from_hex(fields[i].field, line + n);
			return fields[i].field == (encrypt ? &c->tag : &c->plain);
		}
	}
	return false;
}

static void
run_file(const struct paths *paths, const char *name, bool encrypt)
{
	struct vector_counts counts = {0};
	struct vector_case c = {0};
	char path[256];
	char *line = NULL;
	size_t cap = 0;

	snprintf(path, sizeof(path), DIR "%s", name);
	FILE *f = fopen(path, "r");
	if (f == NULL) {
		print_message("skipped: no %s; install python3-cryptography-vectors\n", path);
		skip();
	}
	while (getline(&line, &cap, f) >= 0) {
		if (!take_line(&c, line, encrypt))
			continue;
		case_run(&c, paths, &counts);
		memset(&c, 0, sizeof(c));
	}
	free(line);
	fclose(f);
	/* Each file has 7 tag lengths x 3 IV lengths x 25 shapes x 15 cases; a fifth of the shapes
	 * has no AAD. */
	assert_int_equal(counts.ran, 300);
	assert_int_equal(counts.ran + counts.sealed_only + counts.outside, 7875);
	counts_print(&counts, paths, name);
}

#define NIST_TEST(name, encrypt) \
	static void nist_##name(void **state) \
	{ \
		run_file(*state, #name ".rsp", encrypt); \
	}
NIST_TEST(gcmEncryptExtIV128, true)
NIST_TEST(gcmEncryptExtIV192, true)
NIST_TEST(gcmEncryptExtIV256, true)
NIST_TEST(gcmDecrypt128, false)
NIST_TEST(gcmDecrypt192, false)
NIST_TEST(gcmDecrypt256, false)

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

	return cmocka_run_group_tests_name("seal/nist", tests, setup, teardown);
}
