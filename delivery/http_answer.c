#include "http_answer.h"

#include "json.h"

enum key { KEY_OTHER, KEY_REQUEST_ID, KEY_SAID };

struct reader {
	struct http_answer *out;
	unsigned depth;
	enum key key;
	bool has_id, has_said;
	int status;
};

static int
stop(struct reader *r, int status)
{
	r->status = status;
	return 0;
}

/* Anything but a text: outside of an object, or where a text belongs, it is wrong. */
static int
other(struct reader *r)
{
	bool wrong = r->depth == 0 || (r->depth == 1 && r->key == KEY_REQUEST_ID);

	return wrong ? stop(r, SLK_MALFORMED) : 1;
}

static int
on_null(void *ctx)
{
	return other(ctx);
}

static int
on_bool(void *ctx, int value)
{
	(void)value;
	return other(ctx);
}

static int
on_number(void *ctx, const char *text, size_t len)
{
	(void)text;
	(void)len;
	return other(ctx);
}

static void
keep(char *out, size_t cap, const unsigned char *text, size_t len)
{
	size_t n = len < cap ? len : cap - 1;

	memcpy(out, text, n);
	out[n] = '\0';
}

static int
on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct reader *r = ctx;

	if (r->depth == 0)
		return stop(r, SLK_MALFORMED);
	if (r->depth > 1)
		return 1;
	if (memchr(text, '\0', len) != NULL)
		return stop(r, SLK_MALFORMED);
	if (r->key == KEY_REQUEST_ID)
		keep(r->out->request_id, sizeof(r->out->request_id), text, len);
	else if (r->key == KEY_SAID)
		keep(r->out->said, sizeof(r->out->said), text, len);
	return 1;
}

static int
on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct reader *r = ctx;

	if (r->depth != 1)
		return 1;
	r->key = KEY_OTHER;
	if (dlv_json_is(text, len, "requestId")) {
		r->key = KEY_REQUEST_ID;
		if (r->has_id)
			return stop(r, SLK_MALFORMED);
		r->has_id = true;
	} else if (dlv_json_is(text, len, "errorMessage")) {
		r->key = KEY_SAID;
		if (r->has_said)
			return stop(r, SLK_MALFORMED);
		r->has_said = true;
	}
	return 1;
}

static int
enter(struct reader *r)
{
	if (r->depth == HTTP_ANSWER_DEPTH_MAX)
		return stop(r, SLK_LIMIT);
	r->depth++;
	return 1;
}

static int
on_map(void *ctx)
{
	struct reader *r = ctx;

	return r->depth == 0 || other(r) ? enter(r) : 0;
}

static int
on_array(void *ctx)
{
	struct reader *r = ctx;

	return other(r) ? enter(r) : 0;
}

static int
on_end(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_end,
};

int
http_answer_read(struct slk_span body, struct http_answer *out_answer)
{
	struct reader reader = {.out = out_answer, .status = SLK_MALFORMED};

	*out_answer = (struct http_answer){0};
	yajl_handle handle = dlv_json_new(&callbacks, &reader);
	if (handle == NULL)
		return SLK_NO_MEMORY;
	yajl_status parsed = yajl_parse(handle, body.ptr, body.len);
	if (parsed == yajl_status_ok)
		parsed = yajl_complete_parse(handle);
	yajl_free(handle);
	return parsed == yajl_status_ok ? SLK_OK : reader.status;
}
