/* The headers of a request to an HTTP endpoint that are the same for all of a delivery stream's requests. Values are sensitive: they
 * are in locked memory, and never in a log. Pure. Thread: any. */
#ifndef DELIVERY_HTTP_HEADERS_H
#define DELIVERY_HTTP_HEADERS_H

#include "base/error.h"
#include "base/secret.h"
#include "delivery/spec.h"

/* X-Amz-Firehose-Common-Attributes: {"commonAttributes":{"name":"value"}} as ASCII, terminated. NULL if there are none. SLK_CONFIG: one
 * is no text, or all are too long; SLK_NO_MEMORY. */
MUST_USE int http_attributes(
	const struct dlv_http *http, struct slk_secret **out_value, struct slk_error *err);
/* X-Amz-Firehose-Access-Key, terminated. NULL if there is none. SLK_CONFIG: it has a character that no header may have. */
MUST_USE int http_access_key(
	const struct dlv_http *http, struct slk_secret **out_value, struct slk_error *err);

#endif
