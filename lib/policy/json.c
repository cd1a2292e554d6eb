#include "policy/json.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "format/utf8.h"

struct parse {
	struct pol_arena *arena;
	struct slk_span in;
	yajl_handle yajl;
	struct pol_json *root;
	struct pol_json *open[POL_JSON_DEPTH_MAX]; /* containers that are not closed yet */
	struct pol_json *last[POL_JSON_DEPTH_MAX]; /* newest child of each */
	unsigned depth;
	struct slk_span key; /* of the value to come */
	int status;
	struct pol_json_error *error;
};

/* Where the token begins that yajl has just read: it says only where the token ends. */
static size_t
token_start(const struct parse *p)
{
	const uint8_t *text = p->in.ptr;
	size_t at = yajl_get_bytes_consumed(p->yajl);

	if (at == 0 || at > p->in.len)
		return 0;
	at--; /* its last byte */
	if (text[at] == '"') {
		/* The next quote to the left that is not escaped. */
		bool escaped = true;
		while (at > 0 && escaped) {
			size_t slashes = 0;
			for (at--; at > 0 && text[at] != '"'; at--)
				;
			while (slashes < at && text[at - 1 - slashes] == '\\')
				slashes++;
			escaped = slashes % 2 == 1;
		}
		return at;
	}
	while (at > 0 && (isalnum(text[at]) || strchr("+-.", text[at]) != NULL) &&
		(isalnum(text[at - 1]) || strchr("+-.", text[at - 1]) != NULL))
		at--;
	return at;
}

static int
refuse(struct parse *p, int status, const char *text)
{
	p->status = status;
	p->error->offset = token_start(p);
	(void)snprintf(p->error->text, sizeof(p->error->text), "%s", text);
	return 0;
}

static int
out_of_room(struct parse *p)
{
	return refuse(p, SLK_LIMIT, "the document needs more memory than a policy may");
}

/* A copy with a terminator. */
static const uint8_t *
copy(struct parse *p, const unsigned char *text, size_t len)
{
	uint8_t *out = pol_arena_take(p->arena, len + 1);

	if (out != NULL && len > 0)
		memcpy(out, text, len);
	return out;
}

/* Append a value to the container that is open. */
static struct pol_json *
append(struct parse *p, enum pol_json_type type)
{
	struct pol_json *node = pol_arena_take(p->arena, sizeof(*node));

	if (node == NULL) {
		(void)out_of_room(p);
		return NULL;
	}
	node->type = type;
	node->offset = token_start(p);
	node->key = p->key;
	p->key = slk_span(NULL, 0);
	if (p->depth == 0) {
		p->root = node;
		return node;
	}
	struct pol_json **last = &p->last[p->depth - 1];
	if (*last == NULL)
		p->open[p->depth - 1]->first = node;
	else
		(*last)->next = node;
	*last = node;
	p->open[p->depth - 1]->count++;
	return node;
}

static int
push(struct parse *p, enum pol_json_type type)
{
	if (p->depth == POL_JSON_DEPTH_MAX)
		return refuse(p, SLK_MALFORMED, "nested deeper than any policy is");
	struct pol_json *node = append(p, type);
	if (node == NULL)
		return 0;
	p->open[p->depth] = node;
	p->last[p->depth] = NULL;
	p->depth++;
	return 1;
}

static int
on_null(void *ctx)
{
	return append(ctx, POL_JSON_NULL) != NULL;
}

static int
on_boolean(void *ctx, int value)
{
	struct pol_json *node = append(ctx, POL_JSON_BOOL);

	if (node == NULL)
		return 0;
	node->boolean = value != 0;
	node->text = slk_span_str(value != 0 ? "true" : "false");
	return 1;
}

static int
on_text(struct parse *p, enum pol_json_type type, const unsigned char *text, size_t len)
{
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return refuse(p, SLK_MALFORMED, "a NUL in a string");
	struct pol_json *node = append(p, type);
	if (node == NULL)
		return 0;
	const uint8_t *bytes = copy(p, text, len);
	if (bytes == NULL)
		return out_of_room(p);
	node->text = slk_span(bytes, len);
	return 1;
}

static int
on_number(void *ctx, const char *text, size_t len)
{
	return on_text(ctx, POL_JSON_NUMBER, (const unsigned char *)text, len);
}

static int
on_string(void *ctx, const unsigned char *text, size_t len)
{
	return on_text(ctx, POL_JSON_STRING, text, len);
}

