/* Master keys made and removed, keys->creating being held. See key.h. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "hsm/key_entry.h"
#include "hsm/object.h"
#include "hsm/pair.h"
#include "hsm/rv.h"

#define REMAKE_NS (60 * SLK_NS_PER_S) /* a token that makes bad keys is not worn out */

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

/* Do they all bear our label with this id? */
static CK_RV
are_ours(struct hsm_session *session, const struct hsm_key_name *name,
	const struct hsm_object *objects, CK_ULONG count, bool *out_ours)
{
	*out_ours = count < HSM_OBJECTS_MAX;
	for (CK_ULONG i = 0; i < count && *out_ours; i++) {
		CK_RV rv = hsm_object_is_labelled(session, objects[i].handle, name->id, out_ours);
		if (rv != CKR_OK)
			return rv;
	}
	return CKR_OK;
}

/* Are they what making that kind of key leaves? */
static bool
are_of_kind(const struct hsm_key_name *name, const struct hsm_object *objects, CK_ULONG count)
{
	for (CK_ULONG i = 0; i < count; i++) {
		if ((objects[i].class == CKO_SECRET_KEY) != kms_spec_is_symmetric(name->spec))
			return false;
	}
	return true;
}

/* May what is left of its making be removed? Not of a key that was seen whole, not twice in a while, and only if a token
 * that was started anew has nothing better to show. */
static CK_RV
may_remake(struct hsm_session *session, struct hsm_key *key, bool *out_may)
{
	CK_RV rv = CKR_OK;

	pthread_mutex_lock(&key->lock);
	*out_may = !key->known && slk_mono_ns(session->token->clock) >= key->remake_after_ns;
	if (*out_may && !hsm_key_believable(session, key))
		rv = HSM_RV_VANISHED;
	pthread_mutex_unlock(&key->lock);
	return rv;
}

static CK_RV
remove_remains(struct hsm_session *session, struct hsm_key *key, const struct hsm_object *objects,
	CK_ULONG count)
{
	slk_warn("removing what is left of a key whose making was cut off",
		slk_kv_hex("key_id", key->name.id, HSM_KEY_ID_BYTES),
		slk_kv("objects", (int)count));
	pthread_mutex_lock(&key->lock);
	key->remake_after_ns = slk_mono_ns(session->token->clock) + REMAKE_NS;
	pthread_mutex_unlock(&key->lock);
	return remove_objects(session, objects, count);
}

/* The key was not found, or was refused. out->status is SLK_OK if nothing bears its id now. A making that was cut off leaves
 * objects without a value, or half a pair. Nobody was told of such a key, or it would not be asked for. */
static CK_RV
clear_the_way(struct hsm_session *session, const struct hsm_key_name *name, struct hsm_lookup *out)
{
	struct hsm_key *key = hsm_key_entry(session->token->keys, name);
	struct hsm_object objects[HSM_OBJECTS_MAX];
	CK_ULONG count = 0;
	bool ours = false, may = false;

	CK_RV rv = hsm_objects_of_id(session, name->id, objects, &count);
	if (rv == CKR_OK && count > 0)
		rv = are_ours(session, name, objects, count, &ours);
	if (rv == CKR_OK && ours && are_of_kind(name, objects, count))
		rv = may_remake(session, key, &may);
	if (rv == CKR_OK && may)
		rv = remove_remains(session, key, objects, count);
	if (rv == CKR_OK && may)
		rv = hsm_objects_of_id(session, name->id, objects, &count);
	if (rv != CKR_OK)
		return rv;
	if (count == 0)
		out->status = SLK_OK;
	else if (out->status == SLK_NOT_FOUND || may)
		reject(out, SLK_CORRUPT, "key refused: the token has another object with this id");
	return CKR_OK;
}

static CK_RV
find_or_generate(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	/* Never blindly: an earlier call whose answer was lost may have made it. */
	*out_existed = true;
	CK_RV rv = hsm_key_find(session, login, name, NULL, out);
	if (rv != CKR_OK || (out->status != SLK_NOT_FOUND && out->status != SLK_CORRUPT))
		return rv;
	rv = clear_the_way(session, name, out);
	if (rv != CKR_OK || out->status != SLK_OK)
		return rv;
	set_destroyed(hsm_key_entry(keys, name), false);
	rv = hsm_kind_of(name->spec)->generate(session, name);
	if (rv != CKR_OK)
		return rv;
	*out_existed = false;
	return hsm_key_find(session, login, name, NULL, out);
}

/* Whoever asked has had the answer that it came too late, and may have asked again: then it is not for this call to do. */
static bool
is_late(const struct hsm_session *session, uint64_t mono_deadline_ns, struct hsm_lookup *out)
{
	if (slk_mono_ns(session->token->clock) < mono_deadline_ns)
		return false;
	reject(out, SLK_TIMEOUT, "the HSM did not answer in time");
	return true;
}

CK_RV
hsm_key_create(struct hsm_session *session, uint64_t login, const struct hsm_key_name *name,
	uint64_t mono_deadline_ns, struct hsm_lookup *out, bool *out_existed)
{
	struct hsm_keys *keys = session->token->keys;

	hsm_lookup_clear(out);
	/* One at a time: two calls for one id would each find nothing, and make two keys. */
	pthread_mutex_lock(&keys->creating);
	CK_RV rv = CKR_FUNCTION_FAILED;
	if (hsm_pin_lock_keys(session->token->pin) == SLK_OK) {
		rv = CKR_OK;
		if (!is_late(session, mono_deadline_ns, out))
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

/* Without a check value to tell by, the label does. */
static CK_RV
check_ours(struct hsm_session *session, const struct hsm_key_name *name,
	const struct hsm_object *objects, CK_ULONG count, struct hsm_lookup *out)
{
	bool ours = false;

	CK_RV rv = are_ours(session, name, objects, count, &ours);
	if (rv == CKR_OK && !ours)
		reject(out, SLK_CORRUPT,
			"an object that is not of this key has its id; nothing was destroyed");
	return rv;
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
	rv = kcv != NULL ? compare_objects(session, &key->name, kcv, objects, count, anew, out)
			 : check_ours(session, &key->name, objects, count, out);
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

	hsm_lookup_clear(out);
	struct hsm_key *key = hsm_key_entry(keys, name);
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
