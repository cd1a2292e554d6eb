/* sealock iam role assume: temporary credentials of a role */
#include "iam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "document.h"
#include "kmsclient/access.h"
#include "shapes.h"
#include "text.h"

#define DURATION_MIN_S 900u
#define DURATION_MAX_S 43200u
#define PROFILE_BYTES (160u + CLI_PROFILE_MAX) /* without secret and token */

/* --- as a file --- */

/* Text without a terminator at the end of what is there. */
static size_t
append(struct slk_secret *to, size_t at, const char *label, const struct slk_secret *text)
{
	uint8_t *bytes = slk_secret_bytes(to);
	size_t label_len = strlen(label), len = slk_secret_len(text);

	memcpy(bytes + at, label, label_len);
	memcpy(bytes + at + label_len, slk_secret_peek(text), len);
	return at + label_len + len;
}

int
cli_iam_write_profile(struct cli *cli, const char *path, const char *name, const char *id,
	const struct slk_secret *secret, const struct slk_secret *token, struct slk_error *err)
{
	static const struct cli_bytes_form form = {.base64 = false, .text = true};
	struct slk_secret *profile = NULL;
	size_t token_len = token != NULL ? slk_secret_len(token) : 0;

	int rc = slk_secret_new(PROFILE_BYTES + slk_secret_len(secret) + token_len, &profile);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "there is no locked memory for credentials");
	/* An id has at most KMSC_ACCESS_ID_MAX characters: all of it fits. */
	int head = snprintf((char *)slk_secret_bytes(profile), PROFILE_BYTES,
		"[%.*s]\naws_access_key_id = %.20s\n", (int)CLI_PROFILE_MAX, name, id);
	size_t len = append(profile, (size_t)head, "aws_secret_access_key = ", secret);
	if (token != NULL)
		len = append(profile, len, "\naws_session_token = ", token);
	slk_secret_bytes(profile)[len++] = '\n';
	rc = cli_bytes_write(cli, path, slk_span(slk_secret_peek(profile), len), form, err);
	slk_secret_free(profile);
	return rc;
}

/* --- as an answer --- */

/* The same with a terminator. */
static int
terminate(const struct slk_secret *text, struct slk_secret **out, struct slk_error *err)
{
	size_t len = slk_secret_len(text);

	int rc = slk_secret_new(len + 1, out);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "there is no locked memory for credentials");
	memcpy(slk_secret_bytes(*out), slk_secret_peek(text), len);
	slk_secret_bytes(*out)[len] = '\0';
	return SLK_OK;
}

static void
print_session(struct cli_verb_args *args, yajl_gen json, const struct kmsc_session *session,
	const char *secret, const char *token)
{
	char when[CLI_TIME_MAX];

	cli_json_map(json);
	cli_json_str(json, "arn", session->arn);
	cli_json_str(json, "access_key_id", session->access_key_id);
	if (secret != NULL) {
		cli_json_str(json, "secret_access_key", secret);
		cli_json_str(json, "session_token", token);
	}
	cli_json_time(json, "expires", session->expires_ns);
	cli_json_map_end(json);
	if (json != NULL)
		return;
	cli_time_second(session->expires_ns, when);
	cli_shape_line(args->cli->out, "session", session->arn);
	cli_shape_line(args->cli->out, "access key", session->access_key_id);
	cli_shape_line(args->cli->out, "secret", secret != NULL ? secret : "in the file");
	cli_shape_line(args->cli->out, "token", token != NULL ? token : "in the file");
	cli_shape_line(args->cli->out, "expires", when);
}

static int
hand_out(struct cli_verb_args *args, yajl_gen json, const struct kmsc_session *session,
	struct slk_error *err)
{
	struct slk_secret *secret = NULL, *token = NULL;

