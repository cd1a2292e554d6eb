#include "skey.h"

#ifdef OSSL_OP_SKEYMGMT

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <string.h>

#include "prov.h"

/* Whether the handle's file is there and who may use it is asked when a message begins. */
static void *
import(void *provctx, int selection, const OSSL_PARAM params[])
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_SKEY_PARAM_RAW_BYTES);
	uint8_t id[FMT_DATAKEY_ID_BYTES];

	if ((selection & OSSL_SKEYMGMT_SELECT_SECRET_KEY) == 0 || p == NULL ||
		p->data_type != OSSL_PARAM_OCTET_STRING ||
		p->data_size != FMT_DATAKEY_HANDLE_BYTES ||
		fmt_datakey_handle_id(p->data, id) != SLK_OK) {
		prov_raise(provctx, PROV_E_DATA_KEY,
			"the key is no handle of a data key; 'sealock key data create NAME' makes "
			"one");
		return NULL;
	}
	struct prov_skey *key = OPENSSL_zalloc(sizeof(*key));
	if (key == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	memcpy(key->handle, p->data, sizeof(key->handle));
	slk_hex(slk_span(id, sizeof(id)), key->id, sizeof(key->id));
	return key;
}

static void
key_free(void *key)
{
	OPENSSL_free(key);
}

static int export(void *key, int selection, OSSL_CALLBACK *callback, void *arg)
{
	(void)key;
	(void)selection;
	(void)callback;
	(void)arg;
	return 0;
}

static const char *
key_id(void *keydata)
{
	const struct prov_skey *key = keydata;

	return key->id;
}

static const OSSL_PARAM *
import_settable(void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_octet_string(OSSL_SKEY_PARAM_RAW_BYTES, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

#define FN(function) ((void (*)(void))(function))

const OSSL_DISPATCH prov_skeymgmt[] = {
	{OSSL_FUNC_SKEYMGMT_FREE, FN(key_free)},
	{OSSL_FUNC_SKEYMGMT_IMPORT, FN(import)},
	{OSSL_FUNC_SKEYMGMT_EXPORT, FN(export)},
	{OSSL_FUNC_SKEYMGMT_GET_KEY_ID, FN(key_id)},
	{OSSL_FUNC_SKEYMGMT_IMP_SETTABLE_PARAMS, FN(import_settable)},
	{0, NULL},
};

#else

extern const int prov_no_skey; /* a file needs something in it */
const int prov_no_skey = 1;

#endif
