#include "hsm/ops.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "hsm/gcm.h"
#include "hsm/key.h"
#include "hsm/rv.h"

#define PLAIN_AT 0u
#define CIPHER_AT 8192u
static_assert(
	HSM_DATA_MAX + HSM_TAG_BYTES + HSM_GCM_SLACK <= CIPHER_AT, "plaintext half of the arena");
static_assert(CIPHER_AT + HSM_DATA_MAX + HSM_GCM_SLACK <= HSM_SESSION_ARENA,
	"ciphertext half of the arena");
#define BUSY_TRIES 3u

/* One call on its way. */
struct work {
	struct hsm_session *session;
	const struct hsm_request *request;
	struct hsm_reply *reply;
	uint64_t epoch, login;
	struct hsm_key *key; /* once found */
	unsigned busy;
	bool did_session, did_login, did_object, did_token, did_general;
};

void
hsm_ops_wipe(struct hsm_session *session)
{
	slk_wipe(slk_secret_bytes(session->arena), HSM_SESSION_ARENA);
}

static void
answer(struct work *w, int status, const char *error)
{
	w->reply->status = status;
	snprintf(w->reply->error, sizeof(w->reply->error), "%s", status == SLK_OK ? "" : error);
}

/* --- the operations; CKR_OK with the reply's status set, or the token's error --- */

static CK_RV
find_key(struct work *w, CK_OBJECT_HANDLE *out_handle)
{
	struct hsm_lookup found;
	bool creating = w->request->op == HSM_CREATE_KEY;

	w->key = NULL;
	CK_RV rv = creating
		? hsm_key_create(
			  w->session, w->login, w->request->key_id, &found, &w->reply->existed)
		: hsm_key_find(w->session, w->login, w->request->key_id, w->request->kcv, &found);
	w->reply->encryptions_count += found.encryptions_count;
	w->key = found.key;
	if (rv != CKR_OK)
		return rv;
	answer(w, found.status, found.error);
	memcpy(w->reply->kcv, found.kcv, sizeof(found.kcv));
	memcpy(w->reply->kcv_cmac, found.kcv_cmac, sizeof(found.kcv_cmac));
	*out_handle = found.handle;
	return CKR_OK;
}

static CK_RV
random_bytes(struct work *w, uint8_t *out, size_t len)
{
	CK_RV rv = HSM_SESSION_CALL(w->session, C_GenerateRandom, out, len);
	if (rv != CKR_OK || len < 8)
		return rv;
	uint8_t seen = 0;
	for (size_t i = 0; i < len; i++)
		seen |= out[i];
	if (seen != 0)
		return CKR_OK;
	answer(w, SLK_HSM, "the token's random generator gave nothing but zeros");
	return CKR_OK;
}

static CK_RV
wrap_bytes(struct work *w, CK_OBJECT_HANDLE handle, struct slk_span data)
{
	struct hsm_token *token = w->session->token;
	uint8_t *out = slk_secret_bytes(w->session->arena) + CIPHER_AT;
	uint8_t iv[HSM_IV_BYTES];
	size_t len = 0;

	if (hsm_key_is_quarantined(w->key)) {
		answer(w, SLK_CORRUPT,
			"key refused: the token gave a repeated IV under it; it only unwraps");
		return CKR_OK;
	}
	CK_RV rv = hsm_gcm_encrypt(w->session, handle, w->request->aad, data, iv, out, &len);
	if (rv != CKR_OK)
		return rv;
	w->reply->encryptions_count++;
	if (hsm_key_note_iv(token, w->key, iv) != SLK_OK) {
		answer(w, SLK_CORRUPT,
			"key refused: the token gave a zero or a repeated IV; nothing was wrapped");
		return CKR_OK;
	}
	memcpy(w->reply->iv, iv, sizeof(iv));
	w->reply->ciphertext = slk_span(out, len);
	return CKR_OK;
}

static CK_RV
unwrap(struct work *w, CK_OBJECT_HANDLE handle)
{
	const struct hsm_request *q = w->request;
	uint8_t *out = slk_secret_bytes(w->session->arena) + PLAIN_AT;
	size_t len = 0;

	CK_RV rv = hsm_gcm_decrypt(w->session, handle, q->aad, q->iv, q->data, out, &len);
	if (rv == CKR_OK)
		w->reply->plaintext = slk_span(out, len);
	return rv;
}

