/* ten minutes of ingestd and kmsd under full load: does their memory stay where the configuration says, and what gets done */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <yajl/yajl_tree.h>

#include "base/clock.h"
#include "base/sock.h"
#include "frames.h"
#include "host/host.h"

#define SOAK_S 600u
#define SOAK_QUICK_S 3u
#define UDP_PORT 5514u
#define FRAMES 256u
#define RECORD_BYTES 1024u
#define READY_TRIES 500u
#define STATUS_MAX (1u << 20)
#define GROWTH_MAX_MIB 1.0
#define MIB 1048576.0

/* What one look at them says. */
struct look {
	uint64_t records, bytes, keys, drops, failures;
	double ingestd_mib, kmsd_mib;
};

/* --- what they run on --- */

static int
write_frames(const char *path, struct slk_error *err)
{
	static uint8_t frame[FRAME_CAP], payload[RECORD_BYTES];
	uint64_t seed = 1;
	FILE *f = frame_pcap_create(path);

	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	for (unsigned i = 0; i < FRAMES; i++) {
		bench_fill(&seed, payload, sizeof(payload));
		struct frame_spec spec = frame_udp4(payload, sizeof(payload));
		spec.dest_port = UDP_PORT;
		frame_pcap_write(f, frame, frame_build(&spec, frame, sizeof(frame)));
	}
	frame_pcap_close(f);
	return SLK_OK;
}

static int
start(struct bench_host *h, struct slk_error *err)
{
	char frames[KB_PATH_MAX + 16], sections[1024];

	int rc = bench_host_start(h, "soak", 4, err);
	(void)snprintf(frames, sizeof(frames), "%s/frames.pcap", h->root);
	if (rc == SLK_OK)
		rc = write_frames(frames, err);
	if (rc != SLK_OK)
		return rc;
	(void)snprintf(sections, sizeof(sections),
		"eal: {hugepages: off, memory_mb: 128, idle: busy}\n"
		"ports:\n  - {name: gen, type: pcap, rx_file: %s, loop: true, ipv4: 10.77.0.2/24, "
		"mac: "
		"\"02:00:00:00:02:02\", checksums: trust-udp, mtu: 1500}\n"
		"listeners:\n  - {udp_port: %u, stream: soak, framing: datagram, partition: {rule: "
		"round-robin}, "
		"principal: \"arn:aws:iam::000000000000:role/bench\"}\n"
		"journal: {dir: %s, retention: {max_mb: 1024}}\nkeys: {renewal_seconds: 10}\n",
		frames, UDP_PORT, h->journal);
	return bench_host_ingestd(h, sections, err);
}

/* --- looking at them --- */

static uint64_t
number(yajl_val root, const char *a, const char *b)
{
	const char *path[] = {a, b, NULL};
	yajl_val v = yajl_tree_get(root, path, yajl_t_number);

	return YAJL_IS_INTEGER(v) && YAJL_GET_INTEGER(v) > 0 ? (uint64_t)YAJL_GET_INTEGER(v) : 0;
}

static uint64_t
sum_of(yajl_val root, const char *name)
{
	const char *path[] = {name, NULL};
	yajl_val v = yajl_tree_get(root, path, yajl_t_object);
	uint64_t sum = 0;

	for (size_t i = 0; v != NULL && i < v->u.object.len; i++)
		sum += number(v, v->u.object.keys[i], NULL);
	return sum;
}

/* VmRSS, 0 if it is gone. */
static double
rss_mib(pid_t pid)
{
	char path[64], line[128];
	double kib = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "VmRSS:", 6) == 0)
			kib = strtod(line + 6, NULL);
	if (f != NULL)
		(void)fclose(f);
	return kib * 1024 / MIB;
}

/* The monitor with its children. */
static double
kmsd_mib(pid_t pid)
{
	char path[96];
	double sum = rss_mib(pid);
	int child = 0;

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fscanf(f, "%d", &child) == 1)
		sum += rss_mib(child);
	if (f != NULL)
		(void)fclose(f);
	return sum;
}

