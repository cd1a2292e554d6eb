/* One token: its module, its login, its sessions, and how it is lost and found.
 *
 *     STARTING --bring up--> READY --lost--> LOST --bring up--> READY
 *         |                    |               |
 *         +--------------------+---------------+--PIN refused--> PIN_REFUSED --PIN file written-->
 * READY
 *         +--------------------+---------------+--self-test-----> REFUSED --------(every 30 s)---->
 * READY
 *
 * set_state() assigns the state. Only in READY are there sessions. The gate is a lock that calls to
 * the module share and that bringing up, logging in and tearing down hold alone: "stop the pool" is
 * taking it. Two counters tell a caller that somebody else repaired things meanwhile: `epoch` grows
 * at each bring-up (all sessions and handles are new), `login` also at each login alone (handles of
 * private objects are new). PIN attempts are made nowhere but in log_in().
 *
 * Threads: the keeper brings up, waits and beats; session threads call through the gate and repair
 * what they meet.
 */
#ifndef KMS_HSM_HSM_TOKEN_H
#define KMS_HSM_HSM_TOKEN_H

#include <openssl/types.h>
#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/secret.h"
#include "hsm/link.h"
#include "hsm/module.h"
#include "hsm/options.h"
#include "hsm/pin.h"

struct hsm_keys;

/* What one thread is doing inside the module, for the watchdog. A module call cannot be cancelled.
 */
struct hsm_probe {
	_Atomic uint64_t since_ns; /* 0: not in the module */
	_Atomic(const char *) name; /* static storage */
};

struct hsm_token {
	const struct hsm_options *options;
	const struct slk_clock *clock;
	struct hsm_module module;
	struct hsm_pin_file *pin;
	struct hsm_keys *keys;
	char store[PATH_MAX]; /* directory of files that the module does not flush; "": none */
	_Atomic bool store_failed; /* see store.h */

	pthread_rwlock_t gate; /* guards module state, slot, login_session, epoch, login, caps */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE login_session; /* idle; keeps the login alive */
	uint64_t epoch; /* from 1 */
	uint64_t login; /* from 1 */
	char first_serial[17]; /* of the first token that took the PIN; no other is taken until the
				  end */
	OSSL_LIB_CTX *openssl; /* for public keys; no part of it is the module's */
	char caps_serial[17]; /* the token that the next three are of; empty: none yet */
	_Atomic uint32_t specs, algorithms; /* sets, as in struct hsm_health */
	CK_MECHANISM_TYPE rsa_generator;
	bool pin_forgotten; /* a refusal could not be written down: no attempt any more */

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	enum hsm_state state;
	int status; /* what calls are answered with while state is not READY */
	char text[HSM_ERROR_MAX];
	uint64_t since_ns;
	char label[33], serial[17], model[17];
	uint64_t logins_count, recoveries_count;
	uint64_t next_try_ns; /* when the keeper brings it up again */
	unsigned tries; /* since it was last READY */
	bool ever_ready;
	bool stopping;

	_Atomic uint64_t calls_count, failures_count, last_rv;
	_Atomic uint32_t sessions_open_count;
};

/* One session of the pool; it belongs to one thread. index 0..count-1, the keeper's is count. */
struct hsm_session {
	struct hsm_token *token;
	unsigned index;
	CK_SESSION_HANDLE handle;
	uint64_t epoch; /* of the handle; 0: none */
	struct hsm_probe probe;
	struct slk_secret *arena; /* HSM_SESSION_ARENA bytes for plaintexts */
	struct slk_secret *drawn; /* HSM_SESSION_DRAWN random bytes of the token (draw.h) */
	size_t drawn_at, drawn_len; /* used up to there, of so many */
	size_t draw_bytes; /* to draw at once, 0: as much as is asked for */
	unsigned ahead_count; /* requests that wait behind the one in hand */
};
#define HSM_SESSION_ARENA 16384u
#define HSM_SESSION_DRAWN 4096u

/* Loads the module, opens and locks the state file. The options are borrowed. Call before any
 * thread is made. */
MUST_USE int hsm_token_new(const struct hsm_options *options, const struct slk_clock *clock,
	struct hsm_token **out_token, struct slk_error *err);
/* Finalises the module. All session threads have ended. NULL allowed. */
void hsm_token_free(struct hsm_token *token);

MUST_USE int hsm_session_init(struct hsm_session *session, struct hsm_token *token, unsigned index);
void hsm_session_fini(struct hsm_session *session);

/* Every call of the module goes through here: HSM_CALL(session, C_Encrypt, args...) on the
 * session's own handle is spelt out by the caller. Counts errors and shows the watchdog where the
 * thread is. */
#define HSM_CALL(token_, probe_, function_, ...) \
	({ \
		hsm_probe_enter((token_), (probe_), #function_); \
		CK_RV hsm_rv_ = (token_)->module.fn->function_(__VA_ARGS__); \
		hsm_probe_leave((token_), (probe_), hsm_rv_); \
		hsm_rv_; \
	})
#define HSM_SESSION_CALL(session_, function_, ...) \
	HSM_CALL((session_)->token, &(session_)->probe, function_, (session_)->handle, \
		##__VA_ARGS__)
void hsm_probe_enter(struct hsm_token *token, struct hsm_probe *probe, const char *name);
void hsm_probe_leave(struct hsm_token *token, struct hsm_probe *probe, CK_RV rv);

/* Pass the gate with an open session. CKR_OK: the caller is inside and must leave; *out_epoch and
 * *out_login tell which world it sees. Any other value: outside; with *out_status set (not SLK_OK)
 * the token is out of service. */
CK_RV hsm_token_enter(
	struct hsm_session *session, uint64_t *out_epoch, uint64_t *out_login, int *out_status);
void hsm_token_leave(struct hsm_token *token);

/* Close this session (class A). Call outside the gate. */
void hsm_token_drop_session(struct hsm_session *session);
/* Log in again unless somebody did since `login` was seen (class B). Any CK_RV but CKR_OK: go on to
 * hsm_token_recover(). */
CK_RV hsm_token_log_in_again(struct hsm_session *session, uint64_t login);
/* Everything anew unless somebody did since `epoch` was seen (class D); why: what was met, for the
 * log. SLK_OK or the status to answer with. */
MUST_USE int hsm_token_recover(struct hsm_session *session, uint64_t epoch, const char *why);

/* The status that calls are answered with (SLK_OK when READY); text has HSM_ERROR_MAX bytes. */
int hsm_token_status(struct hsm_token *token, char *out_text);
void hsm_token_health(struct hsm_token *token, struct hsm_health *out_health);

/* The keeper's thread: brings the token up, again and again with back-off while it is lost, and
 * asks the canary now and then. session: the keeper's. Returns after hsm_token_stop(). */
void hsm_token_keep(struct hsm_session *session);
/* Make the keeper end, and those who wait for the start. */
void hsm_token_stop(struct hsm_token *token);
/* Wait until the token left STARTING, or was stopped. */
void hsm_token_wait_started(struct hsm_token *token);

#endif
