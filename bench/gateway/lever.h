/* What a bench changes in daemons while they run: a page of shared memory, named in their environment.
 *
 * The daemons of a bench (bench_gateway_ingestd, bench_gateway_gatewayd) are the product's own objects, linked with lever.c, which stands
 * between them and two functions of ours: an engine may copy in the place of sealing, and the gateway may drop records where it
 * would put them into ingestd's ring. Only benches have it. */
#ifndef SLK_BENCH_GATEWAY_LEVER_H
#define SLK_BENCH_GATEWAY_LEVER_H

#include <stdbool.h>

#define LEVER_VARIABLE "SEALOCK_BENCH_LEVER" /* path of the page */

struct lever {
	bool copying; /* in the place of sealing and opening */
	bool dropping; /* records are answered as stored and are not */
};

#endif
