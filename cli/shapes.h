/* How keys, aliases and streams look: as JSON objects (stable names, listed in cli/README.md), as lines of a
 * table, and as a description. Thread: the process has one. */
#ifndef SLK_CLI_SHAPES_H
#define SLK_CLI_SHAPES_H

#include <stdbool.h>
#include <stddef.h>

#include "kmsclient/kmsclient.h"
#include "out.h"
#include "policy/document.h"

/* aliases: any; those that name the key are shown with it. */
void cli_shape_key(yajl_gen json, const struct kmsc_key *key, const struct kmsc_alias *aliases,
	size_t alias_count);
void cli_shape_key_row(struct cli_out *out, const struct kmsc_key *key,
	const struct kmsc_alias *aliases, size_t alias_count, bool with_title);
void cli_shape_key_text(struct cli_out *out, const struct kmsc_key *key,
	const struct kmsc_alias *aliases, size_t alias_count);

/* What is to become of a key: its state and, while it waits for its deletion, when that is. */
void cli_shape_deletion(yajl_gen json, const struct kmsc_key *key);
void cli_shape_deletion_text(struct cli_out *out, const struct kmsc_key *key);

void cli_shape_alias(yajl_gen json, const struct kmsc_alias *alias);
void cli_shape_alias_row(struct cli_out *out, const struct kmsc_alias *alias, bool with_title);

void cli_shape_stream(yajl_gen json, const struct kmsc_stream *stream);
void cli_shape_stream_row(struct cli_out *out, const struct kmsc_stream *stream, bool with_title);
void cli_shape_stream_text(struct cli_out *out, const struct kmsc_stream *stream);

/* A policy document that is valid and has *statements, or has a problem: one of both is NULL. */
void cli_shape_policy(yajl_gen json, const char *kind, const size_t *statements,
	const struct pol_problem *problem);
void cli_shape_valid_policy(struct cli_out *out, const char *kind, size_t statements);

/* "label:      value" with control characters made visible. */
void cli_shape_line(struct cli_out *out, const char *label, const char *value);

#endif
