/* The cryptographic calls against a scripted kmsd: what is asked, what comes back, and answers that cannot be. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/crypto.h"

static struct kmsc *client;
static struct slk_error err;
/* What the answers are made of, and what was asked. */
static Kmsp__Cipher cipher;
static Kmsp__ReEncrypted re_encrypted;
static Kmsp__Signature signature;
static Kmsp__PublicKey public_key;
static Kmsp__Reply__ResultCase result;
static char asked[256];
static uint8_t filler[KMSC_BLOB_MAX + 1];

static ProtobufCBinaryData
some(size_t len)
{
	return (ProtobufCBinaryData){len, filler};
}

static void
note(const Kmsp__Request *q)
{
	switch (q->call_case) {
	case KMSP__REQUEST__CALL_ENCRYPT:
		snprintf(asked, sizeof(asked), "encrypt %s %s %zu %zu", q->encrypt->key,
			q->encrypt->algorithm, q->encrypt->n_context, q->encrypt->plaintext.len);
		break;
	case KMSP__REQUEST__CALL_DECRYPT:
		snprintf(asked, sizeof(asked), "decrypt %s %s %zu %zu", q->decrypt->key,
			q->decrypt->algorithm, q->decrypt->n_context, q->decrypt->blob.len);
		break;
	case KMSP__REQUEST__CALL_GENERATE_DATA_KEY:
		snprintf(asked, sizeof(asked), "data_key %s %u %d", q->generate_data_key->key,
			q->generate_data_key->number_of_bytes,
			q->generate_data_key->without_plaintext);
		break;
	case KMSP__REQUEST__CALL_GENERATE_RANDOM:
		snprintf(asked, sizeof(asked), "random %u", q->generate_random->number_of_bytes);
		break;
	case KMSP__REQUEST__CALL_RE_ENCRYPT:
		snprintf(asked, sizeof(asked), "re_encrypt %s %s %zu %s %s %zu",
			q->re_encrypt->source_key, q->re_encrypt->source_algorithm,
			q->re_encrypt->n_source_context, q->re_encrypt->key,
			q->re_encrypt->algorithm, q->re_encrypt->n_context);
		break;
	case KMSP__REQUEST__CALL_SIGN:
		snprintf(asked, sizeof(asked), "sign %s %s %zu %d", q->sign->key,
			q->sign->algorithm, q->sign->message.len, q->sign->is_digest);
		break;
	case KMSP__REQUEST__CALL_VERIFY:
		snprintf(asked, sizeof(asked), "verify %s %s %zu %d %zu", q->verify->key,
			q->verify->algorithm, q->verify->message.len, q->verify->is_digest,
			q->verify->signature.len);
		break;
	default:
		snprintf(asked, sizeof(asked), "public_key %s", q->get_public_key->key);
		break;
	}
}

static int
answer(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;

	(void)turn;
	note(request);
	r.result_case = result;
	if (result == KMSP__REPLY__RESULT_CIPHER)
		r.cipher = &cipher;
	else if (result == KMSP__REPLY__RESULT_RE_ENCRYPTED)
		r.re_encrypted = &re_encrypted;
	else if (result == KMSP__REPLY__RESULT_SIGNATURE)
		r.signature = &signature;
	else
		r.public_key = &public_key;
	return fake_kmsd_reply(request, &r, out);
}

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-kmsc-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(&err, 0, sizeof(err));
	kmsp__cipher__init(&cipher);
	kmsp__re_encrypted__init(&re_encrypted);
	kmsp__signature__init(&signature);
	kmsp__public_key__init(&public_key);
	cipher.key_arn = re_encrypted.key_arn = signature.key_arn = public_key.key_arn =
		(char *)"arn:k";
	re_encrypted.source_key_arn = (char *)"arn:s";
	memset(filler, 0x5c, sizeof(filler));
	fake_kmsd_start(answer);
	return kmsc_new(fake_kmsd.path, 2000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	fake_kmsd_stop();
	return rmdir(fake_kmsd.dir);
}

static struct slk_secret *
secret(size_t len)
{
	struct slk_secret *s = NULL;

	assert_ok(slk_secret_new(len, &s));
	return s;
}

