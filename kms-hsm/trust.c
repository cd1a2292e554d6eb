#include "trust.h"

#include <stdio.h>

#include "decide.h"
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
	struct pol_case documents = c->documents;
	documents.is_key = true;
	documents.resource_account = kms_iam_realm(iam).account;
	const struct pol_decision d = pol_decide(&documents, &c->query);
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
