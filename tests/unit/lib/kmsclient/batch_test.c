/* Batches of ReEncrypt against a scripted kmsd, which takes several requests before it answers, in an order of its own. */
#include "slk_test.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sock.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/wire.h"

#define GROUP 4u /* requests of a batch, here */

/* A request is its blob's first byte; its answer is that byte and one. */
static struct {
	char dir[64], path[100];
	int listen_fd, stop_pipe[2];
	pthread_t thread;
	unsigned hang_ups; /* connections that end after two requests */
	bool mute; /* the first group gets no answer until the second is there */
	atomic_uint connections;
	uint64_t ids[2 * GROUP];
	uint8_t blobs[2 * GROUP];
	unsigned held;
} srv;

static struct kmsc *client;
static struct slk_error err;
static struct kmsc_re_encrypt_item items[KMSC_BATCH_MAX];
static uint8_t blobs[KMSC_BATCH_MAX];

static void
answer(int fd, uint64_t id, uint8_t blob)
{
	static uint8_t out[KMSP_REPLY_MAX];
	const struct slk_sock_ops *ops = slk_sock_posix();
	Kmsp__Reply r = KMSP__REPLY__INIT;
	Kmsp__ReEncrypted re = KMSP__RE_ENCRYPTED__INIT;
	uint8_t bytes[2] = {blob, 1};
	size_t len = 0;

	r.id = id;
	if (blob == 0xee) {
		r.status = SLK_DISABLED;
		r.exception = (char *)(uintptr_t) "DisabledException";
		r.message = (char *)(uintptr_t) "it is disabled.";
	} else {
		re.blob = (ProtobufCBinaryData){sizeof(bytes), bytes};
		re.source_key_arn = (char *)(uintptr_t) "arn:old";
		re.key_arn = (char *)(uintptr_t) "arn:new";
		r.result_case = KMSP__REPLY__RESULT_RE_ENCRYPTED;
		r.re_encrypted = &re;
	}
	if (kmsp_reply_pack(&r, out, sizeof(out), &len) != SLK_OK ||
		ops->send(ops->ctx, fd, out, len) != SLK_OK)
		abort();
}

static void
serve_connection(int fd, struct kmsp_arena *arena)
{
	static uint8_t in[KMSP_REQUEST_MAX];
	const struct slk_sock_ops *ops = slk_sock_posix();
	unsigned turns = 0, hold = srv.mute ? 2 * GROUP : GROUP;

	srv.held = 0;
	for (;;) {
		struct pollfd p[] = {
			{.fd = fd, .events = POLLIN}, {.fd = srv.stop_pipe[0], .events = POLLIN}};
		const Kmsp__Request *request;
		size_t len;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0 || ops->recv(ops->ctx, fd, in, sizeof(in), &len) != SLK_OK ||
			kmsp_request_unpack(arena, slk_span(in, len), &request) != SLK_OK ||
			request->call_case != KMSP__REQUEST__CALL_RE_ENCRYPT)
			return;
		if (srv.hang_ups > 0 && ++turns == 2) {
			srv.hang_ups--;
			return;
		}
		srv.ids[srv.held] = request->id;
		srv.blobs[srv.held++] = request->re_encrypt->blob.data[0];
		if (srv.held < hold)
			continue;
		/* The oldest group first, if it is late; each group backwards. */
		for (unsigned g = 0; g < hold; g += GROUP)
			for (unsigned i = GROUP; i-- > 0;)
				answer(fd, srv.ids[g + i], srv.blobs[g + i]);
		srv.held = 0;
	}
}

static void *
serve(void *arg)
{
	struct kmsp_arena *arena = NULL;

	(void)arg;
	if (kmsp_arena_new(&arena) != SLK_OK)
		abort();
	for (;;) {
		struct pollfd p[] = {{.fd = srv.listen_fd, .events = POLLIN},
			{.fd = srv.stop_pipe[0], .events = POLLIN}};
		struct slk_peer peer;
		int fd;
		(void)poll(p, 2, -1);
		if (p[1].revents != 0)
			break;
		if (slk_sock_accept(srv.listen_fd, &fd, &peer) != SLK_OK)
			continue;
		srv.connections++;
		serve_connection(fd, arena);
		close(fd);
	}
	kmsp_arena_free(arena);
	return NULL;
}

