/* Patterns of the service models, as functions. */
#include <ctype.h>
#include <string.h>

#include "aws/shape.h"

static bool
all_of(struct slk_span text, const char *more, bool letters)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];
		bool letter =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
		if (!(letters && letter) && (c == 0 || strchr(more, c) == NULL))
			return false;
	}
	return true;
}

static bool
is_stream_name(struct slk_span t)
{
	return t.len > 0 && all_of(t, "_.-", true);
}

static bool
is_alias(struct slk_span t)
{
	return t.len > 0 && all_of(t, ":/_-", true);
}

static bool
is_word(struct slk_span t)
{
	return t.len > 0 && all_of(t, "_", true);
}

static bool
is_principal(struct slk_span t)
{
	return t.len > 0 && all_of(t, "_+-=,.@:/", true);
}

static bool
is_integer(struct slk_span t, size_t max_digits)
{
	return t.len >= 1 && t.len <= max_digits && all_of(t, "0123456789", false) &&
		(t.len == 1 || t.ptr[0] != '0');
}

static bool
is_hash_key(struct slk_span t)
{
	return is_integer(t, 39);
}

static bool
is_sequence(struct slk_span t)
{
	return is_integer(t, 129);
}

/* arn:aws.*:kinesis:.*:\d{12}:stream/\S+ */
static bool
is_stream_arn(struct slk_span t)
{
	const char *p = (const char *)t.ptr, *end = p + t.len;

	if (t.len < 7 || memcmp(p, "arn:aws", 7) != 0 || memchr(p, '\0', t.len) != NULL)
		return false;
	const char *service = memmem(p, t.len, ":kinesis:", 9);
	if (service == NULL)
		return false;
	const char *stream = memmem(service, (size_t)(end - service), ":stream/", 8);
	if (stream == NULL || stream - service < 9 + 13 || stream + 8 == end)
		return false;
	if (!all_of(slk_span(stream - 12, 12), "0123456789", false) || stream[-13] != ':')
		return false;
	for (p = stream + 8; p < end; p++)
		if (isspace((unsigned char)*p))
			return false;
	return true;
}

/* U+0020 to U+00FF, in UTF-8; and what else is allowed below. */
static bool
is_in_latin(struct slk_span t, const char *controls)
{
	for (size_t i = 0; i < t.len; i++) {
		uint8_t c = t.ptr[i];
		if (c >= 0xc2 && c <= 0xc3 && i + 1 < t.len)
			i++;
		else if (c > 0x7f || (c < 0x20 && (c == 0 || strchr(controls, c) == NULL)))
			return false;
	}
	return true;
}

static bool
is_latin(struct slk_span t)
{
	return is_in_latin(t, "");
}

static bool
is_policy(struct slk_span t)
{
	return t.len > 0 && is_in_latin(t, "\t\n\r");
}

/* Letters, separators, digits and _ . : / = + - @ %: of what is not ASCII all but controls, for Unicode's classes are the client's
 * to know. */
static bool
is_tag_text(struct slk_span t)
{
	for (size_t i = 0; i < t.len; i++) {
		uint8_t c = t.ptr[i];
		bool control = c == 0xc2 && i + 1 < t.len && t.ptr[i + 1] < 0xa0;
		if (control || (c < 0x80 && !all_of(slk_span(&c, 1), " _.:/=+-@%", true)))
			return false;
	}
	return true;
}

static bool
is_tag_key(struct slk_span t)
{
	return is_tag_text(t) && (t.len < 4 || memcmp(t.ptr, "aws:", 4) != 0);
}

static bool
is_arn(struct slk_span t)
{
	return t.len >= 4 && memcmp(t.ptr, "arn:", 4) == 0;
}

static bool
is_digits(struct slk_span t)
{
	return t.len > 0 && all_of(t, "0123456789", false);
}

static bool
is_destination_id(struct slk_span t)
{
	return t.len > 0 && all_of(t, "-", true);
}

static bool
is_anything(struct slk_span t)
{
	return t.len == 0 || memchr(t.ptr, '\0', t.len) == NULL;
}

const struct gw_pattern gw_pattern_stream_name = {"[a-zA-Z0-9_.-]+", is_stream_name},
			gw_pattern_shard_id = {"[a-zA-Z0-9_.-]+", is_stream_name},
			gw_pattern_stream_arn = {"arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+",
				is_stream_arn},
			gw_pattern_hash_key = {"0|([1-9]\\d{0,38})", is_hash_key},
			gw_pattern_sequence = {"0|([1-9]\\d{0,128})", is_sequence},
			gw_pattern_alias = {"^[a-zA-Z0-9:/_-]+$", is_alias},
			gw_pattern_word = {"[\\w]+", is_word},
			gw_pattern_latin = {"[\\u0020-\\u00FF]*", is_latin},
			gw_pattern_policy = {"[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", is_policy},
			gw_pattern_principal = {"^[\\w+-=,.@:/]+$", is_principal},
			gw_pattern_tag_key = {"^(?!aws:)[\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@%]*$",
				is_tag_key},
			gw_pattern_tag_value = {"^[\\p{L}\\p{Z}\\p{N}_.:\\/=+\\-@%]*$",
				is_tag_text},
			gw_pattern_arn = {"arn:.*", is_arn},
			gw_pattern_digits = {"[0-9]+", is_digits},
			gw_pattern_destination_id = {"[a-zA-Z0-9-]+", is_destination_id},
			gw_pattern_any = {"[\\u0001-\\uFFFF]*", is_anything};
