/* Anything that decodes must encode to the same bytes again; the CRC is put right first. */
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dlv_checkpoint cp;
	uint8_t *copy = malloc(size + 1), *again = NULL;
	size_t len = 0;

	if (copy == NULL)
		abort();
	memcpy(copy, data, size);
	if (size >= 4)
		slk_put_le32(copy + size - 4, slk_crc32c(0, copy, size - 4));
	if (dlv_checkpoint_decode(slk_span(copy, size), &cp) == SLK_OK) {
		if (dlv_checkpoint_encode(&cp, &again, &len) != SLK_OK || len != size ||
			memcmp(copy, again, size) != 0)
			abort();
		free(again);
		dlv_checkpoint_fini(&cp);
	}
	free(copy);
	return 0;
}
