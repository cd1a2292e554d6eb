/* Frames of kmsd's RPC, as requests and as replies. What is accepted must come out the same size
 * again. */
#include <stdlib.h>

#include "kmsclient/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const Kmsp__Request *request)
{
	struct fmt_context *context = NULL;
	Kmsp__Pair **pairs = NULL;
	size_t count = 0;

	if (request->call_case == KMSP__REQUEST__CALL_DECRYPT) {
		pairs = request->decrypt->context;
		count = request->decrypt->n_context;
	} else if (request->call_case == KMSP__REQUEST__CALL_RE_ENCRYPT) {
		pairs = request->re_encrypt->source_context;
		count = request->re_encrypt->n_source_context;
	}
	if (count > 0 && kmsp_context_build(pairs, count, &context) == SLK_OK)
		fmt_context_free(context);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct kmsp_arena *arena;
	static uint8_t out[KMSP_REPLY_MAX];
	const Kmsp__Request *request;
	const Kmsp__Reply *reply;
	size_t len = 0;

	if (arena == NULL && kmsp_arena_new(&arena) != SLK_OK)
		abort();
	if (kmsp_request_unpack(arena, slk_span(data, size), &request) == SLK_OK) {
		check(request);
		Kmsp__Request copy = *request;
		if (kmsp_request_pack(&copy, out, sizeof(out), &len) != SLK_OK || len != size)
			abort();
	}
	if (kmsp_reply_unpack(arena, slk_span(data, size), &reply) == SLK_OK) {
		Kmsp__Reply copy = *reply;
		if (kmsp_reply_pack(&copy, out, sizeof(out), &len) != SLK_OK || len != size)
			abort();
	}
	return 0;
}
