#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "call.h"
#include "caller.h"
#include "digest.h"
#include "gcm.h"
#include "hmac.h"
#include "sessions.h"

#define TIMEOUT_DEFAULT_MS 5000u
#define TIMEOUT_MAX_MS 30000u
/* The worker's loop answers this by itself, so who does not is as good as stuck. */
#define HEALTH_DEADLINE_NS SLK_NS_PER_S
#define LONE_WAIT_NS (20 * SLK_NS_PER_MS) /* for a flush that nothing overlaps with */

#define PEOPLE (KMS_CLASS_USER | KMS_CLASS_ADMIN)
#define ANYBODY (PEOPLE | KMS_CLASS_DOOR)
#define ANYBODY_AT_ALL (ANYBODY | KMS_CLASS_GATEWAY)
/* How streams are made, and when that or rights change: both doors have to know, for whoever comes. */
#define DOORS (KMS_CLASS_DOOR | KMS_CLASS_GATEWAY)

/* Which class of peer may send which request; the policy decides after that. Everything else is
 * refused. */
#define ROW(CASE) [KMSP__REQUEST__CALL_##CASE]
static const struct kms_row rows[] = {
	/* request               who sends it      action in the audit and the policy */
	ROW(CREATE_KEY) = {KMS_CLASS_ADMIN, "kms:CreateKey", kms_op_create_key, false},
	ROW(DESCRIBE_KEY) = {PEOPLE, "kms:DescribeKey", kms_op_describe_key, false},
	ROW(LIST_KEYS) = {PEOPLE, "kms:ListKeys", kms_op_list_keys, false},
	ROW(CREATE_ALIAS) = {KMS_CLASS_ADMIN, "kms:CreateAlias", kms_op_create_alias, false},
	ROW(UPDATE_ALIAS) = {KMS_CLASS_ADMIN, "kms:UpdateAlias", kms_op_update_alias, false},
	ROW(DELETE_ALIAS) = {KMS_CLASS_ADMIN, "kms:DeleteAlias", kms_op_delete_alias, false},
	ROW(LIST_ALIASES) = {PEOPLE, "kms:ListAliases", kms_op_list_aliases, false},
	ROW(UPDATE_KEY_DESCRIPTION) = {KMS_CLASS_ADMIN, "kms:UpdateKeyDescription",
		kms_op_update_key_description, false},
	ROW(ENABLE_KEY) = {KMS_CLASS_ADMIN, "kms:EnableKey", kms_op_enable_key, false},
	ROW(DISABLE_KEY) = {KMS_CLASS_ADMIN, "kms:DisableKey", kms_op_disable_key, false},
	ROW(SCHEDULE_KEY_DELETION) = {KMS_CLASS_ADMIN, "kms:ScheduleKeyDeletion",
		kms_op_schedule_key_deletion, false},
	ROW(CANCEL_KEY_DELETION) = {KMS_CLASS_ADMIN, "kms:CancelKeyDeletion",
		kms_op_cancel_key_deletion, false},
	ROW(TAG_RESOURCE) = {KMS_CLASS_ADMIN, "kms:TagResource", kms_op_tag_resource, false},
	ROW(UNTAG_RESOURCE) = {KMS_CLASS_ADMIN, "kms:UntagResource", kms_op_untag_resource, false},
	ROW(LIST_RESOURCE_TAGS) = {PEOPLE, "kms:ListResourceTags", kms_op_list_resource_tags,
		false},
	ROW(ENABLE_KEY_ROTATION) = {KMS_CLASS_ADMIN, "kms:EnableKeyRotation",
		kms_op_enable_key_rotation, false},
	ROW(DISABLE_KEY_ROTATION) = {KMS_CLASS_ADMIN, "kms:DisableKeyRotation",
		kms_op_disable_key_rotation, false},
	ROW(GET_KEY_ROTATION_STATUS) = {PEOPLE, "kms:GetKeyRotationStatus",
		kms_op_get_key_rotation_status, false},
	ROW(ROTATE_KEY_ON_DEMAND) = {KMS_CLASS_ADMIN, "kms:RotateKeyOnDemand",
		kms_op_rotate_key_on_demand, false},
	ROW(LIST_KEY_ROTATIONS) = {PEOPLE, "kms:ListKeyRotations", kms_op_list_key_rotations,
		false},
	ROW(LIST_ORPHANS) = {KMS_CLASS_ADMIN, "sealock:ListOrphans", kms_op_list_orphans, false},
	ROW(GENERATE_DATA_KEY) = {PEOPLE, "kms:GenerateDataKey", kms_op_generate_data_key, false},
	ROW(ENCRYPT) = {PEOPLE, "kms:Encrypt", kms_op_encrypt, false},
	ROW(DECRYPT) = {PEOPLE, "kms:Decrypt", kms_op_decrypt, false},
	ROW(RE_ENCRYPT) = {PEOPLE, "kms:ReEncrypt", kms_op_re_encrypt, false},
	ROW(SIGN) = {PEOPLE, "kms:Sign", kms_op_sign, false},
	ROW(VERIFY) = {PEOPLE, "kms:Verify", kms_op_verify, false},
	ROW(GET_PUBLIC_KEY) = {PEOPLE, "kms:GetPublicKey", kms_op_get_public_key, false},
	ROW(GENERATE_RANDOM) = {PEOPLE, "kms:GenerateRandom", kms_op_generate_random, false},
	ROW(CREATE_GRANT) = {PEOPLE, "kms:CreateGrant", kms_op_create_grant, false},
	ROW(LIST_GRANTS) = {PEOPLE, "kms:ListGrants", kms_op_list_grants, false},
	ROW(LIST_RETIRABLE_GRANTS) = {PEOPLE, "kms:ListRetirableGrants",
		kms_op_list_retirable_grants, false},
	ROW(RETIRE_GRANT) = {PEOPLE, "kms:RetireGrant", kms_op_retire_grant, false},
	ROW(REVOKE_GRANT) = {PEOPLE, "kms:RevokeGrant", kms_op_revoke_grant, false},
	ROW(CREATE_STREAM) = {KMS_CLASS_ADMIN, "kinesis:CreateStream", kms_op_create_stream, false},
	ROW(DESCRIBE_STREAM) = {PEOPLE | DOORS | KMS_CLASS_DELIVER, "kinesis:DescribeStream",
		kms_op_describe_stream, false},
	ROW(LIST_STREAMS) = {ANYBODY, "kinesis:ListStreams", kms_op_list_streams, false},
	ROW(DELETE_STREAM) = {KMS_CLASS_ADMIN, "kinesis:DeleteStream", kms_op_delete_stream, false},
	ROW(SPLIT_SHARD) = {KMS_CLASS_ADMIN, "kinesis:SplitShard", kms_op_split_shard, false},
	ROW(MERGE_SHARDS) = {KMS_CLASS_ADMIN, "kinesis:MergeShards", kms_op_merge_shards, false},
	ROW(UPDATE_SHARD_COUNT) = {KMS_CLASS_ADMIN, "kinesis:UpdateShardCount",
		kms_op_update_shard_count, false},
	ROW(LIST_SHARDS) = {PEOPLE | DOORS | KMS_CLASS_DELIVER, "kinesis:ListShards",
		kms_op_list_shards, false},
	ROW(INCREASE_STREAM_RETENTION) = {KMS_CLASS_ADMIN, "kinesis:IncreaseStreamRetentionPeriod",
		kms_op_increase_stream_retention, false},
	ROW(DECREASE_STREAM_RETENTION) = {KMS_CLASS_ADMIN, "kinesis:DecreaseStreamRetentionPeriod",
		kms_op_decrease_stream_retention, false},
	ROW(START_STREAM_ENCRYPTION) = {KMS_CLASS_ADMIN, "kinesis:StartStreamEncryption",
		kms_op_start_stream_encryption, false},
	ROW(STOP_STREAM_ENCRYPTION) = {KMS_CLASS_ADMIN, "kinesis:StopStreamEncryption",
		kms_op_stop_stream_encryption, false},
	ROW(ADD_TAGS_TO_STREAM) = {KMS_CLASS_ADMIN, "kinesis:AddTagsToStream",
		kms_op_add_tags_to_stream, false},
	ROW(REMOVE_TAGS_FROM_STREAM) = {KMS_CLASS_ADMIN, "kinesis:RemoveTagsFromStream",
		kms_op_remove_tags_from_stream, false},
	ROW(LIST_TAGS_FOR_STREAM) = {PEOPLE, "kinesis:ListTagsForStream",
		kms_op_list_tags_for_stream, false},
	ROW(UPDATE_STREAM_MODE) = {KMS_CLASS_ADMIN, "kinesis:UpdateStreamMode",
		kms_op_update_stream_mode, false},
	ROW(DESCRIBE_LIMITS) = {PEOPLE, "kinesis:DescribeLimits", kms_op_describe_limits, false},
	ROW(STREAM_CHANGED) = {KMS_CLASS_DOOR, "sealock:StreamChanged", kms_op_stream_changed,
		false},
	ROW(WATCH_STREAMS) = {DOORS | KMS_CLASS_DELIVER, "sealock:WatchStreams",
		kms_op_watch_streams, true},
	ROW(CREATE_DELIVERY_STREAM) = {KMS_CLASS_ADMIN, "firehose:CreateDeliveryStream",
		kms_op_create_delivery_stream, false},
	ROW(DESCRIBE_DELIVERY_STREAM) = {PEOPLE | KMS_CLASS_GATEWAY,
		"firehose:DescribeDeliveryStream", kms_op_describe_delivery_stream, false},
	ROW(LIST_DELIVERY_STREAMS) = {PEOPLE | KMS_CLASS_DELIVER, "firehose:ListDeliveryStreams",
		kms_op_list_delivery_streams, false},
	ROW(UPDATE_DESTINATION) = {KMS_CLASS_ADMIN, "firehose:UpdateDestination",
		kms_op_update_destination, false},
	ROW(DELETE_DELIVERY_STREAM) = {KMS_CLASS_ADMIN, "firehose:DeleteDeliveryStream",
		kms_op_delete_delivery_stream, false},
	ROW(START_DELIVERY_STREAM_ENCRYPTION) = {KMS_CLASS_ADMIN,
		"firehose:StartDeliveryStreamEncryption", kms_op_start_delivery_stream_encryption,
		false},
	ROW(STOP_DELIVERY_STREAM_ENCRYPTION) = {KMS_CLASS_ADMIN,
		"firehose:StopDeliveryStreamEncryption", kms_op_stop_delivery_stream_encryption,
		false},
	ROW(TAG_DELIVERY_STREAM) = {KMS_CLASS_ADMIN, "firehose:TagDeliveryStream",
		kms_op_tag_delivery_stream, false},
	ROW(UNTAG_DELIVERY_STREAM) = {KMS_CLASS_ADMIN, "firehose:UntagDeliveryStream",
		kms_op_untag_delivery_stream, false},
	ROW(LIST_TAGS_FOR_DELIVERY_STREAM) = {PEOPLE, "firehose:ListTagsForDeliveryStream",
		kms_op_list_tags_for_delivery_stream, false},
	ROW(DELIVERY_WORK) = {KMS_CLASS_DELIVER, "sealock:DeliveryWork", kms_op_delivery_work,
		false},
	ROW(DELIVERY_STATE) = {KMS_CLASS_DELIVER, "sealock:DeliveryState", kms_op_delivery_state,
		false},
	ROW(ASSUME_DELIVERY_ROLE) = {KMS_CLASS_DELIVER, "sts:AssumeRole",
		kms_op_assume_delivery_role, false},
	ROW(DELIVERY_CHANGES) = {KMS_CLASS_DELIVER, "sealock:DeliveryChanges",
		kms_op_delivery_changes, true},
	ROW(GENERATE_STREAM_KEY) = {KMS_CLASS_DOOR, "kms:GenerateDataKey",
		kms_op_generate_stream_key, false},
	ROW(AUTHORIZE) = {KMS_CLASS_DOOR | KMS_CLASS_GATEWAY, "sealock:Authorize", kms_op_authorize,
		false},
	ROW(ATTEST) = {KMS_CLASS_ADMIN | KMS_CLASS_DOOR, "sealock:Attest", kms_op_attest, false},
	/* Those about a user or a role have the action for a role in place of that for a user. */
	ROW(CREATE_USER) = {KMS_CLASS_ADMIN, "iam:CreateUser", kms_op_create_user, false},
	ROW(CREATE_ROLE) = {KMS_CLASS_ADMIN, "iam:CreateRole", kms_op_create_role, false},
	ROW(GET_IDENTITY) = {KMS_CLASS_ADMIN, "iam:GetUser", kms_op_get_identity, false},
	ROW(LIST_USERS) = {KMS_CLASS_ADMIN, "iam:ListUsers", kms_op_list_users, false},
	ROW(LIST_ROLES) = {KMS_CLASS_ADMIN, "iam:ListRoles", kms_op_list_roles, false},
	ROW(DELETE_IDENTITY) = {KMS_CLASS_ADMIN, "iam:DeleteUser", kms_op_delete_identity, false},
	ROW(TAG_IDENTITY) = {KMS_CLASS_ADMIN, "iam:TagUser", kms_op_tag_identity, false},
	ROW(UNTAG_IDENTITY) = {KMS_CLASS_ADMIN, "iam:UntagUser", kms_op_untag_identity, false},
	ROW(UPDATE_TRUST_POLICY) = {KMS_CLASS_ADMIN, "iam:UpdateAssumeRolePolicy",
		kms_op_update_trust_policy, false},
	ROW(PUT_INLINE_POLICY) = {KMS_CLASS_ADMIN, "iam:PutUserPolicy", kms_op_put_inline_policy,
		false},
	ROW(GET_INLINE_POLICY) = {KMS_CLASS_ADMIN, "iam:GetUserPolicy", kms_op_get_inline_policy,
		false},
	ROW(DELETE_INLINE_POLICY) = {KMS_CLASS_ADMIN, "iam:DeleteUserPolicy",
		kms_op_delete_inline_policy, false},
	ROW(LIST_INLINE_POLICIES) = {KMS_CLASS_ADMIN, "iam:ListUserPolicies",
		kms_op_list_inline_policies, false},
	ROW(CREATE_POLICY) = {KMS_CLASS_ADMIN, "iam:CreatePolicy", kms_op_create_policy, false},
	ROW(GET_POLICY) = {KMS_CLASS_ADMIN, "iam:GetPolicy", kms_op_get_policy, false},
	ROW(UPDATE_POLICY) = {KMS_CLASS_ADMIN, "iam:CreatePolicyVersion", kms_op_update_policy,
		false},
	ROW(DELETE_POLICY) = {KMS_CLASS_ADMIN, "iam:DeletePolicy", kms_op_delete_policy, false},
	ROW(LIST_POLICIES) = {KMS_CLASS_ADMIN, "iam:ListPolicies", kms_op_list_policies, false},
	ROW(ATTACH_POLICY) = {KMS_CLASS_ADMIN, "iam:AttachUserPolicy", kms_op_attach_policy, false},
	ROW(DETACH_POLICY) = {KMS_CLASS_ADMIN, "iam:DetachUserPolicy", kms_op_detach_policy, false},
	ROW(LIST_ATTACHED_POLICIES) = {KMS_CLASS_ADMIN, "iam:ListAttachedUserPolicies",
		kms_op_list_attached_policies, false},
	ROW(LIST_POLICY_HOLDERS) = {KMS_CLASS_ADMIN, "iam:ListEntitiesForPolicy",
		kms_op_list_policy_holders, false},
	ROW(PUT_BOUNDARY) = {KMS_CLASS_ADMIN, "iam:PutUserPermissionsBoundary", kms_op_put_boundary,
		false},
	ROW(DELETE_BOUNDARY) = {KMS_CLASS_ADMIN, "iam:DeleteUserPermissionsBoundary",
		kms_op_delete_boundary, false},
	ROW(PUT_KEY_POLICY) = {KMS_CLASS_ADMIN, "kms:PutKeyPolicy", kms_op_put_key_policy, false},
	ROW(GET_KEY_POLICY) = {PEOPLE, "kms:GetKeyPolicy", kms_op_get_key_policy, false},
	ROW(LIST_KEY_POLICIES) = {PEOPLE, "kms:ListKeyPolicies", kms_op_list_key_policies, false},
	ROW(PUT_RESOURCE_POLICY) = {KMS_CLASS_ADMIN, "kinesis:PutResourcePolicy",
		kms_op_put_resource_policy, false},
	ROW(GET_RESOURCE_POLICY) = {PEOPLE, "kinesis:GetResourcePolicy", kms_op_get_resource_policy,
		false},
	ROW(DELETE_RESOURCE_POLICY) = {KMS_CLASS_ADMIN, "kinesis:DeleteResourcePolicy",
		kms_op_delete_resource_policy, false},
	ROW(EXPLAIN) = {KMS_CLASS_ADMIN, "sealock:Explain", kms_op_explain, false},
	ROW(CREATE_ACCESS_KEY) = {KMS_CLASS_ADMIN, "iam:CreateAccessKey", kms_op_create_access_key,
		false},
	ROW(LIST_ACCESS_KEYS) = {KMS_CLASS_ADMIN, "iam:ListAccessKeys", kms_op_list_access_keys,
		false},
	ROW(UPDATE_ACCESS_KEY) = {KMS_CLASS_ADMIN, "iam:UpdateAccessKey", kms_op_update_access_key,
		false},
	ROW(DELETE_ACCESS_KEY) = {KMS_CLASS_ADMIN, "iam:DeleteAccessKey", kms_op_delete_access_key,
		false},
	ROW(ASSUME_ROLE) = {PEOPLE, "sts:AssumeRole", kms_op_assume_role, false},
	ROW(GET_CALLER_IDENTITY) = {PEOPLE, "sts:GetCallerIdentity", kms_op_get_caller_identity,
		false},
	ROW(GET_SESSION_TOKEN) = {PEOPLE, "sts:GetSessionToken", kms_op_get_session_token, false},
	ROW(DERIVE_SIGNING_KEY) = {KMS_CLASS_GATEWAY, "sealock:DeriveSigningKey",
		kms_op_derive_signing_key, false},
	ROW(LIST_PROPOSALS) = {KMS_CLASS_ADMIN, "sealock:ListProposals", kms_op_list_proposals,
		false},
	ROW(GET_PROPOSAL) = {KMS_CLASS_ADMIN, "sealock:GetProposal", kms_op_get_proposal, false},
	ROW(APPROVE_PROPOSAL) = {KMS_CLASS_ADMIN, "sealock:ApproveProposal",
		kms_op_approve_proposal, false},
	ROW(REJECT_PROPOSAL) = {KMS_CLASS_ADMIN, "sealock:RejectProposal", kms_op_reject_proposal,
		false},
	ROW(INSPECT_KEY) = {KMS_CLASS_ADMIN, "sealock:InspectKey", kms_op_inspect_key, false},
	ROW(ABOUT) = {KMS_CLASS_ADMIN, "sealock:About", kms_op_about, false},
	ROW(STATUS) = {ANYBODY_AT_ALL, "sealock:Status", kms_op_status, true},
};

