#include "search_record.h"

#include <inttypes.h>
#include <stdio.h>

#include "json.h"

/* --- is it one? --- */

static int
enter(void *ctx)
{
	unsigned *depth = ctx;

	return ++*depth <= SEARCH_DEPTH_MAX;
}

static int
leave(void *ctx)
{
	unsigned *depth = ctx;

	--*depth;
	return 1;
}

static const yajl_callbacks checks = {
	.yajl_start_map = enter,
	.yajl_end_map = leave,
	.yajl_start_array = enter,
	.yajl_end_array = leave,
};

static bool
begins_as_object(struct slk_span data)
{
	size_t at = 0;

	while (at < data.len && memchr(" \t\r\n", data.ptr[at], 4) != NULL)
		at++;
	return at < data.len && data.ptr[at] == '{';
}

const char *
search_record_fault(struct slk_span data)
{
	unsigned depth = 0;

	if (!begins_as_object(data))
		return "is no JSON object";
	yajl_handle handle = dlv_json_new(&checks, &depth);
	if (handle == NULL)
		return "";
	yajl_status parsed = yajl_parse(handle, data.ptr, data.len);
	if (parsed == yajl_status_ok)
		parsed = yajl_complete_parse(handle);
	yajl_free(handle);
	if (parsed == yajl_status_client_canceled)
		return "is a JSON object that is too deep";
	return parsed == yajl_status_ok ? NULL : "is no JSON in UTF-8";
}

/* --- its fields --- */

struct search {
	struct slk_span name;
	bool found;
};

static int
compare_key(void *ctx, const unsigned char *text, size_t len)
{
	struct search *search = ctx;

	search->found = slk_span_equal(search->name, slk_span(text, len));
	return !search->found;
}

static const yajl_callbacks key_checks = {.yajl_map_key = compare_key};

static bool
has_key(struct slk_span data, struct slk_span name)
{
	struct search search = {name, false};
	yajl_handle handle = dlv_json_new(&key_checks, &search);

	if (handle == NULL)
		return false;
	(void)yajl_parse(handle, data.ptr, data.len);
	yajl_free(handle);
	return search.found;
}

bool
search_record_has_field(struct slk_span data, struct slk_span name)
{
	/* A server names at most a few levels. */
	for (unsigned parts = 0; parts < 16; parts++) {
		if (has_key(data, name))
			return true;
		const uint8_t *dot = memchr(name.ptr, '.', name.len);
		if (dot == NULL)
			return false;
		size_t len = (size_t)(dot - name.ptr);
		if (!has_key(data, slk_span(name.ptr, len)))
			return false;
		name = slk_span(dot + 1, name.len - len - 1);
	}
	return false;
}

/* --- its form --- */

/* Line breaks stand between values only: within a text they would be no JSON. */
static void
copy_on_one_line(uint8_t *out, struct slk_span data)
{
	if (data.len == 0)
		return;
	memcpy(out, data.ptr, data.len);
	for (uint8_t *at = out; (at = memchr(at, '\n', data.len - (size_t)(at - out))) != NULL;)
		*at = ' ';
	for (uint8_t *at = out; (at = memchr(at, '\r', data.len - (size_t)(at - out))) != NULL;)
		*at = ' ';
}

size_t
search_record_form(const char *batch_id, const struct dlv_record *record, uint8_t *out)
{
	int head = snprintf((char *)out, SEARCH_FORM_EXTRA,
		"{\"index\":{\"_id\":\"%.36s-%" PRIu32 "-%" PRIu64 "\"}}\n", batch_id,
		record->shard, record->sequence);
	size_t len = (size_t)head;

	copy_on_one_line(out + len, record->data);
	len += record->data.len;
	out[len++] = '\n';
	return len;
}

struct slk_span
search_record_document(struct slk_span form)
{
	const uint8_t *line = memchr(form.ptr, '\n', form.len);

	if (line == NULL)
		return slk_span(NULL, 0);
	size_t head = (size_t)(line + 1 - form.ptr);
	return slk_span(line + 1, form.len - head - 1);
}
