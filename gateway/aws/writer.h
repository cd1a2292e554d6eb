/* Answers, written member by member, whatever format they go out in (JSON now; CBOR joins as other ops).
 *
 * A writer appends to a buffer that grows by a call of its owner's. The first failure sticks and is looked at once, at the end.
 * Names are NULL within lists. Text that comes as a string is UTF-8 already; control characters are escaped. Thread: one.
 */
#ifndef GATEWAY_AWS_WRITER_H
#define GATEWAY_AWS_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

struct gw_writer {
	uint8_t *bytes;
	size_t len, cap;
	/* Make room for more bytes behind len: sets bytes and cap. A status. NULL: it does not grow. */
	int (*grow)(struct gw_writer *w, size_t more);
	void *arg; /* the owner's */
	int status;
	uint64_t begun; /* a bit for each open list or map: has it got a member? */
	unsigned depth;
};

void gw_write_open(struct gw_writer *w, const char *name); /* a map */
void gw_write_close(struct gw_writer *w);
void gw_write_open_list(struct gw_writer *w, const char *name);
void gw_write_close_list(struct gw_writer *w);

void gw_write_text(struct gw_writer *w, const char *name, const char *text);
void gw_write_span(struct gw_writer *w, const char *name, struct slk_span text);
/* The same, left out if it is "". */
void gw_write_text_if(struct gw_writer *w, const char *name, const char *text);
void gw_write_int(struct gw_writer *w, const char *name, int64_t value);
void gw_write_bool(struct gw_writer *w, const char *name, bool value);
void gw_write_blob(struct gw_writer *w, const char *name, struct slk_span bytes);
/* Unix time in nanoseconds, to the millisecond. */
void gw_write_time(struct gw_writer *w, const char *name, uint64_t ns);
/* A value that is JSON already. */
void gw_write_json(struct gw_writer *w, const char *name, struct slk_span json);
/* As it stands. */
void gw_write_raw(struct gw_writer *w, const void *bytes, size_t len);

#endif
