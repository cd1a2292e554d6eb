#include "aws/shape.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"

#define FAULTS_MAX 10u
#define PATH_MAX_CHARS 256u
#define VALUE_MAX 256u

/* --- types --- */

static bool
wrong_type(struct gw_fault *fault, const char *text)
{
	(void)gw_fault_set(fault, "SerializationException", "%s", text);
	fault->capital = true;
	return false;
}

static bool
scalar_fault(const struct gw_value *v, const char *target, struct gw_fault *fault)
{
	static const char *const java[] = {[GW_BOOL] = "java.lang.Boolean",
		[GW_NUMBER] = "com.amazon.coral.value.json.numbers.TruncatingBigNumber",
		[GW_STRING] = "java.lang.String"};
	char text[256];

	if (v->type == GW_LIST)
		return wrong_type(fault, "Start of list found where not expected");
	if (v->type == GW_MAP)
		return wrong_type(fault, "Start of structure or map found where not expected.");
	(void)snprintf(text, sizeof(text), "class %s can not be converted to %s",
		v->type < GW_BLOB && java[v->type] != NULL ? java[v->type]
							   : "java.nio.HeapByteBuffer",
		target);
	return wrong_type(fault, text);
}

/* Strict base64 with its padding (RFC 4648, 4), where it lies. */
static bool
decode_blob(struct gw_value *v, struct gw_fault *fault)
{
	size_t len = v->text.len, out_len = 0;
	uint8_t *at = (uint8_t *)(uintptr_t)v->text.ptr;
	char text[160];

	v->type = GW_BLOB;
	if (len == 0)
		return true;
	if (len % 4 != 0) {
		(void)snprintf(text, sizeof(text),
			"Value can not be converted to a Blob: Base64 encoded length is expected a "
			"multiple of 4 bytes but found: %zu",
			len);
		return wrong_type(fault, text);
	}
	size_t pads = at[len - 1] != '=' ? 0 : at[len - 2] != '=' ? 1 : 2;
	int rc = slk_base64_decode(SLK_BASE64, slk_span(at, len - pads), at, len, &out_len);
	if (rc != SLK_OK || slk_base64_chars(out_len) + pads != len)
		return wrong_type(fault,
			"Value can not be converted to a Blob: Invalid Base64 character or last "
			"non-pad "
			"Base64 character dectected");
	v->text.len = out_len;
	return true;
}

/* Behind a string or key stands its closing quote, or a byte of the arena. */
static void
terminate(struct slk_span text)
{
	((uint8_t *)(uintptr_t)text.ptr)[text.len] = '\0';
}

static bool type_fits(const struct gw_shape *shape, struct gw_value *v, struct gw_fault *fault);

static const struct gw_member *
member_of(const struct gw_shape *shape, struct slk_span name)
{
	for (const struct gw_member *m = shape->members; m->name != NULL; m++)
		if (strlen(m->name) == name.len && memcmp(m->name, name.ptr, name.len) == 0)
			return m;
	return NULL;
}

static bool
children_fit(const struct gw_shape *shape, struct gw_value *in, struct gw_fault *fault)
{
	for (struct gw_value *v = in->first; v != NULL; v = v->next) {
		const struct gw_shape *is = shape->item;
		if (shape->kind == GW_KIND_MAP)
			terminate(v->key);
		if (shape->kind == GW_KIND_STRUCT) {
			const struct gw_member *m = member_of(shape, v->key);
			if (m == NULL)
				continue;
			is = m->shape;
		}
		if (v->type != GW_NULL && !type_fits(is, v, fault))
			return false;
	}
	return true;
}

