/* Log-linear histogram of unsigned values (latencies in ns or cycles): fixed size, no allocation,
 * relative error below 1/64. A value v falls into one of 64 equal buckets of its power of two.
 * Thread: one writer; readers may copy a snapshot at any time and get counts that are each whole.
 */
#ifndef SLK_BASE_HIST_H
#define SLK_BASE_HIST_H

#include <stdint.h>

#define SLK_HIST_SUB_BITS 6
#define SLK_HIST_BUCKETS ((64 - SLK_HIST_SUB_BITS + 1) << SLK_HIST_SUB_BITS)

struct slk_hist {
	uint64_t count;
	uint64_t sum;
	uint64_t min; /* UINT64_MAX while empty */
	uint64_t max;
	uint64_t buckets[SLK_HIST_BUCKETS];
};

void slk_hist_init(struct slk_hist *h);
void slk_hist_add(struct slk_hist *h, uint64_t value, uint64_t times);
void slk_hist_merge(struct slk_hist *into, const struct slk_hist *from);
/* The upper edge of the bucket that holds the q-quantile, 0 <= q <= 1, never above max; 0 while
 * empty. */
uint64_t slk_hist_quantile(const struct slk_hist *h, double q);

#endif
