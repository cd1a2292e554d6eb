/* sealock tail: read a stream's records from the journal's files, and follow it.
 *
 * By libsealock's consumer: the files are read by group membership; the keys are asked from kmsd as the caller's own uid.
 * Nothing of a block is printed unless its tag was right. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "format/context.h"
#include "base/plain.h"
#include "sealock/consumer.h"
#include "sidefiles.h"
#include "text.h"

#define POLL_MS 50u
#define RETRY_MS 1000u
#define RETRY_LIMIT 30u /* a follower outlives a restart of kmsd */
#define BATCH_RECORDS 1000u
#define BATCH_BYTES (1u << 20)

enum format { FORMAT_RAW, FORMAT_JSON };
enum {
	OPT_FROM = 'f',
	OPT_SHARD = 's',
	OPT_FORMAT = 'F',
	OPT_COUNT = 'n',
	OPT_NO_FOLLOW = 'N',
	OPT_BARE = 'b',
	OPT_ATTESTATION = 'A'
};

struct tail {
	struct cli *cli;
	const char *stream_name;
	const char *from_text;
	struct sealock_position from;
	bool one_shard;
	uint64_t shard;
	enum format format;
	bool no_follow;
	bool bare; /* raw: nothing between records */
	bool limited;
	uint64_t limit;
	const char *attestation_file;

	struct kmsc_stream stream;
	struct sealock_keys *keys;
	struct sealock_opener *opener;
	struct sealock_consumer *consumer;
	struct slk_plain scratch; /* base64 */
	yajl_gen json;
	bool terminal;
	uint64_t printed;
	uint64_t damaged; /* blocks and stretches that could not be believed */
	unsigned tries; /* for a key, in a row */
};

static error_t
parse_tail(int key, char *arg, struct argp_state *state)
{
	struct tail *t = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = t->cli;
		return 0;
	case OPT_FROM:
		t->from_text = arg;
		return 0;
	case OPT_SHARD:
		t->one_shard = true;
		if (cli_u64_parse(arg, UINT32_MAX, &t->shard) != SLK_OK)
			argp_error(state, "--shard takes the number of a shard, from 0, not '%s'",
				arg);
		return 0;
	case OPT_FORMAT:
		if (strcmp(arg, "raw") != 0 && strcmp(arg, "json") != 0)
			argp_error(state, "--format is raw or json, not '%s'", arg);
		t->format = arg[0] == 'j' ? FORMAT_JSON : FORMAT_RAW;
		return 0;
	case OPT_COUNT:
		t->limited = true;
		if (cli_u64_parse(arg, UINT64_MAX, &t->limit) != SLK_OK)
			argp_error(state, "--count takes a number of records, not '%s'", arg);
		return 0;
	case OPT_NO_FOLLOW:
		t->no_follow = true;
		return 0;
	case OPT_ATTESTATION:
		t->attestation_file = arg;
		return 0;
	case OPT_BARE:
		t->bare = true;
		return 0;
	case ARGP_KEY_ARG:
		if (t->stream_name != NULL)
			argp_error(state, "'%s' is too much", arg);
		t->stream_name = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the STREAM is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- printing --- */

static int
print_json(struct tail *t, const struct sealock_record *record, struct slk_error *err)
{
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)record->epoch_id);
	cli_json_map(t->json);
	cli_json_u64(t->json, "sequence", record->sequence);
	cli_json_u64(t->json, "shard", record->shard);
	cli_json_time(t->json, "arrival", record->arrival_ns);
	int rc = cli_json_bytes(t->json, "partition_key", record->key, &t->scratch, err);
	if (rc == SLK_OK)
		rc = cli_json_bytes(t->json, "data", record->data, &t->scratch, err);
	cli_json_str(t->json, "epoch", epoch);
	cli_json_map_end(t->json);
	cli_json_next(t->json);
	return rc;
}

static void
print_raw(struct tail *t, const struct sealock_record *record)
{
	if (t->terminal)
		cli_out_safe(t->cli->out,
			record->data); /* what a stranger sent must not command a terminal */
	else
		cli_out_write(t->cli->out, record->data.ptr, record->data.len);
	if (!t->bare)
		cli_out_text(t->cli->out, "\n");
}

