#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t
clock_read_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for the two ids below */
	return (uint64_t)ts.tv_sec * SLK_NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t
system_mono_ns(void *ctx)
{
	(void)ctx;
	return clock_read_ns(CLOCK_MONOTONIC);
}

static uint64_t
system_wall_ns(void *ctx)
{
	(void)ctx;
	return clock_read_ns(CLOCK_REALTIME);
}

const struct slk_clock *
slk_clock_system(void)
{
	static const struct slk_clock system_clock = {system_mono_ns, system_wall_ns, NULL};

	return &system_clock;
}
