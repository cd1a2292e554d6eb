#include "vmgen.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "priv.h"

#define KERNEL_GROUP 1u /* udev's daemon sends to others */
#define UEVENT_MAX 8192u
#define QUEUE_BYTES (256 * 1024)
#define TAKE_MAX 256u

bool
dp_vmgen_is_announcement(struct slk_span uevent)
{
	static const char wanted[] = "NEW_VMGENID=1";
	size_t at = 0;

	while (at < uevent.len) {
		const uint8_t *end = memchr(uevent.ptr + at, 0, uevent.len - at);
		if (end == NULL)
			return false; /* every field has its end */
		size_t len = (size_t)(end - (uevent.ptr + at));
		if (len == sizeof(wanted) - 1 && memcmp(uevent.ptr + at, wanted, len) == 0)
			return true;
		at += len + 1;
	}
	return false;
}

void
dp_vmgen_announce(struct dp_vmgen *v)
{
	atomic_fetch_add_explicit(&v->number, 1, memory_order_release);
}

unsigned
dp_vmgen_take(struct dp_vmgen *v)
{
	uint8_t message[UEVENT_MAX];
	struct sockaddr_nl from = {0};
	unsigned announced = 0;

	for (unsigned i = 0; i < TAKE_MAX; i++) {
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(v->fd, message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC,
			(struct sockaddr *)&from, &from_len);
		if (n < 0 && errno == ENOBUFS) {
			atomic_fetch_add(&v->overruns, 1);
			dp_vmgen_announce(v);
			announced++;
			continue;
		}
		if (n < 0)
			break;
		if (from_len < sizeof(from) || from.nl_pid != 0) {
			atomic_fetch_add(&v->foreign, 1);
			continue;
		}
		if ((size_t)n > sizeof(message) ||
			!dp_vmgen_is_announcement(slk_span(message, (size_t)n)))
			continue;
		dp_vmgen_announce(v);
		announced++;
	}
	return announced;
}

static void *
run(void *arg)
{
	struct dp_vmgen *v = arg;

	if (dp_priv_thread_lower() != SLK_OK)
		slk_warn("a thread keeps a capability that it does not need");
	for (;;) {
		struct pollfd p[2] = {
			{.fd = v->fd, .events = POLLIN}, {.fd = v->stop_fd, .events = POLLIN}};
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (p[1].revents != 0)
			return NULL;
		if (dp_vmgen_take(v) > 0)
			slk_warn(
				"this machine was duplicated or put back while it ran, or may have "
				"been: all epochs end, and new data keys are asked for");
	}
}

static int
open_uevents(void)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = KERNEL_GROUP};
	const int queue = QUEUE_BYTES;
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0)
		return -1;
	/* A wish: a queue that is too small is noticed when it overflows. */
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int
dp_vmgen_start(struct dp_vmgen *v, struct slk_error *err)
{
	v->stop_fd = -1;
	v->fd = open_uevents();
	if (v->fd < 0) {
		slk_warn("the kernel's uevents cannot be had: a duplication of this machine would "
			 "not be noticed",
			slk_kv("reason", strerror(errno)));
		return SLK_OK;
	}
	v->stop_fd = eventfd(0, EFD_CLOEXEC);
	if (v->stop_fd < 0) {
		int rc = slk_fail_errno(
			err, "no descriptor for the watch of this machine's generation");
		close(v->fd);
		return rc;
	}
	int rc = pthread_create(&v->thread, NULL, run, v);
	if (rc == 0) {
		v->runs = true;
		return SLK_OK;
	}
	close(v->fd);
	close(v->stop_fd);
	return slk_fail(err, SLK_SYSTEM, "no thread for the watch of this machine's generation: %s",
		strerror(rc));
}

void
dp_vmgen_stop(struct dp_vmgen *v)
{
	static const uint64_t one = 1;

	if (v->runs) {
		/* An eventfd that nobody else writes takes it. */
		if (write(v->stop_fd, &one, sizeof(one)) == sizeof(one))
			pthread_join(v->thread, NULL);
		v->runs = false;
		close(v->fd);
		close(v->stop_fd);
	}
	v->fd = v->stop_fd = -1;
}
