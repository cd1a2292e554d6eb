/* Digests of messages that are to be signed, by an OpenSSL of our own.
 *
 * The front is what an OpenSSL provider of this appliance would call; so it never reads openssl.cnf, which may name that
 * provider: a library context of its own has the default provider and nothing else. Everything is loaded in
 * kms_digests_new(), before the process gives up its rights. Thread: one.
 */
#ifndef KMS_HSM_DIGEST_H
#define KMS_HSM_DIGEST_H

#include "base/bytes.h"
#include "base/status.h"
#include "keyspec.h"

#define KMS_DIGEST_MAX 64u

struct kms_digests;

/* SLK_NO_MEMORY; SLK_UNSUPPORTED if OpenSSL lacks one. */
MUST_USE int kms_digests_new(struct kms_digests **out_digests);
void kms_digests_free(struct kms_digests *digests); /* NULL allowed */

/* The digest that the signature algorithm takes, kms_algorithm_digest_bytes() long. SLK_INVALID for an algorithm that
 * does not sign, SLK_INTERNAL. */
MUST_USE int kms_digest(const struct kms_digests *digests, enum kms_algorithm algorithm,
	struct slk_span message, uint8_t out[KMS_DIGEST_MAX]);

#endif
