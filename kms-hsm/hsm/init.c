#include "hsm/init.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "hsm/module.h"
#include "hsm/pin.h"
#include "hsm/rv.h"
#include "hsm/user.h"

#define SLOTS_MAX 64u
#define PIN_BYTES 32u /* characters of five bits each */

struct outcome {
	struct hsm_init_result result;
	struct slk_error err;
};

struct making {
	const struct hsm_init_request *request;
	struct hsm_init_result *result;
	struct slk_error *err;
	struct hsm_module module;
	struct slk_secret *user_pin, *so_pin;
};

static int
rv_failed(struct making *m, const char *function, CK_RV rv)
{
	return slk_fail(
		m->err, SLK_HSM, "%s failed with %s (0x%lx)", function, hsm_rv_name(rv), rv);
}

/* --- files --- */

static int
make_directory(const char *path, const struct hsm_user *user, struct slk_error *err)
{
	if (mkdir(path, 0700) != 0)
		return errno == EEXIST ? SLK_OK
				       : slk_fail_errno(err, "cannot make directory %s", path);
	if (user != NULL && chown(path, user->uid, user->gid) != 0)
		return slk_fail_errno(err, "cannot give directory %s to uid %u", path, user->uid);
	return SLK_OK;
}

static int
make_parent(const char *file, const struct hsm_user *user, struct slk_error *err)
{
	char copy[PATH_MAX];

	if (snprintf(copy, sizeof(copy), "%s", file) >= (int)sizeof(copy))
		return slk_fail(err, SLK_TOO_LARGE, "path %s is too long", file);
	return make_directory(dirname(copy), user, err);
}

static int
sync_parent(const char *file)
{
	char copy[PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", file);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return SLK_IO;
	int rc = fsync(fd) == 0 ? SLK_OK : SLK_IO;
	close(fd);
	return rc;
}

/* A new file, whole and durable, or none. */
static int
write_new_file(
	const char *path, unsigned mode, const uint8_t *bytes, size_t len, struct slk_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return slk_fail_errno(err, "cannot make %s", path);
	int rc = SLK_OK;
	if (write(fd, bytes, len) != (ssize_t)len || fsync(fd) != 0 ||
		sync_parent(path) != SLK_OK) {
		rc = slk_fail_errno(err, "cannot write %s", path);
		unlink(path);
	}
	close(fd);
	return rc;
}

static int
random_pin(struct slk_secret **out_pin)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
	struct slk_secret *pin = NULL;

	int rc = slk_secret_new(PIN_BYTES, &pin);
	if (rc != SLK_OK)
		return rc;
	uint8_t *p = slk_secret_bytes(pin);
	rc = slk_random(p, PIN_BYTES);
	for (size_t i = 0; i < PIN_BYTES; i++)
		p[i] = (uint8_t)letters[p[i] & 31];
	if (rc != SLK_OK) {
		slk_secret_free(pin);
		return rc;
	}
	*out_pin = pin;
	return SLK_OK;
}

/* The PIN in the file if it is there (a run that was cut off), else a new one, written there before
 * anything uses it. */
static int
settle_pin(struct making *m, const char *path, int given_fd, struct slk_secret **out_pin)
{
	struct slk_secret *pin = NULL;

	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0) {
		int rc = slk_secret_from_fd(fd, HSM_PIN_MAX, out_pin);
		close(fd);
		return rc == SLK_OK
			? SLK_OK
			: slk_fail(m->err, rc, "the PIN file %s is empty or unreadable", path);
	}
	if (errno != ENOENT)
		return slk_fail_errno(m->err, "cannot open the PIN file %s", path);
	int rc = given_fd >= 0 ? slk_secret_from_fd(given_fd, HSM_PIN_MAX, &pin) : random_pin(&pin);
	if (rc != SLK_OK)
		return slk_fail(m->err, rc, "cannot get a PIN%s",
			given_fd >= 0 ? " from the descriptor" : "");
	rc = write_new_file(path, 0400, slk_secret_peek(pin), slk_secret_len(pin), m->err);
	if (rc != SLK_OK) {
		slk_secret_free(pin);
		return rc;
	}
	*out_pin = pin;
	return SLK_OK;
}

