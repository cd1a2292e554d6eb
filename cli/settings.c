/* sealock stream retention | encrypt | unencrypt */
#include "streams.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shapes.h"
#include "text.h"

#define WAIT_MAX_NS (60 * SLK_NS_PER_S)
#define POLL_NS (100 * SLK_NS_PER_MS)
#define HOURS_MAX 8760u

/* --- what verbs share --- */

const struct argp_option cli_stream_wait_options[] = {
	{"wait", CLI_OPT_WAIT, NULL, 0, "Return once ingestd has performed the change", 1}, {0}};

static int
wait_for(struct cli_verb_args *args, struct kmsc *kms, struct kmsc_stream *stream,
	struct slk_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	uint64_t until_ns = slk_mono_ns(args->cli->clock) + WAIT_MAX_NS;

	for (;;) {
		int rc = kmsc_describe_stream(kms, args->words[0], stream, err);
		if (rc != SLK_OK || strcmp(stream->status, "UPDATING") != 0)
			return rc;
		if (slk_mono_ns(args->cli->clock) >= until_ns)
			return slk_fail(err, SLK_TIMEOUT,
				"stream %s is still UPDATING after a minute; is ingestd running? "
				"The "
				"change stays intended",
				args->words[0]);
		(void)nanosleep(&pause, NULL);
	}
}

int
cli_stream_show(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_stream stream;

	int rc = CLI_FLAG(args, WAIT) ? wait_for(args, kms, &stream, err)
				      : kmsc_describe_stream(kms, args->words[0], &stream, err);
	if (rc != SLK_OK)
		return rc;
	if (json != NULL)
		cli_shape_stream(json, &stream);
	else
		cli_shape_stream_text(args->cli->out, &stream);
	return SLK_OK;
}

/* --- retention --- */

static void
check_retention(const struct cli_verb_args *args, struct argp_state *state)
{
	uint64_t hours;

	if (args->words[1] != NULL &&
		(cli_u64_parse(args->words[1], HOURS_MAX, &hours) != SLK_OK || hours < 24))
		argp_error(state, "HOURS is a number from 24 to %u, not '%s'", HOURS_MAX,
			args->words[1]);
}

static int
retention(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_stream stream;
	uint64_t hours = 0;

	int rc = cli_u64_parse(args->words[1], HOURS_MAX, &hours);
	if (rc == SLK_OK)
		rc = kmsc_describe_stream(kms, args->words[0], &stream, err);
	if (rc == SLK_OK && hours >= stream.retention_hours)
		rc = kmsc_increase_stream_retention(kms, args->words[0], (uint32_t)hours, err);
	else if (rc == SLK_OK)
		rc = kmsc_decrease_stream_retention(kms, args->words[0], (uint32_t)hours, err);
	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_retention(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "HOURS"},
		.args_doc = "NAME HOURS",
		.doc = {"Keep the records of a stream so many hours: 24, as a new stream does, to "
			"8760, "
			"a year. What is older is not shown any more, and its files go when "
			"nothing in "
			"them is kept.\v"
			"Example:\n"
			"  sealock stream retention web 168"},
		.check = check_retention,
		.act = retention};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- encryption --- */

static int
encrypt(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_start_stream_encryption(kms, args->words[0], args->words[1], err);

	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_encrypt(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "KEY"},
		.args_doc = "NAME KEY",
		.doc = {"Encrypt what a stream takes from now on under a master key, or under "
			"another "
			"one than before. KEY is an id, an ARN or an alias. Records that are there "
			"stay "
			"under what they were sealed with. Who puts needs kms:GenerateDataKey with "
			"the "
			"key from now on, who reads kms:Decrypt.\v"
			"Example:\n"
			"  sealock stream encrypt web alias/web --wait"},
		.options = {cli_stream_wait_options},
		.act = encrypt};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

static int
unencrypt(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_stream stream;
	int rc = kmsc_describe_stream(kms, args->words[0], &stream, err);

	if (rc == SLK_OK)
		rc = kmsc_stop_stream_encryption(kms, args->words[0], stream.key_arn, err);
	return rc == SLK_OK ? cli_stream_show(args, kms, json, err) : rc;
}

int
cli_stream_unencrypt(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Seal what a stream takes from now on under the appliance's own key, which "
			"needs "
			"no right to a key (EncryptionType NONE). Records that are there stay "
			"under what "
			"they were sealed with.\v"
			"Example:\n"
			"  sealock stream unencrypt web"},
		.options = {cli_stream_wait_options},
		.act = unencrypt};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}
