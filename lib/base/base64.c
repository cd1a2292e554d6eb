#include "base/base64.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define WIDE 1
#endif

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

/* --- sixteen or thirty-two characters at once: the same arithmetic in lanes, so as blind to what passes --- */

#ifdef WIDE
#define SSSE3 __attribute__((target("ssse3")))

SSSE3 static __m128i
each(int c)
{
	return _mm_set1_epi8((char)c);
}

/* Twelve bytes for sixteen characters, as long as sixteen bytes can be read. Returns the bytes taken. */
SSSE3 static size_t
encode_wide(enum slk_base64 alphabet, struct slk_span in, char *out)
{
	/* Of bytes a b c, twice b, so that each digit lies within one 16-bit word: ab bc. */
	const __m128i spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
	size_t i = 0;

	for (; in.len - i >= 16; i += 12, out += 16) {
		__m128i x = _mm_shuffle_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)(in.ptr + i)), spread);
		__m128i even = _mm_mulhi_epu16(
			_mm_and_si128(x, _mm_set1_epi32(0x0fc0fc00)), _mm_set1_epi32(0x04000040));
		__m128i odd = _mm_mullo_epi16(
			_mm_and_si128(x, _mm_set1_epi32(0x003f03f0)), _mm_set1_epi32(0x01000010));
		__m128i v = _mm_or_si128(even, odd);
		__m128i c = _mm_add_epi8(v, each('A'));
		c = _mm_add_epi8(
			c, _mm_and_si128(_mm_cmpgt_epi8(v, each(25)), each('a' - 'A' - 26)));
		c = _mm_add_epi8(
			c, _mm_and_si128(_mm_cmpgt_epi8(v, each(51)), each('0' - 'a' - 26)));
		c = _mm_add_epi8(c,
			_mm_and_si128(_mm_cmpeq_epi8(v, each(62)),
				each((int)last_but_one(alphabet) - '0' - 10)));
		c = _mm_add_epi8(c,
			_mm_and_si128(
				_mm_cmpeq_epi8(v, each(63)), each((int)last(alphabet) - '0' - 11)));
		_mm_storeu_si128((__m128i *)(void *)out, c);
	}
	return i;
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static __m256i
each_of_32(int c)
{
	return _mm256_set1_epi8((char)c);
}

AVX2 static __m256i
load_pair(const uint8_t *low, const uint8_t *high)
{
	return _mm256_inserti128_si256(
		_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)low)),
		_mm_loadu_si128((const __m128i *)(const void *)high), 1);
}

/* Twice as wide. What to add to each value comes out of a register, chosen by its range: 13 for A-Z, 0 for a-z, 1 to 12 for
 * the rest. */
AVX2 static size_t
encode_wider(enum slk_base64 alphabet, struct slk_span in, char *out)
{
	const __m256i spread = _mm256_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10,
		1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
	const char digit = '0' - 52, minus = (char)((int)last_but_one(alphabet) - 62),
		   end = (char)((int)last(alphabet) - 63);
	const __m256i shifts = _mm256_setr_epi8('a' - 26, digit, digit, digit, digit, digit, digit,
		digit, digit, digit, digit, minus, end, 'A', 0, 0, 'a' - 26, digit, digit, digit,
		digit, digit, digit, digit, digit, digit, digit, minus, end, 'A', 0, 0);
	size_t i = 0;

	for (; in.len - i >= 28; i += 24, out += 32) {
		__m256i x = _mm256_shuffle_epi8(load_pair(in.ptr + i, in.ptr + i + 12), spread);
		__m256i even =
			_mm256_mulhi_epu16(_mm256_and_si256(x, _mm256_set1_epi32(0x0fc0fc00)),
				_mm256_set1_epi32(0x04000040));
		__m256i odd = _mm256_mullo_epi16(_mm256_and_si256(x, _mm256_set1_epi32(0x003f03f0)),
			_mm256_set1_epi32(0x01000010));
		__m256i v = _mm256_or_si256(even, odd);
		__m256i range = _mm256_subs_epu8(v, each_of_32(51));
		range = _mm256_or_si256(range,
			_mm256_and_si256(_mm256_cmpgt_epi8(each_of_32(26), v), each_of_32(13)));
		v = _mm256_add_epi8(v, _mm256_shuffle_epi8(shifts, range));
		_mm256_storeu_si256((__m256i *)(void *)out, v);
	}
	return i;
}

AVX2 static __m256i
within_32(__m256i c, char low, char high)
{
	return _mm256_and_si256(_mm256_cmpgt_epi8(c, each_of_32(low - 1)),
		_mm256_cmpgt_epi8(each_of_32(high + 1), c));
}

/* The value of each digit: zero where none is. good stays all ones where one is. */
AVX2 static __m256i
values_of_32(enum slk_base64 alphabet, __m256i c, __m256i *good)
{
	const __m256i upper = within_32(c, 'A', 'Z'), lower = within_32(c, 'a', 'z'),
		      digit = within_32(c, '0', '9'),
		      minus = _mm256_cmpeq_epi8(c, each_of_32((int)last_but_one(alphabet))),
		      end = _mm256_cmpeq_epi8(c, each_of_32((int)last(alphabet)));
	__m256i v = _mm256_and_si256(upper, _mm256_sub_epi8(c, each_of_32('A')));

	v = _mm256_or_si256(v, _mm256_and_si256(lower, _mm256_sub_epi8(c, each_of_32('a' - 26))));
	v = _mm256_or_si256(v, _mm256_and_si256(digit, _mm256_sub_epi8(c, each_of_32('0' - 52))));
	v = _mm256_or_si256(v, _mm256_and_si256(minus, each_of_32(62)));
	v = _mm256_or_si256(v, _mm256_and_si256(end, each_of_32(63)));
	*good = _mm256_and_si256(*good,
		_mm256_or_si256(_mm256_or_si256(_mm256_or_si256(upper, lower),
					_mm256_or_si256(digit, minus)),
			end));
	return v;
}

