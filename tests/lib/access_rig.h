/* Users, roles, access keys and sessions over kms_rig.h: requests, what they should come to by an own calculation, and a look
 * for secrets where none may be. */
#ifndef SLK_TESTS_LIB_ACCESS_RIG_H
#define SLK_TESTS_LIB_ACCESS_RIG_H

#include "catalog_access.h"
#include "kms_rig.h"

#define ACCESS_TODAY "20261124" /* by the rig's clock */
#define ACCESS_SECRET_CHARS 40u

/* --- in the catalog, and in force --- */
void access_make_user(struct kms_rig *rig, const char *name);
/* unique_id: "AROA..." */
void access_make_role(
	struct kms_rig *rig, const char *name, const char *unique_id, const char *trust);
void access_delete_role(struct kms_rig *rig, const char *name);
void access_make_policy(struct kms_rig *rig, const char *name, const char *document);
void access_tag(struct kms_rig *rig, enum kms_identity_kind kind, const char *name, const char *key,
	const char *value);

/* --- requests --- */
const Kmsp__Reply *access_create(struct kms_rig *rig, uid_t uid, const char *user);
const Kmsp__Reply *access_list(
	struct kms_rig *rig, uid_t uid, const char *user, const char *marker, uint32_t limit);
const Kmsp__Reply *access_update(
	struct kms_rig *rig, uid_t uid, const char *user, const char *id, bool active);
const Kmsp__Reply *access_delete(struct kms_rig *rig, uid_t uid, const char *user, const char *id);

/* NULL: today, local, kms, none. */
struct access_scope {
	const char *id, *date, *region, *service, *token;
};
const Kmsp__Reply *access_derive(struct kms_rig *rig, uid_t uid, const struct access_scope *scope);

/* What AssumeRole takes; NULL is "". tag: "k=v". */
struct access_role {
	const char *role, *session, *external_id, *policy, *source_identity, *managed, *tag;
	uint32_t duration_s;
};
const Kmsp__Reply *access_assume(struct kms_rig *rig, uid_t uid, const struct access_role *what);

/* Credentials of a reply, copied; the secret is masked, so that a look for it does not find this copy. */
struct access_credential {
	char id[KMS_ACCESS_ID_MAX];
	char token[8192];
	uint8_t masked[ACCESS_SECRET_CHARS];
};
void access_take(const Kmsp__Reply *reply, struct access_credential *out);
/* Is this signing key what the secret gives, by OpenSSL? */
void access_check_key(const struct access_credential *credential, const struct access_scope *scope,
	const Kmsp__SigningKey *key);

/* --- secrets --- */
/* How often is the secret in these bytes, or in a file (which may be missing)? */
size_t access_count_in(
	const struct access_credential *credential, const uint8_t *bytes, size_t len);
size_t access_count_in_file(const struct access_credential *credential, const char *path);
/* In memory of this process that a core dump would hold. */
size_t access_count_in_memory(const struct access_credential *credential);

#endif
