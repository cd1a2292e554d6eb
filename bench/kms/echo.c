/* A process that answers a message with a message. */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "kms_bench.h"

/* The first two bytes of a question say how long the answer is. */
static void
serve(int fd)
{
	static uint8_t buf[KB_FRAME_MAX];
	uint16_t len;

	while (recv(fd, buf, sizeof(buf), 0) >= (ssize_t)sizeof(len)) {
		memcpy(&len, buf, sizeof(len));
		if (len > sizeof(buf) || send(fd, buf, len, MSG_NOSIGNAL) != len)
			break;
	}
	_exit(0);
}

/* The first and the last core that this process may use. */
static bool
cores(cpu_set_t *out_first, cpu_set_t *out_last)
{
	cpu_set_t allowed;
	int first = -1, last = -1;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return false;
	for (int i = 0; i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &allowed))
			continue;
		first = first < 0 ? i : first;
		last = i;
	}
	CPU_ZERO(out_first);
	CPU_ZERO(out_last);
	CPU_SET(first, out_first);
	CPU_SET(last, out_last);
	return true;
}

int
kb_echo_start(struct kb_echo *e, bool same_core)
{
	cpu_set_t theirs;
	int fds[2];

	if (!cores(&theirs, &e->ours))
		return SLK_SYSTEM;
	if (same_core)
		e->ours = theirs;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
		return SLK_SYSTEM;
	e->pid = fork();
	if (e->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		if (sched_setaffinity(0, sizeof(theirs), &theirs) != 0)
			_exit(1);
		serve(fds[1]);
	}
	close(fds[1]);
	e->fd = fds[0];
	return e->pid > 0 ? SLK_OK : SLK_SYSTEM;
}

void
kb_echo_stop(struct kb_echo *e)
{
	if (e->pid <= 0)
		return;
	/* The end of the socket would not do: a process made later holds a copy of it. */
	(void)kill(e->pid, SIGKILL);
	close(e->fd);
	(void)waitpid(e->pid, NULL, 0);
	e->pid = 0;
}

static bool
ask(const struct kb_echo *e, unsigned count, size_t ask_bytes, size_t answer_bytes,
	struct slk_hist *latency)
{
	static uint8_t buf[KB_FRAME_MAX];
	uint16_t len = (uint16_t)answer_bytes;

	for (unsigned i = 0; i < count; i++) {
		uint64_t start_ns = slk_mono_ns(slk_clock_system());
		memcpy(buf, &len, sizeof(len));
		if (send(e->fd, buf, ask_bytes, MSG_NOSIGNAL) != (ssize_t)ask_bytes ||
			recv(e->fd, buf, sizeof(buf), 0) != (ssize_t)answer_bytes)
			return false;
		slk_hist_add(latency, slk_mono_ns(slk_clock_system()) - start_ns, 1);
	}
	return true;
}

bool
kb_echo_run(struct kb_echo *e, unsigned count, size_t ask_bytes, size_t answer_bytes,
	struct slk_hist *latency)
{
	cpu_set_t before;

	if (sched_getaffinity(0, sizeof(before), &before) != 0 ||
		sched_setaffinity(0, sizeof(e->ours), &e->ours) != 0)
		return false;
	bool ok = ask(e, count, ask_bytes, answer_bytes, latency);
	return sched_setaffinity(0, sizeof(before), &before) == 0 && ok;
}
