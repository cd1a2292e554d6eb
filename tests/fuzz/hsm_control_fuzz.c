/* A control message that decodes encodes to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "hsm/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t out[HSM_CONTROL_BYTES];
	struct hsm_control m;

	if (hsm_wire_decode_control(slk_span(data, size), &m) != SLK_OK)
		return 0;
	hsm_wire_encode_control(&m, out);
	if (size != sizeof(out) || memcmp(out, data, size) != 0)
		abort();
	return 0;
}
