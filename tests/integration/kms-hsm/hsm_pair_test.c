/* Key pairs, and keys that are listed, destroyed and re-wrapped, on a healthy token (see hsm_rig.h for which). */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>

#include "hsm/profile.h"
#include "hsm/public.h"
#include "hsm_rig.h"

#define CREATE_MS 60000u /* RSA_4096 on a busy machine, under a sanitizer */

static struct hsm_rig rig;
static OSSL_LIB_CTX *openssl;

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
	rig.deadline_ms = CREATE_MS;
	hsm_rig_start(&rig);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	hsm_rig_fini(&rig);
	return 0;
}

/* A pair and its public key. */
struct pair {
	enum kms_spec spec;
	enum kms_usage usage;
	uint8_t fill, kcv[3];
	EVP_PKEY *public;
};

static struct hsm_request
request_for(const struct pair *p, enum hsm_op op)
{
	struct hsm_request q = {.op = op, .spec = p->spec, .usage = p->usage};

	memset(q.key_id, p->fill, sizeof(q.key_id));
	if (op != HSM_CREATE_KEY)
		memcpy(q.kcv, p->kcv, sizeof(q.kcv));
	return q;
}

static EVP_PKEY *
parse(struct slk_span der)
{
	const unsigned char *at = der.ptr;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)der.len);

	assert_non_null(key);
	assert_ptr_equal(at, der.ptr + der.len);
	return key;
}

static void
create(struct pair *p)
{
	struct hsm_request q = request_for(p, HSM_CREATE_KEY);
	struct hsm_reply reply;
	uint8_t kcv[3];

	q.mono_deadline_ns = slk_mono_ns(slk_clock_system()) + CREATE_MS * SLK_NS_PER_MS;
	hsm_rig_call(&rig, &q, &reply);
	if (reply.status != SLK_OK)
		fail_msg("%s: %s", slk_status_name(reply.status), reply.error);
	assert_false(reply.existed);
	assert_true(reply.output.len > 0);
	memcpy(p->kcv, reply.kcv, 3);
	assert_ok(hsm_public_check_value(openssl, reply.output, kcv));
	assert_memory_equal(kcv, p->kcv, 3);
	p->public = parse(reply.output);
}

static void
release(struct pair *p)
{
	EVP_PKEY_free(p->public);
}

static int
sign(const struct pair *p, enum kms_algorithm algorithm, uint8_t fill, struct hsm_reply *out)
{
	struct hsm_request q = request_for(p, HSM_SIGN);
	uint8_t digest[64];

	memset(digest, fill, sizeof(digest));
	q.algorithm = algorithm;
	q.data = slk_span(digest, kms_algorithm_digest_bytes(algorithm));
	hsm_rig_call(&rig, &q, out);
	return out->status;
}

static int
verify(const struct pair *p, enum kms_algorithm algorithm, uint8_t fill, struct slk_span signature)
{
	struct hsm_request q = request_for(p, HSM_VERIFY);
	struct hsm_reply reply;
	uint8_t digest[64];

	memset(digest, fill, sizeof(digest));
	q.algorithm = algorithm;
	q.data = slk_span(digest, kms_algorithm_digest_bytes(algorithm));
	q.extra = signature;
	hsm_rig_call(&rig, &q, &reply);
	return reply.status;
}

static void
sign_and_verify_with(const struct pair *p, enum kms_algorithm algorithm)
{
	uint8_t digest[64], copy[KMS_SIGNATURE_MAX];
	struct hsm_reply reply;

	memset(digest, 3, sizeof(digest));
	assert_ok(sign(p, algorithm, 3, &reply));
	struct slk_span signature = slk_span(copy, reply.output.len);
	memcpy(copy, reply.output.ptr, reply.output.len);
	assert_ok(hsm_public_verify(openssl, p->public, algorithm,
		slk_span(digest, kms_algorithm_digest_bytes(algorithm)), signature));
	assert_ok(verify(p, algorithm, 3, signature));
	assert_int_equal(verify(p, algorithm, 4, signature), SLK_BAD_TAG);
	copy[signature.len / 2] ^= 1;
	assert_int_equal(verify(p, algorithm, 3, signature), SLK_BAD_TAG);
}

