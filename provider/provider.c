/* OSSL_provider_init() and what the core asks of a provider as a whole. The only symbol that sealock.so exports. */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datakey.h"
#include "gcm.h"
#include "gcm_code.h"
#include "keymgmt.h"
#include "kms.h"
#include "named.h"
#include "prov.h"
#include "reference.h"
#include "rsa_decrypt.h"
#include "signature.h"
#include "skey.h"
#include "store.h"

#define TIMEOUT_MS 1000u
#define FN(function) ((void (*)(void))(function))
/* sealock.cipher lets a program prefer our ciphers and nothing else: default_properties = ?sealock.cipher=yes */
#define CIPHER_PROPERTIES "provider=" PROV_NAME ",sealock.cipher=yes"

#define KEY_PROPERTIES "provider=" PROV_NAME

static const OSSL_ALGORITHM ciphers[] = {
	{"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", CIPHER_PROPERTIES, prov_gcm_256,
		"AES-256-GCM by ipsec-mb"},
	{"AES-192-GCM:id-aes192-GCM:2.16.840.1.101.3.4.1.26", CIPHER_PROPERTIES, prov_gcm_192,
		"AES-192-GCM by ipsec-mb"},
	{"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", CIPHER_PROPERTIES, prov_gcm_128,
		"AES-128-GCM by ipsec-mb"},
	{"SEALOCK-AES-256-GCM", KEY_PROPERTIES, prov_named_gcm,
		"AES-256-GCM under a data key that is named by its handle"},
	{NULL, NULL, NULL, NULL},
};

/* Without those that OpenSSL does as fast itself. */
static const OSSL_ALGORITHM *const named_only = &ciphers[3];

