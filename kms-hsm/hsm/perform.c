#include "hsm/perform.h"

#include <assert.h>
#include <stdio.h>

#include "hsm/draw.h"
#include "hsm/gcm.h"
#include "hsm/inspect.h"
#include "hsm/object.h"
#include "hsm/pair.h"
#include "hsm/public.h"
#include "hsm/store.h"

#define PLAIN_AT 0u
#define CIPHER_AT 8192u
static_assert(
	HSM_DATA_MAX + HSM_TAG_BYTES + HSM_GCM_SLACK <= CIPHER_AT, "plaintext half of the arena");
static_assert(CIPHER_AT + HSM_DATA_MAX + HSM_GCM_SLACK <= HSM_SESSION_ARENA,
	"ciphertext half of the arena");
static_assert(CIPHER_AT + (HSM_LIST_MAX + 1) * HSM_LIST_ENTRY_BYTES <= HSM_SESSION_ARENA,
	"a list fits, too");
static_assert(HSM_PAIR_ROOM <= CIPHER_AT, "what a private key gives fits");

void
hsm_answer(struct hsm_work *w, int status, const char *error)
{
	w->reply->status = status;
	if (status == SLK_OK)
		w->reply->error[0] = '\0';
	else
		snprintf(w->reply->error, sizeof(w->reply->error), "%s", error);
}

struct hsm_key_name
hsm_perform_name(const struct hsm_request *request)
{
	struct hsm_key_name name = {.spec = request->spec, .usage = request->usage};

	memcpy(name.id, request->key_id, sizeof(name.id));
	return name;
}

static uint8_t *
plain_room(struct hsm_work *w)
{
	return slk_secret_bytes(w->session->arena) + PLAIN_AT;
}

static uint8_t *
cipher_room(struct hsm_work *w)
{
	return slk_secret_bytes(w->session->arena) + CIPHER_AT;
}

/* Of the quick operations only what they can have written: most of the arena was never touched. */
void
hsm_perform_wipe(struct hsm_session *session, const struct hsm_request *q)
{
	uint8_t *arena = slk_secret_bytes(session->arena);
	size_t data = q->data.len > q->length ? q->data.len : q->length;

	switch (q->op) {
	case HSM_RANDOM:
	case HSM_GENERATE_DATA_KEY:
	case HSM_WRAP:
	case HSM_UNWRAP:
	case HSM_REWRAP:
		slk_wipe(arena + PLAIN_AT, data + HSM_GCM_SLACK);
		slk_wipe(arena + CIPHER_AT, data + HSM_GCM_SLACK);
		break;
	default:
		slk_wipe(arena, HSM_SESSION_ARENA);
		break;
	}
}

/* --- keys --- */

/* The public key, in the output. */
static void
give_public(struct hsm_work *w)
{
	struct hsm_pair *pair = hsm_key_pair(w->key);

	if (pair != NULL) {
		struct slk_span der = hsm_pair_der(pair);
		memcpy(cipher_room(w), der.ptr, der.len);
		w->reply->output = slk_span(cipher_room(w), der.len);
	} else if (!kms_spec_is_symmetric(w->name.spec)) {
		hsm_answer(w, SLK_NOT_FOUND, "the key was destroyed meanwhile");
	}
	hsm_pair_unref(pair);
}

/* w->name is the key. */
static CK_RV
find_key(struct hsm_work *w, const uint8_t *kcv, CK_OBJECT_HANDLE *out_handle)
{
	struct hsm_lookup found;
	bool creating = w->request->op == HSM_CREATE_KEY;

	w->key = NULL;
	CK_RV rv = creating ? hsm_key_create(w->session, w->login, &w->name,
				      w->request->mono_deadline_ns, &found, &w->reply->existed)
			    : hsm_key_find(w->session, w->login, &w->name, kcv, &found);
	w->checks_count = found.encryptions_count;
	w->reply->encryptions_count += w->checks_count;
	w->key = found.key;
	if (rv != CKR_OK)
		return rv;
	hsm_answer(w, found.status, found.error);
	if (found.status != SLK_OK)
		return CKR_OK;
	memcpy(w->reply->kcv, found.kcv, sizeof(found.kcv));
	memcpy(w->reply->kcv_cmac, found.kcv_cmac, sizeof(found.kcv_cmac));
	*out_handle = found.handle;
	return CKR_OK;
}

