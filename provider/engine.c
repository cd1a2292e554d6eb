/* The same keys for programs that know engines and no providers (nginx's `engine:sealock:NAME`, `openssl -engine sealock
 * -keyform engine`): a dynamic ENGINE of id sealock that brings the provider into the program and hands out its keys. Of
 * OpenSSL 4 and builds without engines nothing of this is there.
 *
 * The provider's settings come from openssl.cnf only if it loads the provider itself; otherwise kmsd is asked at
 * $SEALOCK_KMS_SOCKET or its default. Ciphers are not offered: the engine is for keys. */
#define OPENSSL_SUPPRESS_DEPRECATED /* the whole of the ENGINE interface is */

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <stdio.h>
#include <string.h>

#include "key.h"

extern OSSL_provider_init_fn OSSL_provider_init;

/* The default provider is there by itself only as long as no other one is loaded by hand. */
static int
bring_provider(void)
{
	if (OSSL_PROVIDER_available(NULL, PROV_NAME) == 1)
		return 1;
	return OSSL_PROVIDER_add_builtin(NULL, PROV_NAME, OSSL_provider_init) == 1 &&
		OSSL_PROVIDER_load(NULL, "default") != NULL &&
		OSSL_PROVIDER_load(NULL, PROV_NAME) != NULL;
}

/* name: what follows "sealock:" in a URI, or the whole URI. */
static EVP_PKEY *
load_key(ENGINE *engine, const char *name, UI_METHOD *ui, void *ui_data)
{
	char uri[512];
	EVP_PKEY *key = NULL;
	const char *prefix =
		strncmp(name, PROV_SCHEME ":", strlen(PROV_SCHEME) + 1) == 0 ? "" : PROV_SCHEME ":";
	int len = snprintf(uri, sizeof(uri), "%s%s", prefix, name);

	(void)engine;
	if (len < 0 || (size_t)len >= sizeof(uri) || !bring_provider())
		return NULL;
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, ui_data, NULL, NULL);
	OSSL_STORE_INFO *info = store != NULL ? OSSL_STORE_load(store) : NULL;
	if (info != NULL)
		key = OSSL_STORE_INFO_get1_PKEY(info);
	OSSL_STORE_INFO_free(info);
	if (store != NULL)
		OSSL_STORE_close(store);
	return key;
}

static int
bind(ENGINE *engine, const char *id)
{
	if (id != NULL && strcmp(id, PROV_NAME) != 0)
		return 0;
	return ENGINE_set_id(engine, PROV_NAME) == 1 &&
		ENGINE_set_name(engine, "Sealock: keys in the HSM") == 1 &&
		ENGINE_set_load_privkey_function(engine, load_key) == 1 &&
		ENGINE_set_load_pubkey_function(engine, load_key) == 1;
}

#pragma GCC visibility push(default)
IMPLEMENT_DYNAMIC_CHECK_FN()
IMPLEMENT_DYNAMIC_BIND_FN(bind)
#pragma GCC visibility pop
