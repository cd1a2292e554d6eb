/* kmsd on the fault shim: every call of the token takes a millisecond longer, or the token goes away under load. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/error.h"
#include "kms_bench.h"
#include "p11shim.h"

#define SLOW_OPS 64u
#define SLOW_DEPTH 16u
#define LOAD_DEPTH 8u
#define LOAD_TIMEOUT_MS 1000u
#define SLOW_TIMEOUT_MS 10000u
#define BACK_LIMIT_NS (20 * SLK_NS_PER_S)

static struct bench_shape slow_shape = {.group = "slow HSM",
	.label = "1 ms per call",
	.ops = SLOW_OPS,
	.bytes_per_op = KB_DATA_KEY_BYTES};

struct slow {
	struct kb_daemon d;
	struct kb_pipe *pipe;
	char key[1][320];
	bool broken;
};

static void
run_slow(void *arg)
{
	struct slow *s = arg;

	if (kb_pipe_run(s->pipe, SLOW_OPS, SLOW_DEPTH) != SLK_OK)
		s->broken = true;
}

static int
slow_start(struct slow *s, const char *name, const char *lines, const char *root,
	struct slk_error *err)
{
	static const enum p11shim_function path[] = {
		P11SHIM_C_GenerateRandom, P11SHIM_C_EncryptInit, P11SHIM_C_Encrypt};

	s->d = (struct kb_daemon){
		.name = name, .profile = "generic", .with_shim = true, .hsm_lines = lines};
	int rc = kb_daemon_start(&s->d, root, err);
	if (rc == SLK_OK)
		rc = kb_daemon_keys(&s->d, 1, s->key, err);
	if (rc == SLK_OK)
		rc = kb_pipe_new(&s->d, s->key, 1, SLOW_TIMEOUT_MS, &s->pipe, err);
	if (rc == SLK_OK) /* every worker and session has seen the key before it is slow */
		rc = kb_pipe_run(s->pipe, SLOW_OPS, SLOW_DEPTH);
	for (size_t i = 0; rc == SLK_OK && i < sizeof(path) / sizeof(path[0]); i++)
		p11shim_delay(s->d.shim, path[i], UINT64_MAX, 1);
	return rc;
}

static void
slow_stop(struct slow *s)
{
	kb_pipe_free(s->pipe);
	kb_daemon_stop(&s->d);
}

static bool
is_broken(const struct slow *s)
{
	return s->broken || kb_pipe_stats(s->pipe)->failed_count > 0;
}

/* The worker processes share SoftHSM's token directory, which is not for that; here they only read it. */
static int
slow_hsm(struct bench *b, const char *root, struct kb_fault_figures *out, struct slk_error *err)
{
	static struct slow one, sessions, workers;
	const struct bench_contender c[] = {{"1 session", run_slow, &one},
		{"8 sessions", run_slow, &sessions},
		{"8 workers of 1 session", run_slow, &workers}};
	struct bench_stats st[3];

	int rc = slow_start(&one, "slow1", "  sessions: 1\n", root, err);
	if (rc == SLK_OK)
		rc = slow_start(&sessions, "slow8", "  sessions: 8\n", root, err);
	if (rc == SLK_OK)
		rc = slow_start(&workers, "workers8", "  sessions: 1\n  workers: 8\n", root, err);
	if (rc == SLK_OK) {
		bench_heading(
			b, "GenerateDataKey, 16 in flight, the token's calls take 1 ms", c, 3);
		bench_compare(b, &slow_shape, c, 3, st);
		out->sessions_gain = st[0].best / st[1].best;
		out->workers_gain = st[0].best / st[2].best;
		if (is_broken(&one) || is_broken(&sessions) || is_broken(&workers))
			rc = slk_fail(err, SLK_INTERNAL, "a call of the slow HSM failed");
	}
	slow_stop(&workers);
	slow_stop(&sessions);
	slow_stop(&one);
	return rc;
}

