/* The link against a worker that the test plays by hand, under a clock that the test owns. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sock.h"
#include "hsm/link.h"
#include "hsm/wire.h"

struct fixture {
	uint64_t now_ns;
	struct slk_clock clock;
	struct hsm_link *link;
	int worker; /* the test's end of the worker socket, -1 if none */
	int others[3]; /* with several workers: the test's ends */
	int monitor; /* the test's end of the control socket */
	int calls; /* answers seen */
	struct hsm_reply last;
	uint8_t bytes[HSM_MESSAGE_MAX]; /* copy of the last plaintext */
	bool resubmit;
};

static uint64_t
fake_mono(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

static void
pair(int out[2])
{
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out), 0);
}

static void
give_worker(struct fixture *f)
{
	int fds[2];

	if (f->worker >= 0)
		close(f->worker);
	pair(fds);
	f->worker = fds[1];
	hsm_link_replace_fd(f->link, fds[0]);
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	f->now_ns = 1000 * SLK_NS_PER_S;
	f->clock = (struct slk_clock){fake_mono, fake_mono, f};
	pair(fds);
	f->monitor = fds[1];
	f->worker = f->others[0] = f->others[1] = f->others[2] = -1;
	assert_ok(hsm_link_new(fds[0], &f->clock, &f->link));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	f->resubmit = false;
	hsm_link_free(f->link);
	if (f->worker >= 0)
		close(f->worker);
	if (f->monitor >= 0)
		close(f->monitor);
	for (int i = 0; i < 3; i++) {
		if (f->others[i] >= 0)
			close(f->others[i]);
	}
	free(f);
	return 0;
}

static const struct hsm_request random_request = {.op = HSM_RANDOM, .length = 16};

static void
done(void *arg, const struct hsm_reply *reply)
{
	struct fixture *f = arg;

	f->calls++;
	f->last = *reply;
	if (reply->plaintext.len > 0)
		memcpy(f->bytes, reply->plaintext.ptr, reply->plaintext.len);
	if (f->resubmit)
		assert_ok(hsm_link_submit(f->link, &random_request, done, f));
}

static void
submit(struct fixture *f)
{
	assert_ok(hsm_link_submit(f->link, &random_request, done, f));
}

/* What the worker sees next. */
static int
worker_receive(struct fixture *f, struct hsm_wire_request *out)
{
	static uint8_t bytes[HSM_MESSAGE_MAX];
	size_t len;
	int rc = slk_sock_posix()->recv(NULL, f->worker, bytes, sizeof(bytes), &len);

	return rc == SLK_OK ? hsm_wire_decode_request(slk_span(bytes, len), out) : rc;
}

static void
worker_answer(struct fixture *f, uint64_t call_id, const char *plaintext)
{
	struct hsm_wire_reply m = {.call_id = call_id, .reply = {.op = HSM_RANDOM}};
	uint8_t bytes[HSM_MESSAGE_MAX];
	size_t len;

	m.reply.plaintext = slk_span_str(plaintext);
	assert_ok(hsm_wire_encode_reply(&m, bytes, sizeof(bytes), &len));
	assert_ok(slk_sock_posix()->send(NULL, f->worker, bytes, len));
}

static void
poll_link(struct fixture *f)
{
	assert_ok(hsm_link_poll(f->link));
}

static void
a_call_is_answered_by_the_worker(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	submit(f);
	assert_ok(worker_receive(f, &m));
	assert_int_equal(m.request.mono_deadline_ns, f->now_ns + HSM_DEADLINE_DEFAULT_NS);
	worker_answer(f, m.call_id, "sixteen bytes ..");
	assert_int_equal(f->calls, 0);
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_ok(f->last.status);
	assert_memory_equal(f->bytes, "sixteen bytes ..", 16);
	assert_int_equal(hsm_link_pending_count(f->link), 0);
}

