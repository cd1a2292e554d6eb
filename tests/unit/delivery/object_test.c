/* What goes in comes out: joined, compressed by what other libraries read, sealed as the client's format has it. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#ifdef DLV_HAVE_ZSTD
#include <zstd.h>
#endif

#include "delivery/sealedhead.h"
#include "object.h"

#define RAW_MAX (4u << 20)

struct fixture {
	struct dlv_pool *pool;
	struct dlv_buffer body;
	uint8_t *raw, *want; /* RAW_MAX */
	size_t want_len;
	uint64_t seed;
	struct slk_secret *data_key;
};

static uint64_t
next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return *seed >> 33;
}

static void
fill_lines(struct fixture *f, uint8_t *out, size_t len)
{
	static const char words[] =
		"{\"level\":\"info\",\"path\":\"/api/v1/orders\",\"status\":200} ";

	for (size_t i = 0; i < len; i++)
		out[i] = next_random(&f->seed) % 5 == 0
			? (uint8_t)('a' + next_random(&f->seed) % 26)
			: (uint8_t)words[i % (sizeof(words) - 1)];
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->seed = 11;
	assert_ok(dlv_pool_new(64u << 20, false, &f->pool));
	dlv_buffer_init(&f->body, f->pool);
	f->raw = malloc(RAW_MAX);
	f->want = malloc(RAW_MAX);
	assert_true(f->raw != NULL && f->want != NULL);
	fill_lines(f, f->raw, RAW_MAX);
	assert_ok(slk_secret_from("0123456789abcdef0123456789ABCDEF", 32, &f->data_key));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	dlv_buffer_fini(&f->body);
	assert_int_equal(dlv_pool_used(f->pool), 0);
	dlv_pool_free(f->pool);
	slk_secret_free(f->data_key);
	free(f->raw);
	free(f->want);
	free(f);
	return 0;
}

static struct dlv_object_key
key_of(struct fixture *f)
{
	return (struct dlv_object_key){f->data_key, slk_span("wrapped key", 11),
		"arn:aws:kms:::key/k", DLV_SEALED_CONTEXT};
}

/* Records of random lengths out of raw, in calls of random counts; what they have to become is in want. */
static void
add_all(struct fixture *f, struct dlv_object *object, bool delimiter, size_t total)
{
	struct dlv_record records[16];
	size_t at = 0;

	f->want_len = 0;
	while (at < total) {
		size_t count = next_random(&f->seed) % 16;
		size_t n = 0;
		for (; n < count && at < total; n++) {
			size_t most = next_random(&f->seed) % 20 == 0 ? 200000 : 900;
			size_t len = next_random(&f->seed) % most;
			len = len > total - at ? total - at : len;
			records[n] = (struct dlv_record){.data = slk_span(f->raw + at, len)};
			memcpy(f->want + f->want_len, f->raw + at, len);
			f->want_len += len;
			if (delimiter)
				f->want[f->want_len++] = '\n';
			at += len;
		}
		assert_ok(dlv_object_add(object, &f->body, records, n));
	}
}

static size_t
gunzip(struct slk_span in, uint8_t *out, size_t cap)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in.ptr,
		.avail_in = (uInt)in.len,
		.next_out = out,
		.avail_out = (uInt)cap};

	assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.avail_in, 0);
	assert_int_equal(inflateEnd(&z), Z_OK);
	return z.total_out;
}

static void
assert_content(struct fixture *f, enum dlv_compression compression, struct slk_span content)
{
	uint8_t *out = malloc(RAW_MAX * 2);
	size_t len = content.len;

	assert_non_null(out);
	if (compression == DLV_UNCOMPRESSED && content.len > 0)
		memcpy(out, content.ptr, content.len);
	else if (compression == DLV_GZIP)
		len = gunzip(content, out, RAW_MAX * 2);
#ifdef DLV_HAVE_ZSTD
	else if (compression == DLV_ZSTD)
		len = ZSTD_decompress(out, RAW_MAX * 2, content.ptr, content.len);
#endif
	assert_int_equal(len, f->want_len);
	assert_memory_equal(out, f->want, len);
	free(out);
}

