/* Operations of KMS: each is a message to kmsd in the caller's name, and its reply as AWS words it. Internal to aws/. */
#ifndef GATEWAY_AWS_KMS_H
#define GATEWAY_AWS_KMS_H

#include "aws/call.h"

/* A request named r with its message m: GW_KMSP(r, m, Kmsp__KeyName, KMSP__KEY_NAME__INIT, DESCRIBE_KEY, describe_key) */
#define GW_KMSP(r, m, Type, INIT, CASE, field) \
	Type m = INIT; \
	Kmsp__Request r = KMSP__REQUEST__INIT; \
	r.call_case = KMSP__REQUEST__CALL_##CASE; \
	r.field = &m

/* Text of a bound member, as messages have it. */
static inline char *
gw_kmsp_text(const struct gw_call *call, const char *member)
{
	return (char *)(uintptr_t)gw_text(call->in, member);
}

static inline ProtobufCBinaryData
gw_kmsp_bytes(const struct gw_call *call, const char *member)
{
	struct slk_span s = gw_span(call->in, member);

	return (ProtobufCBinaryData){s.len, (uint8_t *)(uintptr_t)s.ptr};
}

/* Grant tokens of the request, if it has any, and off it goes. */
MUST_USE bool gw_kms_ask(struct gw_call *call, Kmsp__Request *request,
	void (*on_reply)(struct gw_call *call, const Kmsp__Reply *reply));
/* The answer has no body. */
void gw_kms_done(struct gw_call *call, const Kmsp__Reply *reply);
/* Pairs of a map of the request. */
MUST_USE bool gw_kms_pairs(
	struct gw_call *call, const char *member, Kmsp__Pair ***out, size_t *out_count);
/* Tags of a list of {TagKey, TagValue}; strings of a list. */
MUST_USE bool gw_kms_tags(
	struct gw_call *call, const char *member, Kmsp__Tag ***out, size_t *out_count);
MUST_USE bool gw_kms_strings(
	struct gw_call *call, const char *member, char ***out, size_t *out_count);
/* What a request may not ask for, since nothing here does it: refused, never ignored. */
MUST_USE bool gw_kms_without(struct gw_call *call, const char *member);
/* NextMarker and Truncated. */
void gw_kms_write_next(struct gw_call *call, const char *next);
/* Limit of the request, within what kmsd gives at once. */
uint32_t gw_kms_limit(const struct gw_call *call, uint32_t absent);

/* kms_keys.c */
bool gw_kms_create_key(struct gw_call *call);
bool gw_kms_describe_key(struct gw_call *call);
bool gw_kms_list_keys(struct gw_call *call);
bool gw_kms_update_key_description(struct gw_call *call);
bool gw_kms_enable_key(struct gw_call *call);
bool gw_kms_disable_key(struct gw_call *call);
bool gw_kms_schedule_key_deletion(struct gw_call *call);
bool gw_kms_cancel_key_deletion(struct gw_call *call);
bool gw_kms_enable_key_rotation(struct gw_call *call);
bool gw_kms_disable_key_rotation(struct gw_call *call);
bool gw_kms_get_key_rotation_status(struct gw_call *call);
bool gw_kms_rotate_key_on_demand(struct gw_call *call);
bool gw_kms_list_key_rotations(struct gw_call *call);
bool gw_kms_tag_resource(struct gw_call *call);
bool gw_kms_untag_resource(struct gw_call *call);
bool gw_kms_list_resource_tags(struct gw_call *call);
bool gw_kms_create_alias(struct gw_call *call);
bool gw_kms_update_alias(struct gw_call *call);
bool gw_kms_delete_alias(struct gw_call *call);
bool gw_kms_list_aliases(struct gw_call *call);
bool gw_kms_describe_custom_key_stores(struct gw_call *call);

/* kms_crypto.c */
bool gw_kms_encrypt(struct gw_call *call);
bool gw_kms_decrypt(struct gw_call *call);
bool gw_kms_re_encrypt(struct gw_call *call);
bool gw_kms_generate_data_key(struct gw_call *call);
bool gw_kms_generate_data_key_without_plaintext(struct gw_call *call);
bool gw_kms_generate_random(struct gw_call *call);
bool gw_kms_sign(struct gw_call *call);
bool gw_kms_verify(struct gw_call *call);
bool gw_kms_get_public_key(struct gw_call *call);

/* kms_policy.c */
bool gw_kms_put_key_policy(struct gw_call *call);
bool gw_kms_get_key_policy(struct gw_call *call);
bool gw_kms_list_key_policies(struct gw_call *call);
bool gw_kms_create_grant(struct gw_call *call);
bool gw_kms_list_grants(struct gw_call *call);
bool gw_kms_list_retirable_grants(struct gw_call *call);
bool gw_kms_retire_grant(struct gw_call *call);
bool gw_kms_revoke_grant(struct gw_call *call);

#endif
