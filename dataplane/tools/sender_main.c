/* sealock-send: lines of files as records to a plain listener. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <yajl/yajl_gen.h>

#include "journal/reader.h"
#include "sender.h"

#define LANES_MAX 64u
#define FILES_MAX 256u
#define EXIT_USAGE 2

const char *argp_program_version = "sealock-send " SLK_VERSION;

static const char about[] =
	"Send the lines of FILEs (- is standard input) as records to a plain UDP listener of "
	"sealock-ingestd.\v"
	"A listener on UDP acknowledges nothing: what comes too fast is lost. So say what paces "
	"the sender: the journal's "
	"durable watermark on the same host (--watermark; no more than --window records are ever "
	"on their way, and at the "
	"end it is known whether all became durable), a rate (--rate), or nothing (--unpaced).\n"
	"\n"
	"A line's CR and LF are not part of the record; blank lines are left out, as listeners do "
	"not store them. The "
	"framing must be the listener's.\n"
	"\n"
	"Examples:\n"
	"  sealock-send --to 10.77.0.2:5514 --watermark DIR /var/log/dpkg.log\n"
	"  journalctl -o cat | sealock-send --to '[fd00::2]:5514' --rate 1000 -\n"
	"\n"
	"Then read them back with `sealock tail STREAM`.\n"
	"Exit status: 0 all sent (and durable, with --watermark), 1 failed, 2 wrong usage.";

enum {
	OPT_WATERMARK = 0x100,
	OPT_WINDOW,
	OPT_TIMEOUT,
	OPT_RATE,
	OPT_UNPACED,
	OPT_PAYLOAD,
	OPT_GSO,
	OPT_SKIP_LONG,
	OPT_JSON
};

static const struct argp_option options[] = {
	{"to", 't', "ADDRESS:PORT", 0, "Where the listener is; numbers only, [IPv6]:PORT", 1},
	{"file", 'f', "FILE", 0, "Same as a FILE argument; can be given again", 1},
	{"framing", 'F', "FRAMING", 0,
		"datagram (a record each, default) or lines (as many as fit)", 1},
	{"payload", OPT_PAYLOAD, "BYTES", 0,
		"Most bytes in a datagram (default: what the path's MTU allows)", 1},
	{"skip-long", OPT_SKIP_LONG, 0, 0,
		"Leave out lines that fit no datagram, and count them, instead of failing", 1},
	{"watermark", OPT_WATERMARK, "DIR", 0,
		"Pace by the durable watermark of this journal directory", 2},
	{"window", OPT_WINDOW, "RECORDS", 0, "Most records on their way (default 1024)", 2},
	{"timeout", OPT_TIMEOUT, "SECONDS", 0,
		"Give up when nothing becomes durable for so long (default 10)", 2},
	{"rate", OPT_RATE, "RECORDS", 0, "Most records a second", 2},
	{"unpaced", OPT_UNPACED, 0, 0, "As fast as the socket takes them: expect losses", 2},
	{"gso", OPT_GSO, 0, 0, "Let the kernel cut runs of datagrams of one size (UDP_SEGMENT)", 3},
	{"json", OPT_JSON, 0, 0, "Print the summary as JSON", 3},
	{0},
};

struct args {
	struct dp_sender_config sender;
	const char *to;
	const char *watermark;
	const char *files[FILES_MAX];
	unsigned file_count;
	bool unpaced;
	bool json;
};

/* --- the watermark of a journal --- */

struct lanes {
	const char *dir;
	unsigned count;
	uint64_t opened_ns[LANES_MAX];
};

static int
lanes_open(struct lanes *lanes, const char *dir, struct slk_error *err)
{
	struct jnl_watermark mark;

	lanes->dir = dir;
	for (lanes->count = 0; lanes->count < LANES_MAX; lanes->count++) {
		int status = jnl_watermark_read(dir, lanes->count, &mark, err);
		if (status == SLK_NOT_FOUND && lanes->count > 0)
			return SLK_OK; /* no more lanes */
		if (status != SLK_OK)
			return status;
		lanes->opened_ns[lanes->count] = mark.opened_ns;
	}
	return SLK_OK;
}

