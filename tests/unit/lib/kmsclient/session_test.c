/* The client against a scripted kmsd: a thread that answers each request as its test says. */
#include "slk_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/sock.h"
#include "fake_kmsd.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/wire.h"

static struct kmsc *client;
static struct slk_error err;

static int
setup(void **state)
{
	(void)state;
	strcpy(fake_kmsd.dir, "/tmp/slk-kmsc-XXXXXX");
	if (mkdtemp(fake_kmsd.dir) == NULL)
		return -1;
	snprintf(fake_kmsd.path, sizeof(fake_kmsd.path), "%s/kms.sock", fake_kmsd.dir);
	memset(&err, 0, sizeof(err));
	return kmsc_new(fake_kmsd.path, 2000, &client);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	return rmdir(fake_kmsd.dir);
}

static int
status_ok(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Status s = KMSP__STATUS__INIT;

	(void)turn;
	s.requests = 42;
	r.result_case = KMSP__REPLY__RESULT_SERVICE;
	r.service = &s;
	return fake_kmsd_reply(request, &r, out);
}

static void
call_returns_what_was_answered(void **state)
{
	(void)state;
	struct kmsc_status status;

	fake_kmsd_start(status_ok);
	assert_ok(kmsc_status(client, &status, &err));
	assert_int_equal(status.requests, 42);
	assert_ok(kmsc_status(client, &status, &err));
	fake_kmsd_stop();
	assert_int_equal(fake_kmsd.connections, 1);
}

static void
no_kmsd_is_unavailable_with_a_sentence(void **state)
{
	(void)state;
	struct kmsc_status status;

	assert_int_equal(kmsc_status(client, &status, &err), SLK_UNAVAILABLE);
	assert_non_null(strstr(err.text, fake_kmsd.path));
}

static void
kmsd_that_accepts_nobody_costs_no_more_than_the_deadline(void **state)
{
	(void)state;
	struct kmsc *hasty = NULL;
	struct kmsc_status status;
	int lfd = -1, in_backlog = -1;

	assert_ok(slk_sock_listen(fake_kmsd.path, 0600, &lfd, &err));
	assert_int_equal(listen(lfd, 0), 0); /* room for one; the next waits to be accepted */
	assert_ok(slk_sock_connect(fake_kmsd.path, &in_backlog, &err));
	assert_ok(kmsc_new(fake_kmsd.path, 50, &hasty));
	assert_int_equal(kmsc_status(hasty, &status, &err), SLK_TIMEOUT);
	assert_non_null(strstr(err.text, "did not answer within 50 ms"));
	kmsc_free(hasty);
	close(in_backlog);
	close(lfd);
	assert_int_equal(unlink(fake_kmsd.path), 0);
}

static void
restarted_kmsd_is_found_again_by_the_next_call(void **state)
{
	(void)state;
	struct kmsc_status status;

	fake_kmsd_start(status_ok);
	assert_ok(kmsc_status(client, &status, &err));
	fake_kmsd_stop();
	assert_int_equal(kmsc_status(client, &status, &err), SLK_UNAVAILABLE);
	fake_kmsd_start(status_ok);
	assert_ok(kmsc_status(client, &status, &err));
	fake_kmsd_stop();
	fake_kmsd_start(status_ok); /* restarted while the client was idle: one call is enough */
	assert_ok(kmsc_status(client, &status, &err));
	fake_kmsd_stop();
}

static int
hang_up_once(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Key key = KMSP__KEY__INIT;

	if (turn == 0)
		return -1;
	r.result_case = KMSP__REPLY__RESULT_KEY;
	r.key = &key;
	return fake_kmsd_reply(request, &r, out);
}

static void
lost_answer_is_asked_for_again_if_that_does_no_harm(void **state)
{
	(void)state;
	struct kmsc_key key;

	fake_kmsd_start(hang_up_once);
	assert_ok(kmsc_describe_key(client, "k", &key, &err));
	fake_kmsd_stop();
	assert_int_equal(fake_kmsd.turns, 2);
}

