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
dp_routes_fini(struct dp_routes *routes)
{
	dp_feeds_free(routes->feeds, routes->feed_count);
	free(routes->shards);
	free(routes->starts);
	*routes = (struct dp_routes){0};
}

void
dp_change_free(struct dp_change *change)
{
	if (change == NULL)
		return;
	dp_routes_fini(&change->routes);
	free(change->moved_to);
	free(change->pending);
	free(change);
}

void
dp_stream_free(struct dp_stream *stream)
{
	if (stream == NULL)
		return;
	dp_routes_fini(&stream->routes);
	fmt_context_free(stream->context);
	free(stream);
}
