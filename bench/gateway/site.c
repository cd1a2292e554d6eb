#include "gateway/site.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/certificate.h"
#include "harness/place.h"
#include "kmsclient/access.h"
#include "kmsclient/iam.h"

#define READY_TRIES 750u
#define PAUSE_NS 20000000
#define CONNECTIONS 256u

static int
make_lever(struct gwb_site *s, struct slk_error *err)
{
	strcpy(s->lever_path, "/var/tmp/sealock-lever-XXXXXX");
	int fd = mkstemp(s->lever_path);

	if (fd < 0 || fchmod(fd, 0644) != 0 || ftruncate(fd, sizeof(*s->lever)) != 0)
		return slk_fail_errno(err, "cannot make %s", s->lever_path);
	s->lever = mmap(NULL, sizeof(*s->lever), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (s->lever != MAP_FAILED)
		return SLK_OK;
	s->lever = NULL;
	return slk_fail_errno(err, "cannot map %s", s->lever_path);
}

/* One that nobody listens on now. */
static uint16_t
free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
		getsockname(fd, (struct sockaddr *)&at, &len) != 0)
		at.sin_port = 0;
	if (fd >= 0)
		close(fd);
	return ntohs(at.sin_port);
}

static bool
listens(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool
wait_until_it_listens(uint16_t port, pid_t pid)
{
	const struct timespec pause = {0, PAUSE_NS};

	for (unsigned i = 0; i < READY_TRIES; i++) {
		if (listens(port))
			return true;
		if (waitpid(pid, NULL, WNOHANG) == pid)
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return false;
}

/* --- the caller --- */

static int
make_caller(struct gwb_site *s, struct slk_error *err)
{
	static const char rights[] =
		"{\"Version\":\"2012-10-17\",\"Statement\":{\"Effect\":\"Allow\","
		"\"Action\":[\"kms:*\",\"kinesis:*\"],\"Resource\":\"*\"}}";
	const struct kmsc_who who = {.name = "bench"};
	struct kmsc_identity user;
	struct kmsc_access_key key;
	struct slk_secret *secret = NULL;
	struct kmsc *c = NULL;

	int rc = kmsc_new(s->host.kmsd.socket, 0, &c);
	if (rc == SLK_OK)
		rc = kmsc_create_user(c, who.name, NULL, 0, &user, err);
	if (rc == SLK_OK)
		rc = kmsc_put_inline_policy(c, who, "all", rights, err);
	if (rc == SLK_OK)
		rc = kmsc_create_access_key(c, who.name, &key, &secret, err);
	if (rc == SLK_OK) {
		(void)snprintf(s->signer.key_id, sizeof(s->signer.key_id), "%s", key.id);
		(void)snprintf(s->signer.secret, sizeof(s->signer.secret), "%.40s",
			(const char *)slk_secret_peek(secret));
	}
	slk_secret_free(secret);
	kmsc_free(c);
	return rc;
}

/* --- the gateway --- */

static int
write_gateway_config(const struct gwb_site *s, const char *path, struct slk_error *err)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		return slk_fail_errno(err, "cannot write %s", path);
	fprintf(f,
		"listen: [{address: '127.0.0.1:%u'}]\n"
		"tls: {certificate: %s/cert.pem, key: %s/key.pem}\nkms: {socket: %s}\n"
		"ingest: {port_socket: %s, status_socket: %s}\njournal: {dir: %s}\n"
		"threads: 2\nlimits: {connections: %u}\nlog: warn\n",
		s->signer.port, s->host.root, s->host.root, s->host.kmsd.socket, s->host.port,
		s->host.status, s->host.journal, CONNECTIONS);
	if (fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", path);
	return SLK_OK;
}

static _Noreturn void
become_gateway(const struct gwb_site *s, const char *program, const char *config, const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (fd < 0 || dup2(fd, 2) < 0 || setenv(LEVER_VARIABLE, s->lever_path, 1) != 0 ||
		setgroups(0, NULL) != 0 ||
		setresgid(BENCH_HOST_INGEST_UID, BENCH_HOST_INGEST_UID, BENCH_HOST_INGEST_UID) !=
			0 || /* the journal's group */
		setresuid(BENCH_HOST_GATEWAY_UID, BENCH_HOST_GATEWAY_UID, BENCH_HOST_GATEWAY_UID) !=
			0)
		_exit(126);
	execl(program, program, "--config", config, (char *)NULL);
	_exit(127);
}

static int
start_gateway(struct gwb_site *s, struct slk_error *err)
{
	char config[KB_PATH_MAX + 16], log[KB_PATH_MAX + 16], key[KB_PATH_MAX + 16],
		program[BENCH_PLACE_MAX];

	(void)snprintf(config, sizeof(config), "%s/gatewayd.yaml", s->host.root);
	(void)snprintf(log, sizeof(log), "%s/gatewayd.log", s->host.root);
	(void)snprintf(key, sizeof(key), "%s/key.pem", s->host.root);
	s->signer.port = free_port();
	int rc = gwb_certificate_make(s->host.root);
	if (rc != SLK_OK || chown(key, BENCH_HOST_GATEWAY_UID, BENCH_HOST_GATEWAY_UID) != 0)
		return slk_fail(err, SLK_IO, "cannot make a certificate in %s", s->host.root);
	rc = write_gateway_config(s, config, err);
	if (rc == SLK_OK)
		rc = bench_place(BENCH_LEVER_GATEWAYD, program, err);
	if (rc != SLK_OK)
		return rc;
	s->gateway = fork();
	if (s->gateway < 0)
		return slk_fail_errno(err, "cannot fork");
	if (s->gateway == 0)
		become_gateway(s, program, config, log);
	return wait_until_it_listens(s->signer.port, s->gateway)
		? SLK_OK
		: slk_fail(err, SLK_UNAVAILABLE, "the gateway does not start; its log is %s", log);
}

/* --- kinesalite --- */

static _Noreturn void
become_kinesalite(const struct gwb_site *s, const char *script)
{
	char port[8];
	int fd = open("/dev/null", O_RDWR);

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	(void)snprintf(port, sizeof(port), "%u", s->other.port);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(126);
	execlp("node", "node", script, "--ssl", "--port", port, "--createStreamMs", "1",
		"--shardLimit", "100", (char *)NULL);
	_exit(127);
}

static const char *
start_kinesalite(struct gwb_site *s)
{
	char command[2 * KB_PATH_MAX], script[KB_PATH_MAX + 48];

	if (system("command -v npm >/dev/null && command -v node >/dev/null") != 0)
		return "npm or node is not installed";
	(void)snprintf(command, sizeof(command),
		"timeout 120 npm install --prefix '%s/npm' --silent --no-fund "
		"--no-audit " GWB_KINESALITE " >/dev/null 2>&1",
		s->host.root);
	if (system(command) != 0)
		return "npm does not give " GWB_KINESALITE;
	(void)snprintf(
		script, sizeof(script), "%s/npm/node_modules/kinesalite/cli.js", s->host.root);
	s->other = (struct gwb_signer){"bench", "bench", free_port()};
	s->kinesalite = fork();
	if (s->kinesalite == 0)
		become_kinesalite(s, script);
	if (s->kinesalite > 0 && wait_until_it_listens(s->other.port, s->kinesalite))
		return NULL;
	s->kinesalite = 0;
	return GWB_KINESALITE " does not start";
}

/* --- all of it --- */

static int
start_ingestd(struct gwb_site *s, struct slk_error *err)
{
	char sections[512];

	(void)snprintf(sections, sizeof(sections),
		"eal: {hugepages: off, memory_mb: 128}\n"
		"ports:\n  - {name: loop, type: ring, ipv4: 10.77.0.2}\n"
		"journal: {dir: %s, retention: {max_mb: 4096}}\n",
		s->host.journal);
	return bench_host_ingestd(&s->host, sections, err);
}

int
gwb_site_start(struct gwb_site *s, bool emulator, const char **out_why, struct slk_error *err)
{
	int rc = make_lever(s, err);

	s->host.lever = s->lever_path;
	if (rc == SLK_OK)
		rc = bench_host_start(&s->host, "web", GWB_SHARDS, err);
	if (rc == SLK_OK)
		rc = bench_host_stream(&s->host, "sealed", 1, err);
	if (rc == SLK_OK)
		rc = bench_host_stream(&s->host, "copied", 1, err);
	if (rc == SLK_OK)
		rc = kb_daemon_keys(&s->host.kmsd, 1, &s->key_arn, err);
	if (rc == SLK_OK)
		rc = make_caller(s, err);
	if (rc == SLK_OK)
		rc = start_ingestd(s, err);
	if (rc == SLK_OK)
		rc = start_gateway(s, err);
	if (rc == SLK_OK)
		*out_why = emulator ? start_kinesalite(s) : "not asked for";
	return rc;
}

static void
end(pid_t *pid)
{
	if (*pid <= 0)
		return;
	(void)kill(*pid, SIGTERM);
	(void)waitpid(*pid, NULL, 0);
	*pid = 0;
}

void
gwb_site_stop(struct gwb_site *s)
{
	end(&s->kinesalite);
	end(&s->gateway);
	if (s->host.root[0] != '\0')
		bench_host_stop(&s->host);
	if (s->lever != NULL)
		(void)munmap(s->lever, sizeof(*s->lever));
	if (s->lever_path[0] != '\0')
		(void)unlink(s->lever_path);
}

static uint64_t
cpu_of(pid_t pid)
{
	clockid_t id;
	struct timespec t;

	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * SLK_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t
gwb_site_gateway_ns(const struct gwb_site *s)
{
	return cpu_of(s->gateway);
}

uint64_t
gwb_site_cpu_ns(const struct gwb_site *s)
{
	return cpu_of(s->gateway) + cpu_of(s->host.ingestd);
}
