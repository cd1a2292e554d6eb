/* durable append beside a bare program, acknowledgement, many shards, reading back; JetStream and Redis where installed */
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "harness/bench.h"
#include "journal/journal_bench.h"

#define ROUND_BYTES (64u * JB_MIB)
#define ROUND_BYTES_QUICK (4u * JB_MIB)
#define READ_BYTES (48u * JB_MIB)
#define ACK_BATCH 50u
#define ACK_ROUNDS 40u
#define LOAD_SHARDS 256u
#define LOAD_RATE 2560.0
#define LOAD_NS 2e9
#define LOAD_NS_QUICK 5e7
#define LOAD_ROUNDS 4u
#define PEER_RECORDS 20000u
#define PEER_RECORDS_QUICK 500u

#define APPEND_ROUNDS 61u /* of five writers, each 64 MiB */
#define PEER_ROUNDS 31u
#define READ_ROUNDS 61u

static char root[300];

/* All of it, unless SEALOCK_BENCH_PARTS names some: "append", "ack", "shards", "peers", "reading". */
static bool
wanted(const char *part)
{
	const char *parts = getenv("SEALOCK_BENCH_PARTS");

	return parts == NULL || strstr(parts, part) != NULL;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static struct slk_hist *
new_hist(void)
{
	struct slk_hist *h = malloc(sizeof(*h));

	if (h != NULL)
		slk_hist_init(h);
	return h;
}

/* --- durable append --- */

static int
measure_append(struct bench *b, struct jb_bare bare[2], struct jb_lane lanes[3])
{
	const struct bench_contender c[] = {{"bare, O_DIRECT", jb_bare_run, &bare[0]},
		{"bare, buffered", jb_bare_run, &bare[1]}, {"journal", jb_lane_run, &lanes[0]},
		{"no hashes", jb_lane_run, &lanes[1]}, {"buffered", jb_lane_run, &lanes[2]}};
	const struct bench_shape shape = {.group = "Durable append, 1 KiB records",
		.label = "64 MiB",
		.ops = bare[0].bytes / JB_RECORD_BYTES,
		.bytes_per_op = JB_RECORD_BYTES,
		.working_set_bytes = JB_FILE_BYTES};
	struct bench_stats s[5];

	for (unsigned i = 0; i < 3; i++)
		if (!bench_quick(b) && jb_lane_settle(&lanes[i]) != SLK_OK)
			return -1;
	bench_heading(b, shape.group, c, 5);
	bench_compare(b, &shape, c, 5, s);
	for (unsigned i = 0; i < 5; i++)
		if (i < 2 ? bare[i].failed : lanes[i - 2].failed)
			return -1;
	const double best_bare = s[0].best < s[1].best ? s[0].best : s[1].best;
	const double median_bare = s[0].median < s[1].median ? s[0].median : s[1].median;
	bench_goal(b, "5: durable append, of the best bare program's", 0.95, best_bare / s[2].best,
		true);
	bench_note(b, "durable append by medians: %.2f of the bare program's; without hashes %.2f",
		median_bare / s[2].median, median_bare / s[3].median);
	return 0;
}

/* --- acknowledgement, one record at a time --- */

static int
measure_ack(struct bench *b, struct jb_bare *bare, struct jb_lane *l)
{
	struct slk_hist *hist[2] = {new_hist(), new_hist()};
	const double ticks_per_ns = bench_ticks_per_ns(b);
	const unsigned rounds = bench_quick(b) ? 1 : ACK_ROUNDS;
	struct bench_shape shape = {.group = "One record of 1 KiB, durable",
		.label = "1 KiB",
		.ops = 1,
		.bytes_per_op = JB_RECORD_BYTES};
	int rc = hist[0] != NULL && hist[1] != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (unsigned i = 0; rc == SLK_OK && i < 2 * rounds * ACK_BATCH; i++) {
		const bool ours = i / ACK_BATCH % 2 == 1;
		const uint64_t begin = bench_ticks();
		uint64_t lsn = 0;
		if (!ours) {
			rc = jb_bare_commit(bare, 4096);
		} else {
			rc = jb_lane_block(l, 0, 1, JB_RECORD_BYTES, &lsn);
			if (rc == SLK_OK)
				rc = jnl_lane_submit(l->lane);
			if (rc == SLK_OK)
				rc = jb_lane_wait(l, lsn);
		}
		slk_hist_add(
			hist[ours], (uint64_t)((double)(bench_ticks() - begin) / ticks_per_ns), 1);
	}
	if (rc == SLK_OK) {
		bench_latency(b, &shape, "bare: pwrite, fdatasync", hist[0]);
		bench_latency(b, &shape, "journal", hist[1]);
		bench_goal(b, "5: acknowledgement p50, of the bare program's", 1.2,
			(double)slk_hist_quantile(hist[1], 0.5) /
				(double)slk_hist_quantile(hist[0], 0.5),
			false);
	}
	free(hist[0]);
	free(hist[1]);
	return rc;
}

/* --- many shards --- */

static int
measure_shards(struct bench *b, struct jb_lane *l)
{
	struct slk_hist *hist[2] = {new_hist(), new_hist()};
	const double for_ns = bench_quick(b) ? LOAD_NS_QUICK : LOAD_NS;
	struct bench_shape shape = {.group = "2,560 records/s, due to durable",
		.label = "1 KiB",
		.ops = 1,
		.bytes_per_op = JB_RECORD_BYTES};
	int rc = hist[0] != NULL && hist[1] != NULL ? SLK_OK : SLK_NO_MEMORY;

	for (unsigned i = 0; rc == SLK_OK && i < (bench_quick(b) ? 2 : 2 * LOAD_ROUNDS); i++)
		rc = jb_lane_load(l, i % 2 == 0 ? 1 : LOAD_SHARDS, LOAD_RATE, for_ns,
			bench_ticks_per_ns(b), hist[i % 2]);
	if (rc == SLK_OK) {
		bench_latency(b, &shape, "1 shard", hist[0]);
		bench_latency(b, &shape, "256 shards", hist[1]);
		bench_goal(b, "5: p50 of 256 shards, of one shard's", 1.5,
			(double)slk_hist_quantile(hist[1], 0.5) /
				(double)slk_hist_quantile(hist[0], 0.5),
			false);
	}
	free(hist[0]);
	free(hist[1]);
	return rc;
}

/* --- reading --- */

static int
measure_reading(struct bench *b, struct slk_error *err)
{
	static const struct {
		uint32_t block_bytes;
		const char *label, *goal;
		double gb_per_s;
	} sizes[] = {{16384, "16 KiB blocks", "5: reading and opening, 16 KiB blocks, GB/s", 5},
		{256, "256 B blocks", "5: reading and opening, 256 B blocks, GB/s", 1.5},
		{65536, "64 KiB blocks", NULL, 0}};
	struct bench_stats s;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct jb_reading r;
		int rc = jb_reading_open(
			&r, root, sizes[i].block_bytes, bench_quick(b) ? JB_MIB : READ_BYTES, err);
		const struct bench_contender c[] = {{"reader", jb_reading_run, &r}};
		const struct bench_shape shape = {.group = "Reading and opening from page cache",
			.label = sizes[i].label,
			.ops = r.expected / sizes[i].block_bytes,
			.bytes_per_op = sizes[i].block_bytes,
			.working_set_bytes = r.expected};
		if (rc == SLK_OK && i == 0)
			bench_heading(b, shape.group, c, 1);
		if (rc == SLK_OK)
			bench_compare(b, &shape, c, 1, &s);
		if (rc == SLK_OK && r.failed)
			rc = slk_fail(err, SLK_CORRUPT, "what was read is not what was written");
		if (rc == SLK_OK && sizes[i].goal != NULL)
			bench_goal(b, sizes[i].goal, sizes[i].gb_per_s,
				(double)r.expected / (double)shape.ops / s.best, true);
		jb_reading_close(&r);
		if (rc != SLK_OK)
			return rc;
	}
	return SLK_OK;
}

