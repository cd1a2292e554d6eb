/* SHA-256 of many inputs at once is that of each alone, whoever does it. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "seal/digest.h"

#define BYTES 200000u

static uint8_t *data;
static struct seal_digest *digest;

static int
setup(void **state)
{
	(void)state;
	data = malloc(BYTES);
	assert_non_null(data);
	for (unsigned i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 9));
	assert_ok(seal_digest_new(&digest));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	seal_digest_free(digest);
	free(data);
	return 0;
}

static void
check(const struct slk_span *in, unsigned count)
{
	uint8_t many[SEAL_DIGEST_MANY][SEAL_SHA256_BYTES], one[SEAL_SHA256_BYTES];

	memset(many, 0, sizeof(many));
	assert_ok(seal_digest_many(digest, in, count, many));
	for (unsigned i = 0; i < count; i++) {
		assert_ok(seal_digest_one(digest, in[i], one));
		assert_memory_equal(many[i], one, sizeof(one));
	}
}

/* Each length around a boundary, of the hash's blocks and of what a job takes, at each place among the others. */
static void
many_are_what_each_is_alone(void **state)
{
	(void)state;
	static const size_t lengths[] = {0, 1, 55, 56, 63, 64, 65, 119, 120, 4096, 65119, 65534,
		65535, 65536, 65537, 131072};
	const unsigned kinds = sizeof(lengths) / sizeof(lengths[0]);
	struct slk_span in[SEAL_DIGEST_MANY];

	for (unsigned count = 1; count <= SEAL_DIGEST_MANY; count++) {
		for (unsigned i = 0; i < count; i++)
			in[i] = slk_span(data + i, lengths[(i + count) % kinds]);
		check(in, count);
	}
	for (unsigned k = 0; k < kinds; k++) {
		for (unsigned i = 0; i < SEAL_DIGEST_MANY; i++)
			in[i] = slk_span(data + 3 * i, lengths[k]);
		check(in, SEAL_DIGEST_MANY);
	}
	assert_int_equal(seal_digest_many(digest, in, SEAL_DIGEST_MANY + 1, NULL), SLK_RANGE);
}

/* FIPS 180-4: "abc". */
static void
the_published_value_comes_out(void **state)
{
	(void)state;
	static const uint8_t want[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41,
		0x40, 0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
		0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	struct slk_span in[8];
	uint8_t out[8][SEAL_SHA256_BYTES];

	for (unsigned i = 0; i < 8; i++)
		in[i] = slk_span("abc", 3);
	assert_ok(seal_digest_many(digest, in, 8, out));
	for (unsigned i = 0; i < 8; i++)
		assert_memory_equal(out[i], want, sizeof(want));
}

/* The running hash does not notice. */
static void
the_running_hash_goes_on(void **state)
{
	(void)state;
	struct slk_span in[8];
	uint8_t out[8][SEAL_SHA256_BYTES], running[SEAL_SHA256_BYTES], whole[SEAL_SHA256_BYTES];

	for (unsigned i = 0; i < 8; i++)
		in[i] = slk_span(data, 1000 + i);
	assert_ok(seal_digest_begin(digest));
	assert_ok(seal_digest_update(digest, slk_span(data, 500)));
	assert_ok(seal_digest_many(digest, in, 8, out));
	assert_ok(seal_digest_update(digest, slk_span(data + 500, 500)));
	assert_ok(seal_digest_value(digest, running));
	assert_ok(seal_digest_one(digest, slk_span(data, 1000), whole));
	assert_memory_equal(running, whole, sizeof(whole));
	assert_memory_equal(running, out[0], sizeof(whole));
	print_message("many at once: by %s\n", seal_digest_many_name(digest));
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(many_are_what_each_is_alone),
		T(the_published_value_comes_out),
		T(the_running_hash_goes_on),
	};

	return cmocka_run_group_tests_name("seal_digest", tests, NULL, NULL);
}
