#include "seal/auditchain.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <openssl/evp.h>

#define SHA256_BYTES 32u
#define HEX 64u

struct seal_chain {
	EVP_MD *sha256;
	EVP_MD_CTX *ctx;
};

void
seal_chain_free(struct seal_chain *chain)
{
	if (chain == NULL)
		return;
	EVP_MD_CTX_free(chain->ctx);
	EVP_MD_free(chain->sha256);
	free(chain);
}

int
seal_chain_new(struct seal_chain **out_chain)
{
	struct seal_chain *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return SLK_NO_MEMORY;
	c->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	c->ctx = EVP_MD_CTX_new();
	if (c->sha256 == NULL || c->ctx == NULL) {
		seal_chain_free(c);
		return SLK_INTERNAL;
	}
	*out_chain = c;
	return SLK_OK;
}

static void
print_hex(const uint8_t *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	out[2 * len] = '\0';
}

static int
digest(struct seal_chain *c, struct slk_span first, struct slk_span second, uint8_t *out)
{
	unsigned len = 0;

	if (EVP_DigestInit_ex2(c->ctx, c->sha256, NULL) != 1 ||
		EVP_DigestUpdate(c->ctx, first.ptr, first.len) != 1 ||
		EVP_DigestUpdate(c->ctx, second.ptr, second.len) != 1 ||
		EVP_DigestFinal_ex(c->ctx, out, &len) != 1 || len != SHA256_BYTES)
		return SLK_INTERNAL;
	return SLK_OK;
}

int
seal_chain_step(struct seal_chain *chain, const char previous[FMT_AUDIT_HASH_TEXT],
	struct slk_span covered, char out[FMT_AUDIT_HASH_TEXT])
{
	uint8_t hash[SHA256_BYTES];

	int rc = digest(chain, slk_span(previous, HEX), covered, hash);
	if (rc == SLK_OK)
		print_hex(hash, sizeof(hash), out);
	return rc;
}

int
seal_chain_sha256(struct seal_chain *chain, struct slk_span bytes, char out[FMT_AUDIT_HASH_TEXT])
{
	uint8_t hash[SHA256_BYTES];

	int rc = digest(chain, bytes, slk_span("", 0), hash);
	if (rc == SLK_OK)
		print_hex(hash, sizeof(hash), out);
	return rc;
}

/* --- going through files --- */

struct seal_scan {
	struct seal_chain *chain;
	struct fmt_audit_point point;
	bool begun;
	uint64_t
		again_until; /* up to this number the lines come a second time, and must be the same */
	char (*remembered)[HEX]; /* ring by number */
	uint64_t *remembered_seq;
	size_t remembered_count;
};

/* One file, or the end of one. */
struct walk {
	struct slk_span in;
	uint64_t base; /* offset of in within the file */
	size_t at; /* of the line */
	uint64_t line_number;
	struct seal_scan_result *result;
};

void
seal_scan_free(struct seal_scan *scan)
{
	if (scan == NULL)
		return;
	seal_chain_free(scan->chain);
	free(scan->remembered);
	free(scan->remembered_seq);
	free(scan);
}

int
seal_scan_new(size_t remembered_count, struct seal_scan **out_scan)
{
	struct seal_scan *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return SLK_NO_MEMORY;
	s->point = fmt_audit_begin;
	s->remembered_count = remembered_count;
	int rc = seal_chain_new(&s->chain);
	if (rc == SLK_OK && remembered_count > 0) {
		s->remembered = calloc(remembered_count, sizeof(*s->remembered));
		s->remembered_seq = calloc(remembered_count, sizeof(*s->remembered_seq));
		if (s->remembered == NULL || s->remembered_seq == NULL)
			rc = SLK_NO_MEMORY;
	}
	if (rc != SLK_OK) {
		seal_scan_free(s);
		return rc;
	}
	*out_scan = s;
	return SLK_OK;
}

const struct fmt_audit_point *
seal_scan_point(const struct seal_scan *scan)
{
	return &scan->point;
}

bool
seal_scan_begun(const struct seal_scan *scan)
{
	return scan->begun;
}

