#include "audit_syslog.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TAG "<86>sealock-kmsd: "
#define SEND_BUFFER_BYTES (1 << 20) /* a wish: room for the largest line */

struct kms_audit_syslog {
	int fd;
	struct sockaddr_un to;
};

int
kms_audit_syslog_new(
	const char *socket_path, struct kms_audit_syslog **out_syslog, struct slk_error *err)
{
	struct kms_audit_syslog *s = calloc(1, sizeof(*s));
	int bytes = SEND_BUFFER_BYTES;

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	s->to.sun_family = AF_UNIX;
	if (strlen(socket_path) >= sizeof(s->to.sun_path)) {
		free(s);
		return slk_fail(err, SLK_CONFIG, "the socket's path %s is too long", socket_path);
	}
	(void)strcpy(s->to.sun_path, socket_path);
	s->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0) {
		free(s);
		return slk_fail_errno(err, "cannot make a socket for %s", socket_path);
	}
	(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	*out_syslog = s;
	return SLK_OK;
}

void
kms_audit_syslog_free(struct kms_audit_syslog *syslog)
{
	if (syslog == NULL)
		return;
	close(syslog->fd);
	free(syslog);
}

static int
send_line(struct kms_audit_syslog *s, struct slk_span line)
{
	struct iovec parts[] = {
		{(void *)(uintptr_t)TAG, sizeof(TAG) - 1}, {(void *)(uintptr_t)line.ptr, line.len}};
	const struct msghdr message = {.msg_name = &s->to,
		.msg_namelen = sizeof(s->to),
		.msg_iov = parts,
		.msg_iovlen = 2};
	ssize_t n;

	do {
		n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n >= 0)
		return SLK_OK;
	return errno == ENOBUFS ? SLK_AGAIN : slk_status_from_errno(errno);
}

static int
syslog_take(void *ctx, struct slk_span lines, const struct fmt_audit_point *before,
	size_t *out_taken, struct slk_error *err)
{
	struct kms_audit_syslog *s = ctx;
	size_t at = 0;

	(void)before;
	*out_taken = 0;
	while (at < lines.len) {
		const uint8_t *end = memchr(lines.ptr + at, '\n', lines.len - at);
		size_t len = (size_t)(end - lines.ptr) - at;
		int rc = send_line(s, slk_span(lines.ptr + at, len));
		if (rc == SLK_AGAIN)
			return SLK_OK;
		if (rc != SLK_OK)
			return slk_fail(err, SLK_UNAVAILABLE,
				"the system's log at %s takes no lines: %s", s->to.sun_path,
				slk_status_sentence(rc));
		at += len + 1;
		*out_taken = at;
	}
	return SLK_OK;
}

static int
syslog_poll(void *ctx, uint64_t wait_ns, struct slk_error *err)
{
	(void)ctx;
	(void)wait_ns;
	(void)err;
	return SLK_OK;
}

struct kms_sink
kms_audit_syslog_sink(struct kms_audit_syslog *syslog)
{
	return (struct kms_sink){syslog_take, syslog_poll, syslog};
}