static bool
enough(const struct tail *t)
{
	return (t->limited && t->printed >= t->limit) || cli_stopped() ||
		cli_out_status(t->cli->out) != SLK_OK;
}

static int
print_batch(struct tail *t, const struct sealock_batch *batch, struct slk_error *err)
{
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < batch->count && !enough(t); i++) {
		if (t->format == FORMAT_JSON)
			rc = print_json(t, &batch->records[i], err);
		else
			print_raw(t, &batch->records[i]);
		t->printed++;
	}
	return rc;
}

/* --- the loop --- */

static int
unwrap_by_kms(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err)
{
	const struct tail *t = ctx;
	struct fmt_context *context = NULL;
	struct kmsc *kms = cli_kms(t->cli, err);

	if (kms == NULL)
		return SLK_NO_MEMORY;
	int rc = fmt_context_for_stream(epoch->stream_arn, &context);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot make the encryption context of %s: %s",
			epoch->stream_arn, slk_status_sentence(rc));
	rc = kmsc_decrypt(kms, NULL, context, epoch->wrapped, out_data_key, NULL, err);
	fmt_context_free(context);
	return rc;
}

static void
note_side_file(void *ctx, const char *sentence)
{
	(void)ctx;
	cli_note("%s", sentence);
}

/* A follower that has printed already waits for kmsd to come back. SLK_END: stopped while waiting. */
static int
try_again(struct tail *t, int rc, const struct slk_error *err)
{
	if ((rc != SLK_UNAVAILABLE && rc != SLK_TIMEOUT) || t->no_follow || t->printed == 0 ||
		t->tries == RETRY_LIMIT)
		return rc;
	if (t->tries++ == 0)
		cli_note("%s; trying again for %u s", err->text, RETRY_LIMIT * RETRY_MS / 1000);
	return cli_pause(RETRY_MS) ? SLK_OK : SLK_END;
}

static size_t
batch_records(const struct tail *t)
{
	if (t->limited && t->limit - t->printed < BATCH_RECORDS)
		return (size_t)(t->limit - t->printed);
	return BATCH_RECORDS;
}

static int
read_all(struct tail *t, struct slk_error *err)
{
	struct sealock_batch batch;

	while (!enough(t)) {
		int rc = sealock_consumer_read(
			t->consumer, t->opener, batch_records(t), BATCH_BYTES, &batch, err);
		if (slk_status_class(rc) == SLK_CLASS_CORRUPT) {
			/* Damage is told and passed by; a refusal ends the command. */
			(void)cli_out_flush(t->cli->out);
			cli_note("%s", err->text);
			t->damaged++;
			continue;
		}
		if (rc != SLK_OK) {
			rc = try_again(t, rc, err);
			if (rc != SLK_OK)
				return rc == SLK_END ? SLK_OK : rc;
			continue;
		}
		t->tries = 0;
		if (batch.trimmed)
			cli_note("what came next was trimmed by retention; reading goes on at the "
				 "oldest record that is there");
		rc = print_batch(t, &batch, err);
		if (rc != SLK_OK)
			return rc;
		if (!batch.at_tip)
			continue;
		(void)cli_out_flush(t->cli->out);
		if (batch.count == 0 && (t->no_follow || !cli_pause(POLL_MS)))
			return SLK_OK;
	}
	return SLK_OK;
}

static int
make_keys(struct tail *t, struct slk_error *err)
{
	char *pem = NULL;
	int rc = t->attestation_file != NULL
		? cli_attestation_pem(t->attestation_file, NULL, &pem, err)
		: SLK_OK;

	if (rc != SLK_OK)
		return rc;
	const struct sealock_keys_config config = {.unwrap = unwrap_by_kms,
		.ctx = t,
		.attestation_pem = pem,
		.note = note_side_file,
		.clock = t->cli->clock};
	rc = sealock_keys_new(&config, &t->keys, err);
	if (rc == SLK_CONFIG)
		(void)slk_fail_prefix(
			err, "the attestation key in %s cannot be used", t->attestation_file);
	free(pem);
	return rc;
}

