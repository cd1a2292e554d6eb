/* Anything that decodes, as a put or as a reply, must encode to the same bytes again; nothing may
 * crash. */
#include <stdlib.h>
#include <string.h>

#include "format/put.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t out[FMT_PUT_MESSAGE_MAX];

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_put put;
	struct fmt_put_reply reply;
	size_t len = 0;

	if (fmt_put_decode(slk_span(data, size), &put) == SLK_OK &&
		(fmt_put_encode(&put, out, sizeof(out), &len) != SLK_OK || len != size ||
			memcmp(out, data, len) != 0))
		abort();
	if (fmt_put_reply_decode(slk_span(data, size), &reply) == SLK_OK &&
		(fmt_put_reply_encode(&reply, out, sizeof(out), &len) != SLK_OK || len != size ||
			memcmp(out, data, len) != 0))
		abort();
	return 0;
}
