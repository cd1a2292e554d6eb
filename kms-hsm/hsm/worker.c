#include "hsm/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "base/sock.h"
#include "hsm/ops.h"
#include "hsm/sandbox.h"
#include "hsm/token.h"
#include "hsm/wire.h"

/* 64 jobs in flight, two locked buffers each: under the usual 8 MiB memlock limit. */
#define JOBS_MAX 64u
#define WATCH_MS 50
#define FINISH_NS (2 * SLK_NS_PER_S)

/* FREE -> QUEUED -> RUNNING -> DONE -> FREE. A job whose deadline passes is answered there and
 * then; if it runs, its result is thrown away later. */
struct job {
	TAILQ_ENTRY(job) entry;
	struct hsm_wire_request request; /* spans into rx */
	struct slk_secret *rx, *tx;
	size_t tx_len;
	bool answered;
};
TAILQ_HEAD(job_list, job);

struct worker;

struct runner {
	struct worker *worker;
	void (*body)(struct runner *);
	struct hsm_session session;
	pthread_t thread;
	bool started;
};

struct worker {
	const struct hsm_options *options;
	const struct slk_clock *clock;
	struct hsm_token *token;
	int fd, wake_fd, signal_fd;
	bool out_blocked;
	struct runner runners[HSM_SESSIONS_MAX];
	struct runner keeper;
	struct slk_secret *status_tx;

	pthread_mutex_t lock;
	pthread_cond_t work;
	struct job_list free, queued, running, done;
	bool stopping;
	unsigned alive_count; /* threads that have not ended */
	pthread_cond_t ended;
	struct job jobs[JOBS_MAX];
};

/* --- session threads --- */

