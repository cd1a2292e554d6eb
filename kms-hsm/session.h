/* A session of AssumeRole, as its token says it: opened, checked, and as decisions see it.
 *
 * A session decides nothing by itself: its role's policies do, as they are now, within what the session's own policies allow
 * (policy/decide.h). Thread: the front's loop.
 */
#ifndef KMS_HSM_SESSION_H
#define KMS_HSM_SESSION_H

#include "catalog_iam.h"
#include "format/session.h"
#include "policy/document.h"

#define KMS_SESSION_DOCUMENTS_MAX (1u + FMT_SESSION_POLICIES_MAX)

/* What a decision has to know of it; all is borrowed. */
struct kms_session_view {
	const char *arn; /* arn:aws:sts::...:assumed-role/... */
	const char *user_id; /* AROA...:NAME */
	const char *source_identity; /* NULL: none */
	uint64_t issued_ns;
	const struct pol_document *const *documents; /* none: the role's policies alone */
	size_t documents_count;
	unsigned needs; /* of the documents: documents.h */
	const struct kms_tag *tags; /* before those of the role */
	size_t tags_count;
};

#endif
