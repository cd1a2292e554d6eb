#include "hsm/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "hsm/draw.h"
#include "hsm/job.h"
#include "hsm/ops.h"
#include "hsm/sandbox.h"
#include "hsm/token.h"

#define WATCH_MS 50
#define FINISH_NS (2 * SLK_NS_PER_S)
/* Of a module that takes one call at a time: replies to calls that took no longer than this wait for each other, a few. */
#define QUICK_NS (125 * SLK_NS_PER_US)

struct worker;

struct runner {
	struct worker *worker;
	void (*body)(struct runner *);
	struct hsm_session session;
	uint64_t began_ns; /* its job */
	pthread_t thread;
	bool started;
};

struct worker {
	const struct hsm_options *options;
	const struct slk_clock *clock;
	struct hsm_token *token;
	int fd, wake_fd, signal_fd;
	struct runner runners[HSM_SESSIONS_MAX];
	struct runner keeper;

	pthread_mutex_t lock;
	bool stopping;
	int receive_rc; /* what ended a session thread's receiving; SLK_OK: nothing yet */
	unsigned waiting_count; /* session threads that wait at the socket */
	uint64_t finished_count; /* jobs, ever */
	uint64_t finished_seen; /* by the watch loop's last turn */
	unsigned alive_count; /* threads that have not ended */
	pthread_cond_t ended;
	/* Of a module that takes one call at a time: the one session thread that takes jobs, NULL if there is none at the
	 * moment. The others wait until it hands over. */
	const struct runner *leader;
	pthread_cond_t led;
	struct hsm_jobs jobs;
};

static bool
one_at_a_time(const struct worker *w)
{
	return w->options->profile->one_at_a_time;
}

static void
answer_status(struct worker *w, uint64_t call_id)
{
	struct hsm_wire_reply m = {.call_id = call_id, .reply = {.op = HSM_STATUS}};

	hsm_token_health(w->token, &m.reply.health);
	hsm_jobs_send_plain(&w->jobs, &m);
}

/* --- session threads --- */

static void
wake_loop(struct worker *w)
{
	const uint64_t one = 1;

	/* Cannot fail but when the counter is full, and then the loop is awake. */
	ssize_t n = write(w->wake_fd, &one, sizeof(one));
	(void)n;
}

/* From here to send_done() the lock is held. */
static void
end_receiving(struct worker *w, int rc)
{
	if (w->receive_rc == SLK_OK)
		w->receive_rc = rc;
	pthread_cond_broadcast(&w->led);
	wake_loop(w);
}

static bool
is_status(const struct hsm_job *job)
{
	return job->request.request.op == HSM_STATUS;
}

/* A millisecond and more, on whatever token. */
static bool
takes_long(const struct hsm_job *job)
{
	switch (job->request.request.op) {
	case HSM_RANDOM:
	case HSM_WRAP:
	case HSM_UNWRAP:
	case HSM_GENERATE_DATA_KEY:
	case HSM_REWRAP:
		return false;
	default:
		return true;
	}
}

/* How many requests may come together. */
static unsigned
together(const struct worker *w)
{
	return one_at_a_time(w) ? HSM_JOBS_TAKEN_MAX : 1;
}

/* Free jobs for what may come together: all of them, or none. */
static bool
take_room(struct worker *w, struct hsm_job *out[HSM_JOBS_TAKEN_MAX])
{
	unsigned room = 0;

	while (room < together(w) && (out[room] = hsm_jobs_take(&w->jobs)) != NULL)
		room++;
	if (room == together(w))
		return true;
	while (room-- > 0)
		hsm_jobs_release(&w->jobs, out[room]);
	return false;
}

/* The first `count` of what was received go onto the queue. Questions about health are answered at once. */
static void
queue_received(struct worker *w, struct hsm_job *const *in, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (is_status(in[i]))
			answer_status(w, in[i]->request.call_id);
		else
			hsm_jobs_queue(&w->jobs, in[i]);
	}
	for (unsigned i = together(w); i-- > 0;) {
		if (i >= count || is_status(in[i]))
			hsm_jobs_release(&w->jobs, in[i]);
	}
}