static struct job *
next_job(struct worker *w)
{
	struct job *job = NULL;

	pthread_mutex_lock(&w->lock);
	while (!w->stopping && (job = TAILQ_FIRST(&w->queued)) == NULL)
		pthread_cond_wait(&w->work, &w->lock);
	if (w->stopping)
		job = NULL;
	if (job != NULL) {
		TAILQ_REMOVE(&w->queued, job, entry);
		TAILQ_INSERT_TAIL(&w->running, job, entry);
	}
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void
wake_loop(struct worker *w)
{
	const uint64_t one = 1;

	/* Cannot fail but when the counter is full, and then the loop is awake. */
	ssize_t n = write(w->wake_fd, &one, sizeof(one));
	(void)n;
}

static void
run_job(struct runner *r, struct job *job)
{
	struct hsm_wire_reply m = {.call_id = job->request.call_id};

	hsm_ops_execute(&r->session, &job->request.request, &m.reply);
	int rc =
		hsm_wire_encode_reply(&m, slk_secret_bytes(job->tx), HSM_MESSAGE_MAX, &job->tx_len);
	if (rc != SLK_OK) {
		/* Ours to have prevented; the front hears of it as a deadline. */
		slk_error_log("a reply does not encode", slk_kv("status", slk_status_name(rc)));
		job->tx_len = 0;
	}
	slk_wipe(&m, sizeof(m));
	hsm_ops_wipe(&r->session);
}

static void
serve(struct runner *r)
{
	struct worker *w = r->worker;
	struct job *job;

	/* Until the token has been looked for once, calls wait rather than fail. */
	hsm_token_wait_started(w->token);
	while ((job = next_job(w)) != NULL) {
		run_job(r, job);
		pthread_mutex_lock(&w->lock);
		TAILQ_REMOVE(&w->running, job, entry);
		TAILQ_INSERT_TAIL(&w->done, job, entry);
		pthread_mutex_unlock(&w->lock);
		wake_loop(w);
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

/* --- the I/O loop --- */

static void
release(struct worker *w, struct job *job)
{
	slk_wipe(slk_secret_bytes(job->rx), HSM_MESSAGE_MAX);
	slk_wipe(slk_secret_bytes(job->tx), job->tx_len);
	job->tx_len = 0;
	job->answered = false;
	TAILQ_INSERT_HEAD(&w->free, job, entry);
}

static int
send_message(struct worker *w, const uint8_t *bytes, size_t len)
{
	const struct slk_sock_ops *sock = slk_sock_posix();

	int rc = sock->send(sock->ctx, w->fd, bytes, len);
	w->out_blocked = rc == SLK_AGAIN;
	return rc;
}

/* Send what is done. SLK_OK (also when the socket is full), SLK_CLOSED and others. */
static int
send_done(struct worker *w)
{
	int rc = SLK_OK;

	pthread_mutex_lock(&w->lock);
	struct job *job;
	while ((job = TAILQ_FIRST(&w->done)) != NULL) {
		if (!job->answered && job->tx_len > 0) {
			rc = send_message(w, slk_secret_peek(job->tx), job->tx_len);
			if (rc != SLK_OK)
				break;
		}
		TAILQ_REMOVE(&w->done, job, entry);
		release(w, job);
	}
	pthread_mutex_unlock(&w->lock);
	return rc == SLK_AGAIN ? SLK_OK : rc;
}

static int
send_reply(struct worker *w, const struct hsm_wire_reply *m)
{
	size_t len = 0;

	int rc = hsm_wire_encode_reply(m, slk_secret_bytes(w->status_tx), HSM_MESSAGE_MAX, &len);
	if (rc == SLK_OK)
		rc = send_message(w, slk_secret_peek(w->status_tx), len);
	/* A front that does not read learns of this call at its own deadline. */
	return rc == SLK_AGAIN ? SLK_OK : rc;
}

static int
answer_status(struct worker *w, uint64_t call_id)
{
	struct hsm_wire_reply m = {.call_id = call_id, .reply = {.op = HSM_STATUS}};

	hsm_token_health(w->token, &m.reply.health);
	return send_reply(w, &m);
}

static struct job *
take_free(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	struct job *job = TAILQ_FIRST(&w->free);
	if (job != NULL)
		TAILQ_REMOVE(&w->free, job, entry);
	pthread_mutex_unlock(&w->lock);
	return job;
}

static void
give_back(struct worker *w, struct job *job)
{
	pthread_mutex_lock(&w->lock);
	release(w, job);
	pthread_mutex_unlock(&w->lock);
}

static int
prepare(struct job *job)
{
	if (job->rx == NULL && slk_secret_new(HSM_MESSAGE_MAX, &job->rx) != SLK_OK)
		return SLK_NO_MEMORY;
	return job->tx != NULL ? SLK_OK : slk_secret_new(HSM_MESSAGE_MAX, &job->tx);
}

static bool
have_free(struct worker *w)
{
	pthread_mutex_lock(&w->lock);
	bool have = !TAILQ_EMPTY(&w->free);
	pthread_mutex_unlock(&w->lock);
	return have;
}

/* One request. SLK_AGAIN: none there; SLK_CLOSED; anything else: the front is not ours. */
static int
receive_one(struct worker *w, struct job *job)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	size_t len = 0;

	int rc = sock->recv(sock->ctx, w->fd, slk_secret_bytes(job->rx), HSM_MESSAGE_MAX, &len);
	if (rc == SLK_OK)
		rc = hsm_wire_decode_request(
			slk_span(slk_secret_peek(job->rx), len), &job->request);
	if (rc == SLK_OK && job->request.request.op == HSM_STATUS) {
		rc = answer_status(w, job->request.call_id);
		give_back(w, job);
		return rc;
	}
	if (rc != SLK_OK) {
		give_back(w, job);
		return rc;
	}
	pthread_mutex_lock(&w->lock);
	TAILQ_INSERT_TAIL(&w->queued, job, entry);
	pthread_cond_signal(&w->work);
	pthread_mutex_unlock(&w->lock);
	return SLK_OK;
}

static int
receive(struct worker *w)
{
	for (;;) {
		struct job *job = take_free(w);
		if (job == NULL)
			return SLK_OK;
		int rc = prepare(job);
		if (rc != SLK_OK) {
			pthread_mutex_lock(&w->lock);
			TAILQ_INSERT_TAIL(&w->free, job, entry);
			pthread_mutex_unlock(&w->lock);
			slk_error_log(
				"no locked memory for a request; is RLIMIT_MEMLOCK too small?");
			return SLK_NO_MEMORY;
		}
		rc = receive_one(w, job);
		if (rc != SLK_OK)
			return rc == SLK_AGAIN ? SLK_OK : rc;
	}
}

static struct job *
find_late(struct job_list *list, uint64_t now_ns)
{
	struct job *job;

	TAILQ_FOREACH(job, list, entry)
	{
		if (!job->answered && job->request.request.mono_deadline_ns <= now_ns)
			return job;
	}
	return NULL;
}

/* Answer what is late, so that the front knows that this loop turns. */
static int
expire(struct worker *w)
{
	uint64_t now = slk_mono_ns(w->clock);
	char text[HSM_ERROR_MAX];
	int rc = SLK_OK;

	for (;;) {
		pthread_mutex_lock(&w->lock);
		struct job *job = find_late(&w->queued, now);
		bool queued = job != NULL;
		if (job == NULL)
			job = find_late(&w->running, now);
		struct hsm_wire_reply m = {0};
		if (job != NULL) {
			m.call_id = job->request.call_id;
			m.reply.op = job->request.request.op;
			job->answered = true;
		}
		if (queued) {
			TAILQ_REMOVE(&w->queued, job, entry);
			release(w, job);
		}
		pthread_mutex_unlock(&w->lock);
		if (job == NULL || rc != SLK_OK)
			return rc;
		bool ready = hsm_token_status(w->token, text) == SLK_OK;
		m.reply.status = ready ? SLK_TIMEOUT : SLK_UNAVAILABLE;
		strcpy(m.reply.error,
			ready ? "the HSM did not answer in time"
			      : "the HSM worker has no token yet");
		rc = send_reply(w, &m);
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

static int
turn(struct worker *w, bool *out_signalled)
{
	short events = (short)((have_free(w) ? POLLIN : 0) | (w->out_blocked ? POLLOUT : 0));
	struct pollfd fds[] = {{.fd = w->fd, .events = events},
		{.fd = w->wake_fd, .events = POLLIN}, {.fd = w->signal_fd, .events = POLLIN}};

	if (poll(fds, 3, WATCH_MS) < 0 && errno != EINTR)
		return SLK_SYSTEM;
	if (fds[1].revents != 0)
		drain(w->wake_fd);
	*out_signalled = fds[2].revents != 0;
	int rc = send_done(w);
	if (rc == SLK_OK && (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) != 0)
		rc = receive(w);
	if (rc == SLK_OK)
		rc = expire(w);
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
	pthread_cond_broadcast(&w->work);
	pthread_mutex_unlock(&w->lock);
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
	for (size_t i = 0; i < JOBS_MAX; i++) {
		slk_secret_free(w->jobs[i].rx);
		slk_secret_free(w->jobs[i].tx);
	}
	slk_secret_free(w->status_tx);
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
	sigset_t mask;

	/* Blocked before any thread is made, so that no thread ever takes it. A dead p11-kit or
	 * network peer raises SIGPIPE inside some modules. */
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (pthread_sigmask(SIG_BLOCK, &mask, NULL) != 0 || fcntl(w->fd, F_SETFL, O_NONBLOCK) != 0)
		return slk_fail_errno(err, "cannot prepare signals and socket");
	w->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->signal_fd < 0 || w->wake_fd < 0)
		return slk_fail_errno(err, "cannot make the worker's descriptors");
	int rc = slk_secret_new(HSM_MESSAGE_MAX, &w->status_tx);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no locked memory; is RLIMIT_MEMLOCK too small?");
	rc = hsm_token_new(w->options, w->clock, &w->token, err);
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
	pthread_cond_init(&w->work, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->ended, &attr);
	pthread_condattr_destroy(&attr);
	TAILQ_INIT(&w->free);
	TAILQ_INIT(&w->queued);
	TAILQ_INIT(&w->running);
	TAILQ_INIT(&w->done);
	for (size_t i = 0; i < JOBS_MAX; i++)
		TAILQ_INSERT_TAIL(&w->free, &w->jobs[i], entry);

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
