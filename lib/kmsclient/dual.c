#include "kmsclient/dual.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmsclient/convert.h"
#include "kmsclient/fields.h"
#include "kmsclient/request.h"

#define TEXT(rc, in, out) ((rc) == SLK_OK ? kmsc_text((in), (out), sizeof(out)) : (rc))

/* --- from messages --- */

static int
approvals_from(const Kmsp__Proposal *in, struct kmsc_proposal *out)
{
	int rc = in->n_approvals > KMSC_APPROVALS_MAX ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_approvals; i++) {
		rc = TEXT(rc, in->approvals[i]->principal, out->approvals[i].principal);
		out->approvals[i].uid = in->approvals[i]->uid;
		out->approvals[i].approved_ns = in->approvals[i]->approved_ns;
	}
	out->approvals_count = in->n_approvals;
	return rc;
}

static int
proposal_from(const Kmsp__Proposal *in, struct kmsc_proposal *out)
{
	struct kmsc_proposal p = {.needed = in->needed,
		.created_ns = in->created_ns,
		.expires_ns = in->expires_ns,
		.ended_ns = in->ended_ns};
	int rc = in->digest.len == 32 ? SLK_OK : SLK_MALFORMED;

	if (rc == SLK_OK)
		slk_hex(slk_span(in->digest.data, in->digest.len), p.digest, sizeof(p.digest));
	rc = TEXT(rc, in->id, p.id);
	rc = TEXT(rc, in->requester, p.requester);
	rc = TEXT(rc, in->action, p.action);
	rc = TEXT(rc, in->resource, p.resource);
	rc = TEXT(rc, in->state, p.state);
	rc = TEXT(rc, in->ended_by, p.ended_by);
	if (rc == SLK_OK)
		rc = approvals_from(in, &p);
	if (rc == SLK_OK)
		*out = p;
	return rc;
}

static void
dual_from(const Kmsp__Proposals *in, struct kmsc_dual *out)
{
	if (out == NULL)
		return;
	memset(out, 0, sizeof(*out));
	out->needed = in->needed;
	out->expires_hours = in->expires_hours;
	for (size_t i = 0; i < in->n_actions && i < KMSC_DUAL_ACTIONS_MAX; i++)
		(void)snprintf(out->actions[out->actions_count++], KMSC_ACTION_MAX, "%.63s",
			in->actions[i]);
}

static int
list_from(const Kmsp__Proposals *in, struct kmsc_proposal *out, size_t cap, char *out_next)
{
	int rc = in->n_proposals > cap ? SLK_MALFORMED : SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < in->n_proposals; i++)
		rc = proposal_from(in->proposals[i], &out[i]);
	return rc == SLK_OK ? kmsc_text(in->next, out_next, KMSC_MARKER_MAX) : rc;
}

/* --- calls --- */

int
kmsc_list_proposals(struct kmsc *c, const char *marker, struct kmsc_proposal *out_proposals,
	size_t cap, size_t *out_count, char *out_next, struct kmsc_dual *out_dual,
	struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return kmsc_no_room(err);
	call.marker = kmsc_request_text(marker);
	call.limit = kmsc_page(cap);
	KMSC_REQUEST(request, LIST_PROPOSALS, list_proposals) = &call;
	int rc =
		kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_PROPOSALS, &reply, err);
	if (rc == SLK_OK)
		rc = list_from(reply->proposals, out_proposals, cap, out_next);
	if (rc == SLK_OK) {
		*out_count = reply->proposals->n_proposals;
		dual_from(reply->proposals, out_dual);
	}
	return kmsc_call_end(c, rc, err);
}

/* The request lies packed in the reply: it needs an arena of its own. */
static int
tell_fields(ProtobufCBinaryData packed, kmsc_field_fn field, void *arg)
{
	struct kmsp_arena *arena = NULL;
	const Kmsp__Request *request;

	int rc = kmsp_arena_new(&arena);
	if (rc == SLK_OK)
		rc = kmsp_request_unpack(arena, slk_span(packed.data, packed.len), &request);
	if (rc == SLK_OK) {
		Kmsp__Request shown = *request; /* its version says nothing about what is done */
		shown.version = 0;
		rc = kmsc_fields(&shown.base, field, arg);
	}
	kmsp_arena_free(arena);
	return rc;
}

int
kmsc_get_proposal(struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal,
	kmsc_field_fn field, void *arg, struct slk_error *err)
{
	Kmsp__ProposalName call = KMSP__PROPOSAL_NAME__INIT;
	const Kmsp__Reply *reply;

	call.id = kmsc_request_text(id);
	KMSC_REQUEST(request, GET_PROPOSAL, get_proposal) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_PROPOSAL, &reply, err);
	if (rc == SLK_OK)
		rc = proposal_from(reply->proposal, out_proposal);
	if (rc == SLK_OK && field != NULL)
		rc = tell_fields(reply->proposal->request, field, arg);
	return kmsc_call_end(c, rc, err);
}

static int
call_once(struct kmsc *c, Kmsp__Request *request, struct kmsc_proposal *out_proposal,
	struct slk_error *err)
{
	const Kmsp__Reply *reply;

	int rc = kmsc_call(c, request, KMSC_ONCE, KMSP__REPLY__RESULT_PROPOSAL, &reply, err);
	if (rc == SLK_OK)
		rc = proposal_from(reply->proposal, out_proposal);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_approve_proposal(
	struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal, struct slk_error *err)
{
	Kmsp__ProposalName call = KMSP__PROPOSAL_NAME__INIT;

	call.id = kmsc_request_text(id);
	KMSC_REQUEST(request, APPROVE_PROPOSAL, approve_proposal) = &call;
	return call_once(c, &request, out_proposal, err);
}

int
kmsc_reject_proposal(
	struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal, struct slk_error *err)
{
	Kmsp__ProposalName call = KMSP__PROPOSAL_NAME__INIT;

	call.id = kmsc_request_text(id);
	KMSC_REQUEST(request, REJECT_PROPOSAL, reject_proposal) = &call;
	return call_once(c, &request, out_proposal, err);
}