static void
a_pair_of_each_curve_signs_and_verifies(void **state)
{
	(void)state;
	static const struct {
		enum kms_spec spec;
		enum kms_algorithm algorithm;
	} rows[] = {{KMS_SPEC_ECC_NIST_P256, KMS_ALG_ECDSA_SHA_256},
		{KMS_SPEC_ECC_NIST_P384, KMS_ALG_ECDSA_SHA_384},
		{KMS_SPEC_ECC_NIST_P521, KMS_ALG_ECDSA_SHA_512}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = {rows[i].spec, KMS_USAGE_SIGN_VERIFY, (uint8_t)(20 + i), {0}, NULL};
		create(&p);
		sign_and_verify_with(&p, rows[i].algorithm);
		release(&p);
	}
}

static struct hsm_reply list(uint8_t after, uint32_t max);

static void
health_tells_what_the_token_can_do(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS can do OAEP with SHA-256");
	const uint32_t oaep_sha_256 = KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_256);

	hsm_rig_wait_state(&rig, HSM_READY);
	struct hsm_health h = hsm_rig_health(&rig);
	assert_int_equal(h.specs, KMS_BIT(KMS_SPEC_COUNT) - 1);
	/* SoftHSM lists OAEP and knows SHA-1 alone. */
	assert_int_equal(h.algorithms, (KMS_BIT(KMS_ALG_COUNT) - 1) & ~oaep_sha_256);
	/* Found out without generating an RSA key. */
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKeyPair), 3);
	assert_int_equal(list(0, 9).output.len, 0);
}

static void
a_pair_made_twice_is_made_once(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	struct hsm_request q = request_for(&p, HSM_CREATE_KEY);
	struct hsm_reply reply;

	create(&p);
	uint64_t made = p11shim_calls(rig.shim, P11SHIM_C_GenerateKeyPair);
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	assert_true(reply.existed);
	assert_memory_equal(reply.kcv, p.kcv, 3);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKeyPair), made);
	release(&p);
}

static void
a_pair_is_refused_for_another_usage_and_as_another_kind(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	struct hsm_reply reply;
	uint8_t kcv[3];

	create(&p);
	struct pair other = p;
	other.spec = KMS_SPEC_ECC_NIST_P384;
	assert_int_equal(sign(&other, KMS_ALG_ECDSA_SHA_384, 1, &reply), SLK_CORRUPT);
	assert_int_equal(reply.output.len, 0);
	assert_int_equal(hsm_rig_generate(&rig, 4, p.kcv, &reply), SLK_NOT_FOUND);
	/* Neither is anything made beside it. */
	assert_int_equal(hsm_rig_create(&rig, 4, kcv), SLK_CORRUPT);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_GenerateKey),
		hsm_rig_health(&rig).recoveries_count + 1);
	assert_ok(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply));
	release(&p);
}

static uint64_t
calls_of_all_functions(void)
{
	uint64_t sum = 0;

	for (int f = 0; f < P11SHIM_COUNT; f++)
		sum += p11shim_calls(rig.shim, (enum p11shim_function)f);
	return sum;
}

/* The fewest of several: the keeper's beat may fall into one, and where handles are of one session each session
 * searches once. A search at each signature would be in all of them. */
static void
signing_costs_the_token_two_calls(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	struct hsm_reply reply;
	uint64_t fewest = UINT64_MAX;

	create(&p);
	for (unsigned i = 0; i < 4 * HSM_SESSIONS_MAX; i++) {
		uint64_t before = calls_of_all_functions();
		assert_ok(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply));
		uint64_t cost = calls_of_all_functions() - before;
		fewest = cost < fewest ? cost : fewest;
	}
	assert_int_equal(fewest, 2);
	assert_ok(verify(&p, KMS_ALG_ECDSA_SHA_256, 1, reply.output));
	release(&p);
}

static void
a_wrong_signature_never_leaves(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	struct hsm_reply reply;

	create(&p);
	atomic_store(&rig.shim->wrong_signatures, 1);
	assert_int_not_equal(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply), SLK_OK);
	assert_int_equal(reply.output.len, 0);
	/* A token that always does so has a bad key, not a lost link. */
	assert_int_equal(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply), SLK_CORRUPT);
	atomic_store(&rig.shim->wrong_signatures, 0);
	hsm_rig_stop(&rig);
	hsm_rig_start(&rig);
	assert_ok(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply));
	release(&p);
}