/* {"Metadata":{...}} */
static void
print_metadata(const struct dlv_metadata *pairs, size_t count, char *out, size_t cap)
{
	struct slk_writer w = slk_writer(out, cap - 1);

	slk_write_bytes(&w, "{\"Metadata\":{", 13);
	for (size_t i = 0; i < count; i++) {
		slk_write_bytes(&w, i > 0 ? ",\"" : "\"", i > 0 ? 2 : 1);
		slk_write_bytes(&w, pairs[i].name, strlen(pairs[i].name));
		slk_write_bytes(&w, "\":\"", 3);
		for (const char *c = pairs[i].value; *c != '\0'; c++) {
			slk_write_bytes(&w, "\\", *c == '"');
			slk_write_u8(&w, (uint8_t)*c);
		}
		slk_write_u8(&w, '"');
	}
	slk_write_bytes(&w, "}}", 2);
	assert_ok(w.status);
	out[w.len] = '\0';
}

/* In place in the body; the tag is cut off. */
static int
open_body(struct fixture *f, const char *json, size_t *out_len)
{
	struct dlv_sealed_head head;
	struct fmt_context *context = NULL;
	struct dlv_sealed *sealed = NULL;

	int rc = dlv_sealed_head_parse(slk_span_str(json), &head, &context, NULL);
	if (rc != SLK_OK)
		return rc;
	fmt_context_free(context);
	rc = dlv_sealed_open(f->data_key, head.message_id, head.commitment, NULL, &sealed, NULL);
	if (rc != SLK_OK)
		return rc;
	*out_len = f->body.len - DLV_SEALED_TAG_BYTES;
	assert_ok(seal_stream_update(
		dlv_sealed_stream(sealed), f->body.bytes, f->body.bytes, *out_len));
	rc = seal_stream_end(dlv_sealed_stream(sealed), f->body.bytes + *out_len);
	dlv_sealed_free(sealed);
	return rc;
}

static void
check_round(struct fixture *f, const struct dlv_object_config *config, size_t total)
{
	struct dlv_metadata pairs[DLV_METADATA_MAX];
	struct dlv_object *object = NULL;
	char json[8192];
	size_t len;

	dlv_buffer_cut(&f->body, 0);
	assert_ok(dlv_object_new(config, &object, NULL));
	add_all(f, object, config->delimiter, total);
	assert_ok(dlv_object_end(object, &f->body));
	assert_int_equal(dlv_object_end(object, &f->body), SLK_INVALID_STATE);
	assert_int_equal(dlv_object_add(object, &f->body, NULL, 0), SLK_INVALID_STATE);
	size_t count = dlv_object_metadata(object, pairs);
	len = f->body.len;
	if (config->key != NULL) {
		assert_int_equal(count, 6);
		assert_null(dlv_object_content_encoding(object));
		print_metadata(pairs, count, json, sizeof(json));
		assert_ok(open_body(f, json, &len));
	} else {
		assert_int_equal(count, 0);
		const char *encoding = dlv_object_content_encoding(object);
		assert_string_equal(encoding != NULL ? encoding : "",
			config->compression == DLV_GZIP           ? "gzip"
				: config->compression == DLV_ZSTD ? "zstd"
								  : "");
	}
	assert_content(f, config->compression, slk_span(f->body.bytes, len));
	dlv_object_free(object);
}

static void
all_ways_through(void **state)
{
	struct fixture *f = *state;
	struct dlv_object_key key = key_of(f);
	static const size_t totals[] = {0, 1, 65535, 65536, 65537, 3000000};

	for (unsigned i = 0; i < 12; i++) {
		struct dlv_object_config config = {.compression = (enum dlv_compression)(i % 3),
			.delimiter = i / 3 % 2 == 1,
			.key = i / 6 == 1 ? &key : NULL};
#ifndef DLV_HAVE_ZSTD
		if (config.compression == DLV_ZSTD)
			continue;
#endif
		for (size_t t = 0; t < sizeof(totals) / sizeof(totals[0]); t++)
			check_round(f, &config, totals[t]);
	}
}

