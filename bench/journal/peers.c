/* NATS JetStream with AES at rest, and Redis streams, each with its default durability; spoken to over TCP on this host. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/bench.h"
#include "journal/journal_bench.h"

#define WINDOW 2048u /* records under way */
#define IN_BYTES (1u << 18)
#define START_TRIES 200

static const char *
program(const char *name, char out[128])
{
	static const char *const dirs[] = {"/usr/sbin", "/usr/bin", "/usr/local/bin"};

	for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		(void)snprintf(out, 128, "%s/%s", dirs[i], name);
		if (access(out, X_OK) == 0)
			return out;
	}
	return NULL;
}

/* A port that was free a moment ago. */
static unsigned
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	unsigned port = 0;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
		getsockname(fd, (struct sockaddr *)&a, &len) == 0)
		port = ntohs(a.sin_port);
	if (fd >= 0)
		(void)close(fd);
	return port;
}

static int
connect_to(unsigned port)
{
	static const struct timespec pause = {.tv_nsec = 50 * 1000 * 1000};
	const struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int one = 1;

	for (int tries = 0; tries < START_TRIES; tries++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0) {
			(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
			return fd;
		}
		if (fd >= 0)
			(void)close(fd);
		nanosleep(&pause, NULL);
	}
	return -1;
}

static int
start(struct jb_peer *p, char *const argv[], unsigned port, struct slk_error *err)
{
	p->pid = fork();
	if (p->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Pinned as the bench is, it would have half a core. */
		(void)pthread_setaffinity_np(pthread_self(), sizeof(jb_cpus), &jb_cpus);
		if (freopen("/dev/null", "w", stdout) == NULL ||
			freopen("/dev/null", "w", stderr) == NULL)
			_exit(126);
		execv(argv[0], argv);
		_exit(127);
	}
	if (p->pid < 0)
		return slk_fail_errno(err, "cannot start %s", argv[0]);
	p->fd = connect_to(port);
	return p->fd >= 0 ? SLK_OK : slk_fail(err, SLK_UNAVAILABLE, "%s does not answer", argv[0]);
}

static int
prepare(struct jb_peer *p, const char *parent, const char *name, struct slk_error *err)
{
	*p = (struct jb_peer){.fd = -1};
	(void)snprintf(p->dir, sizeof(p->dir), "%s/%s", parent, name);
	p->in = malloc(IN_BYTES);
	p->request = malloc(JB_RECORD_BYTES + 256);
	if (p->in == NULL || p->request == NULL)
		return slk_fail(err, SLK_NO_MEMORY, "out of memory");
	return mkdir(p->dir, 0700) == 0 ? SLK_OK : slk_fail_errno(err, "cannot make %s", p->dir);
}

static void
version_of(struct jb_peer *p, const char *path, const char *option)
{
	char command[200];
	FILE *f;

	(void)snprintf(command, sizeof(command), "%s %s 2>&1", path, option);
	f = popen(command, "r");
	if (f != NULL && fgets(p->version, sizeof(p->version), f) != NULL)
		p->version[strcspn(p->version, "\n")] = '\0';
	if (f != NULL)
		(void)pclose(f);
}

static void
set_request(struct jb_peer *p, const char *before)
{
	uint64_t seed = 3;
	size_t n = strlen(before);

	memcpy(p->request, before, n);
	bench_fill(&seed, p->request + n, JB_RECORD_BYTES);
	memcpy(p->request + n + JB_RECORD_BYTES, "\r\n", 2);
	p->request_len = n + JB_RECORD_BYTES + 2;
}

static bool
send_all(const struct jb_peer *p, const void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = send(p->fd, (const char *)bytes + at, len - at, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += (size_t)n;
	}
	return true;
}

static bool
receive(struct jb_peer *p)
{
	ssize_t n = recv(p->fd, p->in + p->in_len, IN_BYTES - p->in_len, 0);

	if (n > 0)
		p->in_len += (size_t)n;
	return n > 0;
}

/* Answers that are whole at the beginning of in are taken: how many of them acknowledge a record; -1: an error. */
typedef int (*take_fn)(struct jb_peer *p);

static void
run(struct jb_peer *p, take_fn take)
{
	uint64_t sent = 0, acked = 0;

	while (acked < p->records && !p->failed) {
		static uint8_t batch[64 * (JB_RECORD_BYTES + 256)];
		size_t len = 0;
		for (unsigned i = 0; i < 64 && sent < p->records && sent - acked < WINDOW; i++) {
			memcpy(batch + len, p->request, p->request_len);
			len += p->request_len;
			sent++;
		}
		p->failed |= len > 0 && !send_all(p, batch, len);
		struct pollfd ready = {.fd = p->fd, .events = POLLIN};
		const bool must = sent - acked >= WINDOW || sent == p->records;
		while (!p->failed && (must || poll(&ready, 1, 0) > 0)) {
			p->failed |= !receive(p);
			int n = p->failed ? -1 : take(p);
			p->failed |= n < 0;
			acked += n > 0 ? (uint64_t)n : 0;
			if (n > 0 || poll(&ready, 1, 0) <= 0)
				break;
		}
	}
}

