/* sealock delivery create | update: a description from a file, as the body of Firehose's call, or from options, for S3. */
#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "delivery/spec.h"
#include "kmsclient/caller.h"
#include "text.h"

#define BUFFER_MB_MAX 128u
#define BUFFER_SECONDS_MAX 900u
#define S3_ARN "arn:aws:s3:::"

static const struct argp_option s3_options[] = {
	{"file", CLI_OPT_FILE, "FILE|-", 0,
		"The description: JSON as the AWS CLI takes it with --cli-input-json. The way for "
		"destinations other than S3, whose passwords belong into a file and not on a "
		"command "
		"line",
		1},
	{"role", CLI_OPT_ROLE, "ROLE", 0, "Role under which it delivers: name or ARN", 2},
	{"bucket", CLI_OPT_BUCKET, "BUCKET", 0, "Where objects go: name or ARN", 2},
	{"prefix", CLI_OPT_PREFIX, "TEXT", 0,
		"What names of objects begin with; a date in UTC follows, unless it has a "
		"!{timestamp:...}",
		2},
	{"error-prefix", CLI_OPT_ERROR_PREFIX, "TEXT", 0, "The same of what cannot be delivered",
		2},
	{"gzip", CLI_OPT_GZIP, NULL, 0, "Compress objects with gzip", 2},
	{"zstd", CLI_OPT_ZSTD, NULL, 0, "Compress objects with Zstandard", 2},
	{"uncompressed", CLI_OPT_UNCOMPRESSED, NULL, 0, "Do not compress objects", 2},
	{"delimiter", CLI_OPT_DELIMITER, NULL, 0, "A newline behind each record", 2},
	{"object-key", CLI_OPT_OBJECT_KEY, "KEY", 0,
		"Encrypt objects under this master key: id, ARN or alias", 2},
	{"buffer-mb", CLI_OPT_BUFFER_MB, "N", 0, "Deliver when so many MiB are there, 1 to 128 (5)",
		2},
	{"buffer-seconds", CLI_OPT_BUFFER_SECONDS, "N", 0,
		"Deliver after so many seconds at the latest, 0 to 900 (300)", 2},
	{0}};
static const struct argp_option create_options[] = {
	{"source", CLI_OPT_SOURCE, "STREAM", 0,
		"Deliver the records of this stream. Without it the delivery stream has records "
		"put into it",
		2},
	{"key", CLI_OPT_KEY, "KEY", 0,
		"Encrypt direct puts under this master key: id, ARN or alias", 3},
	{"owned-key", CLI_OPT_OWNED_KEY, NULL, 0,
		"Say of direct puts that they are encrypted, under the appliance's own key", 3},
	{"tag", CLI_OPT_TAG, "NAME=VALUE", 0, "A tag; may be given again", 3}, {0}};

/* --- arguments --- */

static void
check_number(
	struct argp_state *state, const char *option, const char *text, uint64_t min, uint64_t max)
{
	uint64_t value = 0;

	if (text != NULL && (cli_u64_parse(text, max, &value) != SLK_OK || value < min))
		argp_error(state, "--%s takes a number from %llu to %llu, not '%s'", option,
			(unsigned long long)min, (unsigned long long)max, text);
}

static bool
has_options(const struct cli_verb_args *args)
{
	return CLI_TEXT(args, ROLE) != NULL || CLI_TEXT(args, BUCKET) != NULL ||
		CLI_TEXT(args, PREFIX) != NULL || CLI_TEXT(args, ERROR_PREFIX) != NULL ||
		CLI_TEXT(args, BUFFER_MB) != NULL || CLI_TEXT(args, BUFFER_SECONDS) != NULL ||
		CLI_TEXT(args, OBJECT_KEY) != NULL || CLI_TEXT(args, SOURCE) != NULL ||
		CLI_FLAG(args, GZIP) || CLI_FLAG(args, ZSTD) || CLI_FLAG(args, UNCOMPRESSED) ||
		CLI_FLAG(args, DELIMITER);
}

static void
check_update(const struct cli_verb_args *args, struct argp_state *state)
{
	if (CLI_TEXT(args, FILE) != NULL && has_options(args))
		argp_error(state, "a description comes from --file or from options, not from both");
	if (CLI_FLAG(args, GZIP) + CLI_FLAG(args, ZSTD) + CLI_FLAG(args, UNCOMPRESSED) > 1)
		argp_error(state, "--gzip, --zstd and --uncompressed are one choice");
	if (CLI_TEXT(args, FILE) == NULL && !has_options(args))
		argp_error(state, "the description is missing: --file FILE, or options");
	check_number(state, "buffer-mb", CLI_TEXT(args, BUFFER_MB), 1, BUFFER_MB_MAX);
	check_number(
		state, "buffer-seconds", CLI_TEXT(args, BUFFER_SECONDS), 0, BUFFER_SECONDS_MAX);
	check_number(state, "version", CLI_TEXT(args, VERSION_ID), 1, INT64_MAX);
}

