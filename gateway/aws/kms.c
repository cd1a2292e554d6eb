/* The table of KMS's operations, and what they share. */
#include "aws/kms.h"

#include <stdio.h>
#include <string.h>

const struct gw_operation gw_kms_operations[] = {
	{"CancelKeyDeletion", gw_kms_cancel_key_deletion},
	{"CreateAlias", gw_kms_create_alias},
	{"CreateGrant", gw_kms_create_grant},
	{"CreateKey", gw_kms_create_key},
	{"Decrypt", gw_kms_decrypt},
	{"DeleteAlias", gw_kms_delete_alias},
	{"DescribeCustomKeyStores", gw_kms_describe_custom_key_stores},
	{"DescribeKey", gw_kms_describe_key},
	{"DisableKey", gw_kms_disable_key},
	{"DisableKeyRotation", gw_kms_disable_key_rotation},
	{"EnableKey", gw_kms_enable_key},
	{"EnableKeyRotation", gw_kms_enable_key_rotation},
	{"Encrypt", gw_kms_encrypt},
	{"GenerateDataKey", gw_kms_generate_data_key},
	{"GenerateDataKeyWithoutPlaintext", gw_kms_generate_data_key_without_plaintext},
	{"GenerateRandom", gw_kms_generate_random},
	{"GetKeyPolicy", gw_kms_get_key_policy},
	{"GetKeyRotationStatus", gw_kms_get_key_rotation_status},
	{"GetPublicKey", gw_kms_get_public_key},
	{"ListAliases", gw_kms_list_aliases},
	{"ListGrants", gw_kms_list_grants},
	{"ListKeyPolicies", gw_kms_list_key_policies},
	{"ListKeyRotations", gw_kms_list_key_rotations},
	{"ListKeys", gw_kms_list_keys},
	{"ListResourceTags", gw_kms_list_resource_tags},
	{"ListRetirableGrants", gw_kms_list_retirable_grants},
	{"PutKeyPolicy", gw_kms_put_key_policy},
	{"ReEncrypt", gw_kms_re_encrypt},
	{"RetireGrant", gw_kms_retire_grant},
	{"RevokeGrant", gw_kms_revoke_grant},
	{"RotateKeyOnDemand", gw_kms_rotate_key_on_demand},
	{"ScheduleKeyDeletion", gw_kms_schedule_key_deletion},
	{"Sign", gw_kms_sign},
	{"TagResource", gw_kms_tag_resource},
	{"UntagResource", gw_kms_untag_resource},
	{"UpdateAlias", gw_kms_update_alias},
	{"UpdateKeyDescription", gw_kms_update_key_description},
	{"Verify", gw_kms_verify},
	{NULL, NULL},
};

static void
would_succeed(struct gw_call *call, const Kmsp__Reply *reply)
{
	(void)reply;
	(void)gw_fault_set(&call->fault, "DryRunOperationException",
		"The request would have succeeded, but the DryRun option is set.");
	gw_call_fail(call);
}

/* DryRun asks whether it would be allowed, and does nothing. */
static bool
only_try(struct gw_call *call)
{
	GW_KMSP(r, m, Kmsp__Authorize, KMSP__AUTHORIZE__INIT, AUTHORIZE, authorize);
	char action[80];

	if (gw_get(call->in, "KeyId") == NULL)
		return gw_fault_set(&call->fault, "UnsupportedOperationException",
			"DryRun is supported for requests that name a KeyId");
	(void)snprintf(action, sizeof(action), "kms:%s", call->operation);
	m.action = action;
	m.resource = gw_kmsp_text(call, "KeyId");
	if (!gw_kms_pairs(call, "EncryptionContext", &m.context, &m.n_context))
		return false;
	return gw_call_ask(call, &r, would_succeed);
}

bool
gw_kms_ask(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply))
{
	if (gw_bool(call->in, "DryRun"))
		return only_try(call);
	if (!gw_kms_strings(call, "GrantTokens", &request->grant_tokens, &request->n_grant_tokens))
		return false;
	return gw_call_ask(call, request, on_reply);
}

void
gw_kms_done(struct gw_call *call, const Kmsp__Reply *reply)
{
	(void)reply;
	gw_call_send_empty(call);
}

bool
gw_kms_pairs(struct gw_call *call, const char *member, Kmsp__Pair ***out, size_t *out_count)
{
	const struct gw_value *map = gw_get(call->in, member);
	size_t n = 0;

	*out_count = 0;
	if (map == NULL || map->count == 0)
		return true;
	Kmsp__Pair **list = gw_call_take(call, map->count * sizeof(void *));
	Kmsp__Pair *pairs = gw_call_take(call, map->count * sizeof(*pairs));
	if (list == NULL || pairs == NULL)
		return false;
	for (const struct gw_value *v = map->first; v != NULL; v = v->next, n++) {
		kmsp__pair__init(&pairs[n]);
		pairs[n].key = (ProtobufCBinaryData){v->key.len, (uint8_t *)(uintptr_t)v->key.ptr};
		pairs[n].value =
			(ProtobufCBinaryData){v->text.len, (uint8_t *)(uintptr_t)v->text.ptr};
		list[n] = &pairs[n];
	}
	*out = list;
	*out_count = n;
	return true;
}

bool
gw_kms_tags(struct gw_call *call, const char *member, Kmsp__Tag ***out, size_t *out_count)
{
	const struct gw_value *in = gw_get(call->in, member);
	size_t n = 0;

	*out_count = 0;
	if (in == NULL || in->count == 0)
		return true;
	Kmsp__Tag **list = gw_call_take(call, in->count * sizeof(void *));
	Kmsp__Tag *tags = gw_call_take(call, in->count * sizeof(*tags));
	if (list == NULL || tags == NULL)
		return false;
	for (const struct gw_value *v = in->first; v != NULL; v = v->next, n++) {
		kmsp__tag__init(&tags[n]);
		tags[n].key = (char *)(uintptr_t)gw_text(v, "TagKey");
		tags[n].value = (char *)(uintptr_t)gw_text(v, "TagValue");
		list[n] = &tags[n];
	}
	*out = list;
	*out_count = n;
	return true;
}

bool
gw_kms_strings(struct gw_call *call, const char *member, char ***out, size_t *out_count)
{
	const struct gw_value *in = gw_get(call->in, member);
	size_t n = 0;

	*out_count = 0;
	if (in == NULL || in->count == 0)
		return true;
	char **list = gw_call_take(call, in->count * sizeof(void *));
	if (list == NULL)
		return false;
	for (const struct gw_value *v = in->first; v != NULL; v = v->next)
		list[n++] = (char *)(uintptr_t)v->text.ptr;
	*out = list;
	*out_count = n;
	return true;
}

bool
gw_kms_without(struct gw_call *call, const char *member)
{
	if (gw_get(call->in, member) == NULL)
		return true;
	return gw_fault_set(
		&call->fault, "UnsupportedOperationException", "%s is not supported.", member);
}

void
gw_kms_write_next(struct gw_call *call, const char *next)
{
	gw_write_bool(&call->w, "Truncated", next[0] != '\0');
	gw_write_text_if(&call->w, "NextMarker", next);
}

uint32_t
gw_kms_limit(const struct gw_call *call, uint32_t absent)
{
	int64_t n = gw_int(call->in, "Limit", absent);

	return n > KMSP_PAGE_MAX ? KMSP_PAGE_MAX : (uint32_t)n;
}
