/* Memory for the blocks that a consumer has open: many small ones share a piece, none is moved while it is in use, and all that
 * is given back is wiped or written over. Locked and left out of dumps (base/plain.h). Thread: the owner's. */
#ifndef SLK_CLIENT_ARENA_H
#define SLK_CLIENT_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/plain.h"
#include "base/status.h"

struct client_piece {
	struct slk_plain plain;
	size_t used;
	size_t stale; /* bytes from the start that may still hold what is not kept any more: from used on, to be wiped */
};

/* Zeroed is empty. */
struct client_arena {
	struct client_piece *pieces;
	size_t count, cap;
};

/* len > 0 bytes, good until they are not kept any more. SLK_NO_MEMORY with a sentence. */
MUST_USE int client_arena_take(
	struct client_arena *arena, size_t len, uint8_t **out, struct slk_error *err);
/* Give back all but kept, which one client_arena_take() gave (empty: all). The memory is used again: what is not written over by
 * then is wiped by client_arena_wipe(), which the owner calls when it has taken what it needs. */
void client_arena_keep(struct client_arena *arena, struct slk_span kept);
void client_arena_wipe(struct client_arena *arena);
/* Wipe and give everything back. */
void client_arena_free(struct client_arena *arena);

#endif
