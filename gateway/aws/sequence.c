#include "aws/sequence.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 56u /* of every number: it is from 2 * 16^46 up to 3 * 16^46 */
#define RUN_MAX 0x10000u /* places between neighbours */
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

/* The same in nines: nine decimal digits each, the lowest first. */
static void
in_nines(const struct gw_sequence *s, uint32_t nines[GW_SEQUENCE_NINES])
{
	uint32_t number[LIMBS];
	unsigned limbs = LIMBS;

	compose(s, number);
	for (unsigned i = 0; i < GW_SEQUENCE_NINES; i++)
		nines[i] = divide(number, &limbs);
}

/* A place is worth 2^80, which is 1208925 819614629 174706176. */
static void
add_places(uint32_t nines[GW_SEQUENCE_NINES], uint32_t places)
{
	static const uint32_t place[3] = {174706176, 819614629, 1208925};
	uint64_t carry = 0;

	for (unsigned i = 0; i < GW_SEQUENCE_NINES && (i < 3 || carry > 0); i++) {
		carry += nines[i] + (i < 3 ? (uint64_t)place[i] * places : 0);
		nines[i] = (uint32_t)(carry % 1000000000u);
		carry /= 1000000000u;
	}
}

static void
print_two(char *out, uint32_t n)
{
	out[0] = (char)('0' + n / 10);
	out[1] = (char)('0' + n % 10);
}

static void
print_nine(char *out, uint32_t n)
{
	uint32_t high = n / 100000, low = n % 100000;

	print_two(out, high / 100);
	print_two(out + 2, high % 100);
	print_two(out + 4, low / 1000);
	print_two(out + 6, low / 10 % 100);
	out[8] = (char)('0' + low % 10);
}

void
gw_sequence_run_print(
	struct gw_sequence_run *run, const struct gw_sequence *s, char out[GW_SEQUENCE_TEXT])
{
	const struct gw_sequence *last = &run->last;

	if (run->begun && s->created_s == last->created_s && s->shard == last->shard &&
		s->time_s == last->time_s && s->place <= GW_SEQUENCE_END &&
		s->place - last->place < RUN_MAX)
		add_places(run->nines, (uint32_t)(s->place - last->place));
	else
		in_nines(s, run->nines);
	run->last = *s;
	run->begun = s->place <= GW_SEQUENCE_END;
	print_two(out, run->nines[GW_SEQUENCE_NINES - 1]);
	for (unsigned i = 1; i < GW_SEQUENCE_NINES; i++)
		print_nine(out + 9 * i - 7, run->nines[GW_SEQUENCE_NINES - 1 - i]);
	out[DIGITS] = '\0';
}

void
gw_sequence_print(const struct gw_sequence *s, char out[GW_SEQUENCE_TEXT])
{
	struct gw_sequence_run run = {0};

	gw_sequence_run_print(&run, s, out);
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
