#include "flow_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define POLL_NS (50 * SLK_NS_PER_MS) /* of the tip of the journal */
#define POLL_MAX_NS (250 * SLK_NS_PER_MS)
#define MEMORY_NS (200 * SLK_NS_PER_MS)
#define MEMORY_TRIES 25u
#define RETRY_NS (1 * SLK_NS_PER_S)

/* --- waiting --- */

static uint64_t
mono(const struct dlv_flow *f)
{
	return slk_mono_ns(f->env.clock);
}

/* --- the commit task --- */

static void commit_done(void *arg);

static void
commit_work(void *arg)
{
	struct dlv_flow *f = arg;

	dlv_flow_commit(f);
	f->commit_task.fn = commit_done;
	dlv_loop_post(f->loop, &f->commit_task);
}

void
dlv_flow_want(struct dlv_flow *f, enum dlv_commit what)
{
	f->commit = what;
	f->commit_wanted = true;
}

static bool
is_closed(const struct dlv_flow *f)
{
	const struct dlv_set *set = f->filling;

	return !set->spent && (set->full || (f->fill_over && set->main.count > 0 && !set->replays));
}

/* A batch is closed already behind the one that ends: the end and its plan are one write. */
static bool
next_waits(const struct dlv_flow *f)
{
	return !f->stopping && !f->gathering && !f->reseek && !f->drop_filling &&
		f->filling->main.count > 0 && is_closed(f);
}

static void
try_commit(struct dlv_flow *f)
{
	if (!f->commit_wanted || f->committing || f->commit_waits ||
		(f->gathering && f->gather_seeks))
		return;
	if (!f->commit_passed)
		f->commit_next = f->commit == DLV_COMMIT_END && next_waits(f);
	f->commit_wanted = false;
	f->committing = true;
	f->commit_task = (struct dlv_task){.fn = commit_work, .arg = f};
	dlv_loop_work(f->loop, &f->commit_task);
}

static void
commit_again(void *arg)
{
	struct dlv_flow *f = arg;

	f->commit_waits = false;
	dlv_flow_schedule(f);
}

static void
commit_later(struct dlv_flow *f, uint64_t wait_ns)
{
	f->commit_wanted = f->commit_waits = true;
	dlv_timer_set(f->loop, &f->commit_timer, mono(f) + wait_ns, commit_again, f);
}

/* --- the gather task --- */

static void gather_done(void *arg);

static void
gather_work(void *arg)
{
	struct dlv_flow *f = arg;

	dlv_flow_gather(f);
	f->gather_task.fn = gather_done;
	dlv_loop_post(f->loop, &f->gather_task);
}

/* A batch fails again and again: what is behind it waits in the journal. */
static bool
is_stuck(const struct dlv_flow *f)
{
	const struct dlv_leg *legs[] = {&f->main, &f->copy, &f->errors};

	for (size_t i = 0; i < 3 && f->under != NULL; i++) {
		if (legs[i]->batch != NULL &&
			legs[i]->attempts + legs[i]->waits > DLV_STUCK_ATTEMPTS)
			return true;
	}
	return false;
}

static bool
may_gather(const struct dlv_flow *f)
{
	bool empties = f->reseek || f->drop_filling;

	if (f->gathering || f->gather_waits)
		return false;
	if ((empties || f->seek != DLV_SEEK_NONE) && f->committing)
		return false;
	if (empties || f->filling->spent)
		return true;
	return !is_closed(f) && !is_stuck(f);
}

static void
start_gather(struct dlv_flow *f)
{
	f->gathering = true;
	f->gather_nothing = is_stuck(f);
	f->gather_empties = f->reseek || f->drop_filling;
	f->gather_empties_all = f->reseek;
	f->reseek = f->drop_filling = false;
	f->gather_seek = f->gather_nothing ? DLV_SEEK_NONE : f->seek;
	f->gather_seeks = f->gather_seek != DLV_SEEK_NONE;
	if (f->gather_seeks)
		f->seek = DLV_SEEK_NONE;
	f->gather_number = f->under != NULL ? f->under_number + 1 : f->ended_number + 1;
	f->gather_replays = f->under == NULL && f->planned;
	f->gather_task = (struct dlv_task){.fn = gather_work, .arg = f};
	dlv_loop_work(f->loop, &f->gather_task);
}

