#include "hsm/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hsm/gcm.h"
#include "hsm/rv.h"

#define BUCKETS 1024u
#define KEYS_MAX 65536u
#define IVS_KEPT 8u
#define CANARY_BYTES 16u
#define REFUSAL_KEPT_NS SLK_NS_PER_S

static const char canary_aad[] = "sealock canary";
static const uint8_t canary_plain[CANARY_BYTES] = "known and public";

struct hsm_key {
	struct hsm_key *next;
	uint8_t id[HSM_KEY_ID_BYTES];
	pthread_mutex_t lock;
	uint64_t login; /* the world in which it passed its checks; 0: none */
	bool known; /* passed them once */
	uint64_t seen_epoch; /* when it last passed them, or first failed; 0: never */
	CK_OBJECT_HANDLE handles[HSM_SESSIONS_MAX + 1];
	uint64_t handle_logins[HSM_SESSIONS_MAX + 1];
	uint8_t kcv[HSM_KCV_BYTES];
	uint8_t kcv_cmac[5];
	uint8_t canary_iv[HSM_IV_BYTES];
	uint8_t canary[CANARY_BYTES + HSM_GCM_SLACK];
	size_t canary_len;
	uint8_t ivs[IVS_KEPT][HSM_IV_BYTES];
	unsigned ivs_count; /* ever noted; the ring holds the last IVS_KEPT */
	bool quarantined;
	bool refused; /* counted as refused */
	int refusal; /* kept for a moment, so that a bad key is not searched for at every call */
	uint64_t refusal_until_ns;
	char refusal_text[HSM_ERROR_MAX];
};

struct hsm_keys {
	pthread_mutex_t lock;
	struct hsm_key *buckets[BUCKETS];
	uint32_t count;
	_Atomic uint32_t served, refused;
	struct hsm_key *last_served; /* for the keeper's beat */
	pthread_mutex_t creating; /* held from the search to the end of the creation */
};

int
hsm_keys_new(struct hsm_keys **out_keys)
{
	struct hsm_keys *keys = calloc(1, sizeof(*keys));

	if (keys == NULL)
		return SLK_NO_MEMORY;
	pthread_mutex_init(&keys->lock, NULL);
	pthread_mutex_init(&keys->creating, NULL);
	*out_keys = keys;
	return SLK_OK;
}

void
hsm_keys_free(struct hsm_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct hsm_key *k = keys->buckets[i]; k != NULL;) {
			struct hsm_key *next = k->next;
			pthread_mutex_destroy(&k->lock);
			free(k);
			k = next;
		}
	}
	pthread_mutex_destroy(&keys->lock);
	pthread_mutex_destroy(&keys->creating);
	free(keys);
}

void
hsm_keys_count(struct hsm_keys *keys, uint32_t *out_served, uint32_t *out_refused)
{
	*out_served = atomic_load(&keys->served);
	*out_refused = atomic_load(&keys->refused);
}

static unsigned
bucket_of(const uint8_t id[HSM_KEY_ID_BYTES])
{
	return slk_crc32c(0, id, HSM_KEY_ID_BYTES) % BUCKETS;
}

static struct hsm_key *
entry_of(struct hsm_keys *keys, const uint8_t id[HSM_KEY_ID_BYTES])
{
	struct hsm_key **bucket = &keys->buckets[bucket_of(id)];

	pthread_mutex_lock(&keys->lock);
	struct hsm_key *k = *bucket;
	while (k != NULL && memcmp(k->id, id, HSM_KEY_ID_BYTES) != 0)
		k = k->next;
	if (k == NULL && keys->count < KEYS_MAX && (k = calloc(1, sizeof(*k))) != NULL) {
		memcpy(k->id, id, HSM_KEY_ID_BYTES);
		pthread_mutex_init(&k->lock, NULL);
		k->next = *bucket;
		*bucket = k;
		keys->count++;
	}
	pthread_mutex_unlock(&keys->lock);
	return k;
}

/* --- objects on the token --- */

