/* What deliverd.yaml says of databases: how each is reached.
 *
 *     databases:
 *       - host: "*.db.example.net"        # of the JDBC URL; * stands for any text; the first entry that fits is taken
 *         sslmode: verify-full            # the default; verify-ca; disable: neither encrypted nor authenticated
 *         ca: /etc/sealock/deliver/db-ca.pem          # default: the system's (/etc/ssl/certs/ca-certificates.crt)
 *         iam_role: arn:aws:iam::123456789012:role/redshift-copy      # Redshift alone: COPY reads from S3 as this role
 *         connect_ms: 10000
 *         statement_ms: 900000
 *         lock_ms: 30000
 *
 * A host without an entry is reached by verify-full and the system's CA; a loopback address or "localhost" without an entry
 * is reached as its server likes it (sslmode prefer): nobody else is on that way. */
#ifndef DELIVERY_DATABASES_H
#define DELIVERY_DATABASES_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum dlv_sslmode {
	DLV_SSL_DEFAULT, /* as above */
	DLV_SSL_VERIFY_FULL,
	DLV_SSL_VERIFY_CA,
	DLV_SSL_DISABLE,
	DLV_SSL_PREFER, /* by default, on loopback alone: deliverd.yaml has no name for it */
};

/* Texts are the configuration's. */
struct dlv_database_entry {
	const char *host; /* a name, or a pattern with * */
	enum dlv_sslmode sslmode;
	const char *ca; /* a file; NULL: the system's */
	const char *iam_role; /* NULL: none */
	uint32_t connect_ms; /* to a session, names and TLS included; 0: 10,000 */
	uint32_t statement_ms; /* of each statement, COPY and its rows included; 0: 900,000 */
	uint32_t lock_ms; /* how long a lock is waited for; 0: 30,000 */
};

struct dlv_databases {
	const struct dlv_database_entry *entries;
	size_t count;
};

/* The name as deliverd.yaml has it. SLK_CONFIG with a sentence. */
MUST_USE int dlv_sslmode_parse(
	const char *name, enum dlv_sslmode *out_sslmode, struct slk_error *err);

/* How that host is reached: all defaults are filled in but iam_role's. databases: NULL is an empty one. Case of the host does
 * not matter. */
struct dlv_database_entry dlv_databases_find(
	const struct dlv_databases *databases, const char *host);

#endif
