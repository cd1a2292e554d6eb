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
	KMS_NEEDS_TIME = 16, /* the clock */
};

struct kms_document {
	struct pol_document *parsed; /* NULL: there is none, or it cannot be read */
	unsigned needs;
	size_t bytes; /* of its text, for kms_documents_bytes() */
};

/* Of all texts together: what is parsed may take 24 times as much, and the process has 1 GiB. */
#define KMS_DOCUMENTS_BYTES_MAX (24u << 20)

/* Errors of pol_document_parse(). */
MUST_USE int kms_document_parse(const char *json, enum pol_kind kind,
	struct kms_document *out_document, struct pol_problem *out_problem);
void kms_document_free(struct kms_document *document);
/* The texts of all documents of the process that are parsed now. Thread: the one that parses and frees. */
size_t kms_documents_bytes(void);

#endif
