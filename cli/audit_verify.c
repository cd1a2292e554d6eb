/* sealock audit verify: the chain and the signed heads of the audit log, from its files alone. */
#include "audit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auditlog.h"
#include "seal/attest.h"
#include "seal/auditchain.h"
#include "seal/audithead.h"
#include "sidefiles.h"
#include "text.h"

#define REMEMBERED (1u << 16) /* lines back to which a head may reach */
#define PAUSE_MS 200u /* for kmsd to end the line that it is writing */

struct verify {
	struct cli *cli;
	char **paths;
	size_t paths_count;
	const char *key_file, *head_text;
	struct seal_attest_keys *trusted; /* NULL: whoever signed */
	bool expects;
	struct fmt_audit_point expected; /* --head */
	bool expected_seen;

	struct seal_scan *scan;
	struct seal_scan_result result;
	const char *path; /* of the file that is read */
	struct fmt_audit_point begin;
	bool begun;
	uint64_t uses, torn, torn_bytes, withheld, uncounted;
	uint64_t heads, heads_beyond; /* that fit; that name lines before the first file */
	uint64_t signed_seq;
	char signed_time[FMT_AUDIT_TIME_TEXT];
	char key_sha256[2 * SEAL_SHA256_BYTES + 1]; /* of the last one */
	unsigned keys; /* different ones, one after the other */
	char bad[320]; /* what the walk does not find; "" */
};

