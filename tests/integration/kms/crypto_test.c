/* Every cryptographic operation through all of kmsd on a real token, checked from outside with OpenSSL; and ciphertexts
 * and signatures that are none. Threats, rows 4 and 6. */
#include "slk_test.h"

#include "kmsd_rig.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/clock.h"
#include "kmsclient/crypto.h"
#include "kmsclient/request.h"

static struct kmsd_rig rig;
static bool possible, kinds; /* kinds: kmsd makes keys of the kind that it is asked for */
static struct slk_error err;
static const char message[] = "a message that is signed";

static void
ok(int rc)
{
	if (rc != SLK_OK)
		fail_msg("%s: %s", slk_status_name(rc), err.text);
}

static int
group_teardown(void **state)
{
	(void)state;
	if (possible)
		kmsd_rig_fini(&rig);
	return 0;
}

/* group_setup() said why. Not from a setup: cmocka counts a skip there as a failure. */
static void
needs(bool there)
{
	if (!there)
		skip();
}

static bool made_spec_differs; /* of the last new key */

struct name {
	char text[KMSC_ARN_MAX];
};

static struct name
new_key(const char *spec, const char *usage)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	const Kmsp__Reply *reply;
	struct name arn = {""};

	call.spec = kmsc_request_text(spec);
	call.usage = kmsc_request_text(usage);
	KMSC_REQUEST(request, CREATE_KEY, create_key) = &call;
	int rc = kmsc_call(rig.client, &request, KMSC_ONCE, KMSP__REPLY__RESULT_KEY, &reply, &err);
	if (rc == SLK_OK) {
		made_spec_differs = strcmp(reply->key->spec, spec) != 0;
		snprintf(arn.text, sizeof(arn.text), "%s", reply->key->arn);
	}
	ok(kmsc_call_end(rig.client, rc, &err));
	assert_false(kinds && made_spec_differs);
	return arn;
}

static int
group_setup(void **state)
{
	(void)state;
	possible = kmsd_rig_possible();
	if (!possible)
		return 0;
	kmsd_rig_init(&rig);
	rig.log_level = "warn";
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	(void)new_key("ECC_NIST_P256", "SIGN_VERIFY");
	kinds = !made_spec_differs;
	if (!kinds)
		print_message("this kmsd makes symmetric keys only, and does not rotate them\n");
	return 0;
}

static void
rotate(const struct name *key)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;
	const Kmsp__Reply *reply;

	call.key = kmsc_request_text(key->text);
	KMSC_REQUEST(request, ROTATE_KEY_ON_DEMAND, rotate_key_on_demand) = &call;
	ok(kmsc_call_end(rig.client,
		kmsc_call(rig.client, &request, KMSC_ONCE, KMSP__REPLY__RESULT_ROTATION, &reply,
			&err),
		&err));
}

static struct slk_secret *
secret(const void *bytes, size_t len)
{
	struct slk_secret *s = NULL;

	assert_ok(slk_secret_from(bytes, len, &s));
	return s;
}

static struct kmsc_ciphertext
sealed(const struct name *key, const char *algorithm, const char *text)
{
	struct slk_secret *plain = secret(text, strlen(text));
	struct kmsc_ciphertext out;

	ok(kmsc_encrypt_with(rig.client, key->text, algorithm, NULL, plain, &out, &err));
	slk_secret_free(plain);
	return out;
}

static void
assert_opens(const struct kmsc_ciphertext *c, const struct name *key, const char *algorithm,
	const char *text)
{
	struct kmsc_plaintext plain;

	ok(kmsc_decrypt_with(
		rig.client, key->text, algorithm, NULL, slk_span(c->bytes, c->len), &plain, &err));
	assert_int_equal(slk_secret_len(plain.bytes), strlen(text));
	assert_memory_equal(slk_secret_peek(plain.bytes), text, strlen(text));
	assert_string_equal(plain.key_arn, key->text);
	slk_secret_free(plain.bytes);
}

static int
try_open(struct slk_span bytes, const char *key, const char *algorithm)
{
	struct kmsc_plaintext plain = {.bytes = NULL};
	int rc = kmsc_decrypt_with(rig.client, key, algorithm, NULL, bytes, &plain, &err);

	assert_true((rc == SLK_OK) == (plain.bytes != NULL));
	slk_secret_free(plain.bytes);
	return rc;
}

