#include "stream.h"

#include <stdlib.h>

void
dp_feeds_free(struct dp_feed *feeds, uint32_t count)
{
	for (uint32_t i = 0; feeds != NULL && i < count; i++)
		dp_partition_free(feeds[i].partition);
	free(feeds);
}

void
dp_stream_free(struct dp_stream *stream)
{
	if (stream == NULL)
		return;
	dp_feeds_free(stream->feeds, stream->feed_count);
	fmt_context_free(stream->context);
	free(stream->shards);
	free(stream);
}
