#include "errlog.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop.h"

#define PATH_BYTES 4096u
#define LINE_BYTES 8192u
#define WAITING_BYTES (4 * LINE_BYTES)

struct dlv_errlog {
	const struct slk_fs *fs;
	struct dlv_loop *loop;
	const char *arn;
	char path[PATH_BYTES], older[PATH_BYTES];
	struct dlv_task task;
	bool fails; /* the thread's: it was said */
	uint8_t taken[WAITING_BYTES]; /* likewise: what is being written */

	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t idle;
	bool writing; /* the task is queued, or runs */
	uint8_t waiting[WAITING_BYTES];
	size_t waiting_len;
	uint64_t lost;
};

/* --- the files --- */

static int
path_of(const char *dir, const char *name, uint64_t id, const char *suffix, char out[PATH_BYTES],
	struct slk_error *err)
{
	int n = snprintf(out, PATH_BYTES, "%s/%s.%llu.errors.jsonl%s", dir, name,
		(unsigned long long)id, suffix);

	if (n < 0 || (size_t)n >= PATH_BYTES)
		return slk_fail(err, SLK_TOO_LARGE, "the path of the state directory is too long");
	return SLK_OK;
}

/* At its end, wherever a write that failed has left that. */
static int
open_at_end(const struct dlv_errlog *log, int *out_fd, uint64_t *out_size)
{
	const struct slk_fs *fs = log->fs;
	int rc = fs->open(fs->ctx, log->path, SLK_OPEN_WRITE, 0, out_fd);

	if (rc == SLK_NOT_FOUND)
		rc = fs->open(fs->ctx, log->path, SLK_OPEN_WRITE | SLK_OPEN_CREATE, 0600, out_fd);
	if (rc != SLK_OK)
		return rc;
	rc = fs->size(fs->ctx, *out_fd, out_size);
	if (rc != SLK_OK)
		(void)fs->close(fs->ctx, *out_fd);
	return rc;
}

static int
append(const struct dlv_errlog *log, const uint8_t *bytes, size_t len)
{
	const struct slk_fs *fs = log->fs;
	uint64_t size = 0;
	int fd = -1;
	int rc = open_at_end(log, &fd, &size);

	if (rc == SLK_OK && size > 0 && size + len > DLV_ERRLOG_BYTES) {
		(void)fs->close(fs->ctx, fd);
		rc = fs->rename(fs->ctx, log->path, log->older);
		if (rc == SLK_OK)
			rc = open_at_end(log, &fd, &size);
	}
	if (rc != SLK_OK)
		return rc;
	rc = fs->pwrite(fs->ctx, fd, bytes, len, size);
	int closed = fs->close(fs->ctx, fd);
	return rc != SLK_OK ? rc : closed;
}

static uint64_t
count_lines(const uint8_t *bytes, size_t len)
{
	uint64_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += bytes[i] == '\n';
	return count;
}

/* In a thread of the pool, until nothing waits. */
static void
write_waiting(void *arg)
{
	struct dlv_errlog *log = arg;

	pthread_mutex_lock(&log->lock);
	while (log->waiting_len > 0) {
		size_t len = log->waiting_len;
		memcpy(log->taken, log->waiting, len);
		log->waiting_len = 0;
		pthread_mutex_unlock(&log->lock);
		int rc = append(log, log->taken, len);
		if (rc != SLK_OK && !log->fails)
			slk_error_log("an error log cannot be written; delivery goes on",
				slk_kv("file", (const char *)log->path),
				slk_kv("reason", slk_status_sentence(rc)));
		log->fails = rc != SLK_OK;
		pthread_mutex_lock(&log->lock);
		if (rc != SLK_OK)
			log->lost += count_lines(log->taken, len);
	}
	log->writing = false;
	pthread_cond_signal(&log->idle);
	pthread_mutex_unlock(&log->lock);
}

/* --- lines --- */

static void __attribute__((format(printf, 2, 3)))
put_printed(struct slk_writer *w, const char *format, ...)
{
	char text[160];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	slk_write_bytes(w, text, n > 0 ? (size_t)n : 0);
}

