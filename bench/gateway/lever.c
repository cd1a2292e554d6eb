/* Linked into the daemons of a bench with --wrap: lever.h. */
#include "gateway/lever.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "dataplane/copying.h"

static const struct lever *lever;

/* Before the daemon confines itself. */
__attribute__((constructor)) static void
find_lever(void)
{
	const char *path = getenv(LEVER_VARIABLE);
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *page =
		fd >= 0 ? mmap(NULL, sizeof(*lever), PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

	if (page == MAP_FAILED) {
		fprintf(stderr, "bench: " LEVER_VARIABLE " names no page\n");
		_exit(126);
	}
	close(fd);
	lever = page;
	copying_follow(&lever->copying);
}

/* NOLINTBEGIN(bugprone-reserved-identifier): the linker's names */
int __wrap_seal_thread_new(
	const char *engine, struct seal_thread **out_thread, struct slk_error *err);

int
__wrap_seal_thread_new(const char *engine, struct seal_thread **out_thread, struct slk_error *err)
{
	(void)engine;
	return copying_thread_new(out_thread, err);
}

#ifdef LEVER_PRODUCER
#include "sealock/producer.h"

#define DROPPED_MAX 16384u

/* Records that were dropped and have no completion yet; a producer belongs to a thread. */
static _Thread_local struct {
	struct sealock_completion at[DROPPED_MAX];
	size_t first, count;
	uint64_t sequence;
} dropped;

int __real_sealock_producer_put(struct sealock_producer *producer, const struct sealock_put *put);
int __wrap_sealock_producer_put(struct sealock_producer *producer, const struct sealock_put *put);
int __real_sealock_producer_poll(struct sealock_producer *producer, struct sealock_completion *out,
	size_t cap, size_t *out_count);
int __wrap_sealock_producer_poll(struct sealock_producer *producer, struct sealock_completion *out,
	size_t cap, size_t *out_count);
int __real_sealock_producer_arm(struct sealock_producer *producer);
int __wrap_sealock_producer_arm(struct sealock_producer *producer);

int
__wrap_sealock_producer_put(struct sealock_producer *producer, const struct sealock_put *put)
{
	if (!__atomic_load_n(&lever->dropping, __ATOMIC_RELAXED))
		return __real_sealock_producer_put(producer, put);
	if (dropped.count == DROPPED_MAX)
		return SLK_AGAIN;
	dropped.at[(dropped.first + dropped.count++) % DROPPED_MAX] =
		(struct sealock_completion){.tag = put->tag,
			.sequence = dropped.sequence++,
			.arrival_ns = slk_wall_ns(slk_clock_system()),
			.encryption = SEALOCK_ENCRYPTION_KMS};
	return SLK_OK;
}

int
__wrap_sealock_producer_poll(struct sealock_producer *producer, struct sealock_completion *out,
	size_t cap, size_t *out_count)
{
	if (dropped.count == 0)
		return __real_sealock_producer_poll(producer, out, cap, out_count);
	size_t n = 0;
	for (; n < cap && dropped.count > 0; n++, dropped.count--) {
		out[n] = dropped.at[dropped.first];
		dropped.first = (dropped.first + 1) % DROPPED_MAX;
	}
	*out_count = n;
	return SLK_OK;
}

int
__wrap_sealock_producer_arm(struct sealock_producer *producer)
{
	return dropped.count > 0 ? SLK_AGAIN : __real_sealock_producer_arm(producer);
}
#endif
/* NOLINTEND(bugprone-reserved-identifier) */
