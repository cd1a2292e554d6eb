#include "http/syntax.h"

#include <string.h>
#include <strings.h>

enum {
	TCHAR = 1,
	/* of tokens */ HOST = 2,
	/* of names of hosts: unreserved, sub-delims, '%' */ HEX = 4
};

#define T (TCHAR)
#define H (HOST)
#define B (TCHAR | HOST)
#define X (TCHAR | HOST | HEX)
static const uint8_t classes[256] = {
	['!'] = B,
	['#'] = T,
	['$'] = B,
	['%'] = B,
	['&'] = B,
	['\''] = B,
	['('] = H,
	[')'] = H,
	['*'] = B,
	['+'] = B,
	[','] = H,
	['-'] = B,
	['.'] = B,
	[';'] = H,
	['='] = H,
	['^'] = T,
	['_'] = B,
	['`'] = T,
	['|'] = T,
	['~'] = B,
	['0' ... '9'] = X,
	['A' ... 'F'] = X,
	['G' ... 'Z'] = B,
	['a' ... 'f'] = X,
	['g' ... 'z'] = B,
};
#undef T
#undef H
#undef B
#undef X

static bool
all_of(const char *text, size_t len, uint8_t class)
{
	for (size_t i = 0; i < len; i++) {
		if ((classes[(uint8_t)text[i]] & class) == 0)
			return false;
	}
	return true;
}

bool
http_is_token(const char *text, size_t len)
{
	return len > 0 && all_of(text, len, TCHAR);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

bool
http_is_field_value(const char *text, size_t len)
{
	if (len > 0 && (is_blank(text[0]) || is_blank(text[len - 1])))
		return false;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = (uint8_t)text[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static bool
is_port(const char *text, size_t len)
{
	unsigned port = 0;

	if (len < 1 || len > 5)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (unsigned)(text[i] - '0');
	}
	return port <= 65535;
}

/* "[...]": hex digits, colons, dots. What it names is of no interest here, only that it cannot be taken for anything else. */
static size_t
bracketed_len(const char *text, size_t len)
{
	for (size_t i = 1; i < len; i++) {
		if (text[i] == ']')
			return i > 2 ? i + 1 : 0;
		if (text[i] != ':' && text[i] != '.' && (classes[(uint8_t)text[i]] & HEX) == 0)
			return 0;
	}
	return 0;
}

static bool
percents_are_whole(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '%' && (i + 2 >= len || !all_of(text + i + 1, 2, HEX)))
			return false;
	}
	return true;
}

bool
http_is_authority(const char *text, size_t len)
{
	size_t host_len;

	if (len == 0 || len > 512)
		return false;
	if (text[0] == '[') {
		host_len = bracketed_len(text, len);
	} else {
		const char *colon = memchr(text, ':', len);
		host_len = colon != NULL ? (size_t)(colon - text) : len;
		if (!all_of(text, host_len, HOST) || !percents_are_whole(text, host_len))
			return false;
	}
	if (host_len == 0)
		return false;
	if (host_len == len)
		return true;
	return text[host_len] == ':' && is_port(text + host_len + 1, len - host_len - 1);
}

bool
http_is_target(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] <= 0x20 || text[i] >= 0x7f || text[i] == '#')
			return false;
	}
	return len > 0;
}

bool
http_text_is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

int
http_parse_length(const char *text, size_t len, uint64_t *out_length)
{
	uint64_t value = 0;
	bool fits = true;

	if (len == 0)
		return SLK_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return SLK_MALFORMED;
		fits = fits && !__builtin_mul_overflow(value, 10u, &value) &&
			!__builtin_add_overflow(value, (uint64_t)(text[i] - '0'), &value);
	}
	if (!fits)
		return SLK_RANGE;
	*out_length = value;
	return SLK_OK;
}

void
http_trim(const char **text, size_t *len)
{
	while (*len > 0 && is_blank((*text)[0])) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*text)[*len - 1]))
		(*len)--;
}

bool
http_next_element(const char **list, size_t *len, struct http_text *out_element)
{
	while (*len > 0) {
		const char *comma = memchr(*list, ',', *len);
		struct http_text element = {*list, comma != NULL ? (size_t)(comma - *list) : *len};
		size_t used = element.len + (comma != NULL ? 1 : 0);
		*list += used;
		*len -= used;
		http_trim(&element.ptr, &element.len);
		if (element.len > 0) {
			*out_element = element;
			return true;
		}
	}
	return false;
}
