#include "monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/sock.h"
#include "credential.h"
#include "hsm/backoff.h"
#include "hsm/user.h"
#include "hsm/wire.h"
#include "hsm/worker.h"
#include "sandbox.h"

#define EXIT_USELESS 2
#define STEADY_NS (30 * SLK_NS_PER_S) /* who lived that long starts anew at the first back-off */
#define FIRST_LIFE_NS (2 * SLK_NS_PER_S)
#define STOP_NS (5 * SLK_NS_PER_S)
#define MEMLOCK_BYTES (64u << 20) /* pending calls and their plaintexts lie in locked pages */
#define WORKER_PIN_FD (HSM_MONITOR_FD + 1)
#define ARGS_MAX 80

struct child {
	const char *name;
	const struct hsm_user *user; /* NULL: the monitor's own */
	pid_t pid; /* 0: not running */
	uint64_t started_ns;
	uint64_t next_ns; /* when it may be started again */
	unsigned failures;
	int pin_fd; /* for the worker, at WORKER_PIN_FD; 0: none */
};

/* A worker's place: a process, and the front's end of its socketpair, kept for the next front. */
struct seat {
	struct child child;
	int front_end_fd;
	uint64_t
		number; /* of the one that sits here, or sat here last; counts all that were started */
};

struct monitor {
	const struct kms_config *config;
	const struct kms_monitor_options *options;
	const struct slk_clock *clock;
	struct hsm_user front_user, worker_user;
	struct child front;
	struct seat seats[HSM_WORKERS_MAX];
	uint32_t seats_count;
	int signal_fd, epoll_fd;
	int control_fd; /* to the front; -1: none */
	uint64_t workers_started;
	bool stopping;
	int exit_status;
};

/* --- children --- */

/* In the child. fd to HSM_MONITOR_FD and pin_fd, if any, to WORKER_PIN_FD, wherever they are now. */
static int
place_descriptors(int fd, int pin_fd)
{
	const int high = WORKER_PIN_FD + 1; /* out of each other's way */

	fd = fcntl(fd, F_DUPFD_CLOEXEC, high);
	if (pin_fd > 0)
		pin_fd = fcntl(pin_fd, F_DUPFD_CLOEXEC, high);
	if (fd < 0 || pin_fd < 0 || dup2(fd, HSM_MONITOR_FD) < 0)
		return -1;
	return pin_fd > 0 && dup2(pin_fd, WORKER_PIN_FD) < 0 ? -1 : 0;
}

/* In the child. fd becomes HSM_MONITOR_FD, all others close by themselves. */
static void
exec_child(const struct child *child, pid_t monitor, int fd, const char *const *argv)
{
	struct slk_error err = {0};
	sigset_t none;

	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0)
		_exit(126);
	if (place_descriptors(fd, child->pin_fd) != 0)
		_exit(126);
	if (child->user != NULL && hsm_user_become(child->user, &err) != SLK_OK) {
		slk_error_log("cannot start", slk_kv("program", child->name),
			slk_kv("why", (const char *)err.text));
		_exit(EXIT_USELESS);
	}
	/* After the change of user, which would clear it; and then look whether it came too late. */
	if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0 || getppid() != monitor)
		_exit(126);
	execv(argv[0], (char *const *)argv);
	slk_error_log("cannot execute", slk_kv("program", argv[0]),
		slk_kv("error", (const char *)strerror(errno)));
	_exit(EXIT_USELESS);
}

static int
start_child(struct monitor *m, struct child *child, int fd, const char *const *argv)
{
	pid_t self = getpid();

	pid_t pid = fork();
	if (pid == 0)
		exec_child(child, self, fd, argv);
	if (pid < 0)
		return SLK_SYSTEM;
	child->pid = pid;
	child->started_ns = slk_mono_ns(m->clock);
	slk_info("started", slk_kv("program", child->name), slk_kv("pid", (int)pid));
	return SLK_OK;
}

static void
back_off(struct monitor *m, struct child *child)
{
	uint64_t now = slk_mono_ns(m->clock);

	if (now - child->started_ns > STEADY_NS)
		child->failures = 0;
	child->next_ns =
		now + hsm_backoff_ns(child->failures++, HSM_BACKOFF_FIRST_NS, HSM_BACKOFF_LAST_NS);
}

