/* Asymmetric keys over a fake HSM: every spec with every usage, algorithm and operation, and the exact refusal of each
 * combination that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "kms_rig.h"

#define POLICY \
	"  - {effect: Allow, principals: [user/alice], actions: ['kms:Sign', 'kms:Verify', " \
	"'kms:Encrypt', 'kms:Decrypt', 'kms:GetPublicKey', 'kms:ReEncrypt*', " \
	"'kms:GenerateDataKey*'], resources: ['key/*']}\n" \
	"  - {effect: Allow, principals: [user/bob], actions: ['kms:Verify'], resources: " \
	"['key/*']}\n"

static struct kms_rig rig;
static char arns[KMS_SPEC_COUNT][KMS_USAGE_COUNT]
		[KMS_ARN_MAX]; /* "": the spec does not know the usage */

static int
setup(void **state)
{
	(void)state;
	rig_start(&rig, POLICY);
	memset(arns, 0, sizeof(arns));
	for (unsigned spec = 0; spec < KMS_SPEC_COUNT; spec++)
		for (unsigned usage = 0; usage < KMS_USAGE_COUNT; usage++)
			if (kms_spec_allows((enum kms_spec)spec, (enum kms_usage)usage))
				rig_new_key_of(&rig, (enum kms_spec)spec, (enum kms_usage)usage,
					arns[spec][usage]);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

struct kept {
	uint8_t bytes[4200];
	size_t len;
};

static struct slk_span
keep(ProtobufCBinaryData bytes, struct kept *out)
{
	assert_in_range(bytes.len, 1, sizeof(out->bytes));
	memcpy(out->bytes, bytes.data, bytes.len);
	out->len = bytes.len;
	return slk_span(out->bytes, out->len);
}

/* --- the table --- */

enum operation { ENCRYPT, DECRYPT, RE_ENCRYPT_FROM, RE_ENCRYPT_TO, SIGN, VERIFY, OPERATIONS };

static const char *const names[OPERATIONS] = {
	"Encrypt", "Decrypt", "ReEncrypt", "ReEncrypt", "Sign", "Verify"};

/* A source for ReEncrypt under the symmetric key, and bytes that are a ciphertext or a signature in size only. */
static struct kept blob;
static const uint8_t junk[512] = {1, 2, 3};

static const Kmsp__Reply *
attempt(enum operation op, enum kms_spec spec, enum kms_usage usage, enum kms_algorithm algorithm)
{
	static const uint8_t digest[64] = {7};
	const char *key = arns[spec][usage], *name = kms_algorithm_name(algorithm);
	unsigned digest_len = kms_algorithm_digest_bytes(algorithm);
	const struct rig_sign what = {
		key, name, slk_span(digest, digest_len > 0 ? digest_len : 32), true};
	const struct slk_span bytes = slk_span(junk, kms_spec_bits(spec) / 8);

	switch (op) {
	case ENCRYPT:
		return rig_encrypt_with(&rig, RIG_ALICE, key, name, slk_span_str("x"));
	case DECRYPT:
		return rig_decrypt_with(&rig, RIG_ALICE, key, name, bytes);
	case RE_ENCRYPT_FROM:
		return rig_re_encrypt(&rig, RIG_ALICE, bytes,
			&(struct rig_re){.source_key = key,
				.source_algorithm = name,
				.key = arns[KMS_SPEC_SYMMETRIC_DEFAULT]
					   [KMS_USAGE_ENCRYPT_DECRYPT]});
	case RE_ENCRYPT_TO:
		return rig_re_encrypt(&rig, RIG_ALICE, slk_span(blob.bytes, blob.len),
			&(struct rig_re){.key = key, .algorithm = name});
	case SIGN:
		return rig_sign(&rig, RIG_ALICE, &what);
	default:
		return rig_verify(&rig, RIG_ALICE, &what, slk_span(junk, 64));
	}
}

/* What the table of AWS says of it. out_message: "" if there is none. */
static const char *
expected(enum operation op, enum kms_spec spec, enum kms_usage usage, enum kms_algorithm algorithm,
	char out_message[1024])
{
	bool signs = op == SIGN || op == VERIFY;
	enum kms_usage wanted = signs ? KMS_USAGE_SIGN_VERIFY : KMS_USAGE_ENCRYPT_DECRYPT;

	out_message[0] = '\0';
	if ((kms_algorithm_digest_bytes(algorithm) > 0) != signs) {
		snprintf(out_message, 1024,
			"1 validation error detected: Value '%s' at '%s' failed to satisfy "
			"constraint: Member must satisfy enum value set: [",
			kms_algorithm_name(algorithm),
			signs                           ? "signingAlgorithm"
				: op == RE_ENCRYPT_FROM ? "sourceEncryptionAlgorithm"
				: op == RE_ENCRYPT_TO   ? "destinationEncryptionAlgorithm"
							: "encryptionAlgorithm");
		return "ValidationException";
	}
	if (usage != wanted) {
		snprintf(out_message, 1024, "%s key usage is %s which is not valid for %s.",
			arns[spec][usage], kms_usage_name(usage), names[op]);
		return "InvalidKeyUsageException";
	}
	if ((kms_spec_algorithms(spec, usage) & KMS_BIT(algorithm)) == 0) {
		snprintf(out_message, 1024, "Algorithm %s is incompatible with key spec %s.",
			kms_algorithm_name(algorithm), kms_spec_name(spec));
		return "InvalidKeyUsageException";
	}
	if (op == DECRYPT || op == RE_ENCRYPT_FROM)
		return "InvalidCiphertextException"; /* junk */
	return op == VERIFY ? "KMSInvalidSignatureException" : "";
}

static void
try_all_algorithms(enum operation op, enum kms_spec spec, enum kms_usage usage)
{
	char message[1024];

	for (unsigned a = 0; a < KMS_ALG_COUNT; a++) {
		const char *exception = expected(op, spec, usage, (enum kms_algorithm)a, message);
		const Kmsp__Reply *reply = attempt(op, spec, usage, (enum kms_algorithm)a);
		if (strcmp(reply->exception, exception) != 0 ||
			strncmp(reply->message, message, strlen(message)) != 0)
			fail_msg("%s of %s %s with %s: %s '%s', not %s '%s'", names[op],
				kms_spec_name(spec), kms_usage_name(usage),
				kms_algorithm_name((enum kms_algorithm)a), reply->exception,
				reply->message, exception, message);
		assert_int_equal(reply->status == SLK_OK, exception[0] == '\0');
		if (message[0] == '\0')
			assert_string_equal(reply->message, "");
	}
}

static void
every_combination_works_or_has_its_exception(void **state)
{
	(void)state;
	unsigned combinations = 0;

	keep(rig_encrypt(&rig, RIG_ALICE, arns[0][0], "", slk_span_str("x"))->cipher->blob, &blob);
	for (unsigned op = 0; op < OPERATIONS; op++)
		for (unsigned spec = 0; spec < KMS_SPEC_COUNT; spec++)
			for (unsigned usage = 0; usage < KMS_USAGE_COUNT; usage++) {
				if (arns[spec][usage][0] == '\0')
					continue;
				try_all_algorithms((enum operation)op, (enum kms_spec)spec,
					(enum kms_usage)usage);
				combinations += KMS_ALG_COUNT;
			}
	assert_int_equal(combinations, OPERATIONS * 10 * KMS_ALG_COUNT);
}

static void
data_keys_come_from_symmetric_keys_only(void **state)
{
	(void)state;
	char message[512];

	for (unsigned spec = 1; spec < KMS_SPEC_COUNT; spec++)
		for (unsigned usage = 0; usage < KMS_USAGE_COUNT; usage++) {
			const char *arn = arns[spec][usage];
			if (arn[0] == '\0')
				continue;
			const Kmsp__Reply *reply =
				rig_generate(&rig, RIG_ALICE, arn, "", spec % 2 == 0);
			assert_string_equal(reply->exception, "InvalidKeyUsageException");
			if (usage == KMS_USAGE_ENCRYPT_DECRYPT)
				snprintf(message, sizeof(message),
					"Algorithm SYMMETRIC_DEFAULT is incompatible with key spec "
					"%s.",
					kms_spec_name((enum kms_spec)spec));
			else
				snprintf(message, sizeof(message),
					"%s key usage is SIGN_VERIFY which is not valid for "
					"GenerateDataKey%s.",
					arn, spec % 2 == 0 ? "WithoutPlaintext" : "");
			assert_string_equal(reply->message, message);
		}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_GENERATE_DATA_KEY), 0);
}

