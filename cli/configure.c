/* sealock configure aws: a profile with which AWS's tools and SDKs find the gateway, ready to be put into ~/.aws */
#include "iam.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "kmsclient/access.h"

#define DEFAULT_ENDPOINT "https://localhost:8443"
#define DEFAULT_REGION "local"
#define DEFAULT_PROFILE "sealock"
#define SECRET_MAX 41u /* with terminator */

struct aws_args {
	struct cli *cli;
	const char *endpoint, *region, *ca, *profile, *user, *out;
};

enum { OPT_ENDPOINT = 0x200, OPT_REGION, OPT_CA, OPT_PROFILE, OPT_USER, OPT_OUT };

/* --- what was said --- */

/* Each of them stands on a line of its own in the profile: no value may begin another one. */
static bool
is_one_word(const char *text)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (!isgraph((unsigned char)*at))
			return false;
	}
	return *text != '\0';
}

static bool
is_name(const char *text, size_t max)
{
	for (const char *at = text; *at != '\0'; at++) {
		if (!isalnum((unsigned char)*at) && strchr("_.-", *at) == NULL)
			return false;
	}
	return *text != '\0' && strlen(text) <= max;
}

static void
check(const struct aws_args *a, struct argp_state *state)
{
	if (!is_one_word(a->endpoint) ||
		(strncmp(a->endpoint, "https://", 8) != 0 &&
			strncmp(a->endpoint, "http://", 7) != 0))
		argp_error(state, "--endpoint is a URL, such as " DEFAULT_ENDPOINT ", not '%s'",
			a->endpoint);
	if (strspn(a->region, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(a->region) ||
		a->region[0] == '\0' || strlen(a->region) > 32)
		argp_error(state, "'%s' is no region", a->region);
	if (!is_name(a->profile, CLI_PROFILE_MAX))
		argp_error(state, "'%s' is no name of a profile", a->profile);
	if (a->ca != NULL && (a->ca[0] != '/' || !is_one_word(a->ca)))
		argp_error(state, "--ca is the absolute path of a file, without blanks, not '%s'",
			a->ca);
	if (a->out != NULL && a->user == NULL)
		argp_error(state, "--out is for the access key that --user makes");
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct aws_args *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = a->cli;
		return 0;
	case OPT_ENDPOINT:
		a->endpoint = arg;
		return 0;
	case OPT_REGION:
		a->region = arg;
		return 0;
	case OPT_CA:
		a->ca = arg;
		return 0;
	case OPT_PROFILE:
		a->profile = arg;
		return 0;
	case OPT_USER:
		a->user = arg;
		return 0;
	case OPT_OUT:
		a->out = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_END:
		check(a, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- what is printed --- */

static void
print_text(const struct aws_args *a, const char *id, const char *secret)
{
	struct cli_out *out = a->cli->out;
	bool is_default = strcmp(a->profile, "default") == 0;

	cli_out_printf(
		out, "# for ~/.aws/config\n[%s%s]\n", is_default ? "" : "profile ", a->profile);
	cli_out_printf(out, "region = %s\noutput = json\n", a->region);
	cli_out_printf(out, "endpoint_url = %s\n", a->endpoint);
	if (a->ca != NULL)
		cli_out_printf(out, "ca_bundle = %s\n", a->ca);
	if (id != NULL && a->out == NULL)
		cli_out_printf(out,
			"\n# for ~/.aws/credentials; the secret is shown this once\n[%s]\n"
			"aws_access_key_id = %s\naws_secret_access_key = %s\n",
			a->profile, id, secret);
	cli_out_printf(out,
		"\n# try it:  aws --profile %s sts get-caller-identity\n"
		"# (awscli before 2.13 and boto3 before 1.28 pass over endpoint_url: add "
		"--endpoint-url %s)\n",
		a->profile, a->endpoint);
}

static void
print_json(const struct aws_args *a, const char *id, const char *secret)
{
	yajl_gen json = cli_json_begin(a->cli->out, false);

	cli_json_map(json);
	cli_json_str(json, "profile", a->profile);
	cli_json_str(json, "region", a->region);
	cli_json_str(json, "endpoint_url", a->endpoint);
	if (a->ca != NULL)
		cli_json_str(json, "ca_bundle", a->ca);
	if (id != NULL)
		cli_json_str(json, "access_key_id", id);
	if (id != NULL && a->out == NULL)
		cli_json_str(json, "secret_access_key", secret);
	cli_json_map_end(json);
	cli_json_end(json);
}

static void
print(const struct aws_args *a, const char *id, const char *secret)
{
	if (a->cli->json)
		print_json(a, id, secret);
	else
		print_text(a, id, secret);
}

/* --- the access key --- */

static int
hand_out(const struct aws_args *a, const struct kmsc_access_key *key, const struct slk_secret *made,
	struct slk_error *err)
{
	char secret[SECRET_MAX];
	size_t len = slk_secret_len(made);

	if (len >= sizeof(secret))
		return slk_fail(
			err, SLK_INTERNAL, "the secret of access key %s is too long", key->id);
	if (a->out != NULL) {
		int rc =
			cli_iam_write_profile(a->cli, a->out, a->profile, key->id, made, NULL, err);
		if (rc != SLK_OK)
			return slk_fail_prefix(err,
				"access key %s was created, but its secret is lost; delete it",
				key->id);
	}
	memcpy(secret, slk_secret_peek(made), len);
	secret[len] = '\0';
	print(a, key->id, secret);
	slk_wipe(secret, sizeof(secret));
	return SLK_OK;
}

static int
with_access_key(const struct aws_args *a, struct slk_error *err)
{
	struct kmsc_access_key key;
	struct slk_secret *made = NULL;
	struct kmsc *kms = cli_kms(a->cli, err);

	if (kms == NULL)
		return err->status;
	int rc = kmsc_create_access_key(kms, a->user, &key, &made, err);
	if (rc == SLK_OK)
		rc = hand_out(a, &key, made, err);
	slk_secret_free(made);
	return rc;
}

static int
run_aws(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"endpoint", OPT_ENDPOINT, "URL", 0,
			"Where the gateway is (default " DEFAULT_ENDPOINT ")", 1},
		{"region", OPT_REGION, "REGION", 0,
			"What gatewayd.yaml says under region (default " DEFAULT_REGION ")", 1},
		{"ca", OPT_CA, "FILE", 0,
			"The CA that signed the gateway's certificate, where the client runs; "
			"without it "
			"the system's are trusted",
			1},
		{"profile", OPT_PROFILE, "NAME", 0, "Its name (default " DEFAULT_PROFILE ")", 1},
		{"user", OPT_USER, "USER", 0, "Make an access key for this user, too", 1},
		{"out", OPT_OUT, "FILE", 0,
			"Write the access key to FILE (mode 0600), as ~/.aws/credentials has it, "
			"and do "
			"not print the secret",
			1},
		{0},
	};
	static const struct argp argp = {options, parse, "",
		"Print a profile with which AWS's tools and SDKs use the gateway. Without --user "
		"it asks "
		"nobody.\v"
		"Example:\n"
		"  sealock configure aws --endpoint https://appliance:8443 --ca "
		"/etc/ssl/sealock-ca.pem\n"
		"  sealock configure aws --user alice --out credentials >>~/.aws/config\n"
		"  aws --profile sealock kinesis list-streams",
		cli_common_children, NULL, NULL};
	struct aws_args a = {.cli = cli,
		.endpoint = DEFAULT_ENDPOINT,
		.region = DEFAULT_REGION,
		.profile = DEFAULT_PROFILE};
	struct slk_error err = {0};
	int rc = SLK_OK;

	cli_parse(&argp, argc, argv, &a);
	if (a.ca != NULL && access(a.ca, R_OK) != 0)
		cli_note("%s cannot be read here; it has to be there where the client runs", a.ca);
	if (a.user != NULL)
		rc = with_access_key(&a, &err);
	else
		print(&a, NULL, NULL);
	return rc == SLK_OK ? cli_finish(cli) : cli_fail(cli, &err);
}

int
cli_configure(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"aws", "a profile for AWS's tools and SDKs", run_aws},
		{0},
	};

	return cli_dispatch(cli, verbs, "What clients need to find this appliance.",
		"Example:\n"
		"  sealock configure aws --endpoint https://appliance:8443",
		argc, argv);
}
