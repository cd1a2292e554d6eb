/* The rule at the end of a zone's file: what POSIX's TZ variable holds, with the extensions of RFC 8536, 3.3.1 (hours of -167
 * to 167 in times). "CET-1CEST,M3.5.0,M10.5.0/3". Internal to zone.c and its tests. Pure.
 */
#ifndef SLK_DELIVERY_ZONERULE_H
#define SLK_DELIVERY_ZONERULE_H

#include "delivery/zone.h"

#define DLV_ZONE_OFFSET_MAX (26 * 3600)

/* SLK_MALFORMED. *out is untouched on error. */
MUST_USE int dlv_zonerule_at(struct slk_span rule, int64_t unix_s, struct dlv_zone_moment *out);

#endif
