#include "slk_test.h"

#include "hsm_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hsm/wire.h"

#define WORKER SLK_BUILD_DIR "/bin/sealock-hsm-worker"
#define SHIM SLK_BUILD_DIR "/tests/p11shim.so"
#define RIG_UID 65534
#define RIG_USER "65534"

static uint8_t plain_copy[HSM_DATA_MAX], cipher_copy[HSM_DATA_MAX + HSM_TAG_BYTES],
	output_copy[HSM_OUTPUT_MAX];

bool
hsm_rig_possible(void)
{
	if (access(HSM_RIG_SOFTHSM, R_OK) != 0) {
		print_message("skipped: %s is not installed\n", HSM_RIG_SOFTHSM);
		return false;
	}
	return true;
}

static void
copy_file(const char *from, const char *to)
{
	char buf[65536];
	size_t n;
	FILE *in = fopen(from, "re"), *out = fopen(to, "we");

	assert_non_null(in);
	assert_non_null(out);
	while ((n = fread(buf, 1, sizeof(buf), in)) > 0)
		assert_int_equal(fwrite(buf, 1, n, out), n);
	fclose(in);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(chmod(to, 0755), 0);
}

static void
map_control(struct hsm_rig *rig)
{
	int fd = open(rig->control, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(*rig->shim)), 0);
	if (rig->user != NULL)
		assert_int_equal(fchown(fd, RIG_UID, RIG_UID), 0);
	rig->shim = mmap(NULL, sizeof(*rig->shim), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(rig->shim != MAP_FAILED);
	close(fd);
}

static void
make_token(struct hsm_rig *rig)
{
	struct hsm_init_request q = {.profile = hsm_profile_find("softhsm"),
		.module = HSM_RIG_SOFTHSM,
		.token_label = rig->label,
		.pin_file = rig->pin_file,
		.state_file = rig->state_file,
		.softhsm_conf = rig->conf,
		.token_directory = rig->tokens,
		.user = rig->user,
		.pin_fd = -1};
	struct hsm_init_result result;
	struct slk_error err = {0};

	if (hsm_init_token(&q, &result, &err) != SLK_OK)
		fail_msg("%s", err.text);
	assert_false(result.existed);
}

