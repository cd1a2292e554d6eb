/* Runs a check through every code path of every engine that this CPU can run. */
#ifndef TESTS_SEAL_EVERY_ENGINE_H
#define TESTS_SEAL_EVERY_ENGINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "slk_test.h"
#include "seal/engine.h"

#define PATHS_MAX 8u

struct paths {
	struct seal_thread *thread[PATHS_MAX];
	unsigned count;
};

static inline void
paths_new(struct paths *p)
{
	struct slk_error err = {0};

	p->count = 0;
	for (unsigned i = 0; seal_engine_path(i) != NULL; i++) {
		assert_true(p->count < PATHS_MAX);
		int rc = seal_thread_new_engine(seal_engine_path(i), &p->thread[p->count], &err);
		if (rc == SLK_UNSUPPORTED) {
			print_message("left out: %s\n", err.text);
			continue;
		}
		assert_ok(rc);
		p->count++;
	}
	assert_true(p->count >= 1);
}

static inline void
paths_free(struct paths *p)
{
	for (unsigned i = 0; i < p->count; i++)
		seal_thread_free(p->thread[i]);
}

/* A small generator of test data: SplitMix64. */
static inline uint64_t
next_random(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static inline void
fill_random(uint64_t *seed, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = next_random(seed);
		memcpy(p + i, &v, len - i < 8 ? len - i : 8);
	}
}

/* Cut len bytes at random places into 2..max pieces, empty ones among them. Returns how many. */
static inline uint32_t
cut_random(uint64_t *seed, uint8_t *base, size_t len, struct iovec *pieces, uint32_t max)
{
	uint32_t count = 2 + (uint32_t)(next_random(seed) % (max - 1));
	size_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		size_t left = len - at;
		size_t take = i == count - 1 ? left : next_random(seed) % (left + 1);
		if (i < count - 1 && next_random(seed) % 8 == 0)
			take = 0;
		pieces[i] = (struct iovec){base + at, take};
		at += take;
	}
	return count;
}

#endif
