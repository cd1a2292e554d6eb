/* Burst seal and open: engines agree to the byte, refuse what was tampered with, and keep items
 * apart. */
#include <sys/mman.h>

#include "every_engine.h"

#define LEN_SMALL 4096u
#define LEN_LARGE (1u << 20)
#define AAD_BYTES 88u
#define PIECES_MAX 9u
#define GUARD 0xa5u

struct fixture {
	struct paths paths;
	struct seal_key *key[PATHS_MAX];
	uint8_t aad[AAD_BYTES];
	uint8_t *plain;
	uint8_t *want; /* by the first path, in one piece, apart */
	uint8_t *got;
	uint64_t seed;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint8_t raw[SEAL_KEY_BYTES];

	assert_non_null(f);
	f->seed = 1;
	paths_new(&f->paths);
	fill_random(&f->seed, raw, sizeof(raw));
	fill_random(&f->seed, f->aad, sizeof(f->aad));
	for (unsigned i = 0; i < f->paths.count; i++)
		assert_ok(seal_key_new(f->paths.thread[i], raw, sizeof(raw), &f->key[i]));
	f->plain = malloc(LEN_LARGE);
	f->want = malloc(LEN_LARGE + 1);
	f->got = malloc(LEN_LARGE + 1);
	assert_true(f->plain != NULL && f->want != NULL && f->got != NULL);
	fill_random(&f->seed, f->plain, LEN_LARGE);
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

static struct seal_item
item_of(const struct fixture *f, const struct iovec *in, uint32_t in_count, uint8_t *out,
	uint8_t *tag)
{
	return (struct seal_item){.in = in,
		.in_count = in_count,
		.status = 77,
		.out = out,
		.aad = f->aad,
		.aad_len = AAD_BYTES,
		.nonce = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
		.tag = tag};
}

static void
seal_ok(struct fixture *f, unsigned path, struct seal_item *item)
{
	assert_int_equal(seal_burst(f->paths.thread[path], f->key[path], item, 1), 1);
	assert_int_equal(item->status, SLK_OK);
}

static void
open_ok(struct fixture *f, unsigned path, struct seal_item *item)
{
	assert_int_equal(seal_open_burst(f->paths.thread[path], f->key[path], item, 1), 1);
	assert_int_equal(item->status, SLK_OK);
}

/* Seal, seal in pieces, seal in place, open, open in pieces, open in place; nothing beyond the end
 * is written. */
static void
check_length(struct fixture *f, size_t len, bool everything)
{
	struct iovec pieces[PIECES_MAX];
	struct iovec whole = {f->plain, len};
	struct iovec there = {f->got, len};
	uint8_t want_tag[SEAL_TAG_BYTES];
	uint8_t tag[SEAL_TAG_BYTES];

	struct seal_item ref = item_of(f, &whole, 1, f->want, want_tag);
	seal_ok(f, 0, &ref);
	for (unsigned p = 0; p < f->paths.count; p++) {
		f->got[len] = GUARD;
		struct seal_item apart = item_of(f, &whole, 1, f->got, tag);
		seal_ok(f, p, &apart);
		assert_memory_equal(f->got, f->want, len);
		assert_memory_equal(tag, want_tag, sizeof(tag));

		struct seal_item back = item_of(f, &there, 1, f->got, want_tag);
		open_ok(f, p, &back);
		assert_memory_equal(f->got, f->plain, len);
		if (!everything)
			continue;
		struct seal_item in_place = item_of(f, &there, 1, f->got, tag);
		seal_ok(f, p, &in_place);
		assert_memory_equal(f->got, f->want, len);
		assert_memory_equal(tag, want_tag, sizeof(tag));

		uint32_t n = cut_random(&f->seed, f->plain, len, pieces, PIECES_MAX);
		memset(f->got, 0, len);
		struct seal_item cut = item_of(f, pieces, n, f->got, tag);
		seal_ok(f, p, &cut);
		assert_memory_equal(f->got, f->want, len);
		assert_memory_equal(tag, want_tag, sizeof(tag));

		n = cut_random(&f->seed, f->want, len, pieces, PIECES_MAX);
		struct seal_item cut_back = item_of(f, pieces, n, f->got, want_tag);
		open_ok(f, p, &cut_back);
		assert_memory_equal(f->got, f->plain, len);
		assert_int_equal(f->got[len], GUARD);
	}
}

static void
engines_agree_at_every_length_to_4096(void **state)
{
	for (size_t len = 0; len <= LEN_SMALL; len++)
		check_length(*state, len, true);
}

static void
engines_agree_at_random_lengths_to_1_mib(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < 12; i++)
		check_length(f, LEN_SMALL + next_random(&f->seed) % (LEN_LARGE - LEN_SMALL), true);
	check_length(f, LEN_LARGE, true);
}

