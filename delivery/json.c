#include "json.h"

#include <malloc.h>
#include <stdlib.h>

#include "base/secret.h"

static void *
take(void *ctx, size_t size)
{
	(void)ctx;
	return malloc(size);
}

static void
give_back(void *ctx, void *ptr)
{
	(void)ctx;
	if (ptr != NULL)
		slk_wipe(ptr, malloc_usable_size(ptr));
	free(ptr);
}

static void *
move(void *ctx, void *ptr, size_t size)
{
	size_t old = ptr != NULL ? malloc_usable_size(ptr) : 0;

	if (ptr != NULL && size <= old)
		return ptr;
	void *moved = malloc(size);
	if (moved == NULL)
		return NULL;
	if (ptr != NULL)
		memcpy(moved, ptr, old);
	give_back(ctx, ptr);
	return moved;
}

yajl_handle
dlv_json_new(const yajl_callbacks *callbacks, void *ctx)
{
	yajl_alloc_funcs memory = {take, move, give_back, NULL};

	return yajl_alloc(callbacks, &memory, ctx);
}
