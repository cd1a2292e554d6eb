#include "search_answer.h"

#include "base/secret.h"
#include "json.h"

/* Where in the answer a value stands. */
enum place {
	PLACE_OTHER,
	PLACE_ROOT,
	PLACE_ROOT_ERROR,
	PLACE_ITEMS,
	PLACE_ITEM,
	PLACE_RESULT,
	PLACE_ERROR,
	PLACE_CAUSE,
};

enum key { KEY_OTHER, KEY_ITEMS, KEY_ERROR, KEY_STATUS, KEY_TYPE, KEY_REASON, KEY_CAUSED_BY };

static const struct {
	const char *name;
	enum key key;
} keys[] = {
	{"items", KEY_ITEMS},
	{"error", KEY_ERROR},
	{"status", KEY_STATUS},
	{"type", KEY_TYPE},
	{"reason", KEY_REASON},
	{"caused_by", KEY_CAUSED_BY},
};

struct reader {
	enum place places[SEARCH_ANSWER_DEPTH_MAX]; /* containers that are open */
	unsigned depth;
	enum key key;
	struct search_item item;
	unsigned results; /* of the item */
	size_t items_max;
	search_item_fn each;
	void *arg;
	struct search_answer *out;
	int status; /* why it was stopped */
};

static int
stop(struct reader *r, int status)
{
	r->status = status;
	return 0;
}

static enum place
here(const struct reader *r)
{
	return r->depth > 0 ? r->places[r->depth - 1] : PLACE_OTHER;
}

/* An element of items has to be an object. */
static bool
may_stand_here(struct reader *r)
{
	return here(r) != PLACE_ITEMS && r->depth > 0;
}

static int
on_scalar(void *ctx)
{
	struct reader *r = ctx;

	return may_stand_here(r) ? 1 : stop(r, SLK_MALFORMED);
}

static int
on_bool(void *ctx, int value)
{
	(void)value;
	return on_scalar(ctx);
}

static int
on_number(void *ctx, const char *text, size_t len)
{
	struct reader *r = ctx;

	if (!may_stand_here(r))
		return stop(r, SLK_MALFORMED);
	if (here(r) != PLACE_RESULT || r->key != KEY_STATUS)
		return 1;
	if (len != 3 || text[0] < '1' || text[0] > '5' || text[1] < '0' || text[1] > '9' ||
		text[2] < '0' || text[2] > '9')
		return stop(r, SLK_MALFORMED);
	r->item.status = (unsigned)(text[0] - '0') * 100 + (unsigned)(text[1] - '0') * 10 +
		(unsigned)(text[2] - '0');
	return 1;
}

static void
keep(char *out, size_t cap, const unsigned char *text, size_t len)
{
	size_t n = len < cap ? len : cap - 1;

	memcpy(out, text, n);
	out[n] = '\0';
}

static void
keep_error(struct search_error *error, enum key key, const unsigned char *text, size_t len)
{
	if (key == KEY_TYPE)
		keep(error->type, sizeof(error->type), text, len);
	else if (key == KEY_REASON)
		keep(error->reason, sizeof(error->reason), text, len);
}

/* Where old clusters have a text for an error, it is the reason. */
static int
on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct reader *r = ctx;

	if (!may_stand_here(r))
		return stop(r, SLK_MALFORMED);
	if (here(r) == PLACE_ERROR)
		keep_error(&r->item.error, r->key, text, len);
	else if (here(r) == PLACE_ROOT_ERROR)
		keep_error(&r->out->error, r->key, text, len);
	else if (here(r) == PLACE_CAUSE && r->key == KEY_TYPE)
		keep(r->item.error.cause, sizeof(r->item.error.cause), text, len);
	else if (here(r) == PLACE_RESULT && r->key == KEY_ERROR)
		keep_error(&r->item.error, KEY_REASON, text, len);
	else if (here(r) == PLACE_ROOT && r->key == KEY_ERROR)
		keep_error(&r->out->error, KEY_REASON, text, len);
	return 1;
}

