/* Keys, their lives, rotation, tags and aliases. */
#include <string.h>

#include "aws/kms.h"

/* --- descriptions --- */

static void
write_algorithms(struct gw_writer *w, const Kmsp__Key *key)
{
	const char *name = strcmp(key->usage, "SIGN_VERIFY") == 0 ? "SigningAlgorithms"
		: strcmp(key->usage, "ENCRYPT_DECRYPT") == 0      ? "EncryptionAlgorithms"
								  : NULL;

	if (name == NULL || key->n_algorithms == 0)
		return;
	gw_write_open_list(w, name);
	for (size_t i = 0; i < key->n_algorithms; i++)
		gw_write_text(w, NULL, key->algorithms[i]);
	gw_write_close_list(w);
}

static void
write_key(struct gw_call *call, const Kmsp__Key *key)
{
	struct gw_writer *w = &call->w;

	gw_write_open(w, "KeyMetadata");
	gw_write_text(w, "AWSAccountId", gw_app_config_of(call->thread->app)->account);
	gw_write_text(w, "KeyId", key->id);
	gw_write_text(w, "Arn", key->arn);
	gw_write_time(w, "CreationDate", key->created_ns);
	gw_write_bool(w, "Enabled", strcmp(key->state, "Enabled") == 0);
	gw_write_text(w, "Description", key->description);
	gw_write_text(w, "KeyUsage", key->usage);
	gw_write_text(w, "KeyState", key->state);
	if (key->deletion_ns != 0)
		gw_write_time(w, "DeletionDate", key->deletion_ns);
	gw_write_text(w, "Origin", "AWS_KMS");
	gw_write_text(w, "KeyManager", key->manager);
	gw_write_text(w, "CustomerMasterKeySpec", key->spec);
	gw_write_text(w, "KeySpec", key->spec);
	write_algorithms(w, key);
	gw_write_bool(w, "MultiRegion", false);
	gw_write_text_if(w, "CurrentKeyMaterialId", key->material_id);
	gw_write_close(w);
}

static void
key_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	write_key(call, reply->key);
	gw_write_close(&call->w);
	gw_call_send(call);
}

bool
gw_kms_create_key(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateKey, KMSP__CREATE_KEY__INIT, CREATE_KEY, create_key);
	const char *spec = gw_text(call->in, "KeySpec"),
		   *old = gw_text(call->in, "CustomerMasterKeySpec"),
		   *origin = gw_text(call->in, "Origin");

	if (!gw_kms_without(call, "CustomKeyStoreId") || !gw_kms_without(call, "XksKeyId"))
		return false;
	if (gw_bool(call->in, "MultiRegion"))
		return gw_fault_set(&call->fault, "UnsupportedOperationException",
			"Multi-Region keys are not supported.");
	if (origin[0] != '\0' && strcmp(origin, "AWS_KMS") != 0)
		return gw_fault_set(&call->fault, "UnsupportedOperationException",
			"Keys of origin %.32s are not supported.", origin);
	if (spec[0] != '\0' && old[0] != '\0')
		return gw_fault_set(&call->fault, "ValidationException",
			"You cannot specify KeySpec and CustomerMasterKeySpec in the same request. "
			"CustomerMasterKeySpec is deprecated.");
	m.description = gw_kmsp_text(call, "Description");
	m.spec = (char *)(uintptr_t)(spec[0] != '\0' ? spec : old);
	m.usage = gw_kmsp_text(call, "KeyUsage");
	m.policy = gw_kmsp_text(call, "Policy");
	m.bypass_lockout_check = gw_bool(call->in, "BypassPolicyLockoutSafetyCheck");
	return gw_kms_tags(call, "Tags", &m.tags, &m.n_tags) && gw_kms_ask(call, &r, key_told);
}

bool
gw_kms_describe_key(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, DESCRIBE_KEY, describe_key);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, key_told);
}

static void
keys_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_open_list(w, "Keys");
	for (size_t i = 0; i < reply->keys->n_keys; i++) {
		gw_write_open(w, NULL);
		gw_write_text(w, "KeyId", reply->keys->keys[i]->id);
		gw_write_text(w, "KeyArn", reply->keys->keys[i]->arn);
		gw_write_close(w);
	}
	gw_write_close_list(w);
	gw_kms_write_next(call, reply->keys->next);
	gw_write_close(w);
	gw_call_send(call);
}

bool
gw_kms_list_keys(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__List, KMSP__LIST__INIT, LIST_KEYS, list_keys);

	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 100);
	return gw_kms_ask(call, &r, keys_told);
}

