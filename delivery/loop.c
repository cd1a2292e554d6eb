#include "loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTS_PER_TURN 128
#define WORKERS_MAX 64u

/* Tasks in the order in which they came. */
struct tasks {
	struct dlv_task *first, **tail;
};

struct dlv_loop {
	int epoll_fd;
	struct dlv_watch waker; /* of an eventfd */
	struct epoll_event events[EVENTS_PER_TURN]; /* of this turn; ptr NULL: stopped meanwhile */
	int events_count, events_next;
	struct dlv_timer timers; /* a ring, the earliest first; itself the end */
	const struct slk_clock *clock;
	struct dlv_web *web;
	atomic_bool stopping;

	pthread_mutex_t lock; /* of what follows */
	struct tasks posted, work;
	pthread_cond_t work_came;
	bool ending;
	pthread_t threads[WORKERS_MAX];
	unsigned threads_count;
};

/* --- tasks --- */

static void
tasks_init(struct tasks *tasks)
{
	tasks->first = NULL;
	tasks->tail = &tasks->first;
}

static void
tasks_add(struct tasks *tasks, struct dlv_task *task)
{
	task->next = NULL;
	*tasks->tail = task;
	tasks->tail = &task->next;
}

static struct dlv_task *
tasks_take(struct tasks *tasks)
{
	struct dlv_task *task = tasks->first;

	tasks->first = task->next;
	if (tasks->first == NULL)
		tasks->tail = &tasks->first;
	return task;
}

static void
wake(struct dlv_loop *loop)
{
	/* It fails only if it is awake already. */
	(void)eventfd_write(loop->waker.fd, 1);
}

