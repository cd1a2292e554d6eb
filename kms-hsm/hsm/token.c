#include "hsm/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "hsm/backoff.h"
#include "hsm/caps.h"
#include "hsm/key.h"
#include "hsm/public.h"
#include "hsm/rv.h"
#include "hsm/selftest.h"

#define SLOTS_MAX 64u
#define REFUSED_LAST_NS (30 * SLK_NS_PER_S)
#define PIN_LOOK_NS (1 * SLK_NS_PER_S)
#define BEAT_NS (5 * SLK_NS_PER_S)

void
hsm_probe_enter(struct hsm_token *token, struct hsm_probe *probe, const char *name)
{
	atomic_store_explicit(&probe->name, name, memory_order_relaxed);
	atomic_store_explicit(&probe->since_ns, slk_mono_ns(token->clock), memory_order_release);
}

void
hsm_probe_leave(struct hsm_token *token, struct hsm_probe *probe, CK_RV rv)
{
	atomic_store_explicit(&probe->since_ns, 0, memory_order_release);
	if (rv == CKR_OK)
		return;
	atomic_fetch_add_explicit(&token->failures_count, 1, memory_order_relaxed);
	atomic_store_explicit(&token->last_rv, rv, memory_order_relaxed);
}

int
hsm_token_new(const struct hsm_options *options, const struct slk_clock *clock,
	struct hsm_token **out_token, struct slk_error *err)
{
	pthread_rwlockattr_t gate_attr;
	pthread_condattr_t cond_attr;

	struct hsm_token *token = calloc(1, sizeof(*token));
	if (token == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	token->options = options;
	token->clock = clock;
	token->state = HSM_STARTING;
	token->status = SLK_UNAVAILABLE;
	token->since_ns = slk_mono_ns(clock);
	/* These cannot fail with the attributes used here. A repair must not starve behind the
	 * calls that fail. */
	pthread_rwlockattr_init(&gate_attr);
	pthread_rwlockattr_setkind_np(&gate_attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&token->gate, &gate_attr);
	pthread_rwlockattr_destroy(&gate_attr);
	pthread_mutex_init(&token->lock, NULL);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setclock(&cond_attr, CLOCK_MONOTONIC);
	pthread_cond_init(&token->changed, &cond_attr);
	pthread_condattr_destroy(&cond_attr);

	int rc = hsm_keys_new(&token->keys);
	if (rc != SLK_OK)
		(void)slk_fail(err, rc, "out of memory");
	else
		rc = hsm_pin_open(options->pin_file, options->state_file,
			options->profile->one_process ? HSM_PIN_ALONE : HSM_PIN_SHARED, &token->pin,
			err);
	if (rc == SLK_OK && options->pin_fd > 0)
		hsm_pin_use_fd(token->pin, options->pin_fd);
	if (rc == SLK_OK)
		rc = hsm_module_load(options, &token->module, err);
	if (rc == SLK_OK && options->profile->store_unflushed)
		rc = hsm_paths_tokens(options->softhsm_conf, token->store, err);
	if (rc == SLK_OK && (token->openssl = hsm_public_context_new()) == NULL)
		rc = slk_fail(err, SLK_SYSTEM, "OpenSSL's default provider cannot be loaded");
	if (rc != SLK_OK) {
		hsm_token_free(token);
		return rc;
	}
	*out_token = token;
	return SLK_OK;
}

void
hsm_token_free(struct hsm_token *token)
{
	if (token == NULL)
		return;
	hsm_module_finalise(&token->module);
	hsm_pin_close(token->pin);
	hsm_keys_free(token->keys);
	hsm_public_context_free(token->openssl);
	pthread_rwlock_destroy(&token->gate);
	pthread_mutex_destroy(&token->lock);
	pthread_cond_destroy(&token->changed);
	free(token);
}

/* The one place that assigns the state. text: why, for every state but READY. */
static void
set_state(struct hsm_token *token, enum hsm_state state, int status, const char *text)
{
	uint64_t now = slk_mono_ns(token->clock);

	pthread_mutex_lock(&token->lock);
	bool news = state != token->state || strcmp(text, token->text) != 0;
	if (state != token->state)
		token->since_ns = now;
	if (state == HSM_READY) {
		token->recoveries_count += token->ever_ready ? 1 : 0;
		token->ever_ready = true;
		token->tries = 0;
	} else if (state == HSM_LOST) {
		token->next_try_ns = now +
			hsm_backoff_ns(token->tries++, HSM_BACKOFF_FIRST_NS, HSM_BACKOFF_LAST_NS);
	} else {
		token->next_try_ns =
			now + hsm_backoff_ns(token->tries++, SLK_NS_PER_S, REFUSED_LAST_NS);
	}
	token->state = state;
	token->status = status;
	snprintf(token->text, sizeof(token->text), "%s", text);
	pthread_cond_broadcast(&token->changed);
	pthread_mutex_unlock(&token->lock);

	if (!news)
		return;
	if (state == HSM_READY)
		slk_info("token ready", slk_kv("label", token->label),
			slk_kv("serial", token->serial), slk_kv("model", token->model));
	else if (state == HSM_LOST)
		slk_warn("token lost, trying again by itself", slk_kv("why", text));
	else
		slk_error_log("token refused; an operator is needed", slk_kv("why", text),
			slk_kv("status", slk_status_name(status)));
}

/* --- bringing up, all under the gate held alone --- */

static CK_RV
open_session(struct hsm_token *token, struct hsm_probe *probe, CK_SESSION_HANDLE *out_handle)
{
	/* CloudHSM knows read-write sessions only; creating token keys needs one anyway. */
	const CK_FLAGS flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;

	CK_RV rv =
		HSM_CALL(token, probe, C_OpenSession, token->slot, flags, NULL, NULL, out_handle);
	if (rv == CKR_OK)
		atomic_fetch_add_explicit(&token->sessions_open_count, 1, memory_order_relaxed);
	return rv;
}

static bool
matches(const struct hsm_token *token, const CK_TOKEN_INFO *info)
{
	char label[33], serial[17];

	hsm_module_text(info->label, sizeof(info->label), label);
	hsm_module_text(info->serialNumber, sizeof(info->serialNumber), serial);
	if ((info->flags & CKF_TOKEN_INITIALIZED) == 0 ||
		strcmp(label, token->options->token_label) != 0)
		return false;
	if (token->options->token_serial != NULL &&
		strcmp(serial, token->options->token_serial) != 0)
		return false;
	return token->first_serial[0] == '\0' || strcmp(serial, token->first_serial) == 0;
}

/* Exactly one token may match. Slots whose token cannot be asked are passed over: they are not ours
 * or not there. */
static int
find_slot(struct hsm_token *token, struct hsm_probe *probe, CK_TOKEN_INFO *out_info,
	struct slk_error *err)
{
	CK_SLOT_ID slots[SLOTS_MAX];
	CK_ULONG count = SLOTS_MAX;
	unsigned found = 0;

