/* A PostgreSQL server of the bench's own: durable, on a unix socket and a TCP port of loopback, in a directory that goes with it. */
#ifndef SLK_BENCH_DELIVERY_DATABASE_H
#define SLK_BENCH_DELIVERY_DATABASE_H

#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"

#define DATABASE_PASSWORD "bench"

struct database {
	char dir[256]; /* its socket is here, too */
	char bin[128]; /* of initdb, postgres and psql */
	uint16_t port;
	pid_t postgres;
	PGconn *admin;
	pid_t psql;
	FILE *to_psql, *from_psql;
};

/* database: zeroed. As user postgres where the bench is root. SLK_NOT_FOUND: it is not installed. */
MUST_USE int database_start(struct database *database, struct slk_error *err);
void database_stop(struct database *database);
/* Statements; the first value of the last one's first row, or "", to out. */
MUST_USE int database_sql(
	struct database *database, const char *sql, char *out, size_t cap, struct slk_error *err);
/* A session of psql that stays: one command, until it is done. */
MUST_USE int database_psql(struct database *database, const char *command, struct slk_error *err);

#endif
