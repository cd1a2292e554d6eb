/* Status: how kmsd, its HSM and its audit log do, and the numbers that say that something changed. */
#include <stdio.h>
#include <string.h>

#include "call.h"

uint64_t
kms_service_right_changes(const struct kms_service *s)
{
	return s->right_changes + kms_iam_changes(s->iam) + kms_grants_changes(s->grants);
}

static const char *
hsm_state(const struct hsm_health *health)
{
	switch (health->state) {
	case HSM_READY:
		return "ready";
	case HSM_PIN_REFUSED:
	case HSM_REFUSED:
		return "failed";
	default:
		return "reconnecting";
	}
}

struct worker_messages {
	Kmsp__HsmWorker storage[HSM_WORKERS_MAX];
	Kmsp__HsmWorker *list[HSM_WORKERS_MAX];
};

static void
message_workers(struct kms_service *s, struct worker_messages *m, Kmsp__Status *out)
{
	for (uint32_t i = 0; i < s->workers_count; i++) {
		struct hsm_health *h = &s->workers[i].health;
		Kmsp__HsmWorker *w = m->list[i] = &m->storage[i];
		kmsp__hsm_worker__init(w);
		w->pid = h->worker_pid;
		w->state = (char *)(uintptr_t)hsm_state(h);
		w->error = h->text;
		w->calls = h->calls_count;
		w->failures = h->failures_count;
		w->logins = h->logins_count;
		w->recoveries = h->recoveries_count;
		w->sessions = h->sessions_count;
		w->keys = h->keys_count;
		w->keys_refused = h->keys_refused_count;
		w->last_rv = h->last_rv;
	}
	out->n_workers = s->workers_count;
	out->workers = m->list;
	out->hsm_workers = s->workers_ready_count;
	out->hsm_profile = s->health.profile;
}

/* Texts of m borrow from state. */
static void
message_audit(struct kms_service *s, const struct kms_audit_state *state, char error[256],
	char second_error[256], Kmsp__AuditState *m)
{
	struct kms_heads *h = &s->heads;

	(void)snprintf(error, 256, "%s", state->file_error);
	(void)snprintf(second_error, 256, "%s", state->second_error);
	m->seq = state->durable.seq;
	m->withheld = state->withheld;
	m->low = state->low;
	m->error = error;
	m->second = (char *)(uintptr_t)(!state->second_there ? "none"
			: state->second_ok                   ? "ok"
							     : "failed");
	m->second_error = second_error;
	m->head_seq = h->signed_seq;
	m->head_unix_ns = h->wall_signed_ns;
	m->head_error = h->error;
}

void
kms_op_status(struct kms_call *call, const Kmsp__Request *request)
{
	struct kms_service *s = call->service;
	Kmsp__Reply reply = KMSP__REPLY__INIT;
	Kmsp__Status out = KMSP__STATUS__INIT;
	Kmsp__AuditState audit = KMSP__AUDIT_STATE__INIT;
	struct worker_messages workers;
	struct kms_audit_state state;
	char error[256], second_error[256];

	(void)request;
	out.hsm_ok = s->health.state == HSM_READY;
	out.hsm_state = (char *)(uintptr_t)hsm_state(&s->health);
	out.hsm_error = s->health.text;
	if (!out.hsm_ok && s->health.text[0] == '\0')
		out.hsm_error = (char *)(uintptr_t) "no HSM worker is running";
	out.token_label = s->health.token_label;
	out.token_serial = s->health.token_serial;
	out.module = (char *)(uintptr_t)(strlen(s->parts.module) < 256 ? s->parts.module : "");
	out.uptime_s = (slk_mono_ns(s->parts.clock) - s->mono_start_ns) / SLK_NS_PER_S;
	out.requests = s->requests;
	out.denied = s->denied;
	out.errors = s->errors;
	out.hsm_calls = s->health.calls_count;
	out.hsm_recoveries = s->health.recoveries_count;
	out.hsm_worker_restarts = s->worker_restarts;
	out.data_keys_issued = s->data_keys;
	out.policy_decisions = kms_decisions_made(s->decisions);
	out.stream_changes = s->stream_changes;
	out.right_changes = kms_service_right_changes(s);
	message_workers(s, &workers, &out);
	kms_audit_state(s->parts.audit, &state);
	message_audit(s, &state, error, second_error, &audit);
	out.audit = &audit;
	reply.result_case = KMSP__REPLY__RESULT_SERVICE;
	reply.service = &out;
	kms_call_ok(call, &reply);
}
