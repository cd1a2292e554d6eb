/* Key pairs: RSA and ECDSA. The private half works in the token only; the public half is read once, checked and used here.
 *
 * A private key signs or decrypts, never both, and unwraps and derives nothing. It is never extractable and was made on the
 * token; public and private half belong together, which is proved by use: a signature is verified, or a ciphertext
 * decrypted, before the pair is served. Each signature is verified before it leaves, since a faulty one can betray an RSA
 * key. Thread: the session's; inside the gate. A struct hsm_pair is never changed and may be shared.
 */
#ifndef KMS_HSM_HSM_PAIR_H
#define KMS_HSM_HSM_PAIR_H

#include <openssl/types.h>

#include "hsm/kind.h"

struct hsm_pair *hsm_pair_ref(struct hsm_pair *pair); /* NULL allowed */
void hsm_pair_unref(struct hsm_pair *pair); /* NULL allowed */

/* SubjectPublicKeyInfo and key; borrowed as long as the reference is held. */
struct slk_span hsm_pair_der(const struct hsm_pair *pair);
EVP_PKEY *hsm_pair_public(const struct hsm_pair *pair);

/* out has HSM_PAIR_ROOM bytes. A signature of ECDSA is given as DER. HSM_RV_WRONG: the token's signature does not verify. */
#define HSM_PAIR_ROOM 1024u
CK_RV hsm_pair_sign(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	const struct hsm_pair *pair, enum kms_algorithm algorithm, struct slk_span digest,
	uint8_t *out, size_t *out_len);
/* RSAES-OAEP. CKR_ENCRYPTED_DATA_LEN_RANGE or CKR_ENCRYPTED_DATA_INVALID, without asking the token, for a ciphertext of
 * another length than the modulus, or not below it.
 * On an error out is wiped. */
CK_RV hsm_pair_decrypt(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	const struct hsm_pair *pair, enum kms_algorithm algorithm, struct slk_span ciphertext,
	uint8_t *out, size_t *out_len);

/* The PKCS#11 mechanism of an algorithm, with its parameters. */
struct hsm_mechanism {
	CK_MECHANISM mechanism;
	union {
		CK_RSA_PKCS_PSS_PARAMS pss;
		CK_RSA_PKCS_OAEP_PARAMS oaep;
	} params;
};
void hsm_mechanism_of(enum kms_algorithm algorithm, struct hsm_mechanism *out);

/* Generate a pair: on the token under its id and label, or (token false) for this session only, to try. */
CK_RV hsm_pair_generate(struct hsm_session *session, const struct hsm_key_name *name, bool token,
	CK_OBJECT_HANDLE *out_private, CK_OBJECT_HANDLE *out_public);

#endif
