#include "keymgmt.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <string.h>

#include "key.h"

static void *
rsa_new(void *provctx)
{
	return prov_key_new(provctx, true);
}

static void *
ec_new(void *provctx)
{
	return prov_key_new(provctx, false);
}

static void
key_free(void *key)
{
	prov_key_free(key);
}

static void *
load(const void *reference, size_t len)
{
	return prov_key_adopt(reference, len);
}

static void *
duplicate(const void *key, int selection)
{
	(void)selection; /* keys do not change */
	return prov_key_hold((struct prov_key *)(uintptr_t)key);
}

static int
has(const void *keydata, int selection)
{
	const struct prov_key *key = keydata;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 && key->name == NULL)
		return 0;
	return (selection &
		       (OSSL_KEYMGMT_SELECT_PUBLIC_KEY | OSSL_KEYMGMT_SELECT_ALL_PARAMETERS)) ==
		0 ||
		key->public != NULL;
}

/* Two private halves are the same if the public ones are. */
static int
match(const void *keydata1, const void *keydata2, int selection)
{
	const struct prov_key *a = keydata1, *b = keydata2;

	if (a->public == NULL || b->public == NULL || a->rsa != b->rsa)
		return 0;
	if ((selection & OSSL_KEYMGMT_SELECT_KEYPAIR) == 0)
		return EVP_PKEY_parameters_eq(a->public, b->public) == 1;
	return EVP_PKEY_eq(a->public, b->public) == 1;
}

static int export(void *keydata, int selection, OSSL_CALLBACK *callback, void *arg)
{
	struct prov_key *key = keydata;
	OSSL_PARAM *params = NULL;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || key->public == NULL)
		return 0;
	if (EVP_PKEY_todata(key->public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
		return 0;
	int good = callback(params, arg);
	OSSL_PARAM_free(params);
	return good;
}

static int
import(void *keydata, int selection, const OSSL_PARAM params[])
{
	struct prov_key *key = keydata;
	EVP_PKEY *public = NULL;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 || key->public != NULL)
		return 0;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(key->prov->libctx, prov_key_type(key), NULL);
	bool good = ctx != NULL && EVP_PKEY_fromdata_init(ctx) == 1 &&
		EVP_PKEY_fromdata(
			ctx, &public, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)(uintptr_t)params) == 1;
	EVP_PKEY_CTX_free(ctx);
	if (good)
		key->public = public;
	return good;
}

#define RSA_PUBLIC \
	OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0), OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0)
#define EC_PUBLIC \
	OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), \
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0)
#define COMMON \
	OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL), \
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), \
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL), \
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0)

static const OSSL_PARAM rsa_types[] = {RSA_PUBLIC, OSSL_PARAM_END};
static const OSSL_PARAM ec_types[] = {EC_PUBLIC, OSSL_PARAM_END};
static const OSSL_PARAM rsa_gettable[] = {COMMON, RSA_PUBLIC, OSSL_PARAM_END};
static const OSSL_PARAM ec_gettable[] = {COMMON, EC_PUBLIC,
	OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
	OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_X, NULL, 0),
	OSSL_PARAM_BN(OSSL_PKEY_PARAM_EC_PUB_Y, NULL, 0), OSSL_PARAM_END};

static const OSSL_PARAM *
rsa_export_types(int selection)
{
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : rsa_types;
}

static const OSSL_PARAM *
ec_export_types(int selection)
{
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : ec_types;
}

static const OSSL_PARAM *
rsa_gettable_params(void *provctx)
{
	(void)provctx;
	return rsa_gettable;
}

static const OSSL_PARAM *
ec_gettable_params(void *provctx)
{
	(void)provctx;
	return ec_gettable;
}

static int
get_params(void *keydata, OSSL_PARAM params[])
{
	const struct prov_key *key = keydata;

	return key->public != NULL && EVP_PKEY_get_params(key->public, params) == 1;
}

static const char *
ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : "EC";
}

#define FN(function) ((void (*)(void))(function))
#define KEYMGMT(type, ...) \
	const OSSL_DISPATCH prov_keymgmt_##type[] = { \
		{OSSL_FUNC_KEYMGMT_NEW, FN(type##_new)}, \
		{OSSL_FUNC_KEYMGMT_FREE, FN(key_free)}, \
		{OSSL_FUNC_KEYMGMT_DUP, FN(duplicate)}, \
		{OSSL_FUNC_KEYMGMT_LOAD, FN(load)}, \
		{OSSL_FUNC_KEYMGMT_HAS, FN(has)}, \
		{OSSL_FUNC_KEYMGMT_MATCH, FN(match)}, \
		{OSSL_FUNC_KEYMGMT_EXPORT, FN(export)}, \
		{OSSL_FUNC_KEYMGMT_EXPORT_TYPES, FN(type##_export_types)}, \
		{OSSL_FUNC_KEYMGMT_IMPORT, FN(import)}, \
		{OSSL_FUNC_KEYMGMT_IMPORT_TYPES, FN(type##_export_types)}, \
		{OSSL_FUNC_KEYMGMT_GET_PARAMS, FN(get_params)}, \
		{OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, FN(type##_gettable_params)}, \
		__VA_ARGS__{0, NULL}, \
	}

KEYMGMT(rsa, );
KEYMGMT(ec, {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, FN(ec_operation_name)}, );
