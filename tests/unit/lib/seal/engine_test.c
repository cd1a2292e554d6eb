/* The choice of an engine, its self-test, and keys that threads share. */
#include <pthread.h>

#include "every_engine.h"

static void
the_list_of_engines_is_the_documented_one(void **state)
{
	(void)state;
	assert_string_equal(seal_engine_name(0), "ipsec-mb-avx512");
	assert_string_equal(seal_engine_name(1), "ipsec-mb-avx2");
	assert_string_equal(seal_engine_name(2), "ipsec-mb-sse");
	assert_string_equal(seal_engine_name(3), "openssl");
	assert_null(seal_engine_name(4));
	assert_null(seal_engine_name(UINT32_MAX));
}

static void
each_engine_starts_by_its_name_or_says_why_not(void **state)
{
	(void)state;
	for (unsigned i = 0; seal_engine_name(i) != NULL; i++) {
		struct seal_thread *thread = NULL;
		struct slk_error err = {0};
		int rc = seal_thread_new(seal_engine_name(i), &thread, &err);

		if (rc != SLK_OK) {
			assert_int_equal(rc, SLK_UNSUPPORTED);
			assert_null(thread);
			assert_non_null(strstr(err.text, seal_engine_name(i)));
			print_message("left out: %s\n", err.text);
			continue;
		}
		assert_string_equal(seal_thread_engine(thread), seal_engine_name(i));
		seal_thread_free(thread);
	}
}

/* The first of the list that starts here. */
static const char *
best_engine(void)
{
	for (unsigned i = 0; seal_engine_name(i) != NULL; i++) {
		struct seal_thread *thread = NULL;
		if (seal_thread_new(seal_engine_name(i), &thread, NULL) == SLK_OK) {
			seal_thread_free(thread);
			return seal_engine_name(i);
		}
	}
	return NULL;
}

static void
auto_takes_the_best_engine_that_works(void **state)
{
	static const char *const names[] = {NULL, "auto", "ipsec-mb"};
	const char *best = best_engine();

	(void)state;
	assert_non_null(best);
	for (unsigned i = 0; i < 3; i++) {
		struct seal_thread *thread = NULL;
		int rc = seal_thread_new(names[i], &thread, NULL);
		if (i == 2 && strcmp(best, "openssl") == 0) {
			assert_int_equal(rc, SLK_UNSUPPORTED);
			continue;
		}
		assert_ok(rc);
		assert_string_equal(seal_thread_engine(thread), best);
		seal_thread_free(thread);
	}
}

static void
an_unknown_engine_is_not_found(void **state)
{
	static const char *const names[] = {"", "ipsec-mb-", "OpenSSL", "ipsec-mb-avx512-no-vaes"};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct seal_thread *thread = NULL;
		struct slk_error err = {0};
		assert_int_equal(seal_thread_new(names[i], &thread, &err), SLK_NOT_FOUND);
		assert_null(thread);
		assert_non_null(strstr(err.text, "ipsec-mb-avx2"));
	}
}

static void
keys_of_other_lengths_are_invalid(void **state)
{
	uint8_t raw[64] = {0};
	struct paths paths;

	(void)state;
	paths_new(&paths);
	for (unsigned p = 0; p < paths.count; p++) {
		struct seal_key *key = NULL;
		for (size_t len = 0; len <= sizeof(raw); len++) {
			if (len == 16 || len == 24 || len == 32)
				continue;
			assert_int_equal(
				seal_key_new(paths.thread[p], raw, len, &key), SLK_INVALID);
		}
		assert_int_equal(seal_key_new(paths.thread[p], NULL, 32, &key), SLK_INVALID);
		assert_null(key);
	}
	paths_free(&paths);
	seal_key_free(NULL);
	seal_thread_free(NULL);
}

/* An engine that works, but for one planted fault. */
enum fault {
	FAULT_NONE,
	FAULT_CIPHERTEXT,
	FAULT_TAG,
	FAULT_PIECES,
	FAULT_ACCEPTS,
	FAULT_KEEPS,
	FAULT_LATE,
	FAULT_COUNT
};

static enum fault fault;

static uint32_t
faulty_seal(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	uint32_t good = seal_engine_openssl.seal(state, key, items, count);

	if (fault == FAULT_CIPHERTEXT)
		items[0].out[3] ^= 1;
	if (fault == FAULT_TAG)
		items[0].tag[15] ^= 1;
	if (fault == FAULT_PIECES && items[0].in_count > 1)
		items[0].tag[0] ^= 1;
	return good;
}

