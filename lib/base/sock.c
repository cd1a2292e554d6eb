#include "base/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

static int
posix_send(void *ctx, int fd, const void *msg, size_t len)
{
	(void)ctx;
	ssize_t n;
	do {
		n = send(fd, msg, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOBUFS ? SLK_AGAIN : slk_status_from_errno(errno);
	return (size_t)n == len ? SLK_OK : SLK_IO; /* SEQPACKET sends whole messages or none */
}

/* Close every descriptor that came along: nobody here asked for any. */
static int
close_descriptors(struct msghdr *msg)
{
	int closed = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			close(fd);
			closed++;
		}
	}
	return closed;
}

static int
posix_recv(void *ctx, int fd, void *buf, size_t cap, size_t *out_len)
{
	(void)ctx;
	union {
		char room[CMSG_SPACE(sizeof(int) * 8)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buf, cap};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control)};
	ssize_t n;
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return slk_status_from_errno(errno);
	int descriptors = close_descriptors(&msg);
	if (descriptors > 0 || (msg.msg_flags & MSG_CTRUNC) != 0)
		return SLK_MALFORMED;
	if ((msg.msg_flags & MSG_TRUNC) != 0)
		return SLK_TOO_LARGE;
	if (n == 0)
		return SLK_CLOSED;
	*out_len = (size_t)n;
	return SLK_OK;
}

int
slk_sock_send_fd(int fd, const void *msg, size_t len, int carried)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.room = {0}};
	struct iovec iov = {(void *)(uintptr_t)msg, len};
	struct msghdr out = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control.room)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&out);
	ssize_t n;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &carried, sizeof(carried));
	do {
		n = sendmsg(fd, &out, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOBUFS ? SLK_AGAIN : slk_status_from_errno(errno);
	return SLK_OK;
}

int
slk_sock_recv_fd(int fd, void *buf, size_t cap, size_t *out_len, int *out_carried)
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 8)];
		struct cmsghdr align;
	} control;
	struct iovec iov = {buf, cap};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control)};
	ssize_t n;

	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return slk_status_from_errno(errno);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	bool one = c != NULL && CMSG_NXTHDR(&msg, c) == NULL && c->cmsg_level == SOL_SOCKET &&
		c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int));
	if ((msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0 || n == 0 || (c != NULL && !one)) {
		(void)close_descriptors(&msg);
		return n == 0                              ? SLK_CLOSED
			: (msg.msg_flags & MSG_TRUNC) != 0 ? SLK_TOO_LARGE
							   : SLK_MALFORMED;
	}
	*out_carried = -1;
	if (one)
		memcpy(out_carried, CMSG_DATA(c), sizeof(*out_carried));
	*out_len = (size_t)n;
	return SLK_OK;
}

static int
posix_wait_readable(void *ctx, int fd, uint64_t mono_deadline_ns)
{
	(void)ctx;
	for (;;) {
		struct timespec left;
		struct timespec *timeout = NULL;
		if (mono_deadline_ns != 0) {
			uint64_t now = slk_mono_ns(slk_clock_system());
			uint64_t ns = now < mono_deadline_ns ? mono_deadline_ns - now : 0;
			left.tv_sec = (time_t)(ns / SLK_NS_PER_S);
			left.tv_nsec = (long)(ns % SLK_NS_PER_S);
			timeout = &left;
		}
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int n = ppoll(&p, 1, timeout, NULL);
		if (n > 0)
			return SLK_OK;
		if (n == 0)
			return SLK_TIMEOUT;
		if (errno != EINTR)
			return slk_status_from_errno(errno);
	}
}

const struct slk_sock_ops *
slk_sock_posix(void)
{
	static const struct slk_sock_ops posix_ops = {
		.send = posix_send, .recv = posix_recv, .wait_readable = posix_wait_readable};

	return &posix_ops;
}

static int
status_of(const struct mmsghdr *m)
{
	/* Without room for them the kernel gives no descriptors, and says so. */
	if ((m->msg_hdr.msg_flags & MSG_CTRUNC) != 0)
		return SLK_MALFORMED;
	if ((m->msg_hdr.msg_flags & MSG_TRUNC) != 0)
		return SLK_TOO_LARGE;
	return m->msg_len == 0 ? SLK_CLOSED : SLK_OK;
}

