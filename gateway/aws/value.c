#include "aws/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/clock.h"
#include "base/secret.h"

/* --- arenas --- */

#define CHUNK_BYTES 32768u
#define HELD_BACK_MIN \
	64u /* bytes of a string: to stop and start libyajl costs about as much as these */

struct chunk {
	struct chunk *next;
	size_t cap, used;
	_Alignas(16) uint8_t bytes[];
};

struct gw_arena {
	struct chunk *first; /* the newest */
};

static struct chunk *
chunk_new(size_t cap)
{
	struct chunk *c = malloc(sizeof(*c) + cap);

	if (c != NULL)
		*c = (struct chunk){.cap = cap};
	return c;
}

int
gw_arena_new(struct gw_arena **out_arena)
{
	struct gw_arena *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return SLK_NO_MEMORY;
	a->first = chunk_new(CHUNK_BYTES);
	if (a->first == NULL) {
		free(a);
		return SLK_NO_MEMORY;
	}
	*out_arena = a;
	return SLK_OK;
}

void
gw_arena_reset(struct gw_arena *arena)
{
	struct chunk *c = arena->first;

	while (c->next != NULL) {
		struct chunk *next = c->next;
		slk_wipe(c->bytes, c->used);
		free(c);
		c = next;
	}
	slk_wipe(c->bytes, c->used);
	c->used = 0;
	arena->first = c;
}

void
gw_arena_free(struct gw_arena *arena)
{
	if (arena == NULL)
		return;
	gw_arena_reset(arena);
	free(arena->first);
	free(arena);
}

void *
gw_arena_take(struct gw_arena *arena, size_t bytes)
{
	struct chunk *c = arena->first;

	if (bytes > SIZE_MAX / 2)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes > c->cap - c->used) {
		size_t cap = c->cap < (1u << 20) ? c->cap * 2 : c->cap;
		c = chunk_new(cap > bytes ? cap : bytes);
		if (c == NULL)
			return NULL;
		c->next = arena->first;
		arena->first = c;
	}
	void *at = c->bytes + c->used;
	c->used += bytes;
	memset(at, 0, bytes);
	return at;
}

/* --- JSON --- */

struct parser {
	struct gw_arena *arena;
	const uint8_t *body;
	size_t len;
	struct gw_value *root;
	struct gw_value *open[GW_DEPTH_MAX]; /* lists and maps that are not closed */
	struct gw_value **tail[GW_DEPTH_MAX]; /* where the next child of each goes */
	unsigned depth;
	unsigned values;
	struct slk_span key;
	struct slk_span
		whole; /* what stands between the quotes of the string that comes next, which libyajl sees empty */
	int status;
};

static int
stop(struct parser *p, int status)
{
	p->status = status;
	return 0;
}

/* What libyajl calls a string is the one that was held back from it, if one was. */
static struct slk_span
whole_of(struct parser *p, const unsigned char *text, size_t len)
{
	struct slk_span whole = p->whole;

	p->whole = slk_span(NULL, 0);
	return whole.ptr != NULL ? whole : slk_span(text, len);
}

/* Text that is not in the body as it stands (it had escapes) is copied. */
static bool
keep(struct parser *p, const unsigned char *text, size_t len, struct slk_span *out)
{
	if (text < p->body || text + len > p->body + p->len) {
		uint8_t *copy = gw_arena_take(p->arena, len + 1);
		if (copy == NULL)
			return false;
		memcpy(copy, text, len);
		text = copy;
	}
	*out = slk_span(text, len);
	return true;
}

static struct gw_value *
add(struct parser *p, enum gw_type type)
{
	if (++p->values > GW_VALUES_MAX) {
		(void)stop(p, SLK_LIMIT);
		return NULL;
	}
	struct gw_value *v = gw_arena_take(p->arena, sizeof(*v));
	if (v == NULL) {
		(void)stop(p, SLK_NO_MEMORY);
		return NULL;
	}
	v->type = type;
	if (p->depth == 0) {
		p->root = v;
		return v;
	}
	struct gw_value *in = p->open[p->depth - 1];
	if (in->type == GW_MAP)
		v->key = p->key;
	in->count++;
	*p->tail[p->depth - 1] = v;
	p->tail[p->depth - 1] = &v->next;
	return v;
}

