#include "aws/throughput.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"

#define BUCKETS 1024u /* a power of two */
#define STRIPES 16u

enum { WRITE_BYTES, WRITE_RECORDS, READ_BYTES, READ_CALLS, KINDS };

static const double shard_rates[KINDS] = {
	GW_SHARD_WRITE_BYTES, GW_SHARD_WRITE_RECORDS, GW_SHARD_READ_BYTES, GW_SHARD_READ_CALLS};
/* Calls of a delivery stream are counted where a shard's reads are; it is not read. */
static const double delivery_rates[KINDS] = {
	GW_DELIVERY_BYTES, GW_DELIVERY_RECORDS, GW_DELIVERY_BYTES, GW_DELIVERY_CALLS};
#define DELIVERY UINT32_MAX /* in place of a shard's number */

struct shard {
	struct shard *next;
	uint64_t stream_id, looked_ns;
	uint32_t number; /* DELIVERY: stream_id is a delivery stream's */
	const double *per_s;
	double left[KINDS]; /* below zero: owed */
};

struct gw_throughput {
	pthread_mutex_t locks[STRIPES];
	struct shard *buckets[BUCKETS];
};

int
gw_throughput_new(struct gw_throughput **out)
{
	struct gw_throughput *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return SLK_NO_MEMORY;
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_init(&t->locks[i], NULL);
	*out = t;
	return SLK_OK;
}

void
gw_throughput_free(struct gw_throughput *t)
{
	if (t == NULL)
		return;
	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct shard *s = t->buckets[i], *next; s != NULL; s = next) {
			next = s->next;
			free(s);
		}
	for (unsigned i = 0; i < STRIPES; i++)
		pthread_mutex_destroy(&t->locks[i]);
	free(t);
}

static unsigned
bucket_of(uint64_t stream_id, uint32_t number)
{
	uint64_t h = (stream_id * 0x9e3779b97f4a7c15ull) ^ (number * 0xbf58476d1ce4e5b9ull);

	return (unsigned)(h >> 32) & (BUCKETS - 1);
}

/* Loops of several threads are not equally far: time that runs backwards gives nothing. true: it is as if it had never been used. */
static bool
refill(struct shard *s, uint64_t now_ns)
{
	double passed_s =
		now_ns > s->looked_ns ? (double)(now_ns - s->looked_ns) / (double)SLK_NS_PER_S : 0;
	bool full = true;

	for (unsigned k = 0; k < KINDS; k++) {
		s->left[k] += passed_s * s->per_s[k];
		if (s->left[k] > s->per_s[k])
			s->left[k] = s->per_s[k];
		full &= s->left[k] == s->per_s[k];
	}
	if (now_ns > s->looked_ns)
		s->looked_ns = now_ns;
	return full;
}

/* The shard, refilled; others of its bucket that are full are forgotten on the way. NULL without memory. */
static struct shard *
find(struct gw_throughput *t, uint64_t stream_id, uint32_t number, uint64_t now_ns)
{
	struct shard **at = &t->buckets[bucket_of(stream_id, number)], *found = NULL;

	while (*at != NULL) {
		struct shard *s = *at;
		bool full = refill(s, now_ns);
		if (s->stream_id == stream_id && s->number == number)
			found = s;
		if (full && s != found) {
			*at = s->next;
			free(s);
		} else {
			at = &s->next;
		}
	}
	if (found != NULL)
		return found;
	found = malloc(sizeof(*found));
	if (found == NULL)
		return NULL;
	*found = (struct shard){.stream_id = stream_id,
		.number = number,
		.looked_ns = now_ns,
		.per_s = number == DELIVERY ? delivery_rates : shard_rates};
	for (unsigned k = 0; k < KINDS; k++)
		found->left[k] = found->per_s[k];
	*at = found;
	return found;
}

static pthread_mutex_t *
lock_of(struct gw_throughput *t, uint64_t stream_id, uint32_t number)
{
	return &t->locks[bucket_of(stream_id, number) % STRIPES];
}

bool
gw_throughput_write(
	struct gw_throughput *t, uint64_t stream_id, uint32_t shard, size_t bytes, uint64_t now_ns)
{
	pthread_mutex_t *lock = lock_of(t, stream_id, shard);

	pthread_mutex_lock(lock);
	struct shard *s = find(t, stream_id, shard, now_ns);
	bool ok =
		s == NULL || (s->left[WRITE_RECORDS] >= 1 && s->left[WRITE_BYTES] >= (double)bytes);
	if (ok && s != NULL) {
		s->left[WRITE_RECORDS] -= 1;
		s->left[WRITE_BYTES] -= (double)bytes;
	}
	pthread_mutex_unlock(lock);
	return ok;
}

bool
gw_throughput_read(struct gw_throughput *t, uint64_t stream_id, uint32_t shard, uint64_t now_ns)
{
	pthread_mutex_t *lock = lock_of(t, stream_id, shard);

	pthread_mutex_lock(lock);
	struct shard *s = find(t, stream_id, shard, now_ns);
	bool ok = s == NULL || (s->left[READ_CALLS] >= 1 && s->left[READ_BYTES] > 0);
	if (ok && s != NULL)
		s->left[READ_CALLS] -= 1;
	pthread_mutex_unlock(lock);
	return ok;
}

void
gw_throughput_was_read(
	struct gw_throughput *t, uint64_t stream_id, uint32_t shard, size_t bytes, uint64_t now_ns)
{
	pthread_mutex_t *lock = lock_of(t, stream_id, shard);

	pthread_mutex_lock(lock);
	struct shard *s = find(t, stream_id, shard, now_ns);
	if (s != NULL)
		s->left[READ_BYTES] -= (double)bytes;
	pthread_mutex_unlock(lock);
}

bool
gw_throughput_call(struct gw_throughput *t, uint64_t delivery_id, uint64_t now_ns)
{
	return gw_throughput_read(t, delivery_id, DELIVERY, now_ns);
}

bool
gw_throughput_put(struct gw_throughput *t, uint64_t delivery_id, size_t bytes, uint64_t now_ns)
{
	return gw_throughput_write(t, delivery_id, DELIVERY, bytes, now_ns);
}
