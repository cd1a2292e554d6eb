#include "stream.h"

#include <stdlib.h>

void
dp_stream_free(struct dp_stream *stream)
{
	if (stream == NULL)
		return;
	for (uint32_t i = 0; i < stream->feed_count; i++)
		dp_partition_free(stream->feeds[i].partition);
	dp_partition_free(stream->by_key);
	fmt_context_free(stream->context);
	free(stream->feeds);
	free(stream->shards);
	free(stream);
}