static bool
type_fits(const struct gw_shape *shape, struct gw_value *v, struct gw_fault *fault)
{
	int64_t n = 0;
	uint64_t ns = 0;

	switch (shape->kind) {
	case GW_KIND_STRING:
		if (v->type != GW_STRING)
			return scalar_fault(v, "a String", fault);
		terminate(v->text);
		return true;
	case GW_KIND_INT:
	case GW_KIND_LONG:
		if (v->type != GW_NUMBER)
			return scalar_fault(
				v, shape->kind == GW_KIND_INT ? "an Integer" : "a Long", fault);
		if (gw_number(v->text, &n) != SLK_OK ||
			(shape->kind == GW_KIND_INT && (n < INT32_MIN || n > INT32_MAX)))
			return wrong_type(fault, "Number is not a whole one, or out of range");
		return true;
	case GW_KIND_BOOL:
		return v->type == GW_BOOL || scalar_fault(v, "a Boolean", fault);
	case GW_KIND_BLOB:
		if (v->type == GW_BLOB)
			return true;
		return v->type == GW_STRING ? decode_blob(v, fault)
					    : scalar_fault(v, "a Blob", fault);
	case GW_KIND_TIME:
		if (v->type != GW_NUMBER)
			return scalar_fault(v, "milliseconds since epoch", fault);
		return gw_seconds(v->text, &ns) == SLK_OK ||
			wrong_type(fault, "Timestamp is out of range");
	case GW_KIND_LIST:
		if (v->type != GW_LIST)
			return wrong_type(fault,
				v->type == GW_MAP
					? "Start of structure or map found where not expected."
					: "Expected list or null");
		return children_fit(shape, v, fault);
	case GW_KIND_MAP:
		if (v->type != GW_MAP)
			return wrong_type(fault,
				v->type == GW_LIST ? "Start of list found where not expected"
						   : "Expected map or null");
		return children_fit(shape, v, fault);
	case GW_KIND_STRUCT:
		if (v->type != GW_MAP)
			return wrong_type(fault,
				v->type == GW_LIST ? "Start of list found where not expected"
						   : "Expected null");
		return children_fit(shape, v, fault);
	}
	return false;
}

/* --- constraints --- */

struct check {
	char items[GW_FAULT_MESSAGE_MAX - 64];
	size_t len;
	unsigned count;
	char path[PATH_MAX_CHARS];
	size_t path_len;
};

static void
append(struct check *c, const char *text, size_t len)
{
	size_t room = sizeof(c->items) - 1 - c->len;

	len = len < room ? len : room;
	memcpy(c->items + c->len, text, len);
	c->len += len;
	c->items[c->len] = '\0';
}

static void
append_text(struct check *c, const char *text)
{
	append(c, text, strlen(text));
}

/* As it came, but for controls, and cut between two characters. */
static void
append_value(struct check *c, struct slk_span text)
{
	size_t len = text.len < VALUE_MAX ? text.len : VALUE_MAX;

	while (len < text.len && len > 0 && (text.ptr[len] & 0xc0) == 0x80)
		len--;
	for (size_t i = 0; i < len; i++)
		append(c, text.ptr[i] >= 0x20 ? (const char *)&text.ptr[i] : "?", 1);
}

/* One item; how: behind "Member must ", or behind "constraint: " if it is whole. */
static void
broken(struct check *c, const struct gw_shape *shape, const struct gw_value *v, const char *how)
{
	if (c->count++ >= FAULTS_MAX)
		return;
	if (c->count > 1)
		append_text(c, "; ");
	if (v == NULL) {
		append_text(c, "Value null");
	} else if (shape->sensitive || shape->kind >= GW_KIND_BLOB) {
		append_text(c, "Value");
	} else {
		append_text(c, "Value '");
		append_value(c, v->text);
		append_text(c, "'");
	}
	append_text(c, " at '");
	append_text(c, c->path);
	append_text(c, "' failed to satisfy constraint: ");
	append_text(c, how);
}

/* Characters, not bytes. */
static size_t
characters(struct slk_span text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += (text.ptr[i] & 0xc0) != 0x80;
	return n;
}

