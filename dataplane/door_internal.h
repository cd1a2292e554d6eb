/* What the files of the door thread share. Internal to dataplane/. Thread: the door's.
 *
 *     door.c           the thread: sockets, sleeping and waking, status; making one
 *     door_clients.c   clients come and go, and what they are told and say on their sockets
 *     door_records.c   records: out of the rings, to the workers, back as completions
 */
#ifndef DP_DOOR_INTERNAL_H
#define DP_DOOR_INTERNAL_H

#include <poll.h>
#include <stdatomic.h>

#include "base/log.h"
#include "client.h"
#include "door.h"
#include "rights.h"
#include "seal_path.h"

#define DP_CLIENTS_MAX 256u

struct dp_door {
	const struct dp_config *config;
	const struct slk_clock *clock;
	struct dp_control *control;
	const struct dp_keeper *keeper;
	const struct jnl *journal; /* for the status */
	struct dp_worker **workers;
	unsigned worker_count;
	int door_fd;
	int put_fd;
	int status_fd;
	bool has_trusted;
	uid_t trusted_uid;
	uint64_t started_ns;
	_Atomic uint32_t refusing; /* 1: asked for, 2: done */
	_Atomic uint32_t stop;
	uint64_t next_id;
	uint32_t puts; /* records under way, and their bytes */
	uint64_t bytes;
	uint64_t memory; /* shared memory of all clients */
	unsigned live
		[DP_CLIENTS_MAX]; /* places of clients, made anew in a turn after one came or went */
	unsigned live_count;
	bool live_stale;
	unsigned first; /* of live: served first in the next turn */
	unsigned empty_turns, busy_turns;
	struct dp_client clients[DP_CLIENTS_MAX];
	struct dp_rights *rights;
	struct dp_door_counters counters;
	struct pollfd polled[DP_CLIENTS_MAX + 3];
	unsigned polled_client[DP_CLIENTS_MAX + 3];
	uint8_t message[FMT_PORT_MESSAGE_MAX + 1];
};

static inline void
dp_door_count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* --- door_clients.c --- */

/* NULL: it is gone. */
struct dp_client *dp_door_client(struct dp_door *d, uint64_t id);
void dp_door_hang_up(struct dp_door *d, struct dp_client *c);
/* It broke the protocol: said, counted, hung up on. */
void dp_door_breach(struct dp_door *d, struct dp_client *c, const char *reason);
/* Send what the socket did not take before. */
void dp_door_flush_letters(struct dp_door *d, struct dp_client *c);
/* Wake a client that said it sleeps. */
void dp_door_ring_bell(struct dp_client *c);
/* The answer to an ATTACH, now that the right is known. */
void dp_door_tell_attached(struct dp_door *d, struct dp_client *c, struct dp_attachment *a);
/* Take some messages of a client; take one that connects; hang up on those that never said HELLO. */
void dp_door_read_client(struct dp_door *d, struct dp_client *c);
void dp_door_accept_client(struct dp_door *d);
void dp_door_hang_up_silent(struct dp_door *d);

/* --- door_records.c: how much was done --- */

/* Answers of the control thread, records that workers are done with, new records of all clients. */
unsigned dp_door_take_rights(struct dp_door *d);
unsigned dp_door_take_done(struct dp_door *d);
unsigned dp_door_serve(struct dp_door *d);
/* Could a record of the client be taken now? */
bool dp_door_has_room(const struct dp_door *d, const struct dp_client *c);
/* Let clients see what was taken and completed. */
void dp_door_publish(struct dp_door *d);
void dp_door_free_put(struct dp_door *d, struct dp_put *put);

#endif
