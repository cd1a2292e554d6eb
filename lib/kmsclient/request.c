#include "kmsclient/request.h"

void
kmsc_request_pairs(const struct fmt_context *context, struct kmsc_pairs *out)
{
	out->count = context != NULL ? fmt_context_count(context) : 0;
	for (size_t i = 0; i < out->count; i++) {
		struct slk_span key, value;
		fmt_context_pair(context, i, &key, &value);
		kmsp__pair__init(&out->storage[i]);
		out->storage[i].key = kmsc_request_bytes(key);
		out->storage[i].value = kmsc_request_bytes(value);
		out->list[i] = &out->storage[i];
	}
}