	/* NULL first: some modules look for new tokens only when asked for the number. */
	CK_ULONG ignored = 0;
	CK_RV rv = HSM_CALL(token, probe, C_GetSlotList, CK_TRUE, NULL, &ignored);
	if (rv == CKR_OK)
		rv = HSM_CALL(token, probe, C_GetSlotList, CK_TRUE, slots, &count);
	if (rv != CKR_OK)
		return slk_fail(err, SLK_UNAVAILABLE, "C_GetSlotList failed with %s (0x%lx)",
			hsm_rv_name(rv), rv);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_TOKEN_INFO info;
		if (HSM_CALL(token, probe, C_GetTokenInfo, slots[i], &info) != CKR_OK ||
			!matches(token, &info))
			continue;
		found++;
		token->slot = slots[i];
		*out_info = info;
	}
	if (found == 1)
		return SLK_OK;
	const char *serial =
		token->first_serial[0] != '\0' ? token->first_serial : token->options->token_serial;
	return slk_fail(err, SLK_UNAVAILABLE,
		"%s token labelled '%s'%s%s is present among %lu slots",
		found == 0 ? "no" : "more than one", token->options->token_label,
		serial != NULL ? " with serial number " : "", serial != NULL ? serial : "", count);
}

/* The only place that tries a PIN. */
static CK_RV
log_in(struct hsm_token *token, struct hsm_probe *probe, const char *serial, int *out_status,
	struct slk_error *err)
{
	struct slk_secret *pin = NULL;

