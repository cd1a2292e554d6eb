/* Anything that decodes must encode to the same bytes again; the CRC is put right first. */
#include <stdlib.h>
#include <string.h>

#include "format/watermark.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t copy[FMT_WATERMARK_BYTES], again[FMT_WATERMARK_BYTES];
	struct fmt_watermark m;

	if (size != sizeof(copy)) {
		if (fmt_watermark_decode(slk_span(data, size), &m) == SLK_OK)
			abort();
		return 0;
	}
	memcpy(copy, data, sizeof(copy));
	slk_put_le32(copy + 60, slk_crc32c(0, copy, 60));
	if (fmt_watermark_decode(slk_span(copy, sizeof(copy)), &m) != SLK_OK)
		return 0;
	fmt_watermark_encode(&m, again);
	if (memcmp(copy, again, sizeof(copy)) != 0)
		abort();
	return 0;
}
