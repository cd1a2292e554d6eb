#include "format/audit.h"

#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "format/uuid.h"

#define HEX 64u
#define NUMBER_MAX (1ull << 53)
#define TIME_CHARS (FMT_AUDIT_TIME_TEXT - 1)

const struct fmt_audit_point fmt_audit_begin = {
	0, "0000000000000000000000000000000000000000000000000000000000000000"};

/* --- reading: a cursor that goes on only over what is expected --- */

struct cursor {
	const char *at, *end;
	int status;
};

static void
bad(struct cursor *c)
{
	if (c->status == SLK_OK)
		c->status = SLK_MALFORMED;
	c->at = c->end;
}

static bool
starts(const struct cursor *c, const char *text)
{
	size_t len = strlen(text);

	return (size_t)(c->end - c->at) >= len && memcmp(c->at, text, len) == 0;
}

static void
expect(struct cursor *c, const char *text)
{
	if (starts(c, text))
		c->at += strlen(text);
	else
		bad(c);
}

static uint64_t
number(struct cursor *c)
{
	const char *first = c->at;
	uint64_t value = 0;

	for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && value <= NUMBER_MAX; c->at++)
		value = value * 10 + (uint64_t)(*c->at - '0');
	if (c->at == first || (*first == '0' && c->at - first > 1) || value > NUMBER_MAX)
		bad(c);
	return c->status == SLK_OK ? value : 0;
}

static bool
is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static void
hash(struct cursor *c, char out[FMT_AUDIT_HASH_TEXT])
{
	size_t n = 0;

	while (n < HEX && c->at + n < c->end && is_hex(c->at[n]))
		n++;
	if (n < HEX) {
		bad(c);
		return;
	}
	memcpy(out, c->at, HEX);
	out[HEX] = '\0';
	c->at += HEX;
}

static struct slk_span
base64(struct cursor *c, size_t max)
{
	const char *first = c->at;

	while (c->at < c->end && *c->at != '"') {
		char d = *c->at;
		if ((d < 'A' || d > 'Z') && (d < 'a' || d > 'z') && (d < '0' || d > '9') &&
			d != '+' && d != '/' && d != '=')
			bad(c);
		else
			c->at++;
	}
	if (c->status == SLK_OK && ((size_t)(c->at - first) > max || c->at == first))
		bad(c);
	return c->status == SLK_OK ? slk_span(first, (size_t)(c->at - first)) : slk_span(NULL, 0);
}

static struct slk_span
time_of(struct cursor *c)
{
	static const char shape[] = "dddd-dd-ddTdd:dd:dd.ddddddZ";
	const char *first = c->at;

	expect(c, "\"");
	for (size_t i = 0; i < TIME_CHARS && c->status == SLK_OK; i++) {
		bool digit = c->at < c->end && *c->at >= '0' && *c->at <= '9';
		if (c->at >= c->end || (shape[i] == 'd' ? !digit : *c->at != shape[i]))
			bad(c);
		else
			c->at++;
	}
	expect(c, "\"");
	return c->status == SLK_OK ? slk_span(first + 1, TIME_CHARS) : slk_span(NULL, 0);
}

static void
point(struct cursor *c, const char *name, struct fmt_audit_point *out)
{
	expect(c, name);
	expect(c, ":{\"seq\":");
	out->seq = number(c);
	expect(c, ",\"hash\":\"");
	hash(c, out->hash);
	expect(c, "\"}");
}

static void
read_head(struct cursor *c, struct fmt_audit_line *out)
{
	point(c, ",\"of\"", &out->named);
	expect(c, ",\"publicKey\":\"");
	out->public_key = base64(c, FMT_AUDIT_KEY_MAX);
	expect(c, "\",\"signature\":\"");
	out->signature = base64(c, FMT_AUDIT_SIGNATURE_MAX);
	expect(c, "\"");
}

static void
read_torn(struct cursor *c, struct fmt_audit_line *out)
{
	expect(c, ",\"at\":");
	out->torn_at = number(c);
	expect(c, ",\"bytes\":");
	out->torn_bytes = number(c);
	expect(c, ",\"sha256\":\"");
	hash(c, out->torn_sha256);
	expect(c, "\"");
}

static void
read_withheld(struct cursor *c, struct fmt_audit_line *out)
{
	expect(c, ",\"first\":");
	out->first = number(c);
	expect(c, ",\"last\":");
	out->last = number(c);
	expect(c, ",\"uncounted\":");
	out->uncounted = number(c);
	if (out->last < out->first)
		bad(c);
}

/* covered: of the whole line. */
static int
read_header(struct slk_span covered, struct fmt_audit_line *out)
{
	struct cursor c = {
		(const char *)covered.ptr, (const char *)covered.ptr + covered.len, SLK_OK};

	expect(&c, "{\"kind\":\"header\",\"version\":");
	uint64_t version = number(&c);
	if (c.status == SLK_OK && version != FMT_AUDIT_VERSION)
		return SLK_BAD_VERSION;
	expect(&c, ",\"eventTime\":");
	out->time = time_of(&c);
	point(&c, ",\"previous\"", &out->named);
	if (c.at != c.end)
		bad(&c);
	out->kind = FMT_AUDIT_HEADER;
	return c.status;
}