/* --- signatures --- */

static EVP_PKEY *
public_key(const char *arn)
{
	const Kmsp__Reply *reply = rig_public_key(&rig, RIG_ALICE, arn);

	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->public_key->key_arn, arn);
	const uint8_t *der = reply->public_key->der.data;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &der, (long)reply->public_key->der.len);
	assert_non_null(key);
	assert_ptr_equal(der, reply->public_key->der.data + reply->public_key->der.len);
	return key;
}

/* Verified by OpenSSL from the exported key, over the message itself: so the front hashed it as the algorithm says. */
static void
assert_openssl_accepts(const char *arn, enum kms_algorithm algorithm, const char *message,
	struct slk_span signature)
{
	static const char *const hashes[] = {"SHA256", "SHA384", "SHA512"};
	const char *hash = hashes[kms_algorithm_digest_bytes(algorithm) / 16 - 2];
	EVP_PKEY *key = public_key(arn);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *padding = NULL;

	assert_int_equal(
		EVP_DigestVerifyInit(ctx, &padding, EVP_get_digestbyname(hash), NULL, key), 1);
	if (strstr(kms_algorithm_name(algorithm), "PSS") != NULL) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(
			EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestVerify(ctx, signature.ptr, signature.len,
				 (const uint8_t *)message, strlen(message)),
		1);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
}

