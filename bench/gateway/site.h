/* An appliance with a gateway, whose daemons listen to a lever; a caller with an access key; and kinesalite, if npm gives it. */
#ifndef BENCH_GATEWAY_SITE_H
#define BENCH_GATEWAY_SITE_H

#include "gateway/lever.h"
#include "gateway/request.h"
#include "host/host.h"

#define GWB_KINESALITE "kinesalite@3.3.3"

struct gwb_site {
	struct bench_host host;
	struct lever *lever;
	char lever_path[KB_PATH_MAX];
	pid_t gateway, kinesalite; /* kinesalite 0: not there */
	struct gwb_signer signer; /* for the gateway */
	struct gwb_signer other; /* for kinesalite */
	char key_arn[320];
};

#define GWB_SHARDS 4u /* of stream "web" */

/* Needs root: each daemon has a user of its own. emulator: fetch and start kinesalite; that there is none is no error, and *out_why
 * (borrowed) says why. The caller may do everything in kinesis: and kms:. Streams: "web", "sealed" and "copied", of one shard the latter. */
MUST_USE int gwb_site_start(
	struct gwb_site *site, bool emulator, const char **out_why, struct slk_error *err);
void gwb_site_stop(struct gwb_site *site);

/* Processor time of the gateway; of the gateway and ingestd. */
uint64_t gwb_site_gateway_ns(const struct gwb_site *site);
uint64_t gwb_site_cpu_ns(const struct gwb_site *site);

#endif
