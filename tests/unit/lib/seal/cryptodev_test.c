/* DPDK's crypto devices as an engine: agreement with OpenSSL's, tampering, operations that come back in another order, late, or
 * never. The order is a device callback's doing, which stands between the driver and the engine. */
#include <rte_cryptodev.h>
#include <rte_dev.h>
#include <rte_eal.h>

#include "every_engine.h"
#include "seal/cryptodev.h"

#define LEN_MAX 400000u
#define AAD_BYTES 64u
#define BURST 100u
#define KEYS 16u

static const char *const devices[] = {"crypto_aesni_gcm0", "crypto_openssl0"};
#define DEVICES 2u

struct fixture {
	struct seal_cryptodev *device[DEVICES];
	struct seal_thread *thread[DEVICES], *reference;
	struct seal_key *key[DEVICES], *reference_key;
	uint8_t raw[SEAL_KEY_BYTES];
	uint8_t aad[AAD_BYTES];
	uint8_t *plain, *want, *got;
	uint64_t seed;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct slk_error err = {0};

	assert_non_null(f);
	f->seed = 7;
	fill_random(&f->seed, f->raw, sizeof(f->raw));
	fill_random(&f->seed, f->aad, sizeof(f->aad));
	for (unsigned i = 0; i < DEVICES; i++) {
		if (seal_cryptodev_new(devices[i], 2, KEYS, &f->device[i], &err) != SLK_OK)
			fail_msg("%s", err.text);
		if (seal_cryptodev_thread_new(f->device[i], &f->thread[i], &err) != SLK_OK)
			fail_msg("%s", err.text);
		assert_string_equal(seal_thread_engine(f->thread[i]), devices[i]);
		assert_ok(seal_key_new(f->thread[i], f->raw, sizeof(f->raw), &f->key[i]));
	}
	assert_ok(seal_thread_new("openssl", &f->reference, &err));
	assert_ok(seal_key_new(f->reference, f->raw, sizeof(f->raw), &f->reference_key));
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

	for (unsigned i = 0; i < DEVICES; i++) {
		seal_key_free(f->key[i]);
		seal_thread_free(f->thread[i]);
		seal_cryptodev_free(f->device[i]);
	}
	seal_key_free(f->reference_key);
	seal_thread_free(f->reference);
	free(f->plain);
	free(f->want);
	free(f->got);
	free(f);
	return 0;
}

static struct seal_item
item_of(struct fixture *f, const struct iovec *in, uint32_t in_count, uint8_t *out, uint8_t *tag,
	uint64_t number)
{
	struct seal_item item = {.in = in,
		.in_count = in_count,
		.status = 1,
		.out = out,
		.aad = f->aad,
		.aad_len = AAD_BYTES,
		.tag = tag};

	memcpy(item.nonce + 4, &number, sizeof(number));
	return item;
}

static void
check_agrees(struct fixture *f, unsigned device, size_t len, uint32_t pieces)
{
	uint8_t want_tag[SEAL_TAG_BYTES], tag[SEAL_TAG_BYTES] = {0};
	struct iovec whole = {f->plain, len};
	struct iovec cut[200];

	struct seal_item reference = item_of(f, &whole, 1, f->want, want_tag, len);
	assert_int_equal(seal_burst(f->reference, f->reference_key, &reference, 1), 1);

	if (pieces > 1)
		pieces = cut_random(&f->seed, f->plain, len, cut, pieces);
	else
		cut[0] = whole;
	struct seal_item item = item_of(f, cut, pieces, f->got, tag, len);
	assert_int_equal(seal_burst(f->thread[device], f->key[device], &item, 1), 1);
	assert_ok(item.status);
	assert_memory_equal(tag, want_tag, sizeof(tag));
	if (len > 0)
		assert_memory_equal(f->got, f->want, len);

	/* In place, and back. */
	struct iovec here = {f->got, len};
	struct seal_item back = item_of(f, &here, 1, f->got, tag, len);
	assert_int_equal(seal_open_burst(f->thread[device], f->key[device], &back, 1), 1);
	if (len > 0)
		assert_memory_equal(f->got, f->plain, len);
}