static int
on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct reader *r = ctx;

	r->key = KEY_OTHER;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		if (dlv_json_is(text, len, keys[i].name))
			r->key = keys[i].key;
	}
	return 1;
}

static int
push(struct reader *r, enum place place)
{
	if (r->depth == SEARCH_ANSWER_DEPTH_MAX)
		return stop(r, SLK_LIMIT);
	r->places[r->depth++] = place;
	return 1;
}

static int
begin_item(struct reader *r)
{
	if (r->out->items == r->items_max)
		return stop(r, SLK_LIMIT);
	slk_wipe(&r->item, sizeof(r->item));
	r->results = 0;
	return push(r, PLACE_ITEM);
}

static int
on_map(void *ctx)
{
	struct reader *r = ctx;

	if (r->depth == 0)
		return push(r, PLACE_ROOT);
	switch (here(r)) {
	case PLACE_ITEMS:
		return begin_item(r);
	case PLACE_ITEM:
		r->results++;
		return push(r, PLACE_RESULT);
	case PLACE_ROOT:
		return push(r, r->key == KEY_ERROR ? PLACE_ROOT_ERROR : PLACE_OTHER);
	case PLACE_RESULT:
		return push(r, r->key == KEY_ERROR ? PLACE_ERROR : PLACE_OTHER);
	case PLACE_ERROR:
		return push(r, r->key == KEY_CAUSED_BY ? PLACE_CAUSE : PLACE_OTHER);
	default:
		return push(r, PLACE_OTHER);
	}
}

static int
on_map_end(void *ctx)
{
	struct reader *r = ctx;
	enum place place = r->places[--r->depth];

	if (place != PLACE_ITEM)
		return 1;
	if (r->results != 1 || r->item.status == 0)
		return stop(r, SLK_MALFORMED);
	if (r->each != NULL)
		r->each(r->arg, r->out->items, &r->item);
	r->out->items++;
	return 1;
}

static int
on_array(void *ctx)
{
	struct reader *r = ctx;

	if (here(r) == PLACE_ROOT && r->key == KEY_ITEMS) {
		if (r->out->has_items)
			return stop(r, SLK_MALFORMED);
		r->out->has_items = true;
		return push(r, PLACE_ITEMS);
	}
	return may_stand_here(r) ? push(r, PLACE_OTHER) : stop(r, SLK_MALFORMED);
}

static int
on_array_end(void *ctx)
{
	struct reader *r = ctx;

	r->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_scalar,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_array,
	.yajl_end_array = on_array_end,
};

static int
status_of(const struct reader *r, yajl_status parsed)
{
	if (parsed == yajl_status_ok)
		return SLK_OK;
	return parsed == yajl_status_client_canceled ? r->status : SLK_MALFORMED;
}

int
search_answer_read(struct slk_span body, size_t items_max, search_item_fn each, void *arg,
	struct search_answer *out_answer)
{
	struct reader reader = {
		.items_max = items_max, .each = each, .arg = arg, .out = out_answer};

	*out_answer = (struct search_answer){0};
	yajl_handle handle = dlv_json_new(&callbacks, &reader);
	if (handle == NULL)
		return SLK_NO_MEMORY;
	int rc = status_of(&reader, yajl_parse(handle, body.ptr, body.len));
	yajl_status ended = rc == SLK_OK ? yajl_complete_parse(handle) : yajl_status_ok;
	/* Within the answer it is the last number, of which digits may be missing, that was not liked. */
	if (ended == yajl_status_client_canceled && reader.depth == 0)
		rc = reader.status;
	else if (ended != yajl_status_ok)
		rc = SLK_TRUNCATED;
	yajl_free(handle);
	slk_wipe(&reader.item, sizeof(reader.item));
	return rc;
}