static void
gather_again(void *arg)
{
	struct dlv_flow *f = arg;

	f->gather_waits = false;
	dlv_flow_schedule(f);
}

static void
gather_later(struct dlv_flow *f, uint64_t wait_ns)
{
	f->gather_waits = true;
	dlv_timer_set(f->loop, &f->gather_timer, mono(f) + wait_ns, gather_again, f);
}

static void
fill_over(void *arg)
{
	struct dlv_flow *f = arg;

	f->fill_over = true;
	dlv_flow_schedule(f);
}

void
dlv_flow_stop_fill(struct dlv_flow *f)
{
	dlv_timer_stop(f->loop, &f->fill_timer);
	f->fill_is_set = f->fill_over = false;
}

static void
start_fill_timer(struct dlv_flow *f)
{
	uint32_t seconds = dlv_spec_buffering(f->env.spec)->seconds;

	if (f->fill_is_set || f->filling->main.count == 0)
		return;
	f->fill_is_set = true;
	if (seconds == 0)
		f->fill_over = true;
	else
		dlv_timer_set(
			f->loop, &f->fill_timer, mono(f) + seconds * SLK_NS_PER_S, fill_over, f);
}

static void
gather_failed(struct dlv_flow *f)
{
	char code[DLV_CODE_MAX];

	f->gather_failures++;
	dlv_view_code(f->gather_status, "Journal", code);
	dlv_view_error(f, NULL, "paused", code, f->gather_error.text);
	gather_later(f,
		dlv_flow_backoff_ns(
			DLV_REFUSED_NS, f->gather_failures > 2 ? 2 : 1)); /* 5 to 20 seconds */
}

/* Deliver what there is; without anything, or with a batch under way, wait for others' memory. */
static void
gather_without_memory(struct dlv_flow *f)
{
	struct dlv_set *set = f->filling;

	if (set->main.count > 0 && set->main_took == 0 && f->under == NULL && !set->replays) {
		set->full = true;
		return;
	}
	/* Others give theirs back soon, or something is set too low. */
	if (++f->gather_failures == MEMORY_TRIES)
		dlv_view_error(f, NULL, "paused",
			f->gather_status == SLK_LIMIT ? "Memory.LimitExceeded" : "Memory.NoMemory",
			f->gather_error.text);
	gather_later(f, MEMORY_NS);
}

/* What the task found. */
static void
gathered(struct dlv_flow *f)
{
	if (f->gather_seek != DLV_SEEK_NONE)
		f->seek = f->gather_seek; /* it could not go there */
	if (f->gathered == DLV_GATHERED_ERROR) {
		gather_failed(f);
	} else if (f->gathered == DLV_GATHERED_NO_MEMORY) {
		gather_without_memory(f);
	} else if (f->gather_failures > 0) {
		f->gather_failures = 0;
		dlv_view_ok(f);
	}
	if (f->gathered != DLV_GATHERED_TIP) {
		f->poll_ns = POLL_NS;
	} else {
		gather_later(f, f->poll_ns);
		f->poll_ns = 2 * f->poll_ns < POLL_MAX_NS ? 2 * f->poll_ns : POLL_MAX_NS;
	}
	start_fill_timer(f);
}

static void
gather_done(void *arg)
{
	struct dlv_flow *f = arg;

	f->gathering = f->gather_seeks = false;
	if (!f->reseek && !f->gather_nothing && !f->stopping)
		gathered(f);
	dlv_view_sets(f);
	dlv_flow_schedule(f);
}

/* --- a batch under way --- */

/* Its records were all lost: nothing is sent, only the places move. */
static bool
is_void(const struct dlv_flow *f)
{
	return f->under->main.count == 0;
}

