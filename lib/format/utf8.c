#include "format/utf8.h"

/* Length of the sequence that starts with lead, 0 if none may; *out_low and *out_high bound its
 * second byte (RFC 3629, 4: the table of UTF8-octets). */
static size_t
sequence(uint8_t lead, uint8_t *out_low, uint8_t *out_high)
{
	*out_low = 0x80;
	*out_high = 0xbf;
	if (lead >= 0xc2 && lead <= 0xdf)
		return 2;
	if (lead >= 0xe0 && lead <= 0xef) {
		if (lead == 0xe0)
			*out_low = 0xa0; /* no overlong form */
		if (lead == 0xed)
			*out_high = 0x9f; /* no surrogate */
		return 3;
	}
	if (lead >= 0xf0 && lead <= 0xf4) {
		if (lead == 0xf0)
			*out_low = 0x90;
		if (lead == 0xf4)
			*out_high = 0x8f; /* up to U+10FFFF */
		return 4;
	}
	return 0;
}

bool
fmt_utf8_is_text(struct slk_span in)
{
	size_t i = 0;

	while (i < in.len) {
		uint8_t low, high;
		if (in.ptr[i] < 0x80) {
			if (in.ptr[i++] == 0)
				return false;
			continue;
		}
		size_t len = sequence(in.ptr[i], &low, &high);
		if (len == 0 || len > in.len - i || in.ptr[i + 1] < low || in.ptr[i + 1] > high)
			return false;
		for (size_t k = 2; k < len; k++)
			if ((in.ptr[i + k] & 0xc0) != 0x80)
				return false;
		i += len;
	}
	return true;
}