static int
lanes_read(void *ctx, uint64_t *out_records, struct slk_error *err)
{
	const struct lanes *lanes = ctx;
	uint64_t records = 0;

	for (unsigned i = 0; i < lanes->count; i++) {
		struct jnl_watermark mark;
		int status = jnl_watermark_read(lanes->dir, i, &mark, err);
		if (status != SLK_OK)
			return status;
		if (mark.opened_ns != lanes->opened_ns[i])
			return slk_fail(err, SLK_CLOSED,
				"the journal was opened anew meanwhile (sealock-ingestd "
				"restarted): records that were "
				"on their way may be lost");
		records += mark.records;
	}
	*out_records = records;
	return SLK_OK;
}

static void
lanes_pause(void *ctx)
{
	static const struct timespec moment = {.tv_nsec = 100000};
	(void)ctx;
	nanosleep(&moment, NULL);
}

/* --- the command line --- */

static uint64_t
number(const char *text, uint64_t min, uint64_t max, struct argp_state *state)
{
	char *end = NULL;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min ||
		value > max)
		argp_error(
			state, "\"%s\" is no number from %" PRIu64 " to %" PRIu64, text, min, max);
	return value;
}

static void
add_file(struct args *args, const char *file, struct argp_state *state)
{
	if (args->file_count == FILES_MAX)
		argp_error(state, "more than %u files", FILES_MAX);
	else
		args->files[args->file_count++] = file;
}

static void
check_args(const struct args *args, struct argp_state *state)
{
	if (args->to == NULL)
		argp_error(state, "--to is missing: where is the listener?");
	if (args->file_count == 0)
		argp_error(state, "no FILE; - is standard input");
	if (args->watermark == NULL && args->sender.rate_per_s == 0 && !args->unpaced)
		argp_error(state,
			"say what paces the sender: --watermark DIR, --rate RECORDS or --unpaced");
	if (args->unpaced && (args->watermark != NULL || args->sender.rate_per_s != 0))
		argp_error(state, "--unpaced contradicts --watermark and --rate");
	if (args->sender.framing != DP_FRAMING_DATAGRAM && args->sender.framing != DP_FRAMING_LINES)
		argp_error(state, "--framing is datagram or lines");
}

