/* libsealock: put records into streams through the local port of sealock-ingestd on this host.
 *
 * A producer is one connection with one shared memory. put() copies a record there and returns; its completion comes
 * after the record is durable (or was refused), in any order, by poll(). Nothing here blocks but the functions whose names
 * end in _wait. A loop of its own waits on sealock_producer_fd():
 *
 *     for (;;) {
 *             put ... put ... put;  sealock_producer_flush();
 *             while (poll() gives completions) use them;
 *             if (sealock_producer_arm() == SLK_OK) epoll_wait(... fd ...);   (SLK_AGAIN: something came; poll first)
 *     }
 *
 * When ingestd goes away, every record without a completion gets one with SLK_CLOSED: it may be stored or not, and is
 * never sent again by the library; the caller decides. The producer connects again by itself, with growing pauses, and
 * attaches its streams again; until then put() says SLK_AGAIN.
 *
 * Back-pressure is SLK_AGAIN: the ring is full, or as many records are under way as completions fit.
 *
 * Thread: a producer belongs to one thread; make one per thread. After fork() only the parent uses it.
 * Errors: codes of base/status.h; where a struct slk_error is taken it gets a sentence (NULL allowed).
 */
#ifndef SEALOCK_PRODUCER_H
#define SEALOCK_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"

struct sealock_producer;

struct sealock_producer_config {
	const char *socket; /* NULL: $SEALOCK_INGEST_SOCKET, or else /run/sealock/ingest/port.sock */
	uint32_t
		ring_bytes; /* power of two, 64 KiB..64 MiB; 0: 4 MiB. A record may take half of it */
	uint32_t records_max; /* under way at once: power of two, 64..65,536; 0: 4,096 */
	uint32_t timeout_ms; /* of the _wait functions' talk with ingestd; 0: 5,000 */
};

/* Connect and wait for ingestd's welcome. SLK_UNAVAILABLE (nobody listens), SLK_NOT_FOUND (no socket), SLK_DENIED (its
 * mode), SLK_TIMEOUT, SLK_INVALID (sizes), SLK_LIMIT (ingestd has too many clients), SLK_NO_MEMORY. */
MUST_USE int sealock_producer_new(const struct sealock_producer_config *config,
	struct sealock_producer **out_producer, struct slk_error *err);
/* The same without waiting: an ingestd that is away is looked for as after a loss. SLK_INVALID, SLK_NO_MEMORY. */
MUST_USE int sealock_producer_new_lazy(const struct sealock_producer_config *config,
	struct sealock_producer **out_producer, struct slk_error *err);
/* Hangs up; records under way may be stored or not. Wipes what was in the ring. NULL allowed. */
void sealock_producer_free(struct sealock_producer *producer);

/* --- streams --- */

#define SEALOCK_STREAMS_MAX 1024u /* attached at once, per producer */

/* The caller authorises its own callers (the gateway). Refused (SLK_DENIED) to a uid that ingestd does not trust so. */
#define SEALOCK_ATTACH_TRUSTED 1u

enum sealock_encryption {
	SEALOCK_ENCRYPTION_UNKNOWN,
	SEALOCK_ENCRYPTION_NONE,
	SEALOCK_ENCRYPTION_KMS
};

struct sealock_stream_info {
	int status; /* SLK_OK: records are taken; SLK_AGAIN: being attached; else why not */
	uint64_t id; /* of the stream, never given twice */
	enum sealock_encryption encryption; /* when it was attached */
	const char *sentence; /* "" or why not; borrowed until the next call */
};

/* Name a stream (name or ARN) for put(): *out_stream is the producer's number for it, valid until detached, also over a
 * loss of ingestd. Asks ingestd without waiting; sealock_producer_stream() says how it went. The same name and flags again
 * give the same number, and ask again if they were refused. SLK_LIMIT, SLK_INVALID (name). */
MUST_USE int sealock_producer_attach(
	struct sealock_producer *producer, const char *name, unsigned flags, uint32_t *out_stream);
