/* What the files of the probe's child share; see hsm/probe.h. Functions end early without a word when a call fails that
 * concerns one trial only; what it gave is in the report. The child has a token and a session of the worker's kinds, so that
 * the worker's own checks run on them; the calls of both pass hsm_probe_enter(), which is the probe's here. */
#ifndef KMS_HSM_HSM_PROBE_INNER_H
#define KMS_HSM_HSM_PROBE_INNER_H

#include "hsm/probe.h"
#include "hsm/token.h"

#define PROBE_GCM_CLOUDHSM 0x80001087u
#define PROBE_TIMED_COUNT 200u

struct probe {
	const struct hsm_probe_request *request;
	struct hsm_probe_report *report;
	struct slk_error *err;
	struct hsm_options options;
	struct hsm_token token; /* options, clock, module and slot alone are used */
	struct hsm_session session; /* logged in */
	CK_OBJECT_HANDLE key; /* AES, of the session */
};

/* All of it, in the child. */
int probe_all(struct probe *p);

void probe_step(struct probe *p, const char *step);

/* A call that is not of a session. */
#define PROBE_CALL(p_, function_, ...) \
	HSM_CALL(&(p_)->token, &(p_)->session.probe, function_, __VA_ARGS__)
/* A call on p's session. */
#define PROBE_SESSION_CALL(p_, function_, ...) \
	HSM_SESSION_CALL(&(p_)->session, function_, ##__VA_ARGS__)

/* Sentences for calls without which nothing can be learnt. */
int probe_failed(struct probe *p, const char *function, CK_RV rv);

/* Sessions, generator, key and its attributes, GCM, the worker's checks, times. p->session is logged in. */
void probe_trials(struct probe *p);
/* With a key: all of AES-GCM. */
void probe_gcm(struct probe *p);

#endif
