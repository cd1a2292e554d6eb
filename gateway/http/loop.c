#include "http/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/loop_run.h"

#define EVENTS_PER_TURN 128

struct http_loop {
	int epoll_fd;
	struct http_watch waker; /* of an eventfd */
	struct epoll_event
		events[EVENTS_PER_TURN]; /* of this turn; ptr NULL: unwatched meanwhile */
	int events_count, events_next;
	struct http_timer **heap; /* from 1 on; the earliest first */
	size_t heap_count, heap_cap;
	struct http_turn *turns, **turns_tail;
	void (*flush)(void *arg);
	void *flush_arg;
	const struct slk_clock *clock;
	struct http_pool *pool;
	uint64_t now_ns, turns_count;
	unsigned index;
	bool again;
};

/* --- descriptors --- */

static int
control(struct http_loop *loop, int op, struct http_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->epoll_fd, op, watch->fd, &event) == 0 ? SLK_OK
								     : slk_status_from_errno(errno);
}

int
http_loop_watch(struct http_loop *loop, struct http_watch *watch, uint32_t events)
{
	assert(!watch->watched);
	int rc = control(loop, EPOLL_CTL_ADD, watch, events);
	watch->watched = rc == SLK_OK;
	return rc;
}

int
http_loop_rewatch(struct http_loop *loop, struct http_watch *watch, uint32_t events)
{
	assert(watch->watched);
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void
http_loop_unwatch(struct http_loop *loop, struct http_watch *watch)
{
	if (!watch->watched)
		return;
	watch->watched = false;
	/* It can only fail if the descriptor was closed too early, and then nothing comes of it any more. */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = loop->events_next; i < loop->events_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

/* --- timers --- */

static void
place(struct http_loop *loop, struct http_timer *timer, size_t at)
{
	loop->heap[at] = timer;
	timer->place = at;
}

static void
sift_up(struct http_loop *loop, struct http_timer *timer, size_t at)
{
	for (; at > 1 && loop->heap[at / 2]->at_ns > timer->at_ns; at /= 2)
		place(loop, loop->heap[at / 2], at);
	place(loop, timer, at);
}

static void
sift_down(struct http_loop *loop, struct http_timer *timer, size_t at)
{
	for (;;) {
		size_t child = at * 2;
		if (child < loop->heap_count &&
			loop->heap[child + 1]->at_ns < loop->heap[child]->at_ns)
			child++;
		if (child > loop->heap_count || loop->heap[child]->at_ns >= timer->at_ns)
			break;
		place(loop, loop->heap[child], at);
		at = child;
	}
	place(loop, timer, at);
}

static int
heap_room(struct http_loop *loop)
{
	if (loop->heap_count + 1 < loop->heap_cap)
		return SLK_OK;
	size_t cap = loop->heap_cap == 0 ? 64 : loop->heap_cap * 2;
	struct http_timer **heap = realloc(loop->heap, cap * sizeof(struct http_timer *));
	if (heap == NULL)
		return SLK_NO_MEMORY;
	loop->heap = heap;
	loop->heap_cap = cap;
	return SLK_OK;
}

int
http_timer_set(struct http_loop *loop, struct http_timer *timer, uint64_t at_ns)
{
	if (timer->place == 0) {
		int rc = heap_room(loop);
		if (rc != SLK_OK)
			return rc;
		timer->at_ns = at_ns;
		sift_up(loop, timer, ++loop->heap_count);
		return SLK_OK;
	}
	bool later = at_ns > timer->at_ns;
	timer->at_ns = at_ns;
	if (later)
		sift_down(loop, timer, timer->place);
	else
		sift_up(loop, timer, timer->place);
	return SLK_OK;
}

void
http_timer_cancel(struct http_loop *loop, struct http_timer *timer)
{
	if (timer->place == 0)
		return;
	size_t at = timer->place;
	timer->place = 0;
	struct http_timer *last = loop->heap[loop->heap_count--];
	if (last == timer)
		return;
	if (at > 1 && loop->heap[at / 2]->at_ns > last->at_ns)
		sift_up(loop, last, at);
	else
		sift_down(loop, last, at);
}

/* Timers that handlers set meanwhile for now or earlier wait for the next turn. */
static void
serve_timers(struct http_loop *loop)
{
	uint64_t now = loop->now_ns;
	size_t left = loop->heap_count;

	while (left-- > 0 && loop->heap_count > 0 && loop->heap[1]->at_ns <= now) {
		struct http_timer *timer = loop->heap[1];
		http_timer_cancel(loop, timer);
		timer->fire(timer, now);
	}
}

/* --- turns --- */

void
http_loop_each_turn(struct http_loop *loop, struct http_turn *turn)
{
	turn->next = NULL;
	*loop->turns_tail = turn;
	loop->turns_tail = &turn->next;
}

void
http_loop_set_flush(struct http_loop *loop, void (*flush)(void *arg), void *arg)
{
	loop->flush = flush;
	loop->flush_arg = arg;
}

void
http_loop_again(struct http_loop *loop)
{
	loop->again = true;
}

static int
wait_ms(struct http_loop *loop, int max_wait_ms)
{
	if (loop->again)
		return 0;
	if (loop->heap_count == 0)
		return max_wait_ms;
	uint64_t now = slk_mono_ns(loop->clock), at = loop->heap[1]->at_ns;
	uint64_t ms = at <= now ? 0 : (at - now + SLK_NS_PER_MS - 1) / SLK_NS_PER_MS;
	if (max_wait_ms >= 0 && ms > (uint64_t)max_wait_ms)
		return max_wait_ms;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

int
http_loop_turn(struct http_loop *loop, int max_wait_ms)
{
	int n = epoll_wait(
		loop->epoll_fd, loop->events, EVENTS_PER_TURN, wait_ms(loop, max_wait_ms));

	if (n < 0 && errno != EINTR)
		return SLK_SYSTEM;
	loop->again = false;
	loop->now_ns = slk_mono_ns(loop->clock);
	loop->turns_count++;
	loop->events_count = n < 0 ? 0 : n;
	loop->events_next = 0;
	while (loop->events_next < loop->events_count) {
		const struct epoll_event *event = &loop->events[loop->events_next++];
		struct http_watch *watch = event->data.ptr;
		if (watch != NULL)
			watch->ready(watch, event->events);
	}
	serve_timers(loop);
	for (struct http_turn *turn = loop->turns; turn != NULL; turn = turn->next)
		turn->call(turn);
	if (loop->flush != NULL)
		loop->flush(loop->flush_arg);
	return SLK_OK;
}

/* --- the rest --- */

static void
woken(struct http_watch *watch, uint32_t events)
{
	uint64_t count;

	(void)events;
	/* Nothing to read: another turn took it. */
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
}

int
http_loop_new(unsigned index, const struct slk_clock *clock, struct http_pool *pool,
	struct http_loop **out_loop, struct slk_error *err)
{
	struct http_loop *loop = calloc(1, sizeof(*loop));

	if (loop == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an event loop");
	loop->index = index;
	loop->clock = clock;
	loop->pool = pool;
	loop->turns_tail = &loop->turns;
	loop->now_ns = slk_mono_ns(clock);
	loop->waker = (struct http_watch){.ready = woken, .arg = loop};
	loop->waker.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int rc = SLK_OK;
	if (loop->epoll_fd < 0 || loop->waker.fd < 0)
		rc = slk_fail_errno(err, "cannot make an event loop");
	else if (http_loop_watch(loop, &loop->waker, EPOLLIN) != SLK_OK)
		rc = slk_fail_errno(err, "cannot watch an event loop's own descriptor");
	if (rc != SLK_OK) {
		http_loop_free(loop);
		return rc;
	}
	*out_loop = loop;
	return SLK_OK;
}

void
http_loop_free(struct http_loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->waker.fd >= 0)
		close(loop->waker.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

unsigned
http_loop_index(const struct http_loop *loop)
{
	return loop->index;
}

uint64_t
http_loop_now_ns(const struct http_loop *loop)
{
	return loop->now_ns;
}

uint64_t
http_loop_turns(const struct http_loop *loop)
{
	return loop->turns_count;
}

const struct slk_clock *
http_loop_clock(const struct http_loop *loop)
{
	return loop->clock;
}

struct http_pool *
http_loop_pool(struct http_loop *loop)
{
	return loop->pool;
}

void
http_loop_wake(struct http_loop *loop)
{
	uint64_t one = 1;
	int saved = errno;

	/* It cannot fail but for a counter that is full, and then a wake is under way. */
	if (write(loop->waker.fd, &one, sizeof(one)) < 0)
		errno = saved;
	errno = saved;
}
