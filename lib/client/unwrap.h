/* The unwrap that is built in: kmsd's Decrypt as the calling process. A kmsc belongs to one call at a time, so as many are made
 * as calls are ever under way at once, and kept. Thread: any. */
#ifndef SLK_CLIENT_UNWRAP_H
#define SLK_CLIENT_UNWRAP_H

#include "sealock/consumer.h"

struct client_unwrap;

/* socket: NULL for the default. SLK_NO_MEMORY. */
MUST_USE int client_unwrap_new(
	const char *socket, uint32_t timeout_ms, struct client_unwrap **out_unwrap);
void client_unwrap_free(struct client_unwrap *unwrap); /* NULL allowed; no call is under way */

/* A sealock_unwrap; ctx is the struct client_unwrap. */
MUST_USE int client_unwrap_decrypt(void *ctx, const struct sealock_epoch *epoch,
	struct slk_secret **out_data_key, struct slk_error *err);

#endif
