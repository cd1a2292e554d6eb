#include "iface.h"

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_BYTES 16384u

struct link_request {
	struct nlmsghdr head;
	struct ifinfomsg info;
	char attributes[64];
};

/* Send one request and receive the first answer into buf. */
static int
netlink_call(const struct nlmsghdr *request, void *buf, size_t cap, size_t *out_len,
	struct slk_error *err)
{
	int rc = SLK_OK;
	ssize_t n;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		return slk_fail_errno(err, "cannot open a netlink socket");
	if (send(fd, request, request->nlmsg_len, 0) != (ssize_t)request->nlmsg_len) {
		rc = slk_fail_errno(err, "cannot send to netlink");
		goto out;
	}
	do {
		n = recv(fd, buf, cap, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		rc = slk_fail_errno(err, "cannot receive from netlink");
	else
		*out_len = (size_t)n;
out:
	close(fd);
	return rc;
}

/* The first message of an answer: SLK_OK, or the error it carries. */
static int
answer_status(const struct nlmsghdr *head, size_t len, struct slk_error *err)
{
	if (!NLMSG_OK(head, len))
		return slk_fail(err, SLK_SYSTEM, "netlink answered with a short message");
	if (head->nlmsg_type != NLMSG_ERROR)
		return SLK_OK;
	if (head->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return slk_fail(err, SLK_SYSTEM, "netlink answered with a short error");
	const struct nlmsgerr *e = NLMSG_DATA(head);
	if (e->error == 0)
		return SLK_OK;
	errno = -e->error;
	return slk_fail_errno(err, "netlink refused");
}

static void
read_xdp(const struct rtattr *nest, struct dp_iface *iface)
{
	int len = (int)RTA_PAYLOAD(nest);

	for (const struct rtattr *a = RTA_DATA(nest); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		if ((a->rta_type & NLA_TYPE_MASK) == IFLA_XDP_ATTACHED && RTA_PAYLOAD(a) >= 1)
			iface->xdp_attached = *(const uint8_t *)RTA_DATA(a) != XDP_ATTACHED_NONE;
	}
}

static void
read_link(const struct nlmsghdr *head, struct dp_iface *iface)
{
	const struct ifinfomsg *info = NLMSG_DATA(head);
	int len = (int)(head->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));

	iface->index = (unsigned)info->ifi_index;
	iface->up = (info->ifi_flags & IFF_UP) != 0;
	for (const struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		size_t size = RTA_PAYLOAD(a);
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_MTU:
			if (size >= sizeof(iface->mtu))
				memcpy(&iface->mtu, RTA_DATA(a), sizeof(iface->mtu));
			break;
		case IFLA_NUM_RX_QUEUES:
			if (size >= sizeof(iface->rx_queues))
				memcpy(&iface->rx_queues, RTA_DATA(a), sizeof(iface->rx_queues));
			break;
		case IFLA_ADDRESS:
			if (size == sizeof(iface->mac))
				memcpy(iface->mac, RTA_DATA(a), size);
			break;
		case IFLA_XDP:
			read_xdp(a, iface);
			break;
		default:
			break;
		}
	}
}

/* Netlink counts the queues that could be, ethtool those in use; the latter is better where there is one. */
static void
read_channels(const char *name, struct dp_iface *iface)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq request = {.ifr_data = (void *)&channels};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCETHTOOL, &request) == 0 &&
		channels.rx_count + channels.combined_count > 0)
		iface->rx_queues = channels.rx_count + channels.combined_count;
	close(fd);
}

static int
check_name(const char *name, struct slk_error *err)
{
	if (strlen(name) >= IFNAMSIZ)
		return slk_fail(err, SLK_CONFIG, "interface name %s is longer than %d bytes", name,
			IFNAMSIZ - 1);
	return SLK_OK;
}