static size_t
push(struct check *c, const char *dot, struct slk_span name, bool lower)
{
	size_t before = c->path_len;

	if (before > 0 && c->path_len + 2 < sizeof(c->path)) {
		memcpy(c->path + c->path_len, dot, strlen(dot) + 1);
		c->path_len += strlen(dot);
	}
	if (c->path_len + name.len < sizeof(c->path) - 32 && name.len > 0) {
		memcpy(c->path + c->path_len, name.ptr, name.len);
		if (lower)
			c->path[c->path_len] = (char)tolower((unsigned char)c->path[c->path_len]);
		c->path_len += name.len;
		c->path[c->path_len] = '\0';
	}
	return before;
}

static void
pop(struct check *c, size_t before)
{
	c->path_len = before;
	c->path[before] = '\0';
}

static void
check_size(struct check *c, const struct gw_shape *shape, const struct gw_value *v, int64_t n)
{
	const char *what =
		shape->kind == GW_KIND_INT || shape->kind == GW_KIND_LONG ? "value" : "length";
	char how[128];

	if (shape->max != GW_ANY && n > shape->max) {
		(void)snprintf(how, sizeof(how), "Member must have %s less than or equal to %lld",
			what, (long long)shape->max);
		broken(c, shape, v, how);
	}
	if (shape->min != GW_ANY && n < shape->min) {
		(void)snprintf(how, sizeof(how),
			"Member must have %s greater than or equal to %lld", what,
			(long long)shape->min);
		broken(c, shape, v, how);
	}
}

static void
check_string(struct check *c, const struct gw_shape *shape, const struct gw_value *v)
{
	const struct gw_pattern *pattern =
		shape->pattern != NULL ? shape->pattern : &gw_pattern_any;
	char how[512];

	if (shape->values != NULL) {
		int n = snprintf(how, sizeof(how), "Member must satisfy enum value set: [");
		for (const char *const *value = shape->values; *value != NULL; value++) {
			if (slk_span_equal(v->text, slk_span_str(*value)))
				return;
			if (n < (int)sizeof(how))
				n += snprintf(how + n, sizeof(how) - (size_t)n, "%s%s",
					value == shape->values ? "" : ", ", *value);
		}
		if (n < (int)sizeof(how))
			(void)snprintf(how + n, sizeof(how) - (size_t)n, "]");
		broken(c, shape, v, how);
		return;
	}
	check_size(c, shape, v, (int64_t)characters(v->text));
	/* An empty string that has to have a length is told once. */
	if (!pattern->fits(v->text) && !(v->text.len == 0 && shape->min > 0)) {
		(void)snprintf(how, sizeof(how),
			"Member must satisfy regular expression pattern: %s", pattern->text);
		broken(c, shape, v, how);
	}
}

static void check_value(struct check *c, const struct gw_shape *shape, const struct gw_value *v);

/* What the items of a list of scalars, the keys or the values of a map have to be. */
static void
check_within(struct check *c, const struct gw_shape *list, const struct gw_value *v,
	const struct gw_shape *shape, struct slk_span text, const char *whose)
{
	int64_t n = (int64_t)characters(text);
	const struct gw_pattern *pattern =
		shape->pattern != NULL ? shape->pattern : &gw_pattern_any;
	char how[256];
	bool in_set = shape->values == NULL;

	for (const char *const *value = shape->values; value != NULL && *value != NULL; value++)
		in_set |= slk_span_equal(text, slk_span_str(*value));
	if (in_set && (shape->max == GW_ANY || n <= shape->max) &&
		(shape->min == GW_ANY || n >= shape->min) && (pattern->fits(text) || n == 0))
		return;
	if (!in_set)
		(void)snprintf(how, sizeof(how),
			"%s must satisfy constraint: [Member must satisfy enum value set]", whose);
	else if (shape->max != GW_ANY && shape->min != GW_ANY)
		(void)snprintf(how, sizeof(how),
			"%s must satisfy constraint: [Member must have length less than or equal "
			"to %lld, "
			"Member must have length greater than or equal to %lld]",
			whose, (long long)shape->max, (long long)shape->min);
	else
		(void)snprintf(how, sizeof(how),
			"%s must satisfy constraint: [Member must satisfy regular expression "
			"pattern: %s]",
			whose, pattern->text);
	broken(c, list, v, how);
}

