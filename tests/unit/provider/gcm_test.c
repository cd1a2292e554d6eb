/* AES-GCM by sealock.so beside the default provider's, and the states of an IV. */
#include <cpuid.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rig.h"

#define LEN_MAX 4200
#define TAG 16

static struct rig rig;

static const uint8_t key[32] = {7, 1, 2, 3, 4, 5, 6};
static const uint8_t iv[16] = {9, 8, 7};
static const uint8_t aad[200] = {42, 1};

/* What one message is made of: pieces of AAD and of data, both cut anywhere. */
struct shape {
	unsigned key_bits;
	int iv_len, aad_len, aad_cut, len, cut;
	bool in_place;
};

static void
in_two(EVP_CIPHER_CTX *ctx, uint8_t *out, const uint8_t *in, int len, int cut)
{
	int n = 0, m = 0;

	cut = cut > len ? len : cut;
	assert_int_equal(EVP_CipherUpdate(ctx, out, &n, in, cut), 1);
	assert_int_equal(n, cut);
	assert_int_equal(
		EVP_CipherUpdate(ctx, out != NULL ? out + cut : NULL, &m, in + cut, len - cut), 1);
	assert_int_equal(m, len - cut);
}

static EVP_CIPHER_CTX *
begin(const struct shape *s, bool ours, bool seal)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, s->key_bits, ours);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	assert_int_equal(EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, seal, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, s->iv_len, NULL), 1);
	assert_int_equal(EVP_CipherInit_ex2(ctx, NULL, key, iv, seal, NULL), 1);
	EVP_CIPHER_free(cipher);
	return ctx;
}

static void
seal(const struct shape *s, bool ours, const uint8_t *plain, uint8_t *out, uint8_t tag[TAG])
{
	EVP_CIPHER_CTX *ctx = begin(s, ours, true);
	int n;

	if (s->aad_len > 0)
		in_two(ctx, NULL, aad, s->aad_len, s->aad_cut);
	if (s->in_place)
		memcpy(out, plain, (size_t)s->len);
	in_two(ctx, out, s->in_place ? out : plain, s->len, s->cut);
	assert_int_equal(EVP_CipherFinal_ex(ctx, out, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 1);
	EVP_CIPHER_CTX_free(ctx);
}

static int
open_with(const struct shape *s, const uint8_t *sealed, const uint8_t tag[TAG], uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = begin(s, true, false);
	int n;

	if (s->aad_len > 0)
		in_two(ctx, NULL, aad, s->aad_len, s->aad_cut);
	if (s->in_place)
		memcpy(out, sealed, (size_t)s->len);
	in_two(ctx, out, s->in_place ? out : sealed, s->len, s->cut);
	assert_int_equal(
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(uintptr_t)tag), 1);
	int good = EVP_CipherFinal_ex(ctx, out, &n);
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

static void
same_both_ways(const struct shape *s)
{
	static uint8_t plain[LEN_MAX], theirs[LEN_MAX], ours[LEN_MAX], opened[LEN_MAX];
	uint8_t their_tag[TAG], our_tag[TAG];

	for (int i = 0; i < s->len; i++)
		plain[i] = (uint8_t)(i * 7 + s->len);
	seal(s, false, plain, theirs, their_tag);
	seal(s, true, plain, ours, our_tag);
	assert_memory_equal(ours, theirs, s->len);
	assert_memory_equal(our_tag, their_tag, TAG);
	assert_int_equal(open_with(s, theirs, their_tag, opened), 1);
	assert_memory_equal(opened, plain, s->len);
	our_tag[s->len % TAG] ^= 1;
	assert_int_equal(open_with(s, theirs, our_tag, opened), 0);
	ERR_clear_error();
}

static void
equals_the_default_at_every_length(void **state)
{
	(void)state;
	for (int len = 0; len <= 700; len++)
		same_both_ways(&(struct shape){256, 12, 13, 5, len, len / 3, len % 2 == 0});
	for (int len = 701; len < LEN_MAX; len += 61)
		same_both_ways(&(struct shape){256, 12, 13, 5, len, len - 17, len % 2 == 0});
}

static void
equals_the_default_in_all_shapes(void **state)
{
	static const int iv_lens[] = {1, 8, 11, 12, 13, 16};
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		struct shape s = {128 + 64 * (i % 3), iv_lens[i % 6], rand_r(&seed) % 200,
			rand_r(&seed) % 200, rand_r(&seed) % 600, rand_r(&seed) % 600, i % 2 == 0};
		same_both_ways(&s);
	}
}