static void
answers_may_come_in_any_order(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request a, b;

	give_worker(f);
	submit(f);
	submit(f);
	assert_ok(worker_receive(f, &a));
	assert_ok(worker_receive(f, &b));
	worker_answer(f, b.call_id, "b");
	poll_link(f);
	assert_int_equal(f->calls, 1);
	worker_answer(f, a.call_id, "a");
	poll_link(f);
	assert_int_equal(f->calls, 2);
}

static void
gathered_calls_leave_with_the_next_poll_or_when_eight_have_come(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	hsm_link_gather(f->link, false);
	for (int i = 0; i < 7; i++)
		submit(f);
	assert_int_equal(worker_receive(f, &m), SLK_AGAIN);
	submit(f);
	for (int i = 0; i < 8; i++)
		assert_ok(worker_receive(f, &m));
	submit(f);
	assert_int_equal(worker_receive(f, &m), SLK_AGAIN);
	hsm_link_send(f->link);
	assert_ok(worker_receive(f, &m));
	submit(f);
	poll_link(f);
	assert_ok(worker_receive(f, &m));
	assert_int_equal(f->calls, 0);
}

/* Answer all that came in one datagram by one; how many there were. */
static unsigned
worker_answer_together(struct fixture *f)
{
	static uint8_t in[HSM_MESSAGE_MAX], out[HSM_MESSAGE_MAX];
	struct hsm_wire_request m;
	unsigned count = 0;
	size_t len, used = 0;

	if (slk_sock_posix()->recv(NULL, f->worker, in, sizeof(in), &len) != SLK_OK)
		return 0;
	for (struct slk_span rest = slk_span(in, len); rest.len > 0; count++) {
		assert_ok(hsm_wire_decode_request(hsm_wire_cut_request(&rest), &m));
		struct hsm_wire_reply reply = {.call_id = m.call_id, .reply = {.op = HSM_RANDOM}};
		reply.reply.plaintext = slk_span_str("x");
		assert_ok(hsm_wire_encode_reply(&reply, out + used, sizeof(out) - used, &len));
		used += len;
	}
	assert_ok(slk_sock_posix()->send(NULL, f->worker, out, used));
	return count;
}

static void
a_crowd_of_calls_goes_together_and_is_answered_whole(void **state)
{
	struct fixture *f = *state;

	hsm_link_gather(f->link, true);
	for (int i = 0; i < 100; i++)
		submit(f);
	give_worker(f);
	for (int i = 0; i < 12; i++)
		assert_int_equal(worker_answer_together(f), HSM_TOGETHER_MAX);
	assert_int_equal(worker_answer_together(f), 4);
	assert_int_equal(worker_answer_together(f), 0);
	poll_link(f);
	assert_int_equal(f->calls, 100);
	assert_ok(f->last.status);
	assert_int_equal(hsm_link_pending_count(f->link), 0);
}

/* The first of two in a datagram counts; the worker is dropped for the second. */
static void
nonsense_behind_a_reply_costs_the_worker_and_not_that_reply(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_reply reply = {.reply = {.op = HSM_RANDOM}};
	struct hsm_wire_request a, b;
	uint8_t bytes[512];
	size_t len;

	give_worker(f);
	submit(f);
	submit(f);
	assert_ok(worker_receive(f, &a));
	assert_ok(worker_receive(f, &b));
	reply.call_id = a.call_id;
	assert_ok(hsm_wire_encode_reply(&reply, bytes, sizeof(bytes), &len));
	memset(bytes + len, 0xff, 100);
	assert_ok(slk_sock_posix()->send(NULL, f->worker, bytes, len + 100));
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_ok(f->last.status);
	assert_false(hsm_link_has_worker(f->link));
}

static void
an_answer_to_nobody_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	submit(f);
	assert_ok(worker_receive(f, &m));
	worker_answer(f, m.call_id + 256, "x");
	poll_link(f);
	assert_int_equal(f->calls, 0);
	worker_answer(f, m.call_id, "y");
	worker_answer(f, m.call_id, "y again");
	poll_link(f);
	assert_int_equal(f->calls, 1);
}

