/* See failpoints.h. Linked into kmsd_failpoints only. */
#include "failpoints.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "call.h"
#include "flusher.h"
#include "hsm/link.h"

#define TICK_MS 10
#define MONITOR_HURRY \
	1000u /* its children seem to live long, so that each failure is the first one */

int __real_hsm_link_submit(struct hsm_link *, const struct hsm_request *, hsm_done_fn, void *);
int __wrap_hsm_link_submit(struct hsm_link *, const struct hsm_request *, hsm_done_fn, void *);
const struct slk_clock *__real_slk_clock_system(void);
const struct slk_clock *__wrap_slk_clock_system(void);
void __real_kms_service_tick(struct kms_service *);
void __wrap_kms_service_tick(struct kms_service *);
int __real_epoll_wait(int, struct epoll_event *, int, int);
int __wrap_epoll_wait(int, struct epoll_event *, int, int);

int __real_kms_catalog_backing_destroyed(struct kms_catalog *, const uint8_t *);
int __wrap_kms_catalog_backing_destroyed(struct kms_catalog *, const uint8_t *);

int __real_kms_catalog_backing_switch(
	struct kms_catalog *, const uint8_t *, const struct kms_check *, uint64_t);
int __wrap_kms_catalog_backing_switch(
	struct kms_catalog *, const uint8_t *, const struct kms_check *, uint64_t);
int __wrap_kms_flusher_new(struct kms_flusher **);

static struct failpoints *points; /* NULL: the monitor */
static struct kms_service *service;

__attribute__((constructor)) static void
begin(int argc, char **argv)
{
	const char *path = getenv(FAILPOINTS_ENV);

	if (argc < 2 || strcmp(argv[1], "--front") != 0)
		return;
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0)
		points = mmap(NULL, sizeof(*points), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || points == MAP_FAILED) {
		perror("failpoints");
		abort();
	}
	close(fd);
}

static void
pass(enum failpoint point)
{
	uint32_t left;

	if (points == NULL || atomic_load(&points->kind) != point)
		return;
	left = atomic_load(&points->armed);
	while (left > 0 && !atomic_compare_exchange_weak(&points->armed, &left, left - 1))
		;
	if (left != 1)
		return;
	atomic_store(&points->held, 1);
	while (atomic_load(&points->released) == 0)
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* --- the HSM --- */

struct asked {
	hsm_done_fn done;
	void *arg;
};

static void
answered(void *arg, const struct hsm_reply *reply)
{
	struct asked asked = *(struct asked *)arg;

	free(arg);
	pass(FAILPOINT_AFTER_HSM);
	asked.done(asked.arg, reply);
}

int
__wrap_hsm_link_submit(
	struct hsm_link *link, const struct hsm_request *request, hsm_done_fn done, void *arg)
{
	struct asked *asked;

	if (request->op != HSM_CREATE_KEY && request->op != HSM_DESTROY_KEY)
		return __real_hsm_link_submit(link, request, done, arg);
	pass(FAILPOINT_BEFORE_HSM);
	asked = malloc(sizeof(*asked));
	if (asked == NULL)
		return SLK_NO_MEMORY;
	*asked = (struct asked){done, arg};
	int rc = __real_hsm_link_submit(link, request, answered, asked);
	if (rc != SLK_OK)
		free(asked);
	pass(FAILPOINT_AFTER_SUBMIT);
	return rc;
}

/* --- the disk --- */

/* SQLite calls them, too. */
int
fdatasync(int fd)
{
	pass(FAILPOINT_BEFORE_FLUSH);
	int rc = (int)syscall(SYS_fdatasync, fd);
	pass(FAILPOINT_AFTER_FLUSH);
	return rc;
}

int
fsync(int fd)
{
	pass(FAILPOINT_BEFORE_FLUSH);
	int rc = (int)syscall(SYS_fsync, fd);
	pass(FAILPOINT_AFTER_FLUSH);
	return rc;
}

/* As on a kernel that has none: each flush of the audit log is one of the above. */
int
__wrap_kms_flusher_new(struct kms_flusher **out_flusher)
{
	(void)out_flusher;
	return SLK_UNSUPPORTED;
}

/* --- what a test waits for --- */

int
__wrap_kms_catalog_backing_destroyed(struct kms_catalog *catalog, const uint8_t *id)
{
	int rc = __real_kms_catalog_backing_destroyed(catalog, id);

	if (rc == SLK_OK)
		atomic_fetch_add(&points->destroyed, 1);
	return rc;
}

int
__wrap_kms_catalog_backing_switch(struct kms_catalog *catalog, const uint8_t *id,
	const struct kms_check *check, uint64_t wall_ns)
{
	int rc = __real_kms_catalog_backing_switch(catalog, id, check, wall_ns);

	if (rc == SLK_OK)
		atomic_fetch_add(&points->turned, 1);
	return rc;
}

/* --- time --- */

static uint64_t
mono_ns(void *ctx)
{
	uint64_t ns = slk_mono_ns(__real_slk_clock_system());

	(void)ctx;
	return points == NULL ? ns * MONITOR_HURRY : ns;
}

static uint64_t
wall_ns(void *ctx)
{
	uint64_t ns = slk_wall_ns(__real_slk_clock_system());

	(void)ctx;
	return points == NULL ? ns : ns + atomic_load(&points->wall_ahead_ns);
}

const struct slk_clock *
__wrap_slk_clock_system(void)
{
	static const struct slk_clock clock = {mono_ns, wall_ns, NULL};

	return &clock;
}

void
__wrap_kms_service_tick(struct kms_service *s)
{
	service = s;
	s->mono_counted_ns -= atomic_exchange(&points->uptime_ns, 0);
	__real_kms_service_tick(s);
}

static void
tick_now_and_then(void)
{
	static uint64_t last_ns;
	uint64_t now_ns = slk_mono_ns(__real_slk_clock_system());

	if (now_ns - last_ns < TICK_MS * SLK_NS_PER_MS)
		return;
	last_ns = now_ns;
	__wrap_kms_service_tick(service);
}

int
__wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
	if (points == NULL) /* what the monitor waits for comes as fast as its clock runs */
		return __real_epoll_wait(fd, events, max,
			timeout_ms > 0 ? timeout_ms / (int)MONITOR_HURRY + 1 : timeout_ms);
	if (service == NULL)
		return __real_epoll_wait(fd, events, max, timeout_ms);
	bool short_wait = timeout_ms >= 0 && timeout_ms < TICK_MS;
	int n = __real_epoll_wait(fd, events, max, short_wait ? timeout_ms : TICK_MS);
	tick_now_and_then();
	return n;
}
