/* Master keys on the token: found, checked, tried, cached, watched, removed.
 *
 * A key is looked up once by CKA_ID, class and type; no match and two matches are both refused.
 * Before its first use, and again in every new world (after a login or a bring-up), its attributes
 * are read back, its check value is computed and it is tried on known bytes; what comes of that
 * becomes the key's canary (kind.h). An entry lives as long as the process, so that the last IVs and
 * a quarantine outlive the loss of the token; only a key that was destroyed is forgotten.
 *
 * The check value of an AES key is the usual first three bytes of AES-ECB(0^16). For a GCM key that
 * block is the hash subkey: 24 of its 128 bits become known, which helps a forger by nothing that
 * matters; the rest is wiped. That of a pair is the beginning of SHA-256 over its public key.
 *
 * "Not found" is believed of a key that was never seen, if the session is logged in. Of a key that
 * was seen, and of half a pair, it is believed only once the token was started anew: until then
 * HSM_RV_VANISHED asks for that. So a key that is gone costs one such start.
 *
 * Thread: any session thread inside the gate; entries have locks of their own.
 */
#ifndef KMS_HSM_HSM_KEY_H
#define KMS_HSM_HSM_KEY_H

#include "base/bytes.h"
#include "hsm/kind.h"

struct hsm_key;

MUST_USE int hsm_keys_new(struct hsm_keys **out_keys);
void hsm_keys_free(struct hsm_keys *keys); /* NULL allowed */
void hsm_keys_count(struct hsm_keys *keys, uint32_t *out_served, uint32_t *out_refused);

/* What a lookup found. status: SLK_OK, SLK_NOT_FOUND, SLK_CORRUPT with a sentence, SLK_LIMIT. The rest is set with SLK_OK
 * (encryptions_count always). */
struct hsm_lookup {
	struct hsm_key *key; /* valid with SLK_OK */
	CK_OBJECT_HANDLE handle;
	int status;
	char error[HSM_ERROR_MAX];
	uint8_t kcv[HSM_KCV_BYTES];
	uint8_t kcv_cmac[5];
	uint32_t encryptions_count; /* made for the check */
};

/* CKR_OK with out->status set, or the token's error. login: of the world that the caller entered.
 * kcv: what the key must have; NULL: any (a key just made). */
CK_RV hsm_key_find(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	const uint8_t *kcv, struct hsm_lookup *out);

/* Make a key under the id unless there is one; then as hsm_key_find(). *out_existed tells. The caller vouches that nobody was
 * told of the key yet, and asks once at a time. So what a making that was cut off has left is removed first: objects of this
 * kind under the id that bear our label with it, that are no whole and sound key to a token that was started anew, and were
 * none to this process before; once a minute at most. Anything else under the id is left alone: SLK_CORRUPT.
 * SLK_TIMEOUT, and nothing was done, if the deadline passed while another key was being made. */
CK_RV hsm_key_create(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	uint64_t mono_deadline_ns, struct hsm_lookup *out, bool *out_existed);

/* Remove every key object of the id. kcv: the check value it must have, NULL: any (a key that never worked, too), but
 * our label. CKR_OK with out->status: SLK_OK, SLK_CORRUPT (another check value or label, or none: left alone), SLK_HSM (the
 * token says that it did and did not). *out_existed: something was removed by this call or, unchanged, by an earlier try.
 * Absence is believed if `anew` (the token was started anew during this call) or if this process destroyed the key. */
CK_RV hsm_key_destroy(struct hsm_session *session, const struct hsm_key_name *name,
	const uint8_t *kcv, bool anew, struct hsm_lookup *out, bool *out_existed);

/* A reference to the pair that the key is, to be given back with hsm_pair_unref(); NULL for AES keys, or if it was destroyed
 * meanwhile. */
struct hsm_pair *hsm_key_pair(struct hsm_key *key);

/* Has this IV, just used for a wrap, been used under this key before, or is it zero? Then the key
 * is quarantined: SLK_CORRUPT, now and for every later wrap. Unwrapping goes on. */
int hsm_key_note_iv(struct hsm_token *token, struct hsm_key *key, const uint8_t iv[HSM_IV_BYTES]);
bool hsm_key_is_quarantined(struct hsm_key *key);

/* Look the handle up anew at its next use (class C). */
void hsm_key_forget_handle(struct hsm_key *key);

/* Ask the key's canary: CKR_OK if the token is well, whatever the caller's ciphertext was.
 * CKR_FUNCTION_FAILED-like errors and a wrong result (CKR_DEVICE_ERROR) mean that it is not. */
CK_RV hsm_key_canary(struct hsm_session *session, struct hsm_key *key);

/* Ask the canary of any served key, and repair the token if it is silent. For the keeper. */
void hsm_keys_beat(struct hsm_session *session);

#endif