static void
each_device_agrees_with_openssl(void **state)
{
	static const size_t lengths[] = {
		0, 1, 15, 16, 17, 511, 4096, 65519, 65535, 65536, 65537, 131070, 131071, LEN_MAX};

	for (unsigned device = 0; device < DEVICES; device++) {
		for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			check_agrees(*state, device, lengths[i], 1);
			check_agrees(*state, device, lengths[i], 9);
			check_agrees(*state, device, lengths[i], 200);
		}
	}
}

/* --- a burst whose operations are turned over on their way back --- */

enum trick { NO_TRICK, REVERSE, HOLD_BACK, KEEP };

struct tricks {
	enum trick trick;
	struct rte_crypto_op *held[256];
	unsigned held_count, reversals, holds;
};

static void
reverse(struct rte_crypto_op **ops, uint16_t n)
{
	for (uint16_t i = 0; i < n / 2; i++) {
		struct rte_crypto_op *op = ops[i];
		ops[i] = ops[n - 1 - i];
		ops[n - 1 - i] = op;
	}
}

/* Every other operation stays here until a turn brings nothing else. */
static uint16_t
hold_back(struct tricks *t, struct rte_crypto_op **ops, uint16_t n)
{
	uint16_t left = 0;

	if (n == 0) {
		while (t->held_count > 0 && left < 32)
			ops[left++] = t->held[--t->held_count];
		return left;
	}
	for (uint16_t i = 0; i < n; i++) {
		if (i % 2 == 0) {
			t->held[t->held_count++] = ops[i];
			t->holds++;
		} else {
			ops[left++] = ops[i];
		}
	}
	return left;
}

static uint16_t
on_dequeue(uint16_t device, uint16_t queue, struct rte_crypto_op **ops, uint16_t n, void *arg)
{
	struct tricks *t = arg;

	(void)device;
	(void)queue;
	if (t->trick == REVERSE) {
		t->reversals += n > 1;
		reverse(ops, n);
	} else if (t->trick == HOLD_BACK) {
		n = hold_back(t, ops, n);
	} else if (t->trick == KEEP && n > 0) {
		n--;
	}
	return n;
}

struct burst {
	struct seal_item items[BURST];
	struct iovec in[BURST];
	uint8_t tags[BURST][SEAL_TAG_BYTES];
	uint8_t want_tags[BURST][SEAL_TAG_BYTES];
};

/* Items of all lengths, between them two that are wrong. */
static void
make_burst(struct fixture *f, struct burst *b, uint8_t *out, uint8_t (*tags)[SEAL_TAG_BYTES])
{
	size_t at = 0;

	for (unsigned i = 0; i < BURST; i++) {
		size_t len = i * 37 % 3000;
		b->in[i] = (struct iovec){f->plain + at, len};
		b->items[i] = item_of(f, &b->in[i], 1, out + at, tags[i], i);
		at += len;
	}
	b->items[10].aad_len = 0;
	b->items[50].tag = NULL;
	assert_true(at < LEN_MAX);
}

static void
check_burst(struct fixture *f, unsigned device, struct burst *b)
{
	memset(f->got, 0, LEN_MAX);
	memset(f->want, 0, LEN_MAX);
	make_burst(f, b, f->want, b->want_tags);
	assert_int_equal(seal_burst(f->reference, f->reference_key, b->items, BURST), BURST - 2);
	make_burst(f, b, f->got, b->tags);
	assert_int_equal(seal_burst(f->thread[device], f->key[device], b->items, BURST), BURST - 2);
	for (unsigned i = 0; i < BURST; i++) {
		if (i == 10 || i == 50) {
			assert_int_equal(b->items[i].status, SLK_INVALID);
			continue;
		}
		assert_ok(b->items[i].status);
		assert_memory_equal(b->tags[i], b->want_tags[i], SEAL_TAG_BYTES);
	}
	assert_memory_equal(f->got, f->want, LEN_MAX);
}