static void
lost_answer_to_create_key_is_not_asked_for_again(void **state)
{
	(void)state;
	struct kmsc_key key;

	fake_kmsd_start(hang_up_once);
	assert_int_equal(kmsc_create_key(client, "d", &key, &err), SLK_UNAVAILABLE);
	fake_kmsd_stop();
	assert_int_equal(fake_kmsd.turns, 1);
	assert_non_null(strstr(err.text, "before you repeat it"));
}

static int
denied(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;

	(void)turn;
	r.status = SLK_DENIED;
	r.exception = (char *)"AccessDeniedException";
	r.message = (char *)"User: a is not authorized to perform: b on resource: c";
	r.request_id = (char *)"0001";
	return fake_kmsd_reply(request, &r, out);
}

static void
refusal_carries_its_name_and_sentence(void **state)
{
	(void)state;
	struct kmsc_key key;

	fake_kmsd_start(denied);
	assert_int_equal(kmsc_describe_key(client, "k", &key, &err), SLK_DENIED);
	fake_kmsd_stop();
	assert_string_equal(err.text,
		"AccessDeniedException: User: a is not authorized to perform: b on "
		"resource: c (request 0001)");
}

static int
strange_status(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;

	(void)turn;
	r.status = 12345;
	return fake_kmsd_reply(request, &r, out);
}

static void
status_that_is_not_in_the_list_is_internal(void **state)
{
	(void)state;
	struct kmsc_status status;

	fake_kmsd_start(strange_status);
	assert_int_equal(kmsc_status(client, &status, &err), SLK_INTERNAL);
	fake_kmsd_stop();
}

static int
garbage(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	(void)request;
	(void)turn;
	memset(out, 0xff, 100);
	return 100;
}

static void
garbage_is_refused_and_the_connection_dropped(void **state)
{
	(void)state;
	struct kmsc_status status;

	fake_kmsd_start(garbage);
	assert_int_equal(kmsc_status(client, &status, &err), SLK_INTERNAL);
	assert_int_equal(kmsc_status(client, &status, &err), SLK_INTERNAL);
	fake_kmsd_stop();
	assert_int_equal(fake_kmsd.connections, 2);
}

static int
other_result(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Key key = KMSP__KEY__INIT;

	(void)turn;
	r.result_case = KMSP__REPLY__RESULT_KEY;
	r.key = &key;
	return fake_kmsd_reply(request, &r, out);
}

static void
answer_of_another_kind_is_refused(void **state)
{
	(void)state;
	struct kmsc_status status;

	fake_kmsd_start(other_result);
	assert_int_equal(kmsc_status(client, &status, &err), SLK_INTERNAL);
	fake_kmsd_stop();
}

static int
silent_once(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	return turn == 0 ? 0 : status_ok(request, turn, out);
}

static void
silence_ends_at_the_deadline_and_the_next_call_works(void **state)
{
	(void)state;
	struct kmsc *quick = NULL;
	struct kmsc_status status;

	assert_ok(kmsc_new(fake_kmsd.path, 50, &quick));
	fake_kmsd_start(silent_once);
	assert_int_equal(kmsc_status(quick, &status, &err), SLK_TIMEOUT);
	assert_ok(kmsc_status(quick, &status, &err));
	kmsc_free(quick);
	fake_kmsd_stop();
}

static uint64_t stale_id;

static int
late_answer_first(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Status s = KMSP__STATUS__INIT;

	if (turn == 0) {
		stale_id = request->id;
		return 0;
	}
	s.requests = turn;
	r.id = turn == 1 ? stale_id : request->id;
	r.result_case = KMSP__REPLY__RESULT_SERVICE;
	r.service = &s;
	return fake_kmsd_reply(request, &r, out);
}