void
dlv_loop_post(struct dlv_loop *loop, struct dlv_task *task)
{
	pthread_mutex_lock(&loop->lock);
	bool first = loop->posted.first == NULL;
	tasks_add(&loop->posted, task);
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

static void
run_posted(struct dlv_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct dlv_task *task = loop->posted.first;
	tasks_init(&loop->posted);
	pthread_mutex_unlock(&loop->lock);
	while (task != NULL) {
		struct dlv_task *next = task->next; /* fn may give the task back */
		task->fn(task->arg);
		task = next;
	}
}

void
dlv_loop_work(struct dlv_loop *loop, struct dlv_task *task)
{
	pthread_mutex_lock(&loop->lock);
	tasks_add(&loop->work, task);
	pthread_cond_signal(&loop->work_came);
	pthread_mutex_unlock(&loop->lock);
}

/* A thread of the pool. */
static void *
worker(void *arg)
{
	struct dlv_loop *loop = arg;

	pthread_mutex_lock(&loop->lock);
	for (;;) {
		while (loop->work.first == NULL && !loop->ending)
			pthread_cond_wait(&loop->work_came, &loop->lock);
		if (loop->work.first == NULL)
			break;
		struct dlv_task *task = tasks_take(&loop->work);
		pthread_mutex_unlock(&loop->lock);
		task->fn(task->arg);
		pthread_mutex_lock(&loop->lock);
	}
	pthread_mutex_unlock(&loop->lock);
	return NULL;
}

/* Signals are the loop's thread's. */
static int
start_workers(struct dlv_loop *loop, unsigned count, struct slk_error *err)
{
	sigset_t all, before;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (rc == 0 && loop->threads_count < count) {
		rc = pthread_create(&loop->threads[loop->threads_count], NULL, worker, loop);
		loop->threads_count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0 ? SLK_OK
		       : slk_fail_errno(err, "cannot start thread %u", loop->threads_count);
}

static void
end_workers(struct dlv_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->ending = true;
	pthread_cond_broadcast(&loop->work_came);
	pthread_mutex_unlock(&loop->lock);
	for (unsigned i = 0; i < loop->threads_count; i++)
		pthread_join(loop->threads[i], NULL);
}

/* --- timers --- */

static void
timer_unlink(struct dlv_timer *timer)
{
	timer->prev->next = timer->next;
	timer->next->prev = timer->prev;
	timer->at_ns = 0;
}

/* From the end on: most are set for later than what is there. */
void
dlv_timer_set(struct dlv_loop *loop, struct dlv_timer *timer, uint64_t at_ns, void (*fn)(void *arg),
	void *arg)
{
	dlv_timer_stop(loop, timer);
	timer->at_ns = at_ns > 0 ? at_ns : 1;
	timer->fn = fn;
	timer->arg = arg;
	struct dlv_timer *before = loop->timers.prev;
	while (before != &loop->timers && before->at_ns > timer->at_ns)
		before = before->prev;
	timer->prev = before;
	timer->next = before->next;
	before->next->prev = timer;
	before->next = timer;
}

void
dlv_timer_stop(struct dlv_loop *loop, struct dlv_timer *timer)
{
	(void)loop;
	if (timer->at_ns != 0)
		timer_unlink(timer);
}

/* Those that are due go to a ring of their own: what they set for now waits for the next turn, and one may stop another. */
static void
run_timers(struct dlv_loop *loop)
{
	struct dlv_timer *end = &loop->timers, due = {.next = &due, .prev = &due};
	uint64_t now = slk_mono_ns(loop->clock);

	while (end->next != end && end->next->at_ns <= now) {
		struct dlv_timer *timer = end->next;
		timer->prev->next = timer->next;
		timer->next->prev = timer->prev;
		timer->prev = due.prev;
		timer->next = &due;
		due.prev->next = timer;
		due.prev = timer;
	}
	while (due.next != &due) {
		struct dlv_timer *timer = due.next;
		timer_unlink(timer);
		timer->fn(timer->arg);
	}
}

/* Rounded up, so that a timer is due when the wait is over. */
static int
wait_ms(const struct dlv_loop *loop, int max_wait_ms)
{
	const struct dlv_timer *first = loop->timers.next;

	if (first == &loop->timers)
		return max_wait_ms;
	uint64_t now = slk_mono_ns(loop->clock);
	if (first->at_ns <= now)
		return 0;
	uint64_t ms = (first->at_ns - now + SLK_NS_PER_MS - 1) / SLK_NS_PER_MS;
	if (max_wait_ms >= 0 && ms > (uint64_t)max_wait_ms)
		return max_wait_ms;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* --- descriptors --- */

static int
control(struct dlv_loop *loop, int op, struct dlv_watch *watch, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(loop->epoll_fd, op, fd, &event) == 0 ? SLK_OK
							      : slk_status_from_errno(errno);
}

int
dlv_watch_set(struct dlv_loop *loop, struct dlv_watch *watch, int fd, uint32_t events)
{
	if (watch->events != 0 && (events == 0 || watch->fd != fd))
		dlv_watch_stop(loop, watch);
	if (events == 0 || watch->events == events)
		return SLK_OK;
	int rc = control(
		loop, watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, watch, fd, events);
	if (rc != SLK_OK)
		return rc;
	watch->fd = fd;
	watch->events = events;
	return SLK_OK;
}

void
dlv_watch_stop(struct dlv_loop *loop, struct dlv_watch *watch)
{
	if (watch->events == 0)
		return;
	watch->events = 0;
	/* It can only fail if the descriptor was closed too early, and then nothing comes of it any more. */
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	for (int i = loop->events_next; i < loop->events_count; i++) {
		if (loop->events[i].data.ptr == watch)
			loop->events[i].data.ptr = NULL;
	}
}

static int
run_events(struct dlv_loop *loop, int timeout_ms, struct slk_error *err)
{
	int n = epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, timeout_ms);

	if (n < 0 && errno != EINTR)
		return slk_fail_errno(err, "cannot wait for events");
	loop->events_count = n > 0 ? n : 0;
	loop->events_next = 0;
	while (loop->events_next < loop->events_count) {
		const struct epoll_event *event = &loop->events[loop->events_next++];
		struct dlv_watch *watch = event->data.ptr;
		if (watch != NULL)
			watch->fn(watch->arg, event->events);
	}
	loop->events_count = 0;
	return SLK_OK;
}

static void
on_wake(void *arg, uint32_t events)
{
	struct dlv_loop *loop = arg;
	eventfd_t count;

	(void)events;
	(void)eventfd_read(loop->waker.fd, &count); /* what it is for is looked at every turn */
}

/* --- the loop --- */

int
dlv_loop_turn(struct dlv_loop *loop, int max_wait_ms, struct slk_error *err)
{
	int rc = run_events(loop, wait_ms(loop, max_wait_ms), err);

	if (rc != SLK_OK)
		return rc;
	run_timers(loop);
	run_posted(loop);
	return SLK_OK;
}

int
dlv_loop_run(struct dlv_loop *loop, struct slk_error *err)
{
	int rc = SLK_OK;

	while (rc == SLK_OK && !atomic_load(&loop->stopping))
		rc = dlv_loop_turn(loop, -1, err);
	if (rc == SLK_OK)
		run_posted(loop);
	atomic_store(&loop->stopping, false);
	return rc;
}

void
dlv_loop_stop(struct dlv_loop *loop)
{
	atomic_store(&loop->stopping, true);
	wake(loop);
}

const struct slk_clock *
dlv_loop_clock(const struct dlv_loop *loop)
{
	return loop->clock;
}

struct dlv_web *
dlv_loop_web(struct dlv_loop *loop)
{
	return loop->web;
}

void
dlv_loop_set_web(struct dlv_loop *loop, struct dlv_web *web)
{
	loop->web = web;
}

static int
open_waiting(struct dlv_loop *loop, struct slk_error *err)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return slk_fail_errno(err, "cannot make an epoll descriptor");
	loop->waker = (struct dlv_watch){.fd = -1, .fn = on_wake, .arg = loop};
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make an eventfd");
	loop->waker.fd = fd;
	if (dlv_watch_set(loop, &loop->waker, fd, EPOLLIN) != SLK_OK)
		return slk_fail_errno(err, "cannot watch an eventfd");
	return SLK_OK;
}

int
dlv_loop_new(unsigned workers, const struct slk_clock *clock, struct dlv_loop **out_loop,
	struct slk_error *err)
{
	assert(workers >= 1 && workers <= WORKERS_MAX);
	struct dlv_loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the loop");
	loop->clock = clock != NULL ? clock : slk_clock_system();
	loop->epoll_fd = loop->waker.fd = -1;
	loop->timers.next = loop->timers.prev = &loop->timers;
	tasks_init(&loop->posted);
	tasks_init(&loop->work);
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->work_came, NULL);
	int rc = open_waiting(loop, err);
	if (rc == SLK_OK)
		rc = start_workers(loop, workers, err);
	if (rc != SLK_OK) {
		dlv_loop_free(loop);
		return rc;
	}
	*out_loop = loop;
	return SLK_OK;
}

void
dlv_loop_free(struct dlv_loop *loop)
{
	if (loop == NULL)
		return;
	end_workers(loop);
	if (loop->waker.fd >= 0)
		close(loop->waker.fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	pthread_cond_destroy(&loop->work_came);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}