static void
with_tricks(struct fixture *f, struct tricks *t, void (*check)(struct fixture *f, unsigned device))
{
	for (unsigned device = 0; device < DEVICES; device++) {
		int id = rte_cryptodev_get_dev_id(devices[device]);
		struct rte_cryptodev_cb *cb =
			rte_cryptodev_add_deq_callback((uint8_t)id, 0, on_dequeue, t);
		assert_non_null(cb);
		check(f, device);
		assert_int_equal(rte_cryptodev_remove_deq_callback((uint8_t)id, 0, cb), 0);
	}
}

static void
run_burst(struct fixture *f, unsigned device)
{
	struct burst *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	check_burst(f, device, b);
	free(b);
}

static void
operations_may_come_back_in_another_order(void **state)
{
	struct tricks t = {.trick = NO_TRICK};

	with_tricks(*state, &t, run_burst);
	t.trick = REVERSE;
	with_tricks(*state, &t, run_burst);
	t.trick = HOLD_BACK;
	with_tricks(*state, &t, run_burst);
	assert_int_equal(t.held_count, 0);
	assert_true(t.holds > 0);
}

static void
tamper(struct fixture *f, unsigned device)
{
	struct burst *b = calloc(1, sizeof(*b));
	uint8_t *opened = malloc(LEN_MAX);
	struct iovec in[BURST];
	size_t at = 0;

	assert_true(b != NULL && opened != NULL);
	make_burst(f, b, f->got, b->tags);
	assert_int_equal(seal_burst(f->thread[device], f->key[device], b->items, BURST), BURST - 2);
	b->items[10] = b->items[11];
	b->items[50] = b->items[51];
	memset(opened, 0x5a, LEN_MAX);
	for (unsigned i = 0; i < BURST; i++) {
		in[i] = (struct iovec){
			b->items[i].out, b->in[i == 10 || i == 50 ? i + 1 : i].iov_len};
		b->items[i].in = &in[i];
		b->items[i].out = opened + at;
		at += in[i].iov_len;
	}
	b->tags[20][0] ^= 1;
	((uint8_t *)in[70].iov_base)[in[70].iov_len - 1] ^= 0x80;
	b->items[90].nonce[11] ^= 1;
	assert_int_equal(
		seal_open_burst(f->thread[device], f->key[device], b->items, BURST), BURST - 3);
	for (unsigned i = 0; i < BURST; i++) {
		bool bad = i == 20 || i == 70 || i == 90;
		assert_int_equal(b->items[i].status, bad ? SLK_BAD_TAG : SLK_OK);
		for (size_t k = 0; bad && k < in[i].iov_len; k++)
			assert_int_equal(b->items[i].out[k], 0);
		if (!bad && in[i].iov_len > 0)
			assert_memory_equal(b->items[i].out,
				b->in[i == 10 || i == 50 ? i + 1 : i].iov_base, in[i].iov_len);
	}
	free(opened);
	free(b);
}

static void
tampered_items_are_found_in_any_order(void **state)
{
	struct tricks t = {.trick = REVERSE};

	with_tricks(*state, &t, tamper);
	t.trick = HOLD_BACK;
	with_tricks(*state, &t, tamper);
}

/* --- limits --- */

static void
what_does_not_fit_is_refused(void **state)
{
	struct fixture *f = *state;
	struct seal_cryptodev *device = NULL;
	struct seal_thread *second = NULL, *third = NULL;
	struct slk_error err = {0};

	assert_int_equal(seal_cryptodev_new("crypto_qat9", 1, 1, &device, &err), SLK_NOT_FOUND);
	assert_non_null(strstr(err.text, "crypto_aesni_gcm0"));
	assert_int_equal(seal_cryptodev_new("", 1, 1, &device, &err), SLK_NOT_FOUND);
	assert_int_equal(seal_cryptodev_new("crypto_null0", 1, 1, &device, &err), SLK_UNSUPPORTED);
	assert_null(device);

	assert_ok(seal_cryptodev_thread_new(f->device[0], &second, &err));
	assert_int_equal(seal_cryptodev_thread_new(f->device[0], &third, &err), SLK_LIMIT);
	assert_null(third);
	seal_thread_free(second);
}