static void
a_late_call_times_out_once(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	submit(f);
	f->now_ns += HSM_DEADLINE_DEFAULT_NS - 1;
	poll_link(f);
	assert_int_equal(f->calls, 0);
	f->now_ns += 1;
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_TIMEOUT);
	assert_ok(worker_receive(f, &m));
	worker_answer(f, m.call_id, "too late");
	poll_link(f);
	assert_int_equal(f->calls, 1);
}

static void
calls_wait_for_a_worker_and_are_unavailable_at_their_deadline(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	submit(f);
	poll_link(f);
	assert_int_equal(f->calls, 0);
	give_worker(f);
	assert_ok(worker_receive(f, &m));
	hsm_link_replace_fd(f->link, -1);
	f->now_ns += HSM_DEADLINE_DEFAULT_NS;
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_UNAVAILABLE);
}

static void
a_call_is_sent_to_the_next_worker_once_and_then_given_up(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request first, second;

	give_worker(f);
	submit(f);
	assert_ok(worker_receive(f, &first));
	close(f->worker);
	f->worker = -1;
	poll_link(f);
	assert_false(hsm_link_has_worker(f->link));
	assert_int_equal(f->calls, 0);
	give_worker(f);
	assert_ok(worker_receive(f, &second));
	assert_int_equal(first.call_id, second.call_id);
	close(f->worker);
	f->worker = -1;
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_UNAVAILABLE);
}

static void
what_the_worker_said_before_it_ended_is_heard(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	submit(f);
	assert_ok(worker_receive(f, &m));
	worker_answer(f, m.call_id, "last words");
	close(f->worker);
	f->worker = -1;
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_ok(f->last.status);
}

static void
expect_stuck_report(struct fixture *f, uint64_t number)
{
	uint8_t bytes[HSM_CONTROL_BYTES];
	struct hsm_control control;
	size_t len;

	assert_ok(slk_sock_posix()->recv(NULL, f->monitor, bytes, sizeof(bytes), &len));
	assert_ok(hsm_wire_decode_control(slk_span(bytes, len), &control));
	assert_int_equal(control.kind, HSM_CONTROL_STUCK);
	assert_int_equal(control.worker_number, number);
}

static void
pass_worker(struct fixture *f, uint64_t number)
{
	uint8_t bytes[HSM_CONTROL_BYTES];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} anc = {{0}};
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = anc.room,
		.msg_controllen = sizeof(anc)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int fds[2];

	pair(fds);
	hsm_wire_encode_control(&(struct hsm_control){HSM_CONTROL_WORKER, number}, bytes);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fds[0], sizeof(int));
	assert_int_equal(sendmsg(f->monitor, &msg, 0), HSM_CONTROL_BYTES);
	close(fds[0]);
	f->worker = fds[1];
}

static void
a_silent_worker_is_reported_to_the_monitor(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[HSM_CONTROL_BYTES];
	size_t len;

	pass_worker(f, 3);
	poll_link(f);
	assert_true(hsm_link_has_worker(f->link));
	submit(f);
	f->now_ns += HSM_DEADLINE_DEFAULT_NS;
	poll_link(f);
	assert_int_equal(
		slk_sock_posix()->recv(NULL, f->monitor, bytes, sizeof(bytes), &len), SLK_AGAIN);
	f->now_ns += 2 * SLK_NS_PER_S;
	poll_link(f);
	expect_stuck_report(f, 3);
	assert_false(hsm_link_has_worker(f->link));
}

static void
a_worker_that_answers_late_is_not_stuck(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;
	uint8_t bytes[HSM_CONTROL_BYTES];
	size_t len;

	pass_worker(f, 3);
	poll_link(f);
	submit(f);
	f->now_ns += HSM_DEADLINE_DEFAULT_NS;
	poll_link(f);
	assert_ok(worker_receive(f, &m));
	worker_answer(f, m.call_id, "late");
	poll_link(f);
	f->now_ns += 100 * SLK_NS_PER_S;
	poll_link(f);
	assert_int_equal(
		slk_sock_posix()->recv(NULL, f->monitor, bytes, sizeof(bytes), &len), SLK_AGAIN);
	assert_true(hsm_link_has_worker(f->link));
}

