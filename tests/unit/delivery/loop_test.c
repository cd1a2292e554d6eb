/* The loop, turned by hand: timers on a clock of the test's, descriptors, posted tasks, threads that compute. */
#include "slk_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loop.h"

static uint64_t now_ns = 1000;
static struct dlv_loop *loop;

static uint64_t
clock_now(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct slk_clock test_clock = {clock_now, clock_now, NULL};

static int
setup(void **state)
{
	(void)state;
	now_ns = 1000;
	assert_ok(dlv_loop_new(2, &test_clock, &loop, NULL));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dlv_loop_free(loop);
	return 0;
}

#define LETTER(c) ((void *)(intptr_t)(c))
static char trace[64];
static size_t trace_len;

static void
note(void *arg)
{
	assert_true(trace_len + 1 < sizeof(trace));
	trace[trace_len++] = (char)(intptr_t)arg;
	trace[trace_len] = '\0';
}

static void
turn(void)
{
	assert_ok(dlv_loop_turn(loop, 0, NULL));
}

static void
expect(const char *text)
{
	turn();
	assert_string_equal(trace, text);
	trace_len = 0;
	trace[0] = '\0';
}

/* --- timers --- */

static void
timers_fire_in_order_and_once(void **state)
{
	(void)state;
	struct dlv_timer a = {0}, b = {0}, c = {0};

	dlv_timer_set(loop, &b, 3000, note, LETTER('b'));
	dlv_timer_set(loop, &a, 2000, note, LETTER('a'));
	dlv_timer_set(loop, &c, 3000, note, LETTER('c'));
	expect("");
	now_ns = 2000;
	expect("a");
	assert_int_equal(a.at_ns, 0);
	now_ns = 9000;
	expect("bc");
	expect("");
}

static void
a_timer_is_moved_and_stopped(void **state)
{
	(void)state;
	struct dlv_timer a = {0}, b = {0};

	dlv_timer_set(loop, &a, 2000, note, LETTER('a'));
	dlv_timer_set(loop, &b, 2500, note, LETTER('b'));
	dlv_timer_set(loop, &a, 4000, note, LETTER('A'));
	now_ns = 3000;
	expect("b");
	dlv_timer_stop(loop, &a);
	dlv_timer_stop(loop, &a);
	now_ns = 5000;
	expect("");
	dlv_timer_set(loop, &a, 0, note, LETTER('0'));
	expect("0");
}

static struct dlv_timer chain_one, chain_two;

static void
stop_other(void *arg)
{
	note(arg);
	dlv_timer_stop(loop, &chain_two);
	dlv_timer_set(loop, &chain_one, now_ns, note, LETTER('1'));
}

static void
what_a_timer_sets_waits_and_what_it_stops_does_not_fire(void **state)
{
	(void)state;
	dlv_timer_set(loop, &chain_one, 1000, stop_other, LETTER('s'));
	dlv_timer_set(loop, &chain_two, 1000, note, LETTER('2'));
	expect("s");
	expect("1");
}

/* --- descriptors --- */

static uint32_t seen;
static struct dlv_watch one, two;
static int fds[2];

static void
on_events(void *arg, uint32_t events)
{
	(void)arg;
	seen |= events;
}

static void
a_descriptor_is_watched_moved_and_left(void **state)
{
	(void)state;
	struct dlv_watch watch = {.fn = on_events};
	int ends[2], other = eventfd(1, EFD_CLOEXEC);

	assert_int_equal(pipe(ends), 0);
	assert_ok(dlv_watch_set(loop, &watch, ends[0], EPOLLIN));
	seen = 0;
	turn();
	assert_int_equal(seen, 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	turn();
	assert_int_equal(seen, EPOLLIN);
	close(ends[1]);
	turn();
	assert_true(seen & EPOLLHUP);
	seen = 0;
	assert_ok(dlv_watch_set(loop, &watch, other, EPOLLIN | EPOLLOUT));
	turn();
	assert_int_equal(seen, EPOLLIN | EPOLLOUT);
	seen = 0;
	assert_ok(dlv_watch_set(loop, &watch, other, EPOLLOUT));
	turn();
	assert_int_equal(seen, EPOLLOUT);
	seen = 0;
	dlv_watch_stop(loop, &watch);
	turn();
	assert_int_equal(seen, 0);
	assert_int_not_equal(dlv_watch_set(loop, &watch, -1, EPOLLIN), SLK_OK);
	assert_int_equal(watch.events, 0);
	close(ends[0]);
	close(other);
}

static void
stop_both(void *arg, uint32_t events)
{
	(void)events;
	note(arg);
	dlv_watch_stop(loop, &one);
	dlv_watch_stop(loop, &two);
}

static void
an_event_of_this_turn_is_not_told_to_who_has_left(void **state)
{
	(void)state;
	one = (struct dlv_watch){.fn = stop_both, .arg = LETTER('x')};
	two = (struct dlv_watch){.fn = stop_both, .arg = LETTER('x')};
	fds[0] = eventfd(1, EFD_CLOEXEC);
	fds[1] = eventfd(1, EFD_CLOEXEC);
	assert_ok(dlv_watch_set(loop, &one, fds[0], EPOLLIN));
	assert_ok(dlv_watch_set(loop, &two, fds[1], EPOLLIN));
	expect("x");
	expect("");
	close(fds[0]);
	close(fds[1]);
}

/* --- tasks --- */

static struct dlv_task task_one, task_two;

static void
post_again(void *arg)
{
	note(arg);
	task_one = (struct dlv_task){.fn = note, .arg = LETTER('2')};
	dlv_loop_post(loop, &task_one);
}

static void
tasks_run_in_order_and_new_ones_wait(void **state)
{
	(void)state;
	task_one = (struct dlv_task){.fn = post_again, .arg = LETTER('1')};
	task_two = (struct dlv_task){.fn = note, .arg = LETTER('t')};
	dlv_loop_post(loop, &task_one);
	dlv_loop_post(loop, &task_two);
	expect("1t");
	expect("2");
	expect("");
}

#define JOBS 500u
static struct job {
	struct dlv_task task, back;
	pthread_t ran_in;
} jobs[JOBS];
static unsigned jobs_back;
static atomic_uint jobs_done;

static void
job_back(void *arg)
{
	struct job *job = arg;

	assert_false(pthread_equal(job->ran_in, pthread_self()));
	if (++jobs_back == JOBS)
		dlv_loop_stop(loop);
}

static void
job_run(void *arg)
{
	struct job *job = arg;

	job->ran_in = pthread_self();
	atomic_fetch_add(&jobs_done, 1);
	job->back = (struct dlv_task){.fn = job_back, .arg = job};
	dlv_loop_post(loop, &job->back);
}

static void
work_is_done_in_other_threads_and_comes_back(void **state)
{
	(void)state;
	jobs_back = 0;
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i].task = (struct dlv_task){.fn = job_run, .arg = &jobs[i]};
		dlv_loop_work(loop, &jobs[i].task);
	}
	assert_ok(dlv_loop_run(loop, NULL));
	assert_int_equal(jobs_back, JOBS);
	assert_int_equal(jobs_done, JOBS);
}