static const struct kms_row no_row = {0, "(unknown)", NULL, false};

static void
free_members(struct kms_service *s)
{
	kms_sessions_free(s->sessions);
	kms_gcm_free(s->gcm);
	kms_hmac_free(s->hmac);
	kms_grants_free(s->grants);
	kms_decisions_free(s->decisions);
	kms_iam_free(s->iam);
	kms_digests_free(s->digests);
}

static void
note_kernel(struct kms_service *s)
{
	struct utsname u;

	if (uname(&u) == 0)
		(void)snprintf(s->kernel, sizeof(s->kernel), "%.60s %.60s %.70s %.60s", u.sysname,
			u.release, u.version, u.machine);
}

int
kms_service_new(const struct kms_service_parts *parts, struct kms_service **out_service)
{
	struct kms_service *s = calloc(1, sizeof(*s));
	struct slk_error err = {0};

	if (s == NULL)
		return SLK_NO_MEMORY;
	int rc = kms_digests_new(&s->digests);
	if (rc == SLK_OK)
		rc = kms_iam_new(parts->policy, parts->catalog, &s->iam);
	if (rc == SLK_OK)
		rc = kms_decisions_new(&s->decisions);
	if (rc == SLK_OK)
		rc = kms_grants_new(parts->catalog, &s->grants, &err);
	if (rc == SLK_OK)
		rc = kms_hmac_new(s->digests, &s->hmac);
	if (rc == SLK_OK)
		rc = kms_gcm_new(&s->gcm);
	if (rc == SLK_OK)
		rc = kms_sessions_new(s->hmac, s->gcm, &s->sessions);
	if (rc != SLK_OK) {
		if (err.text[0] != '\0')
			slk_error_log("kmsd cannot start", slk_kv("error", (const char *)err.text));
		free_members(s);
		free(s);
		return rc;
	}
	s->parts = *parts;
	STAILQ_INIT(&s->finished);
	STAILQ_INIT(&s->flushing);
	STAILQ_INIT(&s->waiters);
	STAILQ_INIT(&s->watchers);
	LIST_INIT(&s->makers);
	s->mono_start_ns = s->mono_counted_ns = slk_mono_ns(parts->clock);
	s->stream_changes = s->right_changes = s->delivery_changes = slk_wall_ns(parts->clock);
	s->health.state = HSM_NO_WORKER;
	s->workers_count = parts->workers_count != 0 ? parts->workers_count : 1;
	for (uint32_t i = 0; i < HSM_WORKERS_MAX; i++) {
		s->workers[i] = (struct kms_hsm_worker){.service = s, .index = i};
		s->workers[i].health.state = HSM_NO_WORKER;
	}
	note_kernel(s);
	kms_chores_want(s);
	s->audit_ok = true;
	kms_heads_init(&s->heads, s, parts->head_interval_s, parts->head_lines);
	*out_service = s;
	return SLK_OK;
}