/* Up to two handles of secret AES keys with this id. */
static CK_RV
search(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES],
	CK_OBJECT_HANDLE out_handles[2], CK_ULONG *out_count)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_ID, (void *)id, HSM_KEY_ID_BYTES},
	};

	CK_RV rv = HSM_SESSION_CALL(
		session, C_FindObjectsInit, template, sizeof(template) / sizeof(template[0]));
	if (rv != CKR_OK)
		return rv;
	/* A module may give fewer than asked for and still have more. */
	CK_ULONG total = 0, got = 1;
	while (rv == CKR_OK && total < 2 && got > 0) {
		rv = HSM_SESSION_CALL(session, C_FindObjects, out_handles + total, 2 - total, &got);
		total += rv == CKR_OK ? got : 0;
	}
	CK_RV end = HSM_SESSION_CALL(session, C_FindObjectsFinal);
	*out_count = total;
	return rv != CKR_OK ? rv : end;
}

/* What a master key must be. A key that was ever extractable, or came from outside, is not one. */
static CK_RV
check_attributes(struct hsm_session *session, CK_OBJECT_HANDLE handle, struct slk_error *err)
{
	static const struct {
		CK_ATTRIBUTE_TYPE type;
		CK_BBOOL want;
		const char *name;
	} rules[] = {
		{CKA_SENSITIVE, CK_TRUE, "CKA_SENSITIVE"},
		{CKA_EXTRACTABLE, CK_FALSE, "CKA_EXTRACTABLE"},
		{CKA_ALWAYS_SENSITIVE, CK_TRUE, "CKA_ALWAYS_SENSITIVE"},
		{CKA_NEVER_EXTRACTABLE, CK_TRUE, "CKA_NEVER_EXTRACTABLE"},
		{CKA_LOCAL, CK_TRUE, "CKA_LOCAL"},
		{CKA_ENCRYPT, CK_TRUE, "CKA_ENCRYPT"},
		{CKA_DECRYPT, CK_TRUE, "CKA_DECRYPT"},
		{CKA_WRAP, CK_FALSE, "CKA_WRAP"},
		{CKA_UNWRAP, CK_FALSE, "CKA_UNWRAP"},
		{CKA_DERIVE, CK_FALSE, "CKA_DERIVE"},
		{CKA_SIGN, CK_FALSE, "CKA_SIGN"},
	};
	enum { RULES = sizeof(rules) / sizeof(rules[0]) };
	CK_BBOOL values[RULES];
	CK_ULONG len = 0;
	CK_ATTRIBUTE template[RULES + 1];

	for (size_t i = 0; i < RULES; i++) {
		values[i] = 0xff;
		template[i] = (CK_ATTRIBUTE){rules[i].type, &values[i], sizeof(values[i])};
	}
	template[RULES] = (CK_ATTRIBUTE){CKA_VALUE_LEN, &len, sizeof(len)};
	CK_RV rv = HSM_SESSION_CALL(session, C_GetAttributeValue, handle, template, RULES + 1);
	if (rv != CKR_OK && rv != CKR_ATTRIBUTE_TYPE_INVALID)
		return rv;
	for (size_t i = 0; i < RULES; i++) {
		if (template[i].ulValueLen != sizeof(values[i]) || values[i] != rules[i].want) {
			(void)slk_fail(err, SLK_CORRUPT, "key refused: %s is not %s", rules[i].name,
				rules[i].want == CK_TRUE ? "true" : "false");
			return CKR_OK;
		}
	}
	if (template[RULES].ulValueLen != sizeof(len) || len != 32)
		(void)slk_fail(err, SLK_CORRUPT, "key refused: it is not an AES-256 key");
	return CKR_OK;
}

static CK_RV
ecb_block(
	struct hsm_session *session, CK_OBJECT_HANDLE handle, const uint8_t in[16], uint8_t out[16])
{
	CK_MECHANISM mechanism = {CKM_AES_ECB, NULL, 0};
	CK_ULONG len = 16;

	CK_RV rv = HSM_SESSION_CALL(session, C_EncryptInit, &mechanism, handle);
	if (rv != CKR_OK)
		return rv;
	rv = HSM_SESSION_CALL(session, C_Encrypt, (unsigned char *)in, 16, out, &len);
	return rv == CKR_OK && len != 16 ? CKR_GENERAL_ERROR : rv;
}

