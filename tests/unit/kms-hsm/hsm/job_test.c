/* What the worker takes from its socket at once. */
#include "slk_test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hsm/job.h"

struct fixture {
	struct hsm_jobs jobs;
	struct hsm_job *in[HSM_JOBS_TAKEN_MAX];
	int front; /* the test's end of the socket */
	uint64_t next_id;
};

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	hsm_jobs_init(&f->jobs, fds[0]);
	f->front = fds[1];
	for (unsigned i = 0; i < HSM_JOBS_TAKEN_MAX; i++) {
		f->in[i] = hsm_jobs_take(&f->jobs);
		assert_non_null(f->in[i]);
	}
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	hsm_jobs_fini(&f->jobs);
	close(f->jobs.fd);
	if (f->front >= 0)
		close(f->front);
	free(f);
	return 0;
}

/* One datagram of that many requests; their ids go on from 1. */
static void
send_together(struct fixture *f, unsigned count)
{
	static uint8_t bytes[HSM_MESSAGE_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < count; i++) {
		const struct hsm_wire_request m = {.call_id = ++f->next_id,
			.request = {.op = HSM_RANDOM, .length = 16, .mono_deadline_ns = 1}};
		size_t one = 0;
		assert_ok(hsm_wire_encode_request(&m, bytes + len, sizeof(bytes) - len, &one));
		len += one;
	}
	assert_int_equal(send(f->front, bytes, len, 0), len);
}

static void
assert_ids(const struct fixture *f, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(f->in[i]->request.call_id, first + i);
}

static int
receive(struct fixture *f, unsigned room, unsigned *out_count)
{
	return hsm_jobs_receive(&f->jobs, f->in, room, out_count);
}

static void
requests_that_came_one_by_one_are_taken_together(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	for (int i = 0; i < 3; i++)
		send_together(f, 1);
	assert_ok(receive(f, HSM_JOBS_TAKEN_MAX, &count));
	assert_int_equal(count, 3);
	assert_ids(f, 1, 3);
}

static void
no_more_than_two_whole_messages_are_taken(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, HSM_JOBS_AT_ONCE - 1);
	send_together(f, HSM_JOBS_AT_ONCE);
	send_together(f, 1);
	assert_ok(receive(f, HSM_JOBS_TAKEN_MAX, &count));
	assert_int_equal(count, HSM_JOBS_TAKEN_MAX);
	assert_ids(f, 1, HSM_JOBS_TAKEN_MAX);
	assert_ok(receive(f, HSM_JOBS_TAKEN_MAX, &count));
	assert_int_equal(count, 1);
	assert_ids(f, HSM_JOBS_TAKEN_MAX + 1, 1);
}

static void
a_whole_message_is_enough(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, HSM_JOBS_AT_ONCE);
	send_together(f, 1);
	assert_ok(receive(f, HSM_JOBS_TAKEN_MAX, &count));
	assert_int_equal(count, HSM_JOBS_AT_ONCE);
}

/* Several threads take one each. */
static void
one_job_takes_one_request(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, 1);
	send_together(f, 1);
	assert_ok(receive(f, 1, &count));
	assert_int_equal(count, 1);
	assert_ids(f, 1, 1);
	send_together(f, 2);
	assert_ok(receive(f, 1, &count));
	assert_int_equal(receive(f, 1, &count), SLK_MALFORMED);
	assert_int_equal(count, 1);
}

static void
more_in_one_message_than_allowed_is_refused(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, HSM_JOBS_AT_ONCE + 1);
	assert_int_equal(receive(f, HSM_JOBS_TAKEN_MAX, &count), SLK_MALFORMED);
	assert_int_equal(count, HSM_JOBS_AT_ONCE);
}

/* What came before is done all the same. */
static void
the_end_behind_a_request_is_told_with_it(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, 1);
	close(f->front);
	f->front = -1;
	assert_int_equal(receive(f, HSM_JOBS_TAKEN_MAX, &count), SLK_CLOSED);
	assert_int_equal(count, 1);
	assert_ids(f, 1, 1);
}

static void
nonsense_behind_a_request_is_told_with_it(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	send_together(f, 1);
	assert_int_equal(send(f->front, "nonsense", 8, 0), 8);
	assert_int_not_equal(receive(f, HSM_JOBS_TAKEN_MAX, &count), SLK_OK);
	assert_int_equal(count, 1);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_that_came_one_by_one_are_taken_together),
		T(no_more_than_two_whole_messages_are_taken),
		T(a_whole_message_is_enough),
		T(one_job_takes_one_request),
		T(more_in_one_message_than_allowed_is_refused),
		T(the_end_behind_a_request_is_told_with_it),
		T(nonsense_behind_a_request_is_told_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