static void
a_worker_that_talks_nonsense_is_reported(void **state)
{
	struct fixture *f = *state;

	pass_worker(f, 9);
	poll_link(f);
	submit(f);
	assert_ok(slk_sock_posix()->send(NULL, f->worker, "nonsense", 8));
	poll_link(f);
	expect_stuck_report(f, 9);
	assert_false(hsm_link_has_worker(f->link));
	assert_int_equal(f->calls, 0);
}

static void
the_end_of_the_monitor_ends_the_link(void **state)
{
	struct fixture *f = *state;

	poll_link(f);
	close(f->monitor);
	f->monitor = -1;
	assert_int_equal(hsm_link_poll(f->link), SLK_CLOSED);
}

static void
the_news_that_an_older_worker_ended_changes_nothing(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[HSM_CONTROL_BYTES];

	pass_worker(f, 2);
	poll_link(f);
	hsm_wire_encode_control(&(struct hsm_control){HSM_CONTROL_NO_WORKER, 1}, bytes);
	assert_ok(slk_sock_posix()->send(NULL, f->monitor, bytes, sizeof(bytes)));
	poll_link(f);
	assert_true(hsm_link_has_worker(f->link));
	hsm_wire_encode_control(&(struct hsm_control){HSM_CONTROL_NO_WORKER, 2}, bytes);
	assert_ok(slk_sock_posix()->send(NULL, f->monitor, bytes, sizeof(bytes)));
	poll_link(f);
	assert_false(hsm_link_has_worker(f->link));
}

static void
more_calls_than_may_pend_are_refused(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < HSM_PENDING_MAX; i++)
		submit(f);
	assert_int_equal(hsm_link_submit(f->link, &random_request, done, f), SLK_FULL);
	f->now_ns += HSM_DEADLINE_DEFAULT_NS;
	poll_link(f);
	assert_int_equal(f->calls, HSM_PENDING_MAX);
	assert_int_equal(hsm_link_pending_count(f->link), 0);
	submit(f);
}

static void
a_callback_may_submit_again(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_worker(f);
	submit(f);
	assert_ok(worker_receive(f, &m));
	f->resubmit = true;
	worker_answer(f, m.call_id, "x");
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_ok(worker_receive(f, &m));
	assert_int_equal(hsm_link_pending_count(f->link), 1);
}

static void
a_bad_request_is_refused_at_once(void **state)
{
	struct fixture *f = *state;
	struct hsm_request bad = {.op = HSM_RANDOM, .length = 0};

	give_worker(f);
	assert_int_equal(hsm_link_submit(f->link, &bad, done, f), SLK_INVALID);
	assert_int_equal(hsm_link_pending_count(f->link), 0);
	poll_link(f);
	assert_int_equal(f->calls, 0);
}

static void
status_without_a_worker_says_so(void **state)
{
	struct fixture *f = *state;
	struct hsm_request status = {.op = HSM_STATUS};

	assert_ok(hsm_link_submit(f->link, &status, done, f));
	assert_int_equal(f->calls, 0);
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.health.state, HSM_NO_WORKER);
}

static void
freeing_the_link_answers_what_pends(void **state)
{
	struct fixture *f = *state;

	give_worker(f);
	submit(f);
	hsm_link_free(f->link);
	f->link = NULL;
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_UNAVAILABLE);
}

/* --- several workers --- */

static void
give_workers(struct fixture *f, int count)
{
	for (int i = 0; i < count; i++) {
		pass_worker(f, (uint64_t)i + 1);
		f->others[i] = f->worker;
		f->worker = -1;
	}
	poll_link(f);
}

/* What waits at the i-th worker; its last request in *out. */
static int
waiting_at(struct fixture *f, int i, struct hsm_wire_request *out)
{
	int count = 0;

	f->worker = f->others[i];
	while (worker_receive(f, out) == SLK_OK)
		count++;
	f->worker = -1;
	return count;
}

