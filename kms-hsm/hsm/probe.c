/* The probe's caller: starts the child, watches it, believes nothing that it wrote; see hsm/probe.h. */
#include "hsm/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "hsm/probe_inner.h"
#include "hsm/user.h"

#define WHOLE_FACTOR 30u
#define LOOK_NS 5000000

/* --- in the child --- */

/* What a module prints is not part of the report, and nobody answers what it asks. */
static int
set_streams(struct slk_error *err)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return slk_fail_errno(err, "cannot set up the probe's process");
	return SLK_OK;
}

static int
prepare(struct probe *p, const struct hsm_user *user)
{
	int rc = user != NULL ? hsm_user_become(user, p->err) : SLK_OK;

	if (rc == SLK_OK)
		rc = slk_process_harden(p->err);
	if (rc == SLK_OK)
		rc = set_streams(p->err);
	/* Behind the change of user, which forgets it. */
	if (rc == SLK_OK && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		rc = slk_fail_errno(p->err, "cannot tie the probe's process to its caller");
	if (rc != SLK_OK)
		return rc;
	rc = hsm_session_init(&p->session, &p->token, 0);
	return rc == SLK_OK ? SLK_OK
			    : slk_fail(p->err, rc,
				      "there is no locked memory for a session; see "
				      "the limit of memlock");
}

static _Noreturn void
child(const struct hsm_probe_request *request, struct hsm_probe_report *report,
	const struct hsm_user *user, pid_t parent)
{
	struct probe p = {.request = request, .report = report, .err = &report->err};

	p.options = (struct hsm_options){.module = request->module,
		.softhsm_conf = request->softhsm_conf,
		.module_parameters = request->module_parameters};
	p.token.options = &p.options;
	p.token.clock = slk_clock_system();
	slk_log_init("sealock", SLK_LOG_ERROR); /* the worker's checks tell in the report */
	int rc = prepare(&p, user);
	if (getppid() != parent)
		_exit(1);
	if (rc == SLK_OK)
		rc = probe_all(&p);
	hsm_session_fini(&p.session);
	report->err.status = rc;
	report->finished = true;
	_exit(0);
}

/* --- in the caller --- */

static const char *
last_call(const struct hsm_probe_report *r)
{
	return r->call[0] != '\0' ? r->call : "its loading";
}

static int
timed_out(const struct hsm_probe_report *r, const char *what, uint64_t after_ns,
	struct slk_error *err)
{
	return slk_fail(err, SLK_TIMEOUT,
		"%s after %.1f s: the module was in %s, for %s; its process was killed, and what "
		"was learnt before is in the report",
		what, (double)after_ns / 1e9, last_call(r), r->step);
}

static int
ended(const struct hsm_probe_report *r, int status, struct slk_error *err)
{
	if (WIFEXITED(status) && r->finished)
		return r->err.status == SLK_OK ? SLK_OK
					       : slk_fail(err, r->err.status, "%s", r->err.text);
	if (WIFSIGNALED(status))
		return slk_fail(err, SLK_HSM,
			"the module's process was killed by signal %d (%s); its last call was %s, "
			"for %s",
			WTERMSIG(status), strsignal(WTERMSIG(status)), last_call(r), r->step);
	return slk_fail(err, SLK_HSM, "the module ended the process; its last call was %s, for %s",
		last_call(r), r->step);
}

#define TERMINATE(text) ((text)[sizeof(text) - 1] = '\0')

/* For what goes to a terminal as it is. */
static void
tame_text(char *text, size_t size)
{
	text[size - 1] = '\0';
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

/* The child's memory was the module's to write: whatever it is, it shall be read safely. */
static void
tame(struct hsm_probe_report *r)
{
	tame_text(r->call, sizeof(r->call));
	tame_text(r->step, sizeof(r->step));
	tame_text(r->err.text, sizeof(r->err.text));
	TERMINATE(r->manufacturer);
	TERMINATE(r->library);
	tame_text(r->checks.key.text, sizeof(r->checks.key.text));
	tame_text(r->checks.selftest.text, sizeof(r->checks.selftest.text));
	r->slots_count =
		r->slots_count > HSM_PROBE_SLOTS_MAX ? HSM_PROBE_SLOTS_MAX : r->slots_count;
	r->mechanisms_count = r->mechanisms_count > HSM_PROBE_MECHANISMS_MAX
		? HSM_PROBE_MECHANISMS_MAX
		: r->mechanisms_count;
	for (uint32_t i = 0; i < r->slots_count; i++) {
		struct hsm_probe_slot *s = &r->slots[i];
		TERMINATE(s->description);
		TERMINATE(s->label);
		TERMINATE(s->manufacturer);
		TERMINATE(s->model);
		TERMINATE(s->serial);
	}
	if (r->slot < -1 || r->slot >= (int32_t)r->slots_count)
		r->slot = -1;
	r->logged_in = r->logged_in && r->slot >= 0;
}

/* How long the child is inside a call, or before its first one: a library may hang in its constructors, too. */
static uint64_t
stuck_ns(const struct hsm_probe_report *shared, uint64_t begun, uint64_t now)
{
	uint64_t since = __atomic_load_n(&shared->call_since_ns, __ATOMIC_ACQUIRE);

	if (since == 0 && shared->call[0] == '\0')
		since = begun;
	return since != 0 && now > since ? now - since : 0;
}

/* Wait for the child, or kill it when it is late. *out is a copy of what it wrote. */
static int
watch(pid_t pid, uint64_t deadline_ns, const struct hsm_probe_report *shared,
	struct hsm_probe_report *out, struct slk_error *err)
{
	const struct slk_clock *clock = slk_clock_system();
	const struct timespec look = {.tv_nsec = LOOK_NS};
	uint64_t begun = slk_mono_ns(clock), now = begun, stuck = 0;
	int status = 0;
	pid_t got;

	while ((got = waitpid(pid, &status, WNOHANG)) == 0 || (got < 0 && errno == EINTR)) {
		now = slk_mono_ns(clock);
		stuck = stuck_ns(shared, begun, now);
		if (stuck > deadline_ns || now - begun > deadline_ns * WHOLE_FACTOR)
			break;
		(void)nanosleep(&look, NULL);
	}
	if (got < 0 && errno != EINTR)
		return slk_fail_errno(err, "cannot wait for the probe's process");
	if (got != pid) {
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	*out = *shared;
	tame(out);
	if (got == pid)
		return ended(out, status, err);
	out->finished = false;
	return stuck > deadline_ns ? timed_out(out, "a call hung", stuck, err)
				   : timed_out(out, "the probe was too slow", now - begun, err);
}

static void
begin_report(struct hsm_probe_report *r)
{
	uint64_t *untried[] = {&r->read_only_rv, &r->read_write_rv, &r->sessions_rv, &r->random_rv,
		&r->key.rv, &r->key.copyable_rv, &r->key.read_rv, &r->key.value_rv,
		&r->key.other_session_rv, &r->key.check_value_rv, &r->bad_tag_rv, &r->data_rv,
		&r->checks.key_rv, &r->checks.selftest_rv, &r->checks.caps_rv};

	memset(r, 0, sizeof(*r));
	r->slot = -1;
	r->checks.row = UINT32_MAX;
	for (size_t i = 0; i < sizeof(untried) / sizeof(untried[0]); i++)
		*untried[i] = HSM_PROBE_NOT_TRIED;
	for (unsigned i = 0; i < HSM_PROBE_TAGS; i++)
		r->tag_rv[i] = HSM_PROBE_NOT_TRIED;
	for (unsigned i = 0; i < HSM_PROBE_LAYOUTS * HSM_PROBE_FORMS; i++)
		r->gcm[i / HSM_PROBE_FORMS][i % HSM_PROBE_FORMS].rv = HSM_PROBE_NOT_TRIED;
}

/* Root becomes who was named, or the owner of the PIN file: a state file of root's would keep the worker out. */
static int
find_user(const struct hsm_probe_request *q, struct hsm_user *out_user, bool *out_change,
	struct slk_error *err)
{
	struct stat st;
	char number[16];

	*out_change = q->user != NULL;
	if (q->user != NULL)
		return hsm_user_find(q->user, out_user, err);
	if (geteuid() != 0 || q->token_label == NULL)
		return SLK_OK;
	if (lstat(q->pin_file, &st) != 0)
		return slk_fail_errno(err, "cannot find the PIN file %s", q->pin_file);
	*out_change = st.st_uid != 0;
	snprintf(number, sizeof(number), "%u", st.st_uid);
	return *out_change ? hsm_user_find(number, out_user, err) : SLK_OK;
}

static int
run(const struct hsm_probe_request *request, struct hsm_probe_report *out, struct slk_error *err)
{
	struct hsm_user user;
	bool change = false;

	int rc = find_user(request, &user, &change, err);
	if (rc != SLK_OK)
		return rc;
	struct hsm_probe_report *shared = mmap(
		NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return slk_fail_errno(err, "cannot map memory for the report");
	*shared = *out;
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		child(request, shared, change ? &user : NULL, parent);
	rc = pid < 0 ? slk_fail_errno(err, "cannot fork")
		     : watch(pid, request->deadline_ns, shared, out, err);
	(void)munmap(shared, sizeof(*shared));
	return rc;
}

int
hsm_probe_run(const struct hsm_probe_request *request, struct hsm_probe_report *out,
	struct slk_error *err)
{
	struct slk_error why = {0};

	begin_report(out);
	int rc = run(request, out, &why);
	out->err = why;
	hsm_probe_judge(out, request->module_parameters);
	if (err != NULL && rc != SLK_OK)
		*err = why;
	return rc;
}