static void
check_create(const struct cli_verb_args *args, struct argp_state *state)
{
	check_update(args, state);
	if (CLI_TEXT(args, FILE) == NULL &&
		(CLI_TEXT(args, ROLE) == NULL || CLI_TEXT(args, BUCKET) == NULL))
		argp_error(state, "--role and --bucket are needed, or --file");
	if (CLI_TEXT(args, KEY) != NULL && CLI_FLAG(args, OWNED_KEY))
		argp_error(state, "--key and --owned-key are one choice");
}

/* --- descriptions from options --- */

/* A member of a description that kmsd has to be asked for. */
struct names {
	char role[KMSC_ARN_MAX], source[KMSC_ARN_MAX], object_key[KMSC_ARN_MAX];
};

static int
find_names(struct cli_verb_args *args, struct kmsc *kms, struct names *out, struct slk_error *err)
{
	const char *role = CLI_TEXT(args, ROLE), *source = CLI_TEXT(args, SOURCE),
		   *key = CLI_TEXT(args, OBJECT_KEY);
	struct kmsc_caller_identity caller = {.account = ""};
	struct kmsc_stream stream;
	struct kmsc_key found;
	int rc = SLK_OK;

	if (role != NULL && strncmp(role, "arn:", 4) != 0)
		rc = kmsc_get_caller_identity(kms, &caller, err);
	if (rc == SLK_OK && role != NULL)
		(void)snprintf(out->role, sizeof(out->role),
			caller.account[0] != '\0' ? "arn:aws:iam::%.12s:role/%.200s" : "%s%.300s",
			caller.account, role);
	if (rc == SLK_OK && source != NULL)
		rc = kmsc_describe_stream(kms, source, &stream, err);
	if (rc == SLK_OK && source != NULL)
		memcpy(out->source, stream.arn, sizeof(out->source));
	if (rc == SLK_OK && key != NULL)
		rc = kmsc_describe_key(kms, key, &found, err);
	if (rc == SLK_OK && key != NULL)
		memcpy(out->object_key, found.arn, sizeof(out->object_key));
	return rc;
}

static void
put_text(yajl_gen g, const char *key, const char *text)
{
	(void)yajl_gen_string(g, (const unsigned char *)key, strlen(key));
	(void)yajl_gen_string(g, (const unsigned char *)text, strlen(text));
}

static void
open_map(yajl_gen g, const char *key)
{
	if (key != NULL)
		(void)yajl_gen_string(g, (const unsigned char *)key, strlen(key));
	(void)yajl_gen_map_open(g);
}

static void
put_source(yajl_gen g, const struct names *names)
{
	put_text(g, "DeliveryStreamType", "KinesisStreamAsSource");
	open_map(g, "KinesisStreamSourceConfiguration");
	put_text(g, "KinesisStreamARN", names->source);
	put_text(g, "RoleARN", names->role);
	(void)yajl_gen_map_close(g);
}

/* Firehose takes both hints or neither. */
static void
put_buffering(yajl_gen g, const struct cli_verb_args *args)
{
	static const char *const keys[] = {"SizeInMBs", "IntervalInSeconds"};
	const char *const texts[] = {CLI_TEXT(args, BUFFER_MB), CLI_TEXT(args, BUFFER_SECONDS)};
	const uint64_t defaults[] = {5, 300};

	if (texts[0] == NULL && texts[1] == NULL)
		return;
	open_map(g, "BufferingHints");
	for (size_t i = 0; i < 2; i++) {
		uint64_t value = defaults[i];
		if (texts[i] != NULL && cli_u64_parse(texts[i], UINT32_MAX, &value) != SLK_OK)
			value = defaults[i];
		(void)yajl_gen_string(g, (const unsigned char *)keys[i], strlen(keys[i]));
		(void)yajl_gen_integer(g, (long long)value);
	}
	(void)yajl_gen_map_close(g);
}

static void
put_delimiter(yajl_gen g)
{
	static const char processors[] = "Processors";

	open_map(g, "ProcessingConfiguration");
	(void)yajl_gen_string(g, (const unsigned char *)"Enabled", 7);
	(void)yajl_gen_bool(g, 1);
	(void)yajl_gen_string(g, (const unsigned char *)processors, sizeof(processors) - 1);
	(void)yajl_gen_array_open(g);
	open_map(g, NULL);
	put_text(g, "Type", "AppendDelimiterToRecord");
	(void)yajl_gen_map_close(g);
	(void)yajl_gen_array_close(g);
	(void)yajl_gen_map_close(g);
}

