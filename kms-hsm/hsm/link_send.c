/* Sending what waits: to each worker what is meant for it, several messages at once. See link_state.h. */
#include <sys/epoll.h>

#include "base/sock.h"
#include "hsm/link_state.h"

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

/* False: his socket is full, or closed, which the next poll sees; what did not leave is queued again. */
static bool
send_to(struct hsm_link *link, struct peer *p)
{
	int rc = SLK_OK;

	while (rc == SLK_OK && !TAILQ_EMPTY(&p->sending)) {
		struct slk_span messages[SLK_SOCK_MANY_MAX];
		unsigned count = 0, sent = 0;
		struct call *c;
		TAILQ_FOREACH(c, &p->sending, entry)
		{
			if (count == SLK_SOCK_MANY_MAX)
				break;
			messages[count++] = slk_span(slk_secret_peek(c->message), c->message_len);
		}
		rc = slk_sock_send_many(p->fd, messages, count, false, &sent);
		have_left(p, sent);
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