static void
take_batch(struct dlv_flow *f)
{
	f->under = f->filling;
	f->under_number = f->ended_number + 1;
	f->filling = f->under == &f->sets[0] ? &f->sets[1] : &f->sets[0];
	dlv_flow_stop_fill(f);
	dlv_leg_reset(&f->main);
	dlv_leg_reset(&f->copy);
	dlv_leg_reset(&f->errors);
	f->ended = (struct dlv_ended){
		.records = f->under->main.count, .bytes = f->under->main.raw_bytes};
	f->failed_count = 0;
	f->fails_whole = false;
	if (f->under->replays)
		f->seek = DLV_SEEK_BEHIND;
	dlv_flow_want(f, is_void(f) ? DLV_COMMIT_END : DLV_COMMIT_PLAN);
	dlv_view_batch(f);
}

/* --- what a commit brought --- */

static void
loaded(struct dlv_flow *f)
{
	f->loaded = true;
	f->ended_number = f->cp.number;
	f->planned = f->cp.planned_ns != 0;
	f->seek = f->planned ? DLV_SEEK_PLAN : DLV_SEEK_BEHIND;
	pthread_mutex_lock(&f->lock);
	f->tip_ns = f->cp.reached_ns != 0 ? f->cp.reached_ns : slk_wall_ns(f->env.clock);
	pthread_mutex_unlock(&f->lock);
	dlv_view_ok(f);
	dlv_view_batch(f);
}

static void
planned(struct dlv_flow *f)
{
	f->planned = true;
	if (f->stopping)
		return;
	dlv_flow_step(f, DLV_EVENT_CLOSED);
	f->main.batch = &f->under->main;
	if (f->copy.ops != NULL)
		f->copy.batch = &f->under->copy;
	dlv_leg_send(&f->main);
	if (f->copy.batch != NULL)
		dlv_leg_send(&f->copy);
}

static void
ended(struct dlv_flow *f)
{
	f->planned = false;
	f->ended_number++;
	f->under = NULL;
	dlv_view_ended(f, &f->ended);
	dlv_view_sets(f);
	dlv_view_batch(f);
}

/* The plan is on the disk, its batch cannot be made now: all is gathered again, later. */
static void
gather_anew(struct dlv_flow *f)
{
	f->planned = true;
	f->under = NULL;
	f->reseek = true;
	f->seek = DLV_SEEK_PLAN;
	dlv_flow_stop_fill(f);
	gather_later(f, dlv_flow_backoff_ns(DLV_REFUSED_NS, 1));
}

static void
commit_failed(struct dlv_flow *f)
{
	bool memory = f->commit_status == SLK_LIMIT || f->commit_status == SLK_NO_MEMORY;
	char code[DLV_CODE_MAX];

	f->commit_failures++;
	if (f->stopping)
		return;
	if (memory && f->commit_failures < MEMORY_TRIES) {
		commit_later(f, MEMORY_NS);
		return;
	}
	dlv_view_code(f->commit_status,
		f->commit == DLV_COMMIT_ERRORS || f->commit_seal_failed ? "Destination"
									: "Checkpoint",
		code);
	dlv_view_error(f, NULL, "paused", code, f->commit_error.text);
	if (f->commit == DLV_COMMIT_PLAN && f->commit_seal_failed)
		gather_anew(f);
	else
		commit_later(f,
			dlv_flow_backoff_ns(
				f->commit == DLV_COMMIT_ERRORS ? DLV_REFUSED_NS : RETRY_NS,
				f->commit_failures));
}

/* The end is on the disk, and with it the plan of the batch behind: what is left is that plan's. */
static void
go_on_to_next(struct dlv_flow *f)
{
	f->commit_next = f->commit_next_stored = false;
	ended(f);
	take_batch(f);
	f->commit = DLV_COMMIT_PLAN;
	f->commit_wanted = false;
}