static void
sign_and_check(enum kms_spec spec, enum kms_algorithm algorithm)
{
	static const char text[] = "a message of some length";
	const char *arn = arns[spec][KMS_USAGE_SIGN_VERIFY];
	struct rig_sign what = {arn, kms_algorithm_name(algorithm), slk_span_str(text), false};
	struct kept kept;

	const Kmsp__Reply *reply = rig_sign(&rig, RIG_ALICE, &what);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->signature->key_arn, arn);
	assert_string_equal(reply->signature->algorithm, what.algorithm);
	struct slk_span signature = keep(reply->signature->signature, &kept);
	assert_openssl_accepts(arn, algorithm, text, signature);
	reply = rig_verify(&rig, RIG_ALICE, &what, signature);
	assert_answered(reply, SLK_OK);
	assert_string_equal(reply->signature->key_arn, arn);
	assert_int_equal(reply->signature->signature.len, 0);
	kept.bytes[kept.len / 2] ^= 1;
	reply = rig_verify(&rig, RIG_ALICE, &what, signature);
	assert_answered(reply, SLK_BAD_TAG);
	assert_string_equal(reply->exception, "KMSInvalidSignatureException");
	assert_string_equal(reply->message, "");
	kept.bytes[kept.len / 2] ^= 1;
	what.message.len--;
	assert_answered(rig_verify(&rig, RIG_ALICE, &what, signature), SLK_BAD_TAG);
	assert_answered(rig_verify(&rig, RIG_ALICE, &what, slk_span(kept.bytes, kept.len - 1)),
		SLK_BAD_TAG);
}

static void
every_algorithm_signs_what_openssl_verifies(void **state)
{
	(void)state;
	for (unsigned spec = 1; spec < KMS_SPEC_COUNT; spec++)
		for (unsigned a = 0; a < KMS_ALG_COUNT; a++)
			if ((kms_spec_algorithms((enum kms_spec)spec, KMS_USAGE_SIGN_VERIFY) &
				    KMS_BIT(a)) != 0)
				sign_and_check((enum kms_spec)spec, (enum kms_algorithm)a);
}