/* Requests from the socket onto the queue, waited for without the lock; one of the threads that wait gets them. */
static void
receive_jobs(struct worker *w)
{
	struct hsm_job *in[HSM_JOBS_TAKEN_MAX];
	unsigned count = 0;

	if (!take_room(w, in)) {
		end_receiving(w, SLK_NO_MEMORY);
		return;
	}
	w->waiting_count++;
	pthread_mutex_unlock(&w->lock);
	int rc = hsm_jobs_receive(&w->jobs, in, together(w), &count);
	pthread_mutex_lock(&w->lock);
	w->waiting_count--;
	queue_received(w, in, count);
	if (rc != SLK_OK)
		end_receiving(w, rc);
}

/* What is done leaves. */
static void
send_done(struct worker *w, bool wait)
{
	struct hsm_job *done[HSM_JOBS_AT_ONCE];
	unsigned count;

	while ((count = hsm_jobs_take_done(&w->jobs, done)) > 0) {
		pthread_mutex_unlock(&w->lock);
		hsm_jobs_send(&w->jobs, done, count, wait);
		pthread_mutex_lock(&w->lock);
		for (unsigned i = count; i-- > 0;)
			hsm_jobs_release(&w->jobs, done[i]);
	}
}

/* Let the next thread take jobs. */
static void
hand_over(struct worker *w)
{
	w->leader = NULL;
	pthread_cond_signal(&w->led);
}

/* Is it this thread's turn to take jobs? */
static bool
may_lead(struct worker *w, const struct runner *r)
{
	if (!one_at_a_time(w))
		return true;
	if (w->leader != NULL && w->leader != r)
		return false;
	w->leader = r;
	return true;
}