static void settle(struct kms_service *s, bool wait);
static void give_answers(struct kms_service *s, int rc, const struct slk_error *err);

void
kms_service_free(struct kms_service *service)
{
	struct slk_error err = {0};

	if (service == NULL)
		return;
	service->stopping = true;
	while (!STAILQ_EMPTY(&service->waiters)) {
		struct kms_call *call = STAILQ_FIRST(&service->waiters);
		STAILQ_REMOVE_HEAD(&service->waiters, entry);
		kms_call_fail(call, SLK_UNAVAILABLE, "KeyUnavailableException",
			"sealock-kmsd is stopping");
	}
	kms_watch_turn(service, true);
	settle(service, true);
	STAILQ_CONCAT(&service->flushing, &service->finished);
	give_answers(service, kms_audit_flush(service->parts.audit, &err), &err);
	free_members(service);
	free(service);
}

/* --- beginning --- */

static void
call_free(struct kms_call *call)
{
	fmt_context_free(call->context);
	fmt_context_free(call->from_context);
	slk_secret_free(call->frame);
	slk_secret_free(call->held);
	slk_secret_free(call->kept);
	slk_secret_free(call->found);
	free(call->work);
	free(call->proposal);
	free(call);
}

static void
set_deadline(struct kms_call *call, uint32_t timeout_ms)
{
	if (timeout_ms == 0)
		timeout_ms = TIMEOUT_DEFAULT_MS;
	if (timeout_ms > TIMEOUT_MAX_MS)
		timeout_ms = TIMEOUT_MAX_MS;
	call->mono_deadline_ns =
		slk_mono_ns(call->service->parts.clock) + timeout_ms * SLK_NS_PER_MS;
}