static void
late_answer_to_an_old_call_is_not_taken_for_the_new_one(void **state)
{
	(void)state;
	struct kmsc *quick = NULL;
	struct kmsc_status status;

	assert_ok(kmsc_new(fake_kmsd.path, 50, &quick));
	fake_kmsd_start(late_answer_first);
	assert_int_equal(kmsc_status(quick, &status, &err), SLK_TIMEOUT);
	assert_int_equal(
		kmsc_status(quick, &status, &err), SLK_TIMEOUT); /* only the stale one came */
	assert_ok(kmsc_status(quick, &status, &err));
	assert_int_equal(status.requests, 2);
	kmsc_free(quick);
	fake_kmsd_stop();
}

static int
data_key(const Kmsp__Request *request, unsigned turn, uint8_t *out)
{
	static uint8_t plain[64], blob[100];
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__Cipher cipher = KMSP__CIPHER__INIT;

	memset(plain, 0xab, sizeof(plain));
	cipher.key_arn = (char *)"arn:x";
	cipher.blob = (ProtobufCBinaryData){sizeof(blob), blob};
	cipher.plaintext = (ProtobufCBinaryData){turn == 0 ? 32 : 31, plain};
	r.result_case = KMSP__REPLY__RESULT_CIPHER;
	r.cipher = &cipher;
	return fake_kmsd_reply(request, &r, out);
}

static void
data_key_arrives_as_a_secret(void **state)
{
	(void)state;
	struct kmsc_data_key dk;
	uint8_t expected[32];

	memset(expected, 0xab, sizeof(expected));
	fake_kmsd_start(data_key);
	assert_ok(kmsc_generate_data_key(client, "k", NULL, &dk, &err));
	assert_int_equal(slk_secret_len(dk.plaintext), 32);
	assert_memory_equal(slk_secret_peek(dk.plaintext), expected, 32);
	assert_int_equal(dk.blob_len, 100);
	kmsc_data_key_fini(&dk);
	assert_null(dk.plaintext);
	assert_int_equal(
		kmsc_generate_data_key(client, "k", NULL, &dk, &err), SLK_INTERNAL); /* 31 bytes */
	assert_int_equal(kmsc_generate_data_key_without_plaintext(client, "k", NULL, &dk, &err),
		SLK_INTERNAL);
	fake_kmsd_stop();
}

static void
child_must_make_its_own_client(void **state)
{
	(void)state;
	struct kmsc_status status;
	int wait_status = 0;

	fake_kmsd_start(status_ok);
	assert_ok(kmsc_status(client, &status, &err));
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(kmsc_status(client, &status, NULL) == SLK_INVALID_STATE ? 0 : 1);
	assert_int_equal(waitpid(pid, &wait_status, 0), pid);
	assert_int_equal(wait_status, 0);
	assert_ok(kmsc_status(client, &status, &err));
	fake_kmsd_stop();
	assert_int_equal(fake_kmsd.connections, 1);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(call_returns_what_was_answered),
		CASE(no_kmsd_is_unavailable_with_a_sentence),
		CASE(kmsd_that_accepts_nobody_costs_no_more_than_the_deadline),
		CASE(restarted_kmsd_is_found_again_by_the_next_call),
		CASE(lost_answer_is_asked_for_again_if_that_does_no_harm),
		CASE(lost_answer_to_create_key_is_not_asked_for_again),
		CASE(refusal_carries_its_name_and_sentence),
		CASE(status_that_is_not_in_the_list_is_internal),
		CASE(garbage_is_refused_and_the_connection_dropped),
		CASE(answer_of_another_kind_is_refused),
		CASE(silence_ends_at_the_deadline_and_the_next_call_works),
		CASE(late_answer_to_an_old_call_is_not_taken_for_the_new_one),
		CASE(data_key_arrives_as_a_secret),
		CASE(child_must_make_its_own_client),
	};

	return cmocka_run_group_tests_name("kmsclient_session", tests, NULL, NULL);
}
