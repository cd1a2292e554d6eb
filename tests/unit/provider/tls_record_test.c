/* TLS 1.2 records (RFC 5288) as libssl asks for them: fixed IV, AAD by control, one call per record, in place. */
#include "rig.h"

#define AROUND 24 /* explicit IV and tag */

static struct rig rig;

static const uint8_t key[32] = {1, 2, 3};
static const uint8_t fixed_iv[4] = {0xa, 0xb, 0xc, 0xd};

static EVP_CIPHER_CTX *
half(bool ours, bool seal)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, 256, ours);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	assert_int_equal(EVP_CipherInit_ex2(ctx, cipher, key, NULL, seal, NULL), 1);
	assert_int_equal(
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, 4, (void *)(uintptr_t)fixed_iv),
		1);
	EVP_CIPHER_free(cipher);
	return ctx;
}

/* buf holds room for the explicit IV, the data, room for the tag. Returns what EVP says the result's length is, or 0. */
static int
record(EVP_CIPHER_CTX *ctx, uint8_t *buf, int data_len, bool seal, uint8_t sequence)
{
	int len = data_len + AROUND, out = 0;
	int said = seal ? data_len + 8 : len;
	uint8_t aad[13] = {
		0, 0, 0, 0, 0, 0, 0, sequence, 23, 3, 3, (uint8_t)(said >> 8), (uint8_t)said};

	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad), 16);
	return EVP_CipherUpdate(ctx, buf, &out, buf, len) == 1 ? out : 0;
}

static void
passes(bool sealer_ours, bool opener_ours)
{
	EVP_CIPHER_CTX *sealer = half(sealer_ours, true), *opener = half(opener_ours, false);
	static uint8_t buf[16384 + AROUND];
	uint8_t last[8] = {0};

	for (int i = 0; i < 200; i++) {
		int len = i * 81;
		memset(buf, i, sizeof(buf));
		assert_int_equal(record(sealer, buf, len, true, (uint8_t)i), len + AROUND);
		assert_memory_not_equal(buf, last, 8); /* no IV twice */
		memcpy(last, buf, 8);
		assert_int_equal(record(opener, buf, len, false, (uint8_t)i), len);
		for (int k = 0; k < len; k++)
			assert_int_equal(buf[8 + k], (uint8_t)i);
	}
	EVP_CIPHER_CTX_free(sealer);
	EVP_CIPHER_CTX_free(opener);
}

static void
our_records_open_with_the_default(void **state)
{
	(void)state;
	passes(true, false);
}

static void
the_defaults_records_open_with_ours(void **state)
{
	(void)state;
	passes(false, true);
	passes(true, true);
}

static void
a_forged_record_is_wiped(void **state)
{
	for (int at = 0; at < 100 + AROUND; at += 7) {
		EVP_CIPHER_CTX *sealer = half(true, true), *opener = half(true, false);
		uint8_t buf[100 + AROUND], zero[100] = {0};

		memset(buf, 0x55, sizeof(buf));
		assert_int_equal(record(sealer, buf, 100, true, 1), 100 + AROUND);
		buf[at] ^= 0x10;
		assert_int_equal(record(opener, buf, 100, false, 1), 0);
		assert_string_equal(rig_reason(),
			"the tag does not fit: key, IV, additional data or ciphertext differ");
		assert_memory_equal(buf + 8, zero, 100);
		EVP_CIPHER_CTX_free(sealer);
		EVP_CIPHER_CTX_free(opener);
	}
	(void)state;
}

static void
another_sequence_number_is_refused(void **state)
{
	EVP_CIPHER_CTX *sealer = half(true, true), *opener = half(true, false);
	uint8_t buf[100 + AROUND] = {0};

	(void)state;
	assert_int_equal(record(sealer, buf, 100, true, 1), 100 + AROUND);
	assert_int_equal(record(opener, buf, 100, false, 2), 0);
	ERR_clear_error();
	EVP_CIPHER_CTX_free(sealer);
	EVP_CIPHER_CTX_free(opener);
}

static void
short_and_moved_records_are_refused(void **state)
{
	EVP_CIPHER_CTX *ctx = half(true, true);
	uint8_t buf[64] = {0}, out[64] = {0}, zero[64] = {0};
	uint8_t aad[13] = {0, 0, 0, 0, 0, 0, 0, 1, 23, 3, 3, 0, 7};
	int n;

	(void)state;
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, 13, aad), 16);
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, 12, aad), 16);
	aad[12] = 18;
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, 13, aad), 16);
	assert_int_equal(EVP_CipherUpdate(ctx, out, &n, buf, 34), 0); /* not in place */
	assert_memory_equal(out, zero, sizeof(out));
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, 13, aad), 16);
	assert_int_equal(EVP_CipherUpdate(ctx, buf, &n, buf, 23), 0);
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
}

/* Programs that build records themselves: the explicit IV by control, then AAD and data as usual. */
static void
explicit_ivs_by_control(void **state)
{
	EVP_CIPHER_CTX *sealer = half(true, true), *opener = half(false, false);
	uint8_t text[50] = {7}, out[50], back[50], tag[16], part[8];
	int n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(EVP_CIPHER_CTX_ctrl(sealer, EVP_CTRL_GCM_IV_GEN, 8, part), 1);
		assert_int_equal(EVP_EncryptUpdate(sealer, NULL, &n, part, 8), 1);
		assert_int_equal(EVP_EncryptUpdate(sealer, out, &n, text, 50), 1);
		assert_int_equal(EVP_EncryptFinal_ex(sealer, out, &n), 1);
		assert_int_equal(EVP_CIPHER_CTX_ctrl(sealer, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
		assert_int_equal(EVP_CIPHER_CTX_ctrl(opener, EVP_CTRL_GCM_SET_IV_INV, 8, part), 1);
		assert_int_equal(EVP_CIPHER_CTX_ctrl(opener, EVP_CTRL_AEAD_SET_TAG, 16, tag), 1);
		assert_int_equal(EVP_DecryptUpdate(opener, NULL, &n, part, 8), 1);
		assert_int_equal(EVP_DecryptUpdate(opener, back, &n, out, 50), 1);
		assert_int_equal(EVP_DecryptFinal_ex(opener, back, &n), 1);
		assert_memory_equal(back, text, 50);
	}
	EVP_CIPHER_CTX_free(sealer);
	EVP_CIPHER_CTX_free(opener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(our_records_open_with_the_default),
		cmocka_unit_test(the_defaults_records_open_with_ours),
		cmocka_unit_test(a_forged_record_is_wiped),
		cmocka_unit_test(another_sequence_number_is_refused),
		cmocka_unit_test(short_and_moved_records_are_refused),
		cmocka_unit_test(explicit_ivs_by_control),
	};
	int rc = rig_open(&rig);

	if (rc == 0)
		rc = cmocka_run_group_tests_name("provider_tls_record", tests, NULL, NULL);
	rig_close(&rig);
	return rc;
}