/* Load for load_ns with the token gone, then healed; until the first success. */
static int
outage(struct kb_daemon *d, struct kb_pipe *p, uint64_t gone_ns, double *out_back_ms)
{
	const struct slk_clock *clock = slk_clock_system();

	int rc = kb_pipe_run_until(p, slk_mono_ns(clock) + SLK_NS_PER_S / 4, LOAD_DEPTH);
	if (rc != SLK_OK)
		return rc;
	atomic_store(&d->shim->gone, 1);
	rc = kb_pipe_run_until(p, slk_mono_ns(clock) + gone_ns, LOAD_DEPTH);
	atomic_store(&d->shim->gone, 0);
	uint64_t healed_ns = slk_mono_ns(clock), end_ns = healed_ns + BACK_LIMIT_NS;
	kb_pipe_mark(p, healed_ns);
	while (rc == SLK_OK && kb_pipe_stats(p)->first_ok_ns == 0 && slk_mono_ns(clock) < end_ns)
		rc = kb_pipe_run_until(p, slk_mono_ns(clock) + SLK_NS_PER_MS, LOAD_DEPTH);
	if (rc != SLK_OK)
		return rc;
	uint64_t back_ns = kb_pipe_stats(p)->first_ok_ns;
	if (back_ns == 0)
		return SLK_TIMEOUT;
	*out_back_ms = (double)(back_ns - healed_ns) / 1e6;
	return SLK_OK;
}

/* Calls that hang for longer than the load waits; the worker is not killed for it (its limit is 5 s). */
static int
hang(struct kb_daemon *d, struct kb_pipe *p, uint64_t hang_ms)
{
	const struct slk_clock *clock = slk_clock_system();

	p11shim_delay(d->shim, P11SHIM_C_Encrypt, LOAD_DEPTH, hang_ms);
	int rc = kb_pipe_run_until(p, slk_mono_ns(clock) + hang_ms * SLK_NS_PER_MS, LOAD_DEPTH);
	p11shim_heal(d->shim, P11SHIM_C_Encrypt);
	return rc;
}

static int
recovery(struct bench *b, const char *root, struct kb_fault_figures *out, struct slk_error *err)
{
	/* The last one lets the worker's pauses between two tries grow to their longest. */
	static const unsigned gone_ms[] = {300, 3000, 14000};
	unsigned count = bench_quick(b) ? 1 : sizeof(gone_ms) / sizeof(gone_ms[0]);
	struct kb_daemon d = {.name = "faults", .with_shim = true, .hsm_lines = "  sessions: 2\n"};
	struct kb_pipe *p = NULL;
	char key[1][320];

	int rc = kb_daemon_start(&d, root, err);
	if (rc == SLK_OK)
		rc = kb_daemon_keys(&d, 1, key, err);
	if (rc == SLK_OK)
		rc = kb_pipe_new(&d, key, 1, LOAD_TIMEOUT_MS, &p, err);
	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		double back_ms = 0;
		rc = outage(&d, p, gone_ms[i] * SLK_NS_PER_MS, &back_ms);
		bench_note(b,
			"token gone for %u ms: the first success came %.1f ms after it healed",
			gone_ms[i], back_ms);
		out->back_ms = back_ms > out->back_ms ? back_ms : out->back_ms;
	}
	if (rc == SLK_OK)
		rc = hang(&d, p, bench_quick(b) ? 1500 : 3000);
	if (rc == SLK_OK) {
		const struct kb_pipe_stats *s = kb_pipe_stats(p);
		out->overrun_ms = (double)s->overrun_max_ns / 1e6;
		bench_note(b,
			"under faults %llu calls were answered, %llu refused; a refusal took %.1f "
			"ms at "
			"most (of %u)",
			(unsigned long long)s->ok_count, (unsigned long long)s->failed_count,
			(double)s->failed_max_ns / 1e6, LOAD_TIMEOUT_MS);
	}
	kb_pipe_free(p);
	kb_daemon_stop(&d);
	return rc;
}

int
kb_faults(struct bench *b, const char *root, struct kb_fault_figures *out, struct slk_error *err)
{
	int rc = slow_hsm(b, root, out, err);

	return rc == SLK_OK ? recovery(b, root, out, err) : rc;
}