int
seal_scan_hash(const struct seal_scan *scan, uint64_t seq, char out[FMT_AUDIT_HASH_TEXT])
{
	const struct fmt_audit_point *p = &scan->point;
	size_t i = scan->remembered_count > 0 ? (size_t)(seq % scan->remembered_count) : 0;

	if (seq == p->seq && scan->begun) {
		memcpy(out, p->hash, FMT_AUDIT_HASH_TEXT);
		return SLK_OK;
	}
	if (scan->remembered_count == 0 || seq == 0 ||
		(seq > p->seq && seq > scan->again_until) ||
		scan->remembered_seq[i] != seq)
		return SLK_NOT_FOUND;
	memcpy(out, scan->remembered[i], HEX);
	out[HEX] = '\0';
	return SLK_OK;
}

static void
go_to(struct seal_scan *s, const struct fmt_audit_point *p)
{
	s->point = *p;
	s->begun = true;
	if (s->remembered_count == 0 || p->seq == 0)
		return;
	size_t i = (size_t)(p->seq % s->remembered_count);
	s->remembered_seq[i] = p->seq;
	memcpy(s->remembered[i], p->hash, HEX);
}

static int fault(const struct seal_scan *s, struct walk *w, enum seal_scan_fault kind,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

static int
fault(const struct seal_scan *s, struct walk *w, enum seal_scan_fault kind, const char *fmt, ...)
{
	struct seal_scan_result *r = w->result;
	va_list args;

	r->fault = kind;
	r->offset = w->base + w->at;
	r->line_number = w->line_number;
	r->seq = s->point.seq + 1;
	va_start(args, fmt);
	(void)vsnprintf(r->text, sizeof(r->text), fmt, args);
	va_end(args);
	return SLK_CORRUPT;
}

#define U(n) ((unsigned long long)(n))

/* The line at w->at without its newline; false if it has no end. */
static bool
next_line(const struct walk *w, size_t at, struct slk_span *out_text)
{
	const uint8_t *first = w->in.ptr + at;
	const uint8_t *end = memchr(first, '\n', w->in.len - at);

	*out_text = slk_span(first, end != NULL ? (size_t)(end - first) : w->in.len - at);
	return end != NULL;
}

static int
check_line(struct seal_scan *s, struct walk *w, const struct fmt_audit_line *l)
{
	char hash[FMT_AUDIT_HASH_TEXT], before[FMT_AUDIT_HASH_TEXT];
	uint64_t due = s->point.seq + 1;

	if (l->self.seq > due)
		return fault(s, w, SEAL_SCAN_MISSING,
			"line %llu is here where line %llu is due: %llu are missing",
			U(l->self.seq), U(due), U(l->self.seq - due));
	if (l->self.seq < due)
		return fault(s, w, SEAL_SCAN_EXTRA,
			"line %llu is here where line %llu is due: it was put in or moved",
			U(l->self.seq), U(due));
	int rc = seal_chain_step(s->chain, s->point.hash, l->covered, hash);
	if (rc != SLK_OK)
		return rc;
	if (memcmp(hash, l->self.hash, HEX) != 0)
		return fault(s, w, SEAL_SCAN_CHANGED,
			"line %llu does not fit its hash and the line before it: it was changed, "
			"or "
			"put in place of another",
			U(due));
	if (due <= s->again_until && seal_scan_hash(s, due, before) == SLK_OK &&
		memcmp(before, hash, HEX) != 0)
		return fault(s, w, SEAL_SCAN_OTHER_CHAIN,
			"line %llu is another one than in the file before", U(due));
	return SLK_OK;
}

/* Where a file begins. */
static int
take_header(struct seal_scan *s, struct walk *w, const struct fmt_audit_line *l)
{
	char hash[FMT_AUDIT_HASH_TEXT], before[FMT_AUDIT_HASH_TEXT];
	const struct fmt_audit_point *p = &l->named;

	int rc = seal_chain_step(s->chain, p->hash, l->covered, hash);
	if (rc != SLK_OK)
		return rc;
	if (memcmp(hash, l->self.hash, HEX) != 0)
		return fault(s, w, SEAL_SCAN_NO_HEADER, "the header does not fit its hash");
	s->again_until = 0;
	if (s->begun && p->seq > s->point.seq)
		return fault(s, w, SEAL_SCAN_OTHER_CHAIN,
			"this file goes on after line %llu, and the one before it ends with %llu: "
			"%llu "
			"are missing",
			U(p->seq), U(s->point.seq), U(p->seq - s->point.seq));
	if (s->begun &&
		(seal_scan_hash(s, p->seq, before) != SLK_OK || memcmp(before, p->hash, HEX) != 0))
		return fault(s, w, SEAL_SCAN_OTHER_CHAIN,
			"this file goes on after a line %llu that is not the one of the file "
			"before",
			U(p->seq));
	/* A file whose flush failed is given up, and what it could not be believed to hold is written again. */
	if (s->begun && p->seq < s->point.seq)
		s->again_until = s->point.seq;
	uint64_t again = s->again_until;
	go_to(s, p);
	s->again_until = again;
	return SLK_OK;
}

/* Does anything behind the damage at w->at say that line `due` was on the disk? Then no crash tore it. */
static bool
was_durable(const struct walk *w, uint64_t due, size_t end)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	struct slk_span text;

	for (size_t at = w->at; at < end && next_line(w, at, &text); at += text.len + 1) {
		if (fmt_audit_decode(text, &line) != SLK_OK)
			continue;
		if ((line.says_durable && line.durable >= due && line.self.seq > due) ||
			(line.kind == FMT_AUDIT_HEAD && line.named.seq >= due))
			return true;
	}
	return false;
}

