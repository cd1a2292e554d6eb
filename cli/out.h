/* Output of a command: one buffered writer over a descriptor, in locked memory, since records pass
 * through it.
 *
 * The first failed write sets a sticky status and drops what follows; a command checks once, in
 * cli_finish(). JSON is written by libyajl straight into the same buffer. Thread: the owner's.
 */
#ifndef SLK_CLI_OUT_H
#define SLK_CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <yajl/yajl_gen.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"

struct cli_out;

/* fd stays the caller's. SLK_NO_MEMORY. */
MUST_USE int cli_out_new(int fd, struct cli_out **out_out, struct slk_error *err);
void cli_out_free(struct cli_out *out); /* wipes, does not flush; NULL allowed */

void cli_out_write(struct cli_out *out, const void *bytes, size_t len);
void cli_out_text(struct cli_out *out, const char *text);
void cli_out_printf(struct cli_out *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* Bytes from outside, for a person's terminal: control characters and what is no UTF-8 as \xNN, tab
 * and newline as they are. */
void cli_out_safe(struct cli_out *out, struct slk_span bytes);
/* Forget what was not flushed yet: half a document is worth less than none. */
void cli_out_drop(struct cli_out *out);
/* SLK_OK, SLK_CLOSED (the reader went away), or the first failure; errno's sentence through
 * cli_out_error(). */
int cli_out_flush(struct cli_out *out);
int cli_out_status(const struct cli_out *out);
const char *cli_out_error(const struct cli_out *out);
/* The descriptor is a terminal. */
bool cli_out_is_terminal(const struct cli_out *out);

/* --- JSON --- */

/* A generator that writes into out: indented, one document (compact false), or one document per
 * line, each ended by cli_json_next(). NULL without memory (the sticky status is set); every call
 * below takes NULL and does nothing. */
yajl_gen cli_json_begin(struct cli_out *out, bool compact);
void cli_json_next(yajl_gen json);
void cli_json_end(yajl_gen json);

void cli_json_map(yajl_gen json);
void cli_json_map_end(yajl_gen json);
void cli_json_array(yajl_gen json);
void cli_json_array_end(yajl_gen json);

/* "key": value, inside a map. Text is checked UTF-8; anything else is written with U+FFFD in place
 * of bad bytes. */
void cli_json_str(yajl_gen json, const char *key, const char *value);
void cli_json_u64(yajl_gen json, const char *key, uint64_t value);
void cli_json_f64(yajl_gen json, const char *key, double value);
void cli_json_bool(yajl_gen json, const char *key, bool value);
void cli_json_key(yajl_gen json, const char *key); /* a map or an array follows */
void cli_json_text(yajl_gen json, const char *value); /* an element of an array */
/* Unix time in ns as RFC 3339, or null for 0. */
void cli_json_time(yajl_gen json, const char *key, uint64_t unix_ns);
/* Bytes that may be text: "key": text and, only if they are no UTF-8, base64 with "key_encoding":
 * "base64". scratch holds the base64 form and is wiped by its owner. */
struct slk_plain;
MUST_USE int cli_json_bytes(yajl_gen json, const char *key, struct slk_span bytes,
	struct slk_plain *scratch, struct slk_error *err);

#endif
