#include "delivery/tree.h"

#include <assert.h>
#include <stdlib.h>
#include <yajl/yajl_parse.h>

#include "base/secret.h"
#include "delivery/spec.h"

/* Locked memory that is given out from both ends: what has to be aligned from the front, texts from the back. */
struct pool {
	struct slk_secret *secret;
	size_t front, back;
};

struct dlv_tree {
	struct pool pool;
	struct dlv_json *root;
};

static int
pool_new(size_t bytes, struct pool *out_pool)
{
	struct slk_secret *secret = NULL;
	int rc = slk_secret_new(bytes, &secret);

	if (rc == SLK_OK)
		*out_pool = (struct pool){.secret = secret, .back = bytes};
	return rc;
}

static void *
take_front(struct pool *pool, size_t bytes)
{
	size_t rounded = (bytes + 15) & ~(size_t)15;

	if (rounded > pool->back - pool->front)
		return NULL;
	void *at = slk_secret_bytes(pool->secret) + pool->front;
	pool->front += rounded;
	return at;
}

static uint8_t *
take_back(struct pool *pool, size_t bytes)
{
	if (bytes > pool->back - pool->front)
		return NULL;
	pool->back -= bytes;
	return slk_secret_bytes(pool->secret) + pool->back;
}

/* --- the lexer's memory ---
 *
 * libyajl keeps a text that has escapes in a buffer of its own and does not look whether it got memory. Both of its buffers double:
 * together they never need more than twice what the input has, and what they begin with (lexer_bytes()). */

#define LEXER_BYTES 16384u

static size_t
lexer_bytes(size_t len)
{
	return LEXER_BYTES + 3 * len;
}

struct lump {
	size_t size;
	_Alignas(16) uint8_t bytes[];
};

static void *
lexer_malloc(void *ctx, size_t size)
{
	struct lump *lump = take_front(ctx, sizeof(*lump) + size);

	assert(lump != NULL);
	lump->size = size;
	return lump->bytes;
}

static void
lexer_free(void *ctx, void *ptr)
{
	(void)ctx; /* all of it goes at once */
	(void)ptr;
}

static void *
lexer_realloc(void *ctx, void *ptr, size_t size)
{
	struct pool *pool = ctx;

	if (ptr == NULL)
		return lexer_malloc(ctx, size);
	struct lump *lump = (struct lump *)((uint8_t *)ptr - offsetof(struct lump, bytes));
	size_t end = (size_t)(lump->bytes - slk_secret_bytes(pool->secret)) +
		((lump->size + 15) & ~(size_t)15);
	if (end == pool->front) { /* the newest: it grows where it is */
		pool->front = (size_t)((uint8_t *)lump - slk_secret_bytes(pool->secret));
		return lexer_malloc(ctx, size);
	}
	void *copy = lexer_malloc(ctx, size);
	memcpy(copy, ptr, lump->size < size ? lump->size : size);
	return copy;
}

/* --- what it says --- */

struct parse {
	struct dlv_tree *tree;
	struct dlv_json *open[DLV_JSON_DEPTH_MAX]; /* lists and objects that are not closed */
	struct dlv_json **tail[DLV_JSON_DEPTH_MAX]; /* where the next child of each goes */
	unsigned depth, values;
	struct slk_span key;
	int status;
};

static int
stop(struct parse *p, int status)
{
	p->status = status;
	return 0;
}

static bool
keep(struct parse *p, const unsigned char *text, size_t len, struct slk_span *out)
{
	if (len > 0 && memchr(text, '\0', len) != NULL)
		return stop(p, SLK_MALFORMED);
	uint8_t *copy = take_back(&p->tree->pool, len + 1);
	if (copy == NULL)
		return stop(p, SLK_LIMIT);
	if (len > 0)
		memcpy(copy, text, len);
	copy[len] = '\0';
	*out = slk_span(copy, len);
	return true;
}

static struct dlv_json *
add(struct parse *p, enum dlv_json_type type)
{
	struct dlv_json *v =
		++p->values > DLV_JSON_VALUES_MAX ? NULL : take_front(&p->tree->pool, sizeof(*v));

	if (v == NULL) {
		(void)stop(p, SLK_LIMIT);
		return NULL;
	}
	*v = (struct dlv_json){.type = type};
	if (p->depth == 0) {
		p->tree->root = v;
		return v;
	}
	struct dlv_json *in = p->open[p->depth - 1];
	if (in->type == DLV_JSON_OBJECT)
		v->key = p->key;
	in->count++;
	*p->tail[p->depth - 1] = v;
	p->tail[p->depth - 1] = &v->next;
	return v;
}

