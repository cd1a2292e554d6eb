/* sealock open: an object that deliverd sealed, opened again as the caller. */
#include "open.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"

enum { OPT_METADATA = 'm', OPT_OUT = 'o', OPT_DECOMPRESS = 'd' };

struct open_args {
	struct cli *cli;
	const char *file, *metadata, *out;
	bool decompress;
};

static error_t
parse_open(int key, char *arg, struct argp_state *state)
{
	struct open_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_METADATA:
		args->metadata = arg;
		return 0;
	case OPT_OUT:
		args->out = cli_bytes_is_stdout(arg) ? NULL : arg;
		return 0;
	case OPT_DECOMPRESS:
		args->decompress = true;
		return 0;
	case ARGP_KEY_ARG:
		if (args->file != NULL)
			argp_error(state, "'%s' is too much", arg);
		args->file = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the FILE is missing");
		return 0;
	case ARGP_KEY_END:
		if (args->cli->json && args->out == NULL)
			argp_error(state, "--json tells of a file: give --out FILE");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* FILE.meta.json, unless another is named. */
static int
read_head(const struct open_args *args, struct dlv_sealed_head *head, struct fmt_context **context,
	struct slk_error *err)
{
	char beside[4096];
	const char *path = args->metadata;
	size_t len = 0;

	if (path == NULL) {
		int n = snprintf(beside, sizeof(beside), "%s.meta.json", args->file);
		if (n < 0 || (size_t)n >= sizeof(beside))
			return slk_fail(err, SLK_TOO_LARGE, "the name of the file is too long");
		path = beside;
	}
	uint8_t *json = malloc(DLV_SEALED_HEAD_JSON_MAX);
	if (json == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the metadata");
	int rc = cli_bytes_read(path, false, json, DLV_SEALED_HEAD_JSON_MAX, &len, err);
	if (rc != SLK_OK && args->metadata == NULL)
		(void)slk_fail_prefix(err, "the object's metadata (see --metadata)");
	if (rc == SLK_OK) {
		rc = dlv_sealed_head_parse(slk_span(json, len), head, context, err);
		if (rc != SLK_OK)
			(void)slk_fail_prefix(err, "%s", path);
	}
	free(json);
	return rc;
}

static int
ask_key(const struct open_args *args, const struct dlv_sealed_head *head,
	const struct fmt_context *context, struct slk_secret **out_key, char key_arn[KMSC_ARN_MAX],
	struct slk_error *err)
{
	struct kmsc *kms = cli_kms(args->cli, err);

	if (kms == NULL)
		return err->status;
	int rc = kmsc_decrypt(kms, NULL, context, slk_span(head->wrapped, head->wrapped_len),
		out_key, key_arn, err);
	if (rc == SLK_INVALID_CIPHERTEXT) /* kmsd says no more, on purpose */
		(void)slk_fail_prefix(err,
			"the wrapped data key (x-amz-3) and its encryption context (x-amz-t) are "
			"not what this "
			"KMS made together");
	return rc;
}

struct opened {
	char key_arn[KMSC_ARN_MAX];
	uint64_t bytes;
};

static int
open_object(const struct open_args *args, struct opened *out, struct slk_error *err)
{
	struct cli_open_sink sink = {.fd = -1};
	struct dlv_sealed_head head;
	struct fmt_context *context = NULL;
	struct slk_secret *data_key = NULL;

	int fd = open(args->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return slk_fail_errno(err, "cannot read %s", args->file);
	int rc = read_head(args, &head, &context, err);
	if (rc == SLK_OK)
		rc = ask_key(args, &head, context, &data_key, out->key_arn, err);
	if (rc == SLK_OK)
		rc = cli_open_sink_begin(&sink, args->cli, args->out, err);
	if (rc == SLK_OK)
		rc = cli_open_object(fd, args->file, &head, data_key, args->decompress, &sink, err);
	if (rc == SLK_OK)
		rc = cli_open_sink_end(&sink, err);
	cli_open_sink_drop(&sink);
	out->bytes = sink.bytes;
	slk_secret_free(data_key);
	fmt_context_free(context);
	(void)close(fd);
	return rc;
}

static void
print_json(struct cli *cli, const struct open_args *args, const struct opened *opened)
{
	yajl_gen json = cli_json_begin(cli->out, false);

	cli_json_map(json);
	cli_json_str(json, "file", args->file);
	cli_json_str(json, "out", args->out);
	cli_json_u64(json, "bytes", opened->bytes);
	cli_json_str(json, "key_arn", opened->key_arn);
	cli_json_map_end(json);
	cli_json_end(json);
}

int
cli_open(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"metadata", OPT_METADATA, "FILE", 0,
			"The object's metadata, as `aws s3api head-object` prints them (default: "
			"FILE.meta.json)",
			1},
		{"out", OPT_OUT, "FILE", 0,
			"Where the content goes, as a file of mode 0600 (default: stdout)", 1},
		{"decompress", OPT_DECOMPRESS, 0, 0,
			"The content is GZIP or ZSTD data: decompress it", 1},
		{0},
	};
	static const struct argp argp = {options, parse_open, "FILE",
		"Open a delivered object that was sealed on the client's side. The KMS is asked, "
		"as you, to "
		"decrypt its data key (kms:Decrypt). Nothing is given out before the whole object "
		"was found "
		"to be what was sealed.\v"
		"Example:\n"
		"  sealock open clicks-1-2026-11-24-21-00-00-6f1c2d3e.gz --decompress | jq .\n"
		"  aws s3api get-object --bucket b --key k object >object.meta.json\n"
		"  sealock open object --out plain",
		cli_common_children, NULL, NULL};
	struct open_args args = {.cli = cli};
	struct opened opened = {.bytes = 0};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	cli_catch_stop();
	int rc = open_object(&args, &opened, &err);
	if (rc == SLK_CLOSED && cli_out_status(cli->out) == SLK_CLOSED)
		return cli_finish(cli); /* who reads has had enough */
	if (rc != SLK_OK)
		return cli_fail(cli, &err);
	if (cli->json)
		print_json(cli, &args, &opened);
	return cli_finish(cli);
}
