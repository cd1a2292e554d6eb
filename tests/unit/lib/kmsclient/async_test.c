/* The client for event loops against a scripted kmsd: order, bounds, callers, ends of connections, time. */
#include "slk_test.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kmsd.h"
#include "kmsclient/async.h"

#define CALLS 64u

static struct kmsc_async *client;
static int watched = -1;
static bool for_writing;
static struct {
	unsigned done;
	int status;
	int reply_status;
	char text[128];
} seen[CALLS];
static uint64_t now_ns;

static uint64_t
mono(void *ctx)
{
	(void)ctx;
	return now_ns;
}

static const struct slk_clock hand = {mono, mono, NULL};

static void
watch(void *arg, int fd, bool write)
{
	(void)arg;
	watched = fd;
	for_writing = write;
}

static int
setup(void **state)
{
	(void)state;
	const struct kmsc_async_config config = {
		.path = fake_kmsd.path, .timeout_ms = 1000, .clock = &hand, .watch = watch};

	strcpy(fake_kmsd.dir, "/tmp/slk-async-XXXXXX");
	assert_non_null(mkdtemp(fake_kmsd.dir));
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(seen, 0, sizeof(seen));
	now_ns = 1;
	assert_ok(kmsc_async_new(&config, &client));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_async_free(client);
	assert_int_equal(watched, -1);
	rmdir(fake_kmsd.dir);
	return 0;
}

static void
done(void *arg, int status, const Kmsp__Reply *reply, const char *sentence)
{
	size_t i = (size_t)arg;

	seen[i].done++;
	seen[i].status = status;
	if (reply != NULL)
		seen[i].reply_status = reply->status;
	if (reply != NULL && reply->result_case == KMSP__REPLY__RESULT_KEY)
		snprintf(seen[i].text, sizeof(seen[i].text), "%s", reply->key->id);
	else if (sentence != NULL)
		snprintf(seen[i].text, sizeof(seen[i].text), "%s", sentence);
	assert_true((reply != NULL) != (sentence != NULL));
}

static int
send_for(size_t i, const struct kmsc_caller *caller, uint64_t *id)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;
	Kmsp__Request request = KMSP__REQUEST__INIT;
	char name[16];
	struct slk_error err;

	snprintf(name, sizeof(name), "key-%zu", i);
	call.key = name;
	request.call_case = KMSP__REQUEST__CALL_DESCRIBE_KEY;
	request.describe_key = &call;
	return kmsc_async_send(client, &request, caller, done, (void *)i, id, &err);
}

static void
send_one(size_t i)
{
	uint64_t id = 0;

	assert_ok(send_for(i, NULL, &id));
	assert_int_not_equal(id, 0);
}

/* Until n calls are done. */
static void
serve_until(unsigned n)
{
	for (;;) {
		unsigned count = 0;
		for (size_t i = 0; i < CALLS; i++)
			count += seen[i].done;
		if (count >= n)
			return;
		struct pollfd p = {
			.fd = watched, .events = (short)(POLLIN | (for_writing ? POLLOUT : 0))};
		assert_true(poll(&p, 1, 10000) > 0);
		kmsc_async_ready(client);
	}
}

static int
echo(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Key key = KMSP__KEY__INIT;
	char text[128];

	(void)turn;
	(void)snprintf(text, sizeof(text), "%s%s%s", request->describe_key->key,
		request->caller != NULL ? " for " : "",
		request->caller != NULL ? request->caller->access_key_id : "");
	key.id = text;
	r.result_case = KMSP__REPLY__RESULT_KEY;
	r.key = &key;
	return fake_kmsd_reply(request, &r, out);
}

static void
many_calls_share_a_connection(void **state)
{
	(void)state;
	fake_kmsd_start(echo);
	for (size_t i = 0; i < CALLS; i++)
		send_one(i);
	assert_int_equal(kmsc_async_pending(client), CALLS);
	serve_until(CALLS);
	for (size_t i = 0; i < CALLS; i++) {
		char expected[16];
		snprintf(expected, sizeof(expected), "key-%zu", i);
		assert_int_equal(seen[i].done, 1);
		assert_ok(seen[i].status);
		assert_string_equal(seen[i].text, expected);
	}
	assert_int_equal(kmsc_async_pending(client), 0);
	assert_int_equal(kmsc_async_connections(client), 1);
	assert_int_equal(kmsc_async_next_ns(client), UINT64_MAX);
	fake_kmsd_stop();
}

static void
each_call_names_its_own_caller(void **state)
{
	(void)state;
	const struct kmsc_caller caller = {.access_key_id = "AKIAONE"};
	uint64_t id;

	fake_kmsd_start(echo);
	assert_ok(send_for(0, &caller, &id));
	send_one(1);
	serve_until(2);
	assert_string_equal(seen[0].text, "key-0 for AKIAONE");
	assert_string_equal(seen[1].text, "key-1");
	fake_kmsd_stop();
}

static int
refuse(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;

	(void)turn;
	r.status = SLK_DENIED;
	r.exception = (char *)(uintptr_t) "AccessDeniedException";
	return fake_kmsd_reply(request, &r, out);
}

