#include "delivery/read.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#define VALUE_SHOWN 100u /* bytes of a value in a message */
#define DEPTH 8u

bool
dlv_refuse(const struct dlv_place *at, const char *fmt, ...)
{
	char sentence[400];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	at->fault->type = "InvalidArgumentException";
	(void)snprintf(at->fault->message, sizeof(at->fault->message), "%s%s%s",
		at->name != NULL ? at->name : "", at->name != NULL ? ": " : "", sentence);
	return false;
}

/* "extendedS3DestinationConfiguration.bufferingHints.sizeInMBs" */
static void
print_path(const struct dlv_place *at, const char *name, char *out, size_t cap)
{
	const struct dlv_place *way[DEPTH];
	unsigned depth = 0;
	size_t used = 0;

	for (; at != NULL && at->name != NULL && depth < DEPTH; at = at->up)
		way[depth++] = at;
	out[0] = '\0';
	while (depth > 0 && used < cap) {
		const struct dlv_place *p = way[--depth];
		used += (size_t)snprintf(
			out + used, cap - used, "%c%s.", tolower(p->name[0]), p->name + 1);
		if (p->index > 0 && used < cap)
			used += (size_t)snprintf(out + used, cap - used, "%u.member.", p->index);
	}
	if (used < cap)
		(void)snprintf(out + used, cap - used, "%c%s", tolower(name[0]), name + 1);
}

/* As much of a text as a message takes, not cut within a character. */
static int
shown(struct slk_span text)
{
	size_t n = text.len < VALUE_SHOWN ? text.len : VALUE_SHOWN;

	while (n > 0 && n < text.len && (text.ptr[n] & 0xc0) == 0x80)
		n--;
	return (int)n;
}

bool
dlv_invalid(const struct dlv_place *at, const char *name, struct slk_span value,
	const char *constraint, ...)
{
	char path[160], what[160];
	bool show = value.ptr != NULL;
	va_list ap;

	print_path(at, name, path, sizeof(path));
	va_start(ap, constraint);
	(void)vsnprintf(what, sizeof(what), constraint, ap);
	va_end(ap);
	at->fault->type = "ValidationException";
	(void)snprintf(at->fault->message, sizeof(at->fault->message),
		"1 validation error detected: Value %s%.*s%sat '%s' failed to satisfy constraint: "
		"Member must %s",
		show ? "'" : "", show ? shown(value) : 0, show ? (const char *)value.ptr : "",
		show ? "' " : "", path, what);
	return false;
}

static bool
wrong_type(const struct dlv_place *at, const char *name, const char *wanted)
{
	char path[160];

	print_path(at, name, path, sizeof(path));
	at->fault->type = "SerializationException";
	(void)snprintf(
		at->fault->message, sizeof(at->fault->message), "'%s' has to be %s", path, wanted);
	return false;
}

bool
dlv_read_required(const struct dlv_place *at, const char *const *names)
{
	char path[160];

	while (*names != NULL && dlv_json_get(at->object, *names) != NULL)
		names++;
	if (*names == NULL)
		return true;
	print_path(at, *names, path, sizeof(path));
	at->fault->type = "ValidationException";
	(void)snprintf(at->fault->message, sizeof(at->fault->message),
		"1 validation error detected: Value null at '%s' failed to satisfy constraint: "
		"Member must not be null",
		path);
	return false;
}

bool
dlv_read_known(const struct dlv_place *at, const char *const *names)
{
	for (const struct dlv_json *v = at->object->first; v != NULL; v = v->next) {
		const char *const *n = names;
		while (*n != NULL && strcmp(*n, (const char *)v->key.ptr) != 0)
			n++;
		if (*n == NULL && v->type != DLV_JSON_NULL)
			return dlv_refuse(at, "%.*s is not supported.", shown(v->key),
				(const char *)v->key.ptr);
	}
	return true;
}

static size_t
characters(struct slk_span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.ptr[i] & 0xc0) != 0x80;
	return n;
}

