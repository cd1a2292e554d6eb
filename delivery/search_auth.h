/* As whom requests go to a search cluster: Basic (RFC 7617), SigV4, or nobody. Thread: the loop's.
 *
 * The file of credentials is looked at for each request, so that a new password is in force without a restart. It belongs to
 * root or to deliverd's user and may be read by nobody else. Of AWS: an access key as the AWS CLI has it (keys.h).
 */
#ifndef DELIVERY_SEARCH_AUTH_H
#define DELIVERY_SEARCH_AUTH_H

#include "base/clock.h"
#include "endpoints.h"
#include "web.h"

struct search_auth;
/* endpoint and clock: borrowed. url: what will be asked. SLK_CONFIG with a sentence: no file or no region is named, or a name cannot
 * be signed; SLK_NO_MEMORY. */
MUST_USE int search_auth_new(const struct dlv_endpoint *endpoint, const struct slk_clock *clock,
	const char *url, struct search_auth **out_auth, struct slk_error *err);
void search_auth_free(struct search_auth *auth); /* wipes; NULL allowed */
/* Add to *count headers of a POST to url those that say who asks; borrowed until the next call. headers has room for
 * DLV_WEB_HEADERS_MAX. SLK_CONFIG, SLK_DENIED, SLK_NOT_FOUND with a sentence that names the file; SLK_NO_MEMORY. */
MUST_USE int search_auth_headers(struct search_auth *auth, const char *url, struct slk_span body,
	struct dlv_web_header *headers, size_t *count, struct slk_error *err);

#endif
