#include "nginx.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 16u
#define LISTEN_TRIES 500
#define TURN_NS 20000000L
#define PATIENCE_S 20

static const char *
program(void)
{
	static const char *const places[] = {
		"/usr/sbin/nginx", "/usr/bin/nginx", "/usr/local/sbin/nginx"};

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

bool
sn_possible(void)
{
	return program() != NULL && access("/usr/bin/openssl", X_OK) == 0;
}

const char *
sn_nginx_version(void)
{
	static char version[64];
	char command[64], line[128];

	if (program() == NULL)
		return NULL;
	snprintf(command, sizeof(command), "%s -v 2>&1", program());
	FILE *f = popen(command, "re");
	if (f == NULL)
		return NULL;
	bool read = fgets(line, sizeof(line), f) != NULL &&
		sscanf(line, "nginx version: nginx/%63s", version) == 1;
	return pclose(f) == 0 && read ? version : NULL;
}

/* --- a server --- */

static int
write_file(const char *dir, const char *name, const char *text, struct slk_error *err)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "we");
	if (f == NULL || fchmod(fileno(f), 0600) != 0 || fputs(text, f) < 0 || fclose(f) != 0)
		return slk_fail_errno(err, "cannot write %s", path);
	return SLK_OK;
}

static int
make_certificate(const struct sn_server *s, const struct sn_key *key, struct slk_error *err)
{
	char command[1024], keyout[128] = "";

	if (key->nginx == NULL)
		snprintf(keyout, sizeof(keyout), "-nodes -keyout %s/key.pem", s->dir);
	snprintf(command, sizeof(command),
		"OPENSSL_CONF=%s/openssl.cnf openssl req -x509 -new %s %s -subj /CN=bench "
		"-out %s/crt.pem >%s/log 2>&1",
		s->dir, key->openssl, keyout, s->dir, s->dir);
	return system(command) == 0
		? SLK_OK
		: slk_fail(err, SLK_SYSTEM, "openssl req with %s failed, see %s/log", key->openssl,
			  s->dir);
}

static int
configure(const struct sn_server *s, const char *key, struct slk_error *err)
{
	char text[2048], own[160];

	snprintf(own, sizeof(own), "%s/key.pem", s->dir);
	snprintf(text, sizeof(text),
		"daemon off; worker_processes %u; user root; pid %s/pid; error_log stderr;\n"
		"env OPENSSL_CONF; env SOFTHSM2_CONF;\n"
		"events { worker_connections 256; }\n"
		"http { access_log off; client_body_temp_path %s; proxy_temp_path %s;\n"
		"fastcgi_temp_path %s; uwsgi_temp_path %s; scgi_temp_path %s;\n"
		"server { listen unix:%s ssl; ssl_protocols TLSv1.3; ssl_session_tickets off;\n"
		"ssl_certificate %s/crt.pem; ssl_certificate_key \"%s\"; return 200 x; } }\n",
		s->workers, s->dir, s->dir, s->dir, s->dir, s->dir, s->dir, s->socket, s->dir,
		key != NULL ? key : own);
	return write_file(s->dir, "nginx.conf", text, err);
}

static int
connect_to(const struct sn_server *s)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	const struct timeval patience = {PATIENCE_S, 0};

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", s->socket);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0 &&
		connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static int