static void
many_small_pieces_equal_one(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t plain[1000], whole[1000], out[1000], tag[TAG], want[TAG];
	int at = 0, n;

	(void)state;
	memset(plain, 3, sizeof(plain));
	seal(&(struct shape){256, 12, 200, 0, sizeof(plain), 0, false}, false, plain, whole, want);
	for (int i = 0; i < 200; i++)
		assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad + i, 1), 1);
	for (int piece = 1; at < (int)sizeof(plain); piece = piece % 37 + 1) {
		int len = piece < (int)sizeof(plain) - at ? piece : (int)sizeof(plain) - at;
		assert_int_equal(EVP_EncryptUpdate(ctx, out + at, &n, plain + at, len), 1);
		at += n;
	}
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 1);
	assert_memory_equal(out, whole, sizeof(whole));
	assert_memory_equal(tag, want, TAG);
	EVP_CIPHER_CTX_free(ctx);
}

static void
long_aad_is_kept(void **state)
{
	EVP_CIPHER_CTX *ctx[2];
	uint8_t tags[2][TAG], chunk[5000];
	int n;

	(void)state;
	memset(chunk, 0x5a, sizeof(chunk));
	for (int i = 0; i < 2; i++) {
		ctx[i] = begin(&(struct shape){.key_bits = 128, .iv_len = 12}, i == 0, true);
		for (int k = 0; k < 40; k++)
			assert_int_equal(EVP_EncryptUpdate(ctx[i], NULL, &n, chunk, 4999 - k), 1);
		EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();
		assert_int_equal(EVP_CIPHER_CTX_copy(copy, ctx[i]), 1);
		EVP_CIPHER_CTX_free(ctx[i]);
		assert_int_equal(EVP_EncryptFinal_ex(copy, NULL, &n), 1);
		assert_int_equal(EVP_CIPHER_CTX_ctrl(copy, EVP_CTRL_AEAD_GET_TAG, TAG, tags[i]), 1);
		EVP_CIPHER_CTX_free(copy);
	}
	assert_memory_equal(tags[0], tags[1], TAG);
}

static void
a_copy_goes_its_own_way(void **state)
{
	struct shape s = {256, 12, 20, 9, 100, 37, false};
	EVP_CIPHER_CTX *ctx = begin(&s, true, true), *copy = EVP_CIPHER_CTX_new();
	uint8_t plain[100] = {1}, out[2][100], want[100], tags[2][TAG], tag[TAG];
	int n;

	(void)state;
	seal(&s, false, plain, want, tag);
	in_two(ctx, NULL, aad, 20, 9);
	assert_int_equal(EVP_EncryptUpdate(ctx, out[0], &n, plain, 37), 1);
	memcpy(out[1], out[0], 37);
	assert_int_equal(EVP_CIPHER_CTX_copy(copy, ctx), 1);
	EVP_CIPHER_CTX *both[] = {ctx, copy};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(EVP_EncryptUpdate(both[i], out[i] + 37, &n, plain + 37, 63), 1);
		assert_int_equal(EVP_EncryptFinal_ex(both[i], NULL, &n), 1);
		assert_int_equal(
			EVP_CIPHER_CTX_ctrl(both[i], EVP_CTRL_AEAD_GET_TAG, TAG, tags[i]), 1);
		assert_memory_equal(out[i], want, 100);
		assert_memory_equal(tags[i], tag, TAG);
		EVP_CIPHER_CTX_free(both[i]);
	}
}

