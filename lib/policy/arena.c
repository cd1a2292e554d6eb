#include "policy/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>

/* A chunk is twice as large as the one before: most documents are small, and there is one for each key. */
#define CHUNK_MIN 2048u
#define CHUNK_MAX 16384u
#define ALIGNED(len) (((len) + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1))

struct pol_chunk {
	struct pol_chunk *next;
	size_t size;
	alignas(max_align_t) uint8_t bytes[];
};

void
pol_arena_init(struct pol_arena *arena, size_t limit_bytes)
{
	*arena = (struct pol_arena){.left = limit_bytes};
}

void
pol_arena_fini(struct pol_arena *arena)
{
	while (arena->chunks != NULL) {
		struct pol_chunk *chunk = arena->chunks;
		arena->chunks = chunk->next;
		free(chunk);
	}
}

void *
pol_arena_take(struct pol_arena *arena, size_t len)
{
	if (len > arena->left)
		return NULL;
	size_t need = ALIGNED(len == 0 ? 1 : len);
	struct pol_chunk *chunk = arena->chunks;
	if (chunk == NULL || chunk->size - arena->used < need) {
		size_t size = chunk == NULL ? CHUNK_MIN : 2 * chunk->size;
		if (size > CHUNK_MAX)
			size = CHUNK_MAX;
		if (size < need)
			size = need;
		chunk = calloc(1, sizeof(*chunk) + size);
		if (chunk == NULL)
			return NULL;
		chunk->size = size;
		chunk->next = arena->chunks;
		arena->chunks = chunk;
		arena->used = 0;
	}
	void *out = chunk->bytes + arena->used;
	arena->used += need;
	arena->left -= len;
	return out;
}
