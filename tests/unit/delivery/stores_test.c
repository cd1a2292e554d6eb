/* Which store holds a bucket, and which entries are refused. */
#include "slk_test.h"

#include <string.h>

#include "stores.h"

static void
the_first_that_fits_is_taken(void **state)
{
	(void)state;
	static const struct dlv_store stores[] = {
		{.bucket = "archive", .dir = "/a"},
		{.bucket = "logs-*-eu", .dir = "/b"},
		{.bucket = "logs-*", .dir = "/c"},
		{.bucket = "*.example", .dir = "/d"},
	};
	static const struct {
		const char *bucket, *dir;
	} cases[] = {{"archive", "/a"}, {"archive2", NULL}, {"Archive", NULL}, {"logs-x-eu", "/b"},
		{"logs--eu", "/b"}, {"logs-eu", "/c"}, {"logs-", "/c"}, {"logs", NULL},
		{"logs-a-eu-b-eu", "/b"}, {"a.b.example", "/d"}, {"", NULL}};
	const struct dlv_stores all = {stores, 4}, none = {NULL, 0};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dlv_store *found = dlv_stores_find(&all, cases[i].bucket);
		if (cases[i].dir == NULL)
			assert_null(found);
		else
			assert_string_equal(found->dir, cases[i].dir);
		assert_null(dlv_stores_find(&none, cases[i].bucket));
	}
}

static void
a_star_takes_all(void **state)
{
	(void)state;
	static const struct dlv_store any = {.bucket = "*", .dir = "/any"};
	const struct dlv_stores stores = {&any, 1};

	assert_ptr_equal(dlv_stores_find(&stores, "x"), &any);
	assert_ptr_equal(dlv_stores_find(&stores, ""), &any);
}

static const struct dlv_store good_s3 = {.bucket = "b",
	.url = "https://s3.example.net:7443",
	.region = "eu-central-1",
	.credentials = "/etc/sealock/deliver/s3.credentials",
	.seal = DLV_SEAL_SERVER};
static const struct dlv_store good_dir = {.bucket = "b", .dir = "/var/x", .seal = DLV_SEAL_CLIENT};

static void
expect(struct dlv_store store, const char *sentence)
{
	struct slk_error err = {.text = ""};
	int rc = dlv_store_check(&store, &err);

	if (sentence == NULL) {
		if (rc != SLK_OK)
			fail_msg("refused: %s", err.text);
		return;
	}
	assert_int_equal(rc, SLK_CONFIG);
	if (strstr(err.text, sentence) == NULL)
		fail_msg("\"%s\" has no \"%s\" in it", err.text, sentence);
}

#define EXPECT(base, sentence, ...) \
	do { \
		struct dlv_store store_ = base; \
		__VA_ARGS__; \
		expect(store_, sentence); \
	} while (0)
#define STORE store_

static void
sound_entries_pass(void **state)
{
	(void)state;
	static const char *const urls[] = {"https://h", "https://h.example:1",
		"https://10.0.0.1:65535", "https://[fe80::1]:7443", "http://localhost:7480",
		"http://127.0.0.1", "http://[::1]:80"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		EXPECT(good_s3, NULL, STORE.url = urls[i]);
	EXPECT(good_s3, NULL, STORE.region = NULL);
	EXPECT(good_s3, NULL, STORE.part_bytes = DLV_PART_BYTES_MIN);
	EXPECT(good_dir, NULL, (void)0);
}

static void
unsound_entries_are_refused_with_a_sentence(void **state)
{
	(void)state;
	static const char *const urls[] = {"https://", "https://h/", "https://h/path",
		"https://h:0", "https://h:65536", "https://h:7x", "https://h?x", "https://user@h",
		"https://[::1", "https://h h", "https://[]"};

	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		EXPECT(good_s3, "is not https://HOST", STORE.url = urls[i]);
	EXPECT(good_s3, "neither https: nor http:", STORE.url = "ftp://h");
	EXPECT(good_s3, "this host only", STORE.url = "http://s3.example.net");
	EXPECT(good_s3, "this host only", STORE.url = "http://localhost.example.net");
	EXPECT(good_s3, "this host only", STORE.url = "http://127.evil.example");
	EXPECT(good_s3, "no bucket", STORE.bucket = "");
	EXPECT(good_s3, "either a dir or a url", STORE.dir = "/x");
	EXPECT(good_s3, "either a dir or a url", STORE.url = NULL);
	EXPECT(good_s3, "needs credentials", STORE.credentials = NULL);
	EXPECT(good_s3, "needs credentials", STORE.credentials = "relative");
	EXPECT(good_s3, "ca of bucket b", STORE.ca = "ca.pem");
	EXPECT(good_s3, "region of bucket b", STORE.region = "US east");
	EXPECT(good_s3, "part_bytes", STORE.part_bytes = 1000);
	EXPECT(good_dir, "no absolute path", STORE.dir = "x");
	EXPECT(good_dir, "no server that seals", STORE.seal = DLV_SEAL_SERVER);
	EXPECT(good_dir, "no server that seals", STORE.seal = DLV_SEAL_S3);
	EXPECT(good_dir, "is a dir", STORE.credentials = "/x");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_that_fits_is_taken),
		cmocka_unit_test(a_star_takes_all),
		cmocka_unit_test(sound_entries_pass),
		cmocka_unit_test(unsound_entries_are_refused_with_a_sentence),
	};

	return cmocka_run_group_tests_name("delivery/stores", tests, NULL, NULL);
}