/* --- RSA, on one token for all tests, for its keys take long to make --- */

static struct pair rsa_sign = {KMS_SPEC_RSA_2048, KMS_USAGE_SIGN_VERIFY, 30, {0}, NULL};
static struct pair rsa_crypt = {KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, 31, {0}, NULL};

static int
rsa_setup(void **state)
{
	setup(state);
	openssl = hsm_public_context_new();
	assert_non_null(openssl);
	create(&rsa_sign);
	create(&rsa_crypt);
	return 0;
}

static int
rsa_teardown(void **state)
{
	release(&rsa_sign);
	release(&rsa_crypt);
	hsm_public_context_free(openssl);
	return teardown(state);
}

static void
an_rsa_pair_signs_with_each_algorithm(void **state)
{
	(void)state;
	for (int a = KMS_ALG_RSASSA_PSS_SHA_256; a <= KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512; a++)
		sign_and_verify_with(&rsa_sign, (enum kms_algorithm)a);
}

static void
larger_rsa_pairs_are_made_and_sign(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_RSA_3072, KMS_USAGE_SIGN_VERIFY, 32, {0}, NULL};
	struct pair q = {KMS_SPEC_RSA_4096, KMS_USAGE_SIGN_VERIFY, 33, {0}, NULL};

	create(&p);
	sign_and_verify_with(&p, KMS_ALG_RSASSA_PSS_SHA_384);
	create(&q);
	assert_int_equal(EVP_PKEY_get_bits(q.public), 4096);
	sign_and_verify_with(&q, KMS_ALG_RSASSA_PKCS1_V1_5_SHA_512);
	release(&p);
	release(&q);
}

static int
crypt(enum hsm_op op, enum kms_algorithm algorithm, struct slk_span data, struct hsm_reply *out)
{
	struct hsm_request q = request_for(&rsa_crypt, op);

	q.algorithm = algorithm;
	q.data = data;
	hsm_rig_call(&rig, &q, out);
	return out->status;
}

static void
what_is_encrypted_outside_decrypts_in_the_token(void **state)
{
	(void)state;
	uint8_t data[214], ciphertext[KMS_SIGNATURE_MAX];
	struct hsm_reply reply;
	size_t len = 0;

	memset(data, 0x42, sizeof(data));
	for (size_t n = 1; n <= sizeof(data); n += 213) {
		assert_ok(hsm_public_encrypt(openssl, rsa_crypt.public, KMS_ALG_RSAES_OAEP_SHA_1,
			slk_span(data, n), ciphertext, &len));
		assert_ok(crypt(
			HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_1, slk_span(ciphertext, len), &reply));
		assert_true(slk_span_equal(reply.plaintext, slk_span(data, n)));
		assert_ok(crypt(HSM_ENCRYPT, KMS_ALG_RSAES_OAEP_SHA_1, slk_span(data, n), &reply));
		assert_memory_not_equal(reply.ciphertext.ptr, ciphertext, len);
		assert_ok(crypt(HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_1, reply.ciphertext, &reply));
		assert_true(slk_span_equal(reply.plaintext, slk_span(data, n)));
	}
	uint8_t long_data[215] = {0};
	assert_int_equal(crypt(HSM_ENCRYPT, KMS_ALG_RSAES_OAEP_SHA_1,
				 slk_span(long_data, sizeof(long_data)), &reply),
		SLK_INVALID);
}