/* Is the line at `at` one that says that everything from w->at to it is torn? */
static bool
is_torn_mark(struct seal_scan *s, const struct walk *w, size_t at, struct slk_span text,
	struct fmt_audit_line *out)
{
	static const char begin[] = "{\"kind\":\"torn\",";
	char hash[FMT_AUDIT_HASH_TEXT];

	if (text.len < sizeof(begin) || memcmp(text.ptr, begin, sizeof(begin) - 1) != 0 ||
		fmt_audit_decode(text, out) != SLK_OK || out->kind != FMT_AUDIT_TORN ||
		out->torn_at != w->base + w->at || out->torn_bytes != at - w->at ||
		out->self.seq != s->point.seq + 1)
		return false;
	return seal_chain_sha256(s->chain, slk_span(w->in.ptr + w->at, at - w->at), hash) ==
		SLK_OK &&
		memcmp(hash, out->torn_sha256, HEX) == 0 &&
		seal_chain_step(s->chain, s->point.hash, out->covered, hash) == SLK_OK &&
		memcmp(hash, out->self.hash, HEX) == 0 && !was_durable(w, s->point.seq + 1, at);
}

/* A crash left something at w->at; does a line behind it say so? *out: that line, which is sound then. */
static bool
find_torn_mark(
	struct seal_scan *s, const struct walk *w, struct fmt_audit_line *out, size_t *out_at)
{
	struct slk_span text;

	for (size_t at = w->at; at < w->in.len && at - w->at <= SEAL_AUDIT_TORN_MAX;
		at += text.len + 1) {
		if (!next_line(w, at, &text))
			return false;
		if (is_torn_mark(s, w, at, text, out)) {
			*out_at = at;
			return true;
		}
	}
	return false;
}

static int
read_line(
	struct seal_scan *s, struct walk *w, struct slk_span *out_text, struct fmt_audit_line *out)
{
	if (!next_line(w, w->at, out_text))
		return fault(s, w, SEAL_SCAN_TORN, "line %llu has no end: the file ends within it",
			U(s->point.seq + 1));
	int rc = fmt_audit_decode(*out_text, out);
	if (rc == SLK_BAD_VERSION)
		return fault(s, w, SEAL_SCAN_NO_HEADER,
			"the file is of a later release, whose format this one does not know");
	if (rc != SLK_OK)
		return fault(s, w, SEAL_SCAN_MALFORMED,
			"where line %llu is due there is no line of an audit log: %s",
			U(s->point.seq + 1), slk_status_sentence(rc));
	if (out->kind == FMT_AUDIT_HEADER)
		return take_header(s, w, out);
	return check_line(s, w, out);
}

