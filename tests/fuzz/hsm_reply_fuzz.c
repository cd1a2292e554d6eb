/* A reply that decodes encodes to the same bytes again, and is cut off where it ends. */
#include <stdlib.h>
#include <string.h>

#include "hsm/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[HSM_MESSAGE_MAX];
	struct hsm_wire_reply m;
	struct slk_span rest = slk_span(data, size), first = rest;
	size_t len = 0;

	if (size > 0)
		first = hsm_wire_cut_reply(&rest);
	if (size > 0 && (first.ptr != data || first.len == 0 || first.len + rest.len != size))
		abort();
	if (hsm_wire_decode_reply(slk_span(data, size), &m) != SLK_OK)
		return 0;
	if (hsm_wire_encode_reply(&m, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0 || first.len != size)
		abort();
	return 0;
}
