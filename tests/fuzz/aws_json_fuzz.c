/* Bodies of requests: refused, or a tree within its bounds; held against every shape, each refusal has its name and words. */
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "aws/shapes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What libyajl refuses is refused, though it is not shown all of it. */
static bool
is_json(const uint8_t *data, size_t size)
{
	yajl_handle yajl = yajl_alloc(NULL, NULL, NULL);

	if (yajl == NULL)
		abort();
	bool good = yajl_parse(yajl, data, size) == yajl_status_ok &&
		yajl_complete_parse(yajl) == yajl_status_ok;
	yajl_free(yajl);
	return good;
}

static void
try_all(struct gw_arena *arena, const struct gw_input *inputs, const uint8_t *data, size_t size,
	uint8_t *copy)
{
	for (; inputs->operation != NULL; inputs++) {
		struct gw_fault fault = {.type = NULL};
		struct gw_value *root = NULL;
		memcpy(copy, data, size);
		gw_arena_reset(arena);
		if (gw_json_parse(arena, copy, size, &root) != SLK_OK)
			return;
		if (!is_json(data, size))
			abort();
		if (!gw_bind(inputs->shape, root, &fault) &&
			(fault.type == NULL || fault.message[0] == '\0'))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct gw_arena *arena;

	if (arena == NULL && gw_arena_new(&arena) != SLK_OK)
		abort();
	uint8_t *copy = malloc(size + 1);
	if (copy == NULL)
		return 0;
	try_all(arena, gw_inputs_kinesis, data, size, copy);
	try_all(arena, gw_inputs_kms, data, size, copy);
	try_all(arena, gw_inputs_firehose, data, size, copy);
	free(copy);
	return 0;
}