static void
digest_and_message_give_the_same_signature(void **state)
{
	(void)state;
	const char *arn = arns[KMS_SPEC_RSA_2048][KMS_USAGE_SIGN_VERIFY];
	struct rig_sign what = {
		arn, "RSASSA_PKCS1_V1_5_SHA_384", slk_span_str("hashed twice?"), false};
	uint8_t digest[48];
	struct kept a;

	assert_int_equal(EVP_Digest("hashed twice?", 13, digest, NULL, EVP_sha384(), NULL), 1);
	keep(rig_sign(&rig, RIG_ALICE, &what)->signature->signature, &a);
	what.message = slk_span(digest, sizeof(digest));
	what.is_digest = true;
	const Kmsp__Reply *reply = rig_sign(&rig, RIG_ALICE, &what);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->signature->signature.len, a.len);
	assert_memory_equal(reply->signature->signature.data, a.bytes, a.len);
}

static void
digest_of_another_length_is_refused(void **state)
{
	(void)state;
	static const uint8_t digest[65];
	static const size_t lengths[] = {1, 20, 31, 33, 48, 64, 65};
	struct rig_sign what = {arns[KMS_SPEC_ECC_NIST_P256][KMS_USAGE_SIGN_VERIFY],
		"ECDSA_SHA_256", slk_span(digest, 32), true};

	assert_answered(rig_sign(&rig, RIG_ALICE, &what), SLK_OK);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		what.message = slk_span(digest, lengths[i]);
		const Kmsp__Reply *reply = rig_sign(&rig, RIG_ALICE, &what);
		assert_string_equal(reply->exception, "ValidationException");
		assert_string_equal(
			reply->message, "Digest is invalid length for algorithm ECDSA_SHA_256.");
		reply = rig_verify(&rig, RIG_ALICE, &what, slk_span(junk, 70));
		assert_string_equal(
			reply->message, "Digest is invalid length for algorithm ECDSA_SHA_256.");
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_SIGN), 1);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_VERIFY), 0);
}

static void
messages_have_1_to_4096_bytes_and_an_algorithm(void **state)
{
	(void)state;
	static const uint8_t long_message[4097];
	struct rig_sign what = {arns[KMS_SPEC_ECC_NIST_P384][KMS_USAGE_SIGN_VERIFY],
		"ECDSA_SHA_384", slk_span(long_message, 4096), false};

	assert_answered(rig_sign(&rig, RIG_ALICE, &what), SLK_OK);
	what.message.len = 4097;
	assert_string_equal(rig_sign(&rig, RIG_ALICE, &what)->message,
		"1 validation error detected: Value at 'message' failed to satisfy constraint: "
		"Member must have length less than or equal to 4096");
	what.message.len = 0;
	assert_string_equal(rig_sign(&rig, RIG_ALICE, &what)->message,
		"1 validation error detected: Value at 'message' failed to satisfy constraint: "
		"Member must have length greater than or equal to 1");
	what.message.len = 5;
	assert_answered(rig_verify(&rig, RIG_ALICE, &what, slk_span(junk, 0)), SLK_INVALID);
	what.algorithm = "";
	assert_string_equal(rig_sign(&rig, RIG_ALICE, &what)->message,
		"1 validation error detected: Value null at 'signingAlgorithm' failed to satisfy "
		"constraint: Member must not be null");
	what.algorithm = "HMAC_SHA_256";
	assert_string_equal(rig_sign(&rig, RIG_ALICE, &what)->exception, "ValidationException");
}

static void
who_may_verify_may_not_sign(void **state)
{
	(void)state;
	const char *arn = arns[KMS_SPEC_ECC_NIST_P256][KMS_USAGE_SIGN_VERIFY];
	const struct rig_sign what = {arn, "ECDSA_SHA_256", slk_span_str("m"), false};
	struct kept kept;

	struct slk_span signature =
		keep(rig_sign(&rig, RIG_ALICE, &what)->signature->signature, &kept);
	assert_answered(rig_verify(&rig, RIG_BOB, &what, signature), SLK_OK);
	const Kmsp__Reply *reply = rig_sign(&rig, RIG_BOB, &what);
	assert_string_equal(reply->exception, "AccessDeniedException");
	assert_contains(reply->message, "kms:Sign");
	assert_answered(rig_public_key(&rig, RIG_BOB, arn), SLK_DENIED);
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_SIGN), 1);
}

