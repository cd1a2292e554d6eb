/* The clock seam. Code that waits, expires or stamps takes a clock, so that a simulator can own the
 * time. */
#ifndef SLK_BASE_CLOCK_H
#define SLK_BASE_CLOCK_H

#include <stdint.h>

#define SLK_NS_PER_US 1000ull
#define SLK_NS_PER_MS 1000000ull
#define SLK_NS_PER_S 1000000000ull

struct slk_clock {
	uint64_t (*mono_ns)(void *ctx); /* never goes back; for intervals and deadlines */
	uint64_t (*wall_ns)(void *ctx); /* Unix time; may jump */
	void *ctx;
};

/* CLOCK_MONOTONIC and CLOCK_REALTIME. Static storage. */
const struct slk_clock *slk_clock_system(void);

static inline uint64_t
slk_mono_ns(const struct slk_clock *clock)
{
	return clock->mono_ns(clock->ctx);
}

static inline uint64_t
slk_wall_ns(const struct slk_clock *clock)
{
	return clock->wall_ns(clock->ctx);
}

#endif