static int
socket_pair(int out_fds[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, out_fds) != 0)
		return SLK_SYSTEM;
	return SLK_OK;
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- what the front is told --- */

static void
tell_front(struct monitor *m, enum hsm_control_kind kind, uint64_t number, int fd)
{
	uint8_t bytes[HSM_CONTROL_BYTES];
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} ancillary;
	struct iovec iov = {bytes, sizeof(bytes)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (m->control_fd < 0)
		return;
	hsm_wire_encode_control(&(struct hsm_control){kind, number}, bytes);
	if (fd >= 0) {
		memset(&ancillary, 0, sizeof(ancillary));
		msg.msg_control = ancillary.room;
		msg.msg_controllen = sizeof(ancillary.room);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	/* A front that does not take its few messages is dead or will be started again. */
	if (sendmsg(m->control_fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE &&
		errno != ECONNRESET)
		slk_warn("cannot tell the front", slk_kv("error", (const char *)strerror(errno)));
}

static void
introduce(struct monitor *m, const struct seat *seat)
{
	if (seat->child.pid != 0 && seat->front_end_fd >= 0)
		tell_front(m, HSM_CONTROL_WORKER, seat->number, seat->front_end_fd);
}

/* --- starting --- */

static void
add(const char **argv, int *argc, const char *option, const char *value)
{
	if (value == NULL)
		return;
	argv[(*argc)++] = option;
	argv[(*argc)++] = value;
}

static void
start_front(struct monitor *m)
{
	const char *argv[ARGS_MAX] = {m->options->front_program, "--front"};
	int argc = 2, fds[2];

	add(argv, &argc, "--config", m->options->config_path);
	add(argv, &argc, "--log-level", m->options->log_level);
	int rc = socket_pair(fds);
	if (rc == SLK_OK) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fds[0]};
		if (fcntl(fds[0], F_SETFL, O_NONBLOCK) != 0 ||
			epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fds[0], &ev) != 0)
			rc = SLK_SYSTEM;
		if (rc == SLK_OK)
			rc = start_child(m, &m->front, fds[1], argv);
		close(fds[1]);
		if (rc != SLK_OK)
			close(fds[0]);
	}
	if (rc != SLK_OK) {
		slk_error_log(
			"cannot start the front", slk_kv("error", (const char *)strerror(errno)));
		back_off(m, &m->front);
		return;
	}
	m->control_fd = fds[0];
	for (uint32_t i = 0; i < m->seats_count; i++)
		introduce(m, &m->seats[i]);
}

static void
start_worker(struct monitor *m, struct seat *seat)
{
	const struct kms_config_hsm *hsm = &m->config->hsm;
	char sessions[16], deadline[16], start_deadline[16], pin_fd[16];
	const char *argv[ARGS_MAX] = {m->options->worker_program, "--fd", "3"};
	int argc = 3, fds[2];

	snprintf(pin_fd, sizeof(pin_fd), "%d", WORKER_PIN_FD);
	snprintf(sessions, sizeof(sessions), "%u", hsm->sessions);
	snprintf(deadline, sizeof(deadline), "%u", hsm->deadline_ms);
	snprintf(start_deadline, sizeof(start_deadline), "%u", hsm->start_deadline_ms);
	add(argv, &argc, "--profile", hsm->profile);
	add(argv, &argc, "--module", hsm->module);
	add(argv, &argc, "--token-label", hsm->token_label);
	add(argv, &argc, "--token-serial", hsm->token_serial);
	add(argv, &argc, "--pin-file", hsm->pin_file);
	add(argv, &argc, "--pin-fd", seat->child.pin_fd > 0 ? pin_fd : NULL);
	add(argv, &argc, "--state-file", hsm->state_file);
	add(argv, &argc, "--softhsm-conf", hsm->softhsm_conf);
	add(argv, &argc, "--module-parameters", hsm->module_parameters);
	for (uint32_t i = 0; i < hsm->module_paths_count; i++)
		add(argv, &argc, "--module-path", hsm->module_paths[i]);
	add(argv, &argc, "--sessions", hsm->sessions != 0 ? sessions : NULL);
	add(argv, &argc, "--deadline-ms", deadline);
	add(argv, &argc, "--start-deadline-ms", start_deadline);
	add(argv, &argc, "--log-level", m->options->log_level);
	int rc = socket_pair(fds);
	if (rc == SLK_OK) {
		rc = start_child(m, &seat->child, fds[1], argv);
		close(fds[1]);
		if (rc != SLK_OK)
			close(fds[0]);
	}
	if (rc != SLK_OK) {
		slk_error_log("cannot start the HSM worker",
			slk_kv("error", (const char *)strerror(errno)));
		back_off(m, &seat->child);
		return;
	}
	seat->front_end_fd = fds[0];
	seat->number = ++m->workers_started;
	introduce(m, seat);
}

