/* Threats, row 14: clients of every hostile kind against all of kmsd. Whatever they send, their connection is dropped,
 * others are answered at once, and the front's descriptors are as many as before. */
#include "slk_test.h"

#include "kmsd_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/secret.h"
#include "kmsclient/wire.h"

#define HOSTILE_UID 54321 /* who is in no principals: */
#define PASSED_MAX 253 /* SCM_MAX_FD */
#define ANSWER_NS SLK_NS_PER_S

static struct kmsd_rig rig;
static pid_t front;
static unsigned descriptors_before;
static struct slk_error err;

/* --- the front, from outside --- */

static unsigned
descriptors(void)
{
	char path[64];
	unsigned count = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)front);
	DIR *dir = opendir(path);
	if (dir == NULL)
		return 0; /* undumpable: only root sees them */
	for (const struct dirent *d; (d = readdir(dir)) != NULL;)
		count += d->d_name[0] != '.';
	closedir(dir);
	return count;
}

/* Somebody else is answered, soon. */
static void
others_are_answered(void)
{
	struct kmsc_status status;
	uint64_t begin_ns = slk_mono_ns(slk_clock_system());

	if (kmsc_status(rig.client, &status, &err) != SLK_OK)
		fail_msg("others are not answered: %s", err.text);
	assert_true(slk_mono_ns(slk_clock_system()) - begin_ns < ANSWER_NS);
}

static int
group_setup(void **state)
{
	(void)state;
	kmsd_rig_init(&rig);
	rig.log_level = "warn";
	kmsd_rig_start(&rig);
	kmsd_rig_wait_ready(&rig);
	front = kmsd_rig_front(&rig);
	return 0;
}

static int
group_teardown(void **state)
{
	(void)state;
	kmsd_rig_fini(&rig);
	return 0;
}

static int
setup(void **state)
{
	(void)state;
	others_are_answered();
	descriptors_before = descriptors();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	others_are_answered();
	/* Connections end at the front's next turn. */
	for (int i = 0; i < 400 && descriptors() != descriptors_before; i++)
		usleep(5000);
	assert_int_equal(descriptors(), descriptors_before);
	assert_int_equal(kmsd_rig_front(&rig), front);
	return 0;
}

/* --- attackers --- */

static int
connect_front(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	strcpy(to.sun_path, rig.socket);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* Did the front end this connection? What it may have answered before is read away. */
static bool
is_dropped(int fd)
{
	static uint8_t answer[KMSP_REPLY_MAX];

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		if (poll(&p, 1, 5000) != 1)
			return false;
		ssize_t n = recv(fd, answer, sizeof(answer), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n < 0)
			return false;
	}
}

/* In a process of its own, under another user if there is root to become one. 0: all went as it should. */
static pid_t
begin_attack(int (*attack)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid != 0)
		return pid;
	if (geteuid() == 0 && (setgid(HOSTILE_UID) != 0 || setuid(HOSTILE_UID) != 0))
		_exit(99);
	_exit(attack());
}

static int
end_attack(pid_t pid)
{
	int status = -1;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void
attack_fails(int (*attack)(void))
{
	assert_int_equal(end_attack(begin_attack(attack)), 0);
}

/* A request that is right in all; its length. */
static size_t
status_request(uint8_t out[256])
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Nothing nothing = KMSP__NOTHING__INIT;

	request.id = 7;
	request.call_case = KMSP__REQUEST__CALL_STATUS;
	request.status = &nothing;
	size_t len = 0;
	if (kmsp_request_pack(&request, out, 256, &len) != SLK_OK)
		_exit(98);
	return len;
}

static bool
dropped_after(const void *bytes, size_t len)
{
	int fd = connect_front();
	int room = 1 << 20;

	if (fd < 0)
		return false;
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	bool dropped = send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len && is_dropped(fd);
	close(fd);
	return dropped;
}

/* --- lengths --- */

