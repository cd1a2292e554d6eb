#include "aws/readers.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

#define READERS 4u
#define JOBS_MAX 1024u
#define VIEWS_MAX 64u
#define OPENERS_MAX 8u /* kept per view */
#define CONSUMERS_MAX 64u /* kept */
#define ANSWER_BYTES_MAX (10u << 20)
#define TRIES 32u /* reads of one GetRecords, if nothing is found */
#define SHORTAGE_TRIES 10u
#define SHORTAGE_PAUSE_NS 20000000
#define LOOPS_MAX 64u

/* What one caller may open. */
struct view {
	uint8_t credential[GW_SHA256_BYTES];
	struct sealock_keys *keys;
	struct sealock_opener *openers[OPENERS_MAX];
	unsigned openers_count, users;
	uint64_t used; /* a clock of uses */
};

struct kept {
	uint64_t stream_id, sequence;
	uint32_t shard;
	uint64_t used; /* a clock of uses */
	struct sealock_consumer *consumer;
};

struct gw_readers {
	char *journal, *kms_socket, *via_service;
	pthread_t threads[READERS];
	unsigned threads_count;
	pthread_mutex_t lock;
	pthread_cond_t more, less;
	bool stop;
	struct gw_job *first, **tail; /* to do */
	unsigned jobs; /* to do, being done or done */
	struct {
		struct gw_job *first;
		unsigned under_way;
	} loops[LOOPS_MAX]; /* done, by index of their loop */
	struct view views[VIEWS_MAX];
	uint64_t uses;
	struct kept kept[CONSUMERS_MAX];
};

/* The reader's own, while it does a job. */
static _Thread_local struct {
	struct kmsc *kms;
	struct gw_job *job;
} self;

/* --- keys --- */

static int
unwrap(void *ctx, const struct sealock_epoch *epoch, struct slk_secret **out_data_key,
	struct slk_error *err)
{
	struct gw_readers *readers = ctx;
	struct gw_job *job = self.job;
	const struct kmsc_caller caller = {.session_token = job->token,
		.access_key_id = job->by_uid ? NULL : job->key_id,
		.by_uid = job->by_uid,
		.uid = job->uid,
		.source_ip = job->source_ip[0] != '\0' ? job->source_ip : NULL,
		.over_tls = job->over_tls,
		.via_service = readers->via_service,
		.source_arn = epoch->stream_arn};
	struct fmt_context *context = NULL;

	int rc = fmt_context_for_stream(epoch->stream_arn, &context);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no encryption context for %s", epoch->stream_arn);
	kmsc_act_for(self.kms, &caller);
	rc = kmsc_decrypt(self.kms, NULL, context, epoch->wrapped, out_data_key, NULL, err);
	if (rc != SLK_OK) {
		const struct kmsc_refusal *refusal = kmsc_refusal(self.kms);
		(void)snprintf(job->refusal, sizeof(job->refusal), "%s", refusal->exception);
		if (refusal->message[0] != '\0')
			(void)slk_fail(err, rc, "%s", refusal->message);
	}
	kmsc_act_for(self.kms, NULL);
	fmt_context_free(context);
	return rc;
}

static void
view_empty(struct view *v)
{
	while (v->openers_count > 0)
		sealock_opener_free(v->openers[--v->openers_count]);
	sealock_keys_free(v->keys);
	v->keys = NULL;
}

/* The caller's view, with an opener of it. With the lock held. */
static int
view_take(struct gw_readers *r, const uint8_t credential[GW_SHA256_BYTES], struct view **out_view,
	struct sealock_opener **out_opener, struct slk_error *err)
{
	struct view *found = NULL, *oldest = NULL;
	int rc = SLK_OK;

	for (unsigned i = 0; i < VIEWS_MAX && found == NULL; i++) {
		struct view *v = &r->views[i];
		if (v->keys != NULL && memcmp(v->credential, credential, GW_SHA256_BYTES) == 0)
			found = v;
		else if (v->users == 0 && (oldest == NULL || v->used < oldest->used))
			oldest = v;
	}
	if (found == NULL) {
		const struct sealock_keys_config config = {
			.unwrap = unwrap, .ctx = r, .age_max_s = 60};
		if (oldest == NULL)
			return slk_fail(err, SLK_LIMIT, "too many callers read at once");
		view_empty(oldest);
		rc = sealock_keys_new(&config, &oldest->keys, err);
		if (rc != SLK_OK)
			return rc;
		memcpy(oldest->credential, credential, GW_SHA256_BYTES);
		found = oldest;
	}
	found->used = ++r->uses;
	if (found->openers_count > 0)
		*out_opener = found->openers[--found->openers_count];
	else
		rc = sealock_opener_new(found->keys, out_opener, err);
	if (rc == SLK_OK) {
		found->users++;
		*out_view = found;
	}
	return rc;
}

