#include "hsm/key.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hsm/object.h"
#include "hsm/pair.h"
#include "hsm/rv.h"

#define BUCKETS 1024u
#define KEYS_MAX 65536u
#define IVS_KEPT 8u
#define REFUSAL_KEPT_NS SLK_NS_PER_S

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
	uint8_t ivs[IVS_KEPT][HSM_IV_BYTES];
	unsigned ivs_count; /* ever noted; the ring holds the last IVS_KEPT */
	_Atomic bool quarantined;
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
	_Atomic(struct hsm_key *) last_served; /* for the keeper's beat */
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
			hsm_pair_unref(k->substance.pair);
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

static bool
is_named(const struct hsm_key *k, const struct hsm_key_name *name)
{
	return memcmp(k->name.id, name->id, HSM_KEY_ID_BYTES) == 0 && k->name.spec == name->spec &&
		k->name.usage == name->usage;
}

static struct hsm_key *
entry_of(struct hsm_keys *keys, const struct hsm_key_name *name)
{
	struct hsm_key **bucket = &keys->buckets[bucket_of(name->id)];

	pthread_mutex_lock(&keys->lock);
	struct hsm_key *k = *bucket;
	while (k != NULL && !is_named(k, name))
		k = k->next;
	if (k == NULL && keys->count < KEYS_MAX && (k = calloc(1, sizeof(*k))) != NULL) {
		k->name = *name;
		pthread_mutex_init(&k->lock, NULL);
		k->next = *bucket;
		*bucket = k;
		keys->count++;
	}
	pthread_mutex_unlock(&keys->lock);
	return k;
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
			slk_kv_hex("key_id", key->name.id, HSM_KEY_ID_BYTES));
	if (bad)
		count_refusal(keys, key);
	if (bad)
		key->quarantined = true;
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
		slk_error_log("key refused", slk_kv_hex("key_id", key->name.id, HSM_KEY_ID_BYTES),
			slk_kv("why", text));
}

/* Is it the key's own fault? Only a token that was started anew since the doubt arose is believed
 * that it is missing or unusable; some modules go on answering when their token is gone. So a bad
 * key costs one such start. */
static bool
believable(const struct hsm_session *session, struct hsm_key *key)
{
	uint64_t epoch = session->token->epoch;

	if (key->doubt_epoch == 0)
		key->doubt_epoch = epoch;
	return key->doubt_epoch != epoch;
}

/* The object that works was not found. */
static CK_RV
absent(struct hsm_session *session, struct hsm_key *key, struct hsm_lookup *out)
{
	const struct hsm_kind *kind = hsm_kind_of(key->name.spec);
	bool rest = false;

	/* Without a login private objects are not found, and no error says why. */
	CK_RV rv = hsm_objects_logged_in(session);
	if (rv == CKR_OK && kind->find_rest != NULL)
		rv = kind->find_rest(session, &key->name, &rest);
	if (rv != CKR_OK)
		return rv;
	if ((key->known || rest) && !believable(session, key))
		return HSM_RV_VANISHED;
	if (rest)
		refuse(session, key, SLK_CORRUPT,
			"key refused: the private half of the pair is missing", out);
	else
		refuse(session, key, SLK_NOT_FOUND, "the token has no key with this id", out);
	out->half = rest;
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
	struct hsm_substance substance = {.pair = NULL};
	struct hsm_check check = {.half = false};

	CK_RV rv = hsm_kind_of(key->name.spec)
			   ->verify(session, &key->name, handle, &substance, &check);
	out->encryptions_count += check.encryptions_count;
	if (rv != CKR_OK)
		return rv;
	if (check.err.status != SLK_OK) {
		if (check.doubtful && !believable(session, key))
			return HSM_RV_VANISHED;
		refuse(session, key, check.err.status, check.err.text, out);
		out->half = check.half;
		return CKR_OK;
	}
	memcpy(key->kcv, check.kcv, sizeof(key->kcv));
	memcpy(key->kcv_cmac, check.kcv_cmac, sizeof(key->kcv_cmac));
	hsm_pair_unref(key->substance.pair);
	key->substance = substance;
	return CKR_OK;
}

