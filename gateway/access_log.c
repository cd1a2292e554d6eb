#include "access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

#define BUFFER_BYTES (1u << 20)
#define LINE_MAX_BYTES 8192u
#define PAUSE_MS 200 /* lines wait that long for others */

struct gw_access_log {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	pthread_t thread;
	bool runs, stops;
	int fd, writing_fd; /* writing_fd -1: the thread does not write now */
	bool is_stderr;
	char *path;
	char *filling, *writing; /* BUFFER_BYTES each */
	size_t filled;
	struct gw_access_counts counts;
};

/* --- a line --- */

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
	bool is_cut;
};

static void
add(struct line *l, const char *text, size_t len)
{
	/* Room for the end is always left. */
	if (len > sizeof(l->text) - 3 - l->len) {
		l->is_cut = true;
		return;
	}
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

/* A string of JSON; bytes that are no ASCII are escaped one by one, as whoever sent them may have sent anything. */
static void
add_string(struct line *l, const char *text)
{
	char escaped[8];

	add(l, "\"", 1);
	for (const char *at = text; *at != '\0'; at++) {
		uint8_t c = (uint8_t)*at;
		if (c == '"' || c == '\\') {
			escaped[0] = '\\';
			escaped[1] = (char)c;
			add(l, escaped, 2);
		} else if (c < 0x20 || c >= 0x7f) {
			add(l, escaped, (size_t)snprintf(escaped, sizeof(escaped), "\\u%04x", c));
		} else {
			add(l, at, 1);
		}
	}
	add(l, "\"", 1);
}

/* Whole, or not at all. */
static void
add_text(struct line *l, const char *name, const char *value)
{
	size_t before = l->len;

	l->is_cut = false;
	if (l->len > 1)
		add(l, ",", 1);
	add_string(l, name);
	add(l, ":", 1);
	add_string(l, value);
	if (l->is_cut)
		l->len = before;
}

static void
add_number(struct line *l, const char *name, uint64_t value)
{
	char text[64];
	int n = snprintf(text, sizeof(text), ",\"%s\":%llu", name, (unsigned long long)value);

	add(l, text, (size_t)n);
}

static void
add_time(struct line *l)
{
	struct timespec now;
	struct tm tm;
	char text[64];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	size_t len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%06ldZ", now.tv_nsec / 1000);
	add_text(l, "time", text);
}

static const char *
outcome_name(enum http_outcome outcome)
{
	static const char *const names[] = {
		[HTTP_OUTCOME_SENT] = "sent",
		[HTTP_OUTCOME_GONE] = "gone",
		[HTTP_OUTCOME_TIMEOUT] = "timeout",
		[HTTP_OUTCOME_ABORTED] = "aborted",
		[HTTP_OUTCOME_STOPPED] = "stopped",
		[HTTP_OUTCOME_MALFORMED] = "malformed",
	};

	return names[outcome];
}

static void
make_line(struct line *l, const struct http_exchange *x, const struct http_result *result)
{
	static const char *const vias[] = {"tls", "tcp", "unix"};
	static const char *const notes[] = {
		"request_id", "service", "operation", "principal", "key_id", "error"};
	const struct http_request *r = http_exchange_request(x);

	l->len = 0;
	add(l, "{", 1);
	add_time(l);
	add_text(l, "client", r->client->address);
	add_text(l, "via", vias[r->client->via]);
	add_text(l, "protocol",
		r->version == 20           ? "HTTP/2"
			: r->version == 11 ? "HTTP/1.1"
					   : "HTTP/1.0");
	add_text(l, "method", r->method.ptr);
	add_number(l, "status", result->status);
	add_text(l, "outcome", outcome_name(result->outcome));
	add_number(l, "in", result->in_bytes);
	add_number(l, "out", result->out_bytes);
	add_number(l, "us", result->duration_ns / 1000);
	add_number(l, "connection", r->client->connection);
	if (r->client->tls_version[0] != '\0')
		add_text(l, "tls", r->client->tls_version);
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		const char *value = http_exchange_noted(x, notes[i]);
		if (value != NULL)
			add_text(l, notes[i], value);
	}
	add_text(l, "path", r->path.ptr); /* last: the longest is what may not fit */
	l->text[l->len++] = '}';
	l->text[l->len++] = '\n';
}