static void
engines_agree_for_every_key_length_and_odd_aad(void **state)
{
	static const size_t key_lens[] = {16, 24, 32};
	static const uint32_t aad_lens[] = {1, 12, 15, 16, 17, 31, 64, 255, 1000};
	struct fixture *f = *state;
	struct iovec in = {f->plain, 777};
	uint8_t tag[PATHS_MAX][SEAL_TAG_BYTES];
	struct seal_key *key = NULL;

	for (unsigned k = 0; k < 3; k++) {
		for (unsigned a = 0; a < 9; a++) {
			for (unsigned p = 0; p < f->paths.count; p++) {
				struct seal_item item =
					item_of(f, &in, 1, p == 0 ? f->want : f->got, tag[p]);
				item.aad = f->plain + 1;
				item.aad_len = aad_lens[a];
				assert_ok(seal_key_new(
					f->paths.thread[p], f->plain, key_lens[k], &key));
				assert_int_equal(seal_burst(f->paths.thread[p], key, &item, 1), 1);
				seal_key_free(key);
				assert_memory_equal(p == 0 ? f->want : f->got, f->want, 777);
				assert_memory_equal(tag[p], tag[0], SEAL_TAG_BYTES);
			}
		}
	}
}

/* Opening what was tampered with: refused, output zeroed, nothing written beyond it. */
static void
refused(struct fixture *f, unsigned path, struct iovec *in, uint32_t in_count, size_t len,
	uint8_t *tag)
{
	struct seal_item item = item_of(f, in, in_count, f->got, tag);

	memset(f->got, GUARD, len + 1);
	assert_int_equal(seal_open_burst(f->paths.thread[path], f->key[path], &item, 1), 0);
	assert_int_equal(item.status, SLK_BAD_TAG);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(f->got[i], 0);
	assert_int_equal(f->got[len], GUARD);
}

static void
flip_all(struct fixture *f, unsigned path, size_t len)
{
	struct iovec plain = {f->plain, len};
	struct iovec sealed = {f->want, len};
	struct iovec pieces[PIECES_MAX];
	uint8_t tag[SEAL_TAG_BYTES];
	const struct {
		uint8_t *base;
		size_t len;
	} parts[] = {{f->aad, AAD_BYTES}, {tag, sizeof(tag)}, {f->want, len}};

	struct seal_item item = item_of(f, &plain, 1, f->want, tag);
	seal_ok(f, path, &item);
	for (unsigned part = 0; part < 3; part++) {
		for (size_t bit = 0; bit < parts[part].len * 8; bit++) {
			uint8_t *byte = &parts[part].base[bit / 8];
			*byte ^= (uint8_t)(1u << (bit % 8));
			refused(f, path, &sealed, 1, len, tag);
			if (bit % 16 == 0) {
				uint32_t n = cut_random(&f->seed, f->want, len, pieces, PIECES_MAX);
				refused(f, path, pieces, n, len, tag);
			}
			*byte ^= (uint8_t)(1u << (bit % 8));
		}
	}
	struct seal_item good = item_of(f, &sealed, 1, f->got, tag);
	open_ok(f, path, &good);
	assert_memory_equal(f->got, f->plain, len);
}

