/* Epochs: derivation against constants from an independent HKDF (Python's hmac, RFC 5869), and
 * limits that hold. */
#include "slk_test.h"

#include "base/bytes.h"

/* White box: the counter cannot be brought to 2^32 by counting. */
#include "seal/epoch.c"

struct golden {
	const char *data_key;
	uint64_t epoch;
	uint64_t stream;
	const char *key;
	const char *commitment;
};

static const struct golden goldens[] = {
	{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1, 2,
		"f1188c306267426b50f2ee151d50ab6031669b385d305c310642f7219fcbdfc9",
		"bdcfbd4821f48fbc25748dd6de00ab9543754f171f6552f8bd852e39ef8083b0"},
	{"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 0x1122334455667788,
		0x99aabbccddeeff00,
		"c0f8dbb9e6fdb6219b8c53dbf804b7068f38813838ad0bb8e2181ec2477eece5",
		"991575a9e09ef5ad35f2c0381d19fdc013e95df23d79288018dbe76dfb303424"},
	{"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0, 0,
		"f873a81395dd54e07bfc6bd02703a9f0916d3cc409e7d012da3d97ff94d69286",
		"58acc7779abd16f492645757267e9baf93b625aea0646bc50f5fc81d02d1e6b1"},
};

static struct slk_secret *
secret_of(const char *hex)
{
	uint8_t bytes[SEAL_KEY_BYTES];
	struct slk_secret *s = NULL;

	assert_ok(slk_unhex(hex, bytes, sizeof(bytes)));
	assert_ok(slk_secret_from(bytes, sizeof(bytes), &s));
	return s;
}

static void
derivation_gives_the_golden_values(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
		const struct golden *g = &goldens[i];
		uint8_t commitment[SEAL_COMMITMENT_BYTES];
		uint8_t want[32];
		struct slk_secret *data_key = secret_of(g->data_key);
		struct slk_secret *key = NULL;

		assert_ok(seal_epoch_derive(data_key, g->epoch, g->stream, &key, commitment));
		assert_int_equal(slk_secret_len(key), SEAL_KEY_BYTES);
		assert_ok(slk_unhex(g->key, want, sizeof(want)));
		assert_memory_equal(slk_secret_peek(key), want, sizeof(want));
		assert_ok(slk_unhex(g->commitment, want, sizeof(want)));
		assert_memory_equal(commitment, want, sizeof(want));
		slk_secret_free(key);
		slk_secret_free(data_key);
	}
}

static void
derivation_refuses_a_data_key_of_another_length(void **state)
{
	uint8_t commitment[SEAL_COMMITMENT_BYTES] = {0xa5};
	struct slk_secret *data_key = NULL;
	struct slk_secret *key = NULL;

	(void)state;
	for (size_t len = 1; len <= 64; len++) {
		if (len == SEAL_KEY_BYTES)
			continue;
		assert_ok(slk_secret_new(len, &data_key));
		assert_int_equal(seal_epoch_derive(data_key, 1, 1, &key, commitment), SLK_INVALID);
		assert_null(key);
		assert_int_equal(commitment[0], 0xa5);
		slk_secret_free(data_key);
	}
}

static void
one_data_key_never_gives_two_epochs_or_streams_one_key(void **state)
{
	struct slk_secret *data_key = secret_of(goldens[0].data_key);
	struct slk_secret *key[3] = {NULL};
	uint8_t commitment[3][SEAL_COMMITMENT_BYTES];

	(void)state;
	assert_ok(seal_epoch_derive(data_key, 7, 8, &key[0], commitment[0]));
	assert_ok(seal_epoch_derive(data_key, 8, 7, &key[1], commitment[1]));
	assert_ok(seal_epoch_derive(data_key, 7, 9, &key[2], commitment[2]));
	for (unsigned i = 0; i < 3; i++) {
		unsigned j = (i + 1) % 3;
		assert_memory_not_equal(
			slk_secret_peek(key[i]), slk_secret_peek(key[j]), SEAL_KEY_BYTES);
		assert_memory_not_equal(commitment[i], commitment[j], SEAL_COMMITMENT_BYTES);
		assert_memory_not_equal(commitment[i], slk_secret_peek(key[i]), SEAL_KEY_BYTES);
	}
	for (unsigned i = 0; i < 3; i++)
		slk_secret_free(key[i]);
	slk_secret_free(data_key);
}

