/* What a principal holds. Internal to iam*.c. Thread: the front's loop. */
#ifndef KMS_HSM_IAM_HOLDERS_H
#define KMS_HSM_IAM_HOLDERS_H

#include <sys/queue.h>

#include "iam.h"

struct managed {
	LIST_ENTRY(managed) entry;
	uint64_t id;
	char name[KMS_POLICY_NAME_MAX];
	struct kms_document document;
};
LIST_HEAD(kms_managed_list, managed);

struct inlined {
	char name[KMS_POLICY_NAME_MAX + 8]; /* "inline/NAME" */
	struct kms_document document;
};

/* A principal, and what it holds. */
struct holder {
	struct kms_identity is; /* first: the two are one address */
	LIST_ENTRY(holder) entry;
	const struct kms_document **configured;
	size_t configured_count;
	struct inlined *inlined;
	size_t inlined_count;
	const struct managed *attached[KMS_ATTACHED_MAX];
	size_t attached_count;
	const struct managed *boundary;
};

/* Parse what the catalog has. What cannot be read has no parsed document then, and is said in the log. SLK_NO_MEMORY. */
MUST_USE int kms_iam_parse(const char *json, enum pol_kind kind, const char *of, const char *name,
	struct kms_document *out);

/* row: NULL for one that the catalog does not know. Managed policies are borrowed from the list. */
MUST_USE int kms_holder_new(const struct kms_policy *policy, struct kms_catalog *catalog,
	const struct kms_managed_list *managed, const char *arn, const struct kms_identity_row *row,
	struct holder **out);
void kms_holder_free(struct holder *holder); /* NULL allowed */
/* Put the documents together again, after one that it holds was parsed anew. */
void kms_holder_resolve(struct holder *holder);

#endif