/* --- public keys --- */

static void
public_key_is_there_with_the_hsm_away(void **state)
{
	(void)state;
	static const uint32_t counts[KMS_USAGE_COUNT] = {2, 6};

	fake_hsm_set_state(rig.link, HSM_LOST);
	fake_hsm_swap_token(rig.link, true);
	for (unsigned usage = 0; usage < KMS_USAGE_COUNT; usage++) {
		const Kmsp__Reply *reply =
			rig_public_key(&rig, RIG_ALICE, arns[KMS_SPEC_RSA_3072][usage]);
		assert_answered(reply, SLK_OK);
		assert_string_equal(reply->public_key->spec, "RSA_3072");
		assert_string_equal(
			reply->public_key->usage, kms_usage_name((enum kms_usage)usage));
		assert_int_equal(reply->public_key->n_algorithms, counts[usage]);
		assert_string_equal(reply->public_key->algorithms[0],
			usage == 0 ? "RSAES_OAEP_SHA_1" : "RSASSA_PSS_SHA_256");
	}
}

static void
symmetric_key_has_no_public_half(void **state)
{
	(void)state;
	const Kmsp__Reply *reply = rig_public_key(&rig, RIG_ALICE, arns[0][0]);

	assert_answered(reply, SLK_UNSUPPORTED);
	assert_string_equal(reply->exception, "UnsupportedOperationException");
	assert_contains(reply->message, arns[0][0]);
}

/* --- RSA encryption --- */

static void
largest_plaintext_fits_and_one_more_is_refused(void **state)
{
	(void)state;
	static const uint8_t plain[471] = {9};
	static const struct {
		enum kms_spec spec;
		const char *algorithm;
		unsigned max;
	} rows[] = {
		{KMS_SPEC_RSA_2048, "RSAES_OAEP_SHA_1", 214},
		{KMS_SPEC_RSA_2048, "RSAES_OAEP_SHA_256", 190},
		{KMS_SPEC_RSA_3072, "RSAES_OAEP_SHA_1", 342},
		{KMS_SPEC_RSA_3072, "RSAES_OAEP_SHA_256", 318},
		{KMS_SPEC_RSA_4096, "RSAES_OAEP_SHA_1", 470},
		{KMS_SPEC_RSA_4096, "RSAES_OAEP_SHA_256", 446},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *arn = arns[rows[i].spec][KMS_USAGE_ENCRYPT_DECRYPT];
		char message[256];
		struct kept kept;
		const Kmsp__Reply *reply = rig_encrypt_with(
			&rig, RIG_ALICE, arn, rows[i].algorithm, slk_span(plain, rows[i].max + 1));
		snprintf(message, sizeof(message),
			"Algorithm %s and key spec %s cannot encrypt data larger than %u bytes.",
			rows[i].algorithm, kms_spec_name(rows[i].spec), rows[i].max);
		assert_string_equal(reply->exception, "ValidationException");
		assert_string_equal(reply->message, message);
		reply = rig_encrypt_with(
			&rig, RIG_ALICE, arn, rows[i].algorithm, slk_span(plain, rows[i].max));
		assert_answered(reply, SLK_OK);
		assert_string_equal(reply->cipher->algorithm, rows[i].algorithm);
		assert_string_equal(reply->cipher->material_id, "");
		struct slk_span sealed = keep(reply->cipher->blob, &kept);
		reply = rig_decrypt_with(&rig, RIG_ALICE, arn, rows[i].algorithm, sealed);
		assert_answered(reply, SLK_OK);
		assert_int_equal(reply->cipher->plaintext.len, rows[i].max);
		assert_memory_equal(reply->cipher->plaintext.data, plain, rows[i].max);
		assert_string_equal(reply->cipher->key_arn, arn);
	}
}

