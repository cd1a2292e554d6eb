/* Memory of one document: many small pieces, freed all at once. Internal to lib/policy.
 *
 * Thread: one at a time while it grows, any once it is only read.
 */
#ifndef SLK_POLICY_ARENA_H
#define SLK_POLICY_ARENA_H

#include <stddef.h>

struct pol_arena {
	struct pol_chunk *chunks;
	size_t used; /* of the newest chunk */
	size_t left; /* bytes that may still be asked for, all chunks together */
};

/* No more than limit_bytes will be given out. Does not allocate. */
void pol_arena_init(struct pol_arena *arena, size_t limit_bytes);
void pol_arena_fini(struct pol_arena *arena);

/* Zeroed bytes, aligned for any type; NULL when the limit or the memory is exhausted. */
void *pol_arena_take(struct pol_arena *arena, size_t len);

#endif
