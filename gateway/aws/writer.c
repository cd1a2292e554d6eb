#include "aws/writer.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/base64.h"
#include "base/clock.h"

static uint8_t *
room(struct gw_writer *w, size_t more)
{
	if (w->status != SLK_OK)
		return NULL;
	if (more > w->cap - w->len) {
		w->status = w->grow != NULL ? w->grow(w, more) : SLK_FULL;
		if (w->status != SLK_OK)
			return NULL;
	}
	return w->bytes + w->len;
}

void
gw_write_raw(struct gw_writer *w, const void *bytes, size_t len)
{
	uint8_t *at = room(w, len);

	if (at != NULL && len > 0) {
		memcpy(at, bytes, len);
		w->len += len;
	}
}

static void
put(struct gw_writer *w, char c)
{
	if (w->status == SLK_OK && w->len < w->cap)
		w->bytes[w->len++] = (uint8_t)c;
	else
		gw_write_raw(w, &c, 1);
}

/* In decimal, at least as many digits as asked for. */
static void
put_number(struct gw_writer *w, uint64_t n, size_t digits_min)
{
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0 || sizeof(text) - at < digits_min);
	gw_write_raw(w, text + at, sizeof(text) - at);
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

/* How many bytes from here on stand as they are. */
static size_t
plain_run(const uint8_t *text, size_t len)
{
	size_t i = 0;

#ifdef __SSE2__
	for (; len - i >= 16; i += 16) {
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
		__m128i odd = _mm_cmpeq_epi8(_mm_min_epu8(c, _mm_set1_epi8(0x1f)), c);
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(c, _mm_set1_epi8('"')));
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(c, _mm_set1_epi8('\\')));
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(c, _mm_set1_epi8(0x7f)));
		unsigned at = (unsigned)_mm_movemask_epi8(odd);
		if (at != 0)
			return i + (unsigned)__builtin_ctz(at);
	}
#endif
	while (i < len && is_plain(text[i]))
		i++;
	return i;
}

/* RFC 8259, 7. */
static void
put_string(struct gw_writer *w, struct slk_span text)
{
	static const char digits[] = "0123456789abcdef";
	size_t i = 0;

	put(w, '"');
	for (;;) {
		size_t plain = plain_run(text.ptr + i, text.len - i);
		gw_write_raw(w, text.ptr + i, plain);
		i += plain;
		if (i == text.len)
			break;
		uint8_t c = text.ptr[i++];
		char escaped[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
		if (c == '"' || c == '\\') {
			escaped[1] = (char)c;
			gw_write_raw(w, escaped, 2);
		} else if (c == '\n') {
			gw_write_raw(w, "\\n", 2);
		} else {
			gw_write_raw(w, escaped, 6);
		}
	}
	put(w, '"');
}

static void
put_name(struct gw_writer *w, const char *name)
{
	uint64_t bit = 1ull << (w->depth & 63);

	if (w->begun & bit)
		put(w, ',');
	w->begun |= bit;
	if (name == NULL)
		return;
	put(w, '"');
	gw_write_raw(w, name, strlen(name));
	gw_write_raw(w, "\":", 2);
}

void
gw_write_json(struct gw_writer *w, const char *name, struct slk_span json)
{
	put_name(w, name);
	gw_write_raw(w, json.ptr, json.len);
}

static void
open_with(struct gw_writer *w, const char *name, char c)
{
	put_name(w, name);
	put(w, c);
	w->depth++;
	w->begun &= ~(1ull << (w->depth & 63));
}

static void
close_with(struct gw_writer *w, char c)
{
	w->depth--;
	put(w, c);
}

void
gw_write_open(struct gw_writer *w, const char *name)
{
	open_with(w, name, '{');
}

void
gw_write_close(struct gw_writer *w)
{
	close_with(w, '}');
}

void
gw_write_open_list(struct gw_writer *w, const char *name)
{
	open_with(w, name, '[');
}

void
gw_write_close_list(struct gw_writer *w)
{
	close_with(w, ']');
}

void
gw_write_span(struct gw_writer *w, const char *name, struct slk_span text)
{
	put_name(w, name);
	put_string(w, text);
}

void
gw_write_text(struct gw_writer *w, const char *name, const char *text)
{
	gw_write_span(w, name, slk_span_str(text));
}

void
gw_write_text_if(struct gw_writer *w, const char *name, const char *text)
{
	if (text[0] != '\0')
		gw_write_text(w, name, text);
}

void
gw_write_int(struct gw_writer *w, const char *name, int64_t value)
{
	put_name(w, name);
	if (value < 0)
		put(w, '-');
	put_number(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 1);
}

void
gw_write_bool(struct gw_writer *w, const char *name, bool value)
{
	put_name(w, name);
	gw_write_raw(w, value ? "true" : "false", value ? 4 : 5);
}

void
gw_write_blob(struct gw_writer *w, const char *name, struct slk_span bytes)
{
	size_t chars = slk_base64_chars(bytes.len), padded = (chars + 3) & ~(size_t)3;

	put_name(w, name);
	put(w, '"');
	uint8_t *at = room(w, padded + 1);
	if (at == NULL)
		return;
	int rc = slk_base64_encode(SLK_BASE64, bytes, (char *)at, chars + 1);
	if (rc != SLK_OK) {
		w->status = rc;
		return;
	}
	memset(at + chars, '=', padded - chars);
	w->len += padded;
	put(w, '"');
}

void
gw_write_time(struct gw_writer *w, const char *name, uint64_t ns)
{
	uint64_t ms = ns / SLK_NS_PER_MS;

	put_name(w, name);
	put_number(w, ms / 1000, 1);
	put(w, '.');
	put_number(w, ms % 1000, 3);
}
