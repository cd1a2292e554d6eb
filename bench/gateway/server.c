#include "gateway/server.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/certificate.h"
#include "http/http.h"

/* --- the child --- */

static void
head(void *thread, struct http_exchange *x)
{
	(void)thread;
	if (http_exchange_gather(x, 16u << 20) != SLK_OK)
		http_answer_bytes(x, 503, NULL, 0, "", 0);
}

static void
end(void *thread, struct http_exchange *x, int status)
{
	static const struct http_field type = {"content-type", "text/plain"};
	char text[32];

	(void)thread;
	int n = snprintf(text, sizeof(text), "%zu", http_exchange_body(x)->len);
	http_answer_bytes(x, status == SLK_OK ? 200 : 503, &type, 1, text, (size_t)n);
}

static int
serve(const char *dir, int out_fd)
{
	static const struct http_handler handler = {.head = head, .end = end};
	char certificate[300], key[300];
	struct slk_error err;
	struct http_server *server = NULL;
	const struct http_listener listeners[] = {
		{.via = HTTP_VIA_TCP, .host = "127.0.0.1", .fd = -1, .handler = &handler},
		{.via = HTTP_VIA_TLS, .host = "127.0.0.1", .fd = -1, .handler = &handler},
	};

	snprintf(certificate, sizeof(certificate), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	const struct http_server_config config = {.threads = 1,
		.listeners = listeners,
		.listeners_count = 2,
		.limits = {.address_connections_count = 16384},
		.tls = {certificate, key, NULL}};
	if (http_server_new(&config, &server, &err) != SLK_OK ||
		http_server_start(server, &err) != SLK_OK) {
		fprintf(stderr, "bench: %s\n", err.text);
		return EXIT_FAILURE;
	}
	uint16_t ports[2] = {http_server_port(server, 0), http_server_port(server, 1)};
	if (write(out_fd, ports, sizeof(ports)) != sizeof(ports))
		return EXIT_FAILURE;
	close(out_fd);
	for (;;)
		pause(); /* until it is killed */
}

/* The bench is pinned to a core; its server has the others. */
static void
leave_core(void)
{
	cpu_set_t own, others;
	long count = sysconf(_SC_NPROCESSORS_ONLN);

	if (count < 2 || sched_getaffinity(0, sizeof(own), &own) != 0)
		return;
	CPU_ZERO(&others);
	for (long i = 0; i < count && i < CPU_SETSIZE; i++) {
		if (!CPU_ISSET(i, &own))
			CPU_SET(i, &others);
	}
	(void)sched_setaffinity(0, sizeof(others), &others);
}

int
gwb_server_start(struct gwb_server *s, struct slk_error *err)
{
	struct rlimit files;
	int pipes[2];
	uint16_t ports[2];
	const char *tmp = getenv("TMPDIR");

	/* Both sides of 10,000 connections: raised as far as it may be. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	snprintf(s->dir, sizeof(s->dir), "%.200s/sealock-bench-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(s->dir) == NULL || pipe(pipes) != 0)
		return slk_fail_errno(err, "cannot make a directory for the server's certificate");
	int rc = gwb_certificate_make(s->dir);
	if (rc != SLK_OK)
		return slk_fail(err, rc, "cannot make a certificate in %s", s->dir);
	s->pid = fork();
	if (s->pid < 0)
		return slk_fail_errno(err, "cannot start the server");
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[0]);
		leave_core();
		_exit(serve(s->dir, pipes[1]));
	}
	close(pipes[1]);
	ssize_t n = read(pipes[0], ports, sizeof(ports));
	close(pipes[0]);
	if (n != sizeof(ports))
		return slk_fail(err, SLK_SYSTEM, "the server does not start");
	s->tcp_port = ports[0];
	s->tls_port = ports[1];
	return SLK_OK;
}

void
gwb_server_stop(struct gwb_server *s)
{
	char path[300];

	if (s->pid > 0) {
		kill(s->pid, SIGKILL);
		waitpid(s->pid, NULL, 0);
	}
	snprintf(path, sizeof(path), "%s/cert.pem", s->dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/key.pem", s->dir);
	unlink(path);
	rmdir(s->dir);
}

uint64_t
gwb_server_cpu_ns(const struct gwb_server *s)
{
	clockid_t id;
	struct timespec t;

	if (clock_getcpuclockid(s->pid, &id) != 0 || clock_gettime(id, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * SLK_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t
gwb_server_memory_bytes(const struct gwb_server *s)
{
	char path[64];
	unsigned long total = 0, resident = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)s->pid);
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return 0;
	int n = fscanf(f, "%lu %lu", &total, &resident);
	fclose(f);
	return n == 2 ? (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}
