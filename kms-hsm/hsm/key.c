#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "hsm/key_entry.h"
#include "hsm/object.h"
#include "hsm/pair.h"
#include "hsm/rv.h"

#define KEYS_MAX 65536u
#define REFUSAL_KEPT_NS SLK_NS_PER_S

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
	for (size_t i = 0; i < HSM_KEY_BUCKETS; i++) {
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
	return slk_crc32c(0, id, HSM_KEY_ID_BYTES) % HSM_KEY_BUCKETS;
}

static bool
is_named(const struct hsm_key *k, const struct hsm_key_name *name)
{
	return memcmp(k->name.id, name->id, HSM_KEY_ID_BYTES) == 0 && k->name.spec == name->spec &&
		k->name.usage == name->usage;
}

struct hsm_key *
hsm_key_entry(struct hsm_keys *keys, const struct hsm_key_name *name)
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
	unsigned kept = key->ivs_count < HSM_KEY_IVS ? key->ivs_count : HSM_KEY_IVS;

	bool bad = memcmp(iv, zero, sizeof(zero)) == 0;
	for (unsigned i = 0; i < kept && !bad; i++)
		bad = memcmp(key->ivs[i], iv, HSM_IV_BYTES) == 0;
	memcpy(key->ivs[key->ivs_count++ % HSM_KEY_IVS], iv, HSM_IV_BYTES);
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

bool
hsm_key_believable(const struct hsm_session *session, struct hsm_key *key)
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
	if ((key->known || rest) && !hsm_key_believable(session, key))
		return HSM_RV_VANISHED;
	if (rest)
		refuse(session, key, SLK_CORRUPT,
			"key refused: the private half of the pair is missing", out);
	else
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
	if (!hsm_key_believable(session, key))
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
	struct hsm_check check = {.doubtful = false};

	CK_RV rv = hsm_kind_of(key->name.spec)
			   ->verify(session, &key->name, handle, &substance, &check);
	out->encryptions_count += check.encryptions_count;
	if (rv != CKR_OK)
		return rv;
	if (check.err.status != SLK_OK) {
		if (check.doubtful && !hsm_key_believable(session, key))
			return HSM_RV_VANISHED;
		refuse(session, key, check.err.status, check.err.text, out);
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

void
hsm_lookup_clear(struct hsm_lookup *out)
{
	out->key = NULL;
	out->handle = CK_INVALID_HANDLE;
	out->status = SLK_OK;
	out->error[0] = '\0';
	out->encryptions_count = 0;
}

CK_RV
hsm_key_find(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	const uint8_t *kcv, struct hsm_lookup *out)
{
	struct hsm_keys *keys = session->token->keys;

	hsm_lookup_clear(out);
	struct hsm_key *key = hsm_key_entry(keys, name);
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
