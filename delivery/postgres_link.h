/* A session with a server that speaks PostgreSQL's protocol, in the loop: libpq without waiting.
 *
 *               open            resolved              logged in          query
 *     CLOSED ──────────► NAMES ──────────► CONNECTING ──────────► READY ◄──────► BUSY ──(COPY FROM STDIN)──► ROWS
 *        ▲                                                          │                 ◄──(all rows sent)──────
 *        └────────── close, or the connection is lost: in each state┘
 *
 * One call is under way at a time; its done comes once, from the loop, never from within the call. Names of hosts are looked up
 * in a thread of the pool. A session without work for a minute is closed; so is one whose server left. Notices are dropped:
 * they may hold data. What libpq needs of the password is wiped as soon as the server has it. Thread: the loop's.
 */
#ifndef DELIVERY_POSTGRES_LINK_H
#define DELIVERY_POSTGRES_LINK_H

#include <libpq-fe.h>

#include "base/bytes.h"
#include "base/secret.h"
#include "databases.h"
#include "loop.h"
#include "postgres_state.h"

/* Borrowed while the link is there. */
struct dlv_link_config {
	struct dlv_loop *loop;
	const char *host; /* a name or an address */
	uint16_t port;
	const char *database, *user;
	const struct slk_secret *password;
	struct dlv_database_entry how;
};

/* What became of a call; borrowed until done returns. */
struct dlv_link_answer {
	bool ok; /* all statements were done */
	bool lost; /* there is no session any more; what was under way may have happened, or may happen still */
	bool in_rows; /* the error came after COPY had begun to take rows */
	bool tls; /* no session: the server's certificate, or its lack of TLS */
	char sqlstate[DLV_SQLSTATE_BYTES]; /* of the error; "": it is not the server's */
	char sentence[400]; /* "" if ok; never with data of a row */
	uint64_t
		line; /* of the rows of the call, 1...: where COPY met the error, as far as its text tells; 0 */
	PGresult *const *results; /* of statements that were done, in their order */
	size_t results_count;
};
typedef void (*dlv_link_done)(void *arg, const struct dlv_link_answer *answer);

struct dlv_link;
MUST_USE int dlv_link_new(const struct dlv_link_config *config, struct dlv_link **out_link);
void dlv_link_free(struct dlv_link *link); /* NULL allowed; closes */

bool dlv_link_is_open(const struct dlv_link *link);
/* Of PQserverVersion(): 150000; 0 if it is not open. */
int dlv_link_version(const struct dlv_link *link);
/* It is closed. */
void dlv_link_open(struct dlv_link *link, dlv_link_done done, void *arg);
/* It is open. sql: statements with ; between them, borrowed for the call; rows: what COPY FROM STDIN among them gets, borrowed
 * until done. After the first error the rest is not done. */
void dlv_link_query(struct dlv_link *link, const char *sql, struct slk_span rows,
	dlv_link_done done, void *arg);
/* Whatever is under way ends; done is not called any more. */
void dlv_link_close(struct dlv_link *link);

#endif
