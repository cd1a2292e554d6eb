/* GZIP and ZSTD undone, as a stream: for what `sealock open --decompress` has found authentic.
 *
 * Which of the two it is, its first bytes say. Memory is locked and wiped. Thread: one.
 */
#ifndef SLK_CLI_EXPAND_H
#define SLK_CLI_EXPAND_H

#include "base/bytes.h"
#include "base/error.h"

/* Takes what came out; its failure is the expander's. */
typedef int (*cli_expand_sink)(void *arg, struct slk_span bytes, struct slk_error *err);

struct cli_expand;
/* SLK_NO_MEMORY. */
MUST_USE int cli_expand_new(
	cli_expand_sink sink, void *arg, struct cli_expand **out_expand, struct slk_error *err);
void cli_expand_free(struct cli_expand *expand); /* NULL allowed */
/* The first piece has four bytes or more, or is all there is. SLK_MALFORMED: neither GZIP nor ZSTD, or damaged;
 * SLK_UNSUPPORTED: ZSTD in a build without it; SLK_NO_MEMORY; the sink's. */
MUST_USE int cli_expand_put(
	struct cli_expand *expand, struct slk_span bytes, struct slk_error *err);
/* SLK_TRUNCATED: it ends too early. */
MUST_USE int cli_expand_end(struct cli_expand *expand, struct slk_error *err);

#endif
