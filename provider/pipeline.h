/* AES-GCM over several messages at once, EVP_CipherPipeline (OpenSSL 3.5 and later): each pipe is a message with an IV and a
 * tag of its own, all under one key, which is expanded once. GCM in ipsec-mb is wide within one message, so what is saved is
 * the way through EVP. Before 3.5 there is nothing of this. Thread: one per context at a time. */
#ifndef SEALOCK_PROV_PIPELINE_H
#define SEALOCK_PROV_PIPELINE_H

#include <openssl/core_dispatch.h>

#include "gcm_message.h"

#ifdef OSSL_FUNC_CIPHER_PIPELINE_ENCRYPT_INIT

int prov_pipeline_seal_init(void *vctx, const unsigned char *key, size_t key_len, size_t pipes,
	const unsigned char **iv, size_t iv_len, const OSSL_PARAM params[]);
int prov_pipeline_open_init(void *vctx, const unsigned char *key, size_t key_len, size_t pipes,
	const unsigned char **iv, size_t iv_len, const OSSL_PARAM params[]);
int prov_pipeline_update(void *vctx, size_t pipes, unsigned char **out, size_t *out_len,
	const size_t *out_size, const unsigned char **in, const size_t *in_len);
int prov_pipeline_final(
	void *vctx, size_t pipes, unsigned char **out, size_t *out_len, const size_t *out_size);
/* OSSL_CIPHER_PARAM_PIPELINE_AEAD_TAG: a pointer to an array of as many pointers as pipes; data_size: bytes of each tag. */
bool prov_pipeline_set_tags(struct gcm *g, const OSSL_PARAM *p);
bool prov_pipeline_get_tags(const struct gcm *g, OSSL_PARAM *p);

#endif

/* With the context. */
void prov_pipeline_free(struct gcm *g);

#endif
