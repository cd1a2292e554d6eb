/* Objects on the token: searching, reading attributes, removing.
 *
 * Every object of ours carries the key's id as CKA_ID and HSM_LABEL_PREFIX and the id in hex as CKA_LABEL. SoftHSM finds
 * nothing private, and says nothing, when the login is gone: whoever concludes from "not found" asks
 * hsm_objects_logged_in() as well. Thread: the session's; inside the gate.
 */
#ifndef KMS_HSM_HSM_OBJECT_H
#define KMS_HSM_HSM_OBJECT_H

#include "base/bytes.h"
#include "base/error.h"
#include "hsm/token.h"

#define HSM_LABEL_PREFIX "sealock-cmk-"
#define HSM_LABEL_BYTES (sizeof(HSM_LABEL_PREFIX) - 1 + (size_t)2 * HSM_KEY_ID_BYTES)

/* out gets a NUL as well. */
void hsm_object_label(const uint8_t id[HSM_KEY_ID_BYTES], char out[HSM_LABEL_BYTES + 1]);

/* Up to cap handles of token objects of this class and type with this id. */
CK_RV hsm_objects_find(struct hsm_session *session, CK_OBJECT_CLASS class, CK_KEY_TYPE type,
	const uint8_t id[HSM_KEY_ID_BYTES], CK_OBJECT_HANDLE *out_handles, CK_ULONG cap,
	CK_ULONG *out_count);

/* A secret, private or public key object; others (certificates) are nobody's business here. */
struct hsm_object {
	CK_OBJECT_HANDLE handle;
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE type; /* CK_UNAVAILABLE_INFORMATION: unreadable, as half-made objects are */
};
#define HSM_OBJECTS_MAX 8u
/* All key objects of the id, whatever their class. More than HSM_OBJECTS_MAX: the first of them. */
CK_RV hsm_objects_of_id(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES],
	struct hsm_object out_objects[HSM_OBJECTS_MAX], CK_ULONG *out_count);

/* Does the object bear our label with this id? */
CK_RV hsm_object_is_labelled(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	const uint8_t id[HSM_KEY_ID_BYTES], bool *out_is);

/* CKR_OK if the session is logged in, CKR_USER_NOT_LOGGED_IN or the token's error. */
CK_RV hsm_objects_logged_in(struct hsm_session *session);

/* Ids above `after` of all key objects with our label, sorted, each once, at most max (<= HSM_LIST_MAX); out has
 * HSM_LIST_ENTRY_BYTES for each: the id, and 1 if anything of a key pair bears it, else 0. */
CK_RV hsm_objects_list(struct hsm_session *session, const uint8_t after[HSM_KEY_ID_BYTES],
	uint32_t max, uint8_t *out, size_t *out_len);

/* Attributes that have to be as they are wanted. */
struct hsm_rule {
	CK_ATTRIBUTE_TYPE type;
	CK_BBOOL want;
	const char *name;
};
#define HSM_RULES_MAX 16u
/* CKR_OK with err->status SLK_CORRUPT and a sentence for the first rule that is broken, or whose attribute the token does
 * not know. */
CK_RV hsm_rules_check(struct hsm_session *session, CK_OBJECT_HANDLE handle,
	const struct hsm_rule *rules, size_t count, struct slk_error *err);

#endif
