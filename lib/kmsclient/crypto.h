/* The cryptographic operations of kmsd, all of them: with algorithms, sizes and materials. kmsclient.h has the few that a
 * data path needs.
 *
 * As there: key_id is an id, ARN, alias name or alias ARN; context may be NULL (empty), and must be so for RSA keys; what is
 * wrong leaves a sentence in *err; outputs are untouched on error. Algorithms are named as in AWS KMS; NULL is
 * SYMMETRIC_DEFAULT. Plaintexts come and go in locked memory only. Thread: the client's.
 *
 * Errors beyond those of kmsclient.h: SLK_BAD_TAG (kmsc_verify(): the signature does not fit), SLK_INVALID for what the
 * key cannot do (InvalidKeyUsageException) and for what is too long or too short.
 */
#ifndef SLK_KMSCLIENT_CRYPTO_H
#define SLK_KMSCLIENT_CRYPTO_H

#include "base/bytes.h"
#include "kmsclient/kmsclient.h"

#define KMSC_PLAINTEXT_MAX 4096u
#define KMSC_RANDOM_MAX 1024u
#define KMSC_MESSAGE_MAX 4096u
#define KMSC_SIGNATURE_MAX 512u
#define KMSC_PUBLIC_KEY_MAX 576u

/* A ciphertext: a blob (docs/FORMATS.md), or as RSA made it. */
struct kmsc_ciphertext {
	uint8_t bytes[KMSC_BLOB_MAX];
	size_t len;
	char key_arn[KMSC_ARN_MAX];
	char algorithm[KMSC_ALGORITHM_MAX]; /* "" from kmsc_data_key() */
	char material_id[KMSC_MATERIAL_MAX]; /* KeyMaterialId; "" for RSA keys */
};

/* plaintext: 1..4,096 bytes, less for RSA. */
MUST_USE int kmsc_encrypt_with(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct fmt_context *context, const struct slk_secret *plaintext,
	struct kmsc_ciphertext *out_ciphertext, struct slk_error *err);

struct kmsc_plaintext {
	struct slk_secret *bytes; /* the receiver frees it */
	char key_arn[KMSC_ARN_MAX];
	char algorithm[KMSC_ALGORITHM_MAX];
	char material_id[KMSC_MATERIAL_MAX];
};
/* key_id may be NULL for SYMMETRIC_DEFAULT: the blob names its key. */
MUST_USE int kmsc_decrypt_with(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct fmt_context *context, struct slk_span ciphertext,
	struct kmsc_plaintext *out_plaintext, struct slk_error *err);

/* A data key of 1..1,024 bytes. out_plaintext: NULL for GenerateDataKeyWithoutPlaintext. */
MUST_USE int kmsc_data_key(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	uint32_t bytes_count, struct kmsc_ciphertext *out_ciphertext,
	struct slk_secret **out_plaintext, struct slk_error *err);

/* 1..1,024 bytes from the HSM. */
MUST_USE int kmsc_random(
	struct kmsc *c, uint32_t bytes_count, struct slk_secret **out_bytes, struct slk_error *err);

/* From one key (and context, and algorithm) to another. */
struct kmsc_re_encryption {
	const char *source_key_id; /* NULL: the blob names it */
	const char *source_algorithm;
	const struct fmt_context *source_context;
	const char *key_id;
	const char *algorithm;
	const struct fmt_context *context;
};
struct kmsc_re_encrypted {
	struct kmsc_ciphertext ciphertext; /* under the new key */
	char source_key_arn[KMSC_ARN_MAX];
	char source_algorithm[KMSC_ALGORITHM_MAX];
	char source_material_id[KMSC_MATERIAL_MAX];
};
MUST_USE int kmsc_re_encrypt(struct kmsc *c, const struct kmsc_re_encryption *how,
	struct slk_span ciphertext, struct kmsc_re_encrypted *out, struct slk_error *err);

/* What is signed: a message of 1..4,096 bytes, which kmsd hashes, or a digest of the algorithm's length. */
struct kmsc_message {
	struct slk_span bytes;
	bool is_digest;
};
struct kmsc_signature {
	uint8_t bytes[KMSC_SIGNATURE_MAX]; /* of ECDSA: DER */
	size_t len;
	char key_arn[KMSC_ARN_MAX];
	char algorithm[KMSC_ALGORITHM_MAX];
};
MUST_USE int kmsc_sign(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct kmsc_message *message, struct kmsc_signature *out_signature,
	struct slk_error *err);
/* SLK_OK: the signature fits. SLK_BAD_TAG: it does not. out_key_arn: KMSC_ARN_MAX bytes or NULL. */
MUST_USE int kmsc_verify(struct kmsc *c, const char *key_id, const char *algorithm,
	const struct kmsc_message *message, struct slk_span signature, char *out_key_arn,
	struct slk_error *err);

struct kmsc_public_key {
	uint8_t der[KMSC_PUBLIC_KEY_MAX]; /* SubjectPublicKeyInfo (RFC 5280, 4.1) */
	size_t der_len;
	char key_arn[KMSC_ARN_MAX];
	char spec[32], usage[32];
	char algorithms[KMSC_ALGORITHMS_MAX][KMSC_ALGORITHM_MAX];
	size_t algorithms_count;
};
/* Of an RSA or ECC key; answered with the HSM away, too. SLK_UNSUPPORTED for a symmetric key. */
MUST_USE int kmsc_get_public_key(
	struct kmsc *c, const char *key_id, struct kmsc_public_key *out_key, struct slk_error *err);

#endif
