/* Entries of the cache of keys. Internal to key.c and key_life.c. */
#ifndef KMS_HSM_HSM_KEY_ENTRY_H
#define KMS_HSM_HSM_KEY_ENTRY_H

#include "hsm/key.h"

#define HSM_KEY_BUCKETS 1024u
#define HSM_KEY_IVS 8u /* kept to be compared with */

struct hsm_key {
	struct hsm_key *next;
	struct hsm_key_name name;
	pthread_mutex_t lock;
	uint64_t login; /* the world in which it passed its checks; 0: none */
	bool known; /* passed them once */
	bool destroyed; /* by us: its absence needs no proof */
	uint64_t
		doubt_epoch; /* when it first failed them since it passed them; 0: there is no doubt */
	CK_OBJECT_HANDLE handles[HSM_SESSIONS_MAX + 1];
	uint64_t handle_logins[HSM_SESSIONS_MAX + 1];
	uint8_t kcv[HSM_KCV_BYTES];
	uint8_t kcv_cmac[5];
	struct hsm_substance substance;
	uint8_t ivs[HSM_KEY_IVS][HSM_IV_BYTES];
	unsigned ivs_count; /* ever noted; the ring holds the last HSM_KEY_IVS */
	_Atomic bool quarantined;
	bool refused; /* counted as refused */
	uint64_t
		remake_after_ns; /* what was left of its making was removed: not again before this */
	int refusal; /* kept for a moment, so that a bad key is not searched for at every call */
	uint64_t refusal_until_ns;
	char refusal_text[HSM_ERROR_MAX];
};

struct hsm_keys {
	pthread_mutex_t lock;
	struct hsm_key *buckets[HSM_KEY_BUCKETS];
	uint32_t count;
	_Atomic uint32_t served, refused;
	_Atomic(struct hsm_key *) last_served; /* for the keeper's beat */
	pthread_mutex_t creating; /* held from the search to the end of the creation */
};

/* Found or made; it lives as long as the process. NULL: there are too many, or no memory. */
struct hsm_key *hsm_key_entry(struct hsm_keys *keys, const struct hsm_key_name *name);

/* Is it the key's own fault? Only a token that was started anew since the doubt arose is believed that it is missing or
 * unusable; some modules go on answering when their token is gone. So a bad key costs one such start. The entry's lock is
 * held. */
bool hsm_key_believable(const struct hsm_session *session, struct hsm_key *key);

/* Not the whole of it: a lookup happens at every call. */
void hsm_lookup_clear(struct hsm_lookup *out);

#endif
