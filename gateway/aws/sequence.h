/* Sequence numbers in the form that Kinesis has them: decimal, 56 digits, growing as numbers within a shard and over a reshard.
 *
 * As hex digits: 2 · 9 shard creation, s · 1 low nibble of the shard's number · 16 place · 00 · 9 time, s · 8 shard's number · 2.
 * The place is a record's number in its shard and one, so that the shard's start, which has the number of its first record as
 * its place, is below all of them; the end of a closed shard has the largest place. Derived, never stored. Thread: any; pure.
 */
#ifndef GATEWAY_AWS_SEQUENCE_H
#define GATEWAY_AWS_SEQUENCE_H

#include <stdbool.h>

#include "base/bytes.h"

#define GW_SEQUENCE_TEXT 58u /* with terminator */
#define GW_SEQUENCE_END 0x7fffffffffffffffull

struct gw_sequence {
	uint64_t created_s; /* of the shard; below 2^36 */
	uint32_t shard;
	uint64_t place; /* up to GW_SEQUENCE_END */
	uint64_t time_s; /* below 2^36 */
};

/* Numbers that are printed one after the other: what differs from the one before by its place alone is not divided anew.
 * Zeroed is new. */
#define GW_SEQUENCE_NINES 7u
struct gw_sequence_run {
	bool begun;
	struct gw_sequence last;
	uint32_t nines[GW_SEQUENCE_NINES];
};

void gw_sequence_run_print(
	struct gw_sequence_run *run, const struct gw_sequence *s, char out[GW_SEQUENCE_TEXT]);
void gw_sequence_print(const struct gw_sequence *sequence, char out[GW_SEQUENCE_TEXT]);
/* SLK_MALFORMED: not one of these. */
MUST_USE int gw_sequence_parse(const char *text, struct gw_sequence *out);

#endif
