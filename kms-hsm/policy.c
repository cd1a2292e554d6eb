#include "policy.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct statement {
	bool deny;
	char *sid;
	char (*principals)[KMS_ARN_MAX];
	char (*resources)[KMS_ARN_MAX];
	char **actions;
	size_t principals_count, resources_count, actions_count;
};

struct kms_policy {
	struct statement *statements;
	size_t count;
};

/* Every action that there is; one that is misspelt must not stay unnoticed in a Deny. */
static const char *const actions[] = {"kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateKey",
	"kms:Decrypt", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey",
	"kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation", "kms:Encrypt",
	"kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:GenerateRandom",
	"kms:GetKeyRotationStatus", "kms:GetPublicKey", "kms:ListAliases", "kms:ListKeyRotations",
	"kms:ListKeys", "kms:ListResourceTags", "kms:ReEncryptFrom", "kms:ReEncryptTo",
	"kms:RotateKeyOnDemand", "kms:ScheduleKeyDeletion", "kms:Sign", "kms:TagResource",
	"kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription", "kms:Verify",
	"kinesis:CreateStream", "kinesis:DeleteStream", "kinesis:DescribeStream",
	"kinesis:GetRecords", "kinesis:ListStreams", "kinesis:PutRecord", "sealock:Attest",
	"sealock:ListOrphans"};

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
compile_actions(const struct kms_config_statement *in, struct statement *out, struct slk_error *err)
{
	out->actions = calloc(in->actions_count, sizeof(*out->actions));
	if (out->actions == NULL)
		return SLK_NO_MEMORY;
	for (uint32_t i = 0; i < in->actions_count; i++) {
		int rc = check_action(in->actions[i], err);
		if (rc != SLK_OK)
			return rc;
		out->actions[i] = strdup(in->actions[i]);
		if (out->actions[i] == NULL)
			return SLK_NO_MEMORY;
		out->actions_count++;
	}
	return SLK_OK;
}

static int
compile_arns(const struct kms_config_statement *in, const struct kms_realm *realm,
	struct statement *out, struct slk_error *err)
{
	out->principals = calloc(in->principals_count, sizeof(*out->principals));
	out->resources = calloc(in->resources_count, sizeof(*out->resources));
	if (out->principals == NULL || out->resources == NULL)
		return SLK_NO_MEMORY;
	for (; out->principals_count < in->principals_count; out->principals_count++) {
		const char *text = in->principals[out->principals_count];
		/* A service principal has no ARN. */
		if (strcmp(text, "kinesis.amazonaws.com") == 0)
			strcpy(out->principals[out->principals_count], text);
		else if (kms_arn_principal(realm, text, out->principals[out->principals_count]) !=
			SLK_OK)
			return slk_fail(err, SLK_CONFIG,
				"policy: principal '%s' is not user/NAME, role/NAME, root, an ARN "
				"or *",
				text);
	}
	for (; out->resources_count < in->resources_count; out->resources_count++) {
		const char *text = in->resources[out->resources_count];
		if (kms_arn_resource(realm, text, out->resources[out->resources_count]) != SLK_OK)
			return slk_fail(err, SLK_CONFIG,
				"policy: resource '%s' is not key/ID, alias/NAME, stream/NAME, an "
				"ARN or *",
				text);
	}
	return SLK_OK;
}

static int
compile(const struct kms_config_statement *in, const struct kms_realm *realm, struct statement *out,
	struct slk_error *err)
{
	if (strcmp(in->effect, "Allow") != 0 && strcmp(in->effect, "Deny") != 0)
		return slk_fail(err, SLK_CONFIG, "policy: effect '%s' is neither Allow nor Deny",
			in->effect);
	out->deny = strcmp(in->effect, "Deny") == 0;
	out->sid = strdup(in->sid != NULL ? in->sid : "");
	if (out->sid == NULL)
		return SLK_NO_MEMORY;
	int rc = compile_actions(in, out, err);
	return rc == SLK_OK ? compile_arns(in, realm, out, err) : rc;
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
		rc = SLK_OK;
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
		struct statement *s = &policy->statements[i];
		for (size_t k = 0; k < s->actions_count; k++)
			free(s->actions[k]);
		free(s->actions);
		free(s->principals);
		free(s->resources);
		free(s->sid);
	}
	free(policy->statements);
	free(policy);
}

static bool
any_arn(char (*patterns)[KMS_ARN_MAX], size_t count, const char *text)
{
	for (size_t i = 0; i < count; i++)
		if (kms_pattern_match(patterns[i], text, false))
			return true;
	return false;
}

static bool
matches(const struct statement *s, const struct kms_question *q)
{
	bool action = false;

	for (size_t i = 0; i < s->actions_count && !action; i++)
		action = kms_pattern_match(s->actions[i], q->action, true);
	return action && any_arn(s->principals, s->principals_count, q->principal) &&
		any_arn(s->resources, s->resources_count, q->resource);
}

int
kms_policy_decide(const struct kms_policy *policy, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX])
{
	const struct statement *deny = NULL;
	bool allowed = question->granted;

	for (size_t i = 0; i < policy->count && deny == NULL; i++) {
		const struct statement *s = &policy->statements[i];
		if (!matches(s, question))
			continue;
		if (s->deny)
			deny = s;
		else
			allowed = true;
	}
	if (deny == NULL && allowed)
		return SLK_OK;
	int len = snprintf(out_sentence, KMS_SENTENCE_MAX,
		"User: %s is not authorized to perform: %s on resource: %s ", question->principal,
		question->action, question->resource);
	if (len < 0 || (size_t)len >= KMS_SENTENCE_MAX)
		return SLK_DENIED;
	if (deny != NULL)
		(void)snprintf(out_sentence + len, KMS_SENTENCE_MAX - (size_t)len,
			"with an explicit deny in the policy%s%s",
			deny->sid[0] != '\0' ? ", statement " : "", deny->sid);
	else
		(void)snprintf(out_sentence + len, KMS_SENTENCE_MAX - (size_t)len,
			"because no statement of the policy allows the %s action",
			question->action);
	return SLK_DENIED;
}
