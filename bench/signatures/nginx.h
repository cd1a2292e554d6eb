/* nginx with its private key in one of three places, and a load of TLS handshakes on it.
 *
 * A worker waits while its key signs, so their number counts. They listen on one unix socket: no network is measured.
 */
#ifndef SLK_BENCH_SIGNATURES_NGINX_H
#define SLK_BENCH_SIGNATURES_NGINX_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/status.h"

/* Where a server's key lies, in words for nginx and for openssl(1). */
struct sn_key {
	const char *openssl; /* arguments of openssl req: "-key URI", "-newkey ..." */
	const char *nginx; /* of ssl_certificate_key; NULL: what openssl made, DIR/key.pem */
};

/* One nginx. Zero before start. */
struct sn_server {
	const char *name; /* of its directory, too */
	unsigned workers;
	char dir[96], socket[104];
	pid_t pid;
};

/* Whether nginx and openssl(1) are installed. */
bool sn_possible(void);

/* Makes a certificate with that key, starts nginx and waits until it listens. root: a directory that lives longer; config:
 * openssl.cnf's text, for both. SLK_SYSTEM with where the log lies. */
MUST_USE int sn_start(struct sn_server *s, const char *root, const char *config,
	const struct sn_key *key, struct slk_error *err);
/* Ends it and waits for it. Nothing if it does not run. */
void sn_stop(struct sn_server *s);

/* count full TLS 1.3 handshakes, each on a connection of its own, by as many threads at once. False: one failed, or took
 * more than 20 s. */
MUST_USE bool sn_handshakes(const struct sn_server *s, unsigned count, unsigned threads);

/* "1.22.1"; NULL if it is not there. Static storage. */
const char *sn_nginx_version(void);

#endif