static void
encrypt_asks_and_takes_a_blob(void **state)
{
	(void)state;
	struct kmsc_ciphertext out = {.len = 77};
	struct slk_secret *plain = secret(4096), *large = secret(4097);

	result = KMSP__REPLY__RESULT_CIPHER;
	cipher.blob = some(300);
	cipher.algorithm = (char *)"RSAES_OAEP_SHA_1";
	assert_ok(kmsc_encrypt_with(client, "k", "RSAES_OAEP_SHA_1", NULL, plain, &out, &err));
	assert_string_equal(asked, "encrypt k RSAES_OAEP_SHA_1 0 4096");
	assert_int_equal(out.len, 300);
	assert_string_equal(out.key_arn, "arn:k");
	assert_string_equal(out.algorithm, "RSAES_OAEP_SHA_1");
	assert_string_equal(out.material_id, "");
	assert_int_equal(
		kmsc_encrypt_with(client, "k", NULL, NULL, large, &out, &err), SLK_TOO_LARGE);
	static const size_t wrong[] = {0, KMSC_BLOB_MAX + 1};
	for (size_t i = 0; i < 2; i++) {
		cipher.blob = some(wrong[i]);
		out.len = 77;
		assert_int_equal(kmsc_encrypt_with(client, "k", NULL, NULL, plain, &out, &err),
			SLK_INTERNAL);
		assert_int_equal(out.len, 77);
	}
	slk_secret_free(plain);
	slk_secret_free(large);
}

static void
decrypt_takes_1_to_4096_bytes(void **state)
{
	(void)state;
	struct kmsc_plaintext out = {.bytes = NULL};
	const struct slk_span blob = slk_span(filler, 100);

	result = KMSP__REPLY__RESULT_CIPHER;
	cipher.plaintext = some(4096);
	cipher.material_id = (char *)"0123";
	assert_ok(kmsc_decrypt_with(client, NULL, NULL, NULL, blob, &out, &err));
	assert_string_equal(asked, "decrypt   0 100");
	assert_int_equal(slk_secret_len(out.bytes), 4096);
	assert_string_equal(out.material_id, "0123");
	slk_secret_free(out.bytes);
	out.bytes = NULL;
	static const size_t wrong[] = {0, 4097};
	for (size_t i = 0; i < 2; i++) {
		cipher.plaintext = some(wrong[i]);
		assert_int_equal(kmsc_decrypt_with(client, NULL, NULL, NULL, blob, &out, &err),
			SLK_INTERNAL);
		assert_null(out.bytes);
	}
	/* What kmsd would not take is not sent: it would end the connection. */
	asked[0] = '\0';
	assert_int_equal(kmsc_decrypt_with(client, NULL, NULL, NULL,
				 slk_span(filler, KMSC_BLOB_MAX + 1), &out, &err),
		SLK_INVALID_CIPHERTEXT);
	assert_string_equal(asked, "");
}

static void
data_key_has_the_size_that_was_asked_for(void **state)
{
	(void)state;
	struct kmsc_ciphertext out;
	struct slk_secret *plain = NULL;

	result = KMSP__REPLY__RESULT_CIPHER;
	cipher.blob = some(200);
	cipher.plaintext = some(16);
	assert_ok(kmsc_data_key(client, "k", NULL, 16, &out, &plain, &err));
	assert_string_equal(asked, "data_key k 16 0");
	assert_int_equal(slk_secret_len(plain), 16);
	slk_secret_free(plain);
	plain = NULL;
	assert_int_equal(kmsc_data_key(client, "k", NULL, 17, &out, &plain, &err), SLK_INTERNAL);
	assert_null(plain);
	/* A plaintext that was not asked for. */
	assert_int_equal(kmsc_data_key(client, "k", NULL, 16, &out, NULL, &err), SLK_INTERNAL);
	assert_string_equal(asked, "data_key k 16 1");
	cipher.plaintext = some(0);
	assert_ok(kmsc_data_key(client, "k", NULL, 16, &out, NULL, &err));
	assert_int_equal(kmsc_data_key(client, "k", NULL, 0, &out, &plain, &err), SLK_INVALID);
	assert_int_equal(kmsc_data_key(client, "k", NULL, 1025, &out, &plain, &err), SLK_INVALID);
}

static void
random_has_the_size_that_was_asked_for(void **state)
{
	(void)state;
	struct slk_secret *bytes = NULL;

	result = KMSP__REPLY__RESULT_CIPHER;
	cipher.plaintext = some(24);
	assert_ok(kmsc_random(client, 24, &bytes, &err));
	assert_string_equal(asked, "random 24");
	assert_int_equal(slk_secret_len(bytes), 24);
	slk_secret_free(bytes);
	bytes = NULL;
	assert_int_equal(kmsc_random(client, 23, &bytes, &err), SLK_INTERNAL);
	assert_null(bytes);
}

