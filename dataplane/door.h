/* The door thread: the local port (format/port.h) and the status socket.
 *
 * Each client of the local port has a ring of its own (client.h). A record is copied before it is looked at, authorised by the
 * client's uid (rights.h), handed to the worker that writes the stream, and completed once it is durable. Everything is
 * bounded per client, per uid and in all; a slow or dead client holds up nobody; one that breaks the protocol is hung up on,
 * and counted. While there is something to do the thread makes few system calls; it sleeps, and says so where those who could
 * wake it see it, after some 200 turns without work. The status socket writes one JSON object to each connection and closes it.
 */
#ifndef DP_DOOR_H
#define DP_DOOR_H

#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "config.h"
#include "control.h"
#include "worker.h"

struct dp_door;

/* Readable from any thread. */
struct dp_door_counters {
	_Atomic uint64_t clients; /* now */
	_Atomic uint64_t hang_ups; /* clients that broke the protocol or found no place */
	_Atomic uint64_t refused; /* records completed with an error */
};
const struct dp_door_counters *dp_door_counters(const struct dp_door *door);

struct dp_door_config {
	const struct dp_config *config; /* borrowed, as is the rest */
	const struct slk_clock *clock;
	struct dp_control *control;
	const struct dp_keeper *keeper;
	const struct jnl *journal; /* for the status */
	struct dp_worker **workers;
	unsigned worker_count;
	int door_fd; /* eventfd: written to wake this thread */
};

/* Listens on both sockets. SLK_EXISTS (another ingestd answers there), SLK_DENIED, SLK_CONFIG (no such group or user),
 * SLK_NO_MEMORY with a sentence. */
MUST_USE int dp_door_new(
	const struct dp_door_config *config, struct dp_door **out_door, struct slk_error *err);
/* After the thread has ended: hangs up, removes the sockets. NULL allowed. */
void dp_door_free(struct dp_door *door);

/* The thread's function. arg: struct dp_door. */
void *dp_door_run(void *arg);

/* Refuse new records from now on, with SLK_UNAVAILABLE; answers still go out. Returns once no record is on its way to a
 * worker that the worker could miss. Thread: any but the door's. */
void dp_door_refuse(struct dp_door *door);
/* End the thread, after what is answered was sent as far as clients take it. */
void dp_door_stop(struct dp_door *door);

#endif
