/* What the kernel says about an interface, and detaching an XDP program from it; by rtnetlink and ethtool's ioctl.
 *
 * libxdp leaves its program attached when a process without root rights ends, and always after kill -9; the next start
 * then fails. A claim makes sure that no living ingestd is behind such a program: it is an abstract unix socket, so the
 * kernel forgets it with its process and keeps one per network namespace. Thread: any.
 */
#ifndef DP_IFACE_H
#define DP_IFACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/status.h"

struct dp_iface {
	unsigned index;
	uint32_t mtu;
	uint32_t rx_queues;
	uint8_t mac[6];
	bool up;
	bool xdp_attached;
};

/* SLK_NOT_FOUND with a sentence, SLK_SYSTEM. */
MUST_USE int dp_iface_get(const char *name, struct dp_iface *out_iface, struct slk_error *err);

/* Detach whatever XDP program is there, in driver and in generic mode. Needs CAP_NET_ADMIN (SLK_DENIED). */
MUST_USE int dp_iface_detach_xdp(const char *name, struct slk_error *err);

/* Claim the interface for this process. SLK_EXISTS with a sentence if another ingestd holds it. *out_fd: close it to
 * give the claim up. */
MUST_USE int dp_iface_claim(const char *name, int *out_fd, struct slk_error *err);

#endif
