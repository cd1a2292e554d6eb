/* TLS handshakes with a key in the HSM, by several threads, while token and kmsd go away and come back: none hangs, and all
 * succeed again without anybody's help. The settings are those of a server: 250 ms for a signature. */
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <openssl/store.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "kmsclient/life.h"
#include "kmsclient/policies.h"
#include "kmsd_rig.h"
#include "slk_test.h"

#define THREADS 4u
#define DEADLINE_MS "250" /* of one request to kmsd */
#define LONGEST_NS (2 * SLK_NS_PER_S) /* a request or two, and what a busy machine adds */
#define RECOVERY_NS (10 * SLK_NS_PER_S) /* the promise is 5 s */

#define ALLOW "{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}"
#define DENY "{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"kms:Sign\",\"Resource\":\"*\"}"
#define POLICY(statements) "{\"Version\":\"2012-10-17\",\"Statement\":[" statements "]}"

static struct kmsd_rig rig;
static struct kmsc_key key;
static OSSL_LIB_CTX *libctx;
static OSSL_PROVIDER *theirs, *ours;
static SSL_CTX *server, *client;

static struct {
	_Atomic bool stop;
	_Atomic uint64_t good, failed, longest_ns;
} load;

/* --- set-up --- */

static EVP_PKEY *
open_key(void)
{
	OSSL_STORE_CTX *store =
		OSSL_STORE_open_ex("sealock:alias/tls", libctx, NULL, NULL, NULL, NULL, NULL, NULL);
	assert_non_null(store);
	OSSL_STORE_INFO *info = OSSL_STORE_load(store);
	assert_non_null(info);
	EVP_PKEY *pkey = OSSL_STORE_INFO_get1_PKEY(info);
	OSSL_STORE_INFO_free(info);
	OSSL_STORE_close(store);
	return pkey;
}

static void
give_identity(SSL_CTX *ctx)
{
	EVP_PKEY *pkey = open_key();
	X509 *cert = X509_new_ex(libctx, NULL);

	assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), 0));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	assert_int_equal(X509_set_pubkey(cert, pkey), 1);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit_ex(md, NULL, "SHA256", libctx, NULL, pkey, NULL), 1);
	assert_true(X509_sign_ctx(cert, md) > 0);
	EVP_MD_CTX_free(md);
	assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, pkey), 1);
	assert_int_equal(SSL_CTX_check_private_key(ctx), 1);
	X509_free(cert);
	EVP_PKEY_free(pkey);
}

/* As deploy/openssl has it for servers. */
static void
configure(void)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/openssl.cnf", rig.base);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\nsealock = s\n"
		"[d]\nactivate = 1\n[s]\nmodule = " PROVIDER_DIR "/sealock.so\nactivate = 1\n"
		"kms_socket = %s\nkms_timeout_ms = " DEADLINE_MS "\n",
		rig.socket);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(OSSL_LIB_CTX_load_config(libctx, path), 1);
}

static int
setup(void **state)
{
	const struct kmsc_key_kind kind = {.spec = "ECC_NIST_P256", .usage = "SIGN_VERIFY"};
	struct slk_error err = {0};

	(void)state;
	kmsd_rig_init(&rig);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	assert_ok(kmsc_create_key_with(rig.client, &kind, &key, &err));
	assert_ok(kmsc_create_alias(rig.client, "alias/tls", key.id, &err));
	libctx = OSSL_LIB_CTX_new();
	configure();
	theirs = OSSL_PROVIDER_load(libctx, "default");
	ours = OSSL_PROVIDER_load(libctx, "sealock");
	assert_non_null(ours);
	server = SSL_CTX_new_ex(libctx, NULL, TLS_server_method());
	client = SSL_CTX_new_ex(libctx, NULL, TLS_client_method());
	SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
	give_identity(server);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	OSSL_PROVIDER_unload(ours);
	OSSL_PROVIDER_unload(theirs);
	OSSL_LIB_CTX_free(libctx);
	kmsd_rig_fini(&rig);
	return 0;
}