static void
check_list(struct check *c, const struct gw_shape *shape, const struct gw_value *list)
{
	unsigned i = 0;

	check_size(c, shape, list, list->count);
	for (const struct gw_value *v = list->first; v != NULL && c->count < FAULTS_MAX;
		v = v->next) {
		char index[32], *digit = index + sizeof(index) - sizeof(".member");
		i++;
		if (shape->item->kind == GW_KIND_STRING && v->type != GW_NULL) {
			check_within(c, shape, list, shape->item, v->text, "Member");
			continue;
		}
		memcpy(digit, ".member", sizeof(".member"));
		for (unsigned n = i; n > 0; n /= 10)
			*--digit = (char)('0' + n % 10);
		size_t before = push(c, ".", slk_span_str(digit), false);
		if (v->type == GW_NULL)
			broken(c, shape->item, NULL, "Member must not be null");
		else
			check_value(c, shape->item, v);
		pop(c, before);
	}
}

static void
check_map(struct check *c, const struct gw_shape *shape, const struct gw_value *map)
{
	check_size(c, shape, map, map->count);
	for (const struct gw_value *v = map->first; v != NULL && c->count < FAULTS_MAX;
		v = v->next) {
		check_within(c, shape, map, shape->key, v->key, "Map keys");
		if (v->type == GW_NULL)
			broken(c, shape, map,
				"Map value must satisfy constraint: [Member must not be null]");
		else if (shape->item->kind == GW_KIND_STRING)
			check_within(c, shape, map, shape->item, v->text, "Map value");
	}
}

static void
check_struct(struct check *c, const struct gw_shape *shape, const struct gw_value *map)
{
	for (const struct gw_member *m = shape->members; m->name != NULL && c->count < FAULTS_MAX;
		m++) {
		const struct gw_value *v = gw_get(map, m->name);
		if (v == NULL && !m->required)
			continue;
		size_t before = push(c, ".", slk_span_str(m->name), true);
		if (v == NULL)
			broken(c, m->shape, NULL, "Member must not be null");
		else
			check_value(c, m->shape, v);
		pop(c, before);
	}
}

static void
check_value(struct check *c, const struct gw_shape *shape, const struct gw_value *v)
{
	int64_t n = 0;

	switch (shape->kind) {
	case GW_KIND_STRING:
		check_string(c, shape, v);
		return;
	case GW_KIND_INT:
	case GW_KIND_LONG:
		if (gw_number(v->text, &n) == SLK_OK)
			check_size(c, shape, v, n);
		return;
	case GW_KIND_BLOB:
		check_size(c, shape, v, (int64_t)v->text.len);
		return;
	case GW_KIND_LIST:
		check_list(c, shape, v);
		return;
	case GW_KIND_MAP:
		check_map(c, shape, v);
		return;
	case GW_KIND_STRUCT:
		check_struct(c, shape, v);
		return;
	case GW_KIND_BOOL:
	case GW_KIND_TIME:
		return;
	}
}

bool
gw_bind(const struct gw_shape *shape, struct gw_value *root, struct gw_fault *out_fault)
{
	struct check c = {.len = 0};

	if (!type_fits(shape, root, out_fault))
		return false;
	check_value(&c, shape, root);
	if (c.count == 0)
		return true;
	unsigned count = c.count < FAULTS_MAX ? c.count : FAULTS_MAX;
	return gw_fault_set(out_fault, "ValidationException", "%u validation error%s detected: %s",
		count, count == 1 ? "" : "s", c.items);
}
