/* A request, whatever its text says, is refused or understood; what is understood can be signed, and then matches. */
#include <stdlib.h>
#include <string.h>

#include "aws/sigv4.h"
#include "aws_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct gw_sigv4_policy policy = {"us-east-1", "service", 1440938160, 300};
	static const uint8_t key[GW_SHA256_BYTES] = {1}, payload[GW_SHA256_BYTES] = {2};
	static struct gw_sigv4_engine *engine;
	struct aws_request r;
	struct gw_sigv4 sig;
	struct gw_fault fault = {.type = NULL};
	struct slk_span text;

	if (engine == NULL && gw_sigv4_engine_new(&engine) != SLK_OK)
		abort();
	char *copy = malloc(size + 1);
	if (copy == NULL)
		return 0;
	memcpy(copy, data, size);
	copy[size] = '\0';
	if (aws_request_from(copy, size, &r)) {
		bool ok = gw_sigv4_parse(&r.http, &policy, &sig, &fault);
		if (!ok && fault.type == NULL)
			abort();
		if (ok) {
			if (gw_sigv4_canonical(engine, &r.http, &sig, payload, false, &text) ==
					SLK_OK &&
				text.len == 0)
				abort();
			bool told = false;
			for (size_t i = 0; i < r.http.headers_count; i++)
				told |= strcmp(r.headers[i].name.ptr, "x-amz-content-sha256") == 0;
			if (gw_sigv4_sign(engine, &r.http, &sig, payload, key, sig.signature) ==
					SLK_OK &&
				!told &&
				!gw_sigv4_matches(engine, &r.http, &sig, payload, key, &fault))
				abort();
		}
		gw_sigv4_fini(&sig);
	}
	free(copy);
	return 0;
}
