/* A batch: the records of one delivery, as its destination wants them.
 *
 *                 (first record)             full or time
 *     (none) ────────────────► FILLING ─────────────────► SENT ──────────────► DONE
 *                                 ▲                         │  ▲                 ▲
 *                                 └── emptied (restart) ──  │  │ backoff passed  │
 *                                                  failed   ▼  │                 │
 *                                                         RETRY ───────────► BACKED_UP
 *                                                        retry time is over     (all or the rest is in the backup)
 *
 * Before a batch is SENT its plan (number, id, from where to where in each shard, oldest arrival) is on the disk; after DONE or
 * BACKED_UP its end is (checkpoint.h). A restart in SENT or RETRY gathers the same records again under the same id, so that a
 * destination that had them already recognises them: by the object's key, the document's id, the delivery table's row, the
 * request's id. Only dlv_batch_step() assigns the state.
 *
 * body holds records in the destination's own form (ops->gather). raw and entries, which flow.c fills after each gather, hold them
 * as they came, for what fails alone.
 */
#ifndef DELIVERY_BATCH_H
#define DELIVERY_BATCH_H

#include <stdbool.h>

#include "buffer.h"
#include "format/uuid.h"

enum dlv_batch_state {
	DLV_FILLING,
	DLV_SENT,
	DLV_RETRY,
	DLV_BACKED_UP,
	DLV_DONE,
	DLV_BATCH_STATES
};

enum dlv_batch_event {
	DLV_EVENT_CLOSED, /* full, or its time is over; the plan is on the disk */
	DLV_EVENT_DELIVERED,
	DLV_EVENT_FAILED, /* all of it, or some records alone */
	DLV_EVENT_WAITED, /* the backoff passed */
	DLV_EVENT_BACKED_UP,
	DLV_EVENT_EMPTIED, /* its records are gathered again */
	DLV_BATCH_EVENTS
};

/* A record as it comes from the journal; borrowed. */
struct dlv_record {
	struct slk_span key, data;
	uint64_t sequence, arrival_ns; /* Unix time */
	uint32_t shard;
};

/* A record within a batch. */
struct dlv_entry {
	uint64_t offset; /* of its raw data in batch->raw, or, without it, of its form in body */
	uint32_t len;
	uint32_t shard;
	uint64_t sequence, arrival_ns;
};

struct dlv_batch {
	enum dlv_batch_state state;
	uint64_t number; /* 1..., per delivery stream, without gaps */
	/* Stable over retries and restarts: a UUID made of the delivery stream's id and the number. */
	char id[FMT_UUID_TEXT];
	uint64_t oldest_ns; /* arrival of its oldest record: names and rotation go by it */
	uint64_t planned_ns; /* Unix time at which the plan was made: the same after a restart */
	uint64_t version; /* of the delivery stream */
	size_t count; /* records */
	uint64_t raw_bytes; /* of their data */
	struct dlv_buffer body;
	struct dlv_buffer
		raw; /* the records' data as they came, if the destination keeps them (ops->keeps_raw) */
	struct dlv_entry *entries; /* count of them, if ops->keeps_raw */
	size_t entries_cap;
	unsigned attempts; /* made so far */
	void *work; /* the destination's own, between gather's first call and release */
};

void dlv_batch_init(struct dlv_batch *batch, struct dlv_pool *pool);
void dlv_batch_fini(struct dlv_batch *batch); /* wipes; work is NULL */
/* Number, version and id. SLK_INTERNAL (no SHA-256). */
MUST_USE int dlv_batch_number(
	struct dlv_batch *batch, uint64_t delivery_id, uint64_t number, uint64_t version);
/* The one that assigns the state. SLK_INVALID_STATE: the event is refused, nothing is changed. */
MUST_USE int dlv_batch_step(struct dlv_batch *batch, enum dlv_batch_event event);
const char *dlv_batch_state_name(enum dlv_batch_state state);
/* Room for records in raw and entries; then, with count as it was, the records themselves. SLK_LIMIT, SLK_NO_MEMORY. */
MUST_USE int dlv_batch_keep(
	struct dlv_batch *batch, const struct dlv_record *records, size_t count);
void dlv_batch_kept(struct dlv_batch *batch, const struct dlv_record *records, size_t count);

#endif
