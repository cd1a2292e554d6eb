/* sealock delivery list | describe | delete | encrypt | unencrypt */
#include "delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "document.h"
#include "shapes.h"
#include "text.h"

#define WAIT_MAX_NS (60 * SLK_NS_PER_S)
#define POLL_NS (100 * SLK_NS_PER_MS)

const struct argp_option cli_delivery_wait_options[] = {
	{"wait", CLI_OPT_WAIT, NULL, 0, "Return once it is done, after a minute at the latest", 4},
	{0}};

/* --- how they look --- */

static const char *
state_name(enum kmsc_delivery_state state)
{
	static const char *const names[] = {[KMSC_DELIVERY_CREATING] = "CREATING",
		[KMSC_DELIVERY_CREATING_FAILED] = "CREATING_FAILED",
		[KMSC_DELIVERY_ACTIVE] = "ACTIVE",
		[KMSC_DELIVERY_DELETING] = "DELETING",
		[KMSC_DELIVERY_DELETING_FAILED] = "DELETING_FAILED"};

	return names[state];
}

void
cli_delivery_shape(yajl_gen json, const struct kmsc_delivery_stream *s)
{
	cli_json_str(json, "name", s->name);
	cli_json_str(json, "arn", s->arn);
	cli_json_u64(json, "id", s->id);
	cli_json_u64(json, "version", s->version);
	cli_json_str(json, "status", state_name(s->state));
	if (s->failure_type[0] != '\0') {
		cli_json_str(json, "failure", s->failure_type);
		cli_json_str(json, "failure_details", s->failure_details);
	}
	cli_json_str(json, "source", s->direct_put ? "DirectPut" : "KinesisStreamAsSource");
	cli_json_str(json, "stream_arn", s->stream_arn);
	cli_json_str(json, "encryption", s->encryption_status);
	cli_json_str(json, "key_type", s->key_type);
	cli_json_str(json, "key_arn", s->key_arn);
	cli_json_time(json, "created", s->created_ns);
	cli_json_time(json, "updated", s->updated_ns);
}

static void
shape_text(struct cli_out *out, const struct kmsc_delivery_stream *s)
{
	char version[24], created[CLI_TIME_MAX], updated[CLI_TIME_MAX];

	(void)snprintf(version, sizeof(version), "%llu", (unsigned long long)s->version);
	cli_time_second(s->created_ns, created);
	cli_time_second(s->updated_ns, updated);
	cli_shape_line(out, "delivery", s->name);
	cli_shape_line(out, "arn", s->arn);
	cli_shape_line(out, "version", version);
	cli_shape_line(out, "status", state_name(s->state));
	if (s->failure_type[0] != '\0') {
		cli_shape_line(out, "failure", s->failure_type);
		cli_shape_line(out, "", s->failure_details);
	}
	cli_shape_line(out, "source", s->direct_put ? "direct puts" : s->stream_arn);
	if (s->direct_put)
		cli_shape_line(out, "encryption", s->encryption_status);
	if (s->key_type[0] != '\0')
		cli_shape_line(
			out, "key", s->key_arn[0] != '\0' ? s->key_arn : "the appliance's own");
	cli_shape_line(out, "created", created);
	cli_shape_line(out, "updated", updated);
}

/* Its description; secrets are not in it. */
static int
shape_spec(struct cli_verb_args *args, yajl_gen json, const struct kmsc_delivery_stream *s,
	struct slk_error *err)
{
	char *text = malloc(s->spec_len + 1);

