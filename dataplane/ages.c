#include "ages.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"

#define HOUR_NS (3600 * SLK_NS_PER_S)

struct age {
	uint64_t stream_id;
	uint64_t age_ns;
};

struct list {
	struct age *ages;
	size_t count, cap;
};

struct dp_ages {
	uint64_t most_ns;
	pthread_mutex_t lock; /* of now */
	struct list now; /* by stream id */
	struct list next; /* the control thread's */
	bool failed; /* of the next one */
};

int
dp_ages_new(uint64_t most_ns, struct dp_ages **out_ages)
{
	struct dp_ages *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return SLK_NO_MEMORY;
	a->most_ns = most_ns;
	pthread_mutex_init(&a->lock, NULL);
	*out_ages = a;
	return SLK_OK;
}

void
dp_ages_free(struct dp_ages *a)
{
	if (a == NULL)
		return;
	free(a->now.ages);
	free(a->next.ages);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

void
dp_ages_begin(struct dp_ages *a)
{
	a->next.count = 0;
	a->failed = false;
}

void
dp_ages_add(struct dp_ages *a, uint64_t stream_id, uint32_t hours)
{
	struct list *l = &a->next;

	if (l->count == l->cap) {
		size_t cap = l->cap != 0 ? 2 * l->cap : 64;
		struct age *more = realloc(l->ages, cap * sizeof(*more));
		if (more == NULL) {
			a->failed = true;
			return;
		}
		l->ages = more;
		l->cap = cap;
	}
	l->ages[l->count++] = (struct age){stream_id, hours * HOUR_NS};
}

static int
by_stream(const void *a, const void *b)
{
	uint64_t x = ((const struct age *)a)->stream_id, y = ((const struct age *)b)->stream_id;

	return x < y ? -1 : x > y;
}

void
dp_ages_end(struct dp_ages *a)
{
	if (a->failed)
		return;
	if (a->next.count > 1)
		qsort(a->next.ages, a->next.count, sizeof(*a->next.ages), by_stream);
	pthread_mutex_lock(&a->lock);
	struct list before = a->now;
	a->now = a->next;
	a->next = before;
	pthread_mutex_unlock(&a->lock);
}

static uint64_t
longest(const struct list *l)
{
	uint64_t most = 0;

	for (size_t i = 0; i < l->count; i++)
		most = l->ages[i].age_ns > most ? l->ages[i].age_ns : most;
	return most;
}

uint64_t
dp_ages_of(void *arg, uint64_t stream_id)
{
	struct dp_ages *a = arg;
	const struct age key = {.stream_id = stream_id};
	const struct age *found = NULL;

	pthread_mutex_lock(&a->lock);
	if (a->now.count > 0)
		found = bsearch(&key, a->now.ages, a->now.count, sizeof(key), by_stream);
	uint64_t age = found != NULL ? found->age_ns : longest(&a->now);
	pthread_mutex_unlock(&a->lock);
	if (age == 0 || (a->most_ns != 0 && a->most_ns < age))
		return a->most_ns;
	return age;
}
