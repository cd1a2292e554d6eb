/* A canonical form that decodes must encode to the same bytes again: there is one form for one set
 * of pairs. */
#include <stdlib.h>
#include <string.h>

#include "format/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_CONTEXT_MAX];
	struct fmt_context *context = NULL;
	size_t len = 0;

	if (fmt_context_decode(slk_span(data, size), &context) != SLK_OK)
		return 0;
	if (fmt_context_encode(context, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	fmt_context_free(context);
	return 0;
}
