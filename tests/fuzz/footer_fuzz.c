/* Anything that decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/footer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fmt_footer f;
	size_t len = 0;

	if (fmt_footer_decode(slk_span(data, size), &f) != SLK_OK)
		return 0;
	struct fmt_footer_shard *shards = calloc(f.shard_count + 1, sizeof(*shards));
	struct fmt_footer_sparse *sparse = calloc(f.sparse_count + 1, sizeof(*sparse));
	struct fmt_footer_key *keys = calloc(f.key_count + 1, sizeof(*keys));
	uint8_t *out = malloc(size);
	if (shards == NULL || sparse == NULL || keys == NULL || out == NULL)
		abort();
	for (uint32_t i = 0; i < f.shard_count; i++)
		shards[i] = fmt_footer_shard_at(&f, i);
	for (uint32_t i = 0; i < f.sparse_count; i++)
		sparse[i] = fmt_footer_sparse_at(&f, i);
	for (uint32_t i = 0; i < f.key_count; i++)
		keys[i] = fmt_footer_key_at(&f, i);
	f.shards = shards;
	f.sparse = sparse;
	f.keys = keys;
	if (fmt_footer_encode(&f, out, size, &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	free(shards);
	free(sparse);
	free(keys);
	free(out);
	return 0;
}
