/* Patterns of Java's DateTimeFormatter: see timefmt.h. */
#include "delivery/timefmt.h"

#include <stdio.h>

#define NS_PER_S UINT64_C(1000000000)

int
dlv_time_at(const char *zone, uint64_t unix_ns, struct dlv_time *out)
{
	struct dlv_time t = {
		.ns = (uint32_t)(unix_ns % NS_PER_S), .zone = "UTC", .moment = {0, "UTC"}};
	int64_t unix_s = (int64_t)(unix_ns / NS_PER_S);

	if (zone[0] != '\0' && strcmp(zone, "UTC") != 0) {
		uint8_t file[DLV_ZONE_FILE_MAX];
		size_t len = 0;
		int rc = dlv_zone_read(zone, file, &len);
		if (rc == SLK_OK)
			rc = dlv_zone_at(slk_span(file, len), unix_s, &t.moment);
		if (rc != SLK_OK)
			return rc;
		t.zone = zone;
	}
	time_t local = (time_t)(unix_s + t.moment.offset_s);
	if (gmtime_r(&local, &t.local) == NULL)
		return SLK_RANGE;
	*out = t;
	return SLK_OK;
}

static void
put_text(struct slk_writer *out, const char *text)
{
	slk_write_bytes(out, text, strlen(text));
}

static void
put_number(struct slk_writer *out, uint64_t value, unsigned width)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%0*llu", (int)width, (unsigned long long)value);
	put_text(out, digits);
}

/* 3 letters: short, 4: full, 5: one letter. */
static void
put_name(struct slk_writer *out, const char *full, unsigned count)
{
	size_t len = strlen(full);

	slk_write_bytes(out, full, count == 5 ? 1 : count == 3 && len > 3 ? 3 : len);
}

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July",
	"August", "September", "October", "November", "December"};
static const char *const weekdays[] = {
	"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static unsigned
year_of(const struct dlv_time *t)
{
	return (unsigned)(t->local.tm_year + 1900);
}

static void
put_year(struct slk_writer *out, unsigned year, unsigned count)
{
	put_number(out, count == 2 ? year % 100 : year, count);
}

/* The week of the week-based year, and that year. */
static unsigned
week_of(const struct dlv_time *t, unsigned *out_year)
{
	unsigned year = year_of(t);
	int days = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 366 : 365;

	if (t->local.tm_wday + days - t->local.tm_yday <= 6) {
		*out_year = year + 1; /* next January the 1st is in this week */
		return 1;
	}
	*out_year = year;
	int first = ((t->local.tm_wday - t->local.tm_yday) % 7 + 7) % 7;
	return (unsigned)((t->local.tm_yday + first) / 7 + 1);
}

static void
put_week_year(struct slk_writer *out, const struct dlv_time *t, unsigned count)
{
	unsigned year;

	(void)week_of(t, &year);
	put_year(out, year, count);
}

static void
put_week(struct slk_writer *out, const struct dlv_time *t, unsigned count)
{
	unsigned year;

	put_number(out, week_of(t, &year), count);
}

static void
put_quarter(struct slk_writer *out, const struct dlv_time *t, unsigned count)
{
	static const char *const full[] = {
		"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"};
	unsigned quarter = (unsigned)t->local.tm_mon / 3;

	if (count == 4) {
		put_text(out, full[quarter]);
		return;
	}
	if (count == 3)
		put_text(out, "Q");
	put_number(out, quarter + 1, count == 2 ? 2 : 1);
}

static uint64_t
second_of_day(const struct dlv_time *t)
{
	return (uint64_t)t->local.tm_hour * 3600 + (uint64_t)t->local.tm_min * 60 +
		(uint64_t)t->local.tm_sec;
}

static void
put_fraction(struct slk_writer *out, const struct dlv_time *t, unsigned count)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%09u", t->ns);
	slk_write_bytes(out, digits, count);
}

enum parts { HOURS_AND_MORE, MINUTES, SECONDS_AND_MORE };

/* +09, +0930, +09:30, +09:30:15. */
static void
put_offset(struct slk_writer *out, int32_t offset, enum parts parts, bool colon)
{
	unsigned seconds = (unsigned)(offset < 0 ? -offset : offset);
	unsigned minutes = seconds / 60 % 60;

	put_text(out, offset < 0 ? "-" : "+");
	put_number(out, seconds / 3600, 2);
	if (parts == HOURS_AND_MORE && minutes == 0)
		return;
	put_text(out, colon ? ":" : "");
	put_number(out, minutes, 2);
	if (parts != SECONDS_AND_MORE || seconds % 60 == 0)
		return;
	put_text(out, colon ? ":" : "");
	put_number(out, seconds % 60, 2);
}

