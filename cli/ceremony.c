/* sealock hsm ceremony: a master key made before witnesses, and a signed protocol of it (docs/ceremony.md). */
#include "ceremony.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "attest.h"
#include "bundle.h"
#include "format/attest.h"
#include "format/utf8.h"
#include "keyname.h"
#include "kmsclient/inspect.h"
#include "kmsclient/life.h"
#include "proposals.h"
#include "text.h"

#define WITNESSES_MAX 16u
#define WITNESS_MAX 128u
#define QUORUM_DEFAULT 2u
#define CREATE_TIMEOUT_MS 30000u

struct witness {
	char name[WITNESS_MAX];
	char read[16]; /* the check value that she typed; "": she was not asked */
	bool confirmed;
};

struct ceremony {
	struct cli *cli;
	const char *out, *key, *alias, *description, *spec, *usage;
	uint64_t quorum;
	struct witness witnesses[WITNESSES_MAX];
	size_t witnesses_count;
	bool asks; /* witnesses sit here: they are asked for what they read */
	struct kmsc *kms;
	struct cli_bundle bundle;
	struct cli_fields facts;
	struct kmsc_key made;
	struct kmsc_inspection token;
	struct kmsc_dual dual;
	bool existed;
	uint64_t begun_ns, ended_ns;
};

/* --- witnesses --- */

/* Two of a name are one. */
static bool
add_witness(struct ceremony *c, const char *name)
{
	if (c->witnesses_count == WITNESSES_MAX || name[0] == '\0' || strlen(name) >= WITNESS_MAX ||
		!fmt_utf8_is_text(slk_span_str(name)))
		return false;
	for (size_t i = 0; i < c->witnesses_count; i++)
		if (strcasecmp(c->witnesses[i].name, name) == 0)
			return false;
	strcpy(c->witnesses[c->witnesses_count++].name, name);
	return true;
}

/* A line of stdin without its newline; false at its end. */
static bool
ask(const char *prompt, char *out, size_t cap)
{
	(void)fputs(prompt, stderr);
	(void)fflush(stderr);
	if (fgets(out, (int)cap, stdin) == NULL)
		return false;
	out[strcspn(out, "\n")] = '\0';
	return true;
}

static int
gather_witnesses(struct ceremony *c, struct slk_error *err)
{
	char name[WITNESS_MAX];

	c->asks = c->witnesses_count == 0;
	while (c->asks && ask("Name of a witness (empty line: no more): ", name, sizeof(name)) &&
		name[0] != '\0')
		if (!add_witness(c, name))
			cli_note("'%s' is here already, or no name", name);
	if (c->witnesses_count >= c->quorum)
		return SLK_OK;
	return slk_fail(err, SLK_INVALID,
		"a ceremony needs %llu witnesses of different names, and %zu are here: --witness, "
		"or "
		"answer the prompt",
		(unsigned long long)c->quorum, c->witnesses_count);
}

/* Each reads the check value from the screen and types it: nobody signs for what she did not look at. */
static void
confirm(struct ceremony *c)
{
	char prompt[256];

	if (!c->asks)
		return;
	fprintf(stderr, "Key %s, check value %s (CMAC %s)\n", c->made.id, c->token.token_kcv,
		c->token.token_kcv_cmac);
	for (size_t i = 0; i < c->witnesses_count; i++) {
		struct witness *w = &c->witnesses[i];
		char typed[32] = "";
		(void)snprintf(
			prompt, sizeof(prompt), "%s, type the check value that you see: ", w->name);
		(void)ask(prompt, typed, sizeof(typed));
		(void)snprintf(w->read, sizeof(w->read), "%.15s", typed);
		w->confirmed = strcasecmp(typed, c->token.token_kcv) == 0;
	}
}

static size_t
confirmed_count(const struct ceremony *c)
{
	size_t count = 0;

	for (size_t i = 0; i < c->witnesses_count; i++)
		count += c->witnesses[i].confirmed;
	return count;
}

/* --- what is done --- */

static const char *
fact(const struct ceremony *c, const char *name)
{
	for (size_t i = 0; i < c->facts.count; i++)
		if (strcmp(c->facts.list[i].path, name) == 0)
			return c->facts.list[i].value;
	return "";
}

/* No key is made by what failed its self-tests. */
static int
check_token(struct ceremony *c, struct slk_error *err)
{
	int rc = kmsc_about(c->kms, true, cli_proposals_take, &c->facts, err);

	if (rc == SLK_OK && c->facts.failed)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for what the token says");
	if (rc != SLK_OK)
		return rc;
	if (strcmp(fact(c, "self_test_token"), "passed") != 0 ||
		strcmp(fact(c, "self_test_front"), "passed") != 0)
		return slk_fail(err, SLK_SELF_TEST,
			"the self-tests did not pass: token: %s; kmsd: %s",
			fact(c, "self_test_token"), fact(c, "self_test_front"));
	return SLK_OK;
}

