/* A policy document in force, and what of a call its conditions look at.
 *
 * Tags and aliases of a key cost a look into the catalog; they are fetched only for a decision to which a document belongs
 * that mentions them. A document of which that cannot be told by its text (escapes in it) needs everything. Thread: a
 * document is read-only once parsed.
 */
#ifndef KMS_HSM_DOCUMENTS_H
#define KMS_HSM_DOCUMENTS_H

#include "policy/document.h"

enum kms_needs {
	KMS_NEEDS_VALUES = 1, /* it has conditions, or variables */
	KMS_NEEDS_CONTEXT = 2, /* the encryption context */
	KMS_NEEDS_TAGS = 4, /* of the key */
	KMS_NEEDS_ALIASES = 8, /* likewise */
};

struct kms_document {
	struct pol_document *parsed; /* NULL: there is none, or it cannot be read */
	unsigned needs;
};

/* Errors of pol_document_parse(). */
MUST_USE int kms_document_parse(const char *json, enum pol_kind kind,
	struct kms_document *out_document, struct pol_problem *out_problem);
void kms_document_free(struct kms_document *document);

#endif
