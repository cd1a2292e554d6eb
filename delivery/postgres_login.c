#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "postgres_link_inner.h"

#define ADDRESSES_MAX 8u
#define ADDRESSES_TEXT (ADDRESSES_MAX * (INET6_ADDRSTRLEN + 1u))

/* --- names --- */

/* Of its own memory: a look-up cannot be stopped, and may end after its link. */
struct dlv_link_names {
	struct dlv_task task;
	struct dlv_loop *loop;
	struct dlv_link *link; /* NULL: it went; the loop's alone */
	int code; /* of getaddrinfo() */
	char addresses[ADDRESSES_TEXT];
	char host[]; /* terminated */
};

static void
on_names(void *arg)
{
	struct dlv_link_names *names = arg;
	struct dlv_link *link = names->link;
	char why_not[200] = "";

	if (link != NULL) {
		link->names = NULL;
		snprintf(why_not, sizeof(why_not), "the host's name was not found: %s",
			names->code != 0 ? gai_strerror(names->code) : "it has no address");
		dlv_link_connect(
			link, names->addresses[0] != '\0' ? names->addresses : NULL, why_not);
	}
	free(names);
}

static void
put_address(struct dlv_link_names *names, const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	size_t len = strlen(names->addresses);

	if (address->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text,
			sizeof(text));
	else if (address->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text,
			sizeof(text));
	if (text[0] != '\0')
		snprintf(names->addresses + len, sizeof(names->addresses) - len, "%s%s",
			len > 0 ? "," : "", text);
}

/* In a thread of the pool: it may wait. */
static void
find_names(void *arg)
{
	struct dlv_link_names *names = arg;
	const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found = NULL;
	unsigned count = 0;

	names->code = getaddrinfo(names->host, NULL, &hints, &found);
	if (names->code == 0) {
		for (const struct addrinfo *at = found; at != NULL && count < ADDRESSES_MAX;
			at = at->ai_next, count++)
			put_address(names, at->ai_addr);
		freeaddrinfo(found);
	}
	names->task.fn = on_names;
	dlv_loop_post(names->loop, &names->task);
}

static bool
is_address(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1;
}

int
dlv_link_find_names(struct dlv_link *link)
{
	size_t len = strlen(link->config.host);
	struct dlv_link_names *names = calloc(1, sizeof(*names) + len + 1);

	if (names == NULL)
		return SLK_NO_MEMORY;
	memcpy(names->host, link->config.host, len + 1);
	names->loop = link->config.loop;
	names->link = link;
	names->task.arg = names;
	link->names = names;
	if (is_address(names->host)) {
		snprintf(names->addresses, sizeof(names->addresses), "%s", names->host);
		names->task.fn = on_names;
		dlv_loop_post(link->config.loop, &names->task);
	} else {
		names->task.fn = find_names;
		dlv_loop_work(link->config.loop, &names->task);
	}
	return SLK_OK;
}

void
dlv_link_forget_names(struct dlv_link *link)
{
	if (link->names != NULL)
		link->names->link = NULL;
	link->names = NULL;
}

/* --- logging in --- */

static const char *
sslmode_text(enum dlv_sslmode sslmode)
{
	switch (sslmode) {
	case DLV_SSL_VERIFY_CA:
		return "verify-ca";
	case DLV_SSL_DISABLE:
		return "disable";
	case DLV_SSL_PREFER:
		return "prefer";
	case DLV_SSL_DEFAULT:
	case DLV_SSL_VERIFY_FULL:
		break;
	}
	return "verify-full";
}

/* The same text for each address: libpq wants lists of one length. */
static void
repeat(const char *text, const char *addresses, char *out, size_t cap)
{
	size_t len = 0;
	const char *at = addresses;

	do {
		len += (size_t)snprintf(
			out + len, cap - len, "%s%s", at == addresses ? "" : ",", text);
		at = strchr(at, ',');
	} while (at++ != NULL && len < cap);
}

static void
no_notice(void *arg, const PGresult *result)
{
	(void)arg;
	(void)result;
}

/* What libpq would take from a home directory is said here. Files that are not there are no certificates and no passwords. */
static PGconn *
start(const struct dlv_link_config *config, const char *hosts, const char *ports,
	const char *addresses, const char *password)
{
	static const char none[] = "/nonexistent";
	bool plain = config->how.sslmode == DLV_SSL_DISABLE;
	bool verified = !plain && config->how.sslmode != DLV_SSL_PREFER;
	const char *const names[] = {"host", "hostaddr", "port", "dbname", "user", "password",
		"passfile", "sslmode", "sslrootcert", "sslcrl", "sslcert", "sslkey",
		"ssl_min_protocol_version", "gssencmode", "channel_binding", "target_session_attrs",
		"client_encoding", "application_name", "keepalives", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "tcp_user_timeout", NULL};
	const char *const values[] = {hosts, addresses, ports, config->database, config->user,
		password, none, sslmode_text(config->how.sslmode), verified ? config->how.ca : none,
		none, none, none, "TLSv1.2", "disable", plain ? "disable" : "prefer", "any", "UTF8",
		"sealock-deliverd", "1", "30", "10", "3", "60000", NULL};

	static_assert(sizeof(names) == sizeof(values), "a value for each name");
	return PQconnectStartParams(names, values, 0);
}

PGconn *
dlv_link_start(const struct dlv_link_config *config, const char *addresses)
{
	char hosts[ADDRESSES_MAX * 264u], ports[ADDRESSES_MAX * 8u], port[8];
	size_t len = slk_secret_len(config->password);
	struct slk_secret *password = NULL;
	PGconn *conn = NULL;

	snprintf(port, sizeof(port), "%u", config->port);
	repeat(config->host, addresses, hosts, sizeof(hosts));
	repeat(port, addresses, ports, sizeof(ports));
	if (slk_secret_new(len + 1, &password) != SLK_OK)
		return NULL;
	memcpy(slk_secret_bytes(password), slk_secret_peek(config->password), len);
	conn = start(config, hosts, ports, addresses, (const char *)slk_secret_peek(password));
	slk_secret_free(password);
	if (conn != NULL) {
		PQsetNoticeReceiver(conn, no_notice, NULL);
		PQsetErrorVerbosity(conn, PQERRORS_VERBOSE); /* for the SQLSTATE in refusals */
	}
	return conn;
}

/* libpq's copy, which only another login would need; a link never logs in twice. */
void
dlv_link_wipe_password(struct dlv_link *link)
{
	char *copy = PQpass(link->conn);

	if (copy != NULL && copy[0] != '\0')
		slk_wipe(copy, strlen(copy));
}