	if (text == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a description");
	memcpy(text, slk_secret_peek(s->spec), s->spec_len);
	text[s->spec_len] = '\0';
	int rc = SLK_OK;
	if (json != NULL) {
		rc = cli_document_json(json, "description", text, err);
	} else {
		cli_out_text(args->cli->out, "\n");
		cli_document_print(args->cli->out, text);
	}
	free(text);
	return rc;
}

/* --- describe --- */

static bool
is_settled(const struct kmsc_delivery_stream *s)
{
	return s->state != KMSC_DELIVERY_CREATING && s->state != KMSC_DELIVERY_DELETING &&
		strcmp(s->encryption_status, "ENABLING") != 0 &&
		strcmp(s->encryption_status, "DISABLING") != 0;
}

static int
describe_settled(struct cli_verb_args *args, struct kmsc *kms, struct kmsc_delivery_stream *stream,
	struct slk_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	uint64_t until_ns = slk_mono_ns(args->cli->clock) + WAIT_MAX_NS;

	for (;;) {
		int rc = kmsc_describe_delivery_stream(kms, args->words[0], stream, err);
		if (rc != SLK_OK || !CLI_FLAG(args, WAIT) || is_settled(stream))
			return rc;
		enum kmsc_delivery_state state = stream->state;
		kmsc_delivery_stream_fini(stream);
		if (slk_mono_ns(args->cli->clock) >= until_ns)
			return slk_fail(err, SLK_TIMEOUT,
				"delivery stream %s is still %s after a minute; are "
				"sealock-deliverd "
				"and sealock-ingestd running? The change stays intended",
				args->words[0],
				state == KMSC_DELIVERY_ACTIVE ? "changing its encryption"
							      : state_name(state));
		(void)nanosleep(&pause, NULL);
	}
}

int
cli_delivery_show(
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_delivery_stream stream = {.spec = NULL};

	int rc = describe_settled(args, kms, &stream, err);
	if (rc != SLK_OK)
		return rc;
	if (json != NULL) {
		cli_json_map(json);
		cli_delivery_shape(json, &stream);
	} else {
		shape_text(args->cli->out, &stream);
	}
	rc = shape_spec(args, json, &stream, err);
	cli_json_map_end(json);
	kmsc_delivery_stream_fini(&stream);
	return rc;
}

int
cli_delivery_describe(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Say how a delivery stream is and what it is to do: the description that "
			"Firehose's DescribeDeliveryStream is made from. Passwords are not shown. "
			"How far it is, 'sealock delivery status' says.\v"
			"Example:\n"
			"  sealock delivery describe archive\n"
			"  sealock delivery describe archive --json | jq .description"},
		.options = {cli_delivery_wait_options},
		.act = cli_delivery_show};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- list --- */

static int
fetch(struct cli_verb_args *args, struct kmsc *kms, const char *marker, void *page,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	struct kmsc_delivery_stream *streams = page;
	bool more = false;

	(void)args;
	int rc = kmsc_list_delivery_streams(
		kms, marker, 0, streams, CLI_PAGE, out_count, &more, err);
	if (rc == SLK_OK)
		(void)snprintf(out_next, KMSC_DELIVERY_NAME_MAX, "%s",
			more && *out_count > 0 ? streams[*out_count - 1].name : "");
	return rc;
}

static void
print_row(struct cli_verb_args *args, yajl_gen json, const void *entry, bool with_title)
{
	const struct kmsc_delivery_stream *s = entry;
	struct cli_out *out = args->cli->out;
	char created[CLI_TIME_MAX];

	if (json != NULL) {
		cli_json_map(json);
		cli_delivery_shape(json, s);
		cli_json_map_end(json);
		return;
	}
	if (with_title)
		cli_out_printf(out, "%-24s %-15s %-7s %-21s %s\n", "DELIVERY", "STATUS", "VERSION",
			"CREATED", "SOURCE");
	cli_time_second(s->created_ns, created);
	cli_out_printf(out, "%-24s %-15s %-7llu %-21s %s\n", s->name, state_name(s->state),
		(unsigned long long)s->version, created,
		s->direct_put ? "direct puts" : s->stream_arn);
}

static void
end_page(void *page, size_t count)
{
	struct kmsc_delivery_stream *streams = page;

	for (size_t i = 0; i < count; i++)
		kmsc_delivery_stream_fini(&streams[i]);
}

static int
list(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static const struct cli_pages pages = {
		sizeof(struct kmsc_delivery_stream), fetch, print_row, end_page};
	size_t total = 0;

	cli_json_map(json);
	int rc = cli_verb_pages(args, kms, json, "delivery_streams", &pages, &total, err);
	cli_json_map_end(json);
	if (rc == SLK_OK && total == 0 && json == NULL)
		cli_out_text(args->cli->out, "there are no delivery streams\n");
	return rc;
}