static void
bad_rsa_ciphertext_is_one_answer(void **state)
{
	(void)state;
	const char *arn = arns[KMS_SPEC_RSA_2048][KMS_USAGE_ENCRYPT_DECRYPT];
	char second[KMS_ARN_MAX];
	struct kept kept;

	rig_new_key_of(&rig, KMS_SPEC_RSA_2048, KMS_USAGE_ENCRYPT_DECRYPT, second);
	struct slk_span sealed =
		keep(rig_encrypt_with(&rig, RIG_ALICE, arn, "RSAES_OAEP_SHA_256", slk_span_str("x"))
				->cipher->blob,
			&kept);
	for (size_t i = 0; i < kept.len; i += 17) {
		kept.bytes[i] ^= 1;
		const Kmsp__Reply *reply =
			rig_decrypt_with(&rig, RIG_ALICE, arn, "RSAES_OAEP_SHA_256", sealed);
		assert_string_equal(reply->exception, "InvalidCiphertextException");
		assert_string_equal(reply->message, "");
		kept.bytes[i] ^= 1;
	}
	for (size_t len = 0; len <= kept.len + 1; len++)
		if (len != kept.len)
			assert_answered(rig_decrypt_with(&rig, RIG_ALICE, arn, "RSAES_OAEP_SHA_256",
						slk_span(kept.bytes, len)),
				SLK_INVALID_CIPHERTEXT);
	assert_answered(rig_decrypt_with(&rig, RIG_ALICE, arn, "RSAES_OAEP_SHA_1", sealed),
		SLK_INVALID_CIPHERTEXT);
	assert_answered(rig_decrypt_with(&rig, RIG_ALICE, second, "RSAES_OAEP_SHA_256", sealed),
		SLK_INVALID_CIPHERTEXT);
	assert_answered(
		rig_decrypt_with(&rig, RIG_ALICE, arn, "RSAES_OAEP_SHA_256", sealed), SLK_OK);
}

static void
rsa_takes_no_context_and_wants_a_key(void **state)
{
	(void)state;
	const char *arn = arns[KMS_SPEC_RSA_2048][KMS_USAGE_ENCRYPT_DECRYPT];
	const Kmsp__Reply *reply =
		rig_decrypt_with(&rig, RIG_ALICE, "", "RSAES_OAEP_SHA_1", slk_span(junk, 256));

	assert_string_equal(reply->exception, "ValidationException");
	assert_string_equal(reply->message, "KeyId is required to decrypt with RSAES_OAEP_SHA_1.");
	const struct rig_re to = {.key = arn, .algorithm = "RSAES_OAEP_SHA_1", .context = "a=b"};
	keep(rig_encrypt(&rig, RIG_ALICE, arns[0][0], "", slk_span_str("x"))->cipher->blob, &blob);
	reply = rig_re_encrypt(&rig, RIG_ALICE, slk_span(blob.bytes, blob.len), &to);
	assert_string_equal(reply->exception, "ValidationException");
	const struct rig_re from = {.source_key = arn,
		.source_algorithm = "RSAES_OAEP_SHA_1",
		.source_context = "a=b",
		.key = arns[0][0]};
	reply = rig_re_encrypt(&rig, RIG_ALICE, slk_span(junk, 256), &from);
	assert_string_equal(reply->exception, "ValidationException");
	assert_string_equal(
		reply->message, "An encryption context is not supported for key spec RSA_2048.");
}

/* --- ReEncrypt with RSA --- */

static void
re_encrypt_goes_from_and_to_rsa(void **state)
{
	(void)state;
	const char *aes = arns[0][0];
	const char *rsa = arns[KMS_SPEC_RSA_2048][KMS_USAGE_ENCRYPT_DECRYPT];
	const char *big = arns[KMS_SPEC_RSA_4096][KMS_USAGE_ENCRYPT_DECRYPT];
	struct kept kept;
	struct slk_span at = keep(
		rig_encrypt(&rig, RIG_ALICE, aes, "a=1", slk_span_str("travels"))->cipher->blob,
		&kept);
	const struct rig_re legs[] = {
		{.source_context = "a=1", .key = rsa, .algorithm = "RSAES_OAEP_SHA_256"},
		{.source_key = rsa,
			.source_algorithm = "RSAES_OAEP_SHA_256",
			.key = big,
			.algorithm = "RSAES_OAEP_SHA_1"},
		{.source_key = big,
			.source_algorithm = "RSAES_OAEP_SHA_1",
			.key = aes,
			.context = "b=2"},
	};

	for (size_t i = 0; i < 3; i++) {
		const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, at, &legs[i]);
		assert_answered(reply, SLK_OK);
		assert_string_equal(reply->re_encrypted->key_arn, legs[i].key);
		assert_contains(rig_audit_last(&rig), "\"sourceKeyMaterialId\":\"");
		reply = rig_last(&rig);
		at = keep(reply->re_encrypted->blob, &kept);
	}
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_REWRAP), 0);
	const Kmsp__Reply *reply = rig_decrypt(&rig, RIG_ALICE, "", "b=2", at);
	assert_answered(reply, SLK_OK);
	assert_int_equal(reply->cipher->plaintext.len, 7);
	assert_memory_equal(reply->cipher->plaintext.data, "travels", 7);
}

