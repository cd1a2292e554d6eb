/* Anything that decodes must encode to the same bytes again; nothing may crash. */
#include <stdlib.h>
#include <string.h>

#include "format/blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_BLOB_MAX];
	struct fmt_blob blob;
	size_t len = 0;

	int rc = fmt_blob_decode(slk_span(data, size), &blob);
	if (rc == SLK_INVALID_CIPHERTEXT)
		return 0;
	if (rc != SLK_OK || fmt_blob_encode(&blob, out, sizeof(out), &len) != SLK_OK ||
		len != size || memcmp(out, data, len) != 0)
		abort();
	return 0;
}