	int rc = token->pin_forgotten ? slk_fail(err, SLK_PIN,
						"the PIN was refused and %s could not be written; "
						"restart the worker once it can",
						token->options->state_file)
				      : hsm_pin_begin(token->pin, serial, &pin, err);
	if (rc != SLK_OK) {
		*out_status = rc;
		return CKR_OK;
	}
	const char *fault = hsm_profile_login_fault(
		token->options->profile, slk_secret_bytes(pin), slk_secret_len(pin));
	if (fault != NULL) {
		hsm_pin_give_up(token->pin);
		slk_secret_free(pin);
		*out_status = slk_fail(err, SLK_CONFIG, "%s: %s", token->options->pin_file, fault);
		return CKR_OK;
	}
	CK_RV rv = HSM_CALL(token, probe, C_Login, token->login_session, CKU_USER,
		slk_secret_bytes(pin), slk_secret_len(pin));
	slk_secret_free(pin);
	pthread_mutex_lock(&token->lock);
	token->logins_count++;
	pthread_mutex_unlock(&token->lock);
	if (rv == CKR_USER_ALREADY_LOGGED_IN)
		rv = CKR_OK;
	if (rv != CKR_OK && hsm_rv_class(rv) != HSM_RV_PIN) {
		hsm_pin_give_up(token->pin);
		return rv; /* no verdict on the PIN */
	}
	bool refused = rv != CKR_OK;
	if (hsm_pin_end(token->pin, refused) != SLK_OK && refused)
		token->pin_forgotten = true;
	*out_status = refused
		? slk_fail(err, SLK_PIN,
			  "the token refused the PIN in %s with %s; it is not tried "
			  "again, for tokens lock. %s",
			  token->options->pin_file, hsm_rv_name(rv), hsm_pin_remedy(token->pin))
		: SLK_OK;
	return CKR_OK;
}

static void
tear_down(struct hsm_token *token, struct hsm_probe *probe)
{
	if (token->module.initialised) {
		hsm_probe_enter(token, probe, "C_Finalize");
		hsm_module_finalise(&token->module);
		hsm_probe_leave(token, probe, CKR_OK);
	}
	atomic_store(&token->sessions_open_count, 0);
	token->login_session = CK_INVALID_HANDLE;
	/* Sessions and handles of the past are void, whatever comes next. */
	token->epoch++;
	token->login++;
}

static int
rv_failed(struct slk_error *err, const char *function, CK_RV rv)
{
	return slk_fail(
		err, SLK_UNAVAILABLE, "%s failed with %s (0x%lx)", function, hsm_rv_name(rv), rv);
}

static void
note_identity(struct hsm_token *token, const CK_TOKEN_INFO *info)
{
	pthread_mutex_lock(&token->lock);
	hsm_module_text(info->label, sizeof(info->label), token->label);
	hsm_module_text(info->serialNumber, sizeof(info->serialNumber), token->serial);
	hsm_module_text(info->model, sizeof(info->model), token->model);
	pthread_mutex_unlock(&token->lock);
}

static int
try_bring_up(struct hsm_session *session, struct slk_error *err)
{
	struct hsm_token *token = session->token;
	struct hsm_probe *probe = &session->probe;
	CK_TOKEN_INFO info = {0};
	char serial[17];
	int status = SLK_OK;

	hsm_probe_enter(token, probe, "C_Initialize");
	CK_RV rv = hsm_module_initialise(&token->module);
	hsm_probe_leave(token, probe, rv);
	if (rv != CKR_OK)
		return rv_failed(err, "C_Initialize", rv);
	int rc = find_slot(token, probe, &info, err);
	if (rc != SLK_OK)
		return rc;
	hsm_module_text(info.serialNumber, sizeof(info.serialNumber), serial);
	rv = open_session(token, probe, &token->login_session);
	if (rv == CKR_OK)
		rv = open_session(token, probe, &session->handle);
	if (rv != CKR_OK)
		return rv_failed(err, "C_OpenSession", rv);
	rv = log_in(token, probe, serial, &status, err);
	if (rv != CKR_OK)
		return rv_failed(err, "C_Login", rv);
	if (status != SLK_OK)
		return status;
	struct slk_error verdict = {0};
	rv = hsm_selftest(session, &verdict);
	if (rv != CKR_OK)
		return rv_failed(err, "the self-test", rv);
	if (verdict.status != SLK_OK) {
		*err = verdict;
		return verdict.status;
	}
	rv = hsm_caps_probe(session, serial);
	if (rv != CKR_OK)
		return rv_failed(err, "asking what the token can do", rv);
	note_identity(token, &info);
	memcpy(token->first_serial, serial, sizeof(serial));
	session->epoch = token->epoch;
	return SLK_OK;
}

