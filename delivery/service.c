#include "service.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "catalog.h"
#include "service_job.h"

#define LOOK_NS (500 * SLK_NS_PER_MS)
#define AGAIN_NS (5 * SLK_NS_PER_S)

struct dlv_service {
	struct dlv_service_config config;
	struct dlv_catalog catalog;
	struct dlv_look look;
	struct dlv_known *known;
	struct dlv_task look_task;
	bool looking;
	struct dlv_timer look_timer;
	uint64_t
		again_ns; /* when those that could not begin are asked for again; 0: there are none */
	struct dlv_report *reports, **reports_tail;

	bool stopping;
	void (*stopped)(void *arg);
	void *stopped_arg;

	pthread_mutex_t lock; /* of what follows */
	struct dlv_job **jobs;
	size_t count, cap;
	int kms_status;
	struct slk_error kms_error;
};

static void look_soon(struct dlv_service *s);

/* --- reports --- */

static void
report(struct dlv_service *s, const struct kmsc_delivery_stream *stream,
	enum kmsc_delivery_state state, const char *type, const char *details)
{
	struct dlv_report *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		s->catalog.has_changes = false; /* the list again: what is to be told shows again */
		return;
	}
	memcpy(r->name, stream->name, sizeof(r->name));
	r->id = stream->id;
	r->version = stream->version;
	r->stream_id = stream->stream_id;
	r->state = state;
	r->forgets = state == KMSC_DELIVERY_DELETING;
	snprintf(r->failure_type, sizeof(r->failure_type), "%s", type);
	snprintf(r->failure_details, sizeof(r->failure_details), "%s", details);
	*s->reports_tail = r;
	s->reports_tail = &r->next;
	look_soon(s);
}

/* As Firehose calls it. */
static const char *
failure_type(int status)
{
	switch (status) {
	case SLK_DENIED:
		return "KMS_ACCESS_DENIED";
	case SLK_DISABLED:
		return "DISABLED_KMS_KEY";
	case SLK_INVALID_STATE:
		return "INVALID_KMS_KEY";
	case SLK_NOT_FOUND:
		return "KMS_KEY_NOT_FOUND";
	default:
		return "UNKNOWN_ERROR";
	}
}

static void
begin_flow(struct dlv_job *job)
{
	struct slk_error err = {0};
	struct dlv_service *s = job->service;

	pthread_mutex_lock(&s->lock);
	int rc = dlv_job_open(job, &err);
	if (rc != SLK_OK)
		dlv_job_close(job);
	bool told = rc != SLK_OK && strcmp(job->trouble, err.text) == 0;
	snprintf(job->trouble, sizeof(job->trouble), "%s", rc != SLK_OK ? err.text : "");
	/* Nothing is wrong with it; or it did deliver before, and its directory, say, comes back. It is asked for again. */
	bool again = slk_status_class(rc) == SLK_CLASS_RETRY;
	bool later = !again && rc != SLK_OK && job->stream.state == KMSC_DELIVERY_ACTIVE;
	if (again || later)
		job->stream.version = 0;
	if (again)
		s->catalog.has_changes = false;
	else if (later && s->again_ns == 0)
		s->again_ns = slk_mono_ns(s->config.clock) + AGAIN_NS;
	bool creating = job->stream.state == KMSC_DELIVERY_CREATING && !again;
	if (creating)
		job->stream.state =
			rc == SLK_OK ? KMSC_DELIVERY_ACTIVE : KMSC_DELIVERY_CREATING_FAILED;
	pthread_mutex_unlock(&s->lock);
	if (rc != SLK_OK && !told)
		slk_error_log("a delivery stream cannot begin",
			slk_kv("delivery_stream", (const char *)job->stream.name),
			slk_kv("reason", (const char *)err.text));
	if (rc == SLK_OK)
		slk_info("a delivery stream begins",
			slk_kv("delivery_stream", (const char *)job->stream.name),
			slk_kv("version", job->stream.version));
	if (creating)
		report(s, &job->stream, job->stream.state, rc != SLK_OK ? failure_type(rc) : "",
			rc != SLK_OK ? err.text : "");
	if (rc == SLK_OK)
		dlv_flow_start(job->flow);
}

