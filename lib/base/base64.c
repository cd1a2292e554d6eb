#include "base/base64.h"

/* All ones if a > b, otherwise zero; both below 2^31. */
static uint32_t
above(uint32_t a, uint32_t b)
{
	return 0u - ((b - a) >> 31);
}

static uint32_t
same(uint32_t a, uint32_t b)
{
	return ~(above(a, b) | above(b, a));
}

static uint32_t
within(uint32_t c, char low, char high)
{
	return ~(above((uint32_t)low, c) | above(c, (uint32_t)high));
}

static uint32_t
last_but_one(enum slk_base64 alphabet)
{
	return alphabet == SLK_BASE64_URL ? '-' : '+';
}

static uint32_t
last(enum slk_base64 alphabet)
{
	return alphabet == SLK_BASE64_URL ? '_' : '/';
}

static char
to_digit(enum slk_base64 alphabet, uint32_t v)
{
	uint32_t c = (~above(v, 25) & (v + 'A')) | (above(v, 25) & ~above(v, 51) & (v - 26 + 'a')) |
		(above(v, 51) & ~above(v, 61) & (v - 52 + '0')) |
		(same(v, 62) & last_but_one(alphabet)) | (same(v, 63) & last(alphabet));

	return (char)c;
}

/* *bad gets bits if c is no digit. */
static uint32_t
from_digit(enum slk_base64 alphabet, uint8_t byte, uint32_t *bad)
{
	uint32_t c = byte, upper = within(c, 'A', 'Z'), lower = within(c, 'a', 'z'),
		 digit = within(c, '0', '9'), minus = same(c, last_but_one(alphabet)),
		 end = same(c, last(alphabet));

	*bad |= ~(upper | lower | digit | minus | end);
	return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
		(minus & 62) | (end & 63);
}

int
slk_base64_encode(enum slk_base64 alphabet, struct slk_span in, char *out, size_t cap)
{
	uint32_t bits = 0, count = 0;
	size_t len = 0;

	if (slk_base64_chars(in.len) >= cap)
		return SLK_FULL;
	for (size_t i = 0; i < in.len; i++) {
		bits = bits << 8 | in.ptr[i];
		for (count += 8; count >= 6; count -= 6)
			out[len++] = to_digit(alphabet, bits >> (count - 6) & 63);
	}
	if (count > 0)
		out[len++] = to_digit(alphabet, bits << (6 - count) & 63);
	out[len] = '\0';
	return SLK_OK;
}

int
slk_base64_decode(
	enum slk_base64 alphabet, struct slk_span text, uint8_t *out, size_t cap, size_t *out_len)
{
	uint32_t bits = 0, count = 0, bad = 0;
	size_t len = 0;

	if (text.len % 4 == 1)
		return SLK_MALFORMED;
	if (text.len / 4 * 3 + text.len % 4 * 3 / 4 > cap)
		return SLK_FULL;
	for (size_t i = 0; i < text.len; i++) {
		bits = bits << 6 | from_digit(alphabet, text.ptr[i], &bad);
		count += 6;
		if (count >= 8) {
			count -= 8;
			out[len++] = (uint8_t)(bits >> count);
		}
	}
	if (bad != 0 || (bits & ((1u << count) - 1)) != 0)
		return SLK_MALFORMED;
	*out_len = len;
	return SLK_OK;
}