static void
each_flipped_bit_of_header_tag_and_ciphertext_is_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned p = 0; p < f->paths.count; p++) {
		flip_all(f, p, 0);
		flip_all(f, p, 1);
		flip_all(f, p, 67);
		flip_all(f, p, 1033);
	}
}

static void
a_bad_tag_in_place_leaves_no_plaintext(void **state)
{
	struct fixture *f = *state;
	struct iovec plain = {f->plain, 500};
	struct iovec there = {f->got, 500};
	uint8_t tag[SEAL_TAG_BYTES];

	for (unsigned p = 0; p < f->paths.count; p++) {
		struct seal_item item = item_of(f, &plain, 1, f->got, tag);
		seal_ok(f, p, &item);
		tag[7] ^= 0x10;
		struct seal_item bad = item_of(f, &there, 1, f->got, tag);
		assert_int_equal(seal_open_burst(f->paths.thread[p], f->key[p], &bad, 1), 0);
		assert_int_equal(bad.status, SLK_BAD_TAG);
		for (unsigned i = 0; i < 500; i++)
			assert_int_equal(f->got[i], 0);
	}
}

static void
another_nonce_or_key_opens_nothing(void **state)
{
	struct fixture *f = *state;
	struct iovec plain = {f->plain, 100};
	struct iovec sealed = {f->want, 100};
	uint8_t tag[SEAL_TAG_BYTES];
	struct seal_key *other = NULL;

	for (unsigned p = 0; p < f->paths.count; p++) {
		struct seal_item item = item_of(f, &plain, 1, f->want, tag);
		seal_ok(f, p, &item);
		for (unsigned i = 0; i < SEAL_NONCE_BYTES; i++) {
			struct seal_item bad = item_of(f, &sealed, 1, f->got, tag);
			bad.nonce[i] ^= 1;
			assert_int_equal(
				seal_open_burst(f->paths.thread[p], f->key[p], &bad, 1), 0);
			assert_int_equal(bad.status, SLK_BAD_TAG);
		}
		assert_ok(seal_key_new(f->paths.thread[p], f->plain, SEAL_KEY_BYTES, &other));
		struct seal_item bad = item_of(f, &sealed, 1, f->got, tag);
		assert_int_equal(seal_open_burst(f->paths.thread[p], other, &bad, 1), 0);
		assert_int_equal(bad.status, SLK_BAD_TAG);
		seal_key_free(other);
	}
}

#define BURST 16u
#define BURST_LEN 300u

static void
one_bad_item_leaves_the_others_good(void **state)
{
	struct fixture *f = *state;
	struct seal_item items[BURST];
	struct iovec in[BURST];
	uint8_t tags[BURST][SEAL_TAG_BYTES];

	for (unsigned p = 0; p < f->paths.count; p++) {
		for (unsigned i = 0; i < BURST; i++) {
			in[i] = (struct iovec){f->plain + i * BURST_LEN, BURST_LEN};
			items[i] = item_of(f, &in[i], 1, f->want + i * BURST_LEN, tags[i]);
			items[i].nonce[0] = (uint8_t)i;
		}
		assert_int_equal(seal_burst(f->paths.thread[p], f->key[p], items, BURST), BURST);
		tags[5][0] ^= 1;
		for (unsigned i = 0; i < BURST; i++) {
			in[i].iov_base = f->want + i * BURST_LEN;
			items[i].out = f->got + i * BURST_LEN;
			items[i].status = 77;
		}
		items[9].aad_len = 0;
		memset(items[9].out, GUARD, BURST_LEN);
		assert_int_equal(
			seal_open_burst(f->paths.thread[p], f->key[p], items, BURST), BURST - 2);
		for (unsigned i = 0; i < BURST; i++) {
			assert_int_equal(items[i].status,
				i == 5           ? SLK_BAD_TAG
					: i == 9 ? SLK_INVALID
						 : SLK_OK);
			if (i != 5 && i != 9)
				assert_memory_equal(
					items[i].out, f->plain + i * BURST_LEN, BURST_LEN);
		}
		assert_int_equal(items[5].out[0], 0);
		assert_int_equal(items[9].out[0], GUARD); /* an invalid item writes nothing */
	}
}

