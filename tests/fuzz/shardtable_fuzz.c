/* Anything that decodes must encode to the same bytes again. */
#include <stdlib.h>
#include <string.h>

#include "format/shardtable.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fmt_shard shards[FMT_SHARDTABLE_ENTRIES_MAX];
	static uint8_t out[FMT_SHARDTABLE_HEAD_BYTES +
		FMT_SHARDTABLE_ENTRIES_MAX * FMT_SHARDTABLE_ENTRY_BYTES];
	uint32_t count = 0;
	size_t len = 0;

	if (fmt_shardtable_check(slk_span(data, size), &count) != SLK_OK)
		return 0;
	for (uint32_t i = 0; i < count; i++)
		shards[i] = fmt_shardtable_entry(slk_span(data, size), i);
	if (fmt_shardtable_encode(shards, count, out, sizeof(out), &len) != SLK_OK || len != size ||
		memcmp(out, data, len) != 0)
		abort();
	return 0;
}
