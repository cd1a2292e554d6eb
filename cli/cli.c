#include "cli.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "delivery.h"
#include "text.h"

const char *argp_program_version = "sealock " SLK_VERSION;

static const struct cli_command nouns[] = {
	{"key", "master keys in the HSM: make, use, rotate, delete", cli_key},
	{"alias", "names of master keys: create, update, delete, list", cli_alias},
	{"stream", "streams of records: create, list, describe, delete", cli_stream},
	{"delivery", "deliveries of streams to other systems", cli_delivery},
	{"put", "append records to a stream", cli_put},
	{"tail", "read a stream, and follow it", cli_tail},
#ifdef CLI_HAVE_OPEN
	{"open", "open a delivered object that was sealed for its reader", cli_open},
#endif
	{"journal", "the sealed files: ls, verify (no key needed)", cli_journal},
	{"approval", "dual control: list, show, approve, reject", cli_approval},
	{"iam", "users, roles, policies, access keys: who may do what", cli_iam},
	{"policy", "policy documents: validate, explain", cli_policy},
	{"audit", "the log of every use: verify, search, tail, evidence", cli_audit},
	{"configure", "profiles for clients: aws", cli_configure},
	{"status", "rates, key ages, HSM health", cli_status},
#ifdef CLI_HAVE_HSM
	{"hsm", "the token: init, probe, ceremony", cli_hsm},
#endif
	{0},
};

/* --- options of every command --- */

enum { OPT_KMS = 0x100, OPT_INGEST, OPT_STATUS, OPT_JOURNAL, OPT_JSON };

static const struct argp_option common_options[] = {
	{0, 0, 0, 0, "Options of every command:", 90},
	{"json", OPT_JSON, 0, 0, "Print JSON for scripts", 0},
	{"kms-socket", OPT_KMS, "PATH", 0, "Socket of sealock-kmsd ($SEALOCK_KMS_SOCKET)", 0},
	{"ingest-socket", OPT_INGEST, "PATH", 0,
		"Put socket of sealock-ingestd ($SEALOCK_INGEST_SOCKET)", 0},
	{"status-socket", OPT_STATUS, "PATH", 0,
		"Status socket of sealock-ingestd ($SEALOCK_STATUS_SOCKET)", 0},
	{"journal", OPT_JOURNAL, "DIR", 0, "Journal directory ($SEALOCK_JOURNAL)", 0},
	{0},
};

static error_t
parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case OPT_JSON:
		cli->json = true;
		return 0;
	case OPT_KMS:
		cli->kms_socket = arg;
		return 0;
	case OPT_INGEST:
		cli->ingest_socket = arg;
		return 0;
	case OPT_STATUS:
		cli->status_socket = arg;
		return 0;
	case OPT_JOURNAL:
		cli->journal_dir = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp cli_common_argp = {.options = common_options, .parser = parse_common};
const struct argp_child cli_common_children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};

void
cli_parse(const struct argp *argp, int argc, char **argv, void *input)
{
	error_t rc = argp_parse(argp, argc, argv, 0, NULL, input);

	if (rc != 0) { /* wrong usage never comes back; what is left is memory */
		fprintf(stderr, "sealock: %s\n", strerror(rc));
		exit(CLI_EXIT_FAILED);
	}
}

/* --- levels: sealock -> noun -> verb --- */

struct level {
	struct cli *cli;
	int rest; /* index of the word that names the next level; 0 until it was seen */
};

static error_t
parse_level(int key, char *arg, struct argp_state *state)
{
	struct level *level = state->input;
	(void)arg;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = level->cli;
		return 0;
	case ARGP_KEY_ARG:
		level->rest = state->next - 1;
		state->next = state->argc; /* the rest is the next level's */
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "a command is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct cli_command *
find(const struct cli_command *commands, const char *name)
{
	for (; commands->name != NULL; commands++)
		if (strcmp(commands->name, name) == 0)
			return commands;
	return NULL;
}

static char *
level_doc(const struct cli_command *commands, const char *intro, const char *example)
{
	char *doc = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&doc, &len);
	int width = 0;

	if (f == NULL)
		return NULL;
	for (const struct cli_command *c = commands; c->name != NULL; c++)
		width = (int)strlen(c->name) > width ? (int)strlen(c->name) : width;
	fprintf(f, "%s\n\nCommands:\n", intro);
	for (const struct cli_command *c = commands; c->name != NULL; c++)
		fprintf(f, "  %-*s  %s\n", width, c->name, c->summary);
	fprintf(f, "\v%s", example);
	if (fclose(f) != 0) {
		free(doc);
		return NULL;
	}
	return doc;
}

