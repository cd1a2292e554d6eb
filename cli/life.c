/* sealock key create | enable | disable | update | schedule-deletion | cancel-deletion | orphans */
#include "life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "shapes.h"
#include "text.h"
#include "usage.h"

#define CREATE_TIMEOUT_MS \
	30000u /* as long as kmsd lets one wait: a token takes seconds over RSA_4096 */
#define PAGE_ORPHANS 50u

/* --- create --- */

/* alias: one that may not lead to the key. */
static void
print_key(
	struct cli *cli, yajl_gen json, const struct kmsc_key *key, const struct kmsc_alias *alias)
{
	if (cli->json)
		cli_shape_key(json, key, alias, 1);
	else
		cli_shape_key_text(cli->out, key, alias, 1);
}

/* Under its alias, if it was given one. */
static int
name_key(struct cli_life_args *args, struct kmsc *kms, const struct kmsc_key *key,
	struct kmsc_alias *out_alias, struct slk_error *err)
{
	if (args->alias == NULL)
		return SLK_OK;
	int rc = kmsc_create_alias(kms, args->alias, key->id, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(err, "key %s was created, but not its alias", key->id);
	snprintf(out_alias->name, sizeof(out_alias->name), "%s", args->alias);
	snprintf(out_alias->key_id, sizeof(out_alias->key_id), "%s", key->id);
	return SLK_OK;
}

static int
create(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_alias alias = {0};
	struct kmsc_key key;
	char *policy = NULL;

	int rc = args->policy != NULL ? cli_document_read(args->policy, POL_RESOURCE, &policy, err)
				      : SLK_OK;
	const struct kmsc_key_kind kind = {.description = args->description,
		.spec = args->spec,
		.usage = args->usage,
		.tags = args->tags.list,
		.tags_count = args->tags.count,
		.policy = policy,
		.bypass_lockout_check = args->bypass};
	if (rc == SLK_OK)
		rc = kmsc_create_key_with(kms, &kind, &key, err);
	free(policy);
	if (rc == SLK_OK)
		rc = name_key(args, kms, &key, &alias, err);
	if (rc == SLK_OK)
		print_key(args->cli, json, &key, &alias);
	return rc;
}

int
cli_key_create(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"alias", CLI_LIFE_OPT_ALIAS, "ALIAS", 0, "A name for the key, alias/NAME", 1},
		{"description", CLI_LIFE_OPT_DESCRIPTION, "TEXT", 0, "What the key is for", 1},
		{"spec", CLI_LIFE_OPT_SPEC, "SPEC", 0,
			"SYMMETRIC_DEFAULT (the default: AES-256-GCM, rotates), RSA_2048, "
			"RSA_3072, "
			"RSA_4096, ECC_NIST_P256, ECC_NIST_P384 or ECC_NIST_P521",
			1},
		{"usage", CLI_LIFE_OPT_USAGE, "USAGE", 0,
			"ENCRYPT_DECRYPT or SIGN_VERIFY; RSA keys have one of the two, ECC keys "
			"the "
			"second, and both need to be told",
			1},
		{"tag", CLI_LIFE_OPT_TAG, "NAME=VALUE", 0,
			"A tag; may be given more than once, up to 50", 1},
		{"policy", CLI_LIFE_OPT_POLICY, "FILE", 0,
			"Who may use the key, instead of whom the account lets; '-' reads stdin "
			"(see 'sealock key policy put')",
			1},
		{"bypass-lockout-check", CLI_LIFE_OPT_BYPASS, 0, 0,
			"Take also a policy under which you could not put another one", 1},
		{0},
	};
	static const struct argp argp = {options, cli_life_parse, NULL,
		"Create a master key (CMK). Its material is made inside the HSM and never leaves "
		"it.\v"
		"Example:\n"
		"  sealock key create --alias alias/web --description \"access logs\"\n"
		"  sealock key create --alias alias/release --spec ECC_NIST_P256 --usage "
		"SIGN_VERIFY "
		"\\\n"
		"    --tag team=build\n"
		"\n"
		"The id that is printed, the ARN and the alias all name the key in other commands.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli};

	cli_parse(&argp, argc, argv, &args);
	cli->kms_timeout_ms = CREATE_TIMEOUT_MS;
	return cli_life_run(&args, create);
}