static int
on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct parse *p = ctx;
	const struct pol_json *object = p->open[p->depth - 1];

	if (len > 0 && memchr(text, '\0', len) != NULL)
		return refuse(p, SLK_MALFORMED, "a NUL in a key");
	if (object->count == POL_JSON_MEMBERS_MAX)
		return refuse(p, SLK_MALFORMED, "more keys in an object than any policy has");
	for (const struct pol_json *m = object->first; m != NULL; m = m->next)
		if (slk_span_equal(m->key, slk_span(text, len)))
			return refuse(p, SLK_MALFORMED, "this key is in the object already");
	const uint8_t *bytes = copy(p, text, len);
	if (bytes == NULL)
		return out_of_room(p);
	p->key = slk_span(bytes, len);
	return 1;
}

static int
on_start_map(void *ctx)
{
	return push(ctx, POL_JSON_OBJECT);
}

static int
on_start_array(void *ctx)
{
	return push(ctx, POL_JSON_ARRAY);
}

static int
on_end(void *ctx)
{
	((struct parse *)ctx)->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_start_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_start_array,
	.yajl_end_array = on_end,
};

/* What yajl says, without the excerpt that it adds. */
static void
take_yajl_error(struct parse *p, struct slk_span in)
{
	unsigned char *text = yajl_get_error(p->yajl, 0, in.ptr, in.len);

	p->status = SLK_MALFORMED;
	p->error->offset = yajl_get_bytes_consumed(p->yajl);
	(void)snprintf(p->error->text, sizeof(p->error->text), "%s",
		text != NULL ? (const char *)text : "not JSON");
	p->error->text[strcspn(p->error->text, "\n")] = '\0';
	if (text != NULL)
		yajl_free_error(p->yajl, text);
}

static int
refuse_at(struct pol_json_error *error, size_t offset, const char *text)
{
	error->offset = offset;
	(void)snprintf(error->text, sizeof(error->text), "%s", text);
	return SLK_MALFORMED;
}

/* The first byte that begins no character. */
static size_t
bad_character(struct slk_span in)
{
	size_t at = 0, len = 1;

	while (at < in.len && len <= 4) {
		for (len = 1; len <= 4; len++)
			if (len <= in.len - at && fmt_utf8_is_text(slk_span(in.ptr + at, len)))
				break;
		at += len <= 4 ? len : 0;
	}
	return at;
}

/* The code unit of \uXXXX at text, or 0. */
static unsigned
unit_at(const uint8_t *text, size_t len)
{
	char hex[5] = {0};

	if (len < 6 || text[0] != '\\' || text[1] != 'u')
		return 0;
	memcpy(hex, text + 2, 4);
	return (unsigned)strtoul(hex, NULL, 16);
}

/* yajl takes overlong forms for UTF-8, and makes a ? of half a surrogate pair: the one could slip past whoever compares bytes,
 * the other would be a wildcard. */
static int
check_text(struct slk_span in, struct pol_json_error *error)
{
	if (!fmt_utf8_is_text(in))
		return refuse_at(error, bad_character(in), "a NUL, or bytes that are not UTF-8");
	for (size_t i = 0; i + 1 < in.len; i++) {
		if (in.ptr[i] != '\\')
			continue;
		unsigned unit = unit_at(in.ptr + i, in.len - i);
		if (unit >= 0xd800 && unit <= 0xdbff && i + 6 < in.len) {
			unsigned low = unit_at(in.ptr + i + 6, in.len - i - 6);
			if (low >= 0xdc00 && low <= 0xdfff) {
				i += 11;
				continue;
			}
		}
		if (unit >= 0xd800 && unit <= 0xdfff)
			return refuse_at(error, i, "half of a surrogate pair");
		i++; /* what is escaped begins no escape */
	}
	return SLK_OK;
}

int
pol_json_parse(struct pol_arena *arena, struct slk_span in, struct pol_json **out_root,
	struct pol_json_error *out_error)
{
	struct parse p = {.arena = arena, .in = in, .error = out_error};

	int rc = check_text(in, out_error);
	if (rc != SLK_OK)
		return rc;
	p.yajl = yajl_alloc(&callbacks, NULL, &p);
	if (p.yajl == NULL)
		return SLK_NO_MEMORY;
	yajl_status said = yajl_parse(p.yajl, in.ptr, in.len);
	if (said == yajl_status_ok)
		said = yajl_complete_parse(p.yajl);
	if (said == yajl_status_error)
		take_yajl_error(&p, in);
	else if (p.status == SLK_OK && p.root == NULL)
		(void)refuse(&p, SLK_MALFORMED, "there is no document");
	yajl_free(p.yajl);
	if (p.status == SLK_OK)
		*out_root = p.root;
	return p.status;
}

const struct pol_json *
pol_json_member(const struct pol_json *object, const char *key)
{
	for (const struct pol_json *m = object->first; m != NULL; m = m->next)
		if (slk_span_equal(m->key, slk_span_str(key)))
			return m;
	return NULL;
}
