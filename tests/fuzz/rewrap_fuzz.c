/* Anything that decodes must encode to the same bytes again, part by part. */
#include <stdlib.h>
#include <string.h>

#include "format/rewrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
must_be(const uint8_t *out, size_t len, const uint8_t *data, size_t size)
{
	if (len > size || memcmp(out, data, len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t
		out[FMT_REWRAP_ENTRY_HEAD_BYTES + FMT_KEYBLOCK_ARN_MAX + FMT_KEYBLOCK_WRAPPED_MAX];
	struct fmt_rewrap f;
	struct fmt_rewrap_entry e;
	size_t len = 0, at = FMT_REWRAP_HEADER_BYTES;

	if (fmt_rewrap_decode(slk_span(data, size), &f) != SLK_OK)
		return 0;
	if (fmt_rewrap_header_encode(&f.header, out) != SLK_OK)
		abort();
	must_be(out, FMT_REWRAP_HEADER_BYTES, data, size);
	struct slk_reader r = slk_reader(f.entries);
	for (uint32_t i = 0; i < f.header.count; i++) {
		if (fmt_rewrap_entry_decode(&r, &e) != SLK_OK ||
			fmt_rewrap_entry_encode(&e, out, sizeof(out), &len) != SLK_OK)
			abort();
		must_be(out, len, data + at, size - at);
		at += len;
	}
	if (fmt_rewrap_trailer_encode(&f.trailer, out, sizeof(out), &len) != SLK_OK ||
		at + len != size)
		abort();
	must_be(out, len, data + at, size - at);
	return 0;
}
