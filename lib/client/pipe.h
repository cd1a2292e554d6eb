/* A producer's connection to ingestd's local port (format/port.h): shared memory, streams, records under way, and what happens
 * when ingestd goes away. Nothing here waits. Internal to lib/client; sealock/producer.h is built on it.
 *
 *     AWAY        no connection; tried again when the timer says so          lose(), connecting fails
 *     GREETED     HELLO was sent                                             client_pipe_turn()
 *     CONNECTED   WELCOME came: records flow                                 client_pipe_turn()
 *
 * Each record has a slot until its completion is polled; the tag on the wire names the slot. When ingestd goes, what it had
 * completed is taken from the memory first, then every other slot gets SLK_CLOSED.
 *
 * Thread: the producer's.
 */
#ifndef SLK_CLIENT_PIPE_H
#define SLK_CLIENT_PIPE_H

#include "base/error.h"
#include "base/status.h"
#include "format/port.h"
#include "sealock/producer.h"

struct client_pipe;

struct client_pipe_config {
	const char *socket;
	struct fmt_port_memory memory; /* wanted; data_max is not looked at */
};

/* SLK_NO_MEMORY, SLK_SYSTEM, SLK_TOO_LARGE (socket). */
MUST_USE int client_pipe_new(const struct client_pipe_config *config, struct client_pipe **out_pipe,
	struct slk_error *err);
void client_pipe_free(struct client_pipe *pipe); /* wipes; NULL allowed */

/* Read the socket, connect again if it is time. SLK_OK; SLK_SYSTEM, SLK_NO_MEMORY: it will never work again. */
MUST_USE int client_pipe_turn(struct client_pipe *pipe);
/* Why the last attempt to connect failed; SLK_OK if none did, or it is under way. */
int client_pipe_trouble(const struct client_pipe *pipe, struct slk_error *err);

/* As sealock/producer.h says of the functions of the same names. */
MUST_USE int client_pipe_attach(
	struct client_pipe *pipe, const char *name, unsigned flags, uint32_t *out_stream);
MUST_USE int client_pipe_stream(
	const struct client_pipe *pipe, uint32_t stream, struct sealock_stream_info *out_info);
void client_pipe_detach(struct client_pipe *pipe, uint32_t stream);
MUST_USE int client_pipe_put(struct client_pipe *pipe, const struct sealock_put *put);
void client_pipe_flush(struct client_pipe *pipe);
MUST_USE int client_pipe_poll(
	struct client_pipe *pipe, struct sealock_completion *out, size_t cap, size_t *out_count);
MUST_USE int client_pipe_arm(struct client_pipe *pipe);
/* Is SLK_AGAIN of a put with nothing under way due to ingestd or the stream, so that the descriptor tells when it ends? */
bool client_pipe_put_would_wait(const struct client_pipe *pipe, uint32_t stream);

int client_pipe_fd(const struct client_pipe *pipe);
const char *client_pipe_socket(const struct client_pipe *pipe);
bool client_pipe_connected(const struct client_pipe *pipe);
uint32_t client_pipe_under_way(const struct client_pipe *pipe);
uint32_t client_pipe_data_max(const struct client_pipe *pipe);
uint64_t client_pipe_connections(const struct client_pipe *pipe);

#endif
