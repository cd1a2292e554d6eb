/* Sealed objects against vectors of another implementation (Python's cryptography), and metadata that are not as they have to be. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include "delivery/sealedhead.h"

/* data key, message id, commitment, content, object; hex */
static const char *const vectors[][5] = {
	{"c9b2eef32122f6d8fbdd9641fc8d2b1b90f6939ca2cdbb30760303ea8e126d60",
		"74f2bab0f7b496db35967b365a4bedc0f6378888dea671ec307ee99e",
		"838fe3c720d8a11bb837855b669a809ed39a6d7364809f4595f8b256", "",
		"439e90cbc10ab3a81c3cf82e23a9c1d4"},
	{"5b9f1cf49b4a9352ec9c2cc54fa88f0258c6f2f00ff868001fccf4724f5276c9",
		"b526aef1a341cfe6e5c377ed4c222888eeb81f913a107110a867e009",
		"56974bb6ae27768127bfe6b92d6b51f3d3115e0f0f22410a2f0a22a1", "1f",
		"a642b356a0a3ad107f31784156c3ea6b00"},
	{"ab756a7ba023952cd68edf702f7763404728818c13f1d0a08992bb93749827ed",
		"84768ddee659efeafdeb972b55143141bc23b6e333c70e8b68d29774",
		"57fa2fcc8fe01d2a41a5f4052a2afbc04285c26d5944591696b954bb",
		"3e3f404142434445464748494a4b4c4d",
		"65568225f4a1e53b6d5c8a699e68746a729a2cefb5469928cd2c0f5dd3e2bec6"},
	{"92c4711e21049a185d6ad788cab687103bd0b0309be3cf32192160adb6cce12d",
		"fb29a8d5309d7c35b180dbd78c63a455a5d1fb45149a3264c08f1aff",
		"362280c7afd876a1bcdee4c79869bdd8d84f13daac970b4f75be3b3d",
		"5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485"
		"868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadae"
		"afb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0",
		"1f7b8eb946053862be0516c90c590bb8a44efa44fd8215766c09232c2cae93a220e12cd0130db11eff"
		"c4834814af43e1e962acf88931f50cf78533f907ea9fd6d627a9706146ec1c8bef7e042b883bf4f7a6"
		"68ec0bf7ab86b8b44f76bc537baec6c4df32926f6c94a53472fed56a87662655dee7"},
};

static struct slk_secret *
secret_of(const char *hex)
{
	uint8_t raw[32];
	struct slk_secret *secret = NULL;

	assert_ok(slk_unhex(hex, raw, sizeof(raw)));
	assert_ok(slk_secret_from(raw, sizeof(raw), &secret));
	return secret;
}

static void
objects_are_those_of_the_vectors(void **state)
{
	(void)state;
	uint8_t message_id[28], commitment[28], want[28], content[128], object[144], got[144];

	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct slk_secret *key = secret_of(vectors[i][0]);
		struct dlv_sealed *sealed = NULL;
		size_t len = strlen(vectors[i][3]) / 2;
		assert_ok(slk_unhex(vectors[i][1], message_id, sizeof(message_id)));
		assert_ok(slk_unhex(vectors[i][2], want, sizeof(want)));
		assert_ok(slk_unhex(vectors[i][3], content, len));
		assert_ok(slk_unhex(vectors[i][4], object, len + 16));
		assert_ok(dlv_sealed_seal(key, message_id, NULL, &sealed, commitment, NULL));
		assert_memory_equal(commitment, want, sizeof(want));
		assert_ok(seal_stream_update(dlv_sealed_stream(sealed), content, got, len));
		assert_ok(seal_stream_end(dlv_sealed_stream(sealed), got + len));
		assert_memory_equal(got, object, len + 16);
		dlv_sealed_free(sealed);
		assert_ok(dlv_sealed_open(key, message_id, commitment, "openssl", &sealed, NULL));
		assert_ok(seal_stream_update(dlv_sealed_stream(sealed), object, got, len));
		assert_ok(seal_stream_end(dlv_sealed_stream(sealed), object + len));
		assert_memory_equal(got, content, len);
		dlv_sealed_free(sealed);
		slk_secret_free(key);
	}
}

