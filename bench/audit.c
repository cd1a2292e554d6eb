/* kmsd's audit log: what durable lines cost GenerateDataKey, and what a line costs to make and to verify */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "base/file.h"
#include "kms/kms_bench.h"
#include "seal/auditchain.h"

#define OPS 1024u
#define OPS_QUICK 64u
#define DEPTH 32u
#define TIMEOUT_MS 5000u
#define TURNS 32u /* of DEPTH lines each */

enum way { DISK, TMPFS, SECOND, WAYS };

static struct {
	char root[64], shm[64];
	unsigned ops;
	struct kb_daemon daemons[WAYS];
	char audit_dirs[WAYS][KB_PATH_MAX];
	char audit_lines[KB_PATH_MAX + 32];
	struct kb_pipe *pipes[WAYS];
	char keys[WAYS][1][320];
	struct kms_audit *audit; /* without kmsd, in RAM */
	struct fmt_context *context;
	struct slk_span log;
	char audit_path[KB_PATH_MAX];
	int failed;
} ctx;

static void
note_status(int rc)
{
	if (ctx.failed == SLK_OK)
		ctx.failed = rc;
}

/* --- contenders --- */

static void
run_pipe(void *arg)
{
	note_status(kb_pipe_run(*(struct kb_pipe **)arg, ctx.ops, DEPTH));
}

/* What kmsd says of one GenerateDataKey. */
static void
add_line(void)
{
	static const uint8_t backing_id[16] = {1, 2, 3};
	const struct kms_audit_entry entry = {.request_id = "8f14e45f-ceea-467f-a9d5-91f2e2e3f9a0",
		.principal = "arn:aws:iam::000000000000:root",
		.pid = 4711,
		.action = "kms:GenerateDataKey",
		.resource = "arn:aws:kms:local:000000000000:key/"
			    "3c59dc04-8e88-4024-98de-0e2ea1ae7d11",
		.context = ctx.context,
		.backing_id = backing_id};

	note_status(kms_audit_add(ctx.audit, &entry));
}

static void
run_lines(void *arg)
{
	struct slk_error err = {0};
	(void)arg;

	for (unsigned turn = 0; turn < TURNS; turn++) {
		for (unsigned i = 0; i < DEPTH; i++)
			add_line();
		note_status(kms_audit_flush(ctx.audit, &err));
	}
}

static void
run_verify(void *arg)
{
	struct seal_scan_result result;
	struct seal_scan *scan = NULL;
	(void)arg;

	int rc = seal_scan_new(0, &scan);
	if (rc == SLK_OK)
		rc = seal_scan_file(scan, ctx.log, NULL, NULL, &result);
	note_status(rc);
	seal_scan_free(scan);
}

/* --- what is measured --- */

static void
measure_use(struct bench *b, struct bench_stats *st)
{
	const struct bench_contender c[WAYS] = {
		[DISK] = {"lines on the disk", run_pipe, &ctx.pipes[DISK]},
		[TMPFS] = {"lines in RAM", run_pipe, &ctx.pipes[TMPFS]},
		[SECOND] = {"on the disk and in RAM", run_pipe, &ctx.pipes[SECOND]}};
	const struct bench_shape shape = {.group = "GenerateDataKey",
		.label = "32 in flight",
		.ops = ctx.ops,
		.bytes_per_op = KB_DATA_KEY_BYTES};

	bench_heading(b, "GenerateDataKey with 32 in flight, by where its audit lines are flushed",
		c, WAYS);
	bench_compare(b, &shape, c, WAYS, st);
}

static int
map_log(struct slk_error *err)
{
	struct stat st;
	int fd = open(ctx.audit_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st) != 0)
		return slk_fail_errno(err, "cannot read %s", ctx.audit_path);
	void *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (bytes == MAP_FAILED)
		return slk_fail_errno(err, "cannot read %s", ctx.audit_path);
	ctx.log = slk_span(bytes, (size_t)st.st_size);
	return SLK_OK;
}

static int
measure_lines(struct bench *b, struct bench_stats *out_line, struct bench_stats *out_verify,
	struct slk_error *err)
{
	const struct bench_contender line = {"made, chained, written", run_lines, NULL};
	const struct bench_contender verify = {"chain walked", run_verify, NULL};
	struct kms_audit_state state;

	bench_heading(b, "One line of use, 32 a turn, to a file in RAM", &line, 1);
	bench_compare(b,
		&(struct bench_shape){.group = "line", .label = "written", .ops = TURNS * DEPTH},
		&line, 1, out_line);
	kms_audit_state(ctx.audit, &state);
	kms_audit_close(ctx.audit);
	ctx.audit = NULL;
	int rc = map_log(err);
	if (rc != SLK_OK)
		return rc;
	uint64_t bytes = ctx.log.len / (state.durable.seq > 0 ? state.durable.seq : 1);
	bench_heading(b, "The same lines verified", &verify, 1);
	bench_compare(b,
		&(struct bench_shape){.group = "line",
			.label = "verified",
			.ops = state.durable.seq,
			.bytes_per_op = bytes},
		&verify, 1, out_verify);
	bench_note(b, "a line of GenerateDataKey is %llu bytes", (unsigned long long)bytes);
	return SLK_OK;
}

/* --- start and end --- */

