/* A flow's ways out: sending, trying again, backing up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/secret.h"
#include "flow_internal.h"

#define RETRY_NS (1 * SLK_NS_PER_S)
#define ASKED_MAX_NS (300 * SLK_NS_PER_S)

/* Doubled with each failure, between half and all of it, so that those who failed together do not come back together. */
uint64_t
dlv_flow_backoff_ns(uint64_t first_ns, unsigned failures)
{
	uint64_t wait = first_ns;
	uint32_t random = 0;

	for (unsigned i = 1; i < failures && wait < DLV_RETRY_MAX_NS; i++)
		wait *= 2;
	if (wait > DLV_RETRY_MAX_NS)
		wait = DLV_RETRY_MAX_NS;
	if (slk_random(&random, sizeof(random)) != SLK_OK)
		return wait;
	return wait / 2 + (wait / 2) * (uint64_t)random / UINT32_MAX;
}

void
dlv_leg_reset(struct dlv_leg *leg)
{
	leg->batch = NULL;
	leg->gives_up = false;
	leg->attempts = 0;
	leg->first_ns = 0;
}

void
dlv_flow_step(struct dlv_flow *f, enum dlv_batch_event event)
{
	struct dlv_batch *b = &f->under->main;

	if (dlv_batch_step(b, event) != SLK_OK)
		slk_error_log("a batch refuses an event: this is an error of the program",
			slk_kv("delivery_stream", f->env.name),
			slk_kv("state", dlv_batch_state_name(b->state)),
			slk_kv("event", (int)event));
	dlv_view_batch(f);
}

static void
maybe_end(struct dlv_flow *f)
{
	enum dlv_batch_state state = f->under->main.state;

	if ((state == DLV_DONE || state == DLV_BACKED_UP) && f->copy.batch == NULL &&
		f->errors.batch == NULL)
		dlv_flow_want(f, DLV_COMMIT_END);
}

/* --- legs --- */

static void leg_done(void *arg, const struct dlv_result *result);

void
dlv_leg_send(struct dlv_leg *leg)
{
	leg->in_flight = true;
	leg->attempts++;
	leg->batch->attempts = leg->attempts;
	if (leg->first_ns == 0)
		leg->first_ns = slk_mono_ns(leg->flow->env.clock);
	dlv_view_batch(leg->flow);
	if (leg->gives_up)
		leg->ops->give_up(leg->dest, leg->batch, leg_done, leg);
	else
		leg->ops->deliver(leg->dest, leg->batch, leg_done, leg);
}

static void
leg_again(void *arg)
{
	struct dlv_leg *leg = arg;
	struct dlv_flow *f = leg->flow;

	leg->waits = false;
	if (leg == &f->main && !leg->gives_up)
		dlv_flow_step(f, DLV_EVENT_WAITED);
	pthread_mutex_lock(&f->lock);
	f->view.retries++;
	pthread_mutex_unlock(&f->lock);
	dlv_leg_send(leg);
}

static void
retry_leg(struct dlv_leg *leg, const struct dlv_result *result)
{
	struct dlv_flow *f = leg->flow;
	bool refused = result->outcome != DLV_FAILED;
	uint64_t wait = dlv_flow_backoff_ns(refused ? DLV_REFUSED_NS : RETRY_NS, leg->attempts);
	uint64_t asked =
		result->retry_after_ns < ASKED_MAX_NS ? result->retry_after_ns : ASKED_MAX_NS;

	if (f->stopping)
		return;
	leg->waits = true;
	dlv_timer_set(f->loop, &leg->timer,
		slk_mono_ns(f->env.clock) + (wait > asked ? wait : asked), leg_again, leg);
	/* What was gathered behind it goes back to the journal: whoever is stuck holds one batch. */
	if (leg->attempts > DLV_STUCK_ATTEMPTS && !f->gathering && f->filling->main.count > 0 &&
		!f->filling->spent) {
		f->drop_filling = true;
		f->seek = DLV_SEEK_BEHIND;
		dlv_flow_stop_fill(f);
		dlv_timer_stop(f->loop, &f->gather_timer);
		f->gather_waits = false;
	}
	dlv_view_error(f, leg, refused ? "paused" : "retrying",
		result->code[0] != '\0' ? result->code : "Destination.Failed",
		result->error.text[0] != '\0' ? result->error.text
					      : slk_status_sentence(result->error.status));
	dlv_view_batch(f);
}

/* --- what failed --- */

