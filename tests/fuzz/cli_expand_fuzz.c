/* Compressed content, cut in two at a place of the first byte's choice. Output is bounded, so that a small input cannot take
 * minutes. */
#include <stdlib.h>

#include "expand.h"

#define OUT_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
take(void *arg, struct slk_span bytes, struct slk_error *err)
{
	size_t *len = arg;

	*len += bytes.len;
	return *len > OUT_MAX ? slk_fail(err, SLK_LIMIT, "enough") : SLK_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cli_expand *x = NULL;
	size_t len = 0;

	if (size < 6 || cli_expand_new(take, &len, &x, NULL) != SLK_OK)
		return 0;
	size_t first = 4 + data[0] % (size - 4);
	first = first > size - 1 ? size - 1 : first;
	if (cli_expand_put(x, slk_span(data + 1, first), NULL) == SLK_OK &&
		cli_expand_put(x, slk_span(data + 1 + first, size - 1 - first), NULL) == SLK_OK)
		(void)(cli_expand_end(x, NULL) == SLK_OK);
	cli_expand_free(x);
	return 0;
}