int
cli_delivery_list(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.doc = {"List the delivery streams, by name.\v"
						     "Example:\n"
						     "  sealock delivery list"},
		.act = list};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- delete --- */

static int
wait_gone(struct cli_verb_args *args, struct kmsc *kms, struct slk_error *err)
{
	const struct timespec pause = {0, POLL_NS};
	uint64_t until_ns = slk_mono_ns(args->cli->clock) + WAIT_MAX_NS;

	while (CLI_FLAG(args, WAIT)) {
		struct kmsc_delivery_stream stream = {.spec = NULL};
		int rc = kmsc_describe_delivery_stream(kms, args->words[0], &stream, err);
		kmsc_delivery_stream_fini(&stream);
		if (rc == SLK_NOT_FOUND)
			return SLK_OK;
		if (rc != SLK_OK)
			return rc;
		if (slk_mono_ns(args->cli->clock) >= until_ns)
			return slk_fail(err, SLK_TIMEOUT,
				"delivery stream %s is still DELETING after a minute; is "
				"sealock-deliverd running? The deletion stays intended",
				args->words[0]);
		(void)nanosleep(&pause, NULL);
	}
	return SLK_OK;
}

static int delete (
	struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_delete_delivery_stream(kms, args->words[0], CLI_FLAG(args, FORCE), err);

	if (rc == SLK_OK)
		rc = wait_gone(args, kms, err);
	if (rc != SLK_OK)
		return rc;
	cli_json_map(json);
	cli_json_str(json, "deleted", args->words[0]);
	cli_json_map_end(json);
	if (json == NULL) {
		cli_out_text(args->cli->out, "deleted delivery stream ");
		cli_out_safe(args->cli->out, slk_span_str(args->words[0]));
		cli_out_text(args->cli->out, "\n");
	}
	return SLK_OK;
}

int
cli_delivery_delete(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"force", CLI_OPT_FORCE, NULL, 0,
			"At once, also while it is CREATING and without sealock-deliverd", 1},
		{"wait", CLI_OPT_WAIT, NULL, 0, "Return once it is gone", 1}, {0}};
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Delete a delivery stream. It is DELETING until sealock-deliverd has let "
			"go of "
			"it; what it has not delivered by then is not delivered any more. A stream "
			"that "
			"it reads stays as it is.\v"
			"Example:\n"
			"  sealock delivery delete archive --wait"},
		.options = {options},
		.act = delete};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

/* --- encryption --- */

static int
encrypt(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	const char *key = args->words[1] != NULL ? args->words[1] : "";
	int rc = kmsc_start_delivery_stream_encryption(kms, args->words[0], key, err);

	return rc == SLK_OK ? cli_delivery_show(args, kms, json, err) : rc;
}

int
cli_delivery_encrypt(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME", "KEY"},
		.optional_count = 1,
		.args_doc = "NAME [KEY]",
		.doc = {"Encrypt what is put into a delivery stream from now on under a master "
			"key: "
			"id, "
			"ARN or alias. Who puts needs kms:GenerateDataKey with it from now on, the "
			"role "
			"of the delivery stream kms:Decrypt. Without KEY it is under the "
			"appliance's own "
			"key, and said to be encrypted.\v"
			"Example:\n"
			"  sealock delivery encrypt clicks alias/clicks --wait"},
		.options = {cli_delivery_wait_options},
		.act = encrypt};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}

static int
unencrypt(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_stop_delivery_stream_encryption(kms, args->words[0], err);

	return rc == SLK_OK ? cli_delivery_show(args, kms, json, err) : rc;
}

int
cli_delivery_unencrypt(struct cli *cli, int argc, char **argv)
{
	static const struct cli_verb verb = {.words = {"NAME"},
		.args_doc = "NAME",
		.doc = {"Seal what is put into a delivery stream from now on under the appliance's "
			"own "
			"key, which needs no right to a key.\v"
			"Example:\n"
			"  sealock delivery unencrypt clicks --wait"},
		.options = {cli_delivery_wait_options},
		.act = unencrypt};

	return cli_verb_run(cli, &verb, 0, argc, argv);
}