/* A new world: find the object and put it through everything. The entry's lock is held. */
static CK_RV
resolve(struct hsm_session *session, uint64_t login, struct hsm_key *key, struct hsm_lookup *out)
{
	struct hsm_keys *keys = session->token->keys;
	CK_OBJECT_HANDLE handles[2];
	CK_ULONG count = 0;

	CK_RV rv = hsm_kind_of(key->name.spec)->search(session, &key->name, handles, &count);
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
		key->destroyed = false;
		key->doubt_epoch = 0;
		key->login = login;
		if (kms_spec_is_symmetric(key->name.spec))
			(void)note_iv(keys, key,
				key->substance.canary_iv); /* logs by itself; the next wrap is
							      refused */
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
		slk_error_log("key refused", slk_kv_hex("key_id", key->name.id, HSM_KEY_ID_BYTES),
			slk_kv("why", out->error));
	count_refusal(session->token->keys, key);
}

/* Not the whole of it: a lookup happens at every call. */
static void
clear(struct hsm_lookup *out)
{
	out->key = NULL;
	out->handle = CK_INVALID_HANDLE;
	out->status = SLK_OK;
	out->error[0] = '\0';
	out->half = false;
	out->encryptions_count = 0;
}

CK_RV
hsm_key_find(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	const uint8_t *kcv, struct hsm_lookup *out)
{
	struct hsm_keys *keys = session->token->keys;

	clear(out);
	struct hsm_key *key = entry_of(keys, name);
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
	if (out->key != NULL)
		atomic_store_explicit(&keys->last_served, key, memory_order_relaxed);
	return rv;
}

/* --- making and removing; keys->creating is held --- */

static void
reject(struct hsm_lookup *out, int status, const char *text)
{
	out->status = status;
	out->key = NULL;
	snprintf(out->error, sizeof(out->error), "%s", text);
}

/* The private half first: what is left can still be told by its check value, if this is cut off. */
static CK_RV
remove_objects(struct hsm_session *session, const struct hsm_object *objects, CK_ULONG count)
{
	CK_RV rv = CKR_OK;

	for (int public = 0; public <= 1; public ++) {
		for (CK_ULONG i = 0; i < count && rv == CKR_OK; i++) {
			if ((objects[i].class == CKO_PUBLIC_KEY) == (public == 1))
				rv = HSM_SESSION_CALL(session, C_DestroyObject, objects[i].handle);
		}
	}
	return rv;
}

static void
set_destroyed(struct hsm_key *key, bool destroyed)
{
	pthread_mutex_lock(&key->lock);
	key->destroyed = destroyed;
	pthread_mutex_unlock(&key->lock);
}

static bool
was_known(struct hsm_key *key)
{
	pthread_mutex_lock(&key->lock);
	bool known = key->known;
	pthread_mutex_unlock(&key->lock);
	return known;
}

/* A pair is made in two steps, and a crash between them leaves a public half, of which nobody was told and which opens
 * nothing. A private half alone is nobody's to remove here. */
static CK_RV
remove_half(struct hsm_session *session, const struct hsm_key_name *name, bool *out_removed)
{
	struct hsm_object objects[HSM_OBJECTS_MAX];
	CK_ULONG count = 0;

	*out_removed = false;
	CK_RV rv = hsm_objects_of_id(session, name->id, objects, &count);
	if (rv != CKR_OK || count != 1 || objects[0].class != CKO_PUBLIC_KEY)
		return rv;
	slk_warn("removing half of a key pair whose making was cut off",
		slk_kv_hex("key_id", name->id, HSM_KEY_ID_BYTES));
	*out_removed = true;
	return remove_objects(session, objects, count);
}