static int
settle_softhsm_conf(struct making *m)
{
	const struct hsm_init_request *q = m->request;
	char directory[PATH_MAX], copy[PATH_MAX], text[PATH_MAX + 256];

	if (q->softhsm_conf == NULL || access(q->softhsm_conf, F_OK) == 0)
		return SLK_OK;
	snprintf(copy, sizeof(copy), "%s", q->softhsm_conf);
	int n = q->token_directory != NULL
		? snprintf(directory, sizeof(directory), "%s", q->token_directory)
		: snprintf(directory, sizeof(directory), "%s/tokens", dirname(copy));
	if (n >= (int)sizeof(directory))
		return slk_fail(m->err, SLK_TOO_LARGE, "the token directory's path is too long");
	int rc = make_directory(directory, NULL, m->err);
	if (rc != SLK_OK)
		return rc;
	/* reset_on_fork: SoftHSM's default lets a child go on with its parent's login. */
	n = snprintf(text, sizeof(text),
		"directories.tokendir = %s\nobjectstore.backend = file\nlog.level = "
		"ERROR\nslots.removable = false\n"
		"library.reset_on_fork = true\n",
		directory);
	return write_new_file(q->softhsm_conf, 0600, (const uint8_t *)text, (size_t)n, m->err);
}

/* --- the token --- */

/* The slot of the token with our label; *out_free: a slot with an empty token. SLK_NOT_FOUND,
 * SLK_EXISTS (several). */
static int
find_slots(struct making *m, CK_SLOT_ID *out_slot, CK_TOKEN_INFO *out_info, CK_SLOT_ID *out_free,
	bool *out_have_free)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX, ignored = 0;
	unsigned found = 0;

	*out_have_free = false;
	CK_RV rv = m->module.fn->C_GetSlotList(CK_TRUE, NULL, &ignored);
	if (rv == CKR_OK)
		rv = m->module.fn->C_GetSlotList(CK_TRUE, slots, &count);
	if (rv != CKR_OK)
		return rv_failed(m, "C_GetSlotList", rv);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;
		char label[33];
		if (m->module.fn->C_GetTokenInfo(slots[i], &info) != CKR_OK)
			continue;
		hsm_module_text(info.label, sizeof(info.label), label);
		/* NSS calls its database initialised once it has a password. */
		if ((info.flags & CKF_TOKEN_INITIALIZED) == 0 &&
			m->request->profile->init != HSM_INIT_NSS) {
			*out_free = slots[i];
			*out_have_free = true;
		} else if (strcmp(label, m->request->token_label) == 0) {
			*out_slot = slots[i];
			*out_info = info;
			found++;
		}
	}
	if (found > 1)
		return slk_fail(m->err, SLK_EXISTS, "more than one token is labelled '%s'",
			m->request->token_label);
	return found == 1 ? SLK_OK : SLK_NOT_FOUND;
}

static int
format_token(struct making *m, CK_SLOT_ID slot)
{
	CK_UTF8CHAR label[32];

	memset(label, ' ', sizeof(label));
	memcpy(label, m->request->token_label, strlen(m->request->token_label));
	CK_RV rv = m->module.fn->C_InitToken(
		slot, slk_secret_bytes(m->so_pin), slk_secret_len(m->so_pin), label);
	return rv == CKR_OK ? SLK_OK : rv_failed(m, "C_InitToken", rv);
}

