#include "bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

/* Decoding may leave white space out; an encoder that writes lines of 64 adds one in 64. */
#define ENCODED_SLACK(len) ((len) / 16 + 64)

bool
cli_bytes_is_stdout(const char *path)
{
	return path == NULL || strcmp(path, "-") == 0;
}

static const char *
name_of(const char *path, const char *standard)
{
	return cli_bytes_is_stdout(path) ? standard : path;
}

static int
open_input(const char *path, int *out_fd, struct slk_error *err)
{
	*out_fd = STDIN_FILENO;
	if (cli_bytes_is_stdout(path))
		return SLK_OK;
	*out_fd = open(path, O_RDONLY | O_CLOEXEC);
	return *out_fd >= 0 ? SLK_OK : slk_fail_errno(err, "cannot read %s", path);
}

static void
close_file(int fd)
{
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* Read until the end or until out is full. */
static int
read_all(int fd, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t len = 0;

	while (len < cap) {
		ssize_t n = read(fd, out + len, cap - len);
		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return SLK_SYSTEM;
		len += n > 0 ? (size_t)n : 0;
	}
	*out_len = len;
	return SLK_OK;
}

/* The whole input into a secret of max + 1 bytes, so that one too many shows. */
static int
read_bounded(const char *path, size_t max, struct slk_secret **out_all, size_t *out_len,
	struct slk_error *err)
{
	struct slk_secret *all = NULL;
	int fd = -1;

	int rc = open_input(path, &fd, err);
	if (rc != SLK_OK)
		return rc;
	rc = slk_secret_new(max + 1, &all);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "no (locked) memory for what is read");
	else if (read_all(fd, slk_secret_bytes(all), max + 1, out_len) != SLK_OK)
		rc = slk_fail_errno(err, "cannot read %s", name_of(path, "stdin"));
	close_file(fd);
	if (rc != SLK_OK) {
		slk_secret_free(all);
		return rc;
	}
	*out_all = all;
	return SLK_OK;
}

static int
check_length(const char *path, size_t len, size_t max, struct slk_error *err)
{
	if (len == 0)
		return slk_fail(err, SLK_INVALID, "%s is empty", name_of(path, "stdin"));
	if (len > max)
		return slk_fail(err, SLK_INVALID, "%s holds more than %zu bytes",
			name_of(path, "stdin"), max);
	return SLK_OK;
}

int
cli_bytes_read_secret(
	const char *path, size_t max, struct slk_secret **out_secret, struct slk_error *err)
{
	struct slk_secret *all = NULL;
	size_t len = 0;

	int rc = read_bounded(path, max, &all, &len, err);
	if (rc != SLK_OK)
		return rc;
	rc = check_length(path, len, max, err);
	if (rc == SLK_OK) {
		rc = slk_secret_from(slk_secret_peek(all), len, out_secret);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "no (locked) memory for what was read");
	}
	slk_secret_free(all);
	return rc;
}

int
cli_bytes_read(const char *path, bool base64, uint8_t *out, size_t max, size_t *out_len,
	struct slk_error *err)
{
	size_t len = 0, raw_max = base64 ? cli_base64_len(max) + ENCODED_SLACK(max) : max;
	struct slk_secret *all = NULL;

	int rc = read_bounded(path, raw_max, &all, &len, err);
	if (rc != SLK_OK)
		return rc;
	const struct slk_span raw = slk_span(slk_secret_peek(all), len);
	if (!base64) {
		rc = check_length(path, len, max, err);
		if (rc == SLK_OK)
			memcpy(out, raw.ptr, len);
	} else if (cli_base64_decode(raw, out, max, &len) != SLK_OK) {
		rc = slk_fail(err, SLK_INVALID, "%s is not base64 of at most %zu bytes",
			name_of(path, "stdin"), max);
	} else {
		rc = check_length(path, len, max, err);
	}
	slk_secret_free(all);
	if (rc == SLK_OK)
		*out_len = len;
	return rc;
}

/* --- writing --- */

static int
write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno != EINTR)
			return SLK_SYSTEM;
		bytes += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return SLK_OK;
}

/* Its owner's alone before the first byte is in it; what is no file (/dev/null, a pipe) is written to as it is. */
static int
open_output(const char *path, int *out_fd)
{
	struct stat st;
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return SLK_SYSTEM;
	if (fstat(fd, &st) != 0 ||
		(S_ISREG(st.st_mode) && (fchmod(fd, 0600) != 0 || ftruncate(fd, 0) != 0))) {
		int saved = errno;
		(void)close(fd);
		errno = saved;
		return SLK_SYSTEM;
	}
	*out_fd = fd;
	return SLK_OK;
}

static int
write_file(const char *path, struct slk_span bytes, struct slk_error *err)
{
	int fd = -1;

	if (open_output(path, &fd) != SLK_OK)
		return slk_fail_errno(err, "cannot write %s", path);
	int rc = write_all(fd, bytes.ptr, bytes.len);
	if (rc != SLK_OK)
		rc = slk_fail_errno(err, "cannot write %s", path);
	if (close(fd) != 0 && rc == SLK_OK)
		rc = slk_fail_errno(err, "cannot write %s", path);
	return rc;
}

static int
write_raw(
	struct cli *cli, const char *path, struct slk_span bytes, bool text, struct slk_error *err)
{
	if (!cli_bytes_is_stdout(path))
		return write_file(path, bytes, err);
	if (!cli_out_is_terminal(cli->out))
		cli_out_write(cli->out, bytes.ptr, bytes.len);
	else if (text)
		cli_out_safe(cli->out, bytes);
	else
		return slk_fail(err, SLK_INVALID,
			"the result is binary: write it to a file with --out, or print it with "
			"--base64");
	return SLK_OK;
}

/* Encoded, with a newline behind it unless room is for a NUL. */
static int
encode(struct slk_span bytes, char end, struct slk_secret **out, struct slk_error *err)
{
	size_t len = cli_base64_len(bytes.len);
	struct slk_secret *encoded = NULL;

	int rc = slk_secret_new(len + 1, &encoded);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no (locked) memory for base64");
	cli_base64(bytes, (char *)slk_secret_bytes(encoded));
	slk_secret_bytes(encoded)[len] = (uint8_t)end;
	*out = encoded;
	return SLK_OK;
}

int
cli_bytes_write(struct cli *cli, const char *path, struct slk_span bytes,
	struct cli_bytes_form form, struct slk_error *err)
{
	struct slk_secret *encoded = NULL;

	if (!form.base64)
		return write_raw(cli, path, bytes, form.text, err);
	int rc = encode(bytes, '\n', &encoded, err);
	if (rc == SLK_OK)
		rc = write_raw(cli, path,
			slk_span(slk_secret_peek(encoded), slk_secret_len(encoded)), true, err);
	slk_secret_free(encoded);
	return rc;
}

int
cli_bytes_json(yajl_gen json, const char *key, struct slk_span bytes, struct slk_error *err)
{
	struct slk_secret *encoded = NULL;

	int rc = encode(bytes, '\0', &encoded, err);
	if (rc == SLK_OK)
		cli_json_str(json, key, (const char *)slk_secret_peek(encoded));
	slk_secret_free(encoded);
	return rc;
}