void
hsm_rig_init(struct hsm_rig *rig, const char *profile)
{
	memset(rig, 0, sizeof(*rig));
	rig->profile = profile != NULL ? profile : "softhsm";
	rig->label = "rig";
	rig->user = geteuid() == 0 ? RIG_USER : NULL;
	rig->deadline_ms = 5000;
	strcpy(rig->dir, "/tmp/slk_hsm_XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	if (rig->user != NULL)
		assert_int_equal(chown(rig->dir, RIG_UID, RIG_UID), 0);
	snprintf(rig->module, sizeof(rig->module), "%s/shim.so", rig->dir);
	snprintf(rig->conf, sizeof(rig->conf), "%s/softhsm2.conf", rig->dir);
	snprintf(rig->tokens, sizeof(rig->tokens), "%s/tokens", rig->dir);
	snprintf(rig->pin_file, sizeof(rig->pin_file), "%s/pin", rig->dir);
	snprintf(rig->state_file, sizeof(rig->state_file), "%s/pin.state", rig->dir);
	snprintf(rig->control, sizeof(rig->control), "%s/control", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	copy_file(SHIM, rig->module);
	map_control(rig);
	make_token(rig);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void
hsm_rig_fini(struct hsm_rig *rig)
{
	hsm_rig_stop(rig);
	if (rig->shim != NULL)
		munmap(rig->shim, sizeof(*rig->shim));
	(void)nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
exec_worker(struct hsm_rig *rig, int fd)
{
	char sessions[16], deadline[16];
	const char *argv[40] = {WORKER, "--profile", rig->profile, "--module", rig->module,
		"--token-label", rig->label, "--pin-file", rig->pin_file, "--state-file",
		rig->state_file, "--softhsm-conf", rig->conf, "--deadline-ms", deadline,
		"--start-deadline-ms", deadline, "--fd", "3"};
	int argc = 19;

	snprintf(sessions, sizeof(sessions), "%u", rig->sessions);
	snprintf(deadline, sizeof(deadline), "%u", rig->deadline_ms);
	if (rig->sessions != 0) {
		argv[argc++] = "--sessions";
		argv[argc++] = sessions;
	}
	if (rig->serial != NULL) {
		argv[argc++] = "--token-serial";
		argv[argc++] = rig->serial;
	}
	if (rig->user != NULL) {
		argv[argc++] = "--user";
		argv[argc++] = rig->user;
	}
	setenv("P11SHIM_MODULE", HSM_RIG_SOFTHSM, 1);
	setenv("P11SHIM_CONTROL", rig->control, 1);
	int log = open(rig->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (log < 0 || dup2(log, 2) < 0 || dup2(fd, 3) < 0)
		_exit(126);
	execv(WORKER, (char *const *)argv);
	_exit(127);
}

int
hsm_rig_start_raw(struct hsm_rig *rig)
{
	int fds[2];

	assert_int_equal(rig->worker, 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	rig->worker = fork();
	assert_true(rig->worker >= 0);
	if (rig->worker == 0)
		exec_worker(rig, fds[1]);
	close(fds[1]);
	return fds[0];
}

void
hsm_rig_start(struct hsm_rig *rig)
{
	int fd = hsm_rig_start_raw(rig);

	if (rig->link == NULL)
		assert_ok(hsm_link_new(-1, slk_clock_system(), &rig->link));
	hsm_link_replace_fd(rig->link, fd);
}

void
hsm_rig_wait_end(struct hsm_rig *rig)
{
	int status = 0;

	if (rig->worker == 0)
		return;
	assert_int_equal(waitpid(rig->worker, &status, 0), rig->worker);
	rig->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	rig->worker = 0;
}

void
hsm_rig_stop(struct hsm_rig *rig)
{
	hsm_link_free(rig->link);
	rig->link = NULL;
	hsm_rig_wait_end(rig);
}

struct waiting {
	bool done;
	struct hsm_reply *out;
};

static void
keep(void *arg, const struct hsm_reply *reply)
{
	struct waiting *w = arg;

	*w->out = *reply;
	if (reply->plaintext.len > 0)
		memcpy(plain_copy, reply->plaintext.ptr, reply->plaintext.len);
	if (reply->ciphertext.len > 0)
		memcpy(cipher_copy, reply->ciphertext.ptr, reply->ciphertext.len);
	if (reply->output.len > 0)
		memcpy(output_copy, reply->output.ptr, reply->output.len);
	w->out->output.ptr = output_copy;
	w->out->plaintext.ptr = plain_copy;
	w->out->ciphertext.ptr = cipher_copy;
	w->done = true;
}

void
hsm_rig_call(struct hsm_rig *rig, const struct hsm_request *request, struct hsm_reply *out)
{
	struct waiting w = {false, out};

	assert_ok(hsm_link_submit(rig->link, request, keep, &w));
	while (!w.done) {
		struct pollfd p = {.fd = hsm_link_fd(rig->link), .events = POLLIN};
		assert_true(poll(&p, 1, 20000) > 0 || errno == EINTR);
		assert_ok(hsm_link_poll(rig->link));
	}
}

static struct hsm_request
request_of(enum hsm_op op, uint8_t fill, const uint8_t *kcv)
{
	struct hsm_request q = {.op = op};

	memset(q.key_id, fill, sizeof(q.key_id));
	if (kcv != NULL)
		memcpy(q.kcv, kcv, sizeof(q.kcv));
	if (op != HSM_CREATE_KEY && op != HSM_OPEN_KEY)
		q.aad = slk_span_str("additional data");
	return q;
}

int
hsm_rig_create(struct hsm_rig *rig, uint8_t fill, uint8_t out_kcv[3])
{
	struct hsm_request q = request_of(HSM_CREATE_KEY, fill, NULL);
	struct hsm_reply reply;

	hsm_rig_call(rig, &q, &reply);
	if (reply.status != SLK_OK)
		print_message("create: %s\n", reply.error);
	memcpy(out_kcv, reply.kcv, 3);
	return reply.status;
}

int
hsm_rig_generate(struct hsm_rig *rig, uint8_t fill, const uint8_t kcv[3], struct hsm_reply *out)
{
	struct hsm_request q = request_of(HSM_GENERATE_DATA_KEY, fill, kcv);

	q.length = 32;
	hsm_rig_call(rig, &q, out);
	return out->status;
}

int
hsm_rig_unwrap(struct hsm_rig *rig, uint8_t fill, const uint8_t kcv[3],
	const struct hsm_reply *wrapped, struct hsm_reply *out)
{
	struct hsm_request q = request_of(HSM_UNWRAP, fill, kcv);

	memcpy(q.iv, wrapped->iv, sizeof(q.iv));
	q.data = wrapped->ciphertext;
	hsm_rig_call(rig, &q, out);
	return out->status;
}

struct hsm_health
hsm_rig_health(struct hsm_rig *rig)
{
	struct hsm_request q = {.op = HSM_STATUS};
	struct hsm_reply reply;

	hsm_rig_call(rig, &q, &reply);
	assert_ok(reply.status);
	return reply.health;
}

void
hsm_rig_wait_state(struct hsm_rig *rig, enum hsm_state state)
{
	uint64_t limit = slk_mono_ns(slk_clock_system()) + 10 * SLK_NS_PER_S;
	struct hsm_health h;

	while ((h = hsm_rig_health(rig)).state != state) {
		if (slk_mono_ns(slk_clock_system()) > limit)
			fail_msg("state is %d and not %d: %s", h.state, state, h.text);
		usleep(5000);
	}
}

bool
hsm_rig_logged(struct hsm_rig *rig, const char *text)
{
	static char buf[262144];
	FILE *f = fopen(rig->log, "re");
	if (f == NULL)
		return false;
	size_t n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return strstr(buf, text) != NULL;
}
