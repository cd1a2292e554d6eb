/* What differs between kinds of keys: AES keys (aes.c) and key pairs (pair.c), behind one table each.
 *
 * key.c keeps entries, worlds and refusals; a kind knows its objects, checks them, tries them and keeps the canary.
 * Thread: the session's; inside the gate, with the entry's lock held where a key is checked.
 */
#ifndef KMS_HSM_HSM_KIND_H
#define KMS_HSM_HSM_KIND_H

#include "base/error.h"
#include "hsm/gcm.h"
#include "hsm/token.h"

#define HSM_CANARY_BYTES 16u

/* Which key: its id and what it is. The same id as another kind is another key, and no key. */
struct hsm_key_name {
	uint8_t id[HSM_KEY_ID_BYTES];
	enum kms_spec spec;
	enum kms_usage usage;
};

struct hsm_pair; /* the public half and the canary of a key pair; counted references, never changed */

/* What passing the checks leaves behind. */
struct hsm_substance {
	uint8_t canary_iv[HSM_IV_BYTES]; /* AES */
	uint8_t canary[HSM_CANARY_BYTES + HSM_GCM_SLACK];
	size_t canary_len;
	struct hsm_pair *pair; /* key pairs */
};

/* The verdict on one key. */
struct hsm_check {
	struct slk_error err; /* SLK_OK: it passed */
	bool doubtful; /* refused for something that is missing or does not fit: to be believed only of a token
			  that was started anew */
	uint8_t kcv[HSM_KCV_BYTES];
	uint8_t kcv_cmac[5];
	uint32_t encryptions_count;
};

struct hsm_kind {
	/* Up to two handles of the object that works: the secret or the private key. */
	CK_RV(*search)
	(struct hsm_session *session, const struct hsm_key_name *name,
		CK_OBJECT_HANDLE out_handles[2], CK_ULONG *out_count);
	/* Is there something of a key that search() did not find? May be NULL. */
	CK_RV(*find_rest)
	(struct hsm_session *session, const struct hsm_key_name *name, bool *out_there);
	/* Attributes, check value, known answer. CKR_OK with out->err, or the token's error; *out_substance is set if
	 * out->err.status is SLK_OK. */
	CK_RV(*verify)
	(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
		struct hsm_substance *out_substance, struct hsm_check *out);
	/* Does the key work, as it did at the check? CKR_OK if so. */
	CK_RV(*canary)
	(struct hsm_session *session, CK_OBJECT_HANDLE handle,
		const struct hsm_substance *substance);
	/* Make the objects. */
	CK_RV (*generate)(struct hsm_session *session, const struct hsm_key_name *name);
	/* The check value alone, of an object that may be unsound otherwise. CKR_OK, or the token's error;
	 * CKR_KEY_TYPE_INCONSISTENT if the object has none. */
	CK_RV(*check_value)
	(struct hsm_session *session, const struct hsm_key_name *name, CK_OBJECT_HANDLE handle,
		uint8_t out_kcv[HSM_KCV_BYTES]);
};

extern const struct hsm_kind hsm_kind_aes, hsm_kind_pair;

static inline const struct hsm_kind *
hsm_kind_of(enum kms_spec spec)
{
	return kms_spec_is_symmetric(spec) ? &hsm_kind_aes : &hsm_kind_pair;
}

#endif
