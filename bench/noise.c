/* how much the machine disturbs a thread that only looks at the clock, and what a look and a flush cost */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hist.h"
#include "harness/bench.h"

#define GAP_NS 1000.0 /* what is shorter is the loop itself */
#define LONG_GAP_NS 20000.0 /* latency benches count these apart */
#define SPIN_NS 5e9
#define SPIN_QUICK_NS 5e7
#define LOOKS 4096u
#define FLUSHES 400u
#define FLUSHES_QUICK 4u
#define PAGE 4096u

struct spin {
	double lost_ns; /* in gaps above 20 us */
	uint64_t gaps; /* of them */
	uint64_t longest_ns;
};

static void
spin(double for_ns, double ticks_per_ns, struct slk_hist *gaps, struct spin *out)
{
	uint64_t gap = (uint64_t)(GAP_NS * ticks_per_ns);
	uint64_t last = bench_ticks(), now = last;
	uint64_t end = last + (uint64_t)(for_ns * ticks_per_ns);

	while (now < end) {
		now = bench_ticks();
		if (now - last >= gap) {
			double ns = (double)(now - last) / ticks_per_ns;
			slk_hist_add(gaps, (uint64_t)ns, 1);
			if (ns > LONG_GAP_NS) {
				out->gaps++;
				out->lost_ns += ns;
			}
			if ((uint64_t)ns > out->longest_ns)
				out->longest_ns = (uint64_t)ns;
		}
		last = now;
	}
}

static void
look_at_tsc(void *arg)
{
	uint64_t *sum = arg;

	for (unsigned i = 0; i < LOOKS; i++)
		*sum += bench_ticks();
}

static void
look_at_clock(void *arg)
{
	uint64_t *sum = arg;

	for (unsigned i = 0; i < LOOKS; i++)
		*sum += slk_mono_ns(slk_clock_system());
}

/* A page written anew and flushed: the least that anything durable costs here. */
static int
flush(int fd, const uint8_t page[PAGE], unsigned times, struct slk_hist *out)
{
	for (unsigned i = 0; i < times; i++) {
		uint64_t begin = slk_mono_ns(slk_clock_system());
		if (pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE || fdatasync(fd) != 0)
			return -1;
		slk_hist_add(out, slk_mono_ns(slk_clock_system()) - begin, 1);
	}
	return 0;
}

static void
measure_flush(struct bench *b)
{
	static struct slk_hist hist;
	static const uint8_t page[PAGE] = {1};
	const char *directory = getenv("TMPDIR");
	char path[4096];

	slk_hist_init(&hist);
	(void)snprintf(path, sizeof(path), "%s/sealock-noise-XXXXXX",
		directory != NULL ? directory : "/var/tmp");
	int fd = mkstemp(path);
	/* The page is there before the clock starts: no metadata later. */
	if (fd < 0 || pwrite(fd, page, PAGE, 0) != (ssize_t)PAGE || fsync(fd) != 0 ||
		flush(fd, page, bench_quick(b) ? FLUSHES_QUICK : FLUSHES, &hist) != 0)
		bench_note(b, "no flush was measured: %s: %s", path, strerror(errno));
	else
		bench_latency(b,
			&(struct bench_shape){.group = "A page, overwritten and flushed",
				.label = "4096 B",
				.bytes_per_op = PAGE},
			"pwrite, fdatasync", &hist);
	if (fd >= 0) {
		(void)unlink(path);
		(void)close(fd);
	}
}

int
main(int argc, char **argv)
{
	static struct slk_hist gaps;
	struct bench *b = NULL;
	struct spin s = {0};
	uint64_t sums[2] = {0};

	int rc = bench_new(argc, argv, "noise", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	double for_ns = bench_quick(b) ? SPIN_QUICK_NS : SPIN_NS;
	slk_hist_init(&gaps);
	spin(for_ns, bench_ticks_per_ns(b), &gaps, &s);
	bench_latency(b,
		&(struct bench_shape){
			.group = "Gaps of a spinning thread, above 1 us", .label = "gap"},
		"spinning thread", &gaps);
	bench_note(b,
		"noise floor: %.3f %% of the time lost in %.0f gaps per second above 20 us; the "
		"longest %.3f ms",
		100 * s.lost_ns / for_ns, (double)s.gaps * 1e9 / for_ns,
		(double)s.longest_ns / 1e6);
	const struct bench_contender c[] = {{"time stamp counter", look_at_tsc, &sums[0]},
		{"clock_gettime", look_at_clock, &sums[1]}};
	const struct bench_shape looks = {
		.group = "A look at the clock", .label = "look", .ops = LOOKS};
	bench_heading(b, "A look at the clock", c, 2);
	bench_compare(b, &looks, c, 2, NULL);
	measure_flush(b);
	return bench_finish(b);
}
