#include "policy/pattern.h"

#include <ctype.h>
#include <string.h>

/* --- compiling --- */

struct compile {
	struct pol_arena *arena;
	unsigned flags;
	struct slk_span in;
	size_t at;
	char *out;
	size_t len;
	struct pol_variable variables[POL_VARIABLES_MAX];
	size_t variables_count;
	size_t stars, ones;
	const char *reason;
};

static int
refuse(struct compile *c, const char *reason)
{
	c->reason = reason;
	return SLK_MALFORMED;
}

static char *
copy(struct pol_arena *arena, const char *text, size_t len)
{
	char *out = pol_arena_take(arena, len + 1);

	if (out != NULL)
		memcpy(out, text, len);
	return out;
}

static void
put(struct compile *c, char byte)
{
	c->out[c->len++] = byte;
}

static bool
is_key_char(unsigned char byte)
{
	return byte > ' ' && byte != ',' && byte != '\'' && byte != '{' && byte != '$';
}

/* key, or key, 'default' between the braces. */
static int
take_variable(struct compile *c, const char *text, size_t len)
{
	size_t key_len = 0;

	if (c->variables_count == POL_VARIABLES_MAX)
		return refuse(c, "more variables than one text may have");
	while (key_len < len && is_key_char((unsigned char)text[key_len]))
		key_len++;
	if (key_len == 0)
		return refuse(c, "a variable is ${key} or ${key, 'default'}");
	struct pol_variable *v = &c->variables[c->variables_count];
	v->key = copy(c->arena, text, key_len);
	v->fallback = NULL;
	if (v->key == NULL)
		return SLK_LIMIT;
	size_t at = key_len;
	if (at < len) {
		if (text[at++] != ',')
			return refuse(c, "a variable is ${key} or ${key, 'default'}");
		while (at < len && text[at] == ' ')
			at++;
		if (len - at < 2 || text[at] != '\'' || text[len - 1] != '\'' ||
			memchr(text + at + 1, '\'', len - at - 2) != NULL)
			return refuse(c, "the default of a variable stands in single quotes");
		v->fallback = copy(c->arena, text + at + 1, len - at - 2);
		if (v->fallback == NULL)
			return SLK_LIMIT;
	}
	c->variables_count++;
	put(c, POL_MARK_VARIABLE);
	return SLK_OK;
}

static int
take_braces(struct compile *c)
{
	const char *text = (const char *)c->in.ptr + c->at + 2;
	size_t left = c->in.len - c->at - 2;
	const char *end = memchr(text, '}', left);

	if (end == NULL)
		return refuse(c, "${ without }");
	size_t len = (size_t)(end - text);
	c->at += len + 3;
	if (len == 1 && strchr("*?$", text[0]) != NULL) {
		put(c, text[0]);
		return SLK_OK;
	}
	return take_variable(c, text, len);
}

static int
take_byte(struct compile *c)
{
	unsigned char byte = c->in.ptr[c->at++];
	bool wild = (c->flags & POL_PATTERN_LITERAL) == 0;

	if (byte < 0x20 || byte == 0x7f)
		return refuse(c, "a control character");
	if (wild && byte == '*') {
		/* Two stars say no more than one. */
		if (c->len == 0 || c->out[c->len - 1] != POL_MARK_STAR) {
			put(c, POL_MARK_STAR);
			c->stars++;
		}
	} else if (wild && byte == '?') {
		if (c->ones == POL_ONES_MAX)
			return refuse(c, "more ? than one text may have");
		put(c, POL_MARK_ONE);
		c->ones++;
	} else {
		put(c, (c->flags & POL_PATTERN_FOLD) != 0 ? (char)tolower(byte) : (char)byte);
	}
	return SLK_OK;
}

static enum pol_pattern_kind
kind_of(const struct compile *c)
{
	if (c->variables_count > 0)
		return POL_PATTERN_VARIABLE;
	if (c->stars == 0 && c->ones == 0)
		return POL_PATTERN_EXACT;
	if (c->stars == 1 && c->ones == 0 && c->out[c->len - 1] == POL_MARK_STAR)
		return c->len == 1 ? POL_PATTERN_ANY : POL_PATTERN_PREFIX;
	return POL_PATTERN_GLOB;
}

