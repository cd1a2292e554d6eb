/* The server of gateway/http in a process of its own, with a handler that reads the body and answers its length. */
#ifndef BENCH_GATEWAY_SERVER_H
#define BENCH_GATEWAY_SERVER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/status.h"

struct gwb_server {
	pid_t pid;
	uint16_t tcp_port, tls_port;
	char dir[256]; /* certificate and key */
};

/* One thread, on other cores than the caller's. SLK_SYSTEM ... with a sentence. */
MUST_USE int gwb_server_start(struct gwb_server *server, struct slk_error *err);
void gwb_server_stop(struct gwb_server *server);

uint64_t gwb_server_cpu_ns(const struct gwb_server *server); /* that it has used; 0: unknown */
uint64_t gwb_server_memory_bytes(const struct gwb_server *server); /* resident; 0: unknown */

#endif
