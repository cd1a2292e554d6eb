#include "policy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yajl/yajl_gen.h>

#include "principals.h"

struct statement {
	char (*principals)[KMS_ARN_MAX];
	size_t principals_count;
	struct kms_document document;
};

struct kms_policy {
	struct statement *statements;
	size_t count;
	char account[13], region[33];
	char (*known)[KMS_ARN_MAX];
	size_t known_count;
};

/* Every action that there is; one that is misspelt must not stay unnoticed in a Deny. */
static const char *const actions[] = {"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant",
	"kms:CreateKey", "kms:Decrypt", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
	"kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encrypt",
	"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateRandom",
	"kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListAliases",
	"kms:ListGrants", "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListKeys",
	"kms:ListResourceTags", "kms:ListRetirableGrants", "kms:PutKeyPolicy", "kms:ReEncryptFrom",
	"kms:ReEncryptTo", "kms:RetireGrant", "kms:RevokeGrant", "kms:RotateKeyOnDemand",
	"kms:ScheduleKeyDeletion", "kms:Sign", "kms:TagResource", "kms:UntagResource",
	"kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:Verify", "kinesis:AddTagsToStream",
	"kinesis:CreateStream", "kinesis:DecreaseStreamRetentionPeriod",
	"kinesis:DeleteResourcePolicy", "kinesis:DeleteStream", "kinesis:DeregisterStreamConsumer",
	"kinesis:DescribeLimits", "kinesis:DescribeStream", "kinesis:DescribeStreamConsumer",
	"kinesis:DescribeStreamSummary", "kinesis:DisableEnhancedMonitoring",
	"kinesis:EnableEnhancedMonitoring", "kinesis:GetRecords", "kinesis:GetResourcePolicy",
	"kinesis:GetShardIterator", "kinesis:IncreaseStreamRetentionPeriod", "kinesis:ListShards",
	"kinesis:ListStreamConsumers", "kinesis:ListStreams", "kinesis:ListTagsForResource",
	"kinesis:ListTagsForStream", "kinesis:MergeShards", "kinesis:PutRecord",
	"kinesis:PutRecords", "kinesis:PutResourcePolicy", "kinesis:RegisterStreamConsumer",
	"kinesis:RemoveTagsFromStream", "kinesis:SplitShard", "kinesis:StartStreamEncryption",
	"kinesis:StopStreamEncryption", "kinesis:SubscribeToShard", "kinesis:TagResource",
	"kinesis:UntagResource", "kinesis:UpdateShardCount", "kinesis:UpdateStreamMode",
	"firehose:CreateDeliveryStream", "firehose:DeleteDeliveryStream",
	"firehose:DescribeDeliveryStream", "firehose:ListDeliveryStreams",
	"firehose:ListTagsForDeliveryStream", "firehose:PutRecord", "firehose:PutRecordBatch",
	"firehose:StartDeliveryStreamEncryption", "firehose:StopDeliveryStreamEncryption",
	"firehose:TagDeliveryStream", "firehose:UntagDeliveryStream", "firehose:UpdateDestination",
	"iam:AttachRolePolicy", "iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreatePolicy",
	"iam:CreatePolicyVersion", "iam:CreateRole", "iam:CreateUser", "iam:DeleteAccessKey",
	"iam:DeletePolicy", "iam:DeleteRole", "iam:DeleteRolePermissionsBoundary",
	"iam:DeleteRolePolicy", "iam:DeleteUser", "iam:DeleteUserPermissionsBoundary",
	"iam:DeleteUserPolicy", "iam:DetachRolePolicy", "iam:DetachUserPolicy", "iam:GetPolicy",
	"iam:GetRole", "iam:GetRolePolicy", "iam:GetUser", "iam:GetUserPolicy",
	"iam:ListAccessKeys", "iam:ListAttachedRolePolicies", "iam:ListAttachedUserPolicies",
	"iam:ListEntitiesForPolicy", "iam:ListPolicies", "iam:ListRolePolicies", "iam:ListRoles",
	"iam:ListUserPolicies", "iam:ListUsers", "iam:PassRole", "iam:PutRolePermissionsBoundary",
	"iam:PutRolePolicy", "iam:PutUserPermissionsBoundary", "iam:PutUserPolicy", "iam:TagRole",
	"iam:TagUser", "iam:UntagRole", "iam:UntagUser", "iam:UpdateAccessKey",
	"iam:UpdateAssumeRolePolicy", "sts:AssumeRole", "sts:GetCallerIdentity",
	"sts:GetSessionToken", "sts:SetSourceIdentity", "sts:TagSession", "sealock:About",
	"sealock:ApproveProposal", "sealock:Attest", "sealock:Explain", "sealock:GetProposal",
	"sealock:InspectKey", "sealock:ListOrphans", "sealock:ListProposals",
	"sealock:RejectProposal"};

