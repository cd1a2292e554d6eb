/* ListProposals, GetProposal, ApproveProposal, RejectProposal (dual.h). Administrators may look, unless a policy denies it;
 * who approves or rejects must be allowed the action itself. */
#include <stdlib.h>
#include <string.h>

#include "call.h"
#include "crypt.h"
#include "dual.h"

#define PAGE_BYTES_MAX (KMSP_REPLY_MAX - 8192u) /* the rest is for the configuration */

static int
authorize(struct kms_call *call, const char *resource)
{
	char sentence[KMS_SENTENCE_MAX] = "";
	const struct kms_question q = {.principal = call->principal,
		.action = call->action,
		.resource = resource,
		.granted = true};

	if (call->resource != resource)
		strcpy(call->resource, resource);
	int rc = kms_call_ask(call, &q, sentence);
	if (rc != SLK_OK)
		kms_call_deny(call, "AccessDeniedException", sentence);
	return rc;
}

/* As it is now: one whose time is over is Expired, though no row says so yet. */
static void
settle(struct kms_proposal *proposal, uint64_t wall_ns)
{
	if (proposal->state == KMS_PROPOSAL_PENDING && kms_proposal_is_over(proposal, wall_ns)) {
		proposal->state = KMS_PROPOSAL_EXPIRED;
		proposal->ended_ns = proposal->expires_ns;
	}
}

/* --- list --- */

struct page {
	struct kms_proposal_text texts[KMSP_PAGE_MAX];
	struct kms_approval approvals[KMSP_PAGE_MAX][KMS_APPROVALS_MAX];
	Kmsp__Proposal *list[KMSP_PAGE_MAX];
	size_t count;
};

/* As many as the limit and one reply hold. */
static int
collect(struct kms_call *call, struct kms_proposal *rows, size_t count, struct page *page)
{
	struct kms_service *s = call->service;
	size_t bytes = 0;

	for (page->count = 0; page->count < count; page->count++) {
		size_t at = page->count, approvals = 0;
		int rc = kms_catalog_approval_list(s->parts.catalog, rows[at].id,
			page->approvals[at], KMS_APPROVALS_MAX, &approvals);
		if (rc != SLK_OK)
			return rc;
		settle(&rows[at], slk_wall_ns(s->parts.clock));
		kms_dual_message(&rows[at], page->approvals[at], approvals, &page->texts[at]);
		bytes += kmsp__proposal__get_packed_size(&page->texts[at].message) + 8;
		if (bytes > PAGE_BYTES_MAX)
			break;
		page->list[at] = &page->texts[at].message;
	}
	return SLK_OK;
}

static void
message_config(const struct kms_config_dual *config, Kmsp__Proposals *out)
{
	size_t bytes = 0;

	if (config == NULL || config->approvals == 0)
		return;
	out->needed = config->approvals;
	out->expires_hours = config->expires_hours;
	out->actions = config->actions;
	while (out->n_actions < config->actions_count && bytes < 4096)
		bytes += strlen(config->actions[out->n_actions++]) + 8;
}

void
kms_op_list_proposals(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_proposal rows[KMSP_PAGE_MAX + 1]; /* one thread */
	static struct page page;
	const Kmsp__List *in = request->list_proposals;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Proposals out = KMSP__PROPOSALS__INIT;
	size_t found = 0, limit = kms_page(in->limit);
	uint8_t after[KMS_ID_BYTES];

	if (authorize(call, "*") != SLK_OK)
		return;
	if (in->marker[0] != '\0' && fmt_uuid_parse(in->marker, after) != SLK_OK) {
		kms_call_bad_marker(call);
		return;
	}
	int rc = kms_catalog_proposal_list(call->service->parts.catalog,
		in->marker[0] != '\0' ? after : NULL, rows, limit + 1, &found);
	if (rc == SLK_OK)
		rc = collect(call, rows, found < limit ? found : limit, &page);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.proposals = page.list;
	out.n_proposals = page.count;
	if (found > page.count && page.count > 0)
		out.next = page.texts[page.count - 1].id;
	message_config(call->service->parts.dual, &out);
	reply.result_case = KMSP__REPLY__RESULT_PROPOSALS;
	reply.proposals = &out;
	kms_call_ok(call, &reply);
}

/* --- one of them --- */