static CK_RV
generate_data_key(struct work *w, CK_OBJECT_HANDLE handle)
{
	uint8_t *plain = slk_secret_bytes(w->session->arena) + PLAIN_AT;

	CK_RV rv = random_bytes(w, plain, w->request->length);
	if (rv != CKR_OK || w->reply->status != SLK_OK)
		return rv;
	rv = wrap_bytes(w, handle, slk_span(plain, w->request->length));
	if (rv == CKR_OK && w->reply->status == SLK_OK)
		w->reply->plaintext = slk_span(plain, w->request->length);
	return rv;
}

static CK_RV
perform(struct work *w)
{
	const struct hsm_request *q = w->request;
	CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;

	answer(w, SLK_OK, "");
	if (q->op >= HSM_DESTROY_KEY || q->spec != KMS_SPEC_SYMMETRIC_DEFAULT) {
		answer(w, SLK_UNSUPPORTED,
			"this worker does not know the operation or the kind of key");
		return CKR_OK;
	}
	if (q->op == HSM_RANDOM) {
		uint8_t *out = slk_secret_bytes(w->session->arena) + PLAIN_AT;
		CK_RV rv = random_bytes(w, out, q->length);
		if (rv == CKR_OK && w->reply->status == SLK_OK)
			w->reply->plaintext = slk_span(out, q->length);
		return rv;
	}
	CK_RV rv = find_key(w, &handle);
	if (rv != CKR_OK || w->reply->status != SLK_OK)
		return rv;
	switch (q->op) {
	case HSM_WRAP:
		return wrap_bytes(w, handle, q->data);
	case HSM_UNWRAP:
		return unwrap(w, handle);
	case HSM_GENERATE_DATA_KEY:
		return generate_data_key(w, handle);
	default:
		return CKR_OK; /* opening and creating ends with having found */
	}
}

/* --- reactions; true: try again, false: answered --- */

static void
answer_rv(struct work *w, int status, const char *what, CK_RV rv)
{
	char text[HSM_ERROR_MAX];

	snprintf(text, sizeof(text), "%s: %s (0x%lx)", what, hsm_rv_name(rv), rv);
	answer(w, status, text);
}

static bool
recover(struct work *w, CK_RV rv)
{
	if (w->did_token) {
		answer_rv(w, SLK_UNAVAILABLE, "the token came back and failed again", rv);
		return false;
	}
	w->did_token = true;
	if (hsm_token_recover(w->session, w->epoch, hsm_rv_name(rv)) == SLK_OK)
		return true;
	char text[HSM_ERROR_MAX];
	int status = hsm_token_status(w->session->token, text);
	if (status == SLK_OK)
		return true; /* the keeper was faster */
	answer(w, status, text);
	return false;
}

static CK_RV
ask_canary(struct work *w)
{
	uint64_t epoch, login;
	struct hsm_lookup found;
	int status;

	CK_RV rv = hsm_token_enter(w->session, &epoch, &login, &status);
	if (rv != CKR_OK)
		return rv;
	rv = hsm_key_find(w->session, login, w->request->key_id, NULL, &found);
	if (rv == CKR_OK && found.status == SLK_OK)
		rv = hsm_key_canary(w->session, found.key);
	else if (rv == CKR_OK)
		rv = CKR_DEVICE_ERROR;
	hsm_token_leave(w->session->token);
	return rv;
}

/* Does the token unwrap what it wrapped before? Without a key in play a new start is the only
 * proof. */
static bool
canary_sings(struct work *w)
{
	if (w->key == NULL)
		return false;
	CK_RV rv = ask_canary(w);
	if (hsm_rv_class(rv) == HSM_RV_SESSION) {
		/* The failed call left its session in the middle of something. */
		hsm_token_drop_session(w->session);
		rv = ask_canary(w);
	}
	return rv == CKR_OK;
}

static bool
react_session(struct work *w, CK_RV rv)
{
	if (w->did_session)
		return recover(w, rv);
	w->did_session = true;
	hsm_token_drop_session(w->session);
	return true;
}