static void
put_s3(yajl_gen g, const struct cli_verb_args *args, const struct names *names)
{
	const char *bucket = CLI_TEXT(args, BUCKET);
	char arn[128];

	if (names->role[0] != '\0')
		put_text(g, "RoleARN", names->role);
	if (bucket != NULL) {
		(void)snprintf(arn, sizeof(arn), "%s%.100s",
			strncmp(bucket, "arn:", 4) == 0 ? "" : S3_ARN, bucket);
		put_text(g, "BucketARN", arn);
	}
	if (CLI_TEXT(args, PREFIX) != NULL)
		put_text(g, "Prefix", CLI_TEXT(args, PREFIX));
	if (CLI_TEXT(args, ERROR_PREFIX) != NULL)
		put_text(g, "ErrorOutputPrefix", CLI_TEXT(args, ERROR_PREFIX));
	if (CLI_FLAG(args, GZIP) || CLI_FLAG(args, ZSTD) || CLI_FLAG(args, UNCOMPRESSED))
		put_text(g, "CompressionFormat",
			CLI_FLAG(args, GZIP)           ? "GZIP"
				: CLI_FLAG(args, ZSTD) ? "ZSTD"
						       : "UNCOMPRESSED");
	if (names->object_key[0] != '\0') {
		open_map(g, "EncryptionConfiguration");
		open_map(g, "KMSEncryptionConfig");
		put_text(g, "AWSKMSKeyARN", names->object_key);
		(void)yajl_gen_map_close(g);
		(void)yajl_gen_map_close(g);
	}
	put_buffering(g, args);
	if (CLI_FLAG(args, DELIMITER))
		put_delimiter(g);
}