static void
view_give_back(struct gw_readers *r, struct view *v, struct sealock_opener *opener)
{
	pthread_mutex_lock(&r->lock);
	v->users--;
	if (v->openers_count < OPENERS_MAX) {
		v->openers[v->openers_count++] = opener;
		opener = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	sealock_opener_free(opener);
}

void
gw_readers_forget(struct gw_readers *readers)
{
	pthread_mutex_lock(&readers->lock);
	for (unsigned i = 0; i < VIEWS_MAX; i++)
		if (readers->views[i].keys != NULL)
			sealock_keys_forget(readers->views[i].keys);
	pthread_mutex_unlock(&readers->lock);
}

/* --- consumers --- */

/* One that stands where the job begins, or NULL. */
static struct sealock_consumer *
kept_take(struct gw_readers *r, const struct gw_job *job)
{
	struct sealock_consumer *c = NULL;

	if (job->position.from != SEALOCK_FROM_AT_SEQUENCE)
		return NULL;
	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < CONSUMERS_MAX && c == NULL; i++) {
		struct kept *k = &r->kept[i];
		if (k->consumer != NULL && k->stream_id == job->stream_id &&
			k->shard == job->shard && k->sequence == job->position.value) {
			c = k->consumer;
			k->consumer = NULL;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return c;
}

/* Give back what is only kept: memory that can be locked and descriptors are few. */
static void
kept_drop(struct gw_readers *r)
{
	struct sealock_consumer *consumers[CONSUMERS_MAX];

	pthread_mutex_lock(&r->lock);
	for (unsigned i = 0; i < CONSUMERS_MAX; i++) {
		consumers[i] = r->kept[i].consumer;
		r->kept[i].consumer = NULL;
	}
	pthread_mutex_unlock(&r->lock);
	for (unsigned i = 0; i < CONSUMERS_MAX; i++)
		sealock_consumer_free(consumers[i]);
}

static bool
is_shortage(int status)
{
	return status == SLK_NO_MEMORY || status == SLK_SYSTEM || status == SLK_LIMIT;
}

/* An empty place, or that of the one which nobody has come back to for the longest time. With the lock held. */
static struct kept *
kept_place(struct gw_readers *r)
{
	struct kept *best = &r->kept[0];

	for (unsigned i = 1; i < CONSUMERS_MAX && best->consumer != NULL; i++)
		if (r->kept[i].consumer == NULL || r->kept[i].used < best->used)
			best = &r->kept[i];
	return best;
}

/* What the batch holds may not be looked at any more. */
static void
kept_give(struct gw_readers *r, struct gw_job *job)
{
	struct sealock_consumer *old = job->consumer;

	if (job->consumer != NULL && job->status == SLK_OK && job->batch.has_next) {
		pthread_mutex_lock(&r->lock);
		struct kept *k = kept_place(r);
		old = k->consumer;
		*k = (struct kept){job->stream_id, job->batch.next_sequence, job->shard, ++r->uses,
			job->consumer};
		pthread_mutex_unlock(&r->lock);
	}
	sealock_consumer_free(old);
	job->consumer = NULL;
}

/* --- jobs --- */

static bool
is_damage(int status)
{
	return slk_status_class(status) == SLK_CLASS_CORRUPT && status != SLK_INVALID_CIPHERTEXT;
}

/* Until there is something, or nothing more. What is damaged was told where it was found; reading goes on behind it. */
static int
read_some(struct gw_job *job, struct sealock_opener *opener)
{
	int rc = SLK_OK;

	for (unsigned i = 0; i < TRIES; i++) {
		rc = sealock_consumer_read(job->consumer, opener, job->records_max,
			ANSWER_BYTES_MAX, &job->batch, &job->err);
		if (rc == SLK_OK && (job->batch.count > 0 || job->batch.at_tip))
			return rc;
		if (is_damage(rc))
			slk_warn("records cannot be read",
				slk_kv("error", (const char *)job->err.text));
		else if (rc != SLK_OK)
			return rc;
	}
	return rc;
}

static int
open_place(struct gw_job *job)
{
	const struct sealock_consumer_config config = {.journal_dir = job->readers->journal,
		.stream_arn = job->stream_arn,
		.stream_id = job->stream_id,
		.shard = job->shard,
		.position = job->position};

	if (job->consumer == NULL)
		job->consumer = kept_take(job->readers, job);
	return job->consumer != NULL ? SLK_OK
				     : sealock_consumer_new(&config, &job->consumer, &job->err);
}

/* By the key of each record's epoch: the stream's encryption may have been started or stopped between them. */
static int
find_encryption(struct gw_job *job)
{
	const struct sealock_batch *b = &job->batch;
	const char *arn = NULL;
	bool is_kms = false;
	int rc = SLK_OK;

	free(job->encrypted_kms);
	job->encrypted_kms = malloc(b->count * sizeof(bool) + 1);
	if (job->encrypted_kms == NULL)
		return slk_fail(&job->err, SLK_NO_MEMORY, "no memory for a reader");
	for (size_t i = 0; rc == SLK_OK && i < b->count; i++) {
		if (i == 0 || b->records[i].epoch_id != b->records[i - 1].epoch_id) {
			rc = sealock_consumer_key(job->consumer, b->records[i].epoch_id, &arn);
			is_kms = rc == SLK_OK && strcmp(arn, job->own_key_arn) != 0;
		}
		job->encrypted_kms[i] = is_kms;
	}
	return rc == SLK_OK ? rc : slk_fail(&job->err, rc, "an epoch has no key block");
}

static int
read_once(struct gw_job *job)
{
	struct gw_readers *r = job->readers;
	struct sealock_opener *opener = NULL;
	struct view *view = NULL;

	int rc = open_place(job);
	if (rc != SLK_OK)
		return rc;
	pthread_mutex_lock(&r->lock);
	rc = view_take(r, job->credential, &view, &opener, &job->err);
	pthread_mutex_unlock(&r->lock);
	if (rc != SLK_OK)
		return rc;
	rc = read_some(job, opener);
	if (rc == SLK_OK)
		rc = find_encryption(job);
	view_give_back(r, view, opener);
	return rc;
}

/* What other readers hold is back as soon as their answers are written: a reader may wait for that. */
static void
do_read(struct gw_job *job)
{
	const struct timespec pause = {.tv_nsec = SHORTAGE_PAUSE_NS};

	job->status = read_once(job);
	for (unsigned i = 0; i < SHORTAGE_TRIES && is_shortage(job->status); i++) {
		kept_drop(job->readers);
		if (i > 0)
			(void)nanosleep(&pause, NULL);
		job->status = read_once(job);
	}
}

static void
give_job_back(struct gw_job *job)
{
	struct gw_readers *r = job->readers;
	struct http_loop *loop = job->thread->loop;
	unsigned index = http_loop_index(loop);

	pthread_mutex_lock(&r->lock);
	job->next = r->loops[index].first;
	r->loops[index].first = job;
	r->loops[index].under_way--;
	http_loop_wake(loop);
	pthread_cond_broadcast(&r->less);
	pthread_mutex_unlock(&r->lock);
}

static void *
read_jobs(void *arg)
{
	struct gw_readers *r = arg;

	if (kmsc_new(r->kms_socket, 0, &self.kms) != SLK_OK)
		self.kms = NULL;
	pthread_mutex_lock(&r->lock);
	for (;;) {
		while (r->first == NULL && !r->stop)
			pthread_cond_wait(&r->more, &r->lock);
		struct gw_job *job = r->first;
		if (job == NULL)
			break;
		r->first = job->next;
		if (r->first == NULL)
			r->tail = &r->first;
		pthread_mutex_unlock(&r->lock);
		self.job = job;
		if (self.kms == NULL && kmsc_new(r->kms_socket, 0, &self.kms) != SLK_OK)
			job->status = slk_fail(&job->err, SLK_NO_MEMORY, "no memory for a reader");
		else if (job->kind == GW_JOB_READ)
			do_read(job);
		else
			job->status = sealock_shard_latest(
				r->journal, job->stream_id, job->shard, &job->latest, &job->err);
		self.job = NULL;
		give_job_back(job);
		pthread_mutex_lock(&r->lock);
	}
	pthread_mutex_unlock(&r->lock);
	kmsc_free(self.kms);
	self.kms = NULL;
	return NULL;
}

int
gw_readers_new(
	const struct gw_app_config *config, struct gw_readers **out_readers, struct slk_error *err)
{
	struct gw_readers *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory for readers");
	r->tail = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->more, NULL);
	pthread_cond_init(&r->less, NULL);
	r->journal = strdup(config->journal);
	r->kms_socket = config->kms_socket != NULL ? strdup(config->kms_socket) : NULL;
	if (asprintf(&r->via_service, "kinesis.%s.amazonaws.com", config->region) < 0)
		r->via_service = NULL;
	int rc = r->journal != NULL && r->via_service != NULL &&
			(config->kms_socket == NULL || r->kms_socket != NULL)
		? SLK_OK
		: slk_fail(err, SLK_NO_MEMORY, "no memory for readers");
	for (unsigned i = 0; rc == SLK_OK && i < READERS; i++) {
		int error = pthread_create(&r->threads[i], NULL, read_jobs, r);
		if (error != 0)
			rc = slk_fail(
				err, slk_status_from_errno(error), "a reader cannot be started");
		else
			r->threads_count++;
	}
	if (rc != SLK_OK) {
		gw_readers_free(r);
		return rc;
	}
	*out_readers = r;
	return SLK_OK;
}

void
gw_readers_free(struct gw_readers *readers)
{
	if (readers == NULL)
		return;
	pthread_mutex_lock(&readers->lock);
	readers->stop = true;
	pthread_cond_broadcast(&readers->more);
	pthread_mutex_unlock(&readers->lock);
	for (unsigned i = 0; i < readers->threads_count; i++)
		(void)pthread_join(readers->threads[i], NULL);
	for (unsigned i = 0; i < CONSUMERS_MAX; i++)
		sealock_consumer_free(readers->kept[i].consumer);
	for (unsigned i = 0; i < VIEWS_MAX; i++)
		view_empty(&readers->views[i]);
	pthread_cond_destroy(&readers->more);
	pthread_cond_destroy(&readers->less);
	pthread_mutex_destroy(&readers->lock);
	free(readers->journal);
	free(readers->kms_socket);
	free(readers->via_service);
	free(readers);
}

static void
job_free(struct gw_job *job)
{
	kept_give(job->readers, job);
	pthread_mutex_lock(&job->readers->lock);
	job->readers->jobs--;
	pthread_mutex_unlock(&job->readers->lock);
	if (job->token != NULL)
		slk_wipe(job->token, strlen(job->token));
	free(job->token);
	free(job->encrypted_kms);
	free(job);
}

static struct gw_job *
take_done(struct gw_readers *r, unsigned index)
{
	pthread_mutex_lock(&r->lock);
	struct gw_job *job = r->loops[index].first;
	r->loops[index].first = NULL;
	pthread_mutex_unlock(&r->lock);
	return job;
}

void
gw_readers_turn(struct gw_thread *t)
{
	struct gw_readers *r = gw_kinesis_readers(gw_app_kinesis(t->app));

	if (r == NULL)
		return;
	for (struct gw_job *job = take_done(r, http_loop_index(t->loop)), *next; job != NULL;
		job = next) {
		struct gw_call *call = job->call;
		next = job->next;
		if (call != NULL) {
			call->cancel = NULL;
			job->done(call, job);
		}
		job_free(job);
	}
}

void
gw_readers_stop(struct gw_thread *t)
{
	struct gw_readers *r = gw_kinesis_readers(gw_app_kinesis(t->app));
	unsigned index = http_loop_index(t->loop);

	if (r == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	while (r->loops[index].under_way > 0)
		pthread_cond_wait(&r->less, &r->lock);
	pthread_mutex_unlock(&r->lock);
	for (struct gw_job *job = take_done(r, index), *next; job != NULL; job = next) {
		next = job->next;
		job_free(job);
	}
}

bool
gw_readers_submit(struct gw_readers *readers, struct gw_job *job)
{
	job->readers = readers;
	pthread_mutex_lock(&readers->lock);
	bool ok = readers->jobs < JOBS_MAX;
	if (ok) {
		readers->jobs++;
		readers->loops[http_loop_index(job->thread->loop)].under_way++;
		*readers->tail = job;
		readers->tail = &job->next;
		pthread_cond_signal(&readers->more);
	}
	pthread_mutex_unlock(&readers->lock);
	return ok;
}
