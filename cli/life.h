/* sealock key create, and what follows in a key's life: entries of key.c's table; sealock alias: alias.c's own. */
#ifndef SLK_CLI_LIFE_H
#define SLK_CLI_LIFE_H

#include "cli.h"
#include "kmsclient/life.h"

/* life.c */
int cli_key_create(struct cli *cli, int argc, char **argv);
int cli_key_enable(struct cli *cli, int argc, char **argv);
int cli_key_disable(struct cli *cli, int argc, char **argv);
int cli_key_update(struct cli *cli, int argc, char **argv);
int cli_key_schedule_deletion(struct cli *cli, int argc, char **argv);
int cli_key_cancel_deletion(struct cli *cli, int argc, char **argv);
int cli_key_orphans(struct cli *cli, int argc, char **argv);
/* key_usage.c */
int cli_key_usage(struct cli *cli, int argc, char **argv);
/* tags.c */
int cli_key_tag(struct cli *cli, int argc, char **argv);
int cli_key_untag(struct cli *cli, int argc, char **argv);
int cli_key_tags(struct cli *cli, int argc, char **argv);
/* rotation.c */
int cli_key_rotate(struct cli *cli, int argc, char **argv);
int cli_key_rotation(struct cli *cli, int argc, char **argv);

/* --- what they share (life_args.c) --- */

#define CLI_DELETION_DAYS_MIN 7u
#define CLI_DELETION_DAYS_MAX 30u
#define CLI_ROTATION_DAYS_MIN 90u
#define CLI_ROTATION_DAYS_MAX 2560u

/* The words behind a verb, in this order; wants says which it takes. All that it takes it needs, unless said otherwise. */
enum {
	CLI_LIFE_ALIAS = 1, /* ALIAS */
	CLI_LIFE_KEY = 2, /* KEY */
	CLI_LIFE_KEY_OPTIONAL = 4, /* [KEY] */
};

/* Tags that were said, NAME=VALUE, split at the first =; names of tags. */
struct cli_tags {
	struct kmsc_tag *list; /* KMSC_TAGS_MAX of them, or NULL; whoever has it frees it */
	size_t count;
};
struct cli_tag_names {
	const char *list[KMSC_TAGS_MAX];
	size_t count;
};
/* Take one more; wrong usage ends the process. */
void cli_take_tag(struct cli_tags *tags, const char *arg, struct argp_state *state);
void cli_take_tag_name(struct cli_tag_names *names, const char *arg, struct argp_state *state);

/* Everything that one of them may be told; each takes the options that are its own. */
struct cli_life_args {
	struct cli *cli;
	unsigned wants;
	uint32_t days_min, days_max; /* what --days takes */
	bool description_needed;
	/* What was said. */
	const char *alias, *key;
	const char *description, *spec, *usage, *policy; /* NULL: nothing */
	uint32_t days; /* 0: nothing */
	bool enable, disable, bypass;
	struct cli_tags tags;
	/* key as kmsd takes it; set by cli_life_run(). */
	char key_id[KMSC_ARN_MAX];
};

enum {
	CLI_LIFE_OPT_ALIAS = 'a',
	CLI_LIFE_OPT_DESCRIPTION = 'd',
	CLI_LIFE_OPT_SPEC = 's',
	CLI_LIFE_OPT_USAGE = 'u',
	CLI_LIFE_OPT_TAG = 't',
	CLI_LIFE_OPT_DAYS = 'n',
	CLI_LIFE_OPT_ENABLE = 0x200,
	CLI_LIFE_OPT_DISABLE,
	CLI_LIFE_OPT_POLICY,
	CLI_LIFE_OPT_BYPASS,
};

/* The parser of each; its input is a struct cli_life_args with cli and what it takes set. */
error_t cli_life_parse(int key, char *arg, struct argp_state *state);

/* Do one of them: connect, resolve KEY if there is one, call act, end. act prints one document into json, or text if that is
 * NULL; what it printed is dropped if it fails. Frees what args holds. Returns enum cli_exit. */
typedef int (*cli_life_fn)(
	struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err);
int cli_life_run(struct cli_life_args *args, cli_life_fn act);

#endif
