#include "base/bytes.h"

#include <isa-l/crc.h>

void
slk_hex(struct slk_span in, char *out, size_t out_cap)
{
	static const char digits[] = "0123456789abcdef";

	if (out_cap < 2 * in.len + 1) {
		if (out_cap > 0)
			out[0] = '\0';
		return;
	}
	for (size_t i = 0; i < in.len; i++) {
		out[2 * i] = digits[in.ptr[i] >> 4];
		out[2 * i + 1] = digits[in.ptr[i] & 15];
	}
	out[2 * in.len] = '\0';
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
slk_unhex(const char *text, uint8_t *out, size_t len)
{
	if (strlen(text) != 2 * len)
		return SLK_MALFORMED;
	for (size_t i = 0; i < 2 * len; i++) {
		if (hex_value(text[i]) < 0)
			return SLK_MALFORMED;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (uint8_t)((unsigned)hex_value(text[2 * i]) << 4 |
			(unsigned)hex_value(text[2 * i + 1]));
	return SLK_OK;
}

/* What one byte adds to the register, reflected polynomial; its top byte says which one it was. */
static uint32_t
crc32c_row(uint32_t index)
{
	for (unsigned bit = 0; bit < 8; bit++)
		index = index >> 1 ^ (0x82f63b78u & (0u - (index & 1)));
	return index;
}

uint32_t
slk_crc32c_unwind(uint32_t crc, const void *in, size_t len)
{
	const uint8_t *bytes = in;
	uint32_t rows[256];
	uint8_t by_top[256];

	for (uint32_t i = 0; i < 256; i++) {
		rows[i] = crc32c_row(i);
		by_top[rows[i] >> 24] = (uint8_t)i;
	}
	crc = ~crc;
	while (len-- > 0) {
		uint32_t index = by_top[crc >> 24];
		crc = (crc ^ rows[index]) << 8 | (index ^ bytes[len]);
	}
	return ~crc;
}

uint32_t
slk_crc32c(uint32_t crc, const void *in, size_t len)
{
	/* ISA-L neither presets nor inverts, takes its length as an int, and does not write to the
	 * buffer. */
	uint8_t *ptr = (uint8_t *)(uintptr_t)in;

	crc = ~crc;
	while (len > 0) {
		int part = len > (1 << 30) ? 1 << 30 : (int)len;
		crc = crc32_iscsi(ptr, part, crc);
		ptr += part;
		len -= (size_t)part;
	}
	return ~crc;
}
