/* The catalog's rows about dual control: proposals and their approvals. A proposal is a request that was asked for and waits
 * for others than its requester. At most one waits per digest, which covers everything that was asked for (dual.h).
 *
 *     Pending --(the request came again, approved)--> Used
 *        |-----(by an approver, or taken back)------> Rejected
 *        '-----(its time is over)-------------------> Expired
 *
 * Only kms_catalog_proposal_end() and kms_catalog_proposal_create() (for Expired) set the state, and only away from
 * Pending: so an approval counts once, also over a crash. Those that ended are kept for the auditor, the newest
 * KMS_PROPOSALS_KEPT of them. Outputs, errors and thread: catalog.h.
 */
#ifndef KMS_HSM_CATALOG_DUAL_H
#define KMS_HSM_CATALOG_DUAL_H

#include "base/clock.h"
#include "catalog.h"

#define KMS_PROPOSAL_DIGEST_BYTES 32u
#define KMS_PROPOSAL_ACTION_MAX 64u
#define KMS_PROPOSALS_PENDING_MAX 64u
#define KMS_PROPOSALS_KEPT 256u
#define KMS_APPROVALS_MAX 10u /* that one proposal can need */
/* A wall clock that was put back may make a proposal seem to come from the future; beyond this it is void. */
#define KMS_PROPOSAL_AHEAD_NS (300 * SLK_NS_PER_S)

enum kms_proposal_state {
	KMS_PROPOSAL_PENDING,
	KMS_PROPOSAL_USED,
	KMS_PROPOSAL_REJECTED,
	KMS_PROPOSAL_EXPIRED,
	KMS_PROPOSAL_STATES
};

struct kms_proposal {
	uint8_t id[KMS_ID_BYTES];
	uint8_t digest[KMS_PROPOSAL_DIGEST_BYTES];
	char requester[KMS_ARN_MAX];
	uint32_t requester_uid;
	char action[KMS_PROPOSAL_ACTION_MAX];
	char resource[KMS_ARN_MAX];
	uint32_t needed; /* approvals; 1..KMS_APPROVALS_MAX */
	enum kms_proposal_state
		state; /* Pending also for one whose time is over and was not met since */
	uint64_t created_ns, expires_ns;
	uint64_t ended_ns; /* 0 while Pending */
	char ended_by[KMS_ARN_MAX]; /* who used or rejected it; "" otherwise */
};

struct kms_approval {
	char principal[KMS_ARN_MAX];
	uint32_t uid;
	uint64_t approved_ns;
};

/* Is its time over at wall_ns? */
static inline bool
kms_proposal_is_over(const struct kms_proposal *proposal, uint64_t wall_ns)
{
	return proposal->expires_ns <= wall_ns ||
		proposal->created_ns > wall_ns + KMS_PROPOSAL_AHEAD_NS;
}

/* A new one, Pending; request: its canonical bytes. Those whose time is over at proposal->created_ns become Expired.
 * SLK_EXISTS: one of that digest is Pending. SLK_LIMIT: KMS_PROPOSALS_PENDING_MAX are. */
MUST_USE int kms_catalog_proposal_create(
	struct kms_catalog *catalog, const struct kms_proposal *proposal, struct slk_span request);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_proposal_get(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_proposal *out_proposal);
/* The Pending one of a digest. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_proposal_find(struct kms_catalog *catalog,
	const uint8_t digest[KMS_PROPOSAL_DIGEST_BYTES], struct kms_proposal *out_proposal);
/* Up to cap with ids above after (NULL: all), in order of their ids. */
MUST_USE int kms_catalog_proposal_list(struct kms_catalog *catalog, const uint8_t *after,
	struct kms_proposal *out_proposals, size_t cap, size_t *out_count);
/* The request's bytes. SLK_NOT_FOUND; SLK_TOO_LARGE for cap. */
MUST_USE int kms_catalog_proposal_request(struct kms_catalog *catalog,
	const uint8_t id[KMS_ID_BYTES], uint8_t *out, size_t cap, size_t *out_len);
/* Away from Pending. SLK_NOT_FOUND: it is not Pending. */
MUST_USE int kms_catalog_proposal_end(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	enum kms_proposal_state state, const char *by, uint64_t wall_ns);

/* SLK_EXISTS: this principal, or this uid, has approved it. */
MUST_USE int kms_catalog_approval_add(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	const struct kms_approval *approval);
MUST_USE int kms_catalog_approval_list(struct kms_catalog *catalog, const uint8_t id[KMS_ID_BYTES],
	struct kms_approval *out_approvals, size_t cap, size_t *out_count);

#endif
