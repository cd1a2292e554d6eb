/* the appliance that runs here, as its own users see it: data keys by its token, at several depths */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kms/kms_bench.h"
#include "kmsclient/kmsclient.h"

#define TIMEOUT_MS 10000u
#define CALLS 4000u
#define CALLS_QUICK 20u

static const unsigned depths[] = {1, 8, 32, 64};

/* The running kmsd, by the words that it uses of itself. Borrowed until the process ends. */
static int
describe(struct bench *b, const char *socket, struct slk_error *err)
{
	static struct kmsc_status status;
	struct kmsc *c = NULL;

	int rc = kmsc_new(socket, TIMEOUT_MS, &c);
	if (rc == SLK_OK)
		rc = kmsc_status(c, &status, err);
	kmsc_free(c);
	if (rc != SLK_OK)
		return rc;
	bench_library(b, "token", status.token_label);
	bench_library(b, "HSM profile", status.hsm_profile);
	bench_library(b, "module", status.module);
	return SLK_OK;
}

static int
run_depth(struct bench *b, struct kb_pipe *pipe, unsigned depth, struct slk_error *err)
{
	const unsigned calls = bench_quick(b) ? CALLS_QUICK : depth == 1 ? CALLS / 4 : CALLS;
	struct kb_pipe_stats *s = kb_pipe_stats(pipe);
	char label[32];
	const struct bench_shape shape = {.group = "GenerateDataKey, each call", .label = label};

	(void)snprintf(label, sizeof(label), "%u in flight", depth);
	slk_hist_init(&s->latency);
	s->ok_count = s->failed_count = 0;
	uint64_t begin_ns = slk_mono_ns(slk_clock_system());
	int rc = kb_pipe_run(pipe, calls, depth);
	double seconds = (double)(slk_mono_ns(slk_clock_system()) - begin_ns) / 1e9;
	if (rc != SLK_OK)
		return slk_fail(err, rc, "kmsd's connection: %s", slk_status_sentence(rc));
	if (s->failed_count > 0)
		return slk_fail(err, SLK_DENIED,
			"%llu of %u calls were refused or failed; may this user call "
			"GenerateDataKey with the key?",
			(unsigned long long)s->failed_count, calls);
	bench_latency(b, &shape, "kmsd", &s->latency);
	bench_note(b, "%s: %.0f data keys a second", label, calls / seconds);
	return SLK_OK;
}

static int
measure_keys(struct bench *b, const char *socket, const char *name, struct slk_error *err)
{
	static char keys[1][320];
	struct kb_daemon running = {.name = "running"};
	struct kb_pipe *pipe = NULL;

	if (strlen(name) >= sizeof(keys[0]) || strlen(socket) >= sizeof(running.socket))
		return slk_fail(err, SLK_TOO_LARGE, "the name of key or socket is too long");
	(void)snprintf(keys[0], sizeof(keys[0]), "%s", name);
	(void)snprintf(running.socket, sizeof(running.socket), "%s", socket);
	int rc = describe(b, socket, err);
	if (rc == SLK_OK)
		rc = kb_pipe_new(&running, keys, 1, TIMEOUT_MS, &pipe, err);
	for (unsigned i = 0; rc == SLK_OK && i < sizeof(depths) / sizeof(depths[0]); i++)
		rc = run_depth(b, pipe, depths[i], err);
	kb_pipe_free(pipe);
	return rc;
}

int
main(int argc, char **argv)
{
	const char *key = getenv("SEALOCK_BENCH_KEY"), *socket = getenv("SEALOCK_KMS_SOCKET");
	struct slk_error err = {0};
	struct bench *b = NULL;

	int rc = bench_new(argc, argv, "appliance", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	if (key == NULL)
		bench_note(b,
			"not measured: set SEALOCK_BENCH_KEY to a key or alias of the running kmsd "
			"with "
			"which this user may GenerateDataKey");
	else
		rc = measure_keys(b, socket != NULL ? socket : KMSC_DEFAULT_SOCKET, key, &err);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
