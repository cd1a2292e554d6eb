#include "slk_test.h"

#include <stdlib.h>
#include <string.h>

#include "hsm/wire.h"

static const uint8_t golden_request[] = {
	'S', 'H', 'Q', '2', 3, 0, 0, 0, /* wrap; spec, usage, algorithm */
	0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* call id */
	0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, /* deadline */
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, /* key id */
	0xaa, 0xbb, 0xcc, 0, /* check value */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* IV */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* key of the new wrap */
	0, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, /* lengths */
	'a', 'a', 'd', 'h', 'i', /* AAD, data */
};

static const uint8_t golden_reply[] = {
	'S',
	'H',
	'R',
	'2',
	3,
	0,
	0,
	0, /* wrap */
	0x08,
	0x07,
	0x06,
	0x05,
	0x04,
	0x03,
	0x02,
	0x01, /* call id */
	0,
	0,
	0,
	0,
	2,
	0,
	0,
	0, /* status, encryptions */
	0xaa,
	0xbb,
	0xcc,
	1,
	2,
	3,
	4,
	5, /* check values */
	12,
	11,
	10,
	9,
	8,
	7,
	6,
	5,
	4,
	3,
	2,
	1, /* IV */
	0,
	0,
	0,
	0,
	17,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0, /* lengths */
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'c',
	't',
	'!',
};

static const uint8_t golden_control[] = {'S', 'H', 'C', '1', 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0};

static struct hsm_wire_request
wrap_request(void)
{
	struct hsm_wire_request m = {.call_id = 0x0102030405060708};

	m.request.op = HSM_WRAP;
	for (int i = 0; i < 16; i++)
		m.request.key_id[i] = (uint8_t)(i + 1);
	memcpy(m.request.kcv, "\xaa\xbb\xcc", 3);
	m.request.aad = slk_span("aad", 3);
	m.request.data = slk_span("hi", 2);
	m.request.mono_deadline_ns = 0x1112131415161718;
	return m;
}

static void
a_wrap_request_has_the_golden_bytes(void **state)
{
	(void)state;
	struct hsm_wire_request m = wrap_request();
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(golden_request));
	assert_memory_equal(out, golden_request, len);
}

static void
a_wrap_request_comes_back_as_it_was(void **state)
{
	(void)state;
	struct hsm_wire_request m;

	assert_ok(hsm_wire_decode_request(slk_span(golden_request, sizeof(golden_request)), &m));
	struct hsm_wire_request want = wrap_request();
	assert_int_equal(m.call_id, want.call_id);
	assert_int_equal(m.request.op, HSM_WRAP);
	assert_int_equal(m.request.mono_deadline_ns, want.request.mono_deadline_ns);
	assert_memory_equal(m.request.key_id, want.request.key_id, 16);
	assert_true(slk_span_equal(m.request.aad, want.request.aad));
	assert_true(slk_span_equal(m.request.data, want.request.data));
}

static void
every_shortened_or_lengthened_request_is_refused(void **state)
{
	(void)state;
	struct hsm_wire_request m = {.call_id = 99};
	uint8_t longer[sizeof(golden_request) + 1] = {0};

	for (size_t len = 0; len < sizeof(golden_request); len++)
		assert_int_equal(
			hsm_wire_decode_request(slk_span(golden_request, len), &m), SLK_TRUNCATED);
	memcpy(longer, golden_request, sizeof(golden_request));
	assert_int_equal(
		hsm_wire_decode_request(slk_span(longer, sizeof(longer)), &m), SLK_MALFORMED);
	assert_int_equal(m.call_id, 99);
}

static void
reserved_bytes_and_other_magic_are_refused(void **state)
{
	(void)state;
	static const size_t reserved[] = {43, 75};
	uint8_t copy[sizeof(golden_request)];
	struct hsm_wire_request m;

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		memcpy(copy, golden_request, sizeof(copy));
		copy[reserved[i]] = 1;
		assert_int_equal(
			hsm_wire_decode_request(slk_span(copy, sizeof(copy)), &m), SLK_MALFORMED);
	}
	memcpy(copy, golden_request, sizeof(copy));
	copy[3] = '1';
	assert_int_equal(
		hsm_wire_decode_request(slk_span(copy, sizeof(copy)), &m), SLK_BAD_VERSION);
}

static void
expect_invalid(const struct hsm_wire_request *m)
{
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 77;

	assert_int_equal(hsm_wire_encode_request(m, out, sizeof(out), &len), SLK_INVALID);
	assert_int_equal(len, 77);
}