static int
make_key(struct ceremony *c, struct slk_error *err)
{
	const struct kmsc_key_kind kind = {
		.description = c->description, .spec = c->spec, .usage = c->usage};
	char id[KMSC_ARN_MAX];
	int rc;

	if (c->key != NULL) {
		c->existed = true;
		rc = cli_keyname_resolve(c->kms, c->key, id, err);
		return rc == SLK_OK ? kmsc_describe_key(c->kms, id, &c->made, err) : rc;
	}
	rc = kmsc_create_key_with(c->kms, &kind, &c->made, err);
	if (rc == SLK_OK && c->alias != NULL) {
		rc = kmsc_create_alias(c->kms, c->alias, c->made.id, err);
		if (rc != SLK_OK)
			return slk_fail_prefix(
				err, "key %s was created, but not its alias", c->made.id);
	}
	return rc;
}

static void
nobody(void *arg, const struct kmsc_proposal *proposal)
{
	(void)arg;
	(void)proposal;
}

static int
perform(struct ceremony *c, struct slk_error *err)
{
	int rc = check_token(c, err);

	if (rc == SLK_OK)
		rc = cli_proposals_each(c->kms, nobody, NULL, &c->dual, err);
	if (rc == SLK_OK)
		rc = make_key(c, err);
	if (rc == SLK_OK)
		rc = kmsc_inspect_key(c->kms, c->made.id, "", &c->token, err);
	if (rc == SLK_OK && strcmp(c->token.kcv, c->token.token_kcv) != 0)
		rc = slk_fail(err, SLK_CORRUPT,
			"the token's check value %s is not the catalog's, %s", c->token.token_kcv,
			c->token.kcv);
	if (rc == SLK_OK)
		confirm(c);
	c->ended_ns = slk_wall_ns(c->cli->clock);
	return rc;
}

/* --- the protocol --- */

static const char *
operator_name(void)
{
	const struct passwd *who = getpwuid(getuid());

	return who != NULL ? who->pw_name : "(no account)";
}