/* Found, and named in the audit line. */
static int
find(struct kms_call *call, const char *text)
{
	uint8_t id[KMS_ID_BYTES];
	struct kms_service *s = call->service;
	struct kms_proposal *p = calloc(1, sizeof(*p));
	int rc = p != NULL ? fmt_uuid_parse(text, id) : SLK_NO_MEMORY;

	if (p != NULL)
		rc = rc != SLK_OK ? SLK_NOT_FOUND
				  : kms_catalog_proposal_get(s->parts.catalog, id, p);
	if (rc == SLK_NOT_FOUND)
		kms_call_fail(call, rc, "NotFoundException", "no proposal is called %.64s", text);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	if (rc != SLK_OK) {
		free(p);
		return rc;
	}
	settle(p, slk_wall_ns(s->parts.clock));
	call->proposal = p;
	strcpy(call->resource, p->resource);
	return SLK_OK;
}

static void
answer(struct kms_call *call, struct slk_span request)
{
	struct kms_service *s = call->service;
	struct kms_approval approvals[KMS_APPROVALS_MAX];
	struct kms_proposal_text text;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	size_t count = 0;

	int rc = kms_catalog_approval_list(
		s->parts.catalog, call->proposal->id, approvals, KMS_APPROVALS_MAX, &count);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	kms_dual_message(call->proposal, approvals, count, &text);
	text.message.request = kms_bytes(request);
	reply.result_case = KMSP__REPLY__RESULT_PROPOSAL;
	reply.proposal = &text.message;
	kms_call_ok(call, &reply);
}

void
kms_op_get_proposal(struct kms_call *call, const Kmsp__Request *request)
{
	static uint8_t bytes[KMSP_FRAME_MAX]; /* one thread; no secret is in a request that waits */
	size_t len = 0;

	if (authorize(call, "*") != SLK_OK || find(call, request->get_proposal->id) != SLK_OK)
		return;
	int rc = kms_catalog_proposal_request(
		call->service->parts.catalog, call->proposal->id, bytes, sizeof(bytes), &len);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer(call, slk_span(bytes, len));
}

static int
still_pending(struct kms_call *call)
{
	static const char *const words[KMS_PROPOSAL_STATES] = {
		"", "was used", "was rejected", "has expired"};
	enum kms_proposal_state state = call->proposal->state;
	char id[FMT_UUID_TEXT];

	if (state == KMS_PROPOSAL_PENDING)
		return SLK_OK;
	fmt_uuid_print(call->proposal->id, id);
	kms_call_fail(call, SLK_INVALID_STATE, "ProposalStateException",
		"proposal %s %s; the request has to be made again", id, words[state]);
	return SLK_INVALID_STATE;
}

static bool
is_requester(const struct kms_call *call)
{
	return strcmp(call->principal, call->proposal->requester) == 0 ||
		call->peer.uid == call->proposal->requester_uid;
}

void
kms_op_approve_proposal(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	struct kms_approval approval = {.uid = call->peer.uid};

	if (authorize(call, "*") != SLK_OK || find(call, request->approve_proposal->id) != SLK_OK ||
		still_pending(call) != SLK_OK)
		return;
	if (is_requester(call)) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s on its own request (uid %u)",
			call->principal, call->action, (unsigned)call->peer.uid);
		return;
	}
	if (kms_dual_may_approve(call, call->proposal) != SLK_OK)
		return;
	strcpy(approval.principal, call->principal);
	approval.approved_ns = slk_wall_ns(s->parts.clock);
	int rc = kms_catalog_approval_add(s->parts.catalog, call->proposal->id, &approval);
	if (rc == SLK_EXISTS)
		kms_call_fail(call, rc, "AlreadyExistsException",
			"%s (or uid %u) has approved it already; one person counts once",
			call->principal, (unsigned)call->peer.uid);
	else if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer(call, slk_span(NULL, 0));
}

void
kms_op_reject_proposal(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	uint64_t now = slk_wall_ns(s->parts.clock);

	if (authorize(call, "*") != SLK_OK || find(call, request->reject_proposal->id) != SLK_OK ||
		still_pending(call) != SLK_OK)
		return;
	if (!is_requester(call) && kms_dual_may_approve(call, call->proposal) != SLK_OK)
		return;
	int rc = kms_catalog_proposal_end(
		s->parts.catalog, call->proposal->id, KMS_PROPOSAL_REJECTED, call->principal, now);
	if (rc == SLK_OK)
		rc = kms_catalog_proposal_get(s->parts.catalog, call->proposal->id, call->proposal);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else
		answer(call, slk_span(NULL, 0));
}
