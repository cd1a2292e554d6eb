/* The long-standing question against a scripted kmsd: what moved is told at once, nothing is asked meanwhile, and a kmsd that is
 * away, hangs, refuses or answers too fast is not asked without end. */
#include "slk_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/watch.h"

static struct kmsc_watch *watch;
static struct kmsc_watch_news news;
static uint64_t now_ns;
static _Atomic uint64_t streams; /* kmsd's number */
static _Atomic uint32_t waits[64]; /* of each question */
static _Atomic uint64_t numbers[64];

static uint64_t
mono(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct slk_clock hand = {mono, mono, NULL};

static int
setup(void **state)
{
	(void)state;
	const struct kmsc_watch_config config = {
		.path = fake_kmsd.path, .timeout_ms = 1000, .clock = &hand};

	strcpy(fake_kmsd.dir, "/tmp/slk-watch-XXXXXX");
	assert_non_null(mkdtemp(fake_kmsd.dir));
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	now_ns = 1;
	streams = 7;
	assert_ok(kmsc_watch_new(&config, &watch));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_watch_free(watch);
	kmsc_watch_free(NULL);
	rmdir(fake_kmsd.dir);
	return 0;
}

static void
note(const Kmsp__Request *request, unsigned turn)
{
	assert_int_equal(request->call_case, KMSP__REQUEST__CALL_WATCH_STREAMS);
	waits[turn % 64] = request->watch_streams->wait_ms;
	numbers[turn % 64] = request->watch_streams->stream_changes;
}

static int
changes(const Kmsp__Request *request, uint8_t *out)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Changes c = KMSP__CHANGES__INIT;

	c.stream_changes = streams;
	c.right_changes = 3;
	c.delivery_changes = 4;
	reply.result_case = KMSP__REPLY__RESULT_CHANGES;
	reply.changes = &c;
	return fake_kmsd_reply(request, &reply, out);
}

/* As kmsd: the first question is answered, one that waits is not before the test says so. */
static int
answer_what_moved(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	note(request, turn);
	while (request->watch_streams->wait_ms > 1 &&
		request->watch_streams->stream_changes == streams) {
		struct pollfd p = {.fd = fake_kmsd.stop_pipe[0], .events = POLLIN};
		if (poll(&p, 1, 1) > 0)
			return -1;
	}
	return changes(request, out);
}

static int
answer_at_once(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	note(request, turn);
	return changes(request, out);
}

static int
say_nothing(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	(void)out;
	note(request, turn);
	return 0;
}

static int
refuse(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;

	note(request, turn);
	reply.status = SLK_DENIED;
	reply.exception = (char *)(uintptr_t) "AccessDeniedException";
	reply.message = (char *)(uintptr_t) "not for you";
	return fake_kmsd_reply(request, &reply, out);
}

/* Turn until there is news; the clock stands. */
static void
wait_news(void)
{
	for (unsigned i = 0; i < 1000; i++) {
		if (kmsc_watch_turn(watch, &news))
			return;
		struct pollfd p = {.fd = kmsc_watch_fd(watch), .events = kmsc_watch_events(watch)};
		(void)poll(&p, 1, 10);
	}
	fail_msg("no news");
}

static void
wait_turns(unsigned turns)
{
	for (unsigned i = 0; i < 1000 && fake_kmsd.turns < turns; i++)
		usleep(10000);
	assert_int_equal(fake_kmsd.turns, turns);
}

static void
what_moved_is_told_at_once(void **state)
{
	(void)state;
	fake_kmsd_start(answer_what_moved);
	wait_news();
	assert_ok(news.status);
	assert_int_equal(news.changes.stream_changes, 7);
	assert_int_equal(news.changes.right_changes, 3);
	assert_int_equal(news.changes.delivery_changes, 4);
	assert_int_equal(waits[0], 1);
	now_ns = kmsc_watch_next_ns(watch);
	assert_false(kmsc_watch_turn(watch, &news));
	wait_turns(2);
	assert_int_equal(waits[1], 10000);
	assert_int_equal(numbers[1], 7);
	streams = 8; /* and the clock stands: nothing is due */
	wait_news();
	assert_int_equal(news.changes.stream_changes, 8);
	fake_kmsd_stop();
}

/* While all is quiet nothing is asked and nobody wakes, until an answer is overdue. */
static void
nothing_is_asked_meanwhile(void **state)
{
	(void)state;
	fake_kmsd_start(answer_what_moved);
	wait_news();
	now_ns = kmsc_watch_next_ns(watch);
	assert_false(kmsc_watch_turn(watch, &news));
	wait_turns(2);
	assert_true(kmsc_watch_next_ns(watch) >= now_ns + 11 * SLK_NS_PER_S);
	for (unsigned i = 0; i < 100; i++) {
		now_ns += 100 * SLK_NS_PER_MS;
		assert_false(kmsc_watch_turn(watch, &news));
	}
	assert_int_equal(fake_kmsd.turns, 2);
	fake_kmsd_stop();
}