/* What was made or destroyed is so on the token's disk, too, before the answer leaves. */
static void
flush_store(struct hsm_work *w)
{
	struct slk_error err = {0};

	if (w->reply->status == SLK_OK && hsm_store_flush(w->session->token, &err) != SLK_OK)
		hsm_answer(w, SLK_HSM, err.text);
}

static CK_RV
open_or_create(struct hsm_work *w)
{
	CK_OBJECT_HANDLE handle;

	CK_RV rv = find_key(w, w->request->kcv, &handle);
	if (rv == CKR_OK && w->request->op == HSM_CREATE_KEY)
		flush_store(w);
	if (rv == CKR_OK && w->reply->status == SLK_OK)
		give_public(w);
	return rv;
}

static CK_RV
destroy(struct hsm_work *w)
{
	static const uint8_t any[HSM_KCV_BYTES];
	const uint8_t *kcv = w->request->kcv;
	struct hsm_lookup found;

	w->key = NULL;
	CK_RV rv = hsm_key_destroy(w->session, &w->name,
		memcmp(kcv, any, sizeof(any)) == 0 ? NULL : kcv, w->anew, &found,
		&w->reply->existed);
	if (rv == CKR_OK) {
		hsm_answer(w, found.status, found.error);
		flush_store(w);
	}
	return rv;
}

static CK_RV
list(struct hsm_work *w)
{
	size_t len = 0;

	CK_RV rv = hsm_objects_list(
		w->session, w->request->key_id, w->request->length, cipher_room(w), &len);
	if (rv == CKR_OK)
		w->reply->output = slk_span(cipher_room(w), len);
	return rv;
}

/* --- for the auditor --- */

static CK_RV
inspect_key(struct hsm_work *w)
{
	size_t len = 0;

	CK_RV rv = hsm_inspect_key(w->session, w->request->key_id, cipher_room(w), &len);
	if (rv == CKR_OK)
		w->reply->output = slk_span(cipher_room(w), len);
	return rv;
}

static CK_RV
inspect_token(struct hsm_work *w)
{
	size_t len = 0;

	CK_RV rv = hsm_inspect_token(
		w->session, w->request->length == 1, cipher_room(w), HSM_OUTPUT_MAX, &len);
	if (rv == CKR_OK)
		w->reply->output = slk_span(cipher_room(w), len);
	return rv;
}

/* --- AES --- */

static CK_RV
random_bytes(struct hsm_work *w, uint8_t *out, size_t len)
{
	CK_RV rv = hsm_draw(w->session, out, len);
	if (rv != CKR_OK || len < 8)
		return rv;
	uint8_t seen = 0;
	for (size_t i = 0; i < len; i++)
		seen |= out[i];
	if (seen != 0)
		return CKR_OK;
	hsm_answer(w, SLK_HSM, "the token's random generator gave nothing but zeros");
	return CKR_OK;
}

static CK_RV
give_random(struct hsm_work *w)
{
	CK_RV rv = random_bytes(w, plain_room(w), w->request->length);
	if (rv == CKR_OK && w->reply->status == SLK_OK)
		w->reply->plaintext = slk_span(plain_room(w), w->request->length);
	return rv;
}

static CK_RV
wrap_bytes(struct hsm_work *w, CK_OBJECT_HANDLE handle, struct slk_span aad, struct slk_span data)
{
	struct hsm_token *token = w->session->token;
	uint8_t *out = cipher_room(w);
	uint8_t iv[HSM_IV_BYTES];
	size_t len = 0;

	if (hsm_key_is_quarantined(w->key)) {
		hsm_answer(w, SLK_CORRUPT,
			"key refused: the token gave a repeated IV under it; it only unwraps");
		return CKR_OK;
	}
	CK_RV rv = hsm_gcm_encrypt(w->session, handle, aad, data, iv, out, &len);
	if (rv != CKR_OK)
		return rv;
	w->reply->encryptions_count++;
	if (hsm_key_note_iv(token, w->key, iv) != SLK_OK) {
		hsm_answer(w, SLK_CORRUPT,
			"key refused: the token gave a zero or a repeated IV; nothing was wrapped");
		return CKR_OK;
	}
	memcpy(w->reply->iv, iv, sizeof(iv));
	w->reply->ciphertext = slk_span(out, len);
	return CKR_OK;
}

