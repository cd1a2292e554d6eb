#include "policy/condition.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum type { STRING, STRING_NOCASE, LIKE, ARN, NUMERIC, DATE, BOOLEAN, BINARY, IP, NULL_TEST };
enum relation { EQUAL, LESS, LESS_EQUAL, GREATER, GREATER_EQUAL };
enum quantifier { PLAIN, FOR_ANY, FOR_ALL };

struct pol_operator {
	const char *name;
	enum type type;
	enum relation relation;
	bool negated;
};

static const struct pol_operator operators[] = {
	{"StringEquals", STRING, EQUAL, false},
	{"StringNotEquals", STRING, EQUAL, true},
	{"StringEqualsIgnoreCase", STRING_NOCASE, EQUAL, false},
	{"StringNotEqualsIgnoreCase", STRING_NOCASE, EQUAL, true},
	{"StringLike", LIKE, EQUAL, false},
	{"StringNotLike", LIKE, EQUAL, true},
	{"ArnEquals", ARN, EQUAL, false},
	{"ArnLike", ARN, EQUAL, false},
	{"ArnNotEquals", ARN, EQUAL, true},
	{"ArnNotLike", ARN, EQUAL, true},
	{"NumericEquals", NUMERIC, EQUAL, false},
	{"NumericNotEquals", NUMERIC, EQUAL, true},
	{"NumericLessThan", NUMERIC, LESS, false},
	{"NumericLessThanEquals", NUMERIC, LESS_EQUAL, false},
	{"NumericGreaterThan", NUMERIC, GREATER, false},
	{"NumericGreaterThanEquals", NUMERIC, GREATER_EQUAL, false},
	{"DateEquals", DATE, EQUAL, false},
	{"DateNotEquals", DATE, EQUAL, true},
	{"DateLessThan", DATE, LESS, false},
	{"DateLessThanEquals", DATE, LESS_EQUAL, false},
	{"DateGreaterThan", DATE, GREATER, false},
	{"DateGreaterThanEquals", DATE, GREATER_EQUAL, false},
	{"Bool", BOOLEAN, EQUAL, false},
	{"BinaryEquals", BINARY, EQUAL, false},
	{"IpAddress", IP, EQUAL, false},
	{"NotIpAddress", IP, EQUAL, true},
	{"Null", NULL_TEST, EQUAL, false},
};

struct address {
	uint8_t bytes[16];
	unsigned bits; /* 32 or 128 of an address; the prefix of a network */
	bool v6;
};

union want { /* one value of the policy, by the operator's type */
	struct pol_pattern pattern; /* strings and ARNs */
	double number; /* numbers, and dates as seconds since 1970 */
	bool boolean; /* also of Null */
	struct address network;
};

struct pol_condition {
	struct pol_condition *next;
	const struct pol_operator *op;
	enum type type; /* as op has them, near at hand */
	bool negated;
	bool if_exists;
	enum quantifier quantifier;
	const char *written; /* the operator as the document has it */
	struct pol_key key;
	union want *wants;
	size_t wants_count;
};

/* --- values of each type --- */

static bool
parse_number(const char *text, double *out)
{
	char *end;

	/* strtod takes more than a number is: hexadecimal, inf, nan, leading space. */
	if (*text == '\0' || strspn(text, "+-.0123456789eE") != strlen(text))
		return false;
	*out = strtod(text, &end);
	return *end == '\0';
}

static bool
digits(const char **text, unsigned count, int *out)
{
	int value = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!isdigit((unsigned char)(*text)[i]))
			return false;
		value = value * 10 + ((*text)[i] - '0');
	}
	*text += count;
	*out = value;
	return true;
}

static bool
literal(const char **text, char byte)
{
	if (**text != byte)
		return false;
	++*text;
	return true;
}

