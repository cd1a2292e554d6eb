#include "hsm/ops.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "hsm/draw.h"
#include "hsm/perform.h"
#include "hsm/rv.h"

#define BUSY_TRIES 3u

/* One call, and what was tried for it already. */
struct work {
	struct hsm_work w;
	unsigned busy;
	bool did_session, did_login, did_object, did_token, did_general;
};

void
hsm_ops_wipe(struct hsm_session *session, const struct hsm_request *request)
{
	hsm_perform_wipe(session, request);
	if (session->ahead_count == 0)
		hsm_draw_drop(session);
}

/* --- reactions; true: try again, false: answered --- */

static void
answer_rv(struct work *w, int status, const char *what, CK_RV rv)
{
	char text[HSM_ERROR_MAX];

	snprintf(text, sizeof(text), "%s: %s (0x%lx)", what, hsm_rv_name(rv), rv);
	hsm_answer(&w->w, status, text);
}

static bool
recover(struct work *w, CK_RV rv)
{
	if (w->did_token) {
		answer_rv(w, SLK_UNAVAILABLE, "the token came back and failed again", rv);
		return false;
	}
	w->did_token = w->w.anew = true;
	if (hsm_token_recover(w->w.session, w->w.epoch, hsm_rv_name(rv)) == SLK_OK)
		return true;
	char text[HSM_ERROR_MAX];
	int status = hsm_token_status(w->w.session->token, text);
	if (status == SLK_OK)
		return true; /* the keeper was faster */
	hsm_answer(&w->w, status, text);
	return false;
}

static CK_RV
ask_canary(struct work *w)
{
	uint64_t epoch, login;
	struct hsm_lookup found;
	int status;

	CK_RV rv = hsm_token_enter(w->w.session, &epoch, &login, &status);
	if (rv != CKR_OK)
		return rv;
	rv = hsm_key_find(w->w.session, login, &w->w.name, NULL, &found);
	if (rv == CKR_OK && found.status == SLK_OK)
		rv = hsm_key_canary(w->w.session, found.key);
	else if (rv == CKR_OK)
		rv = CKR_DEVICE_ERROR;
	hsm_token_leave(w->w.session->token);
	return rv;
}

/* Does the token unwrap what it wrapped before? Without a key in play a new start is the only
 * proof. */
static bool
canary_sings(struct work *w)
{
	if (w->w.key == NULL)
		return false;
	CK_RV rv = ask_canary(w);
	if (hsm_rv_class(rv) == HSM_RV_SESSION) {
		/* The failed call left its session in the middle of something. */
		hsm_token_drop_session(w->w.session);
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
	hsm_token_drop_session(w->w.session);
	return true;
}

static bool
react_login(struct work *w, CK_RV rv)
{
	if (w->did_login)
		return recover(w, rv);
	w->did_login = true;
	CK_RV again = hsm_token_log_in_again(w->w.session, w->w.login);
	return again == CKR_OK ? true : recover(w, again);
}

static bool
react_object(struct work *w, CK_RV rv)
{
	if (w->did_object)
		return recover(w, rv);
	w->did_object = true;
	if (w->w.key != NULL)
		hsm_key_forget_handle(w->w.key);
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

/* Only the call that was given the ciphertext can find it bad. */
static bool
may_be_bad(const struct work *w, CK_RV rv)
{
	const char *last = atomic_load_explicit(&w->w.session->probe.name, memory_order_relaxed);

	return w->w.deciphering &&
		(hsm_rv_class(rv) == HSM_RV_DATA || strcmp(last, "C_Decrypt") == 0);
}

static bool
react_data(struct work *w, CK_RV rv)
{
	bool bad = may_be_bad(w, rv);

	if (!canary_sings(w))
		return recover(w, rv);
	if (bad) {
		hsm_answer(&w->w, SLK_INVALID_CIPHERTEXT,
			"the ciphertext is not what was encrypted under this key and context");
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
	slk_error_log("token refuses an operation", slk_kv("op", (int)w->w.request->op),
		slk_kv("rv", hsm_rv_name(rv)));
	return false;
}

/* What a module without a better word says of a ciphertext that it was given (NSS, of a bad OAEP padding). */
static bool
is_about_data(const struct work *w, CK_RV rv)
{
	return w->w.deciphering && (rv == CKR_DATA_INVALID || rv == CKR_DATA_LEN_RANGE) &&
		may_be_bad(w, rv);
}

static bool
react(struct work *w, CK_RV rv)
{
	if (is_about_data(w, rv))
		return react_data(w, rv);
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
	w->w.reply->ciphertext = slk_span(NULL, 0);
	w->w.reply->output = slk_span(NULL, 0);
	w->w.reply->plaintext = slk_span(NULL, 0);
	memset(w->w.reply->iv, 0, sizeof(w->w.reply->iv));
}

static bool
late(const struct work *w)
{
	return slk_mono_ns(w->w.session->token->clock) >= w->w.request->mono_deadline_ns;
}

void
hsm_ops_execute(
	struct hsm_session *session, const struct hsm_request *request, struct hsm_reply *out_reply)
{
	struct hsm_token *token = session->token;
	struct work w = {.w = {.session = session,
				 .request = request,
				 .reply = out_reply,
				 .name = hsm_perform_name(request)}};
	bool again = true;

	memset(out_reply, 0, sizeof(*out_reply));
	out_reply->op = request->op;
	atomic_fetch_add_explicit(&token->calls_count, 1, memory_order_relaxed);
	while (again) {
		int status;
		clear_results(&w);
		if (late(&w)) {
			hsm_answer(&w.w, SLK_TIMEOUT, "the HSM did not answer in time");
			break;
		}
		CK_RV rv = hsm_token_enter(session, &w.w.epoch, &w.w.login, &status);
		if (status != SLK_OK) {
			char text[HSM_ERROR_MAX];
			status = hsm_token_status(token, text);
			again = status == SLK_OK; /* it came back between the two looks */
			hsm_answer(&w.w, status, text);
			continue;
		}
		if (rv == CKR_OK) {
			rv = hsm_perform(&w.w);
			hsm_token_leave(token);
		}
		if (rv != CKR_OK)
			hsm_draw_drop(session); /* of a token that may not be the same afterwards */
		again = rv != CKR_OK && react(&w, rv);
	}
	if (out_reply->status != SLK_OK)
		clear_results(&w);
}
