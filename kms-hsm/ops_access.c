/* Access keys of users: CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey.
 *
 *     absent --(create)--> Active <--(update)--> Inactive        both --(delete)--> absent
 *
 * A secret is drawn by the HSM, goes out once in the answer of its creation, and is stored sealed. */
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "credentials.h"
#include "crypt.h"
#include "ops_iam.h"
#include "own.h"

/* The user that a request names; "": the caller itself. On its ARN, the call's action is authorised. */
static int
find_user(struct kms_call *call, const char *name, struct kms_identity_row *out_user)
{
	char arn[KMS_ARN_MAX], own[KMS_ARN_MAX];

	if (kms_user_arn(&call->service->parts.realm, "", own) == SLK_OK && name[0] == '\0' &&
		strncmp(call->principal, own, strlen(own)) == 0)
		name = call->principal + strlen(own);
	if (!kms_identity_name_is(name) ||
		kms_user_arn(&call->service->parts.realm, name, arn) != SLK_OK) {
		kms_call_fail(call, SLK_INVALID, "ValidationException",
			name[0] == '\0' ? "Must specify userName when calling with non-User "
					  "credentials"
					: "The specified value for userName is invalid. It must "
					  "contain 1 to 64 of a-z A-Z 0-9 and _+=,.@-");
		return SLK_INVALID;
	}
	int rc = kms_call_authorize(call, call->action, arn, NULL);
	if (rc != SLK_OK)
		return rc;
	rc = kms_catalog_identity_get(call->service->parts.catalog, KMS_USER, name, out_user);
	if (rc != SLK_OK)
		kms_call_fail_entity(call, rc, "user", name);
	return rc;
}

static void
no_such_key(struct kms_call *call, const char *id)
{
	kms_call_fail(call, SLK_NOT_FOUND, "NoSuchEntityException",
		"The Access Key with id %s cannot be found.",
		kms_access_id_is(id) ? id : "of this request");
}

static void
message_key(const struct kms_access_key_row *row, Kmsp__AccessKey *out)
{
	kmsp__access_key__init(out);
	out->id = kms_text(row->id);
	out->user = kms_text(row->user);
	out->active = row->active;
	out->created_ns = row->created_ns;
	out->last_used_ns = row->last_used_ns;
}

/* --- CreateAccessKey --- */

static void
too_many(struct kms_call *call)
{
	kms_call_fail(call, SLK_LIMIT, "LimitExceededException",
		"Cannot exceed quota for AccessKeysPerUser: %u", KMS_ACCESS_KEYS_MAX);
}

static void
answer_created(struct kms_call *call, const struct kms_access_key_row *row, struct slk_span secret)
{
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__AccessKey out;
	char text[KMS_SECRET_CHARS + 1];

	message_key(row, &out);
	out.active = true;
	if (slk_base64_encode(SLK_BASE64, secret, text, sizeof(text)) != SLK_OK) {
		kms_call_fail(
			call, SLK_INTERNAL, "KMSInternalException", "the secret has a wrong size");
		return;
	}
	out.secret = text;
	reply.result_case = KMSP__REPLY__RESULT_ACCESS_KEY;
	reply.access_key = &out;
	kms_call_ok(call, &reply);
	slk_wipe(text, sizeof(text));
}

static void
drawn(struct kms_call *call, const struct hsm_reply *reply)
{
	struct kms_access_key_row *row = call->work;

	if (kms_own_sealed(call, reply, &row->sealed) != SLK_OK)
		return;
	int rc = kms_catalog_access_key_create(call->service->parts.catalog, row);
	if (rc == SLK_LIMIT)
		too_many(call);
	else if (rc != SLK_OK) /* the user may have gone meanwhile */
		kms_call_fail_entity(call, rc, "user", row->user);
	else
		answer_created(call, row, reply->plaintext);
}

/* Before the HSM is asked; the catalog has the last word. */
static int
has_room(struct kms_call *call, uint64_t user_row)
{
	static struct kms_access_key_row rows[KMS_ACCESS_KEYS_MAX]; /* one thread */
	size_t count = 0;

	int rc = kms_catalog_access_key_list(
		call->service->parts.catalog, user_row, "", rows, KMS_ACCESS_KEYS_MAX, &count);
	if (rc != SLK_OK)
		kms_call_fail_catalog(call, rc);
	else if (count >= KMS_ACCESS_KEYS_MAX) {
		too_many(call);
		rc = SLK_LIMIT;
	}
	return rc;
}