/* Attach and wait for the answer. Its status and sentence: SLK_DENIED, SLK_NOT_FOUND, SLK_UNAVAILABLE, SLK_TIMEOUT, ... */
MUST_USE int sealock_producer_attach_wait(struct sealock_producer *producer, const char *name,
	unsigned flags, uint32_t *out_stream, struct slk_error *err);
/* SLK_NOT_FOUND for a number that is not attached. */
MUST_USE int sealock_producer_stream(const struct sealock_producer *producer, uint32_t stream,
	struct sealock_stream_info *out_info);
/* Give the number back. Records under way keep their completions. */
void sealock_producer_detach(struct sealock_producer *producer, uint32_t stream);

/* --- records --- */

struct sealock_put {
	uint32_t stream;
	uint64_t tag; /* the caller's; comes back with the completion */
	struct slk_span key; /* partition key, 1..1,024 bytes */
	struct slk_span data; /* up to sealock_producer_data_max() */
	const uint8_t
		*hash; /* NULL: MD5 of the key; else an explicit hash key: 16 bytes, big-endian */
};

struct sealock_completion {
	uint64_t tag;
	int status; /* SLK_OK: durable. SLK_CLOSED: unknown, ingestd went away. Else it was not stored */
	uint32_t shard;
	uint64_t sequence;
	uint64_t arrival_ns; /* Unix time */
	enum sealock_encryption encryption; /* that the record got */
};

/* Copy a record into the ring. SLK_AGAIN: no room now, the stream is being attached, or ingestd is away; SLK_TOO_LARGE:
 * above what ingestd takes or half of the ring (sealock_producer_ring_needed() says what would do); SLK_INVALID (key);
 * SLK_NOT_FOUND (stream number); or why the stream was not attached. Nothing was sent then. */
MUST_USE int sealock_producer_put(struct sealock_producer *producer, const struct sealock_put *put);
/* Tell an ingestd that sleeps what was put. Call it behind each run of puts; poll() and arm() do it, too. */
void sealock_producer_flush(struct sealock_producer *producer);

/* Take up to cap completions; *out_count may be 0. Reads the socket, connects again when it is time. SLK_OK always but
 * SLK_SYSTEM / SLK_NO_MEMORY (nothing can be connected any more: free the producer). */
MUST_USE int sealock_producer_poll(struct sealock_producer *producer,
	struct sealock_completion *out, size_t cap, size_t *out_count);

/* A descriptor for the caller's poll or epoll (level-triggered, for reading), the same for the producer's life. */
int sealock_producer_fd(const struct sealock_producer *producer);
/* Before sleeping on the descriptor. SLK_OK: it will become readable when there is something to poll(); SLK_AGAIN: there is
 * already. Without it no wake-up is promised for completions. */
MUST_USE int sealock_producer_arm(struct sealock_producer *producer);

/* arm, and sleep until there is something to poll or timeout_ms (-1: for ever) passes: SLK_OK or SLK_TIMEOUT. */
MUST_USE int sealock_producer_wait(struct sealock_producer *producer, int timeout_ms);
/* Put one record and wait for its completion, which is then *out. Only while nothing else is under way
 * (SLK_INVALID_STATE). SLK_OK: durable; otherwise as put(), the completion's status, or SLK_TIMEOUT: it stays under way,
 * and its completion comes by poll(). */
MUST_USE int sealock_producer_put_wait(struct sealock_producer *producer,
	const struct sealock_put *put, int timeout_ms, struct sealock_completion *out,
	struct slk_error *err);

/* --- state --- */

bool sealock_producer_connected(const struct sealock_producer *producer);
/* Records without a completion that was polled. */
uint32_t sealock_producer_under_way(const struct sealock_producer *producer);
/* Largest data of a record, by ingestd and by the ring with a key of 1,024 bytes; 0 before the first welcome. */
uint32_t sealock_producer_data_max(const struct sealock_producer *producer);
/* The ring_bytes that a record of this size needs, 0 if no ring does. */
uint32_t sealock_producer_ring_needed(size_t key_len, size_t data_len);
/* Connections made since the start. */
uint64_t sealock_producer_connections(const struct sealock_producer *producer);

#endif
