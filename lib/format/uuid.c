#include "format/uuid.h"

#include <stddef.h>
#include <string.h>

#include "base/bytes.h"
#include "base/secret.h"

/* Bytes before each dash. */
static const uint8_t groups[] = {4, 2, 2, 2, 6};

void
fmt_uuid_mark(uint8_t random[FMT_UUID_BYTES])
{
	random[6] = (uint8_t)(0x40 | (random[6] & 0x0f));
	random[8] = (uint8_t)(0x80 | (random[8] & 0x3f));
}

int
fmt_uuid_new(uint8_t out_uuid[FMT_UUID_BYTES])
{
	uint8_t id[FMT_UUID_BYTES];
	int rc = slk_random(id, sizeof(id));

	if (rc != SLK_OK)
		return rc;
	fmt_uuid_mark(id);
	memcpy(out_uuid, id, sizeof(id));
	return SLK_OK;
}

void
fmt_uuid_print(const uint8_t uuid[FMT_UUID_BYTES], char out_text[FMT_UUID_TEXT])
{
	size_t at = 0, from = 0;

	for (size_t g = 0; g < sizeof(groups); g++) {
		if (g > 0)
			out_text[at++] = '-';
		slk_hex(slk_span(uuid + from, groups[g]), out_text + at, FMT_UUID_TEXT - at);
		at += 2u * groups[g];
		from += groups[g];
	}
}

int
fmt_uuid_parse(const char *text, uint8_t out_uuid[FMT_UUID_BYTES])
{
	char digits[2 * FMT_UUID_BYTES + 1];
	size_t at = 0, from = 0;

	if (strlen(text) != FMT_UUID_TEXT - 1)
		return SLK_MALFORMED;
	for (size_t g = 0; g < sizeof(groups); g++) {
		if (g > 0 && text[at++] != '-')
			return SLK_MALFORMED;
		memcpy(digits + from, text + at, 2u * groups[g]);
		at += 2u * groups[g];
		from += 2u * groups[g];
	}
	digits[from] = '\0';
	return slk_unhex(digits, out_uuid, FMT_UUID_BYTES);
}