static uint64_t
recoveries(void)
{
	struct kmsc_status status;

	ok(kmsc_status(rig.client, &status, &err));
	assert_true(status.hsm_ok);
	return status.hsm_recoveries + status.hsm_worker_restarts;
}

/* --- symmetric keys --- */

static void
data_keys_of_every_size_come_back(void **state)
{
	(void)state;
	needs(possible);
	static const uint32_t sizes[] = {1, 16, 32, 1024};
	struct name key = new_key("SYMMETRIC_DEFAULT", "");

	for (size_t i = 0; i < 4; i++) {
		struct kmsc_ciphertext blob;
		struct kmsc_plaintext back;
		struct slk_secret *plain = NULL;
		ok(kmsc_data_key(rig.client, key.text, NULL, sizes[i], &blob, &plain, &err));
		ok(kmsc_decrypt_with(
			rig.client, NULL, NULL, NULL, slk_span(blob.bytes, blob.len), &back, &err));
		assert_int_equal(slk_secret_len(back.bytes), sizes[i]);
		assert_true(slk_equal_ct(
			slk_secret_peek(plain), slk_secret_peek(back.bytes), sizes[i]));
		assert_string_equal(back.material_id, blob.material_id);
		slk_secret_free(plain);
		slk_secret_free(back.bytes);
	}
}

static void
random_bytes_differ(void **state)
{
	(void)state;
	needs(possible);
	struct slk_secret *a = NULL, *b = NULL;

	ok(kmsc_random(rig.client, 1024, &a, &err));
	ok(kmsc_random(rig.client, 1024, &b, &err));
	assert_false(slk_equal_ct(slk_secret_peek(a), slk_secret_peek(b), 1024));
	slk_secret_free(a);
	slk_secret_free(b);
}

static void
truncated_blobs_are_refused_and_the_token_is_not_lost(void **state)
{
	(void)state;
	needs(possible);
	struct name key = new_key("SYMMETRIC_DEFAULT", "");
	struct kmsc_ciphertext blob = sealed(&key, NULL, "some text that is long enough");
	uint64_t before = recoveries();

	for (size_t len = 1; len < blob.len; len++)
		assert_int_equal(
			try_open(slk_span(blob.bytes, len), NULL, NULL), SLK_INVALID_CIPHERTEXT);
	assert_int_equal(recoveries(), before);
	assert_opens(&blob, &key, NULL, "some text that is long enough");
}

static void
old_generations_open_and_re_encrypt_moves_them(void **state)
{
	(void)state;
	needs(kinds);
	struct name key = new_key("SYMMETRIC_DEFAULT", "");
	struct kmsc_ciphertext blobs[3];
	struct kmsc_re_encrypted moved;
	const struct kmsc_re_encryption how = {.key_id = key.text};

	for (int i = 0; i < 3; i++) {
		blobs[i] = sealed(&key, NULL, "generation");
		if (i < 2)
			rotate(&key);
	}
	assert_string_not_equal(blobs[0].material_id, blobs[1].material_id);
	assert_string_not_equal(blobs[1].material_id, blobs[2].material_id);
	for (int i = 0; i < 3; i++)
		assert_opens(&blobs[i], &key, NULL, "generation");
	ok(kmsc_re_encrypt(rig.client, &how, slk_span(blobs[0].bytes, blobs[0].len), &moved, &err));
	assert_string_equal(moved.source_material_id, blobs[0].material_id);
	assert_string_equal(moved.ciphertext.material_id, blobs[2].material_id);
	assert_opens(&moved.ciphertext, &key, NULL, "generation");
	/* Its ids, another's wrap. */
	memcpy(blobs[0].bytes + 8, blobs[2].bytes + 8, 32);
	assert_int_equal(try_open(slk_span(blobs[0].bytes, blobs[0].len), NULL, NULL),
		SLK_INVALID_CIPHERTEXT);
}

/* --- key pairs --- */

static EVP_PKEY *
public_key(const struct name *key)
{
	struct kmsc_public_key out;

	ok(kmsc_get_public_key(rig.client, key->text, &out, &err));
	const uint8_t *der = out.der;
	EVP_PKEY *pkey = d2i_PUBKEY(NULL, &der, (long)out.der_len);
	assert_non_null(pkey);
	return pkey;
}

