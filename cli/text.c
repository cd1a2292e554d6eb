#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

void
cli_time_format(uint64_t unix_ns, char out[CLI_TIME_MAX])
{
	time_t seconds = (time_t)(unix_ns / SLK_NS_PER_S);
	struct tm tm;
	char day[24];

	gmtime_r(&seconds, &tm); /* any 64-bit number of nanoseconds is a year below 2600 */
	strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CLI_TIME_MAX, "%s.%09uZ", day, (unsigned)(unix_ns % SLK_NS_PER_S));
}

void
cli_time_second(uint64_t unix_ns, char out[CLI_TIME_MAX])
{
	cli_time_format(unix_ns, out);
	strcpy(out + 19, "Z");
}

int
cli_u64_parse(const char *text, uint64_t max, uint64_t *out_value)
{
	char *end = NULL;

	if (!isdigit((unsigned char)text[0]))
		return SLK_INVALID;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 10);
	if (*end != '\0')
		return SLK_INVALID;
	if (errno == ERANGE || v > max)
		return SLK_RANGE;
	*out_value = v;
	return SLK_OK;
}

/* ".25" and so on: nanoseconds and the rest of the text; false without a digit. */
static bool
parse_fraction(const char **text, uint64_t *out_ns)
{
	const char *p = *text;
	uint64_t ns = 0;
	uint64_t unit = SLK_NS_PER_S / 10;

	*out_ns = 0;
	if (*p != '.')
		return true;
	p++;
	if (!isdigit((unsigned char)*p))
		return false;
	for (; isdigit((unsigned char)*p); p++, unit /= 10)
		ns += unit * (uint64_t)(*p - '0');
	*text = p;
	*out_ns = ns;
	return true;
}

static bool
parse_ago(const char *text, uint64_t now_ns, uint64_t *out_ns)
{
	char *end = NULL;

	if (text[0] != '-' || !isdigit((unsigned char)text[1]))
		return false;
	errno = 0;
	unsigned long long n = strtoull(text + 1, &end, 10);
	uint64_t unit = strcmp(end, "s") == 0 ? 1
		: strcmp(end, "m") == 0       ? 60
		: strcmp(end, "h") == 0       ? 3600
		: strcmp(end, "d") == 0       ? 86400
					      : 0;
	if (unit == 0 || errno == ERANGE || n > UINT64_MAX / SLK_NS_PER_S / unit)
		return false;
	uint64_t ago_ns = n * unit * SLK_NS_PER_S;
	*out_ns = ago_ns < now_ns ? now_ns - ago_ns : 0;
	return true;
}

static bool
parse_unix(const char *text, uint64_t *out_ns)
{
	char *end = NULL;
	uint64_t fraction = 0;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	unsigned long long seconds = strtoull(text, &end, 10);
	const char *rest = end;
	if (errno == ERANGE || seconds >= UINT64_MAX / SLK_NS_PER_S ||
		!parse_fraction(&rest, &fraction) || *rest != '\0')
		return false;
	*out_ns = seconds * SLK_NS_PER_S + fraction;
	return true;
}

static bool
parse_calendar(const char *text, uint64_t *out_ns)
{
	static const char *const forms[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
		"%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct tm tm = {0};
		uint64_t fraction = 0;
		const char *rest = strptime(text, forms[i], &tm);
		if (rest == NULL || (i < 2 && !parse_fraction(&rest, &fraction)))
			continue;
		if (*rest == 'Z')
			rest++;
		time_t seconds = timegm(&tm);
		if (*rest != '\0' || seconds < 0 || (uint64_t)seconds >= UINT64_MAX / SLK_NS_PER_S)
			continue;
		*out_ns = (uint64_t)seconds * SLK_NS_PER_S + fraction;
		return true;
	}
	return false;
}

int
cli_time_parse(const char *text, uint64_t now_ns, uint64_t *out_unix_ns, struct slk_error *err)
{
	if (parse_ago(text, now_ns, out_unix_ns) || parse_unix(text, out_unix_ns) ||
		parse_calendar(text, out_unix_ns))
		return SLK_OK;
	return slk_fail(err, SLK_INVALID,
		"'%s' is not a time: use 2026-11-24T10:00:00Z, Unix seconds, or -5m for five "
		"minutes ago",
		text);
}

