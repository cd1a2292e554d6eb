/* The catalog's rows about credentials: access keys of users, and the keys under which session tokens are sealed. No secret
 * is in a row: what is sealed is a ciphertext blob under the appliance's own key. Outputs, errors and thread: catalog.h.
 */
#ifndef KMS_HSM_CATALOG_ACCESS_H
#define KMS_HSM_CATALOG_ACCESS_H

#include "catalog_iam.h"

#define KMS_ACCESS_ID_MAX 21u /* "AKIA" and 16 characters, with terminator */
#define KMS_ACCESS_KEYS_MAX 2u /* of one user */
#define KMS_ACCESS_SEALED_MAX 128u
#define KMS_SESSION_KEYS_KEPT 2u

struct kms_sealed_secret {
	uint8_t bytes[KMS_ACCESS_SEALED_MAX]; /* a ciphertext blob */
	size_t len;
};

struct kms_access_key_row {
	char id[KMS_ACCESS_ID_MAX];
	uint64_t user_row; /* of the user */
	char user[KMS_NAME_MAX]; /* likewise; set by look-ups */
	char user_id[KMS_UNIQUE_ID_MAX]; /* likewise */
	struct kms_sealed_secret sealed;
	bool active;
	uint64_t created_ns;
	uint64_t last_used_ns; /* 0: never */
};

struct kms_session_key_row {
	uint8_t id[KMS_ID_BYTES];
	struct kms_sealed_secret sealed;
	uint64_t created_ns;
};

/* Active. SLK_NOT_FOUND (no such user), SLK_LIMIT (it has KMS_ACCESS_KEYS_MAX), SLK_EXISTS. */
MUST_USE int kms_catalog_access_key_create(
	struct kms_catalog *catalog, const struct kms_access_key_row *row);
/* SLK_NOT_FOUND. */
MUST_USE int kms_catalog_access_key_get(
	struct kms_catalog *catalog, const char *id, struct kms_access_key_row *out_row);
/* Up to cap of a user with ids above after (""), in order. */
MUST_USE int kms_catalog_access_key_list(struct kms_catalog *catalog, uint64_t user_row,
	const char *after, struct kms_access_key_row *out_rows, size_t cap, size_t *out_count);
/* SLK_NOT_FOUND: the user has no such key. */
MUST_USE int kms_catalog_access_key_switch(
	struct kms_catalog *catalog, uint64_t user_row, const char *id, bool active);
MUST_USE int kms_catalog_access_key_delete(
	struct kms_catalog *catalog, uint64_t user_row, const char *id);
/* It was used at wall_ns. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_access_key_used(
	struct kms_catalog *catalog, const char *id, uint64_t wall_ns);

/* The newest from now on; all but KMS_SESSION_KEYS_KEPT go. SLK_EXISTS. */
MUST_USE int kms_catalog_session_key_add(
	struct kms_catalog *catalog, const struct kms_session_key_row *row);
/* id: NULL for the newest. SLK_NOT_FOUND. */
MUST_USE int kms_catalog_session_key_get(
	struct kms_catalog *catalog, const uint8_t *id, struct kms_session_key_row *out_row);

#endif