static void
the_nonce_is_32_zero_bits_and_the_block_number_big_endian(void **state)
{
	static const uint8_t want[SEAL_NONCE_BYTES] = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8};
	uint8_t nonce[SEAL_NONCE_BYTES];

	(void)state;
	seal_nonce(0x0102030405060708, nonce);
	assert_memory_equal(nonce, want, sizeof(want));
	seal_nonce(0, nonce);
	for (unsigned i = 0; i < sizeof(nonce); i++)
		assert_int_equal(nonce[i], 0);
}

struct fixture {
	struct seal_thread *thread;
	struct slk_secret *data_key;
};

static int
setup(void **state)
{
	static struct fixture f;

	f.data_key = secret_of(goldens[0].data_key);
	assert_ok(seal_thread_new(NULL, &f.thread, NULL));
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	slk_secret_free(f->data_key);
	seal_thread_free(f->thread);
	return 0;
}

static struct seal_epoch *
epoch_of(const struct fixture *f, uint64_t max_blocks, uint64_t max_bytes)
{
	struct seal_epoch *e = NULL;

	assert_ok(seal_epoch_new(f->thread, f->data_key, 1, 2, max_blocks, max_bytes, &e));
	assert_non_null(e);
	return e;
}

static void
an_epoch_knows_its_ids_and_starts_at_block_0(void **state)
{
	struct seal_epoch *e = epoch_of(*state, 0, 0);
	uint8_t want[32];
	uint64_t block = 99;

	assert_ok(slk_unhex(goldens[0].commitment, want, sizeof(want)));
	assert_memory_equal(seal_epoch_commitment(e), want, sizeof(want));
	assert_int_equal(seal_epoch_id(e), 1);
	assert_int_equal(seal_epoch_stream(e), 2);
	assert_int_equal(seal_epoch_blocks(e), 0);
	assert_int_equal(seal_epoch_bytes(e), 0);
	assert_ok(seal_epoch_take(e, 1000, &block));
	assert_int_equal(block, 0);
	assert_ok(seal_epoch_take(e, 24, &block));
	assert_int_equal(block, 1);
	assert_int_equal(seal_epoch_blocks(e), 2);
	assert_int_equal(seal_epoch_bytes(e), 1024);
	seal_epoch_free(e);
}

static void
the_epoch_key_is_the_derived_one(void **state)
{
	const struct fixture *f = *state;
	struct seal_epoch *e = epoch_of(f, 0, 0);
	uint8_t raw[SEAL_KEY_BYTES];
	uint8_t out[2][8];
	uint8_t tag[2][SEAL_TAG_BYTES];
	struct iovec in = {(void *)"a record", 8};
	struct seal_item item = {.in = &in, .in_count = 1, .aad = raw, .aad_len = 4};
	struct seal_key *key = NULL;

	assert_ok(slk_unhex(goldens[0].key, raw, sizeof(raw)));
	assert_ok(seal_key_new(f->thread, raw, sizeof(raw), &key));
	seal_nonce(0, item.nonce);
	for (unsigned i = 0; i < 2; i++) {
		item.out = out[i];
		item.tag = tag[i];
		assert_int_equal(
			seal_burst(f->thread, i == 0 ? key : seal_epoch_key(e), &item, 1), 1);
	}
	assert_memory_equal(out[0], out[1], 8);
	assert_memory_equal(tag[0], tag[1], SEAL_TAG_BYTES);
	seal_key_free(key);
	seal_epoch_free(e);
}

