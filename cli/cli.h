/* The program `sealock`: what its commands share.
 *
 * One source per noun (key.c, alias.c, stream.c, put.c, tail.c, journal.c, status.c, hsm.c); each has one
 * entry point that cli.c's table names. A command parses its own arguments with argp (the options
 * of every command are a child parser), calls one library, and prints through struct cli_out, as a
 * table for people or as JSON for scripts. Exit codes: 0 done, 1 refused or failed (one sentence on
 * stderr), 2 wrong usage. Thread: the process has one.
 */
#ifndef SLK_CLI_CLI_H
#define SLK_CLI_CLI_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/status.h"
#include "kmsclient/kmsclient.h"
#include "out.h"

#define CLI_DEFAULT_INGEST_SOCKET "/run/sealock/ingest/port.sock"
#define CLI_DEFAULT_STATUS_SOCKET "/run/sealock/ingest/status.sock"
#define CLI_DEFAULT_JOURNAL "/var/lib/sealock/journal"
#define CLI_DEFAULT_KMSD_CONFIG "/etc/sealock/kmsd.yaml"

enum cli_exit { CLI_EXIT_OK = 0, CLI_EXIT_FAILED = 1, CLI_EXIT_USAGE = 2 };

struct cli {
	const char *kms_socket; /* --kms-socket, $SEALOCK_KMS_SOCKET */
	const char *ingest_socket; /* --ingest-socket, $SEALOCK_INGEST_SOCKET */
	const char *status_socket; /* --status-socket, $SEALOCK_STATUS_SOCKET */
	const char *journal_dir; /* --journal, $SEALOCK_JOURNAL */
	bool json; /* --json */
	struct cli_out *out; /* stdout */
	const struct slk_clock *clock;
	struct kmsc *kms; /* made by cli_kms() */
	unsigned
		kms_timeout_ms; /* of each of its calls; 0: kmsclient's own. Set before cli_kms() */
};

/* Run one command line. Usage errors and --help leave the process through exit(), as argp does. */
int cli_main(int argc, char **argv);

/* A command, or a noun that has commands of its own. */
struct cli_command {
	const char *name;
	const char *summary; /* half a line, for the list of the level above */
	int (*run)(struct cli *cli, int argc,
		char **argv); /* argv[0]: how it was called; returns enum cli_exit */
};

/* Parse the options before the next word, find it in the table (ends with a NULL name), run it with
 * the rest. intro and example: what --help prints above the list and below the options. */
int cli_dispatch(struct cli *cli, const struct cli_command *commands, const char *intro,
	const char *example, int argc, char **argv);

/* Options that every command takes; a child parser whose input is the struct cli. */
extern const struct argp cli_common_argp;

/* Parse a command's own arguments; input is what the command's parser sees as state->input. Wrong
 * usage ends the process with CLI_EXIT_USAGE. The command's parser sets state->child_inputs[0] to
 * the struct cli. */
void cli_parse(const struct argp *argp, int argc, char **argv, void *input);

/* argp's children with the common options: `.children = cli_common_children`. */
extern const struct argp_child cli_common_children[];

/* The client of kmsd, made at the first call; NULL and *err set if there is no memory. */
struct kmsc *cli_kms(struct cli *cli, struct slk_error *err);

/* Print *err on stderr, as a sentence or (--json) as {"error":{"code","message"}}, with the hint
 * that fits its status when kmsd or the journal could not be reached. Returns CLI_EXIT_FAILED. */
int cli_fail(const struct cli *cli, const struct slk_error *err);

/* A remark for the operator on stderr ("sealock: ..."). */
void cli_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Flush the output; CLI_EXIT_OK, or CLI_EXIT_FAILED with a sentence when it could not be written. A
 * reader that went away (EPIPE) is no failure. */
int cli_finish(struct cli *cli);

/* Take SIGINT and SIGTERM as a wish to end cleanly; the second one ends at once. */
void cli_catch_stop(void);
/* True once SIGINT or SIGTERM came; commands that wait look at it. */
bool cli_stopped(void);
/* Sleep up to ms milliseconds, or until a signal; returns !cli_stopped(). */
bool cli_pause(unsigned ms);

int cli_key(struct cli *cli, int argc, char **argv);
int cli_alias(struct cli *cli, int argc, char **argv);
int cli_stream(struct cli *cli, int argc, char **argv);
int cli_put(struct cli *cli, int argc, char **argv);
int cli_tail(struct cli *cli, int argc, char **argv);
int cli_open(struct cli *cli, int argc, char **argv);
int cli_journal(struct cli *cli, int argc, char **argv);
int cli_policy(struct cli *cli, int argc, char **argv);
int cli_approval(struct cli *cli, int argc, char **argv);
int cli_iam(struct cli *cli, int argc, char **argv);
int cli_audit(struct cli *cli, int argc, char **argv);
int cli_status(struct cli *cli, int argc, char **argv);
int cli_configure(struct cli *cli, int argc, char **argv);
int cli_hsm(struct cli *cli, int argc, char **argv);

#endif
