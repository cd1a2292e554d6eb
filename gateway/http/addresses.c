#include "http/addresses.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/secret.h"

#define BUCKETS_COUNT 4096u

struct seen {
	LIST_ENTRY(seen) entry;
	struct http_address address;
	unsigned count;
};

struct http_addresses {
	pthread_mutex_t lock;
	unsigned max_count;
	uint64_t salt; /* clients choose their addresses, not their buckets */
	LIST_HEAD(, seen) buckets[BUCKETS_COUNT];
};

int
http_addresses_new(unsigned max_count, struct http_addresses **out_addresses)
{
	struct http_addresses *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return SLK_NO_MEMORY;
	int rc = slk_random(&a->salt, sizeof(a->salt));
	if (rc != SLK_OK) {
		free(a);
		return rc;
	}
	pthread_mutex_init(&a->lock, NULL);
	a->max_count = max_count;
	*out_addresses = a;
	return SLK_OK;
}

void
http_addresses_free(struct http_addresses *a)
{
	if (a == NULL)
		return;
	for (unsigned i = 0; i < BUCKETS_COUNT; i++) {
		while (!LIST_EMPTY(&a->buckets[i])) {
			struct seen *seen = LIST_FIRST(&a->buckets[i]);
			LIST_REMOVE(seen, entry);
			free(seen);
		}
	}
	pthread_mutex_destroy(&a->lock);
	free(a);
}

static unsigned
bucket_of(const struct http_addresses *a, const struct http_address *address)
{
	uint64_t halves[2];

	memcpy(halves, address->bytes, sizeof(halves));
	uint64_t z = (halves[0] ^ a->salt) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 31) ^ halves[1]) * 0x94d049bb133111ebull;
	return (unsigned)((z ^ (z >> 32)) % BUCKETS_COUNT);
}

static struct seen *
find(struct http_addresses *a, unsigned bucket, const struct http_address *address)
{
	struct seen *seen;

	LIST_FOREACH(seen, &a->buckets[bucket], entry)
	{
		if (memcmp(seen->address.bytes, address->bytes, sizeof(address->bytes)) == 0)
			return seen;
	}
	return NULL;
}

static int
add_locked(struct http_addresses *a, const struct http_address *address)
{
	unsigned bucket = bucket_of(a, address);
	struct seen *seen = find(a, bucket, address);

	if (seen == NULL) {
		seen = calloc(1, sizeof(*seen));
		if (seen == NULL)
			return SLK_NO_MEMORY;
		seen->address = *address;
		LIST_INSERT_HEAD(&a->buckets[bucket], seen, entry);
	}
	if (seen->count >= a->max_count)
		return SLK_LIMIT;
	seen->count++;
	return SLK_OK;
}

int
http_addresses_add(struct http_addresses *a, const struct http_address *address)
{
	if (!address->is_set)
		return SLK_OK;
	pthread_mutex_lock(&a->lock);
	int rc = add_locked(a, address);
	pthread_mutex_unlock(&a->lock);
	return rc;
}

void
http_addresses_remove(struct http_addresses *a, const struct http_address *address)
{
	if (!address->is_set)
		return;
	pthread_mutex_lock(&a->lock);
	struct seen *seen = find(a, bucket_of(a, address), address);
	if (seen != NULL && --seen->count == 0) {
		LIST_REMOVE(seen, entry);
		free(seen);
	}
	pthread_mutex_unlock(&a->lock);
}