/* Times x in GF(2^128), the doubling of SP 800-38B 6.1. No branch on the secret. */
static void
gf_double(uint8_t block[16])
{
	uint8_t carry = block[0] >> 7;

	for (int i = 0; i < 15; i++)
		block[i] = (uint8_t)(block[i] << 1 | block[i + 1] >> 7);
	block[15] = (uint8_t)(block[15] << 1 ^ (0x87 & -carry));
}

/* CKA_CHECK_VALUE, and CMAC over one zero block: E(K1) with K1 = 2 E(0). */
static CK_RV
compute_check_values(struct hsm_session *session, CK_OBJECT_HANDLE handle, struct hsm_lookup *out)
{
	static const uint8_t zero[16];
	uint8_t block[16], mac[16];

	CK_RV rv = ecb_block(session, handle, zero, block);
	if (rv == CKR_OK) {
		memcpy(out->kcv, block, sizeof(out->kcv));
		gf_double(block);
		rv = ecb_block(session, handle, block, mac);
	}
	if (rv == CKR_OK)
		memcpy(out->kcv_cmac, mac, sizeof(out->kcv_cmac));
	slk_wipe(block, sizeof(block));
	slk_wipe(mac, sizeof(mac));
	return rv;
}

static CK_RV
try_canary(struct hsm_session *session, CK_OBJECT_HANDLE handle, const uint8_t iv[HSM_IV_BYTES],
	const uint8_t *canary, size_t canary_len)
{
	uint8_t plain[CANARY_BYTES + HSM_GCM_SLACK];
	size_t len = 0;

	CK_RV rv = hsm_gcm_decrypt(session, handle, slk_span_str(canary_aad), iv,
		slk_span(canary, canary_len), plain, &len);
	if (rv == CKR_OK && (len != CANARY_BYTES || memcmp(plain, canary_plain, CANARY_BYTES) != 0))
		rv = CKR_DEVICE_ERROR;
	return rv;
}

/* Known-answer test: the key wraps and unwraps, and the wrap stays as canary. */
static CK_RV
plant_canary(struct hsm_session *session, struct hsm_key *key, CK_OBJECT_HANDLE handle,
	struct hsm_lookup *out)
{
	uint8_t iv[HSM_IV_BYTES], canary[sizeof(key->canary)];
	size_t len = 0;

	CK_RV rv = hsm_gcm_encrypt(session, handle, slk_span_str(canary_aad),
		slk_span(canary_plain, CANARY_BYTES), iv, canary, &len);
	if (rv != CKR_OK)
		return rv;
	out->encryptions_count++;
	rv = try_canary(session, handle, iv, canary, len);
	if (rv != CKR_OK)
		return rv;
	memcpy(key->canary_iv, iv, sizeof(iv));
	memcpy(key->canary, canary, len);
	key->canary_len = len;
	return CKR_OK;
}

/* --- entries --- */

static void
count_refusal(struct hsm_keys *keys, struct hsm_key *key)
{
	if (!key->refused)
		atomic_fetch_add(&keys->refused, 1);
	key->refused = true;
}

/* The entry's lock is held. */
static int
note_iv(struct hsm_keys *keys, struct hsm_key *key, const uint8_t iv[HSM_IV_BYTES])
{
	static const uint8_t zero[HSM_IV_BYTES];
	unsigned kept = key->ivs_count < IVS_KEPT ? key->ivs_count : IVS_KEPT;

	bool bad = memcmp(iv, zero, sizeof(zero)) == 0;
	for (unsigned i = 0; i < kept && !bad; i++)
		bad = memcmp(key->ivs[i], iv, HSM_IV_BYTES) == 0;
	memcpy(key->ivs[key->ivs_count++ % IVS_KEPT], iv, HSM_IV_BYTES);
	if (bad && !key->quarantined)
		slk_error_log("key quarantined: the token gave a zero or a repeated IV; it wraps "
			      "nothing any more",
			slk_kv_hex("key_id", key->id, sizeof(key->id)));
	if (bad)
		count_refusal(keys, key);
	key->quarantined |= bad;
	return key->quarantined ? SLK_CORRUPT : SLK_OK;
}

static void
refuse(struct hsm_session *session, struct hsm_key *key, int status, const char *text,
	struct hsm_lookup *out)
{
	struct hsm_token *token = session->token;
	bool news = strcmp(key->refusal_text, text) != 0;

