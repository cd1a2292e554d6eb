/* Key pairs, and keys that are listed, destroyed and re-wrapped, on a healthy SoftHSM token. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <p11-kit/pkcs11.h>

#include "hsm/public.h"
#include "hsm_rig.h"

static struct hsm_rig rig;
static OSSL_LIB_CTX *openssl;

static int
setup(void **state)
{
	(void)state;
	hsm_rig_init(&rig, NULL);
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
		T(keys_are_listed_in_order_and_page_by_page),
		T(a_destroyed_key_is_gone_and_its_absence_is_believed),
		T(absence_of_a_key_never_seen_is_believed_of_a_token_started_anew),
		T(a_key_with_another_check_value_is_not_destroyed),
		T(destroying_a_pair_takes_both_halves),
		T(rewrapping_moves_a_data_key_without_showing_it),
		T(rewrapping_refuses_bad_ciphertexts_and_wrong_keys),
	};
	if (!hsm_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("hsm_pair", tests, group_setup, group_teardown);
}