static int
send_wrong_lengths(void)
{
	static uint8_t big[200000];
	uint8_t request[256];
	size_t whole = status_request(request);
	const size_t too_long[] = {KMSP_REQUEST_MAX + 1, 65535, 65536, 100000, sizeof(big)};

	memcpy(big, request, whole);
	if (!dropped_after(big, 0))
		return 1;
	for (size_t i = 0; i < sizeof(too_long) / sizeof(too_long[0]); i++) {
		if (!dropped_after(big, too_long[i]))
			return 2;
	}
	/* Half a request, and each other part of it but the one that is a request itself. */
	for (size_t len = 1; len < whole; len++) {
		int fd = connect_front();
		if (fd < 0 || send(fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
			return 3;
		(void)shutdown(fd, SHUT_WR);
		if (!is_dropped(fd))
			return 4;
		close(fd);
	}
	return 0;
}

static void
frames_of_wrong_lengths_end_their_connection(void **state)
{
	(void)state;
	attack_fails(send_wrong_lengths);
}

/* Length fields inside a frame, as protobuf has them: field 15, length-delimited, and its length. */
static int
send_wrong_inner_lengths(void)
{
	static const struct {
		uint8_t bytes[16];
		size_t len;
	} frames[] = {
		{{0x7a, 0xff, 0xff, 0xff, 0xff, 0x0f, 'x'}, 7}, /* 2^32 - 1 */
		{{0x7a, 0xff, 0xff, 0xff, 0xff, 0x07, 'x'}, 7}, /* 2^31 - 1 */
		{{0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01},
			11}, /* 2^64 - 1 */
		{{0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 12},
		{{0x7a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}, 12},
		{{0x7a, 0x02, 'x'}, 3}, /* half of it */
		{{0x7a}, 1}, {{0x00, 0x00}, 2}, /* field 0 */
		{{0x7b, 0x7b, 0x7b}, 3}, /* groups, never ended */
		{{0x7f}, 1}, /* no such wire type */
	};

	uint8_t frame[256];
	size_t whole = status_request(frame);

	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		/* By itself, and behind a request that is right. */
		memcpy(frame + whole, frames[i].bytes, frames[i].len);
		if (!dropped_after(frames[i].bytes, frames[i].len) ||
			!dropped_after(frame, whole + frames[i].len)) {
			fprintf(stderr, "frame %zu is not refused\n", i);
			return 1;
		}
	}
	return 0;
}

static void
length_fields_that_lie_end_their_connection(void **state)
{
	(void)state;
	attack_fails(send_wrong_inner_lengths);
}

/* A frame is one message, so that dripping is sending many of them. */
static int
drip(void)
{
	uint8_t request[256];
	size_t whole = status_request(request);

	for (int i = 0; i < 50; i++) {
		int fd = connect_front();
		if (fd < 0)
			return 1;
		for (size_t at = 0; at < whole; at++) {
			if (send(fd, request + at, 1, MSG_NOSIGNAL) != 1)
				break;
		}
		if (!is_dropped(fd))
			return 2;
		close(fd);
	}
	return 0;
}

static void
dripping_clients_are_dropped_at_the_first_drop(void **state)
{
	(void)state;
	attack_fails(drip);
}

/* --- many connections --- */

/* 64 sit there and say nothing; whoever comes beyond that is closed; with their end there is room again. */
static int
sit(void)
{
	int fds[100];
	unsigned dropped = 0;

	for (int i = 0; i < 100; i++) {
		if ((fds[i] = connect_front()) < 0)
			return 1;
	}
	for (int i = 0; i < 100; i++) {
		struct pollfd p = {.fd = fds[i], .events = POLLIN};
		dropped += poll(&p, 1, i == 0 ? 500 : 0) == 1;
	}
	/* Not as another user: the one who asks holds a connection, too. */
	return dropped == 36 || (geteuid() != HOSTILE_UID && dropped == 37) ? 0 : 2;
}

static void
silent_clients_take_no_more_than_their_users_share(void **state)
{
	(void)state;
	attack_fails(sit);
	attack_fails(sit);
}

/* Each does what comes next in the list: nothing, junk, a request without waiting for its answer, a hang-up in the middle. */
static int
swarm(void)
{
	uint8_t request[256], junk[64];
	size_t whole = status_request(request);
	unsigned refused = 0;

	memset(junk, 0xa5, sizeof(junk));
	for (int i = 0; i < 50000; i++) {
		int fd = connect_front();
		if (fd < 0) {
			refused++;
			continue;
		}
		if (i % 4 == 1)
			(void)!send(fd, junk, 1 + (size_t)i % sizeof(junk), MSG_NOSIGNAL);
		else if (i % 4 == 2)
			(void)!send(fd, request, whole, MSG_NOSIGNAL);
		else if (i % 4 == 3)
			(void)shutdown(fd, SHUT_RDWR);
		close(fd);
	}
	return refused == 0 ? 0 : 1;
}

static void
hundred_thousand_connections_leave_nothing_behind(void **state)
{
	(void)state;
	pid_t one = begin_attack(swarm), two = begin_attack(swarm);

	for (int i = 0; i < 40; i++) {
		others_are_answered();
		usleep(5000);
	}
	assert_int_equal(end_attack(one), 0);
	assert_int_equal(end_attack(two), 0);
}

/* All at once, until this process may open no more. */
static int
pile_up(void)
{
	int fd, last = -1;
	unsigned count = 0;

	while (count < 10000 && (fd = connect_front()) >= 0) {
		last = fd;
		count++;
	}
	(void)last;
	return count >= 500 ? 0 : 1;
}

static void
connections_that_are_all_held_open_are_refused_beyond_the_limit(void **state)
{
	(void)state;
	pid_t pid = begin_attack(pile_up);

	for (int i = 0; i < 40; i++) {
		others_are_answered();
		/* Its share of 64, and one that is being refused. */
		assert_true(descriptors() <= descriptors_before + 65);
		usleep(5000);
	}
	assert_int_equal(end_attack(pid), 0);
}

/* --- descriptors that come along --- */

static bool
send_with(int fd, const void *bytes, size_t len, const int *fds, size_t count)
{
	static union {
		char room[CMSG_SPACE(sizeof(int) * PASSED_MAX)];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {(void *)(uintptr_t)bytes, len};
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = CMSG_SPACE(sizeof(int) * count)};

	memset(&ancillary, 0, sizeof(ancillary));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)len;
}

/* count descriptors beside a request that is right in all else. */
static bool
dropped_with(int passed, size_t count)
{
	uint8_t request[256];
	size_t whole = status_request(request);
	int fds[PASSED_MAX];
	int fd = connect_front();

	for (size_t i = 0; i < count; i++)
		fds[i] = passed >= 0 ? passed : fd;
	bool dropped = fd >= 0 && send_with(fd, request, whole, fds, count) && is_dropped(fd);
	if (fd >= 0)
		close(fd);
	return dropped;
}

static int
pass_descriptors(void)
{
	int pair[2], ends[2];
	int memory = memfd_create("junk", MFD_CLOEXEC);

	if (memory < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) != 0 || pipe(ends) != 0)
		return 1;
	for (int i = 0; i < 100; i++) {
		if (!dropped_with(memory, 1) || !dropped_with(pair[0], 2) ||
			!dropped_with(ends[0], 17) || !dropped_with(-1, 1) || /* itself */
			!dropped_with(memory, PASSED_MAX))
			return 2;
	}
	return 0;
}