static void
assert_openssl_verifies(
	const struct name *key, const char *algorithm, const struct kmsc_signature *signature)
{
	const char *hash = strstr(algorithm, "256") != NULL ? "SHA256"
		: strstr(algorithm, "384") != NULL          ? "SHA384"
							    : "SHA512";
	EVP_PKEY *pkey = public_key(key);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding = NULL;

	assert_int_equal(
		EVP_DigestVerifyInit(ctx, &padding, EVP_get_digestbyname(hash), NULL, pkey), 1);
	if (strstr(algorithm, "PSS") != NULL) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestVerify(ctx, signature->bytes, signature->len,
				 (const uint8_t *)message, sizeof(message) - 1),
		1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(pkey);
}

static void
sign_with_all(const char *spec, const char *const *algorithms)
{
	const struct kmsc_message what = {slk_span(message, sizeof(message) - 1), false};
	const struct kmsc_message other = {slk_span(message, sizeof(message) - 2), false};
	struct name key = new_key(spec, "SIGN_VERIFY");

	for (; *algorithms != NULL; algorithms++) {
		struct kmsc_signature made;
		ok(kmsc_sign(rig.client, key.text, *algorithms, &what, &made, &err));
		assert_openssl_verifies(&key, *algorithms, &made);
		const struct slk_span bytes = slk_span(made.bytes, made.len);
		ok(kmsc_verify(rig.client, key.text, *algorithms, &what, bytes, NULL, &err));
		assert_int_equal(
			kmsc_verify(rig.client, key.text, *algorithms, &other, bytes, NULL, &err),
			SLK_BAD_TAG);
		assert_non_null(strstr(err.text, "KMSInvalidSignatureException (request "));
	}
}

static void
every_algorithm_signs_what_openssl_verifies(void **state)
{
	(void)state;
	needs(kinds);
	static const char *const rsa[] = {"RSASSA_PSS_SHA_256", "RSASSA_PSS_SHA_384",
		"RSASSA_PSS_SHA_512", "RSASSA_PKCS1_V1_5_SHA_256", "RSASSA_PKCS1_V1_5_SHA_384",
		"RSASSA_PKCS1_V1_5_SHA_512", NULL};
	static const char *const p256[] = {"ECDSA_SHA_256", NULL};
	static const char *const p384[] = {"ECDSA_SHA_384", NULL};
	static const char *const p521[] = {"ECDSA_SHA_512", NULL};

	sign_with_all("RSA_2048", rsa);
	sign_with_all("ECC_NIST_P256", p256);
	sign_with_all("ECC_NIST_P384", p384);
	sign_with_all("ECC_NIST_P521", p521);
}

static void
damaged_signatures_do_not_fit_and_the_token_is_not_lost(void **state)
{
	(void)state;
	needs(kinds);
	const struct kmsc_message what = {slk_span(message, sizeof(message) - 1), false};
	struct name key = new_key("ECC_NIST_P256", "SIGN_VERIFY");
	struct kmsc_signature made;
	uint64_t before = recoveries();

	ok(kmsc_sign(rig.client, key.text, "ECDSA_SHA_256", &what, &made, &err));
	for (size_t i = 0; i < made.len; i++) {
		made.bytes[i] ^= 1;
		assert_int_equal(kmsc_verify(rig.client, key.text, "ECDSA_SHA_256", &what,
					 slk_span(made.bytes, made.len), NULL, &err),
			SLK_BAD_TAG);
		made.bytes[i] ^= 1;
	}
	for (size_t len = 1; len < made.len; len += 7)
		assert_int_equal(kmsc_verify(rig.client, key.text, "ECDSA_SHA_256", &what,
					 slk_span(made.bytes, len), NULL, &err),
			SLK_BAD_TAG);
	assert_int_equal(recoveries(), before);
}

