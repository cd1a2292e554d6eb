/* The gateway's TLS with its private key in the HSM: by a URI, through the provider that it loads by itself. */
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "http/http.h"
#include "http/tls.h"
#include "kmsclient/life.h"
#include "kmsd_rig.h"
#include "slk_test.h"

#define KEY "sealock:alias/tls"

static struct kmsd_rig rig;
static char certificate[200];
static struct http_tls_config config = {.certificate = certificate, .key = KEY};

/* --- set-up --- */

/* In a library context of its own, so that the gateway's is as it finds it. */
static X509 *
make_certificate(OSSL_LIB_CTX *libctx)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(KEY, libctx, NULL, NULL, NULL, NULL, NULL, NULL);
	assert_non_null(store);
	OSSL_STORE_INFO *info = OSSL_STORE_load(store);
	EVP_PKEY *key = OSSL_STORE_INFO_get1_PKEY(info);
	X509 *cert = X509_new_ex(libctx, NULL);
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	assert_non_null(key);
	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	assert_int_equal(X509_set_pubkey(cert, key), 1);
	assert_int_equal(EVP_DigestSignInit_ex(md, NULL, "SHA256", libctx, NULL, key, NULL), 1);
	assert_true(X509_sign_ctx(cert, md) > 0);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(key);
	OSSL_STORE_INFO_free(info);
	OSSL_STORE_close(store);
	return cert;
}

static void
write_certificate(void)
{
	OSSL_LIB_CTX *libctx = OSSL_LIB_CTX_new();
	OSSL_PROVIDER *theirs = OSSL_PROVIDER_load(libctx, "default");
	OSSL_PROVIDER *ours = OSSL_PROVIDER_load(libctx, "sealock");

	assert_non_null(ours);
	X509 *cert = make_certificate(libctx);
	snprintf(certificate, sizeof(certificate), "%s/crt.pem", rig.base);
	FILE *f = fopen(certificate, "w");
	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(cert);
	OSSL_PROVIDER_unload(ours);
	OSSL_PROVIDER_unload(theirs);
	OSSL_LIB_CTX_free(libctx);
}

static int
setup(void **state)
{
	const struct kmsc_key_kind kind = {.spec = "ECC_NIST_P256", .usage = "SIGN_VERIFY"};
	static struct kmsc_key key;
	struct slk_error err = {0};

	(void)state;
	kmsd_rig_init(&rig);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	assert_ok(kmsc_create_key_with(rig.client, &kind, &key, &err));
	assert_ok(kmsc_create_alias(rig.client, "alias/tls", key.id, &err));
	assert_int_equal(setenv("SEALOCK_KMS_SOCKET", rig.socket, 1), 0);
	assert_int_equal(setenv("OPENSSL_MODULES", PROVIDER_DIR, 1), 0);
	write_certificate();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsd_rig_fini(&rig);
	return 0;
}

/* --- a connection --- */

static void *
be_client(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	char in[8] = "";

	/* The server proves its key in the handshake; whose it is is not asked. */
	bool good = SSL_set_fd(ssl, *(int *)arg) == 1 && SSL_connect(ssl) == 1 &&
		SSL_read(ssl, in, sizeof(in)) == 5 && memcmp(in, "hello", 5) == 0;
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(*(int *)arg);
	return good ? arg : NULL;
}

static bool
serves(struct http_tls *tls)
{
	pthread_t client;
	struct http_io io = {0};
	void *result;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	io.fd = fds[0];
	assert_ok(http_tls_accept(tls, &io));
	assert_int_equal(pthread_create(&client, NULL, be_client, &fds[1]), 0);
	bool good = SSL_do_handshake(io.ssl) == 1 && SSL_write(io.ssl, "hello", 5) == 5;
	ERR_clear_error();
	http_io_close(&io);
	assert_int_equal(pthread_join(client, &result), 0);
	return good && result != NULL;
}

static void
a_key_in_the_hsm_serves_and_outlives_a_restart_of_kmsd(void **state)
{
	struct slk_error err = {0};
	struct http_tls *tls = NULL;

	(void)state;
	assert_ok(http_tls_new(&config, &tls, &err));
	assert_true(serves(tls));
	assert_int_equal(kmsd_rig_stop(&rig), 0);
	assert_false(serves(tls));
	assert_int_not_equal(http_tls_reload(tls, &err), SLK_OK); /* the old one stays */
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	assert_true(serves(tls));
	assert_ok(http_tls_reload(tls, &err));
	assert_true(serves(tls));
	http_tls_free(tls);
}

/* --- a slow HSM --- */

static void
answer(void *thread, struct http_exchange *x, int status)
{
	(void)thread;
	(void)status;
	http_answer_bytes(x, 200, NULL, 0, "here", 4);
}

static void
head(void *thread, struct http_exchange *x)
{
	(void)thread;
	(void)x;
}

static const struct http_handler handler = {.head = head, .end = answer};

static struct http_server *
start_server(void)
{
	const struct http_listener listener = {
		.via = HTTP_VIA_TLS, .host = "127.0.0.1", .fd = -1, .handler = &handler};
	const struct http_server_config c = {
		.threads = 1, .listeners = &listener, .listeners_count = 1, .tls = config};
	struct http_server *server = NULL;
	struct slk_error err = {0};

	assert_ok(http_server_new(&c, &server, &err));
	assert_ok(http_server_start(server, &err));
	return server;
}

