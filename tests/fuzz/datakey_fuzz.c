/* A data key's file: what decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/datakey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_DATAKEY_FILE_MAX];
	struct fmt_datakey key;
	size_t len = 0;

	if (fmt_datakey_decode(slk_span(data, size), &key) != SLK_OK)
		return 0;
	if (fmt_datakey_encode(&key, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	return 0;
}