bool
gw_kms_update_key_description(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UpdateKeyDescription, KMSP__UPDATE_KEY_DESCRIPTION__INIT,
		UPDATE_KEY_DESCRIPTION, update_key_description);

	m.key = gw_kmsp_text(call, "KeyId");
	m.description = gw_kmsp_text(call, "Description");
	return gw_kms_ask(call, &r, gw_kms_done);
}

/* --- states --- */

bool
gw_kms_enable_key(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, ENABLE_KEY, enable_key);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_disable_key(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, DISABLE_KEY, disable_key);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

static void
deletion_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Key *key = reply->key;
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_text(w, "KeyId", key->arn);
	if (key->deletion_ns != 0) {
		gw_write_time(w, "DeletionDate", key->deletion_ns);
		gw_write_text(w, "KeyState", key->state);
		if (key->pending_window_days != 0)
			gw_write_int(w, "PendingWindowInDays", key->pending_window_days);
	}
	gw_write_close(w);
	gw_call_send(call);
}

bool
gw_kms_schedule_key_deletion(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ScheduleKeyDeletion, KMSP__SCHEDULE_KEY_DELETION__INIT,
		SCHEDULE_KEY_DELETION, schedule_key_deletion);
	int64_t days = gw_int(call->in, "PendingWindowInDays", 30);

	if (days < 7 || days > 30)
		return gw_fault_set(&call->fault, "ValidationException",
			"PendingWindowInDays must be between 7 and 30, not %lld.", (long long)days);
	m.key = gw_kmsp_text(call, "KeyId");
	m.pending_window_days = (uint32_t)days;
	return gw_kms_ask(call, &r, deletion_told);
}

bool
gw_kms_cancel_key_deletion(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, CANCEL_KEY_DELETION,
		cancel_key_deletion);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, deletion_told);
}

/* --- rotation --- */

bool
gw_kms_enable_key_rotation(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__EnableKeyRotation, KMSP__ENABLE_KEY_ROTATION__INIT, ENABLE_KEY_ROTATION,
		enable_key_rotation);

	m.key = gw_kmsp_text(call, "KeyId");
	m.period_days = (uint32_t)gw_int(call->in, "RotationPeriodInDays", 0);
	return gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_disable_key_rotation(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, DISABLE_KEY_ROTATION,
		disable_key_rotation);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

static void
rotation_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	const Kmsp__Rotation *in = reply->rotation;
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_text(w, "KeyId", in->key_arn);
	gw_write_bool(w, "KeyRotationEnabled", in->enabled);
	if (in->enabled) {
		gw_write_int(w, "RotationPeriodInDays", in->period_days);
		gw_write_time(w, "NextRotationDate", in->next_ns);
	}
	if (in->on_demand_start_ns != 0)
		gw_write_time(w, "OnDemandRotationStartDate", in->on_demand_start_ns);
	gw_write_close(w);
	gw_call_send(call);
}

bool
gw_kms_get_key_rotation_status(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, GET_KEY_ROTATION_STATUS,
		get_key_rotation_status);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, rotation_told);
}

static void
rotated(struct gw_call *call, const Kmsp__Reply *reply)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_text(&call->w, "KeyId", reply->rotation->key_arn);
	gw_write_close(&call->w);
	gw_call_send(call);
}

bool
gw_kms_rotate_key_on_demand(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, ROTATE_KEY_ON_DEMAND,
		rotate_key_on_demand);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, rotated);
}

static void
rotations_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_open_list(w, "Rotations");
	for (size_t i = 0; i < reply->rotations->n_rotations; i++) {
		const Kmsp__RotationEntry *e = reply->rotations->rotations[i];
		if (e->first)
			continue; /* no rotation made it */
		gw_write_open(w, NULL);
		gw_write_text(w, "KeyId", (const char *)call->user);
		gw_write_text_if(w, "KeyMaterialId", e->material_id);
		gw_write_text(w, "KeyMaterialState", e->current ? "CURRENT" : "NON_CURRENT");
		gw_write_time(w, "RotationDate", e->date_ns);
		gw_write_text(w, "RotationType", e->on_demand ? "ON_DEMAND" : "AUTOMATIC");
		gw_write_close(w);
	}
	gw_write_close_list(w);
	gw_kms_write_next(call, reply->rotations->next);
	gw_write_close(w);
	gw_call_send(call);
}

/* Entries name the key by its ARN, which the reply does not. */
static void
key_for_rotations(struct gw_call *call, const Kmsp__Reply *reply)
{
	GW_KMSP(r, m, Kmsp__ListOfKey, KMSP__LIST_OF_KEY__INIT, LIST_KEY_ROTATIONS,
		list_key_rotations);
	size_t len = strlen(reply->key->arn) + 1;

	call->user = gw_call_take(call, len);
	if (call->user != NULL)
		memcpy(call->user, reply->key->arn, len);
	m.key = call->user;
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 100);
	if (call->user == NULL || !gw_call_ask(call, &r, rotations_told))
		gw_call_fail(call);
}