static bool
same(char a, char b, bool ignore_case)
{
	return ignore_case ? tolower((unsigned char)a) == tolower((unsigned char)b) : a == b;
}

/* Backtracks to the last * only, so the time is bounded by the product of both lengths. */
bool
kms_pattern_match(const char *pattern, const char *text, bool ignore_case)
{
	const char *star = NULL, *mark = NULL;

	while (*text != '\0') {
		if (*pattern == '*') {
			star = pattern++;
			mark = text;
		} else if (*pattern == '?' ||
			(*pattern != '\0' && same(*pattern, *text, ignore_case))) {
			pattern++;
			text++;
		} else if (star != NULL) {
			pattern = star + 1;
			text = ++mark;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

const char *
kms_policy_action(size_t index)
{
	return index < sizeof(actions) / sizeof(actions[0]) ? actions[index] : NULL;
}

static int
check_action(const char *pattern, struct slk_error *err)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (kms_pattern_match(pattern, actions[i], true))
			return SLK_OK;
	return slk_fail(err, SLK_CONFIG,
		"policy: '%s' matches no action; write for instance kms:Decrypt, kinesis:PutRecord "
		"or kms:*",
		pattern);
}

static int
check_actions(const struct kms_config_statement *in, struct slk_error *err)
{
	for (uint32_t i = 0; i < in->actions_count; i++) {
		int rc = check_action(in->actions[i], err);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

static int
compile_principals(const struct kms_config_statement *in, const struct kms_realm *realm,
	struct statement *out, struct slk_error *err)
{
	out->principals = calloc(in->principals_count, sizeof(*out->principals));
	if (out->principals == NULL)
		return SLK_NO_MEMORY;
	for (; out->principals_count < in->principals_count; out->principals_count++) {
		const char *text = in->principals[out->principals_count];
		/* A service principal has no ARN. */
		if (kms_is_service_principal(text))
			strcpy(out->principals[out->principals_count], text);
		else if (kms_arn_principal(realm, text, out->principals[out->principals_count]) !=
			SLK_OK)
			return slk_fail(err, SLK_CONFIG,
				"policy: principal '%s' is not user/NAME, role/NAME, root, an ARN "
				"or *",
				text);
	}
	return SLK_OK;
}

/* --- a statement as a document --- */

static void
put_text(yajl_gen g, const char *text)
{
	(void)yajl_gen_string(g, (const unsigned char *)text, strlen(text));
}

static int
put_resources(yajl_gen g, const struct kms_config_statement *in, const struct kms_realm *realm,
	struct slk_error *err)
{
	char arn[KMS_ARN_MAX];

	put_text(g, "Resource");
	(void)yajl_gen_array_open(g);
	for (uint32_t i = 0; i < in->resources_count; i++) {
		if (kms_arn_resource(realm, in->resources[i], arn) != SLK_OK)
			return slk_fail(err, SLK_CONFIG,
				"policy: resource '%s' is not key/ID, alias/NAME, stream/NAME, "
				"deliverystream/NAME, user/NAME, role/NAME, policy/NAME, an ARN or "
				"*",
				in->resources[i]);
		put_text(g, arn);
	}
	(void)yajl_gen_array_close(g);
	return SLK_OK;
}

/* Version 2008-10-17, in which a "${" is no variable. */
static int
put_statement(yajl_gen g, const struct kms_config_statement *in, const struct kms_realm *realm,
	struct slk_error *err)
{
	(void)yajl_gen_map_open(g);
	put_text(g, "Version");
	put_text(g, "2008-10-17");
	put_text(g, "Statement");
	(void)yajl_gen_map_open(g);
	put_text(g, "Sid");
	put_text(g, in->sid != NULL ? in->sid : "");
	put_text(g, "Effect");
	put_text(g, in->effect);
	put_text(g, "Action");
	(void)yajl_gen_array_open(g);
	for (uint32_t i = 0; i < in->actions_count; i++)
		put_text(g, in->actions[i]);
	(void)yajl_gen_array_close(g);
	int rc = put_resources(g, in, realm, err);
	(void)yajl_gen_map_close(g);
	(void)yajl_gen_map_close(g);
	return rc;
}

static int
parse_statement(yajl_gen g, const struct kms_config_statement *in, struct statement *out,
	struct slk_error *err)
{
	const unsigned char *json = NULL;
	struct pol_problem problem;
	size_t len = 0;

	/* Its buffer is terminated. Text that is no UTF-8 shows here. */
	if (yajl_gen_get_buf(g, &json, &len) != yajl_gen_status_ok)
		return SLK_NO_MEMORY;
	int rc = kms_document_parse((const char *)json, POL_IDENTITY, &out->document, &problem);
	if (rc == SLK_OK || rc == SLK_NO_MEMORY)
		return rc;
	return slk_fail(err, SLK_CONFIG, "policy: statement '%s': %s",
		in->sid != NULL ? in->sid : "(without a sid)", problem.text);
}

static int
compile(const struct kms_config_statement *in, const struct kms_realm *realm, struct statement *out,
	struct slk_error *err)
{
	if (strcmp(in->effect, "Allow") != 0 && strcmp(in->effect, "Deny") != 0)
		return slk_fail(err, SLK_CONFIG, "policy: effect '%s' is neither Allow nor Deny",
			in->effect);
	int rc = check_actions(in, err);
	if (rc == SLK_OK)
		rc = compile_principals(in, realm, out, err);
	if (rc != SLK_OK)
		return rc;
	yajl_gen g = yajl_gen_alloc(NULL);
	if (g == NULL)
		return SLK_NO_MEMORY;
	(void)yajl_gen_config(g, yajl_gen_validate_utf8, 0);
	rc = put_statement(g, in, realm, err);
	if (rc == SLK_OK)
		rc = parse_statement(g, in, out, err);
	yajl_gen_free(g);
	return rc;
}

/* --- principals --- */

/* A malformed one is refused by kms_principals_new(). */
static void
know(struct kms_policy *p, const struct kms_realm *realm, const char *text)
{
	char *out = p->known[p->known_count];

	if (kms_arn_principal(realm, text, out) != SLK_OK)
		return;
	for (size_t i = 0; i < p->known_count; i++)
		if (strcmp(p->known[i], out) == 0)
			return;
	p->known_count++;
}

static int
know_all(struct kms_policy *p, const struct kms_config *config, const struct kms_realm *realm)
{
	p->known = calloc(
		(size_t)config->principals_count + config->roles_count + 3, sizeof(*p->known));
	if (p->known == NULL)
		return SLK_NO_MEMORY;
	strcpy(p->known[p->known_count++], KMS_SERVICE_PRINCIPAL);
	strcpy(p->known[p->known_count++], KMS_DELIVERY_PRINCIPAL);
	know(p, realm, "root");
	for (uint32_t i = 0; i < config->principals_count; i++)
		know(p, realm, config->principals[i].arn);
	for (uint32_t i = 0; i < config->roles_count; i++)
		know(p, realm, config->roles[i]);
	return SLK_OK;
}

int
kms_policy_new(
	const struct kms_config *config, struct kms_policy **out_policy, struct slk_error *err)
{
	const struct kms_realm realm = {config->account, config->region};
	struct kms_policy *p = calloc(1, sizeof(*p));
	int rc = SLK_NO_MEMORY;

	if (p == NULL)
		return slk_fail(err, rc, "out of memory");
	p->statements = calloc(config->policy_count + 1, sizeof(*p->statements));
	if (p->statements != NULL)
		rc = know_all(p, config, &realm);
	(void)snprintf(p->account, sizeof(p->account), "%s", config->account);
	(void)snprintf(p->region, sizeof(p->region), "%s", config->region);
	for (uint32_t i = 0; rc == SLK_OK && i < config->policy_count; i++)
		rc = compile(&config->policy[i], &realm, &p->statements[p->count++], err);
	if (rc != SLK_OK) {
		if (rc == SLK_NO_MEMORY)
			(void)slk_fail(err, rc, "out of memory");
		kms_policy_free(p);
		return rc;
	}
	*out_policy = p;
	return SLK_OK;
}

void
kms_policy_free(struct kms_policy *policy)
{
	if (policy == NULL)
		return;
	for (size_t i = 0; i < policy->count; i++) {
		free(policy->statements[i].principals);
		kms_document_free(&policy->statements[i].document);
	}
	free(policy->statements);
	free(policy->known);
	free(policy);
}

struct kms_realm
kms_policy_realm(const struct kms_policy *policy)
{
	return (struct kms_realm){policy->account, policy->region};
}

const char *
kms_policy_principal(const struct kms_policy *policy, size_t index)
{
	return index < policy->known_count ? policy->known[index] : NULL;
}

static bool
names(const struct statement *s, const char *principal)
{
	for (size_t i = 0; i < s->principals_count; i++)
		if (kms_pattern_match(s->principals[i], principal, false))
			return true;
	return false;
}

size_t
kms_policy_documents(const struct kms_policy *policy, const char *principal,
	const struct kms_document **out, size_t cap)
{
	size_t count = 0;

	for (size_t i = 0; i < policy->count; i++) {
		if (!names(&policy->statements[i], principal))
			continue;
		if (count < cap)
			out[count] = &policy->statements[i].document;
		count++;
	}
	return count;
}