static int
bring_up(struct hsm_session *session)
{
	struct hsm_token *token = session->token;
	struct slk_error err = {0};

	tear_down(token, &session->probe);
	int rc = try_bring_up(session, &err);
	switch (rc) {
	case SLK_OK:
		set_state(token, HSM_READY, SLK_OK, "");
		return SLK_OK;
	case SLK_PIN:
		set_state(token, HSM_PIN_REFUSED, SLK_PIN, err.text);
		break;
	case SLK_SELF_TEST:
	case SLK_UNSUPPORTED:
		set_state(token, HSM_REFUSED, rc, err.text);
		break;
	default:
		rc = SLK_UNAVAILABLE;
		set_state(token, HSM_LOST, rc, err.text);
		break;
	}
	tear_down(token, &session->probe);
	return rc;
}

/* --- the gate --- */

int
hsm_token_status(struct hsm_token *token, char *out_text)
{
	pthread_mutex_lock(&token->lock);
	int status = token->state == HSM_READY ? SLK_OK : token->status;
	snprintf(out_text, HSM_ERROR_MAX, "%s", token->text);
	pthread_mutex_unlock(&token->lock);
	return status;
}

static int
status_of(struct hsm_token *token)
{
	pthread_mutex_lock(&token->lock);
	int status = token->state == HSM_READY ? SLK_OK : token->status;
	pthread_mutex_unlock(&token->lock);
	return status;
}

CK_RV
hsm_token_enter(
	struct hsm_session *session, uint64_t *out_epoch, uint64_t *out_login, int *out_status)
{
	struct hsm_token *token = session->token;

	/* Asked first, so that nobody queues at the gate of a token that is being searched for. */
	*out_status = status_of(token);
	if (*out_status != SLK_OK)
		return CKR_GENERAL_ERROR;
	pthread_rwlock_rdlock(&token->gate);
	*out_epoch = token->epoch;
	*out_login = token->login;
	*out_status = status_of(token);
	CK_RV rv = *out_status == SLK_OK ? CKR_OK : CKR_GENERAL_ERROR;
	if (rv == CKR_OK && session->epoch != token->epoch) {
		rv = open_session(token, &session->probe, &session->handle);
		session->epoch = rv == CKR_OK ? token->epoch : 0;
	}
	if (rv != CKR_OK)
		pthread_rwlock_unlock(&token->gate);
	return rv;
}

void
hsm_token_leave(struct hsm_token *token)
{
	pthread_rwlock_unlock(&token->gate);
}

void
hsm_token_drop_session(struct hsm_session *session)
{
	struct hsm_token *token = session->token;

	pthread_rwlock_rdlock(&token->gate);
	if (session->epoch == token->epoch && token->module.initialised) {
		(void)HSM_SESSION_CALL(session, C_CloseSession);
		atomic_fetch_sub_explicit(&token->sessions_open_count, 1, memory_order_relaxed);
	}
	session->epoch = 0;
	pthread_rwlock_unlock(&token->gate);
}

CK_RV
hsm_token_log_in_again(struct hsm_session *session, uint64_t login)
{
	struct hsm_token *token = session->token;
	struct slk_error err = {0};
	int status = SLK_OK;

	pthread_rwlock_wrlock(&token->gate);
	if (token->login != login || status_of(token) != SLK_OK) {
		pthread_rwlock_unlock(&token->gate);
		return CKR_OK;
	}
	slk_warn("the token forgot the login; logging in once");
	CK_RV rv = log_in(token, &session->probe, token->serial, &status, &err);
	if (rv == CKR_OK && status == SLK_OK) {
		token->login++; /* handles of private objects died with the old login */
	} else if (rv == CKR_OK && status == SLK_PIN) {
		set_state(token, HSM_PIN_REFUSED, SLK_PIN, err.text);
		tear_down(token, &session->probe);
	} else if (rv == CKR_OK) {
		rv = CKR_USER_NOT_LOGGED_IN; /* the PIN file cannot be read just now */
	}
	pthread_rwlock_unlock(&token->gate);
	return rv;
}

int
hsm_token_recover(struct hsm_session *session, uint64_t epoch, const char *why)
{
	struct hsm_token *token = session->token;

	pthread_rwlock_wrlock(&token->gate);
	int rc = status_of(token);
	if (rc == SLK_OK && token->epoch == epoch) {
		slk_warn("starting the token anew", slk_kv("why", why));
		rc = bring_up(session);
	}
	pthread_rwlock_unlock(&token->gate);
	return rc;
}