static bool
parse_zone(const char **text, int *out_offset_s)
{
	int hours, minutes, sign = **text == '-' ? -1 : 1;

	*out_offset_s = 0;
	if (literal(text, 'Z'))
		return true;
	if (**text != '+' && **text != '-')
		return false;
	++*text;
	if (!digits(text, 2, &hours) || !literal(text, ':') || !digits(text, 2, &minutes) ||
		hours > 23 || minutes > 59)
		return false;
	*out_offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

/* hh:mm, then :ss and a fraction if they are there, then the zone (ISO 8601). */
static bool
parse_clock(const char **text, struct tm *tm, double *fraction, int *offset_s)
{
	if (!digits(text, 2, &tm->tm_hour) || !literal(text, ':') ||
		!digits(text, 2, &tm->tm_min) || tm->tm_hour > 23 || tm->tm_min > 59)
		return false;
	if (literal(text, ':')) {
		if (!digits(text, 2, &tm->tm_sec) || tm->tm_sec > 60)
			return false;
		if (**text == '.') {
			char *end;
			if (!isdigit((unsigned char)(*text)[1]))
				return false;
			*fraction = strtod(*text, &end);
			if (*fraction >= 1) /* an exponent */
				return false;
			*text = end;
		}
	}
	return parse_zone(text, offset_s);
}

/* YYYY-MM-DD, with Thh:mm[:ss[.f]]zone or without, or seconds since 1970. */
static bool
parse_date(const char *text, double *out)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	struct tm tm = {0};
	double fraction = 0;
	int offset_s = 0;

	if (strchr(text, '-') == NULL || text[0] == '-')
		return parse_number(text, out);
	if (!digits(&text, 4, &tm.tm_year) || !literal(&text, '-') ||
		!digits(&text, 2, &tm.tm_mon) || !literal(&text, '-') ||
		!digits(&text, 2, &tm.tm_mday))
		return false;
	if (*text == 'T' && (++text, !parse_clock(&text, &tm, &fraction, &offset_s)))
		return false;
	bool leap = (tm.tm_year % 4 == 0 && tm.tm_year % 100 != 0) || tm.tm_year % 400 == 0;
	if (*text != '\0' || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
		tm.tm_mday > days[tm.tm_mon - 1] + (tm.tm_mon == 2 && leap))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*out = (double)timegm(&tm) + fraction - offset_s;
	return true;
}

static bool
parse_boolean(const char *text, bool *out)
{
	*out = strcasecmp(text, "true") == 0;
	return *out || strcasecmp(text, "false") == 0;
}

/* An address, or with network a CIDR block. IPv4 mapped into IPv6 is the IPv4 address. */
static bool
parse_address(const char *text, bool network, struct address *out)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	char copy[INET6_ADDRSTRLEN];
	size_t len = strcspn(text, "/");

	memset(out, 0, sizeof(*out));
	if (len >= sizeof(copy) || (text[len] == '/' && !network))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	out->v6 = strchr(copy, ':') != NULL;
	if (inet_pton(out->v6 ? AF_INET6 : AF_INET, copy, out->bytes) != 1)
		return false;
	out->bits = out->v6 ? 128 : 32;
	if (!network && out->v6 && memcmp(out->bytes, mapped, sizeof(mapped)) == 0) {
		memmove(out->bytes, out->bytes + 12, 4);
		out->v6 = false;
		out->bits = 32;
	}
	if (text[len] == '\0')
		return true;
	char *end;
	if (!isdigit((unsigned char)text[len + 1]))
		return false;
	unsigned long bits = strtoul(text + len + 1, &end, 10);
	if (*end != '\0' || bits > out->bits)
		return false;
	out->bits = (unsigned)bits;
	return true;
}

static bool
address_in(const struct address *network, const struct address *address)
{
	unsigned whole = network->bits / 8, rest = network->bits % 8;

	if (network->v6 != address->v6 || memcmp(network->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || ((network->bytes[whole] ^ address->bytes[whole]) >> (8 - rest)) == 0;
}

/* --- compiling --- */

__attribute__((format(printf, 3, 4))) static int
refuse(struct pol_json_error *err, size_t offset, const char *fmt, ...)
{
	va_list args;

	err->offset = offset;
	va_start(args, fmt);
	(void)vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	return SLK_MALFORMED;
}

static int
no_room(struct pol_json_error *err, size_t offset)
{
	(void)refuse(err, offset, "%s", "the document needs more memory than a policy may");
	return SLK_LIMIT;
}

static bool
cut_prefix(const char **name, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*name, prefix, len) != 0)
		return false;
	*name += len;
	return true;
}

