/* Delivering to a directory of this host: opened and sealed again beside a bare program, GZIP beside `gzip -1`; memory. */
#include "objects.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "journal/journal_bench.h"
#include "loop.h"
#include "web.h"

#define OBJECT_MIB 32u
#define OBJECTS 4u

struct objects_bench {
	char root[256];
	struct objects_content content;
	struct objects_flow flow;
	struct objects_bare *bare;
	int gzip_status;
};

/* --- content: JSON logs of 1 KiB each --- */

static void
print_log(uint8_t *out, uint64_t *seed)
{
	static const char *const agents[] = {
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
		"Chrome/126.0.0.0 Safari/537.36",
		"curl/8.5.0",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
		"(KHTML, like Gecko)",
		"python-requests/2.32.3"};
	static const char *const paths[] = {"orders", "users", "cart/items", "search", "health"};
	uint64_t r[16];
	char line[OBJECTS_RECORD_BYTES + 1];

	bench_fill(seed, r, sizeof(r));
	int len = snprintf(line, sizeof(line),
		"{\"ts\":\"1790809%03llu.%06llu\",\"level\":\"%s\",\"host\":\"web-%02llu\","
		"\"request_id\":\"%016llx%016llx\","
		"\"client\":\"%llu.%llu.%llu.%llu\",\"method\":\"%s\",\"path\":\"/api/v1/%s/"
		"%llu\",\"status\":%u,\"bytes\":%llu,"
		"\"ms\":%llu.%03llu,\"agent\":\"%s\",\"trace\":\"%016llx%016llx%016llx\",\"tags\":"
		"[",
		(unsigned long long)(r[0] % 1000), (unsigned long long)(r[0] >> 20) % 1000000,
		r[1] % 10 ? "info" : "error", (unsigned long long)(r[1] % 24),
		(unsigned long long)r[2], (unsigned long long)r[3],
		(unsigned long long)(r[4] % 254), (unsigned long long)(r[4] >> 8) % 254,
		(unsigned long long)(r[4] >> 16) % 254, (unsigned long long)(r[4] >> 24) % 254,
		r[5] % 6 ? "GET" : "POST", paths[r[5] % 5], (unsigned long long)(r[6] % 100000),
		r[7] % 9 ? 200 : 404, (unsigned long long)(r[7] % 90000),
		(unsigned long long)(r[8] % 3000), (unsigned long long)(r[8] >> 32) % 1000,
		agents[r[9] % 4], (unsigned long long)r[10], (unsigned long long)r[11],
		(unsigned long long)r[12]);
	for (unsigned i = 0; len < (int)OBJECTS_RECORD_BYTES - 24; i++)
		len += snprintf(line + len, sizeof(line) - (size_t)len, "\"%s-%llu\",",
			paths[i % 5], (unsigned long long)(r[13] >> i % 48) % 1000);
	memset(out, ' ', OBJECTS_RECORD_BYTES);
	memcpy(out, line, (size_t)len);
	memcpy(out + OBJECTS_RECORD_BYTES - 4, "0]}\n", 4);
}

static int
hash_content(struct objects_content *c)
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	uint8_t value[32];
	bool good = hash != NULL && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1;

	for (uint64_t i = 0; good && i < c->blocks; i++)
		good = EVP_DigestUpdate(hash, c->bytes, c->block_bytes) == 1;
	good = good && EVP_DigestFinal_ex(hash, value, NULL) == 1;
	EVP_MD_CTX_free(hash);
	slk_hex(slk_span(value, sizeof(value)), c->sha256, sizeof(c->sha256));
	return good ? SLK_OK : SLK_INTERNAL;
}

static int
make_content(struct objects_bench *o, bool quick)
{
	struct objects_content *c = &o->content;
	uint64_t seed = 1;

	c->block_bytes = (size_t)OBJECTS_BLOCK_RECORDS * OBJECTS_RECORD_BYTES;
	c->object_blocks = ((quick ? 1u : OBJECT_MIB) << 20) / c->block_bytes;
	c->blocks = c->object_blocks * (quick ? 2 : OBJECTS);
	c->bytes = malloc(c->block_bytes);
	if (c->bytes == NULL)
		return SLK_NO_MEMORY;
	for (size_t at = 0; at < c->block_bytes; at += OBJECTS_RECORD_BYTES)
		print_log(c->bytes + at, &seed);
	return hash_content(c);
}

/* The same records in a journal, by the production writer. */
static int
make_journal(const struct objects_bench *o, struct slk_error *err)
{
	struct jb_lane lane;
	uint64_t lsn = 0;

	(void)sched_getaffinity(0, sizeof(jb_cpus), &jb_cpus);
	int rc = jb_lane_open(
		&lane, &(struct jb_lane_params){.parent = o->root, .name = "journal"}, err);
	if (rc == SLK_OK)
		memcpy(lane.payload, o->content.bytes, o->content.block_bytes);
	for (uint64_t i = 0; rc == SLK_OK && i < o->content.blocks; i++) {
		rc = jb_lane_block(&lane, 0, OBJECTS_BLOCK_RECORDS, OBJECTS_RECORD_BYTES, &lsn);
		if (rc == SLK_OK && jnl_lane_ready(lane.lane))
			(void)jnl_lane_submit(lane.lane);
	}
	if (rc == SLK_OK) {
		(void)jnl_lane_submit(lane.lane);
		rc = jb_lane_wait(&lane, lsn);
	}
	jb_lane_close(&lane);
	return rc == SLK_OK ? SLK_OK
			    : slk_fail(err, rc, "the journal: %s", slk_status_sentence(rc));
}

