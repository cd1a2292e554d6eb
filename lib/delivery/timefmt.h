/* Times as Java's DateTimeFormatter prints them by a pattern, in English (Locale.US: weeks begin on Sunday, the first has
 * January the 1st). What Firehose's !{timestamp:...} takes.
 *
 *     G u y Y D M L d Q q w W E e c a h K k H m s S A n N VV z O X x Z   'text'  ''  [ ]
 *
 * Not there, and refused: F (its meaning changed between Java's versions), v, full zone names (zzzz), the pad modifier p, B, g.
 * Pure. Thread: any.
 */
#ifndef SLK_DELIVERY_TIMEFMT_H
#define SLK_DELIVERY_TIMEFMT_H

#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "delivery/zone.h"

struct dlv_time {
	struct tm local;
	uint32_t ns;
	const char *zone; /* its name; borrowed */
	struct dlv_zone_moment moment;
};

/* zone: "UTC" (or ""), or a name of the zone database. Codes of zone.h. */
MUST_USE int dlv_time_at(const char *zone, uint64_t unix_ns, struct dlv_time *out);

/* Append to out (its status is SLK_FULL if there is no room). SLK_INVALID with Java's sentence. */
MUST_USE int dlv_timefmt_print(struct slk_span pattern, const struct dlv_time *time,
	struct slk_writer *out, struct slk_error *err);

#endif
