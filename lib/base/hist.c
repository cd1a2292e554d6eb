#include "base/hist.h"

#include <string.h>

#define SUB (1u << SLK_HIST_SUB_BITS)

static unsigned
bucket_of(uint64_t value)
{
	if (value < SUB)
		return (unsigned)value;
	unsigned msb = 63u - (unsigned)__builtin_clzll(value);
	unsigned shift = msb - SLK_HIST_SUB_BITS;
	return ((shift + 1) << SLK_HIST_SUB_BITS) + (unsigned)((value >> shift) - SUB);
}

static uint64_t
bucket_top(unsigned index)
{
	if (index < SUB)
		return index;
	unsigned shift = (index >> SLK_HIST_SUB_BITS) - 1;
	uint64_t low = (uint64_t)(SUB + (index & (SUB - 1))) << shift;
	return low + ((1ull << shift) - 1);
}

void
slk_hist_init(struct slk_hist *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

void
slk_hist_add(struct slk_hist *h, uint64_t value, uint64_t times)
{
	if (times == 0)
		return;
	h->buckets[bucket_of(value)] += times;
	h->count += times;
	h->sum += value * times;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

void
slk_hist_merge(struct slk_hist *into, const struct slk_hist *from)
{
	for (unsigned i = 0; i < SLK_HIST_BUCKETS; i++)
		into->buckets[i] += from->buckets[i];
	into->count += from->count;
	into->sum += from->sum;
	if (from->min < into->min)
		into->min = from->min;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t
slk_hist_quantile(const struct slk_hist *h, double q)
{
	if (h->count == 0)
		return 0;
	if (q <= 0.0)
		return h->min;
	double wanted = q * (double)h->count;
	uint64_t seen = 0;
	for (unsigned i = 0; i < SLK_HIST_BUCKETS; i++) {
		seen += h->buckets[i];
		if ((double)seen >= wanted) {
			uint64_t top = bucket_top(i);
			return top < h->max ? top : h->max;
		}
	}
	return h->max;
}