/* --- jobs --- */

static struct dlv_job *
find_job(const struct dlv_service *s, uint64_t id)
{
	for (size_t i = 0; i < s->count; i++) {
		if (s->jobs[i]->stream.id == id)
			return s->jobs[i];
	}
	return NULL;
}

static void
free_job(struct dlv_job *job)
{
	dlv_job_close(job);
	kmsc_delivery_stream_fini(&job->stream);
	kmsc_delivery_stream_fini(&job->next);
	free(job);
}

static void
remove_job(struct dlv_job *job)
{
	struct dlv_service *s = job->service;

	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		if (s->jobs[i] != job)
			continue;
		memmove(&s->jobs[i], &s->jobs[i + 1],
			(s->count - i - 1) * sizeof(struct dlv_job *));
		s->count--;
		break;
	}
	pthread_mutex_unlock(&s->lock);
	free_job(job);
}

/* NULL: no memory; the list is read again. */
static struct dlv_job *
add_job(struct dlv_service *s, struct kmsc_delivery_stream *stream)
{
	struct dlv_job *job = calloc(1, sizeof(*job));

	pthread_mutex_lock(&s->lock);
	if (job != NULL && s->count == s->cap) {
		size_t cap = s->cap == 0 ? 16 : 2 * s->cap;
		struct dlv_job **bigger = realloc(s->jobs, cap * sizeof(struct dlv_job *));
		if (bigger == NULL) {
			free(job);
			job = NULL;
		} else {
			s->jobs = bigger;
			s->cap = cap;
		}
	}
	if (job != NULL) {
		job->service = s;
		job->config = &s->config;
		job->stream = *stream;
		stream->spec = NULL; /* the job's now */
		s->jobs[s->count++] = job;
	}
	pthread_mutex_unlock(&s->lock);
	return job;
}

static void all_stopped(struct dlv_service *s);

static void
take_next(struct dlv_job *job)
{
	struct dlv_service *s = job->service;

	pthread_mutex_lock(&s->lock);
	kmsc_delivery_stream_fini(&job->stream);
	job->stream = job->next;
	memset(&job->next, 0, sizeof(job->next));
	pthread_mutex_unlock(&s->lock);
}

/* The flow has ended, or there was none: what comes then? */
static void
after_flow(struct dlv_job *job)
{
	struct dlv_service *s = job->service;

	pthread_mutex_lock(&s->lock);
	dlv_job_close(job);
	job->stopping = false;
	pthread_mutex_unlock(&s->lock);
	if (s->stopping) {
		all_stopped(s);
		return;
	}
	if (job->stream.state == KMSC_DELIVERY_DELETING) {
		report(s, &job->stream, KMSC_DELIVERY_DELETING, "", "");
		return;
	}
	if (job->leaves) {
		remove_job(job);
		return;
	}
	if (job->next.name[0] != '\0')
		take_next(job);
	begin_flow(job);
}

static void
flow_stopped(void *arg)
{
	after_flow(arg);
}

static void
end_flow(struct dlv_job *job)
{
	const struct dlv_config *c = job->service->config.config;

	if (job->stopping)
		return;
	if (job->flow == NULL) {
		after_flow(job);
		return;
	}
	job->stopping = true;
	dlv_flow_stop(job->flow, c->times.drain_seconds * SLK_NS_PER_S, flow_stopped, job);
}

/* --- the list --- */

static void
begin_delete(struct dlv_job *job)
{
	slk_info("a delivery stream is deleted",
		slk_kv("delivery_stream", (const char *)job->stream.name));
	pthread_mutex_lock(&job->service->lock);
	job->stream.state = KMSC_DELIVERY_DELETING;
	pthread_mutex_unlock(&job->service->lock);
	end_flow(job);
}

static void
new_version(struct dlv_job *job, struct kmsc_delivery_stream *stream)
{
	kmsc_delivery_stream_fini(&job->next);
	job->next = *stream;
	stream->spec = NULL; /* the job's now */
	end_flow(job);
}

