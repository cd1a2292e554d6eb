/* Dual control: what the configuration names is done only once others than who asks for it have agreed.
 *
 *     request --(policy allows it)--> gate --no proposal----> a proposal is made, the request is refused and names it
 *                                      |----too few approvals----> refused, naming it
 *                                      '----approved-------------> the proposal is spent, the request goes on
 *
 * The gate is in kms_call_authorize(), behind the policy: nothing that the policy refuses makes a proposal. A proposal is
 * known by the digest of the requester, the action, the resource and the canonical bytes of the request (docs/FORMATS.md):
 * the same request by the same principal finds it, anything else is another one. Spending it is committed before the
 * operation begins, so an approval serves one attempt, whatever comes of it, also over a crash.
 *
 * An approval counts if, at that moment, its principal may still do the action itself on this resource and is still an
 * administrator, and if neither it nor its uid is the requester's. One person is one principal and one uid: neither counts
 * twice. Who is root on the host can become any uid and change the configuration: that is not within what this promises.
 *
 * Only what changes something in kms:, iam: and kinesis: can be under dual control, and never what carries a secret, for
 * requests are kept. kms:RetireGrant cannot: the grant gives that right, and giving it up needs nobody.
 * Thread: one, the front's loop.
 */
#ifndef KMS_HSM_DUAL_H
#define KMS_HSM_DUAL_H

#include <stdbool.h>

#include "base/error.h"
#include "catalog_dual.h"
#include "config.h"
#include "format/uuid.h"
#include "kmsclient/wire.h"

struct kms_call;

/* Can this action be under dual control? */
bool kms_dual_can(const char *action);
/* Is it? config: NULL or without approvals: nothing is. */
bool kms_dual_controls(const struct kms_config_dual *config, const char *action);
/* Does each pattern of the configuration name an action that can be? SLK_CONFIG with a sentence. */
MUST_USE int kms_dual_check(const struct kms_config_dual *config, struct slk_error *err);

/* The policy has allowed the call action on call->resource: may it go on? SLK_OK, or the call has ended: refused with
 * ApprovalRequiredException and the proposal, or with an error of the catalog. */
MUST_USE int kms_dual_gate(struct kms_call *call, const char *action);

/* May the call's principal do what the proposal asks for? Ends the call if not. */
MUST_USE int kms_dual_may_approve(struct kms_call *call, const struct kms_proposal *proposal);

/* What a Kmsp__Proposal borrows. */
struct kms_proposal_text {
	char id[FMT_UUID_TEXT];
	Kmsp__Approval storage[KMS_APPROVALS_MAX], *list[KMS_APPROVALS_MAX];
	Kmsp__Proposal message;
};
/* Both are borrowed by out. */
void kms_dual_message(const struct kms_proposal *proposal, const struct kms_approval *approvals,
	size_t approvals_count, struct kms_proposal_text *out);

#endif