static void
commit_done(void *arg)
{
	struct dlv_flow *f = arg;

	f->committing = false;
	if (f->commit_next_stored)
		go_on_to_next(f);
	if (f->commit_status != SLK_OK) {
		commit_failed(f);
		dlv_flow_schedule(f);
		return;
	}
	if (f->commit_failures > 0)
		dlv_view_ok(f);
	f->commit_failures = 0;
	switch (f->commit) {
	case DLV_COMMIT_LOAD:
		loaded(f);
		break;
	case DLV_COMMIT_PLAN:
		planned(f);
		break;
	case DLV_COMMIT_ERRORS:
		dlv_leg_reset(&f->errors);
		f->errors.batch = &f->error_batch;
		if (!f->stopping)
			dlv_leg_send(&f->errors);
		break;
	case DLV_COMMIT_END:
		ended(f);
		break;
	case DLV_COMMIT_CLOSE:
		f->closed = true;
		break;
	}
	dlv_flow_schedule(f);
}

/* --- stopping --- */

static void
cancel_leg(struct dlv_leg *leg)
{
	if (leg->in_flight)
		leg->ops->cancel(leg->dest, leg->batch);
	leg->in_flight = false;
}

static void
stop_timers(struct dlv_flow *f)
{
	struct dlv_leg *legs[] = {&f->main, &f->copy, &f->errors};

	dlv_flow_stop_fill(f);
	dlv_timer_stop(f->loop, &f->gather_timer);
	dlv_timer_stop(f->loop, &f->commit_timer);
	f->commit_waits = false;
	for (size_t i = 0; i < 3; i++) {
		dlv_timer_stop(f->loop, &legs[i]->timer);
		legs[i]->waits = false;
	}
}

static void
drain_over(void *arg)
{
	struct dlv_flow *f = arg;

	f->drained = true;
	dlv_flow_schedule(f);
}

/* What is in flight may end; what is under way and ended is noted down; then all is given back. */
static void
wind_down(struct dlv_flow *f)
{
	bool in_flight = f->main.in_flight || f->copy.in_flight || f->errors.in_flight;

	if (f->closed) {
		void (*stopped)(void *arg) = f->stopped;
		f->stopped = NULL;
		if (stopped != NULL)
			stopped(f->stopped_arg);
		return;
	}
	if (f->gathering || f->committing || (in_flight && !f->drained))
		return;
	dlv_timer_stop(f->loop, &f->drain_timer);
	cancel_leg(&f->main);
	cancel_leg(&f->copy);
	cancel_leg(&f->errors);
	if (!(f->commit_wanted && f->commit == DLV_COMMIT_END && f->commit_failures == 0))
		dlv_flow_want(f, DLV_COMMIT_CLOSE);
	try_commit(f);
}

/* --- what comes next --- */

void
dlv_flow_schedule(struct dlv_flow *f)
{
	if (!f->started)
		return;
	if (f->stopping) {
		wind_down(f);
		return;
	}
	if (!f->loaded && !f->commit_wanted && !f->committing)
		dlv_flow_want(f, DLV_COMMIT_LOAD);
	if (f->loaded && f->under == NULL && !f->gathering && !f->reseek && !f->drop_filling &&
		!f->committing && is_closed(f))
		take_batch(f);
	try_commit(f);
	if (f->loaded && may_gather(f))
		start_gather(f);
}

/* --- life --- */

static int
open_leg(struct dlv_flow *f, struct dlv_leg *leg, const struct dlv_destination_ops *ops,
	const struct dlv_env *env, struct slk_error *err)
{
	leg->flow = f;
	if (ops == NULL)
		return SLK_OK;
	int rc = ops->open(env, &leg->dest, err);
	if (rc == SLK_OK)
		leg->ops = ops;
	return rc;
}

static int
open_errlog(struct dlv_flow *f, struct slk_error *err)
{
	const struct dlv_spec *spec = f->env.spec;
	const struct dlv_errlog_config config = {.fs = f->config.fs,
		.state_dir = f->config.state_dir,
		.name = f->env.name,
		.arn = f->env.arn,
		.delivery_id = f->config.delivery_id,
		.loop = f->loop};

	if (!spec->logging.enabled && !spec->s3.logging.enabled &&
		!spec->source_backup.logging.enabled)
		return SLK_OK;
	return dlv_errlog_new(&config, &f->errlog, err);
}