/* --- enable, disable, update --- */

static void
said(const struct cli_life_args *args, yajl_gen json, const char *name, const char *value,
	const char *sentence)
{
	cli_json_map(json);
	cli_json_str(json, "key", args->key_id);
	cli_json_str(json, name, value);
	cli_json_map_end(json);
	if (args->cli->json)
		return;
	cli_out_text(args->cli->out, "key ");
	cli_out_safe(args->cli->out, slk_span_str(args->key_id));
	cli_out_printf(args->cli->out, " %s\n", sentence);
}

static int
enable(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_enable_key(kms, args->key_id, err);

	if (rc == SLK_OK)
		said(args, json, "state", "Enabled", "is enabled");
	return rc;
}

int
cli_key_enable(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY",
		"Let a master key be used again that was disabled. KEY is its id, its ARN, or an "
		"alias.\v"
		"Example:\n"
		"  sealock key enable alias/web\n"
		"\n"
		"A key that waits for its deletion is taken back first: 'sealock key "
		"cancel-deletion'.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, enable);
}

static int
disable(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_disable_key(kms, args->key_id, err);

	if (rc == SLK_OK)
		said(args, json, "state", "Disabled", "is disabled");
	return rc;
}

int
cli_key_disable(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY",
		"Let nobody use a master key until it is enabled again. Nothing is lost: what it "
		"wrapped stays wrapped. Streams under it seal until their data key of the moment "
		"ends (five minutes at most), then refuse records; their readers are refused as "
		"soon "
		"as the keys that they hold end.\v"
		"Example:\n"
		"  sealock key disable alias/web\n"
		"  sealock key describe alias/web --json | jq .streams   # who would notice",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, disable);
}

static int
update(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	int rc = kmsc_update_key_description(kms, args->key_id, args->description, err);

	if (rc == SLK_OK)
		said(args, json, "description", args->description,
			args->description[0] != '\0' ? "has another description"
						     : "has no description any more");
	return rc;
}

int
cli_key_update(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"description", CLI_LIFE_OPT_DESCRIPTION, "TEXT", 0,
			"What the key is for, up to 8192 characters; \"\" for nothing", 1},
		{0},
	};
	static const struct argp argp = {options, cli_life_parse, "KEY",
		"Describe a master key anew. KEY is its id, its ARN, or an alias.\v"
		"Example:\n"
		"  sealock key update alias/web --description \"access logs, until 2027\"\n"
		"\n"
		"Its aliases are changed with 'sealock alias', its tags with 'sealock key tag'.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY, .description_needed = true};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, update);
}

/* --- deletion --- */

static void
print_deletion(struct cli *cli, yajl_gen json, const struct kmsc_key *key)
{
	if (cli->json)
		cli_shape_deletion(json, key);
	else
		cli_shape_deletion_text(cli->out, key);
	(void)cli_out_flush(
		cli->out); /* before what is said about it; cli_finish() sees a failure */
}

static void
warn_of_deletion(const struct kmsc_key *key)
{
	char when[CLI_TIME_MAX];

	cli_time_second(key->deletion_ns, when);
	cli_note("key %s will be destroyed at %s or later; until then 'sealock key cancel-deletion "
		 "%s' takes it back",
		key->id, when, key->id);
	if (key->streams_count > 0)
		cli_note("%llu stream%s seal%s under this key: from now on %s no new data key, and "
			 "when the key is gone, nobody can read what %s. 'sealock key rewrap --to "
			 "KEY' moves a journal to another key",
			(unsigned long long)key->streams_count, key->streams_count == 1 ? "" : "s",
			key->streams_count == 1 ? "s" : "",
			key->streams_count == 1 ? "it gets" : "they get",
			key->streams_count == 1 ? "it holds" : "they hold");
}