static int
on_null(void *ctx)
{
	return add(ctx, DLV_JSON_NULL) != NULL;
}

static int
on_bool(void *ctx, int value)
{
	struct dlv_json *v = add(ctx, DLV_JSON_BOOL);

	if (v != NULL)
		v->boolean = value != 0;
	return v != NULL;
}

static int
on_number(void *ctx, const char *text, size_t len)
{
	struct dlv_json *v = add(ctx, DLV_JSON_NUMBER);

	return v != NULL && keep(ctx, (const unsigned char *)text, len, &v->text);
}

static int
on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct dlv_json *v = add(ctx, DLV_JSON_STRING);

	return v != NULL && keep(ctx, text, len, &v->text);
}

static int
on_open(struct parse *p, enum dlv_json_type type)
{
	if (p->depth == DLV_JSON_DEPTH_MAX)
		return stop(p, SLK_LIMIT);
	struct dlv_json *v = add(p, type);
	if (v == NULL)
		return 0;
	p->open[p->depth] = v;
	p->tail[p->depth] = &v->first;
	p->depth++;
	return 1;
}

static int
on_object(void *ctx)
{
	return on_open(ctx, DLV_JSON_OBJECT);
}

static int
on_list(void *ctx)
{
	return on_open(ctx, DLV_JSON_LIST);
}

static int
on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct parse *p = ctx;
	const struct dlv_json *in = p->open[p->depth - 1];

	for (const struct dlv_json *v = in->first; v != NULL; v = v->next)
		if (v->key.len == len && memcmp(v->key.ptr, text, len) == 0)
			return stop(p, SLK_MALFORMED);
	return keep(p, text, len, &p->key);
}

static int
on_close(void *ctx)
{
	((struct parse *)ctx)->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_object,
	.yajl_map_key = on_key,
	.yajl_end_map = on_close,
	.yajl_start_array = on_list,
	.yajl_end_array = on_close,
};

static int
parse_into(struct dlv_tree *tree, struct slk_span json, struct pool *lexer)
{
	struct parse p = {.tree = tree, .status = SLK_MALFORMED};
	yajl_alloc_funcs memory = {lexer_malloc, lexer_realloc, lexer_free, lexer};

	yajl_handle yajl = yajl_alloc(&callbacks, &memory, &p);
	if (yajl == NULL)
		return SLK_NO_MEMORY;
	yajl_status status = yajl_parse(yajl, json.ptr, json.len);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(yajl);
	yajl_free(yajl);
	return status == yajl_status_ok && tree->root != NULL ? SLK_OK : p.status;
}

int
dlv_tree_parse(struct slk_span json, struct dlv_tree **out_tree)
{
	struct dlv_tree *tree = calloc(1, sizeof(*tree));
	struct pool lexer = {0};
	/* A value takes two bytes of the text at least; each of its two texts ends with a NUL. */
	size_t values =
		json.len / 2 + 1 < DLV_JSON_VALUES_MAX ? json.len / 2 + 1 : DLV_JSON_VALUES_MAX;

	if (tree == NULL)
		return SLK_NO_MEMORY;
	int rc = json.len > DLV_SPEC_JSON_MAX ? SLK_LIMIT : SLK_OK;
	if (rc == SLK_OK)
		rc = pool_new(values * (sizeof(struct dlv_json) + 2) + json.len + 16, &tree->pool);
	if (rc == SLK_OK)
		rc = pool_new(lexer_bytes(json.len), &lexer);
	if (rc == SLK_OK)
		rc = parse_into(tree, json, &lexer);
	slk_secret_free(lexer.secret);
	if (rc != SLK_OK) {
		dlv_tree_free(tree);
		return rc;
	}
	*out_tree = tree;
	return SLK_OK;
}

void
dlv_tree_free(struct dlv_tree *tree)
{
	if (tree == NULL)
		return;
	slk_secret_free(tree->pool.secret);
	free(tree);
}

const struct dlv_json *
dlv_tree_root(const struct dlv_tree *tree)
{
	return tree->root;
}

const struct dlv_json *
dlv_json_get(const struct dlv_json *object, const char *name)
{
	size_t len = strlen(name);

	for (const struct dlv_json *v = object->first; v != NULL; v = v->next)
		if (v->key.len == len && memcmp(v->key.ptr, name, len) == 0)
			return v->type != DLV_JSON_NULL ? v : NULL;
	return NULL;
}
