#include "hsm/pin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "hsm/pin_tag.h"

#define LINE_BYTES 256u
#define VERDICT_AT 14u /* behind "sealock-pin 1 " */
#define VERDICT_BYTES 8u
/* What a line begins with: the PIN file is known by its inode and times, a descriptor's PIN by a tag. */
#define BY_FILE "sealock-pin 1 "
#define BY_TAG "sealock-pin 2 "
#define SALT_AT 28u /* behind "sealock-pin 2 VERDICT_ salt=" */
#define SALT_DIGITS (2 * HSM_PIN_SALT_BYTES)
#define SETTLE_NS SLK_NS_PER_S
/* Bytes far behind the line that are locked and never written. */
#define ATTEMPT_AT 65536
#define KEYS_AT 65537

struct hsm_pin_file {
	const char *pin_path;
	const char *state_path;
	int state_fd;
	int pin_fd; /* -1: pin_path is opened for each attempt */
};

/* Locks of the open file, not of the process: they are told apart from flock() on every local file system, and end
 * with the descriptor. */
static int
lock_byte(const struct hsm_pin_file *file, off_t at, short type)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
	int rc;

	do {
		rc = fcntl(file->state_fd, F_OFD_SETLKW, &lock);
	} while (rc != 0 && errno == EINTR);
	return rc == 0 ? SLK_OK : SLK_IO;
}

int
hsm_pin_lock_keys(struct hsm_pin_file *file)
{
	return lock_byte(file, KEYS_AT, F_WRLCK);
}

void
hsm_pin_unlock_keys(struct hsm_pin_file *file)
{
	(void)lock_byte(file, KEYS_AT, F_UNLCK); /* what was locked can be unlocked */
}

void
hsm_pin_give_up(struct hsm_pin_file *file)
{
	(void)lock_byte(file, ATTEMPT_AT, F_UNLCK);
}

