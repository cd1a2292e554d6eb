/* Connections: what peers may do to each other and to us. Real sockets, turned by hand. */
#include "slk_test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc.h"
#include "tempdir.h"

static char dir[256], path[300];
static struct kms_rpc *rpc;
static uid_t next_uid; /* of the connections that are accepted now */
static void *tickets[2048];
static uint64_t ids[2048];
static unsigned tickets_count;
static bool hold; /* keep the tickets instead of answering */

static int
accept_as(int listen_fd, int *out_fd, struct slk_peer *out_peer)
{
	int rc = slk_sock_accept(listen_fd, out_fd, out_peer);

	if (rc == SLK_OK)
		out_peer->uid = next_uid;
	return rc;
}

static int
on_request(void *arg, const struct slk_peer *peer, const Kmsp__Request *request, void *ticket)
{
	(void)arg;
	(void)peer;
	if (request->id == 666)
		return SLK_NO_MEMORY;
	assert_true(tickets_count < 2048);
	ids[tickets_count] = request->id;
	tickets[tickets_count++] = ticket;
	return SLK_OK;
}

static struct slk_secret *
frame_of(uint64_t id, size_t padding)
{
	static char text[40000];
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	struct slk_secret *frame = NULL;
	uint8_t out[KMSP_REPLY_MAX];
	size_t len = 0;

	memset(text, 'x', padding);
	text[padding] = '\0';
	reply.id = id;
	reply.message = text;
	assert_ok(kmsp_reply_pack(&reply, out, sizeof(out), &len));
	assert_ok(slk_secret_from(out, len, &frame));
	return frame;
}

static void
answer_all(size_t padding)
{
	for (unsigned i = 0; i < tickets_count; i++)
		kms_rpc_answer(tickets[i], frame_of(ids[i], padding));
	kms_rpc_send(rpc);
	tickets_count = 0;
}

static void
turn(void)
{
	for (int i = 0; i < 40; i++) {
		kms_rpc_poll(rpc);
		if (!hold)
			answer_all(0);
	}
}

static int
setup(void **state)
{
	(void)state;
	int fd = -1;

	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/kms.sock", dir);
	next_uid = 1000;
	hold = false;
	tickets_count = 0;
	assert_ok(slk_sock_listen(path, 0600, &fd, NULL));
	assert_ok(kms_rpc_new(fd, accept_as, on_request, NULL, &rpc));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	answer_all(0);
	kms_rpc_free(rpc);
	tempdir_remove(dir);
	return 0;
}

static int
client(void)
{
	int fd = -1;

	assert_ok(slk_sock_connect(path, &fd, NULL));
	turn();
	return fd;
}