struct client {
	pthread_t thread;
	SSL_CTX *ctx;
	SSL *ssl;
	int fd;
	atomic_bool is_done;
	bool is_good;
};

static void
client_init(struct client *c, const struct http_server *server)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(http_server_port(server, 0))};

	*c = (struct client){.ctx = SSL_CTX_new(TLS_client_method())};
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof(to)), 0);
	c->ssl = SSL_new(c->ctx);
	assert_int_equal(SSL_set_fd(c->ssl, c->fd), 1);
}

static void
client_fini(struct client *c)
{
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
}

static bool
client_asks(struct client *c)
{
	static const char ask[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	char in[1024] = "";
	size_t len = 0;

	if (SSL_write(c->ssl, ask, sizeof(ask) - 1) != sizeof(ask) - 1)
		return false;
	while (strstr(in, "\r\n\r\nhere") == NULL) {
		int n = SSL_read(c->ssl, in + len, (int)(sizeof(in) - 1 - len));
		if (n <= 0)
			return false;
		len += (size_t)n;
		in[len] = '\0';
	}
	return true;
}

static void *
client_run(void *arg)
{
	struct client *c = arg;

	c->is_good = SSL_connect(c->ssl) == 1 && client_asks(c);
	atomic_store(&c->is_done, true);
	ERR_clear_error();
	return NULL;
}

static uint64_t
signatures_begun(void)
{
	return atomic_load(&rig.hsm.shim->faults[P11SHIM_C_Sign].calls);
}

static void
wait_for_signature(uint64_t before)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 10000 && signatures_begun() == before; i++)
		(void)nanosleep(&pause, NULL);
	assert_true(signatures_begun() > before);
}

static void
others_are_served_while_the_hsm_signs(void **state)
{
	struct client first, second;

	(void)state;
	struct http_server *server = start_server();
	client_init(&first, server);
	assert_int_equal(SSL_connect(first.ssl), 1);
	assert_true(client_asks(&first));
	uint64_t before = signatures_begun();
	p11shim_hang(rig.hsm.shim, P11SHIM_C_Sign, 1);
	client_init(&second, server);
	assert_int_equal(pthread_create(&second.thread, NULL, client_run, &second), 0);
	wait_for_signature(before);
	for (unsigned i = 0; i < 20; i++)
		assert_true(client_asks(&first));
	assert_false(atomic_load(&second.is_done));
	p11shim_heal(rig.hsm.shim, P11SHIM_C_Sign);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_true(second.is_good);
	assert_true(client_asks(&first));
	client_fini(&second);
	client_fini(&first);
	http_server_free(server);
}

static void
who_leaves_while_the_hsm_signs_leaves_nothing(void **state)
{
	const struct timespec pause = {.tv_nsec = 1000000};
	struct client gone, next;

	(void)state;
	struct http_server *server = start_server();
	uint64_t before = signatures_begun();
	p11shim_hang(rig.hsm.shim, P11SHIM_C_Sign, 1);
	client_init(&gone, server);
	assert_int_equal(pthread_create(&gone.thread, NULL, client_run, &gone), 0);
	wait_for_signature(before);
	assert_int_equal(shutdown(gone.fd, SHUT_RDWR), 0);
	assert_int_equal(pthread_join(gone.thread, NULL), 0);
	assert_false(gone.is_good);
	client_fini(&gone);
	p11shim_heal(rig.hsm.shim, P11SHIM_C_Sign);
	for (unsigned i = 0; i < 10000 && http_server_connections(server) > 0; i++)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(http_server_connections(server), 0);
	client_init(&next, server);
	(void)client_run(&next);
	assert_true(next.is_good);
	client_fini(&next);
	http_server_free(server);
}

static void
a_server_that_stops_waits_for_its_handshakes(void **state)
{
	struct client c;

	(void)state;
	struct http_server *server = start_server();
	uint64_t before = signatures_begun();
	p11shim_delay(rig.hsm.shim, P11SHIM_C_Sign, 1, 200);
	client_init(&c, server);
	assert_int_equal(pthread_create(&c.thread, NULL, client_run, &c), 0);
	wait_for_signature(before);
	http_server_free(server);
	assert_int_equal(pthread_join(c.thread, NULL), 0);
	assert_false(c.is_good);
	client_fini(&c);
	p11shim_heal(rig.hsm.shim, P11SHIM_C_Sign);
}

static void
a_key_that_is_not_there_is_said(void **state)
{
	const struct http_tls_config other = {
		.certificate = certificate, .key = "sealock:alias/none"};
	struct slk_error err = {0};
	struct http_tls *tls = NULL;

	(void)state;
	assert_int_equal(http_tls_new(&other, &tls, &err), SLK_CONFIG);
	assert_non_null(strstr(err.text, "alias/none"));
	assert_null(tls);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_in_the_hsm_serves_and_outlives_a_restart_of_kmsd),
		cmocka_unit_test(others_are_served_while_the_hsm_signs),
		cmocka_unit_test(who_leaves_while_the_hsm_signs_leaves_nothing),
		cmocka_unit_test(a_server_that_stops_waits_for_its_handshakes),
		cmocka_unit_test(a_key_that_is_not_there_is_said),
	};

	(void)signal(SIGPIPE, SIG_IGN); /* a client that goes away is an error of SSL_write() */
	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("provider_gateway_tls", tests, setup, teardown);
}