	key->refusal = status;
	key->refusal_until_ns = slk_mono_ns(token->clock) + REFUSAL_KEPT_NS;
	snprintf(key->refusal_text, sizeof(key->refusal_text), "%s", text);
	out->status = status;
	snprintf(out->error, sizeof(out->error), "%s", text);
	if (status != SLK_CORRUPT)
		return;
	count_refusal(token->keys, key);
	if (news)
		slk_error_log("key refused", slk_kv_hex("key_id", key->id, sizeof(key->id)),
			slk_kv("why", text));
}

/* Is it the key's own fault? Only a token that was started anew since the key was seen is believed
 * that it is missing or unusable; some modules go on answering when their token is gone. So a bad
 * key costs one such start. */
static bool
believable(const struct hsm_session *session, struct hsm_key *key)
{
	uint64_t epoch = session->token->epoch;

	if (key->seen_epoch == 0)
		key->seen_epoch = epoch;
	return key->seen_epoch != epoch;
}

static CK_RV
absent(struct hsm_session *session, struct hsm_key *key, struct hsm_lookup *out)
{
	CK_SESSION_INFO info = {0};

	/* Without a login private objects are not found, and no error says why. */
	CK_RV rv = HSM_SESSION_CALL(session, C_GetSessionInfo, &info);
	if (rv != CKR_OK)
		return rv;
	if (info.state != CKS_RW_USER_FUNCTIONS && info.state != CKS_RO_USER_FUNCTIONS)
		return CKR_USER_NOT_LOGGED_IN;
	if (key->known && !believable(session, key))
		return HSM_RV_VANISHED;
	refuse(session, key, SLK_NOT_FOUND, "the token has no key with this id", out);
	return CKR_OK;
}

/* The checks themselves failed with rv. */
static CK_RV
unusable(struct hsm_session *session, struct hsm_key *key, CK_RV rv, struct hsm_lookup *out)
{
	enum hsm_rv_class class = hsm_rv_class(rv);
	char text[HSM_ERROR_MAX];

	if (class != HSM_RV_UNCLEAR && class != HSM_RV_DATA && class != HSM_RV_CONFIG)
		return rv;
	if (!believable(session, key))
		return HSM_RV_VANISHED;
	snprintf(text, sizeof(text), "key refused: it cannot be used, the token says %s (0x%lx)",
		hsm_rv_name(rv), rv);
	refuse(session, key, SLK_CORRUPT, text, out);
	return CKR_OK;
}

static unsigned
handle_index(const struct hsm_session *session)
{
	return session->token->options->profile->handles_per_session ? session->index : 0;
}

static CK_RV
verify(struct hsm_session *session, struct hsm_key *key, CK_OBJECT_HANDLE handle,
	struct hsm_lookup *out)
{
	struct slk_error err = {0};

	CK_RV rv = check_attributes(session, handle, &err);
	if (rv != CKR_OK)
		return rv;
	if (err.status != SLK_OK) {
		refuse(session, key, err.status, err.text, out);
		return CKR_OK;
	}
	rv = compute_check_values(session, handle, out);
	if (rv == CKR_OK)
		rv = plant_canary(session, key, handle, out);
	if (rv != CKR_OK)
		return rv;
	memcpy(key->kcv, out->kcv, sizeof(key->kcv));
	memcpy(key->kcv_cmac, out->kcv_cmac, sizeof(key->kcv_cmac));
	return CKR_OK;
}

/* A new world: find the object and put it through everything. The entry's lock is held. */
static CK_RV
resolve(struct hsm_session *session, uint64_t login, struct hsm_key *key, struct hsm_lookup *out)
{
	struct hsm_keys *keys = session->token->keys;
	CK_OBJECT_HANDLE handles[2];
	CK_ULONG count = 0;

	CK_RV rv = search(session, key->id, handles, &count);
	if (rv != CKR_OK)
		return rv;
	if (count == 0)
		return absent(session, key, out);
	if (count > 1) {
		refuse(session, key, SLK_CORRUPT,
			"key refused: the token has more than one key with this id", out);
		return CKR_OK;
	}
	unsigned index = handle_index(session);
	if (key->login != login) {
		rv = verify(session, key, handles[0], out);
		if (rv != CKR_OK)
			return unusable(session, key, rv, out);
		if (out->status != SLK_OK)
			return CKR_OK;
		if (!key->known)
			atomic_fetch_add(&keys->served, 1);
		key->refusal_text[0] = '\0';
		key->known = true;
		key->seen_epoch = session->token->epoch;
		key->login = login;
		(void)note_iv(
			keys, key, key->canary_iv); /* logs by itself; the next wrap is refused */
	}
	key->handles[index] = handles[0];
	key->handle_logins[index] = login;
	key->refusal = SLK_OK;
	return CKR_OK;
}