static uint32_t
faulty_open(void *state, const struct seal_key *key, struct seal_item *items, uint32_t count)
{
	uint32_t good = seal_engine_openssl.open(state, key, items, count);
	struct seal_item *item = &items[0];

	if (fault == FAULT_LATE && item->in[0].iov_len > 768)
		item->out[item->in[0].iov_len - 1] ^= 1;
	if (item->status == SLK_BAD_TAG && fault == FAULT_KEEPS)
		item->out[0] = 1;
	if (item->status == SLK_BAD_TAG && fault == FAULT_ACCEPTS) {
		item->status = SLK_OK;
		good = 1;
	}
	return good;
}

static void
an_engine_with_any_fault_fails_its_self_test(void **state)
{
	struct seal_engine faulty = seal_engine_openssl;

	(void)state;
	faulty.name = "faulty";
	faulty.seal = faulty_seal;
	faulty.open = faulty_open;
	for (fault = FAULT_NONE; fault < FAULT_COUNT; fault++) {
		struct seal_thread *thread = NULL;
		struct slk_error err = {0};
		int rc = seal_thread_new_engine(&faulty, &thread, &err);
		if (fault == FAULT_NONE) {
			assert_ok(rc);
			seal_thread_free(thread);
			continue;
		}
		assert_int_equal(rc, SLK_SELF_TEST);
		assert_null(thread);
		assert_non_null(strstr(err.text, "faulty"));
	}
}

/* Four threads, each with its own state, seal and open under one key at once. */
#define SHARERS 4u
#define ROUNDS 300u
#define SHARED_LEN 700u

struct sharer {
	const struct seal_engine *engine;
	const struct seal_key *key;
	const uint8_t *plain;
	const uint8_t *want;
	unsigned bad;
};

static void *
share(void *arg)
{
	struct sharer *s = arg;
	struct seal_thread *thread = NULL;
	uint8_t out[SHARED_LEN];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in;
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = out,
		.aad = (const uint8_t *)"a",
		.aad_len = 1,
		.tag = tag};

	if (seal_thread_new_engine(s->engine, &thread, NULL) != SLK_OK) {
		s->bad = ROUNDS;
		return NULL;
	}
	for (unsigned i = 0; i < ROUNDS; i++) {
		in = (struct iovec){(void *)s->plain, SHARED_LEN};
		item.out = out;
		if (seal_burst(thread, s->key, &item, 1) != 1 ||
			memcmp(out, s->want, SHARED_LEN) != 0)
			s->bad++;
		in = (struct iovec){out, SHARED_LEN};
		if (seal_open_burst(thread, s->key, &item, 1) != 1 ||
			memcmp(out, s->plain, SHARED_LEN) != 0)
			s->bad++;
	}
	seal_thread_free(thread);
	return NULL;
}

static void
share_on_path(const struct seal_engine *engine, struct seal_thread *thread)
{
	uint8_t raw[SEAL_KEY_BYTES] = {9};
	uint8_t plain[SHARED_LEN];
	uint8_t want[SHARED_LEN];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in = {plain, sizeof(plain)};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = want,
		.aad = (const uint8_t *)"a",
		.aad_len = 1,
		.tag = tag};
	struct sharer sharers[SHARERS];
	pthread_t ids[SHARERS];
	struct seal_key *key = NULL;
	uint64_t seed = 3;

	fill_random(&seed, plain, sizeof(plain));
	assert_ok(seal_key_new(thread, raw, sizeof(raw), &key));
	assert_int_equal(seal_burst(thread, key, &item, 1), 1);
	for (unsigned i = 0; i < SHARERS; i++) {
		sharers[i] = (struct sharer){engine, key, plain, want, 0};
		assert_int_equal(pthread_create(&ids[i], NULL, share, &sharers[i]), 0);
	}
	for (unsigned i = 0; i < SHARERS; i++) {
		assert_int_equal(pthread_join(ids[i], NULL), 0);
		assert_int_equal(sharers[i].bad, 0);
	}
	seal_key_free(key);
}

static void
threads_of_one_engine_share_a_key(void **state)
{
	(void)state;
	for (unsigned i = 0; seal_engine_path(i) != NULL; i++) {
		struct seal_thread *thread = NULL;
		int rc = seal_thread_new_engine(seal_engine_path(i), &thread, NULL);
		if (rc == SLK_UNSUPPORTED)
			continue;
		assert_ok(rc);
		share_on_path(seal_engine_path(i), thread);
		seal_thread_free(thread);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_list_of_engines_is_the_documented_one),
		cmocka_unit_test(each_engine_starts_by_its_name_or_says_why_not),
		cmocka_unit_test(auto_takes_the_best_engine_that_works),
		cmocka_unit_test(an_unknown_engine_is_not_found),
		cmocka_unit_test(keys_of_other_lengths_are_invalid),
		cmocka_unit_test(an_engine_with_any_fault_fails_its_self_test),
		cmocka_unit_test(threads_of_one_engine_share_a_key),
	};

	return cmocka_run_group_tests_name("seal_engine", tests, NULL, NULL);
}