/* --- other brokers --- */

static int
measure_peers(struct bench *b, struct jb_lane *l, struct slk_error *err)
{
	static struct jb_peer peers[2];
	struct bench_contender c[3] = {{"journal", jb_lane_run, l}};
	const uint64_t records = bench_quick(b) ? PEER_RECORDS_QUICK : PEER_RECORDS;
	struct bench_stats s[3];
	uint32_t count = 1;
	int rc = jb_nats_open(&peers[0], root, err);

	if (rc == SLK_OK) {
		bench_library(b, "JetStream", peers[0].version);
		c[count++] = (struct bench_contender){"JetStream, AES", jb_nats_run, &peers[0]};
	} else {
		bench_note(b, "not beside JetStream: %s", err->text);
	}
	rc = jb_redis_open(&peers[1], root, err);
	if (rc == SLK_OK) {
		bench_library(b, "Redis", peers[1].version);
		c[count++] = (struct bench_contender){"Redis stream", jb_redis_run, &peers[1]};
	} else {
		bench_note(b, "not beside Redis: %s", err->text);
	}
	peers[0].records = peers[1].records = records;
	l->bytes = records * JB_RECORD_BYTES;
	const struct bench_shape shape = {.group = "Records of 1 KiB, acknowledged",
		.label = "ours durable",
		.ops = records,
		.bytes_per_op = JB_RECORD_BYTES,
		.working_set_bytes = JB_FILE_BYTES};
	rc = SLK_OK;
	if (count > 1) {
		bench_heading(b, shape.group, c, count);
		bench_compare(b, &shape, c, count, s);
		if (l->failed || peers[0].failed || peers[1].failed)
			rc = slk_fail(err, SLK_UNAVAILABLE, "a broker failed on the way");
		if (rc == SLK_OK && peers[0].pid > 0)
			bench_goal(b, "5: records/s beside JetStream with AES at rest", 20,
				s[1].best / s[0].best, true);
		bench_note(b,
			"JetStream and Redis acknowledge before they flush (their defaults: every "
			"two minutes, every second); the journal after");
	}
	jb_peer_close(&peers[0]);
	jb_peer_close(&peers[1]);
	return rc;
}

