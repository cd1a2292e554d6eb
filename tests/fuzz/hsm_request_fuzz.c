/* A request that decodes encodes to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "hsm/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[HSM_MESSAGE_MAX];
	struct hsm_wire_request m;
	size_t len = 0;

	if (hsm_wire_decode_request(slk_span(data, size), &m) != SLK_OK)
		return 0;
	if (hsm_wire_encode_request(&m, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	return 0;
}