static void
compare_check_value(struct hsm_session *session, struct hsm_key *key, const uint8_t *kcv,
	struct hsm_lookup *out)
{
	if (kcv == NULL || memcmp(kcv, key->kcv, HSM_KCV_BYTES) == 0)
		return;
	/* The object is sound, the expectation is another: this token, or this catalog, is a
	 * different one. */
	out->status = SLK_CORRUPT;
	out->key = NULL;
	snprintf(out->error, sizeof(out->error),
		"key refused: its check value is %02x%02x%02x, not %02x%02x%02x; this is another "
		"key",
		key->kcv[0], key->kcv[1], key->kcv[2], kcv[0], kcv[1], kcv[2]);
	if (!key->refused)
		slk_error_log("key refused", slk_kv_hex("key_id", key->id, sizeof(key->id)),
			slk_kv("why", out->error));
	count_refusal(session->token->keys, key);
}

CK_RV
hsm_key_find(struct hsm_session *session, uint64_t login, const uint8_t id[HSM_KEY_ID_BYTES],
	const uint8_t *kcv, struct hsm_lookup *out)
{
	struct hsm_keys *keys = session->token->keys;

	memset(out, 0, sizeof(*out));
	struct hsm_key *key = entry_of(keys, id);
	if (key == NULL) {
		out->status = SLK_LIMIT;
		snprintf(out->error, sizeof(out->error),
			"the HSM worker keeps no more than %u keys", KEYS_MAX);
		return CKR_OK;
	}
	pthread_mutex_lock(&key->lock);
	CK_RV rv = CKR_OK;
	unsigned index = handle_index(session);
	if (key->login != login || key->handle_logins[index] != login) {
		if (key->refusal != SLK_OK && kcv != NULL &&
			slk_mono_ns(session->token->clock) < key->refusal_until_ns) {
			out->status = key->refusal;
			snprintf(out->error, sizeof(out->error), "%s", key->refusal_text);
		} else {
			rv = resolve(session, login, key, out);
		}
	}
	if (rv == CKR_OK && out->status == SLK_OK) {
		out->key = key;
		out->handle = key->handles[index];
		memcpy(out->kcv, key->kcv, sizeof(out->kcv));
		memcpy(out->kcv_cmac, key->kcv_cmac, sizeof(out->kcv_cmac));
		compare_check_value(session, key, kcv, out);
	}
	pthread_mutex_unlock(&key->lock);
	if (out->key != NULL) {
		pthread_mutex_lock(&keys->lock);
		keys->last_served = key;
		pthread_mutex_unlock(&keys->lock);
	}
	return rv;
}

static CK_RV
generate(struct hsm_session *session, const uint8_t id[HSM_KEY_ID_BYTES], bool with_copyable)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32;
	char hex[2 * HSM_KEY_ID_BYTES + 1], label[64];
	slk_hex(slk_span(id, HSM_KEY_ID_BYTES), hex, sizeof(hex));
	int label_len = snprintf(label, sizeof(label), "sealock-cmk-%s", hex);
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_VALUE_LEN, &len, sizeof(len)},
		{CKA_ID, (void *)id, HSM_KEY_ID_BYTES},
		{CKA_LABEL, label, (CK_ULONG)label_len},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_PRIVATE, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_MODIFIABLE, &no, sizeof(no)},
		/* Encryption only: with WRAP beside DECRYPT a wrapped key could be read. */
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_DECRYPT, &yes, sizeof(yes)},
		{CKA_WRAP, &no, sizeof(no)},
		{CKA_UNWRAP, &no, sizeof(no)},
		{CKA_DERIVE, &no, sizeof(no)},
		{CKA_SIGN, &no, sizeof(no)},
		{CKA_VERIFY, &no, sizeof(no)},
		{CKA_COPYABLE, &no, sizeof(no)},
	};
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_ULONG count = sizeof(template) / sizeof(template[0]) - (with_copyable ? 0 : 1);
	CK_OBJECT_HANDLE handle;

	return HSM_SESSION_CALL(session, C_GenerateKey, &mechanism, template, count, &handle);
}

