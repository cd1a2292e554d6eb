/* Side files of re-wrapped keys as commands show and use them (journal/rewraps.h), and the attestation key that is pinned
 * with --attestation-key. Thread: the process has one. */
#ifndef SLK_CLI_SIDEFILES_H
#define SLK_CLI_SIDEFILES_H

#include <stdbool.h>

#include "journal/inspect.h"
#include "journal/rewraps.h"
#include "out.h"

/* The option of every command that reads a journal with its keys. */
#define CLI_ATTESTATION_OPTION(key) \
	{ \
		"attestation-key", (key), "FILE", 0, \
			"Use side files of re-wrapped keys only if a key in FILE (PEM) signed " \
			"them; see 'sealock " \
			"key attestation-key'", \
			2 \
	}

/* The PEM text of the file at path, and more (NULL allowed) in front of it; to be freed. SLK_NOT_FOUND ..., with a sentence. */
MUST_USE int cli_attestation_pem(
	const char *path, const char *more, char **out_text, struct slk_error *err);

/* The keys in the file at path, and another one in PEM if more is not NULL. path NULL and more NULL: *out_keys is NULL, whoever
 * signed is taken. SLK_CONFIG, SLK_NOT_FOUND ..., with a sentence that names path. */
MUST_USE int cli_attestation_keys(const char *path, const char *more,
	struct seal_attest_keys **out_keys, struct slk_error *err);

/* For struct jnl_rewraps_config: a remark on stderr for each side file that is passed over. */
void cli_sidefile_note(void *arg, const struct jnl_rewrap_file *file);

/* Rows of a table, the first with a title; an object of a JSON array. */
void cli_sidefile_row(struct cli_out *out, const struct jnl_rewrap_file *file, bool with_title);
void cli_sidefile_json(yajl_gen json, const struct jnl_rewrap_file *file);

/* What a verification says of it: false if all is well. finding: borrows from file and text (256 bytes). */
bool cli_sidefile_finding(
	const struct jnl_rewrap_file *file, char text[256], struct jnl_finding *out_finding);

#endif
