/* A ring of pointers with one producer and one consumer, each a thread of its own. Neither waits, locks or allocates.
 */
#ifndef DP_SPSC_H
#define DP_SPSC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/status.h"

struct dp_spsc {
	_Alignas(64) _Atomic uint32_t head; /* written by the producer */
	_Alignas(64) _Atomic uint32_t tail; /* written by the consumer */
	_Alignas(64) uint32_t mask;
	void **slots;
};

/* capacity: a power of two. SLK_NO_MEMORY. */
MUST_USE static inline int
dp_spsc_init(struct dp_spsc *ring, uint32_t capacity)
{
	atomic_init(&ring->head, 0);
	atomic_init(&ring->tail, 0);
	ring->mask = capacity - 1;
	ring->slots = calloc(capacity, sizeof(void *));
	return ring->slots != NULL ? SLK_OK : SLK_NO_MEMORY;
}

static inline void
dp_spsc_fini(struct dp_spsc *ring)
{
	free(ring->slots);
	ring->slots = NULL;
}

/* Producer: false if the ring is full. */
MUST_USE static inline bool
dp_spsc_push(struct dp_spsc *ring, void *item)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);

	if (head - tail > ring->mask)
		return false;
	ring->slots[head & ring->mask] = item;
	atomic_store_explicit(&ring->head, head + 1, memory_order_release);
	return true;
}

/* Producer: true if a push would succeed. */
static inline bool
dp_spsc_has_room(const struct dp_spsc *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);

	return head - atomic_load_explicit(&ring->tail, memory_order_acquire) <= ring->mask;
}

/* Consumer: the oldest, or NULL. */
static inline void *
dp_spsc_pop(struct dp_spsc *ring)
{
	uint32_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);

	if (tail == atomic_load_explicit(&ring->head, memory_order_acquire))
		return NULL;
	void *item = ring->slots[tail & ring->mask];
	atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
	return item;
}

#endif