static CK_RV
find_or_generate(struct hsm_session *session, uint64_t login, const uint8_t id[HSM_KEY_ID_BYTES],
	struct hsm_lookup *out, bool *out_existed)
{
	/* Never blindly: an earlier call whose answer was lost may have made it. */
	CK_RV rv = hsm_key_find(session, login, id, NULL, out);
	if (rv != CKR_OK || out->status != SLK_NOT_FOUND) {
		*out_existed = true;
		return rv;
	}
	rv = generate(session, id, true);
	if (rv == CKR_ATTRIBUTE_TYPE_INVALID || rv == CKR_TEMPLATE_INCONSISTENT)
		rv = generate(session, id, false); /* a token that does not know CKA_COPYABLE */
	if (rv != CKR_OK)
		return rv;
	*out_existed = false;
	return hsm_key_find(session, login, id, NULL, out);
}

CK_RV
hsm_key_create(struct hsm_session *session, uint64_t login, const uint8_t id[HSM_KEY_ID_BYTES],
	struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	/* One at a time: two calls for one id would each find nothing, and make two keys. */
	pthread_mutex_lock(&keys->creating);
	CK_RV rv = CKR_FUNCTION_FAILED;
	if (hsm_pin_lock_keys(session->token->pin) == SLK_OK) {
		rv = find_or_generate(session, login, id, out, out_existed);
		hsm_pin_unlock_keys(session->token->pin);
	}
	pthread_mutex_unlock(&keys->creating);
	return rv;
}

int
hsm_key_note_iv(struct hsm_token *token, struct hsm_key *key, const uint8_t iv[HSM_IV_BYTES])
{
	pthread_mutex_lock(&key->lock);
	int rc = note_iv(token->keys, key, iv);
	pthread_mutex_unlock(&key->lock);
	return rc;
}

bool
hsm_key_is_quarantined(struct hsm_key *key)
{
	pthread_mutex_lock(&key->lock);
	bool quarantined = key->quarantined;
	pthread_mutex_unlock(&key->lock);
	return quarantined;
}

void
hsm_key_forget_handle(struct hsm_key *key)
{
	pthread_mutex_lock(&key->lock);
	key->login = 0; /* what is found in its place is put through all checks */
	memset(key->handle_logins, 0, sizeof(key->handle_logins));
	pthread_mutex_unlock(&key->lock);
}

CK_RV
hsm_key_canary(struct hsm_session *session, struct hsm_key *key)
{
	uint8_t iv[HSM_IV_BYTES], canary[sizeof(key->canary)];

	pthread_mutex_lock(&key->lock);
	unsigned index = handle_index(session);
	CK_OBJECT_HANDLE handle = key->handles[index];
	size_t len = key->canary_len;
	memcpy(iv, key->canary_iv, sizeof(iv));
	memcpy(canary, key->canary, len);
	pthread_mutex_unlock(&key->lock);
	return try_canary(session, handle, iv, canary, len);
}

void
hsm_keys_beat(struct hsm_session *session)
{
	struct hsm_keys *keys = session->token->keys;
	uint64_t epoch, login;
	int status;

	pthread_mutex_lock(&keys->lock);
	struct hsm_key *key = keys->last_served;
	pthread_mutex_unlock(&keys->lock);
	if (key == NULL)
		return;
	CK_RV rv = hsm_token_enter(session, &epoch, &login, &status);
	if (status != SLK_OK)
		return;
	if (rv == CKR_OK) {
		struct hsm_lookup found;
		rv = hsm_key_find(session, login, key->id, NULL, &found);
		if (rv == CKR_OK && found.status == SLK_OK)
			rv = hsm_key_canary(session, key);
		hsm_token_leave(session->token);
	}
	if (rv == CKR_OK)
		return;
	if (hsm_rv_class(rv) == HSM_RV_LOGIN && hsm_token_log_in_again(session, login) == CKR_OK)
		return;
	if (hsm_token_recover(session, epoch, hsm_rv_name(rv)) == SLK_OK)
		slk_info("the token answers again");
}