static int
start_daemon(enum way way, const char *name, struct slk_error *err)
{
	struct kb_daemon *d = &ctx.daemons[way];

	*d = (struct kb_daemon){.name = name};
	if (way == TMPFS) {
		snprintf(ctx.audit_dirs[way], KB_PATH_MAX, "%s/%s", ctx.shm, name);
		d->audit_dir = ctx.audit_dirs[way];
	}
	if (way == SECOND)
		d->audit_lines = ctx.audit_lines;
	int rc = kb_daemon_start(d, ctx.root, err);
	if (rc == SLK_OK)
		rc = kb_daemon_keys(d, 1, ctx.keys[way], err);
	return rc == SLK_OK ? kb_pipe_new(d, ctx.keys[way], 1, TIMEOUT_MS, &ctx.pipes[way], err)
			    : rc;
}

static int
start(struct slk_error *err)
{
	char second[KB_PATH_MAX];

	strcpy(ctx.root, "/var/tmp/sealock-bench-audit-XXXXXX");
	strcpy(ctx.shm, "/dev/shm/sealock-bench-audit-XXXXXX");
	if (mkdtemp(ctx.root) == NULL || chmod(ctx.root, 0755) != 0)
		return slk_fail_errno(err, "cannot make %s", ctx.root);
	if (mkdtemp(ctx.shm) == NULL || chmod(ctx.shm, 0755) != 0)
		return slk_fail_errno(err, "cannot make %s", ctx.shm);
	snprintf(second, sizeof(second), "%s/second", ctx.shm);
	if (mkdir(second, 0777) != 0 || chmod(second, 0777) != 0)
		return slk_fail_errno(err, "cannot make %s", second);
	snprintf(ctx.audit_lines, sizeof(ctx.audit_lines), "  second: {file: %s/audit.log}\n",
		second);
	snprintf(ctx.audit_path, sizeof(ctx.audit_path), "%s/lines.log", ctx.shm);
	int rc = start_daemon(DISK, "disk", err);
	if (rc == SLK_OK)
		rc = start_daemon(TMPFS, "tmpfs", err);
	if (rc == SLK_OK)
		rc = start_daemon(SECOND, "two", err);
	if (rc == SLK_OK)
		rc = fmt_context_for_stream(KB_STREAM_ARN, &ctx.context);
	if (rc == SLK_OK)
		rc = kms_audit_open(
			ctx.audit_path, slk_fs_posix(), slk_clock_system(), &ctx.audit, err);
	return rc;
}

static void
stop(void)
{
	char command[160];

	for (unsigned i = 0; i < WAYS; i++) {
		kb_pipe_free(ctx.pipes[i]);
		kb_daemon_stop(&ctx.daemons[i]);
	}
	kms_audit_close(ctx.audit);
	fmt_context_free(ctx.context);
	if (ctx.log.len > 0)
		(void)munmap((void *)(uintptr_t)ctx.log.ptr, ctx.log.len);
	snprintf(command, sizeof(command), "rm -rf '%s' '%s'", ctx.root, ctx.shm);
	if (system(command) != 0)
		fprintf(stderr, "bench audit: %s stays behind\n", ctx.root);
}

static uint64_t
failures(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WAYS; i++)
		n += kb_pipe_stats(ctx.pipes[i])->failed_count;
	return n;
}

static int
measure(struct bench *b, struct slk_error *err)
{
	struct bench_stats use[WAYS], line, verify;

	ctx.ops = bench_quick(b) ? OPS_QUICK : OPS;
	int rc = start(err);
	if (rc != SLK_OK)
		return rc;
	measure_use(b, use);
	rc = measure_lines(b, &line, &verify, err);
	if (rc != SLK_OK)
		return rc;
	if (ctx.failed != SLK_OK)
		return slk_fail(
			err, ctx.failed, "a run broke off: %s", slk_status_sentence(ctx.failed));
	if (failures() > 0)
		return slk_fail(
			err, SLK_INTERNAL, "%llu calls failed", (unsigned long long)failures());
	bench_goal(b,
		"issue 4: GenerateDataKey, 32 in flight, audit on the disk >= 0.8 x the rate with "
		"the audit in RAM",
		0.8, use[TMPFS].best / use[DISK].best, true);
	bench_note(b,
		"in RAM (tmpfs) the log is the same, and only its flush costs nothing; medians: "
		"%.3f x, with a second file %.3f x",
		use[TMPFS].median / use[DISK].median, use[TMPFS].median / use[SECOND].median);
	return SLK_OK;
}

int
main(int argc, char **argv)
{
	struct slk_error err = {0};
	struct bench *b = NULL;
	cpu_set_t allowed;

	bool known = sched_getaffinity(0, sizeof(allowed), &allowed) == 0;
	int rc = bench_new(argc, argv, "audit", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? 0 : 2;
	/* Client and daemon are several processes, and in use nobody pins them. */
	if (!known || sched_setaffinity(0, sizeof(allowed), &allowed) != 0)
		return bench_abort(b, "cannot leave the one core of the harness");
	bench_note(b, "client and kmsd run on any core");
	rc = measure(b, &err);
	int status = rc == SLK_OK
		? bench_finish(b)
		: bench_abort(b, "%s", err.status != SLK_OK ? err.text : slk_status_sentence(rc));
	stop();
	return status;
}
