/* How long the records of each stream are kept, as the catalog says: written by the control thread whenever it has read the
 * whole list, read by the keeper, which trims the journal. Thread: any. */
#ifndef DP_AGES_H
#define DP_AGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct dp_ages;

/* most_ns: what the configuration allows for all; 0: no bound. SLK_NO_MEMORY. */
MUST_USE int dp_ages_new(uint64_t most_ns, struct dp_ages **out_ages);
void dp_ages_free(struct dp_ages *ages); /* NULL allowed */

/* A new list is made while the old one is in force. Thread: the control thread. */
void dp_ages_begin(struct dp_ages *ages);
/* Without memory the list is given up, and the one before stays. */
void dp_ages_add(struct dp_ages *ages, uint64_t stream_id, uint32_t hours);
void dp_ages_end(struct dp_ages *ages);

/* For struct jnl_retention; arg: struct dp_ages. A stream that the list does not have was deleted: it is kept as long as the
 * longest of those that it has. Before the first list, and with an empty one: the bound. 0: for ever. */
uint64_t dp_ages_of(void *arg, uint64_t stream_id);

#endif
