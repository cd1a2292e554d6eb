#include "remark.h"

/* Behind these a server repeats what it was sent, whether in quotes or not. */
static const char *const introductions[] = {"Preview of", "preview of", "The prefix of", "value:"};

static bool
is_introduction(struct slk_span said, size_t at)
{
	for (size_t i = 0; i < sizeof(introductions) / sizeof(introductions[0]); i++) {
		size_t len = strlen(introductions[i]);
		if (said.len - at >= len && memcmp(said.ptr + at, introductions[i], len) == 0)
			return true;
	}
	return false;
}

/* The other end of what opens here; 0: it is no quote or bracket. */
static uint8_t
closing(uint8_t open)
{
	switch (open) {
	case '[':
		return ']';
	case '(':
		return ')';
	case '{':
		return '}';
	case '<':
		return '>';
	case '"':
	case '\'':
	case '`':
		return open;
	default:
		return 0;
	}
}

/* From the opening character to the closing one, both counted; 0: its content is not known. */
static size_t
harmless_len(struct slk_span said, size_t at, uint8_t close, dlv_remark_known known, void *arg)
{
	const uint8_t *from = said.ptr + at + 1;
	const uint8_t *end = memchr(from, close, said.len - at - 1);

	if (end == NULL || known == NULL || !known(arg, slk_span(from, (size_t)(end - from))))
		return 0;
	return (size_t)(end - from) + 2;
}

static size_t
trimmed(const char *text, size_t len)
{
	while (len > 0 && strchr(" .,:;=", text[len - 1]) != NULL)
		len--;
	return len;
}

void
dlv_remark(struct slk_span said, dlv_remark_known known, void *arg, char *out, size_t cap)
{
	size_t len = 0, at = 0;

	while (at < said.len && len + 1 < cap) {
		uint8_t close = closing(said.ptr[at]);
		size_t take = close == 0 ? 1 : harmless_len(said, at, close, known, arg);
		if (take == 0 || is_introduction(said, at) || len + take >= cap)
			break;
		for (size_t i = 0; i < take; i++) {
			uint8_t c = said.ptr[at++];
			out[len++] = c >= ' ' && c <= '~' ? (char)c : ' ';
		}
	}
	out[trimmed(out, len)] = '\0';
}
