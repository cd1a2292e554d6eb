/* Requests about identities and policies, over kms_rig.h. Text is borrowed; JSON is written with ' for ". */
#ifndef SLK_TESTS_LIB_IAM_RIG_H
#define SLK_TESTS_LIB_IAM_RIG_H

#include "kms_rig.h"

/* {Version, Statement: [statements]}, with " for '. One of eight buffers, in turn. */
const char *iam_policy(const char *statements);

/* who: "user/NAME" or "role/NAME". */
const Kmsp__Reply *iam_create_user(struct kms_rig *rig, uid_t uid, const char *name);
const Kmsp__Reply *iam_create_role(
	struct kms_rig *rig, uid_t uid, const char *name, const char *statements);
const Kmsp__Reply *iam_get(struct kms_rig *rig, uid_t uid, const char *who);
const Kmsp__Reply *iam_delete(struct kms_rig *rig, uid_t uid, const char *who);
const Kmsp__Reply *iam_tag(
	struct kms_rig *rig, uid_t uid, const char *who, const char *key, const char *value);
const Kmsp__Reply *iam_put_inline(
	struct kms_rig *rig, uid_t uid, const char *who, const char *name, const char *statements);
const Kmsp__Reply *iam_delete_inline(
	struct kms_rig *rig, uid_t uid, const char *who, const char *name);
const Kmsp__Reply *iam_create_policy(
	struct kms_rig *rig, uid_t uid, const char *name, const char *statements);
const Kmsp__Reply *iam_update_policy(
	struct kms_rig *rig, uid_t uid, const char *name, const char *statements);
const Kmsp__Reply *iam_delete_policy(struct kms_rig *rig, uid_t uid, const char *name);
/* call: ATTACH_POLICY, DETACH_POLICY, PUT_BOUNDARY. */
const Kmsp__Reply *iam_attachment(struct kms_rig *rig, uid_t uid, Kmsp__Request__CallCase call,
	const char *who, const char *policy);
const Kmsp__Reply *iam_delete_boundary(struct kms_rig *rig, uid_t uid, const char *who);

/* text: a whole document, as it is. */
const Kmsp__Reply *iam_put_key_policy(
	struct kms_rig *rig, uid_t uid, const char *key, const char *text, bool bypass);
const Kmsp__Reply *iam_get_key_policy(struct kms_rig *rig, uid_t uid, const char *key);
const Kmsp__Reply *iam_put_stream_policy(
	struct kms_rig *rig, uid_t uid, const char *stream, const char *text);
const Kmsp__Reply *iam_delete_stream_policy(struct kms_rig *rig, uid_t uid, const char *stream);

/* alice, or whoever, as a user of the catalog with one inline policy, "p". */
void iam_user_with(struct kms_rig *rig, const char *name, const char *statements);

#endif