/* --- ends --- */

static void
give_up(struct monitor *m, const struct child *child)
{
	slk_error_log("starting it again is useless until the configuration is changed; stopping",
		slk_kv("program", child->name));
	m->stopping = true;
	m->exit_status = EXIT_USELESS;
}

static void
log_end(const struct child *child, int status)
{
	if (WIFSIGNALED(status))
		slk_warn("ended by a signal", slk_kv("program", child->name),
			slk_kv("pid", (int)child->pid), slk_kv("signal", WTERMSIG(status)));
	else
		slk_info("ended", slk_kv("program", child->name), slk_kv("pid", (int)child->pid),
			slk_kv("status", WEXITSTATUS(status)));
}

static void
front_ended(struct monitor *m, int status)
{
	close_fd(&m->control_fd);
	if (!m->stopping && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USELESS)
		give_up(m, &m->front);
}

static void
worker_ended(struct monitor *m, struct seat *seat, int status)
{
	tell_front(m, HSM_CONTROL_NO_WORKER, seat->number, -1);
	close_fd(&seat->front_end_fd);
	/* Later ones may meet a module that is being replaced; the first ones meet a wrong setting. */
	bool first = seat->number <= m->seats_count &&
		slk_mono_ns(m->clock) - seat->child.started_ns < FIRST_LIFE_NS;
	if (!m->stopping && first && WIFEXITED(status) && WEXITSTATUS(status) == HSM_EXIT_CONFIG)
		give_up(m, &seat->child);
}

static struct seat *
seat_of(struct monitor *m, pid_t pid)
{
	for (uint32_t i = 0; i < m->seats_count; i++) {
		if (m->seats[i].child.pid == pid)
			return &m->seats[i];
	}
	return NULL;
}

static void
reap(struct monitor *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct seat *seat = seat_of(m, pid);
		struct child *child = pid == m->front.pid ? &m->front
			: seat != NULL                    ? &seat->child
							  : NULL;
		if (child == NULL)
			continue; /* an orphan that was given to us */
		log_end(child, status);
		child->pid = 0;
		back_off(m, child);
		if (seat != NULL)
			worker_ended(m, seat, status);
		else
			front_ended(m, status);
	}
}

static void
take_signals(struct monitor *m)
{
	struct signalfd_siginfo info;

	while (read(m->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			m->stopping = true;
	}
	reap(m);
}

static void
kill_stuck(struct monitor *m, uint64_t number)
{
	for (uint32_t i = 0; i < m->seats_count; i++) {
		const struct child *worker = &m->seats[i].child;
		if (worker->pid == 0 || number != m->seats[i].number)
			continue;
		slk_error_log("the front says that the HSM worker is stuck; killing it",
			slk_kv("pid", (int)worker->pid));
		(void)kill(worker->pid, SIGKILL);
	}
}

static void
hear_front(struct monitor *m)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t bytes[HSM_CONTROL_BYTES + 1];
	struct hsm_control control;
	size_t len = 0;

	int rc = sock->recv(sock->ctx, m->control_fd, bytes, sizeof(bytes), &len);
	if (rc == SLK_AGAIN)
		return;
	if (rc == SLK_OK)
		rc = hsm_wire_decode_control(slk_span(bytes, len), &control);
	if (rc == SLK_OK && control.kind == HSM_CONTROL_STUCK) {
		kill_stuck(m, control.worker_number);
		return;
	}
	/* Closed, or not a front of ours: it has ended or has to. */
	close_fd(&m->control_fd);
	if (m->front.pid != 0)
		(void)kill(m->front.pid, SIGTERM);
}