int
hsm_pin_open(const char *pin_path, const char *state_path, enum hsm_pin_lock lock,
	struct hsm_pin_file **out_file, struct slk_error *err)
{
	int fd = open(state_path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return slk_fail_errno(err, "cannot open the HSM's state file %s", state_path);
	if (flock(fd, (lock == HSM_PIN_ALONE ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
		int rc = errno == EWOULDBLOCK
			? slk_fail(err, SLK_UNAVAILABLE,
				  "another HSM worker holds %s; only one may use this token",
				  state_path)
			: slk_fail_errno(err, "cannot lock the HSM's state file %s", state_path);
		close(fd);
		return rc;
	}
	struct hsm_pin_file *file = calloc(1, sizeof(*file));
	if (file == NULL) {
		close(fd);
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	}
	*file = (struct hsm_pin_file){pin_path, state_path, fd, -1};
	*out_file = file;
	return SLK_OK;
}

void
hsm_pin_use_fd(struct hsm_pin_file *file, int pin_fd)
{
	file->pin_fd = pin_fd;
}

const char *
hsm_pin_remedy(const struct hsm_pin_file *file)
{
	return file->pin_fd < 0
		? "Write the right PIN to this file"
		: "Hand over the right one and restart; to have this one tried again, "
		  "remove the state file first";
}

void
hsm_pin_close(struct hsm_pin_file *file)
{
	if (file == NULL)
		return;
	close(file->state_fd);
	free(file);
}

static long long
ns_of(const struct timespec *t)
{
	return (long long)t->tv_sec * (long long)SLK_NS_PER_S + t->tv_nsec;
}

/* No ctime: a chmod by some configuration tool writes no PIN and must not cost a try. */
static void
format_line(const struct stat *st, const char *serial, char out[LINE_BYTES])
{
	char line[LINE_BYTES];

	memset(out, ' ', LINE_BYTES);
	int n = snprintf(line, sizeof(line),
		BY_FILE "%-*s dev=%llu ino=%llu size=%lld mtime=%lld serial=%.32s",
		(int)VERDICT_BYTES, "trying", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino, (long long)st->st_size, ns_of(&st->st_mtim),
		serial);
	memcpy(out, line, n < (int)LINE_BYTES ? (size_t)n : LINE_BYTES - 1);
	out[LINE_BYTES - 1] = '\n';
}

static int
check_pin_file(const struct hsm_pin_file *file, int fd, struct stat *out_st, struct slk_error *err)
{
	if (fstat(fd, out_st) != 0)
		return slk_fail_errno(err, "cannot stat the PIN file %s", file->pin_path);
	if (!S_ISREG(out_st->st_mode))
		return slk_fail(
			err, SLK_DENIED, "the PIN file %s is not a regular file", file->pin_path);
	if (out_st->st_uid != geteuid() && out_st->st_uid != 0)
		return slk_fail(err, SLK_DENIED,
			"the PIN file %s belongs to uid %u, not to the HSM worker's %u",
			file->pin_path, out_st->st_uid, geteuid());
	if ((out_st->st_mode & 077) != 0)
		return slk_fail(err, SLK_DENIED,
			"the PIN file %s can be read by others than its owner; run: chmod 400 %s",
			file->pin_path, file->pin_path);
	return SLK_OK;
}

/* Compare with the last attempt. SLK_PIN if it was this one and was refused, SLK_AGAIN if the
 * operator is just writing. */
static int
consult(const struct hsm_pin_file *file, const struct stat *st, const char line[LINE_BYTES],
	struct slk_error *err)
{
	char last[LINE_BYTES];

	if (pread(file->state_fd, last, sizeof(last), 0) != (ssize_t)sizeof(last))
		return SLK_OK;
	if (memcmp(last, line, VERDICT_AT) != 0 ||
		memcmp(last + VERDICT_AT, "refused ", VERDICT_BYTES) != 0)
		return SLK_OK;
	const size_t rest = VERDICT_AT + VERDICT_BYTES;
	if (memcmp(last + rest, line + rest, LINE_BYTES - rest) == 0)
		return slk_fail(err, SLK_PIN,
			"the token refused the PIN in %s; it is not tried again, for tokens lock. "
			"%s",
			file->pin_path, hsm_pin_remedy(file));
	long long age = (long long)slk_wall_ns(slk_clock_system()) - ns_of(&st->st_mtim);
	if (age >= 0 && age < (long long)SETTLE_NS)
		return slk_fail(
			err, SLK_AGAIN, "the PIN file %s was written a moment ago", file->pin_path);
	return SLK_OK;
}

static int
remember(const struct hsm_pin_file *file, const char *bytes, size_t len, off_t at)
{
	if (pwrite(file->state_fd, bytes, len, at) != (ssize_t)len ||
		fdatasync(file->state_fd) != 0)
		return SLK_IO;
	return SLK_OK;
}

static int
read_pin(
	const struct hsm_pin_file *file, int fd, struct slk_secret **out_pin, struct slk_error *err)
{
	int rc = slk_secret_from_fd(fd, HSM_PIN_MAX, out_pin);

	if (rc != SLK_OK)
		(void)slk_fail(err, rc,
			"the PIN file %s is empty, longer than %u bytes or unreadable",
			file->pin_path, HSM_PIN_MAX);
	return rc;
}

/* The PIN of the file, and the line that remembers the attempt. */
static int
take_file(const struct hsm_pin_file *file, const char *serial, char out_line[LINE_BYTES],
	struct slk_secret **out_pin, struct slk_error *err)
{
	struct stat st;

	int fd = open(file->pin_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return slk_fail_errno(err, "cannot open the PIN file %s", file->pin_path);
	int rc = check_pin_file(file, fd, &st, err);
	if (rc == SLK_OK) {
		format_line(&st, serial, out_line);
		rc = consult(file, &st, out_line, err);
	}
	if (rc == SLK_OK)
		rc = read_pin(file, fd, out_pin, err);
	close(fd);
	return rc;
}

/* --- by descriptor --- */

static void
format_tagged(const uint8_t salt[HSM_PIN_SALT_BYTES], const struct slk_secret *pin,
	const char *serial, char out[LINE_BYTES])
{
	char line[LINE_BYTES], hex[SALT_DIGITS + 1];

	slk_hex(slk_span(salt, HSM_PIN_SALT_BYTES), hex, sizeof(hex));
	memset(out, ' ', LINE_BYTES);
	int n = snprintf(line, sizeof(line), BY_TAG "%-*s salt=%s tag=%04x serial=%.32s",
		(int)VERDICT_BYTES, "trying", hex,
		hsm_pin_tag(salt, slk_secret_peek(pin), slk_secret_len(pin)), serial);
	memcpy(out, line, (size_t)n);
	out[LINE_BYTES - 1] = '\n';
}

/* Was it this PIN that this token refused? A descriptor's file is made anew at each start of the service, so that only
 * the PIN itself tells. */
static bool
was_refused(const struct hsm_pin_file *file, const struct slk_secret *pin, const char *serial)
{
	char last[LINE_BYTES], again[LINE_BYTES], hex[SALT_DIGITS + 1] = {0};
	uint8_t salt[HSM_PIN_SALT_BYTES];
	const size_t rest = VERDICT_AT + VERDICT_BYTES;

	if (pread(file->state_fd, last, sizeof(last), 0) != (ssize_t)sizeof(last) ||
		memcmp(last, BY_TAG "refused ", rest) != 0)
		return false;
	memcpy(hex, last + SALT_AT, SALT_DIGITS);
	if (slk_unhex(hex, salt, sizeof(salt)) != SLK_OK)
		return false;
	format_tagged(salt, pin, serial, again);
	return memcmp(last + rest, again + rest, LINE_BYTES - rest) == 0;
}

/* The same of the descriptor. Whoever handed it over has decided who may read it. */
static int
take_fd(const struct hsm_pin_file *file, const char *serial, char out_line[LINE_BYTES],
	struct slk_secret **out_pin, struct slk_error *err)
{
	struct slk_secret *pin = NULL;
	uint8_t salt[HSM_PIN_SALT_BYTES];
	struct stat st;

	if (fstat(file->pin_fd, &st) != 0 || !S_ISREG(st.st_mode) ||
		lseek(file->pin_fd, 0, SEEK_SET) != 0)
		return slk_fail(err, SLK_DENIED,
			"%s is not a regular file or a memfd; each login reads it anew",
			file->pin_path);
	int rc = read_pin(file, file->pin_fd, &pin, err);
	if (rc != SLK_OK)
		return rc;
	if (was_refused(file, pin, serial))
		rc = slk_fail(err, SLK_PIN,
			"the token refused the PIN in %s; it is not tried again, for tokens lock. "
			"%s",
			file->pin_path, hsm_pin_remedy(file));
	else
		rc = slk_random(salt, sizeof(salt));
	if (rc != SLK_OK) {
		slk_secret_free(pin);
		return rc;
	}
	format_tagged(salt, pin, serial, out_line);
	*out_pin = pin;
	return SLK_OK;
}

/* Of a PIN that is good nothing is kept. */
static int
remember_good(const struct hsm_pin_file *file)
{
	char text[LINE_BYTES];

	int n = snprintf(text, sizeof(text), "good     salt=%0*d tag=0000", (int)SALT_DIGITS, 0);
	return remember(file, text, (size_t)n, VERDICT_AT);
}

/* --- an attempt --- */

int
hsm_pin_begin(struct hsm_pin_file *file, const char *serial, struct slk_secret **out_pin,
	struct slk_error *err)
{
	struct slk_secret *pin = NULL;
	char line[LINE_BYTES];

	if (lock_byte(file, ATTEMPT_AT, F_WRLCK) != SLK_OK)
		return slk_fail_errno(err, "cannot lock the HSM's state file %s", file->state_path);
	int rc = file->pin_fd >= 0 ? take_fd(file, serial, line, &pin, err)
				   : take_file(file, serial, line, &pin, err);
	if (rc != SLK_OK)
		goto out;
	/* Before the attempt, so that a full disk cannot make us forget a refusal. */
	rc = remember(file, line, sizeof(line), 0);
	if (rc != SLK_OK) {
		(void)slk_fail(err, rc, "cannot write the HSM's state file %s; no login without it",
			file->state_path);
		goto out;
	}
	*out_pin = pin;
	return SLK_OK; /* locked until the attempt ends */
out:
	hsm_pin_give_up(file);
	slk_secret_free(pin);
	return rc;
}

int
hsm_pin_end(struct hsm_pin_file *file, bool refused)
{
	int rc;

	if (refused)
		rc = remember(file, "refused ", VERDICT_BYTES, VERDICT_AT);
	else if (file->pin_fd >= 0)
		rc = remember_good(file);
	else
		rc = remember(file, "good    ", VERDICT_BYTES, VERDICT_AT);
	hsm_pin_give_up(file);
	return rc;
}