static error_t
parse_option(int key, char *arg, struct argp_state *state)
{
	struct args *args = state->input;

	switch (key) {
	case 't':
		args->to = arg;
		return 0;
	case 'F':
		if (!dp_framing_parse(arg, &args->sender.framing))
			argp_error(state, "--framing is datagram or lines");
		return 0;
	case OPT_PAYLOAD:
		args->sender.payload_bytes = (uint32_t)number(arg, 1, DP_SENDER_PAYLOAD_MAX, state);
		return 0;
	case OPT_SKIP_LONG:
		args->sender.skip_long = true;
		return 0;
	case OPT_WATERMARK:
		args->watermark = arg;
		return 0;
	case OPT_WINDOW:
		args->sender.window_records = (uint32_t)number(arg, 1, 1u << 30, state);
		return 0;
	case OPT_TIMEOUT:
		args->sender.timeout_ns = number(arg, 1, 86400, state) * SLK_NS_PER_S;
		return 0;
	case OPT_RATE:
		args->sender.rate_per_s = number(arg, 1, 1000000000, state);
		return 0;
	case OPT_UNPACED:
		args->unpaced = true;
		return 0;
	case OPT_GSO:
		args->sender.gso = true;
		return 0;
	case OPT_JSON:
		args->json = true;
		return 0;
	case 'f':
	case ARGP_KEY_ARG:
		add_file(args, arg, state);
		return 0;
	case ARGP_KEY_END:
		check_args(args, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- the work --- */

/* A line without its end. All CRs before the LF go: a listener with the lines framing would take the last one. */
static struct slk_span
line_body(const char *line, size_t len)
{
	bool ended = len > 0 && line[len - 1] == '\n';

	if (ended)
		len--;
	while (len > 0 && line[len - 1] == '\r')
		len--;
	return slk_span(line, len);
}

static int
send_lines(struct dp_sender *sender, FILE *in, const char *name, struct slk_error *err)
{
	char *line = NULL;
	size_t cap = 0;
	uint64_t number_of_line = 0;
	int status = SLK_OK;

	for (ssize_t len; status == SLK_OK && (len = getline(&line, &cap, in)) >= 0;) {
		number_of_line++;
		status = dp_sender_record(sender, line_body(line, (size_t)len), err);
	}
	if (status == SLK_TOO_LARGE)
		status = slk_fail_prefix(err,
			"line %" PRIu64 " of %s (--skip-long leaves such lines out)",
			number_of_line, name);
	else if (status == SLK_OK && ferror(in))
		status = slk_fail_errno(err, "cannot read %s", name);
	free(line);
	return status;
}

static int
send_file(struct dp_sender *sender, const char *name, struct slk_error *err)
{
	if (strcmp(name, "-") == 0)
		return send_lines(sender, stdin, "standard input", err);
	FILE *in = fopen(name, "re");
	if (in == NULL)
		return slk_fail_errno(err, "cannot open %s", name);
	int status = send_lines(sender, in, name, err);
	fclose(in); /* was only read */
	return status;
}

static int
send_files(struct dp_sender *sender, const struct args *args, struct slk_error *err)
{
	for (unsigned i = 0; i < args->file_count; i++) {
		int status = send_file(sender, args->files[i], err);
		if (status != SLK_OK)
			return status;
	}
	return dp_sender_finish(sender, err);
}

/* --- the summary --- */

static const char *
gso_word(const struct args *args, const struct dp_sender_result *r)
{
	if (!args->sender.gso)
		return "off";
	return r->gso_refused ? "refused" : "on";
}

static void
json_key(yajl_gen json, const char *key)
{
	yajl_gen_string(json, (const unsigned char *)key, strlen(key));
}

static void
json_u64(yajl_gen json, const char *key, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	json_key(json, key);
	yajl_gen_number(json, text, strlen(text));
}

static void
json_text(yajl_gen json, const char *key, const char *value)
{
	json_key(json, key);
	yajl_gen_string(json, (const unsigned char *)value, strlen(value));
}

static void
json_fields(yajl_gen json, const struct args *args, const struct dp_sender_result *r,
	const char *sha256)
{
	yajl_gen_map_open(json);
	json_text(json, "to", args->to);
	json_text(json, "framing", dp_framing_name(args->sender.framing));
	json_u64(json, "records", r->record_count);
	json_u64(json, "bytes", r->record_bytes);
	json_text(json, "sha256", sha256);
	json_u64(json, "datagrams", r->datagram_count);
	json_u64(json, "blank_lines", r->empty_count);
	json_u64(json, "long_lines", r->long_count);
	json_u64(json, "payload_bytes_max", r->payload_bytes);
	json_key(json, "durable");
	if (args->watermark != NULL)
		yajl_gen_bool(json, r->durable);
	else
		yajl_gen_null(json);
	json_text(json, "gso", gso_word(args, r));
	json_u64(json, "gso_datagrams", r->gso_datagram_count);
	json_key(json, "seconds");
	yajl_gen_double(json, (double)r->elapsed_ns / (double)SLK_NS_PER_S);
	yajl_gen_map_close(json);
}

static void
print_json(const struct args *args, const struct dp_sender_result *r, const char *sha256)
{
	const unsigned char *text = NULL;
	size_t len = 0;
	yajl_gen json = yajl_gen_alloc(NULL);

	if (json == NULL) {
		fprintf(stderr, "sealock-send: no memory for the summary\n");
		return;
	}
	yajl_gen_config(json, yajl_gen_beautify, 1);
	json_fields(json, args, r, sha256);
	if (yajl_gen_get_buf(json, &text, &len) == yajl_gen_status_ok)
		fwrite(text, 1, len, stdout);
	yajl_gen_free(json);
}

static void
print_text(const struct args *args, const struct dp_sender_result *r, const char *sha256)
{
	double seconds = (double)r->elapsed_ns / (double)SLK_NS_PER_S;

	printf("records    %" PRIu64 " in %" PRIu64 " datagrams%s\n", r->record_count,
		r->datagram_count,
		args->watermark == NULL ? ""
			: r->durable    ? ", all durable"
					: ", not all durable");
	printf("bytes      %" PRIu64 "\n", r->record_bytes);
	printf("sha256     %s  (each record followed by LF)\n", sha256);
	printf("seconds    %.3f (%.0f records/s)\n", seconds,
		seconds > 0 ? (double)r->record_count / seconds : 0);
	if (r->empty_count > 0)
		printf("left out   %" PRIu64 " blank lines\n", r->empty_count);
	if (r->long_count > 0)
		printf("left out   %" PRIu64 " lines over %u bytes\n", r->long_count,
			r->payload_bytes);
	if (args->sender.gso)
		printf("gso        %s, %" PRIu64 " datagrams\n", gso_word(args, r),
			r->gso_datagram_count);
}

static int
print_summary(const struct dp_sender *sender, const struct args *args, struct slk_error *err)
{
	struct dp_sender_result result;
	char sha256[2 * DP_SENDER_SHA256_BYTES + 1];

	if (dp_sender_result(sender, &result) != SLK_OK)
		return slk_fail(err, SLK_INTERNAL, "SHA-256 failed in libcrypto");
	slk_hex(slk_span(result.sha256, sizeof(result.sha256)), sha256, sizeof(sha256));
	if (args->json)
		print_json(args, &result, sha256);
	else
		print_text(args, &result, sha256);
	return fflush(stdout) == 0 && !ferror(stdout)
		? SLK_OK
		: slk_fail_errno(err, "cannot print the summary");
}

/* The summary is printed after a failure too: it says how far it came. */
static int
run(const struct args *args, struct slk_error *err)
{
	struct lanes lanes = {0};
	const struct dp_sender_mark mark = {lanes_read, lanes_pause, &lanes};
	struct dp_sender_config config = args->sender;
	struct dp_sender *sender = NULL;
	int status = dp_sender_address(args->to, &config.to, err);

	if (status == SLK_OK && args->watermark != NULL) {
		status = lanes_open(&lanes, args->watermark, err);
		config.mark = &mark;
	}
	if (status == SLK_OK)
		status = dp_sender_new(&config, &sender, err);
	if (status != SLK_OK)
		return status;
	status = send_files(sender, args, err);
	struct slk_error summary_err = {0};
	int summary = print_summary(sender, args, &summary_err);
	if (status == SLK_OK && summary != SLK_OK)
		status = slk_fail(err, summary, "%s", summary_err.text);
	dp_sender_free(sender);
	return status;
}

int
main(int argc, char **argv)
{
	static const struct argp parser = {
		options, parse_option, "FILE...", about, NULL, NULL, NULL};
	struct args args = {0};
	struct slk_error err = {0};

	argp_err_exit_status = EXIT_USAGE;
	if (argp_parse(&parser, argc, argv, 0, NULL, &args) != 0)
		return EXIT_USAGE;
	if (run(&args, &err) == SLK_OK)
		return EXIT_SUCCESS;
	fprintf(stderr, "sealock-send: %s\n", err.text);
	return EXIT_FAILURE;
}