static void
levels_and_what_cannot_be_compressed(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < RAW_MAX; i += 8)
		memcpy(f->raw + i,
			&(uint64_t){next_random(&f->seed) << 40 ^ next_random(&f->seed) << 20 ^
				next_random(&f->seed)},
			8);
	for (int level = 0; level <= 3; level++)
		check_round(f, &(struct dlv_object_config){.compression = DLV_GZIP, .level = level},
			3000000);
#ifdef DLV_HAVE_ZSTD
	check_round(f, &(struct dlv_object_config){.compression = DLV_ZSTD}, 3000000);
	check_round(f, &(struct dlv_object_config){.compression = DLV_ZSTD, .level = 5}, 3000000);
#endif
	fill_lines(f, f->raw, RAW_MAX);
}

/* Everything of a call or nothing, at every place where the pool can run out. */
static void
without_memory_nothing_changes(void **state)
{
	struct fixture *f = *state;
	struct dlv_object_key key = key_of(f);
	struct dlv_pool *small = NULL;
	struct dlv_buffer body;
	struct dlv_object *object = NULL;
	size_t refused = 0;

	assert_ok(dlv_pool_new(2u << 20, false, &small));
	dlv_buffer_init(&body, small);
	assert_ok(dlv_object_new(
		&(struct dlv_object_config){.compression = DLV_GZIP, .key = &key}, &object, NULL));
	for (size_t len = 4u << 20; len > 0 && refused < 8; len /= 2) {
		struct dlv_record record = {.data = slk_span(f->raw, len)};
		size_t before = body.len;
		if (dlv_object_add(object, &body, &record, 1) == SLK_OK)
			continue;
		assert_int_equal(body.len, before);
		refused++;
	}
	assert_true(refused > 0);
	/* What was refused has left no trace: what is in there now is what is put now. */
	dlv_object_free(object);
	dlv_buffer_fini(&body);
	assert_int_equal(dlv_pool_used(small), 0);
	dlv_pool_free(small);
}

static void
a_refused_call_leaves_no_bytes_behind(void **state)
{
	struct fixture *f = *state;
	struct dlv_object *object = NULL;
	struct dlv_record good = {.data = slk_span(f->raw, 1000)};
	struct dlv_record huge = {
		.data = slk_span(f->raw, 65u << 20)}; /* never read: it is refused before */
	struct dlv_record mixed[2] = {good, huge};

	dlv_buffer_cut(&f->body, 0);
	assert_ok(dlv_object_new(
		&(struct dlv_object_config){.compression = DLV_GZIP}, &object, NULL));
	assert_ok(dlv_object_add(object, &f->body, &good, 1));
	size_t before = f->body.len;
	assert_int_equal(dlv_object_add(object, &f->body, mixed, 2), SLK_LIMIT);
	assert_int_equal(f->body.len, before);
	assert_ok(dlv_object_add(object, &f->body, &good, 1));
	assert_ok(dlv_object_end(object, &f->body));
	memcpy(f->want, f->raw, 1000);
	memcpy(f->want + 1000, f->raw, 1000);
	f->want_len = 2000;
	assert_content(f, DLV_GZIP, slk_span(f->body.bytes, f->body.len));
	dlv_object_free(object);
}

static void
above_the_limit_of_one_message_nothing_is_taken(void **state)
{
	struct fixture *f = *state;
	struct dlv_object_key key = key_of(f);
	struct dlv_object *object = NULL;
	struct dlv_record record = {.data = slk_span(f->raw, SEAL_STREAM_BYTES_MAX)};

	dlv_buffer_cut(&f->body, 0);
	assert_ok(dlv_object_new(&(struct dlv_object_config){.key = &key}, &object, NULL));
	assert_int_equal(dlv_object_add(object, &f->body, &record, 1), SLK_TOO_LARGE);
	assert_int_equal(f->body.len, 0);
	dlv_object_free(object);
}