static void
a_wrap_without_aad_is_never_sent(void **state)
{
	(void)state;
	struct hsm_wire_request m = wrap_request();

	m.request.aad = slk_span(NULL, 0);
	expect_invalid(&m);
}

static void
a_wrap_may_not_name_an_iv(void **state)
{
	(void)state;
	struct hsm_wire_request m = wrap_request();

	m.request.iv[0] = 1;
	expect_invalid(&m);
}

static void
an_unwrap_needs_an_iv_and_more_than_a_tag(void **state)
{
	(void)state;
	static const uint8_t ct[17];
	struct hsm_wire_request m = wrap_request();
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len;

	m.request.op = HSM_UNWRAP;
	m.request.data = slk_span(ct, 17);
	expect_invalid(&m);
	m.request.iv[11] = 1;
	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	m.request.data = slk_span(ct, 16);
	expect_invalid(&m);
}

static void
sizes_over_the_limits_are_refused_and_the_limits_are_not(void **state)
{
	(void)state;
	static const uint8_t big[HSM_AAD_MAX + 1];
	struct hsm_wire_request m = wrap_request();
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len;

	m.request.aad = slk_span(big, HSM_AAD_MAX);
	m.request.data = slk_span(big, HSM_DATA_MAX);
	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	m.request.data = slk_span(big, HSM_DATA_MAX + 1);
	expect_invalid(&m);
	m.request.data = slk_span(big, 1);
	m.request.aad = slk_span(big, HSM_AAD_MAX + 1);
	expect_invalid(&m);
}

static void
an_operation_that_takes_no_key_may_not_name_one(void **state)
{
	(void)state;
	struct hsm_wire_request m = {
		.request = {.op = HSM_RANDOM, .length = 32, .mono_deadline_ns = 1}};
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len;

	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	m.request.key_id[3] = 9;
	expect_invalid(&m);
	m.request.key_id[3] = 0;
	m.request.length = HSM_RANDOM_MAX + 1;
	expect_invalid(&m);
	m.request.length = 0;
	expect_invalid(&m);
}

static struct hsm_wire_request
sign_request(void)
{
	struct hsm_wire_request m = wrap_request();

	m.request.op = HSM_SIGN;
	m.request.spec = KMS_SPEC_ECC_NIST_P384;
	m.request.usage = KMS_USAGE_SIGN_VERIFY;
	m.request.algorithm = KMS_ALG_ECDSA_SHA_384;
	m.request.aad = slk_span(NULL, 0);
	m.request.data = slk_span("0123456789abcdef0123456789abcdef0123456789abcdef", 48);
	return m;
}

static void
a_signature_takes_a_digest_of_its_algorithm_only(void **state)
{
	(void)state;
	struct hsm_wire_request m = sign_request();
	struct hsm_wire_request back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len;

	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	assert_ok(hsm_wire_decode_request(slk_span(out, len), &back));
	assert_int_equal(back.request.spec, KMS_SPEC_ECC_NIST_P384);
	assert_int_equal(back.request.usage, KMS_USAGE_SIGN_VERIFY);
	assert_int_equal(back.request.algorithm, KMS_ALG_ECDSA_SHA_384);
	m.request.data.len = 47;
	expect_invalid(&m);
	m.request.data.len = 48;
	m.request.algorithm = KMS_ALG_ECDSA_SHA_256;
	expect_invalid(&m);
}

static void
a_key_that_signs_does_not_decrypt_and_an_aes_key_does_not_sign(void **state)
{
	(void)state;
	struct hsm_wire_request m = sign_request();

	m.request.op = HSM_DECRYPT;
	expect_invalid(&m);
	m = sign_request();
	m.request.usage = KMS_USAGE_ENCRYPT_DECRYPT;
	expect_invalid(&m);
	m = sign_request();
	m.request.spec = KMS_SPEC_SYMMETRIC_DEFAULT;
	expect_invalid(&m);
}

static void
a_rewrap_names_both_keys_and_both_aads(void **state)
{
	(void)state;
	static const uint8_t ct[48];
	struct hsm_wire_request m = wrap_request();
	struct hsm_wire_request back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len;

	m.request.op = HSM_REWRAP;
	m.request.iv[0] = 1;
	m.request.data = slk_span(ct, sizeof(ct));
	m.request.extra = slk_span("other", 5);
	expect_invalid(&m);
	m.request.to_key_id[15] = 7;
	assert_ok(hsm_wire_encode_request(&m, out, sizeof(out), &len));
	assert_ok(hsm_wire_decode_request(slk_span(out, len), &back));
	assert_int_equal(back.request.to_key_id[15], 7);
	assert_true(slk_span_equal(back.request.extra, slk_span_str("other")));
	m.request.extra = slk_span(NULL, 0);
	expect_invalid(&m);
}

