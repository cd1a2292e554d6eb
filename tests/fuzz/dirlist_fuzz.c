/* A list that decodes must encode to the same bytes; the CRC is put right first. */
#include <stdlib.h>
#include <string.h>

#include "format/dirlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fmt_dirlist list;
	static uint8_t again[FMT_DIRLIST_BYTES_MAX];
	size_t len = 0;

	int rc = fmt_dirlist_decode(slk_span(data, size), &list);
	if (size < 4)
		return rc == SLK_OK ? 1 : 0;
	uint8_t *copy = malloc(size);
	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	slk_put_le32(copy + size - 4, slk_crc32c(0, copy, size - 4));
	if (fmt_dirlist_decode(slk_span(copy, size), &list) == SLK_OK &&
		(fmt_dirlist_encode(&list, again, sizeof(again), &len) != SLK_OK || len != size ||
			memcmp(copy, again, size) != 0))
		abort();
	free(copy);
	return 0;
}