static void
a_refusal_is_an_answer(void **state)
{
	(void)state;
	fake_kmsd_start(refuse);
	send_one(0);
	serve_until(1);
	assert_ok(seen[0].status);
	assert_int_equal(seen[0].reply_status, SLK_DENIED);
	fake_kmsd_stop();
}

static void
nobody_there_is_told_at_once(void **state)
{
	(void)state;
	uint64_t id = 0;

	assert_int_equal(send_for(0, NULL, &id), SLK_UNAVAILABLE);
	assert_int_equal(id, 0);
	assert_int_equal(seen[0].done, 0);
	assert_int_equal(kmsc_async_pending(client), 0);
}

/* When all that may be under way is there: none of it was sent after the end. */
static int
hang_up_late(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	if (turn < KMSC_ASYNC_IN_FLIGHT)
		return turn + 1 < KMSC_ASYNC_IN_FLIGHT ? 0 : -1;
	return echo(request, turn, out);
}

static void
a_lost_connection_fails_what_was_sent_and_is_made_anew(void **state)
{
	(void)state;
	fake_kmsd_start(hang_up_late);
	for (size_t i = 0; i < KMSC_ASYNC_IN_FLIGHT + 2; i++)
		send_one(i);
	serve_until(KMSC_ASYNC_IN_FLIGHT + 2);
	for (size_t i = 0; i < KMSC_ASYNC_IN_FLIGHT; i++) {
		assert_int_equal(seen[i].status, SLK_UNAVAILABLE);
		assert_int_equal(seen[i].done, 1);
	}
	/* What waited was not lost with it. */
	assert_ok(seen[KMSC_ASYNC_IN_FLIGHT].status);
	assert_ok(seen[KMSC_ASYNC_IN_FLIGHT + 1].status);
	assert_int_equal(kmsc_async_connections(client), 2);
	fake_kmsd_stop();
}

static int
mute(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	(void)request;
	(void)turn;
	(void)out;
	return 0;
}

static void
what_is_not_answered_in_time_ends(void **state)
{
	(void)state;
	fake_kmsd_start(mute);
	send_one(0);
	assert_int_equal(kmsc_async_next_ns(client), 1 + 1000 * SLK_NS_PER_MS);
	now_ns = 1000 * SLK_NS_PER_MS;
	kmsc_async_tick(client);
	assert_int_equal(seen[0].done, 0);
	now_ns++;
	kmsc_async_tick(client);
	assert_int_equal(seen[0].done, 1);
	assert_int_equal(seen[0].status, SLK_TIMEOUT);
	assert_int_equal(kmsc_async_pending(client), 0);
	fake_kmsd_stop();
}

static void
a_cancelled_call_is_not_heard_of(void **state)
{
	(void)state;
	uint64_t id, waiting = 0;

	fake_kmsd_start(echo);
	assert_ok(send_for(0, NULL, &id));
	for (size_t i = 1; i < KMSC_ASYNC_IN_FLIGHT; i++)
		send_one(i);
	assert_ok(send_for(KMSC_ASYNC_IN_FLIGHT, NULL, &waiting));
	kmsc_async_cancel(client, id);
	kmsc_async_cancel(client, waiting);
	send_one(KMSC_ASYNC_IN_FLIGHT + 1);
	serve_until(KMSC_ASYNC_IN_FLIGHT);
	assert_int_equal(seen[0].done, 0);
	assert_int_equal(seen[KMSC_ASYNC_IN_FLIGHT].done, 0);
	assert_int_equal(seen[KMSC_ASYNC_IN_FLIGHT + 1].done, 1);
	assert_int_equal(kmsc_async_pending(client), 0);
	fake_kmsd_stop();
}

static void
more_than_may_wait_is_refused(void **state)
{
	(void)state;
	uint64_t id;

	fake_kmsd_start(mute);
	for (size_t i = 0; i < KMSC_ASYNC_IN_FLIGHT + KMSC_ASYNC_WAITING; i++)
		assert_ok(send_for(0, NULL, &id));
	assert_int_equal(send_for(0, NULL, &id), SLK_LIMIT);
	now_ns += 2000 * SLK_NS_PER_MS;
	kmsc_async_tick(client);
	assert_int_equal(kmsc_async_pending(client), 0);
	assert_int_equal(seen[0].done, KMSC_ASYNC_IN_FLIGHT + KMSC_ASYNC_WAITING);
	fake_kmsd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_calls_share_a_connection, setup, teardown),
		cmocka_unit_test_setup_teardown(each_call_names_its_own_caller, setup, teardown),
		cmocka_unit_test_setup_teardown(a_refusal_is_an_answer, setup, teardown),
		cmocka_unit_test_setup_teardown(nobody_there_is_told_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_lost_connection_fails_what_was_sent_and_is_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_answered_in_time_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_cancelled_call_is_not_heard_of, setup, teardown),
		cmocka_unit_test_setup_teardown(more_than_may_wait_is_refused, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
