#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A record and its header: one system call reads several small ones, and a large one whole. */
#define READ_AHEAD_BYTES (66u * 1024u)

struct http_tls {
	pthread_mutex_t lock; /* of ctx */
	SSL_CTX *ctx;
	char *certificate, *key;
	int min_version;
};

/* libcrypto's reason behind our sentence. */
static int
fail_ssl(struct slk_error *err, int status, const char *what, const char *name)
{
	unsigned long first = ERR_peek_error();
	const char *reason = ERR_SYSTEM_ERROR(first)
		? strerror(ERR_GET_REASON(first))
		: ERR_reason_error_string(ERR_peek_last_error());
	int rc = slk_fail(err, status, "%s %s: %s", what, name,
		reason != NULL ? reason : "the TLS library gives no reason");

	ERR_clear_error();
	return rc;
}

/* --- the private key --- */

static bool
is_uri(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon != NULL && colon != name && strchr(name, '/') != name &&
		memchr(name, '/', (size_t)(colon - name)) == NULL;
}

/* Nobody is there to type a passphrase. */
static int
no_passphrase(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}

static int
key_from_file(const char *path, EVP_PKEY **out_key, struct slk_error *err)
{
	BIO *bio = BIO_new_file(path, "r");

	if (bio == NULL) {
		ERR_clear_error();
		return slk_fail_errno(err, "cannot open the TLS key %s", path);
	}
	EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	BIO_free(bio);
	if (key == NULL)
		return fail_ssl(err, SLK_CONFIG, "no private key without a passphrase in", path);
	*out_key = key;
	return SLK_OK;
}

static EVP_PKEY *
key_from_store(OSSL_STORE_CTX *store)
{
	EVP_PKEY *key = NULL;

	while (key == NULL && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		if (info == NULL && OSSL_STORE_error(store))
			break;
		if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return key;
}

/* "sealock:key/ID": the provider of that name is loaded beside the default one, unless openssl.cnf did so. */
static int
load_provider(const char *uri, struct slk_error *err)
{
	char name[64];
	size_t len = (size_t)(strchr(uri, ':') - uri);

	if (len >= sizeof(name))
		return slk_fail(err, SLK_CONFIG, "the TLS key %s is no URI of a provider", uri);
	memcpy(name, uri, len);
	name[len] = '\0';
	if (strcmp(name, "file") == 0 || OSSL_PROVIDER_available(NULL, name))
		return SLK_OK;
	if (OSSL_PROVIDER_load(NULL, "default") == NULL || OSSL_PROVIDER_load(NULL, name) == NULL)
		return fail_ssl(err, SLK_CONFIG, "cannot load OpenSSL's provider", name);
	return SLK_OK;
}

static int
key_from_uri(const char *uri, EVP_PKEY **out_key, struct slk_error *err)
{
	int rc = load_provider(uri, err);

	if (rc != SLK_OK)
		return rc;
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, UI_null(), NULL, NULL, NULL);
	if (store == NULL)
		return fail_ssl(err, SLK_CONFIG, "cannot open the TLS key", uri);
	EVP_PKEY *key = key_from_store(store);
	OSSL_STORE_close(store);
	if (key == NULL)
		return fail_ssl(err, SLK_CONFIG, "there is no private key at", uri);
	*out_key = key;
	return SLK_OK;
}

static int
load_key(SSL_CTX *ctx, const char *name, struct slk_error *err)
{
	EVP_PKEY *key = NULL;
	int rc = is_uri(name) ? key_from_uri(name, &key, err) : key_from_file(name, &key, err);

	if (rc != SLK_OK)
		return rc;
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		rc = fail_ssl(
			err, SLK_CONFIG, "the certificate does not belong to the TLS key", name);
	EVP_PKEY_free(key);
	return rc;
}