static void
refuse_class(struct kms_call *call)
{
	if (call->classes == 0)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"uid %u is no principal of this KMS and is not authorized to perform: %s; "
			"an administrator "
			"may list it under principals: in the configuration of sealock-kmsd",
			(unsigned)call->peer.uid, call->action);
	else if ((call->row->classes & ~(unsigned)KMS_CLASS_GATEWAY) == KMS_CLASS_DOOR)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s; this request is for ingestd "
			"only",
			call->principal, call->action);
	else if (call->row->classes == KMS_CLASS_GATEWAY)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s; this request is for the "
			"gateway only: gateway_user: in the configuration of sealock-kmsd",
			call->principal, call->action);
	else if (call->row->classes == KMS_CLASS_DELIVER)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s; this request is for deliverd "
			"only: deliver_user: in the configuration of sealock-kmsd",
			call->principal, call->action);
	else if (call->classes == KMS_CLASS_DELIVER)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"deliverd is not authorized to perform: %s; it asks for what it delivers "
			"under the roles of delivery streams",
			call->action);
	else if (call->classes == KMS_CLASS_GATEWAY)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"the gateway is not authorized to perform: %s; it has no rights of its "
			"own, and names the caller for whom it asks",
			call->action);
	else if (call->row->classes == KMS_CLASS_ADMIN)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s; this is an administrative "
			"request and uid %u is "
			"not among admins: in the configuration of sealock-kmsd",
			call->principal, call->action, (unsigned)call->peer.uid);
	else
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s; ingestd holds the keys of what "
			"it writes only",
			call->principal, call->action);
}

