/* Bodies for HTTP endpoints: golden bytes, every length around the chunks, compressed and not, with just the room that is kept. */
#include "slk_test.h"

#include <isa-l/igzip_lib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "http_body.h"

static struct dlv_pool *pool;
static struct dlv_batch batch;

static int
setup(void **state)
{
	(void)state;
	assert_ok(dlv_pool_new(64u << 20, false, &pool));
	batch = (struct dlv_batch){.id = "01234567-89ab-cdef-0123-456789abcdef",
		.planned_ns = 1578090901599ull * SLK_NS_PER_MS + 999999};
	dlv_buffer_init(&batch.body, pool);
	dlv_buffer_init(&batch.raw, pool);
	batch.entries = calloc(64, sizeof(*batch.entries));
	assert_non_null(batch.entries);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_buffer_fini(&batch.body);
	dlv_buffer_fini(&batch.raw);
	free(batch.entries);
	assert_int_equal(dlv_pool_used(pool), 0);
	dlv_pool_free(pool);
	return 0;
}

static void
put(const void *data, size_t len)
{
	batch.entries[batch.count++] =
		(struct dlv_entry){.offset = batch.raw.len, .len = (uint32_t)len};
	assert_ok(dlv_buffer_append(&batch.raw, slk_span(data, len)));
}

static void
make(bool gzip)
{
	struct http_body *body = NULL;
	size_t room = HTTP_BODY_EXTRA;

	for (size_t i = 0; i < batch.count; i++)
		room += http_body_record_max(batch.entries[i].len);
	dlv_buffer_cut(&batch.body, 0);
	assert_ok(dlv_buffer_reserve(&batch.body, room));
	assert_ok(http_body_new(pool, gzip, &body));
	assert_ok(http_body_make(body, &batch, NULL));
	assert_true(batch.body.len <= room);
	http_body_free(body);
}

static const char golden[] = "{\"requestId\":\"01234567-89ab-cdef-0123-456789abcdef\","
			     "\"timestamp\":1578090901599,\"records\":["
			     "{\"data\":\"\"},{\"data\":\"YQ==\"},{\"data\":\"YWI=\"},{\"data\":"
			     "\"YWJj\"},{\"data\":\"AP8K\"}]}";

static void
put_golden(void)
{
	put("", 0);
	put("a", 1);
	put("ab", 2);
	put("abc", 3);
	put("\x00\xff\n", 3);
}

static void
test_golden(void **state)
{
	(void)state;
	put_golden();
	for (unsigned i = 0; i < 2; i++) {
		make(false);
		assert_int_equal(batch.body.len, sizeof(golden) - 1);
		assert_memory_equal(batch.body.bytes, golden, sizeof(golden) - 1);
	}
}

static size_t
unpack(uint8_t *out, size_t cap)
{
	static struct inflate_state inflate;

	isal_inflate_init(&inflate);
	inflate.crc_flag = ISAL_GZIP;
	inflate.next_in = batch.body.bytes;
	inflate.avail_in = (uint32_t)batch.body.len;
	inflate.next_out = out;
	inflate.avail_out = (uint32_t)cap;
	assert_int_equal(isal_inflate(&inflate), ISAL_DECOMP_OK);
	assert_int_equal(inflate.block_state, ISAL_BLOCK_FINISH);
	assert_int_equal(inflate.avail_in, 0);
	return inflate.total_out;
}

static void
test_golden_compressed(void **state)
{
	uint8_t out[1024];

	(void)state;
	put_golden();
	for (unsigned i = 0; i < 2; i++) {
		make(true);
		assert_int_equal(unpack(out, sizeof(out)), sizeof(golden) - 1);
		assert_memory_equal(out, golden, sizeof(golden) - 1);
	}
}

/* Lengths around the pieces that are encoded at a time, of bytes that do not compress. */
static void
test_lengths(void **state)
{
	static const size_t lengths[] = {49151, 49152, 49153, 98303, 98304, 98305, 1000001};
	const size_t cap = 4u << 20;
	uint8_t *noise = malloc(1u << 20), *out = malloc(cap), *plain = malloc(cap);

	(void)state;
	assert_non_null(noise);
	assert_non_null(out);
	assert_non_null(plain);
	uint32_t x = 1;
	for (size_t i = 0; i < 1u << 20; i++)
		noise[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		put(noise, lengths[i]);
	make(false);
	size_t len = batch.body.len, at = 0;
	memcpy(plain, batch.body.bytes, len);
	for (size_t i = 0; i < batch.count; i++) {
		const char *data = memmem(plain + at, len - at, "{\"data\":\"", 9);
		assert_non_null(data);
		size_t chars = (lengths[i] + 2) / 3 * 4;
		assert_memory_equal(data + 9 + chars, "\"}", 2);
		assert_int_equal(
			EVP_DecodeBlock(out, (const uint8_t *)data + 9, (int)chars), chars / 4 * 3);
		assert_memory_equal(out, noise, lengths[i]);
		at = (size_t)((const uint8_t *)data - plain) + 9 + chars;
	}
	make(true);
	assert_int_equal(unpack(out, cap), len);
	assert_memory_equal(out, plain, len);
	free(noise);
	free(out);
	free(plain);
}

static void
test_without_room(void **state)
{
	struct http_body *body = NULL;
	struct slk_error err = {0};
	uint8_t *zeros = calloc(1, 4u << 20);

	(void)state;
	assert_non_null(zeros);
	put(zeros, 4u << 20);
	assert_ok(dlv_buffer_reserve(&batch.body, 1));
	assert_ok(http_body_new(pool, false, &body));
	assert_int_equal(http_body_make(body, &batch, &err), SLK_INTERNAL);
	http_body_free(body);
	/* An entry that is not within raw is our own mistake, and no overrun. */
	batch.entries[0].len++;
	assert_ok(dlv_buffer_reserve(&batch.body, 6u << 20));
	assert_ok(http_body_new(pool, false, &body));
	assert_int_equal(http_body_make(body, &batch, &err), SLK_INTERNAL);
	http_body_free(body);
	free(zeros);
}

static void
test_without_memory(void **state)
{
	struct dlv_pool *small = NULL;
	struct http_body *body = NULL;

	(void)state;
	assert_ok(dlv_pool_new(65536, false, &small));
	assert_int_equal(http_body_new(small, true, &body), SLK_LIMIT);
	assert_null(body);
	assert_ok(http_body_new(small, false, &body));
	http_body_free(body);
	http_body_free(NULL);
	dlv_pool_free(small);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, setup, teardown),
		cmocka_unit_test_setup_teardown(test_golden_compressed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without_memory, setup, teardown),
	};

	return cmocka_run_group_tests_name("delivery_http_body", tests, NULL, NULL);
}