static int
make_plain_file(const struct objects_bench *o, struct slk_error *err)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/plain", o->root);
	FILE *f = fopen(path, "wb");
	bool good = f != NULL;
	for (uint64_t i = 0; good && i < o->content.blocks; i++)
		good = fwrite(o->content.bytes, o->content.block_bytes, 1, f) == 1;
	if (f != NULL)
		good = fclose(f) == 0 && good;
	return good ? SLK_OK : slk_fail_errno(err, "cannot write %s", path);
}

/* --- gzip -1, as it is --- */

static void
run_gzip(void *arg)
{
	struct objects_bench *o = arg;
	char in[300], out[300];
	int status = 1;

	snprintf(in, sizeof(in), "%s/plain", o->root);
	snprintf(out, sizeof(out), "%s/plain.gz", o->root);
	pid_t pid = fork();
	if (pid == 0) {
		int from = open(in, O_RDONLY), to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		if (from < 0 || to < 0 || dup2(from, 0) < 0 || dup2(to, 1) < 0)
			_exit(126);
		execlp("gzip", "gzip", "-1", (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
		o->gzip_status = SLK_UNAVAILABLE;
	(void)unlink(out);
}

/* --- comparing --- */

static int
run_status(const struct objects_bench *o, struct slk_error *err)
{
	if (o->flow.status != SLK_OK)
		*err = o->flow.err;
	if (o->flow.status != SLK_OK)
		return o->flow.status;
	if (objects_bare_status(o->bare) != SLK_OK)
		return slk_fail(err, objects_bare_status(o->bare), "the bare program failed");
	return o->gzip_status == SLK_OK ? SLK_OK : slk_fail(err, o->gzip_status, "gzip failed");
}

/* What all threads of this process took for one run, least of three: neighbours on the machine change it little. */
static double
cpu_ms(void (*run)(void *arg), void *arg)
{
	double least = 1e12;

	for (unsigned i = 0; i < 3; i++) {
		struct rusage before, after;
		(void)getrusage(RUSAGE_SELF, &before);
		run(arg);
		(void)getrusage(RUSAGE_SELF, &after);
		double ms = (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec +
				    after.ru_stime.tv_sec - before.ru_stime.tv_sec) *
				1e3 +
			(double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec +
				after.ru_stime.tv_usec - before.ru_stime.tv_usec) /
				1e3;
		least = ms < least ? ms : least;
	}
	return least;
}

static struct bench_shape
shape_of(const struct objects_bench *o, const char *label)
{
	return (struct bench_shape){.group = "file",
		.label = label,
		.ops = o->content.blocks / o->content.object_blocks,
		.bytes_per_op = o->content.object_blocks * o->content.block_bytes,
		.working_set_bytes = 4 * o->content.blocks * o->content.block_bytes};
}

static int
compare_sealed(struct bench *b, struct objects_bench *o, struct slk_error *err)
{
	const struct bench_contender c[] = {{"deliverd", objects_flow_run, &o->flow},
		{"bare program", objects_bare_run, o->bare}};
	const struct bench_shape shape = shape_of(o, "sealed again");
	struct bench_stats stats[2];
	char hashes[2][65];

	o->flow.sealed = true;
	o->flow.spec.s3.compression = DLV_UNCOMPRESSED;
	o->flow.spec.s3.kms_key_arn = "arn:aws:kms:local:000000000000:key/bench";
	o->flow.keep = true;
	objects_flow_run(&o->flow);
	o->flow.keep = false;
	int rc = run_status(o, err);
	if (rc == SLK_OK)
		rc = objects_check(&o->flow, hashes[0], err);
	if (rc != SLK_OK)
		return rc;
	memcpy(hashes[1], o->content.sha256, sizeof(hashes[1]));
	bench_same_hash(b, &shape, c, 2, hashes);
	bench_compare(b, &shape, c, 2, stats);
	bench_goal(b,
		"8: to the file destination, opened and sealed again, of a bare program's rate",
		0.8, stats[1].best / stats[0].best, true);
	bench_note(b,
		"file destination, sealed again: by medians %.2f of the bare program's rate, which "
		"has no records, "
		"checkpoints or locked memory, and writes in a second thread",
		stats[1].median / stats[0].median);
	double mib = (double)shape.ops * (double)shape.bytes_per_op / 1048576;
	double ours = cpu_ms(objects_flow_run, &o->flow), bare = cpu_ms(objects_bare_run, o->bare);
	bench_note(b,
		"file destination, sealed again: processor time per GiB %.0f ms, of the bare "
		"program %.0f ms",
		ours / mib * 1024, bare / mib * 1024);
	return run_status(o, err);
}

static int
compare_gzip(struct bench *b, struct objects_bench *o, struct slk_error *err)
{
	const struct bench_contender c[] = {
		{"deliverd, GZIP", objects_flow_run, &o->flow}, {"gzip -1", run_gzip, o}};
	const struct bench_shape shape = shape_of(o, "GZIP");
	struct bench_stats stats[2];

	o->flow.sealed = false;
	o->flow.spec.s3.compression = DLV_GZIP;
	o->flow.spec.s3.kms_key_arn = NULL;
	bench_compare(b, &shape, c, 2, stats);
	bench_goal(b, "8: GZIP on, from the journal to the directory, of gzip -1's own rate", 0.9,
		stats[1].best / stats[0].best, true);
	bench_note(b, "GZIP: by medians %.2f of gzip -1's rate, which only compresses",
		stats[1].median / stats[0].median);
	return run_status(o, err);
}

/* --- before and after --- */

static void
describe(struct objects_bench *o)
{
	const struct objects_content *c = &o->content;

	o->flow.content = c;
	snprintf(o->flow.root, sizeof(o->flow.root), "%s", o->root);
	o->flow.spec = (struct dlv_spec){.source = DLV_KINESIS_STREAM,
		.kind = DLV_TO_S3,
		.s3 = {.role_arn = "",
			.bucket = "bench",
			.prefix = "",
			.error_prefix = "",
			.extension = "",
			.time_zone = "UTC",
			.buffering = {c->object_blocks * c->block_bytes, 900}}};
}

static int
set_up(struct bench *b, struct objects_bench *o, struct slk_error *err)
{
	const char *parent = getenv("TMPDIR");

	snprintf(o->root, sizeof(o->root), "%.200s/slk-bench-objects-XXXXXX",
		parent != NULL ? parent : "/var/tmp");
	if (mkdtemp(o->root) == NULL)
		return slk_fail_errno(err, "cannot make %s", o->root);
	int rc = make_content(o, bench_quick(b));
	if (rc != SLK_OK)
		return slk_fail(err, rc, "no content: %s", slk_status_sentence(rc));
	describe(o);
	rc = make_journal(o, err);
	if (rc == SLK_OK)
		rc = make_plain_file(o, err);
	if (rc == SLK_OK)
		rc = objects_bare_new(&o->content, o->root, &o->bare, err);
	if (rc == SLK_OK)
		rc = dlv_loop_new(2, NULL, &o->flow.loop, err);
	if (rc == SLK_OK)
		rc = dlv_web_new(o->flow.loop, &o->flow.web, err);
	/* Two batches, one gathered while one is under way, and what they grow ahead by. */
	if (rc == SLK_OK &&
		dlv_pool_new(3 * o->flow.spec.s3.buffering.bytes + (8u << 20), false,
			&o->flow.pool) != SLK_OK)
		rc = slk_fail(err, SLK_NO_MEMORY, "no memory");
	return rc;
}

static void
tear_down(struct objects_bench *o)
{
	objects_bare_free(o->bare);
	dlv_web_free(o->flow.web);
	dlv_loop_free(o->flow.loop);
	dlv_pool_free(o->flow.pool);
	free(o->content.bytes);
	if (o->root[0] != '\0')
		(void)objects_remove(o->root);
}

static void
show_memory(struct bench *b, const struct objects_bench *o)
{
	struct rusage usage = {0};
	double allowed = 2 * (double)o->flow.spec.s3.buffering.bytes;

	(void)getrusage(RUSAGE_SELF, &usage);
	if (!bench_quick(b)) /* objects of 1 MiB have more stage than batch */
		bench_goal(b,
			"8: memory of batches at their peak, of two buffers of the description",
			1.5, (double)o->flow.pool_peak / allowed, false);
	bench_note(b,
		"memory: batches and compressors %.1f MiB at their peak, for two buffers of %.1f "
		"MiB; the whole bench %.1f MiB",
		(double)o->flow.pool_peak / 1048576, allowed / 2 / 1048576,
		(double)usage.ru_maxrss / 1024);
}

int
delivery_bench_objects(struct bench *b, struct slk_error *err)
{
	const struct bench_contender sealed[] = {
		{"deliverd", NULL, NULL}, {"bare program", NULL, NULL}};
	const struct bench_contender gzip[] = {
		{"deliverd, GZIP", NULL, NULL}, {"gzip -1", NULL, NULL}};
	struct objects_bench o = {.gzip_status = SLK_OK};

	int rc = set_up(b, &o, err);
	if (rc == SLK_OK) {
		bench_heading(b,
			"journal to a directory, opened and sealed again, JSON logs of 1 KiB",
			sealed, 2);
		rc = compare_sealed(b, &o, err);
	}
	if (rc == SLK_OK) {
		bench_heading(b, "journal to a directory with GZIP, the same records", gzip, 2);
		rc = compare_gzip(b, &o, err);
	}
	if (rc == SLK_OK)
		show_memory(b, &o);
	tear_down(&o);
	return rc;
}
