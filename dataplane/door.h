/* The door thread: the put socket and the status socket.
 *
 * A put client's records are copied into buffers of our own before they are looked at, authorised by its uid (the answer
 * is kept for at most five minutes, and never beyond the renewal interval), handed to the worker that writes the stream,
 * and answered once they are durable. A slow or dead client holds up nobody: each has bounds of its own, and one that
 * breaks the protocol is hung up on. The status socket writes one JSON object to each connection and closes it.
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

struct dp_door_config {
	const struct dp_config *config; /* borrowed, as is the rest */
	const struct slk_clock *clock;
	struct dp_control *control;
	const struct dp_keeper *keeper;
	struct dp_worker **workers;
	unsigned worker_count;
	int door_fd; /* eventfd: written to wake this thread */
};

/* Listens on both sockets. SLK_EXISTS (another ingestd answers there), SLK_DENIED, SLK_CONFIG (no such group),
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