/* The same context through keys that differ in one bit anywhere, and the same key again. */
static void
each_key_is_taken(void **state)
{
	(void)state;
	for (unsigned bits = 128; bits <= 256; bits += 64) {
		EVP_CIPHER_CTX *ctx[2] = {EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new()};
		EVP_CIPHER *ciphers[2] = {
			rig_cipher(&rig, bits, true), rig_cipher(&rig, bits, false)};
		uint8_t k[32] = {0}, out[2][40], tag[2][TAG];
		for (unsigned bit = 0; bit <= 2 * bits; bit++) {
			if (bit % 2 == 0 && bit < 2 * bits)
				k[bit / 16] ^= (uint8_t)(1u << bit / 2 % 8);
			for (int i = 0; i < 2; i++) {
				int n;
				assert_int_equal(
					EVP_EncryptInit_ex2(ctx[i], ciphers[i], k, iv, NULL), 1);
				assert_int_equal(EVP_EncryptUpdate(ctx[i], out[i], &n, aad, 40), 1);
				assert_int_equal(EVP_EncryptFinal_ex(ctx[i], out[i], &n), 1);
				assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx[i], EVP_CTRL_AEAD_GET_TAG,
							 TAG, tag[i]),
					1);
			}
			assert_memory_equal(out[0], out[1], 40);
			assert_memory_equal(tag[0], tag[1], TAG);
		}
		for (int i = 0; i < 2; i++) {
			EVP_CIPHER_CTX_free(ctx[i]);
			EVP_CIPHER_free(ciphers[i]);
		}
	}
}

/* --- the states of an IV --- */

static void
refused(EVP_CIPHER_CTX *ctx, const char *why)
{
	uint8_t out[16] = {0}, zero[16] = {0};
	int n = 0;

	assert_int_equal(EVP_CipherUpdate(ctx, out, &n, (const uint8_t *)"abcdefgh", 8), 0);
	assert_string_equal(rig_reason(), why);
	assert_memory_equal(out, zero, sizeof(out));
	assert_int_equal(EVP_CipherFinal_ex(ctx, out, &n), 0);
	assert_string_equal(rig_reason(), why);
}

#define NO_IV "each message needs an IV of its own: set one first"

static void
a_second_message_needs_an_iv(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t out[16];
	int n;

	(void)state;
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out, &n), 1);
	refused(ctx, NO_IV);
	/* Neither the key again nor the direction makes it a new one. */
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, key, NULL, NULL), 1);
	refused(ctx, NO_IV);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out, &n), 1);
	EVP_CIPHER_CTX_free(ctx);
}

static void
a_key_in_mid_message_ends_it(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t out[16];
	int n;

	(void)state;
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, NULL, key, NULL, NULL), 1);
	refused(ctx, NO_IV);
	EVP_CIPHER_CTX_free(ctx);
}

static void
without_a_key_nothing_runs(void **state)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, 256, true);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	(void)state;
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, NULL, iv, NULL), 1);
	refused(ctx, "no key was set");
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
}

static void
an_iv_of_another_length_is_none(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, false);

	(void)state;
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 16, NULL), 1);
	refused(ctx, NO_IV);
	EVP_CIPHER_CTX_free(ctx);
}

static void
sealing_without_an_iv_takes_a_random_one(void **state)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, 256, true);
	uint8_t ivs[2][12], out[16];
	int n;

	(void)state;
	for (int i = 0; i < 2; i++) {
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL), 1);
		assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
		assert_int_equal(EVP_CIPHER_CTX_get_updated_iv(ctx, ivs[i], 12), 1);
		EVP_CIPHER_CTX_free(ctx);
	}
	assert_memory_not_equal(ivs[0], ivs[1], 12);
	EVP_CIPHER_free(cipher);
}

static void
aad_after_data_is_refused(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t out[16];
	int n;

	(void)state;
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad, 5), 0);
	assert_string_equal(rig_reason(), "additional data after data");
	EVP_CIPHER_CTX_free(ctx);
}

static void
opening_needs_a_tag(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, false);
	uint8_t out[16];
	int n;

	(void)state;
	assert_int_equal(EVP_DecryptUpdate(ctx, out, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_DecryptFinal_ex(ctx, out, &n), 0);
	assert_string_equal(rig_reason(), "no tag to check was set");
	EVP_CIPHER_CTX_free(ctx);
}

