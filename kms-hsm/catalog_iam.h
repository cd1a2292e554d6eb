/* The catalog's rows about who may do what: users and roles, their policies, policies of keys and streams.
 *
 * Documents are stored as they were put; that they are sound is for the caller to know. A user or a role that holds an
 * inline policy, an attachment or an access key is not deleted, nor is a policy that somebody holds. Row ids are never
 * given twice, so what is about a deleted user is not about a later one of the same name. Outputs, errors and thread:
 * catalog.h.
 */
#ifndef KMS_HSM_CATALOG_IAM_H
#define KMS_HSM_CATALOG_IAM_H

#include "catalog.h"

#define KMS_NAME_MAX 65u /* of a user or a role, with terminator */
#define KMS_POLICY_NAME_MAX 129u /* of a policy, likewise */
#define KMS_UNIQUE_ID_MAX 22u /* "AIDA" and 17 characters, likewise */
#define KMS_TEXT_CHARS_MAX 1000u /* of a description of a role or a policy */
#define KMS_TEXT_MAX (4u * KMS_TEXT_CHARS_MAX + 1u)
#define KMS_DOCUMENT_MAX 131073u /* with terminator */

/* The numbers are on disk. */
enum kms_identity_kind { KMS_USER = 0, KMS_ROLE = 1 };

struct kms_identity_row {
	uint64_t id; /* set by kms_catalog_identity_create() */
	enum kms_identity_kind kind;
	char name[KMS_NAME_MAX];
	char unique_id[KMS_UNIQUE_ID_MAX];
	char description[KMS_TEXT_MAX];
	uint32_t max_session_s; /* of a role */
	uint64_t created_ns;
	uint64_t boundary_id; /* 0: none */
};

struct kms_policy_row { /* a managed policy */
	uint64_t id;
	char name[KMS_POLICY_NAME_MAX];
	char description[KMS_TEXT_MAX];
	uint64_t created_ns, changed_ns;
	uint32_t holders_count;
};

/* --- users and roles --- */

/* trust: of a role; NULL for a user. SLK_EXISTS for a name that differs in case only, too; SLK_LIMIT (tags). */
MUST_USE int kms_catalog_identity_create(struct kms_catalog *catalog,
	const struct kms_identity_row *row, const char *trust, const struct kms_tag *tags,
	size_t tags_count, uint64_t *out_id);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_identity_get(struct kms_catalog *catalog, enum kms_identity_kind kind,
	const char *name, struct kms_identity_row *out_row);
/* Up to cap of a kind with names above after (""), in order. */
MUST_USE int kms_catalog_identity_list(struct kms_catalog *catalog, enum kms_identity_kind kind,
	const char *after, struct kms_identity_row *out_rows, size_t cap, size_t *out_count);
/* SLK_NOT_FOUND, SLK_INVALID_STATE: it holds something. Its tags go. */
MUST_USE int kms_catalog_identity_delete(struct kms_catalog *catalog, uint64_t id);
/* out: KMS_DOCUMENT_MAX bytes suffice. SLK_NOT_FOUND: no such role. */
MUST_USE int kms_catalog_trust_get(struct kms_catalog *catalog, uint64_t id, char *out, size_t cap);
MUST_USE int kms_catalog_trust_set(struct kms_catalog *catalog, uint64_t id, const char *document);
/* policy_id 0: none. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_boundary_set(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id);

/* SLK_LIMIT: more than KMS_TAGS_MAX; SLK_NOT_FOUND. */
MUST_USE int kms_catalog_identity_tags_set(
	struct kms_catalog *catalog, uint64_t id, const struct kms_tag *tags, size_t count);
MUST_USE int kms_catalog_identity_tags_remove(
	struct kms_catalog *catalog, uint64_t id, const char *const *tag_keys, size_t count);
/* All of them; out has room for KMS_TAGS_MAX. */
MUST_USE int kms_catalog_identity_tags(
	struct kms_catalog *catalog, uint64_t id, struct kms_tag *out_tags, size_t *out_count);

/* --- inline policies --- */

