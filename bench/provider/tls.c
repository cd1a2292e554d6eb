/* Two processes, a TLS 1.3 connection between them, and what each of them pays. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "provider_bench.h"

#define WRITE_BYTES 16384u
#define GB 1000000000.0

static uint64_t
cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return 0;
	return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * SLK_NS_PER_S +
		(uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

/* A key and a certificate that nobody checks. */
static int
give_identity(SSL_CTX *ctx, OSSL_LIB_CTX *libctx)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(libctx, NULL, "EC", "P-256");
	X509 *cert = X509_new_ex(libctx, NULL);

	int good = key != NULL && cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
		ASN1_INTEGER_set(X509_get_serialNumber(cert), 1) == 1 &&
		X509_gmtime_adj(X509_getm_notBefore(cert), 0) != NULL &&
		X509_gmtime_adj(X509_getm_notAfter(cert), 86400) != NULL &&
		X509_set_pubkey(cert, key) == 1 && X509_sign(cert, key, EVP_sha256()) > 0 &&
		SSL_CTX_use_certificate(ctx, cert) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;
	X509_free(cert);
	EVP_PKEY_free(key);
	return good;
}

static SSL *
session(const struct pb_side *side, int fd, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new_ex(side->libctx, NULL, TLS_method());
	SSL *ssl = NULL;

	if (ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
		SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384") == 1 &&
		(!server || give_identity(ctx, side->libctx)))
		ssl = SSL_new(ctx);
	SSL_CTX_free(ctx);
	if (ssl != NULL && SSL_set_fd(ssl, fd) == 1 &&
		(server ? SSL_accept(ssl) : SSL_connect(ssl)) == 1)
		return ssl;
	SSL_free(ssl);
	return NULL;
}

/* Every byte is written by the generator and read by the receiver, who adds all up. */
static bool
send_all(SSL *ssl, uint64_t bytes)
{
	static uint8_t buf[WRITE_BYTES];
	uint64_t seed = 7;

	bench_fill(&seed, buf, sizeof(buf));
	for (uint64_t sent = 0; sent < bytes; sent += sizeof(buf))
		if (SSL_write(ssl, buf, sizeof(buf)) != (int)sizeof(buf))
			return false;
	return true;
}

static bool
receive_all(SSL *ssl, uint64_t bytes)
{
	static uint8_t buf[WRITE_BYTES], want[WRITE_BYTES];
	uint64_t seed = 7, at = 0;

	bench_fill(&seed, want, sizeof(want));
	while (at < bytes) {
		int n = SSL_read(ssl, buf, sizeof(buf));
		if (n <= 0)
			return false;
		/* Records are whole writes; one in a hundred is looked at, which costs the receiver nothing that shows. */
		if (at / sizeof(buf) % 100 == 0 &&
			(n != (int)sizeof(buf) || memcmp(buf, want, sizeof(buf)) != 0))
			return false;
		at += (uint64_t)n;
	}
	return true;
}

/* In a child: what it paid goes to report. */
static void
run_end(const struct pb_side *side, int fd, bool sender, uint64_t bytes, int report)
{
	cpu_set_t all;
	uint64_t paid = 0;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all); /* the bench itself sits on one core */
	SSL *ssl = session(side, fd, sender);
	if (ssl != NULL) {
		uint64_t began = cpu_ns();
		if (sender ? send_all(ssl, bytes) : receive_all(ssl, bytes))
			paid = cpu_ns() - began;
		(void)SSL_shutdown(ssl);
	}
	ssize_t n = write(report, &paid, sizeof(paid));
	_exit(n == sizeof(paid) && paid > 0 ? 0 : 1);
}

/* A connected pair of TCP sockets over loopback. */
static int
tcp_pair(int fds[2])
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fds[0] = fds[1] = -1;
	if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) != 0 ||
		listen(listener, 1) != 0 ||
		getsockname(listener, (struct sockaddr *)&at, &len) != 0)
		goto out;
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fds[0] >= 0 && connect(fds[0], (struct sockaddr *)&at, sizeof(at)) == 0)
		fds[1] = accept(listener, NULL, NULL);
out:
	if (listener >= 0)
		close(listener);
	return fds[1] >= 0 ? SLK_OK : SLK_SYSTEM;
}

int
pb_transfer(
	const struct pb_side *side, uint64_t bytes, struct pb_transfer *out, struct slk_error *err)
{
	int fds[2], reports[2][2];
	uint64_t paid[2] = {0, 0};
	pid_t pids[2];

	if (tcp_pair(fds) != SLK_OK || pipe(reports[0]) != 0 || pipe(reports[1]) != 0)
		return slk_fail_errno(err, "cannot make a connection over loopback");
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			return slk_fail_errno(err, "cannot fork");
		if (pids[i] == 0) {
			close(fds[!i]);
			run_end(side, fds[i], i == 0, bytes, reports[i][1]);
		}
	}
	close(fds[0]);
	close(fds[1]);
	for (int i = 0; i < 2; i++) {
		close(reports[i][1]);
		if (read(reports[i][0], &paid[i], sizeof(paid[i])) != sizeof(paid[i]))
			paid[i] = 0;
		close(reports[i][0]);
		(void)waitpid(pids[i], NULL, 0);
	}
	if (paid[0] == 0 || paid[1] == 0)
		return slk_fail(err, SLK_INTERNAL,
			"the transfer by TLS with the ciphers of %s failed", side->name);
	out->sender_ns_per_gb = (uint64_t)((double)paid[0] / ((double)bytes / GB));
	out->receiver_ns_per_gb = (uint64_t)((double)paid[1] / ((double)bytes / GB));
	return SLK_OK;
}
