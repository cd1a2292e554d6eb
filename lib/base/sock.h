/* The socket seam: SOCK_SEQPACKET unix sockets, one message per call, with peer credentials.
 *
 * kmsd's RPC, the worker's socketpair and ingestd's local port use these. Messages never carry
 * descriptors, but where two functions say so: any that arrive are closed and the message is refused (SLK_MALFORMED). Thread: one
 * sender and one receiver per descriptor.
 */
#ifndef SLK_BASE_SOCK_H
#define SLK_BASE_SOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/status.h"

struct slk_peer {
	uid_t uid;
	gid_t gid;
	pid_t pid;
};

struct slk_sock_ops {
	/* Send one message whole. SLK_AGAIN if a non-blocking socket is full, SLK_CLOSED,
	 * SLK_TOO_LARGE. */
	int (*send)(void *ctx, int fd, const void *msg, size_t len);
	/* Receive one message. SLK_AGAIN if none, SLK_CLOSED at the end, SLK_TOO_LARGE if it did
	 * not fit (it is lost), SLK_MALFORMED if it carried descriptors. */
	int (*recv)(void *ctx, int fd, void *buf, size_t cap, size_t *out_len);
	/* Wait until fd is readable or mono_deadline_ns (0 = for ever) passes: SLK_OK or
	 * SLK_TIMEOUT. */
	int (*wait_readable)(void *ctx, int fd, uint64_t mono_deadline_ns);
	void *ctx;
};

/* The real one. Static storage. */
const struct slk_sock_ops *slk_sock_posix(void);

/* Several messages by one system call, for programs that have many at hand. */
#define SLK_SOCK_MANY_MAX 32u

/* One of several that arrive. */
struct slk_sock_in {
	void *bytes; /* room for cap bytes */
	size_t cap;
	size_t len; /* set with SLK_OK */
	int status; /* SLK_OK, SLK_TOO_LARGE, SLK_MALFORMED or SLK_CLOSED, as of recv above */
};

/* Receive what is there, up to count (at most SLK_SOCK_MANY_MAX). wait: for the first one, if the socket blocks, and for no
 * other; false as if it did not block. SLK_OK: *out_count of them have a status each. SLK_AGAIN if there is none; errors of
 * the socket. */
MUST_USE int slk_sock_recv_many(
	int fd, struct slk_sock_in *in, unsigned count, bool wait, unsigned *out_count);

/* Send messages in order, each whole; *out_sent is set in any case. SLK_OK: all of them; else why the next one was not
 * sent, as of send above (SLK_AGAIN also of a blocking socket whose SO_SNDTIMEO ran out). wait: false as if the socket
 * did not block. */
MUST_USE int slk_sock_send_many(
	int fd, const struct slk_span *messages, unsigned count, bool wait, unsigned *out_sent);

/* As send and recv above, with a descriptor beside the bytes. What is sent stays the caller's; what arrives is the
 * caller's, close-on-exec, *out_carried -1 if there was none. More than one: SLK_MALFORMED, all are closed. */
MUST_USE int slk_sock_send_fd(int fd, const void *msg, size_t len, int carried);
MUST_USE int slk_sock_recv_fd(int fd, void *buf, size_t cap, size_t *out_len, int *out_carried);

/* Listen at path: close-on-exec, non-blocking, mode bits as given. A stale socket file is removed
 * only after a connect proved that nobody answers; if somebody does: SLK_EXISTS. path must fit
 * sockaddr_un (107 bytes): SLK_TOO_LARGE. */
MUST_USE int slk_sock_listen(const char *path, unsigned mode, int *out_fd, struct slk_error *err);

/* The same for a stream of bytes (SOCK_STREAM), such as HTTP. */
MUST_USE int slk_sock_listen_stream(
	const char *path, unsigned mode, int *out_fd, struct slk_error *err);

/* Accept one connection, non-blocking, with its credentials (SO_PEERCRED). SLK_AGAIN if none waits.
 */
MUST_USE int slk_sock_accept(int listen_fd, int *out_fd, struct slk_peer *out_peer);

/* Connect. SLK_UNAVAILABLE if nobody listens, SLK_NOT_FOUND if there is no socket, SLK_DENIED by
 * its mode. */
MUST_USE int slk_sock_connect(const char *path, int *out_fd, struct slk_error *err);

/* The same, and SLK_TIMEOUT if it takes longer than timeout_ms (0: no limit): a stopped peer whose backlog is full holds up
 * whoever connects. Afterwards each send has that much time, too (SO_SNDTIMEO): SLK_AGAIN. */
MUST_USE int slk_sock_connect_within(
	const char *path, unsigned timeout_ms, int *out_fd, struct slk_error *err);
/* The same for a stream of bytes: slk_sock_listen_stream(). */
MUST_USE int slk_sock_connect_stream(
	const char *path, unsigned timeout_ms, int *out_fd, struct slk_error *err);

#endif
