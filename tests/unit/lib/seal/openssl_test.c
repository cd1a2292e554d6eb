/* The OpenSSL engine's contexts: a key's own are claimed and given back, the spare one keeps no
 * key. */
#include "every_engine.h"

/* White box: two threads inside one burst at once can't be had on demand. */
#include "seal/engine_openssl.c"

#define LEN 100u

struct fixture {
	struct seal_thread *thread;
	struct openssl_state *state;
	struct openssl_key *key;
	uint8_t plain[LEN];
	uint8_t out[LEN];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in;
	struct seal_item item;
};

static int
setup(void **state)
{
	static struct fixture f;
	struct seal_key *key = NULL;
	void *engine_state = NULL;
	uint8_t raw[SEAL_KEY_BYTES] = {7};

	assert_ok(state_new(&seal_engine_openssl, &engine_state, NULL));
	assert_ok(key_new(engine_state, raw, sizeof(raw), &key));
	f.state = engine_state;
	f.key = (struct openssl_key *)key;
	f.in = (struct iovec){f.plain, LEN};
	f.item = (struct seal_item){.in = &f.in,
		.in_count = 1,
		.out = f.out,
		.aad = f.plain,
		.aad_len = 5,
		.tag = f.tag};
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	key_free(&f->key->head);
	state_free(f->state);
	return 0;
}

/* Take or give back all contexts of the key, as other threads would. */
static void
take_all(struct fixture *f, bool take)
{
	for (unsigned i = 0; i < KEY_CONTEXTS; i++) {
		if (take)
			assert_false(atomic_flag_test_and_set(&f->key->slots[i].taken));
		else
			atomic_flag_clear(&f->key->slots[i].taken);
	}
}

static void
the_spare_context_seals_and_opens_as_the_keys_own_do(void **state)
{
	struct fixture *f = *state;
	uint8_t want[LEN];
	uint8_t want_tag[SEAL_TAG_BYTES];

	assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_SEAL, &f->item, 1), 1);
	memcpy(want, f->out, LEN);
	memcpy(want_tag, f->tag, sizeof(want_tag));
	take_all(f, true);
	for (unsigned i = 0; i < 3; i++) {
		memset(f->out, 0, LEN);
		assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_SEAL, &f->item, 1), 1);
		assert_memory_equal(f->out, want, LEN);
		assert_memory_equal(f->tag, want_tag, sizeof(want_tag));
		f->in.iov_base = f->out;
		assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_OPEN, &f->item, 1), 1);
		assert_memory_equal(f->out, f->plain, LEN);
		f->in.iov_base = f->plain;
	}
	take_all(f, false);
	take_all(f, true); /* no burst took or gave back what was not its own */
	take_all(f, false);
}

static void
the_spare_context_forgets_the_key_after_the_burst(void **state)
{
	struct fixture *f = *state;
	uint8_t zero_sealed[LEN];
	uint8_t zero_key[SEAL_KEY_BYTES] = {0};
	struct seal_key *zero = NULL;

	take_all(f, true);
	assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_SEAL, &f->item, 1), 1);
	take_all(f, false);
	f->item.status = seal_one(f->state->spare[f->key->index], &f->item);
	assert_int_equal(f->item.status, SLK_OK);
	memcpy(zero_sealed, f->out, LEN);
	assert_ok(key_new(f->state, zero_key, sizeof(zero_key), &zero));
	assert_int_equal(burst(f->state, zero, SEAL_DIR_SEAL, &f->item, 1), 1);
	assert_memory_equal(f->out, zero_sealed, LEN);
	key_free(zero);
}

static void
openssl_leaves_no_error_in_the_callers_queue(void **state)
{
	struct fixture *f = *state;

	ERR_clear_error();
	assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_SEAL, &f->item, 1), 1);
	f->tag[0] ^= 1;
	f->in.iov_base = f->out;
	assert_int_equal(burst(f->state, &f->key->head, SEAL_DIR_OPEN, &f->item, 1), 0);
	assert_int_equal(f->item.status, SLK_BAD_TAG);
	f->in.iov_base = f->plain;
	assert_int_equal(ERR_peek_error(), 0);
}

static void
a_context_that_fails_zeroes_its_output(void **state)
{
	struct fixture *f = *state;
	EVP_CIPHER_CTX *broken = EVP_CIPHER_CTX_new(); /* never keyed */

	assert_non_null(broken);
	for (unsigned dir = 0; dir < 2; dir++) {
		memset(f->out, 0xa5, LEN);
		assert_int_equal(run(broken, dir, &f->item), SLK_INTERNAL);
		for (unsigned i = 0; i < LEN; i++)
			assert_int_equal(f->out[i], 0);
	}
	EVP_CIPHER_CTX_free(broken);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_spare_context_seals_and_opens_as_the_keys_own_do),
		cmocka_unit_test(the_spare_context_forgets_the_key_after_the_burst),
		cmocka_unit_test(openssl_leaves_no_error_in_the_callers_queue),
		cmocka_unit_test(a_context_that_fails_zeroes_its_output),
	};

	return cmocka_run_group_tests_name("seal_openssl", tests, setup, teardown);
}