static void
identify(struct kms_call *call)
{
	const struct kms_principals *principals = call->service->parts.principals;
	const char *arn = kms_principals_arn(principals, call->peer.uid);

	call->classes = kms_principals_classes(principals, call->peer.uid);
	call->door = (call->classes & KMS_CLASS_DOOR) != 0 ? "ingestd" : "gateway";
	if (arn == NULL && (call->classes & KMS_CLASS_DOOR) != 0)
		arn = KMS_SERVICE_PRINCIPAL;
	else if (arn == NULL && (call->classes & KMS_CLASS_DELIVER) != 0)
		arn = KMS_DELIVERY_PRINCIPAL;
	(void)snprintf(call->principal, sizeof(call->principal), "%s", arn != NULL ? arn : "");
}

static int
new_request_id(struct kms_service *s, char out[FMT_UUID_TEXT])
{
	if (s->ids_left == 0) {
		int rc = slk_random(s->ids, sizeof(s->ids));
		if (rc != SLK_OK)
			return rc;
		s->ids_left = KMS_IDS_AHEAD;
	}
	uint8_t *id = s->ids[--s->ids_left];
	fmt_uuid_mark(id);
	fmt_uuid_print(id, out);
	return SLK_OK;
}

/* The call's caller is known. */
static void
carry_out(struct kms_call *call, const Kmsp__Request *request)
{
	call->request = request;
	if (!call->for_caller && (call->classes & call->row->classes) == 0)
		refuse_class(call); /* of a caller kms_caller_may() has told */
	else if (call->correlation[0] == '\0' && request->correlation[0] != '\0')
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"a correlation id has at most %u bytes", KMS_CORRELATION_MAX - 1);
	else if (kms_audit_low(call->service->parts.audit) && !call->row->silent)
		kms_call_fail(call, SLK_UNAVAILABLE, "KMSInternalException",
			"the disk of the audit log is full; nothing is given out until it has "
			"room");
	else if (kms_call_check_tokens(call, request->grant_tokens, request->n_grant_tokens) ==
		SLK_OK)
		call->row->handler(call, request);
	call->facts = (struct kms_facts){.key = NULL}; /* they end with the request */
	call->request = NULL; /* the caller's */
}

