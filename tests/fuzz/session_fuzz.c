/* A session token's outside and inside: what decodes as either must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_claims(const uint8_t *data, size_t size)
{
	static uint8_t out[FMT_SESSION_CLAIMS_MAX];
	struct fmt_session session;
	size_t len = 0;

	if (fmt_session_decode(slk_span(data, size), &session) != SLK_OK)
		return;
	if (fmt_session_encode(&session, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t header[FMT_SESSION_HEADER_BYTES];
	struct fmt_session_token token;

	try_claims(data, size);
	if (fmt_session_token_decode(slk_span(data, size), &token) != SLK_OK)
		return 0;
	fmt_session_header(&token, header);
	if (memcmp(header, data, sizeof(header)) != 0 || token.sealed.len != size - sizeof(header))
		abort();
	return 0;
}