static void
expect_invalid(struct fixture *f, struct seal_item item)
{
	uint8_t before[4] = {GUARD, GUARD, GUARD, GUARD};

	for (unsigned p = 0; p < f->paths.count; p++) {
		memcpy(f->got, before, sizeof(before));
		item.status = 77;
		assert_int_equal(seal_burst(f->paths.thread[p], f->key[p], &item, 1), 0);
		assert_int_equal(item.status, SLK_INVALID);
		item.status = 77;
		assert_int_equal(seal_open_burst(f->paths.thread[p], f->key[p], &item, 1), 0);
		assert_int_equal(item.status, SLK_INVALID);
		assert_memory_equal(f->got, before, sizeof(before));
	}
}

static void
invalid_items_are_refused_before_anything_is_written(void **state)
{
	struct fixture *f = *state;
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in = {f->plain, 64};
	struct iovec null_in = {NULL, 64};
	struct iovec huge = {f->plain, (size_t)INT32_MAX + 1};
	struct iovec huge_sum[2] = {{f->plain, INT32_MAX}, {f->plain, 1}};
	struct iovec pieces[2] = {{f->plain, 32}, {f->plain, 32}};
	struct iovec null_piece[2] = {{f->plain, 32}, {NULL, 32}};
	struct seal_item item;

	item = item_of(f, &in, 1, f->got, tag);
	item.aad_len = 0;
	expect_invalid(f, item);
	item.aad_len = (uint32_t)INT32_MAX + 1;
	expect_invalid(f, item);
	item = item_of(f, &in, 1, f->got, tag);
	item.aad = NULL;
	expect_invalid(f, item);
	expect_invalid(f, item_of(f, &in, 1, f->got, NULL));
	expect_invalid(f, item_of(f, &in, 1, NULL, tag));
	expect_invalid(f, item_of(f, pieces, 2, NULL, tag));
	expect_invalid(f, item_of(f, NULL, 2, f->got, tag));
	expect_invalid(f, item_of(f, NULL, 1, f->got, tag));
	expect_invalid(f, item_of(f, &null_in, 1, f->got, tag));
	expect_invalid(f, item_of(f, &huge, 1, f->got, tag));
	expect_invalid(f, item_of(f, huge_sum, 2, f->got, tag));
	expect_invalid(f, item_of(f, null_piece, 2, f->got, tag));
}

static void
an_empty_payload_has_a_tag_with_or_without_pieces(void **state)
{
	struct fixture *f = *state;
	struct iovec null_piece[3] = {{NULL, 0}, {f->plain, 0}, {NULL, 0}};
	uint8_t want[SEAL_TAG_BYTES];
	uint8_t tag[SEAL_TAG_BYTES];

	struct seal_item ref = item_of(f, null_piece, 1, NULL, want);
	seal_ok(f, 0, &ref);
	for (unsigned p = 0; p < f->paths.count; p++) {
		for (uint32_t n = 0; n <= 3; n++) {
			struct seal_item item = item_of(f, n > 0 ? null_piece : NULL, n, NULL, tag);
			seal_ok(f, p, &item);
			assert_memory_equal(tag, want, sizeof(tag));
			open_ok(f, p, &item);
			tag[0] ^= 0x80;
			assert_int_equal(
				seal_open_burst(f->paths.thread[p], f->key[p], &item, 1), 0);
			assert_int_equal(item.status, SLK_BAD_TAG);
		}
	}
}

static void
an_empty_burst_does_nothing(void **state)
{
	struct fixture *f = *state;

	for (unsigned p = 0; p < f->paths.count; p++) {
		assert_int_equal(seal_burst(f->paths.thread[p], f->key[p], NULL, 0), 0);
		assert_int_equal(seal_open_burst(f->paths.thread[p], f->key[p], NULL, 0), 0);
	}
}

