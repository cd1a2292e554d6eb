/* What `sealock open` does with an object: read it twice, and give out only what was authentic.
 *
 *     pass 1: SHA-256 of each piece of 1 MiB; the tag ── wrong: nothing leaves
 *     pass 2: each piece has the hash it had ─► opened ─► [decompressed] ─► stdout, or a file beside --out that is renamed in the end
 *
 * So a file that is changed between the passes gives nothing out either. Thread: the process has one.
 */
#ifndef SLK_CLI_OPEN_H
#define SLK_CLI_OPEN_H

#include "base/secret.h"
#include "cli.h"
#include "delivery/sealedhead.h"
#include "expand.h"

/* Where the content goes. */
struct cli_open_sink {
	struct cli *cli;
	const char *path; /* NULL: stdout */
	char temporary[4096];
	int fd; /* of the temporary file, or -1 */
	uint64_t bytes; /* so far */
};
/* SLK_INVALID (no regular file), SLK_DENIED ..., with a sentence that names it. */
MUST_USE int cli_open_sink_begin(
	struct cli_open_sink *sink, struct cli *cli, const char *path, struct slk_error *err);
/* A cli_expand_sink. SLK_CLOSED: the user stops, or who reads went away. */
MUST_USE int cli_open_sink_put(void *sink, struct slk_span bytes, struct slk_error *err);
/* The file is flushed and has its name. */
MUST_USE int cli_open_sink_end(struct cli_open_sink *sink, struct slk_error *err);
void cli_open_sink_drop(struct cli_open_sink *sink); /* what has no name yet is gone */

/* fd: the object, path: its name for sentences. SLK_BAD_TAG, SLK_BAD_COMMITMENT, SLK_TRUNCATED, SLK_CORRUPT (it changed
 * meanwhile), codes of sink and expander. */
MUST_USE int cli_open_object(int fd, const char *path, const struct dlv_sealed_head *head,
	const struct slk_secret *data_key, bool decompress, struct cli_open_sink *sink,
	struct slk_error *err);

#endif
