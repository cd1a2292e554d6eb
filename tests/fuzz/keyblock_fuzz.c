/* Anything that decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/keyblock.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_KEYBLOCK_MAX];
	struct fmt_keyblock k;
	size_t len = 0;

	if (fmt_keyblock_decode(slk_span(data, size), &k) != SLK_OK)
		return 0;
	if (fmt_keyblock_encode(&k, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	return 0;
}