static const OSSL_ALGORITHM keymgmts[] = {
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", KEY_PROPERTIES, prov_keymgmt_rsa,
		"RSA keys in the HSM"},
	{"EC:id-ecPublicKey:1.2.840.10045.2.1", KEY_PROPERTIES, prov_keymgmt_ec,
		"EC keys in the HSM"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM signatures[] = {
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", KEY_PROPERTIES, prov_signature_rsa,
		"RSA signatures by the HSM"},
	{"ECDSA", KEY_PROPERTIES, prov_signature_ecdsa, "ECDSA signatures by the HSM"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM asym_ciphers[] = {
	{"RSA:rsaEncryption:1.2.840.113549.1.1.1", KEY_PROPERTIES, prov_asym_cipher_rsa,
		"RSA decryption by the HSM"},
	{NULL, NULL, NULL, NULL},
};

#ifdef OSSL_OP_SKEYMGMT
static const OSSL_ALGORITHM skeymgmts[] = {
	{PROV_SKEY_TYPE, KEY_PROPERTIES, prov_skeymgmt, "data keys by name"},
	{NULL, NULL, NULL, NULL},
};
#endif

static const OSSL_ALGORITHM stores[] = {
	{PROV_NAME, KEY_PROPERTIES, prov_store, "keys in the HSM by URI"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM decoders[] = {
	{"RSA", KEY_PROPERTIES ",input=pem", prov_reference_rsa, "PEM references to RSA keys"},
	{"EC", KEY_PROPERTIES ",input=pem", prov_reference_ec, "PEM references to EC keys"},
	{NULL, NULL, NULL, NULL},
};

static const OSSL_ALGORITHM *
query(void *provctx, int operation, int *no_cache)
{
	const struct prov *prov = provctx;

	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_CIPHER:
		return prov->offers_ciphers ? ciphers : prov_gcm_code() != NULL ? named_only : NULL;
	case OSSL_OP_KEYMGMT:
		return keymgmts;
	case OSSL_OP_SIGNATURE:
		return signatures;
	case OSSL_OP_ASYM_CIPHER:
		return asym_ciphers;
#ifdef OSSL_OP_SKEYMGMT
	case OSSL_OP_SKEYMGMT:
		return skeymgmts;
#endif
	case OSSL_OP_STORE:
		return stores;
	case OSSL_OP_DECODER:
		return decoders;
	default:
		return NULL;
	}
}

static const OSSL_PARAM *
gettable_params(void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_NAME, NULL, 0),
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_VERSION, NULL, 0),
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_BUILDINFO, NULL, 0),
		OSSL_PARAM_int(OSSL_PROV_PARAM_STATUS, NULL),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

/* buildinfo says which code runs here, or that OpenSSL's own is left to do it. */
static int
get_params(void *provctx, OSSL_PARAM params[])
{
	const struct prov *prov = provctx;
	const char *code = prov->offers_ciphers ? prov_gcm_code_name() : "left to OpenSSL";
	const struct {
		const char *key, *value;
	} texts[] = {
		{OSSL_PROV_PARAM_NAME, "Sealock provider"},
		{OSSL_PROV_PARAM_VERSION, SLK_VERSION},
		{OSSL_PROV_PARAM_BUILDINFO, code},
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		OSSL_PARAM *p = OSSL_PARAM_locate(params, texts[i].key);
		if (p != NULL && !OSSL_PARAM_set_utf8_ptr(p, texts[i].value))
			return 0;
	}
	OSSL_PARAM *p = OSSL_PARAM_locate(params, OSSL_PROV_PARAM_STATUS);
	return p == NULL || OSSL_PARAM_set_int(p, 1);
}

static int
self_test(void *provctx)
{
	const struct prov *prov = provctx;

	if (!prov->offers_ciphers || prov_gcm_code_test())
		return 1;
	prov_raise(prov, PROV_E_SELF_TEST, "AES-GCM, code %s", prov_gcm_code_name());
	return 0;
}

static const OSSL_ITEM *
reason_strings(void *provctx)
{
	(void)provctx;
	return prov_reason_strings;
}

static void
teardown(void *provctx)
{
	struct prov *prov = provctx;

	prov_datakey_close(prov);
	prov_kms_close(prov);
	OSSL_LIB_CTX_free(prov->libctx);
	free(prov->socket_path);
	free(prov->data_keys_dir);
	free(prov);
}

static const OSSL_DISPATCH dispatch[] = {
	{OSSL_FUNC_PROVIDER_TEARDOWN, FN(teardown)},
	{OSSL_FUNC_PROVIDER_GETTABLE_PARAMS, FN(gettable_params)},
	{OSSL_FUNC_PROVIDER_GET_PARAMS, FN(get_params)},
	{OSSL_FUNC_PROVIDER_QUERY_OPERATION, FN(query)},
	{OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, FN(reason_strings)},
	{OSSL_FUNC_PROVIDER_SELF_TEST, FN(self_test)},
	{0, NULL},
};

/* --- loading --- */

/* kmsd and its workers run OpenSSL inside the module: asking kmsd from there would wait for itself. */
static bool
inside_kmsd(void)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	if (len <= 0)
		return false;
	path[len] = '\0';
	const char *name = strrchr(path, '/');
	name = name != NULL ? name + 1 : path;
	return strcmp(name, "sealock-kmsd") == 0 || strcmp(name, "sealock-hsm-worker") == 0;
}

struct settings {
	char *openssl_version, *ciphers, *kms_socket, *kms_timeout_ms, *data_keys;
};

/* From the provider's section of openssl.cnf. */
static bool
settings_read(
	const OSSL_CORE_HANDLE *handle, OSSL_FUNC_core_get_params_fn *get, struct settings *out)
{
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_ptr(OSSL_PROV_PARAM_CORE_VERSION, &out->openssl_version, 0),
		OSSL_PARAM_utf8_ptr("ciphers", &out->ciphers, 0),
		OSSL_PARAM_utf8_ptr("kms_socket", &out->kms_socket, 0),
		OSSL_PARAM_utf8_ptr("kms_timeout_ms", &out->kms_timeout_ms, 0),
		OSSL_PARAM_utf8_ptr("data_keys", &out->data_keys, 0),
		OSSL_PARAM_END,
	};

	return get == NULL || get(handle, params) == 1;
}

