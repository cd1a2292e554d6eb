/* Keys of objects: see names.h. */
#include "delivery/names.h"

#include <stdio.h>

#include "delivery/timefmt.h"

#define PREFIX_MAX 1024u /* bytes, of Prefix and ErrorOutputPrefix as they are given */
#define EXTENSION_MAX 128u
#define DEFAULT_PATTERN "yyyy/MM/dd/HH/"
#define RANDOM_LETTERS 11u
/* The service's own words, its slip included: clients compare them. */
#define CONSTRAINT "Ths supplied prefix(es) do not satisfy the following constraint: "

#define LONGEST_ERROR_TYPE "AmazonOpenSearchService-failed"
/* A Wednesday in September, 22:58:59.123456789: no other time is longer in any letter. */
#define LONGEST_INSTANT_NS UINT64_C(1790809139123456789)

enum piece_kind { LITERAL, TIMESTAMP, RANDOM_STRING, ERROR_OUTPUT_TYPE, KINDS };

struct piece {
	enum piece_kind kind;
	struct slk_span text; /* of a literal; the pattern of a timestamp */
};

static size_t
find(struct slk_span in, const char *what)
{
	const uint8_t *at = in.len > 0 ? memmem(in.ptr, in.len, what, strlen(what)) : NULL;

	return at != NULL ? (size_t)(at - in.ptr) : in.len;
}

static struct slk_span
part(struct slk_span in, size_t from, size_t to)
{
	return slk_span(in.ptr + from, to - from);
}

static bool
is(struct slk_span text, const char *what)
{
	return slk_span_equal(text, slk_span_str(what));
}

/* inside: what stands between "!{" and "}". */
static int
read_expression(struct slk_span inside, struct piece *out, struct slk_error *err)
{
	size_t colon = find(inside, ":");
	int shown = (int)(inside.len < 128 ? inside.len : 128);

	if (colon == inside.len || colon + 1 == inside.len)
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT
			"!{ can only appear in !{namespace:value} expressions, and !{%.*s} is none",
			shown, (const char *)inside.ptr);
	struct slk_span namespace = part(inside, 0, colon);
	struct slk_span value = part(inside, colon + 1, inside.len);
	if (is(namespace, "timestamp")) {
		*out = (struct piece){TIMESTAMP, value};
		return SLK_OK;
	}
	if (is(inside, "firehose:random-string")) {
		*out = (struct piece){.kind = RANDOM_STRING};
		return SLK_OK;
	}
	if (is(inside, "firehose:error-output-type")) {
		*out = (struct piece){.kind = ERROR_OUTPUT_TYPE};
		return SLK_OK;
	}
	if (is(namespace, "partitionKeyFromQuery") || is(namespace, "partitionKeyFromLambda"))
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT "!{%.*s} needs dynamic partitioning, which is not supported",
			shown, (const char *)inside.ptr);
	return slk_fail(err, SLK_INVALID,
		CONSTRAINT "!{%.*s} is not an expression; namespaces are timestamp and firehose "
			   "(random-string, "
			   "error-output-type)",
		shown, (const char *)inside.ptr);
}

/* The next piece of what is left. SLK_END behind the last. */
static int
next_piece(struct slk_span *rest, struct piece *out, struct slk_error *err)
{
	if (rest->len == 0)
		return SLK_END;
	size_t begin = find(*rest, "!{");
	if (begin > 0) {
		*out = (struct piece){LITERAL, part(*rest, 0, begin)};
		*rest = part(*rest, begin, rest->len);
		return SLK_OK;
	}
	size_t end = find(*rest, "}");
	if (end == rest->len)
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT
			"!{ can only appear in !{namespace:value} expressions, and one has no }");
	int rc = read_expression(part(*rest, 2, end), out, err);
	*rest = part(*rest, end + 1, rest->len);
	return rc;
}

/* SplitMix64's finaliser (Steele et al., 2014) over FNV-1a. */
static uint64_t
mix(const char *id, unsigned index)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * UINT64_C(0x100000001b3);
	h += (index + 1) * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
	return h ^ (h >> 31);
}