static const struct {
	const char *begin;
	enum fmt_audit_kind kind;
	void (*read)(struct cursor *c, struct fmt_audit_line *out);
} kinds[] = {
	{"{\"kind\":\"head\",\"eventTime\":", FMT_AUDIT_HEAD, read_head},
	{"{\"kind\":\"torn\",\"eventTime\":", FMT_AUDIT_TORN, read_torn},
	{"{\"kind\":\"withheld\",\"eventTime\":", FMT_AUDIT_WITHHELD, read_withheld},
};

/* body: from { up to before ,"seq". */
static int
read_body(struct slk_span body, struct fmt_audit_line *out)
{
	struct cursor c = {(const char *)body.ptr, (const char *)body.ptr + body.len, SLK_OK};

	if (starts(&c, "{\"eventVersion\":\"")) {
		out->kind = FMT_AUDIT_USE;
		return SLK_OK;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (!starts(&c, kinds[i].begin))
			continue;
		out->kind = kinds[i].kind;
		expect(&c, kinds[i].begin);
		out->time = time_of(&c);
		kinds[i].read(&c, out);
		if (c.at != c.end)
			bad(&c);
		return c.status;
	}
	out->kind = FMT_AUDIT_OTHER;
	return starts(&c, "{\"kind\":\"") && !starts(&c, "{\"kind\":\"header\"") ? SLK_OK
										 : SLK_MALFORMED;
}

/* Backwards: what ends with name and a number. False, and nothing taken, if it does not. */
static bool
take_number_back(struct slk_span *covered, const char *name, uint64_t *out)
{
	size_t digits = 0, len = strlen(name);

	while (digits < covered->len && digits < 17 &&
		covered->ptr[covered->len - 1 - digits] >= '0' &&
		covered->ptr[covered->len - 1 - digits] <= '9')
		digits++;
	if (digits == 0 || covered->len < digits + len)
		return false;
	const char *at = (const char *)covered->ptr + covered->len - digits;
	struct cursor c = {at, at + digits, SLK_OK};
	uint64_t value = number(&c);
	if (c.status != SLK_OK || c.at != c.end || memcmp(at - len, name, len) != 0)
		return false;
	*out = value;
	covered->len -= digits + len;
	return true;
}

/* The end of what is covered: [,"durable":N],"seq":N */
static int
read_seal(struct slk_span covered, struct slk_span *out_body, struct fmt_audit_line *out)
{
	if (!take_number_back(&covered, ",\"seq\":", &out->self.seq) || out->self.seq == 0)
		return SLK_MALFORMED;
	out->says_durable = take_number_back(&covered, ",\"durable\":", &out->durable);
	if (out->says_durable && out->durable >= out->self.seq)
		return SLK_MALFORMED;
	*out_body = covered;
	return SLK_OK;
}

int
fmt_audit_decode(struct slk_span line, struct fmt_audit_line *out)
{
	static const char name[] = ",\"hash\":\"";
	const size_t tail = sizeof(name) - 1 + HEX + 2;
	struct fmt_audit_line l = {.kind = FMT_AUDIT_USE};
	struct slk_span body;

	if (line.len >= FMT_AUDIT_LINE_MAX)
		return SLK_TOO_LARGE;
	if (line.len < tail || memchr(line.ptr, '\n', line.len) != NULL)
		return SLK_MALFORMED;
	const char *at = (const char *)line.ptr + line.len - tail;
	struct cursor c = {at, at + tail, SLK_OK};
	expect(&c, name);
	hash(&c, l.self.hash);
	expect(&c, "\"}");
	if (c.status != SLK_OK)
		return c.status;
	l.covered = slk_span(line.ptr, line.len - tail);
	struct cursor begin = {(const char *)line.ptr, at, SLK_OK};
	int rc;
	if (starts(&begin, "{\"kind\":\"header\"")) {
		rc = read_header(l.covered, &l);
	} else {
		rc = read_seal(l.covered, &body, &l);
		if (rc == SLK_OK)
			rc = read_body(body, &l);
	}
	if (rc == SLK_OK)
		*out = l;
	return rc;
}

/* --- writing --- */

static void
put(struct slk_writer *w, const char *text)
{
	slk_write_bytes(w, text, strlen(text));
}

static void
put_number(struct slk_writer *w, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	slk_write_bytes(w, text + at, sizeof(text) - at);
}

static void
put_two(char *out, unsigned value)
{
	out[0] = (char)('0' + value / 10 % 10);
	out[1] = (char)('0' + value % 10);
}

