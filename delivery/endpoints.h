/* What deliverd.yaml says of search clusters and HTTP endpoints: which may be delivered to, how each is reached, and as whom.
 *
 *     endpoints:
 *       - url: https://search.example.net:9200     # the first entry that fits is taken; none: the delivery stream is refused
 *         ca: /etc/sealock/deliver/search-ca.pem
 *         auth: basic
 *         credentials: /etc/sealock/deliver/search.credentials     # one line, user:password; 0600
 *       - url: https://search-*.us-east-1.es.amazonaws.com
 *         auth: aws                               # signed with SigV4
 *         credentials: /etc/sealock/deliver/aws.credentials        # as the AWS CLI has them; 0600
 *         region: us-east-1
 *         service: es
 *
 * A url stands for itself and everything under its path: https://a.example.net/in fits https://a.example.net/in/1?x=y, and neither
 * https://a.example.net/inner nor https://a.example.net.example.org/in. A * stands for any characters but / and ?, so https:// and
 * a * fit every server. Who may describe a delivery stream can so reach no server that the operator did not name. Pure. Thread: any.
 */
#ifndef DELIVERY_ENDPOINTS_H
#define DELIVERY_ENDPOINTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum dlv_auth { DLV_AUTH_NONE, DLV_AUTH_BASIC, DLV_AUTH_AWS };

struct dlv_endpoint {
	const char *url; /* a pattern, see above */
	const char *ca; /* NULL: the system's */
	enum dlv_auth auth; /* of search; an HTTP endpoint has its access key */
	const char *credentials; /* a file; NULL with DLV_AUTH_NONE */
	const char *region, *service; /* of DLV_AUTH_AWS; service NULL: "es" */
	bool plain; /* http:// is allowed to another host than this one */
	uint32_t request_bytes; /* of search: the largest request; 0: 10 MiB */
};

struct dlv_endpoints {
	const struct dlv_endpoint *endpoints;
	size_t count;
};

/* The first that fits; NULL. endpoints: NULL is none. */
const struct dlv_endpoint *dlv_endpoints_find(
	const struct dlv_endpoints *endpoints, const char *url);

/* May url be delivered to? It is http or https, has a host, no user, no blank or control character; http is to this host, or the
 * entry says plain. *out_endpoint is the entry. SLK_CONFIG with a sentence that says what deliverd.yaml lacks, SLK_INVALID. */
MUST_USE int dlv_endpoints_check(const struct dlv_endpoints *endpoints, const char *url,
	const struct dlv_endpoint **out_endpoint, struct slk_error *err);

/* "https://host:port" of a sound URL, for sentences: paths and queries may hold what is nobody's business. out is terminated. */
void dlv_endpoints_origin(const char *url, char *out, size_t cap);

#endif