/* Spreads keys over a store, no more: the same for the same batch and place. */
static void
put_random(struct slk_writer *out, const char *id, unsigned index)
{
	static const char letters[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	uint64_t h = mix(id, index);

	for (unsigned i = 0; i < RANDOM_LETTERS; i++, h /= 62)
		slk_write_u8(out, (uint8_t)letters[h % 62]);
}

/* What a key is made with. */
struct making {
	const struct dlv_name *name;
	struct dlv_time time;
	struct slk_writer *out;
	unsigned seen[KINDS];
};

static int
put_pieces(const char *prefix, struct making *m, struct slk_error *err)
{
	struct slk_span rest = slk_span_str(prefix);
	struct piece piece = {.kind = LITERAL};
	int rc;

	memset(m->seen, 0, sizeof(m->seen));
	while ((rc = next_piece(&rest, &piece, err)) == SLK_OK) {
		if (piece.kind == LITERAL)
			slk_write_bytes(m->out, piece.text.ptr, piece.text.len);
		else if (piece.kind == RANDOM_STRING)
			put_random(m->out, m->name->id, m->seen[RANDOM_STRING]);
		else if (piece.kind == ERROR_OUTPUT_TYPE && m->name->error_type != NULL)
			slk_write_bytes(m->out, m->name->error_type, strlen(m->name->error_type));
		else if (piece.kind == TIMESTAMP)
			rc = dlv_timefmt_print(piece.text, &m->time, m->out, err);
		if (rc != SLK_OK)
			return rc;
		m->seen[piece.kind]++;
	}
	return rc == SLK_END ? SLK_OK : rc;
}

static int
put_default_time(struct making *m)
{
	return dlv_timefmt_print(slk_span_str(DEFAULT_PATTERN), &m->time, m->out, NULL);
}

static int
put_prefix(const struct dlv_s3 *s3, struct making *m, struct slk_error *err)
{
	int rc = put_pieces(s3->prefix, m, err);

	return rc == SLK_OK && m->seen[TIMESTAMP] == 0 ? put_default_time(m) : rc;
}

/* One with expressions stands for all that there is; to others the type and the time are added. */
static int
put_error_prefix(const struct dlv_s3 *s3, struct making *m, struct slk_error *err)
{
	const char *prefix = s3->error_prefix[0] != '\0' ? s3->error_prefix : s3->prefix;
	int rc = put_pieces(prefix, m, err);

	if (rc != SLK_OK || m->seen[ERROR_OUTPUT_TYPE] > 0)
		return rc;
	slk_write_bytes(m->out, m->name->error_type, strlen(m->name->error_type));
	slk_write_u8(m->out, '/');
	return put_default_time(m);
}

static const char *
extension_of(const struct dlv_s3 *s3)
{
	if (s3->extension[0] != '\0')
		return s3->extension;
	return s3->compression == DLV_GZIP ? ".gz" : s3->compression == DLV_ZSTD ? ".zst" : "";
}

static void
put_suffix(const struct dlv_s3 *s3, struct making *m)
{
	const struct tm *tm = &m->time.local;
	char text[256];

	int len = snprintf(text, sizeof(text), "%s-%llu-%04d-%02d-%02d-%02d-%02d-%02d-%s",
		m->name->stream, (unsigned long long)m->name->version, tm->tm_year + 1900,
		tm->tm_mon + 1, tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec, m->name->id);
	if (len < 0 || (size_t)len >= sizeof(text))
		m->out->status = SLK_FULL;
	else
		slk_write_bytes(m->out, text, (size_t)len);
	slk_write_bytes(m->out, extension_of(s3), strlen(extension_of(s3)));
}

int
dlv_names_key(const struct dlv_s3 *s3, const struct dlv_name *name, char out[DLV_KEY_MAX])
{
	uint8_t key[DLV_KEY_MAX];
	struct slk_writer w = slk_writer(key, sizeof(key) - 1);
	struct making m = {.name = name, .out = &w};

	int rc = dlv_time_at(s3->time_zone, name->instant_ns, &m.time);
	if (rc == SLK_OK)
		rc = name->error_type != NULL ? put_error_prefix(s3, &m, NULL)
					      : put_prefix(s3, &m, NULL);
	if (rc != SLK_OK)
		return rc;
	put_suffix(s3, &m);
	if (w.status != SLK_OK)
		return SLK_TOO_LARGE;
	memcpy(out, key, w.len);
	out[w.len] = '\0';
	return SLK_OK;
}

bool
dlv_names_has_expression(const char *prefix)
{
	return strstr(prefix, "!{") != NULL;
}

static int
check_zone(const struct dlv_s3 *s3, struct dlv_time *out, struct slk_error *err)
{
	int rc = dlv_time_at(s3->time_zone, LONGEST_INSTANT_NS, out);

	if (rc == SLK_OK)
		return SLK_OK;
	return slk_fail(err, SLK_INVALID,
		"CustomTimeZone %.60s is not a time zone of the zone database: %s", s3->time_zone,
		slk_status_sentence(rc));
}

static int
check_extension(const char *extension, struct slk_error *err)
{
	size_t len = strlen(extension);

	if (len == 0)
		return SLK_OK;
	if (len > EXTENSION_MAX || extension[0] != '.' || len < 2 ||
		strspn(extension + 1, "0123456789abcdefghijklmnopqrstuvwxyz!-_.*'()") != len - 1)
		return slk_fail(err, SLK_INVALID,
			"FileExtension has to begin with a dot, with at most %u of 0-9 a-z ! - _ . "
			"* ' ( ) in all",
			EXTENSION_MAX);
	return SLK_OK;
}

/* How long is what a prefix can become, and is it well formed? *seen: KINDS. */
static int
check_prefix(const char *member, const char *prefix, const struct dlv_time *time, unsigned *seen,
	struct slk_error *err)
{
	uint8_t text[DLV_PREFIX_EVALUATED_MAX];
	struct slk_writer w = slk_writer(text, sizeof(text));
	struct dlv_name longest = {.stream = "", .id = "", .error_type = LONGEST_ERROR_TYPE};
	struct making m = {.name = &longest, .time = *time, .out = &w};

	if (strlen(prefix) > PREFIX_MAX)
		return slk_fail(
			err, SLK_INVALID, "%s has more than %u characters", member, PREFIX_MAX);
	int rc = put_pieces(prefix, &m, err);
	if (rc != SLK_OK)
		return rc;
	if (w.status != SLK_OK)
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT "%s cannot be greater than %u characters after it is evaluated",
			member, DLV_PREFIX_EVALUATED_MAX);
	memcpy(seen, m.seen, sizeof(m.seen));
	return SLK_OK;
}

