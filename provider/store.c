#include "store.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/store.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"

struct store {
	struct prov *prov;
	char *uri;
	bool given; /* a URI names one object */
	int expected; /* OSSL_STORE_INFO_...; 0: anything */
};

static void *
store_open(void *provctx, const char *uri)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->uri = strdup(uri);
	if (s == NULL || s->uri == NULL) {
		free(s);
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	s->prov = provctx;
	return s;
}

static int
store_close(void *vctx)
{
	struct store *s = vctx;

	free(s->uri);
	free(s);
	return 1;
}

static int
load(void *vctx, OSSL_CALLBACK *callback, void *arg, OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	struct store *s = vctx;

	(void)pass;
	(void)pass_arg;
	s->given = true;
	if (s->expected != 0 && s->expected != OSSL_STORE_INFO_PKEY &&
		s->expected != OSSL_STORE_INFO_PUBKEY)
		return 1;
	struct prov_key *key = prov_key_open(s->prov, s->uri);
	return key != NULL && prov_key_deliver(key, callback, arg);
}

static int
at_end(void *vctx)
{
	const struct store *s = vctx;

	return s->given;
}

static int
set_params(void *vctx, const OSSL_PARAM params[])
{
	struct store *s = vctx;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_STORE_PARAM_EXPECT);

	return p == NULL || OSSL_PARAM_get_int(p, &s->expected);
}

static const OSSL_PARAM *
settable(void *provctx)
{
	static const OSSL_PARAM list[] = {
		OSSL_PARAM_int(OSSL_STORE_PARAM_EXPECT, NULL),
		OSSL_PARAM_END,
	};

	(void)provctx;
	return list;
}

#define FN(function) ((void (*)(void))(function))

const OSSL_DISPATCH prov_store[] = {
	{OSSL_FUNC_STORE_OPEN, FN(store_open)},
	{OSSL_FUNC_STORE_SETTABLE_CTX_PARAMS, FN(settable)},
	{OSSL_FUNC_STORE_SET_CTX_PARAMS, FN(set_params)},
	{OSSL_FUNC_STORE_LOAD, FN(load)},
	{OSSL_FUNC_STORE_EOF, FN(at_end)},
	{OSSL_FUNC_STORE_CLOSE, FN(store_close)},
	{0, NULL},
};