static void
job_blocks_signals(void *arg)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	*(int *)arg = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
	dlv_loop_stop(loop);
}

static void
signals_are_not_for_the_threads(void **state)
{
	(void)state;
	int blocked = 0;
	struct dlv_task task = {.fn = job_blocks_signals, .arg = &blocked};

	dlv_loop_work(loop, &task);
	assert_ok(dlv_loop_run(loop, NULL));
	assert_int_equal(blocked, 1);
}

static void
what_was_posted_before_stop_is_done(void **state)
{
	(void)state;
	struct dlv_task task = {.fn = note, .arg = LETTER('p')};

	trace_len = 0;
	dlv_loop_stop(loop);
	dlv_loop_post(loop, &task);
	assert_ok(dlv_loop_run(loop, NULL));
	assert_string_equal(trace, "p");
	trace_len = 0;
	trace[0] = '\0';
}

/* With the system's clock the wait ends when the timer is due. */
static void
a_wait_ends_with_the_timer(void **state)
{
	(void)state;
	struct dlv_loop *real = NULL;
	struct dlv_timer timer = {0};

	assert_ok(dlv_loop_new(1, NULL, &real, NULL));
	dlv_timer_set(real, &timer, slk_mono_ns(dlv_loop_clock(real)) + 5 * SLK_NS_PER_MS, note,
		LETTER('t'));
	while (trace_len == 0)
		assert_ok(dlv_loop_turn(real, 10000, NULL));
	assert_string_equal(trace, "t");
	trace_len = 0;
	trace[0] = '\0';
	dlv_loop_free(real);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(timers_fire_in_order_and_once),
		CASE(a_timer_is_moved_and_stopped),
		CASE(what_a_timer_sets_waits_and_what_it_stops_does_not_fire),
		CASE(a_descriptor_is_watched_moved_and_left),
		CASE(an_event_of_this_turn_is_not_told_to_who_has_left),
		CASE(tasks_run_in_order_and_new_ones_wait),
		CASE(work_is_done_in_other_threads_and_comes_back),
		CASE(signals_are_not_for_the_threads),
		CASE(what_was_posted_before_stop_is_done),
		CASE(a_wait_ends_with_the_timer),
	};

	return cmocka_run_group_tests_name("delivery/loop", tests, NULL, NULL);
}
