/* sealock tail: read a stream's records from the journal's files, and follow it.
 *
 * The files are read by group membership; the keys are asked from kmsd as the caller's own uid.
 * Nothing of a block is printed unless its tag was right. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "epochs.h"
#include "format/record.h"
#include "journal/reader.h"
#include "base/plain.h"
#include "seal/seal.h"
#include "sidefiles.h"
#include "text.h"

#define POLL_MS 50u
#define RETRY_MS 1000u
#define RETRY_LIMIT 30u /* a follower outlives a restart of kmsd */

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
	struct cli_from from;
	bool one_shard;
	uint64_t shard;
	enum format format;
	bool no_follow;
	bool bare; /* raw: nothing between records */
	bool limited;
	uint64_t limit;
	const char *attestation_file;

	struct kmsc_stream stream;
	struct seal_thread *seal;
	struct jnl_reader *reader;
	struct seal_attest_keys *trusted;
	struct jnl_rewraps *rewraps;
	struct cli_epochs *epochs;
	struct slk_plain plain;
	struct slk_plain scratch; /* base64 */
	yajl_gen json;
	bool terminal;
	uint64_t printed;
	uint64_t damaged; /* blocks and stretches that could not be believed */
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
print_json(struct tail *t, const struct fmt_record *record, const struct jnl_block *block,
	uint64_t sequence, struct slk_error *err)
{
	char epoch[24];

	snprintf(epoch, sizeof(epoch), "%016llx", (unsigned long long)block->epoch_id);
	cli_json_map(t->json);
	cli_json_u64(t->json, "sequence", sequence);
	cli_json_u64(t->json, "shard", block->shard);
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
print_raw(struct tail *t, const struct fmt_record *record)
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
wanted(const struct tail *t, const struct fmt_record *record, uint64_t sequence)
{
	/* The reader starts at a block; the records in front of the place are skipped here. */
	if (t->from.from == JNL_FROM_SEQUENCE)
		return sequence >= t->from.value;
	if (t->from.from == JNL_FROM_TIME)
		return record->arrival_ns >= t->from.value;
	return true;
}

static bool
enough(const struct tail *t)
{
	return (t->limited && t->printed >= t->limit) || cli_stopped() ||
		cli_out_status(t->cli->out) != SLK_OK;
}

static int
print_block(struct tail *t, const struct jnl_block *block, struct slk_error *err)
{
	struct fmt_record_iter it;
	struct fmt_record record;
	uint64_t sequence = block->first_sequence;
	int rc = fmt_record_iter_init(
		&it, slk_span(t->plain.ptr, block->plain_bytes), block->record_count);

	if (rc != SLK_OK)
		return slk_fail(err, rc,
			"block at %llu of lane file %020llu.slj is authentic, but its records are "
			"not "
			"well formed",
			(unsigned long long)block->position, (unsigned long long)block->file_id);
	while (rc == SLK_OK && !enough(t) && fmt_record_iter_next(&it, &record) == SLK_OK) {
		if (wanted(t, &record, sequence)) {
			if (t->format == FORMAT_JSON)
				rc = print_json(t, &record, block, sequence, err);
			else
				print_raw(t, &record);
			t->printed++;
		}
		sequence++;
	}
	return rc;
}

/* --- opening --- */

static int
decrypt_by_kms(void *ctx, const struct fmt_context *context, struct slk_span blob,
	struct slk_secret **out_plaintext, struct slk_error *err)
{
	struct cli *cli = ctx;
	struct kmsc *kms = cli_kms(cli, err);

	return kms == NULL ? SLK_NO_MEMORY
			   : kmsc_decrypt(kms, NULL, context, blob, out_plaintext, NULL, err);
}

/* The epoch's key; a follower that has printed already waits for kmsd to come back. */
static int
epoch_key(struct tail *t, const struct jnl_block *block, const struct jnl_epoch_key **out_key,
	struct slk_error *err)
{
	struct jnl_epoch_info info;
	int rc = jnl_reader_epoch(t->reader, block->epoch_id, &info);

	if (rc != SLK_OK)
		return slk_fail(err, rc == SLK_NOT_FOUND ? SLK_CORRUPT : rc,
			"the key block of epoch %016llx is missing from the journal",
			(unsigned long long)block->epoch_id);
	for (unsigned tries = 0;; tries++) {
		rc = cli_epochs_get(t->epochs, &info, t->stream.arn, out_key, err);
		bool again = (rc == SLK_UNAVAILABLE || rc == SLK_TIMEOUT) && !t->no_follow &&
			t->printed > 0 && tries < RETRY_LIMIT;
		if (!again)
			return rc;
		if (tries == 0)
			cli_note("%s; trying again for %u s", err->text,
				RETRY_LIMIT * RETRY_MS / 1000);
		if (!cli_pause(RETRY_MS))
			return SLK_END;
	}
}

/* Damage is reported and passed by; a refusal ends the command. */
static int
damage(struct tail *t, const struct slk_error *err)
{
	(void)cli_out_flush(t->cli->out);
	cli_note("%s", err->text);
	t->damaged++;
	return SLK_OK;
}

static int
open_block(struct tail *t, const struct jnl_block *block, struct slk_error *err)
{
	const struct jnl_epoch_key *key = NULL;
	int rc = epoch_key(t, block, &key, err);

	if (rc == SLK_CORRUPT || rc == SLK_BAD_COMMITMENT || rc == SLK_INVALID_CIPHERTEXT)
		return damage(t, err);
	if (rc != SLK_OK)
		return rc;
	rc = slk_plain_reserve(&t->plain, block->plain_bytes > 0 ? block->plain_bytes : 1, err);
	if (rc != SLK_OK)
		return rc;
	rc = jnl_block_open(t->seal, key, block, t->plain.ptr, t->plain.cap);
	if (rc != SLK_OK) {
		(void)slk_fail(err, rc,
			"block at %llu of lane file %020llu.slj (shard %u, records %llu to %llu) "
			"is "
			"not printed: %s",
			(unsigned long long)block->position, (unsigned long long)block->file_id,
			block->shard, (unsigned long long)block->first_sequence,
			(unsigned long long)(block->first_sequence + block->record_count - 1),
			slk_status_sentence(rc));
		return rc == SLK_BAD_TAG ? damage(t, err) : rc;
	}
	rc = print_block(t, block, err);
	slk_wipe(t->plain.ptr, block->plain_bytes);
	return slk_status_class(rc) == SLK_CLASS_CORRUPT ? damage(t, err) : rc;
}

/* --- the loop --- */

static int
read_all(struct tail *t, struct slk_error *err)
{
	while (!enough(t)) {
		struct jnl_block block;
		int rc = jnl_reader_next(t->reader, &block, err);
		if (rc == SLK_AGAIN) {
			(void)cli_out_flush(t->cli->out);
			cli_epochs_expire(t->epochs);
			if (t->no_follow || !cli_pause(POLL_MS))
				return SLK_OK;
			continue;
		}
		if (rc == SLK_OK)
			rc = open_block(t, &block, err);
		else if (rc == SLK_CORRUPT)
			rc = damage(t, err);
		else if (rc == SLK_TRIMMED) {
			cli_note("%s", err->text);
			rc = SLK_OK;
		}
		if (rc == SLK_END) /* stopped while waiting */
			return SLK_OK;
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
prepare(struct tail *t, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(t->cli, err);
	int rc = kms == NULL ? SLK_NO_MEMORY
			     : kmsc_describe_stream(kms, t->stream_name, &t->stream, err);

	if (rc != SLK_OK)
		return rc;
	if (t->one_shard && t->shard >= t->stream.shard_count)
		return slk_fail(err, SLK_RANGE,
			"stream %s has %u shard%s, numbered from 0: there is no shard %llu",
			t->stream.name, t->stream.shard_count,
			t->stream.shard_count == 1 ? "" : "s", (unsigned long long)t->shard);
	const struct jnl_reader_config config = {
		.dir = t->cli->journal_dir,
		.stream_id = t->stream.id,
		.any_shard = !t->one_shard,
		.shard = (uint32_t)t->shard,
		.from = t->from.from,
		.from_value = t->from.value,
	};
	rc = jnl_reader_new(&config, &t->reader, err);
	if (rc == SLK_OK)
		rc = cli_attestation_keys(t->attestation_file, NULL, &t->trusted, err);
	if (rc != SLK_OK)
		return rc;
	const struct jnl_rewraps_config rewraps = {.dir = t->cli->journal_dir,
		.trusted = t->trusted,
		.stream_id = t->stream.id,
		.seen = cli_sidefile_note};
	rc = jnl_rewraps_new(&rewraps, &t->rewraps, err);
	if (rc != SLK_OK)
		return rc;
	return seal_thread_new(NULL, &t->seal, err);
}

static int
run(struct tail *t, struct slk_error *err)
{
	const struct cli_unwrap unwrap = {decrypt_by_kms, t->cli};
	int rc = prepare(t, err);

	if (rc == SLK_OK && cli_epochs_new(t->seal, &unwrap, t->cli->clock, &t->epochs) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for the epochs' keys");
	if (rc == SLK_OK) {
		cli_epochs_use(t->epochs, t->rewraps);
		cli_catch_stop();
		t->terminal = cli_out_is_terminal(t->cli->out);
		if (t->format == FORMAT_JSON)
			t->json = cli_json_begin(t->cli->out, true);
		rc = read_all(t, err);
	}
	cli_json_end(t->json);
	slk_plain_free(&t->plain);
	slk_plain_free(&t->scratch);
	cli_epochs_free(t->epochs);
	jnl_rewraps_free(t->rewraps);
	seal_attest_keys_free(t->trusted);
	jnl_reader_free(t->reader);
	seal_thread_free(t->seal);
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