void
hsm_token_health(struct hsm_token *token, struct hsm_health *out_health)
{
	struct hsm_health h = {.worker_pid = (uint32_t)getpid(),
		.iv_from_hsm = token->options->profile->iv != HSM_IV_OURS};

	snprintf(h.profile, sizeof(h.profile), "%s", token->options->profile->name);
	h.sessions_count = atomic_load(&token->sessions_open_count);
	h.calls_count = atomic_load(&token->calls_count);
	h.failures_count = atomic_load(&token->failures_count);
	h.last_rv = atomic_load(&token->last_rv);
	h.specs = atomic_load(&token->specs);
	h.algorithms = atomic_load(&token->algorithms);
	hsm_keys_count(token->keys, &h.keys_count, &h.keys_refused_count);
	pthread_mutex_lock(&token->lock);
	h.state = token->state;
	h.logins_count = token->logins_count;
	h.recoveries_count = token->recoveries_count;
	h.mono_since_ns = token->since_ns;
	memcpy(h.token_label, token->label, sizeof(h.token_label));
	memcpy(h.token_serial, token->serial, sizeof(h.token_serial));
	memcpy(h.token_model, token->model, sizeof(h.token_model));
	memcpy(h.text, token->text, sizeof(h.text));
	pthread_mutex_unlock(&token->lock);
	*out_health = h;
}

/* --- the keeper --- */

static bool
pin_file_changed(const struct hsm_token *token, struct stat *last)
{
	struct stat now = {0};

	if (stat(token->options->pin_file, &now) != 0)
		return false;
	bool changed = now.st_ino != last->st_ino || now.st_size != last->st_size ||
		now.st_mtim.tv_sec != last->st_mtim.tv_sec ||
		now.st_mtim.tv_nsec != last->st_mtim.tv_nsec;
	*last = now;
	return changed;
}

static void
wait_until(struct hsm_token *token, uint64_t mono_ns)
{
	struct timespec ts = {(time_t)(mono_ns / SLK_NS_PER_S), (long)(mono_ns % SLK_NS_PER_S)};

	(void)pthread_cond_timedwait(&token->changed, &token->lock, &ts);
}

/* Wait until the token has to be brought up (true) or the keeper has to end (false). Beats while
 * all is well. */
static bool
wait_for_work(struct hsm_session *session, struct stat *pin_seen)
{
	struct hsm_token *token = session->token;
	uint64_t beat_ns = slk_mono_ns(token->clock) + BEAT_NS;
	bool due = false;

	pthread_mutex_lock(&token->lock);
	while (!token->stopping && !due) {
		uint64_t now = slk_mono_ns(token->clock);
		if (token->state == HSM_READY && now < beat_ns) {
			wait_until(token, beat_ns);
		} else if (token->state == HSM_READY) {
			pthread_mutex_unlock(&token->lock);
			hsm_keys_beat(session);
			pthread_mutex_lock(&token->lock);
			beat_ns = slk_mono_ns(token->clock) + BEAT_NS;
		} else if (token->state == HSM_STARTING || now >= token->next_try_ns ||
			(token->state == HSM_PIN_REFUSED && pin_file_changed(token, pin_seen))) {
			due = true;
		} else {
			uint64_t look_ns = now + PIN_LOOK_NS;
			wait_until(
				token, look_ns < token->next_try_ns ? look_ns : token->next_try_ns);
		}
	}
	pthread_mutex_unlock(&token->lock);
	return due;
}

void
hsm_token_keep(struct hsm_session *session)
{
	struct hsm_token *token = session->token;
	struct stat pin_seen = {0};

	while (wait_for_work(session, &pin_seen)) {
		(void)pin_file_changed(token, &pin_seen);
		pthread_rwlock_wrlock(&token->gate);
		if (status_of(token) != SLK_OK)
			(void)bring_up(session);
		pthread_rwlock_unlock(&token->gate);
	}
}

void
hsm_token_stop(struct hsm_token *token)
{
	pthread_mutex_lock(&token->lock);
	token->stopping = true;
	pthread_cond_broadcast(&token->changed);
	pthread_mutex_unlock(&token->lock);
}

void
hsm_token_wait_started(struct hsm_token *token)
{
	pthread_mutex_lock(&token->lock);
	while (token->state == HSM_STARTING && !token->stopping)
		pthread_cond_wait(&token->changed, &token->lock);
	pthread_mutex_unlock(&token->lock);
}
