#include "postgres_options.h"

#include <string.h>

#include "postgres_lex.h"

/* Encodings of clients in which a byte of ASCII stands for itself alone. */
static const char *const encodings[] = {"UTF8", "UTF-8", "SQL_ASCII", "LATIN1", "LATIN2", "LATIN3",
	"LATIN4", "LATIN5", "LATIN6", "LATIN7", "LATIN8", "LATIN9", "LATIN10", "ISO_8859_5",
	"ISO_8859_6", "ISO_8859_7", "ISO_8859_8", "WIN866", "WIN874", "WIN1250", "WIN1251",
	"WIN1252", "WIN1253", "WIN1254", "WIN1255", "WIN1256", "WIN1257", "WIN1258", "KOI8R",
	"KOI8U", "EUC_CN", "EUC_JP", "EUC_KR", "EUC_TW", "EUC_JIS_2004"};

static const char *const of_redshift[] = {"ACCEPTANYDATE", "ACCEPTINVCHARS", "ACCESS_KEY_ID",
	"AVRO", "BLANKSASNULL", "BZIP2", "COMPROWS", "COMPUPDATE", "CREDENTIALS", "DATEFORMAT",
	"EMPTYASNULL", "ENCRYPTED", "EXPLICIT_IDS", "FILLRECORD", "FIXEDWIDTH", "GZIP", "IAM_ROLE",
	"IGNOREBLANKLINES", "IGNOREHEADER", "JSON", "LZOP", "MANIFEST", "MASTER_SYMMETRIC_KEY",
	"MAXERROR", "NOLOAD", "ORC", "PARQUET", "READRATIO", "REGION", "REMOVEQUOTES", "ROUNDEC",
	"SECRET_ACCESS_KEY", "SESSION_TOKEN", "SHAPEFILE", "SSH", "STATUPDATE", "TIMEFORMAT",
	"TRIMBLANKS", "TRUNCATECOLUMNS", "ZSTD"};

enum option { FORMAT, DELIMITER, NULL_TEXT, QUOTE, ESCAPE, ENCODING, HEADER, NOT_NULL, AS_NULL };
static const struct {
	const char *name;
	enum option option;
} known[] = {{"FORMAT", FORMAT}, {"DELIMITER", DELIMITER}, {"NULL", NULL_TEXT}, {"QUOTE", QUOTE},
	{"ESCAPE", ESCAPE}, {"ENCODING", ENCODING}, {"HEADER", HEADER},
	{"FORCE_NOT_NULL", NOT_NULL}, {"FORCE_NULL", AS_NULL}};

#define OPTIONS 9u

struct reader {
	struct dlv_lex lex;
	bool given[OPTIONS];
	bool csv;
	char bytes[OPTIONS]; /* of DELIMITER, QUOTE and ESCAPE */
	struct dlv_sql values; /* ", NAME value" */
	struct slk_error *err;
};

static bool
listed(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int
refuse(struct reader *r, const char *name)
{
	if (strcmp(name, "HEADER") == 0)
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: HEADER would drop the first record of each batch; only "
			"HEADER false "
			"is taken");
	if (strcmp(name, "FREEZE") == 0 || strcmp(name, "BINARY") == 0)
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: %s is not for records as they come", name);
	if (listed(of_redshift, sizeof(of_redshift) / sizeof(of_redshift[0]), name))
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: %s is an option of Redshift; jdbc:postgresql has FORMAT, "
			"DELIMITER, "
			"NULL, QUOTE, ESCAPE, ENCODING, FORCE_NULL and FORCE_NOT_NULL",
			name);
	return slk_fail(r->err, SLK_CONFIG, "CopyOptions: '%.64s' at byte %zu is no option", name,
		r->lex.from + 1);
}

static int
no_value(struct reader *r, const char *name, const char *wanted)
{
	return slk_fail(r->err, SLK_CONFIG, "CopyOptions: %s takes %s", name, wanted);
}

static int
read_format(struct reader *r)
{
	if (dlv_lex_is(&r->lex, DLV_LEX_WORD, "BINARY"))
		return refuse(r, "BINARY");
	r->csv = dlv_lex_is(&r->lex, DLV_LEX_WORD, "CSV");
	if (!r->csv && !dlv_lex_is(&r->lex, DLV_LEX_WORD, "TEXT"))
		return r->lex.kind == DLV_LEX_WORD ? refuse(r, r->lex.text)
						   : no_value(r, "FORMAT", "csv or text");
	return dlv_lex_next(&r->lex, r->err);
}

