/* Calls that are made for whole journals: many ReEncrypts at once, and the signature under their results. */
#include <string.h>

#include "format/attest.h"
#include "kmsclient/convert.h"
#include "kmsclient/kmsclient.h"
#include "kmsclient/session.h"

/* protobuf-c messages hold pointers to what they only read. */
static char *
text(const char *in)
{
	return (char *)(uintptr_t)in;
}

static ProtobufCBinaryData
bytes(struct slk_span in)
{
	return (ProtobufCBinaryData){in.len, (uint8_t *)(uintptr_t)in.ptr};
}

/* --- ReEncrypt --- */

static int
send_item(struct kmsc *c, const char *key_id, const struct kmsc_re_encrypt_item *item,
	uint64_t *out_id, struct slk_error *err)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__ReEncrypt call = KMSP__RE_ENCRYPT__INIT;
	Kmsp__Pair storage[FMT_CONTEXT_PAIRS_MAX], *list[FMT_CONTEXT_PAIRS_MAX];
	size_t count = item->context != NULL ? fmt_context_count(item->context) : 0;

	for (size_t i = 0; i < count; i++) {
		struct slk_span key, value;
		fmt_context_pair(item->context, i, &key, &value);
		kmsp__pair__init(&storage[i]);
		storage[i].key = bytes(key);
		storage[i].value = bytes(value);
		list[i] = &storage[i];
	}
	call.blob = bytes(item->blob);
	call.n_source_context = call.n_context = count;
	call.source_context = call.context = list;
	call.key = text(key_id);
	request.call_case = KMSP__REQUEST__CALL_RE_ENCRYPT;
	request.re_encrypt = &call;
	return kmsc_send(c, &request, out_id, err);
}

static int
take_blob(const Kmsp__ReEncrypted *in, struct kmsc_re_encrypt_item *item)
{
	if (in->blob.len == 0 || in->blob.len > sizeof(item->new_blob))
		return SLK_MALFORMED;
	int rc = kmsc_text(in->source_key_arn, item->source_key_arn, sizeof(item->source_key_arn));
	if (rc == SLK_OK)
		rc = kmsc_text(in->key_arn, item->key_arn, sizeof(item->key_arn));
	if (rc != SLK_OK)
		return rc;
	memcpy(item->new_blob, in->blob.data, in->blob.len);
	item->new_blob_len = in->blob.len;
	return SLK_OK;
}

static void
take_reply(const Kmsp__Reply *reply, struct kmsc_re_encrypt_item *item)
{
	item->status = kmsc_judge(reply, KMSP__REPLY__RESULT_RE_ENCRYPTED, &item->err);
	if (item->status != SLK_OK)
		return;
	item->status = take_blob(reply->re_encrypted, item);
	if (item->status != SLK_OK)
		item->status = slk_fail(&item->err, SLK_INTERNAL,
			"the answer of kmsd holds a value that cannot be");
}

/* Ids of a batch follow one another: id - first is the item's index. */
static int
receive_all(struct kmsc *c, uint64_t deadline_ns, uint64_t first,
	struct kmsc_re_encrypt_item *items, size_t count, struct slk_error *err)
{
	uint64_t seen = 0; /* one bit for each item */
	size_t left = count;

	while (left > 0) {
		const Kmsp__Reply *reply = NULL;
		int rc = kmsc_receive(c, deadline_ns, &reply, err);
		if (rc != SLK_OK)
			return rc;
		uint64_t index = reply->id - first;
		if (index >= count || (seen >> index & 1) != 0)
			continue; /* a late answer to a call that was given up */
		seen |= 1ull << index;
		take_reply(reply, &items[index]);
		left--;
	}
	return SLK_OK;
}

static int
attempt(struct kmsc *c, const char *key_id, struct kmsc_re_encrypt_item *items, size_t count,
	struct slk_error *err)
{
	uint64_t deadline_ns = kmsc_deadline(c), first = 0, id = 0;
	int rc = SLK_OK;

	for (size_t i = 0; rc == SLK_OK && i < count; i++) {
		rc = send_item(c, key_id, &items[i], &id, err);
		first = i == 0 ? id : first;
	}
	return rc == SLK_OK ? receive_all(c, deadline_ns, first, items, count, err) : rc;
}

_Static_assert(KMSC_BATCH_MAX <= 64, "a bit for each item");

int
kmsc_re_encrypt_many(struct kmsc *c, const char *key_id, struct kmsc_re_encrypt_item *items,
	size_t count, struct slk_error *err)
{
	if (count == 0 || count > KMSC_BATCH_MAX)
		return slk_fail(err, SLK_INVALID, "a batch has 1 to %u items", KMSC_BATCH_MAX);
	int rc = attempt(c, key_id, items, count, err);
	if (rc == SLK_CLOSED) /* kmsd was restarted; a ReEncrypt may be repeated */
		rc = attempt(c, key_id, items, count, err);
	if (rc == SLK_CLOSED)
		rc = slk_fail(
			err, SLK_UNAVAILABLE, "kmsd closed the connection before it answered");
	return kmsc_call_end(c, rc, err);
}

/* --- Attest --- */

static int
attestation_from(const Kmsp__Signature *in, struct kmsc_attestation *out)
{
	struct kmsc_attestation a = {
		.signature_len = in->signature.len, .public_key_len = in->public_key.len};

	if (a.signature_len == 0 || a.signature_len > sizeof(a.signature) ||
		a.public_key_len == 0 || a.public_key_len > sizeof(a.public_key))
		return SLK_MALFORMED;
	int rc = kmsc_text(in->key_arn, a.key_arn, sizeof(a.key_arn));
	if (rc != SLK_OK)
		return rc;
	memcpy(a.signature, in->signature.data, a.signature_len);
	memcpy(a.public_key, in->public_key.data, a.public_key_len);
	*out = a;
	return SLK_OK;
}

static int
attest(struct kmsc *c, const char *purpose, const uint8_t digest[32], struct slk_span statement,
	struct kmsc_attestation *out_attestation, struct slk_error *err)
{
	Kmsp__Request request = KMSP__REQUEST__INIT;
	Kmsp__Attest call = KMSP__ATTEST__INIT;
	const Kmsp__Reply *reply;

	call.purpose = text(purpose);
	call.digest = bytes(slk_span(digest, 32));
	call.statement = bytes(statement);
	request.call_case = KMSP__REQUEST__CALL_ATTEST;
	request.attest = &call;
	int rc =
		kmsc_call(c, &request, KMSC_REPEATABLE, KMSP__REPLY__RESULT_SIGNATURE, &reply, err);
	if (rc == SLK_OK)
		rc = attestation_from(reply->signature, out_attestation);
	return kmsc_call_end(c, rc, err);
}

int
kmsc_attest(struct kmsc *c, const char *purpose, const uint8_t digest[32],
	struct kmsc_attestation *out_attestation, struct slk_error *err)
{
	return attest(c, purpose, digest, slk_span(NULL, 0), out_attestation, err);
}

int
kmsc_attest_statement(struct kmsc *c, struct slk_span statement, const uint8_t digest[32],
	struct kmsc_attestation *out_attestation, struct slk_error *err)
{
	return attest(c, FMT_ATTEST_JOURNAL, digest, statement, out_attestation, err);
}