int
cli_dispatch(struct cli *cli, const struct cli_command *commands, const char *intro,
	const char *example, int argc, char **argv)
{
	struct level level = {cli, 0};
	char *doc = level_doc(commands, intro, example);
	const struct argp argp = {.parser = parse_level,
		.args_doc = "COMMAND [ARGUMENT...]",
		.doc = doc,
		.children = cli_common_children};

	/* In order: what stands behind the command's name is for the command. */
	error_t rc =
		doc == NULL ? ENOMEM : argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &level);
	free(doc);
	if (rc != 0) {
		fprintf(stderr, "sealock: %s\n", strerror(rc));
		return CLI_EXIT_FAILED;
	}
	const struct cli_command *command = find(commands, argv[level.rest]);
	if (command == NULL) {
		fprintf(stderr, "%s: there is no command '%s'; try '%s --help'\n", argv[0],
			argv[level.rest], argv[0]);
		return CLI_EXIT_USAGE;
	}
	char name[64];
	snprintf(name, sizeof(name), "%s %s", argv[0], command->name);
	argv[level.rest] = name;
	return command->run(cli, argc - level.rest, argv + level.rest);
}

/* --- what commands share --- */

struct kmsc *
cli_kms(struct cli *cli, struct slk_error *err)
{
	if (cli->kms == NULL) {
		int rc = kmsc_new(cli->kms_socket, cli->kms_timeout_ms, &cli->kms);
		if (rc != SLK_OK)
			(void)slk_fail(err, rc, "cannot make a client of sealock-kmsd: %s",
				slk_status_sentence(rc));
	}
	return cli->kms;
}

void
cli_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("sealock: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

int
cli_fail(const struct cli *cli, const struct slk_error *err)
{
	struct cli_out *out = NULL;

	if (cli->out != NULL)
		(void)cli_out_flush(cli->out); /* what was printed before comes first */
	if (!cli->json || cli_out_new(STDERR_FILENO, &out, NULL) != SLK_OK) {
		cli_note("%s", err->text);
		return CLI_EXIT_FAILED;
	}
	yajl_gen json = cli_json_begin(out, true);
	cli_json_map(json);
	cli_json_key(json, "error");
	cli_json_map(json);
	cli_json_str(json, "code", slk_status_name(err->status));
	cli_json_str(json, "message", err->text);
	cli_json_map_end(json);
	cli_json_map_end(json);
	cli_json_next(json);
	cli_json_end(json);
	(void)cli_out_flush(out); /* there is nowhere left to complain to */
	cli_out_free(out);
	return CLI_EXIT_FAILED;
}

int
cli_finish(struct cli *cli)
{
	int rc = cli_out_flush(cli->out);

	if (rc == SLK_OK || rc == SLK_CLOSED)
		return CLI_EXIT_OK;
	cli_note("cannot write the output: %s", cli_out_error(cli->out));
	return CLI_EXIT_FAILED;
}

static volatile sig_atomic_t stop_signal;

static void
on_stop(int signal)
{
	stop_signal = signal;
}

bool
cli_stopped(void)
{
	return stop_signal != 0;
}

bool
cli_pause(unsigned ms)
{
	struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
	sigset_t none, block, old;

	/* The stop signals are let in only while ppoll waits, so that none slips in between the
	 * look and the wait. */
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigprocmask(SIG_BLOCK, &block, &old);
	if (stop_signal == 0)
		(void)ppoll(NULL, 0, &left, &none);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return stop_signal == 0;
}

void
cli_catch_stop(void)
{
	struct sigaction stop = {
		.sa_handler = on_stop, .sa_flags = SA_RESETHAND}; /* a second one ends at once */

	sigemptyset(&stop.sa_mask);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
}

/* --- start --- */

static const char *
env_or(const char *name, const char *fallback)
{
	const char *value = secure_getenv(name);

	return value != NULL && value[0] != '\0' ? value : fallback;
}

int
cli_main(int argc, char **argv)
{
	static const char intro[] =
		"Seal records under keys that stay in an HSM, and read them back.";
	static const char example[] = "Example:\n"
				      "  sealock key create --alias alias/web\n"
				      "  sealock stream create web --key alias/web\n"
				      "  echo hello | sealock put web --lines\n"
				      "  sealock tail web --no-follow\n"
				      "\n"
				      "Every command explains itself with --help. Exit status: 0 "
				      "done, 1 refused or failed, 2 wrong usage.";
	static char program[] = "sealock";
	struct slk_error err = {0};
	struct cli cli = {
		.kms_socket = env_or("SEALOCK_KMS_SOCKET", KMSC_DEFAULT_SOCKET),
		.ingest_socket = env_or("SEALOCK_INGEST_SOCKET", CLI_DEFAULT_INGEST_SOCKET),
		.status_socket = env_or("SEALOCK_STATUS_SOCKET", CLI_DEFAULT_STATUS_SOCKET),
		.journal_dir = env_or("SEALOCK_JOURNAL", CLI_DEFAULT_JOURNAL),
		.clock = slk_clock_system(),
	};

	argp_err_exit_status = CLI_EXIT_USAGE;
	signal(SIGPIPE, SIG_IGN); /* a reader that goes away is seen by write(), after which buffers
				     are wiped */
	if (slk_process_harden(&err) != SLK_OK ||
		cli_out_new(STDOUT_FILENO, &cli.out, &err) != SLK_OK)
		return cli_fail(&cli, &err);
	if (argc > 0)
		argv[0] = program;
	int code = cli_dispatch(&cli, nouns, intro, example, argc, argv);
	int finished = cli_finish(&cli);
	cli_out_free(cli.out);
	kmsc_free(cli.kms);
	return code != CLI_EXIT_OK ? code : finished;
}