static void again(struct kms_call *call);

/* For the caller whom the gateway names; its session is there as long as its request is. */
static void
carry_out_for(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_session_parts *parts = NULL;

	if (kms_caller_take(call, request, again, &parts) == SLK_OK)
		carry_out(call, request);
	call->session = NULL;
	kms_session_view_free(parts);
}

/* What the call waited for is there now. */
static void
again(struct kms_call *call)
{
	struct kmsp_arena *arena = NULL;
	const Kmsp__Request *request = NULL;

	int rc = kmsp_arena_new(&arena);
	if (rc == SLK_OK)
		rc = kmsp_request_unpack(
			arena, slk_span(slk_secret_peek(call->kept), call->kept_len), &request);
	if (rc == SLK_OK && request->caller == NULL)
		carry_out(call, request);
	else if (rc == SLK_OK)
		carry_out_for(call, request);
	else
		kms_call_fail(call, rc == SLK_NO_MEMORY ? rc : SLK_INTERNAL, "KMSInternalException",
			"the request cannot be begun anew: %s", slk_status_sentence(rc));
	kmsp_arena_free(arena);
}

void
kms_call_again(struct kms_call *call)
{
	again(call);
}

int
kms_service_handle(struct kms_service *service, const struct slk_peer *peer,
	const Kmsp__Request *request, kms_answer_fn answer, void *arg)
{
	struct kms_call *call = calloc(1, sizeof(*call));

	if (call == NULL || new_request_id(service, call->request_id) != SLK_OK) {
		free(call);
		return SLK_NO_MEMORY;
	}
	call->service = service;
	call->answer = answer;
	call->arg = arg;
	call->id = request->id;
	call->peer = *peer;
	set_deadline(call, request->timeout_ms);
	size_t index = (size_t)request->call_case;
	call->row = index < sizeof(rows) / sizeof(rows[0]) && rows[index].handler != NULL
		? &rows[index]
		: &no_row;
	call->action = call->row->action;
	identify(call);
	if (strlen(request->correlation) < sizeof(call->correlation))
		(void)strcpy(call->correlation, request->correlation);
	if (request->caller == NULL)
		carry_out(call, request);
	else if ((call->classes & (KMS_CLASS_GATEWAY | KMS_CLASS_DELIVER)) == 0)
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"uid %u may not ask for %s in the name of another caller: this is for the "
			"gateway only",
			(unsigned)call->peer.uid, call->action);
	else if (!kms_caller_may(call->row, call->classes))
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"%s may not ask for %s in the name of a caller",
			(call->classes & KMS_CLASS_GATEWAY) != 0 ? "the gateway" : "deliverd",
			call->action);
	else
		carry_out_for(call, request);
	return SLK_OK;
}

