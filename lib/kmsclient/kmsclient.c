#include "kmsclient/kmsclient.h"

#include <stdlib.h>
#include <string.h>

#include "kmsclient/convert.h"
#include "kmsclient/request.h"

static uint32_t
page(size_t cap)
{
	return cap < KMSP_PAGE_MAX ? (uint32_t)cap : KMSP_PAGE_MAX;
}

int
kmsc_create_key(
	struct kmsc *c, const char *description, struct kmsc_key *out_key, struct slk_error *err)
{
	Kmsp__CreateKey call = KMSP__CREATE_KEY__INIT;
	const Kmsp__Reply *reply;

	call.description = kmsc_request_text(description);
	KMSC_REQUEST(request, CREATE_KEY, create_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_key_of(reply, out_key);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_describe_key(
	struct kmsc *c, const char *key_id, struct kmsc_key *out_key, struct slk_error *err)
{
	Kmsp__KeyName call = KMSP__KEY_NAME__INIT;
	const Kmsp__Reply *reply;

	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, DESCRIBE_KEY, describe_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_KEY, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_key_of(reply, out_key);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_list_keys(struct kmsc *c, const char *marker, struct kmsc_key *out_keys, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return slk_fail(err, SLK_INVALID, "a page needs room for one key");
	call.marker = kmsc_request_text(marker);
	call.limit = page(cap);
	KMSC_REQUEST(request, LIST_KEYS, list_keys) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_KEYS, &reply, err);
	if (rc == SLK_OK && reply->keys->n_keys > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->keys->n_keys; i++)
		rc = kmsc_key_from(reply->keys->keys[i], &out_keys[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->keys->next, out_next, sizeof(((struct kmsc_key *)NULL)->id));
	if (rc == SLK_OK)
		*out_count = reply->keys->n_keys;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_create_alias(struct kmsc *c, const char *alias, const char *key_id, struct slk_error *err)
{
	Kmsp__CreateAlias call = KMSP__CREATE_ALIAS__INIT;
	const Kmsp__Reply *reply;

	call.alias = kmsc_request_text(alias);
	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, CREATE_ALIAS, create_alias) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_delete_alias(struct kmsc *c, const char *alias, struct slk_error *err)
{
	Kmsp__DeleteAlias call = KMSP__DELETE_ALIAS__INIT;
	const Kmsp__Reply *reply;

	call.alias = kmsc_request_text(alias);
	KMSC_REQUEST(request, DELETE_ALIAS, delete_alias) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_list_aliases(struct kmsc *c, const char *key_id, const char *marker,
	struct kmsc_alias *out_aliases, size_t cap, size_t *out_count, char *out_next,
	struct slk_error *err)
{
	Kmsp__ListAliases call = KMSP__LIST_ALIASES__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return slk_fail(err, SLK_INVALID, "a page needs room for one alias");
	call.key = kmsc_request_text(key_id);
	call.marker = kmsc_request_text(marker);
	call.limit = page(cap);
	KMSC_REQUEST(request, LIST_ALIASES, list_aliases) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_ALIASES, &reply, err);
	if (rc == SLK_OK && reply->aliases->n_aliases > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->aliases->n_aliases; i++)
		rc = kmsc_alias_from(reply->aliases->aliases[i], &out_aliases[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->aliases->next, out_next, KMSC_NAME_MAX);
	if (rc == SLK_OK)
		*out_count = reply->aliases->n_aliases;
	return kmsc_call_end(c, rc, err);
}

void
kmsc_data_key_fini(struct kmsc_data_key *dk)
{
	slk_secret_free(dk->plaintext);
	memset(dk, 0, sizeof(*dk));
}

/* Blob and key of a Cipher; with a plaintext of plaintext_len bytes, or none if that is 0. */
static int
data_key_from(const Kmsp__Cipher *in, size_t plaintext_len, struct kmsc_data_key *out)
{
	struct kmsc_data_key dk = {.blob_len = in->blob.len,
		.encrypted_kms = in->encrypted_kms,
		.stream_change = in->stream_change};

	if (in->blob.len == 0 || in->blob.len > sizeof(dk.blob) ||
		in->plaintext.len != plaintext_len)
		return SLK_MALFORMED;
	int rc = kmsc_text(in->key_arn, dk.key_arn, sizeof(dk.key_arn));
	if (rc == SLK_OK && plaintext_len > 0)
		rc = slk_secret_from(in->plaintext.data, plaintext_len, &dk.plaintext);
	if (rc != SLK_OK)
		return rc;
	memcpy(dk.blob, in->blob.data, in->blob.len);
	*out = dk;
	return SLK_OK;
}

#define DATA_KEY_BYTES 32u

static int
generate_data_key(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	bool with_plaintext, struct kmsc_data_key *out_dk, struct slk_error *err)
{
	Kmsp__GenerateDataKey call = KMSP__GENERATE_DATA_KEY__INIT;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.without_plaintext = !with_plaintext;
	KMSC_REQUEST(request, GENERATE_DATA_KEY, generate_data_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = data_key_from(reply->cipher, with_plaintext ? DATA_KEY_BYTES : 0, out_dk);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_generate_data_key(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	struct kmsc_data_key *out_dk, struct slk_error *err)
{
	return generate_data_key(c, key_id, context, true, out_dk, err);
}

int
kmsc_generate_data_key_without_plaintext(struct kmsc *c, const char *key_id,
	const struct fmt_context *context, struct kmsc_data_key *out_dk, struct slk_error *err)
{
	return generate_data_key(c, key_id, context, false, out_dk, err);
}

int
kmsc_encrypt(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	const struct slk_secret *plaintext, uint8_t *out_blob, size_t cap, size_t *out_len,
	struct slk_error *err)
{
	Kmsp__Encrypt call = KMSP__ENCRYPT__INIT;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	if (slk_secret_len(plaintext) > KMSP_PLAINTEXT_MAX)
		return slk_fail(
			err, SLK_TOO_LARGE, "Encrypt takes at most %u bytes", KMSP_PLAINTEXT_MAX);
	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.plaintext = (ProtobufCBinaryData){
		slk_secret_len(plaintext), (uint8_t *)(uintptr_t)slk_secret_peek(plaintext)};
	KMSC_REQUEST(request, ENCRYPT, encrypt) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK && reply->cipher->blob.len > cap)
		rc = slk_fail(
			err, SLK_FULL, "no room for a blob of %zu bytes", reply->cipher->blob.len);
	if (rc == SLK_OK && reply->cipher->blob.len == 0)
		rc = SLK_MALFORMED;
	if (rc == SLK_OK) {
		memcpy(out_blob, reply->cipher->blob.data, reply->cipher->blob.len);
		*out_len = reply->cipher->blob.len;
	}
	return kmsc_call_end(c, rc, err);
}

/* Both outputs or none. */
static int
plaintext_from(const Kmsp__Cipher *in, struct slk_secret **out_plaintext, char *out_key_arn)
{
	char arn[KMSC_ARN_MAX];

	if (in->plaintext.len == 0 || in->plaintext.len > KMSP_PLAINTEXT_MAX)
		return SLK_MALFORMED;
	int rc = kmsc_text(in->key_arn, arn, sizeof(arn));
	if (rc == SLK_OK)
		rc = slk_secret_from(in->plaintext.data, in->plaintext.len, out_plaintext);
	if (rc == SLK_OK && out_key_arn != NULL)
		strcpy(out_key_arn, arn);
	return rc;
}

int
kmsc_decrypt(struct kmsc *c, const char *key_id, const struct fmt_context *context,
	struct slk_span blob, struct slk_secret **out_plaintext, char *out_key_arn,
	struct slk_error *err)
{
	Kmsp__Decrypt call = KMSP__DECRYPT__INIT;
	struct kmsc_pairs pairs;
	const Kmsp__Reply *reply;

	if (blob.len > KMSC_BLOB_MAX)
		return slk_fail(err, SLK_INVALID_CIPHERTEXT, "InvalidCiphertextException");
	kmsc_request_pairs(context, &pairs);
	call.key = kmsc_request_text(key_id);
	call.n_context = pairs.count;
	call.context = pairs.list;
	call.blob = (ProtobufCBinaryData){blob.len, (uint8_t *)(uintptr_t)blob.ptr};
	KMSC_REQUEST(request, DECRYPT, decrypt) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = plaintext_from(reply->cipher, out_plaintext, out_key_arn);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_generate_stream_key(
	struct kmsc *c, const char *stream_arn, struct kmsc_data_key *out_dk, struct slk_error *err)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;
	const Kmsp__Reply *reply;

	call.stream = kmsc_request_text(stream_arn);
	KMSC_REQUEST(request, GENERATE_STREAM_KEY, generate_stream_key) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_CIPHER, &reply, err);
	if (rc == SLK_OK)
		rc = data_key_from(reply->cipher, DATA_KEY_BYTES, out_dk);
	return kmsc_call_end(c, rc, err);
}

static int
authorize(struct kmsc *c, Kmsp__Authorize *call, const char *action, const char *resource_arn,
	struct slk_error *err)
{
	const Kmsp__Reply *reply;

	call->action = kmsc_request_text(action);
	call->resource = kmsc_request_text(resource_arn);
	KMSC_REQUEST(request, AUTHORIZE, authorize) = call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_authorize_uid(struct kmsc *c, uid_t uid, const char *action, const char *resource_arn,
	struct slk_error *err)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;

	call.caller_case = KMSP__AUTHORIZE__CALLER_UID;
	call.uid = uid;
	return authorize(c, &call, action, resource_arn, err);
}

int
kmsc_authorize_role(struct kmsc *c, const char *principal_arn, const char *action,
	const char *resource_arn, struct slk_error *err)
{
	Kmsp__Authorize call = KMSP__AUTHORIZE__INIT;

	call.caller_case = KMSP__AUTHORIZE__CALLER_PRINCIPAL;
	call.principal = kmsc_request_text(principal_arn);
	return authorize(c, &call, action, resource_arn, err);
}

int
kmsc_create_stream(struct kmsc *c, const char *name, uint32_t shard_count, const char *key_id,
	struct kmsc_stream *out_stream, struct slk_error *err)
{
	Kmsp__CreateStream call = KMSP__CREATE_STREAM__INIT;
	const Kmsp__Reply *reply;

	call.name = kmsc_request_text(name);
	call.shard_count = shard_count;
	call.key = kmsc_request_text(key_id);
	KMSC_REQUEST(request, CREATE_STREAM, create_stream) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT_STREAM, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_stream_from(reply->stream, out_stream);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_describe_stream(struct kmsc *c, const char *name_or_arn, struct kmsc_stream *out_stream,
	struct slk_error *err)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;
	const Kmsp__Reply *reply;

	call.stream = kmsc_request_text(name_or_arn);
	KMSC_REQUEST(request, DESCRIBE_STREAM, describe_stream) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_STREAM, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_stream_from(reply->stream, out_stream);
	return kmsc_call_end(c, rc, err);
}

static int
list_streams(struct kmsc *c, const char *marker, bool hidden, struct kmsc_stream *out_streams,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err)
{
	Kmsp__List call = KMSP__LIST__INIT;
	const Kmsp__Reply *reply;

	if (cap == 0)
		return slk_fail(err, SLK_INVALID, "a page needs room for one stream");
	call.marker = kmsc_request_text(marker);
	call.limit = page(cap);
	call.hidden = hidden;
	KMSC_REQUEST(request, LIST_STREAMS, list_streams) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_STREAMS, &reply, err);
	if (rc == SLK_OK && reply->streams->n_streams > cap)
		rc = SLK_MALFORMED;
	for (size_t i = 0; rc == SLK_OK && i < reply->streams->n_streams; i++)
		rc = kmsc_stream_from(reply->streams->streams[i], &out_streams[i]);
	if (rc == SLK_OK)
		rc = kmsc_text(reply->streams->next, out_next, KMSC_NAME_MAX);
	if (rc == SLK_OK)
		*out_count = reply->streams->n_streams;
	return kmsc_call_end(c, rc, err);
}

int
kmsc_list_streams(struct kmsc *c, const char *marker, struct kmsc_stream *out_streams, size_t cap,
	size_t *out_count, char *out_next, struct slk_error *err)
{
	return list_streams(c, marker, false, out_streams, cap, out_count, out_next, err);
}

int
kmsc_list_all_streams(struct kmsc *c, const char *marker, struct kmsc_stream *out_streams,
	size_t cap, size_t *out_count, char *out_next, struct slk_error *err)
{
	return list_streams(c, marker, true, out_streams, cap, out_count, out_next, err);
}

int
kmsc_delete_stream(struct kmsc *c, const char *name, struct slk_error *err)
{
	Kmsp__StreamName call = KMSP__STREAM_NAME__INIT;
	const Kmsp__Reply *reply;

	call.stream = kmsc_request_text(name);
	KMSC_REQUEST(request, DELETE_STREAM, delete_stream) = &call;
	int rc = kmsc_call(c, &request, KMSC_ONCE, KMSP__REPLY__RESULT__NOT_SET, &reply, err);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_status(struct kmsc *c, struct kmsc_status *out_status, struct slk_error *err)
{
	Kmsp__Nothing call = KMSP__NOTHING__INIT;
	const Kmsp__Reply *reply;

	KMSC_REQUEST(request, STATUS, status) = &call;
	int rc = kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SERVICE, &reply, err);
	if (rc == SLK_OK)
		rc = kmsc_status_from(reply->service, out_status);
	return kmsc_call_end(c, rc, err);
}