/* --- the context --- */

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
	const unsigned char *in, unsigned in_len, void *arg)
{
	static const unsigned char ours[] = "\x02h2\x08http/1.1";
	unsigned char *chosen = NULL;

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301, 3.2 */
	*out = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static bool
set_options(SSL_CTX *ctx, int min_version)
{
	static const unsigned char context[] = "sealock";

	SSL_CTX_set_options(ctx,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_COMPRESSION |
			SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_mode(ctx,
		SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
			SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1);
	SSL_CTX_set_default_read_buffer_len(ctx, READ_AHEAD_BYTES);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	/* Tickets alone: no table of sessions grows. Their keys are the context's, new with each reload. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	return SSL_CTX_set_num_tickets(ctx, 1) == 1 &&
		SSL_CTX_set_session_id_context(ctx, context, sizeof(context) - 1) == 1 &&
		SSL_CTX_set_min_proto_version(ctx, min_version) == 1 &&
		SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

static int
new_context(const struct http_tls *tls, SSL_CTX **out_ctx, struct slk_error *err)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL || !set_options(ctx, tls->min_version)) {
		SSL_CTX_free(ctx);
		return fail_ssl(err, SLK_INTERNAL, "cannot set up", "TLS");
	}
	int rc = SLK_OK;
	if (SSL_CTX_use_certificate_chain_file(ctx, tls->certificate) != 1)
		rc = fail_ssl(err, SLK_CONFIG, "cannot load the TLS certificate", tls->certificate);
	if (rc == SLK_OK)
		rc = load_key(ctx, tls->key, err);
	if (rc != SLK_OK) {
		SSL_CTX_free(ctx);
		return rc;
	}
	*out_ctx = ctx;
	return SLK_OK;
}

static int
parse_version(const char *text, int *out_version, struct slk_error *err)
{
	if (text == NULL || strcmp(text, "1.2") == 0)
		*out_version = TLS1_2_VERSION;
	else if (strcmp(text, "1.3") == 0)
		*out_version = TLS1_3_VERSION;
	else
		return slk_fail(
			err, SLK_CONFIG, "tls.min_version is \"1.2\" or \"1.3\", not \"%s\"", text);
	return SLK_OK;
}

int
http_tls_new(const struct http_tls_config *config, struct http_tls **out_tls, struct slk_error *err)
{
	if (config->certificate == NULL || config->key == NULL)
		return slk_fail(
			err, SLK_CONFIG, "a TLS listener needs tls.certificate and tls.key");
	struct http_tls *tls = calloc(1, sizeof(*tls));
	if (tls == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for TLS");
	pthread_mutex_init(&tls->lock, NULL);
	tls->certificate = strdup(config->certificate);
	tls->key = strdup(config->key);
	int rc = SLK_OK;
	if (tls->certificate == NULL || tls->key == NULL)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for TLS");
	if (rc == SLK_OK)
		rc = parse_version(config->min_version, &tls->min_version, err);
	if (rc == SLK_OK)
		rc = new_context(tls, &tls->ctx, err);
	if (rc != SLK_OK) {
		http_tls_free(tls);
		return rc;
	}
	*out_tls = tls;
	return SLK_OK;
}

void
http_tls_free(struct http_tls *tls)
{
	if (tls == NULL)
		return;
	SSL_CTX_free(tls->ctx);
	free(tls->certificate);
	free(tls->key);
	pthread_mutex_destroy(&tls->lock);
	free(tls);
}

int
http_tls_reload(struct http_tls *tls, struct slk_error *err)
{
	SSL_CTX *ctx = NULL, *old;
	int rc = new_context(tls, &ctx, err);

	if (rc != SLK_OK)
		return rc;
	pthread_mutex_lock(&tls->lock);
	old = tls->ctx;
	tls->ctx = ctx;
	pthread_mutex_unlock(&tls->lock);
	SSL_CTX_free(old); /* connections hold their own reference */
	return SLK_OK;
}

static SSL_CTX *
hold_context(struct http_tls *tls)
{
	pthread_mutex_lock(&tls->lock);
	SSL_CTX *ctx = tls->ctx;
	SSL_CTX_up_ref(ctx);
	pthread_mutex_unlock(&tls->lock);
	return ctx;
}

int
http_tls_accept(struct http_tls *tls, struct http_io *io)
{
	SSL_CTX *ctx = hold_context(tls);
	SSL *ssl = SSL_new(ctx);

	SSL_CTX_free(ctx);
	if (ssl == NULL || !http_io_join(io, ssl)) {
		SSL_free(ssl);
		ERR_clear_error();
		return SLK_NO_MEMORY;
	}
	SSL_set_accept_state(ssl);
	io->ssl = ssl;
	return SLK_OK;
}

bool
http_tls_is_remote(const struct http_tls *tls)
{
	return is_uri(tls->key);
}

int
http_tls_days(struct http_tls *tls)
{
	SSL_CTX *ctx = hold_context(tls);
	const X509 *certificate = SSL_CTX_get0_certificate(ctx);
	int days = 0, seconds = 0;

	if (certificate == NULL ||
		ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) != 1)
		days = 0;
	SSL_CTX_free(ctx);
	return seconds < 0 && days == 0 ? -1 : days;
}