static void
token_decrypts_what_openssl_encrypted(void **state)
{
	(void)state;
	needs(kinds);
	struct name key = new_key("RSA_2048", "ENCRYPT_DECRYPT");
	EVP_PKEY *pkey = public_key(&key);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	struct kmsc_ciphertext c;

	c.len = sizeof(c.bytes);
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(
		EVP_PKEY_encrypt(ctx, c.bytes, &c.len, (const uint8_t *)"from outside", 12), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	assert_opens(&c, &key, "RSAES_OAEP_SHA_1", "from outside");
	c = sealed(&key, "RSAES_OAEP_SHA_1", "from inside");
	assert_int_equal(c.len, 256);
	assert_opens(&c, &key, "RSAES_OAEP_SHA_1", "from inside");
}

static void
bad_rsa_ciphertexts_are_one_answer_and_the_token_is_not_lost(void **state)
{
	(void)state;
	needs(kinds);
	struct name key = new_key("RSA_2048", "ENCRYPT_DECRYPT");
	struct kmsc_ciphertext c = sealed(&key, "RSAES_OAEP_SHA_1", "x");
	uint64_t before = recoveries();

	for (size_t i = 0; i < c.len; i += 23) {
		c.bytes[i] ^= 1;
		assert_int_equal(try_open(slk_span(c.bytes, c.len), key.text, "RSAES_OAEP_SHA_1"),
			SLK_INVALID_CIPHERTEXT);
		c.bytes[i] ^= 1;
	}
	memset(c.bytes, 0xff, c.len); /* above the modulus */
	assert_int_equal(try_open(slk_span(c.bytes, c.len), key.text, "RSAES_OAEP_SHA_1"),
		SLK_INVALID_CIPHERTEXT);
	assert_int_equal(try_open(slk_span(c.bytes, c.len - 1), key.text, "RSAES_OAEP_SHA_1"),
		SLK_INVALID_CIPHERTEXT);
	assert_int_equal(recoveries(), before);
}

static void
re_encrypt_goes_all_four_ways(void **state)
{
	(void)state;
	needs(kinds);
	struct name aes[2], rsa[2];
	struct kmsc_re_encrypted moved;

	for (int i = 0; i < 2; i++) {
		aes[i] = new_key("SYMMETRIC_DEFAULT", "");
		rsa[i] = new_key("RSA_2048", "ENCRYPT_DECRYPT");
	}
	const struct kmsc_re_encryption legs[] = {
		{.key_id = aes[1].text},
		{.key_id = rsa[0].text, .algorithm = "RSAES_OAEP_SHA_1"},
		{.source_key_id = rsa[0].text,
			.source_algorithm = "RSAES_OAEP_SHA_1",
			.key_id = rsa[1].text,
			.algorithm = "RSAES_OAEP_SHA_1"},
		{.source_key_id = rsa[1].text,
			.source_algorithm = "RSAES_OAEP_SHA_1",
			.key_id = aes[0].text},
	};
	moved.ciphertext = sealed(&aes[0], NULL, "goes round");
	for (size_t i = 0; i < 4; i++) {
		const struct kmsc_ciphertext at = moved.ciphertext;
		ok(kmsc_re_encrypt(rig.client, &legs[i], slk_span(at.bytes, at.len), &moved, &err));
		assert_string_equal(moved.ciphertext.key_arn, legs[i].key_id);
		assert_string_equal(moved.source_key_arn, at.key_arn);
	}
	assert_opens(&moved.ciphertext, &aes[0], NULL, "goes round");
}

static bool
has_algorithm(const struct name *key, const char *algorithm)
{
	struct kmsc_key described;
	struct kmsc_public_key public;
	bool there = false, told = false;

	ok(kmsc_describe_key(rig.client, key->text, &described, &err));
	ok(kmsc_get_public_key(rig.client, key->text, &public, &err));
	for (size_t i = 0; i < described.algorithms_count; i++)
		there |= strcmp(described.algorithms[i], algorithm) == 0;
	for (size_t i = 0; i < public.algorithms_count; i++)
		told |= strcmp(public.algorithms[i], algorithm) == 0;
	assert_int_equal(there, told);
	return there;
}

static struct kmsc_ciphertext
sealed_outside_oaep_sha_256(const struct name *key, const char *text)
{
	EVP_PKEY *pkey = public_key(key);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(pkey, NULL);
	struct kmsc_ciphertext c;

	c.len = sizeof(c.bytes);
	assert_int_equal(EVP_PKEY_encrypt_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()), 1);
	assert_int_equal(
		EVP_PKEY_encrypt(ctx, c.bytes, &c.len, (const uint8_t *)text, strlen(text)), 1);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(pkey);
	return c;
}

/* NSS has it. */
static void
assert_oaep_sha_256_serves(const struct name *key)
{
	static const char algorithm[] = "RSAES_OAEP_SHA_256";
	char largest[191];
	uint64_t before = recoveries();

	memset(largest, 'x', sizeof(largest) - 1); /* 2048 bits hold 190 bytes */
	largest[sizeof(largest) - 1] = '\0';
	struct kmsc_ciphertext c = sealed_outside_oaep_sha_256(key, largest);
	assert_opens(&c, key, algorithm, largest);
	/* The other hash opens nothing, in neither direction. */
	assert_int_equal(try_open(slk_span(c.bytes, c.len), key->text, "RSAES_OAEP_SHA_1"),
		SLK_INVALID_CIPHERTEXT);
	c = sealed(key, "RSAES_OAEP_SHA_1", "x");
	assert_int_equal(
		try_open(slk_span(c.bytes, c.len), key->text, algorithm), SLK_INVALID_CIPHERTEXT);
	c = sealed(key, algorithm, largest);
	assert_int_equal(c.len, 256);
	assert_string_equal(c.algorithm, algorithm);
	assert_opens(&c, key, algorithm, largest);
	c.bytes[17] ^= 1;
	assert_int_equal(
		try_open(slk_span(c.bytes, c.len), key->text, algorithm), SLK_INVALID_CIPHERTEXT);
	assert_int_equal(recoveries(), before);
}