static void
drop(struct jb_peer *p, size_t len)
{
	p->in_len -= len;
	memmove(p->in, p->in + len, p->in_len);
}

/* --- NATS --- */

static int
take_nats(struct jb_peer *p)
{
	size_t at = 0;
	int acks = 0;

	for (;;) {
		char *end = memmem(p->in + at, p->in_len - at, "\r\n", 2);
		if (end == NULL)
			break;
		size_t line = (size_t)(end - (p->in + at)) + 2;
		if (memcmp(p->in + at, "-ERR", 4) == 0)
			return -1;
		if (memcmp(p->in + at, "PING", 4) == 0 && !send_all(p, "PONG\r\n", 6))
			return -1;
		if (memcmp(p->in + at, "MSG ", 4) == 0) {
			const char *number = end;
			while (number[-1] != ' ')
				number--;
			size_t body = strtoul(number, NULL, 10) + 2;
			if (at + line + body > p->in_len)
				break;
			if (memmem(p->in + at + line, body, "\"error\"", 7) != NULL)
				return -1;
			acks++;
			line += body;
		}
		at += line;
	}
	drop(p, at);
	return acks;
}

int
jb_nats_open(struct jb_peer *p, const char *parent, struct slk_error *err)
{
	static const char create[] =
		"{\"name\":\"bench\",\"subjects\":[\"bench.*\"],\"storage\":\"file\",\"retention\":"
		"\"limits\",\"num_replicas\":1,\"max_bytes\":1073741824,\"discard\":\"old\"}";
	char path[128], conf[600], text[1024];
	int rc = prepare(p, parent, "nats", err);

	if (rc != SLK_OK)
		return rc;
	if (program("nats-server", path) == NULL)
		return slk_fail(err, SLK_NOT_FOUND, "nats-server is not installed");
	version_of(p, path, "--version");
	const unsigned port = free_port();
	(void)snprintf(conf, sizeof(conf), "%s/conf", p->dir);
	FILE *f = fopen(conf, "w");
	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", conf);
	fprintf(f,
		"host: 127.0.0.1\nport: %u\njetstream { store_dir: \"%s/js\", max_file_store: 8GB, "
		"cipher: \"aes\", key: \"a key of the bench, of any length\" }\n",
		port, p->dir);
	if (fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", conf);
	char *const argv[] = {path, (char *)"-c", conf, NULL};
	rc = start(p, argv, port, err);
	if (rc != SLK_OK)
		return rc;
	int n = snprintf(text, sizeof(text),
		"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB _INBOX.b 1\r\n"
		"PUB $JS.API.STREAM.CREATE.bench _INBOX.b %zu\r\n%s\r\n",
		sizeof(create) - 1, create);
	int acks = send_all(p, text, (size_t)n) ? 0 : -1;
	while (acks == 0)
		acks = receive(p) ? take_nats(p) : -1;
	set_request(p, "PUB bench.x _INBOX.b 1024\r\n");
	return acks == 1 ? SLK_OK : slk_fail(err, SLK_UNAVAILABLE, "JetStream made no stream");
}

void
jb_nats_run(void *peer)
{
	run(peer, take_nats);
}

/* --- Redis --- */

/* "$15\r\n1700000000000-0\r\n" for each. */
static int
take_redis(struct jb_peer *p)
{
	size_t at = 0;
	int acks = 0;

	for (;;) {
		char *end = memmem(p->in + at, p->in_len - at, "\r\n", 2);
		if (end == NULL)
			break;
		if (p->in[at] != '$')
			return -1;
		size_t len =
			(size_t)(end - (p->in + at)) + 2 + strtoul(p->in + at + 1, NULL, 10) + 2;
		if (at + len > p->in_len)
			break;
		at += len;
		acks++;
	}
	drop(p, at);
	return acks;
}

int
jb_redis_open(struct jb_peer *p, const char *parent, struct slk_error *err)
{
	char path[128], port_text[16];
	int rc = prepare(p, parent, "redis", err);

	if (rc != SLK_OK)
		return rc;
	if (program("redis-server", path) == NULL)
		return slk_fail(err, SLK_NOT_FOUND, "redis-server is not installed");
	version_of(p, path, "--version");
	const unsigned port = free_port();
	(void)snprintf(port_text, sizeof(port_text), "%u", port);
	char *const argv[] = {path, (char *)"--port", port_text, (char *)"--bind",
		(char *)"127.0.0.1", (char *)"--dir", p->dir, (char *)"--appendonly", (char *)"yes",
		(char *)"--save", (char *)"", NULL};
	rc = start(p, argv, port, err);
	set_request(p,
		"*8\r\n$4\r\nXADD\r\n$1\r\ns\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$6\r\n100000\r\n$1\r\n*"
		"\r\n"
		"$1\r\nd\r\n$1024\r\n");
	return rc;
}

void
jb_redis_run(void *peer)
{
	run(peer, take_redis);
}

void
jb_peer_close(struct jb_peer *p)
{
	if (p->fd >= 0)
		(void)close(p->fd);
	if (p->pid > 0) {
		(void)kill(p->pid, SIGTERM);
		(void)waitpid(p->pid, NULL, 0);
	}
	free(p->in);
	free(p->request);
	*p = (struct jb_peer){.fd = -1};
}