static void
what_is_too_long_for_rsa_stays_where_it_is(void **state)
{
	(void)state;
	static const uint8_t plain[215];
	struct kept kept;
	struct slk_span at = keep(
		rig_encrypt(&rig, RIG_ALICE, arns[0][0], "", slk_span(plain, 215))->cipher->blob,
		&kept);
	const Kmsp__Reply *reply = rig_re_encrypt(&rig, RIG_ALICE, at,
		&(struct rig_re){.key = arns[KMS_SPEC_RSA_2048][KMS_USAGE_ENCRYPT_DECRYPT],
			.algorithm = "RSAES_OAEP_SHA_1"});

	assert_string_equal(reply->message,
		"Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than "
		"214 bytes.");
	assert_int_equal(fake_hsm_calls_count(rig.link, HSM_ENCRYPT), 0);
}

static void
what_the_token_lacks_is_unsupported(void **state)
{
	(void)state;
	const char *rsa = arns[KMS_SPEC_RSA_2048][KMS_USAGE_ENCRYPT_DECRYPT];

	fake_hsm_set_able(rig.link, ~0u, ~KMS_BIT(KMS_ALG_RSAES_OAEP_SHA_256));
	kms_service_tick(rig.service);
	rig_turn(&rig);
	/* Nobody is told to encrypt outside with what cannot be decrypted here. */
	const Kmsp__Reply *reply = rig_public_key(&rig, RIG_ALICE, rsa);
	assert_int_equal(reply->public_key->n_algorithms, 1);
	assert_string_equal(reply->public_key->algorithms[0], "RSAES_OAEP_SHA_1");
	reply = rig_describe_key(&rig, RIG_ROOT, rsa);
	assert_int_equal(reply->key->n_algorithms, 1);
	reply = rig_encrypt_with(&rig, RIG_ALICE, rsa, "RSAES_OAEP_SHA_256", slk_span_str("x"));
	assert_answered(reply, SLK_UNSUPPORTED);
	assert_string_equal(reply->exception, "UnsupportedOperationException");
	assert_answered(
		rig_encrypt_with(&rig, RIG_ALICE, rsa, "RSAES_OAEP_SHA_1", slk_span_str("x")),
		SLK_OK);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(every_combination_works_or_has_its_exception),
		CASE(data_keys_come_from_symmetric_keys_only),
		CASE(every_algorithm_signs_what_openssl_verifies),
		CASE(digest_and_message_give_the_same_signature),
		CASE(digest_of_another_length_is_refused),
		CASE(messages_have_1_to_4096_bytes_and_an_algorithm),
		CASE(who_may_verify_may_not_sign),
		CASE(public_key_is_there_with_the_hsm_away),
		CASE(symmetric_key_has_no_public_half),
		CASE(largest_plaintext_fits_and_one_more_is_refused),
		CASE(bad_rsa_ciphertext_is_one_answer),
		CASE(rsa_takes_no_context_and_wants_a_key),
		CASE(re_encrypt_goes_from_and_to_rsa),
		CASE(what_is_too_long_for_rsa_stays_where_it_is),
		CASE(what_the_token_lacks_is_unsupported),
	};

	return cmocka_run_group_tests_name("kms_service_pairs", tests, NULL, NULL);
}
