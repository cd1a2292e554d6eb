#include "reference.h"

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"

#define LABEL "SEALOCK KEY REFERENCE"
#define FILE_MAX 16384u /* more is none of ours: a chain of certificates, for instance */

struct reference {
	struct prov *prov;
	bool rsa;
};

static void *
reference_new(void *provctx, bool rsa)
{
	struct reference *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		prov_raise(provctx, PROV_E_MEMORY, NULL);
		return NULL;
	}
	r->prov = provctx;
	r->rsa = rsa;
	return r;
}

static void *
rsa_new(void *provctx)
{
	return reference_new(provctx, true);
}

static void *
ec_new(void *provctx)
{
	return reference_new(provctx, false);
}

static void
reference_free(void *vctx)
{
	free(vctx);
}

static int
does_selection(void *provctx, int selection)
{
	(void)provctx;
	return selection == 0 || (selection & OSSL_KEYMGMT_SELECT_KEYPAIR) != 0;
}

/* The file up to cap bytes. -1: longer, or not to be read. */
static int
read_all(const struct prov *prov, OSSL_CORE_BIO *in, char *out, size_t cap)
{
	size_t len = 0, n = 0;

	while (len < cap && prov->bio_read(in, out + len, cap - len, &n) == 1 && n > 0)
		len += n;
	return len < cap ? (int)len : -1;
}

/* The URI in a PEM text of our label and this type, into uri. */
static bool
find_uri(const struct reference *r, const char *text, int len, char *uri, size_t cap)
{
	BIO *bio = BIO_new_mem_buf(text, len);
	char *label = NULL, *header = NULL;
	unsigned char *body = NULL;
	long body_len = 0;
	bool found = false;
	const char *type = r->rsa ? "RSA " : "EC ";

	/* What other PEM readers do not find there is no error of ours. */
	ERR_set_mark();
	while (!found && bio != NULL && PEM_read_bio(bio, &label, &header, &body, &body_len) == 1) {
		size_t skip = strlen(type);
		size_t rest = (size_t)body_len > skip ? (size_t)body_len - skip : 0;
		if (rest > 0 && body[body_len - 1] == '\n')
			rest--;
		if (strcmp(label, LABEL) == 0 && rest > 0 && rest < cap &&
			memcmp(body, type, skip) == 0 &&
			memchr(body, '\0', (size_t)body_len) == NULL) {
			memcpy(uri, body + skip, rest);
			uri[rest] = '\0';
			found = true;
		}
		OPENSSL_free(label);
		OPENSSL_free(header);
		OPENSSL_free(body);
		label = header = NULL;
		body = NULL;
	}
	ERR_pop_to_mark();
	BIO_free(bio);
	return found;
}

static int
decode(void *vctx, OSSL_CORE_BIO *in, int selection, OSSL_CALLBACK *callback, void *arg,
	OSSL_PASSPHRASE_CALLBACK *pass, void *pass_arg)
{
	const struct reference *r = vctx;
	char *text = malloc(FILE_MAX);
	char uri[512];

	(void)selection;
	(void)pass;
	(void)pass_arg;
	if (text == NULL) {
		prov_raise(r->prov, PROV_E_MEMORY, NULL);
		return 0;
	}
	int len = read_all(r->prov, in, text, FILE_MAX);
	bool ours = len > 0 && find_uri(r, text, len, uri, sizeof(uri));
	free(text);
	if (!ours)
		return 1;
	struct prov_key *key = prov_key_open(r->prov, uri);
	if (key == NULL)
		return 0;
	if (key->rsa != r->rsa) {
		prov_raise(r->prov, PROV_E_KEY_REFERENCE,
			"%s is a key of type %s; make the reference again", uri,
			prov_key_type(key));
		prov_key_free(key);
		return 0;
	}
	return prov_key_deliver(key, callback, arg);
}

#define FN(function) ((void (*)(void))(function))
#define REFERENCE_DISPATCH(type) \
	const OSSL_DISPATCH prov_reference_##type[] = { \
		{OSSL_FUNC_DECODER_NEWCTX, FN(type##_new)}, \
		{OSSL_FUNC_DECODER_FREECTX, FN(reference_free)}, \
		{OSSL_FUNC_DECODER_DOES_SELECTION, FN(does_selection)}, \
		{OSSL_FUNC_DECODER_DECODE, FN(decode)}, \
		{0, NULL}, \
	}

REFERENCE_DISPATCH(rsa);
REFERENCE_DISPATCH(ec);