static bool
react_login(struct work *w, CK_RV rv)
{
	if (w->did_login)
		return recover(w, rv);
	w->did_login = true;
	CK_RV again = hsm_token_log_in_again(w->session, w->login);
	return again == CKR_OK ? true : recover(w, again);
}

static bool
react_object(struct work *w, CK_RV rv)
{
	if (w->did_object || w->key == NULL)
		return recover(w, rv);
	w->did_object = true;
	hsm_key_forget_handle(w->key);
	return true;
}

static bool
react_busy(struct work *w, CK_RV rv)
{
	uint64_t wait_ns = (10 * SLK_NS_PER_MS) << (2 * w->busy);

	if (w->busy++ < BUSY_TRIES) {
		struct timespec ts = {0, (long)wait_ns};
		(void)nanosleep(&ts, NULL);
		return true;
	}
	if (!canary_sings(w))
		return recover(w, rv);
	answer_rv(w, SLK_UNAVAILABLE, "the token is busy", rv);
	return false;
}

static bool
react_data(struct work *w, CK_RV rv)
{
	if (!canary_sings(w))
		return recover(w, rv);
	if (w->request->op == HSM_UNWRAP) {
		answer(w, SLK_INVALID_CIPHERTEXT,
			"the ciphertext does not fit this key, IV and AAD");
		return false;
	}
	if (w->did_general) {
		answer_rv(w, SLK_HSM, "the token is well and yet refuses", rv);
		return false;
	}
	w->did_general = true;
	return true;
}

static bool
react_config(struct work *w, CK_RV rv)
{
	int status = rv == CKR_MECHANISM_INVALID || rv == CKR_FUNCTION_NOT_SUPPORTED
		? SLK_UNSUPPORTED
		: SLK_HSM;

	answer_rv(w, status, "the token refuses this operation", rv);
	slk_error_log("token refuses an operation", slk_kv("op", (int)w->request->op),
		slk_kv("rv", hsm_rv_name(rv)));
	return false;
}

static bool
react(struct work *w, CK_RV rv)
{
	switch (hsm_rv_class(rv)) {
	case HSM_RV_SESSION:
		return react_session(w, rv);
	case HSM_RV_LOGIN:
		return react_login(w, rv);
	case HSM_RV_OBJECT:
		return react_object(w, rv);
	case HSM_RV_TOKEN:
		return recover(w, rv);
	case HSM_RV_BUSY:
		return react_busy(w, rv);
	case HSM_RV_DATA:
	case HSM_RV_UNCLEAR:
		return react_data(w, rv);
	case HSM_RV_OK:
	case HSM_RV_PIN: /* no operation but a login gives these; a token that does is not well */
	case HSM_RV_CONFIG:
		break;
	}
	return react_config(w, rv);
}

/* Nothing of a failed attempt may reach the caller. */
static void
clear_results(struct work *w)
{
	w->reply->ciphertext = slk_span(NULL, 0);
	w->reply->plaintext = slk_span(NULL, 0);
	memset(w->reply->iv, 0, sizeof(w->reply->iv));
}

static bool
late(const struct work *w)
{
	return slk_mono_ns(w->session->token->clock) >= w->request->mono_deadline_ns;
}

void
hsm_ops_execute(
	struct hsm_session *session, const struct hsm_request *request, struct hsm_reply *out_reply)
{
	struct hsm_token *token = session->token;
	struct work w = {.session = session, .request = request, .reply = out_reply};
	bool again = true;

	memset(out_reply, 0, sizeof(*out_reply));
	out_reply->op = request->op;
	atomic_fetch_add_explicit(&token->calls_count, 1, memory_order_relaxed);
	while (again) {
		int status;
		clear_results(&w);
		if (late(&w)) {
			answer(&w, SLK_TIMEOUT, "the HSM did not answer in time");
			break;
		}
		CK_RV rv = hsm_token_enter(session, &w.epoch, &w.login, &status);
		if (status != SLK_OK) {
			char text[HSM_ERROR_MAX];
			status = hsm_token_status(token, text);
			again = status == SLK_OK; /* it came back between the two looks */
			answer(&w, status, text);
			continue;
		}
		if (rv == CKR_OK) {
			rv = perform(&w);
			hsm_token_leave(token);
		}
		again = rv != CKR_OK && react(&w, rv);
	}
	if (out_reply->status != SLK_OK)
		clear_results(&w);
}