static int found(struct verify *v, const struct fmt_audit_line *line, uint64_t offset,
	const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* A bad entry that is sound as a link of the chain. */
static int
found(struct verify *v, const struct fmt_audit_line *line, uint64_t offset, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(v->bad, sizeof(v->bad), fmt, args);
	va_end(args);
	v->result = (struct seal_scan_result){.offset = offset, .seq = line->self.seq};
	return SLK_CORRUPT;
}

#define U(n) ((unsigned long long)(n))

static int
check_signature(struct verify *v, const struct fmt_audit_line *line, uint64_t offset)
{
	uint8_t der[SEAL_AUDIT_KEY_MAX], hash[SEAL_SHA256_BYTES];
	char hex[2 * SEAL_SHA256_BYTES + 1];
	size_t len = 0;

	if (seal_audit_head_verify(line, der, &len) != SLK_OK)
		return found(v, line, offset, "the signature of the head in line %llu does not fit",
			U(line->self.seq));
	if (seal_sha256(slk_span(der, len), hash) != SLK_OK)
		return SLK_INTERNAL;
	slk_hex(slk_span(hash, sizeof(hash)), hex, sizeof(hex));
	if (v->trusted != NULL && !seal_attest_keys_has(v->trusted, slk_span(der, len)))
		return found(v, line, offset,
			"the head in line %llu was signed by another key (SHA-256 %s)",
			U(line->self.seq), hex);
	v->keys += strcmp(hex, v->key_sha256) != 0;
	memcpy(v->key_sha256, hex, sizeof(hex));
	return SLK_OK;
}

static int
check_head(struct verify *v, const struct fmt_audit_line *line, uint64_t offset)
{
	char hash[FMT_AUDIT_HASH_TEXT];

	int rc = check_signature(v, line, offset);
	if (rc != SLK_OK)
		return rc;
	if (seal_scan_hash(v->scan, line->named.seq, hash) != SLK_OK) {
		if (line->named.seq > v->begin.seq && line->named.seq + REMEMBERED > line->self.seq)
			return found(v, line, offset,
				"the head in line %llu names line %llu, which is not before it",
				U(line->self.seq), U(line->named.seq));
		v->heads_beyond++;
		return SLK_OK;
	}
	if (strcmp(hash, line->named.hash) != 0)
		return found(v, line, offset,
			"the head in line %llu was signed for another line %llu than the one that "
			"is here: the log was rewritten",
			U(line->self.seq), U(line->named.seq));
	v->heads++;
	v->signed_seq = line->named.seq;
	memcpy(v->signed_time, line->time.ptr, FMT_AUDIT_TIME_TEXT - 1);
	return SLK_OK;
}

static int
check_expected(struct verify *v, const struct fmt_audit_line *line, uint64_t offset)
{
	if (!v->expects || line->self.seq != v->expected.seq || line->kind == FMT_AUDIT_HEADER)
		return SLK_OK;
	v->expected_seen = true;
	if (strcmp(line->self.hash, v->expected.hash) != 0)
		return found(v, line, offset,
			"line %llu is another one than --head names: the log was rewritten",
			U(line->self.seq));
	return SLK_OK;
}

static int
on_line(void *arg, const struct fmt_audit_line *line, struct slk_span text, uint64_t offset)
{
	struct verify *v = arg;
	(void)text;

	if (line->kind == FMT_AUDIT_HEADER && !v->begun) {
		v->begin = line->named;
		v->begun = true;
		v->expected_seen = v->expects && line->named.seq == v->expected.seq &&
			strcmp(line->named.hash, v->expected.hash) == 0;
	}
	v->uses += line->kind == FMT_AUDIT_USE;
	if (line->kind == FMT_AUDIT_TORN) {
		v->torn++;
		v->torn_bytes += line->torn_bytes;
	} else if (line->kind == FMT_AUDIT_WITHHELD) {
		v->withheld += line->last > 0 ? line->last - line->first + 1 : 0;
		v->uncounted += line->uncounted;
	} else if (line->kind == FMT_AUDIT_HEAD) {
		int rc = check_head(v, line, offset);
		if (rc != SLK_OK)
			return rc;
	}
	return check_expected(v, line, offset);
}

/* --- files --- */

/* As editors count, whatever is torn before. */
static uint64_t
line_number(struct slk_span bytes, uint64_t offset)
{
	uint64_t lines = 1;

	for (size_t i = 0; i < bytes.len && i < offset; i++)
		lines += bytes.ptr[i] == '\n';
	return lines;
}

static int
walk_file(struct verify *v, const struct cli_audit_file *file, struct slk_error *err)
{
	struct slk_span bytes;

	v->path = file->path;
	int rc = cli_audit_map(file->path, &bytes, err);
	if (rc != SLK_OK)
		return rc;
	rc = seal_scan_file(v->scan, bytes, on_line, v, &v->result);
	if (rc == SLK_CORRUPT)
		v->result.line_number = line_number(bytes, v->result.offset);
	cli_audit_unmap(bytes);
	if (rc != SLK_OK && rc != SLK_CORRUPT)
		return slk_fail(
			err, rc, "cannot verify %s: %s", file->path, slk_status_sentence(rc));
	return rc;
}

static void
forget(struct verify *v)
{
	const struct verify kept = *v;

	seal_scan_free(v->scan);
	*v = (struct verify){.cli = kept.cli,
		.paths = kept.paths,
		.paths_count = kept.paths_count,
		.key_file = kept.key_file,
		.head_text = kept.head_text,
		.trusted = kept.trusted,
		.expects = kept.expects,
		.expected = kept.expected};
}

/* SLK_CORRUPT: v->result and v->bad say what. */
static int
walk(struct verify *v, const struct cli_audit_log *log, struct slk_error *err)
{
	forget(v);
	int rc = seal_scan_new(REMEMBERED, &v->scan);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot verify: %s", slk_status_sentence(rc));
	for (size_t i = 0; rc == SLK_OK && i < log->count; i++)
		rc = walk_file(v, &log->files[i], err);
	return rc;
}

/* What only the whole shows. */
static int
check_end(struct verify *v)
{
	const struct fmt_audit_point *end = seal_scan_point(v->scan);
	const struct fmt_audit_line last = {.self = *end};

	if (v->expects && !v->expected_seen && v->expected.seq > end->seq)
		return found(v, &last, v->result.offset,
			"the log ends with line %llu, and --head names line %llu: the last %llu "
			"lines were cut off",
			U(end->seq), U(v->expected.seq), U(v->expected.seq - end->seq));
	if (v->expects && !v->expected_seen)
		return found(v, &last, v->result.offset,
			"--head names line %llu, which is before the first of these files",
			U(v->expected.seq));
	if (v->trusted != NULL && v->heads == 0)
		return found(v, &last, v->result.offset,
			"no head in these files was signed by a key of %s", v->key_file);
	return SLK_OK;
}

static int
verify_log(struct verify *v, struct slk_error *err)
{
	struct cli_audit_log log = {NULL, 0};

	int rc = cli_audit_find(v->paths, v->paths_count, &log, err);
	if (rc != SLK_OK)
		return rc;
	rc = walk(v, &log, err);
	/* kmsd may be writing the last line right now. */
	if (rc == SLK_CORRUPT && v->result.fault == SEAL_SCAN_TORN &&
		strcmp(v->path, log.files[log.count - 1].path) == 0 && cli_pause(PAUSE_MS))
		rc = walk(v, &log, err);
	char *path = rc == SLK_CORRUPT ? strdup(v->path) : NULL; /* outlives the list */
	if (rc == SLK_OK)
		rc = check_end(v);
	if (rc == SLK_CORRUPT && path == NULL)
		path = strdup(log.files[log.count - 1].path);
	v->path = path;
	cli_audit_fini(&log);
	return rc;
}

/* --- results --- */

static void
print_good(struct verify *v)
{
	const struct fmt_audit_point *end = seal_scan_point(v->scan);
	struct cli_out *out = v->cli->out;

	cli_out_printf(out, "sound: lines %llu to %llu are one chain, %llu of them uses\n",
		U(v->begin.seq + 1), U(end->seq), U(v->uses));
	if (v->heads > 0)
		cli_out_printf(out,
			"signed: %llu heads fit, the last one of %s up to line %llu; %llu lines "
			"after it are not signed yet\n"
			"key: SHA-256 %s%s\n",
			U(v->heads), v->signed_time, U(v->signed_seq), U(end->seq - v->signed_seq),
			v->key_sha256,
			v->trusted != NULL ? "" : ", not compared with any (--public-key)");
	else
		cli_out_text(out, "signed: no head is in these files\n");
	if (v->torn > 0)
		cli_out_printf(out, "torn: %llu times, %llu bytes, left by crashes and marked\n",
			U(v->torn), U(v->torn_bytes));
	if (v->withheld + v->uncounted > 0)
		cli_out_printf(out,
			"withheld: the answers to %llu lines did not leave; %llu more requests "
			"were refused without a line\n",
			U(v->withheld), U(v->uncounted));
	cli_out_printf(out, "head: %llu:%s\n", U(end->seq), end->hash);
}

static void
print_bad(const struct verify *v)
{
	cli_out_printf(v->cli->out, "NOT SOUND: %s, offset %llu", v->path, U(v->result.offset));
	if (v->result.line_number > 0)
		cli_out_printf(v->cli->out, " (line %llu of the file)", U(v->result.line_number));
	cli_out_printf(v->cli->out, ": %s\n", v->bad[0] != '\0' ? v->bad : v->result.text);
}

static void
print_json(struct verify *v, int rc)
{
	const struct fmt_audit_point *end = seal_scan_point(v->scan);
	yajl_gen json = cli_json_begin(v->cli->out, false);

	cli_json_map(json);
	cli_json_bool(json, "sound", rc == SLK_OK);
	if (rc != SLK_OK) {
		cli_json_key(json, "bad");
		cli_json_map(json);
		cli_json_str(json, "file", v->path);
		cli_json_u64(json, "offset", v->result.offset);
		cli_json_u64(json, "line", v->result.line_number);
		cli_json_u64(json, "seq", v->result.seq);
		cli_json_str(json, "why", v->bad[0] != '\0' ? v->bad : v->result.text);
		cli_json_map_end(json);
	}
	cli_json_u64(json, "first_seq", v->begin.seq + 1);
	cli_json_u64(json, "last_seq", end->seq);
	cli_json_str(json, "last_hash", end->hash);
	cli_json_u64(json, "uses", v->uses);
	cli_json_u64(json, "heads", v->heads);
	cli_json_u64(json, "signed_seq", v->signed_seq);
	cli_json_str(json, "signed_time", v->signed_time);
	cli_json_str(json, "key_sha256", v->key_sha256);
	cli_json_bool(json, "key_pinned", v->trusted != NULL);
	cli_json_u64(json, "keys", v->keys);
	cli_json_u64(json, "torn", v->torn);
	cli_json_u64(json, "torn_bytes", v->torn_bytes);
	cli_json_u64(json, "withheld", v->withheld);
	cli_json_u64(json, "uncounted", v->uncounted);
	cli_json_map_end(json);
	cli_json_end(json);
}

/* --- the command --- */

enum { OPT_PUBLIC_KEY = 'p', OPT_HEAD = 'H' };

/* "N:HASH", or a file with a head's line. */
static int
read_expected(struct verify *v, struct slk_error *err)
{
	struct fmt_audit_line line = {.kind = FMT_AUDIT_OTHER};
	const char *text = v->head_text, *colon = strchr(text, ':');
	struct slk_span bytes;
	char number[24];

	if (colon != NULL && (size_t)(colon - text) < sizeof(number) &&
		strlen(colon + 1) == FMT_AUDIT_HASH_TEXT - 1) {
		(void)snprintf(number, sizeof(number), "%.*s", (int)(colon - text), text);
		(void)strcpy(v->expected.hash, colon + 1);
		v->expects = true;
		if (cli_u64_parse(number, UINT64_MAX, &v->expected.seq) == SLK_OK)
			return SLK_OK;
	}
	int rc = cli_audit_map(text, &bytes, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(
			err, "--head wants NUMBER:HASH, or a file with the line of a head");
	const uint8_t *end = bytes.len > 0 ? memchr(bytes.ptr, '\n', bytes.len) : NULL;
	size_t len = end != NULL ? (size_t)(end - bytes.ptr) : bytes.len;
	rc = fmt_audit_decode(slk_span(bytes.ptr, len), &line);
	if (rc == SLK_OK && line.kind == FMT_AUDIT_HEAD)
		v->expected = line.named;
	else
		rc = slk_fail(err, SLK_INVALID, "%s does not hold the line of a head", text);
	cli_audit_unmap(bytes);
	v->expects = rc == SLK_OK;
	return rc;
}

static error_t
parse_verify(int key, char *arg, struct argp_state *state)
{
	struct verify *v = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = v->cli;
		return 0;
	case OPT_PUBLIC_KEY:
		v->key_file = arg;
		return 0;
	case OPT_HEAD:
		v->head_text = arg;
		return 0;
	case ARGP_KEY_ARGS:
		v->paths = state->argv + state->next;
		v->paths_count = (size_t)(state->argc - state->next);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option verify_options[] = {
	{"public-key", OPT_PUBLIC_KEY, "FILE", 0,
		"Believe only heads that a key in FILE (PEM) signed, and want one at least; see "
		"'sealock key attestation-key'",
		0},
	{"head", OPT_HEAD, "HEAD", 0,
		"Want this line to be there: NUMBER:HASH as printed by an earlier verification, or "
		"a file with the line of a head",
		0},
	{0},
};

static const struct argp verify_argp = {verify_options, parse_verify, "[FILE...]",
	"Verify the audit log: every line is a link of one chain, and signed heads say how far it "
	"was. Names the first entry that was changed, put in or taken out. Needs the files only, "
	"no "
	"kmsd and no HSM; without FILE, the log at $SEALOCK_AUDIT (" CLI_DEFAULT_AUDIT
	") and the files that it was renamed to.\v"
	"Example:\n"
	"  sealock key attestation-key >sealock-attest.pem\n"
	"  sealock audit verify --public-key sealock-attest.pem\n"
	"  sealock audit verify --head 4711:8f3c...\n"
	"\n"
	"The last lines can be cut off without a trace in the files themselves: keep the 'head' "
	"that is printed (or a head's line) elsewhere, and give it with --head the next time; what "
	"the second sink has serves as well.\n"
	"\n"
	"Exit status: 0 sound, 1 not sound or not readable, 2 wrong usage. docs/audit.md has the "
	"format, and how to verify it with openssl(1) alone.",
	cli_common_children, NULL, NULL};

int
cli_audit_verify(struct cli *cli, int argc, char **argv)
{
	struct verify v = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&verify_argp, argc, argv, &v);
	int rc = v.key_file != NULL ? cli_attestation_keys(v.key_file, NULL, &v.trusted, &err)
				    : SLK_OK;
	if (rc == SLK_OK && v.head_text != NULL)
		rc = read_expected(&v, &err);
	bool read = rc == SLK_OK;
	if (read)
		rc = verify_log(&v, &err);
	int code = rc == SLK_OK ? CLI_EXIT_OK : CLI_EXIT_FAILED;
	if (!read || (rc != SLK_OK && rc != SLK_CORRUPT))
		code = cli_fail(cli, &err);
	else if (cli->json)
		print_json(&v, rc);
	else if (rc == SLK_OK)
		print_good(&v);
	else
		print_bad(&v);
	free((char *)(uintptr_t)v.path);
	seal_scan_free(v.scan);
	seal_attest_keys_free(v.trusted);
	return code;
}
