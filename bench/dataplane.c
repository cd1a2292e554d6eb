/* a worker of ingestd from its port to sealed blocks in memory, beside dpdk-test-crypto-perf and bare MD5 */
#include <intel-ipsec-mb.h>
#include <openssl/evp.h>
#include <rte_version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "dataplane/copying.h"
#include "dataplane/rig.h"
#include "eal.h"

#define RIGS 6u
#define PEER_RUNS 3u
#define PEER_OPERATIONS 3000000u
#define KIB 1024u
#define SMALL 64u
#define SMALL_PER_DATAGRAM 20u
#define MD5S 16384u
#define LARGE_CONTENDERS 8u
#define DIRECT_BLOCK 65536u
#define DIRECT_IN (4u << 20) /* what the packet buffers hold */
#define DIRECT_OUT (2u << 20) /* a group */

enum { LARGE, LARGE_VERIFIED, LARGE_SMALL_GROUPS, FIXED, FIELD, LARGE_COPIED };

static const struct rig_shape shapes[RIGS] = {
	[LARGE] = {"large", KIB, 1, 1, "rule: fixed, shard: 0", "trust-udp", 2048},
	[LARGE_VERIFIED] = {"verified", KIB, 1, 1, "rule: fixed, shard: 0", "verify", 2048},
	[LARGE_SMALL_GROUPS] = {"small-groups", KIB, 1, 1, "rule: fixed, shard: 0", "trust-udp",
		256},
	[FIXED] = {"fixed", SMALL, SMALL_PER_DATAGRAM, 4, "rule: fixed, shard: 0", "trust-udp",
		2048},
	[FIELD] = {"field", SMALL, SMALL_PER_DATAGRAM, 4, "rule: field, field: 1", "trust-udp",
		2048},
	[LARGE_COPIED] = {"copied", KIB, 1, 1, "rule: fixed, shard: 0", "trust-udp", 2048,
		.copies = true},
};

/* A key as long as the records' field. */
static void
run_md5(void *arg)
{
	struct dp_partition *p = arg;
	uint8_t key[15] = "key-00000000000";
	uint32_t shard, sum = 0;

	for (uint32_t i = 0; i < MD5S; i++) {
		key[14] = (uint8_t)('0' + i % 10);
		if (dp_partition_key_shard(p, slk_span(key, sizeof(key)), &shard) == SLK_OK)
			sum += shard;
	}
	__asm__ volatile("" ::"r"(sum));
}

/* The same bytes, from as many buffers to one group, in blocks, and nothing else. */
struct direct {
	IMB_MGR *mgr;
	struct gcm_key_data *key;
	uint8_t *in, *out;
	uint64_t bytes;
};

static void
run_direct(void *arg)
{
	struct direct *d = arg;
	struct gcm_context_data context;
	uint8_t tag[16];
	static const uint8_t nonce[12], aad[16];

	for (uint64_t at = 0; at < d->bytes; at += DIRECT_BLOCK)
		IMB_AES256_GCM_ENC(d->mgr, d->key, &context, d->out + at % DIRECT_OUT,
			d->in + at % DIRECT_IN, DIRECT_BLOCK, nonce, aad, sizeof(aad), tag,
			sizeof(tag));
}

/* As payloads lie in packet buffers: a call for each. */
static void
run_direct_pieces(void *arg)
{
	struct direct *d = arg;
	struct gcm_context_data context;
	uint8_t tag[16];
	static const uint8_t nonce[12], aad[16];

	for (uint64_t at = 0; at < d->bytes; at += DIRECT_BLOCK) {
		IMB_AES256_GCM_INIT(d->mgr, d->key, &context, nonce, aad, sizeof(aad));
		for (uint64_t i = at; i < at + DIRECT_BLOCK; i += KIB)
			IMB_AES256_GCM_ENC_UPDATE(d->mgr, d->key, &context, d->out + i % DIRECT_OUT,
				d->in + i % DIRECT_IN, KIB);
		IMB_AES256_GCM_ENC_FINALIZE(d->mgr, d->key, &context, tag, sizeof(tag));
	}
}

/* What "without sealing" cannot do without. */
static void
run_direct_copy(void *arg)
{
	struct direct *d = arg;

	for (uint64_t at = 0; at < d->bytes; at += KIB)
		memcpy(d->out + at % DIRECT_OUT, d->in + at % DIRECT_IN, KIB);
}

static void
direct_free(struct direct *d)
{
	if (d->mgr != NULL)
		free_mb_mgr(d->mgr);
	free(d->key);
	free(d->in);
	free(d->out);
}

