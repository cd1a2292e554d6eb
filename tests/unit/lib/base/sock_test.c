#include "slk_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sock.h"
#include "tempdir.h"

static char dir[256];
static char path[300];

static int
make_dir(void **state)
{
	(void)state;
	tempdir_make(dir, sizeof(dir));
	snprintf(path, sizeof(path), "%s/s", dir);
	return 0;
}

static int
remove_dir(void **state)
{
	(void)state;
	tempdir_remove(dir);
	return 0;
}

static int
open_descriptors(void)
{
	int count = 0;
	DIR *d = opendir("/proc/self/fd");

	assert_non_null(d);
	while (readdir(d) != NULL)
		count++;
	closedir(d);
	return count;
}

static void
messages_keep_their_boundaries_and_name_their_peer(void **state)
{
	(void)state;
	const struct slk_sock_ops *ops = slk_sock_posix();
	struct slk_peer peer = {0};
	struct slk_error err = {0};
	int lfd = -1, cfd = -1, sfd = -1;
	char buf[16];
	size_t n = 0;

	assert_ok(slk_sock_listen(path, 0600, &lfd, &err));
	assert_int_equal(slk_sock_accept(lfd, &sfd, &peer), SLK_AGAIN);
	assert_ok(slk_sock_connect(path, &cfd, &err));
	assert_ok(slk_sock_accept(lfd, &sfd, &peer));
	assert_int_equal(peer.uid, geteuid());
	assert_int_equal(peer.pid, getpid());
	assert_ok(ops->send(ops->ctx, cfd, "one", 3));
	assert_ok(ops->send(ops->ctx, cfd, "two!", 4));
	assert_ok(ops->recv(ops->ctx, sfd, buf, sizeof(buf), &n));
	assert_int_equal(n, 3);
	assert_ok(ops->recv(ops->ctx, sfd, buf, 2, &n) == SLK_TOO_LARGE ? SLK_OK : SLK_INTERNAL);
	assert_int_equal(ops->recv(ops->ctx, sfd, buf, sizeof(buf), &n), SLK_AGAIN);
	close(cfd);
	assert_int_equal(ops->recv(ops->ctx, sfd, buf, sizeof(buf), &n), SLK_CLOSED);
	assert_int_equal(ops->send(ops->ctx, sfd, "x", 1), SLK_CLOSED);
	close(sfd);
	close(lfd);
}

static void
a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	(void)state;
	struct slk_error err = {0};
	int lfd = -1, other = -1;

	assert_ok(slk_sock_listen(path, 0600, &lfd, &err));
	assert_int_equal(slk_sock_listen(path, 0600, &other, &err), SLK_EXISTS);
	assert_non_null(strstr(err.text, "another process"));
	close(lfd); /* the file stays */
	assert_int_equal(slk_sock_connect(path, &other, &err), SLK_UNAVAILABLE);
	assert_ok(slk_sock_listen(path, 0620, &lfd, &err));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0620);
	close(lfd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(slk_sock_connect(path, &other, &err), SLK_NOT_FOUND);
}

static void
a_peer_that_accepts_nobody_is_waited_for_as_long_as_was_said(void **state)
{
	(void)state;
	struct slk_error err = {0};
	int lfd = -1, in_backlog = -1, other = -1;

	assert_ok(slk_sock_listen(path, 0600, &lfd, &err));
	assert_int_equal(listen(lfd, 0), 0); /* room for one */
	assert_ok(slk_sock_connect_within(path, 50, &in_backlog, &err));
	uint64_t began_ns = slk_mono_ns(slk_clock_system());
	assert_int_equal(slk_sock_connect_within(path, 50, &other, &err), SLK_TIMEOUT);
	assert_true(slk_mono_ns(slk_clock_system()) - began_ns >= 50 * SLK_NS_PER_MS);
	assert_non_null(strstr(err.text, "within 50 ms"));
	assert_int_equal(other, -1);
	close(in_backlog);
	close(lfd);
	assert_int_equal(unlink(path), 0);
}

static void
a_file_in_the_way_is_not_removed(void **state)
{
	(void)state;
	struct slk_error err = {0};
	int lfd = -1;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(slk_sock_listen(path, 0600, &lfd, &err), SLK_EXISTS);
	assert_int_equal(access(path, F_OK), 0);
	char longer[200];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(slk_sock_listen(longer, 0600, &lfd, &err), SLK_TOO_LARGE);
}

/* A message "x" with two descriptors. */
static void
send_descriptors(int fd, const int two[2])
{
	union {
		char room[CMSG_SPACE(sizeof(int) * 2)];
		struct cmsghdr align;
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec iov = {(void *)"x", 1};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * 2);
	memcpy(CMSG_DATA(c), two, 2 * sizeof(int));
	assert_int_equal(sendmsg(fd, &msg, 0), 1);
}

