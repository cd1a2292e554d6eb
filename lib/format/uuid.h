/* UUIDs (RFC 9562) as 16 bytes in network order and as lower-case text. Thread: any. */
#ifndef SLK_FORMAT_UUID_H
#define SLK_FORMAT_UUID_H

#include <stdint.h>

#include "base/status.h"

#define FMT_UUID_BYTES 16u
#define FMT_UUID_TEXT 37u /* with terminator */

/* A random UUID, version 4. SLK_SYSTEM. */
MUST_USE int fmt_uuid_new(uint8_t out_uuid[FMT_UUID_BYTES]);
/* The UUID of random bytes, in place, for those who draw many at once. */
void fmt_uuid_mark(uint8_t random[FMT_UUID_BYTES]);
void fmt_uuid_print(const uint8_t uuid[FMT_UUID_BYTES], char out_text[FMT_UUID_TEXT]);
/* Parse 8-4-4-4-12 hex digits of either case, nothing before or after. SLK_MALFORMED; *out is
 * untouched on error. */
MUST_USE int fmt_uuid_parse(const char *text, uint8_t out_uuid[FMT_UUID_BYTES]);

#endif