static int
schedule_deletion(
	struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_key key;

	int rc = kmsc_schedule_key_deletion(kms, args->key_id, args->days, &key, err);
	if (rc != SLK_OK)
		return rc;
	print_deletion(args->cli, json, &key);
	warn_of_deletion(&key);
	cli_usage_warn(args->cli->journal_dir, key.id);
	return SLK_OK;
}

int
cli_key_schedule_deletion(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"days", CLI_LIFE_OPT_DAYS, "N", 0, "How long to wait, 7 to 30 days (30)", 1},
		{0},
	};
	static const struct argp argp = {options, cli_life_parse, "KEY",
		"Destroy a master key, after days in which it does nothing and can still be taken "
		"back. The days pass by the wall clock and in kmsd's uptime both. When it is gone, "
		"whatever it wrapped cannot be read by anybody, ever: blobs, data keys, and the "
		"records of its streams.\v"
		"Example:\n"
		"  sealock key schedule-deletion alias/old --days 7\n"
		"  sealock key cancel-deletion alias/old\n"
		"\n"
		"To only stop its use, 'sealock key disable' it. To keep the records of a journal, "
		"'sealock key rewrap' them first.",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli,
		.wants = CLI_LIFE_KEY,
		.days_min = CLI_DELETION_DAYS_MIN,
		.days_max = CLI_DELETION_DAYS_MAX};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, schedule_deletion);
}

static int
cancel_deletion(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_key key;

	int rc = kmsc_cancel_key_deletion(kms, args->key_id, &key, err);
	if (rc != SLK_OK)
		return rc;
	print_deletion(args->cli, json, &key);
	cli_note("key %s stays, and is disabled: 'sealock key enable %s'", key.id, key.id);
	return SLK_OK;
}

int
cli_key_cancel_deletion(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, "KEY",
		"Take back the deletion of a master key while it waits. The key is disabled then.\v"
		"Example:\n"
		"  sealock key cancel-deletion alias/old\n"
		"  sealock key enable alias/old",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli, .wants = CLI_LIFE_KEY};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, cancel_deletion);
}

/* --- orphans --- */

static size_t
print_orphans(struct cli *cli, yajl_gen json, const struct kmsc_orphan *orphans, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *kind = orphans[i].is_pair ? "key pair" : "AES key";
		cli_json_map(json);
		cli_json_str(json, "backing_id", orphans[i].backing_id);
		cli_json_str(json, "kind", kind);
		cli_json_map_end(json);
		if (!cli->json) {
			cli_out_safe(cli->out, slk_span_str(orphans[i].backing_id));
			cli_out_printf(cli->out, "  %s\n", kind);
		}
	}
	return count;
}

static int
orphans(struct cli_life_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_orphan page[PAGE_ORPHANS];
	char marker[KMSC_MARKER_MAX] = "";
	size_t total = 0;

	cli_json_map(json);
	cli_json_key(json, "orphans");
	cli_json_array(json);
	do {
		char next[KMSC_MARKER_MAX] = "";
		size_t count = 0;
		int rc = kmsc_list_orphans(kms, marker, page, PAGE_ORPHANS, &count, next, err);
		if (rc != SLK_OK)
			return rc;
		total += print_orphans(args->cli, json, page, count);
		memcpy(marker, next, sizeof(marker));
	} while (marker[0] != '\0');
	cli_json_array_end(json);
	cli_json_map_end(json);
	if (!args->cli->json && total == 0)
		cli_note("no object of the token is without a key");
	return SLK_OK;
}

int
cli_key_orphans(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, cli_life_parse, NULL,
		"List what lies on the token under the appliance's label and belongs to no key of "
		"the catalog, by CKA_ID. It is never removed by itself: an older catalog that was "
		"put back does not know the newest keys.\v"
		"Example:\n"
		"  sealock key orphans --json | jq -r '.orphans[].backing_id'",
		cli_common_children, NULL, NULL};
	struct cli_life_args args = {.cli = cli};

	cli_parse(&argp, argc, argv, &args);
	return cli_life_run(&args, orphans);
}
