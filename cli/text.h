/* Small conversions between what people type or read and what the libraries take. All pure, any
 * thread. */
#ifndef SLK_CLI_TEXT_H
#define SLK_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"
#include "sealock/consumer.h"

#define CLI_TIME_MAX 40u /* "2026-11-24T10:00:00.123456789Z" with terminator */
#define CLI_AMOUNT_MAX 24u

/* RFC 3339 in UTC with nine decimals. */
void cli_time_format(uint64_t unix_ns, char out[CLI_TIME_MAX]);
/* The same to the second, for people: "2026-11-24T10:00:00Z". */
void cli_time_second(uint64_t unix_ns, char out[CLI_TIME_MAX]);

/* "2026-11-24T10:00:00[.5]Z", "2026-11-24 10:00[:00]" (UTC), "1763978400[.5]" (Unix seconds), or
 * "-90s", "-5m", "-2h",
 * "-1d" (before now). SLK_INVALID with a sentence. */
MUST_USE int cli_time_parse(
	const char *text, uint64_t now_ns, uint64_t *out_unix_ns, struct slk_error *err);

/* "TRIM_HORIZON", "LATEST", "@TIME", or a sequence number. SLK_INVALID with a sentence. */
MUST_USE int cli_from_parse(const char *text, uint64_t now_ns, struct sealock_position *out_from,
	struct slk_error *err);

/* Decimal digits only, 0..max. SLK_INVALID, SLK_RANGE. */
MUST_USE int cli_u64_parse(const char *text, uint64_t max, uint64_t *out_value);

/* "512 B", "1.5 KiB", "20.3 MiB". */
void cli_bytes_format(uint64_t bytes, char out[CLI_AMOUNT_MAX]);
/* "3 s", "4 min 10 s", "2 h 5 min", "9 d 3 h". */
void cli_age_format(uint64_t seconds, char out[CLI_AMOUNT_MAX]);

/* Length of the well-formed sequence at p (1..4; left >= 1 bytes are there), or 0. RFC 3629,
 * section 4. */
size_t cli_utf8_sequence(const uint8_t *p, size_t left);
/* Whole, shortest-form UTF-8 without surrogates (RFC 3629). */
bool cli_utf8_valid(struct slk_span bytes);

/* RFC 4648 section 4, padded, not terminated. */
static inline size_t
cli_base64_len(size_t len)
{
	return (len + 2) / 3 * 4;
}
void cli_base64(struct slk_span in, char *out);
/* Strict but for white space, which is left out. SLK_MALFORMED, SLK_TOO_LARGE; *out_len is untouched then. */
MUST_USE int cli_base64_decode(struct slk_span in, uint8_t *out, size_t cap, size_t *out_len);

#endif
