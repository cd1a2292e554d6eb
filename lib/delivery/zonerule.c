/* Rules of time zones: see zonerule.h. */
#include "delivery/zonerule.h"

#include <time.h>

#define DAY_S INT64_C(86400)

/* The text that is left; ok is false once it was not as it has to be. */
struct text {
	const uint8_t *ptr;
	size_t len;
	bool ok;
};

static bool
take(struct text *t, char c)
{
	if (t->len == 0 || *t->ptr != (uint8_t)c)
		return false;
	t->ptr++;
	t->len--;
	return true;
}

static void
need(struct text *t, char c)
{
	t->ok = take(t, c) && t->ok;
}

static int
number(struct text *t, int low, int high)
{
	int value = 0;
	size_t digits = 0;

	while (t->len > 0 && *t->ptr >= '0' && *t->ptr <= '9' && digits < 4) {
		value = value * 10 + (*t->ptr - '0');
		t->ptr++;
		t->len--;
		digits++;
	}
	t->ok = t->ok && digits > 0 && value >= low && value <= high;
	return t->ok ? value : low;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t
clock_time(struct text *t, int hours_max)
{
	bool minus = take(t, '-');

	if (!minus)
		(void)take(t, '+');
	int32_t seconds = number(t, 0, hours_max) * 3600;
	if (take(t, ':')) {
		seconds += number(t, 0, 59) * 60;
		if (take(t, ':'))
			seconds += number(t, 0, 59);
	}
	return minus ? -seconds : seconds;
}

static bool
is_letter(uint8_t c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Letters, or <anything>. */
static void
abbreviation(struct text *t, char out[DLV_ZONE_ABBREVIATION_MAX])
{
	bool quoted = take(t, '<');
	size_t len = 0;

	while (t->len > len && (quoted ? t->ptr[len] != '>' : is_letter(t->ptr[len])))
		len++;
	if (len < 3 || len >= DLV_ZONE_ABBREVIATION_MAX) {
		t->ok = false;
		return;
	}
	memcpy(out, t->ptr, len);
	out[len] = '\0';
	t->ptr += len;
	t->len -= len;
	if (quoted)
		need(t, '>');
}

/* A day of each year, and the time on it. */
struct change {
	enum { DAY_OF_MONTH_WEEK, DAY_WITHOUT_LEAP, DAY_FROM_ZERO } kind;
	int month, week, day;
	int32_t seconds;
};

static struct change
read_change(struct text *t)
{
	struct change c = {.kind = DAY_FROM_ZERO, .seconds = 2 * 3600};

	if (take(t, 'M')) {
		c.kind = DAY_OF_MONTH_WEEK;
		c.month = number(t, 1, 12);
		need(t, '.');
		c.week = number(t, 1, 5);
		need(t, '.');
		c.day = number(t, 0, 6);
	} else if (take(t, 'J')) {
		c.kind = DAY_WITHOUT_LEAP;
		c.day = number(t, 1, 365);
	} else {
		c.day = number(t, 0, 365);
	}
	if (take(t, '/'))
		c.seconds = clock_time(t, 167);
	return c;
}

static bool
is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days from 1970-01-01 to the first of a month, 0..12. year: 1969 or later. */
static int64_t
days_to(int year, int month)
{
	static const int16_t before[] = {
		0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
	int64_t y = (int64_t)year - 1;
	int64_t leaps = y / 4 - y / 100 + y / 400;

	return 365 * (y - 1969) + (leaps - 477) + before[month] + (month > 1 && is_leap(year));
}

/* Seconds from 1970 to the change in that year, by the clock before it. */
static int64_t
change_in(const struct change *c, int year)
{
	int64_t first = days_to(year, 0);

	if (c->kind == DAY_FROM_ZERO)
		return (first + c->day) * DAY_S + c->seconds;
	if (c->kind == DAY_WITHOUT_LEAP)
		return (first + c->day - 1 + (c->day > 59 && is_leap(year))) * DAY_S + c->seconds;
	int64_t from = days_to(year, c->month - 1);
	int64_t days = days_to(year, c->month) - from;
	int64_t weekday = ((from + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
	int64_t day = (c->day - weekday + 7) % 7 + (c->week - 1) * 7;
	while (day >= days)
		day -= 7;
	return (from + day) * DAY_S + c->seconds;
}

static bool
is_summer(const struct change *start, const struct change *end, int32_t standard, int32_t summer,
	int64_t unix_s)
{
	time_t local = (time_t)(unix_s + standard);
	struct tm tm;

	if (gmtime_r(&local, &tm) == NULL)
		return false;
	int year = tm.tm_year + 1900;
	int64_t from = change_in(start, year) - standard;
	int64_t to = change_in(end, year) - summer;
	if (from < to)
		return unix_s >= from && unix_s < to;
	return unix_s >= from || unix_s < to; /* the southern hemisphere */
}

int
dlv_zonerule_at(struct slk_span rule, int64_t unix_s, struct dlv_zone_moment *out)
{
	struct text t = {rule.ptr, rule.len, true};
	struct dlv_zone_moment standard = {0};
	struct dlv_zone_moment summer = {0};

	abbreviation(&t, standard.abbreviation);
	standard.offset_s = -clock_time(&t, 24);
	if (t.ok && t.len == 0) {
		*out = standard;
		return SLK_OK;
	}
	abbreviation(&t, summer.abbreviation);
	summer.offset_s =
		t.len > 0 && *t.ptr != ',' ? -clock_time(&t, 24) : standard.offset_s + 3600;
	need(&t, ',');
	struct change start = read_change(&t);
	need(&t, ',');
	struct change end = read_change(&t);
	if (!t.ok || t.len != 0)
		return SLK_MALFORMED;
	*out = is_summer(&start, &end, standard.offset_s, summer.offset_s, unix_s) ? summer
										   : standard;
	return SLK_OK;
}