static int
direct_new(struct direct *d, uint64_t bytes)
{
	static const uint8_t key[32] = {1};
	uint64_t seed = 1;

	*d = (struct direct){.mgr = alloc_mb_mgr(0),
		.key = aligned_alloc(64, (sizeof(*d->key) + 63) / 64 * 64),
		.in = aligned_alloc(64, DIRECT_IN),
		.out = aligned_alloc(64, DIRECT_OUT),
		.bytes = bytes};
	if (d->mgr == NULL || d->key == NULL || d->in == NULL || d->out == NULL)
		return SLK_NO_MEMORY;
	init_mb_mgr_auto(d->mgr, NULL);
	IMB_AES256_GCM_PRE(d->mgr, key, d->key);
	bench_fill(&seed, d->in, DIRECT_IN);
	memset(d->out, 0, DIRECT_OUT);
	return imb_get_errno(d->mgr) == 0 ? SLK_OK : SLK_UNSUPPORTED;
}

static void
measure_large(struct bench *b, struct rig *rigs, struct direct *direct, struct bench_stats *out)
{
	const struct bench_contender c[] = {{"port to blocks", rig_run, &rigs[LARGE]},
		{"UDP sums verified", rig_run, &rigs[LARGE_VERIFIED]},
		{"groups of 256 KiB", rig_run, &rigs[LARGE_SMALL_GROUPS]},
		{"port alone", rig_run_port, &rigs[LARGE]},
		{"copied, not sealed", rig_run, &rigs[LARGE_COPIED]},
		{"ipsec-mb, 64 KiB", run_direct, direct},
		{"in pieces of 1 KiB", run_direct_pieces, direct},
		{"memcpy", run_direct_copy, direct}};
	const struct bench_shape shape = {.group = "1 KiB datagrams",
		.label = "per record",
		.ops = rigs[LARGE].wanted,
		.bytes_per_op = KIB,
		.working_set_bytes = 16u << 20};

	bench_heading(b, "1 KiB datagrams, one core, lane's turns included", c, LARGE_CONTENDERS);
	bench_compare(b, &shape, c, LARGE_CONTENDERS, out);
}

static void
measure_small(struct bench *b, struct rig *rigs, struct bench_stats *out)
{
	const struct bench_contender c[] = {
		{"fixed shard", rig_run, &rigs[FIXED]}, {"by field, MD5", rig_run, &rigs[FIELD]}};
	const struct bench_shape shape = {.group = "64 B records, u16",
		.label = "per record",
		.ops = rigs[FIXED].wanted,
		.bytes_per_op = SMALL,
		.working_set_bytes = 16u << 20};

	bench_heading(b, "64 B records, 20 length-prefixed ones per datagram", c, 2);
	bench_compare(b, &shape, c, 2, out);
}

static void
measure_md5(struct bench *b, struct dp_partition *p, struct bench_stats *out)
{
	const struct bench_contender c[] = {{"bare MD5", run_md5, p}};
	const struct bench_shape shape = {.group = "partition keys",
		.label = "15 B",
		.ops = MD5S,
		.bytes_per_op = 15,
		.working_set_bytes = 4096};

	bench_heading(b, "MD5 of a partition key and its shard", c, 1);
	bench_compare(b, &shape, c, 1, out);
}

struct figures {
	double large_ns, copied_ns, direct_ns, pieces_ns, copy_ns, small_ns, field_ns, md5_ns,
		peer_gbps;
};

static void
keep_least(double *kept, double value)
{
	if (*kept == 0 || value < *kept)
		*kept = value;
}

/* The peer is a program of its own: it runs between the comparisons, and the best of each side counts. */
static int
measure_peer(struct bench *b, unsigned core, struct figures *f)
{
	double gbps = 0;
	int rc = peer_gbps(core, KIB, bench_quick(b) ? 20000 : PEER_OPERATIONS, &gbps);

	if (rc == SLK_OK && gbps > f->peer_gbps)
		f->peer_gbps = gbps;
	return rc;
}