static int
on_null(void *ctx)
{
	return add(ctx, GW_NULL) != NULL;
}

static int
on_bool(void *ctx, int value)
{
	struct gw_value *v = add(ctx, GW_BOOL);

	if (v != NULL)
		v->boolean = value != 0;
	return v != NULL;
}

static int
on_text(struct parser *p, enum gw_type type, const unsigned char *text, size_t len)
{
	struct gw_value *v = add(p, type);

	if (v == NULL)
		return 0;
	return keep(p, text, len, &v->text) ? 1 : stop(p, SLK_NO_MEMORY);
}

static int
on_number(void *ctx, const char *text, size_t len)
{
	return on_text(ctx, GW_NUMBER, (const unsigned char *)text, len);
}

static int
on_string(void *ctx, const unsigned char *text, size_t len)
{
	struct slk_span whole = whole_of(ctx, text, len);

	return on_text(ctx, GW_STRING, whole.ptr, whole.len);
}

static int
on_open(struct parser *p, enum gw_type type)
{
	if (p->depth == GW_DEPTH_MAX)
		return stop(p, SLK_LIMIT);
	struct gw_value *v = add(p, type);
	if (v == NULL)
		return 0;
	p->open[p->depth] = v;
	p->tail[p->depth] = &v->first;
	p->depth++;
	return 1;
}

static int
on_map(void *ctx)
{
	return on_open(ctx, GW_MAP);
}

static int
on_list(void *ctx)
{
	return on_open(ctx, GW_LIST);
}

static int
on_key(void *ctx, const unsigned char *text, size_t len)
{
	struct parser *p = ctx;
	const struct gw_value *in = p->open[p->depth - 1];
	struct slk_span key = whole_of(p, text, len);

	if (in->count >= GW_MEMBERS_MAX)
		return stop(p, SLK_LIMIT);
	for (const struct gw_value *v = in->first; v != NULL; v = v->next)
		if (slk_span_equal(v->key, key))
			return stop(p, SLK_MALFORMED);
	return keep(p, key.ptr, key.len, &p->key) ? 1 : stop(p, SLK_NO_MEMORY);
}

static int
on_close(void *ctx)
{
	((struct parser *)ctx)->depth--;
	return 1;
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_bool,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_close,
	.yajl_start_array = on_list,
	.yajl_end_array = on_close,
};

/* How many bytes from here on are what any string may hold as it stands: ASCII, but no control, quote or backslash. */
static size_t
plain_run(const uint8_t *text, size_t len)
{
	size_t i = 0;

#ifdef __SSE2__
	for (; len - i >= 16; i += 16) {
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(text + i));
		__m128i odd = _mm_cmplt_epi8(c, _mm_set1_epi8(0x20)); /* and what is not ASCII */
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(c, _mm_set1_epi8('"')));
		odd = _mm_or_si128(odd, _mm_cmpeq_epi8(c, _mm_set1_epi8('\\')));
		unsigned at = (unsigned)_mm_movemask_epi8(odd);
		if (at != 0)
			return i + (unsigned)__builtin_ctz(at);
	}
#endif
	while (i < len && text[i] >= 0x20 && text[i] < 0x80 && text[i] != '"' && text[i] != '\\')
		i++;
	return i;
}

/* Behind the quote that ends the string which goes on at `at`. */
static size_t
behind_string(const struct parser *p, size_t at)
{
	while (at < p->len && p->body[at] != '"') {
		at += p->body[at] == '\\' ? 2 : 1;
		if (at < p->len)
			at += plain_run(p->body + at, p->len - at);
	}
	return at < p->len ? at + 1 : p->len;
}

/* libyajl looks at each byte by itself, and most bytes of a request are records in base64: what a long plain string holds is
 * looked at here, sixteen bytes at once, and libyajl is given its quotes alone. Both see strings begin and end alike, up to
 * what libyajl refuses. */