static CK_RV
wrap(struct hsm_work *w, CK_OBJECT_HANDLE handle)
{
	return wrap_bytes(w, handle, w->request->aad, w->request->data);
}

static CK_RV
unwrap_bytes(struct hsm_work *w, CK_OBJECT_HANDLE handle, size_t *out_len)
{
	const struct hsm_request *q = w->request;

	w->deciphering = true;
	CK_RV rv =
		hsm_gcm_decrypt(w->session, handle, q->aad, q->iv, q->data, plain_room(w), out_len);
	if (rv == CKR_OK)
		w->deciphering = false;
	return rv;
}

static CK_RV
unwrap(struct hsm_work *w, CK_OBJECT_HANDLE handle)
{
	size_t len = 0;

	CK_RV rv = unwrap_bytes(w, handle, &len);
	if (rv == CKR_OK)
		w->reply->plaintext = slk_span(plain_room(w), len);
	return rv;
}

static CK_RV
generate_data_key(struct hsm_work *w, CK_OBJECT_HANDLE handle)
{
	struct slk_span plain = slk_span(plain_room(w), w->request->length);
	bool draws_iv = w->session->token->options->profile->iv == HSM_IV_OURS;

	hsm_draw_ahead(w->session, plain.len + (draws_iv ? HSM_IV_BYTES : 0));
	CK_RV rv = random_bytes(w, plain_room(w), plain.len);
	if (rv != CKR_OK || w->reply->status != SLK_OK)
		return rv;
	rv = wrap_bytes(w, handle, w->request->aad, plain);
	if (rv == CKR_OK && w->reply->status == SLK_OK)
		w->reply->plaintext = plain;
	return rv;
}

/* The plaintext stays in the arena and is wiped before the answer is made. */
static CK_RV
rewrap(struct hsm_work *w, CK_OBJECT_HANDLE handle)
{
	const struct hsm_request *q = w->request;
	size_t len = 0;

	CK_RV rv = unwrap_bytes(w, handle, &len);
	if (rv != CKR_OK)
		return rv;
	/* Encryptions under the new key are counted, not a check of the old one, once for each start of the token. */
	if (memcmp(q->key_id, q->to_key_id, HSM_KEY_ID_BYTES) != 0)
		w->reply->encryptions_count -= w->checks_count;
	memcpy(w->name.id, q->to_key_id, HSM_KEY_ID_BYTES);
	rv = find_key(w, q->to_kcv, &handle);
	if (rv == CKR_OK && w->reply->status == SLK_OK)
		rv = wrap_bytes(w, handle, q->extra, slk_span(plain_room(w), len));
	slk_wipe(plain_room(w), len + HSM_TAG_BYTES);
	return rv;
}

/* --- key pairs --- */

/* What the token cannot do is not asked of it. */
static bool
check_able(struct hsm_work *w)
{
	const struct hsm_request *q = w->request;
	const struct hsm_token *token = w->session->token;
	uint32_t algorithms = atomic_load_explicit(&token->algorithms, memory_order_relaxed);
	uint32_t specs = atomic_load_explicit(&token->specs, memory_order_relaxed);
	uint32_t usable = kms_spec_algorithms(q->spec, q->usage) & algorithms;

	if ((specs & KMS_BIT(q->spec)) != 0 && usable != 0 &&
		(q->op < HSM_SIGN || q->op == HSM_INSPECT_KEY ||
			(usable & KMS_BIT(q->algorithm)) != 0))
		return true;
	bool uses = q->op >= HSM_SIGN && q->op != HSM_INSPECT_KEY;
	char text[HSM_ERROR_MAX];
	snprintf(text, sizeof(text), "the token cannot do %s%s%s; nothing is done in software",
		kms_spec_name(q->spec), uses ? " with " : " for ",
		uses ? kms_algorithm_name(q->algorithm) : kms_usage_name(q->usage));
	hsm_answer(w, SLK_UNSUPPORTED, text);
	return false;
}