static void
answer_from(struct fixture *f, int i, const struct hsm_wire_request *m, int status)
{
	struct hsm_wire_reply reply = {.call_id = m->call_id, .reply = {.op = m->request.op}};
	uint8_t bytes[HSM_MESSAGE_MAX];
	size_t len;

	reply.reply.status = status;
	if (status == SLK_OK && m->request.op == HSM_RANDOM)
		reply.reply.plaintext = slk_span_str("random");
	assert_ok(hsm_wire_encode_reply(&reply, bytes, sizeof(bytes), &len));
	assert_ok(slk_sock_posix()->send(NULL, f->others[i], bytes, len));
	poll_link(f);
}

static void
end_worker(struct fixture *f, int i)
{
	close(f->others[i]);
	f->others[i] = -1;
	poll_link(f);
}

static void
tell_ended(struct fixture *f, uint64_t number)
{
	uint8_t bytes[HSM_CONTROL_BYTES];

	hsm_wire_encode_control(&(struct hsm_control){HSM_CONTROL_NO_WORKER, number}, bytes);
	assert_ok(slk_sock_posix()->send(NULL, f->monitor, bytes, sizeof(bytes)));
	poll_link(f);
}

static void
submit_create(struct fixture *f, uint8_t fill)
{
	struct hsm_request q = {.op = HSM_CREATE_KEY,
		.spec = KMS_SPEC_SYMMETRIC_DEFAULT,
		.usage = KMS_USAGE_ENCRYPT_DECRYPT};

	memset(q.key_id, fill, sizeof(q.key_id));
	assert_ok(hsm_link_submit(f->link, &q, done, f));
}

static void
calls_go_to_the_worker_with_the_fewest(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request a, b, c;

	give_workers(f, 3);
	for (int i = 0; i < 9; i++)
		submit(f);
	assert_int_equal(waiting_at(f, 0, &a), 3);
	assert_int_equal(waiting_at(f, 1, &b), 3);
	assert_int_equal(waiting_at(f, 2, &c), 3);
	/* The quick one gets the next ones. */
	answer_from(f, 1, &b, SLK_OK);
	submit(f);
	assert_int_equal(waiting_at(f, 1, &b), 1);
	assert_int_equal(waiting_at(f, 0, &a) + waiting_at(f, 2, &c), 0);
}

static void
the_calls_of_a_dead_worker_are_repeated_by_another(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_workers(f, 2);
	for (int i = 0; i < 4; i++)
		submit(f);
	assert_int_equal(waiting_at(f, 0, &m), 2);
	end_worker(f, 1);
	assert_int_equal(waiting_at(f, 0, &m), 2);
	assert_int_equal(f->calls, 0);
	answer_from(f, 0, &m, SLK_OK);
	assert_int_equal(f->calls, 1);
	assert_true(hsm_link_has_worker(f->link));
}

static void
a_worker_without_a_token_is_passed_over_while_another_is_well(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m, other;
	int lost, well;

	give_workers(f, 2);
	submit(f);
	lost = waiting_at(f, 0, &m) == 1 ? 0 : 1;
	if (lost == 1)
		assert_int_equal(waiting_at(f, 1, &m), 1);
	well = 1 - lost;
	answer_from(f, lost, &m, SLK_UNAVAILABLE);
	assert_int_equal(f->calls, 0);
	assert_int_equal(waiting_at(f, well, &other), 1);
	assert_int_equal(other.call_id, m.call_id);
	submit(f);
	assert_int_equal(waiting_at(f, lost, &m), 0);
	/* When both say so, so does the link. */
	answer_from(f, well, &other, SLK_PIN);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_PIN);
	/* After a while it is asked again. */
	f->now_ns += SLK_NS_PER_S;
	for (int i = 0; i < 3; i++)
		submit(f);
	assert_in_range(waiting_at(f, lost, &m), 1, 3);
}