/* One byte that may be a delimiter or a quote. "\t" of two characters is a tab, as Redshift has it. */
static int
read_byte(struct reader *r, const char *name, enum option option)
{
	const char *text = r->lex.text;

	if (r->lex.kind == DLV_LEX_STRING && option == DELIMITER && strcmp(text, "\\t") == 0)
		text = "\t";
	if (r->lex.kind != DLV_LEX_STRING || strlen(text) != 1 || (unsigned char)*text >= 0x80 ||
		*text == '\r' || *text == '\n')
		return no_value(r, name, "a string of one byte that ends no line: '|', E'\\x01'");
	r->bytes[option] = *text;
	dlv_sql_put(&r->values, ", ");
	dlv_sql_put(&r->values, name);
	dlv_sql_put(&r->values, " ");
	dlv_sql_literal(&r->values, text);
	return dlv_lex_next(&r->lex, r->err);
}

static int
read_text(struct reader *r, const char *name, enum option option)
{
	if (r->lex.kind != DLV_LEX_STRING || strpbrk(r->lex.text, "\r\n") != NULL)
		return no_value(r, name, "a string of one line");
	if (option == ENCODING &&
		!listed(encodings, sizeof(encodings) / sizeof(encodings[0]), r->lex.text))
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: ENCODING '%.32s' is not known here, or has bytes of ASCII "
			"within "
			"other characters; names are in capitals: UTF8, LATIN1",
			r->lex.text);
	dlv_sql_put(&r->values, ", ");
	dlv_sql_put(&r->values, name);
	dlv_sql_put(&r->values, " ");
	dlv_sql_literal(&r->values, r->lex.text);
	return dlv_lex_next(&r->lex, r->err);
}

static int
read_header(struct reader *r)
{
	static const char *const off[] = {"FALSE", "OFF", "0"};

	if (r->lex.kind == DLV_LEX_WORD && listed(off, 3, r->lex.text))
		return dlv_lex_next(&r->lex, r->err);
	return refuse(r, "HEADER");
}

static int
read_columns(struct reader *r, const char *name)
{
	struct dlv_sql columns = {0};
	int rc = SLK_OK;

	if (!dlv_lex_is(&r->lex, DLV_LEX_MARK, "("))
		return no_value(r, name, "names of columns in parentheses");
	do {
		rc = dlv_lex_next(&r->lex, r->err);
		if (rc != SLK_OK)
			break;
		if (r->lex.kind != DLV_LEX_WORD && r->lex.kind != DLV_LEX_NAME) {
			rc = no_value(r, name, "names of columns in parentheses");
			break;
		}
		if (columns.len > 0)
			dlv_sql_put(&columns, ",");
		dlv_sql_put(&columns, r->lex.text);
		rc = dlv_lex_next(&r->lex, r->err);
	} while (rc == SLK_OK && dlv_lex_is(&r->lex, DLV_LEX_MARK, ","));
	if (rc == SLK_OK && !dlv_lex_is(&r->lex, DLV_LEX_MARK, ")"))
		rc = no_value(r, name, "names of columns in parentheses");
	if (rc == SLK_OK && columns.status == SLK_OK) {
		dlv_sql_put(&r->values, ", ");
		dlv_sql_put(&r->values, name);
		dlv_sql_put(&r->values, " ");
		rc = dlv_sql_columns(&r->values, columns.text, DLV_PG_NAME_MAX, r->err);
	}
	if (rc == SLK_OK)
		rc = columns.status;
	dlv_sql_fini(&columns);
	return rc == SLK_OK ? dlv_lex_next(&r->lex, r->err) : rc;
}

static int
read_value(struct reader *r, const char *name, enum option option)
{
	switch (option) {
	case FORMAT:
		return read_format(r);
	case DELIMITER:
	case QUOTE:
	case ESCAPE:
		return read_byte(r, name, option);
	case NULL_TEXT:
	case ENCODING:
		return read_text(r, name, option);
	case HEADER:
		return read_header(r);
	case NOT_NULL:
	case AS_NULL:
		return read_columns(r, name);
	}
	return SLK_INTERNAL;
}

