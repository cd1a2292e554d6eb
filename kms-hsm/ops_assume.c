/* AssumeRole: temporary credentials of a role.
 *
 *     parameters -> trust policy and identity policies decide -> limits of the role -> claims, in locked memory
 *     -> session key -> the HSM draws the secret -> token
 *
 * Nothing is kept of a session; the token has it all (format/session.h). */
#include <stdio.h>
#include <string.h>

#include "ops_iam.h"
#include "session_issue.h"
#include "trust.h"

#define DURATION_MIN_S 900u
#define DURATION_MAX_S 43200u
#define DURATION_DEFAULT_S 3600u /* and the longest that a role gets for another one */
#define POLICY_CHARS_MAX 2048u
#define EXTERNAL_ID_MIN 2u
#define EXTERNAL_ID_MAX 1224u

/* What is known before the HSM is asked. */
struct assume {
	struct kms_session_issue issue; /* first: it is the call's work, too */
	char arn[KMS_ARN_MAX]; /* of the role */
	char role_name[KMS_NAME_MAX];
	struct kms_identity_row role;
	uint32_t duration_s;
};

/* --- parameters --- */

static int
invalid(struct kms_call *call, const char *member, const char *constraint)
{
	kms_call_fail(call, SLK_INVALID, "ValidationException",
		"1 validation error detected: Value at '%s' failed to satisfy constraint: %s",
		member, constraint);
	return SLK_INVALID;
}

/* A name, or an ARN of this account. */
static int
take_role(struct kms_call *call, const char *text, struct assume *a)
{
	const struct kms_realm *realm = &call->service->parts.realm;
	char prefix[KMS_ARN_MAX];
	const char *name = text;

	if (kms_role_arn(realm, "", prefix) == SLK_OK && strncmp(text, prefix, strlen(prefix)) == 0)
		name = text + strlen(prefix);
	if (!kms_identity_name_is(name) || kms_role_arn(realm, name, a->arn) != SLK_OK)
		return invalid(call, "roleArn",
			"Member must be the name of a role or its ARN in this account");
	strcpy(a->role_name, name);
	strcpy(call->resource, a->arn);
	return SLK_OK;
}

static bool
is_external_id(const char *text)
{
	size_t len = strlen(text);

	return len >= EXTERNAL_ID_MIN && len <= EXTERNAL_ID_MAX &&
		strspn(text,
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
			"_+=,.@:/-") == len;
}

static int
take_names(struct kms_call *call, const Kmsp__AssumeRole *in)
{
	if (!kms_session_name_is(in->session_name))
		return invalid(call, "roleSessionName",
			"Member must be 2 to 64 of a-z A-Z 0-9 and _+=,.@-");
	if (in->external_id[0] != '\0' && !is_external_id(in->external_id))
		return invalid(call, "externalId",
			"Member must be 2 to 1224 of a-z A-Z 0-9 and _+=,.@:/-");
	if (in->source_identity[0] != '\0' && !kms_session_name_is(in->source_identity))
		return invalid(call, "sourceIdentity",
			"Member must be 2 to 64 of a-z A-Z 0-9 and _+=,.@-");
	return SLK_OK;
}

static int
take_duration(struct kms_call *call, uint32_t duration_s, struct assume *a)
{
	a->duration_s = duration_s != 0 ? duration_s : DURATION_DEFAULT_S;
	if (a->duration_s < DURATION_MIN_S)
		return invalid(call, "durationSeconds",
			"Member must have value greater than or equal to 900");
	if (a->duration_s > DURATION_MAX_S)
		return invalid(call, "durationSeconds",
			"Member must have value less than or equal to 43200");
	return SLK_OK;
}

/* --- the decision --- */

/* Tags and a source identity are rights of their own. */
static int
decide(struct kms_call *call, const Kmsp__AssumeRole *in, const char *role_arn,
	const struct kms_document *trust)
{
	const struct {
		const char *action;
		bool wanted;
	} rights[] = {{"sts:AssumeRole", true}, {"sts:TagSession", in->n_tags > 0},
		{"sts:SetSourceIdentity", in->source_identity[0] != '\0'}};
	char sentence[KMS_SENTENCE_MAX] = "";

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		const struct kms_question q = {.principal = call->principal,
			.action = rights[i].action,
			.resource = role_arn,
			.facts = &call->facts,
			.session = call->session};
		if (rights[i].wanted &&
			kms_trust_decide(call->service->iam, &q,
				trust->parsed != NULL ? trust : NULL, sentence) != SLK_OK) {
			kms_call_deny(call, "AccessDeniedException", sentence);
			return SLK_DENIED;
		}
	}
	return SLK_OK;
}

static int
authorize(struct kms_call *call, const Kmsp__AssumeRole *in, const struct kms_tag *tags,
	struct assume *a)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, call->principal);
	struct kms_document trust;

	if (who != NULL && who->type == KMS_IS_ROOT) {
		kms_call_fail(call, SLK_DENIED, "AccessDeniedException",
			"User: %s is not authorized to perform: %s on resource: %s: roles may not "
			"be assumed by root accounts",
			call->principal, call->action, a->arn);
		return SLK_DENIED;
	}
	int rc = kms_trust_find(call->service->parts.catalog, a->role_name, &a->role, &trust);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return rc;
	}
	struct kms_facts *f = &call->facts;
	f->request_tags = tags;
	f->request_tags_count = in->n_tags;
	f->session_name = in->session_name;
	f->external_id = in->external_id[0] != '\0' ? in->external_id : NULL;
	f->source_identity = in->source_identity[0] != '\0' ? in->source_identity : NULL;
	f->duration_s = a->duration_s;
	f->wall_ns = slk_wall_ns(call->service->parts.clock);
	rc = decide(call, in, a->arn, &trust);
	kms_document_free(&trust);
	return rc;
}

