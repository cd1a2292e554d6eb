/* Inside of the link, for link*.c alone: calls, workers, and who gets which call. */
#ifndef KMS_HSM_HSM_LINK_STATE_H
#define KMS_HSM_HSM_LINK_STATE_H

#include <sys/queue.h>

#include "base/secret.h"
#include "hsm/link.h"

/* A worker without a token, or one that is silent, gets no call for so long if another one is there. */
#define ILL_NS (250 * SLK_NS_PER_MS)

struct peer;

struct call {
	TAILQ_ENTRY(call) entry;
	uint64_t id;
	uint64_t deadline_ns;
	enum hsm_op op;
	uint32_t worker_index; /* HSM_STATUS: who is asked */
	uint8_t key_id[HSM_KEY_ID_BYTES];
	struct peer *peer; /* SENT to; NULL: queued */
	unsigned tries;
	uint32_t refused_by; /* set of peers that said that they have no token */
	uint32_t encryptions_count; /* of answers that were thrown away or lost */
	hsm_done_fn done;
	void *arg;
	struct slk_secret *
		message; /* the encoded request, which may hold plaintext; kept for the next user */
	size_t message_len;
};
TAILQ_HEAD(call_list, call);

/* One worker. FREE (fd -1, not dying) -> LIVE (fd) -> FREE when it ended, or -> DYING when it was reported as stuck: no
 * calls any more, until the monitor says that it ended. */
struct peer {
	int fd;
	bool dying;
	bool blocked; /* its socket is full */
	uint64_t number; /* 0: none from a monitor */
	uint64_t silent_since_ns; /* 0: the worker is not suspected */
	uint64_t ill_until_ns;
	struct call_list sending; /* within hsm_link_flush() only */
	struct call_list sent;
	unsigned sent_count; /* both */
};

#define HSM_LINK_DATAGRAMS 4u /* taken at once, each with up to HSM_TOGETHER_MAX replies */

struct hsm_link {
	const struct slk_clock *clock;
	int epoll_fd;
	int timer_fd;
	int monitor_fd;
	uint64_t timer_ns; /* what timer_fd is set to, 0 if it is not */
	uint64_t
		due_ns; /* nothing has to be looked at before, 0: nothing at all; early is allowed */
	bool gathers; /* several calls are sent at once, by the next poll */
	unsigned gathered_count; /* since it was sent last */
	uint64_t next_id;
	size_t pending_count;
	unsigned next_peer; /* where the search for the least loaded one begins */
	struct call_list free, queued;
	unsigned together_max; /* requests in one datagram */
	struct slk_secret *rx[HSM_LINK_DATAGRAMS], *tx;
	struct peer peers[HSM_WORKERS_MAX];
	struct call calls[HSM_PENDING_MAX];
};

static inline bool
peer_is_live(const struct peer *p)
{
	return p->fd >= 0;
}

/* Must one worker at a time do it for a key? */
static inline bool
call_is_exclusive(const struct call *c)
{
	return c->op == HSM_CREATE_KEY || c->op == HSM_DESTROY_KEY;
}

/* Send what waits. Calls back nothing, so that hsm_link_submit() may use it; a closed socket shows up in the next poll. */
void hsm_link_flush(struct hsm_link *link);
/* Be told when the worker's socket, which is full, has room. */
void hsm_link_want_out(struct hsm_link *link, struct peer *p, bool wanted);

/* Whom to send a queued call to; NULL: nobody at the moment. */
struct peer *hsm_link_pick(struct hsm_link *link, const struct call *c);

/* Is there a worker beside the one that the call was sent to which is well and has not refused it? */
bool hsm_link_has_healthy_other(const struct hsm_link *link, const struct call *c);

#endif