static void
meet(struct dlv_service *s, struct kmsc_delivery_stream *stream)
{
	struct dlv_job *job = find_job(s, stream->id);
	bool deletes = stream->state == KMSC_DELIVERY_DELETING;

	if (job == NULL) {
		job = add_job(s, stream);
		if (job == NULL) {
			s->catalog.has_changes = false;
			return;
		}
		job->listed = true;
		snprintf(job->trouble, sizeof(job->trouble), "%s", job->stream.failure_details);
		if (deletes)
			end_flow(job);
		else if (job->stream.state == KMSC_DELIVERY_CREATING ||
			job->stream.state == KMSC_DELIVERY_ACTIVE)
			begin_flow(job);
		return;
	}
	job->listed = true;
	if (job->stream.state == KMSC_DELIVERY_DELETING)
		return;
	if (deletes)
		begin_delete(job);
	else if (stream->version != job->stream.version && stream->spec != NULL)
		new_version(job, stream);
}

static void
apply_list(struct dlv_service *s)
{
	for (size_t i = 0; i < s->count; i++)
		s->jobs[i]->listed = false;
	for (size_t i = 0; i < s->look.count; i++)
		meet(s, &s->look.streams[i]);
	for (size_t i = s->count; i > 0; i--) {
		struct dlv_job *job = s->jobs[i - 1];
		if (job->listed || job->leaves)
			continue;
		job->leaves = true;
		if (job->stream.state == KMSC_DELIVERY_DELETING && !job->stopping)
			remove_job(job); /* kmsd has let go of it */
		else
			end_flow(job);
	}
}

static void
note_kms(struct dlv_service *s)
{
	pthread_mutex_lock(&s->lock);
	bool changed = (s->kms_status == SLK_OK) != (s->look.status == SLK_OK);
	s->kms_status = s->look.status;
	s->kms_error = s->look.err;
	pthread_mutex_unlock(&s->lock);
	if (changed && s->look.status != SLK_OK)
		slk_error_log("kmsd gives no list of delivery streams; what is known goes on",
			slk_kv("reason", (const char *)s->look.err.text));
	else if (changed)
		slk_info("kmsd answers");
}

static void look_done(void *arg);

static void
look_work(void *arg)
{
	struct dlv_service *s = arg;

	dlv_catalog_look(&s->catalog, &s->look);
	s->look_task.fn = look_done;
	dlv_loop_post(s->config.loop, &s->look_task);
}

static void
look_now(void *arg)
{
	struct dlv_service *s = arg;

	if (s->looking || s->stopping)
		return;
	if (s->again_ns != 0 && s->again_ns <= slk_mono_ns(s->config.clock)) {
		s->again_ns = 0;
		s->catalog.has_changes = false;
	}
	free(s->known);
	s->known = calloc(s->count + 1, sizeof(*s->known));
	if (s->known == NULL) {
		dlv_timer_set(s->config.loop, &s->look_timer,
			slk_mono_ns(s->config.clock) + LOOK_NS, look_now, s);
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		const struct dlv_job *job = s->jobs[i];
		s->known[i] = (struct dlv_known){job->stream.id,
			job->next.name[0] != '\0' ? job->next.version : job->stream.version};
	}
	s->look = (struct dlv_look){
		.reports = s->reports, .known = s->known, .known_count = s->count};
	s->reports = NULL;
	s->reports_tail = &s->reports;
	s->looking = true;
	s->look_task = (struct dlv_task){.fn = look_work, .arg = s};
	dlv_loop_work(s->config.loop, &s->look_task);
}

static void
look_soon(struct dlv_service *s)
{
	if (!s->looking && !s->stopping)
		dlv_timer_set(
			s->config.loop, &s->look_timer, slk_mono_ns(s->config.clock), look_now, s);
}

/* What could not be told is told first next time. */
static void
keep_reports(struct dlv_service *s)
{
	struct dlv_report **tail = &s->look.reports;

	while (*tail != NULL)
		tail = &(*tail)->next;
	*tail = s->reports;
	if (s->reports == NULL)
		s->reports_tail = tail == &s->look.reports ? &s->reports : tail;
	s->reports = s->look.reports;
	s->look.reports = NULL;
}

