#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

#define SECRET_VALUE_MAX 8192u

struct dlv_key_file {
	int dir_fd;
	char *path;
	const char *name; /* behind the last slash of path */
	struct stat seen; /* of the file that was read */
	struct dlv_keys keys;
	bool have;
	uint64_t generation;
};

void
dlv_keys_fini(struct dlv_keys *keys)
{
	slk_secret_free(keys->secret);
	slk_secret_free(keys->token);
	slk_wipe(keys, sizeof(*keys));
}

/* --- the text --- */

static struct slk_span
trim(struct slk_span s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t'))
		s = slk_span(s.ptr + 1, s.len - 1);
	while (s.len > 0 && strchr(" \t\r", s.ptr[s.len - 1]) != NULL)
		s.len--;
	return s;
}

static struct slk_span
next_line(struct slk_span *rest)
{
	const uint8_t *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
	size_t len = end != NULL ? (size_t)(end - rest->ptr) : rest->len;
	struct slk_span line = slk_span(rest->ptr, len);
	size_t skip = end != NULL ? len + 1 : len;

	*rest = slk_span(rest->ptr + skip, rest->len - skip);
	return trim(line);
}

static bool
is(struct slk_span s, const char *text)
{
	return slk_span_equal(s, slk_span_str(text));
}

/* Printable ASCII without blanks: anything else would break a header. */
static bool
is_token(struct slk_span s, size_t max)
{
	if (s.len == 0 || s.len > max)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f)
			return false;
	}
	return true;
}

static int
take_secret(struct slk_span value, struct slk_secret **slot, const char *name, unsigned line,
	struct slk_error *err)
{
	if (*slot != NULL)
		return slk_fail(err, SLK_CONFIG, "line %u: %s is there twice", line, name);
	if (!is_token(value, SECRET_VALUE_MAX))
		return slk_fail(err, SLK_CONFIG, "line %u: the value of %s is none", line, name);
	return slk_secret_from(value.ptr, value.len, slot);
}

static int
take_key_id(struct slk_span value, struct dlv_keys *keys, unsigned line, struct slk_error *err)
{
	if (keys->key_id[0] != '\0')
		return slk_fail(err, SLK_CONFIG, "line %u: aws_access_key_id is there twice", line);
	/* A slash or a comma would make another scope of it. */
	if (!is_token(value, DLV_KEY_ID_MAX - 1) || memchr(value.ptr, '/', value.len) != NULL ||
		memchr(value.ptr, ',', value.len) != NULL)
		return slk_fail(
			err, SLK_CONFIG, "line %u: the value of aws_access_key_id is none", line);
	memcpy(keys->key_id, value.ptr, value.len);
	keys->key_id[value.len] = '\0';
	return SLK_OK;
}

/* One line of the profile; names that are not ours (region, output) are passed over. */
static int
take_line(struct slk_span line, struct dlv_keys *keys, unsigned number, struct slk_error *err)
{
	const uint8_t *equals = memchr(line.ptr, '=', line.len);

	if (equals == NULL)
		return slk_fail(err, SLK_CONFIG, "line %u: no \"name = value\"", number);
	size_t at = (size_t)(equals - line.ptr);
	struct slk_span name = trim(slk_span(line.ptr, at));
	struct slk_span value = trim(slk_span(equals + 1, line.len - at - 1));
	if (is(name, "aws_access_key_id"))
		return take_key_id(value, keys, number, err);
	if (is(name, "aws_secret_access_key"))
		return take_secret(value, &keys->secret, "aws_secret_access_key", number, err);
	if (is(name, "aws_session_token"))
		return take_secret(value, &keys->token, "aws_session_token", number, err);
	return SLK_OK;
}

