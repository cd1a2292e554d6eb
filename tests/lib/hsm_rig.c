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
#include <time.h>
#include <unistd.h>

#include "hsm/wire.h"

#define WORKER SLK_BUILD_DIR "/bin/sealock-hsm-worker"
#define SHIM SLK_BUILD_DIR "/tests/p11shim.so"
#define RIG_UID 65534
#define RIG_USER "65534"

static uint8_t plain_copy[HSM_DATA_MAX], cipher_copy[HSM_DATA_MAX + HSM_TAG_BYTES],
	output_copy[HSM_OUTPUT_MAX];

#define CLOUDHSM_PIN "crypto_user:rig-password"

enum hsm_rig_token
hsm_rig_token(void)
{
	const char *name = getenv("SLK_TEST_TOKEN");

	if (name != NULL && strcmp(name, "nss") == 0)
		return RIG_NSS;
	return name != NULL && strcmp(name, "cloudhsm") == 0 ? RIG_CLOUDHSM : RIG_SOFTHSM;
}

static const char *
real_module(void)
{
	return hsm_rig_token() == RIG_NSS ? HSM_RIG_NSS : HSM_RIG_SOFTHSM;
}

bool
hsm_rig_possible(void)
{
	if (access(real_module(), R_OK) != 0) {
		print_message("skipped: %s is not installed\n", real_module());
		return false;
	}
	return true;
}

void
hsm_rig_skip_on(enum hsm_rig_token token, const char *why)
{
	if (hsm_rig_token() != token)
		return;
	print_message("skipped: %s\n", why);
	skip();
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

/* NSS keeps its token in a database of its own. */
static void
prepare_nss(struct hsm_rig *rig)
{
	assert_int_equal(mkdir(rig->tokens, 0700), 0);
	if (rig->user != NULL)
		assert_int_equal(chown(rig->tokens, RIG_UID, RIG_UID), 0);
	snprintf(rig->parameters, sizeof(rig->parameters),
		"configdir='sql:%s' certPrefix='' keyPrefix='' secmod='secmod.db' flags= "
		"dbTokenDescription='%s'",
		rig->tokens, rig->label);
}

static int
given_pin(const char *pin)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], pin, strlen(pin)), (ssize_t)strlen(pin));
	close(fds[1]);
	return fds[0];
}

static void
make_token(struct hsm_rig *rig)
{
	bool nss = rig->token == RIG_NSS;
	struct hsm_init_request q = {.profile = hsm_profile_find(nss ? "nss" : "softhsm"),
		.module = rig->real_module,
		.token_label = rig->label,
		.pin_file = rig->pin_file,
		.state_file = rig->state_file,
		.softhsm_conf = nss ? NULL : rig->conf,
		.token_directory = rig->tokens,
		.module_parameters = nss ? rig->parameters : NULL,
		.user = rig->user,
		.pin_fd = rig->token == RIG_CLOUDHSM ? given_pin(CLOUDHSM_PIN) : -1};
	struct hsm_init_result result;
	struct slk_error err = {0};

	if (hsm_init_token(&q, &result, &err) != SLK_OK)
		fail_msg("%s", err.text);
	assert_false(result.existed);
	if (q.pin_fd >= 0)
		close(q.pin_fd);
}

static const char *
profile_of(enum hsm_rig_token token)
{
	return token == RIG_NSS ? "nss" : token == RIG_CLOUDHSM ? "cloudhsm" : "softhsm";
}

/* In memory where that can be had: what else is written to the disk meanwhile is nothing to wait for. */
static void
place_tokens(struct hsm_rig *rig)
{
	strcpy(rig->memory, "/dev/shm/slk_hsm_XXXXXX");
	if (mkdtemp(rig->memory) == NULL)
		rig->memory[0] = '\0';
	else if (rig->user != NULL)
		assert_int_equal(chown(rig->memory, RIG_UID, RIG_UID), 0);
	snprintf(rig->tokens, sizeof(rig->tokens), "%s/tokens",
		rig->memory[0] != '\0' ? rig->memory : rig->dir);
}