/* Before something is made: the id is nobody else's. */
static CK_RV
check_free(struct hsm_session *session, const struct hsm_key_name *name, struct hsm_lookup *out)
{
	struct hsm_object objects[HSM_OBJECTS_MAX];
	CK_ULONG count = 0;

	CK_RV rv = hsm_objects_of_id(session, name->id, objects, &count);
	if (rv == CKR_OK && count > 0)
		reject(out, SLK_CORRUPT, "key refused: the token has another object with this id");
	return rv;
}

static CK_RV
find_or_generate(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	/* Never blindly: an earlier call whose answer was lost may have made it. */
	*out_existed = true;
	CK_RV rv = hsm_key_find(session, login, name, NULL, out);
	if (rv != CKR_OK)
		return rv;
	bool free = out->status == SLK_NOT_FOUND;
	if (out->half && !was_known(entry_of(keys, name)))
		rv = remove_half(session, name, &free);
	if (rv != CKR_OK || !free)
		return rv;
	out->status = SLK_OK;
	rv = check_free(session, name, out);
	if (rv != CKR_OK || out->status != SLK_OK)
		return rv;
	set_destroyed(entry_of(keys, name), false);
	rv = hsm_kind_of(name->spec)->generate(session, name);
	if (rv != CKR_OK)
		return rv;
	*out_existed = false;
	return hsm_key_find(session, login, name, NULL, out);
}

CK_RV
hsm_key_create(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	clear(out);
	/* One at a time: two calls for one id would each find nothing, and make two keys. */
	pthread_mutex_lock(&keys->creating);
	CK_RV rv = CKR_FUNCTION_FAILED;
	if (hsm_pin_lock_keys(session->token->pin) == SLK_OK) {
		rv = find_or_generate(session, login, name, out, out_existed);
		hsm_pin_unlock_keys(session->token->pin);
	}
	pthread_mutex_unlock(&keys->creating);
	return rv;
}

/* Nothing of a destroyed key stays but the knowledge that it was. */
static void
forget(struct hsm_keys *keys, struct hsm_key *key)
{
	struct hsm_key *expected = key;

	if (key->known)
		atomic_fetch_sub(&keys->served, 1);
	hsm_pair_unref(key->substance.pair);
	memset(&key->substance, 0, sizeof(key->substance));
	key->known = false;
	key->destroyed = true;
	key->login = key->doubt_epoch = 0;
	memset(key->handle_logins, 0, sizeof(key->handle_logins));
	key->refusal = SLK_OK;
	key->ivs_count = 0;
	key->quarantined = false;
	(void)atomic_compare_exchange_strong(&keys->last_served, &expected, NULL);
}

/* Is every object of the id of the key that is meant? Halves of a pair whose public half is gone cannot be told. */
static CK_RV
compare_objects(struct hsm_session *session, const struct hsm_key_name *name, const uint8_t *kcv,
	const struct hsm_object *objects, CK_ULONG count, bool anew, struct hsm_lookup *out)
{
	bool symmetric = kms_spec_is_symmetric(name->spec), told = false;

	for (CK_ULONG i = 0; i < count; i++) {
		bool secret = objects[i].class == CKO_SECRET_KEY;
		uint8_t found[HSM_KCV_BYTES];
		if (secret != symmetric) {
			reject(out, SLK_CORRUPT,
				"another kind of key has this id; nothing was destroyed");
			return CKR_OK;
		}
		if (objects[i].class == CKO_PRIVATE_KEY && count > 1)
			continue;
		CK_RV rv = hsm_kind_of(name->spec)
				   ->check_value(session, name, objects[i].handle, found);
		enum hsm_rv_class class = hsm_rv_class(rv);
		if (rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED ||
			(rv != CKR_OK && class != HSM_RV_CONFIG &&
				!(class == HSM_RV_UNCLEAR && anew)))
			return rv;
		if (rv != CKR_OK || memcmp(found, kcv, HSM_KCV_BYTES) != 0) {
			reject(out, SLK_CORRUPT,
				"the key has another check value, or none; nothing was destroyed");
			return CKR_OK;
		}
		told = true;
	}
	if (!told)
		reject(out, SLK_CORRUPT,
			"the key has no check value to compare; nothing was destroyed");
	return CKR_OK;
}