void
gw_access_log_exchange(void *arg, const struct http_loop *loop, const struct http_exchange *x,
	const struct http_result *result)
{
	struct gw_access_log *log = arg;
	struct line line;

	(void)loop;
	make_line(&line, x, result);
	pthread_mutex_lock(&log->lock);
	if (line.len > BUFFER_BYTES - log->filled) {
		log->counts.dropped++;
	} else {
		memcpy(log->filling + log->filled, line.text, line.len);
		log->filled += line.len;
		log->counts.lines++;
		if (log->filled > BUFFER_BYTES / 2)
			pthread_cond_signal(&log->changed);
	}
	pthread_mutex_unlock(&log->lock);
}

/* --- the thread --- */

static bool
write_whole(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Called with the lock, which is given up for the time of writing. */
static void
write_filled(struct gw_access_log *log)
{
	char *bytes = log->filling;
	size_t len = log->filled;
	int fd = log->fd;

	log->filling = log->writing;
	log->writing = bytes;
	log->filled = 0;
	log->writing_fd = fd;
	pthread_mutex_unlock(&log->lock);
	bool done = write_whole(fd, bytes, len);
	pthread_mutex_lock(&log->lock);
	log->writing_fd = -1;
	if (!done)
		log->counts.failed_writes++;
	if (fd != log->fd)
		close(fd); /* it was opened again meanwhile */
}

static void *
run(void *arg)
{
	struct gw_access_log *log = arg;

	pthread_mutex_lock(&log->lock);
	while (!log->stops || log->filled > 0) {
		if (log->filled > 0)
			write_filled(log);
		if (log->stops)
			continue;
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += PAUSE_MS * 1000000l;
		until.tv_sec += until.tv_nsec / 1000000000l;
		until.tv_nsec %= 1000000000l;
		(void)pthread_cond_timedwait(&log->changed, &log->lock, &until);
	}
	pthread_mutex_unlock(&log->lock);
	return NULL;
}

/* --- opening and closing --- */

static int
open_file(const char *path, int *out_fd, struct slk_error *err)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return slk_fail_errno(err, "cannot open the access log %s", path);
	*out_fd = fd;
	return SLK_OK;
}

static int
prepare(struct gw_access_log *log, const char *path, struct slk_error *err)
{
	pthread_condattr_t attributes;

	pthread_mutex_init(&log->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&log->changed, &attributes);
	pthread_condattr_destroy(&attributes);
	log->path = strdup(path);
	log->filling = malloc(BUFFER_BYTES);
	log->writing = malloc(BUFFER_BYTES);
	log->is_stderr = strcmp(path, "-") == 0;
	log->fd = log->is_stderr ? STDERR_FILENO : -1;
	log->writing_fd = -1;
	if (log->path == NULL || log->filling == NULL || log->writing == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the access log");
	return log->is_stderr ? SLK_OK : open_file(path, &log->fd, err);
}

int
gw_access_log_open(const char *path, struct gw_access_log **out_log, struct slk_error *err)
{
	struct gw_access_log *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the access log");
	int rc = prepare(log, path, err);
	if (rc != SLK_OK) {
		gw_access_log_close(log);
		return rc;
	}
	*out_log = log;
	return SLK_OK;
}

int
gw_access_log_start(struct gw_access_log *log, struct slk_error *err)
{
	int code = pthread_create(&log->thread, NULL, run, log);

	if (code != 0)
		return slk_fail(err, slk_status_from_errno(code),
			"cannot start the access log's thread: %s", strerror(code));
	log->runs = true;
	(void)pthread_setname_np(log->thread, "access-log");
	return SLK_OK;
}

int
gw_access_log_reopen(struct gw_access_log *log, struct slk_error *err)
{
	int fd = -1;

	if (log->is_stderr)
		return SLK_OK;
	int rc = open_file(log->path, &fd, err);
	if (rc != SLK_OK)
		return rc;
	pthread_mutex_lock(&log->lock);
	int old = log->fd;
	log->fd = fd;
	if (old != log->writing_fd)
		close(old); /* else the thread does */
	pthread_mutex_unlock(&log->lock);
	return SLK_OK;
}

void
gw_access_log_close(struct gw_access_log *log)
{
	if (log == NULL)
		return;
	pthread_mutex_lock(&log->lock);
	log->stops = true;
	pthread_cond_signal(&log->changed);
	pthread_mutex_unlock(&log->lock);
	if (log->runs)
		pthread_join(log->thread, NULL);
	if (!log->is_stderr && log->fd >= 0)
		close(log->fd);
	free(log->filling);
	free(log->writing);
	free(log->path);
	pthread_cond_destroy(&log->changed);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

void
gw_access_log_counts(struct gw_access_log *log, struct gw_access_counts *out_counts)
{
	pthread_mutex_lock(&log->lock);
	*out_counts = log->counts;
	pthread_mutex_unlock(&log->lock);
}
