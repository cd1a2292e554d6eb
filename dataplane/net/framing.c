#include "net/framing.h"

#include <assert.h>
#include <string.h>

static const char *const framing_names[] = {
	[DP_FRAMING_DATAGRAM] = "datagram",
	[DP_FRAMING_LINES] = "lines",
	[DP_FRAMING_U16] = "u16",
	[DP_FRAMING_U32] = "u32",
};

#define FRAMING_COUNT (sizeof(framing_names) / sizeof(framing_names[0]))

bool
dp_framing_parse(const char *text, enum dp_framing *out_framing)
{
	for (size_t i = 0; i < FRAMING_COUNT; i++) {
		if (strcmp(text, framing_names[i]) == 0) {
			*out_framing = (enum dp_framing)i;
			return true;
		}
	}
	return false;
}

const char *
dp_framing_name(enum dp_framing framing)
{
	return (size_t)framing < FRAMING_COUNT ? framing_names[framing] : "unknown";
}

void
dp_framing_begin(struct dp_framing_iter *it, enum dp_framing framing, uint32_t record_max,
	struct slk_span payload)
{
	assert(record_max > 0);
	*it = (struct dp_framing_iter){
		.rest = payload,
		.record_max = record_max,
		.framing = framing,
	};
}

/* Cut record_bytes off the rest, behind skip bytes before and with skip_after bytes behind it. */
static struct slk_span
take(struct dp_framing_iter *it, size_t skip, size_t record_bytes, size_t skip_after)
{
	struct slk_span record = slk_span(it->rest.ptr + skip, record_bytes);

	it->rest.ptr += skip + record_bytes + skip_after;
	it->rest.len -= skip + record_bytes + skip_after;
	it->done = it->rest.len == 0;
	return record;
}

static struct slk_span
take_line(struct dp_framing_iter *it)
{
	const uint8_t *line = it->rest.ptr;
	const uint8_t *lf = memchr(line, '\n', it->rest.len);

	if (lf == NULL)
		return take(it, 0, it->rest.len, 0);
	size_t len = (size_t)(lf - line);
	if (len > 0 && line[len - 1] == '\r')
		return take(it, 0, len - 1, 2);
	return take(it, 0, len, 1);
}

/* False: the prefix is cut or points beyond the end. */
static bool
take_prefixed(struct dp_framing_iter *it, size_t prefix_bytes, struct slk_span *out_record)
{
	if (it->rest.len < prefix_bytes)
		return false;
	size_t len = prefix_bytes == 2 ? slk_get_be16(it->rest.ptr) : slk_get_be32(it->rest.ptr);
	if (len > it->rest.len - prefix_bytes)
		return false;
	*out_record = take(it, prefix_bytes, len, 0);
	return true;
}

static enum dp_framing_step
drop(enum dp_drop reason, enum dp_drop *out_drop)
{
	*out_drop = reason;
	return DP_FRAMING_DROP;
}

enum dp_framing_step
dp_framing_next(struct dp_framing_iter *it, struct slk_span *out_record, enum dp_drop *out_drop)
{
	struct slk_span record;

	if (it->done)
		return DP_FRAMING_END;
	if (it->rest.len == 0) {
		it->done = true;
		return drop(DP_DROP_RECORD_EMPTY, out_drop);
	}
	if (it->framing == DP_FRAMING_DATAGRAM) {
		record = take(it, 0, it->rest.len, 0);
	} else if (it->framing == DP_FRAMING_LINES) {
		record = take_line(it);
	} else if (!take_prefixed(it, it->framing == DP_FRAMING_U16 ? 2 : 4, &record)) {
		it->done = true;
		return drop(DP_DROP_RECORD_LENGTH, out_drop);
	}
	if (record.len == 0)
		return drop(DP_DROP_RECORD_EMPTY, out_drop);
	if (record.len > it->record_max)
		return drop(DP_DROP_RECORD_TOO_LARGE, out_drop);
	*out_record = record;
	return DP_FRAMING_RECORD;
}