/* The entry's lock is held. */
static CK_RV
destroy(struct hsm_session *session, struct hsm_key *key, const uint8_t *kcv, bool anew,
	struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_object objects[HSM_OBJECTS_MAX];
	CK_ULONG count = 0;

	CK_RV rv = hsm_objects_of_id(session, key->name.id, objects, &count);
	if (rv == CKR_OK && count == 0)
		rv = hsm_objects_logged_in(session);
	if (rv != CKR_OK)
		return rv;
	if (count == 0) {
		if (!anew && !key->destroyed && !*out_existed)
			return HSM_RV_VANISHED;
		forget(session->token->keys, key);
		return CKR_OK;
	}
	if (kcv != NULL)
		rv = compare_objects(session, &key->name, kcv, objects, count, anew, out);
	if (rv != CKR_OK || out->status != SLK_OK)
		return rv;
	*out_existed = true;
	rv = remove_objects(session, objects, count);
	if (rv == CKR_OK)
		rv = hsm_objects_of_id(session, key->name.id, objects, &count);
	if (rv != CKR_OK)
		return rv;
	if (count > 0)
		reject(out, SLK_HSM, "the token says that it destroyed the key, and still has it");
	else
		forget(session->token->keys, key);
	return CKR_OK;
}

CK_RV
hsm_key_destroy(struct hsm_session *session, const struct hsm_key_name *name, const uint8_t *kcv,
	bool anew, struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	clear(out);
	struct hsm_key *key = entry_of(keys, name);
	if (key == NULL) {
		reject(out, SLK_LIMIT, "the HSM worker keeps no more keys");
		return CKR_OK;
	}
	pthread_mutex_lock(&keys->creating);
	CK_RV rv = CKR_FUNCTION_FAILED;
	if (hsm_pin_lock_keys(session->token->pin) == SLK_OK) {
		pthread_mutex_lock(&key->lock);
		rv = destroy(session, key, kcv, anew, out, out_existed);
		pthread_mutex_unlock(&key->lock);
		hsm_pin_unlock_keys(session->token->pin);
	}
	pthread_mutex_unlock(&keys->creating);
	return rv;
}

/* --- in use --- */

struct hsm_pair *
hsm_key_pair(struct hsm_key *key)
{
	pthread_mutex_lock(&key->lock);
	struct hsm_pair *pair = hsm_pair_ref(key->substance.pair);
	pthread_mutex_unlock(&key->lock);
	return pair;
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
	return atomic_load(&key->quarantined);
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
	pthread_mutex_lock(&key->lock);
	CK_OBJECT_HANDLE handle = key->handles[handle_index(session)];
	struct hsm_substance substance = key->substance;
	(void)hsm_pair_ref(substance.pair);
	pthread_mutex_unlock(&key->lock);
	CK_RV rv = hsm_kind_of(key->name.spec)->canary(session, handle, &substance);
	hsm_pair_unref(substance.pair);
	return rv;
}

void
hsm_keys_beat(struct hsm_session *session)
{
	struct hsm_keys *keys = session->token->keys;
	uint64_t epoch, login;
	int status;

	struct hsm_key *key = atomic_load_explicit(&keys->last_served, memory_order_relaxed);
	if (key == NULL)
		return;
	CK_RV rv = hsm_token_enter(session, &epoch, &login, &status);
	if (status != SLK_OK)
		return;
	if (rv == CKR_OK) {
		struct hsm_lookup found;
		rv = hsm_key_find(session, login, &key->name, NULL, &found);
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
