#include "trust.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "session.h"

static int
refuse(const struct kms_question *q, const char *because, char *out)
{
	(void)snprintf(out, KMS_SENTENCE_MAX,
		"User: %s is not authorized to perform: %s on resource: %s %s",
		q->session != NULL ? q->session->arn : q->principal, q->action, q->resource,
		because);
	return SLK_DENIED;
}

/* What the caller's own policies say may be said; what the role's say would tell that there is one. */
static bool
is_of_the_caller(enum pol_reason reason)
{
	return reason == POL_DENIED_IDENTITY || reason == POL_DENIED_SESSION ||
		reason == POL_DENIED_BOUNDARY;
}

int
kms_trust_decide(const struct kms_iam *iam, const struct kms_question *question,
	const struct kms_document *trust, char out_sentence[KMS_SENTENCE_MAX])
{
	const struct kms_identity *who = kms_iam_find(iam, question->principal);
	const struct kms_case *c = NULL;
	char because[256];

	if (who == NULL)
		return refuse(question, "because the principal is not known", out_sentence);
	if (kms_case_put(iam, who, question, trust, &c) != SLK_OK)
		return refuse(
			question, "because the request is too large to be decided", out_sentence);
	if (c->broken != NULL)
		return refuse(question, c->broken, out_sentence);
	const struct kms_case asked = kms_trust_case(iam, c);
	const struct pol_decision d = pol_decide(&asked.documents, &c->query);
	if (d.allowed)
		return SLK_OK;
	if (is_of_the_caller(d.reason))
		pol_decision_because(&d, &c->query, because, sizeof(because));
	else
		(void)snprintf(because, sizeof(because),
			"because there is no such role, its trust policy does not allow this "
			"caller the %s action under these conditions, or no identity-based policy "
			"does",
			question->action);
	return refuse(question, because, out_sentence);
}

struct kms_case
kms_trust_case(const struct kms_iam *iam, const struct kms_case *c)
{
	struct kms_case asked = *c;

	asked.documents.is_key = true;
	asked.documents.resource_account = kms_iam_realm(iam).account;
	return asked;
}

bool
kms_trust_is_action(const char *action)
{
	static const char *const rights[] = {
		"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"};

	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (strcasecmp(rights[i], action) == 0)
			return true;
	return false;
}

int
kms_trust_find(struct kms_catalog *catalog, const char *name, struct kms_identity_row *out_role,
	struct kms_document *out_trust)
{
	static char text[KMS_DOCUMENT_MAX]; /* one thread */
	struct pol_problem problem;

	*out_trust = (struct kms_document){.parsed = NULL};
	*out_role = (struct kms_identity_row){.name = ""};
	int rc = kms_catalog_identity_get(catalog, KMS_ROLE, name, out_role);
	if (rc == SLK_OK)
		rc = kms_catalog_trust_get(catalog, out_role->id, text, sizeof(text));
	if (rc == SLK_NOT_FOUND)
		return SLK_OK;
	if (rc == SLK_OK)
		rc = kms_document_parse(text, POL_TRUST, out_trust, &problem);
	if (rc != SLK_MALFORMED && rc != SLK_TOO_LARGE)
		return rc;
	slk_error_log("trust policy cannot be read", slk_kv("role", name),
		slk_kv("error", (const char *)problem.text));
	return SLK_OK;
}