static void
more_keys_than_there_is_room_for_seal_nothing(void **state)
{
	struct fixture *f = *state;
	struct seal_key *keys[4 * KEYS];
	uint8_t tag[SEAL_TAG_BYTES];
	struct iovec in = {f->plain, 100};
	unsigned good = 0;

	for (unsigned i = 0; i < 4 * KEYS; i++) {
		assert_ok(seal_key_new(f->thread[0], f->raw, sizeof(f->raw), &keys[i]));
		struct seal_item item = item_of(f, &in, 1, f->got, tag, i);
		good += seal_burst(f->thread[0], keys[i], &item, 1);
		assert_true(item.status == SLK_OK || item.status == SLK_INTERNAL);
	}
	assert_true(good >= KEYS && good < 4 * KEYS);
	for (unsigned i = 0; i < 4 * KEYS; i++)
		seal_key_free(keys[i]);
	/* And all of it is given back. */
	assert_ok(seal_key_new(f->thread[0], f->raw, sizeof(f->raw), &keys[0]));
	struct seal_item item = item_of(f, &in, 1, f->got, tag, 1);
	assert_int_equal(seal_burst(f->thread[0], keys[0], &item, 1), 1);
	seal_key_free(keys[0]);
}

static void
count_lost(void *arg)
{
	(*(unsigned *)arg)++;
}

/* The last test: the device is of no use afterwards. */
static void
a_device_that_keeps_an_operation_is_given_up(void **state)
{
	struct fixture *f = *state;
	struct tricks t = {.trick = KEEP};
	int id = rte_cryptodev_get_dev_id(devices[0]);
	struct rte_cryptodev_cb *cb =
		rte_cryptodev_add_deq_callback((uint8_t)id, 0, on_dequeue, &t);
	struct iovec in = {f->plain, 100};
	uint8_t tags[4][SEAL_TAG_BYTES];
	struct seal_item items[4];

	unsigned calls = 0;

	assert_non_null(cb);
	seal_cryptodev_on_lost(f->device[0], count_lost, &calls);
	for (unsigned i = 0; i < 4; i++)
		items[i] = item_of(f, &in, 1, f->got + i * 100, tags[i], i);
	assert_true(seal_burst(f->thread[0], f->key[0], items, 4) < 4);
	unsigned lost = 0;
	for (unsigned i = 0; i < 4; i++)
		lost += items[i].status == SLK_INTERNAL;
	assert_true(lost > 0);
	assert_int_equal(rte_cryptodev_remove_deq_callback((uint8_t)id, 0, cb), 0);

	struct seal_item again = item_of(f, &in, 1, f->got, tags[0], 9);
	assert_int_equal(seal_burst(f->thread[0], f->key[0], &again, 1), 0);
	assert_int_equal(again.status, SLK_INTERNAL);
	assert_int_equal(calls, 1);
}

int
main(void)
{
	static const char *const args[] = {"cryptodev_test", "--no-huge", "-m", "64", "--no-pci",
		"--no-telemetry", "--no-shconf", "--iova-mode=va", "--log-level=*:error"};
	char *argv[10] = {NULL};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_device_agrees_with_openssl),
		cmocka_unit_test(operations_may_come_back_in_another_order),
		cmocka_unit_test(tampered_items_are_found_in_any_order),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(more_keys_than_there_is_room_for_seal_nothing),
		cmocka_unit_test(a_device_that_keeps_an_operation_is_given_up),
	};

	for (unsigned i = 0; i < 9; i++)
		argv[i] = (char *)(uintptr_t)args[i];
	if (rte_eal_init(9, argv) < 0)
		return 1;
	return cmocka_run_group_tests_name("seal_cryptodev", tests, setup, teardown);
}