/* GMT, GMT+9, GMT+09:00. */
static void
put_gmt(struct slk_writer *out, int32_t offset, unsigned count)
{
	unsigned minutes = (unsigned)(offset < 0 ? -offset : offset) / 60;

	put_text(out, "GMT");
	if (offset == 0)
		return;
	if (count == 4) {
		put_offset(out, offset, SECONDS_AND_MORE, true);
		return;
	}
	put_text(out, offset < 0 ? "-" : "+");
	put_number(out, minutes / 60, 1);
	if (minutes % 60 != 0) {
		put_text(out, ":");
		put_number(out, minutes % 60, 2);
	}
}

static void
put_x(struct slk_writer *out, int32_t offset, unsigned count)
{
	put_offset(out, offset,
		count == 1          ? HOURS_AND_MORE
			: count < 4 ? MINUTES
				    : SECONDS_AND_MORE,
		count == 3 || count == 5);
}

static void
put_zone(struct slk_writer *out, const struct dlv_time *t, char letter, unsigned count)
{
	int32_t offset = t->moment.offset_s;

	switch (letter) {
	case 'V':
		put_text(out, t->zone);
		break;
	case 'z':
		put_text(out, t->moment.abbreviation);
		break;
	case 'O':
		put_gmt(out, offset, count);
		break;
	case 'x':
		put_x(out, offset, count);
		break;
	case 'Z':
		if (count == 4)
			put_gmt(out, offset, 4);
		else if (count == 5 && offset == 0)
			put_text(out, "Z");
		else
			put_offset(
				out, offset, count == 5 ? SECONDS_AND_MORE : MINUTES, count == 5);
		break;
	default: /* X */
		if (offset == 0)
			put_text(out, "Z");
		else
			put_x(out, offset, count);
	}
}

static void
put_date(struct slk_writer *out, const struct dlv_time *t, char letter, unsigned count)
{
	const struct tm *tm = &t->local;
	unsigned first_weekday = (unsigned)((tm->tm_wday - (tm->tm_mday - 1)) % 7 + 7) % 7;

	switch (letter) {
	case 'G':
		put_text(out, count == 4 ? "Anno Domini" : count == 5 ? "A" : "AD");
		break;
	case 'u':
	case 'y':
		put_year(out, year_of(t), count);
		break;
	case 'Y':
		put_week_year(out, t, count);
		break;
	case 'w':
		put_week(out, t, count);
		break;
	case 'W':
		put_number(out, ((unsigned)tm->tm_mday - 1 + first_weekday) / 7 + 1, 1);
		break;
	case 'D':
		put_number(out, (unsigned)tm->tm_yday + 1, count);
		break;
	case 'M':
	case 'L':
		if (count <= 2)
			put_number(out, (unsigned)tm->tm_mon + 1, count);
		else
			put_name(out, months[tm->tm_mon], count);
		break;
	case 'Q':
	case 'q':
		put_quarter(out, t, count);
		break;
	case 'd':
		put_number(out, (unsigned)tm->tm_mday, count);
		break;
	case 'E':
		put_name(out, weekdays[tm->tm_wday], count < 3 ? 3 : count);
		break;
	default: /* e, c */
		if (count <= 2)
			put_number(out, (unsigned)tm->tm_wday + 1, count);
		else
			put_name(out, weekdays[tm->tm_wday], count);
	}
}

static void
put_clock(struct slk_writer *out, const struct dlv_time *t, char letter, unsigned count)
{
	const struct tm *tm = &t->local;
	unsigned hour = (unsigned)tm->tm_hour;

	switch (letter) {
	case 'a':
		put_text(out, hour < 12 ? "AM" : "PM");
		break;
	case 'h':
		put_number(out, hour % 12 == 0 ? 12 : hour % 12, count);
		break;
	case 'K':
		put_number(out, hour % 12, count);
		break;
	case 'k':
		put_number(out, hour == 0 ? 24 : hour, count);
		break;
	case 'H':
		put_number(out, hour, count);
		break;
	case 'm':
		put_number(out, (unsigned)tm->tm_min, count);
		break;
	case 's':
		put_number(out, (unsigned)tm->tm_sec, count);
		break;
	case 'S':
		put_fraction(out, t, count);
		break;
	case 'A':
		put_number(out, second_of_day(t) * 1000 + t->ns / 1000000, count);
		break;
	case 'n':
		put_number(out, t->ns, count);
		break;
	default: /* N */
		put_number(out, second_of_day(t) * NS_PER_S + t->ns, count);
	}
}

