#include "http_headers.h"

#include <stdio.h>

#include "base/bytes.h"
#include "format/utf8.h"

#define ATTRIBUTES_MAX (64u << 10)

/* --- JSON as ASCII --- */

static void
put_char(struct slk_writer *w, uint32_t point)
{
	char text[16];

	if (point == '"' || point == '\\')
		snprintf(text, sizeof(text), "\\%c", (char)point);
	else if (point >= 0x20 && point < 0x7f)
		snprintf(text, sizeof(text), "%c", (char)point);
	else if (point < 0x10000)
		snprintf(text, sizeof(text), "\\u%04x", point);
	else
		snprintf(text, sizeof(text), "\\u%04x\\u%04x", 0xd800 + ((point - 0x10000) >> 10),
			0xdc00 + ((point - 0x10000) & 0x3ff));
	slk_write_bytes(w, text, strlen(text));
	slk_wipe(text, sizeof(text));
}

/* One character of sound UTF-8. */
static uint32_t
next_point(const uint8_t **at)
{
	uint32_t c = *(*at)++;
	unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	uint32_t point = more == 0 ? c : c & (0x3fu >> more);

	for (; more > 0; more--)
		point = point << 6 | (*(*at)++ & 0x3fu);
	return point;
}

static int
put_string(struct slk_writer *w, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	if (!fmt_utf8_is_text(slk_span_str(text)))
		return SLK_INVALID;
	slk_write_u8(w, '"');
	while (*at != '\0')
		put_char(w, next_point(&at));
	slk_write_u8(w, '"');
	return SLK_OK;
}

static int
put_attributes(const struct dlv_http *http, struct slk_writer *w)
{
	static const char head[] = "{\"commonAttributes\":{";

	slk_write_bytes(w, head, sizeof(head) - 1);
	for (size_t i = 0; i < http->attributes_count; i++) {
		if (i > 0)
			slk_write_u8(w, ',');
		int rc = put_string(w, http->attributes[i].name);
		slk_write_u8(w, ':');
		if (rc == SLK_OK)
			rc = put_string(w, http->attributes[i].value);
		if (rc != SLK_OK)
			return rc;
	}
	slk_write_bytes(w, "}}", sizeof("}}"));
	return w->status;
}

int
http_attributes(const struct dlv_http *http, struct slk_secret **out_value, struct slk_error *err)
{
	struct slk_secret *value = NULL;

	if (http->attributes_count == 0) {
		*out_value = NULL;
		return SLK_OK;
	}
	if (slk_secret_new(ATTRIBUTES_MAX, &value) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the common attributes");
	struct slk_writer w = slk_writer(slk_secret_bytes(value), ATTRIBUTES_MAX);
	int rc = put_attributes(http, &w);
	if (rc != SLK_OK) {
		slk_secret_free(value);
		return slk_fail(err, SLK_CONFIG,
			rc == SLK_FULL ? "the common attributes are longer than 64 KiB"
				       : "a common attribute is no text in UTF-8");
	}
	*out_value = value;
	return SLK_OK;
}

/* --- access key --- */

int
http_access_key(const struct dlv_http *http, struct slk_secret **out_value, struct slk_error *err)
{
	struct slk_secret *value = NULL;

	if (http->access_key == NULL) {
		*out_value = NULL;
		return SLK_OK;
	}
	size_t len = slk_secret_len(http->access_key);
	if (slk_secret_new(len + 1, &value) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the access key");
	uint8_t *bytes = slk_secret_bytes(value);
	memcpy(bytes, slk_secret_peek(http->access_key), len);
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] < ' ' || bytes[i] > '~') {
			slk_secret_free(value);
			return slk_fail(err, SLK_CONFIG,
				"the access key has a character that no header may have");
		}
	}
	*out_value = value;
	return SLK_OK;
}
