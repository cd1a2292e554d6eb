#include "http/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

#define CLASSES_COUNT 13u /* 16 KiB << 0 .. 16 KiB << 12 = 64 MiB */

struct http_pool {
	size_t in_use_bytes, in_use_max_bytes;
	size_t kept_bytes, kept_max_bytes;
	struct http_buf *kept[CLASSES_COUNT];
};

_Static_assert(HTTP_BUF_MIN_BYTES << (CLASSES_COUNT - 1) == HTTP_BUF_MAX_BYTES,
	"classes end at the maximum");

static size_t
class_bytes(unsigned class)
{
	return (size_t)HTTP_BUF_MIN_BYTES << class;
}

static unsigned
class_of(size_t cap)
{
	unsigned class = 0;

	while (class_bytes(class) < cap)
		class ++;
	return class;
}

int
http_pool_new(size_t in_use_max_bytes, size_t kept_max_bytes, struct http_pool **out_pool)
{
	struct http_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return SLK_NO_MEMORY;
	pool->in_use_max_bytes = in_use_max_bytes;
	pool->kept_max_bytes = kept_max_bytes;
	*out_pool = pool;
	return SLK_OK;
}

static void
destroy(struct http_buf *buf)
{
	free(buf->bytes);
	free(buf);
}

void
http_pool_free(struct http_pool *pool)
{
	if (pool == NULL)
		return;
	assert(pool->in_use_bytes == 0);
	for (unsigned i = 0; i < CLASSES_COUNT; i++) {
		while (pool->kept[i] != NULL) {
			struct http_buf *buf = pool->kept[i];
			pool->kept[i] = buf->next;
			destroy(buf);
		}
	}
	free(pool);
}

static struct http_buf *
create(size_t cap)
{
	struct http_buf *buf = calloc(1, sizeof(*buf));

	if (buf == NULL)
		return NULL;
	buf->bytes = malloc(cap);
	if (buf->bytes == NULL) {
		free(buf);
		return NULL;
	}
	buf->cap = cap;
	return buf;
}

int
http_buf_new(struct http_pool *pool, size_t cap, struct http_buf **out_buf)
{
	if (cap > HTTP_BUF_MAX_BYTES)
		return SLK_TOO_LARGE;
	unsigned class = class_of(cap);
	size_t bytes = class_bytes(class);
	if (bytes > pool->in_use_max_bytes - pool->in_use_bytes)
		return SLK_LIMIT;
	struct http_buf *buf = pool->kept[class];
	if (buf != NULL) {
		pool->kept[class] = buf->next;
		pool->kept_bytes -= bytes;
	} else {
		buf = create(bytes);
		if (buf == NULL)
			return SLK_NO_MEMORY;
	}
	pool->in_use_bytes += bytes;
	buf->len = 0;
	buf->next = NULL;
	buf->wipe = false;
	*out_buf = buf;
	return SLK_OK;
}

int
http_buf_reserve(struct http_pool *pool, struct http_buf **buf, size_t more)
{
	struct http_buf *old = *buf, *grown = NULL;

	if (more <= old->cap - old->len)
		return SLK_OK;
	if (more > HTTP_BUF_MAX_BYTES - old->len)
		return SLK_TOO_LARGE;
	int rc = http_buf_new(pool, old->len + more, &grown);
	if (rc != SLK_OK)
		return rc;
	memcpy(grown->bytes, old->bytes, old->len);
	grown->len = old->len;
	grown->wipe = old->wipe;
	grown->next = old->next;
	http_buf_free(pool, old);
	*buf = grown;
	return SLK_OK;
}

int
http_buf_append(struct http_pool *pool, struct http_buf **buf, const void *bytes, size_t len)
{
	int rc = http_buf_reserve(pool, buf, len);

	if (rc != SLK_OK)
		return rc;
	if (len > 0)
		memcpy((*buf)->bytes + (*buf)->len, bytes, len);
	(*buf)->len += len;
	return SLK_OK;
}

void
http_buf_free(struct http_pool *pool, struct http_buf *buf)
{
	if (buf == NULL)
		return;
	if (buf->wipe)
		slk_wipe(buf->bytes, buf->len);
	assert(pool->in_use_bytes >= buf->cap);
	pool->in_use_bytes -= buf->cap;
	if (buf->cap > pool->kept_max_bytes - pool->kept_bytes) {
		destroy(buf);
		return;
	}
	unsigned class = class_of(buf->cap);
	buf->next = pool->kept[class];
	pool->kept[class] = buf;
	pool->kept_bytes += buf->cap;
}

size_t
http_pool_in_use(const struct http_pool *pool)
{
	return pool->in_use_bytes;
}
