/* Time zones by the zone database (RFC 8536), for names of objects: offset and abbreviation at an instant.
 *
 *     /usr/share/zoneinfo/Europe/Berlin --dlv_zone_read()--> bytes --dlv_zone_at()--> +7200 "CEST"
 *
 * libc's own way (TZ and tzset) is one zone for the whole process. dlv_zone_at() is pure and believes nothing that the file
 * says. Thread: any.
 */
#ifndef SLK_DELIVERY_ZONE_H
#define SLK_DELIVERY_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define DLV_ZONE_FILE_MAX 16384u /* bytes; the largest in use has under 4 KiB */
#define DLV_ZONE_NAME_MAX 51u /* CustomTimeZone has at most 50 letters, '/' and '_' */
#define DLV_ZONE_ABBREVIATION_MAX 16u

struct dlv_zone_moment {
	int32_t offset_s; /* to be added to UTC */
	char abbreviation[DLV_ZONE_ABBREVIATION_MAX];
};

/* The file of a zone. name: as Firehose has it, "Asia/Tokyo"; never a path out of the database. SLK_INVALID (no such form),
 * SLK_NOT_FOUND, SLK_TOO_LARGE, SLK_IO, SLK_SYSTEM ... (slk_status_from_errno). */
MUST_USE int dlv_zone_read(const char *name, uint8_t out[DLV_ZONE_FILE_MAX], size_t *out_len);

/* unix_s: 0..2^40. SLK_TRUNCATED, SLK_MALFORMED, SLK_BAD_VERSION (one of the first version, with 32-bit times only),
 * SLK_RANGE. */
MUST_USE int dlv_zone_at(struct slk_span file, int64_t unix_s, struct dlv_zone_moment *out);

#endif
