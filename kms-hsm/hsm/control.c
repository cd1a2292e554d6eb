#include "hsm/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
hsm_control_receive(int fd, struct hsm_control *out_control, int *out_fd)
{
	uint8_t bytes[HSM_CONTROL_BYTES + 1];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary)};
	int got = -1;

	ssize_t n;
	do {
		n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return slk_status_from_errno(errno);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
		c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&got, CMSG_DATA(c), sizeof(got));
	int rc = n == 0 ? SLK_CLOSED
			: hsm_wire_decode_control(slk_span(bytes, (size_t)n), out_control);
	if (rc == SLK_OK && (msg.msg_flags & MSG_CTRUNC) != 0)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK && (got >= 0) != (out_control->kind == HSM_CONTROL_WORKER))
		rc = SLK_MALFORMED;
	if (rc != SLK_OK && got >= 0)
		close(got);
	if (rc == SLK_OK)
		*out_fd = got;
	return rc;
}
