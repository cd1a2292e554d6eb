#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/conn.h"

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64

void
http_listen_name(const struct http_listener *listener, char *out, size_t cap)
{
	if (listener->fd >= 0)
		snprintf(out, cap, "descriptor %d", listener->fd);
	else if (listener->via == HTTP_VIA_UNIX)
		snprintf(out, cap, "%s", listener->path);
	else
		snprintf(out, cap, "%s:%u",
			listener->host != NULL && listener->host[0] != '\0' ? listener->host : "*",
			listener->port);
}

/* --- opening --- */

/* Addresses only: names would need a resolver, and may change. */
static int
resolve(const struct http_listener *listener, struct sockaddr_storage *out_address,
	socklen_t *out_len, struct slk_error *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)out_address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out_address;
	const char *host = listener->host != NULL ? listener->host : "";

	memset(out_address, 0, sizeof(*out_address));
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(listener->port);
		*out_len = sizeof(*v4);
		return SLK_OK;
	}
	if (host[0] != '\0' && inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
		return slk_fail(err, SLK_CONFIG, "\"%s\" is no address to listen on", host);
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(listener->port);
	*out_len = sizeof(*v6);
	return SLK_OK;
}

static int
set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* A bound socket. both: "" stands for IPv4 and IPv6. */
static int
bound(const struct sockaddr_storage *address, socklen_t len, bool both, bool shares, int *out_fd)
{
	int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return slk_status_from_errno(errno);
	if (set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1) != 0 ||
		(shares && set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1) != 0) ||
		(address->ss_family == AF_INET6 &&
			set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !both) != 0) ||
		bind(fd, (const struct sockaddr *)address, len) != 0) {
		int saved = errno;
		close(fd);
		errno = saved;
		return saved == EADDRINUSE ? SLK_EXISTS : slk_status_from_errno(saved);
	}
	*out_fd = fd;
	return SLK_OK;
}

static int
port_of(int fd, uint16_t *out_port, struct sockaddr_storage *address)
{
	socklen_t len = sizeof(*address);

	if (getsockname(fd, (struct sockaddr *)address, &len) != 0)
		return slk_status_from_errno(errno);
	if (address->ss_family == AF_INET)
		*out_port = ntohs(((struct sockaddr_in *)address)->sin_port);
	else if (address->ss_family == AF_INET6)
		*out_port = ntohs(((struct sockaddr_in6 *)address)->sin6_port);
	else
		*out_port = 0;
	return SLK_OK;
}

/* SO_REUSEPORT would also let a second program of the same user in, and half of the connections go there. One socket
 * without it, bound and listening for a moment, finds such a program. */
static int
prove_free(const struct sockaddr_storage *address, socklen_t len, bool both)
{
	int fd = -1;
	int rc = bound(address, len, both, false, &fd);

	if (rc != SLK_OK)
		return rc;
	if (listen(fd, 1) != 0)
		rc = errno == EADDRINUSE ? SLK_EXISTS : slk_status_from_errno(errno);
	close(fd);
	return rc;
}

static int
open_tcp(const struct http_listener *listener, unsigned count, int *out_fds, uint16_t *out_port,
	struct slk_error *err)
{
	struct sockaddr_storage address;
	socklen_t len = 0;
	char name[160];
	bool both = listener->host == NULL || listener->host[0] == '\0';
	int rc = resolve(listener, &address, &len, err);

	if (rc != SLK_OK)
		return rc;
	http_listen_name(listener, name, sizeof(name));
	if (listener->port != 0)
		rc = prove_free(&address, len, both);
	for (unsigned i = 0; rc == SLK_OK && i < count; i++) {
		rc = bound(&address, len, both, true, &out_fds[i]);
		/* The others take the port that the first one got. */
		if (rc == SLK_OK && i == 0)
			rc = port_of(out_fds[i], out_port, &address);
		if (rc == SLK_OK && listen(out_fds[i], BACKLOG) != 0)
			rc = slk_status_from_errno(errno);
	}
	if (rc == SLK_EXISTS)
		return slk_fail(err, SLK_EXISTS, "another program listens on %s already", name);
	if (rc == SLK_OK)
		return SLK_OK;
	slk_fail_errno(err, "cannot listen on %s", name);
	return rc;
}

static int
take_descriptor(const struct http_listener *listener, int *out_fds, uint16_t *out_port,
	struct slk_error *err)
{
	struct sockaddr_storage address = {0};
	int fd = fcntl(listener->fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return slk_fail_errno(err, "cannot use descriptor %d to listen", listener->fd);
	int flags = fcntl(fd, F_GETFL), is_listening = 0;
	socklen_t len = sizeof(is_listening);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0 ||
		is_listening == 0 || port_of(fd, out_port, &address) != SLK_OK) {
		close(fd);
		return slk_fail(
			err, SLK_CONFIG, "descriptor %d is no listening socket", listener->fd);
	}
	out_fds[0] = fd;
	return SLK_OK;
}