/* ascii: of a sentence that a server may have part in, what is no ASCII becomes '?'. */
static void
put_text(struct slk_writer *w, const char *name, const char *text, bool ascii)
{
	put_printed(w, ",\"%s\":\"", name);
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f || (ascii && *p > 0x7f)) {
			slk_write_u8(w, '?');
			continue;
		}
		if (*p == '"' || *p == '\\')
			slk_write_u8(w, '\\');
		slk_write_u8(w, *p);
	}
	slk_write_u8(w, '"');
}

static size_t
print_line(const struct dlv_errlog *log, const struct dlv_errlog_line *line, uint64_t lost,
	uint8_t out[LINE_BYTES])
{
	struct slk_writer w = slk_writer(out, LINE_BYTES);

	put_printed(&w, "{\"timestamp\":%llu", (unsigned long long)(line->wall_ns / SLK_NS_PER_MS));
	put_text(&w, "logGroup", line->to->group, false);
	put_text(&w, "logStream", line->to->stream, false);
	put_text(&w, "deliveryStreamARN", log->arn, true);
	put_printed(&w, ",\"deliveryStreamVersionId\":%llu", (unsigned long long)line->version);
	put_text(&w, "destination", line->destination, true);
	put_text(&w, "errorCode", line->code, true);
	put_text(&w, "message", line->message, true);
	put_printed(&w, ",\"attempts\":%u", line->attempts);
	put_text(&w, "deliveryId", line->batch_id, true);
	put_printed(&w, ",\"lost\":%llu}\n", (unsigned long long)lost);
	return w.status == SLK_OK ? w.len : 0;
}

void
dlv_errlog_add(struct dlv_errlog *log, const struct dlv_errlog_line *line)
{
	uint8_t text[LINE_BYTES];

	if (log == NULL || !line->to->enabled)
		return;
	pthread_mutex_lock(&log->lock);
	size_t len = print_line(log, line, log->lost, text);
	if (len == 0 || len > WAITING_BYTES - log->waiting_len) {
		log->lost++;
	} else {
		memcpy(log->waiting + log->waiting_len, text, len);
		log->waiting_len += len;
		log->lost = 0;
	}
	bool begins = log->waiting_len > 0 && !log->writing;
	if (begins)
		log->writing = true;
	pthread_mutex_unlock(&log->lock);
	if (!begins)
		return;
	log->task = (struct dlv_task){.fn = write_waiting, .arg = log};
	dlv_loop_work(log->loop, &log->task);
}

/* --- life --- */

int
dlv_errlog_new(
	const struct dlv_errlog_config *config, struct dlv_errlog **out_log, struct slk_error *err)
{
	struct dlv_errlog *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for an error log");
	log->fs = config->fs != NULL ? config->fs : slk_fs_posix();
	log->loop = config->loop;
	log->arn = config->arn;
	pthread_mutex_init(&log->lock, NULL);
	pthread_cond_init(&log->idle, NULL);
	int rc = path_of(config->state_dir, config->name, config->delivery_id, "", log->path, err);
	if (rc == SLK_OK)
		rc = path_of(config->state_dir, config->name, config->delivery_id, ".1", log->older,
			err);
	if (rc != SLK_OK) {
		dlv_errlog_free(log);
		return rc;
	}
	*out_log = log;
	return SLK_OK;
}

void
dlv_errlog_free(struct dlv_errlog *log)
{
	if (log == NULL)
		return;
	pthread_mutex_lock(&log->lock);
	while (log->writing)
		pthread_cond_wait(&log->idle, &log->lock);
	pthread_mutex_unlock(&log->lock);
	pthread_cond_destroy(&log->idle);
	pthread_mutex_destroy(&log->lock);
	free(log);
}

int
dlv_errlog_remove(const struct slk_fs *fs, const char *state_dir, const char *name,
	uint64_t delivery_id, struct slk_error *err)
{
	static const char *const suffixes[] = {".1", ""};
	char path[PATH_BYTES];

	fs = fs != NULL ? fs : slk_fs_posix();
	for (size_t i = 0; i < 2; i++) {
		int rc = path_of(state_dir, name, delivery_id, suffixes[i], path, err);
		if (rc != SLK_OK)
			return rc;
		rc = fs->unlink(fs->ctx, path);
		if (rc != SLK_OK && rc != SLK_NOT_FOUND)
			return slk_fail(
				err, rc, "cannot remove %s: %s", path, slk_status_sentence(rc));
	}
	return SLK_OK;
}
