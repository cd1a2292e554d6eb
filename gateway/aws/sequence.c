#include "aws/sequence.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 63u /* in which 188 bits fit: 57 */
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

/* number / 10^9, and what is left; *limbs: how many of them are not zero yet. */
static uint32_t
divide(uint32_t number[LIMBS], unsigned *limbs)
{
	uint64_t rest = 0;

	while (*limbs > 0 && number[*limbs - 1] == 0)
		(*limbs)--;
	for (unsigned i = *limbs; i-- > 0;) {
		rest = rest << 32 | number[i];
		number[i] = (uint32_t)(rest / 1000000000u);
		rest %= 1000000000u;
	}
	return (uint32_t)rest;
}

/* The 47 hexadecimal digits as a number. */
static void
compose(const struct gw_sequence *s, uint32_t number[LIMBS])
{
	const uint64_t time_s = s->time_s & MASK_36, place = s->place & GW_SEQUENCE_END;
	const uint64_t words[LIMBS / 2] = {2 | (uint64_t)s->shard << 4 | time_s << 36,
		time_s >> 28 | place << 16,
		place >> 48 | (uint64_t)(s->shard & 15u) << 16 | (s->created_s & MASK_36) << 20 |
			(uint64_t)2 << 56};

	for (unsigned i = 0; i < LIMBS; i++)
		number[i] = (uint32_t)(words[i / 2] >> (i % 2 * 32));
}

void
gw_sequence_print(const struct gw_sequence *s, char out[GW_SEQUENCE_TEXT])
{
	char digits[DIGITS];
	uint32_t number[LIMBS];
	unsigned limbs = LIMBS, first = 0;

	compose(s, number);
	/* Nine digits at a time, the last first. */
	for (unsigned n = DIGITS; n > 0; n -= 9) {
		uint32_t nine = divide(number, &limbs);
		for (unsigned i = 1; i <= 9; i++, nine /= 10)
			digits[n - i] = (char)('0' + nine % 10);
	}
	while (digits[first] == '0') /* it begins with a 2 that is not zero */
		first++;
	memcpy(out, digits + first, DIGITS - first);
	out[DIGITS - first] = '\0';
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
