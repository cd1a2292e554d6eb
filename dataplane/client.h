/* One client of the local port (format/port.h): its shared memory, and what it may do with it.
 *
 * Nothing that the client can write is believed: positions of our own are kept here, each of the client's is read once and
 * checked against them, and an entry's header is copied before it is looked at. Whatever breaks the rules is SLK_MALFORMED,
 * and the door hangs up: the client loses its own ring, nobody else's. No system call but in dp_client_open() and
 * dp_client_close(). Thread: the door's.
 */
#ifndef DP_CLIENT_H
#define DP_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sock.h"
#include "base/status.h"
#include "format/port.h"

struct dp_right;

#define DP_ATTACHMENTS_MAX 1024u /* of one client */
#define DP_ATTACHING_MAX 64u /* of them, without an answer yet */

/* A stream that a client named. */
struct dp_attachment {
	struct dp_right *right; /* NULL: the place is free */
	bool pending; /* ATTACHED was not sent yet */
	uint64_t request_id;
	uint32_t generation; /* of the place: a handle that was given back is not another's */
};

/* A control message that the socket did not take yet. */
struct dp_letter {
	struct dp_letter *next;
	size_t len;
	uint8_t bytes[FMT_PORT_MESSAGE_MAX];
};

struct dp_client {
	int fd; /* -1: the place is free */
	uint64_t id;
	struct slk_peer peer;
	uint64_t since_ns;

	uint8_t *map; /* NULL before HELLO */
	struct fmt_port_memory memory;
	uint64_t taken; /* bytes of the submission ring, ours */
	uint64_t taken_told; /* of them, published */
	uint64_t completed; /* completions, ours */
	uint64_t completed_told;
	uint64_t read; /* the client's position as it was last seen */
	uint32_t under_way; /* records taken, without a completion */
	uint64_t bytes; /* that they hold */

	struct dp_attachment *attachments;
	uint32_t attachment_count; /* places, free ones among them */
	uint32_t attaching;
	struct dp_letter *letters, *letters_tail;
	bool bell; /* to be rung */
};

/* Make the shared memory: sealed, locked, out of dumps. memory is valid. *out_fd is to be sent to the client, and closed.
 * SLK_NO_MEMORY, SLK_SYSTEM. */
MUST_USE int dp_client_open(
	struct dp_client *client, const struct fmt_port_memory *memory, int *out_fd);
/* Wipe and give the memory back; attachments and letters are freed, rights are the caller's to drop before. */
void dp_client_close(struct dp_client *client);

/* The next record: *out_bytes is where its key and data lie, in memory that the client may still change: copy them, each byte
 * once, and then dp_client_took(). SLK_AGAIN: there is none, or no room for its completion; SLK_MALFORMED. */
MUST_USE int dp_client_next(
	struct dp_client *client, struct fmt_port_entry *out_entry, const uint8_t **out_bytes);
void dp_client_took(struct dp_client *client, const struct fmt_port_entry *entry);
/* Would dp_client_next() say anything but SLK_AGAIN (pads apart)? */
bool dp_client_has_more(const struct dp_client *client);

/* A record is complete. There is room: dp_client_next() saw to it. */
void dp_client_complete(struct dp_client *client, const struct fmt_port_completion *completion);

/* Let the client see what was taken and completed; client->bell becomes true if it sleeps and there are completions. */
void dp_client_publish(struct dp_client *client);
/* Say that we sleep, or do not, and let it be seen before anything else is looked at. */
void dp_client_sleeps(struct dp_client *client, bool sleeps);

/* A place for a stream. SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int dp_client_attach(struct dp_client *client, struct dp_right *right, uint64_t request_id,
	uint32_t *out_handle);
/* NULL for a handle that is not attached. */
struct dp_attachment *dp_client_attachment(struct dp_client *client, uint32_t handle);
uint32_t dp_client_handle(const struct dp_client *client, const struct dp_attachment *attachment);
/* The place is free; the right is the caller's to drop. */
void dp_client_detach(struct dp_client *client, struct dp_attachment *attachment);

#endif