static void
whoever_sends_descriptors_is_dropped_and_they_are_closed(void **state)
{
	(void)state;
	attack_fails(pass_descriptors);
}

/* Messages with descriptors are queued, and the sender is gone before the front reads them. */
static int
pass_and_vanish(void)
{
	uint8_t request[256];
	size_t whole = status_request(request);
	int fds[16];

	for (int i = 0; i < 16; i++)
		fds[i] = 2;
	for (int i = 0; i < 300; i++) {
		int fd = connect_front();
		if (fd < 0)
			return 1;
		for (int k = 0; k < 8; k++)
			(void)send_with(fd, request, whole, fds, 16);
		close(fd);
	}
	return 0;
}

static void
descriptors_of_senders_that_are_gone_are_closed_too(void **state)
{
	(void)state;
	attack_fails(pass_and_vanish);
}

/* --- those that do not listen, and those that die --- */

/* Requests until nothing more goes in, and never a look at an answer. */
static int
never_listen(void)
{
	uint8_t request[256];
	size_t whole = status_request(request);
	int fds[32];

	for (int i = 0; i < 32; i++) {
		if ((fds[i] = connect_front()) < 0)
			return 1;
		if (fcntl(fds[i], F_SETFL, O_NONBLOCK) != 0)
			return 2;
	}
	for (int round = 0; round < 300; round++) {
		for (int i = 0; i < 32; i++)
			(void)!send(fds[i], request, whole, MSG_NOSIGNAL);
		usleep(1000);
	}
	return 0;
}