static void
a_changed_rsa_ciphertext_is_told_from_a_lost_token(void **state)
{
	(void)state;
	uint8_t ciphertext[KMS_SIGNATURE_MAX];
	struct hsm_reply reply;
	size_t len = 0;

	assert_ok(hsm_public_encrypt(openssl, rsa_crypt.public, KMS_ALG_RSAES_OAEP_SHA_1,
		slk_span_str("secret"), ciphertext, &len));
	for (size_t at = 0; at < len; at += 51) {
		ciphertext[at] ^= 1;
		assert_int_equal(crypt(HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_1,
					 slk_span(ciphertext, len), &reply),
			SLK_INVALID_CIPHERTEXT);
		assert_int_equal(reply.plaintext.len, 0);
		ciphertext[at] ^= 1;
	}
	uint8_t all_ones[256];
	memset(all_ones, 0xff, sizeof(all_ones)); /* not below the modulus */
	assert_int_equal(
		crypt(HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_1, slk_span(all_ones, 256), &reply),
		SLK_INVALID_CIPHERTEXT);
	uint64_t asked = p11shim_calls(rig.shim, P11SHIM_C_DecryptInit);
	assert_int_equal(
		crypt(HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_1, slk_span(ciphertext, len - 1), &reply),
		SLK_INVALID_CIPHERTEXT);
	/* The length was told without the token, and the canary sang. */
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_DecryptInit), asked + 1);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static void
oaep_with_sha_256_is_unsupported_and_the_token_is_not_asked(void **state)
{
	(void)state;
	hsm_rig_skip_on(RIG_NSS, "NSS can do OAEP with SHA-256");
	struct hsm_reply reply;
	uint8_t data[256] = {1};

	uint64_t asked = p11shim_calls(rig.shim, P11SHIM_C_DecryptInit);
	assert_int_equal(
		crypt(HSM_DECRYPT, KMS_ALG_RSAES_OAEP_SHA_256, slk_span(data, 256), &reply),
		SLK_UNSUPPORTED);
	assert_int_equal(crypt(HSM_ENCRYPT, KMS_ALG_RSAES_OAEP_SHA_256, slk_span(data, 9), &reply),
		SLK_UNSUPPORTED);
	assert_int_equal(reply.ciphertext.len, 0);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_DecryptInit), asked);
}

static void
rsa_pairs_outlive_the_worker(void **state)
{
	(void)state;
	struct hsm_request q = request_for(&rsa_sign, HSM_OPEN_KEY);
	struct hsm_reply reply;

	hsm_rig_stop(&rig);
	hsm_rig_start(&rig);
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	EVP_PKEY *key = parse(reply.output);
	assert_int_equal(EVP_PKEY_eq(key, rsa_sign.public), 1);
	EVP_PKEY_free(key);
	sign_and_verify_with(&rsa_sign, KMS_ALG_RSASSA_PSS_SHA_256);
}

/* --- keys that are listed, destroyed, re-wrapped --- */

static struct hsm_reply
list(uint8_t after, uint32_t max)
{
	static uint8_t copy[HSM_OUTPUT_MAX];
	struct hsm_request q = {.op = HSM_LIST_KEYS, .length = max};
	struct hsm_reply reply;

	memset(q.key_id, after, sizeof(q.key_id));
	hsm_rig_call(&rig, &q, &reply);
	assert_ok(reply.status);
	memcpy(copy, reply.output.ptr, reply.output.len);
	reply.output.ptr = copy;
	return reply;
}

static void
assert_entry(struct slk_span out, size_t i, uint8_t fill, uint8_t kind)
{
	assert_true(out.len >= (i + 1) * HSM_LIST_ENTRY_BYTES);
	assert_int_equal(out.ptr[i * HSM_LIST_ENTRY_BYTES], fill);
	assert_int_equal(out.ptr[(i + 1) * HSM_LIST_ENTRY_BYTES - 1], kind);
}

static void
keys_are_listed_in_order_and_page_by_page(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	uint8_t kcv[3];

	assert_int_equal(list(0, HSM_LIST_MAX).output.len, 0);
	for (uint8_t fill = 9; fill > 4; fill -= 2)
		assert_ok(hsm_rig_create(&rig, fill, kcv));
	create(&p);
	release(&p);
	struct slk_span all = list(0, HSM_LIST_MAX).output;
	assert_int_equal(all.len, 4 * HSM_LIST_ENTRY_BYTES);
	assert_entry(all, 0, 4, 1);
	assert_entry(all, 1, 5, 0);
	assert_entry(all, 3, 9, 0);
	struct slk_span page = list(0, 3).output;
	assert_int_equal(page.len, 3 * HSM_LIST_ENTRY_BYTES);
	assert_entry(page, 2, 7, 0);
	page = list(7, 3).output;
	assert_int_equal(page.len, HSM_LIST_ENTRY_BYTES);
	assert_entry(page, 0, 9, 0);
	assert_int_equal(list(9, 3).output.len, 0);
}

static int
destroy(const struct pair *p, bool any, bool *out_existed)
{
	struct hsm_request q = request_for(p, HSM_DESTROY_KEY);
	struct hsm_reply reply;

	if (any)
		memset(q.kcv, 0, sizeof(q.kcv));
	hsm_rig_call(&rig, &q, &reply);
	*out_existed = reply.existed;
	return reply.status;
}

