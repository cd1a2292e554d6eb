/* sealock key list | describe, and the table of all that can be done with a key */
#include "cli.h"

#include "attest.h"
#include "rewrap.h"

#include <stdlib.h>
#include <string.h>

#include "crypt.h"
#include "iam.h"
#include "keyname.h"
#include "life.h"
#include "shapes.h"

#define PAGE_KEYS 64u

struct key_args {
	struct cli *cli;
	const char *key; /* describe */
};

static void
print_key(struct cli *cli, const struct kmsc_key *key, const struct kmsc_alias *aliases,
	size_t alias_count)
{
	if (!cli->json) {
		cli_shape_key_text(cli->out, key, aliases, alias_count);
		return;
	}
	yajl_gen json = cli_json_begin(cli->out, false);
	cli_shape_key(json, key, aliases, alias_count);
	cli_json_end(json);
}

/* A list has ids and ARNs only. To describe a key is a right of its own: without it the rest stays
 * empty. */
static int
describe_listed(struct kmsc *kms, struct kmsc_key *key, struct slk_error *err)
{
	struct kmsc_key whole;
	int rc = kmsc_describe_key(kms, key->id, &whole, err);

	if (rc == SLK_OK)
		*key = whole;
	return rc == SLK_DENIED || rc == SLK_NOT_FOUND ? SLK_OK : rc;
}

/* Calls print for every key; stops at the first failure. */
static int
each_key(struct kmsc *kms, void (*print)(void *arg, const struct kmsc_key *key), void *arg,
	struct slk_error *err)
{
	struct kmsc_key *keys = calloc(PAGE_KEYS, sizeof(*keys));
	char marker[64] = "";
	int rc = keys == NULL ? slk_fail(err, SLK_NO_MEMORY, "no memory for the list of keys")
			      : SLK_OK;

	while (rc == SLK_OK) {
		char next[sizeof(marker)] = "";
		size_t count = 0;
		rc = kmsc_list_keys(kms, marker, keys, PAGE_KEYS, &count, next, err);
		for (size_t i = 0; rc == SLK_OK && i < count; i++) {
			rc = describe_listed(kms, &keys[i], err);
			if (rc == SLK_OK)
				print(arg, &keys[i]);
		}
		if (next[0] == '\0')
			break;
		memcpy(marker, next, sizeof(marker));
	}
	free(keys);
	return rc;
}

struct key_printer {
	struct cli *cli;
	yajl_gen json;
	const struct kmsc_alias *aliases;
	size_t alias_count;
	size_t printed;
};

static void
print_listed(void *arg, const struct kmsc_key *key)
{
	struct key_printer *p = arg;

	if (p->json != NULL)
		cli_shape_key(p->json, key, p->aliases, p->alias_count);
	else
		cli_shape_key_row(p->cli->out, key, p->aliases, p->alias_count, p->printed == 0);
	p->printed++;
}

static error_t
parse_nothing(int key, char *arg, struct argp_state *state)
{
	struct key_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int
list(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse_nothing, NULL,
		"List the master keys that you may see, with their aliases and states.\v"
		"Example:\n"
		"  sealock key list --json | jq -r '.keys[].id'",
		cli_common_children, NULL, NULL};
	struct key_args args = {.cli = cli};
	struct slk_error err = {0};
	struct kmsc_alias *aliases = NULL;
	size_t alias_count = 0;

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL || cli_keyname_aliases(kms, NULL, &aliases, &alias_count, &err) != SLK_OK)
		return cli_fail(cli, &err);
	struct key_printer p = {cli, NULL, aliases, alias_count, 0};
	if (cli->json) {
		p.json = cli_json_begin(cli->out, false);
		cli_json_map(p.json);
		cli_json_key(p.json, "keys");
		cli_json_array(p.json);
	}
	int rc = each_key(kms, print_listed, &p, &err);
	if (rc == SLK_OK) {
		cli_json_array_end(p.json);
		cli_json_map_end(p.json);
	}
	cli_json_end(p.json);
	free(aliases);
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	if (!cli->json && p.printed == 0)
		cli_note("there is no key yet: make one with 'sealock key create --alias "
			 "alias/NAME'");
	return CLI_EXIT_OK;
}

