/* The audit log's lines: how they are numbered, chained and signed. docs/audit.md has the format for auditors.
 *
 * A file is lines of JSON, each ended by one newline. Its first line is a header; every other line has a number and a
 * hash, and they are one chain that goes on through all files of a log:
 *
 *     {"kind":"header","version":1,"eventTime":T,"previous":{"seq":N,"hash":H},"hash":H}
 *     {"eventVersion":...,"eventID":U,"seq":N,"hash":H}                          a use (kms-hsm/audit.h)
 *     {"kind":"head","eventTime":T,"of":{"seq":N,"hash":H},"publicKey":B,"signature":B,"seq":N,"hash":H}
 *     {"kind":"torn","eventTime":T,"at":N,"bytes":N,"sha256":H,"seq":N,"hash":H}
 *     {"kind":"withheld","eventTime":T,"first":N,"last":N,"uncounted":N,"seq":N,"hash":H}
 *     {"kind":...,"seq":N,"hash":H}                                              whatever comes to be
 *
 * The first line of each write to the disk has a member more, before "seq": ,"durable":N is the number up to which all
 * lines were on the disk by then. So what is damaged and was durable is told from what a crash left torn.
 *
 *     N   decimal, 0 .. 2^53, no leading zero          H   64 hex digits, lower case
 *     T   "2026-11-24T10:00:00.123456Z"                B   base64 (RFC 4648, 4)
 *     U   UUID of version 8 made of the first 16 bytes of the hash before it
 *
 * hash = SHA-256 of: the 64 digits of the hash before it, then the bytes of the line up to, not including, ,"hash":
 * A header is no member of the chain: it has no number, and the next line goes on from what "previous" says. The first
 * log of all has number 0 and 64 zeros there.
 *
 * head      the appliance's attestation key signs (format/attest.h, purpose "audit") the SHA-256 of the text
 *           "sealock-audit-head-1 N H\n" of "of", a line before it. publicKey: SubjectPublicKeyInfo in DER.
 * torn      the bytes from offset "at" of this file up to this line are what a crash left of lines that nobody was
 *           answered for; the chain goes on from the line before them.
 * withheld  the answers to what the lines first..last (0: none) say did not leave, for want of a sink; "uncounted" more
 *           requests were refused without a line.
 *
 * Decoding is strict: the members in this order, nothing between them. Bodies of uses are not looked into. Hashes are not
 * computed here (seal/auditchain.h). Thread: any; functions are pure.
 */
#ifndef SLK_FORMAT_AUDIT_H
#define SLK_FORMAT_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define FMT_AUDIT_VERSION 1u
#define FMT_AUDIT_HASH_TEXT 65u /* with terminator */
#define FMT_AUDIT_TIME_TEXT 28u /* with terminator */
#define FMT_AUDIT_LINE_MAX (256u << 10) /* with newline; two contexts, all escaped, are 100 KiB */
#define FMT_AUDIT_HEADER_MAX 512u
#define FMT_AUDIT_SEAL_MAX 208u /* what sealing adds to a body */
#define FMT_AUDIT_NOTE_MAX 768u /* body of any other kind */
#define FMT_AUDIT_KEY_MAX 256u /* base64 of a P-256 key is 124 digits */
#define FMT_AUDIT_SIGNATURE_MAX 128u /* base64 of a DER signature */
#define FMT_AUDIT_HEAD_TEXT_MAX 128u

/* A line and all before it. */
struct fmt_audit_point {
	uint64_t seq;
	char hash[FMT_AUDIT_HASH_TEXT];
};

/* Before the first line of all. */
extern const struct fmt_audit_point fmt_audit_begin;

enum fmt_audit_kind {
	FMT_AUDIT_USE,
	FMT_AUDIT_HEADER,
	FMT_AUDIT_HEAD,
	FMT_AUDIT_TORN,
	FMT_AUDIT_WITHHELD,
	FMT_AUDIT_OTHER, /* a kind of a later release */
};

struct fmt_audit_line {
	enum fmt_audit_kind kind;
	struct slk_span covered; /* of the line: what its hash is over, after the hash before it */
	struct fmt_audit_point self; /* its own; seq is 0 for a header */
	bool says_durable;
	uint64_t durable; /* all up to this one were on the disk before this line was written */
	struct fmt_audit_point named; /* HEADER: previous. HEAD: of */
	struct slk_span time; /* all but USE and OTHER: within quotes */
	struct slk_span public_key, signature; /* HEAD: base64 */
	uint64_t torn_at, torn_bytes; /* TORN */
	char torn_sha256[FMT_AUDIT_HASH_TEXT];
	uint64_t first, last, uncounted; /* WITHHELD */
};

/* line: without its newline; *out borrows from it. SLK_MALFORMED, SLK_BAD_VERSION (a header of a later release),
 * SLK_TOO_LARGE. */
MUST_USE int fmt_audit_decode(struct slk_span line, struct fmt_audit_line *out);

/* --- writing; each sets w's sticky status --- */
/* Unix time, "2026-11-24T10:00:00.123456Z". */
void fmt_audit_time(uint64_t wall_ns, char out[FMT_AUDIT_TIME_TEXT]);
/* What a header's hash covers. */
void fmt_audit_put_header(
	struct slk_writer *w, uint64_t wall_ns, const struct fmt_audit_point *previous);
/* Bodies of other kinds: from { to before ,"seq". public_key, signature: base64. */
void fmt_audit_put_head(struct slk_writer *w, uint64_t wall_ns, const struct fmt_audit_point *of,
	const char *public_key, const char *signature);
void fmt_audit_put_torn(
	struct slk_writer *w, uint64_t wall_ns, uint64_t at, uint64_t bytes, const char *sha256);
void fmt_audit_put_withheld(
	struct slk_writer *w, uint64_t wall_ns, uint64_t first, uint64_t last, uint64_t uncounted);
/* After a body: what its hash covers of the seal. previous: the line before; use: it gets an eventID; durable: NULL if it
 * is not the first of its write. */
void fmt_audit_put_seal(struct slk_writer *w, const struct fmt_audit_point *previous, bool use,
	const uint64_t *durable);
/* The end: hash (64 digits), and the newline. */
void fmt_audit_put_end(struct slk_writer *w, const char *hash);
/* The text whose SHA-256 a head attests; its length. */
size_t fmt_audit_head_text(const struct fmt_audit_point *of, char out[FMT_AUDIT_HEAD_TEXT_MAX]);

#endif