static int
compile(struct compile *c, struct pol_pattern *out)
{
	bool variables = (c->flags & POL_PATTERN_VARIABLES) != 0;

	while (c->at < c->in.len) {
		bool braces = variables && c->in.len - c->at >= 2 &&
			memcmp(c->in.ptr + c->at, "${", 2) == 0;
		int rc = braces ? take_braces(c) : take_byte(c);
		if (rc != SLK_OK)
			return rc;
	}
	*out = (struct pol_pattern){.kind = kind_of(c), .bytes = c->out, .len = (uint32_t)c->len};
	if (c->variables_count == 0)
		return SLK_OK;
	out->variables = pol_arena_take(c->arena, c->variables_count * sizeof(*out->variables));
	if (out->variables == NULL)
		return SLK_LIMIT;
	memcpy(out->variables, c->variables, c->variables_count * sizeof(*out->variables));
	out->variables_count = (uint32_t)c->variables_count;
	return SLK_OK;
}

int
pol_pattern_compile(struct pol_arena *arena, struct slk_span text, unsigned flags,
	struct pol_pattern *out_pattern, const char **out_reason)
{
	struct compile c = {.arena = arena, .flags = flags, .in = text};

	*out_reason = "";
	if (text.len > POL_PATTERN_MAX)
		return SLK_TOO_LARGE;
	c.out = pol_arena_take(arena, text.len + 1);
	if (c.out == NULL)
		return SLK_LIMIT;
	int rc = compile(&c, out_pattern);
	if (rc == SLK_MALFORMED)
		*out_reason = c.reason;
	return rc;
}

/* --- matching --- */

/* Does a part without a star match right here? Run by run, so that a long one costs what memcmp does. */
static bool
part_matches(const char *part, size_t len, const char *text)
{
	while (len > 0) {
		const char *one = memchr(part, POL_MARK_ONE, len);
		size_t run = one != NULL ? (size_t)(one - part) : len;
		if (memcmp(part, text, run) != 0)
			return false;
		run += one != NULL;
		part += run;
		text += run;
		len -= run;
	}
	return true;
}

/* The first place at which a part matches, or NULL. */
static const char *
part_find(const char *part, size_t part_len, const char *text, size_t len)
{
	if (memchr(part, POL_MARK_ONE, part_len) == NULL)
		return memmem(text, len, part, part_len);
	for (; len >= part_len; text++, len--)
		if (part_matches(part, part_len, text))
			return text;
	return NULL;
}

/* The parts between stars, each at the first place that is left to it; the first and the last stand at the ends. */
bool
pol_glob(const char *bytes, size_t bytes_len, const char *text, size_t len)
{
	const char *star = memchr(bytes, POL_MARK_STAR, bytes_len);

	if (star == NULL)
		return bytes_len == len && part_matches(bytes, bytes_len, text);
	size_t head = (size_t)(star - bytes);
	if (len < head || !part_matches(bytes, head, text))
		return false;
	text += head;
	len -= head;
	const char *part = star + 1, *end = bytes + bytes_len;
	while ((star = memchr(part, POL_MARK_STAR, (size_t)(end - part))) != NULL) {
		size_t part_len = (size_t)(star - part);
		const char *at = part_find(part, part_len, text, len);
		if (at == NULL)
			return false;
		len -= (size_t)(at - text) + part_len;
		text = at + part_len;
		part = star + 1;
	}
	size_t tail = (size_t)(end - part);
	return len >= tail && part_matches(part, tail, text + (len - tail));
}

/* Marks in what a request says would become wildcards; no name, tag or address holds control characters. */
static bool
is_plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < 0x20)
			return false;
	return true;
}

bool
pol_pattern_fill(const struct pol_pattern *pattern, pol_variable_fn value, const void *ctx,
	char *out, const char **out_bytes, size_t *out_len)
{
	size_t len = 0, next = 0;

	if (pattern->kind != POL_PATTERN_VARIABLE) {
		*out_bytes = pattern->bytes;
		*out_len = pattern->len;
		return true;
	}
	for (size_t i = 0; i < pattern->len; i++) {
		const char *add = &pattern->bytes[i];
		size_t add_len = 1;
		if (pattern->bytes[i] == POL_MARK_VARIABLE) {
			const struct pol_variable *v = &pattern->variables[next++];
			add = value(ctx, v->key, &add_len);
			if (add == NULL && (add = v->fallback) != NULL)
				add_len = strlen(add);
			if (add == NULL || !is_plain(add, add_len))
				return false;
		}
		if (add_len > POL_PATTERN_MAX - len)
			return false;
		memcpy(out + len, add, add_len);
		len += add_len;
	}
	*out_bytes = out;
	*out_len = len;
	return true;
}
