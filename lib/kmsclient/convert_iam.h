/* What the sources about identities, policies and grants share: requests and answers. Internal to lib/kmsclient; as
 * convert.h and request.h. */
#ifndef SLK_KMSCLIENT_CONVERT_IAM_H
#define SLK_KMSCLIENT_CONVERT_IAM_H

#include "kmsclient/access.h"
#include "kmsclient/convert.h"
#include "kmsclient/iam.h"

/* iam.c. out borrows the name. */
void kmsc_request_who(struct kmsc_who who, Kmsp__Who *out);
MUST_USE int kmsc_identities_from(
	const Kmsp__Identities *in, struct kmsc_identity *out, size_t cap, char *out_next);

/* access.c. What it holds is to be wiped. */
MUST_USE int kmsc_session_from(const Kmsp__Session *in, struct kmsc_session *out);

/* policies.c. Calls that are answered by the text of a document (KMSC_DOCUMENT_MAX bytes), and by names. */
MUST_USE int kmsc_call_document(
	struct kmsc *c, Kmsp__Request *request, char *out_text, struct slk_error *err);
MUST_USE int kmsc_call_names(struct kmsc *c, Kmsp__Request *request,
	char (*out_names)[KMSC_POLICY_NAME_MAX], size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err);

#endif
