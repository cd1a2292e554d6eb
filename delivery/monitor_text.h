/* The texts of monitor.h. Thread: any. */
#ifndef DELIVERY_MONITOR_TEXT_H
#define DELIVERY_MONITOR_TEXT_H

#include "buffer.h"
#include "service.h"

struct dlv_sources {
	struct dlv_service *service;
	const struct dlv_pool *pool;
	uint64_t memory_max_bytes;
	const char *version;
	uint64_t uptime_ns;
};
/* Malloc'd. SLK_NO_MEMORY. */
MUST_USE int dlv_text_metrics(const struct dlv_sources *sources, char **out_text, size_t *out_len);
MUST_USE int dlv_text_status(const struct dlv_sources *sources, char **out_text, size_t *out_len);

#endif
