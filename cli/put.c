/* sealock put: append records through ingestd's local port, and wait until they are durable.
 *
 * By libsealock's producer: many records travel at a time; completions name sequence numbers, and come after the flush. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain.h"
#include "base/secret.h"
#include "format/record.h"
#include "sealock/producer.h"
#include "text.h"

#define COMPLETIONS 256u /* taken at a time */
#define TIMEOUT_MS 15000

enum { OPT_KEY = 'k', OPT_LINES = 'l' };

struct put {
	struct cli *cli;
	const char *stream;
	const char *key; /* NULL: a random one per record */
	const char *path;
	bool lines;

	struct sealock_producer *producer;
	uint32_t number; /* the producer's, of the stream */
	uint64_t sent; /* records, which are also tags, from 1 */
	uint64_t answered;
	uint64_t patient_until_ns; /* then ingestd has not answered for too long */
	uint64_t bytes;
	uint32_t shard; /* of the last answer */
	uint64_t sequence;
	yajl_gen json;
};

static error_t
parse_put(int key, char *arg, struct argp_state *state)
{
	struct put *p = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = p->cli;
		return 0;
	case OPT_KEY:
		if (arg[0] == '\0' || strlen(arg) > FMT_RECORD_KEY_MAX)
			argp_error(state, "a partition key has 1 to %u bytes", FMT_RECORD_KEY_MAX);
		p->key = arg;
		return 0;
	case OPT_LINES:
		p->lines = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			p->stream = arg;
		else if (state->arg_num == 1)
			p->path = arg;
		else
			argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the STREAM is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- completions --- */

static void
print_answer(struct put *p, const struct sealock_completion *completion)
{
	cli_json_map(p->json);
	cli_json_u64(p->json, "record", completion->tag);
	cli_json_u64(p->json, "shard", completion->shard);
	cli_json_u64(p->json, "sequence", completion->sequence);
	cli_json_map_end(p->json);
	cli_json_next(p->json);
}

static const char *
why(int status)
{
	switch (status) {
	case SLK_CLOSED:
		return "sealock-ingestd went away before it said that it is durable: it may be "
		       "stored or not";
	case SLK_THROTTLED:
		return "sealock-ingestd has no room for it now: the disk or the KMS is behind; try "
		       "again";
	case SLK_UNAVAILABLE:
	case SLK_TIMEOUT:
		return "the stream has no data key because the KMS or its HSM does not answer; try "
		       "again";
	case SLK_NOT_FOUND:
		return "there is no such stream any more";
	case SLK_DISK_FULL:
		return "the journal's disk is full";
	default:
		return slk_status_sentence(status);
	}
}

/* Take what is complete, without waiting. */
static int
take_answers(struct put *p, struct slk_error *err)
{
	struct sealock_completion done[COMPLETIONS];
	size_t count = 0;

	do {
		int rc = sealock_producer_poll(p->producer, done, COMPLETIONS, &count);
		if (rc != SLK_OK)
			return slk_fail(err, rc, "cannot talk to sealock-ingestd: %s",
				slk_status_sentence(rc));
		for (size_t i = 0; i < count; i++) {
			if (done[i].status != SLK_OK)
				return slk_fail(err, done[i].status, "record %llu of stream %s: %s",
					(unsigned long long)done[i].tag, p->stream,
					why(done[i].status));
			p->answered++;
			p->shard = done[i].shard;
			p->sequence = done[i].sequence;
			if (p->json != NULL)
				print_answer(p, &done[i]);
		}
	} while (count == COMPLETIONS);
	return SLK_OK;
}

static void
be_patient(struct put *p)
{
	p->patient_until_ns = slk_mono_ns(p->cli->clock) + TIMEOUT_MS * SLK_NS_PER_MS;
}

/* Each attempt to reach an ingestd that is away wakes us, too: only answers renew the patience. */
static int
wait_answers(struct put *p, struct slk_error *err)
{
	uint64_t now = slk_mono_ns(p->cli->clock), before = p->answered;
	int left_ms = p->patient_until_ns > now
		? (int)((p->patient_until_ns - now) / SLK_NS_PER_MS) + 1
		: 0;
	int rc = left_ms > 0 ? sealock_producer_wait(p->producer, left_ms) : SLK_TIMEOUT;

	if (rc != SLK_OK)
		return slk_fail(err, rc,
			"no answer from sealock-ingestd within %d s: see 'sealock status'",
			TIMEOUT_MS / 1000);
	rc = take_answers(p, err);
	if (p->answered > before)
		be_patient(p);
	return rc;
}

/* --- records --- */

/* A key of its own per record spreads records over the shards. */
static int
record_key(const struct put *p, char out[33], struct slk_span *out_key, struct slk_error *err)
{
	uint8_t random[16];

	if (p->key != NULL) {
		*out_key = slk_span_str(p->key);
		return SLK_OK;
	}
	if (slk_random(random, sizeof(random)) != SLK_OK)
		return slk_fail(err, SLK_SYSTEM, "the kernel gave no random bytes");
	slk_hex(slk_span(random, sizeof(random)), out, 33);
	*out_key = slk_span(out, 32);
	return SLK_OK;
}

static int
send_record(struct put *p, struct slk_span data, struct slk_error *err)
{
	char random_key[33];
	struct sealock_put put = {.stream = p->number, .tag = p->sent + 1, .data = data};
	int rc = record_key(p, random_key, &put.key, err);

	if (rc != SLK_OK)
		return rc;
	be_patient(p);
	while ((rc = sealock_producer_put(p->producer, &put)) == SLK_AGAIN) {
		rc = wait_answers(p, err);
		if (rc != SLK_OK)
			return rc;
	}
	if (rc != SLK_OK)
		return slk_fail(err, rc, "record %llu of stream %s: %s",
			(unsigned long long)put.tag, p->stream, why(rc));
	p->sent++;
	p->bytes += data.len;
	return SLK_OK;
}

/* Fill buf from fd until len bytes or the end. */
static int
read_some(int fd, uint8_t *buf, size_t len, size_t *out_len, struct slk_error *err)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, buf + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return slk_fail_errno(err, "cannot read the input");
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*out_len = done;
	return SLK_OK;
}