/* --- limits --- */

static int
check_duration(struct kms_call *call, const struct assume *a)
{
	const struct kms_identity *who = kms_iam_find(call->service->iam, call->principal);
	uint32_t max = a->role.max_session_s > DURATION_DEFAULT_S ? a->role.max_session_s
								  : DURATION_DEFAULT_S;

	if (a->duration_s > max) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"The requested DurationSeconds exceeds the MaxSessionDuration set for this "
			"role.");
		return SLK_INVALID;
	}
	if (who != NULL && who->type == KMS_IS_ROLE && a->duration_s > DURATION_DEFAULT_S) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			"The requested DurationSeconds exceeds the 1 hour session limit for roles "
			"assumed by role chaining.");
		return SLK_INVALID;
	}
	return SLK_OK;
}

static int
check_policy(struct kms_call *call, const char *text)
{
	size_t characters = 0;

	if (text[0] == '\0')
		return SLK_OK;
	for (const char *c = text; *c != '\0'; c++)
		characters += ((unsigned char)*c & 0xc0) != 0x80;
	if (characters > POLICY_CHARS_MAX)
		return invalid(
			call, "policy", "Member must have length less than or equal to 2048");
	return kms_call_check_document(call, text, POL_IDENTITY, FMT_SESSION_POLICY_MAX);
}

/* Managed policies by name or ARN. */
static int
take_policies(struct kms_call *call, const Kmsp__AssumeRole *in, struct fmt_session *s)
{
	struct kms_policy_row row;
	char prefix[KMS_ARN_MAX];

	if (in->n_policies > FMT_SESSION_POLICIES_MAX)
		return invalid(
			call, "policyArns", "Member must have length less than or equal to 10");
	(void)snprintf(prefix, sizeof(prefix), "arn:aws:iam::%s:policy/",
		call->service->parts.realm.account);
	for (size_t i = 0; i < in->n_policies; i++) {
		const char *name = in->policies[i];
		if (strncmp(name, prefix, strlen(prefix)) == 0)
			name += strlen(prefix);
		int rc = strlen(name) < KMS_POLICY_NAME_MAX
			? kms_catalog_policy_get(call->service->parts.catalog, name, &row)
			: SLK_NOT_FOUND;
		if (rc == SLK_NOT_FOUND)
			return invalid(call, "policyArns",
				"Member must name a managed policy of this account that exists");
		if (rc != SLK_OK) {
			kms_call_fail_catalog(call, rc);
			return rc;
		}
		s->policies[i] = slk_span_str(name);
	}
	s->policies_count = in->n_policies;
	return SLK_OK;
}

/* --- claims --- */

/* All but the secret. */
static int
write_claims(struct kms_call *call, const Kmsp__AssumeRole *in, const struct kms_tag *tags,
	struct assume *a)
{
	static struct fmt_session s; /* one thread */

	/* Of a chain of roles it says who began it. */
	s = (struct fmt_session){.role_id = slk_span_str(a->role.unique_id),
		.role = slk_span_str(a->role.name),
		.name = slk_span_str(in->session_name),
		.source_identity = slk_span_str(in->source_identity),
		.caller = slk_span_str(call->behind[0] != '\0' ? call->behind : call->principal),
		.policy = slk_span_str(in->policy),
		.tags_count = in->n_tags};
	for (size_t i = 0; i < in->n_tags; i++) {
		s.tag_keys[i] = slk_span_str(tags[i].key);
		s.tag_values[i] = slk_span_str(tags[i].value);
	}
	int rc = take_policies(call, in, &s);
	return rc == SLK_OK ? kms_session_claim(call, &s, a->duration_s) : rc;
}

/* What the audit line says of the session. */
static void
name_session(struct kms_call *call, const Kmsp__AssumeRole *in, const struct assume *a)
{
	struct kms_audit_credential *c = &call->issued;

	kms_session_arn(&call->service->parts.realm, slk_span_str(a->role.name),
		slk_span_str(in->session_name), c->session);
	(void)snprintf(c->principal_id, sizeof(c->principal_id), "%s:%s", a->role.unique_id,
		in->session_name);
	strcpy(c->source_identity, in->source_identity);
}

void
kms_op_assume_role(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_tag tags[KMS_TAGS_MAX]; /* one thread */
	const Kmsp__AssumeRole *in = request->assume_role;
	struct assume *a = kms_call_work(call, sizeof(*a));

	if (a == NULL || take_role(call, in->role, a) != SLK_OK || take_names(call, in) != SLK_OK ||
		take_duration(call, in->duration_s, a) != SLK_OK ||
		kms_call_take_tags(call, in->tags, in->n_tags, tags) != SLK_OK ||
		check_policy(call, in->policy) != SLK_OK ||
		authorize(call, in, tags, a) != SLK_OK || check_duration(call, a) != SLK_OK)
		return;
	name_session(call, in, a);
	if (write_claims(call, in, tags, a) == SLK_OK)
		kms_session_draw(call);
}