/* --- one connection, in memory --- */

struct pair {
	SSL *server, *client;
};

static struct pair
pair_new(void)
{
	struct pair p = {SSL_new(server), SSL_new(client)};
	BIO *to_server = BIO_new(BIO_s_mem()), *to_client = BIO_new(BIO_s_mem());

	BIO_set_mem_eof_return(to_server, -1);
	BIO_set_mem_eof_return(to_client, -1);
	(void)BIO_up_ref(to_server);
	(void)BIO_up_ref(to_client);
	SSL_set_bio(p.server, to_server, to_client);
	SSL_set_bio(p.client, to_client, to_server);
	SSL_set_accept_state(p.server);
	SSL_set_connect_state(p.client);
	return p;
}

static void
pair_free(struct pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
}

/* A step of one side: 1 done, 0 it waits for the other, -1 failed. */
static int
step(SSL *ssl)
{
	int rc = SSL_do_handshake(ssl);

	if (rc == 1)
		return 1;
	int why = SSL_get_error(ssl, rc);
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

/* What went wrong stays in the error queue. */
static bool
pair_shake(const struct pair *p)
{
	int done_s = 0, done_c = 0;

	for (int i = 0; i < 20 && done_s >= 0 && done_c >= 0 && !(done_s == 1 && done_c == 1);
		i++) {
		done_c = done_c == 1 ? 1 : step(p->client);
		done_s = done_s == 1 ? 1 : step(p->server);
	}
	return done_s == 1 && done_c == 1;
}

static bool
handshake(void)
{
	struct pair p = pair_new();

	bool good = pair_shake(&p);
	pair_free(&p);
	ERR_clear_error();
	return good;
}

static void *
shake(void *arg)
{
	(void)arg;
	while (!atomic_load(&load.stop)) {
		uint64_t began = slk_mono_ns(slk_clock_system());
		bool good = handshake();
		uint64_t took = slk_mono_ns(slk_clock_system()) - began;
		if (took > atomic_load(&load.longest_ns))
			atomic_store(&load.longest_ns, took);
		atomic_fetch_add(good ? &load.good : &load.failed, 1);
	}
	return NULL;
}

/* --- the load, and what happens in its middle --- */

static void
pause_ms(long ms)
{
	const struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

	(void)nanosleep(&t, NULL);
}

static void
wait_for_good(uint64_t more)
{
	uint64_t want = atomic_load(&load.good) + more;
	uint64_t limit = slk_mono_ns(slk_clock_system()) + RECOVERY_NS;

	while (atomic_load(&load.good) < want && slk_mono_ns(slk_clock_system()) < limit)
		pause_ms(5);
	assert_true(atomic_load(&load.good) >= want);
}

static void
under_load(void (*in_its_middle)(void))
{
	pthread_t threads[THREADS];

	memset(&load, 0, sizeof(load));
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, shake, NULL), 0);
	wait_for_good(20);
	in_its_middle();
	wait_for_good(40);
	uint64_t failed = atomic_load(&load.failed);
	wait_for_good(40);
	assert_int_equal(
		atomic_load(&load.failed), failed); /* all that came since have succeeded */
	atomic_store(&load.stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	print_message("%lu handshakes, %lu failed, the longest took %lu ms\n",
		(unsigned long)atomic_load(&load.good), (unsigned long)failed,
		(unsigned long)(atomic_load(&load.longest_ns) / SLK_NS_PER_MS));
	assert_true(atomic_load(&load.longest_ns) < LONGEST_NS);
}

static void
nothing(void)
{
}

static void
handshakes_succeed(void **state)
{
	(void)state;
	under_load(nothing);
	assert_int_equal(atomic_load(&load.failed), 0);
}