/* --- the loop --- */

/* One turn of waiting, until mono_ns at the latest (0: for ever). */
static int
wait_turn(struct monitor *m, uint64_t mono_ns)
{
	struct epoll_event events[4];
	int timeout = -1;

	if (mono_ns != 0) {
		uint64_t now = slk_mono_ns(m->clock);
		timeout = mono_ns > now ? (int)((mono_ns - now) / SLK_NS_PER_MS) + 1 : 0;
	}
	int n = epoll_wait(m->epoll_fd, events, 4, timeout);
	if (n < 0 && errno != EINTR)
		return SLK_SYSTEM;
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == m->control_fd)
			hear_front(m);
	}
	take_signals(m);
	return SLK_OK;
}

static uint64_t
earlier(uint64_t a, uint64_t b)
{
	return a == 0 || b < a ? b : a;
}

/* Start what is due; when the next one is, 0: none. */
static uint64_t
start_due(struct monitor *m)
{
	uint64_t now = slk_mono_ns(m->clock);
	uint64_t next = 0;

	for (uint32_t i = 0; i < m->seats_count; i++) {
		struct seat *seat = &m->seats[i];
		if (seat->child.pid == 0 && now >= seat->child.next_ns)
			start_worker(m, seat);
		if (seat->child.pid == 0)
			next = earlier(next, seat->child.next_ns);
	}
	if (m->front.pid == 0 && now >= m->front.next_ns)
		start_front(m);
	if (m->front.pid == 0)
		next = earlier(next, m->front.next_ns);
	return next;
}

static void
stop_child(struct monitor *m, struct child *child)
{
	uint64_t limit = slk_mono_ns(m->clock) + STOP_NS;
	bool killed = false;

	if (child->pid != 0)
		(void)kill(child->pid, SIGTERM);
	while (child->pid != 0) {
		if (wait_turn(m, limit) != SLK_OK)
			return;
		if (child->pid == 0 || slk_mono_ns(m->clock) < limit)
			continue;
		if (!killed)
			slk_warn("does not end; killing it", slk_kv("program", child->name));
		(void)kill(child->pid, SIGKILL);
		killed = true;
		limit = slk_mono_ns(m->clock) + STOP_NS;
	}
}

/* The door first, then the key. */
static void
stop_all(struct monitor *m)
{
	stop_child(m, &m->front);
	for (uint32_t i = 0; i < m->seats_count; i++)
		stop_child(m, &m->seats[i].child);
}

static void
loop(struct monitor *m)
{
	while (!m->stopping) {
		uint64_t next = start_due(m);
		if (wait_turn(m, next) != SLK_OK) {
			slk_error_log("the monitor cannot wait",
				slk_kv("error", (const char *)strerror(errno)));
			m->exit_status = 1;
			break;
		}
	}
	m->stopping = true;
	stop_all(m);
}

/* --- preparing --- */

static int
find_users(struct monitor *m, struct slk_error *err)
{
	if (geteuid() != 0)
		return SLK_OK;
	int rc = hsm_user_find(m->config->front_user, &m->front_user, err);
	if (rc == SLK_OK)
		rc = hsm_user_find(m->config->hsm.worker_user, &m->worker_user, err);
	if (rc != SLK_OK)
		return rc;
	if (m->front_user.uid == 0 || m->worker_user.uid == 0)
		return slk_fail(err, SLK_CONFIG, "front_user and hsm.worker_user must not be root");
	if (m->front_user.uid == m->worker_user.uid)
		slk_warn("front and HSM worker share a user; whoever takes the front reads the PIN "
			 "file",
			slk_kv("uid", m->front_user.uid));
	m->front.user = &m->front_user;
	for (uint32_t i = 0; i < m->seats_count; i++)
		m->seats[i].child.user = &m->worker_user;
	return SLK_OK;
}

static int
check_executable(const char *path, struct slk_error *err)
{
	if (access(path, X_OK) != 0)
		return slk_fail(err, SLK_CONFIG, "cannot execute %s: %s", path, strerror(errno));
	return SLK_OK;
}

int
kms_monitor_check(const struct kms_config *config, const struct kms_monitor_options *options,
	struct slk_error *err)
{
	struct monitor m = {.config = config, .options = options};

