/* What the parts of bench_journal share: bare writers, the journal as a worker uses it, readers, and other brokers. */
#ifndef SLK_BENCH_JOURNAL_BENCH_H
#define SLK_BENCH_JOURNAL_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/hist.h"
#include "journal/journal.h"
#include "journal/notary.h"
#include "seal/seal.h"

#define JB_MIB (1u << 20)
#define JB_RECORD_BYTES 1024u
#define JB_FILE_BYTES (64u * JB_MIB)
#define JB_GROUP_BYTES (2u * JB_MIB)

/* CPUs of the process before the harness pinned its thread; helpers of ours go there. */
extern cpu_set_t jb_cpus;

/* --- bare.c: no records, no checks, no recovery: bytes that are durable --- */

struct jb_bare {
	int fds[2]; /* recycled files: written whole before */
	bool direct; /* O_DIRECT groups of 2 MiB, the next written while one is flushed; else buffered, 4 MiB, fdatasync */
	uint64_t bytes; /* of one run */
	uint64_t pos;
	unsigned file;
	uint8_t *buf;
	bool failed;
	void *ring;
};

MUST_USE int jb_bare_open(
	struct jb_bare *w, const char *dir, bool direct, uint64_t bytes, struct slk_error *err);
void jb_bare_close(struct jb_bare *w);
void jb_bare_run(void *writer);
/* One write of len (a multiple of 4,096) and its flush. */
MUST_USE int jb_bare_commit(struct jb_bare *w, uint32_t len);

/* --- lane.c --- */

struct jb_lane {
	char dir[512];
	struct jnl *journal;
	struct jnl_lane *lane;
	struct seal_thread *seal;
	struct seal_epoch *epoch;
	struct jnl_notary *notary;
	pthread_t thread, notary_thread;
	bool thread_runs, notary_runs;
	_Atomic bool stop;
	uint8_t *payload;
	uint32_t block_records; /* of 1 KiB */
	uint64_t bytes; /* of one run: payload */
	bool failed;
};

struct jb_lane_params {
	const char *parent; /* a directory is made in it */
	const char *name;
	bool direct, integrity;
	uint64_t bytes;
};
MUST_USE int jb_lane_open(
	struct jb_lane *l, const struct jb_lane_params *params, struct slk_error *err);
void jb_lane_close(struct jb_lane *l);
/* Append l->bytes as records of 1 KiB in blocks of 64 KiB; until all of them are durable. */
void jb_lane_run(void *lane);
/* Run until files are recycled. */
MUST_USE int jb_lane_settle(struct jb_lane *l);
/* count records of `bytes` each as one block; *out_lsn is its position. Waits while no buffer is free. */
MUST_USE int jb_lane_block(
	struct jb_lane *l, uint32_t shard, uint32_t count, uint32_t bytes, uint64_t *out_lsn);
MUST_USE int jb_lane_wait(struct jb_lane *l, uint64_t lsn);

/* Records that come by chance, rate a second over so many shards, for for_ns; from due to durable. As a worker does: what waits is
 * sealed when the disk is idle. */
MUST_USE int jb_lane_load(struct jb_lane *l, uint32_t shards, double rate, double for_ns,
	double ticks_per_ns, struct slk_hist *out);

/* --- read.c --- */

struct jb_reading {
	struct jb_lane lane;
	struct slk_secret *data_key;
	uint8_t *plain;
	uint64_t expected; /* plaintext bytes of all blocks */
	bool failed;
};

/* A closed journal of that many bytes in blocks of block_bytes of plaintext. */
MUST_USE int jb_reading_open(struct jb_reading *r, const char *parent, uint32_t block_bytes,
	uint64_t bytes, struct slk_error *err);
void jb_reading_close(struct jb_reading *r);
void jb_reading_run(void *reading);

/* --- peers.c: other brokers, where they are installed --- */

struct jb_peer {
	pid_t pid;
	int fd;
	char dir[512];
	uint64_t records; /* of one run */
	bool failed;
	char version[64];
	uint8_t *request; /* one record, as it goes over the wire */
	size_t request_len;
	char *in;
	size_t in_len;
};

/* SLK_NOT_FOUND: it is not installed. */
MUST_USE int jb_nats_open(struct jb_peer *p, const char *parent, struct slk_error *err);
void jb_nats_run(void *peer);
MUST_USE int jb_redis_open(struct jb_peer *p, const char *parent, struct slk_error *err);
void jb_redis_run(void *peer);
void jb_peer_close(struct jb_peer *p);

#endif
