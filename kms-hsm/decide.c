/* kms_policy_decide(): the documents that bear on a question, and the condition keys that they ask for. */
#include "decide.h"

#include <stdio.h>
#include <string.h>

#include "facts.h"
#include "session.h"

enum kind { IS_OTHER, IS_KEY, IS_STREAM };

/* What the ARN names, and the policy that it has. */
static enum kind
resource_of(const struct kms_iam *iam, const char *arn, const struct kms_document **out)
{
	const struct kms_realm realm = kms_iam_realm(iam);
	char name[KMS_STREAM_MAX];
	struct kms_ref ref;

	*out = NULL;
	if (strncmp(arn, "arn:aws:kms:", 12) == 0 && strstr(arn, ":key/") != NULL) {
		bool is_one = kms_ref_parse(&realm, arn, &ref) == SLK_OK && ref.kind == KMS_REF_KEY;
		*out = is_one ? kms_iam_key_policy(iam, ref.id) : kms_iam_default_policy(iam);
		return IS_KEY;
	}
	if (strncmp(arn, "arn:aws:firehose:", 17) == 0)
		return IS_STREAM; /* none has a policy of its own */
	if (strncmp(arn, "arn:aws:kinesis:", 16) != 0)
		return IS_OTHER;
	if (kms_stream_parse(&realm, arn, name) == SLK_OK)
		*out = kms_iam_stream_policy(iam, name);
	return IS_STREAM;
}

static const char *
broken_of(const struct kms_iam *iam, const struct kms_case *c)
{
	if (kms_iam_is_stale(iam))
		return "because policies could not be read again after a change; an administrator "
		       "must restart sealock-kmsd";
	if (c->who->broken)
		return "because a policy of the principal cannot be read; see the log of "
		       "sealock-kmsd";
	if (c->resource != NULL && c->resource->parsed == NULL)
		return "because the policy of the resource cannot be read; see the log of "
		       "sealock-kmsd";
	return NULL;
}

static void
put_documents(const struct kms_iam *iam, struct kms_case *c, enum kind kind, bool granted)
{
	c->documents = (struct pol_case){.identity = c->who->documents,
		.identity_count = c->who->documents_count,
		.boundary = c->who->boundary,
		.resource = c->resource != NULL ? c->resource->parsed : NULL,
		.is_key = kind == IS_KEY,
		.granted = granted,
		.resource_account = kind != IS_OTHER ? kms_iam_realm(iam).account : NULL};
}

static void
put_session(struct kms_case *c, const struct kms_session_view *session)
{
	c->query.session = session != NULL ? session->arn : NULL;
	if (session == NULL)
		return;
	c->documents.session = session->documents;
	c->documents.session_count = session->documents_count;
}

static unsigned
needs_of(const struct kms_identity *who, const struct kms_document *resource,
	const struct kms_question *question)
{
	return (who != NULL ? who->needs : 0) | (resource != NULL ? resource->needs : 0) |
		(question->session != NULL ? question->session->needs : 0);
}

unsigned
kms_question_needs(const struct kms_iam *iam, const struct kms_question *question)
{
	const struct kms_document *resource;

	(void)resource_of(iam, question->resource, &resource);
	return needs_of(kms_iam_find(iam, question->principal), resource, question);
}

int
kms_case_put(const struct kms_iam *iam, const struct kms_identity *who,
	const struct kms_question *question, const struct kms_document *resource,
	const struct kms_case **out_case)
{
	static struct kms_case c; /* one thread */
	const struct kms_document *own;

	enum kind kind = resource_of(iam, question->resource, &own);
	c.who = who;
	c.resource = resource != NULL ? resource : own;
	c.broken = broken_of(iam, &c);
	put_documents(iam, &c, kind, question->granted);
	c.query.principal = who->arn;
	/* root is a local administrator, who may make keys and need not be one who reads what they seal. */
	c.query.root_by_identity = true;
	c.query.is_service = who->type == KMS_IS_SERVICE;
	put_session(&c, question->session);
	c.query.account = who->account;
	c.query.action = question->action;
	c.query.resource = question->resource;
	int rc = kms_values_gather(iam, who, question, needs_of(who, c.resource, question),
		&c.query.values, &c.query.values_count);
	if (rc == SLK_OK)
		rc = pol_query_prepare(&c.query);
	if (rc != SLK_OK)
		return SLK_INTERNAL;
	*out_case = &c;
	return SLK_OK;
}

static int
refuse(const struct kms_question *q, const char *because, char *out)
{
	(void)snprintf(out, KMS_SENTENCE_MAX,
		"User: %s is not authorized to perform: %s on resource: %s %s",
		q->session != NULL ? q->session->arn : q->principal, q->action, q->resource,
		because);
	return SLK_DENIED;
}

int
kms_policy_decide(const struct kms_iam *iam, const struct kms_question *question,
	char out_sentence[KMS_SENTENCE_MAX])
{
	const struct kms_identity *who = kms_iam_find(iam, question->principal);
	const struct kms_case *c = NULL;
	char because[256];

	if (who == NULL)
		return refuse(question, "because the principal is not known", out_sentence);
	if (kms_case_put(iam, who, question, NULL, &c) != SLK_OK)
		return refuse(
			question, "because the request is too large to be decided", out_sentence);
	if (c->broken != NULL)
		return refuse(question, c->broken, out_sentence);
	const struct pol_decision d = pol_decide(&c->documents, &c->query);
	if (d.allowed)
		return SLK_OK;
	pol_decision_because(&d, &c->query, because, sizeof(because));
	return refuse(question, because, out_sentence);
}
