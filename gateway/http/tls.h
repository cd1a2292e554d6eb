/* Certificate and key of a server, and what it offers: TLS 1.2 and 1.3 with forward secrecy and AEADs, ALPN h2 and
 * http/1.1, no renegotiation, no early data. Thread: any. */
#ifndef GATEWAY_HTTP_TLS_H
#define GATEWAY_HTTP_TLS_H

#include <openssl/ssl.h>

#include "base/error.h"
#include "http/http.h"
#include "http/io.h"

struct http_tls;

/* Loads what config names, which is copied. SLK_CONFIG, SLK_NOT_FOUND ... with a sentence. */
MUST_USE int http_tls_new(
	const struct http_tls_config *config, struct http_tls **out_tls, struct slk_error *err);
void http_tls_free(struct http_tls *tls);
/* Load again. On an error the old ones stay. */
MUST_USE int http_tls_reload(struct http_tls *tls, struct slk_error *err);
/* Give a connection that has its descriptor its ssl (http_io_join()). SLK_NO_MEMORY. */
MUST_USE int http_tls_accept(struct http_tls *tls, struct http_io *io);
/* The key is at a provider, so that signatures may take long. */
bool http_tls_is_remote(const struct http_tls *tls);
/* Until the certificate expires. */
int http_tls_days(struct http_tls *tls);

#endif