static CK_RV
sign(struct hsm_work *w, CK_OBJECT_HANDLE handle, const struct hsm_pair *pair)
{
	size_t len = 0;

	CK_RV rv = hsm_pair_sign(w->session, handle, pair, w->request->algorithm, w->request->data,
		cipher_room(w), &len);
	if (rv == CKR_OK)
		w->reply->output = slk_span(cipher_room(w), len);
	return rv;
}

static CK_RV
verify(struct hsm_work *w, const struct hsm_pair *pair)
{
	const struct hsm_request *q = w->request;

	int rc = hsm_public_verify(
		w->session->token->openssl, hsm_pair_public(pair), q->algorithm, q->data, q->extra);
	if (rc == SLK_NO_MEMORY)
		return CKR_HOST_MEMORY;
	hsm_answer(w, rc, "the signature does not fit the digest and the key");
	return CKR_OK;
}

static CK_RV
encrypt(struct hsm_work *w, const struct hsm_pair *pair)
{
	const struct hsm_request *q = w->request;
	size_t len = 0;

	if (q->data.len > kms_plaintext_max(q->spec, q->algorithm)) {
		hsm_answer(w, SLK_INVALID, "the plaintext is longer than key and algorithm allow");
		return CKR_OK;
	}
	if (hsm_public_encrypt(w->session->token->openssl, hsm_pair_public(pair), q->algorithm,
		    q->data, cipher_room(w), &len) != SLK_OK)
		return CKR_HOST_MEMORY;
	w->reply->ciphertext = slk_span(cipher_room(w), len);
	return CKR_OK;
}

static CK_RV
decrypt(struct hsm_work *w, CK_OBJECT_HANDLE handle, const struct hsm_pair *pair)
{
	size_t len = 0;

	w->deciphering = true;
	CK_RV rv = hsm_pair_decrypt(w->session, handle, pair, w->request->algorithm,
		w->request->data, plain_room(w), &len);
	if (rv == CKR_OK)
		w->reply->plaintext = slk_span(plain_room(w), len);
	return rv;
}

static CK_RV
use_pair(struct hsm_work *w, CK_OBJECT_HANDLE handle)
{
	struct hsm_pair *pair = hsm_key_pair(w->key);
	CK_RV rv = CKR_OK;

	if (pair == NULL) {
		hsm_answer(w, SLK_NOT_FOUND, "the key was destroyed meanwhile");
		return CKR_OK;
	}
	switch (w->request->op) {
	case HSM_SIGN:
		rv = sign(w, handle, pair);
		break;
	case HSM_VERIFY:
		rv = verify(w, pair);
		break;
	case HSM_ENCRYPT:
		rv = encrypt(w, pair);
		break;
	default:
		rv = decrypt(w, handle, pair);
		break;
	}
	hsm_pair_unref(pair);
	return rv;
}

CK_RV
hsm_perform(struct hsm_work *w)
{
	const struct hsm_request *q = w->request;
	CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;

	hsm_answer(w, SLK_OK, "");
	w->name = hsm_perform_name(q);
	w->deciphering = false;
	if (!kms_spec_is_symmetric(q->spec) && q->op != HSM_DESTROY_KEY && !check_able(w))
		return CKR_OK;
	switch (q->op) {
	case HSM_RANDOM:
		return give_random(w);
	case HSM_LIST_KEYS:
		return list(w);
	case HSM_INSPECT_TOKEN:
		return inspect_token(w);
	case HSM_DESTROY_KEY:
		return destroy(w);
	case HSM_CREATE_KEY:
	case HSM_OPEN_KEY:
		return open_or_create(w);
	default:
		break;
	}
	CK_RV rv = find_key(w, q->kcv, &handle);
	if (rv != CKR_OK || w->reply->status != SLK_OK)
		return rv;
	switch (q->op) {
	case HSM_INSPECT_KEY:
		return inspect_key(w);
	case HSM_WRAP:
		return wrap(w, handle);
	case HSM_UNWRAP:
		return unwrap(w, handle);
	case HSM_GENERATE_DATA_KEY:
		return generate_data_key(w, handle);
	case HSM_REWRAP:
		return rewrap(w, handle);
	default:
		return use_pair(w, handle);
	}
}
