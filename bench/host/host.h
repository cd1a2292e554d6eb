/* An appliance for a bench: a kmsd on a token of its own, a stream, and an ingestd, each under a user of its own where the bench is
 * root; all of it in one directory that goes with it. */
#ifndef SLK_BENCH_HOST_HOST_H
#define SLK_BENCH_HOST_HOST_H

#include <sys/types.h>

#include "base/error.h"
#include "kms/kms_bench.h"

#define BENCH_HOST_INGEST_UID 65532u
#define BENCH_HOST_GATEWAY_UID 65531u

struct bench_host {
	char root[KB_PATH_MAX], journal[KB_PATH_MAX], status[KB_PATH_MAX], port[KB_PATH_MAX];
	struct kb_daemon kmsd;
	char more[512];
	const char *
		lever; /* gateway/lever.h: then ingestd is the bench's, and a gateway may come; NULL: no gateway */
	pid_t ingestd;
};

/* host: zeroed but for its lever. The directory, kmsd, and the stream with its shards. Role role/bench may put. SLK_OK, or why not. */
MUST_USE int bench_host_start(
	struct bench_host *host, const char *stream, uint32_t shards, struct slk_error *err);
/* One more stream, under a key of its own. */
MUST_USE int bench_host_stream(
	struct bench_host *host, const char *name, uint32_t shards, struct slk_error *err);
/* ingestd: sections of its configuration beside kms, put and status. */
MUST_USE int bench_host_ingestd(
	struct bench_host *host, const char *sections, struct slk_error *err);
/* Ends them and removes the directory. */
void bench_host_stop(struct bench_host *host);

#endif