spawn(struct sn_server *s, struct slk_error *err)
{
	char config[192], log[192], openssl[192];
	cpu_set_t all;

	snprintf(config, sizeof(config), "%s/nginx.conf", s->dir);
	snprintf(log, sizeof(log), "%s/log", s->dir);
	snprintf(openssl, sizeof(openssl), "%s/openssl.cnf", s->dir);
	s->pid = fork();
	if (s->pid < 0)
		return slk_fail_errno(err, "cannot fork");
	if (s->pid == 0) {
		memset(&all, 0xff, sizeof(all));
		(void)sched_setaffinity(
			0, sizeof(all), &all); /* the bench itself sits on one core */
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (freopen(log, "a", stderr) != NULL && setenv("OPENSSL_CONF", openssl, 1) == 0)
			(void)execl(program(), "nginx", "-c", config, (char *)NULL);
		_exit(127);
	}
	for (int i = 0; i < LISTEN_TRIES; i++) {
		const struct timespec turn = {0, TURN_NS};
		int fd = connect_to(s);
		if (fd >= 0) {
			close(fd);
			return SLK_OK;
		}
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			break;
		}
		(void)nanosleep(&turn, NULL);
	}
	return slk_fail(err, SLK_SYSTEM, "nginx with %s does not serve, see %s", s->name, log);
}

int
sn_start(struct sn_server *s, const char *root, const char *config, const struct sn_key *key,
	struct slk_error *err)
{
	snprintf(s->dir, sizeof(s->dir), "%s/%s", root, s->name);
	snprintf(s->socket, sizeof(s->socket), "%s/s", s->dir);
	if (mkdir(s->dir, 0700) != 0)
		return slk_fail_errno(err, "cannot make %s", s->dir);
	int rc = write_file(s->dir, "openssl.cnf", config, err);
	if (rc == SLK_OK)
		rc = make_certificate(s, key, err);
	if (rc == SLK_OK)
		rc = configure(s, key->nginx, err);
	return rc == SLK_OK ? spawn(s, err) : rc;
}

static void
kill_children(pid_t parent)
{
	char path[64];
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	FILE *f = fopen(path, "re");
	while (f != NULL && fscanf(f, "%d", &child) == 1)
		(void)kill(child, SIGKILL);
	if (f != NULL)
		fclose(f);
}

void
sn_stop(struct sn_server *s)
{
	if (s->pid <= 0)
		return;
	(void)kill(s->pid, SIGTERM);
	for (int i = 0; i < LISTEN_TRIES; i++) {
		const struct timespec turn = {0, TURN_NS};
		if (waitpid(s->pid, NULL, WNOHANG) != 0) {
			s->pid = 0;
			return;
		}
		(void)nanosleep(&turn, NULL);
	}
	/* Its workers hang, and it waits for them. */
	kill_children(s->pid);
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

/* --- the load --- */

struct load {
	const struct sn_server *server;
	SSL_CTX *ctx;
	unsigned count;
	bool good;
};

/* The server's proof of its key is checked, its name is not. */
static bool
handshake(const struct load *l)
{
	int fd = connect_to(l->server);
	SSL *ssl = fd >= 0 ? SSL_new(l->ctx) : NULL;

	bool good = ssl != NULL && SSL_set_fd(ssl, fd) == 1 && SSL_connect(ssl) == 1 &&
		SSL_session_reused(ssl) == 0;
	SSL_free(ssl);
	if (fd >= 0)
		close(fd);
	return good;
}

static void *
run(void *arg)
{
	struct load *l = arg;
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	(void)sched_setaffinity(0, sizeof(all), &all);
	l->good = true;
	for (unsigned i = 0; l->good && i < l->count; i++)
		l->good = handshake(l);
	return NULL;
}

bool
sn_handshakes(const struct sn_server *s, unsigned count, unsigned threads)
{
	struct load loads[THREADS_MAX] = {0};
	pthread_t ids[THREADS_MAX];
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	bool good = ctx != NULL && threads > 0 && threads <= THREADS_MAX &&
		SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1;
	unsigned started = 0;

	for (; good && started < threads; started++) {
		loads[started] = (struct load){.server = s, .ctx = ctx, .count = count / threads};
		good = pthread_create(&ids[started], NULL, run, &loads[started]) == 0;
		if (!good)
			break;
	}
	for (unsigned i = 0; i < started; i++)
		good = pthread_join(ids[i], NULL) == 0 && loads[i].good && good;
	SSL_CTX_free(ctx);
	return good;
}
