/* sealock audit search and tail: uses of keys and streams, as the log has them. */
#include "audit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit_use.h"
#include "auditlog.h"
#include "text.h"

#define TAIL_LINES 10u
#define POLL_MS 200u

struct search {
	struct cli *cli;
	char **paths;
	size_t paths_count;
	struct cli_audit_filter filter;
	const char *since, *until;
	uint64_t limit; /* 0: all */
	bool follow, all;
	uint64_t shown, unreadable;
};

enum {
	OPT_PRINCIPAL = 'p',
	OPT_ACTION = 'a',
	OPT_KEY = 'k',
	OPT_OUTCOME = 'o',
	OPT_REQUEST = 'r',
	OPT_SINCE = 's',
	OPT_UNTIL = 'u',
	OPT_COUNT = 'n',
	OPT_FOLLOW = 'f',
	OPT_ALL = 'A',
};

static void
take_outcome(struct search *s, const char *arg, struct argp_state *state)
{
	if (strcmp(arg, "allowed") != 0 && strcmp(arg, "denied") != 0 && strcmp(arg, "failed") != 0)
		argp_error(state, "an outcome is allowed, denied or failed, and not '%s'", arg);
	s->filter.outcome = arg;
}

static error_t
parse_search(int key, char *arg, struct argp_state *state)
{
	struct search *s = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = s->cli;
		return 0;
	case OPT_PRINCIPAL:
		s->filter.principal = arg;
		return 0;
	case OPT_ACTION:
		s->filter.action = arg;
		return 0;
	case OPT_KEY:
		s->filter.key = arg;
		return 0;
	case OPT_OUTCOME:
		take_outcome(s, arg, state);
		return 0;
	case OPT_REQUEST:
		s->filter.request = arg;
		return 0;
	case OPT_SINCE:
		s->since = arg;
		return 0;
	case OPT_UNTIL:
		s->until = arg;
		return 0;
	case OPT_COUNT:
		if (cli_u64_parse(arg, UINT64_MAX, &s->limit) != SLK_OK || s->limit == 0)
			argp_error(state, "'%s' is not a number of lines", arg);
		return 0;
	case OPT_FOLLOW:
		s->follow = true;
		return 0;
	case OPT_ALL:
		s->all = true;
		return 0;
	case ARGP_KEY_ARGS:
		s->paths = state->argv + state->next;
		s->paths_count = (size_t)(state->argc - state->next);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- lines --- */

static void
show(struct search *s, struct slk_span line, const struct cli_audit_use *use)
{
	if (s->cli->json) {
		cli_out_write(s->cli->out, line.ptr, line.len);
		cli_out_text(s->cli->out, "\n");
	} else {
		cli_audit_use_print(s->cli->out, use, s->shown == 0);
	}
	s->shown++;
}

/* True if the line is one that is looked for; *use then has to be freed. */
static bool
wanted(struct search *s, struct slk_span line, struct cli_audit_use *out_use)
{
	static const char header[] = "{\"kind\":\"header\"";

	if (line.len > sizeof(header) && memcmp(line.ptr, header, sizeof(header) - 1) == 0)
		return false;
	if (cli_audit_use_read(line, out_use) != SLK_OK) {
		s->unreadable += line.len > 0;
		return false;
	}
	if ((out_use->is_use || s->all) && cli_audit_use_matches(out_use, &s->filter))
		return true;
	cli_audit_use_fini(out_use);
	return false;
}

/* A line at *at, without its newline; *at goes on behind it. False: none that has an end. */
static bool
next_line(struct slk_span bytes, size_t *at, struct slk_span *out_line)
{
	const uint8_t *end =
		*at < bytes.len ? memchr(bytes.ptr + *at, '\n', bytes.len - *at) : NULL;

	if (end == NULL)
		return false;
	*out_line = slk_span(bytes.ptr + *at, (size_t)(end - bytes.ptr) - *at);
	*at += out_line->len + 1;
	return true;
}

/* From *at to the end of the last whole line. */
static void
show_from(struct search *s, struct slk_span bytes, size_t *at)
{
	struct cli_audit_use use;
	struct slk_span line;

	while ((s->limit == 0 || s->shown < s->limit || s->follow) && next_line(bytes, at, &line) &&
		!cli_stopped()) {
		if (!wanted(s, line, &use))
			continue;
		show(s, line, &use);
		cli_audit_use_fini(&use);
	}
}

static int
times(struct search *s, struct slk_error *err)
{
	uint64_t now_ns = slk_wall_ns(s->cli->clock);
	int rc = SLK_OK;

	if (s->since != NULL)
		rc = cli_time_parse(s->since, now_ns, &s->filter.since_ns, err);
	if (rc == SLK_OK && s->until != NULL)
		rc = cli_time_parse(s->until, now_ns, &s->filter.until_ns, err);
	return rc;
}

static void
say_unreadable(const struct search *s)
{
	if (s->unreadable > 0)
		cli_note("%llu lines could not be read; 'sealock audit verify' says more",
			(unsigned long long)s->unreadable);
}

/* --- search --- */

#define FILTERS \
	{"principal", OPT_PRINCIPAL, "ARN", 0, \
		"Who: an ARN or its end, as user/alice; * and ? match", 0}, \
		{"action", OPT_ACTION, "ACTION", 0, "What: kms:Decrypt, kms:*", 0}, \
		{"key", OPT_KEY, "KEY", 0, \
			"On which key or stream: its ARN or id, or the id of key material", 0}, \
		{"outcome", OPT_OUTCOME, "OUTCOME", 0, "allowed, denied or failed", 0}, \
		{"request", OPT_REQUEST, "ID", 0, \
			"Request id, event id, or what the caller calls it", 0}, \
	{ \
		"all", OPT_ALL, 0, 0, "Also lines that are no use: heads, torn, withheld", 0 \
	}

static const struct argp_option search_options[] = {
	FILTERS,
	{"since", OPT_SINCE, "TIME", 0, "From then on: 2026-11-24T10:00:00Z, -2h, -1d", 0},
	{"until", OPT_UNTIL, "TIME", 0, "Before then", 0},
	{"count", OPT_COUNT, "N", 0, "Show N at most", 0},
	{0},
};

static const struct argp search_argp = {search_options, parse_search, "[FILE...]",
	"Find uses of keys and streams in the audit log, oldest first. Without FILE, in the log at "
	"$SEALOCK_AUDIT (" CLI_DEFAULT_AUDIT ") and the files that it was renamed to. Lines are "
	"shown as they are, whether they are sound "
	"or not: 'sealock audit verify' tells.\v"
	"Example:\n"
	"  sealock audit search --outcome denied --since -1d\n"
	"  sealock audit search --principal 'user/*' --action kms:Decrypt --key 1234abcd-...\n"
	"  sealock audit search --request order-4711 --json\n"
	"\n"
	"--json prints the log's own lines, one document each.",
	cli_common_children, NULL, NULL};

int
cli_audit_search(struct cli *cli, int argc, char **argv)
{
	struct search s = {.cli = cli};
	struct cli_audit_log log = {NULL, 0};
	struct slk_error err = {0};
	struct slk_span bytes;

	cli_parse(&search_argp, argc, argv, &s);
	cli_catch_stop();
	int rc = times(&s, &err);
	if (rc == SLK_OK)
		rc = cli_audit_find(s.paths, s.paths_count, &log, &err);
	for (size_t i = 0; rc == SLK_OK && i < log.count; i++) {
		size_t at = 0;
		if (log.files[i].failed) /* it comes again in the next file */
			continue;
		rc = cli_audit_map(log.files[i].path, &bytes, &err);
		if (rc != SLK_OK)
			break;
		show_from(&s, bytes, &at);
		cli_audit_unmap(bytes);
	}
	cli_audit_fini(&log);
	if (rc != SLK_OK)
		return cli_fail(cli, &err);
	say_unreadable(&s);
	return CLI_EXIT_OK;
}

/* --- tail --- */

/* Where the last count lines that are looked for begin. */
static size_t
begin_of_last(struct search *s, struct slk_span bytes, uint64_t count)
{
	size_t end = bytes.len;
	struct cli_audit_use use;

	while (end > 0 && bytes.ptr[end - 1] != '\n')
		end--; /* one that is being written */
	while (end > 0 && count > 0) {
		const uint8_t *before = end > 1 ? memrchr(bytes.ptr, '\n', end - 1) : NULL;
		size_t begin = before != NULL ? (size_t)(before - bytes.ptr) + 1 : 0;
		if (wanted(s, slk_span(bytes.ptr + begin, end - 1 - begin), &use)) {
			cli_audit_use_fini(&use);
			count--;
		}
		end = begin;
	}
	return end;
}

/* Another file is at path than the one that is open. */
static bool
is_another_file(const char *path, int fd)
{
	struct stat now, ours;

	return stat(path, &now) == 0 && fstat(fd, &ours) == 0 &&
		(now.st_ino != ours.st_ino || now.st_dev != ours.st_dev);
}

/* What came to the open file since. */
static int
show_new(struct search *s, int fd, const char *path, size_t *at, struct slk_error *err)
{
	struct slk_span bytes;

	int rc = cli_audit_map_fd(fd, path, &bytes, err);
	if (rc != SLK_OK)
		return rc;
	if (*at > bytes.len)
		*at = 0; /* it was emptied */
	show_from(s, bytes, at);
	cli_audit_unmap(bytes);
	return SLK_OK;
}

/* Until a signal, or the reader goes away. A new file at path is read from its begin, after the rest of the old one. */
static int
follow(struct search *s, const char *path, int *fd, size_t at, struct slk_error *err)
{
	while (cli_out_flush(s->cli->out) == SLK_OK && cli_pause(POLL_MS)) {
		bool another = is_another_file(path, *fd);
		int rc = show_new(s, *fd, path, &at, err);
		if (rc != SLK_OK)
			return rc;
		if (!another)
			continue;
		int next = open(path, O_RDONLY | O_CLOEXEC);
		if (next < 0)
			continue; /* it was renamed again */
		close(*fd);
		*fd = next;
		at = 0;
	}
	return SLK_OK;
}

static const struct argp_option tail_options[] = {
	FILTERS,
	{"lines", OPT_COUNT, "N", 0, "Begin with the last N (10)", 0},
	{"follow", OPT_FOLLOW, 0, 0, "Go on as lines are written, over rotation of the file", 0},
	{0},
};

static const struct argp tail_argp = {tail_options, parse_search, "[FILE]",
	"Show the last uses of keys and streams in the audit log, and follow it. Without FILE, of "
	"the log at $SEALOCK_AUDIT (" CLI_DEFAULT_AUDIT ").\v"
	"Example:\n"
	"  sealock audit tail -f\n"
	"  sealock audit tail -n 100 --outcome denied\n"
	"\n"
	"--json prints the log's own lines, one document each.",
	cli_common_children, NULL, NULL};

static int
tail_file(struct search *s, const char *path, struct slk_error *err)
{
	struct slk_span bytes;
	uint64_t count = s->limit != 0 ? s->limit : TAIL_LINES;

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return slk_fail_errno(err, "cannot read %s", path);
	int rc = cli_audit_map_fd(fd, path, &bytes, err);
	if (rc == SLK_OK) {
		s->limit = 0;
		size_t at = begin_of_last(s, bytes, count);
		show_from(s, bytes, &at);
		cli_audit_unmap(bytes);
		if (s->follow)
			rc = follow(s, path, &fd, at, err);
	}
	close(fd);
	return rc;
}

int
cli_audit_tail(struct cli *cli, int argc, char **argv)
{
	struct search s = {.cli = cli};
	const char *path = secure_getenv("SEALOCK_AUDIT");
	struct slk_error err = {0};

	cli_parse(&tail_argp, argc, argv, &s);
	cli_catch_stop();
	if (s.paths_count > 1) {
		(void)slk_fail(&err, SLK_INVALID, "one file can be followed, and not several");
		return cli_fail(cli, &err);
	}
	if (s.paths_count == 1)
		path = s.paths[0];
	else if (path == NULL || path[0] == '\0')
		path = CLI_DEFAULT_AUDIT;
	if (tail_file(&s, path, &err) != SLK_OK)
		return cli_fail(cli, &err);
	return CLI_EXIT_OK;
}