/* What is given out is what the program sees: neither tag nor IV where there is none. */
/* Sets len bytes of tag and ends the message. */
static int
opens_with_tag(bool ours, const uint8_t sealed[5], const uint8_t *tag, int len)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, ours, false);
	uint8_t out[16];
	int n;

	int good = EVP_DecryptUpdate(ctx, out, &n, sealed, 5) == 1 &&
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, len, (void *)(uintptr_t)tag) == 1 &&
		EVP_DecryptFinal_ex(ctx, out, &n) == 1;
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	return good;
}

/* A program that sets fewer bytes gets what it gets of the default provider: those are compared, each of them. */
static void
a_truncated_tag_is_compared_to_its_last_byte(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t sealed[16], tag[17] = {0};
	int n;

	(void)state;
	assert_int_equal(EVP_EncryptUpdate(ctx, sealed, &n, (const uint8_t *)"hello", 5), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, sealed + 5, &n), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, tag), 1);
	EVP_CIPHER_CTX_free(ctx);
	for (int len = 1; len <= TAG; len++) {
		assert_int_equal(opens_with_tag(true, sealed, tag, len), 1);
		for (int at = 0; at < len; at++) {
			tag[at] ^= 1;
			assert_int_equal(opens_with_tag(true, sealed, tag, len), 0);
			tag[at] ^= 1;
		}
		assert_int_equal(opens_with_tag(false, sealed, tag, len), 1);
	}
	assert_int_equal(opens_with_tag(true, sealed, tag, 0), 0);
	assert_int_equal(opens_with_tag(true, sealed, tag, TAG + 1), 0);
}

static void
parameters_out_of_range_are_refused(void **state)
{
	EVP_CIPHER_CTX *ctx = begin(&(struct shape){.key_bits = 256, .iv_len = 12}, true, true);
	uint8_t tag[32] = {0}, zero[32] = {0};

	(void)state;
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
	assert_memory_equal(tag, zero, sizeof(tag));
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, tag), 1);
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 0, NULL), 1);
	assert_int_not_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, 129, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_get_iv_length(ctx), 12);
	assert_int_equal(EVP_CIPHER_CTX_get_key_length(ctx), 32);
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
}

static void
the_algorithm_is_what_openssl_says(void **state)
{
	(void)state;
	for (unsigned bits = 128; bits <= 256; bits += 64) {
		EVP_CIPHER *ours = rig_cipher(&rig, bits, true),
			   *theirs = rig_cipher(&rig, bits, false);
		assert_int_equal(EVP_CIPHER_get_mode(ours), EVP_CIPHER_get_mode(theirs));
		assert_int_equal(
			EVP_CIPHER_get_key_length(ours), EVP_CIPHER_get_key_length(theirs));
		assert_int_equal(EVP_CIPHER_get_iv_length(ours), EVP_CIPHER_get_iv_length(theirs));
		assert_int_equal(
			EVP_CIPHER_get_block_size(ours), EVP_CIPHER_get_block_size(theirs));
		assert_int_equal(EVP_CIPHER_get_flags(ours), EVP_CIPHER_get_flags(theirs));
		assert_int_equal(EVP_CIPHER_get_nid(ours), EVP_CIPHER_get_nid(theirs));
		EVP_CIPHER_free(ours);
		EVP_CIPHER_free(theirs);
	}
}

static bool
offers(const char *ciphers)
{
	OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();

	rig_configure(libctx, ciphers);
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(libctx, "AES-128-GCM", "provider=sealock");
	bool there = cipher != NULL;
	EVP_CIPHER_free(cipher);
	OSSL_LIB_CTX_free(libctx);
	ERR_clear_error();
	return there;
}

/* By itself it steps aside where OpenSSL has wide code of its own: since 3.1, on CPUs that run it. */
static void
the_setting_says_whether_ciphers_are_offered(void **state)
{
	unsigned a, b, c, d;
	bool as_wide = OpenSSL_version_num() >= 0x30100000L && __builtin_cpu_supports("avx512vl") &&
		__get_cpuid_count(7, 0, &a, &b, &c, &d) == 1 && (c & bit_VAES) != 0;

	(void)state;
	assert_true(offers("always"));
	assert_false(offers("never"));
	assert_int_equal(offers("auto"), !as_wide);
}