/* Set or replace. SLK_NOT_FOUND: no such identity. */
MUST_USE int kms_catalog_inline_put(
	struct kms_catalog *catalog, uint64_t id, const char *name, const char *document);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_inline_get(
	struct kms_catalog *catalog, uint64_t id, const char *name, char *out, size_t cap);
MUST_USE int kms_catalog_inline_delete(struct kms_catalog *catalog, uint64_t id, const char *name);
/* Up to cap names above after (""), in order. */
MUST_USE int kms_catalog_inline_list(struct kms_catalog *catalog, uint64_t id, const char *after,
	char (*out_names)[KMS_POLICY_NAME_MAX], size_t cap, size_t *out_count);

/* --- managed policies --- */

/* Of *row, name, description and created_ns are taken. SLK_EXISTS. */
MUST_USE int kms_catalog_policy_create(struct kms_catalog *catalog,
	const struct kms_policy_row *row, const char *document, uint64_t *out_id);
MUST_USE int kms_catalog_policy_get(
	struct kms_catalog *catalog, const char *name, struct kms_policy_row *out_row);
MUST_USE int kms_catalog_policy_list(struct kms_catalog *catalog, const char *after,
	struct kms_policy_row *out_rows, size_t cap, size_t *out_count);
MUST_USE int kms_catalog_policy_text(
	struct kms_catalog *catalog, uint64_t id, char *out, size_t cap);
MUST_USE int kms_catalog_policy_set(
	struct kms_catalog *catalog, uint64_t id, const char *document, uint64_t changed_ns);
/* SLK_NOT_FOUND, SLK_INVALID_STATE: somebody holds it. */
MUST_USE int kms_catalog_policy_delete(struct kms_catalog *catalog, uint64_t id);
/* One that is attached already is no error. SLK_NOT_FOUND: the one or the other. */
MUST_USE int kms_catalog_attach(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id);
MUST_USE int kms_catalog_detach(struct kms_catalog *catalog, uint64_t id, uint64_t policy_id);
MUST_USE int kms_catalog_attached_list(struct kms_catalog *catalog, uint64_t id, const char *after,
	struct kms_policy_row *out_rows, size_t cap, size_t *out_count);
/* Who has it attached or as boundary, with ids above after. */
MUST_USE int kms_catalog_holder_list(struct kms_catalog *catalog, uint64_t policy_id,
	uint64_t after, struct kms_identity_row *out_rows, size_t cap, size_t *out_count);

/* --- policies of keys and streams --- */

/* kms_catalog_key_begin() for a key that has a policy of its own from the first moment; NULL: it has none. */
MUST_USE int kms_catalog_key_begin_under(struct kms_catalog *catalog, const struct kms_key *key,
	const char *description, const struct kms_tag *tags, size_t tags_count, const char *policy);
/* Set or replace. SLK_NOT_FOUND: no such key. */
MUST_USE int kms_catalog_key_policy_put(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], const char *document);
/* SLK_NOT_FOUND: it has none of its own. */
MUST_USE int kms_catalog_key_policy_get(
	struct kms_catalog *catalog, const uint8_t key_id[KMS_ID_BYTES], char *out, size_t cap);
/* The first of a key with an id above after (NULL: the first). SLK_NOT_FOUND. */
MUST_USE int kms_catalog_key_policy_next(struct kms_catalog *catalog, const uint8_t *after,
	uint8_t out_key_id[KMS_ID_BYTES], char *out, size_t cap);

MUST_USE int kms_catalog_stream_policy_put(
	struct kms_catalog *catalog, uint64_t stream_id, const char *document);
MUST_USE int kms_catalog_stream_policy_get(
	struct kms_catalog *catalog, uint64_t stream_id, char *out, size_t cap);
MUST_USE int kms_catalog_stream_policy_next(struct kms_catalog *catalog, uint64_t after,
	uint64_t *out_stream_id, char *out, size_t cap);
MUST_USE int kms_catalog_stream_policy_delete(struct kms_catalog *catalog, uint64_t stream_id);

#endif