static int
look_at(const struct bench_host *s, struct look *out, struct slk_error *err)
{
	const struct slk_sock_ops *sock = slk_sock_posix();
	static char text[STATUS_MAX + 1];
	size_t len = 0;
	int fd = -1;

	int rc = slk_sock_connect(s->status, &fd, err);
	if (rc != SLK_OK)
		return rc;
	rc = sock->wait_readable(sock->ctx, fd, slk_mono_ns(slk_clock_system()) + 5 * SLK_NS_PER_S);
	if (rc == SLK_OK)
		rc = sock->recv(sock->ctx, fd, text, STATUS_MAX, &len);
	(void)close(fd);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "ingestd gives no status");
	text[len] = '\0';
	yajl_val root = yajl_tree_parse(text, NULL, 0);
	if (root == NULL)
		return slk_fail(err, SLK_MALFORMED, "ingestd's status is no JSON");
	*out = (struct look){.records = number(root, "records", NULL),
		.bytes = number(root, "bytes", NULL),
		.keys = number(root, "keys", NULL),
		.drops = sum_of(root, "drops"),
		.failures = number(root, "journal", "failures") +
			number(root, "journal", "trim_failures"),
		.ingestd_mib = rss_mib(s->ingestd),
		.kmsd_mib = kmsd_mib(s->kmsd.pid)};
	yajl_tree_free(root);
	return SLK_OK;
}

static int
wait_flowing(const struct bench_host *s, struct look *out, struct slk_error *err)
{
	const struct timespec pause = {0, 20 * 1000 * 1000};
	int rc = SLK_UNAVAILABLE;

	for (unsigned i = 0; i < READY_TRIES; i++) {
		rc = look_at(s, out, err);
		if (rc == SLK_OK && out->records > 0)
			return SLK_OK;
		if (waitpid(s->ingestd, NULL, WNOHANG) == s->ingestd)
			return slk_fail(
				err, SLK_UNAVAILABLE, "ingestd ended; its log is in %s", s->root);
		(void)nanosleep(&pause, NULL);
	}
	return rc != SLK_OK ? rc : slk_fail(err, SLK_TIMEOUT, "no record became durable");
}

/* Most of what they took within [from, to) of the looks. */
static double
most(const struct look *looks, unsigned from, unsigned to, bool kmsd)
{
	double mib = 0;

	for (unsigned i = from; i < to; i++) {
		double v = kmsd ? looks[i].kmsd_mib : looks[i].ingestd_mib;
		mib = v > mib ? v : mib;
	}
	return mib;
}

static int
run(struct bench *b, const struct bench_host *s, struct slk_error *err)
{
	static struct look looks[SOAK_S];
	const unsigned seconds = bench_quick(b) ? SOAK_QUICK_S : SOAK_S;
	const unsigned tenth = seconds >= 10 ? seconds / 10 : 1;
	const struct timespec second = {1, 0};
	struct look first;

	int rc = wait_flowing(s, &first, err);
	for (unsigned i = 0; rc == SLK_OK && i < seconds; i++) {
		(void)nanosleep(&second, NULL);
		rc = look_at(s, &looks[i], err);
	}
	if (rc != SLK_OK)
		return rc;
	const struct look *last = &looks[seconds - 1];
	double early[2], late[2];
	for (unsigned i = 0; i < 2; i++) {
		early[i] =
			most(looks, tenth, seconds / 2 > tenth ? seconds / 2 : tenth + 1, i == 1);
		late[i] = most(looks, seconds - tenth, seconds, i == 1);
	}
	if (last->records <= first.records || last->failures > 0)
		return slk_fail(err, SLK_INTERNAL, "%llu records, %llu failures of the journal",
			(unsigned long long)(last->records - first.records),
			(unsigned long long)last->failures);
	bench_note(b,
		"%u s: %.0f records of 1 KiB a second, %.0f MB/s into the journal, %llu data keys, "
		"%llu drops",
		seconds, (double)(last->records - first.records) / seconds,
		(double)(last->bytes - first.bytes) / 1e6 / seconds, (unsigned long long)last->keys,
		(unsigned long long)last->drops);
	bench_note(b, "MiB resident: ingestd %.1f, then %.1f; kmsd's processes %.1f, then %.1f",
		early[0], late[0], early[1], late[1]);
	bench_goal(b, "issue 5: ingestd's memory in the last tenth minus in the first half, MiB",
		GROWTH_MAX_MIB, late[0] - early[0], false);
	bench_goal(b, "issue 5: kmsd's memory in the last tenth minus in the first half, MiB",
		GROWTH_MAX_MIB, late[1] - early[1], false);
	return SLK_OK;
}

int
main(int argc, char **argv)
{
	static struct bench_host soak;
	struct slk_error err = {0};
	struct bench *b = NULL;

	int rc = bench_new(argc, argv, "soak", &b);
	if (rc != SLK_OK)
		return rc == SLK_END ? EXIT_SUCCESS : EXIT_FAILURE;
	/* They run where they would without a bench, and it only looks. */
	cpu_set_t all;
	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	rc = start(&soak, &err);
	if (rc == SLK_OK)
		rc = run(b, &soak, &err);
	bench_host_stop(&soak);
	return rc == SLK_OK ? bench_finish(b) : bench_abort(b, "%s", err.text);
}