int
dlv_names_check(const struct dlv_s3 *s3, struct slk_error *err)
{
	unsigned in_prefix[KINDS] = {0};
	unsigned in_error[KINDS] = {0};
	struct dlv_time time;

	int rc = check_zone(s3, &time, err);
	if (rc == SLK_OK)
		rc = check_extension(s3->extension, err);
	if (rc == SLK_OK)
		rc = check_prefix("Prefix", s3->prefix, &time, in_prefix, err);
	if (rc == SLK_OK)
		rc = check_prefix("ErrorOutputPrefix", s3->error_prefix, &time, in_error, err);
	if (rc != SLK_OK)
		return rc;
	if (in_prefix[ERROR_OUTPUT_TYPE] > 0)
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT "Prefix cannot contain !{firehose:error-output-type}");
	if (in_prefix[TIMESTAMP] + in_prefix[RANDOM_STRING] > 0 && s3->error_prefix[0] == '\0')
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT "ErrorOutputPrefix cannot be null or empty when Prefix contains "
				   "expressions");
	if (in_error[TIMESTAMP] + in_error[RANDOM_STRING] > 0 && in_error[ERROR_OUTPUT_TYPE] == 0)
		return slk_fail(err, SLK_INVALID,
			CONSTRAINT "ErrorOutputPrefix has to contain !{firehose:error-output-type} "
				   "when it contains "
				   "expressions");
	return SLK_OK;
}