/* Is at in one of the places where part is? */
static bool
is_within(const char *text, const char *at, const char *part)
{
	for (const char *found = text; (found = strstr(found, part)) != NULL; found++) {
		if (at >= found && at < found + strlen(part) + 1)
			return true;
	}
	return false;
}

static void
each_flipped_bit_of_object_and_metadata_is_refused(void **state)
{
	struct fixture *f = *state;
	struct dlv_object_key key = key_of(f);
	struct dlv_metadata pairs[DLV_METADATA_MAX];
	struct dlv_object *object = NULL;
	struct dlv_record record = {
		.data = slk_span("forty-two bytes, not one more, not one less", 42)};
	uint8_t good[128];
	char json[8192];
	size_t len = 0;

	dlv_buffer_cut(&f->body, 0);
	assert_ok(dlv_object_new(&(struct dlv_object_config){.key = &key}, &object, NULL));
	assert_ok(dlv_object_add(object, &f->body, &record, 1));
	assert_ok(dlv_object_end(object, &f->body));
	print_metadata(pairs, dlv_object_metadata(object, pairs), json, sizeof(json));
	assert_int_equal(f->body.len, 42 + 16);
	memcpy(good, f->body.bytes, f->body.len);
	for (size_t bit = 0; bit < f->body.len * 8; bit++) {
		memcpy(f->body.bytes, good, f->body.len);
		f->body.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(open_body(f, json, &len), SLK_BAD_TAG);
	}
	/* Of metadata: the wrapped key is the KMS's to refuse; of the rest nothing may change but the case of names. */
	for (char *c = json; *c != '\0'; c++) {
		for (unsigned bit = 0;
			bit < 7 && !is_within(json, c, "x-amz-3\":\"d3JhcHBlZCBrZXk="); bit++) {
			bool in_name = is_within(json, c, "x-amz-");
			*c = (char)(*c ^ 1 << bit);
			memcpy(f->body.bytes, good, f->body.len);
			if (open_body(f, json, &len) == SLK_OK && !(in_name && bit == 5))
				fail_msg("bit %u at %td of %s", bit, c - json, json);
			*c = (char)(*c ^ 1 << bit);
		}
	}
	memcpy(f->body.bytes, good, f->body.len);
	assert_ok(open_body(f, json, &len));
	assert_memory_equal(f->body.bytes, record.data.ptr, 42);
	dlv_object_free(object);
}

static void
what_is_no_key_or_level_is_refused(void **state)
{
	struct fixture *f = *state;
	struct dlv_object_key key = key_of(f);
	struct dlv_object *object = NULL;
	struct slk_secret *shorter = NULL;
	struct slk_error err;

	assert_int_equal(
		dlv_object_new(&(struct dlv_object_config){.compression = DLV_GZIP, .level = 4},
			&object, &err),
		SLK_INVALID);
	key.wrapped.len = DLV_SEALED_WRAPPED_MAX + 1;
	assert_int_equal(dlv_object_new(&(struct dlv_object_config){.key = &key}, &object, &err),
		SLK_INVALID);
	key = key_of(f);
	assert_ok(slk_secret_from("short", 5, &shorter));
	key.data_key = shorter;
	assert_int_equal(dlv_object_new(&(struct dlv_object_config){.key = &key}, &object, &err),
		SLK_INVALID);
	slk_secret_free(shorter);
	assert_null(object);
	dlv_object_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_ways_through),
		cmocka_unit_test(levels_and_what_cannot_be_compressed),
		cmocka_unit_test(without_memory_nothing_changes),
		cmocka_unit_test(a_refused_call_leaves_no_bytes_behind),
		cmocka_unit_test(above_the_limit_of_one_message_nothing_is_taken),
		cmocka_unit_test(each_flipped_bit_of_object_and_metadata_is_refused),
		cmocka_unit_test(what_is_no_key_or_level_is_refused),
	};

	return cmocka_run_group_tests_name("delivery_object", tests, setup, teardown);
}
