#include "idset.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 1024u /* a power of two */

/* Fibonacci hashing: ids of epochs differ in their low bits of two numbers. */
static uint64_t *
slot_of(uint64_t *slots, size_t cap, uint64_t id)
{
	size_t at = (size_t)((id * 0x9e3779b97f4a7c15ull) >> 32) & (cap - 1);

	while (slots[at] != 0 && slots[at] != id)
		at = (at + 1) & (cap - 1);
	return &slots[at];
}

static int
grow(struct cli_idset *set)
{
	size_t cap = set->cap == 0 ? CAP_MIN : 2 * set->cap;
	uint64_t *slots = calloc(cap, sizeof(*slots));

	if (slots == NULL)
		return SLK_NO_MEMORY;
	for (size_t i = 0; i < set->cap; i++)
		if (set->slots[i] != 0)
			*slot_of(slots, cap, set->slots[i]) = set->slots[i];
	free(set->slots);
	set->slots = slots;
	set->cap = cap;
	return SLK_OK;
}

int
cli_idset_add(struct cli_idset *set, uint64_t id, bool *out_new)
{
	if (id == 0) {
		*out_new = !set->has_zero;
		set->has_zero = true;
		return SLK_OK;
	}
	if (2 * (set->count + 1) > set->cap && grow(set) != SLK_OK)
		return SLK_NO_MEMORY;
	uint64_t *slot = slot_of(set->slots, set->cap, id);
	*out_new = *slot == 0;
	set->count += *slot == 0;
	*slot = id;
	return SLK_OK;
}

void
cli_idset_clear(struct cli_idset *set)
{
	free(set->slots);
	memset(set, 0, sizeof(*set));
}