static void
ask(int fd, uint64_t id)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Nothing nothing = KMSP__NOTHING__INIT;
	uint8_t out[64];
	size_t len = 0;

	request.id = id;
	request.call_case = KMSP__REQUEST__CALL_STATUS;
	request.status = &nothing;
	assert_ok(kmsp_request_pack(&request, out, sizeof(out), &len));
	assert_int_equal(send(fd, out, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* The id of the answer that is there, 0 if none, -1 if the connection is closed. */
static int64_t
answered(int fd)
{
	static struct kmsp_arena *arena;
	static uint8_t in[KMSP_REPLY_MAX];
	const Kmsp__Reply *reply = NULL;

	if (arena == NULL)
		assert_ok(kmsp_arena_new(&arena));
	ssize_t n = recv(fd, in, sizeof(in), MSG_DONTWAIT);
	if (n <= 0)
		return n == 0 || errno == ECONNRESET ? -1 : 0;
	assert_ok(kmsp_reply_unpack(arena, slk_span(in, (size_t)n), &reply));
	return (int64_t)reply->id + (reply->status == SLK_THROTTLED ? 1000000 : 0);
}

static unsigned
descriptors(void)
{
	unsigned count = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

static void
requests_are_pipelined_and_answered_in_any_order(void **state)
{
	(void)state;
	int fd = client();

	hold = true;
	ask(fd, 1);
	ask(fd, 2);
	turn();
	assert_int_equal(tickets_count, 2);
	kms_rpc_answer(tickets[1], frame_of(2, 0));
	kms_rpc_answer(tickets[0], frame_of(1, 0));
	kms_rpc_send(rpc);
	tickets_count = 0;
	assert_int_equal(answered(fd), 2);
	assert_int_equal(answered(fd), 1);
	assert_int_equal(answered(fd), 0);
	close(fd);
}

static void
bad_frame_ends_its_connection(const void *frame, size_t len)
{
	unsigned before = descriptors();
	int good = client(), bad = client();

	if (send(bad, frame, len, MSG_NOSIGNAL) >= 0)
		turn();
	else
		shutdown(bad, SHUT_RDWR);
	turn();
	assert_int_equal(answered(bad), -1);
	ask(good, 5);
	turn();
	assert_int_equal(answered(good), 5);
	close(bad);
	close(good);
	turn();
	assert_int_equal(descriptors(), before);
}

/* Threats, row 14. */
static void
bad_frames_end_their_connection_and_no_other(void **state)
{
	(void)state;
	static uint8_t large[1 << 20];
	static const uint8_t half[] = {0x08, 1, 0x10, 7, 0x82};
	static const uint8_t other_version[] = {0x08, 9, 0x10, 7, 0x82, 0x04, 0};

	memset(large, 0xff, sizeof(large));
	(void)answered(
		client()); /* the arena of answered() has its descriptors before they are counted */
	bad_frame_ends_its_connection("", 0);
	bad_frame_ends_its_connection(large, 1);
	bad_frame_ends_its_connection(large, 100);
	bad_frame_ends_its_connection(half, sizeof(half));
	bad_frame_ends_its_connection(other_version, sizeof(other_version));
	bad_frame_ends_its_connection(large, KMSP_REQUEST_MAX);
	bad_frame_ends_its_connection(large, KMSP_REQUEST_MAX + 1);
	bad_frame_ends_its_connection(large, 100000);
	bad_frame_ends_its_connection(large, sizeof(large));
	assert_int_equal(tickets_count, 0);
}

/* A request with a text of that length. */
static size_t
long_request(Kmsp__Request__CallCase call_case, size_t text_len, uint8_t *out)
{
	static char text[131072 + 1];
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__PutKeyPolicy put = KMSP__PUT_KEY_POLICY__INIT;
	Kmsp__KeyName name = KMSP__KEY_NAME__INIT;

	memset(text, 'x', text_len);
	text[text_len] = '\0';
	put.policy = name.key = text;
	request.version = KMSP_VERSION;
	request.id = 8;
	request.call_case = call_case;
	if (call_case == KMSP__REQUEST__CALL_PUT_KEY_POLICY)
		request.put_key_policy = &put;
	else
		request.describe_key = &name;
	return protobuf_c_message_pack(&request.base, out);
}

static void
policies_come_whole_and_others_end_at_their_limit(void **state)
{
	(void)state;
	static uint8_t frame[KMSP_FRAME_MAX];
	int fd = client();

	size_t len = long_request(KMSP__REQUEST__CALL_PUT_KEY_POLICY, 131072, frame);
	assert_int_equal(send(fd, frame, len, MSG_NOSIGNAL), (ssize_t)len);
	turn();
	assert_int_equal(answered(fd), 8);
	len = long_request(KMSP__REQUEST__CALL_DESCRIBE_KEY, KMSP_REQUEST_MAX - 20, frame);
	assert_int_equal(send(fd, frame, len, MSG_NOSIGNAL), (ssize_t)len);
	turn();
	assert_int_equal(answered(fd), 8);
	close(fd);
	turn();
	len = long_request(KMSP__REQUEST__CALL_DESCRIBE_KEY, KMSP_REQUEST_MAX, frame);
	bad_frame_ends_its_connection(frame, len);
}

static void
random_frames_do_no_harm(void **state)
{
	(void)state;
	uint8_t frame[64];
	uint64_t seed = 0x5ea10c4b;
	int good = client();

	for (int i = 0; i < 500; i++) {
		int bad = client();
		for (size_t k = 0; k < sizeof(frame); k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			frame[k] = (uint8_t)(seed >> 56);
		}
		memcpy(frame, "\x08\x01\x10\x07", 4);
		(void)!send(bad, frame, 5 + seed % 59, MSG_NOSIGNAL);
		turn();
		close(bad);
	}
	ask(good, 9);
	turn();
	assert_int_equal(answered(good), 9);
	close(good);
}

static void
descriptors_that_come_along_are_closed(void **state)
{
	(void)state;
	int bad = client(), good = client(), pipe_fds[2];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	static uint8_t frame[] = {0x08, 1, 0x10, 7, 0x82, 0x04, 0};
	struct iovec iov = {frame, sizeof(frame)};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.room,
		.msg_controllen = sizeof(control)};

	assert_int_equal(pipe(pipe_fds), 0);
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &pipe_fds[1], sizeof(int));
	unsigned before = descriptors();
	assert_int_equal(sendmsg(bad, &msg, MSG_NOSIGNAL), (ssize_t)sizeof(frame));
	turn();
	assert_int_equal(answered(bad), -1);
	assert_int_equal(descriptors(), before - 1); /* the server's end of the connection */
	ask(good, 3);
	turn();
	assert_int_equal(answered(good), 3);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	close(bad);
	close(good);
}

static void
thousand_connections_leave_room_for_other_users(void **state)
{
	(void)state;
	static int fds[1000];
	unsigned accepted = 0, before = descriptors();
	const struct rlimit enough = {4096, 4096};

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &enough), 0);
	for (int i = 0; i < 1000; i++) {
		fds[i] = client();
		accepted += answered(fds[i]) == 0;
	}
	assert_int_equal(accepted, KMS_RPC_CONNECTIONS_PER_UID);
	next_uid = 1001;
	int other = client();
	ask(other, 8);
	turn();
	assert_int_equal(answered(other), 8);
	close(other);
	for (int i = 0; i < 1000; i++)
		close(fds[i]);
	turn();
	assert_int_equal(kms_rpc_stats(rpc).connections, 0);
	assert_int_equal(descriptors(), before);
	next_uid = 1000;
	int again = client();
	ask(again, 9);
	turn();
	assert_int_equal(answered(again), 9);
	close(again);
}