int
dlv_keys_parse(struct slk_secret *text, struct dlv_keys *out_keys, struct slk_error *err)
{
	struct slk_span rest = slk_span(slk_secret_peek(text), slk_secret_len(text));
	struct dlv_keys keys = {.secret = NULL};
	bool inside = false;
	int rc = SLK_OK;

	for (unsigned number = 1; rc == SLK_OK && rest.len > 0; number++) {
		struct slk_span line = next_line(&rest);
		if (line.len == 0 || line.ptr[0] == '#' || line.ptr[0] == ';')
			continue;
		if (line.ptr[0] == '[')
			inside = is(line, "[default]");
		else if (inside)
			rc = take_line(line, &keys, number, err);
	}
	if (rc == SLK_OK && (keys.key_id[0] == '\0' || keys.secret == NULL))
		rc = slk_fail(err, SLK_CONFIG,
			"it has no aws_access_key_id and aws_secret_access_key under [default]");
	if (rc != SLK_OK) {
		dlv_keys_fini(&keys);
		return rc;
	}
	*out_keys = keys;
	return SLK_OK;
}

/* --- the file --- */

int
dlv_key_file_open(const char *path, struct dlv_key_file **out_file, struct slk_error *err)
{
	struct dlv_key_file *file = calloc(1, sizeof(*file));
	char *slash = NULL;

	if (file == NULL || (file->path = strdup(path)) == NULL) {
		free(file);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for credentials");
	}
	file->dir_fd = -1;
	slash = strrchr(file->path, '/');
	if (path[0] != '/' || slash[1] == '\0') {
		dlv_key_file_close(file);
		return slk_fail(err, SLK_CONFIG, "credentials: \"%s\" is no absolute path", path);
	}
	file->name = slash + 1;
	*slash = '\0';
	file->dir_fd =
		open(slash == file->path ? "/" : file->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	*slash = '/';
	if (file->dir_fd < 0) {
		dlv_key_file_close(file);
		(void)slk_fail_errno(
			err, "credentials: the directory of %s cannot be opened", path);
		return SLK_CONFIG;
	}
	*out_file = file;
	return SLK_OK;
}

void
dlv_key_file_close(struct dlv_key_file *file)
{
	if (file == NULL)
		return;
	dlv_keys_fini(&file->keys);
	if (file->dir_fd >= 0)
		close(file->dir_fd);
	free(file->path);
	free(file);
}

static bool
is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
		a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
		a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
		a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int
check_mode(const struct dlv_key_file *file, const struct stat *st, struct slk_error *err)
{
	if (!S_ISREG(st->st_mode))
		return slk_fail(err, SLK_CONFIG, "credentials: %s is no file", file->path);
	if ((st->st_mode & 077) != 0)
		return slk_fail(err, SLK_DENIED,
			"credentials: others than its owner may use %s; make its mode 0600",
			file->path);
	return SLK_OK;
}

static int
read_open(struct dlv_key_file *file, int fd, struct slk_error *err)
{
	struct slk_secret *text = NULL;
	struct dlv_keys keys;
	struct stat st;

	if (fstat(fd, &st) != 0)
		return slk_fail_errno(err, "credentials: %s cannot be looked at", file->path);
	int rc = check_mode(file, &st, err);
	if (rc != SLK_OK)
		return rc;
	rc = slk_secret_from_fd(fd, DLV_KEYS_FILE_MAX, &text);
	if (rc != SLK_OK)
		return slk_fail(err, rc == SLK_NO_MEMORY ? rc : SLK_CONFIG,
			"credentials: %s cannot be read: %s", file->path, slk_status_sentence(rc));
	rc = dlv_keys_parse(text, &keys, err);
	slk_secret_free(text);
	if (rc != SLK_OK) {
		(void)slk_fail_prefix(err, "credentials: %s", file->path);
		return rc;
	}
	dlv_keys_fini(&file->keys);
	file->keys = keys;
	file->seen = st;
	file->have = true;
	file->generation++;
	return SLK_OK;
}

int
dlv_key_file_read(struct dlv_key_file *file, const struct dlv_keys **out_keys,
	uint64_t *out_generation, struct slk_error *err)
{
	struct stat st;

	if (fstatat(file->dir_fd, file->name, &st, 0) != 0)
		return slk_fail_errno(err, "credentials: %s cannot be found", file->path);
	if (!file->have || !is_same(&st, &file->seen)) {
		int fd = openat(file->dir_fd, file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return slk_fail_errno(err, "credentials: %s cannot be opened", file->path);
		file->have = false;
		int rc = read_open(file, fd, err);
		close(fd);
		if (rc != SLK_OK)
			return rc;
	}
	*out_keys = &file->keys;
	*out_generation = file->generation;
	return SLK_OK;
}