static void
descriptors_that_come_along_are_closed_and_refused(void **state)
{
	(void)state;
	const struct slk_sock_ops *ops = slk_sock_posix();
	int pair[2];
	char buf[16];
	size_t n = 0;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	int before = open_descriptors();
	send_descriptors(pair[0], pair);
	assert_int_equal(ops->recv(ops->ctx, pair[1], buf, sizeof(buf), &n), SLK_MALFORMED);
	assert_int_equal(open_descriptors(), before);
	close(pair[0]);
	close(pair[1]);
}

static void
many_messages_come_and_go_at_once_each_with_its_own_fault(void **state)
{
	(void)state;
	const struct slk_span out[] = {
		slk_span_str("one"), slk_span_str("too long"), slk_span_str("three")};
	char room[6][6];
	struct slk_sock_in in[6];
	unsigned n = 0;
	int pair[2];

	for (size_t i = 0; i < 6; i++)
		in[i] = (struct slk_sock_in){.bytes = room[i], .cap = sizeof(room[i])};
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	int before = open_descriptors();
	assert_int_equal(slk_sock_recv_many(pair[1], in, 6, true, &n), SLK_AGAIN);
	assert_ok(slk_sock_send_many(pair[0], out, 3, true, &n));
	assert_int_equal(n, 3);
	send_descriptors(pair[0], (const int[]){STDERR_FILENO, STDERR_FILENO});
	close(pair[0]);
	assert_ok(slk_sock_recv_many(pair[1], in, 6, true, &n));
	assert_int_equal(n, 6);
	assert_int_equal(in[0].status, SLK_OK);
	assert_int_equal(in[0].len, 3);
	assert_memory_equal(room[0], "one", 3);
	assert_int_equal(in[1].status, SLK_TOO_LARGE);
	assert_int_equal(in[2].status, SLK_OK);
	assert_memory_equal(room[2], "three", 5);
	assert_int_equal(in[3].status, SLK_MALFORMED);
	assert_int_equal(in[4].status, SLK_CLOSED);
	assert_int_equal(open_descriptors(), before - 1);
	assert_int_equal(slk_sock_send_many(pair[1], out, 3, false, &n), SLK_CLOSED);
	assert_int_equal(n, 0);
	close(pair[1]);
}

static void
a_full_socket_takes_the_first_of_many_and_says_how_many(void **state)
{
	(void)state;
	static char text[1000];
	struct slk_span out[SLK_SOCK_MANY_MAX + 8];
	struct slk_sock_in in = {.bytes = text, .cap = sizeof(text)};
	unsigned total = 0, sent = 0, n = 0;
	int pair[2], rc = SLK_OK;

	for (size_t i = 0; i < SLK_SOCK_MANY_MAX + 8; i++)
		out[i] = slk_span(text, sizeof(text));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	while (rc == SLK_OK && total < 100000) {
		rc = slk_sock_send_many(pair[0], out, SLK_SOCK_MANY_MAX + 8, false, &sent);
		total += sent;
	}
	assert_int_equal(rc, SLK_AGAIN);
	assert_true(total > SLK_SOCK_MANY_MAX);
	for (unsigned i = 0; i < total; i++)
		assert_ok(slk_sock_recv_many(pair[1], &in, 1, true, &n));
	close(pair[0]);
	assert_ok(slk_sock_recv_many(pair[1], &in, 1, true, &n));
	assert_int_equal(in.status, SLK_CLOSED);
	close(pair[1]);
}

static void
waiting_ends_at_the_deadline(void **state)
{
	(void)state;
	const struct slk_sock_ops *ops = slk_sock_posix();
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	uint64_t now = slk_mono_ns(slk_clock_system());
	assert_int_equal(ops->wait_readable(ops->ctx, pair[0], now), SLK_TIMEOUT);
	assert_ok(ops->send(ops->ctx, pair[1], "x", 1));
	assert_ok(ops->wait_readable(ops->ctx, pair[0], 0));
	close(pair[0]);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			messages_keep_their_boundaries_and_name_their_peer, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_stale_socket_is_replaced_and_a_live_one_is_not, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(
			a_peer_that_accepts_nobody_is_waited_for_as_long_as_was_said, make_dir,
			remove_dir),
		cmocka_unit_test_setup_teardown(
			a_file_in_the_way_is_not_removed, make_dir, remove_dir),
		cmocka_unit_test(descriptors_that_come_along_are_closed_and_refused),
		cmocka_unit_test(many_messages_come_and_go_at_once_each_with_its_own_fault),
		cmocka_unit_test(a_full_socket_takes_the_first_of_many_and_says_how_many),
		cmocka_unit_test(waiting_ends_at_the_deadline),
	};

	return cmocka_run_group_tests_name("base_sock", tests, NULL, NULL);
}