static void
an_error_that_is_the_calls_own_is_not_repeated(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_workers(f, 2);
	submit(f);
	int who = waiting_at(f, 0, &m) == 1 ? 0 : 1;
	if (who == 1)
		assert_int_equal(waiting_at(f, 1, &m), 1);
	answer_from(f, who, &m, SLK_HSM);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.status, SLK_HSM);
	assert_int_equal(waiting_at(f, 1 - who, &m), 0);
}

static void
keys_are_made_by_one_worker_for_one_id(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_workers(f, 3);
	for (uint8_t id = 1; id < 20; id++) {
		int asked = 0;
		submit_create(f, id);
		submit_create(f, id);
		submit_create(f, id);
		for (int i = 0; i < 3; i++) {
			int count = waiting_at(f, i, &m);
			assert_true(count == 0 || count == 3);
			asked += count;
		}
		assert_int_equal(asked, 3);
	}
}

static void
a_creation_of_a_stuck_worker_waits_for_its_end(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;
	struct hsm_request status = {.op = HSM_STATUS};

	give_workers(f, 2);
	submit_create(f, 5);
	int home = waiting_at(f, 0, &m) == 1 ? 0 : 1;
	if (home == 1)
		assert_int_equal(waiting_at(f, 1, &m), 1);
	/* Its loop answers nothing: a question of a second, and two seconds of silence. */
	status.worker_index = (uint32_t)home;
	status.mono_deadline_ns = f->now_ns + SLK_NS_PER_S;
	assert_ok(hsm_link_submit(f->link, &status, done, f));
	f->now_ns += SLK_NS_PER_S;
	poll_link(f);
	assert_int_equal(f->calls, 1);
	f->now_ns += 2 * SLK_NS_PER_S;
	poll_link(f);
	expect_stuck_report(f, (uint64_t)home + 1);
	assert_int_equal(waiting_at(f, 1 - home, &m), 0);
	submit_create(f, 5);
	assert_int_equal(waiting_at(f, 1 - home, &m), 0);
	tell_ended(f, (uint64_t)home + 1);
	assert_int_equal(waiting_at(f, 1 - home, &m), 2);
	answer_from(f, 1 - home, &m, SLK_OK);
	assert_ok(f->last.status);
}

static void
other_calls_of_a_stuck_worker_do_not_wait(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;
	struct hsm_request status = {.op = HSM_STATUS, .worker_index = 1};

	give_workers(f, 2);
	submit(f);
	submit(f);
	assert_int_equal(waiting_at(f, 0, &m), 1);
	status.mono_deadline_ns = f->now_ns + SLK_NS_PER_S;
	assert_ok(hsm_link_submit(f->link, &status, done, f));
	f->now_ns += SLK_NS_PER_S;
	poll_link(f);
	/* Suspected: it gets nothing new. */
	submit(f);
	submit(f);
	assert_int_equal(waiting_at(f, 0, &m), 2);
	f->now_ns += 2 * SLK_NS_PER_S;
	poll_link(f);
	expect_stuck_report(f, 2);
	assert_int_equal(waiting_at(f, 0, &m), 1);
}

static void
encryptions_of_a_lost_answer_are_counted(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;
	struct hsm_request q = {
		.op = HSM_GENERATE_DATA_KEY, .length = 32, .aad = slk_span_str("aad")};

	memset(q.key_id, 7, sizeof(q.key_id));
	give_workers(f, 2);
	assert_ok(hsm_link_submit(f->link, &q, done, f));
	int who = waiting_at(f, 0, &m) == 1 ? 0 : 1;
	end_worker(f, who);
	assert_int_equal(waiting_at(f, 1 - who, &m), 1);
	answer_from(f, 1 - who, &m, SLK_HSM);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.encryptions_count, 2);
}

