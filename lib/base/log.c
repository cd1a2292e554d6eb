#include "base/log.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096u

static const char *log_program = "sealock";
static enum slk_log_level log_level = SLK_LOG_INFO;
static int log_fd = STDERR_FILENO;

struct line {
	char text[LINE_MAX_BYTES];
	size_t len;
};

static void
put_raw(struct line *l, const char *s, size_t n)
{
	size_t room = sizeof(l->text) - 1 - l->len; /* one byte for the newline */

	if (n > room)
		n = room;
	memcpy(l->text + l->len, s, n);
	l->len += n;
}

static void
put_text(struct line *l, const char *s)
{
	put_raw(l, s, strlen(s));
}

/* Quote when needed; escape what could forge a line or a field. */
static void
put_value(struct line *l, const char *s)
{
	bool plain = *s != '\0';

	for (const char *p = s; *p != '\0' && plain; p++) {
		unsigned char c = (unsigned char)*p;
		if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f)
			plain = false;
	}
	if (plain) {
		put_text(l, s);
		return;
	}
	put_raw(l, "\"", 1);
	for (const char *p = s; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '"' || c == '\\') {
			char esc[2] = {'\\', (char)c};
			put_raw(l, esc, 2);
		} else if (c < ' ' || c >= 0x7f) {
			char esc[5];
			snprintf(esc, sizeof(esc), "\\x%02x", c);
			put_raw(l, esc, 4);
		} else {
			put_raw(l, p, 1);
		}
	}
	put_raw(l, "\"", 1);
}

static void
put_field(struct line *l, const struct slk_log_field *f)
{
	char num[40];

	put_raw(l, " ", 1);
	put_text(l, f->key);
	put_raw(l, "=", 1);
	switch (f->kind) {
	case SLK_F_I64:
		snprintf(num, sizeof(num), "%lld", (long long)f->v.i64);
		put_text(l, num);
		break;
	case SLK_F_U64:
		snprintf(num, sizeof(num), "%llu", (unsigned long long)f->v.u64);
		put_text(l, num);
		break;
	case SLK_F_F64:
		snprintf(num, sizeof(num), "%.6g", f->v.f64);
		put_text(l, num);
		break;
	case SLK_F_BOOL:
		put_text(l, f->v.b ? "true" : "false");
		break;
	case SLK_F_STR:
		put_value(l, f->v.str != NULL ? f->v.str : "");
		break;
	case SLK_F_HEX:
		for (size_t i = 0; i < f->v.hex.len; i++) {
			snprintf(num, sizeof(num), "%02x", f->v.hex.ptr[i]);
			put_raw(l, num, 2);
		}
		break;
	}
}

struct slk_log_field
slk_field_i64(const char *key, int64_t v)
{
	return (struct slk_log_field){.key = key, .kind = SLK_F_I64, .v.i64 = v};
}

struct slk_log_field
slk_field_u64(const char *key, uint64_t v)
{
	return (struct slk_log_field){.key = key, .kind = SLK_F_U64, .v.u64 = v};
}

struct slk_log_field
slk_field_f64(const char *key, double v)
{
	return (struct slk_log_field){.key = key, .kind = SLK_F_F64, .v.f64 = v};
}

struct slk_log_field
slk_field_bool(const char *key, bool v)
{
	return (struct slk_log_field){.key = key, .kind = SLK_F_BOOL, .v.b = v};
}

struct slk_log_field
slk_field_str(const char *key, const char *v)
{
	return (struct slk_log_field){.key = key, .kind = SLK_F_STR, .v.str = v};
}

struct slk_log_field
slk_kv_hex(const char *key, const void *id, size_t len)
{
	return (struct slk_log_field){
		.key = key, .kind = SLK_F_HEX, .v.hex = {id, len <= 64 ? len : 64}};
}

void
slk_log_init(const char *program, enum slk_log_level level)
{
	log_program = program;
	log_level = level;
}

void
slk_log_set_fd(int fd)
{
	log_fd = fd;
}

bool
slk_log_parse_level(const char *text, enum slk_log_level *out_level)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	for (int i = 0; i < 4; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out_level = (enum slk_log_level)i;
			return true;
		}
	}
	return false;
}

void
slk_log_write(
	enum slk_log_level level, const char *msg, const struct slk_log_field *fields, size_t count)
{
	static const char *const names[] = {"debug", "info", "warn", "error"};

	if (level < log_level)
		return;
	struct line l = {.len = 0};
	struct timespec ts;
	struct tm tm;
	char stamp[64];
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(stamp, sizeof(stamp), "time=%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(stamp + n, sizeof(stamp) - n, ".%06ldZ level=", ts.tv_nsec / 1000);
	put_text(&l, stamp);
	put_text(&l, names[level]);
	put_text(&l, " prog=");
	put_text(&l, log_program);
	put_text(&l, " msg=");
	put_value(&l, msg);
	for (size_t i = 0; i < count; i++)
		put_field(&l, &fields[i]);
	l.text[l.len++] = '\n';
	/* One write per line keeps lines of several threads whole; a log that cannot be written has
	 * nowhere to say so. */
	ssize_t rc = write(log_fd, l.text, l.len);
	(void)rc;
}
