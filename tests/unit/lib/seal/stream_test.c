/* A message in pieces is the message that a burst makes, on every engine, and nothing else opens. */
#include "every_engine.h"
#include "seal/stream.h"

#define LEN_MAX 70000u
#define PIECES_MAX 9u

struct fixture {
	struct paths paths;
	struct seal_key *key[PATHS_MAX];
	uint8_t aad[2], nonce[SEAL_NONCE_BYTES];
	uint8_t *plain, *want, *got;
	uint64_t seed;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t raw[SEAL_KEY_BYTES];

	assert_non_null(f);
	f->seed = 3;
	paths_new(&f->paths);
	fill_random(&f->seed, raw, sizeof(raw));
	fill_random(&f->seed, f->aad, sizeof(f->aad));
	fill_random(&f->seed, f->nonce, sizeof(f->nonce));
	for (unsigned i = 0; i < f->paths.count; i++)
		assert_ok(seal_key_new(f->paths.thread[i], raw, sizeof(raw), &f->key[i]));
	f->plain = malloc(LEN_MAX);
	f->want = malloc(LEN_MAX);
	f->got = malloc(LEN_MAX);
	assert_true(f->plain != NULL && f->want != NULL && f->got != NULL);
	fill_random(&f->seed, f->plain, LEN_MAX);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < f->paths.count; i++)
		seal_key_free(f->key[i]);
	paths_free(&f->paths);
	free(f->plain);
	free(f->want);
	free(f->got);
	free(f);
	return 0;
}

/* By a burst of one, on the first path. */
static void
seal_whole(struct fixture *f, size_t len, uint8_t *tag)
{
	struct iovec in = {f->plain, len};
	struct seal_item item = {.in = &in,
		.in_count = 1,
		.out = f->want,
		.aad = f->aad,
		.aad_len = sizeof(f->aad),
		.tag = tag};

	memcpy(item.nonce, f->nonce, sizeof(f->nonce));
	assert_int_equal(seal_burst(f->paths.thread[0], f->key[0], &item, 1), 1);
}

/* In place in f->got, cut at random. */
static int
run_pieces(struct fixture *f, struct seal_stream *s, size_t len, uint8_t *tag)
{
	struct iovec pieces[PIECES_MAX];
	uint32_t count = cut_random(&f->seed, f->got, len, pieces, PIECES_MAX);

	for (uint32_t i = 0; i < count; i++)
		assert_ok(seal_stream_update(
			s, pieces[i].iov_base, pieces[i].iov_base, pieces[i].iov_len));
	assert_int_equal(seal_stream_bytes(s), len);
	return seal_stream_end(s, tag);
}

static void
check_length(struct fixture *f, unsigned path, size_t len)
{
	uint8_t want_tag[SEAL_TAG_BYTES];
	uint8_t tag[SEAL_TAG_BYTES] = {0};
	struct seal_stream *s = NULL;

	seal_whole(f, len, want_tag);
	memcpy(f->got, f->plain, len);
	assert_ok(seal_stream_seal(
		f->paths.thread[path], f->key[path], f->nonce, f->aad, sizeof(f->aad), &s));
	assert_ok(run_pieces(f, s, len, tag));
	seal_stream_free(s);
	assert_memory_equal(tag, want_tag, sizeof(tag));
	assert_memory_equal(f->got, f->want, len);
	assert_ok(seal_stream_open(
		f->paths.thread[path], f->key[path], f->nonce, f->aad, sizeof(f->aad), &s));
	assert_ok(run_pieces(f, s, len, tag));
	seal_stream_free(s);
	assert_memory_equal(f->got, f->plain, len);
}

static void
pieces_make_the_whole_at_every_length(void **state)
{
	struct fixture *f = *state;

	for (unsigned path = 0; path < f->paths.count; path++) {
		for (size_t len = 0; len <= 600; len++)
			check_length(f, path, len);
		for (unsigned i = 0; i < 50; i++)
			check_length(f, path, next_random(&f->seed) % LEN_MAX);
	}
}

static int
open_flipped(
	struct fixture *f, unsigned path, size_t len, uint8_t *aad, uint8_t *nonce, uint8_t *tag)
{
	struct seal_stream *s = NULL;

	assert_ok(seal_stream_open(
		f->paths.thread[path], f->key[path], nonce, aad, sizeof(f->aad), &s));
	int rc = run_pieces(f, s, len, tag);
	seal_stream_free(s);
	return rc;
}

static void
each_flipped_bit_is_refused(void **state)
{
	struct fixture *f = *state;
	enum { LEN = 65 };
	struct {
		uint8_t aad[2], nonce[SEAL_NONCE_BYTES], tag[SEAL_TAG_BYTES], text[LEN];
	} good, bad;

	seal_whole(f, LEN, good.tag);
	memcpy(good.aad, f->aad, sizeof(good.aad));
	memcpy(good.nonce, f->nonce, sizeof(good.nonce));
	memcpy(good.text, f->want, LEN);
	for (unsigned path = 0; path < f->paths.count; path++) {
		for (size_t bit = 0; bit < sizeof(good) * 8; bit++) {
			bad = good;
			((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
			memcpy(f->got, bad.text, LEN);
			assert_int_equal(open_flipped(f, path, LEN, bad.aad, bad.nonce, bad.tag),
				SLK_BAD_TAG);
		}
	}
}

static void
a_stream_ends_once_and_at_its_limit(void **state)
{
	struct fixture *f = *state;
	uint8_t tag[SEAL_TAG_BYTES];
	struct seal_stream *s = NULL;

	assert_ok(seal_stream_seal(
		f->paths.thread[0], f->key[0], f->nonce, f->aad, sizeof(f->aad), &s));
	assert_ok(seal_stream_update(s, f->plain, f->got, 5));
	assert_int_equal(
		seal_stream_update(s, f->plain, f->got, SEAL_STREAM_BYTES_MAX - 4), SLK_TOO_LARGE);
	assert_int_equal(seal_stream_update(s, f->plain, f->got, SIZE_MAX), SLK_TOO_LARGE);
	assert_int_equal(seal_stream_bytes(s), 5);
	assert_ok(seal_stream_end(s, tag));
	assert_int_equal(seal_stream_end(s, tag), SLK_INVALID_STATE);
	assert_int_equal(seal_stream_update(s, f->plain, f->got, 5), SLK_INVALID_STATE);
	seal_stream_free(s);
	seal_stream_free(NULL);
}

static void
what_is_no_key_of_the_thread_or_no_aad_is_refused(void **state)
{
	struct fixture *f = *state;
	struct seal_stream *s = NULL;

	assert_int_equal(seal_stream_seal(f->paths.thread[0], f->key[0], f->nonce, f->aad, 0, &s),
		SLK_INVALID);
	assert_int_equal(seal_stream_open(f->paths.thread[0], f->key[0], f->nonce, NULL, 2, &s),
		SLK_INVALID);
	if (f->paths.count > 1)
		assert_int_equal(
			seal_stream_seal(f->paths.thread[0], f->key[1], f->nonce, f->aad, 2, &s),
			SLK_INVALID);
	assert_null(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_make_the_whole_at_every_length),
		cmocka_unit_test(each_flipped_bit_is_refused),
		cmocka_unit_test(a_stream_ends_once_and_at_its_limit),
		cmocka_unit_test(what_is_no_key_of_the_thread_or_no_aad_is_refused),
	};

	return cmocka_run_group_tests_name("seal_stream", tests, setup, teardown);
}
