#include "aws/sequence.h"

#include <stdio.h>
#include <string.h>

#define HEX_DIGITS 47u
#define LIMBS 6u /* of 32 bits, the lowest first: 192 bits */
#define MASK_36 0xfffffffffull

/* number = number * factor + add; false: it does not fit. */
static bool
multiply(uint32_t number[LIMBS], uint32_t factor, uint32_t add)
{
	uint64_t carry = add;

	for (unsigned i = 0; i < LIMBS; i++) {
		carry += (uint64_t)number[i] * factor;
		number[i] = (uint32_t)carry;
		carry >>= 32;
	}
	return carry == 0;
}

static uint32_t
divide(uint32_t number[LIMBS], uint32_t by)
{
	uint64_t rest = 0;

	for (unsigned i = LIMBS; i-- > 0;) {
		rest = rest << 32 | number[i];
		number[i] = (uint32_t)(rest / by);
		rest %= by;
	}
	return (uint32_t)rest;
}

void
gw_sequence_print(const struct gw_sequence *s, char out[GW_SEQUENCE_TEXT])
{
	char hex[HEX_DIGITS + 1], digits[72];
	uint32_t number[LIMBS] = {0};
	size_t n = 0;

	(void)snprintf(hex, sizeof(hex), "2%09llx%01x%016llx00%09llx%08x2",
		(unsigned long long)(s->created_s & MASK_36), s->shard & 15u,
		(unsigned long long)(s->place & GW_SEQUENCE_END),
		(unsigned long long)(s->time_s & MASK_36), s->shard);
	for (const char *p = hex; *p != '\0'; p++)
		(void)multiply(number, 16, (uint32_t)(*p <= '9' ? *p - '0' : *p - 'a' + 10));
	/* Nine digits at a time, the lowest first. */
	while (n < 63) {
		uint32_t nine = divide(number, 1000000000u);
		for (unsigned i = 0; i < 9; i++, nine /= 10)
			digits[n++] = (char)('0' + nine % 10);
	}
	while (n > 1 && digits[n - 1] == '0')
		n--;
	for (size_t i = 0; i < n && i < GW_SEQUENCE_TEXT - 1; i++)
		out[i] = digits[n - 1 - i];
	out[n < GW_SEQUENCE_TEXT ? n : GW_SEQUENCE_TEXT - 1] = '\0';
}

static uint64_t
field(const char *hex, unsigned at, unsigned digits)
{
	uint64_t n = 0;

	for (unsigned i = at; i < at + digits; i++)
		n = n << 4 | (unsigned)(hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10);
	return n;
}

int
gw_sequence_parse(const char *text, struct gw_sequence *out)
{
	char hex[LIMBS * 8 + 1];
	uint32_t number[LIMBS] = {0};
	size_t len = strlen(text);

	if (len < 2 || len >= GW_SEQUENCE_TEXT || text[0] == '0' ||
		strspn(text, "0123456789") != len)
		return SLK_MALFORMED;
	for (const char *p = text; *p != '\0'; p++)
		if (!multiply(number, 10, (uint32_t)(*p - '0')))
			return SLK_MALFORMED;
	for (unsigned i = 0; i < LIMBS; i++)
		(void)snprintf(hex + 8 * i, 9, "%08x", number[LIMBS - 1 - i]);
	/* 48 digits, of which the first has to be zero. */
	const char *h = hex + 1;
	struct gw_sequence s = {.created_s = field(h, 1, 9),
		.place = field(h, 11, 16),
		.time_s = field(h, 29, 9),
		.shard = (uint32_t)field(h, 38, 8)};
	if (hex[0] != '0' || h[0] != '2' || h[46] != '2' || h[27] != '0' || h[28] != '0' ||
		field(h, 10, 1) != (s.shard & 15u) || s.place > GW_SEQUENCE_END)
		return SLK_MALFORMED;
	*out = s;
	return SLK_OK;
}
