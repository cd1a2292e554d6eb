#include "out.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain.h"
#include "text.h"

#define OUT_BYTES (64u * 1024u)

struct cli_out {
	int fd;
	int status;
	int saved_errno;
	struct slk_plain buf;
	size_t len;
};

int
cli_out_new(int fd, struct cli_out **out_out, struct slk_error *err)
{
	struct cli_out *out = calloc(1, sizeof(*out));

	if (out == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the output");
	int rc = slk_plain_reserve(&out->buf, OUT_BYTES, err);
	if (rc != SLK_OK) {
		free(out);
		return rc;
	}
	out->fd = fd;
	*out_out = out;
	return SLK_OK;
}

void
cli_out_free(struct cli_out *out)
{
	if (out == NULL)
		return;
	slk_plain_free(&out->buf);
	free(out);
}

int
cli_out_flush(struct cli_out *out)
{
	size_t done = 0;

	while (out->status == SLK_OK && done < out->len) {
		ssize_t n = write(out->fd, out->buf.ptr + done, out->len - done);
		if (n >= 0) {
			done += (size_t)n;
		} else if (errno != EINTR) {
			out->saved_errno = errno;
			out->status = slk_status_from_errno(errno);
		}
	}
	out->len = 0;
	return out->status;
}

void
cli_out_drop(struct cli_out *out)
{
	out->len = 0;
}

int
cli_out_status(const struct cli_out *out)
{
	return out->status;
}

const char *
cli_out_error(const struct cli_out *out)
{
	return out->saved_errno != 0 ? strerror(out->saved_errno)
				     : slk_status_sentence(out->status);
}

bool
cli_out_is_terminal(const struct cli_out *out)
{
	return isatty(out->fd) == 1;
}

void
cli_out_write(struct cli_out *out, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;

	while (len > 0 && out->status == SLK_OK) {
		size_t room = OUT_BYTES - out->len;
		size_t n = len < room ? len : room;
		memcpy(out->buf.ptr + out->len, p, n);
		out->len += n;
		p += n;
		len -= n;
		if (out->len == OUT_BYTES)
			(void)cli_out_flush(out); /* the status stays */
	}
}

void
cli_out_text(struct cli_out *out, const char *text)
{
	cli_out_write(out, text, strlen(text));
}

void
cli_out_printf(struct cli_out *out, const char *fmt, ...)
{
	char line[1024];
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0)
		cli_out_write(out, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void
put_escaped(struct cli_out *out, const uint8_t *p, size_t len)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		char esc[4] = {'\\', 'x', hex[p[i] >> 4], hex[p[i] & 15]};
		cli_out_write(out, esc, sizeof(esc));
	}
}

void
cli_out_safe(struct cli_out *out, struct slk_span bytes)
{
	for (size_t i = 0; i < bytes.len;) {
		const uint8_t *p = bytes.ptr + i;
		size_t n = cli_utf8_sequence(p, bytes.len - i);
		bool c0 = n == 1 && ((*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f);
		bool c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0;
		if (n == 0 || c0 || c1)
			put_escaped(out, p, n > 0 ? n : 1);
		else
			cli_out_write(out, p, n);
		i += n > 0 ? n : 1;
	}
}

static void
print_json(void *ctx, const char *text, size_t len)
{
	cli_out_write(ctx, text, len);
}

yajl_gen
cli_json_begin(struct cli_out *out, bool compact)
{
	yajl_gen json = yajl_gen_alloc(NULL);

	if (json == NULL) {
		out->status = SLK_NO_MEMORY;
		return NULL;
	}
	yajl_gen_config(json, yajl_gen_print_callback, print_json, out);
	if (!compact) {
		yajl_gen_config(json, yajl_gen_beautify, 1);
		yajl_gen_config(json, yajl_gen_indent_string, "  ");
	}
	return json;
}

void
cli_json_end(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_free(json);
}

void
cli_json_next(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_reset(json, "\n");
}

void
cli_json_map(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_map_open(json);
}

void
cli_json_map_end(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_map_close(json);
}

void
cli_json_array(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_array_open(json);
}

void
cli_json_array_end(yajl_gen json)
{
	if (json != NULL)
		yajl_gen_array_close(json);
}

static void
put_string(yajl_gen json, const char *text, size_t len)
{
	if (json != NULL)
		yajl_gen_string(json, (const unsigned char *)text, len);
}

void
cli_json_key(yajl_gen json, const char *key)
{
	put_string(json, key, strlen(key));
}

void
cli_json_text(yajl_gen json, const char *value)
{
	static const char bad[] = "\xef\xbf\xbd";
	struct slk_span text = slk_span_str(value);

	if (cli_utf8_valid(text)) {
		put_string(json, value, text.len);
		return;
	}
	char clean[1024];
	size_t len = 0;
	for (size_t i = 0; i < text.len && len + sizeof(bad) < sizeof(clean); i++) {
		if (text.ptr[i] < 0x80) {
			clean[len++] = value[i];
		} else {
			memcpy(clean + len, bad, sizeof(bad) - 1);
			len += sizeof(bad) - 1;
		}
	}
	put_string(json, clean, len);
}

void
cli_json_str(yajl_gen json, const char *key, const char *value)
{
	cli_json_key(json, key);
	cli_json_text(json, value);
}

void
cli_json_u64(yajl_gen json, const char *key, uint64_t value)
{
	char text[24];

	cli_json_key(json, key);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	if (json != NULL)
		yajl_gen_number(json, text, strlen(text));
}

void
cli_json_f64(yajl_gen json, const char *key, double value)
{
	char text[40];

	cli_json_key(json, key);
	snprintf(text, sizeof(text), "%.1f", value);
	if (json != NULL)
		yajl_gen_number(json, text, strlen(text));
}

void
cli_json_bool(yajl_gen json, const char *key, bool value)
{
	cli_json_key(json, key);
	if (json != NULL)
		yajl_gen_bool(json, value);
}

void
cli_json_time(yajl_gen json, const char *key, uint64_t unix_ns)
{
	char text[CLI_TIME_MAX];

	if (unix_ns == 0) {
		cli_json_key(json, key);
		if (json != NULL)
			yajl_gen_null(json);
		return;
	}
	cli_time_format(unix_ns, text);
	cli_json_str(json, key, text);
}

int
cli_json_bytes(yajl_gen json, const char *key, struct slk_span bytes, struct slk_plain *scratch,
	struct slk_error *err)
{
	if (cli_utf8_valid(bytes)) {
		cli_json_key(json, key);
		put_string(json, bytes.len > 0 ? (const char *)bytes.ptr : "", bytes.len);
		return SLK_OK;
	}
	char encoding[64];
	size_t len = cli_base64_len(bytes.len);
	int rc = slk_plain_reserve(scratch, len, err);
	if (rc != SLK_OK)
		return rc;
	cli_base64(bytes, (char *)scratch->ptr);
	cli_json_key(json, key);
	put_string(json, (const char *)scratch->ptr, len);
	snprintf(encoding, sizeof(encoding), "%s_encoding", key);
	cli_json_str(json, encoding, "base64");
	return SLK_OK;
}