int
http_listen_open(const struct http_listener *listener, unsigned count, int *out_fds,
	uint16_t *out_port, struct slk_error *err)
{
	*out_port = 0;
	for (unsigned i = 0; i < count; i++)
		out_fds[i] = -1;
	if (listener->fd >= 0)
		return take_descriptor(listener, out_fds, out_port, err);
	if (listener->via == HTTP_VIA_UNIX)
		return slk_sock_listen_stream(listener->path, listener->mode, &out_fds[0], err);
	int rc = open_tcp(listener, count, out_fds, out_port, err);
	for (unsigned i = 0; rc != SLK_OK && i < count; i++) {
		if (out_fds[i] >= 0)
			close(out_fds[i]);
		out_fds[i] = -1;
	}
	return rc;
}

/* --- accepting --- */

static void
describe_v4(
	const struct sockaddr_in *from, struct http_client *client, struct http_address *address)
{
	char text[INET_ADDRSTRLEN] = "";

	inet_ntop(AF_INET, &from->sin_addr, text, sizeof(text));
	snprintf(client->address, sizeof(client->address), "%s:%u", text, ntohs(from->sin_port));
	address->bytes[10] = address->bytes[11] = 0xff;
	memcpy(address->bytes + 12, &from->sin_addr, 4);
	address->is_set = true;
}

static void
describe_v6(
	const struct sockaddr_in6 *from, struct http_client *client, struct http_address *address)
{
	char text[INET6_ADDRSTRLEN] = "";

	if (IN6_IS_ADDR_V4MAPPED(&from->sin6_addr)) {
		struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = from->sin6_port};
		memcpy(&v4.sin_addr, from->sin6_addr.s6_addr + 12, 4);
		describe_v4(&v4, client, address);
		return;
	}
	inet_ntop(AF_INET6, &from->sin6_addr, text, sizeof(text));
	snprintf(client->address, sizeof(client->address), "[%s]:%u", text, ntohs(from->sin6_port));
	memcpy(address->bytes, from->sin6_addr.s6_addr, 16);
	address->is_set = true;
}

static bool
describe_unix(int fd, struct http_client *client)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	client->peer = (struct slk_peer){cred.uid, cred.gid, cred.pid};
	snprintf(client->address, sizeof(client->address), "uid:%u", cred.uid);
	return true;
}

static bool
describe(int fd, const struct sockaddr_storage *from, struct http_client *client,
	struct http_address *address)
{
	if (client->via == HTTP_VIA_UNIX)
		return describe_unix(fd, client);
	if (from->ss_family == AF_INET)
		describe_v4((const struct sockaddr_in *)from, client, address);
	else if (from->ss_family == AF_INET6)
		describe_v6((const struct sockaddr_in6 *)from, client, address);
	else
		return false;
	return set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0;
}

static void
refuse(struct http_thread *thread, int fd, enum http_refusal refusal)
{
	http_count_refused(thread, refusal);
	close(fd);
}

static void
accepted(const struct http_port *port, int fd, const struct sockaddr_storage *from)
{
	struct http_thread *thread = port->thread;
	struct http_server *server = thread->server;
	struct http_client client = {.via = port->listener->via, .listener = port->index};
	struct http_address address = {0};
	bool counts = !port->listener->reserved;

	if (!describe(fd, from, &client, &address)) {
		refuse(thread, fd, HTTP_REFUSED_accept_failed);
		return;
	}
	client.connection = atomic_fetch_add(&server->connection_number, 1) + 1;
	if (counts &&
		atomic_fetch_add(&server->connections, 1) >= server->limits.connections_count) {
		atomic_fetch_sub(&server->connections, 1);
		refuse(thread, fd, HTTP_REFUSED_connections_full);
		return;
	}
	int rc = http_addresses_add(server->addresses, &address);
	if (rc != SLK_OK) {
		if (counts)
			atomic_fetch_sub(&server->connections, 1);
		refuse(thread, fd,
			rc == SLK_LIMIT ? HTTP_REFUSED_address_full : HTTP_REFUSED_no_memory);
		return;
	}
	http_conn_accept(thread, port, fd, &client, &address, counts);
}

/* Without a free descriptor the connection would wait, and wake us, for ever: the spare one makes room to refuse it. */
static bool
refuse_without_descriptors(struct http_thread *thread, int listen_fd)
{
	if (thread->spare_fd < 0)
		return false;
	close(thread->spare_fd);
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	thread->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return fd >= 0;
}

void
http_port_ready(struct http_watch *watch, uint32_t events)
{
	const struct http_port *port = watch->arg;
	struct http_thread *thread = port->thread;

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(
			watch->fd, (struct sockaddr *)&from, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0) {
			accepted(port, fd, &from);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		bool is_full = errno == EMFILE || errno == ENFILE;
		http_count_refused(thread, HTTP_REFUSED_accept_failed);
		if (!is_full || !refuse_without_descriptors(thread, watch->fd))
			return;
	}
}