static void
an_unknown_operation_is_refused(void **state)
{
	(void)state;
	uint8_t copy[sizeof(golden_request)];
	struct hsm_wire_request m;

	for (int op = 0; op < 256; op++) {
		memcpy(copy, golden_request, sizeof(copy));
		copy[4] = (uint8_t)op;
		int rc = hsm_wire_decode_request(slk_span(copy, sizeof(copy)), &m);
		assert_int_equal(rc, op == HSM_WRAP ? SLK_OK : SLK_INVALID);
	}
}

static struct hsm_wire_reply
wrap_reply(void)
{
	struct hsm_wire_reply m = {.call_id = 0x0102030405060708};
	struct hsm_reply *p = &m.reply;

	p->op = HSM_WRAP;
	p->encryptions_count = 2;
	memcpy(p->kcv, "\xaa\xbb\xcc", 3);
	memcpy(p->kcv_cmac, "\1\2\3\4\5", 5);
	for (int i = 0; i < 12; i++)
		p->iv[i] = (uint8_t)(12 - i);
	p->ciphertext = slk_span("ctctctctctctctct!", 17);
	return m;
}

static void
a_wrap_reply_has_the_golden_bytes_and_comes_back(void **state)
{
	(void)state;
	struct hsm_wire_reply m = wrap_reply();
	struct hsm_wire_reply back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(hsm_wire_encode_reply(&m, out, sizeof(out), &len));
	assert_int_equal(len, sizeof(golden_reply));
	assert_memory_equal(out, golden_reply, len);
	assert_ok(hsm_wire_decode_reply(slk_span(out, len), &back));
	assert_int_equal(back.reply.encryptions_count, 2);
	assert_memory_equal(back.reply.iv, m.reply.iv, 12);
	assert_memory_equal(back.reply.kcv_cmac, "\1\2\3\4\5", 5);
	assert_true(slk_span_equal(back.reply.ciphertext, m.reply.ciphertext));
	assert_int_equal(back.reply.plaintext.len, 0);
}

static void
every_shortened_reply_is_refused(void **state)
{
	(void)state;
	struct hsm_wire_reply m;

	for (size_t len = 0; len < sizeof(golden_reply); len++)
		assert_int_equal(
			hsm_wire_decode_reply(slk_span(golden_reply, len), &m), SLK_TRUNCATED);
}

static void
an_error_reply_carries_its_sentence(void **state)
{
	(void)state;
	struct hsm_wire_reply m = {
		.call_id = 5, .reply = {.op = HSM_UNWRAP, .status = SLK_INVALID_CIPHERTEXT}};
	struct hsm_wire_reply back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 0;

	strcpy(m.reply.error, "the tag does not fit");
	assert_ok(hsm_wire_encode_reply(&m, out, sizeof(out), &len));
	assert_ok(hsm_wire_decode_reply(slk_span(out, len), &back));
	assert_int_equal(back.reply.status, SLK_INVALID_CIPHERTEXT);
	assert_string_equal(back.reply.error, "the tag does not fit");
	out[HSM_REPLY_HEAD_BYTES] = '\0';
	assert_int_equal(hsm_wire_decode_reply(slk_span(out, len), &back), SLK_MALFORMED);
}

static void
a_status_that_is_in_no_list_is_refused(void **state)
{
	(void)state;
	uint8_t copy[sizeof(golden_reply)];
	struct hsm_wire_reply m;

	memcpy(copy, golden_reply, sizeof(copy));
	slk_put_le32(copy + 16, 1);
	assert_int_equal(hsm_wire_decode_reply(slk_span(copy, sizeof(copy)), &m), SLK_MALFORMED);
	slk_put_le32(copy + 16, (uint32_t)-12345);
	assert_int_equal(hsm_wire_decode_reply(slk_span(copy, sizeof(copy)), &m), SLK_MALFORMED);
}