int
dp_iface_get(const char *name, struct dp_iface *out_iface, struct slk_error *err)
{
	/* Netlink's messages are made of 32-bit words. */
	uint32_t answer[ANSWER_BYTES / 4];
	struct dp_iface iface = {.rx_queues = 1};
	size_t len = 0;

	int rc = check_name(name, err);
	if (rc != SLK_OK)
		return rc;
	unsigned index = if_nametoindex(name);
	if (index == 0)
		return slk_fail(err, SLK_NOT_FOUND,
			"there is no interface %s in this network namespace (ip link shows them)",
			name);
	struct link_request request = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					       .nlmsg_type = RTM_GETLINK,
					       .nlmsg_flags = NLM_F_REQUEST,
					       .nlmsg_seq = 1},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index}};
	rc = netlink_call(&request.head, answer, sizeof(answer), &len, err);
	if (rc == SLK_OK)
		rc = answer_status((const struct nlmsghdr *)answer, len, err);
	if (rc != SLK_OK)
		return err != NULL ? slk_fail_prefix(err, "cannot look at interface %s", name) : rc;
	read_link((const struct nlmsghdr *)answer, &iface);
	read_channels(name, &iface);
	*out_iface = iface;
	return SLK_OK;
}

static struct rtattr *
add_attribute(struct link_request *request, uint16_t type, const void *data, size_t len)
{
	struct rtattr *a =
		(struct rtattr *)((char *)request + NLMSG_ALIGN(request->head.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len > 0)
		memcpy(RTA_DATA(a), data, len);
	request->head.nlmsg_len =
		(uint32_t)(NLMSG_ALIGN(request->head.nlmsg_len) + RTA_ALIGN(a->rta_len));
	return a;
}

static int
detach_mode(const char *name, unsigned index, uint32_t mode, struct slk_error *err)
{
	uint32_t answer[ANSWER_BYTES / 4];
	int32_t none = -1;
	size_t len = 0;
	struct link_request request = {.head = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
					       .nlmsg_type = RTM_SETLINK,
					       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
					       .nlmsg_seq = 1},
		.info = {.ifi_family = AF_UNSPEC, .ifi_index = (int)index}};
	struct rtattr *nest = add_attribute(&request, IFLA_XDP | NLA_F_NESTED, NULL, 0);

	add_attribute(&request, IFLA_XDP_FD, &none, sizeof(none));
	add_attribute(&request, IFLA_XDP_FLAGS, &mode, sizeof(mode));
	nest->rta_len = (uint16_t)((char *)&request + request.head.nlmsg_len - (char *)nest);
	int rc = netlink_call(&request.head, answer, sizeof(answer), &len, err);
	if (rc == SLK_OK)
		rc = answer_status((const struct nlmsghdr *)answer, len, err);
	if (rc != SLK_OK && err != NULL)
		return slk_fail_prefix(err, "cannot detach the XDP program of %s", name);
	return rc;
}

int
dp_iface_detach_xdp(const char *name, struct slk_error *err)
{
	struct dp_iface iface;
	int rc = dp_iface_get(name, &iface, err);

	if (rc != SLK_OK || !iface.xdp_attached)
		return rc;
	rc = detach_mode(name, iface.index, XDP_FLAGS_DRV_MODE, err);
	/* A driver without XDP of its own refuses the mode; then the program is a generic one. */
	int generic = detach_mode(name, iface.index, XDP_FLAGS_SKB_MODE, rc == SLK_OK ? NULL : err);
	return rc == SLK_OK || generic == SLK_OK ? SLK_OK : rc;
}

int
dp_iface_claim(const char *name, int *out_fd, struct slk_error *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int rc = check_name(name, err);

	if (rc != SLK_OK)
		return rc;
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make a socket");
	int n = snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "sealock-ingestd/%s", name);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	if (bind(fd, (struct sockaddr *)&addr, len) != 0) {
		rc = errno == EADDRINUSE
			? slk_fail(err, SLK_EXISTS,
				  "another sealock-ingestd receives from interface %s", name)
			: slk_fail_errno(err, "cannot claim interface %s", name);
		close(fd);
		return rc;
	}
	*out_fd = fd;
	return SLK_OK;
}