static void
another_key_or_commitment_is_refused(void **state)
{
	(void)state;
	struct slk_secret *key = secret_of(vectors[0][0]);
	struct slk_secret *other = secret_of(vectors[1][0]);
	struct slk_secret *shorter = NULL;
	struct dlv_sealed *sealed = NULL;
	struct slk_error err;
	uint8_t message_id[28], commitment[28];

	assert_ok(slk_unhex(vectors[0][1], message_id, sizeof(message_id)));
	assert_ok(slk_unhex(vectors[0][2], commitment, sizeof(commitment)));
	assert_int_equal(dlv_sealed_open(other, message_id, commitment, NULL, &sealed, &err),
		SLK_BAD_COMMITMENT);
	for (size_t bit = 0; bit < sizeof(commitment) * 8; bit++) {
		commitment[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(dlv_sealed_open(key, message_id, commitment, NULL, &sealed, &err),
			SLK_BAD_COMMITMENT);
		commitment[bit / 8] ^= (uint8_t)(1u << bit % 8);
		message_id[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(dlv_sealed_open(key, message_id, commitment, NULL, &sealed, &err),
			SLK_BAD_COMMITMENT);
		message_id[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_ok(slk_secret_from("short", 5, &shorter));
	assert_int_equal(
		dlv_sealed_seal(shorter, message_id, NULL, &sealed, commitment, &err), SLK_INVALID);
	assert_int_equal(
		dlv_sealed_open(shorter, message_id, commitment, NULL, &sealed, &err), SLK_INVALID);
	assert_int_equal(dlv_sealed_seal(key, message_id, "no-engine", &sealed, commitment, &err),
		SLK_NOT_FOUND);
	assert_null(sealed);
	dlv_sealed_free(NULL);
	slk_secret_free(key);
	slk_secret_free(other);
	slk_secret_free(shorter);
}

/* --- metadata --- */

#define I28 "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=="
#define GOOD(c, w, t, wrapped, d, i) \
	"{\"Metadata\":{\"x-amz-c\":\"" c "\",\"x-amz-w\":\"" w "\",\"x-amz-t\":\"" t \
	"\",\"x-amz-3\":\"" wrapped "\",\"x-amz-d\":\"" d "\",\"x-amz-i\":\"" i "\"}}"
#define T "{\\\"aws:x-amz-cek-alg\\\":\\\"115\\\"}"

static void
metadata_are_read_as_they_are_written(void **state)
{
	(void)state;
	struct dlv_sealed_head head = {.wrapped_len = 5, .context_json = DLV_SEALED_CONTEXT};
	struct dlv_sealed_text text;
	struct dlv_sealed_head got;
	struct fmt_context *context = NULL;
	char json[4096];

	memset(head.message_id, 1, sizeof(head.message_id));
	memset(head.commitment, 2, sizeof(head.commitment));
	memcpy(head.wrapped, "abcde", 5);
	dlv_sealed_head_print(&head, &text);
	assert_string_equal(text.pairs[0].name, "x-amz-c");
	assert_string_equal(text.pairs[0].value, "115");
	assert_string_equal(text.pairs[1].value, "YWJjZGU=");
	assert_string_equal(text.pairs[2].value, "12");
	assert_string_equal(text.pairs[3].value, DLV_SEALED_CONTEXT);
	assert_string_equal(text.pairs[5].value, I28);
	snprintf(json, sizeof(json),
		"{\"ETag\":\"x\",\"Metadata\":{\"mine\":\"1\",\"X-Amz-C\":\"115\",\"x-amz-w\":"
		"\"12\",\"x-amz-t\":\"" T
		"\",\"x-amz-3\":\"%s\",\"x-amz-d\":\"%s\",\"x-amz-i\":\"%s\"}}",
		text.pairs[1].value, text.pairs[4].value, text.pairs[5].value);
	assert_ok(dlv_sealed_head_parse(slk_span_str(json), &got, &context, NULL));
	assert_memory_equal(got.message_id, head.message_id, sizeof(head.message_id));
	assert_memory_equal(got.commitment, head.commitment, sizeof(head.commitment));
	assert_int_equal(got.wrapped_len, 5);
	assert_memory_equal(got.wrapped, "abcde", 5);
	assert_string_equal(got.context_json, DLV_SEALED_CONTEXT);
	assert_int_equal(fmt_context_count(context), 1);
	fmt_context_free(context);
}

static void
the_largest_wrapped_key_fits(void **state)
{
	(void)state;
	static struct dlv_sealed_head head = {.wrapped_len = DLV_SEALED_WRAPPED_MAX};
	static struct dlv_sealed_text text;

	memset(head.context_json, 'a', sizeof(head.context_json) - 1);
	dlv_sealed_head_print(&head, &text);
	assert_int_equal(strlen(text.pairs[1].value), (DLV_SEALED_WRAPPED_MAX + 2) / 3 * 4);
	assert_int_equal(strlen(text.pairs[3].value), DLV_SEALED_CONTEXT_MAX - 1);
	assert_string_equal(text.pairs[4].value, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==");
}

static void
what_is_not_as_it_has_to_be_is_named(void **state)
{
	(void)state;
	static const struct {
		const char *json;
		int status;
		const char *sentence;
	} bad[] = {
		{"", SLK_MALFORMED, "no JSON"},
		{"[]", SLK_INVALID, "no member Metadata"},
		{"{\"Metadata\":[]}", SLK_INVALID, "no member Metadata"},
		{"{\"Metadata\":{}}", SLK_INVALID, "not those of a sealed object"},
		{"{\"Metadata\":{\"x-amz-iv\":\"a\",\"x-amz-key-v2\":\"b\"}}", SLK_UNSUPPORTED,
			"x-amz-key-v2"},
		{"{\"Metadata\":{\"x-amz-c\":\"115\"}}", SLK_MALFORMED, "lack x-amz-3"},
		{GOOD("99", "12", T, "AA==", I28, I28), SLK_UNSUPPORTED, "x-amz-c say 99"},
		{GOOD("115", "02", T, "AA==", I28, I28), SLK_UNSUPPORTED, "x-amz-w say 02"},
		{GOOD("115", "12", T, "AA=", I28, I28), SLK_MALFORMED, "x-amz-3 is not base64"},
		{GOOD("115", "12", T, "", I28, I28), SLK_MALFORMED, "x-amz-3 is not base64"},
		{GOOD("115", "12", T, "====", I28, I28), SLK_MALFORMED, "x-amz-3 is not base64"},
		{GOOD("115", "12", T, "AAA=", "AAAA", I28), SLK_MALFORMED,
			"x-amz-d has not 28 bytes"},
		{GOOD("115", "12", T, "AAAA", I28, I28 "AAAA"), SLK_MALFORMED, "x-amz-i"},
		{GOOD("115", "12", "x", "AAAA", I28, I28), SLK_MALFORMED,
			"x-amz-t is no encryption context"},
		{GOOD("115", "12", "[]", "AAAA", I28, I28), SLK_MALFORMED,
			"x-amz-t is no encryption context"},
		{GOOD("115", "12", "{\\\"a\\\":1}", "AAAA", I28, I28), SLK_MALFORMED,
			"no encryption context"},
		{GOOD("115", "12", "{}", "AAAA", I28, I28), SLK_MALFORMED, "aws:x-amz-cek-alg"},
	};
	struct dlv_sealed_head head = {.wrapped_len = 7};
	struct fmt_context *context = NULL;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct slk_error err = {0};
		int rc = dlv_sealed_head_parse(slk_span_str(bad[i].json), &head, &context, &err);
		if (rc != bad[i].status || strstr(err.text, bad[i].sentence) == NULL)
			fail_msg("%s: %d %s", bad[i].json, rc, err.text);
	}
	assert_int_equal(head.wrapped_len, 7);
	assert_null(context);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_are_those_of_the_vectors),
		cmocka_unit_test(another_key_or_commitment_is_refused),
		cmocka_unit_test(metadata_are_read_as_they_are_written),
		cmocka_unit_test(the_largest_wrapped_key_fits),
		cmocka_unit_test(what_is_not_as_it_has_to_be_is_named),
	};

	return cmocka_run_group_tests_name("delivery_sealed", tests, NULL, NULL);
}
