/* sealock approval list | show | approve | reject: dual control (docs/dual-control.md) */
#include "cli.h"

#include <stdlib.h>
#include <string.h>

#include "kmsclient/dual.h"
#include "proposals.h"
#include "text.h"

struct approval_args {
	struct cli *cli;
	const char *id;
	bool wants_id, all;
};

enum { OPT_ALL = 'a' };

static error_t
parse(int key, char *arg, struct argp_state *state)
{
	struct approval_args *args = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = args->cli;
		return 0;
	case OPT_ALL:
		args->all = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!args->wants_id || args->id != NULL)
			argp_error(state, "'%s' is too much", arg);
		args->id = arg;
		return 0;
	case ARGP_KEY_END:
		if (args->wants_id && args->id == NULL)
			argp_error(state, "the ID of a proposal is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* act prints one document, into json or as text. What it printed is dropped if it fails. */
typedef int (*act_fn)(
	struct approval_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err);

static int
act_on(struct approval_args *args, act_fn act)
{
	struct cli *cli = args->cli;
	struct slk_error err = {0};
	struct kmsc *kms = cli_kms(cli, &err);
	int rc = kms == NULL ? err.status : SLK_OK;

	if (rc == SLK_OK) {
		yajl_gen json = cli->json ? cli_json_begin(cli->out, false) : NULL;
		rc = act(args, kms, json, &err);
		cli_json_end(json);
	}
	if (rc == SLK_OK)
		return CLI_EXIT_OK;
	cli_out_drop(cli->out);
	return cli_fail(cli, &err);
}

/* --- list --- */

static void
say_dual(const struct approval_args *args, yajl_gen json, const struct kmsc_dual *dual)
{
	cli_proposals_dual(json, dual);
	if (args->cli->json)
		return;
	if (dual->needed == 0) {
		cli_note("nothing is under dual control: dual_control: in kmsd.yaml");
		return;
	}
	cli_out_printf(args->cli->out, "%u other%s approve%s, within %u h:", (unsigned)dual->needed,
		dual->needed == 1 ? "" : "s", dual->needed == 1 ? "s" : "",
		(unsigned)dual->expires_hours);
	for (size_t i = 0; i < dual->actions_count; i++) {
		cli_out_text(args->cli->out, " ");
		cli_out_safe(args->cli->out, slk_span_str(dual->actions[i]));
	}
	cli_out_text(args->cli->out, "\n");
}

struct list_state {
	struct approval_args *args;
	yajl_gen json;
};

static void
list_one(void *arg, const struct kmsc_proposal *p)
{
	const struct list_state *l = arg;

	if (!l->args->all && strcmp(p->state, "Pending") != 0)
		return;
	if (l->args->cli->json)
		cli_proposals_json(l->json, p, NULL, 0);
	else
		cli_proposals_row(l->args->cli->out, p);
}

static int
list(struct approval_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	static struct kmsc_dual dual; /* the process has one thread */
	struct list_state l = {args, json};

	cli_json_map(json);
	cli_json_key(json, "proposals");
	cli_json_array(json);
	int rc = cli_proposals_each(kms, list_one, &l, &dual, err);
	if (rc != SLK_OK)
		return rc;
	cli_json_array_end(json);
	say_dual(args, json, &dual);
	cli_json_map_end(json);
	return SLK_OK;
}

static int
approval_list(struct cli *cli, int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"all", OPT_ALL, 0, 0, "Those that were used, rejected or have expired, too", 1},
		{0},
	};
	static const struct argp argp = {options, parse, NULL,
		"List the requests that wait for approvals, and what is under dual control.\v"
		"Example:\n"
		"  sealock approval list\n"
		"  sealock approval list --all --json | jq '.proposals[] | {id, action, state}'",
		cli_common_children, NULL, NULL};
	struct approval_args args = {.cli = cli};

	cli_parse(&argp, argc, argv, &args);
	return act_on(&args, list);
}

/* --- show --- */

