#include "key.h"

#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/params.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "kms.h"

struct prov_key *
prov_key_new(struct prov *prov, bool rsa)
{
	struct prov_key *key = calloc(1, sizeof(*key));

	if (key == NULL) {
		prov_raise(prov, PROV_E_MEMORY, NULL);
		return NULL;
	}
	atomic_init(&key->references, 1);
	key->prov = prov;
	key->rsa = rsa;
	return key;
}

struct prov_key *
prov_key_hold(struct prov_key *key)
{
	atomic_fetch_add(&key->references, 1);
	return key;
}

void
prov_key_free(struct prov_key *key)
{
	if (key == NULL || atomic_fetch_sub(&key->references, 1) != 1)
		return;
	EVP_PKEY_free(key->public);
	free(key->name);
	free(key);
}

const char *
prov_key_type(const struct prov_key *key)
{
	return key->rsa ? "RSA" : "EC";
}

/* What follows the scheme, or NULL if it is none of ours. An ARN names its key in its last part. */
static const char *
key_id(const char *uri)
{
	if (strncmp(uri, PROV_SCHEME ":", strlen(PROV_SCHEME) + 1) != 0)
		return NULL;
	const char *name = uri + strlen(PROV_SCHEME) + 1;
	if (strncmp(name, "key/", 4) == 0 && name[4] != '\0')
		return name + 4;
	if ((strncmp(name, "alias/", 6) == 0 && name[6] != '\0') || strncmp(name, "arn:", 4) == 0)
		return name;
	return NULL;
}

struct prov_key *
prov_key_open(struct prov *prov, const char *uri)
{
	const char *id = key_id(uri);
	struct kmsc_public_key public;

	if (id == NULL) {
		prov_raise(prov, PROV_E_KEY_REFERENCE,
			"'%s': want sealock:key/ID, sealock:alias/NAME or sealock:ARN", uri);
		return NULL;
	}
	if (!prov_kms_public_key(prov, id, &public))
		return NULL;
	const unsigned char *der = public.der;
	EVP_PKEY *pkey = d2i_PUBKEY_ex(NULL, &der, (long)public.der_len, prov->libctx, NULL);
	struct prov_key *key = NULL;
	if (pkey == NULL || !(EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "EC"))) {
		prov_raise(prov, PROV_E_KEY_REFERENCE,
			"'%s' is a key of a kind that is not known here", uri);
		goto out;
	}
	key = prov_key_new(prov, EVP_PKEY_is_a(pkey, "RSA"));
	if (key == NULL)
		goto out;
	key->name = strdup(public.key_arn);
	if (key->name == NULL) {
		prov_raise(prov, PROV_E_MEMORY, NULL);
		prov_key_free(key);
		key = NULL;
		goto out;
	}
	key->public = pkey;
	pkey = NULL; /* now the key's */
out:
	EVP_PKEY_free(pkey);
	return key;
}

int
prov_key_deliver(struct prov_key *key, OSSL_CALLBACK *callback, void *arg)
{
	int type = OSSL_OBJECT_PKEY;
	struct prov_key *reference = key;
	OSSL_PARAM object[] = {
		OSSL_PARAM_int(OSSL_OBJECT_PARAM_TYPE, &type),
		OSSL_PARAM_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE,
			(char *)(uintptr_t)prov_key_type(key), strlen(prov_key_type(key))),
		/* NOLINTNEXTLINE(bugprone-sizeof-expression) */
		OSSL_PARAM_octet_string(OSSL_OBJECT_PARAM_REFERENCE, &reference, sizeof(reference)),
		OSSL_PARAM_END,
	};

	int good = callback(object, arg);
	prov_key_free(reference); /* NULL if it was adopted */
	return good;
}

struct prov_key *
prov_key_adopt(const void *reference, size_t len)
{
	if (len != sizeof(struct prov_key *))
		return NULL;
	struct prov_key **place = (struct prov_key **)(uintptr_t)reference;
	struct prov_key *key = *place;
	*place = NULL;
	return key;
}
