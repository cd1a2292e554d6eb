/* The streams that a producer has named, by its numbers for them. Thread: the producer's. */
#ifndef SLK_CLIENT_STREAMS_H
#define SLK_CLIENT_STREAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "format/port.h"

struct client_stream {
	bool used;
	bool asked; /* this connection's ATTACH was sent, its answer may not be there yet */
	char name[FMT_PORT_NAME_MAX + 1];
	uint32_t flags;
	uint32_t
		generation; /* of the place: a number that was given back is not another stream's */
	uint64_t request_id;
	uint64_t asked_ns;
	int status; /* SLK_AGAIN: not known */
	uint32_t handle; /* ingestd's, good for this connection */
	uint64_t id;
	enum fmt_port_encryption encryption;
	char sentence[FMT_PORT_SENTENCE_MAX + 1];
};

/* Zeroed is empty. */
struct client_streams {
	struct client_stream *list;
	uint32_t count; /* places, free ones among them */
	uint32_t unanswered; /* used ones whose status is SLK_AGAIN */
};

void client_streams_free(struct client_streams *streams);
/* The place of name and flags, made if there is none; *out_number is what the producer calls it. SLK_LIMIT, SLK_INVALID,
 * SLK_NO_MEMORY. */
MUST_USE int client_streams_add(
	struct client_streams *streams, const char *name, uint32_t flags, uint32_t *out_number);
/* NULL for a number that is not used. */
struct client_stream *client_streams_get(const struct client_streams *streams, uint32_t number);
void client_streams_remove(struct client_streams *streams, struct client_stream *stream);

/* It has no status any more, and is to be asked for. */
void client_streams_ask(struct client_streams *streams, struct client_stream *stream);
/* All of them: the connection is another one. */
void client_streams_ask_all(struct client_streams *streams);
/* ATTACHED came. false: nobody waits for it any more. */
bool client_streams_answer(struct client_streams *streams, const struct fmt_port_message *message);

#endif