static int
measure(struct bench *b, struct rig *rigs, struct direct *direct, struct dp_partition *md5,
	unsigned core)
{
	struct figures f = {0};
	struct bench_stats large[LARGE_CONTENDERS], small[2], bare[1];
	int peer = SLK_OK;

	for (unsigned i = 0; i < (bench_quick(b) ? 1 : PEER_RUNS); i++) {
		peer = measure_peer(b, core, &f);
		measure_large(b, rigs, direct, large);
		measure_small(b, rigs, small);
		measure_md5(b, md5, bare);
		keep_least(&f.large_ns, large[0].best);
		keep_least(&f.copied_ns, large[4].best);
		keep_least(&f.direct_ns, large[5].best);
		keep_least(&f.pieces_ns, large[6].best);
		keep_least(&f.copy_ns, large[7].best);
		keep_least(&f.small_ns, small[0].best);
		keep_least(&f.field_ns, small[1].best);
		keep_least(&f.md5_ns, bare[0].best);
	}
	for (unsigned i = 0; i < RIGS; i++) {
		if (!rig_is_whole(&rigs[i]))
			return SLK_INTERNAL;
	}
	double gbps = KIB * 8 / f.large_ns;
	if (f.peer_gbps > 0) {
		bench_note(b,
			"1 KiB: %.1f Gbit/s from port to blocks, dpdk-test-crypto-perf "
			"(crypto_aesni_gcm, "
			"burst 32, same core, best of %u runs) %.1f Gbit/s",
			gbps, PEER_RUNS, f.peer_gbps);
		bench_goal(b, "5: 1 KiB datagrams, share of dpdk-test-crypto-perf's Gbit/s", 0.6,
			gbps / f.peer_gbps, true);
	} else {
		bench_note(b, "dpdk-test-crypto-perf %s: its goal is not shown",
			peer == SLK_NOT_FOUND ? "is not installed" : "gave no figure");
	}
	bench_goal(b,
		"5: 1 KiB, time with sealing minus without (copied instead), share of ipsec-mb's "
		"on "
		"64 KiB blocks",
		0.5, (f.large_ns - f.copied_ns) / f.direct_ns, false);
	bench_note(b,
		"sealing instead of copying is at least ipsec-mb minus memcpy: %.2f of ipsec-mb's "
		"on "
		"this core, and %.2f where each payload is a piece of its own",
		(f.direct_ns - f.copy_ns) / f.direct_ns, (f.pieces_ns - f.copy_ns) / f.direct_ns);
	bench_goal(b, "5: 64 B records, u16, fixed shard: million records a second", 30,
		1e3 / f.small_ns, true);
	bench_goal(b, "5: with an MD5 per record: share of the bare MD5 rate", 0.7,
		f.md5_ns / f.field_ns, true);
	return SLK_OK;
}

static void
remove_files(const char *dir)
{
	char path[400];

	for (unsigned i = 0; i < RIGS; i++) {
		snprintf(path, sizeof(path), "%s/%s.pcap", dir, shapes[i].name);
		(void)unlink(path);
		snprintf(path, sizeof(path), "%s/%s.yaml", dir, shapes[i].name);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static int
run(struct bench *b, struct rig *rigs, const char *dir, unsigned core, struct slk_error *err)
{
	const struct dp_partition_config pc = {.rule = DP_PARTITION_SOURCE, .shard_count = 4};
	struct dp_partition *md5 = NULL;
	struct direct direct = {0};
	int rc = dp_partition_new(&pc, &md5, err);

	if (rc == SLK_OK && direct_new(&direct, (uint64_t)RIG_DATAGRAMS * KIB) != SLK_OK)
		rc = slk_fail(err, SLK_UNSUPPORTED, "ipsec-mb cannot be used directly");

	for (unsigned i = 0; i < RIGS && rc == SLK_OK; i++)
		rc = rig_new(&rigs[i], &shapes[i], dir, core, i, err);
	copying_set(true);
	if (rc == SLK_OK) {
		rc = measure(b, rigs, &direct, md5, core);
		if (rc != SLK_OK)
			(void)slk_fail(
				err, rc, "frames were dropped, or did not become their records");
	}
	for (unsigned i = 0; i < RIGS; i++)
		rig_free(&rigs[i]);
	dp_partition_free(md5);
	direct_free(&direct);
	return rc;
}

int
main(int argc, char **argv)
{
	static struct rig rigs[RIGS];
	char dir[] = "/tmp/sealock-bench.XXXXXX";
	struct slk_error err = {0};
	struct bench *b = NULL;

	slk_log_init("bench", SLK_LOG_WARN);
	int rc = bench_new(argc, argv, "dataplane", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	bench_library(b, "DPDK", rte_version());
	bench_library(b, "OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING));
	if (mkdtemp(dir) == NULL)
		return bench_abort(b, "cannot make %s", dir);
	rc = run(b, rigs, dir, (unsigned)sched_getcpu(), &err);
	remove_files(dir);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