static void
all_users_together_stop_at_the_total(void **state)
{
	(void)state;
	static int fds[600];
	unsigned accepted = 0;

	for (int i = 0; i < 600; i++) {
		next_uid = 2000 + (uid_t)i;
		fds[i] = client();
		accepted += answered(fds[i]) == 0;
	}
	assert_int_equal(accepted, KMS_RPC_CONNECTIONS_MAX);
	for (int i = 0; i < 600; i++)
		close(fds[i]);
	turn();
	assert_int_equal(kms_rpc_stats(rpc).connections, 0);
}

static void
connection_is_not_read_beyond_its_pending_requests(void **state)
{
	(void)state;
	int fd = client();
	unsigned got = 0;

	hold = true;
	for (uint64_t id = 1; id <= 40; id++)
		ask(fd, id);
	turn();
	assert_int_equal(tickets_count, KMS_RPC_PENDING_PER_CONNECTION);
	hold = false;
	turn();
	while (answered(fd) > 0)
		got++;
	assert_int_equal(got, 40);
	close(fd);
}

static void
user_with_too_many_requests_is_throttled_and_others_are_not(void **state)
{
	(void)state;
	int fds[5];
	unsigned throttled = 0;

	hold = true;
	for (int i = 0; i < 5; i++) {
		fds[i] = client();
		for (uint64_t id = 1; id <= 16; id++)
			ask(fds[i], id);
	}
	turn();
	assert_int_equal(tickets_count, KMS_RPC_PENDING_PER_UID);
	int64_t id;
	while ((id = answered(fds[4])) > 0)
		throttled += id > 1000000;
	assert_int_equal(throttled, 16);
	next_uid = 1001;
	int other = client();
	ask(other, 7);
	turn();
	assert_int_equal(tickets_count, KMS_RPC_PENDING_PER_UID + 1);
	hold = false;
	turn();
	assert_int_equal(answered(other), 7);
	close(other);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

/* A peer that asks and does not read: its answers wait, it is not read from, others go on, nothing
 * is lost. */
static void
slow_peer_hurts_nobody_but_itself(void **state)
{
	(void)state;
	int slow = client(), good = client();
	unsigned got = 0, asked = 0;

	hold = true;
	for (int round = 0; round < 40; round++) {
		for (int i = 0; i < 8; i++) {
			struct pollfd p = {.fd = slow, .events = POLLOUT};
			if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0)
				ask(slow, ++asked);
		}
		turn();
		answer_all(30000);
	}
	hold = false;
	ask(good, 4);
	turn();
	assert_int_equal(answered(good), 4);
	for (int i = 0; i < 2000 && got < asked; i++) {
		if (answered(slow) > 0)
			got++;
		turn();
	}
	assert_int_equal(got, asked);
	close(slow);
	close(good);
}

