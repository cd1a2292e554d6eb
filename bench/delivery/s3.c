#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "delivery_bench.h"
#include "destination.h"
#include "loop.h"
#include "stores.h"
#include "web.h"

#define BUCKET "bench"
#define RECORD_BYTES 1024u
#define MIB (1u << 20)
#define SCRIPT SLK_SOURCE_DIR "/tests/integration/delivery/radosgw.py"

/* The store: a process that ends with its input. */
struct rgw {
	pid_t pid;
	FILE *to, *from;
	char url[128], credentials[256], ca[256];
};

struct s3_bench {
	struct rgw rgw;
	struct dlv_loop *loop;
	struct dlv_web *web;
	struct dlv_pool *pool;
	struct dlv_store store;
	struct dlv_stores stores;
	struct dlv_spec spec;
	void *dest;
	CURL *easy;
	/* The objects of a round, and the records that each is made of. */
	size_t object_bytes, objects, sent;
	uint8_t *bytes;
	struct dlv_record *records;
	size_t records_count;
	bool ended;
	struct slk_error err;
	int status; /* of any run */
};

/* --- the store --- */

static void
run_script(int in, int out)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(126);
	execlp("python3", "python3", SCRIPT, BUCKET, (char *)NULL);
	_exit(77);
}

static int
rgw_spawn(struct rgw *r, struct slk_error *err)
{
	int in[2], out[2];

	if (pipe(in) != 0 || pipe(out) != 0)
		return slk_fail_errno(err, "cannot make a pipe");
	r->pid = fork();
	if (r->pid == 0) {
		close(in[1]);
		close(out[0]);
		run_script(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	if (r->pid < 0)
		return slk_fail_errno(err, "cannot fork");
	r->to = fdopen(in[1], "w");
	r->from = fdopen(out[0], "r");
	return r->to != NULL && r->from != NULL ? SLK_OK
						: slk_fail(err, SLK_NO_MEMORY, "no memory");
}

static void
rgw_stop(struct rgw *r)
{
	if (r->to != NULL)
		fclose(r->to);
	if (r->from != NULL)
		fclose(r->from);
	if (r->pid > 0)
		(void)waitpid(r->pid, NULL, 0);
	memset(r, 0, sizeof(*r));
}

/* SLK_NOT_FOUND: it is not installed, or the sources are not here. */
static int
rgw_start(struct rgw *r, struct slk_error *err)
{
	if (access(SCRIPT, R_OK) != 0)
		return SLK_NOT_FOUND;
	int rc = rgw_spawn(r, err);
	if (rc != SLK_OK)
		return rc;
	if (fscanf(r->from, "%*s %255s %127s %255s", r->credentials, r->url, r->ca) == 3)
		return SLK_OK;
	int status = 0;
	fclose(r->to);
	r->to = NULL;
	(void)waitpid(r->pid, &status, 0);
	r->pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 77
		? SLK_NOT_FOUND
		: slk_fail(err, SLK_UNAVAILABLE, "radosgw does not start");
}

/* --- deliverd's destination: as in a flow, one batch is gathered by a thread while the one before is sent --- */

struct job {
	struct s3_bench *bench;
	struct dlv_batch batch;
	struct dlv_task gather, gathered;
	bool ready;
	int rc;
	struct slk_error err;
};

static void
on_gathered(void *arg)
{
	struct job *job = arg;

	job->ready = true;
}

/* In a thread of the pool. */
static void
gather(void *arg)
{
	struct job *job = arg;
	struct s3_bench *s = job->bench;
	const struct dlv_destination_ops *ops = &dlv_s3_ops;

	job->rc = ops->begin(s->dest, &job->batch, &job->err);
	for (size_t i = 0; job->rc == SLK_OK && i < s->records_count; i += 512) {
		size_t left = s->records_count - i;
		job->rc = ops->gather(
			s->dest, &job->batch, s->records + i, left < 512 ? left : 512, &job->err);
	}
	job->batch.count = s->records_count;
	if (job->rc == SLK_OK)
		job->rc = ops->seal(s->dest, &job->batch, &job->err);
	dlv_loop_post(s->loop, &job->gathered);
}

static void
job_start(struct s3_bench *s, struct job *job, size_t number)
{
	*job = (struct job){.bench = s,
		.batch = {.number = number, .version = 1, .oldest_ns = 1},
		.gather = {.fn = gather, .arg = job},
		.gathered = {.fn = on_gathered, .arg = job}};
	snprintf(job->batch.id, sizeof(job->batch.id), "00000000-0000-4000-8000-%012x",
		(unsigned)number);
	dlv_buffer_init(&job->batch.body, s->pool);
	dlv_loop_work(s->loop, &job->gather);
}

static void
job_end(struct s3_bench *s, struct job *job)
{
	dlv_s3_ops.release(s->dest, &job->batch);
	dlv_buffer_fini(&job->batch.body);
}

static void
on_done(void *arg, const struct dlv_result *result)
{
	struct s3_bench *s = arg;

	s->ended = true;
	if (result->outcome == DLV_DELIVERED)
		return;
	s->err = result->error;
	s->status = SLK_UNAVAILABLE;
}

static void
turn_until(struct s3_bench *s, const bool *condition)
{
	while (!*condition) {
		if (dlv_loop_turn(s->loop, -1, &s->err) != SLK_OK)
			abort(); /* epoll itself fails */
	}
}

static void
run_deliver(void *arg)
{
	struct s3_bench *s = arg;
	struct job jobs[2];

	job_start(s, &jobs[0], 0);
	for (size_t i = 0; i < s->objects; i++) {
		struct job *job = &jobs[i % 2];
		turn_until(s, &job->ready);
		if (i + 1 < s->objects)
			job_start(s, &jobs[(i + 1) % 2], i + 1);
		s->ended = job->rc != SLK_OK;
		if (s->ended) {
			s->status = job->rc;
			s->err = job->err;
		} else {
			dlv_s3_ops.deliver(s->dest, &job->batch, on_done, s);
		}
		turn_until(s, &s->ended);
		job_end(s, job);
	}
}

/* --- the plain loop: one connection that stays, no signature: anybody may write to the bucket --- */

static size_t
read_body(char *out, size_t size, size_t count, void *arg)
{
	struct s3_bench *s = arg;
	size_t left = s->object_bytes - s->sent, n = size * count < left ? size * count : left;

	memcpy(out, s->bytes + s->sent, n);
	s->sent += n;
	return n;
}

static int
put_one(struct s3_bench *s, size_t number)
{
	char url[256];
	long status = 0;

	snprintf(url, sizeof(url), "%s/" BUCKET "/plain-%zu", s->rgw.url, number);
	s->sent = 0;
	curl_easy_setopt(s->easy, CURLOPT_URL, url);
	curl_easy_setopt(s->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->object_bytes);
	CURLcode rc = curl_easy_perform(s->easy);
	curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
	if (rc != CURLE_OK || status != 200)
		return slk_fail(&s->err, SLK_UNAVAILABLE, "plain PUT: %s, %ld",
			curl_easy_strerror(rc), status);
	return SLK_OK;
}

static void
run_plain(void *arg)
{
	struct s3_bench *s = arg;

	for (size_t i = 0; s->status == SLK_OK && i < s->objects; i++)
		s->status = put_one(s, i);
}

static int
open_plain(struct s3_bench *s, struct slk_error *err)
{
	static struct curl_slist no_expect = {(char *)"Expect:", NULL};

	s->easy = curl_easy_init();
	if (s->easy == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	curl_easy_setopt(s->easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(s->easy, CURLOPT_HTTPHEADER, &no_expect);
	curl_easy_setopt(s->easy, CURLOPT_READFUNCTION, read_body);
	curl_easy_setopt(s->easy, CURLOPT_READDATA, s);
	curl_easy_setopt(s->easy, CURLOPT_PROXY, "");
	curl_easy_setopt(s->easy, CURLOPT_CAINFO, s->rgw.ca);
	return SLK_OK;
}

/* --- comparing --- */

static int
make_records(struct s3_bench *s, size_t object_bytes)
{
	uint64_t seed = 1;

	free(s->bytes);
	free(s->records);
	s->object_bytes = object_bytes;
	s->records_count = object_bytes / RECORD_BYTES;
	s->bytes = malloc(object_bytes);
	s->records = calloc(s->records_count, sizeof(*s->records));
	if (s->bytes == NULL || s->records == NULL)
		return SLK_NO_MEMORY;
	bench_fill(&seed, s->bytes, object_bytes);
	for (size_t i = 0; i < s->records_count; i++)
		s->records[i].data = slk_span(s->bytes + i * RECORD_BYTES, RECORD_BYTES);
	return SLK_OK;
}

static int
compare(struct bench *b, struct s3_bench *s, const char *label)
{
	const struct bench_contender c[] = {
		{"gathered and delivered", run_deliver, s}, {"PUT loop", run_plain, s}};
	const struct bench_shape shape = {.group = "S3",
		.label = label,
		.ops = s->objects,
		.bytes_per_op = s->object_bytes,
		.working_set_bytes = 2 * s->object_bytes};
	struct bench_stats stats[2];
	char name[100];

	bench_compare(b, &shape, c, 2, stats);
	if (s->status != SLK_OK)
		return s->status;
	snprintf(name, sizeof(name), "8: objects of %s to radosgw, of a PUT loop's rate", label);
	bench_goal(b, name, 0.8, stats[1].best / stats[0].best, true);
	bench_note(b, "to radosgw by medians: %.2f of the PUT loop's rate, objects of %s",
		stats[1].median / stats[0].median, label);
	return SLK_OK;
}

static int
open_dest(struct s3_bench *s, struct slk_error *err)
{
	s->store = (struct dlv_store){.bucket = "*",
		.url = s->rgw.url,
		.credentials = s->rgw.credentials,
		.ca = s->rgw.ca,
		.path_style = true};
	s->stores = (struct dlv_stores){&s->store, 1};
	s->spec = (struct dlv_spec){.kind = DLV_TO_S3,
		.s3 = {.role_arn = "",
			.bucket = BUCKET,
			.prefix = "",
			.error_prefix = "",
			.extension = "",
			.time_zone = "UTC"}};
	const struct dlv_env env = {.name = "bench",
		.arn = "arn:aws:firehose:us-east-1:000000000000:deliverystream/bench",
		.account = "000000000000",
		.region = "us-east-1",
		.spec = &s->spec,
		.s3 = &s->spec.s3,
		.version = 1,
		.loop = s->loop,
		.stores = &s->stores,
		.pool = s->pool,
		.clock = slk_clock_system()};
	return dlv_s3_ops.open(&env, &s->dest, err);
}

static int
set_up(struct s3_bench *s, struct slk_error *err)
{
	int rc = rgw_start(&s->rgw, err);

	if (rc == SLK_OK)
		rc = dlv_loop_new(1, NULL, &s->loop, err);
	if (rc == SLK_OK)
		rc = dlv_web_new(s->loop, &s->web, err);
	if (rc != SLK_OK)
		return rc;
	if (dlv_pool_new(1u << 30, false, &s->pool) != SLK_OK)
		return slk_fail(err, SLK_NO_MEMORY, "no memory");
	rc = open_plain(s, err);
	return rc == SLK_OK ? open_dest(s, err) : rc;
}

static void
tear_down(struct s3_bench *s)
{
	if (s->dest != NULL)
		dlv_s3_ops.close(s->dest);
	if (s->easy != NULL)
		curl_easy_cleanup(s->easy);
	dlv_web_free(s->web);
	dlv_loop_free(s->loop);
	dlv_pool_free(s->pool);
	free(s->bytes);
	free(s->records);
	rgw_stop(&s->rgw);
}

int
delivery_bench_s3(struct bench *b, struct slk_error *err)
{
	static const struct {
		const char *label;
		size_t bytes, objects;
	} shapes[] = {{"1 MiB", MIB, 8}, {"5 MiB", 5 * MIB, 4}, {"32 MiB", 32 * MIB, 3}};
	const struct bench_contender heads[] = {
		{"gathered and delivered", NULL, NULL}, {"PUT loop", NULL, NULL}};
	struct s3_bench s = {.status = SLK_OK};

	int rc = set_up(&s, err);
	if (rc == SLK_OK)
		bench_heading(
			b, "objects to radosgw on this host, over TLS, records of 1 KiB", heads, 2);
	for (size_t i = 0; rc == SLK_OK && i < 3; i++) {
		s.objects = bench_quick(b) ? 3 : shapes[i].objects;
		rc = make_records(&s, bench_quick(b) ? 64 * RECORD_BYTES : shapes[i].bytes);
		if (rc == SLK_OK)
			rc = compare(b, &s, shapes[i].label);
		if (rc != SLK_OK)
			*err = s.err;
	}
	tear_down(&s);
	if (rc != SLK_NOT_FOUND)
		return rc;
	bench_note(b, "radosgw is not installed, or this is not root: its goals are not shown");
	return SLK_OK;
}