/* The letters, and how often each may stand in a row. */
static const struct letter {
	char letter;
	uint8_t most;
	void (*put)(struct slk_writer *out, const struct dlv_time *t, char letter, unsigned count);
} letters[] = {
	{'G', 5, put_date},
	{'u', 19, put_date},
	{'y', 19, put_date},
	{'Y', 19, put_date},
	{'w', 2, put_date},
	{'W', 1, put_date},
	{'D', 3, put_date},
	{'M', 5, put_date},
	{'L', 5, put_date},
	{'Q', 5, put_date},
	{'q', 5, put_date},
	{'d', 2, put_date},
	{'E', 5, put_date},
	{'e', 5, put_date},
	{'c', 5, put_date},
	{'a', 1, put_clock},
	{'h', 2, put_clock},
	{'K', 2, put_clock},
	{'k', 2, put_clock},
	{'H', 2, put_clock},
	{'m', 2, put_clock},
	{'s', 2, put_clock},
	{'S', 9, put_clock},
	{'A', 19, put_clock},
	{'n', 19, put_clock},
	{'N', 19, put_clock},
	{'V', 2, put_zone},
	{'z', 3, put_zone},
	{'O', 4, put_zone},
	{'X', 5, put_zone},
	{'x', 5, put_zone},
	{'Z', 5, put_zone},
};

static int
put_letter(struct slk_writer *out, const struct dlv_time *t, char letter, unsigned count,
	struct slk_error *err)
{
	const struct letter *found = NULL;

	for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
		if (letters[i].letter == letter)
			found = &letters[i];
	}
	if (found == NULL && strchr("FvpBg", letter) != NULL)
		return slk_fail(
			err, SLK_INVALID, "Pattern letter is not supported here: %c", letter);
	if (found == NULL)
		return slk_fail(err, SLK_INVALID, "Unknown pattern letter: %c", letter);
	if (letter == 'V' && count != 2)
		return slk_fail(err, SLK_INVALID, "Pattern letter count must be 2: V");
	if (letter == 'O' && count != 1 && count != 4)
		return slk_fail(err, SLK_INVALID, "Pattern letter count must be 1 or 4: O");
	if (letter == 'c' && count == 2)
		return slk_fail(err, SLK_INVALID, "Invalid pattern \"cc\"");
	if (count > found->most)
		return slk_fail(err, SLK_INVALID, "Too many pattern letters: %c", letter);
	found->put(out, t, letter, count);
	return SLK_OK;
}

/* What stands in quotes; *at is behind the first of them. Two quotes are one, everywhere. */
static bool
put_quoted(struct slk_writer *out, struct slk_span pattern, size_t *at)
{
	size_t i = *at;

	if (i < pattern.len && pattern.ptr[i] == '\'') {
		put_text(out, "'");
		*at = i + 1;
		return true;
	}
	for (; i < pattern.len; i++) {
		if (pattern.ptr[i] != '\'') {
			slk_write_u8(out, pattern.ptr[i]);
			continue;
		}
		if (i + 1 == pattern.len || pattern.ptr[i + 1] != '\'') {
			*at = i + 1;
			return true;
		}
		put_text(out, "'");
		i++;
	}
	return false;
}

static bool
is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

int
dlv_timefmt_print(struct slk_span pattern, const struct dlv_time *time, struct slk_writer *out,
	struct slk_error *err)
{
	int rc = SLK_OK;
	unsigned depth = 0;

	for (size_t i = 0; i < pattern.len && rc == SLK_OK;) {
		uint8_t c = pattern.ptr[i++];
		if (is_letter(c)) {
			unsigned count = 1;
			for (; i < pattern.len && pattern.ptr[i] == c; i++)
				count++;
			rc = put_letter(out, time, (char)c, count, err);
		} else if (c == '\'') {
			if (!put_quoted(out, pattern, &i))
				rc = slk_fail(err, SLK_INVALID,
					"Pattern ends with an incomplete string literal: %.*s",
					(int)(pattern.len < 200 ? pattern.len : 200),
					(const char *)pattern.ptr);
		} else if (c == '[') {
			depth++;
		} else if (c == ']') {
			/* What is optional in parsing is there in printing. */
			if (depth-- == 0)
				rc = slk_fail(err, SLK_INVALID,
					"Pattern invalid as it contains ] without previous [");
		} else if (c == '{' || c == '}' || c == '#') {
			rc = slk_fail(
				err, SLK_INVALID, "Pattern includes reserved character: '%c'", c);
		} else {
			slk_write_u8(out, c);
		}
	}
	return rc;
}
