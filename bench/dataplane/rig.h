/* A worker of ingestd with its port and its lane, turned by the bench's own thread on one core.
 *
 * Everything between the port and the sealed blocks is the program's: net_pcap (infinite_rx: the driver copies each frame into a
 * packet buffer within the poll), parsing, framing, partition, staging, blocks, the lane's group buffers and its commits.
 * Only the disk is missing: writes and flushes are done at once, so that what is measured ends in memory. Internal to the bench.
 */
#ifndef SLK_BENCH_DATAPLANE_RIG_H
#define SLK_BENCH_DATAPLANE_RIG_H

#include <stdbool.h>

#include "base/error.h"
#include "base/secret.h"
#include "harness/bench.h"
#include "port.h"
#include "worker.h"

#define RIG_FRAMES 256u
#define RIG_DATAGRAMS 16384u /* of a run */

struct rig_shape {
	const char *name; /* of its files and stream */
	uint32_t record_bytes;
	uint32_t records; /* per datagram; more than one: be16 length prefixes */
	uint32_t shards;
	const char *rule; /* YAML of the partition */
	const char *checksums; /* verify, trust-udp */
	uint32_t group_kb;
	bool paced; /* frames come by rig_arrive(), not from a file without end */
	bool copies; /* sealed by dataplane/copying.h's engine */
};

struct rig {
	struct rig_shape shape;
	char path[256]; /* of the frames */
	struct dp_config *config;
	struct dp_port port;
	struct dp_port *ports[1];
	struct jnl *journal;
	struct dp_worker *worker;
	struct dp_stream *stream;
	uint64_t wanted; /* records per run */
	struct rte_ring *arrivals; /* of a paced one */
	uint8_t *frames; /* RIG_FRAMES of them, frame_len bytes each */
	size_t frame_len;
	uint64_t arrived;
};

/* dir: for the files. The first one starts DPDK. core: where the thread stays. */
MUST_USE int rig_new(struct rig *r, const struct rig_shape *shape, const char *dir, unsigned core,
	unsigned index, struct slk_error *err);
/* Contender: until `wanted` more records are sealed. arg: struct rig. */
void rig_run(void *arg);
/* Contender: receive as many frames and free them: what the port alone costs. arg: struct rig. */
void rig_run_port(void *arg);
/* Let up to count frames lie at a paced port; returns how many found room. */
unsigned rig_arrive(struct rig *r, unsigned count);
/* One turn of the worker and of its lane. */
void rig_turn(struct rig *r);
/* Give the worker a new data key, as the control thread does at a renewal. */
MUST_USE int rig_renew(struct rig *r, struct slk_error *err);
/* True if every frame became its records, all in blocks, and nothing was dropped or lost. */
bool rig_is_whole(const struct rig *r);
void rig_free(struct rig *r);

/* --- nothing.c: a disk that takes everything at once and keeps nothing --- */
const struct slk_fs *nothing_fs(void);
const struct jnl_io *nothing_io(void);

/* --- peer.c --- */
/* Gbit/s of dpdk-test-crypto-perf (crypto_aesni_gcm, AES-256-GCM, burst 32) with buffers of so many bytes on the core.
 * SLK_NOT_FOUND if it is not installed, SLK_INTERNAL if it said nothing that can be read. */
MUST_USE int peer_gbps(unsigned core, unsigned bytes, uint64_t operations, double *out_gbps);

#endif