static error_t
parse_describe(int key, char *arg, struct argp_state *state)
{
	struct key_args *args = state->input;

	if (key == ARGP_KEY_ARG && args->key == NULL) {
		args->key = arg;
		return 0;
	}
	if (key == ARGP_KEY_NO_ARGS) {
		argp_error(state, "KEY is missing");
		return 0;
	}
	return parse_nothing(key, arg, state);
}

static int
describe(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse_describe, "KEY",
		"Describe a master key. KEY is its id, its ARN, or an alias (alias/NAME).\v"
		"Example:\n"
		"  sealock key describe alias/web",
		cli_common_children, NULL, NULL};
	struct key_args args = {.cli = cli};
	struct slk_error err = {0};
	struct kmsc_key key;
	struct kmsc_alias *aliases = NULL;
	size_t alias_count = 0;

	cli_parse(&argp, argc, argv, &args);
	struct kmsc *kms = cli_kms(cli, &err);
	if (kms == NULL || kmsc_describe_key(kms, args.key, &key, &err) != SLK_OK)
		return cli_fail(cli, &err);
	/* Listing aliases is a right of its own; a key is described without it. */
	if (cli_keyname_aliases(kms, key.id, &aliases, &alias_count, &err) != SLK_OK &&
		err.status != SLK_DENIED)
		return cli_fail(cli, &err);
	print_key(cli, &key, aliases, alias_count);
	free(aliases);
	return CLI_EXIT_OK;
}

int
cli_key(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"create", "make a key inside the HSM", cli_key_create},
		{"list", "list the keys", list},
		{"describe", "say what a key is and how it is", describe},
		{"update", "describe a key anew", cli_key_update},
		{"enable", "let a key be used again", cli_key_enable},
		{"disable", "let nobody use a key for now", cli_key_disable},
		{"rotate", "give a key new material at once", cli_key_rotate},
		{"rotation", "how a key rotates, by period and so far", cli_key_rotation},
		{"tag", "tag a key", cli_key_tag},
		{"untag", "take tags from a key", cli_key_untag},
		{"tags", "list the tags of a key", cli_key_tags},
		{"usage", "what hangs on a key: epochs, records, bytes", cli_key_usage},
		{"schedule-deletion", "destroy a key, in 7 to 30 days", cli_key_schedule_deletion},
		{"cancel-deletion", "keep a key that was to be destroyed", cli_key_cancel_deletion},
		{"orphans", "list what the token holds beside the keys", cli_key_orphans},
		{"encrypt", "encrypt a few bytes", cli_key_encrypt},
		{"decrypt", "decrypt them", cli_key_decrypt},
		{"re-encrypt", "move a ciphertext to another key", cli_key_re_encrypt},
		{"data-key", "draw a data key, encrypted", cli_key_data_key},
		{"random", "draw random bytes from the HSM", cli_key_random},
		{"sign", "sign a message or a digest", cli_key_sign},
		{"verify", "check a signature", cli_key_verify},
		{"public-key", "export the public half of a key pair", cli_key_public},
		{"reference", "write a PEM file that names a key pair", cli_key_reference},
		{"data", "data keys that programs name by a handle", cli_key_data},
		{"policy", "who may use a key, as the key has it", cli_key_policy},
		{"grant", "rights on a key for one principal", cli_key_grant},
		{"rewrap", "wrap the keys of a journal under another key", cli_rewrap},
		{"attestation-key", "print the key with which the appliance signs",
			cli_attestation_key},
		{0},
	};

	return cli_dispatch(cli, verbs, "Master keys (CMKs): made in the HSM, never outside of it.",
		"Example:\n"
		"  sealock key create --alias alias/web\n"
		"  sealock key describe alias/web",
		argc, argv);
}