static bool
keep_failed(struct dlv_flow *f, const struct dlv_result *result)
{
	if (result->failed_count > f->failed_cap) {
		struct dlv_failed *bigger =
			realloc(f->failed, result->failed_count * sizeof(*bigger));
		if (bigger == NULL)
			return false;
		f->failed = bigger;
		f->failed_cap = result->failed_count;
	}
	for (size_t i = 0; i < result->failed_count; i++) {
		if (result->failed[i].index >= f->under->main.count)
			return false;
		f->failed[i] = result->failed[i];
	}
	f->failed_count = result->failed_count;
	return true;
}

/* Their records are in the error output, each with its reason; the error log has how many, and the first one's. */
static void
note_failed(struct dlv_flow *f)
{
	char text[256];

	if (f->failed_count == 0)
		return;
	snprintf(text, sizeof(text),
		"%zu of %zu records were refused, and go to the error output; the first: %s",
		f->failed_count, f->under->main.count, f->failed[0].message);
	dlv_view_note(f, &f->main, f->failed[0].code, text);
}

static void
back_up(struct dlv_flow *f, const struct dlv_result *result, bool whole)
{
	f->fails_whole = whole;
	f->whole = *result;
	f->whole.failed = NULL; /* it was borrowed */
	if (f->whole.code[0] == '\0')
		memcpy(f->whole.code, "Destination.Failed", 19);
	f->failed_ns = slk_wall_ns(f->env.clock);
	f->ended.backed_up = whole;
	f->ended.failed = whole ? 0 : f->failed_count;
	f->main.batch = NULL;
	dlv_flow_want(f, DLV_COMMIT_ERRORS);
}

/* All that is to be kept of it is kept. */
static void
backed_up(struct dlv_flow *f)
{
	f->main.batch = NULL;
	dlv_flow_step(f, DLV_EVENT_BACKED_UP);
	maybe_end(f);
}

static void
give_up_main(struct dlv_flow *f)
{
	if (f->main.ops->give_up == NULL || !f->fails_whole) {
		backed_up(f);
		return;
	}
	f->main.batch = &f->under->main;
	f->main.gives_up = true;
	dlv_leg_send(&f->main);
}

static bool
retry_is_over(const struct dlv_flow *f)
{
	bool may = f->errors.ops != NULL || f->main.ops->give_up != NULL;

	return may &&
		slk_mono_ns(f->env.clock) - f->main.first_ns >=
		f->env.spec->retry_seconds * SLK_NS_PER_S;
}

static void
main_failed(struct dlv_flow *f, const struct dlv_result *result)
{
	struct dlv_result refused = *result;

	if (!f->main.gives_up)
		dlv_flow_step(f, DLV_EVENT_FAILED);
	if (f->main.gives_up) {
		retry_leg(&f->main, result);
		return;
	}
	if (result->outcome == DLV_DELIVERED_REST && f->errors.ops != NULL &&
		keep_failed(f, result)) {
		note_failed(f);
		back_up(f, result, false);
		return;
	}
	if (result->outcome == DLV_DELIVERED_REST) {
		refused.outcome = DLV_REFUSED;
		(void)slk_fail(&refused.error, SLK_INVALID,
			"%zu records were refused, and there is no error output to take them",
			result->failed_count);
		retry_leg(&f->main, &refused);
		return;
	}
	if (result->outcome != DLV_FAILED || !retry_is_over(f)) {
		retry_leg(&f->main, result);
		return;
	}
	dlv_view_error(f, &f->main, "retrying", result->code, result->error.text);
	f->fails_whole = true;
	if (f->errors.ops != NULL) {
		/* A destination that took some of it names what is missing. */
		bool some = result->failed_count > 0 && keep_failed(f, result);
		back_up(f, result, !some);
		return;
	}
	f->ended.backed_up = true;
	give_up_main(f);
}

static void
leg_done(void *arg, const struct dlv_result *result)
{
	struct dlv_leg *leg = arg;
	struct dlv_flow *f = leg->flow;

	leg->in_flight = false;
	if (leg == &f->main && !leg->gives_up)
		dlv_view_attempt(f, result);
	if (result->outcome != DLV_DELIVERED) {
		if (leg == &f->main)
			main_failed(f, result);
		else
			retry_leg(leg, result);
		dlv_flow_schedule(f);
		return;
	}
	dlv_view_ok(f);
	leg->batch = NULL;
	if (leg == &f->errors)
		give_up_main(f);
	else if (leg == &f->main && leg->gives_up)
		backed_up(f);
	else if (leg == &f->main)
		dlv_flow_step(f, DLV_EVENT_DELIVERED);
	maybe_end(f);
	dlv_flow_schedule(f);
}
