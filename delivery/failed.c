#include "failed.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/secret.h"

#define NUMBERS_BYTES 256u /* of the fixed text and all numbers */

/* What JSON wants escaped; everything else as it is, and what is no UTF-8 was no sentence: each such byte becomes '?'. */
static void
write_text(struct slk_writer *w, const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p == '"' || *p == '\\') {
			slk_write_u8(w, '\\');
			slk_write_u8(w, *p);
		} else {
			slk_write_u8(w, *p < 0x20 || *p >= 0x7f ? '?' : *p);
		}
	}
}

static void __attribute__((format(printf, 2, 3)))
write_printed(struct slk_writer *w, const char *format, ...)
{
	char text[128];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	slk_write_bytes(w, text, n > 0 ? (size_t)n : 0);
}

static void
write_base64(struct slk_writer *w, struct slk_span in)
{
	size_t chars = slk_base64_chars(in.len);
	size_t padding = (4 - chars % 4) % 4;
	uint8_t *room = slk_write_room(w, chars + 1);

	if (room == NULL)
		return;
	if (slk_base64_encode(SLK_BASE64, in, (char *)room, chars + 1) != SLK_OK)
		w->status = SLK_FULL;
	w->len--; /* the terminator */
	slk_write_bytes(w, "===", padding);
}

static void
write_line(struct slk_writer *w, const struct dlv_batch *batch, const struct dlv_entry *entry,
	const struct dlv_failure *failure)
{
	write_printed(w, "{\"attemptsMade\":%u", failure->attempts);
	write_printed(w, ",\"arrivalTimestamp\":%llu",
		(unsigned long long)(entry->arrival_ns / SLK_NS_PER_MS));
	slk_write_bytes(w, ",\"errorCode\":\"", 14);
	write_text(w, failure->code);
	slk_write_bytes(w, "\",\"errorMessage\":\"", 18);
	write_text(w, failure->message);
	write_printed(w, "\",\"attemptEndingTimestamp\":%llu,\"rawData\":\"",
		(unsigned long long)(failure->ended_ns / SLK_NS_PER_MS));
	write_base64(w, slk_span(batch->raw.bytes + entry->offset, entry->len));
	slk_write_bytes(w, "\",\"deliveryId\":\"", 16);
	write_text(w, batch->id);
	write_printed(w, "\",\"shardId\":\"shardId-%012u\"", entry->shard);
	write_printed(w, ",\"sequenceNumber\":\"%llu\"}\n", (unsigned long long)entry->sequence);
}

int
dlv_failed_line(const struct dlv_batch *batch, const struct dlv_entry *entry,
	const struct dlv_failure *failure, struct dlv_buffer *out)
{
	size_t room = NUMBERS_BYTES + 2 * (strlen(failure->code) + strlen(failure->message)) +
		FMT_UUID_TEXT + slk_base64_chars(entry->len) + 8;
	int rc = dlv_buffer_reserve(out, room);

	if (rc != SLK_OK)
		return rc;
	struct slk_writer w = slk_writer(out->bytes + out->len, room);
	write_line(&w, batch, entry, failure);
	if (w.status != SLK_OK) {
		slk_wipe(out->bytes + out->len, room);
		return SLK_INTERNAL;
	}
	out->len += w.len;
	return SLK_OK;
}