static int
setup(void **state)
{
	(void)state;
	memset(&srv, 0, sizeof(srv));
	memset(items, 0, sizeof(items));
	memset(&err, 0, sizeof(err));
	strcpy(srv.dir, "/tmp/slk-kmsb-XXXXXX");
	assert_non_null(mkdtemp(srv.dir));
	snprintf(srv.path, sizeof(srv.path), "%s/kms.sock", srv.dir);
	for (unsigned i = 0; i < KMSC_BATCH_MAX; i++) {
		blobs[i] = (uint8_t)(10 + i);
		items[i].blob = slk_span(&blobs[i], 1);
	}
	assert_int_equal(pipe(srv.stop_pipe), 0);
	assert_ok(slk_sock_listen(srv.path, 0600, &srv.listen_fd, NULL));
	return kmsc_new(srv.path, 300, &client);
}

static void
start(void)
{
	assert_int_equal(pthread_create(&srv.thread, NULL, serve, NULL), 0);
}

static int
teardown(void **state)
{
	(void)state;
	kmsc_free(client);
	assert_int_equal(write(srv.stop_pipe[1], "x", 1), 1);
	assert_int_equal(pthread_join(srv.thread, NULL), 0);
	close(srv.stop_pipe[0]);
	close(srv.stop_pipe[1]);
	close(srv.listen_fd);
	unlink(srv.path);
	return rmdir(srv.dir);
}

static void
assert_all_right(void)
{
	for (unsigned i = 0; i < GROUP; i++) {
		assert_ok(items[i].status);
		assert_int_equal(items[i].new_blob_len, 2);
		assert_int_equal(items[i].new_blob[0], blobs[i]);
		assert_string_equal(items[i].source_key_arn, "arn:old");
		assert_string_equal(items[i].key_arn, "arn:new");
	}
}

static void
answers_in_any_order_find_their_items(void **state)
{
	(void)state;
	start();
	for (unsigned turn = 0; turn < 3; turn++) {
		assert_ok(kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err));
		assert_all_right();
	}
	assert_int_equal(srv.connections, 1);
}

static void
a_refusal_is_that_of_its_item_alone(void **state)
{
	(void)state;
	start();
	blobs[2] = 0xee;
	assert_ok(kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err));
	for (unsigned i = 0; i < GROUP; i++)
		assert_int_equal(items[i].status, i == 2 ? SLK_DISABLED : SLK_OK);
	assert_non_null(strstr(items[2].err.text, "DisabledException: it is disabled."));
	assert_int_equal(items[2].new_blob_len, 0);
}

static void
a_kmsd_that_restarts_is_asked_once_more(void **state)
{
	(void)state;
	srv.hang_ups = 1;
	start();
	assert_ok(kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err));
	assert_all_right();
	assert_int_equal(srv.connections, 2);
}

static void
a_kmsd_that_keeps_hanging_up_is_unavailable(void **state)
{
	(void)state;
	srv.hang_ups = 100;
	start();
	assert_int_equal(
		kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err), SLK_UNAVAILABLE);
	assert_int_equal(srv.connections, 2);
}

static void
late_answers_are_not_taken_for_those_of_the_next_batch(void **state)
{
	(void)state;
	srv.mute = true;
	start();
	assert_int_equal(
		kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err), SLK_TIMEOUT);
	for (unsigned i = 0; i < GROUP; i++)
		blobs[i] = (uint8_t)(100 + i);
	assert_ok(kmsc_re_encrypt_many(client, "alias/new", items, GROUP, &err));
	assert_all_right();
	assert_int_equal(srv.connections, 1);
}

static void
other_sizes_of_a_batch_are_refused(void **state)
{
	(void)state;
	start();
	assert_int_equal(kmsc_re_encrypt_many(client, "k", items, 0, &err), SLK_INVALID);
	assert_int_equal(
		kmsc_re_encrypt_many(client, "k", items, KMSC_BATCH_MAX + 1, &err), SLK_INVALID);
	assert_int_equal(srv.connections, 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(answers_in_any_order_find_their_items),
		CASE(a_refusal_is_that_of_its_item_alone),
		CASE(a_kmsd_that_restarts_is_asked_once_more),
		CASE(a_kmsd_that_keeps_hanging_up_is_unavailable),
		CASE(late_answers_are_not_taken_for_those_of_the_next_batch),
		CASE(other_sizes_of_a_batch_are_refused),
	};

	return cmocka_run_group_tests_name("kmsclient_batch", tests, NULL, NULL);
}