static void
a_destroyed_key_is_gone_and_its_absence_is_believed(void **state)
{
	(void)state;
	struct pair p = {.fill = 7};
	struct hsm_reply reply;
	bool existed;

	assert_ok(hsm_rig_create(&rig, 7, p.kcv));
	assert_ok(hsm_rig_generate(&rig, 7, p.kcv, &reply));
	assert_ok(destroy(&p, false, &existed));
	assert_true(existed);
	assert_int_equal(hsm_rig_generate(&rig, 7, p.kcv, &reply), SLK_NOT_FOUND);
	assert_int_equal(list(0, 9).output.len, 0);
	/* Asked again, it is gone, and the token is not started anew for it. */
	uint64_t started = p11shim_calls(rig.shim, P11SHIM_C_Initialize);
	assert_ok(destroy(&p, false, &existed));
	assert_false(existed);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Initialize), started);
	assert_int_equal(hsm_rig_health(&rig).keys_count, 0);
}

static void
absence_of_a_key_never_seen_is_believed_of_a_token_started_anew(void **state)
{
	(void)state;
	struct pair p = {.fill = 7, .kcv = {1, 2, 3}};
	bool existed = true;

	hsm_rig_wait_state(&rig, HSM_READY);
	uint64_t started = p11shim_calls(rig.shim, P11SHIM_C_Initialize);
	assert_ok(destroy(&p, false, &existed));
	assert_false(existed);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_Initialize), started + 1);
}

static void
a_key_with_another_check_value_is_not_destroyed(void **state)
{
	(void)state;
	struct pair p = {.fill = 7};
	struct hsm_reply reply;
	uint8_t kcv[3];
	bool existed;

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	memcpy(p.kcv, kcv, 3);
	p.kcv[0] ^= 1;
	assert_int_equal(destroy(&p, false, &existed), SLK_CORRUPT);
	assert_false(existed);
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &reply));
	assert_ok(destroy(&p, true, &existed));
	assert_true(existed);
}

static void
destroying_a_pair_takes_both_halves(void **state)
{
	(void)state;
	struct pair p = {KMS_SPEC_ECC_NIST_P256, KMS_USAGE_SIGN_VERIFY, 4, {0}, NULL};
	struct hsm_reply reply;
	bool existed;

	create(&p);
	assert_ok(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply));
	uint64_t destroyed = p11shim_calls(rig.shim, P11SHIM_C_DestroyObject);
	p.kcv[0] ^= 1;
	assert_int_equal(destroy(&p, false, &existed), SLK_CORRUPT);
	p.kcv[0] ^= 1;
	assert_ok(destroy(&p, false, &existed));
	assert_true(existed);
	assert_int_equal(p11shim_calls(rig.shim, P11SHIM_C_DestroyObject), destroyed + 2);
	assert_int_equal(list(0, 9).output.len, 0);
	assert_int_equal(sign(&p, KMS_ALG_ECDSA_SHA_256, 1, &reply), SLK_NOT_FOUND);
	release(&p);
}

static struct hsm_request
rewrap_request(const struct hsm_reply *wrapped, const uint8_t *kcv, const uint8_t *to_kcv)
{
	struct hsm_request q = {.op = HSM_REWRAP,
		.aad = slk_span_str("additional data"),
		.extra = slk_span_str("other data")};

	memset(q.key_id, 7, sizeof(q.key_id));
	memset(q.to_key_id, 8, sizeof(q.to_key_id));
	memcpy(q.kcv, kcv, 3);
	memcpy(q.to_kcv, to_kcv, 3);
	memcpy(q.iv, wrapped->iv, sizeof(q.iv));
	q.data = wrapped->ciphertext;
	return q;
}