	if (CLI_TEXT(args, OUT) != NULL) {
		int rc = cli_iam_write_profile(args->cli, CLI_TEXT(args, OUT), "default",
			session->access_key_id, session->secret, session->token, err);
		if (rc == SLK_OK)
			print_session(args, json, session, NULL, NULL);
		return rc;
	}
	int rc = terminate(session->secret, &secret, err);
	if (rc == SLK_OK)
		rc = terminate(session->token, &token, err);
	if (rc == SLK_OK)
		print_session(args, json, session, (const char *)slk_secret_peek(secret),
			(const char *)slk_secret_peek(token));
	slk_secret_free(secret);
	slk_secret_free(token);
	return rc;
}

static int
assume_act(struct cli_verb_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_session session;
	char *policy = NULL;

	int rc = CLI_TEXT(args, POLICY) != NULL
		? cli_document_read(CLI_TEXT(args, POLICY), POL_IDENTITY, &policy, err)
		: SLK_OK;
	if (rc != SLK_OK)
		return rc;
	const struct kmsc_assume how = {.role = args->words[0],
		.session_name = CLI_TEXT(args, SESSION),
		.duration_s = cli_verb_number(CLI_TEXT(args, DURATION)),
		.external_id = CLI_TEXT(args, EXTERNAL_ID),
		.policy = policy,
		.policies = args->list,
		.policies_count = args->list_count,
		.tags = args->tags.list,
		.tags_count = args->tags.count,
		.source_identity = CLI_TEXT(args, SOURCE_IDENTITY)};
	rc = kmsc_assume_role(kms, &how, &session, err);
	free(policy);
	if (rc != SLK_OK)
		return rc;
	rc = hand_out(args, json, &session, err);
	kmsc_session_wipe(&session);
	return rc;
}

static void
check_assume(const struct cli_verb_args *args, struct argp_state *state)
{
	const char *seconds = CLI_TEXT(args, DURATION);
	uint64_t value = 0;

	if (CLI_TEXT(args, SESSION) == NULL)
		argp_error(state,
			"--session NAME is missing: what the session is called in the "
			"audit log");
	if (seconds != NULL &&
		(cli_u64_parse(seconds, DURATION_MAX_S, &value) != SLK_OK ||
			value < DURATION_MIN_S))
		argp_error(state, "--duration takes %u to %u seconds, not '%s'", DURATION_MIN_S,
			DURATION_MAX_S, seconds);
}

static const struct argp_option options[] = {
	{"session", CLI_OPT_SESSION, "NAME", 0,
		"What the session is called, in its ARN and in the audit log", 1},
	{"duration", CLI_OPT_DURATION, "SECONDS", 0,
		"How long it lasts, 900 to what the role allows (3600)", 1},
	{"external-id", CLI_OPT_EXTERNAL_ID, "ID", 0, "What was agreed on with who owns the role",
		1},
	{"policy", CLI_OPT_POLICY, "FILE", 0, "A document that limits the session; '-' reads stdin",
		1},
	{"managed-policy", CLI_OPT_MANAGED, "NAME", 0,
		"A managed policy that limits it; may be repeated", 1},
	{"tag", CLI_OPT_TAG, "NAME=VALUE", 0, "A tag of the session; may be repeated", 1},
	{"source-identity", CLI_OPT_SOURCE_IDENTITY, "NAME", 0, "Who is behind it", 1},
	{"out", CLI_OPT_OUT, "FILE", 0,
		"Write them to FILE (mode 0600), as ~/.aws/credentials has it, and do not print "
		"secret and token",
		1},
	{0},
};
static const struct cli_verb assume = {
	.words = {"ROLE"},
	.args_doc = "ROLE",
	.options = {options, NULL},
	.doc = {"Take a role on: get credentials that end by themselves, for AWS's tools and SDKs. "
		"The role's trust policy says who may. The account's root may not: be a user.\v"
		"Example:\n"
		"  sealock iam role assume reader --session alice --out credentials\n"
		"  sealock iam role assume partner --session job-7 --external-id agreed-on\n"
		"\n"
		"What the session may do is what the role may do, within --policy and "
		"--managed-policy."},
	.check = check_assume,
	.act = assume_act,
};

int
cli_iam_role_assume(struct cli *cli, int argc, char **argv)
{
	return cli_verb_run(cli, &assume, 0, argc, argv);
}
