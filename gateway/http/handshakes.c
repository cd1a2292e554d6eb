#include "http/handshakes.h"

#include <signal.h>
#include <stdlib.h>

/* As many signatures at once as an HSM in a network takes well; they wait, and use no core. */
#define WORKERS 8u

/* Lists are linked by conn->shake_next. */
struct list {
	struct http_conn *first, **tail;
};

struct http_handshakes {
	pthread_t workers[WORKERS];
	unsigned workers_count;
	pthread_mutex_t lock;
	pthread_cond_t more, back;
	bool stop;
	struct list to_do;
	struct {
		struct http_turn turn;
		struct list done;
		unsigned away;
	} loops[HTTP_THREADS_MAX]; /* by index of the thread */
};

static void
list_add(struct list *l, struct http_conn *c)
{
	c->shake_next = NULL;
	*(l->first != NULL ? l->tail : &l->first) = c;
	l->tail = &c->shake_next;
}

static struct http_conn *
list_take(struct list *l)
{
	struct http_conn *c = l->first;

	if (c != NULL)
		l->first = c->shake_next;
	return c;
}

/* --- workers --- */

static void
give_back(struct http_handshakes *h, struct http_conn *c)
{
	unsigned index = c->thread->index;

	list_add(&h->loops[index].done, c);
	h->loops[index].away--;
	http_loop_wake(c->thread->loop);
	pthread_cond_broadcast(&h->back);
}

static void *
work(void *arg)
{
	struct http_handshakes *h = arg;

	(void)pthread_setname_np(pthread_self(), "handshake");
	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (h->to_do.first == NULL && !h->stop)
			pthread_cond_wait(&h->more, &h->lock);
		struct http_conn *c = list_take(&h->to_do);
		if (c == NULL)
			break;
		pthread_mutex_unlock(&h->lock);
		c->shake_status =
			atomic_load(&c->is_given_up) ? SLK_CLOSED : http_io_handshake(&c->io);
		pthread_mutex_lock(&h->lock);
		give_back(h, c);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

int
http_handshakes_new(struct http_handshakes **out_handshakes, struct slk_error *err)
{
	struct http_handshakes *h = calloc(1, sizeof(*h));
	sigset_t all, old;
	int rc = 0;

	if (h == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for handshakes");
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->more, NULL);
	pthread_cond_init(&h->back, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (rc == 0 && h->workers_count < WORKERS) {
		rc = pthread_create(&h->workers[h->workers_count], NULL, work, h);
		h->workers_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		http_handshakes_free(h);
		return slk_fail(
			err, slk_status_from_errno(rc), "cannot start a thread for handshakes");
	}
	*out_handshakes = h;
	return SLK_OK;
}

void
http_handshakes_free(struct http_handshakes *h)
{
	if (h == NULL)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	while (h->workers_count > 0)
		(void)pthread_join(h->workers[--h->workers_count], NULL);
	pthread_cond_destroy(&h->more);
	pthread_cond_destroy(&h->back);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

/* --- loops --- */

static struct http_conn *
take_done(struct http_handshakes *h, unsigned index)
{
	pthread_mutex_lock(&h->lock);
	struct http_conn *c = list_take(&h->loops[index].done);
	pthread_mutex_unlock(&h->lock);
	return c;
}

static void
turn(struct http_turn *t)
{
	const struct http_thread *thread = t->arg;
	struct http_handshakes *h = thread->server->handshakes;
	struct http_conn *c;

	while ((c = take_done(h, thread->index)) != NULL)
		http_conn_shaken(c, c->shake_status);
}

void
http_handshakes_join(struct http_handshakes *h, struct http_thread *thread)
{
	struct http_turn *t = &h->loops[thread->index].turn;

	*t = (struct http_turn){.call = turn, .arg = thread};
	http_loop_each_turn(thread->loop, t);
}

void
http_handshakes_give(struct http_handshakes *h, struct http_conn *c)
{
	pthread_mutex_lock(&h->lock);
	list_add(&h->to_do, c);
	h->loops[c->thread->index].away++;
	pthread_cond_signal(&h->more);
	pthread_mutex_unlock(&h->lock);
}

void
http_handshakes_leave(struct http_handshakes *h, struct http_thread *thread)
{
	pthread_mutex_lock(&h->lock);
	while (h->loops[thread->index].away > 0)
		pthread_cond_wait(&h->back, &h->lock);
	pthread_mutex_unlock(&h->lock);
	turn(&h->loops[thread->index].turn);
}