int
slk_sock_recv_many(int fd, struct slk_sock_in *in, unsigned count, bool wait, unsigned *out_count)
{
	struct mmsghdr messages[SLK_SOCK_MANY_MAX];
	struct iovec iov[SLK_SOCK_MANY_MAX];
	int n;

	if (count > SLK_SOCK_MANY_MAX)
		count = SLK_SOCK_MANY_MAX;
	for (unsigned i = 0; i < count; i++) {
		iov[i] = (struct iovec){in[i].bytes, in[i].cap};
		messages[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	do {
		n = recvmmsg(fd, messages, count, wait ? MSG_WAITFORONE : MSG_DONTWAIT, NULL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return slk_status_from_errno(errno);
	for (int i = 0; i < n; i++) {
		in[i].status = status_of(&messages[i]);
		in[i].len = messages[i].msg_len;
	}
	*out_count = (unsigned)n;
	return SLK_OK;
}

static int
send_some(int fd, const struct slk_span *messages, unsigned count, int flags, unsigned *inout_sent)
{
	struct mmsghdr out[SLK_SOCK_MANY_MAX];
	struct iovec iov[SLK_SOCK_MANY_MAX];
	int n;

	for (unsigned i = 0; i < count; i++) {
		iov[i] = (struct iovec){(void *)(uintptr_t)messages[i].ptr, messages[i].len};
		out[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	do {
		n = sendmmsg(fd, out, count, flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ENOBUFS ? SLK_AGAIN : slk_status_from_errno(errno);
	*inout_sent += (unsigned)n;
	return SLK_OK;
}

int
slk_sock_send_many(
	int fd, const struct slk_span *messages, unsigned count, bool wait, unsigned *out_sent)
{
	int rc = SLK_OK;

	*out_sent = 0;
	while (rc == SLK_OK && *out_sent < count) {
		unsigned left = count - *out_sent;
		rc = send_some(fd, messages + *out_sent,
			left < SLK_SOCK_MANY_MAX ? left : SLK_SOCK_MANY_MAX,
			MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT), out_sent);
	}
	return rc;
}

static int
address(const char *path, struct sockaddr_un *out, struct slk_error *err)
{
	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(out->sun_path))
		return slk_fail(err, SLK_TOO_LARGE, "socket path %s is longer than %zu bytes", path,
			sizeof(out->sun_path) - 1);
	strcpy(out->sun_path, path);
	return SLK_OK;
}

static int
remove_stale(const char *path, int type, const struct sockaddr_un *addr, struct slk_error *err)
{
	struct stat st;

	if (lstat(path, &st) != 0)
		return errno == ENOENT ? SLK_OK
				       : slk_fail_errno(err, "cannot look at socket %s", path);
	if (!S_ISSOCK(st.st_mode))
		return slk_fail(err, SLK_EXISTS, "%s is there and is not a socket", path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a socket");
	int rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	int saved = errno;
	close(fd);
	if (rc == 0)
		return slk_fail(err, SLK_EXISTS, "another process already listens on %s", path);
	errno = saved;
	if (saved != ECONNREFUSED)
		return slk_fail_errno(err, "cannot tell whether socket %s is in use", path);
	if (unlink(path) != 0)
		return slk_fail_errno(err, "cannot remove the stale socket %s", path);
	return SLK_OK;
}

static int
listen_at(const char *path, int type, unsigned mode, int *out_fd, struct slk_error *err)
{
	struct sockaddr_un addr;
	int rc = address(path, &addr, err);
	if (rc != SLK_OK)
		return rc;
	rc = remove_stale(path, type, &addr, err);
	if (rc != SLK_OK)
		return rc;

	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a socket");
	/* The mode is set before listen(), so that nobody can connect through a wider one. */
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0)
		rc = slk_fail_errno(err, "cannot bind %s", path);
	else if (chmod(path, mode) != 0)
		rc = slk_fail_errno(err, "cannot set the mode of %s", path);
	else if (listen(fd, 128) != 0)
		rc = slk_fail_errno(err, "cannot listen on %s", path);
	if (rc != SLK_OK) {
		close(fd);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}

int
slk_sock_listen(const char *path, unsigned mode, int *out_fd, struct slk_error *err)
{
	return listen_at(path, SOCK_SEQPACKET, mode, out_fd, err);
}

int
slk_sock_listen_stream(const char *path, unsigned mode, int *out_fd, struct slk_error *err)
{
	return listen_at(path, SOCK_STREAM, mode, out_fd, err);
}

int
slk_sock_accept(int listen_fd, int *out_fd, struct slk_peer *out_peer)
{
	int fd;
	do {
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
	if (fd < 0)
		return slk_status_from_errno(errno);
	struct ucred cred;
	socklen_t len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
		int rc = slk_status_from_errno(errno);
		close(fd);
		return rc;
	}
	*out_peer = (struct slk_peer){cred.uid, cred.gid, cred.pid};
	*out_fd = fd;
	return SLK_OK;
}

/* Signals neither fail it nor give it more time. */
static int
connect_by(int fd, const struct sockaddr_un *addr, unsigned timeout_ms)
{
	uint64_t now_ns = slk_mono_ns(slk_clock_system());
	uint64_t end_ns = now_ns + timeout_ms * SLK_NS_PER_MS;

	do {
		const uint64_t left_us = (end_ns - now_ns) / 1000 + 1;
		const struct timeval left = {
			(time_t)(left_us / 1000000), (long)(left_us % 1000000)};
		if (timeout_ms != 0 &&
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) != 0)
			return errno;
		if (connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) == 0)
			return 0;
		if (errno != EINTR)
			return errno;
		now_ns = slk_mono_ns(slk_clock_system());
	} while (timeout_ms == 0 || now_ns < end_ns);
	return EAGAIN;
}

static int
connect_kind(int kind, const char *path, unsigned timeout_ms, int *out_fd, struct slk_error *err)
{
	const struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	struct sockaddr_un addr;
	int rc = address(path, &addr, err);
	if (rc != SLK_OK)
		return rc;
	int fd = socket(AF_UNIX, kind | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a socket");
	int error = connect_by(fd, &addr, timeout_ms);
	if (error == 0 && timeout_ms != 0 &&
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0)
		error = errno;
	if (error != 0) {
		close(fd);
		if (error == EAGAIN)
			return slk_fail(err, SLK_TIMEOUT,
				"nobody took a connection to %s within %u ms", path, timeout_ms);
		errno = error;
		return slk_fail_errno(err, "cannot connect to %s", path);
	}
	*out_fd = fd;
	return SLK_OK;
}

int
slk_sock_connect_within(const char *path, unsigned timeout_ms, int *out_fd, struct slk_error *err)
{
	return connect_kind(SOCK_SEQPACKET, path, timeout_ms, out_fd, err);
}

int
slk_sock_connect_stream(const char *path, unsigned timeout_ms, int *out_fd, struct slk_error *err)
{
	return connect_kind(SOCK_STREAM, path, timeout_ms, out_fd, err);
}

int
slk_sock_connect(const char *path, int *out_fd, struct slk_error *err)
{
	return slk_sock_connect_within(path, 0, out_fd, err);
}
