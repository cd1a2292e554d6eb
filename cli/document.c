#include "document.h"

#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_parse.h>

#include "bytes.h"

int
cli_document_fail(const char *path, const struct pol_problem *problem, struct slk_error *err)
{
	return slk_fail(err, SLK_MALFORMED, "%s:%u:%u: %s", strcmp(path, "-") == 0 ? "stdin" : path,
		problem->line, problem->column, problem->text);
}

static int
check(const char *path, struct slk_span text, enum pol_kind kind, struct slk_error *err)
{
	struct pol_document *document = NULL;
	struct pol_problem problem = {0};

	int rc = pol_document_parse(text, kind, &document, &problem);
	pol_document_free(document);
	if (rc == SLK_NO_MEMORY)
		return slk_fail(err, rc, "there is no memory to read '%s'", path);
	return rc == SLK_OK ? rc : cli_document_fail(path, &problem, err);
}

int
cli_document_read(const char *path, enum pol_kind kind, char **out_text, struct slk_error *err)
{
	char *text = malloc(POL_DOCUMENT_MAX + 1);
	size_t len = 0;

	if (text == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "there is no memory for a policy");
	int rc = cli_bytes_read(path, false, (uint8_t *)text, POL_DOCUMENT_MAX, &len, err);
	if (rc == SLK_OK)
		rc = check(path, slk_span(text, len), kind, err);
	if (rc != SLK_OK) {
		free(text);
		return rc;
	}
	text[len] = '\0'; /* a valid document has no NUL */
	*out_text = text;
	return SLK_OK;
}

/* Is it one value of JSON? A later kmsd may know more about policies than we do, so that is all that is asked here. */
static bool
is_json(const char *text)
{
	yajl_handle parser = yajl_alloc(NULL, NULL, NULL);

	if (parser == NULL)
		return false;
	bool is = yajl_parse(parser, (const unsigned char *)text, strlen(text)) == yajl_status_ok &&
		yajl_complete_parse(parser) == yajl_status_ok;
	yajl_free(parser);
	return is;
}

int
cli_document_json(yajl_gen json, const char *key, const char *text, struct slk_error *err)
{
	if (json == NULL)
		return SLK_OK;
	cli_json_key(json, key);
	if (text[0] == '\0') {
		(void)yajl_gen_null(json);
		return SLK_OK;
	}
	if (!is_json(text))
		return slk_fail(err, SLK_MALFORMED, "the document that kmsd keeps is no JSON");
	(void)yajl_gen_number(json, text, strlen(text)); /* which writes it as it is */
	return SLK_OK;
}

void
cli_document_print(struct cli_out *out, const char *text)
{
	size_t len = strlen(text);

	if (cli_out_is_terminal(out))
		cli_out_safe(out, slk_span(text, len));
	else
		cli_out_write(out, text, len);
	if (len > 0 && text[len - 1] != '\n')
		cli_out_text(out, "\n");
}