static int
put_whole(struct put *p, int fd, struct slk_plain *buf, struct slk_error *err)
{
	size_t len = 0;
	int rc = read_some(fd, buf->ptr, FMT_RECORD_DATA_MAX + 1, &len, err);

	if (rc != SLK_OK)
		return rc;
	if (len > FMT_RECORD_DATA_MAX)
		return slk_fail(err, SLK_TOO_LARGE,
			"a record has at most %u bytes; --lines takes every line of the input as a "
			"record",
			FMT_RECORD_DATA_MAX);
	return send_record(p, slk_span(buf->ptr, len), err);
}

/* Wait for input; completions that come meanwhile are taken, so that a refusal shows at once. */
static int
wait_input(struct put *p, int fd, struct slk_error *err)
{
	for (;;) {
		int rc = take_answers(p, err);
		if (rc != SLK_OK)
			return rc;
		if (p->answered == p->sent)
			(void)cli_out_flush(p->cli->out);
		struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
			{.fd = sealock_producer_fd(p->producer), .events = POLLIN}};
		bool more = sealock_producer_arm(p->producer) != SLK_OK;
		int n = poll(fds, 2, more ? 0 : -1);
		if (n < 0 && errno != EINTR)
			return slk_fail_errno(err, "cannot wait for the input");
		if (n > 0 && fds[0].revents != 0)
			return SLK_OK;
	}
}

/* Lines are sent as they come, so that `tail -f file | sealock put --lines` works; the newline is
 * not part of a record. */
