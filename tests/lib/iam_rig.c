#include "slk_test.h"

#include "iam_rig.h"

#include <stdio.h>
#include <string.h>

#define TEXT(text) ((char *)(uintptr_t)(text))
#define REQUEST(name, CASE, field) \
	Kmsp__Request name = KMSP__REQUEST__INIT; \
	name.id = 1; \
	name.call_case = KMSP__REQUEST__CALL_##CASE; \
	name.field

const char *
iam_policy(const char *statements)
{
	static char buffers[8][4096];
	static unsigned turn;
	char *out = buffers[turn++ % 8];

	assert_true(snprintf(out, sizeof(buffers[0]), "{'Version':'2012-10-17','Statement':[%s]}",
			    statements) < (int)sizeof(buffers[0]));
	for (char *c = out; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	return out;
}

static Kmsp__Who *
who_of(const char *text)
{
	static Kmsp__Who who;

	kmsp__who__init(&who);
	if (strncmp(text, "user/", 5) == 0) {
		who.who_case = KMSP__WHO__WHO_USER;
		who.user = TEXT(text + 5);
	} else {
		who.who_case = KMSP__WHO__WHO_ROLE;
		who.role = TEXT(text + 5);
	}
	return &who;
}

const Kmsp__Reply *
iam_create_user(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__CreateUser call = KMSP__CREATE_USER__INIT;

	call.name = TEXT(name);
	REQUEST(request, CREATE_USER, create_user) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_create_role(struct kms_rig *rig, uid_t uid, const char *name, const char *statements)
{
	Kmsp__CreateRole call = KMSP__CREATE_ROLE__INIT;

	call.name = TEXT(name);
	call.trust_policy = TEXT(iam_policy(statements));
	REQUEST(request, CREATE_ROLE, create_role) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_get(struct kms_rig *rig, uid_t uid, const char *who)
{
	REQUEST(request, GET_IDENTITY, get_identity) = who_of(who);
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_delete(struct kms_rig *rig, uid_t uid, const char *who)
{
	REQUEST(request, DELETE_IDENTITY, delete_identity) = who_of(who);
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_tag(struct kms_rig *rig, uid_t uid, const char *who, const char *key, const char *value)
{
	Kmsp__TagIdentity call = KMSP__TAG_IDENTITY__INIT;
	Kmsp__Tag tag = KMSP__TAG__INIT, *tags[] = {&tag};

	tag.key = TEXT(key);
	tag.value = TEXT(value);
	call.who = who_of(who);
	call.tags = tags;
	call.n_tags = 1;
	REQUEST(request, TAG_IDENTITY, tag_identity) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_put_inline(
	struct kms_rig *rig, uid_t uid, const char *who, const char *name, const char *statements)
{
	Kmsp__PutInlinePolicy call = KMSP__PUT_INLINE_POLICY__INIT;

	call.who = who_of(who);
	call.name = TEXT(name);
	call.policy = TEXT(iam_policy(statements));
	REQUEST(request, PUT_INLINE_POLICY, put_inline_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_delete_inline(struct kms_rig *rig, uid_t uid, const char *who, const char *name)
{
	Kmsp__InlinePolicy call = KMSP__INLINE_POLICY__INIT;

	call.who = who_of(who);
	call.name = TEXT(name);
	REQUEST(request, DELETE_INLINE_POLICY, delete_inline_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_create_policy(struct kms_rig *rig, uid_t uid, const char *name, const char *statements)
{
	Kmsp__CreatePolicy call = KMSP__CREATE_POLICY__INIT;

	call.name = TEXT(name);
	call.policy = TEXT(iam_policy(statements));
	REQUEST(request, CREATE_POLICY, create_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_update_policy(struct kms_rig *rig, uid_t uid, const char *name, const char *statements)
{
	Kmsp__UpdatePolicy call = KMSP__UPDATE_POLICY__INIT;

	call.policy = TEXT(name);
	call.document = TEXT(iam_policy(statements));
	REQUEST(request, UPDATE_POLICY, update_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_delete_policy(struct kms_rig *rig, uid_t uid, const char *name)
{
	Kmsp__PolicyName call = KMSP__POLICY_NAME__INIT;

	call.policy = TEXT(name);
	REQUEST(request, DELETE_POLICY, delete_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_attachment(struct kms_rig *rig, uid_t uid, Kmsp__Request__CallCase call_case, const char *who,
	const char *policy)
{
	Kmsp__Attachment call = KMSP__ATTACHMENT__INIT;

	call.who = who_of(who);
	call.policy = TEXT(policy);
	REQUEST(request, ATTACH_POLICY, attach_policy) = &call; /* one place for all three */
	request.call_case = call_case;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_delete_boundary(struct kms_rig *rig, uid_t uid, const char *who)
{
	REQUEST(request, DELETE_BOUNDARY, delete_boundary) = who_of(who);
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_put_key_policy(struct kms_rig *rig, uid_t uid, const char *key, const char *text, bool bypass)
{
	Kmsp__PutKeyPolicy call = KMSP__PUT_KEY_POLICY__INIT;

	call.key = TEXT(key);
	call.policy = TEXT(text);
	call.bypass_lockout_check = bypass;
	REQUEST(request, PUT_KEY_POLICY, put_key_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_get_key_policy(struct kms_rig *rig, uid_t uid, const char *key)
{
	Kmsp__KeyPolicy call = KMSP__KEY_POLICY__INIT;

	call.key = TEXT(key);
	REQUEST(request, GET_KEY_POLICY, get_key_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_put_stream_policy(struct kms_rig *rig, uid_t uid, const char *stream, const char *text)
{
	Kmsp__PutResourcePolicy call = KMSP__PUT_RESOURCE_POLICY__INIT;

	call.stream = TEXT(stream);
	call.policy = TEXT(text);
	REQUEST(request, PUT_RESOURCE_POLICY, put_resource_policy) = &call;
	return rig_call(rig, uid, &request);
}

const Kmsp__Reply *
iam_delete_stream_policy(struct kms_rig *rig, uid_t uid, const char *stream)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;

	call.stream = TEXT(stream);
	REQUEST(request, DELETE_RESOURCE_POLICY, delete_resource_policy) = &call;
	return rig_call(rig, uid, &request);
}

void
iam_user_with(struct kms_rig *rig, const char *name, const char *statements)
{
	char who[80];

	snprintf(who, sizeof(who), "user/%s", name);
	assert_answered(iam_create_user(rig, RIG_ROOT, name), SLK_OK);
	assert_answered(iam_put_inline(rig, RIG_ROOT, who, "p", statements), SLK_OK);
}