/* As decode_wide(), 32 characters at once. */
AVX2 static size_t
decode_wider(
	enum slk_base64 alphabet, struct slk_span text, uint8_t *out, size_t cap, uint32_t *bad)
{
	const __m256i gather = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1,
		-1, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
	const __m256i together = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
	__m256i good = each_of_32(-1);
	size_t i = 0;

	for (; text.len - i >= 32 && cap - i / 4 * 3 >= 32; i += 32) {
		__m256i v = values_of_32(alphabet,
			_mm256_loadu_si256((const __m256i *)(const void *)(text.ptr + i)), &good);
		__m256i twelve = _mm256_maddubs_epi16(v, _mm256_set1_epi32(0x01400140));
		__m256i bits = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));
		bits = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(bits, gather), together);
		_mm256_storeu_si256((__m256i *)(void *)(out + i / 4 * 3), bits);
	}
	*bad |= ~(uint32_t)_mm256_movemask_epi8(good);
	return i;
}

SSSE3 static __m128i
within_lanes(__m128i c, char low, char high)
{
	return _mm_and_si128(_mm_cmpgt_epi8(c, each(low - 1)), _mm_cmpgt_epi8(each(high + 1), c));
}

/* Sixteen characters into twelve bytes, as long as sixteen bytes fit; in place, too. Returns the characters taken. */
SSSE3 static size_t
decode_wide(enum slk_base64 alphabet, struct slk_span text, uint8_t *out, size_t cap, uint32_t *bad)
{
	const __m128i gather =
		_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
	__m128i good = each(-1);
	size_t i = 0;

	for (; text.len - i >= 16 && cap - i / 4 * 3 >= 16; i += 16) {
		__m128i c = _mm_loadu_si128((const __m128i *)(const void *)(text.ptr + i));
		__m128i upper = within_lanes(c, 'A', 'Z'), lower = within_lanes(c, 'a', 'z'),
			digit = within_lanes(c, '0', '9'),
			minus = _mm_cmpeq_epi8(c, each((int)last_but_one(alphabet))),
			end = _mm_cmpeq_epi8(c, each((int)last(alphabet)));
		__m128i v = _mm_and_si128(upper, _mm_sub_epi8(c, each('A')));
		v = _mm_or_si128(v, _mm_and_si128(lower, _mm_sub_epi8(c, each('a' - 26))));
		v = _mm_or_si128(v, _mm_and_si128(digit, _mm_sub_epi8(c, each('0' - 52))));
		v = _mm_or_si128(v, _mm_and_si128(minus, each(62)));
		v = _mm_or_si128(v, _mm_and_si128(end, each(63)));
		good = _mm_and_si128(good,
			_mm_or_si128(_mm_or_si128(_mm_or_si128(upper, lower),
					     _mm_or_si128(digit, minus)),
				end));
		/* Pairs of digits, then pairs of these: 24 bits in each 32. */
		__m128i twelve = _mm_maddubs_epi16(v, _mm_set1_epi32(0x01400140));
		__m128i bits = _mm_madd_epi16(twelve, _mm_set1_epi32(0x00011000));
		_mm_storeu_si128(
			(__m128i *)(void *)(out + i / 4 * 3), _mm_shuffle_epi8(bits, gather));
	}
	*bad |= (uint32_t)_mm_movemask_epi8(good) ^ 0xffffu;
	return i;
}
#endif

int
slk_base64_encode(enum slk_base64 alphabet, struct slk_span in, char *out, size_t cap)
{
	uint32_t bits = 0, count = 0;
	size_t len = 0, i = 0;

	if (slk_base64_chars(in.len) >= cap)
		return SLK_FULL;
#ifdef WIDE
	if (__builtin_cpu_supports("avx2"))
		i = encode_wider(alphabet, in, out);
	if (__builtin_cpu_supports("ssse3"))
		i += encode_wide(alphabet, slk_span(in.ptr + i, in.len - i), out + i / 3 * 4);
	len = i / 3 * 4;
#endif
	for (; i < in.len; i++) {
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
	size_t len = 0, i = 0;

	if (text.len % 4 == 1)
		return SLK_MALFORMED;
	if (text.len / 4 * 3 + text.len % 4 * 3 / 4 > cap)
		return SLK_FULL;
#ifdef WIDE
	if (__builtin_cpu_supports("avx2"))
		i = decode_wider(alphabet, text, out, cap, &bad);
	len = i / 4 * 3;
	if (__builtin_cpu_supports("ssse3"))
		i += decode_wide(
			alphabet, slk_span(text.ptr + i, text.len - i), out + len, cap - len, &bad);
	len = i / 4 * 3;
#endif
	for (; i < text.len; i++) {
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
