/* Compressed content comes out whole however it is cut, and what is damaged is found. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef CLI_HAVE_ZSTD
#include <zstd.h>
#endif

#include "expand.h"

#define LEN 700000u

struct taken {
	uint8_t *bytes;
	size_t len;
	int status; /* what the sink says */
};

static int
take(void *arg, struct slk_span bytes, struct slk_error *err)
{
	struct taken *t = arg;

	if (t->status != SLK_OK)
		return slk_fail(err, t->status, "the sink is full");
	assert_true(t->len + bytes.len <= 2 * LEN);
	memcpy(t->bytes + t->len, bytes.ptr, bytes.len);
	t->len += bytes.len;
	return SLK_OK;
}

static uint8_t *
content(void)
{
	uint8_t *c = malloc(LEN);

	assert_non_null(c);
	for (size_t i = 0; i < LEN; i++)
		c[i] = (uint8_t)(i % 251 + i / 4096);
	memset(c + LEN / 2, 'a', LEN / 4); /* much out of little in */
	return c;
}

static size_t
gzip_of(const uint8_t *in, uint8_t *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
		.avail_in = LEN,
		.next_out = out,
		.avail_out = (uInt)cap};

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(deflateEnd(&z), Z_OK);
	return z.total_out;
}

static int
expand(struct taken *t, struct slk_span in, size_t piece, struct slk_error *err)
{
	struct cli_expand *x = NULL;
	int rc = SLK_OK;

	t->len = 0;
	assert_ok(cli_expand_new(take, t, &x, err));
	for (size_t at = 0; rc == SLK_OK && at < in.len; at += piece)
		rc = cli_expand_put(
			x, slk_span(in.ptr + at, in.len - at < piece ? in.len - at : piece), err);
	if (rc == SLK_OK)
		rc = cli_expand_end(x, err);
	cli_expand_free(x);
	return rc;
}

static void
check_all(const uint8_t *want, struct slk_span one, struct slk_span two)
{
	static const size_t pieces[] = {18, 1000, 65536, 4u << 20};
	struct taken t = {.bytes = malloc(2 * LEN)};
	struct slk_error err = {0};

	assert_non_null(t.bytes);
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		assert_ok(expand(&t, one, pieces[i], &err));
		assert_int_equal(t.len, LEN);
		assert_memory_equal(t.bytes, want, LEN);
		assert_ok(expand(&t, two, pieces[i], &err));
		assert_int_equal(t.len, 2 * LEN);
		assert_memory_equal(t.bytes + LEN, want, LEN);
		for (size_t cut = 1; cut < 20; cut++)
			assert_int_equal(
				expand(&t, slk_span(one.ptr, one.len - cut), pieces[i], &err),
				SLK_TRUNCATED);
	}
	t.status = SLK_DISK_FULL;
	assert_int_equal(expand(&t, one, 65536, &err), SLK_DISK_FULL);
	assert_string_equal(err.text, "the sink is full");
	free(t.bytes);
}

static void
gzip_comes_out_whole(void **state)
{
	(void)state;
	uint8_t *want = content();
	uint8_t *in = malloc(4 * LEN);
	struct taken t = {.bytes = malloc(2 * LEN)};
	struct slk_error err = {0};

	assert_true(in != NULL && t.bytes != NULL);
	size_t len = gzip_of(want, in, 2 * LEN);
	memcpy(in + len, in, len);
	check_all(want, slk_span(in, len), slk_span(in, 2 * len));
	in[2 * len] = 'x';
	assert_int_not_equal(expand(&t, slk_span(in, 2 * len + 1), 65536, &err), SLK_OK);
	in[len - 6] ^= 1; /* of the CRC */
	assert_int_equal(expand(&t, slk_span(in, len), 65536, &err), SLK_MALFORMED);
	free(t.bytes);
	free(in);
	free(want);
}

#ifdef CLI_HAVE_ZSTD
static void
zstd_comes_out_whole(void **state)
{
	(void)state;
	uint8_t *want = content();
	uint8_t *in = malloc(4 * LEN);
	struct taken t = {.bytes = malloc(2 * LEN)};
	struct slk_error err = {0};

	assert_true(in != NULL && t.bytes != NULL);
	size_t len = ZSTD_compress(in, 2 * LEN, want, LEN, 1);
	memcpy(in + len, in, len);
	check_all(want, slk_span(in, len), slk_span(in, 2 * len));
	in[len / 2] ^= 0x55;
	assert_int_not_equal(expand(&t, slk_span(in, len), 65536, &err), SLK_OK);
	free(t.bytes);
	free(in);
	free(want);
}
#endif

static void
anything_else_is_named(void **state)
{
	(void)state;
	struct taken t = {.status = SLK_INTERNAL};
	struct slk_error err = {0};

	assert_int_equal(expand(&t, slk_span("{\"a\":1}", 7), 7, &err), SLK_MALFORMED);
	assert_non_null(strstr(err.text, "neither GZIP nor ZSTD"));
	assert_int_equal(expand(&t, slk_span("", 0), 1, &err), SLK_TRUNCATED);
	assert_int_equal(expand(&t, slk_span("\x1f\x8b", 2), 2, &err), SLK_TRUNCATED);
	cli_expand_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gzip_comes_out_whole),
#ifdef CLI_HAVE_ZSTD
		cmocka_unit_test(zstd_comes_out_whole),
#endif
		cmocka_unit_test(anything_else_is_named),
	};

	return cmocka_run_group_tests_name("cli_expand", tests, NULL, NULL);
}