/* An option at the present token; CSV and TEXT are values of FORMAT, known[0], that may stand alone. */
static int
read_option(struct reader *r)
{
	size_t i = 0, count = sizeof(known) / sizeof(known[0]);
	bool bare = dlv_lex_is(&r->lex, DLV_LEX_WORD, "CSV") ||
		dlv_lex_is(&r->lex, DLV_LEX_WORD, "TEXT");

	while (!bare && i < count && !dlv_lex_is(&r->lex, DLV_LEX_WORD, known[i].name))
		i++;
	if (i == count)
		return refuse(r, r->lex.text);
	if (r->given[known[i].option])
		return slk_fail(
			r->err, SLK_CONFIG, "CopyOptions: %s is given twice", known[i].name);
	r->given[known[i].option] = true;
	int rc = bare ? SLK_OK : dlv_lex_next(&r->lex, r->err);
	if (rc == SLK_OK && !bare)
		rc = dlv_lex_skip(&r->lex, DLV_LEX_WORD, "AS", r->err);
	return rc == SLK_OK ? read_value(r, known[i].name, known[i].option) : rc;
}

static int
read_all(struct reader *r)
{
	int rc = dlv_lex_next(&r->lex, r->err);

	if (rc == SLK_OK)
		rc = dlv_lex_skip(&r->lex, DLV_LEX_WORD, "WITH", r->err);
	bool within = rc == SLK_OK && dlv_lex_is(&r->lex, DLV_LEX_MARK, "(");
	if (within)
		rc = dlv_lex_next(&r->lex, r->err);
	while (rc == SLK_OK && r->lex.kind != DLV_LEX_END) {
		if (within && dlv_lex_is(&r->lex, DLV_LEX_MARK, ")")) {
			within = false;
			rc = dlv_lex_next(&r->lex, r->err);
			if (rc == SLK_OK && r->lex.kind != DLV_LEX_END)
				return refuse(r, r->lex.text);
			continue;
		}
		rc = read_option(r);
		if (rc == SLK_OK)
			rc = dlv_lex_skip(&r->lex, DLV_LEX_MARK, ",", r->err);
	}
	if (rc == SLK_OK && within)
		return slk_fail(r->err, SLK_CONFIG, "CopyOptions: the parenthesis is not closed");
	return rc;
}

/* What belongs together. The server says the rest when COPY begins. */
static int
check(struct reader *r)
{
	static const enum option of_csv[] = {QUOTE, ESCAPE, NOT_NULL, AS_NULL};
	char delimiter = r->given[DELIMITER] ? r->bytes[DELIMITER] : r->csv ? ',' : '\t';
	char quote = r->given[QUOTE] ? r->bytes[QUOTE] : '"';

	for (size_t i = 0; !r->csv && i < sizeof(of_csv) / sizeof(of_csv[0]); i++)
		if (r->given[of_csv[i]])
			return slk_fail(r->err, SLK_CONFIG,
				"CopyOptions: QUOTE, ESCAPE, FORCE_NULL and FORCE_NOT_NULL are of "
				"csv alone");
	if (!r->csv && strchr("\\.abcdefghijklmnopqrstuvwxyz0123456789", delimiter) != NULL)
		return slk_fail(r->err, SLK_CONFIG,
			"CopyOptions: '%c' cannot be the delimiter of the format text", delimiter);
	if (r->csv && delimiter == quote)
		return slk_fail(
			r->err, SLK_CONFIG, "CopyOptions: delimiter and quote are the same");
	return SLK_OK;
}

int
dlv_pg_options(const char *options, struct dlv_sql *sql, struct dlv_pg_format *out_format,
	struct slk_error *err)
{
	struct reader r = {.err = err};

	dlv_lex_init(&r.lex, options);
	int rc = read_all(&r);
	if (rc == SLK_OK)
		rc = check(&r);
	if (rc == SLK_OK)
		rc = r.values.status;
	if (rc == SLK_OK) {
		char quote = r.given[QUOTE] ? r.bytes[QUOTE] : '"';
		*out_format = (struct dlv_pg_format){.csv = r.csv,
			.quote = quote,
			.escape = r.given[ESCAPE] ? r.bytes[ESCAPE] : quote};
		dlv_sql_put(sql, r.csv ? " WITH (FORMAT csv" : " WITH (FORMAT text");
		dlv_sql_put(sql, r.values.text != NULL ? r.values.text : "");
		dlv_sql_put(sql, ")");
		rc = sql->status;
	}
	dlv_sql_fini(&r.values);
	return rc;
}