void
fmt_audit_time(uint64_t wall_ns, char out[FMT_AUDIT_TIME_TEXT])
{
	time_t seconds = (time_t)(wall_ns / SLK_NS_PER_S);
	unsigned us = (unsigned)(wall_ns % SLK_NS_PER_S / SLK_NS_PER_US);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	unsigned year = (unsigned)tm.tm_year + 1900;
	memcpy(out, "0000-00-00T00:00:00.000000Z", FMT_AUDIT_TIME_TEXT);
	put_two(out, year / 100);
	put_two(out + 2, year % 100);
	put_two(out + 5, (unsigned)tm.tm_mon + 1);
	put_two(out + 8, (unsigned)tm.tm_mday);
	put_two(out + 11, (unsigned)tm.tm_hour);
	put_two(out + 14, (unsigned)tm.tm_min);
	put_two(out + 17, (unsigned)tm.tm_sec);
	put_two(out + 20, us / 10000);
	put_two(out + 22, us / 100 % 100);
	put_two(out + 24, us % 100);
}

static void
put_time(struct slk_writer *w, uint64_t wall_ns)
{
	char text[FMT_AUDIT_TIME_TEXT];

	fmt_audit_time(wall_ns, text);
	put(w, ",\"eventTime\":\"");
	slk_write_bytes(w, text, TIME_CHARS);
	put(w, "\"");
}

static void
put_point(struct slk_writer *w, const char *name, const struct fmt_audit_point *p)
{
	put(w, name);
	put(w, ":{\"seq\":");
	put_number(w, p->seq);
	put(w, ",\"hash\":\"");
	slk_write_bytes(w, p->hash, HEX);
	put(w, "\"}");
}

void
fmt_audit_put_header(struct slk_writer *w, uint64_t wall_ns, const struct fmt_audit_point *previous)
{
	put(w, "{\"kind\":\"header\",\"version\":");
	put_number(w, FMT_AUDIT_VERSION);
	put_time(w, wall_ns);
	put_point(w, ",\"previous\"", previous);
}

void
fmt_audit_put_head(struct slk_writer *w, uint64_t wall_ns, const struct fmt_audit_point *of,
	const char *public_key, const char *signature)
{
	put(w, "{\"kind\":\"head\"");
	put_time(w, wall_ns);
	put_point(w, ",\"of\"", of);
	put(w, ",\"publicKey\":\"");
	put(w, public_key);
	put(w, "\",\"signature\":\"");
	put(w, signature);
	put(w, "\"");
}

void
fmt_audit_put_torn(
	struct slk_writer *w, uint64_t wall_ns, uint64_t at, uint64_t bytes, const char *sha256)
{
	put(w, "{\"kind\":\"torn\"");
	put_time(w, wall_ns);
	put(w, ",\"at\":");
	put_number(w, at);
	put(w, ",\"bytes\":");
	put_number(w, bytes);
	put(w, ",\"sha256\":\"");
	slk_write_bytes(w, sha256, HEX);
	put(w, "\"");
}

void
fmt_audit_put_withheld(
	struct slk_writer *w, uint64_t wall_ns, uint64_t first, uint64_t last, uint64_t uncounted)
{
	put(w, "{\"kind\":\"withheld\"");
	put_time(w, wall_ns);
	put(w, ",\"first\":");
	put_number(w, first);
	put(w, ",\"last\":");
	put_number(w, last);
	put(w, ",\"uncounted\":");
	put_number(w, uncounted);
}

/* The first 16 bytes of a hash as a UUID of version 8 (RFC 9562, 5.8). */
static void
put_event_id(struct slk_writer *w, const char hash_text[FMT_AUDIT_HASH_TEXT])
{
	static const char variants[] = "89ab";
	char id[FMT_UUID_TEXT];
	size_t at = 0, digit = 0;

	for (; at < FMT_UUID_TEXT - 1; at++)
		id[at] = at == 8 || at == 13 || at == 18 || at == 23 ? '-' : hash_text[digit++];
	id[14] = '8';
	id[19] = variants[(unsigned char)id[19] & 3];
	put(w, ",\"eventID\":\"");
	slk_write_bytes(w, id, at);
	put(w, "\"");
}

void
fmt_audit_put_seal(struct slk_writer *w, const struct fmt_audit_point *previous, bool use,
	const uint64_t *durable)
{
	if (use)
		put_event_id(w, previous->hash);
	if (durable != NULL) {
		put(w, ",\"durable\":");
		put_number(w, *durable);
	}
	put(w, ",\"seq\":");
	put_number(w, previous->seq + 1);
}

void
fmt_audit_put_end(struct slk_writer *w, const char *hash_text)
{
	put(w, ",\"hash\":\"");
	slk_write_bytes(w, hash_text, HEX);
	put(w, "\"}\n");
}

size_t
fmt_audit_head_text(const struct fmt_audit_point *of, char out[FMT_AUDIT_HEAD_TEXT_MAX])
{
	int len = snprintf(out, FMT_AUDIT_HEAD_TEXT_MAX, "sealock-audit-head-1 %llu %s\n",
		(unsigned long long)of->seq, of->hash);

	return len > 0 && len < (int)FMT_AUDIT_HEAD_TEXT_MAX ? (size_t)len : 0;
}
