/* A set of 64-bit ids that only grows. Thread: its owner's. */
#ifndef SLK_CLI_IDSET_H
#define SLK_CLI_IDSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct cli_idset { /* zeroed: empty */
	uint64_t *slots; /* open addressing; 0 is free */
	size_t count, cap;
	bool has_zero;
};

/* *out_new tells whether id was not in it. SLK_NO_MEMORY. */
MUST_USE int cli_idset_add(struct cli_idset *set, uint64_t id, bool *out_new);
/* Empty it, and give its memory back. */
void cli_idset_clear(struct cli_idset *set);

#endif