static long
locked_kib(void)
{
	char path[64], line[256];
	long kib = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)front);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, "VmLck:", 6) == 0)
			kib = strtol(line + 6, NULL, 10);
	}
	fclose(f);
	return kib;
}

static void
clients_that_never_listen_stop_only_themselves(void **state)
{
	(void)state;
	pid_t pid = begin_attack(never_listen);

	for (int i = 0; i < 60; i++) {
		others_are_answered();
		/* 16 answers of 32 connections at most, a few pages each. */
		assert_in_range(locked_kib(), 1, 7 * 1024);
		usleep(5000);
	}
	assert_int_equal(end_attack(pid), 0);
}

static int
ask_for_ever(void)
{
	uint8_t request[256];
	size_t whole = status_request(request);

	for (;;) {
		int fd = connect_front();
		if (fd < 0)
			return 1;
		for (int i = 0; i < 10; i++)
			(void)!send(fd, request, whole, MSG_NOSIGNAL);
		close(fd);
	}
}

static void
clients_that_are_killed_in_the_middle_leave_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		pid_t pid = begin_attack(ask_for_ever);
		usleep(1000 + 97 * (unsigned)i % 3000);
		kill(pid, SIGKILL);
		assert_int_equal(end_attack(pid), 128 + SIGKILL);
	}
}

/* --- who one says to be --- */

/* Credentials beside a message are nobody's: the kernel said at connect who it is. */
static void
credentials_in_a_message_change_nothing(void **state)
{
	(void)state;
	uint8_t request[256], answer[4096];
	struct iovec iov = {request, status_request(request)};
	union {
		char room[CMSG_SPACE(sizeof(struct ucred))];
		struct cmsghdr align;
	} ancillary;
	struct msghdr msg = {.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = ancillary.room,
		.msg_controllen = sizeof(ancillary.room)};
	const struct ucred claim = {getpid(), HOSTILE_UID, HOSTILE_UID};

	if (geteuid() != 0) {
		print_message("skipped: only root may claim to be another user\n");
		skip();
	}
	memset(&ancillary, 0, sizeof(ancillary));
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(claim));
	memcpy(CMSG_DATA(c), &claim, sizeof(claim));
	int fd = connect_front();
	assert_true(fd >= 0);
	assert_int_equal(sendmsg(fd, &msg, MSG_NOSIGNAL), (ssize_t)iov.iov_len);
	ssize_t n = recv(fd, answer, sizeof(answer), 0);
	assert_true(n > 0);
	Kmsp__Reply *reply = kmsp__reply__unpack(NULL, (size_t)n, answer);
	assert_non_null(reply);
	assert_int_equal(reply->status, SLK_OK); /* root's answer, not a stranger's */
	kmsp__reply__free_unpacked(reply, NULL);
	close(fd);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(frames_of_wrong_lengths_end_their_connection),
		T(length_fields_that_lie_end_their_connection),
		T(dripping_clients_are_dropped_at_the_first_drop),
		T(silent_clients_take_no_more_than_their_users_share),
		T(hundred_thousand_connections_leave_nothing_behind),
		T(connections_that_are_all_held_open_are_refused_beyond_the_limit),
		T(whoever_sends_descriptors_is_dropped_and_they_are_closed),
		T(descriptors_of_senders_that_are_gone_are_closed_too),
		T(clients_that_never_listen_stop_only_themselves),
		T(clients_that_are_killed_in_the_middle_leave_nothing),
		T(credentials_in_a_message_change_nothing),
	};

	if (!kmsd_rig_possible())
		return 77; /* it said why */
	return cmocka_run_group_tests_name("kms_hostile", tests, group_setup, group_teardown);
}
