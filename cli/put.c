/* sealock put: append records through ingestd's put socket, and wait until they are durable.
 *
 * Several records travel at a time (WINDOW); the answers name sequence numbers, and arrive after
 * the flush. */
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/sock.h"
#include "format/put.h"
#include "base/plain.h"
#include "text.h"

#define WINDOW 64u
#define REPLY_TIMEOUT_NS (15 * SLK_NS_PER_S)
#define CONNECT_TIMEOUT_MS 15000u

enum { OPT_KEY = 'k', OPT_LINES = 'l' };

struct put {
	struct cli *cli;
	const char *stream;
	const char *key; /* NULL: a random one per record */
	const char *path;
	bool lines;

	int fd;
	uint64_t sent; /* records, which are also request ids from 1 */
	uint64_t answered;
	uint64_t bytes;
	uint32_t shard; /* of the last answer */
	uint64_t sequence;
	yajl_gen json;
	uint8_t message[FMT_PUT_MESSAGE_MAX];
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

/* --- answers --- */

static void
print_answer(struct put *p, const struct fmt_put_reply *reply)
{
	cli_json_map(p->json);
	cli_json_u64(p->json, "record", reply->request_id);
	cli_json_u64(p->json, "shard", reply->shard);
	cli_json_u64(p->json, "sequence", reply->sequence);
	cli_json_map_end(p->json);
	cli_json_next(p->json);
}

static int
take_answer(struct put *p, struct slk_error *err)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	uint8_t buf[FMT_PUT_REPLY_MAX];
	size_t len = 0;
	struct fmt_put_reply reply;
	int rc = sock->wait_readable(
		sock->ctx, p->fd, slk_mono_ns(p->cli->clock) + REPLY_TIMEOUT_NS);

	if (rc == SLK_TIMEOUT)
		return slk_fail(err, rc,
			"no answer from sealock-ingestd within %u s: see 'sealock status'",
			(unsigned)(REPLY_TIMEOUT_NS / SLK_NS_PER_S));
	if (rc == SLK_OK)
		rc = sock->recv(sock->ctx, p->fd, buf, sizeof(buf), &len);
	if (rc != SLK_OK)
		return slk_fail(err, rc,
			"sealock-ingestd hung up before record %llu was durable: %s",
			(unsigned long long)p->answered + 1, slk_status_sentence(rc));
	rc = fmt_put_reply_decode(slk_span(buf, len), &reply);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "the answer of sealock-ingestd makes no sense: %s",
			slk_status_sentence(rc));
	if (reply.status != SLK_OK && reply.error.len > 0)
		return slk_fail(err, reply.status, "%.*s", (int)reply.error.len,
			(const char *)reply.error.ptr);
	if (reply.status != SLK_OK)
		return slk_fail(err, reply.status, "record %llu was refused: %s",
			(unsigned long long)reply.request_id, slk_status_sentence(reply.status));
	p->answered++;
	p->shard = reply.shard;
	p->sequence = reply.sequence;
	if (p->json != NULL)
		print_answer(p, &reply);
	return SLK_OK;
}

/* --- records --- */

static int
send_fragment(struct put *p, const struct fmt_put *put, struct slk_error *err)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	size_t len = 0;
	int rc = fmt_put_encode(put, p->message, sizeof(p->message), &len);

	if (rc != SLK_OK)
		return slk_fail(err, rc, "stream names have 1 to %u bytes, partition keys 1 to %u",
			FMT_PUT_STREAM_MAX, FMT_RECORD_KEY_MAX);
	rc = sock->send(sock->ctx, p->fd, p->message, len);
	if (rc != SLK_OK)
		return slk_fail(
			err, rc, "cannot send to sealock-ingestd: %s", slk_status_sentence(rc));
	return SLK_OK;
}

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
	struct fmt_put put = {.request_id = p->sent + 1,
		.total_len = (uint32_t)data.len,
		.stream = slk_span_str(p->stream)};
	int rc = record_key(p, random_key, &put.key, err);

	while (rc == SLK_OK && p->sent - p->answered >= WINDOW)
		rc = take_answer(p, err);
	do {
		size_t left = data.len - put.offset;
		if (rc != SLK_OK)
			return rc;
		put.fragment = slk_span(data.ptr + put.offset,
			left < FMT_PUT_FRAGMENT_MAX ? left : FMT_PUT_FRAGMENT_MAX);
		rc = send_fragment(p, &put, err);
		put.offset += (uint32_t)put.fragment.len;
		put.stream = put.key = slk_span(NULL, 0);
	} while (put.offset < data.len);
	if (rc == SLK_OK) {
		p->sent++;
		p->bytes += data.len;
	}
	return rc;
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

/* Wait for input; answers that come meanwhile are taken, so that a refusal shows at once. */
static int
wait_input(struct put *p, int fd, struct slk_error *err)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = fd, .events = POLLIN},
			{.fd = p->answered < p->sent ? p->fd : -1, .events = POLLIN}};
		int n = poll(fds, 2, -1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return slk_fail_errno(err, "cannot wait for the input");
		int rc = fds[1].revents != 0 ? take_answer(p, err) : SLK_OK;
		if (rc != SLK_OK || fds[0].revents != 0)
			return rc;
		if (p->answered == p->sent)
			(void)cli_out_flush(p->cli->out);
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
run(struct put *p, struct slk_error *err)
{
	struct slk_plain buf = {0};
	bool from_stdin = p->path == NULL || strcmp(p->path, "-") == 0;
	int in = from_stdin ? STDIN_FILENO : open(p->path, O_RDONLY | O_CLOEXEC);
	int rc = in < 0 ? slk_fail_errno(err, "cannot open %s", p->path) : SLK_OK;

	if (rc == SLK_OK)
		rc = slk_plain_reserve(&buf, FMT_RECORD_DATA_MAX + 1, err);
	if (rc == SLK_OK)
		rc = slk_sock_connect_within(
			p->cli->ingest_socket, CONNECT_TIMEOUT_MS, &p->fd, err);
	if (rc == SLK_OK)
		rc = p->lines ? put_lines(p, in, &buf, err) : put_whole(p, in, &buf, err);
	while (rc == SLK_OK && p->answered < p->sent)
		rc = take_answer(p, err);
	if (rc != SLK_OK && p->answered > 0)
		(void)slk_fail_prefix(err, "%llu record%s stored, then",
			(unsigned long long)p->answered, p->answered == 1 ? " was" : "s were");
	slk_wipe(p->message, sizeof(p->message));
	slk_plain_free(&buf);
	if (p->fd >= 0)
		close(p->fd);
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
	p->fd = -1;
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
