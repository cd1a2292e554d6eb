#include "slk_test.h"

#include <string.h>
#include <unistd.h>

#include "http/loop_run.h"

static uint64_t now_ns;

static uint64_t
own_time(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct slk_clock own_clock = {own_time, own_time, NULL};

static int
set_up(void **state)
{
	struct http_loop *loop = NULL;
	now_ns = SLK_NS_PER_S;
	assert_ok(http_loop_new(3, &own_clock, NULL, &loop, NULL));
	*state = loop;
	return 0;
}

static int
tear_down(void **state)
{
	http_loop_free(*state);
	return 0;
}

/* --- timers --- */

#define TIMERS_COUNT 500u

static struct {
	struct http_timer timers[TIMERS_COUNT];
	unsigned order[TIMERS_COUNT * 2];
	unsigned fired;
} world;

static void
fire(struct http_timer *timer, uint64_t at_ns)
{
	assert_true(timer->at_ns <= at_ns);
	assert_int_equal(timer->place, 0);
	world.order[world.fired++] = (unsigned)(timer - world.timers);
}

/* The same ones in every run. */
static unsigned
next_random(void)
{
	static uint64_t x = 7;

	x = x * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(x >> 33);
}

static void
timers_fire_in_order_and_once(void **state)
{
	struct http_loop *loop = *state;
	uint64_t start = now_ns;
	unsigned set = 0;
	memset(&world, 0, sizeof(world));
	for (unsigned i = 0; i < TIMERS_COUNT; i++) {
		world.timers[i].fire = fire;
		for (int again = (int)(next_random() % 3); again >= 0; again--)
			assert_ok(http_timer_set(loop, &world.timers[i],
				start + (uint64_t)(next_random() % 1000) * SLK_NS_PER_MS));
		set++;
		if (next_random() % 4 == 0) {
			unsigned victim = next_random() % (i + 1);
			set -= world.timers[victim].place != 0;
			http_timer_cancel(loop, &world.timers[victim]);
			http_timer_cancel(loop, &world.timers[victim]);
		}
	}
	for (unsigned ms = 0; ms <= 1000; ms += 10) {
		now_ns = start + ms * SLK_NS_PER_MS;
		assert_ok(http_loop_turn(loop, 0));
		for (unsigned i = 0; i < TIMERS_COUNT; i++)
			assert_true(world.timers[i].place == 0 || world.timers[i].at_ns > now_ns);
	}
	assert_int_equal(world.fired, set);
	for (unsigned i = 1; i < world.fired; i++)
		assert_true(world.timers[world.order[i - 1]].at_ns <=
			world.timers[world.order[i]].at_ns);
}

static struct http_loop *rearm_loop;

static void
rearm(struct http_timer *timer, uint64_t at_ns)
{
	world.fired++;
	assert_ok(http_timer_set(rearm_loop, timer, at_ns));
}

static void
a_timer_that_sets_itself_does_not_hold_the_turn(void **state)
{
	struct http_timer timer = {.fire = rearm};
	memset(&world, 0, sizeof(world));
	rearm_loop = *state;
	assert_ok(http_timer_set(rearm_loop, &timer, now_ns));
	assert_ok(http_loop_turn(rearm_loop, 0));
	assert_int_equal(world.fired, 1);
	assert_ok(http_loop_turn(rearm_loop, -1));
	assert_int_equal(world.fired, 2);
	http_timer_cancel(rearm_loop, &timer);
}

/* --- descriptors --- */

struct pair {
	struct http_watch watch;
	struct http_loop *loop;
	struct pair *other; /* unwatched by the first that is ready */
	unsigned calls;
};

static void
unwatch_the_other(struct http_watch *watch, uint32_t events)
{
	struct pair *pair = watch->arg;
	assert_true((events & EPOLLIN) != 0);
	pair->calls++;
	http_loop_unwatch(pair->loop, &pair->other->watch);
}

static void
no_call_comes_after_unwatch(void **state)
{
	struct http_loop *loop = *state;
	int pipes[2][2];
	struct pair pairs[2];
	memset(pairs, 0, sizeof(pairs));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		pairs[i] = (struct pair){.loop = loop, .other = &pairs[1 - i]};
		pairs[i].watch = (struct http_watch){
			.ready = unwatch_the_other, .arg = &pairs[i], .fd = pipes[i][0]};
		assert_ok(http_loop_watch(loop, &pairs[i].watch, EPOLLIN));
		assert_int_equal(write(pipes[i][1], "x", 1), 1);
	}
	assert_ok(http_loop_turn(loop, -1));
	assert_int_equal(pairs[0].calls + pairs[1].calls, 1);
	for (int i = 0; i < 2; i++) {
		http_loop_unwatch(loop, &pairs[i].watch);
		assert_false(pairs[i].watch.watched);
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
}

/* --- turns --- */

static unsigned turns_called, flushes_called;

static void
turn_called(struct http_turn *turn)
{
	assert_int_equal(*(unsigned *)turn->arg, turns_called - flushes_called * 2);
	turns_called++;
}

static void
flush_called(void *arg)
{
	(void)arg;
	flushes_called++;
	assert_int_equal(turns_called, flushes_called * 2);
}

static void
turn_functions_are_called_in_order_before_the_flush(void **state)
{
	struct http_loop *loop = *state;
	unsigned first = 0, second = 1;
	struct http_turn turns[2] = {{turn_called, &first, NULL}, {turn_called, &second, NULL}};
	turns_called = flushes_called = 0;
	http_loop_set_flush(loop, flush_called, NULL);
	http_loop_each_turn(loop, &turns[0]);
	http_loop_each_turn(loop, &turns[1]);
	http_loop_wake(loop);
	assert_ok(http_loop_turn(loop, -1)); /* returns: it was woken */
	http_loop_again(loop);
	assert_ok(http_loop_turn(loop, -1));
	assert_int_equal(flushes_called, 2);
	assert_int_equal(http_loop_turns(loop), 2);
	assert_int_equal(http_loop_index(loop), 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(timers_fire_in_order_and_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_timer_that_sets_itself_does_not_hold_the_turn, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_call_comes_after_unwatch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			turn_functions_are_called_in_order_before_the_flush, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