static void
remove_token(void)
{
	atomic_store(&rig.hsm.shim->gone, 1);
	pause_ms(1500);
	assert_true(atomic_load(&load.failed) > 0);
	atomic_store(&rig.hsm.shim->gone, 0);
}

static void
a_token_that_goes_and_comes_is_survived(void **state)
{
	(void)state;
	under_load(remove_token);
}

static void
restart_kmsd(void)
{
	assert_int_equal(kmsd_rig_stop(&rig), 0);
	pause_ms(100);
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
}

static void
a_kmsd_that_restarts_is_survived(void **state)
{
	(void)state;
	under_load(restart_kmsd);
}

static void
kill_worker(void)
{
	assert_int_equal(kill(kmsd_rig_worker(&rig), SIGKILL), 0);
}

static void
a_killed_worker_is_survived(void **state)
{
	(void)state;
	under_load(kill_worker);
}

/* --- one connection that is there, while the key goes away --- */

/* A handshake fails for that reason, which is somewhere in the queue. */
static void
expect_no_handshake(const char *sentence)
{
	struct pair p = pair_new();
	const char *data = NULL;
	bool found = false;
	int flags = 0;

	ERR_clear_error();
	assert_false(pair_shake(&p));
	while (ERR_get_error_all(NULL, NULL, NULL, &data, &flags) != 0)
		found = found || ((flags & ERR_TXT_STRING) != 0 && strstr(data, sentence) != NULL);
	if (!found)
		fail_msg("the handshake did not fail for '%s'", sentence);
	pair_free(&p);
}

static void
expect_bytes_flow(const struct pair *p)
{
	char in[8];

	assert_int_equal(SSL_write(p->server, "question", 8), 8);
	assert_int_equal(SSL_read(p->client, in, 8), 8);
	assert_memory_equal(in, "question", 8);
	assert_int_equal(SSL_write(p->client, "answer", 6), 6);
	assert_int_equal(SSL_read(p->server, in, 8), 6);
}

static void
a_key_that_is_disabled_or_denied_ends_handshakes_and_no_connection(void **state)
{
	struct slk_error err = {0};
	struct pair p = pair_new();

	(void)state;
	assert_true(pair_shake(&p));
	expect_bytes_flow(&p);
	assert_ok(kmsc_disable_key(rig.client, key.id, &err));
	expect_no_handshake("DisabledException");
	expect_bytes_flow(&p);
	assert_ok(kmsc_enable_key(rig.client, key.id, &err));
	assert_true(handshake());
	assert_ok(kmsc_put_key_policy(rig.client, key.id, POLICY(ALLOW "," DENY), false, &err));
	expect_no_handshake("is not authorized to perform: kms:Sign");
	expect_bytes_flow(&p);
	assert_ok(kmsc_put_key_policy(rig.client, key.id, POLICY(ALLOW), false, &err));
	assert_true(handshake());
	expect_bytes_flow(&p);
	pair_free(&p);
}

static void
a_kmsd_that_hangs_costs_a_handshake_its_deadline(void **state)
{
	pid_t front = kmsd_rig_front(&rig);

	(void)state;
	assert_true(handshake());
	assert_int_equal(kill(front, SIGSTOP), 0);
	expect_no_handshake("did not answer within " DEADLINE_MS " ms");
	assert_int_equal(kill(front, SIGCONT), 0);
	assert_true(handshake());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes_succeed),
		cmocka_unit_test(a_token_that_goes_and_comes_is_survived),
		cmocka_unit_test(a_kmsd_that_restarts_is_survived),
		cmocka_unit_test(a_killed_worker_is_survived),
		cmocka_unit_test(
			a_key_that_is_disabled_or_denied_ends_handshakes_and_no_connection),
		cmocka_unit_test(a_kmsd_that_hangs_costs_a_handshake_its_deadline),
	};

	if (!kmsd_rig_possible())
		return 77;
	return cmocka_run_group_tests_name("provider_tls_load", tests, setup, teardown);
}