static void
known_answers_on_demand(void **state)
{
	(void)state;
	assert_int_equal(OSSL_PROVIDER_self_test(rig.ours), 1);
}

/* As openssl.cnf says it: default_properties = ?sealock.cipher=yes */
static void
the_property_prefers_our_ciphers_and_nothing_else(void **state)
{
	(void)state;
	EVP_CIPHER *before = EVP_CIPHER_fetch(rig.libctx, "AES-256-GCM", NULL);
	assert_ptr_equal(EVP_CIPHER_get0_provider(before), rig.theirs);
	assert_int_equal(EVP_set_default_properties(rig.libctx, "?sealock.cipher=yes"), 1);
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(rig.libctx, "AES-256-GCM", NULL);
	EVP_CIPHER *cbc = EVP_CIPHER_fetch(rig.libctx, "AES-256-CBC", NULL);
	EVP_KEYMGMT *ec = EVP_KEYMGMT_fetch(rig.libctx, "EC", NULL);
	EVP_SIGNATURE *rsa = EVP_SIGNATURE_fetch(rig.libctx, "RSA", NULL);
	assert_ptr_equal(EVP_CIPHER_get0_provider(gcm), rig.ours);
	assert_ptr_equal(EVP_CIPHER_get0_provider(cbc), rig.theirs);
	assert_ptr_equal(EVP_KEYMGMT_get0_provider(ec), rig.theirs);
	assert_ptr_equal(EVP_SIGNATURE_get0_provider(rsa), rig.theirs);
	assert_int_equal(EVP_set_default_properties(rig.libctx, ""), 1);
	EVP_CIPHER_free(before);
	EVP_CIPHER_free(gcm);
	EVP_CIPHER_free(cbc);
	EVP_KEYMGMT_free(ec);
	EVP_SIGNATURE_free(rsa);
}

/* --- pipelines --- */

#ifdef OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG
#define PIPES 7

/* Each pipe gives what a message by itself gives; one wrong tag is noticed. */
static void
run_pipes(const unsigned char **ivs, const unsigned char **in, const size_t *len,
	unsigned char **out, unsigned char **tags, bool seal, int want)
{
	EVP_CIPHER *cipher = rig_cipher(&rig, 256, true);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	const unsigned char *aads[PIPES];
	size_t aad_len[PIPES], out_len[PIPES], room[PIPES];
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_ptr(OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG, (void **)&tags, TAG),
		OSSL_PARAM_END};

	assert_int_equal(EVP_CIPHER_can_pipeline(cipher, seal), 1);
	for (int i = 0; i < PIPES; i++) {
		aads[i] = aad;
		aad_len[i] = 13;
		room[i] = LEN_MAX;
	}
	assert_int_equal(seal ? EVP_CipherPipelineEncryptInit(ctx, cipher, key, 32, PIPES, ivs, 12)
			      : EVP_CipherPipelineDecryptInit(ctx, cipher, key, 32, PIPES, ivs, 12),
		1);
	assert_int_equal(EVP_CipherPipelineUpdate(ctx, NULL, out_len, NULL, aads, aad_len), 1);
	assert_int_equal(EVP_CipherPipelineUpdate(ctx, out, out_len, room, in, len), 1);
	for (int i = 0; i < PIPES; i++)
		assert_int_equal(out_len[i], len[i]);
	if (!seal)
		assert_int_equal(EVP_CIPHER_CTX_set_params(ctx, params), 1);
	assert_int_equal(EVP_CipherPipelineFinal(ctx, out, out_len, room), want);
	if (seal)
		assert_int_equal(EVP_CIPHER_CTX_get_params(ctx, params), 1);
	ERR_clear_error();
	EVP_CIPHER_CTX_free(ctx);
	EVP_CIPHER_free(cipher);
}
#endif