static int
show(struct approval_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_proposal p;
	struct cli_fields fields = {0};

	int rc = kmsc_get_proposal(kms, args->id, &p, cli_proposals_take, &fields, err);
	if (rc == SLK_OK && fields.failed)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory for what the proposal says");
	if (rc == SLK_OK && args->cli->json)
		cli_proposals_json(json, &p, fields.list, fields.count);
	else if (rc == SLK_OK)
		cli_proposals_text(args->cli->out, &p, fields.list, fields.count);
	cli_proposals_forget(&fields);
	return rc;
}

static int
approval_show(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse, "ID",
		"Show what a proposal would let through: who asks for what, with every parameter.\v"
		"Example:\n"
		"  sealock approval show 3e1f8a52-9d3c-4a57-8f6e-0a2b5c7d9e11\n"
		"\n"
		"Look at all of it before you approve: what is shown is what will be done.",
		cli_common_children, NULL, NULL};
	struct approval_args args = {.cli = cli, .wants_id = true};

	cli_parse(&argp, argc, argv, &args);
	return act_on(&args, show);
}

/* --- approve, reject --- */

static void
said(const struct approval_args *args, yajl_gen json, const struct kmsc_proposal *p)
{
	if (args->cli->json)
		cli_proposals_json(json, p, NULL, 0);
	else
		cli_proposals_row(args->cli->out, p);
}

static int
approve(struct approval_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_proposal p;
	int rc = kmsc_approve_proposal(kms, args->id, &p, err);

	if (rc != SLK_OK)
		return rc;
	said(args, json, &p);
	if (p.approvals_count >= p.needed)
		cli_note("%s can ask again now: the same request goes through, once", p.requester);
	else
		cli_note("%u more %s needed", (unsigned)(p.needed - p.approvals_count),
			p.needed - p.approvals_count == 1 ? "approval is" : "approvals are");
	return SLK_OK;
}

static int
approval_approve(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse, "ID",
		"Approve a request of somebody else. You need the right to the action yourself, "
		"and "
		"count once. Nothing is done by it: who asked asks again.\v"
		"Example:\n"
		"  sealock approval show 3e1f8a52-9d3c-4a57-8f6e-0a2b5c7d9e11\n"
		"  sealock approval approve 3e1f8a52-9d3c-4a57-8f6e-0a2b5c7d9e11",
		cli_common_children, NULL, NULL};
	struct approval_args args = {.cli = cli, .wants_id = true};

	cli_parse(&argp, argc, argv, &args);
	return act_on(&args, approve);
}

static int
reject(struct approval_args *args, struct kmsc *kms, yajl_gen json, struct slk_error *err)
{
	struct kmsc_proposal p;
	int rc = kmsc_reject_proposal(kms, args->id, &p, err);

	if (rc == SLK_OK)
		said(args, json, &p);
	return rc;
}

static int
approval_reject(struct cli *cli, int argc, char **argv)
{
	static const struct argp argp = {NULL, parse, "ID",
		"Reject a request, with all its approvals, or take back your own. Asked for again "
		"it "
		"is another proposal.\v"
		"Example:\n"
		"  sealock approval reject 3e1f8a52-9d3c-4a57-8f6e-0a2b5c7d9e11",
		cli_common_children, NULL, NULL};
	struct approval_args args = {.cli = cli, .wants_id = true};

	cli_parse(&argp, argc, argv, &args);
	return act_on(&args, reject);
}

int
cli_approval(struct cli *cli, int argc, char **argv)
{
	static const struct cli_command verbs[] = {
		{"list", "what waits for approvals", approval_list},
		{"show", "one proposal, with every parameter", approval_show},
		{"approve", "agree to a request of somebody else", approval_approve},
		{"reject", "refuse one, or take back your own", approval_reject},
		{0},
	};

	return cli_dispatch(cli, verbs,
		"Dual control: what kmsd.yaml names under dual_control: is done only once others "
		"than "
		"who asks have agreed. The request is refused first and names its proposal.",
		"Example:\n"
		"  sealock key schedule-deletion alias/old    # alice: refused, proposal ID\n"
		"  sealock approval show ID                   # bob\n"
		"  sealock approval approve ID\n"
		"  sealock key schedule-deletion alias/old    # alice again: done",
		argc, argv);
}
