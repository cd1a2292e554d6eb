/* A worker: one lcore that polls its ports, stages records per (stream, shard), seals them as blocks into its lane, and
 * completes puts when they are durable.
 *
 *     poll -> parse -> answer as a host | split into records -> stage -> (block full or lane ready) append -> submit
 *
 * The loop makes no allocation, lock or log line, and no system call while there is work; it writes an eventfd when a
 * sleeping peer has something to do (a first record wants a key, a put is complete) and sleeps when nothing arrived for
 * a while. Beginning an epoch (once per stream and renewal) allocates its key. Everything in struct dp_worker belongs to
 * the worker's lcore but the rings' other ends, `stop`, `allowed` and reading the counters.
 */
#ifndef DP_WORKER_H
#define DP_WORKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/hist.h"
#include "base/status.h"
#include "config.h"
#include "journal/journal.h"
#include "loss.h"
#include "net/drop.h"
#include "net/packet.h"
#include "net/partition.h"
#include "seal/cryptodev.h"
#include "spsc.h"
#include "stage.h"
#include "stream.h"
#include "vmgen.h"

#define DP_LISTENERS_MAX 255u

struct dp_port;

/* The private area of every packet buffer: the sender as text, where a partition key is made of it. */
struct dp_buffer_room {
	uint8_t sender[DP_PARTITION_ROOM_BYTES];
};

/* One writer, relaxed; readers get each number whole. */
struct dp_counters {
	_Alignas(64) uint64_t frames;
	uint64_t frame_bytes;
	uint64_t records; /* appended */
	uint64_t record_bytes;
	uint64_t blocks;
	uint64_t busy_cycles;
	uint64_t idle_cycles;
	uint64_t turns;
	_Alignas(64) uint64_t datagrams;
	uint64_t replies;
	uint64_t replies_limited;
	uint64_t puts;
	uint64_t staged_records; /* gauges */
	uint64_t staged_buffers;
	uint64_t field_fallbacks; /* records whose key is the sender for want of the field */
	uint64_t handed_over; /* datagrams that came by this worker's queue and are another's */
	uint64_t sleeps; /* of an idle worker */
	uint64_t
		generation_ends; /* epochs ended, and keys refused, since the machine became another one */
	uint64_t waits; /* turns in which a port was left alone because the staging was full */
	uint64_t drops[DP_DROP_COUNT];
	uint64_t losses[DP_LOSS_COUNT];
	struct slk_hist
		seal_cycles; /* per record: cycles around the seal call / records of the block */
};

struct dp_listener {
	bool mine; /* its stream is this worker's */
	unsigned owner; /* whose it is */
	struct dp_stream *stream; /* NULL: not resolved */
	struct dp_partition *partition;
	enum dp_framing framing;
	uint32_t max_record_bytes;
};

struct dp_worker_config {
	unsigned index;
	struct dp_port **ports; /* borrowed */
	unsigned port_count;
	const struct dp_config *config;
	struct jnl_lane *lane;
	struct seal_cryptodev *cryptodev; /* that seals; NULL: the engine that config names */
	const struct slk_clock *clock;
	const struct dp_vmgen *vmgen; /* NULL: this machine is never duplicated */
	int control_fd; /* eventfds of the peers */
	int door_fd;
	/* All workers, for those that share a port; borrowed, and whole before the first one runs. NULL: there is one. */
	struct dp_worker *const *workers;
	unsigned worker_count;
};

struct dp_worker {
	unsigned index;
	struct dp_port **ports;
	unsigned port_count;
	struct jnl_lane *lane;
	struct seal_thread *thread;
	const struct slk_clock *clock;
	enum dp_idle idle;
	uint32_t block_bytes;
	uint32_t staged_buffers;
	uint32_t staged_buffers_max;
	uint32_t listener_count;
	uint64_t now_ns; /* monotonic, of this turn */
	uint64_t wall_ns;
	uint64_t appended_lsn; /* of the last block */
	uint64_t next_end_ns; /* no key ends before this */
	const struct dp_vmgen *vmgen;
	uint64_t generation; /* of the machine; keys of another are not used any more */
	bool unsubmitted; /* something was appended since the last submit */
	bool blocked; /* the lane had no buffer in this turn */
	struct dp_stage stage;
	struct dp_listener listeners[DP_LISTENERS_MAX];
	struct dp_stream *streams[DP_STREAMS_MAX];
	struct fmt_record *scratch;
	struct dp_put *durable_head, *durable_tail; /* appended, not yet durable, in order of lsn */
	struct dp_put *done_head, *done_tail; /* complete, not yet in the ring */
	struct dp_ctl *waiting_head,
		*waiting_tail; /* performed, not yet durable, in order of arrival */
	uint64_t reply_tokens;
	uint64_t reply_refill_ns;
	uint64_t announce_ns;
	unsigned announced;
	uint32_t empty_turns;
	int control_fd;
	int door_fd;

	/* Shared. */
	struct dp_counters counters;
	struct dp_spsc ctl_in; /* struct dp_ctl, from the control thread */
	struct dp_spsc ctl_out; /* and back */
	struct dp_spsc put_in; /* struct dp_put, from the door */
	struct dp_spsc put_out; /* and back */
	struct dp_spsc
		*hand_in; /* struct rte_mbuf, from each other worker; NULL: no port has several */
	struct dp_worker *const *workers;
	unsigned worker_count;
	_Atomic uint32_t receives; /* its queues are polled: it may hand over */
	_Atomic int allowed[DP_LISTENERS_MAX]; /* SLK_OK, or why the listener's role may not put */
	_Atomic uint32_t door_sleeps;
	_Atomic uint32_t stop; /* 1: receive no more, finish; 2: give up what cannot be finished */
	_Atomic uint32_t ended;
};

/* Everything that may allocate or fail happens here. SLK_NO_MEMORY, SLK_UNSUPPORTED (engine) with a sentence. */
MUST_USE int dp_worker_new(const struct dp_worker_config *config, struct dp_worker **out_worker,
	struct slk_error *err);
/* After the lcore has ended; NULL allowed. Streams that it still holds are the control thread's to free. */
void dp_worker_free(struct dp_worker *worker);

/* The lcore's function: runs until stop, then seals and submits what was received, closes the lane, waits until it is
 * durable and completes the puts. arg: struct dp_worker. Returns SLK_OK, or SLK_DISK_FAILED. */
int dp_worker_run(void *arg);

/* One turn; returns how much was done. For tests that turn the worker by hand. */
unsigned dp_worker_turn(struct dp_worker *worker);

#endif