/* --- all --- */

static int
measure(struct bench *b, struct jb_bare bare[2], struct jb_lane lanes[3], struct slk_error *err)
{
	static const struct {
		const char *name;
		bool direct, integrity;
	} kinds[3] = {
		{"journal", true, true}, {"no-hashes", true, false}, {"buffered", false, true}};
	const uint64_t bytes = bench_quick(b) ? ROUND_BYTES_QUICK : ROUND_BYTES;
	int rc = SLK_OK;

	for (unsigned i = 0; rc == SLK_OK && i < 2; i++)
		rc = jb_bare_open(&bare[i], root, i == 0, bytes, err);
	for (unsigned i = 0; rc == SLK_OK && i < 3; i++) {
		const struct jb_lane_params params = {
			root, kinds[i].name, kinds[i].direct, kinds[i].integrity, bytes};
		rc = jb_lane_open(&lanes[i], &params, err);
	}
	bench_rounds_at_most(b, APPEND_ROUNDS);
	if (rc == SLK_OK && wanted("append") && measure_append(b, bare, lanes) != 0)
		rc = slk_fail(err, SLK_IO, "an append failed");
	if (rc == SLK_OK && wanted("ack") && measure_ack(b, &bare[0], &lanes[0]) != SLK_OK)
		rc = slk_fail(err, SLK_IO, "a commit failed");
	if (rc == SLK_OK && wanted("shards") && measure_shards(b, &lanes[0]) != SLK_OK)
		rc = slk_fail(err, SLK_IO, "the load of many shards failed");
	bench_rounds_at_most(b, PEER_ROUNDS);
	if (rc == SLK_OK && wanted("peers"))
		rc = measure_peers(b, &lanes[0], err);
	bench_rounds_at_most(b, READ_ROUNDS);
	if (rc == SLK_OK && wanted("reading"))
		rc = measure_reading(b, err);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct jb_bare bare[2] = {{.fds = {-1, -1}}, {.fds = {-1, -1}}};
	static struct jb_lane lanes[3];
	const char *parent = getenv("TMPDIR");
	struct slk_error err = {0};
	struct bench *b = NULL;

	CPU_ZERO(&jb_cpus);
	if (sched_getaffinity(0, sizeof(jb_cpus), &jb_cpus) != 0)
		return EXIT_FAILURE;
	int rc = bench_new(argc, argv, "journal", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	(void)snprintf(root, sizeof(root), "%.200s/sealock-bench-XXXXXX",
		parent != NULL ? parent : "/var/tmp");
	if (mkdtemp(root) == NULL)
		return bench_abort(
			b, "cannot make a directory in %s", parent != NULL ? parent : "/var/tmp");
	bench_note(b, "the disk is that of %s (TMPDIR says another)", root);
	rc = measure(b, bare, lanes, &err);
	for (unsigned i = 0; i < 3; i++)
		if (lanes[i].dir[0] != '\0')
			jb_lane_close(&lanes[i]);
	for (unsigned i = 0; i < 2; i++)
		jb_bare_close(&bare[i]);
	(void)nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
