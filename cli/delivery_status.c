/* sealock delivery status: deliverd's own account, from its status socket (delivery/monitor.h). It gives one JSON document to
 * each connection; --json passes it on as it is. */
#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <yajl/yajl_tree.h>

#include "base/sock.h"
#include "base/status.h"
#include "shapes.h"
#include "text.h"

#define SOCKET_DEFAULT "/run/sealock/deliver/status.sock"
#define DOCUMENT_MAX (32u * 1024u * 1024u)
#define PIECE_BYTES (64u * 1024u)
#define TIMEOUT_S 5
#define WATCH_MS 1000u

enum { OPT_WATCH = 'w', OPT_SOCKET = 's' };

struct status_args {
	struct cli *cli;
	const char *name; /* NULL: all */
	const char *socket;
	bool watch;
};

struct document {
	char *text;
	size_t len;
	yajl_val tree;
};

static error_t
parse_status(int key, char *arg, struct argp_state *state)
{
	struct status_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_WATCH:
		args->watch = true;
		return 0;
	case OPT_SOCKET:
		args->socket = arg;
		return 0;
	case ARGP_KEY_ARG:
		if (args->name != NULL)
			argp_error(state, "'%s' is too much", arg);
		args->name = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- the document --- */

static void
document_fini(struct document *d)
{
	yajl_tree_free(d->tree);
	free(d->text);
	memset(d, 0, sizeof(*d));
}

static int
read_all(int fd, struct document *d, struct slk_error *err)
{
	size_t cap = 0;
	ssize_t n = 1;

	while (n > 0) {
		if (d->len + PIECE_BYTES + 1 > cap) {
			cap = cap == 0 ? 2 * PIECE_BYTES : 2 * cap;
			char *bigger = cap <= DOCUMENT_MAX ? realloc(d->text, cap) : NULL;
			if (bigger == NULL)
				return slk_fail(err, SLK_TOO_LARGE,
					"the status of sealock-deliverd is too long");
			d->text = bigger;
		}
		n = recv(fd, d->text + d->len, PIECE_BYTES, 0);
		if (n < 0)
			return slk_fail_errno(err, "sealock-deliverd gave no status");
		d->len += (size_t)n;
	}
	d->text[d->len] = '\0';
	return SLK_OK;
}

static int
fetch(const struct status_args *args, struct document *d, struct slk_error *err)
{
	const struct timeval limit = {.tv_sec = TIMEOUT_S};
	const char *path = args->socket;
	char why[256];
	int fd = -1;

	if (path == NULL)
		path = getenv("SEALOCK_DELIVERY_SOCKET");
	if (path == NULL)
		path = SOCKET_DEFAULT;
	int rc = slk_sock_connect_stream(path, TIMEOUT_S * 1000, &fd, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(err, "sealock-deliverd does not answer (does it run?)");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	rc = read_all(fd, d, err);
	close(fd);
	if (rc != SLK_OK)
		return rc;
	d->tree = yajl_tree_parse(d->text, why, sizeof(why));
	if (!YAJL_IS_OBJECT(d->tree))
		return slk_fail(
			err, SLK_MALFORMED, "the status of sealock-deliverd is not a JSON object");
	return SLK_OK;
}

/* --- reading it --- */

static yajl_val
member(yajl_val map, const char *name)
{
	const char *path[] = {name, NULL};

	return map == NULL ? NULL : yajl_tree_get(map, path, yajl_t_any);
}

static const char *
string(yajl_val map, const char *name)
{
	yajl_val v = member(map, name);

	return YAJL_IS_STRING(v) ? YAJL_GET_STRING(v) : "";
}

static double
number(yajl_val map, const char *name)
{
	yajl_val v = member(map, name);

	return YAJL_IS_NUMBER(v) ? strtod(YAJL_GET_NUMBER(v), NULL) : 0;
}

static unsigned long long
whole(yajl_val map, const char *name)
{
	return (unsigned long long)number(map, name);
}

static bool
is_well(yajl_val stream)
{
	return strcmp(string(stream, "state"), "not running") != 0 &&
		!YAJL_IS_OBJECT(member(stream, "error"));
}

/* --- for people --- */

static void
print_error(struct cli_out *out, yajl_val s)
{
	char line[768];
	yajl_val e = member(s, "error"), b = member(s, "batch");

	if (string(s, "trouble")[0] != '\0')
		cli_shape_line(out, "trouble", string(s, "trouble"));
	if (!YAJL_IS_OBJECT(e))
		return;
	snprintf(line, sizeof(line), "%s: %s (since %s)", string(e, "code"), string(e, "message"),
		string(e, "since"));
	cli_shape_line(out, "error", line);
	if (number(b, "retry_in_s") > 0) {
		snprintf(line, sizeof(line), "batch %llu was tried %llu times, again in %.0f s",
			whole(b, "number"), whole(b, "attempts"), number(b, "retry_in_s"));
		cli_shape_line(out, "retry", line);
	}
}

static void
print_figures(struct cli_out *out, yajl_val s)
{
	char line[512], bytes[CLI_AMOUNT_MAX];
	yajl_val lag = member(s, "lag"), lost = member(s, "lost");

	cli_bytes_format(whole(s, "bytes"), bytes);
	snprintf(line, sizeof(line), "%llu records (%s) in %llu batches, last %s",
		whole(s, "records"), bytes, whole(s, "batches"),
		string(s, "delivered")[0] != '\0' ? string(s, "delivered") : "none yet");
	cli_shape_line(out, "delivered", line);
	cli_bytes_format(whole(lag, "bytes"), bytes);
	snprintf(line, sizeof(line), "%llu records (%s), %.1f s", whole(lag, "records"), bytes,
		number(lag, "seconds"));
	cli_shape_line(out, "lag", line);
	if (whole(s, "backed_up_records") + whole(s, "failed_records") > 0) {
		snprintf(line, sizeof(line),
			"%llu records of batches given up, %llu that were refused alone",
			whole(s, "backed_up_records"), whole(s, "failed_records"));
		cli_shape_line(out, "backed up", line);
	}
	if (whole(lost, "retention") + whole(lost, "damage") > 0) {
		snprintf(line, sizeof(line), "%llu by retention, %llu by damage; %s",
			whole(lost, "retention"), whole(lost, "damage"), string(lost, "last"));
		cli_shape_line(out, "LOST", line);
	}
}

static void
print_stream(struct cli_out *out, yajl_val s)
{
	char line[256];

	cli_shape_line(out, "delivery", string(s, "name"));
	snprintf(line, sizeof(line), "%s, %s", string(s, "status"), string(s, "state"));
	cli_shape_line(out, "state", line);
	cli_shape_line(out, "source", string(s, "source"));
	if (string(s, "destination")[0] != '\0')
		cli_shape_line(out, "destination", string(s, "destination"));
	print_error(out, s);
	if (string(s, "destination")[0] != '\0')
		print_figures(out, s);
	cli_out_text(out, "\n");
}

static void
print_all(const struct status_args *args, const struct document *d)
{
	struct cli_out *out = args->cli->out;
	yajl_val streams = member(d->tree, "delivery_streams"), kms = member(d->tree, "kms");

	if (string(kms, "error")[0] != '\0')
		cli_shape_line(out, "kmsd", string(kms, "error"));
	for (size_t i = 0; YAJL_IS_ARRAY(streams) && i < YAJL_GET_ARRAY(streams)->len; i++) {
		yajl_val s = YAJL_GET_ARRAY(streams)->values[i];
		if (args->name == NULL || strcmp(args->name, string(s, "name")) == 0)
			print_stream(out, s);
	}
}

/* --- all of it --- */

/* How many there are of that name, or all; *out_well: nothing stands in the way of any of them. */
static size_t
judge(const struct status_args *args, const struct document *d, bool *out_well)
{
	yajl_val streams = member(d->tree, "delivery_streams");
	size_t count = 0;

	*out_well = true;
	for (size_t i = 0; YAJL_IS_ARRAY(streams) && i < YAJL_GET_ARRAY(streams)->len; i++) {
		yajl_val s = YAJL_GET_ARRAY(streams)->values[i];
		if (args->name != NULL && strcmp(args->name, string(s, "name")) != 0)
			continue;
		count++;
		*out_well = *out_well && is_well(s);
	}
	return count;
}

static int
show(const struct status_args *args)
{
	struct document d = {0};
	struct slk_error err = {0};
	bool well = false;
	int rc = fetch(args, &d, &err);

	if (rc != SLK_OK) {
		document_fini(&d);
		return cli_fail(args->cli, &err);
	}
	size_t count = judge(args, &d, &well);
	if (args->cli->json)
		cli_out_write(args->cli->out, d.text, d.len);
	else
		print_all(args, &d);
	document_fini(&d);
	if (args->name != NULL && count == 0) {
		(void)slk_fail(&err, SLK_NOT_FOUND, "sealock-deliverd knows no delivery stream %s",
			args->name);
		cli_out_drop(args->cli->out);
		return cli_fail(args->cli, &err);
	}
	if (!args->cli->json && count == 0)
		cli_note(
			"there is no delivery stream yet: make one with 'sealock delivery create'");
	return well ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

static int
watch(const struct status_args *args)
{
	bool terminal = cli_out_is_terminal(args->cli->out);
	int code;

	do {
		if (!args->cli->json)
			cli_out_text(args->cli->out, terminal ? "\033[H\033[J" : "");
		code = show(args);
	} while (cli_out_flush(args->cli->out) == SLK_OK && cli_pause(WATCH_MS));
	return code;
}

int
cli_delivery_status(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"watch", OPT_WATCH, 0, 0, "Again every second, until Ctrl-C", 1},
		{"socket", OPT_SOCKET, "PATH", 0,
			"deliverd's status socket (default $SEALOCK_DELIVERY_SOCKET, "
			"or " SOCKET_DEFAULT ")",
			1},
		{0},
	};
	static const struct argp argp = {options, parse_status, "[NAME]",
		"Say how far deliveries are, what stands in their way and what is done about it.\v"
		"Examples:\n"
		"  sealock delivery status web\n"
		"  sealock delivery status --json | jq '.delivery_streams[] | {name, error}'\n"
		"\n"
		"Exit status 1: a delivery is held up or does not run, or deliverd does not "
		"answer.",
		cli_common_children, NULL, NULL};
	struct status_args args = {.cli = cli};

	cli_parse(&argp, argc, argv, &args);
	cli_catch_stop();
	return args.watch ? watch(&args) : show(&args);
}