static yajl_status
feed(struct parser *p, yajl_handle yajl)
{
	yajl_status status = yajl_status_ok;
	size_t fed = 0, at = 0;

	while (status == yajl_status_ok && at < p->len) {
		const uint8_t *quote = memchr(p->body + at, '"', p->len - at);
		if (quote == NULL)
			break;
		size_t start = (size_t)(quote - p->body) + 1;
		size_t plain = plain_run(p->body + start, p->len - start);
		at = start + plain;
		if (plain < HELD_BACK_MIN || at == p->len || p->body[at] != '"') {
			at = behind_string(p, at);
			continue;
		}
		status = yajl_parse(yajl, p->body + fed, start - fed);
		p->whole = slk_span(p->body + start, plain);
		fed = at++;
	}
	return status == yajl_status_ok ? yajl_parse(yajl, p->body + fed, p->len - fed) : status;
}

int
gw_json_parse(struct gw_arena *arena, uint8_t *body, size_t len, struct gw_value **out_root)
{
	struct parser p = {.arena = arena, .body = body, .len = len, .status = SLK_MALFORMED};

	yajl_handle yajl = yajl_alloc(&callbacks, NULL, &p);
	if (yajl == NULL)
		return SLK_NO_MEMORY;
	yajl_status status = feed(&p, yajl);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(yajl);
	yajl_free(yajl);
	if (status != yajl_status_ok || p.root == NULL)
		return p.status;
	*out_root = p.root;
	return SLK_OK;
}

/* --- numbers --- */

int
gw_number(struct slk_span text, int64_t *out)
{
	bool minus = text.len > 0 && text.ptr[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + (minus ? 1 : 0), n = 0;

	if (text.len == (size_t)minus)
		return SLK_MALFORMED;
	for (size_t i = minus; i < text.len; i++) {
		unsigned digit = (unsigned)text.ptr[i] - '0';
		if (digit > 9)
			return SLK_MALFORMED;
		if (n > (limit - digit) / 10)
			return SLK_RANGE;
		n = n * 10 + digit;
	}
	*out = minus ? (int64_t)(0 - n) : (int64_t)n;
	return SLK_OK;
}

int
gw_seconds(struct slk_span text, uint64_t *out_ns)
{
	char copy[64], *end = NULL;

	if (text.len == 0 || text.len >= sizeof(copy))
		return SLK_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	/* Milliseconds are what the protocol promises: a double has them until long after 2262. */
	double s = strtod(copy, &end);
	if (*end != '\0' || !isfinite(s))
		return SLK_MALFORMED;
	if (s < 0 || s > 9.2e9)
		return SLK_RANGE;
	*out_ns = (uint64_t)llround(s * 1000) * SLK_NS_PER_MS;
	return SLK_OK;
}

/* --- reading a tree --- */

struct gw_value *
gw_get(const struct gw_value *map, const char *name)
{
	size_t len = strlen(name);

	for (struct gw_value *v = map->first; v != NULL; v = v->next)
		if (v->key.len == len && memcmp(v->key.ptr, name, len) == 0)
			return v->type != GW_NULL ? v : NULL;
	return NULL;
}

const char *
gw_text(const struct gw_value *map, const char *name)
{
	const struct gw_value *v = gw_get(map, name);

	return v != NULL ? (const char *)v->text.ptr : "";
}

struct slk_span
gw_span(const struct gw_value *map, const char *name)
{
	const struct gw_value *v = gw_get(map, name);

	return v != NULL ? v->text : slk_span("", 0);
}

int64_t
gw_int(const struct gw_value *map, const char *name, int64_t absent)
{
	const struct gw_value *v = gw_get(map, name);
	int64_t n = absent;

	if (v != NULL && gw_number(v->text, &n) != SLK_OK)
		return absent;
	return n;
}

bool
gw_bool(const struct gw_value *map, const char *name)
{
	const struct gw_value *v = gw_get(map, name);

	return v != NULL && v->boolean;
}

uint64_t
gw_time(const struct gw_value *map, const char *name)
{
	const struct gw_value *v = gw_get(map, name);
	uint64_t ns = 0;

	if (v != NULL && gw_seconds(v->text, &ns) != SLK_OK)
		return 0;
	return ns;
}