static void
re_encrypt_names_both_sides(void **state)
{
	(void)state;
	struct kmsc_re_encrypted out;
	struct fmt_context *from = NULL, *to = NULL;

	assert_ok(fmt_context_for_stream("arn:a", &from));
	assert_ok(fmt_context_for_stream("arn:b", &to));
	const struct kmsc_re_encryption how = {
		"s", "RSAES_OAEP_SHA_256", from, "t", "RSAES_OAEP_SHA_1", to};
	result = KMSP__REPLY__RESULT_RE_ENCRYPTED;
	re_encrypted.blob = some(256);
	assert_ok(kmsc_re_encrypt(client, &how, slk_span(filler, 99), &out, &err));
	assert_string_equal(asked, "re_encrypt s RSAES_OAEP_SHA_256 1 t RSAES_OAEP_SHA_1 1");
	assert_int_equal(out.ciphertext.len, 256);
	assert_string_equal(out.ciphertext.key_arn, "arn:k");
	assert_string_equal(out.source_key_arn, "arn:s");
	re_encrypted.blob = some(0);
	assert_int_equal(
		kmsc_re_encrypt(client, &how, slk_span(filler, 99), &out, &err), SLK_INTERNAL);
	fmt_context_free(from);
	fmt_context_free(to);
}

static void
signatures_are_at_most_512_bytes(void **state)
{
	(void)state;
	struct kmsc_signature out;
	const struct kmsc_message message = {slk_span(filler, 32), true};
	const struct kmsc_message large = {slk_span(filler, 4097), false};

	result = KMSP__REPLY__RESULT_SIGNATURE;
	signature.signature = some(512);
	assert_ok(kmsc_sign(client, "k", "ECDSA_SHA_256", &message, &out, &err));
	assert_string_equal(asked, "sign k ECDSA_SHA_256 32 1");
	assert_int_equal(out.len, 512);
	static const size_t wrong[] = {0, 513};
	for (size_t i = 0; i < 2; i++) {
		signature.signature = some(wrong[i]);
		assert_int_equal(kmsc_sign(client, "k", "ECDSA_SHA_256", &message, &out, &err),
			SLK_INTERNAL);
	}
	assert_int_equal(
		kmsc_sign(client, "k", "ECDSA_SHA_256", &large, &out, &err), SLK_TOO_LARGE);
}

static void
verify_says_yes_or_bad_tag(void **state)
{
	(void)state;
	char arn[KMSC_ARN_MAX] = "";
	const struct kmsc_message message = {slk_span(filler, 10), false};

	result = KMSP__REPLY__RESULT_SIGNATURE;
	assert_ok(kmsc_verify(
		client, "k", "ECDSA_SHA_256", &message, slk_span(filler, 71), arn, &err));
	assert_string_equal(asked, "verify k ECDSA_SHA_256 10 0 71");
	assert_string_equal(arn, "arn:k");
	asked[0] = '\0';
	assert_int_equal(kmsc_verify(client, "k", "ECDSA_SHA_256", &message, slk_span(filler, 513),
				 arn, &err),
		SLK_BAD_TAG);
	assert_string_equal(asked, ""); /* no key has such a signature */
}

static void
public_key_is_bounded(void **state)
{
	(void)state;
	static char *names[KMSC_ALGORITHMS_MAX + 1];
	static char long_name[KMSC_ALGORITHM_MAX + 1];
	struct kmsc_public_key out;

	for (size_t i = 0; i < KMSC_ALGORITHMS_MAX + 1; i++)
		names[i] = (char *)"ECDSA_SHA_256";
	result = KMSP__REPLY__RESULT_PUBLIC_KEY;
	public_key.der = some(KMSC_PUBLIC_KEY_MAX);
	public_key.algorithms = names;
	public_key.n_algorithms = KMSC_ALGORITHMS_MAX;
	assert_ok(kmsc_get_public_key(client, "k", &out, &err));
	assert_string_equal(asked, "public_key k");
	assert_int_equal(out.der_len, KMSC_PUBLIC_KEY_MAX);
	assert_int_equal(out.algorithms_count, KMSC_ALGORITHMS_MAX);
	public_key.n_algorithms++;
	assert_int_equal(kmsc_get_public_key(client, "k", &out, &err), SLK_INTERNAL);
	public_key.n_algorithms = 1;
	memset(long_name, 'x', KMSC_ALGORITHM_MAX);
	names[0] = long_name;
	assert_int_equal(kmsc_get_public_key(client, "k", &out, &err), SLK_INTERNAL);
	names[0] = (char *)"";
	public_key.der = some(KMSC_PUBLIC_KEY_MAX + 1);
	assert_int_equal(kmsc_get_public_key(client, "k", &out, &err), SLK_INTERNAL);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(encrypt_asks_and_takes_a_blob),
		CASE(decrypt_takes_1_to_4096_bytes),
		CASE(data_key_has_the_size_that_was_asked_for),
		CASE(random_has_the_size_that_was_asked_for),
		CASE(re_encrypt_names_both_sides),
		CASE(signatures_are_at_most_512_bytes),
		CASE(verify_says_yes_or_bad_tag),
		CASE(public_key_is_bounded),
	};

	return cmocka_run_group_tests_name("kmsclient_crypto", tests, NULL, NULL);
}