static int
put_lines(struct put *p, int fd, struct slk_plain *buf, struct slk_error *err)
{
	size_t have = 0;

	for (;;) {
		int waited = wait_input(p, fd, err);
		if (waited != SLK_OK)
			return waited;
		ssize_t n = read(fd, buf->ptr + have, FMT_RECORD_DATA_MAX + 1 - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return slk_fail_errno(err, "cannot read the input");
		if (n == 0)
			return have > 0 ? send_record(p, slk_span(buf->ptr, have), err) : SLK_OK;
		have += (size_t)n;
		size_t start = 0;
		for (uint8_t *nl; (nl = memchr(buf->ptr + start, '\n', have - start)) != NULL;) {
			size_t len = (size_t)(nl - buf->ptr) - start;
			int rc = send_record(p, slk_span(buf->ptr + start, len), err);
			if (rc != SLK_OK)
				return rc;
			start += len + 1;
		}
		if (start == 0 && have > FMT_RECORD_DATA_MAX)
			return slk_fail(err, SLK_TOO_LARGE,
				"line %llu is longer than a record may be (%u bytes)",
				(unsigned long long)p->sent + 1, FMT_RECORD_DATA_MAX);
		memmove(buf->ptr, buf->ptr + start, have - start);
		have -= start;
	}
}

static int
connect_stream(struct put *p, struct slk_error *err)
{
	const struct sealock_producer_config config = {
		.socket = p->cli->ingest_socket, .timeout_ms = TIMEOUT_MS};
	int rc = sealock_producer_new(&config, &p->producer, err);

	if (rc != SLK_OK)
		return rc;
	return sealock_producer_attach_wait(p->producer, p->stream, 0, &p->number, err);
}

static int
run(struct put *p, struct slk_error *err)
{
	struct slk_plain buf = {0};
	bool from_stdin = p->path == NULL || strcmp(p->path, "-") == 0;
	int in = from_stdin ? STDIN_FILENO : open(p->path, O_RDONLY | O_CLOEXEC);
	int rc = in < 0 ? slk_fail_errno(err, "cannot open %s", p->path) : SLK_OK;

	if (rc == SLK_OK)
		rc = slk_plain_reserve(&buf, FMT_RECORD_DATA_MAX + 1, err);
	if (rc == SLK_OK)
		rc = connect_stream(p, err);
	if (rc == SLK_OK)
		rc = p->lines ? put_lines(p, in, &buf, err) : put_whole(p, in, &buf, err);
	if (rc == SLK_OK)
		rc = take_answers(p, err);
	be_patient(p);
	while (rc == SLK_OK && p->answered < p->sent)
		rc = wait_answers(p, err);
	if (rc != SLK_OK && p->answered > 0)
		(void)slk_fail_prefix(err, "%llu record%s stored, then",
			(unsigned long long)p->answered, p->answered == 1 ? " was" : "s were");
	slk_plain_free(&buf);
	sealock_producer_free(p->producer);
	if (!from_stdin && in >= 0)
		close(in);
	return rc;
}

static void
print_summary(struct put *p)
{
	char bytes[CLI_AMOUNT_MAX];

	cli_bytes_format(p->bytes, bytes);
	if (p->answered == 1)
		cli_out_printf(p->cli->out,
			"stored 1 record (%s): shard %u, sequence number %llu\n", bytes, p->shard,
			(unsigned long long)p->sequence);
	else
		cli_out_printf(p->cli->out, "stored %llu records (%s)\n",
			(unsigned long long)p->answered, bytes);
}

int
cli_put(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"partition-key", OPT_KEY, "K", 0, "Chooses the shard (a random key per record)",
			1},
		{"lines", OPT_LINES, 0, 0, "Every line is a record, without its newline", 1},
		{0},
	};
	static const struct argp argp = {options, parse_put, "STREAM [FILE|-]",
		"Append the input as one record, or each of its lines, and return once all are "
		"durable.\v"
		"Examples:\n"
		"  echo '{\"event\":\"login\"}' | sealock put web --partition-key user-7\n"
		"  sealock put web --lines access.log\n"
		"\n"
		"A record has at most 1 MiB. With --json there is one line per record: record, "
		"shard, sequence.",
		cli_common_children, NULL, NULL};
	struct put *p = calloc(1, sizeof(*p));
	struct slk_error err = {0};

	if (p == NULL) {
		(void)slk_fail(&err, SLK_NO_MEMORY, "no memory");
		return cli_fail(cli, &err);
	}
	p->cli = cli;
	cli_parse(&argp, argc, argv, p);
	if (cli->json)
		p->json = cli_json_begin(cli->out, true);
	int rc = run(p, &err);
	if (rc == SLK_OK && !cli->json)
		print_summary(p);
	cli_json_end(p->json);
	free(p);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}