static void
pipes_are_messages_of_their_own(void **state)
{
	(void)state;
#ifdef OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG
	static uint8_t plain[LEN_MAX], sealed[PIPES][LEN_MAX], opened[PIPES][LEN_MAX],
		alone[LEN_MAX];
	static uint8_t iv_of[PIPES][12], tag_of[PIPES][TAG];
	const unsigned char *ivs[PIPES], *in[PIPES];
	unsigned char *out[PIPES], *tags[PIPES], tag[TAG];
	size_t len[PIPES];

	memset(plain, 0x33, sizeof(plain));
	for (int i = 0; i < PIPES; i++) {
		memcpy(iv_of[i], iv, 12);
		ivs[i] = iv_of[i];
		in[i] = plain;
		len[i] = (size_t)i * 577 + 1;
		out[i] = sealed[i];
		tags[i] = tag_of[i];
	}
	run_pipes(ivs, in, len, out, tags, true, 1);
	for (int i = 0; i < PIPES; i++) {
		seal(&(struct shape){256, 12, 13, 5, (int)len[i], 9, false}, false, plain, alone,
			tag);
		assert_memory_equal(sealed[i], alone, len[i]);
		assert_memory_equal(tag_of[i], tag, TAG);
		in[i] = sealed[i];
		out[i] = opened[i];
	}
	run_pipes(ivs, in, len, out, tags, false, 1);
	for (int i = 0; i < PIPES; i++)
		assert_memory_equal(opened[i], plain, len[i]);
	tag_of[3][5] ^= 1;
	run_pipes(ivs, in, len, out, tags, false, 0);
#else
	print_message("skipped: OpenSSL has pipelines of providers since 3.5\n");
	skip();
#endif
}

/* --- threads and fork --- */

static void *
storm(void *arg)
{
	(void)arg;
	for (int i = 0; i < 200; i++)
		same_both_ways(&(struct shape){256, 12, 0, 0, 0, 0, false});
	return NULL;
}

static void
threads_do_not_meet(void **state)
{
	pthread_t threads[8];

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm, NULL), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void
a_child_goes_on_with_live_contexts(void **state)
{
	struct shape s = {256, 12, 0, 0, 64, 32, false};
	EVP_CIPHER_CTX *ctx = begin(&s, true, true);
	uint8_t plain[64] = {5}, want[64], tag[TAG], out[64];
	int n, status;

	(void)state;
	seal(&s, false, plain, want, tag);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, plain, 32), 1);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		bool good = EVP_EncryptUpdate(ctx, out + 32, &n, plain + 32, 32) == 1 &&
			EVP_EncryptFinal_ex(ctx, out, &n) == 1 && memcmp(out, want, 64) == 0;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	EVP_CIPHER_CTX_free(ctx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_the_default_at_every_length),
		cmocka_unit_test(equals_the_default_in_all_shapes),
		cmocka_unit_test(many_small_pieces_equal_one),
		cmocka_unit_test(long_aad_is_kept),
		cmocka_unit_test(a_copy_goes_its_own_way),
		cmocka_unit_test(each_key_is_taken),
		cmocka_unit_test(a_second_message_needs_an_iv),
		cmocka_unit_test(a_key_in_mid_message_ends_it),
		cmocka_unit_test(without_a_key_nothing_runs),
		cmocka_unit_test(an_iv_of_another_length_is_none),
		cmocka_unit_test(sealing_without_an_iv_takes_a_random_one),
		cmocka_unit_test(aad_after_data_is_refused),
		cmocka_unit_test(opening_needs_a_tag),
		cmocka_unit_test(a_truncated_tag_is_compared_to_its_last_byte),
		cmocka_unit_test(parameters_out_of_range_are_refused),
		cmocka_unit_test(the_algorithm_is_what_openssl_says),
		cmocka_unit_test(the_setting_says_whether_ciphers_are_offered),
		cmocka_unit_test(known_answers_on_demand),
		cmocka_unit_test(the_property_prefers_our_ciphers_and_nothing_else),
		cmocka_unit_test(pipes_are_messages_of_their_own),
		cmocka_unit_test(threads_do_not_meet),
		cmocka_unit_test(a_child_goes_on_with_live_contexts),
	};
	int rc = rig_open(&rig);

	if (rc == 0)
		rc = cmocka_run_group_tests_name("provider_gcm", tests, NULL, NULL);
	rig_close(&rig);
	return rc;
}