/* Refused, for good, and without touching anything. */
static void
assert_exhausted(struct seal_epoch *e, uint64_t len)
{
	uint64_t blocks = seal_epoch_blocks(e);
	uint64_t bytes = seal_epoch_bytes(e);
	uint64_t block = 0xdead;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(seal_epoch_take(e, i == 0 ? len : 0, &block), SLK_KEY_EXHAUSTED);
		assert_int_equal(block, 0xdead);
		assert_int_equal(seal_epoch_blocks(e), blocks);
		assert_int_equal(seal_epoch_bytes(e), bytes);
	}
}

static void
an_epoch_stops_at_its_cap_of_blocks(void **state)
{
	struct seal_epoch *e = epoch_of(*state, 3, 0);
	uint64_t block = 0;

	for (unsigned i = 0; i < 3; i++) {
		assert_ok(seal_epoch_take(e, 1, &block));
		assert_int_equal(block, i);
	}
	assert_exhausted(e, 1);
	seal_epoch_free(e);
}

static void
an_epoch_stops_at_its_cap_of_bytes(void **state)
{
	struct seal_epoch *e = epoch_of(*state, 0, 100);
	uint64_t block = 0;

	assert_ok(seal_epoch_take(e, 60, &block));
	assert_ok(seal_epoch_take(e, 40, &block));
	assert_int_equal(block, 1);
	assert_exhausted(e, 1);
	seal_epoch_free(e);

	e = epoch_of(*state, 0, 100);
	assert_ok(seal_epoch_take(e, 60, &block));
	assert_exhausted(e, 41); /* and then not even an empty block */
	seal_epoch_free(e);

	e = epoch_of(*state, 0, 100);
	assert_exhausted(e, UINT64_MAX);
	seal_epoch_free(e);
}

static void
no_epoch_goes_beyond_2_to_the_32_blocks(void **state)
{
	struct seal_epoch *e = epoch_of(*state, 0, 0);
	uint64_t block = 0;

	e->blocks = (1ull << 32) - 1;
	assert_ok(seal_epoch_take(e, 1, &block));
	assert_true(block == UINT32_MAX);
	assert_exhausted(e, 1);
	seal_epoch_free(e);
}

static void
no_epoch_goes_beyond_1_tib(void **state)
{
	struct seal_epoch *e = epoch_of(*state, 0, 0);
	uint64_t block = 0;

	e->bytes = (1ull << 40) - 4096;
	assert_ok(seal_epoch_take(e, 4096, &block));
	assert_exhausted(e, 1);
	seal_epoch_free(e);
}

static void
wider_limits_than_the_maxima_are_refused(void **state)
{
	const struct fixture *f = *state;
	struct seal_epoch *e = NULL;

	assert_int_equal(
		seal_epoch_new(f->thread, f->data_key, 1, 2, (1ull << 32) + 1, 0, &e), SLK_RANGE);
	assert_int_equal(
		seal_epoch_new(f->thread, f->data_key, 1, 2, 0, (1ull << 40) + 1, &e), SLK_RANGE);
	assert_null(e);
	assert_ok(seal_epoch_new(f->thread, f->data_key, 1, 2, 1ull << 32, 1ull << 40, &e));
	seal_epoch_free(e);
	seal_epoch_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(derivation_gives_the_golden_values),
		cmocka_unit_test(derivation_refuses_a_data_key_of_another_length),
		cmocka_unit_test(one_data_key_never_gives_two_epochs_or_streams_one_key),
		cmocka_unit_test(the_nonce_is_32_zero_bits_and_the_block_number_big_endian),
		cmocka_unit_test(an_epoch_knows_its_ids_and_starts_at_block_0),
		cmocka_unit_test(the_epoch_key_is_the_derived_one),
		cmocka_unit_test(an_epoch_stops_at_its_cap_of_blocks),
		cmocka_unit_test(an_epoch_stops_at_its_cap_of_bytes),
		cmocka_unit_test(no_epoch_goes_beyond_2_to_the_32_blocks),
		cmocka_unit_test(no_epoch_goes_beyond_1_tib),
		cmocka_unit_test(wider_limits_than_the_maxima_are_refused),
	};

	return cmocka_run_group_tests_name("seal_epoch", tests, setup, teardown);
}
