#include "s3_target.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "loop.h"

struct dlv_s3_target {
	struct dlv_loop *loop;
	struct dlv_s3_remote *remote; /* one of the two */
	struct dlv_dir *dir;
};

/*     QUEUED ──► WRITING ──► WRITTEN ──► (told)
 *        │ cancel   │ cancel: waits     │ cancel
 *        ▼          ▼                   ▼
 *     FORGOTTEN: whoever comes next, the thread or the task in the loop, gives it back
 */
enum job_state { QUEUED, WRITING, WRITTEN, FORGOTTEN };

struct job {
	struct dlv_s3_target *target;
	struct dlv_task work, back;
	struct dlv_s3_object object;
	struct slk_span sidecar;
	struct dlv_result result;
	struct dlv_s3_call *call;
	pthread_mutex_t lock; /* of state */
	pthread_cond_t written;
	enum job_state state;
};

struct dlv_s3_call {
	dlv_done done;
	void *arg;
	struct dlv_s3_put *put; /* one of the two */
	struct job *job;
};

/* --- the target --- */

int
dlv_s3_target_open(const struct dlv_store *store, const char *bucket, struct dlv_loop *loop,
	const struct slk_clock *clock, const struct dlv_dir_sys *sys,
	struct dlv_s3_target **out_target, struct slk_error *err)
{
	struct dlv_s3_target *target = calloc(1, sizeof(*target));

	if (target == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a store");
	target->loop = loop;
	/* The directory of a pattern has one for each bucket. */
	const char *below = strchr(store->bucket, '*') != NULL ? bucket : NULL;
	int rc = store->dir != NULL
		? dlv_dir_open(store->dir, below, sys, &target->dir, err)
		: dlv_s3_remote_open(store, bucket, loop, clock, &target->remote, err);
	if (rc != SLK_OK) {
		free(target);
		return rc;
	}
	*out_target = target;
	return SLK_OK;
}

void
dlv_s3_target_close(struct dlv_s3_target *target)
{
	if (target == NULL)
		return;
	dlv_dir_close(target->dir);
	dlv_s3_remote_close(target->remote);
	free(target);
}

/* --- a directory's job --- */

static void
job_free(struct job *job)
{
	pthread_cond_destroy(&job->written);
	pthread_mutex_destroy(&job->lock);
	free(job);
}

/* In the loop: the thread is done with it. */
static void
job_told(void *arg)
{
	struct job *job = arg;
	struct dlv_s3_call *call = job->call;
	struct dlv_result result = job->result;
	bool forgotten = job->state == FORGOTTEN;

	job_free(job);
	if (forgotten)
		return;
	dlv_done done = call->done;
	void *done_arg = call->arg;
	free(call);
	done(done_arg, &result);
}

static bool
job_take(struct job *job)
{
	pthread_mutex_lock(&job->lock);
	bool mine = job->state == QUEUED;
	if (mine)
		job->state = WRITING;
	pthread_mutex_unlock(&job->lock);
	return mine;
}

/* In a thread of the pool. */
static void
job_run(void *arg)
{
	struct job *job = arg;
	struct dlv_loop *loop = job->target->loop;

	if (!job_take(job)) {
		job_free(job);
		return;
	}
	dlv_dir_put(
		job->target->dir, job->object.key, job->object.body, job->sidecar, &job->result);
	pthread_mutex_lock(&job->lock);
	job->state = WRITTEN;
	pthread_cond_signal(&job->written);
	pthread_mutex_unlock(&job->lock);
	dlv_loop_post(loop, &job->back);
}

static int
job_new(struct dlv_s3_target *target, const struct dlv_s3_object *object, struct slk_span sidecar,
	struct dlv_s3_call *call)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return SLK_NO_MEMORY;
	job->target = target;
	job->object = *object;
	job->sidecar = sidecar;
	job->call = call;
	job->work = (struct dlv_task){.fn = job_run, .arg = job};
	job->back = (struct dlv_task){.fn = job_told, .arg = job};
	pthread_mutex_init(&job->lock, NULL);
	pthread_cond_init(&job->written, NULL);
	call->job = job;
	dlv_loop_work(target->loop, &job->work);
	return SLK_OK;
}

static void
job_forget(struct job *job)
{
	pthread_mutex_lock(&job->lock);
	while (job->state == WRITING)
		pthread_cond_wait(&job->written, &job->lock);
	job->state = FORGOTTEN;
	pthread_mutex_unlock(&job->lock);
}

/* --- a put --- */

static void
remote_done(void *arg, const struct dlv_result *result)
{
	struct dlv_s3_call *call = arg;
	dlv_done done = call->done;
	void *done_arg = call->arg;

	free(call);
	done(done_arg, result);
}

int
dlv_s3_target_put(struct dlv_s3_target *target, const struct dlv_s3_object *object,
	struct slk_span sidecar, dlv_done done, void *arg, struct dlv_s3_call **out_call)
{
	struct dlv_s3_call *call = calloc(1, sizeof(*call));

	if (call == NULL)
		return SLK_NO_MEMORY;
	call->done = done;
	call->arg = arg;
	int rc = target->dir != NULL
		? job_new(target, object, sidecar, call)
		: dlv_s3_remote_put(target->remote, object, remote_done, call, &call->put);
	if (rc != SLK_OK) {
		free(call);
		return rc;
	}
	*out_call = call;
	return SLK_OK;
}

void
dlv_s3_target_cancel(struct dlv_s3_call *call)
{
	if (call->job != NULL)
		job_forget(call->job);
	else
		dlv_s3_remote_cancel(call->put);
	free(call);
}