/* "ForAnyValue:StringLikeIfExists" in its parts. */
static int
parse_operator(const struct pol_json *node, struct pol_condition *out, struct pol_json_error *err)
{
	static const char suffix[] = "IfExists";
	const char *name = (const char *)node->key.ptr;

	out->written = name;
	if (cut_prefix(&name, "ForAnyValue:"))
		out->quantifier = FOR_ANY;
	else if (cut_prefix(&name, "ForAllValues:"))
		out->quantifier = FOR_ALL;
	size_t len = strlen(name);
	if (len > sizeof(suffix) - 1 && strcmp(name + len - (sizeof(suffix) - 1), suffix) == 0) {
		out->if_exists = true;
		len -= sizeof(suffix) - 1;
	}
	for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++)
		if (strlen(operators[i].name) == len && strncmp(operators[i].name, name, len) == 0)
			out->op = &operators[i];
	if (out->op == NULL)
		return refuse(
			err, node->offset, "there is no condition operator '%.80s'", out->written);
	out->type = out->op->type;
	out->negated = out->op->negated;
	if (out->type == NULL_TEST && (out->if_exists || out->quantifier != PLAIN))
		return refuse(err, node->offset,
			"'%.80s': Null takes no IfExists and no For...:", out->written);
	return SLK_OK;
}

static int
compile_pattern(struct pol_arena *arena, const struct pol_condition *condition,
	const struct pol_json *node, bool variables, union want *out, struct pol_json_error *err)
{
	enum type type = condition->type;
	unsigned flags = variables ? POL_PATTERN_VARIABLES : 0;
	const char *reason;

	if (type == STRING || type == STRING_NOCASE)
		flags |= POL_PATTERN_LITERAL;
	if (type == BINARY)
		flags = POL_PATTERN_LITERAL;
	if (type == STRING_NOCASE)
		flags |= POL_PATTERN_FOLD;
	int rc = pol_pattern_compile(arena, node->text, flags, &out->pattern, &reason);
	if (rc == SLK_TOO_LARGE)
		return refuse(err, node->offset, "%s", "a value longer than 2,048 bytes");
	if (rc == SLK_LIMIT)
		return no_room(err, node->offset);
	return rc == SLK_OK ? SLK_OK : refuse(err, node->offset, "%s", reason);
}

static int
compile_want(struct pol_arena *arena, const struct pol_condition *condition,
	const struct pol_json *node, bool variables, union want *out, struct pol_json_error *err)
{
	const char *text = (const char *)node->text.ptr;

	if (node->type != POL_JSON_STRING && node->type != POL_JSON_NUMBER &&
		node->type != POL_JSON_BOOL)
		return refuse(err, node->offset, "%s",
			"the value of a condition is a string, a number or a boolean");
	switch (condition->type) {
	case STRING:
	case STRING_NOCASE:
	case LIKE:
	case ARN:
	case BINARY:
		return compile_pattern(arena, condition, node, variables, out, err);
	case NUMERIC:
		return parse_number(text, &out->number)
			? SLK_OK
			: refuse(err, node->offset, "'%.80s' is not a number", text);
	case DATE:
		return parse_date(text, &out->number)
			? SLK_OK
			: refuse(err, node->offset,
				  "'%.80s' is not a date like 2026-11-24T10:00:00Z", text);
	case BOOLEAN:
	case NULL_TEST:
		return parse_boolean(text, &out->boolean)
			? SLK_OK
			: refuse(err, node->offset, "'%.80s' is neither true nor false", text);
	case IP:
		break;
	}
	return parse_address(text, true, &out->network)
		? SLK_OK
		: refuse(err, node->offset, "'%.80s' is not an address or a CIDR block", text);
}