/* --- turns --- */

/* The audit lines of what was flushing are on the disk, or could not be brought there. */
static void
give_answers(struct kms_service *s, int rc, const struct slk_error *err)
{
	if (rc != SLK_OK && s->audit_ok)
		slk_error_log("audit log failed, requests are refused",
			slk_kv("error", (const char *)err->text));
	s->audit_ok = rc == SLK_OK;
	while (!STAILQ_EMPTY(&s->flushing)) {
		struct kms_call *call = STAILQ_FIRST(&s->flushing);
		STAILQ_REMOVE_HEAD(&s->flushing, entry);
		if (rc != SLK_OK && (call->status != SLK_OK || !call->row->silent))
			kms_call_withdraw(call);
		struct slk_secret *frame = call->frame;
		call->frame = NULL; /* the receiver's */
		call->answer(call->arg, frame);
		call_free(call);
	}
}

/* Has the flush that goes on ended? */
static void
settle(struct kms_service *s, bool wait)
{
	struct slk_error err = {0};

	if (!s->audit_going)
		return;
	int rc = wait ? kms_audit_flush(s->parts.audit, &err)
		      : kms_audit_poll(s->parts.audit, 0, &err);
	s->audit_going = rc == SLK_AGAIN;
	if (rc != SLK_AGAIN)
		give_answers(s, rc, &err);
}

