/* sealock journal ls | verify: the sealed files, as they lie on the disk. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "format/context.h"
#include "journal/inspect.h"
#include "journal/mirror.h"
#include "salvage.h"
#include "sidefiles.h"
#include "text.h"

struct journal_args {
	struct cli *cli;
	bool with_keys;
	bool salvaged;
	const char *mirror; /* the other directory of a pair */
	const char *attestation_file;
};

enum { OPT_WITH_KEYS = 'k', OPT_ATTESTATION = 'A', OPT_SALVAGED = 'S', OPT_MIRROR = 'm' };

static error_t
parse_journal(int key, char *arg, struct argp_state *state)
{
	struct journal_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_WITH_KEYS:
		args->with_keys = true;
		return 0;
	case OPT_MIRROR:
		args->mirror = arg;
		return 0;
	case OPT_SALVAGED:
		args->salvaged = true;
		return 0;
	case OPT_ATTESTATION:
		args->attestation_file = arg;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(
			state, "'%s' is too much; another journal is named by --journal DIR", arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void
id_text(uint64_t id, char out[17])
{
	snprintf(out, 17, "%016llx", (unsigned long long)id);
}

static const char *
state_name(const struct jnl_file_info *file)
{
	return !file->closed ? "open" : file->closed_by_recovery ? "recovered" : "closed";
}

/* --- ls --- */

struct lister {
	struct cli *cli;
	yajl_gen json;
	uint64_t files;
	uint64_t side_files;
	uint64_t damaged;
};

static void
json_shards(yajl_gen json, const struct jnl_file_info *file)
{
	cli_json_key(json, "shards");
	cli_json_array(json);
	for (uint32_t i = 0; i < file->shard_count; i++) {
		const struct jnl_shard_info *s = &file->shards[i];
		cli_json_map(json);
		cli_json_u64(json, "stream_id", s->stream_id);
		cli_json_u64(json, "shard", s->shard);
		cli_json_u64(json, "blocks", s->blocks);
		cli_json_u64(json, "first_sequence", s->first_sequence);
		cli_json_u64(json, "next_sequence", s->next_sequence);
		cli_json_time(json, "first_arrival", s->first_arrival_ns);
		cli_json_time(json, "last_arrival", s->last_arrival_ns);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_epochs(yajl_gen json, const struct jnl_file_info *file)
{
	cli_json_key(json, "epochs");
	cli_json_array(json);
	for (uint32_t i = 0; i < file->epoch_count; i++) {
		const struct jnl_epoch_info *e = &file->epochs[i];
		char id[17];
		id_text(e->epoch_id, id);
		cli_json_map(json);
		cli_json_str(json, "id", id);
		cli_json_u64(json, "stream_id", e->stream_id);
		cli_json_str(json, "stream_arn", e->stream_arn);
		cli_json_str(json, "key_arn", e->key_arn);
		cli_json_map_end(json);
	}
	cli_json_array_end(json);
}

static void
json_file(yajl_gen json, const struct jnl_file_info *file)
{
	cli_json_map(json);
	cli_json_str(json, "name", file->name);
	cli_json_u64(json, "id", file->file_id);
	cli_json_u64(json, "lane", file->lane);
	cli_json_time(json, "created", file->created_ns);
	cli_json_str(json, "state", state_name(file));
	cli_json_u64(json, "capacity_bytes", file->capacity_bytes);
	cli_json_u64(json, "used_bytes", file->used_bytes);
	cli_json_u64(json, "blocks", file->blocks);
	cli_json_u64(json, "records", file->records);
	cli_json_u64(json, "plain_bytes", file->plain_bytes);
	json_shards(json, file);
	json_epochs(json, file);
	cli_json_map_end(json);
}

static int
list_file(void *arg, const struct jnl_file_info *file)
{
	struct lister *l = arg;
	char created[CLI_TIME_MAX];
	char used[CLI_AMOUNT_MAX];

	if (l->json != NULL) {
		json_file(l->json, file);
	} else {
		if (l->files == 0)
			cli_out_printf(l->cli->out, "%-28s %4s %-20s %-9s %10s %9s %11s %7s %7s\n",
				"FILE", "LANE", "CREATED", "STATE", "USED", "BLOCKS", "RECORDS",
				"SHARDS", "EPOCHS");
		cli_time_format(file->created_ns, created);
		cli_bytes_format(file->used_bytes, used);
		cli_out_printf(l->cli->out, "%-28s %4u %.19sZ %-9s %10s %9llu %11llu %7u %7u\n",
			file->name, file->lane, created, state_name(file), used,
			(unsigned long long)file->blocks, (unsigned long long)file->records,
			file->shard_count, file->epoch_count);
	}
	l->files++;
	return SLK_OK;
}

static void
list_damaged(void *arg, const char *name, const struct slk_error *why)
{
	struct lister *l = arg;

	cli_note("%s: %s", name, why->text);
	l->damaged++;
}

/* Side files are no lane files: a bad one is shown, and costs nothing. */
static void
list_side_file(void *arg, const struct jnl_rewrap_file *file)
{
	struct lister *l = arg;

	if (l->json != NULL)
		cli_sidefile_json(l->json, file);
	else
		cli_sidefile_row(l->cli->out, file, l->side_files == 0);
	l->side_files++;
}

static int
list_all(struct lister *l, const char *attestation_file, struct slk_error *err)
{
	struct seal_attest_keys *trusted = NULL;
	struct jnl_rewraps *rewraps = NULL;
	int rc = cli_attestation_keys(attestation_file, NULL, &trusted, err);

	if (rc == SLK_OK)
		rc = jnl_list(l->cli->journal_dir, NULL, list_file, list_damaged, l, err);
	if (rc == SLK_OK) {
		const struct jnl_rewraps_config config = {.dir = l->cli->journal_dir,
			.trusted = trusted,
			.seen = list_side_file,
			.arg = l};
		cli_json_array_end(l->json);
		cli_json_key(l->json, "side_files");
		cli_json_array(l->json);
		rc = jnl_rewraps_new(&config, &rewraps, err);
	}
	jnl_rewraps_free(rewraps);
	seal_attest_keys_free(trusted);
	return rc;
}

static int
list(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		CLI_ATTESTATION_OPTION(OPT_ATTESTATION),
		{0},
	};
	static const struct argp argp = {options, parse_journal, NULL,
		"List the journal's files, and the side files of re-wrapped keys beside them. "
		"Needs read "
		"access to them (group sealock-read), and no key.\v"
		"Example:\n"
		"  sealock journal ls --json | jq '[.files[].records] | add'",
		cli_common_children, NULL, NULL};
	struct journal_args args = {.cli = cli};
	struct lister l = {.cli = cli};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	if (cli->json) {
		l.json = cli_json_begin(cli->out, false);
		cli_json_map(l.json);
		cli_json_key(l.json, "files");
		cli_json_array(l.json);
	}
	int rc = list_all(&l, args.attestation_file, &err);
	if (rc == SLK_OK) {
		cli_json_array_end(l.json);
		cli_json_u64(l.json, "damaged", l.damaged);
		cli_json_map_end(l.json);
	}
	cli_json_end(l.json);
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	if (!cli->json && l.files == 0)
		cli_note("the journal in %s has no files yet", cli->journal_dir);
	return l.damaged == 0 ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

/* --- verify --- */

struct verifier {
	struct cli *cli;
	yajl_gen json;
	struct jnl_rewraps *rewraps;
	uint64_t side_files, side_keys; /* that are used */
	uint64_t side_findings;
	uint64_t mirror_files; /* compared */
	uint64_t refused; /* how often a key was not given */
	struct slk_error why; /* the first refusal */
};

static int
decrypt(void *ctx, const struct jnl_epoch_info *info, struct slk_span wrapped,
	struct slk_secret **out_data_key, struct slk_error *err)
{
	struct fmt_context *context = NULL;
	struct kmsc *kms = cli_kms(ctx, err);

	if (kms == NULL)
		return SLK_NO_MEMORY;
	int rc = fmt_context_decode(info->context, &context);
	if (rc != SLK_OK)
		return slk_fail(err, rc,
			"the encryption context of epoch %016llx is not well formed",
			(unsigned long long)info->epoch_id);
	rc = kmsc_decrypt(kms, NULL, context, wrapped, out_data_key, NULL, err);
	fmt_context_free(context);
	return rc;
}

static int
verify_key(void *arg, const struct jnl_epoch_info *info, struct slk_secret **out_data_key)
{
	struct verifier *v = arg;
	struct slk_error err = {0};
	int rc = jnl_rewraps_data_key(v->rewraps, info, decrypt, v->cli, out_data_key, &err);

	if (rc != SLK_OK && v->refused++ == 0)
		v->why = err;
	return rc;
}

static void
verify_finding(void *arg, const struct jnl_finding *finding)
{
	struct verifier *v = arg;

	if (v->json == NULL) {
		cli_out_printf(v->cli->out, "%s at %llu: ", finding->name,
			(unsigned long long)finding->offset);
		cli_out_safe(v->cli->out, slk_span_str(finding->sentence));
		cli_out_text(v->cli->out, "\n");
		return;
	}
	cli_json_map(v->json);
	cli_json_str(v->json, "code", slk_status_name(finding->status));
	cli_json_str(v->json, "file", finding->name);
	cli_json_u64(v->json, "offset", finding->offset);
	cli_json_u64(v->json, "bytes", finding->bytes);
	cli_json_str(v->json, "message", finding->sentence);
	cli_json_map_end(v->json);
}

/* Losses go among the findings, which is what they would be without --salvaged. */
static void
verify_loss(void *arg, const struct jnl_loss *loss)
{
	struct verifier *v = arg;

	cli_loss_out(v->cli, v->json, loss);
}

static void
verify_side_file(void *arg, const struct jnl_rewrap_file *file)
{
	struct verifier *v = arg;
	struct jnl_finding finding;
	char text[256];

	if (jnl_rewrap_is_used(file->state)) {
		v->side_files++;
		v->side_keys += file->count;
	}
	if (!cli_sidefile_finding(file, text, &finding))
		return;
	v->side_findings++;
	verify_finding(v, &finding);
}

static void
json_report(const struct verifier *v, const struct jnl_verify_report *r)
{
	yajl_gen json = v->json;
	bool ok = r->findings == 0;

	cli_json_array_end(json);
	cli_json_bool(json, "ok", ok);
	cli_json_u64(json, "files", r->files);
	cli_json_u64(json, "files_open", r->files_unclosed);
	cli_json_u64(json, "files_recovered", r->files_by_recovery);
	cli_json_u64(json, "bytes", r->bytes);
	cli_json_u64(json, "blocks", r->blocks);
	cli_json_u64(json, "data_blocks", r->data_blocks);
	cli_json_u64(json, "records", r->records);
	cli_json_u64(json, "plain_bytes", r->plain_bytes);
	cli_json_u64(json, "epochs", r->epochs);
	cli_json_u64(json, "shards", r->shards);
	cli_json_u64(json, "tags_checked", r->tags_checked);
	cli_json_u64(json, "tags_unchecked", r->tags_unchecked);
	cli_json_u64(json, "files_signed", r->files_signed);
	cli_json_u64(json, "files_unsigned", r->files_unsigned);
	cli_json_u64(json, "bytes_signed", r->bytes_signed);
	cli_json_u64(json, "signatures", r->signatures);
	cli_json_u64(json, "side_files", v->side_files);
	cli_json_u64(json, "side_keys", v->side_keys);
	cli_json_u64(json, "mirror_files", v->mirror_files);
	cli_json_u64(json, "lost_ranges", r->lost_ranges);
	cli_json_u64(json, "lost_bytes", r->lost_bytes);
	cli_json_u64(json, "lost_records", r->lost_records);
	cli_json_map_end(json);
}

static void
signed_report(struct cli_out *out, const struct jnl_verify_report *r, bool trusted)
{
	char bytes[CLI_AMOUNT_MAX];

	cli_bytes_format(r->bytes_signed, bytes);
	cli_out_printf(out,
		"signatures: %llu right, over %s; %llu files signed to their end, %llu "
		"closed ones are not\n",
		(unsigned long long)r->signatures, bytes, (unsigned long long)r->files_signed,
		(unsigned long long)r->files_unsigned);
	if (!trusted && r->signatures > 0)
		cli_out_text(out,
			"whose signatures they are was not checked (--public-key FILE "
			"does, and wants every closed file signed)\n");
}

static void
text_report(
	const struct verifier *v, const struct jnl_verify_report *r, bool with_keys, bool trusted)
{
	struct cli_out *out = v->cli->out;
	char bytes[CLI_AMOUNT_MAX];

	cli_bytes_format(r->bytes, bytes);
	cli_out_printf(out,
		"%llu files (%llu open, %llu closed by recovery), %s: %llu blocks, %llu records, "
		"%llu epochs, "
		"%llu shards\n",
		(unsigned long long)r->files, (unsigned long long)r->files_unclosed,
		(unsigned long long)r->files_by_recovery, bytes, (unsigned long long)r->blocks,
		(unsigned long long)r->records, (unsigned long long)r->epochs,
		(unsigned long long)r->shards);
	if (with_keys)
		cli_out_printf(out, "tags: %llu right, %llu not checked\n",
			(unsigned long long)r->tags_checked, (unsigned long long)r->tags_unchecked);
	else
		cli_out_text(out,
			"tags: not checked (--with-keys checks them, with the right "
			"kms:Decrypt)\n");
	signed_report(out, r, trusted);
	if (v->side_files > 0)
		cli_out_printf(out, "%llu side files with %llu re-wrapped keys\n",
			(unsigned long long)v->side_files, (unsigned long long)v->side_keys);
	if (v->mirror_files > 0)
		cli_out_printf(out, "%llu files compared with those of the mirror\n",
			(unsigned long long)v->mirror_files);
	if (r->lost_ranges > 0)
		cli_out_printf(out, "lost before it was salvaged: %llu bytes in %llu places%s\n",
			(unsigned long long)r->lost_bytes, (unsigned long long)r->lost_ranges,
			r->lost_records > 0 ? ", with records, listed above" : "");
	if (r->findings == 0)
		cli_out_text(out, "checksums, numbering and footers are right\n");
	else
		cli_out_printf(
			out, "%llu findings, listed above\n", (unsigned long long)r->findings);
}

static void
verify_difference(void *arg, const char *name, uint64_t offset, const char *sentence)
{
	struct verifier *v = arg;
	const struct jnl_finding finding = {
		.status = SLK_CORRUPT, .name = name, .offset = offset, .sentence = sentence};

	v->side_findings++;
	verify_finding(v, &finding);
}

static int
run_verify(struct verifier *v, const struct journal_args *args, struct jnl_verify_report *report,
	struct slk_error *err)
{
	struct seal_attest_keys *trusted = NULL;
	struct seal_thread *seal = NULL;
	struct jnl_verify_config config = {
		.dir = v->cli->journal_dir, .finding = verify_finding, .arg = v};
	int rc = cli_attestation_keys(args->attestation_file, NULL, &trusted, err);

	if (rc == SLK_OK) {
		const struct jnl_rewraps_config side = {.dir = v->cli->journal_dir,
			.trusted = trusted,
			.any_stream = true,
			.seen = verify_side_file,
			.arg = v};
		rc = jnl_rewraps_new(&side, &v->rewraps, err);
	}
	if (rc == SLK_OK && args->with_keys) {
		rc = seal_thread_new(NULL, &seal, err);
		config.seal = seal;
		config.data_key = verify_key;
	}
	config.proofs = true;
	config.trusted = trusted;
	config.salvaged = args->salvaged;
	config.lost = verify_loss;
	if (rc == SLK_OK)
		rc = jnl_verify(&config, report, err);
	if (rc == SLK_OK && args->mirror != NULL) {
		const char *const dirs[2] = {v->cli->journal_dir, args->mirror};
		rc = jnl_mirror_compare(dirs, NULL, verify_difference, v, &v->mirror_files, err);
	}
	report->findings += v->side_findings;
	seal_thread_free(seal);
	jnl_rewraps_free(v->rewraps);
	v->rewraps = NULL;
	seal_attest_keys_free(trusted);
	return rc;
}

static int
verify(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"with-keys", OPT_WITH_KEYS, 0, 0,
			"Check the tag of every block too; asks kms:Decrypt once per epoch, as you",
			1},
		{"salvaged", OPT_SALVAGED, 0, 0,
			"It was salvaged: what it says is lost is listed, and nothing else may be",
			1},
		{"mirror", OPT_MIRROR, "DIR", 0,
			"The other directory of a mirrored pair: closed files must be the same in "
			"both",
			1},
		CLI_ATTESTATION_OPTION(OPT_ATTESTATION),
		{"public-key", 0, NULL, OPTION_ALIAS, NULL, 0},
		{0},
	};
	static const struct argp argp = {options, parse_journal, NULL,
		"Verify the journal: checksums, numbering of blocks and records, footers, the "
		"hashes and "
		"signatures of what was written, and the side files of re-wrapped keys; it runs "
		"beside a live writer, and needs no key.\v"
		"Examples:\n"
		"  sealock journal verify\n"
		"  sealock journal verify --with-keys --json\n"
		"  sealock journal verify --public-key sealock-attest.pem\n"
		"\n"
		"Exit status 1: something is wrong, or (--with-keys) a key was refused.",
		cli_common_children, NULL, NULL};
	struct journal_args args = {.cli = cli};
	struct verifier v = {.cli = cli};
	struct jnl_verify_report report = {0};
	struct slk_error err = {0};

	cli_parse(&argp, argc, argv, &args);
	if (cli->json) {
		v.json = cli_json_begin(cli->out, false);
		cli_json_map(v.json);
		cli_json_key(v.json, "findings");
		cli_json_array(v.json);
	}
	int rc = run_verify(&v, &args, &report, &err);
	if (rc == SLK_OK && cli->json)
		json_report(&v, &report);
	else if (rc == SLK_OK)
		text_report(&v, &report, args.with_keys, args.attestation_file != NULL);
	cli_json_end(v.json);
	if (rc != SLK_OK) {
		cli_out_drop(cli->out);
		return cli_fail(cli, &err);
	}
	if (v.refused > 0) {
		(void)slk_fail_prefix(
			&v.why, "not every tag could be checked, since a key was not given");
		return cli_fail(cli, &v.why);
	}
	return report.findings == 0 ? CLI_EXIT_OK : CLI_EXIT_FAILED;
}

int
cli_journal(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"ls", "list the files", list},
		{"verify", "check every block", verify},
		{"salvage", "copy what is left of a damaged one", cli_journal_salvage},
		{0},
	};

	return cli_dispatch(cli, verbs, "The journal's sealed files. None of this shows a record.",
		"Example:\n"
		"  sealock journal verify --journal /var/lib/sealock/journal",
		argc, argv);
}