	int rc = find_users(&m, err);
	if (rc == SLK_OK)
		rc = check_executable(options->front_program, err);
	if (rc == SLK_OK)
		rc = check_executable(options->worker_program, err);
	if (rc == SLK_OK && access(config->hsm.module, R_OK) != 0)
		rc = slk_fail(err, SLK_CONFIG,
			"there is no PKCS#11 module at %s; install the vendor's package or set "
			"hsm.module",
			config->hsm.module);
	return rc;
}

/* As far as this process may: a container's root often may not. The usual 8 MiB do, with fewer pending calls. */
static void
raise_memlock(void)
{
	struct rlimit wanted = {MEMLOCK_BYTES, MEMLOCK_BYTES};
	struct rlimit now;

	if (getrlimit(RLIMIT_MEMLOCK, &now) != 0)
		return;
	if (now.rlim_cur >= wanted.rlim_cur || setrlimit(RLIMIT_MEMLOCK, &wanted) == 0)
		return;
	now.rlim_cur = now.rlim_max;
	if (setrlimit(RLIMIT_MEMLOCK, &now) != 0 || now.rlim_cur < MEMLOCK_BYTES / 8)
		slk_warn("little memory may be locked; calls will be refused under load",
			slk_kv("bytes", (uint64_t)now.rlim_cur));
}

/* Before root's powers go: only root opens a credential. */
static int
find_pin(struct monitor *m, struct slk_error *err)
{
	int fd = 0;

	int rc = kms_credential_open(&m->config->hsm, m->options->pin_fd, &fd, err);
	if (rc != SLK_OK)
		return rc;
	if (fd > 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return slk_fail_errno(err, "cannot keep the PIN's descriptor to the worker");
	for (uint32_t i = 0; i < m->seats_count; i++)
		m->seats[i].child.pin_fd = fd;
	return SLK_OK;
}

static int
take_over(struct monitor *m, struct slk_error *err)
{
	struct epoll_event ev = {.events = EPOLLIN};
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) != 0)
		return slk_fail_errno(err, "cannot block signals");
	raise_memlock();
	m->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (m->signal_fd < 0 || m->epoll_fd < 0)
		return slk_fail_errno(err, "cannot make the monitor's descriptors");
	ev.data.fd = m->signal_fd;
	if (epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, m->signal_fd, &ev) != 0)
		return slk_fail_errno(err, "cannot watch signals");
	const struct kms_sandbox_programs programs = {
		m->options->front_program, m->options->worker_program};
	return kms_sandbox_monitor(m->config, &programs, err);
}

int
kms_monitor_run(const struct kms_config *config, const struct kms_monitor_options *options)
{
	struct monitor m = {.config = config,
		.options = options,
		.clock = slk_clock_system(),
		.front = {.name = "front"},
		.seats_count = config->hsm.workers,
		.signal_fd = -1,
		.epoll_fd = -1,
		.control_fd = -1};
	struct slk_error err = {0};

	for (uint32_t i = 0; i < m.seats_count; i++)
		m.seats[i] = (struct seat){.child = {.name = "hsm-worker"}, .front_end_fd = -1};
	int rc = kms_monitor_check(config, options, &err);
	if (rc == SLK_OK)
		rc = find_users(&m, &err);
	if (rc == SLK_OK)
		rc = find_pin(&m, &err);
	if (rc == SLK_OK)
		rc = take_over(&m, &err);
	if (rc != SLK_OK) {
		slk_error_log("cannot start", slk_kv("why", (const char *)err.text));
		m.exit_status = rc == SLK_CONFIG ? EXIT_USELESS : 1;
	} else {
		if (geteuid() != 0)
			slk_warn("not started as root: front and HSM worker run under one user and "
				 "are not "
				 "protected from each other",
				slk_kv("uid", geteuid()));
		loop(&m);
		slk_info("stopped", slk_kv("status", m.exit_status));
	}
	close_fd(&m.control_fd);
	for (uint32_t i = 0; i < m.seats_count; i++)
		close_fd(&m.seats[i].front_end_fd);
	close_fd(&m.signal_fd);
	close_fd(&m.epoll_fd);
	return m.exit_status;
}
