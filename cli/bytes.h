/* Bytes that go in and out of `sealock key encrypt` and its like: files and streams, raw or base64.
 *
 * A path of NULL or "-" is stdin or stdout. Plaintexts are read into locked memory and never come from the command line.
 * What is written to a file is its owner's alone (mode 0600, also where the file was there before). Thread: any but
 * writing to stdout, which is the struct cli's.
 */
#ifndef SLK_CLI_BYTES_H
#define SLK_CLI_BYTES_H

#include "cli.h"
#include "base/secret.h"

/* 1..max bytes. SLK_INVALID for none or more, SLK_NOT_FOUND, SLK_DENIED, SLK_IO ..., with a sentence that names the file.
 */
MUST_USE int cli_bytes_read_secret(
	const char *path, size_t max, struct slk_secret **out_secret, struct slk_error *err);
/* The same into plain memory of max bytes, decoded if base64 (white space is left out). */
MUST_USE int cli_bytes_read(const char *path, bool base64, uint8_t *out, size_t max,
	size_t *out_len, struct slk_error *err);

/* Write all of bytes; base64 with a newline at its end. On a terminal raw bytes are refused (SLK_INVALID); text is true for
 * what a person may want to see, which is shown with control characters made visible. */
struct cli_bytes_form {
	bool base64;
	bool text;
};
MUST_USE int cli_bytes_write(struct cli *cli, const char *path, struct slk_span bytes,
	struct cli_bytes_form form, struct slk_error *err);

/* "key": base64 of bytes, through locked memory. SLK_NO_MEMORY. */
MUST_USE int cli_bytes_json(
	yajl_gen json, const char *key, struct slk_span bytes, struct slk_error *err);

/* Does the result go to stdout? */
bool cli_bytes_is_stdout(const char *path);

#endif
