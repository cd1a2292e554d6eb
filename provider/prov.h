/* What all parts of the provider share: the instance that a program loaded, its settings, its errors.
 *
 * One struct prov per OSSL_provider_init(). Nothing here or at load may block: kmsd is asked at first use. Thread: any;
 * read-only after prov_new(), but for what is made on demand behind a lock of its own.
 */
#ifndef SEALOCK_PROV_H
#define SEALOCK_PROV_H

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/types.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define PROV_NAME "sealock"

/* Reasons of the errors that we raise. The numbers are ours alone. */
enum prov_reason {
	PROV_E_NONE = 0,
	PROV_E_MEMORY,
	PROV_E_NO_KEY,
	PROV_E_KEY_LENGTH,
	PROV_E_IV_LENGTH,
	PROV_E_NO_IV, /* a second message without a new one */
	PROV_E_AAD_AFTER_DATA,
	PROV_E_TOO_LONG,
	PROV_E_BUFFER_TOO_SMALL,
	PROV_E_TAG_LENGTH,
	PROV_E_NO_TAG,
	PROV_E_BAD_TAG,
	PROV_E_TLS_RECORD,
	PROV_E_RANDOM,
	PROV_E_PARAMETER,
	PROV_E_SELF_TEST,
	PROV_E_KMS, /* the sentence of kmsd, or why it could not be asked */
	PROV_E_KEY_REFERENCE,
	PROV_E_ALGORITHM,
	PROV_E_DATA_KEY,
};

#define PROV_SESSIONS_KEPT 8u

struct prov_session;
struct prov_data_keys;

struct prov {
	const OSSL_CORE_HANDLE *handle;
	OSSL_LIB_CTX *libctx; /* our own: the default provider only, no configuration */
	char *socket_path; /* of kmsd; NULL: its default */
	unsigned timeout_ms; /* of one request to kmsd */
	char *data_keys_dir; /* NULL: its default */
	struct prov_data_keys *data_keys; /* datakey.c */
	bool offers_ciphers;
	OSSL_FUNC_core_new_error_fn *new_error;
	OSSL_FUNC_core_set_error_debug_fn *set_error_debug;
	OSSL_FUNC_core_vset_error_fn *vset_error;
	OSSL_FUNC_BIO_read_ex_fn *bio_read;
	_Atomic(struct prov_session *) sessions[PROV_SESSIONS_KEPT]; /* with kmsd: kms.c */
};

/* Put an error with a sentence on the caller's error stack. format: NULL for the reason alone. */
void prov_raise_at(const struct prov *prov, enum prov_reason reason, const char *file, int line,
	const char *function, const char *format, ...) __attribute__((format(printf, 6, 7)));
#define prov_raise(prov, reason, ...) \
	prov_raise_at((prov), (reason), __FILE__, __LINE__, __func__, __VA_ARGS__)

/* One const table for OSSL_FUNC_PROVIDER_GET_REASON_STRINGS. */
extern const OSSL_ITEM prov_reason_strings[];

/* len random bytes from the DRBG of our own library context. false: an error was raised. */
bool prov_random(const struct prov *prov, unsigned char *out, size_t len);

#endif