static void
answer_to_a_peer_that_has_gone_is_dropped(void **state)
{
	(void)state;
	int fd = client();

	hold = true;
	ask(fd, 1);
	ask(fd, 2);
	turn();
	close(fd);
	turn();
	assert_int_equal(tickets_count, 2);
	answer_all(100);
	assert_int_equal(kms_rpc_stats(rpc).connections, 0);
}

static void
handler_that_cannot_begin_ends_the_connection(void **state)
{
	(void)state;
	int fd = client();

	ask(fd, 666);
	turn();
	assert_int_equal(answered(fd), -1);
	close(fd);
}

static void
running_out_of_descriptors_refuses_and_recovers(void **state)
{
	(void)state;
	static int fillers[4096];
	struct rlimit before, few = {64, 64};
	unsigned count = 0;
	int late = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (count < 4096 && (fillers[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		count++;
	struct sockaddr_un {
		sa_family_t family;
		char text[108];
	} addr = {.family = AF_UNIX};
	snprintf(addr.text, sizeof(addr.text), "%.107s", path);
	assert_int_equal(connect(late, (struct sockaddr *)&addr, sizeof(addr)), 0);
	kms_rpc_poll(rpc);
	assert_int_equal(answered(late), -1);
	assert_int_equal(kms_rpc_stats(rpc).refused_connections, 1);
	struct pollfd p = {.fd = kms_rpc_fd(rpc), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 0), 0); /* no spinning on a listener that cannot be served */
	for (unsigned i = 0; i < count; i++)
		close(fillers[i]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	close(late);
	int fd = client();
	ask(fd, 2);
	turn();
	assert_int_equal(answered(fd), 2);
	close(fd);
}

static unsigned
more_for_1002(void *arg, uid_t uid)
{
	assert_ptr_equal(arg, &next_uid);
	return uid == 1002 ? KMS_RPC_PENDING_PER_UID + 10 : KMS_RPC_PENDING_PER_UID;
}

static void
user_may_have_a_limit_of_its_own(void **state)
{
	(void)state;
	int fds[5];
	unsigned throttled = 0;
	int64_t id;

	kms_rpc_set_pending(rpc, more_for_1002, &next_uid);
	next_uid = 1002;
	hold = true;
	for (int i = 0; i < 5; i++) {
		fds[i] = client();
		for (uint64_t n = 1; n <= 16; n++)
			ask(fds[i], n);
	}
	turn();
	assert_int_equal(tickets_count, KMS_RPC_PENDING_PER_UID + 10);
	while ((id = answered(fds[4])) > 0)
		throttled += id > 1000000;
	assert_int_equal(throttled, 6);
	hold = false;
	turn();
	for (int i = 0; i < 5; i++)
		close(fds[i]);
}

int
main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(requests_are_pipelined_and_answered_in_any_order),
		CASE(bad_frames_end_their_connection_and_no_other),
		CASE(policies_come_whole_and_others_end_at_their_limit),
		CASE(random_frames_do_no_harm),
		CASE(descriptors_that_come_along_are_closed),
		CASE(thousand_connections_leave_room_for_other_users),
		CASE(all_users_together_stop_at_the_total),
		CASE(connection_is_not_read_beyond_its_pending_requests),
		CASE(user_may_have_a_limit_of_its_own),
		CASE(user_with_too_many_requests_is_throttled_and_others_are_not),
		CASE(slow_peer_hurts_nobody_but_itself),
		CASE(answer_to_a_peer_that_has_gone_is_dropped),
		CASE(handler_that_cannot_begin_ends_the_connection),
		CASE(running_out_of_descriptors_refuses_and_recovers),
	};

	return cmocka_run_group_tests_name("kms_rpc", tests, NULL, NULL);
}
