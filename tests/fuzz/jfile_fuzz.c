/* A header page that decodes must encode to the same bytes; the CRC is put right first. */
#include <stdlib.h>
#include <string.h>

#include "format/jfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t page[FMT_JFILE_PAGE_BYTES] = {0}, again[FMT_JFILE_PAGE_BYTES];
	struct fmt_jfile_header h;
	int rc = fmt_jfile_decode(slk_span(data, size), &h);

	if (rc == SLK_OK && size != sizeof(page))
		abort();
	memcpy(page, data, size < sizeof(page) ? size : sizeof(page));
	slk_put_le32(page + sizeof(page) - 4, slk_crc32c(0, page, sizeof(page) - 4));
	if (fmt_jfile_decode(slk_span(page, sizeof(page)), &h) != SLK_OK)
		return 0;
	fmt_jfile_encode(&h, again);
	if (memcmp(page, again, sizeof(page)) != 0)
		abort();
	return 0;
}