void
kms_service_flush(struct kms_service *service)
{
	struct slk_error err = {0};

	bool answered = service->audit_going;
	kms_watch_turn(service, false);
	settle(service, false);
	answered = answered && !service->audit_going;
	if (service->audit_going ||
		(STAILQ_EMPTY(&service->finished) && !kms_audit_waits(service->parts.audit)))
		return;
	STAILQ_CONCAT(&service->flushing, &service->finished);
	int rc = kms_audit_begin(service->parts.audit, &err);
	/* A lone call has nothing to overlap with, and is answered soonest from here. Answers that were given just now leave
	 * at the end of the turn, and whoever gets them may have more to ask. */
	if (rc == SLK_AGAIN && !answered && hsm_link_pending_count(service->parts.link) == 0)
		rc = kms_audit_poll(service->parts.audit, LONE_WAIT_NS, &err);
	service->audit_going = rc == SLK_AGAIN;
	if (rc != SLK_AGAIN)
		give_answers(service, rc, &err);
}

uint64_t
kms_service_wake_ns(const struct kms_service *service)
{
	uint64_t audit = kms_audit_wake_ns(service->parts.audit);
	uint64_t watch = kms_watch_wake_ns(service);

	return audit < watch ? audit : watch;
}

void
kms_service_stop(struct kms_service *service)
{
	kms_heads_stop(&service->heads);
	kms_watch_turn(service, true);
}

bool
kms_service_quiet(const struct kms_service *service)
{
	return kms_heads_quiet(&service->heads) && !service->audit_going &&
		!kms_audit_waits(service->parts.audit);
}

static void
take_health(struct kms_hsm_worker *w, const struct hsm_reply *reply)
{
	if (reply->status == SLK_OK) {
		w->health = reply->health;
	} else {
		w->health.state = HSM_LOST;
		(void)snprintf(w->health.text, sizeof(w->health.text),
			"the HSM worker does not answer: %.200s", reply->error);
	}
	if (reply->status == SLK_OK && w->health.worker_pid != 0 &&
		w->health.worker_pid != w->pid) {
		w->service->worker_restarts += w->pid != 0;
		w->pid = w->health.worker_pid;
	}
}

/* One HSM, whoever of the workers is asked: ready if one of them is, and their counters added up. */
static void
sum_health(struct kms_service *s)
{
	const struct hsm_health *speaker = &s->workers[0].health; /* there is always one */
	struct hsm_health sum;

	s->workers_ready_count = 0;
	for (uint32_t i = 0; i < s->workers_count; i++) {
		const struct hsm_health *h = &s->workers[i].health;
		s->workers_ready_count += h->state == HSM_READY;
		if ((h->state == HSM_READY && speaker->state != HSM_READY) ||
			(speaker->state == HSM_NO_WORKER && h->state != HSM_NO_WORKER))
			speaker = h;
	}
	sum = *speaker;
	sum.calls_count = sum.failures_count = sum.logins_count = sum.recoveries_count = 0;
	for (uint32_t i = 0; i < s->workers_count; i++) {
		const struct hsm_health *h = &s->workers[i].health;
		sum.calls_count += h->calls_count;
		sum.failures_count += h->failures_count;
		sum.logins_count += h->logins_count;
		sum.recoveries_count += h->recoveries_count;
	}
	s->health = sum;
	if (sum.algorithms != 0)
		s->able_algorithms = sum.algorithms;
}

static void
on_health(void *arg, const struct hsm_reply *reply)
{
	struct kms_hsm_worker *w = arg;
	struct kms_service *s = w->service;
	bool was_ready = s->health.state == HSM_READY;

	w->asked = false;
	take_health(w, reply);
	sum_health(s);
	if (s->health.state == HSM_READY && !was_ready)
		slk_info("HSM is ready", slk_kv("token", (const char *)s->health.token_label));
	else if (s->health.state != HSM_READY && was_ready)
		slk_warn("HSM is not available", slk_kv("error", (const char *)s->health.text));
	if (s->health.state == HSM_READY && !was_ready)
		kms_chores_want(s);
	kms_chores_run(s);
}

void
kms_service_tick(struct kms_service *service)
{
	kms_audit_tick(service->parts.audit);
	if (!kms_audit_low(service->parts.audit))
		kms_chores_tick(service);
	kms_heads_tick(&service->heads);
	for (uint32_t i = 0; i < service->workers_count; i++) {
		struct kms_hsm_worker *w = &service->workers[i];
		const struct hsm_request request = {.op = HSM_STATUS,
			.worker_index = i,
			.mono_deadline_ns = slk_mono_ns(service->parts.clock) + HEALTH_DEADLINE_NS};
		if (!w->asked &&
			hsm_link_submit(service->parts.link, &request, on_health, w) == SLK_OK)
			w->asked = true;
	}
}