static int
prepare(struct tail *t, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(t->cli, err);
	int rc = kms == NULL ? SLK_NO_MEMORY
			     : kmsc_describe_stream(kms, t->stream_name, &t->stream, err);

	if (rc != SLK_OK)
		return rc;
	/* Those that were split or merged still have records. */
	uint32_t shards = t->stream.shards_count > t->stream.shard_count ? t->stream.shards_count
									 : t->stream.shard_count;
	if (t->one_shard && t->shard >= shards)
		return slk_fail(err, SLK_RANGE,
			"stream %s has %u shard%s, numbered from 0: there is no shard %llu",
			t->stream.name, shards, shards == 1 ? "" : "s",
			(unsigned long long)t->shard);
	const struct sealock_consumer_config config = {.journal_dir = t->cli->journal_dir,
		.stream_arn = t->stream.arn,
		.stream_id = t->stream.id,
		.any_shard = !t->one_shard,
		.shard = (uint32_t)t->shard,
		.position = t->from,
		.clock = t->cli->clock};
	rc = sealock_consumer_new(&config, &t->consumer, err);
	if (rc == SLK_OK)
		rc = make_keys(t, err);
	return rc == SLK_OK ? sealock_opener_new(t->keys, &t->opener, err) : rc;
}

static int
run(struct tail *t, struct slk_error *err)
{
	int rc = prepare(t, err);

	if (rc == SLK_OK) {
		cli_catch_stop();
		t->terminal = cli_out_is_terminal(t->cli->out);
		if (t->format == FORMAT_JSON)
			t->json = cli_json_begin(t->cli->out, true);
		rc = read_all(t, err);
	}
	cli_json_end(t->json);
	slk_plain_free(&t->scratch);
	sealock_consumer_free(t->consumer);
	sealock_opener_free(t->opener);
	sealock_keys_free(t->keys);
	return rc;
}

static const struct argp_option tail_options[] = {
	{"from", OPT_FROM, "PLACE", 0,
		"Where to start: TRIM_HORIZON (the oldest, default), LATEST, a sequence number, or "
		"@TIME "
		"(@2026-11-24T10:00:00Z, @-5m)",
		1},
	{"shard", OPT_SHARD, "N", 0, "Only this shard", 1},
	{"format", OPT_FORMAT, "raw|json", 0,
		"raw: each record's bytes and a newline (default); json: one object per line", 1},
	{"bare", OPT_BARE, 0, 0, "raw: no newline after a record", 1},
	{"count", OPT_COUNT, "N", 0, "Stop after N records", 1},
	{"no-follow", OPT_NO_FOLLOW, 0, 0, "Stop at the end instead of waiting for more", 1},
	CLI_ATTESTATION_OPTION(OPT_ATTESTATION),
	{0},
};

int
cli_tail(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {tail_options, parse_tail, "STREAM",
		"Print a stream's durable records and wait for more, until Ctrl-C.\v"
		"Examples:\n"
		"  sealock tail web --from LATEST\n"
		"  sealock tail web --from @-15m --no-follow --format json | jq -r .data\n"
		"\n"
		"You need read access to the journal (group sealock-read) and the right "
		"kms:Decrypt on the stream's key: it is "
		"asked as you, once per key epoch, and kept for five minutes at most. What fails "
		"its authentication is never "
		"printed. Exit status 1: refused, or something was damaged.",
		cli_common_children, NULL, NULL};
	struct tail t = {.cli = cli, .from_text = "TRIM_HORIZON"};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &t);
	if (cli->json)
		t.format = FORMAT_JSON;
	if (cli_from_parse(t.from_text, slk_wall_ns(cli->clock), &t.from, &err) != SLK_OK) {
		cli_note("%s", err.text);
		return CLI_EXIT_USAGE;
	}
	if (run(&t, &err) != SLK_OK)
		return cli_fail(cli, &err);
	if (t.damaged > 0) {
		(void)slk_fail(&err, SLK_CORRUPT,
			"%llu damaged piece%s of the journal %s left out; 'sealock journal verify' "
			"tells more",
			(unsigned long long)t.damaged, t.damaged == 1 ? "" : "s",
			t.damaged == 1 ? "was" : "were");
		return cli_fail(cli, &err);
	}
	return CLI_EXIT_OK;
}
