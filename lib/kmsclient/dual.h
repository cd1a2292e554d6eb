/* Dual control: proposals that wait for approvals (docs/dual-control.md). For administrators.
 *
 * A request under dual control ends in SLK_DENIED, and its sentence names the proposal. As everywhere here, outputs are
 * untouched on error and *err has a sentence. Thread: the client's.
 */
#ifndef SLK_KMSCLIENT_DUAL_H
#define SLK_KMSCLIENT_DUAL_H

#include "kmsclient/life.h"

#define KMSC_APPROVALS_MAX 10u
#define KMSC_DUAL_ACTIONS_MAX 64u
#define KMSC_ACTION_MAX 64u

struct kmsc_approval {
	char principal[KMSC_ARN_MAX];
	uint32_t uid;
	uint64_t approved_ns;
};

struct kmsc_proposal {
	char id[40]; /* UUID */
	char requester[KMSC_ARN_MAX];
	char action[KMSC_ACTION_MAX];
	char resource[KMSC_ARN_MAX];
	char digest[65]; /* hex */
	char state[16]; /* Pending, Used, Rejected, Expired */
	char ended_by[KMSC_ARN_MAX];
	uint32_t needed;
	uint64_t created_ns, expires_ns, ended_ns;
	struct kmsc_approval approvals[KMSC_APPROVALS_MAX];
	size_t approvals_count;
};

/* What kmsd's configuration puts under dual control. */
struct kmsc_dual {
	uint32_t needed; /* 0: nothing is */
	uint32_t expires_hours;
	char actions[KMSC_DUAL_ACTIONS_MAX]
		    [KMSC_ACTION_MAX]; /* with * and ?; longer ones are cut */
	size_t actions_count; /* the first so many */
};

/* out_dual: NULL if it is not wanted. Lists: life.h. */
MUST_USE int kmsc_list_proposals(struct kmsc *c, const char *marker,
	struct kmsc_proposal *out_proposals, size_t cap, size_t *out_count, char *out_next,
	struct kmsc_dual *out_dual, struct slk_error *err);

/* One field of the request that a proposal would let through: "schedule_key_deletion.pending_window_days", "7". Bytes are
 * in hex. Both are borrowed for the call. */
typedef void (*kmsc_field_fn)(void *arg, const char *path, const char *value);
/* field: NULL, or called for every field that is not empty. SLK_NOT_FOUND. */
MUST_USE int kmsc_get_proposal(struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal,
	kmsc_field_fn field, void *arg, struct slk_error *err);

/* SLK_EXISTS: this person has; SLK_INVALID_STATE: it does not wait any more; SLK_DENIED, SLK_NOT_FOUND. */
MUST_USE int kmsc_approve_proposal(
	struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal, struct slk_error *err);
MUST_USE int kmsc_reject_proposal(
	struct kmsc *c, const char *id, struct kmsc_proposal *out_proposal, struct slk_error *err);

#endif