static int
take(yajl_gen g, struct slk_secret **out_json, struct slk_error *err)
{
	const unsigned char *text = NULL;
	size_t len = 0;

	if (yajl_gen_get_buf(g, &text, &len) != yajl_gen_status_ok || len == 0 ||
		slk_secret_from(text, len, out_json) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a description");
	return SLK_OK;
}

/* No secret is among the options. */
static int
make(struct cli_verb_args *args, struct kmsc *kms, const char *member, struct slk_secret **out_json,
	struct slk_error *err)
{
	struct names names = {.role = ""};
	int rc = find_names(args, kms, &names, err);

	if (rc != SLK_OK)
		return rc;
	yajl_gen g = yajl_gen_alloc(NULL);
	if (g == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a description");
	(void)yajl_gen_config(g, yajl_gen_validate_utf8, 1);
	open_map(g, NULL);
	if (names.source[0] != '\0')
		put_source(g, &names);
	open_map(g, member);
	put_s3(g, args, &names);
	(void)yajl_gen_map_close(g);
	(void)yajl_gen_map_close(g);
	rc = take(g, out_json, err);
	yajl_gen_free(g);
	return rc;
}

static int
read_or_make(struct cli_verb_args *args, struct kmsc *kms, const char *member,
	struct slk_secret **out_json, struct slk_error *err)
{
	return CLI_TEXT(args, FILE) != NULL
		? cli_bytes_read_secret(CLI_TEXT(args, FILE), KMSC_DELIVERY_SPEC_MAX, out_json, err)
		: make(args, kms, member, out_json, err);
}

/* --- create --- */

/* What kmsd would refuse, and what it cannot see: names of time zones, expressions in prefixes. */
static int
check_spec(struct slk_span json, struct slk_error *err)
{
	struct dlv_spec *spec = NULL;
	struct dlv_fault fault;

	int rc = dlv_spec_parse(json, &spec, &fault);
	if (rc == SLK_OK)
		rc = dlv_spec_check(spec, &fault);
	dlv_spec_free(spec);
	if (rc == SLK_INVALID)
		return slk_fail(err, rc, "%s: %s", fault.type, fault.message);
	return rc == SLK_OK ? rc : slk_fail(err, rc, "%s", slk_status_sentence(rc));
}

static int
create(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	const char *key = CLI_FLAG(args, OWNED_KEY) ? "" : CLI_TEXT(args, KEY);
	struct slk_secret *spec = NULL;
	char arn[KMSC_ARN_MAX];

	int rc = read_or_make(args, kms, "ExtendedS3DestinationConfiguration", &spec, err);
	if (rc != SLK_OK)
		return rc;
	struct slk_span text = slk_span(slk_secret_peek(spec), slk_secret_len(spec));
	rc = check_spec(text, err);
	if (rc == SLK_OK)
		rc = kmsc_create_delivery_stream(kms, args->words[0], text, key, args->tags.list,
			args->tags.count, arn, err);
	slk_secret_free(spec);
	return rc == SLK_OK ? cli_delivery_show(args, kms, json, err) : rc;
}

int
cli_delivery_create(struct cli *cli, int argc, char **argv)
{
	static struct argp_option options[sizeof(create_options) / sizeof(create_options[0]) +
		sizeof(s3_options) / sizeof(s3_options[0])];
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Make a delivery stream. It reads a stream, or has records put into it "
			"(firehose:PutRecord), and delivers them in batches under a role: to S3 by "
			"options, elsewhere by --file. You need firehose:CreateDeliveryStream, and "
			"iam:PassRole on the role; the role's trust policy has to let "
			"firehose.amazonaws.com assume it. It is CREATING until sealock-deliverd "
			"has "
			"taken it up.\v"
			"Examples:\n"
			"  sealock delivery create archive --source web --role deliver \\\n"
			"      --bucket archive --prefix 'web/!{timestamp:yyyy/MM/dd}/' --gzip \\\n"
			"      --buffer-mb 64 --buffer-seconds 60\n"
			"  sealock delivery create clicks --role deliver --bucket clicks --key "
			"alias/clicks\n"
			"  sealock delivery create rows --file postgres.json --wait\n"
			"\n"
			"A trust policy for the role, with your account's number:\n"
			"  {\"Version\": \"2012-10-17\", \"Statement\": {\"Effect\": \"Allow\",\n"
			"   \"Principal\": {\"Service\": \"firehose.amazonaws.com\"},\n"
			"   \"Action\": \"sts:AssumeRole\", \"Condition\":\n"
			"   {\"StringEquals\": {\"sts:ExternalId\": \"000000000000\"}}}}"},
		.options = {options},
		.check = check_create,
		.act = create};
	const size_t of_s3 = sizeof(s3_options) / sizeof(s3_options[0]) - 1;

	memcpy(options, s3_options, of_s3 * sizeof(options[0]));
	memcpy(options + of_s3, create_options, sizeof(create_options));
	options[of_s3 + sizeof(create_options) / sizeof(create_options[0]) - 1] =
		cli_delivery_wait_options[0];
	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- update --- */

static int
current_version(
	struct cli_verb_args *args, struct kmsc *kms, uint64_t *out_version, struct slk_error *err)
{
	struct kmsc_delivery_stream stream;

	if (CLI_TEXT(args, VERSION_ID) != NULL)
		return cli_u64_parse(CLI_TEXT(args, VERSION_ID), INT64_MAX, out_version);
	int rc = kmsc_describe_delivery_stream(kms, args->words[0], &stream, err);
	if (rc != SLK_OK)
		return rc;
	*out_version = stream.version;
	kmsc_delivery_stream_fini(&stream);
	return SLK_OK;
}

static int
update(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct slk_secret *spec = NULL;
	uint64_t version = 0;

	int rc = read_or_make(args, kms, "ExtendedS3DestinationUpdate", &spec, err);
	if (rc == SLK_OK)
		rc = current_version(args, kms, &version, err);
	if (rc == SLK_OK)
		rc = kmsc_update_destination(kms, args->words[0], version,
			slk_span(slk_secret_peek(spec), slk_secret_len(spec)), err);
	slk_secret_free(spec);
	return rc == SLK_OK ? cli_delivery_show(args, kms, json, err) : rc;
}

int
cli_delivery_update(struct cli *cli, int argc, char **argv)
{
	static struct argp_option options[sizeof(s3_options) / sizeof(s3_options[0]) + 1];
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Change what a delivery stream does. What is not said stays as it is, as "
			"long as "
			"the destination is of the same kind; --file has the body of Firehose's "
			"UpdateDestination. Batches that are under way end as they began.\v"
			"Examples:\n"
			"  sealock delivery update archive --zstd --buffer-seconds 120\n"
			"  sealock delivery update rows --file password.json\n"
			"\n"
			"where password.json is\n"
			"  {\"RedshiftDestinationUpdate\": {\"Password\": \"...\"}}"},
		.options = {options},
		.check = check_update,
		.act = update};
	const size_t of_s3 = sizeof(s3_options) / sizeof(s3_options[0]) - 1;

	memcpy(options, s3_options, of_s3 * sizeof(options[0]));
	options[of_s3] = (struct argp_option){"version", CLI_OPT_VERSION_ID, "N", 0,
		"Only if this is still the current version; default: whatever is current", 3};
	return cli_verb_run(cli, &verb, 0, argc, argv);
}