void
hsm_rig_init(struct hsm_rig *rig, const char *profile)
{
	memset(rig, 0, sizeof(*rig));
	rig->token = hsm_rig_token();
	rig->real_module = real_module();
	rig->profile = profile != NULL ? profile : profile_of(rig->token);
	rig->label = "rig";
	rig->user = geteuid() == 0 ? RIG_USER : NULL;
	rig->deadline_ms = 5000;
	strcpy(rig->dir, "/tmp/slk_hsm_XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	if (rig->user != NULL)
		assert_int_equal(chown(rig->dir, RIG_UID, RIG_UID), 0);
	snprintf(rig->module, sizeof(rig->module), "%s/shim.so", rig->dir);
	snprintf(rig->conf, sizeof(rig->conf), "%s/softhsm2.conf", rig->dir);
	place_tokens(rig);
	snprintf(rig->pin_file, sizeof(rig->pin_file), "%s/pin", rig->dir);
	snprintf(rig->state_file, sizeof(rig->state_file), "%s/pin.state", rig->dir);
	snprintf(rig->control, sizeof(rig->control), "%s/control", rig->dir);
	snprintf(rig->log, sizeof(rig->log), "%s/log", rig->dir);
	copy_file(SHIM, rig->module);
	map_control(rig);
	if (rig->token == RIG_NSS)
		prepare_nss(rig);
	make_token(rig);
	if (rig->token == RIG_CLOUDHSM)
		p11shim_be_cloudhsm(rig->shim);
}

void
hsm_rig_config(const struct hsm_rig *rig, const char *module, const char *pin_lines, FILE *f)
{
	fprintf(f, "  profile: %s\n  module: %s\n  token_label: %s\n", rig->profile,
		module != NULL ? module : rig->module, rig->label);
	if (pin_lines != NULL)
		fprintf(f, "%s", pin_lines);
	else
		fprintf(f, "  pin_file: %s\n", rig->pin_file);
	if (rig->parameters[0] != '\0')
		fprintf(f, "  module_parameters: \"%s\"\n", rig->parameters);
	else
		fprintf(f, "  softhsm_conf: %s\n", rig->conf);
}

void
hsm_rig_environment(const struct hsm_rig *rig)
{
	setenv("P11SHIM_MODULE", rig->real_module, 1);
	setenv("P11SHIM_CONTROL", rig->control, 1);
}

void
hsm_rig_write_pin(struct hsm_rig *rig, const char *pin)
{
	char path[128];
	struct timespec times[2] = {{0, UTIME_NOW}, {0, 0}};

	snprintf(path, sizeof(path), "%s.new", rig->pin_file);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0400);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, pin, strlen(pin)), (ssize_t)strlen(pin));
	if (rig->user != NULL)
		assert_int_equal(fchown(fd, RIG_UID, RIG_UID), 0);
	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec -= 60; /* a minute ago */
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
	assert_int_equal(rename(path, rig->pin_file), 0);
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

/* A worker whose module hangs leaves that thread behind when it ends (it cannot be cancelled): no report. */
static bool
is_report(const char *line)
{
	return strstr(line, "runtime error: ") != NULL ||
		(strstr(line, "Sanitizer: ") != NULL && strstr(line, "thread leak") == NULL &&
			strstr(line, "Sanitizer: reported") == NULL);
}

/* Programs end by themselves or are killed: their exit status does not tell. */
void
hsm_rig_check_log(const char *path)
{
	char line[1024];
	unsigned left = 0; /* lines to print of a report */
	bool reported = false;
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return;
	while (fgets(line, sizeof(line), f) != NULL) {
		if (is_report(line)) {
			reported = true;
			left = 60;
		}
		if (left > 0) {
			print_error("%s", line);
			left--;
		}
	}
	fclose(f);
	if (reported)
		fail_msg("a sanitizer has reported something");
}

void
hsm_rig_fini(struct hsm_rig *rig)
{
	hsm_rig_stop(rig);
	hsm_rig_check_log(rig->log);
	if (rig->shim != NULL)
		munmap(rig->shim, sizeof(*rig->shim));
	(void)nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (rig->memory[0] != '\0')
		(void)nftw(rig->memory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
exec_worker(struct hsm_rig *rig, int fd)
{
	char sessions[16], deadline[16];
	const char *argv[40] = {WORKER, "--profile", rig->profile, "--module", rig->module,
		"--token-label", rig->label, "--pin-file", rig->pin_file, "--state-file",
		rig->state_file, "--deadline-ms", deadline, "--start-deadline-ms", deadline, "--fd",
		"3"};
	int argc = 17;

	snprintf(sessions, sizeof(sessions), "%u", rig->sessions);
	snprintf(deadline, sizeof(deadline), "%u", rig->deadline_ms);
	if (rig->sessions != 0) {
		argv[argc++] = "--sessions";
		argv[argc++] = sessions;
	}
	argv[argc++] = rig->parameters[0] != '\0' ? "--module-parameters" : "--softhsm-conf";
	argv[argc++] = rig->parameters[0] != '\0' ? rig->parameters : rig->conf;
	if (rig->serial != NULL) {
		argv[argc++] = "--token-serial";
		argv[argc++] = rig->serial;
	}
	if (rig->user != NULL) {
		argv[argc++] = "--user";
		argv[argc++] = rig->user;
	}
	hsm_rig_environment(rig);
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
