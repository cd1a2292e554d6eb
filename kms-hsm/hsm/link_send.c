/* Sending what waits: to each worker what is meant for it, several messages at once. See link_state.h. */
#include <string.h>
#include <sys/epoll.h>

#include "base/sock.h"
#include "hsm/link_state.h"
#include "hsm/wire.h"

void
hsm_link_want_out(struct hsm_link *link, struct peer *p, bool wanted)
{
	struct epoll_event ev = {.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN,
		.data.u32 = (uint32_t)(p - link->peers)};

	if (p->blocked != wanted && epoll_ctl(link->epoll_fd, EPOLL_CTL_MOD, p->fd, &ev) == 0)
		p->blocked = wanted;
}

/* Every queued call that somebody may have now goes onto his list, as if it were sent. */
static bool
deal_out(struct hsm_link *link)
{
	struct call *c = TAILQ_FIRST(&link->queued);
	bool any = false;

	while (c != NULL) {
		struct call *next = TAILQ_NEXT(c, entry);
		struct peer *p = hsm_link_pick(link, c);
		if (p != NULL) {
			TAILQ_REMOVE(&link->queued, c, entry);
			TAILQ_INSERT_TAIL(&p->sending, c, entry);
			p->sent_count++;
			link->next_peer = (unsigned)(p - link->peers) + 1;
			any = true;
		}
		c = next;
	}
	return any;
}

/* The first `count` of those that are being sent have left. */
static void
have_left(struct peer *p, unsigned count)
{
	while (count-- > 0) {
		struct call *c = TAILQ_FIRST(&p->sending);
		TAILQ_REMOVE(&p->sending, c, entry);
		TAILQ_INSERT_TAIL(&p->sent, c, entry);
		c->peer = p;
		c->tries++;
	}
}

static void
take_back(struct hsm_link *link, struct peer *p)
{
	struct call *c;

	while ((c = TAILQ_LAST(&p->sending, call_list)) != NULL) {
		TAILQ_REMOVE(&p->sending, c, entry);
		TAILQ_INSERT_HEAD(&link->queued, c, entry);
		p->sent_count--;
	}
}

/* As many of them as may go together, one behind the other in the link's buffer. */
static unsigned
join(struct hsm_link *link, const struct peer *p, size_t *out_len)
{
	uint8_t *tx = slk_secret_bytes(link->tx);
	const struct call *c;
	unsigned count = 0;
	size_t len = 0;

	TAILQ_FOREACH(c, &p->sending, entry)
	{
		if (count == link->together_max || c->message_len > HSM_MESSAGE_MAX - len)
			break;
		memcpy(tx + len, slk_secret_peek(c->message), c->message_len);
		len += c->message_len;
		count++;
	}
	*out_len = len;
	return count;
}

/* False: his socket is full, or closed, which the next poll sees; what did not leave is queued again. */
static bool
send_to(struct hsm_link *link, struct peer *p)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	int rc = SLK_OK;

	while (rc == SLK_OK && !TAILQ_EMPTY(&p->sending)) {
		size_t len = 0;
		unsigned count = join(link, p, &len);
		rc = sock->send(sock->ctx, p->fd, slk_secret_peek(link->tx), len);
		slk_wipe(slk_secret_bytes(link->tx), len);
		if (rc == SLK_OK)
			have_left(p, count);
	}
	take_back(link, p);
	return rc == SLK_OK;
}

void
hsm_link_flush(struct hsm_link *link)
{
	bool again = true;

	link->gathered_count = 0;
	while (again && !TAILQ_EMPTY(&link->queued) && deal_out(link)) {
		again = false;
		for (size_t i = 0; i < HSM_WORKERS_MAX; i++) {
			struct peer *p = &link->peers[i];
			if (TAILQ_EMPTY(&p->sending) || send_to(link, p))
				continue;
			hsm_link_want_out(link, p, true);
			again |=
				p->blocked; /* perhaps to another one; if it cannot even be watched the next poll sees why */
		}
	}
}