static int
compile_key(struct pol_arena *arena, const struct pol_json *node, bool variables,
	struct pol_condition *out, struct pol_json_error *err)
{
	bool is_list = node->type == POL_JSON_ARRAY;
	const struct pol_json *value = is_list ? node->first : node;

	out->key = pol_key((const char *)node->key.ptr);
	if (node->key.len == 0)
		return refuse(err, node->offset, "%s", "a condition needs a key");
	out->wants_count = is_list ? node->count : 1;
	if (out->wants_count == 0)
		return refuse(err, node->offset, "'%.80s' has no value to be compared with",
			out->key.name);
	out->wants = pol_arena_take(arena, out->wants_count * sizeof(*out->wants));
	if (out->wants == NULL)
		return no_room(err, node->offset);
	for (size_t i = 0; i < out->wants_count; i++, value = value->next) {
		int rc = compile_want(arena, out, value, variables, &out->wants[i], err);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

int
pol_conditions_compile(struct pol_arena *arena, const struct pol_json *operator_node,
	bool variables, struct pol_condition ***tail, struct pol_json_error *out_error)
{
	struct pol_condition head = {0};

	int rc = parse_operator(operator_node, &head, out_error);
	if (rc != SLK_OK)
		return rc;
	if (operator_node->type != POL_JSON_OBJECT || operator_node->count == 0)
		return refuse(out_error, operator_node->offset,
			"'%.80s' takes an object of condition keys", head.written);
	for (const struct pol_json *m = operator_node->first; m != NULL; m = m->next) {
		struct pol_condition *condition = pol_arena_take(arena, sizeof(*condition));
		if (condition == NULL)
			return no_room(out_error, m->offset);
		*condition = head;
		rc = compile_key(arena, m, variables, condition, out_error);
		if (rc != SLK_OK)
			return rc;
		**tail = condition;
		*tail = &condition->next;
	}
	return SLK_OK;
}

/* --- evaluating --- */

static bool
relate(enum relation relation, double value, double want)
{
	switch (relation) {
	case EQUAL:
		return value == want;
	case LESS:
		return value < want;
	case LESS_EQUAL:
		return value <= want;
	case GREATER:
		return value > want;
	case GREATER_EQUAL:
		return value >= want;
	}
	return false;
}

/* One part of an ARN: up to the next colon, or for the last part all that is left. */
static size_t
part_len(const char *text, size_t len, unsigned part)
{
	const char *colon = part < 5 ? memchr(text, ':', len) : NULL;

	return part < 5 ? (colon != NULL ? (size_t)(colon - text) : SIZE_MAX) : len;
}

static bool
arn_fits(const char *pattern, size_t pattern_len, const char *text, size_t len)
{
	if (pattern_len == 1 && pattern[0] == POL_MARK_STAR)
		return true;
	for (unsigned part = 0; part < 6; part++) {
		size_t want = part_len(pattern, pattern_len, part);
		size_t have = part_len(text, len, part);
		if (want == SIZE_MAX || have == SIZE_MAX || !pol_glob(pattern, want, text, have))
			return false;
		if (part == 5)
			break;
		pattern += want + 1;
		pattern_len -= want + 1;
		text += have + 1;
		len -= have + 1;
	}
	return true;
}

/* What is compared: the query, and what a variable without a value does: fit nothing, or everything. */
struct trial {
	const struct pol_query *query;
	bool unfilled;
};

/* Apart, so that only patterns with variables pay for the room. */
static __attribute__((noinline)) bool
filled_fits(enum type type, const struct pol_pattern *pattern, const struct trial *t,
	const char *text, size_t len)
{
	char filled[POL_PATTERN_MAX];
	const char *bytes;
	size_t bytes_len;

	if (!pol_pattern_fill(pattern, pol_query_single, t->query, filled, &bytes, &bytes_len))
		return t->unfilled;
	if (type == ARN)
		return arn_fits(bytes, bytes_len, text, len);
	if (type == STRING_NOCASE)
		return bytes_len == len && strncasecmp(bytes, text, len) == 0;
	return pol_glob(bytes, bytes_len, text, len);
}

static bool
text_fits(enum type type, const struct pol_pattern *pattern, const struct trial *t,
	const char *text, size_t len)
{
	if (pattern->kind == POL_PATTERN_VARIABLE)
		return filled_fits(type, pattern, t, text, len);
	if (type == ARN)
		return arn_fits(pattern->bytes, pattern->len, text, len);
	if (type == STRING_NOCASE)
		return pattern->len == len && strncasecmp(pattern->bytes, text, len) == 0;
	return pol_pattern_match(pattern, text, len);
}

static bool
value_fits(const struct pol_condition *c, const union want *want, const struct trial *t,
	const char *text)
{
	struct address address;
	double number;
	bool boolean;

	switch (c->type) {
	case NUMERIC:
		return parse_number(text, &number) && relate(c->op->relation, number, want->number);
	case DATE:
		return parse_date(text, &number) && relate(c->op->relation, number, want->number);
	case BOOLEAN:
		return parse_boolean(text, &boolean) && boolean == want->boolean;
	case IP:
		return parse_address(text, false, &address) && address_in(&want->network, &address);
	default:
		return text_fits(c->type, &want->pattern, t, text, strlen(text));
	}
}

static bool
fits_any(const struct pol_condition *c, const struct trial *t, const char *text)
{
	for (size_t i = 0; i < c->wants_count; i++)
		if (value_fits(c, &c->wants[i], t, text))
			return true;
	return false;
}

/* A key without values is as good as absent here: what guards a ForAllValues: against an empty set is a Null. */
static bool
null_holds(const struct pol_condition *c, const struct pol_query *query)
{
	size_t at = 0;

	while ((at = pol_query_find(query, &c->key, at)) < query->values_count &&
		query->values[at].count == 0)
		at++;
	bool absent = at == query->values_count;
	for (size_t i = 0; i < c->wants_count; i++)
		if (c->wants[i].boolean == absent)
			return true;
	return false;
}

/* One value of the request settles the condition, or leaves it to the others. */
static bool
settles(const struct pol_condition *c, bool fits, bool *out_holds)
{
	bool negated = c->negated;

	switch (c->quantifier) {
	case FOR_ANY:
		*out_holds = true;
		return fits != negated;
	case FOR_ALL:
		*out_holds = false;
		return fits == negated;
	case PLAIN:
		break;
	}
	*out_holds = !negated;
	return fits;
}

/* See the tables in the header. */
static bool
holds(const struct pol_condition *c, const struct pol_query *query, bool deny)
{
	const struct trial t = {query, c->negated && !deny};
	size_t at = pol_query_find(query, &c->key, 0);
	bool settled;

	if (c->type == NULL_TEST)
		return null_holds(c, query);
	if (at == query->values_count)
		return c->if_exists || c->quantifier == FOR_ALL ||
			(c->negated && c->quantifier == PLAIN);
	for (; at < query->values_count; at = pol_query_find(query, &c->key, at + 1)) {
		const struct pol_value *v = &query->values[at];
		for (size_t i = 0; i < v->count; i++)
			if (settles(c, fits_any(c, &t, v->values[i]), &settled))
				return settled;
	}
	return c->quantifier == FOR_ALL || (c->quantifier == PLAIN && c->negated);
}

bool
pol_conditions_hold(const struct pol_condition *list, const struct pol_query *query, bool deny,
	const struct pol_condition **out_failed)
{
	for (const struct pol_condition *c = list; c != NULL; c = c->next) {
		if (holds(c, query, deny))
			continue;
		if (out_failed != NULL)
			*out_failed = c;
		return false;
	}
	return true;
}

const char *
pol_condition_operator(const struct pol_condition *condition)
{
	return condition->written;
}

const char *
pol_condition_key(const struct pol_condition *condition)
{
	return condition->key.name;
}