static struct hsm_wire_reply
health_reply(void)
{
	struct hsm_wire_reply m = {.call_id = 6, .reply = {.op = HSM_STATUS}};
	struct hsm_health *h = &m.reply.health;

	h->state = HSM_LOST;
	h->iv_from_hsm = true;
	h->worker_pid = 4321;
	h->logins_count = 3;
	h->last_rv = 0x80000384;
	strcpy(h->profile, "softhsm");
	memset(h->token_label, 'L', 32);
	strcpy(h->text, "the token is gone");
	return m;
}

static void
health_comes_back_as_it_was(void **state)
{
	(void)state;
	struct hsm_wire_reply m = health_reply();
	struct hsm_wire_reply back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(hsm_wire_encode_reply(&m, out, sizeof(out), &len));
	assert_int_equal(len, HSM_REPLY_HEAD_BYTES + HSM_HEALTH_BYTES);
	assert_ok(hsm_wire_decode_reply(slk_span(out, len), &back));
	assert_int_equal(back.reply.health.state, HSM_LOST);
	assert_true(back.reply.health.iv_from_hsm);
	assert_int_equal(back.reply.health.worker_pid, 4321);
	assert_int_equal(back.reply.health.logins_count, 3);
	assert_int_equal(back.reply.health.last_rv, 0x80000384);
	assert_string_equal(back.reply.health.token_label, m.reply.health.token_label);
	assert_string_equal(back.reply.health.text, "the token is gone");
}

static void
health_with_an_unterminated_text_is_refused(void **state)
{
	(void)state;
	struct hsm_wire_reply m = health_reply();
	struct hsm_wire_reply back;
	uint8_t out[HSM_MESSAGE_MAX];
	size_t len = 0;

	assert_ok(hsm_wire_encode_reply(&m, out, sizeof(out), &len));
	memset(out + len - HSM_ERROR_MAX, 'x', HSM_ERROR_MAX);
	assert_int_equal(hsm_wire_decode_reply(slk_span(out, len), &back), SLK_MALFORMED);
}

static void
a_control_message_has_the_golden_bytes_and_comes_back(void **state)
{
	(void)state;
	struct hsm_control m = {HSM_CONTROL_STUCK, 7};
	struct hsm_control back;
	uint8_t out[HSM_CONTROL_BYTES];

	hsm_wire_encode_control(&m, out);
	assert_memory_equal(out, golden_control, sizeof(out));
	assert_ok(hsm_wire_decode_control(slk_span(out, sizeof(out)), &back));
	assert_int_equal(back.kind, HSM_CONTROL_STUCK);
	assert_int_equal(back.worker_number, 7);
	out[4] = 4;
	assert_int_equal(hsm_wire_decode_control(slk_span(out, sizeof(out)), &back), SLK_MALFORMED);
	assert_int_equal(hsm_wire_decode_control(slk_span(out, 15), &back), SLK_TRUNCATED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrap_request_has_the_golden_bytes),
		cmocka_unit_test(a_wrap_request_comes_back_as_it_was),
		cmocka_unit_test(every_shortened_or_lengthened_request_is_refused),
		cmocka_unit_test(reserved_bytes_and_other_magic_are_refused),
		cmocka_unit_test(a_wrap_without_aad_is_never_sent),
		cmocka_unit_test(a_wrap_may_not_name_an_iv),
		cmocka_unit_test(an_unwrap_needs_an_iv_and_more_than_a_tag),
		cmocka_unit_test(sizes_over_the_limits_are_refused_and_the_limits_are_not),
		cmocka_unit_test(an_operation_that_takes_no_key_may_not_name_one),
		cmocka_unit_test(a_signature_takes_a_digest_of_its_algorithm_only),
		cmocka_unit_test(a_key_that_signs_does_not_decrypt_and_an_aes_key_does_not_sign),
		cmocka_unit_test(a_rewrap_names_both_keys_and_both_aads),
		cmocka_unit_test(an_unknown_operation_is_refused),
		cmocka_unit_test(a_wrap_reply_has_the_golden_bytes_and_comes_back),
		cmocka_unit_test(every_shortened_reply_is_refused),
		cmocka_unit_test(an_error_reply_carries_its_sentence),
		cmocka_unit_test(a_status_that_is_in_no_list_is_refused),
		cmocka_unit_test(health_comes_back_as_it_was),
		cmocka_unit_test(health_with_an_unterminated_text_is_refused),
		cmocka_unit_test(a_control_message_has_the_golden_bytes_and_comes_back),
	};
	return cmocka_run_group_tests_name("hsm_wire", tests, NULL, NULL);
}
