/* Policy documents on their way from a file to kmsd and back: the JSON that AWS users have.
 *
 * A document is checked here before it is sent, so what is wrong is said with file, line and column, and kmsd is not asked.
 * What comes back is printed as it was put, so that it can be changed and put again. Thread: the process has one.
 */
#ifndef SLK_CLI_DOCUMENT_H
#define SLK_CLI_DOCUMENT_H

#include "base/error.h"
#include "out.h"
#include "policy/document.h"

/* Read a document of the kind from path, or stdin with "-". *out_text is terminated, and the caller's to free. SLK_MALFORMED
 * with "FILE:LINE:COLUMN: reason", SLK_NOT_FOUND, SLK_IO ..., SLK_NO_MEMORY. */
MUST_USE int cli_document_read(
	const char *path, enum pol_kind kind, char **out_text, struct slk_error *err);

/* "FILE:LINE:COLUMN: reason" as an error. */
int cli_document_fail(const char *path, const struct pol_problem *problem, struct slk_error *err);

/* "key": the document, as JSON and not as text; null for "". SLK_MALFORMED if it is none. */
MUST_USE int cli_document_json(
	yajl_gen json, const char *key, const char *text, struct slk_error *err);

/* For a person or a file, with a newline at its end; as it is, but for a terminal. */
void cli_document_print(struct cli_out *out, const char *text);

#endif