static void
json_witnesses(yajl_gen json, const struct ceremony *c)
{
	cli_json_key(json, "witnesses");
	cli_json_array(json);
	for (size_t i = 0; i < c->witnesses_count; i++) {
		cli_json_map(json);
		cli_json_str(json, "name", c->witnesses[i].name);
		cli_json_bool(json, "asked", c->asks);
		cli_json_bool(json, "confirmed", c->witnesses[i].confirmed);
		cli_json_str(json, "typed", c->witnesses[i].read);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_objects(yajl_gen json, const struct kmsc_inspection *k)
{
	cli_json_key(json, "objects");
	cli_json_array(json);
	for (size_t i = 0; i < k->objects_count; i++) {
		const struct kmsc_token_object *o = &k->objects[i];
		cli_json_map(json);
		cli_json_str(json, "class", o->object_class);
		cli_json_key(json, "true");
		cli_json_array(json);
		for (size_t a = 0; a < o->true_count; a++)
			cli_json_text(json, o->true_attributes[a]);
		cli_json_array_end(json);
		cli_json_key(json, "false");
		cli_json_array(json);
		for (size_t a = 0; a < o->false_count; a++)
			cli_json_text(json, o->false_attributes[a]);
		cli_json_array_end(json);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_protocol(yajl_gen json, const struct ceremony *c)
{
	cli_json_map(json);
	cli_json_str(json, "format", "sealock-ceremony-1");
	cli_json_str(json, "act", c->existed ? "witnessed a key that was there" : "created a key");
	cli_json_time(json, "begun", c->begun_ns);
	cli_json_time(json, "ended", c->ended_ns);
	cli_json_str(json, "operator", operator_name());
	cli_json_u64(json, "operator_uid", getuid());
	cli_json_u64(json, "quorum", c->quorum);
	json_witnesses(json, c);
	cli_json_str(json, "key_arn", c->made.arn);
	cli_json_str(json, "spec", c->made.spec);
	cli_json_str(json, "usage", c->made.usage);
	cli_json_time(json, "key_created", c->made.created_ns);
	cli_json_str(json, "backing_id", c->token.backing_id);
	cli_json_str(json, "kcv", c->token.token_kcv);
	cli_json_str(json, "kcv_cmac", c->token.token_kcv_cmac);
	json_objects(json, &c->token);
	cli_proposals_dual(json, &c->dual);
	cli_json_key(json, "about");
	cli_json_map(json);
	for (size_t i = 0; i < c->facts.count; i++)
		cli_json_str(json, c->facts.list[i].path, c->facts.list[i].value);
	cli_json_map_end(json);
	cli_json_map_end(json);
}

static void
line(struct cli_out *out, const char *name, const char *value)
{
	cli_out_printf(out, "%-20s", name);
	cli_out_safe(out, slk_span_str(value));
	cli_out_text(out, "\n");
}

static void
text_witnesses(struct cli_out *out, const struct ceremony *c)
{
	for (size_t i = 0; i < c->witnesses_count; i++) {
		const struct witness *w = &c->witnesses[i];
		cli_out_text(out, "  ");
		cli_out_safe(out, slk_span_str(w->name));
		cli_out_printf(out, ": %s\n      signature: ______________________________\n",
			!c->asks               ? "named by the operator, not asked"
				: w->confirmed ? "typed the check value that the token gave"
					       : "DID NOT CONFIRM the check value");
	}
}

static void
text_protocol(struct cli_out *out, const struct ceremony *c)
{
	char when[CLI_TIME_MAX];

	cli_out_text(out, "Protocol of a key ceremony\n\n");
	line(out, "act", c->existed ? "witnessed a key that was there" : "created a key");
	cli_time_second(c->begun_ns, when);
	line(out, "begun", when);
	cli_time_second(c->ended_ns, when);
	line(out, "ended", when);
	line(out, "operator", operator_name());
	line(out, "key", c->made.arn);
	line(out, "spec", c->made.spec);
	line(out, "usage", c->made.usage);
	line(out, "check value", c->token.token_kcv);
	line(out, "check value (CMAC)", c->token.token_kcv_cmac);
	line(out, "CKA_ID", c->token.backing_id);
	line(out, "token", fact(c, "token_label"));
	line(out, "serial", fact(c, "token_serial"));
	line(out, "model", fact(c, "token_model"));
	line(out, "firmware", fact(c, "token_firmware_version"));
	line(out, "library", fact(c, "library_description"));
	line(out, "validated module", fact(c, "validated_module"));
	line(out, "self-tests", "passed, just before (token and kmsd)");
	cli_out_printf(out, "%-20s%llu\n\nwitnesses\n", "quorum", (unsigned long long)c->quorum);
	text_witnesses(out, c);
	cli_out_text(out,
		"\nMANIFEST names this file and protocol.json, which has all attributes, by "
		"their SHA-256;\nMANIFEST.sig is its signature for the purpose 'ceremony': "
		"docs/ceremony.md says how to check it.\n");
}

static int
write_protocol(struct ceremony *c, const char *pem, struct slk_error *err)
{
	int rc = cli_bundle_put(&c->bundle, "attestation-key.pem", slk_span_str(pem), err);

	if (rc == SLK_OK)
		rc = cli_bundle_open(&c->bundle, "protocol.json", err);
	if (rc == SLK_OK) {
		yajl_gen json = cli_json_begin(c->bundle.out, false);
		json_protocol(json, c);
		cli_json_end(json);
		rc = cli_bundle_close(&c->bundle, err);
	}
	if (rc == SLK_OK)
		rc = cli_bundle_open(&c->bundle, "protocol.txt", err);
	if (rc == SLK_OK) {
		text_protocol(c->bundle.out, c);
		rc = cli_bundle_close(&c->bundle, err);
	}
	return rc == SLK_OK ? cli_bundle_sign(&c->bundle, c->kms, FMT_ATTEST_CEREMONY, err) : rc;
}

/* The place for the protocol, and the key that signs it, before anything is made. */
static int
hold(struct ceremony *c, struct slk_error *err)
{
	char pem[SEAL_ATTEST_PEM_MAX];
	struct kmsc_attestation attestation;

	c->begun_ns = slk_wall_ns(c->cli->clock);
	int rc = gather_witnesses(c, err);
	if (rc == SLK_OK)
		rc = cli_attest_identify(c->cli, &attestation, pem, err);
	if (rc == SLK_OK)
		rc = cli_bundle_begin(c->out, &c->bundle, err);
	if (rc != SLK_OK)
		return rc;
	rc = perform(c, err);
	if (rc != SLK_OK) {
		(void)rmdir(c->out); /* nothing is in it */
		return rc;
	}
	rc = write_protocol(c, pem, err);
	if (rc == SLK_OK && c->asks && confirmed_count(c) < c->quorum)
		rc = slk_fail(err, SLK_DENIED,
			"%zu of %llu witnesses confirmed the check value; the protocol in %s says "
			"so. "
			"Do not use key %s",
			confirmed_count(c), (unsigned long long)c->quorum, c->out, c->made.id);
	return rc;
}

/* --- the command --- */

enum {
	OPT_OUT = 'o',
	OPT_WITNESS = 'w',
	OPT_QUORUM = 'q',
	OPT_KEY = 'k',
	OPT_ALIAS = 'a',
	OPT_DESCRIPTION = 'd',
	OPT_SPEC = 's',
	OPT_USAGE = 'u',
};

static error_t
parse_key(int key, char *arg, struct ceremony *c)
{
	switch (key) {
	case OPT_KEY:
		c->key = arg;
		return 0;
	case OPT_ALIAS:
		c->alias = arg;
		return 0;
	case OPT_DESCRIPTION:
		c->description = arg;
		return 0;
	case OPT_SPEC:
		c->spec = arg;
		return 0;
	case OPT_USAGE:
		c->usage = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void
check(const struct ceremony *c, struct argp_state *state)
{
	if (c->out == NULL)
		argp_error(state, "--out DIR is missing");
	if (c->key != NULL &&
		(c->alias != NULL || c->spec != NULL || c->usage != NULL || c->description != NULL))
		argp_error(state, "--key names a key that is there: it is not made anew");
}

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct ceremony *c = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = c->cli;
		return 0;
	case OPT_OUT:
		c->out = arg;
		return 0;
	case OPT_WITNESS:
		if (!add_witness(c, arg))
			argp_error(state, "witness '%s' is named twice, or is no name", arg);
		return 0;
	case OPT_QUORUM:
		if (cli_u64_parse(arg, WITNESSES_MAX, &c->quorum) != SLK_OK || c->quorum == 0)
			argp_error(state, "--quorum is 1 to %u", WITNESSES_MAX);
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	case ARGP_KEY_END:
		check(c, state);
		return 0;
	default:
		return parse_key(key, arg, c);
	}
}

static const struct argp_option options[] = {
	{"out", OPT_OUT, "DIR", 0, "Where the protocol goes; must not be there yet", 1},
	{"witness", OPT_WITNESS, "NAME", 0,
		"Who is there; once for each. Without it they are prompted for, and each types the "
		"check value that she sees",
		1},
	{"quorum", OPT_QUORUM, "N", 0, "How many have to be there (2)", 1},
	{"key", OPT_KEY, "KEY", 0, "Witness a key that is there, instead of making one", 1},
	{"alias", OPT_ALIAS, "ALIAS", 0, "A name for the new key", 1},
	{"description", OPT_DESCRIPTION, "TEXT", 0, "What it is for", 1},
	{"spec", OPT_SPEC, "SPEC", 0, "As in 'sealock key create'", 1},
	{"usage", OPT_USAGE, "USAGE", 0, "As in 'sealock key create'", 1},
	{0},
};

int
cli_hsm_ceremony(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {options, parse, NULL,
		"Make a master key before witnesses, and write a protocol that the appliance "
		"signs: "
		"who was there, when, the token's serial and firmware, the key's attributes and "
		"check values, and the quorum. The self-tests run first. For administrators; the "
		"token is initialised before, by 'sealock hsm init'.\v"
		"Example:\n"
		"  sealock hsm ceremony --out ceremony-web --alias alias/web --quorum 3\n"
		"  sealock hsm ceremony --out c2 --key alias/web --witness 'A. Ames' --witness 'B. "
		"Boe'\n"
		"\n"
		"protocol.txt has a line for each witness to sign on paper. docs/ceremony.md says "
		"how "
		"to check the signature with openssl(1).",
		cli_common_children, NULL, NULL};
	struct ceremony c = {
		.cli = cli, .quorum = QUORUM_DEFAULT, .bundle = {.dir_fd = -1, .fd = -1}};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &c);
	cli->kms_timeout_ms = CREATE_TIMEOUT_MS;
	c.kms = cli_kms(cli, &err);
	int rc = c.kms == NULL ? err.status : hold(&c, &err);
	if (rc == SLK_OK && cli->json) {
		yajl_gen json = cli_json_begin(cli->out, false);
		json_protocol(json, &c);
		cli_json_end(json);
	} else if (rc == SLK_OK) {
		text_protocol(cli->out, &c);
	}
	cli_bundle_fini(&c.bundle);
	cli_proposals_forget(&c.facts);
	return rc == SLK_OK ? CLI_EXIT_OK : cli_fail(cli, &err);
}