bool
gw_kms_list_key_rotations(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, DESCRIBE_KEY, describe_key);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_ask(call, &r, key_for_rotations);
}

/* --- tags --- */

bool
gw_kms_tag_resource(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__TagResource, KMSP__TAG_RESOURCE__INIT, TAG_RESOURCE, tag_resource);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_tags(call, "Tags", &m.tags, &m.n_tags) && gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_untag_resource(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__UntagResource, KMSP__UNTAG_RESOURCE__INIT, UNTAG_RESOURCE,
		untag_resource);

	m.key = gw_kmsp_text(call, "KeyId");
	return gw_kms_strings(call, "TagKeys", &m.tag_keys, &m.n_tag_keys) &&
		gw_kms_ask(call, &r, gw_kms_done);
}

static void
tags_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_open_list(w, "Tags");
	for (size_t i = 0; i < reply->tags->n_tags; i++) {
		gw_write_open(w, NULL);
		gw_write_text(w, "TagKey", reply->tags->tags[i]->key);
		gw_write_text(w, "TagValue", reply->tags->tags[i]->value);
		gw_write_close(w);
	}
	gw_write_close_list(w);
	gw_kms_write_next(call, reply->tags->next);
	gw_write_close(w);
	gw_call_send(call);
}

bool
gw_kms_list_resource_tags(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListOfKey, KMSP__LIST_OF_KEY__INIT, LIST_RESOURCE_TAGS,
		list_resource_tags);

	m.key = gw_kmsp_text(call, "KeyId");
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 50);
	return gw_kms_ask(call, &r, tags_told);
}

/* --- aliases --- */

bool
gw_kms_create_alias(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateAlias, KMSP__CREATE_ALIAS__INIT, CREATE_ALIAS, create_alias);

	m.alias = gw_kmsp_text(call, "AliasName");
	m.key = gw_kmsp_text(call, "TargetKeyId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_update_alias(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__CreateAlias, KMSP__CREATE_ALIAS__INIT, UPDATE_ALIAS, update_alias);

	m.alias = gw_kmsp_text(call, "AliasName");
	m.key = gw_kmsp_text(call, "TargetKeyId");
	return gw_kms_ask(call, &r, gw_kms_done);
}

bool
gw_kms_delete_alias(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__DeleteAlias, KMSP__DELETE_ALIAS__INIT, DELETE_ALIAS, delete_alias);

	m.alias = gw_kmsp_text(call, "AliasName");
	return gw_kms_ask(call, &r, gw_kms_done);
}

static void
aliases_told(struct gw_call *call, const Kmsp__Reply *reply)
{
	struct gw_writer *w = &call->w;

	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(w, NULL);
	gw_write_open_list(w, "Aliases");
	for (size_t i = 0; i < reply->aliases->n_aliases; i++) {
		const Kmsp__Alias *alias = reply->aliases->aliases[i];
		gw_write_open(w, NULL);
		gw_write_text(w, "AliasName", alias->name);
		gw_write_text(w, "AliasArn", alias->arn);
		gw_write_text_if(w, "TargetKeyId", alias->key_id);
		gw_write_close(w);
	}
	gw_write_close_list(w);
	gw_kms_write_next(call, reply->aliases->next);
	gw_write_close(w);
	gw_call_send(call);
}

bool
gw_kms_list_aliases(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__ListAliases, KMSP__LIST_ALIASES__INIT, LIST_ALIASES, list_aliases);

	m.key = gw_kmsp_text(call, "KeyId");
	m.marker = gw_kmsp_text(call, "Marker");
	m.limit = gw_kms_limit(call, 50);
	return gw_kms_ask(call, &r, aliases_told);
}

/* --- stores --- */

static void
none_told(struct gw_call *call)
{
	if (!gw_call_write(call, 0, false)) {
		gw_call_fail(call);
		return;
	}
	gw_write_open(&call->w, NULL);
	gw_write_open_list(&call->w, "CustomKeyStores");
	gw_write_close_list(&call->w);
	gw_write_bool(&call->w, "Truncated", false);
	gw_write_close(&call->w);
	gw_call_send(call);
}

/* There are none, which is the answer for whoever may ask; one that is named does not exist. */
bool
gw_kms_describe_custom_key_stores(struct gw_call *call)
{
	const char *id = gw_text(call->in, "CustomKeyStoreId"),
		   *name = gw_text(call->in, "CustomKeyStoreName");

	if (id[0] != '\0' || name[0] != '\0')
		return gw_fault_set(&call->fault, "CustomKeyStoreNotFoundException",
			"There is no custom key store %s%s.", id, name);
	none_told(call);
	return true;
}