static int
open_legs(struct dlv_flow *f, struct slk_error *err)
{
	const struct dlv_flow_config *c = &f->config;
	const struct dlv_spec *spec = f->env.spec;
	bool copies = spec->has_source_backup || spec->backup == DLV_BACKUP_ALL;

	f->env.s3 = &spec->s3;
	f->copy_env = f->errors_env = f->env;
	if (spec->has_source_backup)
		f->copy_env.s3 = &spec->source_backup;
	f->copy_env.role = c->copy_role;
	f->errors_env.role = c->errors_role;
	f->errors_env.error_type = c->ops->error_type;
	int rc = open_leg(f, &f->main, c->ops, &f->env, err);
	if (rc == SLK_OK)
		rc = open_leg(f, &f->copy, copies ? c->backup_ops : NULL, &f->copy_env, err);
	if (rc == SLK_OK)
		rc = open_leg(f, &f->errors, c->ops->error_type != NULL ? c->backup_ops : NULL,
			&f->errors_env, err);
	return rc;
}

int
dlv_flow_new(
	const struct dlv_flow_config *config, struct dlv_flow **out_flow, struct slk_error *err)
{
	struct dlv_flow *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a delivery stream");
	pthread_mutex_init(&f->lock, NULL);
	f->config = *config;
	f->env = config->env;
	f->loop = config->env.loop;
	f->poll_ns = POLL_NS;
	f->filling = &f->sets[0];
	f->file = (struct dlv_checkpoint_file){config->fs, config->state_dir, config->env.name,
		config->delivery_id, config->stream_id};
	for (size_t i = 0; i < 2; i++) {
		dlv_batch_init(&f->sets[i].main, f->env.pool);
		dlv_batch_init(&f->sets[i].copy, f->env.pool);
	}
	dlv_batch_init(&f->error_batch, f->env.pool);
	f->view.destination = config->ops->name;
	f->view.state = "starting";
	f->view.batch_state = dlv_batch_state_name(DLV_FILLING);
	f->view.version = config->env.version;
	int rc = open_legs(f, err);
	if (rc == SLK_OK)
		rc = open_errlog(f, err);
	if (rc != SLK_OK) {
		dlv_flow_free(f);
		return rc;
	}
	f->feed = config->feed;
	*out_flow = f;
	return SLK_OK;
}

void
dlv_flow_start(struct dlv_flow *f)
{
	f->started = true;
	dlv_flow_schedule(f);
}

void
dlv_flow_stop(struct dlv_flow *f, uint64_t drain_ns, void (*stopped)(void *arg), void *arg)
{
	f->stopped = stopped;
	f->stopped_arg = arg;
	f->stopping = f->started = true;
	pthread_mutex_lock(&f->lock);
	f->view.state = "stopping";
	pthread_mutex_unlock(&f->lock);
	stop_timers(f);
	f->drained = drain_ns == 0;
	if (drain_ns != 0)
		dlv_timer_set(f->loop, &f->drain_timer, mono(f) + drain_ns, drain_over, f);
	dlv_flow_schedule(f);
}

static void
close_leg(struct dlv_leg *leg)
{
	if (leg->ops != NULL)
		leg->ops->close(leg->dest);
}

void
dlv_flow_free(struct dlv_flow *f)
{
	if (f == NULL)
		return;
	close_leg(&f->errors);
	close_leg(&f->copy);
	close_leg(&f->main);
	for (size_t i = 0; i < 2; i++) {
		dlv_batch_fini(&f->sets[i].main);
		dlv_batch_fini(&f->sets[i].copy);
		dlv_checkpoint_fini(&f->sets[i].ends);
	}
	dlv_batch_fini(&f->error_batch);
	dlv_checkpoint_fini(&f->cp);
	dlv_errlog_free(f->errlog);
	dlv_feed_free(f->feed);
	free(f->failed);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

int
dlv_flow_forget(struct dlv_flow *f, struct slk_error *err)
{
	int rc = dlv_errlog_remove(
		f->config.fs, f->config.state_dir, f->env.name, f->config.delivery_id, err);

	return rc == SLK_OK ? dlv_checkpoint_remove(&f->file, err) : rc;
}
