/* Connections of kmsd's local RPC: accept, receive whole requests within limits, send answers.
 *
 * Limits: connections in all and per uid, requests in progress per connection (it is not read from
 * beyond that) and per uid (refused as throttled). A frame that kmsclient/wire.h refuses, or that
 * carries descriptors, ends its connection; other connections do not notice. An answer that the
 * peer does not take is kept until it does; a peer that does not read its answers gets no new
 * requests read. No message names its sender: the peer is what the kernel said at accept.
 *
 * Thread: one, the front's loop.
 */
#ifndef KMS_HSM_RPC_H
#define KMS_HSM_RPC_H

#include "base/secret.h"
#include "base/sock.h"
#include "kmsclient/wire.h"

#define KMS_RPC_CONNECTIONS_MAX 512u
#define KMS_RPC_CONNECTIONS_PER_UID 64u
#define KMS_RPC_PENDING_PER_CONNECTION 32u
#define KMS_RPC_PENDING_PER_UID 64u

struct kms_rpc;
struct kms_rpc_conn;

/* A request came. The handler must cause exactly one kms_rpc_answer() for ticket, now or later, or
 * return an error: the connection is then closed. */
typedef int (*kms_rpc_handler_fn)(
	void *arg, const struct slk_peer *peer, const Kmsp__Request *request, void *ticket);

struct kms_rpc_stats {
	uint64_t connections, accepted, refused_connections, bad_frames, throttled;
};

/* listen_fd is owned from here, also on error. accept_one: slk_sock_accept, or a test's.
 * SLK_NO_MEMORY, SLK_SYSTEM. */
MUST_USE int kms_rpc_new(int listen_fd, int (*accept_one)(int, int *, struct slk_peer *),
	kms_rpc_handler_fn handler, void *arg, struct kms_rpc **out_rpc);
/* How many requests of a uid may be in progress, in the place of KMS_RPC_PENDING_PER_UID: asked when it connects. */
void kms_rpc_set_pending(
	struct kms_rpc *rpc, unsigned (*pending_max)(void *arg, uid_t uid), void *arg);
/* Closes all connections. Tickets that are still out stay valid for kms_rpc_answer() only until
 * this. NULL allowed. */
void kms_rpc_free(struct kms_rpc *rpc);

/* An epoll descriptor that is readable when kms_rpc_poll() has something to do. */
int kms_rpc_fd(const struct kms_rpc *rpc);
/* Handle what is there; never blocks, bounded work. */
void kms_rpc_poll(struct kms_rpc *rpc);

/* The answer to the request of ticket, for the next kms_rpc_send(); frame is owned from here. NULL: close the connection.
 * Not from within the handler. */
void kms_rpc_answer(void *ticket, struct slk_secret *frame);
/* Send the answers that were given, several at once. Call it before the next kms_rpc_poll(); kms_rpc_free() does. */
void kms_rpc_send(struct kms_rpc *rpc);

struct kms_rpc_stats kms_rpc_stats(const struct kms_rpc *rpc);

#endif
