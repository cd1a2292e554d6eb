/* How many connections each client address has, over all threads. */
#ifndef GATEWAY_HTTP_ADDRESSES_H
#define GATEWAY_HTTP_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

/* An IPv6 address, or an IPv4 one mapped into it. */
struct http_address {
	uint8_t bytes[16];
	bool is_set; /* false: a unix socket; not counted */
};

struct http_addresses;

/* max_count: per address. */
MUST_USE int http_addresses_new(unsigned max_count, struct http_addresses **out_addresses);
void http_addresses_free(struct http_addresses *addresses);
/* One more. SLK_LIMIT; SLK_NO_MEMORY. Thread: any. */
MUST_USE int http_addresses_add(
	struct http_addresses *addresses, const struct http_address *address);
/* One less. Thread: any. */
void http_addresses_remove(struct http_addresses *addresses, const struct http_address *address);

#endif