bool
dlv_read_text(const struct dlv_place *at, const char *name, const struct dlv_limit *limit,
	const char **out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);

	if (v == NULL)
		return true;
	if (v->type != DLV_JSON_STRING)
		return wrong_type(at, name, "a string");
	struct slk_span said = limit->sensitive ? slk_span(NULL, 0) : v->text;
	size_t n = characters(v->text);
	if (n < limit->min)
		return dlv_invalid(
			at, name, said, "have length greater than or equal to %zu", limit->min);
	if (n > limit->max)
		return dlv_invalid(
			at, name, said, "have length less than or equal to %zu", limit->max);
	if (limit->fits != NULL && !limit->fits(v->text))
		return dlv_invalid(
			at, name, said, "satisfy regular expression pattern: %s", limit->pattern);
	*out = (const char *)v->text.ptr;
	return true;
}

/* A whole number; of one that is beyond every limit the last digits do not matter. */
static bool
whole(struct slk_span text, uint64_t *out)
{
	uint64_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		if (n < UINT64_MAX / 256) /* else it is too large already */
			n = n * 10 + (text.ptr[i] - '0');
	}
	*out = n;
	return text.len > 0;
}

bool
dlv_read_number(
	const struct dlv_place *at, const char *name, uint32_t min, uint32_t max, uint32_t *out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);
	uint64_t n = 0;

	if (v == NULL)
		return true;
	if (v->type != DLV_JSON_NUMBER)
		return wrong_type(at, name, "an integer");
	struct slk_span digits = v->text;
	bool minus = digits.ptr[0] == '-';
	if (!whole(slk_span(digits.ptr + minus, digits.len - minus), &n))
		return wrong_type(at, name, "an integer");
	if (n < min || (minus && n > 0))
		return dlv_invalid(
			at, name, v->text, "have value greater than or equal to %u", min);
	if (n > max)
		return dlv_invalid(at, name, v->text, "have value less than or equal to %u", max);
	*out = (uint32_t)n;
	return true;
}

bool
dlv_read_bool(const struct dlv_place *at, const char *name, bool *out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);

	if (v == NULL)
		return true;
	if (v->type != DLV_JSON_BOOL)
		return wrong_type(at, name, "a boolean");
	*out = v->boolean;
	return true;
}

bool
dlv_read_choice(
	const struct dlv_place *at, const char *name, const char *const *values, unsigned *out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);
	char set[160];
	size_t used = 0;

	if (v == NULL)
		return true;
	if (v->type != DLV_JSON_STRING)
		return wrong_type(at, name, "a string");
	for (unsigned i = 0; values[i] != NULL; i++)
		if (strcmp(values[i], (const char *)v->text.ptr) == 0) {
			*out = i;
			return true;
		}
	set[0] = '\0';
	for (unsigned i = 0; values[i] != NULL && used < sizeof(set); i++)
		used += (size_t)snprintf(
			set + used, sizeof(set) - used, "%s%s", i > 0 ? ", " : "", values[i]);
	return dlv_invalid(at, name, v->text, "satisfy enum value set: [%s]", set);
}

bool
dlv_read_object(const struct dlv_place *at, const char *name, struct dlv_place *out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);

	if (v != NULL && v->type != DLV_JSON_OBJECT)
		return wrong_type(at, name, "a structure");
	*out = (struct dlv_place){.up = at, .name = name, .object = v, .fault = at->fault};
	return true;
}

bool
dlv_read_list(
	const struct dlv_place *at, const char *name, uint32_t max, const struct dlv_json **out)
{
	const struct dlv_json *v = dlv_json_get(at->object, name);

	*out = NULL;
	if (v == NULL)
		return true;
	if (v->type != DLV_JSON_LIST)
		return wrong_type(at, name, "a list");
	if (v->count > max)
		return dlv_invalid(
			at, name, slk_span(NULL, 0), "have length less than or equal to %u", max);
	*out = v->first;
	return true;
}

bool
dlv_read_item(const struct dlv_place *at, const char *list, unsigned index,
	const struct dlv_json *value, struct dlv_place *out)
{
	if (value->type != DLV_JSON_OBJECT)
		return wrong_type(at, list, "a list of structures");
	*out = (struct dlv_place){
		.up = at, .name = list, .index = index, .object = value, .fault = at->fault};
	return true;
}