/* From w->at to the end. */
static int
walk_lines(struct seal_scan *s, struct walk *w, seal_scan_fn each, void *arg)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	struct slk_span text;

	while (w->at < w->in.len) {
		size_t at = w->at;
		int rc = read_line(s, w, &text, &line);
		if (rc == SLK_CORRUPT && find_torn_mark(s, w, &line, &at)) {
			w->at = at;
			w->line_number++; /* what is torn counts as one */
			(void)next_line(w, at, &text);
			rc = SLK_OK;
		}
		if (rc != SLK_OK)
			return rc;
		if (line.kind != FMT_AUDIT_HEADER)
			go_to(s, &line.self);
		rc = each != NULL ? each(arg, &line, text, w->base + w->at) : SLK_OK;
		if (rc != SLK_OK)
			return rc;
		w->at += text.len + 1;
		w->line_number++;
	}
	*w->result = (struct seal_scan_result){
		.offset = w->base + w->at, .line_number = w->line_number, .seq = s->point.seq + 1};
	return SLK_OK;
}

/* The header that begins a file. */
static int
walk_header(struct seal_scan *s, struct walk *w, seal_scan_fn each, void *arg)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	struct slk_span text = {NULL, 0};
	bool ended = w->in.len > 0 && next_line(w, 0, &text);
	int rc = ended ? fmt_audit_decode(text, &line) : SLK_MALFORMED;

	if (rc != SLK_OK || line.kind != FMT_AUDIT_HEADER)
		return fault(s, w, SEAL_SCAN_NO_HEADER, "%s",
			rc == SLK_BAD_VERSION ? "the file is of a later release, whose format this "
						"one does not know"
					      : "the file does not begin with a header");
	rc = take_header(s, w, &line);
	if (rc == SLK_OK && each != NULL)
		rc = each(arg, &line, text, 0);
	if (rc != SLK_OK)
		return rc;
	w->at = text.len + 1;
	w->line_number = 2;
	return SLK_OK;
}

int
seal_scan_file(struct seal_scan *scan, struct slk_span file, seal_scan_fn each, void *arg,
	struct seal_scan_result *out_result)
{
	struct walk w = {.in = file, .line_number = 1, .result = out_result};

	*out_result = (struct seal_scan_result){.fault = SEAL_SCAN_SOUND};
	int rc = walk_header(scan, &w, each, arg);
	return rc == SLK_OK ? walk_lines(scan, &w, each, arg) : rc;
}

/* Believe the next line that can be read, from w->at on. False: there is none. */
static bool
believe_next(struct seal_scan *s, struct walk *w)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	struct slk_span text;

	while (w->at < w->in.len && next_line(w, w->at, &text)) {
		w->at += text.len + 1;
		w->line_number++;
		if (fmt_audit_decode(text, &line) != SLK_OK || line.kind == FMT_AUDIT_HEADER)
			continue;
		go_to(s, &line.self);
		return true;
	}
	return false;
}

int
seal_scan_resume(struct seal_scan *scan, struct slk_span bytes, uint64_t offset,
	struct seal_scan_result *out_result, struct seal_scan_result *out_damaged)
{
	struct walk w = {.in = bytes, .base = offset, .line_number = 1, .result = out_result};
	struct slk_span text = {NULL, 0};

	*out_damaged = *out_result = (struct seal_scan_result){.fault = SEAL_SCAN_SOUND};
	if (offset == 0) {
		int rc = walk_header(scan, &w, NULL, NULL);
		if (rc != SLK_OK)
			return rc;
	} else {
		bool ended = bytes.len > 0 && next_line(&w, 0, &text);
		w.at = ended ? text.len + 1 : bytes.len;
		if (!believe_next(scan, &w))
			return fault(
				scan, &w, SEAL_SCAN_MALFORMED, "no line of an audit log is here");
	}
	int rc;
	while ((rc = walk_lines(scan, &w, NULL, NULL)) == SLK_CORRUPT &&
		was_durable(&w, scan->point.seq + 1, bytes.len)) {
		if (out_damaged->fault == SEAL_SCAN_SOUND)
			*out_damaged = *out_result;
		if (!believe_next(scan, &w))
			break;
	}
	return rc == SLK_CORRUPT ? SLK_OK : rc;
}
