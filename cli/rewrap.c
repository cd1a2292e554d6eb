#include "rewrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attest.h"
#include "cli.h"
#include "format/uuid.h"
#include "journal/inspect.h"
#include "rewrap_plan.h"
#include "rewrap_run.h"
#include "sidefiles.h"

enum { OPT_FROM = 'f', OPT_TO = 't', OPT_DRY_RUN = 'n', OPT_ATTESTATION = 'A' };

struct rewrap {
	struct cli *cli;
	const char *from, *to, *attestation_file;
	bool dry_run;

	struct kmsc_key target;
	struct seal_attest_keys *trusted;
	struct jnl_rewraps *rewraps;
	struct cli_rewrap_plan plan;
	struct cli_rewrap_run *run; /* NULL: only counting */
	struct slk_error *err; /* of the walk */
	struct cli_rewrap_totals totals;
	uint64_t total; /* distinct epochs that are to be wrapped anew */
	uint64_t damaged;
	char (*files)[FMT_REWRAP_NAME_MAX];
	size_t file_count;
};

static error_t
parse_rewrap(int key, char *arg, struct argp_state *state)
{
	struct rewrap *r = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = r->cli;
		return 0;
	case OPT_FROM:
		r->from = arg;
		return 0;
	case OPT_TO:
		r->to = arg;
		return 0;
	case OPT_DRY_RUN:
		r->dry_run = true;
		return 0;
	case OPT_ATTESTATION:
		r->attestation_file = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "'%s' is too much; keys are named by --from and --to", arg);
		return 0;
	case ARGP_KEY_END:
		if (r->to == NULL)
			argp_error(state, "--to KEY is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- what is asked before --- */

static int
describe(void *ctx, const char *arn, struct kmsc_key *out_key)
{
	struct slk_error ignored;
	struct kmsc *kms = cli_kms(ctx, &ignored);

	return kms == NULL ? SLK_NO_MEMORY : kmsc_describe_key(kms, arn, out_key, &ignored);
}

static int
find_keys(struct rewrap *r, struct slk_error *err)
{
	struct kmsc *kms = cli_kms(r->cli, err);
	struct kmsc_key from;

	if (kms == NULL)
		return SLK_NO_MEMORY;
	int rc = kmsc_describe_key(kms, r->to, &r->target, err);
	if (rc != SLK_OK)
		return rc;
	if (strcmp(r->target.spec, "SYMMETRIC_DEFAULT") != 0)
		return slk_fail(err, SLK_INVALID,
			"%s is a key of %s; epoch keys are wrapped under SYMMETRIC_DEFAULT only",
			r->target.arn, r->target.spec);
	if (strcmp(r->target.state, "Enabled") != 0)
		return slk_fail(err, SLK_INVALID_STATE, "the key %s is %s; it must be Enabled",
			r->target.arn, r->target.state);
	if (cli_rewrap_plan_target(&r->plan, &r->target) != SLK_OK)
		return slk_fail(err, SLK_UNSUPPORTED,
			"kmsd does not tell the current key material of %s; it may be of an older "
			"release",
			r->target.arn);
	if (r->from == NULL)
		return SLK_OK;
	rc = kmsc_describe_key(kms, r->from, &from, err);
	if (rc != SLK_OK)
		return rc;
	r->plan.has_from = true;
	if (fmt_uuid_parse(from.id, r->plan.from_id) != SLK_OK)
		return slk_fail(err, SLK_INTERNAL, "kmsd names the key %s by no UUID", from.arn);
	return SLK_OK;
}

static int
load(struct rewrap *r, void (*seen)(void *, const struct jnl_rewrap_file *), struct slk_error *err)
{
	const struct jnl_rewraps_config config = {.dir = r->cli->journal_dir,
		.trusted = r->trusted,
		.any_stream = true,
		.seen = seen};

	return jnl_rewraps_new(&config, &r->rewraps, err);
}

/* Side files are believed only if the appliance signed them: a forged one must not lend a wrong key a new signature. A dry
 * run without side files asks for no signature, so that it leaves nothing behind. */
static int
load_side_files(struct rewrap *r, struct slk_error *err)
{
	struct kmsc_attestation attestation;
	char pem[SEAL_ATTEST_PEM_MAX];

	if (r->dry_run) {
		int rc = load(r, NULL, err);
		if (rc != SLK_OK || jnl_rewraps_count(r->rewraps) == 0)
			return rc;
		jnl_rewraps_free(r->rewraps);
		r->rewraps = NULL;
	}
	int rc = cli_attest_identify(r->cli, &attestation, pem, err);
	if (rc != SLK_OK)
		return slk_fail_prefix(
			err, "the appliance's signature for the side file cannot be had");
	rc = cli_attestation_keys(r->attestation_file, pem, &r->trusted, err);
	return rc == SLK_OK ? load(r, cli_sidefile_note, err) : rc;
}

/* --- the walk over all key blocks --- */

static int
each_epoch(void *arg, const struct jnl_epoch_info *info)
{
	struct rewrap *r = arg;
	enum cli_rewrap_class class;
	int rc = cli_rewrap_plan_look(&r->plan, info, &class);

	if (rc == SLK_EXISTS)
		return SLK_OK;
	if (rc != SLK_OK)
		return slk_fail(r->err, rc, "cannot plan for epoch %016llx: %s",
			(unsigned long long)info->epoch_id, slk_status_sentence(rc));
	if (r->run == NULL || class != CLI_REWRAP_TODO)
		return SLK_OK;
	return cli_rewrap_run_add(r->run, info, r->err);
}

static void
damaged(void *arg, const char *name, const struct slk_error *why)
{
	struct rewrap *r = arg;

	if (r->run != NULL) /* it was told when they were counted */
		return;
	cli_note("%s: %s", name, why->text);
	r->damaged++;
}

static int
walk(struct rewrap *r, struct slk_error *err)
{
	r->err = err;
	cli_rewrap_plan_again(&r->plan);
	return jnl_list_epochs(r->cli->journal_dir, NULL, each_epoch, damaged, r, err);
}

/* --- doing it --- */

static void
wrote(void *arg, const char *name, uint32_t count)
{
	struct rewrap *r = arg;
	void *bigger = realloc(r->files, (r->file_count + 1) * sizeof(*r->files));

	(void)count;
	if (bigger == NULL) /* the file is there; only its name is not shown */
		return;
	r->files = bigger;
	(void)snprintf(r->files[r->file_count++], sizeof(r->files[0]), "%s", name);
}

static void
failed(void *arg, const struct slk_error *err)
{
	(void)arg;
	cli_note("%s", err->text);
}

static int
carry_out(struct rewrap *r, struct slk_error *err)
{
	const struct cli_rewrap_run_config config = {.cli = r->cli,
		.plan = &r->plan,
		.rewraps = r->rewraps,
		.trusted = r->trusted,
		.to_arn = r->target.arn,
		.total = r->plan.counts[CLI_REWRAP_TODO],
		.wrote = wrote,
		.failed = failed,
		.arg = r};
	struct slk_error later = {0};

	int rc = cli_rewrap_run_new(&config, &r->run, err);
	if (rc != SLK_OK)
		return rc;
	cli_catch_stop();
	rc = walk(r, err);
	int finished = cli_rewrap_run_finish(r->run, rc != SLK_OK, rc == SLK_OK ? err : &later);
	if (rc != SLK_OK && finished != SLK_OK)
		cli_note("%s", later.text);
	r->totals = cli_rewrap_run_totals(r->run);
	cli_rewrap_run_free(r->run);
	r->run = NULL;
	return rc != SLK_OK ? rc : finished;
}

/* --- what came of it --- */

static uint64_t
epochs_in_all(const struct rewrap *r)
{
	uint64_t all = 0;

	for (int i = 0; i < CLI_REWRAP_CLASSES; i++)
		all += r->plan.counts[i];
	return all;
}

static void
json_report(const struct rewrap *r)
{
	yajl_gen json = cli_json_begin(r->cli->out, false);

	cli_json_map(json);
	cli_json_bool(json, "dry_run", r->dry_run);
	cli_json_str(json, "to", r->target.arn);
	cli_json_u64(json, "epochs", epochs_in_all(r));
	cli_json_u64(json, "todo", r->total);
	cli_json_u64(json, "rewrapped", r->totals.done);
	cli_json_u64(json, "failed", r->totals.failed);
	cli_json_u64(json, "current", r->plan.counts[CLI_REWRAP_CURRENT]);
	cli_json_u64(json, "other_keys", r->plan.counts[CLI_REWRAP_OTHER_KEY]);
	cli_json_u64(json, "without_sse", r->plan.counts[CLI_REWRAP_NO_SSE]);
	cli_json_u64(json, "damaged", r->damaged);
	cli_json_key(json, "from");
	cli_json_array(json);
	for (size_t i = 0; i < r->plan.source_count; i++) {
		const struct cli_rewrap_source *s = &r->plan.sources[i];
		if (s->epochs == 0)
			continue;
		cli_json_map(json);
		cli_json_str(json, "key_arn", s->arn);
		cli_json_str(json, "state", s->state);
		cli_json_u64(json, "epochs", s->epochs);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
	cli_json_key(json, "files");
	cli_json_array(json);
	for (size_t i = 0; i < r->file_count; i++)
		cli_json_text(json, r->files[i]);
	cli_json_array_end(json);
	cli_json_map_end(json);
	cli_json_end(json);
}

static void
line(struct cli_out *out, uint64_t count, const char *what)
{
	if (count > 0)
		cli_out_printf(out, "%10llu %s\n", (unsigned long long)count, what);
}

static void
text_report(const struct rewrap *r)
{
	struct cli_out *out = r->cli->out;

	cli_out_printf(out, "epochs in %s: %llu\n", r->cli->journal_dir,
		(unsigned long long)epochs_in_all(r));
	line(out, r->dry_run ? r->total : 0, "to be wrapped anew");
	line(out, r->totals.done, "wrapped anew");
	line(out, r->totals.failed, "refused, see above");
	line(out, r->plan.counts[CLI_REWRAP_CURRENT],
		"under the current material of the key already");
	line(out, r->plan.counts[CLI_REWRAP_OTHER_KEY], "under other keys, left alone");
	line(out, r->plan.counts[CLI_REWRAP_NO_SSE],
		"of streams without SSE-KMS, left under the appliance's key");
	for (size_t i = 0; i < r->plan.source_count; i++)
		if (r->plan.sources[i].epochs > 0)
			cli_out_printf(out, "from %s (%s): %llu\n", r->plan.sources[i].arn,
				r->plan.sources[i].state[0] != '\0' ? r->plan.sources[i].state
								    : "not to be asked",
				(unsigned long long)r->plan.sources[i].epochs);
	for (size_t i = 0; i < r->file_count; i++)
		cli_out_printf(out, "wrote %s\n", r->files[i]);
}

static int
rewrap(struct rewrap *r, struct slk_error *err)
{
	int rc = find_keys(r, err);

	if (rc == SLK_OK)
		rc = load_side_files(r, err);
	if (rc != SLK_OK)
		return rc;
	r->plan.rewraps = r->rewraps;
	rc = walk(r, err);
	r->total = r->plan.counts[CLI_REWRAP_TODO];
	if (rc == SLK_OK && !r->dry_run && r->total > 0)
		rc = carry_out(r, err);
	return rc;
}

int
cli_rewrap(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"to", OPT_TO, "KEY", 0, "Wrap under the current material of this key", 1},
		{"from", OPT_FROM, "KEY", 0, "Only epochs that lie under this key now", 1},
		{"dry-run", OPT_DRY_RUN, 0, 0, "Only say what would be done", 1},
		CLI_ATTESTATION_OPTION(OPT_ATTESTATION),
		{0},
	};
	static const struct argp argp = {options, parse_rewrap, NULL,
		"Wrap the epoch keys of a journal anew: under another master key, or under newer "
		"material "
		"of the same. The keys are re-encrypted inside the HSM host; the journal's files "
		"stay as "
		"they are, and a signed side file beside them holds the new wraps, which readers "
		"then use.\v"
		"Examples:\n"
		"  sealock key rewrap --to alias/web                 (after a rotation)\n"
		"  sealock key rewrap --from alias/old --to alias/new --dry-run\n"
		"\n"
		"You need kms:DescribeKey, kms:ReEncryptFrom on the old key, kms:ReEncryptTo on "
		"the new "
		"one, to be an administrator (the side file is signed by the appliance), and write "
		"access "
		"to the journal's directory. A run that was interrupted is simply started again. "
		"Streams "
		"without SSE-KMS stay under the appliance's own key, unless it is named by --to.\n"
		"\n"
		"Before a key is deleted: streams that still take new keys from it have to move "
		"first; then "
		"wrap anew; then let somebody who has kms:Decrypt on the new key only run 'sealock "
		"journal "
		"verify --with-keys'. Copies of the journal need the side files, too.\n"
		"\n"
		"Exit status 1: refused, stopped, or not every epoch could be wrapped anew.",
		cli_common_children, NULL, NULL};
	struct rewrap r = {.cli = cli, .plan = {.describe = describe, .ctx = cli}};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &r);
	int rc = rewrap(&r, &err);
	/* What is on the disk is told also when the rest failed. */
	if (rc == SLK_OK || r.totals.done > 0) {
		if (cli->json)
			json_report(&r);
		else
			text_report(&r);
	}
	bool complete = r.totals.failed == 0 && r.damaged == 0;
	free(r.files);
	cli_rewrap_plan_fini(&r.plan);
	jnl_rewraps_free(r.rewraps);
	seal_attest_keys_free(r.trusted);
	if (rc != SLK_OK)
		return cli_fail(cli, &err);
	return complete ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}