static struct hsm_job *
next_job(struct runner *r)
{
	struct worker *w = r->worker;
	struct hsm_job *job = NULL;

	pthread_mutex_lock(&w->lock);
	while (job == NULL && !w->stopping && w->receive_rc == SLK_OK) {
		bool leads = may_lead(w, r);
		job = leads ? hsm_jobs_run_next(&w->jobs) : NULL;
		if (job != NULL)
			break;
		hsm_draw_drop(&r->session); /* nobody waits for it */
		if (leads)
			receive_jobs(w);
		else
			pthread_cond_wait(&w->led, &w->lock);
	}
	if (job != NULL && w->leader == r && takes_long(job)) {
		hand_over(w);
		send_done(w, true);
	}
	r->session.ahead_count = one_at_a_time(w) ? w->jobs.queued_count : 0;
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void
run_job(struct runner *r, struct hsm_job *job)
{
	struct hsm_wire_reply m = {.call_id = job->request.call_id};

	r->began_ns = slk_mono_ns(r->worker->clock);
	hsm_ops_execute(&r->session, &job->request.request, &m.reply);
	int rc =
		hsm_wire_encode_reply(&m, slk_secret_bytes(job->tx), HSM_MESSAGE_MAX, &job->tx_len);
	if (rc != SLK_OK) {
		/* Ours to have prevented; the front hears of it as a deadline. */
		slk_error_log("a reply does not encode", slk_kv("status", slk_status_name(rc)));
		job->tx_len = 0;
	}
	slk_wipe(&m, sizeof(m));
	hsm_ops_wipe(&r->session, &job->request.request);
}

/* May replies wait for the next one? It costs them some microseconds, and saves the front a wake-up each. */
static bool
may_wait(const struct runner *r)
{
	const struct worker *w = r->worker;

	return w->leader == r && w->jobs.queued_count > 0 &&
		w->jobs.done_count < HSM_TOGETHER_MAX &&
		slk_mono_ns(w->clock) - r->began_ns < QUICK_NS;
}

static void
finish_job(struct runner *r, struct hsm_job *job)
{
	struct worker *w = r->worker;

	pthread_mutex_lock(&w->lock);
	hsm_jobs_end(&w->jobs, job);
	w->finished_count++;
	if (!may_wait(r))
		send_done(w, true);
	pthread_mutex_unlock(&w->lock);
}

static void
serve(struct runner *r)
{
	struct hsm_job *job;

	/* Until the token has been looked for once, calls wait rather than fail. */
	hsm_token_wait_started(r->worker->token);
	while ((job = next_job(r)) != NULL) {
		run_job(r, job);
		finish_job(r, job);
	}
}

static void
keep(struct runner *r)
{
	hsm_token_keep(&r->session);
}

static void *
runner_main(void *arg)
{
	struct runner *r = arg;
	struct worker *w = r->worker;

	r->body(r);
	pthread_mutex_lock(&w->lock);
	w->alive_count--;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* --- the watch loop --- */

static bool
readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

/* While all session threads are in the module (or wait for the token's start), requests would lie in
 * the socket beyond their deadlines: take them. The lock is held, and no thread waits at the
 * socket, so what is readable stays ours. */
static int
take_over(struct worker *w)
{
	struct hsm_job *in[HSM_JOBS_TAKEN_MAX];
	int rc = SLK_OK;

	while (rc == SLK_OK && w->waiting_count == 0 && readable(w->fd) && take_room(w, in)) {
		unsigned count = 0;
		rc = hsm_jobs_receive(&w->jobs, in, together(w), &count);
		queue_received(w, in, count);
	}
	return rc;
}

static struct hsm_job *
find_late(struct hsm_job_list *list, uint64_t now_ns)
{
	struct hsm_job *job;

	TAILQ_FOREACH(job, list, entry)
	{
		if (!job->answered && job->request.request.mono_deadline_ns <= now_ns)
			return job;
	}
	return NULL;
}

/* Answer what is late, so that the front knows that this loop turns. */
static void
expire(struct worker *w)
{
	uint64_t now = slk_mono_ns(w->clock);
	char text[HSM_ERROR_MAX];

	for (;;) {
		pthread_mutex_lock(&w->lock);
		struct hsm_job *job = find_late(&w->jobs.queued, now);
		bool queued = job != NULL;
		if (job == NULL)
			job = find_late(&w->jobs.running, now);
		struct hsm_wire_reply m = {0};
		if (job != NULL) {
			m.call_id = job->request.call_id;
			m.reply.op = job->request.request.op;
			job->answered = true;
		}
		if (queued) {
			hsm_jobs_unqueue(&w->jobs, job);
			hsm_jobs_release(&w->jobs, job);
		}
		pthread_mutex_unlock(&w->lock);
		if (job == NULL)
			return;
		bool ready = hsm_token_status(w->token, text) == SLK_OK;
		m.reply.status = ready ? SLK_TIMEOUT : SLK_UNAVAILABLE;
		strcpy(m.reply.error,
			ready ? "the HSM did not answer in time"
			      : "the HSM worker has no token yet");
		hsm_jobs_send_plain(&w->jobs, &m);
	}
}

static bool
may_take_long(const char *name)
{
	static const char *const slow[] = {"C_Initialize", "C_Finalize", "C_GetSlotList",
		"C_GetTokenInfo", "C_OpenSession", "C_CloseSession", "C_Login"};

	for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
		if (strcmp(slow[i], name) == 0)
			return true;
	}
	return false;
}

/* A thread that does not come back from the module takes the process with it. */
static void
watch(const struct worker *w, const struct runner *r)
{
	uint64_t since = atomic_load_explicit(&r->session.probe.since_ns, memory_order_acquire);
	if (since == 0)
		return;
	const char *name = atomic_load_explicit(&r->session.probe.name, memory_order_relaxed);
	uint64_t limit =
		may_take_long(name) ? w->options->start_deadline_ns : w->options->deadline_ns;
	uint64_t now = slk_mono_ns(w->clock);
	if (now < since || now - since < limit)
		return;
	slk_error_log("the PKCS#11 module hangs; ending this worker", slk_kv("call", name),
		slk_kv("ms", (now - since) / SLK_NS_PER_MS));
	_exit(HSM_EXIT_HUNG);
}

static void
watch_all(const struct worker *w)
{
	for (uint32_t i = 0; i < w->options->sessions_count; i++)
		watch(w, &w->runners[i]);
	watch(w, &w->keeper);
}

static void
drain(int fd)
{
	uint64_t ignored;

	ssize_t n = read(fd, &ignored, sizeof(ignored));
	(void)n;
}

/* Not one session thread waits, and none came back since the last turn. */
static bool
stalled(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	bool idle = w->waiting_count > 0 || w->finished_count != w->finished_seen;
	w->finished_seen = w->finished_count;
	pthread_mutex_unlock(&w->lock);
	return !idle;
}

/* A leader that does not come back leads no longer, and what was done before does not wait for it. */
static void
help(struct worker *w)
{
	if (!one_at_a_time(w))
		return;
	hand_over(w);
	send_done(w, false);
}

static int
turn(struct worker *w, bool *out_signalled)
{
	bool stuck = stalled(w);
	struct pollfd fds[] = {{.fd = w->fd, .events = stuck ? POLLIN : 0},
		{.fd = w->wake_fd, .events = POLLIN}, {.fd = w->signal_fd, .events = POLLIN}};

	if (poll(fds, 3, WATCH_MS) < 0 && errno != EINTR)
		return SLK_SYSTEM;
	if (fds[1].revents != 0)
		drain(w->wake_fd);
	*out_signalled = fds[2].revents != 0;
	pthread_mutex_lock(&w->lock);
	int rc = w->receive_rc;
	if (rc == SLK_OK)
		rc = take_over(w);
	if (stuck && w->waiting_count == 0 && w->finished_count == w->finished_seen)
		help(w);
	pthread_mutex_unlock(&w->lock);
	if (rc == SLK_OK && (fds[0].revents & (POLLHUP | POLLERR)) != 0)
		rc = SLK_CLOSED;
	expire(w);
	watch_all(w);
	return rc;
}

static int
loop(struct worker *w)
{
	bool signalled = false;
	int rc = SLK_OK;

	while (rc == SLK_OK && !signalled)
		rc = turn(w, &signalled);
	if (rc == SLK_OK || rc == SLK_CLOSED)
		return HSM_EXIT_CLEAN;
	slk_error_log("the front's messages cannot be read; ending this worker",
		slk_kv("status", slk_status_name(rc)));
	return HSM_EXIT_PROTOCOL;
}

/* --- start and end --- */

static int
start_thread(struct worker *w, struct runner *r, unsigned index, void (*body)(struct runner *))
{
	r->worker = w;
	r->body = body;
	int rc = hsm_session_init(&r->session, w->token, index);
	if (rc != SLK_OK)
		return rc;
	if (pthread_create(&r->thread, NULL, runner_main, r) != 0)
		return SLK_SYSTEM;
	r->started = true;
	return SLK_OK;
}

static int
start_threads(struct worker *w)
{
	int rc = SLK_OK;

	/* The lock keeps the count right against threads that end at once. */
	pthread_mutex_lock(&w->lock);
	for (uint32_t i = 0; i <= w->options->sessions_count && rc == SLK_OK; i++) {
		bool keeper = i == w->options->sessions_count;
		rc = start_thread(
			w, keeper ? &w->keeper : &w->runners[i], i, keeper ? keep : serve);
		w->alive_count += rc == SLK_OK ? 1 : 0;
	}
	pthread_mutex_unlock(&w->lock);
	return rc;
}

/* False: somebody is still inside the module when the time is over. */
static bool
wait_ended(struct worker *w)
{
	struct timespec limit;
	int rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &limit);
	limit.tv_sec += (time_t)(FINISH_NS / SLK_NS_PER_S);
	pthread_mutex_lock(&w->lock);
	while (w->alive_count > 0 && rc == 0)
		rc = pthread_cond_timedwait(&w->ended, &w->lock, &limit);
	bool all = w->alive_count == 0;
	pthread_mutex_unlock(&w->lock);
	return all;
}