/* Numbers that move all the time, or a kmsd that does not wait, are asked for fifty times a second at most. */
static void
answers_that_come_at_once_are_spaced(void **state)
{
	uint64_t began = now_ns;
	unsigned told = 0;

	(void)state;
	fake_kmsd_start(answer_at_once);
	for (unsigned i = 0; i < 20; i++) {
		wait_news();
		told++;
		for (unsigned k = 0; k < 10; k++)
			assert_false(kmsc_watch_turn(watch, &news));
		now_ns = kmsc_watch_next_ns(watch);
	}
	assert_int_equal(fake_kmsd.turns, told);
	assert_true(now_ns - began >= 20 * 20 * SLK_NS_PER_MS);
	fake_kmsd_stop();
}

static void
a_kmsd_that_is_away_is_looked_for_less_and_less_often(void **state)
{
	static const uint64_t pauses_ms[] = {100, 200, 400, 800, 1600, 2000, 2000};

	(void)state;
	for (unsigned i = 0; i < sizeof(pauses_ms) / sizeof(pauses_ms[0]); i++) {
		assert_true(kmsc_watch_turn(watch, &news));
		assert_int_equal(news.status, SLK_UNAVAILABLE);
		assert_non_null(strstr(news.err.text, "no kmsd answers"));
		assert_int_equal(kmsc_watch_fd(watch), -1);
		assert_int_equal(kmsc_watch_next_ns(watch), now_ns + pauses_ms[i] * SLK_NS_PER_MS);
		now_ns = kmsc_watch_next_ns(watch) - 1;
		assert_false(kmsc_watch_turn(watch, &news));
		now_ns++;
	}
	fake_kmsd_start(answer_what_moved);
	wait_news();
	assert_ok(news.status);
	assert_int_equal(news.changes.stream_changes, 7);
	fake_kmsd_stop();
}

/* It hung up, and may be another one: its numbers are asked for, not waited for. */
static void
a_restarted_kmsd_is_asked_at_once(void **state)
{
	(void)state;
	fake_kmsd_start(answer_what_moved);
	wait_news();
	now_ns = kmsc_watch_next_ns(watch);
	assert_false(kmsc_watch_turn(watch, &news));
	wait_turns(2);
	fake_kmsd_stop();
	wait_news();
	assert_int_equal(news.status, SLK_UNAVAILABLE);
	fake_kmsd_start(answer_what_moved); /* with the same number */
	now_ns = kmsc_watch_next_ns(watch);
	wait_news();
	assert_ok(news.status);
	assert_int_equal(waits[0], 1);
	fake_kmsd_stop();
}

static void
a_kmsd_that_hangs_is_given_up(void **state)
{
	(void)state;
	fake_kmsd_start(say_nothing);
	assert_false(kmsc_watch_turn(watch, &news));
	wait_turns(1);
	uint64_t until = kmsc_watch_next_ns(watch);
	assert_int_equal(until, now_ns + 1001 * SLK_NS_PER_MS);
	now_ns = until;
	assert_true(kmsc_watch_turn(watch, &news));
	assert_int_equal(news.status, SLK_TIMEOUT);
	assert_int_equal(kmsc_watch_next_ns(watch), now_ns + 100 * SLK_NS_PER_MS);
	fake_kmsd_stop();
}

static void
a_refusal_is_told_and_spaced(void **state)
{
	(void)state;
	fake_kmsd_start(refuse);
	wait_news();
	assert_int_equal(news.status, SLK_DENIED);
	assert_string_equal(news.err.text, "not for you");
	assert_int_equal(kmsc_watch_next_ns(watch), now_ns + 100 * SLK_NS_PER_MS);
	assert_false(kmsc_watch_turn(watch, &news));
	assert_int_equal(fake_kmsd.turns, 1);
	fake_kmsd_stop();
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(what_moved_is_told_at_once),
		WITH(nothing_is_asked_meanwhile),
		WITH(answers_that_come_at_once_are_spaced),
		WITH(a_kmsd_that_is_away_is_looked_for_less_and_less_often),
		WITH(a_restarted_kmsd_is_asked_at_once),
		WITH(a_kmsd_that_hangs_is_given_up),
		WITH(a_refusal_is_told_and_spaced),
	};

	return cmocka_run_group_tests_name("kmsclient_watch", tests, NULL, NULL);
}