static void
look_done(void *arg)
{
	struct dlv_service *s = arg;

	s->looking = false;
	note_kms(s);
	keep_reports(s);
	bool told = s->reports == NULL;
	if (s->look.listed && !s->stopping)
		apply_list(s);
	dlv_look_fini(&s->look);
	if (s->stopping) {
		all_stopped(s);
		return;
	}
	uint64_t wait = told && s->reports != NULL ? 0 : LOOK_NS;
	dlv_timer_set(
		s->config.loop, &s->look_timer, slk_mono_ns(s->config.clock) + wait, look_now, s);
}

/* --- life --- */

int
dlv_service_new(const struct dlv_service_config *config, struct dlv_service **out_service,
	struct slk_error *err)
{
	struct dlv_service *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for the delivery streams");
	pthread_mutex_init(&s->lock, NULL);
	s->config = *config;
	s->reports_tail = &s->reports;
	s->catalog.state_dir = config->config->state.dir;
	if (kmsc_new(config->config->kms.socket, 0, &s->catalog.kms) != SLK_OK) {
		dlv_service_free(s);
		return slk_fail(err, SLK_NO_MEMORY, "no memory for a client of kmsd");
	}
	*out_service = s;
	return SLK_OK;
}

void
dlv_service_start(struct dlv_service *s)
{
	look_now(s);
}

static void
all_stopped(struct dlv_service *s)
{
	if (s->looking || s->stopped == NULL)
		return;
	for (size_t i = 0; i < s->count; i++) {
		if (s->jobs[i]->flow != NULL)
			return;
	}
	void (*stopped)(void *arg) = s->stopped;
	s->stopped = NULL;
	stopped(s->stopped_arg);
}

void
dlv_service_stop(struct dlv_service *s, void (*stopped)(void *arg), void *arg)
{
	s->stopping = true;
	s->stopped = stopped;
	s->stopped_arg = arg;
	dlv_timer_stop(s->config.loop, &s->look_timer);
	for (size_t i = 0; i < s->count; i++) {
		if (s->jobs[i]->flow != NULL)
			end_flow(s->jobs[i]);
	}
	all_stopped(s);
}

void
dlv_service_free(struct dlv_service *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		free_job(s->jobs[i]);
	free(s->jobs);
	free(s->known);
	s->look.reports = s->reports;
	dlv_look_fini(&s->look);
	kmsc_free(s->catalog.kms);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* --- what is said of it --- */

static const char *
state_name(enum kmsc_delivery_state state)
{
	switch (state) {
	case KMSC_DELIVERY_CREATING:
		return "CREATING";
	case KMSC_DELIVERY_CREATING_FAILED:
		return "CREATING_FAILED";
	case KMSC_DELIVERY_ACTIVE:
		return "ACTIVE";
	case KMSC_DELIVERY_DELETING:
		return "DELETING";
	case KMSC_DELIVERY_DELETING_FAILED:
		return "DELETING_FAILED";
	}
	return "UNKNOWN";
}

void
dlv_service_each(struct dlv_service *s,
	void (*each)(void *arg, const struct dlv_service_stream *stream), void *arg)
{
	struct dlv_service_stream *out = calloc(1, sizeof(*out));

	if (out == NULL)
		return;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->count; i++) {
		struct dlv_job *job = s->jobs[i];
		memset(out, 0, sizeof(*out));
		out->name = job->stream.name;
		out->arn = job->stream.arn;
		out->stream_arn = job->stream.stream_arn;
		out->kms_state = state_name(job->stream.state);
		out->trouble = job->trouble;
		out->version = job->stream.version;
		out->runs = job->flow != NULL;
		if (out->runs)
			dlv_flow_view(job->flow, &out->view);
		each(arg, out);
	}
	pthread_mutex_unlock(&s->lock);
	free(out);
}

bool
dlv_service_kms_up(struct dlv_service *s, struct slk_error *out_error)
{
	pthread_mutex_lock(&s->lock);
	bool up = s->kms_status == SLK_OK;
	*out_error = s->kms_error;
	pthread_mutex_unlock(&s->lock);
	return up;
}