int
cli_from_parse(
	const char *text, uint64_t now_ns, struct sealock_position *out_from, struct slk_error *err)
{
	struct sealock_position from = {0};
	int rc = SLK_OK;

	if (strcmp(text, "TRIM_HORIZON") == 0)
		from.from = SEALOCK_FROM_TRIM_HORIZON;
	else if (strcmp(text, "LATEST") == 0)
		from.from = SEALOCK_FROM_LATEST;
	else if (text[0] == '@') {
		from.from = SEALOCK_FROM_AT_TIME;
		rc = cli_time_parse(text + 1, now_ns, &from.value, err);
	} else {
		from.from = SEALOCK_FROM_AT_SEQUENCE;
		if (cli_u64_parse(text, UINT64_MAX, &from.value) != SLK_OK)
			rc = slk_fail(err, SLK_INVALID,
				"'%s' is not a place to start: use TRIM_HORIZON, LATEST, a "
				"sequence number, or @TIME",
				text);
	}
	if (rc == SLK_OK)
		*out_from = from;
	return rc;
}

void
cli_bytes_format(uint64_t bytes, char out[CLI_AMOUNT_MAX])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes;
	unsigned unit = 0;

	for (; v >= 1024.0 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		v /= 1024.0;
	snprintf(out, CLI_AMOUNT_MAX, unit == 0 ? "%.0f %s" : "%.1f %s", v, units[unit]);
}

void
cli_age_format(uint64_t seconds, char out[CLI_AMOUNT_MAX])
{
	unsigned long long s = seconds;

	if (s < 60)
		snprintf(out, CLI_AMOUNT_MAX, "%llu s", s);
	else if (s < 3600)
		snprintf(out, CLI_AMOUNT_MAX, "%llu min %llu s", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, CLI_AMOUNT_MAX, "%llu h %llu min", s / 3600, s / 60 % 60);
	else
		snprintf(
			out, CLI_AMOUNT_MAX, "%llu d %llu h", s / 86400 % 100000000, s / 3600 % 24);
}

size_t
cli_utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t c = p[0];

	if (c < 0x80)
		return 1;
	size_t n = c >= 0xc2 && c <= 0xdf ? 2
		: (c & 0xf0) == 0xe0      ? 3
		: c >= 0xf0 && c <= 0xf4  ? 4
					  : 0;
	if (n == 0 || n > left)
		return 0;
	uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

bool
cli_utf8_valid(struct slk_span bytes)
{
	for (size_t i = 0; i < bytes.len;) {
		size_t n = cli_utf8_sequence(bytes.ptr + i, bytes.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

void
cli_base64(struct slk_span in, char *out)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = in.ptr;
	size_t left = in.len;

	for (; left > 0; out += 4) {
		size_t n = left < 3 ? left : 3;
		uint32_t v = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) |
			(n > 2 ? p[2] : 0);
		out[0] = digits[v >> 18];
		out[1] = digits[v >> 12 & 63];
		out[2] = n > 1 ? digits[v >> 6 & 63] : '=';
		out[3] = n > 2 ? digits[v & 63] : '=';
		p += n;
		left -= n;
	}
}

static int
base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
cli_base64_decode(struct slk_span in, uint8_t *out, size_t cap, size_t *out_len)
{
	size_t len = 0, digits = 0, padding = 0;
	uint32_t bits = 0;

	for (size_t i = 0; i < in.len; i++) {
		uint8_t c = in.ptr[i];
		int value = base64_value(c);
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=' && digits % 4 >= 2 && padding < 2)
			value = 0, padding++;
		else if (value < 0 || padding > 0)
			return SLK_MALFORMED;
		bits = bits << 6 | (uint32_t)value;
		if (++digits % 4 != 0)
			continue;
		for (size_t k = 0; k < 3 - padding; k++) {
			if (len == cap)
				return SLK_TOO_LARGE;
			out[len++] = (uint8_t)(bits >> (16 - 8 * k));
		}
		/* Bits behind the last byte have no meaning, and so must be zero. */
		if (padding > 0 && (bits & ((1u << (8 * padding)) - 1)) != 0)
			return SLK_MALFORMED;
	}
	if (digits % 4 != 0)
		return SLK_MALFORMED;
	*out_len = len;
	return SLK_OK;
}