static void
stop_threads(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->led);
	pthread_mutex_unlock(&w->lock);
	(void)shutdown(w->fd, SHUT_RD); /* ends the wait of those who wait at the socket */
	hsm_token_stop(w->token);
	if (!wait_ended(w)) {
		/* It cannot be helped, and nothing may be cleaned up beside it. */
		slk_warn("a module call did not end in time; leaving without C_Finalize");
		_exit(HSM_EXIT_HUNG);
	}
	for (uint32_t i = 0; i < w->options->sessions_count; i++) {
		if (w->runners[i].started)
			pthread_join(w->runners[i].thread, NULL);
	}
	if (w->keeper.started)
		pthread_join(w->keeper.thread, NULL);
}

static void
fini(struct worker *w)
{
	hsm_token_free(w->token);
	for (uint32_t i = 0; i < HSM_SESSIONS_MAX; i++)
		hsm_session_fini(&w->runners[i].session);
	hsm_session_fini(&w->keeper.session);
	hsm_jobs_fini(&w->jobs);
	const int fds[] = {w->fd, w->wake_fd, w->signal_fd};
	for (size_t i = 0; i < 3; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
	}
	free(w);
}

static int
init(struct worker *w, struct slk_error *err)
{
	static const struct timeval send_limit = {1, 0};
	sigset_t mask;

	/* Blocked before any thread is made, so that no thread ever takes it. A dead p11-kit or
	 * network peer raises SIGPIPE inside some modules. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &mask, NULL) != 0 || fcntl(w->fd, F_SETFL, 0) != 0 ||
		setsockopt(w->fd, SOL_SOCKET, SO_SNDTIMEO, &send_limit, sizeof(send_limit)) != 0)
		return slk_fail_errno(err, "cannot prepare signals and socket");
	w->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->signal_fd < 0 || w->wake_fd < 0)
		return slk_fail_errno(err, "cannot make the worker's descriptors");
	int rc = hsm_token_new(w->options, w->clock, &w->token, err);
	if (rc == SLK_OK)
		rc = hsm_sandbox_enter(w->options, err);
	return rc;
}

int
hsm_worker_run(const struct hsm_options *options, int fd)
{
	struct slk_error err = {0};
	pthread_condattr_t attr;

	struct worker *w = calloc(1, sizeof(*w));
	if (w == NULL) {
		close(fd);
		return HSM_EXIT_START;
	}
	w->options = options;
	w->clock = slk_clock_system();
	w->fd = fd;
	w->wake_fd = w->signal_fd = -1;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->ended, &attr);
	pthread_condattr_destroy(&attr);
	pthread_cond_init(&w->led, NULL);
	hsm_jobs_init(&w->jobs, fd);

	int code = HSM_EXIT_START;
	int rc = init(w, &err);
	if (rc != SLK_OK) {
		slk_error_log("the HSM worker cannot start", slk_kv("why", err.text));
		code = slk_status_class(rc) == SLK_CLASS_CALLER ? HSM_EXIT_CONFIG : HSM_EXIT_START;
	} else {
		rc = start_threads(w);
		if (rc == SLK_OK)
			code = loop(w);
		else
			slk_error_log("the HSM worker cannot start its threads",
				slk_kv("status", slk_status_name(rc)));
		stop_threads(w);
	}
	fini(w);
	return code;
}