void
kms_op_create_access_key(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_identity_row user;

	if (find_user(call, request->create_access_key->user, &user) != SLK_OK ||
		has_room(call, user.id) != SLK_OK)
		return;
	struct kms_access_key_row *row = kms_call_work(call, sizeof(*row));
	if (row == NULL)
		return;
	row->user_row = user.id;
	strcpy(row->user, user.name);
	row->created_ns = slk_wall_ns(call->service->parts.clock);
	if (kms_access_id_new("AKIA", row->id) != SLK_OK) {
		kms_call_fail(call, SLK_INTERNAL, "KMSInternalException", "no random bytes");
		return;
	}
	strcpy(call->issued.access_key_id, row->id);
	if (kms_own_context_access(call, row->id, user.unique_id) == SLK_OK)
		kms_own_make(call, KMS_SECRET_BYTES, drawn);
}

/* --- ListAccessKeys --- */

void
kms_op_list_access_keys(struct kms_call *call, const Kmsp__Request *request)
{
	static struct kms_access_key_row rows[KMS_ACCESS_KEYS_MAX + 1]; /* one thread */
	static Kmsp__AccessKey storage[KMS_ACCESS_KEYS_MAX];
	Kmsp__AccessKey *list[KMS_ACCESS_KEYS_MAX];
	const Kmsp__ListOfUser *in = request->list_access_keys;
	size_t found = 0, limit = kms_page(in->limit);
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__AccessKeys out = KMSP__ACCESS_KEYS__INIT;
	struct kms_identity_row user;

	if (in->marker[0] != '\0' && !kms_access_id_is(in->marker)) {
		kms_call_bad_marker(call);
		return;
	}
	if (find_user(call, in->user, &user) != SLK_OK)
		return;
	limit = limit < KMS_ACCESS_KEYS_MAX ? limit : KMS_ACCESS_KEYS_MAX;
	int rc = kms_catalog_access_key_list(
		call->service->parts.catalog, user.id, in->marker, rows, limit + 1, &found);
	if (rc != SLK_OK) {
		kms_call_fail_catalog(call, rc);
		return;
	}
	out.n_keys = found < limit ? found : limit;
	out.keys = list;
	for (size_t i = 0; i < out.n_keys; i++) {
		message_key(&rows[i], &storage[i]);
		list[i] = &storage[i];
	}
	if (found > limit)
		out.next = rows[limit - 1].id;
	reply.result_case = KMSP__REPLY__RESULT_ACCESS_KEYS;
	reply.access_keys = &out;
	kms_call_ok(call, &reply);
}

/* --- UpdateAccessKey, DeleteAccessKey --- */

static void
end(struct kms_call *call, int rc, const char *id)
{
	if (rc == SLK_NOT_FOUND)
		no_such_key(call, id);
	else
		kms_call_end(call, rc);
}

static int
find_key(struct kms_call *call, const char *user_name, const char *id,
	struct kms_identity_row *out_user)
{
	int rc = find_user(call, user_name, out_user);

	if (rc != SLK_OK)
		return rc;
	if (!kms_access_id_is(id)) {
		no_such_key(call, id);
		return SLK_NOT_FOUND;
	}
	strcpy(call->issued.access_key_id, id);
	return SLK_OK;
}

/* What doors remember of a caller goes with its key, as with a right. */
static void
changed(struct kms_call *call, int rc, const char *id)
{
	call->service->right_changes += rc == SLK_OK;
	end(call, rc, id);
}

void
kms_op_update_access_key(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__UpdateAccessKey *in = request->update_access_key;
	struct kms_identity_row user;

	if (find_key(call, in->user, in->id, &user) == SLK_OK)
		changed(call,
			kms_catalog_access_key_switch(
				call->service->parts.catalog, user.id, in->id, in->active),
			in->id);
}

void
kms_op_delete_access_key(struct kms_call *call, const Kmsp__Request *request)
{
	const Kmsp__AccessKeyName *in = request->delete_access_key;
	struct kms_identity_row user;

	if (find_key(call, in->user, in->id, &user) == SLK_OK)
		changed(call,
			kms_catalog_access_key_delete(
				call->service->parts.catalog, user.id, in->id),
			in->id);
}
