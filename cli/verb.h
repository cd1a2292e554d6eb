/* Verbs by a table: those of sealock iam, sealock stream, sealock delivery, key policy, key grant, stream policy and policy explain.
 *
 * A verb says which words and options it takes and what it does; the same parser and the same ending serve all of them. A
 * verb of users and roles is one table for both, told apart by its variant. Thread: the process has one.
 */
#ifndef SLK_CLI_VERB_H
#define SLK_CLI_VERB_H

#include "cli.h"
#include "life.h"

#define CLI_VERB_WORDS_MAX 3u
#define CLI_VERB_LIST_MAX 64u /* of an option that may be said several times */

/* Options with a text, each by its place in cli_verb_args.text; then flags; then lists. */
enum cli_verb_option {
	CLI_OPT_DESCRIPTION = 0x300,
	CLI_OPT_USER,
	CLI_OPT_ROLE,
	CLI_OPT_TRUST,
	CLI_OPT_MAX_SESSION,
	CLI_OPT_GRANTEE,
	CLI_OPT_RETIRING,
	CLI_OPT_SOURCE_ARN,
	CLI_OPT_NAME,
	CLI_OPT_TOKEN,
	CLI_OPT_PRINCIPAL,
	CLI_OPT_UID,
	CLI_OPT_ACTION,
	CLI_OPT_RESOURCE,
	CLI_OPT_OUT,
	CLI_OPT_SESSION,
	CLI_OPT_EXTERNAL_ID,
	CLI_OPT_DURATION,
	CLI_OPT_POLICY,
	CLI_OPT_SOURCE_IDENTITY,
	CLI_OPT_FILE,
	CLI_OPT_SOURCE,
	CLI_OPT_BUCKET,
	CLI_OPT_PREFIX,
	CLI_OPT_ERROR_PREFIX,
	CLI_OPT_BUFFER_MB,
	CLI_OPT_BUFFER_SECONDS,
	CLI_OPT_KEY,
	CLI_OPT_OBJECT_KEY,
	CLI_OPT_VERSION_ID,
	CLI_OPT_TEXTS_END,
	CLI_OPT_BYPASS = CLI_OPT_TEXTS_END,
	CLI_OPT_DOCUMENT,
	CLI_OPT_WAIT,
	CLI_OPT_GZIP,
	CLI_OPT_ZSTD,
	CLI_OPT_UNCOMPRESSED,
	CLI_OPT_DELIMITER,
	CLI_OPT_OWNED_KEY,
	CLI_OPT_FORCE,
	CLI_OPT_FLAGS_END,
	CLI_OPT_TAG = CLI_OPT_FLAGS_END,
	CLI_OPT_OPERATION,
	CLI_OPT_MANAGED,
	CLI_OPT_CONTEXT,
	CLI_OPT_CONTEXT_EQUALS,
	CLI_OPT_VALUE,
};
#define CLI_OPT_TEXTS (CLI_OPT_TEXTS_END - CLI_OPT_DESCRIPTION)
#define CLI_OPT_FLAGS (CLI_OPT_FLAGS_END - CLI_OPT_TEXTS_END)

/* What stands behind the words, and what else a verb needs. */
enum {
	CLI_VERB_TAGS = 1, /* NAME=VALUE... */
	CLI_VERB_NAMES = 2, /* NAME... */
	CLI_VERB_HOLDER = 4, /* --user NAME or --role NAME */
	CLI_VERB_KEY = 8, /* the first word, if it was said, is a key: an alias becomes its id */
};

struct cli_verb_args;
/* Does it: prints one document into json, or text if that is NULL; what it printed is dropped if it fails. */
typedef int (*cli_verb_fn)(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err);

struct cli_verb {
	const char *words[CLI_VERB_WORDS_MAX + 1]; /* what they are called: "NAME", "FILE" */
	size_t optional_count; /* so many of the last may be left out */
	unsigned wants;
	const char *args_doc; /* as argp's; NULL for none */
	const char *doc[2]; /* as argp's, of each variant */
	const struct argp_option *options[2]; /* likewise; NULL for none */
	void (*check)(const struct cli_verb_args *args, struct argp_state *state); /* or NULL */
	const void *about; /* of what it is, for an act that serves several verbs; NULL: nothing */
	cli_verb_fn act;
};

/* What was said. */
struct cli_verb_args {
	struct cli *cli;
	const struct cli_verb *verb;
	unsigned variant;
	const char *words[CLI_VERB_WORDS_MAX]; /* NULL: not said */
	const char *texts[CLI_OPT_TEXTS];
	bool flags[CLI_OPT_FLAGS];
	struct cli_tags tags;
	struct cli_tag_names names;
	const char
		*list[CLI_VERB_LIST_MAX]; /* operations of a grant, managed policies of a session */
	size_t list_count;
	const char *value_keys[CLI_VERB_LIST_MAX], *values[CLI_VERB_LIST_MAX];
	size_t values_count;
	struct fmt_context *context, *context_equals; /* NULL while empty */
	/* The first word of a verb with CLI_VERB_KEY, as kmsd takes it. */
	char key_id[KMSC_ARN_MAX];
	/* How the command ends if it does not fail; CLI_EXIT_OK unless act says otherwise. */
	int code;
};
#define CLI_TEXT(args, NAME) ((args)->texts[CLI_OPT_##NAME - CLI_OPT_DESCRIPTION])
#define CLI_FLAG(args, NAME) ((args)->flags[CLI_OPT_##NAME - CLI_OPT_TEXTS_END])

/* Parse, connect, do, end. Returns enum cli_exit. */
int cli_verb_run(
	struct cli *cli, const struct cli_verb *verb, unsigned variant, int argc, char **argv);

/* A number that was checked while arguments were parsed; 0 for NULL. */
uint32_t cli_verb_number(const char *text);

/* --- lists --- */

#define CLI_PAGE 50u

struct cli_pages {
	size_t entry_bytes;
	/* Up to CLI_PAGE entries after marker, as the lists of kmsclient. */
	int (*fetch)(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
		size_t *out_count, char *out_next, struct slk_error *err);
	void (*print)(
		struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title);
	void (*end)(void *page, size_t count); /* frees what entries hold; NULL: nothing */
};
/* Every entry of every page; with json, as the elements of "key". *out_total: how many there were. */
MUST_USE int cli_verb_pages(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json,
	const char *key, const struct cli_pages *pages, size_t *out_total, struct slk_error *err);

#endif