static void
a_key_of_another_engine_is_refused(void **state)
{
	struct fixture *f = *state;
	struct iovec in = {f->plain, 64};
	uint8_t tag[SEAL_TAG_BYTES];

	if (f->paths.count < 2)
		skip();
	struct seal_item item = item_of(f, &in, 1, f->got, tag);
	f->got[0] = GUARD;
	assert_int_equal(seal_burst(f->paths.thread[0], f->key[1], &item, 1), 0);
	assert_int_equal(item.status, SLK_INVALID);
	item.status = 77;
	assert_int_equal(seal_open_burst(f->paths.thread[1], f->key[0], &item, 1), 0);
	assert_int_equal(item.status, SLK_INVALID);
	assert_int_equal(f->got[0], GUARD);
}

#define EDGE_BYTES 4096u

/* A page with nothing behind it. */
static uint8_t *
edge_new(void)
{
	uint8_t *p = mmap(
		NULL, 2 * EDGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(p != MAP_FAILED);
	assert_int_equal(mprotect(p + EDGE_BYTES, EDGE_BYTES, PROT_NONE), 0);
	return p;
}

/* Wide code that reads or writes past an end by one vector would fault. */
static void
nothing_beyond_the_end_of_a_buffer_is_touched(void **state)
{
	struct fixture *f = *state;
	uint8_t *in_edge = edge_new();
	uint8_t *out_edge = edge_new();
	uint8_t *aad_edge = edge_new();
	uint8_t *tag_edge = edge_new();
	uint8_t *tag = tag_edge + EDGE_BYTES - SEAL_TAG_BYTES;

	for (size_t len = 0; len <= 1100; len++) {
		struct iovec in = {in_edge + EDGE_BYTES - len, len};
		struct iovec cut[2] = {
			{in.iov_base, len / 3}, {(uint8_t *)in.iov_base + len / 3, len - len / 3}};
		uint32_t aad_len = 1 + (uint32_t)len % AAD_BYTES;
		for (unsigned p = 0; p < f->paths.count; p++) {
			for (uint32_t n = 1; n <= 2; n++) {
				struct seal_item item = item_of(
					f, n == 1 ? &in : cut, n, out_edge + EDGE_BYTES - len, tag);
				item.aad = aad_edge + EDGE_BYTES - aad_len;
				item.aad_len = aad_len;
				seal_ok(f, p, &item);
				item.in = &(struct iovec){item.out, len};
				item.in_count = 1;
				open_ok(f, p, &item);
				assert_memory_equal(item.out, in.iov_base, len);
			}
		}
	}
	uint8_t *edges[] = {in_edge, out_edge, aad_edge, tag_edge};
	for (unsigned i = 0; i < 4; i++)
		munmap(edges[i], 2 * EDGE_BYTES);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engines_agree_at_every_length_to_4096),
		cmocka_unit_test(engines_agree_at_random_lengths_to_1_mib),
		cmocka_unit_test(engines_agree_for_every_key_length_and_odd_aad),
		cmocka_unit_test(each_flipped_bit_of_header_tag_and_ciphertext_is_refused),
		cmocka_unit_test(a_bad_tag_in_place_leaves_no_plaintext),
		cmocka_unit_test(another_nonce_or_key_opens_nothing),
		cmocka_unit_test(one_bad_item_leaves_the_others_good),
		cmocka_unit_test(invalid_items_are_refused_before_anything_is_written),
		cmocka_unit_test(an_empty_payload_has_a_tag_with_or_without_pieces),
		cmocka_unit_test(an_empty_burst_does_nothing),
		cmocka_unit_test(nothing_beyond_the_end_of_a_buffer_is_touched),
		cmocka_unit_test(a_key_of_another_engine_is_refused),
	};

	return cmocka_run_group_tests_name("seal_burst", tests, setup, teardown);
}
