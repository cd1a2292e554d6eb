#include "search_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define DAYS 86400

/* That week's number, by its Saturday: the n-th Saturday of a year ends its n-th week. */
static int
week_suffix(const struct tm *day, time_t at, char *out, size_t cap)
{
	time_t saturday_at = at + (time_t)(6 - day->tm_wday) * DAYS;
	struct tm saturday;

	gmtime_r(&saturday_at, &saturday);
	return snprintf(out, cap, "-%04d-w%02d", saturday.tm_year + 1900, saturday.tm_yday / 7 + 1);
}

static int
suffix(enum dlv_rotation rotation, uint64_t instant_ns, char *out, size_t cap)
{
	time_t at = (time_t)(instant_ns / SLK_NS_PER_S);
	struct tm day;

	gmtime_r(&at, &day);
	int year = day.tm_year + 1900, month = day.tm_mon + 1;
	switch (rotation) {
	case DLV_ROTATE_HOUR:
		return snprintf(
			out, cap, "-%04d-%02d-%02d-%02d", year, month, day.tm_mday, day.tm_hour);
	case DLV_ROTATE_DAY:
		return snprintf(out, cap, "-%04d-%02d-%02d", year, month, day.tm_mday);
	case DLV_ROTATE_WEEK:
		return week_suffix(&day, at, out, cap);
	case DLV_ROTATE_MONTH:
		return snprintf(out, cap, "-%04d-%02d", year, month);
	case DLV_ROTATE_NONE:
		break;
	}
	out[0] = '\0';
	return 0;
}

int
search_index_name(const struct dlv_search *search, uint64_t instant_ns, char out[SEARCH_INDEX_MAX])
{
	char time_of[64];

	(void)suffix(search->rotation, instant_ns, time_of, sizeof(time_of));
	int len = snprintf(out, SEARCH_INDEX_MAX, "%s%s", search->index, time_of);
	return len >= 0 && (unsigned)len < SEARCH_INDEX_MAX ? SLK_OK : SLK_TOO_LARGE;
}

/* What is not unreserved (RFC 3986, 2.3) in percents. Returns the length, or cap if there is no room for it and a terminator. */
static size_t
put_encoded(const char *text, char *out, size_t cap)
{
	size_t len = 0;

	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		bool plain = isalnum(c) || strchr("-._~", c) != NULL;
		if (len + 4 > cap)
			return cap;
		len += (size_t)snprintf(out + len, cap - len, plain ? "%c" : "%%%02X", c);
	}
	return len;
}

int
search_url(const struct dlv_search *search, const char *index, char out[SEARCH_URL_MAX])
{
	bool typed = search->type[0] != '\0';
	const struct {
		const char *plain, *encoded;
	} parts[] = {{"/", index}, {typed ? "/" : "", search->type},
		{"/_bulk?filter_path=", SEARCH_FILTER}};
	size_t len = strlen(search->endpoint);

	while (len > 0 && search->endpoint[len - 1] == '/')
		len--;
	if (len >= SEARCH_URL_MAX)
		return SLK_TOO_LARGE;
	memcpy(out, search->endpoint, len);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t plain = strlen(parts[i].plain);
		if (plain >= SEARCH_URL_MAX - len)
			return SLK_TOO_LARGE;
		memcpy(out + len, parts[i].plain, plain);
		len += plain;
		len += put_encoded(parts[i].encoded, out + len, SEARCH_URL_MAX - len);
		if (len == SEARCH_URL_MAX)
			return SLK_TOO_LARGE;
	}
	out[len] = '\0';
	return SLK_OK;
}