/* SoftHSM 2.6 has OAEP with SHA-1 only, also behind the shim; nothing is done in software instead. */
static void
oaep_with_sha_256_serves_where_the_token_has_it_and_is_unsupported_elsewhere(void **state)
{
	(void)state;
	needs(kinds);
	struct name key = new_key("RSA_2048", "ENCRYPT_DECRYPT");
	struct slk_secret *plain = secret("x", 1);
	struct kmsc_ciphertext out;

	bool there = has_algorithm(&key, "RSAES_OAEP_SHA_256");
	assert_true(there || hsm_rig_token() != RIG_NSS);
	int rc = kmsc_encrypt_with(
		rig.client, key.text, "RSAES_OAEP_SHA_256", NULL, plain, &out, &err);
	slk_secret_free(plain);
	if (there) {
		ok(rc);
		assert_oaep_sha_256_serves(&key);
		return;
	}
	assert_int_equal(rc, SLK_UNSUPPORTED);
	assert_non_null(strstr(err.text, "UnsupportedOperationException"));
	out = sealed_outside_oaep_sha_256(&key, "x");
	assert_int_equal(try_open(slk_span(out.bytes, out.len), key.text, "RSAES_OAEP_SHA_256"),
		SLK_UNSUPPORTED);
	assert_non_null(strstr(err.text, "UnsupportedOperationException"));
}

static void
public_keys_are_there_with_the_hsm_away(void **state)
{
	(void)state;
	needs(kinds);
	const struct kmsc_message what = {slk_span(message, sizeof(message) - 1), false};
	struct name key = new_key("ECC_NIST_P256", "SIGN_VERIFY");
	struct kmsc_public_key before, after;
	struct kmsc_signature made;

	ok(kmsc_get_public_key(rig.client, key.text, &before, &err));
	atomic_store(&rig.hsm.shim->gone, 1);
	assert_int_equal(kmsc_sign(rig.client, key.text, "ECDSA_SHA_256", &what, &made, &err),
		SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, "KeyUnavailableException"));
	ok(kmsc_get_public_key(rig.client, key.text, &after, &err));
	assert_int_equal(after.der_len, before.der_len);
	assert_memory_equal(after.der, before.der, before.der_len);
	atomic_store(&rig.hsm.shim->gone, 0);
	uint64_t deadline_ns = slk_mono_ns(slk_clock_system()) + 5 * SLK_NS_PER_S;
	int rc = SLK_UNAVAILABLE;
	while (rc == SLK_UNAVAILABLE && slk_mono_ns(slk_clock_system()) < deadline_ns) {
		rc = kmsc_sign(rig.client, key.text, "ECDSA_SHA_256", &what, &made, &err);
		usleep(20000);
	}
	ok(rc);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_keys_of_every_size_come_back),
		cmocka_unit_test(random_bytes_differ),
		cmocka_unit_test(truncated_blobs_are_refused_and_the_token_is_not_lost),
		cmocka_unit_test(old_generations_open_and_re_encrypt_moves_them),
		cmocka_unit_test(every_algorithm_signs_what_openssl_verifies),
		cmocka_unit_test(damaged_signatures_do_not_fit_and_the_token_is_not_lost),
		cmocka_unit_test(token_decrypts_what_openssl_encrypted),
		cmocka_unit_test(bad_rsa_ciphertexts_are_one_answer_and_the_token_is_not_lost),
		cmocka_unit_test(re_encrypt_goes_all_four_ways),
		cmocka_unit_test(
			oaep_with_sha_256_serves_where_the_token_has_it_and_is_unsupported_elsewhere),
		cmocka_unit_test(public_keys_are_there_with_the_hsm_away),
	};

	return cmocka_run_group_tests_name("kms_crypto", tests, group_setup, group_teardown);
}
