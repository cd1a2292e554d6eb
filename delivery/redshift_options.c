#include <string.h>

#include "postgres_lex.h"
#include "postgres_options.h"

/* What follows the name. */
enum value {
	NOTHING,
	STRING,
	MAYBE_STRING,
	NUMBER,
	ON_OFF,
	OURS, /* the destination says it itself */
	COMPRESSION, /* so does the description */
};

static const struct {
	const char *name;
	enum value value;
} known[] = {
	{"ACCEPTANYDATE", NOTHING},
	{"ACCEPTINVCHARS", MAYBE_STRING},
	{"AVRO", STRING},
	{"BLANKSASNULL", NOTHING},
	{"COMPROWS", NUMBER},
	{"COMPUPDATE", ON_OFF},
	{"CSV", NOTHING},
	{"DATEFORMAT", STRING},
	{"DELIMITER", STRING},
	{"EMPTYASNULL", NOTHING},
	{"ENCODING", STRING},
	{"ESCAPE", NOTHING},
	{"EXPLICIT_IDS", NOTHING},
	{"FILLRECORD", NOTHING},
	{"FIXEDWIDTH", STRING},
	{"IGNOREBLANKLINES", NOTHING},
	{"JSON", STRING},
	{"NULL", STRING},
	{"QUOTE", STRING},
	{"REMOVEQUOTES", NOTHING},
	{"ROUNDEC", NOTHING},
	{"STATUPDATE", ON_OFF},
	{"TIMEFORMAT", STRING},
	{"TRIMBLANKS", NOTHING},
	{"TRUNCATECOLUMNS", NOTHING},
	{"GZIP", COMPRESSION},
	{"ZSTD", COMPRESSION},
	{"ACCESS_KEY_ID", OURS},
	{"CREDENTIALS", OURS},
	{"IAM_ROLE", OURS},
	{"MANIFEST", OURS},
	{"REGION", OURS},
	{"SECRET_ACCESS_KEY", OURS},
	{"SESSION_TOKEN", OURS},
};

#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

struct reader {
	struct dlv_lex lex;
	bool given[KNOWN_COUNT];
	enum dlv_compression compression;
	struct dlv_sql *sql;
	struct slk_error *err;
};

static int
refuse(struct reader *r, size_t i)
{
	if (i == KNOWN_COUNT)
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: '%.64s' at byte %zu is no option that is taken here",
			r->lex.text, r->lex.from + 1);
	if (known[i].value == OURS)
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: %s is said by the destination itself (deliverd.yaml: "
			"databases)",
			known[i].name);
	return slk_fail(r->err, SLK_CONFIG, "CopyOptions: %s is given twice", known[i].name);
}

static int
read_string(struct reader *r, const char *name)
{
	if (r->lex.kind != DLV_LEX_STRING)
		return slk_fail(r->err, SLK_CONFIG, "CopyOptions: %s takes a string", name);
	dlv_sql_put(r->sql, " ");
	dlv_sql_literal(r->sql, r->lex.text);
	return dlv_lex_next(&r->lex, r->err);
}

static int
read_word(struct reader *r, const char *name, bool number)
{
	bool ok = r->lex.kind == DLV_LEX_WORD;

	if (number)
		ok = ok && strlen(r->lex.text) <= 9 &&
			strspn(r->lex.text, "0123456789") == strlen(r->lex.text);
	else
		ok = ok &&
			(strcmp(r->lex.text, "ON") == 0 || strcmp(r->lex.text, "OFF") == 0 ||
				strcmp(r->lex.text, "TRUE") == 0 ||
				strcmp(r->lex.text, "FALSE") == 0);
	if (!ok)
		return slk_fail(r->err, SLK_CONFIG, "CopyOptions: %s takes %s", name,
			number ? "a number" : "ON or OFF");
	dlv_sql_put(r->sql, " ");
	dlv_sql_put(r->sql, r->lex.text);
	return dlv_lex_next(&r->lex, r->err);
}

static int
read_value(struct reader *r, size_t i)
{
	switch (known[i].value) {
	case STRING:
		return read_string(r, known[i].name);
	case MAYBE_STRING:
		return r->lex.kind == DLV_LEX_STRING ? read_string(r, known[i].name) : SLK_OK;
	case NUMBER:
		return read_word(r, known[i].name, true);
	case ON_OFF:
		return r->lex.kind == DLV_LEX_WORD ? read_word(r, known[i].name, false) : SLK_OK;
	case NOTHING:
	case COMPRESSION:
	case OURS:
		break;
	}
	return SLK_OK;
}

static int
check_compression(struct reader *r, const char *name)
{
	enum dlv_compression said = strcmp(name, "GZIP") == 0 ? DLV_GZIP : DLV_ZSTD;

	if (r->compression == said)
		return SLK_OK;
	return slk_fail(r->err, SLK_CONFIG,
		"CopyOptions: %s, but CompressionFormat of S3Configuration is another", name);
}

static int
read_option(struct reader *r)
{
	size_t i = 0;
	int rc = SLK_OK;

	while (i < KNOWN_COUNT && !dlv_lex_is(&r->lex, DLV_LEX_WORD, known[i].name))
		i++;
	if (i == KNOWN_COUNT || r->given[i] || known[i].value == OURS)
		return refuse(r, i);
	r->given[i] = true;
	if (known[i].value == COMPRESSION)
		rc = check_compression(r, known[i].name);
	if (rc == SLK_OK)
		rc = dlv_lex_next(&r->lex, r->err);
	if (rc != SLK_OK)
		return rc;
	if (known[i].value != COMPRESSION) {
		dlv_sql_put(r->sql, " ");
		dlv_sql_put(r->sql, known[i].name);
	}
	rc = dlv_lex_skip(&r->lex, DLV_LEX_WORD, "AS", r->err);
	return rc == SLK_OK ? read_value(r, i) : rc;
}

int
dlv_redshift_options(const char *options, enum dlv_compression compression, struct dlv_sql *sql,
	struct slk_error *err)
{
	struct reader r = {.compression = compression, .sql = sql, .err = err};

	dlv_lex_init(&r.lex, options);
	int rc = dlv_lex_next(&r.lex, err);
	while (rc == SLK_OK && r.lex.kind != DLV_LEX_END) {
		rc = read_option(&r);
		if (rc == SLK_OK)
			rc = dlv_lex_skip(&r.lex, DLV_LEX_MARK, ",", err);
	}
	if (rc != SLK_OK)
		return rc;
	if (compression == DLV_GZIP)
		dlv_sql_put(sql, " GZIP");
	else if (compression == DLV_ZSTD)
		dlv_sql_put(sql, " ZSTD");
	return sql->status;
}