static int
with_session(struct making *m, CK_SLOT_ID slot, int (*body)(struct making *, CK_SESSION_HANDLE))
{
	CK_SESSION_HANDLE session;

	CK_RV rv = m->module.fn->C_OpenSession(
		slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
	if (rv != CKR_OK)
		return rv_failed(m, "C_OpenSession", rv);
	int rc = body(m, session);
	(void)m->module.fn->C_CloseSession(session);
	return rc;
}

static int
set_user_pin(struct making *m, CK_SESSION_HANDLE session)
{
	/* NSS has no security officer: before the database has a password, an empty one lets in. */
	CK_RV rv = m->so_pin == NULL
		? m->module.fn->C_Login(session, CKU_SO, NULL, 0)
		: m->module.fn->C_Login(
			  session, CKU_SO, slk_secret_bytes(m->so_pin), slk_secret_len(m->so_pin));
	if (rv != CKR_OK)
		return rv_failed(m, "C_Login as security officer", rv);
	rv = m->module.fn->C_InitPIN(
		session, slk_secret_bytes(m->user_pin), slk_secret_len(m->user_pin));
	(void)m->module.fn->C_Logout(session);
	return rv == CKR_OK ? SLK_OK : rv_failed(m, "C_InitPIN", rv);
}

static int
try_user_pin(struct making *m, CK_SESSION_HANDLE session)
{
	CK_RV rv = m->module.fn->C_Login(
		session, CKU_USER, slk_secret_bytes(m->user_pin), slk_secret_len(m->user_pin));
	if (rv != CKR_OK)
		return hsm_rv_class(rv) == HSM_RV_PIN
			? slk_fail(m->err, SLK_PIN,
				  "the token '%s' does not take the PIN in %s (%s)",
				  m->request->token_label, m->request->pin_file, hsm_rv_name(rv))
			: rv_failed(m, "C_Login", rv);
	(void)m->module.fn->C_Logout(session);
	return SLK_OK;
}

static int
settle_so_pin(struct making *m)
{
	char path[PATH_MAX];

	if (m->request->profile->init == HSM_INIT_NSS)
		return SLK_OK;
	if (snprintf(path, sizeof(path), "%s.so", m->request->pin_file) >= (int)sizeof(path))
		return slk_fail(m->err, SLK_TOO_LARGE, "path %s is too long", m->request->pin_file);
	return settle_pin(m, path, -1, &m->so_pin);
}

static int
make_token(struct making *m)
{
	CK_SLOT_ID slot = 0, free_slot = 0;
	CK_TOKEN_INFO info = {0};
	bool have_free;

	int rc = find_slots(m, &slot, &info, &free_slot, &have_free);
	bool found = rc == SLK_OK;
	if (found && (info.flags & CKF_USER_PIN_INITIALIZED) != 0) {
		m->result->existed = true;
		hsm_module_text(
			info.serialNumber, sizeof(info.serialNumber), m->result->token_serial);
		if (access(m->request->pin_file, F_OK) != 0)
			return slk_fail(m->err, SLK_PIN,
				"the token '%s' is there, but its PIN file %s is not; write the "
				"PIN to it, mode 0400",
				m->request->token_label, m->request->pin_file);
		return SLK_OK;
	}
	if (!found && rc != SLK_NOT_FOUND)
		return rc;
	if (!found && !have_free)
		return slk_fail(m->err, SLK_NOT_FOUND, "no slot has an empty token to make '%s' of",
			m->request->token_label);
	rc = settle_pin(m, m->request->pin_file, m->request->pin_fd, &m->user_pin);
	if (rc == SLK_OK)
		rc = settle_so_pin(m);
	if (rc == SLK_OK && !found)
		rc = format_token(m, free_slot);
	if (rc == SLK_OK)
		rc = find_slots(m, &slot, &info, &free_slot,
			&have_free); /* the slot's number may have changed */
	if (rc == SLK_NOT_FOUND)
		rc = slk_fail(m->err, SLK_HSM, "the token '%s' was made and is not found",
			m->request->token_label);
	if (rc == SLK_OK)
		rc = with_session(m, slot, set_user_pin);
	if (rc == SLK_OK)
		rc = with_session(m, slot, try_user_pin);
	hsm_module_text(info.serialNumber, sizeof(info.serialNumber), m->result->token_serial);
	return rc;
}

static int
make_with_module(struct making *m)
{
	const struct hsm_init_request *q = m->request;
	struct hsm_options options = {.profile = q->profile,
		.module = q->module,
		.softhsm_conf = q->softhsm_conf,
		.module_parameters = q->module_parameters};

	int rc = hsm_module_load(&options, &m->module, m->err);
	if (rc != SLK_OK)
		return rc;
	CK_RV rv = hsm_module_initialise(&m->module);
	if (rv != CKR_OK)
		return rv_failed(m, "C_Initialize", rv);
	rc = make_token(m);
	hsm_module_finalise(&m->module);
	return rc;
}

/* In the child, as the worker's user. */
static int
make_all(struct making *m)
{
	const struct hsm_init_request *q = m->request;
	struct hsm_pin_file *lock = NULL;

	int rc = settle_softhsm_conf(m);
	if (rc != SLK_OK)
		return rc;
	rc = hsm_pin_open(q->pin_file, q->state_file, HSM_PIN_ALONE, &lock, m->err);
	if (rc == SLK_UNAVAILABLE) {
		/* Two processes on one token directory are one too many; and who holds it has a
		 * token. */
		m->result->existed = m->result->in_use = true;
		return SLK_OK;
	}
	if (rc != SLK_OK)
		return rc;
	rc = make_with_module(m);
	slk_secret_free(m->user_pin);
	slk_secret_free(m->so_pin);
	hsm_pin_close(lock);
	return rc;
}

static void
child(const struct hsm_init_request *request, const struct hsm_user *user, int fd)
{
	struct outcome out = {0};
	struct making m = {.request = request, .result = &out.result, .err = &out.err};

	int rc = user != NULL ? hsm_user_become(user, &out.err) : SLK_OK;
	if (rc == SLK_OK)
		rc = slk_process_harden(&out.err);
	if (rc == SLK_OK)
		rc = make_all(&m);
	out.err.status = rc;
	ssize_t n = write(fd, &out, sizeof(out));
	_exit(n == (ssize_t)sizeof(out) ? 0 : 1);
}

static int
collect(pid_t pid, int fd, struct outcome *out)
{
	size_t got = 0;
	ssize_t n;
	int status;

	while (got < sizeof(*out) &&
		(n = read(fd, (uint8_t *)out + got, sizeof(*out) - got)) != 0) {
		if (n < 0 && errno != EINTR)
			break;
		got += n > 0 ? (size_t)n : 0;
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return SLK_SYSTEM;
	}
	return got == sizeof(*out) ? SLK_OK : SLK_HSM;
}

static int
check_request(const struct hsm_init_request *q, struct slk_error *err)
{
	size_t len = strlen(q->token_label);

	if (len < 1 || len > 32)
		return slk_fail(err, SLK_INVALID, "a token label has 1 to 32 bytes, '%s' has %zu",
			q->token_label, len);
	return SLK_OK;
}

int
hsm_init_token(const struct hsm_init_request *request, struct hsm_init_result *out_result,
	struct slk_error *err)
{
	struct hsm_user user;
	struct outcome out = {0};
	int pipe_fds[2];

	bool change = request->user != NULL && geteuid() == 0;
	int rc = check_request(request, err);
	if (rc == SLK_OK && change)
		rc = hsm_user_find(request->user, &user, err);
	if (rc == SLK_OK)
		rc = make_parent(request->pin_file, change ? &user : NULL, err);
	if (rc == SLK_OK && request->softhsm_conf != NULL)
		rc = make_parent(request->softhsm_conf, change ? &user : NULL, err);
	if (rc != SLK_OK)
		return rc;
	if (pipe2(pipe_fds, O_CLOEXEC) != 0)
		return slk_fail_errno(err, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0)
		child(request, change ? &user : NULL, pipe_fds[1]);
	close(pipe_fds[1]);
	rc = pid < 0 ? slk_fail_errno(err, "cannot fork") : collect(pid, pipe_fds[0], &out);
	close(pipe_fds[0]);
	if (pid < 0)
		return rc;
	if (rc != SLK_OK)
		return slk_fail(err, rc,
			"the process that loads PKCS#11 module %s ended without a word",
			request->module);
	if (out.err.status != SLK_OK)
		return slk_fail(err, out.err.status, "%s", out.err.text);
	*out_result = out.result;
	return SLK_OK;
}