static void
status_is_asked_of_the_named_worker(void **state)
{
	struct fixture *f = *state;
	struct hsm_wire_request m;

	give_workers(f, 2);
	for (uint32_t i = 0; i < 2; i++) {
		struct hsm_request status = {.op = HSM_STATUS, .worker_index = i};
		assert_ok(hsm_link_submit(f->link, &status, done, f));
		assert_int_equal(waiting_at(f, (int)i, &m), 1);
		assert_int_equal(waiting_at(f, 1 - (int)i, &m), 0);
	}
	struct hsm_request none = {.op = HSM_STATUS, .worker_index = 5};
	assert_ok(hsm_link_submit(f->link, &none, done, f));
	poll_link(f);
	assert_int_equal(f->calls, 1);
	assert_int_equal(f->last.health.state, HSM_NO_WORKER);
	none.worker_index = HSM_WORKERS_MAX;
	assert_int_equal(hsm_link_submit(f->link, &none, done, f), SLK_INVALID);
}

static void
only_a_worker_that_takes_in_turn_is_busy(void **state)
{
	struct fixture *f = *state;

	hsm_link_gather(f->link, false);
	give_worker(f);
	for (unsigned i = 0; i < 2 * HSM_TOGETHER_MAX; i++)
		submit(f);
	hsm_link_send(f->link);
	assert_false(hsm_link_is_busy(f->link));
}

static void
a_worker_is_busy_with_two_whole_messages(void **state)
{
	struct fixture *f = *state;

	hsm_link_gather(f->link, true);
	assert_false(hsm_link_is_busy(f->link)); /* there is none */
	give_worker(f);
	assert_false(hsm_link_is_busy(f->link));
	for (unsigned i = 0; i < 2 * HSM_TOGETHER_MAX - 1; i++)
		submit(f);
	hsm_link_send(f->link);
	assert_false(hsm_link_is_busy(f->link));
	submit(f);
	hsm_link_send(f->link);
	assert_true(hsm_link_is_busy(f->link));
	f->now_ns += HSM_DEADLINE_DEFAULT_NS;
	poll_link(f);
	assert_false(hsm_link_is_busy(f->link)); /* it is silent, and has nothing */
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_call_is_answered_by_the_worker),
		T(answers_may_come_in_any_order),
		T(gathered_calls_leave_with_the_next_poll_or_when_eight_have_come),
		T(a_crowd_of_calls_goes_together_and_is_answered_whole),
		T(nonsense_behind_a_reply_costs_the_worker_and_not_that_reply),
		T(an_answer_to_nobody_is_ignored),
		T(a_late_call_times_out_once),
		T(calls_wait_for_a_worker_and_are_unavailable_at_their_deadline),
		T(a_call_is_sent_to_the_next_worker_once_and_then_given_up),
		T(what_the_worker_said_before_it_ended_is_heard),
		T(a_silent_worker_is_reported_to_the_monitor),
		T(a_worker_that_answers_late_is_not_stuck),
		T(a_worker_that_talks_nonsense_is_reported),
		T(the_end_of_the_monitor_ends_the_link),
		T(the_news_that_an_older_worker_ended_changes_nothing),
		T(more_calls_than_may_pend_are_refused),
		T(a_callback_may_submit_again),
		T(a_bad_request_is_refused_at_once),
		T(status_without_a_worker_says_so),
		T(freeing_the_link_answers_what_pends),
		T(calls_go_to_the_worker_with_the_fewest),
		T(the_calls_of_a_dead_worker_are_repeated_by_another),
		T(a_worker_without_a_token_is_passed_over_while_another_is_well),
		T(an_error_that_is_the_calls_own_is_not_repeated),
		T(keys_are_made_by_one_worker_for_one_id),
		T(a_creation_of_a_stuck_worker_waits_for_its_end),
		T(other_calls_of_a_stuck_worker_do_not_wait),
		T(encryptions_of_a_lost_answer_are_counted),
		T(status_is_asked_of_the_named_worker),
		T(only_a_worker_that_takes_in_turn_is_busy),
		T(a_worker_is_busy_with_two_whole_messages),
	};
	return cmocka_run_group_tests_name("hsm_link", tests, NULL, NULL);
}