static void
rewrapping_moves_a_data_key_without_showing_it(void **state)
{
	(void)state;
	struct hsm_reply made, moved, back;
	uint8_t kcv[3], to_kcv[3], plain[32], old[48];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_create(&rig, 8, to_kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	memcpy(plain, made.plaintext.ptr, 32);
	memcpy(old, made.ciphertext.ptr, 48);
	struct hsm_request q = rewrap_request(&made, kcv, to_kcv);
	hsm_rig_call(&rig, &q, &moved);
	assert_ok(moved.status);
	assert_int_equal(moved.plaintext.len, 0);
	assert_int_equal(moved.encryptions_count, 1);
	assert_int_equal(moved.ciphertext.len, 48);
	assert_memory_equal(moved.kcv, to_kcv, 3);
	assert_memory_not_equal(moved.iv, made.iv, 12);
	assert_memory_not_equal(moved.ciphertext.ptr, old, 48);
	struct hsm_request u = {.op = HSM_UNWRAP, .aad = slk_span_str("other data")};
	memset(u.key_id, 8, sizeof(u.key_id));
	memcpy(u.kcv, to_kcv, 3);
	memcpy(u.iv, moved.iv, 12);
	u.data = moved.ciphertext;
	hsm_rig_call(&rig, &u, &back);
	assert_ok(back.status);
	assert_memory_equal(back.plaintext.ptr, plain, 32);
}

static void
rewrapping_refuses_bad_ciphertexts_and_wrong_keys(void **state)
{
	(void)state;
	struct hsm_reply made, moved;
	uint8_t kcv[3], to_kcv[3];

	assert_ok(hsm_rig_create(&rig, 7, kcv));
	assert_ok(hsm_rig_create(&rig, 8, to_kcv));
	assert_ok(hsm_rig_generate(&rig, 7, kcv, &made));
	struct hsm_request q = rewrap_request(&made, kcv, to_kcv);
	q.aad = slk_span_str("foreign data");
	hsm_rig_call(&rig, &q, &moved);
	assert_int_equal(moved.status, SLK_INVALID_CIPHERTEXT);
	assert_int_equal(moved.ciphertext.len + moved.plaintext.len + moved.encryptions_count, 0);
	q = rewrap_request(&made, kcv, to_kcv);
	q.to_kcv[0] ^= 1;
	hsm_rig_call(&rig, &q, &moved);
	assert_int_equal(moved.status, SLK_CORRUPT);
	assert_int_equal(moved.ciphertext.len, 0);
	q = rewrap_request(&made, kcv, to_kcv);
	q.kcv[0] ^= 1;
	hsm_rig_call(&rig, &q, &moved);
	assert_int_equal(moved.status, SLK_CORRUPT);
	assert_int_equal(hsm_rig_health(&rig).recoveries_count, 0);
}

static int
group_setup(void **state)
{
	(void)state;
	openssl = hsm_public_context_new();
	return openssl != NULL ? 0 : -1;
}

static int
group_teardown(void **state)
{
	(void)state;
	hsm_public_context_free(openssl);
	return 0;
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_pair_of_each_curve_signs_and_verifies),
		T(health_tells_what_the_token_can_do),
		T(a_pair_made_twice_is_made_once),
		T(a_pair_is_refused_for_another_usage_and_as_another_kind),
		T(signing_costs_the_token_two_calls),
		T(a_wrong_signature_never_leaves),
		T(keys_are_listed_in_order_and_page_by_page),
		T(a_destroyed_key_is_gone_and_its_absence_is_believed),
		T(absence_of_a_key_never_seen_is_believed_of_a_token_started_anew),
		T(a_key_with_another_check_value_is_not_destroyed),
		T(destroying_a_pair_takes_both_halves),
		T(rewrapping_moves_a_data_key_without_showing_it),
		T(rewrapping_refuses_bad_ciphertexts_and_wrong_keys),
	};
	const struct CMUnitTest rsa[] = {
		cmocka_unit_test(an_rsa_pair_signs_with_each_algorithm),
		cmocka_unit_test(what_is_encrypted_outside_decrypts_in_the_token),
		cmocka_unit_test(a_changed_rsa_ciphertext_is_told_from_a_lost_token),
		cmocka_unit_test(oaep_with_sha_256_is_unsupported_and_the_token_is_not_asked),
		cmocka_unit_test(rsa_pairs_outlive_the_worker),
		cmocka_unit_test(larger_rsa_pairs_are_made_and_sign),
	};
	if (!hsm_rig_possible())
		return 77;
	int failed = cmocka_run_group_tests_name("hsm_rsa", rsa, rsa_setup, rsa_teardown);
	return failed + cmocka_run_group_tests_name("hsm_pair", tests, group_setup, group_teardown);
}