/* OpenSSL has wide GCM code of its own since 3.1. */
static bool
openssl_is_as_fast(const char *version)
{
	char *end;

	if (version == NULL || !prov_cpu_has_wide_vaes())
		return false;
	long major = strtol(version, &end, 10);
	long minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
	return major > 3 || (major == 3 && minor >= 1);
}

static bool
take_text(const struct prov *prov, const char *text, char **out)
{
	if (text == NULL)
		return true;
	*out = strdup(text);
	if (*out == NULL)
		prov_raise(prov, PROV_E_MEMORY, NULL);
	return *out != NULL;
}

/* false: a setting is malformed. */
static bool
settings_apply(struct prov *prov, const struct settings *s)
{
	const char *wish = s->ciphers != NULL ? s->ciphers : "auto";

	if (strcmp(wish, "auto") == 0)
		prov->offers_ciphers = !openssl_is_as_fast(s->openssl_version) &&
			strcmp(prov_gcm_code_name(), "sse") != 0; /* docs/provider.md */
	else if (strcmp(wish, "always") == 0 || strcmp(wish, "never") == 0)
		prov->offers_ciphers = wish[0] == 'a';
	else {
		prov_raise(prov, PROV_E_PARAMETER, "ciphers = %s is none of auto, always, never",
			wish);
		return false;
	}
	prov->offers_ciphers = prov->offers_ciphers && prov_gcm_code() != NULL;
	prov->timeout_ms = TIMEOUT_MS;
	if (s->kms_timeout_ms != NULL) {
		char *end;
		unsigned long ms = strtoul(s->kms_timeout_ms, &end, 10);
		if (*end != '\0' || ms < 1 || ms > 60000) {
			prov_raise(prov, PROV_E_PARAMETER, "kms_timeout_ms = %s is not in 1..60000",
				s->kms_timeout_ms);
			return false;
		}
		prov->timeout_ms = (unsigned)ms;
	}
	return take_text(prov, s->kms_socket, &prov->socket_path) &&
		take_text(prov, s->data_keys, &prov->data_keys_dir);
}

static OSSL_FUNC_core_get_params_fn *
take_core(struct prov *prov, const OSSL_DISPATCH *in)
{
	OSSL_FUNC_core_get_params_fn *get = NULL;

	for (; in->function_id != 0; in++)
		switch (in->function_id) {
		case OSSL_FUNC_CORE_GET_PARAMS:
			get = OSSL_FUNC_core_get_params(in);
			break;
		case OSSL_FUNC_CORE_NEW_ERROR:
			prov->new_error = OSSL_FUNC_core_new_error(in);
			break;
		case OSSL_FUNC_CORE_SET_ERROR_DEBUG:
			prov->set_error_debug = OSSL_FUNC_core_set_error_debug(in);
			break;
		case OSSL_FUNC_BIO_READ_EX:
			prov->bio_read = OSSL_FUNC_BIO_read_ex(in);
			break;
		case OSSL_FUNC_CORE_VSET_ERROR:
			prov->vset_error = OSSL_FUNC_core_vset_error(in);
			break;
		default:
			break;
		}
	return get;
}

#ifndef PROV_INSIDE_ENGINE
__attribute__((visibility("default")))
#endif
OSSL_provider_init_fn OSSL_provider_init;

int
OSSL_provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
	const OSSL_DISPATCH **out, void **out_provctx)
{
	struct prov *prov = calloc(1, sizeof(*prov));
	struct settings settings = {0};

	if (prov == NULL)
		return 0;
	prov->handle = handle;
	OSSL_FUNC_core_get_params_fn *get = take_core(prov, in);
	if (inside_kmsd())
		goto fail;
	prov->libctx = OSSL_LIB_CTX_new();
	if (prov->libctx == NULL || !prov_datakey_open(prov) ||
		!settings_read(handle, get, &settings) || !settings_apply(prov, &settings))
		goto fail;
	*out = dispatch;
	*out_provctx = prov;
	return 1;
fail:
	teardown(prov);
	return 0;
}
